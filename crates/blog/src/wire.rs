//! What several resources read and write alike on the wire: addresses, preconditions, finished answers.

use std::marker::PhantomData;
use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::response::{IntoResponse, Response};
use http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_MATCH, LAST_MODIFIED, LINK};
use http::request::Parts;
use http::{HeaderValue, StatusCode};
use kernel::error::{PRECONDITION_REQUIRED, VERSION_CONFLICT};
use kernel::http::{Describe, IfMatch, OperationDoc, ResponseDoc, TypeRef};
use kernel::{App, Ctx, Error, FieldError, Result};
use utoipa::ToSchema;

use crate::cache::Entry;
use crate::settings::BlogSettings;

/// Reads an absolute http or https address without a user in it.
pub(crate) fn web_address(text: &str) -> Option<url::Url> {
    let url = url::Url::parse(text).ok()?;
    let is_fine = matches!(url.scheme(), "http" | "https") && url.username().is_empty() && url.password().is_none() && url.has_host();
    is_fine.then_some(url)
}

/// The member `website` of a body.
pub(crate) fn website_of(typed: Option<String>) -> Result<Option<String>> {
    match typed {
        Some(text) if web_address(&text).is_none() => Err(Error::invalid(vec![not_an_address("/website")])),
        other => Ok(other),
    }
}

/// The field error of an address that is none.
pub(crate) fn not_an_address(pointer: &'static str) -> FieldError {
    FieldError::body(pointer, "invalid_format", "An absolute http or https address.")
}

/// `If-Match` of a post: the ETags of its reads say more than its version, so only the version in them counts.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PostMatch(pub(crate) IfMatch);

impl FromRequestParts<App> for PostMatch {
    type Rejection = Error;
    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self> {
        let Some(header) = parts.headers.get(IF_MATCH) else {
            return match app.settings::<BlogSettings>().require_if_match {
                true => Err(PRECONDITION_REQUIRED.error()),
                false => Ok(PostMatch(IfMatch::Any)),
            };
        };
        let text = header.to_str().unwrap_or("");
        if text.trim() == "*" {
            return Ok(PostMatch(IfMatch::Any));
        }
        let version = text.split(',').map(str::trim).find_map(|tag| {
            let inner = tag.strip_prefix("\"v")?.strip_suffix('"')?;
            inner.split('-').next()?.parse().ok()
        });
        Ok(PostMatch(version.map_or(IfMatch::Never, IfMatch::Version)))
    }
}

impl Describe for PostMatch {
    fn describe(doc: &mut OperationDoc) {
        doc.reads_if_match = true;
        doc.problems.extend_from_slice(&[&VERSION_CONFLICT, &PRECONDITION_REQUIRED]);
    }
}

/// A finished answer, perhaps from memory: bytes that are sent as they are.
pub(crate) struct Finished<T> {
    entry: Arc<Entry>,
    is_public: bool,
    shape: PhantomData<fn() -> T>,
}

/// Describes a [`Finished`] answer that is one resource.
pub(crate) struct One<T>(PhantomData<T>);
/// Describes a [`Finished`] answer that is a page of a list.
pub(crate) struct Many<T>(PhantomData<T>);

impl<T> Finished<T> {
    /// An answer for this caller; what everybody gets alike may be kept by caches in between, unless a credential came with it.
    pub(crate) fn of(ctx: &Ctx, entry: Arc<Entry>) -> Finished<T> {
        Finished { entry, is_public: ctx.actor.is_anonymous(), shape: PhantomData }
    }
}

impl<T> IntoResponse for Finished<T> {
    fn into_response(self) -> Response {
        let entry = &self.entry;
        let mut response = Response::new(axum::body::Body::from(entry.body.clone()));
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(entry.content_type));
        headers.insert(ETAG, entry.etag.clone());
        if let Some(last_modified) = &entry.last_modified {
            headers.insert(LAST_MODIFIED, last_modified.clone());
        }
        if let Some(link) = &entry.link {
            headers.insert(LINK, link.clone());
        }
        if self.is_public {
            headers.insert(CACHE_CONTROL, HeaderValue::from_static("public, max-age=0, must-revalidate"));
        }
        response
    }
}

impl<T: ToSchema + 'static> Describe for Finished<One<T>> {
    fn describe(doc: &mut OperationDoc) {
        doc.responses.push(ResponseDoc {
            status: StatusCode::OK,
            body: Some(TypeRef::of::<T>()),
            is_list: false,
            media_type: None,
            headers: &["ETag"],
        });
    }
}

impl<T: ToSchema + 'static> Describe for Finished<Many<T>> {
    fn describe(doc: &mut OperationDoc) {
        doc.responses.push(ResponseDoc {
            status: StatusCode::OK,
            body: Some(TypeRef::of::<T>()),
            is_list: true,
            media_type: None,
            headers: &["ETag", "Link"],
        });
    }
}
