//! The first owner: one-time, by whoever sees the console, and gone after use (LOG-7, SGN-8).

use serde_json::json;
use testkit::PASSWORD;

use crate::support::*;

#[tokio::test]
async fn log7_the_token_of_the_console_makes_the_owner_once() {
    let app = app().await;
    let token = owner_token(&app).await;
    let known = event_count(&app).await;
    let made = make_owner(&app, &token, "owner@example.com").await.expect(201);
    assert_eq!((&made["user"]["roles"], &made["session"]["methods"]), (&json!(["member", "owner"]), &json!(["owner_link"])));
    make_owner(&app, &token, "second@example.com").await.expect(404).problem("not_found");
    make_owner(&app, &"A".repeat(43), "second@example.com").await.expect(404).problem("not_found");
    assert!(app.kernel().notices().await.unwrap().is_empty());
    log_in(&app, "owner@example.com", PASSWORD).await.expect(200);
    let expected = [
        "accounts.role.assigned",
        "accounts.user.created",
        "accounts.role.assigned",
        "accounts.session.started",
        "accounts.session.started",
    ];
    assert_eq!(events_after(&app, known).await, expected);
    assert!(app.audit().await.iter().any(|(action, ..)| action == "accounts.owner.offer"));
    assert!(app.audit().await.iter().any(|(action, ..)| action == "accounts.user.create"));
}

#[tokio::test]
async fn log7_a_browser_becomes_owner_with_a_cookie() {
    let app = app().await;
    let body = json!({ "token": owner_token(&app).await, "email": "owner@example.com", "password": PASSWORD });
    app.post("/api/v1/auth/owner").json(&body).await.expect(403).problem("csrf_failed");
    let made = app.post("/api/v1/auth/owner").header("X-CSRF", "1").json(&body).await.expect(201);
    Browser::of(&made).asks(app.get("/api/v1/me")).await.expect(200);
}

#[tokio::test]
async fn log7_without_the_token_nobody_becomes_owner() {
    let app = app().await;
    for token in ["x", &"A".repeat(43), &"A".repeat(256)] {
        make_owner(&app, token, "owner@example.com").await.expect(400).problem("token_invalid");
    }
    make_owner(&app, "", "owner@example.com").await.expect(422);
    assert_eq!(rows(&app, "accounts_users").await, 0);
}

#[tokio::test]
async fn rst4_a_newer_offer_voids_the_older() {
    let app = app().await;
    let first = owner_token(&app).await;
    let second = owner_token(&app).await;
    make_owner(&app, &first, "owner@example.com").await.expect(410).problem("token_spent");
    command(&app, &["owner", "create"]).await.unwrap();
    make_owner(&app, &second, "owner@example.com").await.expect(410).problem("token_spent");
    let third = owner_token(&app).await;
    make_owner(&app, &third, "owner@example.com").await.expect(201);
    command(&app, &["owner", "create"]).await.unwrap();
}

#[tokio::test]
async fn the_console_link_lives_for_a_day() {
    let app = app().await;
    let token = owner_token(&app).await;
    app.advance(DAY);
    make_owner(&app, &token, "owner@example.com").await.expect(410).problem("token_spent");
}

#[tokio::test]
async fn somebody_with_an_account_is_not_made_owner_by_the_link() {
    let app = app().await;
    app.member(ADA).await;
    let token = owner_token(&app).await;
    make_owner(&app, &token, "ADA@example.com").await.expect(400).problem("token_invalid");
    assert_eq!(app.get("/api/v1/me").by(&app.log_in(ADA, PASSWORD).await).await["roles"], json!(["member"]));
    // The refusal used nothing up.
    make_owner(&app, &token, "owner@example.com").await.expect(201);
}
