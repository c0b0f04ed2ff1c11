//! What happened: recorded in the transaction of the change, delivered after it.
//!
//! Each subscriber of an event becomes one job in the same transaction, so delivery has the retries, the leases and the dead
//! state of the job queue. The row of the event itself stays for history; other nodes watch it to drop cached copies.

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::actor::UserId;
use crate::error::{Error, Result};
use crate::id::Id;
use crate::time::Timestamp;

/// Something that happened, in the past tense: `module.thing.happened`.
pub trait Event: Serialize + utoipa::ToSchema + Send + Sync + 'static {
    /// The public name.
    const NAME: &'static str;
    /// One sentence: when it fires.
    const DOC: &'static str;
}

/// Declares an event: its struct, its name and when it fires.
///
/// ```
/// kernel::event! {
///     /// A post became public.
///     pub struct PostPublished as "blog.post.published" {
///         /// The post.
///         pub post_id: String,
///     }
/// }
/// # fn main() { use kernel::Event; assert_eq!(PostPublished::NAME, "blog.post.published"); }
/// ```
#[macro_export]
macro_rules! event {
    ($(#[doc = $doc:literal])+ $vis:vis struct $name:ident as $event:literal { $($body:tt)* }) => {
        $(#[doc = $doc])+
        #[derive(Clone, Debug, ::serde::Serialize, ::serde::Deserialize, ::utoipa::ToSchema)]
        $vis struct $name { $($body)* }
        impl $crate::Event for $name {
            const NAME: &'static str = $event;
            const DOC: &'static str = concat!($($doc),+);
        }
    };
}

/// An event of the catalogue.
#[derive(Clone, Debug)]
pub struct EventType {
    /// The public name.
    pub name: &'static str,
    /// One sentence: when it fires.
    pub doc: &'static str,
    /// The JSON Schema of its payload.
    pub schema: Value,
}

impl EventType {
    pub(crate) fn of<E: Event>() -> EventType {
        EventType { name: E::NAME, doc: E::DOC.trim(), schema: serde_json::to_value(E::schema()).unwrap_or_default() }
    }
}

/// An event as it was recorded.
#[derive(Clone, Debug)]
pub struct StoredEvent {
    /// The same for every delivery, so that receivers can deduplicate.
    pub id: Id<StoredEvent>,
    /// The public name.
    pub name: String,
    /// When the change was made.
    pub at: Timestamp,
    /// Who made it, if a person did.
    pub actor_id: Option<UserId>,
    /// The request in which it was made, if there was one.
    pub request_id: Option<String>,
    /// The payload.
    pub data: Value,
}

impl StoredEvent {
    /// Reads the payload tolerantly into the subscriber's own type.
    pub fn read<T: DeserializeOwned>(&self) -> Result<T> {
        serde_json::from_value(self.data.clone()).map_err(Error::internal)
    }
}
