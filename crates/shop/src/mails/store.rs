//! SQL of mails that are due.

use db::{Conn, Error, params};
use kernel::{Id, Timestamp};
use uuid::Uuid;

use crate::ids::Order;
use crate::mails::{DueMail, MailKind};

/// Notes a mail; false when the same occasion was noted before.
pub(crate) fn insert(
    tx: &mut db::Tx<'_>,
    id: Id<MailKind>,
    dedup_key: &str,
    order: Id<Order>,
    kind: &str,
    source: Option<Id<Uuid>>,
    now: Timestamp,
) -> Result<bool, Error> {
    tx.insert_ignore(
        "INSERT INTO shop_order_mails (id, dedup_key, order_id, kind, source_id, created_at) VALUES (?, ?, ?, ?, ?, ?)",
        params![id, dedup_key, order, kind, source, now],
    )
}

/// Mails that are due, oldest first.
pub(crate) fn due(c: &mut Conn) -> Result<Vec<DueMail>, Error> {
    c.all("SELECT id, order_id, kind, source_id, created_at FROM shop_order_mails WHERE queued_at IS NULL ORDER BY id LIMIT 50", params![])
}

/// Takes a mail; false when somebody else has taken it.
pub(crate) fn take(tx: &mut db::Tx<'_>, id: Id<MailKind>, now: Timestamp) -> Result<bool, Error> {
    Ok(tx.execute("UPDATE shop_order_mails SET queued_at = ? WHERE id = ? AND queued_at IS NULL", params![now, id])? == 1)
}
