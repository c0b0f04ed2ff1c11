//! Kills the process in the middle of its writes: what was acknowledged is there, what was not is whole or absent.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};

use db::testing::TestDatabase;
use db::{Db, Durability, Error, MigrationSet, Settings, migrations, params};

const SET: MigrationSet = MigrationSet {
    module: "crash",
    migrations: migrations![(
        1,
        "parts",
        "CREATE TABLE parts (writer {int} NOT NULL, number {int} NOT NULL, part {int} NOT NULL, PRIMARY KEY (writer, number, part))"
    )],
};

/// Tells the child which database to write, and which round it is.
const CHILD: &str = "DB_TEST_CRASH";
const WRITERS: i64 = 16;
const PARTS: i64 = 3;
const ROUNDS: u32 = 5;

/// What the child does until it is killed; without its variable it is an empty test.
#[test]
fn child() {
    #[expect(clippy::disallowed_methods, reason = "how the test tells itself that it is the child")]
    let task = std::env::var(CHILD);
    let Ok(task) = task else { return };
    let (round, url) = task.split_once(' ').unwrap();
    let round: i64 = round.parse().unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().unwrap();
    let db = Db::open(Settings { url: url.to_owned(), durability: Durability::Full, ..Settings::default() }).unwrap();
    runtime.block_on(async {
        let mut writers = tokio::task::JoinSet::new();
        for writer in 0..WRITERS {
            writers.spawn(write_for_ever(db.clone(), round * WRITERS + writer));
        }
        writers.join_all().await;
    });
}

async fn write_for_ever(db: Db, writer: i64) {
    for number in 0.. {
        let written = db.write(move |tx| {
            for part in 0..PARTS {
                tx.execute("INSERT INTO parts (writer, number, part) VALUES (?, ?, ?)", params![writer, number, part])?;
            }
            // Some fail and must leave nothing, also inside a group.
            if number % 7 == 3 { Err(Error::NotFound) } else { Ok(()) }
        });
        if written.await.is_ok() {
            let mut out = std::io::stdout().lock();
            writeln!(out, "done {writer} {number}").unwrap();
            out.flush().unwrap();
        }
    }
}

#[test]
fn nothing_acknowledged_is_lost_and_nothing_is_half_there() {
    let mut test = TestDatabase::create(&[SET]);
    let mut acknowledged = Vec::new();
    for round in 0..ROUNDS {
        // From early to late, never at the same place.
        let patience = [1, 40, 200, 700, 2_000][round as usize % 5];
        acknowledged.extend(run_and_kill(&format!("{round} {}", test.url()), patience));
        test.restart();
        check(test.db(), &acknowledged);
    }
    assert!(acknowledged.len() > 2_900, "{}", acknowledged.len());
}

/// Lets the child write until it has acknowledged so many, kills it, and returns all that it had acknowledged.
fn run_and_kill(task: &str, patience: usize) -> Vec<(i64, i64)> {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "child", "--nocapture"])
        .env(CHILD, task)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).split(b'\n');
    let mut acknowledged = Vec::new();
    // SIGKILL, on Unix: no destructor runs and nothing is flushed.
    let mut killed = false;
    while let Some(Ok(line)) = lines.next() {
        acknowledged.extend(parse(&String::from_utf8(line).unwrap()));
        if !killed && acknowledged.len() >= patience {
            child.kill().unwrap();
            killed = true;
        }
    }
    child.wait().unwrap();
    assert!(killed, "the child ended by itself");
    acknowledged
}

/// The last line may be cut, but then its number is only shorter, and the pair was acknowledged too or is refused here.
fn parse(line: &str) -> Option<(i64, i64)> {
    let (_, rest) = line.split_once("done ")?;
    let (writer, number) = rest.split_once(' ')?;
    Some((writer.parse().ok()?, number.parse().ok()?))
}

fn check(db: &Db, acknowledged: &[(i64, i64)]) {
    let found: Vec<(i64, i64, i64)> =
        db.read_blocking(|c| c.all("SELECT writer, number, COUNT(*) FROM parts GROUP BY writer, number", &[])).unwrap();
    let found: BTreeMap<(i64, i64), i64> = found.into_iter().map(|(writer, number, parts)| ((writer, number), parts)).collect();
    for (key, parts) in &found {
        assert_eq!(*parts, PARTS, "{key:?} is half there");
        assert_ne!(key.1 % 7, 3, "{key:?} was rolled back");
    }
    for key in acknowledged {
        assert!(found.contains_key(key), "{key:?} was acknowledged and is lost");
    }
}
