//! SQL of logins and throttles.

use db::{Conn, Error, params};
use kernel::{Timestamp, UserId};

db::row! {
    /// Who was found under a typed name, and what opens the account.
    pub(crate) struct Found {
        pub(crate) user_id: UserId,
        pub(crate) status: String,
        pub(crate) phc: Option<String>,
        pub(crate) changed_at: Option<Timestamp>,
        pub(crate) must_change: Option<bool>,
    }
}

// One statement each, so that an unknown name costs as many as a known one (ENU-2).

pub(crate) fn find_by_email(c: &mut Conn, email_norm: &str) -> Result<Option<Found>, Error> {
    c.opt(
        "SELECT u.id AS user_id, u.status, p.phc, p.changed_at, p.must_change FROM accounts_user_emails e JOIN accounts_users u ON u.id = e.user_id \
         LEFT JOIN accounts_passwords p ON p.user_id = u.id WHERE e.email_norm = ?",
        params![email_norm],
    )
}

pub(crate) fn find_by_username(c: &mut Conn, username_norm: &str) -> Result<Option<Found>, Error> {
    c.opt(
        "SELECT u.id AS user_id, u.status, p.phc, p.changed_at, p.must_change FROM accounts_users u \
         LEFT JOIN accounts_passwords p ON p.user_id = u.id WHERE u.username_norm = ?",
        params![username_norm],
    )
}

/// The person with a password, locked until the transaction ends: neither a reset nor a disabling comes in between.
pub(crate) fn lock_person(tx: &mut db::Tx<'_>, id: UserId) -> Result<Option<Found>, Error> {
    tx.opt(
        "SELECT u.id AS user_id, u.status, p.phc, p.changed_at, p.must_change FROM accounts_users u \
         JOIN accounts_passwords p ON p.user_id = u.id WHERE u.id = ? {for_update}",
        params![id],
    )
}

db::row! {
    /// A row of `accounts_throttles`.
    pub(crate) struct ThrottleRow {
        pub(crate) fails: i64,
        pub(crate) blocked_until: Timestamp,
    }
}

pub(crate) fn find(c: &mut Conn, key: &[u8; 32]) -> Result<Option<ThrottleRow>, Error> {
    c.opt("SELECT fails, blocked_until FROM accounts_throttles WHERE key_hash = ?", params![key])
}

/// The row, locked until the transaction ends.
pub(crate) fn lock(tx: &mut db::Tx<'_>, key: &[u8; 32]) -> Result<Option<ThrottleRow>, Error> {
    tx.opt("SELECT fails, blocked_until FROM accounts_throttles WHERE key_hash = ? {for_update}", params![key])
}

/// Makes the row if it is missing, so that it can be locked.
pub(crate) fn ensure(tx: &mut db::Tx<'_>, key: &[u8; 32], now: Timestamp) -> Result<(), Error> {
    tx.insert_ignore("INSERT INTO accounts_throttles (key_hash, fails, last_at, blocked_until) VALUES (?, 0, ?, 0)", params![key, now])?;
    Ok(())
}

pub(crate) fn set(tx: &mut db::Tx<'_>, key: &[u8; 32], fails: i64, now: Timestamp, blocked_until: Timestamp) -> Result<(), Error> {
    tx.execute(
        "UPDATE accounts_throttles SET fails = ?, last_at = ?, blocked_until = ? WHERE key_hash = ?",
        params![fails, now, blocked_until, key],
    )?;
    Ok(())
}

pub(crate) fn clear(tx: &mut db::Tx<'_>, key: &[u8; 32]) -> Result<(), Error> {
    tx.execute("DELETE FROM accounts_throttles WHERE key_hash = ?", params![key])?;
    Ok(())
}

pub(crate) fn purge(tx: &mut db::Tx<'_>, before: Timestamp) -> Result<u64, Error> {
    tx.execute("DELETE FROM accounts_throttles WHERE key_hash IN (SELECT key_hash FROM (SELECT key_hash FROM accounts_throttles WHERE last_at < ? LIMIT 500) AS batch)", params![before])
}
