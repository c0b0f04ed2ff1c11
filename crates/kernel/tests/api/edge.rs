//! What every operation has in common: redirects, HEAD and OPTIONS, problems, limits, ids, compression, probes.

use std::time::Duration;

use kernel::http::reserved_segments;
use serde_json::{Value, json};

use crate::{app, app_with, note};

#[tokio::test]
async fn r1_a_trailing_slash_is_redirected_for_reads_only() {
    let app = app().await;
    let redirect = app.get("/api/v1/notes/?limit=1").await.expect(308);
    assert_eq!(redirect.header("location"), "/api/v1/notes?limit=1");
    app.head("/api/v1/notes/").await.expect(308);
    app.post("/api/v1/notes/").json(&json!({"title": "x"})).await.expect(404).problem("not_found");
    app.get("//evil.example/").await.expect(404);
    assert_eq!(app.get("//evil.example/").await.header("location"), "");
}

#[tokio::test]
async fn r9_the_first_segment_of_every_route_is_reserved() {
    let app = app().await;
    assert_eq!(reserved_segments(app.kernel()), ["api", "assets", "healthz", "metrics", "problems", "readyz"]);
}

#[tokio::test]
async fn r44_head_answers_like_get_without_a_body() {
    let app = app().await;
    let made = note(&app, "x").await;
    let place = made.header("location");
    let (get, head) = (app.get(place).await.expect(200), app.head(place).await.expect(200));
    for name in ["etag", "content-type", "content-length"] {
        assert_eq!(get.header(name), head.header(name), "{name}");
    }
    assert!(head.bytes.is_empty() && !get.bytes.is_empty());
    app.head("/api/v1/notes/019ab0b2-8f00-7000-8000-000000000001").await.expect(404);
}

#[tokio::test]
async fn r44_options_and_405_name_the_methods() {
    let app = app().await;
    let options = app.request("OPTIONS".parse().unwrap(), "/api/v1/notes").await.expect(204);
    assert_eq!(options.header("allow"), "POST, GET, HEAD, OPTIONS");
    for method in ["DELETE", "PUT", "PATCH", "TRACE", "PROPFIND"] {
        let refused = app.request(method.parse().unwrap(), "/api/v1/notes").await.expect(405).problem("method_not_allowed");
        assert_eq!(refused.header("allow"), "POST, GET, HEAD, OPTIONS", "{method}");
    }
}

#[tokio::test]
async fn r50_a_problem_says_what_where_and_under_which_id() {
    let app = app().await;
    let problem = app.get("/api/v1/nothing?x=1").header("X-Request-Id", "abc-DEF_123").await.expect(404);
    assert_eq!(problem.header("content-type"), "application/problem+json");
    assert_eq!(problem.header("cache-control"), "no-store");
    let expected = json!({
        "type": "/problems/not_found", "title": "There is nothing here.", "status": 404, "code": "not_found",
        "detail": "Check the address; what you may not see looks the same as what does not exist.",
        "instance": "/api/v1/nothing", "request_id": "abc-DEF_123",
    });
    assert_eq!(problem.body, expected);
}

#[tokio::test]
async fn r50_every_code_has_a_page() {
    let app = app().await;
    let codes: Vec<&str> = app.kernel().plan().problems().map(|problem| problem.code).collect();
    assert!(codes.contains(&"title_taken") && codes.contains(&"internal"));
    for code in codes {
        let page = app.get(&format!("/problems/{code}")).header("Accept", "text/html").await.expect(200);
        let text = String::from_utf8(page.bytes.clone()).unwrap();
        assert!(text.contains(&format!("<code>{code}</code>")), "{text}");
        assert!(page.header("content-security-policy").contains("frame-ancestors 'none'"));
        assert!(!page.header("content-security-policy").contains("unsafe"));
    }
    app.get("/problems/no_such_code").header("Accept", "text/html").await.expect(404);
}

#[tokio::test]
async fn r52_a_panic_is_our_fault_and_keeps_its_secret() {
    let app = app().await;
    let problem = app.get("/api/v1/note-panic").await.expect(500).problem("internal");
    assert!(!String::from_utf8_lossy(&problem.bytes).contains("pharaoh"));
    app.get("/api/v1/notes").await.expect(200);
}

#[tokio::test]
async fn r63_limits_are_told_before_and_when_they_are_reached() {
    let app = app_with(&[("limits.default_per_minute", "3")]).await;
    let first = app.get("/api/v1/notes").await.expect(200);
    assert_eq!(first.header("ratelimit-policy"), "\"default\";q=3;w=60");
    assert_eq!(first.header("ratelimit"), "\"default\";r=2;t=20");
    app.get("/api/v1/note-owner").await.expect(401);
    app.get("/api/v1/note-owner").header("Authorization", "Bearer nonsense").await.expect(401);
    let refused = app.get("/api/v1/notes").await.expect(429).problem("rate_limited");
    assert_eq!((refused.header("retry-after"), &refused["violated_policies"]), ("20", &json!(["default"])));
    app.get("/healthz").await.expect(200);
    app.advance(Duration::from_secs(20));
    app.get("/api/v1/notes").await.expect(200);
}

#[tokio::test]
async fn r63_each_principal_has_a_limit_of_its_own() {
    let app = app_with(&[("limits.default_per_minute", "1")]).await;
    app.get("/api/v1/notes").await.expect(200);
    app.get("/api/v1/notes").await.expect(429);
    for name in ["ada", "bob"] {
        app.get("/api/v1/note-owner").by(&testkit::Doorman::person(name, &[])).await.expect(200);
        app.get("/api/v1/note-owner").by(&testkit::Doorman::person(name, &[])).await.expect(429);
    }
}

#[tokio::test]
async fn r64_a_request_keeps_a_good_id_and_gets_one_otherwise() {
    let app = app().await;
    assert_eq!(app.get("/api/v1/notes").header("X-Request-Id", "trace_0001").await.header("x-request-id"), "trace_0001");
    for bad in ["short", "with space", &"x".repeat(65), "semi;colon"] {
        let given = app.get("/api/v1/notes").header("X-Request-Id", bad).await.header("x-request-id").to_owned();
        assert!(given != bad && (8..=64).contains(&given.len()), "{given}");
    }
}

#[tokio::test]
async fn r66_long_answers_are_compressed_unless_they_hold_a_secret() {
    let app = app().await;
    let plain = app.get("/api/v1/note-text").await.expect(200);
    assert!(plain.bytes.len() > 4000 && plain.header("content-encoding").is_empty());
    for encoding in ["br", "gzip"] {
        let packed = app.get("/api/v1/note-text").header("Accept-Encoding", encoding).await.expect(200);
        assert_eq!(packed.header("content-encoding"), encoding);
        assert!(packed.bytes.len() < 400, "{}", packed.bytes.len());
        assert!(packed.header("vary").contains("accept-encoding"));
        let secret = app.get("/api/v1/note-secret").header("Accept-Encoding", encoding).await.expect(200);
        assert_eq!((secret.header("content-encoding"), secret.bytes.len()), ("", plain.bytes.len()));
        assert_eq!(app.get("/api/v1/notes").header("Accept-Encoding", encoding).await.expect(200).header("content-encoding"), "");
    }
}

#[tokio::test]
async fn r61_what_belongs_to_somebody_is_not_stored_by_caches() {
    let app = app().await;
    let made = note(&app, "x").await;
    let ada = testkit::Doorman::person("ada", &[]);
    assert_eq!(app.get("/api/v1/note-owner").by(&ada).await.header("cache-control"), "no-store");
    assert_eq!(app.get("/api/v1/note-secret").await.header("cache-control"), "no-store");
    assert_eq!(app.get(made.header("location")).by(&ada).await.header("cache-control"), "private, no-cache");
}

#[tokio::test]
async fn r60_a_known_version_is_not_sent_again() {
    let app = app().await;
    let made = note(&app, "x").await;
    let place = made.header("location");
    for tag in ["\"v1\"", "W/\"v1\"", "*", "\"v0\", \"v1\""] {
        let same = app.get(place).header("If-None-Match", tag).await.expect(304);
        assert!(same.bytes.is_empty() && same.header("etag") == "\"v1\"");
    }
    app.get(place).header("If-None-Match", "\"v2\"").await.expect(200);
}

#[tokio::test]
async fn r124_every_answer_forbids_sniffing_and_referrers() {
    let app = app_with(&[("public_url", "https://notes.example")]).await;
    for path in ["/api/v1/notes", "/api/v1/nothing", "/healthz", "/api/openapi.json"] {
        let answer = app.get(path).await;
        assert_eq!(answer.header("x-content-type-options"), "nosniff");
        assert_eq!(answer.header("referrer-policy"), "no-referrer");
        assert_eq!(answer.header("strict-transport-security"), "max-age=31536000");
    }
}

#[tokio::test]
async fn a_request_that_takes_too_long_is_given_up() {
    let app = app_with(&[("http.request_timeout", "50ms")]).await;
    app.get("/api/v1/note-wait").await.expect(408).problem("request_timeout");
}

#[tokio::test]
async fn probes_and_metrics_tell_how_the_server_is() {
    let app = app().await;
    note(&app, "x").await;
    assert_eq!(app.get("/healthz").await.expect(200).bytes, b"ok\n");
    assert_eq!(app.get("/readyz").await.expect(200).bytes, b"ready\n");
    app.get("/api/v1/notes/019ab0b2-8f00-7000-8000-000000000001").await.expect(404);
    let metrics = String::from_utf8(app.get("/metrics").await.expect(200).bytes.clone()).unwrap();
    for expected in [
        "http_request_seconds_count{method=\"POST\",route=\"/api/v1/notes\",status=\"201\"} 1",
        "http_request_seconds_count{method=\"GET\",route=\"/api/v1/notes/{id}\",status=\"404\"} 1",
        "jobs_finished_total 1",
        "build_info{version=",
    ] {
        assert!(metrics.contains(expected), "{expected} is not in\n{metrics}");
    }
    assert!(!metrics.contains("019ab0b2"), "ids in paths must not make series");
}

#[tokio::test]
async fn metrics_are_for_those_who_may_see_them() {
    let off = app_with(&[("http.metrics", "off")]).await;
    off.get("/metrics").await.expect(404);
    let proxied = app_with(&[("http.trusted_proxies", "loopback")]).await;
    proxied.get("/metrics").header("X-Forwarded-For", "192.0.2.7").await.expect(404);
    proxied.get("/metrics").await.expect(200);
}

#[tokio::test]
async fn r107_events_are_listed_with_their_schemas() {
    let app = app().await;
    let types = app.get("/api/v1/event-types").await.expect(200);
    let created = types["items"].as_array().unwrap().iter().find(|event| event["name"] == "notes.note.created").unwrap();
    assert_eq!(created["schema"]["required"], json!(["note_id"]));
    assert_ne!(app.document()["webhooks"]["notes.note.created"]["post"], Value::Null);
}
