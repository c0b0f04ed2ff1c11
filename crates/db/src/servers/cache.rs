//! The prepared statements of one connection.

use std::collections::HashMap;

use crate::Sql;
use crate::sql::{Dialect, render};

/// More statements with static text than any program has, unless it leaks them.
const STATIC: usize = 1_024;
/// Statements that were put together at run time.
const DYNAMIC: usize = 128;

/// Which statement: static text by address, other text by content; and whether `ON CONFLICT` was added.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Key {
    Static(usize, usize, bool),
    Dynamic(String, bool),
}

impl Key {
    pub(super) fn new(sql: &Sql, dialect: Dialect, ignore: bool) -> Self {
        match sql.key(dialect) {
            Some(text) => Key::Static(text.as_ptr().addr(), text.len(), ignore),
            None => Key::Dynamic(sql.text(dialect).to_owned(), ignore),
        }
    }
}

/// The text to prepare.
pub(super) fn text(sql: &Sql, dialect: Dialect, ignore: bool) -> String {
    let rendered = render(sql.text(dialect), dialect);
    if ignore { format!("{rendered} ON CONFLICT DO NOTHING") } else { rendered.into_owned() }
}

/// A map that forgets the least recently used entry when it is full.
pub(super) struct Statements<S> {
    entries: HashMap<Key, (S, u64)>,
    clock: u64,
    dynamic: usize,
}

impl<S: Clone> Statements<S> {
    pub(super) fn new() -> Self {
        Self { entries: HashMap::new(), clock: 0, dynamic: 0 }
    }

    pub(super) fn get(&mut self, key: &Key) -> Option<S> {
        self.clock += 1;
        let (statement, used) = self.entries.get_mut(key)?;
        *used = self.clock;
        Some(statement.clone())
    }

    /// Keeps a statement, and returns the one that had to go.
    pub(super) fn put(&mut self, key: Key, statement: S) -> Option<S> {
        let is_dynamic = matches!(key, Key::Dynamic(..));
        self.clock += 1;
        if let Some((replaced, _)) = self.entries.insert(key, (statement, self.clock)) {
            return Some(replaced);
        }
        self.dynamic += usize::from(is_dynamic);
        let is_full = if is_dynamic { self.dynamic > DYNAMIC } else { self.entries.len() - self.dynamic > STATIC };
        if is_full { self.evict(is_dynamic) } else { None }
    }

    fn evict(&mut self, dynamic: bool) -> Option<S> {
        let same_kind = self.entries.iter().filter(|(key, _)| matches!(key, Key::Dynamic(..)) == dynamic);
        let oldest = same_kind.min_by_key(|(_, (_, used))| *used).map(|(key, _)| key.clone())?;
        self.dynamic -= usize::from(dynamic);
        self.entries.remove(&oldest).map(|(statement, _)| statement)
    }

    pub(super) fn clear(&mut self) {
        self.entries.clear();
        self.dynamic = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_recently_used_statement_goes() {
        let mut statements = Statements::new();
        let key = |number: usize| Key::Dynamic(number.to_string(), false);
        for number in 0..DYNAMIC {
            assert_eq!(statements.put(key(number), number), None);
        }
        assert_eq!(statements.get(&key(0)), Some(0));
        assert_eq!(statements.put(key(DYNAMIC), DYNAMIC), Some(1));
        assert_eq!(statements.get(&key(0)), Some(0));
        assert_eq!(statements.get(&key(1)), None);
    }
}
