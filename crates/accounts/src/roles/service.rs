//! Built-in roles, suggested roles, and what a person may do.

use db::Conn;
use kernel::{App, Ctx, Error, Permissions, Result, Tx, UserId};

use crate::events::RoleAssigned;
use crate::roles::{ADMIN, MEMBER, OWNER, store};

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
