//! Full-text search as a feature uses it: index in the transaction, find ids, show snippets (SRC-1 to SRC-4).
//!
//! A migration makes the table with `{fulltext:blog_search};`, which also may be emptied and filled anew at any time. In the
//! transaction that changes a text, [`upsert`] or [`delete`]; in a long read, [`matches()`]; on the way out, [`snippet`].

pub use db::fulltext::{MATCHES_MAX, Query, delete, matches, upsert};
use db::fulltext::{Piece, fold, split};

/// How many characters a snippet shows.
const SNIPPET_MAX: usize = 200;
/// How many of them come before the first word that was looked for.
const LEAD_MAX: usize = 40;
/// How many bytes of a text are searched for the words; a text whose first match comes later shows its beginning.
const SEARCHED_MAX: usize = 64 * 1024;

/// The part of a plain text that shows best why it was found, as HTML: escaped, with `<mark>` around what was looked for.
///
/// ```
/// use kernel::search::{Query, snippet};
/// let html = snippet("Tom & Jerry share a Käsekuchen.", &Query::parse("kase"));
/// assert_eq!(html, "Tom &amp; Jerry share a <mark>Käsekuchen</mark>.");
/// ```
pub fn snippet(text: &str, query: &Query) -> String {
    let searched = &text[..text.floor_char_boundary(SEARCHED_MAX)];
    let found = found_in(searched, query);
    let begin = begin_of_best(searched, &found);
    let end = end_of(text, begin);
    let mut html = String::new();
    if begin > 0 {
        html.push('…');
    }
    let mut at = begin;
    for span in found.iter().filter(|span| span.begin >= begin && span.end <= end) {
        push_escaped(&mut html, &text[at..span.begin]);
        html.push_str("<mark>");
        push_escaped(&mut html, &text[span.begin..span.end]);
        html.push_str("</mark>");
        at = span.end;
    }
    push_escaped(&mut html, text[at..end].trim_end());
    if end < text.trim_end().len() {
        html.push('…');
    }
    html
}

/// Bytes of the text that were looked for.
struct Span {
    begin: usize,
    end: usize,
    /// The word as it was found; several different ones in a snippet are better than one repeated.
    word: String,
}

fn found_in(text: &str, query: &Query) -> Vec<Span> {
    let mut found: Vec<Span> = Vec::new();
    for (begin, end) in words_of(text) {
        let folded = fold(&text[begin..end]);
        for piece in split(&folded) {
            match piece {
                Piece::Word(word) if query.wants(word) => {
                    found.push(Span { begin, end, word: word.to_owned() });
                    break;
                }
                Piece::Word(_) => {}
                Piece::Run(_) => {
                    found.extend(found_in_run(text, begin, end, query));
                    break;
                }
            }
        }
    }
    found
}

/// The beginnings and ends of the words of an unfolded text, accents that stand by themselves included.
fn words_of(text: &str) -> impl Iterator<Item = (usize, usize)> {
    // A mark of an accent belongs to the letter before it; none of the common ones is alphanumeric.
    let is_part = |character: char| character.is_alphanumeric() || matches!(character, '\u{300}'..='\u{36f}' | '\u{3099}' | '\u{309a}');
    let mut at = 0;
    std::iter::from_fn(move || {
        let begin = at + text[at..].find(char::is_alphanumeric)?;
        let end = text[begin..].find(|character| !is_part(character)).map_or(text.len(), |length| begin + length);
        at = end;
        Some((begin, end))
    })
}

/// In a script without spaces the pairs are marked that were looked for; neighbours become one mark.
fn found_in_run(text: &str, begin: usize, end: usize, query: &Query) -> Vec<Span> {
    let mut found: Vec<Span> = Vec::new();
    let places: Vec<usize> = text[begin..end].char_indices().map(|(at, _)| begin + at).chain([end]).collect();
    for at in 0..places.len() - 1 {
        let (first, second) = (places[at], places[at + 1]);
        let third = places.get(at + 2).copied();
        let wanted = [third, Some(second)].into_iter().flatten().find(|end| query.wants(&fold(&text[first..*end])));
        let Some(wanted) = wanted else { continue };
        match found.last_mut() {
            Some(last) if last.end >= first => last.end = wanted,
            _ => found.push(Span { begin: first, end: wanted, word: text[first..wanted].to_owned() }),
        }
    }
    found
}

/// Where the snippet begins: a little before the place from which the most different words follow.
fn begin_of_best(text: &str, found: &[Span]) -> usize {
    let mut best = (0, 0);
    for (at, span) in found.iter().enumerate().take(1_000) {
        let limit = span.begin + SNIPPET_MAX - LEAD_MAX;
        let mut words: Vec<&str> =
            found[at..].iter().take(50).take_while(|other| other.end <= limit).map(|other| other.word.as_str()).collect();
        words.sort_unstable();
        words.dedup();
        if words.len() > best.0 {
            best = (words.len(), span.begin);
        }
    }
    let lead = text[..best.1].char_indices().rev().take(LEAD_MAX).last().map_or(0, |(at, _)| at);
    if lead == 0 {
        return 0;
    }
    // Not in the middle of a word, if a space can be found.
    text[lead..best.1]
        .char_indices()
        .find(|(_, character)| character.is_whitespace())
        .map_or(lead, |(at, space)| lead + at + space.len_utf8())
}

fn end_of(text: &str, begin: usize) -> usize {
    let Some((length, _)) = text[begin..].char_indices().nth(SNIPPET_MAX) else { return text.len() };
    let end = begin + length;
    text[begin..end].rfind(char::is_whitespace).filter(|at| *at > length / 2).map_or(end, |at| begin + at)
}

/// Writes text as HTML, each white space as one space.
fn push_escaped(html: &mut String, text: &str) {
    for character in text.chars() {
        match character {
            '&' => html.push_str("&amp;"),
            '<' => html.push_str("&lt;"),
            '>' => html.push_str("&gt;"),
            '"' => html.push_str("&quot;"),
            '\'' => html.push_str("&#39;"),
            space if space.is_whitespace() => {
                if !html.ends_with(' ') {
                    html.push(' ');
                }
            }
            other => html.push(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn shown(text: &str, query: &str) -> String {
        snippet(text, &Query::parse(query))
    }

    #[test]
    fn src3_a_snippet_marks_what_was_looked_for_and_escapes_the_rest() {
        assert_eq!(shown("a <b> & \"c\" 'd'", "b"), "a &lt;<mark>b</mark>&gt; &amp; &quot;c&quot; &#39;d&#39;");
        assert_eq!(shown("<script>alert(1)</script>", "script"), "&lt;<mark>script</mark>&gt;alert(1)&lt;/<mark>script</mark>&gt;");
        assert_eq!(shown("Crème\n\n brûlée", "creme brul"), "<mark>Crème</mark> <mark>brûlée</mark>");
        assert_eq!(shown("Cre\u{300}me", "creme"), "<mark>Cre\u{300}me</mark>");
        assert_eq!(shown("東京都の寺", "京都"), "東<mark>京都</mark>の寺");
        assert_eq!(shown("東京都の寺", "東京都"), "<mark>東京都</mark>の寺");
        assert_eq!(shown("東京都の寺", "寺"), "東京都の<mark>寺</mark>");
        assert_eq!(shown("nothing here", "x -y"), "nothing here");
        assert_eq!(shown("", "x"), "");
    }

    #[test]
    fn src3_a_snippet_shows_the_place_with_the_most_words() {
        let filler = "and on and on it goes ".repeat(30);
        let text = format!("cheese {filler} a cheese cake is served {filler}");
        let html = shown(&text, "cheese cake");
        assert!(html.starts_with('…') && html.ends_with('…'), "{html}");
        assert!(html.contains("a <mark>cheese</mark> <mark>cake</mark> is served"), "{html}");
        assert!(html.chars().count() < SNIPPET_MAX + 40, "{html}");
        let html = shown(&text, "nowhere");
        assert!(html.starts_with("cheese and on") && html.ends_with('…'), "{html}");
    }

    proptest! {
        #[test]
        fn src3_a_snippet_is_text_and_marks_whatever_is_looked_for(text in "\\PC{0,400}", query in "\\PC{0,20}") {
            let html = shown(&text, &query);
            let bare = html.replace("<mark>", "").replace("</mark>", "");
            prop_assert!(!bare.contains(['<', '>', '"', '\'']), "{}", html);
            prop_assert_eq!(html.matches("<mark>").count(), html.matches("</mark>").count());
            prop_assert!(bare.chars().count() <= (SNIPPET_MAX + 2) * 6);
        }

        #[test]
        fn src3_a_short_text_with_one_of_its_words_is_shown_with_a_mark(words in prop::collection::vec("[a-zäöü]{2,8}", 1..12), at in any::<prop::sample::Index>()) {
            let html = shown(&words.join(" "), at.get::<String>(&words));
            prop_assert!(html.contains("<mark>"), "{}", html);
        }
    }
}
