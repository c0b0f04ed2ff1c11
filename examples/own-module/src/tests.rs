//! The example, tried: everybody may wish, and only whoever has the permission reads wishes.

use serde_json::json;
use testkit::TestApp;
use undercroft::accounts::Accounts;

use super::Wishes;

async fn app() -> TestApp {
    TestApp::builder().module(Accounts::for_tests()).module(Wishes).start().await
}

#[tokio::test]
async fn a_wish_is_kept_and_told() {
    let app = app().await;
    let made = app.post("/api/v1/wishes").json(&json!({"text": "A pony"})).await.expect(201);
    assert_eq!(app.events().await, [("wishes.wish.made".to_owned(), json!({"text": "A pony"}))]);
    let list = app.get("/api/v1/wishes").by(&app.owner().await).await.expect(200);
    assert_eq!(list["items"][0], made.body);
}

#[tokio::test]
async fn reading_needs_the_permission() {
    let app = app().await;
    app.get("/api/v1/wishes").await.problem("unauthenticated");
    app.get("/api/v1/wishes").by(&app.member("bob@example.com").await).await.problem("forbidden");
}

#[tokio::test]
async fn an_empty_wish_is_refused() {
    app().await.post("/api/v1/wishes").json(&json!({"text": ""})).await.problem("validation_failed").field("/text", "too_short");
}

#[test]
fn the_module_stays_short_enough_to_be_read_at_once() {
    assert!(include_str!("main.rs").lines().count() <= 80);
}
