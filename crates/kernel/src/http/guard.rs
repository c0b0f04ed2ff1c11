//! What stands before every handler: limits, credentials, access, same-origin proof, remembered answers, caching.

use std::hash::{BuildHasher, Hash, Hasher, RandomState};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::header::{ACCEPT, AUTHORIZATION, CACHE_CONTROL, COOKIE, ETAG, IF_NONE_MATCH};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};

use crate::actor::{Actor, CredentialKind};
use crate::address::limit_key;
use crate::app::App;
use crate::ctx::{Ctx, RequestInfo};
use crate::error::{AMBIGUOUS_CREDENTIALS, Error, FieldError, INTERNAL, MALFORMED_REQUEST, NOT_ACCEPTABLE, RATE_LIMITED, Result, UNAUTHENTICATED};
use crate::http::extract::query_pairs;
use crate::http::operation::{Access, OperationDoc, RateClass};
use crate::http::{SESSION_MODE, answer, csrf, session_cookie_name};
use crate::idempotency;
use crate::limits::{Decision, Quota};
use crate::platform::{HttpSettings, LimitSettings};
use crate::ports::Credential;

/// What the guard of one operation knows.
pub(crate) struct Guard {
    app: App,
    doc: OperationDoc,
    is_limited: bool,
    default_quota: Quota,
    auth_quota: Quota,
    cors_origins: Vec<String>,
    public_url: String,
}

/// The route template of an answer, for metrics and logs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Route(pub(crate) &'static str);

/// Marks an answer that must not be compressed, because it may reflect a secret.
#[derive(Clone, Copy, Debug)]
pub(crate) struct NoCompression;

const MINUTE: Duration = Duration::from_secs(60);

impl Guard {
    pub(crate) fn new(app: &App, doc: &OperationDoc) -> Guard {
        let limits = app.settings::<LimitSettings>();
        Guard {
            app: app.clone(),
            doc: doc.clone(),
            is_limited: limits.enabled && doc.rate != RateClass::Unlimited,
            default_quota: Quota { name: "default", burst: limits.default_per_minute, window: MINUTE },
            auth_quota: Quota { name: "auth", burst: limits.auth_per_minute, window: MINUTE },
            cors_origins: app.settings::<HttpSettings>().cors_origins.clone(),
            public_url: app.public_url(),
        }
    }
}

/// Guards one operation.
pub(crate) async fn guard(State(guard): State<Arc<Guard>>, mut request: Request, next: Next) -> Response {
    let mut limits = Limits::default();
    let outcome = match admit(&guard, &mut request, &mut limits).await {
        Ok(ctx) => Ok(proceed(&guard, ctx, request, next).await),
        Err(error) => Err(error),
    };
    let mut response = outcome.unwrap_or_else(IntoResponse::into_response);
    limits.write(response.headers_mut());
    response.extensions_mut().insert(Route(guard.doc.path));
    if guard.doc.answers_secrets {
        response.extensions_mut().insert(NoCompression);
    }
    response
}

async fn admit(guard: &Guard, request: &mut Request, limits: &mut Limits) -> Result<Ctx> {
    let info = request.extensions().get::<Arc<RequestInfo>>().cloned().ok_or_else(|| INTERNAL.because("The edge is missing."))?;
    let headers = request.headers();
    refuse_unexpected_body(request)?;
    if !guard.doc.is_hidden {
        check_accept(headers)?;
    }
    if guard.doc.rate == RateClass::Auth {
        limits.count(guard, &guard.auth_quota, hash_of(&("auth", limit_key(info.client_address))))?;
    }
    let credential = credentials(headers, info.is_secure)?;
    prove_origin(guard, request.method(), headers, credential)?;
    let actor = match authenticate(guard, credential, &info).await {
        Ok(actor) => actor,
        Err(error) => {
            limits.count(guard, &guard.default_quota, hash_of(&limit_key(info.client_address)))?;
            return Err(error);
        }
    };
    let key = actor.maybe_user_id().map_or_else(|| hash_of(&limit_key(info.client_address)), |user| hash_of(&user.uuid()));
    limits.count(guard, &guard.default_quota, key)?;
    allow(guard, &actor)?;
    refuse_unknown_parameters(guard, request.uri().query())?;
    Ok(Ctx::new(guard.app.clone(), actor, info))
}

async fn proceed(guard: &Guard, ctx: Ctx, mut request: Request, next: Next) -> Response {
    let has_credential = ctx.actor.credential() != CredentialKind::None;
    let if_none_match = request.headers().get(IF_NONE_MATCH).cloned();
    let (method, path, query) = (request.method().clone(), request.uri().path().to_owned(), request.uri().query().map(str::to_owned));
    let mut response = if guard.doc.is_idempotent && request.headers().contains_key(idempotency::HEADER) {
        idempotency::run(ctx, request, next).await
    } else {
        request.extensions_mut().insert(ctx);
        next.run(request).await
    };
    finish(guard, &mut response, has_credential);
    if let Some(answer::NextCursor(cursor)) = response.extensions_mut().remove()
        && let Some((name, value)) = answer::next_link(&path, query.as_deref(), &cursor)
    {
        response.headers_mut().insert(name, value);
    }
    if method == Method::GET || method == Method::HEAD {
        return not_modified(response, if_none_match.as_ref());
    }
    response
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
    let (Some(wanted), Some(etag)) = (if_none_match.and_then(|v| v.to_str().ok()), response.headers().get(ETAG).and_then(|v| v.to_str().ok()))
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

fn check_accept(headers: &HeaderMap) -> Result<()> {
    let Some(accept) = headers.get(ACCEPT) else { return Ok(()) };
    let text = accept.to_str().unwrap_or("");
    let is_json = |range: &str| matches!(range, "" | "*/*" | "application/*" | "application/json" | "application/problem+json");
    let ranges = text.split(',').map(|range| range.split(';').next().unwrap_or("").trim());
    if text.is_empty() || ranges.into_iter().any(is_json) { Ok(()) } else { Err(NOT_ACCEPTABLE.error()) }
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

fn allow(guard: &Guard, actor: &Actor) -> Result<()> {
    match guard.doc.access {
        Access::Public => Ok(()),
        Access::Authenticated => actor.identity().map(|_| ()),
        Access::Permission(permission) => actor.require(permission),
    }
}

fn hash_of(value: &impl Hash) -> u64 {
    static KEYS: LazyLock<RandomState> = LazyLock::new(RandomState::new);
    let mut hasher = KEYS.build_hasher();
    value.hash(&mut hasher);
    hasher.finish()
}

/// The limit decisions of one request, for the `RateLimit` headers.
#[derive(Default)]
struct Limits(Vec<(Quota, Decision)>);

impl Limits {
    fn count(&mut self, guard: &Guard, quota: &Quota, key: u64) -> Result<()> {
        if !guard.is_limited {
            return Ok(());
        }
        let decision = guard.app.limiter().check(quota, key, guard.app.clock().now());
        let (is_allowed, wait) = (decision.allowed, decision.retry_after_secs);
        self.0.push((quota.clone(), decision));
        if is_allowed {
            return Ok(());
        }
        Err(RATE_LIMITED.error().retry_after(wait).with_member("violated_policies", serde_json::json!([quota.name])))
    }

    /// Tells the tightest policy.
    fn write(&self, headers: &mut HeaderMap) {
        let Some((quota, decision)) = self.0.iter().min_by_key(|(_, decision)| decision.remaining) else { return };
        for (name, value) in decision.headers(quota) {
            if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
                headers.insert(name, value);
            }
        }
    }
}
