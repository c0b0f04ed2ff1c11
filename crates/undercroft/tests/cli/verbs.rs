//! The verbs that do one thing and end.

use serde_json::Value;

use crate::program::Place;

/// The verbs that a help text lists.
fn verbs_in(help: &str) -> Vec<&str> {
    let lines = help.lines().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| !line.is_empty());
    lines.filter_map(|line| line.split_whitespace().next()).filter(|verb| *verb != "help").collect()
}

fn explains_itself(place: &Place, verb: &[&str]) {
    let help = place.run(&[verb, &["--help"]].concat()).expect(0).out;
    let below = verbs_in(&help);
    assert!(
        !below.is_empty() || (help.contains("Example") && help.contains(&format!("undercroft {}", verb.join(" ")))),
        "{verb:?}: {help}"
    );
    below.iter().for_each(|name| explains_itself(place, &[verb, &[name]].concat()));
}

#[test]
fn every_verb_explains_itself_with_an_example() {
    let place = Place::new();
    let help = place.run(&["--help"]).expect(0).out;
    let verbs = verbs_in(&help);
    for own in ["serve", "init", "migrate", "config", "doctor", "openapi", "completions", "owner", "user", "audit"] {
        assert!(verbs.contains(&own), "{own} is not in {verbs:?}");
    }
    for verb in verbs {
        explains_itself(&place, &[verb]);
    }
    assert_eq!(place.run(&["--version"]).expect(0).out, format!("undercroft {}\n", env!("CARGO_PKG_VERSION")));
    assert_eq!(place.names(), [""; 0]);
}

#[test]
fn init_writes_a_file_that_changes_nothing_and_is_not_overwritten() {
    let place = Place::new();
    let values = |json: Value| json["settings"].as_array().unwrap().iter().map(|row| row["value"].clone()).collect::<Vec<_>>();
    let before = values(place.run(&["config", "--json"]).expect(0).json());
    place.run(&["init"]).expect(0);
    assert_eq!(values(place.run(&["config", "--json"]).expect(0).json()), before);
    let written = std::fs::read_to_string(place.path("undercroft.toml")).unwrap();
    assert!(written.contains("[accounts.passwords]") && written.contains("# listen = \"127.0.0.1:8000\""));
    std::fs::write(place.path("undercroft.toml"), "mode = \"production\"\n").unwrap();
    place.run(&["init"]).refused(&["undercroft.toml", "not changed"]);
    assert_eq!(std::fs::read_to_string(place.path("undercroft.toml")).unwrap(), "mode = \"production\"\n");
    place.run(&["init", "--config", "other.toml"]).expect(0);
}

#[test]
fn migrate_says_what_is_missing_and_does_it_once() {
    let place = Place::new();
    let missing = place.run(&["migrate", "--check"]).expect(3).out;
    assert!(missing.contains("missing platform 0001_platform\n") && missing.contains("missing accounts 0001_accounts\n"), "{missing}");
    assert_eq!(place.names(), [""; 0]);
    let applied = place.run(&["migrate"]).expect(0).out;
    assert_eq!(applied.replace("applied ", "missing ").replace("The database is up to date.\n", ""), missing);
    assert_eq!(place.run(&["migrate"]).expect(0).out, "The database is up to date.\n");
    assert_eq!(place.run(&["migrate", "--check"]).expect(0).out, "The database is up to date.\n");
}

#[test]
fn config_shows_origins_and_no_secret() {
    let place = Place::new();
    std::fs::write(place.path("undercroft.toml"), "[log]\nfilter = \"debug\"\n").unwrap();
    let mut command = place.command(&["config", "--json", "--set", "http.listen=127.0.0.1:9"]);
    let output = command.env("UNDERCROFT_DATABASE__URL", "postgres://u:hunter2@h/d").env("UNDERCROFT_HTTP__LISTEN", "x").output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(!text.contains("hunter2"), "{text}");
    let json: Value = serde_json::from_str(&text).unwrap();
    let row = |key: &str| json["settings"].as_array().unwrap().iter().find(|row| row["key"] == key).unwrap().clone();
    assert_eq!((&row("http.listen")["value"], &row("http.listen")["origin"]), (&"\"127.0.0.1:9\"".into(), &"flag".into()));
    assert_eq!(row("database.url")["origin"], "environment variable UNDERCROFT_DATABASE__URL");
    assert_eq!((&row("log.filter")["value"], &row("log.filter")["origin"]), (&"\"debug\"".into(), &"file undercroft.toml".into()));
    assert_eq!(row("mode")["origin"], "default");
    let plain = place.run(&["config"]).expect(0).out;
    assert!(plain.contains("log.filter = \"debug\"  # file undercroft.toml\n"), "{plain}");
    place.run(&["config", "--set", "http.max_connections=many"]).refused(&["http.max_connections"]);
}

#[test]
fn references_are_printed_without_a_database() {
    let place = Place::new();
    let settings = place.run(&["config", "--reference"]).expect(0).out;
    assert!(settings.starts_with("# Settings\n") && settings.contains("UNDERCROFT_ACCOUNTS__PASSWORDS__MIN_LENGTH"), "{settings}");
    let errors = place.run(&["openapi", "--errors"]).expect(0).out;
    assert!(errors.contains("\n| 404 | `not_found` | There is nothing here. |"), "{errors}");
    let document = place.run(&["openapi"]).expect(0);
    assert!(document.out.ends_with("}\n"));
    assert_eq!(document.json()["openapi"], "3.1.0");
    assert_eq!(place.names(), [""; 0]);
}

#[test]
fn doctor_finds_what_is_wrong_and_changes_nothing() {
    let place = Place::new();
    let nothing_yet = place.run(&["doctor", "--json"]).expect(3).json();
    assert!(nothing_yet["findings"][0]["text"].as_str().unwrap().contains("There is no database"), "{nothing_yet}");
    assert_eq!(place.names(), [""; 0]);
    place.run(&["migrate"]).expect(0);
    assert!(place.run(&["doctor"]).code.is_some_and(|code| code == 0 || code == 3));
    let production = place.run(&["doctor", "--json", "--set", "mode=production"]).expect(3).json();
    let texts: Vec<&str> = production["findings"].as_array().unwrap().iter().filter_map(|finding| finding["text"].as_str()).collect();
    assert!(texts.iter().any(|text| text.contains("public_url")) && texts.iter().any(|text| text.contains("mail.transport")), "{texts:?}");
    std::fs::remove_file(place.path("undercroft-data/key")).unwrap();
    assert!(place.run(&["doctor"]).expect(3).out.contains("There is no key file"));
}

#[test]
fn completions_are_printed_for_every_shell() {
    let place = Place::new();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let text = place.run(&["completions", shell]).expect(0).out;
        assert!(text.contains("undercroft") && text.contains("migrate") && text.contains("owner"), "{shell}");
    }
}

#[test]
fn the_verbs_of_accounts_work_over_a_fresh_database() {
    let place = Place::new();
    place.run(&["user", "list"]).expect(0);
    let owner = place.run(&["owner", "create", "--help"]).expect(0).out;
    assert!(owner.contains("Usage: undercroft owner create"), "{owner}");
}

#[test]
fn prv2_audit_verify_names_the_first_row_that_was_changed() {
    let place = Place::new();
    // Each line is an audit row: the command seals its own when it ends.
    for _ in 0..3 {
        place.run(&["keys", "rotate"]).expect(0);
        place.run(&["owner", "create"]).expect(0);
    }
    let whole = place.run(&["audit", "verify"]).expect(0).out;
    let report = place.run(&["audit", "verify", "--json"]).expect(0).json();
    let (last, hash) = (report["last_seq"].as_i64().unwrap(), report["last_hash"].as_str().unwrap().to_owned());
    assert!(last >= 3 && whole.contains(&format!("{last} rows are whole, from 1 to {last}")), "{whole}");
    assert!(whole.ends_with(&format!("The last is {last}:{hash}\n")) && report["fault"].is_null(), "{whole}");
    place.run(&["audit", "verify", "--head", &format!("{last}:{hash}")]).expect(0);
    let beyond = format!("{}:{hash}", last + 1);
    place.run(&["audit", "verify", "--head", &beyond]).refused(&[&format!("row {}", last + 1), "missing"]);
    place.run(&["audit", "verify", "--head", "nonsense"]).refused(&["4711:"]);
    let url = format!("sqlite:{}", place.path("undercroft-data/undercroft.db").display());
    let db = db::Db::open(db::Settings { url, ..db::Settings::default() }).unwrap();
    let changed = db.write_blocking(|tx| {
        tx.execute("DROP TRIGGER platform_audit_kept", db::params![])?;
        tx.execute("UPDATE platform_audit SET action = 'nothing' WHERE seq = 2", db::params![])
    });
    assert_eq!(changed.unwrap(), 1);
    db.close_blocking();
    let told = place.run(&["audit", "verify"]).refused(&["broken at row 2", "the row was changed"]);
    assert!(told.out.contains("1 rows are whole, from 1 to 1"), "{told:?}");
}
