//! SQL of the ledger. There is no UPDATE and no DELETE.

use db::{Conn, Error, params};
use kernel::{Id, Timestamp};

use crate::ids::Order;
use crate::ledger::{Entry, EntryRow};

/// Writes one side of a movement; false when it stands there already.
pub(crate) fn insert(tx: &mut db::Tx<'_>, entry: &EntryRow) -> Result<bool, Error> {
    tx.insert_ignore(
        "INSERT INTO shop_ledger_entries (id, tx_id, kind, account, amount, currency, order_id, payment_id, provider_reference, at) \
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        params![
            entry.id,
            entry.tx_id,
            entry.kind,
            entry.account,
            entry.amount,
            entry.currency,
            entry.order_id,
            entry.payment_id,
            entry.provider_reference,
            entry.at
        ],
    )
}

/// What an order has been paid and given back: the sum of captures, and that of refunds without those that came again.
pub(crate) fn sums_of_order(c: &mut Conn, order: Id<Order>) -> Result<(i64, i64), Error> {
    let (mut captured, mut refunded) = (0_i64, 0_i64);
    c.each(
        "SELECT kind, amount FROM shop_ledger_entries WHERE order_id = ? AND account = 'customer' \
         AND kind IN ('capture', 'refund', 'refund_failed')",
        params![order],
        |(kind, amount): (String, i64)| {
            // What buyers have paid stands negative.
            match kind.as_str() {
                "capture" => captured = captured.saturating_sub(amount),
                _ => refunded = refunded.saturating_add(amount),
            }
            Ok(())
        },
    )?;
    Ok((captured, refunded))
}

/// Entries, newest first, after the one with this time and id; of one order only if one is given.
pub(crate) fn newest(
    c: &mut Conn,
    order: Option<Id<Order>>,
    after: Option<(Timestamp, Id<Entry>)>,
    limit: u32,
) -> Result<Vec<EntryRow>, Error> {
    let (at, id) = after.unwrap_or((Timestamp::from_millis(i64::MAX), Id::from_uuid(uuid::Uuid::max())));
    let columns =
        "SELECT id, tx_id, kind, account, amount, currency, order_id, payment_id, provider_reference, at FROM shop_ledger_entries";
    let place = "(at < ? OR (at = ? AND id < ?)) ORDER BY at DESC, id DESC";
    match order {
        Some(order) => c.all(format!("{columns} WHERE order_id = ? AND {place} LIMIT {limit}"), params![order, at, at, id]),
        None => c.all(format!("{columns} WHERE {place} LIMIT {limit}"), params![at, at, id]),
    }
}
