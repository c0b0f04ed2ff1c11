//! A closure on its way to the thread that runs it, and its answer on the way back.

use std::sync::mpsc;
use std::time::Instant;

use tokio::sync::oneshot;

use crate::conn::Ran;
use crate::{Conn, Error, TransactionError, Tx};

/// A closure that waits for a connection; its types are forgotten.
pub(crate) trait Job: Send {
    /// Whether a transaction must be begun and committed around it.
    fn writes(&self) -> bool;
    /// Runs the closure and keeps its result until it is answered.
    fn run(&mut self, conn: &mut Conn) -> Ran;
    /// Replaces the result by an error.
    fn fail(&mut self, error: Error);
    /// Sends the result to whoever waits for it.
    fn answer(self: Box<Self>);
    /// When it began to wait.
    fn queued_at(&self) -> Instant;
}

/// Where the answer goes.
enum Reply<R> {
    Task(oneshot::Sender<R>),
    Thread(mpsc::SyncSender<R>),
}

impl<R> Reply<R> {
    fn send(self, result: R) {
        // Nobody waits any more: the client hung up. What was done stays done.
        match self {
            Reply::Task(sender) => drop(sender.send(result)),
            Reply::Thread(sender) => drop(sender.send(result)),
        }
    }
}

/// A closure, its kind and its result.
struct Closure<F, T, E> {
    f: F,
    result: Option<Result<T, E>>,
    reply: Reply<Result<T, E>>,
    queued_at: Instant,
}

struct Read<F, T, E>(Closure<F, T, E>);
struct Write<F, T, E>(Closure<F, T, E>);

impl<F, T, E: TransactionError> Closure<F, T, E> {
    fn answer(self) {
        let result = self.result.unwrap_or_else(|| Err(E::from(Error::Closed)));
        self.reply.send(result);
    }
}

impl<F, T, E> Job for Read<F, T, E>
where
    T: Send,
    E: TransactionError,
    F: Fn(&mut Conn) -> Result<T, E> + Send + 'static,
{
    fn writes(&self) -> bool {
        false
    }

    fn run(&mut self, conn: &mut Conn) -> Ran {
        let (result, ran) = conn.read(&self.0.f);
        self.0.result = Some(result);
        ran
    }

    fn fail(&mut self, error: Error) {
        self.0.result = Some(Err(E::from(error)));
    }

    fn answer(self: Box<Self>) {
        self.0.answer();
    }

    fn queued_at(&self) -> Instant {
        self.0.queued_at
    }
}

impl<F, T, E> Job for Write<F, T, E>
where
    T: Send,
    E: TransactionError,
    F: Fn(&mut Tx<'_>) -> Result<T, E> + Send + 'static,
{
    fn writes(&self) -> bool {
        true
    }

    fn run(&mut self, conn: &mut Conn) -> Ran {
        let (result, ran) = conn.write(|conn| (self.0.f)(&mut Tx::new(conn)));
        self.0.result = Some(result);
        ran
    }

    fn fail(&mut self, error: Error) {
        self.0.result = Some(Err(E::from(error)));
    }

    fn answer(self: Box<Self>) {
        self.0.answer();
    }

    fn queued_at(&self) -> Instant {
        self.0.queued_at
    }
}

/// Waits for an answer without holding a thread.
pub(crate) async fn answer<T, E: TransactionError>(receiver: oneshot::Receiver<Result<T, E>>) -> Result<T, E> {
    receiver.await.unwrap_or_else(|_| Err(E::from(Error::Closed)))
}

/// Waits for an answer on this thread.
pub(crate) fn answer_blocking<T, E: TransactionError>(receiver: &mpsc::Receiver<Result<T, E>>) -> Result<T, E> {
    receiver.recv().unwrap_or_else(|_| Err(E::from(Error::Closed)))
}

/// What the asker keeps of a job: an answer to await.
pub(crate) type Awaited<T, E> = oneshot::Receiver<Result<T, E>>;

/// What the asker keeps of a job: an answer to block on.
pub(crate) type Blocked<T, E> = mpsc::Receiver<Result<T, E>>;

fn closure<F, T, E>(f: F, reply: Reply<Result<T, E>>) -> Closure<F, T, E> {
    Closure { f, result: None, reply, queued_at: Instant::now() }
}

pub(crate) fn read<F, T, E>(f: F) -> (Box<dyn Job>, Awaited<T, E>)
where
    T: Send + 'static,
    E: TransactionError,
    F: Fn(&mut Conn) -> Result<T, E> + Send + Sync + 'static,
{
    let (sender, receiver) = oneshot::channel();
    (Box::new(Read(closure(f, Reply::Task(sender)))), receiver)
}

pub(crate) fn read_blocking<F, T, E>(f: F) -> (Box<dyn Job>, Blocked<T, E>)
where
    T: Send + 'static,
    E: TransactionError,
    F: Fn(&mut Conn) -> Result<T, E> + Send + Sync + 'static,
{
    let (sender, receiver) = mpsc::sync_channel(1);
    (Box::new(Read(closure(f, Reply::Thread(sender)))), receiver)
}

pub(crate) fn write<F, T, E>(f: F) -> (Box<dyn Job>, Awaited<T, E>)
where
    T: Send + 'static,
    E: TransactionError,
    F: Fn(&mut Tx<'_>) -> Result<T, E> + Send + Sync + 'static,
{
    let (sender, receiver) = oneshot::channel();
    (Box::new(Write(closure(f, Reply::Task(sender)))), receiver)
}

pub(crate) fn write_blocking<F, T, E>(f: F) -> (Box<dyn Job>, Blocked<T, E>)
where
    T: Send + 'static,
    E: TransactionError,
    F: Fn(&mut Tx<'_>) -> Result<T, E> + Send + Sync + 'static,
{
    let (sender, receiver) = mpsc::sync_channel(1);
    (Box::new(Write(closure(f, Reply::Thread(sender)))), receiver)
}
