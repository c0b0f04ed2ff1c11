//! The verbs of second factors: enrol, confirm, remove, make new recovery codes, prove.

use fast_qr::convert::Builder as _;
use fast_qr::convert::svg::SvgBuilder;
use fast_qr::{ECL, QRBuilder};
use kernel::error::{ALREADY_EXISTS, INVALID_STATE, NOT_FOUND};
use kernel::{AuditEntry, Ctx, Error, Result, Timestamp, Tx, UserId};
use serde::Serialize;
use zeroize::Zeroizing;

use crate::events::{MfaEnrolled, MfaRemoved, RecoveryCodeUsed};
use crate::logins::throttle;
use crate::mfa::recovery::RecoveryCode;
use crate::mfa::totp::Seed;
use crate::mfa::{Method, store};
use crate::problems::CODE_INVALID;
use crate::settings::{MfaSettings, SessionSettings};
use crate::{passwords, sessions, users};

/// What a person has beside the password.
pub(crate) struct Factors {
    /// Since when the authenticator app counts.
    pub(crate) totp_since: Option<Timestamp>,
    pub(crate) codes_left: usize,
}

/// A seed to be put into an authenticator app; shown once.
pub(crate) struct Enrolment {
    pub(crate) secret: Zeroizing<String>,
    pub(crate) uri: Zeroizing<String>,
}

impl Enrolment {
    /// A QR code of the address, as SVG, with the quiet zone that readers want.
    pub(crate) fn qr_svg(&self) -> Result<String> {
        let code = QRBuilder::new(self.uri.as_str()).ecl(ECL::M).build();
        Ok(SvgBuilder::default().margin(4).to_str(&code.map_err(|error| Error::internal(format!("{error:?}")))?))
    }
}

/// The codes a person writes down; shown once.
pub(crate) type ShownCodes = Vec<Zeroizing<String>>;

fn seal_context(user: UserId) -> String {
    format!("accounts_totp_factors.seed/{user}")
}

fn subject(user: UserId) -> String {
    format!("user:{user}")
}

/// The caller's second factors.
pub(crate) async fn mine(ctx: &Ctx) -> Result<Factors> {
    let user = ctx.actor.user_id()?;
    ctx.read(move |c| {
        let totp_since = store::find_factor(c, user)?.and_then(|factor| factor.confirmed_at);
        Ok(Factors { totp_since, codes_left: store::codes_left(c, user)? })
    })
    .await
}

/// Makes a seed for the caller, who logged in a moment ago; it counts once a code of it is typed (MFA-3).
pub(crate) async fn enrol(ctx: &Ctx) -> Result<Enrolment> {
    ctx.require_recent(*ctx.settings::<SessionSettings>().fresh_auth)?;
    let (user, now) = (ctx.actor.user_id()?, ctx.now());
    let seed = Seed::generate(ctx.app.random());
    let sealed = ctx.app.keyring().seal(ctx.app.random(), &seal_context(user), seed.as_bytes());
    let context = ctx.clone();
    let person = ctx
        .write(move |tx| {
            // Two at once take turns; the one that comes last is the one that counts.
            let person = sessions::service::lock_caller(tx, &context)?;
            if store::has_factor(tx, user)? {
                return Err(ALREADY_EXISTS.because("There is an authenticator already; remove it first."));
            }
            store::delete_unconfirmed(tx, user)?;
            store::insert_factor(tx, user, &sealed, now)?;
            Ok(person)
        })
        .await?;
    Ok(Enrolment { secret: seed.base32(), uri: seed.uri(&site(ctx), &person.email)? })
}

/// The name of the site as an authenticator app shows it: its host.
fn site(ctx: &Ctx) -> String {
    let url = url::Url::parse(&ctx.app.public_url()).ok();
    url.as_ref().and_then(url::Url::host_str).unwrap_or("Undercroft").to_owned()
}

/// Makes the caller's seed count, which a code of it shows to be in the app; answers ten recovery codes (MFA-3, MFA-4).
pub(crate) async fn confirm(ctx: &Ctx, code: &str) -> Result<ShownCodes> {
    ctx.require_recent(*ctx.settings::<SessionSettings>().fresh_auth)?;
    let (user, now) = (ctx.actor.user_id()?, ctx.now());
    let factor = ctx.read(move |c| Ok(store::find_factor(c, user)?)).await?.ok_or(&NOT_FOUND)?;
    if factor.confirmed_at.is_some() {
        return Err(ALREADY_EXISTS.because("The authenticator counts already."));
    }
    let step = unsealed(ctx, user, &factor.seed_sealed)?.step_of(code, now, is_strict(ctx))?.ok_or(&CODE_INVALID)?;
    let (shown, hashed) = new_codes(ctx).await?;
    let context = ctx.clone();
    ctx.write(move |tx| {
        sessions::service::lock_caller(tx, &context)?;
        if !store::confirm(tx, user, &factor.seed_sealed, step, now)? {
            return Err(INVALID_STATE.because("Another authenticator was set up meanwhile."));
        }
        store::replace_codes(tx, user, &hashed, now)?;
        tell(tx, &context, user, "accounts/factor_added")?;
        tx.record(&MfaEnrolled { user_id: user.uuid(), method: Method::Totp.as_str().to_owned() })?;
        tx.audit(AuditEntry::ok("accounts.mfa.enrol", &subject(user)))
    })
    .await?;
    Ok(shown)
}

/// Removes the caller's authenticator, who logged in a moment ago, and the recovery codes with it.
pub(crate) async fn remove(ctx: &Ctx) -> Result<()> {
    ctx.require_recent(*ctx.settings::<SessionSettings>().fresh_auth)?;
    let user = ctx.actor.user_id()?;
    let context = ctx.clone();
    ctx.write(move |tx| {
        sessions::service::lock_caller(tx, &context)?;
        remove_in(tx, &context, user, "accounts.mfa.remove")
    })
    .await
}

/// Removes a person's second factor for them: for whoever runs the server and knows who is asking.
pub(crate) async fn reset(ctx: &Ctx, user: UserId) -> Result<()> {
    let context = ctx.clone();
    ctx.write(move |tx| remove_in(tx, &context, user, "accounts.mfa.reset")).await
}

fn remove_in(tx: &mut Tx<'_, '_>, ctx: &Ctx, user: UserId, action: &'static str) -> Result<()> {
    if !store::delete_factor(tx, user)? {
        return Err(NOT_FOUND.because("There is no authenticator."));
    }
    store::delete_codes(tx, user)?;
    tell(tx, ctx, user, "accounts/factor_removed")?;
    tx.record(&MfaRemoved { user_id: user.uuid(), method: Method::Totp.as_str().to_owned() })?;
    tx.audit(AuditEntry::ok(action, &subject(user)))
}

/// Makes ten new recovery codes for the caller, who logged in a moment ago; the old ones are void (MFA-4).
pub(crate) async fn renew_codes(ctx: &Ctx) -> Result<ShownCodes> {
    ctx.require_recent(*ctx.settings::<SessionSettings>().fresh_auth)?;
    let (user, now) = (ctx.actor.user_id()?, ctx.now());
    if !ctx.read(move |c| Ok(store::has_factor(c, user)?)).await? {
        return Err(INVALID_STATE.because("Recovery codes stand for an authenticator; set one up first."));
    }
    let (shown, hashed) = new_codes(ctx).await?;
    let context = ctx.clone();
    ctx.write(move |tx| {
        sessions::service::lock_caller(tx, &context)?;
        if !store::has_factor(tx, user)? {
            return Err(INVALID_STATE.because("The authenticator was removed meanwhile."));
        }
        store::replace_codes(tx, user, &hashed, now)?;
        tx.audit(AuditEntry::ok("accounts.mfa.renew_codes", &subject(user)))
    })
    .await?;
    Ok(shown)
}

/// Ten codes as they are shown, and as selector and hash.
async fn new_codes(ctx: &Ctx) -> Result<(ShownCodes, Vec<(String, String)>)> {
    let (mut shown, mut hashed) = (Vec::new(), Vec::new());
    for code in RecoveryCode::generate(ctx.app.random()) {
        shown.push(code.grouped());
        let phc = passwords::service::hash(ctx, &code.secret()).await?;
        hashed.push((code.selector, phc));
    }
    Ok((shown, hashed))
}

fn unsealed(ctx: &Ctx, user: UserId, sealed: &[u8]) -> Result<Seed> {
    Seed::from_bytes(&ctx.app.keyring().open(&seal_context(user), sealed)?)
}

fn is_strict(ctx: &Ctx) -> bool {
    ctx.settings::<MfaSettings>().totp_strict
}

/// A right code that nobody has used up yet.
pub(crate) enum Proof {
    Totp { step: i64 },
    RecoveryCode { selector: String, phc: String },
}

/// Compares a typed code with what the person has; a wrong one is none.
pub(crate) async fn prove(ctx: &Ctx, user: UserId, method: Method, code: &str) -> Result<Option<Proof>> {
    match method {
        Method::Totp => {
            let factor = ctx.read(move |c| Ok(store::find_factor(c, user)?)).await?.filter(|factor| factor.confirmed_at.is_some());
            let Some(factor) = factor else { return Ok(None) };
            let step = unsealed(ctx, user, &factor.seed_sealed)?.step_of(code, ctx.now(), is_strict(ctx))?;
            Ok(step.map(|step| Proof::Totp { step }))
        }
        Method::RecoveryCode => {
            let Some(code) = RecoveryCode::parse(code) else { return Ok(None) };
            let selector = code.selector.clone();
            let found = ctx.read(move |c| Ok(store::find_code(c, user, &selector)?)).await?;
            // Letters that no code begins with take as long as those of one that does.
            let verdict = passwords::service::verify(ctx, &code.secret(), found.as_deref(), &code.selector).await?;
            Ok(found.filter(|_| verdict.matches).map(|phc| Proof::RecoveryCode { selector: code.selector, phc }))
        }
    }
}

impl Proof {
    /// Uses the code up in the caller's transaction: `mfa_code_invalid` if somebody was faster.
    pub(crate) fn take(&self, tx: &mut Tx<'_, '_>, ctx: &Ctx, user: UserId) -> Result<()> {
        match self {
            Proof::Totp { step } if store::take_step(tx, user, *step)? => Ok(()),
            Proof::RecoveryCode { selector, phc } if store::use_code(tx, user, selector, phc, ctx.now())? => {
                let left = store::codes_left(tx, user)?;
                let person = users::store::find(tx, user)?.ok_or(&NOT_FOUND)?;
                let data = CodeUsedMail { display_name: &person.display_name, at: ctx.now(), left };
                tx.mail("accounts/recovery_code_used", &person.email, &person.locale, &data)?;
                tx.record(&RecoveryCodeUsed { user_id: user.uuid(), codes_left: i64::try_from(left).map_err(Error::internal)? })?;
                tx.audit(AuditEntry::ok("accounts.recovery_code.use", &subject(user)))
            }
            _ => Err(CODE_INVALID.error()),
        }
    }
}

/// Checks a code of the caller's, counting failures over all their challenges, and uses it up with what `then` does.
pub(crate) async fn verify_own<T: Send + 'static>(
    ctx: &Ctx,
    method: Method,
    code: &str,
    then: impl Fn(&mut Tx<'_, '_>) -> Result<T> + Send + Sync + 'static,
) -> Result<T> {
    let user = ctx.actor.user_id()?;
    let guess = throttle::Guess::at_second_factor(ctx, user);
    let admission = throttle::admit(ctx, &guess).await?;
    let context = ctx.clone();
    let Some(proof) = prove(ctx, user, method, code).await? else {
        ctx.write(move |tx| throttle::note_failure(tx, &context, &guess, admission)).await?;
        return Err(CODE_INVALID.error());
    };
    ctx.write(move |tx| {
        proof.take(tx, &context, user)?;
        throttle::clear(tx, &guess)?;
        then(tx)
    })
    .await
}

#[derive(Serialize)]
struct FactorMail<'a> {
    display_name: &'a str,
    at: Timestamp,
}

#[derive(Serialize)]
struct CodeUsedMail<'a> {
    display_name: &'a str,
    at: Timestamp,
    left: usize,
}

fn tell(tx: &mut Tx<'_, '_>, ctx: &Ctx, user: UserId, template: &'static str) -> Result<()> {
    let person = users::store::find(tx, user)?.ok_or(&NOT_FOUND)?;
    tx.mail(template, &person.email, &person.locale, &FactorMail { display_name: &person.display_name, at: ctx.now() })
}
