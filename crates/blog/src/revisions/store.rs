//! SQL of revisions.

use db::{Conn, Error, params};
use kernel::{Id, Timestamp, UserId};

use crate::posts::Post;
use crate::revisions::{RevisionLine, RevisionRecord};

db::row! {
    /// A row of `blog_post_revisions`.
    pub(crate) struct RevisionRow {
        pub(crate) number: i64,
        pub(crate) author_user_id: Option<UserId>,
        pub(crate) reason: String,
        pub(crate) created_at: Timestamp,
        pub(crate) payload: String,
    }
}

/// The number of the newest revision; zero when there is none.
pub(crate) fn newest(c: &mut Conn, post: Id<Post>) -> Result<i64, Error> {
    let row = c.opt::<i64>("SELECT number FROM blog_post_revisions WHERE post_id = ? ORDER BY number DESC LIMIT 1", params![post])?;
    Ok(row.unwrap_or(0))
}

pub(crate) fn insert(
    tx: &mut db::Tx<'_>,
    post: Id<Post>,
    number: i64,
    user: Option<UserId>,
    reason: &str,
    payload: &str,
    now: Timestamp,
) -> Result<(), Error> {
    tx.execute(
        "INSERT INTO blog_post_revisions (post_id, number, author_user_id, reason, created_at, payload) VALUES (?, ?, ?, ?, ?, ?)",
        params![post, number, user, reason, now, payload],
    )?;
    Ok(())
}

/// Forgets the revisions up to this number.
pub(crate) fn prune(tx: &mut db::Tx<'_>, post: Id<Post>, up_to: i64) -> Result<(), Error> {
    tx.execute("DELETE FROM blog_post_revisions WHERE post_id = ? AND number <= ?", params![post, up_to])?;
    Ok(())
}

pub(crate) fn delete(tx: &mut db::Tx<'_>, post: Id<Post>) -> Result<(), Error> {
    tx.execute("DELETE FROM blog_post_revisions WHERE post_id = ?", params![post])?;
    Ok(())
}

pub(crate) fn find(c: &mut Conn, post: Id<Post>, number: i64) -> kernel::Result<Option<RevisionRecord>> {
    let row = c.opt::<RevisionRow>(
        "SELECT number, author_user_id, reason, created_at, payload FROM blog_post_revisions WHERE post_id = ? AND number = ?",
        params![post, number],
    )?;
    row.map(|row| {
        let payload = serde_json::from_str(&row.payload).map_err(kernel::Error::internal)?;
        let RevisionRow { number, author_user_id, reason, created_at, .. } = row;
        Ok(RevisionRecord { number, author_user_id, reason, created_at, payload })
    })
    .transpose()
}

/// The revisions before this number, newest first.
pub(crate) fn list(c: &mut Conn, post: Id<Post>, before: i64, limit: u32) -> Result<Vec<RevisionLine>, Error> {
    let sql = format!(
        "SELECT number, author_user_id, reason, created_at FROM blog_post_revisions WHERE post_id = ? AND number < ? \
         ORDER BY number DESC LIMIT {limit}"
    );
    let rows = c.all::<(i64, Option<UserId>, String, Timestamp)>(sql, params![post, before])?;
    let line = |(number, author_user_id, reason, created_at)| RevisionLine { number, author_user_id, reason, created_at };
    Ok(rows.into_iter().map(line).collect())
}
