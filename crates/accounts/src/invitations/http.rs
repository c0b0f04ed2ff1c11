//! Invitations over HTTP.

use http::StatusCode;
use kernel::error::{ALREADY_EXISTS, CURSOR_INVALID, FORBIDDEN};
use kernel::http::{Accepted, Body, List, NoContent, Operation, Path, Query, RateClass};
use kernel::page::PageRequest;
use kernel::{Ctx, Error, Id, Result, Timestamp, UserId};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::emails::address::EmailAddress;
use crate::invitations::Invitation;
use crate::invitations::service::{self, Acceptance, Named};
use crate::permissions::{CREATE_INVITATIONS, DELETE_INVITATIONS, READ_INVITATIONS};
use crate::problems::{HASHER_BUSY, SIGNUP_CLOSED, TOKEN_INVALID, TOKEN_SPENT, USERNAME_TAKEN};
use crate::secrets::Password;
use crate::sessions::http::{LoginAnswer, SessionMode, SignedUp};
use crate::users::names::{DisplayName, Username};

pub(crate) fn operations() -> [Operation; 5] {
    [
        Operation::post("/api/v1/users", "inviteUser", invite)
            .tag("Users")
            .summary("Invite somebody")
            .describe(
                "Mails a link that makes an account with these roles, good for 7 days; you hold whatever the roles allow. Inviting an address again voids \
                 the former link.",
            )
            .raises(&[&FORBIDDEN, &ALREADY_EXISTS, &SIGNUP_CLOSED])
            .requires(&CREATE_INVITATIONS),
        Operation::get("/api/v1/invitations", "listInvitations", list)
            .tag("Users")
            .summary("List the open invitations")
            .describe("Newest first; those that were accepted, declined, withdrawn or have expired are left out.")
            .raises(&[&CURSOR_INVALID])
            .answers_secrets()
            .requires(&READ_INVITATIONS),
        Operation::delete("/api/v1/invitations/{invitation_id}", "deleteInvitation", withdraw)
            .tag("Users")
            .summary("Withdraw an invitation")
            .describe("Its link stops working.")
            .requires(&DELETE_INVITATIONS),
        Operation::post("/api/v1/auth/invitations/accept", "acceptInvitation", accept)
            .tag("Auth")
            .summary("Accept an invitation")
            .describe("Makes the account and logs it in, with the token of the mailed link. Without a password, one can be set by a reset.")
            .raises(&[&TOKEN_INVALID, &TOKEN_SPENT, &USERNAME_TAKEN, &HASHER_BUSY, &SIGNUP_CLOSED])
            .ignores_credential()
            .starts_session()
            .without_idempotency_key()
            .answers_secrets()
            .rate(RateClass::Auth)
            .public(),
        Operation::post("/api/v1/auth/invitations/decline", "declineInvitation", decline)
            .tag("Auth")
            .summary("Decline an invitation")
            .describe("The mailed link stops working; no account is made.")
            .raises(&[&TOKEN_INVALID, &TOKEN_SPENT])
            .ignores_credential()
            .without_idempotency_key()
            .rate(RateClass::Auth)
            .public(),
    ]
}

/// Whom to invite.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"email": "grace@example.com", "roles": ["editor"], "locale": "en"}))]
struct NewInvitation {
    /// The address that the invitation is mailed to.
    #[schema(min_length = 1, max_length = 320)]
    email: String,
    /// The names of the roles that the account starts with; everybody is a member.
    #[serde(default)]
    #[schema(max_items = 20)]
    roles: Vec<String>,
    /// The language of the mails, BCP 47.
    #[schema(min_length = 2, max_length = 35, pattern = "^[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8})*$")]
    locale: Option<String>,
}

/// An open invitation.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({
    "id": "019ab0b2-8f00-7000-8000-000000000004", "email": "grace@example.com", "roles": ["editor"], "locale": "en",
    "invited_by": "019ab0b2-8f00-7000-8000-000000000001", "created_at": "2026-11-22T12:00:00.000Z", "expires_at": "2026-11-29T12:00:00.000Z"
}))]
struct InvitationView {
    /// The invitation.
    #[schema(value_type = uuid::Uuid)]
    id: Id<Invitation>,
    /// The address that it was mailed to.
    email: String,
    /// The names of the roles that the account starts with.
    roles: Vec<String>,
    /// The language of its mails.
    locale: String,
    /// Who invited; null when it was the operator.
    #[schema(value_type = Option<uuid::Uuid>)]
    invited_by: Option<UserId>,
    /// When it was mailed.
    created_at: Timestamp,
    /// Until when it can be accepted.
    expires_at: Timestamp,
}

impl InvitationView {
    fn of((row, roles): Named) -> InvitationView {
        InvitationView {
            id: row.id,
            email: row.email,
            roles,
            locale: row.locale,
            invited_by: row.invited_by,
            created_at: row.created_at,
            expires_at: row.expires_at,
        }
    }
}

async fn invite(ctx: Ctx, Body(new): Body<NewInvitation>) -> Result<Accepted<InvitationView>> {
    let email = EmailAddress::from_body(&new.email, "/email").map_err(|error| Error::invalid(vec![error]))?;
    Ok(Accepted(InvitationView::of(service::invite(&ctx, email, new.roles, new.locale).await?)))
}

/// Which invitations to list.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct InvitationQuery {
    /// How many invitations a page holds, 1 to 100.
    #[schema(minimum = 1)]
    limit: Option<u32>,
    /// Where the page before ended.
    #[schema(max_length = 1024)]
    cursor: Option<String>,
}

async fn list(ctx: Ctx, Query(query): Query<InvitationQuery>) -> Result<List<InvitationView>> {
    let page = service::list(&ctx, PageRequest::new(query.limit, query.cursor)).await?;
    Ok(List(page.map(InvitationView::of)))
}

async fn withdraw(ctx: Ctx, Path(id): Path<Id<Invitation>>) -> Result<NoContent> {
    service::withdraw(&ctx, id).await?;
    Ok(NoContent)
}

/// The mailed token, and what the account starts with.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({
    "token": "5tq8XoJmR2dLh7sPnUeGfA4iBkC6xTM9Zc3vVb1Yw0K", "password": "correct horse battery", "display_name": "Grace"
}))]
struct InvitationAcceptance {
    /// The token after # in the mailed link.
    #[schema(min_length = 1, max_length = 256)]
    token: String,
    /// The password; it can also be set later, by a reset.
    password: Option<Password>,
    /// 3 to 32 of a-z, 0-9, _ and -.
    #[schema(max_length = 64)]
    username: Option<String>,
    /// 1 to 80 characters.
    #[schema(min_length = 1, max_length = 80)]
    display_name: Option<String>,
}

async fn accept(ctx: Ctx, mode: SessionMode, Body(body): Body<InvitationAcceptance>) -> Result<SignedUp> {
    let mut errors = Vec::new();
    let username = body.username.and_then(|typed| Username::from_body(&typed, "/username").map_err(|error| errors.push(error)).ok());
    let display_name =
        body.display_name.and_then(|typed| DisplayName::from_body(&typed, "/display_name").map_err(|error| errors.push(error)).ok());
    if !errors.is_empty() {
        return Err(Error::invalid(errors));
    }
    let acceptance = Acceptance { password: body.password, username, display_name };
    let started = service::accept(&ctx, &body.token, acceptance, mode.0).await?;
    Ok(SignedUp(LoginAnswer::new(&ctx, StatusCode::CREATED, started)))
}

/// The mailed token.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"token": "5tq8XoJmR2dLh7sPnUeGfA4iBkC6xTM9Zc3vVb1Yw0K"}))]
struct InvitationDecline {
    /// The token after # in the mailed link.
    #[schema(min_length = 1, max_length = 256)]
    token: String,
}

async fn decline(ctx: Ctx, Body(body): Body<InvitationDecline>) -> Result<NoContent> {
    service::decline(&ctx, &body.token).await?;
    Ok(NoContent)
}
