//! What has ended is forgotten a week later, and nothing else is.

use serde_json::json;

use crate::support::*;

#[tokio::test]
async fn ended_sign_ups_tokens_and_sessions_are_forgotten_after_a_week() {
    let app = app().await;
    let ada = client(&app, ADA).await;
    pending_of(&app, BOB).await;
    reset_token(&app, ADA).await;
    app.post("/api/v1/auth/logout").bearer(&ada.access).await.expect(204);
    log_in(&app, "nobody", WRONG).await.expect(401);
    app.run_jobs().await;
    let ended = ["accounts_pending_signups", "accounts_one_time_tokens", "accounts_throttles"];
    app.advance(7 * DAY);
    app.run_jobs().await;
    assert_eq!(rows(&app, "accounts_pending_signups").await, 2);
    assert_eq!(rows(&app, "accounts_sessions").await, 2);
    app.advance(DAY + HOUR);
    app.run_jobs().await;
    for table in ended {
        assert_eq!(rows(&app, table).await, 0, "{table}");
    }
    // Left is the client that signed up: its refresh token is good for two weeks.
    assert_eq!((rows(&app, "accounts_sessions").await, rows(&app, "accounts_refresh_tokens").await), (1, 1));
    assert_eq!((rows(&app, "accounts_users").await, rows(&app, "accounts_passwords").await), (1, 1));
    app.advance(40 * DAY);
    app.run_jobs().await;
    assert_eq!((rows(&app, "accounts_sessions").await, rows(&app, "accounts_refresh_tokens").await), (0, 0));
    log_in(&app, ADA, testkit::PASSWORD).await.expect(200);
}

#[tokio::test]
async fn a_living_session_survives_every_purge() {
    let app = app().await;
    app.member(ADA).await;
    let browser = browser(&app, ADA).await;
    for _ in 0..25 {
        app.advance(DAY);
        browser.asks(app.get("/api/v1/me")).await.expect(200);
        app.run_jobs().await;
    }
    browser.asks(app.patch("/api/v1/me")).json(&json!({ "locale": "de" })).await.expect(200);
}

#[tokio::test]
async fn a_refresh_chain_survives_every_purge() {
    let app = app().await;
    let mut token = client(&app, ADA).await.refresh;
    for _ in 0..25 {
        app.advance(DAY);
        token = refresh(&app, &token).await.expect(200).text("/refresh_token");
        app.run_jobs().await;
    }
}

#[tokio::test]
async fn used_up_links_keep_saying_so_for_a_week() {
    let app = app().await;
    app.member(ADA).await;
    let token = reset_token(&app, ADA).await;
    reset(&app, &token, OTHER).await.expect(204);
    app.run_jobs().await;
    app.advance(7 * DAY);
    app.run_jobs().await;
    reset(&app, &token, OTHER).await.expect(410).problem("token_spent");
    app.advance(DAY);
    app.run_jobs().await;
    reset(&app, &token, OTHER).await.expect(400).problem("token_invalid");
}
