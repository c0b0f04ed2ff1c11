//! Drafts beside the live version: saved as often as one likes, public only by publishing (BLG-2).

pub(crate) mod http;
pub(crate) mod service;
pub(crate) mod store;

use kernel::{Id, Timestamp};
use serde::{Deserialize, Serialize};

use crate::posts::{Content, Post, RenderedBody};

/// What publishing a draft makes of its post.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Payload {
    pub(crate) content: Content,
    pub(crate) body: RenderedBody,
}

/// A draft as it is stored.
#[derive(Clone, Debug)]
pub(crate) struct DraftRecord {
    pub(crate) post_id: Id<Post>,
    pub(crate) base_version: i64,
    pub(crate) version: i64,
    pub(crate) created_at: Timestamp,
    pub(crate) updated_at: Timestamp,
    pub(crate) payload: Payload,
}
