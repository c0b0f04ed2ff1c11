//! API keys over HTTP: one's own, and everybody's for administrators.

use kernel::error::{CURSOR_INVALID, NOT_FOUND, QUOTA_EXCEEDED, REAUTHENTICATION_REQUIRED};
use kernel::http::{Body, Created, List, NoContent, Operation, Path, Query};
use kernel::page::PageRequest;
use kernel::{Ctx, Error, Id, Result, Timestamp, UserId};
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize, Serializer};
use utoipa::ToSchema;

use crate::api_keys::{ApiKey, ApiKeyRecord, service};
use crate::permissions::{READ_API_KEYS, REVOKE_API_KEYS};
use crate::users::names::DisplayName;

pub(crate) fn operations() -> [Operation; 5] {
    [
        Operation::get("/api/v1/me/api-keys", "listMyApiKeys", list_mine)
            .tag("Me")
            .summary("List your API keys")
            .describe("Those that can still be used, newest first. What was revoked or has expired is not among them.")
            .raises(&[&CURSOR_INVALID])
            .authenticated(),
        Operation::post("/api/v1/me/api-keys", "createMyApiKey", create)
            .tag("Me")
            .summary("Make an API key")
            .describe(
                "Needs a login at most ten minutes old. The key is shown this once; send it as a Bearer token. It may do what its scopes name and you \
                 may do at that moment, never more, and it can touch no password, login or key. A mail tells you of it.",
            )
            .raises(&[&REAUTHENTICATION_REQUIRED, &QUOTA_EXCEEDED])
            // A remembered answer would be a second place where the key is kept, and a second time it is shown.
            .without_idempotency_key()
            .answers_secrets()
            .authenticated(),
        Operation::delete("/api/v1/me/api-keys/{api_key_id}", "revokeMyApiKey", revoke_mine)
            .tag("Me")
            .summary("Revoke one of your API keys")
            .describe("It fails from the next request on.")
            .raises(&[&NOT_FOUND])
            .authenticated(),
        Operation::get("/api/v1/api-keys", "listApiKeys", list_all)
            .tag("API keys")
            .summary("List everybody's API keys")
            .describe("Those that can still be used, newest first.")
            .raises(&[&CURSOR_INVALID])
            .requires(&READ_API_KEYS),
        Operation::delete("/api/v1/api-keys/{api_key_id}", "revokeApiKey", revoke_any)
            .tag("API keys")
            .summary("Revoke anybody's API key")
            .describe("It fails from the next request on.")
            .raises(&[&NOT_FOUND])
            .requires(&REVOKE_API_KEYS),
    ]
}

/// An API key, without the key itself.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({
    "id": "019ab0b2-8f00-7000-8000-000000000003", "user_id": "019ab0b2-8f00-7000-8000-000000000001", "public_id": "4kTq-9Xz",
    "name": "Nightly import", "scopes": ["links:links:create"], "created_at": "2026-11-22T12:00:00.000Z",
    "expires_at": "2027-02-20T12:00:00.000Z", "last_used_at": null
}))]
struct ApiKeyView {
    /// The key.
    #[schema(value_type = uuid::Uuid)]
    id: Id<ApiKey>,
    /// Whose it is.
    #[schema(value_type = uuid::Uuid)]
    user_id: UserId,
    /// The eight characters after `uc_pat_`, by which a key that was found somewhere is recognised.
    public_id: String,
    /// What it is for.
    name: String,
    /// The permissions it may use, as far as its owner holds them.
    scopes: Vec<String>,
    /// When it was made.
    created_at: Timestamp,
    /// When it ends.
    expires_at: Timestamp,
    /// When it was last used, to within a minute; null if never.
    last_used_at: Option<Timestamp>,
}

impl From<ApiKeyRecord> for ApiKeyView {
    fn from(key: ApiKeyRecord) -> Self {
        ApiKeyView {
            id: key.id,
            user_id: key.user_id,
            public_id: key.public_id,
            name: key.name,
            scopes: key.scopes,
            created_at: key.created_at,
            expires_at: key.expires_at,
            last_used_at: key.last_used_at,
        }
    }
}

/// A new API key, with the key itself.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({
    "api_key": {
        "id": "019ab0b2-8f00-7000-8000-000000000003", "user_id": "019ab0b2-8f00-7000-8000-000000000001", "public_id": "4kTq-9Xz",
        "name": "Nightly import", "scopes": ["links:links:create"], "created_at": "2026-11-22T12:00:00.000Z",
        "expires_at": "2027-02-20T12:00:00.000Z", "last_used_at": null
    },
    "key": "uc_pat_4kTq-9Xz9Zc3vVb1Yw0K5tq8XoJmR2dLh7sPnUeGfA4iBkC6xTM3fH_a2"
}))]
struct NewKeyView {
    /// What was made.
    api_key: ApiKeyView,
    /// The key: keep it now, it is not shown again.
    #[schema(value_type = String)]
    #[serde(serialize_with = "exposed")]
    key: SecretString,
}

fn exposed<S: Serializer>(key: &SecretString, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(key.expose_secret())
}

/// The API key you want.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"name": "Nightly import", "scopes": [], "expires_at": null}))]
struct NewApiKey {
    /// What it is for, 1 to 80 characters.
    #[schema(min_length = 1, max_length = 80)]
    name: String,
    /// The permissions it may use: such as you hold yourself and as are not administrative. Without any it only tells who you are.
    #[schema(max_items = 100)]
    scopes: Vec<String>,
    /// When it ends; 90 days from now unless you say, at most 365, or as the operator has set.
    expires_at: Option<Timestamp>,
}

async fn create(ctx: Ctx, Body(wish): Body<NewApiKey>) -> Result<Created<NewKeyView>> {
    let name = DisplayName::from_body(&wish.name, "/name").map_err(|error| Error::invalid(vec![error]))?;
    let (record, key) = service::create(&ctx, service::NewApiKey { name, scopes: wish.scopes, expires_at: wish.expires_at }).await?;
    Ok(Created { location: format!("/api/v1/me/api-keys/{}", record.id), body: NewKeyView { api_key: record.into(), key } })
}

/// Which keys to list.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ApiKeyFilter {
    /// How many keys a page holds, 1 to 100.
    #[schema(minimum = 1)]
    limit: Option<u32>,
    /// Where the page before ended.
    #[schema(max_length = 1024)]
    cursor: Option<String>,
}

async fn list_mine(ctx: Ctx, Query(filter): Query<ApiKeyFilter>) -> Result<List<ApiKeyView>> {
    let page = service::list(&ctx, PageRequest::new(filter.limit, filter.cursor)).await?;
    Ok(List(page.map(ApiKeyView::from)))
}

async fn list_all(ctx: Ctx, Query(filter): Query<ApiKeyFilter>) -> Result<List<ApiKeyView>> {
    let page = service::list_all(&ctx, PageRequest::new(filter.limit, filter.cursor)).await?;
    Ok(List(page.map(ApiKeyView::from)))
}

async fn revoke_mine(ctx: Ctx, Path(id): Path<Id<ApiKey>>) -> Result<NoContent> {
    service::revoke(&ctx, id).await?;
    Ok(NoContent)
}

async fn revoke_any(ctx: Ctx, Path(id): Path<Id<ApiKey>>) -> Result<NoContent> {
    service::revoke_any(&ctx, id).await?;
    Ok(NoContent)
}
