//! Probes, metrics, the OpenAPI document and the pages of error codes.

use axum::extract::State;
use axum::response::{Html, IntoResponse, Response};
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderValue, StatusCode};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::app::App;
use crate::ctx::Ctx;
use crate::error::{NOT_FOUND, Result, UNAVAILABLE};
use crate::http::metrics::Metrics;
use crate::http::operation::{Describe, OperationDoc, ResponseDoc};
use crate::http::{Json, Operation, Path, RateClass, openapi, problem_page};
use crate::platform::{HttpSettings, MetricsAccess};

/// The kernel's own operations.
pub fn operations() -> Vec<Operation> {
    vec![
        Operation::get("/api/v1/event-types", "listEventTypes", event_types)
            .tag("Platform")
            .summary("List every event and its payload")
            .describe("The same catalogue as the webhooks section of the OpenAPI document.")
            .public(),
        Operation::get("/api/openapi.json", "getOpenapi", document)
            .tag("Platform")
            .summary("Read this API's description")
            .describe("OpenAPI 3.1, made from the table of routes that serves requests.")
            .public(),
        Operation::page("/problems/{code}", "getProblemPage", problem).public(),
        Operation::page("/assets/{name}", "getAsset", asset).rate(RateClass::Unlimited).ignores_credential().public(),
        Operation::page("/healthz", "getHealth", healthz).rate(RateClass::Unlimited).ignores_credential().public(),
        Operation::page("/readyz", "getReadiness", readyz).rate(RateClass::Unlimited).ignores_credential().public(),
        Operation::page("/metrics", "getMetrics", scrape).rate(RateClass::Unlimited).ignores_credential().public(),
    ]
}

/// An event that can happen, and the schema of its payload.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({"name": "accounts.user.created", "description": "A person has an account.", "schema": {"type": "object"}}))]
struct EventTypeView {
    /// Its public name.
    name: String,
    /// When it fires.
    description: String,
    /// The JSON Schema of its payload.
    #[schema(value_type = Object)]
    schema: Value,
}

/// Every event that can happen.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({"items": []}))]
struct EventTypes {
    /// The events, by name.
    items: Vec<EventTypeView>,
}

async fn event_types(ctx: Ctx) -> Result<Json<EventTypes>> {
    let view = |event: &crate::events::EventType| EventTypeView {
        name: event.name.to_owned(),
        description: event.doc.to_owned(),
        schema: event.schema.clone(),
    };
    Ok(Json(EventTypes { items: ctx.app.plan().events().map(view).collect() }))
}

/// A JSON document that is its own schema.
struct RawJson(bytes::Bytes);

/// The OpenAPI document, written once: the plan does not change while the app runs.
#[derive(Debug, Default)]
pub(crate) struct ApiDocument(std::sync::OnceLock<bytes::Bytes>);

impl IntoResponse for RawJson {
    fn into_response(self) -> Response {
        ([(CONTENT_TYPE, HeaderValue::from_static("application/json"))], self.0).into_response()
    }
}

impl Describe for RawJson {
    fn describe(doc: &mut OperationDoc) {
        doc.responses.push(ResponseDoc {
            status: StatusCode::OK,
            body: None,
            is_list: false,
            media_type: Some("application/json"),
            headers: &[],
        });
    }
}

async fn document(ctx: Ctx) -> Result<RawJson> {
    let cached = ctx.state::<ApiDocument>();
    if let Some(bytes) = cached.0.get() {
        return Ok(RawJson(bytes.clone()));
    }
    let bytes = openapi::document(ctx.app.plan())?.to_string();
    Ok(RawJson(cached.0.get_or_init(|| bytes.into()).clone()))
}

async fn problem(ctx: Ctx, Path(code): Path<String>) -> Result<Html<String>> {
    let problem = ctx.app.plan().problems().find(|problem| problem.code == code).ok_or(&NOT_FOUND)?;
    Ok(Html(problem_page(problem)))
}

/// A style sheet or script: its address changes with its content, so that it may be kept for ever.
async fn asset(ctx: Ctx, Path(name): Path<String>) -> Result<Response> {
    let asset = ctx.app.plan().assets().find(|asset| asset.file_name() == name).ok_or(&NOT_FOUND)?;
    let headers = [
        (CONTENT_TYPE, HeaderValue::from_static(asset.media_type())),
        (CACHE_CONTROL, HeaderValue::from_static("public, max-age=31536000, immutable")),
    ];
    Ok((headers, asset.text()).into_response())
}

const NO_STORE: (http::HeaderName, HeaderValue) = (CACHE_CONTROL, HeaderValue::from_static("no-store"));

async fn healthz() -> Response {
    ([NO_STORE], "ok\n").into_response()
}

async fn readyz(State(app): State<App>) -> Result<Response> {
    if app.stopping().is_set() {
        return Err(UNAVAILABLE.because("The server is shutting down.").retry_after(5));
    }
    app.db().ping().await?;
    Ok(([NO_STORE], "ready\n").into_response())
}

async fn scrape(ctx: Ctx, headers: http::HeaderMap) -> Result<Response> {
    let is_forwarded = headers.contains_key(http::header::FORWARDED) || headers.contains_key("x-forwarded-for");
    let is_allowed = match ctx.app.settings::<HttpSettings>().metrics {
        MetricsAccess::Everyone => true,
        MetricsAccess::Loopback => ctx.request.client_address.is_loopback() && !is_forwarded,
        MetricsAccess::Off => false,
    };
    if !is_allowed {
        return Err(NOT_FOUND.error());
    }
    let text = exposition(&ctx.app).await;
    Ok(([(CONTENT_TYPE, HeaderValue::from_static("text/plain; version=0.0.4"))], [NO_STORE], text).into_response())
}

async fn exposition(app: &App) -> String {
    let metrics = app.state::<Metrics>();
    let stats = app.db().stats();
    metrics.set("db_statements_total", stats.statements);
    metrics.set("db_statement_seconds_total", stats.statement_micros / 1_000_000);
    metrics.set("db_writes_total", stats.writes);
    metrics.set("db_commits_total", stats.commits);
    metrics.set("db_retries_total", stats.retries);
    metrics.set("db_queue_depth", stats.queue_depth);
    let (finished, failed) = app.jobs().outcomes();
    metrics.set("jobs_finished_total", finished);
    metrics.set("jobs_failed_total", failed);
    if let Ok(counts) = app.job_counts().await {
        for (name, count) in [("jobs_waiting", counts.waiting), ("jobs_due", counts.due), ("jobs_dead", counts.dead)] {
            metrics.set(name, u64::try_from(count).unwrap_or(0));
        }
    }
    metrics.render()
}
