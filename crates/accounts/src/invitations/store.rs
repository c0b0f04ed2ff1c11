//! SQL of invitations.

use db::{Conn, Error, params};
use kernel::page::Keyset;
use kernel::{Id, Timestamp, UserId};

use crate::invitations::{Invitation, InvitationRecord};

db::row! {
    /// A row of `accounts_invitations`.
    pub(crate) struct InvitationRow {
        pub(crate) id: Id<Invitation>,
        pub(crate) email: String,
        pub(crate) email_norm: String,
        pub(crate) role_ids: String,
        pub(crate) locale: String,
        pub(crate) invited_by: Option<UserId>,
        pub(crate) created_at: Timestamp,
        pub(crate) expires_at: Timestamp,
        pub(crate) accepted_at: Option<Timestamp>,
        pub(crate) revoked_at: Option<Timestamp>,
    }
}

impl From<InvitationRow> for InvitationRecord {
    fn from(row: InvitationRow) -> Self {
        InvitationRecord {
            id: row.id,
            email: row.email,
            email_norm: row.email_norm,
            role_ids: row.role_ids.split(' ').filter_map(|id| id.parse().ok()).collect(),
            locale: row.locale,
            invited_by: row.invited_by,
            created_at: row.created_at,
            expires_at: row.expires_at,
            accepted_at: row.accepted_at,
            revoked_at: row.revoked_at,
        }
    }
}

pub(crate) fn insert(tx: &mut db::Tx<'_>, new: &InvitationRecord, token_hash: &[u8; 32]) -> Result<(), Error> {
    let role_ids: Vec<String> = new.role_ids.iter().map(ToString::to_string).collect();
    tx.execute(
        "INSERT INTO accounts_invitations (id, email, email_norm, token_hash, role_ids, locale, invited_by, created_at, expires_at) \
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        params![
            new.id,
            new.email,
            new.email_norm,
            token_hash,
            role_ids.join(" "),
            new.locale,
            new.invited_by,
            new.created_at,
            new.expires_at
        ],
    )?;
    Ok(())
}

pub(crate) fn find_by_token(c: &mut Conn, token_hash: &[u8; 32]) -> Result<Option<InvitationRecord>, Error> {
    let row = c.opt::<InvitationRow>(
        "SELECT id, email, email_norm, role_ids, locale, invited_by, created_at, expires_at, accepted_at, revoked_at \
         FROM accounts_invitations WHERE token_hash = ?",
        params![token_hash],
    )?;
    Ok(row.map(InvitationRecord::from))
}

/// One page of the open invitations.
pub(crate) fn open(c: &mut Conn, now: Timestamp, keyset: &Keyset) -> Result<Vec<InvitationRecord>, Error> {
    let (condition, values) = keyset.condition();
    let sql = format!(
        "SELECT id, email, email_norm, role_ids, locale, invited_by, created_at, expires_at, accepted_at, revoked_at \
         FROM accounts_invitations WHERE accepted_at IS NULL AND revoked_at IS NULL AND expires_at > ? AND {condition} ORDER BY {} LIMIT {}",
        keyset.order_by(),
        keyset.limit()
    );
    let rows = c.all::<InvitationRow>(sql, &[params![now], values.as_slice()].concat())?;
    Ok(rows.into_iter().map(InvitationRecord::from).collect())
}

/// Marks an invitation as accepted; false for everybody but the first.
pub(crate) fn accept(tx: &mut db::Tx<'_>, id: Id<Invitation>, now: Timestamp) -> Result<bool, Error> {
    let changed = tx.execute(
        "UPDATE accounts_invitations SET accepted_at = ? WHERE id = ? AND accepted_at IS NULL AND revoked_at IS NULL AND expires_at > ?",
        params![now, id, now],
    )?;
    Ok(changed == 1)
}

/// Ends an open invitation; false when it is not there or over.
pub(crate) fn revoke(tx: &mut db::Tx<'_>, id: Id<Invitation>, now: Timestamp) -> Result<bool, Error> {
    let changed = tx.execute(
        "UPDATE accounts_invitations SET revoked_at = ? WHERE id = ? AND accepted_at IS NULL AND revoked_at IS NULL AND expires_at > ?",
        params![now, id, now],
    )?;
    Ok(changed == 1)
}

/// Ends every open invitation of an address (RST-4, SGN-4).
pub(crate) fn void(tx: &mut db::Tx<'_>, email_norm: &str, now: Timestamp) -> Result<(), Error> {
    tx.execute(
        "UPDATE accounts_invitations SET revoked_at = ? WHERE email_norm = ? AND accepted_at IS NULL AND revoked_at IS NULL",
        params![now, email_norm],
    )?;
    Ok(())
}

pub(crate) fn purge(tx: &mut db::Tx<'_>, before: Timestamp) -> Result<u64, Error> {
    tx.execute("DELETE FROM accounts_invitations WHERE id IN (SELECT id FROM (SELECT id FROM accounts_invitations WHERE expires_at < ? LIMIT 500) AS batch)", params![before])
}
