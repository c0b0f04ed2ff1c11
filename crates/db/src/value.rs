//! Values on their way into a statement and out of a row: null, integer, text, bytes, and nothing else.

use std::fmt;

/// A value bound to a `?`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Param<'a> {
    /// No value.
    Null,
    /// An integer; also flags (0 and 1), times (milliseconds) and money (minor units).
    Int(i64),
    /// A text without the character NUL.
    Text(&'a str),
    /// Raw bytes.
    Bytes(&'a [u8]),
    /// A 16-byte identifier.
    Id([u8; 16]),
}

/// A type that can be bound to a `?`.
///
/// `u64` has no implementation on purpose: it would not fit.
pub trait ToParam {
    /// Borrows the value as a parameter.
    fn to_param(&self) -> Param<'_>;
}

/// Makes the parameters of a statement: `params![id, &name, None::<i64>]`.
#[macro_export]
macro_rules! params {
    ($($value:expr),* $(,)?) => {
        &[$($crate::ToParam::to_param(&$value)),*] as &[$crate::Param<'_>]
    };
}

macro_rules! integers_to_param {
    ($($int:ty),*) => {$(
        impl ToParam for $int {
            fn to_param(&self) -> Param<'_> {
                Param::Int(i64::from(*self))
            }
        }
    )*};
}
integers_to_param!(i64, i32, i16, u32, u16, u8, bool);

impl ToParam for str {
    fn to_param(&self) -> Param<'_> {
        Param::Text(self)
    }
}

impl ToParam for String {
    fn to_param(&self) -> Param<'_> {
        Param::Text(self)
    }
}

impl ToParam for [u8] {
    fn to_param(&self) -> Param<'_> {
        Param::Bytes(self)
    }
}

impl ToParam for Vec<u8> {
    fn to_param(&self) -> Param<'_> {
        Param::Bytes(self)
    }
}

impl<const N: usize> ToParam for [u8; N] {
    fn to_param(&self) -> Param<'_> {
        Param::Bytes(self)
    }
}

impl<T: ToParam> ToParam for Option<T> {
    fn to_param(&self) -> Param<'_> {
        self.as_ref().map_or(Param::Null, T::to_param)
    }
}

impl<T: ToParam + ?Sized> ToParam for &T {
    fn to_param(&self) -> Param<'_> {
        T::to_param(self)
    }
}

impl<T: ToParam + ?Sized> ToParam for Box<T> {
    fn to_param(&self) -> Param<'_> {
        T::to_param(self)
    }
}

impl<T: ToParam + ToOwned + ?Sized> ToParam for std::borrow::Cow<'_, T> {
    fn to_param(&self) -> Param<'_> {
        T::to_param(self)
    }
}

impl ToParam for Param<'_> {
    fn to_param(&self) -> Param<'_> {
        *self
    }
}

impl ToParam for Value {
    fn to_param(&self) -> Param<'_> {
        match self {
            Value::Null => Param::Null,
            Value::Int(int) => Param::Int(*int),
            Value::Text(text) => Param::Text(text),
            Value::Bytes(bytes) => Param::Bytes(bytes),
        }
    }
}

/// A value that owns its content.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Value {
    /// No value.
    Null,
    /// An integer.
    Int(i64),
    /// A text.
    Text(String),
    /// Raw bytes.
    Bytes(Vec<u8>),
}

/// A value as it lies in a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ValueRef<'a> {
    /// No value.
    Null,
    /// An integer.
    Int(i64),
    /// A text.
    Text(&'a str),
    /// Raw bytes.
    Bytes(&'a [u8]),
}

impl ValueRef<'_> {
    fn kind(&self) -> &'static str {
        match self {
            ValueRef::Null => "NULL",
            ValueRef::Int(_) => "an integer",
            ValueRef::Text(_) => "text",
            ValueRef::Bytes(_) => "bytes",
        }
    }
}

/// Says what was expected of a value and what kind of value was found, never the value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ValueError(String);

impl ValueError {
    /// Names what was expected and, in general terms, what was found.
    pub fn new(expected: &str, found: &ValueRef<'_>) -> Self {
        Self(format!("expected {expected}, found {}", found.kind()))
    }

    /// Says it in the caller's own words, which must not contain the value.
    pub fn because(reason: impl Into<String>) -> Self {
        Self(reason.into())
    }
}

impl fmt::Display for ValueError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for ValueError {}

/// A type that a column can be read as.
pub trait FromValue: Sized {
    /// Reads the value, or says what was expected instead.
    fn from_value(value: ValueRef<'_>) -> Result<Self, ValueError>;
}

impl FromValue for i64 {
    fn from_value(value: ValueRef<'_>) -> Result<Self, ValueError> {
        match value {
            ValueRef::Int(int) => Ok(int),
            other => Err(ValueError::new("an integer", &other)),
        }
    }
}

macro_rules! integers_from_value {
    ($($int:ty),*) => {$(
        impl FromValue for $int {
            fn from_value(value: ValueRef<'_>) -> Result<Self, ValueError> {
                let wide = i64::from_value(value)?;
                <$int>::try_from(wide).map_err(|_| ValueError::because(concat!("the integer does not fit into ", stringify!($int))))
            }
        }
    )*};
}
integers_from_value!(i32, i16, u32, u16, u8);

impl FromValue for bool {
    fn from_value(value: ValueRef<'_>) -> Result<Self, ValueError> {
        match value {
            ValueRef::Int(0) => Ok(false),
            ValueRef::Int(1) => Ok(true),
            ValueRef::Int(_) => Err(ValueError::because("expected a flag (0 or 1), found another integer")),
            other => Err(ValueError::new("a flag (0 or 1)", &other)),
        }
    }
}

impl FromValue for String {
    fn from_value(value: ValueRef<'_>) -> Result<Self, ValueError> {
        match value {
            ValueRef::Text(text) => Ok(text.to_owned()),
            other => Err(ValueError::new("text", &other)),
        }
    }
}

impl FromValue for Box<str> {
    fn from_value(value: ValueRef<'_>) -> Result<Self, ValueError> {
        String::from_value(value).map(String::into_boxed_str)
    }
}

impl FromValue for Vec<u8> {
    fn from_value(value: ValueRef<'_>) -> Result<Self, ValueError> {
        match value {
            ValueRef::Bytes(bytes) => Ok(bytes.to_vec()),
            other => Err(ValueError::new("bytes", &other)),
        }
    }
}

impl<const N: usize> FromValue for [u8; N] {
    fn from_value(value: ValueRef<'_>) -> Result<Self, ValueError> {
        match value {
            ValueRef::Bytes(bytes) => {
                <[u8; N]>::try_from(bytes).map_err(|_| ValueError::because(format!("expected {N} bytes, found {}", bytes.len())))
            }
            other => Err(ValueError::new("bytes", &other)),
        }
    }
}

impl<T: FromValue> FromValue for Option<T> {
    fn from_value(value: ValueRef<'_>) -> Result<Self, ValueError> {
        match value {
            ValueRef::Null => Ok(None),
            other => T::from_value(other).map(Some),
        }
    }
}

impl FromValue for Value {
    fn from_value(value: ValueRef<'_>) -> Result<Self, ValueError> {
        Ok(match value {
            ValueRef::Null => Value::Null,
            ValueRef::Int(int) => Value::Int(int),
            ValueRef::Text(text) => Value::Text(text.to_owned()),
            ValueRef::Bytes(bytes) => Value::Bytes(bytes.to_vec()),
        })
    }
}
