//! A stand-in for the hashing pool, for tests of modules that only want a password kept and compared.

use std::net::IpAddr;
use std::pin::Pin;

use kernel::ports::Passwords;
use kernel::{App, Module, Parts, Result};
use sha2::{Digest, Sha256};

/// A module whose hashes cost nothing and protect nothing; what it keeps is still not the password.
#[derive(Clone, Copy, Debug)]
pub struct Hashes;

impl Module for Hashes {
    fn name(&self) -> &'static str {
        "hashes"
    }

    fn register(&self, parts: &mut Parts<'_>) {
        parts.provide_passwords(*self);
    }
}

impl Passwords for Hashes {
    fn hash<'a>(&'a self, _app: &'a App, _from: IpAddr, password: &'a str) -> Pin<Box<dyn Future<Output = Result<String>> + Send + 'a>> {
        Box::pin(async move { Ok(digest(password)) })
    }

    fn verify<'a>(
        &'a self,
        _app: &'a App,
        _from: IpAddr,
        password: &'a str,
        phc: &'a str,
    ) -> Pin<Box<dyn Future<Output = Result<bool>> + Send + 'a>> {
        Box::pin(async move { Ok(digest(password) == phc) })
    }
}

fn digest(password: &str) -> String {
    Sha256::digest(password.as_bytes()).iter().fold("$test$".to_owned(), |text, byte| text + &format!("{byte:02x}"))
}
