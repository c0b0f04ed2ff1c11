//! Posts: what they consist of, and when they are visible (BLG-1 to BLG-3). Pure.

pub(crate) mod access;
pub(crate) mod http;
pub(crate) mod lifecycle;
pub(crate) mod list;
pub(crate) mod seo;
pub(crate) mod service;
pub(crate) mod store;
pub(crate) mod view;
pub(crate) mod wire;

use db::{FromValue, ValueError, ValueRef};
use kernel::media::{self, MediaFile, MediaView};
use kernel::{Id, Timestamp};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::posts::seo::Seo;
use crate::posts::view::{PostAuthor, PostTag};
use crate::rendering::{Format, Rendered};
use crate::threads::Policy;

/// The marker of a post's identifier.
#[derive(Debug)]
pub(crate) enum Post {}

/// The most characters of a body's source bytes (blog.md §13).
pub(crate) const MAX_BODY_BYTES: usize = 768 * 1024;
/// Words that somebody reads a minute.
const WORDS_A_MINUTE: i64 = 230;
/// The most bytes of a folded title that lists are sorted by, so that cursors stay short.
const MAX_SORT_TITLE: usize = 180;

/// What is stored about a post's way to the public; times decide the rest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Status {
    /// Never published.
    Draft,
    /// Public from `published_at` on.
    Published,
    /// Was public.
    Unpublished,
}

impl Status {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Status::Draft => "draft",
            Status::Published => "published",
            Status::Unpublished => "unpublished",
        }
    }

    pub(crate) fn parse(text: &str) -> Status {
        match text {
            "published" => Status::Published,
            "unpublished" => Status::Unpublished,
            _ => Status::Draft,
        }
    }
}

impl FromValue for Status {
    fn from_value(value: ValueRef<'_>) -> Result<Self, ValueError> {
        match value {
            ValueRef::Text(text) => Ok(Status::parse(text)),
            _ => Err(ValueError::new("a status", &value)),
        }
    }
}

/// Who finds a post that is published.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Visibility {
    /// Everybody.
    #[default]
    Public,
    /// Whoever has its address; it stands in no list, feed or search.
    Unlisted,
}

impl Visibility {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Visibility::Public => "public",
            Visibility::Unlisted => "unlisted",
        }
    }

    pub(crate) fn parse(text: &str) -> Visibility {
        if text == "unlisted" { Visibility::Unlisted } else { Visibility::Public }
    }
}

impl FromValue for Visibility {
    fn from_value(value: ValueRef<'_>) -> Result<Self, ValueError> {
        match value {
            ValueRef::Text(text) => Ok(Visibility::parse(text)),
            _ => Err(ValueError::new("a visibility", &value)),
        }
    }
}

/// What a post says: all that a revision keeps and a draft replaces.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Content {
    pub(crate) title: String,
    pub(crate) excerpt: Option<String>,
    pub(crate) format: Format,
    pub(crate) source: String,
    pub(crate) visibility: Visibility,
    pub(crate) seo: Seo,
    pub(crate) comment_policy: Option<Policy>,
    pub(crate) featured_media_id: Option<Uuid>,
    pub(crate) author_ids: Vec<Uuid>,
    pub(crate) tag_ids: Vec<Uuid>,
}

impl Content {
    /// The files that this shows: the picture that stands for it, those in its text and the one of link previews.
    pub(crate) fn files(&self, html: &str) -> Vec<Id<MediaFile>> {
        let featured = self.featured_media_id.map(Id::from_uuid);
        let preview = self.seo.image_url.as_deref().unwrap_or_default();
        let mut files: Vec<_> = [preview, html, &self.source].into_iter().flat_map(media::mentioned_in).chain(featured).collect();
        files.sort_unstable();
        files.dedup();
        files
    }

    /// The members in which this differs from `other`, by their names on the wire.
    pub(crate) fn changed_from(&self, other: &Content) -> Vec<&'static str> {
        let members = [
            (self.title != other.title, "title"),
            (self.excerpt != other.excerpt, "excerpt"),
            (self.format != other.format || self.source != other.source, "body"),
            (self.visibility != other.visibility, "visibility"),
            (self.seo != other.seo, "seo"),
            (self.comment_policy != other.comment_policy, "comment_policy"),
            (self.featured_media_id != other.featured_media_id, "featured_media_id"),
            (self.author_ids != other.author_ids, "authors"),
            (self.tag_ids != other.tag_ids, "tags"),
        ];
        members.into_iter().filter(|(is_changed, _)| *is_changed).map(|(_, name)| name).collect()
    }
}

/// A body with what was made of it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct RenderedBody {
    pub(crate) html: String,
    pub(crate) text: String,
    pub(crate) lead: String,
    pub(crate) word_count: i64,
    pub(crate) version: i32,
}

impl From<Rendered> for RenderedBody {
    fn from(rendered: Rendered) -> Self {
        RenderedBody {
            lead: crate::rendering::lead(&rendered.text),
            html: rendered.html,
            text: rendered.text,
            word_count: i64::from(rendered.word_count),
            version: crate::rendering::VERSION,
        }
    }
}

/// A post as it is stored, without authors, tags and body.
#[derive(Clone, Debug)]
pub(crate) struct PostRecord {
    pub(crate) id: Id<Post>,
    pub(crate) locale: String,
    pub(crate) translation_group_id: Uuid,
    pub(crate) status: Status,
    pub(crate) visibility: Visibility,
    pub(crate) slug: String,
    pub(crate) title: String,
    pub(crate) excerpt: Option<String>,
    pub(crate) lead: String,
    pub(crate) featured_media_id: Option<Uuid>,
    pub(crate) comment_policy: Option<Policy>,
    pub(crate) comment_count: i64,
    pub(crate) word_count: i64,
    pub(crate) published_at: Option<Timestamp>,
    pub(crate) unpublish_at: Option<Timestamp>,
    pub(crate) first_published_at: Option<Timestamp>,
    pub(crate) created_at: Timestamp,
    pub(crate) updated_at: Timestamp,
    pub(crate) deleted_at: Option<Timestamp>,
    pub(crate) version: i64,
}

/// The long part of a post.
#[derive(Clone, Debug)]
pub(crate) struct PostBody {
    pub(crate) format: Format,
    pub(crate) render_version: i32,
    pub(crate) seo: Seo,
    pub(crate) source: String,
    pub(crate) html: String,
    pub(crate) text: String,
}

/// A post with everything that is shown of it.
#[derive(Clone, Debug)]
pub(crate) struct PostDetails {
    pub(crate) record: PostRecord,
    pub(crate) body: PostBody,
    pub(crate) authors: Vec<PostAuthor>,
    pub(crate) tags: Vec<PostTag>,
    pub(crate) featured: Option<MediaView>,
}

/// A post as it stands in a list.
#[derive(Clone, Debug)]
pub(crate) struct PostLine {
    pub(crate) record: PostRecord,
    pub(crate) authors: Vec<PostAuthor>,
    pub(crate) tags: Vec<PostTag>,
    pub(crate) featured: Option<MediaView>,
}

impl PostRecord {
    /// Whether everybody may see it at this instant (BLG-3).
    pub(crate) fn is_visible(&self, now: Timestamp) -> bool {
        self.status == Status::Published
            && self.deleted_at.is_none()
            && self.published_at.is_some_and(|at| at <= now)
            && self.unpublish_at.is_none_or(|at| at > now)
    }

    /// The status as it is reported: due times count, whether a job has seen them or not.
    pub(crate) fn reported_status(&self, now: Timestamp) -> &'static str {
        match self.status {
            _ if self.deleted_at.is_some() => "trashed",
            Status::Published if self.published_at.is_none_or(|at| at > now) => "scheduled",
            Status::Published if !self.is_visible(now) => "unpublished",
            status => status.as_str(),
        }
    }

    /// The next instant at which what the public sees changes by itself.
    pub(crate) fn next_change(&self, now: Timestamp) -> Option<Timestamp> {
        let published = self.published_at.filter(|at| *at > now && self.status == Status::Published);
        let unpublished = self.unpublish_at.filter(|at| *at > now && self.status == Status::Published);
        published.into_iter().chain(unpublished).min()
    }

    /// What it is about: the excerpt, or the beginning of its text.
    pub(crate) fn shown_excerpt(&self) -> &str {
        self.excerpt.as_deref().unwrap_or(&self.lead)
    }

    /// The same, taken out of the record.
    pub(crate) fn take_excerpt(&mut self) -> String {
        self.excerpt.take().unwrap_or_else(|| std::mem::take(&mut self.lead))
    }

    /// How long reading it takes, in seconds.
    pub(crate) fn reading_seconds(&self) -> i64 {
        (self.word_count * 60 + WORDS_A_MINUTE - 1) / WORDS_A_MINUTE
    }
}

impl PostDetails {
    /// What the post says, as a revision keeps it.
    pub(crate) fn content(&self) -> Content {
        Content {
            title: self.record.title.clone(),
            excerpt: self.record.excerpt.clone(),
            format: self.body.format,
            source: self.body.source.clone(),
            visibility: self.record.visibility,
            seo: self.body.seo.clone(),
            comment_policy: self.record.comment_policy,
            featured_media_id: self.record.featured_media_id,
            author_ids: self.authors.iter().map(|author| author.id.uuid()).collect(),
            tag_ids: self.tags.iter().map(|tag| tag.id.uuid()).collect(),
        }
    }
}

/// A title as lists are sorted by it: compatibility forms and case folded, cut at a character.
pub(crate) fn sort_title(title: &str) -> String {
    let composed = icu_normalizer::ComposingNormalizerBorrowed::new_nfkc().normalize(title).to_lowercase();
    let mut end = composed.len().min(MAX_SORT_TITLE);
    while !composed.is_char_boundary(end) {
        end -= 1;
    }
    composed[..end].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: i64) -> Option<Timestamp> {
        Some(Timestamp::from_millis(millis))
    }

    fn post(status: Status, published_at: Option<Timestamp>, unpublish_at: Option<Timestamp>) -> PostRecord {
        let zero = Timestamp::from_millis(0);
        PostRecord {
            id: Id::from_uuid(Uuid::nil()),
            locale: "en".to_owned(),
            translation_group_id: Uuid::nil(),
            status,
            visibility: Visibility::Public,
            slug: "a".to_owned(),
            title: "A".to_owned(),
            excerpt: None,
            lead: String::new(),
            featured_media_id: None,
            comment_policy: None,
            comment_count: 0,
            word_count: 231,
            published_at,
            unpublish_at,
            first_published_at: None,
            created_at: zero,
            updated_at: zero,
            deleted_at: None,
            version: 1,
        }
    }

    #[test]
    fn blg3_visibility_and_reported_status_follow_the_times() {
        let now = Timestamp::from_millis(100);
        for (status, from, until, is_visible, reported) in [
            (Status::Draft, None, None, false, "draft"),
            (Status::Published, at(100), None, true, "published"),
            (Status::Published, at(101), None, false, "scheduled"),
            (Status::Published, at(50), at(101), true, "published"),
            (Status::Published, at(50), at(100), false, "unpublished"),
            (Status::Unpublished, at(50), None, false, "unpublished"),
        ] {
            let post = post(status, from, until);
            assert_eq!((post.is_visible(now), post.reported_status(now)), (is_visible, reported), "{status:?} {from:?} {until:?}");
        }
        let trashed = PostRecord { deleted_at: at(1), ..post(Status::Published, at(1), None) };
        assert_eq!((trashed.is_visible(now), trashed.reported_status(now)), (false, "trashed"));
    }

    #[test]
    fn blg3_a_post_knows_its_next_change() {
        let now = Timestamp::from_millis(100);
        assert_eq!(post(Status::Published, at(150), at(200)).next_change(now), at(150));
        assert_eq!(post(Status::Published, at(50), at(200)).next_change(now), at(200));
        assert_eq!(post(Status::Published, at(50), at(100)).next_change(now), None);
    }

    #[test]
    fn reading_takes_a_minute_for_each_230_words_and_titles_sort_without_case() {
        assert_eq!(post(Status::Draft, None, None).reading_seconds(), 61);
        assert_eq!(sort_title("ÄRGER ﬁn"), "ärger fin");
        assert!(sort_title(&"ü".repeat(255)).len() <= MAX_SORT_TITLE);
    }
}
