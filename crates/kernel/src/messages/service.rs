//! The verbs of the mailbox: list and read.

use crate::ctx::Ctx;
use crate::error::{CURSOR_INVALID, NOT_FOUND, Result};
use crate::id::Id;
use crate::messages::http::READ_MESSAGES;
use crate::messages::{Mailer, Message, StoredMessage, store};
use crate::page::{CursorScope, CursorValue, Page, PageRequest, decode_cursor, encode_cursor};
use crate::time::Timestamp;

/// Messages, newest first; to one recipient only unless `recipient` is empty.
pub(crate) async fn list(ctx: &Ctx, request: PageRequest, recipient: String) -> Result<Page<StoredMessage>> {
    ctx.actor.require(&READ_MESSAGES)?;
    let principal = ctx.actor.label();
    let scope = CursorScope { operation: "listMessages", filter: &recipient, sort: "-created_at", locale: "", principal: &principal };
    let after = request.cursor.as_deref().map(|cursor| position(ctx, &scope, cursor)).transpose()?;
    let (app, to, limit) = (ctx.app.clone(), (!recipient.is_empty()).then(|| recipient.clone()), request.limit);
    let mut found = ctx.read(move |c| store::newest(c, &app, after, to.as_deref(), limit + 1)).await?;
    found.iter_mut().for_each(|message| withhold(ctx, message));
    Ok(Page::of_rows(found, limit, |last| {
        let values = [CursorValue::Int(last.created_at.as_millis()), CursorValue::Bytes(last.id.uuid().as_bytes().to_vec())];
        encode_cursor(ctx.app.keyring(), &scope, &values)
    }))
}

fn position(ctx: &Ctx, scope: &CursorScope<'_>, cursor: &str) -> Result<(Timestamp, Id<Message>)> {
    match decode_cursor(ctx.app.keyring(), scope, cursor)?.as_slice() {
        [CursorValue::Int(at), CursorValue::Bytes(id)] => {
            let id = uuid::Uuid::from_slice(id).map_err(|_| CURSOR_INVALID.error())?;
            Ok((Timestamp::from_millis(*at), Id::from_uuid(id)))
        }
        _ => Err(CURSOR_INVALID.error()),
    }
}

/// One message.
pub(crate) async fn get(ctx: &Ctx, id: Id<Message>) -> Result<StoredMessage> {
    ctx.actor.require(&READ_MESSAGES)?;
    let app = ctx.app.clone();
    let mut message = ctx.read(move |c| store::find(c, &app, id)).await?.ok_or_else(|| NOT_FOUND.error())?;
    withhold(ctx, &mut message);
    Ok(message)
}

/// Only the development mailbox shows what messages say: their links would let an administrator become somebody else (PWD-11).
fn withhold(ctx: &Ctx, message: &mut StoredMessage) {
    if !ctx.state::<Mailer>().is_mailbox() {
        message.content = None;
    }
}
