//! Second factors over HTTP.

use http::StatusCode;
use kernel::error::{ALREADY_EXISTS, INVALID_STATE, NOT_FOUND, REAUTHENTICATION_REQUIRED};
use kernel::http::{Body, Created, Json, NoContent, Operation, RateClass};
use kernel::{Ctx, Result, Timestamp};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::logins::device::SentDevice;
use crate::mfa::{Method, challenge, service};
use crate::problems::{CHALLENGE_EXPIRED, CHALLENGE_REQUIRED, CODE_INVALID, HASHER_BUSY};
use crate::sessions::http::{LoggedIn, LoginAnswer};

pub(crate) fn operations() -> [Operation; 6] {
    [
        Operation::post("/api/v1/auth/login/mfa", "logInMfa", log_in)
            .tag("Auth")
            .summary("Finish a login with a second factor")
            .describe(
                "The challenge that the login answered, and a code of the authenticator app or a recovery code. The session is held the way that \
                 the login asked for. Each code counts once; after five wrong ones waits begin, over all challenges of the person.",
            )
            .raises(&[&CHALLENGE_EXPIRED, &CODE_INVALID, &CHALLENGE_REQUIRED, &HASHER_BUSY])
            .ignores_credential()
            .starts_session()
            .without_idempotency_key()
            .answers_secrets()
            .rate(RateClass::Auth)
            .public(),
        Operation::get("/api/v1/me/mfa", "getMyMfa", mine)
            .tag("Me")
            .summary("Read what your login asks for beside the password")
            .describe("Whether there is an authenticator app, and how many recovery codes are left.")
            .authenticated(),
        Operation::post("/api/v1/me/mfa/totp", "enrolTotp", enrol)
            .tag("Me")
            .summary("Set up an authenticator app")
            .describe("The seed is shown once. It counts as soon as a code of it is confirmed; until then nothing changes. Needs a login at most ten minutes old.")
            .raises(&[&ALREADY_EXISTS, &REAUTHENTICATION_REQUIRED])
            .without_idempotency_key()
            .answers_secrets()
            .authenticated(),
        Operation::post("/api/v1/me/mfa/totp/actions/confirm", "confirmTotp", confirm)
            .tag("Me")
            .summary("Confirm the authenticator app")
            .describe("With a code that it shows. Answers ten recovery codes, once. From now on your logins ask for a code.")
            .raises(&[&NOT_FOUND, &CODE_INVALID, &ALREADY_EXISTS, &INVALID_STATE, &REAUTHENTICATION_REQUIRED, &HASHER_BUSY])
            .without_idempotency_key()
            .answers_secrets()
            .rate(RateClass::Auth)
            .authenticated(),
        Operation::delete("/api/v1/me/mfa/totp", "removeTotp", remove)
            .tag("Me")
            .summary("Remove the authenticator app")
            .describe("The recovery codes go with it. Needs a login at most ten minutes old; you are told by mail.")
            .raises(&[&NOT_FOUND, &REAUTHENTICATION_REQUIRED])
            .authenticated(),
        Operation::post("/api/v1/me/mfa/recovery-codes", "renewRecoveryCodes", renew_codes)
            .tag("Me")
            .summary("Make new recovery codes")
            .describe("Ten, shown once; the old ones are void. Needs a login at most ten minutes old.")
            .raises(&[&INVALID_STATE, &REAUTHENTICATION_REQUIRED, &HASHER_BUSY])
            .without_idempotency_key()
            .answers_secrets()
            .authenticated(),
    ]
}

/// An answer to a challenge.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"challenge_id": "9Zc3vVb1Yw0K5tq8XoJmR2dLh7sPnUeGfA4iBkC6xTM", "method": "totp", "code": "287082"}))]
struct ChallengeAnswer {
    /// The challenge of the login.
    #[schema(min_length = 1, max_length = 256)]
    challenge_id: String,
    /// What the code is of.
    method: Method,
    /// The code.
    #[schema(min_length = 1, max_length = 64)]
    code: String,
}

async fn log_in(ctx: Ctx, device: SentDevice, Body(answer): Body<ChallengeAnswer>) -> Result<LoggedIn> {
    let device = device.verified(&ctx);
    let started = challenge::answer(&ctx, &answer.challenge_id, answer.method, &answer.code, device).await?;
    Ok(LoggedIn(LoginAnswer::new(&ctx, StatusCode::OK, started)))
}

/// What a login asks for beside the password.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({"is_required": true, "totp": {"confirmed_at": "2026-11-22T12:00:00.000Z"}, "recovery_codes_left": 10}))]
struct MfaView {
    /// Whether a login needs a second factor.
    is_required: bool,
    /// The authenticator app; null when there is none.
    totp: Option<TotpView>,
    /// How many recovery codes are left.
    recovery_codes_left: i64,
}

/// An authenticator app.
#[derive(Serialize, ToSchema)]
struct TotpView {
    /// Since when it counts.
    confirmed_at: Timestamp,
}

async fn mine(ctx: Ctx) -> Result<Json<MfaView>> {
    let factors = service::mine(&ctx).await?;
    Ok(Json(MfaView {
        is_required: factors.totp_since.is_some(),
        totp: factors.totp_since.map(|confirmed_at| TotpView { confirmed_at }),
        recovery_codes_left: i64::try_from(factors.codes_left).unwrap_or(i64::MAX),
    }))
}

/// A seed to be put into an authenticator app.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({
    "secret": "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ",
    "uri": "otpauth://totp/example.com:ada%40example.com?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&issuer=example.com",
    "svg": "<svg xmlns=\"http://www.w3.org/2000/svg\"/>"
}))]
struct TotpEnrolment {
    /// For typing.
    secret: String,
    /// For a link that opens the app.
    uri: String,
    /// A QR code of the same address, as SVG.
    svg: String,
}

async fn enrol(ctx: Ctx) -> Result<Created<TotpEnrolment>> {
    let enrolment = service::enrol(&ctx).await?;
    let svg = enrolment.qr_svg()?;
    let body = TotpEnrolment { secret: enrolment.secret.to_string(), uri: enrolment.uri.to_string(), svg };
    Ok(Created { location: "/api/v1/me/mfa".to_owned(), body })
}

/// A code of the authenticator app.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"code": "287082"}))]
struct TotpCode {
    /// The six digits that it shows.
    #[schema(min_length = 1, max_length = 64)]
    code: String,
}

/// Ten recovery codes, to be written down.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({"recovery_codes": ["k7-9f3qx-m2tzp"]}))]
struct RecoveryCodes {
    /// Each is good for one login without the app.
    recovery_codes: Vec<String>,
}

impl RecoveryCodes {
    fn of(codes: &service::ShownCodes) -> RecoveryCodes {
        RecoveryCodes { recovery_codes: codes.iter().map(|code| code.to_string()).collect() }
    }
}

async fn confirm(ctx: Ctx, Body(typed): Body<TotpCode>) -> Result<Json<RecoveryCodes>> {
    Ok(Json(RecoveryCodes::of(&service::confirm(&ctx, &typed.code).await?)))
}

async fn remove(ctx: Ctx) -> Result<NoContent> {
    service::remove(&ctx).await?;
    Ok(NoContent)
}

async fn renew_codes(ctx: Ctx) -> Result<Created<RecoveryCodes>> {
    let body = RecoveryCodes::of(&service::renew_codes(&ctx).await?);
    Ok(Created { location: "/api/v1/me/mfa".to_owned(), body })
}
