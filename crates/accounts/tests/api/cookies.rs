//! The session cookie: its exact attributes, who may choose it, what stores what (SES-1, SES-2, SES-8, SES-9).

use serde_json::{Value, json};
use testkit::{PASSWORD, Request, TestApp};

use crate::support::*;

const SECURE: (&str, &str) = ("public_url", "https://undercroft.test");

/// A `Set-Cookie` without the 43 characters of its token.
fn form(header: &str) -> String {
    let (name, rest) = header.split_once('=').unwrap_or_default();
    let (token, attributes) = rest.split_once(';').unwrap_or_default();
    assert_eq!(token.len(), 43, "{header}");
    format!("{name}=…;{attributes}")
}

async fn login_cookie(app: &TestApp, remember: bool) -> String {
    let body = json!({ "identifier": ADA, "password": PASSWORD, "remember": remember });
    let login = app.post("/api/v1/auth/login").header("X-CSRF", "1").json(&body).await.expect(200);
    cookie_in(&login);
    login.header("set-cookie").to_owned()
}

#[tokio::test]
async fn ses2_under_https_the_cookie_is_bound_to_the_host() {
    let app = app_with(&[SECURE]).await;
    app.member(ADA).await;
    assert_eq!(form(&login_cookie(&app, false).await), "__Host-sid=…; Path=/; Secure; HttpOnly; SameSite=Lax");
    assert_eq!(form(&login_cookie(&app, true).await), "__Host-sid=…; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age=2592000");
    let cookie = login_cookie(&app, false).await;
    let cookie = cookie.split(';').next().unwrap();
    let me = app.get("/api/v1/me").header("Cookie", cookie).await.expect(200);
    assert!(me.header("strict-transport-security").starts_with("max-age=31536000"));
    // Without the prefix, which only this host can have set, it is no session.
    let bare = cookie.replace("__Host-", "");
    app.get("/api/v1/me").header("Cookie", &bare).await.expect(401);
    let out = app.post("/api/v1/auth/logout").header("Cookie", cookie).header("X-CSRF", "1").await.expect(204);
    assert_eq!(out.header("set-cookie"), "__Host-sid=; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age=0");
}

#[tokio::test]
async fn ses2_on_a_developers_machine_the_cookie_is_plain() {
    let app = app().await;
    app.member(ADA).await;
    assert_eq!(form(&login_cookie(&app, false).await), "sid=…; Path=/; HttpOnly; SameSite=Lax");
    assert_eq!(form(&login_cookie(&app, true).await), "sid=…; Path=/; HttpOnly; SameSite=Lax; Max-Age=2592000");
}

#[tokio::test]
async fn ses2_every_answer_that_starts_or_renews_a_session_sets_the_same_form() {
    let app = app_with(&[SECURE]).await;
    let expected = "__Host-sid=…; Path=/; Secure; HttpOnly; SameSite=Lax";
    let body = json!({ "token": owner_token(&app).await, "email": "owner@example.com", "password": PASSWORD });
    let owner = app.post("/api/v1/auth/owner").header("X-CSRF", "1").json(&body).await.expect(201);
    let waiting = pending(&app, json!({ "email": ADA, "password": PASSWORD })).await;
    let body = json!({ "token": waiting.token, "signup_token": waiting.handle });
    let done = app.post("/api/v1/auth/signup/complete").header("X-CSRF", "1").json(&body).await.expect(201);
    let browser = Browser::of(&done);
    let again = browser.asks(app.post("/api/v1/auth/reauthenticate")).json(&json!({ "password": PASSWORD })).await.expect(200);
    let body = json!({ "current_password": PASSWORD, "new_password": OTHER });
    let changed = app.put("/api/v1/me/password").header("Cookie", &cookie_in(&again)).header("X-CSRF", "1").json(&body).await.expect(204);
    for answer in [owner, done, again, changed] {
        assert_eq!(form(answer.header("set-cookie")), expected);
    }
    app.run_jobs().await;
}

#[tokio::test]
async fn token_mode_sets_no_cookie() {
    let app = app().await;
    let ada = client(&app, ADA).await;
    let login = log_in(&app, ADA, PASSWORD).await.expect(200);
    assert_eq!(login.header("set-cookie"), "");
    let again = app.post("/api/v1/auth/reauthenticate").bearer(&ada.access).json(&json!({ "password": PASSWORD })).await.expect(200);
    assert_eq!(again.header("set-cookie"), "");
    app.post("/api/v1/auth/login")
        .header("X-Session-Mode", "other")
        .header("X-CSRF", "1")
        .json(&json!({ "identifier": ADA, "password": PASSWORD }))
        .await
        .expect(400)
        .problem("malformed_request");
}

#[tokio::test]
async fn ses1_a_session_id_that_the_client_chose_is_ignored() {
    let app = app().await;
    app.member(ADA).await;
    let chosen = format!("sid={}", "B".repeat(42) + "A");
    let login = log_in_browser(&app, ADA, PASSWORD).header("Cookie", &chosen).await.expect(200);
    assert_ne!(cookie_in(&login), chosen);
    app.get("/api/v1/me").header("Cookie", &chosen).await.expect(401);
    let again = log_in_browser(&app, ADA, PASSWORD).header("Cookie", &cookie_in(&login)).await.expect(200);
    assert_ne!(cookie_in(&again), cookie_in(&login));
    assert_ne!(again["session"]["id"], login["session"]["id"]);
}

#[tokio::test]
async fn ses1_the_old_cookie_is_dead_after_reauthentication_and_password_change() {
    let app = app().await;
    app.member(ADA).await;
    let first = browser(&app, ADA).await;
    first.asks(app.get("/api/v1/me")).await.expect(200);
    let again = first.asks(app.post("/api/v1/auth/reauthenticate")).json(&json!({ "password": PASSWORD })).await.expect(200);
    first.asks(app.get("/api/v1/me")).await.expect(401).problem("unauthenticated");
    let second = Browser { cookie: cookie_in(&again), ..first.clone() };
    second.asks(app.get("/api/v1/me")).await.expect(200);
    // Also once the session is remembered under its new cookie.
    first.asks(app.get("/api/v1/me")).await.expect(401).problem("unauthenticated");
    let body = json!({ "current_password": PASSWORD, "new_password": OTHER });
    let changed = second.asks(app.put("/api/v1/me/password")).json(&body).await.expect(204);
    second.asks(app.get("/api/v1/me")).await.expect(401).problem("unauthenticated");
    let sessions = app.get("/api/v1/me/sessions").header("Cookie", &cookie_in(&changed)).await.expect(200);
    assert_eq!(sessions["items"][0]["id"], json!(second.session_id));
    app.run_jobs().await;
}

#[tokio::test]
async fn ses8_a_credential_in_the_query_is_none() {
    let app = app().await;
    let ada = client(&app, ADA).await;
    let browser = browser(&app, ADA).await;
    let cookie = browser.cookie.trim_start_matches("sid=");
    for query in [
        format!("access_token={}", ada.access),
        format!("token={}", ada.access),
        format!("authorization=Bearer%20{}", ada.access),
        format!("sid={cookie}"),
        format!("session={cookie}"),
    ] {
        let answer = app.get(&format!("/api/v1/me?{query}")).await;
        assert!(matches!(answer.status.as_u16(), 401), "{answer}");
    }
}

#[tokio::test]
async fn ses8_two_credentials_are_one_too_many() {
    let app = app().await;
    let ada = client(&app, ADA).await;
    let browser = browser(&app, ADA).await;
    let both = |request: Request| request.bearer(&ada.access).header("Cookie", &browser.cookie);
    both(app.get("/api/v1/me")).await.expect(400).problem("ambiguous_credentials");
    both(app.get("/api/v1/auth/methods")).await.expect(400).problem("ambiguous_credentials");
    let twice = app.get("/api/v1/me").bearer(&ada.access).bearer(&ada.access);
    twice.await.expect(400).problem("ambiguous_credentials");
    let basic = app.get("/api/v1/me").header("Authorization", "Basic YWRhOnNlY3JldA==");
    assert_eq!(basic.await.expect(401).header("www-authenticate").split(' ').next(), Some("Bearer"));
}

#[tokio::test]
async fn ses9_nothing_about_a_person_is_stored_on_the_way() {
    let app = app().await;
    let ada = client(&app, ADA).await;
    let browser = browser(&app, ADA).await;
    let waiting = pending(&app, json!({ "email": BOB, "password": PASSWORD })).await;
    let answers = [
        app.post("/api/v1/auth/signup").header("X-CSRF", "1").json(&json!({ "email": BOB })).await,
        complete(&app, &json!({ "token": waiting.token, "signup_token": waiting.handle })).await,
        log_in_browser(&app, ADA, PASSWORD).await,
        log_in(&app, ADA, WRONG).await,
        log_in(&app, ADA, PASSWORD).await,
        refresh(&app, &ada.refresh).await,
        refresh(&app, "nonsense").await,
        app.get("/api/v1/auth/methods").await,
        ask_reset(&app, ADA).await,
        reset(&app, "nonsense", OTHER).await,
        app.get("/api/v1/me/sessions").bearer(&ada.access).await,
        app.get("/api/v1/me/permissions").bearer(&ada.access).await,
        browser.asks(app.get("/api/v1/me/sessions")).await,
        app.get("/api/v1/me").await,
        app.post("/api/v1/auth/reauthenticate").bearer(&ada.access).json(&json!({ "password": PASSWORD })).await,
        browser.asks(app.post("/api/v1/auth/logout")).await,
    ];
    for answer in answers {
        let is_anonymous_refusal = answer.status == 401 && answer.body["instance"] == "/api/v1/me";
        let cache = answer.header("cache-control");
        assert!(cache == "no-store" || (is_anonymous_refusal && cache.is_empty()), "{cache:?}: {answer}");
    }
    // SES-9: the profile is stored nowhere.
    let me = app.get("/api/v1/me").bearer(&another_client(&app, ADA).await.access).await.expect(200);
    assert_eq!(me.header("cache-control"), "no-store");
    app.run_jobs().await;
}

#[tokio::test]
async fn r62_auth_ignores_idempotency_keys() {
    let app = app().await;
    app.member(ADA).await;
    let login = || log_in(&app, ADA, PASSWORD).header("Idempotency-Key", "the-same-key-for-every-login");
    let (first, second) = (login().await.expect(200), login().await.expect(200));
    assert_ne!(first["tokens"]["refresh_token"], second["tokens"]["refresh_token"]);
    assert_eq!(second.headers.get("idempotency-replayed"), None);
    assert_eq!(rows(&app, "platform_idempotency").await, 0);
    assert_ne!(first["session"]["id"], Value::Null);
}
