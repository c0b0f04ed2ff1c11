//! Many at once: one version, one winner.

use std::collections::BTreeMap;

use serde_json::json;
use tokio::task::JoinSet;

use crate::{app, note};

/// How often each status was answered by these requests, all sent at once.
async fn tally(requests: impl IntoIterator<Item = testkit::Request>) -> BTreeMap<u16, usize> {
    let mut running: JoinSet<_> = requests.into_iter().map(testkit::Request::send).collect();
    let mut counts = BTreeMap::new();
    while let Some(answer) = running.join_next().await {
        *counts.entry(answer.expect("an answer").status.as_u16()).or_default() += 1;
    }
    counts
}

#[tokio::test]
async fn r60_fifty_writers_with_one_etag_have_one_winner() {
    let app = app().await;
    let made = note(&app, "x").await;
    let writer = |n: i32| app.patch(made.header("location")).header("If-Match", "\"v1\"").json(&json!({"body": format!("writer {n}")}));
    assert_eq!(tally((0..50).map(writer)).await, BTreeMap::from([(200, 1), (412, 49)]));
    assert_eq!(app.get(made.header("location")).await["version"], 2);
}

#[tokio::test]
async fn r54_fifty_creates_of_one_title_make_one_note() {
    let app = app().await;
    let create = |_| app.post("/api/v1/notes").json(&json!({"title": "the one"}));
    assert_eq!(tally((0..50).map(create)).await, BTreeMap::from([(201, 1), (409, 49)]));
    assert_eq!(app.event_names().await.len(), 1);
    app.run_jobs().await;
}

#[tokio::test]
async fn r60_fifty_writers_without_a_precondition_all_count() {
    let app = app().await;
    let made = note(&app, "x").await;
    let writer = |n: i32| app.patch(made.header("location")).json(&json!({"body": format!("writer {n}")}));
    assert_eq!(tally((0..50).map(writer)).await, BTreeMap::from([(200, 50)]));
    assert_eq!(app.get(made.header("location")).await["version"], 51);
}
