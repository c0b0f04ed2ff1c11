//! One's own profile over HTTP.

use kernel::error::NOT_FOUND;
use kernel::http::{Body, Etag, IfMatch, Json, Operation};
use kernel::{Ctx, Error, Result, Timestamp, UserId};
use serde::{Deserialize, Deserializer, Serialize};
use utoipa::ToSchema;

use crate::problems::USERNAME_TAKEN;
use crate::users::names::{DisplayName, Username};
use crate::users::service::{self, ProfilePatch};
use crate::users::{UserRecord, UserStatus};

pub(crate) fn operations() -> [Operation; 3] {
    [
        Operation::get("/api/v1/me", "getMe", me)
            .tag("Me")
            .summary("Read your profile")
            .describe("Who is logged in, with the roles held at this moment.")
            .raises(&[&NOT_FOUND])
            .answers_secrets()
            .keys_with(&[])
            .authenticated(),
        Operation::patch("/api/v1/me", "updateMe", update)
            .tag("Me")
            .summary("Change your profile")
            .describe("Absent members stay as they are; a null username removes it. Send If-Match to change only what you saw.")
            .raises(&[&NOT_FOUND, &USERNAME_TAKEN])
            .answers_secrets()
            .authenticated(),
        Operation::get("/api/v1/me/permissions", "listMyPermissions", permissions)
            .tag("Me")
            .summary("List what you may do")
            .describe("The permissions of all your roles together; * means everything. With an API key: those of its scopes.")
            .keys_with(&[])
            .authenticated(),
    ]
}

/// A person with an account.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({
    "id": "019ab0b2-8f00-7000-8000-000000000001", "status": "active", "email": "ada@example.com", "username": "ada", "display_name": "Ada",
    "locale": "en", "roles": ["member"], "created_at": "2026-11-22T12:00:00.000Z", "updated_at": "2026-11-22T12:00:00.000Z",
    "last_login_at": "2026-11-22T12:00:00.000Z", "version": 1
}))]
pub(crate) struct UserView {
    /// Who it is.
    #[schema(value_type = uuid::Uuid)]
    id: UserId,
    /// Whether the account can be used.
    status: UserStatus,
    /// The proven address.
    email: String,
    /// The name to log in with, beside the address.
    username: Option<String>,
    /// The name shown to others.
    display_name: String,
    /// The language of their mails, BCP 47.
    locale: String,
    /// The names of their roles.
    roles: Vec<String>,
    /// When the account was made.
    created_at: Timestamp,
    /// When the profile last changed.
    updated_at: Timestamp,
    /// When they last logged in.
    last_login_at: Option<Timestamp>,
    /// Grows with every change of the profile.
    version: i64,
}

impl UserView {
    pub(crate) fn of(user: UserRecord, roles: Vec<String>) -> UserView {
        UserView {
            id: user.id,
            status: user.status,
            email: user.email,
            username: user.username,
            display_name: user.display_name,
            locale: user.locale,
            roles,
            created_at: user.created_at,
            updated_at: user.updated_at,
            last_login_at: user.last_login_at,
            version: user.version,
        }
    }
}

/// What to change about a profile.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"display_name": "Ada Lovelace"}))]
pub(crate) struct ProfileChanges {
    /// 3 to 32 of a-z, 0-9, _ and -; null removes it.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<String>, max_length = 64)]
    username: Option<Option<String>>,
    /// 1 to 80 characters.
    #[schema(min_length = 1, max_length = 80)]
    display_name: Option<String>,
    /// BCP 47, such as en or de-AT.
    #[schema(min_length = 2, max_length = 35, pattern = "^[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8})*$")]
    locale: Option<String>,
}

/// Tells a member that is null from one that is absent.
fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Option<String>>, D::Error> {
    Option::<String>::deserialize(deserializer).map(Some)
}

impl ProfileChanges {
    /// The changes, or everything that is wrong with them.
    pub(crate) fn checked(self) -> Result<ProfilePatch> {
        let mut errors = Vec::new();
        let username = match self.username {
            Some(Some(typed)) => Username::from_body(&typed, "/username").map_err(|error| errors.push(error)).ok().map(Some),
            Some(None) => Some(None),
            None => None,
        };
        let display_name =
            self.display_name.and_then(|typed| DisplayName::from_body(&typed, "/display_name").map_err(|error| errors.push(error)).ok());
        if errors.is_empty() { Ok(ProfilePatch { username, display_name, locale: self.locale }) } else { Err(Error::invalid(errors)) }
    }
}

pub(crate) fn with_etag((user, roles): (UserRecord, Vec<String>)) -> Etag<Json<UserView>> {
    Etag { version: user.version, answer: Json(UserView::of(user, roles)) }
}

async fn me(ctx: Ctx) -> Result<Etag<Json<UserView>>> {
    Ok(with_etag(service::me(&ctx).await?))
}

async fn update(ctx: Ctx, if_match: IfMatch, Body(patch): Body<ProfileChanges>) -> Result<Etag<Json<UserView>>> {
    Ok(with_etag(service::update_me(&ctx, patch.checked()?, if_match).await?))
}

/// What a person may do.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({"permissions": ["blog:posts:create"]}))]
struct PermissionList {
    /// The names, sorted; `*` for everything.
    permissions: Vec<String>,
}

async fn permissions(ctx: Ctx) -> Result<Json<PermissionList>> {
    Ok(Json(PermissionList { permissions: ctx.actor.permissions().names() }))
}
