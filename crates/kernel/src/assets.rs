//! Style sheets and scripts that pages of the server use, under addresses that change with their content.

use std::sync::OnceLock;

use sha2::{Digest as _, Sha256};

/// Colours, space, type and the furniture that every page of ours shares: `/account` and the panel.
pub static THEME: Asset = Asset::new("theme", "css", include_str!("../assets/theme.css"));

/// A text file in the binary that browsers keep for ever, since another content has another address (A-17).
///
/// ```
/// use kernel::assets::Asset;
///
/// static STYLE: Asset = Asset::new("shelf", "css", "p { margin: 0 }");
/// assert!(STYLE.path().starts_with("/assets/shelf.") && STYLE.path().ends_with(".css"));
/// ```
#[derive(Debug)]
pub struct Asset {
    name: &'static str,
    kind: &'static str,
    text: &'static str,
    path: OnceLock<String>,
}

/// The folder of all assets.
const FOLDER: &str = "/assets/";
/// How much of the hash stands in the name: enough that no two contents ever share one by chance.
const HASH_BYTES: usize = 8;

impl Asset {
    /// The file `name.kind`; its kind is `css` or `js`.
    pub const fn new(name: &'static str, kind: &'static str, text: &'static str) -> Asset {
        Asset { name, kind, text, path: OnceLock::new() }
    }

    /// Where browsers find it: `/assets/theme.9f86d081884c7d65.css`.
    pub fn path(&self) -> &str {
        self.path.get_or_init(|| {
            let hash = Sha256::digest(self.text.as_bytes());
            let hex: String = hash.iter().take(HASH_BYTES).map(|byte| format!("{byte:02x}")).collect();
            format!("{FOLDER}{}.{hex}.{}", self.name, self.kind)
        })
    }

    /// The last part of its address.
    pub(crate) fn file_name(&self) -> &str {
        self.path().trim_start_matches(FOLDER)
    }

    pub(crate) fn media_type(&self) -> &'static str {
        if self.kind == "css" { "text/css; charset=utf-8" } else { "text/javascript; charset=utf-8" }
    }

    pub(crate) fn text(&self) -> &'static str {
        self.text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a17_another_content_has_another_address() {
        let (one, other) = (Asset::new("a", "css", "p{}"), Asset::new("a", "css", "q{}"));
        assert_ne!(one.path(), other.path());
        assert_eq!(one.file_name().len(), "a.0123456789abcdef.css".len());
    }

    #[test]
    fn a17_the_theme_asks_no_other_host_for_anything() {
        assert!(!THEME.text().contains("://") && !THEME.text().contains("@import"));
    }
}
