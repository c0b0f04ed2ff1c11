//! Bounded pools of threads for work that would hold up a request worker: rendering, images.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use tokio::sync::oneshot;

use crate::error::{Error, Result, UNAVAILABLE};

type Work = Box<dyn FnOnce() + Send>;

/// A few threads behind a short line; whoever finds the line full is told so at once.
///
/// The threads start with the first piece of work and end when the pool is dropped.
pub(crate) struct Workers {
    name: &'static str,
    threads: usize,
    line: usize,
    sender: OnceLock<SyncSender<Work>>,
}

impl Workers {
    /// A pool of as many threads as there are processors, but at most `threads`, with room for `line` waiting pieces of work.
    pub(crate) fn new(name: &'static str, threads: usize, line: usize) -> Workers {
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        Workers { name, threads: threads.min(processors), line, sender: OnceLock::new() }
    }

    /// Runs `work` on one of the threads; it is skipped when nobody waits for it any more.
    ///
    /// # Errors
    /// `unavailable` when the line is full, `internal` when the work panicked.
    pub(crate) async fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T> {
        let (answer, receiver) = oneshot::channel();
        let job = Box::new(move || {
            if !answer.is_closed() {
                let outcome = catch_unwind(AssertUnwindSafe(work));
                // Whoever asked may have gone meanwhile.
                let _ = answer.send(outcome);
            }
        });
        match self.sender.get_or_init(|| self.start()).try_send(job) {
            Ok(()) => {}
            Err(TrySendError::Full(_)) => return Err(UNAVAILABLE.error().retry_after(1)),
            Err(TrySendError::Disconnected(_)) => return Err(Error::internal(format!("no thread of the pool {} is left", self.name))),
        }
        match receiver.await {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(panic)) => Err(Error::internal(format!("work in the pool {} panicked: {}", self.name, panic_text(&*panic)))),
            Err(_) => Err(Error::internal(format!("the pool {} ended before its work", self.name))),
        }
    }

    fn start(&self) -> SyncSender<Work> {
        let (sender, receiver) = sync_channel::<Work>(self.line);
        let receiver = Arc::new(Mutex::new(receiver));
        for _ in 0..self.threads {
            let receiver = receiver.clone();
            let started = std::thread::Builder::new().name(self.name.to_owned()).spawn(move || carry_out(&receiver));
            if let Err(error) = started {
                tracing::error!(pool = self.name, %error, "a thread of a pool could not be started");
            }
        }
        sender
    }
}

fn carry_out(receiver: &Mutex<Receiver<Work>>) {
    loop {
        let next = receiver.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(work) = next else { return };
        work();
    }
}

fn panic_text(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("no message")
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::task::{Context, Waker};

    use super::*;

    #[tokio::test]
    async fn work_that_panics_is_an_error_and_its_thread_goes_on() {
        let workers = Workers::new("test", 1, 4);
        let failed = workers.run(|| -> u32 { panic!("out of ink") }).await.unwrap_err();
        assert!(failed.causes().unwrap().contains("out of ink"), "{failed:?}");
        assert_eq!(workers.run(|| 2 + 2).await.unwrap(), 4);
    }

    #[tokio::test]
    async fn whoever_finds_the_line_full_is_told_at_once() {
        let workers = Arc::new(Workers::new("test", 1, 1));
        let (go_on, wait) = mpsc::channel::<()>();
        let (started, has_started) = oneshot::channel();
        let mut running = tokio::task::JoinSet::new();
        let pool = workers.clone();
        running.spawn(async move {
            let work = move || {
                started.send(()).unwrap();
                wait.recv().unwrap();
            };
            pool.run(work).await
        });
        has_started.await.unwrap();
        let mut waiting = Box::pin(workers.run(|| 1));
        assert!(waiting.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        assert!(workers.run(|| 2).await.unwrap_err().is(&UNAVAILABLE));
        go_on.send(()).unwrap();
        assert_eq!(waiting.await.unwrap(), 1);
        running.join_next().await.unwrap().unwrap().unwrap();
    }
}
