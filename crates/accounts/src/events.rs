//! What happens to accounts. Payloads carry ids, never secrets or addresses.

use kernel::event;
use uuid::Uuid;

event! {
    /// Somebody began to sign up; the mailbox is not proven yet.
    pub struct SignupStarted as "accounts.signup.started" {
        /// The pending sign-up.
        pub signup_id: Uuid,
    }
}

event! {
    /// A person has an account.
    pub struct UserCreated as "accounts.user.created" {
        /// The person.
        pub user_id: Uuid,
    }
}

event! {
    /// A person changed their profile.
    pub struct UserUpdated as "accounts.user.updated" {
        /// The person.
        pub user_id: Uuid,
    }
}

event! {
    /// An account was locked by an operator.
    pub struct UserDisabled as "accounts.user.disabled" {
        /// The person.
        pub user_id: Uuid,
    }
}

event! {
    /// An account was unlocked by an operator.
    pub struct UserEnabled as "accounts.user.enabled" {
        /// The person.
        pub user_id: Uuid,
    }
}

event! {
    /// Somebody logged in.
    pub struct SessionStarted as "accounts.session.started" {
        /// The login.
        pub session_id: Uuid,
        /// The person.
        pub user_id: Uuid,
        /// How they proved who they are: `signup`, `invitation`, `password`, `owner_link`.
        pub method: String,
    }
}

event! {
    /// A person proved again who they are.
    pub struct SessionRenewed as "accounts.session.renewed" {
        /// The login.
        pub session_id: Uuid,
        /// The person.
        pub user_id: Uuid,
    }
}

event! {
    /// A login, or all logins of a person, ended before their time.
    pub struct SessionRevoked as "accounts.session.revoked" {
        /// The login; null when several ended.
        pub session_id: Option<Uuid>,
        /// The person.
        pub user_id: Uuid,
    }
}

event! {
    /// A password was set or changed.
    pub struct PasswordChanged as "accounts.password.changed" {
        /// The person.
        pub user_id: Uuid,
    }
}

event! {
    /// Somebody asked to reset the password of an account.
    pub struct PasswordResetRequested as "accounts.password.reset_requested" {
        /// The person.
        pub user_id: Uuid,
    }
}

event! {
    /// A person has another address.
    pub struct EmailChanged as "accounts.email.changed" {
        /// The person.
        pub user_id: Uuid,
    }
}

event! {
    /// The former owner of an address undid its change.
    pub struct EmailChangeUndone as "accounts.email.change_undone" {
        /// The person.
        pub user_id: Uuid,
    }
}

event! {
    /// A refresh token was used again after its successor; the session was ended.
    pub struct RefreshTokenReplayed as "accounts.refresh_token.replayed" {
        /// The login that was ended.
        pub session_id: Uuid,
        /// The person.
        pub user_id: Uuid,
    }
}

event! {
    /// A person made an API key.
    pub struct ApiKeyCreated as "accounts.api_key.created" {
        /// The key.
        pub api_key_id: Uuid,
        /// The person.
        pub user_id: Uuid,
    }
}

event! {
    /// An API key, or all API keys of a person, ended before their time.
    pub struct ApiKeyRevoked as "accounts.api_key.revoked" {
        /// The key; null when several ended.
        pub api_key_id: Option<Uuid>,
        /// The person.
        pub user_id: Uuid,
    }
}

event! {
    /// A person got a role.
    pub struct RoleAssigned as "accounts.role.assigned" {
        /// The person.
        pub user_id: Uuid,
        /// The role's name.
        pub role: String,
    }
}

event! {
    /// A role was taken from a person.
    pub struct RoleUnassigned as "accounts.role.unassigned" {
        /// The person.
        pub user_id: Uuid,
        /// The role's name.
        pub role: String,
    }
}

event! {
    /// A role was made.
    pub struct RoleCreated as "accounts.role.created" {
        /// The role.
        pub role_id: Uuid,
    }
}

event! {
    /// A role has another name, allows something else, or lost holders.
    pub struct RoleUpdated as "accounts.role.updated" {
        /// The role.
        pub role_id: Uuid,
    }
}

event! {
    /// A role is gone.
    pub struct RoleDeleted as "accounts.role.deleted" {
        /// The role.
        pub role_id: Uuid,
    }
}

event! {
    /// Somebody was invited.
    pub struct InvitationCreated as "accounts.invitation.created" {
        /// The invitation.
        pub invitation_id: Uuid,
    }
}

event! {
    /// An invited person has an account.
    pub struct InvitationAccepted as "accounts.invitation.accepted" {
        /// The invitation.
        pub invitation_id: Uuid,
        /// The person.
        pub user_id: Uuid,
    }
}

event! {
    /// The key that signs access tokens was replaced.
    pub struct SigningKeyRotated as "accounts.signing_key.rotated" {
        /// The name of the new key.
        pub kid: String,
    }
}
