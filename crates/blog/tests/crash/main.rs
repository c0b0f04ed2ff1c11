//! Kills the process in the middle of publishing: a post is published whole, or not at all, and told once (BLG-4).

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use blog::Blog;
use db::{Db, Durability, Settings};
use kernel::platform::Platform;
use kernel::seal::Keyring;
use kernel::settings::Source;
use kernel::{App, Clock, Ctx, Launch, Module, Plan, Random};
use serde_json::json;
use testkit::{Doorman, Person, TestApp};

/// Tells the child where the database is and which posts to publish.
const CHILD: &str = "BLOG_TEST_CRASH";
/// After how many acknowledged posts each child is killed: from early to late.
const PATIENCE: [usize; 4] = [1, 9, 30, 55];
const POSTS: usize = 120;

/// What the child does until it is killed; without its variable it is an empty test.
#[test]
fn child() {
    #[expect(clippy::disallowed_methods, reason = "how the test tells itself that it is the child")]
    let task = std::env::var(CHILD);
    let Ok(task) = task else { return };
    let (url, ids) = task.split_once(' ').expect("an address and ids");
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
    let ids: Vec<String> = ids.split(',').map(str::to_owned).collect();
    runtime.block_on(publish_all(url.to_owned(), ids));
}

async fn publish_all(url: String, ids: Vec<String>) {
    let modules: Vec<Arc<dyn Module>> = vec![Arc::new(Platform), Arc::new(Doorman), Arc::new(Blog::new())];
    let plan = Plan::of(modules).expect("the modules fit together");
    let source = Source::read(None, Vec::new(), Vec::new()).expect("no settings");
    let db = Db::open(Settings { url, durability: Durability::Full, ..Settings::default() }).expect("the database");
    let (random, clock) = (Random::system(), Clock::system());
    let app = App::build(plan, Launch { source, db, keyring: Keyring::generate(&random), clock, random }).expect("an app");
    let mut writers = tokio::task::JoinSet::new();
    for part in ids.chunks(ids.len().div_ceil(8)) {
        writers.spawn(publish_some(app.clone(), part.to_vec()));
    }
    writers.join_all().await;
    // Who outlives its work waits for the end.
    std::thread::sleep(Duration::from_secs(600));
}

async fn publish_some(app: App, ids: Vec<String>) {
    for id in ids {
        let verb = app.plan().verbs().iter().find(|verb| verb.name() == "blog").expect("the verb").clone();
        let matches = verb.shape().try_get_matches_from(["blog", "publish", &id]).expect("arguments");
        let done = verb.run(Ctx::system(&app, "crash-test"), matches).await;
        // One that an earlier child published and could not tell of.
        if done.is_ok() || done.is_err_and(|error| error.code() == "already_published") {
            let mut out = std::io::stdout().lock();
            writeln!(out, "done {id}").expect("a line");
            out.flush().expect("a line");
        }
    }
}

fn editor() -> Person {
    Doorman::person("editor", &["*"])
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn blg4_a_post_is_published_whole_or_not_at_all_and_told_once() {
    let app = TestApp::builder().module(Doorman).module(Blog::new()).start().await;
    let mut ids = Vec::new();
    for number in 0..POSTS {
        let body = json!({ "title": format!("Post {number}"), "body": { "source": format!("Findable {number}") } });
        let made = app.post("/api/v1/blog/posts").by(&editor()).json(&body).await.expect(201);
        let id = made.text("/id");
        let draft =
            json!({ "title": format!("Published {number}"), "body": { "source": format!("Findable {number}") }, "base_version": 1 });
        app.put(&format!("/api/v1/blog/posts/{id}/draft")).by(&editor()).json(&draft).await.expect(200);
        ids.push(id);
    }
    // Children live by the clock on the wall, which may be ahead of the test's.
    app.advance(Duration::from_secs(20 * 365 * 24 * 3600));
    let mut acknowledged = Vec::new();
    for patience in PATIENCE {
        let left: Vec<String> = ids.iter().filter(|id| !acknowledged.contains(*id)).cloned().collect();
        let task = format!("{} {}", app.database_url(), left.join(","));
        acknowledged.extend(run_and_kill(&task, patience));
        check(&app, &ids, &acknowledged).await;
    }
    assert!(acknowledged.len() >= PATIENCE.iter().sum(), "{}", acknowledged.len());
}

/// Lets the child publish until it has acknowledged so many, kills it, and returns all that it had acknowledged.
fn run_and_kill(task: &str, patience: usize) -> Vec<String> {
    let mut child = Command::new(std::env::current_exe().expect("this test"))
        .args(["--exact", "child", "--nocapture"])
        .env(CHILD, task)
        .stdout(Stdio::piped())
        .spawn()
        .expect("a child");
    let lines = BufReader::new(child.stdout.take().expect("its output")).lines();
    let mut acknowledged = Vec::new();
    let mut is_killed = false;
    // What it had written before the end is read to the end.
    for line in lines.map_while(Result::ok) {
        // A line that was cut off is too short for an id.
        acknowledged.extend(line.split_once("done ").map(|(_, id)| id.trim().to_owned()).filter(|id| id.len() == 36));
        if !is_killed && acknowledged.len() >= patience {
            // SIGKILL, on Unix: no destructor runs and nothing is flushed.
            child.kill().expect("a death");
            is_killed = true;
        }
    }
    child.wait().expect("an end");
    assert!(is_killed, "the child ended by itself");
    acknowledged
}

async fn check(app: &TestApp, ids: &[String], acknowledged: &[String]) {
    let told: Vec<String> = app
        .events()
        .await
        .into_iter()
        .filter(|(name, _)| name == "blog.post.published")
        .map(|(_, data)| data["post_id"].as_str().expect("an id").to_owned())
        .collect();
    let hits = app.get("/api/v1/blog/posts?q=findable&limit=100").by(&editor()).await.expect(200);
    let mut found: Vec<String> = Vec::new();
    let mut page = hits;
    loop {
        found.extend(page["items"].as_array().expect("items").iter().map(|post| post["id"].as_str().expect("an id").to_owned()));
        let Some(cursor) = page["next_cursor"].as_str() else { break };
        page = app.get(&format!("/api/v1/blog/posts?q=findable&limit=100&cursor={cursor}")).by(&editor()).await.expect(200);
    }
    for id in ids {
        let post = app.get(&format!("/api/v1/blog/posts/{id}")).by(&editor()).await.expect(200);
        let is_published = post["status"] == "published";
        assert!(is_published || !acknowledged.contains(id), "{id} was acknowledged and is lost");
        let times = told.iter().filter(|told| *told == id).count();
        assert_eq!(times, usize::from(is_published), "{id} was told {times} times");
        assert_eq!(post.text("/title").starts_with("Published"), is_published, "{id} is half there: {post}");
        assert_eq!(found.contains(id), is_published, "{id} and the search");
        let draft = app.get(&format!("/api/v1/blog/posts/{id}/draft")).by(&editor()).await.status;
        assert_eq!(draft.as_u16(), if is_published { 404 } else { 200 }, "{id} and its draft");
        let revisions = app.get(&format!("/api/v1/blog/posts/{id}/revisions")).by(&editor()).await.expect(200);
        assert_eq!(revisions["items"].as_array().map(Vec::len), Some(usize::from(is_published)), "{id} and its revisions");
    }
}
