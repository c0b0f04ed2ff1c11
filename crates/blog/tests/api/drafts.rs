//! Drafts beside the live version, and revisions.

use serde_json::{Value, json};
use testkit::{Person, Request, TestApp};

use crate::support::*;

fn save(app: &TestApp, by: &Person, id: &str, body: &Value) -> Request {
    app.put(&format!("/api/v1/blog/posts/{id}/draft")).by(by).json(body)
}

fn revisions(app: &TestApp, by: &Person, id: &str) -> Request {
    app.get(&format!("/api/v1/blog/posts/{id}/revisions")).by(by)
}

#[tokio::test]
async fn blg2_a_draft_leaves_the_live_bytes_alone_until_it_is_published() {
    let app = app().await;
    let ada = author("ada");
    let post = published(&app, &ada, "One").await;
    let id = post.text("/id");
    let before = read(&app, &id).await.expect(200);
    for title in ["Two", "Three"] {
        let draft = json!({ "title": title, "body": { "source": "Changed." }, "base_version": post["version"] });
        let saved = save(&app, &ada, &id, &draft).await.expect(200);
        assert_eq!((&saved["title"], &saved["html"]), (&json!(title), &json!("<p>Changed.</p>\n")));
    }
    app.advance(MINUTE);
    let after = read(&app, &id).await.expect(200);
    for header in ["etag", "last-modified"] {
        assert!(!after.header(header).is_empty());
        assert_eq!(after.header(header), before.header(header));
    }
    assert_eq!(after.bytes, before.bytes);
    let now = publish(&app, &ada, &id).await.expect(200);
    assert_eq!((&now["title"], &now["published_at"]), (&json!("Three"), &post["published_at"]));
    assert_eq!(read(&app, &id).await.expect(200)["text"], "Changed.");
    app.get(&format!("/api/v1/blog/posts/{id}/draft")).by(&ada).await.problem("not_found");
    publish(&app, &ada, &id).await.problem("already_published");
}

#[tokio::test]
async fn a_draft_over_a_newer_live_version_is_outdated() {
    let app = app().await;
    let ada = author("ada");
    let post = published(&app, &ada, "One").await;
    let (id, base) = (post.text("/id"), post["version"].as_i64().expect("a version"));
    save(&app, &ada, &id, &json!({ "title": "Draft", "base_version": base })).await.expect(200);
    patch(&app, &ada, &id, &json!({ "title": "Live" })).await.expect(200);
    let refused = save(&app, &ada, &id, &json!({ "title": "Draft 2", "base_version": base })).await.problem("draft_outdated");
    assert_eq!(refused["current_version"], base + 1);
    publish(&app, &ada, &id).await.problem("draft_outdated");
    save(&app, &ada, &id, &json!({ "title": "x", "base_version": base + 5, "rebase": true })).await.problem("draft_outdated");
    save(&app, &ada, &id, &json!({ "title": "Draft 3", "base_version": base, "rebase": true })).await.expect(200);
    assert_eq!(publish(&app, &ada, &id).await.expect(200)["title"], "Draft 3");
}

#[tokio::test]
async fn a_draft_has_an_etag_of_its_own() {
    let app = app().await;
    let ada = author("ada");
    let id = draft(&app, &ada, "One").await.text("/id");
    let path = format!("/api/v1/blog/posts/{id}/draft");
    let body = json!({ "title": "Two", "base_version": 1 });
    let saved = save(&app, &ada, &id, &body).await.expect(200);
    assert_eq!(saved.header("etag"), "\"v1\"");
    let answers = at_once((0..20).map(|_| save(&app, &ada, &id, &body).header("If-Match", "\"v1\""))).await;
    assert_eq!((count(&answers, 200), count(&answers, 412)), (1, 19));
    app.get(&path).by(&author("bob")).await.problem("not_found");
    app.get(&path).by(&ada).header("If-None-Match", "\"v2\"").await.expect(304);
    app.delete(&path).by(&ada).header("If-Match", "\"v1\"").await.problem("version_conflict");
    app.delete(&path).by(&ada).await.expect(204);
    app.delete(&path).by(&ada).await.problem("not_found");
}

#[tokio::test]
async fn blg8_every_change_of_a_live_post_is_a_revision_and_restoring_makes_another() {
    let app = app().await;
    let ada = author("ada");
    let id = draft(&app, &ada, "One").await.text("/id");
    patch(&app, &ada, &id, &json!({ "title": "Still a draft" })).await.expect(200);
    assert_eq!(revisions(&app, &ada, &id).await.expect(200)["items"], json!([]));
    publish(&app, &ada, &id).await.expect(200);
    patch(&app, &ada, &id, &json!({ "title": "Changed", "body": { "source": "a walk that can be" } })).await.expect(200);
    let list = revisions(&app, &ada, &id).await.expect(200);
    let told: Vec<(i64, &str)> = list["items"]
        .as_array()
        .expect("items")
        .iter()
        .map(|item| (item["number"].as_i64().expect("a number"), item["reason"].as_str().expect("a reason")))
        .collect();
    assert_eq!(told, [(2, "update"), (1, "publish")]);
    let restored = act(&app, &ada, &id, "restore").json(&json!({ "revision": 1 })).await.expect(200);
    assert_eq!((&restored["title"], &restored["slug"]), (&json!("Still a draft"), &json!("one")));
    assert_eq!(revisions(&app, &ada, &id).await["items"][0]["reason"], "restore");
    let first = app.get(&format!("/api/v1/blog/posts/{id}/revisions/1")).by(&ada).await.expect(200);
    assert_eq!(first["title"], "Still a draft");
    act(&app, &ada, &id, "restore").json(&json!({ "revision": 2, "as_draft": true })).await.expect(200);
    assert_eq!(app.get(&format!("/api/v1/blog/posts/{id}/draft")).by(&ada).await.expect(200)["title"], "Changed");
    act(&app, &ada, &id, "restore").json(&json!({ "revision": 99 })).await.problem("not_found");
    app.get(&format!("/api/v1/blog/posts/{id}/revisions/99")).by(&ada).await.problem("not_found");
    revisions(&app, &author("bob"), &id).await.problem("forbidden");
    revisions(&app, &app.anyone(), &id).await.problem("unauthenticated");
}

#[tokio::test]
async fn blg9_revisions_are_compared_word_by_word() {
    let app = app().await;
    let ada = author("ada");
    let body = json!({ "title": "One", "body": { "source": "a walk that cannot be" } });
    let id = new_post(&app, &ada, &body).await.expect(201).text("/id");
    publish(&app, &ada, &id).await.expect(200);
    patch(&app, &ada, &id, &json!({ "body": { "source": "a walk that can be" } })).await.expect(200);
    let diff = app.get(&format!("/api/v1/blog/posts/{id}/revisions/2/diff")).by(&ada).await.expect(200);
    let hunk = |kind: &str, text: &str| json!({ "kind": kind, "text": text });
    let hunks = [hunk("keep", "a walk that "), hunk("delete", "cannot"), hunk("insert", "can"), hunk("keep", " be")];
    assert_eq!(diff["fields"], json!([{ "field": "body", "hunks": hunks }]));
    app.get(&format!("/api/v1/blog/posts/{id}/revisions/1/diff")).by(&ada).await.problem("not_found");
    let same = app.get(&format!("/api/v1/blog/posts/{id}/revisions/2/diff")).query("against", 2).by(&ada).await.expect(200);
    assert_eq!(same["fields"], json!([]));
}

#[tokio::test]
async fn old_revisions_are_forgotten_and_the_list_has_pages() {
    let app = app_with(&[("blog.revisions_keep", "5")]).await;
    let ada = author("ada");
    let id = published(&app, &ada, "One").await.text("/id");
    for number in 0..7 {
        patch(&app, &ada, &id, &json!({ "title": format!("Title {number}") })).await.expect(200);
    }
    let first = revisions(&app, &ada, &id).query("limit", 3).await.expect(200);
    let second = revisions(&app, &ada, &id).query("limit", 3).query("cursor", first.text("/next_cursor")).await.expect(200);
    let numbers = |list: &testkit::TestResponse| -> Vec<i64> {
        list["items"].as_array().expect("items").iter().filter_map(|item| item["number"].as_i64()).collect()
    };
    assert_eq!((numbers(&first), numbers(&second)), (vec![8, 7, 6], vec![5, 4]));
    revisions(&app, &ada, &id).query("cursor", "x").await.problem("cursor_invalid");
}
