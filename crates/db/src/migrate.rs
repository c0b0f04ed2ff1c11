//! The migration runner: numbered files per module, a ledger, one runner at a time.

use std::collections::HashMap;

use sha2::{Digest, Sha256};

use crate::ddl::Types;
use crate::driver::Step;
use crate::sql::Dialect;
use crate::{Conn, Error, Sql, params};

/// One numbered change of a module's tables.
///
/// An applied migration must never be edited; write another one.
#[derive(Debug, Clone, Copy)]
pub struct Migration {
    /// Its place among the module's migrations, ascending.
    pub number: u32,
    /// What it does, in a word or two.
    pub name: &'static str,
    /// Its statements, with type tokens.
    pub sql: &'static str,
    /// Its statements on MySQL and MariaDB, where they differ.
    pub mysql: Option<&'static str>,
    /// Its statements on PostgreSQL, where they differ.
    pub postgres: Option<&'static str>,
    /// Its statements on SQLite, where they differ.
    pub sqlite: Option<&'static str>,
}

/// All migrations of one module, in order.
#[derive(Debug, Clone, Copy)]
pub struct MigrationSet {
    /// The module's name.
    pub module: &'static str,
    /// Its migrations, numbers ascending.
    pub migrations: &'static [Migration],
}

/// A migration that was applied just now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AppliedMigration {
    /// The module it belongs to.
    pub module: String,
    /// Its number in the module.
    pub number: u32,
    /// Its name.
    pub name: String,
}

/// A migration that the database still lacks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PendingMigration {
    /// The module it belongs to.
    pub module: String,
    /// Its number in the module.
    pub number: u32,
    /// Its name.
    pub name: String,
}

/// Lists a module's migrations: `migrations![(1, "posts", include_str!("…")), (2, "search", "…", mysql = "…")]`.
#[macro_export]
macro_rules! migrations {
    ($(($number:expr, $name:expr, $sql:expr $(, $engine:ident = $special:expr)* $(,)?)),* $(,)?) => {
        const { &[$($crate::Migration::new($number, $name, $sql)$(.$engine($special))*),*] as &'static [$crate::Migration] }
    };
}

impl Migration {
    /// A migration whose statements every engine understands.
    pub const fn new(number: u32, name: &'static str, sql: &'static str) -> Self {
        Self { number, name, sql, mysql: None, postgres: None, sqlite: None }
    }

    /// Says it differently on MySQL and MariaDB.
    pub const fn mysql(mut self, sql: &'static str) -> Self {
        self.mysql = Some(sql);
        self
    }

    /// Says it differently on PostgreSQL.
    pub const fn postgres(mut self, sql: &'static str) -> Self {
        self.postgres = Some(sql);
        self
    }

    /// Says it differently on SQLite.
    pub const fn sqlite(mut self, sql: &'static str) -> Self {
        self.sqlite = Some(sql);
        self
    }

    fn text(&self, dialect: Dialect) -> &'static str {
        let special = match dialect {
            Dialect::Sqlite => self.sqlite,
            Dialect::Postgres => self.postgres,
            Dialect::Mysql => self.mysql,
        };
        special.unwrap_or(self.sql)
    }

    /// A fingerprint of the text that this engine runs; line ends do not count, for version control may change them.
    fn checksum(&self, dialect: Dialect) -> String {
        let text = self.text(dialect).replace("\r\n", "\n");
        Sha256::digest(text.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

/// A fingerprint of whole sets, for a template of an empty database.
pub(crate) fn fingerprint(sets: &[MigrationSet]) -> String {
    let mut hash = Sha256::new();
    for set in sets {
        hash.update(set.module);
        for migration in set.migrations {
            hash.update(migration.number.to_be_bytes());
            hash.update(migration.checksum(Dialect::Sqlite));
        }
    }
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

const LEDGER: &str = "CREATE TABLE IF NOT EXISTS db_migrations (
    module {key:64} NOT NULL,
    number {int} NOT NULL,
    name {key:190} NOT NULL,
    checksum {key:64} NOT NULL,
    statements {int} NOT NULL,
    applied_at {time} NOT NULL,
    PRIMARY KEY (module, number)
)";

/// The ledger's own clock: the database's, in milliseconds.
static FINISH: Sql = Sql::new(
    "UPDATE db_migrations SET applied_at = CAST(unixepoch('subsec') * 1000 AS INTEGER) WHERE module = ? AND number = ?",
)
.postgres(
    "UPDATE db_migrations SET applied_at = CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT) WHERE module = ? AND number = ?",
)
.mysql("UPDATE db_migrations SET applied_at = CAST(UNIX_TIMESTAMP(NOW(3)) * 1000 AS SIGNED) WHERE module = ? AND number = ?");

crate::row! {
    struct LedgerRow {
        module: String,
        number: u32,
        checksum: String,
        statements: i64,
        applied_at: i64,
    }
}

/// What the ledger says: per module and number, the checksum and how far it got (`None`: to its end).
type Ledger = HashMap<(String, u32), (String, Option<usize>)>;

/// Applies what is missing; the caller holds the engine's migration lock.
pub(crate) fn apply(conn: &mut Conn, types: Types, sets: &[MigrationSet]) -> Result<Vec<AppliedMigration>, Error> {
    check_numbers(sets)?;
    for statement in types.expand(LEDGER).map_err(Error::Migration)? {
        conn.driver.script(&statement)?;
    }
    let mut applied = Vec::new();
    for (set, migration) in missing(conn, sets)? {
        if apply_one(conn, types, set, migration).map_err(|error| failed(set, migration, &error))? {
            applied.push(AppliedMigration { module: set.module.to_owned(), number: migration.number, name: migration.name.to_owned() });
        }
    }
    Ok(applied)
}

/// Lists what is missing, without changing anything; `has_ledger` is false for an empty database.
pub(crate) fn pending(conn: &mut Conn, has_ledger: bool, sets: &[MigrationSet]) -> Result<Vec<PendingMigration>, Error> {
    check_numbers(sets)?;
    let missing = if has_ledger { missing(conn, sets)? } else { all(sets).collect() };
    Ok(missing
        .into_iter()
        .map(|(set, migration)| PendingMigration {
            module: set.module.to_owned(),
            number: migration.number,
            name: migration.name.to_owned(),
        })
        .collect())
}

fn all(sets: &[MigrationSet]) -> impl Iterator<Item = (&MigrationSet, &'static Migration)> {
    sets.iter().flat_map(|set| set.migrations.iter().map(move |migration| (set, migration)))
}

fn check_numbers(sets: &[MigrationSet]) -> Result<(), Error> {
    for set in sets {
        if !set.migrations.is_sorted_by(|a, b| a.number < b.number) {
            return Err(Error::Migration(format!("the migrations of {} are not numbered in ascending order", set.module)));
        }
    }
    Ok(())
}

fn ledger(conn: &mut Conn) -> Result<Ledger, Error> {
    let rows: Vec<LedgerRow> = conn.all("SELECT module, number, checksum, statements, applied_at FROM db_migrations", &[])?;
    let finished = |row: &LedgerRow| if row.applied_at == 0 { Some(usize::try_from(row.statements).unwrap_or(0)) } else { None };
    Ok(rows.into_iter().map(|row| ((row.module.clone(), row.number), (row.checksum.clone(), finished(&row)))).collect())
}

/// The migrations to apply; refuses a database that knows others than this program.
fn missing<'s>(conn: &mut Conn, sets: &'s [MigrationSet]) -> Result<Vec<(&'s MigrationSet, &'static Migration)>, Error> {
    let ledger = ledger(conn)?;
    for set in sets {
        let newest = set.migrations.last().map_or(0, |migration| migration.number);
        let unknown =
            ledger.keys().filter(|(module, number)| module == set.module && !set.migrations.iter().any(|known| known.number == *number));
        if let Some((_, number)) = unknown.max_by_key(|(_, number)| *number) {
            return Err(Error::Migration(format!(
                "the database is newer than this program: it has migration {number} of {}, this program knows up to {newest}; use the newer program",
                set.module
            )));
        }
    }
    let mut missing = Vec::new();
    for (set, migration) in all(sets) {
        match ledger.get(&(set.module.to_owned(), migration.number)) {
            Some((checksum, _)) if *checksum != migration.checksum(conn.dialect()) => {
                return Err(Error::Migration(format!(
                    "the migration {:04}_{} of {} was edited after it had been applied; restore it and write a new one",
                    migration.number, migration.name, set.module
                )));
            }
            Some((_, None)) => {}
            Some((_, Some(_))) | None => missing.push((set, migration)),
        }
    }
    Ok(missing)
}

fn failed(set: &MigrationSet, migration: &Migration, error: &Error) -> Error {
    Error::Migration(format!("the migration {:04}_{} of {} failed: {error}", migration.number, migration.name, set.module))
}

/// Applies one migration; `false` when somebody else did meanwhile.
fn apply_one(conn: &mut Conn, types: Types, set: &MigrationSet, migration: &Migration) -> Result<bool, Error> {
    let statements = types.expand(migration.text(types.dialect)).map_err(Error::Migration)?;
    if types.dialect == Dialect::Mysql {
        return apply_in_steps(conn, types, set, migration, &statements).map(|()| true);
    }
    conn.driver.step(Step::Begin)?;
    let outcome = apply_whole(conn, types, set, migration, &statements);
    match outcome {
        Ok(applied) => conn.driver.step(Step::Commit).map(|()| applied),
        Err(error) => {
            conn.roll_back();
            Err(error)
        }
    }
}

fn apply_whole(conn: &mut Conn, types: Types, set: &MigrationSet, migration: &Migration, statements: &[String]) -> Result<bool, Error> {
    // SQLite's lock is this transaction: another process may have been faster.
    let known: i64 =
        conn.one("SELECT COUNT(*) FROM db_migrations WHERE module = ? AND number = ?", params![set.module, migration.number])?;
    if known > 0 {
        return Ok(false);
    }
    for statement in statements {
        conn.driver.script(statement)?;
    }
    enter(conn, types, set, migration, statements.len())?;
    conn.execute_statement(&FINISH, params![set.module, migration.number])?;
    Ok(true)
}

/// MySQL commits at each DDL statement, so the ledger counts statements and an interrupted migration goes on where it stopped.
fn apply_in_steps(conn: &mut Conn, types: Types, set: &MigrationSet, migration: &Migration, statements: &[String]) -> Result<(), Error> {
    let done = match ledger(conn)?.remove(&(set.module.to_owned(), migration.number)) {
        Some((_, Some(done))) => Some(done),
        Some((_, None)) => return Ok(()),
        None => {
            enter(conn, types, set, migration, 0)?;
            None
        }
    };
    let update = Sql::new("UPDATE db_migrations SET statements = ? WHERE module = ? AND number = ?");
    for (index, statement) in statements.iter().enumerate().skip(done.unwrap_or(0)) {
        conn.driver.step(Step::Begin)?;
        // The statement at which a run was interrupted may have happened without being counted.
        let outcome = if done == Some(index) { conn.driver.script_again(statement) } else { conn.driver.script(statement) };
        let counted = outcome.and_then(|()| conn.execute_statement(&update, params![index as i64 + 1, set.module, migration.number]));
        match counted {
            Ok(_) => conn.driver.step(Step::Commit)?,
            Err(error) => {
                conn.roll_back();
                return Err(error);
            }
        }
    }
    conn.execute_statement(&FINISH, params![set.module, migration.number]).map(drop)
}

fn enter(conn: &mut Conn, types: Types, set: &MigrationSet, migration: &Migration, statements: usize) -> Result<(), Error> {
    let sql = Sql::new("INSERT INTO db_migrations (module, number, name, checksum, statements, applied_at) VALUES (?, ?, ?, ?, ?, 0)");
    let checksum = migration.checksum(types.dialect);
    conn.execute_statement(&sql, params![set.module, migration.number, migration.name, checksum, statements as i64]).map(drop)
}
