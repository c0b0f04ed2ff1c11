//! testkit tried on a tiny module: what it lets pass, what it catches, what it cleans up.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use kernel::http::{Body, Created, Json, NoContent, Operation, Path};
use kernel::{Ctx, Id, Job, Module, Parts, Result};
use serde::{Deserialize, Serialize};
use serde_json::json;
use testkit::TestApp;
use utoipa::ToSchema;

enum Memo {}

/// A memo on the wire.
#[derive(Debug, Serialize, ToSchema)]
struct MemoView {
    /// The memo.
    #[schema(value_type = uuid::Uuid)]
    id: Id<Memo>,
    /// What it says.
    #[schema(max_length = 20)]
    text: String,
}

/// A memo to be made.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewMemo {
    /// What it says.
    #[schema(min_length = 1)]
    text: String,
}

kernel::event! {
    /// A memo was made.
    struct MemoMade as "memos.memo.made" {
        /// What it says.
        text: String,
    }
}

/// Reads the memo aloud.
#[derive(Serialize, Deserialize)]
struct ReadAloud {
    text: String,
}

impl Job for ReadAloud {
    const KIND: &'static str = "memos.read_aloud";
}

const MIGRATIONS: &[db::Migration] =
    db::migrations![(1, "memos", "CREATE TABLE memos (id {id} NOT NULL PRIMARY KEY, text {text} NOT NULL)")];

struct Memos;

impl Module for Memos {
    fn name(&self) -> &'static str {
        "memos"
    }

    fn register(&self, parts: &mut Parts<'_>) {
        parts
            .migrations(MIGRATIONS)
            .emits::<MemoMade>()
            .job(|ctx: Ctx, job: ReadAloud| async move {
                if job.text == "hopeless" { Err(kernel::Error::internal("no voice")) } else { ctx.read(|_| Ok(())).await }
            })
            .template(kernel::Template {
                name: "memos/made",
                locale: "en",
                subject: "Made",
                text: "See {{ link }}",
                html: "<p>{{ link }}</p>",
                sample: r#"{"link": "http://undercroft.test/memos#token"}"#,
            })
            .route(Operation::post("/api/v1/memos", "createMemo", create).tag("Memos").public())
            .route(Operation::get("/api/v1/memos/{id}", "getMemo", get).tag("Memos").public())
            .route(Operation::delete("/api/v1/memos/{id}", "deleteMemo", teapot).tag("Memos").public());
    }
}

async fn create(ctx: Ctx, Body(new): Body<NewMemo>) -> Result<Created<MemoView>> {
    let (id, text, token) = (ctx.new_id(), new.text.clone(), ctx.app.random().token());
    ctx.write(move |tx| {
        tx.execute("INSERT INTO memos (id, text) VALUES (?, ?)", db::params![id, text])?;
        tx.record(&MemoMade { text: text.clone() })?;
        tx.mail("memos/made", "ada@example.com", "en", &json!({ "link": format!("http://undercroft.test/memos#{token}") }))?;
        tx.enqueue(&ReadAloud { text: text.clone() })
    })
    .await?;
    Ok(Created { location: format!("/api/v1/memos/{id}"), body: MemoView { id, text: new.text } })
}

async fn get(ctx: Ctx, Path(id): Path<Id<Memo>>) -> Result<Json<MemoView>> {
    let text: String = ctx.read(move |c| Ok(c.one("SELECT text FROM memos WHERE id = ?", db::params![id])?)).await?;
    Ok(Json(MemoView { id, text }))
}

/// Raises a problem that its operation does not declare.
async fn teapot(_: Ctx, Path(_): Path<Id<Memo>>) -> Result<NoContent> {
    Err(kernel::error::GONE.error())
}

async fn app() -> TestApp {
    TestApp::with(vec![Arc::new(Memos)]).await
}

/// Runs `work`, which must panic, and gives back what the panic says.
async fn complaint(work: impl Future<Output = ()>) -> String {
    use std::pin::pin;
    let mut work = pin!(work);
    let caught = std::future::poll_fn(|cx| match catch_unwind(AssertUnwindSafe(|| work.as_mut().poll(cx))) {
        Ok(std::task::Poll::Ready(())) => std::task::Poll::Ready(None),
        Ok(std::task::Poll::Pending) => std::task::Poll::Pending,
        Err(panic) => std::task::Poll::Ready(Some(panic)),
    });
    let panic = caught.await.expect("a complaint");
    panic.downcast::<String>().map_or_else(|_| "no text".to_owned(), |text| *text)
}

#[tokio::test]
async fn a_journey_through_the_front_door_leaves_rows_events_and_mail() {
    let app = app().await;
    let made = app.post("/api/v1/memos").json(&json!({"text": "milk"})).await.expect(201);
    let found = app.get(made.header("location")).by(&app.anyone()).await.expect(200);
    assert_eq!((found["text"].as_str(), &found["id"]), (Some("milk"), &made["id"]));
    assert_eq!(app.events().await, [("memos.memo.made".to_owned(), json!({"text": "milk"}))]);
    assert_eq!(app.jobs().await.len(), 2, "the job and the mail");
    let mail = app.last_mail_to("ada@example.com").await;
    assert_eq!((mail.template.as_str(), mail.subject.as_str()), ("memos/made", "Made"));
    assert_eq!(testkit::token_in(&mail).len(), 43);
    assert!(app.jobs().await.is_empty());
}

#[tokio::test]
async fn time_moves_by_hand_and_statements_are_counted() {
    let app = app().await;
    assert_eq!(app.now().to_string(), "2026-11-22T12:00:00.000Z");
    app.advance(Duration::from_secs(90));
    assert_eq!(app.now().to_string(), "2026-11-22T12:01:30.000Z");
    let made = app.post("/api/v1/memos").json(&json!({"text": "milk"})).await.expect(201);
    let (_, count) = app.statements(async { app.get(made.header("location")).await.expect(200) }).await;
    assert_eq!(count, 1);
    app.run_jobs().await;
}

#[tokio::test]
async fn ids_repeat_from_test_to_test() {
    let ids = [app().await, app().await].map(|app| app.kernel().new_id::<Memo>());
    assert_eq!(ids[0], ids[1]);
}

#[tokio::test]
async fn problems_and_fields_are_read_by_name() {
    let app = app().await;
    let refused = app.post("/api/v1/memos").json(&json!({"text": "", "x": 1})).await.expect(422).problem("validation_failed");
    refused.field("/text", "too_short").field("/x", "unknown_field");
    app.get("/api/v1/memos/nonsense").await.problem("not_found");
    app.get("/api/v1/nothing").await.expect(404).problem("not_found");
    app.put("/api/v1/memos").await.expect(405);
}

#[tokio::test]
async fn r102_an_undeclared_status_is_drift() {
    let app = app().await;
    let text = complaint(async { drop(app.delete("/api/v1/memos/019ab0b2-8f00-7000-8000-000000000001").await) }).await;
    assert!(text.contains("deleteMemo does not declare the status 410"), "{text}");
}

#[tokio::test]
async fn r102_a_body_that_breaks_its_schema_is_drift() {
    let app = app().await;
    let text = complaint(async { drop(app.post("/api/v1/memos").json(&json!({"text": "longer than twenty characters"})).await) }).await;
    assert!(text.contains("does not satisfy the schema of createMemo 201 Created") && text.contains("/text"), "{text}");
    app.forget_jobs().await;
}

#[tokio::test]
async fn a_due_job_that_is_left_fails_the_test() {
    let app = app().await;
    app.post("/api/v1/memos").json(&json!({"text": "milk"})).await.expect(201);
    let url = app.database_url();
    let text = complaint(async { drop(app) }).await;
    assert!(text.contains("leaves jobs undone") && text.contains("memos.read_aloud: not run yet"), "{text}");
    assert!(!url.starts_with("sqlite:") || !std::path::Path::new(&url["sqlite:".len()..]).exists(), "{url} is still there");
}

#[tokio::test]
async fn a_dead_job_fails_the_test_and_one_that_waits_does_not() {
    let app = app().await;
    app.post("/api/v1/memos").json(&json!({"text": "hopeless"})).await.expect(201);
    app.run_jobs().await;
    assert_eq!(app.jobs().await, [("memos.read_aloud".to_owned(), 1, Some("no voice".to_owned()))]);
    for _ in 1..kernel::jobs::MAX_ATTEMPTS {
        app.advance(Duration::from_secs(30 * 3600));
        app.run_jobs().await;
    }
    let text = complaint(async { drop(app) }).await;
    assert!(text.contains("memos.read_aloud: no voice"), "{text}");
}

#[tokio::test]
async fn a_twin_serves_the_same_database() {
    let app = app().await;
    let twin = app.twin().await;
    let made = app.post("/api/v1/memos").json(&json!({"text": "milk"})).await.expect(201);
    twin.get(made.header("location")).await.expect(200);
    assert_ne!(app.address(), twin.address());
    app.run_jobs().await;
}

#[tokio::test]
async fn a_setting_is_a_flag() {
    let app = TestApp::builder().module(Memos).setting("limits.default_per_minute", "1").start().await;
    app.get("/api/v1/event-types").await.expect(200);
    app.get("/api/v1/event-types").await.expect(429).problem("rate_limited");
}
