//! The limit server: axum and SQLite with group commit, and nothing else. It runs the same statements as the
//! product's `bench` module, so ours ÷ limit says what our features cost (`cargo xtask bench`).
//!
//! No authentication, validation, limits, request ids, metrics or events, on purpose: do not add any.

mod http;
mod posts;
mod reader;
mod rows;
mod seed;
mod writer;

use std::error::Error;
use std::path::{Path, PathBuf};

use clap::Parser;
use rusqlite::Connection;
use tokio::net::TcpListener;

#[derive(Parser)]
#[command(about)]
struct Args {
    /// The loopback port to listen on; 0 takes a free one and prints it.
    #[arg(long, default_value_t = 0)]
    port: u16,
    /// The folder of the database; made when it does not exist.
    #[arg(long, default_value = "limit-data")]
    data: PathBuf,
    /// How many rows an empty database is filled with.
    #[arg(long, default_value_t = 0)]
    seed: u32,
    /// The most inserts that one commit makes durable.
    #[arg(long, default_value_t = 64)]
    max_group: usize,
}

fn main() -> Result<(), Box<dyn Error>> {
    let args = Args::parse();
    std::fs::create_dir_all(&args.data)?;
    let file = args.data.join("limit.db");
    let mut conn = open(&file)?;
    seed::fill(&mut conn, args.seed)?;
    posts::fill(&mut conn, args.seed)?;
    let links = (0..args.seed).map(|n| (format!("link-{n}"), format!("https://example.com/target/{n}?from=bench"))).collect();
    let app = http::App { file, writer: writer::start(conn, args.max_group)?, links };
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(serve(args.port, app))
}

async fn serve(port: u16, app: http::App) -> Result<(), Box<dyn Error>> {
    let listener = TcpListener::bind(("127.0.0.1", port)).await?;
    println!("listening on http://{}", listener.local_addr()?);
    axum::serve(listener, http::router(app)).await?;
    Ok(())
}

fn open(file: &Path) -> rusqlite::Result<Connection> {
    let conn = Connection::open(file)?;
    conn.execute_batch(
        "PRAGMA journal_mode = WAL;
         PRAGMA synchronous = FULL;
         PRAGMA temp_store = MEMORY;
         CREATE TABLE IF NOT EXISTS rows (
             id BLOB PRIMARY KEY, title VARCHAR(190) NOT NULL, body TEXT NOT NULL,
             created_at BIGINT NOT NULL, updated_at BIGINT NOT NULL, version BIGINT NOT NULL);
         CREATE INDEX IF NOT EXISTS rows_newest ON rows (created_at, id);",
    )?;
    conn.execute_batch(posts::SCHEMA)?;
    Ok(conn)
}
