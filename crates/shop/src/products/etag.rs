//! The ETag of a product: its version, and those of its media, which change by themselves.

use axum::extract::FromRequestParts;
use axum::response::{IntoResponse, Response};
use http::HeaderValue;
use http::header::{ETAG, IF_MATCH};
use http::request::Parts;
use kernel::http::{Describe, Etag, IfMatch, OperationDoc};
use kernel::media::MediaView;
use kernel::{App, Error, Result};
use sha2::{Digest as _, Sha256};

/// `v3` for a product without media, `v3-0a1b2c3d4e5f` for one with.
pub(crate) fn tag_of(version: i64, media: &[MediaView]) -> String {
    if media.is_empty() {
        return format!("v{version}");
    }
    let mut digest = Sha256::new();
    for file in media {
        digest.update(file.id.uuid().as_bytes());
        digest.update(file.version.to_le_bytes());
    }
    let short: String = digest.finalize()[..6].iter().map(|byte| format!("{byte:02x}")).collect();
    format!("v{version}-{short}")
}

/// An answer with the ETag of a product.
pub(crate) struct ProductEtag<R> {
    /// What [`tag_of`] makes.
    pub(crate) tag: String,
    /// The answer itself.
    pub(crate) answer: R,
}

impl<R: IntoResponse> IntoResponse for ProductEtag<R> {
    fn into_response(self) -> Response {
        let mut response = self.answer.into_response();
        if let Ok(tag) = HeaderValue::try_from(format!("\"{}\"", self.tag)) {
            response.headers_mut().insert(ETAG, tag);
        }
        response
    }
}

impl<R: Describe> Describe for ProductEtag<R> {
    fn describe(doc: &mut OperationDoc) {
        Etag::<R>::describe(doc);
    }
}

/// `If-Match` of a product: only the version in its ETag counts, since nobody overwrites its media by changing it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ProductMatch(pub(crate) IfMatch);

impl FromRequestParts<App> for ProductMatch {
    type Rejection = Error;
    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self> {
        let sent = IfMatch::from_request_parts(parts, app).await?;
        let text = parts.headers.get(IF_MATCH).and_then(|header| header.to_str().ok()).unwrap_or_default();
        Ok(ProductMatch(if sent == IfMatch::Never { version_in(text).map_or(sent, IfMatch::Version) } else { sent }))
    }
}

fn version_in(text: &str) -> Option<i64> {
    text.split(',').map(str::trim).find_map(|tag| tag.strip_prefix("\"v")?.strip_suffix('"')?.split('-').next()?.parse().ok())
}

impl Describe for ProductMatch {
    fn describe(doc: &mut OperationDoc) {
        IfMatch::describe(doc);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r60_the_version_is_read_out_of_the_tag() {
        assert_eq!(version_in("\"v3-0a1b2c3d4e5f\""), Some(3));
        assert_eq!(version_in("\"other\", \"v4-00\""), Some(4));
        assert_eq!((version_in("v3-0a"), version_in("\"v-3\""), version_in("W/\"v3-0a\"")), (None, None, None));
    }
}
