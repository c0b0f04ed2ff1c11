//! Search: the same matches on every database, the best first (SRC-1 to SRC-4).

pub(crate) mod http;
pub(crate) mod service;
pub(crate) mod store;

use kernel::search::Query;

/// What somebody looks for: words, and a tag or an author that posts must have.
#[derive(Clone, Debug)]
pub(crate) struct Search {
    pub(crate) words: Query,
    pub(crate) tag: Option<String>,
    pub(crate) author: Option<String>,
}

impl Search {
    /// Reads what somebody typed: `tag:` and `author:` narrow, everything else is words.
    pub(crate) fn parse(text: &str) -> Search {
        let (mut words, mut tag, mut author) = (Vec::new(), None, None);
        for piece in text.split_whitespace() {
            match (piece.strip_prefix("tag:"), piece.strip_prefix("author:")) {
                (Some(slug), _) if !slug.is_empty() => tag = Some(slug.to_owned()),
                (_, Some(slug)) if !slug.is_empty() => author = Some(slug.to_owned()),
                _ => words.push(piece),
            }
        }
        Search { words: Query::parse(&words.join(" ")), tag, author }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn src2_tag_and_author_narrow_and_the_rest_is_words() {
        let search = Search::parse("seven tag:bridges author:ada brid");
        assert_eq!((search.tag.as_deref(), search.author.as_deref()), (Some("bridges"), Some("ada")));
        assert!(search.words.finds("Seven bridges") && !search.words.finds("Seven walks"));
        assert!(Search::parse("tag: author:").tag.is_none());
    }
}
