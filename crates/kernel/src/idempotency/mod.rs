//! Answers remembered by `Idempotency-Key`, so that a retry has the effect once.
//!
//! The claim on a key is written in the first transaction of the handler, so claim and effect commit together; the answer follows,
//! sealed, before it is sent. A crash between the two leaves a claim without an answer: the effect is never repeated, and the
//! retry is told so. Only outcomes after authentication and validation whose effect was committed are remembered.

pub(crate) mod store;

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use axum::routing::Route;
use http::header::{CONTENT_TYPE, ETAG, IF_MATCH, LOCATION};
use http::{HeaderName, HeaderValue, StatusCode};
use http_body_util::BodyExt as _;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::ctx::Ctx;
use crate::error::{Error, IDEMPOTENCY_ANSWER_LOST, IDEMPOTENCY_KEY_IN_USE, IDEMPOTENCY_KEY_INVALID, IDEMPOTENCY_KEY_REUSED, Result};
use crate::platform::HttpSettings;

/// The request header that carries the key.
pub(crate) const HEADER: &str = "idempotency-key";
/// How long after its request's limit an answer may still be stored.
const STORING: Duration = Duration::from_secs(10);
/// Longest key, in characters.
const MAX_KEY: usize = 255;
/// Shortest key of a caller without a login, so that no stranger guesses another's.
const MIN_ANONYMOUS_KEY: usize = 20;

/// The claim that the request's first transaction writes.
#[derive(Clone, Debug)]
pub(crate) struct Claim {
    pub(crate) key_hash: [u8; 32],
    pub(crate) fingerprint: [u8; 32],
}

/// The keys whose first request is running on this node.
#[derive(Clone, Debug, Default)]
pub(crate) struct Running(Arc<Mutex<HashSet<[u8; 32]>>>);

struct Turn {
    running: Running,
    key: [u8; 32],
}

impl Running {
    fn enter(&self, key: [u8; 32]) -> Option<Turn> {
        let is_first = self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(key);
        is_first.then(|| Turn { running: self.clone(), key })
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.running.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.key);
    }
}

#[derive(Debug, Serialize, Deserialize)]
struct StoredAnswer {
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

/// Runs the request once per key, and replays its answer afterwards.
pub(crate) async fn run(ctx: Ctx, request: Request, handler: Route) -> Response {
    match run_once(ctx, request, handler).await {
        Ok(response) => response,
        Err(error) => error.into_response(),
    }
}

async fn run_once(ctx: Ctx, request: Request, handler: Route) -> Result<Response> {
    let header = request.headers().get(HEADER).cloned().unwrap_or(HeaderValue::from_static(""));
    let key = key_of(&header, ctx.actor.is_anonymous())?.to_owned();
    let (parts, body) = request.into_parts();
    // The guard has read it whole and bounded it.
    let bytes = body.collect().await.map_err(Error::internal)?.to_bytes();
    let claim = Claim { key_hash: scope(&ctx, &parts, &key), fingerprint: fingerprint(&parts, &bytes) };
    let Some(_turn) = ctx.state::<Running>().enter(claim.key_hash) else {
        return Err(IDEMPOTENCY_KEY_IN_USE.error().retry_after(1));
    };
    if let Some(replayed) = replay(&ctx, &claim).await? {
        return Ok(replayed);
    }
    let mut request = Request::from_parts(parts, axum::body::Body::from(bytes));
    request.extensions_mut().insert(ctx.clone().with_claim(claim.clone()));
    let response = crate::http::run_handler(handler, request).await;
    match response.extensions().get::<Arc<Error>>() {
        // A twin on another node committed first: its answer is ours.
        Some(error) if error.is(&IDEMPOTENCY_KEY_IN_USE) => match replay(&ctx, &claim).await? {
            Some(replayed) => Ok(replayed),
            None => Ok(response),
        },
        Some(_) => Ok(response),
        None => remember(&ctx, &claim, response).await,
    }
}

/// What makes two requests the same: query, precondition and body.
fn fingerprint(parts: &http::request::Parts, body: &[u8]) -> [u8; 32] {
    let precondition = parts.headers.get(IF_MATCH).map_or(&[][..], HeaderValue::as_bytes);
    let mut digest = Sha256::new();
    for part in [parts.uri.query().unwrap_or("").as_bytes(), precondition, body] {
        digest.update((part.len() as u64).to_le_bytes());
        digest.update(part);
    }
    digest.finalize().into()
}

/// The key in the header, or `idempotency_key_invalid`.
pub(crate) fn key_of(header: &HeaderValue, is_anonymous: bool) -> Result<&str> {
    let text = header.to_str().unwrap_or("").trim();
    let key = text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(text);
    let min = if is_anonymous { MIN_ANONYMOUS_KEY } else { 1 };
    let is_fine = (min..=MAX_KEY).contains(&key.len()) && key.bytes().all(|b| b.is_ascii_graphic());
    if is_fine { Ok(key) } else { Err(IDEMPOTENCY_KEY_INVALID.error()) }
}

/// Principal, method, path and key; for anonymous callers the client address too.
fn scope(ctx: &Ctx, parts: &http::request::Parts, key: &str) -> [u8; 32] {
    let principal = match ctx.actor.key_id() {
        // What a person was answered may be more than the key's scopes allow.
        Some(key) => format!("key:{key}"),
        None if ctx.actor.is_anonymous() => ctx.request.client_address.to_string(),
        None => ctx.actor.label(),
    };
    let text = format!("{principal}\n{}\n{}\n{key}", parts.method, parts.uri.path());
    ctx.app.keyring().mac("idempotency key", text.as_bytes())
}

fn context(key_hash: &[u8; 32]) -> String {
    use base64::Engine as _;
    format!("platform_idempotency.answer/{}", base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(key_hash))
}

async fn replay(ctx: &Ctx, claim: &Claim) -> Result<Option<Response>> {
    let key_hash = claim.key_hash;
    let Some(row) = ctx.read(move |c| Ok(store::find(c, &key_hash)?)).await? else {
        return Ok(None);
    };
    if row.fingerprint != claim.fingerprint {
        return Err(IDEMPOTENCY_KEY_REUSED.error());
    }
    let (Some(status), Some(sealed)) = (row.status, row.answer_sealed) else {
        // Claimed a moment ago: another node is about to store its answer.
        let patience = *ctx.settings::<HttpSettings>().request_timeout + STORING;
        let is_running = ctx.now().since(row.created_at) < patience;
        return Err(if is_running { IDEMPOTENCY_KEY_IN_USE.error().retry_after(1) } else { IDEMPOTENCY_ANSWER_LOST.error() });
    };
    let plain = ctx.app.keyring().open(&context(&key_hash), &sealed)?;
    let answer: StoredAnswer = serde_json::from_slice(&plain).map_err(Error::internal)?;
    let status = StatusCode::from_u16(status).map_err(Error::internal)?;
    let mut response = (status, answer.body).into_response();
    response.headers_mut().remove(CONTENT_TYPE);
    for (name, value) in answer.headers {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
            response.headers_mut().insert(name, value);
        }
    }
    response.headers_mut().insert("idempotency-replayed", HeaderValue::from_static("true"));
    Ok(Some(response))
}

async fn remember(ctx: &Ctx, claim: &Claim, response: Response) -> Result<Response> {
    let (parts, body) = response.into_parts();
    let body = body.collect().await.map_err(Error::internal)?.to_bytes();
    let kept = [CONTENT_TYPE, LOCATION, ETAG];
    let header = |name: HeaderName| Some((name.to_string(), parts.headers.get(&name)?.to_str().ok()?.to_owned()));
    let answer = StoredAnswer { headers: kept.into_iter().filter_map(header).collect(), body: body.to_vec() };
    let plain = serde_json::to_vec(&answer).map_err(Error::internal)?;
    let sealed = ctx.app.keyring().seal(ctx.app.random(), &context(&claim.key_hash), &plain);
    let (key_hash, status) = (claim.key_hash, parts.status.as_u16());
    ctx.write(move |tx| Ok(store::remember(tx, &key_hash, status, &sealed)?)).await?;
    Ok(Response::from_parts(parts, axum::body::Body::from(body)))
}
