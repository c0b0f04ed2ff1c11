//! The rules for one Rust file: lines in, findings out.

use std::path::Path;

use super::rust::Line;
use crate::finding::Finding;

pub(crate) type Rule = fn(&str, &[Line]) -> Vec<Finding>;

/// All of them.
pub(crate) const RULES: &[Rule] = &[sql_outside_stores, stores_at_the_edge, dialects_outside_db, leftovers];

const ENGINES: &[&str] = &["postgres", "postgresql", "mysql", "mariadb", "sqlite"];
const LONGEST_FILE: usize = 700;

fn sql_outside_stores(path: &str, lines: &[Line]) -> Vec<Finding> {
    if is_free_of_walls(path) || path.starts_with("crates/testkit/") || is_store(path) {
        return Vec::new();
    }
    let has_sql = |line: &Line| !line.is_test && line.strings.iter().any(|text| is_sql(text));
    find(path, lines, has_sql, "SQL outside a store: move the statement to the `store.rs` beside it")
}

fn stores_at_the_edge(path: &str, lines: &[Line]) -> Vec<Finding> {
    let edge = ["/http.rs", "/graphql.rs", "/admin.rs"].iter().any(|name| path.ends_with(name));
    if !edge || is_free_of_walls(path) {
        return Vec::new();
    }
    let reaches = |line: &Line| !line.is_test && names_store(&line.code);
    find(path, lines, reaches, "a store is used at the edge: call the verb in `service.rs`, which also authorises")
}

fn dialects_outside_db(path: &str, lines: &[Line]) -> Vec<Finding> {
    if is_free_of_walls(path) {
        return Vec::new();
    }
    let asks = |line: &Line| !line.is_test && (has_word(&line.code, "Dialect") || chooses_by_engine(line));
    find(path, lines, asks, "asks which database this is: give crate `db` a helper that hides the difference")
}

fn leftovers(path: &str, lines: &[Line]) -> Vec<Finding> {
    let ignored =
        find(path, lines, |line| line.code.contains("#[ignore"), "an ignored test: assert today's behaviour and say why it is wrong");
    let unfinished = find(path, lines, is_unfinished, "unfinished: write it, or return an error that says so");
    let noted = find(path, lines, |line| line.comment.contains("FIXME"), "a note to self: mend it, or open an issue");
    [ignored, unfinished, noted].into_iter().flatten().collect()
}

/// The same for files that are not Rust.
pub(crate) fn leftovers_in_text(path: &str, text: &str) -> Vec<Finding> {
    (1..)
        .zip(text.lines())
        .filter(|(_, line)| line.contains("FIXME"))
        .map(|(number, _)| Finding::new(path, number, "a note to self: mend it, or open an issue"))
        .collect()
}

/// A file that has become hard to hold in one's head.
pub(crate) fn too_long(path: &str, lines: usize) -> Option<Finding> {
    (lines > LONGEST_FILE).then(|| Finding::new(path, LONGEST_FILE, format!("{lines} lines: look for the second thing it does")))
}

fn find(path: &str, lines: &[Line], wrong: impl Fn(&Line) -> bool, what: &str) -> Vec<Finding> {
    (1..).zip(lines).filter(|(_, line)| wrong(line)).map(|(number, _)| Finding::new(path, number, what)).collect()
}

/// Crate `db`, tests, benches and the tools.
fn is_free_of_walls(path: &str) -> bool {
    let ours = path.starts_with("crates/") || path.starts_with("examples/");
    let test = path.contains("/tests/") || path.ends_with("/tests.rs") || path.contains("/benches/");
    !ours || test || path.starts_with("crates/db/")
}

fn is_store(path: &str) -> bool {
    path.ends_with("/store.rs") || Path::new(path).iter().any(|folder| folder == "store")
}

/// A statement, not a sentence: the verb is all upper or all lower case, and what must follow follows.
fn is_sql(text: &str) -> bool {
    let words: Vec<&str> = text.split_whitespace().take(64).collect();
    let verb = words.first().copied().unwrap_or_default();
    let word = |at: usize| words.get(at).map_or(String::new(), |word| word.to_ascii_lowercase());
    if verb.chars().any(|letter| letter.is_lowercase()) && verb.chars().any(|letter| letter.is_uppercase()) {
        return false;
    }
    match verb.to_ascii_lowercase().as_str() {
        "select" => verb == "SELECT" || (words.contains(&"from") && words.len() > 3),
        "insert" | "replace" => word(1) == "into" || word(1) == "or",
        "update" => word(2) == "set",
        "delete" => word(1) == "from",
        "with" => words.iter().any(|word| word.eq_ignore_ascii_case("as")) && words.iter().any(|word| word.eq_ignore_ascii_case("(select")),
        "create" | "alter" | "drop" => ["table", "index", "unique", "view"].contains(&word(1).as_str()) && words.len() > 2,
        _ => false,
    }
}

fn names_store(code: &str) -> bool {
    let import = code.trim_start().trim_start_matches("pub ").trim_start_matches("pub(crate) ").starts_with("use ");
    words(code, "store").any(|(before, after)| import || before.ends_with("::") || after.starts_with("::"))
}

fn chooses_by_engine(line: &Line) -> bool {
    let code = line.code.replace(' ', "");
    let chosen = ["\"\"=>", "\"\"|", "|\"\"", "==\"\"", "\"\"==", "!=\"\""].iter().any(|pattern| code.contains(pattern));
    chosen && line.strings.iter().any(|text| ENGINES.contains(&text.as_str()))
}

fn is_unfinished(line: &Line) -> bool {
    ["todo", "unimplemented"].iter().any(|name| words(&line.code, name).any(|(_, after)| after.starts_with('!')))
}

fn has_word(code: &str, word: &str) -> bool {
    words(code, word).next().is_some()
}

/// Where `word` stands alone in `code`: what comes before and what after.
fn words<'a>(code: &'a str, word: &'a str) -> impl Iterator<Item = (&'a str, &'a str)> {
    let part = |letter: char| letter.is_alphanumeric() || letter == '_';
    (code.match_indices(word))
        .map(move |(at, _)| (&code[..at], &code[at + word.len()..]))
        .filter(move |(before, after)| !before.ends_with(part) && !after.starts_with(part))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::rust::lex;

    fn lines_of(rule: Rule, path: &str, text: &str) -> Vec<String> {
        rule(path, &lex(text)).iter().map(|finding| finding.to_string().split(": ").next().unwrap().to_owned()).collect()
    }

    #[test]
    fn sql_belongs_into_a_store() {
        let text = "fn a() {\n  c.all(\"SELECT id FROM posts\");\n  c.run(\"update posts set a = 1\");\n}";
        assert_eq!(
            lines_of(sql_outside_stores, "crates/blog/src/posts/service.rs", text),
            ["crates/blog/src/posts/service.rs:2", "crates/blog/src/posts/service.rs:3"]
        );
        for allowed in
            ["crates/blog/src/posts/store.rs", "crates/blog/src/store/tags.rs", "crates/db/src/pool.rs", "crates/blog/tests/api/posts.rs"]
        {
            assert!(lines_of(sql_outside_stores, allowed, text).is_empty(), "{allowed}");
        }
    }

    #[test]
    fn sql_in_the_unit_tests_of_a_file_is_fine() {
        assert!(
            lines_of(sql_outside_stores, "crates/kernel/src/jobs/mod.rs", "#[cfg(test)]\nmod tests {\n  \"DELETE FROM jobs\"\n}")
                .is_empty()
        );
    }

    #[test]
    fn a_statement_is_told_from_a_sentence() {
        for sql in [
            "SELECT 1",
            "select id from posts",
            "\n  INSERT INTO posts (id)",
            "DELETE FROM posts",
            "WITH a AS (SELECT 1) SELECT 2",
            "CREATE TABLE x (y)",
        ] {
            assert!(is_sql(sql), "{sql}");
        }
        for prose in [
            "Select a post from the list",
            "Delete from the trash",
            "update the counter",
            "select",
            "with as little as that",
            "Create table now",
            "",
        ] {
            assert!(!is_sql(prose), "{prose}");
        }
    }

    #[test]
    fn an_edge_does_not_reach_for_a_store() {
        for code in ["super::store::find(c, id)", "use super::{service, store};", "use super::store;", "store::find()"] {
            assert_eq!(lines_of(stores_at_the_edge, "crates/blog/src/posts/http.rs", code).len(), 1, "{code}");
            assert!(lines_of(stores_at_the_edge, "crates/blog/src/posts/service.rs", code).is_empty());
        }
        for code in ["// see store::find", "let store = 1;", "bookstore::find()", "\"store::find\""] {
            assert!(lines_of(stores_at_the_edge, "crates/blog/src/posts/http.rs", code).is_empty(), "{code}");
        }
    }

    #[test]
    fn nobody_asks_which_database_it_is() {
        for code in [
            "match c.dialect() { Dialect::Sqlite => 1 }",
            "\"postgres\" => 1,",
            "\"mysql\" | \"mariadb\" => 2",
            "if scheme == \"sqlite\" {",
        ] {
            assert_eq!(lines_of(dialects_outside_db, "crates/kernel/src/jobs.rs", code).len(), 1, "{code}");
            assert!(lines_of(dialects_outside_db, "crates/db/src/pool.rs", code).is_empty());
        }
        for code in ["\"postgres://app@host\"", "// Dialect", "help(\"sqlite\")"] {
            assert!(lines_of(dialects_outside_db, "crates/kernel/src/jobs.rs", code).is_empty(), "{code}");
        }
    }

    #[test]
    fn nothing_is_left_lying_about() {
        for code in ["#[ignore]", "#[ignore = \"slow\"]", "todo!()", "unimplemented!(\"x\")", "a(); // FIXME: b"] {
            assert_eq!(lines_of(leftovers, "crates/blog/src/lib.rs", code).len(), 1, "{code}");
        }
        for code in ["\"todo!()\"", "my_todo!()", "// todo!() is forbidden", "let fixme = 1;"] {
            assert!(lines_of(leftovers, "crates/blog/src/lib.rs", code).is_empty(), "{code}");
        }
        assert_eq!(leftovers_in_text("a.sql", "x\n-- FIXME y").len(), 1);
    }

    #[test]
    fn a_long_file_is_noticed() {
        assert!(too_long("a.rs", 700).is_none() && too_long("a.rs", 701).is_some());
    }
}
