//! Typed identifiers.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::marker::PhantomData;
use std::str::FromStr;

use db::{FromValue, Param, ToParam, ValueError, ValueRef};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use uuid::Uuid;

use crate::time::Timestamp;

/// The identifier of a `T`: a UUIDv7 on the wire, 16 bytes at rest (R-10). Never a secret.
///
/// In a wire type, describe the member with `#[schema(value_type = uuid::Uuid)]`.
///
/// ```
/// enum Post {}
/// let id: kernel::Id<Post> = "019ab0b2-8f00-7000-8000-000000000001".parse().unwrap();
/// assert_eq!(id.to_string(), "019ab0b2-8f00-7000-8000-000000000001");
/// ```
pub struct Id<T>(Uuid, PhantomData<fn() -> T>);

impl<T> Id<T> {
    /// The identifier with this value.
    pub const fn from_uuid(uuid: Uuid) -> Self {
        Id(uuid, PhantomData)
    }

    /// The bare value.
    pub const fn uuid(self) -> Uuid {
        self.0
    }

    /// The least identifier of this instant: identifiers begin with when they were made (RFC 9562 §5.7), so age can be asked of a primary key.
    pub fn first_at(at: Timestamp) -> Self {
        let millis = u128::try_from(at.as_millis()).unwrap_or(0);
        Id::from_uuid(Uuid::from_u128(millis << 80))
    }

    /// The same value as the identifier of something else, such as a view of the same thing.
    pub const fn cast<U>(self) -> Id<U> {
        Id(self.0, PhantomData)
    }
}

impl<T> Clone for Id<T> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<T> Copy for Id<T> {}
impl<T> PartialEq for Id<T> {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}
impl<T> Eq for Id<T> {}
impl<T> PartialOrd for Id<T> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
impl<T> Ord for Id<T> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.cmp(&other.0)
    }
}
impl<T> Hash for Id<T> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.hash(state);
    }
}
impl<T> fmt::Debug for Id<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}
impl<T> fmt::Display for Id<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl<T> FromStr for Id<T> {
    type Err = uuid::Error;
    /// Accepts the hyphenated form only, in either case.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        uuid::fmt::Hyphenated::from_str(text).map(|id| Id::from_uuid(id.into_uuid()))
    }
}

impl<T> Serialize for Id<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.0.hyphenated().encode_lower(&mut Uuid::encode_buffer()))
    }
}

impl<'de, T> Deserialize<'de> for Id<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

impl<T> ToParam for Id<T> {
    fn to_param(&self) -> Param<'_> {
        Param::Id(self.0.into_bytes())
    }
}

impl<T> FromValue for Id<T> {
    fn from_value(value: ValueRef<'_>) -> Result<Self, ValueError> {
        <[u8; 16]>::from_value(value).map(|bytes| Id::from_uuid(Uuid::from_bytes(bytes)))
    }
}
