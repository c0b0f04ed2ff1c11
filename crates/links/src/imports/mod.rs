//! Imports and exports: links from CSV, carried out by a job that a crash does not make start over (LIM-1, LIM-2, LIM-4).

pub(crate) mod csv;
pub(crate) mod http;
pub(crate) mod service;
pub(crate) mod store;

use kernel::{Id, Timestamp, UserId};

/// What to do with a row whose slug is taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = LinkImportConflict)]
pub(crate) enum OnConflict {
    /// Leave it out.
    #[default]
    Skip,
    /// Give it another slug.
    Rename,
    /// Change the link that is there, if it is the importer's own.
    Update,
}

impl OnConflict {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            OnConflict::Skip => "skip",
            OnConflict::Rename => "rename",
            OnConflict::Update => "update",
        }
    }

    pub(crate) fn of(text: &str) -> OnConflict {
        match text {
            "rename" => OnConflict::Rename,
            "update" => OnConflict::Update,
            _ => OnConflict::Skip,
        }
    }
}

/// An import as it is stored.
#[derive(Clone, Debug)]
pub(crate) struct Import {
    pub(crate) id: Id<Import>,
    pub(crate) owner: UserId,
    pub(crate) source: String,
    pub(crate) on_conflict: OnConflict,
    pub(crate) is_dry_run: bool,
    pub(crate) status: String,
    pub(crate) total: i64,
    pub(crate) position: i64,
    pub(crate) created_count: i64,
    pub(crate) updated_count: i64,
    pub(crate) skipped_count: i64,
    pub(crate) failed_count: i64,
    pub(crate) created_at: Timestamp,
    pub(crate) finished_at: Option<Timestamp>,
}

/// What came of one row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Report {
    pub(crate) line: i64,
    /// `created`, `updated`, `skipped` or `failed`.
    pub(crate) outcome: &'static str,
    pub(crate) code: Option<String>,
    pub(crate) pointer: Option<String>,
    pub(crate) link_id: Option<Id<crate::links::Link>>,
}
