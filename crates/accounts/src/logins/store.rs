//! SQL of logins and throttles.

use std::time::Duration;

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

/// What a counter is found by: a keyed hash of its subject.
pub(crate) type Key = [u8; 32];

db::row! {
    /// A row of `accounts_throttles`.
    pub(crate) struct ThrottleRow {
        pub(crate) key_hash: Vec<u8>,
        pub(crate) fails: i64,
        pub(crate) first_at: Timestamp,
        pub(crate) last_at: Timestamp,
    }
}

/// Two counters, which may be the same; those that are not there are left out.
pub(crate) fn find_throttles(c: &mut Conn, one: &Key, other: &Key) -> Result<Vec<ThrottleRow>, Error> {
    c.all("SELECT key_hash, fails, first_at, last_at FROM accounts_throttles WHERE key_hash IN (?, ?)", params![one, other])
}

/// Counts a try before it is made, if nobody counted one since the row was read.
pub(crate) fn take_turn(tx: &mut db::Tx<'_>, key: &Key, fails: i64, last_at: Timestamp, now: Timestamp) -> Result<bool, Error> {
    let taken = tx.execute(
        "UPDATE accounts_throttles SET fails = fails + 1, last_at = ? WHERE key_hash = ? AND fails = ? AND last_at = ?",
        params![now, key, fails, last_at],
    )?;
    Ok(taken == 1)
}

/// Adds one to a counter, from one anew if its window began before `since`; false when it is not there.
pub(crate) fn count(tx: &mut db::Tx<'_>, key: &Key, since: Timestamp, now: Timestamp) -> Result<bool, Error> {
    // MySQL assigns from left to right, so `fails` is decided while `first_at` is still the old one.
    let counted = tx.execute(
        "UPDATE accounts_throttles SET fails = CASE WHEN first_at > ? THEN fails + 1 ELSE 1 END, \
         first_at = CASE WHEN first_at > ? THEN first_at ELSE ? END, last_at = ? WHERE key_hash = ?",
        params![since, since, now, now, key],
    )?;
    Ok(counted == 1)
}

/// Takes back one use, and by how much it moved the quota ahead.
pub(crate) fn give_back(tx: &mut db::Tx<'_>, key: &Key, interval: Duration) -> Result<(), Error> {
    let interval_ms = i64::try_from(interval.as_millis()).unwrap_or(i64::MAX);
    tx.execute(
        "UPDATE accounts_throttles SET fails = fails - 1, blocked_until = blocked_until - ? WHERE key_hash = ? AND fails > 0",
        params![interval_ms, key],
    )?;
    Ok(())
}

/// Makes a counter unless it is there; `ahead` is how far its quota is used ahead of time.
pub(crate) fn insert_throttle(tx: &mut db::Tx<'_>, key: &Key, fails: i64, now: Timestamp, ahead: Timestamp) -> Result<bool, Error> {
    tx.insert_ignore(
        "INSERT INTO accounts_throttles (key_hash, fails, first_at, last_at, blocked_until) VALUES (?, ?, ?, ?, ?)",
        params![key, fails, now, now, ahead],
    )
}

/// Takes one use of an evenly refilled quota, which `blocked_until` says how far it is used ahead of time.
///
/// False when the last use is later than `last_use` or the quota is used beyond `most_ahead`.
pub(crate) fn take(
    tx: &mut db::Tx<'_>,
    key: &Key,
    now: Timestamp,
    interval: Duration,
    last_use: Timestamp,
    most_ahead: Timestamp,
) -> Result<bool, Error> {
    let interval_ms = i64::try_from(interval.as_millis()).unwrap_or(i64::MAX);
    let taken = tx.execute(
        "UPDATE accounts_throttles SET fails = fails + 1, last_at = ?, \
         blocked_until = CASE WHEN blocked_until > ? THEN blocked_until + ? ELSE ? END \
         WHERE key_hash = ? AND last_at <= ? AND blocked_until <= ?",
        params![now, now, interval_ms, now + interval, key, last_use, most_ahead],
    )?;
    Ok(taken == 1)
}

pub(crate) fn clear(tx: &mut db::Tx<'_>, one: &Key, other: &Key) -> Result<(), Error> {
    tx.execute("DELETE FROM accounts_throttles WHERE key_hash IN (?, ?)", params![one, other])?;
    Ok(())
}

pub(crate) fn purge(tx: &mut db::Tx<'_>, before: Timestamp) -> Result<u64, Error> {
    tx.execute("DELETE FROM accounts_throttles WHERE key_hash IN (SELECT key_hash FROM (SELECT key_hash FROM accounts_throttles WHERE last_at < ? LIMIT 500) AS batch)", params![before])
}
