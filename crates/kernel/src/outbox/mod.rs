//! The recorded events and how other nodes hear of them.

pub(crate) mod store;

use std::collections::{HashSet, VecDeque};
use std::future::{self, Future};
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

/// Notes what happened before this node has anything in memory, so that nobody is told of it.
pub(crate) async fn begin(app: &App) -> Result<()> {
    let names = app.watched_events();
    if !names.is_empty() {
        let now = app.clock().now();
        each_batch(app, &names, now - OVERLAP, |places| {
            new_of(app, places);
            future::ready(Ok(()))
        })
        .await?;
    }
    Ok(())
}

/// Tells the watchers of this node about an event that it recorded itself.
pub(crate) fn tell_own(app: &App, event: &StoredEvent) {
    if app.is_watched(&event.name) && app.told().is_new((event.at, event.id)) {
        app.tell_watchers(event);
    }
}

/// Tells the watchers of this node about every event that one of them watches, soon after it was recorded anywhere.
pub(crate) async fn watch_events(app: App) {
    let names = app.watched_events();
    if names.is_empty() {
        return;
    }
    let mut since = app.clock().now();
    let mut stopping = app.stopping();
    loop {
        tokio::select! {
            () = tokio::time::sleep(INTERVAL) => {}
            () = stopping.wait() => return,
        }
        since = look(&app, &names, since).await.log_and_continue("looking for events of other nodes").unwrap_or(since);
        app.told().forget_before(since - OVERLAP);
    }
}

async fn look(app: &App, names: &[&'static str], since: Timestamp) -> Result<Timestamp> {
    let last = each_batch(app, names, since - OVERLAP, |places| tell_new(app, new_of(app, places))).await?;
    // Never ahead of our own clock: another node's may be, and would push us past everybody else's events.
    Ok(last.max(since).min(app.clock().now().max(since)))
}

async fn tell_new(app: &App, ids: Vec<Id<StoredEvent>>) -> Result<()> {
    if !ids.is_empty() {
        for event in app.db().read_long(move |c| Ok::<_, Error>(store::find_many(c, &ids)?)).await? {
            app.tell_watchers(&event);
        }
    }
    Ok(())
}

/// Those that nobody was told of yet.
fn new_of(app: &App, places: Vec<Place>) -> Vec<Id<StoredEvent>> {
    let mut told = app.told();
    places.into_iter().filter(|place| told.is_new(*place)).map(|(_, id)| id).collect()
}

/// Hands over where the watched events since this instant stand, some at a time; answers when the last of them happened.
async fn each_batch<F>(app: &App, names: &[&'static str], since: Timestamp, mut take: impl FnMut(Vec<Place>) -> F) -> Result<Timestamp>
where
    F: Future<Output = Result<()>>,
{
    let mut after = (since, Id::from_uuid(uuid::Uuid::nil()));
    loop {
        let names = names.to_vec();
        let places = app.db().read_long(move |c| Ok::<_, Error>(store::places_after(c, &names, after, BATCH)?)).await?;
        let is_last = places.len() < BATCH as usize;
        after = places.last().copied().unwrap_or(after);
        take(places).await?;
        if is_last {
            return Ok(after.0);
        }
    }
}

/// The events that were told lately.
#[derive(Default)]
pub(crate) struct Told {
    ids: HashSet<Id<StoredEvent>>,
    order: VecDeque<Place>,
}

impl Told {
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
        let mut told = Told::default();
        assert!(told.is_new(place(1)) && told.is_new(place(2)) && !told.is_new(place(1)));
        told.forget_before(Timestamp::from_millis(2));
        assert_eq!((told.ids.len(), told.order.len()), (1, 1));
        assert!(!told.is_new(place(2)));
    }

    #[test]
    fn the_memory_of_events_is_bounded() {
        let mut told = Told::default();
        for millis in 0..=REMEMBERED as i64 {
            told.is_new((Timestamp::from_millis(millis), Id::from_uuid(uuid::Uuid::from_u128(millis as u128))));
        }
        assert_eq!((told.ids.len(), told.order.len()), (REMEMBERED, REMEMBERED));
    }
}
