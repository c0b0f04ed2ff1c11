//! Every code of accounts has a page and a test; so has every event.

use std::fs;

use accounts::problems::PROBLEMS;

use crate::support::*;

/// The codes of accounts that stand in `errors[]` only.
const FIELD_CODES: [&str; 6] =
    ["password_too_short", "password_too_long", "current_password_wrong", "email_invalid", "username_invalid", "scope_not_allowed"];

/// The text of all tests but this file.
fn tests() -> String {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/api");
    let files = fs::read_dir(folder).expect("the folder of these tests");
    let paths = files.map(|file| file.expect("a file").path()).filter(|path| !path.ends_with("codes.rs"));
    paths.map(|path| fs::read_to_string(path).expect("a text")).collect()
}

#[tokio::test]
async fn r51_every_code_has_a_page_that_explains_it() {
    let app = app().await;
    for problem in PROBLEMS {
        let page = app.get(&format!("/problems/{}", problem.code)).header("Accept", "text/html").await.expect(200);
        let text = String::from_utf8(page.bytes.clone()).unwrap();
        assert!(page.header("content-type").starts_with("text/html"), "{page}");
        for part in [problem.code, problem.title] {
            assert!(text.contains(part), "{} lacks {part}", problem.code);
        }
    }
    app.get("/problems/no_such_code").header("Accept", "text/html").await.expect(404);
}

#[test]
fn r51_every_code_is_reached_by_a_test() {
    let tests = tests();
    let codes = PROBLEMS.iter().map(|problem| problem.code).chain(FIELD_CODES);
    let unreached: Vec<&str> = codes.filter(|code| !tests.contains(&format!("\"{code}\""))).collect();
    assert!(unreached.is_empty(), "no test expects {unreached:?}");
}

#[tokio::test]
async fn every_event_is_expected_by_a_test() {
    let app = app().await;
    let tests = tests();
    let events = app.kernel().plan().events().map(|event| event.name).filter(|name| name.starts_with("accounts."));
    let unexpected: Vec<&str> = events.filter(|name| !tests.contains(&format!("\"{name}\""))).collect();
    assert!(unexpected.is_empty(), "no test expects {unexpected:?}");
}

#[tokio::test]
async fn every_code_is_declared_by_an_operation() {
    let app = app().await;
    let document = app.document().to_string();
    let undeclared: Vec<&str> =
        PROBLEMS.iter().map(|problem| problem.code).filter(|code| !document.contains(&format!("\"{code}\""))).collect();
    assert!(undeclared.is_empty(), "no operation declares {undeclared:?}");
}
