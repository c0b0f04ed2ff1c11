//! Links in the API: made, read, changed, switched, deleted.

use reqwest::Method;
use serde_json::json;
use testkit::Doorman;

use crate::support::*;

#[tokio::test]
async fn a_link_is_made_read_and_followed() {
    let app = app().await;
    let body = json!({ "url": "https://example.com/sale", "slug": "Sale", "title": "Autumn", "tags": ["b", "A", "a"] });
    let made = make(&app, body).await.expect(201);
    assert_eq!(made["short_url"], "http://undercroft.test/Sale");
    assert_eq!((&made["slug"], &made["version"], &made["redirect_status"]), (&json!("Sale"), &json!(1), &json!(302)));
    assert_eq!(made["tags"], json!(["A", "b"]));
    assert_eq!(made.header("location"), path_of(&made));
    assert_eq!(made.header("etag"), "\"v1\"");
    let read = app.get(&path_of(&made)).by(&ada()).await.expect(200);
    assert_eq!(read.body, made.body);
    visit(&app, "/sale").await.leads_to("https://example.com/sale");
    visit(&app, "/SALE").await.leads_to("https://example.com/sale");
    assert_eq!(app.event_names().await, ["links.link.created"]);
}

#[tokio::test]
async fn inv_l6_a_link_without_a_slug_gets_a_random_one() {
    let app = app().await;
    let made = make(&app, json!({ "url": "https://example.com/" })).await.expect(201);
    assert_eq!(made.text("/slug").len(), 7);
    let hidden = make(&app, json!({ "url": "https://example.com/", "is_unlisted": true })).await.expect(201);
    assert_eq!(hidden.text("/slug").len(), 16);
    visit(&app, &format!("/{}", hidden.text("/slug"))).await.leads_to("https://example.com/");
}

#[tokio::test]
async fn inv_l5_two_hundred_creations_of_one_slug_have_one_winner() {
    let app = app().await;
    let person = |n: usize| Doorman::person(&format!("p{n}"), &[]);
    let requests = (0..200)
        .map(|n| app.post("/api/v1/links").by(&person(n)).json(&json!({ "url": format!("https://example.com/{n}"), "slug": "prize" })));
    let answers = at_once(requests).await;
    assert_eq!((count(&answers, 201), count(&answers, 409)), (1, 199));
    for lost in answers.into_iter().filter(|answer| answer.status == 409) {
        lost.problem("slug_taken").field("/slug", "slug_taken");
    }
    assert_eq!(number(&app, "SELECT COUNT(*) FROM links_links").await, 1);
}

#[tokio::test]
async fn inv_l20_a_hundred_creations_with_return_make_one_link() {
    let app = app().await;
    let body = json!({ "url": "https://Example.com", "if_exists": "return" });
    let answers = at_once((0..100).map(|_| make(&app, body.clone()))).await;
    assert_eq!((count(&answers, 201), count(&answers, 200)), (1, 99));
    let id = answers[0].text("/id");
    assert!(answers.iter().all(|answer| answer["id"] == *id), "one link for all");
    // Another's is another's, and the canonical form counts.
    app.post("/api/v1/links").by(&bob()).json(&body).await.expect(201);
    make(&app, json!({ "url": "https://example.com/", "if_exists": "error" }))
        .await
        .problem("already_exists")
        .field("/url", "already_exists");
}

#[tokio::test]
async fn inv_l20_an_external_id_finds_and_updates() {
    let app = app().await;
    let body = |url: &str, wish: &str| json!({ "url": url, "external_id": "crm-7", "if_exists": wish });
    let made = make(&app, body("https://example.com/1", "update")).await.expect(201);
    let changed = make(&app, body("https://example.com/2", "update")).await.expect(200);
    assert_eq!((&changed["id"], &changed["version"], &changed["url"]), (&made["id"], &json!(2), &json!("https://example.com/2")));
    let found = make(&app, body("https://example.com/3", "return")).await.expect(200);
    assert_eq!(found["url"], "https://example.com/2");
    make(&app, body("https://example.com/3", "error")).await.problem("already_exists").field("/external_id", "already_exists");
    make(&app, json!({ "url": "https://example.com/", "external_id": "crm-7" })).await.problem("already_exists");
    app.post("/api/v1/links").by(&bob()).json(&json!({ "url": "https://example.com/", "external_id": "crm-7" })).await.expect(201);
}

#[tokio::test]
async fn a_change_is_met_by_the_next_visitor() {
    let app = app().await;
    let made = link(&app, "sale", "https://example.com/1").await;
    visit(&app, "/sale").await.leads_to("https://example.com/1");
    let changed =
        app.patch(&path_of(&made)).by(&ada()).json(&json!({ "url": "https://example.com/2", "slug": "winter" })).await.expect(200);
    assert_eq!(changed["version"], 2);
    visit(&app, "/sale").await.is(404);
    visit(&app, "/winter").await.leads_to("https://example.com/2");
    app.patch(&path_of(&made)).by(&ada()).json(&json!({ "slug": "sale" })).await.expect(200);
    visit(&app, "/sale").await.leads_to("https://example.com/2");
    visit(&app, "/winter").await.is(404);
    assert_eq!(app.event_names().await, ["links.link.created", "links.link.updated", "links.link.updated"]);
}

#[tokio::test]
async fn r60_of_fifty_writers_with_one_etag_one_wins() {
    let app = app().await;
    let made = link(&app, "sale", "https://example.com/").await;
    let patch = |n: usize| app.patch(&path_of(&made)).by(&ada()).header("If-Match", "\"v1\"").json(&json!({ "title": format!("{n}") }));
    let answers = at_once((0..50).map(patch)).await;
    assert_eq!((count(&answers, 200), count(&answers, 412)), (1, 49));
    let lost = answers.into_iter().find(|answer| answer.status == 412).expect("a loser").problem("version_conflict");
    assert_eq!(lost["current_version"], 2);
}

#[tokio::test]
async fn absent_members_stay_null_removes_and_put_resets() {
    let app = app().await;
    let body = json!({
        "url": "https://example.com/", "slug": "a", "title": "T", "note": "N", "tags": ["x"], "redirect_status": 307, "max_clicks": 5,
        "valid_from": "2026-11-22T12:00:00.000Z", "expires_at": "2026-12-22T12:00:00.000Z", "expired_url": "https://example.com/over",
        "forward_query": "merge", "forward_path": true, "is_crawlable": true, "external_id": "e"
    });
    let made = make(&app, body.clone()).await.expect(201);
    for (member, value) in body.as_object().expect("an object") {
        assert_eq!(&made[member], value, "{member}");
    }
    let patched = app.patch(&path_of(&made)).by(&ada()).json(&json!({ "note": "M" })).await.expect(200);
    for (member, value) in body.as_object().expect("an object").iter().filter(|(member, _)| *member != "note") {
        assert_eq!(&patched[member], value, "{member}");
    }
    let removal = json!({ "max_clicks": null, "valid_from": null, "expires_at": null, "expired_url": null, "external_id": null });
    let removed = app.patch(&path_of(&made)).by(&ada()).json(&removal).await.expect(200);
    for member in removal.as_object().expect("an object").keys() {
        assert!(removed[member].is_null(), "{member}");
    }
    let replaced = app.put(&path_of(&made)).by(&ada()).json(&json!({ "url": "https://example.com/" })).await.expect(200);
    assert_eq!(
        (&replaced["slug"], &replaced["title"], &replaced["tags"], &replaced["redirect_status"]),
        (&json!("a"), &json!(""), &json!([]), &json!(302))
    );
}

#[tokio::test]
async fn a_disabled_link_looks_like_none_and_comes_back() {
    let app = app().await;
    let made = link(&app, "sale", "https://example.com/").await;
    visit(&app, "/sale").await.leads_to("https://example.com/");
    let off = app.post(&format!("{}/actions/disable", path_of(&made))).by(&ada()).await.expect(200);
    assert_eq!((&off["status"], &off["version"]), (&json!("disabled"), &json!(2)));
    visit(&app, "/sale").await.is(404);
    // Twice is once.
    let again = app.post(&format!("{}/actions/disable", path_of(&made))).by(&ada()).await.expect(200);
    assert_eq!(again["version"], 2);
    app.post(&format!("{}/actions/enable", path_of(&made))).by(&ada()).await.expect(200);
    visit(&app, "/sale").await.leads_to("https://example.com/");
    assert_eq!(app.event_names().await, ["links.link.created", "links.link.disabled", "links.link.enabled"]);
}

#[tokio::test]
async fn an_owner_cannot_lift_a_quarantine() {
    let app = app().await;
    let made = link(&app, "sale", "https://example.com/").await;
    let quarantine = app.kernel().db().write(|tx| tx.execute("UPDATE links_links SET status = 'quarantined'", db::params![]));
    quarantine.await.expect("written");
    let refused = app.post(&format!("{}/actions/enable", path_of(&made))).by(&ada()).await.problem("invalid_state");
    assert_eq!(refused["current_state"], "quarantined");
    app.post(&format!("{}/actions/disable", path_of(&made))).by(&ada()).await.problem("invalid_state");
}

#[tokio::test]
async fn inv_l5_a_deleted_slug_stays_taken_until_its_owner_reuses_it() {
    let app = app().await;
    let old = link(&app, "sale", "https://example.com/old").await;
    visit(&app, "/sale").await.is(302);
    flush(&app).await;
    app.delete(&path_of(&old)).by(&ada()).await.expect(204);
    app.delete(&path_of(&old)).by(&ada()).await.expect(404);
    visit(&app, "/sale").await.is(404);
    let body = json!({ "slug": "SALE", "url": "https://example.com/new" });
    make(&app, body.clone()).await.problem("slug_taken");
    let reuse = json!({ "slug": "SALE", "url": "https://example.com/new", "reuse": true });
    app.post("/api/v1/links").by(&bob()).json(&reuse).await.problem("slug_taken");
    let new = make(&app, reuse.clone()).await.expect(201);
    assert_eq!(new["click_count"], 0, "a history of its own");
    visit(&app, "/sale").await.leads_to("https://example.com/new");
    // A link that works is never taken over.
    make(&app, reuse.clone()).await.problem("slug_taken");
    assert_eq!(app.event_names().await, ["links.link.created", "links.link.deleted", "links.link.created"]);
}

#[tokio::test]
async fn inv_l5_an_expired_slug_is_reused_and_leaves_memory() {
    let app = app().await;
    let body = json!({ "slug": "sale", "url": "https://example.com/old", "expires_at": "2026-11-22T13:00:00.000Z" });
    let old = make(&app, body).await.expect(201);
    visit(&app, "/sale").await.is(302);
    app.advance(HOUR);
    visit(&app, "/sale").await.is(410);
    make(&app, json!({ "slug": "sale", "url": "https://example.com/new", "reuse": true })).await.expect(201);
    visit(&app, "/sale").await.leads_to("https://example.com/new");
    app.get(&path_of(&old)).by(&ada()).await.expect(404);
}

#[tokio::test]
async fn inv_l5_of_fifty_who_reuse_one_slug_at_once_one_gets_it() {
    let app = app().await;
    let old = link(&app, "sale", "https://example.com/old").await;
    app.delete(&path_of(&old)).by(&ada()).await.expect(204);
    let reuse = |n: usize| make(&app, json!({ "slug": "sale", "url": format!("https://example.com/{n}"), "reuse": true }));
    let answers = at_once((0..50).map(reuse)).await;
    assert_eq!((count(&answers, 201), count(&answers, 409)), (1, 49));
    assert_eq!(number(&app, "SELECT COUNT(*) FROM links_links").await, 2);
}

#[tokio::test]
async fn inv_l5_a_slug_that_its_owner_moves_away_and_reuses_at_once_is_lost_by_neither_link() {
    let app = app().await;
    for round in 0..20 {
        let body = json!({ "slug": format!("old{round}"), "url": "https://example.com/old", "expires_at": "2026-11-22T12:00:00.001Z" });
        let old = make(&app, body).await.expect(201);
        app.advance(SECOND);
        let rename = app.patch(&path_of(&old)).by(&ada()).json(&json!({ "slug": format!("kept{round}") }));
        let reuse = make(&app, json!({ "slug": format!("old{round}"), "url": "https://example.com/new", "reuse": true }));
        let (renamed, reused) = futures_util::future::join(rename.send(), reuse.send()).await;
        let found = async |slug: String| app.get("/api/v1/links/lookup").query("slug", slug).by(&ada()).await.status.as_u16();
        // Whoever was first: a link that was renamed lives under its new slug, one that was taken over is gone.
        match renamed.status.as_u16() {
            200 => assert_eq!(found(format!("kept{round}")).await, 200),
            404 | 412 => assert_eq!(reused.status.as_u16(), 201),
            other => panic!("{other}"),
        }
        assert_eq!(found(format!("old{round}")).await == 200, reused.status.as_u16() == 201);
        app.kernel().clock().advance(SECOND);
    }
}

#[tokio::test]
async fn enu8_anothers_link_is_not_found() {
    let app = app().await;
    let made = link(&app, "sale", "https://example.com/").await;
    let path = path_of(&made);
    let unknown = "/api/v1/links/019ab0b2-8f00-7000-8000-00000000ffff";
    for (method, end, body) in [
        (Method::GET, "", None),
        (Method::PATCH, "", Some(json!({ "title": "x" }))),
        (Method::PUT, "", Some(json!({ "url": "https://example.com/" }))),
        (Method::DELETE, "", None),
        (Method::POST, "/actions/enable", None),
        (Method::POST, "/actions/disable", None),
        (Method::GET, "/stats", None),
        (Method::GET, "/qr.svg", None),
        (Method::GET, "/qr.png", None),
    ] {
        let ask = |path: &str| {
            let request = app.request(method.clone(), &format!("{path}{end}")).by(&bob()).header("X-Request-Id", "the-same-for-both");
            if let Some(body) = &body { request.json(body) } else { request }
        };
        let (mut mine, mut none) = (ask(&path).await.expect(404), ask(unknown).await.expect(404));
        mine.body["instance"] = json!("");
        none.body["instance"] = json!("");
        assert_eq!(mine.body, none.body, "{method} {end}");
    }
    app.get("/api/v1/links/lookup").query("slug", "sale").by(&bob()).await.expect(404);
    let by_admin = app.get(&path).by(&admin()).await.expect(200);
    assert_eq!(by_admin["owner_id"], json!(ada().user_id));
}

#[tokio::test]
async fn permissions_open_others_links_one_by_one() {
    let app = app().await;
    let made = link(&app, "sale", "https://example.com/").await;
    let reader = Doorman::person("reader", &["links:links:read_any"]);
    app.get(&path_of(&made)).by(&reader).await.expect(200);
    app.patch(&path_of(&made)).by(&reader).json(&json!({ "title": "x" })).await.expect(403).problem("forbidden");
    app.delete(&path_of(&made)).by(&reader).await.expect(403).problem("forbidden");
    app.get(&format!("{}/stats", path_of(&made))).by(&reader).await.expect(404);
    let editor = Doorman::person("editor", &["links:links:read_any", "links:links:update_any", "links:stats:read_any"]);
    app.patch(&path_of(&made)).by(&editor).json(&json!({ "title": "x" })).await.expect(200);
    app.get(&format!("{}/stats", path_of(&made))).by(&editor).await.expect(200);
    app.delete(&path_of(&made)).by(&editor).await.expect(403);
}

#[tokio::test]
async fn only_holders_of_the_permission_make_links_when_members_may_not() {
    let app = app_with(&[("links.members_may_create", "false")]).await;
    let body = json!({ "url": "https://example.com/" });
    make(&app, body.clone()).await.expect(403).problem("forbidden");
    app.post("/api/v1/links").by(&Doorman::person("cara", &["links:links:create"])).json(&body).await.expect(201);
}

#[tokio::test]
async fn a_person_makes_only_so_many_links_in_a_minute() {
    let app = app_with(&[("links.create_per_minute", "3")]).await;
    let body = json!({ "url": "https://example.com/" });
    for _ in 0..3 {
        make(&app, body.clone()).await.expect(201);
    }
    let refused = make(&app, body.clone()).await.expect(429).problem("rate_limited");
    assert_eq!(refused["violated_policies"], json!(["links-create"]));
    app.post("/api/v1/links").by(&bob()).json(&body).await.expect(201);
    app.advance(MINUTE);
    make(&app, body).await.expect(201);
}

#[tokio::test]
async fn a_lookup_finds_by_slug_and_counts_nothing() {
    let app = app().await;
    let made = link(&app, "über/uns", "https://example.com/").await;
    assert_eq!(made["short_url"], "http://undercroft.test/%C3%BCber/uns");
    let found = app.get("/api/v1/links/lookup").query("slug", "Über/uns").by(&ada()).await.expect(200);
    assert_eq!(found["id"], made["id"]);
    app.get("/api/v1/links/lookup").query("slug", "über/uns").query("domain", "undercroft.test").by(&ada()).await.expect(200);
    app.get("/api/v1/links/lookup").query("slug", "über/uns").query("domain", "other.test").by(&ada()).await.expect(404);
    app.get("/api/v1/links/lookup").query("slug", "..").by(&ada()).await.expect(404);
    flush(&app).await;
    assert_eq!(number(&app, "SELECT SUM(click_count) FROM links_links").await, 0);
}

#[tokio::test]
async fn a_creation_and_a_list_cost_few_statements() {
    let app = app().await;
    let (made, statements) = app.statements(make(&app, json!({ "url": "https://example.com/", "slug": "a" })).send()).await;
    made.expect(201);
    assert!(statements <= 6, "{statements} statements to make a link");
    for n in 0..30 {
        make(&app, json!({ "url": format!("https://example.com/{n}"), "tags": ["a", "b"] })).await.expect(201);
    }
    let (list, statements) = app.statements(app.get("/api/v1/links").by(&ada()).send()).await;
    assert_eq!(list.expect(200)["items"].as_array().map(Vec::len), Some(20));
    assert!(statements <= 3, "{statements} statements for a list");
}

#[tokio::test]
async fn the_port_gives_the_same_short_address_again() {
    let app = app().await;
    let ctx = kernel::Ctx::system(app.kernel(), "test");
    let shortener = app.kernel().ports().shortener().expect("the port");
    let first = shortener.shorten(&ctx, "https://example.com/order/7", "Order 7").await.expect("an address");
    let second = shortener.shorten(&ctx, "https://example.com/order/7", "Order 7").await.expect("an address");
    assert_eq!(first, second);
    visit(&app, first.strip_prefix("http://undercroft.test").expect("our host")).await.leads_to("https://example.com/order/7");
    assert!(shortener.shorten(&ctx, "javascript:1", "").await.is_err());
}

#[tokio::test]
async fn the_port_asks_its_caller_for_no_permission() {
    let app = app_with(&[("links.members_may_create", "false"), ("links.create_per_minute", "1")]).await;
    let nobody =
        kernel::Ctx::new(app.kernel().clone(), kernel::Actor::anonymous(), std::sync::Arc::new(kernel::RequestInfo::internal("shop")));
    let shortener = app.kernel().ports().shortener().expect("the port");
    for n in 0..3 {
        shortener.shorten(&nobody, &format!("https://example.com/order/{n}"), "").await.expect("an address");
    }
}

#[tokio::test]
async fn samples_are_made_once() {
    let app = app().await;
    let ctx = kernel::Ctx::system(app.kernel(), "test");
    for _ in 0..2 {
        app.kernel().plan().fill_with_samples(&ctx, |_| {}).await.expect("samples");
        assert_eq!(number(&app, "SELECT COUNT(*) FROM links_links").await, 6);
    }
    visit(&app, "/guide/install").await.leads_to("https://example.com/documentation/install");
    visit(&app, "/menu").await.leads_to("https://example.com/restaurant/menu.pdf");
}
