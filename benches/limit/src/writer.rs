//! One thread owns the write connection. All that waits in its queue goes into one commit, and nobody is answered
//! before that commit is durable.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

use rusqlite::Connection;
use tokio::sync::oneshot;
use uuid::Uuid;

use crate::rows::{self, NewRow, Row};

/// One row to insert, and who waits for it. The row is handed back, because the answer repeats it.
pub(crate) struct Job {
    pub(crate) id: Uuid,
    pub(crate) now: i64,
    pub(crate) row: NewRow,
    pub(crate) done: oneshot::Sender<Result<NewRow, String>>,
}

impl Job {
    fn insert(&self, conn: &Connection) -> rusqlite::Result<()> {
        rows::insert(
            conn,
            &Row { id: self.id, title: &self.row.title, body: &self.row.body, created_at: self.now, updated_at: self.now, version: 1 },
        )
    }
}

/// Starts the thread; it ends when the last sender is gone.
pub(crate) fn start(conn: Connection, max_group: usize) -> std::io::Result<SyncSender<Job>> {
    let (sender, queue) = sync_channel(4096);
    thread::Builder::new().name("writer".into()).spawn(move || {
        while let Ok(first) = queue.recv() {
            commit_group(&conn, first, &queue, max_group);
        }
    })?;
    Ok(sender)
}

/// A lone insert is not delayed: the group closes as soon as the queue is empty.
fn commit_group(conn: &Connection, first: Job, queue: &Receiver<Job>, max_group: usize) {
    let mut group = Vec::with_capacity(max_group);
    let committed = execute(conn, "BEGIN IMMEDIATE").and_then(|()| {
        let waiting = std::iter::once(first).chain(queue.try_iter());
        group.extend(waiting.take(max_group).map(|job| (job.insert(conn), job)));
        execute(conn, "COMMIT")
    });
    if committed.is_err() && !conn.is_autocommit() {
        let _ = execute(conn, "ROLLBACK");
    }
    for (inserted, job) in group {
        let outcome = match &committed {
            Ok(()) => inserted.map(|()| job.row).map_err(|error| error.to_string()),
            Err(error) => Err(error.to_string()),
        };
        let _ = job.done.send(outcome); // an error means that the client has gone
    }
}

fn execute(conn: &Connection, sql: &str) -> rusqlite::Result<()> {
    conn.prepare_cached(sql)?.raw_execute().map(drop)
}
