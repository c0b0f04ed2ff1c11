//! One MySQL or MariaDB connection behind the common interface.

use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use mysql::consts::{CapabilityFlags, ColumnType};
use mysql::prelude::Queryable;
use mysql::{Opts, OptsBuilder, Params, SslOpts, Statement};

use super::cache::{Key, Statements, text};
use super::mysql_errors::{happened_before, translate};
use super::tls::{self, Mode};
use super::{APPLICATION, About, CONNECT};
use crate::ddl::Types;
use crate::driver::{Driver, Limit, Query, Step};
use crate::row::{Cells, check_columns, foreign};
use crate::sql::Dialect;
use crate::value::{ValueError, ValueRef};
use crate::{Conn, Error, Param, Row};

/// Strict about values, and as near to standard SQL as the server can be.
const SQL_MODE: &str = "STRICT_ALL_TABLES,NO_ZERO_DATE,NO_ZERO_IN_DATE,ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION,\
    ONLY_FULL_GROUP_BY,ANSI_QUOTES,PIPES_AS_CONCAT,NO_BACKSLASH_ESCAPES";
/// The character set that means bytes.
const BINARY: u16 = 63;
/// Added to the statement's time-out before the client gives up on the server.
const GRACE: Duration = Duration::from_secs(5);
/// Waiting for a row that another transaction locked.
const LOCK_WAIT_SECS: u64 = 10;

/// How to connect to one MySQL or MariaDB database.
pub(crate) struct Connector {
    opts: Opts,
    mode: Mode,
    roots: Option<PathBuf>,
    flavour: OnceLock<Flavour>,
}

/// Which of the two it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Flavour {
    is_mariadb: bool,
    /// Binary and without padding: 'a' and 'a ' are two texts.
    collation: &'static str,
}

impl Flavour {
    fn of(version: &str) -> Result<Self, Error> {
        let is_mariadb = version.contains("MariaDB");
        let (name, least) = if is_mariadb { ("MariaDB", [10, 6, 0]) } else { ("MySQL", [8, 0, 16]) };
        // Some MariaDB servers put an old MySQL version in front.
        let number = version.strip_prefix("5.5.5-").unwrap_or(version);
        let mut parts = number.split(['.', '-']).map(|part| part.parse::<u32>().unwrap_or(0));
        let found = [(); 3].map(|()| parts.next().unwrap_or(0));
        if found < least {
            let [major, minor, patch] = least;
            return Err(Error::TooOld(format!("{name} {version} is too old: {major}.{minor}.{patch} or later is needed")));
        }
        Ok(Self { is_mariadb, collation: if is_mariadb { "utf8mb4_nopad_bin" } else { "utf8mb4_0900_bin" } })
    }
}

impl Connector {
    pub(crate) fn new(url: &url::Url) -> Result<Self, Error> {
        let (url, [mode, roots]) = tls::take(url, ["ssl-mode", "ssl-ca"]);
        let mode = Mode::parse(mode.as_deref(), url.host_str())?;
        // The driver's message may quote the URL, password and all.
        let opts = Opts::from_url(url.as_str()).map_err(|_| Error::Url("MySQL cannot use the database URL".to_owned()))?;
        if mode != Mode::Disable {
            tls::ensure_process_provider();
        }
        Ok(Self { opts, mode, roots: roots.map(PathBuf::from), flavour: OnceLock::new() })
    }

    fn client(&self, timeout: Option<Duration>) -> Result<mysql::Conn, Error> {
        let connected = mysql::Conn::new(self.builder(timeout, self.mode));
        let no_tls = |error: &mysql::Error| matches!(error, mysql::Error::DriverError(mysql::DriverError::TlsNotSupported));
        match connected {
            Err(error) if self.mode == Mode::Prefer && no_tls(&error) => mysql::Conn::new(self.builder(timeout, Mode::Disable)),
            other => other,
        }
        .map_err(|error| match translate(&error, "").error {
            Error::Other(text) => Error::Unavailable(text),
            other => other,
        })
    }

    fn builder(&self, timeout: Option<Duration>, mode: Mode) -> OptsBuilder {
        let socket_timeout = timeout.map(|timeout| timeout + GRACE);
        let attributes = [("program_name", APPLICATION)].into_iter().collect();
        OptsBuilder::from_opts(self.opts.clone())
            .additional_capabilities(CapabilityFlags::CLIENT_FOUND_ROWS)
            .ssl_opts(self.ssl(mode))
            // Otherwise it would move from TCP to a socket file that the server names, without TLS.
            .prefer_socket(false)
            .stmt_cache_size(0)
            .tcp_connect_timeout(Some(CONNECT))
            .tcp_keepalive_time_ms(Some(30_000))
            .read_timeout(socket_timeout)
            .write_timeout(socket_timeout)
            .connect_attrs(Some(attributes))
    }

    fn ssl(&self, mode: Mode) -> Option<SslOpts> {
        let opts = SslOpts::default().with_root_cert_path(self.roots.clone());
        match mode {
            Mode::Disable => None,
            Mode::Prefer | Mode::Require => Some(opts.with_danger_accept_invalid_certs(true).with_danger_skip_domain_validation(true)),
            Mode::VerifyFull => Some(opts),
        }
    }

    pub(crate) fn connect(&self, timeout: Option<Duration>) -> Result<Box<dyn Driver>, Error> {
        let mut client = self.client(timeout)?;
        let failed = |error: mysql::Error| translate(&error, "").error;
        let flavour = match self.flavour.get() {
            Some(flavour) => *flavour,
            None => Flavour::of(&version(&mut client)?)?,
        };
        client.query_drop(session(flavour, timeout)).map_err(failed)?;
        Ok(Box::new(MysqlDriver { client, statements: Statements::new(), deadline: None, hit_limit: false, open: false, lost: false }))
    }

    pub(crate) fn about(&self) -> Result<About, Error> {
        let version = version(&mut self.client(Some(CONNECT))?)?;
        let flavour = Flavour::of(&version)?;
        // Two at once find the same.
        let _ = self.flavour.set(flavour);
        let name = if flavour.is_mariadb { "MariaDB" } else { "MySQL" };
        Ok(About { name, version, types: Types { dialect: Dialect::Mysql, collation: flavour.collation } })
    }
}

fn version(client: &mut mysql::Conn) -> Result<String, Error> {
    let version = client.query_first("SELECT VERSION()").map_err(|error| translate(&error, "").error)?;
    version.ok_or_else(|| Error::Other("the server does not tell its version".to_owned()))
}

/// What every session begins with, in one round trip.
fn session(flavour: Flavour, timeout: Option<Duration>) -> String {
    let millis = timeout.map_or(0, |timeout| timeout.as_millis().max(1));
    // Recursion past a thousand rows is an error in MySQL and, worse, a shorter answer in MariaDB.
    let limit = if flavour.is_mariadb {
        format!("max_statement_time = {}.{:03}, max_recursive_iterations = 4294967295", millis / 1_000, millis % 1_000)
    } else {
        // Applies to SELECT only; for the rest there is the lock wait and the socket's own time-out.
        format!("max_execution_time = {millis}, cte_max_recursion_depth = 4294967295")
    };
    let lock_wait = timeout.map_or(LOCK_WAIT_SECS, |timeout| timeout.as_secs().clamp(1, LOCK_WAIT_SECS));
    // Without a deadline it is a connection that changes the schema; all others write in transactions only.
    let access = if timeout.is_some() { "READ ONLY" } else { "READ WRITE" };
    format!(
        "SET NAMES utf8mb4 COLLATE {}; SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED, {access}; \
         SET SESSION sql_mode = '{SQL_MODE}', time_zone = '+00:00', innodb_lock_wait_timeout = {lock_wait}, {limit}",
        flavour.collation
    )
}

/// Waits until no other process migrates this database; held until the connection ends.
pub(super) fn lock_migrations(conn: &mut Conn) -> Result<(), Error> {
    let locked: Option<bool> = conn.one("SELECT GET_LOCK(CONCAT('undercroft ', MD5(DATABASE())), 600)", &[])?;
    if locked == Some(true) {
        Ok(())
    } else {
        Err(Error::Locked("another process has been migrating this database for ten minutes".to_owned()))
    }
}

struct MysqlDriver {
    client: mysql::Conn,
    statements: Statements<Statement>,
    deadline: Option<Instant>,
    hit_limit: bool,
    open: bool,
    lost: bool,
}

impl MysqlDriver {
    fn prepare(&mut self, query: &Query<'_>) -> Result<Statement, Error> {
        if self.deadline.is_some_and(|deadline| Instant::now() >= deadline) {
            self.hit_limit = true;
            return Err(Error::Interrupted);
        }
        let key = Key::new(query.sql, Dialect::Mysql, false);
        let statement = match self.statements.get(&key) {
            Some(statement) => statement,
            None => {
                let text = text(query.sql, Dialect::Mysql, false);
                let prepared = self.client.prep(&text);
                let statement = self.check(prepared, &text)?;
                if let Some(old) = self.statements.put(key, statement.clone()) {
                    let closed = self.client.close(old);
                    self.check(closed, "")?;
                }
                statement
            }
        };
        let expected = usize::from(statement.num_params());
        if expected != query.params.len() {
            return Err(Error::Other(format!("the statement has {expected} placeholders, {} values were given", query.params.len())));
        }
        Ok(statement)
    }

    fn check<T>(&mut self, outcome: mysql::Result<T>, sql: &str) -> Result<T, Error> {
        outcome.map_err(|error| {
            let translated = translate(&error, sql);
            self.lost |= translated.lost;
            self.hit_limit |= matches!(translated.error, Error::Interrupted);
            translated.error
        })
    }

    fn command(&mut self, text: &str) -> Result<(), Error> {
        let outcome = self.client.query_drop(text);
        self.check(outcome, text)
    }
}

fn bind(params: &[Param<'_>]) -> Params {
    if params.is_empty() {
        return Params::Empty;
    }
    let value = |param: &Param<'_>| match param {
        Param::Null => mysql::Value::NULL,
        Param::Int(int) => mysql::Value::Int(*int),
        Param::Text(text) => mysql::Value::Bytes(text.as_bytes().to_vec()),
        Param::Bytes(bytes) => mysql::Value::Bytes(bytes.to_vec()),
        Param::Id(id) => mysql::Value::Bytes(id.to_vec()),
    };
    Params::Positional(params.iter().map(value).collect())
}

/// Reads a value of a row.
pub(crate) fn cell(row: &mysql::Row, index: usize) -> Result<ValueRef<'_>, ValueError> {
    let (Some(value), Some(column)) = (row.as_ref(index), row.columns_ref().get(index)) else {
        return Err(ValueError::because("the statement has no such column"));
    };
    match value {
        mysql::Value::NULL => Ok(ValueRef::Null),
        mysql::Value::Int(int) => Ok(ValueRef::Int(*int)),
        mysql::Value::UInt(int) => {
            i64::try_from(*int).map(ValueRef::Int).map_err(|_| ValueError::because("the integer does not fit into 64 bits"))
        }
        mysql::Value::Bytes(bytes) => match column.column_type() {
            ColumnType::MYSQL_TYPE_DECIMAL | ColumnType::MYSQL_TYPE_NEWDECIMAL => decimal(bytes),
            _ if column.character_set() == BINARY => Ok(ValueRef::Bytes(bytes)),
            _ => str::from_utf8(bytes).map(ValueRef::Text).map_err(|_| ValueError::because("the text is not UTF-8")),
        },
        mysql::Value::Float(_) | mysql::Value::Double(_) => foreign("DOUBLE"),
        mysql::Value::Date(..) | mysql::Value::Time(..) => foreign("DATETIME"),
    }
}

/// Reads a decimal without a fraction: what `SUM` over integers makes.
fn decimal(text: &[u8]) -> Result<ValueRef<'static>, ValueError> {
    let text = str::from_utf8(text).map_err(|_| ValueError::because("the number is not text"))?;
    let whole = match text.split_once('.') {
        Some((whole, fraction)) if fraction.bytes().all(|digit| digit == b'0') => whole,
        Some(_) => return Err(ValueError::because("the number has a fraction")),
        None => text,
    };
    whole.parse().map(ValueRef::Int).map_err(|_| ValueError::because("the number does not fit into 64 bits"))
}

impl Driver for MysqlDriver {
    fn dialect(&self) -> Dialect {
        Dialect::Mysql
    }

    fn query(&mut self, query: &Query<'_>, each: &mut dyn FnMut(&Row<'_>) -> ControlFlow<()>) -> Result<(), Error> {
        let statement = self.prepare(query)?;
        if cfg!(debug_assertions) {
            let columns = statement.columns();
            let names: Vec<_> = columns.iter().map(|column| column.name_str()).collect();
            check_columns(query.columns, names.iter().map(AsRef::as_ref))?;
        }
        let outcome = self.client.exec_iter(&statement, bind(query.params)).and_then(|mut rows| {
            for row in rows.by_ref() {
                if each(&Row(Cells::Mysql(&row?))).is_break() {
                    break;
                }
            }
            Ok(())
        });
        self.check(outcome, query.sql.text(Dialect::Mysql))
    }

    fn execute(&mut self, query: &Query<'_>) -> Result<u64, Error> {
        let statement = self.prepare(query)?;
        let outcome = self.client.exec_iter(&statement, bind(query.params)).map(|result| result.affected_rows());
        self.check(outcome, query.sql.text(Dialect::Mysql))
    }

    fn insert_ignore(&mut self, query: &Query<'_>) -> Result<bool, Error> {
        // `INSERT IGNORE` would ignore far more: a value that is too long would be cut.
        match self.execute(query) {
            Ok(inserted) => Ok(inserted > 0),
            Err(Error::Unique { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn step(&mut self, step: Step) -> Result<(), Error> {
        match step {
            Step::Begin => self.command("START TRANSACTION READ WRITE")?,
            Step::BeginSnapshot => {
                self.command("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ; START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY")?;
            }
            Step::Commit => self.command("COMMIT")?,
            Step::Rollback => self.command("ROLLBACK")?,
            Step::Save(depth) => self.command(&format!("SAVEPOINT s{depth}"))?,
            Step::Release(depth) => self.command(&format!("RELEASE SAVEPOINT s{depth}"))?,
            Step::Undo(depth) => self.command(&format!("ROLLBACK TO SAVEPOINT s{depth}; RELEASE SAVEPOINT s{depth}"))?,
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

    fn script_again(&mut self, sql: &str) -> Result<(), Error> {
        match self.client.query_drop(sql) {
            Err(error) if happened_before(&error) => Ok(()),
            other => self.check(other, sql),
        }
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
        self.lost
    }

    fn ping(&mut self) -> Result<(), Error> {
        let outcome = self.client.ping();
        self.check(outcome, "")
    }
}

#[cfg(test)]
mod tests {
    use super::Flavour;
    use crate::Error;

    #[test]
    fn servers_that_are_too_old_are_refused_with_a_sentence() {
        for version in ["8.0.16", "8.4.3-commercial", "9.1.0", "10.6.1-MariaDB", "10.11.14-MariaDB-0+deb12u2", "5.5.5-10.6.12-MariaDB-log"]
        {
            assert!(Flavour::of(version).is_ok(), "{version}");
        }
        for version in ["8.0.15", "5.7.44-log", "10.5.9-MariaDB", "5.5.5-10.3.2-MariaDB"] {
            assert!(matches!(Flavour::of(version), Err(Error::TooOld(text)) if text.contains("too old")), "{version}");
        }
    }

    #[test]
    fn the_two_servers_have_different_collations() {
        assert_eq!(Flavour::of("8.0.40").map(|flavour| flavour.collation).ok(), Some("utf8mb4_0900_bin"));
        assert_eq!(Flavour::of("11.4.2-MariaDB").map(|flavour| flavour.collation).ok(), Some("utf8mb4_nopad_bin"));
    }
}
