//! Clicks: journalled beside the redirect, counted after it, never in its way (INV-L1).
//!
//! * [`Journal`]: a bounded buffer, and a thread that appends it to a file and syncs it, every few milliseconds
//! * `segment`: such a file, and how it is read back after a crash
//! * `flush`: takes what is on disk, tells people from programs, and adds it to the statistics, each record once (INV-L2)
//! * `agents`: what a `User-Agent` says about class, device, browser and system
//! * `stats`: what came of it, by hour, day, referrer and so on

pub mod agents;
pub(crate) mod flush;
pub(crate) mod http;
mod journal;
pub(crate) mod record;
mod segment;
pub(crate) mod stats;
pub(crate) mod store;

pub use journal::Journal;
pub(crate) use record::{Flags, Visit};

/// What kind of visitor made a click (INV-L21).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Class {
    /// A person, as far as one can tell.
    Human,
    /// A crawler or another program.
    Bot,
    /// A program that shows a preview of the link to people.
    Preview,
    /// A browser that fetches ahead of its person.
    Prefetch,
    /// A program that checks whether the link works.
    Monitor,
    /// A HEAD request.
    Head,
}

impl Class {
    /// The name at rest and on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Class::Human => "human",
            Class::Bot => "bot",
            Class::Preview => "preview",
            Class::Prefetch => "prefetch",
            Class::Monitor => "monitor",
            Class::Head => "head",
        }
    }
}

/// How the journal works with these settings.
pub(crate) fn journal_settings(
    platform: &kernel::platform::PlatformSettings,
    clicks: &crate::settings::ClickSettings,
) -> journal::JournalSettings {
    journal::JournalSettings {
        folder: std::path::Path::new(&platform.data_dir).join("clicks"),
        fsync: *clicks.fsync,
        is_strict: clicks.durability == crate::settings::ClickDurability::Strict,
        max_bytes: clicks.journal_max.bytes(),
        sync: std::fs::File::sync_data,
    }
}
