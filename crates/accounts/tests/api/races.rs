//! Fifty at once: exactly one wins, and nothing breaks (RST-2, DAT-2, LOG-7, SGN-2).

use accounts::Accounts;
use serde_json::json;
use testkit::{PASSWORD, TestApp, TestResponse};

use crate::support::*;

/// One answer with `won`, all others with one of `lost`.
fn one_of_fifty(answers: &[TestResponse], won: u16, lost: &[u16]) {
    let losers: usize = lost.iter().map(|status| count(answers, *status)).sum();
    let statuses: Vec<u16> = answers.iter().map(|answer| answer.status.as_u16()).collect();
    assert_eq!((count(answers, won), losers), (1, 49), "{statuses:?}");
}

#[tokio::test]
async fn rst2_of_fifty_completions_of_a_sign_up_one_makes_the_account() {
    let app = app().await;
    let waiting = pending(&app, json!({ "email": ADA, "password": PASSWORD })).await;
    let body = |number: usize| match number % 3 {
        0 => json!({ "token": waiting.token, "signup_token": waiting.handle }),
        1 => json!({ "token": waiting.token, "password": PASSWORD }),
        _ => json!({ "token": waiting.token, "signup_token": waiting.handle, "username": format!("ada-{number}") }),
    };
    let answers = at_once((0..50).map(|number| complete(&app, &body(number)))).await;
    one_of_fifty(&answers, 201, &[410]);
    assert_eq!((rows(&app, "accounts_users").await, rows(&app, "accounts_sessions").await), (1, 1));
}

#[tokio::test]
async fn dat2_of_all_sign_ups_of_an_address_one_makes_the_account() {
    let app = app().await;
    let mut waiting = Vec::new();
    for typed in [ADA, "Ada@example.com", "ADA@example.com", ADA, ADA] {
        waiting.push(pending_of(&app, typed).await);
    }
    let body = |row: &Pending| json!({ "token": row.token, "signup_token": row.handle });
    let answers = at_once((0..50).map(|number| complete(&app, &body(&waiting[number % 5])))).await;
    one_of_fifty(&answers, 201, &[410]);
    assert_eq!((rows(&app, "accounts_users").await, rows(&app, "accounts_user_emails").await), (1, 1));
}

#[tokio::test]
async fn dat2_two_nodes_complete_sign_ups_of_one_address() {
    let app = app().await;
    let twin = app.twin().await;
    let (first, second) = (pending_of(&app, ADA).await, pending_of(&app, ADA).await);
    let body = |row: &Pending| json!({ "token": row.token, "signup_token": row.handle });
    let requests = (0..25).flat_map(|_| [complete(&app, &body(&first)), complete(&twin, &body(&second))]);
    one_of_fifty(&at_once(requests).await, 201, &[410]);
    assert_eq!(rows(&app, "accounts_users").await, 1);
}

#[tokio::test]
async fn r54_of_fifty_people_who_want_one_username_one_gets_it() {
    let app = app().await;
    let mut waiting = Vec::new();
    for number in 0..50 {
        waiting.push(pending_of(&app, &format!("person-{number}@example.com")).await);
    }
    let name = |number: usize| if number.is_multiple_of(2) { "countess" } else { "COUNTESS" };
    let body = |number: usize| json!({ "token": waiting[number].token, "signup_token": waiting[number].handle, "username": name(number) });
    let answers = at_once((0..50).map(|number| complete(&app, &body(number)))).await;
    one_of_fifty(&answers, 201, &[409]);
    for loser in answers.into_iter().filter(|answer| answer.status == 409) {
        loser.problem("username_taken");
    }
    assert_eq!(rows(&app, "accounts_users").await, 1);
}

#[tokio::test]
async fn rst2_of_fifty_uses_of_a_reset_link_one_counts() {
    let app = app().await;
    app.member(ADA).await;
    let token = reset_token(&app, ADA).await;
    let password = |number: usize| format!("a password with the number {number}");
    let answers = at_once((0..50).map(|number| reset(&app, &token, &password(number)))).await;
    one_of_fifty(&answers, 204, &[410]);
    let winner = answers.iter().position(|answer| answer.status == 204).unwrap();
    log_in(&app, ADA, &password(winner)).await.expect(200);
    assert_eq!(mails_of(&app, "accounts/password_changed", ADA).await.len(), 1);
}

#[tokio::test]
async fn log7_of_fifty_uses_of_the_owner_link_one_makes_the_owner() {
    let app = app().await;
    let token = owner_token(&app).await;
    let answers = at_once((0..50).map(|number| make_owner(&app, &token, &format!("owner-{number}@example.com")))).await;
    one_of_fifty(&answers, 201, &[404, 410]);
    assert_eq!(rows(&app, "accounts_users").await, 1);
}

#[tokio::test]
async fn tok7_of_fifty_refreshes_of_one_token_all_get_the_same_chain() {
    let app = app().await;
    let ada = client(&app, ADA).await;
    let twin = app.twin().await;
    let answers = at_once((0..25).flat_map(|_| [refresh(&app, &ada.refresh), refresh(&twin, &ada.refresh)])).await;
    let odd: Vec<String> = answers.iter().filter(|answer| answer.status != 200).map(|answer| answer.to_string()).collect();
    assert!(odd.is_empty(), "{odd:#?}");
    assert!(answers.iter().all(|answer| answer["refresh_token"] == answers[0]["refresh_token"]));
    // The chain of the client that signed up has one token, this one has two.
    assert_eq!(rows(&app, "accounts_refresh_tokens").await, 3);
    refresh(&app, &answers[0].text("/refresh_token")).await.expect(200);
}

#[tokio::test]
async fn a_logout_amid_fifty_refreshes_leaves_no_way_back() {
    let app = app().await;
    let ada = client(&app, ADA).await;
    let refreshes = (0..49).map(|_| refresh(&app, &ada.refresh));
    let logout = app.post("/api/v1/auth/logout").bearer(&ada.access);
    let answers = at_once(refreshes.chain([logout])).await;
    assert_eq!((count(&answers, 204), count(&answers, 500)), (1, 0));
    for answer in answers.iter().filter(|answer| answer.status == 200) {
        refresh(&app, &answer.text("/refresh_token")).await.expect(401);
        app.get("/api/v1/me").bearer(&answer.text("/access_token")).await.expect(401);
    }
}

#[tokio::test]
async fn fifty_logins_at_once_all_succeed() {
    let app = app().await;
    app.member(ADA).await;
    let answers = at_once((0..50).map(|_| log_in(&app, ADA, PASSWORD))).await;
    assert_eq!(count(&answers, 200), 50);
    assert_eq!(rows(&app, "accounts_sessions").await, 51);
}

#[tokio::test]
async fn log1_fifty_wrong_passwords_at_once_are_all_counted() {
    let app = app().await;
    app.member(ADA).await;
    let answers = at_once((0..50).map(|_| log_in(&app, ADA, WRONG))).await;
    assert_eq!(count(&answers, 401) + count(&answers, 429), 50);
    assert!(count(&answers, 401) >= 5);
    log_in(&app, ADA, PASSWORD).await.expect(429);
}

#[tokio::test]
async fn fifty_sign_ups_of_an_address_at_once_leave_five_open() {
    let app = app().await;
    let begin = |_| app.post("/api/v1/auth/signup").header("X-CSRF", "1").json(&json!({ "email": ADA }));
    let answers = at_once((0..50).map(begin)).await;
    assert_eq!(count(&answers, 202), 50);
    // Servers run these side by side, and each sees at first only what had committed; the next one cleans up.
    let last = pending_of(&app, ADA).await;
    let open = app.kernel().db().read(|c| {
        let row = c.opt::<i64>("SELECT COUNT(*) FROM accounts_pending_signups WHERE used_at IS NULL", db::params![])?;
        Ok::<_, db::Error>(row.unwrap_or(0))
    });
    assert_eq!(open.await.unwrap(), 5);
    complete(&app, &json!({ "token": last.token, "signup_token": last.handle })).await.expect(201);
}

#[tokio::test]
async fn fifty_password_changes_with_one_cookie_leave_one_password() {
    let app = app().await;
    app.member(ADA).await;
    let browser = browser(&app, ADA).await;
    let password = |number: usize| format!("a password with the number {number}");
    let change = |number: usize| {
        let body = json!({ "current_password": PASSWORD, "new_password": password(number) });
        browser.asks(app.put("/api/v1/me/password")).json(&body)
    };
    let answers = at_once((0..50).map(change)).await;
    let winners: Vec<usize> = (0..50).filter(|number| answers[*number].status == 204).collect();
    assert!(!winners.is_empty() && count(&answers, 500) == 0);
    let mut opened = 0;
    for number in winners {
        opened += usize::from(log_in(&app, ADA, &password(number)).await.status == 200);
        app.advance(15 * MINUTE);
    }
    assert_eq!(opened, 1);
    app.run_jobs().await;
}

/// The clients of those answers that were logins.
fn clients(answers: &[TestResponse]) -> Vec<Client> {
    answers.iter().filter(|answer| answer.status == 200).map(Client::of).collect()
}

async fn all_are_out(app: &TestApp, clients: &[Client]) {
    for client in clients {
        app.get("/api/v1/me").bearer(&client.access).await.expect(401);
        refresh(app, &client.refresh).await.expect(401);
    }
}

#[tokio::test]
async fn rst8_a_login_with_the_old_password_amid_a_reset_does_not_outlive_it() {
    let app = app().await;
    app.member(ADA).await;
    app.advance(MINUTE);
    let token = reset_token(&app, ADA).await;
    let logins = || (0..24).map(|_| log_in(&app, ADA, PASSWORD));
    let requests: Vec<_> = logins().chain([reset(&app, &token, OTHER)]).chain(logins()).collect();
    let answers = at_once(requests).await;
    assert_eq!((count(&answers, 204), count(&answers, 500)), (1, 0));
    all_are_out(&app, &clients(&answers)).await;
    app.advance(HOUR);
    log_in(&app, ADA, OTHER).await.expect(200);
    app.run_jobs().await;
}

#[tokio::test]
async fn pwd10_a_login_with_the_old_password_amid_a_change_does_not_outlive_it() {
    let app = app().await;
    let ada = client(&app, ADA).await;
    app.advance(MINUTE);
    let change = json!({ "current_password": PASSWORD, "new_password": OTHER });
    let logins = || (0..24).map(|_| log_in(&app, ADA, PASSWORD));
    let change = app.put("/api/v1/me/password").bearer(&ada.access).json(&change);
    let answers = at_once(logins().chain([change]).chain(logins()).collect::<Vec<_>>()).await;
    assert_eq!((count(&answers, 204), count(&answers, 500)), (1, 0));
    all_are_out(&app, &clients(&answers)).await;
    app.get("/api/v1/me").bearer(&ada.access).await.expect(200);
    app.run_jobs().await;
}

#[tokio::test]
async fn ses4_a_login_amid_being_disabled_does_not_come_back_with_the_person() {
    let app = app().await;
    app.member(ADA).await;
    let logins = at_once((0..49).map(|_| log_in(&app, ADA, PASSWORD)));
    let (answers, disabled) = futures_util::future::join(logins, command(&app, &["user", "disable", ADA])).await;
    disabled.unwrap();
    assert_eq!(count(&answers, 200) + count(&answers, 401) + count(&answers, 429), 49);
    command(&app, &["user", "enable", ADA]).await.unwrap();
    all_are_out(&app, &clients(&answers)).await;
}

#[tokio::test]
async fn rst8_a_password_change_by_an_ended_session_does_not_undo_a_reset() {
    // Real hashing, so that the reset is done while changes that were let in before it still wait for their hash.
    let app = TestApp::builder().module(Accounts::new()).setting("accounts.passwords.hash_threads", "1").start().await;
    app.member(ADA).await;
    let mut thieves = Vec::new();
    for _ in 0..10 {
        let thief = another_client(&app, ADA).await;
        app.get("/api/v1/me").bearer(&thief.access).await.expect(200);
        thieves.push(thief);
    }
    let token = reset_token(&app, ADA).await;
    let change = |thief: &Client| {
        let body = json!({ "current_password": PASSWORD, "new_password": "the thief's own password" });
        app.put("/api/v1/me/password").bearer(&thief.access).json(&body)
    };
    // Thieves before and after: some changes are let in before the reset is done, and finish after it.
    let (early, late) = thieves.split_at(5);
    let requests: Vec<_> = early.iter().map(change).chain([reset(&app, &token, OTHER)]).chain(late.iter().map(change)).collect();
    let answers = at_once(requests).await;
    let statuses: Vec<u16> = answers.iter().map(|answer| answer.status.as_u16()).collect();
    assert!(!statuses.contains(&500), "{statuses:?}");
    app.advance(HOUR);
    // A change that came first ended the link; once the reset is done, no session is left to change anything.
    match statuses[5] {
        204 => drop(log_in(&app, ADA, OTHER).await.expect(200)),
        _ => assert!(statuses.contains(&204), "{statuses:?}"),
    }
    app.run_jobs().await;
}
