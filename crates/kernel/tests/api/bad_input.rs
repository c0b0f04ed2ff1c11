//! What bad input gets (api-style §14).

use serde_json::{Value, json};
use testkit::{Doorman, TestApp};

use crate::{app, note};

async fn post_bytes(app: &TestApp, bytes: impl Into<Vec<u8>>) -> testkit::TestResponse {
    app.post("/api/v1/notes").body("application/json", bytes).await
}

#[tokio::test]
async fn r53_json_that_two_readers_could_read_differently_is_malformed() {
    let app = app().await;
    let deep = format!("{{\"title\":\"x\",\"extra\":{}1{}}}", "{\"a\":".repeat(32), "}".repeat(32));
    for bytes in [
        b"{\"title\":\"x\",}".to_vec(),
        b"{\"title\":\"x\",\"title\":\"y\"}".to_vec(),
        deep.into_bytes(),
        b"{\"title\":\"caf\xe9\"}".to_vec(),
        b"{\"title\":\"a\\u0000b\"}".to_vec(),
        b"{\"title\":\"\\ud800\"}".to_vec(),
        b"".to_vec(),
        b"{} {}".to_vec(),
    ] {
        post_bytes(&app, bytes.clone()).await.expect(400).problem("malformed_json");
    }
    let fine = format!("{{\"title\":\"x\",\"extra\":{}1{}}}", "{\"a\":".repeat(31), "}".repeat(31));
    post_bytes(&app, fine).await.expect(201);
    app.run_jobs().await;
}

#[tokio::test]
async fn r53_a_body_belongs_where_one_is_read_and_says_what_it_is() {
    let app = app().await;
    app.get("/api/v1/notes").body("application/json", "{}").await.expect(400).problem("malformed_request");
    app.delete("/api/v1/notes/019ab0b2-8f00-7000-8000-000000000001").body("application/json", "{}").await.expect(400);
    app.post("/api/v1/notes").body("text/plain", "{\"title\":\"x\"}").await.expect(415).problem("unsupported_media_type");
    app.post("/api/v1/notes").body("application/merge-patch+json", "{\"title\":\"x\"}").await.expect(415);
    let made = note(&app, "x").await;
    app.patch(made.header("location")).body("application/merge-patch+json", "{\"title\":\"y\"}").await.expect(200);
}

#[tokio::test]
async fn r20_a_limit_is_clamped_above_and_refused_below() {
    let app = app().await;
    app.get("/api/v1/notes?limit=0").await.expect(422).problem("validation_failed").field("limit", "out_of_range");
    app.get("/api/v1/notes?limit=-1").await.expect(422).field("limit", "out_of_range");
    app.get("/api/v1/notes?limit=abc").await.expect(422).field("limit", "wrong_type");
    app.get("/api/v1/notes?limit=1000").await.expect(200);
    app.get("/api/v1/notes?limit=1&limit=2").await.expect(422).field("limit", "not_allowed");
}

#[tokio::test]
async fn r26_an_unknown_parameter_is_refused_everywhere() {
    let app = app().await;
    app.get("/api/v1/notes?limt=1").await.expect(422).problem("validation_failed").field("limt", "unknown_parameter");
    let made = note(&app, "x").await;
    app.get(&format!("{}?fields=id", made.header("location"))).await.expect(422).field("fields", "unknown_parameter");
    app.post("/api/v1/notes?dry_run=1").json(&json!({"title": "y"})).await.expect(422).field("dry_run", "unknown_parameter");
    app.get("/api/v1/notes?a=%zz").await.expect(400).problem("malformed_request");
}

#[tokio::test]
async fn r3_everything_wrong_with_a_body_is_said_at_once() {
    let app = app().await;
    let body = json!({"id": "1", "title": 7, "titel": "x", "body": null, "position": "1"});
    let refused = app.post("/api/v1/notes").json(&body).await.expect(422).problem("validation_failed");
    let refused = refused.field("/id", "read_only_field").field("/title", "wrong_type").field("/titel", "unknown_field");
    refused.field("/body", "wrong_type").field("/position", "wrong_type");
    app.post("/api/v1/notes").json(&json!({})).await.expect(422).field("/title", "required");
    app.post("/api/v1/notes").json(&json!([])).await.expect(422).field("", "wrong_type");
    app.post("/api/v1/notes").json(&json!({"title": "x".repeat(201)})).await.expect(422).field("/title", "too_long");
}

#[tokio::test]
async fn r14_numbers_out_of_range_are_refused_never_rounded() {
    let app = app().await;
    for number in ["9223372036854775808", "1e400", "-1", "1001", "18446744073709551616"] {
        let body = format!("{{\"title\":\"x\",\"position\":{number}}}");
        post_bytes(&app, body).await.expect(422).field("/position", "out_of_range");
    }
    post_bytes(&app, "{\"title\":\"x\",\"position\":1.5}").await.expect(422).field("/position", "wrong_type");
    app.get("/api/v1/notes?from_position=9223372036854775808").await.expect(422);
}

#[tokio::test]
async fn r122_a_malformed_id_looks_like_an_unknown_one() {
    let app = app().await;
    let without_occasion = |body: &Value| {
        let mut body = body.clone();
        body["instance"] = Value::Null;
        body["request_id"] = Value::Null;
        body
    };
    let unknown = app.get("/api/v1/notes/019ab0b2-8f00-7000-8000-000000000001").await.expect(404).problem("not_found");
    for id in ["nonsense", "019ab0b28f0070008000000000000001", "%7B019ab0b2-8f00-7000-8000-000000000001%7D", "%00", "..%2f"] {
        let malformed = app.get(&format!("/api/v1/notes/{id}")).await.expect(404);
        assert_eq!(without_occasion(&malformed.body), without_occasion(&unknown.body), "{id}");
    }
}

#[tokio::test]
async fn r60_a_stale_or_weak_etag_changes_nothing() {
    let app = app().await;
    let made = note(&app, "x").await;
    let place = made.header("location");
    assert_eq!(made.header("etag"), "\"v1\"");
    app.patch(place).header("If-Match", "\"v1\"").json(&json!({"title": "y"})).await.expect(200);
    for tag in ["\"v1\"", "W/\"v2\"", "\"abc\"", "v2"] {
        let refused = app.patch(place).header("If-Match", tag).json(&json!({"title": "z"})).await.expect(412).problem("version_conflict");
        assert_eq!(refused["current_version"], 2);
        app.delete(place).header("If-Match", tag).await.expect(412);
    }
    app.delete(place).header("If-Match", "*").await.expect(204);
}

#[tokio::test]
async fn r120_one_credential_per_request_and_none_in_the_query() {
    let app = app().await;
    let ada = Doorman::person("ada", &["notes:notes:audit"]);
    app.get("/api/v1/note-owner").by(&ada).await.expect(200);
    app.get("/api/v1/note-owner").header("Cookie", &format!("sid={}", ada.token)).await.expect(200);
    let both = app.get("/api/v1/note-owner").by(&ada).header("Cookie", &format!("sid={}", ada.token)).await;
    both.expect(400).problem("ambiguous_credentials");
    app.get("/api/v1/note-owner").by(&ada).by(&ada).await.expect(400).problem("ambiguous_credentials");
    let refused = app.get(&format!("/api/v1/note-owner?access_token={}", ada.token)).await.expect(401).problem("unauthenticated");
    assert_eq!(refused.header("www-authenticate"), "Bearer");
    app.get("/api/v1/note-owner").header("Authorization", "Basic YTpi").await.expect(401);
}

#[tokio::test]
async fn r121_a_permission_is_asked_before_anything_is_looked_up() {
    let app = app().await;
    app.get("/api/v1/note-audits").await.expect(401).problem("unauthenticated");
    app.get("/api/v1/note-audits").by(&Doorman::person("bob", &["notes:notes:read"])).await.expect(403).problem("forbidden");
    app.get("/api/v1/note-audits").by(&Doorman::person("ada", &["notes:notes:audit"])).await.expect(200);
    app.get("/api/v1/note-audits").by(&Doorman::person("owner", &["*"])).await.expect(200);
}

#[tokio::test]
async fn r65_too_much_is_refused_by_its_size() {
    let app = app().await;
    let large = json!({"title": "x", "body": "b".repeat(2 * 1024 * 1024)});
    app.post("/api/v1/notes").json(&large).await.expect(413).problem("payload_too_large");
    app.get("/api/v1/notes").header("X-Long", &"h".repeat(20 * 1024)).await.expect(431).problem("headers_too_large");
    app.get(&format!("/api/v1/notes?cursor={}", "u".repeat(9 * 1024))).await.expect(414).problem("uri_too_long");
}

#[tokio::test]
async fn r53_what_does_not_exist_is_said_in_the_words_of_the_api() {
    let app = app().await;
    app.get("/api/v1/nothing").await.expect(404).problem("not_found");
    app.get("/api/v1").await.expect(404).problem("not_found");
    let refused = app.put("/api/v1/notes").await.expect(405).problem("method_not_allowed");
    assert_eq!(refused.header("allow"), "POST, GET, HEAD, OPTIONS");
    app.get("/api/v1/notes").header("Accept", "text/xml").await.expect(406).problem("not_acceptable");
    for accepted in ["*/*", "application/*", "text/xml, application/json;q=0.5", "application/problem+json"] {
        app.get("/api/v1/notes").header("Accept", accepted).await.expect(200);
    }
}

#[tokio::test]
async fn r54_a_taken_title_is_a_conflict_on_the_member() {
    let app = app().await;
    note(&app, "x").await;
    app.post("/api/v1/notes").json(&json!({"title": "x"})).await.expect(409).problem("title_taken").field("/title", "title_taken");
    assert_eq!(app.event_names().await, ["notes.note.created"], "a refused change records nothing");
}
