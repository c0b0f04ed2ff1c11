//! How far a statement may go: the progress handler of a connection reads it, its closures set it.

use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering::Relaxed};
use std::time::Instant;

use crate::driver::Limit;

/// Steps of SQLite's virtual machine between two looks at the gauge.
pub(super) const STEPS: i32 = 1_000;

/// Set by the thread that owns the connection, read by the handler on the same thread.
#[derive(Debug)]
pub(super) struct Gauge {
    ticks: AtomicI64,
    /// Nanoseconds after `origin`.
    deadline: AtomicU64,
    hit: AtomicBool,
    origin: Instant,
}

impl Gauge {
    pub(super) fn new() -> Self {
        Self { ticks: AtomicI64::new(i64::MAX), deadline: AtomicU64::new(u64::MAX), hit: AtomicBool::new(false), origin: Instant::now() }
    }

    pub(super) fn set(&self, limit: Limit) {
        let (ticks, deadline) = match limit {
            Limit::None => (i64::MAX, u64::MAX),
            Limit::KiloSteps(ticks) => (i64::from(ticks), u64::MAX),
            Limit::Until(moment) => (i64::MAX, nanos(moment.saturating_duration_since(self.origin))),
        };
        self.ticks.store(ticks, Relaxed);
        self.deadline.store(deadline, Relaxed);
        self.hit.store(false, Relaxed);
    }

    pub(super) fn was_hit(&self) -> bool {
        self.hit.load(Relaxed)
    }

    /// Called by SQLite; `true` stops the statement.
    pub(super) fn tick(&self) -> bool {
        let out_of_steps = self.ticks.fetch_sub(1, Relaxed) <= 0;
        let deadline = self.deadline.load(Relaxed);
        let stop = out_of_steps || (deadline != u64::MAX && nanos(self.origin.elapsed()) >= deadline);
        if stop {
            self.hit.store(true, Relaxed);
        }
        stop
    }
}

fn nanos(duration: std::time::Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX - 1)
}
