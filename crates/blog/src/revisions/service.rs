//! The verbs of revisions: keep, list, read, compare.

use db::Conn;
use kernel::error::{CURSOR_INVALID, NOT_FOUND};
use kernel::page::{CursorScope, CursorValue, Page, PageRequest, decode_cursor, encode_cursor};
use kernel::{Ctx, Error, Id, Result, Tx, media};
use uuid::Uuid;

use crate::posts::access::Caller;
use crate::posts::service::MEDIA_SUBJECT;
use crate::posts::{Content, Post, PostDetails, store as post_store};
use crate::revisions::diff::{FieldDiff, compare};
use crate::revisions::{RevisionLine, RevisionRecord, store};
use crate::settings::BlogSettings;
use crate::{authors, tags};

/// Keeps a snapshot of a post with the files it shows, and forgets the oldest beyond `blog.revisions_keep`. The post's row is locked, so numbers have no twins.
pub(crate) fn keep(tx: &mut Tx<'_, '_>, ctx: &Ctx, post: &PostDetails, reason: &str) -> Result<()> {
    let id = post.record.id;
    let number = store::newest(tx, id)? + 1;
    let payload = serde_json::to_string(&post.content()).map_err(Error::internal)?;
    store::insert(tx, id, number, ctx.actor.maybe_user_id(), reason, &payload, ctx.now())?;
    media::keep(tx, MEDIA_SUBJECT, id.uuid())?;
    let surplus = number - i64::from(ctx.settings::<BlogSettings>().revisions_keep);
    if surplus > 0 {
        store::prune(tx, id, surplus)?;
    }
    Ok(())
}

/// The authors and tags of a snapshot that still exist.
pub(crate) fn existing(c: &mut Conn, content: &Content) -> Result<(Vec<Uuid>, Vec<Uuid>)> {
    let authors: Vec<_> = content.author_ids.iter().copied().map(Id::from_uuid).collect();
    let tags: Vec<_> = content.tag_ids.iter().copied().map(Id::from_uuid).collect();
    let known_authors = if authors.is_empty() { Vec::new() } else { authors::store::existing(c, &authors)? };
    let known_tags = if tags.is_empty() { Vec::new() } else { tags::store::existing(c, &tags)? };
    Ok((
        authors.into_iter().filter(|id| known_authors.contains(id)).map(Id::uuid).collect(),
        tags.into_iter().filter(|id| known_tags.contains(id)).map(Id::uuid).collect(),
    ))
}

fn require_editor(c: &mut Conn, ctx: &Ctx, caller: &Caller, id: Id<Post>) -> Result<()> {
    let post = post_store::find_record(c, id)?.ok_or(&NOT_FOUND)?;
    caller.require_update(c, &post, ctx.now())
}

pub(crate) async fn list(ctx: &Ctx, id: Id<Post>, request: PageRequest) -> Result<Page<RevisionLine>> {
    let (caller, principal, filter) = (Caller::of(ctx), ctx.actor.label(), id.to_string());
    let scope = CursorScope { operation: "listPostRevisions", filter: &filter, sort: "-number", locale: "", principal: &principal };
    let before = match request.cursor.as_deref() {
        None => i64::MAX,
        Some(cursor) => match decode_cursor(ctx.app.keyring(), &scope, cursor)?.as_slice() {
            [CursorValue::Int(number)] => *number,
            _ => return Err(CURSOR_INVALID.error()),
        },
    };
    let (context, limit) = (ctx.clone(), request.limit);
    let rows = ctx.read(move |c| {
        require_editor(c, &context, &caller, id)?;
        Ok(store::list(c, id, before, limit + 1)?)
    });
    let rows = rows.await?;
    Ok(Page::of_rows(rows, limit, |last| encode_cursor(ctx.app.keyring(), &scope, &[CursorValue::Int(last.number)])))
}

pub(crate) async fn find(ctx: &Ctx, id: Id<Post>, number: i64) -> Result<RevisionRecord> {
    let (caller, context) = (Caller::of(ctx), ctx.clone());
    ctx.read(move |c| {
        require_editor(c, &context, &caller, id)?;
        store::find(c, id, number)?.ok_or_else(|| NOT_FOUND.error())
    })
    .await
}

/// What changed from revision `against` (the one before, unless said) to this one, member by member (BLG-9).
pub(crate) async fn difference(ctx: &Ctx, id: Id<Post>, number: i64, against: Option<i64>) -> Result<(i64, Vec<FieldDiff>)> {
    let (caller, context) = (Caller::of(ctx), ctx.clone());
    let older = against.unwrap_or(number - 1);
    let both = ctx.read(move |c| {
        require_editor(c, &context, &caller, id)?;
        let newer = store::find(c, id, number)?.ok_or(&NOT_FOUND)?;
        let older = store::find(c, id, older)?.ok_or(&NOT_FOUND)?;
        Ok((older, newer))
    });
    let (old, new) = both.await?;
    Ok((older, compare(&old.payload, &new.payload)))
}
