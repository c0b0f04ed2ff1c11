//! A bounded pool of threads, each with a connection of its own, that run closures from one bounded queue.

use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::{Relaxed, SeqCst};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, TrySendError, bounded};

use crate::conn::Ran;
use crate::driver::{Limit, Step};
use crate::job::Job;
use crate::stats::{Counters, count};
use crate::{Conn, Error};

/// A thread without work for so long ends, and closes its connection.
const IDLE: Duration = Duration::from_secs(300);
/// A connection unused for so long is asked for a sign of life first: a firewall may have forgotten it.
const UNUSED: Duration = Duration::from_secs(30);
/// A connection is replaced at that age, so that a server's memory for it and a moved address do not stay for ever.
const MAX_AGE: Duration = Duration::from_secs(1_800);
/// A closure in conflict is run again so often, at most.
const CONFLICT_RETRIES: u32 = 12;
/// A closure whose connection was lost is run again so often, at most.
const LOST_RETRIES: u32 = 2;

/// Opens a connection.
pub(crate) type Connect = Box<dyn Fn() -> Result<Conn, Error> + Send + Sync>;

/// How large a pool may get and how long a closure may run.
pub(crate) struct Bounds {
    pub(crate) threads: usize,
    pub(crate) queue: usize,
    pub(crate) deadline: Duration,
}

/// The pool.
pub(crate) struct Workers {
    /// Taken when the pool closes, which lets every thread end after the queue is empty.
    sender: RwLock<Option<Sender<Box<dyn Job>>>>,
    receiver: Receiver<Box<dyn Job>>,
    shared: Arc<Shared>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

struct Shared {
    connect: Connect,
    counters: Arc<Counters>,
    bounds: Bounds,
    live: AtomicUsize,
    idle: AtomicUsize,
}

impl Workers {
    pub(crate) fn new(connect: Connect, counters: Arc<Counters>, bounds: Bounds) -> Self {
        let (sender, receiver) = bounded(bounds.queue.max(1));
        let shared = Shared { connect, counters, bounds, live: AtomicUsize::new(0), idle: AtomicUsize::new(0) };
        Self { sender: RwLock::new(Some(sender)), receiver, shared: Arc::new(shared), threads: Mutex::default() }
    }

    /// Opens a connection of the pool's kind that is the caller's own.
    pub(crate) fn connect(&self) -> Result<Conn, Error> {
        (self.shared.connect)()
    }

    /// Queues a closure, or refuses it at once.
    pub(crate) fn submit(&self, job: Box<dyn Job>) -> Result<(), Error> {
        let guard = self.sender.read().unwrap_or_else(PoisonError::into_inner);
        let sender = guard.as_ref().ok_or(Error::Closed)?;
        send(sender, job, &self.shared.counters)?;
        if sender.len() > self.shared.idle.load(SeqCst) {
            self.grow();
        }
        Ok(())
    }

    fn grow(&self) {
        let mut threads = self.threads.lock().unwrap_or_else(PoisonError::into_inner);
        if self.shared.live.load(SeqCst) >= self.shared.bounds.threads {
            return;
        }
        threads.retain(|thread| !thread.is_finished());
        let worker = Worker { shared: Arc::clone(&self.shared), receiver: self.receiver.clone(), held: None };
        match std::thread::Builder::new().name("db-worker".to_owned()).spawn(move || worker.work()) {
            Ok(thread) => {
                self.shared.live.fetch_add(1, SeqCst);
                threads.push(thread);
            }
            Err(error) => tracing::error!(%error, "cannot start a database thread"),
        }
    }

    /// Lets the queue run empty and ends the threads.
    pub(crate) fn close(&self) {
        self.sender.write().unwrap_or_else(PoisonError::into_inner).take();
        let threads = std::mem::take(&mut *self.threads.lock().unwrap_or_else(PoisonError::into_inner));
        for thread in threads {
            if thread.join().is_err() {
                tracing::error!("a database thread panicked");
            }
        }
    }
}

/// Puts a closure into a bounded queue, or says that it is full.
pub(crate) fn send(sender: &Sender<Box<dyn Job>>, job: Box<dyn Job>, counters: &Counters) -> Result<(), Error> {
    // Counted before it is sent: its taker counts it out.
    count(&counters.queue_depth);
    sender.try_send(job).map_err(|refused| {
        counters.queue_depth.fetch_sub(1, Relaxed);
        match refused {
            TrySendError::Full(_) => {
                count(&counters.overloaded);
                Error::Overloaded
            }
            TrySendError::Disconnected(_) => Error::Closed,
        }
    })
}

/// Notes that a closure's wait is over.
pub(crate) fn taken(job: &dyn Job, counters: &Counters) {
    counters.queue_depth.fetch_sub(1, Relaxed);
    counters.waited(job.queued_at().elapsed());
}

struct Worker {
    shared: Arc<Shared>,
    receiver: Receiver<Box<dyn Job>>,
    held: Option<Held>,
}

struct Held {
    conn: Conn,
    opened: Instant,
    used: Instant,
}

/// What becomes of a closure after a run.
enum Fate {
    Settled,
    Conflict,
    Lost,
}

impl Worker {
    fn work(mut self) {
        loop {
            self.shared.idle.fetch_add(1, SeqCst);
            let next = self.receiver.recv_timeout(IDLE);
            self.shared.idle.fetch_sub(1, SeqCst);
            match next {
                Ok(job) => {
                    taken(&*job, &self.shared.counters);
                    self.serve(job);
                }
                Err(RecvTimeoutError::Timeout) if !self.may_retire() => {}
                Err(_) => break,
            }
        }
        self.let_go();
    }

    /// Whether no closure counts on this thread.
    fn may_retire(&self) -> bool {
        self.shared.live.fetch_sub(1, SeqCst);
        let free = self.receiver.is_empty();
        if !free {
            self.shared.live.fetch_add(1, SeqCst);
        }
        free
    }

    fn serve(&mut self, mut job: Box<dyn Job>) {
        let (mut conflicts, mut losses) = (0, 0);
        loop {
            match self.attempt(&mut *job) {
                Fate::Settled => break,
                Fate::Conflict if conflicts < CONFLICT_RETRIES => {
                    conflicts += 1;
                    std::thread::sleep(pause(conflicts));
                }
                Fate::Lost if losses < LOST_RETRIES => losses += 1,
                Fate::Conflict | Fate::Lost => break,
            }
            count(&self.shared.counters.retries);
        }
        if let Some(held) = &mut self.held {
            held.used = Instant::now();
        }
        job.answer();
    }

    fn attempt(&mut self, job: &mut dyn Job) -> Fate {
        let deadline = Instant::now() + self.shared.bounds.deadline;
        let conn = match self.connection() {
            Ok(conn) => conn,
            Err(error) => {
                job.fail(error);
                return Fate::Settled;
            }
        };
        conn.limit(Limit::Until(deadline));
        let fate = perform(conn, job);
        conn.was_interrupted();
        if conn.driver.is_lost() || matches!(fate, Fate::Lost) {
            self.let_go();
        }
        fate
    }

    /// The connection of this thread, replaced when it is old or does not answer.
    fn connection(&mut self) -> Result<&mut Conn, Error> {
        let stale = self
            .held
            .as_mut()
            .is_some_and(|held| held.opened.elapsed() > MAX_AGE || (held.used.elapsed() > UNUSED && held.conn.driver.ping().is_err()));
        if stale {
            self.let_go();
        }
        if self.held.is_none() {
            let conn = (self.shared.connect)()?;
            count(&self.shared.counters.connections);
            let now = Instant::now();
            self.held = Some(Held { conn, opened: now, used: now });
        }
        match &mut self.held {
            Some(held) => Ok(&mut held.conn),
            None => Err(Error::Closed),
        }
    }

    fn let_go(&mut self) {
        if self.held.take().is_some() {
            self.shared.counters.connections.fetch_sub(1, Relaxed);
        }
    }
}

/// Runs a closure once, in a transaction if it writes.
fn perform(conn: &mut Conn, job: &mut dyn Job) -> Fate {
    if job.writes()
        && let Err(error) = conn.driver.step(Step::Begin)
    {
        return settle(job, error);
    }
    match job.run(conn) {
        Ran::Good if job.writes() => commit(conn, job),
        Ran::Good => Fate::Settled,
        ran => {
            conn.roll_back();
            if job.writes() {
                count(&conn.counters.rollbacks);
            }
            match ran {
                Ran::Conflict => Fate::Conflict,
                Ran::Lost => Fate::Lost,
                Ran::Good | Ran::Bad => Fate::Settled,
            }
        }
    }
}

fn commit(conn: &mut Conn, job: &mut dyn Job) -> Fate {
    match conn.driver.step(Step::Commit) {
        Ok(()) => {
            count(&conn.counters.commits);
            count(&conn.counters.writes);
            Fate::Settled
        }
        // Running the closure again could do its work twice.
        Err(error) if error.is_lost_connection() => {
            job.fail(Error::OutcomeUnknown);
            Fate::Settled
        }
        Err(error) => {
            conn.roll_back();
            settle(job, error)
        }
    }
}

fn settle(job: &mut dyn Job, error: Error) -> Fate {
    let fate = if error.is_lost_connection() {
        Fate::Lost
    } else if error.is_retryable() {
        Fate::Conflict
    } else {
        Fate::Settled
    };
    job.fail(error);
    fate
}

/// How long to wait before the n-th run again: doubling, with jitter, so that two in conflict part.
fn pause(attempt: u32) -> Duration {
    let longest = 1u64 << attempt.min(8);
    let random = crate::random();
    Duration::from_micros(500 + random % (longest * 1_000))
}
