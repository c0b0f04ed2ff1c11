//! The loop that claims due jobs, runs them under a lease, and retries or buries what fails.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures_util::FutureExt as _;
use serde::Deserialize;
use tokio::sync::Notify;
use tokio::task::JoinSet;

use crate::app::App;
use crate::ctx::Ctx;
use crate::error::{Error, LogAndContinue, Result};
use crate::events::StoredEvent;
use crate::id::Id;
use crate::jobs::store::{self, JobRow};
use crate::jobs::{DELIVERY, MAX_ATTEMPTS, backoff, schedule};
use crate::outbox;

/// Jobs that one node works on at the same time.
const CONCURRENCY: usize = 4;
/// How long a claim lasts unless it is prolonged.
const LEASE: Duration = Duration::from_secs(60);
/// How often a running job prolongs its claim.
const HEARTBEAT: Duration = Duration::from_secs(20);
/// How long one attempt may take.
const ATTEMPT_LIMIT: Duration = Duration::from_secs(15 * 60);
/// The longest wait between two looks, so that jobs of other nodes and of the command line are found.
const POLL: Duration = Duration::from_secs(1);

/// How many jobs are in which state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct JobCounts {
    /// Not finished yet, due or not.
    pub waiting: i64,
    /// Due now.
    pub due: i64,
    /// Given up after the last attempt.
    pub dead: i64,
}

/// The job queue of an app.
#[derive(Debug, Default)]
pub struct Jobs {
    wake: Notify,
    finished: AtomicU64,
    failed: AtomicU64,
}

impl Jobs {
    /// Lets the runner look at once.
    pub fn wake(&self) {
        self.wake.notify_one();
    }

    /// Attempts that succeeded and attempts that failed since the start.
    pub fn outcomes(&self) -> (u64, u64) {
        (self.finished.load(Ordering::Relaxed), self.failed.load(Ordering::Relaxed))
    }
}

impl App {
    /// How many jobs wait, are due, and are dead.
    pub async fn job_counts(&self) -> Result<JobCounts> {
        let now = self.clock().now();
        let (waiting, due, dead) = self.db().read_long(move |c| Ok::<_, Error>(store::counts(c, now)?)).await?;
        Ok(JobCounts { waiting, due, dead })
    }

    /// Fires due schedules and runs due jobs, one after the other, until none is due.
    pub async fn run_due_jobs(&self) -> Result<()> {
        schedule::prepare(self).await?;
        schedule::fire_due(self).await?;
        loop {
            let claimed = claim(self, CONCURRENCY).await?;
            if claimed.is_empty() {
                return Ok(());
            }
            for job in claimed {
                work_on(self.clone(), job).await;
            }
        }
    }
}

struct Claimed {
    row: JobRow,
    lease: i64,
}

/// Runs jobs until the app stops, then waits for those that are running.
pub(crate) async fn run(app: App) {
    schedule::prepare(&app).await.log_and_continue("preparing schedules");
    let mut running = JoinSet::new();
    let mut stopping = app.stopping();
    while !stopping.is_set() {
        schedule::fire_due(&app).await.log_and_continue("firing schedules");
        let free = CONCURRENCY - running.len();
        let claimed = if free > 0 { claim(&app, free).await.log_and_continue("claiming jobs").unwrap_or_default() } else { Vec::new() };
        let is_idle = claimed.is_empty();
        for job in claimed {
            running.spawn(work_on(app.clone(), job));
        }
        if is_idle {
            tokio::select! {
                () = app.jobs().wake.notified() => {}
                () = tokio::time::sleep(POLL) => {}
                Some(_) = running.join_next() => {}
                () = stopping.wait() => {}
            }
        }
        while running.try_join_next().is_some() {}
    }
    while running.join_next().await.is_some() {}
}

async fn claim(app: &App, limit: usize) -> Result<Vec<Claimed>> {
    let now = app.clock().now();
    let is_due = app.db().read(|c| Ok::<_, Error>(store::next_due(c)?)).await?.is_some_and(|next| next <= now);
    if !is_due {
        return Ok(Vec::new());
    }
    let lease = i64::from_le_bytes(app.random().bytes());
    let rows = app
        .db()
        .write(move |tx| {
            let mut rows = store::due(tx, now, limit)?;
            for row in &rows {
                store::claim(tx, row.id, lease, now + LEASE)?;
            }
            // A job that ends its runner never reaches `settle`; it would come back for ever.
            for row in rows.extract_if(.., |row| row.attempts >= MAX_ATTEMPTS) {
                tracing::error!(job.id = %row.id, job.kind = row.kind, "gave up job {}: each of its runners ended before it did", row.kind);
                store::bury(tx, row.id, lease, "each of its runners ended before it did")?;
            }
            Ok::<_, Error>(rows)
        })
        .await?;
    Ok(rows.into_iter().map(|row| Claimed { row, lease }).collect())
}

async fn work_on(app: App, job: Claimed) {
    let (id, lease, kind) = (job.row.id, job.lease, job.row.kind.clone());
    let outcome = tokio::select! {
        outcome = attempt(&app, &job.row) => outcome,
        () = keep_claim(&app, id, lease) => Err(Error::internal("the claim on the job was lost")),
    };
    settle(&app, job, outcome).await.log_and_continue("settling a job");
    tracing::debug!(job.id = %id, job.kind = kind, "settled job {kind}");
}

async fn attempt(app: &App, row: &JobRow) -> Result<()> {
    let run = std::panic::AssertUnwindSafe(dispatch(app, row)).catch_unwind();
    match tokio::time::timeout(ATTEMPT_LIMIT, run).await {
        Ok(Ok(outcome)) => outcome,
        Ok(Err(_)) => Err(Error::internal("the job panicked")),
        Err(_) => Err(Error::internal("the job took too long")),
    }
}

async fn dispatch(app: &App, row: &JobRow) -> Result<()> {
    let ctx = Ctx::system(app, &format!("job-{}", row.id));
    let payload = serde_json::from_str(&row.payload).map_err(Error::internal)?;
    if row.kind == DELIVERY {
        return deliver(app, ctx, serde_json::from_value(payload).map_err(Error::internal)?).await;
    }
    match app.job_handler(&row.kind) {
        Some(handler) => handler.run(ctx, payload).await,
        None => Err(Error::internal(format!("no module handles jobs of kind {}", row.kind))),
    }
}

#[derive(Deserialize)]
struct Delivery {
    subscriber: String,
    event_id: Id<StoredEvent>,
}

async fn deliver(app: &App, ctx: Ctx, delivery: Delivery) -> Result<()> {
    let id = delivery.event_id;
    let event = app.db().read(move |c| Ok::<_, Error>(outbox::store::find(c, id)?)).await?;
    match (app.subscriber(&delivery.subscriber), event) {
        (Some(handler), Some(event)) => handler(ctx, event).await,
        _ => {
            tracing::warn!(subscriber = delivery.subscriber, event.id = %id, "dropped a delivery whose event or subscriber is gone");
            Ok(())
        }
    }
}

/// Prolongs the claim while the job runs; returns only when the claim was lost.
async fn keep_claim(app: &App, id: Id<store::StoredJob>, lease: i64) {
    loop {
        tokio::time::sleep(HEARTBEAT).await;
        let until = app.clock().now() + LEASE;
        let kept = app.db().write(move |tx| Ok::<_, Error>(store::prolong(tx, id, lease, until)?)).await;
        if kept.log_and_continue("prolonging the claim on a job") == Some(false) {
            return;
        }
    }
}

async fn settle(app: &App, job: Claimed, outcome: Result<()>) -> Result<()> {
    let (id, lease, attempts) = (job.row.id, job.lease, job.row.attempts + 1);
    let Err(error) = outcome else {
        app.jobs().finished.fetch_add(1, Ordering::Relaxed);
        return app.db().write(move |tx| Ok(store::finish(tx, id, lease)?)).await;
    };
    app.jobs().failed.fetch_add(1, Ordering::Relaxed);
    let text = error.causes().unwrap_or_else(|| error.to_string());
    if attempts >= MAX_ATTEMPTS {
        tracing::error!(job.id = %id, job.kind = job.row.kind, "gave up job {} after {attempts} attempts: {text}", job.row.kind);
        return app.db().write(move |tx| Ok(store::bury(tx, id, lease, &text)?)).await;
    }
    let at = app.clock().now() + backoff(attempts, app.random().below(41));
    tracing::warn!(job.id = %id, job.kind = job.row.kind, attempts, "job {} failed and will be tried again: {text}", job.row.kind);
    app.db().write(move |tx| Ok(store::retry(tx, id, lease, at, &text)?)).await
}
