//! Feeds, sitemaps and robots.txt, read by a reader that is not ours.

use feed_rs::model::{Entry, Feed};
use feed_rs::parser;
use serde_json::{Value, json};
use testkit::{TestApp, TestResponse};

use crate::support::*;

const FILES: [&str; 3] = ["feed.xml", "atom.xml", "feed.json"];

/// Texts that break what is put together carelessly.
const HOSTILE: [&str; 7] = [
    "]]> the end",
    "<script>alert(1)</script> & \"quotes\" 'too'",
    "🦀 emoji \u{1f469}\u{200d}\u{1f680}",
    "\u{202e}right to left\u{202c} עברית",
    "control \u{1}\u{8}\u{b}\u{1f} characters",
    "&amp; &#0; &nbsp; <!-- -->",
    "noncharacters \u{fffe}\u{ffff} here",
];

fn parsed(answer: &TestResponse) -> Feed {
    parser::parse(answer.bytes.as_slice()).unwrap_or_else(|error| panic!("{error}: {answer}"))
}

async fn hostile_seed(app: &TestApp) {
    let ada = author("ada");
    let strange = app.post("/api/v1/blog/tags").by(&editor()).json(&json!({ "name": HOSTILE[1], "slug": "strange" })).await.expect(201);
    for text in HOSTILE {
        let source = format!("# {text}\n\n{text}\n\n[link](/relative?a=1&b=2) ![image](picture.png)\n\n```\n{text}\n```\n");
        let body = json!({ "title": text, "excerpt": text, "tag_ids": [strange["id"]], "body": { "source": source } });
        let id = new_post(app, &ada, &body).await.expect(201).text("/id");
        publish(app, &ada, &id).await.expect(200);
        app.advance(MINUTE);
    }
    // A body at the limit.
    let body = json!({ "title": "Long", "body": { "source": "word ".repeat(768 * 1024 / 5) } });
    let id = new_post(app, &ada, &body).await.expect(201).text("/id");
    publish(app, &ada, &id).await.expect(200);
}

#[tokio::test]
async fn syn2_every_feed_of_a_hostile_seed_is_read_by_another_reader() {
    let app = app_with(&[("blog.site_url", "https://example.com"), ("blog.title", "<Bridges> & more")]).await;
    hostile_seed(&app).await;
    for folder in ["", "/tags/strange", "/authors/author"] {
        for file in FILES {
            let answer = app.get(&format!("{folder}/{file}")).await.expect(200);
            let feed = parsed(&answer);
            let expected = if folder.starts_with("/tags") { HOSTILE.len() } else { HOSTILE.len() + 1 };
            assert_eq!(feed.entries.len(), expected, "{folder}/{file}");
            assert!(feed.title.expect("a title").content.contains("<Bridges> & more"));
            feed.entries.iter().for_each(check_entry);
        }
    }
}

fn check_entry(entry: &Entry) {
    assert!(entry.id.starts_with("urn:uuid:"), "{}", entry.id);
    assert!(entry.published.is_some() && entry.title.is_some());
    assert!(entry.links.iter().all(|link| link.href.starts_with("https://example.com/")), "{:?}", entry.links);
    let html = entry.content.as_ref().and_then(|content| content.body.as_deref()).unwrap_or_default();
    assert!(!html.is_empty());
    for relative in ["href=\"/", "src=\"picture", "<script"] {
        assert!(!html.contains(relative), "{relative} in {html:.500}");
    }
}

#[tokio::test]
async fn syn2_titles_arrive_as_they_were_typed() {
    let app = app().await;
    hostile_seed(&app).await;
    let feed = parsed(&app.get("/atom.xml").await.expect(200));
    let titles: Vec<String> = feed.entries.iter().map(|entry| entry.title.clone().expect("a title").content).collect();
    for text in [HOSTILE[0], HOSTILE[1], HOSTILE[2], HOSTILE[5]] {
        assert!(titles.iter().any(|title| title == text), "{text} is not among {titles:?}");
    }
    let json: Value = app.get("/feed.json").await.expect(200).body;
    assert_eq!(json["version"], "https://jsonfeed.org/version/1.1");
    let item = json["items"].as_array().expect("items").iter().find(|item| item["title"] == HOSTILE[1]).expect("the item");
    assert_eq!(item["tags"], json!([HOSTILE[1]]));
    for member in ["id", "url", "content_html", "date_published", "date_modified"] {
        assert!(item[member].is_string(), "{member}");
    }
}

#[tokio::test]
async fn syn3_an_edit_changes_updated_but_neither_published_nor_id_and_a_304_costs_nothing() {
    let app = app().await;
    let ada = author("ada");
    let id = published(&app, &ada, "One").await.text("/id");
    let before = app.get("/atom.xml").await.expect(200);
    assert!(before.header("content-type").starts_with("application/atom+xml"));
    assert!(!before.header("last-modified").is_empty());
    let etag = before.header("etag").to_owned();
    let (again, statements) = app.statements(app.get("/atom.xml").header("If-None-Match", &etag).send()).await;
    assert_eq!((again.status.as_u16(), statements), (304, 0));
    app.advance(MINUTE);
    patch(&app, &ada, &id, &json!({ "title": "Two", "slug": "two" })).await.expect(200);
    let after = app.get("/atom.xml").header("If-None-Match", &etag).await.expect(200);
    let (before, after) = (parsed(&before).entries.remove(0), parsed(&after).entries.remove(0));
    assert_eq!((&before.id, before.published), (&after.id, after.published));
    assert!(after.updated > before.updated && after.links[0].href.ends_with("/two"));
}

#[tokio::test]
async fn syn1_feeds_hold_what_everybody_sees_and_no_more() {
    let app = app_with(&[("blog.locales", "en,de"), ("blog.feeds.size", "2"), ("blog.feeds.content", "excerpt")]).await;
    let ada = author("ada");
    draft(&app, &ada, "Draft").await;
    for title in ["One", "Two", "Three"] {
        published(&app, &ada, title).await;
        app.advance(MINUTE);
    }
    let hidden = new_post(&app, &ada, &json!({ "title": "Hidden", "visibility": "unlisted" })).await.expect(201).text("/id");
    publish(&app, &ada, &hidden).await.expect(200);
    let german = new_post(&app, &ada, &json!({ "title": "Brücken", "locale": "de" })).await.expect(201).text("/id");
    publish(&app, &ada, &german).await.expect(200);
    let titles = |answer: &TestResponse| -> Vec<String> {
        parsed(answer).entries.into_iter().map(|entry| entry.title.expect("a title").content).collect()
    };
    for file in FILES {
        assert_eq!(titles(&app.get(&format!("/{file}")).await.expect(200)), ["Brücken", "Three"]);
        assert_eq!(titles(&app.get(&format!("/{file}?locale=de")).await.expect(200)), ["Brücken"]);
        app.get(&format!("/{file}?locale=xx")).await.expect(404);
        app.get(&format!("/tags/none/{file}")).await.expect(404);
        app.get(&format!("/authors/none/{file}")).await.expect(404);
    }
    let json = app.get("/feed.json?locale=en").await.expect(200);
    assert_eq!((&json["items"][0]["content_text"], &json["items"][0]["content_html"]), (&json!("All about Three."), &Value::Null));
    act(&app, &ada, &german, "unpublish").await.expect(200);
    assert_eq!(titles(&app.get("/feed.xml").await), ["Three", "Two"]);
}

#[tokio::test]
async fn syn4_the_sitemap_is_an_index_of_files_of_what_may_be_found() {
    let app = app_with(&[("blog.feeds.sitemap_size", "2"), ("blog.site_url", "https://example.com")]).await;
    let ada = author("ada");
    for title in ["One", "Two", "Three", "Four", "Five"] {
        published(&app, &ada, title).await;
    }
    for hidden in [json!({ "title": "Unlisted", "visibility": "unlisted" }), json!({ "title": "Noindex", "seo": { "is_indexed": false } })]
    {
        let id = new_post(&app, &ada, &hidden).await.expect(201).text("/id");
        publish(&app, &ada, &id).await.expect(200);
    }
    draft(&app, &ada, "Draft").await;
    let text = |answer: &TestResponse| String::from_utf8(answer.bytes.clone()).expect("UTF-8");
    let locations = |answer: &TestResponse| -> Vec<String> {
        text(answer).split("<loc>").skip(1).filter_map(|rest| rest.split("</loc>").next().map(str::to_owned)).collect()
    };
    let index = app.get("/sitemap.xml").await.expect(200);
    assert!(text(&index).contains("<sitemapindex"), "{index}");
    let mut found = Vec::new();
    for file in locations(&index) {
        let path = file.strip_prefix("http://undercroft.test").unwrap_or_else(|| panic!("{file}"));
        let pages = locations(&app.get(path).await.expect(200));
        assert!(pages.len() <= 2);
        found.extend(pages);
    }
    let mut expected: Vec<String> = ["five", "four", "one", "three", "two"].map(|slug| format!("https://example.com/{slug}")).to_vec();
    found.sort_unstable();
    expected.sort_unstable();
    assert_eq!(found, expected);
    app.get("/sitemaps/nonsense.xml").await.expect(404);
    let robots = app.get("/robots.txt").await.expect(200);
    assert!(text(&robots).contains("Sitemap: http://undercroft.test/sitemap.xml"));
}
