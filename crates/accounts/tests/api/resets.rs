//! Mailed reset links: one use, half an hour, no side effects (RST-1 to RST-9).

use db::Value;
use reqwest::Method;
use serde_json::json;
use testkit::{PASSWORD, SmtpSink, token_in};

use crate::support::*;

#[tokio::test]
async fn rst1_a_delivered_mail_leaves_nothing_behind_in_production() {
    let smtp = SmtpSink::start().await;
    let app = app_with(&[("mail.transport", "smtp"), ("mail.smtp_url", &smtp.url())]).await;
    app.post("/api/v1/auth/signup").header("X-CSRF", "1").json(&json!({ "email": ADA })).await.expect(202);
    let sealed = |app: &testkit::TestApp| {
        let dump = app.kernel().db().dump_text().unwrap_or_else(|error| panic!("{error}"));
        let is_there = |(column, value): &(String, Value)| column == "platform_messages.content_sealed" && *value != Value::Null;
        dump.iter().filter(|row| is_there(row)).count()
    };
    assert_eq!(sealed(&app), 1);
    app.run_jobs().await;
    assert_eq!((smtp.messages().len(), sealed(&app)), (1, 0));
}

#[tokio::test]
async fn rst2_a_link_is_used_once() {
    let app = app().await;
    app.member(ADA).await;
    let token = reset_token(&app, ADA).await;
    reset(&app, &token, OTHER).await.expect(204);
    reset(&app, &token, PASSWORD).await.expect(410).problem("token_spent");
    log_in(&app, ADA, OTHER).await.expect(200);
    app.run_jobs().await;
}

#[tokio::test]
async fn rst2_a_refused_password_does_not_use_the_link_up() {
    let app = app().await;
    app.member(ADA).await;
    let token = reset_token(&app, ADA).await;
    reset(&app, &token, "short").await.expect(422);
    reset(&app, &token, OTHER).await.expect(204);
    app.run_jobs().await;
}

#[tokio::test]
async fn rst3_a_link_lives_for_half_an_hour() {
    let app = app().await;
    app.member(ADA).await;
    let token = reset_token(&app, ADA).await;
    app.advance(30 * MINUTE - SECOND);
    reset(&app, &token, OTHER).await.expect(204);
    let token = reset_token(&app, ADA).await;
    app.advance(30 * MINUTE);
    reset(&app, &token, PASSWORD).await.expect(410).problem("token_spent");
    log_in(&app, ADA, OTHER).await.expect(200);
    app.run_jobs().await;
}

#[tokio::test]
async fn rst4_a_newer_link_voids_the_older() {
    let app = app().await;
    app.member(ADA).await;
    let first = reset_token(&app, ADA).await;
    app.advance(MINUTE);
    let second = reset_token(&app, ADA).await;
    assert_ne!(first, second);
    reset(&app, &first, OTHER).await.expect(410).problem("token_spent");
    reset(&app, &second, OTHER).await.expect(204);
    app.run_jobs().await;
}

#[tokio::test]
async fn rst4_a_link_of_one_person_does_not_void_anothers() {
    let app = app().await;
    app.member(ADA).await;
    app.member(BOB).await;
    let (ada, bob) = (reset_token(&app, ADA).await, reset_token(&app, BOB).await);
    reset(&app, &ada, OTHER).await.expect(204);
    log_in(&app, BOB, PASSWORD).await.expect(200);
    reset(&app, &bob, OTHER).await.expect(204);
    app.run_jobs().await;
}

#[tokio::test]
async fn rst4_a_change_of_the_password_voids_open_links() {
    let app = app().await;
    let ada = app.member(ADA).await;
    let token = reset_token(&app, ADA).await;
    let change = json!({ "current_password": PASSWORD, "new_password": OTHER });
    app.put("/api/v1/me/password").by(&ada).json(&change).await.expect(204);
    reset(&app, &token, WRONG).await.expect(410).problem("token_spent");
    app.run_jobs().await;
}

#[tokio::test]
async fn rst4_a_token_of_another_purpose_is_not_valid() {
    let app = app().await;
    let ada = client(&app, ADA).await;
    let (owner, signup, link) = (owner_token(&app).await, pending_of(&app, BOB).await, reset_token(&app, ADA).await);
    for wrong in [&owner, &signup.token, &signup.handle, &ada.refresh, &"A".repeat(43), &"x".to_owned(), &ada.access[..43].to_owned()] {
        reset(&app, wrong, OTHER).await.expect(400).problem("token_invalid");
    }
    for wrong in [&link, &signup.token, &signup.handle, &ada.refresh] {
        make_owner(&app, wrong, "owner@example.com").await.expect(400).problem("token_invalid");
    }
    for wrong in [&link, &owner, &ada.refresh] {
        complete(&app, &json!({ "token": wrong, "signup_token": signup.handle })).await.expect(400).problem("token_invalid");
    }
    for wrong in [&link, &owner, &signup.token, &signup.handle] {
        refresh(&app, wrong).await.expect(401).problem("refresh_token_invalid");
        app.get("/api/v1/me").bearer(wrong).await.expect(401).problem("unauthenticated");
        app.get("/api/v1/me").header("Cookie", &format!("sid={wrong}")).await.expect(401).problem("unauthenticated");
    }
    // None of it used anything up.
    reset(&app, &link, OTHER).await.expect(204);
    make_owner(&app, &owner, "owner@example.com").await.expect(201);
    complete(&app, &json!({ "token": signup.token, "signup_token": signup.handle })).await.expect(201);
    app.run_jobs().await;
}

#[tokio::test]
async fn rst5_opening_a_mailed_link_changes_nothing() {
    let app = app().await;
    app.member(ADA).await;
    let token = reset_token(&app, ADA).await;
    let signup = pending_of(&app, BOB).await;
    for _ in 0..5 {
        for path in ["/api/v1/auth/password/reset/confirm", "/api/v1/auth/signup/complete"] {
            for method in [Method::GET, Method::HEAD, Method::OPTIONS] {
                let path = format!("{path}?token={token}&signup_token={}", signup.handle);
                let answer = app.request(method.clone(), &path).header("Sec-Purpose", "prefetch").await;
                assert!(!answer.status.is_success() || method == Method::OPTIONS, "{answer}");
            }
        }
    }
    reset(&app, &token, OTHER).await.expect(204);
    complete(&app, &json!({ "token": signup.token, "signup_token": signup.handle })).await.expect(201);
    app.run_jobs().await;
}

#[tokio::test]
async fn rst5_the_token_stands_in_the_fragment_and_nowhere_else() {
    let app = app().await;
    app.member(ADA).await;
    let token = reset_token(&app, ADA).await;
    let signup = pending_of(&app, BOB).await;
    for (email, token, path) in [(ADA, token, "/account/reset/confirm"), (BOB, signup.token, "/account/complete")] {
        let mail = app.last_mail_to(email).await;
        assert!(mail.text.contains(&format!("http://undercroft.test{path}#{token}")), "{}", mail.text);
        for body in [&mail.text, &mail.html] {
            let links = body.match_indices(&token).filter(|(at, _)| !body[..*at].ends_with('#'));
            assert_eq!(links.count(), 0, "{body}");
        }
        assert!(!mail.subject.contains(&token));
    }
}

#[tokio::test]
async fn rst5_the_operators_own_pages_get_the_token_in_the_fragment_too() {
    let app = app_with(&[
        ("accounts.allowed_redirect_origins", "https://www.shop.example"),
        ("accounts.pages.reset", "https://www.shop.example/reset"),
        ("accounts.pages.complete", "https://www.shop.example/hi"),
    ])
    .await;
    let waiting = pending(&app, json!({ "email": ADA, "password": PASSWORD })).await;
    assert!(app.last_mail_to(ADA).await.text.contains(&format!("https://www.shop.example/hi#{}", waiting.token)));
    complete(&app, &json!({ "token": waiting.token, "signup_token": waiting.handle })).await.expect(201);
    let token = reset_token(&app, ADA).await;
    assert!(app.last_mail_to(ADA).await.text.contains(&format!("https://www.shop.example/reset#{token}")));
}

#[tokio::test]
async fn rst6_a_forged_host_changes_no_mail() {
    let app = app_with(&[("http.trusted_proxies", "loopback")]).await;
    app.member(ADA).await;
    let forged = |request: testkit::Request| {
        let request = request.header("Host", "evil.test").header("X-Forwarded-Host", "evil.test").header("X-Forwarded-Proto", "https");
        request.header("Forwarded", "host=evil.test;proto=https").header("Origin", "http://undercroft.test")
    };
    forged(app.post("/api/v1/auth/password/reset")).json(&json!({ "email": ADA })).await.expect(202);
    forged(app.post("/api/v1/auth/signup")).json(&json!({ "email": BOB })).await.expect(202);
    forged(app.post("/api/v1/auth/signup")).json(&json!({ "email": ADA })).await.expect(202);
    let mails = app.mails().await;
    assert_eq!(mails.len(), 4);
    for mail in mails {
        assert!(mail.text.contains("http://undercroft.test/account/"), "{}", mail.text);
        assert!(!format!("{mail:?}").contains("evil"), "{mail:?}");
    }
}

#[tokio::test]
async fn rst7_a_reset_logs_nobody_in() {
    let app = app().await;
    app.member(ADA).await;
    let token = reset_token(&app, ADA).await;
    let sessions = rows(&app, "accounts_sessions").await;
    for mode in ["token", "cookie"] {
        let answer = reset(&app, &token, OTHER).header("X-Session-Mode", mode).await;
        assert_eq!((answer.header("set-cookie"), answer.body.get("tokens")), ("", None));
    }
    assert_eq!(rows(&app, "accounts_sessions").await, sessions);
    app.run_jobs().await;
}

#[tokio::test]
async fn rst8_success_ends_every_login_and_tells_the_owner() {
    let app = app().await;
    app.member(ADA).await;
    let (browser, ada, bob) = (browser(&app, ADA).await, another_client(&app, ADA).await, client(&app, BOB).await);
    browser.asks(app.get("/api/v1/me")).await.expect(200);
    let token = reset_token(&app, ADA).await;
    browser.asks(app.get("/api/v1/me")).await.expect(200);
    reset(&app, &token, OTHER).await.expect(204);
    browser.asks(app.get("/api/v1/me")).await.expect(401);
    app.get("/api/v1/me").bearer(&ada.access).await.expect(401);
    refresh(&app, &ada.refresh).await.expect(401);
    app.get("/api/v1/me").bearer(&bob.access).await.expect(200);
    let notices = mails_of(&app, "accounts/password_changed", ADA).await;
    assert_eq!(notices.len(), 1);
    assert!(testkit_token(&notices[0]).is_none(), "{:?}", notices[0]);
}

/// The token of a mail, if it has one.
fn testkit_token(mail: &testkit::Mail) -> Option<String> {
    std::panic::catch_unwind(|| token_in(mail)).ok()
}

#[tokio::test]
async fn rst9_one_mail_a_minute_goes_to_an_address_and_the_caller_cannot_tell() {
    let app = app().await;
    app.member(ADA).await;
    let first = reset_token(&app, ADA).await;
    for _ in 0..5 {
        ask_reset(&app, ADA).await.expect(202);
    }
    assert_eq!(mails_of(&app, "accounts/reset_password", ADA).await.len(), 1);
    // What was not mailed voided nothing.
    reset(&app, &first, OTHER).await.expect(204);
    app.advance(MINUTE);
    reset_token(&app, ADA).await;
    assert_eq!(mails_of(&app, "accounts/reset_password", ADA).await.len(), 2);
}

#[tokio::test]
async fn rst9_three_mails_an_hour_go_to_an_address_and_a_living_link_is_always_among_them() {
    let app = app_with(&[("accounts.limits.mail_per_address", "3/h")]).await;
    app.member(ADA).await;
    let mailed = async || mails_of(&app, "accounts/reset_password", ADA).await.len();
    for minute in 0..10 {
        ask_reset(&app, ADA).await.expect(202);
        assert_eq!(mailed().await, (minute + 1).min(3));
        app.advance(MINUTE);
    }
    // From then on one in twenty minutes, whoever asks however often.
    for minute in 10..60 {
        ask_reset(&app, ADA).await.expect(202);
        assert_eq!(mailed().await, 3 + minute / 20, "minute {minute}");
        app.advance(MINUTE);
    }
    let newest = token_in(&app.last_mail_to(ADA).await);
    reset(&app, &newest, OTHER).await.expect(204);
    app.run_jobs().await;
}

#[tokio::test]
async fn rst9_sign_up_mails_to_one_address_are_bounded_and_the_caller_cannot_tell() {
    let app = app_with(&[("accounts.limits.mail_per_address", "3/h")]).await;
    app.member(BOB).await;
    let begin = |email: &str| app.post("/api/v1/auth/signup").header("X-CSRF", "1").json(&json!({ "email": email }));
    for minute in 0..6 {
        for email in [ADA, BOB] {
            let first = begin(email).await.expect(202);
            let second = begin(email).await.expect(202);
            assert_eq!(members(&first.body), members(&second.body));
        }
        assert_eq!(mails_of(&app, "accounts/confirm_signup", ADA).await.len(), (minute + 1).min(3));
        app.advance(MINUTE);
    }
    let handle = begin(ADA).await.expect(202).text("/signup_token");
    app.advance(20 * MINUTE);
    app.post("/api/v1/auth/signup/resend").json(&json!({ "signup_token": handle })).await.expect(202);
    let mail = app.last_mail_to(ADA).await;
    complete(&app, &json!({ "token": token_in(&mail), "signup_token": handle })).await.expect(201);
}

#[tokio::test]
async fn rst9_sign_ups_that_were_not_mailed_push_out_none_that_was() {
    let app = app().await;
    let waiting = pending_of(&app, ADA).await;
    for _ in 0..20 {
        app.post("/api/v1/auth/signup").header("X-CSRF", "1").json(&json!({ "email": ADA })).await.expect(202);
    }
    complete(&app, &json!({ "token": waiting.token, "signup_token": waiting.handle })).await.expect(201);
}

#[tokio::test]
async fn rst9_the_instance_has_a_budget_of_mails_that_strangers_cause() {
    let app = app_with(&[("accounts.limits.mail_budget", "5/h")]).await;
    for number in 0..9 {
        let body = json!({ "email": format!("person-{number}@example.com") });
        app.post("/api/v1/auth/signup").header("X-CSRF", "1").json(&body).await.expect(202);
    }
    assert_eq!(app.mails().await.len(), 5);
    app.advance(12 * MINUTE);
    app.post("/api/v1/auth/signup").header("X-CSRF", "1").json(&json!({ "email": ADA })).await.expect(202);
    app.post("/api/v1/auth/signup").header("X-CSRF", "1").json(&json!({ "email": BOB })).await.expect(202);
    assert_eq!(app.mails().await.len(), 6);
}

#[tokio::test]
async fn rst9_a_flood_to_made_up_addresses_stops_no_reset() {
    let app = app_with(&[("accounts.limits.mail_budget", "5/h")]).await;
    app.member(ADA).await;
    for number in 0..9 {
        let body = json!({ "email": format!("person-{number}@example.com") });
        app.post("/api/v1/auth/signup").header("X-CSRF", "1").json(&body).await.expect(202);
    }
    assert_eq!(app.mails().await.len(), 5);
    let token = reset_token(&app, ADA).await;
    reset(&app, &token, OTHER).await.expect(204);
    app.run_jobs().await;
}

#[tokio::test]
async fn rst9_one_client_causes_a_few_mails_an_hour_and_those_refused_use_nothing_up() {
    let app = app_with(&[("accounts.limits.mail_per_client", "3/h"), ("accounts.limits.mail_per_address", "3/h")]).await;
    let begin = |email: &str| app.post("/api/v1/auth/signup").header("X-CSRF", "1").json(&json!({ "email": email }));
    for number in 0..9 {
        begin(&format!("person-{number}@example.com")).await.expect(202);
    }
    assert_eq!(app.mails().await.len(), 3);
    // Twenty minutes later one more is free; the addresses that got none still have all of theirs.
    for _ in 0..3 {
        app.advance(20 * MINUTE);
        begin("person-8@example.com").await.expect(202);
    }
    assert_eq!(mails_of(&app, "accounts/confirm_signup", "person-8@example.com").await.len(), 3);
    app.run_jobs().await;
}

#[tokio::test]
async fn rst4_a_link_opens_the_account_only_while_its_address_is_the_accounts() {
    let app = app().await;
    app.member(ADA).await;
    let token = reset_token(&app, ADA).await;
    // As if the account had moved in the very moment in which the link was made.
    let moved = app.kernel().db().write(|tx| {
        tx.execute("UPDATE accounts_user_emails SET email = ?, email_norm = ?", db::params!["new@example.com", "new@example.com"])
            .map(|_| ())
    });
    moved.await.unwrap_or_else(|error: db::Error| panic!("{error}"));
    reset(&app, &token, OTHER).await.expect(410).problem("token_spent");
    log_in(&app, "new@example.com", PASSWORD).await.expect(200);
    app.run_jobs().await;
}

#[tokio::test]
async fn rst9_of_fifty_requests_at_once_one_is_mailed() {
    let app = app_with(&[("accounts.limits.mail_per_address", "3/h")]).await;
    app.member(ADA).await;
    let answers = at_once((0..50).map(|_| ask_reset(&app, ADA))).await;
    assert_eq!(count(&answers, 202), 50);
    assert_eq!(mails_of(&app, "accounts/reset_password", ADA).await.len(), 1);
}

#[tokio::test]
async fn rst9_asking_for_resets_locks_nobody_out() {
    let app = app().await;
    let ada = client(&app, ADA).await;
    for _ in 0..20 {
        ask_reset(&app, ADA).await.expect(202);
        app.advance(MINUTE);
    }
    log_in(&app, ADA, PASSWORD).await.expect(200);
    let pair = refresh(&app, &ada.refresh).await.expect(200);
    app.get("/api/v1/me").bearer(&pair.text("/access_token")).await.expect(200);
    app.run_jobs().await;
}
