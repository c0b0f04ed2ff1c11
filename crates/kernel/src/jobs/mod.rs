//! Work that follows: enqueued in a transaction, carried out at least once, by one runner per node.

mod runner;
mod schedule;
pub(crate) mod store;

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::ctx::Ctx;
use crate::error::{Error, Result};
use crate::events::StoredEvent;
use crate::time::Timestamp;

pub(crate) use runner::run;
pub use runner::{JobCounts, Jobs};
pub use schedule::Schedule;

/// A piece of work that outlives the request which asked for it. Its handler must be idempotent.
pub trait Job: Serialize + DeserializeOwned + Send + Sync + 'static {
    /// The stable name in the job table, `module.verb_thing`.
    const KIND: &'static str;
}

/// The kind of the jobs that carry an event to one subscriber.
pub(crate) const DELIVERY: &str = "platform.deliver_event";

/// How often a job is tried before it is dead.
pub const MAX_ATTEMPTS: i64 = 12;

/// Waits before the second and every later attempt, in seconds; three days in all.
const BACKOFF_SECS: [u64; 11] = [5, 30, 120, 600, 1_800, 7_200, 18_000, 36_000, 50_400, 64_800, 79_200];

/// The wait after `attempts` failed attempts, with ±20 % of jitter taken from `noise`.
pub(crate) fn backoff(attempts: i64, noise: u32) -> Duration {
    let index = usize::try_from(attempts.max(1) - 1).unwrap_or(0).min(BACKOFF_SECS.len() - 1);
    let base_ms = BACKOFF_SECS[index] * 1_000;
    Duration::from_millis(base_ms * u64::from(80 + noise % 41) / 100)
}

/// A job about to be stored.
#[derive(Debug)]
pub(crate) struct NewJob {
    pub(crate) kind: &'static str,
    pub(crate) payload: String,
    pub(crate) run_at: Timestamp,
}

impl NewJob {
    pub(crate) fn of<J: Job>(job: &J, run_at: Timestamp) -> Result<NewJob> {
        Ok(NewJob { kind: J::KIND, payload: serde_json::to_string(job).map_err(Error::internal)?, run_at })
    }

    pub(crate) fn delivery(subscriber: &str, event: &StoredEvent, run_at: Timestamp) -> Result<NewJob> {
        let payload = json!({ "subscriber": subscriber, "event_id": event.id }).to_string();
        Ok(NewJob { kind: DELIVERY, payload, run_at })
    }
}

type Run = dyn Fn(Ctx, Value) -> BoxFuture<'static, Result<()>> + Send + Sync;

/// What to do with a job of one kind.
#[derive(Clone)]
pub struct JobHandler(Arc<Run>);

impl JobHandler {
    pub(crate) fn new<J, F, Fut>(handler: F) -> JobHandler
    where
        J: Job,
        F: Fn(Ctx, J) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<()>> + Send + 'static,
    {
        let handler = Arc::new(handler);
        JobHandler(Arc::new(move |ctx, payload| {
            let handler = handler.clone();
            Box::pin(async move { handler(ctx, serde_json::from_value(payload).map_err(Error::internal)?).await })
        }))
    }

    pub(crate) async fn run(&self, ctx: Ctx, payload: Value) -> Result<()> {
        (self.0)(ctx, payload).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_and_stay_within_a_fifth_of_their_base() {
        for attempt in 1..=11 {
            let (low, high) = (backoff(attempt, 0), backoff(attempt, 40));
            let base = BACKOFF_SECS[usize::try_from(attempt).unwrap() - 1];
            assert_eq!((low.as_millis(), high.as_millis()), (u128::from(base * 800), u128::from(base * 1_200)));
        }
        assert_eq!(backoff(40, 20), Duration::from_secs(79_200));
    }
}
