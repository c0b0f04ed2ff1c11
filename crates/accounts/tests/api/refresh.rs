//! Refresh tokens: lost answers are repeated, thieves are caught, nobody with twenty tabs is logged out (TOK-7, TOK-8).

use std::collections::HashSet;

use crate::support::*;

#[tokio::test]
async fn tok7_a_lost_answer_is_given_again() {
    let app = app().await;
    let ada = client(&app, ADA).await;
    let first = refresh(&app, &ada.refresh).await.expect(200);
    let again = refresh(&app, &ada.refresh).await.expect(200);
    assert_eq!(first["refresh_token"], again["refresh_token"]);
    assert_ne!(first.text("/refresh_token"), ada.refresh);
    app.advance(8 * MINUTE);
    let late = refresh(&app, &ada.refresh).await.expect(200);
    assert_eq!(late["refresh_token"], first["refresh_token"]);
    assert_eq!(late["expires_in_seconds"], 600);
    app.get("/api/v1/me").bearer(&late.text("/access_token")).await.expect(200);
    refresh(&app, &late.text("/refresh_token")).await.expect(200);
}

#[tokio::test]
async fn tok7_twenty_tabs_that_refresh_at_once_hold_one_chain_and_stay_logged_in() {
    let app = app().await;
    let ada = client(&app, ADA).await;
    let known = event_count(&app).await;
    let answers = at_once((0..20).map(|_| refresh(&app, &ada.refresh))).await;
    assert_eq!(count(&answers, 200), 20);
    let successors: HashSet<String> = answers.iter().map(|answer| answer.text("/refresh_token")).collect();
    assert_eq!(successors.len(), 1);
    for answer in &answers {
        app.get("/api/v1/me").bearer(&answer.text("/access_token")).await.expect(200);
    }
    let next: Vec<String> = successors.into_iter().collect();
    refresh(&app, &next[0]).await.expect(200);
    assert!(events_after(&app, known).await.is_empty());
    assert!(mails_of(&app, "accounts/refresh_token_replayed", ADA).await.is_empty());
}

#[tokio::test]
async fn tok7_tabs_that_wake_one_after_another_stay_logged_in() {
    let app = app().await;
    let ada = client(&app, ADA).await;
    let known = event_count(&app).await;
    let mut successors = HashSet::new();
    for _ in 0..5 {
        let pair = refresh(&app, &ada.refresh).await.expect(200);
        app.get("/api/v1/me").bearer(&pair.text("/access_token")).await.expect(200);
        successors.insert(pair.text("/refresh_token"));
        app.advance(2 * SECOND);
    }
    assert_eq!(successors.len(), 1);
    assert!(events_after(&app, known).await.is_empty());
}

/// The thief's try is refused, the session is over for both, and its owner hears of it.
async fn caught(app: &testkit::TestApp, ada: &Client, newest: &[String]) {
    let known = event_count(app).await;
    refresh(app, &ada.refresh).await.expect(401).problem("refresh_token_invalid");
    assert_eq!(events_after(app, known).await, ["accounts.refresh_token.replayed", "accounts.session.revoked"]);
    for token in newest {
        refresh(app, token).await.expect(401).problem("refresh_token_invalid");
    }
    app.get("/api/v1/me").bearer(&ada.access).await.expect(401);
    assert_eq!(mails_of(app, "accounts/refresh_token_replayed", ADA).await.len(), 1);
    let audited = app.audit().await;
    let subject = Some(format!("session:{}", ada.session_id));
    assert!(audited.contains(&("accounts.refresh_token.exchange".to_owned(), subject, "replayed".to_owned())), "{audited:?}");
    // Once only.
    refresh(app, &ada.refresh).await.expect(401);
    assert_eq!(mails_of(app, "accounts/refresh_token_replayed", ADA).await.len(), 1);
}

#[tokio::test]
async fn tok7_an_old_token_after_its_successor_was_used_ends_the_session() {
    let app = app().await;
    let ada = client(&app, ADA).await;
    let second = refresh(&app, &ada.refresh).await.expect(200).text("/refresh_token");
    let third = refresh(&app, &second).await.expect(200).text("/refresh_token");
    caught(&app, &ada, &[second, third]).await;
}

#[tokio::test]
async fn tok7_an_old_token_after_the_new_access_token_was_used_ends_the_session() {
    let app = app().await;
    let ada = client(&app, ADA).await;
    let pair = refresh(&app, &ada.refresh).await.expect(200);
    app.get("/api/v1/me").bearer(&pair.text("/access_token")).await.expect(200);
    app.advance(11 * SECOND);
    caught(&app, &ada, &[pair.text("/refresh_token")]).await;
}

#[tokio::test]
async fn tok7_a_thief_ends_only_the_session_he_stole_from() {
    let app = app().await;
    let (ada, other) = (client(&app, ADA).await, another_client(&app, ADA).await);
    let second = refresh(&app, &ada.refresh).await.expect(200).text("/refresh_token");
    refresh(&app, &second).await.expect(200);
    refresh(&app, &ada.refresh).await.expect(401);
    app.get("/api/v1/me").bearer(&other.access).await.expect(200);
    refresh(&app, &other.refresh).await.expect(200);
    app.run_jobs().await;
}

#[tokio::test]
async fn tok7_fifty_thieves_at_once_cause_one_alarm() {
    let app = app().await;
    let ada = client(&app, ADA).await;
    let second = refresh(&app, &ada.refresh).await.expect(200).text("/refresh_token");
    refresh(&app, &second).await.expect(200);
    let known = event_count(&app).await;
    let answers = at_once((0..50).map(|_| refresh(&app, &ada.refresh))).await;
    assert_eq!(count(&answers, 401), 50);
    assert_eq!(events_after(&app, known).await, ["accounts.refresh_token.replayed", "accounts.session.revoked"]);
    assert_eq!(mails_of(&app, "accounts/refresh_token_replayed", ADA).await.len(), 1);
}

#[tokio::test]
async fn tok8_an_unused_refresh_token_ends_after_fourteen_days() {
    let app = app().await;
    let ada = client(&app, ADA).await;
    app.advance(14 * DAY - SECOND);
    let next = refresh(&app, &ada.refresh).await.expect(200);
    app.get("/api/v1/me").bearer(&next.text("/access_token")).await.expect(200);
    app.advance(14 * DAY);
    refresh(&app, &next.text("/refresh_token")).await.expect(401).problem("refresh_token_invalid");
}

#[tokio::test]
async fn tok8_a_chain_of_refresh_tokens_ends_after_thirty_days() {
    let app = app().await;
    let ada = client(&app, ADA).await;
    let mut token = ada.refresh;
    for _ in 0..5 {
        app.advance(5 * DAY);
        token = refresh(&app, &token).await.expect(200).text("/refresh_token");
    }
    app.advance(5 * DAY - SECOND);
    let last = refresh(&app, &token).await.expect(200);
    app.get("/api/v1/me").bearer(&last.text("/access_token")).await.expect(200);
    app.advance(SECOND);
    refresh(&app, &last.text("/refresh_token")).await.expect(401).problem("refresh_token_invalid");
    app.get("/api/v1/me").bearer(&last.text("/access_token")).await.expect(401);
}

#[tokio::test]
async fn tok8_the_lives_of_a_clients_tokens_are_settings() {
    let settings =
        [("accounts.tokens.refresh_idle", "1h"), ("accounts.tokens.refresh_absolute", "90m"), ("accounts.tokens.access_ttl", "1m")];
    let app = app_with(&settings).await;
    let ada = client(&app, ADA).await;
    app.advance(50 * MINUTE);
    let next = refresh(&app, &ada.refresh).await.expect(200);
    assert_eq!(next["expires_in_seconds"], 60);
    app.advance(39 * MINUTE);
    let last = refresh(&app, &next.text("/refresh_token")).await.expect(200);
    app.advance(MINUTE);
    refresh(&app, &last.text("/refresh_token")).await.expect(401);
}

#[tokio::test]
async fn what_is_no_refresh_token_is_refused_alike() {
    let app = app().await;
    let ada = client(&app, ADA).await;
    let browser = browser(&app, ADA).await;
    for wrong in ["x", &"A".repeat(43), &"A".repeat(256), browser.cookie.trim_start_matches("sid="), &ada.access[..200]] {
        refresh(&app, wrong).await.expect(401).problem("refresh_token_invalid");
    }
    refresh(&app, "").await.expect(422);
    refresh(&app, &"A".repeat(257)).await.expect(422);
    refresh(&app, &ada.refresh).await.expect(200);
}
