//! Reads `hostile_markup.txt`, for the tests and for the page that a browser judges.

/// Every case of the corpus.
pub(crate) fn cases() -> Vec<String> {
    // A case may be a heading of Markdown, with a tag in it.
    let is_heading = |line: &str| line.starts_with("# ") && !line.starts_with("# <");
    include_str!("hostile_markup.txt").lines().filter(|line| !line.is_empty() && !is_heading(line)).map(unescape).collect()
}

fn unescape(line: &str) -> String {
    let mut out = String::new();
    let mut rest = line;
    while let Some((before, after)) = rest.split_once('\\') {
        out.push_str(before);
        let (character, length) = escape(after).unwrap_or_else(|| panic!("this escape means nothing: \\{after}"));
        out.push(character);
        rest = &after[length..];
    }
    out + rest
}

fn escape(text: &str) -> Option<(char, usize)> {
    let code = |digits: &str| u32::from_str_radix(digits, 16).ok().and_then(char::from_u32);
    Some(match text.chars().next()? {
        'n' => ('\n', 1),
        'r' => ('\r', 1),
        't' => ('\t', 1),
        'f' => ('\u{c}', 1),
        '0' => ('\0', 1),
        'x' => (code(text.get(1..3)?)?, 3),
        'u' => {
            let digits = text.strip_prefix("u{")?.split_once('}')?.0;
            (code(digits)?, digits.len() + 3)
        }
        other @ ('\\' | '"' | '\'') => (other, 1),
        _ => return None,
    })
}
