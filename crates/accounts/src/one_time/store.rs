//! SQL of one-time tokens.

use db::{Conn, Error, params};
use kernel::{Id, Timestamp, UserId};

use crate::one_time::Purpose;

/// The marker of a one-time token's identifier.
pub(crate) enum OneTime {}

db::row! {
    /// A row of `accounts_one_time_tokens`.
    pub(crate) struct TokenRow {
        pub(crate) id: Id<OneTime>,
        pub(crate) purpose: String,
        pub(crate) user_id: Option<UserId>,
        pub(crate) email_norm: Option<String>,
        pub(crate) expires_at: Timestamp,
        pub(crate) used_at: Option<Timestamp>,
    }
}

pub(crate) struct NewToken<'a> {
    pub(crate) id: Id<OneTime>,
    pub(crate) hash: [u8; 32],
    pub(crate) purpose: Purpose,
    pub(crate) user: Option<UserId>,
    pub(crate) email_norm: Option<&'a str>,
    pub(crate) expires_at: Timestamp,
}

pub(crate) fn insert(tx: &mut db::Tx<'_>, new: &NewToken<'_>, now: Timestamp) -> Result<(), Error> {
    tx.execute(
        "INSERT INTO accounts_one_time_tokens (id, token_hash, purpose, user_id, email_norm, created_at, expires_at) VALUES (?, ?, ?, ?, ?, ?, ?)",
        params![new.id, new.hash, new.purpose.as_str(), new.user, new.email_norm, now, new.expires_at],
    )?;
    Ok(())
}

pub(crate) fn find(c: &mut Conn, hash: &[u8; 32]) -> Result<Option<TokenRow>, Error> {
    c.opt("SELECT id, purpose, user_id, email_norm, expires_at, used_at FROM accounts_one_time_tokens WHERE token_hash = ?", params![hash])
}

/// Marks a token as used; false for everybody but the first.
pub(crate) fn consume(tx: &mut db::Tx<'_>, id: Id<OneTime>, now: Timestamp) -> Result<bool, Error> {
    Ok(tx.execute("UPDATE accounts_one_time_tokens SET used_at = ? WHERE id = ? AND used_at IS NULL", params![now, id])? == 1)
}

/// Voids the open tokens of a purpose, of one person or of nobody.
pub(crate) fn void(tx: &mut db::Tx<'_>, purpose: Purpose, user: Option<UserId>, now: Timestamp) -> Result<(), Error> {
    match user {
        Some(user) => tx.execute(
            "UPDATE accounts_one_time_tokens SET used_at = ? WHERE purpose = ? AND user_id = ? AND used_at IS NULL",
            params![now, purpose.as_str(), user],
        )?,
        None => tx.execute(
            "UPDATE accounts_one_time_tokens SET used_at = ? WHERE purpose = ? AND user_id IS NULL AND used_at IS NULL",
            params![now, purpose.as_str()],
        )?,
    };
    Ok(())
}

pub(crate) fn void_all(tx: &mut db::Tx<'_>, user: UserId, now: Timestamp) -> Result<(), Error> {
    tx.execute("UPDATE accounts_one_time_tokens SET used_at = ? WHERE user_id = ? AND used_at IS NULL", params![now, user])?;
    Ok(())
}

pub(crate) fn purge(tx: &mut db::Tx<'_>, before: Timestamp) -> Result<u64, Error> {
    tx.execute("DELETE FROM accounts_one_time_tokens WHERE id IN (SELECT id FROM (SELECT id FROM accounts_one_time_tokens WHERE expires_at < ? LIMIT 500) AS batch)", params![before])
}
