//! Clicks: counted once each, never in the way of a redirect.

use reqwest::Method;
use serde_json::json;

use crate::support::*;

/// Sums over all links, hours and classes: of the hours, of single clicks, of shed ones, of the totals on links.
async fn sums(app: &App) -> [i64; 4] {
    [
        number(app, "SELECT SUM(clicks) FROM links_click_hours WHERE dimension = 'total'").await,
        number(app, "SELECT COUNT(*) FROM links_clicks").await,
        number(app, "SELECT SUM(clicks) FROM links_click_hours WHERE dimension = 'shed'").await,
        number(app, "SELECT SUM(click_count) FROM links_links").await,
    ]
}

#[tokio::test]
async fn every_click_is_counted_once_on_the_link_and_by_the_hour() {
    let app = app().await;
    let (a, b) = (link(&app, "a", "https://example.com/").await, link(&app, "b", "https://example.com/").await);
    for _ in 0..3 {
        assert_eq!(answers_with(&visits_at_once(&app, "/a", 20).await, 302), 20);
        assert_eq!(answers_with(&visits_at_once(&app, "/b", 10).await, 302), 10);
        flush(&app).await;
    }
    flush(&app).await;
    for (link, clicks) in [(a, 60), (b, 30)] {
        let read = app.get(&path_of(&link)).by(&ada()).await.expect(200);
        assert_eq!((&read["click_count"], &read["human_click_count"]), (&json!(clicks), &json!(clicks)));
        assert_eq!((&read["last_clicked_at"], &read["version"]), (&json!("2026-11-22T12:00:00.000Z"), &json!(1)));
    }
    assert_eq!(sums(&app).await, [90, 90, 0, 90]);
}

#[tokio::test]
async fn inv_l14_renaming_and_editing_change_no_count() {
    let app = app().await;
    let made = link(&app, "a", "https://example.com/").await;
    visit(&app, "/a").await.is(302);
    app.patch(&path_of(&made)).by(&ada()).json(&json!({ "slug": "b", "url": "https://example.com/2" })).await.expect(200);
    visit(&app, "/b").await.is(302);
    flush(&app).await;
    let read = app.get(&path_of(&made)).by(&ada()).await.expect(200);
    assert_eq!(read["click_count"], 2);
    // A click that was under way when its link was deleted is still one.
    visit(&app, "/b").await.is(302);
    app.delete(&path_of(&made)).by(&ada()).await.expect(204);
    flush(&app).await;
    assert_eq!(sums(&app).await, [3, 3, 0, 3]);
}

#[tokio::test]
async fn inv_l14_the_sums_equal_the_single_clicks_for_every_link_hour_and_class() {
    let app = app().await;
    for slug in ["a", "b", "c"] {
        link(&app, slug, "https://example.com/").await;
    }
    let agents = [FIREFOX, IPHONE, "curl/8.5.0", "Slackbot-LinkExpanding 1.0", ""];
    for n in 0..60_usize {
        let method = if n % 7 == 0 { Method::HEAD } else { Method::GET };
        let path = ["/a", "/b?qr", "/c?utm_source=x"][n % 3];
        let prefetch: &[(&str, &str)] = if n % 11 == 0 { &[("sec-purpose", "prefetch")] } else { &[] };
        let headers = [&[("user-agent", agents[n % agents.len()])], prefetch].concat();
        visit_as(&app, method, path, &headers).await.is(302);
        app.advance(HOUR / 10);
        if n % 25 == 0 {
            flush(&app).await;
        }
    }
    flush(&app).await;
    for dimension in ["total", "via", "device", "browser", "os", "referrer", "language"] {
        let sum = format!("SELECT SUM(clicks) FROM links_click_hours WHERE dimension = '{dimension}'");
        assert_eq!(number(&app, sum.leak()).await, 60, "{dimension}");
    }
    // Hours in which sum and rows differ.
    let differing = "SELECT COUNT(*) FROM links_click_hours h WHERE h.dimension = 'total' AND h.clicks <> \
         (SELECT COUNT(*) FROM links_clicks c WHERE c.link_id = h.link_id AND c.class = h.class AND c.at >= h.hour AND c.at < h.hour + 3600000)";
    assert_eq!(number(&app, differing).await, 0);
    assert_eq!(sums(&app).await, [60, 60, 0, 60]);
}

#[tokio::test]
async fn inv_l3_beyond_the_allowance_clicks_are_counted_without_detail() {
    let app = app_with(&[("links.clicks.detail_per_second", "0")]).await;
    link(&app, "a", "https://example.com/").await;
    visits_at_once(&app, "/a", 30).await;
    flush(&app).await;
    assert_eq!(sums(&app).await, [30, 0, 30, 30]);
}

/// Makes every addition to the sums of the first click fail, as if the database were away, or lets it succeed again.
async fn break_statistics(app: &App, is_broken: bool) {
    let clicks = if is_broken { i64::MAX } else { 1 };
    let set = app.kernel().db().write(move |tx| tx.execute("UPDATE links_click_hours SET clicks = ?", db::params![clicks]));
    assert!(set.await.expect("written") > 0, "there is a first click");
}

/// Everything that lies in the folder of the journal.
fn journal_text(app: &App) -> String {
    let files = std::fs::read_dir(app.folder().join("clicks")).expect("the folder");
    let bytes = files.map(|file| std::fs::read(file.expect("a file").path()).expect("a file"));
    bytes.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).collect()
}

#[tokio::test]
async fn inv_l12_a_database_that_is_away_for_days_loses_no_click_and_keeps_no_agent() {
    let app = app().await;
    let made = link(&app, "a", "https://example.com/").await;
    let canary = "Mozilla/5.0 (X11; Linux x86_64; canary) Firefox/140.0";
    let visit = async || visit_as(&app, Method::GET, "/a?utm_source=news&token=canary", &[("user-agent", canary)]).await.is(302);
    visit().await;
    flush(&app).await;
    break_statistics(&app, true).await;
    for hour in 0..50 {
        visit().await;
        ::links::flush_clicks(app.kernel()).await.expect_err("the database takes nothing");
        assert!(hour > 0 || journal_text(&app).contains("canary"), "there is something to forget");
        app.advance(HOUR);
    }
    ::links::flush_clicks(app.kernel()).await.expect_err("the database takes nothing");
    // Two texts of each of the clicks of the last day.
    assert!(journal_text(&app).matches("canary").count() <= 2 * 24);
    app.advance(24 * HOUR);
    ::links::flush_clicks(app.kernel()).await.expect_err("the database takes nothing");
    assert!(!journal_text(&app).contains("canary"));
    break_statistics(&app, false).await;
    flush(&app).await;
    assert_eq!(sums(&app).await, [51, 51, 0, 51]);
    for (by, value) in [("browser", "Firefox"), ("os", "Linux"), ("device", "desktop"), ("utm_source", "news")] {
        assert_eq!(items(&stats(&app, &made, by).await.expect(200)), [(value.to_owned(), 51)], "{by}");
    }
    assert_eq!(metric(&app, "links_clicks_detail_dropped_total").await, "", "nothing was lost");
}

#[tokio::test]
async fn inv_l3_clicks_that_find_no_room_are_told_while_the_database_is_away() {
    let app = app_with(&[("links.clicks.journal_max", "1KiB"), ("links.clicks.durability", "strict")]).await;
    link(&app, "a", "https://example.com/").await;
    visit(&app, "/a").await.is(302);
    flush(&app).await;
    break_statistics(&app, true).await;
    for _ in 0..59 {
        visit(&app, "/a").await.is(302);
    }
    ::links::flush_clicks(app.kernel()).await.expect_err("the database takes nothing");
    let told = async |why: &str| {
        let line = metric(&app, &format!("links_clicks_detail_dropped_total{{why=\"{why}\"}}")).await;
        line.split(' ').nth(1).and_then(|count| count.parse::<i64>().ok()).unwrap_or(0)
    };
    let (shed, lost) = (told("memory").await, told("lost").await);
    assert!(shed > 0 && lost > 0, "{shed} {lost}");
    break_statistics(&app, false).await;
    flush(&app).await;
    // Every click is counted, or told to be lost; every one without a row is told as shed.
    assert_eq!(sums(&app).await, [60 - lost, 60 - lost - shed, shed, 60 - lost]);
}

#[tokio::test]
async fn inv_l2_a_file_that_was_damaged_is_counted_as_far_as_it_can_be_read_and_told() {
    let app = app_with(&[("links.clicks.durability", "strict")]).await;
    link(&app, "a", "https://example.com/").await;
    visit(&app, "/a").await.is(302);
    visit(&app, "/a").await.is(302);
    let file = std::fs::read_dir(app.folder().join("clicks")).expect("the folder").next().expect("a file").expect("a file").path();
    let length = std::fs::metadata(&file).expect("a file").len();
    std::fs::File::options().write(true).open(&file).and_then(|file| file.set_len(length - 1)).expect("cut");
    flush(&app).await;
    assert_eq!(sums(&app).await, [1, 1, 0, 1]);
    assert_eq!(metric(&app, "links_clicks_detail_dropped_total").await, "links_clicks_detail_dropped_total{why=\"damaged\"} 1");
}

#[tokio::test]
async fn inv_l1_redirects_go_on_when_clicks_cannot_be_stored() {
    let app = app().await;
    link(&app, "a", "https://example.com/").await;
    visit(&app, "/a").await.is(302);
    flush(&app).await;
    // The click store is gone, then the folder of the journal is no folder.
    let clicks = app.folder().join("clicks");
    std::fs::remove_dir_all(&clicks).expect("an empty folder");
    std::fs::write(&clicks, "in the way").expect("written");
    let answers = visits_at_once(&app, "/a", 50).await;
    assert_eq!(answers_with(&answers, 302), 50);
    std::fs::remove_file(&clicks).expect("removed");
    flush(&app).await;
    assert_eq!(sums(&app).await, [51, 51, 0, 51]);
}

#[tokio::test]
async fn inv_l2_strict_redirects_wait_for_the_disk_and_are_counted() {
    let app = app_with(&[("links.clicks.durability", "strict")]).await;
    link(&app, "a", "https://example.com/").await;
    assert_eq!(answers_with(&visits_at_once(&app, "/a", 50).await, 302), 50);
    flush(&app).await;
    assert_eq!(sums(&app).await, [50, 50, 0, 50]);
}

#[tokio::test]
async fn inv_l12_what_is_stored_names_no_address_and_no_agent_and_the_journal_is_gone() {
    let app = app().await;
    link(&app, "a", "https://example.com/").await;
    let headers =
        [("user-agent", "Mozilla/5.0 (X11; Linux) Firefox/1.0 canary-agent"), ("referer", "https://news.example/canary-path?canary=1")];
    visit_as(&app, Method::GET, "/a", &headers).await.is(302);
    flush(&app).await;
    let dump = app.kernel().db().dump_text().expect("a dump");
    // The trail of who made the link names an address; clicks do not.
    let of_links = dump.iter().filter(|(place, _)| place.starts_with("links_"));
    let text: String = of_links.map(|(place, value)| format!("{place}={value:?}\n")).collect();
    assert!(text.contains("news.example"), "the host is kept");
    assert!(!text.contains("canary") && !text.contains("127.0.0.1"), "{text}");
    assert_eq!(std::fs::read_dir(app.folder().join("clicks")).expect("the folder").count(), 0);
}

#[tokio::test]
async fn who_asks_for_privacy_is_counted_and_not_described() {
    let app = app().await;
    let made = link(&app, "a", "https://example.com/").await;
    for header in ["sec-gpc", "dnt"] {
        let headers = [("user-agent", FIREFOX), ("referer", "https://news.example/"), ("accept-language", "de"), (header, "1")];
        visit_as(&app, Method::GET, "/a?utm_source=x", &headers).await.is(302);
    }
    flush(&app).await;
    assert_eq!(stats(&app, &made, "day").await.expect(200)["total"], 2);
    for by in ["referrer", "device", "browser", "os", "language", "utm_source"] {
        assert_eq!(items(&stats(&app, &made, by).await.expect(200)), [], "{by}");
    }
}

#[tokio::test]
async fn inv_l25_made_up_referrers_are_bounded_per_day() {
    let app = app().await;
    let made = link(&app, "a", "https://example.com/").await;
    let client = client();
    for n in 0..520 {
        let request = client.get(app.url("/a")).header("user-agent", FIREFOX).header("referer", format!("https://r{n}.example/"));
        send(request).await.is(302);
        if n == 300 {
            flush(&app).await;
        }
    }
    flush(&app).await;
    let found = items(&stats(&app, &made, "referrer").await.expect(200));
    assert_eq!((found.len(), &found[0]), (501, &("other".to_owned(), 20)));
    assert_eq!(found.iter().map(|(_, clicks)| clicks).sum::<i64>(), 520);
}

#[tokio::test]
async fn old_single_clicks_are_forgotten_and_the_sums_stay() {
    let app = app().await;
    app.run_jobs().await;
    let made = link(&app, "a", "https://example.com/").await;
    visit(&app, "/a").await.is(302);
    flush(&app).await;
    app.advance(60 * 24 * HOUR);
    visit(&app, "/a").await.is(302);
    flush(&app).await;
    app.advance(31 * 24 * HOUR);
    app.run_jobs().await;
    assert_eq!(sums(&app).await, [2, 1, 0, 2]);
    let read = app.get(&path_of(&made)).by(&ada()).await.expect(200);
    assert_eq!(read["click_count"], 2);
}
