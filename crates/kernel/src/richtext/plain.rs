//! Plain text: of sanitised HTML, excerpts of it, and its words.

/// Elements that begin and end a line of their own.
const BLOCKS: &[&str] = &[
    "blockquote",
    "caption",
    "dd",
    "details",
    "div",
    "dl",
    "dt",
    "figcaption",
    "figure",
    "h2",
    "h3",
    "h4",
    "h5",
    "h6",
    "hr",
    "li",
    "ol",
    "p",
    "pre",
    "section",
    "summary",
    "table",
    "tr",
    "ul",
];

/// The text that a reader of this HTML sees, one line for each block.
///
/// The HTML is what the sanitiser wrote: every `<` begins a tag, and only five entities occur.
pub(super) fn text_of(html: &str) -> String {
    let mut writer = Writer::default();
    let mut rest = html;
    while let Some(at) = rest.find('<') {
        writer.push(&rest[..at]);
        let Some(end) = end_of_tag(&rest[at..]) else { break };
        writer.tag(&rest[at + 1..at + end]);
        rest = &rest[at + end + 1..];
    }
    if !rest.starts_with('<') {
        writer.push(rest);
    }
    writer.text.truncate(writer.text.trim_end().len());
    writer.text
}

/// Where the tag ends that begins here; a `>` in an attribute's value is no end.
fn end_of_tag(text: &str) -> Option<usize> {
    let mut is_quoted = false;
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            b'"' => is_quoted = !is_quoted,
            b'>' if !is_quoted => return Some(at),
            _ => {}
        }
    }
    None
}

#[derive(Default)]
struct Writer {
    text: String,
    /// How many `pre` are open: there, white space counts.
    preformatted: u32,
    /// Whether white space was met since the last character.
    has_space: bool,
}

impl Writer {
    fn push(&mut self, escaped: &str) {
        let text = unescape(escaped);
        if self.preformatted > 0 {
            self.flush_space();
            self.text.push_str(&text);
            return;
        }
        for character in text.chars() {
            // The no-break space is a character like others here, as it is in HTML.
            if matches!(character, ' ' | '\t' | '\n' | '\r' | '\u{c}') {
                self.has_space = true;
            } else {
                self.flush_space();
                self.text.push(character);
            }
        }
    }

    fn flush_space(&mut self) {
        if std::mem::take(&mut self.has_space) && !self.text.is_empty() && !self.text.ends_with('\n') {
            self.text.push(' ');
        }
    }

    fn tag(&mut self, tag: &str) {
        let (name, is_end) = tag.strip_prefix('/').map_or((tag, false), |name| (name, true));
        let name = name.split([' ', '/']).next().unwrap_or_default();
        match name {
            "br" => self.break_line(),
            "td" | "th" => self.has_space = true,
            "img" => {
                if let Some(alt) = attribute(tag, "alt") {
                    self.has_space = true;
                    self.push(alt);
                    self.has_space = true;
                }
            }
            _ if BLOCKS.contains(&name) => {
                self.break_line();
                if name == "pre" {
                    self.preformatted = if is_end { self.preformatted.saturating_sub(1) } else { self.preformatted + 1 };
                }
            }
            _ => {}
        }
    }

    fn break_line(&mut self) {
        self.has_space = false;
        if !self.text.is_empty() && !self.text.ends_with('\n') {
            self.text.push('\n');
        }
    }
}

/// The escaped value of an attribute of a tag that the sanitiser wrote.
fn attribute<'t>(tag: &'t str, name: &str) -> Option<&'t str> {
    let mut rest = tag;
    while let Some((before, after)) = rest.split_once("=\"") {
        let (value, next) = after.split_once('"')?;
        if before.rsplit(' ').next() == Some(name) {
            return Some(value);
        }
        rest = next;
    }
    None
}

fn unescape(text: &str) -> std::borrow::Cow<'_, str> {
    if !text.contains('&') {
        return text.into();
    }
    // The ampersand last, so that what was escaped twice stays escaped once.
    let text = text.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"").replace("&nbsp;", "\u{a0}");
    text.replace("&amp;", "&").into()
}

/// The text as HTML that shows it.
pub(super) fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// The beginning of a text on one line, at most `max` characters, cut between words where that is possible.
///
/// ```
/// use kernel::richtext::excerpt;
/// assert_eq!(excerpt("Over the\nrainbow", 40), "Over the rainbow");
/// assert_eq!(excerpt("Over the rainbow", 12), "Over the…");
/// ```
pub fn excerpt(text: &str, max: usize) -> String {
    let mut line = String::new();
    for word in text.split_whitespace() {
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
        // Enough to know that the text goes on.
        if line.len() > max.saturating_mul(4) {
            break;
        }
    }
    let Some((end, _)) = line.char_indices().nth(max) else { return line };
    let Some((last, _)) = line[..end].char_indices().next_back() else { return String::new() };
    let cut = if line[last..].starts_with(' ') { last } else { line[..last].rfind(' ').unwrap_or(last) };
    format!("{}…", &line[..cut])
}

/// The number of words; a character of a script without spaces is a word by itself.
pub(super) fn count_words(text: &str) -> u32 {
    let (mut count, mut is_in_word) = (0u32, false);
    for character in text.chars() {
        if is_ideographic(character) {
            count = count.saturating_add(1);
            is_in_word = false;
        } else if character.is_alphanumeric() {
            count = count.saturating_add(u32::from(!is_in_word));
            is_in_word = true;
        } else if !matches!(character, '\'' | '’' | '-' | '_' | '.' | '\u{301}') {
            is_in_word = false;
        }
    }
    count
}

fn is_ideographic(character: char) -> bool {
    matches!(character, '\u{3040}'..='\u{30ff}' | '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}' | '\u{f900}'..='\u{faff}' | '\u{20000}'..='\u{3ffff}')
}
