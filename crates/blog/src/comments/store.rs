//! SQL of comments.

use db::{Conn, Error, Param, params};
use kernel::page::Keyset;
use kernel::{Id, Timestamp, UserId};

use crate::comments::{Comment, CommentRecord, Status};
use crate::posts::Post;
use crate::posts::store::{padded, places};
use crate::threads::Thread;

db::row! {
    /// A row of `blog_comments` with the post of its conversation.
    pub(crate) struct CommentRow {
        pub(crate) id: Id<Comment>,
        pub(crate) thread_id: Id<Thread>,
        pub(crate) post_id: Option<Id<Post>>,
        pub(crate) seq: i64,
        pub(crate) parent_id: Option<Id<Comment>>,
        pub(crate) root_id: Id<Comment>,
        pub(crate) depth: i64,
        pub(crate) author_user_id: Option<UserId>,
        pub(crate) author_name: String,
        pub(crate) guest_website: Option<String>,
        pub(crate) edit_token_hash: Option<[u8; 32]>,
        pub(crate) status: String,
        pub(crate) is_deleted: bool,
        pub(crate) spam_score: i64,
        pub(crate) reply_count: i64,
        pub(crate) report_count: i64,
        pub(crate) created_at: Timestamp,
        pub(crate) edited_at: Option<Timestamp>,
        pub(crate) version: i64,
        pub(crate) render_version: i32,
        pub(crate) body_source: String,
        pub(crate) body_html: String,
    }
}

macro_rules! select {
    () => {
        "SELECT c.id, c.thread_id, t.post_id, c.seq, c.parent_id, c.root_id, c.depth, c.author_user_id, c.author_name, c.guest_website, \
         c.edit_token_hash, c.status, c.is_deleted, c.spam_score, c.reply_count, c.report_count, c.created_at, c.edited_at, c.version, \
         c.render_version, c.body_source, c.body_html FROM blog_comments c JOIN blog_threads t ON t.id = c.thread_id"
    };
}

impl From<CommentRow> for CommentRecord {
    fn from(row: CommentRow) -> Self {
        CommentRecord {
            id: row.id,
            thread_id: row.thread_id,
            post_id: row.post_id,
            seq: row.seq,
            parent_id: row.parent_id,
            root_id: row.root_id,
            depth: row.depth,
            author_user_id: row.author_user_id,
            author_name: row.author_name,
            guest_website: row.guest_website,
            edit_token_hash: row.edit_token_hash,
            status: Status::parse(&row.status),
            is_deleted: row.is_deleted,
            spam_score: row.spam_score,
            reply_count: row.reply_count,
            report_count: row.report_count,
            created_at: row.created_at,
            edited_at: row.edited_at,
            version: row.version,
            render_version: row.render_version,
            source: row.body_source,
            html: row.body_html,
        }
    }
}

pub(crate) fn find(c: &mut Conn, id: Id<Comment>) -> Result<Option<CommentRecord>, Error> {
    Ok(c.opt::<CommentRow>(concat!(select!(), " WHERE c.id = ?"), params![id])?.map(CommentRecord::from))
}

/// These comments; unknown ids are left out.
pub(crate) fn find_all(c: &mut Conn, ids: &[Id<Comment>]) -> Result<Vec<CommentRecord>, Error> {
    let sql = format!("{} WHERE c.id IN ({})", select!(), places(ids.len()));
    Ok(c.all::<CommentRow>(sql, &padded(ids))?.into_iter().map(CommentRecord::from).collect())
}

/// What a guest leaves beside a name.
#[derive(Clone, Debug, Default)]
pub(crate) struct GuestTraces {
    pub(crate) email_sealed: Option<Vec<u8>>,
    pub(crate) key: Option<[u8; 32]>,
}

/// Traces that only spam is looked for with.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Traces {
    pub(crate) ip_hash: [u8; 32],
    pub(crate) body_hash: [u8; 32],
}

pub(crate) fn insert(tx: &mut db::Tx<'_>, comment: &CommentRecord, guest: &GuestTraces, traces: &Traces) -> Result<(), Error> {
    tx.execute(
        "INSERT INTO blog_comments (id, thread_id, seq, parent_id, root_id, depth, author_user_id, author_name, guest_website, \
         guest_email_sealed, guest_key, edit_token_hash, status, is_deleted, was_approved, spam_score, ip_hash, body_hash, reply_count, \
         report_count, render_version, created_at, updated_at, version, body_source, body_html) \
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0, ?, ?, ?, ?, 0, 0, ?, ?, ?, 1, ?, ?)",
        params![
            comment.id,
            comment.thread_id,
            comment.seq,
            comment.parent_id,
            comment.root_id,
            comment.depth,
            comment.author_user_id,
            comment.author_name,
            comment.guest_website,
            guest.email_sealed,
            guest.key,
            comment.edit_token_hash,
            comment.status.as_str(),
            // Trust comes from a moderator's decision, not from a thread that lets everybody in.
            false,
            comment.spam_score,
            traces.ip_hash,
            traces.body_hash,
            comment.render_version,
            comment.created_at,
            comment.created_at,
            comment.source,
            comment.html
        ],
    )?;
    Ok(())
}

/// Whether a moderator ever let this person, or this guest, through.
pub(crate) fn is_known(c: &mut Conn, user: Option<UserId>, guest: Option<&[u8; 32]>) -> Result<bool, Error> {
    let row = match (user, guest) {
        (Some(user), _) => {
            c.opt::<i64>("SELECT 1 FROM blog_comments WHERE author_user_id = ? AND was_approved = 1 LIMIT 1", params![user])?
        }
        (None, Some(key)) => c.opt::<i64>("SELECT 1 FROM blog_comments WHERE guest_key = ? AND was_approved = 1 LIMIT 1", params![key])?,
        (None, None) => None,
    };
    Ok(row.is_some())
}

/// How many comments came from an address since then; 20 is many.
pub(crate) fn count_from(c: &mut Conn, ip_hash: &[u8; 32], since: Timestamp) -> Result<usize, Error> {
    Ok(c.all::<i64>("SELECT 1 FROM blog_comments WHERE ip_hash = ? AND created_at > ? LIMIT 20", params![ip_hash, since])?.len())
}

/// How often the same text came since then; 20 is many.
pub(crate) fn count_same(c: &mut Conn, body_hash: &[u8; 32], since: Timestamp) -> Result<usize, Error> {
    Ok(c.all::<i64>("SELECT 1 FROM blog_comments WHERE body_hash = ? AND created_at > ? LIMIT 20", params![body_hash, since])?.len())
}

/// Whether so many comments of guests wait for a moderator, or more.
pub(crate) fn is_overrun(c: &mut Conn, most: u32) -> Result<bool, Error> {
    let sql = format!("SELECT 1 FROM blog_comments WHERE status = 'pending' AND author_user_id IS NULL LIMIT {most}");
    let mut waiting = 0;
    c.each::<i64>(sql, params![], |_| {
        waiting += 1;
        Ok(())
    })?;
    Ok(waiting >= most)
}

/// Changes who sees a comment; the conversation is locked.
pub(crate) fn set_status(tx: &mut db::Tx<'_>, id: Id<Comment>, status: Status, now: Timestamp) -> Result<(), Error> {
    match status {
        Status::Approved => tx.execute(
            "UPDATE blog_comments SET status = ?, was_approved = 1, updated_at = ?, version = version + 1 WHERE id = ?",
            params![status.as_str(), now, id],
        )?,
        // Spam forfeits the trust of an earlier approval of this very comment.
        Status::Spam => tx.execute(
            "UPDATE blog_comments SET status = ?, was_approved = 0, updated_at = ?, version = version + 1 WHERE id = ?",
            params![status.as_str(), now, id],
        )?,
        _ => tx.execute(
            "UPDATE blog_comments SET status = ?, updated_at = ?, version = version + 1 WHERE id = ?",
            params![status.as_str(), now, id],
        )?,
    };
    Ok(())
}

/// Counts so many more public replies of a comment, or fewer.
pub(crate) fn count_replies(tx: &mut db::Tx<'_>, id: Id<Comment>, replies: i64) -> Result<(), Error> {
    tx.execute("UPDATE blog_comments SET reply_count = reply_count + ? WHERE id = ?", params![replies, id])?;
    Ok(())
}

/// Changes what a comment says if it still has the expected version; false when it does not.
pub(crate) fn update_body(tx: &mut db::Tx<'_>, comment: &CommentRecord, now: Timestamp) -> Result<bool, Error> {
    let changed = tx.execute(
        "UPDATE blog_comments SET body_source = ?, body_html = ?, render_version = ?, spam_score = ?, edited_at = ?, updated_at = ?, \
         version = version + 1 WHERE id = ? AND version = ?",
        params![comment.source, comment.html, comment.render_version, comment.spam_score, now, now, comment.id, comment.version],
    )?;
    Ok(changed == 1)
}

/// Whether anything hangs below a comment, public or not.
pub(crate) fn has_children(c: &mut Conn, id: Id<Comment>) -> Result<bool, Error> {
    Ok(c.opt::<i64>("SELECT 1 FROM blog_comments WHERE parent_id = ? LIMIT 1", params![id])?.is_some())
}

/// Leaves a comment as a place for its replies, with nothing of its writer.
pub(crate) fn make_tombstone(tx: &mut db::Tx<'_>, id: Id<Comment>, now: Timestamp) -> Result<(), Error> {
    tx.execute(
        "UPDATE blog_comments SET is_deleted = 1, body_source = '', body_html = '', author_name = '', author_user_id = NULL, \
         guest_website = NULL, guest_email_sealed = NULL, guest_key = NULL, edit_token_hash = NULL, ip_hash = NULL, body_hash = NULL, \
         updated_at = ?, version = version + 1 WHERE id = ?",
        params![now, id],
    )?;
    Ok(())
}

pub(crate) fn delete(tx: &mut db::Tx<'_>, id: Id<Comment>) -> Result<(), Error> {
    tx.execute("DELETE FROM blog_comments WHERE id = ?", params![id])?;
    Ok(())
}

/// Counts one more report.
pub(crate) fn count_report(tx: &mut db::Tx<'_>, id: Id<Comment>) -> Result<(), Error> {
    tx.execute("UPDATE blog_comments SET report_count = report_count + 1 WHERE id = ?", params![id])?;
    Ok(())
}

/// Which comments of a conversation to list.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Branch {
    /// Those that answer no other.
    Roots,
    /// The replies below this one, however deep.
    Below(Id<Comment>),
    /// All.
    Flat,
}

/// The comments of a conversation that everybody sees, and those of this person that wait.
pub(crate) fn list(
    c: &mut Conn,
    thread: Id<Thread>,
    branch: Branch,
    reader: Option<UserId>,
    keyset: &Keyset,
) -> Result<Vec<CommentRecord>, Error> {
    let (after, after_values) = keyset.condition();
    let mut values = vec![Param::Id(thread.uuid().into_bytes())];
    let narrowed = match branch {
        Branch::Roots => " AND c.parent_id IS NULL",
        Branch::Below(root) => {
            values.extend([Param::Id(root.uuid().into_bytes()), Param::Id(root.uuid().into_bytes())]);
            " AND c.root_id = ? AND c.id <> ?"
        }
        Branch::Flat => "",
    };
    let own = match reader {
        Some(reader) => {
            values.push(Param::Id(reader.uuid().into_bytes()));
            " OR (c.status = 'pending' AND c.author_user_id = ?)"
        }
        None => "",
    };
    values.extend(after_values);
    let sql = format!(
        "{} WHERE c.thread_id = ?{narrowed} AND ((c.status = 'approved' AND (c.is_deleted = 0 OR c.reply_count > 0)){own}) AND {after} \
         ORDER BY {} LIMIT {}",
        select!(),
        keyset.order_by(),
        keyset.limit()
    );
    Ok(c.all::<CommentRow>(sql, &values)?.into_iter().map(CommentRecord::from).collect())
}

/// The comments that a moderator asks for.
pub(crate) fn queue(
    c: &mut Conn,
    status: Option<Status>,
    thread: Option<Id<Thread>>,
    keyset: &Keyset,
) -> Result<Vec<CommentRecord>, Error> {
    let (after, after_values) = keyset.condition();
    let (mut narrowed, mut values) = (String::new(), Vec::new());
    if let Some(status) = status {
        narrowed.push_str(" AND c.status = ?");
        values.push(Param::Text(status.as_str()));
    }
    if let Some(thread) = thread {
        narrowed.push_str(" AND c.thread_id = ?");
        values.push(Param::Id(thread.uuid().into_bytes()));
    }
    values.extend(after_values);
    let sql = format!("{} WHERE c.is_deleted = 0{narrowed} AND {after} ORDER BY {} LIMIT {}", select!(), keyset.order_by(), keyset.limit());
    Ok(c.all::<CommentRow>(sql, &values)?.into_iter().map(CommentRecord::from).collect())
}

/// Comments whose HTML was made by another version of the renderer, a batch of them.
pub(crate) fn rendered_by_others(c: &mut Conn, version: i32) -> Result<Vec<(Id<Comment>, i64, String)>, Error> {
    c.all(
        "SELECT id, version, body_source FROM blog_comments WHERE (render_version < ? OR render_version > ?) AND is_deleted = 0 LIMIT 100",
        params![version, version],
    )
}

/// Stores HTML made anew; the version of the comment stays, since nobody changed it.
pub(crate) fn set_rendered(tx: &mut db::Tx<'_>, id: Id<Comment>, expected: i64, html: &str, render_version: i32) -> Result<(), Error> {
    tx.execute(
        "UPDATE blog_comments SET body_html = ?, render_version = ? WHERE id = ? AND version = ?",
        params![html, render_version, id, expected],
    )?;
    Ok(())
}

/// Deletes comments below a post, a batch of them; tells how many.
pub(crate) fn delete_of_post(tx: &mut db::Tx<'_>, post: Id<Post>) -> Result<u64, Error> {
    let ids = tx.all::<(Id<Comment>,)>(
        "SELECT c.id FROM blog_comments c JOIN blog_threads t ON t.id = c.thread_id WHERE t.post_id = ? LIMIT 500",
        params![post],
    )?;
    let ids: Vec<Id<Comment>> = ids.into_iter().map(|(id,)| id).collect();
    if ids.is_empty() {
        return Ok(0);
    }
    tx.execute(format!("DELETE FROM blog_comments WHERE id IN ({})", places(ids.len())), &padded(&ids))?;
    Ok(ids.len() as u64)
}

/// Deletes the conversation below a post; its comments are gone already.
pub(crate) fn delete_thread_of_post(tx: &mut db::Tx<'_>, post: Id<Post>) -> Result<(), Error> {
    tx.execute("DELETE FROM blog_threads WHERE post_id = ?", params![post])?;
    Ok(())
}

/// Drops the hashes of addresses of comments from before this instant, a batch of them; tells how many.
pub(crate) fn forget_addresses(tx: &mut db::Tx<'_>, before: Timestamp) -> Result<u64, Error> {
    let ids =
        tx.all::<(Id<Comment>,)>("SELECT id FROM blog_comments WHERE ip_hash IS NOT NULL AND created_at < ? LIMIT 500", params![before])?;
    let ids: Vec<Id<Comment>> = ids.into_iter().map(|(id,)| id).collect();
    if ids.is_empty() {
        return Ok(0);
    }
    tx.execute(format!("UPDATE blog_comments SET ip_hash = NULL, body_hash = NULL WHERE id IN ({})", places(ids.len())), &padded(&ids))?;
    Ok(ids.len() as u64)
}
