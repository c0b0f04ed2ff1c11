//! Short reads on the calling thread: an array of connections, each behind a lock that is only ever tried.

use std::cell::Cell;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, TryLockError};

use super::{Opener, Role};
use crate::conn::Ran;
use crate::driver::Limit;
use crate::stats::count;
use crate::{Conn, Error, TransactionError};

/// What a read may cost before it is moved off the calling thread: about a millisecond.
const INLINE_KILO_STEPS: u32 = 50;

pub(super) struct Readers {
    opener: Opener,
    slots: Box<[Mutex<Slot>]>,
}

/// Opened on first use: a machine with many cores need not pay for all of them at start.
enum Slot {
    Empty,
    Open(Conn),
    Closed,
}

impl Readers {
    pub(super) fn new(opener: Opener, slots: usize) -> Self {
        Self { opener, slots: (0..slots.max(1)).map(|_| Mutex::new(Slot::Empty)).collect() }
    }

    pub(super) fn opener(&self) -> &Opener {
        &self.opener
    }

    /// Runs the closure here; `None` when no slot is free or the read is too long for this thread.
    pub(super) fn read<T, E, F>(&self, f: &F) -> Option<Result<T, E>>
    where
        E: TransactionError,
        F: Fn(&mut Conn) -> Result<T, E> + 'static,
    {
        let mut slot = self.free_slot()?;
        let conn = match self.conn(&mut slot) {
            Ok(conn) => conn,
            Err(error) => return Some(Err(E::from(error))),
        };
        conn.limit(Limit::KiloSteps(INLINE_KILO_STEPS));
        let (result, ran) = conn.read(f);
        if ran == Ran::Conflict || conn.driver.hit_limit() {
            conn.roll_back();
            count(&conn.counters.escalated);
            return None;
        }
        Some(result)
    }

    fn conn<'s>(&self, slot: &'s mut Slot) -> Result<&'s mut Conn, Error> {
        if matches!(slot, Slot::Empty) {
            *slot = Slot::Open(self.opener.conn(Role::InlineReader)?);
        }
        match slot {
            Slot::Open(conn) => Ok(conn),
            Slot::Empty | Slot::Closed => Err(Error::Closed),
        }
    }

    fn free_slot(&self) -> Option<MutexGuard<'_, Slot>> {
        let first = lane();
        (0..self.slots.len()).find_map(|offset| match self.slots[(first + offset) % self.slots.len()].try_lock() {
            Ok(slot) => Some(slot),
            Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        })
    }

    pub(super) fn close(&self) {
        for slot in &self.slots {
            *slot.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = Slot::Closed;
        }
    }
}

/// A number for this thread, so that each tries a slot of its own first.
fn lane() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    thread_local!(static LANE: Cell<Option<usize>> = const { Cell::new(None) });
    LANE.with(|lane| {
        lane.get().unwrap_or_else(|| {
            let number = NEXT.fetch_add(1, Relaxed);
            lane.set(Some(number));
            number
        })
    })
}
