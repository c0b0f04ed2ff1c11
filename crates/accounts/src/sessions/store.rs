//! SQL of sessions.

use db::{Conn, Error, params};
use kernel::page::Keyset;
use kernel::{Id, Session, Timestamp, UserId};

use crate::sessions::{SessionKind, SessionRecord};

db::row! {
    /// A row of `accounts_sessions`.
    pub(crate) struct SessionRow {
        pub(crate) id: Id<Session>,
        pub(crate) user_id: UserId,
        pub(crate) kind: String,
        pub(crate) amr: String,
        pub(crate) auth_time: Timestamp,
        pub(crate) admin_until: Option<Timestamp>,
        pub(crate) admin_seen_at: Option<Timestamp>,
        pub(crate) is_remembered: bool,
        pub(crate) created_at: Timestamp,
        pub(crate) last_seen_at: Timestamp,
        pub(crate) idle_at: Timestamp,
        pub(crate) absolute_at: Timestamp,
        pub(crate) revoked_at: Option<Timestamp>,
        pub(crate) ip: String,
        pub(crate) user_agent: Option<String>,
    }
}

impl From<SessionRow> for SessionRecord {
    fn from(row: SessionRow) -> Self {
        SessionRecord {
            id: row.id,
            user_id: row.user_id,
            kind: if row.kind == "browser" { SessionKind::Browser } else { SessionKind::Token },
            amr: row.amr,
            auth_time: row.auth_time,
            admin_until: row.admin_until,
            admin_seen_at: row.admin_seen_at,
            is_remembered: row.is_remembered,
            created_at: row.created_at,
            last_seen_at: row.last_seen_at,
            idle_at: row.idle_at,
            absolute_at: row.absolute_at,
            revoked_at: row.revoked_at,
            ip: row.ip,
            user_agent: row.user_agent,
        }
    }
}

pub(crate) fn insert(tx: &mut db::Tx<'_>, session: &SessionRecord, token_hash: Option<[u8; 32]>) -> Result<(), Error> {
    tx.execute(
        "INSERT INTO accounts_sessions (id, token_hash, user_id, kind, amr, auth_time, admin_until, admin_seen_at, is_remembered, created_at, last_seen_at, \
         idle_at, absolute_at, ip, user_agent) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        params![
            session.id,
            token_hash,
            session.user_id,
            session.kind.as_str(),
            session.amr,
            session.auth_time,
            session.admin_until,
            session.admin_seen_at,
            session.is_remembered,
            session.created_at,
            session.last_seen_at,
            session.idle_at,
            session.absolute_at,
            session.ip,
            session.user_agent
        ],
    )?;
    Ok(())
}

pub(crate) fn find(c: &mut Conn, id: Id<Session>) -> Result<Option<SessionRecord>, Error> {
    let row = c.opt::<SessionRow>(
        "SELECT id, user_id, kind, amr, auth_time, admin_until, admin_seen_at, is_remembered, created_at, last_seen_at, idle_at, absolute_at, revoked_at, ip, user_agent \
         FROM accounts_sessions WHERE id = ?",
        params![id],
    )?;
    Ok(row.map(SessionRecord::from))
}

pub(crate) fn find_by_token(c: &mut Conn, token_hash: &[u8; 32]) -> Result<Option<SessionRecord>, Error> {
    let row = c.opt::<SessionRow>(
        "SELECT id, user_id, kind, amr, auth_time, admin_until, admin_seen_at, is_remembered, created_at, last_seen_at, idle_at, absolute_at, revoked_at, ip, user_agent \
         FROM accounts_sessions WHERE token_hash = ?",
        params![token_hash],
    )?;
    Ok(row.map(SessionRecord::from))
}

/// One page of the live sessions of a person.
pub(crate) fn live_of(c: &mut Conn, user: UserId, now: Timestamp, keyset: &Keyset) -> Result<Vec<SessionRecord>, Error> {
    let (condition, values) = keyset.condition();
    let sql = format!(
        "SELECT id, user_id, kind, amr, auth_time, admin_until, admin_seen_at, is_remembered, created_at, last_seen_at, idle_at, absolute_at, revoked_at, ip, user_agent \
         FROM accounts_sessions WHERE user_id = ? AND revoked_at IS NULL AND idle_at > ? AND absolute_at > ? \
         AND {condition} ORDER BY {} LIMIT {}",
        keyset.order_by(),
        keyset.limit()
    );
    let rows = c.all::<SessionRow>(sql, &[params![user, now, now], values.as_slice()].concat())?;
    Ok(rows.into_iter().map(SessionRecord::from).collect())
}

/// The live sessions of a person, newest first.
pub(crate) fn newest_live_of(c: &mut Conn, user: UserId, now: Timestamp, limit: u32) -> Result<Vec<SessionRecord>, Error> {
    let sql = format!(
        "SELECT id, user_id, kind, amr, auth_time, admin_until, admin_seen_at, is_remembered, created_at, last_seen_at, idle_at, absolute_at, revoked_at, ip, user_agent \
         FROM accounts_sessions WHERE user_id = ? AND revoked_at IS NULL AND idle_at > ? AND absolute_at > ? \
         ORDER BY created_at DESC, id DESC LIMIT {limit}"
    );
    let rows = c.all::<SessionRow>(sql, params![user, now, now])?;
    Ok(rows.into_iter().map(SessionRecord::from).collect())
}

pub(crate) fn touch(tx: &mut db::Tx<'_>, id: Id<Session>, now: Timestamp, idle_at: Timestamp) -> Result<(), Error> {
    tx.execute(
        "UPDATE accounts_sessions SET last_seen_at = ?, idle_at = ? WHERE id = ? AND revoked_at IS NULL AND last_seen_at < ?",
        params![now, idle_at, id, now],
    )?;
    Ok(())
}

/// Notes a fresh proof of who it is, which brings an admin grant; a browser gets a new token with it (SES-1, SES-3).
pub(crate) fn renew(
    tx: &mut db::Tx<'_>,
    id: Id<Session>,
    now: Timestamp,
    admin_until: Timestamp,
    token: Option<[u8; 32]>,
) -> Result<bool, Error> {
    let changed = match token {
        Some(hash) => tx.execute(
            "UPDATE accounts_sessions SET auth_time = ?, admin_until = ?, admin_seen_at = ?, token_hash = ? WHERE id = ? AND revoked_at IS NULL",
            params![now, admin_until, now, hash, id],
        )?,
        None => tx.execute(
            "UPDATE accounts_sessions SET auth_time = ?, admin_until = ?, admin_seen_at = ? WHERE id = ? AND revoked_at IS NULL",
            params![now, admin_until, now, id],
        )?,
    };
    Ok(changed == 1)
}

/// Keeps an admin grant awake, unless it has lapsed: used last at or before `idle_since`, or over.
pub(crate) fn touch_admin(tx: &mut db::Tx<'_>, id: Id<Session>, now: Timestamp, idle_since: Timestamp) -> Result<(), Error> {
    tx.execute(
        "UPDATE accounts_sessions SET admin_seen_at = ? WHERE id = ? AND revoked_at IS NULL AND admin_until > ? AND admin_seen_at > ? AND admin_seen_at < ?",
        params![now, id, now, idle_since, now],
    )?;
    Ok(())
}

/// Ends one session of this person; false when it is not there or over.
pub(crate) fn revoke(tx: &mut db::Tx<'_>, user: UserId, id: Id<Session>, now: Timestamp) -> Result<bool, Error> {
    let changed = tx.execute(
        "UPDATE accounts_sessions SET revoked_at = ? WHERE id = ? AND user_id = ? AND revoked_at IS NULL AND idle_at > ? AND absolute_at > ?",
        params![now, id, user, now, now],
    )?;
    Ok(changed == 1)
}

/// Ends every live session of a person except `kept`; tells how many.
pub(crate) fn revoke_all(tx: &mut db::Tx<'_>, user: UserId, kept: Option<Id<Session>>, now: Timestamp) -> Result<u64, Error> {
    match kept {
        Some(kept) => tx.execute(
            "UPDATE accounts_sessions SET revoked_at = ? WHERE user_id = ? AND id <> ? AND revoked_at IS NULL AND idle_at > ? AND absolute_at > ?",
            params![now, user, kept, now, now],
        ),
        None => tx.execute(
            "UPDATE accounts_sessions SET revoked_at = ? WHERE user_id = ? AND revoked_at IS NULL AND idle_at > ? AND absolute_at > ?",
            params![now, user, now, now],
        ),
    }
}

/// Sessions that one purging transaction takes at most.
const BATCH: usize = 500;

/// Forgets sessions that ended before `before`, and their refresh tokens, one batch of them; tells how many.
pub(crate) fn purge(tx: &mut db::Tx<'_>, before: Timestamp) -> Result<u64, Error> {
    let sql = format!("SELECT id FROM accounts_sessions WHERE absolute_at < ? OR idle_at < ? OR revoked_at < ? LIMIT {BATCH}");
    let ended = tx.all::<(Id<Session>,)>(sql, params![before, before, before])?;
    for (id,) in &ended {
        tx.execute("DELETE FROM accounts_refresh_tokens WHERE session_id = ?", params![id])?;
        tx.execute("DELETE FROM accounts_sessions WHERE id = ?", params![id])?;
    }
    Ok(ended.len() as u64)
}
