//! What writers of posts send, and what is checked beyond its schema.

use kernel::{Error, FieldError, Result, Timestamp};
use serde::{Deserialize, Deserializer};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::posts::seo::Seo;
use crate::posts::service::{Links, NewPost, PostPatch, Written};
use crate::posts::{MAX_BODY_BYTES, Visibility};
use crate::rendering::Format;
use crate::slugs::Slug;
use crate::slugs::service::Wish;
use crate::threads::Policy;
use crate::wire::{not_an_address, web_address};

/// Tells a member that is null from one that is absent.
pub(crate) fn present<'de, T: Deserialize<'de>, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Option<T>>, D::Error> {
    Option::<T>::deserialize(deserializer).map(Some)
}

/// What an author writes.
#[derive(Clone, Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewPostBody, example = json!({"format": "markdown", "source": "A walk that *cannot* be."}))]
pub(crate) struct BodyInput {
    /// How it is written.
    #[serde(default)]
    format: Format,
    /// The text, at most 768 KiB.
    #[schema(max_length = 786432)]
    #[serde(default)]
    source: String,
}

/// A post to be begun.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewPost, example = json!({"title": "Seven bridges", "body": {"format": "markdown", "source": "A walk that *cannot* be."}}))]
pub(crate) struct NewPostInput {
    /// Its title.
    #[schema(min_length = 1, max_length = 255)]
    title: String,
    /// Its name in addresses; made from the title when absent.
    #[schema(min_length = 1, max_length = 100)]
    slug: Option<String>,
    /// Whether it may take over a former slug of another post.
    #[serde(default)]
    claim_slug: bool,
    /// Its language; the default one when absent.
    #[schema(min_length = 2, max_length = 35)]
    locale: Option<String>,
    /// What it is about.
    #[schema(min_length = 1, max_length = 1000)]
    excerpt: Option<String>,
    /// What it says.
    #[serde(default)]
    body: BodyInput,
    /// Who finds it once it is published.
    #[serde(default)]
    visibility: Visibility,
    /// What the head of a page says about it.
    #[serde(default)]
    seo: Seo,
    /// Who may comment; the site's policy when absent.
    comment_policy: Option<Policy>,
    /// The picture that stands for it: a file of the library.
    featured_media_id: Option<Uuid>,
    /// Who wrote it, in order; you when absent.
    #[schema(min_items = 1, max_items = 20)]
    author_ids: Option<Vec<Uuid>>,
    /// Its tags and categories, in order.
    #[serde(default)]
    #[schema(max_items = 50)]
    tag_ids: Vec<Uuid>,
}

/// What to change about a post.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = PostPatch, example = json!({"title": "Eight bridges"}))]
pub(crate) struct PostPatchInput {
    /// Its title.
    #[schema(min_length = 1, max_length = 255)]
    title: Option<String>,
    /// Its name in addresses; the old one leads to the new one.
    #[schema(min_length = 1, max_length = 100)]
    slug: Option<String>,
    /// Whether it may take over a former slug of another post.
    #[serde(default)]
    claim_slug: bool,
    /// What it is about; null for the beginning of its text.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<String>, min_length = 1, max_length = 1000)]
    excerpt: Option<Option<String>>,
    /// What it says.
    body: Option<BodyInput>,
    /// Who finds it once it is published.
    visibility: Option<Visibility>,
    /// What the head of a page says about it, replaced as a whole.
    seo: Option<Seo>,
    /// Who may comment; null for the site's policy.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<Policy>)]
    comment_policy: Option<Option<Policy>>,
    /// The picture that stands for it; null for none.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<Uuid>)]
    featured_media_id: Option<Option<Uuid>>,
    /// Who wrote it, in order.
    #[schema(min_items = 1, max_items = 20)]
    author_ids: Option<Vec<Uuid>>,
    /// Its tags and categories, in order.
    #[schema(max_items = 50)]
    tag_ids: Option<Vec<Uuid>>,
}

/// A draft beside the post: everything that publishing replaces.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewPostDraft, example = json!({"title": "Eight bridges", "body": {"source": "A walk that can be."}, "base_version": 3}))]
pub(crate) struct DraftInput {
    /// The version of the post that the draft was begun from.
    #[schema(minimum = 1, maximum = 9007199254740991_i64)]
    pub(crate) base_version: i64,
    /// Whether the draft goes on although the post has changed since: its changes were carried over.
    #[serde(default)]
    pub(crate) rebase: bool,
    /// Its title.
    #[schema(min_length = 1, max_length = 255)]
    title: String,
    /// What it is about.
    #[schema(min_length = 1, max_length = 1000)]
    excerpt: Option<String>,
    /// What it says.
    #[serde(default)]
    body: BodyInput,
    /// Who finds it once it is published.
    visibility: Option<Visibility>,
    /// What the head of a page says about it; as it is when absent.
    seo: Option<Seo>,
    /// The picture that stands for it; as it is when absent, null for none.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<Uuid>)]
    featured_media_id: Option<Option<Uuid>>,
    /// Who wrote it, in order; as it is when absent.
    #[schema(min_items = 1, max_items = 20)]
    author_ids: Option<Vec<Uuid>>,
    /// Its tags and categories, in order; as they are when absent.
    #[schema(max_items = 50)]
    tag_ids: Option<Vec<Uuid>>,
}

/// When a post is public.
#[derive(Clone, Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = PublishPost, example = json!({"publish_at": "2026-12-24T17:00:00.000Z"}))]
pub(crate) struct PublishInput {
    /// From when; now when absent.
    pub(crate) publish_at: Option<Timestamp>,
    /// Until when; for ever when absent.
    pub(crate) unpublish_at: Option<Timestamp>,
}

/// Which revision comes back.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = RestorePost, example = json!({"revision": 3}))]
pub(crate) struct RestoreInput {
    /// The number of the revision.
    #[schema(minimum = 1, maximum = 9007199254740991_i64)]
    pub(crate) revision: i64,
    /// Whether it becomes the draft instead of the post itself.
    #[serde(default)]
    pub(crate) as_draft: bool,
}

/// Collects what is wrong, so that everything is told at once.
#[derive(Default)]
struct Checks(Vec<FieldError>);

impl Checks {
    fn slug(&mut self, typed: Option<&str>) -> Option<Slug> {
        Slug::from_body(typed?, "/slug").map_err(|error| self.0.push(error)).ok()
    }

    fn body(&mut self, body: BodyInput) -> Written {
        if body.source.len() > MAX_BODY_BYTES {
            self.0.push(FieldError::body("/body/source", "too_long", "At most 768 KiB."));
        }
        Written { format: body.format, source: body.source }
    }

    fn seo(&mut self, seo: &Seo) {
        for (address, pointer) in [(&seo.canonical_url, "/seo/canonical_url"), (&seo.image_url, "/seo/image_url")] {
            if address.as_deref().is_some_and(|text| web_address(text).is_none()) {
                self.0.push(not_an_address(pointer));
            }
        }
    }

    fn once(&mut self, ids: Option<&[Uuid]>, pointer: &'static str) {
        let Some(ids) = ids else { return };
        let mut sorted = ids.to_vec();
        sorted.sort_unstable();
        sorted.dedup();
        if sorted.len() < ids.len() {
            self.0.push(FieldError::body(pointer, "not_unique", "No entry may occur twice."));
        }
    }

    fn links(&mut self, author_ids: Option<Vec<Uuid>>, tag_ids: Option<Vec<Uuid>>) -> Links {
        self.once(author_ids.as_deref(), "/author_ids");
        self.once(tag_ids.as_deref(), "/tag_ids");
        Links { author_ids, tag_ids }
    }

    fn done<T>(self, value: T) -> Result<T> {
        if self.0.is_empty() { Ok(value) } else { Err(Error::invalid(self.0)) }
    }
}

impl NewPostInput {
    pub(crate) fn checked(self) -> Result<NewPost> {
        let mut checks = Checks::default();
        let slug = checks.slug(self.slug.as_deref());
        let wish = match slug {
            Some(slug) => Wish::Exactly { slug, claim: self.claim_slug },
            None => Wish::Like(Slug::from_text(&self.title, "post")),
        };
        checks.seo(&self.seo);
        let new = NewPost {
            locale: self.locale,
            wish,
            patch: PostPatch {
                title: Some(self.title),
                excerpt: Some(self.excerpt),
                body: Some(checks.body(self.body)),
                visibility: Some(self.visibility),
                seo: Some(self.seo),
                comment_policy: Some(self.comment_policy),
                featured_media_id: Some(self.featured_media_id),
                links: checks.links(self.author_ids, Some(self.tag_ids)),
                slug: None,
            },
        };
        checks.done(new)
    }
}

impl NewPostInput {
    /// The same as a change of every member; authors and slug stay unless they are named.
    pub(crate) fn checked_replacement(self) -> Result<PostPatch> {
        let is_slug_named = self.slug.is_some();
        if self.locale.is_some() {
            return Err(Error::invalid(vec![FieldError::body("/locale", "not_allowed", "The language of a post cannot change.")]));
        }
        let new = self.checked()?;
        Ok(PostPatch { slug: is_slug_named.then_some(new.wish), ..new.patch })
    }
}

impl PostPatchInput {
    pub(crate) fn checked(self) -> Result<PostPatch> {
        let mut checks = Checks::default();
        let slug = checks.slug(self.slug.as_deref()).map(|slug| Wish::Exactly { slug, claim: self.claim_slug });
        if let Some(seo) = &self.seo {
            checks.seo(seo);
        }
        let patch = PostPatch {
            title: self.title,
            excerpt: self.excerpt,
            body: self.body.map(|body| checks.body(body)),
            visibility: self.visibility,
            seo: self.seo,
            comment_policy: self.comment_policy,
            featured_media_id: self.featured_media_id,
            links: checks.links(self.author_ids, self.tag_ids),
            slug,
        };
        checks.done(patch)
    }
}

impl DraftInput {
    pub(crate) fn checked(self) -> Result<PostPatch> {
        let mut checks = Checks::default();
        if let Some(seo) = &self.seo {
            checks.seo(seo);
        }
        let patch = PostPatch {
            title: Some(self.title),
            excerpt: Some(self.excerpt),
            body: Some(checks.body(self.body)),
            visibility: self.visibility,
            seo: self.seo,
            comment_policy: None,
            featured_media_id: self.featured_media_id,
            links: checks.links(self.author_ids, self.tag_ids),
            slug: None,
        };
        checks.done(patch)
    }
}
