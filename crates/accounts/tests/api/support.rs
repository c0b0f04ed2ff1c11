//! What these tests share: how people sign up, log in, and hold what they get.

use std::future::IntoFuture;
use std::time::Duration;

use accounts::Accounts;
use futures_util::future::join_all;
use kernel::Ctx;
use serde_json::{Value, json};
use testkit::{Mail, Node, PASSWORD, Request, TestApp, TestResponse, code_in, token_in};

pub(crate) const ADA: &str = "ada@example.com";
pub(crate) const BOB: &str = "bob@example.com";
/// A password that replaces [`PASSWORD`].
pub(crate) const OTHER: &str = "an entirely different walk";
pub(crate) const WRONG: &str = "nobody ever chose this one";
pub(crate) const SECOND: Duration = Duration::from_secs(1);
pub(crate) const MINUTE: Duration = Duration::from_secs(60);
pub(crate) const HOUR: Duration = Duration::from_secs(3600);
pub(crate) const DAY: Duration = Duration::from_secs(24 * 3600);

/// An app of accounts and nothing else.
pub(crate) async fn app() -> TestApp {
    app_with(&[]).await
}

/// Limits that only tests of limits reach, like those of the kernel's own.
const SETTINGS: [(&str, &str); 3] = [
    ("accounts.limits.address_failures", "1000000/10m"),
    ("accounts.limits.mail_per_address", "1000000/h"),
    ("accounts.limits.mail_budget", "1000000/h"),
];

/// The same with other settings.
pub(crate) async fn app_with(settings: &[(&str, &str)]) -> TestApp {
    let builder = TestApp::builder().module(Accounts::for_tests());
    let builder = SETTINGS.iter().fold(builder, |builder, (key, value)| builder.setting(key, value));
    settings.iter().fold(builder, |builder, (key, value)| builder.setting(key, value)).start().await
}

/// A sign-up that waits for its proof.
#[derive(Clone, Debug)]
pub(crate) struct Pending {
    pub(crate) handle: String,
    pub(crate) token: String,
    pub(crate) code: String,
}

/// Begins a sign-up and reads its mail; a minute later if the address got one before (RST-9).
pub(crate) async fn pending(app: &TestApp, body: Value) -> Pending {
    let email = body["email"].as_str().expect("an address");
    if app.mails().await.iter().any(|mail| mail.to.eq_ignore_ascii_case(email)) {
        app.advance(MINUTE);
    }
    let begun = app.post("/api/v1/auth/signup").header("X-Session-Mode", "token").json(&body).await.expect(202);
    let mail = app.last_mail_to(email).await;
    Pending { token: token_in(&mail), code: code_in(&mail), handle: begun.text("/signup_token") }
}

/// Begins a sign-up without a password.
pub(crate) async fn pending_of(app: &TestApp, email: &str) -> Pending {
    pending(app, json!({ "email": email })).await
}

/// A request that completes a sign-up in token mode.
pub(crate) fn complete(node: &Node, body: &Value) -> Request {
    node.post("/api/v1/auth/signup/complete").header("X-Session-Mode", "token").json(body)
}

/// What a client in token mode holds.
#[derive(Clone, Debug)]
pub(crate) struct Client {
    pub(crate) access: String,
    pub(crate) refresh: String,
    pub(crate) session_id: String,
    pub(crate) user_id: String,
}

impl Client {
    pub(crate) fn of(login: &TestResponse) -> Client {
        Client {
            access: login.text("/tokens/access_token"),
            refresh: login.text("/tokens/refresh_token"),
            session_id: login.text("/session/id"),
            user_id: login.text("/user/id"),
        }
    }
}

/// What a browser holds: `name=value` of its session cookie.
#[derive(Clone, Debug)]
pub(crate) struct Browser {
    pub(crate) cookie: String,
    pub(crate) device: String,
    pub(crate) session_id: String,
}

impl Browser {
    pub(crate) fn of(login: &TestResponse) -> Browser {
        Browser { cookie: cookie_in(login), device: device_in(login), session_id: login.text("/session/id") }
    }

    /// The same browser after an answer replaced its cookie.
    pub(crate) fn of_cookie(answer: &TestResponse, before: &Browser) -> Browser {
        Browser { cookie: cookie_in(answer), ..before.clone() }
    }

    /// The request as this browser sends it from our own page.
    pub(crate) fn asks(&self, request: Request) -> Request {
        request.header("Cookie", &self.cookie).header("Sec-Fetch-Site", "same-origin")
    }
}

/// The `name=value` of the one session cookie that an answer sets.
pub(crate) fn cookie_in(answer: &TestResponse) -> String {
    let (sessions, _) = cookies_in(answer);
    assert_eq!(sessions.len(), 1, "one session cookie: {answer}");
    sessions[0].split(';').next().unwrap_or_default().to_owned()
}

/// The `name=value` of the one device cookie that an answer sets.
pub(crate) fn device_in(answer: &TestResponse) -> String {
    let (_, devices) = cookies_in(answer);
    assert_eq!(devices.len(), 1, "one device cookie: {answer}");
    devices[0].split(';').next().unwrap_or_default().to_owned()
}

/// The lines that set cookies: those of sessions, and those of devices.
pub(crate) fn cookies_in(answer: &TestResponse) -> (Vec<String>, Vec<String>) {
    let lines = answer.headers.get_all("set-cookie").iter().map(|value| value.to_str().unwrap_or_default().to_owned());
    lines.partition(|line| !line.split('=').next().unwrap_or_default().ends_with("device"))
}

/// A login in token mode.
pub(crate) fn log_in(node: &Node, name: &str, password: &str) -> Request {
    node.post("/api/v1/auth/login").header("X-Session-Mode", "token").json(&json!({ "identifier": name, "password": password }))
}

/// A login in cookie mode.
pub(crate) fn log_in_browser(node: &Node, name: &str, password: &str) -> Request {
    node.post("/api/v1/auth/login").header("X-CSRF", "1").json(&json!({ "identifier": name, "password": password }))
}

/// Somebody with an account and a client that is logged in.
pub(crate) async fn client(app: &TestApp, email: &str) -> Client {
    app.member(email).await;
    Client::of(&log_in(app, email, PASSWORD).await.expect(200))
}

/// Another client of somebody with an account.
pub(crate) async fn another_client(app: &TestApp, email: &str) -> Client {
    Client::of(&log_in(app, email, PASSWORD).await.expect(200))
}

/// A browser of somebody with an account.
pub(crate) async fn browser(app: &TestApp, email: &str) -> Browser {
    Browser::of(&log_in_browser(app, email, PASSWORD).await.expect(200))
}

pub(crate) fn refresh(node: &Node, token: &str) -> Request {
    node.post("/api/v1/auth/token/refresh").json(&json!({ "refresh_token": token }))
}

pub(crate) fn ask_reset(node: &Node, email: &str) -> Request {
    node.post("/api/v1/auth/password/reset").json(&json!({ "email": email }))
}

/// The token of a new reset mail.
pub(crate) async fn reset_token(app: &TestApp, email: &str) -> String {
    ask_reset(app, email).await.expect(202);
    let mail = app.last_mail_to(email).await;
    assert_eq!(mail.template, "accounts/reset_password");
    token_in(&mail)
}

pub(crate) fn reset(node: &Node, token: &str, password: &str) -> Request {
    node.post("/api/v1/auth/password/reset/confirm").json(&json!({ "token": token, "password": password }))
}

/// A request that accepts an invitation in token mode; `more` adds members to the body.
pub(crate) fn accept(node: &Node, token: &str, more: Value) -> Request {
    let mut body = json!({ "token": token });
    body.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
    node.post("/api/v1/auth/invitations/accept").header("X-Session-Mode", "token").json(&body)
}

/// The token of the line that `serve` prints while there is no owner.
pub(crate) async fn owner_token(app: &TestApp) -> String {
    let lines = app.kernel().notices().await.unwrap_or_else(|error| panic!("no notices: {error:?}"));
    let line = lines.first().unwrap_or_else(|| panic!("no owner is offered"));
    line.rsplit(' ').next().unwrap_or_default().to_owned()
}

pub(crate) fn make_owner(node: &Node, token: &str, email: &str) -> Request {
    let body = json!({ "token": token, "email": email, "password": PASSWORD });
    node.post("/api/v1/auth/owner").header("X-Session-Mode", "token").json(&body)
}

/// Runs a verb of the command line, such as `["user", "disable", ADA]`.
pub(crate) async fn command(node: &Node, words: &[&str]) -> kernel::Result<()> {
    let verbs = node.kernel().plan().verbs();
    let verb = verbs.iter().find(|verb| verb.name() == words[0]).unwrap_or_else(|| panic!("no verb {}", words[0]));
    let matches = verb.shape().try_get_matches_from(words).unwrap_or_else(|error| panic!("{error}"));
    verb.run(Ctx::system(node.kernel(), "command"), matches).await
}

/// Sends all at once.
pub(crate) async fn at_once(requests: impl IntoIterator<Item = Request>) -> Vec<TestResponse> {
    join_all(requests.into_iter().map(IntoFuture::into_future)).await
}

/// How many answers have this status.
pub(crate) fn count(answers: &[TestResponse], status: u16) -> usize {
    answers.iter().filter(|answer| answer.status.as_u16() == status).count()
}

/// The names of the events after the first `known`.
pub(crate) async fn events_after(app: &TestApp, known: usize) -> Vec<String> {
    app.event_names().await.split_off(known)
}

/// How many events there are.
pub(crate) async fn event_count(app: &TestApp) -> usize {
    app.event_names().await.len()
}

/// The mails of this template to this address.
pub(crate) async fn mails_of(app: &TestApp, template: &str, to: &str) -> Vec<Mail> {
    app.mails().await.into_iter().filter(|mail| mail.template == template && mail.to == to).collect()
}

/// How many rows a table has.
pub(crate) async fn rows(app: &TestApp, table: &'static str) -> i64 {
    let counted = app.kernel().db().read(move |c| {
        let row = c.opt::<i64>(format!("SELECT COUNT(*) FROM {table}"), db::params![])?;
        Ok::<_, db::Error>(row.unwrap_or(0))
    });
    counted.await.unwrap_or_else(|error| panic!("cannot count {table}: {error}"))
}

/// What a stranger may learn from an answer: its status, its headers, its body.
pub(crate) type Seen = (u16, Vec<String>, Vec<u8>);

/// Sends a request, with one request id for all, and looks at the answer as a stranger would.
pub(crate) async fn seen(request: Request) -> Seen {
    let answer = request.header("X-Request-Id", "the-same-for-everybody").await;
    let mut names: Vec<String> = answer.headers.keys().map(ToString::to_string).collect();
    names.sort_unstable();
    for name in ["retry-after", "cache-control", "content-type", "set-cookie", "www-authenticate", "clear-site-data"] {
        names.push(format!("{name}: {}", answer.header(name)));
    }
    (answer.status.as_u16(), names, answer.bytes)
}

/// The members of a JSON object, sorted.
pub(crate) fn members(body: &Value) -> Vec<String> {
    let mut names: Vec<String> = body.as_object().expect("an object").keys().cloned().collect();
    names.sort_unstable();
    names
}
