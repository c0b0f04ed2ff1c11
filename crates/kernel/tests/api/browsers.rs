//! What protects a browser: exact CORS, proof of the same origin.

use crate::app_with;

const OURS: (&str, &str) = ("public_url", "http://notes.example");

#[tokio::test]
async fn r123_only_configured_origins_may_read_with_credentials() {
    let app = app_with(&[OURS, ("http.cors_origins", "https://app.example, https://other.example")]).await;
    let answer = app.get("/api/v1/notes").header("Origin", "https://app.example").await.expect(200);
    assert_eq!(answer.header("access-control-allow-origin"), "https://app.example");
    assert_eq!(answer.header("access-control-allow-credentials"), "true");
    assert!(answer.header("vary").contains("origin"), "{}", answer.header("vary"));
    let exposed = answer.header("access-control-expose-headers");
    for name in ["etag", "link", "location", "ratelimit", "ratelimit-policy", "retry-after", "x-request-id", "idempotency-replayed"] {
        assert!(exposed.split(',').any(|header| header.trim() == name), "{name} is not exposed: {exposed}");
    }
    for stranger in ["https://evil.example", "https://app.example.evil.example", "http://app.example", "https://APP.example", "null"] {
        let answer = app.get("/api/v1/notes").header("Origin", stranger).await.expect(200);
        assert_eq!(answer.header("access-control-allow-origin"), "", "{stranger}");
    }
}

#[tokio::test]
async fn r123_a_preflight_is_answered_and_kept_ten_minutes() {
    let app = app_with(&[OURS, ("http.cors_origins", "https://app.example")]).await;
    let preflight = |origin: &str| {
        let request = app.request("OPTIONS".parse().unwrap(), "/api/v1/notes").header("Origin", origin);
        request.header("Access-Control-Request-Method", "POST").header("Access-Control-Request-Headers", "idempotency-key,content-type")
    };
    let answer = preflight("https://app.example").await.expect(200);
    assert_eq!(answer.header("access-control-max-age"), "600");
    assert!(answer.header("access-control-allow-methods").contains("PATCH"));
    assert!(answer.header("access-control-allow-headers").contains("idempotency-key"));
    assert_eq!(preflight("https://evil.example").await.header("access-control-allow-origin"), "");
}

#[tokio::test]
async fn r123_without_a_setting_there_is_no_cors() {
    let app = app_with(&[OURS]).await;
    let answer = app.get("/api/v1/notes").header("Origin", "https://app.example").await.expect(200);
    assert_eq!((answer.header("access-control-allow-origin"), answer.header("access-control-allow-credentials")), ("", ""));
}

#[tokio::test]
async fn ses6_a_cookie_changes_something_only_from_our_own_site() {
    let app = app_with(&[OURS, ("http.cors_origins", "https://app.example")]).await;
    let post = |headers: &[(&str, &str)]| {
        let body = serde_json::json!({"title": format!("{headers:?}")});
        let request = app.post("/api/v1/notes").header("Cookie", "sid=ada/").json(&body);
        headers.iter().fold(request, |request, (name, value)| request.header(name, value))
    };
    for proven in [
        &[("Sec-Fetch-Site", "same-origin")][..],
        &[("Origin", "http://notes.example")],
        &[("Origin", "https://app.example"), ("Sec-Fetch-Site", "cross-site")],
        &[("X-CSRF", "1")],
    ] {
        post(proven).await.expect(201);
    }
    for forged in
        [&[][..], &[("Sec-Fetch-Site", "cross-site")], &[("Origin", "https://evil.example"), ("X-CSRF", "1")], &[("Origin", "null")]]
    {
        post(forged).await.expect(403).problem("csrf_failed");
    }
    app.get("/api/v1/note-owner").header("Cookie", "sid=ada/").header("Origin", "https://evil.example").await.expect(200);
    app.run_jobs().await;
}

#[tokio::test]
async fn ses6_what_may_set_a_cookie_needs_proof_even_without_one() {
    let app = app_with(&[OURS]).await;
    app.post("/api/v1/note-logins").await.expect(403).problem("csrf_failed");
    app.post("/api/v1/note-logins").header("Origin", "https://evil.example").await.expect(403);
    app.post("/api/v1/note-logins").header("Origin", "http://notes.example").await.expect(200);
    app.post("/api/v1/note-logins").header("X-Session-Mode", "token").await.expect(200);
}

#[tokio::test]
async fn a_stale_cookie_does_not_lock_anybody_out_of_public_pages() {
    let app = app_with(&[OURS]).await;
    app.get("/api/v1/notes").header("Cookie", "sid=forgotten").await.expect(200);
    app.get("/api/v1/note-owner").header("Cookie", "sid=forgotten").await.expect(401);
    app.get("/api/v1/notes").header("Authorization", "Bearer forgotten").await.expect(401);
}
