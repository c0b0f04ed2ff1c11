//! The few traits through which modules talk to each other without knowing each other.

use std::net::IpAddr;
use std::sync::Arc;

use futures_util::future::BoxFuture;

use crate::actor::{Actor, UserId};
use crate::app::App;
use crate::error::Result;

/// A secret that a request carries to prove who is calling.
#[derive(Clone, Copy, Debug)]
pub enum Credential<'a> {
    /// The value of the session cookie.
    Cookie(&'a str),
    /// The value after `Authorization: Bearer`.
    Bearer(&'a str),
}

/// Turns a credential into an [`Actor`].
pub trait Authenticator: Send + Sync + 'static {
    /// The actor behind `credential`, or `unauthenticated` / `token_expired`.
    fn authenticate<'a>(&'a self, app: &'a App, credential: Credential<'a>, from: IpAddr) -> BoxFuture<'a, Result<Actor>>;
}

/// What other modules may know about a person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Person {
    /// Who it is.
    pub id: UserId,
    /// The name shown to others.
    pub display_name: String,
    /// The primary address.
    pub email: String,
    /// The language of their mails, BCP 47.
    pub locale: String,
}

/// Looks people up, many at once.
pub trait Directory: Send + Sync + 'static {
    /// The people behind these ids; unknown ids are left out.
    fn people<'a>(&'a self, app: &'a App, ids: &'a [UserId]) -> BoxFuture<'a, Result<Vec<Person>>>;
}

/// The ports of an app; each is provided by at most one module.
#[derive(Clone, Default)]
pub struct Ports {
    pub(crate) authenticator: Option<Arc<dyn Authenticator>>,
    pub(crate) directory: Option<Arc<dyn Directory>>,
}

impl Ports {
    /// Who turns credentials into actors, if a module provides it.
    pub fn authenticator(&self) -> Option<&Arc<dyn Authenticator>> {
        self.authenticator.as_ref()
    }

    /// Who knows people, if a module provides it.
    pub fn directory(&self) -> Option<&Arc<dyn Directory>> {
        self.directory.as_ref()
    }
}
