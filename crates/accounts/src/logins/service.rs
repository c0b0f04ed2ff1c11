//! Logging in by name and password.

use kernel::{AuditEntry, Ctx, Error, Result, UserId};

use crate::emails::address::EmailAddress;
use crate::hashing::Hasher;
use crate::logins::store::{self, Found};
use crate::logins::throttle::{self, Admission};
use crate::passwords;
use crate::passwords::policy::check_not_too_long;
use crate::problems::INVALID_CREDENTIALS;
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
/// The cookie of a session that is remembered outlives the browser's own session.
pub(crate) async fn log_in(ctx: &Ctx, identifier: &str, password: &Password, kind: SessionKind, is_remembered: bool) -> Result<Started> {
    check_not_too_long(password, "/password").map_err(|error| Error::invalid(vec![error]))?;
    let name = normalised(identifier);
    let admission = throttle::admit(ctx, &name).await?;
    let found = find(ctx, identifier).await?;
    let verdict = match found.as_ref().and_then(|found| found.phc.as_deref()) {
        Some(phc) => ctx.state::<Hasher>().verify(ctx.request.client_address, password, phc).await?,
        None => {
            ctx.state::<Hasher>().verify_nobody(ctx.request.client_address, password).await?;
            crate::hashing::Verdict { matches: false, needs_rehash: false }
        }
    };
    match found {
        Some(found) if verdict.matches && found.is_active() => {
            let rehashed = if verdict.needs_rehash { Some(passwords::service::hash(ctx, password).await?) } else { None };
            let session = NewSession::new(ctx, found.user_id, kind, "password").remembered(is_remembered);
            admit(ctx, name, found, rehashed, session).await
        }
        found => {
            refuse(ctx, name, admission, found.map(|found| found.user_id)).await?;
            Err(INVALID_CREDENTIALS.error())
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

async fn admit(ctx: &Ctx, name: String, found: Found, rehashed: Option<String>, new: NewSession) -> Result<Started> {
    let new = std::sync::Arc::new(new);
    let (context, session) = (ctx.clone(), new.clone());
    ctx.write(move |tx| {
        // Disabled meanwhile, or another password? Then this login never happened. A twin's rehash is no change.
        let person = store::lock_person(tx, found.user_id)?;
        if !person.is_some_and(|person| person.is_active() && person.changed_at == found.changed_at) {
            return Err(INVALID_CREDENTIALS.error());
        }
        throttle::clear(tx, &context, &name)?;
        if let (Some(old), Some(new)) = (&found.phc, &rehashed) {
            passwords::store::rehash(tx, found.user_id, old, new)?;
        }
        session.insert(tx)
    })
    .await?;
    new.finish(ctx).await
}

/// Audits the failure; an unknown name only as a keyed hash, since people type passwords into that field (LOG-6).
async fn refuse(ctx: &Ctx, name: String, admission: Admission, user: Option<UserId>) -> Result<()> {
    use base64::Engine as _;
    let subject = match user {
        Some(user) => format!("user:{user}"),
        None => {
            let mac = ctx.app.keyring().mac("audited login name", name.as_bytes());
            format!("name:{}", base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(&mac[..16]))
        }
    };
    let context = ctx.clone();
    ctx.write(move |tx| {
        throttle::note_failure(tx, &context, &name, admission)?;
        tx.audit(AuditEntry::refused("accounts.session.start", Some(&subject), INVALID_CREDENTIALS.code))
    })
    .await
}
