//! A connection as a closure sees it: four ways to read, and the rules that make all engines behave alike.

use std::any::TypeId;
use std::collections::HashSet;
use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use crate::driver::{Driver, Limit, Query, Step};
use crate::sql::Dialect;
use crate::stats::{Counters, count};
use crate::{Error, FromRow, Param, Row, Sql, TransactionError};

/// A connection that reads; inside a write, [`Tx`](crate::Tx) gives the same.
///
/// Everything that one closure reads is one state of the database. A single statement is that by itself. A closure that asks
/// for a second one is run again inside a snapshot, and its kind is remembered, so that the next run begins with one.
pub struct Conn {
    pub(crate) driver: Box<dyn Driver>,
    pub(crate) counters: Arc<Counters>,
    slow: Duration,
    scope: Scope,
    /// The first statement of this closure that failed and was not undone.
    failure: Option<Error>,
    /// The read closures known to run several statements.
    several: HashSet<TypeId>,
}

/// What the closure that runs now may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Scope {
    /// Outside of closures: migrations and the like.
    Free,
    /// One statement needs no transaction.
    Single {
        used: bool,
    },
    /// A second statement was asked for.
    Outgrown,
    Snapshot,
    Write,
}

/// How a run of a closure ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ran {
    Good,
    /// It failed by itself: roll back and tell.
    Bad,
    /// It conflicted: roll back and run it again.
    Conflict,
    /// The connection was lost on the way.
    Lost,
}

impl Ran {
    fn or_bad(self) -> Self {
        if self == Ran::Good { Ran::Bad } else { self }
    }
}

impl Conn {
    pub(crate) fn new(driver: Box<dyn Driver>, counters: Arc<Counters>, slow: Duration) -> Self {
        Self { driver, counters, slow, scope: Scope::Free, failure: None, several: HashSet::new() }
    }

    /// Reads one row; [`Error::NotFound`] when there is none.
    pub fn one<T: FromRow>(&mut self, sql: impl Into<Sql>, params: &[Param<'_>]) -> Result<T, Error> {
        self.opt(sql, params)?.ok_or(Error::NotFound)
    }

    /// Reads the first row, if there is one.
    pub fn opt<T: FromRow>(&mut self, sql: impl Into<Sql>, params: &[Param<'_>]) -> Result<Option<T>, Error> {
        let mut found = None;
        self.visit(&sql.into(), params, T::COLUMNS, |row| {
            found = Some(T::from_row(row)?);
            Ok(ControlFlow::Break(()))
        })?;
        Ok(found)
    }

    /// Reads all rows; bound them with a literal `LIMIT`.
    pub fn all<T: FromRow>(&mut self, sql: impl Into<Sql>, params: &[Param<'_>]) -> Result<Vec<T>, Error> {
        let mut rows = Vec::new();
        self.each(sql, params, |row| {
            rows.push(row);
            Ok(())
        })?;
        Ok(rows)
    }

    /// Reads all rows one by one, without keeping them.
    pub fn each<T: FromRow>(
        &mut self,
        sql: impl Into<Sql>,
        params: &[Param<'_>],
        mut f: impl FnMut(T) -> Result<(), Error>,
    ) -> Result<(), Error> {
        self.visit(&sql.into(), params, T::COLUMNS, |row| f(T::from_row(row)?).map(ControlFlow::Continue))
    }

    fn visit(
        &mut self,
        sql: &Sql,
        params: &[Param<'_>],
        columns: &'static [&'static str],
        mut f: impl FnMut(&Row<'_>) -> Result<ControlFlow<()>, Error>,
    ) -> Result<(), Error> {
        // What the reader of a row says is not the database's failure: the transaction can go on.
        let mut refused = None;
        let mut each = |row: &Row<'_>| match f(row) {
            Ok(flow) => flow,
            Err(error) => {
                refused = Some(error);
                ControlFlow::Break(())
            }
        };
        self.run(sql, params, columns, |driver, query| driver.query(query, &mut each))?;
        refused.map_or(Ok(()), Err)
    }

    pub(crate) fn execute_statement(&mut self, sql: &Sql, params: &[Param<'_>]) -> Result<u64, Error> {
        self.run(sql, params, &[], |driver, query| driver.execute(query))
    }

    pub(crate) fn insert_statement(&mut self, sql: &Sql, params: &[Param<'_>]) -> Result<bool, Error> {
        self.run(sql, params, &[], |driver, query| driver.insert_ignore(query))
    }

    fn run<T>(
        &mut self,
        sql: &Sql,
        params: &[Param<'_>],
        columns: &'static [&'static str],
        f: impl FnOnce(&mut dyn Driver, &Query<'_>) -> Result<T, Error>,
    ) -> Result<T, Error> {
        self.admit(params)?;
        let started = Instant::now();
        let outcome = f(&mut *self.driver, &Query { sql, params, columns });
        let took = started.elapsed();
        self.counters.statement(took);
        if took >= self.slow {
            tracing::warn!(sql = sql.text(self.driver.dialect()), took_ms = took.as_millis() as u64, "slow statement");
        }
        outcome.inspect_err(|error| {
            if self.scope != Scope::Free && self.failure.is_none() {
                self.failure = Some(error.copy());
            }
        })
    }

    /// Whether another statement may run now.
    fn admit(&mut self, params: &[Param<'_>]) -> Result<(), Error> {
        let has_nul = |param: &Param<'_>| matches!(param, Param::Text(text) if text.as_bytes().contains(&0));
        if params.iter().any(has_nul) {
            return Err(Error::InvalidText);
        }
        match self.scope {
            Scope::Single { used: false } => self.scope = Scope::Single { used: true },
            Scope::Single { used: true } | Scope::Outgrown => {
                self.scope = Scope::Outgrown;
                return Err(Error::Serialization);
            }
            // PostgreSQL refuses whatever follows a failed statement. The others would go on, so a mistake would show there only.
            Scope::Write if self.failure.is_some() => return Err(dropped_failure("an earlier statement of this transaction failed")),
            Scope::Free | Scope::Snapshot | Scope::Write => {}
        }
        Ok(())
    }

    /// Runs a read closure, in a snapshot if it is known to need one or turns out to.
    pub(crate) fn read<T, E, F>(&mut self, f: &F) -> (Result<T, E>, Ran)
    where
        E: TransactionError,
        F: Fn(&mut Conn) -> Result<T, E> + 'static,
    {
        let kind = TypeId::of::<F>();
        if !self.several.contains(&kind) {
            let result = self.run_closure(Scope::Single { used: false }, f);
            if self.scope != Scope::Outgrown {
                return self.finish_read(result);
            }
            self.several.insert(kind);
            // It is counted when it runs again: how often a closure was tried is not what it costs.
            self.counters.statements.fetch_sub(1, Relaxed);
        }
        if let Err(error) = self.driver.step(Step::BeginSnapshot) {
            self.failure = None;
            return self.finish_read(Err(E::from(error)));
        }
        let result = self.run_closure(Scope::Snapshot, f);
        if self.driver.step(Step::Commit).is_err() {
            self.roll_back();
        }
        self.finish_read(result)
    }

    fn finish_read<T, E: TransactionError>(&mut self, result: Result<T, E>) -> (Result<T, E>, Ran) {
        self.scope = Scope::Free;
        let failure = self.failure.take();
        let ran = self.verdict(&result, failure.as_ref());
        (result, ran)
    }

    /// Runs a write closure inside the transaction that the caller began.
    pub(crate) fn write<T, E: TransactionError>(&mut self, f: impl FnOnce(&mut Conn) -> Result<T, E>) -> (Result<T, E>, Ran) {
        let result = self.run_closure(Scope::Write, f);
        self.scope = Scope::Free;
        let failure = self.failure.take();
        let ran = self.verdict(&result, failure.as_ref());
        match (result, failure) {
            (Ok(_), Some(Error::Other(text))) => (Err(E::from(dropped_failure(&text))), ran.or_bad()),
            (Ok(_), Some(failure)) => (Err(E::from(failure)), ran.or_bad()),
            (result, _) => (result, ran),
        }
    }

    fn run_closure<T, E: From<Error>>(&mut self, scope: Scope, f: impl FnOnce(&mut Conn) -> Result<T, E>) -> Result<T, E> {
        self.scope = scope;
        self.failure = None;
        self.guarded(f)
    }

    fn verdict<T, E: TransactionError>(&self, result: &Result<T, E>, failure: Option<&Error>) -> Ran {
        let told = result.as_ref().err().and_then(TransactionError::db_error);
        let any = |is: fn(&Error) -> bool| failure.is_some_and(is) || told.is_some_and(is);
        if self.driver.is_lost() || any(Error::is_lost_connection) {
            Ran::Lost
        } else if any(Error::is_retryable) {
            Ran::Conflict
        } else if result.is_err() {
            Ran::Bad
        } else {
            Ran::Good
        }
    }

    fn guarded<T, E: From<Error>>(&mut self, f: impl FnOnce(&mut Conn) -> Result<T, E>) -> Result<T, E> {
        // Whatever the closure left half done in the connection is rolled back by the caller.
        catch_unwind(AssertUnwindSafe(|| f(self))).unwrap_or_else(|_| Err(E::from(Error::Panicked)))
    }

    /// Runs a part of a write that can be undone without the rest.
    pub(crate) fn savepoint<T, E: TransactionError>(&mut self, depth: u32, f: impl FnOnce(&mut Conn) -> Result<T, E>) -> Result<T, E> {
        if self.failure.is_some() {
            return Err(E::from(dropped_failure("an earlier statement of this transaction failed")));
        }
        self.step(Step::Save(depth))?;
        let result = f(self);
        match (&result, self.failure.take()) {
            (Ok(_), None) => self.step(Step::Release(depth))?,
            (Ok(_), Some(failure)) => {
                // The error was dropped inside: the part is not what the closure thinks it is.
                self.failure = Some(failure);
                return Err(E::from(dropped_failure("a statement inside the savepoint failed")));
            }
            (Err(_), failure) => {
                let undone = !self.driver.is_lost() && failure.as_ref().is_none_or(|error| !ends_transaction(error));
                self.failure = if undone { None } else { failure };
                if undone {
                    self.step(Step::Undo(depth))?;
                }
            }
        }
        result
    }

    fn step(&mut self, step: Step) -> Result<(), Error> {
        self.driver.step(step).inspect_err(|error| self.failure = Some(error.copy()))
    }

    /// Ends whatever transaction is open, without keeping it.
    pub(crate) fn roll_back(&mut self) {
        if self.driver.in_transaction()
            && !self.driver.is_lost()
            && let Err(error) = self.driver.step(Step::Rollback)
        {
            tracing::debug!(%error, "could not roll back");
        }
    }

    /// Bounds the next statements, and forgets whether the last bound was hit.
    pub(crate) fn limit(&mut self, limit: Limit) {
        self.driver.limit(limit);
    }

    /// Whether the bound stopped a statement; counts it once.
    pub(crate) fn was_interrupted(&mut self) -> bool {
        let interrupted = self.driver.hit_limit();
        if interrupted {
            count(&self.counters.interrupted);
        }
        interrupted
    }

    pub(crate) fn dialect(&self) -> Dialect {
        self.driver.dialect()
    }
}

/// Whether an engine gives up the whole transaction with such an error, savepoints included.
fn ends_transaction(error: &Error) -> bool {
    error.is_retryable() || matches!(error, Error::Unavailable(_) | Error::StorageFull(_))
}

fn dropped_failure(what: &str) -> Error {
    Error::Other(format!("{what}, and its error was dropped; use `insert_ignore` or `savepoint` to go on after one"))
}
