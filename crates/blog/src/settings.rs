//! The `[blog…]` settings.

use kernel::settings::ByteSize;
use kernel::{App, Result};
use serde::{Deserialize, Serialize};

use crate::threads::Policy;

kernel::settings! {
    /// Posts: their addresses, languages and care.
    pub(crate) struct BlogSettings in "blog" {
        /// The name of the site, in feeds.
        pub(crate) title: String = "Blog".to_owned(),
        /// One sentence about the site, in feeds.
        pub(crate) description: String = String::new(),
        /// Where your front end shows posts. Empty: public_url.
        pub(crate) site_url: String = String::new(),
        /// The address of a post: {site_url}, {locale?} (left out for the default language) and {slug}.
        pub(crate) post_url_template: String = "{site_url}/{locale?}/{slug}".to_owned(),
        /// The language of posts that do not say theirs, BCP 47.
        pub(crate) default_locale: String = "en".to_owned(),
        /// The languages that posts may have.
        pub(crate) locales: Vec<String> = vec!["en".to_owned()],
        /// Whether changing a post needs an If-Match header.
        pub(crate) require_if_match: bool = false,
        /// Whether authors publish their own posts; else an editor does.
        pub(crate) authors_may_publish: bool = true,
        /// Revisions kept per post.
        pub(crate) revisions_keep: u32 = 100,
        /// Days that a post stays in the trash.
        pub(crate) trash_days: u32 = 30,
        /// Hosts whose frames posts may embed.
        pub(crate) embed_hosts: Vec<String> = Vec::new(),
        /// Memory for finished answers to public reads.
        pub(crate) cache_size: ByteSize = ByteSize::mib(16),
    }
}

kernel::settings! {
    /// Comments below posts and below pages of other sites.
    pub(crate) struct CommentSettings in "blog.comments" {
        /// Whether anybody can comment at all.
        pub(crate) enabled: bool = true,
        /// Who must be approved: "open", "first_time", "moderated", "members" (accounts only) or "closed".
        pub(crate) policy: Policy = Policy::FirstTime,
        /// Whether people without an account may comment.
        pub(crate) guests: bool = true,
        /// How deep replies are nested; deeper ones stay at this depth.
        pub(crate) max_depth: u32 = 6,
        /// Origins of pages that may have comments, such as "https://example.com".
        pub(crate) sites: Vec<String> = Vec::new(),
        /// Seconds in which a comment can be changed by whoever wrote it.
        pub(crate) edit_seconds: u32 = 900,
        /// Days after which the hash of the writer's address is dropped.
        pub(crate) ip_days: u32 = 30,
        /// Comments a minute from one address.
        pub(crate) per_minute: u32 = 5,
        /// Comments an hour from one guest.
        pub(crate) guest_per_hour: u32 = 20,
        /// Comments of guests that may wait for a moderator before guests are turned away.
        pub(crate) max_waiting: u32 = 10_000,
        /// Words and hosts that mark a comment as spam.
        pub(crate) blocked_words: Vec<String> = Vec::new(),
    }
}

/// How much of a post stands in feeds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum FeedContent {
    /// All of it.
    #[default]
    Full,
    /// Its excerpt.
    Excerpt,
}

kernel::settings! {
    /// Feeds.
    pub(crate) struct FeedSettings in "blog.feeds" {
        /// Posts in a feed, at most 100.
        pub(crate) size: u32 = 50,
        /// What stands in a feed: "full" or "excerpt".
        pub(crate) content: FeedContent = FeedContent::Full,
        /// Pages in one file of the sitemap, at most 50000.
        pub(crate) sitemap_size: u32 = 10_000,
    }
}

impl BlogSettings {
    /// Where the front end is, without a trailing slash.
    pub(crate) fn site_url(&self, app: &App) -> String {
        let configured = self.site_url.trim_end_matches('/');
        if configured.is_empty() { app.public_url() } else { configured.to_owned() }
    }

    /// The address of the post with this slug in this language.
    pub(crate) fn post_url(&self, app: &App, locale: &str, slug: &str) -> String {
        self.fill_template(&self.site_url(app), locale, slug)
    }

    /// One pass over the template: lists ask for many addresses.
    fn fill_template(&self, site_url: &str, locale: &str, slug: &str) -> String {
        let mut url = String::with_capacity(site_url.len() + self.post_url_template.len() + slug.len());
        let mut rest = self.post_url_template.as_str();
        while let Some((before, after)) = rest.split_once('{') {
            url.push_str(before);
            let (name, after) = after.split_once('}').unwrap_or((after, ""));
            rest = after;
            match name {
                "site_url" => url.push_str(site_url),
                "locale?" if locale == self.default_locale => rest = after.strip_prefix('/').unwrap_or(after),
                "locale" | "locale?" => url.push_str(locale),
                "slug" => url.push_str(&percent_encoded(slug)),
                unknown => url.extend(["{", unknown, "}"]),
            }
        }
        url + rest
    }

    /// Whether posts may have this language.
    pub(crate) fn knows_locale(&self, locale: &str) -> bool {
        locale == self.default_locale || self.locales.iter().any(|known| known == locale)
    }
}

/// A slug as it stands in an address; letters beyond ASCII are encoded.
pub(crate) fn percent_encoded(slug: &str) -> String {
    let mut text = String::with_capacity(slug.len());
    for byte in slug.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => text.push(char::from(byte)),
            other => text.push_str(&format!("%{other:02X}")),
        }
    }
    text
}

/// Refuses settings that cannot work together.
pub(crate) fn check(app: &App) -> Result<()> {
    let blog = app.settings::<BlogSettings>();
    let rules = [
        (blog.post_url_template.contains("{slug}"), "blog.post_url_template must contain {slug}."),
        (blog.revisions_keep > 0, "blog.revisions_keep must be at least 1."),
        ((1..=100).contains(&app.settings::<FeedSettings>().size), "blog.feeds.size must be 1 to 100."),
        ((1..=50_000).contains(&app.settings::<FeedSettings>().sitemap_size), "blog.feeds.sitemap_size must be 1 to 50000."),
        (app.settings::<CommentSettings>().max_depth <= 32, "blog.comments.max_depth may be at most 32."),
    ];
    match rules.into_iter().find(|(is_fine, _)| !is_fine) {
        None => Ok(()),
        Some((_, sentence)) => Err(kernel::error::INTERNAL.because(sentence)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blg7_the_address_of_a_post_follows_its_template() {
        let url = |template: &str, locale| {
            let settings = BlogSettings { post_url_template: template.to_owned(), ..BlogSettings::default() };
            settings.fill_template("https://example.com", locale, "süß")
        };
        assert_eq!(url("{site_url}/{locale?}/{slug}", "en"), "https://example.com/s%C3%BC%C3%9F");
        assert_eq!(url("{site_url}/{locale?}/{slug}", "de"), "https://example.com/de/s%C3%BC%C3%9F");
        assert_eq!(url("/{locale}/p-{slug}.html{other}{", "en"), "/en/p-s%C3%BC%C3%9F.html{other}{}");
    }
}
