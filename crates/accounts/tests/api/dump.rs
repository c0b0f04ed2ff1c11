//! Whoever steals the database but not the key file holds nothing that opens a door (DAT-1, RST-1).

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use db::Value;
use kernel::http::Access;
use reqwest::Method;
use serde_json::json;
use sha2::{Digest as _, Sha256};
use testkit::{Mail, PASSWORD, Request, TestApp, token_in};

use crate::doors;
use crate::support::*;

/// Everything that somebody held during a long journey, and how the database looks in the middle of it.
struct Loot {
    app: TestApp,
    secrets: Vec<String>,
    mails: Vec<Mail>,
    dump: Vec<(String, Value)>,
}

/// Ada has every kind of login and open link, Bob waits for his sign-up, nobody is owner yet, a mail waits to be sent.
async fn loot() -> Loot {
    let app = app().await;
    let ada = client(&app, ADA).await;
    let next = refresh(&app, &ada.refresh).await.expect(200);
    let browser = browser(&app, ADA).await;
    let renewed = browser.asks(app.post("/api/v1/auth/reauthenticate")).json(&json!({ "password": PASSWORD })).await.expect(200);
    let patch =
        app.patch("/api/v1/me").header("Cookie", &cookie_in(&renewed)).header("X-CSRF", "1").header("Idempotency-Key", "keep-this-answer");
    patch.json(&json!({ "display_name": "Countess" })).await.expect(200);
    log_in(&app, "a password typed as a name", WRONG).await.expect(401);
    let (first, bob) = (pending(&app, json!({ "email": BOB, "password": OTHER })).await, pending_of(&app, BOB).await);
    let key =
        app.post("/api/v1/me/api-keys").bearer(&ada.access).json(&json!({ "name": "Nightly import", "scopes": [] })).await.expect(201);
    app.get("/api/v1/me").bearer(&key.text("/key")).await.expect(200);
    let (reset, owner) = (reset_token(&app, ADA).await, owner_token(&app).await);
    let carl = client(&app, "carl@example.com").await;
    let change = app.post("/api/v1/me/email-changes").bearer(&carl.access).json(&json!({ "email": "carl@example.org" }));
    change.await.expect(202);
    let (at_new, at_old) = (token_in(&app.last_mail_to("carl@example.org").await), token_in(&app.last_mail_to("carl@example.com").await));
    for token in [&at_new, &at_old] {
        app.post("/api/v1/auth/email/confirm").json(&json!({ "token": token })).await.expect(204);
    }
    let undo = token_in(&app.last_mail_to("carl@example.com").await);
    let dora = client(&app, "dora@example.com").await;
    let seed = app.post("/api/v1/me/mfa/totp").bearer(&dora.access).await.expect(201).text("/secret");
    let confirmed =
        app.post("/api/v1/me/mfa/totp/actions/confirm").bearer(&dora.access).json(&json!({ "code": crate::mfa::shown(&app, &seed) }));
    let confirmed = confirmed.await.expect(200);
    let codes = confirmed["recovery_codes"].as_array().expect("codes").iter().filter_map(|code| code.as_str().map(str::to_owned));
    let challenge = log_in(&app, "dora@example.com", PASSWORD).await.expect(200).text("/challenge/id");
    command(&app, &["user", "invite", "grace@example.com", "--role", "admin"]).await.expect("an invitation");
    let invitation = testkit::token_in(&app.last_mail_to("grace@example.com").await);
    app.advance(MINUTE);
    let mails = app.mails().await;
    app.post("/api/v1/auth/signup/resend").json(&json!({ "signup_token": first.handle })).await.expect(202);
    app.kernel().flush_audit().await.unwrap_or_else(|error| panic!("{error}"));
    let dump = app.kernel().db().dump_text().unwrap_or_else(|error| panic!("{error}"));
    app.run_jobs().await;
    let cookies = [browser.cookie, cookie_in(&renewed)].map(|cookie| cookie.trim_start_matches("sid=").to_owned());
    let mut secrets: Vec<String> = [PASSWORD, OTHER, WRONG, "a password typed as a name", "keep-this-answer"].map(str::to_owned).to_vec();
    secrets.extend(cookies);
    secrets.extend([at_new, at_old, undo, carl.access, carl.refresh, browser.device.trim_start_matches("device=").to_owned()]);
    secrets.extend([ada.access, ada.refresh, next.text("/access_token"), next.text("/refresh_token"), reset, owner]);
    secrets.extend(codes);
    secrets.extend([seed, challenge, dora.access, dora.refresh]);
    secrets.extend([invitation, key.text("/key"), key.text("/key")[15..58].to_owned()]);
    for waiting in [first, bob] {
        secrets.extend([waiting.handle, waiting.token, format!("{}-{}", &waiting.code[..4], &waiting.code[4..]), waiting.code]);
    }
    Loot { app, secrets, mails, dump }
}

fn holds(haystack: &[u8], needle: &[u8]) -> bool {
    needle.len() >= 8 && haystack.windows(needle.len()).any(|window| window == needle)
}

fn bytes_of(value: &Value) -> &[u8] {
    match value {
        Value::Text(text) => text.as_bytes(),
        Value::Bytes(bytes) => bytes,
        _ => &[],
    }
}

#[tokio::test]
async fn dat1_no_secret_lies_in_the_database_in_any_form() {
    let loot = loot().await;
    assert!(loot.dump.len() > 300 && loot.secrets.len() > 15);
    for secret in &loot.secrets {
        let mut forms = vec![secret.clone().into_bytes(), URL_SAFE_NO_PAD.encode(secret).into_bytes(), hex(secret.as_bytes()).into_bytes()];
        forms.extend(URL_SAFE_NO_PAD.decode(secret).ok());
        forms.extend(secret.split('.').map(|part| part.as_bytes().to_vec()));
        for (column, value) in &loot.dump {
            assert!(!forms.iter().any(|form| holds(bytes_of(value), form)), "{column} holds {secret}");
        }
    }
}

#[tokio::test]
async fn dat1_no_line_of_a_mail_lies_in_the_database() {
    let loot = loot().await;
    assert!(loot.mails.len() >= 4);
    let lines: BTreeSet<&str> =
        loot.mails.iter().flat_map(|mail| mail.text.lines().chain(mail.html.lines()).chain([mail.subject.as_str()])).collect();
    for line in lines.into_iter().filter(|line| line.len() > 12) {
        assert!(!loot.dump.iter().any(|(_, value)| holds(bytes_of(value), line.as_bytes())), "{line}");
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Every string of the dump, and every blob as somebody would write it; also the strings inside JSON.
fn strings(dump: &[(String, Value)]) -> BTreeSet<String> {
    let mut all = BTreeSet::new();
    for (_, value) in dump {
        match value {
            Value::Text(text) => {
                all.extend(text.split(|c: char| !(c.is_ascii_alphanumeric() || "_-.$=+/@:".contains(c))).map(str::to_owned));
                all.insert(text.clone());
            }
            Value::Bytes(bytes) => all.extend([URL_SAFE_NO_PAD.encode(bytes), STANDARD.encode(bytes), hex(bytes)]),
            Value::Int(number) => _ = all.insert(number.to_string()),
            Value::Null => {}
        }
    }
    all.retain(|text| (8..4000).contains(&text.len()) && text.bytes().all(|byte| (0x21..0x7f).contains(&byte) && byte != b';'));
    all
}

/// The API keys that somebody can write with these public parts and these strings as secrets, checksums and all.
fn forged_keys(dump: &[(String, Value)], secrets: &[String]) -> Vec<String> {
    let public_ids: Vec<String> = dump
        .iter()
        .filter(|(column, _)| column == "accounts_api_keys.public_id")
        .map(|(_, value)| String::from_utf8_lossy(bytes_of(value)).into_owned())
        .collect();
    assert_eq!(public_ids.len(), 1);
    let forge = |secret: &String| {
        let text = format!("uc_pat_{}{secret}", public_ids[0]);
        let checksum = URL_SAFE_NO_PAD.encode(Sha256::digest(&text));
        text + &checksum[..6]
    };
    secrets.iter().map(forge).collect()
}

/// The forms in which a string is a credential in a body.
fn as_bodies(app: &TestApp, text: &str) -> Vec<Request> {
    vec![
        refresh(app, text),
        reset(app, text, OTHER),
        make_owner(app, text, "thief@example.com"),
        complete(app, &json!({ "token": text, "signup_token": text })),
        complete(app, &json!({ "token": text, "password": PASSWORD })),
        complete(app, &json!({ "code": text, "signup_token": text })),
        app.post("/api/v1/auth/email/confirm").json(&json!({ "token": text })),
        app.post("/api/v1/auth/email/undo").json(&json!({ "token": text })),
        accept(app, text, json!({ "password": OTHER })),
        log_in(app, ADA, text),
        log_in(app, text, text),
        app.post("/api/v1/auth/login/mfa").json(&json!({ "challenge_id": text, "method": "totp", "code": text })),
        app.post("/api/v1/auth/login/mfa").json(&json!({ "challenge_id": text, "method": "recovery_code", "code": text })),
    ]
}

#[tokio::test]
async fn dat1_no_string_of_the_database_opens_a_door() {
    let loot = loot().await;
    let app = &loot.app;
    let strings = strings(&loot.dump);
    assert!(strings.len() > 200, "{}", strings.len());
    for text in &strings {
        app.get("/api/v1/me").bearer(text).await.expect(401);
        app.get("/api/v1/me").header("Cookie", &format!("sid={text}")).await.expect(401);
        for answer in at_once(as_bodies(app, text)).await {
            assert!(answer.status.is_client_error(), "{text}: {answer}");
        }
    }
    app.run_jobs().await;
}

#[tokio::test]
async fn dat1_what_looks_like_a_token_opens_no_operation_at_all() {
    let loot = loot().await;
    let app = &loot.app;
    let tokens: Vec<String> = strings(&loot.dump).into_iter().filter(|text| text.len() == 43 || text.matches('.').count() == 2).collect();
    assert!(tokens.len() > 10, "{}", tokens.len());
    let forged = forged_keys(&loot.dump, &tokens);
    let tokens: Vec<String> = tokens.into_iter().chain(forged).collect();
    let guarded: Vec<(Method, String)> = doors::operations(app)
        .into_iter()
        .filter(|door| !matches!(door.access, Access::Public))
        .map(|door| (door.method, door.path))
        .collect();
    assert!(guarded.len() > 10);
    for text in &tokens {
        for (method, path) in &guarded {
            let by_cookie = doors::knock(app, method, path).header("Cookie", &format!("sid={text}")).header("X-CSRF", "1");
            for request in [doors::knock(app, method, path).bearer(text), by_cookie] {
                let met = doors::outcome(request).await;
                assert!(met == "401" || (met == "login" && path.starts_with("/account")), "{method} {path}: {met}");
            }
        }
    }
}
