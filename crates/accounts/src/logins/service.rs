//! Logging in by name and password.

use kernel::{AuditEntry, Ctx, Error, Result, UserId};

use crate::emails::address::EmailAddress;
use crate::hashing::Hasher;
use crate::logins::throttle::{self, Admission};
use crate::passwords;
use crate::passwords::policy::check_not_too_long;
use crate::problems::INVALID_CREDENTIALS;
use crate::secrets::Password;
use crate::sessions::SessionKind;
use crate::sessions::service::{NewSession, Started};
use crate::users::names::Username;
use crate::users::{self, UserStatus};

/// Who was found under the typed name, if anybody: with the hash, and whether the account may log in.
struct Found {
    user: UserId,
    phc: Option<String>,
    is_active: bool,
}

/// Checks name and password and starts a session; every failure is the same `invalid_credentials` (ENU-1).
pub(crate) async fn log_in(ctx: &Ctx, identifier: &str, password: &Password, kind: SessionKind) -> Result<Started> {
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
        Some(found) if verdict.matches && found.is_active => {
            let rehashed = if verdict.needs_rehash { Some(passwords::service::hash(ctx, password).await?) } else { None };
            admit(ctx, name, found, rehashed, kind).await
        }
        found => {
            refuse(ctx, name, admission, found.map(|found| found.user)).await?;
            Err(INVALID_CREDENTIALS.error())
        }
    }
}

/// What the throttle counts: the normal form of an address or username, or what was typed.
fn normalised(identifier: &str) -> String {
    if let Ok(email) = EmailAddress::parse(identifier) {
        return email.norm().to_owned();
    }
    Username::parse(identifier).map_or_else(|_| identifier.to_owned(), |username| username.norm().to_owned())
}

async fn find(ctx: &Ctx, identifier: &str) -> Result<Option<Found>> {
    let identifier = identifier.to_owned();
    ctx.read(move |c| {
        let Some(id) = users::service::find_login_name(c, &identifier)? else { return Ok(None) };
        let Some(user) = users::store::find(c, id)? else { return Ok(None) };
        let phc = passwords::store::find(c, id)?;
        Ok(Some(Found { user: id, phc, is_active: user.status == UserStatus::Active }))
    })
    .await
}

async fn admit(ctx: &Ctx, name: String, found: Found, rehashed: Option<String>, kind: SessionKind) -> Result<Started> {
    let new = std::sync::Arc::new(NewSession::new(ctx, found.user, kind, "password"));
    let (context, session) = (ctx.clone(), new.clone());
    ctx.write(move |tx| {
        throttle::clear(tx, &context, &name)?;
        if let (Some(old), Some(new)) = (&found.phc, &rehashed) {
            passwords::store::rehash(tx, found.user, old, new)?;
        }
        // Disabled meanwhile? Then this login never happened.
        let is_active = users::store::find(tx, found.user)?.is_some_and(|user| user.status == UserStatus::Active);
        if !is_active {
            return Err(INVALID_CREDENTIALS.error());
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
