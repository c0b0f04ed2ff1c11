//! SQL of drafts.

use db::{Conn, Error, params};
use kernel::{Id, Timestamp, UserId};

use crate::drafts::{DraftRecord, Payload};
use crate::posts::Post;

db::row! {
    /// A row of `blog_post_drafts`.
    pub(crate) struct DraftRow {
        pub(crate) post_id: Id<Post>,
        pub(crate) base_version: i64,
        pub(crate) version: i64,
        pub(crate) created_at: Timestamp,
        pub(crate) updated_at: Timestamp,
        pub(crate) payload: String,
    }
}

pub(crate) fn find(c: &mut Conn, post: Id<Post>) -> kernel::Result<Option<DraftRecord>> {
    let row = c.opt::<DraftRow>(
        "SELECT post_id, base_version, version, created_at, updated_at, payload FROM blog_post_drafts WHERE post_id = ?",
        params![post],
    )?;
    row.map(|row| {
        let payload: Payload = serde_json::from_str(&row.payload).map_err(kernel::Error::internal)?;
        Ok(DraftRecord {
            post_id: row.post_id,
            base_version: row.base_version,
            version: row.version,
            created_at: row.created_at,
            updated_at: row.updated_at,
            payload,
        })
    })
    .transpose()
}

/// Inserts the first draft of a post; false when there is one.
pub(crate) fn insert(
    tx: &mut db::Tx<'_>,
    post: Id<Post>,
    base_version: i64,
    payload: &str,
    user: Option<UserId>,
    now: Timestamp,
) -> Result<bool, Error> {
    tx.insert_ignore(
        "INSERT INTO blog_post_drafts (post_id, base_version, version, updated_by, created_at, updated_at, payload) VALUES (?, ?, 1, ?, ?, ?, ?)",
        params![post, base_version, user, now, now, payload],
    )
}

/// Replaces a draft that still has the expected version; false when it does not.
pub(crate) fn update(
    tx: &mut db::Tx<'_>,
    post: Id<Post>,
    expected: i64,
    base_version: i64,
    payload: &str,
    user: Option<UserId>,
    now: Timestamp,
) -> Result<bool, Error> {
    let changed = tx.execute(
        "UPDATE blog_post_drafts SET base_version = ?, version = version + 1, updated_by = ?, updated_at = ?, payload = ? \
         WHERE post_id = ? AND version = ?",
        params![base_version, user, now, payload, post, expected],
    )?;
    Ok(changed == 1)
}

/// A change of the post that touches nothing a draft holds leaves the draft up to date.
pub(crate) fn rebase(tx: &mut db::Tx<'_>, post: Id<Post>, from: i64, to: i64) -> Result<(), Error> {
    tx.execute("UPDATE blog_post_drafts SET base_version = ? WHERE post_id = ? AND base_version = ?", params![to, post, from])?;
    Ok(())
}

pub(crate) fn delete(tx: &mut db::Tx<'_>, post: Id<Post>) -> Result<bool, Error> {
    Ok(tx.execute("DELETE FROM blog_post_drafts WHERE post_id = ?", params![post])? == 1)
}
