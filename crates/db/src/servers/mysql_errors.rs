//! MySQL's and MariaDB's error codes in our words; names of constraints are in the messages.

use mysql::{DriverError, MySqlError};

use crate::Error;
use crate::sql::target_table;

/// What an error means for the connection it came from.
pub(super) struct Translated {
    pub(super) error: Error,
    /// The connection is of no more use.
    pub(super) lost: bool,
}

/// Translates what the driver reports about a statement.
pub(super) fn translate(error: &mysql::Error, sql: &str) -> Translated {
    match error {
        mysql::Error::MySqlError(reported) => translate_reported(reported, sql),
        mysql::Error::IoError(_) | mysql::Error::CodecError(_) | mysql::Error::TlsError(_) => {
            Translated { error: Error::Unavailable(error.to_string()), lost: true }
        }
        mysql::Error::DriverError(DriverError::MismatchedStmtParams(..)) | mysql::Error::UrlError(_) => {
            Translated { error: Error::Other(error.to_string()), lost: false }
        }
        mysql::Error::DriverError(_) => Translated { error: Error::Unavailable(error.to_string()), lost: true },
        mysql::Error::FromValueError(_) | mysql::Error::FromRowError(_) => {
            Translated { error: Error::Other("the server's answer could not be read".to_owned()), lost: false }
        }
    }
}

fn translate_reported(error: &MySqlError, sql: &str) -> Translated {
    let message = error.message.as_str();
    let lost = matches!(error.code, 1053 | 1077..=1080 | 1152..=1161 | 1927 | 2006 | 2013 | 3169 | 4031);
    let translated = match error.code {
        _ if lost => Error::Unavailable(message.to_owned()),
        1062 | 1586 | 1859 => Error::Unique { constraint: unique_key(message, sql) },
        1048 | 1364 => Error::NotNull { column: quoted(message).to_owned() },
        1216 | 1217 | 1451 | 1452 | 1761 | 1762 => Error::ForeignKey { constraint: constraint(message) },
        3819 => Error::Check { constraint: quoted(message).to_owned() },
        4025 => Error::Check { constraint: constraint(message).unwrap_or_default() },
        // A guard of our own, in a trigger.
        1644 => Error::Check { constraint: message.to_owned() },
        1406 => Error::TooLong { column: Some(quoted(message).to_owned()) },
        // 1020: what a locking read found was changed since the snapshot.
        1213 | 1020 => Error::Serialization,
        1205 | 3572 => Error::Busy,
        1317 | 1969 | 3024 => Error::Interrupted,
        3 | 1021 | 1114 => Error::StorageFull(message.to_owned()),
        1290 | 1792 | 1836 => Error::ReadOnly(message.to_owned()),
        1040 | 1044 | 1045 | 1049 | 1129 | 1130 | 1203 | 1226 => Error::Unavailable(message.to_owned()),
        code if error.state.starts_with("22") || matches!(code, 1264 | 1292 | 1366 | 1411) => {
            Error::Other(format!("a value cannot be used as the statement uses it ({code})"))
        }
        code => Error::Other(format!("{message} ({code})")),
    };
    Translated { error: translated, lost }
}

/// Whether a statement failed because what it creates is there, or what it removes is gone.
pub(super) fn happened_before(error: &mysql::Error) -> bool {
    // Table, column, key, key to drop, foreign key, constraint, trigger, column to drop, table to drop.
    matches!(error, mysql::Error::MySqlError(error) if matches!(error.code, 1050 | 1060 | 1061 | 1091 | 1826 | 3822 | 1359 | 1054 | 1051))
}

fn quoted(message: &str) -> &str {
    message.split('\'').nth(1).unwrap_or(message)
}

/// "Duplicate entry 'x' for key 'posts_slug'", in MySQL 8 'posts.posts_slug'.
fn unique_key(message: &str, sql: &str) -> String {
    let Some((_, key)) = message.rsplit_once("for key '") else { return String::new() };
    let key = key.trim_end_matches('\'');
    let (table, name) = key.split_once('.').map_or((None, key), |(table, name)| (Some(table), name));
    if name != "PRIMARY" {
        return name.to_owned();
    }
    format!("{}_pkey", table.or_else(|| target_table(sql)).unwrap_or_default())
}

/// "CONSTRAINT `posts_author` …"; the quotes depend on `ANSI_QUOTES`.
fn constraint(message: &str) -> Option<String> {
    let (_, rest) = message.split_once("CONSTRAINT ")?;
    let quote = rest.chars().next()?;
    rest.split(quote).nth(1).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_in_both_servers_messages() {
        let insert = "INSERT INTO posts (id) VALUES (?)";
        assert_eq!(unique_key("Duplicate entry 'for key 'x'' for key 'posts_slug'", insert), "posts_slug");
        assert_eq!(unique_key("Duplicate entry 'a.b' for key 'posts.posts_slug'", insert), "posts_slug");
        assert_eq!(unique_key("Duplicate entry '1' for key 'PRIMARY'", insert), "posts_pkey");
        assert_eq!(unique_key("Duplicate entry '1' for key 'drafts.PRIMARY'", insert), "drafts_pkey");
        let foreign =
            "Cannot add or update a child row: a foreign key constraint fails (`d`.`posts`, CONSTRAINT `posts_author` FOREIGN KEY (`a`) …)";
        assert_eq!(constraint(foreign).as_deref(), Some("posts_author"));
        assert_eq!(constraint("… (\"d\".\"posts\", CONSTRAINT \"posts_author\" FOREIGN KEY …)").as_deref(), Some("posts_author"));
        assert_eq!(constraint("CONSTRAINT `price_positive` failed for `d`.`t`").as_deref(), Some("price_positive"));
        assert_eq!(quoted("Check constraint 'price_positive' is violated."), "price_positive");
    }
}
