//! Kills the server in the middle of its clicks: none is counted twice, and no more are lost than was declared (INV-L2, INV-L4).

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use db::{Db, Settings};
use futures_util::StreamExt as _;
use kernel::http::{Listening, router, serve};
use kernel::platform::{HttpSettings, Platform};
use kernel::seal::Keyring;
use kernel::settings::Source;
use kernel::{Clock, Launch, Module, Plan, Random};
use serde_json::json;
use testkit::Doorman;

use crate::support::*;

/// Tells the child where its database and its folder are, and how durable clicks shall be.
const CHILD: &str = "LINKS_TEST_KILLS";

/// How long the server may keep a click in memory (INV-L2).
const DECLARED: Duration = Duration::from_millis(50);
/// How often the metronome beats.
const BEAT: Duration = Duration::from_millis(5);

/// Writes down the time again and again until the process is killed: a thread that does nothing but what the journal has to do, wake
/// up and append. Where it falls behind, the machine held it up.
fn beat(path: &Path) {
    let mut file = File::create(path).expect("a file beside the journal");
    let clock = Clock::system();
    let (never, silence) = mpsc::channel::<()>();
    loop {
        file.write_all(&clock.now().as_millis().to_le_bytes()).expect("written");
        // Nobody sends: this waits.
        let _ = silence.recv_timeout(BEAT);
        let _ = &never;
    }
}

/// How long the machine held up the metronome, in the worst moment of the last half second before the kill.
fn worst_stall(path: &Path, killed_at: kernel::Timestamp) -> Duration {
    let bytes = std::fs::read(path).expect("the beats");
    let beats = bytes.chunks_exact(8).map(|beat| i64::from_le_bytes(beat.try_into().expect("eight bytes")));
    let beats: Vec<i64> = beats.chain([killed_at.as_millis()]).collect();
    assert!(beats.len() > 2, "the metronome beats");
    let lately = beats.windows(2).filter(|pair| pair[1] > killed_at.as_millis() - 500);
    let longest = lately.map(|pair| pair[1] - pair[0]).max().unwrap_or(0);
    Duration::from_millis(u64::try_from(longest).unwrap_or(0)).saturating_sub(BEAT)
}

/// What the child does until it is killed, or until its input ends; without its variable it is an empty test.
#[test]
fn child() {
    #[expect(clippy::disallowed_methods, reason = "how the test tells itself that it is the child")]
    let task = std::env::var(CHILD);
    let Ok(task) = task else { return };
    let [url, folder, durability, fsync] = task.split(' ').collect::<Vec<_>>()[..] else { panic!("{task}") };
    let settings = [
        ("http.listen", "127.0.0.1:0"),
        ("limits.enabled", "false"),
        ("public_url", "http://undercroft.test"),
        ("data_dir", folder),
        ("links.clicks.durability", durability),
        ("links.clicks.fsync", fsync),
        ("links.clicks.flush", "100ms"),
    ];
    let settings = settings.map(|(key, value)| (key.to_owned(), value.to_owned())).to_vec();
    let modules: Vec<Arc<dyn Module>> = vec![Arc::new(Platform), Arc::new(Doorman), Arc::new(links::Links::new())];
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let plan = Plan::of(modules).unwrap_or_else(|mistakes| panic!("{mistakes:?}"));
        let db = Db::open(Settings { url: url.to_owned(), ..Settings::default() }).expect("the database");
        let random = Random::system();
        let launch = Launch {
            source: Source::read(None, Vec::new(), settings).expect("settings"),
            db,
            keyring: Keyring::generate(&random),
            clock: Clock::system(),
            random,
        };
        let app = kernel::App::build(plan, launch).expect("an app");
        app.start_modules().await.expect("started");
        let listening = Listening::bind(app.settings::<HttpSettings>()).expect("a port");
        let beats = Path::new(folder).join("beats");
        std::thread::spawn(move || beat(&beats));
        println!("listening {}", listening.address);
        let stop = app.clone();
        std::thread::spawn(move || {
            // Ends when the parent closes it.
            let _ = std::io::stdin().read(&mut [0]);
            stop.announce_stop();
        });
        serve(&app, router(&app), listening, Duration::from_secs(10)).await.expect("served");
        app.stop(Duration::from_secs(10)).await;
    });
    println!("ended well");
}

/// A running child and where it listens.
struct Server {
    child: Child,
    base: String,
}

fn start(app: &App, durability: &str, fsync: &str) -> Server {
    let task = format!("{} {} {durability} {fsync}", app.database_url(), app.folder().display());
    let mut child = Command::new(std::env::current_exe().expect("this program"))
        .args(["--exact", "kills::child", "--nocapture"])
        .env(CHILD, task)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("a child");
    let mut lines = BufReader::new(child.stdout.take().expect("its output"));
    let mut line = String::new();
    while !line.contains("listening ") {
        line.clear();
        assert_ne!(lines.read_line(&mut line).expect("a line"), 0, "the child ended by itself");
    }
    let base = format!("http://{}", line.split("listening ").nth(1).unwrap_or_default().trim());
    // The rest is read away, so that the child never waits for us.
    std::thread::spawn(move || lines.read_to_end(&mut Vec::new()));
    Server { child, base }
}

/// What came of many visits.
struct Visits {
    sent: usize,
    /// When each of the answered ones was.
    answered: Vec<Instant>,
    killed_at: kernel::Timestamp,
}

/// Visits until so many were answered.
async fn visit_many(server: &mut Server, path: &str, wanted: usize, end: End) -> Visits {
    let (client, url) = (client(), format!("{}{path}", server.base));
    let mut sent = 0;
    let requests = std::iter::repeat_with(|| {
        sent += 1;
        client.get(&url).header("user-agent", FIREFOX).send()
    });
    let most = if end == End::Kill { wanted * 10 } else { wanted };
    let mut answers = futures_util::stream::iter(requests.take(most)).buffer_unordered(32);
    let (mut answered, mut is_killed) = (Vec::new(), false);
    let clock = Clock::system();
    let mut killed_at = clock.now();
    while let Some(answer) = answers.next().await {
        match answer {
            Ok(answer) if answer.status() == 302 => answered.push(Instant::now()),
            Ok(_) => {}
            Err(_) if is_killed => break,
            // A busy machine may drop a connection; what it carried counts as sent.
            Err(_) => {}
        }
        if end == End::Kill && answered.len() == wanted {
            // SIGKILL: no destructor runs and nothing is flushed. What was under way is answered or fails.
            killed_at = clock.now();
            server.child.kill().expect("killed");
            is_killed = true;
        }
    }
    drop(answers);
    Visits { sent, answered, killed_at }
}

/// What happens after the last click.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    Kill,
    Nothing,
}

/// Sends clicks and kills the server in their midst; gives what was sent, what was answered, and what of that may be lost.
async fn round(app: &App, durability: &str, patience: usize) -> (usize, usize, usize) {
    let mut server = start(app, durability, &format!("{}ms", DECLARED.as_millis()));
    let Visits { sent, answered, killed_at } = visit_many(&mut server, "/a", patience, End::Kill).await;
    server.child.wait().expect("waited");
    // The promise, and what the machine did not let any thread of the server keep.
    let window = DECLARED + worst_stall(&app.folder().join("beats"), killed_at);
    let last = answered[patience - 1];
    let lately = answered.iter().filter(|at| last.saturating_duration_since(**at) < window).count();
    eprintln!("sent {sent}, answered {}, {lately} of them in the last {window:?}", answered.len());
    (sent, answered.len(), lately)
}

/// From the first moments to far into the statistics, never at the same place; 50,000 together.
const PATIENCE: [usize; 6] = [37, 900, 3_500, 8_063, 14_500, 23_000];

#[tokio::test(flavor = "multi_thread")]
async fn inv_l2_kills_lose_less_than_declared_and_count_nothing_twice() {
    let app = app().await;
    link(&app, "a", "https://example.com/").await;
    let (mut sent, mut answered, mut may_be_lost) = (0, 0, 0);
    for patience in PATIENCE {
        let (round_sent, round_answered, lately) = round(&app, "journal", patience).await;
        (sent, answered, may_be_lost) = (sent + round_sent, answered + round_answered, may_be_lost + lately);
    }
    flush(&app).await;
    check(&app, sent, answered.saturating_sub(may_be_lost)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn inv_l2_strict_clicks_survive_every_kill_once_they_are_answered() {
    let app = app().await;
    link(&app, "a", "https://example.com/").await;
    let (mut sent, mut answered) = (0, 0);
    for patience in PATIENCE.into_iter().take(4) {
        let (round_sent, round_answered, _) = round(&app, "strict", patience).await;
        (sent, answered) = (sent + round_sent, answered + round_answered);
    }
    flush(&app).await;
    check(&app, sent, answered).await;
}

async fn check(app: &App, sent: usize, at_least: usize) {
    let counted = usize::try_from(number(app, "SELECT SUM(click_count) FROM links_links").await).expect("a count");
    eprintln!("sent {sent}, at least {at_least}, counted {counted}");
    assert!(counted <= sent, "{counted} counted of {sent} sent");
    assert!(counted >= at_least, "{counted} counted of at least {at_least}");
    let by_hour = number(app, "SELECT SUM(clicks) FROM links_click_hours WHERE dimension = 'total'").await;
    let single = number(app, "SELECT COUNT(*) FROM links_clicks").await;
    let shed = number(app, "SELECT SUM(clicks) FROM links_click_hours WHERE dimension = 'shed'").await;
    assert_eq!((by_hour, single + shed), (i64::try_from(counted).expect("a count"), by_hour));
}

#[tokio::test(flavor = "multi_thread")]
async fn inv_l2_a_server_that_ends_in_good_order_loses_no_click() {
    let app = app().await;
    link(&app, "a", "https://example.com/").await;
    let mut server = start(&app, "journal", "1s");
    let answered = visit_many(&mut server, "/a", 500, End::Nothing).await.answered;
    assert_eq!(answered.len(), 500);
    // Its input ends, as a signal would end it.
    drop(server.child.stdin.take());
    assert!(server.child.wait().expect("an end").success());
    flush(&app).await;
    assert_eq!(number(&app, "SELECT SUM(click_count) FROM links_links").await, 500);
}

#[tokio::test(flavor = "multi_thread")]
async fn inv_l4_kills_let_nobody_more_pass() {
    let app = app().await;
    make(&app, json!({ "url": "https://example.com/", "slug": "tickets", "max_clicks": 400 })).await.expect(201);
    let mut passed = 0;
    for wanted in [90, 90, 90, 1_000] {
        let mut server = start(&app, "journal", "50ms");
        let answered = visit_many(&mut server, "/tickets", wanted, End::Nothing).await.answered;
        passed += answered.len();
        server.child.kill().expect("killed");
        server.child.wait().expect("waited");
    }
    assert!(passed <= 400, "{passed} passed");
    assert_eq!(number(&app, "SELECT SUM(used_clicks) FROM links_links").await, 400);
    assert_eq!(passed, 400, "everybody who was let in by the database was answered, since nobody was killed while asking");
}
