//! What the small resources of the merchant have in common: locations, taxes, shipping, promotions, coupons.
//!
//! Each is one document that is made, replaced as a whole, read and deleted. A slice declares its document with `resource!`,
//! writes its SQL in its `store.rs` as [`Stored`], names its operations in its `http.rs` as [`http::Resource`], and gets the verbs.

pub(crate) mod http;
pub(crate) mod service;

use db::Conn;
use kernel::page::Keyset;
use kernel::{Ctx, Id, Result, Timestamp};

/// A document as it is stored.
#[derive(Clone, Debug)]
pub(crate) struct Record<T: Stored> {
    pub(crate) id: Id<T::Marker>,
    pub(crate) value: T,
    pub(crate) created_at: Timestamp,
    pub(crate) version: i64,
}

/// How a document is kept. Implemented in the `store.rs` of its slice.
pub(crate) trait Stored: Clone + Send + Sync + Sized + 'static {
    /// What its identifier identifies.
    type Marker: 'static;

    /// Refuses what the schema cannot: references to what is not there, members that contradict each other.
    fn check(&self, c: &mut Conn, ctx: &Ctx) -> Result<()>;
    fn find(c: &mut Conn, id: Id<Self::Marker>) -> Result<Option<Record<Self>>>;
    /// Documents by their ids, those that the keyset asks for.
    fn list(c: &mut Conn, keyset: &Keyset) -> Result<Vec<Record<Self>>>;
    fn insert(&self, tx: &mut db::Tx<'_>, id: Id<Self::Marker>, now: Timestamp) -> Result<()>;
    /// Replaces it if it has the expected version, or whatever version when none is expected; false when it has not.
    fn update(&self, tx: &mut db::Tx<'_>, id: Id<Self::Marker>, expected: Option<i64>, now: Timestamp) -> Result<bool>;
    fn delete(tx: &mut db::Tx<'_>, id: Id<Self::Marker>) -> Result<bool>;
}

/// Declares a document: what is sent, and what is answered, from one list of members; the answer may show more.
macro_rules! resource {
    (
        $(#[doc = $doc:literal])+
        $new:ident, $view:ident, $marker:ty, example { $($example:tt)+ } $(and { $($more:tt)+ })?
        { $($(#[$meta:meta])* $field:ident: $type:ty,)+ }
        $(shows { $($(#[$shown_meta:meta])* $shown:ident: $shown_type:ty,)+ })?
    ) => {
        $(#[doc = $doc])+
        #[derive(Clone, Debug, ::serde::Deserialize, ::utoipa::ToSchema)]
        #[serde(deny_unknown_fields)]
        #[schema(example = json!({ $($example)+ }))]
        pub(crate) struct $new {
            $($(#[$meta])* pub(crate) $field: $type,)+
            $($(
                #[serde(skip)]
                #[schema(ignore)]
                pub(crate) $shown: $shown_type,
            )+)?
        }

        $(#[doc = $doc])+
        #[derive(Debug, ::serde::Serialize, ::utoipa::ToSchema)]
        #[schema(example = json!({
            "id": "019ab0b2-8f00-7000-8000-000000000001", "created_at": "2026-11-22T12:00:00.000Z", "version": 1, $($example)+ $(, $($more)+)?
        }))]
        pub(crate) struct $view {
            /// The identifier.
            #[schema(value_type = uuid::Uuid)]
            id: ::kernel::Id<$marker>,
            $($(#[$meta])* $field: $type,)+
            $($($(#[$shown_meta])* $shown: $shown_type,)+)?
            /// When it was made.
            created_at: ::kernel::Timestamp,
            /// Grows with every change.
            version: i64,
        }

        impl From<$crate::resources::Record<$new>> for $view {
            fn from(record: $crate::resources::Record<$new>) -> $view {
                $view { id: record.id, $($field: record.value.$field,)+ $($($shown: record.value.$shown,)+)? created_at: record.created_at, version: record.version }
            }
        }

        impl $crate::resources::http::Versioned for $view {
            fn key(&self) -> (::uuid::Uuid, i64) {
                (self.id.uuid(), self.version)
            }
        }
    };
}
pub(crate) use resource;

/// Something that a document names was deleted at the same moment.
pub(crate) fn dangling() -> kernel::Error {
    let detail = "Something that this names is not there any more.";
    kernel::Error::invalid(vec![kernel::FieldError::body("", "unknown_reference", detail)])
}

/// What a boolean is when it is left out.
pub(crate) fn yes() -> bool {
    true
}
