//! What can go wrong, in terms that do not name an engine.

use crate::value::ValueError;

/// Why a statement, a transaction or the database itself failed.
///
/// No message contains a parameter's value: errors end up in logs.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The statement found no row where one was asked for.
    #[error("no row was found")]
    NotFound,
    /// A unique key already has this value.
    #[error("the unique constraint {constraint} was violated")]
    Unique {
        /// Our name of the constraint: the index, or `TABLE_pkey` for a primary key.
        constraint: String,
    },
    /// A check constraint refused the row.
    #[error("the check constraint {constraint} was violated")]
    Check {
        /// The name of the constraint.
        constraint: String,
    },
    /// A referenced row is missing, or a row is still referenced.
    #[error("a foreign key was violated{}", constraint.as_ref().map(|name| format!(": {name}")).unwrap_or_default())]
    ForeignKey {
        /// The name of the constraint; SQLite does not tell it.
        constraint: Option<String>,
    },
    /// A column that needs a value got none.
    #[error("the column {column} must not be null")]
    NotNull {
        /// The column, without its table.
        column: String,
    },
    /// A text is longer than its column allows.
    #[error("a value is too long for its column{}", column.as_ref().map(|name| format!(" {name}")).unwrap_or_default())]
    TooLong {
        /// The column, where the engine tells it.
        column: Option<String>,
    },
    /// Another transaction got in the way; running again helps.
    #[error("the transaction conflicted with another one")]
    Serialization,
    /// A lock was held for too long; running again helps.
    #[error("the database is busy")]
    Busy,
    /// The statement or its closure ran past its deadline and was stopped.
    #[error("the statement took too long and was stopped")]
    Interrupted,
    /// Too many closures are waiting already.
    #[error("too many requests are waiting for the database")]
    Overloaded,
    /// The connection was lost while committing: the write may or may not have happened.
    #[error("the connection was lost during the commit, so its outcome is unknown")]
    OutcomeUnknown,
    /// The database cannot be reached, or the connection was lost.
    #[error("the database is not available: {0}")]
    Unavailable(String),
    /// The disk, or the size allowed to the database, is full.
    #[error("the database has no space left: {0}")]
    StorageFull(String),
    /// The database can be read but not written.
    #[error("the database cannot be written: {0}")]
    ReadOnly(String),
    /// Another process holds the database.
    #[error("{0}")]
    Locked(String),
    /// The database was closed.
    #[error("the database is closed")]
    Closed,
    /// The closure panicked; what it wrote was rolled back.
    #[error("the closure panicked")]
    Panicked,
    /// A text parameter contains the character NUL, which not every engine can store.
    #[error("text must not contain the character NUL")]
    InvalidText,
    /// A value in the database is not what its reader expects.
    #[error("the column {column} could not be read")]
    Value {
        /// The column as the statement names it.
        column: String,
        /// What was expected and what was found.
        source: ValueError,
    },
    /// A migration cannot be applied, or the schema is not the one of this program.
    #[error("{0}")]
    Migration(String),
    /// The database server or library is older than what is needed.
    #[error("{0}")]
    TooOld(String),
    /// The database URL cannot be used.
    #[error("{0}")]
    Url(String),
    /// Anything else: a mistake in SQL, a damaged file, an unexpected answer.
    #[error("{0}")]
    Other(String),
}

impl Error {
    /// Whether running the same closure again may succeed.
    pub fn is_retryable(&self) -> bool {
        matches!(self, Error::Serialization | Error::Busy)
    }

    /// Whether this is a violation of the unique constraint with that name.
    pub fn is_unique(&self, constraint: &str) -> bool {
        matches!(self, Error::Unique { constraint: found } if found == constraint)
    }

    /// Whether the engine had to give up the statement for a reason that another connection may not have.
    pub(crate) fn is_lost_connection(&self) -> bool {
        matches!(self, Error::Unavailable(_))
    }

    /// The same error again, for a closure that shared the fate of another.
    pub(crate) fn copy(&self) -> Error {
        match self {
            Error::Serialization => Error::Serialization,
            Error::Busy => Error::Busy,
            Error::Interrupted => Error::Interrupted,
            Error::OutcomeUnknown => Error::OutcomeUnknown,
            Error::Unavailable(text) => Error::Unavailable(text.clone()),
            Error::StorageFull(text) => Error::StorageFull(text.clone()),
            Error::ReadOnly(text) => Error::ReadOnly(text.clone()),
            Error::Closed => Error::Closed,
            other => Error::Other(other.to_string()),
        }
    }
}

/// An error type that a transaction closure may return.
///
/// `db` looks through it for its own error, to run the closure again where that helps.
pub trait TransactionError: From<Error> + Send + 'static {
    /// The database's error inside, if that is what it is.
    fn db_error(&self) -> Option<&Error>;
}

impl TransactionError for Error {
    fn db_error(&self) -> Option<&Error> {
        Some(self)
    }
}

/// Turns a violated constraint into the caller's own error.
///
/// ```
/// use db::{Error, OnViolation};
/// #[derive(Debug, PartialEq)]
/// enum Problem { SlugTaken, Other }
/// impl From<Error> for Problem { fn from(_: Error) -> Self { Problem::Other } }
///
/// let insert: Result<u64, Error> = Err(Error::Unique { constraint: "posts_slug".into() });
/// assert_eq!(insert.on_unique("posts_slug", || Problem::SlugTaken), Err(Problem::SlugTaken));
/// ```
pub trait OnViolation<T> {
    /// Answers with `f` when the unique constraint of that name was violated.
    fn on_unique<E: From<Error>>(self, constraint: &str, f: impl FnOnce() -> E) -> Result<T, E>;
    /// Answers with `f` when the check constraint of that name was violated.
    fn on_check<E: From<Error>>(self, constraint: &str, f: impl FnOnce() -> E) -> Result<T, E>;
    /// Answers with `f` when any foreign key was violated; SQLite does not tell which.
    fn on_foreign_key<E: From<Error>>(self, f: impl FnOnce() -> E) -> Result<T, E>;
}

impl<T> OnViolation<T> for Result<T, Error> {
    fn on_unique<E: From<Error>>(self, constraint: &str, f: impl FnOnce() -> E) -> Result<T, E> {
        match self {
            Err(error) if error.is_unique(constraint) => Err(f()),
            other => other.map_err(E::from),
        }
    }

    fn on_check<E: From<Error>>(self, constraint: &str, f: impl FnOnce() -> E) -> Result<T, E> {
        match self {
            Err(Error::Check { constraint: found }) if found == constraint => Err(f()),
            other => other.map_err(E::from),
        }
    }

    fn on_foreign_key<E: From<Error>>(self, f: impl FnOnce() -> E) -> Result<T, E> {
        match self {
            Err(Error::ForeignKey { .. }) => Err(f()),
            other => other.map_err(E::from),
        }
    }
}
