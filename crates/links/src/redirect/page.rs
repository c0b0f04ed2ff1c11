//! The page that asks for the password of a link. It works without JavaScript, under a strict policy, and shows nothing of the target.

use std::sync::OnceLock;

use axum::body::Body;
use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::{CACHE_CONTROL, CONTENT_LENGTH, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderName, REFERRER_POLICY, RETRY_AFTER};
use http::{HeaderValue, StatusCode};
use sha2::{Digest as _, Sha256};

const STYLE: &str = "body{font:1rem/1.6 system-ui,sans-serif;max-width:24rem;margin:10vh auto;padding:0 1.25rem;color:#1d2330;background:#fbfbfd}\
label{display:block;font-weight:600}input,button{font:inherit;padding:.5rem .75rem;border:1px solid #6b7390;border-radius:.4rem;width:100%;box-sizing:border-box;margin:.35rem 0}\
button{background:#1d2330;color:#fff;cursor:pointer}[role=alert]{color:#a3123a;font-weight:600}\
@media(prefers-color-scheme:dark){body{color:#e4e7f0;background:#14171f}input{background:#232838;color:inherit}button{background:#e4e7f0;color:#14171f}[role=alert]{color:#ff9db5}}";

/// Why the form is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asking {
    /// For the first time.
    First,
    /// The password was wrong.
    Wrong,
    /// There were too many tries; so many seconds to wait.
    Wait(u64),
}

/// The form, as the answer to `is_head` or not.
pub(crate) fn password_form(asking: Asking, is_head: bool) -> Response {
    let (status, alert) = match asking {
        Asking::First => (StatusCode::OK, String::new()),
        Asking::Wrong => (StatusCode::UNAUTHORIZED, "<p role=\"alert\">That is not the password.</p>".to_owned()),
        Asking::Wait(secs) => {
            (StatusCode::TOO_MANY_REQUESTS, format!("<p role=\"alert\">Too many tries. Try again in {secs} seconds.</p>"))
        }
    };
    let html = format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\">\
         <meta name=\"robots\" content=\"noindex\"><title>This link has a password</title><style>{STYLE}</style></head><body><main>\
         <h1>This link has a password</h1>{alert}<form method=\"post\"><label for=\"password\">Password</label>\
         <input id=\"password\" name=\"password\" type=\"password\" required autofocus autocomplete=\"off\" maxlength=\"256\">\
         <button type=\"submit\">Continue</button></form></main></body></html>"
    );
    let length = html.len();
    let mut response = Response::new(if is_head { Body::empty() } else { Body::from(html) });
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("private, no-store"));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers.insert(HeaderName::from_static("x-robots-tag"), HeaderValue::from_static("noindex"));
    headers.insert(CONTENT_SECURITY_POLICY, policy());
    if let Asking::Wait(secs) = asking {
        headers.insert(RETRY_AFTER, HeaderValue::from(secs));
    }
    response
}

fn policy() -> HeaderValue {
    static POLICY: OnceLock<HeaderValue> = OnceLock::new();
    POLICY
        .get_or_init(|| {
            let hash = STANDARD.encode(Sha256::digest(STYLE.as_bytes()));
            // Browsers apply form-action to the redirect that follows the form too, and that leads anywhere.
            let policy = format!(
                "default-src 'none'; style-src 'sha256-{hash}'; base-uri 'none'; form-action 'self' https: http:; frame-ancestors 'none'"
            );
            HeaderValue::try_from(policy).unwrap_or_else(|_| HeaderValue::from_static("default-src 'none'"))
        })
        .clone()
}
