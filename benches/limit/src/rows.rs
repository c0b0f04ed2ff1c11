//! A row and its statements: the same text as the product's `bench` module sends.

use rusqlite::{Connection, OptionalExtension, params};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// What a client sends.
#[derive(Deserialize)]
pub(crate) struct NewRow {
    pub(crate) title: String,
    pub(crate) body: String,
}

/// A row on its way to the database or to the client; borrowed, so that a read copies its text once.
#[derive(Serialize)]
pub(crate) struct Row<'a> {
    pub(crate) id: Uuid,
    pub(crate) title: &'a str,
    pub(crate) body: &'a str,
    pub(crate) created_at: i64,
    pub(crate) updated_at: i64,
    pub(crate) version: i64,
}

/// The row as JSON, if there is one.
pub(crate) fn find(conn: &Connection, id: Uuid) -> rusqlite::Result<Option<Vec<u8>>> {
    conn.prepare_cached("SELECT id, title, body, created_at, updated_at, version FROM rows WHERE id = ?")?
        .query_row([id.as_bytes().as_slice()], |row| {
            let mut json = Vec::with_capacity(512);
            write_json(&mut json, row)?;
            Ok(json)
        })
        .optional()
}

/// The newest rows as a JSON list. The limit is a literal: bound, SQLite prepares the statement again each time.
pub(crate) fn newest(conn: &Connection, limit: u8) -> rusqlite::Result<Vec<u8>> {
    let mut statement = conn.prepare_cached(&format!(
        "SELECT id, title, body, created_at, updated_at, version FROM rows ORDER BY created_at DESC, id DESC LIMIT {limit}"
    ))?;
    let mut rows = statement.query([])?;
    let mut json = Vec::with_capacity(8 * 1024);
    json.extend_from_slice(b"{\"items\":[");
    while let Some(row) = rows.next()? {
        if !json.ends_with(b"[") {
            json.push(b',');
        }
        write_json(&mut json, row)?;
    }
    json.extend_from_slice(b"]}");
    Ok(json)
}

pub(crate) fn insert(conn: &Connection, row: &Row<'_>) -> rusqlite::Result<()> {
    conn.prepare_cached("INSERT INTO rows (id, title, body, created_at, updated_at, version) VALUES (?, ?, ?, ?, ?, ?)")?
        .execute(params![row.id.as_bytes().as_slice(), row.title, row.body, row.created_at, row.updated_at, row.version])
        .map(drop)
}

fn write_json(json: &mut Vec<u8>, row: &rusqlite::Row<'_>) -> rusqlite::Result<()> {
    let row = Row {
        id: Uuid::from_slice(row.get_ref(0)?.as_blob()?).unwrap_or_default(),
        title: row.get_ref(1)?.as_str()?,
        body: row.get_ref(2)?.as_str()?,
        created_at: row.get(3)?,
        updated_at: row.get(4)?,
        version: row.get(5)?,
    };
    serde_json::to_writer(json, &row).expect("a vector takes every byte");
    Ok(())
}
