//! Looking after people: finding, changing, locking, starting a reset, ending logins (accounts.md §5.2, PWD-11).

use serde_json::json;
use testkit::{PASSWORD, Person, TestApp};

use crate::support::*;

/// The id of the role of this name.
pub(crate) async fn role_id(app: &TestApp, owner: &Person, name: &str) -> String {
    let roles = app.get("/api/v1/roles?limit=100").by(owner).await.expect(200);
    let found = roles["items"].as_array().expect("items").iter().find(|role| role["name"] == name);
    found.unwrap_or_else(|| panic!("no role {name}"))["id"].as_str().expect("an id").to_owned()
}

/// Gives somebody a role.
pub(crate) async fn give(app: &TestApp, by: &Person, to: &Person, role: &str) {
    let id = role_id(app, by, role).await;
    app.put(&format!("/api/v1/users/{}/roles/{id}", to.user_id)).by(by).await.expect(204);
}

/// A new role of these permissions; its id.
pub(crate) async fn make_role(app: &TestApp, by: &Person, name: &str, permissions: &[&str]) -> String {
    app.post("/api/v1/roles").by(by).json(&json!({ "name": name, "permissions": permissions })).await.expect(201).text("/id")
}

async fn emails(app: &TestApp, by: &Person, query: &str) -> Vec<String> {
    let list = app.get(&format!("/api/v1/users{query}")).by(by).await.expect(200);
    list["items"].as_array().expect("items").iter().map(|user| user["email"].as_str().expect("an address").to_owned()).collect()
}

#[tokio::test]
async fn people_are_found_by_a_piece_of_their_names_by_status_and_by_role() {
    let app = app().await;
    let owner = app.owner().await;
    app.advance(SECOND);
    let ada = app.member(ADA).await;
    app.advance(SECOND);
    let bob = app.member(BOB).await;
    app.patch("/api/v1/me").by(&ada).json(&json!({ "display_name": "Countess of 100%", "username": "lady_ada" })).await.expect(200);
    assert_eq!(emails(&app, &owner, "").await, [BOB, ADA, "owner@example.com"]);
    assert_eq!(emails(&app, &owner, "?sort=created_at").await, ["owner@example.com", ADA, BOB]);
    assert_eq!(emails(&app, &owner, "?sort=email").await, [ADA, BOB, "owner@example.com"]);
    for (query, found) in [
        ("?q=ADA%40", &[ADA][..]),
        ("?q=countess", &[ADA]),
        ("?q=LADY_", &[ADA]),
        ("?q=100%25", &[ADA]),
        ("?q=%25", &[ADA]),
        ("?q=nobody", &[]),
        ("?role=owner", &["owner@example.com"]),
        ("?role=member&q=bob", &[BOB]),
        ("?role=nothing", &[]),
        ("?status=disabled", &[]),
    ] {
        assert_eq!(emails(&app, &owner, query).await, found, "{query}");
    }
    app.post(&format!("/api/v1/users/{}/actions/disable", bob.user_id)).by(&owner).await.expect(200);
    assert_eq!(emails(&app, &owner, "?status=disabled").await, [BOB]);
    assert_eq!(emails(&app, &owner, "?status=active&sort=email").await, [ADA, "owner@example.com"]);
}

#[tokio::test]
async fn a_long_list_of_people_comes_in_pages_in_both_orders() {
    let app = app().await;
    let owner = app.owner().await;
    for number in 0..4 {
        app.member(&format!("p{number}@example.com")).await;
    }
    for sort in ["created_at", "-created_at", "email", "-email"] {
        let whole = emails(&app, &owner, &format!("?sort={sort}")).await;
        let (mut pages, mut cursor) = (Vec::new(), String::new());
        for _ in 0..3 {
            let list = app.get(&format!("/api/v1/users?sort={sort}&limit=2{cursor}")).by(&owner).await.expect(200);
            pages.extend(list["items"].as_array().unwrap().iter().map(|user| user["email"].as_str().unwrap().to_owned()));
            cursor = list["next_cursor"].as_str().map(|cursor| format!("&cursor={cursor}")).unwrap_or_default();
        }
        assert_eq!((pages, cursor.as_str()), (whole, ""), "{sort}");
    }
}

#[tokio::test]
async fn what_a_list_of_people_does_not_know_is_refused() {
    let app = app().await;
    let owner = app.owner().await;
    app.get("/api/v1/users?sort=password").by(&owner).await.expect(422).problem("sort_not_supported");
    app.get("/api/v1/users?status=erased").by(&owner).await.expect(422).problem("validation_failed");
    app.get("/api/v1/users?q=").by(&owner).await.expect(422).problem("validation_failed");
    app.get("/api/v1/users?colour=red").by(&owner).await.expect(422).problem("validation_failed");
    app.get("/api/v1/users?cursor=AAAA").by(&owner).await.expect(400).problem("cursor_invalid");
    for path in ["", "/roles", "/sessions"] {
        app.get(&format!("/api/v1/users/019ab0b2-8f00-7000-8000-00000000ffff{path}")).by(&owner).await.expect(404).problem("not_found");
    }
    for act in ["disable", "enable", "send-password-reset"] {
        let path = format!("/api/v1/users/019ab0b2-8f00-7000-8000-00000000ffff/actions/{act}");
        app.post(&path).by(&owner).await.expect(404).problem("not_found");
    }
}

#[tokio::test]
async fn a_profile_is_changed_by_whoever_may_and_only_as_it_was_seen() {
    let app = app().await;
    let (owner, ada) = (app.owner().await, app.member(ADA).await);
    let path = format!("/api/v1/users/{}", ada.user_id);
    let seen = app.get(&path).by(&owner).await.expect(200);
    assert_eq!((seen.header("etag"), &seen["roles"]), ("\"v1\"", &json!(["member"])));
    let known = event_count(&app).await;
    let changed = app.patch(&path).by(&owner).header("If-Match", "\"v1\"").json(&json!({ "display_name": "Ada" })).await.expect(200);
    assert_eq!((&changed["display_name"], changed.header("etag")), (&json!("Ada"), "\"v2\""));
    assert_eq!(events_after(&app, known).await, ["accounts.user.updated"]);
    let late = app.patch(&path).by(&owner).header("If-Match", "\"v1\"").json(&json!({ "display_name": "Bob" }));
    late.await.expect(412).problem("version_conflict");
    app.patch(&path).by(&owner).json(&json!({ "status": "disabled" })).await.expect(422).field("/status", "unknown_field");
    app.patch(&path).by(&owner).json(&json!({ "username": "a b" })).await.expect(422).field("/username", "username_invalid");
    app.patch(&path).by(&ada).json(&json!({ "display_name": "Queen" })).await.expect(403).problem("forbidden");
}

#[tokio::test]
async fn ses4_locking_over_http_ends_every_login_and_unlocking_brings_back_the_person() {
    let app = app().await;
    let owner = app.owner().await;
    let ada = client(&app, ADA).await;
    let path = format!("/api/v1/users/{}/actions", ada.user_id);
    let known = event_count(&app).await;
    let locked = app.post(&format!("{path}/disable")).by(&owner).await.expect(200);
    assert_eq!(locked["status"], "disabled");
    assert_eq!(events_after(&app, known).await, ["accounts.session.revoked", "accounts.user.disabled"]);
    app.get("/api/v1/me").bearer(&ada.access).await.expect(401);
    log_in(&app, ADA, PASSWORD).await.expect(401).problem("invalid_credentials");
    app.post(&format!("{path}/send-password-reset")).by(&owner).await.expect(409).problem("invalid_state");
    app.post(&format!("{path}/disable")).by(&owner).await.expect(200);
    assert_eq!(app.post(&format!("{path}/enable")).by(&owner).await.expect(200)["status"], "active");
    log_in(&app, ADA, PASSWORD).await.expect(200);
}

#[tokio::test]
async fn pwd11_an_administrator_starts_a_reset_and_neither_sets_nor_sees_a_password() {
    let app = app().await;
    let (owner, ada) = (app.owner().await, app.member(ADA).await);
    let path = format!("/api/v1/users/{}/actions/send-password-reset", ada.user_id);
    let known = event_count(&app).await;
    let answer = app.post(&path).by(&owner).await.expect(204);
    assert!(answer.bytes.is_empty());
    assert_eq!(events_after(&app, known).await, ["accounts.password.reset_requested"]);
    let mail = app.last_mail_to(ADA).await;
    assert_eq!(mail.template, "accounts/reset_password");
    reset(&app, &testkit::token_in(&mail), OTHER).await.expect(204);
    log_in(&app, ADA, OTHER).await.expect(200);
    // A second one within a minute goes nowhere, as for everybody (RST-9).
    app.advance(MINUTE);
    for _ in 0..2 {
        app.post(&path).by(&owner).await.expect(204);
    }
    assert_eq!(mails_of(&app, "accounts/reset_password", ADA).await.len(), 2);
    let body = json!({ "password": OTHER });
    app.patch(&format!("/api/v1/users/{}", ada.user_id)).by(&owner).json(&body).await.expect(422).field("/password", "unknown_field");
    app.run_jobs().await;
}

#[tokio::test]
async fn ses5_an_administrator_sees_and_ends_somebodys_logins() {
    let app = app().await;
    let owner = app.owner().await;
    let ada = client(&app, ADA).await;
    let second = another_client(&app, ADA).await;
    let path = format!("/api/v1/users/{}/sessions", ada.user_id);
    let list = app.get(&path).by(&owner).await.expect(200);
    assert_eq!(list["items"].as_array().unwrap().len(), 3);
    assert!(list["items"].as_array().unwrap().iter().all(|session| session["is_current"] == false));
    let known = event_count(&app).await;
    app.delete(&format!("{path}/{}", ada.session_id)).by(&owner).await.expect(204);
    assert_eq!(events_after(&app, known).await, ["accounts.session.revoked"]);
    app.get("/api/v1/me").bearer(&ada.access).await.expect(401);
    app.get("/api/v1/me").bearer(&second.access).await.expect(200);
    app.delete(&format!("{path}/{}", ada.session_id)).by(&owner).await.expect(404);
    // Another person's login under this person is not there (ENU-8).
    let bob = client(&app, BOB).await;
    app.delete(&format!("{path}/{}", bob.session_id)).by(&owner).await.expect(404);
    assert_eq!(app.post(&format!("{path}/actions/revoke")).by(&owner).await.expect(200)["revoked_count"], 2);
    app.get("/api/v1/me").bearer(&second.access).await.expect(401);
    app.get("/api/v1/me").bearer(&bob.access).await.expect(200);
}

#[tokio::test]
async fn adm3_an_administrator_does_not_touch_an_owner() {
    let app = app().await;
    let (owner, ada) = (app.owner().await, app.member(ADA).await);
    give(&app, &owner, &ada, "admin").await;
    let path = format!("/api/v1/users/{}", owner.user_id);
    let session = app.get("/api/v1/me/sessions").by(&owner).await.expect(200).text("/items/0/id");
    for act in ["disable", "enable", "send-password-reset"] {
        app.post(&format!("{path}/actions/{act}")).by(&ada).await.expect(403).problem("forbidden");
    }
    app.patch(&path).by(&ada).json(&json!({ "display_name": "Fool" })).await.expect(403).problem("forbidden");
    app.delete(&format!("{path}/sessions/{session}")).by(&ada).await.expect(403).problem("forbidden");
    app.post(&format!("{path}/sessions/actions/revoke")).by(&ada).await.expect(403).problem("forbidden");
    app.get(&path).by(&ada).await.expect(200);
    // Nobody else is out of reach.
    let bob = app.member(BOB).await;
    app.post(&format!("/api/v1/users/{}/actions/disable", bob.user_id)).by(&ada).await.expect(200);
}
