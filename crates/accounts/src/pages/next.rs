//! Where to go after a login: our own pages and configured origins, never a short link (FED-6, POS-6).

use kernel::http::reserved_segments;
use kernel::{App, Ctx};
use url::{Origin, Url};

use crate::settings::AccountSettings;

/// The longest target, in bytes.
const MAX_BYTES: usize = 2048;

/// The target as it may stand in `Location`, compared after parsing; none for one that we do not trust.
pub(crate) fn target(ctx: &Ctx, typed: &str) -> Option<String> {
    let base = Url::parse(&ctx.app.public_url()).ok()?;
    // Browsers drop tabs and line ends, and take a backslash for a slash: what has one of them says two things at once.
    let is_plain = typed.bytes().all(|byte| (0x21..0x7f).contains(&byte) && byte != b'\\');
    if typed.is_empty() || typed.len() > MAX_BYTES || !is_plain {
        return None;
    }
    let url = base.join(typed).ok()?;
    if !url.username().is_empty() || url.password().is_some() {
        return None;
    }
    if url.origin() != base.origin() {
        let allowed = ctx.settings::<AccountSettings>().allowed_redirect_origins.iter().filter_map(|origin| origin_of(origin));
        return allowed.into_iter().any(|origin| origin == url.origin()).then(|| url.into());
    }
    let first = url.path().split('/').nth(1).unwrap_or_default();
    is_a_page_of_ours(&ctx.app, first).then(|| url[url::Position::BeforePath..].to_owned())
}

/// What no route takes may be a short link, and so lead anywhere.
fn is_a_page_of_ours(app: &App, first_segment: &str) -> bool {
    !first_segment.is_empty() && reserved_segments(app).contains(&first_segment)
}

/// The origin that this setting names, which has nothing but scheme, host and port.
pub(crate) fn origin_of(setting: &str) -> Option<Origin> {
    let url = Url::parse(setting).ok()?;
    let is_bare = matches!(url.scheme(), "http" | "https") && url.origin().ascii_serialization() == setting;
    // A parser takes almost everything for a host. This one also goes into a policy, where a star or a semicolon would mean something.
    let is_plain = url.host_str()?.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-.:[]".contains(&byte));
    (is_bare && is_plain).then(|| url.origin())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fed6_an_origin_is_scheme_host_and_port_and_nothing_else() {
        assert!(origin_of("https://app.example").is_some() && origin_of("http://localhost:3000").is_some());
        for wrong in [
            "",
            "app.example",
            "https://app.example/",
            "https://app.example/x",
            "https://a@app.example",
            "https://*.example;x",
            "data:x",
            "null",
        ] {
            assert!(origin_of(wrong).is_none(), "{wrong}");
        }
    }
}
