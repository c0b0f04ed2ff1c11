//! The admin grant of a login: what administrative permissions need beside the permission (SES-3).

use serde_json::json;
use testkit::{PASSWORD, Request, TestApp};

use crate::support::*;

const OWNER: &str = "owner@example.com";

/// Something that needs an administrative permission.
fn administer(app: &TestApp) -> Request {
    app.get("/api/v1/messages")
}

fn reauthenticate(app: &TestApp) -> Request {
    app.post("/api/v1/auth/reauthenticate").json(&json!({ "password": PASSWORD }))
}

#[tokio::test]
async fn ses3_a_login_brings_an_admin_grant_that_lapses_unused_while_the_login_lives_on() {
    let app = app().await;
    app.owner().await;
    let browser = browser(&app, OWNER).await;
    app.advance(30 * MINUTE - SECOND);
    browser.asks(administer(&app)).await.expect(200);
    app.advance(30 * MINUTE - SECOND);
    browser.asks(administer(&app)).await.expect(200);
    app.advance(30 * MINUTE);
    let refused = browser.asks(administer(&app)).await.expect(403).problem("reauthentication_required");
    assert_eq!(refused["methods"], json!(["password"]));
    browser.asks(app.get("/api/v1/me")).await.expect(200);
    // Being refused is no use: it wakes nothing.
    browser.asks(administer(&app)).await.expect(403);
}

#[tokio::test]
async fn ses3_ordinary_use_does_not_keep_an_admin_grant_awake() {
    let app = app().await;
    app.owner().await;
    let browser = browser(&app, OWNER).await;
    for _ in 0..3 {
        app.advance(10 * MINUTE);
        browser.asks(app.get("/api/v1/me")).await.expect(200);
    }
    browser.asks(administer(&app)).await.expect(403).problem("reauthentication_required");
}

#[tokio::test]
async fn ses3_a_grant_that_is_used_ends_after_twelve_hours_and_reauthentication_brings_another() {
    let app = app().await;
    app.owner().await;
    let client = Client::of(&log_in(&app, OWNER, PASSWORD).await.expect(200));
    let mut pair = (client.access, client.refresh);
    for _ in 0..71 {
        app.advance(10 * MINUTE);
        let next = refresh(&app, &pair.1).await.expect(200);
        pair = (next.text("/access_token"), next.text("/refresh_token"));
        administer(&app).bearer(&pair.0).await.expect(200);
    }
    app.advance(10 * MINUTE - SECOND);
    let next = refresh(&app, &pair.1).await.expect(200);
    let access = next.text("/access_token");
    administer(&app).bearer(&access).await.expect(200);
    app.advance(SECOND);
    administer(&app).bearer(&access).await.expect(403).problem("reauthentication_required");
    reauthenticate(&app).bearer(&access).await.expect(200);
    administer(&app).bearer(&access).await.expect(200);
}

#[tokio::test]
async fn ses3_the_times_of_a_grant_are_settings() {
    let app = app_with(&[("accounts.sessions.admin_idle", "5m"), ("accounts.sessions.admin_absolute", "8m")]).await;
    app.owner().await;
    let (idle, busy) = (browser(&app, OWNER).await, browser(&app, OWNER).await);
    app.advance(4 * MINUTE);
    busy.asks(administer(&app)).await.expect(200);
    app.advance(MINUTE);
    idle.asks(administer(&app)).await.expect(403);
    app.advance(3 * MINUTE - SECOND);
    busy.asks(administer(&app)).await.expect(200);
    app.advance(SECOND);
    busy.asks(administer(&app)).await.expect(403);
}

#[tokio::test]
async fn ses3_a_grant_is_no_permission() {
    let app = app().await;
    let ada = client(&app, ADA).await;
    administer(&app).bearer(&ada.access).await.expect(403).problem("forbidden");
}

#[tokio::test]
async fn ses3_a_use_on_one_node_keeps_the_grant_awake_on_the_other() {
    let app = app().await;
    app.owner().await;
    let browser = browser(&app, OWNER).await;
    let twin = app.twin().await;
    app.advance(30 * MINUTE - 10 * SECOND);
    browser.asks(twin.get("/api/v1/me")).await.expect(200);
    browser.asks(administer(&app)).await.expect(200);
    app.advance(20 * SECOND);
    browser.asks(twin.get("/api/v1/messages")).await.expect(200);
}

#[tokio::test]
async fn ses2_a_remembered_cookie_stays_remembered_when_it_is_replaced() {
    let app = app().await;
    app.member(ADA).await;
    let login = |remember| {
        let body = json!({ "identifier": ADA, "password": PASSWORD, "remember": remember });
        app.post("/api/v1/auth/login").header("X-CSRF", "1").json(&body)
    };
    let remembered = Browser::of(&login(true).await.expect(200));
    let forgotten = Browser::of(&login(false).await.expect(200));
    app.advance(5 * MINUTE);
    let lasts =
        |answer: &testkit::TestResponse| answer.header("set-cookie").rsplit("Max-Age=").next().and_then(|secs| secs.parse::<u64>().ok());
    let again = remembered.asks(reauthenticate(&app)).await.expect(200);
    assert_eq!(lasts(&again), Some((30 * DAY - 5 * MINUTE).as_secs()));
    assert_eq!(lasts(&forgotten.asks(reauthenticate(&app)).await.expect(200)), None);
    let change = json!({ "current_password": PASSWORD, "new_password": OTHER });
    let browser = Browser::of_cookie(&again, &remembered);
    let changed = browser.asks(app.put("/api/v1/me/password")).json(&change).await.expect(204);
    assert_eq!(lasts(&changed), Some((30 * DAY - 5 * MINUTE).as_secs()));
    app.run_jobs().await;
}
