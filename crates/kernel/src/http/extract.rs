//! What handlers take: bodies, query parameters, path ids and preconditions, each refused in the words of the API.

use axum::extract::{FromRequest, FromRequestParts, Request};
use http::HeaderValue;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, IF_MATCH};
use http::request::Parts;
use http_body_util::{BodyExt as _, Limited};
use serde::de::DeserializeOwned;
use utoipa::ToSchema;

use crate::app::App;
use crate::ctx::Ctx;
use crate::error::{
    Error, FieldError, IDEMPOTENCY_KEY_INVALID, IDEMPOTENCY_KEY_REQUIRED, INTERNAL, MALFORMED_REQUEST, NOT_FOUND, PAYLOAD_TOO_LARGE,
    Result, UNSUPPORTED_MEDIA_TYPE, VERSION_CONFLICT,
};
use crate::http::operation::{Describe, OperationDoc, TypeRef};
use crate::http::validate::Place;
use crate::json;
use crate::platform::HttpSettings;

impl FromRequestParts<App> for Ctx {
    type Rejection = Error;
    async fn from_request_parts(parts: &mut Parts, _: &App) -> Result<Self> {
        parts.extensions.get::<Ctx>().cloned().ok_or_else(|| INTERNAL.because("The operation was called without its guard."))
    }
}

/// A JSON body that satisfies the schema of `T`; everything wrong with it is reported at once.
#[derive(Debug)]
pub struct Body<T>(pub T);

impl<T: DeserializeOwned + ToSchema + 'static> FromRequest<App> for Body<T> {
    type Rejection = Error;
    async fn from_request(request: Request, app: &App) -> Result<Self> {
        check_media_type(&request)?;
        let limit = app.settings::<HttpSettings>().max_body.as_usize();
        let announced = request.headers().get(CONTENT_LENGTH).cloned();
        let bytes = read_body(announced.as_ref(), request.into_body(), limit).await?;
        let value = json::parse_strict(&bytes)?;
        app.validators().read::<T>(value, Place::Body).map(Body)
    }
}

impl<T: ToSchema + 'static> Describe for Body<T> {
    fn describe(doc: &mut OperationDoc) {
        doc.body = Some(TypeRef::of::<T>());
    }
}

fn check_media_type(request: &Request) -> Result<()> {
    let sent = request.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or("");
    let essence = sent.split(';').next().unwrap_or("").trim().to_ascii_lowercase();
    let is_patch = request.method() == http::Method::PATCH;
    match essence.as_str() {
        "application/json" => Ok(()),
        "application/merge-patch+json" if is_patch => Ok(()),
        _ => Err(UNSUPPORTED_MEDIA_TYPE.error()),
    }
}

/// Reads a body of at most `limit` bytes; one that announces more is refused unread.
pub(crate) async fn read_body(announced: Option<&HeaderValue>, body: axum::body::Body, limit: usize) -> Result<bytes::Bytes> {
    let announced = announced.and_then(|value| value.to_str().ok()).and_then(|text| text.parse::<usize>().ok());
    if announced.is_some_and(|length| length > limit) {
        return Err(too_large(limit));
    }
    match Limited::new(body, limit).collect().await {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(error) if error.is::<http_body_util::LengthLimitError>() => Err(too_large(limit)),
        Err(_) => Err(MALFORMED_REQUEST.because("The body ended before its announced length.")),
    }
}

fn too_large(limit: usize) -> Error {
    PAYLOAD_TOO_LARGE.because(format!("At most {limit} bytes are read here."))
}

/// The bytes of a body that is not JSON, and their media type; see [`Draft::takes`](crate::http::Draft::takes).
///
/// The guard has read them already, within the operation's limit.
#[derive(Clone, Debug)]
pub struct RawBody {
    /// The whole `Content-Type`, such as `multipart/form-data; boundary=x`; empty when none was sent.
    pub content_type: String,
    /// The body.
    pub bytes: bytes::Bytes,
}

impl FromRequest<App> for RawBody {
    type Rejection = Error;
    async fn from_request(request: Request, _: &App) -> Result<Self> {
        let content_type = request.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or("").to_owned();
        // The guard has cut the body to the operation's limit; a page outside it never gets here.
        let bytes = read_body(None, request.into_body(), usize::MAX).await?;
        Ok(RawBody { content_type, bytes })
    }
}

impl Describe for RawBody {
    fn describe(doc: &mut OperationDoc) {
        doc.problems.push(&PAYLOAD_TOO_LARGE);
    }
}

/// The fields of a posted form, in their order; see [`Operation::form`](crate::http::Operation::form).
#[derive(Debug)]
pub struct Fields(pub Vec<(String, String)>);

impl FromRequest<App> for Fields {
    type Rejection = Error;
    async fn from_request(request: Request, app: &App) -> Result<Self> {
        let RawBody { content_type, bytes } = RawBody::from_request(request, app).await?;
        let essence = content_type.split(';').next().unwrap_or("").trim();
        if !essence.eq_ignore_ascii_case("application/x-www-form-urlencoded") {
            return Err(UNSUPPORTED_MEDIA_TYPE.because("A form is sent as application/x-www-form-urlencoded."));
        }
        let text = std::str::from_utf8(&bytes).map_err(|_| MALFORMED_REQUEST.because("The form is not UTF-8."))?;
        query_pairs(text).map(Fields)
    }
}

/// The value of the header `Idempotency-Key` of an operation that remembers its keys itself: payments, checkout.
///
/// It is required; the extractor answers `idempotency_key_required` without it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdempotencyKey(pub String);

impl FromRequestParts<App> for IdempotencyKey {
    type Rejection = Error;
    async fn from_request_parts(parts: &mut Parts, _: &App) -> Result<Self> {
        let Some(header) = parts.headers.get(crate::idempotency::HEADER) else {
            return Err(IDEMPOTENCY_KEY_REQUIRED.error());
        };
        let is_anonymous = parts.extensions.get::<Ctx>().is_none_or(|ctx| ctx.actor.is_anonymous());
        crate::idempotency::key_of(header, is_anonymous).map(|key| IdempotencyKey(key.to_owned()))
    }
}

impl Describe for IdempotencyKey {
    fn describe(doc: &mut OperationDoc) {
        doc.requires_idempotency_key = true;
        doc.is_idempotent = false;
        doc.problems.extend_from_slice(&[&IDEMPOTENCY_KEY_REQUIRED, &IDEMPOTENCY_KEY_INVALID]);
    }
}

/// Query parameters that satisfy the schema of `T`; unknown ones are refused.
#[derive(Debug)]
pub struct Query<T>(pub T);

impl<T: DeserializeOwned + ToSchema + 'static> FromRequestParts<App> for Query<T> {
    type Rejection = Error;
    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self> {
        let pairs = query_pairs(parts.uri.query().unwrap_or(""))?;
        app.validators().read_query::<T>(pairs).map(Query)
    }
}

impl<T: ToSchema + 'static> Describe for Query<T> {
    fn describe(doc: &mut OperationDoc) {
        doc.query = Some(TypeRef::of::<T>());
    }
}

/// The decoded pairs of a query string; wrong percent-encoding and bytes that are no UTF-8 are refused.
pub(crate) fn query_pairs(query: &str) -> Result<Vec<(String, String)>> {
    query
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            Ok((percent_decode(name)?, percent_decode(value)?))
        })
        .collect()
}

fn percent_decode(text: &str) -> Result<String> {
    let wrong = || MALFORMED_REQUEST.because("The query or the form has a wrong percent-encoding.");
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let digits = [rest.next().ok_or_else(wrong)?, rest.next().ok_or_else(wrong)?];
                let digits = std::str::from_utf8(&digits).ok().filter(|d| d.bytes().all(|b| b.is_ascii_hexdigit())).ok_or_else(wrong)?;
                u8::from_str_radix(digits, 16).map_err(|_| wrong())?
            }
            other => other,
        });
    }
    let text = String::from_utf8(bytes).map_err(|_| wrong())?;
    if text.contains('\0') { Err(wrong()) } else { Ok(text) }
}

/// The ids in the path; anything that cannot be one is simply not there.
#[derive(Debug)]
pub struct Path<T>(pub T);

impl<T: DeserializeOwned + Send> FromRequestParts<App> for Path<T> {
    type Rejection = Error;
    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self> {
        let axum::extract::Path(ids) = axum::extract::Path::from_request_parts(parts, app).await.map_err(|_| NOT_FOUND.error())?;
        Ok(Path(ids))
    }
}

impl<T> Describe for Path<T> {
    fn describe(doc: &mut OperationDoc) {
        if !doc.problems.iter().any(|problem| problem.code == NOT_FOUND.code) {
            doc.problems.push(&NOT_FOUND);
        }
    }
}

/// The version that the caller believes to change, from `If-Match`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IfMatch {
    /// No header, or `*`: whatever is there.
    Any,
    /// This version.
    Version(i64),
    /// A tag that no version of ours has; it can never match.
    Never,
}

impl IfMatch {
    /// The version to put into the conditional UPDATE; none means any.
    ///
    /// # Errors
    /// `version_conflict` when the header can never match.
    pub fn expected(self, current_version: i64) -> Result<Option<i64>> {
        match self {
            IfMatch::Any => Ok(None),
            IfMatch::Version(version) if version == current_version => Ok(Some(version)),
            _ => Err(version_conflict(current_version)),
        }
    }
}

/// Somebody else's change came first; the current version is told.
pub fn version_conflict(current_version: i64) -> Error {
    VERSION_CONFLICT.error().with_member("current_version", current_version)
}

impl FromRequestParts<App> for IfMatch {
    type Rejection = Error;
    async fn from_request_parts(parts: &mut Parts, _: &App) -> Result<Self> {
        let Some(header) = parts.headers.get(IF_MATCH) else {
            return Ok(IfMatch::Any);
        };
        let text = header.to_str().map_err(|_| {
            MALFORMED_REQUEST.error().with_field(FieldError::header("If-Match", "invalid_format", "Send the ETag as it was received."))
        })?;
        Ok(parse_if_match(text))
    }
}

fn parse_if_match(text: &str) -> IfMatch {
    if text.trim() == "*" {
        return IfMatch::Any;
    }
    let tag = text.split(',').map(str::trim).find_map(|tag| tag.strip_prefix("\"v")?.strip_suffix('"')?.parse().ok());
    tag.map_or(IfMatch::Never, IfMatch::Version)
}

impl Describe for IfMatch {
    fn describe(doc: &mut OperationDoc) {
        doc.reads_if_match = true;
        doc.problems.push(&VERSION_CONFLICT);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r60_weak_and_foreign_tags_never_match() {
        assert_eq!(parse_if_match("\"v3\""), IfMatch::Version(3));
        assert_eq!(parse_if_match("W/\"v3\""), IfMatch::Never);
        assert_eq!(parse_if_match("\"abc\""), IfMatch::Never);
        assert_eq!(parse_if_match("*"), IfMatch::Any);
        assert!(IfMatch::Never.expected(1).is_err());
    }

    #[test]
    fn wrong_percent_encoding_is_malformed() {
        for query in ["a=%", "a=%2", "a=%zz", "a=%ff", "a=%00"] {
            assert!(query_pairs(query).unwrap_err().is(&MALFORMED_REQUEST), "{query}");
        }
        assert_eq!(query_pairs("a=1+2&b=%C3%A9&&c").unwrap()[1], ("b".into(), "é".into()));
    }
}
