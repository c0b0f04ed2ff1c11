//! Author profiles over HTTP.

use kernel::error::{ALREADY_EXISTS, CURSOR_INVALID, FORBIDDEN, SORT_NOT_SUPPORTED};
use kernel::http::{Body, Created, Etag, IfMatch, Json, List, NoContent, Operation, Path, Query};
use kernel::page::PageRequest;
use kernel::{Ctx, Id, Result, Timestamp, UserId};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::authors::service::{self, AuthorPatch, NewAuthor};
use crate::authors::{Author, AuthorRecord};
use crate::permissions::MANAGE_AUTHORS;
use crate::posts::wire::present;
use crate::problems::{AUTHOR_IN_USE, SLUG_TAKEN};
use crate::slugs::Slug;
use crate::tags::http::slug_of;
use crate::wire::website_of;

pub(crate) fn operations() -> [Operation; 5] {
    [
        Operation::get("/api/v1/blog/authors", "listAuthors", list)
            .tag("Blog")
            .summary("List authors")
            .describe("All author profiles, by slug unless sorted otherwise. Sort keys: slug, created_at.")
            .raises(&[&CURSOR_INVALID, &SORT_NOT_SUPPORTED])
            .public(),
        Operation::post("/api/v1/blog/authors", "createAuthor", create)
            .tag("Blog")
            .summary("Make an author profile")
            .describe("A person with an account gets one with the first post; this makes one for anybody else. The slug is made from the name when it is absent.")
            .raises(&[&SLUG_TAKEN, &ALREADY_EXISTS])
            .requires(&MANAGE_AUTHORS),
        Operation::get("/api/v1/blog/authors/{author_id}", "getAuthor", get)
            .tag("Blog")
            .summary("Read an author profile")
            .describe("One profile; whose account it belongs to is not told.")
            .public(),
        Operation::patch("/api/v1/blog/authors/{author_id}", "updateAuthor", update)
            .tag("Blog")
            .summary("Change an author profile")
            .describe("Your own, or any with the permission blog:authors:manage. Absent members stay as they are. Posts show the new name at once.")
            .raises(&[&SLUG_TAKEN, &ALREADY_EXISTS, &FORBIDDEN])
            .keys_with(&[&MANAGE_AUTHORS])
            .authenticated(),
        Operation::delete("/api/v1/blog/authors/{author_id}", "deleteAuthor", delete)
            .tag("Blog")
            .summary("Delete an author profile")
            .describe("Only while no post names it.")
            .raises(&[&AUTHOR_IN_USE])
            .requires(&MANAGE_AUTHORS),
    ]
}

/// An author profile.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[schema(example = json!({
    "id": "019ab0b2-8f00-7000-8000-000000000001", "version": 1, "slug": "ada", "name": "Ada Lovelace", "bio": "Writes about engines.",
    "website": "https://example.com/ada", "created_at": "2026-11-22T12:00:00.000Z", "updated_at": "2026-11-22T12:00:00.000Z"
}))]
pub(crate) struct AuthorView {
    /// The profile.
    #[schema(value_type = uuid::Uuid)]
    id: Id<Author>,
    /// Grows with every change.
    version: i64,
    /// Its name in addresses.
    slug: String,
    /// The name above posts.
    name: String,
    /// A few sentences.
    bio: String,
    /// Where to find more.
    website: Option<String>,
    /// When it was made.
    created_at: Timestamp,
    /// When it last changed.
    updated_at: Timestamp,
}

impl AuthorView {
    pub(crate) fn of(author: AuthorRecord) -> AuthorView {
        AuthorView {
            id: author.id,
            version: author.version,
            slug: author.slug,
            name: author.name,
            bio: author.bio,
            website: author.website,
            created_at: author.created_at,
            updated_at: author.updated_at,
        }
    }
}

/// An author profile to be made.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewAuthor, example = json!({"name": "Ada Lovelace"}))]
struct NewAuthorBody {
    /// The name above posts.
    #[schema(min_length = 1, max_length = 80)]
    name: String,
    /// Its name in addresses; made from the name when absent.
    #[schema(min_length = 1, max_length = 100)]
    slug: Option<String>,
    /// A few sentences.
    #[serde(default)]
    #[schema(max_length = 1000)]
    bio: String,
    /// An absolute http or https address.
    #[schema(max_length = 500)]
    website: Option<String>,
    /// Whose profile it is.
    #[schema(value_type = Option<uuid::Uuid>)]
    user_id: Option<UserId>,
}

/// What to change about an author profile.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = AuthorPatch, example = json!({"bio": "Writes about engines."}))]
struct AuthorPatchBody {
    /// The name above posts.
    #[schema(min_length = 1, max_length = 80)]
    name: Option<String>,
    /// Its name in addresses.
    #[schema(min_length = 1, max_length = 100)]
    slug: Option<String>,
    /// A few sentences.
    #[schema(max_length = 1000)]
    bio: Option<String>,
    /// An absolute http or https address; null removes it.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<String>, max_length = 500)]
    website: Option<Option<String>>,
    /// Whose profile it is; null makes it nobody's. Needs blog:authors:manage.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<uuid::Uuid>)]
    user_id: Option<Option<UserId>>,
}

/// Which authors to list.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct AuthorFilter {
    /// How many authors a page holds, 1 to 100.
    #[schema(minimum = 1)]
    limit: Option<u32>,
    /// Where the page before ended.
    #[schema(max_length = 1024)]
    cursor: Option<String>,
    /// `slug` or `created_at`, with a minus for descending.
    #[schema(max_length = 40)]
    sort: Option<String>,
}

fn with_etag(author: AuthorRecord) -> Etag<Json<AuthorView>> {
    Etag { version: author.version, answer: Json(AuthorView::of(author)) }
}

async fn list(ctx: Ctx, Query(filter): Query<AuthorFilter>) -> Result<List<AuthorView>> {
    let request = PageRequest::new(filter.limit, filter.cursor);
    Ok(List(service::list(&ctx, filter.sort.as_deref(), request).await?.map(AuthorView::of)))
}

async fn create(ctx: Ctx, Body(body): Body<NewAuthorBody>) -> Result<Etag<Created<AuthorView>>> {
    let slug = slug_of(body.slug.as_deref())?.unwrap_or_else(|| Slug::from_text(&body.name, "author"));
    let website = website_of(body.website)?;
    let new = NewAuthor { user_id: body.user_id, slug, name: body.name, bio: body.bio, website };
    let author = service::create(&ctx, new).await?;
    let location = format!("/api/v1/blog/authors/{}", author.id);
    Ok(Etag { version: author.version, answer: Created { location, body: AuthorView::of(author) } })
}

async fn get(ctx: Ctx, Path(id): Path<Id<Author>>) -> Result<Etag<Json<AuthorView>>> {
    Ok(with_etag(service::find(&ctx, id).await?))
}

async fn update(
    ctx: Ctx,
    Path(id): Path<Id<Author>>,
    if_match: IfMatch,
    Body(body): Body<AuthorPatchBody>,
) -> Result<Etag<Json<AuthorView>>> {
    let slug = slug_of(body.slug.as_deref())?;
    let website = body.website.map(website_of).transpose()?;
    let patch = AuthorPatch { user_id: body.user_id, slug, name: body.name, bio: body.bio, website };
    Ok(with_etag(service::update(&ctx, id, patch, if_match).await?))
}

async fn delete(ctx: Ctx, Path(id): Path<Id<Author>>, if_match: IfMatch) -> Result<NoContent> {
    service::delete(&ctx, id, if_match).await?;
    Ok(NoContent)
}
