//! SQL of payments, of the inbox and of the cursors of polling.

use db::{Conn, Error, params};
use kernel::{Id, Timestamp};

use crate::ids::{Order, Payment};
use crate::payments::PaymentRecord;
use crate::payments::inbox::{InboxEvent, InboxRow};

macro_rules! select_payment {
    ($tail:literal) => {
        concat!(
            "SELECT id, order_id, provider, method, reference, state, currency, amount, authorized, captured, refund_claimed, refunded, \
             is_disputed, attempt, live_slot, provider_code, client_data_sealed, check_at, checks, created_at, updated_at, version \
             FROM shop_payments ",
            $tail
        )
    };
}

/// Writes a new payment; the unique place of the live one decides (INV-I7).
pub(crate) fn insert(tx: &mut db::Tx<'_>, payment: &PaymentRecord) -> Result<(), Error> {
    tx.execute(
        "INSERT INTO shop_payments (id, order_id, provider, method, reference, state, currency, amount, authorized, captured, refund_claimed, \
         refunded, is_disputed, attempt, live_slot, provider_code, client_data_sealed, check_at, checks, created_at, updated_at, version) \
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        params![
            payment.id,
            payment.order_id,
            payment.provider,
            payment.method,
            payment.reference,
            payment.state,
            payment.currency,
            payment.amount,
            payment.authorized,
            payment.captured,
            payment.refund_claimed,
            payment.refunded,
            payment.is_disputed,
            payment.attempt,
            payment.live_slot,
            payment.provider_code,
            payment.client_data_sealed,
            payment.check_at,
            payment.checks,
            payment.created_at,
            payment.updated_at,
            payment.version
        ],
    )?;
    Ok(())
}

pub(crate) fn find(c: &mut Conn, id: Id<Payment>) -> Result<Option<PaymentRecord>, Error> {
    c.opt(select_payment!("WHERE id = ?"), params![id])
}

/// Reads a payment and keeps everybody else from changing it until the transaction ends; the order is locked before it.
pub(crate) fn lock(tx: &mut db::Tx<'_>, id: Id<Payment>) -> Result<Option<PaymentRecord>, Error> {
    tx.opt(select_payment!("WHERE id = ? {for_update}"), params![id])
}

pub(crate) fn of_order(c: &mut Conn, order: Id<Order>) -> Result<Vec<PaymentRecord>, Error> {
    c.all(select_payment!("WHERE order_id = ? ORDER BY created_at, id LIMIT 200"), params![order])
}

pub(crate) fn id_of_reference(c: &mut Conn, reference: &str) -> Result<Option<Id<Payment>>, Error> {
    Ok(c.opt::<(Id<Payment>,)>("SELECT id FROM shop_payments WHERE reference = ?", params![reference])?.map(|(id,)| id))
}

/// Writes what may change of a payment; false when somebody else changed it since it was read.
pub(crate) fn save(tx: &mut db::Tx<'_>, payment: &PaymentRecord) -> Result<bool, Error> {
    let changed = tx.execute(
        "UPDATE shop_payments SET reference = ?, state = ?, authorized = ?, captured = ?, is_disputed = ?, \
         attempt = ?, live_slot = ?, provider_code = ?, client_data_sealed = ?, check_at = ?, checks = ?, updated_at = ?, version = version + 1 \
         WHERE id = ? AND version = ?",
        params![
            payment.reference,
            payment.state,
            payment.authorized,
            payment.captured,
            payment.is_disputed,
            payment.attempt,
            payment.live_slot,
            payment.provider_code,
            payment.client_data_sealed,
            payment.check_at,
            payment.checks,
            payment.updated_at,
            payment.id,
            payment.version
        ],
    )?;
    Ok(changed == 1)
}

/// Claims a part of what was captured for a refund; false when so much is not left (INV-P9).
pub(crate) fn claim_refund(tx: &mut db::Tx<'_>, id: Id<Payment>, amount: i64) -> Result<bool, Error> {
    let claimed = tx.execute(
        "UPDATE shop_payments SET refund_claimed = refund_claimed + ?, version = version + 1 WHERE id = ? AND refund_claimed + ? <= captured",
        params![amount, id, amount],
    )?;
    Ok(claimed == 1)
}

/// Gives a claim back whose refund failed.
pub(crate) fn unclaim_refund(tx: &mut db::Tx<'_>, id: Id<Payment>, amount: i64) -> Result<bool, Error> {
    let given_back = tx.execute(
        "UPDATE shop_payments SET refund_claimed = refund_claimed - ?, version = version + 1 WHERE id = ? AND refund_claimed - ? >= refunded",
        params![amount, id, amount],
    )?;
    Ok(given_back == 1)
}

/// Notes that money went back.
pub(crate) fn add_refunded(tx: &mut db::Tx<'_>, id: Id<Payment>, amount: i64) -> Result<bool, Error> {
    let changed = tx.execute(
        "UPDATE shop_payments SET refunded = refunded + ?, version = version + 1 WHERE id = ? AND refunded + ? <= refund_claimed",
        params![amount, id, amount],
    )?;
    Ok(changed == 1)
}

/// Notes that money which had gone back came again; the claim on it goes too.
pub(crate) fn undo_refunded(tx: &mut db::Tx<'_>, id: Id<Payment>, amount: i64) -> Result<bool, Error> {
    let changed = tx.execute(
        "UPDATE shop_payments SET refunded = refunded - ?, refund_claimed = refund_claimed - ?, version = version + 1 \
         WHERE id = ? AND refunded >= ?",
        params![amount, amount, id, amount],
    )?;
    Ok(changed == 1)
}

/// Payments that should be looked after by now.
pub(crate) fn due(c: &mut Conn, now: Timestamp) -> Result<Vec<Id<Payment>>, Error> {
    let rows = c.all::<(Id<Payment>,)>("SELECT id FROM shop_payments WHERE check_at <= ? ORDER BY check_at LIMIT 50", params![now])?;
    Ok(rows.into_iter().map(|(id,)| id).collect())
}

/// Takes the turn of looking after a payment; false when somebody else has it.
pub(crate) fn take_turn(tx: &mut db::Tx<'_>, id: Id<Payment>, now: Timestamp, until: Timestamp) -> Result<bool, Error> {
    Ok(tx.execute(
        "UPDATE shop_payments SET check_at = ?, checks = checks + 1, version = version + 1 WHERE id = ? AND check_at <= ?",
        params![until, id, now],
    )? == 1)
}

/// Lets a payment be looked at from this time on, although nothing more was expected of it.
pub(crate) fn look_again(tx: &mut db::Tx<'_>, id: Id<Payment>, from: Timestamp) -> Result<(), Error> {
    tx.execute("UPDATE shop_payments SET check_at = ?, version = version + 1 WHERE id = ?", params![from, id])?;
    Ok(())
}

/// Lets somebody else look after a payment from this time on, if it is still to be looked after.
pub(crate) fn end_turn(tx: &mut db::Tx<'_>, id: Id<Payment>, next: Timestamp) -> Result<(), Error> {
    tx.execute("UPDATE shop_payments SET check_at = ?, version = version + 1 WHERE id = ? AND check_at IS NOT NULL", params![next, id])?;
    Ok(())
}

/// Keeps an event; false when it is kept already (INV-P2).
pub(crate) fn insert_event(tx: &mut db::Tx<'_>, event: &InboxRow, sealed: &[u8]) -> Result<bool, Error> {
    tx.insert_ignore(
        "INSERT INTO shop_provider_events (id, provider, event_id, kind, reference, payment_id, state, attempts, payload_sealed, received_at) \
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        params![
            event.id,
            event.provider,
            event.event_id,
            event.kind,
            event.reference,
            event.payment_id,
            event.state,
            event.attempts,
            sealed,
            event.received_at
        ],
    )
}

pub(crate) fn find_event(c: &mut Conn, id: Id<InboxEvent>) -> Result<Option<InboxRow>, Error> {
    c.opt(
        "SELECT id, provider, event_id, kind, reference, payment_id, state, attempts, received_at, processed_at FROM shop_provider_events \
         WHERE id = ?",
        params![id],
    )
}

pub(crate) fn set_event_state(tx: &mut db::Tx<'_>, id: Id<InboxEvent>, state: &str, processed_at: Option<Timestamp>) -> Result<(), Error> {
    tx.execute(
        "UPDATE shop_provider_events SET state = ?, attempts = attempts + 1, processed_at = ? WHERE id = ?",
        params![state, processed_at, id],
    )?;
    Ok(())
}

/// Events, newest first, after the one with this time and id; of one state only if one is given.
pub(crate) fn newest_events(
    c: &mut Conn,
    state: Option<&str>,
    after: Option<(Timestamp, Id<InboxEvent>)>,
    limit: u32,
) -> Result<Vec<InboxRow>, Error> {
    let (at, id) = after.unwrap_or((Timestamp::from_millis(i64::MAX), Id::from_uuid(uuid::Uuid::max())));
    let select =
        "SELECT id, provider, event_id, kind, reference, payment_id, state, attempts, received_at, processed_at FROM shop_provider_events";
    let place = "(received_at < ? OR (received_at = ? AND id < ?)) ORDER BY received_at DESC, id DESC";
    match state {
        Some(state) => c.all(format!("{select} WHERE state = ? AND {place} LIMIT {limit}"), params![state, at, at, id]),
        None => c.all(format!("{select} WHERE {place} LIMIT {limit}"), params![at, at, id]),
    }
}

/// Forgets events that were received before this time and are done with.
pub(crate) fn purge_events(tx: &mut db::Tx<'_>, before: Timestamp) -> Result<u64, Error> {
    tx.execute(
        "DELETE FROM shop_provider_events WHERE id IN (SELECT id FROM (SELECT id FROM shop_provider_events \
         WHERE received_at < ? AND state <> 'received' LIMIT 500) AS batch)",
        params![before],
    )
}

pub(crate) fn cursor(c: &mut Conn, provider: &str) -> Result<Option<String>, Error> {
    let row = c.opt::<(Option<String>,)>("SELECT position FROM shop_provider_cursors WHERE provider = ?", params![provider])?;
    Ok(row.and_then(|(position,)| position))
}

pub(crate) fn set_cursor(tx: &mut db::Tx<'_>, provider: &str, position: Option<&str>, now: Timestamp) -> Result<(), Error> {
    let is_new = tx.insert_ignore(
        "INSERT INTO shop_provider_cursors (provider, position, polled_at) VALUES (?, ?, ?)",
        params![provider, position, now],
    )?;
    if !is_new {
        tx.execute("UPDATE shop_provider_cursors SET position = ?, polled_at = ? WHERE provider = ?", params![position, now, provider])?;
    }
    Ok(())
}
