//! A change of address: proven at both ends, told to the old one, undone for seven days (RST-10).

use reqwest::Method;
use serde_json::{Value, json};
use testkit::{PASSWORD, Request, TestApp, TestResponse, token_in};

use crate::support::*;

const NEW: &str = "countess@example.org";

fn begin(app: &TestApp, client: &Client, email: &str) -> Request {
    app.post("/api/v1/me/email-changes").bearer(&client.access).json(&json!({ "email": email }))
}

fn confirm(node: &testkit::Node, token: &str) -> Request {
    node.post("/api/v1/auth/email/confirm").json(&json!({ "token": token }))
}

fn undo(node: &testkit::Node, token: &str) -> Request {
    node.post("/api/v1/auth/email/undo").json(&json!({ "token": token }))
}

/// The token of the newest mail of this template to this address.
async fn mailed(app: &TestApp, template: &str, to: &str) -> String {
    let mails = mails_of(app, template, to).await;
    token_in(mails.last().unwrap_or_else(|| panic!("no {template} went to {to}")))
}

/// A change to [`NEW`] that waits, with the tokens that went to the new and to the old address.
async fn waiting(app: &TestApp, ada: &Client) -> (String, String) {
    begin(app, ada, NEW).await.expect(202);
    (mailed(app, "accounts/confirm_email", NEW).await, mailed(app, "accounts/leave_email", ADA).await)
}

/// A change to [`NEW`] that was made, with the token that undoes it.
async fn moved(app: &TestApp, ada: &Client) -> String {
    let (at_new, at_old) = waiting(app, ada).await;
    confirm(app, &at_old).await.expect(204);
    confirm(app, &at_new).await.expect(204);
    mailed(app, "accounts/email_changed", ADA).await
}

async fn address_of(app: &TestApp, client: &Client) -> Value {
    app.get("/api/v1/me").bearer(&client.access).await.expect(200)["email"].clone()
}

#[tokio::test]
async fn rst10_both_addresses_confirm_and_the_old_one_is_told() {
    let app = app().await;
    let ada = client(&app, ADA).await;
    let answer = begin(&app, &ada, NEW).await.expect(202);
    assert_eq!((&answer["email"], &answer["needs_old_address"]), (&json!(NEW), &json!(true)));
    let (at_new, at_old) = (mailed(&app, "accounts/confirm_email", NEW).await, mailed(&app, "accounts/leave_email", ADA).await);
    let known = event_count(&app).await;
    confirm(&app, &at_new).await.expect(204);
    assert_eq!(address_of(&app, &ada).await, ADA);
    let list = app.get("/api/v1/me/email-changes").bearer(&ada.access).await.expect(200);
    assert_eq!((&list["items"][0]["is_confirmed_at_new"], &list["items"][0]["is_confirmed_at_old"]), (&json!(true), &json!(false)));
    confirm(&app, &at_old).await.expect(204);
    assert_eq!(address_of(&app, &ada).await, NEW);
    assert_eq!(events_after(&app, known).await, ["accounts.email.changed"]);
    let list = app.get("/api/v1/me/email-changes").bearer(&ada.access).await.expect(200);
    assert_eq!(list["items"], json!([]));
    log_in(&app, NEW, PASSWORD).await.expect(200);
    log_in(&app, ADA, PASSWORD).await.expect(401).problem("invalid_credentials");
    assert_eq!(mails_of(&app, "accounts/email_changed", ADA).await.len(), 1);
    assert!(mails_of(&app, "accounts/email_changed", NEW).await.is_empty());
    let audited: Vec<String> =
        app.audit().await.into_iter().map(|row| row.0).filter(|action| action.starts_with("accounts.email")).collect();
    let expected = ["accounts.email.begin_change", "accounts.email.confirm", "accounts.email.confirm", "accounts.email.change"];
    assert_eq!(audited, expected);
}

#[tokio::test]
async fn rst10_the_operator_may_leave_the_old_address_out() {
    let app = app_with(&[("accounts.reset.email_change_needs_old", "false")]).await;
    let ada = client(&app, ADA).await;
    assert_eq!(begin(&app, &ada, NEW).await.expect(202)["needs_old_address"], false);
    assert!(mails_of(&app, "accounts/leave_email", ADA).await.is_empty());
    confirm(&app, &mailed(&app, "accounts/confirm_email", NEW).await).await.expect(204);
    assert_eq!(address_of(&app, &ada).await, NEW);
    assert_eq!(mails_of(&app, "accounts/email_changed", ADA).await.len(), 1);
}

#[tokio::test]
async fn ses10_a_change_needs_a_recent_login() {
    let app = app().await;
    app.member(ADA).await;
    let ada = browser(&app, ADA).await;
    app.advance(10 * MINUTE + SECOND);
    let ask = |cookie: &str| {
        let post = app.post("/api/v1/me/email-changes").header("Cookie", cookie).header("X-CSRF", "1");
        post.json(&json!({ "email": NEW }))
    };
    ask(&ada.cookie).await.expect(403).problem("reauthentication_required");
    let again = ada.asks(app.post("/api/v1/auth/reauthenticate")).json(&json!({ "password": PASSWORD })).await.expect(200);
    ask(&cookie_in(&again)).await.expect(202);
    app.run_jobs().await;
}

/// An answer without what differs by chance.
fn shape(answer: &TestResponse) -> (u16, Vec<String>, Value) {
    let mut body = answer.body.clone();
    for member in ["id", "email"] {
        body[member] = Value::Null;
    }
    (answer.status.as_u16(), members(&answer.body), body)
}

#[tokio::test]
async fn enu4_a_taken_address_is_asked_for_like_a_free_one() {
    let app = app().await;
    let ada = client(&app, ADA).await;
    app.member(BOB).await;
    let free = begin(&app, &ada, NEW).await.expect(202);
    app.advance(MINUTE);
    let ada = another_client(&app, ADA).await;
    let taken = begin(&app, &ada, BOB).await.expect(202);
    let (mut free, mut taken) = (shape(&free), shape(&taken));
    for shape in [&mut free, &mut taken] {
        shape.2["created_at"] = Value::Null;
        shape.2["expires_at"] = Value::Null;
    }
    assert_eq!(free, taken);
    // Her own mailbox sees the same too; only the owner of the address learns of it.
    assert_eq!(mails_of(&app, "accounts/leave_email", ADA).await.len(), 2);
    assert!(mails_of(&app, "accounts/confirm_email", BOB).await.is_empty());
    assert_eq!(mails_of(&app, "accounts/already_have_account", BOB).await.len(), 1);
    confirm(&app, &mailed(&app, "accounts/leave_email", ADA).await).await.expect(204);
    assert_eq!(address_of(&app, &ada).await, ADA);
}

#[tokio::test]
async fn rst10_a_waiting_change_dies_with_whatever_hints_at_a_thief() {
    type Act = fn(&TestApp, &Client) -> Request;
    let acts: [(&str, Act); 3] = [
        ("sign-out everywhere", |app, ada| app.post("/api/v1/me/sessions/actions/revoke").bearer(&ada.access).json(&json!({}))),
        ("sign-out elsewhere", |app, ada| {
            app.post("/api/v1/me/sessions/actions/revoke").bearer(&ada.access).json(&json!({ "except_current": true }))
        }),
        ("a new password", |app, ada| {
            let body = json!({ "current_password": PASSWORD, "new_password": OTHER });
            app.put("/api/v1/me/password").bearer(&ada.access).json(&body)
        }),
    ];
    for (name, act) in acts {
        let app = app().await;
        let ada = client(&app, ADA).await;
        let (at_new, at_old) = waiting(&app, &ada).await;
        confirm(&app, &at_old).await.expect(204);
        let answer = act(&app, &ada).await;
        assert!(answer.status.is_success(), "{name}: {answer}");
        confirm(&app, &at_new).await.expect(410).problem("token_spent");
        app.run_jobs().await;
    }
}

#[tokio::test]
async fn rst10_a_waiting_change_dies_by_reset_lock_time_and_a_newer_one() {
    let app = app().await;
    let ada = client(&app, ADA).await;
    let (by_reset, _) = waiting(&app, &ada).await;
    let token = reset_token(&app, ADA).await;
    reset(&app, &token, PASSWORD).await.expect(204);
    confirm(&app, &by_reset).await.expect(410).problem("token_spent");
    app.advance(MINUTE);
    let ada = another_client(&app, ADA).await;
    let (by_newer, _) = waiting(&app, &ada).await;
    app.advance(MINUTE);
    let (by_time, _) = waiting(&app, &ada).await;
    confirm(&app, &by_newer).await.expect(410).problem("token_spent");
    app.advance(DAY);
    confirm(&app, &by_time).await.expect(410).problem("token_spent");
    let ada = another_client(&app, ADA).await;
    let (by_lock, _) = waiting(&app, &ada).await;
    command(&app, &["user", "disable", ADA]).await.unwrap();
    confirm(&app, &by_lock).await.expect(410).problem("token_spent");
    app.run_jobs().await;
}

#[tokio::test]
async fn rst10_a_change_can_be_cancelled_by_whose_it_is() {
    let app = app().await;
    let (ada, bob) = (client(&app, ADA).await, client(&app, BOB).await);
    let (at_new, at_old) = waiting(&app, &ada).await;
    let id = app.get("/api/v1/me/email-changes").bearer(&ada.access).await.expect(200).text("/items/0/id");
    let cancel = |client: &Client, id: &str| app.delete(&format!("/api/v1/me/email-changes/{id}")).bearer(&client.access);
    // ENU-8: another person's change is not found, like one that never was.
    cancel(&bob, &id).await.expect(404).problem("not_found");
    cancel(&ada, "019ab0b2-8f00-7000-8000-00000000ffff").await.expect(404).problem("not_found");
    cancel(&ada, "nonsense").await.expect(404);
    cancel(&ada, &id).await.expect(204);
    cancel(&ada, &id).await.expect(404);
    for token in [at_new, at_old] {
        confirm(&app, &token).await.expect(410).problem("token_spent");
    }
}

#[tokio::test]
async fn rst10_the_old_address_takes_the_account_back_for_seven_days() {
    let app = app().await;
    let ada = client(&app, ADA).await;
    let browser = browser(&app, ADA).await;
    let token = moved(&app, &ada).await;
    app.advance(7 * DAY - SECOND);
    let known = event_count(&app).await;
    undo(&app, &token).await.expect(204);
    let events = events_after(&app, known).await;
    assert!(events.contains(&"accounts.email.change_undone".to_owned()), "{events:?}");
    // Every login is over, and the password, which somebody else may know, opens nothing any more.
    app.get("/api/v1/me").bearer(&ada.access).await.expect(401);
    refresh(&app, &ada.refresh).await.expect(401);
    browser.asks(app.get("/api/v1/me")).await.expect(401);
    for name in [ADA, NEW] {
        log_in(&app, name, PASSWORD).await.expect(401).problem("invalid_credentials");
    }
    let link = mailed(&app, "accounts/reset_password", ADA).await;
    reset(&app, &link, OTHER).await.expect(204);
    log_in(&app, ADA, OTHER).await.expect(200);
    undo(&app, &token).await.expect(410).problem("token_spent");
    app.run_jobs().await;
}

#[tokio::test]
async fn rst10_after_seven_days_a_change_stays() {
    let app = app().await;
    let ada = client(&app, ADA).await;
    let token = moved(&app, &ada).await;
    app.advance(7 * DAY);
    undo(&app, &token).await.expect(410).problem("token_spent");
    log_in(&app, NEW, PASSWORD).await.expect(200);
}

#[tokio::test]
async fn rst10_undoing_a_change_undoes_those_that_followed_it() {
    let app = app().await;
    let thief = client(&app, ADA).await;
    let first = moved(&app, &thief).await;
    app.advance(MINUTE);
    begin(&app, &thief, "thief@example.net").await.expect(202);
    confirm(&app, &mailed(&app, "accounts/leave_email", NEW).await).await.expect(204);
    confirm(&app, &mailed(&app, "accounts/confirm_email", "thief@example.net").await).await.expect(204);
    let second = mailed(&app, "accounts/email_changed", NEW).await;
    undo(&app, &first).await.expect(204);
    undo(&app, &second).await.expect(410).problem("token_spent");
    let link = mailed(&app, "accounts/reset_password", ADA).await;
    reset(&app, &link, OTHER).await.expect(204);
    assert_eq!(log_in(&app, ADA, OTHER).await.expect(200)["user"]["email"], ADA);
    app.run_jobs().await;
}

#[tokio::test]
async fn rst10_a_change_of_the_password_does_not_save_the_thief_from_the_undoing() {
    let app = app().await;
    let thief = client(&app, ADA).await;
    let token = moved(&app, &thief).await;
    let change = json!({ "current_password": PASSWORD, "new_password": OTHER });
    app.put("/api/v1/me/password").bearer(&thief.access).json(&change).await.expect(204);
    undo(&app, &token).await.expect(204);
    log_in(&app, NEW, OTHER).await.expect(401);
    app.run_jobs().await;
}

#[tokio::test]
async fn rst10_the_undoing_ends_the_keys_that_a_thief_may_have_made() {
    let app = app().await;
    let ada = client(&app, ADA).await;
    let key = app.post("/api/v1/me/api-keys").bearer(&ada.access).json(&json!({ "name": "Left behind", "scopes": [] }));
    let key = key.await.expect(201).text("/key");
    let token = moved(&app, &ada).await;
    app.get("/api/v1/me").bearer(&key).await.expect(200);
    undo(&app, &token).await.expect(204);
    app.get("/api/v1/me").bearer(&key).await.expect(401).problem("unauthenticated");
    app.run_jobs().await;
}

#[tokio::test]
async fn rst10_an_old_address_that_somebody_else_has_proven_is_not_taken_back() {
    let app = app().await;
    let ada = client(&app, ADA).await;
    let token = moved(&app, &ada).await;
    app.advance(HOUR);
    app.member(ADA).await;
    undo(&app, &token).await.expect(410).problem("token_spent");
    log_in(&app, ADA, PASSWORD).await.expect(200);
    assert_eq!(log_in(&app, NEW, PASSWORD).await.expect(200)["user"]["id"], ada.user_id.as_str());
    app.run_jobs().await;
}

#[tokio::test]
async fn sgn1_unexpired_address_change_ends_when_the_victim_proves_the_address() {
    let app = app().await;
    let attacker = client(&app, BOB).await;
    begin(&app, &attacker, ADA).await.expect(202);
    let (at_new, at_old) = (mailed(&app, "accounts/confirm_email", ADA).await, mailed(&app, "accounts/leave_email", BOB).await);
    confirm(&app, &at_old).await.expect(204);
    app.member(ADA).await;
    confirm(&app, &at_new).await.expect(410).problem("token_spent");
    assert_eq!(address_of(&app, &attacker).await, BOB);
    log_in(&app, ADA, PASSWORD).await.expect(200);
}

#[tokio::test]
async fn sgn2_a_made_change_ends_sign_ups_and_changes_to_the_address() {
    let app = app().await;
    let (ada, bob) = (client(&app, ADA).await, client(&app, BOB).await);
    let sign_up = pending_of(&app, NEW).await;
    begin(&app, &bob, NEW).await.expect(202);
    let bobs = mailed(&app, "accounts/confirm_email", NEW).await;
    app.advance(MINUTE);
    let ada = Client { access: refresh(&app, &ada.refresh).await.expect(200).text("/access_token"), ..ada };
    moved(&app, &ada).await;
    complete(&app, &json!({ "token": sign_up.token, "signup_token": sign_up.handle })).await.expect(410).problem("token_spent");
    confirm(&app, &bobs).await.expect(410).problem("token_spent");
}

#[tokio::test]
async fn rst4_a_change_of_address_voids_open_reset_links() {
    let app = app().await;
    let ada = client(&app, ADA).await;
    let link = reset_token(&app, ADA).await;
    moved(&app, &ada).await;
    reset(&app, &link, OTHER).await.expect(410).problem("token_spent");
}

#[tokio::test]
async fn rst4_each_token_does_what_it_is_for() {
    let app = app().await;
    let ada = client(&app, ADA).await;
    let link = reset_token(&app, ADA).await;
    let (at_new, at_old) = waiting(&app, &ada).await;
    for wrong in [&link, &ada.refresh, &"A".repeat(43), &"x".to_owned()] {
        confirm(&app, wrong).await.expect(400).problem("token_invalid");
        undo(&app, wrong).await.expect(400).problem("token_invalid");
    }
    for wrong in [&at_new, &at_old] {
        undo(&app, wrong).await.expect(400).problem("token_invalid");
        reset(&app, wrong, OTHER).await.expect(400).problem("token_invalid");
        complete(&app, &json!({ "token": wrong, "signup_token": wrong })).await.expect(400).problem("token_invalid");
    }
    confirm(&app, &at_new).await.expect(204);
    confirm(&app, &at_new).await.expect(410).problem("token_spent");
    confirm(&app, &at_old).await.expect(204);
    let back = mailed(&app, "accounts/email_changed", ADA).await;
    confirm(&app, &back).await.expect(400).problem("token_invalid");
}

#[tokio::test]
async fn rst5_opening_the_links_changes_nothing() {
    let app = app().await;
    let ada = client(&app, ADA).await;
    let (at_new, at_old) = waiting(&app, &ada).await;
    for token in [&at_new, &at_old] {
        for path in ["confirm", "undo"] {
            for method in [Method::GET, Method::HEAD] {
                let answer = app.request(method, &format!("/api/v1/auth/email/{path}?token={token}")).await;
                assert!(!answer.status.is_success(), "{answer}");
            }
        }
    }
    for (template, to, token) in [("accounts/confirm_email", NEW, &at_new), ("accounts/leave_email", ADA, &at_old)] {
        let mail = &mails_of(&app, template, to).await[0];
        assert!(mail.text.contains(&format!("http://undercroft.test/account/email#{token}")), "{}", mail.text);
    }
    confirm(&app, &at_new).await.expect(204);
    confirm(&app, &at_old).await.expect(204);
    let mail = &mails_of(&app, "accounts/email_changed", ADA).await[0];
    assert!(mail.text.contains("http://undercroft.test/account/email#undo="), "{}", mail.text);
}

#[tokio::test]
async fn what_is_no_new_address_is_refused() {
    let app = app().await;
    let ada = client(&app, ADA).await;
    for (email, code) in [
        ("a@b", "email_invalid"),
        ("x\r\nBcc: y@example.com", "email_invalid"),
        (&format!("{}@example.com", "x".repeat(250)), "email_invalid"),
        (ADA, "not_allowed"),
        ("ADA@Example.com", "not_allowed"),
    ] {
        begin(&app, &ada, email).await.expect(422).field("/email", code);
    }
    app.post("/api/v1/me/email-changes").json(&json!({ "email": NEW })).await.expect(401).problem("unauthenticated");
    assert_eq!(rows(&app, "accounts_email_changes").await, 0);
}

#[tokio::test]
async fn rst9_a_stranger_gets_one_mail_a_minute_and_three_an_hour_by_changes_to_their_address() {
    let app = app_with(&[("accounts.limits.mail_per_address", "3/h")]).await;
    let ada = client(&app, ADA).await;
    for minute in 0..8 {
        begin(&app, &ada, NEW).await.expect(202);
        begin(&app, &ada, NEW).await.expect(202);
        assert_eq!(mails_of(&app, "accounts/confirm_email", NEW).await.len(), (minute + 1).min(3));
        app.advance(MINUTE);
    }
}

#[tokio::test]
async fn rst9_asking_twice_keeps_the_links_and_another_address_waits_a_minute() {
    let app = app().await;
    let ada = client(&app, ADA).await;
    let (at_new, at_old) = waiting(&app, &ada).await;
    let first = app.get("/api/v1/me/email-changes").bearer(&ada.access).await.expect(200).text("/items/0/id");
    assert_eq!(begin(&app, &ada, NEW).await.expect(202).text("/id"), first);
    let refused = begin(&app, &ada, "other@example.org").await.expect(429).problem("rate_limited");
    assert_eq!(refused.header("retry-after"), "60");
    assert_eq!(mails_of(&app, "accounts/leave_email", ADA).await.len(), 1);
    confirm(&app, &at_new).await.expect(204);
    confirm(&app, &at_old).await.expect(204);
    assert_eq!(address_of(&app, &ada).await, NEW);
    app.run_jobs().await;
}

#[tokio::test]
async fn rst2_of_fifty_confirmations_of_one_token_one_counts() {
    let app = app().await;
    let ada = client(&app, ADA).await;
    let (at_new, at_old) = waiting(&app, &ada).await;
    for token in [at_new, at_old] {
        let answers = at_once((0..50).map(|_| confirm(&app, &token))).await;
        assert_eq!((count(&answers, 204), count(&answers, 410)), (1, 49));
    }
    assert_eq!(mails_of(&app, "accounts/email_changed", ADA).await.len(), 1);
    let token = mailed(&app, "accounts/email_changed", ADA).await;
    let answers = at_once((0..50).map(|_| undo(&app, &token))).await;
    assert_eq!((count(&answers, 204), count(&answers, 410)), (1, 49));
    assert_eq!(mails_of(&app, "accounts/reset_password", ADA).await.len(), 1);
}

#[tokio::test]
async fn rst2_both_confirmations_at_once_make_the_change_once() {
    let app = app().await;
    let twin = app.twin().await;
    let ada = client(&app, ADA).await;
    let (at_new, at_old) = waiting(&app, &ada).await;
    let answers = at_once((0..25).flat_map(|_| [confirm(&app, &at_new), confirm(&twin, &at_old)])).await;
    assert_eq!((count(&answers, 204), count(&answers, 410)), (2, 48));
    assert_eq!(address_of(&app, &ada).await, NEW);
    assert_eq!(app.event_names().await.iter().filter(|name| *name == "accounts.email.changed").count(), 1);
    app.run_jobs().await;
}

#[tokio::test]
async fn dat2_of_fifty_people_who_move_to_one_address_one_gets_it() {
    let app = app_with(&[("accounts.reset.email_change_needs_old", "false")]).await;
    let mut tokens = Vec::new();
    for number in 0..50 {
        let person = client(&app, &format!("person-{number}@example.com")).await;
        app.advance(MINUTE);
        begin(&app, &person, NEW).await.expect(202);
        tokens.push(mailed(&app, "accounts/confirm_email", NEW).await);
    }
    let answers = at_once(tokens.iter().map(|token| confirm(&app, token))).await;
    assert_eq!((count(&answers, 204), count(&answers, 410)), (1, 49));
    log_in(&app, NEW, PASSWORD).await.expect(200);
    app.run_jobs().await;
}

#[tokio::test]
async fn ended_changes_are_forgotten_once_nothing_can_undo_them() {
    let app = app().await;
    let ada = client(&app, ADA).await;
    moved(&app, &ada).await;
    app.advance(8 * DAY);
    app.run_jobs().await;
    assert_eq!(rows(&app, "accounts_email_changes").await, 1);
    app.advance(7 * DAY);
    app.run_jobs().await;
    assert_eq!(rows(&app, "accounts_email_changes").await, 0);
}
