//! The hashing pool for passwords of other things: protected links, archives.

use std::net::IpAddr;

use futures_util::future::BoxFuture;
use kernel::ports::Passwords;
use kernel::{App, Result};

use super::{Hasher, area::SALT_BYTES};
use crate::secrets::Password;

/// The same threads, line and costs as for accounts.
pub(crate) struct SharedHasher;

impl Passwords for SharedHasher {
    fn hash<'a>(&'a self, app: &'a App, from: IpAddr, password: &'a str) -> BoxFuture<'a, Result<String>> {
        Box::pin(async move {
            let mut salt = [0; SALT_BYTES];
            app.random().fill(&mut salt);
            app.state::<Hasher>().hash(from, &Password::new(password.to_owned()), salt).await
        })
    }

    fn verify<'a>(&'a self, app: &'a App, from: IpAddr, password: &'a str, phc: &'a str) -> BoxFuture<'a, Result<bool>> {
        Box::pin(async move {
            let verdict = app.state::<Hasher>().verify(from, &Password::new(password.to_owned()), phc).await?;
            Ok(verdict.matches)
        })
    }
}
