//! SQL of conversations.

use db::{Conn, Error, params};
use kernel::{Id, Timestamp};

use crate::posts::Post;
use crate::threads::{Policy, Thread, ThreadRecord};

db::row! {
    /// A row of `blog_threads`.
    pub(crate) struct ThreadRow {
        pub(crate) id: Id<Thread>,
        pub(crate) post_id: Option<Id<Post>>,
        pub(crate) url: Option<String>,
        pub(crate) title: String,
        pub(crate) policy: Option<String>,
        pub(crate) last_seq: i64,
        pub(crate) comment_count: i64,
        pub(crate) created_at: Timestamp,
        pub(crate) updated_at: Timestamp,
        pub(crate) version: i64,
    }
}

impl From<ThreadRow> for ThreadRecord {
    fn from(row: ThreadRow) -> Self {
        ThreadRecord {
            id: row.id,
            post_id: row.post_id,
            url: row.url,
            title: row.title,
            policy: row.policy.as_deref().and_then(Policy::parse),
            last_seq: row.last_seq,
            comment_count: row.comment_count,
            created_at: row.created_at,
            updated_at: row.updated_at,
            version: row.version,
        }
    }
}

/// Inserts a conversation unless its subject has one; tells whether it did.
pub(crate) fn insert(tx: &mut db::Tx<'_>, thread: &ThreadRecord, key: &[u8; 32]) -> Result<bool, Error> {
    let kind = if thread.post_id.is_some() { "post" } else { "url" };
    tx.insert_ignore(
        "INSERT INTO blog_threads (id, subject_kind, subject_key, post_id, url, title, policy, last_seq, comment_count, created_at, updated_at, version) \
         VALUES (?, ?, ?, ?, ?, ?, ?, 0, 0, ?, ?, 1)",
        params![
            thread.id,
            kind,
            key,
            thread.post_id,
            thread.url,
            thread.title,
            thread.policy.map(Policy::as_str),
            thread.created_at,
            thread.updated_at
        ],
    )
}

pub(crate) fn find(c: &mut Conn, id: Id<Thread>) -> Result<Option<ThreadRecord>, Error> {
    let row = c.opt::<ThreadRow>(
        "SELECT id, post_id, url, title, policy, last_seq, comment_count, created_at, updated_at, version FROM blog_threads WHERE id = ?",
        params![id],
    )?;
    Ok(row.map(ThreadRecord::from))
}

pub(crate) fn find_by_key(c: &mut Conn, key: &[u8; 32]) -> Result<Option<ThreadRecord>, Error> {
    let row = c.opt::<ThreadRow>(
        "SELECT id, post_id, url, title, policy, last_seq, comment_count, created_at, updated_at, version FROM blog_threads WHERE subject_key = ?",
        params![key],
    )?;
    Ok(row.map(ThreadRecord::from))
}

/// Holds a conversation's row until the transaction ends: its numbers and counts are changed by one at a time.
pub(crate) fn lock(tx: &mut db::Tx<'_>, id: Id<Thread>) -> Result<Option<ThreadRecord>, Error> {
    let row = tx.opt::<ThreadRow>(
        "SELECT id, post_id, url, title, policy, last_seq, comment_count, created_at, updated_at, version FROM blog_threads WHERE id = ? {for_update}",
        params![id],
    )?;
    Ok(row.map(ThreadRecord::from))
}

/// Counts one more comment, and so many more public ones.
pub(crate) fn count_new(tx: &mut db::Tx<'_>, id: Id<Thread>, public: i64) -> Result<(), Error> {
    tx.execute("UPDATE blog_threads SET last_seq = last_seq + 1, comment_count = comment_count + ? WHERE id = ?", params![public, id])?;
    Ok(())
}

/// Counts so many more public comments, or fewer.
pub(crate) fn count(tx: &mut db::Tx<'_>, id: Id<Thread>, public: i64) -> Result<(), Error> {
    tx.execute("UPDATE blog_threads SET comment_count = comment_count + ? WHERE id = ?", params![public, id])?;
    Ok(())
}

/// Changes a conversation if it still has the expected version; false when it does not.
pub(crate) fn update(
    tx: &mut db::Tx<'_>,
    id: Id<Thread>,
    expected: i64,
    title: &str,
    policy: Option<Policy>,
    now: Timestamp,
) -> Result<bool, Error> {
    let changed = tx.execute(
        "UPDATE blog_threads SET title = ?, policy = ?, updated_at = ?, version = version + 1 WHERE id = ? AND version = ?",
        params![title, policy.map(Policy::as_str), now, id, expected],
    )?;
    Ok(changed == 1)
}
