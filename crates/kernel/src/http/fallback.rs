//! What answers a path of the main host that no route takes: permalinks, then short links.

use std::sync::Arc;

use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use futures_util::future::BoxFuture;

use crate::app::App;
use crate::error::NOT_FOUND;
use crate::http::guard::Route;

/// Answers paths outside `/api` that no route takes; the first of an app's fallbacks that knows the path wins.
///
/// The request has passed the edge: the extension `Arc<RequestInfo>` tells who asks. It has not passed a guard: no credential
/// was looked at, nothing was counted, and the body is unread and unbounded.
pub trait Fallback: Send + Sync + 'static {
    /// The answer, or the request itself when the path means nothing here.
    fn answer(&self, app: App, request: Request) -> BoxFuture<'static, Result<Response, Request>>;

    /// What metrics and logs call its answers: one template for all paths, since visitors make up the paths themselves.
    fn route(&self) -> &'static str {
        "/{path}"
    }
}

/// Asks the fallbacks one after the other.
pub(crate) async fn ask(app: App, fallbacks: Arc<[Arc<dyn Fallback>]>, mut request: Request) -> Response {
    if !request.uri().path().starts_with("/api/") {
        for fallback in fallbacks.iter() {
            match fallback.answer(app.clone(), request).await {
                Ok(mut response) => {
                    response.extensions_mut().insert(Route(fallback.route()));
                    return response;
                }
                Err(unanswered) => request = unanswered,
            }
        }
    }
    NOT_FOUND.error().into_response()
}
