//! Everybody's accounts over HTTP, for those who look after people.

use kernel::error::{CURSOR_INVALID, FORBIDDEN, INVALID_STATE, NOT_FOUND, SORT_NOT_SUPPORTED};
use kernel::http::{Body, Etag, IfMatch, Json, List, NoContent, Operation, Path, Query};
use kernel::page::PageRequest;
use kernel::{Ctx, Id, Result, Session, UserId};
use serde::Deserialize;
use utoipa::ToSchema;

use crate::permissions::{DISABLE_USERS, READ_SESSIONS, READ_USERS, REVOKE_SESSIONS, UPDATE_USERS};
use crate::problems::{LAST_OWNER, USERNAME_TAKEN};
use crate::sessions::http::{RevokedSessions, SessionFilter, SessionView};
use crate::users::administration::{self, UserFilter};
use crate::users::http::{ProfileChanges, UserView, with_etag};
use crate::users::{UserStatus, service};

pub(crate) fn operations() -> [Operation; 9] {
    [
        Operation::get("/api/v1/users", "listUsers", list)
            .tag("Users")
            .summary("List the people with an account")
            .describe(
                "Newest first. Narrow with q (a piece of an address, username or name), status and role; sort by created_at or email.",
            )
            .raises(&[&CURSOR_INVALID, &SORT_NOT_SUPPORTED])
            .answers_secrets()
            .requires(&READ_USERS),
        Operation::get("/api/v1/users/{user_id}", "getUser", get)
            .tag("Users")
            .summary("Read somebody's account")
            .describe("With the roles held at this moment.")
            .answers_secrets()
            .requires(&READ_USERS),
        Operation::patch("/api/v1/users/{user_id}", "updateUser", update)
            .tag("Users")
            .summary("Change somebody's profile")
            .describe("Absent members stay as they are; a null username removes it. Only an owner changes an owner.")
            .raises(&[&FORBIDDEN, &USERNAME_TAKEN])
            .answers_secrets()
            .requires(&UPDATE_USERS),
        Operation::post("/api/v1/users/{user_id}/actions/disable", "disableUser", disable)
            .tag("Users")
            .summary("Lock an account")
            .describe("Every login of it ends at once, and none begins. The last owner cannot be locked, and only an owner locks an owner.")
            .raises(&[&FORBIDDEN, &LAST_OWNER])
            .answers_secrets()
            .requires(&DISABLE_USERS),
        Operation::post("/api/v1/users/{user_id}/actions/enable", "enableUser", enable)
            .tag("Users")
            .summary("Unlock an account")
            .describe("The person can log in again; logins from before stay ended.")
            .raises(&[&FORBIDDEN])
            .answers_secrets()
            .requires(&DISABLE_USERS),
        Operation::post("/api/v1/users/{user_id}/actions/send-password-reset", "sendPasswordReset", send_password_reset)
            .tag("Users")
            .summary("Mail somebody a link to set a new password")
            .describe("At most one mail a minute goes out. Nobody but its owner ever sets or sees a password.")
            .raises(&[&FORBIDDEN, &INVALID_STATE])
            .requires(&UPDATE_USERS),
        Operation::get("/api/v1/users/{user_id}/sessions", "listUserSessions", sessions)
            .tag("Users")
            .summary("List somebody's logins")
            .describe("Every browser and client that is logged in as this person, newest first.")
            .raises(&[&CURSOR_INVALID])
            .answers_secrets()
            .requires(&READ_SESSIONS),
        Operation::delete("/api/v1/users/{user_id}/sessions/{session_id}", "revokeUserSession", revoke_session)
            .tag("Users")
            .summary("End one of somebody's logins")
            .describe("Its cookie, access token and refresh token fail from the next request on.")
            .raises(&[&FORBIDDEN, &NOT_FOUND])
            .requires(&REVOKE_SESSIONS),
        Operation::post("/api/v1/users/{user_id}/sessions/actions/revoke", "revokeUserSessions", revoke_sessions)
            .tag("Users")
            .summary("End somebody's logins everywhere")
            .describe("All of them; the person can log in again.")
            .raises(&[&FORBIDDEN])
            .requires(&REVOKE_SESSIONS),
    ]
}

/// Which people to list.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct UserQuery {
    /// How many people a page holds, 1 to 100.
    #[schema(minimum = 1)]
    limit: Option<u32>,
    /// Where the page before ended.
    #[schema(max_length = 1024)]
    cursor: Option<String>,
    /// created_at or email; a minus before it turns the order round.
    #[schema(max_length = 32)]
    sort: Option<String>,
    /// A piece of an address, a username or a name.
    #[schema(min_length = 1, max_length = 100)]
    q: Option<String>,
    /// Only accounts in this state.
    status: Option<UserStatus>,
    /// Only holders of the role of this name.
    #[schema(min_length = 1, max_length = 64)]
    role: Option<String>,
}

async fn list(ctx: Ctx, Query(query): Query<UserQuery>) -> Result<List<UserView>> {
    let filter = UserFilter { text: query.q, status: query.status, role: query.role, sort: query.sort };
    let page = administration::list(&ctx, filter, PageRequest::new(query.limit, query.cursor)).await?;
    Ok(List(page.map(|(user, roles)| UserView::of(user, roles))))
}

async fn get(ctx: Ctx, Path(id): Path<UserId>) -> Result<Etag<Json<UserView>>> {
    Ok(with_etag(administration::find(&ctx, id).await?))
}

async fn update(ctx: Ctx, Path(id): Path<UserId>, if_match: IfMatch, Body(changes): Body<ProfileChanges>) -> Result<Etag<Json<UserView>>> {
    Ok(with_etag(administration::update(&ctx, id, changes.checked()?, if_match).await?))
}

async fn disable(ctx: Ctx, Path(id): Path<UserId>) -> Result<Etag<Json<UserView>>> {
    service::disable(&ctx, id).await?;
    get(ctx, Path(id)).await
}

async fn enable(ctx: Ctx, Path(id): Path<UserId>) -> Result<Etag<Json<UserView>>> {
    service::enable(&ctx, id).await?;
    get(ctx, Path(id)).await
}

async fn send_password_reset(ctx: Ctx, Path(id): Path<UserId>) -> Result<NoContent> {
    administration::send_password_reset(&ctx, id).await?;
    Ok(NoContent)
}

async fn sessions(ctx: Ctx, Path(id): Path<UserId>, Query(filter): Query<SessionFilter>) -> Result<List<SessionView>> {
    let current = ctx.actor.identity()?.session_id;
    let page = administration::sessions(&ctx, id, filter.request()).await?;
    Ok(List(page.map(|session| SessionView::of(session, Some(current)))))
}

async fn revoke_session(ctx: Ctx, Path((id, session)): Path<(UserId, Id<Session>)>) -> Result<NoContent> {
    administration::revoke_session(&ctx, id, session).await?;
    Ok(NoContent)
}

async fn revoke_sessions(ctx: Ctx, Path(id): Path<UserId>) -> Result<Json<RevokedSessions>> {
    Ok(Json(RevokedSessions::of(administration::revoke_sessions(&ctx, id).await?)))
}
