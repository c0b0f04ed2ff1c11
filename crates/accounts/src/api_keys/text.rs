//! The text of a key: `uc_pat_`, 8 characters that find it, 43 that are secret, 6 that tell a typing error from a guess.
//!
//! The fixed beginning is for secret scanners, the checksum spares the database whatever cannot be a key.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use kernel::Random;
use secrecy::{ExposeSecret as _, SecretString};
use sha2::{Digest as _, Sha256};

use crate::secrets::{TOKEN_CHARS, Token};

/// How every personal key begins.
pub(crate) const PREFIX: &str = "uc_pat_";
/// How every key of any kind begins; no access token does.
pub(crate) const ANY_PREFIX: &str = "uc_";
const PUBLIC_BYTES: usize = 6;
const PUBLIC_CHARS: usize = 8;
const CHECK_BYTES: usize = 4;
const CHECK_CHARS: usize = 6;

/// A key as its holder has it.
#[derive(Clone)]
pub(crate) struct KeyText {
    public_id: String,
    secret: Token,
}

impl KeyText {
    pub(crate) fn generate(random: &Random) -> KeyText {
        KeyText { public_id: URL_SAFE_NO_PAD.encode(random.bytes::<PUBLIC_BYTES>()), secret: Token::generate(random) }
    }

    /// The key with this text; `None` unless form and checksum are right.
    pub(crate) fn parse(text: &str) -> Option<KeyText> {
        let body = text.strip_prefix(PREFIX).filter(|body| body.is_ascii() && body.len() == PUBLIC_CHARS + TOKEN_CHARS + CHECK_CHARS)?;
        let (public_id, rest) = body.split_at(PUBLIC_CHARS);
        let (secret, check) = rest.split_at(TOKEN_CHARS);
        if check != check_of(public_id, secret) {
            return None;
        }
        URL_SAFE_NO_PAD.decode(public_id).ok()?;
        Some(KeyText { public_id: public_id.to_owned(), secret: Token::parse(secret)? })
    }

    /// What finds the key, and may be seen.
    pub(crate) fn public_id(&self) -> &str {
        &self.public_id
    }

    /// SHA-256 of the secret: what is stored.
    pub(crate) fn hash(&self) -> [u8; 32] {
        self.secret.hash()
    }

    /// The whole text, for the holder alone.
    pub(crate) fn reveal(&self) -> String {
        let secret = self.secret.as_str();
        let text = SecretString::from(format!("{PREFIX}{}{secret}{}", self.public_id, check_of(&self.public_id, secret)));
        text.expose_secret().to_owned()
    }
}

/// The beginning of SHA-256 over everything before it.
fn check_of(public_id: &str, secret: &str) -> String {
    let digest = Sha256::new().chain_update(PREFIX).chain_update(public_id).chain_update(secret).finalize();
    URL_SAFE_NO_PAD.encode(&digest[..CHECK_BYTES])
}

impl fmt::Debug for KeyText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyText({}[redacted])", self.public_id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn key1_a_key_has_its_form_and_reads_back() {
        let key = KeyText::generate(&Random::system());
        let text = key.reveal();
        assert_eq!(text.len(), PREFIX.len() + 8 + 43 + 6);
        let again = KeyText::parse(&text).unwrap();
        assert_eq!((again.public_id(), again.hash()), (key.public_id(), key.hash()));
        assert!(!format!("{key:?}").contains(&text[15..]));
    }

    #[test]
    fn key1_any_changed_character_is_no_key() {
        let text = KeyText::generate(&Random::system()).reveal();
        for index in 0..text.len() {
            let other = if text.as_bytes()[index] == b'A' { "B" } else { "A" };
            let changed = format!("{}{other}{}", &text[..index], &text[index + 1..]);
            assert!(KeyText::parse(&changed).is_none(), "{index}");
        }
        for wrong in ["", "uc_pat_", "uc_svc_", &text[..63], &format!("{text}A"), &format!("uc_pat_{}", "é".repeat(28))] {
            assert!(KeyText::parse(wrong).is_none(), "{wrong:?}");
        }
    }
}
