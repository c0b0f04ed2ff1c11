//! Secrets that people and programs hold: bearer tokens, mailed codes, passwords. None of them prints itself.

use std::fmt;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use icu_normalizer::ComposingNormalizerBorrowed;
use kernel::Random;
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Deserializer};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;
use utoipa::openapi::schema::{ObjectBuilder, SchemaType, Type};
use utoipa::openapi::{KnownFormat, RefOr, Schema, SchemaFormat};
use zeroize::{Zeroize as _, Zeroizing};

/// The characters of a [`Token`] as text.
pub const TOKEN_CHARS: usize = 43;

/// The characters of a [`Code`].
pub const CODE_CHARS: usize = 8;

/// Whether two byte strings are equal, in a time that depends on their lengths only.
pub fn is_same(one: &[u8], other: &[u8]) -> bool {
    one.ct_eq(other).into()
}

/// A bearer secret of 256 random bits: session, refresh, reset, invitation (SES-1, RST-1).
///
/// The text goes to its holder; only [`Token::hash`] is stored.
#[derive(Clone)]
pub struct Token {
    bytes: Zeroizing<[u8; 32]>,
    text: SecretString,
}

impl Token {
    /// A new secret.
    pub fn generate(random: &Random) -> Token {
        let mut bytes = Zeroizing::new([0; 32]);
        random.fill(bytes.as_mut_slice());
        Token::from_bytes(bytes)
    }

    /// The token with this text; `None` unless it is exactly one that [`Token::generate`] could have made.
    pub fn parse(text: &str) -> Option<Token> {
        if text.len() != TOKEN_CHARS {
            return None;
        }
        let mut bytes = Zeroizing::new([0; 32]);
        let length = URL_SAFE_NO_PAD.decode_slice(text, bytes.as_mut_slice()).ok()?;
        (length == bytes.len()).then(|| Token::from_bytes(bytes))
    }

    /// 43 characters of base64url, for the holder alone.
    pub fn as_str(&self) -> &str {
        self.text.expose_secret()
    }

    /// SHA-256 of the 32 bytes: what is stored and looked up. A fast hash is enough for 256 random bits.
    pub fn hash(&self) -> [u8; 32] {
        Sha256::digest(self.bytes.as_slice()).into()
    }

    /// The token with these 256 bits, derived rather than drawn.
    pub(crate) fn from_array(bytes: [u8; 32]) -> Token {
        Token::from_bytes(Zeroizing::new(bytes))
    }

    fn from_bytes(bytes: Zeroizing<[u8; 32]>) -> Token {
        Token { text: URL_SAFE_NO_PAD.encode(bytes.as_slice()).into(), bytes }
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token([redacted])")
    }
}

/// Crockford's base 32: no I, L, O, U, so that nothing can be misread.
const CODE_ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/// A mailed code: eight characters, 40 random bits, typed by a person (RST-3).
///
/// So short a secret is stored only as a keyed MAC ([`Code::mac`]) and allows five tries.
pub struct Code(Zeroizing<[u8; CODE_CHARS]>);

impl Code {
    /// A new code.
    pub fn generate(random: &Random) -> Code {
        let mut letters = Zeroizing::new([0; CODE_CHARS]);
        random.fill(letters.as_mut_slice());
        for letter in letters.iter_mut() {
            *letter = CODE_ALPHABET[usize::from(*letter % 32)];
        }
        Code(letters)
    }

    /// The code that a person typed, forgiving case, spaces, hyphens, and O for 0, I or L for 1.
    pub fn parse(typed: &str) -> Option<Code> {
        let mut letters = Zeroizing::new([0; CODE_CHARS]);
        let mut count = 0;
        for byte in typed.bytes().filter(|byte| !matches!(byte, b' ' | b'-')) {
            *letters.get_mut(count)? = read_as(byte)?;
            count += 1;
        }
        (count == CODE_CHARS).then_some(Code(letters))
    }

    /// The code in two groups of four, as it is mailed: `9F3Q-XM2T`.
    pub fn grouped(&self) -> Zeroizing<String> {
        let (left, right) = self.0.split_at(CODE_CHARS / 2);
        Zeroizing::new(left.iter().chain(b"-").chain(right).map(|byte| char::from(*byte)).collect())
    }

    /// What `keyed` makes of the code: an HMAC under a key outside the database (RST-3).
    pub fn mac<M>(&self, keyed: impl FnOnce(&[u8]) -> M) -> M {
        keyed(self.0.as_slice())
    }
}

/// The letter of the alphabet that a typed character stands for.
fn read_as(typed: u8) -> Option<u8> {
    let letter = match typed.to_ascii_uppercase() {
        b'O' => b'0',
        b'I' | b'L' => b'1',
        other => other,
    };
    CODE_ALPHABET.contains(&letter).then_some(letter)
}

impl fmt::Debug for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Code([redacted])")
    }
}

/// Beyond this many bytes no text can normalise to an acceptable password: NFC shortens to a third at most.
const WORTH_NORMALISING: usize = 8 * 1024;

/// A typed password: NFC for our own hashes, the bytes as typed for imported ones (PWD-2).
///
/// Clones share one copy, which is wiped when the last of them goes.
#[derive(Clone)]
pub struct Password(Arc<Typed>);

struct Typed {
    composed: SecretString,
    /// Present only when it differs from `composed`.
    raw: Option<SecretString>,
}

impl Password {
    /// The password that was typed; no length is too short or too long here (see [`crate::passwords::policy`]).
    pub fn new(typed: String) -> Password {
        let composer = ComposingNormalizerBorrowed::new_nfc();
        let needs_composing = typed.len() <= WORTH_NORMALISING && !composer.is_normalized(&typed);
        Password(Arc::new(if needs_composing {
            Typed { composed: kept(composer.normalize(&typed).into_owned()), raw: Some(kept(typed)) }
        } else {
            Typed { composed: kept(typed), raw: None }
        }))
    }

    /// The bytes that we hash.
    pub(crate) fn composed(&self) -> &str {
        self.0.composed.expose_secret()
    }

    /// The bytes as typed, when they differ from the composed ones; another system may have hashed these.
    pub(crate) fn raw(&self) -> Option<&str> {
        self.0.raw.as_ref().map(|raw| raw.expose_secret())
    }
}

/// The text in a box of its exact size. Shrinking the string itself might leave a copy behind in freed memory.
fn kept(mut text: String) -> SecretString {
    let secret = SecretString::from(text.as_str());
    text.zeroize();
    secret
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password([redacted])")
    }
}

impl<'de> Deserialize<'de> for Password {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Password::new)
    }
}

impl utoipa::PartialSchema for Password {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(SchemaType::Type(Type::String))
            .format(Some(SchemaFormat::KnownFormat(KnownFormat::Password)))
            .max_length(Some(crate::passwords::policy::MAX_BYTES))
            .description(Some("A password, as it was typed."))
            .into()
    }
}

impl utoipa::ToSchema for Password {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rst1_a_token_is_43_characters_and_reads_back() {
        let token = Token::generate(&Random::system());
        assert_eq!(token.as_str().len(), TOKEN_CHARS);
        let again = Token::parse(token.as_str()).unwrap();
        assert_eq!(again.hash(), token.hash());
        assert_ne!(token.hash(), Token::generate(&Random::system()).hash());
    }

    #[test]
    fn rst1_what_is_stored_is_the_sha_256_of_the_bytes() {
        let zeros = Token::parse(&"A".repeat(43)).unwrap();
        let hex: String = zeros.hash().iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex, "66687aadf862bd776c8fc18b8e9f8e20089714856ee233b3902a591d0d5f2925");
    }

    #[test]
    fn a_text_that_is_no_token_is_refused() {
        let token = Token::generate(&Random::system());
        let long = format!("{}A", token.as_str());
        let padded = format!("{}=", &token.as_str()[..42]);
        let standard = "+".repeat(43);
        let trailing_bits = format!("{}B", "A".repeat(42));
        for text in ["", "A", &long, &padded, &standard, &trailing_bits, " ", &"é".repeat(21)] {
            assert!(Token::parse(text).is_none(), "{text:?}");
        }
    }

    #[test]
    fn rst3_a_code_has_eight_letters_of_the_alphabet() {
        let code = Code::generate(&Random::system());
        let text = code.grouped();
        assert_eq!(text.len(), CODE_CHARS + 1);
        assert!(text.bytes().all(|byte| byte == b'-' || CODE_ALPHABET.contains(&byte)));
    }

    #[test]
    fn rst3_a_typed_code_forgives_case_spaces_and_look_alikes() {
        let meant = Code::parse("10AB-CDEF").unwrap();
        for typed in ["10abcdef", " iO ab cd ef ", "loAB-CDEF", "I0ABCDEF"] {
            assert!(Code::parse(typed).unwrap().mac(|typed| meant.mac(|meant| is_same(typed, meant))), "{typed:?}");
        }
        assert!(!Code::parse("20ABCDEF").unwrap().mac(|typed| meant.mac(|meant| is_same(typed, meant))));
    }

    #[test]
    fn rst3_a_code_of_other_length_or_letters_is_refused() {
        for typed in ["", "10ABCDE", "10ABCDEFG", "10ABCDEU", "10ABCDE!", "１0ABCDEF", "10ABCDE\n", "10ABCDEé"] {
            assert!(Code::parse(typed).is_none(), "{typed:?}");
        }
    }

    #[test]
    fn pwd2_a_password_is_composed_once_and_keeps_what_was_typed() {
        let decomposed = Password::new("u\u{308}ber".to_owned());
        assert_eq!(decomposed.composed(), "\u{fc}ber");
        assert_eq!(decomposed.raw(), Some("u\u{308}ber"));
        let composed = Password::new("\u{fc}ber".to_owned());
        assert_eq!((composed.composed(), composed.raw()), ("\u{fc}ber", None));
    }

    #[test]
    fn pwd2_compatibility_characters_stay_different() {
        assert_eq!(Password::new("ｐａｓｓ".to_owned()).composed(), "ｐａｓｓ");
    }

    #[test]
    fn pwd12_no_secret_prints_itself() {
        let token = Token::generate(&Random::seeded(1));
        let code = Code::parse("10ABCDEF").unwrap();
        let password: Password = serde_json::from_str("\"canary u\u{308}\"").unwrap();
        let printed = format!("{token:?} {code:?} {password:?} {:#?}", Some(&password));
        assert!(!printed.contains(token.as_str()) && !printed.contains("10AB") && !printed.contains("canary"));
        assert_eq!(printed.matches("[redacted]").count(), 4);
    }

    #[test]
    fn the_schema_of_a_password_states_its_format_and_length() {
        let schema = serde_json::to_value(<Password as utoipa::PartialSchema>::schema()).unwrap();
        let expected = serde_json::json!({
            "type": "string", "format": "password", "maxLength": 1024, "description": "A password, as it was typed."
        });
        assert_eq!(schema, expected);
    }
}
