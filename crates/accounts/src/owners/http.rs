//! The first owner over HTTP.

use http::StatusCode;
use kernel::error::NOT_FOUND;
use kernel::http::{Body, Operation, RateClass};
use kernel::{Ctx, Error, Result};
use serde::Deserialize;
use utoipa::ToSchema;

use crate::emails::address::EmailAddress;
use crate::owners::service;
use crate::problems::{HASHER_BUSY, TOKEN_INVALID, TOKEN_SPENT};
use crate::secrets::Password;
use crate::sessions::http::{LoginAnswer, SessionMode, SignedUp};

pub(crate) fn operation() -> Operation {
    Operation::post("/api/v1/auth/owner", "createOwner", create)
        .tag("Auth")
        .summary("Make the first owner")
        .describe("With the one-time token that the server printed at its start. There is nothing here once an owner exists.")
        .raises(&[&NOT_FOUND, &TOKEN_INVALID, &TOKEN_SPENT, &HASHER_BUSY])
        .ignores_credential()
        .starts_session()
        .without_idempotency_key()
        .answers_secrets()
        .rate(RateClass::Auth)
        .public()
}

/// The one-time token and the owner's login.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({
    "token": "5tq8XoJmR2dLh7sPnUeGfA4iBkC6xTM9Zc3vVb1Yw0K", "email": "owner@example.com", "password": "correct horse battery"
}))]
struct NewOwner {
    /// The token that the server printed.
    #[schema(min_length = 1, max_length = 256)]
    token: String,
    /// The owner's address; control of the server's console stands in for the mailbox proof.
    #[schema(min_length = 1, max_length = 320)]
    email: String,
    /// The owner's password.
    password: Password,
}

async fn create(ctx: Ctx, mode: SessionMode, Body(new): Body<NewOwner>) -> Result<SignedUp> {
    let email = EmailAddress::from_body(&new.email, "/email").map_err(|error| Error::invalid(vec![error]))?;
    let started = service::create(&ctx, new.token, email, new.password, mode.0).await?;
    Ok(SignedUp(LoginAnswer::new(&ctx, StatusCode::CREATED, started)))
}
