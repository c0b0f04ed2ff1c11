//! What stored password hashes look like, ours and imported ones: PHC strings of Argon2, modular crypt strings of bcrypt (PWD-8).
//!
//! This is the one reader of them. It knows no defaults and repairs nothing; what asks for more work than PWD-8 allows is as
//! unusable as what is no hash at all. No error repeats a hash.

use std::fmt;

use argon2::password_hash::phc::{Output, ParamsString, PasswordHash, Salt};
use argon2::{ARGON2ID_IDENT, Algorithm, Argon2, Params, Version};
use base64::Engine as _;
use base64::alphabet::BCRYPT;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};
use zeroize::Zeroizing;

/// The most memory that a stored hash may ask for, in KiB (PWD-8).
pub(super) const MAX_M_KIB: u32 = 256 * 1024;

/// The most passes that a stored hash may ask for (PWD-8).
pub(super) const MAX_T: u32 = 16;

/// The least work that bcrypt knows, as an exponent of two.
pub(super) const MIN_BCRYPT_COST: u32 = 4;

/// The most work that a stored bcrypt hash may ask for, as an exponent of two (PWD-8).
pub(super) const MAX_BCRYPT_COST: u32 = 15;

/// The longest password that bcrypt compares to its end: its closing NUL is the 72nd byte (PWD-7).
pub(crate) const MAX_BCRYPT_BYTES: usize = 71;

/// The bytes of a password, with its NUL, that bcrypt looks at.
const BCRYPT_KEY_BYTES: usize = 72;

/// The characters of a bcrypt string: `$2b$12$`, 22 of salt, 31 of tag.
const BCRYPT_CHARS: usize = 60;

/// A longer text is no hash that we know; accounts.md keeps them in 255 characters.
const MAX_CHARS: usize = 255;

/// Why a stored hash cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Unusable(String);

impl fmt::Display for Unusable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn unusable(why: impl fmt::Display) -> Unusable {
    Unusable(why.to_string())
}

/// A stored hash, read and found bearable.
pub(super) enum Stored {
    /// Argon2i, Argon2d or Argon2id.
    Argon2(Argon2Hash),
    /// bcrypt in one of its four spellings.
    Bcrypt(BcryptHash),
}

/// An Argon2 hash.
pub(super) struct Argon2Hash {
    pub(super) argon2: Argon2<'static>,
    pub(super) algorithm: Algorithm,
    pub(super) version: Version,
    pub(super) salt: Salt,
    pub(super) tag: Output,
}

/// A bcrypt hash.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct BcryptHash {
    pub(super) variant: BcryptVariant,
    pub(super) cost: u32,
    pub(super) salt: [u8; 16],
    pub(super) tag: [u8; 23],
}

/// Which bcrypt it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BcryptVariant {
    /// `2a`, `2b`, `2y`: the same for every password that we compare.
    Usual,
    /// `2x`: made by an old crypt_blowfish, which read bytes above 127 as negative numbers.
    SignExtended,
}

impl Stored {
    /// Reads a stored hash.
    pub(super) fn parse(text: &str) -> Result<Stored, Unusable> {
        if text.len() > MAX_CHARS || !text.is_ascii() {
            return Err(unusable("it is too long or not ASCII"));
        }
        match text.split('$').nth(1) {
            Some("2a" | "2b" | "2x" | "2y") => BcryptHash::parse(text).map(Stored::Bcrypt),
            _ => Argon2Hash::parse(text).map(Stored::Argon2),
        }
    }
}

impl Argon2Hash {
    fn parse(text: &str) -> Result<Argon2Hash, Unusable> {
        let hash = PasswordHash::new(text).map_err(unusable)?;
        let algorithm = Algorithm::try_from(hash.algorithm.as_str()).map_err(unusable)?;
        let version = hash.version.map_or(Ok(Version::V0x10), Version::try_from).map_err(unusable)?;
        let params = Params::try_from(&hash).map_err(unusable)?;
        if params.m_cost() > MAX_M_KIB || params.t_cost() > MAX_T {
            return Err(unusable("it asks for more memory or passes than PWD-8 allows"));
        }
        if !params.keyid().is_empty() || !params.data().is_empty() {
            return Err(unusable("it has a key id or associated data"));
        }
        let (Some(salt), Some(tag)) = (hash.salt, hash.hash) else { return Err(unusable("it has no salt or no tag")) };
        Ok(Argon2Hash { argon2: Argon2::new(algorithm, version, params), algorithm, version, salt, tag })
    }

    /// The PHC string of an Argon2id hash that we made.
    pub(super) fn print(params: &Params, salt: &[u8], tag: &[u8]) -> Result<String, Unusable> {
        let hash = PasswordHash {
            algorithm: ARGON2ID_IDENT,
            version: Some(Version::V0x13.into()),
            params: ParamsString::try_from(params).map_err(unusable)?,
            salt: Some(Salt::new(salt).map_err(unusable)?),
            hash: Some(Output::new(tag).map_err(unusable)?),
        };
        Ok(hash.to_string())
    }
}

/// bcrypt's own base 64; the bits beyond the last byte mean nothing, and some programs left them set.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &BCRYPT,
    GeneralPurposeConfig::new()
        .with_encode_padding(false)
        .with_decode_padding_mode(DecodePaddingMode::RequireNone)
        .with_decode_allow_trailing_bits(true),
);

impl BcryptHash {
    fn parse(text: &str) -> Result<BcryptHash, Unusable> {
        let no_hash = || unusable("it is no bcrypt string");
        let mut parts = text.split('$');
        let (Some(""), Some(variant), Some(cost), Some(rest), None) =
            (parts.next(), parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(no_hash());
        };
        if text.len() != BCRYPT_CHARS || cost.len() != 2 || !cost.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(no_hash());
        }
        let cost: u32 = cost.parse().map_err(|_| no_hash())?;
        if !(MIN_BCRYPT_COST..=MAX_BCRYPT_COST).contains(&cost) {
            return Err(unusable("its cost is outside of what PWD-8 allows"));
        }
        let variant = if variant == "2x" { BcryptVariant::SignExtended } else { BcryptVariant::Usual };
        let (salt, tag) = rest.split_at_checked(22).ok_or_else(no_hash)?;
        Ok(BcryptHash { variant, cost, salt: decode(salt).ok_or_else(no_hash)?, tag: decode(tag).ok_or_else(no_hash)? })
    }

    /// The `$2b$` string of a hash that we made.
    pub(super) fn print(cost: u32, salt: &[u8; 16], tag: &[u8; 23]) -> String {
        format!("$2b${cost:02}${}{}", BASE64.encode(salt), BASE64.encode(tag))
    }

    /// The tag of a password with this hash's variant, cost and salt. That is the costly part.
    pub(super) fn compute(&self, typed: &[u8]) -> Zeroizing<[u8; 23]> {
        let key = match self.variant {
            BcryptVariant::Usual => usual_key(typed),
            BcryptVariant::SignExtended => sign_extended_key(typed),
        };
        let output = Zeroizing::new(bcrypt::bcrypt(self.cost, self.salt, &key));
        let mut tag = Zeroizing::new([0; 23]);
        // bcrypt strings have always lacked the last byte.
        tag.copy_from_slice(&output[..23]);
        tag
    }
}

fn decode<const N: usize>(text: &str) -> Option<[u8; N]> {
    BASE64.decode(text).ok()?.try_into().ok()
}

/// The password with its NUL, cut where bcrypt stops reading.
fn usual_key(typed: &[u8]) -> Zeroizing<Vec<u8>> {
    let mut key = Zeroizing::new(Vec::with_capacity(BCRYPT_KEY_BYTES));
    key.extend(typed.iter().copied().chain([0]).take(BCRYPT_KEY_BYTES));
    key
}

/// The 18 words that the old crypt_blowfish made of a password: each byte was or-ed in with its sign, over the bytes before it.
///
/// Their 72 bytes, taken as a key, give the same schedule.
fn sign_extended_key(typed: &[u8]) -> Zeroizing<Vec<u8>> {
    let mut bytes = (0..=typed.len()).cycle().map(|index| typed.get(index).copied().unwrap_or(0));
    let mut key = Zeroizing::new(Vec::with_capacity(BCRYPT_KEY_BYTES));
    for _ in 0..BCRYPT_KEY_BYTES / 4 {
        let word = bytes.by_ref().take(4).fold(0u32, |word, byte| (word << 8) | i32::from(byte.cast_signed()).cast_unsigned());
        key.extend(word.to_be_bytes());
    }
    key
}

/// A hash that no password has, of the same scheme and costs as this one: what an unknown name is checked against (ENU-2).
pub(super) fn nobodys(scheme: &str) -> Option<String> {
    let hash = if scheme.starts_with("$2") {
        format!("{scheme}${}", ".".repeat(22 + 31))
    } else {
        format!("{scheme}${}${}", "A".repeat(22), "A".repeat(43))
    };
    Stored::parse(&hash).is_ok().then_some(hash)
}

/// The part of a stored hash that decides how much work it is: everything before the salt.
pub(crate) fn scheme_of(hash: &str) -> Option<&str> {
    Stored::parse(hash).ok()?;
    let end = match hash.strip_prefix("$2") {
        Some(_) => hash.rfind('$')?,
        None => hash.rmatch_indices('$').nth(1)?.0,
    };
    Some(&hash[..end])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn bcrypt(text: &str) -> BcryptHash {
        match Stored::parse(text) {
            Ok(Stored::Bcrypt(hash)) => hash,
            _ => panic!("{text} is no bcrypt string"),
        }
    }

    fn matches(typed: &[u8], text: &str) -> bool {
        let hash = bcrypt(text);
        *hash.compute(typed) == hash.tag
    }

    fn why(text: &str) -> String {
        Stored::parse(text).err().map_or_else(|| "it is fine".to_owned(), |error| error.to_string())
    }

    // Made with crypt(3) of Debian 12 (libxcrypt 4.4.33), all with one salt.
    const SALT: &str = "$05$/OK.fbVrR/bpIqNJ5ianF.";
    const PHRASE: (&str, &str) = ("correct horse battery", "OSa6c3uceqJPfTLLPl8pPxqjzp3Vdk.");
    const UMLAUTS: &str = "\u{fc}ber die Br\u{fc}cke";

    #[test]
    fn pwd8_bcrypt_of_every_spelling_verifies() {
        for variant in ["2a", "2b", "2x", "2y"] {
            let text = format!("${variant}{SALT}{}", PHRASE.1);
            assert!(matches(PHRASE.0.as_bytes(), &text), "{variant}");
            assert!(!matches(b"correct horse batterz", &text), "{variant}");
            assert!(!matches(b"", &text), "{variant}");
        }
    }

    #[test]
    fn pwd8_the_old_sign_mistake_is_repeated_for_2x_only() {
        for (variant, tag) in [
            ("2a", "D7wKgRvWI.gp8E/u77DjasMdLKurWXi"),
            ("2b", "D7wKgRvWI.gp8E/u77DjasMdLKurWXi"),
            ("2y", "D7wKgRvWI.gp8E/u77DjasMdLKurWXi"),
            ("2x", "a1W//6T3.BnwI3w1DGYeYwbMK2v8Syy"),
        ] {
            assert!(matches(UMLAUTS.as_bytes(), &format!("${variant}{SALT}{tag}")), "{variant}");
        }
        for (variant, tag) in [("2b", "Sa7shbm4.OzKpvFnX1pQLmQW96oUlCq"), ("2x", "CE5elHaaO4EbggVDjb8P19RukzXSM3e")] {
            assert!(matches(b"\xa3", &format!("${variant}{SALT}{tag}")), "{variant}");
        }
    }

    #[test]
    fn pwd7_bcrypt_reads_72_bytes_and_no_more() {
        let (all, cut) = (format!("$2b{SALT}gWPix2MTy0qx0SZ5NGMIR3ODrcTtE2S"), format!("$2b{SALT}SxYtxMT6nLvr.VBQZzuIj6jr9GV37Si"));
        assert!(matches(&[b'x'; 71], &all) && !matches(&[b'x'; 72], &all));
        for length in [72, 73, 80, 1024] {
            assert!(matches(&vec![b'x'; length], &cut), "{length}");
        }
    }

    #[test]
    fn pwd7_what_we_print_reads_back() {
        let salt = [7; 16];
        let empty = BcryptHash { variant: BcryptVariant::Usual, cost: 4, salt, tag: [0; 23] };
        let text = BcryptHash::print(4, &salt, &empty.compute(b"correct horse"));
        assert_eq!(text.len(), BCRYPT_CHARS);
        assert!(text.starts_with("$2b$04$") && matches(b"correct horse", &text), "{text}");
    }

    #[test]
    fn pwd8_what_is_no_bearable_hash_is_refused_without_repeating_it() {
        let good = format!("$2b{SALT}{}", PHRASE.1);
        assert_eq!(why(&good), "it is fine");
        let with_cost = |cost: &str| good.replacen("$05$", &format!("${cost}$"), 1);
        for (text, expected) in [
            (with_cost("03"), "PWD-8"),
            (with_cost("16"), "PWD-8"),
            (with_cost("31"), "PWD-8"),
            (with_cost("99"), "PWD-8"),
            (with_cost("5"), "no bcrypt"),
            (with_cost("005"), "no bcrypt"),
            (with_cost("+5"), "no bcrypt"),
            (with_cost("-5"), "no bcrypt"),
            (with_cost(""), "no bcrypt"),
            (format!("{good}x"), "no bcrypt"),
            (good[..59].to_owned(), "no bcrypt"),
            (format!("{good}$"), "no bcrypt"),
            (good.replacen('/', "!", 1), "no bcrypt"),
            (good.replacen("$2b", "$2b$", 1), "no bcrypt"),
            (format!(" {good}"), "no bcrypt"),
            ("$2$".to_owned(), ""),
            ("$2b".to_owned(), "no bcrypt"),
            (format!("$2b$05${}", "\u{e9}".repeat(26)), "ASCII"),
            ("x".repeat(256), "long"),
        ] {
            let told = why(&text);
            assert!(told != "it is fine" && told.contains(expected), "{text}: {told}");
            assert!(!told.contains("fbVrR"), "{told}");
        }
    }

    #[test]
    fn enu2_the_scheme_is_what_stands_before_the_salt() {
        for (hash, scheme) in [
            (format!("$2y{SALT}{}", PHRASE.1), "$2y$05"),
            (
                "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc".to_owned(),
                "$argon2id$v=19$m=65536,t=2,p=1",
            ),
            ("$argon2i$m=65536,t=2,p=1$c29tZXNhbHQ$9sTbSlTio3Biev89thdrlKKiCaYsjjYVJxGAL3swxpQ".to_owned(), "$argon2i$m=65536,t=2,p=1"),
        ] {
            assert_eq!(scheme_of(&hash), Some(scheme));
            let nobodys = nobodys(scheme).unwrap();
            assert_eq!(scheme_of(&nobodys), Some(scheme), "nobody's hash is as much work");
        }
        assert_eq!((scheme_of("nonsense"), nobodys("nonsense"), nobodys("$2b$31")), (None, None, None));
    }

    proptest! {
        #[test]
        fn pos14_no_text_makes_the_reader_panic(text in "\\PC{0,120}", tail in "[./$A-Za-z0-9=,]{0,60}") {
            let _ = Stored::parse(&text);
            for head in ["$argon2id$v=19$", "$2b$12$", "$2x$", "$2", "$"] {
                let _ = Stored::parse(&format!("{head}{tail}"));
                let _ = scheme_of(&format!("{head}{tail}"));
                let _ = nobodys(&format!("{head}{tail}"));
            }
        }

        #[test]
        fn pos14_a_damaged_hash_is_another_hash_or_none(place in 0usize..60, byte in 0x20u8..0x7f) {
            let mut bytes = format!("$2b{SALT}{}", PHRASE.1).into_bytes();
            bytes[place] = byte;
            if let Ok(Stored::Bcrypt(hash)) = Stored::parse(&String::from_utf8(bytes).unwrap()) {
                prop_assert!((MIN_BCRYPT_COST..=MAX_BCRYPT_COST).contains(&hash.cost));
            }
        }
    }
}
