//! Writing a comment: who may, whether it is public at once, and its number (CMT-3 to CMT-5, CMT-7).

use std::time::Duration;

use db::Conn;
use kernel::address::limit_key;
use kernel::error::{INVALID_STATE, RATE_LIMITED, UNAUTHENTICATED};
use kernel::limits::Quota;
use kernel::{CredentialKind, Ctx, Error, FieldError, Id, Result, Tx, UserId};
use sha2::{Digest, Sha256};

use crate::comments::spam::{self, Facts};
use crate::comments::store::{GuestTraces, Traces};
use crate::comments::{Comment, CommentRecord, MAX_LINKS, Status, store};
use crate::events::{CommentApproved, CommentCreated, CommentMarkedSpam};
use crate::permissions::MODERATE_COMMENTS;
use crate::posts::access::Caller;
use crate::problems::{COMMENTS_CLOSED, COMMENTS_PAUSED};
use crate::rendering;
use crate::settings::CommentSettings;
use crate::threads::service::Target;
use crate::threads::{Policy, ThreadRecord, store as thread_store};

/// How far back bursts are looked for.
const BURST_WINDOW: Duration = Duration::from_secs(600);
/// How far back the same text is looked for.
const REPEAT_WINDOW: Duration = Duration::from_secs(24 * 3600);

/// Somebody without an account.
#[derive(Clone, Debug)]
pub(crate) struct Guest {
    pub(crate) name: String,
    pub(crate) email: Option<String>,
    pub(crate) website: Option<String>,
}

/// A comment to be written.
#[derive(Clone, Debug)]
pub(crate) struct NewComment {
    pub(crate) parent_id: Option<Id<Comment>>,
    pub(crate) source: String,
    pub(crate) guest: Option<Guest>,
    pub(crate) is_trap_filled: bool,
    pub(crate) seconds: Option<i64>,
}

/// A comment that was written, and what its guest may change it with.
pub(crate) struct Receipt {
    pub(crate) comment: CommentRecord,
    pub(crate) edit_token: Option<String>,
}

/// Everything about a comment that is made before its transaction.
struct Prepared {
    comment: CommentRecord,
    guest: GuestTraces,
    traces: Traces,
    facts: Facts,
}

pub(crate) async fn create(ctx: &Ctx, target: Target, new: NewComment) -> Result<Receipt> {
    let settings = ctx.settings::<CommentSettings>();
    if !settings.enabled {
        return Err(COMMENTS_CLOSED.error());
    }
    let user = ctx.actor.maybe_user_id();
    if user.is_none() && !settings.guests {
        return Err(UNAUTHENTICATED.error());
    }
    let is_moderator = ctx.actor.may(&MODERATE_COMMENTS);
    if ctx.actor.credential() != CredentialKind::System {
        limit(ctx, settings, user)?;
    }
    let edit_token = user.is_none().then(|| ctx.app.random().token());
    let prepared = prepare(ctx, user, &new, edit_token.as_deref()).await?;
    let most = settings.max_waiting;
    if user.is_none() && !is_moderator && ctx.read_long(move |c| Ok(store::is_overrun(c, most)?)).await? {
        return Err(COMMENTS_PAUSED.error());
    }
    let (caller, context) = (Caller::of(ctx), ctx.clone());
    let written = ctx.write(move |tx| {
        let (thread, policy) = target.lock(tx, &caller, context.now())?;
        let policy = policy.unwrap_or(context.settings::<CommentSettings>().policy);
        require_open(policy, user, is_moderator)?;
        let mut comment = CommentRecord { thread_id: thread.id, post_id: thread.post_id, ..prepared.comment.clone() };
        place(tx, &context, &thread, &mut comment)?;
        comment.spam_score = if is_moderator { 0 } else { score(tx, &context, &prepared)? };
        comment.status = status(tx, policy, is_moderator, &comment, prepared.guest.key.as_ref())?;
        insert(tx, &comment, &prepared)?;
        Ok(comment)
    });
    Ok(Receipt { comment: written.await?, edit_token })
}

fn limit(ctx: &Ctx, settings: &CommentSettings, user: Option<UserId>) -> Result<()> {
    let (limiter, now) = (ctx.app.limiter(), ctx.now());
    let key = limiter.key(&limit_key(ctx.request.client_address));
    let by_minute = Quota { name: "comments", burst: settings.per_minute.max(1), window: Duration::from_secs(60) };
    let by_hour = Quota { name: "guest_comments", burst: settings.guest_per_hour.max(1), window: Duration::from_secs(3600) };
    for (quota, counts) in [(by_minute, true), (by_hour, user.is_none())] {
        let decision = if counts { Some(limiter.check(&quota, key, now)) } else { None };
        if let Some(refused) = decision.filter(|decision| !decision.allowed) {
            return Err(RATE_LIMITED.because("Too many comments from this address.").retry_after(refused.retry_after_secs.max(1)));
        }
    }
    Ok(())
}

async fn prepare(ctx: &Ctx, user: Option<UserId>, new: &NewComment, edit_token: Option<&str>) -> Result<Prepared> {
    let rendered = rendering::comment(ctx, &new.source).await?;
    let links = rendered.html.matches("<a ").count();
    let mut errors = Vec::new();
    if rendered.text.trim().is_empty() {
        errors.push(FieldError::body("/body", "required", "A comment says something."));
    }
    if links > MAX_LINKS {
        errors.push(FieldError::body("/body", "too_long", "At most 20 links."));
    }
    if user.is_none() && new.guest.is_none() {
        errors.push(FieldError::body("/guest", "required", "Give a name, or log in."));
    }
    if user.is_some() && new.guest.is_some() {
        errors.push(FieldError::body("/guest", "not_allowed", "You are logged in."));
    }
    if !errors.is_empty() {
        return Err(Error::invalid(errors));
    }
    let id: Id<Comment> = ctx.new_id();
    let (keyring, blocked) = (ctx.app.keyring(), &ctx.settings::<CommentSettings>().blocked_words);
    let email = new.guest.as_ref().and_then(|guest| guest.email.as_deref());
    let guest = GuestTraces {
        email_sealed: email.map(|email| keyring.seal(ctx.app.random(), &format!("blog_comments.guest_email/{id}"), email.as_bytes())),
        key: email.map(|email| keyring.mac("blog.guest", email.trim().to_lowercase().as_bytes())),
    };
    let author_name = match (user, &new.guest) {
        (Some(user), _) => crate::authors::service::name_of(ctx, user).await?,
        (None, Some(guest)) => guest.name.clone(),
        (None, None) => String::new(),
    };
    let website = new.guest.as_ref().and_then(|guest| guest.website.clone());
    let facts = Facts {
        links,
        is_trap_filled: new.is_trap_filled,
        seconds: new.seconds,
        is_blocked: spam::has_blocked(&new.source, blocked)
            || spam::has_blocked(&author_name, blocked)
            || website.as_deref().is_some_and(|website| spam::has_blocked(website, blocked)),
        ..Facts::default()
    };
    let words = rendered.text.split_whitespace().collect::<Vec<_>>().join(" ").to_lowercase();
    let traces = Traces {
        ip_hash: keyring.mac("blog.comment.address", ctx.request.client_address.to_string().as_bytes()),
        body_hash: Sha256::digest(words.as_bytes()).into(),
    };
    let comment = CommentRecord {
        id,
        thread_id: Id::from_uuid(id.uuid()),
        post_id: None,
        seq: 0,
        parent_id: new.parent_id,
        root_id: id,
        depth: 0,
        author_user_id: user,
        author_name,
        guest_website: website,
        edit_token_hash: edit_token.map(token_hash),
        status: Status::Pending,
        is_deleted: false,
        spam_score: 0,
        reply_count: 0,
        report_count: 0,
        created_at: ctx.now(),
        edited_at: None,
        version: 1,
        render_version: rendering::VERSION,
        source: new.source.clone(),
        html: rendered.html,
    };
    Ok(Prepared { comment, guest, traces, facts })
}

/// What an edit token is stored as.
pub(crate) fn token_hash(token: &str) -> [u8; 32] {
    Sha256::digest(token.as_bytes()).into()
}

fn require_open(policy: Policy, user: Option<UserId>, is_moderator: bool) -> Result<()> {
    match policy {
        Policy::Closed if !is_moderator => Err(COMMENTS_CLOSED.error()),
        Policy::Members if user.is_none() => Err(UNAUTHENTICATED.error()),
        _ => Ok(()),
    }
}

/// Gives the comment its number and its place below its parent.
fn place(c: &mut Conn, ctx: &Ctx, thread: &ThreadRecord, comment: &mut CommentRecord) -> Result<()> {
    comment.seq = thread.last_seq + 1;
    let Some(parent_id) = comment.parent_id else { return Ok(()) };
    let parent = store::find(c, parent_id)?.filter(|parent| parent.thread_id == thread.id).ok_or_else(|| {
        Error::invalid(vec![FieldError::body("/parent_id", "unknown_reference", "There is no such comment in this conversation.")])
    })?;
    if !parent.is_public() {
        let state = if parent.is_deleted { "deleted" } else { parent.status.as_str() };
        return Err(INVALID_STATE.error().with_member("current_state", state).with_member("allowed", vec!["approved"]));
    }
    comment.root_id = parent.root_id;
    comment.depth = (parent.depth + 1).min(i64::from(ctx.settings::<CommentSettings>().max_depth));
    Ok(())
}

fn score(c: &mut Conn, ctx: &Ctx, prepared: &Prepared) -> Result<i64> {
    let now = ctx.now();
    let facts = Facts {
        repeats: store::count_same(c, &prepared.traces.body_hash, now - REPEAT_WINDOW)?,
        burst: store::count_from(c, &prepared.traces.ip_hash, now - BURST_WINDOW)?,
        ..prepared.facts
    };
    Ok(spam::score(&facts))
}

fn status(c: &mut Conn, policy: Policy, is_moderator: bool, comment: &CommentRecord, guest: Option<&[u8; 32]>) -> Result<Status> {
    Ok(match comment.spam_score {
        _ if is_moderator => Status::Approved,
        spam::CERTAIN.. => Status::Spam,
        spam::SUSPICIOUS.. => Status::Pending,
        _ => match policy {
            Policy::Open | Policy::Members => Status::Approved,
            Policy::FirstTime if store::is_known(c, comment.author_user_id, guest)? => Status::Approved,
            _ => Status::Pending,
        },
    })
}

fn insert(tx: &mut Tx<'_, '_>, comment: &CommentRecord, prepared: &Prepared) -> Result<()> {
    let public = i64::from(comment.is_public());
    store::insert(tx, comment, &prepared.guest, &prepared.traces)?;
    thread_store::count_new(tx, comment.thread_id, public)?;
    if let Some(parent) = comment.parent_id.filter(|_| public > 0) {
        store::count_replies(tx, parent, public)?;
    }
    super::service::record::<CommentCreated>(tx, comment)?;
    match comment.status {
        Status::Approved => super::service::record::<CommentApproved>(tx, comment),
        Status::Spam => super::service::record::<CommentMarkedSpam>(tx, comment),
        _ => Ok(()),
    }
}
