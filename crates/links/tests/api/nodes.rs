//! Two nodes over one database (INV-L10).

use std::time::Duration;

use futures_util::StreamExt as _;
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

#[tokio::test]
async fn inv_l25_nodes_that_count_at_once_keep_to_the_most_values_of_a_day() {
    let app = app().await;
    let made = link(&app, "sale", "https://example.com/").await;
    let (twin, third) = (app.twin().await, app.twin().await);
    let nodes: [&testkit::Node; 3] = [&app, &twin, &third];
    let client = client();
    // Visitors of one class each, so that the nodes have no sum in common that would make them wait for each other.
    for ((n, node), agent) in nodes.into_iter().enumerate().zip([FIREFOX, "curl/8.5.0", "WhatsApp/2.23"]) {
        let visits = (0..300).map(|m| {
            let referrer = format!("https://r{n}-{m}.example/");
            send(client.get(node.url("/sale")).header("user-agent", agent).header("referer", referrer))
        });
        let answers: Vec<Answer> = futures_util::stream::iter(visits).buffer_unordered(32).collect().await;
        assert_eq!(answers_with(&answers, 302), 300);
    }
    futures_util::future::join_all(nodes.map(flush)).await;
    let values = "SELECT COUNT(DISTINCT value) FROM links_click_hours WHERE dimension = 'referrer' AND value <> 'other'";
    assert_eq!(number(&app, values).await, 500);
    let found = items(&stats(&app, &made, "referrer").query("include", "automated").await.expect(200));
    assert_eq!(found[0], ("other".to_owned(), 400));
}
