//! The product as it ships, with one more table, for `cargo xtask bench`: accounts, limits, metrics and everything else switched on.

mod client;
mod product;
mod rows;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use accounts::Accounts;
use anyhow::{Context as _, Result, anyhow};
use axum::Router;
use axum::body::Body;
use blog::Blog;
use clap::Parser;
use client::Client;
use http::{Method, header};
use kernel::http::{Listening, router, serve};
use kernel::platform::{HttpSettings, Platform};
use kernel::seal::Keyring;
use kernel::settings::Source;
use kernel::{App, Clock, Ctx, Launch, Module, Plan, Random};
use links::Links;
use serde_json::json;
use shop::Shop;

/// The product's binary has it too.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

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
    /// A setting of the product, as `section.key=value`; may be given several times.
    #[arg(long)]
    set: Vec<String>,
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
    let token = print_credentials(&app, &router).await?;
    product::fill(&router, &token, &args.data, args.seed).await?;
    println!("BENCH_CARTS={}", args.data.join("carts").display());
    app.start_background();
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
    let mut flags = vec![
        setting("http.listen", format!("127.0.0.1:{}", args.port)),
        setting("database.max_group", args.max_group.to_string()),
        setting("limits.default_per_minute", UNREACHABLE_PER_MINUTE.to_owned()),
        setting("limits.auth_per_minute", UNREACHABLE_PER_MINUTE.to_owned()),
        setting("links.create_per_minute", UNREACHABLE_PER_MINUTE.to_owned()),
        setting("shop.checkout.tries_per_minute", "1000000".to_owned()),
        setting("log.filter", "warn".to_owned()),
        setting("data_dir", args.data.display().to_string()),
    ];
    flags.extend(args.set.iter().filter_map(|pair| pair.split_once('=')).map(|(key, value)| setting(key, value.to_owned())));
    let source = Source::read(None, Vec::new(), flags)?;
    let modules: Vec<Arc<dyn Module>> = vec![
        Arc::new(Platform),
        Arc::new(Accounts::new()),
        Arc::new(Blog::new()),
        Arc::new(Shop::new()),
        Arc::new(Links::new()),
        Arc::new(rows::Rows),
    ];
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

/// Makes or finds the one person of the benchmark, prints what clients need to act as them, and gives back their token.
async fn print_credentials(app: &App, router: &Router) -> Result<String> {
    let tokens = Client::new(router, None).with_header("x-session-mode", "token");
    let notices = app.notices().await?;
    if let Some(token) = notices.first().and_then(|line| line.split_whitespace().last()) {
        tokens.send(Method::POST, "/api/v1/auth/owner", &json!({ "token": token, "email": EMAIL, "password": PASSWORD })).await?;
    }
    let login = json!({ "identifier": EMAIL, "password": PASSWORD });
    let answer = tokens.send(Method::POST, "/api/v1/auth/login", &login).await?;
    let token = answer["tokens"]["access_token"].as_str().context("the login gave no access token")?;
    let (headers, _) = Client::new(router, None).answer(Method::POST, "/api/v1/auth/login", Body::from(login.to_string())).await?;
    let cookie = headers.get(header::SET_COOKIE).and_then(|value| value.to_str().ok()).and_then(|text| text.split(';').next());
    println!("BENCH_TOKEN={token}");
    println!("BENCH_COOKIE={}", cookie.context("the login set no cookie")?);
    println!("BENCH_LOGIN={login}");
    Ok(token.to_owned())
}
