//! CORS, for what the app itself serves.
//!
//! Below a first segment that no route takes stand the paths of others, such as short links: those answers never get the headers,
//! and their preflights are not answered (INV-L18).

use std::convert::Infallible;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::extract::Request;
use axum::response::Response;
use futures_util::future::Either;
use http::header::{AUTHORIZATION, CONTENT_TYPE, ETAG, IF_MATCH, IF_NONE_MATCH, LINK, LOCATION, RETRY_AFTER};
use http::{HeaderName, HeaderValue, Method};
use tower::{Layer as _, Service};
use tower_http::cors::{AllowOrigin, Cors, CorsLayer};

use crate::http::REQUEST_ID;
use crate::http::compress::Compressing;

/// The routes, with CORS around them, and everything else without.
#[derive(Clone)]
pub(crate) struct CrossOrigin {
    routes: Cors<Compressing>,
    others: Compressing,
    /// The first segments of all routes, sorted.
    segments: Arc<[&'static str]>,
}

impl CrossOrigin {
    /// CORS for these origins; none without any.
    pub(crate) fn new(origins: &[String], segments: Vec<&'static str>, inner: &Compressing) -> Option<CrossOrigin> {
        let routes = layer(origins)?.layer(inner.clone());
        Some(CrossOrigin { routes, others: inner.clone(), segments: segments.into() })
    }

    fn is_ours(&self, path: &str) -> bool {
        path.split('/').nth(1).is_some_and(|segment| self.segments.binary_search(&segment).is_ok())
    }
}

impl Service<Request> for CrossOrigin {
    type Response = Response;
    type Error = Infallible;
    type Future = Either<<Cors<Compressing> as Service<Request>>::Future, <Compressing as Service<Request>>::Future>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        // Routes are always ready.
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request) -> Self::Future {
        if self.is_ours(request.uri().path()) { Either::Left(self.routes.call(request)) } else { Either::Right(self.others.call(request)) }
    }
}

/// Exactly the configured origins, with credentials (SES-7, R-123); none means no CORS at all.
fn layer(origins: &[String]) -> Option<CorsLayer> {
    let origins: Vec<HeaderValue> = origins.iter().filter_map(|origin| HeaderValue::try_from(origin.as_str()).ok()).collect();
    if origins.is_empty() {
        return None;
    }
    let exposed = [ETAG, LINK, LOCATION, RETRY_AFTER, REQUEST_ID]
        .into_iter()
        .chain(["ratelimit", "ratelimit-policy", "idempotency-replayed", "deprecation", "sunset"].map(HeaderName::from_static));
    let accepted = [AUTHORIZATION, CONTENT_TYPE, IF_MATCH, IF_NONE_MATCH, REQUEST_ID].into_iter().chain(
        ["idempotency-key", "x-csrf", "x-session-mode", "last-event-id", "cart-secret", "order-secret", "edit-token"]
            .map(HeaderName::from_static),
    );
    Some(
        CorsLayer::new()
            .allow_origin(AllowOrigin::list(origins))
            .allow_credentials(true)
            .allow_methods([Method::GET, Method::HEAD, Method::POST, Method::PUT, Method::PATCH, Method::DELETE])
            .allow_headers(accepted.collect::<Vec<_>>())
            .expose_headers(exposed.collect::<Vec<_>>())
            .max_age(std::time::Duration::from_secs(600)),
    )
}
