//! Full-text search: the same matches on every engine, in the transaction of the change.

use db::fulltext::{self, MATCHES_MAX, Query};
use db::testing::TestDatabase;
use db::{MigrationSet, migrations};
use proptest::prelude::*;

const TEXTS: MigrationSet = MigrationSet { module: "texts", migrations: migrations![(1, "texts", "{fulltext:texts_search};")] };
const TABLE: &str = "texts_search";

fn id(number: usize) -> [u8; 16] {
    (number as u128).to_be_bytes()
}

fn find(test: &TestDatabase, query: &str) -> Vec<[u8; 16]> {
    let query = Query::parse(query);
    test.db().read_blocking(move |c| fulltext::matches(c, TABLE, &query)).unwrap()
}

fn put(test: &TestDatabase, number: usize, text: &str) {
    let text = text.to_owned();
    test.db().write_blocking(move |tx| fulltext::upsert(tx, TABLE, id(number), &text)).unwrap();
}

fn numbers(found: &[[u8; 16]]) -> Vec<usize> {
    let mut numbers: Vec<usize> = found.iter().map(|id| u128::from_be_bytes(*id) as usize).collect();
    numbers.sort_unstable();
    numbers
}

/// Words of many scripts, short and common ones among them, which engines' own indexes leave out.
const WORDS: [&str; 40] = [
    "a",
    "the",
    "of",
    "x",
    "xx",
    "1",
    "42",
    "and",
    "AND",
    "not",
    "OR",
    "cheese",
    "Cheesecake",
    "cheesy",
    "Käse",
    "kase",
    "Straße",
    "strasse",
    "naïve",
    "naive",
    "東京",
    "京都",
    "東京都",
    "東",
    "한국",
    "한국어",
    "Привет",
    "привет",
    "Привычка",
    "σίγμα",
    "ΣΙΓΜΑ",
    "don't",
    "re-use",
    "C++",
    "e-mail",
    "ab'c",
    "%_",
    "100%",
    "İstanbul",
    "ﬁne",
];

/// What people type, and what they do not.
const QUERIES: [&str; 24] = [
    "",
    " ",
    "-",
    "- -",
    "*",
    "\"",
    "\"cheese",
    "'",
    "' OR 1=1 --",
    "cheese AND",
    "NEAR(a b)",
    "+cheese",
    "(cheese",
    "cheese)",
    "a:b",
    "~",
    "<>",
    "@",
    "\\",
    "che*",
    "-cheese",
    "-the a",
    "\u{200b}",
    "😀",
];

fn texts() -> impl Strategy<Value = Vec<Vec<usize>>> {
    prop::collection::vec(prop::collection::vec(0..WORDS.len(), 0..12), 1..60)
}

fn text(places: &[usize]) -> String {
    places.iter().map(|place| WORDS[*place]).collect::<Vec<_>>().join(" ")
}

fn query() -> impl Strategy<Value = String> {
    let word = (0..WORDS.len(), 0..6usize, any::<prop::sample::Index>()).prop_map(|(place, kind, at)| {
        let word = WORDS[place];
        match kind {
            0 => format!("-{word}"),
            1 => word.chars().take(1 + at.index(word.chars().count())).collect(),
            _ => word.to_owned(),
        }
    });
    prop_oneof![4 => prop::collection::vec(word, 1..4).prop_map(|words| words.join(" ")), 1 => (0..QUERIES.len()).prop_map(|at| QUERIES[at].to_owned())]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    /// 40 queries for each of a dozen corpora; what must be found is computed from the texts, so every engine finds the same.
    #[test]
    fn src1_every_engine_finds_what_the_rules_say(corpus in texts(), changed in texts(), queries in prop::collection::vec(query(), 40)) {
        let test = TestDatabase::create(&[TEXTS]);
        let mut texts: Vec<Option<String>> = Vec::new();
        for (number, words) in corpus.iter().enumerate() {
            put(&test, number, &text(words));
            texts.push(Some(text(words)));
        }
        for (number, words) in changed.iter().enumerate().take(texts.len()) {
            if number % 5 == 0 {
                test.db().write_blocking(move |tx| fulltext::delete(tx, TABLE, id(number))).unwrap();
                texts[number] = None;
            } else {
                put(&test, number, &text(words));
                texts[number] = Some(text(words));
            }
        }
        for typed in queries {
            let query = Query::parse(&typed);
            let expected: Vec<usize> =
                texts.iter().enumerate().filter(|(_, text)| text.as_ref().is_some_and(|text| query.finds(text))).map(|(number, _)| number).collect();
            prop_assert_eq!(numbers(&find(&test, &typed)), expected, "{}", typed);
        }
    }
}

#[test]
fn src2_no_query_is_an_error() {
    let test = TestDatabase::create(&[TEXTS]);
    put(&test, 1, &WORDS.join(" "));
    let long = "cheese -x ".repeat(2_000);
    let cjk = "日本語東京都".repeat(300);
    for query in QUERIES.iter().copied().chain([long.as_str(), cjk.as_str()]) {
        assert!(find(&test, query).len() <= 1, "{query}");
    }
}

#[test]
fn src3_the_first_500_matches_count_and_the_best_come_first() {
    let test = TestDatabase::create(&[TEXTS]);
    test.db()
        .write_blocking(|tx| (0..MATCHES_MAX + 20).try_for_each(|number| fulltext::upsert(tx, TABLE, id(number), "cheese and wine")))
        .unwrap();
    let found = find(&test, "cheese");
    assert_eq!(numbers(&found), (20..MATCHES_MAX + 20).collect::<Vec<_>>());
    assert_eq!(found[0], id(MATCHES_MAX + 19), "as good ones come newest first");
    put(&test, 100, "cheese cheese cheese with cheese");
    put(&test, 101, &format!("cheese {}", "and much else ".repeat(50)));
    let found = find(&test, "chees");
    assert_eq!((found[0], found[MATCHES_MAX - 1]), (id(100), id(101)));
    assert_eq!(find(&test, "cheese wine"), find(&test, "wine cheese"));
}

#[test]
fn src4_what_a_transaction_wrote_is_found_in_it_and_gone_with_it() {
    let test = TestDatabase::create(&[TEXTS]);
    put(&test, 1, "old words");
    let undone: Result<(), db::Error> = test.db().write_blocking(|tx| {
        fulltext::upsert(tx, TABLE, id(1), "fresh words")?;
        fulltext::upsert(tx, TABLE, id(2), "fresh too")?;
        let found = fulltext::matches(tx, TABLE, &Query::parse("fresh"))?;
        assert_eq!(numbers(&found), [1, 2]);
        assert_eq!(fulltext::matches(tx, TABLE, &Query::parse("old"))?, Vec::<[u8; 16]>::new());
        Err(db::Error::NotFound)
    });
    assert!(undone.is_err());
    assert_eq!((numbers(&find(&test, "old")), numbers(&find(&test, "fresh"))), (vec![1], vec![]));
}

#[test]
fn src4_texts_that_change_at_once_are_all_found() {
    let test = TestDatabase::create(&[TEXTS]);
    std::thread::scope(|scope| {
        for writer in 0..8 {
            let test = &test;
            scope.spawn(move || {
                for round in 0..6 {
                    put(test, writer, &format!("common words of everybody round{round} writer{writer} {}", WORDS.join(" ")));
                }
            });
        }
    });
    assert_eq!(numbers(&find(&test, "common everybody round5")), (0..8).collect::<Vec<_>>());
    assert_eq!(numbers(&find(&test, "round4")), Vec::<usize>::new());
}

#[test]
fn the_longest_text_is_indexed_and_forgotten() {
    let test = TestDatabase::create(&[TEXTS]);
    let text: String = (0..90_000).map(|n| format!("w{n} ")).collect();
    put(&test, 1, &text);
    assert_eq!(numbers(&find(&test, "w0 w77 w9999")), [1]);
    put(&test, 1, "short");
    let left: i64 = test.db().read_blocking(|c| c.one("SELECT COUNT(*) FROM texts_search", &[])).unwrap();
    assert_eq!(left, 1);
}
