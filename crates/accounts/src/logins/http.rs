//! Logging in over HTTP.

use http::StatusCode;
use kernel::http::{Body, Json, Operation, RateClass};
use kernel::{Ctx, Result};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::logins::device::SentDevice;
use crate::logins::service;
use crate::passwords::policy::PasswordPolicy;
use crate::problems::{CHALLENGE_REQUIRED, HASHER_BUSY, INVALID_CREDENTIALS};
use crate::secrets::Password;
use crate::sessions::http::{LoggedIn, LoginAnswer, SessionMode};
use crate::settings::{AccountSettings, SignupMode};

pub(crate) fn operations() -> [Operation; 2] {
    [
        Operation::post("/api/v1/auth/login", "logIn", log_in)
            .tag("Auth")
            .summary("Log in")
            .describe(
                "By address or username, and password. A browser gets a session cookie; with X-Session-Mode: token the answer carries an access and a \
                 refresh token instead. Every failure looks the same. After five failures for a name, waits begin, except on a device \
                 whose cookie says that its owner logged in there before.",
            )
            .raises(&[&INVALID_CREDENTIALS, &CHALLENGE_REQUIRED, &HASHER_BUSY])
            .ignores_credential()
            .starts_session()
            .without_idempotency_key()
            .answers_secrets()
            .rate(RateClass::Auth)
            .public(),
        Operation::get("/api/v1/auth/methods", "getAuthMethods", methods)
            .tag("Auth")
            .summary("Read how people can log in and sign up")
            .describe("What a login form needs to know; the same for everybody.")
            .ignores_credential()
            .public(),
    ]
}

/// Name and password.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"identifier": "ada@example.com", "password": "correct horse battery", "remember": true}))]
struct Login {
    /// The address or the username.
    #[schema(min_length = 1, max_length = 320)]
    identifier: String,
    /// The password.
    password: Password,
    /// Whether the cookie outlives the browser's own session.
    #[serde(default)]
    remember: bool,
}

async fn log_in(ctx: Ctx, mode: SessionMode, device: SentDevice, Body(login): Body<Login>) -> Result<LoggedIn> {
    let device = device.verified(&ctx);
    let started = service::log_in(&ctx, &login.identifier, &login.password, mode.0, device, login.remember).await?;
    Ok(LoggedIn(LoginAnswer::new(&ctx, StatusCode::OK, started)))
}

/// How people can log in and sign up.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({"methods": ["password"], "signup": "open", "password_min_length": 10, "password_max_length": 256}))]
struct AuthMethods {
    /// The ways to log in.
    methods: Vec<String>,
    /// Who may sign up.
    signup: SignupMode,
    /// The shortest password, in code points.
    password_min_length: i64,
    /// The longest password, in code points.
    password_max_length: i64,
}

async fn methods(ctx: Ctx) -> Result<Json<AuthMethods>> {
    Ok(Json(AuthMethods {
        methods: vec!["password".to_owned()],
        signup: ctx.settings::<AccountSettings>().signup,
        password_min_length: i64::try_from(ctx.state::<PasswordPolicy>().min_length()).unwrap_or(i64::MAX),
        password_max_length: i64::try_from(ctx.state::<PasswordPolicy>().max_length()).unwrap_or(i64::MAX),
    }))
}
