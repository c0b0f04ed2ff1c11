//! Strict reading of JSON: what one receiver reads one way and the next another way is refused (R-14, R-15, R-65).
//!
//! The grammar is serde_json's; this module only watches the values as they are read. Pointers are put together while an error
//! travels up, so that a good document pays nothing for them.

use std::cell::Cell;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

use crate::error::{Error, FieldError, MALFORMED_JSON, Result};

/// How deeply arrays and objects may be nested.
pub const MAX_DEPTH: usize = 32;

/// Reads exactly one JSON value from UTF-8 bytes.
///
/// ```
/// use kernel::json::parse_strict;
///
/// assert_eq!(parse_strict(br#"{"a": [1, 2.5]}"#).unwrap(), serde_json::json!({"a": [1, 2.5]}));
/// assert_eq!(parse_strict(br#"{"a": 1, "a": 2}"#).unwrap_err().code(), "malformed_json");
/// assert_eq!(parse_strict(br#"{"a": 1e400}"#).unwrap_err().fields()[0].code, "out_of_range");
/// ```
///
/// # Errors
/// `malformed_json` with the position for anything but one JSON value: wrong encoding, duplicate members, more than
/// [`MAX_DEPTH`] levels, NUL in a string. `validation_failed` with `out_of_range` and the JSON Pointer for an integer beyond 64
/// bits or a number beyond double precision.
pub fn parse_strict(bytes: &[u8]) -> Result<Value> {
    let text = str::from_utf8(bytes).map_err(|error| not_utf8(bytes, error.valid_up_to()))?;
    let watch = Watch::default();
    let value = read(text, &watch)?;
    if watch.has_huge.get()
        && let Some(ordinal) = first_too_large_integer(text)
    {
        // A second reading, only to learn where that number stands.
        read(text, &Watch { refused: Some(ordinal), ..Watch::default() })?;
    }
    Ok(value)
}

fn read(text: &str, watch: &Watch) -> Result<Value> {
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let value = Strict { depth: 0, watch }.deserialize(&mut deserializer).map_err(|error| refusal(&error, watch))?;
    deserializer.end().map_err(|error| refusal(&error, watch))?;
    Ok(value)
}

fn refusal(error: &serde_json::Error, watch: &Watch) -> Error {
    let sentence = error.to_string();
    // serde_json has no other way to tell; a test notices when the words change.
    if sentence.starts_with(TOO_LARGE) {
        let pointer: String = watch.path.take().into_iter().rev().collect();
        return Error::invalid(vec![FieldError::body(pointer, "out_of_range", "The number is too large to be kept exactly.")]);
    }
    MALFORMED_JSON.because(format!("The body is not acceptable JSON: {sentence}."))
}

const TOO_LARGE: &str = "number out of range";

fn not_utf8(bytes: &[u8], valid: usize) -> Error {
    let before = &bytes[..valid];
    let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
    let column = before.iter().rev().take_while(|byte| **byte != b'\n').count() + 1;
    MALFORMED_JSON.because(format!("The body is not UTF-8 at line {line} column {column}."))
}

/// What is noticed during one reading.
#[derive(Default)]
struct Watch {
    /// The tokens of the pointer to an error, innermost first.
    path: Cell<Vec<String>>,
    /// How many numbers were read so far.
    numbers: Cell<usize>,
    /// Whether a number came as floating point although it may have been written as an integer.
    has_huge: Cell<bool>,
    /// The number to refuse, counted from zero.
    refused: Option<usize>,
}

impl Watch {
    fn number<E: serde::de::Error>(&self, number: Number) -> Result<Value, E> {
        let ordinal = self.numbers.replace(self.numbers.get() + 1);
        if self.refused == Some(ordinal) { Err(E::custom(TOO_LARGE)) } else { Ok(Value::Number(number)) }
    }

    /// Adds the member or index in which an error occurred.
    fn within(&self, token: impl fmt::Display) {
        let mut path = self.path.take();
        path.push(format!("/{}", token.to_string().replace('~', "~0").replace('/', "~1")));
        self.path.set(path);
    }
}

/// One value at this depth.
#[derive(Clone, Copy)]
struct Strict<'w> {
    depth: usize,
    watch: &'w Watch,
}

impl Strict<'_> {
    fn deeper<E: serde::de::Error>(self) -> Result<Self, E> {
        match self.depth {
            MAX_DEPTH => Err(E::custom(format_args!("more than {MAX_DEPTH} levels"))),
            depth => Ok(Strict { depth: depth + 1, ..self }),
        }
    }
}

impl<'de> DeserializeSeed<'de> for Strict<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E: serde::de::Error>(self, value: i64) -> Result<Value, E> {
        self.watch.number(value.into())
    }

    fn visit_u64<E: serde::de::Error>(self, value: u64) -> Result<Value, E> {
        match i64::try_from(value) {
            Ok(value) => self.visit_i64(value),
            Err(_) => Err(E::custom(TOO_LARGE)),
        }
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Value, E> {
        if value.abs() >= 9_223_372_036_854_775_808.0 {
            self.watch.has_huge.set(true);
        }
        self.watch.number(Number::from_f64(value).ok_or_else(|| E::custom(TOO_LARGE))?)
    }

    fn visit_str<E: serde::de::Error>(self, value: &str) -> Result<Value, E> {
        self.visit_string(value.to_owned())
    }

    fn visit_string<E: serde::de::Error>(self, value: String) -> Result<Value, E> {
        without_nul(&value)?;
        Ok(Value::String(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut array: A) -> Result<Value, A::Error> {
        let inner = self.deeper()?;
        let mut values = Vec::new();
        while let Some(value) = array.next_element_seed(inner).inspect_err(|_| self.watch.within(values.len()))? {
            values.push(value);
        }
        Ok(Value::Array(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<Value, A::Error> {
        let inner = self.deeper()?;
        let mut members = Map::new();
        while let Some(name) = object.next_key::<String>()? {
            without_nul(&name)?;
            if members.contains_key(&name) {
                return Err(A::Error::custom("a member occurs twice"));
            }
            let value = object.next_value_seed(inner).inspect_err(|_| self.watch.within(&name))?;
            members.insert(name, value);
        }
        Ok(Value::Object(members))
    }
}

fn without_nul<E: serde::de::Error>(text: &str) -> Result<(), E> {
    if text.contains('\0') { Err(E::custom("NUL in a string")) } else { Ok(()) }
}

/// Which of the numbers of a well-formed document is the first that was written as an integer but does not fit 64 bits.
///
/// serde_json hands such a number over as floating point, rounded, just like `1e20`, which is fine.
fn first_too_large_integer(text: &str) -> Option<usize> {
    let is_part = |c: char| c.is_ascii_digit() || matches!(c, '-' | '+' | '.' | 'e' | 'E');
    let outside_strings = StringsSkipped { rest: text };
    let tokens = outside_strings.flat_map(|piece| piece.split(move |c| !is_part(c)));
    // `true` and `false` hold an `e`, numbers a digit.
    let mut numbers = tokens.filter(|token| token.contains(|c: char| c.is_ascii_digit()));
    numbers.position(|token| !token.contains(['.', 'e', 'E']) && token.parse::<i64>().is_err())
}

/// The pieces of a well-formed document between its strings.
struct StringsSkipped<'t> {
    rest: &'t str,
}

impl<'t> Iterator for StringsSkipped<'t> {
    type Item = &'t str;

    fn next(&mut self) -> Option<&'t str> {
        if self.rest.is_empty() {
            return None;
        }
        let (piece, mut string) = self.rest.split_once('"').unwrap_or((self.rest, ""));
        while let Some(end) = string.find(['"', '\\']) {
            let is_escape = string.as_bytes()[end] == b'\\';
            let mut after = string[end + 1..].chars();
            if !is_escape {
                string = after.as_str();
                break;
            }
            after.next();
            string = after.as_str();
        }
        self.rest = string;
        Some(piece)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn nested(levels: usize) -> String {
        "[".repeat(levels) + &"]".repeat(levels)
    }

    #[test]
    fn r65_what_is_not_one_clean_json_value_is_malformed() {
        let deep_object = "{\"a\":".repeat(33) + "1" + &"}".repeat(33);
        for (bytes, reason) in [
            (&b"{\"a\": 1,}"[..], "trailing comma at line 1 column 9"),
            (b"[1,]", "trailing comma at line 1 column 4"),
            (b"{\"a\": 1, \"a\": 1}", "a member occurs twice at line 1 column 12"),
            (b"{\"a\": 1, \"\\u0061\": 1}", "a member occurs twice"),
            (b"{\"x\": [{\"a\": 1,\n \"a\": 2}]}", "a member occurs twice at line 2 column 4"),
            (nested(33).as_bytes(), "more than 32 levels at line 1 column 34"),
            (deep_object.as_bytes(), "more than 32 levels"),
            (&[b'['; 100_000], "more than 32 levels"),
            (b"\"caf\xe9\"", "not UTF-8 at line 1 column 5"),
            (b"{\n\"a\": \"\xff\"}", "not UTF-8 at line 2 column 7"),
            (b"\xff\xfe1\0", "not UTF-8 at line 1 column 1"),
            (b"\"a\\u0000b\"", "NUL in a string at line 1 column 10"),
            (b"{\"a\\u0000\": 1}", "NUL in a string"),
            (b"\"a\0b\"", "control character"),
            (b"\"\\ud800\"", "line 1"),
            (b"\"\\udc00\\ud800\"", "line 1"),
            (b"", "EOF while parsing a value at line 1 column 0"),
            (b"   ", "EOF while parsing"),
            (b"1 2", "trailing characters at line 1 column 3"),
            (b"{} x", "trailing characters"),
            (b"\xef\xbb\xbf{}", "expected value at line 1 column 1"),
            (b"{'a': 1}", "key must be a string"),
            (b"{a: 1}", "key must be a string"),
            (b"[1 // one\n]", "line 1"),
            (b"NaN", "expected value"),
            (b"[Infinity]", "expected value"),
            (b"01", "invalid number"),
            (b"+1", "expected value"),
            (b".5", "expected value"),
            (b"1.", "EOF while parsing a value"),
            (b"0x10", "trailing characters"),
            (b"tru", "EOF while parsing"),
        ] {
            let error = parse_strict(bytes).unwrap_err();
            assert_eq!(error.code(), "malformed_json", "{}", String::from_utf8_lossy(bytes));
            assert!(error.detail().contains(reason), "{}: {}", String::from_utf8_lossy(bytes), error.detail());
        }
    }

    #[test]
    fn r14_a_number_that_cannot_be_kept_is_out_of_range_where_it_stands() {
        for (text, pointer) in [
            ("1e400", ""),
            ("-1e400", ""),
            ("9223372036854775808", ""),
            ("-9223372036854775809", ""),
            ("18446744073709551616", ""),
            (r#"{"a": [1, {"b/c~d": 1e400}]}"#, "/a/1/b~1c~0d"),
            (r#"{"a": [1, 2, 9223372036854775808], "b": 1e400}"#, "/a/2"),
            (r#"{"12345678901234567890": 1, "s": "99999999999999999999\\\"9", "n": [1e20, true, 99999999999999999999]}"#, "/n/2"),
            (r#"[1e20, 99999999999999999999, 99999999999999999999]"#, "/1"),
        ] {
            let error = parse_strict(text.as_bytes()).unwrap_err();
            assert_eq!(error.code(), "validation_failed", "{text}");
            assert_eq!(error.fields().len(), 1);
            let field = serde_json::to_value(&error.fields()[0]).unwrap();
            assert_eq!((&field["pointer"], &field["code"]), (&json!(pointer), &json!("out_of_range")), "{text}");
        }
    }

    #[test]
    fn what_is_unusual_but_right_is_read_as_it_stands() {
        for (text, value) in [
            (" null\r\n\t", json!(null)),
            (r#"{"":{"":[]}}"#, json!({"": {"": []}})),
            (r#""\u0001\ud83d\ude00\/""#, json!("\u{1}😀/")),
            ("[9223372036854775807,-9223372036854775808]", json!([i64::MAX, i64::MIN])),
            ("[1e20,1.5e300,-0,0.1]", json!([1e20, 1.5e300, -0.0, 0.1])),
            ("1e-400", json!(0.0)),
            (
                r#"{"$serde_json::private::RawValue": 1, "$serde_json::private::Number": "2"}"#,
                json!({"$serde_json::private::RawValue": 1, "$serde_json::private::Number": "2"}),
            ),
            (r#"{"a":1,"A":2,"a ":3}"#, json!({"a": 1, "A": 2, "a ": 3})),
        ] {
            assert_eq!(parse_strict(text.as_bytes()).unwrap(), value, "{text}");
        }
        assert!(parse_strict(nested(32).as_bytes()).is_ok());
    }

    #[test]
    fn r14_many_huge_numbers_cost_two_readings_not_one_each() {
        let text = format!("[{}1]", "1e20,".repeat(50_000));
        assert_eq!(parse_strict(text.as_bytes()).unwrap().as_array().unwrap().len(), 50_001);
    }

    fn any_value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<f64>().prop_filter_map("finite", |number| Number::from_f64(number).map(Value::Number)),
            "[^\\x00]{0,12}".prop_map(Value::from),
        ];
        leaf.prop_recursive(6, 40, 5, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
                prop::collection::btree_map("[^\\x00]{0,6}", inner, 0..5).prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn every_document_is_read_back_as_it_was_written(value in any_value(), pretty in any::<bool>()) {
            let text = if pretty { serde_json::to_string_pretty(&value) } else { serde_json::to_string(&value) }.unwrap();
            prop_assert_eq!(parse_strict(text.as_bytes()).unwrap(), value);
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(prop::sample::select(b"{}[]\",:\\u019eE+-. \ntruefalsn\x00\xff".to_vec()), 0..60)) {
            if let Ok(value) = parse_strict(&bytes) {
                prop_assert_eq!(serde_json::from_slice::<Value>(&bytes).unwrap(), value);
            }
        }
    }
}
