//! How long a login lasts, who sees it, what ends it (SES-3, SES-4, SES-5, SES-10).

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use testkit::PASSWORD;

use crate::support::*;

#[tokio::test]
async fn ses3_an_unused_session_ends_after_seven_days() {
    let app = app().await;
    app.member(ADA).await;
    let login = log_in_browser(&app, ADA, PASSWORD).await.expect(200);
    assert_eq!(login["session"]["expires_at"], (app.now() + 7 * DAY).to_string());
    let browser = Browser::of(&login);
    app.advance(7 * DAY - SECOND);
    browser.asks(app.get("/api/v1/me")).await.expect(200);
    app.advance(7 * DAY - SECOND);
    browser.asks(app.get("/api/v1/me")).await.expect(200);
    app.advance(7 * DAY);
    browser.asks(app.get("/api/v1/me")).await.expect(401).problem("unauthenticated");
    app.run_jobs().await;
}

#[tokio::test]
async fn ses3_a_used_session_ends_after_thirty_days() {
    let app = app().await;
    app.member(ADA).await;
    let browser = browser(&app, ADA).await;
    for _ in 0..29 {
        app.advance(DAY);
        browser.asks(app.get("/api/v1/me")).await.expect(200);
    }
    app.advance(DAY - SECOND);
    browser.asks(app.get("/api/v1/me")).await.expect(200);
    app.advance(SECOND);
    browser.asks(app.get("/api/v1/me")).await.expect(401).problem("unauthenticated");
    app.run_jobs().await;
}

#[tokio::test]
async fn ses3_the_times_are_settings() {
    let app = app_with(&[("accounts.sessions.idle", "10m"), ("accounts.sessions.absolute", "25m")]).await;
    app.member(ADA).await;
    let (idle, busy) = (browser(&app, ADA).await, browser(&app, ADA).await);
    for _ in 0..4 {
        app.advance(6 * MINUTE);
        busy.asks(app.get("/api/v1/me")).await.expect(200);
    }
    idle.asks(app.get("/api/v1/me")).await.expect(401);
    app.advance(MINUTE);
    busy.asks(app.get("/api/v1/me")).await.expect(401);
}

#[tokio::test]
async fn ses4_logging_out_ends_cookie_access_and_refresh_token_at_once() {
    let app = app().await;
    let ada = client(&app, ADA).await;
    let browser = browser(&app, ADA).await;
    for _ in 0..2 {
        app.get("/api/v1/me").bearer(&ada.access).await.expect(200);
        browser.asks(app.get("/api/v1/me")).await.expect(200);
    }
    let out = app.post("/api/v1/auth/logout").bearer(&ada.access).await.expect(204);
    assert_eq!(out.header("clear-site-data"), "\"cache\", \"storage\"");
    app.get("/api/v1/me").bearer(&ada.access).await.expect(401).problem("unauthenticated");
    refresh(&app, &ada.refresh).await.expect(401).problem("refresh_token_invalid");
    browser.asks(app.post("/api/v1/auth/logout")).await.expect(204);
    browser.asks(app.get("/api/v1/me")).await.expect(401).problem("unauthenticated");
    browser.asks(app.post("/api/v1/auth/logout")).await.expect(401);
}

#[tokio::test]
async fn ses4_on_another_node_a_logout_counts_within_five_seconds() {
    let app = app().await;
    let ada = client(&app, ADA).await;
    let browser = browser(&app, ADA).await;
    let twin = app.twin().await;
    twin.kernel().start_background();
    browser.asks(twin.get("/api/v1/me")).await.expect(200);
    twin.get("/api/v1/me").bearer(&ada.access).await.expect(200);
    browser.asks(app.post("/api/v1/auth/logout")).await.expect(204);
    app.post("/api/v1/auth/logout").bearer(&ada.access).await.expect(204);
    let started = Instant::now();
    while browser.asks(twin.get("/api/v1/me")).await.status == 200 || twin.get("/api/v1/me").bearer(&ada.access).await.status == 200 {
        assert!(started.elapsed() < Duration::from_secs(5), "the other node still lets them in");
    }
    refresh(&twin, &ada.refresh).await.expect(401);
    twin.kernel().announce_stop();
    app.run_jobs().await;
}

#[tokio::test]
async fn ses5_the_list_shows_where_one_is_logged_in() {
    let app = app().await;
    app.member(ADA).await;
    app.advance(HOUR);
    let login = log_in_browser(&app, ADA, PASSWORD).header("User-Agent", "Analytical Engine/1.0").await.expect(200);
    let browser = Browser::of(&login);
    let list = browser.asks(app.get("/api/v1/me/sessions")).await.expect(200);
    let items = list["items"].as_array().unwrap();
    assert_eq!(items.len(), 2);
    assert_eq!(items[0], login["session"]);
    let [first, second] = [&items[0], &items[1]];
    assert_eq!(
        (&first["user_agent"], &first["ip"], &first["kind"]),
        (&json!("Analytical Engine/1.0"), &json!("127.0.0.1"), &json!("browser"))
    );
    assert_eq!((&first["methods"], &first["is_current"], &second["is_current"]), (&json!(["password"]), &json!(true), &json!(false)));
    assert_eq!((&second["methods"], &second["kind"]), (&json!(["signup"]), &json!("token")));
    assert_eq!(members(first), members(second));
}

#[tokio::test]
async fn ses5_a_long_list_comes_in_pages_and_a_cursor_belongs_to_its_person() {
    let app = app().await;
    let (ada, bob) = (client(&app, ADA).await, client(&app, BOB).await);
    for _ in 0..5 {
        app.advance(SECOND);
        another_client(&app, ADA).await;
    }
    let mut ids: Vec<Value> = Vec::new();
    let mut cursor: Option<String> = None;
    loop {
        let page = app.get("/api/v1/me/sessions").bearer(&ada.access).query("limit", 3);
        let page = match &cursor {
            Some(cursor) => page.query("cursor", cursor).await.expect(200),
            None => page.await.expect(200),
        };
        ids.extend(page["items"].as_array().unwrap().iter().map(|item| item["id"].clone()));
        let Some(next) = page["next_cursor"].as_str() else { break };
        app.get("/api/v1/me/sessions").bearer(&bob.access).query("cursor", next).await.expect(400).problem("cursor_invalid");
        cursor = Some(next.to_owned());
    }
    let count = ids.len();
    ids.dedup();
    assert_eq!((count, ids.len()), (7, 7));
}

#[tokio::test]
async fn ses5_one_login_is_ended_by_its_id() {
    let app = app().await;
    let (ada, browser) = (client(&app, ADA).await, browser(&app, ADA).await);
    let known = event_count(&app).await;
    browser.asks(app.delete(&format!("/api/v1/me/sessions/{}", ada.session_id))).await.expect(204);
    app.get("/api/v1/me").bearer(&ada.access).await.expect(401);
    refresh(&app, &ada.refresh).await.expect(401);
    browser.asks(app.delete(&format!("/api/v1/me/sessions/{}", ada.session_id))).await.expect(404);
    browser.asks(app.delete(&format!("/api/v1/me/sessions/{}", browser.session_id))).await.expect(204);
    browser.asks(app.get("/api/v1/me")).await.expect(401);
    assert_eq!(events_after(&app, known).await, ["accounts.session.revoked", "accounts.session.revoked"]);
}

#[tokio::test]
async fn ses5_all_other_logins_or_all_are_ended_together() {
    let app = app().await;
    let (ada, browser) = (client(&app, ADA).await, browser(&app, ADA).await);
    let bob = client(&app, BOB).await;
    let revoke =
        |body: Value| app.post("/api/v1/me/sessions/actions/revoke").header("Cookie", &browser.cookie).header("X-CSRF", "1").json(&body);
    // Two clients: the one that signed up, and the one that logged in.
    assert_eq!(revoke(json!({ "except_current": true })).await.expect(200)["revoked_count"], 2);
    app.get("/api/v1/me").bearer(&ada.access).await.expect(401);
    refresh(&app, &ada.refresh).await.expect(401);
    browser.asks(app.get("/api/v1/me")).await.expect(200);
    assert_eq!(revoke(json!({ "except_current": true })).await.expect(200)["revoked_count"], 0);
    assert_eq!(revoke(json!({})).await.expect(200)["revoked_count"], 1);
    browser.asks(app.get("/api/v1/me")).await.expect(401);
    app.get("/api/v1/me").bearer(&bob.access).await.expect(200);
}

#[tokio::test]
async fn the_hundred_and_first_login_ends_the_oldest() {
    let app = app().await;
    let first = client(&app, ADA).await;
    let mut newest = first.clone();
    for _ in 0..99 {
        app.advance(SECOND);
        newest = another_client(&app, ADA).await;
    }
    // With the one that signed up there were 101.
    assert_eq!(app.get("/api/v1/me").bearer(&first.access).await.status, 200);
    app.advance(SECOND);
    another_client(&app, ADA).await;
    app.get("/api/v1/me").bearer(&first.access).await.expect(401);
    app.get("/api/v1/me").bearer(&newest.access).await.expect(200);
}

#[tokio::test]
async fn ses10_a_password_change_needs_a_recent_login() {
    let app = app().await;
    let ada = client(&app, ADA).await;
    app.advance(10 * MINUTE + SECOND);
    let pair = refresh(&app, &ada.refresh).await.expect(200);
    let access = pair.text("/access_token");
    let body = json!({ "current_password": PASSWORD, "new_password": OTHER });
    let refused = app.put("/api/v1/me/password").bearer(&access).json(&body).await.expect(403).problem("reauthentication_required");
    assert_eq!(refused["methods"], json!(["password"]));
    app.post("/api/v1/auth/reauthenticate").bearer(&access).json(&json!({ "password": WRONG })).await.expect(422);
    app.put("/api/v1/me/password").bearer(&access).json(&body).await.expect(403);
    let known = event_count(&app).await;
    app.post("/api/v1/auth/reauthenticate").bearer(&access).json(&json!({ "password": PASSWORD })).await.expect(200);
    assert_eq!(events_after(&app, known).await, ["accounts.session.renewed"]);
    app.put("/api/v1/me/password").bearer(&access).json(&body).await.expect(204);
    app.run_jobs().await;
}

#[tokio::test]
async fn ses10_a_session_of_another_device_does_not_become_recent() {
    let app = app().await;
    let (ada, browser) = (client(&app, ADA).await, browser(&app, ADA).await);
    app.advance(10 * MINUTE + SECOND);
    let access = refresh(&app, &ada.refresh).await.expect(200).text("/access_token");
    app.post("/api/v1/auth/reauthenticate").bearer(&access).json(&json!({ "password": PASSWORD })).await.expect(200);
    let body = json!({ "current_password": PASSWORD, "new_password": OTHER });
    browser.asks(app.put("/api/v1/me/password")).json(&body).await.expect(403).problem("reauthentication_required");
}
