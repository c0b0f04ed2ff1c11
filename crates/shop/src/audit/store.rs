//! SQL of the audit. Each statement lists what differs, and nothing when all is well.

use db::{Conn, Error, params};
use kernel::Id;

use crate::ids::{Coupon, Order, Payment};

type OrderFigures = Vec<(Id<Order>, i64, i64)>;

/// Orders whose figures do not add up to their total (INV-M3).
pub(crate) fn totals(c: &mut Conn) -> Result<OrderFigures, Error> {
    c.all(
        "SELECT id, subtotal - discount + shipping + CASE WHEN prices_include_tax = 1 THEN 0 ELSE tax END + rounding, total FROM shop_orders \
         WHERE subtotal - discount + shipping + CASE WHEN prices_include_tax = 1 THEN 0 ELSE tax END + rounding <> total LIMIT 1000",
        params![],
    )
}

/// Orders whose lines do not add up to their total.
pub(crate) fn lines(c: &mut Conn) -> Result<OrderFigures, Error> {
    c.all(
        "SELECT o.id, COALESCE(s.gross, 0) + o.shipping_gross + o.rounding, o.total FROM shop_orders o LEFT JOIN \
         (SELECT order_id, SUM(gross) AS gross FROM shop_order_lines GROUP BY order_id) s ON s.order_id = o.id \
         WHERE COALESCE(s.gross, 0) + o.shipping_gross + o.rounding <> o.total LIMIT 1000",
        params![],
    )
}

/// Orders whose taxes do not add up.
pub(crate) fn taxes(c: &mut Conn) -> Result<OrderFigures, Error> {
    c.all(
        "SELECT o.id, COALESCE(s.tax, 0), o.tax FROM shop_orders o LEFT JOIN \
         (SELECT order_id, SUM(tax) AS tax FROM shop_order_taxes GROUP BY order_id) s ON s.order_id = o.id \
         WHERE COALESCE(s.tax, 0) <> o.tax LIMIT 1000",
        params![],
    )
}

/// Movements that do not sum to nothing (INV-P6).
pub(crate) fn unbalanced(c: &mut Conn) -> Result<Vec<(Id<Order>, i64)>, Error> {
    c.all("SELECT tx_id, SUM(amount) FROM shop_ledger_entries GROUP BY tx_id, currency HAVING SUM(amount) <> 0 LIMIT 1000", params![])
}

/// Orders that say something else than the ledger about what came.
pub(crate) fn captured(c: &mut Conn) -> Result<OrderFigures, Error> {
    c.all(
        "SELECT o.id, -COALESCE(s.amount, 0), o.captured FROM shop_orders o LEFT JOIN (SELECT order_id, SUM(amount) AS amount \
         FROM shop_ledger_entries WHERE account = 'customer' AND kind = 'capture' GROUP BY order_id) s ON s.order_id = o.id \
         WHERE -COALESCE(s.amount, 0) <> o.captured LIMIT 1000",
        params![],
    )
}

/// Orders that say something else than the ledger about what went back.
pub(crate) fn refunded(c: &mut Conn) -> Result<OrderFigures, Error> {
    c.all(
        "SELECT o.id, COALESCE(s.amount, 0), o.refunded FROM shop_orders o LEFT JOIN (SELECT order_id, SUM(amount) AS amount \
         FROM shop_ledger_entries WHERE account = 'customer' AND kind IN ('refund', 'refund_failed') GROUP BY order_id) s ON s.order_id = o.id \
         WHERE COALESCE(s.amount, 0) <> o.refunded LIMIT 1000",
        params![],
    )
}

/// Payments that say something else than the ledger about what came.
pub(crate) fn payments(c: &mut Conn) -> Result<Vec<(Id<Payment>, i64, i64)>, Error> {
    c.all(
        "SELECT p.id, -COALESCE(s.amount, 0), p.captured FROM shop_payments p LEFT JOIN (SELECT payment_id, SUM(amount) AS amount \
         FROM shop_ledger_entries WHERE account = 'customer' AND kind = 'capture' GROUP BY payment_id) s ON s.payment_id = p.id \
         WHERE -COALESCE(s.amount, 0) <> p.captured LIMIT 1000",
        params![],
    )
}

/// Payments whose claims are not the sum of their refunds.
pub(crate) fn claims(c: &mut Conn) -> Result<Vec<(Id<Payment>, i64, i64)>, Error> {
    c.all(
        "SELECT p.id, COALESCE(s.amount, 0), p.refund_claimed FROM shop_payments p LEFT JOIN (SELECT payment_id, SUM(amount) AS amount \
         FROM shop_refunds WHERE state <> 'failed' GROUP BY payment_id) s ON s.payment_id = p.id \
         WHERE COALESCE(s.amount, 0) <> p.refund_claimed LIMIT 1000",
        params![],
    )
}

/// Payments that say something else than their refunds about what went back.
pub(crate) fn given_back(c: &mut Conn) -> Result<Vec<(Id<Payment>, i64, i64)>, Error> {
    c.all(
        "SELECT p.id, COALESCE(s.amount, 0), p.refunded FROM shop_payments p LEFT JOIN (SELECT payment_id, SUM(amount) AS amount \
         FROM shop_refunds WHERE state = 'succeeded' GROUP BY payment_id) s ON s.payment_id = p.id \
         WHERE COALESCE(s.amount, 0) <> p.refunded LIMIT 1000",
        params![],
    )
}

/// Orders with lines that say something else than their refunds about the units that were refunded (INV-M7).
pub(crate) fn refunded_units(c: &mut Conn) -> Result<OrderFigures, Error> {
    c.all(
        "SELECT l.order_id, COALESCE(s.units, 0), l.refunded_quantity - COALESCE(s.owed, 0) FROM shop_order_lines l LEFT JOIN \
         (SELECT x.order_line_id, SUM(CASE WHEN r.state = 'failed' THEN 0 ELSE x.quantity END) AS units, SUM(x.owed_quantity) AS owed \
         FROM shop_refund_lines x JOIN shop_refunds r ON r.id = x.refund_id GROUP BY x.order_line_id) s ON s.order_line_id = l.id \
         WHERE COALESCE(s.units, 0) <> l.refunded_quantity - COALESCE(s.owed, 0) LIMIT 1000",
        params![],
    )
}

/// Orders with lines that say something else than their refunds about the money that was refunded (INV-M7).
pub(crate) fn refunded_amounts(c: &mut Conn) -> Result<OrderFigures, Error> {
    c.all(
        "SELECT l.order_id, COALESCE(s.amount, 0), l.refunded_amount FROM shop_order_lines l LEFT JOIN \
         (SELECT x.order_line_id, SUM(x.amount) AS amount FROM shop_refund_lines x JOIN shop_refunds r ON r.id = x.refund_id \
         WHERE r.state <> 'failed' GROUP BY x.order_line_id) s ON s.order_line_id = l.id \
         WHERE COALESCE(s.amount, 0) <> l.refunded_amount LIMIT 1000",
        params![],
    )
}

/// Orders that say something else than their refunds about what went back of the shipping.
pub(crate) fn refunded_shipping(c: &mut Conn) -> Result<OrderFigures, Error> {
    c.all(
        "SELECT o.id, COALESCE(s.amount, 0), o.shipping_refunded FROM shop_orders o LEFT JOIN (SELECT order_id, SUM(shipping) AS amount \
         FROM shop_refunds WHERE state <> 'failed' GROUP BY order_id) s ON s.order_id = o.id \
         WHERE COALESCE(s.amount, 0) <> o.shipping_refunded LIMIT 1000",
        params![],
    )
}

/// Orders that are over and still hold goods (INV-S5).
pub(crate) fn held_by_the_dead(c: &mut Conn) -> Result<Vec<(Id<Order>, i64)>, Error> {
    c.all(
        "SELECT o.id, SUM(r.quantity) FROM shop_orders o JOIN shop_reservations r ON r.order_id = o.id \
         WHERE o.status IN ('canceled', 'expired') AND r.state IN ('held', 'committed') AND r.quantity > 0 GROUP BY o.id LIMIT 1000",
        params![],
    )
}

/// Goods that are held for an order that does not exist.
pub(crate) fn held_by_nobody(c: &mut Conn) -> Result<Vec<(Id<Order>, i64)>, Error> {
    c.all(
        "SELECT r.order_id, SUM(r.quantity) FROM shop_reservations r LEFT JOIN shop_orders o ON o.id = r.order_id \
         WHERE o.id IS NULL AND r.state IN ('held', 'committed') AND r.quantity > 0 GROUP BY r.order_id LIMIT 1000",
        params![],
    )
}

/// What open orders hold, order by order.
pub(crate) fn held_by_the_living(c: &mut Conn) -> Result<Vec<(Id<Order>, i64)>, Error> {
    c.all(
        "SELECT o.id, SUM(r.quantity) FROM shop_orders o JOIN shop_reservations r ON r.order_id = o.id \
         WHERE o.status IN ('pending', 'confirmed') AND r.state IN ('held', 'committed') GROUP BY o.id",
        params![],
    )
}

/// The lines of open orders, one by one.
pub(crate) fn open_lines(c: &mut Conn, f: impl FnMut(crate::orders::LineRecord) -> Result<(), Error>) -> Result<(), Error> {
    c.each(
        "SELECT l.id, l.order_id, l.position, l.product_id, l.variant_id, l.title, l.variant_title, l.sku, l.quantity, l.unit_price, l.subtotal, \
         l.discount, l.net, l.tax, l.gross, l.rates, l.demand, l.is_shippable, l.allocated_quantity, l.fulfilled_quantity, l.refunded_quantity, \
         l.returned_quantity, l.refunded_amount FROM shop_order_lines l JOIN shop_orders o ON o.id = l.order_id \
         WHERE o.status IN ('pending', 'confirmed')",
        params![],
        f,
    )
}

/// Money of orders that are over and that nobody has begun to send back (INV-P7); what could not go back is on somebody's desk.
pub(crate) fn orphans(c: &mut Conn) -> Result<OrderFigures, Error> {
    c.all(
        "SELECT o.id, SUM(p.captured), SUM(p.refund_claimed) FROM shop_orders o JOIN shop_payments p ON p.order_id = o.id \
         WHERE o.status IN ('canceled', 'expired') \
         AND NOT EXISTS (SELECT 1 FROM shop_refunds r WHERE r.order_id = o.id AND r.state = 'failed') GROUP BY o.id HAVING SUM(p.captured) > SUM(p.refund_claimed) LIMIT 1000",
        params![],
    )
}

/// Orders that are paid and not certain.
pub(crate) fn paid_and_pending(c: &mut Conn) -> Result<OrderFigures, Error> {
    c.all("SELECT id, 0, captured FROM shop_orders WHERE status = 'pending' AND captured > 0 LIMIT 1000", params![])
}

/// Coupons whose count is not the number of their uses.
pub(crate) fn coupons(c: &mut Conn) -> Result<Vec<(Id<Coupon>, i64, i64)>, Error> {
    c.all(
        "SELECT k.id, COALESCE(s.uses, 0), k.used FROM shop_coupons k LEFT JOIN (SELECT coupon_id, COUNT(*) AS uses FROM shop_coupon_uses \
         WHERE given_back_at IS NULL GROUP BY coupon_id) s ON s.coupon_id = k.id WHERE COALESCE(s.uses, 0) <> k.used LIMIT 1000",
        params![],
    )
}

/// Orders whose row says something else than the last line of their log (INV-O4).
pub(crate) fn logs(c: &mut Conn) -> Result<Vec<(Id<Order>, String, String)>, Error> {
    c.all(
        "SELECT o.id, e.status, o.status FROM shop_orders o JOIN shop_order_events e ON e.order_id = o.id \
         WHERE e.id = (SELECT x.id FROM shop_order_events x WHERE x.order_id = o.id ORDER BY x.id DESC LIMIT 1) \
         AND (e.status <> o.status OR e.payment_status <> o.payment_status OR e.fulfilment_status <> o.fulfilment_status) LIMIT 1000",
        params![],
    )
}
