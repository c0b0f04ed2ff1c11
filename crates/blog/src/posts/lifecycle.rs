//! The verbs of a post's way to the public and back: publish, unpublish, trash, take out, purge, restore.

use std::time::Duration;

use kernel::error::{INVALID_STATE, NOT_FOUND};
use kernel::http::{IfMatch, version_conflict};
use kernel::{AuditEntry, Ctx, Error, FieldError, Id, Result, Timestamp, Tx, media};

use crate::comments;
use crate::drafts;
use crate::events::{PostPublished, PostPurged, PostRestored, PostScheduled, PostTrashed, PostUnpublished};
use crate::permissions::{PURGE_POSTS, TRASH_POSTS};
use crate::posts::access::Caller;
use crate::posts::service::{MEDIA_SUBJECT, load, load_for_change, record, save};
use crate::posts::store::Publication;
use crate::posts::{Post, PostDetails, RenderedBody, Status, store};
use crate::problems::{ALREADY_PUBLISHED, DRAFT_OUTDATED};
use crate::settings::BlogSettings;
use crate::{rendering, revisions, search, slugs, transitions};

/// Comments that one purging transaction takes.
const BATCH: u64 = 500;

/// When a post is to be public.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Times {
    pub(crate) publish_at: Option<Timestamp>,
    pub(crate) unpublish_at: Option<Timestamp>,
}

/// Publishes a post now or at a time, with its draft if it has one: all of it in one transaction (BLG-2, BLG-4).
pub(crate) async fn publish(ctx: &Ctx, id: Id<Post>, times: Times, if_match: IfMatch) -> Result<PostDetails> {
    let (caller, context) = (Caller::of(ctx), ctx.clone());
    ctx.write(move |tx| {
        let before = load_for_change(tx, id)?;
        let now = context.now();
        caller.require_publish(tx, &before.record, now)?;
        if_match.expected(before.record.version)?;
        let draft = drafts::store::find(tx, id)?;
        let publication = plan(&before, times, draft.is_some(), now)?;
        let mut changed = vec!["status", "published_at", "unpublish_at"];
        let post = match draft {
            Some(draft) if draft.base_version != before.record.version => {
                return Err(DRAFT_OUTDATED.error().with_member("current_version", before.record.version));
            }
            Some(draft) => {
                changed.extend(draft.payload.content.changed_from(&before.content()));
                let post = save(tx, &context, before, &draft.payload.content, &draft.payload.body, None, "draft")?;
                drafts::service::drop(tx, id)?;
                post
            }
            None => before,
        };
        let post = set(tx, &context, post, &publication)?;
        revisions::service::keep(tx, &context, &post, "publish")?;
        transitions::service::plan(tx, &context, &post.record)?;
        tx.audit(AuditEntry::ok("blog.post.publish", &format!("post:{id}")))?;
        if publication.published_at.is_some_and(|at| at > now) {
            record::<PostScheduled>(tx, &context, &post, &changed)?;
        } else {
            record::<PostPublished>(tx, &context, &post, &changed)?;
        }
        Ok(post)
    })
    .await
}

/// The times that a post gets, if they can be.
fn plan(post: &PostDetails, times: Times, has_draft: bool, now: Timestamp) -> Result<Publication> {
    let is_live = post.record.is_visible(now);
    if is_live && !has_draft && times.publish_at.is_none() && times.unpublish_at.is_none() {
        return Err(ALREADY_PUBLISHED.error());
    }
    let published_at = match times.publish_at {
        // It would vanish until then.
        Some(at) if is_live && at > now => return Err(invalid_state(post, now, &["unpublish"])),
        Some(at) => at,
        None if is_live => post.record.published_at.unwrap_or(now),
        None => now,
    };
    let unpublish_at = times.unpublish_at.or(post.record.unpublish_at.filter(|_| is_live));
    if unpublish_at.is_some_and(|at| at <= now || at <= published_at) {
        let detail = "After now, and after publish_at.";
        return Err(Error::invalid(vec![FieldError::body("/unpublish_at", "out_of_range", detail)]));
    }
    Ok(Publication { status: Status::Published, published_at: Some(published_at), unpublish_at })
}

fn invalid_state(post: &PostDetails, now: Timestamp, allowed: &[&str]) -> Error {
    INVALID_STATE.error().with_member("current_state", post.record.reported_status(now)).with_member("allowed", allowed.to_vec())
}

/// Changes a post's way to the public; a draft that was up to date stays so.
pub(crate) fn set(tx: &mut Tx<'_, '_>, ctx: &Ctx, post: PostDetails, publication: &Publication) -> Result<PostDetails> {
    let (id, version) = (post.record.id, post.record.version);
    if !store::set_publication(tx, id, version, publication, ctx.now())? {
        return Err(version_conflict(store::find_record(tx, id)?.ok_or(&NOT_FOUND)?.version));
    }
    drafts::store::rebase(tx, id, version, version + 1)?;
    let post = load(tx, id)?.ok_or(&NOT_FOUND)?;
    search::service::index(tx, &post)?;
    Ok(post)
}

/// Takes a post back from the public, or from its schedule.
pub(crate) async fn unpublish(ctx: &Ctx, id: Id<Post>, if_match: IfMatch) -> Result<PostDetails> {
    let (caller, context) = (Caller::of(ctx), ctx.clone());
    ctx.write(move |tx| {
        let before = load_for_change(tx, id)?;
        let now = context.now();
        caller.require_publish(tx, &before.record, now)?;
        if_match.expected(before.record.version)?;
        if before.record.status != Status::Published {
            return Err(invalid_state(&before, now, &["publish"]));
        }
        let publication = Publication {
            status: Status::Unpublished,
            published_at: before.record.published_at.filter(|at| *at <= now),
            unpublish_at: None,
        };
        let post = set(tx, &context, before, &publication)?;
        transitions::service::plan(tx, &context, &post.record)?;
        tx.audit(AuditEntry::ok("blog.post.unpublish", &format!("post:{id}")))?;
        record::<PostUnpublished>(tx, &context, &post, &["status", "unpublish_at"])?;
        Ok(post)
    })
    .await
}

/// Moves a post to the trash (BLG-16).
pub(crate) async fn trash(ctx: &Ctx, id: Id<Post>, if_match: IfMatch) -> Result<()> {
    let (caller, context) = (Caller::of(ctx), ctx.clone());
    ctx.write(move |tx| {
        let before = load_for_change(tx, id)?;
        let now = context.now();
        caller.require_trash(tx, &before.record, now)?;
        if_match.expected(before.record.version)?;
        let post = set_deleted(tx, &context, before, Some(now))?;
        tx.audit(AuditEntry::ok("blog.post.trash", &format!("post:{id}")))?;
        record::<PostTrashed>(tx, &context, &post, &["status"])
    })
    .await
}

fn set_deleted(tx: &mut Tx<'_, '_>, ctx: &Ctx, post: PostDetails, deleted_at: Option<Timestamp>) -> Result<PostDetails> {
    let (id, version) = (post.record.id, post.record.version);
    if !store::set_deleted(tx, id, version, deleted_at, ctx.now())? {
        return Err(version_conflict(store::find_record(tx, id)?.ok_or(&NOT_FOUND)?.version));
    }
    drafts::store::rebase(tx, id, version, version + 1)?;
    let post = load(tx, id)?.ok_or(&NOT_FOUND)?;
    search::service::index(tx, &post)?;
    Ok(post)
}

/// Takes a post out of the trash; it is what it was before.
pub(crate) async fn untrash(ctx: &Ctx, id: Id<Post>, if_match: IfMatch) -> Result<PostDetails> {
    ctx.actor.require(&TRASH_POSTS)?;
    let context = ctx.clone();
    ctx.write(move |tx| {
        let before = load_for_change(tx, id)?;
        if_match.expected(before.record.version)?;
        if before.record.deleted_at == Some(store::PURGING) {
            return Err(NOT_FOUND.error());
        }
        if before.record.deleted_at.is_none() {
            return Err(invalid_state(&before, context.now(), &["delete"]));
        }
        let post = set_deleted(tx, &context, before, None)?;
        tx.audit(AuditEntry::ok("blog.post.untrash", &format!("post:{id}")))?;
        record::<PostRestored>(tx, &context, &post, &["status"])?;
        Ok(post)
    })
    .await
}

/// Deletes a post for good; its slugs stay behind and answer 410.
pub(crate) async fn purge(ctx: &Ctx, id: Id<Post>, if_match: IfMatch) -> Result<()> {
    ctx.actor.require(&PURGE_POSTS)?;
    let context = ctx.clone();
    // Out of sight first, so that nobody comments while its comments are deleted batch by batch.
    let is_fresh = ctx.write(move |tx| {
        let before = load_for_change(tx, id)?;
        if_match.expected(before.record.version)?;
        if before.record.deleted_at.is_none() {
            let post = set_deleted(tx, &context, before, Some(context.now()))?;
            record::<PostTrashed>(tx, &context, &post, &["status"])?;
        }
        Ok(())
    });
    is_fresh.await?;
    finish_purge(ctx, id).await
}

/// Deletes a trashed post with all that belongs to it; one that came out of the trash meanwhile stays.
///
/// From the first step on it cannot come back, so nobody finds it with half of its comments. A purge that breaks off goes on
/// with the next emptying of the trash.
pub(crate) async fn finish_purge(ctx: &Ctx, id: Id<Post>) -> Result<()> {
    if !ctx.write(move |tx| Ok(store::begin_purge(tx, id)?)).await? {
        return Ok(());
    }
    ctx.write_in_batches(BATCH, move |tx| Ok(comments::store::delete_of_post(tx, id)?)).await?;
    let context = ctx.clone();
    ctx.write(move |tx| {
        store::lock(tx, id)?;
        let Some(post) = load(tx, id)?.filter(|post| post.record.deleted_at.is_some()) else { return Ok(()) };
        // Comments that came between the batches and this.
        comments::store::delete_of_post(tx, id)?;
        comments::store::delete_thread_of_post(tx, id)?;
        drafts::service::drop(tx, id)?;
        revisions::store::delete(tx, id)?;
        transitions::store::delete(tx, id)?;
        slugs::store::bury(tx, id)?;
        search::store::delete(tx, id)?;
        media::unlink_all(tx, MEDIA_SUBJECT, id.uuid())?;
        store::delete(tx, id)?;
        tx.audit(AuditEntry::ok("blog.post.purge", &format!("post:{id}")))?;
        record::<PostPurged>(tx, &context, &post, &[])
    })
    .await
}

/// Purges what has been in the trash for long enough.
pub(crate) async fn purge_trash(ctx: &Ctx) -> Result<()> {
    let days = ctx.settings::<BlogSettings>().trash_days;
    let before = ctx.now() - Duration::from_secs(u64::from(days) * 24 * 3600);
    loop {
        let ids = ctx.read_long(move |c| Ok(store::trashed_before(c, before)?)).await?;
        if ids.is_empty() {
            return Ok(());
        }
        for id in ids {
            finish_purge(ctx, id).await?;
        }
    }
}

/// Makes HTML anew that another version of the renderer made (SAN-1).
pub(crate) async fn rerender(ctx: &Ctx) -> Result<()> {
    loop {
        let stale = ctx.read_long(|c| Ok(store::rendered_by_others(c, rendering::VERSION)?)).await?;
        if stale.is_empty() {
            return Ok(());
        }
        for row in stale {
            let body = RenderedBody::from(rendering::post(ctx, rendering::Format::parse(&row.body_format), &row.body_source).await?);
            // One that was changed meanwhile was rendered anew with it.
            ctx.write(move |tx| Ok(store::set_rendered(tx, row.id, row.version, &body)?)).await?;
        }
    }
}

/// Brings an earlier revision back, as the post itself or as its draft; nothing is rewritten (BLG-8).
pub(crate) async fn restore(ctx: &Ctx, id: Id<Post>, number: i64, as_draft: bool, if_match: IfMatch) -> Result<PostDetails> {
    let caller = Caller::of(ctx);
    let now = ctx.now();
    let found = ctx.read(move |c| {
        let post = store::find_record(c, id)?.ok_or(&NOT_FOUND)?;
        caller.require_update(c, &post, now)?;
        revisions::store::find(c, id, number)?.ok_or_else(|| NOT_FOUND.error())
    });
    let revision = found.await?;
    let body = RenderedBody::from(rendering::post(ctx, revision.payload.format, &revision.payload.source).await?);
    let context = ctx.clone();
    ctx.write(move |tx| {
        let before = load_for_change(tx, id)?;
        caller.require_update(tx, &before.record, context.now())?;
        if_match.expected(before.record.version)?;
        let mut content = revision.payload.clone();
        // Authors and tags that were deleted since do not come back with it.
        let known = revisions::service::existing(tx, &content)?;
        (content.author_ids, content.tag_ids) = known;
        if let Some(file) = content.featured_media_id {
            content.featured_media_id = media::exists(tx, &[Id::from_uuid(file)])?.first().map(|file| file.uuid());
        }
        if content.author_ids.is_empty() {
            content.author_ids = before.content().author_ids;
        }
        if as_draft {
            let base = before.record.version;
            drafts::service::put(tx, &context, id, base, &drafts::Payload { content, body: body.clone() })?;
            return Ok(before);
        }
        save(tx, &context, before, &content, &body, None, "restore")
    })
    .await
}
