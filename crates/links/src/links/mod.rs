//! Links: a slug, where it leads, and under which conditions.

pub(crate) mod http;
pub(crate) mod service;
pub(crate) mod store;
pub(crate) mod tags;

use kernel::{Error, FieldError, Id, Result, Timestamp, UserId};

use crate::domains::Domain;
use crate::slugs::Slug;
use crate::targets::{ForwardQuery, Target};

/// The marker of a link's identifier.
#[derive(Debug)]
pub(crate) enum Link {}

/// The owner of links that belong to the server itself.
pub(crate) const NOBODY: UserId = Id::from_uuid(uuid::Uuid::nil());

/// Whether a link works.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum LinkStatus {
    /// It does.
    Active,
    /// Its owner switched it off.
    Disabled,
    /// It waits for a review.
    Quarantined,
    /// It was forbidden.
    Banned,
}

impl LinkStatus {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            LinkStatus::Active => "active",
            LinkStatus::Disabled => "disabled",
            LinkStatus::Quarantined => "quarantined",
            LinkStatus::Banned => "banned",
        }
    }

    pub(crate) fn of(text: &str) -> LinkStatus {
        match text {
            "active" => LinkStatus::Active,
            "quarantined" => LinkStatus::Quarantined,
            "banned" => LinkStatus::Banned,
            _ => LinkStatus::Disabled,
        }
    }
}

/// A link as it is stored.
#[derive(Clone, Debug)]
pub(crate) struct LinkRecord {
    pub(crate) id: Id<Link>,
    pub(crate) domain_id: Id<Domain>,
    pub(crate) slug: String,
    pub(crate) slug_key: String,
    pub(crate) url: String,
    pub(crate) owner: UserId,
    pub(crate) external_id: Option<String>,
    pub(crate) status: LinkStatus,
    pub(crate) redirect_status: u16,
    pub(crate) valid_from: Option<Timestamp>,
    pub(crate) expires_at: Option<Timestamp>,
    pub(crate) expired_url: Option<String>,
    pub(crate) max_clicks: Option<i64>,
    pub(crate) used_clicks: i64,
    pub(crate) password_phc: Option<String>,
    pub(crate) forward_query: ForwardQuery,
    pub(crate) forward_path: bool,
    pub(crate) is_crawlable: bool,
    pub(crate) is_unlisted: bool,
    pub(crate) title: String,
    pub(crate) note: String,
    pub(crate) click_count: i64,
    pub(crate) human_click_count: i64,
    pub(crate) last_clicked_at: Option<Timestamp>,
    pub(crate) created_at: Timestamp,
    pub(crate) updated_at: Timestamp,
    pub(crate) version: i64,
    pub(crate) deleted_at: Option<Timestamp>,
}

/// Everything about a link that its owner decides.
#[derive(Clone, Debug)]
pub(crate) struct Draft {
    pub(crate) url: Target,
    /// None: a random one on creation, the present one afterwards.
    pub(crate) slug: Option<Slug>,
    pub(crate) title: String,
    pub(crate) note: String,
    pub(crate) tags: Vec<String>,
    pub(crate) redirect_status: u16,
    pub(crate) valid_from: Option<Timestamp>,
    pub(crate) expires_at: Option<Timestamp>,
    pub(crate) expired_url: Option<Target>,
    pub(crate) max_clicks: Option<i64>,
    pub(crate) forward_query: ForwardQuery,
    pub(crate) forward_path: bool,
    pub(crate) is_crawlable: bool,
    pub(crate) is_unlisted: bool,
    pub(crate) external_id: Option<String>,
}

impl Draft {
    /// A draft with nothing but a target.
    pub(crate) fn to(url: Target, redirect_status: u16) -> Draft {
        Draft {
            url,
            slug: None,
            title: String::new(),
            note: String::new(),
            tags: Vec::new(),
            redirect_status,
            valid_from: None,
            expires_at: None,
            expired_url: None,
            max_clicks: None,
            forward_query: ForwardQuery::Off,
            forward_path: false,
            is_crawlable: false,
            is_unlisted: false,
            external_id: None,
        }
    }

    /// What no single member can say: the end comes after the beginning.
    pub(crate) fn check(&self) -> Result<()> {
        match (self.valid_from, self.expires_at) {
            (Some(from), Some(until)) if until <= from => {
                Err(Error::invalid(vec![FieldError::body("/expires_at", "out_of_range", "Later than valid_from.")]))
            }
            _ => Ok(()),
        }
    }

    /// Whether a text is one that people wrote: control characters other than line ends and tabs are none.
    pub(crate) fn is_plain(text: &str) -> bool {
        text.chars().all(|c| !c.is_control() || matches!(c, '\n' | '\r' | '\t'))
    }

    /// The text that a search looks through.
    pub(crate) fn search_text(&self, slug: &str) -> String {
        format!("{slug}\n{}\n{}\n{}", self.url.as_str(), self.title, self.note).to_lowercase()
    }
}

/// What happens to the password of a link.
#[derive(Clone, Debug, Default)]
pub(crate) enum PasswordChange {
    /// It stays.
    #[default]
    Keep,
    /// There is none any more.
    Remove,
    /// This is the new one.
    Set(String),
}

/// What to do when the link is there already (INV-L20).
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = LinkIfExists)]
pub(crate) enum IfExists {
    /// Refuse.
    Error,
    /// Answer with it.
    Return,
    /// Change it into what was sent.
    Update,
}

/// What came of a creation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// There is a new link.
    Created,
    /// There was one, and it is unchanged.
    Found,
    /// There was one, and it is changed.
    Updated,
}

/// A link with the names of its tags.
#[derive(Clone, Debug)]
pub(crate) struct Tagged {
    pub(crate) link: LinkRecord,
    pub(crate) tags: Vec<String>,
}
