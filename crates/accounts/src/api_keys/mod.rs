//! API keys: what a person gives to a program instead of a password (KEY-1).

pub(crate) mod http;
pub(crate) mod service;
pub(crate) mod store;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use kernel::{Id, Random, Timestamp, UserId};
use secrecy::SecretString;
use sha2::{Digest as _, Sha256};

use crate::secrets::{TOKEN_CHARS, Token, is_same};

/// How every bearer secret of ours begins that is no access token, so that it is told apart without a look-up.
pub(crate) const FAMILY: &str = "uc_";
/// How a person's key begins, so that secret scanners find it wherever it was left.
const PREFIX: &str = "uc_pat_";
const PUBLIC_CHARS: usize = 8;
const CHECKSUM_CHARS: usize = 6;

/// The marker of an API key's identifier.
#[derive(Debug)]
pub(crate) enum ApiKey {}

/// A key as its owner sees it; the key itself is not in it.
#[derive(Clone, Debug)]
pub(crate) struct ApiKeyRecord {
    pub(crate) id: Id<ApiKey>,
    pub(crate) public_id: String,
    pub(crate) user_id: UserId,
    pub(crate) name: String,
    pub(crate) scopes: Vec<String>,
    pub(crate) created_at: Timestamp,
    pub(crate) expires_at: Timestamp,
    pub(crate) last_used_at: Option<Timestamp>,
}

/// The key itself: `uc_pat_`, eight characters that name it, 43 that prove it, six that catch typing errors and made-up keys.
pub(crate) struct KeyText {
    pub(crate) public_id: String,
    secret: Token,
}

impl KeyText {
    /// A new key.
    pub(crate) fn generate(random: &Random) -> KeyText {
        KeyText { public_id: URL_SAFE_NO_PAD.encode(random.bytes::<6>()), secret: Token::generate(random) }
    }

    /// The key with this text; `None` unless it is exactly one that [`KeyText::generate`] could have made.
    pub(crate) fn parse(text: &str) -> Option<KeyText> {
        let (public_id, rest) = text.strip_prefix(PREFIX)?.split_at_checked(PUBLIC_CHARS)?;
        let (secret, found) = rest.split_at_checked(TOKEN_CHARS)?;
        if !is_same(found.as_bytes(), checksum(public_id, secret).as_bytes()) {
            return None;
        }
        Some(KeyText { public_id: public_id.to_owned(), secret: Token::parse(secret)? })
    }

    /// The whole key, for its holder alone.
    pub(crate) fn text(&self) -> SecretString {
        let secret = self.secret.as_str();
        [PREFIX, &self.public_id, secret, &checksum(&self.public_id, secret)].concat().into()
    }

    /// What is stored of the secret.
    pub(crate) fn hash(&self) -> [u8; 32] {
        self.secret.hash()
    }
}

/// The first 36 bits of a SHA-256: no proof, since everybody can compute it, but no misread key passes it.
fn checksum(public_id: &str, secret: &str) -> String {
    let digest = Sha256::new().chain_update(PREFIX).chain_update(public_id).chain_update(secret).finalize();
    let mut text = URL_SAFE_NO_PAD.encode(digest);
    text.truncate(CHECKSUM_CHARS);
    text
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret as _;

    use super::*;

    #[test]
    fn key1_a_key_has_its_prefix_and_reads_back() {
        let key = KeyText::generate(&Random::system());
        let text = key.text();
        assert_eq!((text.expose_secret().len(), &text.expose_secret()[..7]), (64, PREFIX));
        let again = KeyText::parse(text.expose_secret()).unwrap();
        assert_eq!((&again.public_id, again.hash()), (&key.public_id, key.hash()));
    }

    #[test]
    fn key1_a_key_with_any_other_character_is_no_key() {
        let text = KeyText::generate(&Random::system()).text();
        let text = text.expose_secret();
        for at in 0..text.len() {
            let other = if &text[at..=at] == "A" { "B" } else { "A" };
            let wrong = [&text[..at], other, &text[at + 1..]].concat();
            assert!(KeyText::parse(&wrong).is_none(), "{wrong}");
        }
        for wrong in ["", "uc_", PREFIX, &text[..63], &format!("{text}A"), &format!("{PREFIX}{}", "é".repeat(28)), &text[7..]] {
            assert!(KeyText::parse(wrong).is_none(), "{wrong}");
        }
    }
}
