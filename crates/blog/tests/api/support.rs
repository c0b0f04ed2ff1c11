//! What these tests share: people, posts, and how they are begun and published.

use std::future::IntoFuture;
use std::time::Duration;

use blog::Blog;
use futures_util::future::join_all;
use serde_json::{Value, json};
use testkit::{Doorman, Person, Request, TestApp, TestResponse};

pub(crate) const MINUTE: Duration = Duration::from_secs(60);
pub(crate) const HOUR: Duration = Duration::from_secs(3600);
pub(crate) const DAY: Duration = Duration::from_secs(24 * 3600);

const AUTHOR: &[&str] = &["blog:posts:create", "blog:posts:update_own", "blog:posts:publish_own"];

/// An app of the blog, and of nobody but those who hold permissions.
pub(crate) async fn app() -> TestApp {
    app_with(&[]).await
}

/// The same with other settings.
pub(crate) async fn app_with(settings: &[(&str, &str)]) -> TestApp {
    let builder = TestApp::builder().module(Doorman).module(Blog::new());
    // Only tests of limits reach them.
    let builder = builder.setting("blog.comments.per_minute", "100000").setting("blog.comments.guest_per_hour", "100000");
    settings.iter().fold(builder, |builder, (key, value)| builder.setting(key, value)).start().await
}

/// Somebody who writes posts and publishes them.
pub(crate) fn author(name: &str) -> Person {
    Doorman::person(name, AUTHOR)
}

/// Somebody who may do everything.
pub(crate) fn editor() -> Person {
    Doorman::person("editor", &["*"])
}

/// Somebody with an account and no permission.
pub(crate) fn member(name: &str) -> Person {
    Doorman::person(name, &[""])
}

/// Somebody who decides about comments.
pub(crate) fn moderator() -> Person {
    Doorman::person("moder", &["blog:comments:moderate", "blog:threads:update"])
}

/// A post about to be begun.
pub(crate) fn new_post(app: &TestApp, by: &Person, body: &Value) -> Request {
    app.post("/api/v1/blog/posts").by(by).json(body)
}

/// A draft with this title, and a body that says the title again.
pub(crate) async fn draft(app: &TestApp, by: &Person, title: &str) -> TestResponse {
    new_post(app, by, &json!({ "title": title, "body": { "source": format!("All about *{title}*.") } })).await.expect(201)
}

/// A published post with this title.
pub(crate) async fn published(app: &TestApp, by: &Person, title: &str) -> TestResponse {
    let post = draft(app, by, title).await;
    publish(app, by, &post.text("/id")).await.expect(200)
}

/// A request that publishes a post now.
pub(crate) fn publish(app: &TestApp, by: &Person, id: &str) -> Request {
    act(app, by, id, "publish").json(&json!({}))
}

/// A request for an action on a post.
pub(crate) fn act(app: &TestApp, by: &Person, id: &str, action: &str) -> Request {
    app.post(&format!("/api/v1/blog/posts/{id}/actions/{action}")).by(by)
}

/// A request for a change of a post.
pub(crate) fn patch(app: &TestApp, by: &Person, id: &str, body: &Value) -> Request {
    app.patch(&format!("/api/v1/blog/posts/{id}")).by(by).json(body)
}

/// A request for a post by nobody in particular.
pub(crate) fn read(app: &TestApp, id: &str) -> Request {
    app.get(&format!("/api/v1/blog/posts/{id}"))
}

/// A request for a post by its slug.
pub(crate) fn by_slug(app: &TestApp, slug: &str) -> Request {
    app.get(&format!("/api/v1/blog/posts/by-slug/{slug}"))
}

/// A request for the posts that everybody sees.
pub(crate) fn list(app: &TestApp) -> Request {
    app.get("/api/v1/blog/posts")
}

/// The slugs in a list, in its order.
pub(crate) fn slugs(list: &TestResponse) -> Vec<String> {
    let items = list["items"].as_array().unwrap_or_else(|| panic!("a list: {list}"));
    items.iter().map(|item| item["slug"].as_str().expect("a slug").to_owned()).collect()
}

/// A tag with this name.
pub(crate) async fn tag(app: &TestApp, name: &str) -> TestResponse {
    app.post("/api/v1/blog/tags").by(&editor()).json(&json!({ "name": name })).await.expect(201)
}

/// A comment of a guest below a post.
pub(crate) fn comment(app: &TestApp, post: &str, body: &str) -> Request {
    app.post(&format!("/api/v1/blog/posts/{post}/comments")).json(&json!({ "body": body, "guest": { "name": "Emmy" } }))
}

/// A comment of somebody with an account below a post.
pub(crate) fn comment_by(app: &TestApp, by: &Person, post: &str, body: &str) -> Request {
    app.post(&format!("/api/v1/blog/posts/{post}/comments")).by(by).json(&json!({ "body": body }))
}

/// Gives a comment a status.
pub(crate) async fn moderate(app: &TestApp, ids: &[&str], status: &str) -> TestResponse {
    let body = json!({ "ids": ids, "status": status });
    app.post("/api/v1/blog/comments/actions/moderate").by(&moderator()).json(&body).await.expect(200)
}

/// Sends all at once.
pub(crate) async fn at_once(requests: impl IntoIterator<Item = Request>) -> Vec<TestResponse> {
    join_all(requests.into_iter().map(IntoFuture::into_future)).await
}

/// How many answers have this status.
pub(crate) fn count(answers: &[TestResponse], status: u16) -> usize {
    answers.iter().filter(|answer| answer.status.as_u16() == status).count()
}

/// How often an event of this name was recorded.
pub(crate) async fn told(app: &TestApp, event: &str) -> usize {
    app.event_names().await.iter().filter(|name| *name == event).count()
}

/// The instant so far from now, as the wire writes it.
pub(crate) fn in_future(app: &TestApp, far: Duration) -> String {
    (app.now() + far).to_string()
}

/// A GET that no operation takes: its status and where it leads. The OpenAPI document knows nothing of such answers.
#[expect(clippy::disallowed_methods, reason = "a test calls its own server, and wants to see redirects")]
pub(crate) async fn follow(app: &TestApp, path: &str) -> (u16, String) {
    let builder = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).no_proxy().tls_certs_only([]);
    let client = builder.build().expect("a client without certificates can be built");
    let answer = client.get(app.url(path)).send().await.expect("an answer");
    let location = answer.headers().get("location").and_then(|value| value.to_str().ok()).unwrap_or("").to_owned();
    (answer.status().as_u16(), location)
}
