//! Drafts over HTTP.

use kernel::error::{FORBIDDEN, NOT_FOUND};
use kernel::http::{Body, Etag, IfMatch, Json, NoContent, Operation, Path};
use kernel::{Ctx, Id, Result, Timestamp};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::drafts::DraftRecord;
use crate::drafts::service::{self, Base};
use crate::permissions::{UPDATE_OWN_POSTS, UPDATE_POSTS};
use crate::posts::seo::Seo;
use crate::posts::view::PostBodyView;
use crate::posts::wire::DraftInput;
use crate::posts::{Post, Visibility};
use crate::problems::DRAFT_OUTDATED;

pub(crate) fn operations() -> [Operation; 3] {
    [
        Operation::get("/api/v1/blog/posts/{post_id}/draft", "getPostDraft", get)
            .tag("Blog")
            .summary("Read the draft of a post")
            .describe("What publishing the post would make of it. It has a version and an ETag of its own.")
            .raises(&[&FORBIDDEN])
            .keys_with(&[&UPDATE_OWN_POSTS, &UPDATE_POSTS])
            .authenticated(),
        Operation::put("/api/v1/blog/posts/{post_id}/draft", "savePostDraft", put)
            .tag("Blog")
            .summary("Save the draft of a post")
            .describe("The post itself stays as it is until it is published. base_version is the version of the post that the draft was begun from.")
            .raises(&[&FORBIDDEN, &DRAFT_OUTDATED])
            .keys_with(&[&UPDATE_OWN_POSTS, &UPDATE_POSTS])
            .authenticated(),
        Operation::delete("/api/v1/blog/posts/{post_id}/draft", "deletePostDraft", delete)
            .tag("Blog")
            .summary("Discard the draft of a post")
            .describe("The post itself stays as it is.")
            .raises(&[&FORBIDDEN, &NOT_FOUND])
            .keys_with(&[&UPDATE_OWN_POSTS, &UPDATE_POSTS])
            .authenticated(),
    ]
}

/// A draft beside a post.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({
    "post_id": "019ab0b2-8f00-7000-8000-000000000001", "version": 1, "base_version": 3, "title": "Eight bridges", "excerpt": null,
    "body": {"format": "markdown", "source": "A walk that can be."}, "html": "<p>A walk that can be.</p>\n", "visibility": "public",
    "seo": {}, "featured_media_id": null, "author_ids": ["019ab0b2-8f00-7000-8000-000000000002"], "tag_ids": [], "created_at": "2026-11-22T12:00:00.000Z",
    "updated_at": "2026-11-22T12:00:00.000Z"
}))]
struct PostDraftView {
    /// The post.
    #[schema(value_type = Uuid)]
    post_id: Id<Post>,
    /// Grows with every save.
    version: i64,
    /// The version of the post that it was begun from.
    base_version: i64,
    /// Its title.
    title: String,
    /// What it is about; null for the beginning of its text.
    excerpt: Option<String>,
    /// What it says.
    body: PostBodyView,
    /// The safe HTML that it becomes.
    html: String,
    /// Who finds it once it is published.
    visibility: Visibility,
    /// What was set about the head of its page.
    seo: Seo,
    /// The picture that stands for it.
    featured_media_id: Option<Uuid>,
    /// Who wrote it, in order.
    author_ids: Vec<Uuid>,
    /// Its tags and categories, in order.
    tag_ids: Vec<Uuid>,
    /// When the draft was begun.
    created_at: Timestamp,
    /// When it was last saved.
    updated_at: Timestamp,
}

fn with_etag(draft: DraftRecord) -> Etag<Json<PostDraftView>> {
    let content = draft.payload.content;
    let view = PostDraftView {
        post_id: draft.post_id,
        version: draft.version,
        base_version: draft.base_version,
        title: content.title,
        excerpt: content.excerpt,
        body: PostBodyView { format: content.format, source: content.source },
        html: draft.payload.body.html,
        visibility: content.visibility,
        seo: content.seo,
        featured_media_id: content.featured_media_id,
        author_ids: content.author_ids,
        tag_ids: content.tag_ids,
        created_at: draft.created_at,
        updated_at: draft.updated_at,
    };
    Etag { version: draft.version, answer: Json(view) }
}

async fn get(ctx: Ctx, Path(id): Path<Id<Post>>) -> Result<Etag<Json<PostDraftView>>> {
    Ok(with_etag(service::find(&ctx, id).await?))
}

async fn put(ctx: Ctx, Path(id): Path<Id<Post>>, if_match: IfMatch, Body(input): Body<DraftInput>) -> Result<Etag<Json<PostDraftView>>> {
    let base = Base { version: input.base_version, is_rebased: input.rebase };
    Ok(with_etag(service::save(&ctx, id, base, input.checked()?, if_match).await?))
}

async fn delete(ctx: Ctx, Path(id): Path<Id<Post>>, if_match: IfMatch) -> Result<NoContent> {
    service::discard(&ctx, id, if_match).await?;
    Ok(NoContent)
}
