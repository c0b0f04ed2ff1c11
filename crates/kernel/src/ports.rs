//! The few traits through which modules talk to each other without knowing each other.

use std::net::IpAddr;
use std::sync::Arc;

use futures_util::future::BoxFuture;

use crate::actor::{Actor, UserId};
use crate::app::App;
use crate::ctx::Ctx;
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

    /// Notes that the actor uses an administrative permission now, which keeps the admin grant of the login awake (SES-3).
    fn note_admin_use<'a>(&'a self, app: &'a App, actor: &'a Actor) -> BoxFuture<'a, Result<()>> {
        let _ = (app, actor);
        Box::pin(async { Ok(()) })
    }
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

/// Hashes and verifies passwords on the one bounded pool for it (HSH-1, HSH-2).
pub trait Passwords: Send + Sync + 'static {
    /// The PHC string of a new password, or `hasher_busy`.
    fn hash<'a>(&'a self, app: &'a App, from: IpAddr, password: &'a str) -> BoxFuture<'a, Result<String>>;

    /// Whether the password is the one behind the PHC string, or `hasher_busy`.
    fn verify<'a>(&'a self, app: &'a App, from: IpAddr, password: &'a str, phc: &'a str) -> BoxFuture<'a, Result<bool>>;
}

/// Makes short links for other modules.
pub trait Shortener: Send + Sync + 'static {
    /// The short address of `url`, for this owner; the same one when it is asked again.
    fn shorten<'a>(&'a self, ctx: &'a Ctx, url: &'a str, title: &'a str) -> BoxFuture<'a, Result<String>>;
}

/// The ports of an app; each is provided by at most one module.
#[derive(Clone, Default)]
pub struct Ports {
    pub(crate) authenticator: Option<Arc<dyn Authenticator>>,
    pub(crate) directory: Option<Arc<dyn Directory>>,
    pub(crate) passwords: Option<Arc<dyn Passwords>>,
    pub(crate) shortener: Option<Arc<dyn Shortener>>,
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

    /// Who hashes passwords, if a module provides it.
    pub fn passwords(&self) -> Option<&Arc<dyn Passwords>> {
        self.passwords.as_ref()
    }

    /// Who makes short links, if a module provides it.
    pub fn shortener(&self) -> Option<&Arc<dyn Shortener>> {
        self.shortener.as_ref()
    }
}
