//! Tokens over HTTP: refresh, and the public keys.

use axum::response::{IntoResponse, Response};
use http::HeaderValue;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use kernel::http::{Body, Json, Operation, RateClass};
use kernel::{Ctx, Error, Result};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::problems::REFRESH_TOKEN_INVALID;
use crate::tokens::refresh::{TokenPair, exchange};
use crate::tokens::{SigningKeys, signing};

pub(crate) fn operations() -> [Operation; 2] {
    [
        Operation::post("/api/v1/auth/token/refresh", "refreshToken", refresh)
            .tag("Auth")
            .summary("Exchange a refresh token")
            .describe(
                "Gives a new access token and the next refresh token. A refresh token is good for one exchange; a client that lost the answer may \
                 repeat the call until it has used what it got. Using an old one later ends the session.",
            )
            .raises(&[&REFRESH_TOKEN_INVALID])
            .ignores_credential()
            .without_idempotency_key()
            .answers_secrets()
            .rate(RateClass::Default)
            .public(),
        Operation::page("/.well-known/jwks.json", "getJwks", jwks).ignores_credential().public(),
    ]
}

/// A refresh token to exchange.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"refresh_token": "9Zc3vVb1Yw0K5tq8XoJmR2dLh7sPnUeGfA4iBkC6xTM"}))]
pub(crate) struct RefreshRequest {
    /// The refresh token of the last answer.
    #[schema(min_length = 1, max_length = 256)]
    refresh_token: String,
}

/// What a client in token mode holds.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({
    "token_type": "Bearer", "access_token": "eyJ0eXAiOiJhdCtqd3QifQ.e30.c2ln", "expires_in_seconds": 600,
    "refresh_token": "9Zc3vVb1Yw0K5tq8XoJmR2dLh7sPnUeGfA4iBkC6xTM"
}))]
pub(crate) struct TokensView {
    /// Always `Bearer`.
    token_type: String,
    /// Goes into the Authorization header.
    access_token: String,
    /// How long the access token is good.
    expires_in_seconds: i64,
    /// Exchange it for the next pair, once.
    refresh_token: String,
}

impl From<TokenPair> for TokensView {
    fn from(pair: TokenPair) -> Self {
        TokensView {
            token_type: "Bearer".to_owned(),
            access_token: pair.access_token,
            expires_in_seconds: pair.expires_in_secs,
            refresh_token: pair.refresh_token.as_str().to_owned(),
        }
    }
}

async fn refresh(ctx: Ctx, Body(request): Body<RefreshRequest>) -> Result<Json<TokensView>> {
    Ok(Json(exchange(&ctx, &request.refresh_token).await?.into()))
}

async fn jwks(ctx: Ctx) -> Result<Response> {
    signing::refresh(&ctx.app).await?;
    let body = serde_json::to_vec(&ctx.state::<SigningKeys>().jwks()).map_err(Error::internal)?;
    let headers = [
        (CONTENT_TYPE, HeaderValue::from_static("application/jwk-set+json")),
        (CACHE_CONTROL, HeaderValue::from_static("public, max-age=300")),
    ];
    Ok((headers, body).into_response())
}
