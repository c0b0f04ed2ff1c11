//! The verbs of drafts: read, save, discard.

use kernel::error::NOT_FOUND;
use kernel::http::{IfMatch, version_conflict};
use kernel::{Ctx, Error, Id, Result, Tx, media};

use crate::drafts::{DraftRecord, Payload, store};
use crate::posts::access::Caller;
use crate::posts::service::{PostPatch, check_references, load_for_change};
use crate::posts::{Post, RenderedBody, store as post_store};
use crate::problems::DRAFT_OUTDATED;
use crate::rendering;

pub(crate) async fn find(ctx: &Ctx, id: Id<Post>) -> Result<DraftRecord> {
    let (caller, now) = (Caller::of(ctx), ctx.now());
    let found = ctx.read(move |c| {
        let post = post_store::find_record(c, id)?.ok_or(&NOT_FOUND)?;
        caller.require_update(c, &post, now)?;
        store::find(c, id)?.ok_or_else(|| NOT_FOUND.error())
    });
    let mut draft = found.await?;
    if draft.payload.body.version != rendering::VERSION {
        let content = &draft.payload.content;
        draft.payload.body = RenderedBody::from(rendering::post(ctx, content.format, &content.source).await?);
    }
    Ok(draft)
}

/// Where a draft begins.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Base {
    /// The version of the post that it was begun from.
    pub(crate) version: i64,
    /// Whether it goes on from there although the post has changed.
    pub(crate) is_rebased: bool,
}

/// Saves a draft over the one before; the post itself stays as it is, to the byte.
pub(crate) async fn save(ctx: &Ctx, id: Id<Post>, base: Base, patch: PostPatch, if_match: IfMatch) -> Result<DraftRecord> {
    let body = match &patch.body {
        Some(body) => Some(RenderedBody::from(rendering::post(ctx, body.format, &body.source).await?)),
        None => None,
    };
    let (caller, context) = (Caller::of(ctx), ctx.clone());
    ctx.write(move |tx| {
        let post = load_for_change(tx, id)?;
        caller.require_update(tx, &post.record, context.now())?;
        let current = post.record.version;
        // A version from the future is no base either.
        if base.version > current || (base.version < current && !base.is_rebased) {
            return Err(DRAFT_OUTDATED.error().with_member("current_version", current));
        }
        let before = store::find(tx, id)?;
        if_match.expected(before.as_ref().map_or(0, |draft| draft.version))?;
        let old_media = post.content().featured_media_id;
        let content = patch.apply(post.content());
        check_references(tx, &context, &content, old_media)?;
        let body = body.clone().unwrap_or_default();
        put(tx, &context, id, current, &Payload { content, body })?;
        store::find(tx, id)?.ok_or_else(|| NOT_FOUND.error())
    })
    .await
}

/// Stores a draft, whatever there was.
pub(crate) fn put(tx: &mut Tx<'_, '_>, ctx: &Ctx, id: Id<Post>, base_version: i64, payload: &Payload) -> Result<()> {
    let (text, user, now) = (serde_json::to_string(payload).map_err(Error::internal)?, ctx.actor.maybe_user_id(), ctx.now());
    media::use_only(tx, ctx, &payload.content.files(&payload.body.html), MEDIA_SUBJECT, id.uuid())?;
    if store::insert(tx, id, base_version, &text, user, now)? {
        return Ok(());
    }
    let version = store::find(tx, id)?.map_or(0, |draft| draft.version);
    if store::update(tx, id, version, base_version, &text, user, now)? { Ok(()) } else { Err(version_conflict(version)) }
}

/// How the library of files calls a draft that uses one.
const MEDIA_SUBJECT: &str = "blog.draft";

/// Removes a draft, if there is one, within the caller's transaction.
pub(crate) fn drop(tx: &mut Tx<'_, '_>, id: Id<Post>) -> Result<()> {
    if store::delete(tx, id)? {
        media::unlink_all(tx, MEDIA_SUBJECT, id.uuid())?;
    }
    Ok(())
}

/// Forgets a draft.
pub(crate) async fn discard(ctx: &Ctx, id: Id<Post>, if_match: IfMatch) -> Result<()> {
    let (caller, context) = (Caller::of(ctx), ctx.clone());
    ctx.write(move |tx| {
        let post = load_for_change(tx, id)?;
        caller.require_update(tx, &post.record, context.now())?;
        let draft = store::find(tx, id)?.ok_or(&NOT_FOUND)?;
        if_match.expected(draft.version)?;
        drop(tx, id)
    })
    .await
}
