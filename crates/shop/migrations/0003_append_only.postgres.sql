-- What happened on the shelves, and what things cost, is written once (INV-S4).
CREATE FUNCTION shop_written_once() RETURNS trigger AS $$ BEGIN RAISE EXCEPTION '% is append-only', TG_TABLE_NAME; END $$ LANGUAGE plpgsql;
CREATE TRIGGER shop_stock_movements_kept BEFORE UPDATE OR DELETE ON shop_stock_movements FOR EACH ROW EXECUTE FUNCTION shop_written_once();
CREATE TRIGGER shop_price_log_kept BEFORE UPDATE OR DELETE ON shop_price_log FOR EACH ROW EXECUTE FUNCTION shop_written_once();
