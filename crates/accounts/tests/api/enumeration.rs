//! Nobody learns who has an account (ENU-1, ENU-3, ENU-4, ENU-5, ENU-8).

use serde_json::{Value, json};
use testkit::{PASSWORD, Request, TestApp, TestResponse};

use crate::support::*;

/// Ada, who has an account; Bob, who is disabled; Carl, who waits for his mail; Dora, who never set a password.
async fn town() -> TestApp {
    let app = app().await;
    app.member(ADA).await;
    app.member(BOB).await;
    command(&app, &["user", "disable", BOB]).await.unwrap_or_else(|error| panic!("{error:?}"));
    pending(&app, json!({ "email": "carl@example.com", "password": PASSWORD })).await;
    let dora = pending_of(&app, "dora@example.com").await;
    complete(&app, &json!({ "token": dora.token, "signup_token": dora.handle })).await.expect(201);
    app
}

#[tokio::test]
async fn enu1_every_failed_login_is_the_same_byte_for_byte() {
    let app = town().await;
    let try_to = |name: &str, password: &str| seen(log_in_browser(&app, name, password));
    let wrong = try_to(ADA, WRONG).await;
    assert_eq!(wrong.0, 401);
    assert!(String::from_utf8_lossy(&wrong.2).contains("invalid_credentials"));
    let unknown = ["nobody@example.com", "nobody-at-all", "", " ", "a@b", "x\r\ny", &"n".repeat(320)];
    for name in unknown.into_iter().filter(|name| !name.is_empty()) {
        assert_eq!(try_to(name, PASSWORD).await, wrong, "{name:?}");
    }
    assert_eq!(try_to(BOB, PASSWORD).await, wrong, "disabled");
    assert_eq!(try_to(BOB, WRONG).await, wrong, "disabled, wrong password");
    assert_eq!(try_to("carl@example.com", PASSWORD).await, wrong, "pending");
    assert_eq!(try_to("dora@example.com", PASSWORD).await, wrong, "without a password");
    assert_eq!(try_to(ADA, "").await, wrong, "empty password");
}

#[tokio::test]
async fn enu2_a_failed_login_costs_the_same_statements_for_every_name() {
    let app = town().await;
    let cost = async |name: &str| app.statements(log_in(&app, name, WRONG).send()).await.1;
    // The first failure of all makes the counter of the address.
    cost("somebody-else").await;
    let unknown = cost("nobody@example.com").await;
    for name in [ADA, BOB, "carl@example.com", "dora@example.com", "nobody-at-all"] {
        assert_eq!(cost(name).await, unknown, "{name}");
    }
    // Once failures are counted, too.
    let unknown = cost("nobody@example.com").await;
    for name in [ADA, BOB, "carl@example.com", "dora@example.com", "nobody-at-all"] {
        assert_eq!(cost(name).await, unknown, "{name}");
    }
}

#[tokio::test]
async fn enu5_the_nth_failure_is_throttled_alike_for_known_and_unknown_names() {
    let app = town().await;
    let mut all: Vec<Vec<Seen>> = Vec::new();
    for name in [ADA, BOB, "carl@example.com", "dora@example.com", "nobody@example.com", "nobody-at-all", "?"] {
        let mut run = Vec::new();
        for _ in 0..9 {
            run.push(seen(log_in_browser(&app, name, WRONG)).await);
        }
        all.push(run);
    }
    let statuses: Vec<u16> = all[0].iter().map(|answer| answer.0).collect();
    assert_eq!(statuses, [401, 401, 401, 401, 401, 429, 429, 429, 429]);
    assert!(all.iter().all(|run| *run == all[0]));
}

async fn begin(app: &TestApp, email: &str) -> TestResponse {
    app.post("/api/v1/auth/signup").header("X-CSRF", "1").json(&json!({ "email": email, "password": OTHER })).await
}

/// An answer without what differs by chance.
fn shape(answer: &TestResponse) -> (u16, Vec<String>, Vec<String>, usize) {
    let mut names: Vec<String> = answer.headers.keys().map(ToString::to_string).collect();
    names.sort_unstable();
    (answer.status.as_u16(), names, members(&answer.body), answer.bytes.len())
}

#[tokio::test]
async fn enu3_a_free_and_a_taken_address_begin_a_sign_up_alike() {
    let app = town().await;
    let free = begin(&app, "eve@example.com").await;
    assert_eq!(free.status, 202);
    for taken in [ADA, BOB, "carl@example.com", "dora@example.com", "ADA@example.com"] {
        let answer = begin(&app, taken).await;
        assert_eq!(shape(&answer), shape(&free), "{taken}");
        assert_eq!(answer["expires_at"], free["expires_at"]);
    }
    app.run_jobs().await;
}

#[tokio::test]
async fn enu3_the_handle_of_a_taken_address_behaves_like_that_of_a_free_one() {
    let app = town().await;
    let handles = [begin(&app, "eve@example.com").await.text("/signup_token"), begin(&app, ADA).await.text("/signup_token")];
    let step = async |body: &dyn Fn(&str) -> Request| {
        let (free, taken) = (seen(body(&handles[0])).await, seen(body(&handles[1])).await);
        assert_eq!(taken, free);
        free.0
    };
    let guess = |handle: &str| complete(&app, &json!({ "code": "00000000", "signup_token": handle }));
    let token = |handle: &str| complete(&app, &json!({ "token": "A".repeat(43), "signup_token": handle }));
    let resend = |handle: &str| app.post("/api/v1/auth/signup/resend").json(&json!({ "signup_token": handle }));
    let mut statuses = Vec::new();
    for _ in 0..7 {
        statuses.push(step(&guess).await);
    }
    statuses.push(step(&token).await);
    app.advance(2 * MINUTE);
    statuses.push(step(&resend).await);
    statuses.push(step(&guess).await);
    app.advance(DAY);
    statuses.push(step(&resend).await);
    statuses.push(step(&guess).await);
    assert!(statuses.iter().all(|status| matches!(status, 202 | 400 | 410)), "{statuses:?}");
    app.run_jobs().await;
}

#[tokio::test]
async fn enu3_the_owner_of_a_taken_address_gets_one_mail_in_ten_minutes() {
    let app = app().await;
    app.member(ADA).await;
    let told = async || mails_of(&app, "accounts/already_have_account", ADA).await.len();
    for _ in 0..5 {
        begin(&app, ADA).await.expect(202);
    }
    assert_eq!(told().await, 1);
    app.advance(10 * MINUTE - SECOND);
    begin(&app, ADA).await.expect(202);
    assert_eq!(told().await, 1);
    app.advance(SECOND);
    begin(&app, ADA).await.expect(202);
    assert_eq!(told().await, 2);
    let mail = app.last_mail_to(ADA).await;
    assert!(!mail.text.contains('#') && !mail.html.contains("login#"), "{mail:?}");
}

#[tokio::test]
async fn enu3_mail_is_queued_and_never_sent_in_the_request() {
    let app = app_with(&[("mail.transport", "smtp"), ("mail.smtp_url", "smtp://127.0.0.1:1")]).await;
    app.post("/api/v1/auth/signup").header("X-CSRF", "1").json(&json!({ "email": ADA })).await.expect(202);
    assert_eq!(app.jobs().await.len(), 1);
    app.forget_jobs().await;
}

#[tokio::test]
async fn enu4_asking_for_a_reset_tells_nothing() {
    let app = town().await;
    let unknown = seen(ask_reset(&app, "nobody@example.com")).await;
    assert_eq!(unknown.0, 202);
    for email in [ADA, BOB, "carl@example.com", "dora@example.com", ADA] {
        assert_eq!(seen(ask_reset(&app, email)).await, unknown, "{email}");
    }
    app.run_jobs().await;
}

#[tokio::test]
async fn enu4_asking_for_another_mail_tells_nothing() {
    let app = app().await;
    let waiting = pending_of(&app, ADA).await;
    app.advance(MINUTE);
    let resend = |handle: &str| seen(app.post("/api/v1/auth/signup/resend").json(&json!({ "signup_token": handle })));
    let unknown = resend(&"A".repeat(43)).await;
    assert_eq!(unknown.0, 202);
    for handle in [waiting.handle.as_str(), &waiting.handle, "nonsense", &waiting.token] {
        assert_eq!(resend(handle).await, unknown);
    }
    assert_eq!(app.mails().await.len(), 2);
}

/// A problem document without the path that it repeats.
fn without_path(answer: Seen) -> (u16, Vec<String>, Value) {
    let mut body: Value = serde_json::from_slice(&answer.2).unwrap_or_else(|error| panic!("{error}"));
    if let Some(members) = body.as_object_mut() {
        members.remove("instance");
    }
    (answer.0, answer.1, body)
}

#[tokio::test]
async fn enu8_another_persons_session_is_not_found_exactly_like_a_random_id() {
    let app = app().await;
    let (ada, bob) = (client(&app, ADA).await, client(&app, BOB).await);
    let random = "019ab0b2-8f00-7000-8000-00000000ffff";
    let delete = async |id: &str| without_path(seen(app.delete(&format!("/api/v1/me/sessions/{id}")).bearer(&ada.access)).await);
    let unknown = delete(random).await;
    assert_eq!(unknown.0, 404);
    for id in [bob.session_id.as_str(), &bob.user_id, &ada.user_id, "nonsense", "0"] {
        assert_eq!(delete(id).await, unknown, "{id}");
    }
    app.get("/api/v1/me").bearer(&bob.access).await.expect(200);
}
