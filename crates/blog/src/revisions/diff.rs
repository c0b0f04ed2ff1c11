//! What changed between two revisions, word by word (BLG-9). Applied to the older text, the hunks yield the newer one.

use serde::Serialize;
use utoipa::ToSchema;

use crate::posts::Content;

/// Beyond so many edits a text counts as replaced: nobody reads such a comparison, and its cost grows with their square.
const MAX_EDITS: usize = 800;

/// What happens to a piece of text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum HunkKind {
    /// It stays.
    Keep,
    /// It is in the older text only.
    Delete,
    /// It is in the newer text only.
    Insert,
}

/// A piece of text and what happens to it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = RevisionHunk)]
pub(crate) struct Hunk {
    /// `keep`, `delete` or `insert`.
    pub(crate) kind: HunkKind,
    /// The text.
    pub(crate) text: String,
}

/// How one member differs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = RevisionFieldDiff)]
pub(crate) struct FieldDiff {
    /// The member's name.
    pub(crate) field: &'static str,
    /// Its pieces in order.
    pub(crate) hunks: Vec<Hunk>,
}

/// How two revisions differ; members that are the same are left out.
pub(crate) fn compare(old: &Content, new: &Content) -> Vec<FieldDiff> {
    let fields: [(&'static str, String, String); 9] = [
        ("title", old.title.clone(), new.title.clone()),
        ("excerpt", old.excerpt.clone().unwrap_or_default(), new.excerpt.clone().unwrap_or_default()),
        ("body", old.source.clone(), new.source.clone()),
        ("format", old.format.as_str().to_owned(), new.format.as_str().to_owned()),
        ("visibility", old.visibility.as_str().to_owned(), new.visibility.as_str().to_owned()),
        ("seo", json(&old.seo), json(&new.seo)),
        ("featured_media_id", json(&old.featured_media_id), json(&new.featured_media_id)),
        ("author_ids", json(&old.author_ids), json(&new.author_ids)),
        ("tag_ids", json(&old.tag_ids), json(&new.tag_ids)),
    ];
    let differs = |(_, old, new): &(&str, String, String)| old != new;
    fields.into_iter().filter(differs).map(|(field, old, new)| FieldDiff { field, hunks: hunks(&old, &new) }).collect()
}

fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).unwrap_or_default()
}

/// The pieces that lead from `old` to `new`.
pub(crate) fn hunks(old: &str, new: &str) -> Vec<Hunk> {
    let (old, new) = (words(old), words(new));
    let front = old.iter().zip(&new).take_while(|(a, b)| a == b).count();
    let back = old[front..].iter().rev().zip(new[front..].iter().rev()).take_while(|(a, b)| a == b).count();
    let (old_middle, new_middle) = (&old[front..old.len() - back], &new[front..new.len() - back]);
    let mut all = Hunks::default();
    all.add(HunkKind::Keep, &old[..front]);
    match edits(old_middle, new_middle) {
        Some(steps) => steps.into_iter().for_each(|(kind, word)| all.add(kind, &[word])),
        None => {
            all.add(HunkKind::Delete, old_middle);
            all.add(HunkKind::Insert, new_middle);
        }
    }
    all.add(HunkKind::Keep, &old[old.len() - back..]);
    all.0
}

/// Words, and what stands between them, in order and complete.
fn words(text: &str) -> Vec<&str> {
    let mut all = Vec::new();
    let mut start = 0;
    let mut was_word = None;
    for (at, c) in text.char_indices() {
        let is_word = c.is_alphanumeric();
        if was_word.is_some_and(|was| was != is_word || !is_word) {
            all.push(&text[start..at]);
            start = at;
        }
        was_word = Some(is_word);
    }
    if start < text.len() {
        all.push(&text[start..]);
    }
    all
}

#[derive(Default)]
struct Hunks(Vec<Hunk>);

impl Hunks {
    fn add(&mut self, kind: HunkKind, words: &[&str]) {
        if words.is_empty() {
            return;
        }
        match self.0.last_mut() {
            Some(last) if last.kind == kind => words.iter().for_each(|word| last.text.push_str(word)),
            _ => self.0.push(Hunk { kind, text: words.concat() }),
        }
    }
}

/// The shortest edits (Myers, 1986); none when they are too many.
fn edits<'t>(old: &[&'t str], new: &[&'t str]) -> Option<Vec<(HunkKind, &'t str)>> {
    let most = (old.len() + new.len()).min(MAX_EDITS);
    let offset = most as isize + 1;
    let mut furthest = vec![0usize; 2 * most + 3];
    let mut trace = Vec::new();
    for depth in 0..=most as isize {
        trace.push(furthest[(offset - depth) as usize..=(offset + depth) as usize].to_vec());
        for diagonal in (-depth..=depth).step_by(2) {
            let at = (offset + diagonal) as usize;
            let is_down = diagonal == -depth || (diagonal != depth && furthest[at - 1] < furthest[at + 1]);
            let mut x = if is_down { furthest[at + 1] } else { furthest[at - 1] + 1 };
            let mut y = (x as isize - diagonal) as usize;
            while x < old.len() && y < new.len() && old[x] == new[y] {
                (x, y) = (x + 1, y + 1);
            }
            furthest[at] = x;
            if x >= old.len() && y >= new.len() {
                return Some(walk_back(old, new, &trace));
            }
        }
    }
    None
}

fn walk_back<'t>(old: &[&'t str], new: &[&'t str], trace: &[Vec<usize>]) -> Vec<(HunkKind, &'t str)> {
    let (mut x, mut y) = (old.len(), new.len());
    let mut steps = Vec::new();
    for (depth, furthest) in trace.iter().enumerate().rev() {
        let depth = depth as isize;
        let diagonal = x as isize - y as isize;
        let at = |diagonal: isize| furthest.get((diagonal + depth) as usize).copied().unwrap_or(0);
        let is_down = diagonal == -depth || (diagonal != depth && at(diagonal - 1) < at(diagonal + 1));
        let before = if is_down { diagonal + 1 } else { diagonal - 1 };
        let (old_x, old_y) = if depth == 0 { (0, 0) } else { (at(before), (at(before) as isize - before) as usize) };
        while x > old_x && y > old_y {
            (x, y) = (x - 1, y - 1);
            steps.push((HunkKind::Keep, old[x]));
        }
        if depth > 0 {
            if is_down {
                y -= 1;
                steps.push((HunkKind::Insert, new[y]));
            } else {
                x -= 1;
                steps.push((HunkKind::Delete, old[x]));
            }
        }
    }
    steps.reverse();
    steps
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn side(hunks: &[Hunk], gone: HunkKind) -> String {
        hunks.iter().filter(|hunk| hunk.kind != gone).map(|hunk| hunk.text.as_str()).collect()
    }

    #[test]
    fn blg9_single_words_are_told() {
        let found = hunks("a walk that cannot be", "a walk that can be");
        let (keep, delete, insert) = (HunkKind::Keep, HunkKind::Delete, HunkKind::Insert);
        let expected = [(keep, "a walk that "), (delete, "cannot"), (insert, "can"), (keep, " be")];
        assert_eq!(found.iter().map(|hunk| (hunk.kind, hunk.text.as_str())).collect::<Vec<_>>(), expected);
    }

    #[test]
    fn a_text_that_has_nothing_in_common_is_replaced() {
        let (old, new) = ("old ".repeat(5_000), "new ".repeat(5_000));
        let found = hunks(&old, &new);
        assert_eq!((side(&found, HunkKind::Insert), side(&found, HunkKind::Delete)), (old, new));
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn blg9_hunks_applied_to_the_older_text_yield_the_newer_one(old in "[ab ü.]{0,60}", new in "[ab ü.]{0,60}") {
            let found = hunks(&old, &new);
            prop_assert_eq!(side(&found, HunkKind::Insert), old);
            prop_assert_eq!(side(&found, HunkKind::Delete), new);
        }
    }
}
