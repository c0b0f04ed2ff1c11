//! Accounts: sign-up, login, sessions, tokens, password reset, roles.
//!
//! * `signups`: nothing exists for an address until its mailbox is proven
//! * `logins`: one answer for every failure, growing waits per typed name, known devices, limits per client address
//! * `sessions`: cookies for browsers, tokens for clients; the same revocation for both
//! * `api_keys`: what programs use instead, never more than their owner may
//! * `tokens`: access tokens (JWT) and refresh tokens that survive twenty tabs and catch a thief
//! * `passwords`, `hashing`: what is acceptable, how it is hashed without stalling the server
//! * `owners`: the first owner, by a link that only the console shows
//! * `emails`: what an address is, and how a person changes theirs
//! * `pages`: all of this for people without a front end of their own, under `/account`
//! * `users`, `roles`: who there is and what they may do
//! * `mfa`: an authenticator app beside the password, and recovery codes
//! * `invitations`: accounts that wait for whoever holds the mailbox
//! * `activity`: everybody's own part of the audit trail

mod activity;
mod api_keys;
mod commands;
pub mod emails;
pub mod events;
pub mod hashing;
mod invitations;
mod jobs;
mod logins;
mod mfa;
mod one_time;
mod owners;
mod pages;
pub mod passwords;
mod permissions;
pub mod problems;
mod roles;
pub mod secrets;
mod sessions;
mod settings;
mod signups;
pub mod tokens;
pub mod users;

use futures_util::future::BoxFuture;
use kernel::platform::{HttpSettings, PlatformSettings};
use kernel::{App, Id, Module, Parts, Permission, Result, StoredEvent};

use crate::hashing::{Hasher, HasherSettings};
use crate::passwords::policy::PasswordPolicy;
use crate::sessions::SessionCache;
use crate::sessions::service::SessionAuthenticator;
use crate::settings::{
    AccountSettings, GuessingSettings, HashScheme, MfaSettings, PageSettings, PasswordSettings, ResetSettings, SessionSettings,
    TokenSettings,
};
use crate::tokens::SigningKeys;

pub use roles::{ADMIN, MEMBER, OWNER};

/// Who may replace the keys that sign access tokens.
pub static ROTATE_KEYS: Permission =
    Permission::new("accounts:signing_keys:rotate", "Replace the keys that sign access tokens.").administrative();

/// What administrators do not get by themselves (accounts.md §7).
pub(crate) static OWNER_ONLY: &[&Permission] = &[&ROTATE_KEYS];

const MIGRATIONS: &[db::Migration] = db::migrations![
    (1, "accounts", include_str!("../migrations/0001_accounts.sql")),
    (2, "people", include_str!("../migrations/0002_people.sql")),
    (3, "doors", include_str!("../migrations/0003_doors.sql")),
    (4, "api_keys", include_str!("../migrations/0004_api_keys.sql")),
    (5, "mfa", include_str!("../migrations/0005_mfa.sql")),
];

/// The module.
#[derive(Debug, Default)]
pub struct Accounts {
    is_cheap: bool,
}

impl Accounts {
    /// The module as it ships.
    pub fn new() -> Accounts {
        Accounts::default()
    }

    /// The module with a hash that costs nothing and protects nothing, so that thousands of test logins are fast.
    pub fn for_tests() -> Accounts {
        Accounts { is_cheap: true }
    }
}

impl Module for Accounts {
    fn name(&self) -> &'static str {
        "accounts"
    }

    fn register(&self, parts: &mut Parts<'_>) {
        let is_cheap = self.is_cheap;
        parts
            .settings::<AccountSettings>()
            .settings::<PasswordSettings>()
            .settings::<SessionSettings>()
            .settings::<TokenSettings>()
            .settings::<GuessingSettings>()
            .settings::<ResetSettings>()
            .settings::<PageSettings>()
            .settings::<MfaSettings>()
            .migrations(MIGRATIONS)
            .problems(problems::PROBLEMS)
            .permissions(&[&ROTATE_KEYS])
            .permissions(permissions::ALL)
            .state(move |setup| Hasher::start(&hasher_settings(setup.settings::<PasswordSettings>(), is_cheap)))
            .state(|setup| password_policy(setup.settings::<PasswordSettings>()))
            .state(|_| Ok(SessionCache::default()))
            .state(|setup| {
                let issuer = kernel::platform::public_url(setup.settings::<PlatformSettings>(), setup.settings::<HttpSettings>());
                SigningKeys::new(&issuer, setup.clock.clone())
            })
            .provide_authenticator(SessionAuthenticator)
            .provide_directory(users::directory::UserDirectory)
            .provide_passwords(hashing::SharedHasher)
            .job(jobs::purge)
            .job(jobs::supply_signing_keys)
            .job(hashing::mix::measure_schemes)
            .every("29 * * * *", jobs::Purge {})
            .every("41 3 * * *", jobs::SupplySigningKeys {})
            .every("53 * * * *", hashing::mix::MeasureSchemes {})
            .route(owners::http::operation())
            .routes(signups::http::operations())
            .routes(logins::http::operations())
            .routes(tokens::http::operations())
            .routes(passwords::http::operations())
            .routes(emails::http::operations())
            .routes(sessions::http::operations())
            .routes(users::http::operations())
            .routes(users::administration_http::operations())
            .routes(roles::http::operations())
            .routes(invitations::http::operations())
            .routes(api_keys::http::operations())
            .routes(mfa::http::operations())
            .route(activity::http::operation());
        pages::register(parts);
        register_events(parts);
        register_templates(parts);
        register_watchers(parts);
        commands::register(parts);
    }

    fn start<'a>(&'a self, app: &'a App) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            settings::check(app, self.is_cheap)?;
            roles::service::seed(app).await?;
            hashing::mix::keep_measured(app).await?;
            tokens::signing::keep_supplied(app).await
        })
    }

    fn notices<'a>(&'a self, app: &'a App) -> BoxFuture<'a, Result<Vec<String>>> {
        Box::pin(commands::notices(app))
    }
}

fn hasher_settings(settings: &PasswordSettings, is_cheap: bool) -> HasherSettings {
    let mut hasher = if is_cheap { HasherSettings::for_tests() } else { HasherSettings::default() };
    hasher.bcrypt_cost = (settings.hash == HashScheme::Bcrypt).then_some(settings.bcrypt_cost);
    if !is_cheap {
        hasher.threads = settings.hash_threads as usize;
        hasher.queue = settings.hash_queue as usize;
        (hasher.m_kib, hasher.t, hasher.p) = (settings.argon2_m, settings.argon2_t, settings.argon2_p);
    }
    hasher
}

fn password_policy(settings: &PasswordSettings) -> Result<PasswordPolicy> {
    let policy = PasswordPolicy::new(settings.min_length as usize)?;
    Ok(if settings.hash == HashScheme::Bcrypt { policy.for_bcrypt() } else { policy })
}

fn register_events(parts: &mut Parts<'_>) {
    parts
        .emits::<events::SignupStarted>()
        .emits::<events::UserCreated>()
        .emits::<events::UserUpdated>()
        .emits::<events::UserDisabled>()
        .emits::<events::UserEnabled>()
        .emits::<events::SessionStarted>()
        .emits::<events::SessionRenewed>()
        .emits::<events::SessionRevoked>()
        .emits::<events::PasswordChanged>()
        .emits::<events::PasswordResetRequested>()
        .emits::<events::EmailChanged>()
        .emits::<events::EmailChangeUndone>()
        .emits::<events::RefreshTokenReplayed>()
        .emits::<events::RoleAssigned>()
        .emits::<events::RoleUnassigned>()
        .emits::<events::RoleCreated>()
        .emits::<events::RoleUpdated>()
        .emits::<events::RoleDeleted>()
        .emits::<events::InvitationCreated>()
        .emits::<events::InvitationAccepted>()
        .emits::<events::ApiKeyCreated>()
        .emits::<events::ApiKeyRevoked>()
        .emits::<events::MfaEnrolled>()
        .emits::<events::MfaRemoved>()
        .emits::<events::RecoveryCodeUsed>()
        .emits::<events::SigningKeyRotated>();
}

fn register_templates(parts: &mut Parts<'_>) {
    parts
        .template(kernel::template!("accounts/confirm_signup", "en", "../emails/confirm_signup/en"))
        .template(kernel::template!("accounts/confirm_signup", "de", "../emails/confirm_signup/de"))
        .template(kernel::template!("accounts/already_have_account", "en", "../emails/already_have_account/en"))
        .template(kernel::template!("accounts/already_have_account", "de", "../emails/already_have_account/de"))
        .template(kernel::template!("accounts/reset_password", "en", "../emails/reset_password/en"))
        .template(kernel::template!("accounts/reset_password", "de", "../emails/reset_password/de"))
        .template(kernel::template!("accounts/invitation", "en", "../emails/invitation/en"))
        .template(kernel::template!("accounts/invitation", "de", "../emails/invitation/de"))
        .template(kernel::template!("accounts/api_key_created", "en", "../emails/api_key_created/en"))
        .template(kernel::template!("accounts/api_key_created", "de", "../emails/api_key_created/de"))
        .template(kernel::template!("accounts/password_changed", "en", "../emails/password_changed/en"))
        .template(kernel::template!("accounts/password_changed", "de", "../emails/password_changed/de"))
        .template(kernel::template!("accounts/confirm_email", "en", "../emails/confirm_email/en"))
        .template(kernel::template!("accounts/confirm_email", "de", "../emails/confirm_email/de"))
        .template(kernel::template!("accounts/leave_email", "en", "../emails/leave_email/en"))
        .template(kernel::template!("accounts/leave_email", "de", "../emails/leave_email/de"))
        .template(kernel::template!("accounts/email_changed", "en", "../emails/email_changed/en"))
        .template(kernel::template!("accounts/email_changed", "de", "../emails/email_changed/de"))
        .template(kernel::template!("accounts/factor_added", "en", "../emails/factor_added/en"))
        .template(kernel::template!("accounts/factor_added", "de", "../emails/factor_added/de"))
        .template(kernel::template!("accounts/factor_removed", "en", "../emails/factor_removed/en"))
        .template(kernel::template!("accounts/factor_removed", "de", "../emails/factor_removed/de"))
        .template(kernel::template!("accounts/recovery_code_used", "en", "../emails/recovery_code_used/en"))
        .template(kernel::template!("accounts/recovery_code_used", "de", "../emails/recovery_code_used/de"))
        .template(kernel::template!("accounts/email_taken_back", "en", "../emails/email_taken_back/en"))
        .template(kernel::template!("accounts/email_taken_back", "de", "../emails/email_taken_back/de"))
        .template(kernel::template!("accounts/refresh_token_replayed", "en", "../emails/refresh_token_replayed/en"))
        .template(kernel::template!("accounts/refresh_token_replayed", "de", "../emails/refresh_token_replayed/de"));
}

/// What each node forgets when something changes, here or elsewhere.
fn register_watchers(parts: &mut Parts<'_>) {
    let forget_user = |app: &App, event: &StoredEvent| {
        if let Some(user) = event.data["user_id"].as_str().and_then(|id| id.parse().ok()) {
            app.state::<SessionCache>().forget_user(user);
        }
    };
    let forget_session = move |app: &App, event: &StoredEvent| match event.data["session_id"].as_str().and_then(|id| id.parse().ok()) {
        Some(id) => app.state::<SessionCache>().forget_session(Id::from_uuid(id)),
        None => forget_user(app, event),
    };
    parts
        .watch("accounts.session.revoked", forget_session)
        .watch("accounts.session.renewed", forget_session)
        .watch("accounts.user.disabled", forget_user)
        .watch("accounts.role.assigned", forget_user)
        .watch("accounts.role.unassigned", forget_user)
        .watch("accounts.role.updated", |app, _| app.state::<SessionCache>().forget_all())
        .watch("accounts.role.deleted", |app, _| app.state::<SessionCache>().forget_all())
        .watch("accounts.password.changed", forget_user)
        .watch("accounts.signing_key.rotated", |app, _| {
            app.state::<SigningKeys>().mark_stale();
            app.state::<SessionCache>().forget_all();
        });
}
