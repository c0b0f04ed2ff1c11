//! Users: who has an account, under which names.

pub mod names;

pub(crate) mod administration;
pub(crate) mod administration_http;
pub(crate) mod directory;
pub(crate) mod http;
pub mod service;
pub(crate) mod store;

use kernel::{Timestamp, UserId};

/// Whether an account can be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum UserStatus {
    /// It can log in.
    Active,
    /// An operator locked it.
    Disabled,
}

impl UserStatus {
    /// The value at rest.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            UserStatus::Active => "active",
            UserStatus::Disabled => "disabled",
        }
    }

    pub(crate) fn parse(text: &str) -> UserStatus {
        if text == "active" { UserStatus::Active } else { UserStatus::Disabled }
    }
}

/// A person with an account.
#[derive(Clone, Debug)]
pub struct UserRecord {
    /// Who it is.
    pub id: UserId,
    /// Whether the account can be used.
    pub status: UserStatus,
    /// The primary address.
    pub email: String,
    /// The primary address as it is compared.
    pub email_norm: String,
    /// The name to log in with, beside the address.
    pub username: Option<String>,
    /// The name shown to others.
    pub display_name: String,
    /// The language of their mails.
    pub locale: String,
    /// Grows when everything issued before must stop working.
    pub sec_epoch: i64,
    /// When the account was made.
    pub created_at: Timestamp,
    /// When the profile last changed.
    pub updated_at: Timestamp,
    /// When they last logged in.
    pub last_login_at: Option<Timestamp>,
    /// Grows with every change of the profile.
    pub version: i64,
}
