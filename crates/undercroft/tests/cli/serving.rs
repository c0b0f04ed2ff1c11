//! `serve`: the first run, the second, the end.

use std::io::Write as _;
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt as _;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::program::{Place, names_in};

const OWNER: &str = r#""email":"owner@example.com","password":"seven bridges of Koenigsberg"}"#;

/// The 43 characters behind a hash or an equals sign.
fn owner_token(lines: &[String]) -> Option<String> {
    let words = lines.iter().flat_map(|line| line.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == '-')));
    words.into_iter().find(|word| word.len() == 43).map(str::to_owned)
}

#[test]
fn the_first_run_makes_everything_and_says_so_in_ten_lines() {
    let place = Place::new();
    let server = place.serve(&[]);
    assert_eq!(place.names(), ["undercroft-data"]);
    let mode = |path: &str| std::fs::metadata(place.path(path)).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode("undercroft-data"), mode("undercroft-data/key")), (0o700, 0o600));
    assert_eq!(server.get("/healthz"), (200, "ok\n".to_owned()));
    let address = server.address.clone();
    let ended = server.stop().expect(0);
    assert!(ended.out.lines().count() <= 10, "{}", ended.out);
    for said in [&format!("http://{address}\n"), "/api/openapi.json", "undercroft-data", "mailbox"] {
        assert!(ended.out.contains(said), "{said:?} is not in\n{}", ended.out);
    }
    assert!(owner_token(std::slice::from_ref(&ended.out)).is_some(), "{}", ended.out);
    assert!(ended.err.lines().all(|line| !line.contains("WARN") && !line.contains("ERROR")), "{}", ended.err);
    assert_eq!(names_in(&place.path("undercroft-data")), ["key", "undercroft.db", "undercroft.db.lock"]);
}

#[test]
fn log7_the_owner_comes_through_the_printed_link_once() {
    let place = Place::new();
    place.serve(&[]).stop().expect(0);
    let server = place.serve(&[]);
    let become_owner = |token: &str| server.request("POST /api/v1/auth/owner", &format!("{{\"token\":\"{token}\",{OWNER}")).0;
    let token = owner_token(&server.banner).expect("a second start without an owner prints a link too");
    assert_ne!(become_owner(&"A".repeat(43)) / 100, 2);
    assert_eq!((become_owner(&token), become_owner(&token)), (201, 404));
    let login = r#"{"identifier":"owner@example.com","password":"seven bridges of Koenigsberg"}"#;
    assert_eq!(server.request("POST /api/v1/auth/login", login).0, 200);
    server.stop().expect(0);
    let server = place.serve(&[]);
    assert_eq!(owner_token(&server.banner), None, "an owner exists");
    let said = place.run(&["owner", "create"]).expect(0).out;
    assert_eq!(owner_token(&[said]), None);
    server.stop().expect(0);
}

#[test]
fn log7_the_owner_can_be_made_from_the_command_line_while_the_server_runs() {
    let place = Place::new();
    let server = place.serve(&[]);
    let token = owner_token(&[place.run(&["owner", "create"]).expect(0).out]).unwrap();
    assert_eq!(server.request("POST /api/v1/auth/owner", &format!("{{\"token\":\"{token}\",{OWNER}")).0, 201);
    let list = place.run(&["user", "list", "--json"]).expect(0).out;
    assert!(list.contains("owner@example.com"), "{list}");
    server.stop().expect(0);
}

#[test]
fn every_way_of_setting_the_port_works_and_flags_win() {
    let place = Place::new();
    std::fs::write(place.path("undercroft.toml"), "data_dir = \"from-file\"\n[http]\nlisten = \"127.0.0.1:1\"\n").unwrap();
    let server = place.serve(&["--set", "log.filter=warn"]);
    assert_eq!(place.names(), ["from-file", "undercroft.toml"]);
    assert_eq!(server.stop().expect(0).err, "");
}

#[test]
fn the_served_document_is_the_printed_one() {
    let place = Place::new();
    let printed = place.run(&["openapi"]).expect(0).json();
    let server = place.serve(&[]);
    let served: Value = serde_json::from_str(&server.get("/api/openapi.json").1).unwrap();
    assert_eq!(served, printed);
    assert_ne!(printed["paths"]["/api/v1/auth/login"], Value::Null);
    server.stop().expect(0);
}

#[test]
fn log_lines_are_json_when_asked() {
    let place = Place::new();
    let ended = place.serve(&["--set", "log.format=json"]).stop().expect(0);
    let lines: Vec<Value> = ended.err.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.last().unwrap()["message"], "stopped");
}

#[test]
fn a_port_that_the_system_chose_is_in_the_links() {
    let place = Place::new();
    let server = place.serve(&[]);
    let address = server.address.clone();
    let banner = server.stop().expect(0).out;
    assert!(!banner.contains(":0/") && banner.contains(&format!("http://{address}/api/openapi.json")), "{banner}");
}

#[test]
fn a_second_signal_ends_it_at_once() {
    let place = Place::new();
    let mut server = place.serve(&[]);
    let mut slow = TcpStream::connect(&server.address).unwrap();
    let head = "POST /api/v1/auth/login HTTP/1.1\r\nHost: x\r\nX-Session-Mode: token\r\nContent-Type: application/json\r\nContent-Length: 99\r\n\r\n{";
    slow.write_all(head.as_bytes()).unwrap();
    assert_eq!(server.get("/healthz").0, 200, "the slow request has been accepted before this one");
    let asked = Instant::now();
    server.signal("TERM");
    while TcpStream::connect(&server.address).is_ok() {
        std::thread::yield_now();
    }
    server.signal("INT");
    assert!(server.wait().success());
    assert!(asked.elapsed() < Duration::from_secs(15), "the grace is 20 seconds");
}

#[test]
fn what_was_stored_is_there_after_a_kill() {
    let place = Place::new();
    let server = place.serve(&[]);
    let body = json!({"email": "ada@example.com", "password": "seven bridges of Koenigsberg"}).to_string();
    assert_eq!(server.request("POST /api/v1/auth/signup", &body).0, 202);
    server.signal("KILL");
    drop(server);
    let server = place.serve(&[]);
    server.stop().expect(0);
    place.run(&["doctor"]).expect(0);
}
