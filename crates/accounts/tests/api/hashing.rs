//! The line before the hashing threads is short and says so (HSH-2, HSH-5).

use std::time::{Duration, Instant};

use accounts::Accounts;
use serde_json::json;
use testkit::{PASSWORD, TestApp};

use crate::support::*;

/// An app with real hashing, one thread and room for one job in line.
async fn narrow() -> TestApp {
    let builder = TestApp::builder().module(Accounts::new());
    builder.setting("accounts.passwords.hash_threads", "1").setting("accounts.passwords.hash_queue", "1").start().await
}

#[tokio::test]
async fn hsh2_a_login_beyond_the_line_is_told_to_come_back() {
    let app = narrow().await;
    app.member(ADA).await;
    let answers = at_once((0..30).map(|number| log_in(&app, &format!("nobody-{number}"), WRONG))).await;
    let (refused, checked) = (count(&answers, 503), count(&answers, 401));
    assert!(refused > 0 && checked > 0 && refused + checked == 30, "{refused} refused, {checked} checked");
    for busy in answers.into_iter().filter(|answer| answer.status == 503) {
        let seconds: u64 = busy.problem("hasher_busy").header("retry-after").parse().unwrap();
        assert!(seconds >= 1);
    }
    log_in(&app, ADA, PASSWORD).await.expect(200);
}

#[tokio::test]
async fn hsh2_every_door_that_hashes_can_be_busy() {
    let app = narrow().await;
    let ada = client(&app, ADA).await;
    let bob = pending_of(&app, BOB).await;
    let token = reset_token(&app, ADA).await;
    let owner = owner_token(&app).await;
    let crowd = (0..20).map(|number| log_in(&app, &format!("nobody-{number}"), WRONG));
    let doors = [
        app.post("/api/v1/auth/signup").header("X-CSRF", "1").json(&json!({ "email": "eve@example.com", "password": PASSWORD })),
        complete(&app, &json!({ "token": bob.token, "signup_token": bob.handle, "password": PASSWORD })),
        reset(&app, &token, OTHER),
        make_owner(&app, &owner, "owner@example.com"),
        app.put("/api/v1/me/password").bearer(&ada.access).json(&json!({ "current_password": WRONG, "new_password": OTHER })),
        app.post("/api/v1/auth/reauthenticate").bearer(&ada.access).json(&json!({ "password": WRONG })),
    ];
    let answers = at_once(crowd.chain(doors)).await;
    // The checker has compared each 503 with what its operation declares; nothing was an internal error.
    assert_eq!(count(&answers, 500), 0);
    assert!(count(&answers, 503) > 0);
    app.run_jobs().await;
}

#[tokio::test]
async fn hsh4_a_flood_from_one_address_does_not_hold_up_another() {
    let builder = TestApp::builder().module(Accounts::new()).setting("http.trusted_proxies", "loopback");
    let app = builder.setting("accounts.passwords.hash_threads", "1").start().await;
    app.member(ADA).await;
    let done = std::sync::Mutex::new(Vec::new());
    let flood = (0..30).map(|number| (format!("nobody-{number}"), WRONG, "203.0.113.1"));
    let requests = flood.chain([(ADA.to_owned(), PASSWORD, "203.0.113.2")]).map(|(name, password, address)| {
        let (request, done) = (log_in(&app, &name, password).header("X-Forwarded-For", address), &done);
        async move {
            let answer = request.await;
            done.lock().unwrap().push((address, answer.status.as_u16()));
        }
    });
    futures_util::future::join_all(requests).await;
    let done = done.into_inner().unwrap();
    let place = done.iter().position(|(address, _)| *address == "203.0.113.2").unwrap();
    assert_eq!(done[place].1, 200);
    assert!(place < 15, "{place} of {} before it", done.len());
}

#[tokio::test]
async fn hsh5_who_hangs_up_leaves_the_line() {
    let app = narrow().await;
    app.member(ADA).await;
    for number in 0..20 {
        let hung_up = tokio::time::timeout(Duration::from_millis(5), log_in(&app, &format!("nobody-{number}"), WRONG).send());
        drop(hung_up.await);
    }
    let started = Instant::now();
    loop {
        let answer = log_in(&app, ADA, PASSWORD).await;
        if answer.status == 200 {
            break;
        }
        answer.expect(503);
        assert!(started.elapsed() < Duration::from_secs(10), "the line never empties");
    }
}
