//! What happens to links. Payloads carry ids and slugs, never secrets or targets.

use kernel::event;
use uuid::Uuid;

event! {
    /// A link was made.
    pub struct LinkCreated as "links.link.created" {
        /// The link.
        pub link_id: Uuid,
        /// Its version.
        pub version: i64,
        /// Where it lives.
        pub domain_id: Uuid,
        /// What is typed after the host.
        pub slug: String,
    }
}

event! {
    /// A link was changed.
    pub struct LinkUpdated as "links.link.updated" {
        /// The link.
        pub link_id: Uuid,
        /// Its version since.
        pub version: i64,
        /// Where it lives.
        pub domain_id: Uuid,
        /// What is typed after the host.
        pub slug: String,
        /// What was typed before, when that changed.
        pub previous_slug: Option<String>,
    }
}

event! {
    /// A link was deleted.
    pub struct LinkDeleted as "links.link.deleted" {
        /// The link.
        pub link_id: Uuid,
        /// Its version since.
        pub version: i64,
        /// Where it lived.
        pub domain_id: Uuid,
        /// What was typed after the host.
        pub slug: String,
    }
}

event! {
    /// A link works again.
    pub struct LinkEnabled as "links.link.enabled" {
        /// The link.
        pub link_id: Uuid,
        /// Its version since.
        pub version: i64,
        /// Where it lives.
        pub domain_id: Uuid,
        /// What is typed after the host.
        pub slug: String,
    }
}

event! {
    /// A link was switched off and looks like none.
    pub struct LinkDisabled as "links.link.disabled" {
        /// The link.
        pub link_id: Uuid,
        /// Its version since.
        pub version: i64,
        /// Where it lives.
        pub domain_id: Uuid,
        /// What is typed after the host.
        pub slug: String,
    }
}

event! {
    /// A link was followed as often as it may be.
    pub struct LinkLimitReached as "links.link.limit_reached" {
        /// The link.
        pub link_id: Uuid,
        /// Its version.
        pub version: i64,
        /// Where it lives.
        pub domain_id: Uuid,
        /// What is typed after the host.
        pub slug: String,
    }
}

event! {
    /// An import is through.
    pub struct ImportFinished as "links.import.finished" {
        /// The import.
        pub import_id: Uuid,
        /// Links that were made.
        pub created_count: i64,
        /// Links that were changed.
        pub updated_count: i64,
        /// Rows that were left out on purpose.
        pub skipped_count: i64,
        /// Rows that could not be carried out.
        pub failed_count: i64,
    }
}
