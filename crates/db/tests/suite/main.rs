//! One suite, three engines: what a caller can rely on, whichever database `TEST_DB` names.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod files;
mod limits;
mod lost;
mod migrating;
mod model;
mod searching;
mod transactions;
mod traps;

use db::testing::TestDatabase;
use db::{MigrationSet, Settings, migrations};

/// Tables that most tests use.
const SUITE: MigrationSet = MigrationSet { module: "suite", migrations: migrations![(1, "tables", include_str!("tables.sql"))] };

fn database() -> TestDatabase {
    TestDatabase::create(&[SUITE])
}

fn database_with(change: impl FnOnce(&mut Settings)) -> TestDatabase {
    TestDatabase::create_with(&[SUITE], change)
}

fn on_sqlite() -> bool {
    db::testing::engine() == "sqlite"
}
