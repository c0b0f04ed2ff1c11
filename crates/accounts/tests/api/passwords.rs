//! What a password may be, how it changes, and what is left of the old one (PWD-1 to PWD-5, PWD-7 to PWD-10).

use accounts::Accounts;
use accounts::hashing::{Hasher, HasherSettings};
use accounts::secrets::Password;
use db::Value;
use serde_json::json;
use testkit::{PASSWORD, TestApp, TestResponse};

use crate::support::*;

/// The answers of sign-up, owner, reset and change to this new password, each with the member that holds it.
async fn all_doors(app: &TestApp, password: &str) -> Vec<(TestResponse, &'static str)> {
    let ada = another_client(app, ADA).await;
    let change = json!({ "current_password": PASSWORD, "new_password": password });
    app.advance(MINUTE);
    let token = reset_token(app, ADA).await;
    let bob = pending_of(app, BOB).await;
    vec![
        (app.post("/api/v1/auth/signup").header("X-CSRF", "1").json(&json!({ "email": BOB, "password": password })).await, "/password"),
        (complete(app, &json!({ "token": bob.token, "signup_token": bob.handle, "password": password })).await, "/password"),
        (app.put("/api/v1/me/password").bearer(&ada.access).json(&change).await, "/new_password"),
        (reset(app, &token, password).await, "/password"),
    ]
}

#[tokio::test]
async fn pwd1_a_password_out_of_bounds_is_refused_wherever_one_is_chosen() {
    let app = app().await;
    app.member(ADA).await;
    for (password, code) in [
        ("123456789".to_owned(), "password_too_short"),
        ("é".repeat(9), "password_too_short"),
        (String::new(), "password_too_short"),
        ("x".repeat(257), "password_too_long"),
        ("🦀".repeat(257), "password_too_long"),
    ] {
        for (answer, place) in all_doors(&app, &password).await {
            answer.expect(422).problem("validation_failed").field(place, code);
        }
        let token = owner_token(&app).await;
        let body = json!({ "token": token, "email": "owner@example.com", "password": password });
        app.post("/api/v1/auth/owner").header("X-CSRF", "1").json(&body).await.expect(422).field("/password", code);
    }
    app.run_jobs().await;
}

#[tokio::test]
async fn pwd3_a_common_password_is_refused_wherever_one_is_chosen() {
    let app = app().await;
    app.member(ADA).await;
    for common in ["password123", "PassWord123", "qwertyuiop", "1234567890"] {
        for (answer, place) in all_doors(&app, common).await {
            answer.expect(422).problem("validation_failed").field(place, "password_blocklisted");
        }
        let body = json!({ "token": owner_token(&app).await, "email": "owner@example.com", "password": common });
        app.post("/api/v1/auth/owner").header("X-CSRF", "1").json(&body).await.expect(422).field("/password", "password_blocklisted");
    }
    app.run_jobs().await;
}

#[tokio::test]
async fn pwd4_the_names_of_the_site_are_refused_wherever_a_password_is_chosen() {
    let app =
        app_with(&[("mail.from", "Seven Seas Supplies <shop@quaysidemarket.test>"), ("public_url", "http://www.bridgesandmore.test")])
            .await;
    app.member(ADA).await;
    for told in ["undercroft-2026", "Seven-Seas-Supplies", "quaysidemarket!", "bridgesandmore1", "eromdnasegdirb"] {
        for (answer, place) in all_doors(&app, told).await {
            answer.expect(422).problem("validation_failed").field(place, "password_resembles_account");
        }
        let body = json!({ "token": owner_token(&app).await, "email": "owner@example.com", "password": told });
        app.post("/api/v1/auth/owner").header("X-CSRF", "1").json(&body).await.expect(422).field("/password", "password_resembles_account");
    }
    app.run_jobs().await;
}

#[tokio::test]
async fn pwd4_ones_own_address_and_username_are_refused() {
    let app = app().await;
    let email = "lady.lovelace@engines.example";
    let begin =
        |password: &str| app.post("/api/v1/auth/signup").header("X-CSRF", "1").json(&json!({ "email": email, "password": password }));
    for told in ["LadyLovelace1", "lovelace.lady", "l4dy.l0vel4ce", "engines.example", email] {
        begin(told).await.expect(422).field("/password", "password_resembles_account");
    }
    let waiting = pending_of(&app, email).await;
    let body =
        |password: &str| json!({ "token": waiting.token, "signup_token": waiting.handle, "username": "enchantress", "password": password });
    complete(&app, &body("enchantress!!")).await.expect(422).field("/password", "password_resembles_account");
    let lady = Client::of(&complete(&app, &body(PASSWORD)).await.expect(201));
    let change = |password: &str| {
        let body = json!({ "current_password": PASSWORD, "new_password": password });
        app.put("/api/v1/me/password").bearer(&lady.access).json(&body)
    };
    for told in ["Enchantress123", "lady-lovelace"] {
        change(told).await.expect(422).field("/new_password", "password_resembles_account");
    }
    let token = reset_token(&app, email).await;
    reset(&app, &token, "enchantress99").await.expect(422).field("/password", "password_resembles_account");
    // Somebody else's name is as good as any.
    change("Lovelace of many other things").await.expect(204);
    app.run_jobs().await;
}

#[tokio::test]
async fn pwd4_a_password_chosen_before_the_username_is_compared_when_both_are_typed() {
    let app = app().await;
    let waiting = pending(&app, json!({ "email": ADA, "password": "enchantress!!" })).await;
    let body = json!({ "token": waiting.token, "password": "enchantress!!", "username": "enchantress" });
    complete(&app, &body).await.expect(422).field("/password", "password_resembles_account");
    let body = json!({ "token": waiting.token, "password": "enchantress!!", "username": "countess" });
    complete(&app, &body).await.expect(201);
}

#[tokio::test]
async fn pwd1_the_longest_password_counts_to_its_last_character() {
    let app = app().await;
    let longest = "🦀".repeat(256);
    let waiting = pending(&app, json!({ "email": ADA, "password": longest })).await;
    complete(&app, &json!({ "token": waiting.token, "signup_token": waiting.handle })).await.expect(201);
    log_in(&app, ADA, &longest).await.expect(200);
    let almost = format!("{}🦞", "🦀".repeat(255));
    log_in(&app, ADA, &almost).await.problem("invalid_credentials");
    log_in(&app, ADA, &"🦀".repeat(255)).await.problem("invalid_credentials");
}

#[tokio::test]
async fn pwd1_the_minimum_is_a_setting_and_is_told() {
    let app = app_with(&[("accounts.passwords.min_length", "15")]).await;
    assert_eq!(app.get("/api/v1/auth/methods").await["password_min_length"], 15);
    let body = json!({ "email": ADA, "password": "x".repeat(14) });
    app.post("/api/v1/auth/signup").header("X-CSRF", "1").json(&body).await.expect(422).field("/password", "password_too_short");
}

#[tokio::test]
async fn pwd1_a_huge_password_is_refused_before_hashing() {
    let app = app().await;
    app.member(ADA).await;
    for size in [257, 1025, 1_000_000] {
        log_in(&app, ADA, &"x".repeat(size)).await.expect(422);
    }
    log_in(&app, ADA, &"x".repeat(2_000_000)).await.expect(413).problem("payload_too_large");
    // None of these was a failed login.
    for _ in 0..5 {
        log_in(&app, ADA, WRONG).await.expect(401);
    }
    log_in(&app, ADA, WRONG).await.expect(429);
}

#[tokio::test]
async fn pwd2_every_character_is_accepted_and_composed_before_hashing() {
    let app = app().await;
    let typed = "u\u{308}ber die Bru\u{308}cke\t\u{1f309} \"'\\%";
    let waiting = pending(&app, json!({ "email": ADA, "password": typed })).await;
    complete(&app, &json!({ "token": waiting.token, "password": "über die Brücke\t🌉 \"'\\%" })).await.expect(201);
    log_in(&app, ADA, typed).await.expect(200);
    log_in(&app, ADA, "über die Brücke\t🌉 \"'\\%").await.expect(200);
    log_in(&app, ADA, "uber die Brucke\t🌉 \"'\\%").await.problem("invalid_credentials");
    log_in(&app, ADA, "Über die Brücke\t🌉 \"'\\%").await.problem("invalid_credentials");
}

async fn phc_of(app: &TestApp, email: &'static str) -> String {
    let found = app.kernel().db().read(move |c| {
        let sql = "SELECT p.phc FROM accounts_passwords p JOIN accounts_user_emails e ON e.user_id = p.user_id WHERE e.email_norm = ?";
        c.opt::<String>(sql, db::params![email])
    });
    found.await.unwrap_or_else(|error| panic!("{error}")).unwrap_or_else(|| panic!("{email} has no password"))
}

async fn set_phc(app: &TestApp, phc: String) {
    let changed = app.kernel().db().write(move |tx| tx.execute("UPDATE accounts_passwords SET phc = ?", db::params![phc]));
    assert_eq!(changed.await.unwrap_or_else(|error: db::Error| panic!("{error}")), 1);
}

/// A hash of [`PASSWORD`] with other costs than the app's.
async fn outdated_hash() -> String {
    let mut settings = HasherSettings::for_tests();
    settings.m_kib = 16;
    let hasher = Hasher::start(&settings).unwrap_or_else(|error| panic!("{error:?}"));
    let hashed = hasher.hash([127, 0, 0, 1].into(), &Password::new(PASSWORD.to_owned()), [7; 16]).await;
    hashed.unwrap_or_else(|error| panic!("{error:?}"))
}

#[tokio::test]
async fn pwd5_a_login_rehashes_what_has_other_costs() {
    let app = app().await;
    app.member(ADA).await;
    let (own, outdated) = (phc_of(&app, ADA).await, outdated_hash().await);
    assert!(own.contains("$m=8,t=1,p=1$") && outdated.contains("$m=16,t=1,p=1$"), "{own} {outdated}");
    set_phc(&app, outdated.clone()).await;
    log_in(&app, ADA, WRONG).await.problem("invalid_credentials");
    assert_eq!(phc_of(&app, ADA).await, outdated);
    log_in(&app, ADA, PASSWORD).await.expect(200);
    let renewed = phc_of(&app, ADA).await;
    assert!(renewed.contains("$m=8,t=1,p=1$") && renewed != own, "{renewed}");
    log_in(&app, ADA, PASSWORD).await.expect(200);
    assert_eq!(phc_of(&app, ADA).await, renewed);
}

#[tokio::test]
async fn pwd5_a_disabled_account_is_not_rehashed() {
    let app = app().await;
    app.member(ADA).await;
    let outdated = outdated_hash().await;
    set_phc(&app, outdated.clone()).await;
    command(&app, &["user", "disable", ADA]).await.unwrap_or_else(|error| panic!("{error:?}"));
    log_in(&app, ADA, PASSWORD).await.problem("invalid_credentials");
    assert_eq!(phc_of(&app, ADA).await, outdated);
}

#[tokio::test]
async fn pwd5_the_shipped_module_hashes_as_the_design_says() {
    let app = TestApp::builder().module(Accounts::new()).start().await;
    app.member(ADA).await;
    let phc = phc_of(&app, ADA).await;
    let parts: Vec<&str> = phc.split('$').collect();
    assert_eq!(&parts[..4], ["", "argon2id", "v=19", "m=19456,t=2,p=1"]);
    assert_eq!((parts[4].len(), parts[5].len()), (22, 43), "16 bytes of salt, 32 of tag");
    log_in(&app, ADA, PASSWORD).await.expect(200);
    log_in(&app, ADA, WRONG).await.problem("invalid_credentials");
}

/// Every PHC string anywhere in the database.
fn stored_hashes(app: &TestApp) -> Vec<String> {
    let dump = app.kernel().db().dump_text().unwrap_or_else(|error| panic!("{error}"));
    let phc = |(_, value): (String, Value)| match value {
        // The note of the scheme alone has no salt and no tag.
        Value::Text(text) if text.starts_with("$argon2") && text.matches('$').count() > 3 => Some(text),
        _ => None,
    };
    dump.into_iter().filter_map(phc).collect()
}

#[tokio::test]
async fn pwd9_after_a_change_the_old_hash_is_nowhere() {
    let app = app().await;
    let ada = client(&app, ADA).await;
    assert_eq!(stored_hashes(&app), [phc_of(&app, ADA).await]);
    let change = json!({ "current_password": PASSWORD, "new_password": OTHER });
    app.put("/api/v1/me/password").bearer(&ada.access).json(&change).await.expect(204);
    assert_eq!(stored_hashes(&app), [phc_of(&app, ADA).await]);
    let token = reset_token(&app, ADA).await;
    reset(&app, &token, PASSWORD).await.expect(204);
    assert_eq!(stored_hashes(&app), [phc_of(&app, ADA).await]);
    app.run_jobs().await;
}

#[tokio::test]
async fn pwd10_a_change_needs_the_present_password() {
    let app = app().await;
    let ada = client(&app, ADA).await;
    let change = |current: &str| {
        let body = json!({ "current_password": current, "new_password": OTHER });
        app.put("/api/v1/me/password").bearer(&ada.access).json(&body)
    };
    change(WRONG).await.expect(422).field("/current_password", "current_password_wrong");
    change("").await.expect(422).field("/current_password", "current_password_wrong");
    log_in(&app, ADA, PASSWORD).await.expect(200);
    assert!(mails_of(&app, "accounts/password_changed", ADA).await.is_empty());
    change(PASSWORD).await.expect(204);
    change(PASSWORD).await.expect(422).field("/current_password", "current_password_wrong");
    app.run_jobs().await;
}

#[tokio::test]
async fn pwd10_a_change_ends_all_other_logins_and_tells_the_owner() {
    let app = app().await;
    app.member(ADA).await;
    let (own, other, elsewhere) = (browser(&app, ADA).await, browser(&app, ADA).await, another_client(&app, ADA).await);
    let known = event_count(&app).await;
    let change = json!({ "current_password": PASSWORD, "new_password": OTHER });
    let answer = own.asks(app.put("/api/v1/me/password")).json(&change).await.expect(204);
    assert_ne!(cookie_in(&answer), own.cookie);
    for browser in [&own, &other] {
        browser.asks(app.get("/api/v1/me")).await.expect(401);
    }
    app.get("/api/v1/me").bearer(&elsewhere.access).await.expect(401);
    refresh(&app, &elsewhere.refresh).await.expect(401);
    app.get("/api/v1/me").header("Cookie", &cookie_in(&answer)).await.expect(200);
    assert_eq!(mails_of(&app, "accounts/password_changed", ADA).await.len(), 1);
    let expected = ["accounts.password.changed", "accounts.session.revoked", "accounts.session.renewed"];
    assert_eq!(events_after(&app, known).await, expected);
}

#[tokio::test]
async fn pwd10_a_change_by_the_only_login_revokes_nothing() {
    let app = app().await;
    let ada = app.member(ADA).await;
    let known = event_count(&app).await;
    let change = json!({ "current_password": PASSWORD, "new_password": OTHER });
    app.put("/api/v1/me/password").by(&ada).json(&change).await.expect(204);
    app.get("/api/v1/me").by(&ada).await.expect(200);
    assert_eq!(events_after(&app, known).await, ["accounts.password.changed", "accounts.session.renewed"]);
    app.run_jobs().await;
}

#[tokio::test]
async fn pwd10_guesses_at_the_present_password_count_and_a_reset_forgives_them() {
    let app = app().await;
    let ada = client(&app, ADA).await;
    let confirm = |client: &Client, password: &str| {
        app.post("/api/v1/auth/reauthenticate").bearer(&client.access).json(&json!({ "password": password }))
    };
    for _ in 0..5 {
        confirm(&ada, WRONG).await.expect(422).field("/password", "current_password_wrong");
    }
    let change = json!({ "current_password": PASSWORD, "new_password": OTHER });
    let refused = app.put("/api/v1/me/password").bearer(&ada.access).json(&change).await.expect(429).problem("rate_limited");
    assert_eq!(refused.header("retry-after"), "1");
    // Somebody who types ada's id at the login door neither helps nor hinders her.
    for name in [ada.user_id.clone(), format!("own password\n{}", ada.user_id)] {
        for _ in 0..8 {
            log_in(&app, &name, WRONG).await;
        }
    }
    app.advance(SECOND);
    confirm(&ada, WRONG).await.expect(422);
    let token = reset_token(&app, ADA).await;
    reset(&app, &token, OTHER).await.expect(204);
    let ada = Client::of(&log_in(&app, ADA, OTHER).await.expect(200));
    confirm(&ada, OTHER).await.expect(200);
    app.run_jobs().await;
}
