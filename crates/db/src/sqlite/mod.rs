//! SQLite: one writer that groups commits, readers on the calling threads, a keeper that checkpoints.

mod driver;
mod errors;
mod gauge;
mod keeper;
mod readers;
mod writer;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::limits::Limit as SqliteLimit;
use rusqlite::{Connection, OpenFlags};

use driver::SqliteDriver;
pub(crate) use driver::cell;
use keeper::Keeper;
use readers::Readers;
use writer::Writer;

use crate::job::Job;
use crate::stats::Counters;
use crate::workers::{Bounds, Workers};
use crate::{Conn, Durability, Error, Settings, TransactionError};

/// Waiting for a lock that another process holds, in the writer and on threads that may block.
const BUSY: Duration = Duration::from_secs(5);
/// Waiting for a lock in a short read, which holds up an async worker; after that it moves to another thread.
const BUSY_INLINE: Duration = Duration::from_millis(20);
/// Waiting for a lock during migrations: another process may be migrating.
const BUSY_MIGRATION: Duration = Duration::from_secs(60);

/// An open SQLite database.
pub(crate) struct Sqlite {
    path: PathBuf,
    readers: Readers,
    long: Workers,
    writer: Writer,
    keeper: Keeper,
}

/// All that is needed to open one more connection.
#[derive(Clone)]
struct Opener {
    path: PathBuf,
    durability: Durability,
    slow: Duration,
    counters: Arc<Counters>,
}

/// What a connection is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    Writer,
    InlineReader,
    LongReader,
    Keeper,
    Migration,
}

impl Sqlite {
    pub(crate) fn open(path: &Path, settings: &Settings, counters: &Arc<Counters>) -> Result<Self, Error> {
        if rusqlite::version_number() < 3_045_000 {
            return Err(Error::TooOld(format!("SQLite {} is too old: 3.45 or later is needed", rusqlite::version())));
        }
        let opener = Opener {
            path: path.to_owned(),
            durability: settings.durability,
            slow: settings.slow_statement,
            counters: Arc::clone(counters),
        };
        // First, for it creates the file and makes it WAL.
        let connection = opener.connection(Role::Writer)?;
        let keeper = Keeper::start(opener.clone())?;
        let writer = Writer::start(&opener, connection, &keeper, settings)?;
        let readers = Readers::new(opener.clone(), settings.read_slots);
        let bounds = Bounds { threads: settings.read_slots.max(2), queue: settings.max_queue, deadline: settings.statement_timeout };
        let long = Workers::new(Box::new(move || opener.conn(Role::LongReader)), Arc::clone(counters), bounds);
        Ok(Self { path: path.to_owned(), readers, long, writer, keeper })
    }

    /// Runs a short read here and now; `None` when it has to run on another thread.
    pub(crate) fn read_inline<T, E, F>(&self, f: &F) -> Option<Result<T, E>>
    where
        E: TransactionError,
        F: Fn(&mut Conn) -> Result<T, E> + 'static,
    {
        self.readers.read(f)
    }

    pub(crate) fn read_long(&self, job: Box<dyn Job>) -> Result<(), Error> {
        self.long.submit(job)
    }

    pub(crate) fn write(&self, job: Box<dyn Job>) -> Result<(), Error> {
        self.writer.submit(job)
    }

    /// A connection for migrations, which waits long for others.
    pub(crate) fn migration_conn(&self) -> Result<Conn, Error> {
        self.readers.opener().conn(Role::Migration)
    }

    /// A connection that reads, for dumps.
    pub(crate) fn read_conn(&self) -> Result<Conn, Error> {
        self.long.connect()
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn keeper(&self) -> &Keeper {
        &self.keeper
    }

    /// Copies the database as it is now into a new file, without stopping writers.
    pub(crate) fn back_up(&self, target: &Path) -> Result<(), Error> {
        let source = self.readers.opener().connection(Role::LongReader)?;
        let failed = |error| errors::translate(&source, error);
        let mut copy = Connection::open(target).map_err(failed)?;
        let backup = rusqlite::backup::Backup::new(&source, &mut copy).map_err(failed)?;
        // A step holds a read lock only for its pages; writers in this process go on between two steps.
        backup.run_to_completion(2_000, Duration::from_millis(1), None).map_err(failed)
    }

    /// Lets the queues run empty, checkpoints, ends the threads.
    pub(crate) fn close(&self) {
        self.writer.close();
        self.long.close();
        self.readers.close();
        self.keeper.close();
    }
}

impl Opener {
    fn conn(&self, role: Role) -> Result<Conn, Error> {
        self.connection(role).and_then(|connection| self.wrap(connection))
    }

    fn wrap(&self, connection: Connection) -> Result<Conn, Error> {
        let driver = SqliteDriver::new(connection)?;
        Ok(Conn::new(Box::new(driver), Arc::clone(&self.counters), self.slow))
    }

    fn connection(&self, role: Role) -> Result<Connection, Error> {
        let mut flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        if role == Role::Writer {
            flags |= OpenFlags::SQLITE_OPEN_CREATE;
        }
        let named = |error: rusqlite::Error| self.named(errors::opening(&error));
        let connection = Connection::open_with_flags(&self.path, flags).map_err(named)?;
        // SQLite falls back to reading without a word, and then fails at something else.
        if connection.is_readonly("main").map_err(named)? {
            return Err(Error::ReadOnly(format!("this program may not write {}", self.path.display())));
        }
        self.prepare(&connection, role).map_err(named)?;
        Ok(connection)
    }

    fn prepare(&self, connection: &Connection, role: Role) -> rusqlite::Result<()> {
        let busy = match role {
            Role::InlineReader => BUSY_INLINE,
            Role::Migration => BUSY_MIGRATION,
            Role::Writer | Role::LongReader | Role::Keeper => BUSY,
        };
        connection.busy_timeout(busy)?;
        // Plans must not depend on bound values: SQLite would otherwise prepare a cached statement again at each bind.
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false)?;
        // "text" in double quotes is a name here, as on the other engines.
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DQS_DML, false)?;
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DQS_DDL, false)?;
        connection.set_limit(SqliteLimit::SQLITE_LIMIT_ATTACHED, 0)?;
        connection.set_prepared_statement_cache_capacity(256);
        if role == Role::Writer {
            connection.pragma_update(None, "journal_mode", "WAL")?;
        }
        let synchronous = match self.durability {
            Durability::Full => "FULL",
            Durability::Normal => "NORMAL",
        };
        // Checking every cell of a page that is read in costs a short read a thirtieth; what it would find, the writer and the long
        // readers find too.
        let check = if role == Role::InlineReader { "OFF" } else { "ON" };
        // LIKE tells a from A on the other engines too. Checkpoints are the keeper's.
        connection.execute_batch(&format!(
            "PRAGMA synchronous = {synchronous};
             PRAGMA foreign_keys = ON;
             PRAGMA case_sensitive_like = ON;
             PRAGMA temp_store = MEMORY;
             PRAGMA mmap_size = 0;
             PRAGMA cache_size = -8192;
             PRAGMA cell_size_check = {check};
             PRAGMA wal_autocheckpoint = 0;
             PRAGMA journal_size_limit = 67108864;"
        ))?;
        if matches!(role, Role::InlineReader | Role::LongReader) {
            connection.execute_batch("PRAGMA query_only = ON")?;
        }
        Ok(())
    }

    fn named(&self, error: Error) -> Error {
        let path = self.path.display();
        match error {
            Error::Unavailable(text) => Error::Unavailable(format!("{path}: {text}")),
            Error::ReadOnly(text) => Error::ReadOnly(format!("{path}: {text}")),
            Error::Other(text) => Error::Other(format!("{path}: {text}")),
            other => other,
        }
    }
}
