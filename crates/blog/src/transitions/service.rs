//! Planning due changes, and telling of them once.

use kernel::{Ctx, Job, Result, Tx};
use serde::{Deserialize, Serialize};

use crate::events::{PostPublished, PostUnpublished};
use crate::posts::lifecycle::set;
use crate::posts::service::{load, record};
use crate::posts::store::Publication;
use crate::posts::{PostRecord, Status, store as post_store};
use crate::transitions::{Due, Kind, store};

/// Tells of the changes that have become due.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct TransitionsDue {}

impl Job for TransitionsDue {
    const KIND: &'static str = "blog.transitions_due";
}

/// Plans the changes of a post that lie ahead, instead of those planned before.
pub(crate) fn plan(tx: &mut Tx<'_, '_>, ctx: &Ctx, post: &PostRecord) -> Result<()> {
    let now = ctx.now();
    store::cancel(tx, post.id)?;
    if post.status != Status::Published {
        return Ok(());
    }
    for (kind, at) in [(Kind::Publish, post.published_at), (Kind::Unpublish, post.unpublish_at)] {
        let Some(at) = at.filter(|at| *at > now) else { continue };
        store::put(tx, ctx.new_id(), post.id, kind, at, now)?;
        tx.enqueue_after(&TransitionsDue {}, at.since(now))?;
    }
    Ok(())
}

pub(crate) async fn make_due(ctx: Ctx, _job: TransitionsDue) -> Result<()> {
    loop {
        let now = ctx.now();
        let due = ctx.read_long(move |c| Ok(store::due(c, now)?)).await?;
        if due.is_empty() {
            return Ok(());
        }
        for change in due {
            make(&ctx, change).await?;
        }
    }
}

/// Makes one change: whoever marks it as made tells of it.
async fn make(ctx: &Ctx, due: Due) -> Result<()> {
    let context = ctx.clone();
    ctx.write(move |tx| {
        // The post first, as everybody else does: two orders would be a deadlock.
        post_store::lock(tx, due.post_id)?;
        if !store::finish(tx, due.id, context.now())? {
            return Ok(());
        }
        let Some(post) = load(tx, due.post_id)?.filter(|post| post.record.deleted_at.is_none()) else { return Ok(()) };
        let is_published = post.record.status == Status::Published;
        match due.kind {
            Kind::Publish if is_published && post.record.published_at == Some(due.due_at) => {
                record::<PostPublished>(tx, &context, &post, &["status"])
            }
            Kind::Unpublish if is_published && post.record.unpublish_at == Some(due.due_at) => {
                let PostRecord { published_at, unpublish_at, .. } = post.record;
                let publication = Publication { status: Status::Unpublished, published_at, unpublish_at };
                let post = set(tx, &context, post, &publication)?;
                record::<PostUnpublished>(tx, &context, &post, &["status"])
            }
            _ => Ok(()),
        }
    })
    .await
}
