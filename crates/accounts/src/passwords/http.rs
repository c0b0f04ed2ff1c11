//! Passwords over HTTP.

use axum::response::{IntoResponse, Response};
use http::HeaderValue;
use http::header::SET_COOKIE;
use kernel::error::REAUTHENTICATION_REQUIRED;
use kernel::http::{Accepted, Body, Describe, Json, NoContent, Operation, OperationDoc, RateClass};
use kernel::{Ctx, Error, FieldError, Result, Timestamp};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::emails::address::EmailAddress;
use crate::mfa;
use crate::passwords::service::{self, Renewed};
use crate::problems::{CHALLENGE_REQUIRED, CODE_INVALID, HASHER_BUSY, TOKEN_INVALID, TOKEN_SPENT};
use crate::secrets::Password;
use crate::sessions::http::session_cookie;

pub(crate) fn operations() -> [Operation; 4] {
    [
        Operation::post("/api/v1/auth/password/reset", "requestPasswordReset", request_reset)
            .tag("Auth")
            .summary("Ask for a reset link")
            .describe("Mails a link that is good for 30 minutes. The answer is the same whether or not the address has an account.")
            .ignores_credential()
            .without_idempotency_key()
            .rate(RateClass::Auth)
            .public(),
        Operation::post("/api/v1/auth/password/reset/confirm", "resetPassword", confirm_reset)
            .tag("Auth")
            .summary("Set a new password by a mailed token")
            .describe("Every login of the person ends; nobody is logged in by it.")
            .raises(&[&TOKEN_INVALID, &TOKEN_SPENT, &HASHER_BUSY])
            .ignores_credential()
            .without_idempotency_key()
            .rate(RateClass::Auth)
            .public(),
        Operation::put("/api/v1/me/password", "changeMyPassword", change)
            .tag("Me")
            .summary("Change your password")
            .describe("Needs the present password and a login at most ten minutes old. All other logins end; a browser gets a new cookie.")
            .raises(&[&REAUTHENTICATION_REQUIRED, &HASHER_BUSY, &CHALLENGE_REQUIRED])
            .answers_secrets()
            .authenticated(),
        Operation::post("/api/v1/auth/reauthenticate", "reauthenticate", reauthenticate)
            .tag("Auth")
            .summary("Confirm who you are")
            .describe("By the password, or by a code of the second factor. Makes the login recent again, for operations that answer reauthentication_required. A browser gets a new cookie.")
            .raises(&[&HASHER_BUSY, &CHALLENGE_REQUIRED, &CODE_INVALID])
            .without_idempotency_key()
            .answers_secrets()
            .rate(RateClass::Auth)
            .authenticated(),
    ]
}

/// Whose password to reset.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"email": "ada@example.com"}))]
struct ResetRequest {
    /// The address of the account.
    #[schema(min_length = 1, max_length = 320)]
    email: String,
}

/// Taken up; what follows is the same for every address.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({"status": "accepted"}))]
struct ResetAccepted {
    /// Always `accepted`.
    status: String,
}

async fn request_reset(ctx: Ctx, Body(request): Body<ResetRequest>) -> Result<Accepted<ResetAccepted>> {
    let email = EmailAddress::from_body(&request.email, "/email").map_err(|error| Error::invalid(vec![error]))?;
    service::request_reset(&ctx, &email).await?;
    Ok(Accepted(ResetAccepted { status: "accepted".to_owned() }))
}

/// A mailed token and the new password.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"token": "9Zc3vVb1Yw0K5tq8XoJmR2dLh7sPnUeGfA4iBkC6xTM", "password": "correct horse battery"}))]
struct ResetConfirmation {
    /// The token after # in the mailed link.
    #[schema(min_length = 1, max_length = 256)]
    token: String,
    /// The new password.
    password: Password,
}

async fn confirm_reset(ctx: Ctx, Body(request): Body<ResetConfirmation>) -> Result<NoContent> {
    service::confirm_reset(&ctx, request.token, request.password).await?;
    Ok(NoContent)
}

/// The present password and the new one.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"current_password": "correct horse battery", "new_password": "staple of the old house"}))]
struct PasswordChange {
    /// The present password.
    current_password: Password,
    /// The new password.
    new_password: Password,
}

/// 204, and a new cookie for a browser.
struct Changed(Option<HeaderValue>);

impl IntoResponse for Changed {
    fn into_response(self) -> Response {
        with_cookie(NoContent.into_response(), self.0)
    }
}

impl Describe for Changed {
    fn describe(doc: &mut OperationDoc) {
        NoContent::describe(doc);
    }
}

fn with_cookie(mut response: Response, cookie: Option<HeaderValue>) -> Response {
    if let Some(cookie) = cookie {
        response.headers_mut().append(SET_COOKIE, cookie);
    }
    response
}

/// The new cookie of a browser whose login was proven again.
pub(crate) fn cookie_of(ctx: &Ctx, renewed: &Renewed) -> Option<HeaderValue> {
    renewed.cookie.as_ref().map(|token| session_cookie(ctx, token, &renewed.session))
}

async fn change(ctx: Ctx, Body(request): Body<PasswordChange>) -> Result<Changed> {
    let renewed = service::change(&ctx, request.current_password, request.new_password).await?;
    Ok(Changed(cookie_of(&ctx, &renewed)))
}

/// A proof of who you are: the password, or a code.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"password": "correct horse battery"}))]
struct Reauthentication {
    /// The present password.
    password: Option<Password>,
    /// A code of the second factor.
    #[schema(min_length = 1, max_length = 64)]
    code: Option<String>,
    /// What the code is of; `totp` unless given.
    method: Option<mfa::Method>,
}

/// When you last proved who you are.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({"auth_time": "2026-11-22T12:00:00.000Z", "methods": ["password"]}))]
struct ReauthenticatedView {
    /// Now.
    auth_time: Timestamp,
    /// How.
    methods: Vec<String>,
}

struct Reauthenticated {
    body: ReauthenticatedView,
    cookie: Option<HeaderValue>,
}

impl IntoResponse for Reauthenticated {
    fn into_response(self) -> Response {
        with_cookie(Json(self.body).into_response(), self.cookie)
    }
}

impl Describe for Reauthenticated {
    fn describe(doc: &mut OperationDoc) {
        Json::<ReauthenticatedView>::describe(doc);
    }
}

async fn reauthenticate(ctx: Ctx, Body(request): Body<Reauthentication>) -> Result<Reauthenticated> {
    let (renewed, method) = match (request.password, request.code) {
        (Some(password), None) => (service::reauthenticate(&ctx, password).await?, "password"),
        (None, Some(code)) => {
            let method = request.method.unwrap_or(mfa::Method::Totp);
            (service::reauthenticate_by_code(&ctx, method, &code).await?, method.as_str())
        }
        (None, None) => return Err(Error::invalid(vec![FieldError::body("/password", "required", "The password, or a code.")])),
        (Some(_), Some(_)) => return Err(Error::invalid(vec![FieldError::body("/code", "not_allowed", "Either the password or a code.")])),
    };
    let body = ReauthenticatedView { auth_time: renewed.session.auth_time, methods: vec![method.to_owned()] };
    Ok(Reauthenticated { body, cookie: cookie_of(&ctx, &renewed) })
}
