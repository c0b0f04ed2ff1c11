//! Conversations over HTTP.

use axum::response::{IntoResponse, Response};
use http::StatusCode;
use kernel::error::NOT_FOUND;
use kernel::http::{Body, Created, Describe, Etag, IfMatch, Json, Operation, OperationDoc, Path, Query};
use kernel::{Ctx, Id, Result, Timestamp};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::permissions::UPDATE_THREADS;
use crate::posts::Post;
use crate::posts::wire::present;
use crate::problems::SITE_NOT_ALLOWED;
use crate::threads::service::{self, ThreadPatch};
use crate::threads::{Policy, Thread, ThreadRecord};

pub(crate) fn operations() -> [Operation; 4] {
    [
        Operation::get("/api/v1/blog/threads/lookup", "lookUpThread", look_up)
            .tag("Comments")
            .summary("Find the conversation of a page")
            .describe("Spellings of one address are one page. Looking never begins a conversation.")
            .raises(&[&NOT_FOUND])
            .public(),
        Operation::post("/api/v1/blog/threads", "createThread", begin)
            .tag("Comments")
            .summary("Begin the conversation of a page")
            .describe("Only for pages of the sites in blog.comments.sites; 200 when there is one already.")
            .raises(&[&SITE_NOT_ALLOWED])
            .public(),
        Operation::get("/api/v1/blog/threads/{thread_id}", "getThread", get)
            .tag("Comments")
            .summary("Read a conversation")
            .describe("What it is about and how many comments are public.")
            .public(),
        Operation::patch("/api/v1/blog/threads/{thread_id}", "updateThread", update)
            .tag("Comments")
            .summary("Change a conversation")
            .describe("Its title, or who may comment; null for what the post or the site says.")
            .requires(&UPDATE_THREADS),
    ]
}

/// A conversation.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[schema(example = json!({
    "id": "019ab0b2-8f00-7000-8000-000000000001", "version": 1, "post_id": null, "url": "https://example.com/a", "title": "A page",
    "policy": null, "comment_count": 2, "created_at": "2026-11-22T12:00:00.000Z", "updated_at": "2026-11-22T12:00:00.000Z"
}))]
pub(crate) struct ThreadView {
    /// The conversation.
    #[schema(value_type = uuid::Uuid)]
    id: Id<Thread>,
    /// Grows with every change of title and policy.
    version: i64,
    /// The post below which it stands.
    #[schema(value_type = Option<uuid::Uuid>)]
    post_id: Option<Id<Post>>,
    /// The page below which it stands, in its canonical form.
    url: Option<String>,
    /// What the page is called.
    title: String,
    /// Who may comment; null for what the post or the site says.
    policy: Option<Policy>,
    /// How many comments are public.
    comment_count: i64,
    /// When it began.
    created_at: Timestamp,
    /// When its title or policy last changed.
    updated_at: Timestamp,
}

impl ThreadView {
    pub(crate) fn of(thread: ThreadRecord) -> ThreadView {
        ThreadView {
            id: thread.id,
            version: thread.version,
            post_id: thread.post_id,
            url: thread.url,
            title: thread.title,
            policy: thread.policy,
            comment_count: thread.comment_count,
            created_at: thread.created_at,
            updated_at: thread.updated_at,
        }
    }
}

/// The page to look for.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ThreadFilter {
    /// Its address, http or https.
    #[schema(min_length = 8, max_length = 2000)]
    url: String,
}

/// The page whose conversation begins.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewThread, example = json!({"url": "https://example.com/a", "title": "A page"}))]
struct NewThreadBody {
    /// Its address, http or https.
    #[schema(min_length = 8, max_length = 2000)]
    url: String,
    /// What it is called.
    #[serde(default)]
    #[schema(max_length = 255)]
    title: String,
}

/// What to change about a conversation.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ThreadPatch, example = json!({"policy": "closed"}))]
struct ThreadPatchBody {
    /// What the page is called.
    #[schema(max_length = 255)]
    title: Option<String>,
    /// Who may comment; null for what the post or the site says.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<Policy>)]
    policy: Option<Option<Policy>>,
}

async fn look_up(ctx: Ctx, Query(filter): Query<ThreadFilter>) -> Result<Json<ThreadView>> {
    Ok(Json(ThreadView::of(service::look_up(&ctx, &filter.url).await?)))
}

/// 201 with a new conversation, or 200 with the one that is there.
struct Begun {
    is_new: bool,
    answer: Created<ThreadView>,
}

impl IntoResponse for Begun {
    fn into_response(self) -> Response {
        let mut response = self.answer.into_response();
        if !self.is_new {
            *response.status_mut() = StatusCode::OK;
        }
        response
    }
}

impl Describe for Begun {
    fn describe(doc: &mut OperationDoc) {
        Created::<ThreadView>::describe(doc);
        Json::<ThreadView>::describe(doc);
    }
}

async fn begin(ctx: Ctx, Body(body): Body<NewThreadBody>) -> Result<Begun> {
    let (thread, is_new) = service::begin(&ctx, &body.url, &body.title).await?;
    let location = format!("/api/v1/blog/threads/{}", thread.id);
    Ok(Begun { is_new, answer: Created { location, body: ThreadView::of(thread) } })
}

async fn get(ctx: Ctx, Path(id): Path<Id<Thread>>) -> Result<Json<ThreadView>> {
    Ok(Json(ThreadView::of(service::find(&ctx, id).await?)))
}

async fn update(
    ctx: Ctx,
    Path(id): Path<Id<Thread>>,
    if_match: IfMatch,
    Body(body): Body<ThreadPatchBody>,
) -> Result<Etag<Json<ThreadView>>> {
    let patch = ThreadPatch { title: body.title, policy: body.policy };
    let thread = service::update(&ctx, id, patch, if_match).await?;
    Ok(Etag { version: thread.version, answer: Json(ThreadView::of(thread)) })
}
