//! The verbs of roles: seed, list, make, change, delete, give and take.

use std::collections::BTreeSet;

use db::{Conn, OnViolation as _};
use kernel::error::{ALREADY_EXISTS, INVALID_STATE, NOT_FOUND, QUOTA_EXCEEDED};
use kernel::http::IfMatch;
use kernel::page::{CursorValue, KeyKind, Keyset, Page, PageRequest, SortKey};
use kernel::{App, AuditEntry, Ctx, Error, FieldError, Id, Permissions, Result, Tx, UserId};

use crate::events::{RoleAssigned, RoleCreated, RoleDeleted, RoleUnassigned, RoleUpdated};
use crate::problems::{LAST_OWNER, ROLE_IN_USE};
use crate::roles::{ADMIN, EVERYTHING, MAX_ROLES, MAX_ROLES_OF_A_PERSON, MEMBER, OWNER, Role, RoleRecord, require_held, store};
use crate::users;

const SORT_KEYS: &[SortKey] = &[
    SortKey { name: "name", column: "name", kind: KeyKind::Text },
    SortKey { name: "created_at", column: "created_at", kind: KeyKind::Int },
];
/// Holders that one transaction moves to another role.
const MOVED_AT_ONCE: usize = 500;

/// Creates the built-in roles, and those that modules suggest, unless they are there. Operators' edits stay.
pub(crate) async fn seed(app: &App) -> Result<()> {
    let ctx = Ctx::system(app, "seed-roles");
    let templates = app.plan().roles().to_vec();
    let all: Vec<&'static str> = app.plan().permissions().map(|permission| permission.name).collect();
    ctx.write({
        let ctx = ctx.clone();
        move |tx| {
            add(tx, &ctx, OWNER, true, &["*"])?;
            add(tx, &ctx, MEMBER, true, &[])?;
            let only_owners = |name: &&str| crate::OWNER_ONLY.iter().any(|permission| permission.name == *name);
            let for_admins: Vec<&str> = all.iter().copied().filter(|name| !only_owners(name)).collect();
            add(tx, &ctx, ADMIN, true, &for_admins)?;
            // Administrators get what later releases bring too.
            if let Some(admin) = store::id_by_name(tx, ADMIN)? {
                for name in &for_admins {
                    store::grant(tx, admin, name)?;
                }
            }
            for template in &templates {
                add(tx, &ctx, template.name, false, &template.permissions)?;
            }
            Ok(())
        }
    })
    .await
}

fn add(tx: &mut Tx<'_, '_>, ctx: &Ctx, name: &str, is_builtin: bool, permissions: &[&str]) -> Result<()> {
    let id = ctx.new_id();
    if store::insert(tx, id, name, is_builtin, ctx.now())? {
        for permission in permissions {
            store::grant(tx, id, permission)?;
        }
    }
    Ok(())
}

/// Gives a person a role, within the caller's transaction.
pub(crate) fn assign(tx: &mut Tx<'_, '_>, user: UserId, role: &str) -> Result<()> {
    let id = store::id_by_name(tx, role)?.ok_or_else(|| Error::internal(format!("the role {role} is missing")))?;
    if store::assign(tx, user, id)? {
        tx.record(&RoleAssigned { user_id: user.uuid(), role: role.to_owned() })?;
    }
    Ok(())
}

/// What a person may do now.
pub(crate) fn permissions_of(c: &mut Conn, user: UserId) -> Result<Permissions> {
    Ok(Permissions::named(store::permissions_of(c, user)?))
}

/// The roles of the instance.
pub(crate) async fn list(ctx: &Ctx, sort: Option<&str>, request: PageRequest) -> Result<Page<RoleRecord>> {
    let keyset = Keyset::parse(ctx, SORT_KEYS, "name", sort, "listRoles", "", &request)?;
    let place = keyset.clone();
    let roles = ctx.read(move |c| Ok(store::list(c, &place)?)).await?;
    let key = keyset.key();
    let value = |role: &RoleRecord| match key {
        "created_at" => CursorValue::Int(role.created_at.as_millis()),
        _ => CursorValue::Text(role.name.clone()),
    };
    Ok(keyset.page(ctx, roles, |role| (value(role), role.id.uuid())))
}

pub(crate) async fn find(ctx: &Ctx, id: Id<Role>) -> Result<RoleRecord> {
    ctx.read(move |c| Ok(store::find(c, id)?.ok_or(&NOT_FOUND)?)).await
}

/// Makes a role of permissions that the caller holds (ADM-3).
pub(crate) async fn create(ctx: &Ctx, name: String, permissions: Vec<String>) -> Result<RoleRecord> {
    let permissions = declared(&ctx.app, permissions)?;
    require_held(&ctx.actor, &permissions)?;
    let (id, now) = (ctx.new_id(), ctx.now());
    ctx.write(move |tx| {
        // The owner's role stands for the whole list, so that two at once cannot make one role too many.
        let owner = store::id_by_name(tx, OWNER)?.ok_or_else(|| Error::internal("the role owner is missing"))?;
        store::lock(tx, owner)?;
        if store::some_ids(tx, MAX_ROLES)?.len() >= MAX_ROLES {
            return Err(QUOTA_EXCEEDED.because(format!("There can be {MAX_ROLES} roles.")));
        }
        if !store::insert(tx, id, &name, false, now)? {
            return Err(ALREADY_EXISTS.on("/name"));
        }
        store::set_permissions(tx, id, &permissions)?;
        tx.record(&RoleCreated { role_id: id.uuid() })?;
        tx.audit(AuditEntry::ok("accounts.role.create", &subject(id)).with_detail(serde_json::json!({ "permissions": permissions })))?;
        Ok(store::find(tx, id)?.ok_or(&NOT_FOUND)?)
    })
    .await
}

/// Renames a role or changes what it allows; the caller holds whatever is added or taken away (ADM-3).
pub(crate) async fn update(
    ctx: &Ctx,
    id: Id<Role>,
    name: Option<String>,
    permissions: Option<Vec<String>>,
    if_match: IfMatch,
) -> Result<RoleRecord> {
    let permissions = permissions.map(|names| declared(&ctx.app, names)).transpose()?;
    let context = ctx.clone();
    ctx.write(move |tx| {
        let role = store::lock(tx, id)?.ok_or(&NOT_FOUND)?;
        if_match.expected(role.version)?;
        if [OWNER, ADMIN].contains(&role.name.as_str()) {
            return Err(INVALID_STATE.because("What owners and administrators may do is fixed; make a role of your own."));
        }
        let name = name.as_ref().unwrap_or(&role.name);
        if role.is_builtin && *name != role.name {
            return Err(INVALID_STATE.because("A built-in role keeps its name."));
        }
        if let Some(permissions) = &permissions {
            let (before, after): (BTreeSet<&String>, BTreeSet<&String>) = (role.permissions.iter().collect(), permissions.iter().collect());
            require_held(&context.actor, before.symmetric_difference(&after).copied())?;
            store::set_permissions(tx, id, permissions)?;
        }
        let is_changed = store::update(tx, id, role.version, name).on_unique("accounts_roles_name", || ALREADY_EXISTS.on("/name"))?;
        if !is_changed {
            return Err(kernel::http::version_conflict(role.version));
        }
        tx.record(&RoleUpdated { role_id: id.uuid() })?;
        let detail = serde_json::json!({ "permissions": permissions });
        tx.audit(AuditEntry::ok("accounts.role.update", &subject(id)).with_detail(detail))?;
        Ok(store::find(tx, id)?.ok_or(&NOT_FOUND)?)
    })
    .await
}

/// Deletes a role; whoever holds it gets the heir instead, in as many transactions as that takes.
///
/// Killed in between, some holders have moved and the role is still there: asking again goes on.
pub(crate) async fn delete(ctx: &Ctx, id: Id<Role>, heir: Option<Id<Role>>) -> Result<()> {
    loop {
        let context = ctx.clone();
        if ctx.write(move |tx| delete_step(tx, &context, id, heir)).await? {
            return Ok(());
        }
    }
}

fn delete_step(tx: &mut Tx<'_, '_>, ctx: &Ctx, id: Id<Role>, heir: Option<Id<Role>>) -> Result<bool> {
    let role = store::lock(tx, id)?.ok_or(&NOT_FOUND)?;
    if role.is_builtin {
        return Err(INVALID_STATE.because("A built-in role cannot be deleted."));
    }
    require_held(&ctx.actor, &role.permissions)?;
    let holders = store::some_holders(tx, id, MOVED_AT_ONCE)?;
    if !holders.is_empty() {
        move_to_heir(tx, ctx, id, heir, &holders)?;
    }
    if holders.len() == MOVED_AT_ONCE {
        tx.record(&RoleUpdated { role_id: id.uuid() })?;
        return Ok(false);
    }
    store::delete(tx, id)?;
    tx.record(&RoleDeleted { role_id: id.uuid() })?;
    let detail = serde_json::json!({ "name": role.name, "permissions": role.permissions, "heir": heir.map(|heir| heir.to_string()) });
    tx.audit(AuditEntry::ok("accounts.role.delete", &subject(id)).with_detail(detail))?;
    Ok(true)
}

fn move_to_heir(tx: &mut Tx<'_, '_>, ctx: &Ctx, id: Id<Role>, heir: Option<Id<Role>>, holders: &[UserId]) -> Result<()> {
    let heir = heir.ok_or(&ROLE_IN_USE)?;
    let wrong = |detail| Error::invalid(vec![FieldError::parameter("heir", "not_allowed", detail)]);
    if heir == id {
        return Err(wrong("Name another role."));
    }
    let heir = store::lock(tx, heir)?.ok_or_else(|| wrong("There is no such role."))?;
    require_held(&ctx.actor, &heir.permissions)?;
    Ok(store::move_holders(tx, holders, id, heir.id)?)
}

/// The roles of a person.
pub(crate) async fn of_user(ctx: &Ctx, user: UserId) -> Result<Vec<RoleRecord>> {
    ctx.read(move |c| {
        users::store::find(c, user)?.ok_or(&NOT_FOUND)?;
        Ok(store::roles_of(c, user)?)
    })
    .await
}

/// Gives a person a role whose permissions the caller holds (ADM-3); effective on the next request (ADM-2).
pub(crate) async fn give(ctx: &Ctx, user: UserId, id: Id<Role>) -> Result<()> {
    let context = ctx.clone();
    ctx.write(move |tx| {
        let role = store::lock(tx, id)?.ok_or(&NOT_FOUND)?;
        if !users::store::lock(tx, user)? {
            return Err(NOT_FOUND.error());
        }
        require_held(&context.actor, &role.permissions)?;
        if store::names_of(tx, user)?.len() >= MAX_ROLES_OF_A_PERSON {
            return Err(QUOTA_EXCEEDED.because(format!("A person can hold {MAX_ROLES_OF_A_PERSON} roles.")));
        }
        if store::assign(tx, user, id)? {
            tx.record(&RoleAssigned { user_id: user.uuid(), role: role.name.clone() })?;
            tx.audit(
                AuditEntry::ok("accounts.role.assign", &format!("user:{user}")).with_detail(serde_json::json!({ "role": role.name })),
            )?;
        }
        Ok(())
    })
    .await
}

/// Takes a role from a person; the last owner keeps theirs (ADM-3).
pub(crate) async fn take(ctx: &Ctx, user: UserId, id: Id<Role>) -> Result<()> {
    let context = ctx.clone();
    ctx.write(move |tx| {
        let role = store::lock(tx, id)?.ok_or(&NOT_FOUND)?;
        require_held(&context.actor, &role.permissions)?;
        if role.name == MEMBER {
            return Err(INVALID_STATE.because("Everybody with an account is a member."));
        }
        if role.name == OWNER && store::holders(tx, OWNER)? == [user] {
            return Err(LAST_OWNER.error());
        }
        if !store::unassign(tx, user, id)? {
            return Err(NOT_FOUND.error());
        }
        tx.record(&RoleUnassigned { user_id: user.uuid(), role: role.name.clone() })?;
        tx.audit(AuditEntry::ok("accounts.role.unassign", &format!("user:{user}")).with_detail(serde_json::json!({ "role": role.name })))
    })
    .await
}

/// The role of this name, for operators.
pub(crate) async fn find_by_name(ctx: &Ctx, name: &str) -> Result<Id<Role>> {
    let name = name.to_owned();
    ctx.read(move |c| Ok(store::id_by_name(c, &name)?.ok_or(&NOT_FOUND)?)).await
}

/// Refuses to act on an owner unless the caller may do everything (accounts.md §7).
pub(crate) fn require_may_act_on(tx: &mut Tx<'_, '_>, ctx: &Ctx, user: UserId) -> Result<()> {
    if store::holds(tx, user, OWNER)? { require_held(&ctx.actor, &[EVERYTHING.to_owned()]) } else { Ok(()) }
}

fn subject(id: Id<Role>) -> String {
    format!("role:{id}")
}

/// The names sorted and without repetition, or which of them no module declares.
fn declared(app: &App, names: Vec<String>) -> Result<Vec<String>> {
    let known: BTreeSet<&str> = app.plan().permissions().map(|permission| permission.name).collect();
    let wrong = |(index, _): (usize, &String)| {
        FieldError::body(format!("/permissions/{index}"), "not_allowed", "No module declares this permission; see GET /api/v1/permissions.")
    };
    let errors: Vec<FieldError> = names.iter().enumerate().filter(|(_, name)| !known.contains(name.as_str())).map(wrong).collect();
    if errors.is_empty() { Ok(names.into_iter().collect::<BTreeSet<_>>().into_iter().collect()) } else { Err(Error::invalid(errors)) }
}
