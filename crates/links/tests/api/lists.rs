//! Lists of links: order, filters, pages.

use serde_json::json;

use crate::support::*;

fn slugs(list: &testkit::TestResponse) -> Vec<String> {
    list["items"].as_array().expect("items").iter().map(|item| item["slug"].as_str().expect("a slug").to_owned()).collect()
}

async fn all_pages(app: &App, sort: &str) -> Vec<String> {
    let (mut all, mut cursor) = (Vec::new(), None::<String>);
    loop {
        let mut request = app.get("/api/v1/links").by(&ada()).query("sort", sort).query("limit", 2);
        if let Some(cursor) = &cursor {
            request = request.query("cursor", cursor);
        }
        let page = request.await.expect(200);
        all.extend(slugs(&page));
        match page["next_cursor"].as_str() {
            Some(next) => cursor = Some(next.to_owned()),
            None => return all,
        }
    }
}

#[tokio::test]
async fn r23_lists_are_sorted_by_every_key_both_ways() {
    let app = app().await;
    for (slug, clicks) in [("b", 2), ("d", 0), ("a", 3), ("c", 1), ("e", 0)] {
        link(&app, slug, "https://example.com/").await;
        visits_at_once(&app, &format!("/{slug}"), clicks).await;
        app.advance(SECOND);
    }
    flush(&app).await;
    for (sort, expected) in [
        ("created_at", ["b", "d", "a", "c", "e"]),
        ("slug", ["a", "b", "c", "d", "e"]),
        ("clicks", ["d", "e", "c", "b", "a"]),
        ("last_clicked_at", ["d", "e", "b", "a", "c"]),
    ] {
        assert_eq!(all_pages(&app, sort).await, expected, "{sort}");
        let mut reversed = expected;
        reversed.reverse();
        assert_eq!(all_pages(&app, &format!("-{sort}")).await, reversed, "-{sort}");
    }
    app.get("/api/v1/links").by(&ada()).query("sort", "url").await.expect(422).problem("sort_not_supported");
    app.get("/api/v1/links").by(&ada()).query("sort", "slug,created_at").await.expect(422).problem("sort_not_supported");
}

#[tokio::test]
async fn r21_a_cursor_belongs_to_its_list_and_its_caller() {
    let app = app().await;
    for slug in ["a", "b", "c"] {
        link(&app, slug, "https://example.com/").await;
    }
    let page = app.get("/api/v1/links").by(&ada()).query("sort", "slug").query("limit", 1).await.expect(200);
    let cursor = page.text("/next_cursor");
    let ask = |sort: &str| app.get("/api/v1/links").query("sort", sort).query("cursor", &cursor);
    ask("slug").by(&ada()).await.expect(200);
    ask("created_at").by(&ada()).await.expect(400).problem("cursor_invalid");
    ask("slug").by(&bob()).await.expect(400).problem("cursor_invalid");
    ask("slug").by(&ada()).query("q", "x").await.expect(400).problem("cursor_invalid");
    app.get("/api/v1/links").by(&ada()).query("cursor", "AAAA").await.problem("cursor_invalid");
}

#[tokio::test]
async fn r22_a_walk_sees_every_unchanged_link_once_while_others_come_and_go() {
    let app = app().await;
    for n in 0..12 {
        link(&app, &format!("keep{n:02}"), "https://example.com/").await;
    }
    let (mut seen, mut cursor, mut round) = (Vec::new(), None::<String>, 0);
    loop {
        let mut request = app.get("/api/v1/links").by(&ada()).query("sort", "slug").query("limit", 3);
        if let Some(cursor) = &cursor {
            request = request.query("cursor", cursor);
        }
        let page = request.await.expect(200);
        seen.extend(slugs(&page).into_iter().filter(|slug| slug.starts_with("keep")));
        round += 1;
        let passing = link(&app, &format!("a{round}"), "https://example.com/").await;
        link(&app, &format!("keep{round:02}x"), "https://example.com/").await;
        app.delete(&path_of(&passing)).by(&ada()).await.expect(204);
        match page["next_cursor"].as_str() {
            Some(next) if round < 50 => cursor = Some(next.to_owned()),
            _ => break,
        }
    }
    let kept: Vec<String> = seen.into_iter().filter(|slug| slug.len() == 6).collect();
    assert_eq!(kept, (0..12).map(|n| format!("keep{n:02}")).collect::<Vec<_>>());
}

#[tokio::test]
async fn lists_are_narrowed_by_everything_together() {
    let app = app().await;
    let make_one = async |slug: &str, title: &str, tags: &[&str]| {
        make(&app, json!({ "url": format!("https://example.com/{slug}-target"), "slug": slug, "title": title, "tags": tags, "external_id": format!("x-{slug}") })).await.expect(201)
    };
    make_one("a", "100% Überraschung", &["Red", "big"]).await;
    let b = make_one("b", "Plain_text!", &["red"]).await;
    make_one("c", "Other", &["blue"]).await;
    app.post(&format!("{}/actions/disable", path_of(&b))).by(&ada()).await.expect(200);
    app.post("/api/v1/links").by(&bob()).json(&json!({ "url": "https://example.com/", "slug": "bobs", "tags": ["red"] })).await.expect(201);
    for (filter, expected) in [
        (vec![("tag", "RED")], vec!["a", "b"]),
        (vec![("tag", "red"), ("status", "active")], vec!["a"]),
        (vec![("q", "überRASCHUNG")], vec!["a"]),
        (vec![("q", "100%")], vec!["a"]),
        (vec![("q", "n_t")], vec!["b"]),
        (vec![("q", "b-target")], vec!["b"]),
        (vec![("q", "%")], vec!["a"]),
        (vec![("external_id", "x-c")], vec!["c"]),
        (vec![("status", "banned")], vec![]),
        (vec![("owner_id", &bob().user_id)], vec![]),
        (vec![("owner_id", &ada().user_id)], vec!["a", "b", "c"]),
    ] {
        let request = app.get("/api/v1/links").by(&ada()).query("sort", "slug");
        let list = filter.iter().fold(request, |request, (name, value)| request.query(name, value)).await.expect(200);
        assert_eq!(slugs(&list), expected, "{filter:?}");
    }
    let everybody = app.get("/api/v1/links").by(&admin()).query("tag", "red").query("sort", "slug").await.expect(200);
    assert_eq!(slugs(&everybody), ["a", "b", "bobs"]);
    let bobs = app.get("/api/v1/links").by(&admin()).query("owner_id", &bob().user_id).await.expect(200);
    assert_eq!(slugs(&bobs), ["bobs"]);
}
