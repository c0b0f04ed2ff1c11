//! Where links lead: which addresses are accepted, and how a visitor's query and path are added to them (INV-L7). Pure.

use kernel::FieldError;
use serde::{Deserialize, Serialize};
use url::Url;

/// The longest target in bytes.
pub const MAX_BYTES: usize = 8 * 1024;

/// What happens to the query of the visitor.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = LinkForwardQuery)]
pub enum ForwardQuery {
    /// It is dropped.
    #[default]
    Off,
    /// It is added; parameters that the target has already win.
    Merge,
    /// It is added and wins.
    Override,
}

impl ForwardQuery {
    /// The value at rest.
    pub fn as_str(self) -> &'static str {
        match self {
            ForwardQuery::Off => "off",
            ForwardQuery::Merge => "merge",
            ForwardQuery::Override => "override",
        }
    }

    /// Reads the value at rest.
    pub fn of(text: &str) -> ForwardQuery {
        match text {
            "merge" => ForwardQuery::Merge,
            "override" => ForwardQuery::Override,
            _ => ForwardQuery::Off,
        }
    }
}

/// An accepted target in its one form: pure ASCII, absolute, `http` or `https`, no user info.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target(Url);

impl Target {
    /// Reads the target that stands at `pointer` of a body.
    pub fn from_body(typed: &str, pointer: &'static str) -> Result<Target, FieldError> {
        let not_allowed = |detail: &'static str| FieldError::body(pointer, "not_allowed", detail);
        let too_long = || FieldError::body(pointer, "too_long", "At most 8 KiB.");
        if typed.len() > MAX_BYTES {
            return Err(too_long());
        }
        // The parser drops tabs and line ends and trims; what it would have to repair is refused.
        if typed.chars().any(char::is_control) || typed.trim() != typed {
            return Err(not_allowed("Control characters and blanks around it are not allowed."));
        }
        let scheme = typed.split("://").next().unwrap_or_default().to_ascii_lowercase();
        if !matches!(scheme.as_str(), "http" | "https") || !typed.contains("://") {
            return Err(not_allowed("An absolute address that begins with http:// or https://."));
        }
        let url = Url::parse(typed).map_err(|_| not_allowed("This is not an address."))?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err(not_allowed("User names and passwords in addresses are not allowed."));
        }
        if url.host_str().is_none_or(str::is_empty) {
            return Err(not_allowed("An address needs a host."));
        }
        if url.as_str().len() > MAX_BYTES { Err(too_long()) } else { Ok(Target(url)) }
    }

    /// The address.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// The parsed address.
    pub fn url(&self) -> &Url {
        &self.0
    }
}

/// The target with what the visitor brought: `extra` path (already decoded) and raw query.
///
/// Scheme, host and port never change, and the fragment stays; a result over 8 KiB falls back to the target itself.
pub fn with_visit(target: &str, extra: Option<&str>, query: Option<&str>, forward: ForwardQuery) -> String {
    let Ok(mut url) = Url::parse(target) else { return target.to_owned() };
    if let Some(extra) = extra
        && let Ok(mut parts) = url.path_segments_mut()
    {
        // Each part is encoded anew, so that none can become a host, a query or a way upwards.
        parts.pop_if_empty().extend(extra.split('/').filter(|part| !matches!(*part, "" | "." | "..")));
    }
    match (forward, query) {
        (ForwardQuery::Off, _) | (_, None | Some("")) => {}
        (_, Some(query)) => merge(&mut url, query, forward),
    }
    if url.as_str().len() > MAX_BYTES { target.to_owned() } else { url.into() }
}

/// Parameters that are merged at most.
const MAX_PARAMETERS: usize = 200;

fn merge(url: &mut Url, query: &str, forward: ForwardQuery) {
    let visitor: Vec<(String, String)> =
        url::form_urlencoded::parse(query.as_bytes()).filter(|(name, _)| name != "qr").take(MAX_PARAMETERS).map(owned).collect();
    if visitor.is_empty() {
        return;
    }
    let own: Vec<(String, String)> = url.query_pairs().map(owned).collect();
    let has = |all: &[(String, String)], name: &str| all.iter().any(|(other, _)| other == name);
    let mut pairs = url::form_urlencoded::Serializer::new(String::new());
    if forward == ForwardQuery::Override {
        pairs.extend_pairs(own.iter().filter(|(name, _)| !has(&visitor, name)));
        pairs.extend_pairs(&visitor);
    } else {
        pairs.extend_pairs(&own);
        pairs.extend_pairs(visitor.iter().filter(|(name, _)| !has(&own, name)));
    }
    url.set_query(Some(&pairs.finish()));
}

fn owned((name, value): (std::borrow::Cow<'_, str>, std::borrow::Cow<'_, str>)) -> (String, String) {
    (name.into_owned(), value.into_owned())
}

/// Whether the query carries the marker of our QR codes.
pub fn is_from_qr(query: &str) -> bool {
    query.split('&').any(|pair| pair == "qr" || pair == "qr=")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parse(text: &str) -> Result<Target, FieldError> {
        Target::from_body(text, "/url")
    }

    #[test]
    fn inv_l7_what_is_refused_as_a_target() {
        for wrong in [
            "",
            "example.com",
            "/path",
            "//example.com",
            "javascript:alert(1)",
            "JavaScript://example.com/%0aalert(1)",
            "data:text/html,x",
            "ftp://example.com/",
            "http:example.com",
            "https://",
            "https://user@example.com/",
            "https://user:secret@example.com/",
            "https://example.com/\r\nSet-Cookie: a=b",
            "https://exam\tple.com/",
            " https://example.com/",
            "https://example.com:99999/",
            "http://[::1/",
        ] {
            assert_eq!(parse(wrong).unwrap_err().code, "not_allowed", "{wrong:?}");
        }
        assert_eq!(parse(&format!("https://example.com/{}", "x".repeat(8 * 1024))).unwrap_err().code, "too_long");
        // Short as typed, long as sent.
        assert_eq!(parse(&format!("https://example.com/{}", "ü".repeat(2_000))).unwrap_err().code, "too_long");
    }

    #[test]
    fn inv_l7_names_of_other_scripts_become_punycode() {
        assert_eq!(parse("HTTPS://Bücher.Example/ä?q=ö#ü").unwrap().as_str(), "https://xn--bcher-kva.example/%C3%A4?q=%C3%B6#%C3%BC");
    }

    #[test]
    fn inv_l7_the_links_own_parameters_win_unless_it_says_otherwise() {
        let to = |forward| with_visit("https://example.com/p?a=1#f", None, Some("a=2&b=3&qr"), forward);
        assert_eq!(to(ForwardQuery::Off), "https://example.com/p?a=1#f");
        assert_eq!(to(ForwardQuery::Merge), "https://example.com/p?a=1&b=3#f");
        assert_eq!(to(ForwardQuery::Override), "https://example.com/p?a=2&b=3#f");
    }

    #[test]
    fn inv_l7_an_extra_path_is_added_part_by_part() {
        let to = |extra| with_visit("https://example.com/docs/?v=1", Some(extra), None, ForwardQuery::Off);
        assert_eq!(to("a/b"), "https://example.com/docs/a/b?v=1");
        assert_eq!(to("../../x?y#z"), "https://example.com/docs/x%3Fy%23z?v=1");
        assert_eq!(to("//evil.example"), "https://example.com/docs/evil.example?v=1");
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn inv_l7_no_visit_changes_the_origin_or_breaks_the_header(
            target in "https?://[a-z]{1,8}\\.example(:[1-9][0-9]{1,3})?(/[a-z]{0,4}){0,3}(\\?[a-z]=[0-9])?(#[a-z]{1,3})?",
            extra in prop::option::of(".{0,40}"),
            query in prop::option::of(".{0,40}"),
            which in 0..3_u8,
        ) {
            let forward = [ForwardQuery::Off, ForwardQuery::Merge, ForwardQuery::Override][which as usize];
            let location = with_visit(&target, extra.as_deref(), query.as_deref(), forward);
            let (before, after) = (Url::parse(&target).unwrap(), Url::parse(&location).unwrap());
            prop_assert_eq!(before.origin(), after.origin());
            prop_assert_eq!(before.fragment(), after.fragment());
            prop_assert!(after.username().is_empty() && http::HeaderValue::try_from(location.as_str()).is_ok());
        }
    }
}
