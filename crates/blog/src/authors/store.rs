//! SQL of author profiles.

use db::{Conn, Error, params};
use kernel::page::Keyset;
use kernel::{Id, Timestamp, UserId};

use crate::authors::{Author, AuthorRecord};
use crate::posts::store::{padded, places};

db::row! {
    /// A row of `blog_authors`.
    pub(crate) struct AuthorRow {
        pub(crate) id: Id<Author>,
        pub(crate) user_id: Option<UserId>,
        pub(crate) slug: String,
        pub(crate) name: String,
        pub(crate) bio: String,
        pub(crate) website: Option<String>,
        pub(crate) created_at: Timestamp,
        pub(crate) updated_at: Timestamp,
        pub(crate) version: i64,
    }
}

impl From<AuthorRow> for AuthorRecord {
    fn from(row: AuthorRow) -> Self {
        AuthorRecord {
            id: row.id,
            user_id: row.user_id,
            slug: row.slug,
            name: row.name,
            bio: row.bio,
            website: row.website,
            created_at: row.created_at,
            updated_at: row.updated_at,
            version: row.version,
        }
    }
}

pub(crate) fn insert(tx: &mut db::Tx<'_>, author: &AuthorRecord) -> Result<u64, Error> {
    tx.execute(
        "INSERT INTO blog_authors (id, user_id, slug, name, bio, website, created_at, updated_at, version) VALUES (?, ?, ?, ?, ?, ?, ?, ?, 1)",
        params![author.id, author.user_id, author.slug, author.name, author.bio, author.website, author.created_at, author.updated_at],
    )
}

/// Inserts a profile unless the person has one or the slug is taken; tells whether it did.
pub(crate) fn insert_own(tx: &mut db::Tx<'_>, author: &AuthorRecord) -> Result<bool, Error> {
    tx.insert_ignore(
        "INSERT INTO blog_authors (id, user_id, slug, name, bio, website, created_at, updated_at, version) VALUES (?, ?, ?, ?, ?, ?, ?, ?, 1)",
        params![author.id, author.user_id, author.slug, author.name, author.bio, author.website, author.created_at, author.updated_at],
    )
}

pub(crate) fn id_of_user(c: &mut Conn, user: UserId) -> Result<Option<Id<Author>>, Error> {
    Ok(c.opt::<(Id<Author>,)>("SELECT id FROM blog_authors WHERE user_id = ?", params![user])?.map(|(id,)| id))
}

pub(crate) fn find(c: &mut Conn, id: Id<Author>) -> Result<Option<AuthorRecord>, Error> {
    let row = c.opt::<AuthorRow>(
        "SELECT id, user_id, slug, name, bio, website, created_at, updated_at, version FROM blog_authors WHERE id = ?",
        params![id],
    )?;
    Ok(row.map(AuthorRecord::from))
}

pub(crate) fn find_by_slug(c: &mut Conn, slug: &str) -> Result<Option<AuthorRecord>, Error> {
    let row = c.opt::<AuthorRow>(
        "SELECT id, user_id, slug, name, bio, website, created_at, updated_at, version FROM blog_authors WHERE slug = ?",
        params![slug],
    )?;
    Ok(row.map(AuthorRecord::from))
}

/// Which of these profiles exist.
pub(crate) fn existing(c: &mut Conn, ids: &[Id<Author>]) -> Result<Vec<Id<Author>>, Error> {
    let rows = c.all::<(Id<Author>,)>(format!("SELECT id FROM blog_authors WHERE id IN ({})", places(ids.len())), &padded(ids))?;
    Ok(rows.into_iter().map(|(id,)| id).collect())
}

pub(crate) fn list(c: &mut Conn, keyset: &Keyset) -> Result<Vec<AuthorRecord>, Error> {
    let (after, values) = keyset.condition();
    let sql = format!(
        "SELECT id, user_id, slug, name, bio, website, created_at, updated_at, version FROM blog_authors WHERE {after} ORDER BY {} LIMIT {}",
        keyset.order_by(),
        keyset.limit()
    );
    Ok(c.all::<AuthorRow>(sql, &values)?.into_iter().map(AuthorRecord::from).collect())
}

/// Changes a profile if it still has the expected version; false when it does not.
pub(crate) fn update(tx: &mut db::Tx<'_>, author: &AuthorRecord, expected: i64, now: Timestamp) -> Result<bool, Error> {
    let changed = tx.execute(
        "UPDATE blog_authors SET user_id = ?, slug = ?, name = ?, bio = ?, website = ?, updated_at = ?, version = version + 1 \
         WHERE id = ? AND version = ?",
        params![author.user_id, author.slug, author.name, author.bio, author.website, now, author.id, expected],
    )?;
    Ok(changed == 1)
}

/// Deletes a profile if it still has the expected version; posts that name it forbid it.
pub(crate) fn delete(tx: &mut db::Tx<'_>, id: Id<Author>, expected: i64) -> Result<bool, Error> {
    Ok(tx.execute("DELETE FROM blog_authors WHERE id = ? AND version = ?", params![id, expected])? == 1)
}
