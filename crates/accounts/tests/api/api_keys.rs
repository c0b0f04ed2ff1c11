//! Personal keys: their form, their scopes, their end, and what they never open (KEY-1, SES-10, ADM-2, ADM-3, ENU-8).

use kernel::http::Access;
use serde_json::{Value, json};
use testkit::{PASSWORD, Person, Request, TestApp};

use crate::doors;
use crate::people::{give, make_role, role_id};
use crate::support::*;

fn make(app: &TestApp, by: &Person, body: Value) -> Request {
    app.post("/api/v1/me/api-keys").by(by).json(&body)
}

/// A new key with these scopes: its id and its text.
async fn key(app: &TestApp, by: &Person, scopes: &[&str]) -> (String, String) {
    let made = make(app, by, json!({ "name": "a program", "scopes": scopes })).await.expect(201);
    (made.text("/api_key/id"), made.text("/key"))
}

async fn listed(app: &TestApp, by: &Person, path: &str) -> Vec<Value> {
    app.get(path).by(by).await.expect(200)["items"].as_array().expect("items").clone()
}

#[tokio::test]
async fn key1_a_key_is_shown_once_and_works_until_it_is_ended() {
    let app = app().await;
    let ada = app.member(ADA).await;
    let known = event_count(&app).await;
    let made = make(&app, &ada, json!({ "name": "Nightly export", "scopes": [] })).await.expect(201);
    assert_eq!(events_after(&app, known).await, ["accounts.api_key.created"]);
    let text = made.text("/key");
    assert_eq!((text.len(), &text[..7]), (64, "uc_pat_"));
    assert_eq!(made["api_key"]["begins_with"], text[..15]);
    assert_eq!(made["api_key"]["expires_at"], (app.now() + 90 * DAY).to_string());
    let mail = app.last_mail_to(ADA).await;
    assert_eq!(mail.template, "accounts/api_key_created");
    assert!(mail.text.contains("Nightly export") && !mail.text.contains(&text[15..58]));
    let list = app.get("/api/v1/me/api-keys").by(&ada).await.expect(200);
    assert!(!String::from_utf8_lossy(&list.bytes).contains(&text[15..58]));
    assert_eq!(app.get("/api/v1/me").bearer(&text).await.expect(200)["id"], ada.user_id);
    let known = event_count(&app).await;
    app.delete(&format!("/api/v1/me/api-keys/{}", made.text("/api_key/id"))).by(&ada).await.expect(204);
    assert_eq!(events_after(&app, known).await, ["accounts.api_key.revoked"]);
    app.get("/api/v1/me").bearer(&text).await.expect(401).problem("unauthenticated");
    assert!(listed(&app, &ada, "/api/v1/me/api-keys").await.is_empty());
    app.run_jobs().await;
}

#[tokio::test]
async fn key1_what_cannot_be_a_key_is_refused_without_the_database() {
    let app = app().await;
    let ada = app.member(ADA).await;
    let (_, text) = key(&app, &ada, &[]).await;
    let wrong = |text: &str| app.get("/api/v1/me").bearer(text);
    let swapped = if text.as_bytes()[30] == b'A' { "B" } else { "A" };
    let typed_wrong = format!("{}{swapped}{}", &text[..30], &text[31..]);
    for text in [typed_wrong.as_str(), "uc_pat_", "uc_svc_x", &text[..63], &format!("{text}x")] {
        let (answer, statements) = app.statements(async { wrong(text).await }).await;
        answer.expect(401).problem("unauthenticated");
        assert_eq!(statements, 0, "{text}");
    }
    app.get("/api/v1/me").bearer(&text).await.expect(200);
    app.get("/api/v1/me").header("Cookie", &format!("sid={text}")).await.expect(401);
    app.run_jobs().await;
}

#[tokio::test]
async fn key1_the_right_checksum_over_a_wrong_secret_opens_nothing() {
    let app = app().await;
    let (ada, bob) = (app.member(ADA).await, app.member(BOB).await);
    let (_, text) = key(&app, &ada, &[]).await;
    let (_, other) = key(&app, &bob, &[]).await;
    // The public part of one and the secret of another, with the checksum that this would have.
    let body = format!("{}{}", &text[..15], &other[15..58]);
    let digest = ring_sha256(body.as_bytes());
    let mixed = format!("{body}{}", base64_url(&digest[..4]));
    app.get("/api/v1/me").bearer(&text).await.expect(200);
    app.get("/api/v1/me").bearer(&mixed).await.expect(401).problem("unauthenticated");
    app.run_jobs().await;
}

fn ring_sha256(bytes: &[u8]) -> Vec<u8> {
    ring::digest::digest(&ring::digest::SHA256, bytes).as_ref().to_vec()
}

fn base64_url(bytes: &[u8]) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(bytes)
}

#[tokio::test]
async fn key1_a_key_does_what_its_scopes_and_its_owners_present_roles_allow() {
    let app = app().await;
    let (owner, ada) = (app.owner().await, app.member(ADA).await);
    make_role(&app, &owner, "clerk", &["accounts:users:read", "accounts:roles:read"]).await;
    give(&app, &owner, &ada, "clerk").await;
    let (_, text) = key(&app, &ada, &["accounts:users:read"]).await;
    app.get("/api/v1/users").bearer(&text).await.expect(200);
    let lacking = app.get("/api/v1/roles").bearer(&text).await.expect(403).problem("insufficient_scope");
    assert!(lacking["detail"].as_str().unwrap().contains("accounts:roles:read"));
    app.get("/api/v1/invitations").bearer(&text).await.expect(403).problem("forbidden");
    let mine = app.get("/api/v1/me/permissions").bearer(&text).await.expect(200);
    assert_eq!(mine["permissions"], json!(["accounts:users:read"]));
    // An administrative scope works long after the login that made the key has lost its grant (SES-3).
    app.advance(20 * DAY);
    app.get("/api/v1/users").bearer(&text).await.expect(200);
    let owner = app.log_in("owner@example.com", PASSWORD).await;
    let clerk = role_id(&app, &owner, "clerk").await;
    app.delete(&format!("/api/v1/users/{}/roles/{clerk}", ada.user_id)).by(&owner).await.expect(204);
    app.get("/api/v1/users").bearer(&text).await.expect(403).problem("forbidden");
    app.post(&format!("/api/v1/users/{}/actions/disable", ada.user_id)).by(&owner).await.expect(200);
    app.get("/api/v1/me").bearer(&text).await.expect(401);
    app.run_jobs().await;
}

#[tokio::test]
async fn adm3_a_scope_is_a_permission_that_its_maker_holds() {
    let app = app().await;
    let (owner, ada) = (app.owner().await, app.member(ADA).await);
    let body = json!({ "name": "greedy", "scopes": ["accounts:users:read", "*", "made:up:name"] });
    let refused = make(&app, &ada, body.clone()).await.expect(422);
    refused.field("/scopes/0", "scope_not_allowed").field("/scopes/1", "scope_not_allowed").field("/scopes/2", "scope_not_allowed");
    let refused = make(&app, &owner, body).await.expect(422);
    assert_eq!(refused["errors"].as_array().unwrap().len(), 2);
    refused.field("/scopes/1", "scope_not_allowed").field("/scopes/2", "scope_not_allowed");
}

#[tokio::test]
async fn key1_a_key_ends_by_itself_after_a_year_at_most() {
    let app = app().await;
    let (owner, ada) = (app.owner().await, app.member(ADA).await);
    let until = |days: u32| json!({ "name": "k", "scopes": [], "expires_at": (app.now() + days * DAY).to_string() });
    for days in [0, 366] {
        make(&app, &ada, until(days)).await.expect(422).field("/expires_at", "out_of_range");
    }
    make(&app, &ada, until(365)).await.expect(201);
    make(&app, &owner, until(3650)).await.expect(201);
    make(&app, &owner, until(3651)).await.expect(422).field("/expires_at", "out_of_range");
    let brief = make(&app, &ada, until(1)).await.expect(201).text("/key");
    app.advance(DAY - SECOND);
    app.get("/api/v1/me").bearer(&brief).await.expect(200);
    app.advance(SECOND);
    app.get("/api/v1/me").bearer(&brief).await.expect(401).problem("unauthenticated");
    app.run_jobs().await;
}

#[tokio::test]
async fn ses10_making_a_key_needs_a_recent_login() {
    let app = app().await;
    app.member(ADA).await;
    let browser = browser(&app, ADA).await;
    let make = || browser.asks(app.post("/api/v1/me/api-keys")).json(&json!({ "name": "k", "scopes": [] }));
    app.advance(10 * MINUTE);
    make().await.expect(201);
    app.advance(SECOND);
    make().await.expect(403).problem("reauthentication_required");
    app.run_jobs().await;
}

#[tokio::test]
async fn key1_a_key_touches_no_credential_no_session_and_no_key() {
    let app = app().await;
    let owner = app.owner().await;
    let all: Vec<&str> = app.kernel().plan().permissions().map(|permission| permission.name).collect();
    let (_, text) = key(&app, &owner, &all).await;
    let mut closed = Vec::new();
    for door in doors::operations(&app) {
        let answer = doors::knock(&app, &door.method, &door.path).bearer(&text).await;
        if answer.status == 403 && answer["code"] == "forbidden" {
            closed.push(door.id);
        }
    }
    closed.sort_unstable();
    let reviewed = [
        "changeMyPassword",
        "createMyApiKey",
        "listApiKeys",
        "listMyApiKeys",
        "listMySessions",
        "listSigningKeys",
        "listUserSessions",
        "logOut",
        "reauthenticate",
        "revokeApiKey",
        "revokeMyApiKey",
        "revokeMySession",
        "revokeMySessions",
        "revokeUserSession",
        "revokeUserSessions",
        "rotateSigningKeys",
        "sendPasswordReset",
        "updateMe",
    ];
    assert_eq!(closed, reviewed);
    app.forget_jobs().await;
}

#[tokio::test]
async fn pos1_a_key_without_scopes_opens_no_door_that_needs_a_permission() {
    let app = app().await;
    let owner = app.owner().await;
    let (_, text) = key(&app, &owner, &[]).await;
    for door in doors::operations(&app).into_iter().filter(|door| matches!(door.access, Access::Permission(_))) {
        let answer = doors::knock(&app, &door.method, &door.path).bearer(&text).await.expect(403);
        let code = answer["code"].as_str().unwrap();
        assert!(["insufficient_scope", "forbidden"].contains(&code), "{}: {answer}", door.id);
    }
    app.run_jobs().await;
}

#[tokio::test]
async fn enu8_somebody_elses_key_is_not_there_and_an_administrator_ends_it() {
    let app = app().await;
    let (owner, ada, bob) = (app.owner().await, app.member(ADA).await, app.member(BOB).await);
    give(&app, &owner, &bob, "admin").await;
    let (id, text) = key(&app, &ada, &[]).await;
    let (owners, _) = key(&app, &owner, &[]).await;
    app.delete(&format!("/api/v1/me/api-keys/{id}")).by(&bob).await.expect(404).problem("not_found");
    let ids: Vec<Value> = listed(&app, &bob, "/api/v1/api-keys").await.iter().map(|key| key["id"].clone()).collect();
    assert!(ids.contains(&json!(id)) && ids.contains(&json!(owners)));
    app.delete(&format!("/api/v1/api-keys/{owners}")).by(&bob).await.expect(403).problem("forbidden");
    app.get("/api/v1/me").bearer(&text).await.expect(200);
    app.delete(&format!("/api/v1/api-keys/{id}")).by(&bob).await.expect(204);
    app.delete(&format!("/api/v1/api-keys/{id}")).by(&bob).await.expect(404).problem("not_found");
    app.get("/api/v1/me").bearer(&text).await.expect(401);
    app.run_jobs().await;
}

#[tokio::test]
async fn a_person_has_fifty_keys_at_most_also_when_asking_all_at_once() {
    let app = app().await;
    let ada = app.member(ADA).await;
    let answers = at_once((0..60).map(|_| make(&app, &ada, json!({ "name": "k", "scopes": [] })))).await;
    assert_eq!((count(&answers, 201), count(&answers, 409)), (50, 10));
    answers.into_iter().find(|answer| answer.status == 409).unwrap().problem("quota_exceeded");
    app.run_jobs().await;
}

#[tokio::test]
async fn key1_the_last_use_is_known_to_within_minutes_without_a_write_per_request() {
    let app = app().await;
    let ada = app.member(ADA).await;
    let (_, text) = key(&app, &ada, &[]).await;
    assert_eq!(listed(&app, &ada, "/api/v1/me/api-keys").await[0]["last_used_at"], Value::Null);
    let first = app.now();
    app.get("/api/v1/me").bearer(&text).await.expect(200);
    app.get("/api/v1/me").bearer(&text).await.expect(200);
    app.advance(5 * MINUTE - SECOND);
    let permissions = || app.get("/api/v1/permissions").bearer(&text);
    permissions().await.expect(200);
    let (_, statements) = app.statements(async { permissions().await.expect(200) }).await;
    assert_eq!(statements, 0);
    let ada = app.log_in(ADA, PASSWORD).await;
    assert_eq!(listed(&app, &ada, "/api/v1/me/api-keys").await[0]["last_used_at"], first.to_string());
    app.advance(SECOND);
    permissions().await.expect(200);
    assert_eq!(listed(&app, &ada, "/api/v1/me/api-keys").await[0]["last_used_at"], app.now().to_string());
    app.run_jobs().await;
}

#[tokio::test]
async fn key1_each_key_has_a_limit_of_its_own() {
    let app = app_with(&[("limits.default_per_minute", "10")]).await;
    let ada = app.member(ADA).await;
    let (_, text) = key(&app, &ada, &[]).await;
    let statuses = |answers: Vec<testkit::TestResponse>| (count(&answers, 200), count(&answers, 429));
    let used = at_once((0..12).map(|_| app.get("/api/v1/me").bearer(&text))).await;
    assert_eq!(statuses(used), (10, 2));
    app.get("/api/v1/me").by(&ada).await.expect(200);
    app.run_jobs().await;
}

#[tokio::test]
async fn rst8_a_reset_ends_keys_if_the_operator_says_so() {
    for (setting, status) in [("false", 200), ("true", 401)] {
        let app = app_with(&[("accounts.reset.revokes_api_keys", setting)]).await;
        let ada = app.member(ADA).await;
        let (_, text) = key(&app, &ada, &[]).await;
        app.get("/api/v1/me").bearer(&text).await.expect(200);
        let token = reset_token(&app, ADA).await;
        reset(&app, &token, OTHER).await.expect(204);
        app.get("/api/v1/me").bearer(&text).await.expect(status);
        app.run_jobs().await;
    }
}

#[tokio::test]
async fn what_is_wrong_with_a_new_key_is_said() {
    let app = app().await;
    let ada = app.member(ADA).await;
    let refused = make(&app, &ada, json!({ "name": "", "secret": "mine" })).await.expect(422);
    refused.field("/secret", "unknown_field").field("/scopes", "required");
    make(&app, &ada, json!({ "name": "x".repeat(81), "scopes": [] })).await.expect(422);
    make(&app, &ada, json!({ "name": "k", "scopes": [], "expires_at": "tomorrow" })).await.expect(422);
}

#[tokio::test]
async fn ended_keys_are_forgotten_after_a_week() {
    let app = app().await;
    let ada = app.member(ADA).await;
    let (id, _) = key(&app, &ada, &[]).await;
    key(&app, &ada, &[]).await;
    app.delete(&format!("/api/v1/me/api-keys/{id}")).by(&ada).await.expect(204);
    app.run_jobs().await;
    app.advance(6 * DAY);
    app.run_jobs().await;
    assert_eq!(rows(&app, "accounts_api_keys").await, 2);
    app.advance(DAY + HOUR);
    app.run_jobs().await;
    assert_eq!(rows(&app, "accounts_api_keys").await, 1);
}
