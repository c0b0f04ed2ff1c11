//! Whole ways through accounts, as people walk them.

use serde_json::json;
use testkit::{PASSWORD, Person};

use crate::support::*;

#[tokio::test]
async fn somebody_signs_up_by_link_and_handle() {
    let app = app().await;
    let known = event_count(&app).await;
    let begun = app.post("/api/v1/auth/signup").header("X-CSRF", "1").json(&json!({ "email": ADA })).await.expect(202);
    assert_eq!(begun.text("/signup_token").len(), 43);
    assert_eq!(begun.text("/expires_at"), (app.now() + DAY).to_string());
    assert_eq!(begun.header("set-cookie"), "");
    let mail = app.last_mail_to(ADA).await;
    assert!(mail.text.contains("http://undercroft.test/account/complete#"), "{}", mail.text);
    let body = json!({ "token": testkit::token_in(&mail), "signup_token": begun.text("/signup_token"), "display_name": "Ada", "password": PASSWORD });
    let done = complete(&app, &body).await.expect(201);
    assert_eq!(
        (&done["user"]["email"], &done["user"]["display_name"], &done["user"]["username"]),
        (&json!(ADA), &json!("Ada"), &json!(null))
    );
    assert_eq!((&done["user"]["roles"], &done["user"]["status"], &done["challenge"]), (&json!(["member"]), &json!("active"), &json!(null)));
    let me = app.get("/api/v1/me").bearer(&done.text("/tokens/access_token")).await.expect(200);
    assert_eq!(me.body, done["user"]);
    log_in(&app, ADA, PASSWORD).await.expect(200);
    let expected = [
        "accounts.signup.started",
        "accounts.role.assigned",
        "accounts.user.created",
        "accounts.session.started",
        "accounts.session.started",
    ];
    assert_eq!(events_after(&app, known).await, expected);
}

#[tokio::test]
async fn somebody_signs_up_by_link_and_password_from_another_device() {
    let app = app().await;
    let waiting = pending(&app, json!({ "email": ADA, "password": PASSWORD })).await;
    let done = complete(&app, &json!({ "token": waiting.token, "password": PASSWORD, "username": "Ada_L" })).await.expect(201);
    assert_eq!((&done["user"]["username"], &done["user"]["display_name"]), (&json!("Ada_L"), &json!("ada")));
    log_in(&app, "ADA_l", PASSWORD).await.expect(200);
    log_in(&app, "Ada@Example.COM", PASSWORD).await.expect(200);
}

#[tokio::test]
async fn somebody_signs_up_by_code_typed_where_it_began() {
    let app = app().await;
    let waiting = pending(&app, json!({ "email": ADA, "password": PASSWORD })).await;
    let typed = format!("{} {}", waiting.code[..4].to_lowercase(), &waiting.code[4..]);
    let done = complete(&app, &json!({ "code": typed, "signup_token": waiting.handle })).await.expect(201);
    assert_eq!(done["session"]["methods"], json!(["signup"]));
    log_in(&app, ADA, PASSWORD).await.expect(200);
}

#[tokio::test]
async fn somebody_without_a_password_is_logged_in_but_cannot_log_in_again_before_a_reset() {
    let app = app().await;
    let waiting = pending_of(&app, ADA).await;
    let done = complete(&app, &json!({ "token": waiting.token, "signup_token": waiting.handle })).await.expect(201);
    app.get("/api/v1/me").by(&Person::of(&done, ADA)).await.expect(200);
    log_in(&app, ADA, PASSWORD).await.problem("invalid_credentials");
    let token = reset_token(&app, ADA).await;
    reset(&app, &token, PASSWORD).await.expect(204);
    log_in(&app, ADA, PASSWORD).await.expect(200);
    app.run_jobs().await;
}

#[tokio::test]
async fn a_german_gets_german_mail() {
    let app = app().await;
    let body = json!({ "email": ADA, "locale": "de", "password": PASSWORD });
    let waiting = pending(&app, body).await;
    let subject = app.last_mail_to(ADA).await.subject;
    let done = complete(&app, &json!({ "token": waiting.token, "signup_token": waiting.handle })).await.expect(201);
    assert_eq!(done["user"]["locale"], "de");
    pending_of(&app, BOB).await;
    assert_ne!(app.last_mail_to(BOB).await.subject, subject);
    let mail = {
        reset_token(&app, ADA).await;
        app.last_mail_to(ADA).await
    };
    assert!(mail.text.contains("Passwort"), "{}", mail.text);
}

#[tokio::test]
async fn a_life_in_a_browser() {
    let app = app().await;
    app.member(ADA).await;
    let known = event_count(&app).await;
    let login = log_in_browser(&app, ADA, PASSWORD).await.expect(200);
    assert_eq!(
        (&login["tokens"], &login["session"]["kind"], &login["session"]["is_current"]),
        (&json!(null), &json!("browser"), &json!(true))
    );
    let mut browser = Browser::of(&login);
    browser.asks(app.patch("/api/v1/me")).json(&json!({ "display_name": "Countess" })).await.expect(200);
    app.advance(11 * MINUTE);
    let change = json!({ "current_password": PASSWORD, "new_password": OTHER });
    browser.asks(app.put("/api/v1/me/password")).json(&change).await.problem("reauthentication_required");
    let again = browser.asks(app.post("/api/v1/auth/reauthenticate")).json(&json!({ "password": PASSWORD })).await.expect(200);
    assert_eq!((again.text("/auth_time"), &again["methods"]), (app.now().to_string(), &json!(["password"])));
    browser.cookie = cookie_in(&again);
    let changed = browser.asks(app.put("/api/v1/me/password")).json(&change).await.expect(204);
    browser.cookie = cookie_in(&changed);
    let gone = browser.asks(app.post("/api/v1/auth/logout")).await.expect(204);
    assert_eq!(gone.header("clear-site-data"), "\"cache\", \"storage\"");
    assert_eq!(gone.header("set-cookie"), "sid=; Path=/; HttpOnly; SameSite=Lax; Max-Age=0");
    browser.asks(app.get("/api/v1/me")).await.problem("unauthenticated");
    log_in(&app, ADA, PASSWORD).await.problem("invalid_credentials");
    log_in(&app, ADA, OTHER).await.expect(200);
    let expected = [
        "accounts.session.started",
        "accounts.user.updated",
        "accounts.session.renewed",
        "accounts.password.changed",
        // The client that signed up.
        "accounts.session.revoked",
        "accounts.session.renewed",
        "accounts.session.revoked",
        "accounts.session.started",
    ];
    assert_eq!(events_after(&app, known).await, expected);
    assert_eq!(mails_of(&app, "accounts/password_changed", ADA).await.len(), 1);
}

#[tokio::test]
async fn a_forgotten_password_is_replaced_by_a_mailed_link() {
    let app = app().await;
    let ada = client(&app, ADA).await;
    let known = event_count(&app).await;
    let token = reset_token(&app, ADA).await;
    let done = reset(&app, &token, OTHER).await.expect(204);
    assert_eq!((done.header("set-cookie"), done.bytes.len()), ("", 0));
    app.get("/api/v1/me").bearer(&ada.access).await.problem("unauthenticated");
    refresh(&app, &ada.refresh).await.problem("refresh_token_invalid");
    log_in(&app, ADA, PASSWORD).await.problem("invalid_credentials");
    log_in(&app, ADA, OTHER).await.expect(200);
    let expected =
        ["accounts.password.reset_requested", "accounts.password.changed", "accounts.session.revoked", "accounts.session.started"];
    assert_eq!(events_after(&app, known).await, expected);
    assert_eq!(app.last_mail_to(ADA).await.template, "accounts/password_changed");
}

#[tokio::test]
async fn a_client_lives_on_refresh_tokens_and_logs_out() {
    let app = app().await;
    let mut ada = client(&app, ADA).await;
    for _ in 0..5 {
        app.advance(11 * MINUTE);
        app.get("/api/v1/me").bearer(&ada.access).await.problem("token_expired");
        let pair = refresh(&app, &ada.refresh).await.expect(200);
        assert_eq!((&pair["token_type"], &pair["expires_in_seconds"]), (&json!("Bearer"), &json!(600)));
        (ada.access, ada.refresh) = (pair.text("/access_token"), pair.text("/refresh_token"));
        app.get("/api/v1/me").bearer(&ada.access).await.expect(200);
    }
    let known = event_count(&app).await;
    app.post("/api/v1/auth/logout").bearer(&ada.access).await.expect(204);
    app.get("/api/v1/me").bearer(&ada.access).await.problem("unauthenticated");
    refresh(&app, &ada.refresh).await.problem("refresh_token_invalid");
    assert_eq!(events_after(&app, known).await, ["accounts.session.revoked"]);
}

#[tokio::test]
async fn what_a_form_needs_to_know_is_public() {
    let app = app().await;
    let methods = app.get("/api/v1/auth/methods").await.expect(200);
    assert_eq!(methods.body, json!({ "methods": ["password"], "signup": "open", "password_min_length": 10, "password_max_length": 256 }));
}
