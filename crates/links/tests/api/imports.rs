//! Imports and exports (LIM-1, LIM-2, LIM-4).

use serde_json::{Value, json};
use testkit::{Doorman, Person, TestResponse};

use crate::support::*;

fn importer() -> Person {
    Doorman::person("imp", &["links:imports:run"])
}

async fn import(app: &App, query: &[(&str, &str)], file: impl Into<Vec<u8>>) -> TestResponse {
    let request = app.post("/api/v1/links/imports").by(&importer()).body("text/csv", file);
    let started = query.iter().fold(request, |request, (name, value)| request.query(name, value)).await.expect(202);
    app.run_jobs().await;
    let done = app.get(&format!("/api/v1/links/imports/{}", started.text("/id"))).by(&importer()).await.expect(200);
    assert_eq!(done["status"], "done", "{done}");
    done
}

fn counts(done: &TestResponse) -> [i64; 5] {
    ["total", "created_count", "updated_count", "skipped_count", "failed_count"].map(|name| done[name].as_i64().expect("a count"))
}

async fn export(app: &App, person: &Person) -> String {
    let file = app.get("/api/v1/links/export").by(person).await.expect(200);
    String::from_utf8(file.bytes).expect("text")
}

const FILE: &str = "Short code,Long URL,Title,Tags\n\
    Sale,https://example.com/sale,Sale,\"red,big\"\n\
    guide,https://example.com/docs,,one|two\n\
    SALE,https://example.com/again,,\n\
    api,https://example.com/,,\n\
    bad,javascript:alert(1),,\n\
    ,https://example.com/random,,\n";

#[tokio::test]
async fn lim_1_a_file_becomes_links_and_every_wrong_row_is_named() {
    let app = app().await;
    let done = import(&app, &[], FILE).await;
    assert_eq!(counts(&done), [6, 3, 0, 0, 3]);
    let problems: Vec<(i64, &str, &str)> = done["problems"]
        .as_array()
        .expect("problems")
        .iter()
        .map(|problem| {
            (
                problem["line"].as_i64().expect("a line"),
                problem["code"].as_str().expect("a code"),
                problem["pointer"].as_str().expect("a place"),
            )
        })
        .collect();
    assert_eq!(problems, [(4, "slug_taken", "/slug"), (5, "slug_reserved", "/slug"), (6, "not_allowed", "/url")]);
    visit(&app, "/sale").await.leads_to("https://example.com/sale");
    let found = app.get("/api/v1/links/lookup").query("slug", "sale").by(&importer()).await.expect(200);
    assert_eq!((&found["slug"], &found["tags"]), (&json!("Sale"), &json!(["big", "red"])));
    assert_eq!(app.event_names().await.last().map(String::as_str), Some("links.import.finished"));
}

#[tokio::test]
async fn lim_1_importing_twice_changes_nothing() {
    let app = app().await;
    import(&app, &[], FILE).await;
    let before = export(&app, &importer()).await;
    for on_conflict in ["skip", "rename", "update"] {
        let again = import(&app, &[("on_conflict", on_conflict)], FILE).await;
        assert_eq!(counts(&again), [6, 0, 0, 3, 3], "{on_conflict}: {again}");
        assert_eq!(export(&app, &importer()).await, before);
    }
    // What is edited in the file is changed when that is wished.
    let edited = FILE.replace("example.com/docs,", "example.com/handbook,");
    assert_eq!(counts(&import(&app, &[], edited.as_str()).await), [6, 0, 0, 3, 3]);
    assert_eq!(counts(&import(&app, &[("on_conflict", "update")], edited).await), [6, 0, 1, 2, 3]);
    visit(&app, "/guide").await.leads_to("https://example.com/handbook");
}

#[tokio::test]
async fn lim_2_a_taken_slug_is_left_out_renamed_or_refused() {
    let app = app().await;
    link(&app, "sale", "https://example.com/adas").await;
    let file = "slug,url\nsale,https://example.com/mine\n";
    assert_eq!(counts(&import(&app, &[], file).await), [1, 0, 0, 1, 0]);
    assert_eq!(counts(&import(&app, &[("on_conflict", "update")], file).await), [1, 0, 0, 0, 1]);
    assert_eq!(counts(&import(&app, &[("on_conflict", "rename")], file).await), [1, 1, 0, 0, 0]);
    visit(&app, "/sale").await.leads_to("https://example.com/adas");
    visit(&app, "/sale-2").await.leads_to("https://example.com/mine");
}

/// Writes a file of links into the folder of the app; gives its path.
fn file_of(app: &App, lines: impl Iterator<Item = String>) -> String {
    let path = app.folder().join("import.csv");
    std::fs::write(&path, std::iter::once("slug,url\n".to_owned()).chain(lines).collect::<String>()).expect("written");
    path.display().to_string()
}

#[tokio::test]
async fn lim_1_two_imports_of_one_file_at_once_make_every_link_once() {
    let app = app().await;
    let slug = |n: i32| if n % 2 == 0 { format!("s{n}") } else { String::new() };
    let file = file_of(&app, (0..150).map(|n| format!("{},https://example.com/{n}\n", slug(n))));
    let words = ["links", "import", &file];
    let (one, other) = futures_util::future::join(command(&app, &words), command(&app, &words)).await;
    one.and(other).expect("both are through");
    app.run_jobs().await;
    let sum = "SELECT SUM(created_count) * 1000 + SUM(skipped_count) FROM links_imports WHERE status = 'done' AND failed_count = 0";
    assert_eq!(number(&app, sum).await, 150_150);
    assert_eq!(number(&app, "SELECT COUNT(*) FROM links_links").await, 150);
    assert_eq!(number(&app, "SELECT COUNT(*) FROM links_import_refs").await, 150);
}

#[tokio::test]
async fn lim_1_the_command_line_and_its_job_carry_out_one_import_together() {
    let app = app().await;
    let file = file_of(&app, (0..1_000).map(|n| format!("s{n},https://example.com/{n}\n")));
    let (words, jobs) = (["links", "import", &file], async {
        while number(&app, "SELECT COUNT(*) FROM links_imports WHERE status = 'done'").await == 0 {
            app.run_jobs().await;
        }
    });
    let (done, ()) = futures_util::future::join(command(&app, &words), jobs).await;
    done.expect("through");
    app.run_jobs().await;
    assert_eq!(number(&app, "SELECT created_count FROM links_imports").await, 1_000);
    assert_eq!(number(&app, "SELECT COUNT(*) FROM links_links").await, 1_000);
    assert_eq!(app.event_names().await.iter().filter(|name| *name == "links.import.finished").count(), 1);
}

#[tokio::test]
async fn lim_2_two_who_import_the_same_slugs_at_once_both_get_theirs_by_renaming() {
    let app = app().await;
    for round in 0..5 {
        // Another's links under the same slugs, so that every row has to look for a free one.
        for n in 0..20 {
            link(&app, &format!("r{round}s{n}"), "https://example.com/adas").await;
        }
        let file = file_of(&app, (0..20).map(|n| format!("r{round}s{n},https://example.com/{n}\n")));
        let bytes = std::fs::read(&file).expect("the file");
        let ours = app.post("/api/v1/links/imports").by(&importer()).query("on_conflict", "rename").body("text/csv", bytes);
        ours.await.expect(202);
        let words = ["links", "import", &file, "--on-conflict", "rename"];
        let (done, ()) = futures_util::future::join(command(&app, &words), app.run_jobs()).await;
        done.expect("through");
        app.run_jobs().await;
    }
    assert_eq!(number(&app, "SELECT SUM(failed_count) FROM links_imports").await, 0);
    assert_eq!(number(&app, "SELECT COUNT(*) FROM links_links WHERE slug_key LIKE '%-2'").await, 100);
    assert_eq!(number(&app, "SELECT COUNT(*) FROM links_links WHERE slug_key LIKE '%-3'").await, 100);
}

#[tokio::test]
async fn a_dry_run_tells_and_writes_nothing() {
    let app = app().await;
    let done = import(&app, &[("dry_run", "true")], FILE).await;
    assert_eq!(counts(&done), [6, 3, 0, 0, 3]);
    assert_eq!(number(&app, "SELECT COUNT(*) FROM links_links").await, 0);
    assert_eq!(number(&app, "SELECT COUNT(*) FROM links_import_refs").await, 0);
    assert_eq!(app.event_names().await, ["links.import.finished"]);
}

#[tokio::test]
async fn lim_4_export_import_export_is_the_same_to_the_byte() {
    let app = app().await;
    let bodies = [
        json!({ "url": "https://example.com/?a=1&b=%22", "slug": "a/b", "title": "=HYPERLINK(\"x\")", "note": "line\nline, \"quoted\"; '=x", "tags": ["x y", "Z"] }),
        json!({ "url": "https://example.com/", "slug": "-minus", "redirect_status": 308, "max_clicks": 7, "expired_url": "https://example.com/over",
                "valid_from": "2026-01-01T00:00:00.000Z", "expires_at": "2027-01-01T00:00:00.001Z", "external_id": "'+1" }),
        json!({ "url": "https://example.com/ü", "slug": "Über", "forward_query": "override", "forward_path": true, "is_crawlable": true, "is_unlisted": true }),
    ];
    for body in bodies {
        make(&app, body).await.expect(201);
    }
    let off = link(&app, "off", "https://example.com/").await;
    app.post(&format!("{}/actions/disable", path_of(&off))).by(&ada()).await.expect(200);
    let first = export(&app, &ada()).await;
    assert_eq!(first.matches('\n').count(), 6, "{first}");
    let other = crate::support::app().await;
    assert_eq!(counts(&import(&other, &[], first.clone()).await), [4, 4, 0, 0, 0]);
    assert_eq!(export(&other, &importer()).await, first);
    assert_eq!(export(&other, &ada()).await.lines().count(), 1, "another's links are not in it");
}

#[tokio::test]
async fn an_export_of_many_pages_is_whole() {
    let app = app().await;
    let file: String =
        std::iter::once("slug,url\n".to_owned()).chain((0..1_234).map(|n| format!("s{n:04},https://example.com/{n}\n"))).collect();
    assert_eq!(counts(&import(&app, &[], file).await), [1_234, 1_234, 0, 0, 0]);
    let text = export(&app, &importer()).await;
    let slugs: Vec<&str> = text.lines().skip(1).map(|line| line.split(',').next().unwrap_or_default()).collect();
    assert_eq!(slugs, (0..1_234).map(|n| format!("s{n:04}")).collect::<Vec<_>>());
}

#[tokio::test]
async fn an_export_can_be_compressed() {
    let app = app().await;
    import(&app, &[], FILE).await;
    let packed = app.get("/api/v1/links/export").by(&importer()).header("Accept-Encoding", "gzip").await.expect(200);
    assert_eq!((packed.header("content-encoding"), packed.bytes.get(..2)), ("gzip", Some(&b"\x1f\x8b"[..])));
}

#[tokio::test]
async fn lim_1_an_import_that_broke_off_goes_on_where_it_was() {
    let app = app().await;
    let file: String =
        std::iter::once("slug,url\n".to_owned()).chain((0..250).map(|n| format!("s{n:04},https://example.com/{n}\n"))).collect();
    let started = app.post("/api/v1/links/imports").by(&importer()).body("text/csv", file).await.expect(202);
    // A crash after the first hundred rows: what is written of them is their links, their position, and that they are gone.
    let rows = app.kernel().db().write(|tx| tx.execute("DELETE FROM links_import_rows WHERE line > 101", db::params![]));
    assert_eq!(rows.await.expect("written"), 150);
    app.run_jobs().await;
    let done = app.get(&format!("/api/v1/links/imports/{}", started.text("/id"))).by(&importer()).await.expect(200);
    assert_eq!(counts(&done), [250, 100, 0, 0, 0]);
    // Its job once more does nothing: at least once is as good as once.
    let again = import(&app, &[], "slug,url\ns0000,https://example.com/0\n").await;
    assert_eq!(counts(&again), [1, 0, 0, 1, 0]);
    assert_eq!(number(&app, "SELECT COUNT(*) FROM links_links").await, 100);
}

#[tokio::test]
async fn files_that_are_no_table_are_refused_whole() {
    let app = app().await;
    for file in [&b""[..], b"title,slug\na,b\n", b"url\n\xff\xfe\n", b"\x00\x01"] {
        let refused = app.post("/api/v1/links/imports").by(&importer()).body("text/csv", file).await;
        refused.expect(400).problem("malformed_request");
    }
    app.post("/api/v1/links/imports").by(&importer()).json(&Value::Null).await.expect(415);
    let rows: String = std::iter::once("url\n").chain(std::iter::repeat_n("x\n", 200_001)).collect();
    app.post("/api/v1/links/imports").by(&importer()).body("text/csv", rows).await.expect(400).problem("malformed_request");
    let small = app_with(&[("links.import_max", "1KiB")]).await;
    small.post("/api/v1/links/imports").by(&importer()).body("text/csv", vec![b'x'; 2_000]).await.expect(413).problem("payload_too_large");
    assert_eq!(number(&app, "SELECT COUNT(*) FROM links_imports").await, 0);
}

#[tokio::test]
async fn another_importers_import_is_not_found() {
    let app = app().await;
    let started = import(&app, &[], "slug,url\na,https://example.com/\n").await;
    let path = format!("/api/v1/links/imports/{}", started.text("/id"));
    app.get(&path).by(&Doorman::person("other", &["links:imports:run"])).await.expect(404);
    app.advance(91 * 24 * HOUR);
    app.run_jobs().await;
    app.get(&path).by(&importer()).await.expect(404);
    visit(&app, "/a").await.is(302);
}
