//! The verbs of passwords: ask for a reset, reset, change, and prove who you are again.

use std::time::Duration;

use kernel::error::{NOT_FOUND, UNAUTHENTICATED};
use kernel::{AuditEntry, Ctx, Error, FieldError, Id, Result, Session, Timestamp, Tx, UserId};
use serde::Serialize;

use crate::api_keys;
use crate::emails::address::EmailAddress;
use crate::events::{PasswordChanged, PasswordResetRequested};
use crate::hashing::Hasher;
use crate::logins::throttle;
use crate::one_time::{self, Purpose};
use crate::passwords::policy::{PasswordPolicy, check_not_too_long};
use crate::passwords::store;
use crate::secrets::{Password, Token};
use crate::sessions::{self, SessionKind};
use crate::settings::{PageSettings, ResetSettings, SessionSettings};
use crate::users::{self, UserStatus};

/// The least time between two reset mails to one address (RST-9).
const RESET_MAIL_GAP: Duration = Duration::from_secs(60);

#[derive(Serialize)]
struct ResetMail<'a> {
    display_name: &'a str,
    link: &'a str,
    minutes: u64,
}

/// Mails a reset link if the address has an account; the caller cannot tell (ENU-4).
pub(crate) async fn request_reset(ctx: &Ctx, email: &EmailAddress) -> Result<()> {
    let (token, norm, context) = (Token::generate(ctx.app.random()), email.norm().to_owned(), ctx.clone());
    ctx.write(move |tx| {
        let user = match users::store::id_by_email(tx, &norm)? {
            Some(id) => users::store::find(tx, id)?.filter(|user| user.status == UserStatus::Active),
            None => None,
        };
        let Some(user) = user else {
            return tx.audit(AuditEntry::refused("accounts.password.request_reset", None, "unknown"));
        };
        if !throttle::may_mail(tx, &context, "password reset", &user.email, RESET_MAIL_GAP)? {
            return tx.audit(AuditEntry::refused("accounts.password.request_reset", Some(&format!("user:{}", user.id)), "too_soon"));
        }
        one_time::issue(tx, &context, &token, Purpose::Reset, Some(user.id), Some(&norm))?;
        let link = reset_link(&context, &token);
        let minutes = Purpose::Reset.life().as_secs() / 60;
        tx.mail(
            "accounts/reset_password",
            &user.email,
            &user.locale,
            &ResetMail { display_name: &user.display_name, link: &link, minutes },
        )?;
        tx.record(&PasswordResetRequested { user_id: user.id.uuid() })?;
        tx.audit(AuditEntry::ok("accounts.password.request_reset", &format!("user:{}", user.id)))
    })
    .await
}

/// The token stands in the fragment, which no server log and no `Referer` ever sees (RST-5).
fn reset_link(ctx: &Ctx, token: &Token) -> String {
    let page = &ctx.settings::<PageSettings>().reset;
    let base = if page.is_empty() { format!("{}/account/password", ctx.app.public_url()) } else { page.clone() };
    format!("{base}#{}", token.as_str())
}

/// Sets a new password by a mailed token: ends every login, logs nobody in (RST-7, RST-8).
pub(crate) async fn confirm_reset(ctx: &Ctx, token: String, password: Password) -> Result<()> {
    check_new(ctx, &password, "/password")?;
    let now = ctx.now();
    // Asked before the costly hash, so that a made-up token costs us nothing.
    let peeked = token.clone();
    ctx.read(move |c| one_time::look(c, &peeked, Purpose::Reset, now).map(|_| ())).await?;
    let phc = hash(ctx, &password).await?;
    let context = ctx.clone();
    ctx.write(move |tx| {
        let row = one_time::consume(tx, &token, Purpose::Reset, now)?;
        let user = row.user_id.ok_or(&NOT_FOUND)?;
        // Whoever makes an API key at this moment holds the row first, or finds the login ended.
        users::store::lock(tx, user)?;
        replace(tx, &context, user, &phc)?;
        sessions::service::revoke_all(tx, &context, user, None)?;
        if context.settings::<ResetSettings>().revokes_api_keys {
            api_keys::service::revoke_all(tx, &context, user)?;
        }
        for name in users::store::login_names(tx, user)? {
            throttle::clear(tx, &context, &name)?;
        }
        throttle::clear(tx, &context, &own_name(user))?;
        tx.audit(AuditEntry::ok("accounts.password.reset", &format!("user:{user}")))
    })
    .await
}

/// Changes the caller's password: needs the old one and a recent login; all other logins end (PWD-10).
///
/// A browser's session gets a new token, which is returned.
pub(crate) async fn change(ctx: &Ctx, current: Password, new: Password) -> Result<Option<Token>> {
    ctx.require_recent(*ctx.settings::<SessionSettings>().fresh_auth)?;
    check_new(ctx, &new, "/new_password")?;
    verify_own(ctx, &current, "/current_password").await?;
    let phc = hash(ctx, &new).await?;
    let identity = ctx.actor.identity()?;
    let (user, session, now) = (identity.user_id, identity.session_id, ctx.now());
    let cookie = new_cookie(ctx);
    let hash = cookie.as_ref().map(Token::hash);
    let context = ctx.clone();
    ctx.write(move |tx| {
        replace(tx, &context, user, &phc)?;
        sessions::service::revoke_all(tx, &context, user, Some(session))?;
        renew(tx, session, now, hash)?;
        tx.record(&crate::events::SessionRenewed { session_id: session.uuid(), user_id: user.uuid() })?;
        tx.audit(AuditEntry::ok("accounts.password.change", &format!("user:{user}")))
    })
    .await?;
    Ok(cookie)
}

/// Notes that the caller proved who they are just now; a browser's session gets a new token (SES-1, SES-10).
pub(crate) async fn reauthenticate(ctx: &Ctx, password: Password) -> Result<(Timestamp, Option<Token>)> {
    verify_own(ctx, &password, "/password").await?;
    let identity = ctx.actor.identity()?;
    let (user, session, now) = (identity.user_id, identity.session_id, ctx.now());
    let cookie = new_cookie(ctx);
    let hash = cookie.as_ref().map(Token::hash);
    ctx.write(move |tx| {
        renew(tx, session, now, hash)?;
        tx.record(&crate::events::SessionRenewed { session_id: session.uuid(), user_id: user.uuid() })?;
        tx.audit(AuditEntry::ok("accounts.session.reauthenticate", &format!("session:{session}")))
    })
    .await?;
    Ok((now, cookie))
}

/// Renews the session unless it was ended since the request came in, by a reset for example.
fn renew(tx: &mut Tx<'_, '_>, session: Id<Session>, now: Timestamp, cookie: Option<[u8; 32]>) -> Result<()> {
    if sessions::store::renew(tx, session, now, cookie)? { Ok(()) } else { Err(UNAUTHENTICATED.error()) }
}

fn new_cookie(ctx: &Ctx) -> Option<Token> {
    let is_browser = ctx.actor.credential() == kernel::CredentialKind::Cookie;
    let kind = if is_browser { SessionKind::Browser } else { SessionKind::Token };
    (kind == SessionKind::Browser).then(|| Token::generate(ctx.app.random()))
}

#[derive(Serialize)]
struct ChangedMail<'a> {
    display_name: &'a str,
    at: Timestamp,
}

/// Stores the new hash, voids every open token of the person and tells them.
fn replace(tx: &mut Tx<'_, '_>, ctx: &Ctx, user: UserId, phc: &str) -> Result<()> {
    let now = ctx.now();
    store::set(tx, user, phc, now)?;
    one_time::void_all(tx, user, now)?;
    let person = users::store::find(tx, user)?.ok_or(&NOT_FOUND)?;
    let data = ChangedMail { display_name: &person.display_name, at: now };
    tx.mail("accounts/password_changed", &person.email, &person.locale, &data)?;
    tx.record(&PasswordChanged { user_id: user.uuid() })
}

/// Under which name guesses at one's own password are counted; no name typed at the login is counted under it.
fn own_name(user: UserId) -> String {
    format!("own password\n{user}")
}

/// Checks the caller's own password, counting failures like failed logins (LOG-1).
async fn verify_own(ctx: &Ctx, password: &Password, pointer: &'static str) -> Result<()> {
    check_not_too_long(password, pointer).map_err(|error| Error::invalid(vec![error]))?;
    let user = ctx.actor.user_id()?;
    let key = own_name(user);
    let admission = throttle::admit(ctx, &key).await?;
    let phc = ctx.read(move |c| Ok(store::find(c, user)?)).await?;
    let hasher = ctx.state::<Hasher>();
    let matches = match &phc {
        Some(phc) => hasher.verify(ctx.request.client_address, password, phc).await?.matches,
        None => {
            hasher.verify_nobody(ctx.request.client_address, password).await?;
            false
        }
    };
    let context = ctx.clone();
    if !matches {
        ctx.write(move |tx| throttle::note_failure(tx, &context, &key, admission)).await?;
        let field = FieldError::body(pointer, "current_password_wrong", "This is not your present password.");
        return Err(Error::invalid(vec![field]));
    }
    ctx.write(move |tx| throttle::clear(tx, &context, &key)).await
}

/// Refuses a new password that is too short or too long.
pub(crate) fn check_new(ctx: &Ctx, password: &Password, pointer: &'static str) -> Result<()> {
    ctx.state::<PasswordPolicy>().check(password, pointer).map_err(|error| Error::invalid(vec![error]))
}

/// Hashes a new password on the hashing threads.
pub(crate) async fn hash(ctx: &Ctx, password: &Password) -> Result<String> {
    ctx.state::<Hasher>().hash(ctx.request.client_address, password, ctx.app.random().bytes()).await
}
