//! Connections that are lost, in each phase of a transaction. SQLite has none to lose.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU32, Ordering::SeqCst};
use std::thread;

use db::testing::TestDatabase;
use db::{Conn, Db, Error, Settings, Sql, Tx, params};

use crate::{database, on_sqlite};

static CONNECTION_ID: Sql = Sql::new("SELECT 0").postgres("SELECT pg_backend_pid()").mysql("SELECT CONNECTION_ID()");

/// Ends a connection from another one, and waits until the server has.
fn kill(other: &Db, connection: i64) {
    let statement = match db::testing::engine() {
        "postgres" => format!("SELECT COUNT(*) FROM counters WHERE pg_terminate_backend({connection}, 5000)"),
        _ => format!("KILL {connection}"),
    };
    other.write_blocking(move |tx| tx.execute(statement.clone(), &[])).unwrap();
}

fn open(url: String) -> Db {
    Db::open(Settings { url, max_connections: 1, ..Settings::default() }).unwrap()
}

fn add(tx: &mut Tx<'_>, n: i64) -> Result<u64, Error> {
    tx.execute("UPDATE counters SET n = n + ? WHERE id = 1", params![n])
}

fn counter(c: &mut Conn) -> Result<i64, Error> {
    c.one("SELECT n FROM counters WHERE id = 1", &[])
}

#[test]
fn a_connection_killed_while_idle_is_replaced_unseen() {
    if on_sqlite() {
        return;
    }
    let test = database();
    let (db, other) = (open(test.url()), open(test.url()));
    let connection = || db.read_blocking(|c| c.one::<i64>(&CONNECTION_ID, &[])).unwrap();
    kill(&other, connection());
    assert_eq!(db.read_blocking(counter).unwrap(), 0);
    kill(&other, connection());
    db.write_blocking(|tx| add(tx, 1)).unwrap();
    assert_eq!((db.read_blocking(counter).unwrap(), db.stats().retries), (1, 2));
    db.close_blocking();
    other.close_blocking();
}

#[test]
fn a_read_whose_connection_is_killed_is_run_again() {
    if on_sqlite() {
        return;
    }
    let test = database();
    let (db, other) = (open(test.url()), open(test.url()));
    let runs = AtomicU32::new(0);
    let killer = other.clone();
    let read = db.read_blocking(move |c| {
        let connection = c.one::<i64>(&CONNECTION_ID, &[])?;
        // The first run ends at the second statement, to begin again in a snapshot: kill inside of that.
        if runs.fetch_add(1, SeqCst) == 1 {
            kill(&killer, connection);
        }
        counter(c)
    });
    assert_eq!(read.unwrap(), 0);
    assert_eq!(db.stats().retries, 1);
    db.close_blocking();
    other.close_blocking();
}

#[test]
fn a_write_whose_connection_is_killed_before_its_commit_is_run_again() {
    if on_sqlite() {
        return;
    }
    let test = database();
    let (db, other) = (open(test.url()), open(test.url()));
    let runs = Arc::new(AtomicU32::new(0));
    let (killer, counted) = (other.clone(), Arc::clone(&runs));
    let write = db.write_blocking(move |tx| {
        add(tx, 1)?;
        if counted.fetch_add(1, SeqCst) == 0 {
            let connection = tx.one::<i64>(&CONNECTION_ID, &[])?;
            kill(&killer, connection);
        }
        tx.execute("UPDATE counters SET n = n + 1 WHERE id = 2", &[])
    });
    assert_eq!(write.unwrap(), 1);
    assert_eq!((runs.load(SeqCst), db.read_blocking(counter).unwrap()), (2, 1));
    db.close_blocking();
    other.close_blocking();
}

#[test]
fn a_commit_whose_answer_is_lost_has_an_unknown_outcome_and_is_not_run_again() {
    if on_sqlite() {
        return;
    }
    let test = database();
    let proxy = Proxy::start(&test);
    let db = open(proxy.url.clone());
    let runs = Arc::new(AtomicU32::new(0));
    let write = || {
        let counted = Arc::clone(&runs);
        db.write_blocking(move |tx| {
            counted.fetch_add(1, SeqCst);
            add(tx, 1)
        })
    };
    proxy.behave(LOSE_ANSWER);
    let unknown = write();
    assert!(matches!(unknown, Err(Error::OutcomeUnknown)), "{unknown:?}");
    assert_eq!((runs.load(SeqCst), test.db().read_blocking(counter).unwrap()), (1, 1), "it had happened");
    proxy.behave(LOSE_COMMIT);
    let unknown = write();
    assert!(matches!(unknown, Err(Error::OutcomeUnknown)), "{unknown:?}");
    assert_eq!((runs.load(SeqCst), test.db().read_blocking(counter).unwrap()), (2, 1), "it had not happened");
    assert_eq!(write().unwrap(), 1);
    db.close_blocking();
}

#[test]
fn a_server_that_is_away_is_told_and_found_again() {
    if on_sqlite() {
        return;
    }
    let test = database();
    let proxy = Proxy::start(&test);
    let db = open(proxy.url.clone());
    proxy.behave(AWAY);
    let away = db.write_blocking(|tx| add(tx, 1));
    assert!(matches!(away, Err(Error::Unavailable(_))), "{away:?}");
    let away = Db::open(Settings { url: proxy.url.clone(), ..Settings::default() });
    assert!(matches!(away, Err(Error::Unavailable(_))), "{away:?}");
    proxy.behave(PASS);
    assert_eq!(db.write_blocking(|tx| add(tx, 1)).unwrap(), 1);
    db.close_blocking();
}

#[test]
fn a_wrong_password_is_told_without_the_password() {
    if on_sqlite() {
        return;
    }
    let test = database();
    let mut url = url::Url::parse(&test.url()).unwrap();
    url.set_password(Some("hunter2")).unwrap();
    let refused = Db::open(Settings { url: url.into(), ..Settings::default() });
    assert!(matches!(refused, Err(Error::Unavailable(_))), "{refused:?}");
    assert!(!format!("{refused:?}").contains("hunter2"));
}

/// Everything goes through.
const PASS: u8 = 0;
/// The next commit reaches the server, its answer nobody.
const LOSE_ANSWER: u8 = 1;
/// The next commit does not even reach the server.
const LOSE_COMMIT: u8 = 2;
/// Nobody gets through.
const AWAY: u8 = 3;

/// Stands between a client and its server.
struct Proxy {
    url: String,
    behaviour: Arc<AtomicU8>,
}

impl Proxy {
    fn start(test: &TestDatabase) -> Self {
        let mut url = url::Url::parse(&test.url()).unwrap();
        let server = format!("{}:{}", url.host_str().unwrap(), url.port().unwrap());
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        url.set_host(Some("127.0.0.1")).unwrap();
        url.set_port(Some(listener.local_addr().unwrap().port())).unwrap();
        // It has to read along.
        url.set_query(Some(if url.scheme().starts_with("postgres") { "sslmode=disable" } else { "ssl-mode=disabled" }));
        let behaviour = Arc::new(AtomicU8::new(PASS));
        let shared = Arc::clone(&behaviour);
        thread::spawn(move || {
            for client in listener.incoming() {
                let client = client.unwrap();
                if shared.load(SeqCst) != AWAY {
                    Pipe { client, server: TcpStream::connect(&server).unwrap(), behaviour: Arc::clone(&shared) }.start();
                }
            }
        });
        Self { url: url.into(), behaviour }
    }

    fn behave(&self, behaviour: u8) {
        self.behaviour.store(behaviour, SeqCst);
    }
}

struct Pipe {
    client: TcpStream,
    server: TcpStream,
    behaviour: Arc<AtomicU8>,
}

impl Pipe {
    fn start(self) {
        let losing = Arc::new(AtomicU8::new(0));
        let (mut client, mut server) = (self.client.try_clone().unwrap(), self.server.try_clone().unwrap());
        let answers_are_lost = Arc::clone(&losing);
        thread::spawn(move || {
            let mut buffer = [0; 65_536];
            while let Ok(length @ 1..) = server.read(&mut buffer) {
                if answers_are_lost.load(SeqCst) == 1 || client.write_all(&buffer[..length]).is_err() {
                    break;
                }
            }
            close(&client, &server);
        });
        thread::spawn(move || self.forward_to_server(&losing));
    }

    fn forward_to_server(mut self, losing: &AtomicU8) {
        let mut buffer = [0; 65_536];
        while let Ok(length @ 1..) = self.client.read(&mut buffer) {
            let commits = buffer[..length].trim_ascii_end().ends_with(b"COMMIT") || buffer[..length].ends_with(b"COMMIT\0");
            match self.behaviour.load(SeqCst) {
                LOSE_ANSWER if commits => {
                    self.behaviour.store(PASS, SeqCst);
                    losing.store(1, SeqCst);
                }
                LOSE_COMMIT if commits => {
                    self.behaviour.store(PASS, SeqCst);
                    break;
                }
                AWAY => break,
                _ => {}
            }
            if self.server.write_all(&buffer[..length]).is_err() {
                break;
            }
        }
        close(&self.client, &self.server);
    }
}

fn close(one: &TcpStream, other: &TcpStream) {
    // Either may be closed already.
    drop(one.shutdown(Shutdown::Both));
    drop(other.shutdown(Shutdown::Both));
}
