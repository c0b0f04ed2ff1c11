//! SQL of refunds.

use db::{Conn, Error, params};
use kernel::{Id, Timestamp};

use crate::ids::{Order, OrderLine, Refund};
use crate::refunds::{OwedUnits, RefundLineRecord, RefundRecord};

macro_rules! select_refund {
    ($tail:literal) => {
        concat!(
            "SELECT id, order_id, payment_id, state, currency, amount, shipping, reason, notify, provider_reference, provider_code, actor, \
             attempt, check_at, created_at, updated_at FROM shop_refunds ",
            $tail
        )
    };
}

pub(crate) fn insert(tx: &mut db::Tx<'_>, refund: &RefundRecord) -> Result<(), Error> {
    tx.execute(
        "INSERT INTO shop_refunds (id, order_id, payment_id, state, currency, amount, shipping, reason, notify, provider_reference, \
         provider_code, actor, attempt, check_at, created_at, updated_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        params![
            refund.id,
            refund.order_id,
            refund.payment_id,
            refund.state,
            refund.currency,
            refund.amount,
            refund.shipping,
            refund.reason,
            refund.notify,
            refund.provider_reference,
            refund.provider_code,
            refund.actor,
            refund.attempt,
            refund.check_at,
            refund.created_at,
            refund.updated_at
        ],
    )?;
    Ok(())
}

pub(crate) fn insert_line(tx: &mut db::Tx<'_>, refund: Id<Refund>, line: &RefundLineRecord) -> Result<(), Error> {
    tx.execute(
        "INSERT INTO shop_refund_lines (refund_id, order_line_id, quantity, amount, returned_quantity, taken_quantity, owed_quantity) \
         VALUES (?, ?, ?, ?, ?, ?, 0)",
        params![refund, line.order_line_id, line.quantity, line.amount, line.returned_quantity, line.taken_quantity],
    )?;
    Ok(())
}

pub(crate) fn lines(c: &mut Conn, refund: Id<Refund>) -> Result<Vec<RefundLineRecord>, Error> {
    c.all(
        "SELECT order_line_id, quantity, amount, returned_quantity, taken_quantity FROM shop_refund_lines WHERE refund_id = ? \
         ORDER BY order_line_id",
        params![refund],
    )
}

/// The lines of all refunds of an order, each with its refund.
pub(crate) fn lines_of_order(c: &mut Conn, order: Id<Order>) -> Result<Vec<(Id<Refund>, RefundLineRecord)>, Error> {
    let rows = c.all::<(Id<Refund>, Id<OrderLine>, i64, i64, i64, i64)>(
        "SELECT l.refund_id, l.order_line_id, l.quantity, l.amount, l.returned_quantity, l.taken_quantity FROM shop_refund_lines l \
         JOIN shop_refunds r ON r.id = l.refund_id WHERE r.order_id = ? ORDER BY l.refund_id, l.order_line_id LIMIT 5000",
        params![order],
    )?;
    let record = |(refund, order_line_id, quantity, amount, returned_quantity, taken_quantity)| {
        (refund, RefundLineRecord { order_line_id, quantity, amount, returned_quantity, taken_quantity })
    };
    Ok(rows.into_iter().map(record).collect())
}

/// The units of an order that are off it and not paid back, those of the oldest refund first.
pub(crate) fn owed(c: &mut Conn, order: Id<Order>) -> Result<Vec<OwedUnits>, Error> {
    c.all(
        "SELECT l.refund_id, l.order_line_id, l.owed_quantity AS quantity FROM shop_refund_lines l JOIN shop_refunds r ON r.id = l.refund_id \
         WHERE r.order_id = ? AND l.owed_quantity > 0 ORDER BY l.refund_id, l.order_line_id",
        params![order],
    )
}

/// Notes that the units of a line that a refund had taken are not paid back.
pub(crate) fn owe(tx: &mut db::Tx<'_>, refund: Id<Refund>, line: Id<OrderLine>) -> Result<(), Error> {
    tx.execute(
        "UPDATE shop_refund_lines SET owed_quantity = taken_quantity WHERE refund_id = ? AND order_line_id = ?",
        params![refund, line],
    )?;
    Ok(())
}

/// Takes over units that are owed; false when somebody else did.
pub(crate) fn take_over(tx: &mut db::Tx<'_>, units: &OwedUnits) -> Result<bool, Error> {
    let changed = tx.execute(
        "UPDATE shop_refund_lines SET owed_quantity = owed_quantity - ? WHERE refund_id = ? AND order_line_id = ? AND owed_quantity >= ?",
        params![units.quantity, units.refund_id, units.order_line_id, units.quantity],
    )?;
    Ok(changed == 1)
}

pub(crate) fn find(c: &mut Conn, id: Id<Refund>) -> Result<Option<RefundRecord>, Error> {
    c.opt(select_refund!("WHERE id = ?"), params![id])
}

pub(crate) fn find_by_reference(c: &mut Conn, reference: &str) -> Result<Option<RefundRecord>, Error> {
    c.opt(select_refund!("WHERE provider_reference = ?"), params![reference])
}

pub(crate) fn of_order(c: &mut Conn, order: Id<Order>) -> Result<Vec<RefundRecord>, Error> {
    c.all(select_refund!("WHERE order_id = ? ORDER BY id LIMIT 500"), params![order])
}

/// Moves a refund from one state to another; false when it is somewhere else by now.
pub(crate) fn step(tx: &mut db::Tx<'_>, refund: &RefundRecord, from: &str) -> Result<bool, Error> {
    let changed = tx.execute(
        "UPDATE shop_refunds SET state = ?, provider_reference = ?, provider_code = ?, attempt = ?, check_at = ?, updated_at = ? \
         WHERE id = ? AND state = ?",
        params![
            refund.state,
            refund.provider_reference,
            refund.provider_code,
            refund.attempt,
            refund.check_at,
            refund.updated_at,
            refund.id,
            from
        ],
    )?;
    Ok(changed == 1)
}

/// Refunds that should be looked after by now.
pub(crate) fn due(c: &mut Conn, now: Timestamp) -> Result<Vec<Id<Refund>>, Error> {
    let rows = c.all::<(Id<Refund>,)>("SELECT id FROM shop_refunds WHERE check_at <= ? ORDER BY check_at LIMIT 50", params![now])?;
    Ok(rows.into_iter().map(|(id,)| id).collect())
}

/// Takes the turn of looking after a refund; false when somebody else has it.
pub(crate) fn take_turn(tx: &mut db::Tx<'_>, id: Id<Refund>, now: Timestamp, until: Timestamp) -> Result<bool, Error> {
    Ok(tx.execute("UPDATE shop_refunds SET check_at = ? WHERE id = ? AND check_at <= ?", params![until, id, now])? == 1)
}
