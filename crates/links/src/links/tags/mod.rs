//! Tags: names that an owner gives to links.

mod store;

use icu_normalizer::ComposingNormalizerBorrowed;
use kernel::FieldError;

pub(crate) use store::{add, of_links, replace};

/// The marker of a tag's identifier.
#[derive(Debug)]
pub(crate) enum Tag {}

/// The most tags of a link (links.md §13).
pub(crate) const MAX_TAGS: usize = 50;
/// The longest tag in characters.
const MAX_CHARS: usize = 50;

/// Reads the tags at `/tags`: trimmed, NFC, each once; no control characters and none of the signs that separate tags in CSV.
pub(crate) fn from_body(typed: Vec<String>) -> Result<Vec<String>, FieldError> {
    let mut tags: Vec<String> = Vec::new();
    for (n, tag) in typed.into_iter().enumerate() {
        let tag = ComposingNormalizerBorrowed::new_nfc().normalize(tag.trim()).into_owned();
        let is_fine = !tag.is_empty() && tag.chars().count() <= MAX_CHARS && !tag.chars().any(|c| c.is_control() || matches!(c, '|' | ','));
        if !is_fine {
            let detail = "1 to 50 characters, without commas, bars and control characters.";
            return Err(FieldError::body(format!("/tags/{n}"), "invalid_format", detail));
        }
        if !tags.iter().any(|other| key_of(other) == key_of(&tag)) {
            tags.push(tag);
        }
    }
    if tags.len() > MAX_TAGS { Err(FieldError::body("/tags", "too_long", "At most 50 entries.")) } else { Ok(tags) }
}

/// The form under which tags are compared.
pub(crate) fn key_of(tag: &str) -> String {
    ComposingNormalizerBorrowed::new_nfc().normalize(tag.trim()).to_lowercase()
}

/// In one order for everybody, so that two writers cannot wait for each other.
fn sorted(tags: &[String]) -> Vec<(String, &String)> {
    let mut tags: Vec<(String, &String)> = tags.iter().map(|tag| (key_of(tag), tag)).collect();
    tags.sort_unstable();
    tags
}
