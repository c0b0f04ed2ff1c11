//! Housekeeping away from the writer: checkpoints when the log has grown, statistics for the planner now and then.

use std::sync::atomic::{AtomicI32, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};
use rusqlite::Connection;
use tokio::sync::oneshot;

use super::{Opener, Role, errors};
use crate::Error;

/// So many new pages in the log (16 MiB) are worth a checkpoint: pages that every commit touches are then moved once for many of them.
const CHECKPOINT_PAGES: i32 = 4_000;
/// A log of so many pages (64 MiB) begins anew, even if the writer has to wait a moment; its file stays, so that commits need not extend it.
const RESTART_PAGES: i32 = 16_000;
/// How long the writer may have to wait for that moment.
const RESTART_WAIT: Duration = Duration::from_millis(200);
/// How often the planner's statistics are looked after.
const OPTIMIZE: Duration = Duration::from_secs(3_600);

pub(crate) struct Keeper {
    sender: Mutex<Option<Sender<Task>>>,
    due: Arc<Due>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

enum Task {
    /// The log has grown.
    Look,
    /// Somebody waits for a checkpoint.
    Checkpoint(oneshot::Sender<Result<(), Error>>),
}

/// How long the log may become before it is looked at again.
///
/// While writers write, a checkpoint never gets to the log's end, so the log goes on growing behind it.
/// Looking after every commit would then move the pages of each commit by themselves.
struct Due(AtomicI32);

impl Due {
    fn is_reached(&self, pages: i32) -> bool {
        if pages < CHECKPOINT_PAGES {
            // The log began anew.
            self.0.store(CHECKPOINT_PAGES, Relaxed);
        }
        pages >= self.0.load(Relaxed)
    }

    fn is_checkpointed(&self, pages: i32) {
        self.0.store(pages.saturating_add(CHECKPOINT_PAGES), Relaxed);
    }
}

/// Wakes the keeper, from inside the writer's commit.
pub(super) struct Wake {
    sender: Sender<Task>,
    due: Arc<Due>,
}

impl Wake {
    /// Says how many pages the log has now.
    pub(super) fn log_has(&self, pages: i32) {
        // Something in the queue means that it is awake.
        if self.due.is_reached(pages) && self.sender.is_empty() {
            drop(self.sender.try_send(Task::Look));
        }
    }
}

impl Keeper {
    pub(super) fn start(opener: Opener) -> Result<Self, Error> {
        let (sender, receiver) = bounded(64);
        let due = Arc::new(Due(AtomicI32::new(CHECKPOINT_PAGES)));
        let shared = Arc::clone(&due);
        let thread = std::thread::Builder::new()
            .name("db-keeper".to_owned())
            .spawn(move || keep(&opener, &receiver, &shared))
            .map_err(|error| Error::Unavailable(format!("cannot start a thread: {error}")))?;
        Ok(Self { sender: Mutex::new(Some(sender)), due, thread: Mutex::new(Some(thread)) })
    }

    pub(super) fn waker(&self) -> Result<Wake, Error> {
        Ok(Wake { sender: self.sender()?, due: Arc::clone(&self.due) })
    }

    fn sender(&self) -> Result<Sender<Task>, Error> {
        self.sender.lock().unwrap_or_else(PoisonError::into_inner).clone().ok_or(Error::Closed)
    }

    /// Moves what the log holds into the database file.
    pub(crate) async fn checkpoint(&self) -> Result<(), Error> {
        let (done, receiver) = oneshot::channel();
        self.sender()?.try_send(Task::Checkpoint(done)).map_err(|_| Error::Busy)?;
        receiver.await.map_err(|_| Error::Closed)?
    }

    /// Ends the thread, which checkpoints a last time. The writer must have ended before.
    pub(super) fn close(&self) {
        self.sender.lock().unwrap_or_else(PoisonError::into_inner).take();
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if thread.is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("the thread that looks after the database panicked");
        }
    }
}

fn keep(opener: &Opener, receiver: &Receiver<Task>, due: &Due) {
    // Opened on first need: most processes of the command line never do.
    let mut held = None;
    loop {
        let task = receiver.recv_timeout(OPTIMIZE);
        if matches!(task, Err(RecvTimeoutError::Disconnected)) {
            break;
        }
        let done = connection(opener, &mut held).and_then(|connection| match task {
            Ok(Task::Checkpoint(_)) => checkpoint(connection, "TRUNCATE").map(drop),
            Ok(Task::Look) => relieve(connection, due),
            Err(_) => optimize(connection),
        });
        if let Err(error) = &done {
            tracing::debug!(%error, "database housekeeping has to try again later");
        }
        if let Ok(Task::Checkpoint(reply)) = task {
            drop(reply.send(done));
        }
    }
    // SQLite checkpoints by itself when the last connection is closed.
    if let Some(Err(error)) = held.as_ref().map(optimize) {
        tracing::debug!(%error, "could not look after the planner's statistics");
    }
}

fn connection<'h>(opener: &Opener, held: &'h mut Option<Connection>) -> Result<&'h Connection, Error> {
    match held {
        Some(connection) => Ok(connection),
        None => Ok(held.insert(opener.connection(Role::Keeper)?)),
    }
}

/// Checkpoints without holding anybody up, and only if that leaves the log too large with waiting.
fn relieve(connection: &Connection, due: &Due) -> Result<(), Error> {
    let pages = checkpoint(connection, "PASSIVE")?;
    due.is_checkpointed(pages);
    if pages > RESTART_PAGES {
        connection.busy_timeout(RESTART_WAIT).map_err(|error| errors::opening(&error))?;
        checkpoint(connection, "RESTART")?;
    }
    Ok(())
}

/// Checkpoints and tells how many pages the log holds.
fn checkpoint(connection: &Connection, mode: &str) -> Result<i32, Error> {
    connection.query_row(&format!("PRAGMA wal_checkpoint({mode})"), [], |row| row.get(1)).map_err(|error| errors::opening(&error))
}

fn optimize(connection: &Connection) -> Result<(), Error> {
    connection.execute_batch("PRAGMA analysis_limit = 400; PRAGMA optimize").map_err(|error| errors::opening(&error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_log_is_looked_at_once_for_each_so_many_pages() {
        let due = Due(AtomicI32::new(CHECKPOINT_PAGES));
        assert!(!due.is_reached(3_999));
        assert!(due.is_reached(4_010));
        due.is_checkpointed(4_010);
        assert!(!due.is_reached(4_020) && !due.is_reached(8_009));
        assert!(due.is_reached(8_010));
        due.is_checkpointed(8_010);
        // The log began anew.
        assert!(!due.is_reached(5) && due.is_reached(4_000));
    }
}
