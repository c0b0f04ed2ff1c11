//! Jobs that come back: enqueued at every instant of a cron pattern, by one node.

use croner::Cron;
use std::str::FromStr;

use crate::app::App;
use crate::ctx::Ctx;
use crate::error::{Error, Result};
use crate::jobs::{Job, NewJob, store};
use crate::time::Timestamp;

/// A job and the instants (UTC) at which it is enqueued.
pub struct Schedule {
    kind: &'static str,
    payload: String,
    cron: Cron,
}

impl Schedule {
    /// Enqueues a copy of `job` at every instant of the five-field cron pattern, in UTC.
    ///
    /// # Errors
    /// When the pattern cannot be read.
    pub fn new<J: Job>(pattern: &str, job: &J) -> Result<Schedule> {
        let cron = Cron::from_str(pattern).map_err(Error::internal)?;
        Ok(Schedule { kind: J::KIND, payload: serde_json::to_string(job).map_err(Error::internal)?, cron })
    }

    /// The first instant after `now`.
    pub(crate) fn next_after(&self, now: Timestamp) -> Result<Timestamp> {
        let now = jiff::Timestamp::from_millisecond(now.as_millis()).map_err(Error::internal)?.to_zoned(jiff::tz::TimeZone::UTC);
        let next = self.cron.find_next_occurrence(&now, false).map_err(Error::internal)?;
        Ok(Timestamp::from_millis(next.timestamp().as_millisecond()))
    }
}

/// Enqueues the job of every schedule that is due.
pub(crate) async fn fire_due(app: &App) -> Result<()> {
    for (index, schedule) in app.schedules().iter().enumerate() {
        fire(app, index, schedule.kind).await?;
    }
    Ok(())
}

async fn fire(app: &App, index: usize, name: &'static str) -> Result<()> {
    let now = app.clock().now();
    let next = app.schedules()[index].next_after(now)?;
    let Some(due) = app.db().read(move |c| Ok::<_, Error>(store::schedule_due(c, name, now)?)).await? else {
        return Ok(());
    };
    let ctx = Ctx::system(app, "schedule");
    let this = app.clone();
    let fired = app
        .db()
        .write(move |tx| {
            if !store::advance_schedule(tx, name, due, next)? {
                return Ok::<_, Error>(false);
            }
            let schedule = &this.schedules()[index];
            let job = NewJob { kind: schedule.kind, payload: schedule.payload.clone(), run_at: now };
            store::insert(tx, ctx.new_id(), &job, now)?;
            Ok(true)
        })
        .await?;
    if fired {
        app.jobs().wake();
    }
    Ok(())
}

/// Notes the first instant of every schedule that is new.
pub(crate) async fn prepare(app: &App) -> Result<()> {
    let now = app.clock().now();
    for schedule in app.schedules() {
        let (name, next) = (schedule.kind, schedule.next_after(now)?);
        app.db().write(move |tx| Ok::<_, Error>(store::insert_schedule(tx, name, next)?)).await?;
    }
    Ok(())
}
