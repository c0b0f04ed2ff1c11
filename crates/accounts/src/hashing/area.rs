//! One thread's Argon2 work area, and the PHC strings that go in and out of it (HSH-2, PWD-5, PWD-8).

use argon2::password_hash::phc::{Output, ParamsString, PasswordHash, Salt};
use argon2::{ARGON2ID_IDENT, Algorithm, Argon2, Block, Params, Version};
use kernel::{Error, Result};
use zeroize::Zeroizing;

use super::Verdict;
use crate::secrets::{Password, is_same};

/// The most memory that a stored hash may ask for, in KiB (PWD-8).
pub(super) const MAX_M_KIB: u32 = 256 * 1024;

/// The most passes that a stored hash may ask for (PWD-8).
pub(super) const MAX_T: u32 = 16;

/// The bytes of a tag that we make (PWD-5).
const TAG_BYTES: usize = 32;

/// The bytes of a salt that we make (PWD-5).
pub(super) const SALT_BYTES: usize = 16;

/// The memory that one thread hashes in, again and again: a fresh 19 MiB per hash costs ten times the residence.
///
/// It is filled at the first hash, so an idle server stays small. It is not wiped between hashes, which would cost a tenth of
/// each: after the second pass no block can be checked against a guess faster than by hashing, and the next hash overwrites it.
pub(super) struct Area {
    current: Params,
    blocks: Vec<Block>,
}

impl Area {
    /// An area for hashes with these parameters.
    pub(super) fn new(current: Params) -> Area {
        Area { current, blocks: Vec::new() }
    }

    /// Hashes a new password into a PHC string.
    pub(super) fn hash(&mut self, password: &Password, salt: [u8; SALT_BYTES]) -> Result<String> {
        let mut tag = Zeroizing::new([0; TAG_BYTES]);
        let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, self.current.clone());
        self.compute(&argon2, password.composed().as_bytes(), &salt, tag.as_mut_slice())?;
        phc(&self.current, &salt, tag.as_slice())
    }

    /// Compares a typed password with a stored PHC string, by making its hash again.
    ///
    /// What we stored was composed; what another system stored may not have been. So when the typed bytes differ from the
    /// composed ones, both are tried; that doubles the time by what was typed, never by who was found (ENU-2).
    pub(super) fn verify(&mut self, password: &Password, stored: &str) -> Result<Verdict> {
        let stored = Stored::parse(stored)?;
        let mut tag = Zeroizing::new(vec![0; stored.tag.len()]);
        for (typed, is_ours) in [(Some(password.composed()), true), (password.raw(), false)] {
            let Some(typed) = typed else { continue };
            self.compute(&stored.argon2, typed.as_bytes(), &stored.salt, &mut tag)?;
            if is_same(&tag, stored.tag.as_bytes()) {
                return Ok(Verdict { matches: true, needs_rehash: !is_ours || self.is_outdated(&stored) });
            }
        }
        Ok(Verdict { matches: false, needs_rehash: false })
    }

    /// Makes one tag. All hashing of the process happens in here.
    fn compute(&mut self, argon2: &Argon2<'_>, typed: &[u8], salt: &[u8], tag: &mut [u8]) -> Result<()> {
        debug_assert!(super::is_hashing_thread(), "HSH-1: hashing outside the hashing threads");
        let needed = argon2.params().block_count();
        self.make_room_for(needed);
        let outcome = argon2.hash_password_into_with_memory(typed, salt, tag, &mut self.blocks[..needed]);
        if needed > self.current.block_count() {
            self.blocks = Vec::new();
        }
        outcome.map_err(Error::internal)
    }

    fn make_room_for(&mut self, needed: usize) {
        if self.blocks.len() < needed {
            // Free first: a growing vector would hold both sizes for a moment.
            self.blocks = Vec::new();
            self.blocks.resize(needed.max(self.current.block_count()), Block::new());
        }
    }

    fn is_outdated(&self, stored: &Stored) -> bool {
        stored.algorithm != Algorithm::Argon2id
            || stored.version != Version::V0x13
            || costs(stored.argon2.params()) != costs(&self.current)
            || stored.tag.len() != TAG_BYTES
            || stored.salt.len() < SALT_BYTES
    }
}

/// A hash that no password has: what an unknown name is checked against, with the same work (ENU-2).
pub(super) fn nobodys_hash(current: &Params) -> Result<String> {
    phc(current, &[0; SALT_BYTES], &[0; TAG_BYTES])
}

/// A stored hash, read and found bearable.
struct Stored {
    argon2: Argon2<'static>,
    algorithm: Algorithm,
    version: Version,
    salt: Salt,
    tag: Output,
}

impl Stored {
    fn parse(text: &str) -> Result<Stored> {
        let hash = PasswordHash::new(text).map_err(unreadable)?;
        let algorithm = Algorithm::try_from(hash.algorithm.as_str()).map_err(unreadable)?;
        let version = hash.version.map_or(Ok(Version::V0x10), Version::try_from).map_err(unreadable)?;
        let params = Params::try_from(&hash).map_err(unreadable)?;
        if params.m_cost() > MAX_M_KIB || params.t_cost() > MAX_T {
            return Err(unreadable("it asks for more memory or passes than PWD-8 allows"));
        }
        if !params.keyid().is_empty() || !params.data().is_empty() {
            return Err(unreadable("it has a key id or associated data"));
        }
        let (Some(salt), Some(tag)) = (hash.salt, hash.hash) else { return Err(unreadable("it has no salt or no tag")) };
        Ok(Stored { argon2: Argon2::new(algorithm, version, params), algorithm, version, salt, tag })
    }
}

fn costs(params: &Params) -> (u32, u32, u32) {
    (params.m_cost(), params.t_cost(), params.p_cost())
}

fn phc(params: &Params, salt: &[u8], tag: &[u8]) -> Result<String> {
    let hash = PasswordHash {
        algorithm: ARGON2ID_IDENT,
        version: Some(Version::V0x13.into()),
        params: ParamsString::try_from(params).map_err(Error::internal)?,
        salt: Some(Salt::new(salt).map_err(Error::internal)?),
        hash: Some(Output::new(tag).map_err(Error::internal)?),
    };
    Ok(hash.to_string())
}

/// A stored hash that cannot be used is our fault: whoever wrote it had to refuse it. The hash itself is not repeated.
fn unreadable(why: impl std::fmt::Display) -> Error {
    Error::internal(format!("a stored password hash is unusable: {why}"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn cheap() -> Params {
        Params::new(8, 1, 1, None).unwrap()
    }

    /// Runs on a thread with the name that HSH-1 demands.
    fn on_hashing_thread<T: Send + 'static>(work: impl FnOnce(&mut Area) -> T + Send + 'static) -> T {
        let run = move || work(&mut Area::new(cheap()));
        std::thread::Builder::new().name("hasher-test".to_owned()).spawn(run).unwrap().join().unwrap()
    }

    fn verdict(typed: &'static str, stored: &'static str) -> Result<Verdict> {
        on_hashing_thread(move |area| area.verify(&Password::new(typed.to_owned()), stored))
    }

    #[test]
    fn pwd5_a_hash_is_a_phc_string_with_16_bytes_of_salt_and_32_of_tag() {
        let phc = on_hashing_thread(|area| area.hash(&Password::new("password".to_owned()), [7; 16])).unwrap();
        let (head, tail) = phc.split_at("$argon2id$v=19$m=8,t=1,p=1$".len());
        assert_eq!(head, "$argon2id$v=19$m=8,t=1,p=1$");
        let (salt, tag) = tail.split_once('$').unwrap();
        assert_eq!((salt, tag.len()), ("BwcHBwcHBwcHBwcHBwcHBw", 43));
    }

    // From the test suite of the reference implementation, P-H-C/phc-winner-argon2 `src/test.c`.
    const REFERENCE: [&str; 4] = [
        "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc",
        "$argon2i$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$wWKIMhR9lyDFvRz9YTZweHKfbftvj+qf+YFY4NeBbtA",
        "$argon2i$m=65536,t=2,p=1$c29tZXNhbHQ$9sTbSlTio3Biev89thdrlKKiCaYsjjYVJxGAL3swxpQ",
        "$argon2id$v=19$m=256,t=2,p=2$c29tZXNhbHQ$bQk8UB/VmZZF4Oo79iDXuL5/0ttZwg2f/5U52iv1cDc",
    ];

    #[test]
    fn pwd8_hashes_of_the_reference_implementation_verify_and_are_outdated() {
        for stored in REFERENCE {
            assert_eq!(verdict("password", stored).unwrap(), Verdict { matches: true, needs_rehash: true }, "{stored}");
            assert_eq!(verdict("passwore", stored).unwrap(), Verdict { matches: false, needs_rehash: false }, "{stored}");
        }
    }

    #[test]
    fn pwd2_a_hash_of_other_bytes_matches_as_typed_and_is_rehashed() {
        let (ours, theirs) = on_hashing_thread(|area| {
            let ours = area.hash(&Password::new("\u{fc}ber".to_owned()), [1; 16]).unwrap();
            let mut tag = [0; TAG_BYTES];
            let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, cheap());
            area.compute(&argon2, "u\u{308}ber".as_bytes(), &[1; 16], &mut tag).unwrap();
            (ours, phc(&cheap(), &[1; 16], &tag).unwrap())
        });
        assert_ne!(ours, theirs);
        on_hashing_thread(move |area| {
            let typed = Password::new("u\u{308}ber".to_owned());
            assert_eq!(area.verify(&typed, &ours).unwrap(), Verdict { matches: true, needs_rehash: false });
            assert_eq!(area.verify(&typed, &theirs).unwrap(), Verdict { matches: true, needs_rehash: true });
        });
    }

    #[test]
    fn pwd8_a_stored_hash_that_asks_too_much_is_refused_before_hashing() {
        for stored in [
            "$argon2id$v=19$m=262145,t=1,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc",
            "$argon2id$v=19$m=4294967295,t=1,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc",
            "$argon2id$v=19$m=64,t=17,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc",
        ] {
            assert!(verdict("password", stored).unwrap_err().causes().unwrap().contains("PWD-8"), "{stored}");
        }
    }

    #[test]
    fn a_stored_hash_that_cannot_be_read_is_our_fault_and_is_not_repeated() {
        for stored in [
            "",
            "plain",
            "$",
            "$2b$12$R9h/cIPz0gi.URNNX3kh2OPST9/PgBkqquzi.Ss7KIUgO2t0jWMUW",
            "$argon2id$v=19$m=64,t=1,p=1",
            "$argon2id$v=19$m=64,t=1,p=1$c29tZXNhbHQ",
            "$argon2id$v=19$m=64,t=1,p=1$c29t$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc",
            "$argon2id$v=18$m=64,t=1,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc",
            "$argon2id$v=19$m=8,t=1,p=2$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc",
            "$argon2id$v=19$m=64,t=0,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc",
            "$argon2id$v=19$m=64,t=1,p=0$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc",
            "$argon2id$v=19$m=4294967296,t=1,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc",
            "$argon2id$v=19$m=64,t=1,p=1,keyid=Hj5+dsK0$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc",
            "$argon2id$v=19$m=64,t=1,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc$more",
        ] {
            let error = verdict("password", stored).unwrap_err();
            assert_eq!(error.code(), "internal", "{stored}");
            assert!(!error.causes().unwrap().contains("c29t"), "{stored}");
        }
    }

    #[test]
    fn hsh2_the_area_shrinks_again_after_a_larger_stored_hash() {
        on_hashing_thread(|area| {
            assert_eq!(area.blocks.len(), 0);
            area.hash(&Password::new("x".to_owned()), [0; 16]).unwrap();
            assert_eq!(area.blocks.len(), 8);
            area.verify(&Password::new("x".to_owned()), REFERENCE[3]).unwrap();
            assert_eq!(area.blocks.capacity(), 0);
        });
    }

    #[test]
    fn enu2_nobody_has_a_well_formed_hash_with_the_current_costs() {
        let nobody = nobodys_hash(&cheap()).unwrap();
        let verdict = on_hashing_thread(move |area| area.verify(&Password::new("password".to_owned()), &nobody)).unwrap();
        assert!(!verdict.matches);
    }

    #[test]
    #[cfg(debug_assertions)]
    #[should_panic(expected = "HSH-1")]
    fn hsh1_hashing_elsewhere_is_a_bug() {
        let _ = Area::new(cheap()).hash(&Password::new("x".to_owned()), [0; 16]);
    }

    proptest! {
        #[test]
        fn pos14_no_text_makes_the_hash_parser_panic(text in "\\PC{0,120}", tail in "[a-z0-9=,$]{0,60}") {
            let _ = Stored::parse(&text);
            let _ = Stored::parse(&format!("$argon2id$v=19${tail}"));
        }

        #[test]
        fn pwd8_whatever_is_read_stays_within_the_costs(m in 0u32..600_000, t in 0u32..40, p in 0u32..100) {
            let stored = Stored::parse(&format!("$argon2id$v=19$m={m},t={t},p={p}$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc"));
            if let Ok(stored) = stored {
                let params = stored.argon2.params();
                prop_assert!(params.m_cost() <= MAX_M_KIB && params.t_cost() <= MAX_T && params.block_count() <= MAX_M_KIB as usize);
            }
        }
    }
}
