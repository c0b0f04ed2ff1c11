//! Old addresses: what leads from where to where, on the main host before short links (BLG-6, IMP-5).

pub(crate) mod http;
pub(crate) mod permalinks;
pub(crate) mod service;
pub(crate) mod store;

use kernel::{Id, Timestamp};

/// The marker of a redirect's identifier.
#[derive(Debug)]
pub(crate) enum Redirect {}

/// A redirect as it is stored.
#[derive(Clone, Debug)]
pub(crate) struct RedirectRecord {
    pub(crate) id: Id<Redirect>,
    pub(crate) from_path: String,
    pub(crate) to_url: String,
    pub(crate) status: i64,
    pub(crate) created_at: Timestamp,
    pub(crate) updated_at: Timestamp,
    pub(crate) version: i64,
}

/// The most characters of a path that a redirect begins at.
pub(crate) const MAX_PATH: usize = 700;

/// A path as redirects are looked up by: decoded, with a leading slash and without a trailing one.
pub(crate) fn canonical_path(raw: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(raw.len());
    let mut rest = raw.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'%' => {
                let digits = [rest.next()?, rest.next()?];
                let text = std::str::from_utf8(&digits).ok().filter(|text| text.bytes().all(|b| b.is_ascii_hexdigit()))?;
                u8::from_str_radix(text, 16).ok()?
            }
            other => other,
        });
    }
    let path = String::from_utf8(bytes).ok()?;
    let trimmed = path.trim_end_matches('/');
    let is_fine = trimmed.starts_with('/') && !trimmed.contains(['\0', '?', '#']) && trimmed.chars().count() <= MAX_PATH;
    is_fine.then(|| trimmed.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_has_one_form() {
        assert_eq!(canonical_path("/2020/01/hello/").as_deref(), Some("/2020/01/hello"));
        assert_eq!(canonical_path("/gr%C3%BC%c3%9fe").as_deref(), Some("/grüße"));
        for wrong in ["", "/", "hello", "/%zz", "/%f", "/%ff", "/a%00", "/a%3Fb", &format!("/{}", "x".repeat(700))] {
            assert_eq!(canonical_path(wrong), None, "{wrong}");
        }
    }
}
