//! Imports and exports over HTTP.

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use futures_util::{StreamExt as _, stream};
use http::header::{CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_TYPE};
use http::{HeaderValue, StatusCode};
use kernel::error::{MALFORMED_REQUEST, NOT_FOUND, UNSUPPORTED_MEDIA_TYPE};
use kernel::http::{Accepted, Describe, Json, Operation, OperationDoc, Path, Query, RawBody, ResponseDoc};
use kernel::{Ctx, Error, Id, Result, Timestamp};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::imports::{Import, OnConflict, csv, service};
use crate::links::NOBODY;
use crate::settings::LinkSettings;
use crate::{CREATE_LINKS, READ_ANY_LINK, RUN_IMPORTS};

pub(crate) fn operations() -> [Operation; 3] {
    [
        Operation::post("/api/v1/links/imports", "importLinks", import)
            .tag("Links")
            .summary("Import links from CSV")
            .describe("The first line names the columns: Long URL, and if you like Short code or Short URL, Title, Tags (split by | or ,), and those of an export. A job carries it out; importing the same file again changes nothing. With dry_run nothing is written, and the answer tells what would be.")
            .takes(&["text/csv"])
            .body_limit(|app| app.settings::<LinkSettings>().import_max.as_usize())
            .raises(&[&MALFORMED_REQUEST, &UNSUPPORTED_MEDIA_TYPE])
            .requires(&RUN_IMPORTS),
        Operation::get("/api/v1/links/imports/{import_id}", "getLinkImport", get)
            .tag("Links")
            .summary("Read how an import goes")
            .describe("With the first thousand rows that did not go as wished.")
            .raises(&[&NOT_FOUND])
            .requires(&RUN_IMPORTS),
        Operation::get("/api/v1/links/export", "exportLinks", export)
            .tag("Links")
            .summary("Export links as CSV")
            .describe("Your links, or everybody's with links:links:read_any, in the order of their slugs and the form that an import reads. Passwords and clicks are not in it.")
            .keys_with(&[&CREATE_LINKS, &READ_ANY_LINK])
            .authenticated(),
    ]
}

/// How to import.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct LinkImportOptions {
    /// Whether only to tell what would happen.
    dry_run: Option<bool>,
    /// What to do when a slug is taken; skip unless given.
    on_conflict: Option<OnConflict>,
}

/// An import.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({
    "id": "019ab0b2-8f00-7000-8000-000000000004", "status": "done", "is_dry_run": false, "on_conflict": "skip", "total": 3, "created_count": 1,
    "updated_count": 0, "skipped_count": 1, "failed_count": 1, "created_at": "2026-11-22T12:00:00.000Z", "finished_at": "2026-11-22T12:00:01.000Z",
    "problems": [{"line": 3, "outcome": "skipped", "code": "slug_taken", "pointer": "/slug"}, {"line": 4, "outcome": "failed", "code": "not_allowed", "pointer": "/url"}]
}))]
struct LinkImportView {
    /// The import.
    #[schema(value_type = uuid::Uuid)]
    id: Id<Import>,
    /// receiving, running or done.
    status: String,
    /// Whether nothing is written.
    is_dry_run: bool,
    /// What happens when a slug is taken.
    on_conflict: OnConflict,
    /// All rows.
    total: i64,
    /// Links that were made.
    created_count: i64,
    /// Links that were changed.
    updated_count: i64,
    /// Rows that were there already, or whose slug was taken.
    skipped_count: i64,
    /// Rows that are not acceptable.
    failed_count: i64,
    /// When it began.
    created_at: Timestamp,
    /// When it was through.
    finished_at: Option<Timestamp>,
    /// Rows that did not go as wished.
    problems: Vec<LinkImportProblem>,
}

/// A row that did not go as wished.
#[derive(Serialize, ToSchema)]
struct LinkImportProblem {
    /// Its line in the file.
    line: i64,
    /// skipped or failed.
    outcome: String,
    /// Why.
    code: Option<String>,
    /// The member it is about.
    pointer: Option<String>,
}

async fn view(ctx: &Ctx, import: Import) -> Result<LinkImportView> {
    let problems = service::problems(ctx, import.id).await?.into_iter().map(|problem| LinkImportProblem {
        line: problem.line,
        outcome: problem.outcome,
        code: problem.code,
        pointer: problem.pointer,
    });
    Ok(LinkImportView {
        problems: problems.collect(),
        id: import.id,
        status: import.status,
        is_dry_run: import.is_dry_run,
        on_conflict: import.on_conflict,
        total: import.total,
        created_count: import.created_count,
        updated_count: import.updated_count,
        skipped_count: import.skipped_count,
        failed_count: import.failed_count,
        created_at: import.created_at,
        finished_at: import.finished_at,
    })
}

async fn import(ctx: Ctx, Query(options): Query<LinkImportOptions>, body: RawBody) -> Result<Accepted<LinkImportView>> {
    if !body.content_type.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case("text/csv") {
        return Err(UNSUPPORTED_MEDIA_TYPE.because("Send text/csv."));
    }
    let owner = ctx.actor.maybe_user_id().unwrap_or(NOBODY);
    let (on_conflict, is_dry_run) = (options.on_conflict.unwrap_or_default(), options.dry_run.unwrap_or(false));
    let import = service::receive(&ctx, owner, body.bytes, on_conflict, is_dry_run).await?;
    Ok(Accepted(view(&ctx, import).await?))
}

async fn get(ctx: Ctx, Path(id): Path<Id<Import>>) -> Result<Json<LinkImportView>> {
    let import = service::get(&ctx, id).await?;
    Ok(Json(view(&ctx, import).await?))
}

/// The links of an export, sent page by page.
struct CsvFile(Body);

impl IntoResponse for CsvFile {
    fn into_response(self) -> Response {
        let mut response = Response::new(self.0);
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/csv; charset=utf-8"));
        headers.insert(CONTENT_DISPOSITION, HeaderValue::from_static("attachment; filename=\"links.csv\""));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        response
    }
}

impl Describe for CsvFile {
    fn describe(doc: &mut OperationDoc) {
        let (status, media_type) = (StatusCode::OK, Some("text/csv"));
        doc.responses.push(ResponseDoc { status, body: None, is_list: false, media_type, headers: &[] });
    }
}

async fn export(ctx: Ctx) -> Result<CsvFile> {
    let owner = if ctx.actor.may(&READ_ANY_LINK) { None } else { Some(ctx.actor.user_id()?) };
    // The first page before the first byte, so that a failure is still an answer.
    let (lines, next) = service::export_page(&ctx, owner, None).await?;
    let first = [csv::HEADER_LINE.as_bytes(), &lines].concat();
    let pages = stream::unfold((Some(first), next, ctx), move |(ready, next, ctx)| async move {
        if let Some(lines) = ready {
            return Some((Ok::<_, Error>(lines), (None, next, ctx)));
        }
        let after = next?;
        match service::export_page(&ctx, owner, Some(after)).await {
            Ok((lines, next)) => Some((Ok(lines), (None, next, ctx))),
            Err(error) => Some((Err(error), (None, None, ctx))),
        }
    });
    // Compression asks once more after the end, which only a fused stream allows.
    Ok(CsvFile(Body::from_stream(pages.fuse())))
}
