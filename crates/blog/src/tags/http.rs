//! Tags over HTTP.

use kernel::error::{CURSOR_INVALID, SORT_NOT_SUPPORTED};
use kernel::http::{Body, Created, Etag, IfMatch, Json, List, NoContent, Operation, Path, Query};
use kernel::page::PageRequest;
use kernel::{Ctx, Error, Id, Result, Timestamp};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::permissions::MANAGE_TAGS;
use crate::problems::SLUG_TAKEN;
use crate::slugs::Slug;
use crate::tags::service::{self, NewTag, TagPatch};
use crate::tags::{Tag, TagKind, TagRecord};

pub(crate) fn operations() -> [Operation; 5] {
    [
        Operation::get("/api/v1/blog/tags", "listTags", list)
            .tag("Blog")
            .summary("List tags")
            .describe("All tags and categories, by slug unless sorted otherwise. Sort keys: slug, created_at.")
            .raises(&[&CURSOR_INVALID, &SORT_NOT_SUPPORTED])
            .public(),
        Operation::post("/api/v1/blog/tags", "createTag", create)
            .tag("Blog")
            .summary("Make a tag")
            .describe("The slug is made from the name when it is absent.")
            .raises(&[&SLUG_TAKEN])
            .requires(&MANAGE_TAGS),
        Operation::get("/api/v1/blog/tags/{tag_id}", "getTag", get)
            .tag("Blog")
            .summary("Read a tag")
            .describe("One tag or category.")
            .public(),
        Operation::patch("/api/v1/blog/tags/{tag_id}", "updateTag", update)
            .tag("Blog")
            .summary("Change a tag")
            .describe("Absent members stay as they are. Posts show the new name at once.")
            .raises(&[&SLUG_TAKEN])
            .requires(&MANAGE_TAGS),
        Operation::delete("/api/v1/blog/tags/{tag_id}", "deleteTag", delete)
            .tag("Blog")
            .summary("Delete a tag")
            .describe("Posts that have it lose it.")
            .requires(&MANAGE_TAGS),
    ]
}

/// A tag or category.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[schema(example = json!({
    "id": "019ab0b2-8f00-7000-8000-000000000001", "version": 1, "kind": "tag", "slug": "bridges", "name": "Bridges",
    "description": "Everything that crosses water.", "created_at": "2026-11-22T12:00:00.000Z", "updated_at": "2026-11-22T12:00:00.000Z"
}))]
pub(crate) struct TagView {
    /// The tag.
    #[schema(value_type = uuid::Uuid)]
    id: Id<Tag>,
    /// Grows with every change.
    version: i64,
    /// `tag` or `category`.
    kind: TagKind,
    /// Its name in addresses.
    slug: String,
    /// Its name.
    name: String,
    /// What it is about.
    description: String,
    /// When it was made.
    created_at: Timestamp,
    /// When it last changed.
    updated_at: Timestamp,
}

impl TagView {
    pub(crate) fn of(tag: TagRecord) -> TagView {
        TagView {
            id: tag.id,
            version: tag.version,
            kind: tag.kind,
            slug: tag.slug,
            name: tag.name,
            description: tag.description,
            created_at: tag.created_at,
            updated_at: tag.updated_at,
        }
    }
}

/// A tag to be made.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewTag, example = json!({"name": "Bridges"}))]
struct NewTagBody {
    /// Its name.
    #[schema(min_length = 1, max_length = 80)]
    name: String,
    /// Its name in addresses; made from the name when absent.
    #[schema(min_length = 1, max_length = 100)]
    slug: Option<String>,
    /// `tag` or `category`.
    #[serde(default)]
    kind: TagKind,
    /// What it is about.
    #[serde(default)]
    #[schema(max_length = 1000)]
    description: String,
}

/// What to change about a tag.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = TagPatch, example = json!({"name": "Bridges and tunnels"}))]
struct TagPatchBody {
    /// Its name.
    #[schema(min_length = 1, max_length = 80)]
    name: Option<String>,
    /// Its name in addresses.
    #[schema(min_length = 1, max_length = 100)]
    slug: Option<String>,
    /// `tag` or `category`.
    kind: Option<TagKind>,
    /// What it is about.
    #[schema(max_length = 1000)]
    description: Option<String>,
}

/// Which tags to list.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct TagFilter {
    /// How many tags a page holds, 1 to 100.
    #[schema(minimum = 1)]
    limit: Option<u32>,
    /// Where the page before ended.
    #[schema(max_length = 1024)]
    cursor: Option<String>,
    /// Only tags, or only categories.
    kind: Option<TagKind>,
    /// `slug` or `created_at`, with a minus for descending.
    #[schema(max_length = 40)]
    sort: Option<String>,
}

fn with_etag(tag: TagRecord) -> Etag<Json<TagView>> {
    Etag { version: tag.version, answer: Json(TagView::of(tag)) }
}

pub(crate) fn slug_of(typed: Option<&str>) -> Result<Option<Slug>> {
    typed.map(|typed| Slug::from_body(typed, "/slug")).transpose().map_err(|field| Error::invalid(vec![field]))
}

async fn list(ctx: Ctx, Query(filter): Query<TagFilter>) -> Result<List<TagView>> {
    let request = PageRequest::new(filter.limit, filter.cursor);
    Ok(List(service::list(&ctx, filter.kind, filter.sort.as_deref(), request).await?.map(TagView::of)))
}

async fn create(ctx: Ctx, Body(body): Body<NewTagBody>) -> Result<Etag<Created<TagView>>> {
    let slug = slug_of(body.slug.as_deref())?.unwrap_or_else(|| Slug::from_text(&body.name, "tag"));
    let tag = service::create(&ctx, NewTag { kind: body.kind, slug, name: body.name, description: body.description }).await?;
    let location = format!("/api/v1/blog/tags/{}", tag.id);
    Ok(Etag { version: tag.version, answer: Created { location, body: TagView::of(tag) } })
}

async fn get(ctx: Ctx, Path(id): Path<Id<Tag>>) -> Result<Etag<Json<TagView>>> {
    Ok(with_etag(service::find(&ctx, id).await?))
}

async fn update(ctx: Ctx, Path(id): Path<Id<Tag>>, if_match: IfMatch, Body(body): Body<TagPatchBody>) -> Result<Etag<Json<TagView>>> {
    let slug = slug_of(body.slug.as_deref())?;
    let patch = TagPatch { kind: body.kind, slug, name: body.name, description: body.description };
    Ok(with_etag(service::update(&ctx, id, patch, if_match).await?))
}

async fn delete(ctx: Ctx, Path(id): Path<Id<Tag>>, if_match: IfMatch) -> Result<NoContent> {
    service::delete(&ctx, id, if_match).await?;
    Ok(NoContent)
}
