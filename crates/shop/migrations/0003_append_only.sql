-- What happened on the shelves, and what things cost, is written once (INV-S4).
CREATE TRIGGER shop_stock_movements_kept BEFORE UPDATE ON shop_stock_movements BEGIN SELECT RAISE(ABORT, 'movements are never changed'); END;
CREATE TRIGGER shop_stock_movements_stay BEFORE DELETE ON shop_stock_movements BEGIN SELECT RAISE(ABORT, 'movements are never deleted'); END;
CREATE TRIGGER shop_price_log_kept BEFORE UPDATE ON shop_price_log BEGIN SELECT RAISE(ABORT, 'the price log is never changed'); END;
CREATE TRIGGER shop_price_log_stay BEFORE DELETE ON shop_price_log BEGIN SELECT RAISE(ABORT, 'the price log is never shortened'); END;
