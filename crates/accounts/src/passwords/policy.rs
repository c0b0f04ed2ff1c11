//! Which passwords are long enough and short enough (PWD-1, PWD-2): lengths count code points, nothing is ever cut.

use kernel::error::INTERNAL;
use kernel::{Error, FieldError, Result};

use crate::hashing::MAX_BCRYPT_BYTES;
use crate::secrets::Password;

/// The smallest minimum that settings may choose.
pub const LOWEST_MINIMUM: usize = 8;

/// The longest password in code points, after composition.
pub const MAX_CODE_POINTS: usize = 256;

/// The longest password in bytes, after composition.
pub const MAX_BYTES: usize = 1024;

/// The length rules for new passwords.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PasswordPolicy {
    min_code_points: usize,
    max_bytes: usize,
}

impl PasswordPolicy {
    /// The rules with this minimum; refused below 8 and above 256.
    pub fn new(min_length: usize) -> Result<PasswordPolicy> {
        if (LOWEST_MINIMUM..=MAX_CODE_POINTS).contains(&min_length) {
            return Ok(PasswordPolicy { min_code_points: min_length, max_bytes: MAX_BYTES });
        }
        Err(refused(min_length))
    }

    /// The rules where new passwords become bcrypt hashes, which would ignore what is longer (PWD-7).
    #[must_use]
    pub fn for_bcrypt(self) -> PasswordPolicy {
        PasswordPolicy { max_bytes: MAX_BCRYPT_BYTES, ..self }
    }

    /// The largest number of code points in a new password; bcrypt counts bytes, of which some take several.
    pub fn max_length(self) -> usize {
        self.max_bytes.min(MAX_CODE_POINTS)
    }

    /// The smallest number of code points in a new password.
    pub fn min_length(self) -> usize {
        self.min_code_points
    }

    /// Whether a new password has an acceptable length; `pointer` is where the body holds it.
    pub fn check(self, password: &Password, pointer: &'static str) -> Result<(), FieldError> {
        check_not_too_long(password, pointer)?;
        if password.composed().len() > self.max_bytes {
            return Err(FieldError::body(pointer, "password_too_long", format!("At most {} bytes.", self.max_bytes)));
        }
        if password.composed().chars().count() >= self.min_code_points {
            return Ok(());
        }
        Err(FieldError::body(pointer, "password_too_short", format!("At least {} characters.", self.min_code_points)))
    }
}

/// Whether a password is short enough to be hashed at all: asked of every typed password, at login too.
pub fn check_not_too_long(password: &Password, pointer: &'static str) -> Result<(), FieldError> {
    let text = password.composed();
    if text.len() <= MAX_BYTES && text.chars().count() <= MAX_CODE_POINTS {
        return Ok(());
    }
    Err(FieldError::body(pointer, "password_too_long", format!("At most {MAX_CODE_POINTS} characters.")))
}

fn refused(min_length: usize) -> Error {
    INTERNAL.because(format!(
        "accounts.passwords.min_length is {min_length}; it must lie between {LOWEST_MINIMUM} and {MAX_CODE_POINTS} (PWD-1)."
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(min: usize, text: &str) -> Option<String> {
        let password = Password::new(text.to_owned());
        PasswordPolicy::new(min).unwrap().check(&password, "/password").err().map(|error| error.code.into_owned())
    }

    #[test]
    fn pwd1_lengths_count_code_points_and_nothing_is_cut() {
        for (text, expected) in [
            ("123456789".to_owned(), Some("password_too_short")),
            ("1234567890".to_owned(), None),
            ("é".repeat(9), Some("password_too_short")),
            ("🦀".repeat(10), None),
            ("🦀".repeat(256), None),
            ("a".repeat(256), None),
            ("a".repeat(257), Some("password_too_long")),
            ("🦀".repeat(257), Some("password_too_long")),
            ("x".repeat(1024 * 1024), Some("password_too_long")),
        ] {
            assert_eq!(code(10, &text).as_deref(), expected, "{} code points", text.chars().count());
        }
    }

    #[test]
    fn pwd2_lengths_are_those_after_composition() {
        assert_eq!(code(10, &"u\u{308}".repeat(9)).as_deref(), Some("password_too_short"));
        assert_eq!(code(10, &"u\u{308}".repeat(256)), None);
        assert_eq!(code(10, &"\u{1112}\u{1161}\u{11ab}".repeat(256)), None);
    }

    #[test]
    fn pwd2_every_composition_of_characters_is_fine() {
        for text in ["          ", "aaaaaaaaaa", "correct horse battery staple", "пароль-длинный", "\t\u{7f}\u{200d}1234567"] {
            assert_eq!(code(10, text), None, "{text:?}");
        }
    }

    #[test]
    fn pwd1_a_minimum_below_eight_is_refused_by_name() {
        let error = PasswordPolicy::new(7).unwrap_err();
        assert!(error.to_string().contains("accounts.passwords.min_length is 7"));
        assert!(PasswordPolicy::new(257).is_err());
        assert_eq!(PasswordPolicy::new(8).unwrap().min_length(), 8);
        assert_eq!(PasswordPolicy::new(15).unwrap().min_length(), 15);
    }

    #[test]
    fn pwd7_for_bcrypt_71_bytes_are_the_most() {
        let policy = PasswordPolicy::new(10).unwrap().for_bcrypt();
        let code = |text: String| policy.check(&Password::new(text), "/password").err().map(|error| error.code.into_owned());
        assert_eq!((code("x".repeat(71)), policy.max_length()), (None, 71));
        for long in ["x".repeat(72), "é".repeat(36), "x".repeat(257)] {
            assert_eq!(code(long).as_deref(), Some("password_too_long"));
        }
        assert_eq!(code("é".repeat(9)).as_deref(), Some("password_too_short"));
    }

    #[test]
    fn an_error_points_at_the_field() {
        let error = PasswordPolicy::new(8).unwrap().check(&Password::new("short".to_owned()), "/new_password").unwrap_err();
        assert_eq!(error, FieldError::body("/new_password", "password_too_short", "At least 8 characters."));
    }

    #[test]
    fn pwd1_a_typed_password_is_only_checked_for_being_too_long() {
        assert!(check_not_too_long(&Password::new(String::new()), "/password").is_ok());
        assert!(check_not_too_long(&Password::new("a".repeat(257)), "/password").is_err());
    }
}
