//! One-time tokens in mailed links: purpose, person and address in one; used once, voided by newer ones (RST-1 to RST-4).

pub(crate) mod store;

use std::time::Duration;

use kernel::{Ctx, Result, Timestamp, UserId};

use crate::problems::{TOKEN_INVALID, TOKEN_SPENT};
use crate::secrets::Token;

/// What a one-time token is good for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// Make the first owner.
    Owner,
    /// Set a new password.
    Reset,
}

impl Purpose {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Purpose::Owner => "owner",
            Purpose::Reset => "reset",
        }
    }

    /// How long the token lives (RST-3).
    pub(crate) fn life(self) -> Duration {
        match self {
            Purpose::Owner => Duration::from_secs(24 * 3600),
            Purpose::Reset => Duration::from_secs(30 * 60),
        }
    }
}

/// Stores a fresh token and voids older ones of the same purpose and person (RST-4).
pub(crate) fn issue(
    tx: &mut db::Tx<'_>,
    ctx: &Ctx,
    token: &Token,
    purpose: Purpose,
    user: Option<UserId>,
    email_norm: Option<&str>,
) -> Result<()> {
    let now = ctx.now();
    store::void(tx, purpose, user, now)?;
    let new = store::NewToken { id: ctx.new_id(), hash: token.hash(), purpose, user, email_norm, expires_at: now + purpose.life() };
    Ok(store::insert(tx, &new, now)?)
}

/// Looks a token up without using it: `token_invalid` or `token_spent` unless it is good now.
pub(crate) fn look(c: &mut db::Conn, typed: &str, purpose: Purpose, now: Timestamp) -> Result<store::TokenRow> {
    let token = Token::parse(typed).ok_or(&TOKEN_INVALID)?;
    let row = store::find(c, &token.hash())?.filter(|row| row.purpose == purpose.as_str()).ok_or(&TOKEN_INVALID)?;
    if row.used_at.is_some() || now >= row.expires_at { Err(TOKEN_SPENT.error()) } else { Ok(row) }
}

/// Uses a token up, exactly once however many try (RST-2).
pub(crate) fn consume(tx: &mut db::Tx<'_>, typed: &str, purpose: Purpose, now: Timestamp) -> Result<store::TokenRow> {
    let row = look(tx, typed, purpose, now)?;
    if store::consume(tx, row.id, now)? { Ok(row) } else { Err(TOKEN_SPENT.error()) }
}

/// Voids every open token of a person.
pub(crate) fn void_all(tx: &mut db::Tx<'_>, user: UserId, now: Timestamp) -> Result<()> {
    Ok(store::void_all(tx, user, now)?)
}
