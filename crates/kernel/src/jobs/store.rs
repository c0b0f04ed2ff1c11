//! SQL of jobs and schedules.

use db::{Conn, Error, params};

use crate::id::Id;
use crate::jobs::NewJob;
use crate::time::Timestamp;

/// The marker of a stored job's identifier.
#[derive(Debug)]
pub(crate) enum StoredJob {}

db::row! {
    /// A job that was claimed.
    pub(crate) struct JobRow {
        pub(crate) id: Id<StoredJob>,
        pub(crate) kind: String,
        pub(crate) payload: String,
        pub(crate) attempts: i64,
    }
}

pub(crate) fn insert(tx: &mut db::Tx<'_>, id: Id<StoredJob>, job: &NewJob, now: Timestamp) -> Result<(), Error> {
    tx.execute(
        "INSERT INTO platform_jobs (id, kind, payload, is_dead, run_at, lease, attempts, created_at) VALUES (?, ?, ?, 0, ?, 0, 0, ?)",
        params![id, job.kind, job.payload, job.run_at, now],
    )?;
    Ok(())
}

/// Due jobs, oldest first, locked against other nodes until the transaction ends.
pub(crate) fn due(tx: &mut db::Tx<'_>, now: Timestamp, limit: usize) -> Result<Vec<JobRow>, Error> {
    let sql = format!(
        "SELECT id, kind, payload, attempts FROM platform_jobs WHERE is_dead = 0 AND run_at <= ? ORDER BY run_at, id LIMIT {limit} {{skip_locked}}"
    );
    tx.all(sql, params![now])
}

/// Marks a job as being worked on until `until`; `lease` names the claim.
pub(crate) fn claim(tx: &mut db::Tx<'_>, id: Id<StoredJob>, lease: i64, until: Timestamp) -> Result<(), Error> {
    tx.execute("UPDATE platform_jobs SET run_at = ?, lease = ?, attempts = attempts + 1 WHERE id = ?", params![until, lease, id])?;
    Ok(())
}

/// Prolongs a claim; false when it was lost.
pub(crate) fn prolong(tx: &mut db::Tx<'_>, id: Id<StoredJob>, lease: i64, until: Timestamp) -> Result<bool, Error> {
    Ok(tx.execute("UPDATE platform_jobs SET run_at = ? WHERE id = ? AND lease = ? AND is_dead = 0", params![until, id, lease])? == 1)
}

pub(crate) fn finish(tx: &mut db::Tx<'_>, id: Id<StoredJob>, lease: i64) -> Result<(), Error> {
    tx.execute("DELETE FROM platform_jobs WHERE id = ? AND lease = ?", params![id, lease])?;
    Ok(())
}

pub(crate) fn retry(tx: &mut db::Tx<'_>, id: Id<StoredJob>, lease: i64, at: Timestamp, error: &str) -> Result<(), Error> {
    tx.execute("UPDATE platform_jobs SET run_at = ?, last_error = ? WHERE id = ? AND lease = ?", params![at, error, id, lease])?;
    Ok(())
}

pub(crate) fn bury(tx: &mut db::Tx<'_>, id: Id<StoredJob>, lease: i64, error: &str) -> Result<(), Error> {
    tx.execute("UPDATE platform_jobs SET is_dead = 1, last_error = ? WHERE id = ? AND lease = ?", params![error, id, lease])?;
    Ok(())
}

/// When the next job is due, if one waits.
pub(crate) fn next_due(c: &mut Conn) -> Result<Option<Timestamp>, Error> {
    let (next,) = c.one::<(Option<Timestamp>,)>("SELECT MIN(run_at) FROM platform_jobs WHERE is_dead = 0", params![])?;
    Ok(next)
}

/// Jobs that wait, jobs that are due now, and jobs that are dead.
pub(crate) fn counts(c: &mut Conn, now: Timestamp) -> Result<(i64, i64, i64), Error> {
    let waiting = c.one::<i64>("SELECT COUNT(*) FROM platform_jobs WHERE is_dead = 0", params![])?;
    let due = c.one::<i64>("SELECT COUNT(*) FROM platform_jobs WHERE is_dead = 0 AND run_at <= ?", params![now])?;
    let dead = c.one::<i64>("SELECT COUNT(*) FROM platform_jobs WHERE is_dead = 1", params![])?;
    Ok((waiting, due, dead))
}

pub(crate) fn insert_schedule(tx: &mut db::Tx<'_>, name: &str, next_at: Timestamp) -> Result<bool, Error> {
    tx.insert_ignore("INSERT INTO platform_schedules (name, next_at) VALUES (?, ?)", params![name, next_at])
}

pub(crate) fn schedule_due(c: &mut Conn, name: &str, now: Timestamp) -> Result<Option<Timestamp>, Error> {
    let row = c.opt::<(Timestamp,)>("SELECT next_at FROM platform_schedules WHERE name = ? AND next_at <= ?", params![name, now])?;
    Ok(row.map(|(next_at,)| next_at))
}

/// Moves a schedule on; true for the one node that may enqueue its job.
pub(crate) fn advance_schedule(tx: &mut db::Tx<'_>, name: &str, from: Timestamp, to: Timestamp) -> Result<bool, Error> {
    Ok(tx.execute("UPDATE platform_schedules SET next_at = ? WHERE name = ? AND next_at = ?", params![to, name, from])? == 1)
}
