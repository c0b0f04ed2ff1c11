//! SQL of slugs.

use db::{Conn, Error, params};
use kernel::{Id, Timestamp};

use crate::posts::Post;

db::row! {
    /// Who has or had a slug.
    pub(crate) struct SlugRow {
        pub(crate) post_id: Option<Id<Post>>,
        pub(crate) is_current: bool,
    }
}

/// Takes a slug that nobody ever had; false when somebody has or had it.
pub(crate) fn insert(tx: &mut db::Tx<'_>, locale: &str, slug: &str, post: Id<Post>, now: Timestamp) -> Result<bool, Error> {
    tx.insert_ignore(
        "INSERT INTO blog_post_slugs (locale, slug, post_id, is_current, created_at) VALUES (?, ?, ?, 1, ?)",
        params![locale, slug, post, now],
    )
}

/// Takes back a slug that this post had before; false when it never had it.
pub(crate) fn take_back(tx: &mut db::Tx<'_>, locale: &str, slug: &str, post: Id<Post>) -> Result<bool, Error> {
    let changed =
        tx.execute("UPDATE blog_post_slugs SET is_current = 1 WHERE locale = ? AND slug = ? AND post_id = ?", params![locale, slug, post])?;
    Ok(changed == 1)
}

/// Takes a slug that was given up; false when it is in use.
pub(crate) fn claim(tx: &mut db::Tx<'_>, locale: &str, slug: &str, post: Id<Post>) -> Result<bool, Error> {
    let changed = tx.execute(
        "UPDATE blog_post_slugs SET is_current = 1, post_id = ? WHERE locale = ? AND slug = ? AND is_current = 0",
        params![post, locale, slug],
    )?;
    Ok(changed == 1)
}

/// Makes the current slug of a post a former one.
pub(crate) fn give_up(tx: &mut db::Tx<'_>, post: Id<Post>) -> Result<(), Error> {
    tx.execute("UPDATE blog_post_slugs SET is_current = 0 WHERE post_id = ? AND is_current = 1", params![post])?;
    Ok(())
}

/// Leaves the slugs of a purged post behind without it (BLG-6).
pub(crate) fn bury(tx: &mut db::Tx<'_>, post: Id<Post>) -> Result<(), Error> {
    tx.execute("UPDATE blog_post_slugs SET is_current = 0, post_id = NULL WHERE post_id = ?", params![post])?;
    Ok(())
}

pub(crate) fn find(c: &mut Conn, locale: &str, slug: &str) -> Result<Option<SlugRow>, Error> {
    c.opt("SELECT post_id, is_current FROM blog_post_slugs WHERE locale = ? AND slug = ?", params![locale, slug])
}

pub(crate) fn exists(c: &mut Conn, locale: &str, slug: &str) -> Result<bool, Error> {
    Ok(c.opt::<i64>("SELECT 1 FROM blog_post_slugs WHERE locale = ? AND slug = ?", params![locale, slug])?.is_some())
}

/// The posts that gave up this slug, in any language.
pub(crate) fn former_owners(c: &mut Conn, slug: &str) -> Result<Vec<(String, Id<Post>)>, Error> {
    c.all(
        "SELECT locale, post_id FROM blog_post_slugs WHERE slug = ? AND is_current = 0 AND post_id IS NOT NULL ORDER BY locale LIMIT 20",
        params![slug],
    )
}

/// Whether any slug was ever given up by a post that still exists.
pub(crate) fn has_former(c: &mut Conn) -> Result<bool, Error> {
    Ok(c.opt::<i64>("SELECT 1 FROM blog_post_slugs WHERE is_current = 0 AND post_id IS NOT NULL LIMIT 1", params![])?.is_some())
}
