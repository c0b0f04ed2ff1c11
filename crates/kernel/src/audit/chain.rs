//! The chain: which bytes of a row are hashed, and how the hashes follow one another (PRV-2).
//!
//! Everything that is hashed is written in one way: a first line that says what it is, then each member that is there as its
//! name, a space, the length of its value in bytes and a line feed, then the value and a line feed. The order is fixed. Numbers
//! are decimal, hashes and salts lower-case hexadecimal, identifiers in their usual form with hyphens, texts the UTF-8 bytes
//! that are stored. Since lengths are told, no two rows read alike. `docs/audit.md` says the same to whoever verifies from outside.

use sha2::{Digest as _, Sha256};

use crate::audit::store::AuditRow;
use crate::seal::Keyring;
use crate::time::Timestamp;

/// A SHA-256.
pub(crate) type Hash = [u8; 32];

/// What comes before the first row.
pub(crate) const GENESIS: Hash = [0; 32];

/// Writes members into a hash.
struct Members(Sha256);

impl Members {
    fn of(what: &str) -> Members {
        Members(Sha256::new().chain_update(what).chain_update("\n"))
    }

    fn text(self, name: &str, value: &str) -> Members {
        let head = format!("{name} {}\n", value.len());
        Members(self.0.chain_update(head).chain_update(value).chain_update("\n"))
    }

    fn maybe(self, name: &str, value: Option<&str>) -> Members {
        match value {
            Some(value) => self.text(name, value),
            None => self,
        }
    }

    fn hash(self) -> Hash {
        self.0.finalize().into()
    }
}

/// The hash of a row at this place, after the row with that hash.
pub(super) fn row_hash(row: &AuditRow, seq: i64, prev_hash: &Hash) -> Hash {
    let (origin, personal) = (row.origin_hash.as_ref().map(|hash| hex(hash)), row.personal_hash.as_ref().map(|hash| hex(hash)));
    Members::of("undercroft audit row 1")
        .text("seq", &seq.to_string())
        .text("prev_hash", &hex(prev_hash))
        .text("id", &row.id.to_string())
        .text("at", &row.at.as_millis().to_string())
        .text("actor", &row.actor)
        .text("action", &row.action)
        .maybe("subject", row.subject.as_deref())
        .text("result", &row.result)
        .maybe("request_id", row.request_id.as_deref())
        .maybe("detail", row.detail.as_deref())
        .maybe("origin_hash", origin.as_deref())
        .maybe("personal_hash", personal.as_deref())
        .hash()
}

/// The salted hash of where somebody called from.
pub(super) fn origin_hash(salt: &[u8; 16], ip: Option<&str>, user_agent: Option<&str>) -> Hash {
    Members::of("undercroft audit origin 1").text("salt", &hex(salt)).maybe("ip", ip).maybe("user_agent", user_agent).hash()
}

/// The salted hash of the names and addresses of people in a row.
pub(super) fn personal_hash(salt: &[u8; 16], personal: &str) -> Hash {
    Members::of("undercroft audit personal 1").text("salt", &hex(salt)).text("personal", personal).hash()
}

/// Whether the erasable members are those that entered the chain, or were erased with their salt.
pub(super) fn is_true_to_its_commitments(row: &AuditRow) -> bool {
    let origin = match (&row.origin_salt, &row.origin_hash) {
        (Some(salt), Some(hash)) => origin_hash(salt, row.ip.as_deref(), row.user_agent.as_deref()) == *hash,
        (None, _) => row.ip.is_none() && row.user_agent.is_none(),
        (Some(_), None) => false,
    };
    let personal = match (&row.personal_salt, &row.personal, &row.personal_hash) {
        (Some(salt), Some(personal), Some(hash)) => personal_hash(salt, personal) == *hash,
        (None, None, _) => true,
        _ => false,
    };
    origin && personal
}

/// A place in the chain that was written down: what somebody without the key file cannot forge.
pub(super) fn head_mac(keys: &Keyring, kind: &str, seq: i64, hash: &Hash, at: Timestamp) -> Hash {
    keys.mac(HEAD_PURPOSE, &head_bytes(kind, seq, hash, at))
}

pub(super) fn is_head_mac(keys: &Keyring, kind: &str, seq: i64, hash: &Hash, at: Timestamp, mac: &Hash) -> bool {
    keys.verify_mac(HEAD_PURPOSE, &head_bytes(kind, seq, hash, at), mac)
}

const HEAD_PURPOSE: &str = "audit head";

fn head_bytes(kind: &str, seq: i64, hash: &Hash, at: Timestamp) -> Vec<u8> {
    format!("{kind}\n{seq}\n{}\n{}\n", hex(hash), at.as_millis()).into_bytes()
}

/// Lower-case hexadecimal.
pub(super) fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]).map(|digit| char::from(DIGITS[usize::from(digit)])).collect()
}

/// A hash as people write it.
pub(super) fn parse_hash(text: &str) -> Option<Hash> {
    let digits = text.as_bytes();
    if digits.len() != 64 || !digits.iter().all(u8::is_ascii_hexdigit) {
        return None;
    }
    let mut hash = [0; 32];
    for (byte, pair) in hash.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    Some(hash)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::Id;

    fn row() -> AuditRow {
        AuditRow {
            id: "019ab0b2-8f00-7000-8000-000000000001".parse::<Id<AuditRow>>().unwrap(),
            at: Timestamp::from_millis(1_763_812_800_000),
            actor: "anonymous".to_owned(),
            action: "accounts.session.start".to_owned(),
            subject: Some("user:7".to_owned()),
            result: "ok".to_owned(),
            ip: Some("203.0.113.7".to_owned()),
            user_agent: None,
            origin_salt: Some([7; 16]),
            origin_hash: Some(origin_hash(&[7; 16], Some("203.0.113.7"), None)),
            request_id: None,
            detail: Some("{\"a\":\"ü\"}".to_owned()),
            personal: None,
            personal_salt: None,
            personal_hash: None,
            seq: None,
            prev_hash: None,
            hash: None,
        }
    }

    #[test]
    fn prv2_the_hashed_bytes_are_the_published_ones() {
        let origin = "undercroft audit origin 1\nsalt 32\n07070707070707070707070707070707\nip 11\n203.0.113.7\n";
        let origin = hex(&Sha256::digest(origin));
        let text = format!(
            "undercroft audit row 1\nseq 1\n1\nprev_hash 64\n{}\nid 36\n019ab0b2-8f00-7000-8000-000000000001\nat 13\n1763812800000\n\
             actor 9\nanonymous\naction 22\naccounts.session.start\nsubject 6\nuser:7\nresult 2\nok\ndetail 10\n{{\"a\":\"ü\"}}\n\
             origin_hash 64\n{origin}\n",
            "0".repeat(64)
        );
        assert_eq!(hex(&row_hash(&row(), 1, &GENESIS)), hex(&Sha256::digest(text)));
    }

    #[test]
    fn prv2_no_member_can_pass_for_another() {
        let absent = AuditRow { detail: None, request_id: Some("x".to_owned()), ..row() };
        let moved = AuditRow { detail: Some("x".to_owned()), request_id: None, ..row() };
        let empty = AuditRow { detail: None, request_id: None, ..row() };
        let spread = AuditRow { action: "a\nsubject 1\nb".to_owned(), subject: None, ..row() };
        let apart = AuditRow { action: "a".to_owned(), subject: Some("b".to_owned()), ..row() };
        let hashes: std::collections::BTreeSet<Hash> =
            [absent, moved, empty, spread, apart].iter().map(|row| row_hash(row, 1, &GENESIS)).collect();
        assert_eq!(hashes.len(), 5);
    }

    #[test]
    fn prv2_an_erased_row_is_true_and_a_half_erased_one_is_not() {
        assert!(is_true_to_its_commitments(&row()));
        assert!(is_true_to_its_commitments(&AuditRow { ip: None, origin_salt: None, ..row() }));
        assert!(!is_true_to_its_commitments(&AuditRow { ip: None, ..row() }));
        assert!(!is_true_to_its_commitments(&AuditRow { origin_salt: None, ..row() }));
        assert!(!is_true_to_its_commitments(&AuditRow { origin_hash: None, ..row() }));
        assert!(!is_true_to_its_commitments(&AuditRow { personal: Some("{}".to_owned()), ..row() }));
    }

    #[test]
    fn a_hash_is_read_as_it_is_written() {
        let hash: Hash = Sha256::digest("x").into();
        assert_eq!(parse_hash(&hex(&hash)), Some(hash));
        assert_eq!([parse_hash("ab"), parse_hash(&"g".repeat(64)), parse_hash(&"é".repeat(32))], [None; 3]);
    }
}
