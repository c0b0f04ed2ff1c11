//! Reads run inline on the worker that serves the request, each worker with a connection of its own.

use std::cell::RefCell;
use std::path::Path;

use rusqlite::{Connection, OpenFlags};

thread_local! {
    static READER: RefCell<Option<Connection>> = const { RefCell::new(None) };
}

/// Runs `query` on this worker's connection, which is opened at its first use.
pub(crate) fn read<T>(file: &Path, query: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> rusqlite::Result<T> {
    READER.with_borrow_mut(|reader| match reader {
        Some(conn) => query(conn),
        None => query(reader.insert(open(file)?)),
    })
}

fn open(file: &Path) -> rusqlite::Result<Connection> {
    let conn = Connection::open_with_flags(file, OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    conn.execute_batch("PRAGMA cache_size = -16384; PRAGMA mmap_size = 268435456; PRAGMA temp_store = MEMORY;")?;
    Ok(conn)
}
