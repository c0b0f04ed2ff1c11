//! Old addresses on the main host: redirects, and former slugs of posts.
//!
//! Every path that no route takes is asked about here first, short links among them. So this node remembers whether there are
//! old addresses at all, and which paths mean nothing; a change, here or elsewhere, makes it forget.

use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use db::Conn;
use futures_util::future::BoxFuture;
use http::header::{CACHE_CONTROL, LOCATION};
use http::{HeaderValue, Method, StatusCode};
use kernel::http::Fallback;
use kernel::{App, Parts, Result, Timestamp};
use quick_cache::sync::Cache;

use crate::posts::store as post_store;
use crate::posts::view::url_of;
use crate::redirects::{canonical_path, store};
use crate::settings::BlogSettings;
use crate::slugs;

/// Paths remembered to mean nothing.
const CAPACITY: usize = 100_000;
/// How long that is believed, should an event be lost.
const BELIEVED: Duration = Duration::from_secs(30);

/// What this node knows about old addresses without asking.
pub(crate) struct Memory {
    hasher: RandomState,
    /// How many changes there were.
    changes: AtomicU64,
    /// Whether there are any old addresses.
    any: Mutex<Option<(Known, bool)>>,
    /// Hashes of paths that mean nothing.
    nothing: Cache<u64, Known>,
}

/// When something was found out, and after which change.
#[derive(Clone, Copy)]
struct Known {
    number: u64,
    at: Timestamp,
}

impl Default for Memory {
    fn default() -> Self {
        Memory { hasher: RandomState::new(), changes: AtomicU64::new(0), any: Mutex::new(None), nothing: Cache::new(CAPACITY) }
    }
}

impl Memory {
    fn begin(&self, now: Timestamp) -> Known {
        Known { number: self.changes.load(Ordering::SeqCst), at: now }
    }

    fn is_good(&self, known: Known, now: Timestamp) -> bool {
        known.number == self.changes.load(Ordering::SeqCst) && now >= known.at && now.since(known.at) < BELIEVED
    }

    fn any(&self, now: Timestamp) -> Option<bool> {
        let known = *self.any.lock().unwrap_or_else(PoisonError::into_inner);
        known.filter(|(known, _)| self.is_good(*known, now)).map(|(_, any)| any)
    }

    fn remember_any(&self, known: Known, any: bool) {
        *self.any.lock().unwrap_or_else(PoisonError::into_inner) = Some((known, any));
    }

    fn is_nothing(&self, hash: u64, now: Timestamp) -> bool {
        self.nothing.get(&hash).is_some_and(|known| self.is_good(known, now))
    }

    fn forget(&self) {
        self.changes.fetch_add(1, Ordering::SeqCst);
    }
}

/// Answers old addresses.
pub(crate) struct Permalinks;

impl Fallback for Permalinks {
    fn route(&self) -> &'static str {
        "/{permalink}"
    }

    fn answer(&self, app: App, request: Request) -> BoxFuture<'static, Result<Response, Request>> {
        Box::pin(async move {
            if !matches!(*request.method(), Method::GET | Method::HEAD) {
                return Err(request);
            }
            match target(&app, request.uri().path()).await {
                Ok(Some((status, address))) => Ok(lead(status, &address)),
                Ok(None) => Err(request),
                Err(error) => Ok(error.into_response()),
            }
        })
    }
}

fn lead(status: StatusCode, address: &str) -> Response {
    // What is not ASCII is encoded, so that any address can stand in a header.
    let encoded: String =
        address.bytes().map(|byte| if byte.is_ascii_graphic() { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect();
    match HeaderValue::try_from(encoded) {
        Ok(location) => (status, [(LOCATION, location), (CACHE_CONTROL, HeaderValue::from_static("public, max-age=300"))]).into_response(),
        Err(error) => kernel::Error::internal(error).into_response(),
    }
}

/// Where a path leads, if it is an old address.
async fn target(app: &App, raw: &str) -> Result<Option<(StatusCode, String)>> {
    let (memory, now) = (app.state::<Memory>(), app.clock().now());
    if memory.any(now) == Some(false) {
        return Ok(None);
    }
    let hash = memory.hasher.hash_one(raw);
    if memory.is_nothing(hash, now) {
        return Ok(None);
    }
    let known = memory.begin(now);
    if memory.any(now).is_none() {
        let any = app.db().read(|c| Ok::<_, kernel::Error>(store::has_any(c)? || slugs::store::has_former(c)?)).await?;
        memory.remember_any(known, any);
        if !any {
            return Ok(None);
        }
    }
    let found = match canonical_path(raw) {
        Some(path) => {
            let context = app.clone();
            app.db().read(move |c| look_up(c, &context, &path, now)).await?
        }
        None => None,
    };
    if found.is_none() {
        memory.nothing.insert(hash, known);
    }
    Ok(found)
}

fn look_up(c: &mut Conn, app: &App, path: &str, now: Timestamp) -> Result<Option<(StatusCode, String)>> {
    if let Some(redirect) = store::find_by_path(c, path)? {
        let status = u16::try_from(redirect.status).ok().and_then(|status| StatusCode::from_u16(status).ok());
        return Ok(Some((status.unwrap_or(StatusCode::MOVED_PERMANENTLY), redirect.to_url)));
    }
    let Some(slug) = path.rsplit('/').next().and_then(slugs::Slug::parse) else { return Ok(None) };
    for (locale, id) in slugs::store::former_owners(c, slug.as_str())? {
        let was_here = address_path(&app.settings::<BlogSettings>().post_url(app, &locale, slug.as_str())) == path;
        if !was_here {
            continue;
        }
        if let Some(post) = post_store::find_record(c, id)?.filter(|post| post.is_visible(now)) {
            return Ok(Some((StatusCode::MOVED_PERMANENTLY, url_of(app, &post))));
        }
    }
    Ok(None)
}

/// The path of an address, in the form that redirects are looked up by.
fn address_path(address: &str) -> String {
    url::Url::parse(address).ok().and_then(|url| canonical_path(url.path())).unwrap_or_default()
}

/// Registers the fallback, and what makes this node forget.
pub(crate) fn register(parts: &mut Parts<'_>) {
    parts.state(|_| Ok(Memory::default())).fallback(10, Permalinks);
    let others = ["blog.redirect.changed"];
    for name in crate::events::POST_EVENTS.iter().copied().chain(others) {
        parts.watch(name, |app, _| app.state::<Memory>().forget());
    }
}
