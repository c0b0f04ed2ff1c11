//! What can be allowed around posts, and to whom it is granted at first (blog.md §8).

use kernel::media::{CREATE_FILES, UPDATE_FILES};
use kernel::{Parts, Permission};

/// Begin posts.
pub static CREATE_POSTS: Permission = Permission::new("blog:posts:create", "Write new posts.");
/// Change one's own posts.
pub static UPDATE_OWN_POSTS: Permission = Permission::new("blog:posts:update_own", "Change posts one is an author of.");
/// Publish one's own posts.
pub static PUBLISH_OWN_POSTS: Permission =
    Permission::new("blog:posts:publish_own", "Publish and unpublish posts one is an author of, unless blog.authors_may_publish is off.");
/// See drafts of others.
pub static READ_ANY_POST: Permission = Permission::new("blog:posts:read_any", "Read drafts and scheduled posts of others.");
/// Change posts of others.
pub static UPDATE_POSTS: Permission = Permission::new("blog:posts:update", "Change every post.");
/// Publish posts of others.
pub static PUBLISH_POSTS: Permission = Permission::new("blog:posts:publish", "Publish and unpublish every post.");
/// Move posts to the trash and back.
pub static TRASH_POSTS: Permission = Permission::new("blog:posts:trash", "Move posts to the trash, see it, and take posts out of it.");
/// Delete posts for good.
pub static PURGE_POSTS: Permission = Permission::new("blog:posts:purge", "Delete posts for good.").administrative();
/// Make and change tags.
pub static MANAGE_TAGS: Permission = Permission::new("blog:tags:manage", "Make, change and delete tags and categories.");
/// Make and change author profiles.
pub static MANAGE_AUTHORS: Permission = Permission::new("blog:authors:manage", "Make, change and delete author profiles.");
/// Decide about comments.
pub static MODERATE_COMMENTS: Permission =
    Permission::new("blog:comments:moderate", "See waiting comments, approve, change and delete comments.");
/// Open and close conversations.
pub static UPDATE_THREADS: Permission = Permission::new("blog:threads:update", "Change title and policy of conversations.");
/// Make and change redirects.
pub static MANAGE_REDIRECTS: Permission = Permission::new("blog:redirects:manage", "Make, change and delete redirects of old addresses.");

pub(crate) fn register(parts: &mut Parts<'_>) {
    let author: &[&Permission] = &[&CREATE_POSTS, &UPDATE_OWN_POSTS, &PUBLISH_OWN_POSTS];
    let moderator: &[&Permission] = &[&MODERATE_COMMENTS, &UPDATE_THREADS];
    let editor: &[&Permission] = &[&READ_ANY_POST, &UPDATE_POSTS, &PUBLISH_POSTS, &TRASH_POSTS, &MANAGE_TAGS, &MANAGE_AUTHORS];
    // The media library is the kernel's; who writes posts also needs pictures.
    let (uploads, library): (&[&Permission], &[&Permission]) = (&[&CREATE_FILES], &[&UPDATE_FILES]);
    parts
        .permissions(author)
        .permissions(moderator)
        .permissions(editor)
        .permissions(&[&PURGE_POSTS, &MANAGE_REDIRECTS])
        .role("author", "Writes posts and publishes them.", &[author, uploads].concat())
        .role(
            "editor",
            "Reviews, changes and publishes every post, keeps tags, authors and comments.",
            &[author, moderator, editor, uploads, library].concat(),
        )
        .role("moderator", "Decides about comments.", moderator);
}
