//! What happens to posts, comments, tags and authors. Payloads carry the whole view, as the wire shows it.

use kernel::{Parts, event};
use uuid::Uuid;

use crate::authors::http::AuthorView;
use crate::comments::http::CommentView;
use crate::posts::view::PostView;
use crate::redirects::http::RedirectView;
use crate::tags::http::TagView;
use crate::threads::http::ThreadView;

/// Declares the events of posts, which all have the same payload.
macro_rules! post_events {
    ($($(#[doc = $doc:literal])+ $name:ident = $event:literal;)+) => {
        $(
            event! {
                $(#[doc = $doc])+
                pub struct $name as $event {
                    /// The post.
                    pub post_id: Uuid,
                    /// Its version after the change; a larger one is later.
                    pub version: i64,
                    /// The members that changed.
                    pub changed_fields: Vec<String>,
                    /// Members of the post that are null here because they are large.
                    pub omitted: Vec<String>,
                    /// The post as whoever may see it reads it.
                    pub(crate) post: PostView,
                }
            }

            impl From<PostChange> for $name {
                fn from(change: PostChange) -> Self {
                    let PostChange { post_id, version, changed_fields, omitted, post } = change;
                    $name { post_id, version, changed_fields, omitted, post }
                }
            }
        )+

        /// The names of all events of posts.
        pub(crate) const POST_EVENTS: &[&str] = &[$($event),+];

        fn register_post_events(parts: &mut Parts<'_>) {
            $(parts.emits::<$name>();)+
        }
    };
}

/// The payload of an event about a post.
#[derive(Clone)]
pub(crate) struct PostChange {
    pub(crate) post_id: Uuid,
    pub(crate) version: i64,
    pub(crate) changed_fields: Vec<String>,
    pub(crate) omitted: Vec<String>,
    pub(crate) post: PostView,
}

post_events! {
    /// A post was begun; it is a draft.
    PostCreated = "blog.post.created";
    /// What a post says was changed.
    PostUpdated = "blog.post.updated";
    /// A post will become public at a time to come.
    PostScheduled = "blog.post.scheduled";
    /// A post became public, or a draft of it did.
    PostPublished = "blog.post.published";
    /// A post is no longer public.
    PostUnpublished = "blog.post.unpublished";
    /// A post has another address; the old one leads to it.
    PostSlugChanged = "blog.post.slug_changed";
    /// A post went to the trash.
    PostTrashed = "blog.post.trashed";
    /// A post came back from the trash.
    PostRestored = "blog.post.restored";
    /// A post was deleted for good.
    PostPurged = "blog.post.purged";
}

/// Declares the events of comments, which all have the same payload.
macro_rules! comment_events {
    ($($(#[doc = $doc:literal])+ $name:ident = $event:literal;)+) => {
        $(
            event! {
                $(#[doc = $doc])+
                pub struct $name as $event {
                    /// The comment.
                    pub comment_id: Uuid,
                    /// The conversation.
                    pub thread_id: Uuid,
                    /// The post below which it stands; null below other pages.
                    pub post_id: Option<Uuid>,
                    /// The comment.
                    pub(crate) comment: CommentView,
                }
            }

            impl From<CommentChange> for $name {
                fn from(change: CommentChange) -> Self {
                    let CommentChange { comment_id, thread_id, post_id, comment } = change;
                    $name { comment_id, thread_id, post_id, comment }
                }
            }
        )+

        /// The names of all events of comments.
        pub(crate) const COMMENT_EVENTS: &[&str] = &[$($event),+];

        fn register_comment_events(parts: &mut Parts<'_>) {
            $(parts.emits::<$name>();)+
        }
    };
}

/// The payload of an event about a comment.
#[derive(Clone)]
pub(crate) struct CommentChange {
    pub(crate) comment_id: Uuid,
    pub(crate) thread_id: Uuid,
    pub(crate) post_id: Option<Uuid>,
    pub(crate) comment: CommentView,
}

comment_events! {
    /// Somebody wrote a comment; its status tells whether it is public.
    CommentCreated = "blog.comment.created";
    /// A comment became public.
    CommentApproved = "blog.comment.approved";
    /// A comment was found to be spam.
    CommentMarkedSpam = "blog.comment.marked_spam";
    /// A comment was changed, or taken back from the public.
    CommentUpdated = "blog.comment.updated";
    /// A comment was deleted.
    CommentDeleted = "blog.comment.deleted";
    /// Somebody asks a moderator to look at a comment.
    CommentReported = "blog.comment.reported";
}

event! {
    /// A page of another site got a conversation.
    pub struct ThreadCreated as "blog.thread.created" {
        /// The conversation.
        pub thread_id: Uuid,
        /// The conversation.
        pub(crate) thread: ThreadView,
    }
}

event! {
    /// A tag was made.
    pub struct TagCreated as "blog.tag.created" {
        /// The tag.
        pub tag_id: Uuid,
        /// The tag.
        pub(crate) tag: TagView,
    }
}

event! {
    /// A tag was changed.
    pub struct TagUpdated as "blog.tag.updated" {
        /// The tag.
        pub tag_id: Uuid,
        /// The tag.
        pub(crate) tag: TagView,
    }
}

event! {
    /// A tag was deleted, and taken off every post.
    pub struct TagDeleted as "blog.tag.deleted" {
        /// The tag.
        pub tag_id: Uuid,
        /// The tag as it was.
        pub(crate) tag: TagView,
    }
}

event! {
    /// An author profile was made.
    pub struct AuthorCreated as "blog.author.created" {
        /// The profile.
        pub author_id: Uuid,
        /// The profile.
        pub(crate) author: AuthorView,
    }
}

event! {
    /// An author profile was changed.
    pub struct AuthorUpdated as "blog.author.updated" {
        /// The profile.
        pub author_id: Uuid,
        /// The profile.
        pub(crate) author: AuthorView,
    }
}

event! {
    /// An old address leads somewhere, elsewhere, or nowhere any more.
    pub struct RedirectChanged as "blog.redirect.changed" {
        /// The redirect.
        pub redirect_id: Uuid,
        /// The redirect; null when it was deleted.
        pub(crate) redirect: Option<RedirectView>,
    }
}

pub(crate) fn register(parts: &mut Parts<'_>) {
    register_post_events(parts);
    register_comment_events(parts);
    parts
        .emits::<ThreadCreated>()
        .emits::<TagCreated>()
        .emits::<TagUpdated>()
        .emits::<TagDeleted>()
        .emits::<AuthorCreated>()
        .emits::<AuthorUpdated>()
        .emits::<RedirectChanged>();
}
