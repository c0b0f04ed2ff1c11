//! What handlers answer with.

use axum::response::{IntoResponse, Response};
use http::header::{CONTENT_TYPE, ETAG, LINK, LOCATION};
use http::{HeaderValue, StatusCode};
use serde::Serialize;
use utoipa::ToSchema;

use crate::error::Error;
use crate::http::operation::{Describe, OperationDoc, ResponseDoc, TypeRef};
use crate::page::Page;

/// 200 with a JSON body.
#[derive(Debug)]
pub struct Json<T>(pub T);

/// 201 with a JSON body and the address of what was made.
#[derive(Debug)]
pub struct Created<T> {
    /// The path of the new resource.
    pub location: String,
    /// The new resource.
    pub body: T,
}

/// 202 with a JSON body: the work goes on.
#[derive(Debug)]
pub struct Accepted<T>(pub T);

/// 204: done, nothing to show.
#[derive(Debug)]
pub struct NoContent;

/// 200 with a page of a list and the address of the next one.
#[derive(Debug)]
pub struct List<T>(pub Page<T>);

/// An answer with the strong ETag of a resource's version.
#[derive(Debug)]
pub struct Etag<R> {
    /// The version of the resource.
    pub version: i64,
    /// The answer itself.
    pub answer: R,
}

const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// Where the edge and the guard find the cursor of the next page.
#[derive(Clone, Debug)]
pub(crate) struct NextCursor(pub(crate) String);

fn json_response<T: Serialize>(status: StatusCode, body: &T) -> Response {
    match serde_json::to_vec(body) {
        Ok(bytes) => (status, [(CONTENT_TYPE, JSON)], bytes).into_response(),
        Err(error) => Error::internal(error).into_response(),
    }
}

impl<T: Serialize> IntoResponse for Json<T> {
    fn into_response(self) -> Response {
        json_response(StatusCode::OK, &self.0)
    }
}

impl<T: Serialize> IntoResponse for Created<T> {
    fn into_response(self) -> Response {
        let mut response = json_response(StatusCode::CREATED, &self.body);
        if let Ok(location) = HeaderValue::try_from(self.location) {
            response.headers_mut().insert(LOCATION, location);
        }
        response
    }
}

impl<T: Serialize> IntoResponse for Accepted<T> {
    fn into_response(self) -> Response {
        json_response(StatusCode::ACCEPTED, &self.0)
    }
}

impl IntoResponse for NoContent {
    fn into_response(self) -> Response {
        StatusCode::NO_CONTENT.into_response()
    }
}

#[derive(Serialize)]
struct Envelope<'a, T> {
    items: &'a [T],
    next_cursor: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    total: Option<u64>,
}

impl<T: Serialize> IntoResponse for List<T> {
    fn into_response(self) -> Response {
        let page = self.0;
        let body = Envelope { items: &page.items, next_cursor: page.next_cursor.as_deref(), total: page.total };
        let mut response = json_response(StatusCode::OK, &body);
        if let Some(cursor) = page.next_cursor {
            response.extensions_mut().insert(NextCursor(cursor));
        }
        response
    }
}

impl<R: IntoResponse> IntoResponse for Etag<R> {
    fn into_response(self) -> Response {
        let mut response = self.answer.into_response();
        if let Ok(etag) = HeaderValue::try_from(format!("\"v{}\"", self.version)) {
            response.headers_mut().insert(ETAG, etag);
        }
        response
    }
}

/// The address of the next page: this request's with another cursor.
pub(crate) fn next_link(path: &str, query: Option<&str>, cursor: &str) -> Option<(http::HeaderName, HeaderValue)> {
    let mut pairs = url::form_urlencoded::Serializer::new(String::new());
    for (name, value) in url::form_urlencoded::parse(query.unwrap_or("").as_bytes()) {
        if name != "cursor" {
            pairs.append_pair(&name, &value);
        }
    }
    pairs.append_pair("cursor", cursor);
    HeaderValue::try_from(format!("<{path}?{}>; rel=\"next\"", pairs.finish())).ok().map(|value| (LINK, value))
}

fn body_of<T: ToSchema + 'static>(status: StatusCode, headers: &'static [&'static str]) -> ResponseDoc {
    ResponseDoc { status, body: Some(TypeRef::of::<T>()), is_list: false, media_type: None, headers }
}

impl<T: ToSchema + 'static> Describe for Json<T> {
    fn describe(doc: &mut OperationDoc) {
        doc.responses.push(body_of::<T>(StatusCode::OK, &[]));
    }
}

impl<T: ToSchema + 'static> Describe for Created<T> {
    fn describe(doc: &mut OperationDoc) {
        doc.responses.push(body_of::<T>(StatusCode::CREATED, &["Location"]));
    }
}

impl<T: ToSchema + 'static> Describe for Accepted<T> {
    fn describe(doc: &mut OperationDoc) {
        doc.responses.push(body_of::<T>(StatusCode::ACCEPTED, &[]));
    }
}

impl Describe for NoContent {
    fn describe(doc: &mut OperationDoc) {
        doc.responses.push(ResponseDoc { status: StatusCode::NO_CONTENT, body: None, is_list: false, media_type: None, headers: &[] });
    }
}

impl<T: ToSchema + 'static> Describe for List<T> {
    fn describe(doc: &mut OperationDoc) {
        doc.responses.push(ResponseDoc { is_list: true, ..body_of::<T>(StatusCode::OK, &["Link"]) });
    }
}

impl<R: Describe> Describe for Etag<R> {
    fn describe(doc: &mut OperationDoc) {
        R::describe(doc);
        for response in &mut doc.responses {
            response.headers = if response.headers.contains(&"Location") { &["Location", "ETag"] } else { &["ETag"] };
        }
    }
}
