//! Every operation called by nobody and by somebody without a role (POS-1).

use testkit::{DocumentedOperation, Node, Request};

use crate::app;

/// What everybody may call. An operation is added here by decision, never by accident.
const OPEN: &[&str] = &[
    "GET /api/openapi.json",
    "POST /api/v1/auth/login",
    "GET /api/v1/auth/methods",
    "POST /api/v1/auth/owner",
    "POST /api/v1/auth/password/reset",
    "POST /api/v1/auth/password/reset/confirm",
    "POST /api/v1/auth/signup",
    "POST /api/v1/auth/signup/complete",
    "POST /api/v1/auth/signup/resend",
    "POST /api/v1/auth/token/refresh",
    "GET /api/v1/event-types",
    "GET /api/v1/media/{media_id}",
    "GET /api/v1/media/{media_id}/content",
    "GET /api/v1/media/{media_id}/variants/{name}",
];

fn request(node: &Node, operation: &DocumentedOperation) -> Request {
    let path: Vec<&str> =
        operation.path.split('/').map(|part| if part.starts_with('{') { "019ab0b2-8f00-7000-8000-000000000001" } else { part }).collect();
    let request = node.request(operation.method.clone(), &path.join("/"));
    match operation.example() {
        Some(example) => request.json(example),
        None => request,
    }
}

#[tokio::test]
async fn pos1_what_everybody_may_call_is_a_committed_list() {
    let app = app().await;
    let open: Vec<String> =
        app.operations().iter().filter(|operation| operation.access() == "public").map(DocumentedOperation::title).collect();
    assert_eq!(open, OPEN);
}

#[tokio::test]
async fn pos1_nobody_gets_past_a_locked_door() {
    let app = app().await;
    for operation in app.operations().into_iter().filter(|operation| operation.access() != "public") {
        request(&app, &operation).await.expect(401).problem("unauthenticated");
        request(&app, &operation).bearer("nonsense").await.expect(401);
    }
}

#[tokio::test]
async fn pos1_somebody_without_a_role_gets_past_no_door_that_needs_a_permission() {
    let app = app().await;
    let ada = app.member("ada@example.com").await;
    for operation in app.operations().into_iter().filter(|operation| operation.access().contains(':')) {
        request(&app, &operation).by(&ada).await.expect(403).problem("forbidden");
    }
}
