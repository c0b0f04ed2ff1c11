//! What the administration of people asks for. All of it is administrative: it also needs an admin grant on the login (SES-3).

use kernel::Permission;

/// Read anybody's account.
pub(crate) static READ_USERS: Permission = Permission::new("accounts:users:read", "Read everybody's account.").administrative();
/// Change anybody's account.
pub(crate) static UPDATE_USERS: Permission =
    Permission::new("accounts:users:update", "Change everybody's profile and start a password reset.").administrative();
/// Lock and unlock accounts.
pub(crate) static DISABLE_USERS: Permission = Permission::new("accounts:users:disable", "Lock and unlock accounts.").administrative();
/// Invite people.
pub(crate) static CREATE_INVITATIONS: Permission =
    Permission::new("accounts:invitations:create", "Invite people, with roles as far as one's own permissions go.").administrative();
/// See invitations.
pub(crate) static READ_INVITATIONS: Permission = Permission::new("accounts:invitations:read", "See open invitations.").administrative();
/// Withdraw invitations.
pub(crate) static DELETE_INVITATIONS: Permission = Permission::new("accounts:invitations:delete", "Withdraw invitations.").administrative();
/// See anybody's logins.
pub(crate) static READ_SESSIONS: Permission = Permission::new("accounts:sessions:read", "See everybody's logins.").administrative();
/// End anybody's logins.
pub(crate) static REVOKE_SESSIONS: Permission = Permission::new("accounts:sessions:revoke", "End everybody's logins.").administrative();
/// See anybody's keys.
pub(crate) static READ_API_KEYS: Permission =
    Permission::new("accounts:api_keys:read", "See everybody's API keys, though not the secret in them.").administrative();
/// End anybody's keys.
pub(crate) static REVOKE_API_KEYS: Permission =
    Permission::new("accounts:api_keys:revoke", "End everybody's API keys, and make keys that last longer than others may.")
        .administrative();
/// See roles.
pub(crate) static READ_ROLES: Permission = Permission::new("accounts:roles:read", "See roles and what they allow.").administrative();
/// Make roles.
pub(crate) static CREATE_ROLES: Permission = Permission::new("accounts:roles:create", "Make roles.").administrative();
/// Change roles.
pub(crate) static UPDATE_ROLES: Permission = Permission::new("accounts:roles:update", "Change what roles allow.").administrative();
/// Delete roles.
pub(crate) static DELETE_ROLES: Permission = Permission::new("accounts:roles:delete", "Delete roles.").administrative();
/// Give and take roles.
pub(crate) static ASSIGN_ROLES: Permission =
    Permission::new("accounts:roles:assign", "Give people roles and take them, as far as one's own permissions go.").administrative();

/// All of them, for registration.
pub(crate) static ALL: &[&Permission] = &[
    &READ_USERS,
    &UPDATE_USERS,
    &DISABLE_USERS,
    &CREATE_INVITATIONS,
    &READ_INVITATIONS,
    &DELETE_INVITATIONS,
    &READ_SESSIONS,
    &REVOKE_SESSIONS,
    &READ_API_KEYS,
    &REVOKE_API_KEYS,
    &READ_ROLES,
    &CREATE_ROLES,
    &UPDATE_ROLES,
    &DELETE_ROLES,
    &ASSIGN_ROLES,
];
