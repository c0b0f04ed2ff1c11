//! Conversations: below a post, or below any page of an allowed site (CMT-1, CMT-2).

pub(crate) mod http;
pub(crate) mod service;
pub(crate) mod store;
pub(crate) mod subject;

use kernel::{Id, Timestamp};
use serde::{Deserialize, Serialize};

use crate::posts::Post;

/// The marker of a conversation's identifier.
#[derive(Debug)]
pub(crate) enum Thread {}

/// Who may comment, and what a moderator sees first (CMT-3).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = CommentPolicy)]
pub(crate) enum Policy {
    /// Everybody; comments are public at once.
    Open,
    /// Everybody; a first comment waits for a moderator.
    #[default]
    FirstTime,
    /// Everybody; every comment waits for a moderator.
    Moderated,
    /// People with an account; comments are public at once.
    Members,
    /// Nobody.
    Closed,
}

impl Policy {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Policy::Open => "open",
            Policy::FirstTime => "first_time",
            Policy::Moderated => "moderated",
            Policy::Members => "members",
            Policy::Closed => "closed",
        }
    }

    pub(crate) fn parse(text: &str) -> Option<Policy> {
        Some(match text {
            "open" => Policy::Open,
            "first_time" => Policy::FirstTime,
            "moderated" => Policy::Moderated,
            "members" => Policy::Members,
            "closed" => Policy::Closed,
            _ => return None,
        })
    }
}

/// A conversation as it is stored.
#[derive(Clone, Debug)]
pub(crate) struct ThreadRecord {
    pub(crate) id: Id<Thread>,
    pub(crate) post_id: Option<Id<Post>>,
    pub(crate) url: Option<String>,
    pub(crate) title: String,
    pub(crate) policy: Option<Policy>,
    pub(crate) last_seq: i64,
    pub(crate) comment_count: i64,
    pub(crate) created_at: Timestamp,
    pub(crate) updated_at: Timestamp,
    pub(crate) version: i64,
}
