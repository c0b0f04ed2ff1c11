//! Deterministic rows: number `n` has an id that `benches/wrk/ids.lua` computes too, so that the load generator can ask
//! for random rows without having read any.

use rusqlite::Connection;
use uuid::Uuid;

use crate::rows::{self, Row};

/// The creation time of row 0; row `n` was created `n` milliseconds later.
const EPOCH_MS: i64 = 1_700_000_000_000;
const BODY: &str = "The quick brown fox jumps over the lazy dog. ";

/// Fills an empty table.
pub(crate) fn fill(conn: &mut Connection, count: u32) -> rusqlite::Result<()> {
    if conn.query_row("SELECT EXISTS (SELECT 1 FROM rows)", [], |row| row.get(0))? {
        return Ok(());
    }
    let tx = conn.transaction()?;
    for n in 0..count {
        let (title, body) = (format!("Row {n}"), BODY.repeat(3 + n as usize % 5));
        let now = EPOCH_MS + i64::from(n);
        rows::insert(&tx, &Row { id: id(n), title: &title, body: &body, created_at: now, updated_at: now, version: 1 })?;
    }
    tx.commit()?;
    conn.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))
}

/// A UUIDv7 of the row's time, with the row's number where the random bits would be.
fn id(n: u32) -> Uuid {
    let time = (EPOCH_MS + i64::from(n)) as u128;
    Uuid::from_u128(time << 80 | 0x7 << 76 | 0x8 << 60 | u128::from(n))
}
