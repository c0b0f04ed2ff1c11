//! The recorded events and how other nodes hear of them.

pub(crate) mod store;

use std::collections::{HashSet, VecDeque};
use std::time::Duration;

use crate::app::App;
use crate::error::{Error, LogAndContinue, Result};
use crate::events::StoredEvent;
use crate::id::Id;
use crate::time::Timestamp;

use store::Place;
pub(crate) use store::insert;

/// How far back each look reaches: a transaction that began earlier may commit later.
const OVERLAP: Duration = Duration::from_secs(60);
/// How often a node looks for events of other nodes and of the command line.
const INTERVAL: Duration = Duration::from_secs(2);
/// How many events are read at once; a look reads on until there are no more.
const BATCH: u32 = 500;
/// The most events remembered, so that each is told once; beyond, one may be told again, which makes a watcher forget once more.
const REMEMBERED: usize = 200_000;

/// Tells the watchers of this node about every event that one of them watches, soon after it was recorded anywhere.
pub(crate) async fn watch_events(app: App) {
    let names = app.watched_events();
    if names.is_empty() {
        return;
    }
    let mut seen = Seen::default();
    let mut since = app.clock().now();
    let mut stopping = app.stopping();
    loop {
        tokio::select! {
            () = tokio::time::sleep(INTERVAL) => {}
            () = stopping.wait() => return,
        }
        since = look(&app, &names, since, &mut seen).await.log_and_continue("looking for events of other nodes").unwrap_or(since);
        seen.forget_before(since - OVERLAP);
    }
}

async fn look(app: &App, names: &[&'static str], since: Timestamp, seen: &mut Seen) -> Result<Timestamp> {
    let mut after = (since - OVERLAP, Id::from_uuid(uuid::Uuid::nil()));
    loop {
        let names = names.to_vec();
        let places = app.db().read_long(move |c| Ok::<_, Error>(store::places_after(c, &names, after, BATCH)?)).await?;
        let is_last = places.len() < BATCH as usize;
        after = places.last().copied().unwrap_or(after);
        let new: Vec<_> = places.into_iter().filter(|place| seen.is_new(*place)).map(|(_, id)| id).collect();
        if !new.is_empty() {
            for event in app.db().read_long(move |c| Ok::<_, Error>(store::find_many(c, &new)?)).await? {
                app.tell_watchers(&event);
            }
        }
        if is_last {
            // Never ahead of our own clock: another node's may be, and would push us past everybody else's events.
            return Ok(after.0.max(since).min(app.clock().now().max(since)));
        }
    }
}

/// The events that were told lately.
#[derive(Default)]
struct Seen {
    ids: HashSet<Id<StoredEvent>>,
    order: VecDeque<Place>,
}

impl Seen {
    fn is_new(&mut self, place: Place) -> bool {
        if !self.ids.insert(place.1) {
            return false;
        }
        self.order.push_back(place);
        if self.order.len() > REMEMBERED {
            self.forget_oldest();
        }
        true
    }

    /// No look reaches so far back any more.
    fn forget_before(&mut self, before: Timestamp) {
        while self.order.front().is_some_and(|(at, _)| *at < before) {
            self.forget_oldest();
        }
    }

    fn forget_oldest(&mut self) {
        if let Some((_, id)) = self.order.pop_front() {
            self.ids.remove(&id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_new_once_until_no_look_reaches_it() {
        let place = |millis: i64| (Timestamp::from_millis(millis), Id::from_uuid(uuid::Uuid::from_u128(millis as u128)));
        let mut seen = Seen::default();
        assert!(seen.is_new(place(1)) && seen.is_new(place(2)) && !seen.is_new(place(1)));
        seen.forget_before(Timestamp::from_millis(2));
        assert_eq!((seen.ids.len(), seen.order.len()), (1, 1));
        assert!(!seen.is_new(place(2)));
    }

    #[test]
    fn the_memory_of_events_is_bounded() {
        let mut seen = Seen::default();
        for millis in 0..=REMEMBERED as i64 {
            seen.is_new((Timestamp::from_millis(millis), Id::from_uuid(uuid::Uuid::from_u128(millis as u128))));
        }
        assert_eq!((seen.ids.len(), seen.order.len()), (REMEMBERED, REMEMBERED));
    }
}
