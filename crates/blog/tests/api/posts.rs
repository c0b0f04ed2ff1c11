//! What posts say: begin, read, change, addresses.

use std::collections::HashSet;
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::*;

#[tokio::test]
async fn blg1_a_new_post_is_a_draft_that_only_its_authors_and_editors_see() {
    let app = app().await;
    let (ada, bob) = (author("ada"), author("bob"));
    let post = draft(&app, &ada, "Seven bridges").await;
    let id = post.text("/id");
    assert_eq!((post.text("/status").as_str(), post.text("/slug").as_str()), ("draft", "seven-bridges"));
    assert_eq!(post["authors"][0]["name"], "Author");
    assert_eq!(post.header("location"), format!("/api/v1/blog/posts/{id}"));
    read(&app, &id).by(&ada).await.expect(200);
    read(&app, &id).by(&editor()).await.expect(200);
    for stranger in [app.anyone(), bob.clone(), member("eve"), moderator()] {
        read(&app, &id).by(&stranger).await.problem("not_found");
        by_slug(&app, "seven-bridges").by(&stranger).await.problem("not_found");
        assert_eq!(slugs(&list(&app).by(&stranger).await.expect(200)), [""; 0], "{}", stranger.email);
        patch(&app, &bob, &id, &json!({ "title": "Mine" })).await.problem("not_found");
        publish(&app, &bob, &id).await.problem("not_found");
    }
    assert_eq!(slugs(&list(&app).by(&ada).await.expect(200)), ["seven-bridges"]);
    assert_eq!(app.event_names().await, ["blog.author.created", "blog.post.created"]);
}

#[tokio::test]
async fn a_published_post_is_read_by_everybody_and_its_source_by_its_authors() {
    let app = app().await;
    let ada = author("ada");
    let post = published(&app, &ada, "Seven bridges").await;
    let id = post.text("/id");
    let seen = read(&app, &id).await.expect(200);
    assert_eq!(seen["html"], "<p>All about <em>Seven bridges</em>.</p>\n");
    assert_eq!((&seen["text"], &seen["body"]), (&json!("All about Seven bridges."), &Value::Null));
    assert_eq!(seen.header("cache-control"), "public, max-age=0, must-revalidate");
    assert_eq!(by_slug(&app, "seven-bridges").await.expect(200)["id"], *id);
    let own = read(&app, &id).by(&ada).await.expect(200);
    assert_eq!(own["body"], json!({ "format": "markdown", "source": "All about *Seven bridges*." }));
    assert!(own.header("cache-control").contains("private"), "{own}");
    assert_eq!(read(&app, &id).by(&member("eve")).await.expect(200)["body"], Value::Null);
}

#[tokio::test]
async fn san1_what_leaves_is_sanitised_whatever_came_in() {
    let app = app().await;
    let ada = author("ada");
    let source = "<p onclick=\"x()\">Hi<script>alert(1)</script> <a href=\"javascript:alert(1)\">there</a></p>";
    let body = json!({ "title": "<b>Bold</b>", "body": { "format": "html", "source": source } });
    let id = new_post(&app, &ada, &body).await.expect(201).text("/id");
    let post = publish(&app, &ada, &id).await.expect(200);
    let html = post.text("/html");
    for forbidden in ["script", "onclick", "javascript"] {
        assert!(!html.contains(forbidden), "{html}");
    }
    assert_eq!(post["title"], "<b>Bold</b>", "plain text stays as it is");
}

#[tokio::test]
async fn blg13_the_head_of_the_page_is_complete() {
    let app = app_with(&[("blog.site_url", "https://example.com/"), ("blog.title", "Bridges")]).await;
    let ada = author("ada");
    let post = published(&app, &ada, "Seven bridges").await;
    let seo = &post["seo"];
    assert_eq!(seo["title"], "Seven bridges");
    assert_eq!(seo["description"], "All about Seven bridges.");
    assert_eq!(seo["canonical_url"], "https://example.com/seven-bridges");
    assert_eq!(post["url"], "https://example.com/seven-bridges");
    assert_eq!((&seo["image_url"], &seo["is_indexed"]), (&Value::Null, &json!(true)));
    assert_eq!(seo["open_graph"]["og:site_name"], "Bridges");
    let json_ld = &seo["json_ld"];
    assert_eq!((&json_ld["@type"], &json_ld["author"][0]["@type"]), (&json!("BlogPosting"), &json!("Person")));
    assert_eq!(json_ld["datePublished"], post["published_at"]);
    let set = json!({ "seo": { "title": "Bridges!", "canonical_url": "https://other.example/x", "is_indexed": false } });
    let post = patch(&app, &ada, &post.text("/id"), &set).await.expect(200);
    assert_eq!(post["seo"]["open_graph"]["og:url"], "https://other.example/x");
    assert_eq!((&post["seo"]["title"], &post["seo"]["is_indexed"]), (&json!("Bridges!"), &json!(false)));
}

#[tokio::test]
async fn blg7_two_hundred_creations_of_one_title_give_two_hundred_slugs() {
    let app = app().await;
    let ada = author("ada");
    draft(&app, &ada, "First").await;
    let body = json!({ "title": "The same" });
    let mut answers = Vec::new();
    // As many at once as may wait to be rendered.
    for _ in 0..4 {
        answers.extend(at_once((0..50).map(|_| new_post(&app, &ada, &body))).await);
    }
    assert_eq!(count(&answers, 201), 200, "{}", answers.iter().find(|answer| answer.status != 201).expect("a failure"));
    let slugs: HashSet<String> = answers.iter().map(|answer| answer.text("/slug")).collect();
    assert_eq!(slugs.len(), 200);
    assert!(slugs.contains("the-same") && slugs.contains("the-same-2"));
}

#[tokio::test]
async fn blg7_fifty_creations_of_one_slug_have_one_winner() {
    let app = app().await;
    let ada = author("ada");
    draft(&app, &ada, "First").await;
    let body = json!({ "title": "The same", "slug": "mine" });
    let answers = at_once((0..50).map(|_| new_post(&app, &ada, &body))).await;
    assert_eq!((count(&answers, 201), count(&answers, 409)), (1, 49));
    for refused in answers.into_iter().filter(|answer| answer.status == 409) {
        refused.problem("slug_taken").field("/slug", "slug_taken");
    }
}

#[tokio::test]
async fn blg6_a_former_slug_leads_to_the_current_one_without_chains() {
    let app = app().await;
    let ada = author("ada");
    let id = published(&app, &ada, "One").await.text("/id");
    by_slug(&app, "one").await.expect(200);
    for slug in ["two", "three", "grüße"] {
        patch(&app, &ada, &id, &json!({ "slug": slug })).await.expect(200);
    }
    for former in ["one", "two", "three"] {
        let moved = by_slug(&app, former).await.expect(308);
        assert_eq!(moved.header("location"), "/api/v1/blog/posts/by-slug/gr%C3%BC%C3%9Fe", "{former}");
    }
    let location = by_slug(&app, "one").await.header("location").to_owned();
    assert_eq!(app.get(&location).await.expect(200)["id"], *id);
    // A former slug stays reserved until it is claimed, and can be taken back.
    new_post(&app, &ada, &json!({ "title": "x", "slug": "two" })).await.problem("slug_taken");
    let other = new_post(&app, &ada, &json!({ "title": "x", "slug": "two", "claim_slug": true })).await.expect(201);
    publish(&app, &ada, &other.text("/id")).await.expect(200);
    assert_eq!(by_slug(&app, "two").await.expect(200)["id"], other["id"]);
    patch(&app, &ada, &id, &json!({ "slug": "one" })).await.expect(200);
    by_slug(&app, "one").await.expect(200);
    patch(&app, &ada, &id, &json!({ "slug": "two", "claim_slug": true })).await.problem("slug_taken");
    assert_eq!(told(&app, "blog.post.slug_changed").await, 4);
}

#[tokio::test]
async fn blg6_the_slug_of_a_purged_post_is_gone_and_of_a_draft_not_found() {
    let app = app().await;
    let ada = author("ada");
    let id = published(&app, &ada, "One").await.text("/id");
    patch(&app, &ada, &id, &json!({ "slug": "two" })).await.expect(200);
    act(&app, &ada, &id, "unpublish").await.expect(200);
    by_slug(&app, "one").await.problem("not_found");
    app.delete(&format!("/api/v1/blog/posts/{id}")).by(&editor()).query("permanent", true).await.expect(204);
    for slug in ["one", "two"] {
        by_slug(&app, slug).await.problem("gone");
    }
    read(&app, &id).by(&editor()).await.problem("not_found");
    assert_eq!((told(&app, "blog.post.trashed").await, told(&app, "blog.post.purged").await), (1, 1));
    let claimed = new_post(&app, &ada, &json!({ "title": "x", "slug": "one", "claim_slug": true })).await.expect(201);
    assert_eq!(claimed["slug"], "one");
}

#[tokio::test]
async fn blg10_two_editors_with_one_etag_have_one_winner_and_lose_nothing() {
    let app = app().await;
    let ada = author("ada");
    let id = published(&app, &ada, "One").await.text("/id");
    let etag = read(&app, &id).by(&ada).await.expect(200).header("etag").to_owned();
    let change = |title: &str| patch(&app, &editor(), &id, &json!({ "title": title })).header("If-Match", &etag);
    let answers = at_once((0..50).map(|number| change(&format!("Title {number}")))).await;
    assert_eq!((count(&answers, 200), count(&answers, 412)), (1, 49));
    let won = answers.iter().find(|answer| answer.status == 200).expect("a winner");
    let current = read(&app, &id).await.expect(200);
    assert_eq!((&current["title"], &current["version"]), (&won["title"], &won["version"]));
    let lost = answers.into_iter().find(|answer| answer.status == 412).expect("a loser");
    assert_eq!(lost.problem("version_conflict")["current_version"], current["version"]);
    patch(&app, &ada, &id, &json!({ "title": "Last" })).header("If-Match", won_tag(&current).as_str()).await.expect(200);
    patch(&app, &ada, &id, &json!({ "title": "x" })).header("If-Match", "W/\"v9\"").await.problem("version_conflict");
}

fn won_tag(post: &testkit::TestResponse) -> String {
    format!("\"v{}\"", post["version"])
}

#[tokio::test]
async fn blg10_a_site_may_demand_if_match() {
    let app = app_with(&[("blog.require_if_match", "true")]).await;
    let ada = author("ada");
    let id = draft(&app, &ada, "One").await.text("/id");
    patch(&app, &ada, &id, &json!({ "title": "Two" })).await.problem("precondition_required");
    patch(&app, &ada, &id, &json!({ "title": "Two" })).header("If-Match", "\"v1\"").await.expect(200);
    patch(&app, &ada, &id, &json!({ "title": "Three" })).header("If-Match", "*").await.expect(200);
}

#[tokio::test]
async fn a_change_that_changes_nothing_makes_no_version_and_no_event() {
    let app = app().await;
    let ada = author("ada");
    let post = published(&app, &ada, "One").await;
    let events = app.event_names().await.len();
    let same = patch(&app, &ada, &post.text("/id"), &json!({ "title": "One", "slug": "one" })).await.expect(200);
    assert_eq!((&same["version"], app.event_names().await.len()), (&post["version"], events));
}

#[tokio::test]
async fn a_put_replaces_what_a_patch_would_leave() {
    let app = app().await;
    let ada = author("ada");
    let id = draft(&app, &ada, "One").await.text("/id");
    patch(&app, &ada, &id, &json!({ "excerpt": "Short." })).await.expect(200);
    let path = format!("/api/v1/blog/posts/{id}");
    let put = app.put(&path).by(&ada).json(&json!({ "title": "Two" })).await.expect(200);
    assert_eq!((&put["title"], &put["excerpt"], &put["slug"]), (&json!("Two"), &json!(""), &json!("one")));
    assert_eq!(put["authors"].as_array().map(Vec::len), Some(1));
    app.put(&path)
        .by(&ada)
        .json(&json!({ "title": "x", "locale": "en" }))
        .await
        .problem("validation_failed")
        .field("/locale", "not_allowed");
}

#[tokio::test]
async fn blg5_events_carry_the_post_and_what_changed() {
    let app = app().await;
    let ada = author("ada");
    let bridges = tag(&app, "Bridges").await;
    let body = json!({ "title": "One", "tag_ids": [bridges["id"]], "body": { "source": "word ".repeat(5_000) } });
    let id = new_post(&app, &ada, &body).await.expect(201).text("/id");
    publish(&app, &ada, &id).await.expect(200);
    patch(&app, &ada, &id, &json!({ "title": "Two", "body": { "source": "Short." } })).await.expect(200);
    let events = app.events().await;
    let of = |name: &str| events.iter().find(|(event, _)| event == name).map(|(_, data)| data).unwrap_or_else(|| panic!("no {name}"));
    let published = of("blog.post.published");
    assert_eq!((&published["post"]["html"], &published["omitted"]), (&Value::Null, &json!(["html", "text"])), "long members are left out");
    assert_eq!(published["post"]["tags"][0]["slug"], "bridges");
    let updated = of("blog.post.updated");
    assert_eq!((&updated["changed_fields"], &updated["post"]["html"]), (&json!(["title", "body"]), &json!("<p>Short.</p>\n")));
    assert_eq!((&updated["post_id"], &updated["post"]["body"]), (&json!(id), &Value::Null));
}

#[tokio::test]
async fn bad_input_is_told_all_at_once() {
    let app = app().await;
    let ada = author("ada");
    let wrong = json!({ "title": "", "slug": "x", "unknown": 1, "id": "x", "seo": { "canonical_url": 7 } });
    let refused = new_post(&app, &ada, &wrong).await.problem("validation_failed").field("/title", "too_short");
    refused.field("/unknown", "unknown_field").field("/id", "read_only_field").field("/seo/canonical_url", "wrong_type");
    let missing = "019ab0b2-8f00-7000-8000-00000000ffff";
    let wrong = json!({ "title": "x", "tag_ids": [missing], "author_ids": [missing] });
    let refused = new_post(&app, &editor(), &wrong).await.problem("validation_failed").field("/tag_ids/0", "unknown_reference");
    refused.field("/author_ids/0", "unknown_reference");
    for (body, place, code) in [
        (json!({ "title": "x", "slug": "Not A Slug" }), "/slug", "invalid_format"),
        (json!({ "title": "x", "locale": "xx" }), "/locale", "unknown_reference"),
        (json!({ "title": "x".repeat(256) }), "/title", "too_long"),
        (json!({ "title": "x", "excerpt": "x".repeat(1001) }), "/excerpt", "too_long"),
        (json!({ "title": "x", "body": { "source": "ü".repeat(400_000) } }), "/body/source", "too_long"),
        (json!({ "title": "x", "body": { "format": "pdf", "source": "" } }), "/body/format", "not_allowed"),
        (json!({ "title": "x", "seo": { "image_url": "javascript:alert(1)" } }), "/seo/image_url", "invalid_format"),
        (json!({ "title": "x", "tag_ids": [missing, missing] }), "/tag_ids", "not_unique"),
    ] {
        new_post(&app, &ada, &body).await.problem("validation_failed").field(place, code);
    }
    list(&app).query("status", "gone").await.problem("validation_failed").field("status", "not_allowed");
    list(&app).query("sort", "body").await.problem("sort_not_supported");
    list(&app).query("limit", 0).await.problem("validation_failed").field("limit", "out_of_range");
    list(&app).query("cursor", "x").await.problem("cursor_invalid");
    list(&app).query("what", "x").await.problem("validation_failed").field("what", "unknown_parameter");
    list(&app).query("q", "x".repeat(257)).await.problem("validation_failed").field("q", "too_long");
    read(&app, "not-an-id").await.problem("not_found");
}

#[tokio::test]
async fn an_author_of_own_posts_cannot_leave_themselves_out() {
    let app = app().await;
    let (ada, bob) = (author("ada"), author("bob"));
    let bobs = draft(&app, &bob, "Bobs").await["authors"][0]["id"].clone();
    new_post(&app, &ada, &json!({ "title": "x", "author_ids": [bobs] }))
        .await
        .problem("validation_failed")
        .field("/author_ids", "not_allowed");
    let post = draft(&app, &ada, "Mine").await;
    let (id, adas) = (post.text("/id"), post["authors"][0]["id"].clone());
    patch(&app, &ada, &id, &json!({ "author_ids": [bobs] })).await.problem("validation_failed").field("/author_ids", "not_allowed");
    let both = patch(&app, &ada, &id, &json!({ "author_ids": [bobs, adas] })).await.expect(200);
    assert_eq!(both["authors"][0]["id"], bobs);
    read(&app, &id).by(&bob).await.expect(200);
    let other = patch(&app, &editor(), &id, &json!({ "author_ids": [bobs] })).await.expect(200);
    assert_eq!(other["authors"].as_array().map(Vec::len), Some(1));
    read(&app, &id).by(&ada).await.problem("not_found");
}

#[tokio::test]
async fn san1_html_of_an_older_allow_list_is_made_anew_on_reading_and_by_a_job() {
    let app = app_with(&[("blog.comments.policy", "open")]).await;
    let ada = author("ada");
    let id = published(&app, &ada, "One").await.text("/id");
    let written = comment(&app, &id, "Hello").await.expect(201).text("/comment/id");
    // As an earlier version with a weaker list left it.
    let weaken = |table: &'static str| {
        let sql = format!("UPDATE {table} SET body_html = '<script>alert(1)</script>', render_version = 0");
        app.kernel().db().write(move |tx| tx.execute(sql.clone(), db::params![]))
    };
    weaken("blog_posts").await.expect("posts are weakened");
    weaken("blog_comments").await.expect("comments are weakened");
    assert_eq!(read(&app, &id).await.expect(200)["html"], "<p>All about <em>One</em>.</p>\n");
    assert_eq!(app.get(&format!("/api/v1/blog/comments/{written}")).await.expect(200)["html"], "<p>Hello</p>\n");
    let listed = app.get(&format!("/api/v1/blog/posts/{id}/comments")).await.expect(200);
    assert_eq!(listed["items"][0]["html"], "<p>Hello</p>\n");
    let feed = String::from_utf8(app.get("/feed.xml").await.expect(200).bytes).expect("UTF-8");
    assert!(!feed.contains("lt;script"), "{feed}");
    app.run_jobs().await;
    app.advance(HOUR);
    app.run_jobs().await;
    let stored = app.kernel().db().read(|c| c.one::<String>("SELECT body_html FROM blog_posts", db::params![])).await;
    assert_eq!(stored.expect("a post"), "<p>All about <em>One</em>.</p>\n");
    let stored = app.kernel().db().read(|c| c.one::<String>("SELECT body_html FROM blog_comments", db::params![])).await;
    assert_eq!(stored.expect("a comment"), "<p>Hello</p>\n");
}

/// A picture of one point, as GIF.
const PICTURE: &[u8] = b"GIF89a\x01\x00\x01\x00\x80\x00\x00\xff\x00\x00\x00\x00\x00,\x00\x00\x00\x00\x01\x00\x01\x00\x00\x02\x02D\x01\x00;";

#[tokio::test]
async fn blg11_a_draft_in_another_language_hides_nothing() {
    let app = app_with(&[("blog.locales", r#"["en", "de"]"#)]).await;
    let ada = author("ada");
    let english = new_post(&app, &ada, &json!({ "title": "About", "slug": "about", "locale": "en" })).await.expect(201).text("/id");
    publish(&app, &ada, &english).await.expect(200);
    let german =
        new_post(&app, &author("eve"), &json!({ "title": "Über uns", "slug": "about", "locale": "de" })).await.expect(201).text("/id");
    assert_eq!(by_slug(&app, "about").query("locale", "de").await.expect(200)["id"], english);
    assert_eq!(by_slug(&app, "about").query("locale", "de").by(&ada).await.expect(200)["id"], english);
    assert_eq!(by_slug(&app, "about").query("locale", "de").by(&author("eve")).await.expect(200)["id"], german);
    app.run_jobs().await;
}

#[tokio::test]
async fn med5_the_private_picture_of_somebody_else_is_none() {
    let app = app().await;
    let private =
        app.post("/api/v1/media?name=a.gif&visibility=private").by(&editor()).body("application/octet-stream", PICTURE).await.expect(201);
    let body = json!({ "title": "One", "featured_media_id": private["id"] });
    let refused = new_post(&app, &author("ada"), &body).await;
    refused.problem("validation_failed").field("/featured_media_id", "unknown_reference");
    new_post(&app, &editor(), &body).await.expect(201);
    app.run_jobs().await;
}

#[tokio::test]
async fn med6_a_post_shows_its_picture_and_keeps_it_from_being_deleted() {
    let app = app().await;
    let ada = author("ada");
    let upload = || app.post("/api/v1/media?name=a.gif").by(&editor()).body("application/octet-stream", PICTURE);
    let (first, second) = (upload().await.expect(201), upload().await.expect(201));
    let body = json!({ "title": "One", "featured_media_id": first["id"], "body": { "source": "![x](/other.png)" } });
    let id = new_post(&app, &ada, &body).await.expect(201).text("/id");
    let post = publish(&app, &ada, &id).await.expect(200);
    assert_eq!((&post["featured_media"]["id"], &post["featured_media"]["width"]), (&first["id"], &json!(1)));
    assert_eq!(post["seo"]["image_url"], format!("http://undercroft.test{}", first.text("/url")));
    assert_eq!(list(&app).await["items"][0]["featured_media"]["id"], first["id"]);
    let file = |media: &testkit::TestResponse| format!("/api/v1/media/{}", media.text("/id"));
    app.delete(&file(&first)).by(&editor()).await.problem("media_in_use");
    app.patch(&file(&first)).by(&editor()).json(&json!({ "alt": "A point" })).await.expect(200);
    assert_eq!(read(&app, &id).await["featured_media"]["alt"], "A point", "the answer in memory was dropped");
    // A draft holds its own until it is published; then the old one is free.
    let draft = json!({ "title": "Two", "featured_media_id": second["id"], "base_version": post["version"] });
    app.put(&format!("/api/v1/blog/posts/{id}/draft")).by(&ada).json(&draft).await.expect(200);
    app.delete(&file(&second)).by(&editor()).await.problem("media_in_use");
    assert_eq!(publish(&app, &ada, &id).await.expect(200)["featured_media"]["id"], second["id"]);
    app.delete(&file(&first)).by(&editor()).await.expect(204);
    app.delete(&file(&second)).by(&editor()).await.problem("media_in_use");
    let wrong = json!({ "featured_media_id": first["id"] });
    patch(&app, &ada, &id, &wrong).await.problem("validation_failed").field("/featured_media_id", "unknown_reference");
    let restored = act(&app, &ada, &id, "restore").json(&json!({ "revision": 1 })).await.expect(200);
    assert_eq!(restored["featured_media"], Value::Null, "what is gone does not come back");
    app.delete(&file(&second)).by(&editor()).await.expect(204);
    app.run_jobs().await;
}

#[tokio::test]
async fn med6_pictures_in_texts_of_posts_drafts_and_revisions_outlive_the_sweep() {
    let app = app().await;
    let ada = author("ada");
    let upload = || app.post("/api/v1/media?name=a.gif").by(&editor()).body("application/octet-stream", PICTURE);
    let (shown, former, drafted, preview) =
        (upload().await.expect(201), upload().await.expect(201), upload().await.expect(201), upload().await.expect(201));
    let file = |media: &testkit::TestResponse| format!("/api/v1/media/{}", media.text("/id"));
    let image_url = format!("https://blog.example.com{}/content", file(&preview));
    let body = json!({ "title": "One", "body": { "source": format!("![x]({})", former.text("/url")) }, "seo": { "image_url": image_url } });
    let id = new_post(&app, &ada, &body).await.expect(201).text("/id");
    publish(&app, &ada, &id).await.expect(200);
    app.delete(&file(&former)).by(&editor()).await.problem("media_in_use");
    let html = format!("<img srcset=\"{} 2x\" src=\"/other.png\">", shown.text("/url"));
    let post = patch(&app, &ada, &id, &json!({ "body": { "format": "html", "source": html } })).await.expect(200);
    let text = json!({ "source": format!("![x]({})", drafted.text("/url")) });
    let draft = json!({ "title": "One", "body": text, "base_version": post["version"] });
    app.put(&format!("/api/v1/blog/posts/{id}/draft")).by(&ada).json(&draft).await.expect(200);
    let unused = upload().await.expect(201);
    app.run_jobs().await; // from here on the schedule is known
    app.advance(Duration::from_secs(9 * 86_400));
    app.run_jobs().await;
    app.get(&file(&unused)).await.expect(404);
    for kept in [&shown, &former, &drafted, &preview] {
        app.get(&file(kept)).await.expect(200);
    }
    // What only the history shows may go when somebody says so, and all of it goes with the post.
    app.delete(&file(&former)).by(&editor()).await.expect(204);
    app.delete(&format!("/api/v1/blog/posts/{id}")).by(&editor()).await.expect(204);
    app.advance(Duration::from_secs(40 * 86_400));
    app.run_jobs().await;
    app.advance(Duration::from_secs(86_400));
    app.run_jobs().await;
    for swept in [&shown, &drafted, &preview] {
        app.get(&file(swept)).await.expect(404);
    }
}

#[tokio::test]
async fn med5_a_text_does_not_hold_the_private_picture_of_somebody_else() {
    let app = app().await;
    let upload = app.post("/api/v1/media?name=a.gif&visibility=private").by(&editor()).body("application/octet-stream", PICTURE);
    let private = upload.await.expect(201);
    let body = json!({ "title": "One", "body": { "source": format!("![x]({})", private.text("/url")) } });
    new_post(&app, &author("ada"), &body).await.expect(201);
    app.delete(&format!("/api/v1/media/{}", private.text("/id"))).by(&editor()).await.expect(204);
    app.run_jobs().await;
}
