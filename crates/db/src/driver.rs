//! What an engine's connection must be able to do; everything above is common.

use std::ops::ControlFlow;
use std::time::Instant;

use crate::sql::Dialect;
use crate::{Error, Param, Row, Sql};

/// A step of a transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// Begins a transaction that writes.
    Begin,
    /// Begins a transaction that only reads, and sees one state of the database.
    BeginSnapshot,
    Commit,
    Rollback,
    /// Sets the savepoint of that depth.
    Save(u32),
    /// Forgets a savepoint and keeps what was done since.
    Release(u32),
    /// Undoes what was done since a savepoint, and forgets it.
    Undo(u32),
}

/// What bounds the closure that runs now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Limit {
    /// Nothing: migrations, dumps.
    None,
    /// SQLite: that many thousand steps of its virtual machine.
    KiloSteps(u32),
    /// A moment.
    Until(Instant),
}

/// A statement with all that is needed to run it.
pub(crate) struct Query<'a> {
    pub(crate) sql: &'a Sql,
    pub(crate) params: &'a [Param<'a>],
    /// The columns that the reader of the rows expects; empty when unchecked.
    pub(crate) columns: &'static [&'static str],
}

/// One connection of one engine.
pub(crate) trait Driver: Send {
    fn dialect(&self) -> Dialect;

    /// Runs a statement and hands over its rows until `each` breaks.
    fn query(&mut self, query: &Query<'_>, each: &mut dyn FnMut(&Row<'_>) -> ControlFlow<()>) -> Result<(), Error>;

    /// Runs a statement and tells how many rows it matched.
    fn execute(&mut self, query: &Query<'_>) -> Result<u64, Error>;

    /// Inserts a row unless a unique key has it already; tells whether it did.
    fn insert_ignore(&mut self, query: &Query<'_>) -> Result<bool, Error>;

    fn step(&mut self, step: Step) -> Result<(), Error>;

    /// Runs a text of one or more statements without parameters.
    fn script(&mut self, sql: &str) -> Result<(), Error>;

    /// Runs a text that may have been run before, where a migration cannot be one transaction.
    fn script_again(&mut self, sql: &str) -> Result<(), Error> {
        self.script(sql)
    }

    /// Sets what bounds the next statements.
    fn limit(&mut self, limit: Limit);

    /// A number that grows with every change of this connection, undone ones included; engines that group no closures leave it at zero.
    fn changes(&self) -> u64 {
        0
    }

    /// Whether the limit stopped a statement since it was set.
    fn hit_limit(&self) -> bool;

    /// Whether a transaction is open, as far as the client can know without asking.
    fn in_transaction(&self) -> bool;

    /// Whether the connection is of no more use.
    fn is_lost(&self) -> bool;

    /// Asks the server for a sign of life.
    fn ping(&mut self) -> Result<(), Error>;
}
