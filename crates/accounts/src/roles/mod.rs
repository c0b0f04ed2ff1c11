//! Roles: named sets of permissions that people hold.

pub(crate) mod service;
pub(crate) mod store;

/// May do everything; at least one person holds it.
pub const OWNER: &str = "owner";
/// May do everything that modules declare, except what only owners may.
pub const ADMIN: &str = "admin";
/// Everybody with an account.
pub const MEMBER: &str = "member";
