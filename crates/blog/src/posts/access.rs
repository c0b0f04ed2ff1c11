//! Who may see and change which post (blog.md §8): not allowed to see it is *not found*.

use db::Conn;
use kernel::error::{FORBIDDEN, NOT_FOUND};
use kernel::{Ctx, Permission, Result, Timestamp, UserId};

use crate::permissions::{PUBLISH_OWN_POSTS, PUBLISH_POSTS, READ_ANY_POST, TRASH_POSTS, UPDATE_OWN_POSTS, UPDATE_POSTS};
use crate::posts::{PostRecord, store};
use crate::settings::BlogSettings;

/// What the caller may do with posts, known before the transaction.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Caller {
    user: Option<UserId>,
    reads_any: bool,
    sees_trash: bool,
    updates_any: bool,
    updates_own: bool,
    publishes_any: bool,
    publishes_own: bool,
}

impl Caller {
    pub(crate) fn of(ctx: &Ctx) -> Caller {
        let may = |permission: &Permission| ctx.actor.may(permission);
        Caller {
            user: ctx.actor.maybe_user_id(),
            reads_any: may(&READ_ANY_POST) || may(&UPDATE_POSTS) || may(&PUBLISH_POSTS),
            sees_trash: may(&TRASH_POSTS),
            updates_any: may(&UPDATE_POSTS),
            updates_own: may(&UPDATE_OWN_POSTS),
            publishes_any: may(&PUBLISH_POSTS),
            publishes_own: may(&PUBLISH_OWN_POSTS) && ctx.settings::<BlogSettings>().authors_may_publish,
        }
    }

    /// Whether the caller sees more of posts than everybody does.
    pub(crate) fn is_insider(&self) -> bool {
        self.reads_any || self.sees_trash || self.updates_own || self.publishes_own
    }

    pub(crate) fn updates_any(&self) -> bool {
        self.updates_any
    }

    pub(crate) fn reads_any(&self) -> bool {
        self.reads_any
    }

    pub(crate) fn sees_trash(&self) -> bool {
        self.sees_trash
    }

    pub(crate) fn user(&self) -> Option<UserId> {
        self.user
    }

    fn is_author(&self, c: &mut Conn, post: &PostRecord) -> Result<bool> {
        match self.user {
            Some(user) => Ok(store::is_author(c, post.id, user)?),
            None => Ok(false),
        }
    }

    /// Whether the caller sees the post, and whether with its source.
    pub(crate) fn sees(&self, c: &mut Conn, post: &PostRecord, now: Timestamp) -> Result<Sight> {
        if post.deleted_at.is_some() && !self.sees_trash {
            return Ok(Sight::Nothing);
        }
        let may_edit = self.updates_any || (self.updates_own && self.is_author(c, post)?);
        Ok(match may_edit {
            true => Sight::Source,
            false if post.is_visible(now) || self.reads_any || self.is_author(c, post)? => Sight::Result,
            false => Sight::Nothing,
        })
    }

    /// Fails unless the caller may change what the post says.
    pub(crate) fn require_update(&self, c: &mut Conn, post: &PostRecord, now: Timestamp) -> Result<()> {
        self.require_live(post)?;
        if self.updates_any || (self.updates_own && self.is_author(c, post)?) {
            return Ok(());
        }
        self.refuse(c, post, now, &UPDATE_POSTS)
    }

    /// Fails unless the caller may publish and unpublish the post.
    pub(crate) fn require_publish(&self, c: &mut Conn, post: &PostRecord, now: Timestamp) -> Result<()> {
        self.require_live(post)?;
        if self.publishes_any || (self.publishes_own && self.is_author(c, post)?) {
            return Ok(());
        }
        self.refuse(c, post, now, &PUBLISH_POSTS)
    }

    /// Fails unless the caller may move the post to the trash.
    pub(crate) fn require_trash(&self, c: &mut Conn, post: &PostRecord, now: Timestamp) -> Result<()> {
        self.require_live(post)?;
        // An author takes back what was never public.
        let is_own_draft = post.first_published_at.is_none() && self.updates_own && self.is_author(c, post)?;
        if self.sees_trash || is_own_draft {
            return Ok(());
        }
        self.refuse(c, post, now, &TRASH_POSTS)
    }

    /// A post in the trash is not there, except for those who take it out.
    fn require_live(&self, post: &PostRecord) -> Result<()> {
        if post.deleted_at.is_some() { Err(NOT_FOUND.error()) } else { Ok(()) }
    }

    fn refuse(&self, c: &mut Conn, post: &PostRecord, now: Timestamp, lacking: &Permission) -> Result<()> {
        match self.sees(c, post, now)? {
            Sight::Nothing => Err(NOT_FOUND.error()),
            _ => Err(FORBIDDEN.because(format!("This needs the permission {}.", lacking.name))),
        }
    }
}

/// What a caller sees of a post.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sight {
    /// That it is not there.
    Nothing,
    /// What everybody sees once it is public.
    Result,
    /// Its source too.
    Source,
}
