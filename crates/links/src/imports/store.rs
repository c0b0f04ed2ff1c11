//! SQL of imports.

use db::{Conn, Error, Param, ToParam as _, params};
use kernel::{Id, Timestamp, UserId};

use crate::imports::{Import, OnConflict, Report};
use crate::links::Link;

db::row! {
    /// A row of `links_imports`.
    pub(crate) struct ImportRow {
        pub(crate) id: Id<Import>,
        pub(crate) owner_user_id: UserId,
        pub(crate) source: String,
        pub(crate) on_conflict: String,
        pub(crate) is_dry_run: bool,
        pub(crate) status: String,
        pub(crate) total: i64,
        pub(crate) position: i64,
        pub(crate) created_count: i64,
        pub(crate) updated_count: i64,
        pub(crate) skipped_count: i64,
        pub(crate) failed_count: i64,
        pub(crate) created_at: Timestamp,
        pub(crate) finished_at: Option<Timestamp>,
    }
}

impl From<ImportRow> for Import {
    fn from(row: ImportRow) -> Import {
        Import {
            id: row.id,
            owner: row.owner_user_id,
            source: row.source,
            on_conflict: OnConflict::of(&row.on_conflict),
            is_dry_run: row.is_dry_run,
            status: row.status,
            total: row.total,
            position: row.position,
            created_count: row.created_count,
            updated_count: row.updated_count,
            skipped_count: row.skipped_count,
            failed_count: row.failed_count,
            created_at: row.created_at,
            finished_at: row.finished_at,
        }
    }
}

pub(crate) fn insert(tx: &mut db::Tx<'_>, import: &Import) -> Result<(), Error> {
    tx.execute(
        "INSERT INTO links_imports (id, owner_user_id, kind, source, on_conflict, is_dry_run, status, total, position, created_count, \
         updated_count, skipped_count, failed_count, created_at) VALUES (?, ?, 'csv', ?, ?, ?, ?, ?, ?, 0, 0, 0, ?, ?)",
        params![
            import.id,
            import.owner,
            import.source,
            import.on_conflict.as_str(),
            import.is_dry_run,
            import.status,
            import.total,
            import.position,
            import.failed_count,
            import.created_at
        ],
    )?;
    Ok(())
}

pub(crate) fn find(c: &mut Conn, id: Id<Import>) -> Result<Option<Import>, Error> {
    let row = c.opt::<ImportRow>(
        "SELECT id, owner_user_id, source, on_conflict, is_dry_run, status, total, position, created_count, updated_count, skipped_count, \
         failed_count, created_at, finished_at FROM links_imports WHERE id = ?",
        params![id],
    )?;
    Ok(row.map(Import::from))
}

/// Rows of one statement.
const ROWS: usize = 64;

pub(crate) fn insert_rows(tx: &mut db::Tx<'_>, import: Id<Import>, rows: &[(i64, String)]) -> Result<(), Error> {
    for chunk in rows.chunks(ROWS) {
        let sql = format!("INSERT INTO links_import_rows (import_id, line, data) VALUES {}", vec!["(?, ?, ?)"; chunk.len()].join(", "));
        let values: Vec<Param<'_>> = chunk.iter().flat_map(|(line, data)| [import.to_param(), line.to_param(), data.to_param()]).collect();
        tx.execute(sql, &values)?;
    }
    Ok(())
}

/// The import is complete and waits for its job.
pub(crate) fn set_status(tx: &mut db::Tx<'_>, id: Id<Import>, from: &str, to: &str) -> Result<bool, Error> {
    Ok(tx.execute("UPDATE links_imports SET status = ? WHERE id = ? AND status = ?", params![to, id, from])? == 1)
}

/// The next rows that are not carried out yet.
pub(crate) fn next_rows(c: &mut Conn, id: Id<Import>, limit: u32) -> Result<Vec<(i64, String)>, Error> {
    c.all(format!("SELECT line, data FROM links_import_rows WHERE import_id = ? ORDER BY line LIMIT {limit}"), params![id])
}

/// How far an import came, locked until the transaction ends.
pub(crate) fn position_locked(tx: &mut db::Tx<'_>, id: Id<Import>) -> Result<Option<i64>, Error> {
    tx.opt("SELECT position FROM links_imports WHERE id = ? {for_update}", params![id])
}

/// Notes what came of these rows, and forgets them; whoever does it holds the lock of [`position_locked`].
pub(crate) fn advance(tx: &mut db::Tx<'_>, import: &Import, reports: &[Report], last_line: i64) -> Result<(), Error> {
    let count = |outcome: &str| i64::try_from(reports.iter().filter(|report| report.outcome == outcome).count()).unwrap_or(0);
    tx.execute(
        "UPDATE links_imports SET position = ?, created_count = created_count + ?, updated_count = updated_count + ?, \
         skipped_count = skipped_count + ?, failed_count = failed_count + ? WHERE id = ?",
        params![last_line, count("created"), count("updated"), count("skipped"), count("failed"), import.id],
    )?;
    insert_reports(tx, import.id, reports)?;
    tx.execute("DELETE FROM links_import_rows WHERE import_id = ? AND line <= ?", params![import.id, last_line])?;
    Ok(())
}

/// Keeps what did not go as wished; rows that became links need no words.
pub(crate) fn insert_reports(tx: &mut db::Tx<'_>, import: Id<Import>, reports: &[Report]) -> Result<(), Error> {
    let told: Vec<&Report> = reports.iter().filter(|report| report.code.is_some()).collect();
    for chunk in told.chunks(ROWS) {
        let marks = vec!["(?, ?, ?, ?, ?, ?)"; chunk.len()].join(", ");
        let sql = format!("INSERT INTO links_import_reports (import_id, line, outcome, code, pointer, link_id) VALUES {marks}");
        let values: Vec<Param<'_>> = chunk
            .iter()
            .flat_map(|report| {
                [
                    import.to_param(),
                    report.line.to_param(),
                    Param::Text(report.outcome),
                    report.code.to_param(),
                    report.pointer.to_param(),
                    report.link_id.to_param(),
                ]
            })
            .collect();
        tx.execute(sql, &values)?;
    }
    Ok(())
}

pub(crate) fn finish(tx: &mut db::Tx<'_>, id: Id<Import>, now: Timestamp) -> Result<bool, Error> {
    Ok(tx.execute("UPDATE links_imports SET status = 'done', finished_at = ? WHERE id = ? AND status = 'running'", params![now, id])? == 1)
}

db::row! {
    /// A row of a file that did not go as wished.
    pub(crate) struct Problem {
        pub(crate) line: i64,
        pub(crate) outcome: String,
        pub(crate) code: Option<String>,
        pub(crate) pointer: Option<String>,
    }
}

/// The rows that did not go as wished, in order.
pub(crate) fn reports(c: &mut Conn, id: Id<Import>, limit: u32) -> Result<Vec<Problem>, Error> {
    let sql = format!("SELECT line, outcome, code, pointer FROM links_import_reports WHERE import_id = ? ORDER BY line LIMIT {limit}");
    c.all(sql, params![id])
}

/// Which link a foreign one became.
pub(crate) fn find_ref(c: &mut Conn, owner: UserId, source: &str, foreign_id: &str) -> Result<Option<Id<Link>>, Error> {
    let row = c.opt::<(Id<Link>,)>(
        "SELECT link_id FROM links_import_refs WHERE owner_user_id = ? AND source = ? AND foreign_id = ?",
        params![owner, source, foreign_id],
    )?;
    Ok(row.map(|(id,)| id))
}

/// Says which link a foreign one becomes; false when another import has said so meanwhile. `before` is what it was until now.
pub(crate) fn claim_ref(
    tx: &mut db::Tx<'_>,
    (owner, source, foreign_id): (UserId, &str, &str),
    before: Option<Id<Link>>,
    link: Id<Link>,
) -> Result<bool, Error> {
    let Some(before) = before else {
        return tx.insert_ignore(
            "INSERT INTO links_import_refs (owner_user_id, source, foreign_id, link_id) VALUES (?, ?, ?, ?)",
            params![owner, source, foreign_id, link],
        );
    };
    let changed = tx.execute(
        "UPDATE links_import_refs SET link_id = ? WHERE owner_user_id = ? AND source = ? AND foreign_id = ? AND link_id = ?",
        params![link, owner, source, foreign_id, before],
    )?;
    Ok(changed == 1)
}

/// Takes back what [`claim_ref`] said.
pub(crate) fn drop_ref(tx: &mut db::Tx<'_>, (owner, source, foreign_id): (UserId, &str, &str), link: Id<Link>) -> Result<(), Error> {
    tx.execute(
        "DELETE FROM links_import_refs WHERE owner_user_id = ? AND source = ? AND foreign_id = ? AND link_id = ?",
        params![owner, source, foreign_id, link],
    )?;
    Ok(())
}

pub(crate) fn put_ref(tx: &mut db::Tx<'_>, owner: UserId, source: &str, foreign_id: &str, link: Id<Link>) -> Result<(), Error> {
    let changed = tx.execute(
        "UPDATE links_import_refs SET link_id = ? WHERE owner_user_id = ? AND source = ? AND foreign_id = ?",
        params![link, owner, source, foreign_id],
    )?;
    if changed == 0 {
        tx.insert_ignore(
            "INSERT INTO links_import_refs (owner_user_id, source, foreign_id, link_id) VALUES (?, ?, ?, ?)",
            params![owner, source, foreign_id, link],
        )?;
    }
    Ok(())
}

/// Imports of one purging transaction.
pub(crate) const PURGE_BATCH: u64 = 20;

/// Forgets old imports with what was told of them; the links stay.
pub(crate) fn purge(tx: &mut db::Tx<'_>, before: Timestamp) -> Result<u64, Error> {
    let sql = format!("SELECT id FROM links_imports WHERE created_at < ? ORDER BY created_at LIMIT {PURGE_BATCH}");
    let old = tx.all::<(Id<Import>,)>(sql, params![before])?;
    for (id,) in &old {
        tx.execute("DELETE FROM links_import_rows WHERE import_id = ?", params![id])?;
        tx.execute("DELETE FROM links_import_reports WHERE import_id = ?", params![id])?;
        tx.execute("DELETE FROM links_imports WHERE id = ?", params![id])?;
    }
    Ok(old.len() as u64)
}
