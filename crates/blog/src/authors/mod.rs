//! Author profiles: whose name stands above a post, with or without an account (REL-1).

pub(crate) mod http;
pub(crate) mod service;
pub(crate) mod store;

use kernel::{Id, Timestamp, UserId};

/// The marker of an author's identifier.
#[derive(Debug)]
pub(crate) enum Author {}

/// A profile as it is stored.
#[derive(Clone, Debug)]
pub(crate) struct AuthorRecord {
    pub(crate) id: Id<Author>,
    pub(crate) user_id: Option<UserId>,
    pub(crate) slug: String,
    pub(crate) name: String,
    pub(crate) bio: String,
    pub(crate) website: Option<String>,
    pub(crate) created_at: Timestamp,
    pub(crate) updated_at: Timestamp,
    pub(crate) version: i64,
}
