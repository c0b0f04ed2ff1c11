//! What went wrong, as a page: a login to be made, a proof to be given, or a sentence and a way on.

use axum::response::Response;
use http::header::RETRY_AFTER;
use http::{HeaderValue, Method};
use kernel::Kind;
use kernel::error::{CSRF_FAILED, REAUTHENTICATION_REQUIRED, TOKEN_EXPIRED, UNAUTHENTICATED};
use kernel::http::{Refusal, status_of};
use url::form_urlencoded::byte_serialize;

use crate::pages::texts::Texts;
use crate::pages::view::{Message, rendered};
use crate::pages::visit::{self, Frame, see};
use crate::problems::SIGNUP_CLOSED;

/// The page of an error that no form shows.
pub(crate) fn page(refusal: &Refusal<'_>) -> Response {
    let error = refusal.error;
    if error.is(&UNAUTHENTICATED) || error.is(&TOKEN_EXPIRED) {
        return see(&format!("/account/login?next={}", back(refusal)));
    }
    if error.is(&REAUTHENTICATION_REQUIRED) {
        return see(&format!("/account/confirm?next={}", back(refusal)));
    }
    let t = Texts::of(&refusal.request.locale);
    let frame = Frame::new(refusal.app, t);
    let link = (page_of(refusal), t.open_again);
    let message = Message::new(frame, said(t, refusal), link).of(error.code(), &refusal.request.id);
    let mut response = visit::page(refusal.app, t, status_of(error.kind()), rendered(&message).unwrap_or_default());
    if let Some(seconds) = error.retry_after_secs() {
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}

fn said(t: &Texts, refusal: &Refusal<'_>) -> (&'static str, String) {
    let t = Texts::of(t.lang);
    let error = refusal.error;
    if error.is(&CSRF_FAILED) {
        return (t.csrf_title, t.csrf_text.to_owned());
    }
    if error.is(&SIGNUP_CLOSED) {
        return (t.closed_title, t.closed_text.to_owned());
    }
    if let Some(text) = t.problem(error) {
        return (t.wait_title, text);
    }
    match error.kind() {
        Kind::NotFound | Kind::Gone => (t.missing_title, t.missing_text.to_owned()),
        Kind::Internal | Kind::Unavailable | Kind::NotImplemented => (t.failed_title, t.failed_text.to_owned()),
        _ => (t.refused_title, t.refused_text.to_owned()),
    }
}

/// The page that the request was about: itself, or the one that its form stands on.
fn page_of(refusal: &Refusal<'_>) -> &'static str {
    let path = refusal.uri.path();
    let pages = refusal.app.plan().operations().filter(|operation| *operation.method() == Method::GET);
    pages.map(kernel::http::Operation::path).find(|page| *page == path).unwrap_or("/account")
}

/// The page to come back to, as a query parameter.
fn back(refusal: &Refusal<'_>) -> String {
    byte_serialize(page_of(refusal).as_bytes()).collect()
}
