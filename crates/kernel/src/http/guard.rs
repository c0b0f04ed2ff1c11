//! What stands before every handler: limits, credentials, access, same-origin proof, remembered answers, caching.

use std::convert::Infallible;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use axum::routing::Route as Handler;
use futures_util::future::BoxFuture;
use http::header::{ACCEPT, AUTHORIZATION, CACHE_CONTROL, CONTENT_LENGTH, COOKIE, ETAG, IF_NONE_MATCH};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use tower::{Layer, Service};

use crate::actor::{Actor, CredentialKind};
use crate::address::limit_key;
use crate::app::App;
use crate::ctx::{Ctx, RequestInfo};
use crate::error::{
    AMBIGUOUS_CREDENTIALS, Error, FieldError, INTERNAL, MALFORMED_REQUEST, NOT_ACCEPTABLE, OUTCOME_UNKNOWN, Result, UNAUTHENTICATED,
};
use crate::http::extract::{query_pairs, read_body};
use crate::http::operation::{Access, OperationDoc, RateClass, ResponseDoc};
use crate::http::rate::{Policy, Tightest};
use crate::http::{SESSION_MODE, answer, csrf, session_cookie_name};
use crate::idempotency;
use crate::platform::{HttpSettings, LimitSettings};
use crate::ports::Credential;

/// The longest value of a header that an operation declares.
pub(crate) const MAX_HEADER_CHARS: usize = 1024;

/// What the guard of one operation knows.
pub(crate) struct Guard {
    app: App,
    doc: OperationDoc,
    is_limited: bool,
    default: Policy,
    auth: Policy,
    cors_origins: Vec<String>,
    public_url: String,
    max_body: usize,
    /// The media types it answers with.
    answers: Vec<&'static str>,
    /// How long a change is waited for: a little less than the edge waits for everything.
    patience: Duration,
}

/// The route template of an answer, for metrics and logs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Route(pub(crate) &'static str);

/// Marks an answer that must not be compressed, because it may reflect a secret.
#[derive(Clone, Copy, Debug)]
pub(crate) struct NoCompression;

impl Guard {
    pub(crate) fn new(app: &App, doc: &OperationDoc) -> Guard {
        let (limits, http) = (app.settings::<LimitSettings>(), app.settings::<HttpSettings>());
        Guard {
            app: app.clone(),
            doc: doc.clone(),
            is_limited: limits.enabled && doc.rate != RateClass::Unlimited,
            default: Policy::per_minute("default", limits.default_per_minute),
            auth: Policy::per_minute("auth", limits.auth_per_minute),
            cors_origins: http.cors_origins.clone(),
            public_url: app.public_url(),
            max_body: doc.body_limit.map_or_else(|| http.max_body.as_usize(), |limit| limit(app)),
            answers: answered_types(doc),
            patience: *http.request_timeout - *http.request_timeout / 20,
        }
    }

    fn count<'g>(&'g self, limits: &mut Tightest<'g>, policy: &'g Policy, key: u64) -> Result<()> {
        if self.is_limited { limits.count(&self.app, policy, key) } else { Ok(()) }
    }
}

/// Puts a guard before the handler of its operation.
#[derive(Clone)]
pub(crate) struct GuardLayer(pub(crate) Arc<Guard>);

impl Layer<Handler> for GuardLayer {
    type Service = Guarded;
    fn layer(&self, handler: Handler) -> Guarded {
        Guarded { guard: self.0.clone(), handler }
    }
}

/// A handler behind its guard.
#[derive(Clone)]
pub(crate) struct Guarded {
    guard: Arc<Guard>,
    handler: Handler,
}

impl Service<Request> for Guarded {
    type Response = Response;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let (guard, handler) = (self.guard.clone(), self.handler.clone());
        Box::pin(async move { Ok(guarded(&guard, request, handler).await) })
    }
}

async fn guarded(guard: &Guard, mut request: Request, handler: Handler) -> Response {
    let mut limits = Tightest::default();
    let mut response = match admit(guard, &mut request, &mut limits).await {
        Ok(ctx) => proceed(guard, ctx, request, handler).await,
        Err(error) => error.into_response(),
    };
    limits.write(response.headers_mut());
    response.extensions_mut().insert(Route(guard.doc.path));
    if guard.doc.answers_secrets {
        response.extensions_mut().insert(NoCompression);
    }
    if let Some(page) = guard.doc.error_page {
        response.extensions_mut().insert(page);
    }
    response
}

async fn admit<'g>(guard: &'g Guard, request: &mut Request, limits: &mut Tightest<'g>) -> Result<Ctx> {
    let info = request.extensions().get::<Arc<RequestInfo>>().cloned().ok_or_else(|| INTERNAL.because("The edge is missing."))?;
    let headers = request.headers();
    refuse_unexpected_body(request)?;
    if !guard.doc.is_hidden {
        check_accept(headers, &guard.answers)?;
    }
    refuse_long_headers(&guard.doc, headers)?;
    let address = guard.app.limiter().key(&limit_key(info.client_address));
    if guard.doc.rate == RateClass::Auth {
        guard.count(limits, &guard.auth, address)?;
    }
    let credential = credentials(headers, info.is_secure)?;
    prove_origin(guard, request.method(), headers, credential)?;
    let actor = match authenticate(guard, credential, &info).await {
        Ok(actor) => actor,
        Err(error) => {
            guard.count(limits, &guard.default, address)?;
            return Err(error);
        }
    };
    // A program that runs wild with its key uses up the limit of the key, not that of its owner.
    let key = match (actor.key_id(), actor.maybe_user_id()) {
        (Some(key), _) => guard.app.limiter().key(&("key", key)),
        (None, Some(user)) => guard.app.limiter().key(&user),
        (None, None) => address,
    };
    guard.count(limits, &guard.default, key)?;
    allow(guard, &actor).await?;
    refuse_unknown_parameters(guard, request.uri().query())?;
    Ok(Ctx::new(guard.app.clone(), actor, info))
}

async fn proceed(guard: &Guard, ctx: Ctx, mut request: Request, handler: Handler) -> Response {
    let has_credential = ctx.actor.credential() != CredentialKind::None;
    let if_none_match = request.headers().get(IF_NONE_MATCH).cloned();
    let (method, uri) = (request.method().clone(), request.uri().clone());
    let mut response = if csrf::is_unsafe(&method) {
        // Boxed, so that reads do not carry its size along: futures are moved, and moving copies.
        Box::pin(change(guard, ctx, request, handler)).await
    } else {
        request.extensions_mut().insert(ctx);
        run(handler, request).await
    };
    finish(guard, &mut response, has_credential);
    if let Some(answer::NextCursor(cursor)) = response.extensions_mut().remove()
        && let Some((name, value)) = answer::next_link(uri.path(), uri.query(), &cursor)
    {
        response.headers_mut().insert(name, value);
    }
    if (method == Method::GET || method == Method::HEAD) && !guard.doc.answers_secrets {
        return not_modified(response, if_none_match.as_ref());
    }
    response
}

/// Runs a request that may change something: first its whole body, then the work, which its caller can no longer break off.
async fn change(guard: &Guard, ctx: Ctx, request: Request, handler: Handler) -> Response {
    let (parts, body) = request.into_parts();
    let announced = parts.headers.get(CONTENT_LENGTH).cloned();
    let bytes = match read_body(announced.as_ref(), body, guard.max_body).await {
        Ok(bytes) => bytes,
        Err(error) => return error.into_response(),
    };
    let request = Request::from_parts(parts, axum::body::Body::from(bytes));
    let work = to_the_end(answer_once(guard.doc.is_idempotent, ctx, request, handler));
    match tokio::time::timeout(guard.patience, work).await {
        Ok(response) => response,
        Err(_) => OUTCOME_UNKNOWN.because("The change took too long; it may still be made. Read the resource to see.").into_response(),
    }
}

/// Runs a request that may change something, once per idempotency key.
async fn answer_once(is_idempotent: bool, ctx: Ctx, mut request: Request, handler: Handler) -> Response {
    if is_idempotent && request.headers().contains_key(idempotency::HEADER) {
        return idempotency::run(ctx, request, handler).await;
    }
    request.extensions_mut().insert(ctx);
    run(handler, request).await
}

/// Lets the work end although its caller hangs up: what was written is then also announced and remembered.
#[expect(clippy::disallowed_methods, reason = "the request's own work, awaited here; draining waits for the request")]
async fn to_the_end(work: impl Future<Output = Response> + Send + 'static) -> Response {
    match tokio::spawn(work).await {
        Ok(response) => response,
        Err(failure) => INTERNAL.error().with_source(panic_text(failure)).into_response(),
    }
}

fn panic_text(failure: tokio::task::JoinError) -> String {
    match failure.try_into_panic() {
        Ok(panic) => crate::http::panic_text(&*panic),
        Err(failure) => failure.to_string(),
    }
}

/// Runs the handler itself.
pub(crate) async fn run(mut handler: Handler, request: Request) -> Response {
    match handler.call(request).await {
        Ok(response) => response,
        Err(never) => match never {},
    }
}

fn finish(guard: &Guard, response: &mut Response, has_credential: bool) {
    let is_private = has_credential || guard.doc.answers_secrets || !guard.doc.reads_credential;
    if is_private && !response.headers().contains_key(CACHE_CONTROL) {
        let has_etag = response.headers().contains_key(ETAG) && !guard.doc.answers_secrets;
        let value = if has_etag { "private, no-cache" } else { "no-store" };
        response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static(value));
    }
}

/// 304 when the caller has this version already.
fn not_modified(response: Response, if_none_match: Option<&HeaderValue>) -> Response {
    let (Some(wanted), Some(etag)) =
        (if_none_match.and_then(|v| v.to_str().ok()), response.headers().get(ETAG).and_then(|v| v.to_str().ok()))
    else {
        return response;
    };
    let is_same = response.status() == StatusCode::OK
        && wanted.split(',').map(str::trim).any(|tag| tag == "*" || tag.trim_start_matches("W/") == etag.trim_start_matches("W/"));
    if !is_same {
        return response;
    }
    let (mut parts, _) = response.into_parts();
    parts.status = StatusCode::NOT_MODIFIED;
    parts.headers.remove(http::header::CONTENT_TYPE);
    parts.headers.remove(http::header::CONTENT_LENGTH);
    Response::from_parts(parts, axum::body::Body::empty())
}

fn refuse_unexpected_body(request: &Request) -> Result<()> {
    let takes_none = matches!(*request.method(), Method::GET | Method::HEAD | Method::DELETE);
    if takes_none && !http_body::Body::is_end_stream(request.body()) {
        return Err(MALFORMED_REQUEST.because("This method takes no body."));
    }
    Ok(())
}

/// An operation without query parameters refuses them all; one with a query type does so itself.
fn refuse_unknown_parameters(guard: &Guard, query: Option<&str>) -> Result<()> {
    let pairs = match query {
        Some(query) if guard.doc.query.is_none() && !guard.doc.is_hidden => query_pairs(query)?,
        _ => return Ok(()),
    };
    let unknown = |(name, _)| FieldError::parameter(name, "unknown_parameter", "This operation does not know the parameter.");
    if pairs.is_empty() { Ok(()) } else { Err(Error::invalid(pairs.into_iter().map(unknown).collect())) }
}

/// A header that the operation reads is refused when it is longer than the document says.
fn refuse_long_headers(doc: &OperationDoc, headers: &HeaderMap) -> Result<()> {
    let is_long = |name: &str| headers.get(name).is_some_and(|value| value.len() > MAX_HEADER_CHARS);
    match doc.request_headers.iter().find(|(name, _)| is_long(name)) {
        Some((name, _)) => {
            let field = FieldError::header(*name, "too_long", format!("At most {MAX_HEADER_CHARS} characters."));
            Err(MALFORMED_REQUEST.error().with_field(field))
        }
        None => Ok(()),
    }
}

/// The media types that the operation answers with, problems included.
fn answered_types(doc: &OperationDoc) -> Vec<&'static str> {
    let media_type = |response: &ResponseDoc| response.media_type.or(response.body.map(|_| "application/json"));
    let mut types: Vec<&str> = doc.responses.iter().filter_map(media_type).collect();
    types.extend(["application/json", "application/problem+json"]);
    types
}

fn check_accept(headers: &HeaderMap, answers: &[&str]) -> Result<()> {
    let Some(accept) = headers.get(ACCEPT) else { return Ok(()) };
    let text = accept.to_str().unwrap_or("");
    let is_fine = |range: &str| match range.strip_suffix("/*") {
        Some("*") => true,
        Some(group) => answers.iter().any(|answer| answer.split('/').next() == Some(group)),
        None => range.is_empty() || answers.contains(&range),
    };
    let mut ranges = text.split(',').map(|range| range.split(';').next().unwrap_or("").trim());
    if text.is_empty() || ranges.any(is_fine) { Ok(()) } else { Err(NOT_ACCEPTABLE.error()) }
}

/// The one credential of a request.
fn credentials(headers: &HeaderMap, is_secure: bool) -> Result<Option<Credential<'_>>> {
    let mut authorizations = headers.get_all(AUTHORIZATION).iter();
    let bearer = authorizations.next().map(|value| value.to_str().unwrap_or(""));
    let cookie = session_cookie(headers, session_cookie_name(is_secure));
    match (bearer, cookie) {
        (Some(_), Some(_)) => Err(AMBIGUOUS_CREDENTIALS.error()),
        (Some(_), None) if authorizations.next().is_some() => Err(AMBIGUOUS_CREDENTIALS.error()),
        (Some(value), None) => match value.split_once(' ') {
            Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => Ok(Some(Credential::Bearer(token.trim()))),
            _ => Ok(Some(Credential::Bearer(""))),
        },
        (None, Some(token)) => Ok(Some(Credential::Cookie(token))),
        (None, None) => Ok(None),
    }
}

fn session_cookie<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    let pairs = headers.get_all(COOKIE).iter().filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(';'));
    pairs.filter_map(|pair| pair.trim().split_once('=')).find(|(key, _)| *key == name).map(|(_, value)| value)
}

fn prove_origin(guard: &Guard, method: &Method, headers: &HeaderMap, credential: Option<Credential<'_>>) -> Result<()> {
    let is_token_mode = headers.get(SESSION_MODE).is_some_and(|mode| mode == "token");
    let has_cookie = matches!(credential, Some(Credential::Cookie(_)));
    let may_set_cookie = guard.doc.starts_session && !is_token_mode && !matches!(credential, Some(Credential::Bearer(_)));
    if csrf::is_unsafe(method) && (has_cookie || may_set_cookie) {
        csrf::require_same_origin(headers, &guard.public_url, &guard.cors_origins)?;
    }
    Ok(())
}

async fn authenticate(guard: &Guard, credential: Option<Credential<'_>>, info: &RequestInfo) -> Result<Actor> {
    let Some(credential) = credential.filter(|_| guard.doc.reads_credential) else {
        return Ok(Actor::anonymous());
    };
    let Some(authenticator) = guard.app.ports().authenticator() else {
        return Err(UNAUTHENTICATED.error());
    };
    match authenticator.authenticate(&guard.app, credential, info.client_address).await {
        // A browser keeps sending its old cookie; that must not lock it out of public pages.
        Err(error) if is_stale_cookie(&error, credential) && matches!(guard.doc.access, Access::Public) => Ok(Actor::anonymous()),
        outcome => outcome,
    }
}

fn is_stale_cookie(error: &Error, credential: Credential<'_>) -> bool {
    matches!(credential, Credential::Cookie(_)) && error.is(&UNAUTHENTICATED)
}

async fn allow(guard: &Guard, actor: &Actor) -> Result<()> {
    match guard.doc.access {
        Access::Public => Ok(()),
        Access::Authenticated => actor.identity().and_then(|_| allow_key(guard, actor)),
        Access::Permission(permission) => {
            actor.require(permission)?;
            if !permission.is_administrative {
                return Ok(());
            }
            actor.require_admin_grant(guard.app.clock().now())?;
            match guard.app.ports().authenticator() {
                Some(authenticator) => authenticator.note_admin_use(&guard.app, actor).await,
                None => Ok(()),
            }
        }
    }
}

/// An API key passes where the operation names it: what is new stays closed to keys until somebody decides (KEY-1).
fn allow_key(guard: &Guard, actor: &Actor) -> Result<()> {
    match guard.doc.key_scopes.as_deref() {
        _ if actor.key_id().is_none() => Ok(()),
        None => actor.refuse_key(),
        Some([]) => Ok(()),
        Some(scopes) if scopes.iter().any(|scope| actor.may(scope)) => Ok(()),
        Some([first, ..]) => actor.require(first),
    }
}
