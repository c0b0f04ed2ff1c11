//! Sessions: one login each, in a browser (cookie) or a client (tokens).

mod cache;
pub(crate) mod http;
pub(crate) mod service;
pub(crate) mod store;

use kernel::{Id, Session, Timestamp, UserId};

pub(crate) use cache::{Cached, SessionCache};

/// How a client holds its session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SessionKind {
    /// A browser, by cookie.
    Browser,
    /// A client, by access and refresh tokens.
    Token,
}

impl SessionKind {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            SessionKind::Browser => "browser",
            SessionKind::Token => "token",
        }
    }
}

/// A login as it is stored.
#[derive(Clone, Debug)]
pub(crate) struct SessionRecord {
    pub(crate) id: Id<Session>,
    pub(crate) user_id: UserId,
    pub(crate) kind: SessionKind,
    pub(crate) amr: String,
    pub(crate) auth_time: Timestamp,
    /// Until when its admin grant lasts at most, and when that was last used (SES-3).
    pub(crate) admin_until: Option<Timestamp>,
    pub(crate) admin_seen_at: Option<Timestamp>,
    /// Whether the cookie outlives the browser's own session.
    pub(crate) is_remembered: bool,
    pub(crate) created_at: Timestamp,
    pub(crate) last_seen_at: Timestamp,
    pub(crate) idle_at: Timestamp,
    pub(crate) absolute_at: Timestamp,
    pub(crate) revoked_at: Option<Timestamp>,
    pub(crate) ip: String,
    pub(crate) user_agent: Option<String>,
}

impl SessionRecord {
    /// Whether the session can be used at `now`.
    pub(crate) fn is_live(&self, now: Timestamp) -> bool {
        self.revoked_at.is_none() && now < self.idle_at && now < self.absolute_at
    }
}
