//! Rows and how they become types: by position, with names and count checked in debug builds.

use crate::value::{FromValue, Value, ValueError, ValueRef};
use crate::{Error, servers, sqlite};

/// One row of a result, valid until the next.
pub struct Row<'a>(pub(crate) Cells<'a>);

/// The row as its driver holds it.
pub(crate) enum Cells<'a> {
    Sqlite(&'a rusqlite::Row<'a>),
    Postgres(&'a postgres::Row),
    Mysql(&'a mysql::Row),
}

impl Row<'_> {
    /// Reads the value at a position, counted from zero.
    pub fn get<T: FromValue>(&self, index: usize) -> Result<T, Error> {
        let value = match self.0 {
            Cells::Sqlite(row) => sqlite::cell(row, index),
            Cells::Postgres(row) => servers::postgres::cell(row, index),
            Cells::Mysql(row) => servers::mysql::cell(row, index),
        };
        value.and_then(T::from_value).map_err(|source| Error::Value { column: self.column(index), source })
    }

    /// The number of values in the row.
    #[expect(clippy::len_without_is_empty, reason = "a row without columns does not exist")]
    pub fn len(&self) -> usize {
        match self.0 {
            Cells::Sqlite(row) => row.as_ref().column_count(),
            Cells::Postgres(row) => row.len(),
            Cells::Mysql(row) => row.len(),
        }
    }

    fn column(&self, index: usize) -> String {
        let name = match self.0 {
            Cells::Sqlite(row) => row.as_ref().column_name(index).ok().map(str::to_owned),
            Cells::Postgres(row) => row.columns().get(index).map(|column| column.name().to_owned()),
            Cells::Mysql(row) => row.columns_ref().get(index).map(|column| column.name_str().into_owned()),
        };
        name.unwrap_or_else(|| format!("number {index}"))
    }
}

/// A type that a whole row can be read as; usually made by [`row!`](macro@crate::row).
pub trait FromRow: Sized {
    /// The columns that the statement must have, in order; empty when unchecked.
    const COLUMNS: &'static [&'static str];
    /// Reads the row by position.
    fn from_row(row: &Row<'_>) -> Result<Self, Error>;
}

/// Declares a struct that rows are read into, field by column.
///
/// Debug builds check that the statement's columns have the fields' names and order, so that a mismatch fails a test.
///
/// ```
/// db::row! {
///     /// What a list of users shows.
///     #[derive(Debug)]
///     pub struct UserRow {
///         /// The user.
///         pub id: [u8; 16],
///         /// The name, as the user writes it.
///         pub name: String,
///     }
/// }
/// ```
#[macro_export]
macro_rules! row {
    ($(#[$meta:meta])* $vis:vis struct $name:ident { $($(#[$field_meta:meta])* $field_vis:vis $field:ident : $type:ty),+ $(,)? }) => {
        $(#[$meta])*
        $vis struct $name {
            $($(#[$field_meta])* $field_vis $field: $type),+
        }

        impl $crate::FromRow for $name {
            const COLUMNS: &'static [&'static str] = &[$(stringify!($field)),+];

            fn from_row(row: &$crate::Row<'_>) -> Result<Self, $crate::Error> {
                let mut index = 0..;
                let mut next = || index.next().unwrap_or_default();
                Ok(Self { $($field: row.get::<$type>(next())?),+ })
            }
        }
    };
}

macro_rules! scalars {
    ($($type:ty),*) => {$(
        impl FromRow for $type {
            const COLUMNS: &'static [&'static str] = &[];
            fn from_row(row: &Row<'_>) -> Result<Self, Error> {
                row.get(0)
            }
        }
    )*};
}
scalars!(i64, i32, i16, u32, u16, u8, bool, String, Vec<u8>, Value);

impl<const N: usize> FromRow for [u8; N] {
    const COLUMNS: &'static [&'static str] = &[];
    fn from_row(row: &Row<'_>) -> Result<Self, Error> {
        row.get(0)
    }
}

impl<T: FromValue> FromRow for Option<T> {
    const COLUMNS: &'static [&'static str] = &[];
    fn from_row(row: &Row<'_>) -> Result<Self, Error> {
        row.get(0)
    }
}

macro_rules! tuples {
    ($($($name:ident $index:tt),+;)*) => {$(
        impl<$($name: FromValue),+> FromRow for ($($name,)+) {
            const COLUMNS: &'static [&'static str] = &[];
            fn from_row(row: &Row<'_>) -> Result<Self, Error> {
                Ok(($(row.get::<$name>($index)?,)+))
            }
        }
    )*};
}
tuples! {
    A 0;
    A 0, B 1;
    A 0, B 1, C 2;
    A 0, B 1, C 2, D 3;
    A 0, B 1, C 2, D 3, F 4;
    A 0, B 1, C 2, D 3, F 4, G 5;
    A 0, B 1, C 2, D 3, F 4, G 5, H 6;
    A 0, B 1, C 2, D 3, F 4, G 5, H 6, I 7;
    A 0, B 1, C 2, D 3, F 4, G 5, H 6, I 7, J 8;
    A 0, B 1, C 2, D 3, F 4, G 5, H 6, I 7, J 8, K 9;
    A 0, B 1, C 2, D 3, F 4, G 5, H 6, I 7, J 8, K 9, L 10;
    A 0, B 1, C 2, D 3, F 4, G 5, H 6, I 7, J 8, K 9, L 10, M 11;
}

/// Every value of a row, whatever its columns.
pub(crate) struct Values(pub(crate) Vec<Value>);

impl FromRow for Values {
    const COLUMNS: &'static [&'static str] = &[];
    fn from_row(row: &Row<'_>) -> Result<Self, Error> {
        (0..row.len()).map(|index| row.get(index)).collect::<Result<_, _>>().map(Values)
    }
}

/// Compares the columns that a row type expects with those of a statement.
pub(crate) fn check_columns<'a>(expected: &[&str], found: impl Iterator<Item = &'a str>) -> Result<(), Error> {
    if expected.is_empty() {
        return Ok(());
    }
    let found: Vec<&str> = found.collect();
    let same =
        expected.len() == found.len() && expected.iter().zip(&found).all(|(expected, found)| expected.trim_start_matches("r#") == *found);
    if same {
        return Ok(());
    }
    Err(Error::Other(format!("the row type expects the columns {expected:?}, the statement has {found:?}")))
}

/// A value whose type no engine-neutral reader knows.
pub(crate) fn foreign<'a>(kind: &str) -> Result<ValueRef<'a>, ValueError> {
    Err(ValueError::because(format!("the column has the type {kind}, which is none of integer, text and bytes")))
}
