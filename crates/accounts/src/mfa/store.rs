//! SQL of second factors and of the challenges that ask for them.

use db::{Conn, Error, params};
use kernel::{Timestamp, UserId};

use crate::mfa::challenge::NewChallenge;

db::row! {
    /// A row of `accounts_totp_factors`.
    pub(crate) struct FactorRow {
        pub(crate) seed_sealed: Vec<u8>,
        pub(crate) confirmed_at: Option<Timestamp>,
    }
}

pub(crate) fn find_factor(c: &mut Conn, user: UserId) -> Result<Option<FactorRow>, Error> {
    c.opt("SELECT seed_sealed, confirmed_at FROM accounts_totp_factors WHERE user_id = ?", params![user])
}

/// Whether a person's login needs a second factor.
pub(crate) fn has_factor(c: &mut Conn, user: UserId) -> Result<bool, Error> {
    Ok(c.opt::<(UserId,)>("SELECT user_id FROM accounts_totp_factors WHERE user_id = ? AND confirmed_at IS NOT NULL", params![user])?
        .is_some())
}

/// Stores a seed that no code has confirmed yet.
pub(crate) fn insert_factor(tx: &mut db::Tx<'_>, user: UserId, seed_sealed: &[u8], now: Timestamp) -> Result<(), Error> {
    tx.execute(
        "INSERT INTO accounts_totp_factors (user_id, seed_sealed, last_step, created_at) VALUES (?, ?, 0, ?)",
        params![user, seed_sealed, now],
    )?;
    Ok(())
}

/// Forgets a seed that was never confirmed.
pub(crate) fn delete_unconfirmed(tx: &mut db::Tx<'_>, user: UserId) -> Result<(), Error> {
    tx.execute("DELETE FROM accounts_totp_factors WHERE user_id = ? AND confirmed_at IS NULL", params![user])?;
    Ok(())
}

/// Makes the seed count, of which this sealed form was read; false if it is confirmed or another one meanwhile.
pub(crate) fn confirm(tx: &mut db::Tx<'_>, user: UserId, seed_sealed: &[u8], step: i64, now: Timestamp) -> Result<bool, Error> {
    let confirmed = tx.execute(
        "UPDATE accounts_totp_factors SET confirmed_at = ?, last_step = ? WHERE user_id = ? AND seed_sealed = ? AND confirmed_at IS NULL",
        params![now, step, user, seed_sealed],
    )?;
    Ok(confirmed == 1)
}

/// Takes the code of a step, once: false if it, or a later one, was taken before (MFA-1).
pub(crate) fn take_step(tx: &mut db::Tx<'_>, user: UserId, step: i64) -> Result<bool, Error> {
    let taken = tx.execute(
        "UPDATE accounts_totp_factors SET last_step = ? WHERE user_id = ? AND confirmed_at IS NOT NULL AND last_step < ?",
        params![step, user, step],
    )?;
    Ok(taken == 1)
}

/// Removes the factor; false if there was none that counts.
pub(crate) fn delete_factor(tx: &mut db::Tx<'_>, user: UserId) -> Result<bool, Error> {
    Ok(tx.execute("DELETE FROM accounts_totp_factors WHERE user_id = ? AND confirmed_at IS NOT NULL", params![user])? == 1)
}

/// Puts new codes, as selector and hash, in the place of all that a person had.
pub(crate) fn replace_codes(tx: &mut db::Tx<'_>, user: UserId, codes: &[(String, String)], now: Timestamp) -> Result<(), Error> {
    delete_codes(tx, user)?;
    for (selector, phc) in codes {
        tx.execute(
            "INSERT INTO accounts_recovery_codes (user_id, selector, phc, created_at) VALUES (?, ?, ?, ?)",
            params![user, selector, phc, now],
        )?;
    }
    Ok(())
}

pub(crate) fn delete_codes(tx: &mut db::Tx<'_>, user: UserId) -> Result<(), Error> {
    tx.execute("DELETE FROM accounts_recovery_codes WHERE user_id = ?", params![user])?;
    Ok(())
}

/// The hash of an unused code.
pub(crate) fn find_code(c: &mut Conn, user: UserId, selector: &str) -> Result<Option<String>, Error> {
    c.opt("SELECT phc FROM accounts_recovery_codes WHERE user_id = ? AND selector = ? AND used_at IS NULL", params![user, selector])
}

/// Uses a code up, once; `phc` is the hash that was compared, so that a new code under the same letters is not meant.
pub(crate) fn use_code(tx: &mut db::Tx<'_>, user: UserId, selector: &str, phc: &str, now: Timestamp) -> Result<bool, Error> {
    let used = tx.execute(
        "UPDATE accounts_recovery_codes SET used_at = ? WHERE user_id = ? AND selector = ? AND phc = ? AND used_at IS NULL",
        params![now, user, selector, phc],
    )?;
    Ok(used == 1)
}

/// How many codes a person has left; ten at most.
pub(crate) fn codes_left(c: &mut Conn, user: UserId) -> Result<usize, Error> {
    Ok(c.all::<(String,)>("SELECT selector FROM accounts_recovery_codes WHERE user_id = ? AND used_at IS NULL LIMIT 50", params![user])?
        .len())
}

db::row! {
    /// A row of `accounts_challenges`.
    pub(crate) struct ChallengeRow {
        pub(crate) user_id: UserId,
        pub(crate) kind: String,
        pub(crate) is_remembered: bool,
        pub(crate) password_changed_at: Timestamp,
        pub(crate) expires_at: Timestamp,
        pub(crate) used_at: Option<Timestamp>,
    }
}

pub(crate) fn insert_challenge(tx: &mut db::Tx<'_>, new: &NewChallenge) -> Result<(), Error> {
    tx.execute(
        "INSERT INTO accounts_challenges (id, token_hash, user_id, kind, is_remembered, password_changed_at, created_at, expires_at) \
         VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        params![
            new.id,
            new.token.hash(),
            new.user_id,
            new.kind.as_str(),
            new.is_remembered,
            new.password_changed_at,
            new.created_at,
            new.expires_at
        ],
    )?;
    Ok(())
}

pub(crate) fn find_challenge(c: &mut Conn, token_hash: &[u8; 32]) -> Result<Option<ChallengeRow>, Error> {
    c.opt(
        "SELECT user_id, kind, is_remembered, password_changed_at, expires_at, used_at FROM accounts_challenges WHERE token_hash = ?",
        params![token_hash],
    )
}

/// Uses a challenge up, once and in its time.
pub(crate) fn use_challenge(tx: &mut db::Tx<'_>, token_hash: &[u8; 32], now: Timestamp) -> Result<bool, Error> {
    let used = tx.execute(
        "UPDATE accounts_challenges SET used_at = ? WHERE token_hash = ? AND used_at IS NULL AND expires_at > ?",
        params![now, token_hash, now],
    )?;
    Ok(used == 1)
}

/// Forgets challenges that ended before `before`, one batch of them; tells how many.
pub(crate) fn purge_challenges(tx: &mut db::Tx<'_>, before: Timestamp) -> Result<u64, Error> {
    tx.execute(
        "DELETE FROM accounts_challenges WHERE id IN (SELECT id FROM (SELECT id FROM accounts_challenges WHERE expires_at < ? LIMIT 500) AS batch)",
        params![before],
    )
}
