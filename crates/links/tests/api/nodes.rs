//! Two nodes over one database (INV-L10).

use std::time::Duration;

use serde_json::json;

use crate::support::*;

#[tokio::test]
async fn inv_l10_a_node_that_hears_nothing_answers_as_before_for_less_than_five_seconds() {
    let app = app().await;
    let made = link(&app, "sale", "https://example.com/1").await;
    let twin = app.twin().await;
    visit(&twin, "/sale").await.leads_to("https://example.com/1");
    app.patch(&path_of(&made)).by(&ada()).json(&json!({ "url": "https://example.com/2" })).await.expect(200);
    visit(&app, "/sale").await.leads_to("https://example.com/2");
    app.advance(Duration::from_millis(4_999));
    // Hits do not extend the life of what the twin remembers.
    visit(&twin, "/sale").await.is(302);
    app.advance(Duration::from_millis(1));
    visit(&twin, "/sale").await.leads_to("https://example.com/2");
    app.delete(&path_of(&made)).by(&ada()).await.expect(204);
    app.advance(5 * SECOND);
    visit(&twin, "/sale").await.is(404);
}

#[tokio::test]
async fn inv_l10_the_node_that_takes_a_change_answers_with_it_while_others_read() {
    let app = app().await;
    let made = link(&app, "sale", "https://example.com/0").await;
    for n in 1..=20 {
        let target = format!("https://example.com/{n}");
        let body = json!({ "url": target });
        let patch = app.patch(&path_of(&made)).by(&ada()).json(&body).send();
        let (answers, patched) = futures_util::future::join(visits_at_once(&app, "/sale", 20), patch).await;
        patched.expect(200);
        assert_eq!(answers_with(&answers, 302), 20);
        visit(&app, "/sale").await.leads_to(&target);
    }
}

#[tokio::test]
async fn both_nodes_count_into_the_same_statistics() {
    let app = app().await;
    let made = link(&app, "sale", "https://example.com/").await;
    let twin = app.twin().await;
    for node in [&*app, &twin] {
        assert_eq!(answers_with(&visits_at_once(node, "/sale", 25).await, 302), 25);
    }
    let (app_flush, twin_flush) = (flush(&app), flush(&twin));
    futures_util::future::join(app_flush, twin_flush).await;
    let read = app.get(&path_of(&made)).by(&ada()).await.expect(200);
    assert_eq!(read["click_count"], 50);
}
