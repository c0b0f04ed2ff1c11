//! What only a database in a file can suffer: SQLite, whatever `TEST_DB` says.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::thread;

use db::{Db, Durability, Error, Settings, params};

use crate::SUITE;

fn settings(folder: &Path) -> Settings {
    Settings { url: format!("sqlite:{}", folder.join("app.db").display()), durability: Durability::Normal, ..Settings::default() }
}

fn open(folder: &Path) -> Db {
    let db = Db::open(settings(folder)).unwrap();
    db.migrate(&[SUITE]).unwrap();
    db
}

fn insert(db: &Db, id: i64, kilobytes: usize) -> Result<u64, Error> {
    db.write_blocking(move |tx| tx.execute("INSERT INTO items (id, data) VALUES (?, ?)", params![id, vec![7u8; kilobytes * 1024]]))
}

fn items(db: &Db) -> i64 {
    db.read_blocking(|c| c.one("SELECT COUNT(*) FROM items", &[])).unwrap()
}

#[test]
fn a_full_disk_is_told_and_overcome_without_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let db = open(folder.path());
    let limit = |pages: i64| db.write_blocking(move |tx| tx.one::<i64>(format!("PRAGMA max_page_count = {pages}"), &[])).unwrap();
    limit(60);
    let full = (0..100).find_map(|id| insert(&db, id, 20).err());
    assert!(matches!(full, Some(Error::StorageFull(_))), "{full:?}");
    let kept = items(&db);
    assert!((1..99).contains(&kept), "what was answered before stays: {kept}");
    let small = db.write_blocking(|tx| tx.execute("UPDATE counters SET n = 1 WHERE id = 1", &[]));
    assert_eq!(small.unwrap(), 1, "what needs no space still works");
    limit(1_000_000);
    insert(&db, 1_000, 20).unwrap();
    assert_eq!(items(&db), kept + 1);
    db.close_blocking();
}

#[test]
fn a_full_disk_fails_only_the_closure_that_fills_it() {
    let folder = tempfile::tempdir().unwrap();
    let db = open(folder.path());
    db.write_blocking(|tx| tx.one::<i64>("PRAGMA max_page_count = 60", &[])).unwrap();
    let writers: Vec<_> = (0..20)
        .map(|id| {
            let db = db.clone();
            thread::spawn(move || if id % 5 == 4 { insert(&db, id, 400) } else { insert(&db, id, 1) })
        })
        .collect();
    let results: Vec<_> = writers.into_iter().map(|writer| writer.join().unwrap()).collect();
    for (id, result) in results.iter().enumerate() {
        assert_eq!(result.is_ok(), id % 5 != 4, "{id}: {result:?}");
    }
    assert_eq!(items(&db), 16);
    db.close_blocking();
}

#[test]
fn only_one_process_serves_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let db = open(folder.path());
    let lock = db.lock_for_serving().unwrap();
    let second = Db::open(settings(folder.path())).unwrap();
    let refused = second.lock_for_serving();
    assert!(matches!(&refused, Err(Error::Locked(text)) if text.contains("app.db")), "{refused:?}");
    insert(&second, 1, 1).unwrap();
    assert_eq!(items(&db), 1, "the command line may work beside it");
    drop(lock);
    second.lock_for_serving().unwrap();
    second.close_blocking();
    db.close_blocking();
}

#[test]
fn a_file_that_is_no_database_is_told_with_its_name() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("app.db"), "this is a letter, not a database; it is long enough to have a header").unwrap();
    let refused = Db::open(settings(folder.path()));
    assert!(matches!(&refused, Err(Error::Other(text)) if text.contains("app.db") && text.contains("not a database")), "{refused:?}");
}

#[test]
fn a_folder_that_does_not_exist_is_told_with_the_files_name() {
    let folder = tempfile::tempdir().unwrap();
    let refused = Db::open(settings(&folder.path().join("missing")));
    assert!(matches!(&refused, Err(Error::Unavailable(text)) if text.contains("missing")), "{refused:?}");
}

#[test]
fn a_checkpoint_empties_the_log() {
    let folder = tempfile::tempdir().unwrap();
    let db = open(folder.path());
    for id in 0..40 {
        insert(&db, id, 50).unwrap();
    }
    let log = || fs::metadata(folder.path().join("app.db-wal")).unwrap().len();
    assert!(log() > 0);
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(db.checkpoint()).unwrap();
    assert_eq!(log(), 0);
    assert_eq!(items(&db), 40);
    db.close_blocking();
    assert!(!folder.path().join("app.db-wal").exists(), "closing leaves one file");
}

#[test]
fn the_log_does_not_grow_for_ever() {
    let folder = tempfile::tempdir().unwrap();
    let db = open(folder.path());
    for id in 0..1_500 {
        insert(&db, id % 50, 0)
            .or_else(|_| {
                db.write_blocking(move |tx| tx.execute("UPDATE items SET data = ? WHERE id = ?", params![vec![1u8; 100 * 1024], id % 50]))
            })
            .unwrap();
    }
    // 145 MiB were written.
    let log = fs::metadata(folder.path().join("app.db-wal")).unwrap().len();
    assert!(log < 100 << 20, "{log}");
    db.close_blocking();
}

#[test]
fn a_backup_taken_under_writes_is_whole() {
    let folder = tempfile::tempdir().unwrap();
    let db = open(folder.path());
    let stop = Arc::new(AtomicBool::new(false));
    let writer = {
        let (db, stop) = (db.clone(), Arc::clone(&stop));
        thread::spawn(move || {
            let mut id = 0;
            while !stop.load(SeqCst) {
                id += 1;
                db.write_blocking(move |tx| {
                    tx.execute("INSERT INTO items (id) VALUES (?)", params![id])?;
                    tx.execute("UPDATE counters SET n = n + 1 WHERE id = 1", &[])
                })
                .unwrap();
            }
        })
    };
    while items(&db) < 20 {
        thread::yield_now();
    }
    let copy = tempfile::tempdir().unwrap();
    db.back_up(&copy.path().join("app.db")).unwrap();
    stop.store(true, SeqCst);
    writer.join().unwrap();
    db.close_blocking();
    let restored = Db::open(settings(copy.path())).unwrap();
    let (rows, counted): (i64, i64) =
        restored.read_blocking(|c| c.one("SELECT (SELECT COUNT(*) FROM items), n FROM counters WHERE id = 1", &[])).unwrap();
    assert!(rows >= 20 && rows == counted, "{rows} rows, {counted} counted");
    restored.close_blocking();
}

#[cfg(unix)]
mod read_only {
    use std::os::unix::fs::PermissionsExt;
    use std::os::unix::process::CommandExt;
    use std::process::Command;

    use super::*;

    const FOLDER: &str = "DB_TEST_READ_ONLY_FOLDER";

    fn permit(path: &Path, mode: u32) {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn a_file_that_may_only_be_read_is_told() {
        #[expect(clippy::disallowed_methods, reason = "how the test tells itself that it is the child")]
        let child = std::env::var(FOLDER);
        if let Ok(folder) = child {
            let refused = Db::open(settings(Path::new(&folder)));
            assert!(matches!(&refused, Err(Error::ReadOnly(text)) if text.contains("app.db")), "{refused:?}");
            return;
        }
        let folder = tempfile::tempdir().unwrap();
        open(folder.path()).close_blocking();
        permit(&folder.path().join("app.db"), 0o444);
        // No permission stops root, so the same test goes on as nobody, from a place that nobody may read.
        let program = folder.path().join("test");
        fs::copy(std::env::current_exe().unwrap(), &program).unwrap();
        permit(&program, 0o755);
        permit(folder.path(), 0o555);
        let is_root = fs::File::options().write(true).open(folder.path().join("app.db")).is_ok();
        let mut command = Command::new(&program);
        command.args(["--exact", "files::read_only::a_file_that_may_only_be_read_is_told"]).env(FOLDER, folder.path()).current_dir("/");
        if is_root {
            command.uid(65_534).gid(65_534);
        }
        let output = command.output().unwrap();
        permit(folder.path(), 0o755);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
        assert!(String::from_utf8_lossy(&output.stdout).contains("1 passed"));
    }
}
