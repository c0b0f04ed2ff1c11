//! The passwords that everybody tries first, inside the binary (PWD-3): nothing is asked of anybody else.
//!
//! A binary fuse filter of 16-bit fingerprints takes 1.1 MB for half a million entries. It never misses one of them, and takes
//! one password in 65,536 for one of them; whoever meets that chooses another. `blocklist/README.md` says where the list comes
//! from and how the filter is made.

use sha2::{Digest as _, Sha256};
use xorf::{BinaryFuse16, BinaryFuse16Ref, DmaSerializable, Filter as _, FilterRef as _};
use zeroize::Zeroizing;

/// The fewest code points of an entry; shorter passwords are refused for their length.
pub const SHORTEST_ENTRY: usize = 8;

/// The description of the filter at the start of the file.
const HEAD_BYTES: usize = <BinaryFuse16 as DmaSerializable>::DESCRIPTOR_LEN;

const FILE: &[u8] = include_bytes!("../../blocklist/common.fuse16");

/// Bytes at an even address: the fingerprints are read in place, two bytes each.
#[repr(C, align(2))]
struct Even<B>(B);

static FILTER: Even<[u8; FILE.len()]> = Even(*include_bytes!("../../blocklist/common.fuse16"));

/// Whether this is one of the common passwords, in whatever case it is written.
pub fn contains(password: &str) -> bool {
    let (head, fingerprints) = FILTER.0.split_at(HEAD_BYTES);
    BinaryFuse16Ref::from_dma(head, fingerprints).contains(&key_of(password))
}

/// What the filter knows an entry by: the first 64 bits of SHA-256 over its lower case.
pub fn key_of(password: &str) -> u64 {
    let lower = Zeroizing::new(password.to_lowercase());
    let hash: [u8; 32] = Sha256::digest(lower.as_bytes()).into();
    u64::from_be_bytes([hash[0], hash[1], hash[2], hash[3], hash[4], hash[5], hash[6], hash[7]])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pwd3_common_passwords_are_known_in_any_case() {
        for common in ["password123", "Password123", "PASSWORD123", "1234567890", "qwertyuiop", "iloveyou", "aaaaaaaaaa", "trustno1"] {
            assert!(contains(common), "{common}");
        }
    }

    #[test]
    fn pwd3_what_few_people_choose_is_not_on_the_list() {
        for rare in ["seven bridges of Koenigsberg", "correct horse battery staple", "пароль-длинный", "", "password124 is a sentence"]
        {
            assert!(!contains(rare), "{rare}");
        }
    }

    #[test]
    fn pwd3_one_made_up_password_in_65536_is_taken_for_a_common_one() {
        let wrong = (0..200_000).filter(|number| contains(&format!("a made-up password, the {number}th"))).count();
        assert!(wrong <= 15, "{wrong} of 200,000; three are expected");
    }

    #[test]
    fn pwd3_the_filter_is_as_large_as_its_list_demands() {
        let per_entry = (FILE.len() - HEAD_BYTES) as f64 * 8.0 / 474_743.0;
        assert!((16.0..19.0).contains(&per_entry), "{per_entry} bits for each entry");
    }

    #[test]
    fn a_key_does_not_change_with_the_program() {
        assert_eq!(key_of("password123"), key_of("PassWord123"));
        assert_eq!(key_of("password123"), 0xef92_b778_bafe_771e);
    }
}
