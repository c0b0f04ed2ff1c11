//! Posts as the wire shows them.

use kernel::media::{MediaFile, MediaView};
use kernel::{App, Id, Timestamp};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::authors::Author;
use crate::events::PostChange;
use crate::posts::seo::SeoView;
use crate::posts::{Post, PostDetails, PostLine, PostRecord, Visibility};
use crate::rendering::Format;
use crate::settings::BlogSettings;
use crate::tags::{Tag, TagKind};
use crate::threads::Policy;

/// The most bytes of an event's payload before its long members are left out.
const MAX_EVENT_BYTES: usize = 20_000;

/// An author as a post shows it.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct PostAuthor {
    /// The profile.
    #[schema(value_type = Uuid)]
    pub(crate) id: Id<Author>,
    /// Its name in addresses.
    pub(crate) slug: String,
    /// The name above the post.
    pub(crate) name: String,
}

/// A tag as a post shows it.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct PostTag {
    /// The tag.
    #[schema(value_type = Uuid)]
    pub(crate) id: Id<Tag>,
    /// `tag` or `category`.
    pub(crate) kind: TagKind,
    /// Its name in addresses.
    pub(crate) slug: String,
    /// Its name.
    pub(crate) name: String,
}

/// A picture as a post shows it.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct PostMedia {
    /// The file.
    #[schema(value_type = Uuid)]
    id: Id<MediaFile>,
    /// The path of the original.
    pub(crate) url: String,
    /// The path of a preset's size, with the preset's name for `{preset}`; null when there are no sizes.
    variants_url: Option<String>,
    /// What it shows, for those who do not see it.
    alt: Option<String>,
    /// Its width.
    width: Option<i64>,
    /// Its height.
    height: Option<i64>,
    /// A BlurHash, to be shown until it is there.
    placeholder: Option<String>,
}

impl From<MediaView> for PostMedia {
    fn from(file: MediaView) -> Self {
        let MediaView { id, url, variants_url, alt, width, height, placeholder, .. } = file;
        PostMedia { id, url, variants_url, alt, width, height, placeholder }
    }
}

/// What an author wrote.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct PostBodyView {
    /// How it is written.
    pub(crate) format: Format,
    /// The text as it was written.
    pub(crate) source: String,
}

/// A post.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[schema(example = json!({
    "id": "019ab0b2-8f00-7000-8000-000000000001", "version": 3, "status": "published", "visibility": "public", "locale": "en",
    "served_locale": "en", "translation_group_id": "019ab0b2-8f00-7000-8000-000000000001", "slug": "seven-bridges", "title": "Seven bridges",
    "excerpt": "A walk that cannot be.", "body": null, "html": "<p>A walk that cannot be.</p>\n", "text": "A walk that cannot be.",
    "authors": [{"id": "019ab0b2-8f00-7000-8000-000000000002", "slug": "ada", "name": "Ada Lovelace"}],
    "tags": [{"id": "019ab0b2-8f00-7000-8000-000000000003", "kind": "tag", "slug": "bridges", "name": "Bridges"}],
    "featured_media": null,
    "seo": {
        "title": "Seven bridges", "description": "A walk that cannot be.", "canonical_url": "https://example.com/seven-bridges",
        "image_url": null, "is_indexed": true, "open_graph": {"og:type": "article"}, "json_ld": {"@type": "BlogPosting"}
    },
    "comment_policy": null, "comment_count": 0, "word_count": 5, "reading_seconds": 2, "url": "https://example.com/seven-bridges",
    "published_at": "2026-11-22T12:00:00.000Z", "unpublish_at": null, "created_at": "2026-11-22T12:00:00.000Z",
    "updated_at": "2026-11-22T12:00:00.000Z"
}))]
pub(crate) struct PostView {
    /// The post.
    #[schema(value_type = Uuid)]
    pub(crate) id: Id<Post>,
    /// Grows with every change.
    pub(crate) version: i64,
    /// `draft`, `scheduled`, `published`, `unpublished` or `trashed`.
    pub(crate) status: String,
    /// Who finds it once it is published.
    visibility: Visibility,
    /// Its language, BCP 47.
    locale: String,
    /// The language that was served, when another one was asked for.
    served_locale: String,
    /// What the same post in other languages shares.
    translation_group_id: Uuid,
    /// Its name in addresses.
    pub(crate) slug: String,
    /// Its title.
    pub(crate) title: String,
    /// What it is about; the beginning of its text unless one was written.
    excerpt: String,
    /// What the author wrote; null for those who may not change it.
    body: Option<PostBodyView>,
    /// Safe HTML; null in events when it is long.
    pub(crate) html: Option<String>,
    /// The same as plain text; null in events when it is long.
    pub(crate) text: Option<String>,
    /// Who wrote it, in order.
    authors: Vec<PostAuthor>,
    /// Its tags and categories, in order.
    tags: Vec<PostTag>,
    /// The picture that stands for it.
    featured_media: Option<PostMedia>,
    /// What the head of a page says about it.
    pub(crate) seo: SeoView,
    /// Who may comment; null for the site's policy.
    comment_policy: Option<Policy>,
    /// How many comments are public.
    comment_count: i64,
    /// How many words it has.
    word_count: i64,
    /// How long reading it takes.
    reading_seconds: i64,
    /// Where it stands.
    pub(crate) url: String,
    /// When it became or becomes public.
    pub(crate) published_at: Option<Timestamp>,
    /// When it stops being public.
    unpublish_at: Option<Timestamp>,
    /// When it was begun.
    created_at: Timestamp,
    /// When it last changed.
    pub(crate) updated_at: Timestamp,
}

/// A post in a list: without its long texts.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(example = json!({
    "id": "019ab0b2-8f00-7000-8000-000000000001", "version": 3, "status": "published", "visibility": "public", "locale": "en",
    "translation_group_id": "019ab0b2-8f00-7000-8000-000000000001", "slug": "seven-bridges", "title": "Seven bridges",
    "excerpt": "A walk that cannot be.",
    "authors": [{"id": "019ab0b2-8f00-7000-8000-000000000002", "slug": "ada", "name": "Ada Lovelace"}],
    "tags": [{"id": "019ab0b2-8f00-7000-8000-000000000003", "kind": "tag", "slug": "bridges", "name": "Bridges"}],
    "featured_media": null,
    "comment_policy": null, "comment_count": 0, "word_count": 5, "reading_seconds": 2, "url": "https://example.com/seven-bridges",
    "published_at": "2026-11-22T12:00:00.000Z", "unpublish_at": null, "created_at": "2026-11-22T12:00:00.000Z",
    "updated_at": "2026-11-22T12:00:00.000Z"
}))]
pub(crate) struct PostSummary {
    /// The post.
    #[schema(value_type = Uuid)]
    id: Id<Post>,
    /// Grows with every change.
    version: i64,
    /// `draft`, `scheduled`, `published`, `unpublished` or `trashed`.
    status: &'static str,
    /// Who finds it once it is published.
    visibility: Visibility,
    /// Its language, BCP 47.
    locale: String,
    /// What the same post in other languages shares.
    translation_group_id: Uuid,
    /// Its name in addresses.
    slug: String,
    /// Its title.
    title: String,
    /// What it is about.
    excerpt: String,
    /// Who wrote it, in order.
    authors: Vec<PostAuthor>,
    /// Its tags and categories, in order.
    tags: Vec<PostTag>,
    /// The picture that stands for it.
    featured_media: Option<PostMedia>,
    /// Who may comment; null for the site's policy.
    comment_policy: Option<Policy>,
    /// How many comments are public.
    comment_count: i64,
    /// How many words it has.
    word_count: i64,
    /// How long reading it takes.
    reading_seconds: i64,
    /// Where it stands.
    url: String,
    /// When it became or becomes public.
    published_at: Option<Timestamp>,
    /// When it stops being public.
    unpublish_at: Option<Timestamp>,
    /// When it was begun.
    created_at: Timestamp,
    /// When it last changed.
    updated_at: Timestamp,
}

/// The address of a post.
pub(crate) fn url_of(app: &App, post: &PostRecord) -> String {
    app.settings::<BlogSettings>().post_url(app, &post.locale, &post.slug)
}

/// The address of an author's page.
pub(crate) fn author_url(app: &App, slug: &str) -> String {
    format!("{}/authors/{}", app.settings::<BlogSettings>().site_url(app), crate::settings::percent_encoded(slug))
}

/// Whether a view shows what the author wrote.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    Shown,
    Hidden,
}

impl PostView {
    /// The view of a post at this instant.
    pub(crate) fn of(app: &App, post: PostDetails, now: Timestamp, source: Source) -> PostView {
        let PostDetails { mut record, body, authors, tags, featured } = post;
        let url = url_of(app, &record);
        let pages = authors.iter().map(|author| (author.name.clone(), author_url(app, &author.slug))).collect();
        PostView {
            seo: SeoView::of(app, &record, &body, &url, pages, featured.as_ref().map(|file| file.url.as_str())),
            id: record.id,
            version: record.version,
            status: record.reported_status(now).to_owned(),
            visibility: record.visibility,
            served_locale: record.locale.clone(),
            translation_group_id: record.translation_group_id,
            excerpt: record.take_excerpt(),
            reading_seconds: record.reading_seconds(),
            locale: record.locale,
            slug: record.slug,
            title: record.title,
            body: (source == Source::Shown).then_some(PostBodyView { format: body.format, source: body.source }),
            html: Some(body.html),
            text: Some(body.text),
            authors,
            tags,
            featured_media: featured.map(PostMedia::from),
            comment_policy: record.comment_policy,
            comment_count: record.comment_count,
            word_count: record.word_count,
            url,
            published_at: record.published_at,
            unpublish_at: record.unpublish_at,
            created_at: record.created_at,
            updated_at: record.updated_at,
        }
    }

    /// The payload of an event: long members are null and named in `omitted`.
    pub(crate) fn into_change(mut self, changed_fields: Vec<String>) -> PostChange {
        let length = |text: &Option<String>| text.as_ref().map_or(0, String::len);
        let mut omitted = Vec::new();
        if length(&self.html) + length(&self.text) > MAX_EVENT_BYTES {
            (self.html, self.text) = (None, None);
            omitted = vec!["html".to_owned(), "text".to_owned()];
        }
        PostChange { post_id: self.id.uuid(), version: self.version, changed_fields, omitted, post: self }
    }
}

impl PostSummary {
    /// The line of a post at this instant.
    pub(crate) fn of(app: &App, post: PostLine, now: Timestamp) -> PostSummary {
        let PostLine { mut record, authors, tags, featured } = post;
        PostSummary {
            url: url_of(app, &record),
            status: record.reported_status(now),
            excerpt: record.take_excerpt(),
            reading_seconds: record.reading_seconds(),
            id: record.id,
            version: record.version,
            visibility: record.visibility,
            locale: record.locale,
            translation_group_id: record.translation_group_id,
            slug: record.slug,
            title: record.title,
            authors,
            tags,
            featured_media: featured.map(PostMedia::from),
            comment_policy: record.comment_policy,
            comment_count: record.comment_count,
            word_count: record.word_count,
            published_at: record.published_at,
            unpublish_at: record.unpublish_at,
            created_at: record.created_at,
            updated_at: record.updated_at,
        }
    }
}
