//! What can be chosen about a database: where it is, how durable, how many at once.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use crate::Error;

/// What an acknowledged write on SQLite survives; servers keep their own setting.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Durability {
    /// A crash of the process and a loss of power (`synchronous = FULL`).
    #[default]
    Full,
    /// A crash of the process; a loss of power can lose the last seconds (`synchronous = NORMAL`).
    Normal,
}

/// How to open a database; every field has a default.
///
/// ```
/// let settings = db::Settings { url: "sqlite:app.db".into(), ..db::Settings::default() };
/// assert_eq!(settings.max_group, 64);
/// ```
#[derive(Clone)]
pub struct Settings {
    /// `sqlite:PATH`, `postgres://…` or `mysql://…` (also `postgresql://…` and `mariadb://…`).
    pub url: String,
    /// What an acknowledged write survives on SQLite; full by default.
    pub durability: Durability,
    /// Connections to a database server, at most; 16 by default.
    pub max_connections: u32,
    /// Closures that share one commit on SQLite, at most; 64 by default, 1 means one commit for each.
    pub max_group: usize,
    /// Closures that wait for their turn, at most; 1024 by default, one more is refused at once.
    pub max_queue: usize,
    /// How long one closure may run; 30 seconds by default.
    pub statement_timeout: Duration,
    /// A statement that takes longer is logged with its SQL, never its values; 250 ms by default.
    pub slow_statement: Duration,
    /// SQLite connections for short reads on the calling thread; one per core by default, at least two.
    pub read_slots: usize,
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A server's URL holds its password, and settings end up in logs.
        let engine = self.url.split(':').next().unwrap_or_default();
        f.debug_struct("Settings")
            .field("engine", &engine)
            .field("durability", &self.durability)
            .field("max_connections", &self.max_connections)
            .field("max_group", &self.max_group)
            .field("max_queue", &self.max_queue)
            .field("statement_timeout", &self.statement_timeout)
            .field("slow_statement", &self.slow_statement)
            .field("read_slots", &self.read_slots)
            .finish()
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            url: "sqlite:undercroft.db".to_owned(),
            durability: Durability::Full,
            max_connections: 16,
            max_group: 64,
            max_queue: 1024,
            statement_timeout: Duration::from_secs(30),
            slow_statement: Duration::from_millis(250),
            read_slots: std::thread::available_parallelism().map_or(2, |cores| cores.get().max(2)),
        }
    }
}

impl Settings {
    /// The file that holds the database, when it is one and not a server.
    pub fn file(&self) -> Option<PathBuf> {
        match Target::parse(&self.url) {
            Ok(Target::Sqlite(path)) => Some(path),
            _ => None,
        }
    }
}

/// Which engine a URL names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Target {
    Sqlite(PathBuf),
    Postgres(url::Url),
    Mysql(url::Url),
}

impl Target {
    pub(crate) fn parse(text: &str) -> Result<Self, Error> {
        if let Some(path) = text.strip_prefix("sqlite:") {
            return sqlite_path(path).map(Target::Sqlite);
        }
        let mut url = url::Url::parse(text).map_err(|error| Error::Url(format!("the database URL is not a URL: {error}")))?;
        match url.scheme() {
            "postgres" | "postgresql" => Ok(Target::Postgres(url)),
            "mysql" => Ok(Target::Mysql(url)),
            "mariadb" => {
                // The driver knows one scheme for both.
                let rest = text.trim_start_matches("mariadb:");
                url = url::Url::parse(&format!("mysql:{rest}")).map_err(|error| Error::Url(error.to_string()))?;
                Ok(Target::Mysql(url))
            }
            other => Err(Error::Url(format!("`{other}:` is no database this program knows; use sqlite:, postgres: or mysql:"))),
        }
    }
}

fn sqlite_path(path: &str) -> Result<PathBuf, Error> {
    let path = path.strip_prefix("//").unwrap_or(path);
    if path.is_empty() || path == ":memory:" {
        return Err(Error::Url("`sqlite:` needs the path of a file, for example sqlite:app.db".to_owned()));
    }
    Ok(PathBuf::from(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_names_its_engine() {
        assert_eq!(Target::parse("sqlite:a/b.db").ok(), Some(Target::Sqlite("a/b.db".into())));
        assert_eq!(Target::parse("sqlite:///a/b.db").ok(), Some(Target::Sqlite("/a/b.db".into())));
        assert!(matches!(Target::parse("postgresql://u@h/d"), Ok(Target::Postgres(_))));
        assert!(matches!(Target::parse("mariadb://u@h/d"), Ok(Target::Mysql(url)) if url.scheme() == "mysql"));
    }

    #[test]
    fn settings_do_not_show_a_password() {
        let settings = Settings { url: "postgres://u:hunter2@h/d".to_owned(), ..Settings::default() };
        assert!(!format!("{settings:?}").contains("hunter2"));
    }

    #[test]
    fn a_url_without_an_engine_is_refused_with_a_sentence() {
        for text in ["sqlite:", "sqlite::memory:", "oracle://h/d", "nothing"] {
            assert!(matches!(Target::parse(text), Err(Error::Url(_))), "{text}");
        }
    }
}
