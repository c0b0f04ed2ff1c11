//! Links that can be followed only so often (INV-L4).

use reqwest::Method;
use serde_json::json;

use crate::support::*;

#[tokio::test]
async fn inv_l4_of_five_hundred_visitors_at_once_exactly_so_many_pass() {
    let app = app().await;
    make(&app, json!({ "url": "https://example.com/", "slug": "tickets", "max_clicks": 37 })).await.expect(201);
    let answers = visits_at_once(&app, "/tickets", 500).await;
    assert_eq!((answers_with(&answers, 302), answers_with(&answers, 410)), (37, 463));
    visit(&app, "/tickets").await.is(410);
    flush(&app).await;
    assert_eq!(number(&app, "SELECT SUM(click_count) FROM links_links").await, 37);
    assert_eq!(app.event_names().await, ["links.link.created", "links.link.limit_reached"]);
}

#[tokio::test]
async fn inv_l4_two_nodes_count_together() {
    let app = app().await;
    make(
        &app,
        json!({ "url": "https://example.com/", "slug": "tickets", "max_clicks": 40, "expired_url": "https://example.com/sold-out" }),
    )
    .await
    .expect(201);
    let twin = app.twin().await;
    let (here, there) = futures_util::future::join(visits_at_once(&app, "/tickets", 100), visits_at_once(&twin, "/tickets", 100)).await;
    let to = |url: &str| here.iter().chain(&there).filter(|answer| answer.header("location") == url).count();
    assert_eq!((to("https://example.com/"), to("https://example.com/sold-out")), (40, 160));
}

#[tokio::test]
async fn inv_l4_every_answer_that_tells_the_target_uses_one() {
    let app = app().await;
    let made = make(&app, json!({ "url": "https://example.com/", "slug": "tickets", "max_clicks": 3 })).await.expect(201);
    visit_as(&app, Method::HEAD, "/tickets", &[]).await.is(302);
    visit_as(&app, Method::GET, "/tickets", &[("user-agent", "Googlebot")]).await.is(302);
    visit_as(&app, Method::GET, "/tickets", &[("sec-purpose", "prefetch")]).await.is(302);
    visit(&app, "/tickets").await.is(410);
    // What tells nothing uses none, and more can be given.
    app.patch(&path_of(&made)).by(&ada()).json(&json!({ "max_clicks": 4 })).await.expect(200);
    visit_as(&app, Method::POST, "/tickets", &[]).await.is(404);
    visit(&app, "/tickets").await.is(302);
    visit(&app, "/tickets").await.is(410);
}
