//! The verbs of passwords: ask for a reset, reset, change, and prove who you are again.

use kernel::error::{NOT_FOUND, UNAUTHENTICATED};
use kernel::{AuditEntry, Ctx, Error, FieldError, Id, Result, Session, Timestamp, Tx, UserId};
use serde::Serialize;

use crate::api_keys;
use crate::emails::address::EmailAddress;
use crate::events::{PasswordChanged, PasswordResetRequested};
use crate::hashing::{Hasher, Verdict};
use crate::logins::throttle::{self, Guess, MailKind};
use crate::mfa;
use crate::one_time::{self, Purpose};
use crate::passwords::policy::{PasswordPolicy, check_not_too_long};
use crate::passwords::resemblance::Known;
use crate::passwords::{blocklist, store};
use crate::problems::TOKEN_SPENT;
use crate::secrets::{Password, Token};
use crate::sessions::{self, SessionKind, SessionRecord};
use crate::settings::{PageSettings, ResetSettings, SessionSettings};
use crate::users::{self, UserRecord, UserStatus};

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
            // Held, so that nothing that voids tokens comes in between; whoever held it before may have moved or locked the account.
            Some(id) if users::store::lock(tx, id)? => {
                users::store::find(tx, id)?.filter(|user| user.status == UserStatus::Active && user.email_norm == norm)
            }
            _ => None,
        };
        let Some(user) = user else {
            return tx.audit(AuditEntry::refused("accounts.password.request_reset", None, "unknown"));
        };
        mail_reset(tx, &context, &user, &token)
    })
    .await
}

/// Mails a person the link that sets a new password, silently at most once a minute (RST-9), within the caller's transaction.
pub(crate) fn mail_reset(tx: &mut Tx<'_, '_>, ctx: &Ctx, user: &UserRecord, token: &Token) -> Result<()> {
    let subject = format!("user:{}", user.id);
    if !throttle::may_mail(tx, ctx, MailKind::Reset, &user.email, throttle::MAIL_GAP)? {
        return tx.audit(AuditEntry::refused("accounts.password.request_reset", Some(&subject), "too_soon"));
    }
    one_time::issue(tx, ctx, token, Purpose::Reset, Some(user.id), Some(&user.email_norm))?;
    let (link, minutes) = (reset_link(ctx, token), Purpose::Reset.life().as_secs() / 60);
    let data = ResetMail { display_name: &user.display_name, link: &link, minutes };
    tx.mail("accounts/reset_password", &user.email, &user.locale, &data)?;
    tx.record(&PasswordResetRequested { user_id: user.id.uuid() })?;
    tx.audit(AuditEntry::ok("accounts.password.request_reset", &subject))
}

/// The token stands in the fragment, which no server log and no `Referer` ever sees (RST-5).
fn reset_link(ctx: &Ctx, token: &Token) -> String {
    let page = &ctx.settings::<PageSettings>().reset;
    let base = if page.is_empty() { format!("{}/account/reset/confirm", ctx.app.public_url()) } else { page.clone() };
    format!("{base}#{}", token.as_str())
}

/// Sets a new password by a mailed token: ends every login, logs nobody in (RST-7, RST-8).
pub(crate) async fn confirm_reset(ctx: &Ctx, token: String, password: Password) -> Result<()> {
    check_length(ctx, &password, "/password")?;
    let now = ctx.now();
    // Asked before the costly hash, so that a made-up token costs us nothing.
    let peeked = token.clone();
    let person = ctx.read(move |c| {
        let row = one_time::look(c, &peeked, Purpose::Reset, now)?;
        Ok(users::store::find(c, row.user_id.ok_or(&NOT_FOUND)?)?.ok_or(&NOT_FOUND)?)
    });
    check_new(ctx, &password, "/password", &Known::of_site(ctx).and_user(&person.await?))?;
    let phc = hash(ctx, &password).await?;
    let context = ctx.clone();
    ctx.write(move |tx| {
        let row = one_time::consume(tx, &token, Purpose::Reset, now)?;
        let user = row.user_id.ok_or(&NOT_FOUND)?;
        // Whoever makes an API key at this moment holds the row first, or finds the login ended.
        users::store::lock(tx, user)?;
        // The link went to an address; it opens the account only while it is the account's (RST-4).
        if users::store::find(tx, user)?.is_none_or(|person| Some(person.email_norm) != row.email_norm) {
            return Err(TOKEN_SPENT.error());
        }
        replace(tx, &context, user, &phc)?;
        sessions::service::revoke_all(tx, &context, user, None)?;
        if context.settings::<ResetSettings>().revokes_api_keys {
            api_keys::service::revoke_all(tx, &context, user)?;
        }
        for name in users::store::login_names(tx, user)? {
            throttle::clear_name(tx, &context, &name)?;
        }
        throttle::clear_name(tx, &context, &own_name(user))?;
        throttle::clear(tx, &Guess::at_second_factor(&context, user))?;
        tx.audit(AuditEntry::ok("accounts.password.reset", &format!("user:{user}")))
    })
    .await
}

/// Changes the caller's password: needs the old one and a recent login; all other logins end (PWD-10).
///
/// A browser's session gets a new token, which is returned with the session.
pub(crate) async fn change(ctx: &Ctx, current: Password, new: Password) -> Result<Renewed> {
    ctx.require_recent(*ctx.settings::<SessionSettings>().fresh_auth)?;
    let identity = ctx.actor.identity()?;
    let (user, session) = (identity.user_id, identity.session_id);
    let person = ctx.read(move |c| Ok(users::store::find(c, user)?.ok_or(&UNAUTHENTICATED)?)).await?;
    check_new(ctx, &new, "/new_password", &Known::of_site(ctx).and_user(&person))?;
    let verified = verify_own(ctx, &current, "/current_password").await?;
    let phc = hash(ctx, &new).await?;
    let cookie = new_cookie(ctx);
    let hash = cookie.as_ref().map(Token::hash);
    let context = ctx.clone();
    let session = ctx
        .write(move |tx| {
            still_verified(tx, &context, verified)?;
            replace(tx, &context, user, &phc)?;
            sessions::service::revoke_all(tx, &context, user, Some(session))?;
            let renewed = renew(tx, &context, session, hash)?;
            tx.record(&crate::events::SessionRenewed { session_id: session.uuid(), user_id: user.uuid() })?;
            tx.audit(AuditEntry::ok("accounts.password.change", &format!("user:{user}")))?;
            Ok(renewed)
        })
        .await?;
    Ok(Renewed { session, cookie })
}

/// A login that was proven again: a browser holds a new token for it.
pub(crate) struct Renewed {
    pub(crate) session: SessionRecord,
    pub(crate) cookie: Option<Token>,
}

/// Notes that the caller proved who they are just now, which brings an admin grant; a browser's session gets a new token (SES-1, SES-3).
pub(crate) async fn reauthenticate(ctx: &Ctx, password: Password) -> Result<Renewed> {
    let verified = verify_own(ctx, &password, "/password").await?;
    let (cookie, context) = (new_cookie(ctx), ctx.clone());
    let hash = cookie.as_ref().map(Token::hash);
    let session = ctx
        .write(move |tx| {
            still_verified(tx, &context, verified)?;
            renew_own(tx, &context, hash, "password")
        })
        .await?;
    Ok(Renewed { session, cookie })
}

/// The same with a code of a second factor, which also makes the login one of two factors (MFA-8).
pub(crate) async fn reauthenticate_by_code(ctx: &Ctx, method: mfa::Method, code: &str) -> Result<Renewed> {
    let (cookie, context) = (new_cookie(ctx), ctx.clone());
    let hash = cookie.as_ref().map(Token::hash);
    let session = mfa::service::verify_own(ctx, method, code, move |tx| renew_own(tx, &context, hash, method.as_str())).await?;
    Ok(Renewed { session, cookie })
}

/// Renews the caller's session, who showed this method.
fn renew_own(tx: &mut Tx<'_, '_>, ctx: &Ctx, cookie: Option<[u8; 32]>, method: &str) -> Result<SessionRecord> {
    let identity = ctx.actor.identity()?;
    let (user, session) = (identity.user_id, identity.session_id);
    let renewed = renew(tx, ctx, session, cookie)?;
    let is_new = !renewed.amr.split(' ').any(|shown| shown == method);
    let amr = if is_new { format!("{} {method}", renewed.amr) } else { renewed.amr };
    if is_new {
        sessions::store::set_methods(tx, session, &amr)?;
    }
    tx.record(&crate::events::SessionRenewed { session_id: session.uuid(), user_id: user.uuid() })?;
    let subject = format!("session:{session}");
    tx.audit(AuditEntry::ok("accounts.session.reauthenticate", &subject).with_detail(serde_json::json!({ "method": method })))?;
    Ok(SessionRecord { amr, ..renewed })
}

/// Renews the session unless it was ended since the request came in, by a reset for example.
fn renew(tx: &mut Tx<'_, '_>, ctx: &Ctx, session: Id<Session>, cookie: Option<[u8; 32]>) -> Result<SessionRecord> {
    if !sessions::store::renew(tx, session, ctx.now(), sessions::service::admin_end(ctx), cookie)? {
        return Err(UNAUTHENTICATED.error());
    }
    Ok(sessions::store::find(tx, session)?.ok_or(&UNAUTHENTICATED)?)
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

/// Fails unless the caller's login lives and the password is the one that was checked: who changed it meanwhile was faster (SES-1).
fn still_verified(tx: &mut Tx<'_, '_>, ctx: &Ctx, verified: Option<Timestamp>) -> Result<()> {
    let person = sessions::service::lock_caller(tx, ctx)?;
    if store::changed_at(tx, person.id)? == verified { Ok(()) } else { Err(UNAUTHENTICATED.error()) }
}

/// Checks the caller's own password, counting failures like failed logins (LOG-1); tells since when it is the password.
async fn verify_own(ctx: &Ctx, password: &Password, pointer: &'static str) -> Result<Option<Timestamp>> {
    check_not_too_long(password, pointer).map_err(|error| Error::invalid(vec![error]))?;
    let user = ctx.actor.user_id()?;
    let key = own_name(user);
    let guess = Guess::at_own_password(ctx, &key);
    let admission = throttle::admit(ctx, &guess).await?;
    let (phc, changed_at) = ctx.read(move |c| Ok((store::find(c, user)?, store::changed_at(c, user)?))).await?;
    let matches = verify(ctx, password, phc.as_deref(), &key).await?.matches;
    let context = ctx.clone();
    if !matches {
        ctx.write(move |tx| throttle::note_failure(tx, &context, &guess, admission)).await?;
        ctx.audit_attempt(AuditEntry::refused("accounts.password.verify", Some(&format!("user:{user}")), "current_password_wrong"));
        let field = FieldError::body(pointer, "current_password_wrong", "This is not your present password.");
        return Err(Error::invalid(vec![field]));
    }
    ctx.write(move |tx| throttle::clear(tx, &guess)).await?;
    Ok(changed_at)
}

/// Refuses a new password that is too short or too long, that the account itself gives away, or that everybody tries first.
pub(crate) fn check_new(ctx: &Ctx, password: &Password, pointer: &'static str, known: &Known) -> Result<()> {
    check_length(ctx, password, pointer)?;
    let refuse = |code, detail| Err(Error::invalid(vec![FieldError::body(pointer, code, detail)]));
    if known.is_told_by(password.composed()) {
        return refuse("password_resembles_account", "It is hardly more than the site's name, your address or your username.");
    }
    if blocklist::contains(password.composed()) {
        return refuse("password_blocklisted", "Many people use this password, so it is among the first to be tried.");
    }
    Ok(())
}

fn check_length(ctx: &Ctx, password: &Password, pointer: &'static str) -> Result<()> {
    ctx.state::<PasswordPolicy>().check(password, pointer).map_err(|error| Error::invalid(vec![error]))
}

/// Compares a typed password with a stored hash; where there is none, the name typed with it decides what is worked instead (ENU-2).
pub(crate) async fn verify(ctx: &Ctx, password: &Password, phc: Option<&str>, name: &str) -> Result<Verdict> {
    let (hasher, from) = (ctx.state::<Hasher>(), ctx.request.client_address);
    match phc {
        Some(phc) => hasher.verify(from, password, phc).await,
        None => {
            let mac = ctx.app.keyring().mac("scheme of an unknown name", name.as_bytes());
            let point = mac.iter().take(8).fold(0, |point, byte| (point << 8) | u64::from(*byte));
            hasher.verify(from, password, &hasher.nobodys_hash(point)).await
        }
    }
}

/// Hashes a new password on the hashing threads.
pub(crate) async fn hash(ctx: &Ctx, password: &Password) -> Result<String> {
    ctx.state::<Hasher>().hash(ctx.request.client_address, password, ctx.app.random().bytes()).await
}
