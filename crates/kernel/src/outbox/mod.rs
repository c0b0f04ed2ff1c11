//! The recorded events and how other nodes hear of them.

pub(crate) mod store;

use std::collections::{HashSet, VecDeque};
use std::time::Duration;

use crate::app::App;
use crate::error::{Error, LogAndContinue, Result};
use crate::events::StoredEvent;
use crate::id::Id;
use crate::time::Timestamp;

pub(crate) use store::insert;

/// How far back each look reaches: a transaction that began earlier may commit later.
const OVERLAP: Duration = Duration::from_secs(60);
/// How often a node looks for events of other nodes and of the command line.
const INTERVAL: Duration = Duration::from_secs(2);
/// How many events are read at once; a look reads on until there are no more.
const BATCH: u32 = 500;
/// Ids remembered so that an event is told once.
const REMEMBERED: usize = 20_000;

/// Tells the watchers of this node about every event, soon after it was recorded anywhere.
pub(crate) async fn watch_events(app: App) {
    let mut seen = Seen::default();
    let mut since = app.clock().now();
    let mut stopping = app.stopping();
    loop {
        tokio::select! {
            () = tokio::time::sleep(INTERVAL) => {}
            () = stopping.wait() => return,
        }
        since = look(&app, since, &mut seen).await.log_and_continue("looking for events of other nodes").unwrap_or(since);
    }
}

async fn look(app: &App, since: Timestamp, seen: &mut Seen) -> Result<Timestamp> {
    let mut after = (since - OVERLAP, Id::from_uuid(uuid::Uuid::nil()));
    loop {
        let events = app.db().read_long(move |c| Ok::<_, Error>(store::after(c, after, BATCH)?)).await?;
        let is_last = events.len() < BATCH as usize;
        if let Some(last) = events.last() {
            after = (last.at, last.id);
        }
        for event in events {
            if seen.is_new(event.id) {
                app.tell_watchers(&event);
            }
        }
        if is_last {
            // Never ahead of our own clock: another node's may be, and would push us past everybody else's events.
            return Ok(after.0.max(since).min(app.clock().now().max(since)));
        }
    }
}

#[derive(Default)]
struct Seen {
    ids: HashSet<Id<StoredEvent>>,
    order: VecDeque<Id<StoredEvent>>,
}

impl Seen {
    fn is_new(&mut self, id: Id<StoredEvent>) -> bool {
        if !self.ids.insert(id) {
            return false;
        }
        self.order.push_back(id);
        if self.order.len() > REMEMBERED
            && let Some(oldest) = self.order.pop_front()
        {
            self.ids.remove(&oldest);
        }
        true
    }
}
