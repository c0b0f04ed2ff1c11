//! Links that were followed lately, ready to be answered, so that a redirect asks no database.
//!
//! An entry is believed for a fixed time from when its look-up began, which hits never extend (INV-L10). Every change drops it on
//! this node at once and on others soon. A look-up that began before such a change must not put its stale answer back: it notes
//! the generation of its key first and stores only if that still holds.

use std::hash::{BuildHasher as _, RandomState};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, StatusCode};
use kernel::{Id, Timestamp};
use quick_cache::sync::Cache;
use tokio::sync::{Mutex, MutexGuard};

use crate::links::{Link, LinkRecord, LinkStatus};
use crate::slugs;
use crate::targets::ForwardQuery;

/// Counters of changes; keys share one by their hash, so that making links does not stop others from being kept.
const GENERATIONS: usize = 1_024;

/// A link as a redirect needs it, its header and its body made once.
#[derive(Debug)]
pub(crate) struct Live {
    pub(crate) id: Id<Link>,
    pub(crate) status: StatusCode,
    /// Where it leads; the value of `Location`.
    pub(crate) location: HeaderValue,
    /// The same as text for who does not follow.
    pub(crate) body: Bytes,
    pub(crate) valid_from: Option<Timestamp>,
    pub(crate) expires_at: Option<Timestamp>,
    pub(crate) expired_location: Option<HeaderValue>,
    /// Whether every redirect uses one of so many clicks.
    pub(crate) is_limited: bool,
    /// Whether none of them is left, or the link was banned: it is over (INV-L16).
    pub(crate) is_over: bool,
    pub(crate) password_phc: Option<Box<str>>,
    pub(crate) forward_query: ForwardQuery,
    pub(crate) forward_path: bool,
    pub(crate) is_crawlable: bool,
}

impl Live {
    /// The link as it is followed; none when it looks like no link, whoever asks.
    pub(crate) fn of(link: &LinkRecord) -> Option<Live> {
        let is_banned = link.status == LinkStatus::Banned;
        if link.deleted_at.is_some() || !(is_banned || link.status == LinkStatus::Active) {
            return None;
        }
        // One text for both; targets are stored as ASCII without control characters, and anything else leads nowhere.
        let body = Bytes::from(format!("{}\n", link.url));
        let location = HeaderValue::from_maybe_shared(body.slice(..link.url.len())).ok()?;
        Some(Live {
            id: link.id,
            status: StatusCode::from_u16(link.redirect_status).unwrap_or(StatusCode::FOUND),
            location,
            body,
            valid_from: link.valid_from,
            expires_at: link.expires_at,
            expired_location: link.expired_url.as_deref().and_then(|url| HeaderValue::try_from(url).ok()),
            is_limited: link.max_clicks.is_some(),
            is_over: is_banned || link.max_clicks.is_some_and(|most| link.used_clicks >= most),
            password_phc: link.password_phc.as_deref().map(Box::from),
            forward_query: link.forward_query,
            forward_path: link.forward_path,
            is_crawlable: link.is_crawlable,
        })
    }
}

/// What was found under a key: a link, or nothing.
#[derive(Clone, Debug)]
struct Entry {
    live: Option<Arc<Live>>,
    loaded_at: Timestamp,
}

/// What is known about a key.
#[derive(Clone, Debug)]
pub(crate) enum Known {
    /// This link.
    Live(Arc<Live>),
    /// There is none.
    Nothing,
    /// The database must be asked.
    Unknown,
}

/// The keys looked up lately.
pub(crate) struct LinkCache {
    entries: Cache<Box<str>, Entry>,
    lifetime: Duration,
    hasher: RandomState,
    generations: Box<[AtomicU64]>,
    /// One look-up at a time per key; keys share them by their hash.
    flights: Box<[Mutex<()>]>,
}

impl std::fmt::Debug for LinkCache {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "LinkCache({} entries)", self.entries.len())
    }
}

impl LinkCache {
    pub(crate) fn new(capacity: usize, lifetime: Duration) -> LinkCache {
        LinkCache {
            entries: Cache::new(capacity),
            lifetime,
            hasher: RandomState::new(),
            generations: (0..GENERATIONS).map(|_| AtomicU64::new(0)).collect(),
            flights: (0..GENERATIONS).map(|_| Mutex::new(())).collect(),
        }
    }

    pub(crate) fn get(&self, key: &str, now: Timestamp) -> Known {
        match self.entries.get(key) {
            // A clock that steps back makes entries old, not young.
            Some(entry) if now >= entry.loaded_at && now.since(entry.loaded_at) < self.lifetime => {
                entry.live.map_or(Known::Nothing, Known::Live)
            }
            _ => Known::Unknown,
        }
    }

    /// Whether the key or one of its beginnings led somewhere when it was last looked up, however long ago.
    pub(crate) fn was_link(&self, key: &str) -> bool {
        slugs::candidates(key).any(|candidate| {
            let live = self.entries.peek(candidate).and_then(|entry| entry.live);
            live.is_some_and(|live| candidate == key || live.forward_path)
        })
    }

    fn place(&self, key: &str) -> usize {
        usize::try_from(self.hasher.hash_one(key)).unwrap_or(usize::MAX) % GENERATIONS
    }

    /// To be noted before the database is asked for a key.
    pub(crate) fn generation(&self, key: &str) -> u64 {
        self.generations[self.place(key)].load(Ordering::Acquire)
    }

    /// Waits until nobody else looks this key up.
    pub(crate) async fn flight(&self, key: &str) -> MutexGuard<'_, ()> {
        self.flights[self.place(key)].lock().await
    }

    /// Stores what a look-up found that began at `asked_at`, unless the key changed since.
    pub(crate) fn store(&self, key: &str, generation: u64, live: Option<Arc<Live>>, asked_at: Timestamp) {
        if self.generation(key) != generation {
            return;
        }
        self.entries.insert(key.into(), Entry { live, loaded_at: asked_at });
        // The change may have come between the check and the insert.
        if self.generation(key) != generation {
            self.entries.remove(key);
        }
    }

    /// Drops a key, and whatever look-ups of it are under way will find.
    pub(crate) fn forget(&self, key: &str) {
        self.generations[self.place(key)].fetch_add(1, Ordering::AcqRel);
        self.entries.remove(key);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn live(url: &'static str) -> Arc<Live> {
        Arc::new(Live {
            id: Id::from_uuid(uuid::Uuid::nil()),
            status: StatusCode::FOUND,
            location: HeaderValue::from_static(url),
            body: Bytes::from_static(url.as_bytes()),
            valid_from: None,
            expires_at: None,
            expired_location: None,
            is_limited: false,
            is_over: false,
            password_phc: None,
            forward_query: ForwardQuery::Off,
            forward_path: false,
            is_crawlable: false,
        })
    }

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millis(millis)
    }

    fn leads_to(cache: &LinkCache, key: &str, now: i64) -> Option<String> {
        match cache.get(key, at(now)) {
            Known::Live(live) => Some(live.location.to_str().unwrap().to_owned()),
            _ => None,
        }
    }

    #[test]
    fn inv_l10_a_late_fill_does_not_overwrite_what_came_after_it_began() {
        let cache = LinkCache::new(1_000, Duration::from_secs(5));
        let late = cache.generation("sale");
        // The link changes, is read and is stored while the first look-up still waits.
        cache.forget("sale");
        cache.store("sale", cache.generation("sale"), Some(live("https://new.example/")), at(100));
        cache.store("sale", late, Some(live("https://old.example/")), at(0));
        assert_eq!(leads_to(&cache, "sale", 200).as_deref(), Some("https://new.example/"));
    }

    #[test]
    fn inv_l10_hits_never_extend_the_life_of_an_entry() {
        let cache = LinkCache::new(1_000, Duration::from_secs(5));
        cache.store("sale", cache.generation("sale"), Some(live("https://x.example/")), at(1_000));
        for now in (1_000..6_000).step_by(100) {
            assert!(leads_to(&cache, "sale", now).is_some(), "{now}");
        }
        assert!(matches!(cache.get("sale", at(6_000)), Known::Unknown));
        assert!(matches!(cache.get("sale", at(999)), Known::Unknown), "a clock that steps back");
    }

    #[test]
    fn inv_l16_nothing_is_remembered_too_and_dropped_on_creation() {
        let cache = LinkCache::new(1_000, Duration::from_secs(5));
        cache.store("sale", cache.generation("sale"), None, at(0));
        assert!(matches!(cache.get("sale", at(1)), Known::Nothing));
        cache.forget("sale");
        assert!(matches!(cache.get("sale", at(1)), Known::Unknown));
    }

    /// One step of two nodes that share a link: the first hears of every change at once, the second only of some.
    #[derive(Clone, Debug)]
    enum Step {
        Change { second_hears: bool },
        BeginFill { node: usize },
        EndFill { node: usize },
        Wait(i64),
        Ask { node: usize },
    }

    fn any_step() -> impl Strategy<Value = Step> {
        prop_oneof![
            any::<bool>().prop_map(|second_hears| Step::Change { second_hears }),
            (0..2_usize).prop_map(|node| Step::BeginFill { node }),
            (0..2_usize).prop_map(|node| Step::EndFill { node }),
            (1..3_000_i64).prop_map(Step::Wait),
            (0..2_usize).prop_map(|node| Step::Ask { node }),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn inv_l10_no_answer_is_older_than_the_promise(steps in prop::collection::vec(any_step(), 1..80)) {
            const URLS: [&str; 4] = ["https://0.example/", "https://1.example/", "https://2.example/", "https://3.example/"];
            let nodes = [LinkCache::new(1_000, Duration::from_secs(5)), LinkCache::new(1_000, Duration::from_secs(5))];
            // What the database holds, and until when it held what came before.
            let (mut now, mut version, mut held_until) = (10_000_i64, 0_usize, vec![]);
            let mut fills: [Vec<(u64, usize, i64)>; 2] = Default::default();
            for step in steps {
                match step {
                    Step::Change { second_hears } => {
                        held_until.push(now);
                        version += 1;
                        nodes[0].forget("sale");
                        if second_hears {
                            nodes[1].forget("sale");
                        }
                    }
                    Step::BeginFill { node } => fills[node].push((nodes[node].generation("sale"), version, now)),
                    Step::EndFill { node } => {
                        if !fills[node].is_empty() {
                            let (generation, read, asked_at) = fills[node].remove(0);
                            // The number of the version stands in the id, the URL is only to be short.
                            let mut entry = Arc::into_inner(live(URLS[read % 4])).expect("ours alone");
                            entry.id = Id::from_uuid(uuid::Uuid::from_u128(read as u128));
                            nodes[node].store("sale", generation, Some(Arc::new(entry)), at(asked_at));
                        }
                    }
                    Step::Wait(millis) => now += millis,
                    Step::Ask { node } => {
                        if let Known::Live(live) = nodes[node].get("sale", at(now)) {
                            let read = usize::try_from(live.id.uuid().as_u128()).expect("a version");
                            prop_assert!(node == 1 || read == version, "the node that took the change answers with it");
                            let was_true_until = held_until.get(read).copied().unwrap_or(now);
                            prop_assert!(now - was_true_until < 5_000, "{} ms stale", now - was_true_until);
                        }
                    }
                }
            }
        }
    }
}
