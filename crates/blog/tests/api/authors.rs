//! Tags, author profiles, redirects.

use serde_json::json;

use crate::support::*;

#[tokio::test]
async fn tags_are_made_changed_and_taken_off_posts() {
    let app = app().await;
    let (ada, boss) = (author("ada"), editor());
    let made = tag(&app, "Bridges & Tunnels").await;
    assert_eq!((made.text("/slug").as_str(), made.text("/kind").as_str()), ("bridges-tunnels", "tag"));
    let path = format!("/api/v1/blog/tags/{}", made.text("/id"));
    app.post("/api/v1/blog/tags").by(&boss).json(&json!({ "name": "x", "slug": "bridges-tunnels" })).await.problem("slug_taken");
    app.post("/api/v1/blog/tags").by(&ada).json(&json!({ "name": "x" })).await.problem("forbidden");
    let id = new_post(&app, &ada, &json!({ "title": "One", "tag_ids": [made["id"]] })).await.expect(201).text("/id");
    publish(&app, &ada, &id).await.expect(200);
    assert_eq!(read(&app, &id).await["tags"][0]["name"], "Bridges & Tunnels");
    let changed = app.patch(&path).by(&boss).header("If-Match", "\"v1\"").json(&json!({ "name": "Bridges" })).await.expect(200);
    assert_eq!((changed.header("etag"), &changed["slug"]), ("\"v2\"", &json!("bridges-tunnels")));
    assert_eq!(read(&app, &id).await["tags"][0]["name"], "Bridges", "the answer in memory was dropped");
    app.patch(&path).by(&boss).header("If-Match", "\"v1\"").json(&json!({ "name": "x" })).await.problem("version_conflict");
    assert_eq!(slugs(&app.get("/api/v1/blog/tags").query("kind", "tag").await.expect(200)), ["bridges-tunnels"]);
    app.delete(&path).by(&boss).await.expect(204);
    app.get(&path).await.problem("not_found");
    assert_eq!(read(&app, &id).await["tags"], json!([]));
    let events = ["blog.tag.created", "blog.tag.updated", "blog.tag.deleted"];
    for event in events {
        assert_eq!(told(&app, event).await, 1, "{event}");
    }
}

#[tokio::test]
async fn rel1_profiles_exist_with_and_without_accounts() {
    let app = app().await;
    let (ada, boss) = (author("ada"), editor());
    let post = draft(&app, &ada, "One").await;
    let own = post["authors"][0]["id"].as_str().expect("an id").to_owned();
    let path = format!("/api/v1/blog/authors/{own}");
    let changed = app.patch(&path).by(&ada).json(&json!({ "name": "Ada", "slug": "ada", "website": "https://example.com/ada" })).await;
    assert_eq!(changed.expect(200)["name"], "Ada");
    assert_eq!(read(&app, &post.text("/id")).by(&ada).await["authors"][0]["name"], "Ada");
    app.patch(&path).by(&author("bob")).json(&json!({ "name": "x" })).await.problem("forbidden");
    app.patch(&path).by(&ada).json(&json!({ "user_id": null })).await.problem("forbidden");
    app.patch(&path).by(&ada).json(&json!({ "website": "ftp://x" })).await.problem("validation_failed").field("/website", "invalid_format");
    let guest = app.post("/api/v1/blog/authors").by(&boss).json(&json!({ "name": "Grace" })).await.expect(201);
    app.post("/api/v1/blog/authors").by(&boss).json(&json!({ "name": "Grace" })).await.problem("slug_taken");
    let twice = json!({ "name": "Other", "user_id": ada.user_id });
    app.post("/api/v1/blog/authors").by(&boss).json(&twice).await.problem("already_exists").field("/user_id", "not_unique");
    assert_eq!(slugs(&app.get("/api/v1/blog/authors").await.expect(200)), ["ada", "grace"]);
    app.delete(&path).by(&boss).await.problem("author_in_use");
    app.delete(&format!("/api/v1/blog/authors/{}", guest.text("/id"))).by(&boss).await.expect(204);
    assert_eq!((told(&app, "blog.author.created").await, told(&app, "blog.author.updated").await), (2, 1));
}

#[tokio::test]
async fn a_first_post_makes_one_profile_however_many_come_at_once() {
    let app = app().await;
    let ada = author("ada");
    let answers = at_once((0..20).map(|number| new_post(&app, &ada, &json!({ "title": format!("Post {number}") })))).await;
    assert_eq!(count(&answers, 201), 20, "{}", answers.iter().find(|answer| answer.status != 201).expect("a failure"));
    assert_eq!(slugs(&app.get("/api/v1/blog/authors").await), ["author"]);
    draft(&app, &author("bob"), "Bobs").await;
    assert_eq!(slugs(&app.get("/api/v1/blog/authors").await), ["author", "author-2"]);
}

#[tokio::test]
async fn redirects_lead_old_paths_somewhere() {
    let app = app().await;
    let boss = editor();
    let make = |body: serde_json::Value| app.post("/api/v1/blog/redirects").by(&boss).json(&body);
    assert_eq!(follow(&app, "/2020/01/hello").await.0, 404);
    let made = make(json!({ "from_path": "/2020/01/hello/", "to_url": "/hello" })).await.expect(201);
    assert_eq!((&made["from_path"], &made["status"]), (&json!("/2020/01/hello"), &json!(301)));
    assert_eq!(follow(&app, "/2020/01/hello").await, (301, "/hello".to_owned()));
    make(json!({ "from_path": "/2020/01/hello", "to_url": "/x" })).await.problem("redirect_exists").field("/from_path", "redirect_exists");
    for (body, place) in [
        (json!({ "from_path": "hello", "to_url": "/x" }), "/from_path"),
        (json!({ "from_path": "/a", "to_url": "//evil.example" }), "/to_url"),
        (json!({ "from_path": "/a", "to_url": "javascript:alert(1)" }), "/to_url"),
        (json!({ "from_path": "/a", "to_url": "/a/" }), "/to_url"),
        (json!({ "from_path": "/a", "to_url": "/b", "status": 200 }), "/status"),
    ] {
        let refused = make(body).await.problem("validation_failed");
        assert_eq!(refused["errors"][0]["pointer"], place);
    }
    let path = format!("/api/v1/blog/redirects/{}", made.text("/id"));
    app.patch(&path).by(&boss).json(&json!({ "to_url": "https://example.com/grüße", "status": 302 })).await.expect(200);
    assert_eq!(follow(&app, "/2020/01/hello").await, (302, "https://example.com/gr%C3%BC%C3%9Fe".to_owned()));
    let found = app.get("/api/v1/blog/redirects/lookup").query("path", "/2020/01/hello/").await.expect(200);
    assert_eq!(found["id"], made["id"]);
    app.get("/api/v1/blog/redirects/lookup").query("path", "/none").await.problem("not_found");
    let list = app.get("/api/v1/blog/redirects").by(&boss).await.expect(200);
    assert_eq!(list["items"].as_array().map(Vec::len), Some(1));
    app.get("/api/v1/blog/redirects").by(&member("eve")).await.problem("forbidden");
    app.delete(&path).by(&boss).await.expect(204);
    assert_eq!(follow(&app, "/2020/01/hello").await.0, 404);
    assert_eq!(told(&app, "blog.redirect.changed").await, 3);
}

#[tokio::test]
async fn blg6_the_old_address_of_a_post_leads_to_the_new_one() {
    let app = app_with(&[("blog.locales", "en,de")]).await;
    let ada = author("ada");
    let id = published(&app, &ada, "One").await.text("/id");
    assert_eq!(follow(&app, "/one").await.0, 404);
    patch(&app, &ada, &id, &json!({ "slug": "grüße" })).await.expect(200);
    assert_eq!(follow(&app, "/one").await, (301, "http://undercroft.test/gr%C3%BC%C3%9Fe".to_owned()));
    for other in ["/en/one", "/x/y/one", "/One", "/one.html"] {
        assert_eq!(follow(&app, other).await.0, 404, "{other}");
    }
    act(&app, &ada, &id, "unpublish").await.expect(200);
    assert_eq!(follow(&app, "/one").await.0, 404);
}
