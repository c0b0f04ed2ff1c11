//! What every verb that touches the data does first: settings, data folder, key file, database.

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use db::Db;
use kernel::messages::MailSettings;
use kernel::platform::{DatabaseSettings, HttpSettings, LogSettings, PlatformSettings, unsafe_settings};
use kernel::seal::{KeyFileError, Keyring};
use kernel::settings::Source;
use kernel::{App, Clock, Launch, Plan, Random};

use crate::cli::Given;
use crate::outcome::{Failure, Outcome};

/// The settings file that is read without being named.
pub(crate) const CONFIG_FILE: &str = "undercroft.toml";

/// The settings that starting needs, all of them known to be readable.
pub(crate) struct Settings {
    pub(crate) source: Source,
    pub(crate) platform: PlatformSettings,
    pub(crate) http: HttpSettings,
    pub(crate) log: LogSettings,
    pub(crate) mail: MailSettings,
    database: DatabaseSettings,
}

impl Settings {
    /// Reads the settings of all modules, and refuses all that is wrong with them at once.
    pub(crate) fn read(plan: &Plan, given: Given) -> Outcome<Settings> {
        Settings::of(plan, source(given)?)
    }

    fn of(plan: &Plan, source: Source) -> Outcome<Settings> {
        plan.check_settings(&source)?;
        Ok(Settings {
            platform: source.section()?,
            http: source.section()?,
            log: source.section()?,
            mail: source.section()?,
            database: source.section()?,
            source,
        })
    }

    /// The same settings for a server whose port the system chose.
    pub(crate) fn listening_at(self, plan: &Plan, address: SocketAddr) -> Outcome<Settings> {
        if !self.http.listen.ends_with(":0") {
            return Ok(self);
        }
        Settings::of(plan, self.source.with_flag("http.listen", address.to_string()))
    }

    /// Refuses what would be unsafe in production (POS-15).
    pub(crate) fn refuse_unsafe(&self) -> Outcome {
        let sentences = unsafe_settings(&self.platform, &self.http, &self.mail);
        if sentences.is_empty() { Ok(()) } else { Err(Failure::because(sentences)) }
    }

    pub(crate) fn data_dir(&self) -> &Path {
        Path::new(&self.platform.data_dir)
    }

    pub(crate) fn key_file(&self) -> PathBuf {
        match self.platform.key_file.as_str() {
            "" => self.data_dir().join("key"),
            path => PathBuf::from(path),
        }
    }

    pub(crate) fn database(&self) -> db::Settings {
        self.database.to_db(format!("sqlite:{}", self.data_dir().join("undercroft.db").display()))
    }
}

/// The raw settings: the file, the environment, the flags.
pub(crate) fn source(given: Given) -> Outcome<Source> {
    let default = Path::new(CONFIG_FILE);
    let file = given.config.as_deref().or_else(|| default.exists().then_some(default));
    Ok(Source::read(file, given.env, given.flags)?)
}

/// An open database and the keys that go with it.
pub(crate) struct Store {
    pub(crate) db: Db,
    pub(crate) keyring: Keyring,
}

impl Store {
    /// Opens the database, and makes folder, key file and database on the first run.
    ///
    /// A key is made only where nothing was sealed yet: beside a database with tables a missing key file is a loss, and a new one
    /// would hide it (DAT-3).
    pub(crate) fn open(settings: &Settings) -> Outcome<Store> {
        refuse_file_as_folder(settings.data_dir())?;
        let database = settings.database();
        let keyring = match Keyring::load(settings.key_file()) {
            Err(KeyFileError::Missing(_)) => None,
            other => Some(other?),
        };
        if database.file().is_some_and(|file| !file.exists()) {
            // The key comes first: a database without one would be refused at the next start.
            let keyring = keyring.map_or_else(|| make_key(settings), Ok)?;
            make_folder(settings.data_dir())?;
            return Ok(Store { db: open(database)?, keyring });
        }
        let db = open(database)?;
        let keyring = match keyring {
            Some(keyring) => keyring,
            None if has_tables(&db)? => {
                db.close_blocking();
                return Err(KeyFileError::Missing(settings.key_file()).into());
            }
            None => make_key(settings)?,
        };
        Ok(Store { db, keyring })
    }

    /// Opens the database as [`Store::open`] does, unless that would make one which then may not be filled.
    pub(crate) fn open_to_use(settings: &Settings, plan: &Plan) -> Outcome<Store> {
        let is_new = settings.database().file().is_some_and(|file| !file.exists());
        if is_new && !settings.platform.auto_migrate {
            return Err(behind(plan.migrations().iter().map(|set| set.migrations.len()).sum()));
        }
        Store::open(settings)
    }

    /// Brings the database up to date, or refuses one that is not when the settings say so.
    pub(crate) fn bring_up_to_date(&self, settings: &Settings, plan: &Plan) -> Outcome {
        if settings.platform.auto_migrate {
            return self.migrate(plan).map(drop);
        }
        match self.missing(plan)?.len() {
            0 => Ok(()),
            count => Err(behind(count)),
        }
    }

    /// Opens what is there, and makes nothing.
    pub(crate) fn open_existing(settings: &Settings) -> Outcome<Store> {
        let database = settings.database();
        if let Some(file) = database.file().filter(|file| !file.exists()) {
            return Err(format!("There is no database {} yet: serve or migrate makes it.", file.display()).into());
        }
        let keyring = Keyring::load(settings.key_file())?;
        Ok(Store { db: open(database)?, keyring })
    }

    /// Applies what is missing, and lists it.
    pub(crate) fn migrate(&self, plan: &Plan) -> Outcome<Vec<String>> {
        let applied = self.db.migrate(plan.migrations()).map_err(sentence)?;
        Ok(applied.iter().map(|done| format!("{} {:04}_{}", done.module, done.number, done.name)).collect())
    }

    /// Lists what is missing.
    pub(crate) fn missing(&self, plan: &Plan) -> Outcome<Vec<String>> {
        let missing = self.db.pending_migrations(plan.migrations()).map_err(sentence)?;
        Ok(missing.iter().map(|missing| format!("{} {:04}_{}", missing.module, missing.number, missing.name)).collect())
    }

    /// The app over this database.
    pub(crate) fn app(self, plan: Plan, settings: Settings) -> Outcome<App> {
        let launch =
            Launch { source: settings.source, db: self.db, keyring: self.keyring, clock: Clock::system(), random: Random::system() };
        Ok(App::build(plan, launch)?)
    }
}

fn open(settings: db::Settings) -> Outcome<Db> {
    let place = settings.file().map_or_else(|| "of database.url".to_owned(), |file| file.display().to_string());
    Db::open(settings).map_err(|error| format!("The database {place} cannot be opened: {error}.").into())
}

fn has_tables(db: &Db) -> Outcome<bool> {
    Ok(!db.columns().map_err(sentence)?.is_empty())
}

/// A database error for people: a sentence.
pub(crate) fn sentence(error: db::Error) -> Failure {
    let text = error.to_string();
    let mut letters = text.chars();
    let text: String = letters.next().into_iter().flat_map(char::to_uppercase).chain(letters).collect();
    format!("{text}.").into()
}

fn behind(count: usize) -> Failure {
    format!("The database is not up to date, it lacks migrations ({count}): run the verb migrate, or set auto_migrate = true.").into()
}

fn make_key(settings: &Settings) -> Outcome<Keyring> {
    make_folder(settings.data_dir())?;
    Ok(Keyring::create(settings.key_file())?)
}

/// The key file would be missed for the wrong reason otherwise.
fn refuse_file_as_folder(path: &Path) -> Outcome {
    match path.ancestors().find(|ancestor| ancestor.exists()) {
        Some(found) if !found.is_dir() => {
            Err(format!("The data folder cannot be {}, since {} is a file. Set data_dir.", path.display(), found.display()).into())
        }
        _ => Ok(()),
    }
}

/// Makes the data folder for this account alone; one that exists is left as it is.
fn make_folder(path: &Path) -> Outcome {
    let mut builder = fs::DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    let made = match path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        Some(parent) => fs::create_dir_all(parent).and_then(|()| builder.create(path)),
        None => builder.create(path),
    };
    match made {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists || !path.is_dir() => {
            Err(format!("The data folder {} cannot be made: {error}. Set data_dir.", path.display()).into())
        }
        _ => Ok(()),
    }
}
