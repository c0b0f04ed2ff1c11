//! Feeds and sitemaps: RSS 2.0, Atom 1.0 and JSON Feed 1.1 of the newest posts, for readers and search engines (SYN-1 to SYN-4).

mod atom;
pub(crate) mod http;
mod json;
mod links;
mod rss;
pub(crate) mod service;
mod sitemap;
mod xml;

use kernel::Timestamp;
use uuid::Uuid;

/// The newest posts of the site, of a tag or of an author.
#[derive(Clone, Debug)]
pub(crate) struct Feed {
    pub(crate) title: String,
    pub(crate) description: String,
    pub(crate) language: String,
    /// The page that it is the feed of.
    pub(crate) home_url: String,
    /// Where it is itself.
    pub(crate) feed_url: String,
    /// The same for every version of it.
    pub(crate) id: String,
    /// When anything in it last changed.
    pub(crate) updated_at: Timestamp,
    pub(crate) items: Vec<Item>,
}

/// A post in a feed.
#[derive(Clone, Debug)]
pub(crate) struct Item {
    pub(crate) id: Uuid,
    pub(crate) url: String,
    pub(crate) title: String,
    pub(crate) language: String,
    pub(crate) excerpt: String,
    /// Safe HTML with absolute addresses; none when feeds hold excerpts only.
    pub(crate) html: Option<String>,
    pub(crate) published_at: Timestamp,
    pub(crate) updated_at: Timestamp,
    /// Names with the addresses of their pages.
    pub(crate) authors: Vec<(String, String)>,
    pub(crate) tags: Vec<String>,
}

impl Item {
    /// The same as long as the post exists, whatever its address (SYN-2).
    pub(crate) fn urn(&self) -> String {
        format!("urn:uuid:{}", self.id)
    }
}

/// In which format a feed is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    Rss,
    Atom,
    Json,
}

impl Format {
    pub(crate) fn file(self) -> &'static str {
        match self {
            Format::Rss => "feed.xml",
            Format::Atom => "atom.xml",
            Format::Json => "feed.json",
        }
    }

    pub(crate) fn content_type(self) -> &'static str {
        match self {
            Format::Rss => "application/rss+xml; charset=utf-8",
            Format::Atom => "application/atom+xml; charset=utf-8",
            Format::Json => "application/feed+json; charset=utf-8",
        }
    }

    pub(crate) fn write(self, feed: &Feed) -> kernel::Result<Vec<u8>> {
        match self {
            Format::Rss => rss::write(feed),
            Format::Atom => atom::write(feed),
            Format::Json => json::write(feed),
        }
    }
}
