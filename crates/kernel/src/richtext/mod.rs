//! Rich text: Markdown or HTML in, safe HTML and plain text out (SAN-1 to SAN-5).
//!
//! Source → comrak (for Markdown) → `tame`, which makes any input small, shallow and well nested → ammonia with the committed
//! allow-list of the [`Policy`] in `allow`. The two steps are repeated until nothing changes any more, so that sanitising what
//! was sanitised changes nothing; what does not settle is shown as plain text.

mod allow;
mod plain;
mod tame;

use std::borrow::Cow;

use crate::app::App;
use crate::error::Result;
use crate::workers::Workers;

pub use plain::excerpt;

/// The version of the renderer and of the allow-lists; rows that were rendered by another one are rendered anew (SAN-1).
pub const VERSION: i32 = 1;

/// The most bytes of a source that are rendered; what lies behind them is cut off. Callers refuse longer texts.
pub const SOURCE_MAX: usize = 768 * 1024;

/// How a source is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Format {
    /// CommonMark with tables, task lists, strikethrough, autolinks and footnotes.
    Markdown,
    /// HTML.
    Html,
}

/// What may remain of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Policy {
    /// What authors of pages write: headings, lists, tables, pictures, video, footnotes.
    Author,
    /// What visitors write: paragraphs, emphasis, links, code, quotes, lists.
    Comment,
}

/// A rendered text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rendered {
    /// Safe HTML.
    pub html: String,
    /// The same as plain text, not escaped: for search, excerpts and mails.
    pub text: String,
    /// The number of words; in scripts without spaces each character counts.
    pub word_count: u32,
}

/// Renders a source; iframes never remain. It takes milliseconds: call [`render_off_worker`] from requests.
///
/// ```
/// use kernel::richtext::{Format, Policy, render};
/// let rendered = render(Format::Markdown, "Hello *world* <script>alert(1)</script>", Policy::Author);
/// assert_eq!(rendered.html, "<p>Hello <em>world</em> </p>\n");
/// assert_eq!((rendered.text.as_str(), rendered.word_count), ("Hello world", 2));
/// ```
pub fn render(format: Format, source: &str, policy: Policy) -> Rendered {
    render_with_embeds(format, source, policy, &[])
}

/// Renders a source; iframes remain, sandboxed, if they show a page of one of these hosts over https (SAN-3).
///
/// A host stands for itself alone: `www.example.com` does not allow `example.com`. The comment policy has no iframes.
pub fn render_with_embeds(format: Format, source: &str, policy: Policy, embed_hosts: &[String]) -> Rendered {
    let source = cut(source, SOURCE_MAX);
    let html = match format {
        Format::Markdown => Cow::Owned(markdown_to_html(source, policy)),
        Format::Html => Cow::Borrowed(source),
    };
    let html = sanitise(&html, policy, if policy == Policy::Author { embed_hosts } else { &[] });
    let text = plain::text_of(&html);
    let word_count = plain::count_words(&text);
    Rendered { html, text, word_count }
}

/// Renders a source on the bounded pool for it, as [`render_with_embeds`] does.
///
/// # Errors
/// `unavailable` when too many texts wait to be rendered.
pub async fn render_off_worker(app: &App, format: Format, source: String, policy: Policy, embed_hosts: Vec<String>) -> Result<Rendered> {
    app.state::<RenderPool>().0.run(move || render_with_embeds(format, &source, policy, &embed_hosts)).await
}

/// The threads that render; state of the platform module.
pub(crate) struct RenderPool(Workers);

impl Default for RenderPool {
    fn default() -> RenderPool {
        RenderPool(Workers::new("richtext", 4, 64))
    }
}

/// Rounds until a text must have settled. All texts we met take one or two; hostile ones may go on.
const ROUNDS: usize = 6;

fn sanitise(html: &str, policy: Policy, embed_hosts: &[String]) -> String {
    let mut html = clean(html, policy, embed_hosts);
    for _ in 1..ROUNDS {
        let again = clean(&html, policy, embed_hosts);
        if again == html {
            return html;
        }
        html = again;
    }
    clean(&plain::escape(&plain::text_of(&html)), policy, &[])
}

fn clean(html: &str, policy: Policy, embed_hosts: &[String]) -> String {
    let tame = tame::tame(html, policy, embed_hosts);
    allow::clean(&tame, policy, embed_hosts)
}

fn markdown_to_html(source: &str, policy: Policy) -> String {
    comrak::markdown_to_html(&tame::tame_markdown(source), &with_extensions(policy))
}

fn with_extensions(policy: Policy) -> comrak::Options<'static> {
    let mut options = bare_options();
    options.extension.strikethrough = true;
    options.extension.autolink = true;
    options.extension.table = policy == Policy::Author;
    options.extension.tasklist = policy == Policy::Author;
    options.extension.footnotes = policy == Policy::Author;
    options
}

/// CommonMark as it is specified.
fn bare_options() -> comrak::Options<'static> {
    let mut options = comrak::Options::default();
    // HTML in Markdown is Markdown; what may remain of it is decided afterwards.
    options.render.r#unsafe = true;
    options
}

/// The text up to `max` bytes, whole characters only.
fn cut(text: &str, max: usize) -> &str {
    &text[..text.floor_char_boundary(max)]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Number, section, Markdown and HTML of each example of the specification.
    fn examples() -> Vec<(u32, String, String, String)> {
        serde_json::from_str(include_str!("../../tests/data/commonmark.json")).unwrap()
    }

    #[test]
    fn san6_every_example_of_the_specification_gives_the_expected_html() {
        let examples = examples();
        assert_eq!(examples.len(), 652);
        for (number, section, markdown, html) in examples {
            let tamed = tame::tame_markdown(&markdown);
            assert_eq!(tamed, markdown, "example {number}, {section}");
            assert_eq!(comrak::markdown_to_html(&tamed, &bare_options()), html, "example {number}, {section}");
        }
    }

    #[test]
    fn san6_our_extensions_change_only_what_uses_them() {
        let uses = |markdown: &str| ["~", "|", "[^", "[ ]", "[x]", "@", "www.", "http", "ftp:"].iter().any(|sign| markdown.contains(sign));
        let untouched: Vec<_> = examples().into_iter().filter(|(_, _, markdown, _)| !uses(markdown)).collect();
        assert!(untouched.len() > 550, "{}", untouched.len());
        for (number, section, markdown, html) in untouched {
            for policy in [Policy::Author, Policy::Comment] {
                assert_eq!(markdown_to_html(&markdown, policy), html, "example {number}, {section}");
            }
        }
    }

    #[test]
    fn markers_nested_beyond_the_bound_are_dropped() {
        assert_eq!(tame::tame_markdown("- a\n  > b\n1. c\n").as_ref(), "- a\n  > b\n1. c\n");
        let deep = format!("{}x\n- y", "> ".repeat(500));
        assert_eq!(tame::tame_markdown(&deep).as_ref(), format!("{}x\n- y", "> ".repeat(100)));
        let code = format!("{}code", " ".repeat(500));
        assert_eq!(tame::tame_markdown(&code), code);
    }
}
