//! Statements: one text for every engine, an exception beside it where they differ.

use std::borrow::Cow;

/// Which SQL is spoken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dialect {
    Sqlite,
    Postgres,
    Mysql,
}

/// A statement's text, with `?` for its values.
///
/// `{for_update}` and `{skip_locked}` lock the selected rows where the engine locks rows, and are nothing on SQLite, which has
/// one writer anyway. Static text is prepared once per connection and found again by its address; a `String` is found by its content.
///
/// ```
/// use db::Sql;
/// static TOUCH: Sql = Sql::new("UPDATE t SET n = max(n, ?) WHERE id = ?")
///     .postgres("UPDATE t SET n = greatest(n, ?) WHERE id = ?")
///     .mysql("UPDATE t SET n = greatest(n, ?) WHERE id = ?");
/// ```
#[derive(Debug, Clone)]
pub struct Sql {
    general: Text,
    sqlite: Option<&'static str>,
    postgres: Option<&'static str>,
    mysql: Option<&'static str>,
}

#[derive(Debug, Clone)]
enum Text {
    Static(&'static str),
    Dynamic(String),
}

impl Sql {
    /// A statement that every engine understands.
    pub const fn new(text: &'static str) -> Sql {
        Sql { general: Text::Static(text), sqlite: None, postgres: None, mysql: None }
    }

    /// Says it differently on SQLite.
    pub const fn sqlite(mut self, text: &'static str) -> Sql {
        self.sqlite = Some(text);
        self
    }

    /// Says it differently on PostgreSQL.
    pub const fn postgres(mut self, text: &'static str) -> Sql {
        self.postgres = Some(text);
        self
    }

    /// Says it differently on MySQL and MariaDB.
    pub const fn mysql(mut self, text: &'static str) -> Sql {
        self.mysql = Some(text);
        self
    }

    /// The text for one engine, as it was written.
    pub(crate) fn text(&self, dialect: Dialect) -> &str {
        match self.key(dialect) {
            Some(text) => text,
            None => match &self.general {
                Text::Static(text) => text,
                Text::Dynamic(text) => text,
            },
        }
    }

    /// The static text for one engine, whose address is a key.
    pub(crate) fn key(&self, dialect: Dialect) -> Option<&'static str> {
        let special = match dialect {
            Dialect::Sqlite => self.sqlite,
            Dialect::Postgres => self.postgres,
            Dialect::Mysql => self.mysql,
        };
        special.or(match self.general {
            Text::Static(text) => Some(text),
            Text::Dynamic(_) => None,
        })
    }
}

impl From<&'static str> for Sql {
    fn from(text: &'static str) -> Self {
        Sql::new(text)
    }
}

impl From<String> for Sql {
    fn from(text: String) -> Self {
        Sql { general: Text::Dynamic(text), sqlite: None, postgres: None, mysql: None }
    }
}

impl From<&'static Sql> for Sql {
    fn from(sql: &'static Sql) -> Self {
        sql.clone()
    }
}

/// Makes a pattern for `LIKE ? ESCAPE '!'` that finds the text anywhere.
///
/// ```
/// assert_eq!(db::like_contains("50%!"), "%50!%!!%");
/// ```
pub fn like_contains(text: &str) -> String {
    format!("%{}%", like_literal(text))
}

/// Makes a pattern for `LIKE ? ESCAPE '!'` that finds texts beginning with this one.
///
/// No engine uses an index for a bound pattern; where there are many rows, add `AND x >= ?` with the text itself.
pub fn like_prefix(text: &str) -> String {
    format!("{}%", like_literal(text))
}

fn like_literal(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len() + 8);
    for character in text.chars() {
        if matches!(character, '%' | '_' | '!') {
            escaped.push('!');
        }
        escaped.push(character);
    }
    escaped
}

/// Rewrites placeholders and tokens for one engine.
pub(crate) fn render(text: &str, dialect: Dialect) -> Cow<'_, str> {
    let is_numbered = dialect == Dialect::Postgres && text.contains('?');
    if !is_numbered && !text.contains('{') {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    let mut placeholders = 0;
    for (piece, is_code) in pieces(text) {
        if is_code {
            render_code(piece, dialect, &mut placeholders, &mut out);
        } else {
            out.push_str(piece);
        }
    }
    Cow::Owned(out)
}

fn render_code(code: &str, dialect: Dialect, placeholders: &mut usize, out: &mut String) {
    let mut rest = code;
    while let Some(at) = rest.find(['?', '{']) {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        if let Some((token, length)) = lock_token(rest) {
            if dialect != Dialect::Sqlite {
                out.push_str(token);
            }
            rest = &rest[length..];
            continue;
        }
        if rest.starts_with('?') && dialect == Dialect::Postgres {
            *placeholders += 1;
            out.push('$');
            out.push_str(&placeholders.to_string());
        } else {
            out.push_str(&rest[..1]);
        }
        rest = &rest[1..];
    }
    out.push_str(rest);
}

fn lock_token(text: &str) -> Option<(&'static str, usize)> {
    [("{for_update}", "FOR UPDATE"), ("{skip_locked}", "FOR UPDATE SKIP LOCKED")]
        .into_iter()
        .find(|(token, _)| text.starts_with(token))
        .map(|(token, replacement)| (replacement, token.len()))
}

/// Cuts SQL into code and what is not code: quoted text, quoted names, comments.
pub(crate) fn pieces(text: &str) -> impl Iterator<Item = (&str, bool)> {
    let mut rest = text;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let (length, is_code) = match quoted_length(rest) {
            Some(length) => (length, false),
            None => (code_length(rest), true),
        };
        let (piece, tail) = rest.split_at(length);
        rest = tail;
        Some((piece, is_code))
    })
}

fn code_length(text: &str) -> usize {
    text.char_indices().skip(1).find(|(at, _)| quoted_length(&text[*at..]).is_some()).map_or(text.len(), |(at, _)| at)
}

/// The length of the quoted text or comment that starts here, if one does.
fn quoted_length(text: &str) -> Option<usize> {
    let first = text.chars().next()?;
    let (skip, end) = match first {
        '\'' | '"' | '`' => (1, &text[..1]),
        '-' if text.starts_with("--") => (2, "\n"),
        '/' if text.starts_with("/*") => (2, "*/"),
        '$' if text.starts_with("$$") => (2, "$$"),
        _ => return None,
    };
    // A doubled quote reads as two quoted pieces side by side, which comes to the same.
    Some(text[skip..].find(end).map_or(text.len(), |at| skip + at + end.len()))
}

/// The table that an INSERT, UPDATE or DELETE names, for engines whose errors leave it out.
pub(crate) fn target_table(text: &str) -> Option<&str> {
    let mut words = text.split(|c: char| c.is_whitespace() || c == '(').filter(|word| !word.is_empty());
    let verb = words.next()?;
    let table = if verb.eq_ignore_ascii_case("update") {
        words.next()?
    } else {
        words.find(|word| word.eq_ignore_ascii_case("into") || word.eq_ignore_ascii_case("from"))?;
        words.next()?
    };
    Some(table.trim_matches(['"', '`']))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders_are_numbered_outside_of_quotes_and_comments() {
        let sql = "SELECT '?', \"a?\", x -- what?\n FROM t /* ? */ WHERE a = ? AND b = 'it''s ?' AND c = ?";
        assert_eq!(
            render(sql, Dialect::Postgres),
            "SELECT '?', \"a?\", x -- what?\n FROM t /* ? */ WHERE a = $1 AND b = 'it''s ?' AND c = $2"
        );
        assert_eq!(render(sql, Dialect::Mysql), sql);
    }

    #[test]
    fn lock_tokens_exist_where_rows_are_locked() {
        let sql = "SELECT id FROM jobs WHERE n = ? LIMIT 1 {skip_locked}";
        assert_eq!(render(sql, Dialect::Sqlite), "SELECT id FROM jobs WHERE n = ? LIMIT 1 ");
        assert_eq!(render(sql, Dialect::Postgres), "SELECT id FROM jobs WHERE n = $1 LIMIT 1 FOR UPDATE SKIP LOCKED");
        assert_eq!(render("SELECT 1 {for_update}", Dialect::Mysql), "SELECT 1 FOR UPDATE");
    }

    #[test]
    fn an_exception_belongs_to_its_engine() {
        static SQL: Sql = Sql::new("a").mysql("b");
        assert_eq!(SQL.text(Dialect::Sqlite), "a");
        assert_eq!(SQL.text(Dialect::Mysql), "b");
        assert_eq!(Sql::from("c ?".to_owned()).key(Dialect::Postgres), None);
    }

    #[test]
    fn the_target_table_is_found() {
        assert_eq!(target_table("INSERT INTO posts (id) VALUES (?)"), Some("posts"));
        assert_eq!(target_table("UPDATE  posts SET a = 1"), Some("posts"));
        assert_eq!(target_table("DELETE FROM `posts`"), Some("posts"));
        assert_eq!(target_table("INSERT INTO posts(id) VALUES (?)"), Some("posts"));
    }
}
