//! What follows a request: jobs, events, schedules, mail.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use kernel::{Ctx, Error};
use serde_json::json;
use testkit::{SmtpSink, TestApp};

use crate::notes::{Switches, Work, marks};
use crate::{app, app_with};

fn switches(node: &testkit::Node) -> Arc<Switches> {
    node.kernel().state::<Arc<Switches>>().clone()
}

async fn enqueue(app: &TestApp) {
    let ctx = Ctx::system(app.kernel(), "test");
    ctx.write(|tx| tx.enqueue(&Work { mark: "work".to_owned() })).await.unwrap();
}

#[tokio::test]
async fn a_job_that_fails_is_tried_again_later_and_later_until_it_is_dead() {
    let app = app().await;
    switches(&app).fails.store(true, Ordering::Relaxed);
    enqueue(&app).await;
    let waits = [5, 30, 120, 600, 1_800, 7_200, 18_000, 36_000, 50_400, 64_800, 79_200];
    for (attempt, wait) in (1..).zip(waits) {
        app.run_jobs().await;
        assert_eq!(app.jobs().await, [("notes.work".to_owned(), attempt, Some("no strength left".to_owned()))]);
        app.advance(Duration::from_secs(wait * 79 / 100));
        app.run_jobs().await;
        assert_eq!(app.jobs().await[0].1, attempt, "not before its time");
        app.advance(Duration::from_secs(wait * 42 / 100 + 1));
    }
    app.run_jobs().await;
    let counts = app.kernel().job_counts().await.unwrap();
    assert_eq!((counts.waiting, counts.dead, app.jobs().await[0].1), (0, 1, 12));
    app.advance(Duration::from_secs(30 * 24 * 3600));
    app.run_jobs().await;
    assert_eq!(app.jobs().await[0].1, 12, "a dead job stays dead");
    app.forget_jobs().await;
}

#[tokio::test]
async fn a_job_that_panics_is_tried_again() {
    let app = app().await;
    switches(&app).panics.store(true, Ordering::Relaxed);
    enqueue(&app).await;
    app.run_jobs().await;
    assert_eq!(app.jobs().await, [("notes.work".to_owned(), 1, Some("the job panicked".to_owned()))]);
    switches(&app).panics.store(false, Ordering::Relaxed);
    app.advance(Duration::from_secs(7));
    app.run_jobs().await;
    assert_eq!((marks(&app, "work").await, app.jobs().await.len()), (1, 0));
}

#[tokio::test]
async fn a_job_whose_runner_died_is_taken_over_when_its_lease_ends() {
    let app = app().await;
    let twin = app.twin().await;
    switches(&twin).hangs.store(true, Ordering::Relaxed);
    enqueue(&app).await;
    let signs = switches(&twin);
    tokio::select! {
        _ = twin.kernel().run_due_jobs() => panic!("the job hangs"),
        () = signs.started.notified() => {}
    }
    app.run_jobs().await;
    assert_eq!(marks(&app, "work").await, 0, "the dead runner's lease still holds");
    app.advance(Duration::from_secs(61));
    app.run_jobs().await;
    assert_eq!((marks(&app, "work").await, app.jobs().await.len()), (1, 0));
}

#[tokio::test]
async fn a_job_that_ends_every_runner_is_given_up() {
    let app = app().await;
    let twin = app.twin().await;
    switches(&twin).hangs.store(true, Ordering::Relaxed);
    enqueue(&app).await;
    let signs = switches(&twin);
    for _ in 0..kernel::jobs::MAX_ATTEMPTS {
        tokio::select! {
            _ = twin.kernel().run_due_jobs() => panic!("the job hangs"),
            () = signs.started.notified() => {}
        }
        app.advance(Duration::from_secs(61));
    }
    app.run_jobs().await;
    let counts = app.kernel().job_counts().await.unwrap();
    assert_eq!((counts.waiting, counts.dead, marks(&app, "work").await), (0, 1, 0));
    app.forget_jobs().await;
}

#[tokio::test]
async fn a_job_is_done_once_when_two_runners_look_for_it() {
    let app = app().await;
    let twin = app.twin().await;
    for _ in 0..20 {
        enqueue(&app).await;
    }
    let (one, other) = tokio::join!(app.kernel().run_due_jobs(), twin.kernel().run_due_jobs());
    one.and(other).unwrap();
    app.run_jobs().await;
    assert_eq!((marks(&app, "work").await, app.jobs().await.len()), (20, 0));
}

#[tokio::test]
async fn an_event_is_recorded_once_and_reaches_its_subscriber() {
    let app = app().await;
    let made = app.post("/api/v1/notes").json(&json!({"title": "x"})).await.expect(201);
    assert_eq!(app.events().await, [("notes.note.created".to_owned(), json!({"note_id": made["id"]}))]);
    assert_eq!(marks(&app, "delivered").await, 0, "delivery comes after the answer");
    app.run_jobs().await;
    app.run_jobs().await;
    assert_eq!(marks(&app, "delivered").await, 1);
}

#[tokio::test]
async fn a_subscriber_that_fails_hears_of_the_event_again() {
    let app = app().await;
    switches(&app).deliveries_fail.store(2, Ordering::Relaxed);
    app.post("/api/v1/notes").json(&json!({"title": "x"})).await.expect(201);
    for _ in 0..3 {
        app.run_jobs().await;
        app.advance(Duration::from_secs(40));
    }
    assert_eq!((marks(&app, "delivered").await, app.event_names().await.len()), (1, 1));
}

#[tokio::test]
async fn a_transaction_that_fails_leaves_no_event_job_or_mail() {
    let app = app().await;
    let ctx = Ctx::system(app.kernel(), "test");
    let outcome = ctx
        .write(|tx| {
            tx.record(&crate::notes::NoteCreated { note_id: "019ab0b2-8f00-7000-8000-000000000001".parse().unwrap() })?;
            tx.enqueue(&Work { mark: "work".to_owned() })?;
            tx.mail("notes/shared", "ada@example.com", "en", &json!({"name": "Ada"}))?;
            Err::<(), _>(Error::internal("changed its mind"))
        })
        .await;
    assert!(outcome.is_err());
    assert_eq!((app.events().await.len(), app.jobs().await.len(), app.mails().await.len()), (0, 0, 0));
}

#[tokio::test]
async fn a_schedule_fires_once_with_two_runners() {
    let app = app().await;
    let twin = app.twin().await;
    app.run_jobs().await;
    for round in 1..=3 {
        app.advance(Duration::from_secs(300));
        let (one, other) = tokio::join!(app.kernel().run_due_jobs(), twin.kernel().run_due_jobs());
        one.and(other).unwrap();
        app.run_jobs().await;
        assert_eq!(marks(&app, "tick").await, round);
    }
    app.advance(Duration::from_secs(3600));
    app.run_jobs().await;
    assert_eq!(marks(&app, "tick").await, 4, "missed instants are not made up for");
}

async fn share(app: &TestApp, name: &'static str) {
    let ctx = Ctx::system(app.kernel(), "test");
    ctx.write(move |tx| tx.mail("notes/shared", "ada@example.com", "en", &json!({ "name": name }))).await.unwrap();
}

#[tokio::test]
async fn mail_goes_through_smtp_and_its_content_is_forgotten() {
    let sink = SmtpSink::start().await;
    let app = app_with(&[("mail.transport", "smtp"), ("mail.smtp_url", &sink.url()), ("mail.from", "Notes <notes@example.com>")]).await;
    share(&app, "Ada & Bob").await;
    assert_eq!(app.mails().await[0].text, "", "the content is gone once the mail has left");
    let messages = sink.messages();
    assert_eq!(messages.len(), 1);
    for expected in [
        "From: \"Notes\" <notes@example.com>",
        "To: ada@example.com",
        "Subject: A note for Ada & Bob",
        "Hello Ada & Bob\n.\nRead it.",
        "Ada &amp; Bob",
    ] {
        let is_there = messages[0].contains(expected) || messages[0].contains(&expected.replace("\"Notes\"", "Notes"));
        assert!(is_there, "{expected:?} is not in\n{}", messages[0]);
    }
}

#[tokio::test]
async fn mail_waits_for_a_server_that_is_away() {
    let sink = SmtpSink::start().await;
    let url = sink.url();
    drop(sink);
    let app = app_with(&[("mail.transport", "smtp"), ("mail.smtp_url", &url)]).await;
    share(&app, "Ada").await;
    let mails = app.mails().await;
    assert_eq!(mails[0].text, "Hello Ada\n.\nRead it.", "the content waits");
    let jobs = app.jobs().await;
    assert_eq!((jobs[0].0.as_str(), jobs[0].1), ("platform.send_message", 1));
}

#[tokio::test]
async fn the_development_mailbox_shows_mail_to_those_who_may() {
    let app = app().await;
    share(&app, "Ada").await;
    app.run_jobs().await;
    app.get("/api/v1/messages").await.expect(401);
    let list = app.get("/api/v1/messages").by(&testkit::Doorman::person("owner", &["*"])).await.expect(200);
    assert_eq!((&list["items"][0]["subject"], &list["items"][0]["status"]), (&json!("A note for Ada"), &json!("delivered")));
    let dump = app.kernel().db().dump_text().unwrap();
    assert!(!dump.iter().any(|(_, value)| format!("{value:?}").contains("Hello Ada")), "mail is sealed at rest");
}

#[tokio::test]
async fn a_subject_cannot_break_the_head_of_a_mail() {
    let app = app().await;
    let ctx = Ctx::system(app.kernel(), "test");
    let forged = json!({"name": "Ada\r\nBcc: everybody@example.com"});
    assert!(ctx.write(move |tx| tx.mail("notes/shared", "ada@example.com", "en", &forged)).await.is_err());
}
