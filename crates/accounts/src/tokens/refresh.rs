//! Refresh tokens: single use, in a chain per session (TOK-7, TOK-8).
//!
//! A successor is derived from its predecessor with a key outside the database, so a client that lost an answer, or twenty tabs
//! that refresh at once, get the *same* successor again (docs/decisions/0005). Once the successor or its access token was used,
//! the predecessor in anybody's hands is proof of theft, and the session ends.

use std::time::Duration;

use kernel::{Ctx, Error, Id, Result, Session, Timestamp, Tx, UserId};
use serde::Serialize;

use crate::events::{RefreshTokenReplayed, SessionRevoked};
use crate::problems::REFRESH_TOKEN_INVALID;
use crate::secrets::Token;
use crate::sessions::{self, SessionKind};
use crate::settings::TokenSettings;
use crate::tokens::jwt::Claims;
use crate::tokens::store::{self, NewRefresh, Refresh, RefreshRow};
use crate::tokens::{SigningKeys, signing};
use crate::users;

/// What a client in token mode gets.
pub(crate) struct TokenPair {
    pub(crate) access_token: String,
    pub(crate) expires_in_secs: i64,
    pub(crate) refresh_token: Token,
}

/// The first refresh token of a new session, made before its transaction.
pub(crate) struct FirstRefresh {
    pub(crate) token: Token,
    pub(crate) row: NewRefresh,
}

impl FirstRefresh {
    pub(crate) fn new(ctx: &Ctx, session_id: Id<Session>) -> FirstRefresh {
        let token = Token::generate(ctx.app.random());
        let row = new_row(ctx, session_id, &token, ctx.new_id(), ctx.new_id());
        FirstRefresh { token, row }
    }
}

fn new_row(ctx: &Ctx, session_id: Id<Session>, token: &Token, id: Id<Refresh>, access_jti: Id<Claims>) -> NewRefresh {
    let now = ctx.now();
    let expires_at = now + *ctx.settings::<TokenSettings>().refresh_idle;
    NewRefresh { id, session_id, token_hash: token.hash(), access_jti, created_at: now, expires_at }
}

/// The one successor of a token.
fn successor_of(ctx: &Ctx, token: &Token) -> Token {
    Token::from_array(ctx.app.keyring().mac("refresh successor", token.as_str().as_bytes()))
}

/// Tabs that wake together refresh within this time, and one of them may have used its access token before the next one asks.
const TABS_WAKING: Duration = Duration::from_secs(10);

enum Outcome {
    /// Here is the successor: its session, its access token's id and when that was made.
    Fresh {
        session_id: Id<Session>,
        user_id: UserId,
        jti: Id<Claims>,
        issued_at: Timestamp,
    },
    /// Theft: the session was ended.
    Replayed,
    Invalid,
}

/// Exchanges a refresh token for its successor and a new access token.
pub(crate) async fn exchange(ctx: &Ctx, presented: &str) -> Result<TokenPair> {
    let token = Token::parse(presented).ok_or(&REFRESH_TOKEN_INVALID)?;
    let (hash, next) = (token.hash(), successor_of(ctx, &token));
    let (next_id, next_jti) = (ctx.new_id(), ctx.new_id());
    let outcome = ctx
        .write({
            let (ctx, next_hash_token) = (ctx.clone(), next.hash());
            move |tx| step(tx, &ctx, &hash, &next_hash_token, next_id, next_jti)
        })
        .await?;
    match outcome {
        Outcome::Fresh { session_id, user_id, jti, issued_at } => {
            let access = mint_access(ctx, session_id, user_id, jti, issued_at).await?;
            Ok(TokenPair { access_token: access.0, expires_in_secs: access.1, refresh_token: next })
        }
        Outcome::Replayed | Outcome::Invalid => Err(REFRESH_TOKEN_INVALID.error()),
    }
}

fn step(
    tx: &mut Tx<'_, '_>,
    ctx: &Ctx,
    hash: &[u8; 32],
    next_hash: &[u8; 32],
    next_id: Id<Refresh>,
    next_jti: Id<Claims>,
) -> Result<Outcome> {
    let now = ctx.now();
    let Some(row) = store::find_refresh(tx, hash)? else { return Ok(Outcome::Invalid) };
    let Some(session) = sessions::store::find(tx, row.session_id)?.filter(|session| session.is_live(now)) else {
        return Ok(Outcome::Invalid);
    };
    if row.revoked_at.is_some() || now >= row.expires_at {
        return Ok(Outcome::Invalid);
    }
    match row.next_id {
        None => rotate(tx, ctx, &row, session.created_at, next_hash, next_id, next_jti),
        Some(successor) => replay(tx, ctx, &row, successor, next_jti),
    }
}

fn rotate(
    tx: &mut Tx<'_, '_>,
    ctx: &Ctx,
    row: &RefreshRow,
    chain_began: Timestamp,
    next_hash: &[u8; 32],
    next_id: Id<Refresh>,
    next_jti: Id<Claims>,
) -> Result<Outcome> {
    let now = ctx.now();
    if !store::consume(tx, row.id, next_id, now)? {
        return Ok(Outcome::Invalid);
    }
    let settings = ctx.settings::<TokenSettings>();
    let expires_at = (now + *settings.refresh_idle).min(chain_began + *settings.refresh_absolute);
    let new =
        NewRefresh { id: next_id, session_id: row.session_id, token_hash: *next_hash, access_jti: next_jti, created_at: now, expires_at };
    store::insert_refresh(tx, &new)?;
    sessions::service::touch_in(tx, ctx, row.session_id, SessionKind::Token)?;
    Ok(Outcome::Fresh { session_id: row.session_id, user_id: row.user_id, jti: next_jti, issued_at: now })
}

/// The token was exchanged before: a lost answer, or a thief.
fn replay(tx: &mut Tx<'_, '_>, ctx: &Ctx, row: &RefreshRow, successor: Id<Refresh>, next_jti: Id<Claims>) -> Result<Outcome> {
    let Some(next) = store::find_refresh_by_id(tx, successor)? else { return Ok(Outcome::Invalid) };
    let is_late = row.consumed_at.is_none_or(|at| ctx.now().since(at) > TABS_WAKING);
    if next.consumed_at.is_some() || (next.access_used_at.is_some() && is_late) {
        return end_stolen_session(tx, ctx, row);
    }
    let ttl = *ctx.settings::<TokenSettings>().access_ttl;
    if ctx.now().since(next.created_at) * 2 < ttl {
        return Ok(Outcome::Fresh { session_id: row.session_id, user_id: row.user_id, jti: next.access_jti, issued_at: next.created_at });
    }
    store::replace_access(tx, next.id, next_jti)?;
    Ok(Outcome::Fresh { session_id: row.session_id, user_id: row.user_id, jti: next_jti, issued_at: ctx.now() })
}

#[derive(Serialize)]
struct ReplayedMail<'a> {
    display_name: &'a str,
    at: Timestamp,
}

fn end_stolen_session(tx: &mut Tx<'_, '_>, ctx: &Ctx, row: &RefreshRow) -> Result<Outcome> {
    let now = ctx.now();
    sessions::store::revoke(tx, row.user_id, row.session_id, now)?;
    store::revoke_refresh_of_session(tx, row.session_id, now)?;
    let (session_id, user_id) = (row.session_id.uuid(), row.user_id.uuid());
    tx.record(&RefreshTokenReplayed { session_id, user_id })?;
    tx.record(&SessionRevoked { session_id: Some(session_id), user_id })?;
    let subject = format!("session:{}", row.session_id);
    tx.audit(kernel::AuditEntry::refused("accounts.refresh_token.exchange", Some(&subject), "replayed"))?;
    if let Some(user) = users::store::find(tx, row.user_id)? {
        let data = ReplayedMail { display_name: &user.display_name, at: now };
        tx.mail("accounts/refresh_token_replayed", &user.email, &user.locale, &data)?;
    }
    Ok(Outcome::Replayed)
}

/// Signs an access token for a session; tells its life in seconds from now.
pub(crate) async fn mint_access(
    ctx: &Ctx,
    session_id: Id<Session>,
    user_id: UserId,
    jti: Id<Claims>,
    issued_at: Timestamp,
) -> Result<(String, i64)> {
    signing::refresh(&ctx.app).await?;
    let (session, user) = ctx.read(move |c| Ok((sessions::store::find(c, session_id)?, users::store::find(c, user_id)?))).await?;
    let (Some(session), Some(user)) = (session, user) else { return Err(REFRESH_TOKEN_INVALID.error()) };
    let issuer = ctx.app.public_url();
    let expires_at = issued_at + *ctx.settings::<TokenSettings>().access_ttl;
    let claims = Claims {
        iss: issuer.clone(),
        aud: issuer,
        exp: expires_at.as_secs(),
        iat: issued_at.as_secs(),
        nbf: issued_at.as_secs(),
        sub: user_id,
        jti,
        sid: session_id,
        scope: "*".to_owned(),
        acr: crate::mfa::acr(&session.amr).to_owned(),
        amr: session.amr.split(' ').map(str::to_owned).collect(),
        auth_time: session.auth_time.as_secs(),
        ver: user.sec_epoch,
    };
    let token = ctx.state::<SigningKeys>().mint(&claims, ctx.now())?;
    Ok((token, expires_at.as_secs() - ctx.now().as_secs()))
}

/// Reads a presented access token, remembering verified ones by hash until they expire (TOK-6).
pub(crate) async fn verify_access(ctx: &Ctx, token: &str) -> Result<std::sync::Arc<Claims>> {
    use sha2::{Digest as _, Sha256};
    let cache = ctx.state::<sessions::SessionCache>();
    let hash: [u8; 32] = Sha256::digest(token.as_bytes()).into();
    if let Some(claims) = cache.claims(&hash) {
        let is_expired = ctx.now().as_secs() >= claims.exp + crate::tokens::jwt::LEEWAY_SECS;
        return if is_expired { Err(kernel::error::TOKEN_EXPIRED.error()) } else { Ok(claims) };
    }
    signing::refresh(&ctx.app).await?;
    let claims = std::sync::Arc::new(ctx.state::<SigningKeys>().verify(token).map_err(Error::from)?);
    note_first_use(ctx, claims.jti).await?;
    cache.store_claims(hash, claims.clone());
    Ok(claims)
}

/// The client has its access token: from now on the predecessor of its refresh token is spent for good.
async fn note_first_use(ctx: &Ctx, jti: Id<Claims>) -> Result<()> {
    let is_unused = ctx.read(move |c| Ok(store::is_access_unused(c, jti)?)).await?;
    if is_unused {
        let now = ctx.now();
        ctx.write(move |tx| Ok(store::mark_access_used(tx, jti, now)?)).await?;
    }
    Ok(())
}
