//! SQL of redirects.

use db::{Conn, Error, params};
use kernel::page::Keyset;
use kernel::{Id, Timestamp};

use crate::redirects::{Redirect, RedirectRecord};

db::row! {
    /// A row of `blog_redirects`.
    pub(crate) struct RedirectRow {
        pub(crate) id: Id<Redirect>,
        pub(crate) from_path: String,
        pub(crate) to_url: String,
        pub(crate) status: i64,
        pub(crate) created_at: Timestamp,
        pub(crate) updated_at: Timestamp,
        pub(crate) version: i64,
    }
}

impl From<RedirectRow> for RedirectRecord {
    fn from(row: RedirectRow) -> Self {
        let RedirectRow { id, from_path, to_url, status, created_at, updated_at, version } = row;
        RedirectRecord { id, from_path, to_url, status, created_at, updated_at, version }
    }
}

pub(crate) fn insert(tx: &mut db::Tx<'_>, redirect: &RedirectRecord) -> Result<u64, Error> {
    tx.execute(
        "INSERT INTO blog_redirects (id, from_path, to_url, status, created_at, updated_at, version) VALUES (?, ?, ?, ?, ?, ?, 1)",
        params![redirect.id, redirect.from_path, redirect.to_url, redirect.status, redirect.created_at, redirect.updated_at],
    )
}

pub(crate) fn find(c: &mut Conn, id: Id<Redirect>) -> Result<Option<RedirectRecord>, Error> {
    let row = c.opt::<RedirectRow>(
        "SELECT id, from_path, to_url, status, created_at, updated_at, version FROM blog_redirects WHERE id = ?",
        params![id],
    )?;
    Ok(row.map(RedirectRecord::from))
}

pub(crate) fn find_by_path(c: &mut Conn, path: &str) -> Result<Option<RedirectRecord>, Error> {
    let row = c.opt::<RedirectRow>(
        "SELECT id, from_path, to_url, status, created_at, updated_at, version FROM blog_redirects WHERE from_path = ?",
        params![path],
    )?;
    Ok(row.map(RedirectRecord::from))
}

pub(crate) fn has_any(c: &mut Conn) -> Result<bool, Error> {
    Ok(c.opt::<i64>("SELECT 1 FROM blog_redirects LIMIT 1", params![])?.is_some())
}

pub(crate) fn list(c: &mut Conn, keyset: &Keyset) -> Result<Vec<RedirectRecord>, Error> {
    let (after, values) = keyset.condition();
    let sql = format!(
        "SELECT id, from_path, to_url, status, created_at, updated_at, version FROM blog_redirects WHERE {after} ORDER BY {} LIMIT {}",
        keyset.order_by(),
        keyset.limit()
    );
    Ok(c.all::<RedirectRow>(sql, &values)?.into_iter().map(RedirectRecord::from).collect())
}

/// Changes a redirect if it still has the expected version; false when it does not.
pub(crate) fn update(tx: &mut db::Tx<'_>, redirect: &RedirectRecord, expected: i64, now: Timestamp) -> Result<bool, Error> {
    let changed = tx.execute(
        "UPDATE blog_redirects SET from_path = ?, to_url = ?, status = ?, updated_at = ?, version = version + 1 WHERE id = ? AND version = ?",
        params![redirect.from_path, redirect.to_url, redirect.status, now, redirect.id, expected],
    )?;
    Ok(changed == 1)
}

pub(crate) fn delete(tx: &mut db::Tx<'_>, id: Id<Redirect>, expected: i64) -> Result<bool, Error> {
    Ok(tx.execute("DELETE FROM blog_redirects WHERE id = ? AND version = ?", params![id, expected])? == 1)
}
