//! Sorted lists: the one key a caller may choose, where the page begins, and the SQL for both (R-21 to R-23).

use db::{Param, ToParam as _};
use uuid::Uuid;

use crate::ctx::Ctx;
use crate::error::{CURSOR_INVALID, Error, FieldError, Result, SORT_NOT_SUPPORTED};
use crate::page::{CursorScope, CursorValue, Page, PageRequest, decode_cursor, encode_cursor};

/// One way in which a list may be sorted.
///
/// The column holds no `NULL`: engines disagree about its place. Text is sorted by its code points, so what people read is
/// sorted by a folded key of its own, of at most 190 characters. For speed an index holds the column and then the id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SortKey {
    /// What the caller writes.
    pub name: &'static str,
    /// The column, with the table's alias where the statement has one.
    pub column: &'static str,
    /// What the column holds.
    pub kind: KeyKind,
}

/// What the column of a [`SortKey`] holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyKind {
    /// An integer, a time, a flag or an amount.
    Int,
    /// A text that is compared by its code points.
    Text,
    /// Bytes.
    Bytes,
    /// The id itself; there is nothing left to break a tie.
    Id,
}

/// Where a page of a sorted list begins and how its rows are ordered.
///
/// Equal keys are ordered by `id`, in the same direction. The pieces of SQL are made of the table of keys alone; what came
/// from the caller is only ever bound.
///
/// ```
/// use db::params;
/// use kernel::page::{CursorValue, KeyKind, Keyset, Page, PageRequest, SortKey};
/// # fn find(c: &mut db::Conn, keyset: &Keyset) -> Result<Vec<(i64, [u8; 16])>, db::Error> {
/// const KEYS: &[SortKey] = &[
///     SortKey { name: "created_at", column: "created_at", kind: KeyKind::Int },
///     SortKey { name: "title", column: "title_folded", kind: KeyKind::Text },
/// ];
/// // let keyset = Keyset::parse(&ctx, KEYS, "-created_at", filter.sort.as_deref(), "listPosts", &narrowed, &request)?;
/// let (condition, values) = keyset.condition();
/// let sql = format!("SELECT created_at, id FROM posts WHERE blog = ? AND {condition} ORDER BY {} LIMIT {}", keyset.order_by(), keyset.limit());
/// c.all(sql, &[params![1], values.as_slice()].concat())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Keyset {
    key: SortKey,
    id_column: &'static str,
    is_descending: bool,
    operation: String,
    filter: String,
    limit: u32,
    after: Option<(CursorValue, Uuid)>,
}

impl Keyset {
    /// The order and the place that a request asks for: `sort` is one of `keys`, with a `-` for descending, or else `default`.
    ///
    /// `filter` is all that narrows the list, written so that two different filters never read alike.
    ///
    /// # Errors
    /// `sort_not_supported` for a key that is not in the table, `cursor_invalid` for a cursor of another list.
    pub fn parse(
        ctx: &Ctx,
        keys: &'static [SortKey],
        default: &str,
        sort: Option<&str>,
        operation: &str,
        filter: &str,
        request: &PageRequest,
    ) -> Result<Keyset> {
        let sort = sort.unwrap_or(default);
        let (name, is_descending) = sort.strip_prefix('-').map_or((sort, false), |name| (name, true));
        let key = keys.iter().find(|key| key.name == name).ok_or_else(|| not_supported(keys))?;
        let mut keyset = Keyset {
            key: *key,
            id_column: "id",
            is_descending,
            operation: operation.to_owned(),
            filter: filter.to_owned(),
            limit: request.limit,
            after: None,
        };
        keyset.after = request.cursor.as_deref().map(|cursor| keyset.position(ctx, cursor)).transpose()?;
        Ok(keyset)
    }

    /// Breaks ties by this column instead of `id`, for statements over several tables.
    #[must_use]
    pub fn with_id_column(mut self, column: &'static str) -> Keyset {
        self.id_column = column;
        self
    }

    /// The condition that rows after the cursor fulfil, and the values for its `?`; true for all rows on the first page.
    ///
    /// It is written so that every engine can start in the index at the cursor.
    pub fn condition(&self) -> (String, Vec<Param<'_>>) {
        let Some((value, id)) = &self.after else {
            return ("1 = 1".to_owned(), Vec::new());
        };
        let (id_column, sign, id) = (self.id_column, if self.is_descending { '<' } else { '>' }, Param::Id(id.into_bytes()));
        if self.key.kind == KeyKind::Id {
            return (format!("{id_column} {sign} ?"), vec![id]);
        }
        let (column, value) = (self.key.column, param(value));
        (format!("({column} {sign}= ? AND ({column} {sign} ? OR {id_column} {sign} ?))"), vec![value, value, id])
    }

    /// What stands after `ORDER BY`.
    pub fn order_by(&self) -> String {
        let direction = if self.is_descending { "DESC" } else { "ASC" };
        match self.key.kind {
            KeyKind::Id => format!("{} {direction}", self.id_column),
            _ => format!("{} {direction}, {} {direction}", self.key.column, self.id_column),
        }
    }

    /// What stands after `LIMIT`: one row more than the page has, which tells that there is a next one.
    pub fn limit(&self) -> u32 {
        self.limit + 1
    }

    /// The name of the key that the list is sorted by, for whoever reads it from a row.
    pub fn key(&self) -> &'static str {
        self.key.name
    }

    /// The page of the rows that were read; `keys_of` tells a row's key, as [`Keyset::key`] names it, and its id.
    pub fn page<T>(&self, ctx: &Ctx, rows: Vec<T>, keys_of: impl Fn(&T) -> (CursorValue, Uuid)) -> Page<T> {
        Page::of_rows(rows, self.limit, |last| {
            let (value, id) = keys_of(last);
            let value = if self.key.kind == KeyKind::Id { CursorValue::Null } else { value };
            let values = [value, CursorValue::Bytes(id.as_bytes().to_vec())];
            self.in_scope(ctx, |scope| encode_cursor(ctx.app.keyring(), scope, &values))
        })
    }

    fn position(&self, ctx: &Ctx, cursor: &str) -> Result<(CursorValue, Uuid)> {
        let values = self.in_scope(ctx, |scope| decode_cursor(ctx.app.keyring(), scope, cursor))?;
        let Ok([value, CursorValue::Bytes(id)]) = <[CursorValue; 2]>::try_from(values) else {
            return Err(CURSOR_INVALID.error());
        };
        let is_of_kind = matches!(
            (self.key.kind, &value),
            (KeyKind::Int, CursorValue::Int(_))
                | (KeyKind::Text, CursorValue::Text(_))
                | (KeyKind::Bytes, CursorValue::Bytes(_))
                | (KeyKind::Id, CursorValue::Null)
        );
        let id = Uuid::from_slice(&id).ok().filter(|_| is_of_kind);
        Ok((value, id.ok_or_else(|| CURSOR_INVALID.error())?))
    }

    fn in_scope<T>(&self, ctx: &Ctx, f: impl FnOnce(&CursorScope<'_>) -> T) -> T {
        let sort = format!("{}{}", if self.is_descending { "-" } else { "" }, self.key.name);
        let principal = ctx.actor.label();
        f(&CursorScope { operation: &self.operation, filter: &self.filter, sort: &sort, locale: "", principal: &principal })
    }
}

fn param(value: &CursorValue) -> Param<'_> {
    match value {
        CursorValue::Null => Param::Null,
        CursorValue::Int(int) => int.to_param(),
        CursorValue::Text(text) => text.to_param(),
        CursorValue::Bytes(bytes) => bytes.to_param(),
    }
}

fn not_supported(keys: &[SortKey]) -> Error {
    let names: Vec<&str> = keys.iter().map(|key| key.name).collect();
    let detail = format!("Sort by {}; a minus before the name turns the order round.", names.join(", "));
    SORT_NOT_SUPPORTED
        .because(detail.clone())
        .with_field(FieldError::parameter("sort", "not_allowed", detail))
        .with_member("allowed", names)
}
