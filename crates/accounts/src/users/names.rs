//! User names and display names: what is acceptable, and when two user names are the same (accounts.md §13).

use std::borrow::Cow;

use icu_normalizer::ComposingNormalizerBorrowed;
use kernel::FieldError;

/// The fewest characters of a user name.
pub const MIN_USERNAME: usize = 3;

/// The most characters of a user name.
pub const MAX_USERNAME: usize = 32;

/// The most code points of a display name.
pub const MAX_DISPLAY_NAME: usize = 80;

/// Beyond this many bytes no text composes to an acceptable display name.
const WORTH_COMPOSING: usize = 4096;

/// Names that speak for the site or that a path may need; compared without `-` and `_`.
const RESERVED: &str = "\
    abuse account accounts admin administrator anonymous api auth billing contact daemon deleted everyone ftp \
    guest help helpdesk hostmaster info legal login logout mail mailerdaemon mailer me member moderator nobody \
    noreply null official operator owner payments postmaster privacy register root sales security self server \
    service settings signin signup staff status superuser support sysadmin system team undefined undercroft \
    unknown user users webmaster www";

/// A user name as shown, and the form under which it is unique and looked up.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Username {
    shown: String,
    norm: String,
}

/// Why a text is no user name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UsernameProblem {
    /// Fewer than 3 or more than 32 characters.
    Length,
    /// Other characters than letters a to z, digits, `_` and `-`.
    Characters,
    /// It speaks for the site.
    Reserved,
}

impl UsernameProblem {
    /// One sentence for people.
    pub fn sentence(self) -> &'static str {
        match self {
            UsernameProblem::Length => "Between 3 and 32 characters.",
            UsernameProblem::Characters => "Only the letters a to z, digits, - and _.",
            UsernameProblem::Reserved => "This name is reserved.",
        }
    }
}

impl Username {
    /// Reads a user name: NFKC first, then 3 to 32 of `[a-z0-9_-]` in either case, and not a reserved word.
    pub fn parse(typed: &str) -> Result<Username, UsernameProblem> {
        // No compatibility form of an allowed character is longer than four bytes.
        if typed.len() > 4 * MAX_USERNAME {
            return Err(UsernameProblem::Length);
        }
        let shown = ComposingNormalizerBorrowed::new_nfkc().normalize(typed).into_owned();
        let norm = shown.to_ascii_lowercase();
        if !norm.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-')) {
            return Err(UsernameProblem::Characters);
        }
        if !(MIN_USERNAME..=MAX_USERNAME).contains(&norm.len()) {
            return Err(UsernameProblem::Length);
        }
        if is_reserved(&norm) {
            return Err(UsernameProblem::Reserved);
        }
        Ok(Username { shown, norm })
    }

    /// [`Username::parse`] for a body member: the error is `username_invalid` at `pointer`.
    pub fn from_body(typed: &str, pointer: &'static str) -> Result<Username, FieldError> {
        Username::parse(typed).map_err(|problem| FieldError::body(pointer, "username_invalid", problem.sentence()))
    }

    /// As its owner wrote it, after NFKC.
    pub fn shown(&self) -> &str {
        &self.shown
    }

    /// In lower case: what is unique and looked up.
    pub fn norm(&self) -> &str {
        &self.norm
    }
}

fn is_reserved(norm: &str) -> bool {
    let plain = norm.replace(['-', '_'], "");
    RESERVED.split_whitespace().any(|word| word == plain)
}

/// A name as people write it: 1 to 80 code points after NFC, trimmed, nothing that steers the text around it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct DisplayName(String);

impl DisplayName {
    /// Reads a display name from a body member; errors are `required`, `too_long` and `invalid_format` at `pointer`.
    pub fn from_body(typed: &str, pointer: &'static str) -> Result<DisplayName, FieldError> {
        let refuse = |code: &'static str, detail: Cow<'static, str>| Err(FieldError::body(pointer, code, detail));
        let typed = typed.trim();
        if typed.chars().any(steers) {
            return refuse("invalid_format", "No control characters.".into());
        }
        if typed.is_empty() || typed.chars().all(is_invisible) {
            return refuse("required", "A name has at least one character.".into());
        }
        let name = (typed.len() <= WORTH_COMPOSING).then(|| ComposingNormalizerBorrowed::new_nfc().normalize(typed));
        match name.filter(|name| name.chars().count() <= MAX_DISPLAY_NAME) {
            Some(name) => Ok(DisplayName(name.into_owned())),
            None => refuse("too_long", format!("At most {MAX_DISPLAY_NAME} characters.").into()),
        }
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Control characters, line separators, and the marks that turn the direction of foreign text.
fn steers(char: char) -> bool {
    char.is_control() || matches!(char, '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Characters that leave no ink: joiners, blanks, fillers.
fn is_invisible(char: char) -> bool {
    char.is_whitespace()
        || matches!(char, '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{180e}' | '\u{200b}'..='\u{200f}')
        || matches!(char, '\u{2060}'..='\u{2064}' | '\u{2800}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn norm(typed: &str) -> Result<String, UsernameProblem> {
        Username::parse(typed).map(|name| name.norm)
    }

    #[test]
    fn a_username_keeps_its_case_for_show_and_loses_it_for_look_up() {
        let name = Username::parse("Mike_O-42").unwrap();
        assert_eq!((name.shown(), name.norm()), ("Mike_O-42", "mike_o-42"));
    }

    #[test]
    fn sgn6_compatibility_forms_are_the_same_username() {
        for typed in ["ｍｉｋｅ", "Ｍike", "mi\u{212a}e", "𝐦𝐢𝐤𝐞"] {
            assert_eq!(norm(typed).as_deref(), Ok("mike"), "{typed}");
        }
    }

    #[test]
    fn sgn6_accents_and_foreign_letters_are_no_username() {
        for typed in
            ["mıke", "mİke", "míke", "mi\u{301}ke", "mіke", "mike!", "mi ke", "mike\n", "mike\0", "mike@x", "mike.x", "m\u{200d}ike", "ßßß"]
        {
            assert_eq!(norm(typed), Err(UsernameProblem::Characters), "{typed:?}");
        }
    }

    #[test]
    fn a_username_has_3_to_32_characters_after_normalisation() {
        assert_eq!(norm("ab"), Err(UsernameProblem::Length));
        assert_eq!(norm(""), Err(UsernameProblem::Length));
        assert!(norm("abc").is_ok());
        assert!(norm(&"a".repeat(32)).is_ok());
        assert!(norm(&"𝐚".repeat(32)).is_ok());
        assert_eq!(norm(&"a".repeat(33)), Err(UsernameProblem::Length));
        assert_eq!(norm(&"ﬃ".repeat(11)), Err(UsernameProblem::Length));
        assert_eq!(norm(&"a".repeat(1_000_000)), Err(UsernameProblem::Length));
    }

    #[test]
    fn reserved_words_are_refused_in_every_spelling() {
        for typed in ["admin", "Admin", "ａｄｍｉｎ", "ad-min", "_admin_", "no-reply", "undercroft", "root", "-me-"] {
            assert_eq!(norm(typed), Err(UsernameProblem::Reserved), "{typed}");
        }
        assert!(norm("admiral").is_ok());
    }

    #[test]
    fn a_reserved_word_is_written_as_it_is_compared() {
        assert!(RESERVED.split_whitespace().all(|word| word.bytes().all(|byte| byte.is_ascii_lowercase())));
    }

    #[test]
    fn a_refused_username_says_why_at_its_field() {
        let error = Username::from_body("root", "/username").unwrap_err();
        assert_eq!(error, FieldError::body("/username", "username_invalid", "This name is reserved."));
    }

    fn display(typed: &str) -> Result<String, String> {
        DisplayName::from_body(typed, "/display_name").map(|name| name.0).map_err(|error| error.code.into_owned())
    }

    #[test]
    fn a_display_name_is_trimmed_and_composed() {
        assert_eq!(display("  Mu\u{308}ller, Jörg 🦀 ").as_deref(), Ok("Müller, Jörg 🦀"));
        assert_eq!(display("李小龍").as_deref(), Ok("李小龍"));
        assert_eq!(display("👩\u{200d}💻").as_deref(), Ok("👩\u{200d}💻"));
    }

    #[test]
    fn a_display_name_has_1_to_80_code_points() {
        for typed in ["", "   ", "\u{200b}", "\u{3164}\u{3164}"] {
            assert_eq!(display(typed), Err("required".to_owned()), "{typed:?}");
        }
        assert!(display(&"ü".repeat(80)).is_ok());
        assert!(display(&"u\u{308}".repeat(80)).is_ok());
        assert_eq!(display(&"ü".repeat(81)), Err("too_long".to_owned()));
        assert_eq!(display(&"ü".repeat(1_000_000)), Err("too_long".to_owned()));
    }

    #[test]
    fn a_display_name_steers_nothing() {
        for typed in ["a\r\nb", "a\0b", "a\u{85}b", "a\u{2028}b", "\u{202e}nimda", "a\u{2066}b", "\u{1b}[31mred"] {
            assert_eq!(display(typed), Err("invalid_format".to_owned()), "{typed:?}");
        }
    }

    proptest! {
        #[test]
        fn a_username_reads_back_as_itself(typed in "\\PC{1,34}") {
            if let Ok(name) = Username::parse(&typed) {
                prop_assert!(name.norm().is_ascii() && (MIN_USERNAME..=MAX_USERNAME).contains(&name.norm().len()));
                prop_assert_eq!(Username::parse(name.shown()), Ok(name.clone()));
                prop_assert_eq!(norm(name.norm()), Ok(name.norm.clone()));
            }
        }
    }
}
