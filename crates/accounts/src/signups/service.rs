//! The verbs of sign-up: begin, mail again, complete.

use std::sync::Arc;
use std::time::Duration;

use kernel::{AuditEntry, Ctx, Error, FieldError, Result, Timestamp, Tx};
use serde::Serialize;

use crate::emails;
use crate::emails::address::EmailAddress;
use crate::events::SignupStarted;
use crate::hashing::Hasher;
use crate::logins::throttle;
use crate::passwords;
use crate::passwords::resemblance::Known;
use crate::problems::{SIGNUP_CLOSED, TOKEN_INVALID, TOKEN_SPENT};
use crate::roles;
use crate::secrets::{Code, Password, Token, is_same};
use crate::sessions::SessionKind;
use crate::sessions::service::{NewSession, Started};
use crate::settings::{AccountSettings, PageSettings, SignupMode};
use crate::signups::store::{self, NewSignup, Signup, SignupRow};
use crate::users::names::{DisplayName, Username};
use crate::users::{self, service::Creation};

/// How long a mailed sign-up token lives (RST-3).
const LIFE: Duration = Duration::from_secs(24 * 3600);
/// How often a code may be typed (RST-3).
const MAX_TRIES: i64 = 5;
/// Open sign-ups per address; the oldest goes first (accounts.md §13).
const MAX_OPEN: usize = 5;
/// The least time between two mails that tell somebody of their own account (ENU-3).
const MAIL_GAP: Duration = Duration::from_secs(10 * 60);
const RESEND_GAP: Duration = Duration::from_secs(60);
/// The mails that prove a mailbox, as they are counted (RST-9).
const SIGNUP_MAIL: &str = "sign-up";
/// Its name in the audit trail.
const BEGIN: &str = "accounts.signup.begin";

/// What whoever begins a sign-up gets: the handle, which with the mailed token completes it (SGN-3).
pub(crate) struct Begun {
    pub(crate) handle: Token,
    pub(crate) expires_at: Timestamp,
}

#[derive(Serialize)]
struct ConfirmMail<'a> {
    link: &'a str,
    code: &'a str,
    hours: u64,
}

#[derive(Serialize)]
struct ExistsMail<'a> {
    display_name: &'a str,
    link: &'a str,
}

/// Begins a sign-up. The answer, its time and its writes are the same for a free and for a taken address (ENU-3).
pub(crate) async fn begin(ctx: &Ctx, email: EmailAddress, password: Option<Password>, locale: Option<String>) -> Result<Begun> {
    let settings = ctx.settings::<AccountSettings>();
    if matches!(settings.signup, SignupMode::Closed | SignupMode::Invite) {
        return Err(SIGNUP_CLOSED.error());
    }
    if settings.signup == SignupMode::Domains && !settings.signup_domains.iter().any(|domain| email.is_of(domain)) {
        return Err(SIGNUP_CLOSED.because("Only addresses of certain domains can sign up here."));
    }
    if let Some(password) = &password {
        passwords::service::check_new(ctx, password, "/password", &Known::of_site(ctx).and_email(&email))?;
    }
    let phc = match &password {
        Some(password) => Some(passwords::service::hash(ctx, password).await?),
        None => None,
    };
    let begun = Begun { handle: Token::generate(ctx.app.random()), expires_at: ctx.now() + LIFE };
    let (token, code) = (Token::generate(ctx.app.random()), Code::generate(ctx.app.random()));
    let (handle_hash, expires_at, context) = (begun.handle.hash(), begun.expires_at, ctx.clone());
    let locale = locale.unwrap_or_else(|| ctx.request.locale.clone());
    ctx.write(move |tx| {
        // Counted before anybody is looked up, so that a taken address uses up as much as a free one.
        let may_mail = throttle::may_mail(tx, &context, SIGNUP_MAIL, email.norm(), throttle::MAIL_GAP)?;
        let open = store::open_ids(tx, email.norm(), context.now())?;
        for id in open.iter().take((open.len() + 1).saturating_sub(MAX_OPEN)) {
            store::consume(tx, *id, context.now())?;
        }
        let id = context.new_id();
        let new = NewSignup {
            id,
            email: email.stored(),
            email_norm: email.norm(),
            handle_hash,
            token_hash: token.hash(),
            code_mac: code_mac(&context, &code),
            password_phc: phc.as_deref(),
            locale: &locale,
            mailed_at: if may_mail { context.now() } else { store::NEVER_MAILED },
            expires_at,
        };
        store::insert(tx, &new, context.now())?;
        // It waits like any other, so that its handle behaves like any other; what completes it is mailed to nobody.
        if let Some(owner) = users::store::id_by_email(tx, email.norm())? {
            return tell_owner(tx, &context, owner, BEGIN);
        }
        if may_mail {
            mail_proof(tx, &context, email.stored(), &locale, &token, &code)?;
        }
        tx.record(&SignupStarted { signup_id: id.uuid() })?;
        tx.audit(AuditEntry::ok(BEGIN, &format!("signup:{id}")))
    })
    .await?;
    Ok(begun)
}

fn code_mac(ctx: &Ctx, code: &Code) -> [u8; 32] {
    code.mac(|letters| ctx.app.keyring().mac("sign-up code", letters))
}

fn mail_proof(tx: &mut Tx<'_, '_>, ctx: &Ctx, to: &str, locale: &str, token: &Token, code: &Code) -> Result<()> {
    let page = &ctx.settings::<PageSettings>().complete;
    let base = if page.is_empty() { format!("{}/account/complete", ctx.app.public_url()) } else { page.clone() };
    let link = format!("{base}#{}", token.as_str());
    tx.mail("accounts/confirm_signup", to, locale, &ConfirmMail { link: &link, code: &code.grouped(), hours: LIFE.as_secs() / 3600 })
}

/// The address has an account: its owner is told, at most once in ten minutes, and the caller learns nothing.
pub(crate) fn tell_owner(tx: &mut Tx<'_, '_>, ctx: &Ctx, owner: kernel::UserId, action: &'static str) -> Result<()> {
    let Some(user) = users::store::find(tx, owner)? else { return Ok(()) };
    if throttle::may_mail(tx, ctx, "already have an account", &user.email, MAIL_GAP)? {
        let link = format!("{}/account/login", ctx.app.public_url());
        tx.mail("accounts/already_have_account", &user.email, &user.locale, &ExistsMail { display_name: &user.display_name, link: &link })?;
    }
    tx.audit(AuditEntry::refused(action, Some(&format!("user:{owner}")), "address_taken"))
}

/// Mails a new token and code for an open sign-up, at most once a minute; says nothing either way (ENU-4).
pub(crate) async fn resend(ctx: &Ctx, handle: &str) -> Result<()> {
    let Some(handle) = Token::parse(handle) else { return Ok(()) };
    let (token, code) = (Token::generate(ctx.app.random()), Code::generate(ctx.app.random()));
    let (hash, context, now) = (handle.hash(), ctx.clone(), ctx.now());
    ctx.write(move |tx| {
        let Some(row) = store::find_by_handle(tx, &hash)? else { return Ok(()) };
        if row.used_at.is_some() || now >= row.expires_at || now.since(row.mailed_at) < RESEND_GAP {
            return Ok(());
        }
        if !throttle::may_mail(tx, &context, SIGNUP_MAIL, &row.email_norm, throttle::MAIL_GAP)? {
            return Ok(());
        }
        store::renew(tx, row.id, &token.hash(), &code_mac(&context, &code), now)?;
        if let Some(owner) = users::store::id_by_email(tx, &row.email_norm)? {
            return tell_owner(tx, &context, owner, BEGIN);
        }
        mail_proof(tx, &context, &row.email, &row.locale, &token, &code)
    })
    .await
}

/// What completes a sign-up: the mailed token or code, and the handle or the password chosen at sign-up (SGN-3).
pub(crate) struct Completion {
    pub(crate) token: Option<String>,
    pub(crate) code: Option<String>,
    pub(crate) handle: Option<String>,
    pub(crate) password: Option<Password>,
    pub(crate) username: Option<Username>,
    pub(crate) display_name: Option<DisplayName>,
}

/// Makes the account, exactly once however many try, and logs it in (RST-2).
pub(crate) async fn complete(ctx: &Ctx, completion: Completion, kind: SessionKind) -> Result<Started> {
    let row = prove_mailbox(ctx, &completion).await?;
    let has_handle = completion.handle.as_deref().and_then(Token::parse).is_some_and(|handle| is_same(&handle.hash(), &row.handle_hash));
    let email = EmailAddress::parse(&row.email).map_err(|_| Error::internal("a pending address cannot be read"))?;
    let phc = choose_password(ctx, &completion, &row, &email, has_handle).await?;
    let user_id = ctx.new_id();
    let session = Arc::new(NewSession::new(ctx, user_id, kind, "signup"));
    let (context, new_session, id, now) = (ctx.clone(), session.clone(), row.id, ctx.now());
    if completion.username.is_some() {
        users::service::check_taken(ctx, &row.email_norm).await?;
    }
    let locale = row.locale.clone();
    let written = ctx
        .write(move |tx| {
            if !store::consume(tx, id, now)? {
                return Err(TOKEN_SPENT.error());
            }
            // Another sign-up for the address may have been completed; then this one proves nothing any more.
            if users::store::id_by_email(tx, email.norm())?.is_some() {
                return Err(TOKEN_SPENT.error());
            }
            store::void(tx, email.norm(), now)?;
            emails::store::end_all_to(tx, email.norm(), now)?;
            let new = Creation {
                id: user_id,
                email: &email,
                verified_by: "mail",
                username: completion.username.as_ref(),
                display_name: completion.display_name.as_ref().map_or_else(|| local_part(&email), DisplayName::as_str),
                locale: &locale,
                role: roles::MEMBER,
            };
            create(tx, &context, &new)?;
            if let Some(phc) = &phc {
                passwords::store::set(tx, user_id, phc, now)?;
            }
            new_session.insert(tx)
        })
        .await;
    users::service::count_taken(ctx, &row.email_norm, written).await?;
    session.finish(ctx).await
}

/// Makes the account; when somebody was faster with the address, the proof is spent.
pub(crate) fn create(tx: &mut Tx<'_, '_>, ctx: &Ctx, new: &Creation<'_>) -> Result<()> {
    match users::service::create(tx, ctx, new) {
        Err(error) if is_address_taken(&error) => Err(TOKEN_SPENT.error()),
        outcome => outcome,
    }
}

fn is_address_taken(error: &Error) -> bool {
    use db::TransactionError as _;
    error.db_error().is_some_and(|error| error.is_unique("accounts_user_emails_email_norm"))
}

pub(crate) fn local_part(email: &EmailAddress) -> &str {
    let name = email.stored().split('@').next().unwrap_or_default();
    let end = name.char_indices().nth(80).map_or(name.len(), |(index, _)| index);
    &name[..end]
}

/// Finds the sign-up by its mailed token, or by its handle and the mailed code.
async fn prove_mailbox(ctx: &Ctx, completion: &Completion) -> Result<SignupRow> {
    let row = match (&completion.token, &completion.code) {
        (Some(token), None) => {
            let hash = Token::parse(token).ok_or(&TOKEN_INVALID)?.hash();
            ctx.read(move |c| Ok(store::find_by_token(c, &hash)?)).await?.ok_or(&TOKEN_INVALID)?
        }
        (None, Some(code)) => by_code(ctx, code, completion.handle.as_deref()).await?,
        _ => {
            let field = FieldError::body("/token", "required", "Send the mailed token or the mailed code, one of them.");
            return Err(Error::invalid(vec![field]));
        }
    };
    if row.used_at.is_some() || ctx.now() >= row.expires_at { Err(TOKEN_SPENT.error()) } else { Ok(row) }
}

async fn by_code(ctx: &Ctx, typed: &str, handle: Option<&str>) -> Result<SignupRow> {
    let hash = handle.and_then(Token::parse).ok_or(&TOKEN_INVALID)?.hash();
    let row = ctx.read(move |c| Ok(store::find_by_handle(c, &hash)?)).await?.ok_or(&TOKEN_INVALID)?;
    let id: kernel::Id<Signup> = row.id;
    let may_try = ctx.write(move |tx| Ok(store::count_try(tx, id, MAX_TRIES)?)).await?;
    if !may_try {
        return Err(TOKEN_SPENT.because("The code was typed wrong too often. Ask for a new mail."));
    }
    let code = Code::parse(typed).ok_or(&TOKEN_INVALID)?;
    if is_same(&code_mac(ctx, &code), &row.code_mac) { Ok(row) } else { Err(TOKEN_INVALID.error()) }
}

/// The hash for the account: the one chosen at sign-up, or a first one set now by whoever holds the handle.
///
/// The password of the sign-up was compared with the address then; the username comes only now, and is compared when both are at hand.
async fn choose_password(
    ctx: &Ctx,
    completion: &Completion,
    row: &SignupRow,
    email: &EmailAddress,
    has_handle: bool,
) -> Result<Option<String>> {
    let known = || {
        let known = Known::of_site(ctx).and_email(email);
        completion.username.iter().fold(known, |known, username| known.and_username(username.norm()))
    };
    match (&row.password_phc, &completion.password, has_handle) {
        (phc, _, true) if phc.is_some() => Ok(phc.clone()),
        (None, Some(password), true) => {
            passwords::service::check_new(ctx, password, "/password", &known())?;
            passwords::service::hash(ctx, password).await.map(Some)
        }
        (None, None, true) => Ok(None),
        (Some(phc), Some(password), false) => {
            passwords::policy::check_not_too_long(password, "/password").map_err(|error| Error::invalid(vec![error]))?;
            let verdict = ctx.state::<Hasher>().verify(ctx.request.client_address, password, phc).await?;
            if !verdict.matches {
                return Err(TOKEN_INVALID.error());
            }
            passwords::service::check_new(ctx, password, "/password", &known())?;
            Ok(Some(phc.clone()))
        }
        _ => Err(TOKEN_INVALID.error()),
    }
}
