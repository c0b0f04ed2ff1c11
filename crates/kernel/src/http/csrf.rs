//! Proof that a browser's request comes from our own site (SES-6).

use http::header::{HOST, ORIGIN};
use http::{HeaderMap, Method};

use crate::error::{CSRF_FAILED, Result};
use crate::http::CSRF_HEADER;

/// Fails unless the request proves that it comes from this origin or an allowed one.
///
/// `Sec-Fetch-Site` decides where a browser sends it; else `Origin` must be ours or allowed; a client that sends neither must send
/// `X-CSRF: 1`, which no form and no cross-site script can add without a preflight.
pub(crate) fn require_same_origin(headers: &HeaderMap, public_url: &str, allowed: &[String]) -> Result<()> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let origin = headers.get(ORIGIN).map(|value| value.to_str().unwrap_or("null"));
    let is_ours = origin.is_some_and(|origin| is_same(origin, headers, public_url) || allowed.iter().any(|other| other == origin));
    let is_proven = match (text("sec-fetch-site"), origin) {
        (Some("same-origin" | "none"), _) => true,
        (Some(_), _) | (None, Some(_)) => is_ours,
        (None, None) => text(CSRF_HEADER) == Some("1"),
    };
    if is_proven { Ok(()) } else { Err(CSRF_FAILED.error()) }
}

/// Whether the method may change something.
pub(crate) fn is_unsafe(method: &Method) -> bool {
    !matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS | Method::TRACE)
}

/// An origin is ours when it is that of the public URL, or, on a developer's machine, that of the `Host` header on loopback.
fn is_same(origin: &str, headers: &HeaderMap, public_url: &str) -> bool {
    if origin.eq_ignore_ascii_case(public_url.trim_end_matches('/')) {
        return true;
    }
    let host = headers.get(HOST).and_then(|value| value.to_str().ok()).unwrap_or("");
    let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
    matches!(name, "localhost" | "127.0.0.1" | "[::1]") && origin == format!("http://{host}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::{HeaderName, HeaderValue};

    fn check(pairs: &[(&'static str, &'static str)]) -> bool {
        let headers: HeaderMap =
            pairs.iter().map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value))).collect();
        require_same_origin(&headers, "https://shop.example", &["https://app.example".to_owned()]).is_ok()
    }

    #[test]
    fn ses6_only_proven_origins_pass() {
        assert!(check(&[("sec-fetch-site", "same-origin")]));
        assert!(check(&[("sec-fetch-site", "none")]));
        assert!(check(&[("origin", "https://shop.example")]));
        assert!(check(&[("sec-fetch-site", "cross-site"), ("origin", "https://app.example")]));
        assert!(check(&[("host", "localhost:8000"), ("origin", "http://localhost:8000")]));
        assert!(check(&[("x-csrf", "1")]));
    }

    #[test]
    fn ses6_everything_else_fails() {
        assert!(!check(&[]));
        assert!(!check(&[("sec-fetch-site", "cross-site")]));
        assert!(!check(&[("sec-fetch-site", "same-site"), ("origin", "https://evil.shop.example")]));
        assert!(!check(&[("origin", "https://evil.example")]));
        assert!(!check(&[("origin", "https://evil.example"), ("x-csrf", "1")]));
        assert!(!check(&[("origin", "null"), ("x-csrf", "1")]));
        assert!(!check(&[("host", "evil.example"), ("origin", "http://evil.example")]));
        assert!(!check(&[("x-csrf", "0")]));
    }
}
