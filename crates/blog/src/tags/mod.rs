//! Tags and categories: names that posts share.

pub(crate) mod http;
pub(crate) mod service;
pub(crate) mod store;

use kernel::{Id, Timestamp};
use serde::{Deserialize, Serialize};

/// The marker of a tag's identifier.
#[derive(Debug)]
pub(crate) enum Tag {}

/// Whether something names a subject or a place in the site's order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum TagKind {
    /// A subject.
    #[default]
    Tag,
    /// A place in the site's order.
    Category,
}

impl TagKind {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            TagKind::Tag => "tag",
            TagKind::Category => "category",
        }
    }

    pub(crate) fn parse(text: &str) -> TagKind {
        if text == "category" { TagKind::Category } else { TagKind::Tag }
    }
}

/// A tag as it is stored.
#[derive(Clone, Debug)]
pub(crate) struct TagRecord {
    pub(crate) id: Id<Tag>,
    pub(crate) kind: TagKind,
    pub(crate) slug: String,
    pub(crate) name: String,
    pub(crate) description: String,
    pub(crate) created_at: Timestamp,
    pub(crate) updated_at: Timestamp,
    pub(crate) version: i64,
}
