//! Lists by time, newest first: the cursor of the last row seen, bound to its list and its reader.

use kernel::error::CURSOR_INVALID;
use kernel::page::{CursorScope, CursorValue, Page, PageRequest, decode_cursor, encode_cursor};
use kernel::{Ctx, Id, Result, Timestamp};

/// A list whose order is a time and an id, both falling.
pub(crate) struct TimeList<'a> {
    ctx: &'a Ctx,
    operation: &'static str,
    filter: String,
    principal: String,
}

impl<'a> TimeList<'a> {
    /// The list of this operation, narrowed by this filter.
    pub(crate) fn new(ctx: &'a Ctx, operation: &'static str, filter: impl Into<String>) -> TimeList<'a> {
        TimeList { ctx, operation, filter: filter.into(), principal: ctx.actor.label() }
    }

    fn scope(&self) -> CursorScope<'_> {
        CursorScope { operation: self.operation, filter: &self.filter, sort: "-at", locale: "", principal: &self.principal }
    }

    /// Where the page before ended.
    pub(crate) fn after<T>(&self, request: &PageRequest) -> Result<Option<(Timestamp, Id<T>)>> {
        let Some(cursor) = &request.cursor else { return Ok(None) };
        match decode_cursor(self.ctx.app.keyring(), &self.scope(), cursor)?.as_slice() {
            [CursorValue::Int(at), CursorValue::Bytes(id)] => {
                let id = uuid::Uuid::from_slice(id).map_err(|_| CURSOR_INVALID.error())?;
                Ok(Some((Timestamp::from_millis(*at), Id::from_uuid(id))))
            }
            _ => Err(CURSOR_INVALID.error()),
        }
    }

    /// The page of rows that were read with a limit of one more.
    pub(crate) fn page<R, T>(&self, rows: Vec<R>, limit: u32, key: impl Fn(&R) -> (Timestamp, Id<T>)) -> Page<R> {
        Page::of_rows(rows, limit, |last| {
            let (at, id) = key(last);
            let values = [CursorValue::Int(at.as_millis()), CursorValue::Bytes(id.uuid().as_bytes().to_vec())];
            encode_cursor(self.ctx.app.keyring(), &self.scope(), &values)
        })
    }
}
