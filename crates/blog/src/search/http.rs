//! Search over HTTP.

use kernel::error::CURSOR_INVALID;
use kernel::http::{List, Operation, Query};
use kernel::page::PageRequest;
use kernel::{Ctx, Result};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::posts::view::PostSummary;
use crate::search::service::{self, Hit};

pub(crate) fn operations() -> [Operation; 1] {
    [Operation::get("/api/v1/blog/search", "searchPosts", search)
        .tag("Blog")
        .summary("Search posts")
        .describe("All words must occur; the last may be the beginning of a longer one, a word after a minus must not occur. tag: and author: narrow by slug. The best first, at most 500; for another order list posts with q.")
        .raises(&[&CURSOR_INVALID])
        .public()]
}

/// What to look for.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct SearchFilter {
    /// The words.
    #[schema(max_length = 256)]
    q: String,
    /// Only posts in this language.
    #[schema(max_length = 35)]
    locale: Option<String>,
    /// How many posts a page holds, 1 to 100.
    #[schema(minimum = 1)]
    limit: Option<u32>,
    /// Where the page before ended.
    #[schema(max_length = 1024)]
    cursor: Option<String>,
}

/// A post that was found.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({
    "post": {
        "id": "019ab0b2-8f00-7000-8000-000000000001", "version": 3, "status": "published", "visibility": "public", "locale": "en",
        "translation_group_id": "019ab0b2-8f00-7000-8000-000000000001", "slug": "seven-bridges", "title": "Seven bridges",
        "excerpt": "A walk that cannot be.", "authors": [], "tags": [], "featured_media": null, "comment_policy": null, "comment_count": 0, "word_count": 5,
        "reading_seconds": 2, "url": "https://example.com/seven-bridges", "published_at": "2026-11-22T12:00:00.000Z", "unpublish_at": null,
        "created_at": "2026-11-22T12:00:00.000Z", "updated_at": "2026-11-22T12:00:00.000Z"
    },
    "snippet_html": "A <mark>walk</mark> that cannot be."
}))]
struct SearchHit {
    /// The post.
    post: PostSummary,
    /// The part of its text that shows why it was found, as HTML with `mark`.
    snippet_html: String,
}

async fn search(ctx: Ctx, Query(filter): Query<SearchFilter>) -> Result<List<SearchHit>> {
    let page = service::search(&ctx, &filter.q, filter.locale, PageRequest::new(filter.limit, filter.cursor)).await?;
    let now = ctx.now();
    let hit = |hit: Hit| SearchHit { post: PostSummary::of(&ctx.app, hit.line, now), snippet_html: hit.snippet_html };
    Ok(List(page.map(hit)))
}
