//! The outermost layer: request ids, limits of the head, time, panics, problem documents, security headers, metrics.

use std::convert::Infallible;
use std::hash::{BuildHasher as _, RandomState};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use axum::extract::{ConnectInfo, Request};
use axum::response::{IntoResponse, Redirect, Response};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use http::header::{ACCEPT, ACCEPT_LANGUAGE, CONTENT_SECURITY_POLICY, REFERRER_POLICY, USER_AGENT, X_CONTENT_TYPE_OPTIONS};
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use tower::Service;

use crate::address::{TrustedProxies, client_address};
use crate::app::App;
use crate::ctx::RequestInfo;
use crate::error::{Error, HEADERS_TOO_LARGE, INTERNAL, Kind, METHOD_NOT_ALLOWED, REQUEST_TIMEOUT, Result, URI_TOO_LONG};
use crate::http::metrics::Metrics;
use crate::http::problem::{self, ErrorPage, Occasion, Refusal};
use crate::http::{REQUEST_ID, guard};
use crate::platform::HttpSettings;

/// The longest path and query, in bytes.
const MAX_URI: usize = 8 * 1024;
/// The largest request head, in bytes.
const MAX_HEAD: usize = 16 * 1024;
/// How much of a `User-Agent` is kept, in bytes.
const MAX_USER_AGENT: usize = 256;

/// What the edge needs of the settings, read once.
pub(crate) struct Edge {
    app: App,
    proxies: TrustedProxies,
    timeout: Duration,
    is_secure: bool,
    page_policy: HeaderValue,
    hasher: RandomState,
    requests: AtomicU64,
}

impl Edge {
    pub(crate) fn new(app: &App) -> Edge {
        let settings = app.settings::<HttpSettings>();
        Edge {
            app: app.clone(),
            proxies: settings.trusted_proxies.clone(),
            timeout: *settings.request_timeout,
            is_secure: app.public_url().starts_with("https://"),
            page_policy: problem::page_policy(),
            hasher: RandomState::new(),
            requests: AtomicU64::new(0),
        }
    }

    /// Eleven characters that do not repeat within a process; an id in logs needs no secrecy, and a system call would cost more.
    fn new_request_id(&self) -> String {
        let number = self.requests.fetch_add(1, Ordering::Relaxed);
        URL_SAFE_NO_PAD.encode(self.hasher.hash_one(number).to_le_bytes())
    }
}

/// The edge around an inner service: every request passes it, also those that no route takes.
#[derive(Clone)]
pub(crate) struct EdgeService<S> {
    edge: Arc<Edge>,
    inner: S,
}

impl<S> EdgeService<S> {
    pub(crate) fn new(edge: Arc<Edge>, inner: S) -> Self {
        EdgeService { edge, inner }
    }
}

impl<S> Service<Request> for EdgeService<S>
where
    S: Service<Request, Response = Response, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send,
{
    type Response = Response;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response, Infallible>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let (edge, next) = (self.edge.clone(), self.inner.clone());
        // The clone has not been asked whether it is ready; the one that was takes the request.
        let next = std::mem::replace(&mut self.inner, next);
        Box::pin(async move { Ok(handle(&edge, request, next).await) })
    }
}

async fn handle<S>(edge: &Edge, mut request: Request, next: S) -> Response
where
    S: Service<Request, Response = Response, Error = Infallible>,
{
    let started = Instant::now();
    let info = Arc::new(request_info(edge, &request));
    let (method, uri) = (request.method().clone(), request.uri().clone());
    let wants_html = !uri.path().starts_with("/api") && accepts_html(request.headers());
    request.extensions_mut().insert(info.clone());

    let mut response = match check_head(&request) {
        Err(error) => error.into_response(),
        Ok(()) => match canonical(&request) {
            Some(redirect) => redirect,
            None => run(edge, request, next).await,
        },
    };
    if let Some(error) = response.extensions_mut().remove::<Arc<Error>>() {
        log(&error, &info, &method, &response);
        let occasion = Occasion { path: uri.path(), request_id: &info.id, wants_html };
        let rendered = match response.extensions().get::<ErrorPage>() {
            Some(page) => page(&Refusal { app: &edge.app, request: &info, method: &method, uri: &uri, error: &error }),
            None => problem::render(&error, &occasion),
        };
        response = with_headers_of(rendered, response);
    }
    add_headers(edge, &info, response.headers_mut());
    let route = response.extensions().get::<guard::Route>().map_or("unmatched", |route| route.0);
    edge.app.state::<Metrics>().observe(&method, route, response.status(), started.elapsed());
    tracing::debug!(request.id = info.id, %method, route, status = response.status().as_u16(), "answered {method} {route}");
    response
}

async fn run<S>(edge: &Edge, request: Request, mut next: S) -> Response
where
    S: Service<Request, Response = Response, Error = Infallible>,
{
    let work = AssertUnwindSafe(next.call(request)).catch_unwind();
    match tokio::time::timeout(edge.timeout, work).await {
        Ok(Ok(Ok(response))) => response,
        Ok(Ok(Err(never))) => match never {},
        Ok(Err(panic)) => INTERNAL.error().with_source(panic_text(&*panic)).into_response(),
        Err(_) => REQUEST_TIMEOUT.error().into_response(),
    }
}

pub(crate) fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned()).or_else(|| panic.downcast_ref::<String>().cloned());
    format!("the handler panicked: {}", text.unwrap_or_else(|| "without a message".to_owned()))
}

fn request_info(edge: &Edge, request: &Request) -> RequestInfo {
    let headers = request.headers();
    let peer = request.extensions().get::<ConnectInfo<SocketAddr>>().map_or(IpAddr::V4(Ipv4Addr::LOCALHOST), |info| info.0.ip());
    RequestInfo {
        id: request_id(headers).or_else(|| trace_id(headers)).unwrap_or_else(|| edge.new_request_id()),
        client_address: client_address(peer, headers, &edge.proxies),
        user_agent: headers.get(USER_AGENT).and_then(|value| value.to_str().ok()).map(|text| cut(text, MAX_USER_AGENT).to_owned()),
        locale: preferred_locale(headers),
        is_secure: edge.is_secure,
    }
}

/// The caller's own id, if it has the accepted form.
fn request_id(headers: &HeaderMap) -> Option<String> {
    let text = headers.get(REQUEST_ID)?.to_str().ok()?;
    let is_fine = (8..=64).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-');
    is_fine.then(|| text.to_owned())
}

/// The trace id of a `traceparent` header (W3C Trace Context, version 00), so that one id runs through all logs.
fn trace_id(headers: &HeaderMap) -> Option<String> {
    let mut parts = headers.get("traceparent")?.to_str().ok()?.split('-');
    let (version, trace, parent, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let is_hex = |text: &str, length| text.len() == length && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    let is_zero = |text: &str| text.bytes().all(|b| b == b'0');
    let is_fine = is_hex(version, 2) && version != "ff" && is_hex(trace, 32) && is_hex(parent, 16) && is_hex(flags, 2);
    (is_fine && !is_zero(trace) && !is_zero(parent)).then(|| trace.to_owned())
}

fn preferred_locale(headers: &HeaderMap) -> String {
    let first =
        headers.get(ACCEPT_LANGUAGE).and_then(|value| value.to_str().ok()).and_then(|text| text.split([',', ';']).next()).map(str::trim);
    let is_tag = |text: &&str| (2..=35).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    first.filter(is_tag).unwrap_or("en").to_owned()
}

fn cut(text: &str, max: usize) -> &str {
    let mut end = text.len().min(max);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

fn accepts_html(headers: &HeaderMap) -> bool {
    headers.get(ACCEPT).and_then(|value| value.to_str().ok()).is_some_and(|text| text.contains("text/html"))
}

fn check_head(request: &Request) -> Result<()> {
    if request.uri().path_and_query().is_some_and(|target| target.as_str().len() > MAX_URI) {
        return Err(URI_TOO_LONG.error());
    }
    let head: usize = request.headers().iter().map(|(name, value)| name.as_str().len() + value.len() + 4).sum();
    if head > MAX_HEAD { Err(HEADERS_TOO_LARGE.error()) } else { Ok(()) }
}

/// A redirect to the address without its trailing slash.
fn canonical(request: &Request) -> Option<Response> {
    let path = request.uri().path();
    let trimmed = path.trim_end_matches('/');
    let is_read = matches!(*request.method(), Method::GET | Method::HEAD);
    // Two leading slashes would make the target another host.
    if trimmed.len() == path.len() || trimmed.is_empty() || !is_read || trimmed.starts_with("//") {
        return None;
    }
    let target = request.uri().query().map_or_else(|| trimmed.to_owned(), |query| format!("{trimmed}?{query}"));
    Some(Redirect::permanent(&target).into_response())
}

fn with_headers_of(mut rendered: Response, original: Response) -> Response {
    for (name, value) in original.headers() {
        if !rendered.headers().contains_key(name) && name != http::header::CONTENT_LENGTH {
            rendered.headers_mut().append(name, value.clone());
        }
    }
    if let Some(route) = original.extensions().get::<guard::Route>() {
        rendered.extensions_mut().insert(*route);
    }
    rendered
}

/// How many headers an answer gets here at most; reserved at once, so that the map grows one time.
const ADDED_HEADERS: usize = 6;

fn add_headers(edge: &Edge, info: &RequestInfo, headers: &mut HeaderMap) {
    headers.reserve(ADDED_HEADERS);
    if let Ok(id) = HeaderValue::try_from(info.id.as_str()) {
        headers.insert(REQUEST_ID, id);
    }
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.entry(REFERRER_POLICY).or_insert(HeaderValue::from_static("no-referrer"));
    if edge.is_secure {
        headers.insert(http::header::STRICT_TRANSPORT_SECURITY, HeaderValue::from_static("max-age=31536000"));
    }
    let is_html = headers.get(http::header::CONTENT_TYPE).is_some_and(|value| value.as_bytes().starts_with(b"text/html"));
    if is_html {
        headers.entry(CONTENT_SECURITY_POLICY).or_insert_with(|| edge.page_policy.clone());
        headers.insert(HeaderName::from_static("cross-origin-opener-policy"), HeaderValue::from_static("same-origin"));
    }
}

fn log(error: &Error, info: &RequestInfo, method: &Method, response: &Response) {
    let route = response.extensions().get::<guard::Route>().map_or("unmatched", |route| route.0);
    match error.kind() {
        Kind::Internal => {
            let causes = error.causes();
            tracing::error!(request.id = info.id, %method, route, code = error.code(), causes, "failed to answer {method} {route}");
        }
        Kind::Unavailable => {
            let causes = error.causes();
            tracing::warn!(request.id = info.id, %method, route, code = error.code(), causes, "could not answer {method} {route}");
        }
        _ => tracing::debug!(request.id = info.id, %method, route, code = error.code(), "refused {method} {route}"),
    }
}

/// The answer for a method that the path does not know; OPTIONS is told which ones it does.
pub(crate) fn other_method(method: &Method, allowed: &'static str) -> Response {
    let allow = [(http::header::ALLOW, HeaderValue::from_static(allowed))];
    match *method {
        Method::OPTIONS => (http::StatusCode::NO_CONTENT, allow).into_response(),
        _ => {
            let mut response = METHOD_NOT_ALLOWED.error().into_response();
            response.headers_mut().extend(allow);
            response
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r64_only_well_formed_request_ids_are_taken_over() {
        let id = |text: &'static str| request_id(&HeaderMap::from_iter([(REQUEST_ID, HeaderValue::from_static(text))]));
        assert_eq!(id("abcDEF_1-9"), Some("abcDEF_1-9".to_owned()));
        assert_eq!(id("short"), None);
        assert_eq!(id("with space in it"), None);
    }

    #[test]
    fn r64_a_trace_lends_its_id_to_the_request() {
        let id = |text: &'static str| {
            trace_id(&HeaderMap::from_iter([(HeaderName::from_static("traceparent"), HeaderValue::from_static(text))]))
        };
        let trace = "0af7651916cd43dd8448eb211c80319c";
        assert_eq!(id("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01").as_deref(), Some(trace));
        assert_eq!(id("cc-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-later").as_deref(), Some(trace));
        assert_eq!(id("ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"), None);
        assert_eq!(id("00-00000000000000000000000000000000-b7ad6b7169203331-01"), None);
        assert_eq!(id("00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01"), None);
        assert_eq!(id("00-short"), None);
    }

    #[test]
    fn the_first_language_counts() {
        let locale = |text: &'static str| preferred_locale(&HeaderMap::from_iter([(ACCEPT_LANGUAGE, HeaderValue::from_static(text))]));
        assert_eq!(locale("de-AT,de;q=0.8"), "de-AT");
        assert_eq!(locale("*"), "en");
        assert_eq!(locale("../../etc"), "en");
    }
}
