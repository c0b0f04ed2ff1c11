//! The verbs of comments that exist: read, change, delete, moderate, report.

use std::collections::HashMap;
use std::time::Duration;

use db::Conn;
use kernel::address::limit_key;
use kernel::error::{FORBIDDEN, NOT_FOUND, RATE_LIMITED};
use kernel::http::{IfMatch, version_conflict};
use kernel::limits::Quota;
use kernel::{AuditEntry, Ctx, Error, Event, FieldError, Id, Result, Tx};

use crate::comments::create::token_hash;
use crate::comments::http::CommentView;
use crate::comments::spam::{self, Facts};
use crate::comments::{Comment, CommentRecord, MAX_LINKS, Status, store};
use crate::events::{CommentApproved, CommentChange, CommentDeleted, CommentMarkedSpam, CommentReported, CommentUpdated};
use crate::permissions::MODERATE_COMMENTS;
use crate::posts::access::Caller;
use crate::rendering;
use crate::settings::CommentSettings;
use crate::threads::service::policy_of;
use crate::threads::store as thread_store;

/// Reports a minute from one address.
const REPORTS: Quota = Quota { name: "comment_reports", burst: 5, window: Duration::from_secs(60) };

/// Records an event about a comment.
pub(crate) fn record<E: Event + From<CommentChange>>(tx: &mut Tx<'_, '_>, comment: &CommentRecord) -> Result<()> {
    tx.record(&E::from(CommentChange {
        comment_id: comment.id.uuid(),
        thread_id: comment.thread_id.uuid(),
        post_id: comment.post_id.map(Id::uuid),
        comment: CommentView::of(comment.clone(), Eyes::Moderator),
    }))
}

/// How much of a comment is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Eyes {
    /// What everybody sees.
    Everybody,
    /// Its source too: whoever wrote it.
    Writer,
    /// All of it.
    Moderator,
}

/// Who looks at a comment, as it relates to it.
struct Visitor {
    caller: Caller,
    is_moderator: bool,
    token: Option<[u8; 32]>,
}

impl Visitor {
    fn of(ctx: &Ctx, token: Option<&str>) -> Visitor {
        Visitor { caller: Caller::of(ctx), is_moderator: ctx.actor.may(&MODERATE_COMMENTS), token: token.map(token_hash) }
    }

    /// How the visitor sees the comment; not at all is *not found*.
    fn eyes(&self, c: &mut Conn, ctx: &Ctx, comment: &CommentRecord) -> Result<Eyes> {
        if self.is_moderator {
            return Ok(Eyes::Moderator);
        }
        // What stands below a post is seen by those who see the post.
        let thread = thread_store::find(c, comment.thread_id)?.ok_or(&NOT_FOUND)?;
        policy_of(c, &self.caller, &thread, ctx.now())?;
        let is_own = comment.author_user_id.is_some() && comment.author_user_id == self.caller.user();
        let has_token = comment.edit_token_hash.is_some() && comment.edit_token_hash == self.token;
        match (is_own || has_token, comment.status == Status::Approved && (!comment.is_deleted || comment.reply_count > 0)) {
            (true, _) => Ok(Eyes::Writer),
            (false, true) => Ok(Eyes::Everybody),
            (false, false) => Err(NOT_FOUND.error()),
        }
    }

    /// Fails unless the visitor may change the comment now.
    fn require_change(&self, c: &mut Conn, ctx: &Ctx, comment: &CommentRecord) -> Result<()> {
        if comment.is_deleted {
            return Err(NOT_FOUND.error());
        }
        match self.eyes(c, ctx, comment)? {
            Eyes::Moderator => Ok(()),
            Eyes::Everybody => Err(FORBIDDEN.because("Only whoever wrote it, and moderators, may do that.")),
            Eyes::Writer => {
                let seconds = u64::from(ctx.settings::<CommentSettings>().edit_seconds);
                if ctx.now().since(comment.created_at) <= Duration::from_secs(seconds) {
                    return Ok(());
                }
                Err(FORBIDDEN.because("The time in which a comment can be changed is over."))
            }
        }
    }
}

pub(crate) async fn find(ctx: &Ctx, id: Id<Comment>, token: Option<&str>) -> Result<(CommentRecord, Eyes)> {
    let (visitor, context) = (Visitor::of(ctx, token), ctx.clone());
    let found = ctx.read(move |c| {
        let comment = store::find(c, id)?.ok_or(&NOT_FOUND)?;
        let eyes = visitor.eyes(c, &context, &comment)?;
        Ok((comment, eyes))
    });
    let (comment, eyes) = found.await?;
    Ok((up_to_date(ctx, comment).await?, eyes))
}

/// The comment with HTML of this version of the allow-list, whatever is stored (SAN-1).
pub(crate) async fn up_to_date(ctx: &Ctx, mut comment: CommentRecord) -> Result<CommentRecord> {
    if comment.render_version != rendering::VERSION && !comment.is_deleted {
        comment.html = rendering::comment(ctx, &comment.source).await?.html;
    }
    Ok(comment)
}

/// Makes HTML anew that another version of the renderer made.
pub(crate) async fn rerender(ctx: &Ctx) -> Result<()> {
    loop {
        let stale = ctx.read_long(|c| Ok(store::rendered_by_others(c, rendering::VERSION)?)).await?;
        if stale.is_empty() {
            return Ok(());
        }
        for (id, version, source) in stale {
            let html = rendering::comment(ctx, &source).await?.html;
            // One that was changed meanwhile was rendered anew with it.
            ctx.write(move |tx| Ok(store::set_rendered(tx, id, version, &html, rendering::VERSION)?)).await?;
        }
    }
}

/// Changes what a comment says; one that looks like spam now waits for a moderator again.
pub(crate) async fn update(
    ctx: &Ctx,
    id: Id<Comment>,
    source: String,
    token: Option<&str>,
    if_match: IfMatch,
) -> Result<(CommentRecord, Eyes)> {
    let rendered = rendering::comment(ctx, &source).await?;
    let links = rendered.html.matches("<a ").count();
    let wrong = match () {
        () if rendered.text.trim().is_empty() => Some(("required", "A comment says something.")),
        () if links > MAX_LINKS => Some(("too_long", "At most 20 links.")),
        () => None,
    };
    if let Some((code, detail)) = wrong {
        return Err(Error::invalid(vec![FieldError::body("/body", code, detail)]));
    }
    let is_blocked = spam::has_blocked(&source, &ctx.settings::<CommentSettings>().blocked_words);
    let score = spam::score(&Facts { links, is_blocked, ..Facts::default() });
    let (visitor, context) = (Visitor::of(ctx, token), ctx.clone());
    ctx.write(move |tx| {
        let found = store::find(tx, id)?.ok_or(&NOT_FOUND)?;
        thread_store::lock(tx, found.thread_id)?;
        let before = store::find(tx, id)?.ok_or(&NOT_FOUND)?;
        visitor.require_change(tx, &context, &before)?;
        if_match.expected(before.version)?;
        let spam_score = if visitor.is_moderator { before.spam_score } else { before.spam_score.max(score) };
        let changed = CommentRecord {
            source: source.clone(),
            html: rendered.html.clone(),
            render_version: rendering::VERSION,
            spam_score,
            ..before.clone()
        };
        if !store::update_body(tx, &changed, context.now())? {
            return Err(version_conflict(store::find(tx, id)?.ok_or(&NOT_FOUND)?.version));
        }
        if before.status == Status::Approved && !visitor.is_moderator && spam_score >= spam::SUSPICIOUS {
            set_status(tx, &context, &before, Status::Pending)?;
        }
        let after = store::find(tx, id)?.ok_or(&NOT_FOUND)?;
        record::<CommentUpdated>(tx, &after)?;
        let eyes = visitor.eyes(tx, &context, &after)?;
        Ok((after, eyes))
    })
    .await
}

/// Deletes a comment: with replies it stays as an empty place, without it disappears (CMT-6).
pub(crate) async fn delete(ctx: &Ctx, id: Id<Comment>, token: Option<&str>, if_match: IfMatch) -> Result<()> {
    let (visitor, context) = (Visitor::of(ctx, token), ctx.clone());
    ctx.write(move |tx| {
        let found = store::find(tx, id)?.ok_or(&NOT_FOUND)?;
        thread_store::lock(tx, found.thread_id)?;
        let comment = store::find(tx, id)?.ok_or(&NOT_FOUND)?;
        visitor.require_change(tx, &context, &comment)?;
        if_match.expected(comment.version)?;
        count(tx, &comment, -i64::from(comment.is_public()))?;
        record::<CommentDeleted>(tx, &comment)?;
        if visitor.is_moderator {
            tx.audit(AuditEntry::ok("blog.comment.delete", &format!("comment:{id}")))?;
        }
        if store::has_children(tx, id)? {
            return Ok(store::make_tombstone(tx, id, context.now())?);
        }
        store::delete(tx, id)?;
        clear_empty_places(tx, comment.parent_id)
    })
    .await
}

/// Removes deleted comments that only stayed for a reply which is gone now.
fn clear_empty_places(tx: &mut Tx<'_, '_>, mut parent: Option<Id<Comment>>) -> Result<()> {
    while let Some(id) = parent {
        let Some(comment) = store::find(tx, id)?.filter(|comment| comment.is_deleted) else { return Ok(()) };
        if store::has_children(tx, id)? {
            return Ok(());
        }
        store::delete(tx, id)?;
        parent = comment.parent_id;
    }
    Ok(())
}

/// Counts a comment that became public (1) or stopped being it (-1).
fn count(tx: &mut Tx<'_, '_>, comment: &CommentRecord, change: i64) -> Result<()> {
    if change == 0 {
        return Ok(());
    }
    thread_store::count(tx, comment.thread_id, change)?;
    if let Some(parent) = comment.parent_id {
        store::count_replies(tx, parent, change)?;
    }
    Ok(())
}

/// Changes who sees a comment, and the counts with it; the conversation is locked.
fn set_status(tx: &mut Tx<'_, '_>, ctx: &Ctx, comment: &CommentRecord, status: Status) -> Result<()> {
    let after = CommentRecord { status, ..comment.clone() };
    store::set_status(tx, comment.id, status, ctx.now())?;
    count(tx, comment, i64::from(after.is_public()) - i64::from(comment.is_public()))
}

/// What became of one comment of a moderation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It has the status now.
    Changed,
    /// It had the status before.
    Unchanged,
    /// There is no such comment.
    NotFound,
}

/// Gives many comments a status in one transaction; tells what became of each (CMT-8).
pub(crate) async fn moderate(ctx: &Ctx, ids: Vec<Id<Comment>>, status: Status) -> Result<Vec<(Id<Comment>, Outcome)>> {
    ctx.actor.require(&MODERATE_COMMENTS)?;
    let context = ctx.clone();
    ctx.write(move |tx| {
        let mut threads: Vec<_> = store::find_all(tx, &ids)?.into_iter().map(|comment| comment.thread_id).collect();
        // Always in the same order: two moderators must not wait for each other.
        threads.sort_unstable();
        threads.dedup();
        for thread in threads {
            thread_store::lock(tx, thread)?;
        }
        let comments: HashMap<_, _> = store::find_all(tx, &ids)?.into_iter().map(|comment| (comment.id, comment)).collect();
        let mut outcomes = Vec::with_capacity(ids.len());
        for id in &ids {
            let is_repeated = outcomes.iter().any(|(done, _)| done == id);
            let outcome = match comments.get(id) {
                None => Outcome::NotFound,
                Some(comment) if comment.is_deleted => Outcome::NotFound,
                Some(comment) if comment.status == status || is_repeated => Outcome::Unchanged,
                Some(comment) => {
                    set_status(tx, &context, comment, status)?;
                    tell(tx, *id, status)?;
                    Outcome::Changed
                }
            };
            outcomes.push((*id, outcome));
        }
        let changed = outcomes.iter().filter(|(_, outcome)| *outcome == Outcome::Changed).count();
        if changed > 0 {
            let detail = serde_json::json!({ "status": status.as_str(), "count": changed });
            tx.audit(AuditEntry::ok("blog.comment.moderate", "comments").with_detail(detail))?;
        }
        Ok(outcomes)
    })
    .await
}

fn tell(tx: &mut Tx<'_, '_>, id: Id<Comment>, status: Status) -> Result<()> {
    let after = store::find(tx, id)?.ok_or(&NOT_FOUND)?;
    match status {
        Status::Approved => record::<CommentApproved>(tx, &after),
        Status::Spam => record::<CommentMarkedSpam>(tx, &after),
        Status::Pending | Status::Trashed => record::<CommentUpdated>(tx, &after),
    }
}

/// Asks a moderator to look at a comment.
pub(crate) async fn report(ctx: &Ctx, id: Id<Comment>) -> Result<()> {
    let limiter = ctx.app.limiter();
    let decision = limiter.check(&REPORTS, limiter.key(&limit_key(ctx.request.client_address)), ctx.now());
    if !decision.allowed {
        return Err(RATE_LIMITED.because("Too many reports from this address.").retry_after(decision.retry_after_secs.max(1)));
    }
    let (visitor, context) = (Visitor::of(ctx, None), ctx.clone());
    ctx.write(move |tx| {
        let comment = store::find(tx, id)?.filter(|comment| !comment.is_deleted).ok_or(&NOT_FOUND)?;
        visitor.eyes(tx, &context, &comment)?;
        store::count_report(tx, id)?;
        let after = store::find(tx, id)?.ok_or(&NOT_FOUND)?;
        record::<CommentReported>(tx, &after)
    })
    .await
}

/// Forgets what tells comments of one address from those of another (CMT-10).
pub(crate) async fn forget_addresses(ctx: &Ctx) -> Result<()> {
    let days = ctx.settings::<CommentSettings>().ip_days;
    let before = ctx.now() - Duration::from_secs(u64::from(days) * 24 * 3600);
    ctx.write_in_batches(500, move |tx| Ok(store::forget_addresses(tx, before)?)).await
}
