//! Counters of what the database did, cheap enough to be always on.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// What a database handle has done since it was opened.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Statements run, without `BEGIN` and its like.
    pub statements: u64,
    /// Time spent in them, in microseconds.
    pub statement_micros: u64,
    /// Write closures that were committed.
    pub writes: u64,
    /// Commits; on SQLite fewer than writes when closures share one.
    pub commits: u64,
    /// Groups of write closures that shared a commit (SQLite).
    pub groups: u64,
    /// Closures run again after a conflict or a lost connection.
    pub retries: u64,
    /// Closures that wait for their turn now.
    pub queue_depth: u64,
    /// Time that closures waited for their turn, in microseconds.
    pub queue_micros: u64,
    /// Write closures that were rolled back.
    pub rollbacks: u64,
    /// Closures stopped at their deadline.
    pub interrupted: u64,
    /// Short reads on SQLite that turned out long and were moved to another thread.
    pub escalated: u64,
    /// Closures refused because the queue was full.
    pub overloaded: u64,
    /// Connections open now to a server, or for long reads on SQLite.
    pub connections: u64,
}

#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) statements: AtomicU64,
    pub(crate) statement_nanos: AtomicU64,
    pub(crate) writes: AtomicU64,
    pub(crate) commits: AtomicU64,
    pub(crate) groups: AtomicU64,
    pub(crate) retries: AtomicU64,
    pub(crate) queue_depth: AtomicU64,
    pub(crate) queue_micros: AtomicU64,
    pub(crate) rollbacks: AtomicU64,
    pub(crate) interrupted: AtomicU64,
    pub(crate) escalated: AtomicU64,
    pub(crate) overloaded: AtomicU64,
    pub(crate) connections: AtomicU64,
}

/// Adds one.
pub(crate) fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Relaxed);
}

impl Counters {
    pub(crate) fn statement(&self, took: Duration) {
        count(&self.statements);
        // Nanoseconds, for a point read takes few microseconds and rounding would show.
        self.statement_nanos.fetch_add(u64::try_from(took.as_nanos()).unwrap_or(u64::MAX), Relaxed);
    }

    pub(crate) fn waited(&self, waited: Duration) {
        self.queue_micros.fetch_add(u64::try_from(waited.as_micros()).unwrap_or(u64::MAX), Relaxed);
    }

    pub(crate) fn read(&self) -> Stats {
        Stats {
            statements: self.statements.load(Relaxed),
            statement_micros: self.statement_nanos.load(Relaxed) / 1_000,
            writes: self.writes.load(Relaxed),
            commits: self.commits.load(Relaxed),
            groups: self.groups.load(Relaxed),
            retries: self.retries.load(Relaxed),
            queue_depth: self.queue_depth.load(Relaxed),
            queue_micros: self.queue_micros.load(Relaxed),
            rollbacks: self.rollbacks.load(Relaxed),
            interrupted: self.interrupted.load(Relaxed),
            escalated: self.escalated.load(Relaxed),
            overloaded: self.overloaded.load(Relaxed),
            connections: self.connections.load(Relaxed),
        }
    }
}
