//! Personal keys: what a person gives to programs instead of a login, with scopes and an end (KEY-1).

pub(crate) mod http;
pub(crate) mod service;
pub(crate) mod store;
mod text;

use kernel::{Id, Timestamp, UserId};

pub(crate) use text::{ANY_PREFIX, KeyText, PREFIX};

/// The marker of a key's identifier.
pub(crate) enum ApiKey {}

/// Most keys of one person (accounts.md §13).
pub(crate) const MAX_KEYS: usize = 50;

/// A key as it is stored.
#[derive(Clone, Debug)]
pub(crate) struct ApiKeyRecord {
    pub(crate) id: Id<ApiKey>,
    /// The part of the key that may be seen.
    pub(crate) public_id: String,
    pub(crate) user_id: UserId,
    pub(crate) name: String,
    pub(crate) scopes: Vec<String>,
    pub(crate) created_at: Timestamp,
    pub(crate) expires_at: Timestamp,
    pub(crate) last_used_at: Option<Timestamp>,
}
