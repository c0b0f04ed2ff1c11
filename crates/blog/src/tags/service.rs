//! The verbs of tags: create, list, update, delete.

use db::OnViolation as _;
use kernel::error::NOT_FOUND;
use kernel::http::{IfMatch, version_conflict};
use kernel::page::{CursorValue, KeyKind, Keyset, Page, PageRequest, SortKey};
use kernel::{AuditEntry, Ctx, Id, Result};

use crate::events::{TagCreated, TagDeleted, TagUpdated};
use crate::permissions::MANAGE_TAGS;
use crate::problems::SLUG_TAKEN;
use crate::slugs::Slug;
use crate::tags::http::TagView;
use crate::tags::{Tag, TagKind, TagRecord, store};

/// A tag to be made.
#[derive(Clone, Debug)]
pub(crate) struct NewTag {
    pub(crate) kind: TagKind,
    pub(crate) slug: Slug,
    pub(crate) name: String,
    pub(crate) description: String,
}

/// What to change about a tag.
#[derive(Clone, Debug, Default)]
pub(crate) struct TagPatch {
    pub(crate) kind: Option<TagKind>,
    pub(crate) slug: Option<Slug>,
    pub(crate) name: Option<String>,
    pub(crate) description: Option<String>,
}

const KEYS: &[SortKey] = &[
    SortKey { name: "slug", column: "slug", kind: KeyKind::Text },
    SortKey { name: "created_at", column: "created_at", kind: KeyKind::Int },
];

pub(crate) async fn create(ctx: &Ctx, new: NewTag) -> Result<TagRecord> {
    ctx.actor.require(&MANAGE_TAGS)?;
    let now = ctx.now();
    let tag = TagRecord {
        id: ctx.new_id(),
        kind: new.kind,
        slug: new.slug.as_str().to_owned(),
        name: new.name,
        description: new.description,
        created_at: now,
        updated_at: now,
        version: 1,
    };
    ctx.write(move |tx| {
        store::insert(tx, &tag).on_unique("blog_tags_slug", || SLUG_TAKEN.on("/slug"))?;
        tx.record(&TagCreated { tag_id: tag.id.uuid(), tag: TagView::of(tag.clone()) })?;
        Ok(tag.clone())
    })
    .await
}

pub(crate) async fn find(ctx: &Ctx, id: Id<Tag>) -> Result<TagRecord> {
    ctx.read(move |c| store::find(c, id)?.ok_or_else(|| NOT_FOUND.error())).await
}

pub(crate) async fn list(ctx: &Ctx, kind: Option<TagKind>, sort: Option<&str>, request: PageRequest) -> Result<Page<TagRecord>> {
    let filter = kind.map_or("", TagKind::as_str);
    let keyset = Keyset::parse(ctx, KEYS, "slug", sort, "listTags", filter, &request)?;
    let rows = ctx.read({
        let keyset = keyset.clone();
        move |c| Ok(store::list(c, kind, &keyset)?)
    });
    let rows = rows.await?;
    Ok(keyset.page(ctx, rows, |tag| {
        let value = match keyset.key() {
            "created_at" => CursorValue::Int(tag.created_at.as_millis()),
            _ => CursorValue::Text(tag.slug.clone()),
        };
        (value, tag.id.uuid())
    }))
}

pub(crate) async fn update(ctx: &Ctx, id: Id<Tag>, patch: TagPatch, if_match: IfMatch) -> Result<TagRecord> {
    ctx.actor.require(&MANAGE_TAGS)?;
    let now = ctx.now();
    ctx.write(move |tx| {
        let mut tag = store::find(tx, id)?.ok_or(&NOT_FOUND)?;
        if_match.expected(tag.version)?;
        let expected = tag.version;
        tag.kind = patch.kind.unwrap_or(tag.kind);
        tag.slug = patch.slug.as_ref().map_or(tag.slug, |slug| slug.as_str().to_owned());
        tag.name = patch.name.clone().unwrap_or(tag.name);
        tag.description = patch.description.clone().unwrap_or(tag.description);
        if !store::update(tx, &tag, expected, now).on_unique("blog_tags_slug", || SLUG_TAKEN.on("/slug"))? {
            return Err(version_conflict(store::find(tx, id)?.ok_or(&NOT_FOUND)?.version));
        }
        (tag.version, tag.updated_at) = (expected + 1, now);
        tx.record(&TagUpdated { tag_id: id.uuid(), tag: TagView::of(tag.clone()) })?;
        Ok(tag)
    })
    .await
}

/// Deletes a tag; posts lose it (REL-2).
pub(crate) async fn delete(ctx: &Ctx, id: Id<Tag>, if_match: IfMatch) -> Result<()> {
    ctx.actor.require(&MANAGE_TAGS)?;
    ctx.write(move |tx| {
        let tag = store::find(tx, id)?.ok_or(&NOT_FOUND)?;
        if_match.expected(tag.version)?;
        if !store::delete(tx, id, tag.version)? {
            return Err(version_conflict(store::find(tx, id)?.ok_or(&NOT_FOUND)?.version));
        }
        tx.audit(AuditEntry::ok("blog.tag.delete", &format!("tag:{id}")))?;
        tx.record(&TagDeleted { tag_id: id.uuid(), tag: TagView::of(tag) })
    })
    .await
}
