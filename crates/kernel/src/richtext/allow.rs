//! The committed allow-lists (SAN-2, SAN-3). Whoever changes one raises [`VERSION`](super::VERSION).

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::sync::LazyLock;

use ammonia::Builder;
use url::Url;

use super::{Policy, tame};

/// Before each `id` and `name`, so that no text can take the place of a script's element.
const PREFIX: &str = "user-content-";
/// What a link of a visitor says to search engines, and that its page may not reach back.
const COMMENT_REL: &str = "nofollow ugc noopener";
/// What an embedded page may do; not: navigate ours, open forms, ask for the camera.
const SANDBOX: &str = "allow-scripts allow-same-origin allow-popups allow-presentation";

/// The elements that authors may use. An iframe is no part of it: it needs a host that is allowed.
const AUTHOR: &[&str] = &[
    "a",
    "abbr",
    "audio",
    "b",
    "bdi",
    "bdo",
    "blockquote",
    "br",
    "caption",
    "cite",
    "code",
    "col",
    "colgroup",
    "dd",
    "del",
    "details",
    "dfn",
    "div",
    "dl",
    "dt",
    "em",
    "figcaption",
    "figure",
    "h2",
    "h3",
    "h4",
    "h5",
    "h6",
    "hr",
    "i",
    "img",
    "input",
    "ins",
    "kbd",
    "li",
    "mark",
    "ol",
    "p",
    "picture",
    "pre",
    "q",
    "rp",
    "rt",
    "ruby",
    "s",
    "samp",
    "section",
    "small",
    "source",
    "span",
    "strong",
    "sub",
    "summary",
    "sup",
    "table",
    "tbody",
    "td",
    "tfoot",
    "th",
    "thead",
    "time",
    "tr",
    "track",
    "u",
    "ul",
    "var",
    "video",
    "wbr",
];

/// The elements that visitors may use.
const COMMENT: &[&str] = &["a", "blockquote", "br", "code", "del", "em", "li", "ol", "p", "pre", "strong", "ul"];

/// What stands for an element that is not in the list although its meaning is.
const AUTHOR_ALIASES: &[(&str, &str)] = &[("h1", "h2"), ("strike", "s"), ("tt", "code"), ("center", "div")];
const COMMENT_ALIASES: &[(&str, &str)] = &[
    ("b", "strong"),
    ("i", "em"),
    ("s", "del"),
    ("strike", "del"),
    ("div", "p"),
    ("section", "p"),
    ("h1", "p"),
    ("h2", "p"),
    ("h3", "p"),
    ("h4", "p"),
    ("h5", "p"),
    ("h6", "p"),
    ("tr", "p"),
    ("kbd", "code"),
    ("samp", "code"),
    ("tt", "code"),
];

const GENERIC: &[&str] = &["dir", "id", "lang", "title"];

const AUTHOR_ATTRIBUTES: &[(&str, &[&str])] = &[
    ("a", &["class", "href", "hreflang", "name"]),
    ("audio", &["controls", "loop", "muted", "preload", "src"]),
    ("blockquote", &["cite"]),
    ("code", &["class"]),
    ("col", &["span"]),
    ("colgroup", &["span"]),
    ("del", &["cite", "datetime"]),
    ("details", &["open"]),
    ("img", &["alt", "decoding", "height", "loading", "sizes", "src", "srcset", "width"]),
    ("input", &["checked"]),
    ("ins", &["cite", "datetime"]),
    ("li", &["value"]),
    ("ol", &["reversed", "start"]),
    ("q", &["cite"]),
    ("section", &["class"]),
    ("source", &["height", "media", "sizes", "src", "srcset", "type", "width"]),
    ("sup", &["class"]),
    ("td", &["align", "colspan", "rowspan"]),
    ("th", &["abbr", "align", "colspan", "rowspan", "scope"]),
    ("time", &["datetime"]),
    ("track", &["default", "kind", "label", "src", "srclang"]),
    ("video", &["controls", "height", "loop", "muted", "playsinline", "poster", "preload", "src", "width"]),
];

/// What these elements always have, whatever the text said.
pub(super) const FIXED: &[(&str, &str, &str)] =
    &[("input", "type", "checkbox"), ("input", "disabled", ""), ("iframe", "sandbox", SANDBOX), ("iframe", "loading", "lazy")];

const SCHEMES: &[&str] = &["http", "https", "mailto", "tel"];
/// Classes that the Markdown renderer writes; beside them, `language-…` on code.
const CLASSES: &[&str] = &["footnotes", "footnote-ref", "footnote-backref"];

static AUTHOR_LIST: LazyLock<Builder<'static>> = LazyLock::new(|| author(&[]));
static COMMENT_LIST: LazyLock<Builder<'static>> = LazyLock::new(comment);

/// Applies the allow-list of a policy.
pub(super) fn clean(html: &str, policy: Policy, embed_hosts: &[String]) -> String {
    match policy {
        Policy::Comment => COMMENT_LIST.clean(html).to_string(),
        Policy::Author if embed_hosts.is_empty() => AUTHOR_LIST.clean(html).to_string(),
        Policy::Author => author(embed_hosts).clean(html).to_string(),
    }
}

/// The element that may stand for a tag of this name; none if nothing may.
pub(super) fn element(name: &str, policy: Policy) -> Option<&'static str> {
    let (elements, aliases) = match policy {
        Policy::Author => (AUTHOR, AUTHOR_ALIASES),
        Policy::Comment => (COMMENT, COMMENT_ALIASES),
    };
    let alias = aliases.iter().find(|(other, _)| *other == name).map(|(_, element)| *element);
    alias.or_else(|| elements.iter().find(|element| **element == name).copied())
}

/// Whether this attribute of the element is one of those it always has.
pub(super) fn is_fixed(element: &str, attribute: &str) -> bool {
    FIXED.iter().any(|(fixed_element, fixed, _)| *fixed_element == element && *fixed == attribute)
}

fn base(elements: &[&'static str]) -> Builder<'static> {
    let mut builder = Builder::empty();
    builder
        .tags(elements.iter().copied().collect())
        .generic_attributes(HashSet::new())
        .clean_content_tags(HashSet::from(["script", "style"]))
        .url_schemes(SCHEMES.iter().copied().collect())
        .url_relative(ammonia::UrlRelative::PassThrough)
        .link_rel(None)
        .id_prefix(Some(PREFIX));
    builder
}

fn comment() -> Builder<'static> {
    let mut builder = base(COMMENT);
    builder.tag_attributes(HashMap::from([("a", HashSet::from(["href"]))])).link_rel(Some(COMMENT_REL));
    builder.attribute_filter(|element, attribute, value| filter(element, attribute, value, &[]));
    builder
}

fn author(embed_hosts: &[String]) -> Builder<'static> {
    let mut builder = base(AUTHOR);
    let attributes = AUTHOR_ATTRIBUTES.iter().map(|(element, attributes)| (*element, attributes.iter().copied().collect()));
    builder.tag_attributes(attributes.collect()).generic_attributes(GENERIC.iter().copied().collect());
    if !embed_hosts.is_empty() {
        builder.add_tags(["iframe"]).add_tag_attributes("iframe", ["height", "src", "title", "width"]);
    }
    for (element, attribute, value) in FIXED {
        // Allowed too, so that it stays at its place: what ammonia has to add, it adds in any order.
        builder.add_tag_attributes(*element, [*attribute]).set_tag_attribute_value(*element, *attribute, *value);
    }
    let embed_hosts = embed_hosts.to_vec();
    builder.attribute_filter(move |element, attribute, value| filter(element, attribute, value, &embed_hosts));
    builder
}

/// The value that an allowed attribute may have; none if it has to go.
fn filter<'v>(element: &str, attribute: &str, value: &'v str, embed_hosts: &[String]) -> Option<Cow<'v, str>> {
    match (element, attribute) {
        ("iframe", "src") => tame::embeddable(value, embed_hosts).map(|_| value.into()),
        ("a", "href") if value.len() > 1 && value.starts_with('#') => Some(prefixed(&value[1..], "#")),
        (_, "name") => Some(prefixed(value, "")),
        (_, "class") => classes(element, value),
        (_, "srcset") => value.split(',').all(is_candidate).then_some(value.into()),
        (_, "cite") => is_safe_url(value).then_some(value.into()),
        (_, "dir") => one_of(value, &["ltr", "rtl", "auto"]),
        (_, "align") => one_of(value, &["left", "center", "right"]),
        (_, "loading") => one_of(value, &["lazy", "eager"]),
        (_, "width" | "height" | "colspan" | "rowspan" | "span" | "start" | "value") => is_number(value).then_some(value.into()),
        _ => Some(value.into()),
    }
}

fn one_of<'v>(value: &'v str, allowed: &[&str]) -> Option<Cow<'v, str>> {
    allowed.contains(&value).then_some(value.into())
}

fn is_number(value: &str) -> bool {
    let digits = value.strip_prefix('-').unwrap_or(value);
    let digits = digits.strip_suffix('%').unwrap_or(digits);
    (1..=9).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit())
}

/// An anchor under our prefix, behind `mark`.
fn prefixed<'v>(value: &str, mark: &str) -> Cow<'v, str> {
    let bare = value.strip_prefix(PREFIX).unwrap_or(value);
    format!("{mark}{PREFIX}{bare}").into()
}

fn classes<'v>(element: &str, value: &'v str) -> Option<Cow<'v, str>> {
    let is_language = |class: &str| {
        let name = class.strip_prefix("language-").unwrap_or_default();
        (1..=40).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_+#.-".contains(&byte))
    };
    let kept: Vec<&str> = value
        .split_ascii_whitespace()
        .filter(|class| if element == "code" { is_language(class) } else { CLASSES.contains(class) })
        .collect();
    (!kept.is_empty()).then(|| kept.join(" ").into())
}

/// One candidate of a `srcset`: an address and perhaps a width or density.
fn is_candidate(candidate: &str) -> bool {
    // Whoever trims other white space than the standard does must not find another address.
    if candidate.chars().any(|character| character.is_control() || (character.is_whitespace() && character != ' ')) {
        return false;
    }
    let mut words = candidate.split_ascii_whitespace();
    let is_safe = words.next().is_some_and(is_safe_url);
    let fits = |word: &str| word.ends_with(['w', 'x']) && word[..word.len() - 1].bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    is_safe && words.next().is_none_or(fits) && words.next().is_none()
}

fn is_safe_url(value: &str) -> bool {
    match Url::parse(value) {
        Ok(url) => SCHEMES.contains(&url.scheme()),
        Err(error) => error == url::ParseError::RelativeUrlWithoutBase,
    }
}
