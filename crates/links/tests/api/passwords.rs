//! Links with a password (INV-L17).

use reqwest::Method;
use serde_json::json;
use testkit::{Person, TestResponse};

use crate::support::*;

async fn protected(app: &App, person: &Person) -> TestResponse {
    let body = json!({ "url": "https://example.com/secret-plan", "slug": "plan", "password": "open sesame" });
    app.post("/api/v1/links").by(person).json(&body).await.expect(201)
}

async fn try_password(app: &App, password: &str) -> Answer {
    let body = url::form_urlencoded::Serializer::new(String::new()).append_pair("password", password).finish();
    let request = client().post(app.url("/plan")).header("content-type", "application/x-www-form-urlencoded").body(body);
    send(request.header("user-agent", FIREFOX)).await
}

#[tokio::test]
async fn inv_l17_the_form_tells_nothing_and_the_password_opens() {
    let app = app_with_hashes().await;
    let person = ada();
    let made = protected(&app, &person).await;
    assert_eq!(made["has_password"], true);
    assert!(made.body.get("password").is_none());
    for path in ["/plan", "/plan?password=open+sesame"] {
        let form = visit(&app, path).await;
        form.is(200);
        assert!(
            form.body.contains("<form method=\"post\">") && !form.body.contains("secret-plan") && !form.body.contains("<script"),
            "{form:#?}"
        );
        assert_eq!((form.header("cache-control"), form.header("location")), ("private, no-store", ""));
        assert!(form.header("content-security-policy").starts_with("default-src 'none'; style-src 'sha256-"), "{form:#?}");
    }
    visit_as(&app, Method::HEAD, "/plan", &[]).await.is(200);
    let wrong = try_password(&app, "open pumpkin").await;
    wrong.is(401);
    assert!(wrong.body.contains("role=\"alert\"") && !wrong.body.contains("secret-plan"));
    let opened = try_password(&app, "open sesame").await;
    opened.is(303);
    opened.leads_to("https://example.com/secret-plan");
    assert!(!opened.headers.contains_key("set-cookie") && opened.header("cache-control") == "private, no-store");
    flush(&app).await;
    assert_eq!(number(&app, "SELECT SUM(click_count) FROM links_links").await, 1, "the form counts nothing");
    app.run_jobs().await;
}

#[tokio::test]
async fn inv_l17_five_tries_a_minute_then_a_pause() {
    let app = app_with_hashes().await;
    let person = ada();
    protected(&app, &person).await;
    for _ in 0..5 {
        try_password(&app, "wrong").await.is(401);
    }
    let held = try_password(&app, "open sesame").await;
    held.is(429);
    assert!(held.header("retry-after").parse::<u64>().is_ok_and(|secs| (1..=60).contains(&secs)), "{held:#?}");
    app.advance(MINUTE);
    // Successes use up no tries.
    for _ in 0..20 {
        try_password(&app, "open sesame").await.is(303);
    }
    app.run_jobs().await;
}

#[tokio::test]
async fn a_password_can_be_changed_and_removed() {
    let app = app_with_hashes().await;
    let person = ada();
    let made = protected(&app, &person).await;
    app.patch(&path_of(&made)).by(&person).json(&json!({ "title": "x" })).await.expect(200);
    try_password(&app, "open sesame").await.is(303);
    app.patch(&path_of(&made)).by(&person).json(&json!({ "password": "another one" })).await.expect(200);
    try_password(&app, "open sesame").await.is(401);
    try_password(&app, "another one").await.is(303);
    let open = app.patch(&path_of(&made)).by(&person).json(&json!({ "password": null })).await.expect(200);
    assert_eq!(open["has_password"], false);
    visit(&app, "/plan").await.is(302);
    let dump = app.kernel().db().dump_text().expect("a dump");
    assert!(!format!("{dump:?}").contains("open sesame") && !format!("{dump:?}").contains("another one"));
    app.run_jobs().await;
}

#[tokio::test]
async fn odd_forms_are_wrong_passwords() {
    let app = app_with_hashes().await;
    let person = ada();
    protected(&app, &person).await;
    for body in [vec![], b"password".to_vec(), b"\xff\xfe".to_vec(), vec![b'x'; 100_000]] {
        send(client().post(app.url("/plan")).body(body)).await.is(401);
    }
    visit_as(&app, Method::PUT, "/plan", &[]).await.is(404);
    app.run_jobs().await;
}

#[tokio::test]
async fn without_a_hashing_pool_there_are_no_passwords() {
    let app = app().await;
    make(&app, json!({ "url": "https://example.com/", "password": "open sesame" })).await.expect(501).problem("not_implemented");
}
