//! Pages: clamped, signed, and complete while others write.

use serde_json::{Value, json};
use testkit::{Doorman, TestApp};

use crate::app;

async fn make(app: &TestApp, titles: impl IntoIterator<Item = String>) -> Vec<String> {
    let mut ids = Vec::new();
    for title in titles {
        ids.push(app.post("/api/v1/notes").json(&json!({ "title": title })).await.expect(201).text("/id"));
    }
    app.forget_jobs().await;
    ids
}

fn ids(page: &testkit::TestResponse) -> Vec<String> {
    page["items"].as_array().unwrap().iter().map(|item| item["id"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn r4_r20_r25_a_list_has_pages_of_twenty_with_links() {
    let app = app().await;
    let made = make(&app, (0..105).map(|n| format!("note {n}"))).await;
    let first = app.get("/api/v1/notes").await.expect(200);
    assert_eq!(ids(&first), made[..20]);
    let link = first.header("link").to_owned();
    let next = link.strip_prefix('<').and_then(|rest| rest.strip_suffix(">; rel=\"next\"")).expect(&link);
    assert_eq!(ids(&app.get(next).await.expect(200)), made[20..40]);
    let clamped = app.get("/api/v1/notes?limit=1000").await.expect(200);
    assert_eq!(ids(&clamped), made[..100]);
    let last = app.get("/api/v1/notes?limit=100").query("cursor", clamped["next_cursor"].as_str().unwrap()).await.expect(200);
    assert_eq!((ids(&last), &last["next_cursor"], last.header("link")), (made[100..].to_vec(), &Value::Null, ""));
    assert_eq!(last.body.as_object().unwrap().keys().collect::<Vec<_>>(), ["items", "next_cursor"]);
}

#[tokio::test]
async fn r21_a_cursor_belongs_to_its_list_filter_and_principal() {
    let app = app().await;
    make(&app, (0..5).map(|n| format!("note {n}"))).await;
    let cursor = app.get("/api/v1/notes?limit=2").await["next_cursor"].as_str().unwrap().to_owned();
    app.get("/api/v1/notes?limit=3").query("cursor", &cursor).await.expect(200);
    app.get("/api/v1/notes?from_position=1").query("cursor", &cursor).await.expect(400).problem("cursor_invalid");
    app.get("/api/v1/notes").query("cursor", &cursor).by(&Doorman::person("ada", &[])).await.expect(400).problem("cursor_invalid");
    for at in [0, cursor.len() / 2, cursor.len() - 1] {
        let mut bytes = cursor.clone().into_bytes();
        bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
        let changed = String::from_utf8(bytes).unwrap();
        app.get("/api/v1/notes").query("cursor", changed).await.expect(400).problem("cursor_invalid");
    }
    app.get("/api/v1/notes").query("cursor", "x".repeat(1025)).await.expect(422).field("cursor", "too_long");
    app.get("/api/v1/notes?cursor=").await.expect(400);
}

#[tokio::test]
async fn r22_a_walk_sees_each_unchanged_note_once_while_others_come_and_go() {
    for seed in 1..=4_u32 {
        let app = app().await;
        let random = kernel::Random::seeded(seed.into());
        let all = make(&app, (0..40).map(|n| format!("note {n}"))).await;
        let (kept, mut doomed): (Vec<_>, Vec<_>) = all.into_iter().enumerate().partition(|(at, _)| at % 3 > 0);
        let (mut seen, mut cursor, mut fresh) = (Vec::new(), None::<String>, 0);
        loop {
            let request = app.get("/api/v1/notes").query("limit", 1 + random.below(7));
            let page = match &cursor {
                Some(cursor) => request.query("cursor", cursor).await,
                None => request.await,
            };
            seen.extend(ids(&page.clone().expect(200)));
            for _ in 0..random.below(3) {
                if let Some((_, id)) = doomed.pop() {
                    app.delete(&format!("/api/v1/notes/{id}")).await.expect(204);
                }
                fresh += 1;
                make(&app, (fresh < 30).then(|| format!("fresh {fresh}"))).await;
            }
            cursor = page["next_cursor"].as_str().map(str::to_owned);
            if cursor.is_none() {
                break;
            }
        }
        for (_, id) in kept {
            assert_eq!(seen.iter().filter(|other| **other == id).count(), 1, "seed {seed}: {id}");
        }
        assert!(seen.is_sorted(), "seed {seed}");
    }
}

/// Titles whose order no engine may decide by a collation of its own, at places that many share.
const TITLES: [&str; 10] = ["Zebra", "apple", "Ärger", "apple ", "a", "日本", "zebra", "A_b", "a%", "émile"];

#[tokio::test]
async fn r23_a_list_sorts_by_each_of_its_keys_and_by_id_where_they_are_equal() {
    let app = app().await;
    let mut notes = Vec::new();
    for (at, title) in TITLES.into_iter().enumerate() {
        let place = at as i64 % 3;
        let made = app.post("/api/v1/notes").json(&json!({ "title": title, "position": place })).await.expect(201);
        notes.push((title, place, made.text("/id")));
    }
    app.forget_jobs().await;
    let mut by_title = notes.clone();
    by_title.sort_by_key(|note| note.0);
    let mut by_place = notes.clone();
    by_place.sort_by_key(|note| note.1);
    for (sort, mut expected) in [("title", by_title), ("position", by_place), ("created_at", notes.clone()), ("id", notes)] {
        for sort in [sort.to_owned(), format!("-{sort}")] {
            let expected_ids: Vec<_> = expected.iter().map(|note| note.2.clone()).collect();
            let (mut walked, mut cursor) = (Vec::new(), None::<String>);
            loop {
                let request = app.get("/api/v1/notes?limit=3").query("sort", &sort);
                let page = match &cursor {
                    Some(cursor) => request.query("cursor", cursor).await.expect(200),
                    None => request.await.expect(200),
                };
                walked.extend(ids(&page));
                cursor = page["next_cursor"].as_str().map(str::to_owned);
                if cursor.is_none() {
                    break;
                }
            }
            assert_eq!(walked, expected_ids, "{sort}");
            expected.reverse();
        }
    }
}

#[tokio::test]
async fn r23_an_unknown_sort_key_is_refused_with_those_that_exist() {
    let app = app().await;
    for sort in ["body", "", "-", "--title", "title,id", "Title", "title desc", "1"] {
        let refused = app.get("/api/v1/notes").query("sort", sort).await.expect(422).problem("sort_not_supported");
        assert_eq!(refused["allowed"], json!(["id", "title", "position", "created_at"]), "{sort}");
        assert_eq!(refused["errors"][0]["parameter"], "sort");
    }
}

#[tokio::test]
async fn r21_a_cursor_belongs_to_the_order_it_was_made_for() {
    let app = app().await;
    make(&app, (0..5).map(|n| format!("note {n}"))).await;
    let cursor = app.get("/api/v1/notes?limit=2&sort=title").await["next_cursor"].as_str().unwrap().to_owned();
    app.get("/api/v1/notes?sort=title").query("cursor", &cursor).await.expect(200);
    for sort in ["-title", "position", "id"] {
        app.get("/api/v1/notes").query("sort", sort).query("cursor", &cursor).await.expect(400).problem("cursor_invalid");
    }
}
