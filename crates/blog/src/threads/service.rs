//! The verbs of conversations: look up, begin, read, change.

use db::Conn;
use kernel::error::NOT_FOUND;
use kernel::http::{IfMatch, version_conflict};
use kernel::{Ctx, Error, FieldError, Id, Result, Timestamp, Tx};

use crate::events::ThreadCreated;
use crate::permissions::UPDATE_THREADS;
use crate::posts::access::{Caller, Sight};
use crate::posts::{Post, PostRecord, store as post_store};
use crate::problems::SITE_NOT_ALLOWED;
use crate::settings::CommentSettings;
use crate::threads::http::ThreadView;
use crate::threads::{Policy, Thread, ThreadRecord, store, subject};

fn canonical_url(text: &str, field: FieldError) -> Result<String> {
    // The column is bounded, and so is what a page is looked up by.
    subject::canonical(text).filter(|url| url.len() <= 2_000).ok_or_else(|| Error::invalid(vec![field]))
}

/// The conversation below the page with this address; looking never begins one.
pub(crate) async fn look_up(ctx: &Ctx, url: &str) -> Result<ThreadRecord> {
    let wrong = FieldError::parameter("url", "invalid_format", "An absolute http or https address.");
    let canonical = canonical_url(url, wrong)?;
    let key = subject::url_key(&canonical);
    let found = ctx.read(move |c| Ok(store::find_by_key(c, &key)?)).await?;
    found.ok_or_else(|| NOT_FOUND.error().with_member("canonical_url", canonical))
}

/// Begins the conversation below a page of an allowed site; tells whether it is new.
pub(crate) async fn begin(ctx: &Ctx, url: &str, title: &str) -> Result<(ThreadRecord, bool)> {
    let canonical = canonical_url(url, crate::wire::not_an_address("/url"))?;
    if !subject::is_of(&canonical, &ctx.settings::<CommentSettings>().sites) {
        return Err(SITE_NOT_ALLOWED.error());
    }
    let key = subject::url_key(&canonical);
    let thread = blank(ctx, None, Some(canonical), title);
    let found = ctx.read(move |c| Ok(store::find_by_key(c, &key)?)).await?;
    if let Some(found) = found {
        return Ok((found, false));
    }
    ctx.write(move |tx| {
        if store::insert(tx, &thread, &key)? {
            tx.record(&ThreadCreated { thread_id: thread.id.uuid(), thread: ThreadView::of(thread.clone()) })?;
            return Ok((thread.clone(), true));
        }
        Ok((store::find_by_key(tx, &key)?.ok_or(&NOT_FOUND)?, false))
    })
    .await
}

fn blank(ctx: &Ctx, post_id: Option<Id<Post>>, url: Option<String>, title: &str) -> ThreadRecord {
    let now = ctx.now();
    ThreadRecord {
        id: ctx.new_id(),
        post_id,
        url,
        title: title.to_owned(),
        policy: None,
        last_seq: 0,
        comment_count: 0,
        created_at: now,
        updated_at: now,
        version: 1,
    }
}

/// What is about to be commented on, before its conversation exists.
#[derive(Clone, Debug)]
pub(crate) enum Target {
    /// A post; its conversation begins with the first comment.
    Post(Id<Post>, Box<ThreadRecord>),
    /// A conversation.
    Thread(Id<Thread>),
}

impl Target {
    pub(crate) fn post(ctx: &Ctx, id: Id<Post>) -> Target {
        Target::Post(id, Box::new(blank(ctx, Some(id), None, "")))
    }

    /// The conversation, locked; begun if it has to be. What the caller may not see is not found.
    pub(crate) fn lock(&self, tx: &mut Tx<'_, '_>, caller: &Caller, now: Timestamp) -> Result<(ThreadRecord, Option<Policy>)> {
        let id = match self {
            Target::Thread(id) => *id,
            Target::Post(post, blank) => {
                let key = subject::post_key(*post);
                match store::find_by_key(tx, &key)? {
                    Some(thread) => thread.id,
                    None => {
                        // Only below what can be seen, and nothing to be found when somebody else was faster.
                        seen_post(tx, caller, *post, now)?;
                        store::insert(tx, blank, &key)?;
                        store::find_by_key(tx, &key)?.ok_or(&NOT_FOUND)?.id
                    }
                }
            }
        };
        let thread = store::lock(tx, id)?.ok_or(&NOT_FOUND)?;
        let policy = policy_of(tx, caller, &thread, now)?;
        Ok((thread, policy))
    }

    /// The conversation for a reader; none below a post that nobody has commented on.
    pub(crate) fn find(&self, c: &mut Conn, caller: &Caller, now: Timestamp) -> Result<Option<ThreadRecord>> {
        match self {
            Target::Post(post, _) => {
                seen_post(c, caller, *post, now)?;
                Ok(store::find_by_key(c, &subject::post_key(*post))?)
            }
            Target::Thread(id) => {
                let thread = store::find(c, *id)?.ok_or(&NOT_FOUND)?;
                policy_of(c, caller, &thread, now)?;
                Ok(Some(thread))
            }
        }
    }
}

fn seen_post(c: &mut Conn, caller: &Caller, id: Id<Post>, now: Timestamp) -> Result<PostRecord> {
    let post = post_store::find_record(c, id)?.ok_or(&NOT_FOUND)?;
    match caller.sees(c, &post, now)? {
        Sight::Nothing => Err(NOT_FOUND.error()),
        _ => Ok(post),
    }
}

/// The policy that a conversation or its post sets, if the caller sees the post at all.
pub(crate) fn policy_of(c: &mut Conn, caller: &Caller, thread: &ThreadRecord, now: Timestamp) -> Result<Option<Policy>> {
    let of_post = match thread.post_id {
        Some(post) => seen_post(c, caller, post, now)?.comment_policy,
        None => None,
    };
    Ok(thread.policy.or(of_post))
}

pub(crate) async fn find(ctx: &Ctx, id: Id<Thread>) -> Result<ThreadRecord> {
    let (caller, now) = (Caller::of(ctx), ctx.now());
    ctx.read(move |c| Target::Thread(id).find(c, &caller, now)?.ok_or_else(|| NOT_FOUND.error())).await
}

/// What to change about a conversation.
#[derive(Clone, Debug, Default)]
pub(crate) struct ThreadPatch {
    pub(crate) title: Option<String>,
    pub(crate) policy: Option<Option<Policy>>,
}

pub(crate) async fn update(ctx: &Ctx, id: Id<Thread>, patch: ThreadPatch, if_match: IfMatch) -> Result<ThreadRecord> {
    ctx.actor.require(&UPDATE_THREADS)?;
    let now = ctx.now();
    ctx.write(move |tx| {
        let thread = store::lock(tx, id)?.ok_or(&NOT_FOUND)?;
        if_match.expected(thread.version)?;
        let title = patch.title.as_deref().unwrap_or(&thread.title);
        if !store::update(tx, id, thread.version, title, patch.policy.unwrap_or(thread.policy), now)? {
            return Err(version_conflict(thread.version));
        }
        store::find(tx, id)?.ok_or_else(|| NOT_FOUND.error())
    })
    .await
}
