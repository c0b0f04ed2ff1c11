//! Lists of comments: a conversation as readers see it, and the queue of moderators.

use kernel::page::{CursorValue, KeyKind, Keyset, Page, PageRequest, SortKey};
use kernel::{Ctx, Id, Result};

use crate::comments::service::{Eyes, up_to_date};
use crate::comments::store::Branch;
use crate::comments::{Comment, CommentRecord, Status, store};
use crate::permissions::MODERATE_COMMENTS;
use crate::posts::access::Caller;
use crate::threads::Thread;
use crate::threads::service::Target;

const BY_SEQ: &[SortKey] = &[SortKey { name: "seq", column: "c.seq", kind: KeyKind::Int }];
const BY_TIME: &[SortKey] = &[SortKey { name: "created_at", column: "c.created_at", kind: KeyKind::Int }];

/// Which comments of a conversation to list.
#[derive(Clone, Debug, Default)]
pub(crate) struct CommentFilter {
    pub(crate) root_id: Option<Id<Comment>>,
    pub(crate) is_flat: bool,
    pub(crate) sort: Option<String>,
}

/// A page of a conversation: its roots, the replies below one of them, or all.
pub(crate) async fn of_target(
    ctx: &Ctx,
    operation: &str,
    target: Target,
    filter: CommentFilter,
    request: PageRequest,
) -> Result<Page<(CommentRecord, Eyes)>> {
    let (caller, now, reader) = (Caller::of(ctx), ctx.now(), ctx.actor.maybe_user_id());
    let branch = match filter.root_id {
        Some(root) => Branch::Below(root),
        None if filter.is_flat => Branch::Flat,
        None => Branch::Roots,
    };
    let subject = match &target {
        Target::Post(id, _) => format!("post:{id}"),
        Target::Thread(id) => format!("thread:{id}"),
    };
    let text = format!("{subject}/{branch:?}");
    let keyset = Keyset::parse(ctx, BY_SEQ, "seq", filter.sort.as_deref(), operation, &text, &request)?.with_id_column("c.id");
    let by_seq = keyset.clone();
    let rows = ctx.read(move |c| match target.find(c, &caller, now)? {
        Some(thread) => Ok(store::list(c, thread.id, branch, reader, &by_seq)?),
        None => Ok(Vec::new()),
    });
    let rows = all_up_to_date(ctx, rows.await?).await?;
    let page = keyset.page(ctx, rows, |comment| (CursorValue::Int(comment.seq), comment.id.uuid()));
    Ok(page.map(|comment| {
        let is_own = comment.author_user_id.is_some() && comment.author_user_id == reader;
        let eyes = if is_own { Eyes::Writer } else { Eyes::Everybody };
        (comment, eyes)
    }))
}

/// What a moderator asks for.
#[derive(Clone, Debug, Default)]
pub(crate) struct QueueFilter {
    pub(crate) status: Option<Status>,
    pub(crate) thread_id: Option<Id<Thread>>,
    pub(crate) sort: Option<String>,
}

/// A page of all comments, oldest first.
pub(crate) async fn queue(ctx: &Ctx, filter: QueueFilter, request: PageRequest) -> Result<Page<CommentRecord>> {
    ctx.actor.require(&MODERATE_COMMENTS)?;
    let QueueFilter { status, thread_id, sort } = filter;
    let text = format!("{status:?}/{thread_id:?}");
    let keyset = Keyset::parse(ctx, BY_TIME, "created_at", sort.as_deref(), "listComments", &text, &request)?.with_id_column("c.id");
    let by_time = keyset.clone();
    let rows = ctx.read(move |c| Ok(store::queue(c, status, thread_id, &by_time)?)).await?;
    let rows = all_up_to_date(ctx, rows).await?;
    Ok(keyset.page(ctx, rows, |comment| (CursorValue::Int(comment.created_at.as_millis()), comment.id.uuid())))
}

async fn all_up_to_date(ctx: &Ctx, comments: Vec<CommentRecord>) -> Result<Vec<CommentRecord>> {
    let mut all = Vec::with_capacity(comments.len());
    for comment in comments {
        all.push(up_to_date(ctx, comment).await?);
    }
    Ok(all)
}
