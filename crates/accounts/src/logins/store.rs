//! SQL of throttles.

use db::{Conn, Error, params};
use kernel::Timestamp;

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
    tx.execute("DELETE FROM accounts_throttles WHERE last_at < ?", params![before])
}
