//! What a transaction keeps, what it undoes, and who may get in its way.

use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::sync::{Arc, Barrier, Mutex, mpsc};
use std::thread;

use db::testing::TestDatabase;
use db::{Conn, Db, Error, Tx, params};

use crate::{database, database_with, on_sqlite};

fn counter(db: &Db, id: i64) -> i64 {
    db.read_blocking(move |c| read_counter(c, id)).unwrap()
}

fn read_counter(c: &mut Conn, id: i64) -> Result<i64, Error> {
    c.one("SELECT n FROM counters WHERE id = ?", params![id])
}

fn add(tx: &mut Tx<'_>, id: i64, n: i64) -> Result<u64, Error> {
    tx.execute("UPDATE counters SET n = n + ? WHERE id = ?", params![n, id])
}

#[test]
fn a_transaction_sees_its_own_writes_and_store_functions_work_in_both() {
    let test = database();
    let seen = test
        .db()
        .write_blocking(|tx| {
            add(tx, 1, 3)?;
            read_counter(tx, 1)
        })
        .unwrap();
    assert_eq!((seen, counter(test.db(), 1)), (3, 3));
}

#[test]
fn a_read_may_not_write() {
    let test = database();
    let insert = "INSERT INTO counters (id, n) VALUES (9, 0)";
    let refused = test.db().read_blocking(move |c| c.opt::<i64>(insert, &[]));
    assert!(matches!(refused, Err(Error::ReadOnly(_))), "{refused:?}");
    let refused = test.db().read_blocking(move |c| {
        read_counter(c, 1)?;
        c.opt::<i64>(insert, &[])
    });
    assert!(matches!(refused, Err(Error::ReadOnly(_))), "{refused:?}");
}

#[test]
fn an_error_undoes_everything() {
    let test = database();
    let failed = test.db().write_blocking(|tx| {
        add(tx, 1, 1)?;
        Err::<(), _>(Error::NotFound)
    });
    assert!(matches!(failed, Err(Error::NotFound)));
    assert_eq!(counter(test.db(), 1), 0);
    assert_eq!(test.db().stats().rollbacks, 1);
}

#[test]
fn a_panic_undoes_everything_and_the_next_one_works() {
    let test = database();
    let failed: Result<(), Error> = test.db().write_blocking(|tx| {
        add(tx, 1, 1)?;
        panic!("on purpose")
    });
    assert!(matches!(failed, Err(Error::Panicked)));
    let failed: Result<(), Error> = test.db().read_blocking(|_| panic!("on purpose"));
    assert!(matches!(failed, Err(Error::Panicked)));
    test.db().write_blocking(|tx| add(tx, 2, 1)).unwrap();
    assert_eq!((counter(test.db(), 1), counter(test.db(), 2)), (0, 1));
}

#[test]
fn a_savepoint_undoes_only_its_part() {
    let test = database();
    test.db()
        .write_blocking(|tx| {
            add(tx, 1, 1)?;
            let inner = tx.savepoint(|tx| {
                add(tx, 1, 10)?;
                let innermost = tx.savepoint(|tx| {
                    add(tx, 1, 100)?;
                    tx.execute("INSERT INTO counters (id, n) VALUES (1, 0)", &[])
                });
                assert!(matches!(innermost, Err(Error::Unique { .. })));
                assert_eq!(read_counter(tx, 1)?, 11);
                Err::<(), _>(Error::NotFound)
            });
            assert!(matches!(inner, Err(Error::NotFound)));
            tx.savepoint(|tx| add(tx, 2, 1))?;
            Ok::<_, Error>(())
        })
        .unwrap();
    assert_eq!((counter(test.db(), 1), counter(test.db(), 2)), (1, 1));
}

#[test]
fn nothing_follows_a_failed_statement() {
    let test = database();
    let went_on = test.db().write_blocking(|tx| {
        drop(tx.execute("INSERT INTO counters (id, n) VALUES (1, 0)", &[]));
        add(tx, 2, 1)
    });
    assert!(matches!(&went_on, Err(Error::Other(text)) if text.contains("savepoint")), "{went_on:?}");
    let dropped = test.db().write_blocking(|tx| {
        add(tx, 2, 1)?;
        drop(tx.execute("INSERT INTO counters (id, n) VALUES (1, 0)", &[]));
        Ok::<_, Error>(())
    });
    assert!(dropped.is_err(), "an error that the closure dropped");
    assert_eq!(counter(test.db(), 2), 0);
}

#[test]
fn all_reads_of_a_closure_see_one_state() {
    let test = database();
    let (ask, asked) = mpsc::channel::<()>();
    let (tell, told) = mpsc::channel::<()>();
    let writer = {
        let db = test.db().clone();
        thread::spawn(move || {
            for () in asked {
                db.write_blocking(|tx| add(tx, 1, 1)).unwrap();
                tell.send(()).unwrap();
            }
        })
    };
    let ends = Mutex::new((ask, told));
    let read = move |c: &mut Conn| {
        let before = read_counter(c, 1)?;
        let ends = ends.lock().unwrap();
        ends.0.send(()).unwrap();
        ends.1.recv().unwrap();
        Ok::<_, Error>((before, read_counter(c, 1)?))
    };
    let (before, after) = test.db().read_blocking(read).unwrap();
    assert_eq!(before, after, "a write was committed between the two");
    assert!(counter(test.db(), 1) > after);
    writer.join().unwrap();
}

#[tokio::test]
async fn reads_on_the_calling_thread_see_one_state_too() {
    let test = database();
    let other = test.db().clone();
    let (before, after) = test
        .db()
        .read(move |c| {
            let before = read_counter(c, 1)?;
            other.write_blocking(|tx| add(tx, 1, 1))?;
            Ok::<_, Error>((before, read_counter(c, 1)?))
        })
        .await
        .unwrap();
    assert_eq!(before, after);
}

/// Runs a closure first and lets others queue behind it meanwhile.
fn behind_a_slow_one<T: Send + 'static>(
    test: &TestDatabase,
    queue: impl FnOnce(&Db) -> Vec<thread::JoinHandle<T>>,
    queued: usize,
) -> Vec<T> {
    let (started, has_started) = mpsc::channel();
    let (release, released) = mpsc::channel::<()>();
    let ends = Mutex::new((started, released));
    let db = test.db().clone();
    let slow = thread::spawn(move || {
        db.write_blocking(move |_| {
            let ends = ends.lock().unwrap();
            ends.0.send(()).unwrap();
            // When it is run again, because a later one ended the group, the sender is gone.
            let _ = ends.1.recv();
            Ok::<_, Error>(())
        })
    });
    has_started.recv().unwrap();
    let others = queue(test.db());
    while on_sqlite() && test.db().stats().queue_depth < queued as u64 {
        thread::yield_now();
    }
    drop(release);
    slow.join().unwrap().unwrap();
    others.into_iter().map(|other| other.join().unwrap()).collect()
}

#[test]
fn closures_that_wait_together_are_committed_together_and_fail_alone() {
    let test = database();
    let results = behind_a_slow_one(
        &test,
        |db| {
            (0..30i64)
                .map(|number| {
                    let db = db.clone();
                    thread::spawn(move || {
                        db.write_blocking(move |tx| {
                            add(tx, 1, 1)?;
                            match number % 3 {
                                0 => Ok(()),
                                1 => Err(Error::NotFound),
                                _ => panic!("on purpose"),
                            }
                        })
                    })
                })
                .collect()
        },
        30,
    );
    assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 10);
    assert_eq!(results.iter().filter(|result| matches!(result, Err(Error::NotFound))).count(), 10);
    assert_eq!(results.iter().filter(|result| matches!(result, Err(Error::Panicked))).count(), 10);
    assert_eq!(counter(test.db(), 1), 10);
    if on_sqlite() {
        let stats = test.db().stats();
        assert!(stats.commits < 12, "{stats:?}");
        assert_eq!(stats.writes, 11);
    }
}

/// Ten closures that wait together, of which every second one fails; how often they were run, each answered as it should be.
fn runs_of_a_group(test: &TestDatabase, fail: impl Fn(&mut Tx<'_>) -> Result<u64, Error> + Copy + Send + Sync + 'static) -> u32 {
    let runs = Arc::new(AtomicU32::new(0));
    let results = behind_a_slow_one(
        test,
        |db| {
            (0..10i64)
                .map(|number| {
                    let (db, runs) = (db.clone(), Arc::clone(&runs));
                    thread::spawn(move || {
                        db.write_blocking(move |tx| {
                            runs.fetch_add(1, SeqCst);
                            if number % 2 == 0 { add(tx, 1, 1) } else { fail(tx) }
                        })
                    })
                })
                .collect()
        },
        10,
    );
    assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 5);
    assert_eq!(results.iter().filter(|result| matches!(result, Err(Error::NotFound))).count(), 5);
    runs.load(SeqCst)
}

#[test]
fn only_a_closure_that_fails_late_makes_its_group_run_again_and_then_not_soon() {
    let test = database();
    let early = |tx: &mut Tx<'_>| {
        // Neither a read nor a change of nothing is a change.
        read_counter(tx, 1)?;
        tx.execute("UPDATE counters SET n = n + 1 WHERE id = ?", params![99])?;
        Err(Error::NotFound)
    };
    let late = |tx: &mut Tx<'_>| {
        add(tx, 2, 1)?;
        Err(Error::NotFound)
    };
    let runs = runs_of_a_group(&test, early);
    assert!(!on_sqlite() || runs == 10, "{runs}");
    let runs = runs_of_a_group(&test, late);
    assert!(!on_sqlite() || (11..=20).contains(&runs), "{runs}");
    // There are savepoints now.
    let runs = runs_of_a_group(&test, late);
    assert!(!on_sqlite() || runs == 10, "{runs}");
    assert_eq!((counter(test.db(), 1), counter(test.db(), 2)), (15, 0));
}

#[test]
fn a_closure_that_ends_the_whole_transaction_does_not_harm_its_group() {
    let test = database_with(|settings| settings.statement_timeout = std::time::Duration::from_secs(2));
    let results = behind_a_slow_one(
        &test,
        |db| {
            (0..5i64)
                .map(|number| {
                    let db = db.clone();
                    thread::spawn(move || {
                        db.write_blocking(move |tx| {
                            // On a server the others would wait for its row.
                            add(tx, 1 + i64::from(number == 2), 1)?;
                            if number == 2 {
                                // Interrupted while it writes: SQLite gives up the transaction, savepoints and all.
                                tx.execute(crate::limits::ENDLESS_INSERT, &[])?;
                            }
                            Ok::<_, Error>(())
                        })
                    })
                })
                .collect()
        },
        5,
    );
    for (number, result) in results.iter().enumerate() {
        assert_eq!(result.is_ok(), number != 2, "{number}: {result:?}");
    }
    assert!(matches!(results[2], Err(Error::Interrupted)), "{:?}", results[2]);
    assert_eq!((counter(test.db(), 1), counter(test.db(), 2)), (4, 0));
    assert_eq!(test.db().stats().interrupted, 1);
}

#[test]
fn a_closure_that_changes_something_and_then_takes_too_long_runs_once_and_its_group_stands() {
    let test = database_with(|settings| settings.statement_timeout = std::time::Duration::from_secs(1));
    let runs = Arc::new(AtomicU32::new(0));
    let results = behind_a_slow_one(
        &test,
        |db| {
            (0..5i64)
                .map(|number| {
                    let (db, runs) = (db.clone(), Arc::clone(&runs));
                    thread::spawn(move || {
                        db.write_blocking(move |tx| {
                            add(tx, 1 + i64::from(number == 2), 1)?;
                            if number == 2 {
                                runs.fetch_add(1, SeqCst);
                                tx.one::<i64>(crate::limits::ENDLESS, &[])?;
                            }
                            Ok::<_, Error>(())
                        })
                    })
                })
                .collect()
        },
        5,
    );
    assert!(matches!(results[2], Err(Error::Interrupted)), "{:?}", results[2]);
    assert_eq!((results.iter().filter(|result| result.is_ok()).count(), runs.load(SeqCst)), (4, 1));
    assert_eq!((counter(test.db(), 1), counter(test.db(), 2)), (4, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn none_of_a_thousand_writers_starves() {
    let test = database();
    let mut writers = tokio::task::JoinSet::new();
    for _ in 0..1_000 {
        let db = test.db().clone();
        writers.spawn(async move { db.write(|tx| add(tx, 1, 1)).await });
    }
    for written in writers.join_all().await {
        assert_eq!(written.unwrap(), 1);
    }
    let total = test.db().read(|c| read_counter(c, 1)).await.unwrap();
    assert_eq!(total, 1_000);
}

#[test]
fn two_transactions_that_cross_are_both_done() {
    let test = database();
    // On SQLite there is one writer, and nobody to meet.
    let meeting = Arc::new(Barrier::new(if on_sqlite() { 1 } else { 2 }));
    let cross = |first: i64, second: i64| {
        let (db, meeting, runs) = (test.db().clone(), Arc::clone(&meeting), AtomicU32::new(0));
        thread::spawn(move || {
            db.write_blocking(move |tx| {
                add(tx, first, 1)?;
                if runs.fetch_add(1, SeqCst) == 0 {
                    meeting.wait();
                }
                add(tx, second, 1)
            })
        })
    };
    let (one, other) = (cross(1, 2), cross(2, 1));
    one.join().unwrap().unwrap();
    other.join().unwrap().unwrap();
    assert_eq!((counter(test.db(), 1), counter(test.db(), 2)), (2, 2));
    assert!(on_sqlite() || test.db().stats().retries > 0, "{:?}", test.db().stats());
}

#[test]
fn a_conflict_is_found_through_the_callers_error_type() {
    #[derive(Debug)]
    struct Wrapped(Error);
    impl From<Error> for Wrapped {
        fn from(error: Error) -> Self {
            Wrapped(error)
        }
    }
    impl db::TransactionError for Wrapped {
        fn db_error(&self) -> Option<&Error> {
            Some(&self.0)
        }
    }
    let test = database();
    let runs = AtomicU32::new(0);
    let done = test.db().write_blocking(move |tx| {
        add(tx, 1, 1)?;
        let run = runs.fetch_add(1, SeqCst);
        if run < 2 { Err(Wrapped(Error::Serialization)) } else { Ok(run) }
    });
    // SQLite has no conflicts: its one writer does not run such a closure again.
    assert!(matches!((on_sqlite(), &done), (true, Err(Wrapped(Error::Serialization))) | (false, Ok(2))), "{done:?}");
    assert_eq!(counter(test.db(), 1), i64::from(!on_sqlite()));
}

#[test]
fn a_claim_takes_each_job_once() {
    let test = database();
    test.db()
        .write_blocking(|tx| {
            for id in 10..30i64 {
                tx.execute("INSERT INTO counters (id, n) VALUES (?, 0)", params![id])?;
            }
            Ok::<_, Error>(())
        })
        .unwrap();
    let claim = |tx: &mut Tx<'_>| {
        let Some(id) = tx.opt::<i64>("SELECT id FROM counters WHERE id >= 10 AND n = 0 ORDER BY id LIMIT 1 {skip_locked}", &[])? else {
            return Ok::<_, Error>(None);
        };
        tx.execute("UPDATE counters SET n = 1 WHERE id = ? AND n = 0", params![id])?;
        Ok(Some(id))
    };
    let workers: Vec<_> = (0..4)
        .map(|_| {
            let db = test.db().clone();
            thread::spawn(move || std::iter::from_fn(|| db.write_blocking(claim).unwrap()).collect::<Vec<i64>>())
        })
        .collect();
    let mut claimed: Vec<i64> = workers.into_iter().flat_map(|worker| worker.join().unwrap()).collect();
    claimed.sort_unstable();
    assert_eq!(claimed, (10..30).collect::<Vec<_>>());
}
