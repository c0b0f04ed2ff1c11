//! The kernel through the front door: a module of notes, real connections, every answer compared with the OpenAPI document.

#![expect(clippy::unwrap_used, reason = "also the helpers of tests may fail a test")]

mod background;
mod bad_input;
mod browsers;
mod concurrency;
mod connections;
mod document;
mod edge;
mod idempotency;
mod lists;
mod mail_texts;
mod media;
mod notes;
mod richtext;

use serde_json::json;
use testkit::{TestApp, TestResponse};

/// An app with notes and somebody at the door.
async fn app() -> TestApp {
    app_with(&[]).await
}

/// The same with other settings.
async fn app_with(settings: &[(&str, &str)]) -> TestApp {
    let builder = TestApp::builder().module(testkit::Doorman).module(notes::Notes);
    settings.iter().fold(builder, |builder, (key, value)| builder.setting(key, value)).start().await
}

/// A new note.
async fn note(app: &TestApp, title: &str) -> TestResponse {
    let made = app.post("/api/v1/notes").json(&json!({ "title": title })).await.expect(201);
    app.run_jobs().await;
    made
}
