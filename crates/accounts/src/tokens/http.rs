//! Tokens over HTTP: refresh, and the keys that sign.

use axum::response::{IntoResponse, Response};
use http::HeaderValue;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use kernel::error::QUOTA_EXCEEDED;
use kernel::http::{Body, Created, Json, List, Operation, RateClass};
use kernel::page::Page;
use kernel::{Ctx, Error, Result, Timestamp};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::ROTATE_KEYS;
use crate::problems::REFRESH_TOKEN_INVALID;
use crate::tokens::refresh::{TokenPair, exchange};
use crate::tokens::{SigningKeys, signing};

pub(crate) fn operations() -> [Operation; 4] {
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
        Operation::get("/api/v1/signing-keys", "listSigningKeys", list)
            .tag("Platform")
            .summary("List the keys that sign access tokens")
            .describe("Those that sign now, soon, or are still needed for tokens already made. Their public parts stand in /.well-known/jwks.json.")
            .requires(&ROTATE_KEYS),
        Operation::post("/api/v1/signing-keys", "rotateSigningKeys", rotate)
            .tag("Platform")
            .summary("Make a new key that signs access tokens")
            .describe(
                "It is published at once and signs from tomorrow on, so that everybody who verifies tokens has seen it by then; or at once, after a leak. \
                 Tokens of the old key stay good until they expire.",
            )
            .raises(&[&QUOTA_EXCEEDED])
            .requires(&ROTATE_KEYS),
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

/// A key that signs access tokens, without its private part.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({
    "kid": "Zm9vYmFyYmF6", "algorithm": "ES256", "active_from": "2026-11-23T12:00:00.000Z", "retire_at": "2027-02-21T14:00:00.000Z"
}))]
struct SigningKeyView {
    /// Its name.
    kid: String,
    /// What it signs with.
    algorithm: String,
    /// From when on it signs.
    active_from: Timestamp,
    /// Until when it is published.
    retire_at: Timestamp,
}

async fn list(ctx: Ctx) -> Result<List<SigningKeyView>> {
    Ok(List(Page { items: views(&ctx).await?, next_cursor: None, total: None }))
}

async fn views(ctx: &Ctx) -> Result<Vec<SigningKeyView>> {
    let view = |key: signing::PublishedKey| SigningKeyView {
        kid: key.kid,
        algorithm: key.algorithm,
        active_from: key.active_from,
        retire_at: key.retire_at,
    };
    Ok(signing::published(ctx).await?.into_iter().map(view).collect())
}

/// When the new key begins.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"at_once": false}))]
struct Rotation {
    /// Whether it signs from now on instead of a day after it is published.
    #[serde(default)]
    at_once: bool,
}

async fn rotate(ctx: Ctx, Body(rotation): Body<Rotation>) -> Result<Created<SigningKeyView>> {
    let kid = signing::rotate(&ctx, rotation.at_once).await?;
    let body = views(&ctx).await?.into_iter().find(|key| key.kid == kid).ok_or_else(|| Error::internal("the new key is not published"))?;
    Ok(Created { location: "/api/v1/signing-keys".to_owned(), body })
}
