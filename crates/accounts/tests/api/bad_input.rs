//! What bad input gets: the rows of accounts.md §12 and api-style.md §14 that other files do not ask.

use serde_json::json;
use testkit::PASSWORD;

use crate::support::*;

#[tokio::test]
async fn what_is_no_json_is_refused_at_every_door() {
    let app = app().await;
    let deep = "[".repeat(33) + &"]".repeat(33);
    let cases: [&[u8]; 7] = [
        b"",
        b"{",
        b"{\"email\":\"a@example.com\",}",
        b"{\"email\":1,\"email\":2}",
        b"{\"email\":\"\xff\"}",
        b"{\"email\":\"a\\u0000b\"}",
        deep.as_bytes(),
    ];
    for path in [
        "signup",
        "signup/resend",
        "signup/complete",
        "login",
        "token/refresh",
        "password/reset",
        "password/reset/confirm",
        "owner",
        "email/confirm",
        "email/undo",
        "invitations/accept",
        "invitations/decline",
    ] {
        for body in cases {
            let post = app.post(&format!("/api/v1/auth/{path}")).header("X-CSRF", "1").body("application/json", body);
            post.await.expect(400).problem("malformed_json");
        }
        let post = app.post(&format!("/api/v1/auth/{path}")).header("X-CSRF", "1").json(&json!({ "surprise": 1 }));
        post.await.expect(422).problem("validation_failed").field("/surprise", "unknown_field");
    }
}

#[tokio::test]
async fn r52_everything_wrong_with_a_request_is_said_at_once() {
    let app = app().await;
    let body = json!({ "identifier": 7, "remember": "yes", "surprise": null });
    let refused = app.post("/api/v1/auth/login").header("X-CSRF", "1").json(&body).await.expect(422);
    let refused = refused.field("/identifier", "wrong_type").field("/remember", "wrong_type").field("/surprise", "unknown_field");
    refused.field("/password", "required");
}

#[tokio::test]
async fn a_login_with_a_megabyte_of_password_is_refused_without_hashing() {
    let app = app().await;
    app.member(ADA).await;
    for name in [ADA, "nobody@example.com"] {
        log_in(&app, name, &"x".repeat(1_000_000)).await.expect(422);
    }
}

#[tokio::test]
async fn r36_methods_and_media_types_that_do_not_exist_are_said_so() {
    let app = app().await;
    assert_eq!(app.get("/api/v1/auth/login").await.expect(405).problem("method_not_allowed").header("allow"), "POST, OPTIONS");
    app.post("/api/v1/auth/nothing").json(&json!({})).await.expect(404).problem("not_found");
    let login = app.post("/api/v1/auth/login").header("X-CSRF", "1").header("Accept", "text/xml");
    login.json(&json!({ "identifier": ADA, "password": PASSWORD })).await.expect(406).problem("not_acceptable");
}

#[tokio::test]
async fn the_auth_limit_counts_logins_sign_ups_and_resets_together_but_not_refreshes() {
    let app = app_with(&[("limits.auth_per_minute", "6")]).await;
    let ada = client(&app, ADA).await;
    for _ in 0..2 {
        ask_reset(&app, BOB).await.expect(202);
    }
    log_in(&app, BOB, WRONG).await.expect(401);
    let refused =
        app.post("/api/v1/auth/signup").header("X-CSRF", "1").json(&json!({ "email": BOB })).await.expect(429).problem("rate_limited");
    assert_eq!((refused.header("retry-after"), &refused["violated_policies"]), ("10", &json!(["auth"])));
    assert_eq!(refused.header("ratelimit-policy"), "\"auth\";q=6;w=60");
    for _ in 0..10 {
        app.get("/api/v1/auth/methods").await.expect(200);
    }
    let pair = refresh(&app, &ada.refresh).await.expect(200);
    app.post("/api/v1/auth/logout").bearer(&pair.text("/access_token")).await.expect(204);
    app.advance(10 * SECOND);
    ask_reset(&app, BOB).await.expect(202);
    app.run_jobs().await;
}

#[tokio::test]
async fn limits_weaker_than_the_design_do_not_start() {
    for (key, value, rule) in [
        ("accounts.limits.address_failures", "301/10m", "LOG-3"),
        ("accounts.limits.address_failures", "300/9m", "LOG-3"),
        ("accounts.limits.mail_per_address", "7/h", "RST-9"),
        ("accounts.limits.mail_per_address", "1/m", "RST-9"),
    ] {
        let builder = testkit::TestApp::builder().module(accounts::Accounts::new()).setting(key, value);
        let start = std::panic::AssertUnwindSafe(async { drop(builder.start().await) });
        let Err(panic) = futures_util::FutureExt::catch_unwind(start).await else { panic!("{key} = {value} starts") };
        let text = panic.downcast_ref::<String>().cloned().unwrap_or_default();
        assert!(text.contains(key) && text.contains(rule), "{key}: {text}");
    }
}

#[tokio::test]
async fn settings_weaker_than_the_design_do_not_start() {
    for (key, value, rule) in [
        ("accounts.sessions.idle", "31d", "SES-3"),
        ("accounts.sessions.absolute", "91d", "SES-3"),
        ("accounts.sessions.admin_idle", "61m", "SES-3"),
        ("accounts.sessions.admin_absolute", "25h", "SES-3"),
        ("accounts.sessions.fresh_auth", "61m", "SES-10"),
        ("accounts.tokens.access_ttl", "61m", "TOK-5"),
        ("accounts.tokens.refresh_absolute", "91d", "TOK-8"),
        ("accounts.tokens.refresh_idle", "91d", "TOK-8"),
        ("accounts.tokens.api_key_max_days", "366", "KEY-1"),
        ("accounts.limits.free_failures", "11", "LOG-1"),
        ("accounts.passwords.min_length", "7", "PWD-1"),
        ("accounts.allowed_redirect_origins", "https://app.example/", "FED-6"),
        ("accounts.allowed_redirect_origins", "*", "FED-6"),
        ("accounts.pages.reset", "https://elsewhere.example/reset", "FED-6"),
        ("accounts.pages.complete", "/account/complete", "FED-6"),
        ("accounts.pages.email", "http://undercroft.test/mine#", "FED-6"),
        ("accounts.pages.invitation", "http://ada@undercroft.test/mine", "FED-6"),
    ] {
        let app = tokio::task::LocalSet::new();
        let started = app
            .run_until(async { futures_util::FutureExt::catch_unwind(std::panic::AssertUnwindSafe(app_with(&[(key, value)]))).await })
            .await;
        let Err(panic) = started else { panic!("{key} = {value} starts") };
        let text = panic.downcast_ref::<String>().cloned().unwrap_or_default();
        assert!(text.contains(key) && text.contains(rule), "{key}: {text}");
    }
}
