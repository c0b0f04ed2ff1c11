//! Another site cannot act through somebody's browser (SES-6, SES-7, R-123).

use reqwest::Method;
use serde_json::json;
use testkit::{PASSWORD, Request, TestApp};

use crate::support::*;

const APP: &str = "https://app.example";

/// Headers as a browser or client sends them, and whether they prove the same origin.
const MATRIX: [(&[(&str, &str)], bool); 17] = [
    (&[], false),
    (&[("Sec-Fetch-Site", "same-origin")], true),
    (&[("Sec-Fetch-Site", "none")], true),
    (&[("Sec-Fetch-Site", "same-site")], false),
    (&[("Sec-Fetch-Site", "cross-site")], false),
    (&[("Sec-Fetch-Site", "cross-site"), ("Origin", "https://evil.test")], false),
    (&[("Sec-Fetch-Site", "cross-site"), ("X-CSRF", "1")], false),
    (&[("Sec-Fetch-Site", "cross-site"), ("Origin", APP)], true),
    (&[("Origin", "http://undercroft.test")], true),
    (&[("Origin", "https://undercroft.test")], false),
    (&[("Origin", "http://undercroft.test.evil.test")], false),
    (&[("Origin", "https://evil.test")], false),
    (&[("Origin", "https://evil.test"), ("X-CSRF", "1")], false),
    (&[("Origin", "null"), ("X-CSRF", "1")], false),
    (&[("X-CSRF", "1")], true),
    (&[("X-CSRF", "0")], false),
    (&[("X-CSRF", "true"), ("Referer", "http://undercroft.test/")], false),
];

async fn site() -> TestApp {
    let app = app_with(&[("http.cors_origins", APP)]).await;
    app.member(ADA).await;
    app
}

fn with(request: Request, headers: &[(&str, &str)]) -> Request {
    headers.iter().fold(request, |request, (name, value)| request.header(name, value))
}

#[tokio::test]
async fn ses6_a_cookie_acts_only_from_our_own_pages() {
    let app = site().await;
    let browser = browser(&app, ADA).await;
    for (headers, is_proven) in MATRIX {
        let patch = app.patch("/api/v1/me").header("Cookie", &browser.cookie).json(&json!({ "locale": "en" }));
        let answer = with(patch, headers).await;
        assert_eq!(answer.status.as_u16(), if is_proven { 200 } else { 403 }, "{headers:?} {answer}");
        if !is_proven {
            answer.problem("csrf_failed");
        }
        // Reading needs no proof; what another site may read is decided by CORS.
        with(app.get("/api/v1/me").header("Cookie", &browser.cookie), headers).await.expect(200);
    }
}

#[tokio::test]
async fn ses6_another_site_cannot_log_its_visitor_in_or_sign_him_up() {
    let app = site().await;
    let owner = owner_token(&app).await;
    let waiting = pending(&app, json!({ "email": BOB, "password": PASSWORD })).await;
    let doors = [
        ("/api/v1/auth/login", json!({ "identifier": ADA, "password": PASSWORD })),
        ("/api/v1/auth/signup", json!({ "email": "eve@example.com" })),
        ("/api/v1/auth/signup/complete", json!({ "token": waiting.token, "signup_token": waiting.handle })),
        ("/api/v1/auth/owner", json!({ "token": owner, "email": "owner@example.com", "password": PASSWORD })),
    ];
    for (path, body) in &doors {
        for (headers, _) in MATRIX.iter().filter(|(_, is_proven)| !is_proven) {
            let refused = with(app.post(path).json(body), headers).await.expect(403).problem("csrf_failed");
            assert_eq!(refused.header("set-cookie"), "");
        }
    }
    for (path, body) in &doors {
        let answer = app.post(path).header("Sec-Fetch-Site", "same-origin").json(body).await;
        assert!(answer.status.is_success(), "{answer}");
    }
    app.run_jobs().await;
}

#[tokio::test]
async fn ses6_another_site_cannot_log_its_visitor_out() {
    let app = site().await;
    let browser = browser(&app, ADA).await;
    for (headers, _) in MATRIX.iter().filter(|(_, is_proven)| !is_proven) {
        let refused = with(app.post("/api/v1/auth/logout").header("Cookie", &browser.cookie), headers).await.expect(403);
        assert_eq!(refused.problem("csrf_failed").header("clear-site-data"), "");
    }
    browser.asks(app.get("/api/v1/me")).await.expect(200);
}

#[tokio::test]
async fn ses6_a_form_that_looks_like_json_is_refused() {
    let app = site().await;
    let browser = browser(&app, ADA).await;
    let body = br#"{"except_current":false,"x":"="}"#.to_vec();
    for media in ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "application/json"] {
        let post = app.post("/api/v1/me/sessions/actions/revoke").header("Cookie", &browser.cookie).header("Origin", "https://evil.test");
        post.body(media, body.clone()).await.expect(403).problem("csrf_failed");
    }
    for media in ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "application/jsonp"] {
        let post = browser.asks(app.post("/api/v1/me/sessions/actions/revoke"));
        post.body(media, body.clone()).await.expect(415).problem("unsupported_media_type");
    }
    browser.asks(app.get("/api/v1/me")).await.expect(200);
}

#[tokio::test]
async fn ses6_no_header_or_parameter_overrides_the_method() {
    let app = site().await;
    let browser = browser(&app, ADA).await;
    let path = format!("/api/v1/me/sessions/{}", browser.session_id);
    for name in ["X-HTTP-Method-Override", "X-Method-Override", "X-HTTP-Method"] {
        let get = app.get("/api/v1/me").header("Cookie", &browser.cookie).header("Origin", "https://evil.test");
        get.header(name, "PATCH").await.expect(200);
        let post = browser.asks(app.post(&path)).header(name, "DELETE").json(&json!({}));
        post.await.expect(405).problem("method_not_allowed");
    }
    browser.asks(app.post(&format!("{path}?_method=DELETE"))).json(&json!({})).await.expect(405);
    browser.asks(app.get("/api/v1/me")).await.expect(200);
}

#[tokio::test]
async fn ses6_tokens_need_no_proof_since_no_browser_sends_them_by_itself() {
    let app = site().await;
    let ada = another_client(&app, ADA).await;
    let patch = app.patch("/api/v1/me").bearer(&ada.access).header("Origin", "https://evil.test").header("Sec-Fetch-Site", "cross-site");
    patch.json(&json!({ "locale": "en" })).await.expect(200);
    log_in(&app, ADA, PASSWORD).header("Origin", "https://evil.test").await.expect(200);
}

#[tokio::test]
async fn ses7_only_configured_origins_may_read_with_credentials() {
    let app = site().await;
    let browser = browser(&app, ADA).await;
    let me = app.get("/api/v1/me").header("Cookie", &browser.cookie).header("Origin", APP).await.expect(200);
    assert_eq!((me.header("access-control-allow-origin"), me.header("access-control-allow-credentials")), (APP, "true"));
    assert!(me.headers.get_all("vary").iter().any(|value| value.to_str().unwrap().to_lowercase().contains("origin")));
    for origin in [
        "https://evil.test",
        "https://app.example.evil.test",
        "http://app.example",
        "https://app.example:8443",
        "https://APP.example",
        "null",
    ] {
        let answer = app.get("/api/v1/me").header("Cookie", &browser.cookie).header("Origin", origin).await.expect(200);
        assert_eq!(answer.header("access-control-allow-origin"), "", "{origin}");
        assert!(answer.headers.get_all("vary").iter().any(|value| value.to_str().unwrap().to_lowercase().contains("origin")));
    }
}

#[tokio::test]
async fn ses7_a_preflight_of_a_foreign_origin_allows_nothing() {
    let app = site().await;
    let preflight = |origin: &str| {
        let request = app.request(Method::OPTIONS, "/api/v1/me").header("Origin", origin).header("Access-Control-Request-Method", "PATCH");
        request.header("Access-Control-Request-Headers", "content-type,x-csrf")
    };
    let ours = preflight(APP).await;
    assert_eq!((ours.header("access-control-allow-origin"), ours.header("access-control-max-age")), (APP, "600"));
    assert_eq!(preflight("https://evil.test").await.header("access-control-allow-origin"), "");
    let plain = app_with(&[]).await;
    let none = plain.request(Method::OPTIONS, "/api/v1/me").header("Origin", APP).header("Access-Control-Request-Method", "PATCH").await;
    assert_eq!(none.header("access-control-allow-origin"), "");
}
