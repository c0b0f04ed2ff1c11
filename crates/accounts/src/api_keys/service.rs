//! The verbs of personal keys: make, authenticate, list, revoke.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use db::OnViolation as _;
use kernel::error::{NOT_FOUND, QUOTA_EXCEEDED, UNAUTHENTICATED, UNAVAILABLE};
use kernel::page::{CursorValue, KeyKind, Keyset, Page, PageRequest, SortKey};
use kernel::{Actor, App, AuditEntry, Ctx, Error, FieldError, Id, Identity, LogAndContinue as _, Result, Timestamp, Tx, UserId};
use serde::Serialize;

use crate::api_keys::{ApiKey, ApiKeyRecord, KeyText, MAX_KEYS, store};
use crate::events::{ApiKeyCreated, ApiKeyRevoked};
use crate::permissions::REVOKE_API_KEYS;
use crate::roles;
use crate::secrets::is_same;
use crate::sessions::service::lookup_context;
use crate::sessions::{CachedKey, SessionCache};
use crate::settings::{SessionSettings, TokenSettings};
use crate::users::{self, UserStatus};

const DAY: Duration = Duration::from_secs(24 * 3600);
/// How long a key of an administrator may last: ten years.
const ADMIN_MAX: Duration = Duration::from_secs(3650 * 24 * 3600);
/// How often the last use of a key is written down.
const TOUCH_EVERY: Duration = Duration::from_secs(5 * 60);
const SORT_KEYS: &[SortKey] = &[SortKey { name: "created_at", column: "created_at", kind: KeyKind::Int }];

#[derive(Serialize)]
struct CreatedMail<'a> {
    display_name: &'a str,
    name: &'a str,
    expires_at: Timestamp,
}

/// Makes a key of scopes that the caller holds; its text is told once (KEY-1, ADM-3). Needs a recent login (SES-10).
pub(crate) async fn create(ctx: &Ctx, name: String, scopes: Vec<String>, expires_at: Option<Timestamp>) -> Result<(ApiKeyRecord, KeyText)> {
    ctx.require_recent(*ctx.settings::<SessionSettings>().fresh_auth)?;
    let user = ctx.actor.user_id()?;
    let (scopes, expires_at) = checked(ctx, scopes, expires_at)?;
    let (key, now) = (KeyText::generate(ctx.app.random()), ctx.now());
    let record = ApiKeyRecord {
        id: ctx.new_id(),
        public_id: key.public_id().to_owned(),
        user_id: user,
        name,
        scopes,
        created_at: now,
        expires_at,
        last_used_at: None,
    };
    let (new, hash) = (record.clone(), key.hash());
    ctx.write(move |tx| {
        users::store::lock(tx, user)?;
        if store::some_live(tx, user, now, MAX_KEYS)?.len() >= MAX_KEYS {
            return Err(QUOTA_EXCEEDED.because(format!("A person can have {MAX_KEYS} keys.")));
        }
        let person = users::store::find(tx, user)?.ok_or(&NOT_FOUND)?;
        store::insert(tx, &new, &hash).on_unique("accounts_api_keys_public", || UNAVAILABLE.error().retry_after(1))?;
        let data = CreatedMail { display_name: &person.display_name, name: &new.name, expires_at };
        tx.mail("accounts/api_key_created", &person.email, &person.locale, &data)?;
        tx.record(&ApiKeyCreated { key_id: new.id.uuid(), user_id: user.uuid() })?;
        tx.audit(AuditEntry::ok("accounts.api_key.create", &subject(new.id)).with_detail(serde_json::json!({ "scopes": new.scopes })))
    })
    .await?;
    Ok((record, key))
}

fn subject(id: Id<ApiKey>) -> String {
    format!("api_key:{id}")
}

/// The scopes sorted and the end of the key, or everything that is wrong with them.
fn checked(ctx: &Ctx, mut scopes: Vec<String>, expires_at: Option<Timestamp>) -> Result<(Vec<String>, Timestamp)> {
    let is_held =
        |scope: &str| ctx.app.plan().permissions().any(|permission| permission.name == scope) && ctx.actor.permissions().allow_name(scope);
    let mut errors: Vec<FieldError> = scopes
        .iter()
        .enumerate()
        .filter(|(_, scope)| !is_held(scope))
        .map(|(index, _)| FieldError::body(format!("/scopes/{index}"), "scope_not_allowed", "This is no permission that you hold."))
        .collect();
    let (now, settings) = (ctx.now(), ctx.settings::<TokenSettings>());
    let most = if ctx.actor.may(&REVOKE_API_KEYS) { ADMIN_MAX } else { DAY * settings.api_key_max_days };
    let expires_at = expires_at.unwrap_or(now + DAY * settings.api_key_default_days.min(settings.api_key_max_days));
    if expires_at <= now || expires_at > now + most {
        let detail = format!("Between now and {} days from now.", most.as_secs() / DAY.as_secs());
        errors.push(FieldError::body("/expires_at", "out_of_range", detail));
    }
    scopes.sort_unstable();
    scopes.dedup();
    if errors.is_empty() { Ok((scopes, expires_at)) } else { Err(Error::invalid(errors)) }
}

/// The program behind a key; what cannot be a key is refused without asking the database.
pub(crate) async fn authenticate(app: &App, text: &str, from: IpAddr) -> Result<Actor> {
    let key = KeyText::parse(text).ok_or(&UNAUTHENTICATED)?;
    let (now, cache) = (app.clock().now(), app.state::<SessionCache>());
    let cached = match cache.key(key.public_id(), now) {
        Some(cached) => cached,
        None => load(app, key.public_id()).await?,
    };
    if !is_same(&cached.hash, &key.hash()) {
        return Err(UNAUTHENTICATED.error());
    }
    touch(app, &cached, from).await;
    Ok(cached.actor.clone())
}

async fn load(app: &App, public_id: &str) -> Result<Arc<CachedKey>> {
    let (now, generation, wanted) = (app.clock().now(), app.state::<SessionCache>().generation(), public_id.to_owned());
    let found = app.db().read(move |c| {
        let Some((key, hash)) = store::find_live(c, &wanted, now)? else { return Ok::<_, Error>(None) };
        let user = users::store::find(c, key.user_id)?.filter(|user| user.status == UserStatus::Active);
        let owner = roles::service::permissions_of(c, key.user_id)?;
        Ok(user.map(|_| (key, hash, owner)))
    });
    let (key, hash, owner) = found.await?.ok_or(&UNAUTHENTICATED)?;
    // No login is recent behind a key. Its administrative scopes were granted when it was made, right after one (SES-3, SES-10).
    let identity = Identity {
        user_id: key.user_id,
        session_id: Id::from_uuid(key.id.uuid()),
        authenticated_at: Timestamp::from_millis(0),
        admin_until: Some(key.expires_at),
    };
    let actor = Actor::api_key(Arc::new(identity), owner, key.scopes.iter().map(String::as_str));
    let cached = CachedKey {
        id: key.id,
        user_id: key.user_id,
        hash,
        actor,
        expires_at: key.expires_at,
        last_used_at: key.last_used_at,
        loaded_at: now,
    };
    let cached = Arc::new(cached);
    app.state::<SessionCache>().store_key(generation, &key.public_id, cached.clone());
    Ok(cached)
}

/// Writes down that the key was used, at most every few minutes.
async fn touch(app: &App, cached: &CachedKey, from: IpAddr) {
    let now = app.clock().now();
    if cached.last_used_at.is_some_and(|used| now.since(used) < TOUCH_EVERY) {
        return;
    }
    let id = cached.id;
    let written = lookup_context(app, from).write(move |tx| Ok(store::touch(tx, id, now)?)).await;
    written.log_and_continue("noting that a key was used");
    app.state::<SessionCache>().forget_key(id);
}

/// One page of the caller's keys, newest first.
pub(crate) async fn list_mine(ctx: &Ctx, request: PageRequest) -> Result<Page<ApiKeyRecord>> {
    list(ctx, Some(ctx.actor.user_id()?), "listMyApiKeys", request).await
}

/// One page of everybody's keys, newest first.
pub(crate) async fn list_all(ctx: &Ctx, request: PageRequest) -> Result<Page<ApiKeyRecord>> {
    list(ctx, None, "listApiKeys", request).await
}

async fn list(ctx: &Ctx, user: Option<UserId>, operation: &str, request: PageRequest) -> Result<Page<ApiKeyRecord>> {
    let keyset = Keyset::parse(ctx, SORT_KEYS, "-created_at", None, operation, "", &request)?;
    let place = keyset.clone();
    let keys = ctx.read(move |c| Ok(store::list(c, user, &place)?)).await?;
    Ok(keyset.page(ctx, keys, |key| (CursorValue::Int(key.created_at.as_millis()), key.id.uuid())))
}

/// Ends one of the caller's keys; another person's is not found (ENU-8).
pub(crate) async fn revoke_mine(ctx: &Ctx, id: Id<ApiKey>) -> Result<()> {
    let (user, now) = (ctx.actor.user_id()?, ctx.now());
    ctx.write(move |tx| revoke(tx, user, id, now)).await
}

/// Ends anybody's key; only an owner ends an owner's.
pub(crate) async fn revoke_any(ctx: &Ctx, id: Id<ApiKey>) -> Result<()> {
    let (context, now) = (ctx.clone(), ctx.now());
    ctx.write(move |tx| {
        let user = store::owner_of(tx, id)?.ok_or(&NOT_FOUND)?;
        roles::service::require_may_act_on(tx, &context, user)?;
        revoke(tx, user, id, now)
    })
    .await
}

fn revoke(tx: &mut Tx<'_, '_>, user: UserId, id: Id<ApiKey>, now: Timestamp) -> Result<()> {
    if !store::revoke(tx, user, id, now)? {
        return Err(NOT_FOUND.error());
    }
    tx.record(&ApiKeyRevoked { key_id: Some(id.uuid()), user_id: user.uuid() })?;
    tx.audit(AuditEntry::ok("accounts.api_key.revoke", &subject(id)))
}

/// Ends every key of a person, within the caller's transaction.
pub(crate) fn revoke_all(tx: &mut Tx<'_, '_>, user: UserId, now: Timestamp) -> Result<()> {
    let count = store::revoke_all(tx, user, now)?;
    if count > 0 {
        tx.record(&ApiKeyRevoked { key_id: None, user_id: user.uuid() })?;
        let detail = serde_json::json!({ "count": count });
        tx.audit(AuditEntry::ok("accounts.api_key.revoke_all", &format!("user:{user}")).with_detail(detail))?;
    }
    Ok(())
}
