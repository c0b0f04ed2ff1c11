//! Slugs: what may be one, what is the same one, and how random ones are made (INV-L5, INV-L6, INV-L19). Pure.

use std::borrow::Cow;
use std::sync::atomic::{AtomicU64, Ordering};

use icu_normalizer::ComposingNormalizerBorrowed;
use kernel::Random;

/// The letters of random slugs: no vowels and no look-alikes, so no words to blush at (INV-L6).
pub const ALPHABET: &[u8; 27] = b"23456789bcdfghjkmnpqrstvwxz";
/// The length of a slug that nobody shall guess: 76 bits.
pub const UNLISTED_LENGTH: usize = 16;
/// The longest slug in characters (INV-L19).
pub const MAX_CHARS: usize = 200;
/// The most parts of a slug between slashes (INV-L19).
pub const MAX_SEGMENTS: usize = 8;
/// How often a random slug may collide before the next try is longer.
const TRIES: usize = 5;

/// First parts that no slug may have beside those of routes, for what may come (R-9, INV-L18).
pub const RESERVED: [&str; 19] = [
    "account",
    "admin",
    "api",
    "assets",
    "docs",
    "favicon.ico",
    "feeds",
    "graphql",
    "healthz",
    "login",
    "media",
    "metrics",
    "problems",
    "readyz",
    "realworld",
    "rest",
    "robots.txt",
    "static",
    "yourls-api.php",
];

/// What of a typed slug is not acceptable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotASlug;

/// A slug as it is shown and as it is looked up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Slug {
    /// As it was typed, in NFC.
    pub shown: String,
    /// What look-ups compare.
    pub key: String,
}

impl Slug {
    /// Reads a typed slug: letters and digits of any script, `-_.~`, up to 8 parts by `/`, no leading dot, no `+` (INV-L19).
    ///
    /// ```
    /// use links::slugs::Slug;
    ///
    /// assert_eq!(Slug::parse("Sommer/Schluss", false).unwrap().key, "sommer/schluss");
    /// assert!(Slug::parse("../etc", false).is_err());
    /// ```
    pub fn parse(typed: &str, is_case_sensitive: bool) -> Result<Slug, NotASlug> {
        if typed.is_empty() || typed.len() > MAX_CHARS * 4 {
            return Err(NotASlug);
        }
        let shown = ComposingNormalizerBorrowed::new_nfc().normalize(typed).into_owned();
        let is_fine = shown.chars().count() <= MAX_CHARS
            && shown.split('/').count() <= MAX_SEGMENTS
            && shown.split('/').all(|part| !part.is_empty() && !part.starts_with('.') && part.chars().all(is_slug_char));
        if !is_fine {
            return Err(NotASlug);
        }
        let key = fold(&shown, is_case_sensitive).into_owned();
        if key.chars().count() > MAX_CHARS * 3 { Err(NotASlug) } else { Ok(Slug { shown, key }) }
    }

    /// A random slug, which is its own key.
    pub fn random(random: &Random, length: usize) -> Slug {
        let text: String = (0..length).map(|_| ALPHABET[random.below(ALPHABET.len() as u32) as usize] as char).collect();
        Slug { key: text.clone(), shown: text }
    }

    /// The first part, which decides whether the slug is reserved.
    pub fn first_part(&self) -> &str {
        self.key.split('/').next().unwrap_or_default()
    }
}

fn is_slug_char(c: char) -> bool {
    // Marks join a letter in scripts whose letters do not compose, such as Devanagari; they are no letters by themselves.
    c.is_alphanumeric() || matches!(c, '-' | '_' | '.' | '~') || is_mark(c)
}

/// Combining marks of the blocks that NFC leaves standing.
fn is_mark(c: char) -> bool {
    matches!(c, '\u{0300}'..='\u{036f}' | '\u{0900}'..='\u{0903}' | '\u{093a}'..='\u{094f}' | '\u{0e31}'..='\u{0e4e}')
}

/// The form under which slugs are compared: NFC, and lower case unless case counts.
pub fn fold(slug: &str, is_case_sensitive: bool) -> Cow<'_, str> {
    if is_case_sensitive || slug.bytes().all(|b| b.is_ascii() && !b.is_ascii_uppercase()) {
        return Cow::Borrowed(slug);
    }
    let lower = slug.to_lowercase();
    Cow::Owned(ComposingNormalizerBorrowed::new_nfc().normalize(&lower).into_owned())
}

/// The key that a request path asks for, before it is known whether there is such a link; none when it can be none.
///
/// Decodes once, drops one trailing slash, refuses control characters, empty parts, `.` and `..` (links.md §4).
pub fn key_of_path(path: &str, is_case_sensitive: bool) -> Option<Cow<'_, str>> {
    let rest = path.strip_prefix('/')?;
    let rest = rest.strip_suffix('/').unwrap_or(rest);
    if rest.is_empty() {
        return None;
    }
    if rest.bytes().all(is_plain) {
        return has_only_parts(rest).then_some(Cow::Borrowed(rest));
    }
    let text = decode(rest)?;
    if text.chars().any(char::is_control) || !has_only_parts(&text) {
        return None;
    }
    let composed = ComposingNormalizerBorrowed::new_nfc().normalize(&text).into_owned();
    Some(Cow::Owned(fold(&composed, is_case_sensitive).into_owned()))
}

/// Bytes that stand for themselves in a path and in a key, whatever the case policy.
fn is_plain(byte: u8) -> bool {
    byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'_' | b'.' | b'~' | b'/')
}

fn has_only_parts(text: &str) -> bool {
    text.split('/').all(|part| !part.is_empty() && part != "." && part != "..")
}

/// Percent-decoding, once; none when it is malformed or not UTF-8.
pub(crate) fn decode(text: &str) -> Option<String> {
    if !text.contains('%') {
        return Some(text.to_owned());
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'%' => {
                let digit = |byte: Option<u8>| byte.and_then(|byte| (byte as char).to_digit(16));
                u8::try_from(digit(rest.next())? * 16 + digit(rest.next())?).ok()?
            }
            other => other,
        });
    }
    String::from_utf8(bytes).ok()
}

/// The longest key in bytes: folding can make three characters of one, and each has at most four bytes.
const MAX_KEY_BYTES: usize = MAX_CHARS * 3 * 4;

/// The keys that may answer a path: all of it, then its beginnings, longest first; what is too long for a slug is none of them.
pub fn candidates(key: &str) -> impl Iterator<Item = &str> {
    let cuts = key.match_indices('/').map(|(at, _)| at).take(MAX_SEGMENTS).collect::<Vec<_>>();
    let all = std::iter::once(key).chain(cuts.into_iter().rev().map(move |at| &key[..at]));
    all.filter(|candidate| candidate.len() <= MAX_KEY_BYTES)
}

/// How long random slugs are now: longer once one in a hundred collides, which is when a domain is one per cent full (INV-L6).
#[derive(Debug, Default)]
pub struct LengthMeter {
    made: AtomicU64,
    collided: AtomicU64,
    extra: AtomicU64,
}

/// Slugs after which the share of collisions says something.
const SAMPLE: u64 = 1_000;

impl LengthMeter {
    /// The slugs to try one after the other: five of the present length, then longer ones.
    pub fn tries(&self, random: &Random, base: usize) -> Vec<Slug> {
        let length = base + usize::try_from(self.extra.load(Ordering::Relaxed)).unwrap_or(0);
        (0..TRIES + 3).map(|n| Slug::random(random, length + n.saturating_sub(TRIES - 1))).collect()
    }

    /// Notes how many tries one slug needed.
    pub fn note(&self, tries: u64) {
        let collided = self.collided.fetch_add(tries.saturating_sub(1), Ordering::Relaxed) + tries.saturating_sub(1);
        let made = self.made.fetch_add(tries, Ordering::Relaxed) + tries;
        if made >= SAMPLE {
            // Two at once may both get here; then the sample is a little shorter, and nothing else.
            self.made.store(0, Ordering::Relaxed);
            self.collided.store(0, Ordering::Relaxed);
            if collided * 100 > made {
                self.extra.fetch_add(1, Ordering::Relaxed);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn inv_l19_what_is_a_slug() {
        let parts9 = ["a"; 9].join("/");
        for fine in ["a", "Sale-2026", "über/uns", "a.b~c_d", "日本", "हिन्दी", "1/2/3/4/5/6/7/8", "İstanbul"] {
            assert!(Slug::parse(fine, false).is_ok(), "{fine}");
        }
        for wrong in ["", ".env", "a/.git", "a+", "a b", "a//b", "/a", "a/", "a%20", "a?b", "a#b", "..", "a/../b", "a\u{0}", "😀", &parts9]
        {
            assert!(Slug::parse(wrong, false).is_err(), "{wrong}");
        }
        assert!(Slug::parse(&"x".repeat(200), false).is_ok());
        assert!(Slug::parse(&"x".repeat(201), false).is_err());
    }

    #[test]
    fn inv_l19_slugs_are_compared_in_nfc_and_lower_case() {
        let composed = Slug::parse("Ünï", false).unwrap();
        let decomposed = Slug::parse("U\u{308}ni\u{308}", false).unwrap();
        assert_eq!(composed, decomposed);
        assert_eq!(composed.key, "ünï");
        assert_ne!(Slug::parse("A", true).unwrap().key, Slug::parse("a", true).unwrap().key);
    }

    #[test]
    fn a_path_asks_for_the_key_of_its_slug() {
        let key = |path| key_of_path(path, false).map(Cow::into_owned);
        assert_eq!(key("/Sale").as_deref(), Some("sale"));
        assert_eq!(key("/sale/").as_deref(), Some("sale"));
        assert_eq!(key("/%C3%9Cber%2Funs").as_deref(), Some("über/uns"));
        for nothing in ["/", "", "//", "/a//b", "/%", "/%2", "/%zz", "/%ff", "/a%00", "/a%0a", "/../a", "/a/%2e%2e/b", "/."] {
            assert_eq!(key(nothing), None, "{nothing}");
        }
        // Decoded once only.
        assert_eq!(key("/%2561").as_deref(), Some("%61"));
    }

    #[test]
    fn inv_l5_tries_grow_after_five_collisions() {
        let lengths: Vec<usize> = LengthMeter::default().tries(&Random::seeded(1), 7).iter().map(|slug| slug.key.len()).collect();
        assert_eq!(lengths, [7, 7, 7, 7, 7, 8, 9, 10]);
    }

    #[test]
    fn inv_l6_slugs_grow_when_one_in_a_hundred_collides() {
        let (calm, full) = (LengthMeter::default(), LengthMeter::default());
        for n in 0..1_000 {
            calm.note(if n % 200 == 0 { 2 } else { 1 });
            full.note(if n % 50 == 0 { 2 } else { 1 });
        }
        assert_eq!(calm.tries(&Random::seeded(1), 7)[0].key.len(), 7);
        assert_eq!(full.tries(&Random::seeded(1), 7)[0].key.len(), 8);
    }

    #[test]
    fn inv_l6_random_slugs_use_every_letter_and_no_other() {
        let random = Random::seeded(1);
        let text: String = (0..200).map(|_| Slug::random(&random, 7).key).collect();
        assert!(text.bytes().all(|b| ALPHABET.contains(&b)));
        assert!(ALPHABET.iter().all(|b| text.as_bytes().contains(b)));
    }

    #[test]
    fn beginnings_of_a_path_are_tried_longest_first() {
        assert_eq!(candidates("a/b/c").collect::<Vec<_>>(), ["a/b/c", "a/b", "a"]);
        assert!(candidates(&["a"; 500].join("/")).count() <= 9);
        assert_eq!(candidates(&format!("a/{}", "x".repeat(60_000))).collect::<Vec<_>>(), ["a"], "no key is longer than a slug");
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn every_slug_is_found_by_the_path_that_spells_it(typed in "[a-zA-Z0-9äßÜ日_.~-]{1,20}(/[a-zÄ0-9]{1,5}){0,3}") {
            if let Ok(slug) = Slug::parse(&typed, false) {
                let path: String = slug.shown.bytes().map(|b| if b == b'/' { "/".to_owned() } else { format!("%{b:02x}") }).collect();
                prop_assert_eq!(key_of_path(&format!("/{path}"), false).map(Cow::into_owned), Some(slug.key));
            }
        }

        #[test]
        fn no_path_makes_it_panic(path in ".{0,60}") {
            let _ = key_of_path(&path, false).map(|key| candidates(&key).count());
        }
    }
}
