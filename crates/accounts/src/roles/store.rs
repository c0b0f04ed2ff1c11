//! SQL of roles and who holds them.

use db::{Conn, Error, params};
use kernel::{Id, Timestamp, UserId};

/// The marker of a role's identifier.
pub(crate) enum Role {}

pub(crate) fn insert(tx: &mut db::Tx<'_>, id: Id<Role>, name: &str, is_builtin: bool, now: Timestamp) -> Result<bool, Error> {
    tx.insert_ignore(
        "INSERT INTO accounts_roles (id, name, is_builtin, created_at, version) VALUES (?, ?, ?, ?, 1)",
        params![id, name, is_builtin, now],
    )
}

pub(crate) fn id_by_name(c: &mut Conn, name: &str) -> Result<Option<Id<Role>>, Error> {
    Ok(c.opt::<(Id<Role>,)>("SELECT id FROM accounts_roles WHERE name = ?", params![name])?.map(|(id,)| id))
}

pub(crate) fn grant(tx: &mut db::Tx<'_>, role: Id<Role>, permission: &str) -> Result<bool, Error> {
    tx.insert_ignore("INSERT INTO accounts_role_permissions (role_id, permission) VALUES (?, ?)", params![role, permission])
}

pub(crate) fn assign(tx: &mut db::Tx<'_>, user: UserId, role: Id<Role>) -> Result<bool, Error> {
    tx.insert_ignore("INSERT INTO accounts_user_roles (user_id, role_id) VALUES (?, ?)", params![user, role])
}

/// The names of the roles a person holds, sorted by code point.
pub(crate) fn names_of(c: &mut Conn, user: UserId) -> Result<Vec<String>, Error> {
    let mut names: Vec<String> =
        c.all("SELECT r.name FROM accounts_user_roles ur JOIN accounts_roles r ON r.id = ur.role_id WHERE ur.user_id = ?", params![user])?;
    names.sort_unstable();
    Ok(names)
}

/// Every permission that the person's roles grant.
pub(crate) fn permissions_of(c: &mut Conn, user: UserId) -> Result<Vec<String>, Error> {
    c.all(
        "SELECT p.permission FROM accounts_user_roles ur JOIN accounts_role_permissions p ON p.role_id = ur.role_id WHERE ur.user_id = ?",
        params![user],
    )
}

/// Whether an active person holds the role.
pub(crate) fn is_held(c: &mut Conn, role: &str) -> Result<bool, Error> {
    let row = c.opt::<i64>(
        "SELECT 1 FROM accounts_user_roles ur JOIN accounts_roles r ON r.id = ur.role_id JOIN accounts_users u ON u.id = ur.user_id \
         WHERE r.name = ? AND u.status = 'active' LIMIT 1",
        params![role],
    )?;
    Ok(row.is_some())
}

/// The active holders of a role, locked until the transaction ends.
pub(crate) fn holders(tx: &mut db::Tx<'_>, role: &str) -> Result<Vec<UserId>, Error> {
    let rows = tx.all::<(UserId,)>(
        "SELECT u.id FROM accounts_user_roles ur JOIN accounts_roles r ON r.id = ur.role_id JOIN accounts_users u ON u.id = ur.user_id \
         WHERE r.name = ? AND u.status = 'active' ORDER BY u.id {for_update}",
        params![role],
    )?;
    Ok(rows.into_iter().map(|(id,)| id).collect())
}
