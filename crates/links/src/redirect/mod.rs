//! The redirect: from a path of the main host to where its link leads, without waiting for the database or the statistics.
//!
//! In this order (links.md §4): host, path, cache or one read, times, method, password, target, click limit, answer, click.

mod cache;
mod page;

use std::borrow::Cow;
use std::collections::HashSet;
use std::net::IpAddr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use axum::body::Body;
use axum::extract::Request;
use axum::response::{IntoResponse as _, Response};
use futures_util::future::BoxFuture;
use http::header::{CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, HOST, LOCATION, REFERER, USER_AGENT};
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use kernel::error::{GONE, RATE_LIMITED, UNAVAILABLE};
use kernel::http::Fallback;
use kernel::limits::Quota;
use kernel::platform::LimitSettings;
use kernel::{App, Ctx, Error, LogAndContinue as _, RequestInfo, Result, Timestamp};

use crate::clicks::{Flags, Journal, Visit};
use crate::domains::{Domain, Domains};
use crate::links::{service, store};
use crate::redirect::cache::{Known, LinkCache, Live};
use crate::redirect::page::{Asking, password_form};
use crate::settings::{ClickSettings, LinkSettings};
use crate::slugs;
use crate::targets::{self, ForwardQuery};

/// Paths without a link that one network may ask for (INV-L16).
const UNKNOWN_PATHS: Quota = Quota { name: "links-unknown", burst: 60, window: Duration::from_secs(60) };
/// Passwords that one network may try at one link (INV-L17).
const PASSWORD_TRIES: Quota = Quota { name: "links-password", burst: 5, window: Duration::from_secs(60) };
/// The largest body of the password form.
const MAX_FORM: usize = 4 * 1024;

const ROBOTS: HeaderName = HeaderName::from_static("x-robots-tag");
const NOINDEX: HeaderValue = HeaderValue::from_static("noindex");
const PLAIN: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");
const NO_STORE: HeaderValue = HeaderValue::from_static("private, no-store");

/// What redirects keep while the app runs.
#[derive(Debug)]
pub(crate) struct Redirects {
    cache: LinkCache,
    /// The host that alone serves links; empty: every host.
    host: String,
    permanent_max_age_secs: u64,
    permanent: HeaderValue,
    honours_gpc: bool,
    reserved: OnceLock<HashSet<&'static str>>,
}

impl Redirects {
    pub(crate) fn new(links: &LinkSettings, clicks: &ClickSettings) -> Redirects {
        let secs = links.permanent_max_age.as_secs();
        Redirects {
            cache: LinkCache::new(links.cache_entries as usize, *links.cache_lifetime),
            host: links.host.to_ascii_lowercase(),
            permanent_max_age_secs: secs,
            permanent: max_age(secs),
            honours_gpc: clicks.honour_gpc,
            reserved: OnceLock::new(),
        }
    }

    /// Whether no slug may begin with this part.
    pub(crate) fn is_reserved(&self, app: &App, part: &str) -> bool {
        let all = || kernel::http::reserved_segments(app).into_iter().chain(slugs::RESERVED).collect();
        self.reserved.get_or_init(all).contains(part.to_ascii_lowercase().as_str())
    }

    /// Drops what is known about a slug.
    pub(crate) fn forget(&self, domain: &Domain, slug: &str) {
        self.cache.forget(&domain.key(slug));
    }

    fn serves(&self, headers: &HeaderMap, uri: &http::Uri) -> bool {
        if self.host.is_empty() {
            return true;
        }
        let host = uri.host().or_else(|| headers.get(HOST).and_then(|value| value.to_str().ok())).unwrap_or("");
        let name = host.rsplit_once(':').map_or(host, |(name, port)| if port.bytes().all(|b| b.is_ascii_digit()) { name } else { host });
        name.eq_ignore_ascii_case(&self.host)
    }
}

fn max_age(secs: u64) -> HeaderValue {
    HeaderValue::try_from(format!("private, max-age={secs}")).unwrap_or(NO_STORE)
}

/// The last answer of the main host before "not found": short links.
pub(crate) struct Redirector;

impl Fallback for Redirector {
    fn answer(&self, app: App, request: Request) -> BoxFuture<'static, Result<Response, Request>> {
        Box::pin(redirect(app, request))
    }

    fn route(&self) -> &'static str {
        "/{slug}"
    }
}

/// A link that answers a path, and what of the path is left over.
struct Match {
    live: Arc<Live>,
    extra: Option<String>,
}

async fn redirect(app: App, request: Request) -> Result<Response, Request> {
    let redirects = app.state::<Redirects>();
    if !redirects.serves(request.headers(), request.uri()) || request.uri().path() == "/" {
        return Err(request);
    }
    let now = app.clock().now();
    let (parts, body) = request.into_parts();
    let guesses = Guesses::of(&app, &parts, now);
    let found = match app.state::<Domains>().default_domain() {
        Ok(domain) => find(&app, redirects, domain, parts.uri.path(), guesses).await,
        Err(error) => Err(error),
    };
    match found {
        Ok(Some(matched)) => follow(&app, redirects, matched, parts, body, guesses).await,
        Ok(None) => Err(Request::from_parts(parts, body)),
        Err(error) => Ok(failed(error)),
    }
}

/// How often the network of a visitor may still ask for what is no link (INV-L16).
#[derive(Clone, Copy)]
struct Guesses<'a> {
    app: &'a App,
    address: Option<IpAddr>,
    now: Timestamp,
}

impl<'a> Guesses<'a> {
    fn of(app: &'a App, parts: &Parts, now: Timestamp) -> Guesses<'a> {
        Guesses { app, address: parts.extensions.get::<Arc<RequestInfo>>().map(|info| info.client_address), now }
    }

    /// Whose uses are counted; none where nothing is limited.
    fn key(self) -> Option<u64> {
        let address = self.address.filter(|_| self.app.settings::<LimitSettings>().enabled)?;
        Some(self.app.limiter().key(&network_of(address)))
    }

    /// Counts one more; refused when that is too many.
    fn count(self) -> Result<()> {
        let Some(key) = self.key() else { return Ok(()) };
        let decision = self.app.limiter().check(&UNKNOWN_PATHS, key, self.now);
        if decision.allowed {
            return Ok(());
        }
        let policies = serde_json::json!([UNKNOWN_PATHS.name]);
        Err(RATE_LIMITED.error().retry_after(decision.retry_after_secs).with_member("violated_policies", policies))
    }

    /// Takes one back, because it was a link.
    fn give_back(self) {
        if let Some(key) = self.key() {
            self.app.limiter().give_back(&UNKNOWN_PATHS, key);
        }
    }
}

/// What memory knows about a path.
enum Found {
    Link(Match),
    Nothing,
}

impl Found {
    /// What there is, where nothing counts as a guess.
    fn or_guess(self, guesses: Guesses<'_>) -> Result<Option<Match>> {
        match self {
            Found::Link(matched) => Ok(Some(matched)),
            Found::Nothing => guesses.count().map(|()| None),
        }
    }
}

/// The link of a path: from memory, else from one indexed read, which a network that only guesses does not get (INV-L16).
async fn find(app: &App, redirects: &Redirects, domain: &Domain, path: &str, guesses: Guesses<'_>) -> Result<Option<Match>> {
    let Some(key) = slugs::key_of_path(path, domain.is_case_sensitive) else { return Found::Nothing.or_guess(guesses) };
    match redirects.cache.get(&key, guesses.now) {
        Known::Live(live) => return Ok(Some(Match { live, extra: None })),
        Known::Nothing if !key.contains('/') => return Found::Nothing.or_guess(guesses),
        Known::Nothing | Known::Unknown => {}
    }
    // A path of the server's own that no route takes is nobody's guess at a link.
    if redirects.is_reserved(app, key.split('/').next().unwrap_or_default()) {
        return Ok(None);
    }
    if let Some(found) = remembered(redirects, &key, guesses.now) {
        return found.or_guess(guesses);
    }
    let _flight = redirects.cache.flight(&key).await;
    if let Some(found) = remembered(redirects, &key, guesses.now) {
        return found.or_guess(guesses);
    }
    // Who follows a link again is not guessing, however many others of the same network are.
    let was_link = redirects.cache.was_link(&key);
    if !was_link {
        // Before the read, so that of many guesses at once no more are read than may be; given back when it was none.
        guesses.count()?;
    }
    let found = look_up(app, redirects, domain, &key, app.clock().now()).await;
    match (&found, was_link) {
        (Ok(None), true) => guesses.count()?,
        (Ok(Some(_)) | Err(_), false) => guesses.give_back(),
        (Ok(None), false) | (Ok(Some(_)) | Err(_), true) => {}
    }
    found
}

/// The answer, if memory knows about the key and its beginnings.
fn remembered(redirects: &Redirects, key: &str, now: Timestamp) -> Option<Found> {
    for candidate in slugs::candidates(key) {
        match redirects.cache.get(candidate, now) {
            Known::Live(live) if candidate == key => return Some(Found::Link(Match { live, extra: None })),
            Known::Live(live) if live.forward_path => return Some(Found::Link(Match { live, extra: Some(rest(key, candidate)) })),
            Known::Live(_) | Known::Nothing => {}
            Known::Unknown => return None,
        }
    }
    Some(Found::Nothing)
}

fn rest(key: &str, candidate: &str) -> String {
    key[candidate.len()..].trim_start_matches('/').to_owned()
}

async fn look_up(app: &App, redirects: &Redirects, domain: &Domain, key: &str, asked_at: Timestamp) -> Result<Option<Match>> {
    let keys: Vec<String> = slugs::candidates(key).map(str::to_owned).collect();
    let generations: Vec<u64> = keys.iter().map(|key| redirects.cache.generation(key)).collect();
    let (id, wanted) = (domain.id, keys.clone());
    let links = app.db().read(move |c| Ok::<_, Error>(store::by_keys(c, id, &wanted)?)).await?;
    let mut found = None;
    for (candidate, generation) in keys.iter().zip(generations) {
        let live = links.iter().find(|link| link.slug_key == *candidate).and_then(Live::of).map(Arc::new);
        redirects.cache.store(candidate, generation, live.clone(), asked_at);
        if let (None, Some(live)) = (&found, live)
            && (candidate == key || live.forward_path)
        {
            let extra = (candidate != key).then(|| rest(key, candidate));
            found = Some(Match { live, extra });
        }
    }
    Ok(found)
}

/// The network that shares limits: /24 of IPv4, /48 of IPv6.
fn network_of(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => u128::from(u32::from(address) >> 8),
        IpAddr::V6(address) => u128::from(address) >> 80 | 1 << 127,
    }
}

/// Statuses of redirects are a closed set, so that what goes wrong behind them is 503 (links.md §3).
fn failed(error: Error) -> Response {
    let is_told = error.is(&UNAVAILABLE) || error.is(&RATE_LIMITED);
    let error = if is_told { error } else { UNAVAILABLE.error().retry_after(1).with_source(error) };
    error.into_response()
}

async fn follow(
    app: &App,
    redirects: &Redirects,
    matched: Match,
    parts: Parts,
    body: Body,
    guesses: Guesses<'_>,
) -> Result<Response, Request> {
    let (live, now) = (&matched.live, guesses.now);
    if live.valid_from.is_some_and(|from| now < from) {
        // Counted as a guess, or it would be told apart from what is none.
        return match guesses.count() {
            Ok(()) => Err(Request::from_parts(parts, body)),
            Err(error) => Ok(failed(error)),
        };
    }
    if live.is_over || live.expires_at.is_some_and(|end| now >= end) {
        return Ok(over(live));
    }
    let is_read = matches!(parts.method, Method::GET | Method::HEAD);
    if live.password_phc.is_some() {
        return match (is_read, parts.method == Method::POST) {
            (true, _) => Ok(password_form(Asking::First, parts.method == Method::HEAD)),
            (_, true) => Ok(with_password(app, redirects, matched, parts, body, now).await),
            _ => Err(Request::from_parts(parts, body)),
        };
    }
    let keeps_method = matches!(live.status, StatusCode::TEMPORARY_REDIRECT | StatusCode::PERMANENT_REDIRECT);
    if !is_read && !keeps_method {
        return Err(Request::from_parts(parts, body));
    }
    Ok(lead(app, redirects, &matched, &parts, live.status, now).await)
}

/// Past its end or used up: to the place for that, or 410.
fn over(live: &Live) -> Response {
    let Some(location) = &live.expired_location else { return GONE.error().into_response() };
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::FOUND;
    let headers = response.headers_mut();
    headers.insert(LOCATION, location.clone());
    headers.insert(CACHE_CONTROL, NO_STORE);
    headers.insert(ROBOTS, NOINDEX);
    response
}

/// Checks a typed password; only then the target is told (INV-L17).
async fn with_password(app: &App, redirects: &Redirects, matched: Match, parts: Parts, body: Body, now: Timestamp) -> Response {
    let Some(info) = parts.extensions.get::<Arc<RequestInfo>>().cloned() else { return password_form(Asking::First, false) };
    let key = app.limiter().key(&(matched.live.id, network_of(info.client_address)));
    let is_limited = app.settings::<LimitSettings>().enabled;
    if is_limited {
        let decision = app.limiter().check(&PASSWORD_TRIES, key, now);
        if !decision.allowed {
            return password_form(Asking::Wait(decision.retry_after_secs), false);
        }
    }
    let Ok(form) = axum::body::to_bytes(body, MAX_FORM).await else { return password_form(Asking::Wrong, false) };
    let typed = url::form_urlencoded::parse(&form).find(|(name, _)| name == "password").map(|(_, value)| value.into_owned());
    let (Some(hasher), Some(phc)) = (app.ports().passwords(), &matched.live.password_phc) else {
        return failed(UNAVAILABLE.because("Passwords of links need the module accounts."));
    };
    match hasher.verify(app, info.client_address, &typed.unwrap_or_default(), phc).await {
        Err(error) => failed(error),
        Ok(false) => password_form(Asking::Wrong, false),
        Ok(true) => {
            if is_limited {
                app.limiter().give_back(&PASSWORD_TRIES, key);
            }
            lead(app, redirects, &matched, &parts, StatusCode::SEE_OTHER, now).await
        }
    }
}

/// Answers with the target: uses a click where they are counted down, journals it, and never waits for more.
async fn lead(app: &App, redirects: &Redirects, matched: &Match, parts: &Parts, status: StatusCode, now: Timestamp) -> Response {
    let live = &matched.live;
    if live.is_limited {
        // The one redirect that writes; in the words of the log, the system does it.
        let info = parts.extensions.get::<Arc<RequestInfo>>().cloned().unwrap_or_else(|| Arc::new(RequestInfo::internal("redirect")));
        match service::consume(&Ctx::new(app.clone(), kernel::Actor::system(), info), live.id, now).await {
            Ok(true) => {}
            Ok(false) => return over(live),
            Err(error) => return failed(error),
        }
    }
    let sequence = journal(app, redirects, live, parts, now);
    if let Some(sequence) = sequence {
        app.state::<Journal>().written(sequence).await;
    }
    answer(redirects, matched, parts, status, now)
}

/// Hands the click over; tells what to wait for where clicks must be on disk first.
fn journal(app: &App, redirects: &Redirects, live: &Live, parts: &Parts, now: Timestamp) -> Option<u64> {
    let headers = &parts.headers;
    let text = |name: HeaderName| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or("");
    let query = parts.uri.query().unwrap_or("");
    let is_private = redirects.honours_gpc && (is_one(headers, "sec-gpc") || is_one(headers, "dnt"));
    let mut flags = Flags::default();
    flags.set(Flags::HEAD, parts.method == Method::HEAD);
    flags.set(Flags::PREFETCH, is_prefetch(headers));
    flags.set(Flags::QR, !query.is_empty() && targets::is_from_qr(query));
    flags.set(Flags::PRIVATE, is_private);
    let language = parts.extensions.get::<Arc<RequestInfo>>().map_or("", |info| info.locale.as_str());
    app.state::<Journal>().push(&Visit {
        at: now,
        link: live.id,
        flags,
        user_agent: text(USER_AGENT),
        referrer: if is_private { "" } else { text(REFERER) },
        language: if is_private || !headers.contains_key(http::header::ACCEPT_LANGUAGE) { "" } else { language },
        query: if is_private || !query.contains("utm_") { "" } else { query },
    })
}

fn is_one(headers: &HeaderMap, name: &'static str) -> bool {
    headers.get(name).is_some_and(|value| value == "1")
}

fn is_prefetch(headers: &HeaderMap) -> bool {
    let says = |name: &'static str| headers.get(name).and_then(|value| value.to_str().ok()).is_some_and(|value| value.contains("prefetch"));
    says("sec-purpose") || says("purpose") || says("x-moz")
}

fn answer(redirects: &Redirects, matched: &Match, parts: &Parts, status: StatusCode, now: Timestamp) -> Response {
    let live = &matched.live;
    let (location, body) = destination(matched, parts);
    let (is_head, length) = (parts.method == Method::HEAD, body.len());
    let mut response = Response::new(if is_head { Body::empty() } else { Body::from(body) });
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.reserve(8);
    headers.insert(LOCATION, location);
    headers.insert(CACHE_CONTROL, cache_control(redirects, live, status, now));
    headers.insert(CONTENT_TYPE, PLAIN);
    if is_head {
        // The server counts the bytes of a body; here there is none to count.
        headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
    }
    if !live.is_crawlable {
        headers.insert(ROBOTS, NOINDEX);
    }
    response
}

/// Where this visit leads: as prepared, unless its query or the rest of its path goes along.
fn destination(matched: &Match, parts: &Parts) -> (HeaderValue, bytes::Bytes) {
    let live = &matched.live;
    let query = parts.uri.query().filter(|_| live.forward_query != ForwardQuery::Off);
    if query.is_none() && matched.extra.is_none() {
        return (live.location.clone(), live.body.clone());
    }
    let target = live.location.to_str().unwrap_or_default();
    let extra = matched.extra.as_ref().map(|folded| Cow::Owned(unfolded(parts.uri.path(), folded)));
    let text = targets::with_visit(target, extra.as_deref(), query, live.forward_query);
    match HeaderValue::try_from(text.as_str()) {
        Ok(location) => (location, bytes::Bytes::from(text + "\n")),
        Err(_) => (live.location.clone(), live.body.clone()),
    }
}

/// The rest of the path as the visitor wrote it: the key has lost its capitals.
fn unfolded(path: &str, folded: &str) -> String {
    let Some(text) = slugs::decode(path) else { return folded.to_owned() };
    let text = text.trim_matches('/');
    let count = folded.split('/').count();
    let parts: Vec<&str> = text.split('/').collect();
    parts.get(parts.len().saturating_sub(count)..).map_or_else(|| folded.to_owned(), |rest| rest.join("/"))
}

/// 302, 303 and 307 are never kept; 301 and 308 only while they certainly stay true (INV-L15).
fn cache_control(redirects: &Redirects, live: &Live, status: StatusCode, now: Timestamp) -> HeaderValue {
    let is_permanent = matches!(status, StatusCode::MOVED_PERMANENTLY | StatusCode::PERMANENT_REDIRECT);
    if !is_permanent || live.is_limited {
        return NO_STORE;
    }
    match live.expires_at {
        Some(end) => max_age(end.since(now).as_secs().min(redirects.permanent_max_age_secs)),
        None => redirects.permanent.clone(),
    }
}

/// Drops a changed link from memory, on whatever node hears of it.
pub(crate) fn forget(app: &App, event: &kernel::StoredEvent) {
    let Some(domain) = app.state::<Domains>().default_domain().log_and_continue("dropping a changed link from memory") else { return };
    for slug in [&event.data["slug"], &event.data["previous_slug"]].into_iter().filter_map(|slug| slug.as_str()) {
        app.state::<Redirects>().forget(domain, slug);
    }
}
