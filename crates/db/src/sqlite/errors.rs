//! SQLite's result codes in our words; constraints get their names from the catalog.

use rusqlite::{Connection, ErrorCode, ffi};

use crate::Error;
use crate::ddl::TOO_LONG;

/// Why a statement did not run.
pub(super) enum Failure {
    Sqlite(rusqlite::Error),
    Ours(Error),
}

impl From<rusqlite::Error> for Failure {
    fn from(error: rusqlite::Error) -> Self {
        Failure::Sqlite(error)
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Failure::Ours(error)
    }
}

/// Translates an error of a statement.
pub(super) fn translate(connection: &Connection, error: rusqlite::Error) -> Error {
    if let rusqlite::Error::SqliteFailure(code, Some(message)) = &error
        && code.code == ErrorCode::ConstraintViolation
    {
        return violation(connection, code.extended_code, message);
    }
    opening(&error)
}

/// Translates an error where no constraint can be involved.
pub(super) fn opening(error: &rusqlite::Error) -> Error {
    let text = error.to_string();
    match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Error::Busy,
        Some(ErrorCode::OperationInterrupted) => Error::Interrupted,
        Some(ErrorCode::DiskFull) => Error::StorageFull(text),
        Some(ErrorCode::ReadOnly) => Error::ReadOnly(text),
        Some(ErrorCode::CannotOpen | ErrorCode::PermissionDenied) => Error::Unavailable(text),
        Some(ErrorCode::TooBig) => Error::TooLong { column: None },
        _ => Error::Other(without_sql(error, text)),
    }
}

/// A syntax error shows its statement; a statement built from text may hold more than the log should.
fn without_sql(error: &rusqlite::Error, text: String) -> String {
    match error {
        rusqlite::Error::SqlInputError { msg, .. } => msg.clone(),
        _ => text,
    }
}

fn violation(connection: &Connection, code: i32, message: &str) -> Error {
    let subject = message.split_once(": ").map_or(message, |(_, subject)| subject);
    match code {
        ffi::SQLITE_CONSTRAINT_PRIMARYKEY | ffi::SQLITE_CONSTRAINT_ROWID => Error::Unique { constraint: primary_key(subject) },
        ffi::SQLITE_CONSTRAINT_UNIQUE => Error::Unique { constraint: unique_index(connection, subject) },
        ffi::SQLITE_CONSTRAINT_CHECK if subject.starts_with(TOO_LONG) => {
            Error::TooLong { column: subject.strip_prefix(TOO_LONG).map(str::to_owned) }
        }
        ffi::SQLITE_CONSTRAINT_CHECK => Error::Check { constraint: subject.to_owned() },
        ffi::SQLITE_CONSTRAINT_TRIGGER => Error::Check { constraint: message.to_owned() },
        ffi::SQLITE_CONSTRAINT_FOREIGNKEY => Error::ForeignKey { constraint: None },
        ffi::SQLITE_CONSTRAINT_NOTNULL => Error::NotNull { column: column(subject).to_owned() },
        _ => Error::Other(message.to_owned()),
    }
}

/// PostgreSQL's own name for a primary key, which is as good as any.
fn primary_key(columns: &str) -> String {
    format!("{}_pkey", table(columns))
}

fn table(columns: &str) -> &str {
    columns.split('.').next().unwrap_or(columns)
}

fn column(qualified: &str) -> &str {
    qualified.rsplit('.').next().unwrap_or(qualified)
}

/// SQLite names the columns ("t.a, t.b"), or the index itself when it is on an expression ("index 't_lower'").
fn unique_index(connection: &Connection, subject: &str) -> String {
    if let Some(name) = subject.strip_prefix("index '") {
        return name.trim_end_matches('\'').to_owned();
    }
    let columns: Vec<&str> = subject.split(", ").map(column).collect();
    match find_index(connection, table(subject), &columns) {
        Ok(Some(name)) => name,
        Ok(None) | Err(_) => subject.replace(", ", "_").replace('.', "_"),
    }
}

fn find_index(connection: &Connection, table: &str, columns: &[&str]) -> rusqlite::Result<Option<String>> {
    let mut indexes = connection.prepare("SELECT name FROM pragma_index_list(?) WHERE \"unique\" = 1 AND origin = 'c'")?;
    let mut of_index = connection.prepare("SELECT name FROM pragma_index_info(?) ORDER BY seqno")?;
    let names = indexes.query_map([table], |row| row.get::<_, String>(0))?.collect::<Result<Vec<_>, _>>()?;
    for name in names {
        let found = of_index.query_map([&name], |row| row.get::<_, Option<String>>(0))?.collect::<Result<Vec<_>, _>>()?;
        if found.iter().map(Option::as_deref).eq(columns.iter().copied().map(Some)) {
            return Ok(Some(name));
        }
    }
    Ok(None)
}
