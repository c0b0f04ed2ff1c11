//! The one thread that writes: closures that wait together are committed together.

use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, bounded};
use rusqlite::Connection;

use super::keeper::Keeper;
use super::{Opener, errors};
use crate::conn::Ran;
use crate::driver::{Limit, Step};
use crate::job::Job;
use crate::stats::{Counters, count};
use crate::workers::{send, taken};
use crate::{Conn, Error, Settings};

/// A group is closed after so long, however many wait.
const GROUP_TIME: Duration = Duration::from_millis(5);
/// So many closures get a savepoint each after one that failed late: whoever provokes such failures slows a group down once in so many.
const CAREFUL: u32 = 512;

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
                waker.log_has(pages);
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
            careful: 0,
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
    /// How many more closures get a savepoint each.
    careful: u32,
}

/// A closure that was run but not answered, and whether its work is part of the group.
struct Pending {
    job: Box<dyn Job>,
    good: bool,
}

/// How a group ended.
enum Group {
    /// Every closure of it is answered.
    Settled,
    /// A closure failed after it had changed something: the whole group is undone, and runs again with savepoints.
    Again(Vec<Box<dyn Job>>),
    /// The group is lost: these closures run again, each alone.
    Alone(Vec<Box<dyn Job>>),
}

/// How the run of one closure inside a group ended.
enum Inside {
    /// Its work stands.
    Good,
    /// It left nothing behind.
    Undone,
    /// It failed and left something behind.
    Dirty,
    /// It took too long and left something behind; it is not tried again.
    TooLong,
    /// The engine gave up the whole transaction.
    Ended,
}

impl WriterThread {
    fn work(mut self) {
        while let Ok(first) = self.receiver.recv() {
            taken(&*first, &self.counters);
            if self.max_group == 1 {
                self.alone(first);
            } else {
                self.together(vec![first]);
            }
        }
    }

    /// Runs these closures and what waits behind them.
    fn together(&mut self, jobs: Vec<Box<dyn Job>>) {
        let alone = match self.group(jobs) {
            Group::Settled => return,
            Group::Alone(jobs) => jobs,
            Group::Again(jobs) => {
                self.careful = CAREFUL;
                match self.group(jobs) {
                    Group::Settled => return,
                    Group::Alone(jobs) | Group::Again(jobs) => jobs,
                }
            }
        };
        for job in alone {
            self.alone(job);
        }
    }

    /// Runs closures in one transaction: the given ones, then what waits.
    fn group(&mut self, jobs: Vec<Box<dyn Job>>) -> Group {
        if let Err(error) = self.conn.driver.step(Step::Begin) {
            jobs.into_iter().for_each(|job| refuse(job, error.copy()));
            return Group::Settled;
        }
        let started = Instant::now();
        let (mut given, mut group) = (jobs.into_iter(), Vec::new());
        let mut next = given.next();
        while let Some(mut job) = next.take() {
            match self.run_inside(&mut *job) {
                Inside::Good => group.push(Pending { job, good: true }),
                Inside::Undone => group.push(Pending { job, good: false }),
                Inside::Dirty => {
                    self.conn.roll_back();
                    return Group::Again(jobs_of(group).chain([job]).chain(given).collect());
                }
                Inside::TooLong => {
                    self.conn.roll_back();
                    count(&self.counters.rollbacks);
                    job.answer();
                    return Group::Again(jobs_of(group).chain(given).collect());
                }
                Inside::Ended => {
                    // The engine gave up the whole transaction because of this closure: the others were lost with it.
                    self.conn.roll_back();
                    count(&self.counters.rollbacks);
                    job.answer();
                    return Group::Alone(jobs_of(group).chain(given).collect());
                }
            }
            next = given.next();
            if next.is_none() && group.len() < self.max_group && started.elapsed() < GROUP_TIME {
                next = self.receiver.try_recv().ok();
                next.iter().for_each(|job| taken(&**job, &self.counters));
            }
        }
        if let Err(error) = self.conn.driver.step(Step::Commit) {
            tracing::warn!(%error, closures = group.len(), "a group commit failed; running each closure alone");
            self.conn.roll_back();
            return Group::Alone(jobs_of(group).collect());
        }
        self.committed(group);
        Group::Settled
    }

    fn committed(&self, group: Vec<Pending>) {
        count(&self.counters.commits);
        count(&self.counters.groups);
        for pending in group {
            count(if pending.good { &self.counters.writes } else { &self.counters.rollbacks });
            pending.job.answer();
        }
    }

    /// Runs a closure as a part of a group.
    ///
    /// A savepoint makes SQLite copy each page before its first change. Most closures that fail do so before they change anything,
    /// so there are savepoints only for a while after one that failed later.
    fn run_inside(&mut self, job: &mut dyn Job) -> Inside {
        let is_careful = self.careful > 0;
        self.careful = self.careful.saturating_sub(1);
        if is_careful && let Err(error) = self.conn.driver.step(Step::Save(0)) {
            job.fail(error);
            return Inside::Ended;
        }
        let changes = self.conn.driver.changes();
        let (good, was_interrupted) = self.run_bounded(job);
        if !self.conn.driver.in_transaction() {
            if good {
                job.fail(Error::Other("the closure ended its transaction by itself".to_owned()));
            }
            return Inside::Ended;
        }
        if is_careful {
            let step = if good { Step::Release(0) } else { Step::Undo(0) };
            if let Err(error) = self.conn.driver.step(step) {
                job.fail(error);
                return Inside::Ended;
            }
        }
        match good {
            true => Inside::Good,
            false if is_careful || self.conn.driver.changes() == changes => Inside::Undone,
            false if was_interrupted => Inside::TooLong,
            false => Inside::Dirty,
        }
    }

    /// Runs a closure and tells whether it was good, and whether it was stopped.
    fn run_bounded(&mut self, job: &mut dyn Job) -> (bool, bool) {
        self.conn.limit(Limit::Until(Instant::now() + self.deadline));
        let ran = job.run(&mut self.conn);
        let was_interrupted = self.conn.was_interrupted();
        self.conn.limit(Limit::None);
        (ran == Ran::Good, was_interrupted)
    }

    /// Runs a closure in a transaction of its own and answers it.
    fn alone(&mut self, mut job: Box<dyn Job>) {
        if let Err(error) = self.conn.driver.step(Step::Begin) {
            return refuse(job, error);
        }
        if !self.run_bounded(&mut *job).0 {
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

fn jobs_of(group: Vec<Pending>) -> impl Iterator<Item = Box<dyn Job>> {
    group.into_iter().map(|pending| pending.job)
}

fn refuse(mut job: Box<dyn Job>, error: Error) {
    job.fail(error);
    job.answer();
}
