//! One PostgreSQL connection behind the common interface.

use std::collections::HashMap;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use postgres::config::SslMode;
use postgres::error::SqlState;
use postgres::fallible_iterator::FallibleIterator;
use postgres::types::{ToSql, Type};
use postgres::{Client, Config, NoTls, Statement};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::cache::{Key, Statements, text};
use super::postgres_errors::translate;
use super::postgres_values::{Bound, Cell, fits, hint};
use super::tls::{self, Mode};
use super::{APPLICATION, About, CONNECT};
use crate::ddl::Types;
use crate::driver::{Driver, Limit, Query, Step};
use crate::row::{Cells, check_columns};
use crate::sql::Dialect;
use crate::value::{ValueError, ValueRef};
use crate::{Conn, Error, Param, Row};

/// How to connect to one PostgreSQL database.
pub(crate) struct Connector {
    config: Config,
    mode: Mode,
    roots: Option<PathBuf>,
}

impl Connector {
    pub(crate) fn new(url: &url::Url) -> Result<Self, Error> {
        let (url, [mode, roots]) = tls::take(url, ["sslmode", "sslrootcert"]);
        let mode = Mode::parse(mode.as_deref(), url.host_str())?;
        // The driver's message would quote the URL, password and all.
        let mut config: Config = url.as_str().parse().map_err(|_| Error::Url("PostgreSQL cannot use the database URL".to_owned()))?;
        config
            .ssl_mode(match mode {
                Mode::Disable => SslMode::Disable,
                Mode::Prefer => SslMode::Prefer,
                Mode::Require | Mode::VerifyFull => SslMode::Require,
            })
            .keepalives_idle(Duration::from_secs(30))
            .keepalives_interval(Duration::from_secs(10))
            .keepalives_retries(3)
            .notice_callback(|notice| tracing::debug!(message = notice.message(), "PostgreSQL says"));
        if config.get_application_name().is_none() {
            config.application_name(APPLICATION);
        }
        if config.get_connect_timeout().is_none() {
            config.connect_timeout(CONNECT);
        }
        Ok(Self { config, mode, roots: roots.map(PathBuf::from) })
    }

    fn client(&self) -> Result<Client, Error> {
        let connected = match self.mode {
            Mode::Disable => self.config.connect(NoTls),
            mode => self.config.connect(MakeRustlsConnect::new(tls::client(mode, self.roots.as_deref())?)),
        };
        // Whatever is wrong before there is a connection, it is not the caller's statement.
        connected.map_err(|error| match translate(&error).error {
            Error::Other(text) => Error::Unavailable(text),
            other => other,
        })
    }

    pub(crate) fn connect(&self, timeout: Option<Duration>) -> Result<Box<dyn Driver>, Error> {
        let mut client = self.client()?;
        let timeout = timeout.map_or(0, |timeout| timeout.as_millis().max(1));
        // Without a deadline it is a connection that changes the schema; all others write in transactions only.
        let read_only = if timeout == 0 { "off" } else { "on" };
        // A transaction whose client forgot it would hold its locks for ever.
        let session = format!(
            "SET SESSION TIME ZONE 'UTC'; SET statement_timeout = {timeout}; SET idle_in_transaction_session_timeout = {timeout}; \
             SET standard_conforming_strings = on; SET default_transaction_read_only = {read_only}"
        );
        client.batch_execute(&session).map_err(|error| translate(&error).error)?;
        Ok(Box::new(PostgresDriver {
            client,
            statements: Statements::new(),
            hinted: HashMap::new(),
            deadline: None,
            hit_limit: false,
            open: false,
            lost: false,
        }))
    }

    pub(crate) fn about(&self) -> Result<About, Error> {
        let mut client = self.client()?;
        let failed = |error: postgres::Error| translate(&error).error;
        let number: String = client.query_one("SHOW server_version_num", &[]).map_err(failed)?.get(0);
        let version: String = client.query_one("SHOW server_version", &[]).map_err(failed)?.get(0);
        if number.parse::<u32>().is_ok_and(|number| number < 130_000) {
            return Err(Error::TooOld(format!("PostgreSQL {version} is too old: 13 or later is needed")));
        }
        Ok(About { name: "PostgreSQL", version, types: Types { dialect: Dialect::Postgres, collation: "" } })
    }
}

/// Waits until no other process migrates this database; held until the connection ends.
pub(super) fn lock_migrations(conn: &mut Conn) -> Result<(), Error> {
    conn.driver.script("SELECT pg_advisory_lock(8462090283551746420)")
}

struct PostgresDriver {
    client: Client,
    statements: Statements<Statement>,
    /// The parameters whose types the server cannot infer, by statement.
    hinted: HashMap<Key, Vec<usize>>,
    deadline: Option<Instant>,
    hit_limit: bool,
    open: bool,
    lost: bool,
}

impl PostgresDriver {
    /// Finds or prepares the statement, with types that the values fit into.
    fn prepare(&mut self, query: &Query<'_>, ignore: bool) -> Result<Statement, Error> {
        self.check_deadline()?;
        let key = Key::new(query.sql, Dialect::Postgres, ignore);
        if let Some(statement) = self.statements.get(&key)
            && all_fit(query.params, &statement)
        {
            return Ok(statement);
        }
        let text = text(query.sql, Dialect::Postgres, ignore);
        let statement = self.prepare_text(&key, &text, query.params)?;
        self.statements.put(key, statement.clone());
        Ok(statement)
    }

    /// Lets the server infer the types, and helps where it cannot (`? IS NULL`, `SELECT ?`).
    fn prepare_text(&mut self, key: &Key, text: &str, params: &[Param<'_>]) -> Result<Statement, Error> {
        loop {
            let hinted = self.hinted.get(key).map_or(&[][..], Vec::as_slice);
            let declare = |(index, param)| if hinted.contains(&index) { hint(param) } else { Type::UNKNOWN };
            let types: Vec<Type> = if hinted.is_empty() { Vec::new() } else { params.iter().enumerate().map(declare).collect() };
            match self.client.prepare_typed(text, &types) {
                Ok(statement) if all_fit(params, &statement) => return Ok(statement),
                Ok(statement) => {
                    let typed = params.iter().zip(statement.params());
                    let types: Vec<Type> =
                        typed.map(|(param, inferred)| if fits(param, inferred) { inferred.clone() } else { hint(param) }).collect();
                    return self.prepare_typed(text, &types);
                }
                Err(error) => match unknown_type(&error) {
                    Some(index) if !hinted.contains(&index) => self.hinted.entry(key.clone()).or_default().push(index),
                    _ => return self.fail(&error),
                },
            }
            if self.open {
                // The failed attempt ended the transaction, so the closure has to begin again.
                return Err(Error::Serialization);
            }
        }
    }

    fn prepare_typed(&mut self, text: &str, types: &[Type]) -> Result<Statement, Error> {
        match self.client.prepare_typed(text, types) {
            Ok(statement) => Ok(statement),
            Err(error) => self.fail(&error),
        }
    }

    fn check_deadline(&mut self) -> Result<(), Error> {
        if self.deadline.is_some_and(|deadline| Instant::now() >= deadline) {
            self.hit_limit = true;
            return Err(Error::Interrupted);
        }
        Ok(())
    }

    fn fail<T>(&mut self, error: &postgres::Error) -> Result<T, Error> {
        let translated = translate(error);
        self.lost |= translated.lost || self.client.is_closed();
        self.hit_limit |= matches!(translated.error, Error::Interrupted);
        if translated.stale {
            self.statements.clear();
        }
        Err(translated.error)
    }

    fn run_execute(&mut self, query: &Query<'_>, ignore: bool) -> Result<u64, Error> {
        let statement = self.prepare(query, ignore)?;
        check_count(query.params, &statement)?;
        let bound: Vec<Bound<'_>> = query.params.iter().map(|param| Bound(*param)).collect();
        let params: Vec<&(dyn ToSql + Sync)> = bound.iter().map(|param| param as &(dyn ToSql + Sync)).collect();
        match self.client.execute(&statement, &params) {
            Ok(matched) => Ok(matched),
            Err(error) => self.fail(&error),
        }
    }

    fn run_query(&mut self, query: &Query<'_>, each: &mut dyn FnMut(&Row<'_>) -> ControlFlow<()>) -> Result<(), Error> {
        let statement = self.prepare(query, false)?;
        check_count(query.params, &statement)?;
        if cfg!(debug_assertions) {
            check_columns(query.columns, statement.columns().iter().map(|column| column.name()))?;
        }
        let bound: Vec<Bound<'_>> = query.params.iter().map(|param| Bound(*param)).collect();
        let outcome = self.client.query_raw(&statement, bound.iter().map(|param| param as &dyn ToSql)).and_then(|mut rows| {
            while let Some(row) = rows.next()? {
                if each(&Row(Cells::Postgres(&row))).is_break() {
                    break;
                }
            }
            Ok(())
        });
        match outcome {
            Ok(()) => Ok(()),
            Err(error) => self.fail(&error),
        }
    }

    fn command(&mut self, text: &str) -> Result<(), Error> {
        match self.client.batch_execute(text) {
            Ok(()) => Ok(()),
            Err(error) => self.fail(&error),
        }
    }
}

/// Which parameter it is whose type PostgreSQL cannot infer: "could not determine data type of parameter $2".
fn unknown_type(error: &postgres::Error) -> Option<usize> {
    let reported = error.as_db_error().filter(|error| *error.code() == SqlState::INDETERMINATE_DATATYPE)?;
    let number: usize = reported.message().split_once('$')?.1.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()?;
    number.checked_sub(1)
}

fn all_fit(params: &[Param<'_>], statement: &Statement) -> bool {
    params.iter().zip(statement.params()).all(|(param, wanted)| fits(param, wanted))
}

fn check_count(params: &[Param<'_>], statement: &Statement) -> Result<(), Error> {
    let expected = statement.params().len();
    if expected == params.len() {
        return Ok(());
    }
    Err(Error::Other(format!("the statement has {expected} placeholders, {} values were given", params.len())))
}

/// Reads a value of a row.
pub(crate) fn cell(row: &postgres::Row, index: usize) -> Result<ValueRef<'_>, ValueError> {
    row.try_get::<_, Cell<'_>>(index).map(|cell| cell.0).map_err(|error| {
        ValueError::because(
            std::error::Error::source(&error).map_or_else(|| "the statement has no such column".to_owned(), ToString::to_string),
        )
    })
}

impl Driver for PostgresDriver {
    fn dialect(&self) -> Dialect {
        Dialect::Postgres
    }

    fn query(&mut self, query: &Query<'_>, each: &mut dyn FnMut(&Row<'_>) -> ControlFlow<()>) -> Result<(), Error> {
        self.run_query(query, each)
    }

    fn execute(&mut self, query: &Query<'_>) -> Result<u64, Error> {
        self.run_execute(query, false)
    }

    fn insert_ignore(&mut self, query: &Query<'_>) -> Result<bool, Error> {
        self.run_execute(query, true).map(|inserted| inserted > 0)
    }

    fn step(&mut self, step: Step) -> Result<(), Error> {
        match step {
            Step::Begin => self.command("BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE")?,
            Step::BeginSnapshot => self.command("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")?,
            Step::Commit => self.command("COMMIT")?,
            Step::Rollback => self.command("ROLLBACK")?,
            Step::Save(depth) => self.command(&format!("SAVEPOINT s{depth}"))?,
            Step::Release(depth) => self.command(&format!("RELEASE s{depth}"))?,
            Step::Undo(depth) => self.command(&format!("ROLLBACK TO s{depth}; RELEASE s{depth}"))?,
        }
        match step {
            Step::Begin | Step::BeginSnapshot => self.open = true,
            Step::Commit | Step::Rollback => self.open = false,
            Step::Save(_) | Step::Release(_) | Step::Undo(_) => {}
        }
        Ok(())
    }

    fn script(&mut self, sql: &str) -> Result<(), Error> {
        self.command(sql)
    }

    fn limit(&mut self, limit: Limit) {
        self.hit_limit = false;
        self.deadline = match limit {
            Limit::Until(deadline) => Some(deadline),
            Limit::None | Limit::KiloSteps(_) => None,
        };
    }

    fn hit_limit(&self) -> bool {
        self.hit_limit
    }

    fn in_transaction(&self) -> bool {
        self.open
    }

    fn is_lost(&self) -> bool {
        self.lost || self.client.is_closed()
    }

    fn ping(&mut self) -> Result<(), Error> {
        self.command("")
    }
}
