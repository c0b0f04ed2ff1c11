//! Addresses in a post's HTML made absolute, since a feed is read far from its site (SYN-2).

use url::Url;

/// Attributes that hold one address.
const ADDRESSES: [&str; 4] = ["href", "src", "poster", "cite"];

/// The same sanitised HTML with absolute addresses. Its attributes are quoted, so a scan for tags is enough.
pub(crate) fn absolute(html: &str, base: &str) -> String {
    let Ok(base) = Url::parse(base) else { return html.to_owned() };
    let mut out = String::with_capacity(html.len() + 256);
    let mut rest = html;
    while let Some(at) = rest.find('<') {
        out.push_str(&rest[..at]);
        let tag_length = tag_length(&rest[at..]);
        rewrite_tag(&rest[at..at + tag_length], &base, &mut out);
        rest = &rest[at + tag_length..];
    }
    out.push_str(rest);
    out
}

/// The length of the tag at the start of the text, quoted values skipped.
fn tag_length(text: &str) -> usize {
    let mut is_quoted = false;
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            b'"' => is_quoted = !is_quoted,
            b'>' if !is_quoted => return at + 1,
            _ => {}
        }
    }
    text.len()
}

fn rewrite_tag(tag: &str, base: &Url, out: &mut String) {
    let mut name = "";
    // Even pieces are names and signs, odd ones are values.
    for (index, piece) in tag.split('"').enumerate() {
        if index > 0 {
            out.push('"');
        }
        if index % 2 == 1 && ADDRESSES.contains(&name) {
            out.push_str(&joined(piece, base));
        } else {
            out.push_str(piece);
        }
        name = piece.trim_end_matches('=').rsplit(char::is_whitespace).next().unwrap_or("");
    }
}

fn joined(value: &str, base: &Url) -> String {
    let plain = value.replace("&amp;", "&");
    match base.join(&plain) {
        Ok(url) => url.as_str().replace('&', "&amp;").replace('"', "&quot;"),
        Err(_) => value.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn syn2_addresses_become_absolute_and_text_stays() {
        let html = "<p>say href=\"/x\" <a title=\"a > b\" href=\"/y?a=1&amp;b=2\">y</a> <img src=\"z.png\"> <a href=\"#n\">n</a> <a href=\"mailto:a@b.c\">m</a>";
        let expected = "<p>say href=\"/x\" <a title=\"a > b\" href=\"https://e.com/y?a=1&amp;b=2\">y</a> <img src=\"https://e.com/p/z.png\"> \
                        <a href=\"https://e.com/p/q#n\">n</a> <a href=\"mailto:a@b.c\">m</a>";
        assert_eq!(absolute(html, "https://e.com/p/q"), expected);
    }
}
