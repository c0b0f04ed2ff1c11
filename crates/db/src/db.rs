//! The handle that everything above holds.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::sync::oneshot;

use crate::ddl::Types;
use crate::driver::Step;
use crate::job::Job;
use crate::servers::Server;
use crate::settings::Target;
use crate::sql::Dialect;
use crate::sqlite::Sqlite;
use crate::stats::{Counters, Stats};
use crate::{
    AppliedMigration, ColumnInfo, Conn, Error, MigrationSet, PendingMigration, Settings, TransactionError, Tx, Value, job, migrate, schema,
};

/// A database; cheap to clone.
///
/// ```
/// # fn main() -> Result<(), db::Error> {
/// # let folder = std::env::temp_dir().join(format!("db-doc-{}", std::process::id()));
/// # std::fs::create_dir_all(&folder).unwrap();
/// # let url = format!("sqlite:{}", folder.join("app.db").display());
/// use db::{Db, MigrationSet, Settings, migrations, params};
///
/// const NOTES: MigrationSet = MigrationSet {
///     module: "notes",
///     migrations: migrations![(1, "notes", "CREATE TABLE notes (id {int} PRIMARY KEY, body {text} NOT NULL)")],
/// };
///
/// let db = Db::open(Settings { url, ..Settings::default() })?;
/// db.migrate(&[NOTES])?;
/// db.write_blocking(|tx| tx.execute("INSERT INTO notes (id, body) VALUES (?, ?)", params![1, "Hello"]))?;
/// let body: String = db.read_blocking(|c| c.one("SELECT body FROM notes WHERE id = ?", params![1]))?;
/// assert_eq!(body, "Hello");
/// # db.close_blocking();
/// # std::fs::remove_dir_all(&folder).unwrap();
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Db {
    inner: Arc<Inner>,
}

struct Inner {
    engine: Engine,
    counters: Arc<Counters>,
}

enum Engine {
    Sqlite(Sqlite),
    Server(Server),
}

/// Held by the process that serves; a second one is refused while it lives.
#[derive(Debug)]
pub struct ServingLock {
    /// Locked until it is dropped; a database server needs none.
    _file: Option<File>,
}

impl std::fmt::Debug for Db {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Db").field("engine", &self.engine_name()).finish_non_exhaustive()
    }
}

impl Db {
    /// Opens a database, and creates it if it is a file that does not exist; blocks.
    pub fn open(settings: Settings) -> Result<Db, Error> {
        let target = Target::parse(&settings.url)?;
        let counters = Arc::new(Counters::default());
        let engine = match target {
            Target::Sqlite(path) => Engine::Sqlite(Sqlite::open(&path, &settings, &counters)?),
            server => Engine::Server(Server::open(&server, &settings, &counters)?),
        };
        Ok(Db { inner: Arc::new(Inner { engine, counters }) })
    }

    /// Claims the database for this process to serve; a second claim on a SQLite file is refused.
    pub fn lock_for_serving(&self) -> Result<ServingLock, Error> {
        match &self.inner.engine {
            Engine::Sqlite(sqlite) => lock(sqlite.path()).map(|file| ServingLock { _file: Some(file) }),
            Engine::Server(_) => Ok(ServingLock { _file: None }),
        }
    }

    /// Runs a read: on SQLite here and now, moved to another thread when it turns out long.
    ///
    /// All that the closure reads is one state of the database. It may be run more than once.
    pub async fn read<T, E, F>(&self, f: F) -> Result<T, E>
    where
        T: Send + 'static,
        E: TransactionError,
        F: Fn(&mut Conn) -> Result<T, E> + Send + Sync + 'static,
    {
        if let Engine::Sqlite(sqlite) = &self.inner.engine
            && let Some(result) = sqlite.read_inline(&f)
        {
            return result;
        }
        // Boxed, so that the rare detour does not make every caller's future large: futures are moved, and moving copies.
        Box::pin(self.read_long(f)).await
    }

    /// Runs a read that is known to be long (search, reports, exports) on another thread.
    pub async fn read_long<T, E, F>(&self, f: F) -> Result<T, E>
    where
        T: Send + 'static,
        E: TransactionError,
        F: Fn(&mut Conn) -> Result<T, E> + Send + Sync + 'static,
    {
        let (job, receiver) = job::read(f);
        self.submit_read(job)?;
        job::answer(receiver).await
    }

    /// Runs a transaction that writes; the answer comes when it is durable.
    ///
    /// The closure must have no effect outside of the database: it is run again after a conflict. Nor may it wait for another
    /// write: on SQLite that one would be queued behind it.
    pub async fn write<T, E, F>(&self, f: F) -> Result<T, E>
    where
        T: Send + 'static,
        E: TransactionError,
        F: Fn(&mut Tx<'_>) -> Result<T, E> + Send + Sync + 'static,
    {
        let (job, receiver) = job::write(f);
        self.submit_write(job)?;
        job::answer(receiver).await
    }

    /// Runs a read and blocks this thread until it is done: for the command line and tests.
    pub fn read_blocking<T, E, F>(&self, f: F) -> Result<T, E>
    where
        T: Send + 'static,
        E: TransactionError,
        F: Fn(&mut Conn) -> Result<T, E> + Send + Sync + 'static,
    {
        let (job, receiver) = job::read_blocking(f);
        self.submit_read(job)?;
        job::answer_blocking(&receiver)
    }

    /// Runs a transaction that writes and blocks this thread until it is durable: for the command line and tests.
    pub fn write_blocking<T, E, F>(&self, f: F) -> Result<T, E>
    where
        T: Send + 'static,
        E: TransactionError,
        F: Fn(&mut Tx<'_>) -> Result<T, E> + Send + Sync + 'static,
    {
        let (job, receiver) = job::write_blocking(f);
        self.submit_write(job)?;
        job::answer_blocking(&receiver)
    }

    fn submit_read(&self, job: Box<dyn Job>) -> Result<(), Error> {
        match &self.inner.engine {
            Engine::Sqlite(sqlite) => sqlite.read_long(job),
            Engine::Server(server) => server.submit(job),
        }
    }

    fn submit_write(&self, job: Box<dyn Job>) -> Result<(), Error> {
        match &self.inner.engine {
            Engine::Sqlite(sqlite) => sqlite.write(job),
            Engine::Server(server) => server.submit(job),
        }
    }

    /// Brings the schema up to date and tells what was applied; blocks.
    ///
    /// Refuses a database that is newer than this program, and a migration that was edited after it had been applied.
    pub fn migrate(&self, sets: &[MigrationSet]) -> Result<Vec<AppliedMigration>, Error> {
        let types = self.types();
        self.with_conn(Purpose::Migration, |conn| migrate::apply(conn, types, sets))
    }

    /// Lists the migrations that are missing, without applying any; blocks.
    pub fn pending_migrations(&self, sets: &[MigrationSet]) -> Result<Vec<PendingMigration>, Error> {
        self.with_conn(Purpose::Reading, |conn| {
            let has_ledger = schema::columns(conn)?.iter().any(|column| column.table == "db_migrations");
            migrate::pending(conn, has_ledger, sets)
        })
    }

    /// Asks the database for a sign of life.
    pub async fn ping(&self) -> Result<(), Error> {
        self.read(|c| c.one::<i64>("SELECT 1", &[]).map(drop)).await
    }

    /// The engine's name, for people; never to branch on.
    pub fn engine_name(&self) -> &'static str {
        match &self.inner.engine {
            Engine::Sqlite(_) => "SQLite",
            Engine::Server(server) => server.name(),
        }
    }

    /// The engine's version, for people.
    pub fn engine_version(&self) -> &str {
        match &self.inner.engine {
            Engine::Sqlite(_) => rusqlite::version(),
            Engine::Server(server) => server.version(),
        }
    }

    /// What this handle has done so far.
    pub fn stats(&self) -> Stats {
        self.inner.counters.read()
    }

    /// Lets what waits run, then closes all connections; later calls get [`Error::Closed`].
    pub async fn close(&self) {
        let this = self.clone();
        let (done, receiver) = oneshot::channel();
        // Not the runtime's blocking pool: the runtime may be on its way down.
        let closing = std::thread::Builder::new().name("db-close".to_owned()).spawn(move || {
            this.close_blocking();
            done.send(())
        });
        if closing.is_err() || receiver.await.is_err() {
            tracing::error!("the database did not close well");
        }
    }

    /// Like [`close`](Db::close), and blocks this thread.
    pub fn close_blocking(&self) {
        match &self.inner.engine {
            Engine::Sqlite(sqlite) => sqlite.close(),
            Engine::Server(server) => server.close(),
        }
    }

    /// Moves what SQLite's log holds into its file; nothing to do on a server. A thread does it by itself when the log has grown.
    pub async fn checkpoint(&self) -> Result<(), Error> {
        match &self.inner.engine {
            Engine::Sqlite(sqlite) => sqlite.keeper().checkpoint().await,
            Engine::Server(_) => Ok(()),
        }
    }

    /// Copies a SQLite database as it is now into a new file, while writers go on; blocks. Servers have tools of their own.
    pub fn back_up(&self, target: &Path) -> Result<(), Error> {
        match &self.inner.engine {
            Engine::Sqlite(sqlite) => sqlite.back_up(target),
            Engine::Server(_) => Err(Error::Other("use the database server's own backup tools".to_owned())),
        }
    }

    /// Reads every value of every table as (`table.column`, value); blocks.
    pub fn dump_text(&self) -> Result<Vec<(String, Value)>, Error> {
        self.with_conn(Purpose::Reading, schema::dump)
    }

    /// Describes every column of every table; blocks.
    pub fn columns(&self) -> Result<Vec<ColumnInfo>, Error> {
        self.with_conn(Purpose::Reading, schema::columns)
    }

    pub(crate) fn types(&self) -> Types {
        match &self.inner.engine {
            Engine::Sqlite(_) => Types { dialect: Dialect::Sqlite, collation: "" },
            Engine::Server(server) => server.types(),
        }
    }

    /// Runs something on a connection of its own, without a deadline.
    fn with_conn<T: Send>(&self, purpose: Purpose, f: impl FnOnce(&mut Conn) -> Result<T, Error> + Send) -> Result<T, Error> {
        match (&self.inner.engine, purpose) {
            (Engine::Sqlite(sqlite), Purpose::Migration) => f(&mut sqlite.migration_conn()?),
            (Engine::Sqlite(sqlite), Purpose::Reading) => in_snapshot(&mut sqlite.read_conn()?, f),
            (Engine::Server(server), Purpose::Migration) => server.with_migration_lock(f),
            (Engine::Server(server), Purpose::Reading) => server.with_conn(|conn| in_snapshot(conn, f)),
        }
    }
}

#[derive(Debug, Clone, Copy)]
enum Purpose {
    Migration,
    Reading,
}

fn in_snapshot<T>(conn: &mut Conn, f: impl FnOnce(&mut Conn) -> Result<T, Error>) -> Result<T, Error> {
    conn.driver.step(Step::BeginSnapshot)?;
    let result = f(conn);
    conn.roll_back();
    result
}

/// Locks the file beside the database: the database's own locks are held for moments only.
fn lock(path: &Path) -> Result<File, Error> {
    let lock_path = with_suffix(path, ".lock");
    let named = |error: std::io::Error| Error::ReadOnly(format!("cannot create {}: {error}", lock_path.display()));
    let file = File::options().create(true).truncate(false).write(true).open(&lock_path).map_err(named)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(std::fs::TryLockError::WouldBlock) => Err(Error::Locked(format!(
            "another process serves the database {}; SQLite is for one node, use a database server for more",
            path.display()
        ))),
        Err(std::fs::TryLockError::Error(error)) => Err(named(error)),
    }
}

pub(crate) fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}
