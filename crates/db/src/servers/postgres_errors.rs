//! PostgreSQL's error codes in our words.

use postgres::error::{DbError, SqlState};

use crate::Error;

/// What an error means for the connection it came from.
pub(super) struct Translated {
    pub(super) error: Error,
    /// The connection is of no more use.
    pub(super) lost: bool,
    /// The prepared statements are not what the server knows any more.
    pub(super) stale: bool,
}

impl Translated {
    fn plain(error: Error) -> Self {
        Self { error, lost: false, stale: false }
    }
}

/// Translates what the driver reports.
pub(super) fn translate(error: &postgres::Error) -> Translated {
    if let Some(reported) = error.as_db_error() {
        return translate_reported(reported);
    }
    let source = std::error::Error::source(error);
    let io = source.is_some_and(|source| source.is::<std::io::Error>());
    let text = source.map_or_else(|| error.to_string(), |source| format!("{error}: {source}"));
    if io || error.is_closed() {
        return Translated { error: Error::Unavailable(text), lost: true, stale: false };
    }
    Translated::plain(Error::Other(text))
}

fn translate_reported(error: &DbError) -> Translated {
    let code = error.code();
    let message = error.message();
    match code.code() {
        "57P01" | "57P02" | "57P03" | "57P05" | "25P03" => {
            return Translated { error: Error::Unavailable(message.to_owned()), lost: true, stale: false };
        }
        // A migration changed what a prepared statement returns, or a proxy forgot it.
        "26000" => return Translated { error: Error::Serialization, lost: false, stale: true },
        "0A000" if message.contains("cached plan") => return Translated { error: Error::Serialization, lost: false, stale: true },
        _ => {}
    }
    Translated::plain(match violation(error) {
        Some(error) => error,
        None => other(code, message),
    })
}

fn violation(error: &DbError) -> Option<Error> {
    let constraint = error.constraint().map(str::to_owned);
    Some(match *error.code() {
        SqlState::UNIQUE_VIOLATION => Error::Unique { constraint: constraint.unwrap_or_default() },
        SqlState::CHECK_VIOLATION => Error::Check { constraint: constraint.unwrap_or_default() },
        SqlState::FOREIGN_KEY_VIOLATION => Error::ForeignKey { constraint },
        SqlState::NOT_NULL_VIOLATION => Error::NotNull { column: error.column().unwrap_or_default().to_owned() },
        SqlState::STRING_DATA_RIGHT_TRUNCATION => Error::TooLong { column: error.column().map(str::to_owned) },
        // A guard of our own, in a trigger.
        SqlState::RAISE_EXCEPTION => Error::Check { constraint: error.message().to_owned() },
        _ => return None,
    })
}

fn other(code: &SqlState, message: &str) -> Error {
    match code.code() {
        "40001" | "40P01" => Error::Serialization,
        "55P03" => Error::Busy,
        "57014" => Error::Interrupted,
        "53100" => Error::StorageFull(message.to_owned()),
        "25006" => Error::ReadOnly(message.to_owned()),
        "22021" => Error::InvalidText,
        // Wrong data: the message may quote it.
        code if code.starts_with("22") => Error::Other(format!("a value cannot be used as the statement uses it ({code})")),
        code if ["08", "28", "53"].iter().any(|class| code.starts_with(class)) || code == "3D000" => Error::Unavailable(message.to_owned()),
        code => Error::Other(format!("{message} ({code})")),
    }
}
