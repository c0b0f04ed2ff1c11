//! One clear sentence, an exit code, and nothing changed.

use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;

use db::testing::TestDatabase;
use undercroft::App;
use undercroft::accounts::Accounts;

use crate::program::{Place, names_in};

const ANY_PORT: [&str; 2] = ["--listen", "127.0.0.1:0"];

fn migrated() -> Place {
    let place = Place::new();
    place.run(&["migrate"]).expect(0);
    place
}

#[test]
fn a_taken_port() {
    let place = Place::new();
    let other = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = other.local_addr().unwrap().to_string();
    place.run(&["--listen", &address]).refused(&[&address, "is taken", "http.listen"]);
    assert_eq!(place.names(), [""; 0]);
}

#[test]
fn an_address_that_would_expose_plain_http() {
    let place = Place::new();
    place.run(&["--listen", "0.0.0.0:0"]).refused(&["http.trusted_proxies", "http.insecure_bind"]);
    place.run(&["--listen", "nonsense"]).refused(&["http.listen", "nonsense"]);
    assert_eq!(place.names(), [""; 0]);
}

#[test]
fn a_data_folder_that_cannot_be_made() {
    let place = Place::new();
    std::fs::write(place.path("file"), "").unwrap();
    for folder in ["file", "file/below"] {
        place.run(&["--data-dir", folder, ANY_PORT[0], ANY_PORT[1]]).refused(&["data folder", "data_dir"]);
    }
    assert_eq!(place.names(), ["file"]);
}

#[test]
fn dat3_a_missing_key_beside_a_database() {
    let place = migrated();
    std::fs::remove_file(place.path("undercroft-data/key")).unwrap();
    for verb in [&ANY_PORT[..], &["migrate"], &["user", "list"]] {
        place.run(verb).refused(&["There is no key file", "Restore it"]);
    }
    assert!(!names_in(&place.path("undercroft-data")).contains(&"key".to_owned()));
}

#[test]
fn dat3_a_missing_key_beside_any_kind_of_database() {
    let plan = App::builder().module(Accounts::new()).plan().unwrap();
    let database = TestDatabase::create(plan.migrations());
    let place = Place::new();
    place.run(&["--database-url", &database.url(), ANY_PORT[0], ANY_PORT[1]]).refused(&["There is no key file"]);
    assert_eq!(place.names(), [""; 0]);
}

#[test]
fn pos15_a_key_that_everybody_can_read() {
    let place = migrated();
    std::fs::set_permissions(place.path("undercroft-data/key"), std::fs::Permissions::from_mode(0o644)).unwrap();
    place.run(&ANY_PORT).refused(&["open to every account", "chmod 600"]);
}

#[test]
fn a_database_of_a_newer_program() {
    let place = migrated();
    let settings =
        db::Settings { url: format!("sqlite:{}", place.path("undercroft-data/undercroft.db").display()), ..db::Settings::default() };
    let database = db::Db::open(settings).unwrap();
    let newer =
        "INSERT INTO db_migrations (module, number, name, checksum, statements, applied_at) VALUES ('accounts', 99, 'x', 'x', 1, 1)";
    database.write_blocking(move |tx| tx.execute(newer, &[])).unwrap();
    database.close_blocking();
    for verb in [&ANY_PORT[..], &["migrate"]] {
        place.run(verb).refused(&["newer than this program", "99"]);
    }
}

#[test]
fn a_second_server_on_the_same_file() {
    let place = Place::new();
    let server = place.serve(&[]);
    place.run(&ANY_PORT).refused(&["nother process serves the database"]);
    place.run(&["user", "list"]).expect(0);
    server.stop().expect(0);
    place.serve(&[]).stop().expect(0);
}

#[test]
fn a_database_that_may_not_be_migrated() {
    let place = Place::new();
    let args = ["--set", "auto_migrate=false", ANY_PORT[0], ANY_PORT[1]];
    place.run(&args).refused(&["not up to date", "migrate"]);
    assert_eq!(place.names(), [""; 0]);
    place.run(&["migrate"]).expect(0);
    place.serve(&["--set", "auto_migrate=false"]).stop().expect(0);
}

#[test]
fn a_database_that_is_not_there() {
    let place = Place::new();
    place.run(&["--database-url", "oracle://x", ANY_PORT[0], ANY_PORT[1]]).refused(&["database", "oracle"]);
    let away = "postgres://app:the-password@127.0.0.1:1/app";
    let ended = place.run(&["--database-url", away, ANY_PORT[0], ANY_PORT[1]]).refused(&["database.url", "cannot be opened"]);
    assert!(!ended.err.contains("the-password"));
    assert_eq!(place.names(), [""; 0]);
}

#[test]
fn pos15_production_names_every_unsafe_setting() {
    let place = Place::new();
    let ended = place.run(&["--set", "mode=production", "--set", "http.trusted_proxies=0.0.0.0/0", ANY_PORT[0], ANY_PORT[1]]).expect(1);
    for setting in ["public_url", "mail.transport", "http.trusted_proxies"] {
        assert_eq!(ended.err.lines().filter(|line| line.contains(setting)).count(), 1, "{setting}: {}", ended.err);
    }
    assert_eq!(place.names(), [""; 0]);
    let safe = ["mode=production", "public_url=https://shop.example", "mail.transport=smtp", "mail.smtp_url=smtp://127.0.0.1:1"];
    let mut args: Vec<&str> = safe.iter().flat_map(|setting| ["--set", setting]).collect();
    // The server has no TLS of its own yet, so there is a proxy, and it must be named.
    let unnamed = place.run(&[&args[..], &ANY_PORT].concat()).expect(1);
    assert!(unnamed.err.contains("http.trusted_proxies is empty"), "{}", unnamed.err);
    args.extend(["--set", "http.trusted_proxies=loopback"]);
    place.serve(&args).stop().expect(0);
}

#[test]
fn settings_that_nobody_knows_or_that_cannot_be_read() {
    let place = Place::new();
    std::fs::write(place.path("undercroft.toml"), "[http]\nlisen = \"x\"\nmax_connections = \"many\"\n").unwrap();
    let ended = place.run(&ANY_PORT).expect(1);
    assert!(
        ended.err.contains("http.lisen") && ended.err.contains("line 2") && ended.err.contains("Did you mean http.listen?"),
        "{}",
        ended.err
    );
    assert!(ended.err.contains("http.max_connections: expected a whole number"), "{}", ended.err);
    assert_eq!(place.names(), ["undercroft.toml"]);
    place.run(&["--config", "nowhere.toml"]).refused(&["nowhere.toml", "cannot be read"]);
}

#[test]
fn wrong_usage_has_a_code_of_its_own() {
    let place = Place::new();
    for args in [&["nonsense"][..], &["serve", "--nonsense"], &["--set", "x"], &["completions"], &["config", "--json", "--reference"]] {
        let ended = place.run(args).expect(2);
        assert!(ended.out.is_empty() && ended.err.contains("--help"), "{ended:?}");
    }
}
