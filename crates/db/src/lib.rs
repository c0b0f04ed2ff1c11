//! One synchronous API over SQLite, PostgreSQL and MySQL/MariaDB; the only crate that knows there are several.
//!
//! - [`Db`] is the handle. A transaction is a synchronous closure: [`Db::read`], [`Db::write`].
//! - Inside, [`Conn`] reads and [`Tx`] writes too; statements are [`Sql`], values come from [`params!`], rows become [`row!`]s.
//! - [`fulltext`] finds texts by their words, the same ones on every engine.
//! - What goes wrong is an [`Error`]; [`OnViolation`] turns a violated constraint into the caller's own error.
//! - [`MigrationSet`]s make the tables; [`testing::TestDatabase`] gives each test its own.
//!
//! What differs between engines and is made alike here: placeholders, types, collations, the names of violated constraints,
//! counts of matched rows, what may follow a failed statement, and that a read closure sees one state of the database.
//! `NULL`s sort first or last depending on the engine: where it shows, write `ORDER BY x IS NULL, x`.

mod conn;
mod db;
mod ddl;
mod driver;
mod error;
pub mod fulltext;
mod job;
mod migrate;
mod row;
mod schema;
mod servers;
mod settings;
mod sql;
mod sqlite;
mod stats;
pub mod testing;
mod tx;
mod value;
mod workers;

pub use conn::Conn;
pub use db::{Db, ServingLock};
pub use error::{Error, OnViolation, TransactionError};
pub use migrate::{AppliedMigration, Migration, MigrationSet, PendingMigration};
pub use row::{FromRow, Row};
pub use schema::{ColumnInfo, ColumnKind};
pub use settings::{Durability, Settings};
pub use sql::{Sql, like_contains, like_prefix};
pub use stats::Stats;
pub use tx::Tx;
pub use value::{FromValue, Param, ToParam, Value, ValueError, ValueRef};

/// A random number from the seed that the standard library takes from the system for its maps: for jitter and names, not for secrets.
fn random() -> u64 {
    use std::hash::{BuildHasher, Hasher, RandomState};
    RandomState::new().build_hasher().finish()
}
