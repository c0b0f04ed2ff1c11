//! Every operation called by nobody and by somebody without a role (POS-1).

use serde_json::json;
use testkit::{DocumentedOperation, Node, Request};

use crate::app;

/// What everybody may call. An operation is added here by decision, never by accident. Carts, orders and payments ask for their
/// secret, comments for their edit token, and everything for what is published.
const OPEN: &[&str] = &[
    "GET /api/openapi.json",
    "POST /api/v1/auth/email/confirm",
    "POST /api/v1/auth/email/undo",
    "POST /api/v1/auth/invitations/accept",
    "POST /api/v1/auth/invitations/decline",
    "POST /api/v1/auth/login",
    "GET /api/v1/auth/methods",
    "POST /api/v1/auth/owner",
    "POST /api/v1/auth/password/reset",
    "POST /api/v1/auth/password/reset/confirm",
    "POST /api/v1/auth/signup",
    "POST /api/v1/auth/signup/complete",
    "POST /api/v1/auth/signup/resend",
    "POST /api/v1/auth/token/refresh",
    "GET /api/v1/blog/authors",
    "GET /api/v1/blog/authors/{author_id}",
    "DELETE /api/v1/blog/comments/{comment_id}",
    "GET /api/v1/blog/comments/{comment_id}",
    "PATCH /api/v1/blog/comments/{comment_id}",
    "POST /api/v1/blog/comments/{comment_id}/reports",
    "GET /api/v1/blog/posts",
    "GET /api/v1/blog/posts/by-slug/{slug}",
    "GET /api/v1/blog/posts/{post_id}",
    "GET /api/v1/blog/posts/{post_id}/comments",
    "POST /api/v1/blog/posts/{post_id}/comments",
    "GET /api/v1/blog/redirects/lookup",
    "GET /api/v1/blog/search",
    "GET /api/v1/blog/tags",
    "GET /api/v1/blog/tags/{tag_id}",
    "POST /api/v1/blog/threads",
    "GET /api/v1/blog/threads/lookup",
    "GET /api/v1/blog/threads/{thread_id}",
    "GET /api/v1/blog/threads/{thread_id}/comments",
    "POST /api/v1/blog/threads/{thread_id}/comments",
    "GET /api/v1/event-types",
    "GET /api/v1/media/{media_id}",
    "GET /api/v1/media/{media_id}/content",
    "GET /api/v1/media/{media_id}/variants/{name}",
    "POST /api/v1/shop/carts",
    "GET /api/v1/shop/carts/{cart_id}",
    "PATCH /api/v1/shop/carts/{cart_id}",
    "PUT /api/v1/shop/carts/{cart_id}/addresses",
    "POST /api/v1/shop/carts/{cart_id}/codes",
    "DELETE /api/v1/shop/carts/{cart_id}/codes/{code}",
    "POST /api/v1/shop/carts/{cart_id}/lines",
    "DELETE /api/v1/shop/carts/{cart_id}/lines/{line_id}",
    "PATCH /api/v1/shop/carts/{cart_id}/lines/{line_id}",
    "PUT /api/v1/shop/carts/{cart_id}/shipping",
    "GET /api/v1/shop/carts/{cart_id}/shipping-options",
    "GET /api/v1/shop/categories",
    "GET /api/v1/shop/categories/{category_id}",
    "POST /api/v1/shop/orders",
    "GET /api/v1/shop/orders/{order_id}",
    "POST /api/v1/shop/orders/{order_id}/actions/cancel",
    "GET /api/v1/shop/orders/{order_id}/events",
    "POST /api/v1/shop/orders/{order_id}/payments",
    "GET /api/v1/shop/payments/{payment_id}",
    "POST /api/v1/shop/payments/{payment_id}/actions/sync",
    "GET /api/v1/shop/products",
    "GET /api/v1/shop/products/by-slug/{slug}",
    "GET /api/v1/shop/products/{product_id}",
    "GET /api/v1/shop/products/{product_id}/availability",
    "POST /api/v1/shop/provider-events/{provider}",
    "GET /api/v1/shop/variants/{variant_id}",
    "GET /api/v1/shop/variants/{variant_id}/prices",
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

#[tokio::test]
async fn key1_a_key_without_scopes_opens_nothing_but_what_everybody_may_call() {
    let app = app().await;
    let owner = app.owner().await;
    let made = app.post("/api/v1/me/api-keys").by(&owner).json(&json!({ "name": "Nothing", "scopes": [] })).await.expect(201);
    let key = made.text("/key");
    for operation in app.operations().into_iter().filter(|operation| operation.access() != "public") {
        let tells_who_calls = ["GET /api/v1/me", "GET /api/v1/me/permissions"].contains(&operation.title().as_str());
        let status = if tells_who_calls { 200 } else { 403 };
        request(&app, &operation).bearer(&key).await.expect(status);
    }
    app.run_jobs().await;
}

#[tokio::test]
async fn key1_a_key_for_links_makes_changes_and_deletes_the_links_of_its_owner() {
    let app = app().await;
    let owner = app.owner().await;
    let body = json!({ "name": "Links", "scopes": ["links:links:create"] });
    let key = app.post("/api/v1/me/api-keys").by(&owner).json(&body).await.expect(201).text("/key");
    let link = app.post("/api/v1/links").bearer(&key).json(&json!({ "url": "https://example.com/a" })).await.expect(201);
    let path = format!("/api/v1/links/{}", link.text("/id"));
    app.get(&path).bearer(&key).await.expect(200);
    app.patch(&path).bearer(&key).json(&json!({ "title": "A" })).await.expect(200);
    app.delete(&path).bearer(&key).await.expect(204);
    app.get("/api/v1/blog/posts/019ab0b2-8f00-7000-8000-000000000001/draft").bearer(&key).await.expect(403).problem("insufficient_scope");
    app.run_jobs().await;
}
