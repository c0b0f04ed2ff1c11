//! One SQLite connection behind the common interface.

use std::borrow::Cow;
use std::collections::HashMap;
use std::ops::ControlFlow;
use std::sync::Arc;

use rusqlite::types::{ToSqlOutput, ValueRef as Cell};
use rusqlite::{CachedStatement, Connection, ToSql};

use super::errors::{self, Failure};
use super::gauge::{Gauge, STEPS};
use crate::driver::{Driver, Limit, Query, Step};
use crate::row::{Cells, check_columns, foreign};
use crate::sql::{Dialect, render};
use crate::value::{ValueError, ValueRef};
use crate::{Error, Param, Row, Sql};

pub(crate) struct SqliteDriver {
    connection: Connection,
    gauge: Arc<Gauge>,
    /// Static texts that had to be rewritten, by address, length and whether `ON CONFLICT` was added.
    rewritten: HashMap<(usize, usize, bool), Arc<str>>,
    /// How many statements changed something.
    changes: u64,
}

impl SqliteDriver {
    pub(super) fn new(connection: Connection) -> Result<Self, Error> {
        let mut connection = connection;
        let gauge = Arc::new(Gauge::new());
        let handler = Arc::clone(&gauge);
        connection.progress_handler(STEPS, Some(move || handler.tick())).map_err(|error| errors::opening(&error))?;
        Ok(Self { connection, gauge, rewritten: HashMap::new(), changes: 0 })
    }

    fn run_query(&mut self, query: &Query<'_>, each: &mut dyn FnMut(&Row<'_>) -> ControlFlow<()>) -> Result<(), Failure> {
        let text = self.text(query.sql, false);
        let mut statement = bound(&self.connection, &text, query.params)?;
        if cfg!(debug_assertions) {
            check_columns(query.columns, statement.column_names())?;
        }
        let mut rows = statement.raw_query();
        while let Some(row) = rows.next()? {
            if each(&Row(Cells::Sqlite(row))).is_break() {
                break;
            }
        }
        Ok(())
    }

    fn run_execute(&mut self, query: &Query<'_>, ignore: bool) -> Result<u64, Failure> {
        let text = self.text(query.sql, ignore);
        let mut statement = bound(&self.connection, &text, query.params)?;
        // One that fails undoes what it began.
        let matched = statement.raw_execute()? as u64;
        if matched > 0 || !counts_rows(&text) {
            self.changes += 1;
        }
        Ok(matched)
    }

    /// The text to prepare, rewritten once if it is static.
    fn text<'s>(&mut self, sql: &'s Sql, ignore: bool) -> Text<'s> {
        let text = sql.text(Dialect::Sqlite);
        if !ignore && !text.contains('{') {
            return Text::AsIs(text);
        }
        let rewrite = || -> Arc<str> {
            let rendered = render(text, Dialect::Sqlite);
            if ignore { format!("{rendered} ON CONFLICT DO NOTHING").into() } else { Cow::into_owned(rendered).into() }
        };
        match sql.key(Dialect::Sqlite) {
            Some(key) => {
                Text::Rewritten(Arc::clone(self.rewritten.entry((key.as_ptr().addr(), key.len(), ignore)).or_insert_with(rewrite)))
            }
            None => Text::Rewritten(rewrite()),
        }
    }

    fn translate<T>(&self, outcome: Result<T, Failure>) -> Result<T, Error> {
        outcome.map_err(|failure| match failure {
            Failure::Sqlite(error) => errors::translate(&self.connection, error),
            Failure::Ours(error) => error,
        })
    }

    fn command(&self, text: &str) -> Result<(), Error> {
        let run = || self.connection.prepare_cached(text)?.raw_execute();
        run().map(drop).map_err(|error| errors::translate(&self.connection, error))
    }
}

enum Text<'s> {
    AsIs(&'s str),
    Rewritten(Arc<str>),
}

impl std::ops::Deref for Text<'_> {
    type Target = str;
    fn deref(&self) -> &str {
        match self {
            Text::AsIs(text) => text,
            Text::Rewritten(text) => text,
        }
    }
}

/// Whether SQLite counts the rows that such a statement changed; after any other one it tells the count of the one before.
fn counts_rows(text: &str) -> bool {
    ["INSERT ", "UPDATE ", "DELETE "].iter().any(|verb| text.starts_with(verb))
}

fn bound<'c>(connection: &'c Connection, text: &str, params: &[Param<'_>]) -> Result<CachedStatement<'c>, Failure> {
    let mut statement = connection.prepare_cached(text)?;
    let expected = statement.parameter_count();
    if expected != params.len() {
        return Err(Failure::Ours(Error::Other(format!("the statement has {expected} placeholders, {} values were given", params.len()))));
    }
    for (index, param) in params.iter().enumerate() {
        statement.raw_bind_parameter(index + 1, param)?;
    }
    Ok(statement)
}

impl ToSql for Param<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self {
            Param::Null => Cell::Null,
            Param::Int(int) => Cell::Integer(*int),
            Param::Text(text) => Cell::Text(text.as_bytes()),
            Param::Bytes(bytes) => Cell::Blob(bytes),
            Param::Id(id) => Cell::Blob(id),
        }))
    }
}

/// Reads a value of a row.
pub(crate) fn cell<'r>(row: &'r rusqlite::Row<'_>, index: usize) -> Result<ValueRef<'r>, ValueError> {
    match row.get_ref(index) {
        Ok(Cell::Null) => Ok(ValueRef::Null),
        Ok(Cell::Integer(int)) => Ok(ValueRef::Int(int)),
        Ok(Cell::Text(text)) => str::from_utf8(text).map(ValueRef::Text).map_err(|_| ValueError::because("the text is not UTF-8")),
        Ok(Cell::Blob(bytes)) => Ok(ValueRef::Bytes(bytes)),
        Ok(Cell::Real(_)) => foreign("REAL"),
        Err(_) => Err(ValueError::because("the statement has no such column")),
    }
}

impl Driver for SqliteDriver {
    fn dialect(&self) -> Dialect {
        Dialect::Sqlite
    }

    fn query(&mut self, query: &Query<'_>, each: &mut dyn FnMut(&Row<'_>) -> ControlFlow<()>) -> Result<(), Error> {
        let outcome = self.run_query(query, each);
        self.translate(outcome)
    }

    fn execute(&mut self, query: &Query<'_>) -> Result<u64, Error> {
        let outcome = self.run_execute(query, false);
        self.translate(outcome)
    }

    fn insert_ignore(&mut self, query: &Query<'_>) -> Result<bool, Error> {
        let outcome = self.run_execute(query, true).map(|inserted| inserted > 0);
        self.translate(outcome)
    }

    fn step(&mut self, step: Step) -> Result<(), Error> {
        match step {
            Step::Begin => self.command("BEGIN IMMEDIATE"),
            Step::BeginSnapshot => self.command("BEGIN"),
            Step::Commit => self.command("COMMIT"),
            Step::Rollback => self.command("ROLLBACK"),
            Step::Save(0) => self.command("SAVEPOINT s0"),
            Step::Release(0) => self.command("RELEASE s0"),
            Step::Save(depth) => self.command(&format!("SAVEPOINT s{depth}")),
            Step::Release(depth) => self.command(&format!("RELEASE s{depth}")),
            Step::Undo(depth) => {
                self.command(&format!("ROLLBACK TO s{depth}"))?;
                self.command(&format!("RELEASE s{depth}"))
            }
        }
    }

    fn script(&mut self, sql: &str) -> Result<(), Error> {
        self.changes += 1;
        self.connection.execute_batch(sql).map_err(|error| errors::translate(&self.connection, error))
    }

    fn changes(&self) -> u64 {
        self.changes
    }

    fn limit(&mut self, limit: Limit) {
        self.gauge.set(limit);
    }

    fn hit_limit(&self) -> bool {
        self.gauge.was_hit()
    }

    fn in_transaction(&self) -> bool {
        !self.connection.is_autocommit()
    }

    fn is_lost(&self) -> bool {
        false
    }

    fn ping(&mut self) -> Result<(), Error> {
        Ok(())
    }
}
