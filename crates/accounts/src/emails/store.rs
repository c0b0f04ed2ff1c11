//! SQL of changes of address.

use db::{Conn, Error, params};
use kernel::{Id, Timestamp, UserId};

/// The marker of a change's identifier.
#[derive(Debug)]
pub(crate) enum EmailChange {}

db::row! {
    /// A row of `accounts_email_changes`.
    #[derive(Clone, Debug)]
    pub(crate) struct ChangeRow {
        pub(crate) id: Id<EmailChange>,
        pub(crate) user_id: UserId,
        pub(crate) email: String,
        pub(crate) email_norm: String,
        pub(crate) old_email: String,
        pub(crate) old_hash: Option<Vec<u8>>,
        pub(crate) created_at: Timestamp,
        pub(crate) expires_at: Timestamp,
        pub(crate) new_confirmed_at: Option<Timestamp>,
        pub(crate) old_confirmed_at: Option<Timestamp>,
        pub(crate) applied_at: Option<Timestamp>,
    }
}

impl ChangeRow {
    /// Whether the old address has to confirm too.
    pub(crate) fn needs_old(&self) -> bool {
        self.old_hash.is_some()
    }

    /// Whether everybody who has to has confirmed.
    pub(crate) fn is_confirmed(&self) -> bool {
        self.new_confirmed_at.is_some() && (self.old_confirmed_at.is_some() || !self.needs_old())
    }
}

pub(crate) struct NewChange<'a> {
    pub(crate) id: Id<EmailChange>,
    pub(crate) user: UserId,
    pub(crate) email: &'a str,
    pub(crate) email_norm: &'a str,
    pub(crate) old_email: &'a str,
    pub(crate) new_hash: [u8; 32],
    pub(crate) old_hash: Option<[u8; 32]>,
    pub(crate) expires_at: Timestamp,
}

pub(crate) fn insert(tx: &mut db::Tx<'_>, new: &NewChange<'_>, now: Timestamp) -> Result<(), Error> {
    tx.execute(
        "INSERT INTO accounts_email_changes (id, user_id, email, email_norm, old_email, new_hash, old_hash, created_at, expires_at) \
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        params![new.id, new.user, new.email, new.email_norm, new.old_email, new.new_hash, new.old_hash, now, new.expires_at],
    )?;
    Ok(())
}

pub(crate) fn find(c: &mut Conn, id: Id<EmailChange>) -> Result<Option<ChangeRow>, Error> {
    c.opt(
        "SELECT id, user_id, email, email_norm, old_email, old_hash, created_at, expires_at, new_confirmed_at, old_confirmed_at, applied_at \
         FROM accounts_email_changes WHERE id = ?",
        params![id],
    )
}

pub(crate) fn find_by_new(c: &mut Conn, hash: &[u8; 32]) -> Result<Option<ChangeRow>, Error> {
    c.opt(
        "SELECT id, user_id, email, email_norm, old_email, old_hash, created_at, expires_at, new_confirmed_at, old_confirmed_at, applied_at \
         FROM accounts_email_changes WHERE new_hash = ?",
        params![hash],
    )
}

pub(crate) fn find_by_old(c: &mut Conn, hash: &[u8; 32]) -> Result<Option<ChangeRow>, Error> {
    c.opt(
        "SELECT id, user_id, email, email_norm, old_email, old_hash, created_at, expires_at, new_confirmed_at, old_confirmed_at, applied_at \
         FROM accounts_email_changes WHERE old_hash = ?",
        params![hash],
    )
}

pub(crate) fn find_by_undo(c: &mut Conn, hash: &[u8; 32]) -> Result<Option<ChangeRow>, Error> {
    c.opt(
        "SELECT id, user_id, email, email_norm, old_email, old_hash, created_at, expires_at, new_confirmed_at, old_confirmed_at, applied_at \
         FROM accounts_email_changes WHERE undo_hash = ?",
        params![hash],
    )
}

/// The changes of a person that wait for a proof, newest first. A newer one ends the older, so there is one at most.
pub(crate) fn pending_of(c: &mut Conn, user: UserId, now: Timestamp) -> Result<Vec<ChangeRow>, Error> {
    c.all(
        "SELECT id, user_id, email, email_norm, old_email, old_hash, created_at, expires_at, new_confirmed_at, old_confirmed_at, applied_at \
         FROM accounts_email_changes WHERE user_id = ? AND applied_at IS NULL AND ended_at IS NULL AND expires_at > ? \
         ORDER BY created_at DESC, id DESC LIMIT 5",
        params![user, now],
    )
}

/// Notes the proof at the new address; false for everybody but the first, and once the change has ended.
pub(crate) fn confirm_new(tx: &mut db::Tx<'_>, id: Id<EmailChange>, now: Timestamp) -> Result<bool, Error> {
    let changed = tx.execute(
        "UPDATE accounts_email_changes SET new_confirmed_at = ? \
         WHERE id = ? AND new_confirmed_at IS NULL AND applied_at IS NULL AND ended_at IS NULL AND expires_at > ?",
        params![now, id, now],
    )?;
    Ok(changed == 1)
}

/// Notes the proof at the old address; false for everybody but the first, and once the change has ended.
pub(crate) fn confirm_old(tx: &mut db::Tx<'_>, id: Id<EmailChange>, now: Timestamp) -> Result<bool, Error> {
    let changed = tx.execute(
        "UPDATE accounts_email_changes SET old_confirmed_at = ? \
         WHERE id = ? AND old_confirmed_at IS NULL AND applied_at IS NULL AND ended_at IS NULL AND expires_at > ?",
        params![now, id, now],
    )?;
    Ok(changed == 1)
}

/// Notes that the change was made, and what undoes it; false when it was made already.
pub(crate) fn apply(
    tx: &mut db::Tx<'_>,
    id: Id<EmailChange>,
    old_email: &str,
    undo_hash: &[u8; 32],
    undo_until: Timestamp,
    now: Timestamp,
) -> Result<bool, Error> {
    let changed = tx.execute(
        "UPDATE accounts_email_changes SET applied_at = ?, old_email = ?, undo_hash = ?, undo_until = ? WHERE id = ? AND applied_at IS NULL",
        params![now, old_email, undo_hash, undo_until, id],
    )?;
    Ok(changed == 1)
}

/// Notes that the change was undone; false for everybody but the first, and after its time.
pub(crate) fn undo(tx: &mut db::Tx<'_>, id: Id<EmailChange>, now: Timestamp) -> Result<bool, Error> {
    let changed = tx.execute(
        "UPDATE accounts_email_changes SET undone_at = ? WHERE id = ? AND undone_at IS NULL AND undo_until > ?",
        params![now, id, now],
    )?;
    Ok(changed == 1)
}

/// Takes from later changes of the person what would undo them.
pub(crate) fn undo_later(tx: &mut db::Tx<'_>, user: UserId, since: Timestamp, now: Timestamp) -> Result<(), Error> {
    tx.execute(
        "UPDATE accounts_email_changes SET undone_at = ? WHERE user_id = ? AND applied_at >= ? AND undone_at IS NULL",
        params![now, user, since],
    )?;
    Ok(())
}

/// Ends one of the person's own changes that wait; false when it is not there.
pub(crate) fn end(tx: &mut db::Tx<'_>, user: UserId, id: Id<EmailChange>, now: Timestamp) -> Result<bool, Error> {
    let changed = tx.execute(
        "UPDATE accounts_email_changes SET ended_at = ? \
         WHERE id = ? AND user_id = ? AND applied_at IS NULL AND ended_at IS NULL AND expires_at > ?",
        params![now, id, user, now],
    )?;
    Ok(changed == 1)
}

/// Ends every change of the person that waits.
pub(crate) fn end_all(tx: &mut db::Tx<'_>, user: UserId, now: Timestamp) -> Result<(), Error> {
    tx.execute(
        "UPDATE accounts_email_changes SET ended_at = ? WHERE user_id = ? AND applied_at IS NULL AND ended_at IS NULL",
        params![now, user],
    )?;
    Ok(())
}

/// Ends every change to this address that waits: somebody has proven that it is theirs (SGN-2, SGN-4).
pub(crate) fn end_all_to(tx: &mut db::Tx<'_>, email_norm: &str, now: Timestamp) -> Result<(), Error> {
    tx.execute(
        "UPDATE accounts_email_changes SET ended_at = ? WHERE email_norm = ? AND applied_at IS NULL AND ended_at IS NULL",
        params![now, email_norm],
    )?;
    Ok(())
}

pub(crate) fn purge(tx: &mut db::Tx<'_>, before: Timestamp) -> Result<u64, Error> {
    tx.execute(
        "DELETE FROM accounts_email_changes WHERE id IN (SELECT id FROM (SELECT id FROM accounts_email_changes \
         WHERE expires_at < ? AND (undo_until IS NULL OR undo_until < ?) LIMIT 500) AS batch)",
        params![before, before],
    )
}
