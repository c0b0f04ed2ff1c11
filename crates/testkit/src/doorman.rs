//! A stand-in for accounts, for tests of modules that only ask who is calling and what he may do.

use std::net::IpAddr;
use std::sync::Arc;

use kernel::ports::{Authenticator, Credential};
use kernel::{Actor, App, CredentialKind, Id, Identity, Module, Parts, Permissions, UserId};

use crate::people::Person;

/// A module that believes every token of [`Doorman::person`]; as a session cookie too.
#[derive(Clone, Copy, Debug)]
pub struct Doorman;

impl Doorman {
    /// Somebody with this name and these permissions; `*` is all of them.
    pub fn person(name: &str, permissions: &[&str]) -> Person {
        Person {
            token: format!("{name}/{}", permissions.join(",")),
            user_id: id_of(name).to_string(),
            email: format!("{name}@example.com"),
        }
    }
}

/// The same person for the same name: a UUIDv7-shaped number made of its first bytes.
fn id_of(name: &str) -> UserId {
    let mut number = 0x019a_b0b2_8f00_7000_8000_0000_0000_0000_u128;
    for byte in name.bytes().take(7) {
        number = (number & !0xff_ffff_ffff_ffff) | ((number << 8) & 0xff_ffff_ffff_ffff) | u128::from(byte);
    }
    let text = format!("{number:032x}");
    let parts = [&text[..8], &text[8..12], &text[12..16], &text[16..20], &text[20..]];
    parts.join("-").parse().expect("32 hexadecimal digits")
}

impl Module for Doorman {
    fn name(&self) -> &'static str {
        "doorman"
    }

    fn register(&self, parts: &mut Parts<'_>) {
        parts.provide_authenticator(*self);
    }
}

impl Authenticator for Doorman {
    fn authenticate<'a>(
        &'a self,
        app: &'a App,
        credential: Credential<'a>,
        _from: IpAddr,
    ) -> std::pin::Pin<Box<dyn Future<Output = kernel::Result<Actor>> + Send + 'a>> {
        Box::pin(async move {
            let (token, kind) = match credential {
                Credential::Bearer(token) => (token, CredentialKind::Bearer),
                Credential::Cookie(token) => (token, CredentialKind::Cookie),
            };
            let (name, permissions) = token.split_once('/').ok_or(&kernel::error::UNAUTHENTICATED)?;
            let user_id = id_of(name);
            let now = app.clock().now();
            // Whoever the doorman lets in has just logged in, admin grant included.
            let admin_until = Some(now + std::time::Duration::from_secs(3600));
            let identity = Identity { user_id, session_id: Id::from_uuid(user_id.uuid()), authenticated_at: now, admin_until };
            Ok(Actor::user(Arc::new(identity), Permissions::named(permissions.split(',')), kind))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_name_is_one_person() {
        assert_eq!(id_of("ada"), id_of("ada"));
        assert_ne!(id_of("ada"), id_of("bob"));
        assert_eq!(Doorman::person("ada", &["a:b:c"]).token, "ada/a:b:c");
    }
}
