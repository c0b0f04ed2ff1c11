//! The OpenAPI document: complete, true, and the same as the routes.

use std::collections::BTreeSet;

use reqwest::Method;
use testkit::Doorman;

use crate::{app, note};

/// Pages and probes, which the document leaves out.
const HIDDEN: [&str; 5] = ["/assets/{name}", "/healthz", "/metrics", "/problems/{code}", "/readyz"];

#[tokio::test]
async fn r100_the_document_and_the_routes_are_the_same() {
    let app = app().await;
    let served = app.get("/api/openapi.json").await.expect(200);
    let made = kernel::http::document(app.kernel().plan()).unwrap();
    assert!(served.body == made, "the served document is another than the one made from the plan");
    assert_eq!(served["openapi"], "3.1.0");
    let documented: BTreeSet<(String, String)> = app.operations().into_iter().map(|one| (one.method.to_string(), one.path)).collect();
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
    for operation in app.operations() {
        // They need a hand to go on, or take the note away from the others.
        if operation.path.contains("note-wait") || operation.method == Method::DELETE {
            continue;
        }
        let place = operation.path.replace("{id}", made["id"].as_str().unwrap());
        let is_unknown = place.contains('{');
        let place = place.replace("{message_id}", "019ab0b2-8f00-7000-8000-000000000001");
        let request = app.request(operation.method.clone(), &place).by(&owner);
        let answer = match operation.example() {
            Some(example) => request.json(example).await,
            None => request.await,
        };
        let is_there = !matches!(answer.status.as_u16(), 404 | 405) || (is_unknown && answer["code"] == "not_found");
        assert!(is_there, "{answer}");
    }
    app.run_jobs().await;
}

#[tokio::test]
async fn r101_the_document_says_everything_about_every_operation() {
    assert_eq!(app().await.document_gaps(), [""; 0]);
}
