//! The one thread that writes: closures that wait together are committed together.

use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, bounded};
use rusqlite::Connection;

use super::keeper::{CHECKPOINT_PAGES, Keeper};
use super::{Opener, errors};
use crate::conn::Ran;
use crate::driver::{Limit, Step};
use crate::job::Job;
use crate::stats::{Counters, count};
use crate::workers::{send, taken};
use crate::{Conn, Error, Settings};

/// A group is closed after so long, however many wait.
const GROUP_TIME: Duration = Duration::from_millis(5);

pub(super) struct Writer {
    /// Taken when the database closes; the thread ends when the queue is empty.
    sender: RwLock<Option<Sender<Box<dyn Job>>>>,
    thread: Mutex<Option<JoinHandle<()>>>,
    counters: Arc<Counters>,
}

impl Writer {
    pub(super) fn start(opener: &Opener, mut connection: Connection, keeper: &Keeper, settings: &Settings) -> Result<Self, Error> {
        let waker = keeper.waker()?;
        connection
            .wal_hook(Some(move |_: &mut rusqlite::hooks::Wal, pages| {
                if pages >= CHECKPOINT_PAGES {
                    waker.wake();
                }
                Ok(())
            }))
            .map_err(|error| errors::opening(&error))?;
        let (sender, receiver) = bounded(settings.max_queue.max(1));
        let counters = Arc::clone(&opener.counters);
        let thread = WriterThread {
            conn: opener.wrap(connection)?,
            receiver,
            counters: Arc::clone(&counters),
            max_group: settings.max_group.max(1),
            deadline: settings.statement_timeout,
        };
        let thread = std::thread::Builder::new()
            .name("db-writer".to_owned())
            .spawn(move || thread.work())
            .map_err(|error| Error::Unavailable(format!("cannot start a thread: {error}")))?;
        Ok(Self { sender: RwLock::new(Some(sender)), thread: Mutex::new(Some(thread)), counters })
    }

    /// Queues a closure, or refuses it at once.
    pub(super) fn submit(&self, job: Box<dyn Job>) -> Result<(), Error> {
        let guard = self.sender.read().unwrap_or_else(PoisonError::into_inner);
        send(guard.as_ref().ok_or(Error::Closed)?, job, &self.counters)
    }

    /// Lets the queue run empty and ends the thread.
    pub(super) fn close(&self) {
        self.sender.write().unwrap_or_else(PoisonError::into_inner).take();
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if thread.is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("the thread that writes the database panicked");
        }
    }
}

struct WriterThread {
    conn: Conn,
    receiver: Receiver<Box<dyn Job>>,
    counters: Arc<Counters>,
    max_group: usize,
    deadline: Duration,
}

/// A closure that was run but not answered, and whether its work is part of the group.
struct Pending {
    job: Box<dyn Job>,
    good: bool,
}

impl WriterThread {
    fn work(mut self) {
        while let Ok(first) = self.receiver.recv() {
            taken(&*first, &self.counters);
            if self.max_group == 1 {
                self.alone(first);
                continue;
            }
            for pending in self.group(first) {
                self.alone(pending.job);
            }
        }
    }

    /// Runs what waits in one transaction; returns the closures that must be run again, each alone.
    fn group(&mut self, first: Box<dyn Job>) -> Vec<Pending> {
        if let Err(error) = self.conn.driver.step(Step::Begin) {
            refuse(first, error);
            return Vec::new();
        }
        let started = Instant::now();
        let mut group: Vec<Pending> = Vec::new();
        let mut next = Some(first);
        while let Some(mut job) = next.take() {
            match self.run_inside(&mut *job) {
                Some(good) => group.push(Pending { job, good }),
                None => {
                    // The engine gave up the whole transaction because of this closure: the others were lost with it.
                    self.conn.roll_back();
                    count(&self.counters.rollbacks);
                    job.answer();
                    return group;
                }
            }
            if group.len() < self.max_group && started.elapsed() < GROUP_TIME {
                next = self.receiver.try_recv().ok();
                next.iter().for_each(|job| taken(&**job, &self.counters));
            }
        }
        if let Err(error) = self.conn.driver.step(Step::Commit) {
            tracing::warn!(%error, closures = group.len(), "a group commit failed; running each closure alone");
            self.conn.roll_back();
            return group;
        }
        self.committed(group);
        Vec::new()
    }

    fn committed(&self, group: Vec<Pending>) {
        count(&self.counters.commits);
        count(&self.counters.groups);
        for pending in group {
            count(if pending.good { &self.counters.writes } else { &self.counters.rollbacks });
            pending.job.answer();
        }
    }

    /// Runs a closure inside a savepoint; tells whether its work stands, `None` when the whole transaction is gone.
    fn run_inside(&mut self, job: &mut dyn Job) -> Option<bool> {
        if let Err(error) = self.conn.driver.step(Step::Save(0)) {
            job.fail(error);
            return None;
        }
        let good = self.run_bounded(job);
        if !self.conn.driver.in_transaction() {
            if good {
                job.fail(Error::Other("the closure ended its transaction by itself".to_owned()));
            }
            return None;
        }
        let step = if good { Step::Release(0) } else { Step::Undo(0) };
        if let Err(error) = self.conn.driver.step(step) {
            job.fail(error);
            return None;
        }
        Some(good)
    }

    fn run_bounded(&mut self, job: &mut dyn Job) -> bool {
        self.conn.limit(Limit::Until(Instant::now() + self.deadline));
        let ran = job.run(&mut self.conn);
        self.conn.was_interrupted();
        self.conn.limit(Limit::None);
        ran == Ran::Good
    }

    /// Runs a closure in a transaction of its own and answers it.
    fn alone(&mut self, mut job: Box<dyn Job>) {
        if let Err(error) = self.conn.driver.step(Step::Begin) {
            return refuse(job, error);
        }
        if !self.run_bounded(&mut *job) {
            self.conn.roll_back();
            count(&self.counters.rollbacks);
        } else if let Err(error) = self.conn.driver.step(Step::Commit) {
            self.conn.roll_back();
            count(&self.counters.rollbacks);
            job.fail(error);
        } else {
            count(&self.counters.commits);
            count(&self.counters.writes);
        }
        job.answer();
    }
}

fn refuse(mut job: Box<dyn Job>, error: Error) {
    job.fail(error);
    job.answer();
}
