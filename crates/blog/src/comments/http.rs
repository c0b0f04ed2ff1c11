//! Comments over HTTP.

use axum::extract::FromRequestParts;
use http::request::Parts;
use kernel::error::{CURSOR_INVALID, FORBIDDEN, INVALID_STATE, RATE_LIMITED, SORT_NOT_SUPPORTED, UNAUTHENTICATED};
use kernel::http::{Body, Created, Describe, Etag, IfMatch, Json, List, NoContent, Operation, OperationDoc, Path, Query};
use kernel::page::PageRequest;
use kernel::{App, Ctx, Error, Id, Result, Timestamp};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::comments::create::{self, Guest, NewComment, Receipt};
use crate::comments::list::{self, CommentFilter, QueueFilter};
use crate::comments::service::{self, Eyes, Outcome};
use crate::comments::{Comment, CommentRecord, Status};
use crate::permissions::MODERATE_COMMENTS;
use crate::posts::Post;
use crate::problems::{COMMENTS_CLOSED, COMMENTS_PAUSED};
use crate::threads::Thread;
use crate::threads::service::Target;
use crate::wire::web_address;

pub(crate) fn operations() -> [Operation; 10] {
    const LIST: &str = "The roots with the number of their replies, in the order they came; with root_id the replies below one of them, with view=flat all. Sort key: seq.";
    const CREATE: &str =
        "Guests give a name and get an edit token, once. The status tells whether the comment is public or waits for a moderator.";
    [
        Operation::get("/api/v1/blog/posts/{post_id}/comments", "listPostComments", of_post)
            .tag("Comments")
            .summary("List the comments of a post")
            .describe(LIST)
            .raises(&[&CURSOR_INVALID, &SORT_NOT_SUPPORTED])
            .public(),
        Operation::post("/api/v1/blog/posts/{post_id}/comments", "createPostComment", create_on_post)
            .tag("Comments")
            .summary("Comment on a post")
            .describe(CREATE)
            .raises(&[&COMMENTS_CLOSED, &COMMENTS_PAUSED, &INVALID_STATE, &UNAUTHENTICATED, &RATE_LIMITED])
            .answers_secrets()
            .public(),
        Operation::get("/api/v1/blog/threads/{thread_id}/comments", "listThreadComments", of_thread)
            .tag("Comments")
            .summary("List the comments of a conversation")
            .describe(LIST)
            .raises(&[&CURSOR_INVALID, &SORT_NOT_SUPPORTED])
            .public(),
        Operation::post("/api/v1/blog/threads/{thread_id}/comments", "createThreadComment", create_on_thread)
            .tag("Comments")
            .summary("Comment in a conversation")
            .describe(CREATE)
            .raises(&[&COMMENTS_CLOSED, &COMMENTS_PAUSED, &INVALID_STATE, &UNAUTHENTICATED, &RATE_LIMITED])
            .answers_secrets()
            .public(),
        Operation::get("/api/v1/blog/comments", "listComments", queue)
            .tag("Comments")
            .summary("List all comments")
            .describe("For moderators: what waits, what is spam, what was taken away. Oldest first. Sort key: created_at.")
            .raises(&[&CURSOR_INVALID, &SORT_NOT_SUPPORTED])
            .requires(&MODERATE_COMMENTS),
        Operation::get("/api/v1/blog/comments/{comment_id}", "getComment", get)
            .tag("Comments")
            .summary("Read a comment")
            .describe("A comment that is not public is seen by its writer and by moderators.")
            .public(),
        Operation::patch("/api/v1/blog/comments/{comment_id}", "updateComment", update)
            .tag("Comments")
            .summary("Change a comment")
            .describe("Whoever wrote it, for blog.comments.edit_seconds; guests with their edit token. Moderators at any time.")
            .raises(&[&FORBIDDEN])
            .public(),
        Operation::delete("/api/v1/blog/comments/{comment_id}", "deleteComment", delete)
            .tag("Comments")
            .summary("Delete a comment")
            .describe("One with replies stays as an empty place. Whoever wrote it, for blog.comments.edit_seconds; moderators at any time.")
            .raises(&[&FORBIDDEN])
            .public(),
        Operation::post("/api/v1/blog/comments/{comment_id}/reports", "reportComment", report)
            .tag("Comments")
            .summary("Report a comment")
            .describe("Asks a moderator to look at it.")
            .raises(&[&RATE_LIMITED])
            .public(),
        Operation::post("/api/v1/blog/comments/actions/moderate", "moderateComments", moderate)
            .tag("Comments")
            .summary("Decide about comments")
            .describe("Gives up to 500 comments a status, all or none; tells what became of each.")
            .requires(&MODERATE_COMMENTS),
    ]
}

/// The secret with which a guest changes a comment: the header `Edit-Token`.
struct EditToken(Option<String>);

impl FromRequestParts<App> for EditToken {
    type Rejection = Error;
    async fn from_request_parts(parts: &mut Parts, _: &App) -> Result<Self> {
        let token = parts.headers.get("edit-token").and_then(|value| value.to_str().ok());
        Ok(EditToken(token.filter(|token| token.len() <= 128).map(str::to_owned)))
    }
}

impl Describe for EditToken {
    fn describe(doc: &mut OperationDoc) {
        doc.request_headers.push(("Edit-Token", "The token that a guest got with the comment."));
    }
}

/// A comment.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[schema(example = json!({
    "id": "019ab0b2-8f00-7000-8000-000000000001", "version": 1, "thread_id": "019ab0b2-8f00-7000-8000-000000000002",
    "post_id": "019ab0b2-8f00-7000-8000-000000000003", "seq": 1, "parent_id": null, "root_id": "019ab0b2-8f00-7000-8000-000000000001",
    "depth": 0, "status": "approved", "is_deleted": false, "is_guest": true, "author_name": "Emmy", "author_website": null,
    "html": "<p>Well said.</p>\n", "body": null, "reply_count": 0, "spam_score": null, "report_count": null,
    "created_at": "2026-11-22T12:00:00.000Z", "edited_at": null
}))]
pub(crate) struct CommentView {
    /// The comment.
    #[schema(value_type = uuid::Uuid)]
    id: Id<Comment>,
    /// Grows with every change.
    version: i64,
    /// The conversation.
    #[schema(value_type = uuid::Uuid)]
    thread_id: Id<Thread>,
    /// The post below which it stands.
    #[schema(value_type = Option<uuid::Uuid>)]
    post_id: Option<Id<Post>>,
    /// Counts the comments of the conversation.
    seq: i64,
    /// The comment that it answers.
    #[schema(value_type = Option<uuid::Uuid>)]
    parent_id: Option<Id<Comment>>,
    /// The comment at the top of its branch; itself when it answers none.
    #[schema(value_type = uuid::Uuid)]
    root_id: Id<Comment>,
    /// How deep it is nested.
    depth: i64,
    /// Whether it is public.
    status: Status,
    /// Whether it is an empty place that stays for its replies.
    is_deleted: bool,
    /// Whether it was written without an account.
    is_guest: bool,
    /// Who wrote it; null when it is deleted.
    author_name: Option<String>,
    /// Where to find more of a guest.
    author_website: Option<String>,
    /// Safe HTML; null when it is deleted.
    html: Option<String>,
    /// What was written; null for everybody but its writer and moderators.
    body: Option<String>,
    /// How many public replies answer it.
    reply_count: i64,
    /// How much it looks like spam, 0 to 100; only moderators see it.
    spam_score: Option<i64>,
    /// How often it was reported; only moderators see it.
    report_count: Option<i64>,
    /// When it was written.
    created_at: Timestamp,
    /// When it was last changed.
    edited_at: Option<Timestamp>,
}

impl CommentView {
    pub(crate) fn of(comment: CommentRecord, eyes: Eyes) -> CommentView {
        let is_there = !comment.is_deleted;
        let for_moderators = |value: i64| (eyes == Eyes::Moderator).then_some(value);
        CommentView {
            id: comment.id,
            version: comment.version,
            thread_id: comment.thread_id,
            post_id: comment.post_id,
            seq: comment.seq,
            parent_id: comment.parent_id,
            root_id: comment.root_id,
            depth: comment.depth,
            status: comment.status,
            is_deleted: comment.is_deleted,
            is_guest: is_there && comment.author_user_id.is_none(),
            author_name: is_there.then_some(comment.author_name),
            author_website: comment.guest_website,
            html: is_there.then_some(comment.html),
            body: (is_there && eyes != Eyes::Everybody).then_some(comment.source),
            reply_count: comment.reply_count,
            spam_score: for_moderators(comment.spam_score),
            report_count: for_moderators(comment.report_count),
            created_at: comment.created_at,
            edited_at: comment.edited_at,
        }
    }
}

/// A comment that was written.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({
    "comment": {
        "id": "019ab0b2-8f00-7000-8000-000000000001", "version": 1, "thread_id": "019ab0b2-8f00-7000-8000-000000000002", "post_id": null,
        "seq": 1, "parent_id": null, "root_id": "019ab0b2-8f00-7000-8000-000000000001", "depth": 0, "status": "pending",
        "is_deleted": false, "is_guest": true, "author_name": "Emmy", "author_website": null, "html": "<p>Well said.</p>\n",
        "body": "Well said.", "reply_count": 0, "spam_score": null, "report_count": null, "created_at": "2026-11-22T12:00:00.000Z",
        "edited_at": null
    },
    "edit_token": "9Zc3vVb1Yw0K5tq8XoJmR2dLh7sPnUeGfA4iBkC6xTM"
}))]
struct CommentReceipt {
    /// The comment.
    comment: CommentView,
    /// What a guest sends as Edit-Token to change it; shown once, null with an account.
    edit_token: Option<String>,
}

/// Somebody without an account.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"name": "Emmy", "email": "emmy@example.com"}))]
struct CommentGuest {
    /// The name above the comment.
    #[schema(min_length = 1, max_length = 80)]
    name: String,
    /// An address; never shown.
    #[schema(format = "email", max_length = 254)]
    email: Option<String>,
    /// An absolute http or https address, shown with the name.
    #[schema(max_length = 500)]
    website: Option<String>,
}

/// A comment to be written.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewComment, example = json!({"body": "Well said.", "guest": {"name": "Emmy"}}))]
struct NewCommentBody {
    /// What it says, in Markdown.
    #[schema(min_length = 1, max_length = 10000)]
    body: String,
    /// The comment that it answers.
    #[schema(value_type = Option<uuid::Uuid>)]
    parent_id: Option<Id<Comment>>,
    /// Who writes it, without an account.
    guest: Option<CommentGuest>,
    /// A field that people do not see; only programs fill it in.
    #[serde(default)]
    #[schema(max_length = 500)]
    nickname: String,
    /// How long writing took, as the page measured it.
    #[schema(minimum = 0, maximum = 86400)]
    writing_seconds: Option<i64>,
}

impl NewCommentBody {
    fn checked(self) -> Result<NewComment> {
        let guest = match self.guest {
            Some(CommentGuest { website: Some(website), .. }) if web_address(&website).is_none() => {
                return Err(Error::invalid(vec![crate::wire::not_an_address("/guest/website")]));
            }
            Some(CommentGuest { name, email, website }) => Some(Guest { name, email, website }),
            None => None,
        };
        Ok(NewComment {
            parent_id: self.parent_id,
            source: self.body,
            guest,
            is_trap_filled: !self.nickname.is_empty(),
            seconds: self.writing_seconds,
        })
    }
}

/// How a conversation is listed.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum CommentListView {
    /// Only what answers nothing, or only what answers one root.
    Branches,
    /// All of it.
    Flat,
}

/// Which comments of a conversation to list.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct CommentListFilter {
    /// How many comments a page holds, 1 to 100.
    #[schema(minimum = 1)]
    limit: Option<u32>,
    /// Where the page before ended.
    #[schema(max_length = 1024)]
    cursor: Option<String>,
    /// The replies below this comment.
    #[schema(value_type = Option<uuid::Uuid>)]
    root_id: Option<Id<Comment>>,
    /// `branches` or `flat`.
    view: Option<CommentListView>,
    /// `seq`, with a minus for descending.
    #[schema(max_length = 40)]
    sort: Option<String>,
}

impl CommentListFilter {
    fn parts(self) -> (CommentFilter, PageRequest) {
        let is_flat = matches!(self.view, Some(CommentListView::Flat));
        (CommentFilter { root_id: self.root_id, is_flat, sort: self.sort }, PageRequest::new(self.limit, self.cursor))
    }
}

/// Which comments a moderator asks for.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct CommentQueueFilter {
    /// How many comments a page holds, 1 to 100.
    #[schema(minimum = 1)]
    limit: Option<u32>,
    /// Where the page before ended.
    #[schema(max_length = 1024)]
    cursor: Option<String>,
    /// Only comments with this status.
    status: Option<Status>,
    /// Only comments of this conversation.
    #[schema(value_type = Option<uuid::Uuid>)]
    thread_id: Option<Id<Thread>>,
    /// `created_at`, with a minus for descending.
    #[schema(max_length = 40)]
    sort: Option<String>,
}

/// What to change about a comment.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = CommentPatch, example = json!({"body": "Very well said."}))]
struct CommentPatchBody {
    /// What it says, in Markdown.
    #[schema(min_length = 1, max_length = 10000)]
    body: String,
}

/// A decision about comments.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ModerateComments, example = json!({"ids": ["019ab0b2-8f00-7000-8000-000000000001"], "status": "approved"}))]
struct ModerateBody {
    /// The comments.
    #[schema(value_type = Vec<uuid::Uuid>, min_items = 1, max_items = 500)]
    ids: Vec<Id<Comment>>,
    /// What they become.
    status: Status,
}

/// What became of the comments.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({"results": [{"id": "019ab0b2-8f00-7000-8000-000000000001", "outcome": "changed"}]}))]
struct ModeratedComments {
    /// One entry for each id, in their order.
    results: Vec<ModeratedComment>,
}

/// What became of one comment.
#[derive(Serialize, ToSchema)]
struct ModeratedComment {
    /// The comment.
    #[schema(value_type = uuid::Uuid)]
    id: Id<Comment>,
    /// `changed`, `unchanged` or `not_found`.
    outcome: &'static str,
}

fn receipt(receipt: Receipt) -> Created<CommentReceipt> {
    let Receipt { comment, edit_token } = receipt;
    let location = format!("/api/v1/blog/comments/{}", comment.id);
    Created { location, body: CommentReceipt { comment: CommentView::of(comment, Eyes::Writer), edit_token } }
}

async fn of_post(ctx: Ctx, Path(id): Path<Id<Post>>, Query(filter): Query<CommentListFilter>) -> Result<List<CommentView>> {
    let ((filter, request), target) = (filter.parts(), Target::post(&ctx, id));
    let page = list::of_target(&ctx, "listPostComments", target, filter, request).await?;
    Ok(List(page.map(|(comment, eyes)| CommentView::of(comment, eyes))))
}

async fn of_thread(ctx: Ctx, Path(id): Path<Id<Thread>>, Query(filter): Query<CommentListFilter>) -> Result<List<CommentView>> {
    let (filter, request) = filter.parts();
    let page = list::of_target(&ctx, "listThreadComments", Target::Thread(id), filter, request).await?;
    Ok(List(page.map(|(comment, eyes)| CommentView::of(comment, eyes))))
}

async fn create_on_post(ctx: Ctx, Path(id): Path<Id<Post>>, Body(body): Body<NewCommentBody>) -> Result<Created<CommentReceipt>> {
    let target = Target::post(&ctx, id);
    Ok(receipt(create::create(&ctx, target, body.checked()?).await?))
}

async fn create_on_thread(ctx: Ctx, Path(id): Path<Id<Thread>>, Body(body): Body<NewCommentBody>) -> Result<Created<CommentReceipt>> {
    Ok(receipt(create::create(&ctx, Target::Thread(id), body.checked()?).await?))
}

async fn queue(ctx: Ctx, Query(filter): Query<CommentQueueFilter>) -> Result<List<CommentView>> {
    let request = PageRequest::new(filter.limit, filter.cursor);
    let filter = QueueFilter { status: filter.status, thread_id: filter.thread_id, sort: filter.sort };
    let page = list::queue(&ctx, filter, request).await?;
    Ok(List(page.map(|comment| CommentView::of(comment, Eyes::Moderator))))
}

fn with_etag((comment, eyes): (CommentRecord, Eyes)) -> Etag<Json<CommentView>> {
    Etag { version: comment.version, answer: Json(CommentView::of(comment, eyes)) }
}

async fn get(ctx: Ctx, Path(id): Path<Id<Comment>>, EditToken(token): EditToken) -> Result<Json<CommentView>> {
    let (comment, eyes) = service::find(&ctx, id, token.as_deref()).await?;
    Ok(Json(CommentView::of(comment, eyes)))
}

async fn update(
    ctx: Ctx,
    Path(id): Path<Id<Comment>>,
    EditToken(token): EditToken,
    if_match: IfMatch,
    Body(body): Body<CommentPatchBody>,
) -> Result<Etag<Json<CommentView>>> {
    Ok(with_etag(service::update(&ctx, id, body.body, token.as_deref(), if_match).await?))
}

async fn delete(ctx: Ctx, Path(id): Path<Id<Comment>>, EditToken(token): EditToken, if_match: IfMatch) -> Result<NoContent> {
    service::delete(&ctx, id, token.as_deref(), if_match).await?;
    Ok(NoContent)
}

async fn report(ctx: Ctx, Path(id): Path<Id<Comment>>) -> Result<NoContent> {
    service::report(&ctx, id).await?;
    Ok(NoContent)
}

async fn moderate(ctx: Ctx, Body(body): Body<ModerateBody>) -> Result<Json<ModeratedComments>> {
    let outcomes = service::moderate(&ctx, body.ids, body.status).await?;
    let result = |(id, outcome)| ModeratedComment {
        id,
        outcome: match outcome {
            Outcome::Changed => "changed",
            Outcome::Unchanged => "unchanged",
            Outcome::NotFound => "not_found",
        },
    };
    Ok(Json(ModeratedComments { results: outcomes.into_iter().map(result).collect() }))
}
