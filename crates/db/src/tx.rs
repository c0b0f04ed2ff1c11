//! A transaction as a write closure sees it.

use std::ops::{Deref, DerefMut};

use crate::{Conn, Error, Param, Sql, TransactionError};

/// A transaction that writes; it is committed when the closure returns `Ok`.
///
/// After a statement failed, nothing but an error can follow, on every engine: wrap what may fail in a
/// [`savepoint`](Tx::savepoint), or use [`insert_ignore`](Tx::insert_ignore).
pub struct Tx<'a> {
    conn: &'a mut Conn,
    depth: u32,
}

impl<'a> Tx<'a> {
    pub(crate) fn new(conn: &'a mut Conn) -> Self {
        Self { conn, depth: 0 }
    }

    /// Runs a statement and tells how many rows it matched, changed or not.
    pub fn execute(&mut self, sql: impl Into<Sql>, params: &[Param<'_>]) -> Result<u64, Error> {
        self.conn.execute_statement(&sql.into(), params)
    }

    /// Inserts one row unless a unique key has it already; tells whether it did.
    ///
    /// The statement is a plain `INSERT INTO t (…) VALUES (…)`.
    pub fn insert_ignore(&mut self, sql: impl Into<Sql>, params: &[Param<'_>]) -> Result<bool, Error> {
        self.conn.insert_statement(&sql.into(), params)
    }

    /// Runs a part whose failure undoes only the part.
    pub fn savepoint<T, E: TransactionError>(&mut self, f: impl FnOnce(&mut Tx<'_>) -> Result<T, E>) -> Result<T, E> {
        let depth = self.depth + 1;
        self.conn.savepoint(depth, |conn| f(&mut Tx { conn, depth }))
    }
}

impl Deref for Tx<'_> {
    type Target = Conn;

    fn deref(&self) -> &Conn {
        self.conn
    }
}

impl DerefMut for Tx<'_> {
    fn deref_mut(&mut self) -> &mut Conn {
        self.conn
    }
}
