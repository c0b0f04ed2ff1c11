//! The text of a migration: type tokens, full-text tables, the suffix of tables, and where one statement ends.

use crate::sql::{Dialect, pieces};

/// Begins the name of the check that stands in for a column's length on SQLite; the column follows.
pub(crate) const TOO_LONG: &str = "too_long:";

/// What an engine calls the types that migrations name by tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Types {
    pub(crate) dialect: Dialect,
    /// The binary collation without padding that this server has (MySQL and MariaDB name it differently).
    pub(crate) collation: &'static str,
}

impl Types {
    /// Replaces `{id}`, `{key:190}` and the like, and ends each `CREATE TABLE` with the engine's suffix.
    pub(crate) fn expand(&self, sql: &str) -> Result<Vec<String>, String> {
        let mut statements = Vec::new();
        for statement in split(sql) {
            match fulltext_table(&statement) {
                Some(table) => statements.extend(self.fulltext(table)?),
                None => statements.push(self.expand_statement(&statement)?),
            }
        }
        Ok(statements)
    }

    /// The table of a full-text index; rows lie in the order of their words, which is the order in which they are looked up.
    fn fulltext(&self, table: &str) -> Result<Vec<String>, String> {
        if table.is_empty() || !table.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_') {
            return Err(format!("{{fulltext:{table}}} names no table"));
        }
        let (word, id, weight) = (self.key(crate::fulltext::WORD_MAX as u16), self.token("id")?, self.token("int")?);
        let suffix = self.clustered();
        Ok(vec![
            format!(
                "CREATE TABLE {table} (word {word} NOT NULL, doc_id {id} NOT NULL, weight {weight} NOT NULL, PRIMARY KEY (word, doc_id)) {suffix}"
            ),
            format!("CREATE INDEX {table}_doc ON {table} (doc_id, word)"),
        ])
    }

    fn expand_statement(&self, statement: &str) -> Result<String, String> {
        let mut out = String::with_capacity(statement.len() + 64);
        let mut has_suffix = false;
        for (piece, is_code) in pieces(statement) {
            let mut rest = piece;
            while is_code && let Some((before, token, after)) = next_token(rest) {
                out.push_str(before);
                has_suffix |= matches!(token, "engine" | "clustered");
                let replacement = self.token(token)?;
                out.push_str(&replacement);
                out.push_str(&self.length_check(token, &out[..out.len() - replacement.len()]));
                rest = after;
            }
            out.push_str(rest);
        }
        if !has_suffix && is_create_table(statement) {
            out.push(' ');
            out.push_str(&self.suffix());
        }
        Ok(out)
    }

    fn token(&self, token: &str) -> Result<String, String> {
        let (name, length) = match token.split_once(':') {
            Some((name, length)) => (name, Some(length.parse::<u16>().map_err(|_| format!("{{{token}}} needs a length"))?)),
            None => (token, None),
        };
        let type_name = match (name, length) {
            ("engine", None) => return Ok(self.suffix()),
            ("clustered", None) => return Ok(self.clustered()),
            ("key", Some(length)) => return Ok(self.key(length)),
            ("id", None) => ["BLOB", "UUID", "BINARY(16)"],
            ("hash", None) => ["BLOB", "BYTEA", "BINARY(32)"],
            ("bytes", None) => ["BLOB", "BYTEA", "LONGBLOB"],
            ("time" | "money" | "int", None) => ["INTEGER", "BIGINT", "BIGINT"],
            ("flag", None) => ["INTEGER", "SMALLINT", "SMALLINT"],
            ("text" | "json", None) => return Ok(self.text()),
            _ => return Err(format!("{{{token}}} is no type token")),
        };
        Ok(self.pick(type_name).to_owned())
    }

    fn pick<'t>(&self, [sqlite, postgres, mysql]: [&'t str; 3]) -> &'t str {
        match self.dialect {
            Dialect::Sqlite => sqlite,
            Dialect::Postgres => postgres,
            Dialect::Mysql => mysql,
        }
    }

    fn key(&self, length: u16) -> String {
        match self.dialect {
            Dialect::Sqlite => "TEXT".to_owned(),
            Dialect::Postgres => format!("VARCHAR({length}) COLLATE \"C\""),
            Dialect::Mysql => format!("VARCHAR({length}) CHARACTER SET utf8mb4 COLLATE {}", self.collation),
        }
    }

    /// SQLite has no lengths: a check refuses what the other engines refuse.
    fn length_check(&self, token: &str, before: &str) -> String {
        let (Dialect::Sqlite, Some(length), Some(column)) = (self.dialect, token.strip_prefix("key:"), before.split_whitespace().last())
        else {
            return String::new();
        };
        let column = column.trim_start_matches('(');
        format!(" CONSTRAINT \"{TOO_LONG}{}\" CHECK (length({column}) <= {length})", column.trim_matches('"'))
    }

    fn text(&self) -> String {
        match self.dialect {
            Dialect::Sqlite => "TEXT".to_owned(),
            Dialect::Postgres => "TEXT COLLATE \"C\"".to_owned(),
            Dialect::Mysql => format!("LONGTEXT CHARACTER SET utf8mb4 COLLATE {}", self.collation),
        }
    }

    fn suffix(&self) -> String {
        match self.dialect {
            // SQLite would otherwise store text in an integer column without a word.
            Dialect::Sqlite => "STRICT".to_owned(),
            Dialect::Postgres => String::new(),
            Dialect::Mysql => format!("ENGINE=InnoDB ROW_FORMAT=DYNAMIC CHARACTER SET utf8mb4 COLLATE {}", self.collation),
        }
    }

    /// The suffix of a table whose rows lie in the order of its primary key: one look-up finds key and row.
    ///
    /// Good for short rows, such as links between two tables. MySQL's tables are so anyway, PostgreSQL's never.
    fn clustered(&self) -> String {
        if self.dialect == Dialect::Sqlite { "STRICT, WITHOUT ROWID".to_owned() } else { self.suffix() }
    }
}

/// The name in a statement that is nothing but `{fulltext:name}`; a comment may stand before it.
fn fulltext_table(statement: &str) -> Option<&str> {
    let code = pieces(statement).map(|(piece, is_code)| if is_code || piece.starts_with("--") { piece } else { "" });
    let last = code.last()?;
    last.trim().strip_prefix("{fulltext:")?.strip_suffix('}')
}

/// The text before the next `{token}`, the token, and the text after it.
fn next_token(text: &str) -> Option<(&str, &str, &str)> {
    let (before, rest) = text.split_once('{')?;
    let (token, after) = rest.split_once('}')?;
    Some((before, token, after))
}

fn words(statement: &str) -> impl Iterator<Item = &str> {
    pieces(statement)
        .filter(|(_, is_code)| *is_code)
        .flat_map(|(piece, _)| piece.split(|c: char| !c.is_ascii_alphanumeric() && c != '_'))
        .filter(|word| !word.is_empty())
}

fn starts_with(statement: &str, first: &[&str]) -> bool {
    let mut words = words(statement);
    first.iter().all(|expected| words.next().is_some_and(|word| word.eq_ignore_ascii_case(expected)))
}

fn is_create_table(statement: &str) -> bool {
    starts_with(statement, &["CREATE", "TABLE"])
}

/// Cuts a text into statements; the body of a trigger stays whole.
fn split(sql: &str) -> Vec<String> {
    let mut statements = Vec::new();
    let mut current = String::new();
    for (piece, is_code) in pieces(sql) {
        if !is_code {
            current.push_str(piece);
            continue;
        }
        for part in piece.split_inclusive(';') {
            current.push_str(part);
            if part.ends_with(';') && is_complete(&current) {
                finish(&mut current, &mut statements);
            }
        }
    }
    finish(&mut current, &mut statements);
    statements
}

fn finish(current: &mut String, statements: &mut Vec<String>) {
    let statement = std::mem::take(current);
    let statement = statement.trim().trim_end_matches(';').trim_end();
    if words(statement).next().is_some() {
        statements.push(statement.to_owned());
    }
}

/// Whether no `BEGIN … END` of a trigger is open.
fn is_complete(statement: &str) -> bool {
    if !starts_with(statement, &["CREATE", "TRIGGER"]) {
        return true;
    }
    let mut depth = 0i32;
    let mut previous = "";
    for word in words(statement) {
        let is = |expected: &str| word.eq_ignore_ascii_case(expected);
        // `END IF` ends an `IF`, which was not counted.
        let ends_if = is("if") && previous.eq_ignore_ascii_case("end");
        if is("begin") || is("case") || ends_if {
            depth += 1;
        } else if is("end") {
            depth -= 1;
        }
        previous = word;
    }
    depth <= 0
}

#[cfg(test)]
mod tests {
    use super::*;

    const SQLITE: Types = Types { dialect: Dialect::Sqlite, collation: "" };
    const MARIADB: Types = Types { dialect: Dialect::Mysql, collation: "utf8mb4_nopad_bin" };
    const POSTGRES: Types = Types { dialect: Dialect::Postgres, collation: "" };

    #[test]
    fn tokens_become_each_engines_types() {
        let sql = "CREATE TABLE t (id {id} PRIMARY KEY, slug {key:190} NOT NULL, n {int}, done {flag}) {engine};";
        assert_eq!(
            SQLITE.expand(sql).unwrap(),
            ["CREATE TABLE t (id BLOB PRIMARY KEY, slug TEXT CONSTRAINT \"too_long:slug\" CHECK (length(slug) <= 190) NOT NULL, \
                 n INTEGER, done INTEGER) STRICT"]
        );
        let mysql = MARIADB.expand(sql).unwrap().remove(0);
        assert!(mysql.contains("slug VARCHAR(190) CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin NOT NULL"), "{mysql}");
        assert!(mysql.ends_with("COLLATE utf8mb4_nopad_bin"), "{mysql}");
    }

    #[test]
    fn the_suffix_of_a_table_may_be_left_out() {
        assert_eq!(SQLITE.expand("create table t (a {int})").unwrap(), ["create table t (a INTEGER) STRICT"]);
    }

    #[test]
    fn a_clustered_table_lies_in_the_order_of_its_key() {
        let sql = "CREATE TABLE t (a {int} PRIMARY KEY) {clustered}";
        assert_eq!(SQLITE.expand(sql).unwrap(), ["CREATE TABLE t (a INTEGER PRIMARY KEY) STRICT, WITHOUT ROWID"]);
        assert!(MARIADB.expand(sql).unwrap()[0].contains("ENGINE=InnoDB"));
    }

    #[test]
    fn a_full_text_index_is_a_statement_by_itself() {
        let sql = "CREATE TABLE t (a {int}); -- What people search.\n{fulltext:t_search};";
        let statements = SQLITE.expand(sql).unwrap();
        assert_eq!(statements.len(), 3, "{statements:?}");
        assert!(statements[1].starts_with("CREATE TABLE t_search (word TEXT NOT NULL") && statements[1].ends_with("WITHOUT ROWID"));
        assert_eq!(statements[2], "CREATE INDEX t_search_doc ON t_search (doc_id, word)");
        assert!(POSTGRES.expand("{fulltext:t_search}").unwrap()[0].contains("word VARCHAR(48) COLLATE \"C\" NOT NULL"));
        assert!(POSTGRES.expand("{fulltext:T-x}").is_err() && POSTGRES.expand("{fulltext:}").is_err());
    }

    #[test]
    fn an_unknown_token_is_an_error() {
        assert!(POSTGRES.expand("CREATE TABLE t (a {integer})").is_err());
    }

    #[test]
    fn statements_are_cut_outside_of_quotes_comments_and_triggers() {
        let sql = "-- first; not a statement\nINSERT INTO t VALUES ('a;b');\nCREATE TRIGGER g BEFORE UPDATE ON t BEGIN SELECT RAISE(ABORT, 'no'); SELECT CASE WHEN 1 THEN 2 END; END;\n/* ; */ DELETE FROM t;";
        let statements = SQLITE.expand(sql).unwrap();
        assert_eq!(statements.len(), 3, "{statements:?}");
        assert!(statements[1].ends_with("END"));
    }

    #[test]
    fn a_trigger_of_a_server_stays_whole() {
        let mysql =
            "CREATE TRIGGER g BEFORE UPDATE ON t FOR EACH ROW BEGIN IF OLD.a <> NEW.a THEN SIGNAL SQLSTATE '45000'; END IF; END; SELECT 1";
        assert_eq!(MARIADB.expand(mysql).unwrap().len(), 2);
        let postgres = "CREATE FUNCTION f() RETURNS trigger AS $$ BEGIN RAISE EXCEPTION 'no'; END $$ LANGUAGE plpgsql; CREATE TRIGGER g BEFORE UPDATE ON t FOR EACH ROW EXECUTE FUNCTION f();";
        assert_eq!(POSTGRES.expand(postgres).unwrap().len(), 2);
    }
}
