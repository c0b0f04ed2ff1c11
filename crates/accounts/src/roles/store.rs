//! SQL of roles and who holds them.

use db::{Conn, Error, Param, ToParam as _, params};
use kernel::page::Keyset;
use kernel::{Id, Timestamp, UserId};

use crate::roles::{Role, RoleRecord};

db::row! {
    /// A row of `accounts_roles`.
    pub(crate) struct RoleRow {
        pub(crate) id: Id<Role>,
        pub(crate) name: String,
        pub(crate) is_builtin: bool,
        pub(crate) created_at: Timestamp,
        pub(crate) version: i64,
    }
}

impl RoleRow {
    fn with(self, permissions: Vec<String>) -> RoleRecord {
        let RoleRow { id, name, is_builtin, created_at, version } = self;
        RoleRecord { id, name, is_builtin, permissions, created_at, version }
    }
}

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

/// The roles of these names; unknown names are left out.
pub(crate) fn named(c: &mut Conn, names: &[String]) -> Result<Vec<RoleRecord>, Error> {
    if names.is_empty() {
        return Ok(Vec::new());
    }
    let values: Vec<Param<'_>> = names.iter().map(|name| name.to_param()).collect();
    let sql = format!("SELECT id, name, is_builtin, created_at, version FROM accounts_roles WHERE name IN ({})", places("?", names.len()));
    let rows = c.all::<RoleRow>(sql, &values)?;
    all_with_permissions(c, rows)
}

/// The names of the roles with these identifiers; unknown ones are left out.
pub(crate) fn names_by_id(c: &mut Conn, ids: &[Id<Role>]) -> Result<Vec<(Id<Role>, String)>, Error> {
    let mut names = Vec::new();
    // A page of invitations may name more roles than a statement may have values; there are few different ones.
    let unique: std::collections::BTreeSet<uuid::Uuid> = ids.iter().map(|id| id.uuid()).collect();
    for batch in unique.into_iter().map(Id::<Role>::from_uuid).collect::<Vec<_>>().chunks(500) {
        let values: Vec<Param<'_>> = batch.iter().map(|id| id.to_param()).collect();
        names.extend(c.all::<(Id<Role>, String)>(
            format!("SELECT id, name FROM accounts_roles WHERE id IN ({})", places("?", batch.len())),
            &values,
        )?);
    }
    Ok(names)
}

/// Whether the person holds the role.
pub(crate) fn holds(c: &mut Conn, user: UserId, role: &str) -> Result<bool, Error> {
    let row = c.opt::<i64>(
        "SELECT 1 FROM accounts_user_roles ur JOIN accounts_roles r ON r.id = ur.role_id WHERE ur.user_id = ? AND r.name = ?",
        params![user, role],
    )?;
    Ok(row.is_some())
}

pub(crate) fn find(c: &mut Conn, id: Id<Role>) -> Result<Option<RoleRecord>, Error> {
    let row = c.opt::<RoleRow>("SELECT id, name, is_builtin, created_at, version FROM accounts_roles WHERE id = ?", params![id])?;
    with_permissions(c, row)
}

/// The role, locked until the transaction ends: nobody gives it while it is changed or deleted.
pub(crate) fn lock(tx: &mut db::Tx<'_>, id: Id<Role>) -> Result<Option<RoleRecord>, Error> {
    let row =
        tx.opt::<RoleRow>("SELECT id, name, is_builtin, created_at, version FROM accounts_roles WHERE id = ? {for_update}", params![id])?;
    with_permissions(tx, row)
}

fn with_permissions(c: &mut Conn, row: Option<RoleRow>) -> Result<Option<RoleRecord>, Error> {
    let Some(row) = row else { return Ok(None) };
    let sql = "SELECT permission FROM accounts_role_permissions WHERE role_id = ?";
    let mut permissions: Vec<String> = c.all(sql, params![row.id])?;
    permissions.sort_unstable();
    Ok(Some(row.with(permissions)))
}

/// One page of the roles.
pub(crate) fn list(c: &mut Conn, keyset: &Keyset) -> Result<Vec<RoleRecord>, Error> {
    let (condition, values) = keyset.condition();
    let sql = format!(
        "SELECT id, name, is_builtin, created_at, version FROM accounts_roles WHERE {condition} ORDER BY {} LIMIT {}",
        keyset.order_by(),
        keyset.limit()
    );
    let rows = c.all::<RoleRow>(sql, &values)?;
    all_with_permissions(c, rows)
}

/// The roles of a person.
pub(crate) fn roles_of(c: &mut Conn, user: UserId) -> Result<Vec<RoleRecord>, Error> {
    let rows = c.all::<RoleRow>(
        "SELECT r.id, r.name, r.is_builtin, r.created_at, r.version FROM accounts_user_roles ur JOIN accounts_roles r ON r.id = ur.role_id \
         WHERE ur.user_id = ? ORDER BY r.name",
        params![user],
    )?;
    all_with_permissions(c, rows)
}

/// Adds what the roles allow, in one statement however many there are.
fn all_with_permissions(c: &mut Conn, rows: Vec<RoleRow>) -> Result<Vec<RoleRecord>, Error> {
    if rows.is_empty() {
        return Ok(Vec::new());
    }
    let ids: Vec<Param<'_>> = rows.iter().map(|row| row.id.to_param()).collect();
    let sql = format!("SELECT role_id, permission FROM accounts_role_permissions WHERE role_id IN ({})", places("?", ids.len()));
    let mut pairs = c.all::<(Id<Role>, String)>(sql, &ids)?;
    pairs.sort_unstable_by(|one, other| one.1.cmp(&other.1));
    let of = |id: Id<Role>| pairs.iter().filter(|(role, _)| *role == id).map(|(_, name)| name.clone()).collect();
    Ok(rows
        .into_iter()
        .map(|row| {
            let permissions = of(row.id);
            row.with(permissions)
        })
        .collect())
}

/// The names of the roles of these people, each with its person.
pub(crate) fn names_for(c: &mut Conn, users: &[UserId]) -> Result<Vec<(UserId, String)>, Error> {
    if users.is_empty() {
        return Ok(Vec::new());
    }
    let ids: Vec<Param<'_>> = users.iter().map(|id| id.to_param()).collect();
    let sql = format!(
        "SELECT ur.user_id, r.name FROM accounts_user_roles ur JOIN accounts_roles r ON r.id = ur.role_id WHERE ur.user_id IN ({})",
        places("?", ids.len())
    );
    let mut names = c.all::<(UserId, String)>(sql, &ids)?;
    names.sort_unstable_by(|one, other| one.1.cmp(&other.1));
    Ok(names)
}

/// `count` placeholders, separated by commas.
fn places(one: &str, count: usize) -> String {
    vec![one; count].join(", ")
}

pub(crate) fn unassign(tx: &mut db::Tx<'_>, user: UserId, role: Id<Role>) -> Result<bool, Error> {
    Ok(tx.execute("DELETE FROM accounts_user_roles WHERE user_id = ? AND role_id = ?", params![user, role])? == 1)
}

/// Some of the roles that there are, at most `limit`.
pub(crate) fn some_ids(c: &mut Conn, limit: usize) -> Result<Vec<Id<Role>>, Error> {
    Ok(c.all::<(Id<Role>,)>(format!("SELECT id FROM accounts_roles LIMIT {limit}"), params![])?.into_iter().map(|(id,)| id).collect())
}

/// Some of the people who hold the role, active or not, at most `limit`.
pub(crate) fn some_holders(c: &mut Conn, role: Id<Role>, limit: usize) -> Result<Vec<UserId>, Error> {
    let sql = format!("SELECT user_id FROM accounts_user_roles WHERE role_id = ? LIMIT {limit}");
    Ok(c.all::<(UserId,)>(sql, params![role])?.into_iter().map(|(id,)| id).collect())
}

/// Gives these holders of one role another one instead; who holds both keeps the other.
pub(crate) fn move_holders(tx: &mut db::Tx<'_>, users: &[UserId], from: Id<Role>, to: Id<Role>) -> Result<(), Error> {
    let ids: Vec<Param<'_>> = users.iter().map(|id| id.to_param()).collect();
    let sql = format!("SELECT user_id FROM accounts_user_roles WHERE role_id = ? AND user_id IN ({})", places("?", ids.len()));
    let already: Vec<UserId> = tx.all::<(UserId,)>(sql, &[params![to], ids.as_slice()].concat())?.into_iter().map(|(id,)| id).collect();
    let moved: Vec<Param<'_>> = users.iter().filter(|id| !already.contains(id)).map(|id| id.to_param()).collect();
    if !moved.is_empty() {
        let sql = format!("UPDATE accounts_user_roles SET role_id = ? WHERE role_id = ? AND user_id IN ({})", places("?", moved.len()));
        tx.execute(sql, &[params![to, from], moved.as_slice()].concat())?;
    }
    let sql = format!("DELETE FROM accounts_user_roles WHERE role_id = ? AND user_id IN ({})", places("?", ids.len()));
    tx.execute(sql, &[params![from], ids.as_slice()].concat())?;
    Ok(())
}

/// Renames a role that still has the expected version; false when it does not.
pub(crate) fn update(tx: &mut db::Tx<'_>, id: Id<Role>, expected: i64, name: &str) -> Result<bool, Error> {
    Ok(tx.execute("UPDATE accounts_roles SET name = ?, version = version + 1 WHERE id = ? AND version = ?", params![name, id, expected])?
        == 1)
}

/// Replaces what a role allows.
pub(crate) fn set_permissions(tx: &mut db::Tx<'_>, id: Id<Role>, permissions: &[String]) -> Result<(), Error> {
    tx.execute("DELETE FROM accounts_role_permissions WHERE role_id = ?", params![id])?;
    if permissions.is_empty() {
        return Ok(());
    }
    let sql = format!("INSERT INTO accounts_role_permissions (role_id, permission) VALUES {}", places("(?, ?)", permissions.len()));
    let values: Vec<Param<'_>> = permissions.iter().flat_map(|name| [id.to_param(), name.to_param()]).collect();
    tx.execute(sql, &values)?;
    Ok(())
}

/// Deletes a role that nobody holds.
pub(crate) fn delete(tx: &mut db::Tx<'_>, id: Id<Role>) -> Result<(), Error> {
    tx.execute("DELETE FROM accounts_role_permissions WHERE role_id = ?", params![id])?;
    tx.execute("DELETE FROM accounts_roles WHERE id = ?", params![id])?;
    Ok(())
}
