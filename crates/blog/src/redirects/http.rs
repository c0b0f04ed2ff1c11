//! Redirects over HTTP.

use kernel::error::{CURSOR_INVALID, NOT_FOUND, SORT_NOT_SUPPORTED};
use kernel::http::{Body, Created, Etag, IfMatch, Json, List, NoContent, Operation, Path, Query};
use kernel::page::PageRequest;
use kernel::{Ctx, Error, FieldError, Id, Result, Timestamp};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::permissions::MANAGE_REDIRECTS;
use crate::problems::REDIRECT_EXISTS;
use crate::redirects::service::{self, RedirectPatch};
use crate::redirects::{Redirect, RedirectRecord};

pub(crate) fn operations() -> [Operation; 6] {
    [
        Operation::get("/api/v1/blog/redirects", "listRedirects", list)
            .tag("Blog")
            .summary("List redirects")
            .describe("Old addresses and where they lead. Sort keys: created_at, from_path.")
            .raises(&[&CURSOR_INVALID, &SORT_NOT_SUPPORTED])
            .requires(&MANAGE_REDIRECTS),
        Operation::post("/api/v1/blog/redirects", "createRedirect", create)
            .tag("Blog")
            .summary("Make a redirect")
            .describe("From a path of the main host that nothing else answers. Former slugs of posts need none.")
            .raises(&[&REDIRECT_EXISTS])
            .requires(&MANAGE_REDIRECTS),
        Operation::get("/api/v1/blog/redirects/lookup", "lookUpRedirect", look_up)
            .tag("Blog")
            .summary("Find the redirect of a path")
            .describe("For front ends that answer old addresses themselves.")
            .raises(&[&NOT_FOUND])
            .public(),
        Operation::get("/api/v1/blog/redirects/{redirect_id}", "getRedirect", get)
            .tag("Blog")
            .summary("Read a redirect")
            .describe("One old address and where it leads.")
            .requires(&MANAGE_REDIRECTS),
        Operation::patch("/api/v1/blog/redirects/{redirect_id}", "updateRedirect", update)
            .tag("Blog")
            .summary("Change a redirect")
            .describe("Absent members stay as they are.")
            .raises(&[&REDIRECT_EXISTS])
            .requires(&MANAGE_REDIRECTS),
        Operation::delete("/api/v1/blog/redirects/{redirect_id}", "deleteRedirect", delete)
            .tag("Blog")
            .summary("Delete a redirect")
            .describe("Its path leads nowhere any more.")
            .requires(&MANAGE_REDIRECTS),
    ]
}

/// A redirect.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[schema(example = json!({
    "id": "019ab0b2-8f00-7000-8000-000000000001", "version": 1, "from_path": "/2020/01/hello", "to_url": "https://example.com/hello",
    "status": 301, "created_at": "2026-11-22T12:00:00.000Z", "updated_at": "2026-11-22T12:00:00.000Z"
}))]
pub(crate) struct RedirectView {
    /// The redirect.
    #[schema(value_type = uuid::Uuid)]
    id: Id<Redirect>,
    /// Grows with every change.
    version: i64,
    /// The path that it begins at, decoded and without a trailing slash.
    from_path: String,
    /// Where it leads.
    to_url: String,
    /// 301, 302, 307 or 308.
    status: i64,
    /// When it was made.
    created_at: Timestamp,
    /// When it last changed.
    updated_at: Timestamp,
}

impl RedirectView {
    pub(crate) fn of(redirect: RedirectRecord) -> RedirectView {
        let RedirectRecord { id, from_path, to_url, status, created_at, updated_at, version } = redirect;
        RedirectView { id, version, from_path, to_url, status, created_at, updated_at }
    }
}

/// A redirect to be made.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewRedirect, example = json!({"from_path": "/2020/01/hello", "to_url": "/hello"}))]
struct NewRedirectBody {
    /// The path that it begins at.
    #[schema(min_length = 2, max_length = 2000)]
    from_path: String,
    /// Where it leads: an absolute http or https address, or a path.
    #[schema(min_length = 1, max_length = 2000)]
    to_url: String,
    /// 301 (the default), 302, 307 or 308.
    status: Option<i64>,
}

/// What to change about a redirect.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = RedirectPatch, example = json!({"status": 302}))]
struct RedirectPatchBody {
    /// The path that it begins at.
    #[schema(min_length = 2, max_length = 2000)]
    from_path: Option<String>,
    /// Where it leads: an absolute http or https address, or a path.
    #[schema(min_length = 1, max_length = 2000)]
    to_url: Option<String>,
    /// 301, 302, 307 or 308.
    status: Option<i64>,
}

/// Which redirects to list.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct RedirectFilter {
    /// How many redirects a page holds, 1 to 100.
    #[schema(minimum = 1)]
    limit: Option<u32>,
    /// Where the page before ended.
    #[schema(max_length = 1024)]
    cursor: Option<String>,
    /// `created_at` or `from_path`, with a minus for descending.
    #[schema(max_length = 40)]
    sort: Option<String>,
}

/// The path to look for.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct RedirectLookup {
    /// The path, with its leading slash.
    #[schema(min_length = 1, max_length = 2000)]
    path: String,
}

fn with_etag(redirect: RedirectRecord) -> Etag<Json<RedirectView>> {
    Etag { version: redirect.version, answer: Json(RedirectView::of(redirect)) }
}

fn status_of(status: Option<i64>) -> Result<Option<i64>> {
    match status {
        Some(other) if ![301, 302, 307, 308].contains(&other) => {
            Err(Error::invalid(vec![FieldError::body("/status", "not_allowed", "301, 302, 307 or 308.")]))
        }
        fine => Ok(fine),
    }
}

async fn list(ctx: Ctx, Query(filter): Query<RedirectFilter>) -> Result<List<RedirectView>> {
    let request = PageRequest::new(filter.limit, filter.cursor);
    Ok(List(service::list(&ctx, filter.sort.as_deref(), request).await?.map(RedirectView::of)))
}

async fn create(ctx: Ctx, Body(body): Body<NewRedirectBody>) -> Result<Etag<Created<RedirectView>>> {
    let new = RedirectPatch { from_path: Some(body.from_path), to_url: Some(body.to_url), status: status_of(body.status)? };
    let redirect = service::create(&ctx, new).await?;
    let location = format!("/api/v1/blog/redirects/{}", redirect.id);
    Ok(Etag { version: redirect.version, answer: Created { location, body: RedirectView::of(redirect) } })
}

async fn look_up(ctx: Ctx, Query(lookup): Query<RedirectLookup>) -> Result<Json<RedirectView>> {
    Ok(Json(RedirectView::of(service::look_up(&ctx, &lookup.path).await?)))
}

async fn get(ctx: Ctx, Path(id): Path<Id<Redirect>>) -> Result<Etag<Json<RedirectView>>> {
    Ok(with_etag(service::find(&ctx, id).await?))
}

async fn update(
    ctx: Ctx,
    Path(id): Path<Id<Redirect>>,
    if_match: IfMatch,
    Body(body): Body<RedirectPatchBody>,
) -> Result<Etag<Json<RedirectView>>> {
    let patch = RedirectPatch { from_path: body.from_path, to_url: body.to_url, status: status_of(body.status)? };
    Ok(with_etag(service::update(&ctx, id, patch, if_match).await?))
}

async fn delete(ctx: Ctx, Path(id): Path<Id<Redirect>>, if_match: IfMatch) -> Result<NoContent> {
    service::delete(&ctx, id, if_match).await?;
    Ok(NoContent)
}
