//! SQL of due changes.

use db::{Conn, Error, params};
use kernel::{Id, Timestamp};

use crate::posts::Post;
use crate::transitions::{Due, Kind, Transition};

/// Plans a change; one that was planned for this instant before is open again.
pub(crate) fn put(
    tx: &mut db::Tx<'_>,
    id: Id<Transition>,
    post: Id<Post>,
    kind: Kind,
    due_at: Timestamp,
    now: Timestamp,
) -> Result<(), Error> {
    let is_new = tx.insert_ignore(
        "INSERT INTO blog_post_transitions (id, post_id, kind, due_at, created_at) VALUES (?, ?, ?, ?, ?)",
        params![id, post, kind.as_str(), due_at, now],
    )?;
    if !is_new {
        tx.execute(
            "UPDATE blog_post_transitions SET done_at = NULL WHERE post_id = ? AND kind = ? AND due_at = ?",
            params![post, kind.as_str(), due_at],
        )?;
    }
    Ok(())
}

/// Forgets the changes of a post that are still to come.
pub(crate) fn cancel(tx: &mut db::Tx<'_>, post: Id<Post>) -> Result<(), Error> {
    tx.execute("DELETE FROM blog_post_transitions WHERE post_id = ? AND done_at IS NULL", params![post])?;
    Ok(())
}

pub(crate) fn delete(tx: &mut db::Tx<'_>, post: Id<Post>) -> Result<(), Error> {
    tx.execute("DELETE FROM blog_post_transitions WHERE post_id = ?", params![post])?;
    Ok(())
}

/// The changes that are due and not made, oldest first.
pub(crate) fn due(c: &mut Conn, now: Timestamp) -> Result<Vec<Due>, Error> {
    let rows = c.all::<(Id<Transition>, Id<Post>, String, Timestamp)>(
        "SELECT id, post_id, kind, due_at FROM blog_post_transitions WHERE done_at IS NULL AND due_at <= ? ORDER BY due_at, id LIMIT 100",
        params![now],
    )?;
    Ok(rows.into_iter().map(|(id, post_id, kind, due_at)| Due { id, post_id, kind: Kind::parse(&kind), due_at }).collect())
}

/// Marks a change as made; false when somebody was faster or it was cancelled.
pub(crate) fn finish(tx: &mut db::Tx<'_>, id: Id<Transition>, now: Timestamp) -> Result<bool, Error> {
    Ok(tx.execute("UPDATE blog_post_transitions SET done_at = ? WHERE id = ? AND done_at IS NULL", params![now, id])? == 1)
}

/// The next instant at which any post becomes public or stops being it.
pub(crate) fn next(c: &mut Conn, now: Timestamp) -> Result<Option<Timestamp>, Error> {
    let row = c.opt::<(Timestamp,)>(
        "SELECT due_at FROM blog_post_transitions WHERE done_at IS NULL AND due_at > ? ORDER BY due_at LIMIT 1",
        params![now],
    )?;
    Ok(row.map(|(at,)| at))
}
