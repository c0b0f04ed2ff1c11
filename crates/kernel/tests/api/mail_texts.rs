//! Mail texts as operators change them: tried before they are kept, sent from then on, taken back.

use serde_json::{Value, json};
use testkit::{Doorman, Node, Person, Request, TestApp};

use crate::app;

const SHARED: &str = "/api/v1/mail-texts/notes/shared";

fn operator() -> Person {
    Doorman::person("operator", &["platform:mail_texts:read", "platform:mail_texts:update"])
}

fn put(node: &Node, locale: &str, body: &Value) -> Request {
    node.put(&format!("{SHARED}/{locale}")).by(&operator()).json(body)
}

fn texts(subject: &str) -> Value {
    json!({ "subject": subject, "text": "Hello {{ name }}", "html": "<p>Hello {{ name }}</p>" })
}

/// The subject of a mail in this language, sent now.
async fn subject(app: &TestApp, node: &Node, locale: &'static str) -> String {
    let ctx = kernel::Ctx::system(node.kernel(), "test");
    ctx.write(move |tx| tx.mail("notes/shared", "ada@example.com", locale, &json!({ "name": "Ada" }))).await.unwrap();
    let subject = app.last_mail_to("ada@example.com").await.subject;
    app.forget_jobs().await;
    subject
}

#[tokio::test]
async fn a_changed_text_is_sent_on_every_node_until_it_is_taken_back() {
    let app = app().await;
    let english = format!("{SHARED}/en");
    let before = app.get(&english).by(&operator()).await.expect(200);
    assert_eq!((&before["subject"], &before["is_edited"], &before["version"]), (&json!("A note for {{ name }}"), &json!(false), &json!(0)));
    assert_eq!(before["sample"], json!({ "name": "Ada" }));
    let changed = put(&app, "en", &texts("{{ name }}, read this")).await.expect(200);
    assert_eq!(
        (&changed["is_edited"], &changed["version"], &changed["changed_at"]),
        (&json!(true), &json!(1), &json!(app.now().to_string()))
    );
    assert_eq!(changed["changed_by"], json!(operator().user_id));
    assert_eq!(subject(&app, &app, "en").await, "Ada, read this");
    // A node that starts later knows, and so does one that hears of it.
    let twin = app.twin().await;
    assert_eq!(subject(&app, &twin, "en-GB").await, "Ada, read this");
    app.delete(&english).by(&operator()).await.expect(204);
    assert_eq!(subject(&app, &app, "en").await, "A note for Ada");
    app.delete(&english).by(&operator()).await.expect(404).problem("not_found");
    assert_eq!(app.get(&english).by(&operator()).await.expect(200).body, before.body);
    let names: Vec<String> = app.audit().await.into_iter().map(|row| row.0).collect();
    assert_eq!(names, ["platform.mail_text.update", "platform.mail_text.delete"]);
    assert_eq!(app.event_names().await, ["platform.mail_text.changed", "platform.mail_text.changed"]);
}

#[tokio::test]
async fn a_language_can_be_added() {
    let app = app().await;
    let french = app.get(&format!("{SHARED}/fr")).by(&operator()).await.expect(200);
    assert_eq!((&french["locale"], &french["subject"]), (&json!("fr"), &json!("A note for {{ name }}")));
    put(&app, "fr", &texts("Une note pour {{ name }}")).await.expect(200);
    assert_eq!(subject(&app, &app, "fr-CH").await, "Une note pour Ada");
    assert_eq!(subject(&app, &app, "de").await, "A note for Ada");
    let list = app.get("/api/v1/mail-texts").by(&operator()).await.expect(200);
    let lines: Vec<(&str, &str, bool)> = list["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|line| (line["template"].as_str().unwrap(), line["locale"].as_str().unwrap(), line["is_edited"].as_bool().unwrap()))
        .collect();
    assert_eq!(lines, [("notes/shared", "en", false), ("notes/shared", "fr", true)]);
}

#[tokio::test]
async fn what_cannot_be_sent_is_not_kept() {
    let app = app().await;
    let cases = [
        ("subject", "{{ nobody }}", "template_invalid"),
        ("subject", "{% if %}", "template_invalid"),
        ("subject", "two\nlines", "template_invalid"),
        ("subject", " ", "required"),
        ("text", "{% for a in range(9999) %}{% for b in range(9999) %}x{% endfor %}{% endfor %}", "template_invalid"),
        ("html", "{% autoescape false %}{{ name }}{% endautoescape %}", "template_unescaped"),
        ("html", "{{ name|safe }}", "template_invalid"),
    ];
    for (part, text, code) in cases {
        let mut body = texts("Hello");
        body[part] = json!(text);
        put(&app, "en", &body).await.expect(422).field(&format!("/{part}"), code);
        let preview = app.post(&format!("{SHARED}/actions/preview")).by(&operator()).json(&body);
        preview.await.expect(422).field(&format!("/{part}"), code);
    }
    assert_eq!(subject(&app, &app, "en").await, "A note for Ada");
    for locale in ["EN", "english", "e", "en_US", "en-", "-", "en-toolongpart", "../en"] {
        put(&app, &locale.replace('/', "%2F"), &texts("Hello")).await.expect(404).problem("not_found");
    }
    let unknown = app.put("/api/v1/mail-texts/notes/unknown/en").by(&operator()).json(&texts("Hello"));
    unknown.await.expect(404).problem("not_found");
    app.get("/api/v1/mail-texts/notes/unknown/en").by(&operator()).await.expect(404);
    app.post("/api/v1/mail-texts/notes/unknown/actions/preview").by(&operator()).json(&texts("Hello")).await.expect(404);
    assert!(app.event_names().await.is_empty());
}

#[tokio::test]
async fn a_preview_shows_the_sample_escaped_and_keeps_nothing() {
    let app = app().await;
    let body = json!({ "subject": "For {{ name|upper }}", "text": "{{ name }} & co", "html": "<b>{{ name }} &amp; co</b>" });
    let mail = app.post(&format!("{SHARED}/actions/preview")).by(&operator()).json(&body).await.expect(200);
    assert_eq!(mail.body, json!({ "subject": "For ADA", "text": "Ada & co", "html": "<b>Ada &amp; co</b>" }));
    assert_eq!(app.get(&format!("{SHARED}/en")).by(&operator()).await.expect(200)["is_edited"], false);
}

#[tokio::test]
async fn r60_of_two_operators_with_one_etag_one_is_told() {
    let app = app().await;
    put(&app, "en", &texts("First")).header("If-Match", "\"7\"").await.expect(412).problem("version_conflict");
    let new = app.get(&format!("{SHARED}/en")).by(&operator()).await.expect(200).header("etag").to_owned();
    let tries: Vec<_> = (0..20).map(|n| put(&app, "en", &texts(&format!("Number {n}"))).header("If-Match", &new)).collect();
    let answers = futures_util::future::join_all(tries.into_iter().map(|request| async { request.await.status })).await;
    assert_eq!(answers.iter().filter(|status| **status == 200).count(), 1, "{answers:?}");
    assert_eq!(answers.iter().filter(|status| **status == 412).count(), 19, "{answers:?}");
    let etag = app.get(&format!("{SHARED}/en")).by(&operator()).await.expect(200).header("etag").to_owned();
    put(&app, "en", &texts("Second")).header("If-Match", &etag).await.expect(200);
    app.delete(&format!("{SHARED}/en")).by(&operator()).header("If-Match", &etag).await.expect(412).problem("version_conflict");
    assert_eq!(subject(&app, &app, "en").await, "Second");
}

#[tokio::test]
async fn pos1_texts_are_for_those_who_may() {
    let app = app().await;
    let reader = Doorman::person("reader", &["platform:mail_texts:read"]);
    let someone = Doorman::person("someone", &[]);
    for (method, path) in [
        ("GET", "/api/v1/mail-texts".to_owned()),
        ("GET", format!("{SHARED}/en")),
        ("PUT", format!("{SHARED}/en")),
        ("DELETE", format!("{SHARED}/en")),
        ("POST", format!("{SHARED}/actions/preview")),
    ] {
        let request = || app.request(method.parse().unwrap(), &path);
        request().await.expect(401);
        request().by(&someone).await.expect(403).problem("forbidden");
        if matches!(method, "PUT" | "DELETE") {
            request().by(&reader).await.expect(403).problem("forbidden");
        }
    }
}
