//! Random transactions against a map: what was answered with `Ok` is there, what was not is not.

use std::collections::BTreeMap;
use std::future;
use std::pin::Pin;
use std::task::{Context, Poll};

use db::{Error, Tx, params};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use crate::database_with;

#[derive(Debug, Clone)]
enum Act {
    Put(i64, i64),
    Add(i64, i64),
    Remove(i64),
    /// A part of its own, which is kept or undone.
    Part(Vec<Act>, End),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Good,
    Bad,
    /// A duplicate key: the engine's own failure.
    Violation,
    Panic,
}

type Model = BTreeMap<i64, i64>;

fn act() -> impl Strategy<Value = Act> {
    let simple = prop_oneof![
        (0..8i64, any::<i16>()).prop_map(|(key, value)| Act::Put(key, value.into())),
        (0..8i64, any::<i16>()).prop_map(|(key, value)| Act::Add(key, value.into())),
        (0..8i64).prop_map(Act::Remove),
    ];
    simple.prop_recursive(2, 8, 4, |inner| {
        let end = prop_oneof![2 => Just(End::Good), 1 => Just(End::Bad), 1 => Just(End::Violation)];
        (prop::collection::vec(inner, 0..4), end).prop_map(|(acts, end)| Act::Part(acts, end))
    })
}

fn transaction() -> impl Strategy<Value = (Vec<Act>, End)> {
    let end = prop_oneof![5 => Just(End::Good), 1 => Just(End::Bad), 1 => Just(End::Violation), 1 => Just(End::Panic)];
    (prop::collection::vec(act(), 0..5), end)
}

fn run(tx: &mut Tx<'_>, acts: &[Act]) -> Result<(), Error> {
    for act in acts {
        match act {
            Act::Put(key, value) => {
                if tx.execute("UPDATE counters SET n = ? WHERE id = ?", params![value, key])? == 0 {
                    tx.execute("INSERT INTO counters (id, n) VALUES (?, ?)", params![key, value])?;
                }
            }
            Act::Add(key, value) => drop(tx.execute("UPDATE counters SET n = n + ? WHERE id = ?", params![value, key])?),
            Act::Remove(key) => drop(tx.execute("DELETE FROM counters WHERE id = ?", params![key])?),
            Act::Part(acts, end) => {
                let part = tx.savepoint(|tx| run(tx, acts).and_then(|()| finish(tx, *end)));
                assert_eq!(part.is_ok(), *end == End::Good, "{part:?}");
            }
        }
    }
    Ok(())
}

fn finish(tx: &mut Tx<'_>, end: End) -> Result<(), Error> {
    match end {
        End::Good => Ok(()),
        End::Bad => Err(Error::NotFound),
        End::Violation => {
            tx.insert_ignore("INSERT INTO counters (id, n) VALUES (-1, 0)", &[])?;
            tx.execute("INSERT INTO counters (id, n) VALUES (-1, 0)", &[]).map(drop)
        }
        End::Panic => panic!("on purpose"),
    }
}

fn predict(model: &mut Model, acts: &[Act]) {
    for act in acts {
        match act {
            Act::Put(key, value) => drop(model.insert(*key, *value)),
            Act::Add(key, value) => drop(model.entry(*key).and_modify(|n| *n += value)),
            Act::Remove(key) => drop(model.remove(key)),
            Act::Part(acts, End::Good) => predict(model, acts),
            Act::Part(..) => {}
        }
    }
}

#[test]
fn random_transactions_agree_with_a_map() {
    // One connection runs what is queued in order, also on a server, so that the map knows the outcome.
    let test = database_with(|settings| {
        settings.max_connections = 1;
        settings.max_group = 3;
    });
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let config = Config { cases: 48, failure_persistence: None, ..Config::default() };
    let outcome = TestRunner::new(config).run(&prop::collection::vec(transaction(), 1..12), |transactions| {
        test.db().write_blocking(|tx| tx.execute("DELETE FROM counters", &[])).unwrap();
        let mut model = Model::new();
        let writes = transactions.iter().cloned().map(|(acts, end)| {
            let db = test.db().clone();
            Box::pin(async move { db.write(move |tx| run(tx, &acts).and_then(|()| finish(tx, end))).await })
                as Pin<Box<dyn Future<Output = _>>>
        });
        let answers: Vec<Result<(), Error>> = runtime.block_on(all(writes.collect()));
        for ((acts, end), answer) in transactions.iter().zip(&answers) {
            prop_assert_eq!(answer.is_ok(), *end == End::Good, "{:?}", answer);
            prop_assert_eq!(matches!(answer, Err(Error::Panicked)), *end == End::Panic);
            if answer.is_ok() {
                predict(&mut model, acts);
            }
        }
        let found = test.db().read_blocking(|c| c.all::<(i64, i64)>("SELECT id, n FROM counters ORDER BY id", &[])).unwrap();
        prop_assert_eq!(found, model.into_iter().collect::<Vec<_>>());
        Ok(())
    });
    outcome.unwrap();
}

/// Polls all in order, which queues them in order, until all are done.
async fn all<T: Unpin>(mut futures: Vec<Pin<Box<dyn Future<Output = T>>>>) -> Vec<T> {
    let mut done: Vec<Option<T>> = futures.iter().map(|_| None).collect();
    future::poll_fn(move |context: &mut Context<'_>| {
        for (future, done) in futures.iter_mut().zip(&mut done) {
            if done.is_none()
                && let Poll::Ready(value) = future.as_mut().poll(context)
            {
                *done = Some(value);
            }
        }
        if done.iter().all(Option::is_some) { Poll::Ready(done.drain(..).flatten().collect()) } else { Poll::Pending }
    })
    .await
}
