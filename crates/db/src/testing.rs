//! A database for one test, on the engine that `TEST_DB` names, gone when the test ends.

#![expect(clippy::disallowed_methods, reason = "which engine tests run on is no setting of the product")]

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::{env, fs};

use crate::db::with_suffix;
use crate::servers::admin;
use crate::{Db, Durability, Error, MigrationSet, Settings, migrate};

/// A migrated database that only one test sees; dropping it removes it, also after a panic.
#[derive(Debug)]
pub struct TestDatabase {
    settings: Settings,
    /// `None` only while it is closed and opened again.
    db: Option<Db>,
    place: Place,
}

#[derive(Debug)]
enum Place {
    File(PathBuf),
    Server { url: String, name: String },
}

/// The engine of this run: `sqlite` (the default), `postgres` or `mysql`.
///
/// # Panics
/// When `TEST_DB` names something else.
pub fn engine() -> &'static str {
    match env::var("TEST_DB").as_deref() {
        Err(_) | Ok("" | "sqlite") => "sqlite",
        Ok("postgres") => "postgres",
        Ok("mysql") => "mysql",
        Ok(other) => panic!("TEST_DB={other}: use sqlite, postgres or mysql"),
    }
}

impl TestDatabase {
    /// Makes a database with these tables and opens it.
    ///
    /// # Panics
    /// When the engine of this run cannot be used.
    pub fn create(sets: &[MigrationSet]) -> TestDatabase {
        Self::create_with(sets, |_| {})
    }

    /// Makes a database with these tables and opens it with changed settings.
    ///
    /// # Panics
    /// When the engine of this run cannot be used.
    pub fn create_with(sets: &[MigrationSet], change: impl FnOnce(&mut Settings)) -> TestDatabase {
        let place = Place::new(engine());
        // A test's database need not survive a loss of power.
        let mut settings = Settings { url: place.url(), durability: Durability::Normal, max_connections: 4, ..Settings::default() };
        change(&mut settings);
        if let Place::File(path) = &place {
            fs::write(path, template(sets).as_slice()).unwrap_or_else(|error| panic!("cannot write {}: {error}", path.display()));
        }
        let mut database = TestDatabase { settings, db: None, place };
        database.open();
        if let Place::Server { .. } = database.place {
            database.db().migrate(sets).unwrap_or_else(|error| panic!("cannot migrate the test database: {error}"));
        }
        database
    }

    /// The open database.
    pub fn db(&self) -> &Db {
        self.db.as_ref().expect("the database is open outside of `restart`")
    }

    /// Where it is, to be opened once more.
    pub fn url(&self) -> String {
        self.place.url()
    }

    /// Closes the database and opens it again, as a restart of the program would.
    ///
    /// # Panics
    /// When it cannot be opened again.
    pub fn restart(&mut self) {
        self.close();
        self.open();
    }

    fn open(&mut self) {
        let opened = Db::open(self.settings.clone());
        self.db = Some(opened.unwrap_or_else(|error| panic!("cannot open the test database: {error}")));
    }

    fn close(&mut self) {
        if let Some(db) = self.db.take() {
            db.close_blocking();
        }
    }
}

impl Drop for TestDatabase {
    fn drop(&mut self) {
        self.close();
        if let Err(error) = self.place.remove() {
            eprintln!("could not remove a test database: {error}");
        }
    }
}

impl Place {
    fn new(engine: &str) -> Self {
        let name = format!("uc_test_{:x}_{:016x}", std::process::id(), crate::random());
        let server_variable = match engine {
            "postgres" => "TEST_POSTGRES_URL",
            "mysql" => "TEST_MYSQL_URL",
            _ => return Place::File(env::temp_dir().join(format!("{name}.db"))),
        };
        let server = env::var(server_variable).unwrap_or_else(|_| panic!("TEST_DB={engine} needs {server_variable}, see scripts/svc"));
        admin::create(&server, &name).unwrap_or_else(|error| panic!("cannot create a test database: {error}"));
        Place::Server { url: server, name }
    }

    fn url(&self) -> String {
        match self {
            Place::File(path) => format!("sqlite:{}", path.display()),
            Place::Server { url, name } => admin::with_database(url, name),
        }
    }

    fn remove(&self) -> Result<(), Error> {
        match self {
            Place::File(path) => {
                for suffix in ["", "-wal", "-shm", ".lock"] {
                    // Most of them do not exist.
                    drop(fs::remove_file(with_suffix(path, suffix)));
                }
                Ok(())
            }
            Place::Server { url, name } => admin::remove(url, name),
        }
    }
}

/// The bytes of a migrated empty SQLite file, made once per process and set of migrations.
fn template(sets: &[MigrationSet]) -> Arc<Vec<u8>> {
    static TEMPLATES: Mutex<Option<HashMap<String, Arc<Vec<u8>>>>> = Mutex::new(None);
    let mut templates = TEMPLATES.lock().unwrap_or_else(PoisonError::into_inner);
    let templates = templates.get_or_insert_default();
    let fingerprint = migrate::fingerprint(sets);
    if let Some(found) = templates.get(&fingerprint) {
        return Arc::clone(found);
    }
    let bytes = Arc::new(make_template(sets).unwrap_or_else(|error| panic!("cannot migrate the test database: {error}")));
    templates.insert(fingerprint, Arc::clone(&bytes));
    bytes
}

fn make_template(sets: &[MigrationSet]) -> Result<Vec<u8>, Error> {
    let place = Place::new("sqlite");
    let made = || -> Result<Vec<u8>, Error> {
        let db = Db::open(Settings { url: place.url(), durability: Durability::Normal, ..Settings::default() })?;
        let migrated = db.migrate(sets);
        // The last connection to close moves the log into the file.
        db.close_blocking();
        migrated?;
        let Place::File(path) = &place else { return Ok(Vec::new()) };
        fs::read(path).map_err(|error| Error::Unavailable(error.to_string()))
    };
    let bytes = made();
    place.remove()?;
    bytes
}
