//! Comments: who may write, numbers, replies, guests, counts.

use serde_json::{Value, json};
use testkit::{Person, TestApp, TestResponse};

use crate::support::*;

async fn post(app: &TestApp) -> String {
    published(app, &author("ada"), "One").await.text("/id")
}

async fn listed(app: &TestApp, post: &str) -> TestResponse {
    app.get(&format!("/api/v1/blog/posts/{post}/comments")).query("view", "flat").await.expect(200)
}

fn reply(app: &TestApp, by: &Person, post: &str, parent: &Value, body: &str) -> testkit::Request {
    app.post(&format!("/api/v1/blog/posts/{post}/comments")).by(by).json(&json!({ "body": body, "parent_id": parent }))
}

#[tokio::test]
async fn cmt3_a_first_comment_waits_and_a_known_person_does_not() {
    let app = app().await;
    let (post, eve) = (post(&app).await, member("eve"));
    let first = comment_by(&app, &eve, &post, "Hello").await.expect(201);
    assert_eq!((&first["comment"]["status"], &first["edit_token"]), (&json!("pending"), &Value::Null));
    assert_eq!(listed(&app, &post).await["items"], json!([]));
    let own = app.get(&format!("/api/v1/blog/posts/{post}/comments")).by(&eve).await.expect(200);
    assert_eq!(own["items"][0]["status"], "pending", "whoever wrote it sees it");
    assert_eq!(read(&app, &post).await["comment_count"], 0);
    moderate(&app, &[&first.text("/comment/id")], "approved").await;
    assert_eq!(listed(&app, &post).await["items"][0]["html"], "<p>Hello</p>\n");
    assert_eq!(read(&app, &post).await["comment_count"], 1, "the answer in memory was dropped");
    let second = comment_by(&app, &eve, &post, "Again").await.expect(201);
    assert_eq!(second["comment"]["status"], "approved");
    assert_eq!((told(&app, "blog.comment.created").await, told(&app, "blog.comment.approved").await), (2, 2));
}

#[tokio::test]
async fn cmt3_what_an_open_thread_lets_in_earns_no_trust_elsewhere() {
    let app = app().await;
    let (ada, eve) = (author("ada"), member("eve"));
    let open = published(&app, &ada, "Open").await.text("/id");
    let careful = published(&app, &ada, "Careful").await.text("/id");
    for (post, policy) in [(&open, "open"), (&careful, "first_time")] {
        patch(&app, &ada, post, &json!({ "comment_policy": policy })).await.expect(200);
    }
    assert_eq!(comment_by(&app, &eve, &open, "Hello there").await.expect(201)["comment"]["status"], "approved");
    let waiting = comment_by(&app, &eve, &careful, "And hello here").await.expect(201);
    assert_eq!(waiting["comment"]["status"], "pending");
    moderate(&app, &[&waiting.text("/comment/id")], "approved").await;
    assert_eq!(comment_by(&app, &eve, &careful, "Known by now").await.expect(201)["comment"]["status"], "approved");
    app.run_jobs().await;
}

#[tokio::test]
async fn cmt3_each_policy_lets_in_whom_it_says() {
    let app = app().await;
    let (ada, eve) = (author("ada"), member("eve"));
    let post = post(&app).await;
    for (policy, by_guest, by_member) in [
        ("open", Ok("approved"), Ok("approved")),
        ("moderated", Ok("pending"), Ok("pending")),
        ("members", Err("unauthenticated"), Ok("approved")),
        ("closed", Err("comments_closed"), Err("comments_closed")),
    ] {
        patch(&app, &ada, &post, &json!({ "comment_policy": policy })).await.expect(200);
        let guest = comment(&app, &post, &format!("Guest {policy}")).await;
        let person = comment_by(&app, &eve, &post, &format!("Member {policy}")).await;
        for (answer, expected) in [(guest, by_guest), (person, by_member)] {
            match expected {
                Ok(status) => assert_eq!(answer.expect(201)["comment"]["status"], status, "{policy}"),
                Err(code) => drop(answer.problem(code)),
            }
        }
    }
    comment_by(&app, &moderator(), &post, "The last word").await.expect(201);
}

#[tokio::test]
async fn comments_can_be_switched_off_and_guests_turned_away() {
    let app = app_with(&[("blog.comments.guests", "false")]).await;
    let id = post(&app).await;
    comment(&app, &id, "Hello").await.problem("unauthenticated");
    let app = app_with(&[("blog.comments.enabled", "false")]).await;
    let id = post(&app).await;
    comment_by(&app, &member("eve"), &id, "Hello").await.problem("comments_closed");
}

#[tokio::test]
async fn cmt4_numbers_have_no_gap_under_two_hundred_writers() {
    let app = app_with(&[("blog.comments.policy", "open")]).await;
    let post = post(&app).await;
    let mut answers = Vec::new();
    // As many at once as may wait to be rendered.
    for round in 0..4 {
        let texts = (0..50).map(|number| format!("Comment {round} {number}"));
        answers.extend(at_once(texts.map(|text| comment(&app, &post, &text))).await);
    }
    assert_eq!(count(&answers, 201), 200, "{}", answers.iter().find(|answer| answer.status != 201).expect("a failure"));
    let mut numbers: Vec<i64> = answers.iter().filter_map(|answer| answer["comment"]["seq"].as_i64()).collect();
    numbers.sort_unstable();
    assert_eq!(numbers, (1..=200).collect::<Vec<i64>>());
    let approved = answers.iter().filter(|answer| answer["comment"]["status"] == "approved").count();
    assert_eq!(read(&app, &post).await["comment_count"], approved);
}

#[tokio::test]
async fn cmt4_replies_hang_below_their_parent_no_deeper_than_the_site_allows() {
    let app = app_with(&[("blog.comments.policy", "open"), ("blog.comments.max_depth", "2")]).await;
    let (post, eve) = (post(&app).await, member("eve"));
    let root = comment_by(&app, &eve, &post, "Root").await.expect(201)["comment"].clone();
    let mut parent = root["id"].clone();
    let mut depths = Vec::new();
    for number in 0..3 {
        let made = reply(&app, &eve, &post, &parent, &format!("Reply {number}")).await.expect(201);
        assert_eq!(made["comment"]["root_id"], root["id"]);
        depths.push(made["comment"]["depth"].as_i64().expect("a depth"));
        parent = made["comment"]["id"].clone();
    }
    assert_eq!(depths, [1, 2, 2]);
    let path = format!("/api/v1/blog/posts/{post}/comments");
    let roots = app.get(&path).await.expect(200);
    assert_eq!((roots["items"].as_array().map(Vec::len), &roots["items"][0]["reply_count"]), (Some(1), &json!(1)));
    let below = app.get(&path).query("root_id", root["id"].as_str().expect("an id")).await.expect(200);
    assert_eq!(below["items"].as_array().map(Vec::len), Some(3));
    let other = published(&app, &author("ada"), "Two").await.text("/id");
    let wrong = reply(&app, &eve, &other, &root["id"], "Here?").await.problem("validation_failed");
    wrong.field("/parent_id", "unknown_reference");
    moderate(&app, &[root["id"].as_str().expect("an id")], "trashed").await;
    let refused = reply(&app, &eve, &post, &root["id"], "Late").await.problem("invalid_state");
    assert_eq!(refused["current_state"], "trashed");
}

#[tokio::test]
async fn comments_of_an_invisible_post_are_not_there() {
    let app = app().await;
    let ada = author("ada");
    let id = draft(&app, &ada, "Hidden").await.text("/id");
    comment(&app, &id, "Hello").await.problem("not_found");
    app.get(&format!("/api/v1/blog/posts/{id}/comments")).await.problem("not_found");
    let post = post(&app).await;
    let made = comment_by(&app, &moderator(), &post, "Hello").await.expect(201).text("/comment/id");
    app.get(&format!("/api/v1/blog/comments/{made}")).await.expect(200);
    act(&app, &ada, &post, "unpublish").await.expect(200);
    app.get(&format!("/api/v1/blog/comments/{made}")).await.problem("not_found");
    app.get(&format!("/api/v1/blog/comments/{made}")).by(&moderator()).await.expect(200);
}

#[tokio::test]
async fn cmt5_a_guest_changes_a_comment_with_its_token_for_a_while() {
    let app = app_with(&[("blog.comments.policy", "open")]).await;
    let post = post(&app).await;
    let guest = json!({ "name": "Emmy", "email": "emmy@example.com", "website": "https://example.com" });
    let made = app.post(&format!("/api/v1/blog/posts/{post}/comments")).json(&json!({ "body": "Helo", "guest": guest })).await.expect(201);
    let (id, token) = (made.text("/comment/id"), made.text("/edit_token"));
    assert!(!made.body.to_string().contains("emmy@example.com"), "the address is never shown");
    let path = format!("/api/v1/blog/comments/{id}");
    let change = |token: &str| app.patch(&path).header("Edit-Token", token).json(&json!({ "body": "Hello" }));
    change("wrong").await.problem("forbidden");
    let changed = change(&token).await.expect(200);
    assert_eq!((&changed["body"], &changed["html"]), (&json!("Hello"), &json!("<p>Hello</p>\n")));
    assert!(!changed["edited_at"].is_null());
    change(&token).header("If-Match", "\"v1\"").await.problem("version_conflict");
    app.advance(MINUTE * 15 + MINUTE);
    change(&token).await.problem("forbidden");
    app.delete(&path).header("Edit-Token", &token).await.problem("forbidden");
    app.patch(&path).by(&moderator()).json(&json!({ "body": "Hello!" })).await.expect(200);
    assert_eq!(told(&app, "blog.comment.updated").await, 2);
}

#[tokio::test]
async fn cmt6_a_deleted_comment_with_replies_stays_as_an_empty_place() {
    let app = app_with(&[("blog.comments.policy", "open")]).await;
    let (post, eve) = (post(&app).await, member("eve"));
    let root = comment_by(&app, &eve, &post, "Root").await.expect(201)["comment"]["id"].clone();
    let answer = reply(&app, &eve, &post, &root, "Reply").await.expect(201)["comment"]["id"].clone();
    let path = |id: &Value| format!("/api/v1/blog/comments/{}", id.as_str().expect("an id"));
    app.delete(&path(&root)).await.problem("forbidden");
    app.delete(&path(&root)).by(&eve).await.expect(204);
    let list = listed(&app, &post).await;
    let place = &list["items"][0];
    assert_eq!((&place["is_deleted"], &place["html"], &place["author_name"]), (&json!(true), &Value::Null, &Value::Null));
    assert_eq!(read(&app, &post).await["comment_count"], 1);
    app.delete(&path(&root)).by(&eve).await.problem("not_found");
    app.delete(&path(&answer)).by(&eve).await.expect(204);
    assert_eq!(listed(&app, &post).await["items"], json!([]), "the empty place went with its last reply");
    app.get(&path(&root)).by(&moderator()).await.problem("not_found");
    assert_eq!((read(&app, &post).await["comment_count"].clone(), told(&app, "blog.comment.deleted").await), (json!(0), 2));
}

#[tokio::test]
async fn cmt6_counts_stay_exact_whatever_happens() {
    let app = app_with(&[("blog.comments.policy", "open")]).await;
    let (post, eve) = (post(&app).await, member("eve"));
    // A small generator of its own: the same walk each time, on every engine.
    let mut state = 7_u64;
    let mut next = |bound: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % bound
    };
    let mut ids: Vec<String> = Vec::new();
    for step in 0..60 {
        let pick = (!ids.is_empty()).then(|| ids[next(ids.len())].clone());
        match (next(5), pick) {
            (0 | 1, Some(parent)) => {
                let answer = reply(&app, &eve, &post, &json!(parent), &format!("Reply {step}")).await;
                if answer.status == 201 {
                    ids.push(answer.text("/comment/id"));
                }
            }
            (2, Some(id)) => drop(app.delete(&format!("/api/v1/blog/comments/{id}")).by(&moderator()).await),
            (3, Some(id)) => {
                let status = ["approved", "pending", "spam", "trashed"][next(4)];
                moderate(&app, &[&id], status).await;
            }
            _ => ids.push(comment_by(&app, &eve, &post, &format!("Root {step}")).await.expect(201).text("/comment/id")),
        }
    }
    let mut all = Vec::new();
    let mut cursor: Option<String> = None;
    loop {
        let mut request = app.get("/api/v1/blog/comments").by(&moderator()).query("limit", 7);
        if let Some(cursor) = &cursor {
            request = request.query("cursor", cursor);
        }
        let page = request.await.expect(200);
        all.extend(page["items"].as_array().expect("items").clone());
        cursor = page["next_cursor"].as_str().map(str::to_owned);
        if cursor.is_none() {
            break;
        }
    }
    let public: Vec<&Value> = all.iter().filter(|comment| comment["status"] == "approved").collect();
    assert!(public.len() > 5, "the walk leaves something to count");
    assert_eq!(read(&app, &post).await["comment_count"], public.len());
    for comment in &all {
        let replies = public.iter().filter(|other| other["parent_id"] == comment["id"]).count();
        assert_eq!(comment["reply_count"], replies, "{comment}");
    }
}

#[tokio::test]
async fn bad_comments_are_refused() {
    let app = app().await;
    let post = post(&app).await;
    let path = format!("/api/v1/blog/posts/{post}/comments");
    let links = "[a](https://a.example) ".repeat(21);
    for (body, place, code) in [
        (json!({ "body": "", "guest": { "name": "E" } }), "/body", "too_short"),
        (json!({ "body": "<script></script>", "guest": { "name": "E" } }), "/body", "required"),
        (json!({ "body": "x".repeat(10_001), "guest": { "name": "E" } }), "/body", "too_long"),
        (json!({ "body": links, "guest": { "name": "E" } }), "/body", "too_long"),
        (json!({ "body": "x" }), "/guest", "required"),
        (json!({ "body": "x", "guest": { "name": "" } }), "/guest/name", "too_short"),
        (json!({ "body": "x", "guest": { "name": "E", "email": "nobody" } }), "/guest/email", "invalid_format"),
        (json!({ "body": "x", "guest": { "name": "E", "website": "javascript:x" } }), "/guest/website", "invalid_format"),
    ] {
        app.post(&path).json(&body).await.problem("validation_failed").field(place, code);
    }
    let both = json!({ "body": "x", "guest": { "name": "E" } });
    app.post(&path).by(&member("eve")).json(&both).await.problem("validation_failed").field("/guest", "not_allowed");
}

#[tokio::test]
async fn a_flood_of_comments_is_held_back() {
    let app = app_with(&[("blog.comments.per_minute", "5"), ("blog.comments.guest_per_hour", "8")]).await;
    let post = post(&app).await;
    for number in 0..5 {
        comment(&app, &post, &format!("Comment {number}")).await.expect(201);
    }
    let refused = comment(&app, &post, "One more").await.problem("rate_limited");
    assert!(refused.header("retry-after").parse::<u64>().expect("seconds") >= 1);
    app.advance(MINUTE);
    for number in 0..3 {
        comment(&app, &post, &format!("Later {number}")).await.expect(201);
    }
    app.advance(MINUTE);
    comment(&app, &post, "Too many this hour").await.problem("rate_limited");
}

#[tokio::test]
async fn guests_are_turned_away_while_too_many_wait() {
    let app = app_with(&[("blog.comments.max_waiting", "2")]).await;
    let post = post(&app).await;
    for number in 0..2 {
        comment(&app, &post, &format!("Comment {number}")).await.expect(201);
    }
    comment(&app, &post, "Too many").await.problem("comments_paused");
    comment_by(&app, &member("eve"), &post, "With an account").await.expect(201);
}
