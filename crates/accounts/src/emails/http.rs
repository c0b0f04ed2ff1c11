//! Changes of address over HTTP.

use kernel::error::{NOT_FOUND, REAUTHENTICATION_REQUIRED};
use kernel::http::{Accepted, Body, List, NoContent, Operation, Path, RateClass};
use kernel::page::Page;
use kernel::{Ctx, Error, Id, Result, Timestamp};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::emails::address::EmailAddress;
use crate::emails::{ChangeRow, EmailChange, service};
use crate::problems::{TOKEN_INVALID, TOKEN_SPENT};

pub(crate) fn operations() -> [Operation; 5] {
    [
        Operation::get("/api/v1/me/email-changes", "listMyEmailChanges", list)
            .tag("Me")
            .summary("List your changes of address")
            .describe("Those that wait for a confirmation: one at most, since a newer one ends the older.")
            .answers_secrets()
            .authenticated(),
        Operation::post("/api/v1/me/email-changes", "beginEmailChange", begin)
            .tag("Me")
            .summary("Ask for another address")
            .describe(
                "Needs a login at most ten minutes old. Mails a link to the new address, and one to the old, which has to confirm too unless the \
                 operator decided otherwise. The answer is the same whether or not somebody has the address.",
            )
            .raises(&[&REAUTHENTICATION_REQUIRED])
            .answers_secrets()
            .rate(RateClass::Auth)
            .authenticated(),
        Operation::delete("/api/v1/me/email-changes/{change_id}", "cancelEmailChange", cancel)
            .tag("Me")
            .summary("Cancel a change of address")
            .describe("The links that were mailed for it stop working.")
            .raises(&[&NOT_FOUND])
            .authenticated(),
        Operation::post("/api/v1/auth/email/confirm", "confirmEmailChange", confirm)
            .tag("Auth")
            .summary("Confirm a change of address")
            .describe("By the token that was mailed to the new or to the old address. The last confirmation makes the change.")
            .raises(&[&TOKEN_INVALID, &TOKEN_SPENT])
            .ignores_credential()
            .without_idempotency_key()
            .rate(RateClass::Auth)
            .public(),
        Operation::post("/api/v1/auth/email/undo", "undoEmailChange", undo)
            .tag("Auth")
            .summary("Undo a change of address")
            .describe(
                "By the token that was mailed to the old address, for seven days. The account returns to the old address, every login ends, the \
                 password is removed, and a link for a new one is mailed.",
            )
            .raises(&[&TOKEN_INVALID, &TOKEN_SPENT])
            .ignores_credential()
            .without_idempotency_key()
            .rate(RateClass::Auth)
            .public(),
    ]
}

/// The address to change to.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"email": "countess@example.com"}))]
struct NewEmail {
    /// The new address.
    #[schema(min_length = 1, max_length = 320)]
    email: String,
}

/// A change of address that waits.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({
    "id": "019ab0b2-8f00-7000-8000-000000000003", "email": "countess@example.com", "needs_old_address": true, "is_confirmed_at_new": false,
    "is_confirmed_at_old": false, "created_at": "2026-11-22T12:00:00.000Z", "expires_at": "2026-11-23T12:00:00.000Z"
}))]
struct EmailChangeView {
    /// The change.
    #[schema(value_type = uuid::Uuid)]
    id: Id<EmailChange>,
    /// The new address.
    email: String,
    /// Whether the old address has to confirm too.
    needs_old_address: bool,
    /// Whether the link in the mail to the new address was used.
    is_confirmed_at_new: bool,
    /// Whether the link in the mail to the old address was used.
    is_confirmed_at_old: bool,
    /// When it was asked for.
    created_at: Timestamp,
    /// Until when it can be confirmed.
    expires_at: Timestamp,
}

impl From<ChangeRow> for EmailChangeView {
    fn from(row: ChangeRow) -> Self {
        EmailChangeView {
            id: row.id,
            needs_old_address: row.needs_old(),
            is_confirmed_at_new: row.new_confirmed_at.is_some(),
            is_confirmed_at_old: row.old_confirmed_at.is_some(),
            email: row.email,
            created_at: row.created_at,
            expires_at: row.expires_at,
        }
    }
}

async fn list(ctx: Ctx) -> Result<List<EmailChangeView>> {
    let items = service::list(&ctx).await?.into_iter().map(EmailChangeView::from).collect();
    Ok(List(Page { items, next_cursor: None, total: None }))
}

async fn begin(ctx: Ctx, Body(new): Body<NewEmail>) -> Result<Accepted<EmailChangeView>> {
    let email = EmailAddress::from_body(&new.email, "/email").map_err(|error| Error::invalid(vec![error]))?;
    Ok(Accepted(service::begin(&ctx, email).await?.into()))
}

async fn cancel(ctx: Ctx, Path(id): Path<Id<EmailChange>>) -> Result<NoContent> {
    service::cancel(&ctx, id).await?;
    Ok(NoContent)
}

/// A mailed token.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"token": "9Zc3vVb1Yw0K5tq8XoJmR2dLh7sPnUeGfA4iBkC6xTM"}))]
struct EmailToken {
    /// The token after # in the mailed link.
    #[schema(min_length = 1, max_length = 256)]
    token: String,
}

async fn confirm(ctx: Ctx, Body(request): Body<EmailToken>) -> Result<NoContent> {
    service::confirm(&ctx, &request.token).await?;
    Ok(NoContent)
}

async fn undo(ctx: Ctx, Body(request): Body<EmailToken>) -> Result<NoContent> {
    service::undo(&ctx, &request.token).await?;
    Ok(NoContent)
}
