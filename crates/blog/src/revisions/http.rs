//! Revisions over HTTP.

use kernel::error::{CURSOR_INVALID, FORBIDDEN};
use kernel::http::{Json, List, Operation, Path, Query};
use kernel::page::PageRequest;
use kernel::{Ctx, Id, Result, Timestamp, UserId};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::permissions::{READ_ANY_POST, UPDATE_OWN_POSTS, UPDATE_POSTS};
use crate::posts::seo::Seo;
use crate::posts::view::PostBodyView;
use crate::posts::{Post, Visibility};
use crate::revisions::diff::FieldDiff;
use crate::revisions::{RevisionLine, RevisionRecord, service};

pub(crate) fn operations() -> [Operation; 3] {
    [
        Operation::get("/api/v1/blog/posts/{post_id}/revisions", "listPostRevisions", list)
            .tag("Blog")
            .summary("List the revisions of a post")
            .describe("Newest first. Every change of a published post and every publishing makes one.")
            .raises(&[&FORBIDDEN, &CURSOR_INVALID])
            .keys_with(&[&UPDATE_OWN_POSTS, &UPDATE_POSTS, &READ_ANY_POST])
            .authenticated(),
        Operation::get("/api/v1/blog/posts/{post_id}/revisions/{number}", "getPostRevision", get)
            .tag("Blog")
            .summary("Read a revision of a post")
            .describe("All that the post said then.")
            .raises(&[&FORBIDDEN])
            .keys_with(&[&UPDATE_OWN_POSTS, &UPDATE_POSTS, &READ_ANY_POST])
            .authenticated(),
        Operation::get("/api/v1/blog/posts/{post_id}/revisions/{number}/diff", "comparePostRevisions", diff)
            .tag("Blog")
            .summary("Compare two revisions of a post")
            .describe("Member by member and word by word, from the revision against to this one. Members that did not change are left out.")
            .raises(&[&FORBIDDEN])
            .keys_with(&[&UPDATE_OWN_POSTS, &UPDATE_POSTS, &READ_ANY_POST])
            .authenticated(),
    ]
}

/// A revision in a list.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({
    "number": 2, "author_user_id": "019ab0b2-8f00-7000-8000-000000000001", "reason": "update", "created_at": "2026-11-22T12:00:00.000Z"
}))]
struct RevisionSummary {
    /// Counts the revisions of the post.
    number: i64,
    /// Who made the change; null for the system.
    #[schema(value_type = Option<Uuid>)]
    author_user_id: Option<UserId>,
    /// `update`, `draft`, `publish` or `restore`.
    reason: String,
    /// When it was made.
    created_at: Timestamp,
}

/// A revision.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({
    "number": 2, "author_user_id": "019ab0b2-8f00-7000-8000-000000000001", "reason": "update", "created_at": "2026-11-22T12:00:00.000Z",
    "title": "Seven bridges", "excerpt": null, "body": {"format": "markdown", "source": "A walk."}, "visibility": "public", "seo": {},
    "featured_media_id": null, "author_ids": ["019ab0b2-8f00-7000-8000-000000000002"], "tag_ids": []
}))]
struct RevisionView {
    /// Counts the revisions of the post.
    number: i64,
    /// Who made the change; null for the system.
    #[schema(value_type = Option<Uuid>)]
    author_user_id: Option<UserId>,
    /// `update`, `draft`, `publish` or `restore`.
    reason: String,
    /// When it was made.
    created_at: Timestamp,
    /// The title.
    title: String,
    /// What it was about; null for the beginning of its text.
    excerpt: Option<String>,
    /// What it said.
    body: PostBodyView,
    /// Who found it.
    visibility: Visibility,
    /// What was set about the head of its page.
    seo: Seo,
    /// The picture that stood for it.
    featured_media_id: Option<Uuid>,
    /// Who wrote it, in order.
    author_ids: Vec<Uuid>,
    /// Its tags and categories, in order.
    tag_ids: Vec<Uuid>,
}

impl RevisionView {
    fn of(revision: RevisionRecord) -> RevisionView {
        let content = revision.payload;
        RevisionView {
            number: revision.number,
            author_user_id: revision.author_user_id,
            reason: revision.reason,
            created_at: revision.created_at,
            title: content.title,
            excerpt: content.excerpt,
            body: PostBodyView { format: content.format, source: content.source },
            visibility: content.visibility,
            seo: content.seo,
            featured_media_id: content.featured_media_id,
            author_ids: content.author_ids,
            tag_ids: content.tag_ids,
        }
    }
}

/// How two revisions differ.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({
    "number": 2, "against": 1,
    "fields": [{"field": "title", "hunks": [{"kind": "delete", "text": "Seven"}, {"kind": "insert", "text": "Eight"}, {"kind": "keep", "text": " bridges"}]}]
}))]
struct RevisionDiff {
    /// The newer revision.
    number: i64,
    /// The one it is compared with.
    against: i64,
    /// The members that differ.
    fields: Vec<FieldDiff>,
}

/// Which revisions to list.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct RevisionFilter {
    /// How many revisions a page holds, 1 to 100.
    #[schema(minimum = 1)]
    limit: Option<u32>,
    /// Where the page before ended.
    #[schema(max_length = 1024)]
    cursor: Option<String>,
}

/// What to compare with.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct DiffFilter {
    /// The revision to compare with; the one before when absent.
    #[schema(minimum = 1, maximum = 9007199254740991_i64)]
    against: Option<i64>,
}

async fn list(ctx: Ctx, Path(id): Path<Id<Post>>, Query(filter): Query<RevisionFilter>) -> Result<List<RevisionSummary>> {
    let page = service::list(&ctx, id, PageRequest::new(filter.limit, filter.cursor)).await?;
    let summary = |line: RevisionLine| {
        let RevisionLine { number, author_user_id, reason, created_at } = line;
        RevisionSummary { number, author_user_id, reason, created_at }
    };
    Ok(List(page.map(summary)))
}

async fn get(ctx: Ctx, Path((id, number)): Path<(Id<Post>, i64)>) -> Result<Json<RevisionView>> {
    Ok(Json(RevisionView::of(service::find(&ctx, id, number).await?)))
}

async fn diff(ctx: Ctx, Path((id, number)): Path<(Id<Post>, i64)>, Query(filter): Query<DiffFilter>) -> Result<Json<RevisionDiff>> {
    let (against, fields) = service::difference(&ctx, id, number, filter.against).await?;
    Ok(Json(RevisionDiff { number, against, fields }))
}
