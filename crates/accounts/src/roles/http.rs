//! Roles over HTTP: what they allow, and who holds them.

use kernel::error::{ALREADY_EXISTS, CURSOR_INVALID, FORBIDDEN, INVALID_STATE, NOT_FOUND, QUOTA_EXCEEDED, SORT_NOT_SUPPORTED};
use kernel::http::{Body, Created, Etag, IfMatch, Json, List, NoContent, Operation, Path, Query};
use kernel::page::{Page, PageRequest};
use kernel::{Ctx, Id, Result, Timestamp, UserId};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::permissions::{ASSIGN_ROLES, CREATE_ROLES, DELETE_ROLES, READ_ROLES, UPDATE_ROLES};
use crate::problems::{LAST_OWNER, ROLE_IN_USE};
use crate::roles::{Role, RoleRecord, service};

pub(crate) fn operations() -> [Operation; 9] {
    [
        Operation::get("/api/v1/roles", "listRoles", list)
            .tag("Roles")
            .summary("List the roles")
            .describe("With what each allows; sort by name or created_at.")
            .raises(&[&CURSOR_INVALID, &SORT_NOT_SUPPORTED])
            .requires(&READ_ROLES),
        Operation::post("/api/v1/roles", "createRole", create)
            .tag("Roles")
            .summary("Make a role")
            .describe("Of permissions that you hold yourself.")
            .raises(&[&FORBIDDEN, &ALREADY_EXISTS, &QUOTA_EXCEEDED])
            .requires(&CREATE_ROLES),
        Operation::get("/api/v1/roles/{role_id}", "getRole", get)
            .tag("Roles")
            .summary("Read a role")
            .describe("With what it allows.")
            .requires(&READ_ROLES),
        Operation::patch("/api/v1/roles/{role_id}", "updateRole", update)
            .tag("Roles")
            .summary("Change a role")
            .describe(
                "You hold whatever is added or taken away. The roles owner and admin are fixed, and member keeps its name. Its holders may do what it \
                 allows from their next request on.",
            )
            .raises(&[&FORBIDDEN, &ALREADY_EXISTS, &INVALID_STATE])
            .requires(&UPDATE_ROLES),
        Operation::delete("/api/v1/roles/{role_id}", "deleteRole", delete)
            .tag("Roles")
            .summary("Delete a role")
            .describe("A role that somebody holds needs an heir, which its holders get instead. Built-in roles stay.")
            .raises(&[&FORBIDDEN, &ROLE_IN_USE, &INVALID_STATE])
            .requires(&DELETE_ROLES),
        Operation::get("/api/v1/permissions", "listPermissions", permissions)
            .tag("Roles")
            .summary("List every permission")
            .describe("What modules declare; roles are made of these.")
            .authenticated(),
        Operation::get("/api/v1/users/{user_id}/roles", "listUserRoles", of_user)
            .tag("Roles")
            .summary("List somebody's roles")
            .describe("With what each allows.")
            .requires(&ASSIGN_ROLES),
        Operation::put("/api/v1/users/{user_id}/roles/{role_id}", "assignRole", give)
            .tag("Roles")
            .summary("Give somebody a role")
            .describe("One whose permissions you hold yourself. It counts from the person's next request on.")
            .raises(&[&FORBIDDEN, &QUOTA_EXCEEDED, &NOT_FOUND])
            .requires(&ASSIGN_ROLES),
        Operation::delete("/api/v1/users/{user_id}/roles/{role_id}", "unassignRole", take)
            .tag("Roles")
            .summary("Take a role from somebody")
            .describe("One whose permissions you hold yourself. The last owner stays owner, and everybody stays member.")
            .raises(&[&FORBIDDEN, &LAST_OWNER, &INVALID_STATE, &NOT_FOUND])
            .requires(&ASSIGN_ROLES),
    ]
}

/// A named set of permissions.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({
    "id": "019ab0b2-8f00-7000-8000-000000000003", "name": "editor", "is_builtin": false, "permissions": ["blog:posts:create"],
    "created_at": "2026-11-22T12:00:00.000Z", "version": 1
}))]
struct RoleView {
    /// The role.
    #[schema(value_type = uuid::Uuid)]
    id: Id<Role>,
    /// What it is called.
    name: String,
    /// Whether it comes with the product and cannot be deleted.
    is_builtin: bool,
    /// What it allows, sorted; `*` for everything.
    permissions: Vec<String>,
    /// When it was made.
    created_at: Timestamp,
    /// Grows with every change.
    version: i64,
}

impl RoleView {
    fn of(role: RoleRecord) -> RoleView {
        let RoleRecord { id, name, is_builtin, permissions, created_at, version } = role;
        RoleView { id, name, is_builtin, permissions, created_at, version }
    }
}

fn with_etag(role: RoleRecord) -> Etag<Json<RoleView>> {
    Etag { version: role.version, answer: Json(RoleView::of(role)) }
}

/// Which roles to list.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct RoleQuery {
    /// How many roles a page holds, 1 to 100.
    #[schema(minimum = 1)]
    limit: Option<u32>,
    /// Where the page before ended.
    #[schema(max_length = 1024)]
    cursor: Option<String>,
    /// name or created_at; a minus before it turns the order round.
    #[schema(max_length = 32)]
    sort: Option<String>,
}

async fn list(ctx: Ctx, Query(query): Query<RoleQuery>) -> Result<List<RoleView>> {
    let page = service::list(&ctx, query.sort.as_deref(), PageRequest::new(query.limit, query.cursor)).await?;
    Ok(List(page.map(RoleView::of)))
}

async fn get(ctx: Ctx, Path(id): Path<Id<Role>>) -> Result<Etag<Json<RoleView>>> {
    Ok(with_etag(service::find(&ctx, id).await?))
}

/// A role to make.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"name": "proofreader", "permissions": ["accounts:users:read"]}))]
struct NewRole {
    /// What it is called: a-z, 0-9, _ and -, beginning with a letter.
    #[schema(min_length = 1, max_length = 64, pattern = "^[a-z][a-z0-9_-]*$")]
    name: String,
    /// What it allows.
    #[schema(max_items = 500)]
    permissions: Vec<String>,
}

async fn create(ctx: Ctx, Body(new): Body<NewRole>) -> Result<Etag<Created<RoleView>>> {
    let role = service::create(&ctx, new.name, new.permissions).await?;
    let location = format!("/api/v1/roles/{}", role.id);
    Ok(Etag { version: role.version, answer: Created { location, body: RoleView::of(role) } })
}

/// What to change about a role.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"permissions": ["accounts:users:read"]}))]
struct RolePatch {
    /// What it is called: a-z, 0-9, _ and -, beginning with a letter.
    #[schema(min_length = 1, max_length = 64, pattern = "^[a-z][a-z0-9_-]*$")]
    name: Option<String>,
    /// All that it allows from now on.
    #[schema(max_items = 500)]
    permissions: Option<Vec<String>>,
}

async fn update(ctx: Ctx, Path(id): Path<Id<Role>>, if_match: IfMatch, Body(patch): Body<RolePatch>) -> Result<Etag<Json<RoleView>>> {
    Ok(with_etag(service::update(&ctx, id, patch.name, patch.permissions, if_match).await?))
}

/// Where the holders go.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Heir {
    /// The role that its holders get instead.
    #[schema(value_type = Option<uuid::Uuid>)]
    heir: Option<Id<Role>>,
}

async fn delete(ctx: Ctx, Path(id): Path<Id<Role>>, Query(query): Query<Heir>) -> Result<NoContent> {
    service::delete(&ctx, id, query.heir).await?;
    Ok(NoContent)
}

/// One thing that can be allowed.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({"name": "accounts:users:read", "description": "Read everybody's account.", "is_administrative": true}))]
struct PermissionView {
    /// `module:resource:action`.
    name: String,
    /// What its holder may do.
    description: String,
    /// Whether it also needs a recent login (an admin grant).
    is_administrative: bool,
}

async fn permissions(ctx: Ctx) -> Result<List<PermissionView>> {
    let view = |permission: &'static kernel::Permission| PermissionView {
        name: permission.name.to_owned(),
        description: permission.doc.to_owned(),
        is_administrative: permission.is_administrative,
    };
    Ok(List(whole(ctx.app.plan().permissions().map(view).collect())))
}

async fn of_user(ctx: Ctx, Path(user): Path<UserId>) -> Result<List<RoleView>> {
    Ok(List(whole(service::of_user(&ctx, user).await?).map(RoleView::of)))
}

/// A list that is short enough to come whole.
fn whole<T>(items: Vec<T>) -> Page<T> {
    Page { items, next_cursor: None, total: None }
}

async fn give(ctx: Ctx, Path((user, role)): Path<(UserId, Id<Role>)>) -> Result<NoContent> {
    service::give(&ctx, user, role).await?;
    Ok(NoContent)
}

async fn take(ctx: Ctx, Path((user, role)): Path<(UserId, Id<Role>)>) -> Result<NoContent> {
    service::take(&ctx, user, role).await?;
    Ok(NoContent)
}
