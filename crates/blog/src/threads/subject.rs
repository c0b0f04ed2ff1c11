//! What a conversation is about: a post, or an address in its one canonical form (CMT-1).

use kernel::Id;
use sha2::{Digest, Sha256};
use url::Url;

use crate::posts::Post;

/// Parameters that say where a visitor comes from, not what the page is.
const TRACKING: [&str; 14] =
    ["fbclid", "gclid", "dclid", "gbraid", "wbraid", "msclkid", "twclid", "yclid", "igshid", "mc_cid", "mc_eid", "_ga", "ref_src", "si"];

/// The key of the conversation below a post.
pub(crate) fn post_key(id: Id<Post>) -> [u8; 32] {
    Sha256::new().chain_update(b"post/").chain_update(id.uuid().as_bytes()).finalize().into()
}

/// The key of the conversation below a page with this canonical address.
pub(crate) fn url_key(canonical: &str) -> [u8; 32] {
    Sha256::new().chain_update(b"url/").chain_update(canonical.as_bytes()).finalize().into()
}

/// The canonical form: https, no port of its own, no fragment, no tracking, sorted query, no trailing slash.
pub(crate) fn canonical(text: &str) -> Option<String> {
    let mut url = crate::wire::web_address(text)?;
    let has_default_port = matches!((url.scheme(), url.port_or_known_default()), ("http", Some(80)) | ("https", Some(443)));
    if has_default_port {
        url.set_port(None).ok()?;
    }
    url.set_scheme("https").ok()?;
    url.set_fragment(None);
    let mut pairs: Vec<(String, String)> = url.query_pairs().into_owned().filter(|(name, _)| !is_tracking(name)).collect();
    pairs.sort();
    url.set_query(None);
    if !pairs.is_empty() {
        url.query_pairs_mut().extend_pairs(pairs);
    }
    let path = url.path().trim_end_matches('/').to_owned();
    url.set_path(if path.is_empty() { "/" } else { &path });
    Some(url.into())
}

fn is_tracking(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    name.starts_with("utm_") || TRACKING.contains(&name.as_str())
}

/// Whether a canonical address belongs to one of these origins.
pub(crate) fn is_of(canonical: &str, sites: &[String]) -> bool {
    let Ok(url) = Url::parse(canonical) else { return false };
    sites
        .iter()
        .filter_map(|site| self::canonical(site))
        .filter_map(|site| Url::parse(&site).ok())
        .any(|site| site.origin() == url.origin())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cmt1_spellings_of_one_address_are_one() {
        for text in [
            "https://ex.com/a",
            "http://Ex.com/a/?utm_source=x#y",
            "https://ex.com:443/a",
            "http://ex.com:80/a//",
            "https://EX.com/a?fbclid=1&UTM_medium=2",
        ] {
            assert_eq!(canonical(text).as_deref(), Some("https://ex.com/a"), "{text}");
        }
        assert_eq!(canonical("https://ex.com"), canonical("http://ex.com/#top"));
        assert_eq!(canonical("https://ex.com/?b=2&a=1&a=0").as_deref(), Some("https://ex.com/?a=0&a=1&b=2"));
        assert_eq!(canonical("https://ex.com:8443/a").as_deref(), Some("https://ex.com:8443/a"));
    }

    #[test]
    fn cmt1_other_pages_are_others() {
        assert_ne!(canonical("https://ex.com/a"), canonical("https://ex.com/A"));
        assert_ne!(canonical("https://ex.com/?a=1"), canonical("https://ex.com/?a=2"));
        for text in ["", "ex.com/a", "/a", "ftp://ex.com/a", "javascript:alert(1)", "https://user@ex.com/", "https:///a b"] {
            assert!(canonical(text).is_none_or(|url| url.starts_with("https://a")), "{text}");
        }
    }

    #[test]
    fn cmt2_an_origin_is_scheme_host_and_port() {
        let sites = ["https://ex.com".to_owned(), "http://localhost:4000".to_owned()];
        let allowed = |text: &str| is_of(&canonical(text).unwrap(), &sites);
        assert!(allowed("http://ex.com/a") && allowed("http://localhost:4000/x"));
        assert!(!allowed("https://www.ex.com/a") && !allowed("https://ex.com.evil.com/") && !allowed("https://ex.com:444/"));
    }
}
