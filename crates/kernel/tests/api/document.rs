//! The OpenAPI document: complete, true, and the same as the routes.

use std::collections::{BTreeMap, BTreeSet};

use reqwest::Method;
use serde_json::{Value, json};
use testkit::{Doorman, TestApp};

use crate::{app, note};

/// Pages and probes, which the document leaves out.
const HIDDEN: [&str; 4] = ["/healthz", "/metrics", "/problems/{code}", "/readyz"];

/// Every operation: method, path, description.
fn operations(app: &TestApp) -> Vec<(Method, String, Value)> {
    let paths = app.document()["paths"].as_object().unwrap();
    let each = paths.iter().flat_map(|(path, methods)| {
        let of_path = methods.as_object().unwrap().iter();
        of_path.map(|(method, operation)| (method.to_uppercase().parse().unwrap(), path.clone(), operation.clone()))
    });
    each.collect()
}

#[tokio::test]
async fn r100_the_document_and_the_routes_are_the_same() {
    let app = app().await;
    let served = app.get("/api/openapi.json").await.expect(200);
    assert_eq!(&served.body, app.document());
    assert_eq!(served["openapi"], "3.1.0");
    let documented: BTreeSet<(String, String)> = operations(&app).into_iter().map(|(method, path, _)| (method.to_string(), path)).collect();
    let plan = app.kernel().plan();
    let routed = |hidden: bool| {
        let of_kind = plan.operations().filter(move |operation| operation.doc().is_hidden == hidden);
        of_kind.map(|operation| (operation.method().to_string(), operation.path().to_owned())).collect::<BTreeSet<_>>()
    };
    assert_eq!(documented, routed(false));
    assert_eq!(routed(true).into_iter().map(|(_, path)| path).collect::<Vec<_>>(), HIDDEN);
}

#[tokio::test]
async fn r100_every_documented_operation_is_there() {
    let app = app().await;
    let made = note(&app, "x").await;
    let owner = Doorman::person("owner", &["*"]);
    for (method, path, operation) in operations(&app) {
        // They need a hand to go on, or take the note away from the others.
        if path.contains("note-wait") || method == Method::DELETE {
            continue;
        }
        let place = path.replace("{id}", made["id"].as_str().unwrap());
        let is_unknown = place.contains('{');
        let place = place.replace("{message_id}", "019ab0b2-8f00-7000-8000-000000000001");
        let request = app.request(method, &place).by(&owner);
        let answer = match operation.pointer("/requestBody/content/application~1json/example") {
            Some(example) => request.json(example).await,
            None => request.await,
        };
        let is_there = !matches!(answer.status.as_u16(), 404 | 405) || (is_unknown && answer["code"] == "not_found");
        assert!(is_there, "{answer}");
    }
    app.run_jobs().await;
}

#[tokio::test]
async fn r101_every_operation_is_complete() {
    let app = app().await;
    let mut ids = BTreeMap::new();
    for (method, path, operation) in operations(&app) {
        let name = format!("{method} {path}");
        let id = operation["operationId"].as_str().unwrap_or_default();
        assert!(id.starts_with(|c: char| c.is_ascii_lowercase()) && id.chars().all(char::is_alphanumeric), "{name}: operationId {id}");
        assert_eq!(ids.insert(id.to_owned(), name.clone()), None, "{id} is taken");
        for member in ["summary", "description", "x-permission"] {
            assert!(operation[member].as_str().is_some_and(|text| !text.is_empty()), "{name} has no {member}");
        }
        assert_eq!(operation["tags"].as_array().map(Vec::len), Some(1), "{name} has one tag");
        assert!(operation["tags"][0].as_str().is_some_and(|tag| !tag.is_empty()), "{name} has a tag");
        assert!(operation["security"].is_array(), "{name} has no security");
        assert!(operation["x-errors"].as_array().is_some_and(|codes| !codes.is_empty()), "{name} has no x-errors");
        let responses = operation["responses"].as_object().unwrap();
        assert!(responses.keys().any(|status| status.starts_with('2')), "{name} never succeeds");
        for (status, response) in responses {
            assert!(response["description"].as_str().is_some_and(|text| !text.is_empty()), "{name} {status} has no description");
        }
    }
}

#[tokio::test]
async fn r101_every_example_satisfies_its_schema() {
    let app = app().await;
    let mut count = 0;
    for (method, path, operation) in operations(&app) {
        let bodies = [("request".to_owned(), &operation["requestBody"])].into_iter();
        let answers = operation["responses"].as_object().unwrap().iter().map(|(status, response)| (status.clone(), response));
        for (place, body) in bodies.chain(answers) {
            for (media_type, media) in body["content"].as_object().into_iter().flatten() {
                if media["schema"] == json!({}) {
                    continue;
                }
                let errors = app.schema_errors(&media["schema"], &media["example"]);
                assert!(errors.is_empty(), "{method} {path} {place} {media_type}: {errors:?} in {}", media["example"]);
                count += 1;
            }
        }
    }
    assert!(count > 100, "{count} examples");
}

#[tokio::test]
async fn r101_every_member_of_every_schema_is_described() {
    let app = app().await;
    for (name, schema) in app.document()["components"]["schemas"].as_object().unwrap() {
        assert!(schema["description"].as_str().is_some_and(|text| !text.is_empty()), "{name} has no description");
        for (member, schema) in schema["properties"].as_object().into_iter().flatten() {
            // Where null is allowed beside a named schema, the description stands in that branch.
            let is_described = schema["description"].is_string() || schema["oneOf"][0]["description"].is_string();
            assert!(is_described, "{name}.{member} has no description");
            let is_number = schema["type"] == "integer";
            assert!(!is_number || schema["format"].is_string(), "{name}.{member} does not say its size (R-14)");
        }
    }
}
