//! Invitations: an account that waits for whoever holds the mailbox, with the roles it will have.

pub(crate) mod http;
pub(crate) mod service;
pub(crate) mod store;

use kernel::{Id, Timestamp, UserId};

use crate::roles::Role;

/// The marker of an invitation's identifier.
pub(crate) enum Invitation {}

/// An invitation as it is stored.
#[derive(Clone, Debug)]
pub(crate) struct InvitationRecord {
    pub(crate) id: Id<Invitation>,
    pub(crate) email: String,
    pub(crate) email_norm: String,
    pub(crate) role_ids: Vec<Id<Role>>,
    pub(crate) locale: String,
    /// Who invites; nobody when it was the operator at the command line.
    pub(crate) invited_by: Option<UserId>,
    pub(crate) created_at: Timestamp,
    pub(crate) expires_at: Timestamp,
    pub(crate) accepted_at: Option<Timestamp>,
    /// When it was withdrawn, declined, or replaced by a newer one.
    pub(crate) revoked_at: Option<Timestamp>,
}

impl InvitationRecord {
    /// Whether it can be accepted at `now`.
    pub(crate) fn is_open(&self, now: Timestamp) -> bool {
        self.accepted_at.is_none() && self.revoked_at.is_none() && now < self.expires_at
    }
}
