//! Moderators, spam, reports, and conversations below other pages.

use serde_json::json;

use crate::support::*;

#[tokio::test]
async fn cmt8_many_comments_are_decided_at_once_and_told_once() {
    let app = app().await;
    let post = published(&app, &author("ada"), "One").await.text("/id");
    let mut ids = Vec::new();
    for number in 0..30 {
        ids.push(comment(&app, &post, &format!("Comment {number}")).await.expect(201).text("/comment/id"));
    }
    let mut asked: Vec<&str> = ids.iter().map(String::as_str).collect();
    asked.push("019ab0b2-8f00-7000-8000-00000000ffff");
    asked.push(&ids[0]);
    let waiting = app.get("/api/v1/blog/comments").query("status", "pending").query("limit", 100).by(&moderator()).await.expect(200);
    let pending = waiting["items"].as_array().expect("items").len();
    let answer = moderate(&app, &asked, "approved").await;
    let outcomes: Vec<&str> =
        answer["results"].as_array().expect("results").iter().filter_map(|result| result["outcome"].as_str()).collect();
    assert_eq!((outcomes[0], outcomes[30], outcomes[31]), ("changed", "not_found", "unchanged"));
    assert_eq!(read(&app, &post).await["comment_count"], 30);
    let again = moderate(&app, &asked[..30], "approved").await;
    assert!(again["results"].as_array().expect("results").iter().all(|result| result["outcome"] == "unchanged"));
    assert_eq!(told(&app, "blog.comment.approved").await, 30);
    assert!(pending > 0);
    let path = "/api/v1/blog/comments/actions/moderate";
    let body = json!({ "ids": [ids[0]], "status": "spam" });
    app.post(path).by(&author("ada")).json(&body).await.problem("forbidden");
    let too_many: Vec<&str> = (0..501).map(|_| ids[0].as_str()).collect();
    let refused = app.post(path).by(&moderator()).json(&json!({ "ids": too_many, "status": "spam" })).await;
    refused.problem("validation_failed").field("/ids", "too_long");
}

#[tokio::test]
async fn cmt8_two_moderators_at_once_count_right() {
    let app = app().await;
    let post = published(&app, &author("ada"), "One").await.text("/id");
    let mut ids = Vec::new();
    for number in 0..10 {
        ids.push(comment(&app, &post, &format!("Comment {number}")).await.expect(201).text("/comment/id"));
    }
    let body = json!({ "ids": ids, "status": "approved" });
    let ask = || app.post("/api/v1/blog/comments/actions/moderate").by(&moderator()).json(&body);
    let answers = at_once((0..10).map(|_| ask())).await;
    assert_eq!(count(&answers, 200), 10);
    assert_eq!((read(&app, &post).await["comment_count"].clone(), told(&app, "blog.comment.approved").await), (json!(10), 10));
}

#[tokio::test]
async fn cmt7_what_looks_like_spam_waits_or_is_kept_away() {
    let app = app_with(&[("blog.comments.policy", "open"), ("blog.comments.blocked_words", "casino")]).await;
    let post = published(&app, &author("ada"), "One").await.text("/id");
    let path = format!("/api/v1/blog/posts/{post}/comments");
    let guest = json!({ "name": "Emmy" });
    let six = (0..6).map(|n| format!("[{n}](https://example.com/{n})")).collect::<Vec<_>>().join(" ");
    for (body, status) in [
        (json!({ "body": "Hello", "guest": guest }), "approved"),
        (json!({ "body": "Buy now", "nickname": "x", "guest": guest }), "spam"),
        (json!({ "body": "Visit my CASINO", "guest": guest }), "spam"),
        (json!({ "body": six, "guest": guest }), "pending"),
    ] {
        let made = app.post(&path).json(&body).await.expect(201);
        assert_eq!(made["comment"]["status"], status, "{body}");
        assert_eq!(made["comment"]["spam_score"], json!(null), "the score is not told");
    }
    assert_eq!(told(&app, "blog.comment.marked_spam").await, 2);
    let spam = app.get("/api/v1/blog/comments").query("status", "spam").by(&moderator()).await.expect(200);
    assert!(spam["items"][0]["spam_score"].as_i64().expect("a score") >= 80);
    app.get("/api/v1/blog/comments").by(&member("eve")).await.problem("forbidden");
}

#[tokio::test]
async fn an_edited_comment_that_looks_like_spam_waits_again() {
    let app = app_with(&[("blog.comments.policy", "open")]).await;
    let (post, eve) = (published(&app, &author("ada"), "One").await.text("/id"), member("eve"));
    let id = comment_by(&app, &eve, &post, "Hello").await.expect(201).text("/comment/id");
    let links = (0..6).map(|n| format!("<https://example.com/{n}>")).collect::<Vec<_>>().join(" ");
    let edited = app.patch(&format!("/api/v1/blog/comments/{id}")).by(&eve).json(&json!({ "body": links })).await.expect(200);
    assert_eq!(edited["status"], "pending");
    assert_eq!(read(&app, &post).await["comment_count"], 0);
}

#[tokio::test]
async fn a_reader_reports_a_comment() {
    let app = app_with(&[("blog.comments.policy", "open")]).await;
    let post = published(&app, &author("ada"), "One").await.text("/id");
    let id = comment(&app, &post, "Rude").await.expect(201).text("/comment/id");
    let path = format!("/api/v1/blog/comments/{id}/reports");
    for _ in 0..5 {
        app.post(&path).await.expect(204);
    }
    app.post(&path).await.problem("rate_limited");
    let seen = app.get(&format!("/api/v1/blog/comments/{id}")).by(&moderator()).await.expect(200);
    assert_eq!((&seen["report_count"], told(&app, "blog.comment.reported").await), (&json!(5), 5));
}

#[tokio::test]
async fn cmt2_pages_of_allowed_sites_have_conversations() {
    let app = app_with(&[("blog.comments.sites", "https://ex.com"), ("blog.comments.policy", "open")]).await;
    let look = |url: &str| app.get("/api/v1/blog/threads/lookup").query("url", url);
    let unknown = look("http://Ex.com/a/?utm_source=x#y").await.problem("not_found");
    assert_eq!(unknown["canonical_url"], "https://ex.com/a");
    let begin = |url: &str| app.post("/api/v1/blog/threads").json(&json!({ "url": url, "title": "A page" }));
    let made = begin("https://ex.com/a").await.expect(201);
    let again = begin("http://Ex.com/a/?utm_source=x#y").await.expect(200);
    assert_eq!(made["id"], again["id"]);
    assert_eq!(look("https://ex.com/a#top").await.expect(200)["id"], made["id"]);
    begin("https://evil.example/a").await.problem("site_not_allowed");
    begin("not an address").await.problem("validation_failed").field("/url", "invalid_format");
    look("nonsense").await.problem("validation_failed").field("url", "invalid_format");
    let path = format!("/api/v1/blog/threads/{}", made.text("/id"));
    let written = app.post(&format!("{path}/comments")).json(&json!({ "body": "Hi", "guest": { "name": "E" } })).await.expect(201);
    assert_eq!((&written["comment"]["status"], &written["comment"]["post_id"]), (&json!("approved"), &json!(null)));
    assert_eq!(app.get(&path).await.expect(200)["comment_count"], 1);
    assert_eq!(app.get(&format!("{path}/comments")).await.expect(200)["items"].as_array().map(Vec::len), Some(1));
    app.patch(&path).by(&member("eve")).json(&json!({ "policy": "closed" })).await.problem("forbidden");
    app.patch(&path).by(&moderator()).json(&json!({ "policy": "closed" })).await.expect(200);
    app.post(&format!("{path}/comments")).json(&json!({ "body": "Hi", "guest": { "name": "E" } })).await.problem("comments_closed");
    assert_eq!(told(&app, "blog.thread.created").await, 1);
}

#[tokio::test]
async fn cmt2_one_page_gets_one_conversation_however_many_begin_it() {
    let app = app_with(&[("blog.comments.sites", "https://ex.com")]).await;
    let begin = || app.post("/api/v1/blog/threads").json(&json!({ "url": "https://ex.com/a" }));
    let answers = at_once((0..30).map(|_| begin())).await;
    assert_eq!((count(&answers, 201), count(&answers, 200)), (1, 29));
    assert_eq!(told(&app, "blog.thread.created").await, 1);
}

#[tokio::test]
async fn cmt10_hashes_of_addresses_are_dropped_after_their_days() {
    let app = app().await;
    let post = published(&app, &author("ada"), "One").await.text("/id");
    comment(&app, &post, "Hello").await.expect(201);
    let kept = || async {
        let count = app
            .kernel()
            .db()
            .read(|c| Ok::<_, db::Error>(c.all::<i64>("SELECT 1 FROM blog_comments WHERE ip_hash IS NOT NULL", db::params![])?.len()));
        count.await.expect("comments can be counted")
    };
    assert_eq!(kept().await, 1);
    app.advance(DAY * 29);
    app.run_jobs().await;
    assert_eq!(kept().await, 1);
    app.advance(DAY * 2);
    app.run_jobs().await;
    assert_eq!(kept().await, 0);
}
