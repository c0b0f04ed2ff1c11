//! The `[accounts…]` settings. Values weaker than accounts.md §4 are refused at start, naming the rule.

use kernel::error::INTERNAL;
use kernel::settings::Span;
use kernel::{App, Result};
use serde::{Deserialize, Serialize};

/// Who may sign up by themselves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum SignupMode {
    /// Everyone.
    #[default]
    Open,
    /// Only people with an address in `signup_domains`.
    Domains,
    /// Nobody; administrators invite.
    Invite,
    /// Nobody.
    Closed,
}

kernel::settings! {
    /// Who may have an account.
    pub struct AccountSettings in "accounts" {
        /// Who may sign up: "open", "domains" (see signup_domains), "invite" or "closed".
        pub signup: SignupMode = SignupMode::Open,
        /// Domains whose addresses may sign up when signup = "domains".
        pub signup_domains: Vec<String> = Vec::new(),
    }
}

kernel::settings! {
    /// Passwords and how they are hashed.
    pub struct PasswordSettings in "accounts.passwords" {
        /// The shortest password, in code points; at least 8.
        pub min_length: u32 = 10,
        /// Memory of one Argon2id hash in KiB; at least 19456.
        pub argon2_m: u32 = 19_456,
        /// Passes of one Argon2id hash; at least 2.
        pub argon2_t: u32 = 2,
        /// Lanes of one Argon2id hash.
        pub argon2_p: u32 = 1,
        /// Hashing threads; 0 means half the cores, 1 to 4.
        pub hash_threads: u32 = 0,
        /// How many hashes may wait; more are answered with 503 at once.
        pub hash_queue: u32 = 64,
    }
}

kernel::settings! {
    /// How long logins in browsers last; those of clients: see accounts.tokens.
    pub struct SessionSettings in "accounts.sessions" {
        /// How long an unused session lasts; at most 30 days.
        pub idle: Span = Span::days(7),
        /// How long a session lasts at most; at most 90 days.
        pub absolute: Span = Span::days(30),
        /// How recent a login must be for password, address and factor changes; at most 1 hour.
        pub fresh_auth: Span = Span::minutes(10),
    }
}

kernel::settings! {
    /// Access and refresh tokens, and API keys.
    pub struct TokenSettings in "accounts.tokens" {
        /// How long an access token is good; at most 1 hour.
        pub access_ttl: Span = Span::minutes(10),
        /// How long an unused refresh token is good.
        pub refresh_idle: Span = Span::days(14),
        /// How long a chain of refresh tokens lasts.
        pub refresh_absolute: Span = Span::days(30),
        /// How many days an API key is good unless its maker says; 1 to api_key_max_days.
        pub api_key_default_days: u32 = 90,
        /// How many days an API key is good at most; at most 365.
        pub api_key_max_days: u32 = 365,
    }
}

kernel::settings! {
    /// What a password reset ends beside all logins.
    pub struct ResetSettings in "accounts.reset" {
        /// Whether it revokes the person's API keys too.
        pub revokes_api_keys: bool = false,
    }
}

kernel::settings! {
    /// Guessing.
    pub struct GuessingSettings in "accounts.limits" {
        /// Failed logins per name before waits begin; at most 10.
        pub free_failures: u32 = 5,
        /// The longest wait between two tries.
        pub max_wait: Span = Span::minutes(15),
    }
}

kernel::settings! {
    /// Your own pages in mailed links. Empty: the pages under /account.
    pub struct PageSettings in "accounts.pages" {
        /// The page that completes a sign-up; the token follows as #token.
        pub complete: String = String::new(),
        /// The page that sets a new password; the token follows as #token.
        pub reset: String = String::new(),
    }
}

/// Refuses settings that are weaker than accounts.md §4, naming each and its rule.
pub(crate) fn check(app: &App) -> Result<()> {
    let hours = |span: &Span| span.as_secs() / 3600;
    let (sessions, tokens) = (app.settings::<SessionSettings>(), app.settings::<TokenSettings>());
    let rules = [
        (hours(&sessions.idle) <= 30 * 24, "accounts.sessions.idle", "30d", "SES-3"),
        (hours(&sessions.absolute) <= 90 * 24, "accounts.sessions.absolute", "90d", "SES-3"),
        (sessions.fresh_auth.as_secs() <= 3600, "accounts.sessions.fresh_auth", "1h", "SES-10"),
        (tokens.access_ttl.as_secs() <= 3600, "accounts.tokens.access_ttl", "1h", "TOK-5"),
        (hours(&tokens.refresh_idle) <= 90 * 24, "accounts.tokens.refresh_idle", "90d", "TOK-8"),
        (hours(&tokens.refresh_absolute) <= 90 * 24, "accounts.tokens.refresh_absolute", "90d", "TOK-8"),
        (tokens.api_key_max_days <= 365, "accounts.tokens.api_key_max_days", "365", "KEY-1"),
        (
            tokens.api_key_default_days <= tokens.api_key_max_days,
            "accounts.tokens.api_key_default_days",
            "accounts.tokens.api_key_max_days",
            "KEY-1",
        ),
        (app.settings::<GuessingSettings>().free_failures <= 10, "accounts.limits.free_failures", "10", "LOG-1"),
    ];
    if tokens.api_key_default_days == 0 {
        return Err(INTERNAL.because("The setting accounts.tokens.api_key_default_days must be at least 1 (KEY-1)."));
    }
    match rules.into_iter().find(|(is_fine, ..)| !is_fine) {
        None => Ok(()),
        Some((_, key, most, rule)) => Err(INTERNAL.because(format!("The setting {key} may be at most {most} ({rule})."))),
    }
}
