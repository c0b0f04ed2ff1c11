//! Who is calling, and what they may do.

use std::collections::HashSet;
use std::sync::Arc;

use uuid::Uuid;

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

    /// Those of these names that are among them; `*` is no name here.
    pub fn only<'n>(&self, names: impl IntoIterator<Item = &'n str>) -> Permissions {
        Permissions::named(names.into_iter().filter(|name| *name != "*" && self.allow_name(name)))
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
    /// An API key in the `Authorization` header (KEY-1).
    ApiKey,
    /// The system itself: a job, the command line.
    System,
}

/// A logged-in caller.
#[derive(Clone, Debug)]
pub struct Identity {
    /// The person.
    pub user_id: UserId,
    /// The login; of a caller with an API key, the key.
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
    /// What an API key was made for; none for every other credential.
    scopes: Option<Permissions>,
}

impl Actor {
    /// Nobody: a request without a credential.
    pub fn anonymous() -> Self {
        Actor { identity: None, permissions: Permissions::none(), credential: CredentialKind::None, scopes: None }
    }

    /// The system itself; may do everything.
    pub fn system() -> Self {
        Actor { identity: None, permissions: Permissions::everything(), credential: CredentialKind::System, scopes: None }
    }

    /// A logged-in person.
    pub fn user(identity: Arc<Identity>, permissions: Permissions, credential: CredentialKind) -> Self {
        Actor { identity: Some(identity), permissions, credential, scopes: None }
    }

    /// A person by an API key: may do what the person may do now, as far as the key has the scope (KEY-1).
    pub fn by_key<'s>(identity: Arc<Identity>, permissions: &Permissions, scopes: impl IntoIterator<Item = &'s str> + Clone) -> Self {
        Actor {
            identity: Some(identity),
            permissions: permissions.only(scopes.clone()),
            credential: CredentialKind::ApiKey,
            scopes: Some(Permissions::everything().only(scopes)),
        }
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

    /// The API key that the caller used, if it was one.
    pub fn key_id(&self) -> Option<Uuid> {
        self.identity.as_ref().filter(|_| self.credential == CredentialKind::ApiKey).map(|identity| identity.session_id.uuid())
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
            (false, false) if self.scopes.as_ref().is_some_and(|scopes| !scopes.allow(permission)) => {
                Err(INSUFFICIENT_SCOPE.because(format!("The key lacks the scope {}.", permission.name)))
            }
            (false, false) => Err(FORBIDDEN.because(format!("This needs the permission {}.", permission.name))),
        }
    }

    /// Fails with `reauthentication_required` when the login is older than `max_age` (SES-10); always fails for API keys.
    pub fn require_recent(&self, now: Timestamp, max_age: std::time::Duration) -> Result<()> {
        let identity = self.identity()?;
        self.refuse_key()?;
        if now.since(identity.authenticated_at) <= max_age {
            return Ok(());
        }
        Err(Error::from(&REAUTHENTICATION_REQUIRED).with_member("methods", serde_json::json!(["password"])))
    }

    /// Fails with `reauthentication_required` unless the login has an admin grant that lasts (SES-3); the system needs none, a key has none.
    pub fn require_admin_grant(&self, now: Timestamp) -> Result<()> {
        let Some(identity) = self.identity.as_deref() else { return Ok(()) };
        self.refuse_key()?;
        if identity.admin_until.is_some_and(|until| now < until) {
            return Ok(());
        }
        Err(Error::from(&REAUTHENTICATION_REQUIRED).with_member("methods", serde_json::json!(["password"])))
    }

    /// Fails with `forbidden` for an API key: it stands for a program, and this is for the person.
    pub fn refuse_key(&self) -> Result<()> {
        if self.credential == CredentialKind::ApiKey { Err(FORBIDDEN.because("An API key cannot do this; log in.")) } else { Ok(()) }
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

    fn key(permissions: &[&str], scopes: &[&str]) -> Actor {
        let id = Id::from_uuid(Uuid::nil());
        let identity = Identity { user_id: id, session_id: id.cast(), authenticated_at: Timestamp::from_millis(0), admin_until: None };
        Actor::by_key(Arc::new(identity), &Permissions::named(permissions.iter().copied()), scopes.iter().copied())
    }

    #[test]
    fn key1_a_key_may_do_what_its_scopes_and_its_owner_both_allow() {
        assert!(key(&["blog:posts:update"], &["blog:posts:update"]).require(&EDIT).is_ok());
        assert!(key(&["*"], &["blog:posts:update"]).require(&EDIT).is_ok());
        assert!(key(&["*"], &["blog:posts:read"]).require(&EDIT).unwrap_err().is(&INSUFFICIENT_SCOPE));
        assert!(key(&["blog:posts:read"], &["blog:posts:update"]).require(&EDIT).unwrap_err().is(&FORBIDDEN));
        assert!(key(&["*"], &["*"]).require(&EDIT).unwrap_err().is(&INSUFFICIENT_SCOPE));
    }

    #[test]
    fn key1_a_key_is_never_a_recent_login() {
        let actor = key(&["*"], &["blog:posts:update"]);
        assert!(actor.require_recent(Timestamp::from_millis(0), std::time::Duration::MAX).unwrap_err().is(&FORBIDDEN));
    }

    #[test]
    fn ses3_an_admin_grant_ends_at_its_moment_and_the_system_needs_none() {
        let now = Timestamp::from_millis(1_000_000);
        let person = |admin_until| {
            let identity = Identity {
                user_id: Id::from_uuid(Uuid::nil()),
                session_id: Id::from_uuid(Uuid::nil()),
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
    fn a_star_means_everything() {
        assert!(Permissions::named(["*"]).allow(&EDIT));
        assert!(!Permissions::named(["blog:posts:read"]).allow(&EDIT));
    }
}
