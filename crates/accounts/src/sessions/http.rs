//! Sessions over HTTP: how a login is handed to a browser or a client, and the list of one's own logins.

use axum::extract::FromRequestParts;
use axum::response::{IntoResponse, Response};
use http::header::SET_COOKIE;
use http::request::Parts;
use http::{HeaderName, HeaderValue, StatusCode};
use kernel::error::{MALFORMED_REQUEST, NOT_FOUND};
use kernel::http::{
    Body, Describe, Json, List, NoContent, Operation, OperationDoc, Path, Query, RateClass, ResponseDoc, SESSION_MODE, TypeRef,
    session_cookie_name,
};
use kernel::page::PageRequest;
use kernel::{App, Ctx, Error, FieldError, Id, Result, Session, Timestamp};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::mfa::challenge::Challenge;
use crate::secrets::Token;
use crate::sessions::service::{self, Started};
use crate::sessions::{SessionKind, SessionRecord};
use crate::tokens::http::TokensView;
use crate::users::http::UserView;

pub(crate) fn operations() -> [Operation; 4] {
    [
        Operation::get("/api/v1/me/sessions", "listMySessions", list)
            .tag("Me")
            .summary("List your logins")
            .describe("Every browser and client that is logged in as you, newest first.")
            .raises(&[&kernel::error::CURSOR_INVALID])
            .authenticated(),
        Operation::delete("/api/v1/me/sessions/{session_id}", "revokeMySession", revoke)
            .tag("Me")
            .summary("End one of your logins")
            .describe("Its cookie, access token and refresh token fail from the next request on.")
            .raises(&[&NOT_FOUND])
            .authenticated(),
        Operation::post("/api/v1/me/sessions/actions/revoke", "revokeMySessions", revoke_all)
            .tag("Me")
            .summary("End your logins everywhere")
            .describe("All of them, or all but the one that asks.")
            .authenticated(),
        Operation::post("/api/v1/auth/logout", "logOut", log_out)
            .tag("Auth")
            .summary("Log out")
            .describe("Ends the login that asks and removes its cookie. What the browser stored for this site is cleared, device cookies excepted.")
            .without_idempotency_key()
            .answers_secrets()
            .rate(RateClass::Default)
            .authenticated(),
    ]
}

/// How the client wants to hold its session: `X-Session-Mode: cookie` (default) or `token`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SessionMode(pub(crate) SessionKind);

impl FromRequestParts<App> for SessionMode {
    type Rejection = Error;
    async fn from_request_parts(parts: &mut Parts, _: &App) -> Result<Self> {
        match parts.headers.get(SESSION_MODE).map(HeaderValue::as_bytes) {
            None | Some(b"cookie") => Ok(SessionMode(SessionKind::Browser)),
            Some(b"token") => Ok(SessionMode(SessionKind::Token)),
            Some(_) => Err(MALFORMED_REQUEST.error().with_field(FieldError::header("X-Session-Mode", "not_allowed", "cookie or token."))),
        }
    }
}

impl Describe for SessionMode {
    fn describe(doc: &mut OperationDoc) {
        doc.reads_session_mode = true;
    }
}

/// A login: whose it is, and what the client gets to hold.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({
    "session": {
        "id": "019ab0b2-8f00-7000-8000-000000000002", "kind": "token", "methods": ["password"], "is_current": true, "ip": "203.0.113.7",
        "user_agent": "curl/8.5", "auth_time": "2026-11-22T12:00:00.000Z", "created_at": "2026-11-22T12:00:00.000Z",
        "last_seen_at": "2026-11-22T12:00:00.000Z", "expires_at": "2026-11-29T12:00:00.000Z"
    },
    "user": {
        "id": "019ab0b2-8f00-7000-8000-000000000001", "status": "active", "email": "ada@example.com", "username": null,
        "display_name": "Ada", "locale": "en", "roles": ["member"], "created_at": "2026-11-22T12:00:00.000Z",
        "updated_at": "2026-11-22T12:00:00.000Z", "last_login_at": "2026-11-22T12:00:00.000Z", "version": 1
    },
    "tokens": {
        "token_type": "Bearer", "access_token": "eyJ0eXAiOiJhdCtqd3QifQ.e30.c2ln", "expires_in_seconds": 600,
        "refresh_token": "9Zc3vVb1Yw0K5tq8XoJmR2dLh7sPnUeGfA4iBkC6xTM"
    },
    "challenge": null, "must_change_password": false
}))]
pub(crate) struct LoginResult {
    /// The login; null while a challenge is open.
    session: Option<SessionView>,
    /// Who logged in; null while a challenge is open.
    user: Option<UserView>,
    /// In token mode: what the client holds.
    tokens: Option<TokensView>,
    /// What else is asked before the login counts; null when nothing is.
    challenge: Option<ChallengeView>,
    /// Whether the password must be changed: until then the person's roles grant nothing.
    must_change_password: bool,
}

/// A further proof that a login needs.
#[derive(Serialize, ToSchema)]
pub(crate) struct ChallengeView {
    /// The challenge; only who holds it can answer it.
    id: String,
    /// The ways to answer it.
    methods: Vec<String>,
    /// Until when it can be answered.
    expires_at: Timestamp,
}

/// One login of a person.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({
    "id": "019ab0b2-8f00-7000-8000-000000000002", "kind": "browser", "methods": ["password"], "is_current": true, "ip": "203.0.113.7",
    "user_agent": "Mozilla/5.0", "auth_time": "2026-11-22T12:00:00.000Z", "created_at": "2026-11-22T12:00:00.000Z",
    "last_seen_at": "2026-11-22T12:00:00.000Z", "expires_at": "2026-11-29T12:00:00.000Z"
}))]
pub(crate) struct SessionView {
    /// The login.
    #[schema(value_type = uuid::Uuid)]
    id: Id<Session>,
    /// `browser` or `token`.
    kind: String,
    /// How the person proved who they are.
    methods: Vec<String>,
    /// Whether this is the login that asks.
    is_current: bool,
    /// The address it began from.
    ip: String,
    /// The program it began with.
    user_agent: Option<String>,
    /// When the person last proved who they are.
    auth_time: Timestamp,
    /// When it began.
    created_at: Timestamp,
    /// When it was last used, to within minutes.
    last_seen_at: Timestamp,
    /// When it ends unless it is used.
    expires_at: Timestamp,
}

impl SessionView {
    pub(crate) fn of(session: SessionRecord, current: Option<Id<Session>>) -> SessionView {
        SessionView {
            is_current: current == Some(session.id),
            id: session.id,
            kind: session.kind.as_str().to_owned(),
            methods: session.amr.split(' ').map(str::to_owned).collect(),
            ip: session.ip,
            user_agent: session.user_agent,
            auth_time: session.auth_time,
            created_at: session.created_at,
            last_seen_at: session.last_seen_at,
            expires_at: session.idle_at.min(session.absolute_at),
        }
    }
}

/// The answer to a login: its body, and the cookie of a browser.
pub(crate) struct LoginAnswer {
    status: StatusCode,
    /// That of the session first, then that of the device.
    cookies: Vec<HeaderValue>,
    body: LoginResult,
}

impl LoginAnswer {
    /// 200, or 201 when an account was made.
    pub(crate) fn new(ctx: &Ctx, status: StatusCode, started: Started) -> LoginAnswer {
        let cookies = cookies_of(ctx, &started);
        let id = started.session.id;
        let body = LoginResult {
            session: Some(SessionView::of(started.session, Some(id))),
            user: Some(UserView::of(started.user, started.roles)),
            tokens: started.tokens.map(TokensView::from),
            challenge: None,
            must_change_password: started.must_change,
        };
        LoginAnswer { status, cookies, body }
    }

    /// 200 that asks for the second factor; nothing is held yet.
    pub(crate) fn challenge(challenge: Challenge) -> LoginAnswer {
        let view =
            ChallengeView { id: challenge.token.as_str().to_owned(), methods: Challenge::methods(), expires_at: challenge.expires_at };
        let body = LoginResult { session: None, user: None, tokens: None, challenge: Some(view), must_change_password: false };
        LoginAnswer { status: StatusCode::OK, cookies: Vec::new(), body }
    }
}

/// What a browser gets to hold after a login: the session, then the device.
pub(crate) fn cookies_of(ctx: &Ctx, started: &Started) -> Vec<HeaderValue> {
    let session = started.cookie.as_ref().map(|token| session_cookie(ctx, token, &started.session));
    let device = started.device.as_ref().map(|device| device.cookie(ctx));
    session.into_iter().chain(device).collect()
}

impl IntoResponse for LoginAnswer {
    fn into_response(self) -> Response {
        let mut response = Json(self.body).into_response();
        *response.status_mut() = self.status;
        for cookie in self.cookies {
            response.headers_mut().append(SET_COOKIE, cookie);
        }
        response
    }
}

/// [`LoginAnswer`] with 200.
pub(crate) struct LoggedIn(pub(crate) LoginAnswer);
/// [`LoginAnswer`] with 201.
pub(crate) struct SignedUp(pub(crate) LoginAnswer);

impl IntoResponse for LoggedIn {
    fn into_response(self) -> Response {
        self.0.into_response()
    }
}

impl IntoResponse for SignedUp {
    fn into_response(self) -> Response {
        self.0.into_response()
    }
}

fn describe_login(doc: &mut OperationDoc, status: StatusCode) {
    doc.responses.push(ResponseDoc {
        status,
        body: Some(TypeRef::of::<LoginResult>()),
        is_list: false,
        media_type: None,
        headers: &["Set-Cookie"],
    });
}

impl Describe for LoggedIn {
    fn describe(doc: &mut OperationDoc) {
        describe_login(doc, StatusCode::OK);
    }
}

impl Describe for SignedUp {
    fn describe(doc: &mut OperationDoc) {
        describe_login(doc, StatusCode::CREATED);
    }
}

/// The session cookie with exactly the attributes of SES-2; one that is remembered lasts as long as its session can.
pub(crate) fn session_cookie(ctx: &Ctx, token: &Token, session: &SessionRecord) -> HeaderValue {
    let is_secure = ctx.request.is_secure;
    let secure = if is_secure { " Secure;" } else { "" };
    let max_age_secs = session.is_remembered.then(|| session.absolute_at.since(ctx.now()).as_secs());
    let max_age = max_age_secs.map(|secs| format!("; Max-Age={secs}")).unwrap_or_default();
    let text = format!("{}={}; Path=/;{secure} HttpOnly; SameSite=Lax{max_age}", session_cookie_name(is_secure), token.as_str());
    let mut value = HeaderValue::try_from(text).unwrap_or_else(|_| HeaderValue::from_static(""));
    value.set_sensitive(true);
    value
}

/// The session cookie, gone.
pub(crate) fn cookie_removal(ctx: &Ctx) -> HeaderValue {
    let is_secure = ctx.request.is_secure;
    let secure = if is_secure { " Secure;" } else { "" };
    let text = format!("{}=; Path=/;{secure} HttpOnly; SameSite=Lax; Max-Age=0", session_cookie_name(is_secure));
    HeaderValue::try_from(text).unwrap_or_else(|_| HeaderValue::from_static(""))
}

/// Which logins to list.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SessionFilter {
    /// How many logins a page holds, 1 to 100.
    #[schema(minimum = 1)]
    limit: Option<u32>,
    /// Where the page before ended.
    #[schema(max_length = 1024)]
    cursor: Option<String>,
}

impl SessionFilter {
    pub(crate) fn request(self) -> PageRequest {
        PageRequest::new(self.limit, self.cursor)
    }
}

async fn list(ctx: Ctx, Query(filter): Query<SessionFilter>) -> Result<List<SessionView>> {
    let current = ctx.actor.identity()?.session_id;
    let page = service::list(&ctx, filter.request()).await?;
    Ok(List(page.map(|session| SessionView::of(session, Some(current)))))
}

async fn revoke(ctx: Ctx, Path(id): Path<Id<Session>>) -> Result<NoContent> {
    service::revoke(&ctx, id).await?;
    Ok(NoContent)
}

/// Which logins to end.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"except_current": true}))]
struct RevokeSessions {
    /// Whether the login that asks goes on.
    #[serde(default)]
    except_current: bool,
}

/// How many logins were ended.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({"revoked_count": 2}))]
pub(crate) struct RevokedSessions {
    /// The number of logins that were live until now.
    revoked_count: i64,
}

async fn revoke_all(ctx: Ctx, Body(request): Body<RevokeSessions>) -> Result<Json<RevokedSessions>> {
    Ok(Json(RevokedSessions::of(service::revoke_mine(&ctx, request.except_current).await?)))
}

impl RevokedSessions {
    pub(crate) fn of(count: u64) -> RevokedSessions {
        RevokedSessions { revoked_count: i64::try_from(count).unwrap_or(i64::MAX) }
    }
}

/// 204 that removes the cookie and what the browser stored (SES-4).
struct LoggedOut {
    cookie: HeaderValue,
}

impl IntoResponse for LoggedOut {
    fn into_response(self) -> Response {
        let clear = (HeaderName::from_static("clear-site-data"), HeaderValue::from_static("\"cache\", \"storage\""));
        (StatusCode::NO_CONTENT, [(SET_COOKIE, self.cookie), clear]).into_response()
    }
}

impl Describe for LoggedOut {
    fn describe(doc: &mut OperationDoc) {
        NoContent::describe(doc);
    }
}

async fn log_out(ctx: Ctx) -> Result<LoggedOut> {
    service::log_out(&ctx).await?;
    Ok(LoggedOut { cookie: cookie_removal(&ctx) })
}
