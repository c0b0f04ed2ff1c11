-- No triggers here: with a binary log, MySQL lets only administrators make them. The code never changes these rows, and the audit sums them.
ALTER TABLE shop_stock_movements COMMENT = 'append-only';
ALTER TABLE shop_price_log COMMENT = 'append-only';
