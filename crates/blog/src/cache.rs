//! Finished answers to public reads: bytes with their ETag, bounded by memory, made once however many ask at the same time.
//!
//! An entry is dropped by the event that changes it, on this node at once and on others within seconds, and by its own next
//! scheduled change (BLG-3). Every change gets a number. An entry remembers the number before it was loaded, and each scope the
//! number of its last change: an entry whose loading began before the last change of its scope is not believed, also when
//! it was stored after that change.

use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::HeaderValue;
use jiff::fmt::rfc2822::DateTimePrinter;
use kernel::{App, Id, Parts, Result, StoredEvent, Timestamp};
use quick_cache::Weighter;
use quick_cache::sync::Cache;
use twox_hash::XxHash3_128;
use uuid::Uuid;

use crate::posts::Post;

/// How long an entry is believed without asking again, should an event be lost.
const BELIEVED: Duration = Duration::from_secs(30);
/// Scopes of single posts; several posts share one.
const SCOPES: usize = 4_096;
/// What an entry weighs beyond its bytes.
const OVERHEAD: u64 = 400;

/// What an answer is an answer to.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Key {
    /// One post by its id.
    Post(Uuid),
    /// One post by language and slug.
    Slug(String, String),
    /// A page of a list, a feed or a sitemap, by everything that narrows it.
    List(String),
}

/// Which changes an answer depends on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scope {
    /// One post and the names it shows.
    Post(Id<Post>),
    /// Any post.
    Lists,
}

/// A finished answer.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) body: Bytes,
    pub(crate) content_type: &'static str,
    pub(crate) etag: HeaderValue,
    pub(crate) last_modified: Option<HeaderValue>,
    pub(crate) link: Option<HeaderValue>,
    scope: Scope,
    /// When what it shows changes by itself.
    valid_until: Option<Timestamp>,
    loaded_at: Timestamp,
    /// The number of the last change before it was loaded.
    number: u64,
}

impl Entry {
    /// The answer that shows one version of a post.
    pub(crate) fn post(body: Vec<u8>, id: Id<Post>, version: i64, updated_at: Timestamp, valid_until: Option<Timestamp>) -> Entry {
        let etag = etag(&format!("\"v{version}-{}\"", hash(&body)));
        Entry { last_modified: http_date(updated_at), valid_until, ..Entry::new(body, "application/json", etag, Scope::Post(id)) }
    }

    /// A page of a list; its ETag is weak.
    pub(crate) fn list(body: Vec<u8>, link: Option<HeaderValue>, valid_until: Option<Timestamp>) -> Entry {
        let etag = etag(&format!("W/\"{}\"", hash(&body)));
        Entry { link, valid_until, ..Entry::new(body, "application/json", etag, Scope::Lists) }
    }

    /// A feed or a sitemap.
    pub(crate) fn document(
        body: Vec<u8>,
        content_type: &'static str,
        updated_at: Option<Timestamp>,
        valid_until: Option<Timestamp>,
    ) -> Entry {
        let etag = etag(&format!("\"{}\"", hash(&body)));
        let last_modified = updated_at.and_then(http_date);
        Entry { last_modified, valid_until, ..Entry::new(body, content_type, etag, Scope::Lists) }
    }

    fn new(body: Vec<u8>, content_type: &'static str, etag: HeaderValue, scope: Scope) -> Entry {
        Entry {
            body: body.into(),
            content_type,
            etag,
            last_modified: None,
            link: None,
            scope,
            valid_until: None,
            loaded_at: Timestamp::from_millis(0),
            number: 0,
        }
    }
}

fn etag(text: &str) -> HeaderValue {
    HeaderValue::try_from(text).unwrap_or_else(|_| HeaderValue::from_static("\"\""))
}

/// Tells contents apart; nobody gains by making two alike, so it need not withstand attacks.
fn hash(body: &[u8]) -> String {
    format!("{:032x}", XxHash3_128::oneshot(body))
}

/// An instant as HTTP headers write it.
pub(crate) fn http_date(at: Timestamp) -> Option<HeaderValue> {
    let at = jiff::Timestamp::from_millisecond(at.as_millis()).ok()?;
    let text = DateTimePrinter::new().timestamp_to_rfc9110_string(&at).ok()?;
    HeaderValue::try_from(text).ok()
}

#[derive(Clone)]
struct Bytewise;

impl Weighter<Key, Arc<Entry>> for Bytewise {
    fn weight(&self, key: &Key, entry: &Arc<Entry>) -> u64 {
        let key_bytes = match key {
            Key::Post(_) => 16,
            Key::Slug(locale, slug) => locale.len() + slug.len(),
            Key::List(text) => text.len(),
        };
        (entry.body.len() + key_bytes) as u64 + OVERHEAD
    }
}

/// The finished answers of this node.
pub(crate) struct PublicCache {
    /// None where nothing is to be kept.
    entries: Option<Cache<Key, Arc<Entry>, Bytewise>>,
    hasher: RandomState,
    /// How many changes there were.
    changes: AtomicU64,
    /// The number of the last change of each scope of posts.
    posts: Vec<AtomicU64>,
    /// The number of the last change of anything that stands in lists.
    lists: AtomicU64,
    /// The number of the last change that may show anywhere, such as the name of a tag.
    everything: AtomicU64,
}

impl PublicCache {
    /// A cache that holds about so many bytes; none holds nothing.
    pub(crate) fn new(bytes: u64) -> PublicCache {
        let items = usize::try_from(bytes / 2_048).unwrap_or(usize::MAX).clamp(64, 1 << 20);
        PublicCache {
            entries: (bytes > 0).then(|| Cache::with_weighter(items, bytes, Bytewise)),
            hasher: RandomState::new(),
            changes: AtomicU64::new(0),
            posts: (0..SCOPES).map(|_| AtomicU64::new(0)).collect(),
            lists: AtomicU64::new(0),
            everything: AtomicU64::new(0),
        }
    }

    /// Whether answers are kept at all.
    pub(crate) fn is_on(&self) -> bool {
        self.entries.is_some()
    }

    /// The answer from memory, or the one that `load` makes; none when there is nothing to be kept.
    pub(crate) async fn get_or_load<F, Fut>(&self, now: Timestamp, key: Key, load: F) -> Result<Option<Arc<Entry>>>
    where
        F: FnOnce() -> Fut,
        Fut: Future<Output = Result<Option<Entry>>>,
    {
        let Some(entries) = &self.entries else { return Ok(load().await?.map(Arc::new)) };
        if let Some(entry) = entries.get(&key) {
            if self.is_good(&entry, now) {
                return Ok(Some(entry));
            }
            entries.remove_if(&key, |stored| Arc::ptr_eq(stored, &entry));
        }
        let guard = match entries.get_value_or_guard_async(&key).await {
            Ok(entry) if self.is_good(&entry, now) => return Ok(Some(entry)),
            Ok(_) => None,
            Err(guard) => Some(guard),
        };
        let number = self.changes.load(Ordering::SeqCst);
        let Some(entry) = load().await? else { return Ok(None) };
        let entry = Arc::new(Entry { loaded_at: now, number, ..entry });
        if let Some(guard) = guard {
            // It fails when the place was taken away meanwhile; the answer is right all the same.
            let _ = guard.insert(entry.clone());
        }
        Ok(Some(entry))
    }

    fn is_good(&self, entry: &Entry, now: Timestamp) -> bool {
        let last_change = match entry.scope {
            Scope::Post(id) => self.scope_of(id).load(Ordering::SeqCst),
            Scope::Lists => self.lists.load(Ordering::SeqCst),
        };
        let is_known = entry.number >= last_change && entry.number >= self.everything.load(Ordering::SeqCst);
        is_known && entry.valid_until.is_none_or(|until| now < until) && now >= entry.loaded_at && now.since(entry.loaded_at) < BELIEVED
    }

    fn scope_of(&self, id: Id<Post>) -> &AtomicU64 {
        &self.posts[self.hasher.hash_one(id) as usize % SCOPES]
    }

    /// Forgets what shows this post.
    pub(crate) fn forget_post(&self, id: Id<Post>) {
        let number = self.changes.fetch_add(1, Ordering::SeqCst) + 1;
        self.scope_of(id).fetch_max(number, Ordering::SeqCst);
        self.lists.fetch_max(number, Ordering::SeqCst);
    }

    /// Forgets everything.
    pub(crate) fn forget_all(&self) {
        let number = self.changes.fetch_add(1, Ordering::SeqCst) + 1;
        self.everything.fetch_max(number, Ordering::SeqCst);
    }
}

/// Registers what this node forgets when something changes, here or elsewhere.
pub(crate) fn register(parts: &mut Parts<'_>) {
    let post = |app: &App, event: &StoredEvent| {
        if let Some(id) = event.data["post_id"].as_str().and_then(|id| id.parse().ok()) {
            app.state::<PublicCache>().forget_post(id);
        }
    };
    let everything = |app: &App, _: &StoredEvent| app.state::<PublicCache>().forget_all();
    for name in crate::events::POST_EVENTS {
        parts.watch(name, post);
    }
    // The number of comments shows with the post.
    for name in crate::events::COMMENT_EVENTS {
        parts.watch(name, post);
    }
    for name in ["blog.tag.updated", "blog.tag.deleted", "blog.author.updated", "media.file.updated", "media.file.deleted"] {
        parts.watch(name, everything);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millis(millis)
    }

    fn post(text: &str) -> Entry {
        Entry::post(text.as_bytes().to_vec(), Id::from_uuid(Uuid::nil()), 1, at(0), Some(at(5_000)))
    }

    const KEY: Key = Key::Post(Uuid::nil());

    async fn ask(cache: &PublicCache, now: i64, text: &str) -> Bytes {
        cache.get_or_load(at(now), KEY, || async { Ok(Some(post(text))) }).await.unwrap().unwrap().body.clone()
    }

    #[tokio::test]
    async fn blg15_an_answer_is_kept_until_something_changes() {
        let cache = PublicCache::new(1 << 20);
        assert_eq!(ask(&cache, 0, "one").await, "one");
        assert_eq!(ask(&cache, 1, "two").await, "one");
        cache.forget_post(Id::from_uuid(Uuid::nil()));
        assert_eq!(ask(&cache, 2, "two").await, "two");
        cache.forget_all();
        assert_eq!(ask(&cache, 3, "three").await, "three");
    }

    #[tokio::test]
    async fn blg3_an_answer_ends_with_its_next_change_and_with_its_time() {
        let cache = PublicCache::new(1 << 20);
        ask(&cache, 0, "one").await;
        assert_eq!(ask(&cache, 4_999, "two").await, "one");
        assert_eq!(ask(&cache, 5_000, "two").await, "two");
        assert_eq!(ask(&cache, 60_000, "three").await, "three");
    }

    #[tokio::test]
    async fn an_answer_that_was_loaded_before_a_change_is_not_believed_after_it() {
        let cache = PublicCache::new(1 << 20);
        let slow = cache.get_or_load(at(0), KEY, || async {
            // The change comes while the old answer is on its way.
            cache.forget_post(Id::from_uuid(Uuid::nil()));
            Ok(Some(post("old")))
        });
        slow.await.unwrap();
        assert_eq!(ask(&cache, 1, "new").await, "new");
    }

    #[tokio::test]
    async fn what_is_not_there_is_not_kept() {
        let cache = PublicCache::new(1 << 20);
        assert!(cache.get_or_load(at(0), KEY, || async { Ok(None) }).await.unwrap().is_none());
        assert_eq!(ask(&cache, 1, "there").await, "there");
    }

    #[tokio::test]
    async fn a_cache_of_no_size_keeps_nothing() {
        let cache = PublicCache::new(0);
        assert_eq!(ask(&cache, 0, "one").await, "one");
        assert_eq!(ask(&cache, 1, "two").await, "two");
    }

    #[test]
    fn an_instant_is_written_as_http_does() {
        assert_eq!(http_date(at(784_111_777_000)).unwrap(), "Sun, 06 Nov 1994 08:49:37 GMT");
    }
}
