//! Recovery codes, such as `k7-9f3qx-m2tzp`: two letters find the row, fifty bits are secret (MFA-4).

use kernel::Random;
use zeroize::Zeroizing;

use crate::secrets::Password;

/// How many codes a person gets at once.
pub(super) const COUNT: usize = 10;
const SELECTOR_CHARS: usize = 2;
const SECRET_CHARS: usize = 10;
/// Crockford's base 32 in small letters: no i, l, o, u, so that nothing can be misread.
const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

/// A recovery code.
pub(super) struct RecoveryCode {
    pub(super) selector: String,
    secret: Zeroizing<String>,
}

impl RecoveryCode {
    /// Ten codes with different selectors.
    pub(super) fn generate(random: &Random) -> Vec<RecoveryCode> {
        let mut codes: Vec<RecoveryCode> = Vec::with_capacity(COUNT);
        while codes.len() < COUNT {
            let letters = Zeroizing::new(letters(random));
            let (selector, secret) = letters.split_at(SELECTOR_CHARS);
            if !codes.iter().any(|code| code.selector == selector) {
                codes.push(RecoveryCode { selector: selector.to_owned(), secret: Zeroizing::new(secret.to_owned()) });
            }
        }
        codes
    }

    /// The code that a person typed, forgiving case, spaces, hyphens, and O for 0, I or L for 1.
    pub(super) fn parse(typed: &str) -> Option<RecoveryCode> {
        let mut letters = Zeroizing::new(String::with_capacity(SELECTOR_CHARS + SECRET_CHARS));
        for byte in typed.bytes().filter(|byte| !matches!(byte, b' ' | b'-')) {
            if letters.len() == SELECTOR_CHARS + SECRET_CHARS {
                return None;
            }
            letters.push(read_as(byte)?);
        }
        if letters.len() != SELECTOR_CHARS + SECRET_CHARS {
            return None;
        }
        let (selector, secret) = letters.split_at(SELECTOR_CHARS);
        Some(RecoveryCode { selector: selector.to_owned(), secret: Zeroizing::new(secret.to_owned()) })
    }

    /// The code in groups, as it is shown once.
    pub(super) fn grouped(&self) -> Zeroizing<String> {
        let (left, right) = self.secret.split_at(SECRET_CHARS / 2);
        Zeroizing::new(format!("{}-{left}-{right}", self.selector))
    }

    /// What is hashed like a password.
    pub(super) fn secret(&self) -> Password {
        Password::new((*self.secret).clone())
    }
}

fn letters(random: &Random) -> String {
    let bytes: Zeroizing<[u8; SELECTOR_CHARS + SECRET_CHARS]> = Zeroizing::new(random.bytes());
    bytes.iter().map(|byte| char::from(ALPHABET[usize::from(byte % 32)])).collect()
}

/// The letter of the alphabet that a typed character stands for.
fn read_as(typed: u8) -> Option<char> {
    let letter = match typed.to_ascii_lowercase() {
        b'o' => b'0',
        b'i' | b'l' => b'1',
        other => other,
    };
    ALPHABET.contains(&letter).then_some(char::from(letter))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mfa4_ten_codes_have_the_shape_and_different_selectors() {
        let codes = RecoveryCode::generate(&Random::system());
        let selectors: std::collections::HashSet<_> = codes.iter().map(|code| code.selector.clone()).collect();
        assert_eq!((codes.len(), selectors.len()), (10, 10));
        for code in codes {
            let text = code.grouped();
            let lengths: Vec<usize> = text.split('-').map(str::len).collect();
            assert_eq!(lengths, [2, 5, 5], "{}", *text);
            assert_eq!(RecoveryCode::parse(&text).unwrap().grouped(), text);
        }
    }

    #[test]
    fn a_typed_code_forgives_case_spaces_and_look_alikes() {
        let meant = RecoveryCode::parse("k7-9f3q1-m2t0p").unwrap();
        for typed in ["K79F3QLM2TOP", " k7 9f3qI m2tOp ", "k-7-9-f-3-q-1-m-2-t-0-p"] {
            assert_eq!(RecoveryCode::parse(typed).unwrap().grouped(), meant.grouped(), "{typed:?}");
        }
        for typed in ["", "k7-9f3q1-m2t0", "k7-9f3q1-m2t0pp", "k7-9f3q1-m2t0u", "k7-9f3q1-m2t0é", "k7_9f3q1_m2t0p"] {
            assert!(RecoveryCode::parse(typed).is_none(), "{typed:?}");
        }
    }
}
