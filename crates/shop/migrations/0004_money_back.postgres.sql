-- What becomes of units whose refund does not go, and books that are written once (INV-M7, INV-O4, INV-P6).

-- Units of the refund that are off the order whatever becomes of the money: dropped, back on the shelf, or off it before.
ALTER TABLE shop_refund_lines ADD COLUMN taken_quantity {int} NOT NULL DEFAULT 0 CHECK (taken_quantity >= 0);
-- Those of them that nobody was paid for, because the refund failed and no later one has taken them over.
ALTER TABLE shop_refund_lines ADD COLUMN owed_quantity {int} NOT NULL DEFAULT 0 CHECK (owed_quantity >= 0);
UPDATE shop_refund_lines SET taken_quantity = quantity;
UPDATE shop_refund_lines SET owed_quantity = quantity WHERE refund_id IN (SELECT id FROM shop_refunds WHERE state = 'failed');

CREATE TRIGGER shop_ledger_entries_kept BEFORE UPDATE OR DELETE ON shop_ledger_entries FOR EACH ROW EXECUTE FUNCTION shop_written_once();
CREATE TRIGGER shop_order_events_kept BEFORE UPDATE OR DELETE ON shop_order_events FOR EACH ROW EXECUTE FUNCTION shop_written_once();
