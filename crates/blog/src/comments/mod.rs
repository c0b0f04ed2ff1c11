//! Comments: threads of replies by people and guests, and what moderators decide (CMT-3 to CMT-8).

pub(crate) mod create;
pub(crate) mod http;
pub(crate) mod list;
pub(crate) mod service;
pub(crate) mod spam;
pub(crate) mod store;

use kernel::{Id, Timestamp, UserId};
use serde::{Deserialize, Serialize};

use crate::posts::Post;
use crate::threads::Thread;

/// The marker of a comment's identifier.
#[derive(Debug)]
pub(crate) enum Comment {}

/// The most links of a comment.
pub(crate) const MAX_LINKS: usize = 20;

/// Whether a comment is public.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = CommentStatus)]
pub(crate) enum Status {
    /// It waits for a moderator.
    Pending,
    /// It is public.
    Approved,
    /// It is spam.
    Spam,
    /// A moderator took it away.
    Trashed,
}

impl Status {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Status::Pending => "pending",
            Status::Approved => "approved",
            Status::Spam => "spam",
            Status::Trashed => "trashed",
        }
    }

    pub(crate) fn parse(text: &str) -> Status {
        match text {
            "approved" => Status::Approved,
            "spam" => Status::Spam,
            "trashed" => Status::Trashed,
            _ => Status::Pending,
        }
    }
}

/// A comment as it is stored.
#[derive(Clone, Debug)]
pub(crate) struct CommentRecord {
    pub(crate) id: Id<Comment>,
    pub(crate) thread_id: Id<Thread>,
    pub(crate) post_id: Option<Id<Post>>,
    pub(crate) seq: i64,
    pub(crate) parent_id: Option<Id<Comment>>,
    pub(crate) root_id: Id<Comment>,
    pub(crate) depth: i64,
    pub(crate) author_user_id: Option<UserId>,
    pub(crate) author_name: String,
    pub(crate) guest_website: Option<String>,
    pub(crate) edit_token_hash: Option<[u8; 32]>,
    pub(crate) status: Status,
    pub(crate) is_deleted: bool,
    pub(crate) spam_score: i64,
    pub(crate) reply_count: i64,
    pub(crate) report_count: i64,
    pub(crate) created_at: Timestamp,
    pub(crate) edited_at: Option<Timestamp>,
    pub(crate) version: i64,
    pub(crate) render_version: i32,
    pub(crate) source: String,
    pub(crate) html: String,
}

impl CommentRecord {
    /// Whether it counts: everybody sees it and what it says.
    pub(crate) fn is_public(&self) -> bool {
        self.status == Status::Approved && !self.is_deleted
    }
}
