//! Every code and every event of selling is met by a test.

use std::fs;

use crate::support::*;

/// The text of all tests but this file.
fn tests() -> String {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/selling");
    let files = fs::read_dir(folder).expect("the folder of these tests");
    let paths = files.map(|file| file.expect("a file").path()).filter(|path| path.extension().is_some_and(|end| end == "rs"));
    paths.filter(|path| !path.ends_with("codes.rs")).map(|path| fs::read_to_string(path).expect("a text")).collect()
}

#[test]
fn r51_every_code_is_reached_by_a_test() {
    let tests = tests();
    let codes = shop::selling_problems::PROBLEMS.iter().map(|problem| problem.code);
    let unreached: Vec<&str> = codes.filter(|code| !tests.contains(&format!("\"{code}\""))).collect();
    assert!(unreached.is_empty(), "no test expects {unreached:?}");
}

#[tokio::test]
async fn every_event_is_expected_by_a_test() {
    let shop = shop(1).await;
    let tests = tests();
    let is_ours = |name: &&str| ["order", "payment", "refund", "fulfilment"].iter().any(|kind| name.starts_with(&format!("shop.{kind}.")));
    let events: Vec<&str> = shop.kernel().plan().events().map(|event| event.name).filter(is_ours).collect();
    let unexpected: Vec<&&str> = events.iter().filter(|name| !tests.contains(&format!("\"{name}\""))).collect();
    assert!(unexpected.is_empty(), "no test expects {unexpected:?}");
}
