//! Slugs: what is one, how one is made from a title, and who owns which (BLG-6, BLG-7).

pub(crate) mod service;
pub(crate) mod store;

use icu_normalizer::ComposingNormalizerBorrowed;
use kernel::FieldError;

/// The most characters of a slug.
pub(crate) const MAX_SLUG: usize = 100;
/// The most characters of a slug made from a title; the rest is for a number.
const MAX_GENERATED: usize = 88;
/// Beyond this many bytes no text composes to an acceptable slug.
const WORTH_COMPOSING: usize = 2_048;

/// Lower-case letters, digits and inner hyphens, composed (NFC); compared byte by byte.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Slug(String);

impl Slug {
    /// Reads a slug that somebody typed; nothing is corrected but its composition.
    pub(crate) fn parse(typed: &str) -> Option<Slug> {
        if typed.len() > WORTH_COMPOSING {
            return None;
        }
        let slug = compose(typed);
        let is_fine = !slug.starts_with('-') && !slug.ends_with('-') && slug.chars().all(|c| c == '-' || is_slug_letter(c));
        (is_fine && (1..=MAX_SLUG).contains(&slug.chars().count())).then_some(Slug(slug))
    }

    /// The same from a member of a body.
    pub(crate) fn from_body(typed: &str, pointer: &'static str) -> Result<Slug, FieldError> {
        Slug::parse(typed)
            .ok_or_else(|| FieldError::body(pointer, "invalid_format", "Lower-case letters, digits and inner hyphens, at most 100."))
    }

    /// A slug made from any text; `fallback` when the text has no letter in it.
    pub(crate) fn from_text(text: &str, fallback: &str) -> Slug {
        let mut slug = String::new();
        let mut length = 0;
        for c in compose(text).chars().flat_map(char::to_lowercase) {
            if length >= MAX_GENERATED {
                break;
            }
            if is_slug_letter(c) {
                slug.push(c);
                length += 1;
            } else if !slug.is_empty() && !slug.ends_with('-') {
                slug.push('-');
                length += 1;
            }
        }
        // Lower-casing may leave marks that compose again.
        let slug = compose(slug.trim_matches('-'));
        Slug(if slug.is_empty() { fallback.to_owned() } else { slug })
    }

    /// The slug with a number behind it; the first has none.
    pub(crate) fn numbered(&self, number: u32) -> Slug {
        if number < 2 { self.clone() } else { Slug(format!("{}-{number}", self.0)) }
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

fn compose(text: &str) -> String {
    ComposingNormalizerBorrowed::new_nfc().normalize(text).into_owned()
}

fn is_slug_letter(c: char) -> bool {
    c.is_alphanumeric() && c.to_lowercase().eq(std::iter::once(c))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn blg7_a_slug_is_lower_case_letters_digits_and_inner_hyphens() {
        for fine in ["a", "hello-world", "grüße", "日本語", "2026", "a--b", &"x".repeat(100)] {
            assert_eq!(Slug::parse(fine).map(|slug| slug.0).as_deref(), Some(fine));
        }
        for wrong in ["", "-a", "a-", "Hello", "a b", "a/b", "a_b", "a.b", "é\u{202e}", &"x".repeat(101)] {
            assert_eq!(Slug::parse(wrong), None, "{wrong}");
        }
        assert_eq!(Slug::parse("e\u{301}"), Slug::parse("é"), "composed");
    }

    #[test]
    fn blg7_a_title_becomes_a_slug() {
        for (title, slug) in
            [("Hello, World!", "hello-world"), ("  Grüße aus Köln ", "grüße-aus-köln"), ("???", "post"), ("C++ & Rust", "c-rust")]
        {
            assert_eq!(Slug::from_text(title, "post").as_str(), slug);
        }
        assert!(Slug::from_text(&"word ".repeat(60), "post").numbered(100_000).as_str().chars().count() <= MAX_SLUG);
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn blg7_what_a_title_becomes_is_a_slug(title in "\\PC{0,255}", number in 1u32..1_000_000) {
            let slug = Slug::from_text(&title, "post").numbered(number);
            prop_assert_eq!(Slug::parse(slug.as_str()), Some(slug));
        }
    }
}
