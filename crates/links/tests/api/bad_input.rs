//! What bad input gets (links.md §13).

use serde_json::{Value, json};

use crate::support::*;

#[tokio::test]
async fn bad_members_are_named() {
    let app = app().await;
    let url = "https://example.com/";
    for (body, place, code) in [
        (json!({ "url": "javascript:alert(1)" }), "/url", "not_allowed"),
        (json!({ "url": "example.com" }), "/url", "not_allowed"),
        (json!({ "url": "https://user:secret@example.com/" }), "/url", "not_allowed"),
        (json!({ "url": format!("https://example.com/{}", "x".repeat(8_192)) }), "/url", "too_long"),
        (json!({}), "/url", "required"),
        (json!({ "url": url, "slug": "a b" }), "/slug", "invalid_format"),
        (json!({ "url": url, "slug": ".env" }), "/slug", "invalid_format"),
        (json!({ "url": url, "slug": "a+" }), "/slug", "invalid_format"),
        (json!({ "url": url, "slug": "a/b/c/d/e/f/g/h/i" }), "/slug", "invalid_format"),
        (json!({ "url": url, "slug": "x".repeat(201) }), "/slug", "invalid_format"),
        (json!({ "url": url, "expires_at": "2026-11-22T12:00:00Z", "valid_from": "2026-11-22T12:00:00Z" }), "/expires_at", "out_of_range"),
        (json!({ "url": url, "max_clicks": 0 }), "/max_clicks", "out_of_range"),
        (json!({ "url": url, "redirect_status": 303 }), "/redirect_status", "not_allowed"),
        (json!({ "url": url, "domain_id": "019ab0b2-8f00-7000-8000-00000000ffff" }), "/domain_id", "unknown_reference"),
        (json!({ "url": url, "expired_url": "ftp://x" }), "/expired_url", "not_allowed"),
        (json!({ "url": url, "tags": vec!["x"; 51] }), "/tags", "too_long"),
        (json!({ "url": url, "tags": ["a", "b|c"] }), "/tags/1", "invalid_format"),
        (json!({ "url": url, "note": "x".repeat(2_001) }), "/note", "too_long"),
        (json!({ "url": url, "title": "a\u{7}" }), "/title", "invalid_format"),
        (json!({ "url": url, "password": "x".repeat(257) }), "/password", "too_long"),
        (json!({ "url": url, "clicks": 5 }), "/clicks", "unknown_field"),
        (json!({ "url": url, "version": 5 }), "/version", "read_only_field"),
    ] {
        make(&app, body.clone()).await.expect(422).problem("validation_failed").field(place, code);
    }
    assert_eq!(number(&app, "SELECT COUNT(*) FROM links_links").await, 0);
}

#[tokio::test]
async fn r52_everything_wrong_is_told_at_once() {
    let app = app().await;
    let body = json!({ "url": "x", "slug": "a b", "redirect_status": 1, "tags": [""], "expired_url": "y" });
    let refused = make(&app, body).await.expect(422);
    assert_eq!(refused["errors"].as_array().map(Vec::len), Some(5), "{refused}");
}

#[tokio::test]
async fn a_patch_is_checked_like_a_creation() {
    let app = app().await;
    let made = make(&app, json!({ "url": "https://example.com/", "slug": "a", "expires_at": "2026-12-01T00:00:00Z" })).await.expect(201);
    link(&app, "b", "https://example.com/").await;
    let patch = |body: Value| app.patch(&path_of(&made)).by(&ada()).json(&body);
    patch(json!({ "url": "data:text/html,x" })).await.expect(422).field("/url", "not_allowed");
    patch(json!({ "valid_from": "2026-12-01T00:00:00Z" })).await.expect(422).field("/expires_at", "out_of_range");
    patch(json!({ "slug": "B" })).await.expect(409).problem("slug_taken").field("/slug", "slug_taken");
    patch(json!({ "slug": "api" })).await.expect(422).problem("slug_reserved");
    patch(json!({ "max_clicks": 0 })).await.expect(422).field("/max_clicks", "out_of_range");
    patch(json!({ "url": null })).await.expect(422);
    let read = app.get(&path_of(&made)).by(&ada()).await.expect(200);
    assert_eq!(read.body, made.body);
}

#[tokio::test]
async fn a_taken_external_id_is_a_conflict_on_change_too() {
    let app = app().await;
    make(&app, json!({ "url": "https://example.com/", "external_id": "e" })).await.expect(201);
    let other = link(&app, "b", "https://example.com/").await;
    app.patch(&path_of(&other)).by(&ada()).json(&json!({ "external_id": "e" })).await.expect(409).problem("already_exists");
}

#[tokio::test]
async fn settings_that_break_a_promise_are_refused_at_start() {
    let wrong = [
        ("links.default_status", "303"),
        ("links.permanent_max_age", "2d"),
        ("links.cache_lifetime", "6s"),
        ("links.slug_length", "4"),
        ("links.clicks.fsync", "2s"),
    ];
    for (key, value) in wrong {
        let settings = [(key, value)];
        let started = futures_util::FutureExt::catch_unwind(std::panic::AssertUnwindSafe(app_with(&settings)));
        assert!(started.await.is_err(), "{key} = {value}");
    }
}
