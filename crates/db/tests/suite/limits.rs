//! Nothing waits or runs without an end.

use std::sync::{Mutex, mpsc};
use std::time::Duration;
use std::{future, pin, task};

use db::{Conn, Error, params};

use crate::{database, database_with, on_sqlite};

pub(crate) const ENDLESS: &str = "WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT 1 FROM r) SELECT COUNT(*) FROM r";

/// Inserts rows that are refused only after a very long time.
pub(crate) const ENDLESS_INSERT: &str = "INSERT INTO items (id, n) \
    SELECT a.id, 1 FROM (WITH RECURSIVE r(n) AS (SELECT 1000 UNION ALL SELECT n + 1 FROM r WHERE n < 1000000000) SELECT n AS id FROM r) a";

fn hurried() -> db::testing::TestDatabase {
    database_with(|settings| settings.statement_timeout = Duration::from_secs(1))
}

#[tokio::test]
async fn an_endless_read_is_stopped_and_the_worker_goes_on() {
    let test = hurried();
    let stopped = test.db().read(|c| c.one::<i64>(ENDLESS, &[])).await;
    assert!(matches!(stopped, Err(Error::Interrupted)), "{stopped:?}");
    let stopped = test.db().read_long(|c| c.one::<i64>(ENDLESS, &[])).await;
    assert!(matches!(stopped, Err(Error::Interrupted)), "{stopped:?}");
    assert_eq!(test.db().read(|c| c.one::<i64>("SELECT COUNT(*) FROM counters", &[])).await.unwrap(), 2);
    let stats = test.db().stats();
    assert_eq!((stats.interrupted, stats.escalated), (2, u64::from(on_sqlite())), "{stats:?}");
}

#[tokio::test]
async fn a_read_that_drops_the_interruption_is_not_believed() {
    let test = hurried();
    let read = |c: &mut Conn| Ok::<_, Error>(c.one::<i64>(ENDLESS, &[]).unwrap_or(-1));
    // Inline it would have been answered with -1 after a millisecond; the pool's deadline is the closure's own business.
    assert_eq!(test.db().read(read).await.unwrap(), -1);
    assert_eq!(test.db().stats().escalated, u64::from(on_sqlite()));
}

#[test]
fn an_endless_write_is_stopped_and_undone() {
    let test = hurried();
    let stopped = test.db().write_blocking(|tx| {
        tx.execute("UPDATE counters SET n = 9", &[])?;
        tx.execute(ENDLESS_INSERT, &[])
    });
    assert!(matches!(stopped, Err(Error::Interrupted)), "{stopped:?}");
    let counts: (i64, i64) = test.db().read_blocking(|c| c.one("SELECT SUM(n), (SELECT COUNT(*) FROM items) FROM counters", &[])).unwrap();
    assert_eq!(counts, (0, 0));
}

#[test]
fn many_short_statements_together_may_not_take_longer_either() {
    let test = hurried();
    let stopped = test.db().write_blocking(|tx| {
        loop {
            tx.execute("UPDATE counters SET n = n + 1", &[])?;
            tx.one::<i64>("SELECT COUNT(*) FROM counters a, counters b, counters c, counters d, counters e", &[])?;
        }
        #[expect(unreachable_code, reason = "tells the type")]
        Ok::<(), Error>(())
    });
    assert!(matches!(stopped, Err(Error::Interrupted)), "{stopped:?}");
}

#[test]
fn a_full_queue_refuses_at_once() {
    let test = database_with(|settings| {
        settings.max_queue = 2;
        settings.max_connections = 1;
    });
    let (started, has_started) = mpsc::channel();
    let (release, released) = mpsc::channel::<()>();
    let ends = Mutex::new((started, released));
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let db = test.db();
    let add = |n: i64| db.write(move |tx| tx.execute("UPDATE counters SET n = n + ? WHERE id = 1", params![n]));
    runtime.block_on(async {
        let mut slow = pin::pin!(db.write(move |_| {
            let ends = ends.lock().unwrap();
            ends.0.send(()).unwrap();
            ends.1.recv().unwrap();
            Ok::<_, Error>(())
        }));
        start(slow.as_mut()).await;
        has_started.recv().unwrap();
        let (mut first, mut second) = (pin::pin!(add(1)), pin::pin!(add(10)));
        start(first.as_mut()).await;
        start(second.as_mut()).await;
        let third = add(100).await;
        assert!(matches!(third, Err(Error::Overloaded)), "{third:?}");
        assert_eq!(db.stats().queue_depth, 2);
        release.send(()).unwrap();
        slow.await.unwrap();
        first.await.unwrap();
        second.await.unwrap();
        assert_eq!(db.read(|c| c.one::<i64>("SELECT n FROM counters WHERE id = 1", &[])).await.unwrap(), 11);
    });
    assert_eq!((db.stats().overloaded, db.stats().queue_depth), (1, 0));
}

/// Polls once, which queues the closure.
async fn start<F: Future>(mut future: pin::Pin<&mut F>) {
    future::poll_fn(|context| {
        assert!(future.as_mut().poll(context).is_pending());
        task::Poll::Ready(())
    })
    .await;
}

#[tokio::test]
async fn closing_lets_the_queue_run_empty() {
    let test = database();
    let db = test.db().clone();
    let mut writes: Vec<_> =
        (0..50).map(|_| Box::pin(db.write(|tx| tx.execute("UPDATE counters SET n = n + 1 WHERE id = 1", &[])))).collect();
    for write in &mut writes {
        start(write.as_mut()).await;
    }
    db.close().await;
    for write in writes {
        assert_eq!(write.await.unwrap(), 1);
    }
    assert!(matches!(db.write(|tx| tx.execute("UPDATE counters SET n = 0", &[])).await, Err(Error::Closed)));
    assert!(matches!(db.read(|c| c.one::<i64>("SELECT 1", &[])).await, Err(Error::Closed)));
    assert!(matches!(db.ping().await, Err(Error::Closed)));
}

#[tokio::test]
async fn a_database_answers_a_ping_and_counts_what_it_does() {
    let mut test = database();
    let before = test.db().stats();
    test.db().ping().await.unwrap();
    test.db().write(|tx| tx.execute("UPDATE counters SET n = 3 WHERE id = 1", &[])).await.unwrap();
    let stats = test.db().stats();
    assert_eq!((stats.statements - before.statements, stats.writes, stats.commits, stats.rollbacks, stats.retries), (2, 1, 1, 0, 0));
    assert!(!test.db().engine_name().is_empty() && !test.db().engine_version().is_empty());
    std::thread::spawn(move || {
        test.restart();
        assert_eq!(test.db().read_blocking(|c| c.one::<i64>("SELECT n FROM counters WHERE id = 1", &[])).unwrap(), 3);
    })
    .join()
    .unwrap();
}
