//! A post's way to the public and back.

use serde_json::json;

use crate::support::*;

#[tokio::test]
async fn publishing_twice_is_a_conflict_and_unpublishing_takes_it_back() {
    let app = app().await;
    let ada = author("ada");
    let id = draft(&app, &ada, "One").await.text("/id");
    let post = publish(&app, &ada, &id).await.expect(200);
    assert_eq!((post.text("/status"), &post["published_at"]), ("published".to_owned(), &json!(app.now().to_string())));
    publish(&app, &ada, &id).await.problem("already_published");
    assert_eq!(slugs(&list(&app).await), ["one"]);
    assert_eq!(act(&app, &ada, &id, "unpublish").await.expect(200)["status"], "unpublished");
    read(&app, &id).await.problem("not_found");
    assert_eq!(slugs(&list(&app).await), [""; 0]);
    let refused = act(&app, &ada, &id, "unpublish").await.problem("invalid_state");
    assert_eq!(refused["current_state"], "unpublished");
    publish(&app, &ada, &id).await.expect(200);
    read(&app, &id).await.expect(200);
    assert_eq!((told(&app, "blog.post.published").await, told(&app, "blog.post.unpublished").await), (2, 1));
}

#[tokio::test]
async fn blg3_due_times_count_without_any_job() {
    let app = app().await;
    let ada = author("ada");
    let id = draft(&app, &ada, "One").await.text("/id");
    let times = json!({ "publish_at": in_future(&app, HOUR), "unpublish_at": in_future(&app, DAY) });
    let post = act(&app, &ada, &id, "publish").json(&times).await.expect(200);
    assert_eq!(post["status"], "scheduled");
    read(&app, &id).await.problem("not_found");
    by_slug(&app, "one").await.problem("not_found");
    assert_eq!(slugs(&list(&app).await), [""; 0]);
    assert_eq!(slugs(&list(&app).by(&editor()).query("status", "scheduled").await), ["one"]);
    app.advance(HOUR);
    assert_eq!(read(&app, &id).await.expect(200)["status"], "published");
    by_slug(&app, "one").await.expect(200);
    assert_eq!(slugs(&list(&app).await), ["one"]);
    app.advance(DAY - HOUR);
    read(&app, &id).await.problem("not_found");
    by_slug(&app, "one").await.problem("not_found");
    assert_eq!(slugs(&list(&app).await), [""; 0]);
    assert_eq!(slugs(&list(&app).by(&editor()).query("status", "unpublished").await), ["one"]);
    assert_eq!(told(&app, "blog.post.published").await, 0, "no job ran");
    app.run_jobs().await;
    assert_eq!((told(&app, "blog.post.published").await, told(&app, "blog.post.unpublished").await), (1, 1));
}

#[tokio::test]
async fn blg4_each_due_change_is_told_once_however_many_nodes_run_its_job() {
    let app = app().await;
    let ada = author("ada");
    for number in 0..5 {
        let id = draft(&app, &ada, &format!("Post {number}")).await.text("/id");
        act(&app, &ada, &id, "publish").json(&json!({ "publish_at": in_future(&app, HOUR) })).await.expect(200);
    }
    assert_eq!(told(&app, "blog.post.scheduled").await, 5);
    let twin = app.twin().await;
    app.advance(HOUR);
    let (mine, theirs) = tokio::join!(app.kernel().run_due_jobs(), twin.kernel().run_due_jobs());
    mine.and(theirs).expect("the jobs run");
    app.run_jobs().await;
    app.advance(DAY);
    app.run_jobs().await;
    assert_eq!(told(&app, "blog.post.published").await, 5);
}

#[tokio::test]
async fn blg4_a_schedule_can_be_changed_and_taken_back() {
    let app = app().await;
    let ada = author("ada");
    let id = draft(&app, &ada, "One").await.text("/id");
    let at = |far| json!({ "publish_at": in_future(&app, far) });
    act(&app, &ada, &id, "publish").json(&at(HOUR)).await.expect(200);
    act(&app, &ada, &id, "publish").json(&at(DAY)).await.expect(200);
    app.advance(HOUR);
    app.run_jobs().await;
    assert_eq!(told(&app, "blog.post.published").await, 0);
    assert_eq!(act(&app, &ada, &id, "unpublish").await.expect(200)["published_at"], json!(null));
    app.advance(DAY);
    app.run_jobs().await;
    read(&app, &id).await.problem("not_found");
    assert_eq!(told(&app, "blog.post.published").await, 0);
    act(&app, &ada, &id, "publish").json(&json!({ "publish_at": "2020-01-01T00:00:00Z" })).await.expect(200);
    assert_eq!(read(&app, &id).await.expect(200)["published_at"], "2020-01-01T00:00:00.000Z");
}

#[tokio::test]
async fn impossible_times_are_refused() {
    let app = app().await;
    let ada = author("ada");
    let id = draft(&app, &ada, "One").await.text("/id");
    for times in [
        json!({ "unpublish_at": app.now().to_string() }),
        json!({ "unpublish_at": "2020-01-01T00:00:00Z" }),
        json!({ "publish_at": in_future(&app, DAY), "unpublish_at": in_future(&app, HOUR) }),
    ] {
        let refused = act(&app, &ada, &id, "publish").json(&times).await.problem("validation_failed");
        refused.field("/unpublish_at", "out_of_range");
    }
    act(&app, &ada, &id, "publish").json(&json!({ "publish_at": "tomorrow" })).await.problem("validation_failed");
    publish(&app, &ada, &id).await.expect(200);
    let later = json!({ "publish_at": in_future(&app, HOUR) });
    act(&app, &ada, &id, "publish").json(&later).await.problem("invalid_state");
    // The end of a live post can be set without a draft.
    let until = json!({ "unpublish_at": in_future(&app, HOUR) });
    act(&app, &ada, &id, "publish").json(&until).await.expect(200);
    app.advance(HOUR);
    read(&app, &id).await.problem("not_found");
    app.run_jobs().await;
}

#[tokio::test]
async fn authors_publish_unless_the_site_says_editors_do() {
    let app = app_with(&[("blog.authors_may_publish", "false")]).await;
    let ada = author("ada");
    let id = draft(&app, &ada, "One").await.text("/id");
    publish(&app, &ada, &id).await.problem("forbidden");
    publish(&app, &editor(), &id).await.expect(200);
    patch(&app, &ada, &id, &json!({ "title": "Two" })).await.expect(200);
    patch(&app, &author("bob"), &id, &json!({ "title": "x" })).await.problem("forbidden");
    patch(&app, &app.anyone(), &id, &json!({ "title": "x" })).await.problem("unauthenticated");
}

#[tokio::test]
async fn blg16_a_trashed_post_is_gone_for_everybody_until_it_is_taken_out() {
    let app = app().await;
    let ada = author("ada");
    let id = published(&app, &ada, "One").await.text("/id");
    let path = format!("/api/v1/blog/posts/{id}");
    app.delete(&path).by(&ada).await.problem("forbidden");
    app.delete(&path).by(&editor()).await.expect(204);
    app.delete(&path).by(&editor()).await.problem("not_found");
    for person in [app.anyone(), ada.clone()] {
        read(&app, &id).by(&person).await.problem("not_found");
        by_slug(&app, "one").by(&person).await.problem("not_found");
        assert_eq!(slugs(&list(&app).by(&person).await), [""; 0]);
        assert_eq!(slugs(&list(&app).by(&person).query("status", "trashed").await), [""; 0]);
    }
    assert_eq!(read(&app, &id).by(&editor()).await.expect(200)["status"], "trashed");
    assert_eq!(slugs(&list(&app).by(&editor()).query("status", "trashed").await), ["one"]);
    publish(&app, &ada, &id).await.problem("not_found");
    act(&app, &ada, &id, "untrash").await.problem("forbidden");
    act(&app, &editor(), &id, "untrash").await.expect(200);
    act(&app, &editor(), &id, "untrash").await.problem("invalid_state");
    assert_eq!(read(&app, &id).await.expect(200)["status"], "published");
    assert_eq!((told(&app, "blog.post.trashed").await, told(&app, "blog.post.restored").await), (1, 1));
}

#[tokio::test]
async fn blg16_the_trash_is_emptied_after_its_days() {
    let app = app().await;
    let ada = author("ada");
    let (one, two) = (published(&app, &ada, "One").await.text("/id"), published(&app, &ada, "Two").await.text("/id"));
    for number in 0..3 {
        comment_by(&app, &moderator(), &one, &format!("Comment {number}")).await.expect(201);
    }
    app.put(&format!("/api/v1/blog/posts/{one}/draft")).by(&ada).json(&json!({ "title": "x", "base_version": 2 })).await.expect(200);
    app.delete(&format!("/api/v1/blog/posts/{one}")).by(&editor()).await.expect(204);
    app.advance(DAY * 29);
    app.run_jobs().await;
    assert_eq!(told(&app, "blog.post.purged").await, 0);
    app.advance(DAY * 2);
    app.run_jobs().await;
    assert_eq!(told(&app, "blog.post.purged").await, 1);
    read(&app, &one).by(&editor()).await.problem("not_found");
    by_slug(&app, "one").await.problem("gone");
    read(&app, &two).await.expect(200);
}

#[tokio::test]
async fn an_author_takes_back_what_was_never_public() {
    let app = app().await;
    let ada = author("ada");
    let id = draft(&app, &ada, "One").await.text("/id");
    app.delete(&format!("/api/v1/blog/posts/{id}")).by(&author("bob")).await.problem("not_found");
    app.delete(&format!("/api/v1/blog/posts/{id}")).by(&ada).query("permanent", true).await.problem("forbidden");
    app.delete(&format!("/api/v1/blog/posts/{id}")).by(&ada).await.expect(204);
}

#[tokio::test]
async fn blg4_twenty_publishings_at_once_have_one_winner() {
    let app = app().await;
    let ada = author("ada");
    let id = draft(&app, &ada, "One").await.text("/id");
    let answers = at_once((0..20).map(|_| publish(&app, &ada, &id))).await;
    assert_eq!((count(&answers, 200), count(&answers, 409)), (1, 19));
    assert_eq!(told(&app, "blog.post.published").await, 1);
}

#[tokio::test]
async fn a_purge_that_broke_off_goes_on_and_there_is_no_way_back() {
    let app = app().await;
    let id = published(&app, &author("ada"), "One").await.text("/id");
    comment_by(&app, &moderator(), &id, "Hello").await.expect(201);
    app.delete(&format!("/api/v1/blog/posts/{id}")).by(&editor()).await.expect(204);
    // As a purge leaves it that was killed after its first step.
    let begun = app.kernel().db().write(|tx| tx.execute("UPDATE blog_posts SET deleted_at = 0", db::params![]));
    begun.await.expect("the purge begins");
    act(&app, &editor(), &id, "untrash").await.problem("not_found");
    app.run_jobs().await;
    app.advance(DAY);
    app.run_jobs().await;
    assert_eq!(told(&app, "blog.post.purged").await, 1);
    by_slug(&app, "one").await.problem("gone");
}
