//! Lists in pages: what a caller asks for, what it gets, and the signed cursors between them (R-20 to R-25).
//!
//! A cursor is base64url of a tag and a compact list of values: the keys of the last row seen. The tag is an HMAC over the
//! values and over the scope: operation, filter, sort, locale and principal. A cursor that is changed, or used elsewhere, is
//! `cursor_invalid`; the scope itself is not in it, so that it stays short. A [`Keyset`] does all of it for a list that sorts.

mod keyset;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::error::{CURSOR_INVALID, Result};
use crate::seal::Keyring;

pub use keyset::{KeyKind, Keyset, SortKey};

/// What a caller asks of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PageRequest {
    /// How many items at most, 1 to [`PageRequest::LIMIT_MAX`].
    pub limit: u32,
    /// Where to go on, as the page before gave it.
    pub cursor: Option<String>,
    /// Whether to count all items.
    pub count: bool,
}

impl PageRequest {
    /// How many items a page has when the caller does not say (R-20).
    pub const LIMIT_DEFAULT: u32 = 20;
    /// How many items a page has at most (R-20).
    pub const LIMIT_MAX: u32 = 100;

    /// The request with a limit that is clamped to what a page may hold.
    pub fn new(limit: Option<u32>, cursor: Option<String>) -> PageRequest {
        let limit = limit.unwrap_or(PageRequest::LIMIT_DEFAULT).clamp(1, PageRequest::LIMIT_MAX);
        PageRequest { limit, cursor, count: false }
    }
}

impl Default for PageRequest {
    fn default() -> PageRequest {
        PageRequest { limit: PageRequest::LIMIT_DEFAULT, cursor: None, count: false }
    }
}

/// One page of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page<T> {
    /// The items, in order.
    pub items: Vec<T>,
    /// The cursor of the page after this one; none on the last.
    pub next_cursor: Option<String>,
    /// How many items the whole list has, when it was asked for.
    pub total: Option<u64>,
}

impl<T> Page<T> {
    /// The same page with each item made into something else.
    pub fn map<U>(self, f: impl FnMut(T) -> U) -> Page<U> {
        Page { items: self.items.into_iter().map(f).collect(), next_cursor: self.next_cursor, total: self.total }
    }

    /// The page of rows that a store read with a limit of one more than the page has.
    ///
    /// The surplus row only tells that there is a next page; `cursor_of` makes the cursor from the last row that is shown.
    pub fn of_rows(mut rows: Vec<T>, limit: u32, cursor_of: impl FnOnce(&T) -> String) -> Page<T> {
        let limit = limit as usize;
        let has_more = rows.len() > limit;
        rows.truncate(limit);
        let next_cursor = rows.last().filter(|_| has_more).map(cursor_of);
        Page { items: rows, next_cursor, total: None }
    }
}

/// The list that a cursor belongs to; a cursor of another one is refused (R-21).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CursorScope<'a> {
    /// The operation, such as `listPosts`.
    pub operation: &'a str,
    /// All that narrows the list: filter, equality parameters, search text.
    pub filter: &'a str,
    /// The order.
    pub sort: &'a str,
    /// The content locale.
    pub locale: &'a str,
    /// Whose view of the list it is.
    pub principal: &'a str,
}

/// One key of the row after which a page goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CursorValue {
    /// Nothing.
    Null,
    /// An integer; also times, dates and booleans.
    Int(i64),
    /// A text, such as a folded title.
    Text(String),
    /// Bytes, such as an id.
    Bytes(Vec<u8>),
}

/// The most characters of a cursor that is looked at. Those we make stay under 1 KiB (R-21) as long as their texts do.
const MAX_CURSOR_CHARS: usize = 4_096;
/// 128 bits of HMAC-SHA256.
const TAG_LENGTH: usize = 16;
const PURPOSE: &str = "cursor/1";

const NULL: u8 = 0;
const INT: u8 = 1;
const TEXT: u8 = 2;
const BYTES: u8 = 3;

/// The cursor of these keys in this list.
///
/// Sort keys must be bounded where they are computed: texts of 700 bytes together make a cursor of 1 KiB.
///
/// ```
/// use kernel::page::{CursorScope, CursorValue, decode_cursor, encode_cursor};
///
/// let keys = kernel::seal::Keyring::generate(&kernel::Random::system());
/// let scope = CursorScope { operation: "listPosts", filter: "", sort: "-published_at", locale: "en", principal: "anyone" };
/// let values = [CursorValue::Int(1_763_812_800_000), CursorValue::Bytes(vec![7; 16])];
/// let cursor = encode_cursor(&keys, &scope, &values);
/// assert_eq!(decode_cursor(&keys, &scope, &cursor).unwrap(), values);
/// assert!(decode_cursor(&keys, &CursorScope { sort: "title", ..scope }, &cursor).is_err());
/// ```
pub fn encode_cursor(keys: &Keyring, scope: &CursorScope<'_>, values: &[CursorValue]) -> String {
    let mut payload = Vec::with_capacity(64);
    for value in values {
        write_value(&mut payload, value);
    }
    let tag = keys.mac(PURPOSE, &signed(scope, &payload));
    URL_SAFE_NO_PAD.encode([&tag[..TAG_LENGTH], &payload].concat())
}

/// The keys in a cursor of this list.
///
/// # Errors
/// `cursor_invalid` for anything that [`encode_cursor`] did not make for the same scope with a key of the key file.
pub fn decode_cursor(keys: &Keyring, scope: &CursorScope<'_>, text: &str) -> Result<Vec<CursorValue>> {
    open(keys, scope, text).ok_or_else(|| CURSOR_INVALID.error())
}

fn open(keys: &Keyring, scope: &CursorScope<'_>, text: &str) -> Option<Vec<CursorValue>> {
    if text.len() > MAX_CURSOR_CHARS {
        return None;
    }
    let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
    let (tag, mut payload) = bytes.split_at_checked(TAG_LENGTH)?;
    if !keys.verify_mac(PURPOSE, &signed(scope, payload), tag) {
        return None;
    }
    let mut values = Vec::new();
    while !payload.is_empty() {
        values.push(read_value(&mut payload)?);
    }
    Some(values)
}

/// What the tag stands for: each part with its length, so that none can pass for a piece of its neighbour.
fn signed(scope: &CursorScope<'_>, payload: &[u8]) -> Vec<u8> {
    let CursorScope { operation, filter, sort, locale, principal } = scope;
    let mut data = Vec::with_capacity(256);
    for part in [operation, filter, sort, locale, principal] {
        data.extend_from_slice(&(part.len() as u64).to_le_bytes());
        data.extend_from_slice(part.as_bytes());
    }
    data.extend_from_slice(payload);
    data
}

fn write_value(payload: &mut Vec<u8>, value: &CursorValue) {
    match value {
        CursorValue::Null => payload.push(NULL),
        CursorValue::Int(value) => {
            payload.push(INT);
            // Zigzag: small numbers of either sign become short.
            write_varint(payload, ((value << 1) ^ (value >> 63)) as u64);
        }
        CursorValue::Text(text) => write_bytes(payload, TEXT, text.as_bytes()),
        CursorValue::Bytes(bytes) => write_bytes(payload, BYTES, bytes),
    }
}

fn write_bytes(payload: &mut Vec<u8>, kind: u8, bytes: &[u8]) {
    payload.push(kind);
    write_varint(payload, bytes.len() as u64);
    payload.extend_from_slice(bytes);
}

fn write_varint(payload: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        payload.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    payload.push(value as u8);
}

fn read_value(payload: &mut &[u8]) -> Option<CursorValue> {
    Some(match *payload.split_off_first()? {
        NULL => CursorValue::Null,
        INT => {
            let value = read_varint(payload)?;
            CursorValue::Int((value >> 1) as i64 ^ -((value & 1) as i64))
        }
        TEXT => CursorValue::Text(String::from_utf8(read_bytes(payload)?).ok()?),
        BYTES => CursorValue::Bytes(read_bytes(payload)?),
        _ => return None,
    })
}

fn read_bytes(payload: &mut &[u8]) -> Option<Vec<u8>> {
    let length = usize::try_from(read_varint(payload)?).ok()?;
    payload.split_off(..length).map(<[u8]>::to_vec)
}

fn read_varint(payload: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let byte = *payload.split_off_first()?;
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::random::Random;

    const SCOPE: CursorScope<'static> = CursorScope {
        operation: "listPosts",
        filter: "status == 'public'",
        sort: "-published_at,title",
        locale: "de-AT",
        principal: "user:7",
    };

    fn keys() -> Keyring {
        Keyring::generate(&Random::seeded(1))
    }

    fn values() -> Vec<CursorValue> {
        vec![CursorValue::Int(1_763_812_800_000), CursorValue::Text("grüße".to_owned()), CursorValue::Null, CursorValue::Bytes(vec![7; 16])]
    }

    #[test]
    fn r21_a_cursor_gives_back_its_keys_and_is_short() {
        let cursor = encode_cursor(&keys(), &SCOPE, &values());
        assert_eq!(decode_cursor(&keys(), &SCOPE, &cursor).unwrap(), values());
        assert!(cursor.len() < 75, "{cursor}");
        let long = [CursorValue::Text("x".repeat(700)), CursorValue::Int(i64::MIN), CursorValue::Bytes(vec![7; 16])];
        assert!(encode_cursor(&keys(), &SCOPE, &long).len() <= 1_024);
    }

    #[test]
    fn r21_a_cursor_of_another_list_is_refused() {
        let cursor = encode_cursor(&keys(), &SCOPE, &values());
        for other in [
            CursorScope { operation: "listPages", ..SCOPE },
            CursorScope { filter: "", ..SCOPE },
            CursorScope { sort: "title", ..SCOPE },
            CursorScope { locale: "de", ..SCOPE },
            CursorScope { principal: "user:8", ..SCOPE },
            CursorScope { operation: "listPost", filter: "sstatus == 'public'", ..SCOPE },
        ] {
            assert_eq!(decode_cursor(&keys(), &other, &cursor).unwrap_err().code(), "cursor_invalid");
        }
    }

    #[test]
    fn r21_a_cursor_of_another_server_or_from_thin_air_is_refused() {
        let stranger = Keyring::generate(&Random::seeded(2));
        let cursor = encode_cursor(&stranger, &SCOPE, &values());
        let cut = &encode_cursor(&keys(), &SCOPE, &values())[..40];
        let endless = "A".repeat(1_000_000);
        for text in [cursor.as_str(), cut, &endless, "", "A", "AAAAAAAAAAAAAAAAAAAAAA", "not a cursor", "ü", "\0"] {
            assert_eq!(decode_cursor(&keys(), &SCOPE, text).unwrap_err().code(), "cursor_invalid");
        }
    }

    #[test]
    fn a_signed_payload_that_is_not_ours_is_refused_without_a_panic() {
        for payload in [
            &[9][..],
            &[TEXT],
            &[TEXT, 5, b'a'],
            &[TEXT, 1, 0xff],
            &[INT, 0x80],
            &[BYTES, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1],
        ] {
            let tag = keys().mac(PURPOSE, &signed(&SCOPE, payload));
            let text = URL_SAFE_NO_PAD.encode([&tag[..TAG_LENGTH], payload].concat());
            assert!(decode_cursor(&keys(), &SCOPE, &text).is_err(), "{payload:?}");
        }
    }

    #[test]
    fn a_page_of_rows_knows_whether_there_is_another() {
        let page = Page::of_rows(vec![1, 2, 3], 2, |last| format!("after {last}"));
        assert_eq!((page.items, page.next_cursor), (vec![1, 2], Some("after 2".to_owned())));
        let page = Page::of_rows(vec![1, 2], 2, |last| format!("after {last}"));
        assert_eq!((page.items.len(), page.next_cursor), (2, None));
        let page = Page { items: vec![1, 2], next_cursor: Some("c".to_owned()), total: Some(9) }.map(|n| n * 10);
        assert_eq!(page, Page { items: vec![10, 20], next_cursor: Some("c".to_owned()), total: Some(9) });
    }

    fn any_values() -> impl Strategy<Value = Vec<CursorValue>> {
        let value = prop_oneof![
            Just(CursorValue::Null),
            any::<i64>().prop_map(CursorValue::Int),
            ".{0,20}".prop_map(CursorValue::Text),
            prop::collection::vec(any::<u8>(), 0..20).prop_map(CursorValue::Bytes),
        ];
        prop::collection::vec(value, 0..5)
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn r21_every_list_of_keys_survives_the_trip(values in any_values()) {
            let cursor = encode_cursor(&keys(), &SCOPE, &values);
            prop_assert_eq!(decode_cursor(&keys(), &SCOPE, &cursor).unwrap(), values);
        }

        #[test]
        fn r21_one_flipped_bit_never_decodes(values in any_values(), bit in any::<prop::sample::Index>()) {
            let mut cursor = encode_cursor(&keys(), &SCOPE, &values).into_bytes();
            let bit = bit.index(cursor.len() * 8);
            cursor[bit / 8] ^= 1 << (bit % 8);
            let cursor = String::from_utf8_lossy(&cursor);
            prop_assert!(decode_cursor(&keys(), &SCOPE, &cursor).is_err());
        }
    }
}
