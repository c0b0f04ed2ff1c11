//! Invitations: mailed by whoever may, accepted once, worth what their inviter may give (ADM-3, RST-2 to RST-5, SGN-4, SGN-7).

use serde_json::{Value, json};
use testkit::{PASSWORD, Person, Request, TestApp, token_in};

use crate::people::{give, make_role, role_id};
use crate::support::*;

const GRACE: &str = "grace@example.com";

fn invite(app: &TestApp, by: &Person, body: Value) -> Request {
    app.post("/api/v1/users").by(by).json(&body)
}

/// The token of a fresh invitation with these roles.
async fn invited(app: &TestApp, by: &Person, email: &str, roles: &[&str]) -> String {
    invite(app, by, json!({ "email": email, "roles": roles })).await.expect(202);
    let mail = app.last_mail_to(email).await;
    assert_eq!(mail.template, "accounts/invitation");
    token_in(&mail)
}

fn decline(app: &TestApp, token: &str) -> Request {
    app.post("/api/v1/auth/invitations/decline").json(&json!({ "token": token }))
}

async fn open(app: &TestApp, by: &Person) -> Vec<Value> {
    app.get("/api/v1/invitations").by(by).await.expect(200)["items"].as_array().expect("items").clone()
}

#[tokio::test]
async fn an_invited_person_chooses_a_password_and_starts_with_the_roles() {
    let app = app().await;
    let owner = app.owner().await;
    let known = event_count(&app).await;
    let asked = invite(&app, &owner, json!({ "email": GRACE, "roles": ["admin"], "locale": "de" })).await.expect(202);
    assert_eq!((&asked["roles"], &asked["invited_by"]), (&json!(["admin"]), &json!(owner.user_id)));
    assert_eq!(asked["expires_at"], (app.now() + 7 * DAY).to_string());
    let mail = app.last_mail_to(GRACE).await;
    assert_eq!((mail.template.as_str(), mail.subject.trim()), ("accounts/invitation", "Du bist eingeladen"));
    assert_eq!(open(&app, &owner).await, std::slice::from_ref(&asked.body));
    // Before proof there is nobody (SGN-1).
    log_in(&app, GRACE, PASSWORD).await.expect(401);
    let more = json!({ "password": PASSWORD, "username": "grace", "display_name": "Grace" });
    let done = accept(&app, &token_in(&mail), more).await.expect(201);
    assert_eq!((&done["user"]["roles"], &done["user"]["locale"]), (&json!(["admin", "member"]), &json!("de")));
    assert_eq!(done["session"]["methods"], json!(["invitation"]));
    let events = [
        "accounts.invitation.created",
        "accounts.role.assigned",
        "accounts.user.created",
        "accounts.role.assigned",
        "accounts.invitation.accepted",
        "accounts.session.started",
    ];
    assert_eq!(events_after(&app, known).await, events);
    app.get("/api/v1/users").bearer(&Client::of(&done).access).await.expect(200);
    log_in(&app, "grace", PASSWORD).await.expect(200);
    assert_eq!(open(&app, &owner).await.len(), 0);
    app.run_jobs().await;
}

#[tokio::test]
async fn rst2_fifty_acceptances_of_one_invitation_have_one_winner() {
    let app = app().await;
    let owner = app.owner().await;
    let token = invited(&app, &owner, GRACE, &[]).await;
    let answers = at_once((0..50).map(|_| accept(&app, &token, json!({})))).await;
    assert_eq!((count(&answers, 201), count(&answers, 410)), (1, 49));
    assert_eq!(rows(&app, "accounts_users").await, 2);
    app.run_jobs().await;
}

#[tokio::test]
async fn rst3_an_invitation_is_good_for_seven_days() {
    let app = app().await;
    let owner = app.owner().await;
    let (early, late) = (invited(&app, &owner, GRACE, &[]).await, invited(&app, &owner, ADA, &[]).await);
    app.advance(7 * DAY - SECOND);
    accept(&app, &early, json!({})).await.expect(201);
    app.advance(SECOND);
    accept(&app, &late, json!({})).await.expect(410).problem("token_spent");
    decline(&app, &late).await.expect(410).problem("token_spent");
    app.run_jobs().await;
}

#[tokio::test]
async fn rst4_a_newer_invitation_voids_the_older_and_comes_after_a_minute() {
    let app = app().await;
    let owner = app.owner().await;
    let first = invited(&app, &owner, GRACE, &[]).await;
    let soon = invite(&app, &owner, json!({ "email": GRACE })).await.expect(429).problem("rate_limited");
    assert_eq!(soon.header("retry-after"), "60");
    app.advance(MINUTE);
    let second = invited(&app, &owner, GRACE, &[]).await;
    accept(&app, &first, json!({})).await.expect(410).problem("token_spent");
    assert_eq!(open(&app, &owner).await.len(), 1);
    accept(&app, &second, json!({})).await.expect(201);
    app.run_jobs().await;
}

#[tokio::test]
async fn rst4_a_token_of_another_purpose_is_no_invitation_and_the_other_way_round() {
    let app = app().await;
    let owner = app.owner().await;
    app.member(ADA).await;
    let (reset_token, token) = (reset_token(&app, ADA).await, invited(&app, &owner, GRACE, &[]).await);
    for wrong in [reset_token.as_str(), "nonsense", &"A".repeat(43)] {
        accept(&app, wrong, json!({})).await.expect(400).problem("token_invalid");
        decline(&app, wrong).await.expect(400).problem("token_invalid");
    }
    reset(&app, &token, OTHER).await.expect(400).problem("token_invalid");
    complete(&app, &json!({ "token": token, "password": PASSWORD })).await.expect(400).problem("token_invalid");
    accept(&app, &token, json!({})).await.expect(201);
    app.run_jobs().await;
}

#[tokio::test]
async fn an_invitation_is_declined_or_withdrawn_once() {
    let app = app().await;
    let owner = app.owner().await;
    let token = invited(&app, &owner, GRACE, &[]).await;
    decline(&app, &token).await.expect(204);
    decline(&app, &token).await.expect(410).problem("token_spent");
    accept(&app, &token, json!({})).await.expect(410).problem("token_spent");
    let token = invited(&app, &owner, ADA, &[]).await;
    let id = open(&app, &owner).await[0]["id"].as_str().unwrap().to_owned();
    app.delete(&format!("/api/v1/invitations/{id}")).by(&owner).await.expect(204);
    app.delete(&format!("/api/v1/invitations/{id}")).by(&owner).await.expect(404).problem("not_found");
    accept(&app, &token, json!({})).await.expect(410).problem("token_spent");
    app.run_jobs().await;
}

#[tokio::test]
async fn sgn4_accepting_voids_a_strangers_sign_up_and_change_and_signing_up_voids_the_invitation() {
    let app = app().await;
    let owner = app.owner().await;
    let stranger = pending(&app, json!({ "email": GRACE, "password": OTHER })).await;
    let thief = client(&app, BOB).await;
    app.post("/api/v1/me/email-changes").bearer(&thief.access).json(&json!({ "email": GRACE })).await.expect(202);
    let (at_new, at_old) = (token_in(&app.last_mail_to(GRACE).await), token_in(&app.last_mail_to(BOB).await));
    let confirm = |token: &str| app.post("/api/v1/auth/email/confirm").json(&json!({ "token": token }));
    confirm(&at_old).await.expect(204);
    let token = invited(&app, &owner, GRACE, &[]).await;
    accept(&app, &token, json!({ "password": PASSWORD })).await.expect(201);
    confirm(&at_new).await.expect(410).problem("token_spent");
    let trick = json!({ "token": stranger.token, "signup_token": stranger.handle });
    complete(&app, &trick).await.expect(410).problem("token_spent");
    log_in(&app, GRACE, OTHER).await.expect(401);
    log_in(&app, GRACE, PASSWORD).await.expect(200);
    let token = invited(&app, &owner, ADA, &["admin"]).await;
    app.member(ADA).await;
    assert_eq!(open(&app, &owner).await.len(), 0);
    accept(&app, &token, json!({})).await.expect(410).problem("token_spent");
    app.run_jobs().await;
}

#[tokio::test]
async fn enu6_an_invited_person_hears_twenty_times_an_hour_that_a_username_is_taken() {
    let app = app().await;
    let owner = app.owner().await;
    app.patch("/api/v1/me").by(&owner).json(&json!({ "username": "countess" })).await.expect(200);
    let token = invited(&app, &owner, GRACE, &[]).await;
    for _ in 0..20 {
        accept(&app, &token, json!({ "username": "countess" })).await.expect(409).problem("username_taken");
    }
    accept(&app, &token, json!({ "username": "grace" })).await.expect(429).problem("rate_limited");
    app.advance(HOUR);
    accept(&app, &token, json!({ "username": "grace" })).await.expect(201);
    app.run_jobs().await;
}

#[tokio::test]
async fn sgn4_who_moves_to_an_address_voids_the_invitation_to_it() {
    let app = app().await;
    let owner = app.owner().await;
    let token = invited(&app, &owner, GRACE, &["admin"]).await;
    let ada = client(&app, ADA).await;
    app.post("/api/v1/me/email-changes").bearer(&ada.access).json(&json!({ "email": GRACE })).await.expect(202);
    let (at_new, at_old) = (token_in(&app.last_mail_to(GRACE).await), token_in(&app.last_mail_to(ADA).await));
    for token in [at_new, at_old] {
        app.post("/api/v1/auth/email/confirm").json(&json!({ "token": token })).await.expect(204);
    }
    assert_eq!(open(&app, &owner).await.len(), 0);
    accept(&app, &token, json!({})).await.expect(410).problem("token_spent");
    app.run_jobs().await;
}

#[tokio::test]
async fn adm3_an_invitation_gives_only_what_its_inviter_holds_then_and_now() {
    let app = app().await;
    let (owner, ada) = (app.owner().await, app.member(ADA).await);
    let rights = ["accounts:invitations:create", "accounts:users:read"];
    make_role(&app, &owner, "host", &rights).await;
    make_role(&app, &owner, "reader", &["accounts:users:read"]).await;
    give(&app, &owner, &ada, "host").await;
    for role in ["owner", "admin"] {
        invite(&app, &ada, json!({ "email": GRACE, "roles": [role] })).await.expect(403).problem("forbidden");
    }
    assert_eq!(mails_of(&app, "accounts/invitation", GRACE).await.len(), 0);
    let (kept, lost) = (invited(&app, &ada, GRACE, &["reader"]).await, invited(&app, &ada, BOB, &["reader"]).await);
    assert_eq!(accept(&app, &kept, json!({})).await.expect(201)["user"]["roles"], json!(["member", "reader"]));
    let host = role_id(&app, &owner, "host").await;
    app.delete(&format!("/api/v1/users/{}/roles/{host}", ada.user_id)).by(&owner).await.expect(204);
    assert_eq!(accept(&app, &lost, json!({})).await.expect(201)["user"]["roles"], json!(["member"]));
    app.run_jobs().await;
}

#[tokio::test]
async fn a_role_that_is_gone_is_left_out() {
    let app = app().await;
    let owner = app.owner().await;
    let reader = make_role(&app, &owner, "reader", &["accounts:users:read"]).await;
    let token = invited(&app, &owner, GRACE, &["reader"]).await;
    app.delete(&format!("/api/v1/roles/{reader}")).by(&owner).await.expect(204);
    assert_eq!(open(&app, &owner).await[0]["roles"], json!([]));
    assert_eq!(accept(&app, &token, json!({})).await.expect(201)["user"]["roles"], json!(["member"]));
    app.run_jobs().await;
}

#[tokio::test]
async fn what_cannot_be_invited_is_refused() {
    let app = app().await;
    let owner = app.owner().await;
    app.member(ADA).await;
    invite(&app, &owner, json!({ "email": ADA })).await.expect(409).problem("already_exists").field("/email", "already_exists");
    for email in ["a@b", "x\r\nBcc: y@example.com", &format!("{}@example.com", "a".repeat(255))] {
        invite(&app, &owner, json!({ "email": email })).await.expect(422).field("/email", "email_invalid");
    }
    let unknown = json!({ "email": GRACE, "roles": ["member", "nothing"] });
    invite(&app, &owner, unknown).await.expect(422).field("/roles/1", "not_allowed");
    invite(&app, &owner, json!({ "email": GRACE, "password": PASSWORD })).await.expect(422).field("/password", "unknown_field");
    let token = invited(&app, &owner, GRACE, &[]).await;
    accept(&app, &token, json!({ "password": "short" })).await.expect(422).field("/password", "password_too_short");
    accept(&app, &token, json!({ "username": "a b" })).await.expect(422).field("/username", "username_invalid");
    app.patch("/api/v1/me").by(&owner).json(&json!({ "username": "taken" })).await.expect(200);
    accept(&app, &token, json!({ "username": "taken" })).await.expect(409).problem("username_taken");
    accept(&app, &token, json!({ "username": "free" })).await.expect(201);
    app.run_jobs().await;
}

#[tokio::test]
async fn sgn7_the_mode_invite_knows_no_other_way_and_closed_knows_none() {
    let app = app_with(&[("accounts.signup", "invite")]).await;
    let owner = app.owner().await;
    app.post("/api/v1/auth/signup").json(&json!({ "email": GRACE })).header("X-CSRF", "1").await.expect(403).problem("signup_closed");
    let token = invited(&app, &owner, GRACE, &[]).await;
    accept(&app, &token, json!({})).await.expect(201);
    app.run_jobs().await;
    let app = app_with(&[("accounts.signup", "closed")]).await;
    let owner = app.owner().await;
    invite(&app, &owner, json!({ "email": GRACE })).await.expect(403).problem("signup_closed");
    accept(&app, &"A".repeat(43), json!({})).await.expect(403).problem("signup_closed");
}

#[tokio::test]
async fn rst5_the_mailed_link_names_the_page_of_the_operator() {
    let app = app_with(&[
        ("accounts.allowed_redirect_origins", "https://www.example.com"),
        ("accounts.pages.invitation", "https://www.example.com/welcome"),
    ])
    .await;
    let owner = app.owner().await;
    let token = invited(&app, &owner, GRACE, &[]).await;
    let mail = app.last_mail_to(GRACE).await;
    assert!(mail.text.contains(&format!("https://www.example.com/welcome#{token}")), "{}", mail.text);
    app.run_jobs().await;
}

#[tokio::test]
async fn invitations_that_are_over_are_forgotten_after_a_week() {
    let app = app().await;
    let owner = app.owner().await;
    invited(&app, &owner, GRACE, &[]).await;
    app.run_jobs().await;
    app.advance(13 * DAY);
    app.run_jobs().await;
    assert_eq!(rows(&app, "accounts_invitations").await, 1);
    app.advance(DAY + HOUR);
    app.run_jobs().await;
    assert_eq!(rows(&app, "accounts_invitations").await, 0);
}
