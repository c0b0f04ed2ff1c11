//! The published ways to prepare somebody's account before its owner comes, replayed (SGN-1, SGN-4).
//!
//! Of the five classes, those that need social login or a change of address wait for these features.

use serde_json::json;
use testkit::{PASSWORD, TestApp, TestResponse};

use crate::support::*;

/// The victim signs up by herself, with her own password, and owns the account.
async fn victim_arrives(app: &TestApp) -> TestResponse {
    let waiting = pending(app, json!({ "email": ADA, "password": OTHER })).await;
    complete(app, &json!({ "token": waiting.token, "signup_token": waiting.handle })).await.expect(201)
}

#[tokio::test]
async fn sgn1_classic_merge_the_attackers_password_never_opens_the_victims_account() {
    let app = app().await;
    pending(&app, json!({ "email": ADA, "password": PASSWORD })).await;
    victim_arrives(&app).await;
    log_in(&app, ADA, PASSWORD).await.expect(401).problem("invalid_credentials");
    log_in(&app, ADA, OTHER).await.expect(200);
}

#[tokio::test]
async fn sgn1_unexpired_session_nothing_begun_before_the_proof_is_a_login() {
    let app = app().await;
    let attacker = pending(&app, json!({ "email": ADA, "password": PASSWORD })).await;
    for guess in [&attacker.handle, &"A".repeat(43)] {
        app.get("/api/v1/me").bearer(guess).await.expect(401).problem("unauthenticated");
        app.get("/api/v1/me").header("Cookie", &format!("sid={guess}")).await.expect(401).problem("unauthenticated");
        refresh(&app, guess).await.problem("refresh_token_invalid");
    }
    let login = victim_arrives(&app).await;
    let sessions = app.get("/api/v1/me/sessions").bearer(&login.text("/tokens/access_token")).await.expect(200);
    assert_eq!(sessions["items"].as_array().map(Vec::len), Some(1));
}

#[tokio::test]
async fn sgn1_trojan_identifier_the_attackers_pending_sign_up_ends_with_the_proof() {
    let app = app().await;
    let attacker = pending(&app, json!({ "email": ADA, "password": PASSWORD })).await;
    victim_arrives(&app).await;
    // Even with the mailed token of his own sign-up, which only the victim ever sees, there is nothing left to complete.
    for body in [
        json!({ "token": attacker.token, "signup_token": attacker.handle }),
        json!({ "token": attacker.token, "password": PASSWORD }),
        json!({ "code": attacker.code, "signup_token": attacker.handle, "username": "trojan" }),
    ] {
        complete(&app, &body).await.expect(410).problem("token_spent");
    }
    app.advance(MINUTE);
    let before = app.mails().await.len();
    app.post("/api/v1/auth/signup/resend").json(&json!({ "signup_token": attacker.handle })).await.expect(202);
    assert_eq!(app.mails().await.len(), before);
    log_in(&app, "trojan", PASSWORD).await.problem("invalid_credentials");
}

#[tokio::test]
async fn sgn1_a_victim_who_clicks_the_attackers_mail_creates_nothing() {
    let app = app().await;
    let attacker = pending(&app, json!({ "email": ADA, "password": PASSWORD })).await;
    complete(&app, &json!({ "token": attacker.token })).await.expect(400).problem("token_invalid");
    complete(&app, &json!({ "token": attacker.token, "password": OTHER })).await.expect(400).problem("token_invalid");
    assert_eq!(rows(&app, "accounts_users").await, 0);
}

#[tokio::test]
async fn sgn4_the_owner_link_proves_an_address_and_voids_what_waits_for_it() {
    let app = app().await;
    let attacker = pending(&app, json!({ "email": "owner@example.com", "password": OTHER })).await;
    app.owner().await;
    complete(&app, &json!({ "token": attacker.token, "signup_token": attacker.handle })).await.expect(410).problem("token_spent");
    log_in(&app, "owner@example.com", OTHER).await.problem("invalid_credentials");
    log_in(&app, "owner@example.com", PASSWORD).await.expect(200);
}

#[tokio::test]
async fn sgn4_a_sign_up_begun_for_an_address_with_an_owner_leads_nowhere() {
    let app = app().await;
    app.member(ADA).await;
    let begun = app.post("/api/v1/auth/signup").header("X-CSRF", "1").json(&json!({ "email": ADA, "password": OTHER })).await.expect(202);
    let handle = begun.text("/signup_token");
    app.advance(2 * MINUTE);
    app.post("/api/v1/auth/signup/resend").json(&json!({ "signup_token": handle })).await.expect(202);
    let templates: Vec<String> = app.mails().await.into_iter().map(|mail| mail.template).collect();
    // The first confirmation was her own; nothing that completes a sign-up was mailed since.
    assert_eq!(templates, ["accounts/confirm_signup", "accounts/already_have_account"]);
    complete(&app, &json!({ "code": "00000000", "signup_token": handle })).await.expect(400).problem("token_invalid");
    log_in(&app, ADA, OTHER).await.problem("invalid_credentials");
}
