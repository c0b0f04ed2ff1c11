//! The sanitiser against everything we could think of: nothing that runs remains, nothing is sanitised twice, nothing takes long.

#[path = "../data/cases.rs"]
mod cases;

use kernel::richtext::{Format, Policy, Rendered, VERSION, excerpt, render, render_off_worker, render_with_embeds};
use proptest::prelude::*;
use url::Url;

use crate::app;

const FORMATS: [Format; 2] = [Format::Markdown, Format::Html];
const POLICIES: [Policy; 2] = [Policy::Author, Policy::Comment];

fn embed_hosts() -> Vec<String> {
    vec!["video.example".to_owned()]
}

fn author(markdown: &str) -> String {
    render(Format::Markdown, markdown, Policy::Author).html
}

fn comment(markdown: &str) -> String {
    render(Format::Markdown, markdown, Policy::Comment).html
}

/// A tag of sanitised HTML: its name, and its attributes with entities resolved.
type Tag = (String, Vec<(String, String)>);

/// Reads sanitised HTML with the strictest of grammars; panics at whatever it does not know.
fn tags(html: &str) -> Vec<Tag> {
    let mut found = Vec::new();
    let mut rest = html;
    while let Some(at) = rest.find('<') {
        assert!(!rest[..at].contains('>'), "a stray > in {html}");
        rest = rest[at + 1..].strip_prefix('/').unwrap_or(&rest[at + 1..]);
        let end = rest.find([' ', '>']).unwrap_or_else(|| panic!("an open tag in {html}"));
        let mut tag = (rest[..end].to_owned(), Vec::new());
        assert!(tag.0.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit()), "{tag:?} in {html}");
        rest = &rest[end..];
        while let Some(attribute) = rest.strip_prefix(' ') {
            let (name, value) = attribute.split_once("=\"").unwrap_or_else(|| panic!("an attribute without a value in {html}"));
            let (value, after) = value.split_once('"').unwrap_or_else(|| panic!("an open value in {html}"));
            let value =
                value.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"").replace("&nbsp;", "\u{a0}").replace("&amp;", "&");
            tag.1.push((name.to_owned(), value));
            rest = after;
        }
        rest = rest.strip_prefix('>').unwrap_or_else(|| panic!("a tag that does not end in {html}"));
        found.push(tag);
    }
    assert!(!rest.contains('>'), "a stray > in {html}");
    found
}

/// The elements that the specification names, on purpose not those of the code.
const COMMENT_ELEMENTS: &str = "p br a strong em del code pre blockquote ul ol li";
const AUTHOR_ELEMENTS: &str = "p br a strong em del code pre blockquote ul ol li b i s u small span div section h2 h3 h4 h5 h6 hr table thead tbody \
    tfoot tr td th caption colgroup col figure figcaption picture source img video audio track input details summary abbr time sub sup mark kbd \
    samp var q cite dfn dl dt dd ins bdi bdo ruby rt rp wbr";
const ATTRIBUTES: &str = "href hreflang title lang dir id name class src srcset sizes media type alt width height loading decoding poster controls loop \
    muted preload playsinline cite datetime open checked disabled start reversed value span align colspan rowspan scope abbr kind label srclang \
    default rel";

/// Panics if anything may remain that must not.
fn judge(html: &str, policy: Policy, may_embed: bool) {
    let allowed = if policy == Policy::Author { AUTHOR_ELEMENTS } else { COMMENT_ELEMENTS };
    for (element, attributes) in tags(html) {
        let is_embed = element == "iframe" && may_embed && policy == Policy::Author;
        assert!(is_embed || allowed.split_whitespace().any(|name| name == element), "<{element}> in {html}");
        for (name, value) in &attributes {
            let is_known = ATTRIBUTES.split_whitespace().any(|known| known == name) || (is_embed && name == "sandbox");
            assert!(is_known && (policy == Policy::Author || ["href", "rel"].contains(&name.as_str())), "{element} {name} in {html}");
            match name.as_str() {
                "href" | "src" | "poster" | "cite" => judge_url(value, html),
                "srcset" => value.split(',').for_each(|candidate| judge_url(candidate.trim().split(' ').next().unwrap_or_default(), html)),
                "id" | "name" => assert!(value.starts_with("user-content-"), "{name}={value} in {html}"),
                "class" => assert!(
                    value.split(' ').all(|class| class.starts_with("language-") || class.starts_with("footnote")),
                    "class={value} in {html}"
                ),
                _ => {}
            }
        }
        let has = |name: &str, value: &str| attributes.iter().any(|attribute| attribute == &(name.to_owned(), value.to_owned()));
        match element.as_str() {
            "input" if !attributes.is_empty() => assert!(has("type", "checkbox") && has("disabled", ""), "{html}"),
            "a" if policy == Policy::Comment && !attributes.is_empty() => assert!(has("rel", "nofollow ugc noopener"), "{html}"),
            "iframe" if !attributes.is_empty() => {
                let src = attributes.iter().find(|(name, _)| name == "src").expect("an address");
                assert!(Url::parse(&src.1).unwrap().host_str() == Some("video.example") && src.1.starts_with("https://"), "{html}");
                let sandbox = attributes.iter().find(|(name, _)| name == "sandbox").expect("a sandbox");
                assert!(!sandbox.1.contains("top-navigation") && !sandbox.1.contains("forms"), "{html}");
            }
            _ => {}
        }
    }
}

fn judge_url(value: &str, html: &str) {
    match Url::parse(value) {
        Ok(url) => assert!(["http", "https", "mailto", "tel"].contains(&url.scheme()), "{value:?} in {html}"),
        Err(error) => assert_eq!(error, url::ParseError::RelativeUrlWithoutBase, "{value:?} in {html}"),
    }
}

fn judge_everywhere(source: &str) {
    for policy in POLICIES {
        for format in FORMATS {
            for hosts in [vec![], embed_hosts()] {
                let rendered = render_with_embeds(format, source, policy, &hosts);
                judge(&rendered.html, policy, !hosts.is_empty());
                let again = render_with_embeds(Format::Html, &rendered.html, policy, &hosts);
                assert_eq!(again.html, rendered.html, "sanitised twice is not sanitised once: {source:?}");
            }
        }
    }
}

#[test]
fn san5_nothing_in_the_corpus_leaves_anything_that_acts_and_once_is_enough() {
    let cases = cases::cases();
    assert!(cases.len() >= 500, "{}", cases.len());
    for case in cases {
        judge_everywhere(&case);
    }
}

#[test]
fn san5_all_of_the_corpus_in_one_text_is_as_harmless() {
    let cases = cases::cases();
    for glue in ["", "\n", "\n\n", "</p>", "\"", "'>", "-->"] {
        judge_everywhere(&cases.join(glue));
        judge_everywhere(&cases.iter().rev().map(String::as_str).collect::<Vec<_>>().join(glue));
    }
}

/// Pieces from which texts are put together at random.
const PIECES: &[&str] = &[
    "<",
    ">",
    "</",
    "/>",
    "\"",
    "'",
    "=",
    " ",
    "\n",
    "&",
    ";",
    "#",
    "!",
    "--",
    "`",
    "*",
    "_",
    "[",
    "]",
    "(",
    ")",
    "- ",
    "> ",
    "1. ",
    "|",
    "~~",
    "\\",
    "\0",
    "<p>",
    "</p>",
    "<b>",
    "</b>",
    "<a href=",
    "</a>",
    "<table>",
    "</table>",
    "<tr>",
    "<td>",
    "<li>",
    "<ul>",
    "</ul>",
    "<svg>",
    "<math>",
    "<style>",
    "</style>",
    "<script>",
    "</script>",
    "<!--",
    "-->",
    "<img src=x ",
    "onerror=alert(1)",
    "javascript:",
    "<iframe src=",
    "https://video.example/",
    "<div ",
    "id=x",
    "<h1>",
    "<pre>\n",
    "<details>",
    "<select>",
    "<template>",
    "é",
    "日本",
    "\u{200b}",
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn san5_whatever_is_put_together_at_random_is_harmless_and_sanitised_once(places in prop::collection::vec(0..PIECES.len(), 0..40)) {
        judge_everywhere(&places.into_iter().map(|place| PIECES[place]).collect::<String>());
    }

    #[test]
    fn san5_two_cases_woven_into_each_other_are_harmless(first in any::<prop::sample::Index>(), second in any::<prop::sample::Index>(), at in any::<prop::sample::Index>()) {
        let cases = cases::cases();
        let (first, second) = (first.get(&cases), second.get(&cases));
        let at = first.floor_char_boundary(at.index(first.len() + 1));
        judge_everywhere(&format!("{}{second}{}", &first[..at], &first[at..]));
    }
}

/// What is repeated until a text is long enough for quadratic time to be felt.
const ENDLESS: &[&str] = &[
    "<div>",
    "<b>",
    "<p>",
    "<b a=1><i b=2>",
    "<a href=x>",
    "<table>",
    "<table><tr><td>",
    "<ul><li>",
    "</p>",
    "</b>",
    "<svg>",
    "<math><mi>",
    "<select>",
    "<script>",
    "<template>",
    "<!--",
    "<!",
    "</",
    "<a ",
    "<a x=\"",
    "<a x='",
    "<",
    "&",
    "&#",
    "&x;",
    "&#x;",
    "&notit;",
    "&amp",
    "§",
    "\u{a0}x",
    ">",
    "> ",
    "- ",
    "1. ",
    "* ",
    "- - ",
    "[",
    "![",
    "](",
    "*a_",
    "**x ",
    "`",
    "~~",
    "www.a.b ",
    "a@b.c ",
    "[^a]: ",
];

#[test]
fn san5_endless_nesting_ends_in_time_and_memory() {
    for piece in ENDLESS {
        let source = piece.repeat(24 * 1024 / piece.len());
        for format in FORMATS {
            let rendered = render(format, &source, Policy::Author);
            assert!(rendered.html.len() < 2 * 1024 * 1024, "{piece:?} grew to {}", rendered.html.len());
        }
    }
}

#[test]
fn san5_what_makes_parsers_quadratic_ends_too() {
    let open: String = (0..8_000).map(|n| format!("<b a{n}=1>")).collect();
    let deep = |marker: &str| format!("{}x{}", marker.repeat(30_000), "\n".repeat(100_000));
    let sources = [
        format!("{open}{}", "<p>x".repeat(20_000)),
        deep("- "),
        deep("1. "),
        deep("> "),
        format!("{}{}", "[a".repeat(30_000), "](x)".repeat(30_000)),
        format!("{}{}", "*a ".repeat(30_000), "b* ".repeat(30_000)),
        (0..600).map(|depth| format!("{}- a\n", "  ".repeat(depth))).collect::<String>() + &"\n".repeat(100_000),
        format!("|{}\n|{}\n{}", "a|".repeat(5_000), "-|".repeat(5_000), "|\n".repeat(30_000)),
        format!("[a]: {}\n\n{}", "x".repeat(50_000), "[a]".repeat(30_000)),
        "<p title=x>".repeat(20_000) + &"</div>".repeat(10_000),
    ];
    for (at, source) in sources.iter().enumerate() {
        for format in FORMATS {
            let rendered = render(format, source, Policy::Author);
            assert!(rendered.html.len() < 32 * 1024 * 1024, "source {at} grew to {}", rendered.html.len());
        }
    }
}

#[test]
fn san2_authors_keep_what_they_write() {
    let html = author(
        "# Title\n\n## Part\n\nText with **bold**, *emphasis*, ~~old~~, `code` and [a link](https://example.com \"there\").\n\n\
         | a | b |\n|---|--:|\n| 1 | 2 |\n\n- [x] done\n- [ ] open\n\n```rust\nlet a = 1 < 2;\n```\n\nA note[^n].\n\n[^n]: Below.\n",
    );
    for expected in [
        "<h2>Title</h2>",
        "<h2>Part</h2>",
        "<strong>bold</strong>",
        "<em>emphasis</em>",
        "<del>old</del>",
        "<code>code</code>",
        "<a href=\"https://example.com\" title=\"there\">a link</a>",
        "<th>a</th>",
        "<th align=\"right\">b</th>",
        "<td align=\"right\">2</td>",
        "<code class=\"language-rust\">let a = 1 &lt; 2;\n</code>",
        "<a href=\"#user-content-fn-n\" id=\"user-content-fnref-n\">1</a>",
        "<section class=\"footnotes\">",
        "id=\"user-content-fn-n\"",
        "href=\"#user-content-fnref-n\"",
    ] {
        assert!(html.contains(expected), "{expected} is missing in {html}");
    }
    assert_eq!(html.matches("type=\"checkbox\"").count(), 2, "{html}");
    let kept = "<figure><picture><source srcset=\"/a.webp 2x\"><img src=\"/a.jpg\" alt=\"A\" width=\"8\" height=\"6\"></picture><figcaption>A</figcaption></figure>\
        <video src=\"/v.mp4\" controls=\"\" poster=\"/v.jpg\"></video><details open=\"\"><summary>More</summary><p>Text</p></details>\
        <p><abbr title=\"x\">x</abbr> <time datetime=\"2026-11-22\">today</time> <sub>1</sub><sup>2</sup><mark>3</mark><kbd>4</kbd></p>";
    assert_eq!(render(Format::Html, kept, Policy::Author).html, kept);
}

#[test]
fn san2_visitors_keep_less() {
    assert_eq!(
        comment("# Loud\n\n*a* **b** `c` ![d](e.png)\n\n> f\n\n- g\n\n| a |\n|---|\n| h |\n"),
        "<p>Loud</p>\n<p><em>a</em> <strong>b</strong> <code>c</code> </p>\n<blockquote>\n<p>f</p>\n</blockquote>\n<ul>\n<li>g</li>\n</ul>\n<p>| a |\n|---|\n| h |</p>\n"
    );
}

#[test]
fn san3_ids_are_ours_and_links_of_visitors_are_marked() {
    assert_eq!(
        render(Format::Html, "<p id=\"a\">x</p><a name=\"b\" href=\"#a\">y</a>", Policy::Author).html,
        "<p id=\"user-content-a\">x</p><a name=\"user-content-b\" href=\"#user-content-a\">y</a>"
    );
    assert_eq!(comment("[x](https://example.com)"), "<p><a href=\"https://example.com\" rel=\"nofollow ugc noopener\">x</a></p>\n");
}

#[test]
fn san3_an_iframe_needs_a_host_that_is_allowed_and_lives_in_a_sandbox() {
    let source = "<iframe src=\"https://video.example/1?a=1&amp;b=2\" width=560 onload=alert(1) allow=camera></iframe><p>x</p>";
    let embedded = render_with_embeds(Format::Html, source, Policy::Author, &embed_hosts()).html;
    assert!(embedded.contains("src=\"https://video.example/1?a=1&amp;b=2\"") && embedded.contains("sandbox=\"allow-scripts"), "{embedded}");
    assert!(embedded.contains("width=\"560\"") && embedded.ends_with("</iframe><p>x</p>"), "{embedded}");
    assert_eq!(render(Format::Html, source, Policy::Author).html, "<p>x</p>");
    assert_eq!(render_with_embeds(Format::Html, source, Policy::Comment, &embed_hosts()).html, "<p>x</p>");
    let other = render_with_embeds(Format::Html, &source.replace("video.", "evil."), Policy::Author, &embed_hosts()).html;
    assert_eq!(other, "<p>x</p>");
}

#[test]
fn san4_text_is_plain_and_words_are_counted() {
    let source =
        "# A & B\n\nOne *two*\nthree&nbsp;four <b>&lt;five&gt;</b>\n\n- x\n- y\n\n![a picture](z.png)\n\n```\nlet  a\n  = b;\n```\n";
    let rendered = render(Format::Markdown, source, Policy::Author);
    assert_eq!(rendered.text, "A & B\nOne two three\u{a0}four <five>\nx\ny\na picture\nlet  a\n  = b;");
    assert_eq!(rendered.word_count, 14);
    assert_eq!(render(Format::Markdown, "日本語 and don't-stop", Policy::Author).word_count, 5);
    assert_eq!(render(Format::Html, "<p>&amp;lt;b&amp;gt;</p>", Policy::Author).text, "&lt;b&gt;");
    assert_eq!(render(Format::Markdown, "", Policy::Comment), Rendered::default());
}

#[test]
fn san4_an_excerpt_is_short_and_whole() {
    assert_eq!(excerpt("", 10), "");
    assert_eq!(excerpt(" a \n b\tc ", 10), "a b c");
    assert_eq!(excerpt("grüße an alle", 8), "grüße…");
    assert_eq!(excerpt("grüße an alle", 9), "grüße an…");
    assert_eq!(excerpt("Donaudampfschifffahrt", 6), "Donau…");
    assert_eq!(excerpt(&"a b ".repeat(1_000_000), 0), "");
    assert_eq!((excerpt("ab", 1), excerpt("ab", 2)), ("…".to_owned(), "ab".to_owned()));
    for max in 0..40 {
        assert!(excerpt("日本語 の 長い テキスト and some more words", max).chars().count() <= max);
    }
}

#[test]
fn a_source_that_is_too_long_is_cut_between_characters() {
    let rendered = render(Format::Markdown, &"日".repeat(400_000), Policy::Author);
    assert_eq!(rendered.text.chars().count(), 768 * 1024 / 3);
}

#[tokio::test]
async fn rendering_off_the_workers_gives_the_same() {
    let app = app().await;
    let source = "*x* <iframe src=\"https://video.example/1\"></iframe>".to_owned();
    let expected = render_with_embeds(Format::Markdown, &source, Policy::Author, &embed_hosts());
    let rendered = render_off_worker(app.kernel(), Format::Markdown, source, Policy::Author, embed_hosts()).await.unwrap();
    assert_eq!((rendered, VERSION), (expected, 1));
}
