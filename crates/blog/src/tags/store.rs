//! SQL of tags.

use db::{Conn, Error, params};
use kernel::page::Keyset;
use kernel::{Id, Timestamp};

use crate::posts::store::{padded, places};
use crate::tags::{Tag, TagKind, TagRecord};

db::row! {
    /// A row of `blog_tags`.
    pub(crate) struct TagRow {
        pub(crate) id: Id<Tag>,
        pub(crate) kind: String,
        pub(crate) slug: String,
        pub(crate) name: String,
        pub(crate) description: String,
        pub(crate) created_at: Timestamp,
        pub(crate) updated_at: Timestamp,
        pub(crate) version: i64,
    }
}

impl From<TagRow> for TagRecord {
    fn from(row: TagRow) -> Self {
        TagRecord {
            id: row.id,
            kind: TagKind::parse(&row.kind),
            slug: row.slug,
            name: row.name,
            description: row.description,
            created_at: row.created_at,
            updated_at: row.updated_at,
            version: row.version,
        }
    }
}

pub(crate) fn insert(tx: &mut db::Tx<'_>, tag: &TagRecord) -> Result<u64, Error> {
    tx.execute(
        "INSERT INTO blog_tags (id, kind, slug, name, description, created_at, updated_at, version) VALUES (?, ?, ?, ?, ?, ?, ?, 1)",
        params![tag.id, tag.kind.as_str(), tag.slug, tag.name, tag.description, tag.created_at, tag.updated_at],
    )
}

pub(crate) fn find(c: &mut Conn, id: Id<Tag>) -> Result<Option<TagRecord>, Error> {
    let row = c.opt::<TagRow>(
        "SELECT id, kind, slug, name, description, created_at, updated_at, version FROM blog_tags WHERE id = ?",
        params![id],
    )?;
    Ok(row.map(TagRecord::from))
}

pub(crate) fn find_by_slug(c: &mut Conn, slug: &str) -> Result<Option<TagRecord>, Error> {
    let row = c.opt::<TagRow>(
        "SELECT id, kind, slug, name, description, created_at, updated_at, version FROM blog_tags WHERE slug = ?",
        params![slug],
    )?;
    Ok(row.map(TagRecord::from))
}

/// Which of these tags exist.
pub(crate) fn existing(c: &mut Conn, ids: &[Id<Tag>]) -> Result<Vec<Id<Tag>>, Error> {
    let rows = c.all::<(Id<Tag>,)>(format!("SELECT id FROM blog_tags WHERE id IN ({})", places(ids.len())), &padded(ids))?;
    Ok(rows.into_iter().map(|(id,)| id).collect())
}

pub(crate) fn list(c: &mut Conn, kind: Option<TagKind>, keyset: &Keyset) -> Result<Vec<TagRecord>, Error> {
    let (after, mut values) = keyset.condition();
    let narrowed = match kind {
        Some(kind) => {
            values.push(db::Param::Text(kind.as_str()));
            " AND kind = ?"
        }
        None => "",
    };
    let sql = format!(
        "SELECT id, kind, slug, name, description, created_at, updated_at, version FROM blog_tags WHERE {after}{narrowed} ORDER BY {} LIMIT {}",
        keyset.order_by(),
        keyset.limit()
    );
    Ok(c.all::<TagRow>(sql, &values)?.into_iter().map(TagRecord::from).collect())
}

/// Changes a tag if it still has the expected version; false when it does not.
pub(crate) fn update(tx: &mut db::Tx<'_>, tag: &TagRecord, expected: i64, now: Timestamp) -> Result<bool, Error> {
    let changed = tx.execute(
        "UPDATE blog_tags SET kind = ?, slug = ?, name = ?, description = ?, updated_at = ?, version = version + 1 WHERE id = ? AND version = ?",
        params![tag.kind.as_str(), tag.slug, tag.name, tag.description, now, tag.id, expected],
    )?;
    Ok(changed == 1)
}

/// Deletes a tag if it still has the expected version, and takes it off every post.
pub(crate) fn delete(tx: &mut db::Tx<'_>, id: Id<Tag>, expected: i64) -> Result<bool, Error> {
    tx.execute("DELETE FROM blog_post_tags WHERE tag_id = ?", params![id])?;
    Ok(tx.execute("DELETE FROM blog_tags WHERE id = ? AND version = ?", params![id, expected])? == 1)
}
