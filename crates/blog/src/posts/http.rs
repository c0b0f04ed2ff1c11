//! Posts over HTTP.

use axum::response::{IntoResponse, Response};
use http::header::LOCATION;
use http::{HeaderValue, StatusCode};
use kernel::error::{CURSOR_INVALID, FORBIDDEN, GONE, INVALID_STATE, SORT_NOT_SUPPORTED};
use kernel::http::{Body, Created, Describe, Etag, Json, NoContent, Operation, OperationDoc, Path, Query, ResponseDoc};
use kernel::{Ctx, Error, Id, Result};
use serde::Deserialize;
use utoipa::ToSchema;

use crate::permissions::{CREATE_POSTS, PUBLISH_OWN_POSTS, PUBLISH_POSTS, TRASH_POSTS, UPDATE_OWN_POSTS, UPDATE_POSTS};
use crate::posts::lifecycle::{self, Times};
use crate::posts::list::{self, PostFilter};
use crate::posts::service::{self, BySlug};
use crate::posts::view::{PostSummary, PostView};
use crate::posts::wire::{NewPostInput, PostPatchInput, PublishInput, RestoreInput};
use crate::posts::{Post, PostDetails, Visibility};
use crate::problems::{ALREADY_PUBLISHED, DRAFT_OUTDATED, SLUG_TAKEN};
use crate::wire::{Finished, Many, One, PostMatch};

pub(crate) fn operations() -> [Operation; 11] {
    [
        Operation::get("/api/v1/blog/posts", "listPosts", list)
            .tag("Blog")
            .summary("List posts")
            .describe("Everybody sees published public posts, authors their own too, editors all. Newest first unless sorted otherwise. Sort keys: published_at, created_at, updated_at, title.")
            .raises(&[&CURSOR_INVALID, &SORT_NOT_SUPPORTED])
            .public(),
        Operation::post("/api/v1/blog/posts", "createPost", create)
            .tag("Blog")
            .summary("Begin a post")
            .describe("It is a draft. Without authors it is yours; your author profile is made with your first post. Without a slug one is made from the title.")
            .raises(&[&SLUG_TAKEN])
            .requires(&CREATE_POSTS),
        Operation::get("/api/v1/blog/posts/{post_id}", "getPost", get)
            .tag("Blog")
            .summary("Read a post")
            .describe("The member body is there only for those who may change the post.")
            .public(),
        Operation::get("/api/v1/blog/posts/by-slug/{slug}", "getPostBySlug", get_by_slug)
            .tag("Blog")
            .summary("Read a post by its slug")
            .describe("A former slug leads to the current one; the slug of a deleted post is gone.")
            .raises(&[&GONE])
            .public(),
        Operation::put("/api/v1/blog/posts/{post_id}", "replacePost", replace)
            .tag("Blog")
            .summary("Replace a post")
            .describe("Absent members take their defaults; authors and slug stay unless named. The language cannot change.")
            .raises(&[&FORBIDDEN, &SLUG_TAKEN])
            .keys_with(&[&UPDATE_OWN_POSTS, &UPDATE_POSTS])
            .authenticated(),
        Operation::patch("/api/v1/blog/posts/{post_id}", "updatePost", update)
            .tag("Blog")
            .summary("Change a post")
            .describe("Absent members stay as they are. A published post changes at once; to prepare a change, save a draft. Send If-Match to change only what you saw.")
            .raises(&[&FORBIDDEN, &SLUG_TAKEN])
            .keys_with(&[&UPDATE_OWN_POSTS, &UPDATE_POSTS])
            .authenticated(),
        Operation::delete("/api/v1/blog/posts/{post_id}", "deletePost", delete)
            .tag("Blog")
            .summary("Move a post to the trash")
            .describe("It can be taken out for blog.trash_days. With permanent it is deleted for good, which needs blog:posts:purge.")
            .raises(&[&FORBIDDEN])
            .keys_with(&[&UPDATE_OWN_POSTS, &TRASH_POSTS])
            .authenticated(),
        Operation::post("/api/v1/blog/posts/{post_id}/actions/publish", "publishPost", publish)
            .tag("Blog")
            .summary("Publish a post")
            .describe("Now, or at publish_at; until unpublish_at if that is given. A draft beside the post is published with it.")
            .raises(&[&FORBIDDEN, &ALREADY_PUBLISHED, &DRAFT_OUTDATED, &INVALID_STATE])
            .keys_with(&[&PUBLISH_OWN_POSTS, &PUBLISH_POSTS])
            .authenticated(),
        Operation::post("/api/v1/blog/posts/{post_id}/actions/unpublish", "unpublishPost", unpublish)
            .tag("Blog")
            .summary("Take a post back from the public")
            .describe("Or from its schedule.")
            .raises(&[&FORBIDDEN, &INVALID_STATE])
            .keys_with(&[&PUBLISH_OWN_POSTS, &PUBLISH_POSTS])
            .authenticated(),
        Operation::post("/api/v1/blog/posts/{post_id}/actions/restore", "restorePost", restore)
            .tag("Blog")
            .summary("Bring an earlier revision back")
            .describe("As the post itself, which makes a new revision, or as its draft.")
            .raises(&[&FORBIDDEN])
            .keys_with(&[&TRASH_POSTS])
            .authenticated(),
        Operation::post("/api/v1/blog/posts/{post_id}/actions/untrash", "untrashPost", untrash)
            .tag("Blog")
            .summary("Take a post out of the trash")
            .describe("It is what it was before.")
            .raises(&[&INVALID_STATE])
            .requires(&TRASH_POSTS),
    ]
}

/// Which posts to list.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct PostListFilter {
    /// How many posts a page holds, 1 to 100.
    #[schema(minimum = 1)]
    limit: Option<u32>,
    /// Where the page before ended.
    #[schema(max_length = 1024)]
    cursor: Option<String>,
    /// `published_at`, `created_at`, `updated_at` or `title`, with a minus for descending.
    #[schema(max_length = 40)]
    sort: Option<String>,
    /// `draft`, `scheduled`, `published`, `unpublished` or `trashed`.
    #[schema(max_length = 16)]
    status: Option<String>,
    /// Only public, or only unlisted posts.
    visibility: Option<Visibility>,
    /// Only posts in this language.
    #[schema(max_length = 35)]
    locale: Option<String>,
    /// Only posts with this tag or category: its id or slug.
    #[schema(max_length = 100)]
    tag: Option<String>,
    /// Only posts by this author: the id or slug of the profile.
    #[schema(max_length = 100)]
    author: Option<String>,
    /// Only published posts in which these words occur.
    #[schema(max_length = 256)]
    q: Option<String>,
}

impl PostListFilter {
    fn checked(self) -> Result<PostFilter> {
        let mut text = url::form_urlencoded::Serializer::new(String::new());
        let limit = self.limit.map(|limit| limit.to_string());
        let visibility = self.visibility.map(|visibility| visibility.as_str().to_owned());
        // Every parameter but the cursor, always in the same order.
        let parameters = [
            ("limit", &limit),
            ("sort", &self.sort),
            ("status", &self.status),
            ("visibility", &visibility),
            ("locale", &self.locale),
            ("tag", &self.tag),
            ("author", &self.author),
            ("q", &self.q),
        ];
        for (name, value) in parameters {
            if let Some(value) = value {
                text.append_pair(name, value);
            }
        }
        let text = text.finish();
        Ok(PostFilter {
            limit: self.limit,
            cursor: self.cursor,
            sort: self.sort,
            status: list::status_named(self.status.as_deref())?,
            visibility: self.visibility,
            locale: self.locale,
            tag: self.tag,
            author: self.author,
            q: self.q,
            text,
        })
    }
}

/// In which language to look.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct SlugFilter {
    /// The language, BCP 47; without a post in it the next best is served.
    #[schema(min_length = 2, max_length = 35, pattern = "^[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8})*$")]
    locale: Option<String>,
}

/// How to delete.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct DeleteFilter {
    /// Whether it is deleted for good.
    #[serde(default)]
    permanent: bool,
}

fn with_etag(ctx: &Ctx, post: PostDetails) -> Etag<Json<PostView>> {
    Etag { version: post.record.version, answer: Json(service::view(&ctx.app, post, ctx.now())) }
}

async fn list(ctx: Ctx, Query(filter): Query<PostListFilter>) -> Result<Finished<Many<PostSummary>>> {
    let entry = list::list(&ctx, filter.checked()?).await?;
    Ok(Finished::of(&ctx, entry))
}

async fn create(ctx: Ctx, Body(input): Body<NewPostInput>) -> Result<Etag<Created<PostView>>> {
    let post = service::create(&ctx, input.checked()?).await?;
    let location = format!("/api/v1/blog/posts/{}", post.record.id);
    Ok(Etag { version: post.record.version, answer: Created { location, body: service::view(&ctx.app, post, ctx.now()) } })
}

async fn get(ctx: Ctx, Path(id): Path<Id<Post>>) -> Result<Finished<One<PostView>>> {
    let entry = service::read(&ctx, id).await?;
    Ok(Finished::of(&ctx, entry))
}

/// A post, or the way to it.
enum SlugAnswer {
    Here(Finished<One<PostView>>),
    Moved(String),
}

impl IntoResponse for SlugAnswer {
    fn into_response(self) -> Response {
        match self {
            SlugAnswer::Here(answer) => answer.into_response(),
            SlugAnswer::Moved(path) => match HeaderValue::try_from(path) {
                Ok(path) => (StatusCode::PERMANENT_REDIRECT, [(LOCATION, path)]).into_response(),
                Err(error) => Error::internal(error).into_response(),
            },
        }
    }
}

impl Describe for SlugAnswer {
    fn describe(doc: &mut OperationDoc) {
        Finished::<One<PostView>>::describe(doc);
        let status = StatusCode::PERMANENT_REDIRECT;
        doc.responses.push(ResponseDoc { status, body: None, is_list: false, media_type: None, headers: &["Location"] });
    }
}

async fn get_by_slug(ctx: Ctx, Path(slug): Path<String>, Query(filter): Query<SlugFilter>) -> Result<SlugAnswer> {
    Ok(match service::read_by_slug(&ctx, &slug, filter.locale.as_deref()).await? {
        BySlug::Here(entry) => SlugAnswer::Here(Finished::of(&ctx, entry)),
        BySlug::Moved(path) => SlugAnswer::Moved(path),
    })
}

async fn replace(
    ctx: Ctx,
    Path(id): Path<Id<Post>>,
    PostMatch(if_match): PostMatch,
    Body(input): Body<NewPostInput>,
) -> Result<Etag<Json<PostView>>> {
    let patch = input.checked_replacement()?;
    let post = service::update(&ctx, id, patch, if_match).await?;
    Ok(with_etag(&ctx, post))
}

async fn update(
    ctx: Ctx,
    Path(id): Path<Id<Post>>,
    PostMatch(if_match): PostMatch,
    Body(input): Body<PostPatchInput>,
) -> Result<Etag<Json<PostView>>> {
    let post = service::update(&ctx, id, input.checked()?, if_match).await?;
    Ok(with_etag(&ctx, post))
}

async fn delete(
    ctx: Ctx,
    Path(id): Path<Id<Post>>,
    PostMatch(if_match): PostMatch,
    Query(filter): Query<DeleteFilter>,
) -> Result<NoContent> {
    match filter.permanent {
        true => lifecycle::purge(&ctx, id, if_match).await?,
        false => lifecycle::trash(&ctx, id, if_match).await?,
    }
    Ok(NoContent)
}

async fn publish(
    ctx: Ctx,
    Path(id): Path<Id<Post>>,
    PostMatch(if_match): PostMatch,
    Body(input): Body<PublishInput>,
) -> Result<Etag<Json<PostView>>> {
    let times = Times { publish_at: input.publish_at, unpublish_at: input.unpublish_at };
    let post = lifecycle::publish(&ctx, id, times, if_match).await?;
    Ok(with_etag(&ctx, post))
}

async fn unpublish(ctx: Ctx, Path(id): Path<Id<Post>>, PostMatch(if_match): PostMatch) -> Result<Etag<Json<PostView>>> {
    let post = lifecycle::unpublish(&ctx, id, if_match).await?;
    Ok(with_etag(&ctx, post))
}

async fn restore(
    ctx: Ctx,
    Path(id): Path<Id<Post>>,
    PostMatch(if_match): PostMatch,
    Body(input): Body<RestoreInput>,
) -> Result<Etag<Json<PostView>>> {
    let post = lifecycle::restore(&ctx, id, input.revision, input.as_draft, if_match).await?;
    Ok(with_etag(&ctx, post))
}

async fn untrash(ctx: Ctx, Path(id): Path<Id<Post>>, PostMatch(if_match): PostMatch) -> Result<Etag<Json<PostView>>> {
    let post = lifecycle::untrash(&ctx, id, if_match).await?;
    Ok(with_etag(&ctx, post))
}
