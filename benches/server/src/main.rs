//! The product with one table of its own, for `cargo xtask bench`: accounts, limits, metrics and everything else switched on.

mod rows;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use accounts::Accounts;
use anyhow::{Context as _, Result, anyhow, bail};
use axum::Router;
use axum::body::Body;
use clap::Parser;
use http::{Request, header};
use http_body_util::BodyExt as _;
use kernel::http::{Listening, router, serve};
use kernel::platform::{HttpSettings, Platform};
use kernel::seal::Keyring;
use kernel::settings::Source;
use kernel::{App, Clock, Ctx, Launch, Module, Plan, Random};
use serde_json::{Value, json};
use tower::ServiceExt as _;

#[derive(Parser)]
#[command(about)]
struct Args {
    /// The loopback port to listen on; 0 takes a free one and prints it.
    #[arg(long, default_value_t = 0)]
    port: u16,
    /// The folder of the database; made when it does not exist.
    #[arg(long, default_value = "bench-data")]
    data: PathBuf,
    /// How many rows an empty database is filled with.
    #[arg(long, default_value_t = 0)]
    seed: u32,
    /// The most inserts that one commit makes durable.
    #[arg(long, default_value_t = 64)]
    max_group: u32,
    /// A database other than SQLite in the data folder.
    #[arg(long)]
    database_url: Option<String>,
}

const EMAIL: &str = "owner@example.com";
const PASSWORD: &str = "correct horse battery";
/// A million requests a second: the limit is counted, and never reached.
const UNREACHABLE_PER_MINUTE: &str = "60000000";

fn main() -> Result<()> {
    rustls::crypto::ring::default_provider().install_default().map_err(|_| anyhow!("a TLS provider is installed already"))?;
    let args = Args::parse();
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(run(args))
}

async fn run(args: Args) -> Result<()> {
    let app = build(&args)?;
    app.start_modules().await?;
    rows::fill(&Ctx::system(&app, "seed"), args.seed).await?;
    let router = router(&app);
    print_credentials(&app, &router).await?;
    app.start().await?;
    let listening = Listening::bind(app.settings::<HttpSettings>()).map_err(|sentence| anyhow!(sentence))?;
    println!("listening on http://{}", listening.address);
    let stopping = app.clone();
    app.spawn(async move {
        if let Ok(mut terminate) = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) {
            terminate.recv().await;
        }
        stopping.announce_stop();
    });
    serve(&app, router, listening, Duration::from_secs(2)).await?;
    Ok(())
}

fn build(args: &Args) -> Result<App> {
    std::fs::create_dir_all(&args.data)?;
    let setting = |key: &str, value: String| (key.to_owned(), value);
    let flags = vec![
        setting("http.listen", format!("127.0.0.1:{}", args.port)),
        setting("database.max_group", args.max_group.to_string()),
        setting("limits.default_per_minute", UNREACHABLE_PER_MINUTE.to_owned()),
        setting("limits.auth_per_minute", UNREACHABLE_PER_MINUTE.to_owned()),
        setting("log.filter", "warn".to_owned()),
    ];
    let source = Source::read(None, Vec::new(), flags)?;
    let modules: Vec<Arc<dyn Module>> = vec![Arc::new(Platform), Arc::new(Accounts::new()), Arc::new(rows::Rows)];
    let plan = Plan::of(modules).map_err(|mistakes| anyhow!(mistakes.join("\n")))?;
    let mut settings =
        source.section::<kernel::platform::DatabaseSettings>()?.to_db(format!("sqlite:{}", args.data.join("bench.db").display()));
    if let Some(url) = &args.database_url {
        settings.url = url.clone();
    }
    let db = db::Db::open(settings)?;
    db.migrate(plan.migrations())?;
    let key = args.data.join("key");
    let keyring = if key.exists() { Keyring::load(&key)? } else { Keyring::create(&key)? };
    Ok(App::build(plan, Launch { source, db, keyring, clock: Clock::system(), random: Random::system() })?)
}

/// Makes or finds the one person of the benchmark, and prints what clients need to act as them.
async fn print_credentials(app: &App, router: &Router) -> Result<()> {
    let notices = app.notices().await?;
    if let Some(token) = notices.first().and_then(|line| line.split_whitespace().last()) {
        call(router, "/api/v1/auth/owner", "token", &json!({ "token": token, "email": EMAIL, "password": PASSWORD })).await?;
    }
    let login = json!({ "identifier": EMAIL, "password": PASSWORD });
    let (_, answer) = call(router, "/api/v1/auth/login", "token", &login).await?;
    let token = answer["tokens"]["access_token"].as_str().context("the login gave no access token")?;
    let (cookie, _) = call(router, "/api/v1/auth/login", "cookie", &login).await?;
    println!("BENCH_TOKEN={token}");
    println!("BENCH_COOKIE={}", cookie.context("the login set no cookie")?);
    println!("BENCH_LOGIN={login}");
    Ok(())
}

async fn call(router: &Router, path: &str, mode: &str, body: &Value) -> Result<(Option<String>, Value)> {
    let request = Request::post(path)
        .header(header::CONTENT_TYPE, "application/json")
        .header("x-session-mode", mode)
        .header("x-csrf", "1")
        .body(Body::from(body.to_string()))?;
    let response = router.clone().oneshot(request).await?;
    let status = response.status();
    let cookie = response.headers().get(header::SET_COOKIE).and_then(|value| value.to_str().ok()).and_then(|text| text.split(';').next());
    let cookie = cookie.map(str::to_owned);
    let bytes = response.into_body().collect().await?.to_bytes();
    if !status.is_success() {
        bail!("{path} answered {status}: {}", String::from_utf8_lossy(&bytes));
    }
    Ok((cookie, serde_json::from_slice(&bytes)?))
}
