//! Measures whether the time of a failed login tells who has an account (ENU-2).
//!
//! `cargo run --release -p accounts --example login_timing [PAIRS]`
//! For each kind of account it times failed logins over loopback, in turns with logins of names that nobody has, and prints the
//! area under the ROC curve: 0.5 says that the times tell nothing, 1.0 that they tell everything. It fails outside of 0.5 ± 0.05.

mod store;

use std::process::ExitCode;
use std::time::{Duration, Instant};

use accounts::Accounts;
use serde_json::json;
use testkit::{TestApp, token_in};

/// How far the area may lie from one half (accounts.md §4.1).
const BOUND: f64 = 0.05;
/// Interleaved pairs for each kind of account.
const PAIRS: usize = 1000;
/// Accounts of each kind with a password, so that no name is thought to be guessed at.
const PEOPLE: usize = 20;
/// Accounts without a password: each meets a scheme by chance, so many are needed to meet them in their proportion.
const PEOPLE_WITHOUT_PASSWORD: usize = 500;
/// A bcrypt hash of cost 10, as older programs made it; nobody knows its password.
const LEGACY: &str = "$2y$10$......................AcE0Pd6OtgHWfd3tsVKQOqwBNiq0hTe";
const WRONG: &str = "nobody ever chose this one";

/// What an account can be like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Known,
    Legacy,
    WithoutPassword,
    Locked,
}

impl Kind {
    fn people(self) -> usize {
        if self == Kind::WithoutPassword { PEOPLE_WITHOUT_PASSWORD } else { PEOPLE }
    }
}

/// An instance and the accounts of it that are compared with unknown names.
///
/// Where several schemes live side by side, what must tell nothing is the time of an account of which nothing is known: the
/// compared accounts have the schemes of the whole table, just as the names that nobody has.
struct Scenario {
    name: &'static str,
    compared: &'static [Kind],
    others: &'static [Kind],
}

const SCENARIOS: [Scenario; 5] = [
    Scenario { name: "known", compared: &[Kind::Known], others: &[] },
    Scenario { name: "legacy hash, freshly imported", compared: &[Kind::Legacy], others: &[] },
    Scenario { name: "half of them legacy", compared: &[Kind::Known, Kind::Legacy], others: &[] },
    Scenario { name: "without a password", compared: &[Kind::WithoutPassword], others: &[Kind::Known, Kind::Legacy] },
    Scenario { name: "locked", compared: &[Kind::Locked], others: &[Kind::Known] },
];

fn main() -> ExitCode {
    let pairs = std::env::args().nth(1).and_then(|text| text.parse().ok()).unwrap_or(PAIRS);
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("no runtime: {error}");
            return ExitCode::FAILURE;
        }
    };
    if runtime.block_on(measure_all(pairs)) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

async fn measure_all(pairs: usize) -> bool {
    println!("{pairs} pairs of failed logins each; the area must lie within 0.50 ± {BOUND:.2}");
    let mut is_fine = true;
    for scenario in &SCENARIOS {
        let app = instance(scenario).await;
        let (known, unknown) = time_pairs(&app, scenario.compared, pairs).await;
        let area = area_under_curve(&known, &unknown);
        let verdict = if (area - 0.5).abs() <= BOUND { "fine" } else { "TOO FAR" };
        is_fine &= verdict == "fine";
        let (known, unknown) = (median_ms(&known), median_ms(&unknown));
        println!("{:<30} area {area:.3}  {verdict}   medians {known:.1} ms, {unknown:.1} ms", scenario.name);
        app.run_jobs().await;
    }
    is_fine
}

async fn instance(scenario: &Scenario) -> TestApp {
    // All of them come from one address.
    let app = TestApp::builder().module(Accounts::new()).setting("limits.enabled", "false").start().await;
    for kind in scenario.compared.iter().chain(scenario.others) {
        for number in 0..kind.people() {
            make(&app, *kind, number).await;
        }
    }
    store_legacy_hashes(&app).await;
    app.advance(Duration::from_secs(3600));
    app.run_jobs().await;
    app
}

fn email_of(kind: Kind, number: usize) -> String {
    format!("{kind:?}-{number}@example.com").to_lowercase()
}

async fn make(app: &TestApp, kind: Kind, number: usize) {
    let email = email_of(kind, number);
    if kind != Kind::WithoutPassword {
        app.member(&email).await;
    } else {
        let begun = app.post("/api/v1/auth/signup").header("X-Session-Mode", "token").json(&json!({ "email": email })).await.expect(202);
        let mail = app.last_mail_to(&email).await;
        let body = json!({ "token": token_in(&mail), "signup_token": begun.text("/signup_token") });
        app.post("/api/v1/auth/signup/complete").header("X-Session-Mode", "token").json(&body).await.expect(201);
    }
    if kind == Kind::Locked {
        let locked = app.kernel().db().write(move |tx| store::lock(tx, &email));
        assert_eq!(locked.await.unwrap_or_else(|error: db::Error| panic!("{error}")), 1);
    }
}

async fn store_legacy_hashes(app: &TestApp) {
    let changed = app.kernel().db().write(move |tx| store::import(tx, LEGACY));
    changed.await.unwrap_or_else(|error: db::Error| panic!("{error}"));
}

/// The times of failed logins for these accounts and for unknown names, in turns.
async fn time_pairs(app: &TestApp, kinds: &[Kind], pairs: usize) -> (Vec<Duration>, Vec<Duration>) {
    let (mut known, mut unknown) = (Vec::with_capacity(pairs), Vec::with_capacity(pairs));
    for number in 0..pairs {
        // Failures are forgotten after a day, so that none of these names ever has to wait.
        if number.is_multiple_of(PEOPLE) {
            app.advance(Duration::from_secs(25 * 3600));
            app.run_jobs().await;
        }
        let kind = kinds[number % kinds.len()];
        let names = [email_of(kind, number % kind.people()), format!("nobody-{number}@example.com")];
        let order = if (number / kinds.len()).is_multiple_of(2) { [0, 1] } else { [1, 0] };
        for index in order {
            let took = time_one(app, &names[index]).await;
            if index == 0 { known.push(took) } else { unknown.push(took) }
        }
    }
    (known, unknown)
}

async fn time_one(app: &TestApp, name: &str) -> Duration {
    let request = app.post("/api/v1/auth/login").header("X-Session-Mode", "token");
    let request = request.json(&json!({ "identifier": name, "password": WRONG }));
    let started = Instant::now();
    let answer = request.await;
    let took = started.elapsed();
    assert_eq!(answer.status, 401, "{answer}");
    took
}

/// The chance that a known name takes longer than an unknown one: the rank sum of Mann and Whitney, ties counted half.
fn area_under_curve(known: &[Duration], unknown: &[Duration]) -> f64 {
    let mut sorted = unknown.to_vec();
    sorted.sort_unstable();
    let wins: f64 = known
        .iter()
        .map(|time| {
            let less = sorted.partition_point(|other| other < time);
            let not_more = sorted.partition_point(|other| other <= time);
            (less + not_more) as f64 / 2.0
        })
        .sum();
    wins / (known.len() as f64 * unknown.len() as f64)
}

fn median_ms(times: &[Duration]) -> f64 {
    let mut sorted = times.to_vec();
    sorted.sort_unstable();
    sorted.get(sorted.len() / 2).map_or(0.0, |time| time.as_secs_f64() * 1e3)
}
