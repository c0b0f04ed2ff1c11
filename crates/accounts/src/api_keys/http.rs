//! Personal keys over HTTP.

use kernel::error::{CURSOR_INVALID, FORBIDDEN, NOT_FOUND, QUOTA_EXCEEDED, REAUTHENTICATION_REQUIRED};
use kernel::http::{Body, Created, List, NoContent, Operation, Path, Query};
use kernel::page::PageRequest;
use kernel::{Ctx, Id, Result, Timestamp, UserId};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::api_keys::{ApiKey, ApiKeyRecord, PREFIX, service};
use crate::permissions::{READ_API_KEYS, REVOKE_API_KEYS};

pub(crate) fn operations() -> [Operation; 5] {
    [
        Operation::get("/api/v1/me/api-keys", "listMyApiKeys", list_mine)
            .tag("Me")
            .summary("List your keys")
            .describe("Newest first, expired ones too; the secret part is never shown again.")
            .raises(&[&CURSOR_INVALID])
            .refuses_api_keys()
            .answers_secrets()
            .authenticated(),
        Operation::post("/api/v1/me/api-keys", "createMyApiKey", create)
            .tag("Me")
            .summary("Make a key for a program")
            .describe(
                "It may do what its scopes name, as far as you may do it yourself at that moment; it cannot touch credentials, sessions or keys. The \
                 answer is the only place where the key is shown. Needs a login at most ten minutes old.",
            )
            .raises(&[&REAUTHENTICATION_REQUIRED, &QUOTA_EXCEEDED, &NOT_FOUND])
            .refuses_api_keys()
            .without_idempotency_key()
            .answers_secrets()
            .authenticated(),
        Operation::delete("/api/v1/me/api-keys/{key_id}", "revokeMyApiKey", revoke_mine)
            .tag("Me")
            .summary("End one of your keys")
            .describe("It fails from the next request on.")
            .refuses_api_keys()
            .authenticated(),
        Operation::get("/api/v1/api-keys", "listApiKeys", list_all)
            .tag("Users")
            .summary("List everybody's keys")
            .describe("Newest first, expired ones too.")
            .raises(&[&CURSOR_INVALID])
            .refuses_api_keys()
            .answers_secrets()
            .requires(&READ_API_KEYS),
        Operation::delete("/api/v1/api-keys/{key_id}", "revokeApiKey", revoke_any)
            .tag("Users")
            .summary("End somebody's key")
            .describe("It fails from the next request on. Only an owner ends an owner's.")
            .raises(&[&FORBIDDEN])
            .refuses_api_keys()
            .requires(&REVOKE_API_KEYS),
    ]
}

/// A key, without its secret.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({
    "id": "019ab0b2-8f00-7000-8000-000000000005", "user_id": "019ab0b2-8f00-7000-8000-000000000001", "name": "Nightly export",
    "begins_with": "uc_pat_Zm9vYmFy", "scopes": ["accounts:users:read"], "created_at": "2026-11-22T12:00:00.000Z",
    "expires_at": "2027-02-20T12:00:00.000Z", "last_used_at": null
}))]
struct ApiKeyView {
    /// The key.
    #[schema(value_type = uuid::Uuid)]
    id: Id<ApiKey>,
    /// Whose it is.
    #[schema(value_type = uuid::Uuid)]
    user_id: UserId,
    /// What its owner calls it.
    name: String,
    /// How its text begins.
    begins_with: String,
    /// What it may do, as far as its owner may.
    scopes: Vec<String>,
    /// When it was made.
    created_at: Timestamp,
    /// When it ends.
    expires_at: Timestamp,
    /// When it was last used, to within minutes.
    last_used_at: Option<Timestamp>,
}

impl ApiKeyView {
    fn of(key: ApiKeyRecord) -> ApiKeyView {
        ApiKeyView {
            id: key.id,
            user_id: key.user_id,
            name: key.name,
            begins_with: format!("{PREFIX}{}", key.public_id),
            scopes: key.scopes,
            created_at: key.created_at,
            expires_at: key.expires_at,
            last_used_at: key.last_used_at,
        }
    }
}

/// Which keys to list.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ApiKeyQuery {
    /// How many keys a page holds, 1 to 100.
    #[schema(minimum = 1)]
    limit: Option<u32>,
    /// Where the page before ended.
    #[schema(max_length = 1024)]
    cursor: Option<String>,
}

async fn list_mine(ctx: Ctx, Query(query): Query<ApiKeyQuery>) -> Result<List<ApiKeyView>> {
    Ok(List(service::list_mine(&ctx, PageRequest::new(query.limit, query.cursor)).await?.map(ApiKeyView::of)))
}

async fn list_all(ctx: Ctx, Query(query): Query<ApiKeyQuery>) -> Result<List<ApiKeyView>> {
    Ok(List(service::list_all(&ctx, PageRequest::new(query.limit, query.cursor)).await?.map(ApiKeyView::of)))
}

/// A key to make.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"name": "Nightly export", "scopes": []}))]
struct NewApiKey {
    /// What to call it.
    #[schema(min_length = 1, max_length = 80)]
    name: String,
    /// The permissions that it may use; you hold them all.
    #[schema(max_items = 500)]
    scopes: Vec<String>,
    /// When it ends: in 90 days by default, in a year at most.
    expires_at: Option<Timestamp>,
}

/// A key that was just made.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({
    "api_key": {
        "id": "019ab0b2-8f00-7000-8000-000000000005", "user_id": "019ab0b2-8f00-7000-8000-000000000001", "name": "Nightly export",
        "begins_with": "uc_pat_Zm9vYmFy", "scopes": [], "created_at": "2026-11-22T12:00:00.000Z",
        "expires_at": "2027-02-20T12:00:00.000Z", "last_used_at": null
    },
    "key": "uc_pat_Zm9vYmFy9Zc3vVb1Yw0K5tq8XoJmR2dLh7sPnUeGfA4iBkC6xTMAbCdEf"
}))]
struct ApiKeyMade {
    /// What is kept of it.
    api_key: ApiKeyView,
    /// Its whole text, shown this once; it goes into the Authorization header after `Bearer`.
    key: String,
}

async fn create(ctx: Ctx, Body(new): Body<NewApiKey>) -> Result<Created<ApiKeyMade>> {
    let (record, text) = service::create(&ctx, new.name, new.scopes, new.expires_at).await?;
    let location = format!("/api/v1/me/api-keys/{}", record.id);
    Ok(Created { location, body: ApiKeyMade { api_key: ApiKeyView::of(record), key: text.reveal() } })
}

async fn revoke_mine(ctx: Ctx, Path(id): Path<Id<ApiKey>>) -> Result<NoContent> {
    service::revoke_mine(&ctx, id).await?;
    Ok(NoContent)
}

async fn revoke_any(ctx: Ctx, Path(id): Path<Id<ApiKey>>) -> Result<NoContent> {
    service::revoke_any(&ctx, id).await?;
    Ok(NoContent)
}
