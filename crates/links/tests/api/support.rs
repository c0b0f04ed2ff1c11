//! What these tests share: an app with a folder of its own, people, links, and visits that see redirects.

use std::future::IntoFuture;
use std::ops::Deref;
use std::time::Duration;

use futures_util::future::join_all;
use kernel::Ctx;
use reqwest::header::HeaderMap;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use testkit::{Doorman, Hashes, Node, Person, Request, TestApp, TestResponse};

pub(crate) const SECOND: Duration = Duration::from_secs(1);
pub(crate) const MINUTE: Duration = Duration::from_secs(60);
pub(crate) const HOUR: Duration = Duration::from_secs(3600);

/// What a browser of a person says.
pub(crate) const FIREFOX: &str = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0";
pub(crate) const IPHONE: &str = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.5 Mobile/15E148 Safari/604.1";

/// A [`TestApp`] whose files lie in a folder of its own.
pub(crate) struct App {
    app: TestApp,
    folder: tempfile::TempDir,
}

impl Deref for App {
    type Target = TestApp;

    fn deref(&self) -> &TestApp {
        &self.app
    }
}

impl App {
    pub(crate) fn folder(&self) -> &std::path::Path {
        self.folder.path()
    }
}

/// An app of links and a doorman.
pub(crate) async fn app() -> App {
    app_with(&[]).await
}

/// The same with other settings.
pub(crate) async fn app_with(settings: &[(&str, &str)]) -> App {
    build(TestApp::builder().module(Doorman), settings).await
}

/// The same with somebody who hashes passwords.
pub(crate) async fn app_with_hashes() -> App {
    build(TestApp::builder().module(Doorman).module(Hashes), &[]).await
}

async fn build(builder: testkit::Builder, settings: &[(&str, &str)]) -> App {
    let folder = tempfile::tempdir().expect("a folder");
    let builder = builder
        .module(::links::Links::new())
        .setting("data_dir", &folder.path().display().to_string())
        // Clicks are added to the statistics when a test says so.
        .setting("links.clicks.flush", "1h")
        .setting("links.clicks.fsync", "1ms")
        .setting("links.create_per_minute", "1000000");
    let app = settings.iter().fold(builder, |builder, (key, value)| builder.setting(key, value)).start().await;
    App { app, folder }
}

/// Somebody without any permission.
pub(crate) fn ada() -> Person {
    Doorman::person("ada", &[])
}

/// Somebody else.
pub(crate) fn bob() -> Person {
    Doorman::person("bob", &[])
}

/// Somebody who may do everything.
pub(crate) fn admin() -> Person {
    Doorman::person("root", &["*"])
}

/// Makes a link of Ada's.
pub(crate) fn make(node: &Node, body: Value) -> Request {
    node.post("/api/v1/links").by(&ada()).json(&body)
}

/// Makes a link of Ada's with this slug to this address.
pub(crate) async fn link(node: &Node, slug: &str, url: &str) -> TestResponse {
    make(node, json!({ "slug": slug, "url": url })).await.expect(201)
}

/// The path of a link in the API.
pub(crate) fn path_of(link: &TestResponse) -> String {
    format!("/api/v1/links/{}", link.text("/id"))
}

/// What a visitor got.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or("")
    }

    #[track_caller]
    pub(crate) fn leads_to(&self, url: &str) {
        assert!(self.status.is_redirection() && self.header("location") == url, "{self:#?} should lead to {url}");
    }

    #[track_caller]
    pub(crate) fn is(&self, status: u16) {
        assert_eq!(self.status.as_u16(), status, "{self:#?}");
    }
}

#[expect(clippy::disallowed_methods, reason = "a test calls its own server, and wants to see redirects")]
pub(crate) fn client() -> reqwest::Client {
    let builder = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).no_proxy().tls_certs_only([]);
    builder.build().expect("a client")
}

/// A visit with this method and these headers.
pub(crate) async fn visit_as(node: &Node, method: Method, path: &str, headers: &[(&str, &str)]) -> Answer {
    let request = client().request(method, node.url(path));
    let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
    send(request).await
}

pub(crate) async fn send(request: reqwest::RequestBuilder) -> Answer {
    let answer = request.send().await.unwrap_or_else(|error| panic!("no answer: {error:?}"));
    let (status, headers) = (answer.status(), answer.headers().clone());
    Answer { status, headers, body: answer.text().await.expect("a body") }
}

/// A visit of a person.
pub(crate) async fn visit(node: &Node, path: &str) -> Answer {
    visit_as(node, Method::GET, path, &[("user-agent", FIREFOX)]).await
}

/// So many visits at the same time.
pub(crate) async fn visits_at_once(node: &Node, path: &str, count: usize) -> Vec<Answer> {
    let client = client();
    join_all((0..count).map(|_| send(client.get(node.url(path)).header("user-agent", FIREFOX)))).await
}

/// How many answers have this status.
pub(crate) fn answers_with(answers: &[Answer], status: u16) -> usize {
    answers.iter().filter(|answer| answer.status.as_u16() == status).count()
}

/// The line of a metric that begins like this; empty when there is none.
pub(crate) async fn metric(node: &Node, begin: &str) -> String {
    let text = String::from_utf8(node.get("/metrics").await.expect(200).bytes.clone()).expect("text");
    text.lines().find(|line| line.starts_with(begin)).unwrap_or_default().to_owned()
}

/// Adds the clicks so far to the statistics.
pub(crate) async fn flush(node: &Node) {
    ::links::flush_clicks(node.kernel()).await.unwrap_or_else(|error| panic!("cannot flush: {error:?}"));
}

/// The statistics of a link of Ada's.
pub(crate) fn stats(node: &Node, link: &TestResponse, by: &str) -> Request {
    node.get(&format!("{}/stats", path_of(link))).by(&ada()).query("by", by)
}

/// The values and clicks of an answer with statistics.
pub(crate) fn items(stats: &TestResponse) -> Vec<(String, i64)> {
    let items = stats["items"].as_array().expect("items");
    items.iter().map(|item| (item["value"].as_str().expect("a value").to_owned(), item["clicks"].as_i64().expect("clicks"))).collect()
}

/// Sends all at once.
pub(crate) async fn at_once(requests: impl IntoIterator<Item = Request>) -> Vec<TestResponse> {
    join_all(requests.into_iter().map(IntoFuture::into_future)).await
}

/// How many answers of the API have this status.
pub(crate) fn count(answers: &[TestResponse], status: u16) -> usize {
    answers.iter().filter(|answer| answer.status.as_u16() == status).count()
}

/// A number from the database.
pub(crate) async fn number(node: &Node, sql: &'static str) -> i64 {
    let read = node.kernel().db().read_long(move |c| Ok::<_, db::Error>(c.opt::<Option<i64>>(sql, db::params![])?.flatten().unwrap_or(0)));
    read.await.unwrap_or_else(|error| panic!("cannot read {sql}: {error}"))
}

/// Runs a verb of the command line, such as `["links", "lookup", "sale"]`.
pub(crate) async fn command(node: &Node, words: &[&str]) -> kernel::Result<()> {
    let verbs = node.kernel().plan().verbs();
    let verb = verbs.iter().find(|verb| verb.name() == words[0]).unwrap_or_else(|| panic!("no verb {}", words[0]));
    let matches = verb.shape().try_get_matches_from(words).unwrap_or_else(|error| panic!("{error}"));
    verb.run(Ctx::system(node.kernel(), "command"), matches).await
}
