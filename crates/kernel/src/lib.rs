//! Vocabulary and plumbing that every feature shares. It names no feature.
//!
//! * What a feature brings: [`Module`], [`Parts`], [`http::Operation`], [`Event`], [`Job`]
//! * What a service verb gets: [`Ctx`] with its [`Actor`], [`Tx`], clock, ids and state
//! * What it answers with: [`Error`] and [`problems!`], [`Page`](page::Page), [`Id`], [`Timestamp`], [`Money`](money::Money)
//! * What content is made of: [`richtext`], [`media`], [`search`], [`page::Keyset`]
//! * What runs underneath: [`App`], settings, sealing, jobs, messages, the HTTP edge

pub mod actor;
pub mod address;
pub mod app;
pub mod assets;
pub mod audit;
mod builder;
mod ctx;
pub mod error;
pub mod events;
pub mod http;
mod id;
pub(crate) mod idempotency;
pub mod jobs;
pub mod json;
pub mod limits;
pub mod media;
pub mod messages;
pub mod module;
pub mod money;
pub(crate) mod outbox;
pub mod page;
pub mod platform;
pub mod ports;
mod random;
pub mod richtext;
pub mod seal;
pub mod search;
pub mod settings;
pub mod templates;
mod time;
mod tx;
mod workers;

pub use actor::{Actor, CredentialKind, Identity, Permission, Permissions, Session, User, UserId};
pub use app::{App, Launch, Setup};
pub use audit::AuditEntry;
pub use builder::AppBuilder;
pub use ctx::{Ctx, RequestInfo};
pub use error::{Error, FieldError, Kind, LogAndContinue, Problem, Result};
pub use events::{Event, EventType, StoredEvent};
pub use id::Id;
pub use jobs::Job;
pub use messages::Template;
pub use module::{Finding, Module, Parts, Plan, RoleTemplate, Verb};
pub use ports::Ports;
pub use random::{IdSource, Random};
pub use time::{Clock, Timestamp};
pub use tx::Tx;
