//! Logging in by name and password.

use kernel::error::RATE_LIMITED;
use kernel::{AuditEntry, Ctx, Error, Result, Tx};

use crate::emails::address::EmailAddress;
use crate::logins::device::Device;
use crate::logins::store::{self, Found};
use crate::logins::throttle::{self, Admission, Guess};
use crate::passwords;
use crate::passwords::policy::check_not_too_long;
use crate::problems::{CHALLENGE_REQUIRED, INVALID_CREDENTIALS};
use crate::secrets::Password;
use crate::sessions::SessionKind;
use crate::sessions::service::{NewSession, Started};
use crate::users::UserStatus;
use crate::users::names::Username;

impl Found {
    fn is_active(&self) -> bool {
        UserStatus::parse(&self.status) == UserStatus::Active
    }
}

/// Checks name and password and starts a session; every failure is the same `invalid_credentials` (ENU-1).
///
/// `device` is the browser as its signed cookie names it. On a device of the owner's, who guesses elsewhere hinders nobody (LOG-2).
/// The cookie of a session that is remembered outlives the browser's own session.
pub(crate) async fn log_in(
    ctx: &Ctx,
    identifier: &str,
    password: &Password,
    kind: SessionKind,
    device: Option<Device>,
    is_remembered: bool,
) -> Result<Started> {
    check_not_too_long(password, "/password").map_err(|error| Error::invalid(vec![error]))?;
    let name = normalised(identifier);
    let found = find(ctx, identifier).await?;
    let device = device.filter(|device| found.as_ref().is_some_and(|found| found.user_id == device.user));
    let attempt = Attempt { subject: subject_of(ctx, &name, found.as_ref()), device, name };
    let (guess, admission) = match attempt.enter(ctx).await {
        Ok(entered) => entered,
        Err(error) => return attempt.turn_away(ctx, error).await,
    };
    let verdict = passwords::service::verify(ctx, password, found.as_ref().and_then(|found| found.phc.as_deref()), &attempt.name).await?;
    match found {
        Some(found) if verdict.matches && found.is_active() => {
            let upkeep = match (verdict.is_cut, verdict.needs_rehash) {
                (true, _) => Upkeep::DemandChange,
                (false, true) => Upkeep::Rehash(passwords::service::hash(ctx, password).await?),
                (false, false) => Upkeep::Nothing,
            };
            let device = attempt.device.map(|device| device.seen_again(ctx));
            let new = NewSession::new(ctx, found.user_id, kind, "password").on(device).remembered(is_remembered);
            admit(ctx, guess, found, upkeep, new).await
        }
        _ => {
            attempt.refuse(ctx, guess, admission).await?;
            Err(INVALID_CREDENTIALS.error())
        }
    }
}

/// One try at the door, as it is counted and audited (LOG-6).
struct Attempt {
    name: String,
    subject: String,
    /// The device, where it is one of the person's whose name was typed.
    device: Option<Device>,
}

impl Attempt {
    /// Lets the try through to the check of the password, or not.
    async fn enter(&self, ctx: &Ctx) -> Result<(Guess, Admission)> {
        if let Some(device) = &self.device {
            let guess = Guess::from_device(ctx, &self.name, device);
            match throttle::admit(ctx, &guess).await {
                // Too many failures on this device: it is trusted no more than any other.
                Err(error) if error.is(&CHALLENGE_REQUIRED) => {}
                outcome => return outcome.map(|admission| (guess, admission)),
            }
        }
        let guess = Guess::at_login(ctx, &self.name);
        let admission = throttle::admit(ctx, &guess).await?;
        Ok((guess, admission))
    }

    /// Audits a try whose password was not even looked at.
    async fn turn_away<T>(self, ctx: &Ctx, error: Error) -> Result<T> {
        if error.is(&RATE_LIMITED) || error.is(&CHALLENGE_REQUIRED) {
            let code = if error.is(&RATE_LIMITED) { RATE_LIMITED.code } else { CHALLENGE_REQUIRED.code };
            ctx.write(move |tx| self.audit(tx, code)).await?;
        }
        Err(error)
    }

    /// Counts and audits a failure.
    async fn refuse(self, ctx: &Ctx, guess: Guess, admission: Admission) -> Result<()> {
        let context = ctx.clone();
        ctx.write(move |tx| {
            throttle::note_failure(tx, &context, &guess, admission)?;
            self.audit(tx, INVALID_CREDENTIALS.code)
        })
        .await
    }

    fn audit(&self, tx: &mut Tx<'_, '_>, code: &str) -> Result<()> {
        let detail = serde_json::json!({ "method": "password", "device": self.device.as_ref().map(Device::label) });
        tx.audit(AuditEntry::refused("accounts.session.start", Some(&self.subject), code).with_detail(detail))
    }
}

/// Whom a try is about: a person, or an unknown name as a keyed hash, since people type passwords into that field (LOG-6).
fn subject_of(ctx: &Ctx, name: &str, found: Option<&Found>) -> String {
    use base64::Engine as _;
    match found {
        Some(found) => format!("user:{}", found.user_id),
        None => {
            let mac = ctx.app.keyring().mac("audited login name", name.as_bytes());
            format!("name:{}", base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(&mac[..16]))
        }
    }
}

/// What the throttle counts: the normal form of an address or username, or, marked, what was typed.
fn normalised(identifier: &str) -> String {
    if let Ok(email) = EmailAddress::parse(identifier) {
        return email.norm().to_owned();
    }
    Username::parse(identifier).map_or_else(|_| format!("?{identifier}"), |username| username.norm().to_owned())
}

async fn find(ctx: &Ctx, identifier: &str) -> Result<Option<Found>> {
    let (email, username) = (EmailAddress::parse(identifier), Username::parse(identifier));
    ctx.read(move |c| match (&email, &username) {
        (Ok(email), _) => Ok(store::find_by_email(c, email.norm())?),
        (_, Ok(username)) => Ok(store::find_by_username(c, username.norm())?),
        _ => Ok(None),
    })
    .await
}

/// What a login does to the stored hash.
enum Upkeep {
    Nothing,
    /// The same password with today's scheme and costs (PWD-5, PWD-8).
    Rehash(String),
    /// Its end was ignored so far; only its owner can say what it shall be (PWD-7).
    DemandChange,
}

async fn admit(ctx: &Ctx, guess: Guess, found: Found, upkeep: Upkeep, new: NewSession) -> Result<Started> {
    let must_change = found.must_change == Some(true) || matches!(upkeep, Upkeep::DemandChange);
    let new = std::sync::Arc::new(new);
    let session = new.clone();
    ctx.write(move |tx| {
        // Disabled meanwhile, or another password? Then this login never happened. A twin's rehash is no change.
        let person = store::lock_person(tx, found.user_id)?;
        if !person.is_some_and(|person| person.is_active() && person.changed_at == found.changed_at) {
            return Err(INVALID_CREDENTIALS.error());
        }
        throttle::clear(tx, &guess)?;
        match (&upkeep, found.phc.as_deref()) {
            (Upkeep::Rehash(new), Some(old)) => _ = passwords::store::rehash(tx, found.user_id, old, new)?,
            (Upkeep::DemandChange, Some(phc)) => passwords::store::demand_change(tx, found.user_id, phc)?,
            _ => {}
        }
        session.insert(tx)
    })
    .await?;
    Ok(Started { must_change, ..new.finish(ctx).await? })
}
