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
const OVERLAP: Duration = Duration::from_secs(10);
/// How often a node looks for events of other nodes and of the command line.
const INTERVAL: Duration = Duration::from_secs(2);
/// How many events one look reads at most; more than that, and the rest follows at the next look.
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
    let from = since - OVERLAP;
    let events = app.db().read(move |c| Ok::<_, Error>(store::since(c, from, BATCH)?)).await?;
    let newest = events.last().map_or(since, |event: &StoredEvent| event.at);
    for event in events {
        if seen.is_new(event.id) {
            app.tell_watchers(&event);
        }
    }
    Ok(newest.max(since))
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
