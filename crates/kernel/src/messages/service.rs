//! The verbs of the mailbox: list and read.

use crate::ctx::Ctx;
use crate::error::{NOT_FOUND, Result};
use crate::id::Id;
use crate::messages::http::READ_MESSAGES;
use crate::messages::{Mailer, Message, StoredMessage, store};
use crate::page::{CursorValue, KeyKind, Keyset, Page, PageRequest, SortKey};

const SORT_KEYS: &[SortKey] = &[SortKey { name: "created_at", column: "created_at", kind: KeyKind::Int }];

/// Messages, newest first; to one recipient only unless `recipient` is empty.
pub(crate) async fn list(ctx: &Ctx, request: PageRequest, recipient: String) -> Result<Page<StoredMessage>> {
    ctx.actor.require(&READ_MESSAGES)?;
    let keyset = Keyset::parse(ctx, SORT_KEYS, "-created_at", None, "listMessages", &recipient, &request)?;
    let (app, to, place) = (ctx.app.clone(), (!recipient.is_empty()).then_some(recipient), keyset.clone());
    let mut found = ctx.read(move |c| store::page(c, &app, to.as_deref(), &place)).await?;
    found.iter_mut().for_each(|message| withhold(ctx, message));
    Ok(keyset.page(ctx, found, |message| (CursorValue::Int(message.created_at.as_millis()), message.id.uuid())))
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
