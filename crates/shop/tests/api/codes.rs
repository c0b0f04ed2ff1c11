//! Every code and every event of the catalog, the stock and the cart has a test that meets it.

use std::fs;

use shop::problems::PROBLEMS;

use crate::support::*;

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
        let text = String::from_utf8(page.bytes.clone()).expect("a text");
        assert!(text.contains(problem.code) && text.contains(problem.title), "{}", problem.code);
    }
}

#[test]
fn r51_every_code_is_reached_by_a_test() {
    let tests = tests();
    let unreached: Vec<&str> = PROBLEMS.iter().map(|problem| problem.code).filter(|code| !tests.contains(&format!("\"{code}\""))).collect();
    assert!(unreached.is_empty(), "no test expects {unreached:?}");
}

#[test]
fn every_event_is_expected_by_a_test() {
    let tests = tests();
    let events = ["product.created", "product.updated", "product.deleted", "stock.adjusted", "variant.low_stock", "cart.created"];
    let unexpected: Vec<_> = events.iter().filter(|name| !tests.contains(&format!("\"shop.{name}\""))).collect();
    assert!(unexpected.is_empty(), "no test expects {unexpected:?}");
}
