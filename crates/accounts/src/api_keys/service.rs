//! The verbs of API keys: make, authenticate, list, revoke.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use db::OnViolation as _;
use kernel::error::{NOT_FOUND, QUOTA_EXCEEDED, UNAUTHENTICATED, UNAVAILABLE};
use kernel::page::{CursorValue, KeyKind, Keyset, Page, PageRequest, SortKey};
use kernel::{Actor, App, AuditEntry, Ctx, Error, FieldError, Id, Identity, LogAndContinue, Permissions, Result, Timestamp, Tx, UserId};
use secrecy::SecretString;
use serde::Serialize;

use crate::api_keys::store::{self, PresentedRow};
use crate::api_keys::{ApiKey, ApiKeyRecord, KeyText};
use crate::events::{ApiKeyCreated, ApiKeyRevoked};
use crate::permissions::{READ_API_KEYS, REVOKE_API_KEYS};
use crate::settings::{SessionSettings, TokenSettings};
use crate::users::names::DisplayName;
use crate::users::{self, UserRecord, UserStatus};
use crate::{roles, sessions};

/// Most live keys of a person (accounts.md §13); the store's SQL counts no further.
const MAX_KEYS: usize = 50;
/// How often the last use of a key is written down.
const TOUCH_EVERY: Duration = Duration::from_secs(60);
/// How many days a key of whoever may revoke everybody's lasts at most (KEY-1).
const ADMIN_MAX_DAYS: u32 = 3650;
const DAY_SECS: u64 = 24 * 3600;
const SORT_KEYS: &[SortKey] = &[SortKey { name: "created_at", column: "created_at", kind: KeyKind::Int }];

/// A key as it is wished for.
#[derive(Clone, Debug)]
pub(crate) struct NewApiKey {
    pub(crate) name: DisplayName,
    pub(crate) scopes: Vec<String>,
    pub(crate) expires_at: Option<Timestamp>,
}

#[derive(Serialize)]
struct CreatedMail<'a> {
    display_name: &'a str,
    name: &'a str,
    public_id: &'a str,
    at: Timestamp,
    expires_at: Timestamp,
}

/// Makes a key for the caller, who logged in a moment ago (SES-10); the key itself is in the answer and nowhere else.
pub(crate) async fn create(ctx: &Ctx, new: NewApiKey) -> Result<(ApiKeyRecord, SecretString)> {
    ctx.require_recent(*ctx.settings::<SessionSettings>().fresh_auth)?;
    let (user, session) = ctx.actor.identity().map(|identity| (identity.user_id, identity.session_id))?;
    let key = KeyText::generate(ctx.app.random());
    let record = ApiKeyRecord {
        id: ctx.new_id(),
        public_id: key.public_id.clone(),
        user_id: user,
        name: new.name.as_str().to_owned(),
        scopes: allowed_scopes(ctx, new.scopes)?,
        created_at: ctx.now(),
        expires_at: expiry(ctx, new.expires_at)?,
        last_used_at: None,
    };
    let scopes = serde_json::to_string(&record.scopes).map_err(Error::internal)?;
    let (row, hash) = (record.clone(), key.hash());
    ctx.write(move |tx| {
        // Held by a reset too, so that a login it ends leaves no key behind; and fifty at once are counted one by one.
        users::store::lock(tx, user)?;
        let session = sessions::store::find(tx, session)?.filter(|session| session.is_live(row.created_at));
        let person = users::store::find(tx, user)?.filter(|user| user.status == UserStatus::Active && session.is_some());
        let person = person.ok_or(&UNAUTHENTICATED)?;
        if store::live_count(tx, user, row.created_at)? >= MAX_KEYS {
            return Err(QUOTA_EXCEEDED.because(format!("A person has at most {MAX_KEYS} API keys; revoke one first.")));
        }
        // Eight characters may meet by chance among very many keys; the next try has others.
        store::insert(tx, &row, &scopes, &hash).on_unique("accounts_api_keys_public_id", || UNAVAILABLE.error().retry_after(1))?;
        announce(tx, &row, &person)
    })
    .await?;
    Ok((record, key.text()))
}

/// Tells the person, the subscribers and the audit trail of a new key.
fn announce(tx: &mut Tx<'_, '_>, key: &ApiKeyRecord, person: &UserRecord) -> Result<()> {
    let data = CreatedMail {
        display_name: &person.display_name,
        name: &key.name,
        public_id: &key.public_id,
        at: key.created_at,
        expires_at: key.expires_at,
    };
    tx.mail("accounts/api_key_created", &person.email, &person.locale, &data)?;
    tx.record(&ApiKeyCreated { api_key_id: key.id.uuid(), user_id: person.id.uuid() })?;
    let detail = serde_json::json!({ "scopes": key.scopes, "expires_at": key.expires_at });
    tx.audit(AuditEntry::ok("accounts.api_key.create", &format!("api_key:{}", key.id)).with_detail(detail))
}

/// The scopes, sorted: each a permission that the caller holds and that needs no admin grant, which no key has (ADM-3, SES-3).
fn allowed_scopes(ctx: &Ctx, mut scopes: Vec<String>) -> Result<Vec<String>> {
    let permission = |name: &str| ctx.app.plan().permissions().find(|permission| permission.name == name);
    let is_allowed = |name: &str| permission(name).is_some_and(|found| !found.is_administrative && ctx.actor.may(found));
    let refused: Vec<FieldError> = scopes
        .iter()
        .enumerate()
        .filter(|(_, name)| !is_allowed(name))
        .map(|(at, _)| {
            FieldError::body(format!("/scopes/{at}"), "scope_not_allowed", "You hold no such permission, or no key may have it.")
        })
        .collect();
    if !refused.is_empty() {
        return Err(Error::invalid(refused));
    }
    scopes.sort_unstable();
    scopes.dedup();
    Ok(scopes)
}

fn expiry(ctx: &Ctx, wished: Option<Timestamp>) -> Result<Timestamp> {
    let (now, settings) = (ctx.now(), ctx.settings::<TokenSettings>());
    let days = |count: u32| Duration::from_secs(u64::from(count) * DAY_SECS);
    let most_days = if ctx.actor.may(&REVOKE_API_KEYS) { ADMIN_MAX_DAYS } else { settings.api_key_max_days };
    let latest = now + days(most_days);
    match wished {
        None => Ok(now + days(settings.api_key_default_days)),
        Some(at) if now < at && at <= latest => Ok(at),
        Some(_) => {
            let detail = format!("In the future, and at most {most_days} days from now.");
            Err(Error::invalid(vec![FieldError::body("/expires_at", "out_of_range", detail)]))
        }
    }
}

/// The actor behind an API key. What its owner may do is asked each time, so that a revocation or a lost role counts at once.
pub(crate) async fn authenticate(app: &App, text: &str, from: IpAddr) -> Result<Actor> {
    let key = KeyText::parse(text).ok_or(&UNAUTHENTICATED)?;
    let (hash, now) = (key.hash(), app.clock().now());
    let found = app.db().read(move |c| presented(c, &key.public_id, &hash, now)).await?;
    let (row, permissions) = found.ok_or(&UNAUTHENTICATED)?;
    note_use(app, &row, from).await;
    let scopes = store::names_in(&row.scopes);
    let identity = Identity { user_id: row.user_id, session_id: row.id.cast(), authenticated_at: row.created_at, admin_until: None };
    Ok(Actor::by_key(Arc::new(identity), &permissions, scopes.iter().map(String::as_str)))
}

fn presented(c: &mut db::Conn, public_id: &str, hash: &[u8; 32], now: Timestamp) -> Result<Option<(PresentedRow, Permissions)>> {
    let Some(row) = store::find_presented(c, public_id)?.filter(|row| row.opens(hash, now)) else { return Ok(None) };
    // Like a login's: nothing while a change of the password is due (PWD-7).
    let permissions = if row.must_change == Some(true) { Permissions::none() } else { roles::service::permissions_of(c, row.user_id)? };
    Ok(Some((row, permissions)))
}

/// Writes down that the key was used, at most once a minute.
async fn note_use(app: &App, row: &PresentedRow, from: IpAddr) {
    let (now, id) = (app.clock().now(), row.id);
    if row.last_used_at.is_some_and(|last| now.since(last) < TOUCH_EVERY) {
        return;
    }
    let ctx = sessions::service::lookup_context(app, from);
    let written = ctx.write(move |tx| Ok(store::touch(tx, id, now, now - TOUCH_EVERY)?));
    written.await.log_and_continue("noting that an API key was used");
}

/// The caller's live keys, newest first.
pub(crate) async fn list(ctx: &Ctx, request: PageRequest) -> Result<Page<ApiKeyRecord>> {
    let user = ctx.actor.user_id()?;
    page(ctx, Some(user), "listMyApiKeys", request).await
}

/// Everybody's live keys, newest first.
pub(crate) async fn list_all(ctx: &Ctx, request: PageRequest) -> Result<Page<ApiKeyRecord>> {
    ctx.actor.require(&READ_API_KEYS)?;
    page(ctx, None, "listApiKeys", request).await
}

async fn page(ctx: &Ctx, user: Option<UserId>, operation: &str, request: PageRequest) -> Result<Page<ApiKeyRecord>> {
    let now = ctx.now();
    let keyset = Keyset::parse(ctx, SORT_KEYS, "-created_at", None, operation, "", &request)?;
    let place = keyset.clone();
    let rows = ctx.read(move |c| Ok(store::live(c, user, now, &place)?)).await?;
    Ok(keyset.page(ctx, rows, |key| (CursorValue::Int(key.created_at.as_millis()), key.id.uuid())))
}

/// Ends one of the caller's keys; another person's is not found (ENU-8).
pub(crate) async fn revoke(ctx: &Ctx, id: Id<ApiKey>) -> Result<()> {
    let (user, now) = (ctx.actor.user_id()?, ctx.now());
    ctx.write(move |tx| revoke_in(tx, user, id, now)).await
}

/// Ends anybody's key; only an owner ends an owner's.
pub(crate) async fn revoke_any(ctx: &Ctx, id: Id<ApiKey>) -> Result<()> {
    ctx.actor.require(&REVOKE_API_KEYS)?;
    let (context, now) = (ctx.clone(), ctx.now());
    ctx.write(move |tx| {
        let user = store::owner_of(tx, id)?.ok_or(&NOT_FOUND)?;
        roles::service::require_may_act_on(tx, &context, user)?;
        revoke_in(tx, user, id, now)
    })
    .await
}

fn revoke_in(tx: &mut Tx<'_, '_>, user: UserId, id: Id<ApiKey>, now: Timestamp) -> Result<()> {
    if !store::revoke(tx, user, id, now)? {
        return Err(NOT_FOUND.error());
    }
    tx.record(&ApiKeyRevoked { api_key_id: Some(id.uuid()), user_id: user.uuid() })?;
    tx.audit(AuditEntry::ok("accounts.api_key.revoke", &format!("api_key:{id}")))
}

/// Ends every key of a person, within the caller's transaction.
pub(crate) fn revoke_all(tx: &mut Tx<'_, '_>, ctx: &Ctx, user: UserId) -> Result<()> {
    let count = store::revoke_all(tx, user, ctx.now())?;
    if count == 0 {
        return Ok(());
    }
    tx.record(&ApiKeyRevoked { api_key_id: None, user_id: user.uuid() })?;
    let detail = serde_json::json!({ "count": count });
    tx.audit(AuditEntry::ok("accounts.api_key.revoke_all", &format!("user:{user}")).with_detail(detail))
}
