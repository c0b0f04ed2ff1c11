//! One thread's Argon2 work area, and the hashes that go in and out of it (HSH-2, PWD-5, PWD-7, PWD-8).

use argon2::{Algorithm, Argon2, Block, Params, Version};
use kernel::{Error, Result};
use zeroize::Zeroizing;

use super::Verdict;
use super::formats::{Argon2Hash, BcryptHash, BcryptVariant, MAX_BCRYPT_BYTES, Stored};
use crate::secrets::{Password, is_same};

/// The bytes of a tag that we make (PWD-5).
const TAG_BYTES: usize = 32;

/// The bytes of a salt that we make (PWD-5).
pub(super) const SALT_BYTES: usize = 16;

/// How new hashes are made.
#[derive(Clone, Debug)]
pub(super) struct Current {
    /// The costs of Argon2id, which also takes what bcrypt would cut.
    pub(super) argon2: Params,
    /// The cost of bcrypt where it was chosen.
    pub(super) bcrypt_cost: Option<u32>,
}

impl Current {
    /// Whether a password of so many bytes becomes a bcrypt hash: one that is not cut (PWD-7).
    fn bcrypt_cost_for(&self, bytes: usize) -> Option<u32> {
        self.bcrypt_cost.filter(|_| bytes <= MAX_BCRYPT_BYTES)
    }
}

/// The memory that one thread hashes in, again and again: a fresh 19 MiB per hash costs ten times the residence.
///
/// It is filled at the first hash, so an idle server stays small. It is not wiped between hashes, which would cost a tenth of
/// each: after the second pass no block can be checked against a guess faster than by hashing, and the next hash overwrites it.
pub(super) struct Area {
    current: Current,
    blocks: Vec<Block>,
}

impl Area {
    /// An area for hashes that are made like this.
    pub(super) fn new(current: Current) -> Area {
        Area { current, blocks: Vec::new() }
    }

    /// Hashes a new password into a PHC string, or a modular crypt string where bcrypt was chosen.
    pub(super) fn hash(&mut self, password: &Password, salt: [u8; SALT_BYTES]) -> Result<String> {
        let typed = password.composed().as_bytes();
        if let Some(cost) = self.current.bcrypt_cost_for(typed.len()) {
            let empty = BcryptHash { variant: BcryptVariant::Usual, cost, salt, tag: [0; 23] };
            return Ok(BcryptHash::print(cost, &salt, &compute_bcrypt(&empty, typed)));
        }
        let mut tag = Zeroizing::new([0; TAG_BYTES]);
        let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, self.current.argon2.clone());
        self.compute(&argon2, typed, &salt, tag.as_mut_slice())?;
        Argon2Hash::print(&self.current.argon2, &salt, tag.as_slice()).map_err(unreadable)
    }

    /// Compares a typed password with a stored hash, by making its hash again.
    ///
    /// What we stored was composed; what another system stored may not have been. So when the typed bytes differ from the
    /// composed ones, both are tried; that doubles the time by what was typed, never by who was found (ENU-2).
    pub(super) fn verify(&mut self, password: &Password, stored: &str) -> Result<Verdict> {
        let stored = Stored::parse(stored).map_err(unreadable)?;
        for (typed, is_ours) in [(Some(password.composed()), true), (password.raw(), false)] {
            let Some(typed) = typed else { continue };
            if self.is_match(&stored, typed.as_bytes())? {
                let is_cut = matches!(stored, Stored::Bcrypt(_)) && typed.len() > MAX_BCRYPT_BYTES;
                // A new hash would make the ignored tail part of the password, perhaps one that its owner never typed twice.
                let needs_rehash = !is_cut && (!is_ours || self.is_outdated(&stored, typed.len()));
                return Ok(Verdict { matches: true, needs_rehash, is_cut });
            }
        }
        Ok(Verdict { matches: false, needs_rehash: false, is_cut: false })
    }

    fn is_match(&mut self, stored: &Stored, typed: &[u8]) -> Result<bool> {
        match stored {
            Stored::Argon2(hash) => {
                let mut tag = Zeroizing::new(vec![0; hash.tag.len()]);
                self.compute(&hash.argon2, typed, &hash.salt, &mut tag)?;
                Ok(is_same(&tag, hash.tag.as_bytes()))
            }
            Stored::Bcrypt(hash) => Ok(is_same(compute_bcrypt(hash, typed).as_slice(), &hash.tag)),
        }
    }

    /// Makes one Argon2 tag. All hashing of the process happens in here and in [`compute_bcrypt`].
    fn compute(&mut self, argon2: &Argon2<'_>, typed: &[u8], salt: &[u8], tag: &mut [u8]) -> Result<()> {
        debug_assert!(super::is_hashing_thread(), "HSH-1: hashing outside the hashing threads");
        let needed = argon2.params().block_count();
        self.make_room_for(needed);
        let outcome = argon2.hash_password_into_with_memory(typed, salt, tag, &mut self.blocks[..needed]);
        if needed > self.current.argon2.block_count() {
            self.blocks = Vec::new();
        }
        outcome.map_err(Error::internal)
    }

    fn make_room_for(&mut self, needed: usize) {
        if self.blocks.len() < needed {
            // Free first: a growing vector would hold both sizes for a moment.
            self.blocks = Vec::new();
            self.blocks.resize(needed.max(self.current.argon2.block_count()), Block::new());
        }
    }

    fn is_outdated(&self, stored: &Stored, typed_bytes: usize) -> bool {
        match (stored, self.current.bcrypt_cost_for(typed_bytes)) {
            (Stored::Bcrypt(stored), Some(cost)) => stored.variant != BcryptVariant::Usual || stored.cost != cost,
            (Stored::Argon2(stored), None) => {
                stored.algorithm != Algorithm::Argon2id
                    || stored.version != Version::V0x13
                    || costs(stored.argon2.params()) != costs(&self.current.argon2)
                    || stored.tag.len() != TAG_BYTES
                    || stored.salt.len() < SALT_BYTES
            }
            _ => true,
        }
    }
}

fn compute_bcrypt(hash: &BcryptHash, typed: &[u8]) -> Zeroizing<[u8; 23]> {
    debug_assert!(super::is_hashing_thread(), "HSH-1: hashing outside the hashing threads");
    hash.compute(typed)
}

fn costs(params: &Params) -> (u32, u32, u32) {
    (params.m_cost(), params.t_cost(), params.p_cost())
}

/// A stored hash that cannot be used is our fault: whoever wrote it had to refuse it. The hash itself is not repeated.
fn unreadable(why: impl std::fmt::Display) -> Error {
    Error::internal(format!("a stored password hash is unusable: {why}"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::hashing::formats::{MAX_M_KIB, MAX_T, nobodys};

    fn cheap() -> Params {
        Params::new(8, 1, 1, None).unwrap()
    }

    fn argon2id() -> Current {
        Current { argon2: cheap(), bcrypt_cost: None }
    }

    /// Runs on a thread with the name that HSH-1 demands.
    fn on_hashing_thread<T: Send + 'static>(work: impl FnOnce(&mut Area) -> T + Send + 'static) -> T {
        on_hashing_thread_with(argon2id(), work)
    }

    fn on_hashing_thread_with<T: Send + 'static>(current: Current, work: impl FnOnce(&mut Area) -> T + Send + 'static) -> T {
        let run = move || work(&mut Area::new(current));
        std::thread::Builder::new().name("hasher-test".to_owned()).spawn(run).unwrap().join().unwrap()
    }

    const RIGHT: Verdict = Verdict { matches: true, needs_rehash: false, is_cut: false };
    const OUTDATED: Verdict = Verdict { matches: true, needs_rehash: true, is_cut: false };
    const WRONG: Verdict = Verdict { matches: false, needs_rehash: false, is_cut: false };

    // Made with crypt(3) of Debian 12 (libxcrypt 4.4.33): `correct horse battery`, and 80 times x.
    const BCRYPT: &str = "$2y$05$/OK.fbVrR/bpIqNJ5ianF.OSa6c3uceqJPfTLLPl8pPxqjzp3Vdk.";
    const LONG_BCRYPT: &str = "$2b$05$/OK.fbVrR/bpIqNJ5ianF.SxYtxMT6nLvr.VBQZzuIj6jr9GV37Si";

    #[test]
    fn pwd8_an_imported_bcrypt_hash_verifies_and_is_outdated() {
        assert_eq!(verdict("correct horse battery", BCRYPT).unwrap(), OUTDATED);
        assert_eq!(verdict("correct horse batterz", BCRYPT).unwrap(), WRONG);
    }

    #[test]
    fn pwd7_a_password_that_bcrypt_cut_is_not_rehashed() {
        let long: &'static str = Box::leak("x".repeat(80).into_boxed_str());
        assert_eq!(verdict(long, LONG_BCRYPT).unwrap(), Verdict { matches: true, needs_rehash: false, is_cut: true });
        assert_eq!(verdict(&long[..71], LONG_BCRYPT).unwrap(), WRONG);
    }

    #[test]
    fn pwd7_chosen_bcrypt_makes_2b_and_asks_for_a_rehash_of_anything_else() {
        let current = Current { argon2: cheap(), bcrypt_cost: Some(5) };
        on_hashing_thread_with(current, |area| {
            let typed = Password::new("correct horse battery".to_owned());
            let hash = area.hash(&typed, [1; 16]).unwrap();
            assert!(hash.starts_with("$2b$05$"), "{hash}");
            assert_eq!(area.verify(&typed, &hash).unwrap(), RIGHT);
            assert_eq!(area.verify(&typed, BCRYPT).unwrap(), RIGHT, "the same cost in another spelling");
            let cheaper = hash_with(Current { argon2: cheap(), bcrypt_cost: Some(4) }, &typed);
            assert_eq!(area.verify(&typed, &cheaper).unwrap(), OUTDATED);
            assert_eq!(area.verify(&typed, &hash_with(argon2id(), &typed)).unwrap(), OUTDATED);
            assert_eq!(area.verify(&Password::new("password".to_owned()), REFERENCE[3]).unwrap(), OUTDATED);
        });
    }

    fn hash_with(current: Current, typed: &Password) -> String {
        Area::new(current).hash(typed, [1; 16]).unwrap()
    }

    #[test]
    fn pwd7_what_bcrypt_would_cut_becomes_argon2id() {
        on_hashing_thread_with(Current { argon2: cheap(), bcrypt_cost: Some(4) }, |area| {
            let (most, more) = (Password::new("x".repeat(71)), Password::new("x".repeat(72)));
            assert!(area.hash(&most, [1; 16]).unwrap().starts_with("$2b$04$"));
            let hash = area.hash(&more, [1; 16]).unwrap();
            assert!(hash.starts_with("$argon2id$"), "{hash}");
            assert_eq!(area.verify(&more, &hash).unwrap(), RIGHT, "it cannot be made anew as bcrypt");
            assert_eq!(area.verify(&Password::new("x".repeat(73)), &hash).unwrap(), WRONG);
        });
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
            assert_eq!(verdict("password", stored).unwrap(), OUTDATED, "{stored}");
            assert_eq!(verdict("passwore", stored).unwrap(), WRONG, "{stored}");
        }
    }

    #[test]
    fn pwd2_a_hash_of_other_bytes_matches_as_typed_and_is_rehashed() {
        let (ours, theirs) = on_hashing_thread(|area| {
            let ours = area.hash(&Password::new("\u{fc}ber".to_owned()), [1; 16]).unwrap();
            let mut tag = [0; TAG_BYTES];
            let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, cheap());
            area.compute(&argon2, "u\u{308}ber".as_bytes(), &[1; 16], &mut tag).unwrap();
            (ours, Argon2Hash::print(&cheap(), &[1; 16], &tag).unwrap())
        });
        assert_ne!(ours, theirs);
        on_hashing_thread(move |area| {
            let typed = Password::new("u\u{308}ber".to_owned());
            assert_eq!(area.verify(&typed, &ours).unwrap(), RIGHT);
            assert_eq!(area.verify(&typed, &theirs).unwrap(), OUTDATED);
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
            "$2b$31$R9h/cIPz0gi.URNNX3kh2OPST9/PgBkqquzi.Ss7KIUgO2t0jWMUW",
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
        let nobody = nobodys("$argon2id$v=19$m=8,t=1,p=1").unwrap();
        let verdict = on_hashing_thread(move |area| area.verify(&Password::new("password".to_owned()), &nobody)).unwrap();
        assert!(!verdict.matches);
    }

    #[test]
    #[cfg(debug_assertions)]
    #[should_panic(expected = "HSH-1")]
    fn hsh1_hashing_elsewhere_is_a_bug() {
        let _ = Area::new(argon2id()).hash(&Password::new("x".to_owned()), [0; 16]);
    }

    proptest! {
        #[test]
        fn pwd8_whatever_is_read_stays_within_the_costs(m in 0u32..600_000, t in 0u32..40, p in 0u32..100) {
            let stored = Stored::parse(&format!("$argon2id$v=19$m={m},t={t},p={p}$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc"));
            if let Ok(Stored::Argon2(stored)) = stored {
                let params = stored.argon2.params();
                prop_assert!(params.m_cost() <= MAX_M_KIB && params.t_cost() <= MAX_T && params.block_count() <= MAX_M_KIB as usize);
            }
        }
    }
}
