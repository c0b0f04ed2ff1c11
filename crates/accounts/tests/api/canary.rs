//! A secret typed into any field shows up in no log line, audit row, event, job or error (PWD-12, R-52).

use std::fmt::{Debug, Write as _};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, Once, PoisonError};

use db::Value as Stored;
use reqwest::Method;
use serde_json::{Map, Value, json};
use testkit::{PASSWORD, Request, TestApp, TestResponse};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

use crate::pages::{Tab, html, pages};
use crate::support::*;

/// A secret as a person types it, and one as a program holds it.
const CANARIES: [&str; 2] = ["Canary wharf 4711", "Canary4711Canary4711Canary4711Canary4711AAA"];
const MARK: &str = "canary";

/// Hears every log line of the process, and keeps those with a canary.
struct Ear;

static HEARD: AtomicU64 = AtomicU64::new(0);
static KEPT: Mutex<Vec<String>> = Mutex::new(Vec::new());

struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        // A `String` takes everything.
        _ = write!(self.0, " {field}={value:?}");
    }
}

impl Line {
    fn keep(self) {
        HEARD.fetch_add(1, Ordering::Relaxed);
        if self.0.to_lowercase().contains(MARK) {
            KEPT.lock().unwrap_or_else(PoisonError::into_inner).push(self.0);
        }
    }
}

impl Subscriber for Ear {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, span: &Attributes<'_>) -> Id {
        let mut line = Line(span.metadata().name().to_owned());
        span.record(&mut line);
        line.keep();
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, values: &Record<'_>) {
        let mut line = Line(String::new());
        values.record(&mut line);
        line.keep();
    }

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut line = Line(event.metadata().target().to_owned());
        event.record(&mut line);
        line.keep();
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

fn listen() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| tracing::subscriber::set_global_default(Ear).expect("nobody else listens"));
}

/// A body member by member of its schema in the document.
fn members_of<'d>(document: &'d Value, schema: &'d Value) -> Vec<&'d str> {
    let schema = match schema["$ref"].as_str() {
        Some(reference) => document.pointer(reference.trim_start_matches('#')).unwrap_or(&Value::Null),
        None => schema,
    };
    schema["properties"].as_object().map(|members| members.keys().map(String::as_str).collect()).unwrap_or_default()
}

/// Every operation with a body: method, path, members.
fn bodies(document: &Value) -> Vec<(Method, String, Vec<String>)> {
    let mut all = Vec::new();
    for (path, methods) in document["paths"].as_object().expect("paths") {
        for (method, operation) in methods.as_object().expect("methods") {
            let content = operation["requestBody"]["content"].as_object();
            let Some(schema) = content.and_then(|content| content.values().next()).map(|media| &media["schema"]) else { continue };
            let method = method.to_uppercase().parse().expect("a method");
            all.push((method, path.clone(), members_of(document, schema).into_iter().map(str::to_owned).collect()));
        }
    }
    all
}

/// The canary in one member beside acceptable others, in all of them, and in what is no JSON at all.
fn attempts(app: &TestApp, method: &Method, path: &str, names: &[String], canary: &str) -> Vec<Request> {
    let request = || app.request(method.clone(), path).header("X-CSRF", "1");
    let acceptable = |name: &str| match name {
        "email" | "identifier" => json!(BOB),
        "remember" | "except_current" | "at_once" => json!(false),
        "scopes" | "roles" | "permissions" => json!([]),
        "expires_at" => Value::Null,
        "locale" => json!("en"),
        "name" | "display_name" | "username" => json!("somebody"),
        name if name.contains("password") => json!(PASSWORD),
        _ => json!("A".repeat(43)),
    };
    let mut all = Vec::new();
    for wrong in names {
        let body: Map<String, Value> =
            names.iter().map(|name| (name.clone(), if name == wrong { json!(canary) } else { acceptable(name) })).collect();
        all.push(request().json(&body));
        all.push(request().json(&json!({ wrong.as_str(): canary })));
        all.push(request().json(&json!({ wrong.as_str(): [canary] })));
    }
    all.push(request().json(&names.iter().map(|name| (name.clone(), json!(canary))).collect::<Map<String, Value>>()));
    all.push(request().json(&json!({ "unknown": canary })));
    all.push(request().json(&json!(canary)));
    all.push(request().body("application/json", format!("{{\"password\": \"{canary}")));
    all.push(request().body("application/json", format!("{{\"password\": \"{canary}\", \"password\": \"{canary}\"}}")));
    all.push(request().body("text/plain", canary));
    all
}

/// Whether the operation asks for a permission, so that only the owner gets as far as its body.
fn is_administrative(document: &Value, method: &Method, path: &str) -> bool {
    document["paths"][path][method.as_str().to_lowercase()]["x-permission"].as_str().is_some_and(|access| access.contains(':'))
}

fn tells(text: &[u8]) -> bool {
    String::from_utf8_lossy(text).to_lowercase().contains(MARK)
}

async fn must_be_silent(request: Request) {
    let answer: TestResponse = request.await;
    assert!(answer.status.is_success() || !tells(&answer.bytes), "an error repeats the secret: {answer}");
}

#[tokio::test]
async fn pwd12_a_secret_typed_into_any_field_is_repeated_nowhere() {
    listen();
    let app = app().await;
    let owner = app.owner().await;
    let found = bodies(app.document());
    assert!(found.len() >= 10, "{found:?}");
    for (number, canary) in CANARIES.iter().enumerate() {
        for (index, (method, path, names)) in found.iter().enumerate() {
            for request in attempts(&app, method, path, names, canary) {
                must_be_silent(request).await;
            }
            // Somebody new each time: the canary may become a password, or end the login.
            let person = app.member(&format!("person-{number}-{index}@example.com")).await;
            for request in attempts(&app, method, path, names, canary) {
                must_be_silent(request.by(&person)).await;
            }
        }
        for (method, path, names) in found.iter().filter(|(method, path, _)| is_administrative(app.document(), method, path)) {
            for request in attempts(&app, method, path, names, canary) {
                must_be_silent(request.by(&owner)).await;
            }
        }
        for request in [
            app.get("/api/v1/me").bearer(canary),
            app.get("/api/v1/me").bearer(&format!("uc_pat_{canary}")),
            app.get("/api/v1/me").header("Cookie", &format!("sid={canary}")),
        ] {
            must_be_silent(request).await;
        }
        must_be_silent(log_in_browser(&app, BOB, PASSWORD).header("Cookie", &format!("device={canary}"))).await;
        must_be_silent(app.get(&format!("/api/v1/me?password={}", canary.replace(' ', "+")))).await;
    }
    app.run_jobs().await;
    assert!(HEARD.load(Ordering::Relaxed) > 500, "the log is heard");
    let kept = KEPT.lock().unwrap_or_else(PoisonError::into_inner).clone();
    assert!(kept.is_empty(), "the log repeats the secret: {kept:#?}");
    // Display names and the names of keys are stored and shown: that is what they are for. Nothing else may keep what was typed.
    app.kernel().flush_audit().await.unwrap();
    let dump = app.kernel().db().dump_text().unwrap();
    let is_silent = |(column, value): &(String, Stored)| match value {
        Stored::Text(text) => !tells(text.as_bytes()) || column.starts_with("accounts_users.") || column == "accounts_api_keys.name",
        Stored::Bytes(bytes) => !tells(bytes),
        _ => true,
    };
    let told: Vec<&(String, Stored)> = dump.iter().filter(|row| !is_silent(row)).collect();
    assert!(told.is_empty(), "the database keeps the secret: {told:?}");
}

/// The forms of a page: where each is posted, and its fields.
fn forms(page: &str) -> Vec<(String, Vec<String>)> {
    let values = |form: &str, name: &str| -> Vec<String> {
        let mark = format!(" {name}=\"");
        form.split(&mark).skip(1).map(|rest| rest.split('"').next().unwrap_or_default().to_owned()).collect()
    };
    page.split("<form").skip(1).map(|form| (values(form, "action").remove(0), values(form, "name"))).collect()
}

#[tokio::test]
async fn pwd12_a_secret_typed_into_any_form_is_repeated_nowhere() {
    listen();
    let app = app().await;
    app.member(BOB).await;
    let (mut posted, mut people) = (0, 0);
    for canary in CANARIES {
        for (_, path, _) in pages(&app).into_iter().filter(|(method, ..)| method == Method::GET) {
            people += 1;
            let email = format!("form-{people}@example.com");
            app.member(&email).await;
            for mut tab in [Tab::new(&app), Tab::of(&app, &email).await] {
                for (action, names) in forms(&html(&tab.get(path).await)) {
                    for wrong in names.iter().filter(|name| *name != "form_token") {
                        // Anew each time: what was posted may have ended the login.
                        let page = html(&tab.get(path).await);
                        let Some((_, token)) = page.split_once("name=\"form_token\" value=\"") else { continue };
                        let token = token.split('"').next().unwrap_or_default();
                        let value = |name: &str| match name {
                            "form_token" => token.to_owned(),
                            name if name == wrong => canary.to_owned(),
                            "email" | "identifier" => BOB.to_owned(),
                            name if name.contains("password") => PASSWORD.to_owned(),
                            _ => String::new(),
                        };
                        let fields: Vec<(&str, String)> = names.iter().map(|name| (name.as_str(), value(name))).collect();
                        let fields: Vec<(&str, &str)> = fields.iter().map(|(name, value)| (*name, value.as_str())).collect();
                        let answer = tab.post(&action, &fields).await;
                        posted += 1;
                        // What is no password stays in its own field for whoever typed it.
                        let kept = if wrong.contains("password") { String::new() } else { format!(" value=\"{canary}\"") };
                        let said = if kept.is_empty() { html(&answer) } else { html(&answer).replace(&kept, "") };
                        assert!(!tells(said.as_bytes()), "{path} {action} {wrong}: {said}");
                        let headers = format!("{:?}", answer.headers);
                        assert!(!tells(headers.as_bytes()), "{path} {action} {wrong}: {headers}");
                    }
                }
            }
        }
    }
    assert!(posted > 40, "{posted}");
    app.run_jobs().await;
    let kept = KEPT.lock().unwrap_or_else(PoisonError::into_inner).clone();
    assert!(kept.is_empty(), "the log repeats the secret: {kept:#?}");
    let dump = app.kernel().db().dump_text().unwrap();
    let told: Vec<&(String, Stored)> = dump
        .iter()
        .filter(|(column, value)| match value {
            Stored::Text(text) => tells(text.as_bytes()) && !column.starts_with("accounts_users."),
            Stored::Bytes(bytes) => tells(bytes),
            _ => false,
        })
        .collect();
    assert!(told.is_empty(), "the database keeps the secret: {told:?}");
}
