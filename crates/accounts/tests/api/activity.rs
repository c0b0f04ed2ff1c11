//! What somebody sees of the audit trail, and what a flood at the login door leaves there (PRV-2, LOG-6).

use serde_json::{Value, json};
use testkit::{PASSWORD, TestApp};

use crate::support::*;

async fn activity(app: &TestApp, client: &Client, query: &str) -> Value {
    app.kernel().flush_audit().await.unwrap_or_else(|error| panic!("{error}"));
    app.get(&format!("/api/v1/me/activity{query}")).bearer(&client.access).await.expect(200).body
}

fn actions(page: &Value) -> Vec<(String, String, String)> {
    let text = |row: &Value, name: &str| row[name].as_str().unwrap_or_default().to_owned();
    page["items"].as_array().expect("a list").iter().map(|row| (text(row, "action"), text(row, "result"), text(row, "by"))).collect()
}

fn line(action: &str, result: &str, by: &str) -> (String, String, String) {
    (action.to_owned(), result.to_owned(), by.to_owned())
}

#[tokio::test]
async fn prv2_everybody_sees_their_own_activity_and_nobody_elses() {
    let app = app().await;
    let (ada, bob) = (client(&app, ADA).await, client(&app, BOB).await);
    log_in(&app, ADA, WRONG).header("User-Agent", "Guesser/1.0").await.expect(401);
    app.patch("/api/v1/me").bearer(&ada.access).json(&json!({ "locale": "de" })).await.expect(200);
    command(&app, &["user", "disable", BOB]).await.unwrap();
    command(&app, &["user", "enable", BOB]).await.unwrap();
    let bob = Client { access: another_client(&app, BOB).await.access, ..bob };
    let page = activity(&app, &ada, "?limit=2").await;
    assert_eq!(
        actions(&page),
        [line("accounts.user.update", "ok", "you"), line("accounts.session.start", "invalid_credentials", "nobody")]
    );
    assert_eq!(page["items"][1]["user_agent"], "Guesser/1.0");
    assert_eq!(page["items"][1]["subject"], format!("user:{}", ada.user_id));
    let page = activity(&app, &bob, "?limit=3").await;
    let expected = [
        line("accounts.session.start", "ok", "nobody"),
        line("accounts.user.enable", "ok", "system"),
        line("accounts.user.disable", "ok", "system"),
    ];
    assert_eq!(actions(&page), expected);
    for (client, other) in [(&ada, &bob), (&bob, &ada)] {
        let all = activity(&app, client, "?limit=100").await.to_string();
        assert!(!all.contains(&other.user_id), "{all}");
    }
    app.run_jobs().await;
}

#[tokio::test]
async fn prv2_what_an_administrator_did_shows_neither_who_nor_from_where() {
    let app = app().await;
    let ada = client(&app, ADA).await;
    let (subject, request) = (format!("user:{}", ada.user_id), kernel::RequestInfo::internal("x"));
    let boss = app.owner().await;
    let user_id = boss.user_id.parse().unwrap();
    let identity =
        kernel::Identity { user_id, session_id: kernel::Id::from_uuid(user_id.uuid()), authenticated_at: app.now(), admin_until: None };
    let actor = kernel::Actor::user(identity.into(), kernel::Permissions::everything(), kernel::CredentialKind::Bearer);
    let request = kernel::RequestInfo { client_address: "198.51.100.3".parse().unwrap(), ..request };
    let ctx = kernel::Ctx::new(app.kernel().clone(), actor, request.into());
    ctx.write(move |tx| tx.audit(kernel::AuditEntry::ok("accounts.user.note", &subject))).await.unwrap();
    let page = activity(&app, &ada, "?limit=1").await;
    assert_eq!(actions(&page), [line("accounts.user.note", "ok", "somebody_else")]);
    assert!(!page.to_string().contains("198.51.100.3") && !page.to_string().contains(&boss.user_id), "{page}");
    app.run_jobs().await;
}

#[tokio::test]
async fn prv2_activity_is_walked_page_by_page_without_gap_or_repetition() {
    let app = app().await;
    let ada = client(&app, ADA).await;
    for number in 0..6 {
        let locale = if number % 2 == 0 { "de" } else { "en" };
        app.patch("/api/v1/me").bearer(&ada.access).json(&json!({ "locale": locale })).await.expect(200);
        if number % 3 == 0 {
            log_in(&app, ADA, WRONG).await.expect(401);
        }
    }
    let all = activity(&app, &ada, "?limit=100").await["items"].as_array().unwrap().clone();
    let (mut seen, mut query) = (Vec::new(), "?limit=2".to_owned());
    loop {
        let page = activity(&app, &ada, &query).await;
        seen.extend(page["items"].as_array().unwrap().iter().cloned());
        let Some(cursor) = page["next_cursor"].as_str() else { break };
        query = format!("?limit=2&cursor={cursor}");
    }
    assert!(seen.len() >= 9, "{seen:?}");
    assert_eq!(seen, all);
    let stolen = activity(&app, &ada, "?limit=2").await["next_cursor"].as_str().unwrap().to_owned();
    let bob = client(&app, BOB).await;
    let refused = app.get(&format!("/api/v1/me/activity?limit=2&cursor={stolen}")).bearer(&bob.access).await.expect(400);
    refused.problem("cursor_invalid");
    app.run_jobs().await;
}

#[tokio::test]
async fn prv2_a_flood_of_failed_logins_does_not_write_a_row_each() {
    let app = app().await;
    let before = app.audit().await.len();
    let answers = at_once((0..300).map(|number| log_in(&app, &format!("made-up-{number}"), WRONG))).await;
    assert_eq!(count(&answers, 401), 300);
    let rows = app.audit().await.split_off(before);
    assert_eq!(rows.len(), 101, "a hundred rows, and one for the two hundred that followed");
    assert_eq!(rows.iter().filter(|row| row.1.is_none()).count(), 1);
    let detail = app.kernel().db().read(|c| c.one::<String>("SELECT detail FROM platform_audit WHERE subject IS NULL", db::params![]));
    let detail: Value = serde_json::from_str(&detail.await.unwrap()).unwrap();
    assert_eq!((&detail["count"], &detail["same"]), (&json!(200), &json!("address")));
    // The owner of a name gets in all the same, and that is a row.
    app.member(ADA).await;
    log_in(&app, ADA, PASSWORD).await.expect(200);
    app.run_jobs().await;
}

#[tokio::test]
async fn log6_a_wrong_guess_at_ones_own_password_is_audited() {
    let app = app().await;
    let ada = client(&app, ADA).await;
    let before = app.audit().await.len();
    app.post("/api/v1/auth/reauthenticate").bearer(&ada.access).json(&json!({ "password": WRONG })).await.expect(422);
    let rows = app.audit().await.split_off(before);
    let subject = Some(format!("user:{}", ada.user_id));
    assert_eq!(rows, [("accounts.password.verify".to_owned(), subject, "current_password_wrong".to_owned())]);
}
