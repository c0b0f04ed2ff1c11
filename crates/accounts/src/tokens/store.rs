//! SQL of refresh tokens and signing keys.

use db::{Conn, Error, params};
use kernel::{Id, Session, Timestamp, UserId};

use crate::tokens::jwt::Claims;

/// The marker of a refresh token's identifier.
#[derive(Debug)]
pub(crate) enum Refresh {}

/// The marker of a signing key's identifier.
pub(crate) enum Key {}

db::row! {
    /// A row of `accounts_refresh_tokens` with its session.
    pub(crate) struct RefreshRow {
        pub(crate) id: Id<Refresh>,
        pub(crate) session_id: Id<Session>,
        pub(crate) next_id: Option<Id<Refresh>>,
        pub(crate) access_jti: Id<Claims>,
        pub(crate) access_used_at: Option<Timestamp>,
        pub(crate) created_at: Timestamp,
        pub(crate) expires_at: Timestamp,
        pub(crate) consumed_at: Option<Timestamp>,
        pub(crate) revoked_at: Option<Timestamp>,
        pub(crate) user_id: UserId,
    }
}

/// A refresh token about to be stored.
#[derive(Clone, Debug)]
pub(crate) struct NewRefresh {
    pub(crate) id: Id<Refresh>,
    pub(crate) session_id: Id<Session>,
    pub(crate) token_hash: [u8; 32],
    pub(crate) access_jti: Id<Claims>,
    pub(crate) created_at: Timestamp,
    pub(crate) expires_at: Timestamp,
}

pub(crate) fn insert_refresh(tx: &mut db::Tx<'_>, new: &NewRefresh) -> Result<(), Error> {
    tx.execute(
        "INSERT INTO accounts_refresh_tokens (id, session_id, token_hash, access_jti, created_at, expires_at) VALUES (?, ?, ?, ?, ?, ?)",
        params![new.id, new.session_id, new.token_hash, new.access_jti, new.created_at, new.expires_at],
    )?;
    Ok(())
}

/// The refresh token with this hash, locked until the transaction ends.
pub(crate) fn find_refresh(tx: &mut db::Tx<'_>, token_hash: &[u8; 32]) -> Result<Option<RefreshRow>, Error> {
    tx.opt(
        "SELECT r.id, r.session_id, r.next_id, r.access_jti, r.access_used_at, r.created_at, r.expires_at, r.consumed_at, r.revoked_at, s.user_id \
         FROM accounts_refresh_tokens r JOIN accounts_sessions s ON s.id = r.session_id WHERE r.token_hash = ? {for_update}",
        params![token_hash],
    )
}

pub(crate) fn find_refresh_by_id(c: &mut Conn, id: Id<Refresh>) -> Result<Option<RefreshRow>, Error> {
    c.opt(
        "SELECT r.id, r.session_id, r.next_id, r.access_jti, r.access_used_at, r.created_at, r.expires_at, r.consumed_at, r.revoked_at, s.user_id \
         FROM accounts_refresh_tokens r JOIN accounts_sessions s ON s.id = r.session_id WHERE r.id = ?",
        params![id],
    )
}

/// Consumes a token in favour of its successor; false when somebody was first.
pub(crate) fn consume(tx: &mut db::Tx<'_>, id: Id<Refresh>, next: Id<Refresh>, now: Timestamp) -> Result<bool, Error> {
    let changed = tx.execute(
        "UPDATE accounts_refresh_tokens SET consumed_at = ?, next_id = ? WHERE id = ? AND consumed_at IS NULL AND revoked_at IS NULL",
        params![now, next, id],
    )?;
    Ok(changed == 1)
}

/// Gives the live token another access token, because the first one's answer was lost too long ago.
pub(crate) fn replace_access(tx: &mut db::Tx<'_>, id: Id<Refresh>, jti: Id<Claims>) -> Result<(), Error> {
    tx.execute("UPDATE accounts_refresh_tokens SET access_jti = ? WHERE id = ?", params![jti, id])?;
    Ok(())
}

/// Notes that the access token of a refresh token arrived at its client.
pub(crate) fn mark_access_used(tx: &mut db::Tx<'_>, jti: Id<Claims>, now: Timestamp) -> Result<(), Error> {
    tx.execute("UPDATE accounts_refresh_tokens SET access_used_at = ? WHERE access_jti = ? AND access_used_at IS NULL", params![now, jti])?;
    Ok(())
}

/// Whether the access token's first use still has to be noted.
pub(crate) fn is_access_unused(c: &mut Conn, jti: Id<Claims>) -> Result<bool, Error> {
    let row = c.opt::<i64>("SELECT 1 FROM accounts_refresh_tokens WHERE access_jti = ? AND access_used_at IS NULL", params![jti])?;
    Ok(row.is_some())
}

pub(crate) fn revoke_refresh_of_session(tx: &mut db::Tx<'_>, session: Id<Session>, now: Timestamp) -> Result<(), Error> {
    tx.execute("UPDATE accounts_refresh_tokens SET revoked_at = ? WHERE session_id = ? AND revoked_at IS NULL", params![now, session])?;
    Ok(())
}

pub(crate) fn purge_refresh(tx: &mut db::Tx<'_>, before: Timestamp) -> Result<u64, Error> {
    tx.execute("DELETE FROM accounts_refresh_tokens WHERE id IN (SELECT id FROM (SELECT id FROM accounts_refresh_tokens WHERE expires_at < ? LIMIT 500) AS batch)", params![before])
}

db::row! {
    /// A row of `accounts_signing_keys`.
    pub(crate) struct KeyRow {
        pub(crate) kid: String,
        pub(crate) algorithm: String,
        pub(crate) private_sealed: Vec<u8>,
        pub(crate) active_from: Timestamp,
        pub(crate) retire_at: Timestamp,
    }
}

/// The keys that are published: active, soon active, or still needed for tokens already made.
pub(crate) fn keys(c: &mut Conn, now: Timestamp) -> Result<Vec<KeyRow>, Error> {
    c.all(
        "SELECT kid, algorithm, private_sealed, active_from, retire_at FROM accounts_signing_keys WHERE retire_at > ? ORDER BY active_from, kid",
        params![now],
    )
}

pub(crate) struct NewKey<'a> {
    pub(crate) id: Id<Key>,
    pub(crate) kid: &'a str,
    pub(crate) algorithm: &'a str,
    pub(crate) public_jwk: &'a str,
    pub(crate) private_sealed: &'a [u8],
    pub(crate) active_from: Timestamp,
    pub(crate) retire_at: Timestamp,
}

pub(crate) fn insert_key(tx: &mut db::Tx<'_>, key: &NewKey<'_>, now: Timestamp) -> Result<(), Error> {
    tx.execute(
        "INSERT INTO accounts_signing_keys (id, kid, algorithm, public_jwk, private_sealed, created_at, active_from, retire_at) \
         VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        params![key.id, key.kid, key.algorithm, key.public_jwk, key.private_sealed, now, key.active_from, key.retire_at],
    )?;
    Ok(())
}

/// From when on and until when the keys that retire after `at` are used.
pub(crate) fn key_spans(c: &mut Conn, at: Timestamp) -> Result<Vec<(Timestamp, Timestamp)>, Error> {
    c.all("SELECT active_from, retire_at FROM accounts_signing_keys WHERE retire_at > ?", params![at])
}

pub(crate) fn purge_keys(tx: &mut db::Tx<'_>, before: Timestamp) -> Result<u64, Error> {
    tx.execute("DELETE FROM accounts_signing_keys WHERE retire_at < ?", params![before])
}
