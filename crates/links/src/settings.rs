//! The `[links…]` settings.

use kernel::error::INTERNAL;
use kernel::settings::{ByteSize, Span};
use kernel::{App, Result};
use serde::{Deserialize, Serialize};

/// Whether `/Sale` and `/sale` are one link.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum CasePolicy {
    /// They are.
    #[default]
    Insensitive,
    /// They are two.
    Sensitive,
}

kernel::settings! {
    /// Short links and who may make them.
    pub(crate) struct LinkSettings in "links" {
        /// The host that serves short links, such as "go.example.com". Empty: every name under which the server is reached.
        pub host: String = String::new(),
        /// How a new link redirects unless it says so: 301, 302, 307 or 308.
        pub default_status: u32 = 302,
        /// How long browsers may keep a 301 or 308; at most 1 day.
        pub permanent_max_age: Span = Span::minutes(5),
        /// Letters of a random slug; 5 to 32.
        pub slug_length: u32 = 7,
        /// Whether /Sale and /sale are one link ("insensitive") or two ("sensitive"); read when the database is new.
        pub case: CasePolicy = CasePolicy::Insensitive,
        /// Whether everybody with an account may make links; otherwise only holders of links:links:create.
        pub members_may_create: bool = true,
        /// Links that one person may make in a minute.
        pub create_per_minute: u32 = 60,
        /// Links kept in memory; others are read when they are followed.
        pub cache_entries: u32 = 200_000,
        /// How long a link in memory is believed without asking the database; at most 5 seconds.
        pub cache_lifetime: Span = Span::secs(5),
        /// The largest file that can be imported.
        pub import_max: ByteSize = ByteSize::mib(32),
    }
}

/// What a counted click survives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ClickDurability {
    /// A redirect never waits; a crash loses the clicks of the last moments.
    #[default]
    Journal,
    /// A redirect waits until its click is on disk.
    Strict,
}

kernel::settings! {
    /// How clicks are counted.
    pub(crate) struct ClickSettings in "links.clicks" {
        /// "journal": a crash loses at most fsync of clicks. "strict": none, but redirects wait for the disk.
        pub durability: ClickDurability = ClickDurability::Journal,
        /// How long clicks may wait in memory, which a crash empties, before they are in a file; at most 1 second.
        pub fsync: Span = Span::millis(50),
        /// How often the clicks on disk are added to the statistics.
        pub flush: Span = Span::secs(10),
        /// How many days single clicks are kept beside the statistics.
        pub raw_days: u32 = 90,
        /// Single clicks stored in a second; beyond, they are counted in the statistics only.
        pub detail_per_second: u32 = 10_000,
        /// The most bytes of clicks that wait on disk for the database; beyond, they are counted without detail, beyond twice as much not at all.
        pub journal_max: ByteSize = ByteSize::mib(512),
        /// Whether Sec-GPC and DNT are honoured: such clicks are counted, not described.
        pub honour_gpc: bool = true,
    }
}

/// Refuses settings that would break a promise, naming the key and what it may be.
pub(crate) fn check(app: &App) -> Result<()> {
    let (links, clicks) = (app.settings::<LinkSettings>(), app.settings::<ClickSettings>());
    let rules = [
        ([301, 302, 307, 308].contains(&links.default_status), "links.default_status", "301, 302, 307 or 308"),
        (links.permanent_max_age.as_secs() <= 86_400, "links.permanent_max_age", "at most 1d (INV-L15)"),
        ((5..=32).contains(&links.slug_length), "links.slug_length", "5 to 32 (INV-L6)"),
        (links.cache_lifetime.as_millis() <= 5_000, "links.cache_lifetime", "at most 5s (INV-L10)"),
        (links.cache_entries >= 1_000, "links.cache_entries", "at least 1000"),
        ((1..=1_000).contains(&clicks.fsync.as_millis()), "links.clicks.fsync", "1ms to 1s (INV-L2)"),
        (clicks.flush.as_millis() >= 100, "links.clicks.flush", "at least 100ms"),
        (clicks.raw_days >= 1, "links.clicks.raw_days", "at least 1"),
    ];
    match rules.into_iter().find(|(is_fine, ..)| !is_fine) {
        None => Ok(()),
        Some((_, key, range)) => Err(INTERNAL.because(format!("The setting {key} must be {range}."))),
    }
}
