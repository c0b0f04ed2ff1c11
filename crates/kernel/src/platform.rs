//! The kernel's own module: instance-wide settings, health, metrics, messages, API documents, housekeeping.

use std::time::Duration;

use futures_util::future::BoxFuture;
use serde::{Deserialize, Serialize};

use crate::address::TrustedProxies;
use crate::app::App;
use crate::audit;
use crate::ctx::Ctx;
use crate::error::{Error, Result};
use crate::http::{self, Metrics};
use crate::idempotency;
use crate::jobs::Job;
use crate::media;
use crate::messages::{self, MailSettings, Mailer, Transport};
use crate::module::{Finding, Module, Parts};
use crate::outbox;
use crate::richtext::RenderPool;
use crate::settings::{ByteSize, Span};

/// How careful the server must be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// On a developer's machine: mail stays in the mailbox, plain HTTP is fine.
    #[default]
    Development,
    /// On the internet: unsafe combinations are refused at start.
    Production,
}

crate::settings! {
    /// The instance as a whole.
    pub struct PlatformSettings in "" {
        /// How careful the server must be: "development" or "production", which refuses unsafe combinations.
        pub mode: Mode = Mode::Development,
        /// The address under which people reach this server; links in mails start with it. Empty: http:// and the listen address.
        pub public_url: String = String::new(),
        /// The folder for the database, the key file and media.
        pub data_dir: String = "./undercroft-data".to_owned(),
        /// The file with the keys that seal secrets at rest. Empty: "key" in the data folder.
        pub key_file: String = String::new(),
        /// Whether "serve" brings the database up to date by itself.
        pub auto_migrate: bool = true,
    }
}

crate::settings! {
    /// The HTTP server.
    pub struct HttpSettings in "http" {
        /// Where to listen.
        pub listen: String = "127.0.0.1:8000".to_owned(),
        /// Whether plain HTTP may be served on an address that is not loopback, without a trusted proxy.
        pub insecure_bind: bool = false,
        /// Proxies whose forwarding headers are believed: addresses, networks, "loopback" or "private".
        pub trusted_proxies: TrustedProxies = TrustedProxies::default(),
        /// Origins whose pages may call the API with credentials, such as `https://app.example.com`.
        pub cors_origins: Vec<String> = Vec::new(),
        /// The longest time for one request.
        pub request_timeout: Span = Span::secs(30),
        /// The longest time for a request head.
        pub header_timeout: Span = Span::secs(10),
        /// How long an idle connection is kept.
        pub keep_alive: Span = Span::secs(75),
        /// The largest JSON body.
        pub max_body: ByteSize = ByteSize::mib(1),
        /// How many connections are served at once; more wait in the operating system's queue.
        pub max_connections: u32 = 10_000,
        /// How long a shutdown waits for running requests and jobs.
        pub shutdown_grace: Span = Span::secs(20),
        /// Who may read /metrics: "loopback", "everyone" or "off".
        pub metrics: MetricsAccess = MetricsAccess::Loopback,
    }
}

/// Who may read `/metrics`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MetricsAccess {
    /// Whoever connects from this machine and through no proxy.
    #[default]
    Loopback,
    /// Everyone; for servers whose port only the scraper reaches.
    Everyone,
    /// Nobody.
    Off,
}

crate::settings! {
    /// How many requests a caller may make.
    pub struct LimitSettings in "limits" {
        /// Requests per minute and principal, or per client address without a login.
        pub default_per_minute: u32 = 600,
        /// Requests per minute and client address to sign-up, login and password reset.
        pub auth_per_minute: u32 = 30,
        /// Whether requests are limited at all; off only for load tests.
        pub enabled: bool = true,
    }
}

crate::settings! {
    /// The database.
    pub struct DatabaseSettings in "database" {
        /// Where it is: empty for SQLite in the data folder, or sqlite:PATH, postgres://… , mysql://….
        pub url: crate::settings::Secret = crate::settings::Secret::default(),
        /// "full": what was answered survives a power cut. "normal" (SQLite only): the last moments may be lost, the database stays whole.
        pub durability: Durability = Durability::Full,
        /// Connections to a database server.
        pub max_connections: u32 = 16,
        /// How many writes share one commit on SQLite; 1 commits each by itself.
        pub max_group: u32 = 64,
        /// How many writes may wait; more are answered with 503 at once.
        pub max_queue: u32 = 1024,
        /// The longest time for one transaction.
        pub statement_timeout: Span = Span::secs(30),
        /// Statements slower than this are logged.
        pub slow_statement: Span = Span::millis(250),
    }
}

/// What a 2xx answer promises about a power cut.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Durability {
    /// What was answered is on disk.
    #[default]
    Full,
    /// The last moments may be lost.
    Normal,
}

impl DatabaseSettings {
    /// The settings of crate `db`; `default_url` is used when none is configured.
    pub fn to_db(&self, default_url: String) -> db::Settings {
        let url = self.url.expose();
        db::Settings {
            url: if url.is_empty() { default_url } else { url.to_owned() },
            durability: match self.durability {
                Durability::Full => db::Durability::Full,
                Durability::Normal => db::Durability::Normal,
            },
            max_connections: self.max_connections,
            max_group: self.max_group as usize,
            max_queue: self.max_queue as usize,
            statement_timeout: *self.statement_timeout,
            slow_statement: *self.slow_statement,
            ..db::Settings::default()
        }
    }
}

crate::settings! {
    /// What the server writes about itself.
    pub struct LogSettings in "log" {
        /// Which lines: "error", "warn", "info", "debug", or a filter such as "info,kernel=debug".
        pub filter: String = "info".to_owned(),
        /// "human" for people, "json" for machines.
        pub format: LogFormat = LogFormat::Human,
    }
}

/// The shape of log lines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogFormat {
    /// For people.
    #[default]
    Human,
    /// One JSON object a line.
    Json,
}

const MIGRATIONS: &[db::Migration] = db::migrations![
    (1, "platform", include_str!("../migrations/0001_platform.sql")),
    (2, "media", include_str!("../migrations/0002_media.sql")),
    (3, "media_keeps", include_str!("../migrations/0003_media_keeps.sql")),
    (4, "event_names", include_str!("../migrations/0004_event_names.sql")),
    (
        5,
        "audit_guards",
        include_str!("../migrations/0005_audit_guards.sql"),
        postgres = include_str!("../migrations/0005_audit_guards.postgres.sql"),
        mysql = include_str!("../migrations/0005_audit_guards.mysql.sql"),
    ),
    (6, "mail_texts", include_str!("../migrations/0006_mail_texts.sql")),
];

/// The address under which people reach a server with these settings, without a trailing slash.
pub fn public_url(platform: &PlatformSettings, http: &HttpSettings) -> String {
    let configured = platform.public_url.trim_end_matches('/');
    if configured.is_empty() { format!("http://{}", http.listen) } else { configured.to_owned() }
}

/// How long events and delivered messages are kept.
const RETENTION: Duration = Duration::from_secs(30 * 24 * 3600);
/// Rows that one purging statement takes; the stores' SQL says the same number.
const BATCH: u64 = 500;
/// How long answers to idempotency keys are kept.
const ANSWERS_KEPT: Duration = Duration::from_secs(24 * 3600);

/// Forgets what is past its retention.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Purge {}

impl Job for Purge {
    const KIND: &'static str = "platform.purge";
}

async fn purge(ctx: Ctx, _job: Purge) -> Result<()> {
    let now = ctx.now();
    ctx.write_in_batches(BATCH, move |tx| Ok(outbox::store::purge(tx, now - RETENTION)?)).await?;
    ctx.write_in_batches(BATCH, move |tx| Ok(messages::store::purge(tx, now - RETENTION)?)).await?;
    ctx.write_in_batches(BATCH, move |tx| Ok(idempotency::store::purge(tx, now - ANSWERS_KEPT)?)).await
}

/// The kernel's own module; every app has it.
#[derive(Debug)]
pub struct Platform;

impl Module for Platform {
    fn name(&self) -> &'static str {
        "platform"
    }

    fn register(&self, parts: &mut Parts<'_>) {
        parts
            .settings::<PlatformSettings>()
            .settings::<HttpSettings>()
            .settings::<LimitSettings>()
            .settings::<DatabaseSettings>()
            .settings::<MailSettings>()
            .settings::<LogSettings>()
            .migrations(MIGRATIONS)
            .problems(crate::error::PROBLEMS)
            .state(|setup| Mailer::new(setup.settings::<MailSettings>()))
            .state(|_| Ok(idempotency::Running::default()))
            .state(|_| Ok(Metrics::default()))
            .state(|_| Ok(RenderPool::default()))
            .state(|_| Ok(http::ApiDocument::default()))
            .job(purge)
            .every("17 * * * *", Purge {})
            .asset(&crate::assets::THEME)
            .routes(http::platform_operations());
        messages::register(parts);
        audit::register(parts);
        media::register(parts);
    }

    fn start<'a>(&'a self, app: &'a App) -> BoxFuture<'a, Result<()>> {
        app.spawn(fold_metrics(app.clone()));
        Box::pin(async {
            audit::check(app)?;
            messages::texts::load(app).await
        })
    }

    fn check<'a>(&'a self, app: &'a App) -> BoxFuture<'a, Result<Vec<Finding>>> {
        Box::pin(async move {
            app.db().ping().await.map_err(Error::from)?;
            let serious = |text| Finding { is_serious: true, text };
            Ok(unsafe_settings(app.settings(), app.settings(), app.settings()).into_iter().map(serious).collect())
        })
    }
}

async fn fold_metrics(app: App) {
    let mut stopping = app.stopping();
    loop {
        tokio::select! {
            () = tokio::time::sleep(Duration::from_secs(5)) => app.state::<Metrics>().fold(),
            () = stopping.wait() => return,
        }
    }
}

/// What production mode refuses: one sentence for each setting; nothing in development (POS-15).
pub fn unsafe_settings(platform: &PlatformSettings, http: &HttpSettings, mail: &MailSettings) -> Vec<String> {
    if platform.mode != Mode::Production {
        return Vec::new();
    }
    let checks = [
        (
            !platform.public_url.starts_with("https://"),
            "public_url does not start with https://: people would send their passwords in the clear. Set public_url.",
        ),
        (mail.transport == Transport::Mailbox, "Mail stays in the development mailbox: set mail.transport = \"smtp\" and mail.smtp_url."),
        (
            http.trusted_proxies.is_everyone(),
            "http.trusted_proxies trusts every address, so anybody could claim to be anybody: name your proxies.",
        ),
        (
            http.trusted_proxies.is_empty(),
            "http.trusted_proxies is empty, but HTTPS ends at a proxy: everybody would share the proxy's address and its limits. Name the proxy.",
        ),
    ];
    checks.into_iter().filter(|(is_unsafe, _)| *is_unsafe).map(|(_, text)| text.to_owned()).collect()
}
