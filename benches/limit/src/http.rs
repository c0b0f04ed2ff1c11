//! The routes.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::SyncSender;
use std::time::{SystemTime, UNIX_EPOCH};

use axum::body::Body;
use axum::extract::{Path, Query, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde::Deserialize;
use tokio::sync::oneshot;
use uuid::Uuid;

use crate::posts;
use crate::reader;
use crate::rows::{self, NewRow, Row};
use crate::writer::Job;

/// What a handler needs.
pub(crate) struct App {
    pub(crate) file: PathBuf,
    pub(crate) writer: SyncSender<Job>,
    /// Short links and their targets.
    pub(crate) links: HashMap<String, String>,
}

#[derive(Deserialize)]
struct PageQuery {
    limit: u8,
}

pub(crate) fn router(app: App) -> Router {
    Router::new()
        .route("/static", get(async || json(StatusCode::OK, &br#"{"status":"ok"}"#[..])))
        .route("/rows", get(list).post(create))
        .route("/rows/{id}", get(show))
        .route("/posts", get(list_posts))
        .route("/posts/{slug}", get(show_post))
        .route("/{slug}", get(redirect))
        .with_state(Arc::new(app))
}

async fn show(State(app): State<Arc<App>>, Path(id): Path<Uuid>) -> Result<Response, Failure> {
    Ok(match reader::read(&app.file, |conn| rows::find(conn, id))? {
        Some(row) => json(StatusCode::OK, row),
        None => StatusCode::NOT_FOUND.into_response(),
    })
}

async fn list(State(app): State<Arc<App>>, Query(page): Query<PageQuery>) -> Result<Response, Failure> {
    let rows = reader::read(&app.file, |conn| rows::newest(conn, page.limit))?;
    Ok(json(StatusCode::OK, rows))
}

async fn show_post(State(app): State<Arc<App>>, Path(slug): Path<String>) -> Result<Response, Failure> {
    Ok(match reader::read(&app.file, |conn| posts::find(conn, &slug))? {
        Some(post) => json(StatusCode::OK, post),
        None => StatusCode::NOT_FOUND.into_response(),
    })
}

async fn list_posts(State(app): State<Arc<App>>, Query(page): Query<PageQuery>) -> Result<Response, Failure> {
    let posts = reader::read(&app.file, |conn| posts::newest(conn, page.limit))?;
    Ok(json(StatusCode::OK, posts))
}

async fn redirect(State(app): State<Arc<App>>, Path(slug): Path<String>) -> Response {
    match app.links.get(&slug) {
        Some(target) => (StatusCode::FOUND, [(header::LOCATION, target.as_str())]).into_response(),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

async fn create(State(app): State<Arc<App>>, Json(row): Json<NewRow>) -> Result<Response, Failure> {
    let (done, answer) = oneshot::channel();
    let now = now_ms();
    let id = next_id(now);
    if app.writer.try_send(Job { id, now, row, done }).is_err() {
        return Ok(StatusCode::SERVICE_UNAVAILABLE.into_response());
    }
    let NewRow { title, body } = answer.await?.map_err(Failure)?;
    let row = Row { id, title: &title, body: &body, created_at: now, updated_at: now, version: 1 };
    Ok(json(StatusCode::CREATED, serde_json::to_vec(&row)?))
}

fn json(status: StatusCode, body: impl Into<Body>) -> Response {
    (status, [(header::CONTENT_TYPE, "application/json")], body.into()).into_response()
}

/// Anything that goes wrong: a 500 that makes the bench fail.
struct Failure(String);

impl<E: std::error::Error> From<E> for Failure {
    fn from(error: E) -> Self {
        Failure(error.to_string())
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        (StatusCode::INTERNAL_SERVER_ERROR, self.0).into_response()
    }
}

#[expect(clippy::disallowed_methods, reason = "the limit server has no Ctx to take its clock from")]
fn now_ms() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as i64)
}

/// A UUIDv7 whose random part is a scrambled counter: unique, guessable, and free.
fn next_id(now: i64) -> Uuid {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let mut random = [0; 10];
    random[..8].copy_from_slice(&count.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_le_bytes());
    uuid::Builder::from_unix_timestamp_millis(now as u64, &random).into_uuid()
}
