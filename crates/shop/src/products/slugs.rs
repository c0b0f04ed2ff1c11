//! Slugs: the readable part of an address, made of a title where none is given.

use icu_normalizer::DecomposingNormalizerBorrowed;

/// The longest slug.
pub(crate) const MAX_SLUG: usize = 120;

/// A slug of ASCII letters and digits; nothing for a title that has none.
pub(crate) fn slug_of(title: &str) -> Option<String> {
    let plain = DecomposingNormalizerBorrowed::new_nfkd().normalize(title).into_owned();
    let mut slug = String::new();
    for c in plain.chars().flat_map(char::to_lowercase) {
        match c {
            'a'..='z' | '0'..='9' => slug.push(c),
            'ß' => slug.push_str("ss"),
            'æ' => slug.push_str("ae"),
            'ø' => slug.push('o'),
            'ł' => slug.push('l'),
            // Accents, which were letters of their own before.
            '\u{300}'..='\u{36f}' | '\'' | '’' => {}
            _ if !slug.is_empty() && !slug.ends_with('-') => slug.push('-'),
            _ => {}
        }
        if slug.len() >= MAX_SLUG - 10 {
            break;
        }
    }
    let slug = slug.trim_end_matches('-').to_owned();
    (!slug.is_empty()).then_some(slug)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_title_becomes_a_readable_slug() {
        assert_eq!(slug_of("Größe M: Café & Thé!").as_deref(), Some("grosse-m-cafe-the"));
        assert_eq!(slug_of("  Ada's  Notes ").as_deref(), Some("adas-notes"));
        assert_eq!(slug_of("日本"), None);
        assert!(slug_of(&"x".repeat(500)).unwrap().len() <= MAX_SLUG);
    }
}
