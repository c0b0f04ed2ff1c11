//! Sign-up over HTTP.

use http::StatusCode;
use kernel::http::{Accepted, Body, Operation, RateClass};
use kernel::{Ctx, Error, Result, Timestamp};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::emails::address::EmailAddress;
use crate::problems::{HASHER_BUSY, SIGNUP_CLOSED, TOKEN_INVALID, TOKEN_SPENT, USERNAME_TAKEN};
use crate::secrets::Password;
use crate::sessions::http::{LoginAnswer, SessionMode, SignedUp};
use crate::signups::service::{self, Completion};
use crate::users::names::{DisplayName, Username};

pub(crate) fn operations() -> [Operation; 3] {
    [
        Operation::post("/api/v1/auth/signup", "signUp", begin)
            .tag("Auth")
            .summary("Begin a sign-up")
            .describe(
                "Mails a link and a code to the address. Keep the signup_token: together with the mailed token or code it completes the sign-up. \
                 The answer is the same whether or not the address has an account.",
            )
            .raises(&[&SIGNUP_CLOSED, &HASHER_BUSY])
            .ignores_credential()
            .starts_session()
            .without_idempotency_key()
            .answers_secrets()
            .rate(RateClass::Auth)
            .public(),
        Operation::post("/api/v1/auth/signup/resend", "resendSignup", resend)
            .tag("Auth")
            .summary("Mail the sign-up link again")
            .describe("At most once a minute; the former link and code stop working. The answer never tells whether a mail went out.")
            .ignores_credential()
            .without_idempotency_key()
            .rate(RateClass::Auth)
            .public(),
        Operation::post("/api/v1/auth/signup/complete", "completeSignup", complete)
            .tag("Auth")
            .summary("Complete a sign-up")
            .describe("Makes the account and logs it in. Needs the mailed token or code, and the signup_token or the password chosen before.")
            .raises(&[&TOKEN_INVALID, &TOKEN_SPENT, &USERNAME_TAKEN, &HASHER_BUSY])
            .ignores_credential()
            .starts_session()
            .without_idempotency_key()
            .answers_secrets()
            .rate(RateClass::Auth)
            .public(),
    ]
}

/// Who wants an account.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"email": "ada@example.com", "password": "correct horse battery"}))]
struct NewSignup {
    /// The address to prove.
    #[schema(min_length = 1, max_length = 320)]
    email: String,
    /// The password; it can also be set when the sign-up is completed.
    password: Option<Password>,
    /// The language of the mails, BCP 47.
    #[schema(min_length = 2, max_length = 35, pattern = "^[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8})*$")]
    locale: Option<String>,
}

/// The handle of a sign-up.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({"signup_token": "9Zc3vVb1Yw0K5tq8XoJmR2dLh7sPnUeGfA4iBkC6xTM", "expires_at": "2026-11-23T12:00:00.000Z"}))]
struct SignupBegun {
    /// Keep it: it completes the sign-up together with the mailed token or code.
    signup_token: String,
    /// Until when the sign-up can be completed.
    expires_at: Timestamp,
}

async fn begin(ctx: Ctx, Body(new): Body<NewSignup>) -> Result<Accepted<SignupBegun>> {
    let email = EmailAddress::from_body(&new.email, "/email").map_err(|error| Error::invalid(vec![error]))?;
    let begun = service::begin(&ctx, email, new.password, new.locale).await?;
    Ok(Accepted(SignupBegun { signup_token: begun.handle.as_str().to_owned(), expires_at: begun.expires_at }))
}

/// Which sign-up to mail again.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"signup_token": "9Zc3vVb1Yw0K5tq8XoJmR2dLh7sPnUeGfA4iBkC6xTM"}))]
struct SignupResend {
    /// The handle that the sign-up was begun with.
    #[schema(min_length = 1, max_length = 256)]
    signup_token: String,
}

/// Taken up; what follows is the same for every handle.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({"status": "accepted"}))]
struct ResendAccepted {
    /// Always `accepted`.
    status: String,
}

async fn resend(ctx: Ctx, Body(request): Body<SignupResend>) -> Result<Accepted<ResendAccepted>> {
    service::resend(&ctx, &request.signup_token).await?;
    Ok(Accepted(ResendAccepted { status: "accepted".to_owned() }))
}

/// The proofs that complete a sign-up, and what the account starts with.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({
    "token": "5tq8XoJmR2dLh7sPnUeGfA4iBkC6xTM9Zc3vVb1Yw0K", "signup_token": "9Zc3vVb1Yw0K5tq8XoJmR2dLh7sPnUeGfA4iBkC6xTM", "display_name": "Ada"
}))]
struct SignupCompletion {
    /// The token after # in the mailed link.
    #[schema(min_length = 1, max_length = 256)]
    token: Option<String>,
    /// The mailed code, instead of the token.
    #[schema(min_length = 1, max_length = 32)]
    code: Option<String>,
    /// The handle that the sign-up was begun with.
    #[schema(min_length = 1, max_length = 256)]
    signup_token: Option<String>,
    /// The password chosen before, instead of the handle; or a first one, together with it.
    password: Option<Password>,
    /// 3 to 32 of a-z, 0-9, _ and -.
    #[schema(max_length = 64)]
    username: Option<String>,
    /// 1 to 80 characters.
    #[schema(min_length = 1, max_length = 80)]
    display_name: Option<String>,
}

async fn complete(ctx: Ctx, mode: SessionMode, Body(body): Body<SignupCompletion>) -> Result<SignedUp> {
    let mut errors = Vec::new();
    let username = body.username.and_then(|typed| Username::from_body(&typed, "/username").map_err(|error| errors.push(error)).ok());
    let display_name =
        body.display_name.and_then(|typed| DisplayName::from_body(&typed, "/display_name").map_err(|error| errors.push(error)).ok());
    if !errors.is_empty() {
        return Err(Error::invalid(errors));
    }
    let completion =
        Completion { token: body.token, code: body.code, handle: body.signup_token, password: body.password, username, display_name };
    let started = service::complete(&ctx, completion, mode.0).await?;
    Ok(SignedUp(LoginAnswer::new(&ctx, StatusCode::CREATED, started)))
}
