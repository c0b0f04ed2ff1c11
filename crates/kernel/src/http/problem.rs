//! The one place where an error becomes an answer.

use std::fmt::Write as _;
use std::sync::Arc;

use axum::response::{Html, IntoResponse, Response};
use http::header::{CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderValue, Method, StatusCode, Uri};
use serde_json::{Map, Value, json};

use crate::app::App;
use crate::ctx::RequestInfo;
use crate::error::{Error, Kind, Problem, TOKEN_EXPIRED};

/// The HTTP status of a kind of problem.
pub fn status_of(kind: Kind) -> StatusCode {
    match kind {
        Kind::Malformed => StatusCode::BAD_REQUEST,
        Kind::Unauthenticated => StatusCode::UNAUTHORIZED,
        Kind::PaymentRequired => StatusCode::PAYMENT_REQUIRED,
        Kind::Forbidden => StatusCode::FORBIDDEN,
        Kind::NotFound => StatusCode::NOT_FOUND,
        Kind::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
        Kind::NotAcceptable => StatusCode::NOT_ACCEPTABLE,
        Kind::RequestTimeout => StatusCode::REQUEST_TIMEOUT,
        Kind::Conflict => StatusCode::CONFLICT,
        Kind::Gone => StatusCode::GONE,
        Kind::PreconditionFailed => StatusCode::PRECONDITION_FAILED,
        Kind::PayloadTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        Kind::UriTooLong => StatusCode::URI_TOO_LONG,
        Kind::UnsupportedMediaType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
        Kind::Invalid => StatusCode::UNPROCESSABLE_ENTITY,
        Kind::PreconditionRequired => StatusCode::PRECONDITION_REQUIRED,
        Kind::RateLimited => StatusCode::TOO_MANY_REQUESTS,
        Kind::HeadersTooLarge => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
        Kind::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        Kind::NotImplemented => StatusCode::NOT_IMPLEMENTED,
        Kind::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
    }
}

/// The error travels as an extension; the edge, which knows the request, writes the body.
impl IntoResponse for Error {
    fn into_response(self) -> Response {
        let mut response = status_of(self.kind()).into_response();
        response.extensions_mut().insert(Arc::new(self));
        response
    }
}

/// A request that failed, for whoever writes the page that says so.
#[derive(Debug)]
pub struct Refusal<'a> {
    /// The app.
    pub app: &'a App,
    /// The request.
    pub request: &'a RequestInfo,
    /// Its method.
    pub method: &'a Method,
    /// Its path and query.
    pub uri: &'a Uri,
    /// What went wrong.
    pub error: &'a Error,
}

/// Writes the page of an error; see [`Draft::errors_as`](crate::http::Draft::errors_as).
pub type ErrorPage = for<'a> fn(&Refusal<'a>) -> Response;

/// What the edge knows about the request when it writes a problem.
pub(crate) struct Occasion<'a> {
    pub(crate) path: &'a str,
    pub(crate) request_id: &'a str,
    pub(crate) wants_html: bool,
}

/// Writes `error` as a problem document (RFC 9457), or as a page outside the API.
pub(crate) fn render(error: &Error, occasion: &Occasion<'_>) -> Response {
    let status = status_of(error.kind());
    let mut response = if occasion.wants_html {
        (status, Html(error_page(error, occasion))).into_response()
    } else {
        let body = serde_json::to_vec(&problem_document(error, occasion)).unwrap_or_default();
        (status, [(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"))], body).into_response()
    };
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if let Some(seconds) = error.retry_after_secs() {
        headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
    if status == StatusCode::UNAUTHORIZED {
        let is_expired = error.code() == TOKEN_EXPIRED.code;
        let challenge = if is_expired { "Bearer error=\"invalid_token\"" } else { "Bearer" };
        headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
    }
    response
}

fn problem_document(error: &Error, occasion: &Occasion<'_>) -> Map<String, Value> {
    let problem = error.problem();
    let mut document = Map::new();
    document.insert("type".to_owned(), json!(format!("/problems/{}", problem.code)));
    document.insert("title".to_owned(), json!(problem.title));
    document.insert("status".to_owned(), json!(status_of(problem.kind).as_u16()));
    document.insert("code".to_owned(), json!(problem.code));
    document.insert("detail".to_owned(), json!(error.detail()));
    document.insert("instance".to_owned(), json!(occasion.path));
    document.insert("request_id".to_owned(), json!(occasion.request_id));
    if !error.fields().is_empty() {
        document.insert("errors".to_owned(), json!(error.fields()));
    }
    for (name, value) in error.members() {
        document.insert(name.clone(), value.clone());
    }
    document
}

const STYLE: &str = "<style>body{font:1rem/1.6 system-ui,sans-serif;max-width:42rem;margin:10vh auto;padding:0 1.25rem;color:#1d2330;background:#fbfbfd}\
h1{font-size:1.5rem;line-height:1.25}code{background:#eceef4;padding:.1em .35em;border-radius:.3em}pre{background:#eceef4;padding:1rem;border-radius:.5rem;overflow-x:auto}\
small{color:#59617a}@media(prefers-color-scheme:dark){body{color:#e4e7f0;background:#14171f}code,pre{background:#232838}small{color:#9aa3bd}}</style>";

/// The hash of the one style element of our plain pages, for their Content-Security-Policy.
pub(crate) fn page_policy() -> HeaderValue {
    use base64::Engine as _;
    use sha2::Digest as _;
    let css = STYLE.trim_start_matches("<style>").trim_end_matches("</style>");
    let hash = base64::engine::general_purpose::STANDARD.encode(sha2::Sha256::digest(css.as_bytes()));
    let policy = format!("default-src 'none'; style-src 'sha256-{hash}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'");
    HeaderValue::try_from(policy).unwrap_or_else(|_| HeaderValue::from_static("default-src 'none'"))
}

fn page(title: &str, body: &str) -> String {
    format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\">\
         <title>{title}</title>{STYLE}</head><body><main><h1>{title}</h1>{body}</main></body></html>"
    )
}

fn error_page(error: &Error, occasion: &Occasion<'_>) -> String {
    let problem = error.problem();
    let body = format!(
        "<p>{}</p><p><small>Code <code>{}</code> · request <code>{}</code></small></p>",
        escape(&error.detail()),
        problem.code,
        escape(occasion.request_id)
    );
    page(&escape(problem.title), &body)
}

/// The page of one error code: what it means, what to do, an example.
pub fn problem_page(problem: &Problem) -> String {
    let status = status_of(problem.kind);
    let example = json!({
        "type": format!("/problems/{}", problem.code), "title": problem.title, "status": status.as_u16(), "code": problem.code,
        "detail": problem.advice, "instance": "/api/v1/…", "request_id": "k3J9xQ2mZt7B",
    });
    let mut body = String::new();
    let _ = write!(
        body,
        "<p><code>{}</code> · HTTP {}</p><p>{}</p><pre>{}</pre>",
        problem.code,
        status.as_u16(),
        escape(problem.advice),
        escape(&serde_json::to_string_pretty(&example).unwrap_or_default())
    );
    page(&escape(problem.title), &body)
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::{FieldError, NOT_FOUND};

    #[test]
    fn r50_a_problem_names_code_instance_and_request() {
        let error = Error::invalid(vec![FieldError::body("/title", "too_long", "At most 255 characters.")]);
        let occasion = Occasion { path: "/api/v1/posts", request_id: "abc12345", wants_html: false };
        let document = problem_document(&error, &occasion);
        assert_eq!(document["type"], "/problems/validation_failed");
        assert_eq!(document["instance"], "/api/v1/posts");
        assert_eq!(document["request_id"], "abc12345");
        assert_eq!(document["errors"][0], json!({"pointer": "/title", "code": "too_long", "detail": "At most 255 characters."}));
    }

    #[test]
    fn r52_pages_escape_what_they_show() {
        let occasion = Occasion { path: "/x", request_id: "<script>", wants_html: true };
        assert!(!error_page(&NOT_FOUND.error(), &occasion).contains("<script>"));
    }
}
