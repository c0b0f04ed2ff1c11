//! Statistics of a link.

use reqwest::Method;
use serde_json::json;

use crate::support::*;

#[tokio::test]
async fn clicks_are_told_apart_by_everything_that_is_known() {
    let app = app().await;
    let made = link(&app, "a", "https://example.com/").await;
    let ask = async |path: &str, headers: &[(&str, &str)]| visit_as(&app, Method::GET, path, headers).await.is(302);
    ask(
        "/a?utm_source=news&utm_medium=mail&utm_campaign=autumn",
        &[("user-agent", FIREFOX), ("referer", "https://News.example:443/x"), ("accept-language", "de-AT")],
    )
    .await;
    ask("/a", &[("user-agent", FIREFOX)]).await;
    ask("/a?qr", &[("user-agent", IPHONE), ("accept-language", "en")]).await;
    flush(&app).await;
    let told = async |by: &str| items(&stats(&app, &made, by).await.expect(200));
    let pairs = |all: &[(&str, i64)]| all.iter().map(|(value, clicks)| ((*value).to_owned(), *clicks)).collect::<Vec<_>>();
    for (by, expected) in [
        ("hour", pairs(&[("2026-11-22T12:00:00.000Z", 3)])),
        ("day", pairs(&[("2026-11-22", 3)])),
        ("month", pairs(&[("2026-11", 3)])),
        ("referrer", pairs(&[("direct", 2), ("news.example:443", 1)])),
        ("device", pairs(&[("desktop", 2), ("mobile", 1)])),
        ("browser", pairs(&[("Firefox", 2), ("Safari", 1)])),
        ("os", pairs(&[("Linux", 2), ("iOS", 1)])),
        ("language", pairs(&[("de", 1), ("en", 1), ("unknown", 1)])),
        ("via", pairs(&[("link", 2), ("qr", 1)])),
        ("utm_source", pairs(&[("news", 1)])),
        ("utm_medium", pairs(&[("mail", 1)])),
        ("utm_campaign", pairs(&[("autumn", 1)])),
        ("class", pairs(&[("human", 3)])),
    ] {
        assert_eq!(told(by).await, expected, "{by}");
    }
}

#[tokio::test]
async fn inv_l21_programs_are_kept_apart_and_shown_when_asked_for() {
    let app = app().await;
    let made = link(&app, "a", "https://example.com/").await;
    visit(&app, "/a").await.is(302);
    for agent in ["curl/8.5.0", "Mozilla/5.0 (compatible; Googlebot/2.1)", "WhatsApp/2.23", "kube-probe/1.31"] {
        visit_as(&app, Method::GET, "/a", &[("user-agent", agent)]).await.is(302);
    }
    visit_as(&app, Method::HEAD, "/a", &[("user-agent", FIREFOX)]).await.is(302);
    visit_as(&app, Method::GET, "/a", &[("user-agent", FIREFOX), ("sec-purpose", "prefetch;prerender")]).await.is(302);
    flush(&app).await;
    assert_eq!(stats(&app, &made, "day").await.expect(200)["total"], 1);
    assert_eq!(stats(&app, &made, "day").query("include", "automated").await.expect(200)["total"], 7);
    let classes = items(&stats(&app, &made, "class").await.expect(200));
    let names: Vec<&str> = classes.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["bot", "head", "human", "monitor", "prefetch", "preview"]);
    assert_eq!(classes[0].1, 2);
    let read = app.get(&path_of(&made)).by(&ada()).await.expect(200);
    assert_eq!((&read["click_count"], &read["human_click_count"]), (&json!(7), &json!(1)));
}

#[tokio::test]
async fn days_are_those_of_the_time_zone() {
    let app = app().await;
    let made = link(&app, "a", "https://example.com/").await;
    app.advance(11 * HOUR + 30 * MINUTE);
    // 23:30 UTC is the next day in Vienna and the same one in New York.
    visit(&app, "/a").await.is(302);
    flush(&app).await;
    for (zone, day) in [("UTC", "2026-11-22"), ("Europe/Vienna", "2026-11-23"), ("America/New_York", "2026-11-22")] {
        let told = stats(&app, &made, "day").query("time_zone", zone).await.expect(200);
        assert_eq!(items(&told), [(day.to_owned(), 1)], "{zone}");
    }
}

#[tokio::test]
async fn the_span_is_the_callers_and_bounded() {
    let app = app().await;
    let made = link(&app, "a", "https://example.com/").await;
    visit(&app, "/a").await.is(302);
    app.advance(3 * HOUR);
    visit(&app, "/a").await.is(302);
    flush(&app).await;
    let span = |from: &str, to: &str| stats(&app, &made, "hour").query("from", from).query("to", to);
    assert_eq!(span("2026-11-22T12:00:00Z", "2026-11-22T15:00:00Z").await.expect(200)["total"], 1);
    assert_eq!(span("2026-11-22T12:00:00Z", "2026-11-22T15:30:00Z").await.expect(200)["total"], 2);
    assert_eq!(span("2026-11-22T13:00:00Z", "2026-11-22T14:00:00Z").await.expect(200)["total"], 0);
    span("2026-11-22T15:00:00Z", "2026-11-22T12:00:00Z").await.expect(422).field("from", "out_of_range");
    span("2020-11-22T15:00:00Z", "2026-11-22T12:00:00Z").await.expect(422).field("from", "out_of_range");
    stats(&app, &made, "day").query("time_zone", "Mars/Olympus").await.expect(422).field("time_zone", "invalid_format");
    stats(&app, &made, "colour").await.expect(422);
    stats(&app, &made, "day").query("include", "nobody").await.expect(422);
}

#[tokio::test]
async fn inv_l25_a_script_in_a_referrer_stays_text() {
    let app = app().await;
    let made = link(&app, "a", "https://example.com/").await;
    visit_as(&app, Method::GET, "/a", &[("user-agent", FIREFOX), ("referer", "https://<script>alert(1)</script>.example/")]).await.is(302);
    flush(&app).await;
    let told = stats(&app, &made, "referrer").await.expect(200);
    assert_eq!(told.header("content-type"), "application/json");
    assert_eq!(items(&told)[0].0, "<script>alert(1)<");
}

#[tokio::test]
async fn pb4_statistics_cost_few_statements() {
    let app = app().await;
    let made = link(&app, "a", "https://example.com/").await;
    visits_at_once(&app, "/a", 20).await;
    flush(&app).await;
    for by in ["hour", "referrer", "class"] {
        let (told, statements) = app.statements(stats(&app, &made, by).send()).await;
        assert_eq!(told.expect(200)["total"], 20);
        assert!(statements <= 3, "{statements} statements by {by}");
    }
}
