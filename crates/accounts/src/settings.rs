//! The `[accounts…]` settings. Values weaker than accounts.md §4 are refused at start, naming the rule.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use kernel::error::INTERNAL;
use kernel::platform::HttpSettings;
use kernel::settings::Span;
use kernel::{App, Result};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use url::{Origin, Url};

use crate::pages::next::origin_of;

/// So many within a time, written as `30/10m`; a window alone is one of its unit: `3/h`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Rate {
    /// How many.
    pub(crate) count: u32,
    /// Within which time.
    pub(crate) window: Duration,
}

impl Rate {
    const fn per_hour(count: u32) -> Rate {
        Rate { count, window: HOUR }
    }

    /// The time between two, if they came evenly.
    pub(crate) fn interval(self) -> Duration {
        self.window / self.count.max(1)
    }

    /// Whether this rate never allows more than `most` within `most`'s own window.
    fn is_within(self, most: Rate) -> bool {
        self.count <= most.count && self.interval() >= most.interval()
    }
}

const HOUR: Duration = Duration::from_secs(3600);

impl FromStr for Rate {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Rate, Self::Err> {
        let wrong = "expected a rate such as \"30/10m\" or \"3/h\"";
        let (count, window) = text.split_once('/').ok_or(wrong)?;
        let count: u32 = count.trim().parse().map_err(|_| wrong)?;
        let window = window.trim();
        let window: Span =
            if window.starts_with(|first: char| first.is_ascii_digit()) { window.parse() } else { format!("1{window}").parse() }
                .map_err(|_| wrong)?;
        if count == 0 || window.is_zero() { Err(wrong) } else { Ok(Rate { count, window: *window }) }
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let window = Span::millis(u64::try_from(self.window.as_millis()).unwrap_or(u64::MAX)).to_string();
        let unit = window.strip_prefix('1').filter(|unit| unit.starts_with(|first: char| first.is_ascii_alphabetic()));
        write!(f, "{}/{}", self.count, unit.unwrap_or(&window))
    }
}

impl Serialize for Rate {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Rate {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Rate, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

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
        /// Origins beside our own that a login on the pages under /account may lead to, and that accounts.pages may stand on, such as "https://app.example".
        pub allowed_redirect_origins: Vec<String> = Vec::new(),
    }
}

/// How new passwords are hashed; all that were made otherwise still verify (PWD-8).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum HashScheme {
    /// The one to take.
    #[default]
    Argon2id,
    /// For whoever must share the hashes with older software.
    Bcrypt,
}

kernel::settings! {
    /// Passwords and how they are hashed.
    pub struct PasswordSettings in "accounts.passwords" {
        /// The shortest password, in code points; at least 8.
        pub min_length: u32 = 10,
        /// How new passwords are hashed: "argon2id", or "bcrypt", which takes at most 71 bytes.
        pub hash: HashScheme = HashScheme::Argon2id,
        /// The cost of one bcrypt hash, an exponent of two; 10 to 15.
        pub bcrypt_cost: u32 = 12,
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
        /// How long an unused admin grant lasts; at most 1 hour.
        pub admin_idle: Span = Span::minutes(30),
        /// How long an admin grant lasts at most; at most 24 hours.
        pub admin_absolute: Span = Span::hours(12),
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
        /// How many days an API key is good at most, unless an administrator makes it; at most 365.
        pub api_key_max_days: u32 = 365,
    }
}

kernel::settings! {
    /// Second factors.
    pub struct MfaSettings in "accounts.mfa" {
        /// Whether the code of an authenticator app must be the present one; else that of the step before counts too.
        pub totp_strict: bool = false,
    }
}

kernel::settings! {
    /// Guessing.
    pub struct GuessingSettings in "accounts.limits" {
        /// Failed logins per name before waits begin; at most 10.
        pub free_failures: u32 = 5,
        /// The longest wait between two tries.
        pub max_wait: Span = Span::minutes(15),
        /// Failed logins from one client address before it has to wait, such as "30/10m"; at most 300 in ten minutes.
        pub address_failures: Rate = Rate { count: 30, window: Duration::from_secs(600) },
        /// Mails of one kind that strangers can cause to one address, such as "3/h"; at most 6 an hour.
        pub mail_per_address: Rate = Rate::per_hour(3),
        /// Mails that one client address, or one account, can cause in all, such as "30/h"; raise it where many people share one address.
        pub mail_per_client: Rate = Rate::per_hour(30),
        /// Mails that strangers can cause in all, such as "1000/h"; counted apart for what only account holders get.
        pub mail_budget: Rate = Rate::per_hour(1000),
    }
}

kernel::settings! {
    /// What a reset or a change of address asks for.
    pub struct ResetSettings in "accounts.reset" {
        /// Whether a password reset also ends the person's keys.
        pub revokes_api_keys: bool = false,
        /// Whether the old address has to confirm a change of address too.
        pub email_change_needs_old: bool = true,
    }
}

kernel::settings! {
    /// Your own pages in mailed links. Empty: the pages under /account.
    pub struct PageSettings in "accounts.pages" {
        /// The page that completes a sign-up; the token follows as #token.
        pub complete: String = String::new(),
        /// The page that sets a new password; the token follows as #token.
        pub reset: String = String::new(),
        /// The page that confirms a change of address; the token follows as #token, or as #undo=token where it undoes one.
        pub email: String = String::new(),
        /// The page that accepts an invitation; the token follows as #token.
        pub invitation: String = String::new(),
    }
}

const MOST_FAILURES: Rate = Rate { count: 300, window: Duration::from_secs(600) };

/// Refuses settings that are weaker than accounts.md §4, naming each and its rule.
pub(crate) fn check(app: &App, are_limits_for_tests: bool) -> Result<()> {
    let hours = |span: &Span| span.as_secs() / 3600;
    let (sessions, tokens) = (app.settings::<SessionSettings>(), app.settings::<TokenSettings>());
    let limits = app.settings::<GuessingSettings>();
    let rules = [
        (hours(&sessions.idle) <= 30 * 24, "accounts.sessions.idle", "30d", "SES-3"),
        (hours(&sessions.absolute) <= 90 * 24, "accounts.sessions.absolute", "90d", "SES-3"),
        (sessions.admin_idle.as_secs() <= 3600, "accounts.sessions.admin_idle", "1h", "SES-3"),
        (sessions.admin_absolute.as_secs() <= 24 * 3600, "accounts.sessions.admin_absolute", "24h", "SES-3"),
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
        (limits.free_failures <= 10, "accounts.limits.free_failures", "10", "LOG-1"),
        (limits.address_failures.is_within(MOST_FAILURES) || are_limits_for_tests, "accounts.limits.address_failures", "300/10m", "LOG-3"),
        (limits.mail_per_address.is_within(Rate::per_hour(6)) || are_limits_for_tests, "accounts.limits.mail_per_address", "6/h", "RST-9"),
    ];
    if tokens.api_key_default_days == 0 {
        return Err(INTERNAL.because("The setting accounts.tokens.api_key_default_days must be at least 1 (KEY-1)."));
    }
    match rules.into_iter().find(|(is_fine, ..)| !is_fine) {
        None => check_origins(app),
        Some((_, key, most, rule)) => Err(INTERNAL.because(format!("The setting {key} may be at most {most} ({rule})."))),
    }
}

/// Refuses to lead people, and the tokens in their mails, to places that nobody configured (FED-6, RST-6).
fn check_origins(app: &App) -> Result<()> {
    let (accounts, pages) = (app.settings::<AccountSettings>(), app.settings::<PageSettings>());
    let allowed = &accounts.allowed_redirect_origins;
    if let Some(wrong) = allowed.iter().find(|origin| origin_of(origin).is_none()) {
        return Err(
            INTERNAL.because(format!("accounts.allowed_redirect_origins: {wrong} is no origin such as https://app.example (FED-6)."))
        );
    }
    let own = app.public_url();
    let origins = allowed.iter().chain(&app.settings::<HttpSettings>().cors_origins).chain([&own]);
    let origins: Vec<Origin> = origins.filter_map(|origin| Url::parse(origin).ok()).map(|url| url.origin()).collect();
    let all = [("complete", &pages.complete), ("reset", &pages.reset), ("email", &pages.email), ("invitation", &pages.invitation)];
    for (key, page) in all {
        let is_ours = |url: Url| url.fragment().is_none() && url.username().is_empty() && origins.contains(&url.origin());
        if !page.is_empty() && !Url::parse(page).is_ok_and(is_ours) {
            let why = "it must be a whole address without #, on public_url or an origin in accounts.allowed_redirect_origins or http.cors_origins";
            return Err(INTERNAL.because(format!("accounts.pages.{key}: {why} (FED-6).")));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_reads_back_as_it_is_printed() {
        for (text, printed) in
            [("30/10m", "30/10m"), ("3/h", "3/h"), ("3/1h", "3/h"), ("1000/60m", "1000/h"), (" 5 / 100s ", "5/100s"), ("1/d", "1/d")]
        {
            assert_eq!(text.parse::<Rate>().map(|rate| rate.to_string()).as_deref(), Ok(printed), "{text}");
        }
    }

    #[test]
    fn what_is_no_rate_is_refused() {
        for text in ["", "3", "/h", "3/", "0/h", "3/0h", "-3/h", "3/x", "3/h/h", "4294967296/h"] {
            assert!(text.parse::<Rate>().is_err(), "{text}");
        }
    }

    #[test]
    fn log3_a_rate_is_within_another_by_its_number_and_by_its_flow() {
        let rate = |text: &str| text.parse::<Rate>().unwrap();
        assert!(rate("30/10m").is_within(rate("30/10m")) && rate("3/h").is_within(rate("30/10m")));
        assert!(
            !rate("31/10m").is_within(rate("30/10m")) && !rate("30/9m").is_within(rate("30/10m")) && !rate("3/s").is_within(rate("30/10m"))
        );
    }
}
