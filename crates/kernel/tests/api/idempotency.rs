//! Retries: the effect happens once, the answer is the same.

use std::sync::Arc;

use serde_json::json;
use testkit::{Doorman, TestApp, TestResponse};
use tokio::task::JoinSet;

use crate::app;
use crate::notes::Switches;

const KEY: &str = "a-key-that-nobody-guesses";

fn create(node: &testkit::Node, key: &str, title: &str) -> testkit::Request {
    node.post("/api/v1/notes").header("Idempotency-Key", key).json(&json!({ "title": title }))
}

async fn titles(app: &TestApp) -> Vec<String> {
    let list = app.get("/api/v1/notes?limit=100").await.expect(200);
    list["items"].as_array().unwrap().iter().map(|note| note["title"].as_str().unwrap().to_owned()).collect()
}

fn is_replay(answer: &TestResponse) -> bool {
    answer.header("idempotency-replayed") == "true"
}

#[tokio::test]
async fn r62_a_retry_replays_the_stored_answer() {
    let app = app().await;
    let first = create(&app, KEY, "x").await.expect(201);
    let again = create(&app, KEY, "x").await.expect(201);
    assert!(!is_replay(&first) && is_replay(&again));
    assert_eq!(first.bytes, again.bytes);
    for name in ["location", "etag", "content-type"] {
        assert_eq!(first.header(name), again.header(name), "{name}");
    }
    let quoted = create(&app, &format!("\"{KEY}\""), "x").await.expect(201);
    assert!(is_replay(&quoted), "a structured-field string is the same key");
    assert_eq!(titles(&app).await, ["x"]);
    assert_eq!(app.event_names().await.len(), 1);
    app.run_jobs().await;
}

#[tokio::test]
async fn r62_a_patch_is_replayed_too() {
    let app = app().await;
    let made = create(&app, KEY, "x").await.expect(201);
    let patch = || app.patch(made.header("location")).header("Idempotency-Key", KEY).json(&json!({"body": "y"}));
    assert_eq!(patch().await.expect(200)["version"], 2);
    let again = patch().await.expect(200);
    assert!(is_replay(&again) && again["version"] == 2);
    app.run_jobs().await;
}

#[tokio::test]
async fn r62_a_key_is_not_used_for_another_request() {
    let app = app().await;
    create(&app, KEY, "x").await.expect(201);
    create(&app, KEY, "y").await.expect(422).problem("idempotency_key_reused");
    app.run_jobs().await;
}

#[tokio::test]
async fn r62_a_key_has_a_form_and_strangers_need_a_long_one() {
    let app = app().await;
    for bad in ["", &"k".repeat(256), "has space inside the key text", "short"] {
        create(&app, bad, "x").await.expect(400).problem("idempotency_key_invalid");
    }
    create(&app, "short", "x").by(&Doorman::person("ada", &[])).await.expect(201);
    create(&app, &"k".repeat(255), "y").await.expect(201);
    app.run_jobs().await;
}

#[tokio::test]
async fn r62_keys_of_different_people_are_different() {
    let app = app().await;
    for (name, title) in [("ada", "x"), ("bob", "y")] {
        let answer = create(&app, "1", title).by(&Doorman::person(name, &[])).await.expect(201);
        assert!(!is_replay(&answer));
    }
    app.run_jobs().await;
}

#[tokio::test]
async fn r62_a_running_twin_is_told_to_wait() {
    let app = app().await;
    let switches = app.kernel().state::<Arc<Switches>>().clone();
    let slow = || app.post("/api/v1/note-waits").header("Idempotency-Key", KEY).json(&json!({"title": "x"}));
    let mut first = JoinSet::new();
    first.spawn(slow().send());
    switches.started.notified().await;
    let refused = slow().await.expect(409).problem("idempotency_key_in_use");
    assert_eq!(refused.header("retry-after"), "1");
    switches.go_on.notify_one();
    let answer = first.join_next().await.unwrap().unwrap().expect(201);
    assert!(!is_replay(&answer) && is_replay(&slow().await.expect(201)));
    app.run_jobs().await;
}

#[tokio::test]
async fn r62_fifty_retries_at_once_have_one_effect_and_one_body() {
    let app = app().await;
    let mut running: JoinSet<_> = (0..50).map(|_| create(&app, KEY, "x").send()).collect();
    let mut bodies = Vec::new();
    while let Some(answer) = running.join_next().await {
        let answer = answer.unwrap();
        match answer.status.as_u16() {
            201 => bodies.push(answer.bytes),
            _ => drop(answer.expect(409).problem("idempotency_key_in_use")),
        }
    }
    bodies.push(create(&app, KEY, "x").await.expect(201).bytes);
    bodies.dedup();
    assert_eq!((bodies.len(), titles(&app).await.len(), app.event_names().await.len()), (1, 1, 1));
    app.run_jobs().await;
}

#[tokio::test]
async fn r62_two_nodes_share_their_keys() {
    let app = app().await;
    let twin = app.twin().await;
    let first = create(&app, KEY, "x").await.expect(201);
    let other = create(&twin, KEY, "x").await.expect(201);
    assert!(is_replay(&other) && other.bytes == first.bytes);
    let mut running: JoinSet<_> = (0..20).map(|n| create(if n % 2 == 0 { &app } else { &twin }, &format!("{KEY}-2"), "y").send()).collect();
    while let Some(answer) = running.join_next().await {
        let answer = answer.unwrap();
        assert!(matches!(answer.status.as_u16(), 201 | 409), "{answer}");
    }
    assert_eq!(titles(&app).await, ["x", "y"]);
    app.run_jobs().await;
}

#[tokio::test]
async fn r62_what_failed_may_be_tried_again_with_the_same_key() {
    let app = app().await;
    create(&app, KEY, "").await.expect(422).problem("validation_failed");
    create(&app, KEY, "x").await.expect(201);
    create(&app, &format!("{KEY}-2"), "x").await.expect(409).problem("title_taken");
    app.run_jobs().await;
}

#[tokio::test]
async fn dat1_a_stored_answer_is_sealed_and_forgotten_after_a_day() {
    let app = app().await;
    create(&app, KEY, "a title that only the note itself may show").await.expect(201);
    let dump = app.kernel().db().dump_text().unwrap();
    let places: Vec<&str> =
        dump.iter().filter(|(_, value)| format!("{value:?}").contains("only the note itself")).map(|(place, _)| place.as_str()).collect();
    assert_eq!(places, ["notes.title"]);
    app.run_jobs().await;
    app.advance(std::time::Duration::from_secs(26 * 3600));
    app.run_jobs().await;
    create(&app, KEY, "another title").await.expect(201);
    app.run_jobs().await;
}
