//! SQL of password hashes.

use db::{Conn, Error, params};
use kernel::{Timestamp, UserId};

pub(crate) fn find(c: &mut Conn, user: UserId) -> Result<Option<String>, Error> {
    c.opt("SELECT phc FROM accounts_passwords WHERE user_id = ?", params![user])
}

static UPSERT: db::Sql = db::Sql::new(
    "INSERT INTO accounts_passwords (user_id, phc, changed_at) VALUES (?, ?, ?) \
     ON CONFLICT (user_id) DO UPDATE SET phc = excluded.phc, changed_at = excluded.changed_at",
)
.mysql(
    "INSERT INTO accounts_passwords (user_id, phc, changed_at) VALUES (?, ?, ?) \
     ON DUPLICATE KEY UPDATE phc = VALUES(phc), changed_at = VALUES(changed_at)",
);

/// Sets the hash; the old one is gone with it (PWD-9).
pub(crate) fn set(tx: &mut db::Tx<'_>, user: UserId, phc: &str, now: Timestamp) -> Result<(), Error> {
    tx.execute(&UPSERT, params![user, phc, now])?;
    Ok(())
}

/// Replaces a hash by one of the same password with today's costs, unless it changed meanwhile.
pub(crate) fn rehash(tx: &mut db::Tx<'_>, user: UserId, old: &str, new: &str) -> Result<bool, Error> {
    Ok(tx.execute("UPDATE accounts_passwords SET phc = ? WHERE user_id = ? AND phc = ?", params![new, user, old])? == 1)
}
