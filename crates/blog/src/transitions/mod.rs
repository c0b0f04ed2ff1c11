//! Due changes: a post becomes public or stops being it at an instant (BLG-4).
//!
//! Who sees a post never depends on this: reads compare the times with their own clock. A transition only sees to it that the
//! change is told, once, and that the stored status follows.

pub(crate) mod service;
pub(crate) mod store;

use kernel::{Id, Timestamp};

use crate::posts::Post;

/// The marker of a transition's identifier.
pub(crate) enum Transition {}

/// What becomes due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Publish,
    Unpublish,
}

impl Kind {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Kind::Publish => "publish",
            Kind::Unpublish => "unpublish",
        }
    }

    pub(crate) fn parse(text: &str) -> Kind {
        if text == "unpublish" { Kind::Unpublish } else { Kind::Publish }
    }
}

/// A change that is due.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Due {
    pub(crate) id: Id<Transition>,
    pub(crate) post_id: Id<Post>,
    pub(crate) kind: Kind,
    pub(crate) due_at: Timestamp,
}
