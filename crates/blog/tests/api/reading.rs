//! Reading much and often: lists, search, answers from memory, and that every door agrees.

use std::collections::BTreeSet;
use std::time::Duration;

use kernel::Ctx;
use serde_json::json;
use testkit::TestApp;

use crate::support::*;

#[tokio::test]
async fn blg14_a_page_of_fifty_posts_takes_few_statements() {
    let app = app().await;
    let ada = author("ada");
    let tags = [tag(&app, "One").await, tag(&app, "Two").await];
    for number in 0..60 {
        let body = json!({ "title": format!("Post {number}"), "tag_ids": [tags[0]["id"], tags[1]["id"]] });
        let id = new_post(&app, &ada, &body).await.expect(201).text("/id");
        publish(&app, &ada, &id).await.expect(200);
    }
    for (person, path) in [(app.anyone(), "/api/v1/blog/posts?limit=50"), (editor(), "/api/v1/blog/posts?limit=50&tag=one&sort=title")] {
        // The first read of a kind learns how many statements it has.
        app.get(path).by(&person).await.expect(200);
        app.advance(MINUTE);
        let (page, statements) = app.statements(app.get(path).by(&person).send()).await;
        assert_eq!((page["items"].as_array().map(Vec::len), page["items"][0]["tags"].as_array().map(Vec::len)), (Some(50), Some(2)));
        assert!(statements <= 6, "{statements} statements");
    }
}

#[tokio::test]
async fn blg15_what_was_read_once_is_read_from_memory_until_it_changes() {
    let app = app().await;
    let ada = author("ada");
    let id = published(&app, &ada, "One").await.text("/id");
    let first = read(&app, &id).await.expect(200);
    let etag = first.header("etag").to_owned();
    let (again, statements) = app.statements(read(&app, &id).header("If-None-Match", &etag).send()).await;
    assert_eq!((again.status.as_u16(), again.bytes.len(), statements), (304, 0, 0));
    let listed = list(&app).await.expect(200);
    assert!(listed.header("etag").starts_with("W/\""), "{listed}");
    let (again, statements) = app.statements(list(&app).header("If-None-Match", listed.header("etag")).send()).await;
    assert_eq!((again.status.as_u16(), statements), (304, 0));
    // A comment counts, a name shows, a title changes.
    let changes = async |etag: &str| {
        let answer = read(&app, &id).header("If-None-Match", etag).await.expect(200);
        assert_ne!(answer.header("etag"), etag);
        answer.header("etag").to_owned()
    };
    comment_by(&app, &moderator(), &id, "Hello").await.expect(201);
    let etag = changes(&etag).await;
    let profile = format!("/api/v1/blog/authors/{}", first["authors"][0]["id"].as_str().expect("an id"));
    app.patch(&profile).by(&ada).json(&json!({ "name": "Ada" })).await.expect(200);
    let etag = changes(&etag).await;
    patch(&app, &ada, &id, &json!({ "title": "Two" })).await.expect(200);
    changes(&etag).await;
}

#[tokio::test]
async fn many_readers_of_one_post_cost_one_look_up() {
    let app = app().await;
    let id = published(&app, &author("ada"), "One").await.text("/id");
    read(&app, &id).await.expect(200);
    app.advance(MINUTE);
    let (answers, statements) = app.statements(at_once((0..100).map(|_| read(&app, &id)))).await;
    assert_eq!(count(&answers, 200), 100);
    assert!(statements <= 3, "{statements} statements");
}

#[tokio::test]
async fn a_change_on_one_node_reaches_the_memory_of_another() {
    let app = app().await;
    let ada = author("ada");
    let id = published(&app, &ada, "One").await.text("/id");
    let twin = app.twin().await;
    let path = format!("/api/v1/blog/posts/{id}");
    assert_eq!(twin.get(&path).await.expect(200)["title"], "One");
    patch(&app, &ada, &id, &json!({ "title": "Two" })).await.expect(200);
    // Without any event, what is in memory is not believed for long.
    app.advance(Duration::from_secs(31));
    assert_eq!(twin.get(&path).await.expect(200)["title"], "Two");
}

#[tokio::test]
async fn r22_walking_all_pages_yields_each_post_once_in_every_order() {
    let app = app().await;
    let ada = author("ada");
    for number in 0..25 {
        published(&app, &ada, &format!("Post {:02}", (number * 7) % 25)).await;
        if number % 3 == 0 {
            app.advance(MINUTE);
        }
    }
    for sort in ["published_at", "-published_at", "created_at", "-created_at", "updated_at", "title", "-title"] {
        for person in [app.anyone(), ada.clone()] {
            let mut seen = Vec::new();
            let mut cursor: Option<String> = None;
            loop {
                let mut request = list(&app).by(&person).query("sort", sort).query("limit", 7);
                if let Some(cursor) = &cursor {
                    request = request.query("cursor", cursor);
                }
                let page = request.await.expect(200);
                seen.extend(slugs(&page));
                cursor = page["next_cursor"].as_str().map(str::to_owned);
                assert_eq!(page.header("link").is_empty(), cursor.is_none());
                if cursor.is_none() {
                    break;
                }
                // Somebody publishes at the other end meanwhile.
            }
            assert_eq!((seen.len(), seen.iter().collect::<BTreeSet<_>>().len()), (25, 25), "{sort}");
            if sort == "title" {
                assert!(seen.is_sorted(), "{seen:?}");
            }
        }
    }
    let next = list(&app).query("limit", 2).await.text("/next_cursor");
    list(&app).query("limit", 2).query("sort", "title").query("cursor", &next).await.problem("cursor_invalid");
    list(&app).query("limit", 2).query("tag", "x").query("cursor", &next).await.problem("cursor_invalid");
}

#[tokio::test]
async fn lists_are_narrowed_by_tag_author_language_and_words() {
    let app = app_with(&[("blog.locales", "en,de")]).await;
    let (ada, bob) = (author("ada"), author("bob"));
    let bridges = tag(&app, "Bridges").await;
    let body = json!({ "title": "Seven bridges", "tag_ids": [bridges["id"]], "body": { "source": "Crossing the Pregel." } });
    let id = new_post(&app, &ada, &body).await.expect(201).text("/id");
    publish(&app, &ada, &id).await.expect(200);
    published(&app, &bob, "Other").await;
    let german = new_post(&app, &bob, &json!({ "title": "Brücken", "locale": "de" })).await.expect(201).text("/id");
    publish(&app, &bob, &german).await.expect(200);
    let found = async |name: &str, value: &str| slugs(&list(&app).query(name, value).query("sort", "title").await.expect(200));
    assert_eq!(found("tag", "bridges").await, ["seven-bridges"]);
    assert_eq!(found("tag", bridges["id"].as_str().expect("an id")).await, ["seven-bridges"]);
    assert_eq!(found("tag", "none").await, [""; 0]);
    assert_eq!(found("author", "author-2").await, ["brücken", "other"]);
    assert_eq!(found("locale", "de").await, ["brücken"]);
    assert_eq!(found("q", "pregel").await, ["seven-bridges"]);
    assert_eq!(found("q", "nothing of this").await, [""; 0]);
    assert_eq!(found("status", "draft").await, [""; 0]);
    assert_eq!(by_slug(&app, "brücken").query("locale", "de-AT").await.expect(200)["served_locale"], "de");
    assert_eq!(by_slug(&app, "other").query("locale", "de").await.expect(200)["served_locale"], "en");
    by_slug(&app, "brücken").await.problem("not_found");
}

#[tokio::test]
async fn src4_what_is_public_is_found_at_once_and_what_is_not_is_not() {
    let app = app().await;
    let ada = author("ada");
    let look = async |q: &str| {
        let hits = app.get("/api/v1/blog/search").query("q", q).await.expect(200);
        let items = hits["items"].as_array().expect("items").clone();
        items.iter().map(|hit| hit["post"]["slug"].as_str().expect("a slug").to_owned()).collect::<Vec<_>>()
    };
    let id = draft(&app, &ada, "Käsekuchen").await.text("/id");
    assert_eq!(look("kase").await, [""; 0]);
    act(&app, &ada, &id, "publish").json(&json!({ "publish_at": in_future(&app, HOUR) })).await.expect(200);
    assert_eq!(look("kase").await, [""; 0]);
    app.advance(HOUR);
    assert_eq!(look("kase").await, ["käsekuchen"]);
    let hits = app.get("/api/v1/blog/search").query("q", "kase").await.expect(200);
    assert!(hits.text("/items/0/snippet_html").contains("<mark>Käsekuchen</mark>"), "{hits}");
    patch(&app, &ada, &id, &json!({ "title": "Bread", "body": { "source": "Flour & water" } })).await.expect(200);
    assert_eq!((look("kase").await, look("flour -salt").await), (vec![], vec!["käsekuchen".to_owned()]));
    act(&app, &ada, &id, "unpublish").await.expect(200);
    assert_eq!(look("flour").await, [""; 0]);
    publish(&app, &ada, &id).await.expect(200);
    assert_eq!(look("flour author:author").await, ["käsekuchen"]);
    assert_eq!(look("flour tag:none").await, [""; 0]);
    app.delete(&format!("/api/v1/blog/posts/{id}")).by(&editor()).await.expect(204);
    assert_eq!(look("flour").await, [""; 0]);
    act(&app, &editor(), &id, "untrash").await.expect(200);
    assert_eq!(look("flour").await, ["käsekuchen"]);
    for odd in ["", "-", "\"", "tag:", "'); DROP TABLE", "%_!", "ﷺ 日本"] {
        look(odd).await;
    }
    app.get("/api/v1/blog/search").query("q", "x".repeat(257)).await.problem("validation_failed").field("q", "too_long");
    app.get("/api/v1/blog/search").await.problem("validation_failed").field("q", "required");
    app.run_jobs().await;
}

#[tokio::test]
async fn src3_search_has_pages_and_the_title_counts_more() {
    let app = app().await;
    let ada = author("ada");
    for number in 0..7 {
        let body = json!({ "title": format!("Post {number}"), "body": { "source": "A word about salt." } });
        let id = new_post(&app, &ada, &body).await.expect(201).text("/id");
        publish(&app, &ada, &id).await.expect(200);
    }
    published(&app, &ada, "Salt").await;
    let first = app.get("/api/v1/blog/search").query("q", "salt").query("limit", 5).await.expect(200);
    assert_eq!(first["items"][0]["post"]["slug"], "salt");
    let cursor = first.text("/next_cursor");
    let second = app.get("/api/v1/blog/search").query("q", "salt").query("limit", 5).query("cursor", &cursor).await.expect(200);
    assert_eq!((second["items"].as_array().map(Vec::len), &second["next_cursor"]), (Some(3), &json!(null)));
    app.get("/api/v1/blog/search").query("q", "pepper").query("cursor", &cursor).await.problem("cursor_invalid");
}

#[tokio::test]
async fn samples_fill_the_blog_once() {
    let app = app().await;
    let fill = || async {
        let ctx = Ctx::system(app.kernel(), "seed");
        app.kernel().plan().fill_with_samples(&ctx, |_| {}).await.expect("samples can be made");
    };
    fill().await;
    let first = list(&app).query("limit", 100).await.expect(200);
    assert_eq!(first["items"].as_array().map(Vec::len), Some(12));
    let events = app.event_names().await.len();
    fill().await;
    assert_eq!(app.event_names().await.len(), events);
    assert_eq!(by_slug(&app, "seven-bridges-and-no-walk").await.expect(200)["comment_count"], 2);
    assert_eq!(parsed_feed(&app).await, 12);
}

async fn parsed_feed(app: &TestApp) -> usize {
    let answer = app.get("/feed.xml").await.expect(200);
    feed_rs::parser::parse(answer.bytes.as_slice()).expect("a feed").entries.len()
}

/// What the model knows about a post.
#[derive(Clone, Debug)]
struct Known {
    id: String,
    slug: String,
    from: Option<i64>,
    until: Option<i64>,
    is_trashed: bool,
}

impl Known {
    fn is_visible(&self, now: i64) -> bool {
        !self.is_trashed && self.from.is_some_and(|from| from <= now) && self.until.is_none_or(|until| until > now)
    }
}

/// A small generator of its own: the same walk each time, on every engine.
struct Walk(u64);

impl Walk {
    fn next(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % bound
    }
}

#[tokio::test]
async fn blg1_every_door_agrees_with_a_model_whatever_happens() {
    let app = app().await;
    let ada = author("ada");
    let mut walk = Walk(11);
    let mut posts: Vec<Known> = Vec::new();
    for step in 0..90 {
        let now = app.now().as_millis();
        let pick = (!posts.is_empty()).then(|| walk.next(posts.len()));
        match (walk.next(8), pick) {
            (0 | 1, _) | (_, None) => {
                let made = draft(&app, &ada, &format!("Findable {step}")).await;
                posts.push(Known { id: made.text("/id"), slug: made.text("/slug"), from: None, until: None, is_trashed: false });
            }
            (2 | 3, Some(at)) => {
                let post = &mut posts[at];
                let (from, until) = (walk.next(3) as i64 * 60_000, (walk.next(4) as i64 + 3) * 60_000);
                let times = json!({
                    "publish_at": (app.now() + Duration::from_millis(from as u64)).to_string(),
                    "unpublish_at": (app.now() + Duration::from_millis(until as u64)).to_string(),
                });
                if act(&app, &ada, &post.id, "publish").json(&times).await.status == 200 {
                    (post.from, post.until) = (Some(now + from), Some(now + until));
                }
            }
            (4, Some(at)) => {
                if act(&app, &ada, &posts[at].id, "unpublish").await.status == 200 {
                    (posts[at].from, posts[at].until) = (None, None);
                }
            }
            (5, Some(at)) => {
                let post = &mut posts[at];
                let answer = match post.is_trashed {
                    true => act(&app, &editor(), &post.id, "untrash").await,
                    false => app.delete(&format!("/api/v1/blog/posts/{}", post.id)).by(&editor()).await,
                };
                assert!(answer.status.is_success(), "{answer}");
                post.is_trashed = !post.is_trashed;
            }
            (6, Some(at)) => {
                let answer = patch(&app, &ada, &posts[at].id, &json!({ "title": format!("Findable again {step}") })).await;
                assert_eq!(answer.status == 404, posts[at].is_trashed, "{answer}");
            }
            _ => app.advance(MINUTE),
        }
        if step % 7 == 0 {
            app.run_jobs().await;
        }
        if step % 3 == 0 {
            check_doors(&app, &posts).await;
        }
    }
    app.advance(DAY);
    app.run_jobs().await;
    check_doors(&app, &posts).await;
}

async fn check_doors(app: &TestApp, posts: &[Known]) {
    let now = app.now().as_millis();
    let visible: BTreeSet<&str> = posts.iter().filter(|post| post.is_visible(now)).map(|post| post.slug.as_str()).collect();
    let listed = slugs(&list(app).query("limit", 100).await.expect(200));
    assert_eq!(listed.iter().map(String::as_str).collect::<BTreeSet<_>>(), visible, "the list");
    let hits = app.get("/api/v1/blog/search").query("q", "findable").query("limit", 100).await.expect(200);
    let found = hits["items"].as_array().expect("items").iter().filter_map(|hit| hit["post"]["slug"].as_str());
    assert_eq!(found.collect::<BTreeSet<_>>(), visible, "the search");
    let sitemap = app.get("/sitemaps/posts-00000000000000000000000000000000.xml").await.expect(200);
    let sitemap = String::from_utf8(sitemap.bytes).expect("UTF-8");
    let feed = String::from_utf8(app.get("/atom.xml").await.expect(200).bytes).expect("UTF-8");
    for post in posts {
        let is_visible = visible.contains(post.slug.as_str());
        let expected = if is_visible { 200 } else { 404 };
        assert_eq!(read(app, &post.id).await.status.as_u16(), expected, "by id: {post:?}");
        assert_eq!(by_slug(app, &post.slug).await.status.as_u16(), expected, "by slug: {post:?}");
        assert_eq!(sitemap.contains(&format!("/{}<", post.slug)), is_visible, "the sitemap: {post:?}");
        assert_eq!(feed.contains(&format!("/{}\"", post.slug)), is_visible, "the feed: {post:?}");
    }
}
