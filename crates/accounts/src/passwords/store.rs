//! SQL of password hashes.

use db::{Conn, Error, params};
use kernel::{Timestamp, UserId};

use crate::hashing::formats::scheme_of;

pub(crate) fn find(c: &mut Conn, user: UserId) -> Result<Option<String>, Error> {
    c.opt("SELECT phc FROM accounts_passwords WHERE user_id = ?", params![user])
}

/// Since when the person has the present password.
pub(crate) fn changed_at(c: &mut Conn, user: UserId) -> Result<Option<Timestamp>, Error> {
    let row = c.opt::<(Timestamp,)>("SELECT changed_at FROM accounts_passwords WHERE user_id = ?", params![user])?;
    Ok(row.map(|(at,)| at))
}

/// Whether the person has to choose another password before their roles count again (PWD-7).
pub(crate) fn must_change(c: &mut Conn, user: UserId) -> Result<bool, Error> {
    Ok(c.opt::<bool>("SELECT must_change FROM accounts_passwords WHERE user_id = ?", params![user])?.unwrap_or(false))
}

static UPSERT: db::Sql = db::Sql::new(
    "INSERT INTO accounts_passwords (user_id, phc, scheme, must_change, changed_at) VALUES (?, ?, ?, 0, ?) \
     ON CONFLICT (user_id) DO UPDATE SET phc = excluded.phc, scheme = excluded.scheme, must_change = 0, changed_at = excluded.changed_at",
)
.mysql(
    "INSERT INTO accounts_passwords (user_id, phc, scheme, must_change, changed_at) VALUES (?, ?, ?, 0, ?) \
     ON DUPLICATE KEY UPDATE phc = VALUES(phc), scheme = VALUES(scheme), must_change = 0, changed_at = VALUES(changed_at)",
);

/// Sets the hash; the old one is gone with it (PWD-9).
pub(crate) fn set(tx: &mut db::Tx<'_>, user: UserId, phc: &str, now: Timestamp) -> Result<(), Error> {
    tx.execute(&UPSERT, params![user, phc, scheme_of(phc), now])?;
    Ok(())
}

/// Replaces a hash by one of the same password with today's costs, unless it changed meanwhile.
pub(crate) fn rehash(tx: &mut db::Tx<'_>, user: UserId, old: &str, new: &str) -> Result<bool, Error> {
    let changed = tx.execute(
        "UPDATE accounts_passwords SET phc = ?, scheme = ? WHERE user_id = ? AND phc = ?",
        params![new, scheme_of(new), user, old],
    )?;
    Ok(changed == 1)
}

/// Removes a password; its owner sets another one by a reset.
pub(crate) fn delete(tx: &mut db::Tx<'_>, user: UserId) -> Result<(), Error> {
    tx.execute("DELETE FROM accounts_passwords WHERE user_id = ?", params![user])?;
    Ok(())
}

/// Notes that the password must be changed, unless it was meanwhile.
pub(crate) fn demand_change(tx: &mut db::Tx<'_>, user: UserId, phc: &str) -> Result<(), Error> {
    tx.execute("UPDATE accounts_passwords SET must_change = 1 WHERE user_id = ? AND phc = ?", params![user, phc])?;
    Ok(())
}

/// Hashes whose scheme is not noted yet, one batch of them.
pub(crate) fn without_scheme(c: &mut Conn) -> Result<Vec<(UserId, String)>, Error> {
    c.all("SELECT user_id, phc FROM accounts_passwords WHERE scheme IS NULL LIMIT 500", params![])
}

/// Notes the scheme of a hash that had none.
pub(crate) fn set_scheme(tx: &mut db::Tx<'_>, user: UserId, scheme: &str) -> Result<(), Error> {
    tx.execute("UPDATE accounts_passwords SET scheme = ? WHERE user_id = ? AND scheme IS NULL", params![scheme, user])?;
    Ok(())
}

/// How many passwords have each scheme, as far as it is noted. An index alone answers it.
pub(crate) fn count_by_scheme(c: &mut Conn) -> Result<Vec<(String, u64)>, Error> {
    let rows =
        c.all::<(String, i64)>("SELECT scheme, COUNT(*) FROM accounts_passwords WHERE scheme IS NOT NULL GROUP BY scheme", params![])?;
    Ok(rows.into_iter().map(|(scheme, count)| (scheme, u64::try_from(count).unwrap_or(0))).collect())
}
