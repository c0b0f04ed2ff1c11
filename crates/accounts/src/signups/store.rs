//! SQL of pending sign-ups.

use db::{Conn, Error, params};
use kernel::{Id, Timestamp};

/// The marker of a pending sign-up's identifier.
#[derive(Debug)]
pub(crate) enum Signup {}

db::row! {
    /// A row of `accounts_pending_signups`.
    pub(crate) struct SignupRow {
        pub(crate) id: Id<Signup>,
        pub(crate) email: String,
        pub(crate) email_norm: String,
        pub(crate) handle_hash: Vec<u8>,
        pub(crate) code_mac: Vec<u8>,
        pub(crate) tries: i64,
        pub(crate) password_phc: Option<String>,
        pub(crate) locale: String,
        pub(crate) mailed_at: Timestamp,
        pub(crate) expires_at: Timestamp,
        pub(crate) used_at: Option<Timestamp>,
    }
}

pub(crate) struct NewSignup<'a> {
    pub(crate) id: Id<Signup>,
    pub(crate) email: &'a str,
    pub(crate) email_norm: &'a str,
    pub(crate) handle_hash: [u8; 32],
    pub(crate) token_hash: [u8; 32],
    pub(crate) code_mac: [u8; 32],
    pub(crate) password_phc: Option<&'a str>,
    pub(crate) locale: &'a str,
    pub(crate) mailed_at: Timestamp,
    pub(crate) expires_at: Timestamp,
}

/// When a sign-up was mailed that came too soon after another one of the address (RST-9).
pub(crate) const NEVER_MAILED: Timestamp = Timestamp::from_millis(0);

pub(crate) fn insert(tx: &mut db::Tx<'_>, new: &NewSignup<'_>, now: Timestamp) -> Result<(), Error> {
    tx.execute(
        "INSERT INTO accounts_pending_signups \
         (id, email, email_norm, handle_hash, token_hash, code_mac, tries, password_phc, locale, created_at, mailed_at, expires_at) \
         VALUES (?, ?, ?, ?, ?, ?, 0, ?, ?, ?, ?, ?)",
        params![
            new.id,
            new.email,
            new.email_norm,
            new.handle_hash,
            new.token_hash,
            new.code_mac,
            new.password_phc,
            new.locale,
            now,
            new.mailed_at,
            new.expires_at
        ],
    )?;
    Ok(())
}

pub(crate) fn find_by_token(c: &mut Conn, token_hash: &[u8; 32]) -> Result<Option<SignupRow>, Error> {
    c.opt(
        "SELECT id, email, email_norm, handle_hash, code_mac, tries, password_phc, locale, mailed_at, expires_at, used_at \
         FROM accounts_pending_signups WHERE token_hash = ?",
        params![token_hash],
    )
}

pub(crate) fn find_by_handle(c: &mut Conn, handle_hash: &[u8; 32]) -> Result<Option<SignupRow>, Error> {
    c.opt(
        "SELECT id, email, email_norm, handle_hash, code_mac, tries, password_phc, locale, mailed_at, expires_at, used_at \
         FROM accounts_pending_signups WHERE handle_hash = ?",
        params![handle_hash],
    )
}

/// The open sign-ups for an address in the order in which they make room: those that nobody can complete, then the oldest mail.
///
/// Otherwise whoever begins sign-ups in somebody's name, which cause no mail any more, would end hers, which did.
pub(crate) fn open_ids(c: &mut Conn, email_norm: &str, now: Timestamp) -> Result<Vec<Id<Signup>>, Error> {
    let rows = c.all::<(Id<Signup>,)>(
        "SELECT id FROM accounts_pending_signups WHERE email_norm = ? AND used_at IS NULL AND expires_at > ? ORDER BY mailed_at, created_at, id",
        params![email_norm, now],
    )?;
    Ok(rows.into_iter().map(|(id,)| id).collect())
}

/// Uses a sign-up up, and forgets its password (PWD-9); false for everybody but the first.
pub(crate) fn consume(tx: &mut db::Tx<'_>, id: Id<Signup>, now: Timestamp) -> Result<bool, Error> {
    let changed = tx.execute(
        "UPDATE accounts_pending_signups SET used_at = ?, password_phc = NULL WHERE id = ? AND used_at IS NULL",
        params![now, id],
    )?;
    Ok(changed == 1)
}

/// Voids every open sign-up for an address (SGN-2, SGN-4).
pub(crate) fn void(tx: &mut db::Tx<'_>, email_norm: &str, now: Timestamp) -> Result<(), Error> {
    tx.execute(
        "UPDATE accounts_pending_signups SET used_at = ?, password_phc = NULL WHERE email_norm = ? AND used_at IS NULL",
        params![now, email_norm],
    )?;
    Ok(())
}

/// Counts a typed code; false when the tries are used up.
pub(crate) fn count_try(tx: &mut db::Tx<'_>, id: Id<Signup>, max: i64) -> Result<bool, Error> {
    Ok(tx.execute("UPDATE accounts_pending_signups SET tries = tries + 1 WHERE id = ? AND tries < ?", params![id, max])? == 1)
}

/// Gives a sign-up a new token and a new code with tries of its own, for another mail.
pub(crate) fn renew(tx: &mut db::Tx<'_>, id: Id<Signup>, token_hash: &[u8; 32], code_mac: &[u8; 32], now: Timestamp) -> Result<(), Error> {
    tx.execute(
        "UPDATE accounts_pending_signups SET token_hash = ?, code_mac = ?, tries = 0, mailed_at = ? WHERE id = ? AND used_at IS NULL",
        params![token_hash, code_mac, now, id],
    )?;
    Ok(())
}

pub(crate) fn purge(tx: &mut db::Tx<'_>, before: Timestamp) -> Result<u64, Error> {
    tx.execute("DELETE FROM accounts_pending_signups WHERE id IN (SELECT id FROM (SELECT id FROM accounts_pending_signups WHERE expires_at < ? LIMIT 500) AS batch)", params![before])
}
