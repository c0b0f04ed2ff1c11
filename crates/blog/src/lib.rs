//! Posts, comments, tags, authors, feeds and search.
//!
//! * `posts`: what a post says, its way to the public and back, lists; who may see which
//! * `drafts`, `revisions`: changes beside the live version, and every version that was live
//! * `transitions`: posts that become public, or stop being it, at an instant
//! * `slugs`, `redirects`: addresses, and where old ones lead
//! * `tags`, `authors`: what posts are about and whose name stands above them
//! * `threads`, `comments`: conversations below posts and below pages of other sites
//! * `feeds`: RSS, Atom, JSON Feed, sitemaps; `search`: the same matches on every database
//! * `rendering`: the one door to Markdown and sanitising; `cache`: finished answers to public reads

mod authors;
mod cache;
mod commands;
mod comments;
mod drafts;
pub mod events;
mod feeds;
mod jobs;
pub mod permissions;
mod posts;
pub mod problems;
mod redirects;
mod rendering;
mod revisions;
mod samples;
mod search;
mod settings;
mod slugs;
mod tags;
mod threads;
mod transitions;
mod wire;

use futures_util::future::BoxFuture;
use kernel::{App, Module, Parts, Result};

use crate::cache::PublicCache;
use crate::settings::{BlogSettings, CommentSettings, FeedSettings};

const MIGRATIONS: &[db::Migration] = db::migrations![(1, "blog", include_str!("../migrations/0001_blog.sql"))];

/// The module.
#[derive(Clone, Copy, Debug, Default)]
pub struct Blog;

impl Blog {
    /// The module as it ships.
    pub fn new() -> Blog {
        Blog
    }
}

impl Module for Blog {
    fn name(&self) -> &'static str {
        "blog"
    }

    fn register(&self, parts: &mut Parts<'_>) {
        parts
            .settings::<BlogSettings>()
            .settings::<CommentSettings>()
            .settings::<FeedSettings>()
            .migrations(MIGRATIONS)
            .problems(problems::PROBLEMS)
            .state(|setup| Ok(PublicCache::new(setup.settings::<BlogSettings>().cache_size.bytes())))
            .routes(posts::http::operations())
            .routes(drafts::http::operations())
            .routes(revisions::http::operations())
            .routes(tags::http::operations())
            .routes(authors::http::operations())
            .routes(redirects::http::operations())
            .routes(threads::http::operations())
            .routes(comments::http::operations())
            .routes(feeds::http::operations())
            .routes(search::http::operations())
            .samples(samples::fill);
        permissions::register(parts);
        events::register(parts);
        cache::register(parts);
        redirects::permalinks::register(parts);
        jobs::register(parts);
        commands::register(parts);
    }

    fn start<'a>(&'a self, app: &'a App) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move { settings::check(app) })
    }
}
