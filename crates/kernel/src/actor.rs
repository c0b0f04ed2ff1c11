//! Who is calling, and what they may do.

use std::collections::HashSet;
use std::sync::Arc;

use crate::error::{Error, FORBIDDEN, INSUFFICIENT_SCOPE, REAUTHENTICATION_REQUIRED, Result, UNAUTHENTICATED};
use crate::id::Id;
use crate::time::Timestamp;

/// The marker of a person's identifier: `Id<User>`; the module that owns people gives it rows.
#[derive(Debug)]
pub enum User {}

/// The marker of a login's identifier: `Id<Session>`.
#[derive(Debug)]
pub enum Session {}

/// The identifier of a person, for modules that store who did something.
pub type UserId = Id<User>;

/// One thing that can be allowed, named `module:resource:action`.
#[derive(Debug, PartialEq, Eq, Hash)]
pub struct Permission {
    /// The name, `module:resource:action`.
    pub name: &'static str,
    /// One sentence: what its holder may do.
    pub doc: &'static str,
    /// Whether it also needs an admin grant on the session (SES-3).
    pub is_administrative: bool,
}

impl Permission {
    /// A permission with this name and this sentence.
    pub const fn new(name: &'static str, doc: &'static str) -> Self {
        Permission { name, doc, is_administrative: false }
    }

    /// The same permission, marked as administrative.
    pub const fn administrative(self) -> Self {
        Permission { is_administrative: true, ..self }
    }
}

/// What a principal may do: everything, or the names it was granted.
#[derive(Clone, Debug, Default)]
pub struct Permissions(Grant);

#[derive(Clone, Debug, Default)]
enum Grant {
    #[default]
    Nothing,
    Everything,
    Names(Arc<HashSet<Box<str>>>),
}

impl Permissions {
    /// Nothing at all.
    pub fn none() -> Self {
        Permissions(Grant::Nothing)
    }

    /// Everything, also what later modules bring.
    pub fn everything() -> Self {
        Permissions(Grant::Everything)
    }

    /// These names; the name `*` means everything.
    pub fn named<I: IntoIterator<Item = S>, S: Into<Box<str>>>(names: I) -> Self {
        let names: HashSet<Box<str>> = names.into_iter().map(Into::into).collect();
        if names.contains("*") { Self::everything() } else { Permissions(Grant::Names(Arc::new(names))) }
    }

    /// Whether `permission` is among them.
    pub fn allow(&self, permission: &Permission) -> bool {
        self.allow_name(permission.name)
    }

    /// Whether the permission of this name is among them.
    pub fn allow_name(&self, name: &str) -> bool {
        match &self.0 {
            Grant::Nothing => false,
            Grant::Everything => true,
            Grant::Names(names) => names.contains(name),
        }
    }

    /// Those of `scopes` that are among them.
    pub fn narrowed_to<'s>(&self, scopes: impl IntoIterator<Item = &'s str>) -> Permissions {
        Permissions::named(scopes.into_iter().filter(|name| *name != "*" && self.allow_name(name)))
    }

    /// The names, sorted; `*` for everything.
    pub fn names(&self) -> Vec<String> {
        match &self.0 {
            Grant::Nothing => Vec::new(),
            Grant::Everything => vec!["*".to_owned()],
            Grant::Names(names) => {
                let mut names: Vec<String> = names.iter().map(ToString::to_string).collect();
                names.sort_unstable();
                names
            }
        }
    }
}

/// How the caller proved who they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CredentialKind {
    /// No credential at all.
    None,
    /// The session cookie of a browser.
    Cookie,
    /// An access token in the `Authorization` header.
    Bearer,
    /// A personal key in the `Authorization` header: made for programs, with scopes, and without a login.
    ApiKey,
    /// The system itself: a job, the command line.
    System,
}

/// A logged-in caller.
#[derive(Clone, Debug)]
pub struct Identity {
    /// The person.
    pub user_id: UserId,
    /// The login; for a personal key the key itself.
    pub session_id: Id<Session>,
    /// When the person last proved who they are.
    pub authenticated_at: Timestamp,
    /// Until when the admin grant on the session lasts unless it is used, if there is one (SES-3).
    pub admin_until: Option<Timestamp>,
}

/// The principal of a request, a job or a command.
#[derive(Clone, Debug)]
pub struct Actor {
    identity: Option<Arc<Identity>>,
    permissions: Permissions,
    credential: CredentialKind,
    /// What the person behind a key may do, beyond the scopes of the key.
    behind: Permissions,
}

impl Actor {
    /// Nobody: a request without a credential.
    pub fn anonymous() -> Self {
        Actor { identity: None, permissions: Permissions::none(), credential: CredentialKind::None, behind: Permissions::none() }
    }

    /// The system itself; may do everything.
    pub fn system() -> Self {
        Actor { identity: None, permissions: Permissions::everything(), credential: CredentialKind::System, behind: Permissions::none() }
    }

    /// A logged-in person.
    pub fn user(identity: Arc<Identity>, permissions: Permissions, credential: CredentialKind) -> Self {
        Actor { identity: Some(identity), permissions, credential, behind: Permissions::none() }
    }

    /// A program with a person's key: it may do what the person may do now, as far as the scopes go (KEY-1).
    pub fn api_key<'s>(identity: Arc<Identity>, owner: Permissions, scopes: impl IntoIterator<Item = &'s str>) -> Self {
        let permissions = owner.narrowed_to(scopes);
        Actor { identity: Some(identity), permissions, credential: CredentialKind::ApiKey, behind: owner }
    }

    /// The logged-in person and login, or `unauthenticated`.
    pub fn identity(&self) -> Result<&Identity> {
        self.identity.as_deref().ok_or_else(|| UNAUTHENTICATED.error())
    }

    /// The logged-in person, or `unauthenticated`.
    pub fn user_id(&self) -> Result<UserId> {
        self.identity().map(|identity| identity.user_id)
    }

    /// The logged-in person, if there is one.
    pub fn maybe_user_id(&self) -> Option<UserId> {
        self.identity.as_ref().map(|identity| identity.user_id)
    }

    /// Whether nobody is logged in and this is not the system.
    pub fn is_anonymous(&self) -> bool {
        self.credential == CredentialKind::None
    }

    /// How the caller proved who they are.
    pub fn credential(&self) -> CredentialKind {
        self.credential
    }

    /// What the caller may do.
    pub fn permissions(&self) -> &Permissions {
        &self.permissions
    }

    /// Whether the caller holds `permission`.
    pub fn may(&self, permission: &Permission) -> bool {
        self.permissions.allow(permission)
    }

    /// Fails with `unauthenticated`, `insufficient_scope` or `forbidden` unless the caller holds `permission`.
    pub fn require(&self, permission: &Permission) -> Result<()> {
        match (self.may(permission), self.is_anonymous()) {
            (true, _) => Ok(()),
            (false, true) => Err(UNAUTHENTICATED.error()),
            (false, false) if self.behind.allow(permission) => {
                Err(INSUFFICIENT_SCOPE.because(format!("The key lacks the scope {}.", permission.name)))
            }
            (false, false) => Err(FORBIDDEN.because(format!("This needs the permission {}.", permission.name))),
        }
    }

    /// Fails with `reauthentication_required` when the login is older than `max_age` (SES-10).
    pub fn require_recent(&self, now: Timestamp, max_age: std::time::Duration) -> Result<()> {
        let identity = self.identity()?;
        if now.since(identity.authenticated_at) <= max_age {
            return Ok(());
        }
        Err(Error::from(&REAUTHENTICATION_REQUIRED).with_member("methods", serde_json::json!(["password"])))
    }

    /// Fails with `reauthentication_required` unless the login has an admin grant that lasts (SES-3); the system needs none.
    pub fn require_admin_grant(&self, now: Timestamp) -> Result<()> {
        let Some(identity) = self.identity.as_deref() else { return Ok(()) };
        if identity.admin_until.is_some_and(|until| now < until) {
            return Ok(());
        }
        Err(Error::from(&REAUTHENTICATION_REQUIRED).with_member("methods", serde_json::json!(["password"])))
    }

    /// A short name for logs, audit rows and cursors: `user:…`, `system` or `anonymous`.
    pub fn label(&self) -> String {
        match (&self.identity, self.credential) {
            (Some(identity), _) => format!("user:{}", identity.user_id),
            (None, CredentialKind::System) => "system".to_owned(),
            (None, _) => "anonymous".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EDIT: Permission = Permission::new("blog:posts:update", "Change posts.");

    #[test]
    fn nobody_may_do_nothing_and_is_asked_to_log_in() {
        assert!(Actor::anonymous().require(&EDIT).unwrap_err().is(&UNAUTHENTICATED));
    }

    #[test]
    fn the_system_may_do_everything() {
        assert!(Actor::system().require(&EDIT).is_ok());
    }

    #[test]
    fn ses3_an_admin_grant_ends_at_its_moment_and_the_system_needs_none() {
        let now = Timestamp::from_millis(1_000_000);
        let person = |admin_until| {
            let identity = Identity {
                user_id: Id::from_uuid(uuid::Uuid::nil()),
                session_id: Id::from_uuid(uuid::Uuid::nil()),
                authenticated_at: now,
                admin_until,
            };
            Actor::user(Arc::new(identity), Permissions::everything(), CredentialKind::Cookie)
        };
        assert!(person(Some(Timestamp::from_millis(1_000_001))).require_admin_grant(now).is_ok());
        for lapsed in [Some(now), None] {
            assert!(person(lapsed).require_admin_grant(now).unwrap_err().is(&REAUTHENTICATION_REQUIRED));
        }
        assert!(Actor::system().require_admin_grant(now).is_ok());
    }

    #[test]
    fn key1_a_key_may_do_what_both_its_scopes_and_its_owner_allow() {
        let identity = || {
            let nobody = uuid::Uuid::nil();
            let at = Timestamp::from_millis(0);
            Arc::new(Identity {
                user_id: Id::from_uuid(nobody),
                session_id: Id::from_uuid(nobody),
                authenticated_at: at,
                admin_until: None,
            })
        };
        let key = |owner, scopes: &[&'static str]| Actor::api_key(identity(), owner, scopes.iter().copied());
        assert!(key(Permissions::everything(), &["blog:posts:update"]).require(&EDIT).is_ok());
        assert!(key(Permissions::everything(), &["*"]).require(&EDIT).unwrap_err().is(&INSUFFICIENT_SCOPE));
        assert!(key(Permissions::named(["blog:posts:update"]), &[]).require(&EDIT).unwrap_err().is(&INSUFFICIENT_SCOPE));
        assert!(key(Permissions::none(), &["blog:posts:update"]).require(&EDIT).unwrap_err().is(&FORBIDDEN));
    }

    #[test]
    fn a_star_means_everything() {
        assert!(Permissions::named(["*"]).allow(&EDIT));
        assert!(!Permissions::named(["blog:posts:read"]).allow(&EDIT));
    }
}
