//! Roles: named sets of permissions that people hold.

pub(crate) mod http;
pub(crate) mod service;
pub(crate) mod store;

use kernel::error::FORBIDDEN;
use kernel::{Actor, Id, Result, Timestamp};

/// May do everything; at least one person holds it.
pub const OWNER: &str = "owner";
/// May do everything that modules declare, except what only owners may.
pub const ADMIN: &str = "admin";
/// Everybody with an account.
pub const MEMBER: &str = "member";

/// Stands for everything, also what later modules bring; only the owner's role holds it.
pub(crate) const EVERYTHING: &str = "*";
/// Most roles of one person (accounts.md §13).
pub(crate) const MAX_ROLES_OF_A_PERSON: usize = 50;
/// Most roles of an instance (accounts.md §13).
pub(crate) const MAX_ROLES: usize = 500;

/// The marker of a role's identifier.
pub(crate) enum Role {}

/// A role with what it allows.
#[derive(Clone, Debug)]
pub(crate) struct RoleRecord {
    pub(crate) id: Id<Role>,
    pub(crate) name: String,
    pub(crate) is_builtin: bool,
    /// The names, sorted; `*` for everything.
    pub(crate) permissions: Vec<String>,
    pub(crate) created_at: Timestamp,
    pub(crate) version: i64,
}

/// Refuses to give or take a permission that the caller lacks (ADM-3).
pub(crate) fn require_held<'p>(actor: &Actor, permissions: impl IntoIterator<Item = &'p String>) -> Result<()> {
    match permissions.into_iter().find(|name| !actor.permissions().allow_name(name)) {
        None => Ok(()),
        Some(name) if name == EVERYTHING => Err(FORBIDDEN.because("Only an owner can do this.")),
        Some(name) => Err(FORBIDDEN.because(format!("You lack the permission {name} and so can neither give nor take it."))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn adm3_nobody_gives_what_they_lack() {
        assert!(require_held(&Actor::anonymous(), &names(&[])).is_ok());
        assert!(require_held(&Actor::anonymous(), &names(&["a:b:c"])).unwrap_err().is(&FORBIDDEN));
        assert!(require_held(&Actor::system(), &names(&["a:b:c", EVERYTHING])).is_ok());
    }
}
