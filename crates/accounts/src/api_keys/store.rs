//! SQL of personal keys.

use db::{Conn, Error, ToParam as _, params};
use kernel::page::Keyset;
use kernel::{Id, Timestamp, UserId};

use crate::api_keys::{ApiKey, ApiKeyRecord};

db::row! {
    /// A row of `accounts_api_keys`.
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
            scopes: row.scopes.split_whitespace().map(str::to_owned).collect(),
            created_at: row.created_at,
            expires_at: row.expires_at,
            last_used_at: row.last_used_at,
        }
    }
}

pub(crate) fn insert(tx: &mut db::Tx<'_>, new: &ApiKeyRecord, secret_hash: &[u8; 32]) -> Result<(), Error> {
    tx.execute(
        "INSERT INTO accounts_api_keys (id, public_id, secret_hash, user_id, name, scopes, created_at, expires_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        params![new.id, new.public_id, secret_hash, new.user_id, new.name, new.scopes.join(" "), new.created_at, new.expires_at],
    )?;
    Ok(())
}

/// The live key with this public identifier, and the hash of its secret.
pub(crate) fn find_live(c: &mut Conn, public_id: &str, now: Timestamp) -> Result<Option<(ApiKeyRecord, [u8; 32])>, Error> {
    let row = c.opt::<KeyRow>(
        "SELECT id, public_id, user_id, name, scopes, created_at, expires_at, last_used_at FROM accounts_api_keys \
         WHERE public_id = ? AND revoked_at IS NULL AND expires_at > ?",
        params![public_id, now],
    )?;
    let Some(row) = row else { return Ok(None) };
    let hash = c.opt::<([u8; 32],)>("SELECT secret_hash FROM accounts_api_keys WHERE id = ?", params![row.id])?;
    Ok(hash.map(|(hash,)| (ApiKeyRecord::from(row), hash)))
}

/// One page of the keys that were not revoked, of one person or of everybody.
pub(crate) fn list(c: &mut Conn, user: Option<UserId>, keyset: &Keyset) -> Result<Vec<ApiKeyRecord>, Error> {
    let (condition, values) = keyset.condition();
    let (owner, mut all) = match &user {
        Some(user) => ("user_id = ? AND ", vec![user.to_param()]),
        None => ("", Vec::new()),
    };
    all.extend(values);
    let sql = format!(
        "SELECT id, public_id, user_id, name, scopes, created_at, expires_at, last_used_at FROM accounts_api_keys \
         WHERE {owner}revoked_at IS NULL AND {condition} ORDER BY {} LIMIT {}",
        keyset.order_by(),
        keyset.limit()
    );
    Ok(c.all::<KeyRow>(sql, &all)?.into_iter().map(ApiKeyRecord::from).collect())
}

/// Some of the live keys of a person, at most `limit`.
pub(crate) fn some_live(c: &mut Conn, user: UserId, now: Timestamp, limit: usize) -> Result<Vec<Id<ApiKey>>, Error> {
    let sql = format!("SELECT id FROM accounts_api_keys WHERE user_id = ? AND revoked_at IS NULL AND expires_at > ? LIMIT {limit}");
    Ok(c.all::<(Id<ApiKey>,)>(sql, params![user, now])?.into_iter().map(|(id,)| id).collect())
}

/// Whose key this is, unless it was revoked.
pub(crate) fn owner_of(c: &mut Conn, id: Id<ApiKey>) -> Result<Option<UserId>, Error> {
    let row = c.opt::<(UserId,)>("SELECT user_id FROM accounts_api_keys WHERE id = ? AND revoked_at IS NULL", params![id])?;
    Ok(row.map(|(user,)| user))
}

/// Ends a key of this person; false when it is not there or was ended before.
pub(crate) fn revoke(tx: &mut db::Tx<'_>, user: UserId, id: Id<ApiKey>, now: Timestamp) -> Result<bool, Error> {
    let changed = tx.execute(
        "UPDATE accounts_api_keys SET revoked_at = ? WHERE id = ? AND user_id = ? AND revoked_at IS NULL",
        params![now, id, user],
    )?;
    Ok(changed == 1)
}

/// Ends every key of a person; tells how many.
pub(crate) fn revoke_all(tx: &mut db::Tx<'_>, user: UserId, now: Timestamp) -> Result<u64, Error> {
    tx.execute("UPDATE accounts_api_keys SET revoked_at = ? WHERE user_id = ? AND revoked_at IS NULL", params![now, user])
}

pub(crate) fn touch(tx: &mut db::Tx<'_>, id: Id<ApiKey>, now: Timestamp) -> Result<(), Error> {
    tx.execute(
        "UPDATE accounts_api_keys SET last_used_at = ? WHERE id = ? AND revoked_at IS NULL AND (last_used_at IS NULL OR last_used_at < ?)",
        params![now, id, now],
    )?;
    Ok(())
}

pub(crate) fn purge(tx: &mut db::Tx<'_>, before: Timestamp) -> Result<u64, Error> {
    tx.execute("DELETE FROM accounts_api_keys WHERE id IN (SELECT id FROM (SELECT id FROM accounts_api_keys WHERE expires_at < ? OR revoked_at < ? LIMIT 500) AS batch)", params![before, before])
}
