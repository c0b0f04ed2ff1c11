//! The value types of settings that plain integers and text do not say well: durations, sizes and secrets.

use std::fmt;
use std::ops::Deref;
use std::str::FromStr;
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use serde::de::{Error as _, Unexpected, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// What stands in place of a secret wherever one could be printed.
pub const REDACTED: &str = "[redacted]";

/// A duration written as `250ms`, `30s`, `10m`, `12h` or `7d`; dereferences to [`Duration`].
///
/// ```
/// use kernel::settings::Span;
///
/// let span: Span = "10m".parse().unwrap();
/// assert_eq!(span, Span::minutes(10));
/// assert_eq!(span.as_secs(), 600);
/// assert_eq!(span.to_string(), "10m");
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span(Duration);

/// The units of a [`Span`], largest first, in milliseconds.
const SPAN_UNITS: [(&str, u64); 5] = [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

impl Span {
    /// This many milliseconds.
    pub const fn millis(millis: u64) -> Span {
        Span(Duration::from_millis(millis))
    }

    /// This many seconds.
    pub const fn secs(secs: u64) -> Span {
        Span(Duration::from_secs(secs))
    }

    /// This many minutes.
    pub const fn minutes(minutes: u64) -> Span {
        Span(Duration::from_secs(minutes * 60))
    }

    /// This many hours.
    pub const fn hours(hours: u64) -> Span {
        Span(Duration::from_secs(hours * 3_600))
    }

    /// This many days of 24 hours.
    pub const fn days(days: u64) -> Span {
        Span(Duration::from_secs(days * 86_400))
    }

    /// The plain duration.
    pub const fn duration(self) -> Duration {
        self.0
    }
}

impl Deref for Span {
    type Target = Duration;

    fn deref(&self) -> &Duration {
        &self.0
    }
}

impl From<Span> for Duration {
    fn from(span: Span) -> Duration {
        span.0
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let millis = self.0.as_millis();
        if millis == 0 {
            return f.write_str("0s");
        }
        let (unit, size) = SPAN_UNITS.into_iter().find(|(_, size)| millis.is_multiple_of(u128::from(*size))).unwrap_or(("ms", 1));
        write!(f, "{}{unit}", millis / u128::from(size))
    }
}

/// A text that is not a value of the type asked for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected {expected}, found {found:?}")]
pub struct WrongValue {
    expected: &'static str,
    found: String,
}

pub(super) const SPAN_FORM: &str = "a duration such as \"250ms\", \"30s\", \"10m\", \"12h\" or \"7d\"";

impl FromStr for Span {
    type Err = WrongValue;

    fn from_str(text: &str) -> Result<Span, WrongValue> {
        let wrong = || WrongValue { expected: SPAN_FORM, found: text.to_owned() };
        let (number, unit) = number_and_unit(text).ok_or_else(wrong)?;
        let (_, size) = SPAN_UNITS.into_iter().find(|(name, _)| *name == unit).ok_or_else(wrong)?;
        number.checked_mul(size).map(Span::millis).ok_or_else(wrong)
    }
}

/// Splits `30s` into 30 and `s`.
fn number_and_unit(text: &str) -> Option<(u64, &str)> {
    let text = text.trim();
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    Some((number.parse().ok()?, unit.trim_start()))
}

impl Serialize for Span {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Span, D::Error> {
        struct Text;
        impl Visitor<'_> for Text {
            type Value = Span;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(SPAN_FORM)
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Span, E> {
                text.parse().map_err(E::custom)
            }
        }
        deserializer.deserialize_str(Text)
    }
}

/// A number of bytes written as `512`, `16KiB`, `1MiB`, `2GiB` (or `kB`, `MB`, `GB` for powers of ten).
///
/// ```
/// use kernel::settings::ByteSize;
///
/// let size: ByteSize = "1MiB".parse().unwrap();
/// assert_eq!(size.bytes(), 1_048_576);
/// assert_eq!(size.to_string(), "1MiB");
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ByteSize(u64);

/// The units of a [`ByteSize`], in the order in which `Display` prefers them.
const SIZE_UNITS: [(&str, u64); 7] =
    [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10), ("GB", 1_000_000_000), ("MB", 1_000_000), ("kB", 1_000), ("", 1)];

impl ByteSize {
    /// This many bytes.
    pub const fn of_bytes(bytes: u64) -> ByteSize {
        ByteSize(bytes)
    }

    /// This many kibibytes.
    pub const fn kib(kib: u64) -> ByteSize {
        ByteSize(kib << 10)
    }

    /// This many mebibytes.
    pub const fn mib(mib: u64) -> ByteSize {
        ByteSize(mib << 20)
    }

    /// This many gibibytes.
    pub const fn gib(gib: u64) -> ByteSize {
        ByteSize(gib << 30)
    }

    /// The number of bytes.
    pub const fn bytes(self) -> u64 {
        self.0
    }

    /// The number of bytes as a length in memory; the largest possible one when it does not fit.
    pub fn as_usize(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }
}

impl fmt::Display for ByteSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (unit, size) = match self.0 {
            0 => ("", 1),
            bytes => SIZE_UNITS.into_iter().find(|(_, size)| bytes.is_multiple_of(*size)).unwrap_or(("", 1)),
        };
        write!(f, "{}{unit}", self.0 / size)
    }
}

pub(super) const SIZE_FORM: &str = "a size such as \"512\", \"16KiB\" or \"1MiB\"";

impl FromStr for ByteSize {
    type Err = WrongValue;

    fn from_str(text: &str) -> Result<ByteSize, WrongValue> {
        let wrong = || WrongValue { expected: SIZE_FORM, found: text.to_owned() };
        let (number, unit) = number_and_unit(text).ok_or_else(wrong)?;
        let unit = if unit == "B" { "" } else { unit };
        let (_, size) = SIZE_UNITS.into_iter().find(|(name, _)| name.eq_ignore_ascii_case(unit)).ok_or_else(wrong)?;
        number.checked_mul(size).map(ByteSize).ok_or_else(wrong)
    }
}

impl Serialize for ByteSize {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ByteSize {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<ByteSize, D::Error> {
        struct TextOrNumber;
        impl Visitor<'_> for TextOrNumber {
            type Value = ByteSize;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(SIZE_FORM)
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<ByteSize, E> {
                text.parse().map_err(E::custom)
            }

            fn visit_u64<E: serde::de::Error>(self, bytes: u64) -> Result<ByteSize, E> {
                Ok(ByteSize(bytes))
            }

            fn visit_i64<E: serde::de::Error>(self, bytes: i64) -> Result<ByteSize, E> {
                u64::try_from(bytes).map(ByteSize).map_err(|_| E::invalid_value(Unexpected::Signed(bytes), &self))
            }
        }
        deserializer.deserialize_any(TextOrNumber)
    }
}

/// A text that nothing prints: not `Debug`, not serde, not the settings report.
///
/// ```
/// let password = kernel::settings::Secret::from("hunter2");
/// assert_eq!(format!("{password:?}"), "Secret([redacted])");
/// assert_eq!(password.expose(), "hunter2");
/// ```
#[derive(Clone, Default)]
pub struct Secret(SecretString);

impl Secret {
    /// The text itself; keep it out of logs and answers.
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }

    /// Whether nothing was set.
    pub fn is_empty(&self) -> bool {
        self.expose().is_empty()
    }
}

impl From<&str> for Secret {
    fn from(text: &str) -> Secret {
        Secret(SecretString::from(text))
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Secret {
        Secret(SecretString::from(text))
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Secret({REDACTED})")
    }
}

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(if self.is_empty() { "" } else { REDACTED })
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Secret, D::Error> {
        // The usual message of serde would repeat a number or boolean that was given in place of text.
        String::deserialize(deserializer).map(Secret::from).map_err(|_| D::Error::custom("expected text"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_reads_every_unit_and_writes_the_largest_exact_one() {
        for (text, millis, written) in [
            ("250ms", 250, "250ms"),
            ("30s", 30_000, "30s"),
            ("600s", 600_000, "10m"),
            ("36h", 129_600_000, "36h"),
            ("7d", 604_800_000, "7d"),
            (" 5 m ", 300_000, "5m"),
            ("0s", 0, "0s"),
        ] {
            let span: Span = text.parse().unwrap();
            assert_eq!(span.as_millis(), millis, "{text}");
            assert_eq!(span.to_string(), written);
        }
    }

    #[test]
    fn a_span_without_a_unit_or_number_is_refused_with_the_form() {
        for text in ["", "10", "s", "-5s", "1.5h", "10 minutes", "99999999999999999999s", "18446744073709551615d"] {
            let error = text.parse::<Span>().unwrap_err().to_string();
            assert!(error.contains("a duration such as"), "{text}: {error}");
        }
        assert!(serde_json::from_str::<Span>("10").is_err());
    }

    #[test]
    fn a_size_reads_text_and_plain_numbers() {
        for (text, bytes, written) in [
            ("512", 512, "512"),
            ("16KiB", 16_384, "16KiB"),
            ("1mib", 1 << 20, "1MiB"),
            ("5MB", 5_000_000, "5MB"),
            ("0", 0, "0"),
            ("7B", 7, "7"),
        ] {
            let size: ByteSize = text.parse().unwrap();
            assert_eq!(size.bytes(), bytes, "{text}");
            assert_eq!(size.to_string(), written);
        }
        assert_eq!(serde_json::from_str::<ByteSize>("4096").unwrap(), ByteSize::kib(4));
        assert!(serde_json::from_str::<ByteSize>("-1").is_err());
        assert!("1XiB".parse::<ByteSize>().is_err());
        assert!("99999999999GiB".parse::<ByteSize>().is_err());
    }

    #[test]
    fn a_secret_is_printed_by_nothing() {
        let secret: Secret = serde_json::from_str("\"hunter2\"").unwrap();
        assert_eq!(secret.expose(), "hunter2");
        assert!(!format!("{secret:?} {}", serde_json::to_string(&secret).unwrap()).contains("hunter2"));
        assert!(!serde_json::from_str::<Secret>("4711").unwrap_err().to_string().contains("4711"));
        assert_eq!(serde_json::to_string(&Secret::default()).unwrap(), "\"\"");
    }
}
