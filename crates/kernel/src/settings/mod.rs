//! Settings: typed sections that modules declare, filled from flags, the environment and one TOML file.
//!
//! A module declares its section with [`settings!`](crate::settings!): a struct whose fields have a sentence and a default. The
//! binary collects raw input into a [`Source`]; [`Source::section`] makes the typed section, and [`Source::finish`] refuses what
//! nobody declared. Precedence is flag, environment, file, default. [`reference()`] and [`commented_toml`] are made from the same
//! declarations, so that neither can lie.

mod report;
mod source;
mod values;

use std::fmt;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

pub use report::{Effective, commented_toml, reference};
pub use source::{Origin, Source};
pub use values::{ByteSize, REDACTED, Secret, Span, WrongValue};

/// One section of the settings; made by [`settings!`](crate::settings!).
pub trait Section: Default + Serialize + DeserializeOwned + Clone + Send + Sync + 'static {
    /// The dotted name, such as `accounts.passwords`; empty for the instance-wide keys.
    const NAME: &'static str;
    /// One sentence about the section.
    const DOC: &'static str;

    /// The keys, in the order of declaration.
    fn fields() -> &'static [Field];
}

/// One key of a section.
#[derive(Clone, Copy)]
pub struct Field {
    /// The key inside its section.
    pub name: &'static str,
    /// One sentence about it.
    pub doc: &'static str,
    /// Whether the value must never be printed.
    pub is_secret: bool,
    /// The type as it is written in the declaration.
    pub type_name: &'static str,
    /// Checks a raw value and gives back how it is printed.
    #[doc(hidden)]
    pub accept: fn(&Value) -> Result<Value, String>,
}

impl fmt::Debug for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Field({}: {})", self.name, self.type_name)
    }
}

impl Field {
    /// The type without a surrounding `Option`.
    fn inner_type(&self) -> &'static str {
        self.type_name.strip_prefix("Option<").and_then(|rest| rest.strip_suffix('>')).unwrap_or(self.type_name)
    }

    fn is_optional(&self) -> bool {
        self.type_name.starts_with("Option<")
    }

    /// What a value looks like, in words; nothing for types that say so themselves, such as enums.
    fn expected_form(&self) -> Option<String> {
        let integer = |min: i128, max: i128| Some(format!("a whole number from {min} to {max}"));
        match self.inner_type() {
            "u8" => integer(0, u8::MAX.into()),
            "u16" => integer(0, u16::MAX.into()),
            "u32" => integer(0, u32::MAX.into()),
            // TOML has no larger integers.
            "u64" | "usize" => integer(0, i64::MAX.into()),
            "i32" => integer(i32::MIN.into(), i32::MAX.into()),
            "i64" => integer(i64::MIN.into(), i64::MAX.into()),
            "bool" => Some("true or false".to_owned()),
            "String" | "Secret" => Some("text".to_owned()),
            "Vec<String>" => Some("a list of texts".to_owned()),
            "Span" => Some(values::SPAN_FORM.to_owned()),
            "ByteSize" => Some(values::SIZE_FORM.to_owned()),
            _ => None,
        }
    }
}

/// What is known about a section without its type.
#[derive(Clone, Copy)]
pub struct SectionInfo {
    /// The dotted name; empty for the instance-wide keys.
    pub name: &'static str,
    /// One sentence about the section.
    pub doc: &'static str,
    fields: fn() -> &'static [Field],
    defaults: fn() -> Value,
}

impl SectionInfo {
    /// The description of the section `T`.
    pub const fn of<T: Section>() -> SectionInfo {
        SectionInfo { name: T::NAME, doc: T::DOC, fields: T::fields, defaults: defaults_of::<T> }
    }

    /// The keys, in the order of declaration.
    pub fn fields(&self) -> &'static [Field] {
        (self.fields)()
    }

    /// The dotted name of a key of this section.
    pub fn key(&self, field: &str) -> String {
        if self.name.is_empty() { field.to_owned() } else { format!("{}.{field}", self.name) }
    }

    /// The default of each key, as it is printed.
    fn defaults(&self) -> Value {
        (self.defaults)()
    }
}

impl fmt::Debug for SectionInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SectionInfo([{}] {:?})", self.name, self.fields())
    }
}

fn defaults_of<T: Section>() -> Value {
    serde_json::to_value(T::default()).unwrap_or(Value::Null)
}

/// The environment variable of a dotted key: `accounts.passwords.min_length` is `UNDERCROFT_ACCOUNTS__PASSWORDS__MIN_LENGTH`.
pub fn env_name(key: &str) -> String {
    format!("{ENV_PREFIX}{}", key.replace('.', "__").to_uppercase())
}

/// How the environment variables of the settings begin.
pub(crate) const ENV_PREFIX: &str = "UNDERCROFT_";

/// Settings that cannot be used: one sentence for each, with the key, where it stands and what is expected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SettingsError {
    problems: Vec<String>,
}

impl SettingsError {
    /// The error of one problem.
    pub fn new(problem: impl Into<String>) -> SettingsError {
        SettingsError { problems: vec![problem.into()] }
    }

    /// One sentence for each problem.
    pub fn problems(&self) -> &[String] {
        &self.problems
    }

    /// This error and another one together, so that all can be mended at once.
    #[must_use]
    pub fn and(mut self, other: SettingsError) -> SettingsError {
        self.problems.extend(other.problems);
        self
    }
}

impl fmt::Display for SettingsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.problems.join("\n"))
    }
}

impl std::error::Error for SettingsError {}

/// Declares a section of the settings: a struct with a sentence and a default for each key.
///
/// Types of values: integers, `bool`, `String`, `Vec<String>`, [`Span`], [`ByteSize`], [`Secret`], enums that serde reads from
/// text, and `Option` of these. The crate that calls it needs `serde`.
///
/// ```
/// kernel::settings! {
///     /// What a password must be.
///     pub struct PasswordSettings in "accounts.passwords" {
///         /// Shortest password in code points, 8 to 256.
///         pub min_length: u32 = 10,
///         /// Texts that may not occur in a password.
///         pub blocked: Vec<String> = Vec::new(),
///     }
/// }
/// # fn main() {
/// use kernel::settings::{Section, Source};
///
/// let env = vec![("UNDERCROFT_ACCOUNTS__PASSWORDS__MIN_LENGTH".to_owned(), "12".to_owned())];
/// let source = Source::read(None, env, Vec::new()).unwrap();
/// assert_eq!(PasswordSettings::default().min_length, 10);
/// assert_eq!(source.section::<PasswordSettings>().unwrap().min_length, 12);
/// assert_eq!(PasswordSettings::fields()[1].doc, "Texts that may not occur in a password.");
/// # }
/// ```
#[macro_export]
macro_rules! settings {
    (
        $(#[doc = $doc:literal])+
        $vis:vis struct $name:ident in $section:literal {
            $( $(#[doc = $field_doc:literal])+ $field_vis:vis $field:ident : $type:ty = $default:expr ),* $(,)?
        }
    ) => {
        $(#[doc = $doc])+
        #[derive(Clone, Debug, ::serde::Serialize, ::serde::Deserialize)]
        #[serde(default, deny_unknown_fields)]
        $vis struct $name {
            $( $(#[doc = $field_doc])+ $field_vis $field: $type, )*
        }

        impl ::core::default::Default for $name {
            fn default() -> Self {
                Self { $( $field: $default, )* }
            }
        }

        impl $crate::settings::Section for $name {
            const NAME: &'static str = $section;
            const DOC: &'static str = ::core::concat!($($doc),+).trim_ascii();

            fn fields() -> &'static [$crate::settings::Field] {
                const FIELDS: &[$crate::settings::Field] = &[$(
                    $crate::settings::Field {
                        name: ::core::stringify!($field),
                        doc: ::core::concat!($($field_doc),+).trim_ascii(),
                        is_secret: $crate::settings::names_a_secret(::core::stringify!($type)),
                        type_name: $crate::settings::last_segment(::core::stringify!($type)),
                        accept: $crate::settings::accept::<$type>,
                    },
                )*];
                FIELDS
            }
        }
    };
}

/// Whether a type written like this holds a [`Secret`].
#[doc(hidden)]
pub const fn names_a_secret(type_name: &str) -> bool {
    let (text, word) = (type_name.as_bytes(), b"Secret");
    let mut start = 0;
    while start + word.len() <= text.len() {
        let mut matched = 0;
        while matched < word.len() && text[start + matched] == word[matched] {
            matched += 1;
        }
        let end = start + matched;
        if matched == word.len() && (start == 0 || !is_word(text[start - 1])) && (end == text.len() || !is_word(text[end])) {
            return true;
        }
        start += 1;
    }
    false
}

const fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

/// The type without its path, unless it has arguments: `kernel::settings::Span` is `Span`.
#[doc(hidden)]
pub const fn last_segment(type_name: &'static str) -> &'static str {
    let text = type_name.as_bytes();
    let (mut index, mut start) = (0, 0);
    while index < text.len() {
        match text[index] {
            b'<' => return if start == 0 { type_name } else { type_name.split_at(start).1 },
            b':' => start = index + 1,
            _ => {}
        }
        index += 1;
    }
    type_name.split_at(start).1
}

/// Reads a raw value as a `T` and gives back how it is printed.
#[doc(hidden)]
pub fn accept<T: Serialize + DeserializeOwned>(value: &Value) -> Result<Value, String> {
    let typed: T = serde_json::from_value(value.clone()).map_err(|error| error.to_string())?;
    serde_json::to_value(typed).map_err(|error| error.to_string())
}

#[cfg(test)]
pub(crate) mod test_sections {
    use super::{ByteSize, Secret, Span};

    /// How careful to be.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
    #[serde(rename_all = "snake_case")]
    pub(crate) enum Mode {
        /// Convenient.
        Development,
        /// Strict.
        Production,
    }

    crate::settings! {
        /// The whole instance.
        pub(crate) struct Instance in "" {
            /// Where the world finds it.
            pub(crate) public_url: String = "http://127.0.0.1:8000".to_owned(),
            /// How strict to be.
            pub(crate) mode: Mode = Mode::Development,
            /// Whom to believe.
            pub(crate) trusted_proxies: crate::address::TrustedProxies = crate::address::TrustedProxies::default(),
        }
    }

    crate::settings! {
        /// Outgoing
        /// mail.
        pub(crate) struct Mail in "mail" {
            /// The server's name.
            pub(crate) host: Option<String> = None,
            /// Its port.
            pub(crate) port: u16 = 587,
            /// What to log in with | or not.
            pub(crate) password: Option<Secret> = None,
            /// How long to wait.
            pub(crate) timeout: Span = Span::secs(30),
            /// The largest message.
            pub(crate) max_size: crate::settings::ByteSize = ByteSize::mib(1),
            /// Who gets a copy.
            pub(crate) copies: Vec<String> = Vec::new(),
            /// Whether to encrypt.
            pub(crate) tls: bool = true,
        }
    }

    crate::settings! {
        /// Keys for mail.
        pub(crate) struct MailKeys in "mail.keys" {
            /// The signing key.
            pub(crate) signing: Secret = Secret::default(),
            /// A file that is named, not read.
            pub(crate) signing_file: String = String::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::test_sections::*;
    use super::*;

    #[test]
    fn a_declaration_keeps_its_sentences() {
        assert_eq!(Mail::DOC, "Outgoing mail.");
        let info = SectionInfo::of::<Mail>();
        assert_eq!(info.fields()[1].doc, "Its port.");
        assert_eq!(info.key("port"), "mail.port");
        assert_eq!(SectionInfo::of::<Instance>().key("mode"), "mode");
    }

    #[test]
    fn secrets_are_known_by_their_type() {
        let secrets: Vec<_> =
            Mail::fields().iter().chain(MailKeys::fields()).filter(|field| field.is_secret).map(|field| field.name).collect();
        assert_eq!(secrets, ["password", "signing"]);
        assert!(names_a_secret("Option<kernel::settings::Secret>"));
        assert!(!names_a_secret("SecretKind") && !names_a_secret("MySecret") && !names_a_secret("String"));
    }

    #[test]
    fn a_type_is_shown_without_its_path() {
        assert_eq!(last_segment("crate::settings::ByteSize"), "ByteSize");
        assert_eq!(last_segment("Option<String>"), "Option<String>");
        assert_eq!(last_segment("std::vec::Vec<String>"), "Vec<String>");
        assert_eq!(last_segment("u16"), "u16");
    }
}
