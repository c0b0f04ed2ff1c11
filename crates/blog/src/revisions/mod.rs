//! Revisions: a complete snapshot of every change of a published post; nothing is ever rewritten (BLG-8).

pub(crate) mod diff;
pub(crate) mod http;
pub(crate) mod service;
pub(crate) mod store;

use kernel::{Timestamp, UserId};

use crate::posts::Content;

/// A revision as it is stored.
#[derive(Clone, Debug)]
pub(crate) struct RevisionRecord {
    pub(crate) number: i64,
    pub(crate) author_user_id: Option<UserId>,
    pub(crate) reason: String,
    pub(crate) created_at: Timestamp,
    pub(crate) payload: Content,
}

/// A revision in a list.
#[derive(Clone, Debug)]
pub(crate) struct RevisionLine {
    pub(crate) number: i64,
    pub(crate) author_user_id: Option<UserId>,
    pub(crate) reason: String,
    pub(crate) created_at: Timestamp,
}
