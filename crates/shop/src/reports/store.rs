//! SQL of the daily roll-ups.

use db::{Conn, Error, params};
use kernel::Timestamp;
use kernel::money::Currency;

use crate::reports::DailyRow;

/// Currency, count, total, discount, shipping, tax.
pub(crate) type OrderSums = (Currency, i64, i64, i64, i64, i64);

/// What the orders that became certain in this time come to, per currency: count, total, discount, shipping, tax.
pub(crate) fn orders(c: &mut Conn, from: Timestamp, to: Timestamp) -> Result<Vec<OrderSums>, Error> {
    c.all(
        "SELECT currency, COUNT(*), SUM(total), SUM(discount), SUM(shipping), SUM(tax) FROM shop_orders \
         WHERE confirmed_at >= ? AND confirmed_at < ? GROUP BY currency",
        params![from, to],
    )
}

/// What the lines of those orders come to, per currency and variant: units and amount.
pub(crate) fn variants(c: &mut Conn, from: Timestamp, to: Timestamp) -> Result<Vec<(Currency, uuid::Uuid, i64, i64)>, Error> {
    let rows = c.all::<(Currency, kernel::Id<crate::ids::Variant>, i64, i64)>(
        "SELECT o.currency, l.variant_id, SUM(l.quantity), SUM(l.gross) FROM shop_orders o JOIN shop_order_lines l ON l.order_id = o.id \
         WHERE o.confirmed_at >= ? AND o.confirmed_at < ? GROUP BY o.currency, l.variant_id",
        params![from, to],
    )?;
    Ok(rows.into_iter().map(|(currency, variant, count, amount)| (currency, variant.uuid(), count, amount)).collect())
}

/// What was booked in this time, per currency and kind, as seen from our side.
pub(crate) fn booked(c: &mut Conn, from: Timestamp, to: Timestamp) -> Result<Vec<(Currency, String, i64, i64)>, Error> {
    c.all(
        "SELECT currency, kind, COUNT(*), SUM(amount) FROM shop_ledger_entries WHERE account = 'customer' AND at >= ? AND at < ? \
         GROUP BY currency, kind",
        params![from, to],
    )
}

pub(crate) fn clear(tx: &mut db::Tx<'_>, day: &str) -> Result<(), Error> {
    tx.execute("DELETE FROM shop_daily WHERE day = ?", params![day])?;
    Ok(())
}

pub(crate) fn insert(tx: &mut db::Tx<'_>, row: &DailyRow) -> Result<(), Error> {
    tx.execute(
        "INSERT INTO shop_daily (day, currency, kind, item, count, amount) VALUES (?, ?, ?, ?, ?, ?)",
        params![row.day, row.currency, row.kind, row.item, row.count, row.amount],
    )?;
    Ok(())
}

/// The figures of these days and kinds, by day.
pub(crate) fn rows(c: &mut Conn, from: &str, to: &str, is_sales: bool) -> Result<Vec<DailyRow>, Error> {
    let kinds = if is_sales { "kind <> 'variant'" } else { "kind = 'variant'" };
    let sql = format!(
        "SELECT day, currency, kind, item, count, amount FROM shop_daily WHERE day >= ? AND day <= ? AND {kinds} \
         ORDER BY day, currency, kind, item LIMIT 20000"
    );
    c.all(sql, params![from, to])
}
