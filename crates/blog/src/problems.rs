//! What `blog` can refuse beyond the kernel's list (blog.md §12); the codes are public API.

pub(crate) use kernel::error::SLUG_TAKEN;

kernel::problems! {
    /// There is no draft to promote and no time to change.
    ALREADY_PUBLISHED = Conflict, "already_published", "The post is public already and has no draft.", "Save a draft first, or change the post itself.";
    /// The live version moved on since the draft was begun.
    DRAFT_OUTDATED = Conflict, "draft_outdated", "The post was changed since this draft was begun.", "Read the post again, carry its changes over, and send rebase with its version as base_version.";
    /// Nobody may write here any more, or at all.
    COMMENTS_CLOSED = Conflict, "comments_closed", "Comments are closed here.", "Nothing can be added to this conversation.";
    /// Too many comments of guests wait for a moderator.
    COMMENTS_PAUSED = Conflict, "comments_paused", "Too many comments wait for a moderator.", "Log in to comment, or come back later.";
    /// Conversations begin only below pages of the sites in `blog.comments.sites`.
    SITE_NOT_ALLOWED = Forbidden, "site_not_allowed", "Pages of this site have no comments here.", "Ask the operator to list the site in blog.comments.sites.";
    /// Another redirect begins at this path.
    REDIRECT_EXISTS = Conflict, "redirect_exists", "A redirect from this path exists already.", "Change the existing redirect instead.";
    /// A profile that wrote something stays.
    AUTHOR_IN_USE = Conflict, "author_in_use", "The author is named by posts.", "Replace the author in those posts first.";
}
