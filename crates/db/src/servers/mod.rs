//! PostgreSQL and MySQL/MariaDB: closures run on a pool of threads, each with a connection of its own.

pub(crate) mod admin;
mod cache;
mod loopback;
pub(crate) mod mysql;
mod mysql_errors;
pub(crate) mod postgres;
mod postgres_errors;
mod postgres_values;
mod tls;

use std::sync::Arc;
use std::time::Duration;

use crate::ddl::Types;
use crate::driver::Driver;
use crate::job::Job;
use crate::settings::Target;
use crate::stats::Counters;
use crate::workers::{Bounds, Workers};
use crate::{Conn, Error, Settings};

/// The name that a server's list of connections shows.
const APPLICATION: &str = "undercroft";
/// How long a server may take to accept a connection.
const CONNECT: Duration = Duration::from_secs(10);

/// How to connect to one server.
pub(crate) enum Connector {
    Postgres(Box<postgres::Connector>),
    Mysql(Box<mysql::Connector>),
}

/// What a server says about itself.
pub(crate) struct About {
    pub(crate) name: &'static str,
    pub(crate) version: String,
    pub(crate) types: Types,
}

impl Connector {
    pub(crate) fn new(target: &Target) -> Result<Self, Error> {
        match target {
            Target::Postgres(url) => postgres::Connector::new(url).map(|connector| Connector::Postgres(Box::new(connector))),
            Target::Mysql(url) => mysql::Connector::new(url).map(|connector| Connector::Mysql(Box::new(connector))),
            Target::Sqlite(_) => Err(Error::Url("SQLite has no server".to_owned())),
        }
    }

    /// Opens a connection whose statements may take that long; `None` means without end.
    pub(crate) fn connect(&self, timeout: Option<Duration>) -> Result<Box<dyn Driver>, Error> {
        match self {
            Connector::Postgres(connector) => connector.connect(timeout),
            Connector::Mysql(connector) => connector.connect(timeout),
        }
    }

    /// Connects once, and refuses a server that is too old.
    fn about(&self) -> Result<About, Error> {
        match self {
            Connector::Postgres(connector) => connector.about(),
            Connector::Mysql(connector) => connector.about(),
        }
    }
}

/// An open database on a server.
pub(crate) struct Server {
    about: About,
    connector: Arc<Connector>,
    workers: Workers,
    counters: Arc<Counters>,
    slow: Duration,
}

impl Server {
    pub(crate) fn open(target: &Target, settings: &Settings, counters: &Arc<Counters>) -> Result<Self, Error> {
        let connector = Arc::new(Connector::new(target)?);
        let about = off_runtime(|| connector.about())?;
        let (timeout, slow) = (settings.statement_timeout, settings.slow_statement);
        let connect = {
            let (connector, counters) = (Arc::clone(&connector), Arc::clone(counters));
            Box::new(move || connector.connect(Some(timeout)).map(|driver| Conn::new(driver, Arc::clone(&counters), slow)))
        };
        let threads = usize::try_from(settings.max_connections).unwrap_or(usize::MAX).max(1);
        let bounds = Bounds { threads, queue: settings.max_queue, deadline: timeout };
        let workers = Workers::new(connect, Arc::clone(counters), bounds);
        Ok(Self { about, connector, workers, counters: Arc::clone(counters), slow })
    }

    pub(crate) fn submit(&self, job: Box<dyn Job>) -> Result<(), Error> {
        self.workers.submit(job)
    }

    pub(crate) fn name(&self) -> &'static str {
        self.about.name
    }

    pub(crate) fn version(&self) -> &str {
        &self.about.version
    }

    pub(crate) fn types(&self) -> Types {
        self.about.types
    }

    pub(crate) fn close(&self) {
        self.workers.close();
    }

    /// Runs something on a connection of its own, without a deadline.
    pub(crate) fn with_conn<T: Send>(&self, f: impl FnOnce(&mut Conn) -> Result<T, Error> + Send) -> Result<T, Error> {
        off_runtime(|| {
            let driver = self.connector.connect(None)?;
            f(&mut Conn::new(driver, Arc::clone(&self.counters), self.slow))
        })
    }

    /// Like [`with_conn`](Self::with_conn), while no other process does; the lock ends with the connection.
    pub(crate) fn with_migration_lock<T: Send>(&self, f: impl FnOnce(&mut Conn) -> Result<T, Error> + Send) -> Result<T, Error> {
        self.with_conn(|conn| {
            match &*self.connector {
                Connector::Postgres(_) => postgres::lock_migrations(conn),
                Connector::Mysql(_) => mysql::lock_migrations(conn),
            }?;
            f(conn)
        })
    }
}

/// Runs something that blocks on a thread of its own: the PostgreSQL driver must not meet the caller's runtime, not even when dropped.
pub(crate) fn off_runtime<T: Send>(f: impl FnOnce() -> Result<T, Error> + Send) -> Result<T, Error> {
    std::thread::scope(|scope| scope.spawn(f).join()).unwrap_or(Err(Error::Panicked))
}
