//! Migrations: once, in order, never edited, by one at a time.

use std::thread;

use db::testing::TestDatabase;
use db::{ColumnKind, Db, Error, Migration, MigrationSet, Settings, Sql, migrations, params};

use crate::SUITE;

const FIRST: Migration = Migration {
    number: 1,
    name: "notes",
    sql: "CREATE TABLE notes (id {id} PRIMARY KEY, title {key:100} NOT NULL, body {text}); CREATE UNIQUE INDEX notes_title ON notes (title);",
    mysql: None,
    postgres: None,
    sqlite: None,
};

const SECOND: Migration = Migration {
    number: 2,
    name: "pinned",
    sql: "ALTER TABLE notes ADD COLUMN pinned {flag} NOT NULL DEFAULT 0; CREATE INDEX notes_pinned ON notes (pinned);",
    ..FIRST
};

fn set(migrations: &'static [Migration]) -> MigrationSet {
    MigrationSet { module: "notes", migrations }
}

fn open(test: &TestDatabase) -> Db {
    Db::open(Settings { url: test.url(), max_connections: 2, ..Settings::default() }).unwrap()
}

#[test]
fn each_migration_is_applied_once_and_in_order() {
    let test = TestDatabase::create(&[]);
    let all = set(&[FIRST, SECOND]);
    let pending = test.db().pending_migrations(&[all]).unwrap();
    assert_eq!(pending.iter().map(|one| one.name.as_str()).collect::<Vec<_>>(), ["notes", "pinned"]);
    let applied = test.db().migrate(&[set(&[FIRST])]).unwrap();
    assert_eq!(applied.iter().map(|one| (one.module.as_str(), one.number)).collect::<Vec<_>>(), [("notes", 1)]);
    let applied = test.db().migrate(&[all]).unwrap();
    assert_eq!(applied.iter().map(|one| one.number).collect::<Vec<_>>(), [2]);
    assert_eq!(test.db().migrate(&[all]).unwrap(), []);
    assert_eq!(test.db().pending_migrations(&[all]).unwrap(), []);
}

#[test]
fn the_ledger_says_what_was_applied_and_when() {
    let test = TestDatabase::create(&[set(&[FIRST, SECOND])]);
    let ledger: Vec<(String, u32, String, i64)> = test.db().read_blocking(|c| {
        c.all("SELECT module, number, name, CASE WHEN applied_at > 1700000000000 AND applied_at < 9900000000000 THEN 1 ELSE 0 END FROM db_migrations ORDER BY number", &[])
    }).unwrap();
    assert_eq!(ledger, [("notes".to_owned(), 1, "notes".to_owned(), 1), ("notes".to_owned(), 2, "pinned".to_owned(), 1)]);
}

#[test]
fn an_edited_migration_is_refused_by_name() {
    let test = TestDatabase::create(&[set(&[FIRST])]);
    const EDITED: Migration = Migration { sql: "CREATE TABLE notes (id {id} PRIMARY KEY)", ..FIRST };
    for refused in [test.db().migrate(&[set(&[EDITED])]).map(drop), test.db().pending_migrations(&[set(&[EDITED])]).map(drop)] {
        assert!(matches!(&refused, Err(Error::Migration(text)) if text.contains("0001_notes") && text.contains("edited")), "{refused:?}");
    }
}

#[test]
fn line_ends_do_not_make_an_edited_migration() {
    const UNIX: Migration = Migration { sql: "CREATE TABLE notes (\n id {id} PRIMARY KEY\n)", ..FIRST };
    const WINDOWS: Migration = Migration { sql: "CREATE TABLE notes (\r\n id {id} PRIMARY KEY\r\n)", ..FIRST };
    let test = TestDatabase::create(&[set(&[UNIX])]);
    assert_eq!(test.db().migrate(&[set(&[WINDOWS])]).unwrap(), []);
}

#[test]
fn a_database_newer_than_the_program_is_refused() {
    let test = TestDatabase::create(&[set(&[FIRST, SECOND])]);
    let refused = test.db().migrate(&[set(&[FIRST])]);
    assert!(matches!(&refused, Err(Error::Migration(text)) if text.contains("newer")), "{refused:?}");
}

#[test]
fn a_module_that_is_off_is_no_obstacle() {
    let test = TestDatabase::create(&[set(&[FIRST])]);
    assert_eq!(test.db().migrate(&[]).unwrap(), []);
    assert_eq!(test.db().migrate(&[SUITE]).unwrap().len(), 1);
}

#[test]
fn migrations_must_be_numbered_upwards() {
    let test = TestDatabase::create(&[]);
    assert!(matches!(test.db().migrate(&[set(&[SECOND, FIRST])]), Err(Error::Migration(_))));
}

#[test]
fn several_programs_that_start_at_once_migrate_once() {
    let test = TestDatabase::create(&[]);
    let openers: Vec<_> = (0..4)
        .map(|_| {
            let db = open(&test);
            thread::spawn(move || {
                let applied = db.migrate(&[set(&[FIRST, SECOND]), SUITE]);
                db.close_blocking();
                applied.unwrap().len()
            })
        })
        .collect();
    assert_eq!(openers.into_iter().map(|opener| opener.join().unwrap()).sum::<usize>(), 3);
}

#[test]
fn a_migration_that_failed_half_way_can_be_finished() {
    const TWO: Migration =
        Migration { sql: "CREATE TABLE half (id {int} PRIMARY KEY); CREATE TABLE other (id {int} PRIMARY KEY);", ..FIRST };
    let test = TestDatabase::create(&[]);
    test.db()
        .migrate(&[MigrationSet {
            module: "obstacle",
            migrations: migrations![(1, "obstacle", "CREATE TABLE other (id {int} PRIMARY KEY)")],
        }])
        .unwrap();
    let failed = test.db().migrate(&[set(&[TWO])]);
    assert!(matches!(&failed, Err(Error::Migration(text)) if text.contains("0001_notes")), "{failed:?}");
    assert_eq!(test.db().pending_migrations(&[set(&[TWO])]).unwrap().len(), 1);
    test.db().migrate(&[MigrationSet { module: "removal", migrations: migrations![(1, "obstacle", "DROP TABLE other")] }]).unwrap();
    assert_eq!(test.db().migrate(&[set(&[TWO])]).unwrap().len(), 1);
    assert!(["half", "other"].iter().all(|table| test.db().columns().unwrap().iter().any(|column| column.table == *table)));
}

#[test]
fn the_same_migrations_give_the_same_columns_everywhere() {
    let test = TestDatabase::create(&[SUITE]);
    let columns = test.db().columns().unwrap();
    let described: Vec<String> = columns
        .iter()
        .filter(|column| column.table == "items" || column.table == "parts")
        .map(|column| format!("{}.{} {:?}{}", column.table, column.column, column.kind, if column.nullable { "?" } else { "" }))
        .collect();
    let expected = [
        "items.body Text?",
        "items.data Bytes?",
        "items.digest Bytes?",
        "items.doc Text?",
        "items.done Int?",
        "items.happened_at Int?",
        "items.id Int",
        "items.n Int?",
        "items.name Text?",
        "items.price Int?",
        "items.uid Bytes?",
        "parts.item_id Int",
        "parts.label Text",
        "parts.place Int",
    ];
    assert_eq!(described, expected);
    assert!(columns.iter().all(|column| column.kind != ColumnKind::Other), "{columns:?}");
}

#[test]
fn a_table_may_be_guarded_by_a_trigger() {
    const GUARD: Migration = Migration {
        number: 3,
        name: "guard",
        sql: "CREATE TRIGGER notes_guard BEFORE UPDATE ON notes BEGIN SELECT RAISE(ABORT, 'notes_append_only'); END;",
        postgres: Some(
            "CREATE FUNCTION notes_guard() RETURNS trigger AS $$ BEGIN RAISE EXCEPTION 'notes_append_only'; END $$ LANGUAGE plpgsql;
             CREATE TRIGGER notes_guard BEFORE UPDATE ON notes FOR EACH ROW EXECUTE FUNCTION notes_guard();",
        ),
        mysql: Some(
            "CREATE TRIGGER notes_guard BEFORE UPDATE ON notes FOR EACH ROW BEGIN SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'notes_append_only'; END;",
        ),
        sqlite: None,
    };
    let test = TestDatabase::create(&[set(&[FIRST, SECOND, GUARD])]);
    test.db().write_blocking(|tx| tx.execute("INSERT INTO notes (id, title) VALUES (?, 'a')", params![[1u8; 16]])).unwrap();
    let refused = test.db().write_blocking(|tx| tx.execute("UPDATE notes SET title = 'b'", &[]));
    assert!(matches!(&refused, Err(Error::Check { constraint }) if constraint == "notes_append_only"), "{refused:?}");
}

#[test]
fn a_statement_prepared_before_a_migration_works_after_it() {
    static NOTES: Sql = Sql::new("SELECT * FROM notes");
    let test = TestDatabase::create(&[set(&[FIRST])]);
    test.db().write_blocking(|tx| tx.execute("INSERT INTO notes (id, title) VALUES (?, 'a')", params![[1u8; 16]])).unwrap();
    let read = || test.db().read_blocking(|c| c.one::<([u8; 16], String)>(&NOTES, &[])).unwrap().1;
    assert_eq!(read(), "a");
    test.db().migrate(&[set(&[FIRST, SECOND])]).unwrap();
    assert_eq!(read(), "a");
}
