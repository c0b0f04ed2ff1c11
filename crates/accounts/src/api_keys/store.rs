//! SQL of API keys.

use db::{Conn, Error, Param, ToParam, params};
use kernel::page::Keyset;
use kernel::{Id, Timestamp, UserId};

use crate::api_keys::{ApiKey, ApiKeyRecord};
use crate::secrets::is_same;

db::row! {
    /// A row of `accounts_api_keys` as its owner sees it.
    pub(crate) struct KeyRow {
        pub(crate) id: Id<ApiKey>,
        pub(crate) public_id: String,
        pub(crate) user_id: UserId,
        pub(crate) name: String,
        pub(crate) scopes: String,
        pub(crate) created_at: Timestamp,
        pub(crate) expires_at: Timestamp,
        pub(crate) last_used_at: Option<Timestamp>,
    }
}

impl From<KeyRow> for ApiKeyRecord {
    fn from(row: KeyRow) -> Self {
        ApiKeyRecord {
            id: row.id,
            public_id: row.public_id,
            user_id: row.user_id,
            name: row.name,
            scopes: names_in(&row.scopes),
            created_at: row.created_at,
            expires_at: row.expires_at,
            last_used_at: row.last_used_at,
        }
    }
}

db::row! {
    /// A key that somebody sent, with the state of its owner.
    pub(crate) struct PresentedRow {
        pub(crate) id: Id<ApiKey>,
        pub(crate) user_id: UserId,
        pub(crate) scopes: String,
        pub(crate) created_at: Timestamp,
        pub(crate) last_used_at: Option<Timestamp>,
        pub(crate) must_change: Option<bool>,
        secret_hash: Vec<u8>,
        expires_at: Timestamp,
        revoked_at: Option<Timestamp>,
        status: String,
    }
}

impl PresentedRow {
    /// Whether this secret opens it at `now`.
    pub(crate) fn opens(&self, secret_hash: &[u8; 32], now: Timestamp) -> bool {
        is_same(&self.secret_hash, secret_hash) && self.revoked_at.is_none() && now < self.expires_at && self.status == "active"
    }
}

/// The names in a stored list of scopes; what cannot be read allows nothing.
pub(crate) fn names_in(scopes: &str) -> Vec<String> {
    serde_json::from_str(scopes).unwrap_or_default()
}

/// Stores a key; `scopes` is a JSON list of names.
pub(crate) fn insert(tx: &mut db::Tx<'_>, key: &ApiKeyRecord, scopes: &str, secret_hash: &[u8; 32]) -> Result<(), Error> {
    tx.execute(
        "INSERT INTO accounts_api_keys (id, public_id, secret_hash, user_id, name, scopes, created_at, expires_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        params![key.id, key.public_id, secret_hash, key.user_id, key.name, scopes, key.created_at, key.expires_at],
    )?;
    Ok(())
}

/// The key with this public part.
pub(crate) fn find_presented(c: &mut Conn, public_id: &str) -> Result<Option<PresentedRow>, Error> {
    c.opt(
        "SELECT k.id, k.user_id, k.scopes, k.created_at, k.last_used_at, p.must_change, k.secret_hash, k.expires_at, k.revoked_at, u.status \
         FROM accounts_api_keys k JOIN accounts_users u ON u.id = k.user_id LEFT JOIN accounts_passwords p ON p.user_id = k.user_id \
         WHERE k.public_id = ?",
        params![public_id],
    )
}

/// How many live keys a person has, counted up to 50.
pub(crate) fn live_count(c: &mut Conn, user: UserId, now: Timestamp) -> Result<usize, Error> {
    let rows = c.all::<(Id<ApiKey>,)>(
        "SELECT id FROM accounts_api_keys WHERE user_id = ? AND revoked_at IS NULL AND expires_at > ? LIMIT 50",
        params![user, now],
    )?;
    Ok(rows.len())
}

/// One page of the live keys, of one person or of all.
pub(crate) fn live(c: &mut Conn, user: Option<UserId>, now: Timestamp, keyset: &Keyset) -> Result<Vec<ApiKeyRecord>, Error> {
    let (condition, values) = keyset.condition();
    let owner = if user.is_some() { "user_id = ? AND" } else { "" };
    let mut all: Vec<Param<'_>> = user.iter().map(ToParam::to_param).collect();
    let sql = format!(
        "SELECT id, public_id, user_id, name, scopes, created_at, expires_at, last_used_at FROM accounts_api_keys \
         WHERE {owner} revoked_at IS NULL AND expires_at > ? AND {condition} ORDER BY {} LIMIT {}",
        keyset.order_by(),
        keyset.limit()
    );
    all.extend_from_slice(params![now]);
    all.extend_from_slice(&values);
    Ok(c.all::<KeyRow>(sql, &all)?.into_iter().map(ApiKeyRecord::from).collect())
}

/// Whose key it is.
pub(crate) fn owner_of(c: &mut Conn, id: Id<ApiKey>) -> Result<Option<UserId>, Error> {
    Ok(c.opt::<(UserId,)>("SELECT user_id FROM accounts_api_keys WHERE id = ?", params![id])?.map(|(user,)| user))
}

/// Ends one key of this person; false when it is not there or over.
pub(crate) fn revoke(tx: &mut db::Tx<'_>, user: UserId, id: Id<ApiKey>, now: Timestamp) -> Result<bool, Error> {
    let changed = tx.execute(
        "UPDATE accounts_api_keys SET revoked_at = ? WHERE id = ? AND user_id = ? AND revoked_at IS NULL AND expires_at > ?",
        params![now, id, user, now],
    )?;
    Ok(changed == 1)
}

/// Ends every live key of a person; tells how many.
pub(crate) fn revoke_all(tx: &mut db::Tx<'_>, user: UserId, now: Timestamp) -> Result<u64, Error> {
    tx.execute(
        "UPDATE accounts_api_keys SET revoked_at = ? WHERE user_id = ? AND revoked_at IS NULL AND expires_at > ?",
        params![now, user, now],
    )
}

/// Notes that a key was used, unless that was noted after `before` already.
pub(crate) fn touch(tx: &mut db::Tx<'_>, id: Id<ApiKey>, now: Timestamp, before: Timestamp) -> Result<(), Error> {
    tx.execute(
        "UPDATE accounts_api_keys SET last_used_at = ? WHERE id = ? AND (last_used_at IS NULL OR last_used_at <= ?)",
        params![now, id, before],
    )?;
    Ok(())
}

/// Forgets keys that ended before `before`, one batch of them; tells how many.
pub(crate) fn purge(tx: &mut db::Tx<'_>, before: Timestamp) -> Result<u64, Error> {
    tx.execute(
        "DELETE FROM accounts_api_keys WHERE id IN (SELECT id FROM (SELECT id FROM accounts_api_keys WHERE expires_at < ? OR revoked_at < ? LIMIT 500) AS batch)",
        params![before, before],
    )
}
