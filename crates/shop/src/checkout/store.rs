//! SQL of the records by which a checkout happens once.

use db::{Conn, Error, params};
use kernel::{Id, Timestamp};

use crate::checkout::{Checkout, CheckoutRecord};

pub(crate) fn insert(tx: &mut db::Tx<'_>, record: &CheckoutRecord) -> Result<(), Error> {
    tx.execute(
        "INSERT INTO shop_checkouts (id, key_hash, fingerprint, cart_id, order_id, payment_id, phase, status, response_sealed, created_at) \
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        params![
            record.id,
            record.key_hash,
            record.fingerprint,
            record.cart_id,
            record.order_id,
            record.payment_id,
            record.phase,
            record.status,
            record.response_sealed,
            record.created_at
        ],
    )?;
    Ok(())
}

pub(crate) fn find(c: &mut Conn, key_hash: &[u8; 32]) -> Result<Option<CheckoutRecord>, Error> {
    c.opt(
        "SELECT id, key_hash, fingerprint, cart_id, order_id, payment_id, phase, status, response_sealed, created_at FROM shop_checkouts \
         WHERE key_hash = ?",
        params![key_hash],
    )
}

/// Stores the final answer; false when somebody stored one before.
pub(crate) fn finish(tx: &mut db::Tx<'_>, id: Id<Checkout>, status: i64, sealed: &[u8]) -> Result<bool, Error> {
    let changed = tx.execute(
        "UPDATE shop_checkouts SET phase = 'done', status = ?, response_sealed = ? WHERE id = ? AND phase = 'order_created'",
        params![status, sealed, id],
    )?;
    Ok(changed == 1)
}

/// Forgets records older than `before`; their cart still refuses a second order.
pub(crate) fn purge(tx: &mut db::Tx<'_>, before: Timestamp) -> Result<u64, Error> {
    tx.execute(
        "DELETE FROM shop_checkouts WHERE id IN (SELECT id FROM (SELECT id FROM shop_checkouts WHERE id < ? ORDER BY id LIMIT 500) AS batch)",
        params![Id::<Checkout>::first_at(before)],
    )
}
