//! Full-text search that finds the same on every engine: an index in a plain table, filled with words made here.
//!
//! A migration makes the table with the statement `{fulltext:blog_search};`. [`upsert`] and [`delete`] keep it in the transaction
//! of the change, so what was written is found at once. [`matches()`] finds ids for a [`Query`]. Why the engines' own indexes are
//! not used: docs/decisions/0008-search-index-is-a-table.md.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use icu_normalizer::properties::CanonicalCombiningClassMapBorrowed;
use icu_normalizer::{ComposingNormalizerBorrowed, DecomposingNormalizerBorrowed};

use crate::{Conn, Error, Param, ToParam as _, Tx, params};

/// The most matches of a query; when there are more, those with the greatest ids count, which are the newest.
pub const MATCHES_MAX: usize = 500;
/// The most characters of a word; longer ones are cut, in texts and in queries alike.
pub(crate) const WORD_MAX: usize = 48;
/// The most different words of one text; those that come later are not found.
const WORDS_MAX: usize = 10_000;
/// The most words of a query that are looked for, and the most that are excluded.
const TERMS_MAX: usize = 8;

/// Something that a query looks for in the index.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Term {
    word: String,
    /// Whether longer words that begin with it are found too.
    is_prefix: bool,
}

/// What somebody looks for. Any text is a query; the worst one matches nothing.
///
/// All words must occur; the last one may be the beginning of a longer word; a word after `-` must not occur.
///
/// ```
/// use db::fulltext::Query;
/// assert!(Query::parse("cheese cak").finds("Grandma's cheese cakes"));
/// assert!(!Query::parse("cheese -cake").finds("cheese cake"));
/// assert!(Query::parse("?!").is_empty());
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Query {
    wanted: Vec<Term>,
    /// Each of these groups must not occur as a whole.
    unwanted: Vec<Vec<Term>>,
}

impl Query {
    /// Reads what somebody typed.
    pub fn parse(text: &str) -> Query {
        let mut query = Query { wanted: Vec::new(), unwanted: Vec::new() };
        let mut chunks = text.split_whitespace().peekable();
        while let Some(chunk) = chunks.next() {
            let is_last = chunks.peek().is_none();
            match chunk.strip_prefix('-') {
                Some(excluded) => {
                    let mut terms = terms_of(excluded, false);
                    terms.truncate(TERMS_MAX);
                    if !terms.is_empty() && query.unwanted.len() < TERMS_MAX {
                        query.unwanted.push(terms);
                    }
                }
                None => query.wanted.extend(terms_of(chunk, is_last)),
            }
            if query.wanted.len() >= TERMS_MAX {
                break;
            }
        }
        query.wanted.truncate(TERMS_MAX);
        // The longest word first: it is likely the rarest, and the search walks its texts.
        query.wanted.sort_by_key(|term| (term.is_prefix, std::cmp::Reverse(term.word.chars().count())));
        query.wanted.dedup();
        query
    }

    /// Whether nothing is looked for; such a query matches nothing.
    pub fn is_empty(&self) -> bool {
        self.wanted.is_empty()
    }

    /// Whether a text matches, by the rules alone and without an index.
    pub fn finds(&self, text: &str) -> bool {
        let words = words_of(text);
        let occurs = |term: &Term| words.keys().any(|word| term.finds(word));
        !self.is_empty() && self.wanted.iter().all(occurs) && !self.unwanted.iter().any(|group| group.iter().all(occurs))
    }

    /// Whether a word of a text, as [`fold()`] and [`split()`] give it, is one that is looked for.
    pub fn wants(&self, word: &str) -> bool {
        self.wanted.iter().any(|term| term.finds(word))
    }
}

impl Term {
    fn finds(&self, word: &str) -> bool {
        if self.is_prefix { word.starts_with(&self.word) } else { word == self.word }
    }

    /// The condition on the words of `alias`.
    fn condition<'t>(&'t self, alias: &str, values: &mut Vec<Bound<'t>>) -> String {
        values.push(Bound::Word(&self.word));
        if !self.is_prefix {
            return format!("{alias}.word = ?");
        }
        values.push(Bound::End(format!("{}{}", self.word, char::MAX)));
        format!("{alias}.word >= ? AND {alias}.word < ?")
    }
}

/// The terms of one piece of a query.
fn terms_of(chunk: &str, is_last: bool) -> Vec<Term> {
    let folded = fold(chunk);
    let mut terms = Vec::new();
    for piece in split(&folded) {
        match piece {
            Piece::Word(word) => terms.push(Term { word: cut(word).to_owned(), is_prefix: false }),
            // The last character of a run stands alone in the index of a text, but in a query it is part of the pair before it.
            Piece::Run(run) if run.chars().count() == 1 => terms.push(Term { word: run.to_owned(), is_prefix: true }),
            Piece::Run(run) => terms.extend(pairs(run).map(|pair| Term { word: pair.to_owned(), is_prefix: false })),
        }
    }
    if is_last
        && let Some(term) = terms.last_mut()
        && (term.word.chars().count() > 1 && term.word.chars().count() < WORD_MAX)
    {
        term.is_prefix = true;
    }
    terms
}

/// A text with everything alike that a reader calls the same: compatibility forms, case, accents.
///
/// ```
/// assert_eq!(db::fulltext::fold("Ｃａｆé STRASSE Straße"), "cafe strasse strasse");
/// ```
pub fn fold(text: &str) -> String {
    if text.is_ascii() {
        return text.to_ascii_lowercase();
    }
    let classes = CanonicalCombiningClassMapBorrowed::new();
    // The marks that make か into が are no accents.
    let is_accent = |character: char| classes.get_u8(character) != 0 && !matches!(character, '\u{3099}' | '\u{309a}');
    let decomposed = DecomposingNormalizerBorrowed::new_nfkd();
    let mut folded = String::with_capacity(text.len());
    // By way of upper case ß becomes ss and ς becomes σ.
    let bare = decomposed.normalize_iter(text.chars()).filter(|character| !is_accent(*character));
    folded.extend(bare.flat_map(char::to_uppercase).flat_map(char::to_lowercase).filter(|character| !is_accent(*character)));
    // Hangul and kana were taken apart as well.
    ComposingNormalizerBorrowed::new_nfc().normalize(&folded).into_owned()
}

/// A part of a folded text that words are made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Piece<'t> {
    /// A word.
    Word(&'t str),
    /// Characters of a script without spaces; each pair of neighbours is a word of the index.
    Run(&'t str),
}

/// Cuts a folded text into words and runs.
pub fn split(folded: &str) -> impl Iterator<Item = Piece<'_>> {
    let mut rest = folded;
    std::iter::from_fn(move || {
        let begin = rest.find(char::is_alphanumeric)?;
        rest = &rest[begin..];
        let is_run = rest.chars().next().is_some_and(is_unspaced);
        let end = rest.find(|character: char| !character.is_alphanumeric() || is_unspaced(character) != is_run).unwrap_or(rest.len());
        let piece = &rest[..end];
        rest = &rest[end..];
        Some(if is_run { Piece::Run(piece) } else { Piece::Word(piece) })
    })
}

/// Whether the character is of a script that is written without spaces: Han, kana, Hangul.
fn is_unspaced(character: char) -> bool {
    matches!(character, '\u{3005}'..='\u{3007}' | '\u{3040}'..='\u{30ff}' | '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}'
        | '\u{ac00}'..='\u{d7af}' | '\u{f900}'..='\u{faff}' | '\u{20000}'..='\u{3ffff}')
}

/// Each pair of neighbours of a run.
fn pairs(run: &str) -> impl Iterator<Item = &str> {
    let begins = run.char_indices().map(|(at, _)| at);
    let ends = run.char_indices().map(|(at, _)| at).skip(2).chain([run.len()]);
    begins.zip(ends).take(run.chars().count().saturating_sub(1)).map(|(begin, end)| &run[begin..end])
}

fn cut(word: &str) -> &str {
    word.char_indices().nth(WORD_MAX).map_or(word, |(end, _)| &word[..end])
}

/// The words of a text, each with how often it occurs.
fn words_of(text: &str) -> BTreeMap<String, u32> {
    let folded = fold(text);
    let mut words = BTreeMap::new();
    let mut add = |word: &str| {
        if let Some(count) = words.get_mut(word) {
            *count += 1;
        } else if words.len() < WORDS_MAX {
            words.insert(word.to_owned(), 1);
        }
    };
    for piece in split(&folded) {
        match piece {
            Piece::Word(word) => add(cut(word)),
            Piece::Run(run) => {
                pairs(run).for_each(&mut add);
                // So that each character of a run begins a word.
                run.char_indices().next_back().map(|(at, _)| &run[at..]).into_iter().for_each(&mut add);
            }
        }
    }
    words
}

/// How much a word says about a text: how often it occurs, and how short the text is.
///
/// The length counts in powers of two, so that most edits leave the weight of most words alone.
fn weight(count: u32, total: u64) -> i64 {
    let length_class = (total + 1).ilog2() / 2;
    ((i64::from(count.min(64)) * 64) >> length_class).max(1)
}

crate::row! {
    struct Entry {
        word: String,
        weight: i64,
    }
}

/// Makes the text findable under this id, in place of what was there before.
///
/// The caller holds the row that the id belongs to (it was inserted, updated or locked in this transaction), so that two
/// changes of one text come one after the other. What should count more, such as a title, is given more than once.
pub fn upsert(tx: &mut Tx<'_>, table: &'static str, id: [u8; 16], text: &str) -> Result<(), Error> {
    let words = words_of(text);
    let total = words.values().map(|count| u64::from(*count)).sum();
    let mut fresh: BTreeMap<&str, i64> = words.iter().map(|(word, count)| (word.as_str(), weight(*count, total))).collect();
    let old = tx.all::<Entry>(format!("SELECT word, weight FROM {table} WHERE doc_id = ?"), params![Param::Id(id)])?;
    let mut stale = Vec::new();
    for entry in &old {
        if fresh.get(entry.word.as_str()) == Some(&entry.weight) {
            fresh.remove(entry.word.as_str());
        } else {
            stale.push(entry.word.as_str());
        }
    }
    if !stale.is_empty() && stale.len() == old.len() {
        delete(tx, table, id)?;
        stale.clear();
    }
    for words in chunks(&stale) {
        let mut values = vec![Param::Id(id)];
        values.extend(words.iter().map(|word| word.to_param()));
        tx.execute(format!("DELETE FROM {table} WHERE doc_id = ? AND word IN ({})", list("?", words.len())), &values)?;
    }
    let fresh: Vec<(&str, i64)> = fresh.into_iter().collect();
    for entries in chunks(&fresh) {
        let values: Vec<Param<'_>> =
            entries.iter().flat_map(|(word, weight)| [word.to_param(), Param::Id(id), weight.to_param()]).collect();
        tx.execute(format!("INSERT INTO {table} (word, doc_id, weight) VALUES {}", list("(?, ?, ?)", entries.len())), &values)?;
    }
    Ok(())
}

/// Makes the text of this id findable no more.
pub fn delete(tx: &mut Tx<'_>, table: &'static str, id: [u8; 16]) -> Result<(), Error> {
    tx.execute(format!("DELETE FROM {table} WHERE doc_id = ?"), params![Param::Id(id)]).map(drop)
}

/// Pieces of few different lengths, so that few different statements are prepared.
fn chunks<T>(all: &[T]) -> impl Iterator<Item = &[T]> {
    let mut rest = all;
    std::iter::from_fn(move || {
        let length = [128, 32, 8, 1].into_iter().find(|length| *length <= rest.len())?;
        let (chunk, tail) = rest.split_at(length);
        rest = tail;
        Some(chunk)
    })
}

fn list(item: &str, count: usize) -> String {
    vec![item; count].join(", ")
}

/// A value of the statement that finds matches.
enum Bound<'t> {
    Word(&'t str),
    End(String),
}

/// The ids whose texts match, best first and newest first where they are as good; at most [`MATCHES_MAX`].
///
/// It may walk all texts with the query's longest word: call it from a long read.
pub fn matches(c: &mut Conn, table: &'static str, query: &Query) -> Result<Vec<[u8; 16]>, Error> {
    let Some((first, others)) = query.wanted.split_first() else { return Ok(Vec::new()) };
    let (sql, values) = statement(table, first, others, &query.unwanted);
    let values: Vec<Param<'_>> = values.iter().map(Bound::to_param).collect();
    let mut found = c.all::<([u8; 16], i64)>(sql, &values)?;
    // The rows come newest first, and the sort keeps the order of equals.
    found.sort_by_key(|(_, score)| std::cmp::Reverse(*score));
    Ok(found.into_iter().map(|(id, _)| id).collect())
}

impl Bound<'_> {
    fn to_param(&self) -> Param<'_> {
        match self {
            Bound::Word(word) => word.to_param(),
            Bound::End(end) => end.to_param(),
        }
    }
}

/// Walks the texts with the first word, newest first, and looks for the other words in each.
fn statement<'q>(table: &str, first: &'q Term, others: &'q [Term], unwanted: &'q [Vec<Term>]) -> (String, Vec<Bound<'q>>) {
    let (mut score, mut score_values) = ("MAX(d.weight)".to_owned(), Vec::new());
    let (mut condition, mut values) = (String::new(), Vec::new());
    condition.push_str(&first.condition("d", &mut values));
    for (at, term) in others.iter().enumerate() {
        let alias = format!("o{at}");
        let wanted = term.condition(&alias, &mut score_values);
        // MAX, not SUM: a sum is no integer on the servers. It is one number a text anyway unless the word is a prefix.
        let _ =
            write!(score, " + COALESCE((SELECT MAX({alias}.weight) FROM {table} {alias} WHERE {alias}.doc_id = d.doc_id AND {wanted}), 0)");
        let alias = format!("w{at}");
        let wanted = term.condition(&alias, &mut values);
        let _ = write!(condition, " AND EXISTS (SELECT 1 FROM {table} {alias} WHERE {alias}.doc_id = d.doc_id AND {wanted})");
    }
    for (at, group) in unwanted.iter().enumerate() {
        let mut all = Vec::new();
        for (place, term) in group.iter().enumerate() {
            let alias = format!("u{at}_{place}");
            let unwanted = term.condition(&alias, &mut values);
            all.push(format!("EXISTS (SELECT 1 FROM {table} {alias} WHERE {alias}.doc_id = d.doc_id AND {unwanted})"));
        }
        let _ = write!(condition, " AND NOT ({})", all.join(" AND "));
    }
    let sql =
        format!("SELECT d.doc_id, {score} FROM {table} d WHERE {condition} GROUP BY d.doc_id ORDER BY d.doc_id DESC LIMIT {MATCHES_MAX}");
    score_values.append(&mut values);
    (sql, score_values)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        words_of(text).into_keys().collect()
    }

    #[test]
    fn src1_words_are_folded_and_scripts_without_spaces_are_cut_into_pairs() {
        assert_eq!(words("The QUICK brown-fox's 1st"), ["1st", "brown", "fox", "quick", "s", "the"]);
        assert_eq!(words("Ünïcödé ＡＢＣ ﬁne Ångström Σίσυφος İstanbul"), ["abc", "angstrom", "fine", "istanbul", "unicode", "σισυφοσ"]);
        assert_eq!(words("Straße STRASSE"), ["strasse"]);
        assert_eq!(words("東京都 iPhone版"), ["iphone", "京都", "東京", "版", "都"]);
        assert_eq!(words("がか 한국어"), ["か", "がか", "국어", "어", "한국"]);
        assert_eq!(words("हिन्दी ไทย"), words("हिन्दी ไทย"));
        assert_eq!(words("… — \u{0} !?"), Vec::<String>::new());
        assert_eq!(words(&"x".repeat(100)), ["x".repeat(WORD_MAX)]);
    }

    #[test]
    fn src2_words_are_anded_the_last_is_a_prefix_and_a_minus_excludes() {
        for (query, text, finds) in [
            ("cheese cake", "a cake of cheese", true),
            ("cheese cake", "a cake", false),
            ("chee", "cheese", true),
            ("chee cake", "cheese cake", false),
            ("cake -cheese", "cheese cake", false),
            ("cake -cheese", "cake of chees", true),
            ("-cheese cak", "cakes", true),
            ("-cheese", "cake", false),
            ("-", "cake", false),
            ("--cake", "cake", false),
            ("a", "abc", false),
            ("a", "a b", true),
            ("Café", "CAFE", true),
            ("brown-fox", "fox brown", true),
            ("東", "東京都", true),
            ("都", "東京都", true),
            ("京都", "東京都", true),
            ("都東", "東京都", false),
            ("-東京都 寺", "京都の寺", true),
            ("tag:x' OR 1=1 --", "x", false),
            ("%", "100%", false),
            ("", "", false),
        ] {
            assert_eq!(Query::parse(query).finds(text), finds, "{query:?} in {text:?}");
        }
    }

    #[test]
    fn src2_a_query_has_a_bounded_number_of_terms() {
        let query = Query::parse(&(0..1_000).map(|n| format!("word{n} -not{n} 漢字漢字 ")).collect::<String>());
        assert!(query.wanted.len() <= TERMS_MAX && query.unwanted.len() <= TERMS_MAX, "{query:?}");
        assert!(Query::parse(&"日本語".repeat(100_000)).wanted.len() <= TERMS_MAX);
    }

    #[test]
    fn an_index_of_one_text_is_bounded() {
        let text: String = (0..WORDS_MAX + 5).map(|n| format!("w{n} ")).collect();
        assert_eq!(words(&text).len(), WORDS_MAX);
        let endless = "word ".repeat(200_000);
        assert_eq!(words_of(&endless).get("word"), Some(&200_000));
    }

    #[test]
    fn a_word_weighs_more_in_a_short_text_and_when_it_is_repeated() {
        assert!(weight(1, 10) > weight(1, 1_000));
        assert!(weight(3, 1_000) > weight(1, 1_000));
        assert_eq!(weight(1, u64::from(u32::MAX)), 1);
    }

    #[test]
    fn pieces_are_of_few_lengths_and_whole() {
        let all: Vec<u32> = (0..345).collect();
        let pieces: Vec<&[u32]> = chunks(&all).collect();
        assert_eq!(pieces.concat(), all);
        assert!(pieces.len() < 15 && chunks::<u32>(&[]).next().is_none());
    }
}
