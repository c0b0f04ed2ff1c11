//! HTTP: the only place that knows status codes, headers and wire formats.
//!
//! A module hands over [`Operation`]s. Each unites a handler, what may call it, and its description, so that the OpenAPI document
//! and the routes are one table. A request passes the edge, the guard of its operation, and the handler.

mod answer;
mod compress;
mod cors;
mod csrf;
mod edge;
mod extract;
mod fallback;
mod guard;
mod health;
mod metrics;
mod openapi;
mod operation;
mod problem;
mod rate;
mod router;
mod server;
mod validate;

pub use answer::{Accepted, Created, Etag, Json, List, NoContent};
pub(crate) use edge::panic_text;
pub use extract::{Body, Fields, IdempotencyKey, IfMatch, Path, Query, RawBody, version_conflict};
pub use fallback::Fallback;
pub(crate) use guard::{NoCompression, run as run_handler};
pub(crate) use health::ApiDocument;
pub use health::operations as platform_operations;
pub use metrics::Metrics;
pub(crate) use openapi::Components;
pub use openapi::document;
pub use operation::{Access, Describe, Documented, Draft, Operation, OperationDoc, RateClass, ResponseDoc, TypeRef};
pub use problem::{ErrorPage, Refusal, problem_page, status_of};
pub use router::{reserved_segments, router};
pub use server::{Listening, serve};
pub(crate) use validate::Validators;

/// The header that carries the request's id, in both directions.
pub const REQUEST_ID: http::HeaderName = http::HeaderName::from_static("x-request-id");
/// The header that stands in for a same-origin proof where a client is no browser (SES-6).
pub const CSRF_HEADER: &str = "x-csrf";
/// The header with which a client asks for tokens instead of a cookie.
pub const SESSION_MODE: &str = "x-session-mode";

/// The name of the session cookie: `__Host-sid` on encrypted connections, `sid` on a developer's machine (SES-2).
pub fn session_cookie_name(is_secure: bool) -> &'static str {
    if is_secure { "__Host-sid" } else { "sid" }
}
