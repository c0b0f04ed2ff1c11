//! Makes hostile input harmless to the parsers behind it: bounded depth, well nested, nothing but tags that may remain.
//!
//! An HTML parser that follows the standard needs quadratic time and memory for some inputs: endless nesting, formatting
//! elements that are never closed and begin anew in each paragraph. So this pass reads the tags, in linear time, and writes
//! HTML whose every element is closed where it must be. It is no sanitiser: ammonia parses what it writes and decides.

use std::borrow::Cow;

use url::Url;

use super::{Policy, allow, plain};

/// How deep elements may be nested; deeper ones lose their tags and keep their text.
const DEPTH_MAX: usize = 100;
/// How many attributes of a tag are looked at.
const ATTRIBUTES_MAX: usize = 24;
/// The longest value of an attribute.
const VALUE_MAX: usize = 8 * 1024;
/// How many characters that make the serialiser stop may stand in one piece of text.
const STOPS_MAX: usize = 256;
/// How many columns a line of Markdown may spend on the beginnings of quotes and lists.
const PREFIX_MAX: usize = 200;

/// Elements whose content is no HTML, or not for readers: they go with all that is in them.
const WITH_CONTENT: &[&str] = &[
    "applet",
    "canvas",
    "embed",
    "frameset",
    "iframe",
    "math",
    "noembed",
    "noframes",
    "noscript",
    "object",
    "plaintext",
    "script",
    "select",
    "style",
    "svg",
    "template",
    "textarea",
    "title",
    "xmp",
];
const VOID: &[&str] = &["br", "col", "hr", "img", "input", "source", "track", "wbr"];
/// Elements that end an open paragraph.
const ENDS_PARAGRAPH: &[&str] = &[
    "blockquote",
    "details",
    "div",
    "dl",
    "dd",
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
    "ul",
];

/// HTML for the sanitiser: the tags of the policy's list, well nested.
pub(super) fn tame(html: &str, policy: Policy, embed_hosts: &[String]) -> String {
    let mut tamer = Tamer { out: String::with_capacity(html.len() + 64), policy, embed_hosts, open: Vec::new(), dropped: 0, endless: 0 };
    tamer.run(html);
    tamer.out
}

struct Tamer<'a> {
    out: String,
    policy: Policy,
    embed_hosts: &'a [String],
    /// The elements that are open, outermost first.
    open: Vec<&'static str>,
    /// Start tags that were dropped because they are too deep and whose end is to come.
    dropped: usize,
    /// Bit by place in `WITH_CONTENT`: elements that have no end tag from here on. Without it, each would be searched for anew.
    endless: u32,
}

/// A start or end tag as it stands in the input.
struct Tag<'t> {
    name: String,
    is_end: bool,
    attributes: Vec<(String, &'t str)>,
}

impl Tamer<'_> {
    fn run(&mut self, html: &str) {
        let mut rest = html;
        while let Some(at) = rest.find('<') {
            self.text(&rest[..at]);
            rest = self.markup(&rest[at..]);
        }
        self.text(rest);
        while let Some(name) = self.open.pop() {
            self.close(name);
        }
    }

    /// Writes text, with a tag that means nothing after each few of the characters that the serialiser stops at.
    ///
    /// html5ever's serialiser (0.40) looks through all the rest of a text at each `&` and at each character that begins with the
    /// byte 0xC2. The allow-list drops the tag, but the text stays in pieces.
    fn text(&mut self, text: &str) {
        let (mut from, mut stops) = (0, 0);
        for (at, _) in text.bytes().enumerate().filter(|(_, byte)| matches!(byte, b'&' | 0xc2)) {
            stops += 1;
            if stops == STOPS_MAX {
                escape_into(&text[from..at], &mut self.out);
                self.out.push_str("<x-cut></x-cut>");
                (from, stops) = (at, 0);
            }
        }
        escape_into(&text[from..], &mut self.out);
    }

    /// Handles what begins with this `<`, and gives what follows it.
    fn markup<'t>(&mut self, text: &'t str) -> &'t str {
        match text.as_bytes().get(1) {
            Some(b'!' | b'?') => comment_end(text),
            Some(b'/') if !text.as_bytes().get(2).is_some_and(u8::is_ascii_alphabetic) => after(text, ">"),
            Some(byte) if byte.is_ascii_alphabetic() || *byte == b'/' => match read_tag(text) {
                Some((tag, rest)) => self.tag(&tag, rest),
                // The tag never ends: a browser shows nothing of it.
                None => "",
            },
            _ => {
                self.out.push_str("&lt;");
                &text[1..]
            }
        }
    }

    fn tag<'t>(&mut self, tag: &Tag<'_>, rest: &'t str) -> &'t str {
        if tag.is_end {
            self.end(&tag.name);
            return rest;
        }
        if let Some(place) = WITH_CONTENT.iter().position(|name| *name == tag.name) {
            if tag.name == "iframe" && self.policy == Policy::Author {
                self.embed(tag);
            }
            return self.skip_content(place, rest);
        }
        if let Some(name) = allow::element(&tag.name, self.policy) {
            self.start(name, tag);
        }
        rest
    }

    /// What follows the end of an element that goes with its content; if it has none, only the tag goes.
    fn skip_content<'t>(&mut self, place: usize, rest: &'t str) -> &'t str {
        let name = WITH_CONTENT[place];
        if self.endless & (1 << place) == 0 {
            if let Some(at) = find_end_tag(rest, name) {
                return after(&rest[at..], ">");
            }
            self.endless |= 1 << place;
        }
        // A browser takes all that follows for the content of these.
        if matches!(name, "script" | "style" | "textarea" | "title" | "xmp" | "iframe" | "noembed" | "noframes" | "plaintext") {
            ""
        } else {
            rest
        }
    }

    fn start(&mut self, name: &'static str, tag: &Tag<'_>) {
        let is_checkbox = |(attribute, value): &(String, &str)| attribute == "type" && value.eq_ignore_ascii_case("checkbox");
        if name == "input" && !tag.attributes.iter().any(is_checkbox) {
            return;
        }
        self.close_implied(name);
        if VOID.contains(&name) {
            self.write_tag(name, tag);
        } else if self.open.len() < DEPTH_MAX {
            self.write_tag(name, tag);
            self.open.push(name);
        } else {
            self.dropped += 1;
        }
    }

    /// Ends what a browser ends by itself before this element.
    fn close_implied(&mut self, name: &str) {
        match name {
            "li" => self.close_within(&["li"], &["ul", "ol"]),
            "dd" | "dt" => self.close_within(&["dd", "dt"], &["dl"]),
            "td" | "th" => self.close_within(&["td", "th"], &["tr", "table"]),
            "tr" => self.close_within(&["tr"], &["table"]),
            "thead" | "tbody" | "tfoot" | "caption" | "colgroup" => {
                self.close_within(&["thead", "tbody", "tfoot", "caption", "colgroup"], &["table"]);
            }
            "a" => self.close_within(&["a"], &[]),
            _ => {}
        }
        if ENDS_PARAGRAPH.contains(&name) {
            self.close_within(&["p"], &[]);
        }
    }

    /// Closes the innermost open element of these names, unless a wall stands before it.
    fn close_within(&mut self, names: &[&str], walls: &[&str]) {
        for at in (0..self.open.len()).rev() {
            let open = self.open[at];
            if names.contains(&open) {
                return self.close_to(at);
            }
            if walls.contains(&open) || matches!(open, "td" | "th" | "caption" | "table") {
                return;
            }
        }
    }

    fn close_to(&mut self, at: usize) {
        while self.open.len() > at {
            if let Some(name) = self.open.pop() {
                self.close(name);
            }
        }
    }

    fn end(&mut self, name: &str) {
        let Some(name) = allow::element(name, self.policy) else { return };
        if VOID.contains(&name) {
            return;
        }
        if self.dropped > 0 {
            self.dropped -= 1;
            return;
        }
        let is_of_table = matches!(name, "table" | "thead" | "tbody" | "tfoot" | "tr" | "td" | "th" | "caption" | "colgroup");
        for at in (0..self.open.len()).rev() {
            if self.open[at] == name {
                return self.close_to(at);
            }
            let is_wall = if is_of_table { self.open[at] == "table" } else { matches!(self.open[at], "td" | "th" | "caption" | "table") };
            if is_wall {
                return;
            }
        }
    }

    fn close(&mut self, name: &str) {
        self.out.extend(["</", name, ">"]);
    }

    fn write_tag(&mut self, name: &str, tag: &Tag<'_>) {
        self.out.extend(["<", name]);
        let is_checkbox = name == "input";
        for (attribute, value) in &tag.attributes {
            if !(is_checkbox && allow::is_fixed(name, attribute)) {
                self.attribute(attribute, value);
            }
        }
        self.fixed(name);
        self.out.push('>');
    }

    fn attribute(&mut self, name: &str, value: &str) {
        self.out.extend([" ", name, "=\""]);
        escape_into(value, &mut self.out);
        self.out.push('"');
    }

    /// Writes the attributes that an element always has, in one order: ammonia adds them in any.
    fn fixed(&mut self, name: &str) {
        for (_, attribute, value) in allow::FIXED.iter().filter(|(element, _, _)| *element == name) {
            self.attribute(attribute, value);
        }
    }

    /// Writes an iframe of a host that is allowed, without anything it did not need.
    fn embed(&mut self, tag: &Tag<'_>) {
        let value = |name: &str| tag.attributes.iter().find(|(attribute, _)| attribute == name).map(|(_, value)| *value);
        let Some(url) = value("src").and_then(|src| embeddable(&src.replace("&amp;", "&"), self.embed_hosts)) else { return };
        self.out.push_str("<iframe");
        self.attribute("src", &plain::escape(url.as_str()));
        for name in ["width", "height", "title"] {
            if let Some(value) = value(name) {
                self.attribute(name, value);
            }
        }
        self.fixed("iframe");
        self.out.push_str("></iframe>");
    }
}

/// Writes text or the value of an attribute so that a parser finds nothing in it but characters and whole references.
///
fn escape_into(text: &str, out: &mut String) {
    let mut rest = text;
    while let Some(at) = rest.find(['<', '>', '"', '&', '\0']) {
        out.push_str(&rest[..at]);
        let length = match rest.as_bytes()[at] {
            b'&' => match reference_length(&rest[at..]) {
                Some(length) => {
                    out.push_str(&rest[at..at + length]);
                    length
                }
                None => {
                    out.push_str("&amp;");
                    1
                }
            },
            byte => {
                out.push_str(match byte {
                    b'<' => "&lt;",
                    b'>' => "&gt;",
                    b'"' => "&quot;",
                    _ => "",
                });
                1
            }
        };
        rest = &rest[at + length..];
    }
    out.push_str(rest);
}

/// The length of the character reference that begins here, with its semicolon.
fn reference_length(text: &str) -> Option<usize> {
    let end = text.bytes().take(40).position(|byte| byte == b';')?;
    let name = &text[1..end];
    let is_number = |digits: &str| (1..=7).contains(&digits.len());
    let is_reference = match name.strip_prefix('#') {
        Some(number) => match number.strip_prefix(['x', 'X']) {
            Some(hex) => is_number(hex) && hex.bytes().all(|byte| byte.is_ascii_hexdigit()),
            None => is_number(number) && number.bytes().all(|byte| byte.is_ascii_digit()),
        },
        None => name.bytes().next().is_some_and(|byte| byte.is_ascii_alphabetic()) && name.bytes().all(|byte| byte.is_ascii_alphanumeric()),
    };
    is_reference.then_some(end + 1)
}

/// The address if an iframe may show it: https, one of the hosts, no credentials in it.
pub(super) fn embeddable(src: &str, embed_hosts: &[String]) -> Option<Url> {
    let url = Url::parse(src).ok()?;
    let host = url.host_str()?;
    let is_allowed = embed_hosts.iter().any(|allowed| allowed.eq_ignore_ascii_case(host));
    let is_plain = url.scheme() == "https" && url.username().is_empty() && url.password().is_none() && url.port().is_none();
    (is_allowed && is_plain).then_some(url)
}

/// What follows the first `end`; nothing if there is none.
fn after<'t>(text: &'t str, end: &str) -> &'t str {
    text.find(end).map_or("", |at| &text[at + end.len()..])
}

/// What follows a comment, a doctype or a processing instruction.
fn comment_end(text: &str) -> &str {
    let Some(body) = text.strip_prefix("<!--") else { return after(text, ">") };
    // `<!-->` and `<!--->` are whole comments.
    if let Some(rest) = body.strip_prefix('>').or_else(|| body.strip_prefix("->")) {
        return rest;
    }
    let mut from = 0;
    while let Some(at) = body[from..].find("--") {
        let rest = &body[from + at + 2..];
        if let Some(rest) = rest.strip_prefix('>').or_else(|| rest.strip_prefix("!>")) {
            return rest;
        }
        from += at + 1;
    }
    ""
}

/// Where the end tag of this name begins.
fn find_end_tag(text: &str, name: &str) -> Option<usize> {
    let mut from = 0;
    while let Some(at) = text[from..].find("</") {
        let begin = from + at;
        let rest = &text.as_bytes()[begin + 2..];
        let is_it = rest.len() >= name.len() && rest[..name.len()].eq_ignore_ascii_case(name.as_bytes());
        if is_it && matches!(rest.get(name.len()), None | Some(b' ' | b'\t' | b'\n' | b'\r' | 0x0c | b'/' | b'>')) {
            return Some(begin);
        }
        from = begin + 2;
    }
    None
}

/// Reads a tag as the standard does; `None` when the text ends within it.
fn read_tag(text: &str) -> Option<(Tag<'_>, &str)> {
    let is_end = text.as_bytes().get(1) == Some(&b'/');
    let begin = if is_end { 2 } else { 1 };
    let is_space = |byte: &u8| matches!(byte, b' ' | b'\t' | b'\n' | b'\r' | 0x0c);
    let bytes = text.as_bytes();
    let find = |from: usize, f: &dyn Fn(&u8) -> bool| bytes[from..].iter().position(f).map(|at| from + at);
    let mut at = find(begin, &|byte| is_space(byte) || matches!(byte, b'/' | b'>'))?;
    let mut tag = Tag { name: text[begin..at].to_ascii_lowercase(), is_end, attributes: Vec::new() };
    loop {
        at = find(at, &|byte| !is_space(byte) && *byte != b'/')?;
        if bytes[at] == b'>' {
            return Some((tag, &text[at + 1..]));
        }
        // A name may begin with `=`, of all things.
        let name_end = find(at + 1, &|byte| is_space(byte) || matches!(byte, b'/' | b'>' | b'='))?;
        let name = &text[at..name_end];
        at = find(name_end, &|byte| !is_space(byte))?;
        let mut value = "";
        if bytes[at] == b'=' {
            at = find(at + 1, &|byte| !is_space(byte))?;
            let quote = bytes[at];
            if matches!(quote, b'"' | b'\'') {
                let end = find(at + 1, &|byte| *byte == quote)?;
                value = &text[at + 1..end];
                at = end + 1;
            } else if quote != b'>' {
                let end = find(at, &|byte| is_space(byte) || *byte == b'>')?;
                value = &text[at..end];
                at = end;
            }
        }
        let is_plain = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b':'));
        if is_plain && tag.attributes.len() < ATTRIBUTES_MAX && value.len() <= VALUE_MAX {
            tag.attributes.push((name.to_ascii_lowercase(), value));
        }
    }
}

/// Markdown whose quotes and lists are nested to a bounded depth: what a line begins beyond it is dropped.
///
/// The parser walks all open containers for each blank line, so depth times lines must stay small.
pub(super) fn tame_markdown(source: &str) -> Cow<'_, str> {
    if source.split('\n').all(|line| surplus(line).is_none()) {
        return source.into();
    }
    let mut out = String::with_capacity(source.len());
    for line in source.split_inclusive('\n') {
        match surplus(line) {
            Some((from, to)) => out.extend([&line[..from], &line[to..]]),
            None => out.push_str(line),
        }
    }
    out.into()
}

/// Which part of the line's beginning opens containers beyond the bound.
fn surplus(line: &str) -> Option<(usize, usize)> {
    let bytes = line.as_bytes();
    let (mut at, mut limit, mut has_deep_marker) = (0, None, false);
    while let Some(length) = marker_length(&bytes[at..]) {
        if at >= PREFIX_MAX {
            limit.get_or_insert(at);
            has_deep_marker |= !matches!(bytes[at], b' ' | b'\t');
        }
        at += length;
    }
    limit.filter(|_| has_deep_marker).map(|from| (from, at))
}

/// The length of the white space or of the marker of a quote, a list or a footnote at the beginning.
fn marker_length(bytes: &[u8]) -> Option<usize> {
    let ends = |byte: Option<&u8>| matches!(byte, None | Some(b' ' | b'\t' | b'\n' | b'\r'));
    match bytes.first()? {
        b' ' | b'\t' | b'>' => Some(1),
        b'-' | b'+' | b'*' if ends(bytes.get(1)) => Some(1),
        b'0'..=b'9' => {
            let digits = bytes.iter().take(10).take_while(|byte| byte.is_ascii_digit()).count();
            (digits < 10 && matches!(bytes.get(digits), Some(b'.' | b')')) && ends(bytes.get(digits + 1))).then_some(digits + 1)
        }
        b'[' if bytes.get(1) == Some(&b'^') => {
            let end = bytes.iter().take(200).position(|byte| *byte == b']')?;
            (bytes.get(end + 1) == Some(&b':')).then_some(end + 2)
        }
        _ => None,
    }
}
