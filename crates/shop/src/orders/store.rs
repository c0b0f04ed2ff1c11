//! SQL of orders, their lines, taxes, discounts, log and counters.

use db::{Conn, Error, params};
use kernel::{Id, Timestamp, UserId};

use crate::ids::{Order, OrderLine};
use crate::orders::{DiscountRecord, LineRecord, LogEntry, LogRow, OrderRecord, TaxRecord};

macro_rules! select_order {
    ($tail:literal) => {
        concat!(
            "SELECT id, cart_id, number, secret_hash, secret_sealed, user_id, email, status, payment_status, fulfilment_status, currency, \
             prices_include_tax, subtotal, discount, shipping, tax, rounding, total, shipping_gross, shipping_refunded, captured, refunded, \
             billing_address, shipping_address, shipping_method_id, shipping_title, payment_method, locale, note, attention, expires_at, \
             placed_at, confirmed_at, paid_at, completed_at, canceled_at, updated_at, version FROM shop_orders ",
            $tail
        )
    };
}

pub(crate) fn insert(tx: &mut db::Tx<'_>, order: &OrderRecord) -> Result<(), Error> {
    tx.execute(
        "INSERT INTO shop_orders (id, cart_id, number, secret_hash, secret_sealed, user_id, email, status, payment_status, fulfilment_status, \
         currency, prices_include_tax, subtotal, discount, shipping, tax, rounding, total, shipping_gross, shipping_refunded, captured, refunded, \
         billing_address, shipping_address, shipping_method_id, shipping_title, payment_method, locale, note, attention, expires_at, placed_at, \
         confirmed_at, paid_at, completed_at, canceled_at, updated_at, version) \
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        params![
            order.id,
            order.cart_id,
            order.number,
            order.secret_hash,
            order.secret_sealed,
            order.user_id,
            order.email,
            order.status,
            order.payment_status,
            order.fulfilment_status,
            order.currency,
            order.prices_include_tax,
            order.subtotal,
            order.discount,
            order.shipping,
            order.tax,
            order.rounding,
            order.total,
            order.shipping_gross,
            order.shipping_refunded,
            order.captured,
            order.refunded,
            order.billing_address,
            order.shipping_address,
            order.shipping_method_id,
            order.shipping_title,
            order.payment_method,
            order.locale,
            order.note,
            order.attention,
            order.expires_at,
            order.placed_at,
            order.confirmed_at,
            order.paid_at,
            order.completed_at,
            order.canceled_at,
            order.updated_at,
            order.version
        ],
    )?;
    Ok(())
}

pub(crate) fn find(c: &mut Conn, id: Id<Order>) -> Result<Option<OrderRecord>, Error> {
    c.opt(select_order!("WHERE id = ?"), params![id])
}

/// Reads an order and keeps everybody else from changing it until the transaction ends.
pub(crate) fn lock(tx: &mut db::Tx<'_>, id: Id<Order>) -> Result<Option<OrderRecord>, Error> {
    tx.opt(select_order!("WHERE id = ? {for_update}"), params![id])
}

/// Writes what may change of an order; false when somebody else changed it since it was read.
pub(crate) fn save(tx: &mut db::Tx<'_>, order: &OrderRecord) -> Result<bool, Error> {
    let changed = tx.execute(
        "UPDATE shop_orders SET user_id = ?, status = ?, payment_status = ?, fulfilment_status = ?, shipping_refunded = ?, captured = ?, \
         refunded = ?, shipping_address = ?, payment_method = ?, note = ?, attention = ?, expires_at = ?, confirmed_at = ?, paid_at = ?, \
         completed_at = ?, canceled_at = ?, updated_at = ?, version = version + 1 WHERE id = ? AND version = ?",
        params![
            order.user_id,
            order.status,
            order.payment_status,
            order.fulfilment_status,
            order.shipping_refunded,
            order.captured,
            order.refunded,
            order.shipping_address,
            order.payment_method,
            order.note,
            order.attention,
            order.expires_at,
            order.confirmed_at,
            order.paid_at,
            order.completed_at,
            order.canceled_at,
            order.updated_at,
            order.id,
            order.version
        ],
    )?;
    Ok(changed == 1)
}

pub(crate) fn insert_line(tx: &mut db::Tx<'_>, line: &LineRecord) -> Result<(), Error> {
    tx.execute(
        "INSERT INTO shop_order_lines (id, order_id, position, product_id, variant_id, title, variant_title, sku, quantity, unit_price, subtotal, \
         discount, net, tax, gross, rates, demand, is_shippable, allocated_quantity, fulfilled_quantity, refunded_quantity, returned_quantity, \
         refunded_amount) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        params![
            line.id,
            line.order_id,
            line.position,
            line.product_id,
            line.variant_id,
            line.title,
            line.variant_title,
            line.sku,
            line.quantity,
            line.unit_price,
            line.subtotal,
            line.discount,
            line.net,
            line.tax,
            line.gross,
            line.rates,
            line.demand,
            line.is_shippable,
            line.allocated_quantity,
            line.fulfilled_quantity,
            line.refunded_quantity,
            line.returned_quantity,
            line.refunded_amount
        ],
    )?;
    Ok(())
}

pub(crate) fn lines(c: &mut Conn, order: Id<Order>) -> Result<Vec<LineRecord>, Error> {
    c.all(
        "SELECT id, order_id, position, product_id, variant_id, title, variant_title, sku, quantity, unit_price, subtotal, discount, net, tax, \
         gross, rates, demand, is_shippable, allocated_quantity, fulfilled_quantity, refunded_quantity, returned_quantity, refunded_amount \
         FROM shop_order_lines WHERE order_id = ? ORDER BY position",
        params![order],
    )
}

/// How much of a line has gone where; the columns' names are ours alone.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LineChange {
    pub(crate) allocated: i64,
    pub(crate) fulfilled: i64,
    pub(crate) refunded: i64,
    pub(crate) returned: i64,
    pub(crate) refunded_amount: i64,
}

impl LineChange {
    pub(crate) const NONE: LineChange = LineChange { allocated: 0, fulfilled: 0, refunded: 0, returned: 0, refunded_amount: 0 };
}

/// Moves the counts of a line; the table's checks refuse what cannot be.
pub(crate) fn change_line(tx: &mut db::Tx<'_>, line: Id<OrderLine>, change: LineChange) -> Result<bool, Error> {
    let changed = tx.execute(
        "UPDATE shop_order_lines SET allocated_quantity = allocated_quantity + ?, fulfilled_quantity = fulfilled_quantity + ?, \
         refunded_quantity = refunded_quantity + ?, returned_quantity = returned_quantity + ?, refunded_amount = refunded_amount + ? WHERE id = ?",
        params![change.allocated, change.fulfilled, change.refunded, change.returned, change.refunded_amount, line],
    )?;
    Ok(changed == 1)
}

pub(crate) fn insert_tax(tx: &mut db::Tx<'_>, order: Id<Order>, position: i64, tax: &TaxRecord) -> Result<(), Error> {
    tx.execute(
        "INSERT INTO shop_order_taxes (order_id, position, name, category, rate_ppm, net, tax) VALUES (?, ?, ?, ?, ?, ?, ?)",
        params![order, position, tax.name, tax.category, tax.rate_ppm, tax.net, tax.tax],
    )?;
    Ok(())
}

pub(crate) fn taxes(c: &mut Conn, order: Id<Order>) -> Result<Vec<TaxRecord>, Error> {
    c.all("SELECT name, category, rate_ppm, net, tax FROM shop_order_taxes WHERE order_id = ? ORDER BY position", params![order])
}

pub(crate) fn insert_discount(tx: &mut db::Tx<'_>, order: Id<Order>, position: i64, discount: &DiscountRecord) -> Result<(), Error> {
    tx.execute(
        "INSERT INTO shop_order_discounts (order_id, position, coupon_id, code, title, amount) VALUES (?, ?, ?, ?, ?, ?)",
        params![order, position, discount.coupon_id, discount.code, discount.title, discount.amount],
    )?;
    Ok(())
}

pub(crate) fn discounts(c: &mut Conn, order: Id<Order>) -> Result<Vec<DiscountRecord>, Error> {
    c.all("SELECT coupon_id, code, title, amount FROM shop_order_discounts WHERE order_id = ? ORDER BY position", params![order])
}

pub(crate) fn insert_log(tx: &mut db::Tx<'_>, order: Id<Order>, row: &LogRow) -> Result<(), Error> {
    tx.execute(
        "INSERT INTO shop_order_events (id, order_id, kind, status, payment_status, fulfilment_status, actor, request_id, reason, detail, at) \
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        params![
            row.id,
            order,
            row.kind,
            row.status,
            row.payment_status,
            row.fulfilment_status,
            row.actor,
            row.request_id,
            row.reason,
            row.detail,
            row.at
        ],
    )?;
    Ok(())
}

/// Rows of an order's log, oldest first, after the one with this id.
pub(crate) fn log(c: &mut Conn, order: Id<Order>, after: Option<Id<LogEntry>>, limit: u32) -> Result<Vec<LogRow>, Error> {
    let after = after.unwrap_or(Id::from_uuid(uuid::Uuid::nil()));
    let sql = format!(
        "SELECT id, kind, status, payment_status, fulfilment_status, actor, request_id, reason, detail, at FROM shop_order_events \
         WHERE order_id = ? AND id > ? ORDER BY id LIMIT {limit}"
    );
    c.all(sql, params![order, after])
}

/// Whether the log of an order tells exactly this, and that nothing has been settled since.
pub(crate) fn is_logged(c: &mut Conn, order: Id<Order>, kind: &str, detail: &str) -> Result<bool, Error> {
    let sql = "SELECT e.id FROM shop_order_events e WHERE e.order_id = ? AND e.kind = ? AND e.detail = ? AND NOT EXISTS \
         (SELECT 1 FROM shop_order_events s WHERE s.order_id = e.order_id AND s.kind = 'settled' AND s.id > e.id) LIMIT 1";
    Ok(c.opt::<(Id<LogEntry>,)>(sql, params![order, kind, detail])?.is_some())
}

/// The detail of the newest row of this kind in the log of an order.
pub(crate) fn last_detail(c: &mut Conn, order: Id<Order>, kind: &str) -> Result<Option<String>, Error> {
    let sql = "SELECT detail FROM shop_order_events WHERE order_id = ? AND kind = ? ORDER BY id DESC LIMIT 1";
    Ok(c.opt::<(Option<String>,)>(sql, params![order, kind])?.and_then(|(detail,)| detail))
}

/// Which orders to list.
#[derive(Clone, Debug, Default)]
pub(crate) struct OrderFilter {
    pub(crate) user_id: Option<UserId>,
    pub(crate) status: Option<&'static str>,
}

/// Orders, newest first, after the one with this time and id.
pub(crate) fn newest(
    c: &mut Conn,
    filter: &OrderFilter,
    after: Option<(Timestamp, Id<Order>)>,
    limit: u32,
) -> Result<Vec<OrderRecord>, Error> {
    let (at, id) = after.unwrap_or((Timestamp::from_millis(i64::MAX), Id::from_uuid(uuid::Uuid::max())));
    let select = select_order!("");
    let place = "(placed_at < ? OR (placed_at = ? AND id < ?)) ORDER BY placed_at DESC, id DESC";
    match (filter.user_id, filter.status) {
        (Some(user), Some(status)) => {
            c.all(format!("{select} WHERE user_id = ? AND status = ? AND {place} LIMIT {limit}"), params![user, status, at, at, id])
        }
        (Some(user), None) => c.all(format!("{select} WHERE user_id = ? AND {place} LIMIT {limit}"), params![user, at, at, id]),
        (None, Some(status)) => c.all(format!("{select} WHERE status = ? AND {place} LIMIT {limit}"), params![status, at, at, id]),
        (None, None) => c.all(format!("{select} WHERE {place} LIMIT {limit}"), params![at, at, id]),
    }
}

/// Orders whose time is up.
pub(crate) fn overdue(c: &mut Conn, now: Timestamp) -> Result<Vec<Id<Order>>, Error> {
    let rows = c.all::<(Id<Order>,)>("SELECT id FROM shop_orders WHERE expires_at <= ? ORDER BY expires_at LIMIT 100", params![now])?;
    Ok(rows.into_iter().map(|(id,)| id).collect())
}

/// Whether there is any order.
pub(crate) fn has_any(c: &mut Conn) -> Result<bool, Error> {
    Ok(c.opt::<(Id<Order>,)>("SELECT id FROM shop_orders LIMIT 1", params![])?.is_some())
}

/// Some variants that are on sale and of which enough lies in one place.
pub(crate) fn sellable_variants(c: &mut Conn) -> Result<Vec<Id<crate::ids::Variant>>, Error> {
    let rows = c.all::<(Id<crate::ids::Variant>,)>(
        "SELECT v.id FROM shop_variants v JOIN shop_products p ON p.id = v.product_id \
         WHERE v.is_active = 1 AND p.status = 'active' AND EXISTS (SELECT 1 FROM shop_variant_items i \
         JOIN shop_stock_levels s ON s.item_id = i.item_id WHERE i.variant_id = v.id AND s.on_hand - s.reserved >= 10) \
         ORDER BY v.created_at, v.id LIMIT 5",
        params![],
    )?;
    Ok(rows.into_iter().map(|(id,)| id).collect())
}

/// Lets an order end later; it is no change that anybody needs to know of.
pub(crate) fn postpone(tx: &mut db::Tx<'_>, id: Id<Order>, at: Timestamp) -> Result<(), Error> {
    tx.execute("UPDATE shop_orders SET expires_at = ?, version = version + 1 WHERE id = ? AND expires_at < ?", params![at, id, at])?;
    Ok(())
}

/// Takes the next `count` values of a counter and answers with the last of them.
pub(crate) fn advance_counter(tx: &mut db::Tx<'_>, name: &str, count: i64) -> Result<i64, Error> {
    tx.insert_ignore("INSERT INTO shop_counters (name, value) VALUES (?, 1000)", params![name])?;
    tx.execute("UPDATE shop_counters SET value = value + ? WHERE name = ?", params![count, name])?;
    tx.one::<i64>("SELECT value FROM shop_counters WHERE name = ?", params![name])
}
