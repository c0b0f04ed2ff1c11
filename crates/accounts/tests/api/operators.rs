//! The command line's verbs: list, show, disable, enable, reset, logout, role (ADM-3, PWD-11, SES-4).

use kernel::Error;
use testkit::PASSWORD;

use crate::support::*;

fn code(outcome: kernel::Result<()>) -> String {
    outcome.err().as_ref().map(Error::code).unwrap_or("ok").to_owned()
}

#[tokio::test]
async fn ses4_disabling_ends_every_login_and_every_open_token() {
    let app = app().await;
    let ada = client(&app, ADA).await;
    let browser = browser(&app, ADA).await;
    let token = reset_token(&app, ADA).await;
    browser.asks(app.get("/api/v1/me")).await.expect(200);
    app.get("/api/v1/me").bearer(&ada.access).await.expect(200);
    let known = event_count(&app).await;
    command(&app, &["user", "disable", ADA]).await.unwrap();
    browser.asks(app.get("/api/v1/me")).await.expect(401).problem("unauthenticated");
    app.get("/api/v1/me").bearer(&ada.access).await.expect(401).problem("unauthenticated");
    refresh(&app, &ada.refresh).await.expect(401).problem("refresh_token_invalid");
    reset(&app, &token, OTHER).await.expect(410).problem("token_spent");
    log_in(&app, ADA, PASSWORD).await.expect(401).problem("invalid_credentials");
    assert_eq!(events_after(&app, known).await, ["accounts.session.revoked", "accounts.user.disabled"]);
    app.run_jobs().await;
}

#[tokio::test]
async fn ses4_enabling_brings_back_the_person_but_no_old_login() {
    let app = app().await;
    let ada = client(&app, ADA).await;
    let browser = browser(&app, ADA).await;
    command(&app, &["user", "disable", ADA]).await.unwrap();
    let known = event_count(&app).await;
    command(&app, &["user", "enable", ADA]).await.unwrap();
    assert_eq!(events_after(&app, known).await, ["accounts.user.enabled"]);
    browser.asks(app.get("/api/v1/me")).await.expect(401);
    app.get("/api/v1/me").bearer(&ada.access).await.expect(401);
    refresh(&app, &ada.refresh).await.expect(401);
    log_in(&app, ADA, PASSWORD).await.expect(200);
}

#[tokio::test]
async fn disabling_and_enabling_twice_changes_nothing_more() {
    let app = app().await;
    app.member(ADA).await;
    command(&app, &["user", "disable", ADA]).await.unwrap();
    let known = event_count(&app).await;
    command(&app, &["user", "disable", ADA]).await.unwrap();
    command(&app, &["user", "enable", ADA]).await.unwrap();
    command(&app, &["user", "enable", ADA]).await.unwrap();
    assert_eq!(events_after(&app, known).await, ["accounts.user.enabled"]);
}

#[tokio::test]
async fn adm3_the_last_owner_cannot_be_disabled() {
    let app = app().await;
    let owner = app.owner().await;
    assert_eq!(code(command(&app, &["user", "disable", "owner@example.com"]).await), "last_owner");
    app.get("/api/v1/me").by(&owner).await.expect(200);
}

#[tokio::test]
async fn a_person_is_found_by_id_address_or_username() {
    let app = app().await;
    let ada = app.member(ADA).await;
    app.patch("/api/v1/me").by(&ada).json(&serde_json::json!({ "username": "countess" })).await.expect(200);
    for name in [&ada.user_id, "ADA@example.com", "Countess"] {
        assert_eq!(code(command(&app, &["user", "show", name, "--json"]).await), "ok", "{name}");
    }
    for nobody in ["nobody", "019ab0b2-8f00-7000-8000-00000000ffff", "nobody@example.com", "?"] {
        for verb in ["show", "disable", "enable", "reset", "logout"] {
            assert_eq!(code(command(&app, &["user", verb, nobody]).await), "not_found", "{verb} {nobody}");
        }
    }
    assert_eq!(code(command(&app, &["user", "list"]).await), "ok");
    assert_eq!(code(command(&app, &["user", "list", "--json"]).await), "ok");
}

#[tokio::test]
async fn adm2_an_operator_gives_and_takes_roles_and_the_last_owner_stays() {
    let app = app().await;
    let owner = app.owner().await;
    let ada = app.member(ADA).await;
    app.get("/api/v1/users").by(&ada).await.expect(403);
    command(&app, &["user", "role", ADA, "admin"]).await.unwrap();
    app.get("/api/v1/users").by(&ada).await.expect(200);
    command(&app, &["user", "role", ADA, "admin", "--take"]).await.unwrap();
    app.get("/api/v1/users").by(&ada).await.expect(403);
    assert_eq!(code(command(&app, &["user", "role", ADA, "nothing"]).await), "not_found");
    assert_eq!(code(command(&app, &["user", "role", "owner@example.com", "owner", "--take"]).await), "last_owner");
    app.get("/api/v1/users").by(&owner).await.expect(200);
}

#[tokio::test]
async fn an_operator_invites() {
    let app = app().await;
    command(&app, &["user", "invite", ADA, "--role", "owner"]).await.unwrap();
    let mail = app.last_mail_to(ADA).await;
    let done = accept(&app, &testkit::token_in(&mail), serde_json::json!({})).await.expect(201);
    assert_eq!(done["user"]["roles"], serde_json::json!(["member", "owner"]));
    assert_eq!(code(command(&app, &["user", "invite", ADA]).await), "already_exists");
    assert_eq!(code(command(&app, &["user", "invite", "a@b"]).await), "validation_failed");
    assert_eq!(code(command(&app, &["user", "invite", BOB, "--role", "nothing"]).await), "validation_failed");
    app.run_jobs().await;
}

#[tokio::test]
async fn pwd11_an_operator_starts_a_reset_and_ends_logins() {
    let app = app().await;
    let ada = client(&app, ADA).await;
    command(&app, &["user", "logout", ADA]).await.unwrap();
    app.get("/api/v1/me").bearer(&ada.access).await.expect(401);
    command(&app, &["user", "reset", ADA]).await.unwrap();
    let mail = app.last_mail_to(ADA).await;
    reset(&app, &testkit::token_in(&mail), OTHER).await.expect(204);
    app.run_jobs().await;
}
