//! Rust source, taken apart just enough: what is code, what is comment, what is text in quotes, what is a test.

/// One line of a source file.
#[derive(Default, Debug)]
pub(crate) struct Line {
    /// The code, with `""` where a string literal stood and `''` where a character did.
    pub(crate) code: String,
    /// The comments, without their slashes.
    pub(crate) comment: String,
    /// The string literals that begin on this line, as written between the quotes.
    pub(crate) strings: Vec<String>,
    /// Whether it stands inside an item under `#[cfg(test)]`.
    pub(crate) is_test: bool,
}

/// Takes a file apart.
pub(crate) fn lex(text: &str) -> Vec<Line> {
    let mut lexer = Lexer { rest: text, lines: vec![Line::default()] };
    while !lexer.rest.is_empty() {
        lexer.next();
    }
    mark_tests(&mut lexer.lines);
    lexer.lines
}

struct Lexer<'a> {
    rest: &'a str,
    lines: Vec<Line>,
}

impl<'a> Lexer<'a> {
    fn next(&mut self) {
        let hashes = self.rest.strip_prefix('r').map(|rest| rest.len() - rest.trim_start_matches('#').len());
        match (self.rest.as_bytes()[0], hashes) {
            (b'/', _) if self.rest.starts_with("//") => self.line_comment(),
            (b'/', _) if self.rest.starts_with("/*") => self.block_comment(),
            (b'r', Some(hashes)) if self.rest[1 + hashes..].starts_with('"') && !self.follows_a_word() => self.raw_string(hashes),
            (b'"', _) => self.string(),
            (b'\'', _) => self.quote(),
            _ => {
                let length = self.rest.chars().next().map_or(0, char::len_utf8);
                self.code(length);
            }
        }
    }

    fn line(&mut self) -> &mut Line {
        self.lines.last_mut().expect("there is always a line")
    }

    /// Takes `length` bytes away and counts their line ends.
    fn take(&mut self, length: usize) -> &'a str {
        let (taken, rest) = self.rest.split_at(length.min(self.rest.len()));
        self.rest = rest;
        taken
    }

    fn end_lines(&mut self, text: &str) {
        (0..text.matches('\n').count()).for_each(|_| self.lines.push(Line::default()));
    }

    fn code(&mut self, length: usize) {
        match self.take(length) {
            "\n" => self.lines.push(Line::default()),
            code => self.line().code.push_str(code),
        }
    }

    /// `br"…"` and `cr"…"` do, `for r"…"` does not.
    fn follows_a_word(&mut self) -> bool {
        let code = self.line().code.trim_end_matches(['b', 'c']);
        code.ends_with(|before: char| before.is_alphanumeric() || before == '_')
    }

    fn line_comment(&mut self) {
        let comment = self.take(self.rest.find('\n').unwrap_or(self.rest.len()));
        self.line().comment.push_str(comment.trim_start_matches('/'));
    }

    fn block_comment(&mut self) {
        let (mut depth, mut end) = (0, 0);
        while end < self.rest.len() {
            match &self.rest.as_bytes()[end..] {
                [b'/', b'*', ..] => (depth, end) = (depth + 1, end + 2),
                [b'*', b'/', ..] => (depth, end) = (depth - 1, end + 2),
                _ => end += 1,
            }
            if depth == 0 {
                break;
            }
        }
        for (number, comment) in self.take(end).split('\n').enumerate() {
            if number > 0 {
                self.lines.push(Line::default());
            }
            self.line().comment.push_str(comment);
        }
    }

    fn raw_string(&mut self, hashes: usize) {
        self.take(2 + hashes);
        let close = format!("\"{}", "#".repeat(hashes));
        let end = self.rest.find(&close).unwrap_or(self.rest.len());
        self.text(end, close.len());
    }

    fn string(&mut self) {
        self.take(1);
        let mut escaped = false;
        let end = self.rest.bytes().position(|byte| {
            let closes = byte == b'"' && !escaped;
            escaped = byte == b'\\' && !escaped;
            closes
        });
        self.text(end.unwrap_or(self.rest.len()), 1);
    }

    fn text(&mut self, length: usize, close: usize) {
        let text = self.take(length);
        self.take(close);
        let line = self.line();
        line.code.push_str("\"\"");
        line.strings.push(text.to_owned());
        self.end_lines(text);
    }

    /// A character literal, or the beginning of a lifetime.
    fn quote(&mut self) {
        let mut chars = self.rest[1..].chars();
        let literal = match (chars.next(), chars.next()) {
            (Some('\\'), _) => self.rest[3..].find('\'').map(|end| end + 4),
            (Some(first), Some('\'')) => Some(2 + first.len_utf8()),
            _ => None,
        };
        match literal {
            Some(length) => {
                self.take(length);
                self.line().code.push_str("''");
            }
            None => self.code(1),
        }
    }
}

/// Marks what stands between the braces of an item under `#[cfg(test)]`.
fn mark_tests(lines: &mut [Line]) {
    let mut depth = None; // Some(open braces) once the item was announced
    for line in lines {
        if depth.is_none() && line.code.contains("#[cfg(test)]") {
            depth = Some(0);
        }
        line.is_test = depth.is_some();
        for byte in line.code.bytes() {
            depth = match (byte, depth) {
                (b'{', Some(open)) => Some(open + 1),
                (b'}', Some(1)) | (b';', Some(0)) => None,
                (b'}', Some(open)) => Some(open - 1),
                (_, depth) => depth,
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(text: &str) -> Vec<String> {
        lex(text).into_iter().map(|line| line.code).collect()
    }

    #[test]
    fn strings_leave_the_code_and_are_kept() {
        let lines = lex("let a = \"SELECT \\\" 1\"; b(r#\"x \" y\"#, br\"z\")");
        assert_eq!(lines[0].code, "let a = \"\"; b(\"\", b\"\")");
        assert_eq!(lines[0].strings, ["SELECT \\\" 1", "x \" y", "z"]);
    }

    #[test]
    fn a_string_of_many_lines_belongs_to_its_first() {
        let lines = lex("a(\"one\ntwo\",\n b)");
        assert_eq!(lines.len(), 3);
        assert_eq!(lines[0].strings, ["one\ntwo"]);
        assert_eq!(lines[1].code, ",");
        assert_eq!(lines[2].code, " b)");
    }

    #[test]
    fn comments_are_no_code() {
        let lines = lex("a(); // say \"b\"\n/* c /* d */\ne */ f()");
        assert_eq!(code("a(); // say \"b\"\n/* c /* d */\ne */ f()"), ["a(); ", "", " f()"]);
        assert!(lines[0].comment.contains("say") && lines[0].strings.is_empty());
        assert!(lines[2].comment.contains('e'));
    }

    #[test]
    fn lifetimes_and_characters_do_not_open_strings() {
        assert_eq!(code("fn f<'a>(x: &'a str) { x == '\"' || '\\'' == '\\u{1f}' }")[0], "fn f<'a>(x: &'a str) { x == '' || '' == '' }");
    }

    #[test]
    fn an_item_under_cfg_test_is_a_test() {
        let lines = lex("fn a() {}\n#[cfg(test)]\nmod tests {\n fn b() { c() }\n}\nfn d() {}");
        assert_eq!(lines.iter().map(|line| line.is_test).collect::<Vec<_>>(), [false, true, true, true, true, false]);
        assert!(!lex("#[cfg(test)]\nmod tests;\nfn a() {}")[2].is_test);
    }
}
