//! Work that would hold up a worker that answers requests: adding up clicks, reading files, drawing large images.

use kernel::error::UNAVAILABLE;
use kernel::{Error, Result};
use tokio::sync::{Semaphore, oneshot};

/// How much of it runs at once; more waits.
static SLOTS: Semaphore = Semaphore::const_new(2);

/// Runs `work` on a thread of its own and waits for it without holding up anybody.
pub(crate) async fn off_worker<T: Send + 'static>(name: &'static str, work: impl FnOnce() -> T + Send + 'static) -> Result<T> {
    let slot = SLOTS.acquire().await.map_err(|error| UNAVAILABLE.error().with_source(error))?;
    let (reply, answer) = oneshot::channel();
    let work = move || {
        // Nobody waits for it only when the request or the app is gone.
        let _ = reply.send(work());
    };
    std::thread::Builder::new().name(name.to_owned()).spawn(work).map_err(Error::internal)?;
    let value = answer.await.map_err(Error::internal);
    drop(slot);
    value
}
