//! The audit trail over HTTP.

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use futures_util::{StreamExt as _, stream};
use http::header::{CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_TYPE};
use http::{HeaderValue, StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use crate::actor::Permission;
use crate::audit::chain::hex;
use crate::audit::verify::FaultKind;
use crate::audit::{AuditRow, Narrowed, VerificationRow, service};
use crate::ctx::Ctx;
use crate::error::{CURSOR_INVALID, Error, NOT_FOUND, Result, SORT_NOT_SUPPORTED};
use crate::http::{Accepted, Describe, Json, List, Operation, OperationDoc, Path, Query, ResponseDoc};
use crate::id::Id;
use crate::page::PageRequest;
use crate::time::Timestamp;

/// Who may read the audit trail.
pub(crate) static READ_AUDIT_EVENTS: Permission =
    Permission::new("system:audit_events:read", "Read the audit trail, with the addresses that people called from.").administrative();
/// Who may take the audit trail away.
pub(crate) static EXPORT_AUDIT_EVENTS: Permission =
    Permission::new("system:audit_events:export", "Export the audit trail.").administrative();
/// Who may have the audit trail verified.
pub(crate) static VERIFY_AUDIT_EVENTS: Permission =
    Permission::new("system:audit_events:verify", "Verify the chain of the audit trail.").administrative();

pub(super) fn operations() -> [Operation; 5] {
    [
        Operation::get("/api/v1/audit-events", "listAuditEvents", list)
            .tag("Audit")
            .summary("List the audit trail, newest first")
            .describe("Who did what to whom, with which result. Filters are exact; by actor, subject or time they are answered at once, by action, result or request alone they walk back through time.")
            .raises(&[&CURSOR_INVALID, &SORT_NOT_SUPPORTED])
            .requires(&READ_AUDIT_EVENTS),
        Operation::get("/api/v1/audit-events/{audit_event_id}", "getAuditEvent", get)
            .tag("Audit")
            .summary("Read one row of the audit trail")
            .describe("A row has no place in the chain until it is sealed, within two seconds.")
            .raises(&[&NOT_FOUND])
            .requires(&READ_AUDIT_EVENTS),
        Operation::get("/api/v1/audit-events/export", "exportAuditEvents", export)
            .tag("Audit")
            .summary("Export the audit trail")
            .describe("Oldest first, as NDJSON with all that a stranger needs to verify the chain, or as CSV for spreadsheets, in which a cell that would be a formula begins with an apostrophe. The export is audited itself.")
            .requires(&EXPORT_AUDIT_EVENTS),
        Operation::post("/api/v1/audit-events/actions/verify", "verifyAuditEvents", verify)
            .tag("Audit")
            .summary("Verify the chain of the audit trail")
            .describe("A job walks the whole chain; read its outcome with getAuditVerification. While one runs, no second one is begun.")
            .requires(&VERIFY_AUDIT_EVENTS),
        Operation::get("/api/v1/audit-events/verifications/{verification_id}", "getAuditVerification", get_verification)
            .tag("Audit")
            .summary("Read the outcome of a verification")
            .describe("Outcomes are kept for 90 days.")
            .raises(&[&NOT_FOUND])
            .requires(&VERIFY_AUDIT_EVENTS),
    ]
}

/// A row of the audit trail.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({
    "id": "019ab0b2-8f00-7000-8000-000000000009", "seq": 4711, "at": "2026-11-22T12:00:00.000Z",
    "actor": "user:019ab0b2-8f00-7000-8000-000000000001", "action": "accounts.user.disable",
    "subject": "user:019ab0b2-8f00-7000-8000-000000000002", "result": "ok", "address": "203.0.113.7", "user_agent": "curl/8.5",
    "request_id": "k3J9xQ2mZt7B", "detail": null, "personal": null,
    "prev_hash": "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "hash": "4bf5122f344554c53bde2ebb8cd2b7e3d1600ad631c385a5d7cce23c7785459a"
}))]
struct AuditEventView {
    /// The row.
    #[schema(value_type = uuid::Uuid)]
    id: Id<AuditRow>,
    /// Its place in the chain; null until it is sealed.
    seq: Option<i64>,
    /// When it happened.
    at: Timestamp,
    /// Who did it: `user:…`, `anonymous` or `system`.
    actor: String,
    /// What was done, `module.thing.verb`.
    action: String,
    /// To whom or what.
    subject: Option<String>,
    /// `ok`, or the code of the problem.
    result: String,
    /// Where it came from; null once erased. Of a flood of attempts, the network.
    address: Option<String>,
    /// The program; null once erased.
    user_agent: Option<String>,
    /// The request.
    request_id: Option<String>,
    /// Ids and settings that explain it; of a flood of attempts, how many there were and when.
    #[schema(value_type = Option<Object>)]
    detail: Option<Value>,
    /// What is personal about the subject, such as a name before and after; null once erased.
    #[schema(value_type = Option<Object>)]
    personal: Option<Value>,
    /// The hash of the row before it in the chain.
    prev_hash: Option<String>,
    /// Its hash.
    hash: Option<String>,
}

impl From<AuditRow> for AuditEventView {
    fn from(row: AuditRow) -> AuditEventView {
        let json = |text: Option<String>| text.and_then(|text| serde_json::from_str(&text).ok());
        AuditEventView {
            id: row.id,
            seq: row.seq,
            at: row.at,
            actor: row.actor,
            action: row.action,
            subject: row.subject,
            result: row.result,
            address: row.ip,
            user_agent: row.user_agent,
            request_id: row.request_id,
            detail: json(row.detail),
            personal: json(row.personal),
            prev_hash: row.prev_hash.map(|hash| hex(&hash)),
            hash: row.hash.map(|hash| hex(&hash)),
        }
    }
}

/// Which rows of the audit trail to list.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct AuditEventFilter {
    /// How many rows a page holds, 1 to 100.
    #[schema(minimum = 1)]
    limit: Option<u32>,
    /// Where the page before ended.
    #[schema(max_length = 1024)]
    cursor: Option<String>,
    /// `at` or `-at`, which is newest first and the default.
    #[schema(max_length = 32)]
    sort: Option<String>,
    /// Only what this actor did: `user:…`, `anonymous` or `system`.
    #[schema(max_length = 64)]
    actor: Option<String>,
    /// Only this action.
    #[schema(max_length = 120)]
    action: Option<String>,
    /// Only what was done to this subject.
    #[schema(max_length = 120)]
    subject: Option<String>,
    /// Only this result: `ok`, or the code of a problem.
    #[schema(max_length = 32)]
    result: Option<String>,
    /// Only what this request did.
    #[schema(max_length = 64)]
    request_id: Option<String>,
    /// Only from this instant on.
    from: Option<Timestamp>,
    /// Only before this instant.
    to: Option<Timestamp>,
}

async fn list(ctx: Ctx, Query(filter): Query<AuditEventFilter>) -> Result<List<AuditEventView>> {
    let AuditEventFilter { limit, cursor, sort, actor, action, subject, result, request_id, from, to } = filter;
    let narrowed = Narrowed { actor, action, subject, result, request_id, from, to };
    let page = service::list(&ctx, PageRequest::new(limit, cursor), sort.as_deref(), narrowed).await?;
    Ok(List(page.map(AuditEventView::from)))
}

async fn get(ctx: Ctx, Path(id): Path<Id<AuditRow>>) -> Result<Json<AuditEventView>> {
    Ok(Json(service::get(&ctx, id).await?.into()))
}

/// How an export is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum AuditExportFormat {
    /// One JSON object a line.
    #[default]
    Ndjson,
    /// Comma-separated values.
    Csv,
}

impl AuditExportFormat {
    /// Its name, its media type, and what a file of it is called.
    fn names(self) -> (&'static str, &'static str, &'static str) {
        match self {
            AuditExportFormat::Ndjson => ("ndjson", "application/x-ndjson", "attachment; filename=\"audit-events.ndjson\""),
            AuditExportFormat::Csv => ("csv", "text/csv; charset=utf-8", "attachment; filename=\"audit-events.csv\""),
        }
    }
}

/// Which rows to export, and how.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct AuditExportOptions {
    /// How to write it; ndjson unless given.
    format: Option<AuditExportFormat>,
    /// Only what this actor did.
    #[schema(max_length = 64)]
    actor: Option<String>,
    /// Only this action.
    #[schema(max_length = 120)]
    action: Option<String>,
    /// Only what was done to this subject.
    #[schema(max_length = 120)]
    subject: Option<String>,
    /// Only this result.
    #[schema(max_length = 32)]
    result: Option<String>,
    /// Only what this request did.
    #[schema(max_length = 64)]
    request_id: Option<String>,
    /// Only from this instant on.
    from: Option<Timestamp>,
    /// Only before this instant.
    to: Option<Timestamp>,
}

/// A row as it is exported: what is hashed stands there as it is hashed.
#[derive(Serialize)]
struct Line {
    seq: Option<i64>,
    id: Id<AuditRow>,
    at: Timestamp,
    at_ms: i64,
    actor: String,
    action: String,
    subject: Option<String>,
    result: String,
    ip: Option<String>,
    user_agent: Option<String>,
    request_id: Option<String>,
    detail: Option<String>,
    personal: Option<String>,
    origin_salt: Option<String>,
    origin_hash: Option<String>,
    personal_salt: Option<String>,
    personal_hash: Option<String>,
    prev_hash: Option<String>,
    hash: Option<String>,
}

/// The first line of a CSV file.
const CSV_HEADER: &str = "seq,id,at,at_ms,actor,action,subject,result,ip,user_agent,request_id,detail,personal,origin_salt,origin_hash,\
                          personal_salt,personal_hash,prev_hash,hash\r\n";

impl From<AuditRow> for Line {
    fn from(row: AuditRow) -> Line {
        let hex = |bytes: Option<&[u8]>| bytes.map(hex);
        Line {
            seq: row.seq,
            id: row.id,
            at: row.at,
            at_ms: row.at.as_millis(),
            actor: row.actor,
            action: row.action,
            subject: row.subject,
            result: row.result,
            ip: row.ip,
            user_agent: row.user_agent,
            request_id: row.request_id,
            detail: row.detail,
            personal: row.personal,
            origin_salt: hex(row.origin_salt.as_ref().map(<[u8; 16]>::as_slice)),
            origin_hash: hex(row.origin_hash.as_ref().map(<[u8; 32]>::as_slice)),
            personal_salt: hex(row.personal_salt.as_ref().map(<[u8; 16]>::as_slice)),
            personal_hash: hex(row.personal_hash.as_ref().map(<[u8; 32]>::as_slice)),
            prev_hash: hex(row.prev_hash.as_ref().map(<[u8; 32]>::as_slice)),
            hash: hex(row.hash.as_ref().map(<[u8; 32]>::as_slice)),
        }
    }
}

impl Line {
    fn write(self, format: AuditExportFormat, out: &mut Vec<u8>) -> Result<()> {
        match format {
            AuditExportFormat::Ndjson => {
                serde_json::to_writer(&mut *out, &self).map_err(Error::internal)?;
                out.push(b'\n');
            }
            AuditExportFormat::Csv => self.write_csv(out),
        }
        Ok(())
    }

    fn write_csv(self, out: &mut Vec<u8>) {
        let number = |number: i64| Some(number.to_string());
        let cells = [
            self.seq.and_then(number),
            Some(self.id.to_string()),
            Some(self.at.to_string()),
            number(self.at_ms),
            Some(self.actor),
            Some(self.action),
            self.subject,
            Some(self.result),
            self.ip,
            self.user_agent,
            self.request_id,
            self.detail,
            self.personal,
            self.origin_salt,
            self.origin_hash,
            self.personal_salt,
            self.personal_hash,
            self.prev_hash,
            self.hash,
        ];
        for (index, cell) in cells.into_iter().enumerate() {
            if index > 0 {
                out.push(b',');
            }
            out.extend_from_slice(csv_cell(cell.unwrap_or_default()).as_bytes());
        }
        out.extend_from_slice(b"\r\n");
    }
}

/// A cell that no spreadsheet takes for a formula (POS-12), in quotes where it needs them (RFC 4180).
fn csv_cell(text: String) -> String {
    let is_formula = text.trim_start_matches('\'').starts_with(['=', '+', '-', '@', '\t', '\r']);
    let text = if is_formula { format!("'{text}") } else { text };
    if text.contains(['"', ',', '\n', '\r']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text }
}

/// The rows of an export, sent page by page.
struct ExportFile {
    format: AuditExportFormat,
    body: Body,
}

impl IntoResponse for ExportFile {
    fn into_response(self) -> Response {
        let (_, media_type, disposition) = self.format.names();
        let mut response = Response::new(self.body);
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
        headers.insert(CONTENT_DISPOSITION, HeaderValue::from_static(disposition));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        response
    }
}

impl Describe for ExportFile {
    fn describe(doc: &mut OperationDoc) {
        for media_type in ["application/x-ndjson", "text/csv"] {
            let media_type = Some(media_type);
            doc.responses.push(ResponseDoc { status: StatusCode::OK, body: None, is_list: false, media_type, headers: &[] });
        }
    }
}

async fn export(ctx: Ctx, Query(options): Query<AuditExportOptions>) -> Result<ExportFile> {
    let AuditExportOptions { format, actor, action, subject, result, request_id, from, to } = options;
    let narrowed = Narrowed { actor, action, subject, result, request_id, from, to };
    let format = format.unwrap_or_default();
    service::begin_export(&ctx, format.names().0, &narrowed).await?;
    let write = move |rows: Vec<AuditRow>| {
        let mut out = Vec::with_capacity(rows.len() * 512);
        rows.into_iter().try_for_each(|row| Line::from(row).write(format, &mut out)).map(|()| out)
    };
    // The first page before the first byte, so that a failure is still an answer.
    let (rows, next) = service::export_page(&ctx, narrowed.clone(), None).await?;
    let header = if format == AuditExportFormat::Csv { CSV_HEADER } else { "" };
    let first = [header.as_bytes(), &write(rows)?].concat();
    let pages = stream::unfold((Some(first), next, ctx), move |(ready, next, ctx)| {
        let narrowed = narrowed.clone();
        async move {
            if let Some(lines) = ready {
                return Some((Ok::<_, Error>(lines), (None, next, ctx)));
            }
            let after = next?;
            match service::export_page(&ctx, narrowed, Some(after)).await.and_then(|(rows, next)| Ok((write(rows)?, next))) {
                Ok((lines, next)) => Some((Ok(lines), (None, next, ctx))),
                Err(error) => Some((Err(error), (None, None, ctx))),
            }
        }
    });
    // Compression asks once more after the end, which only a fused stream allows.
    Ok(ExportFile { format, body: Body::from_stream(pages.fuse()) })
}

/// A verification of the chain.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({
    "id": "019ab0b2-8f00-7000-8000-00000000000a", "status": "broken", "created_at": "2026-11-22T12:00:00.000Z",
    "finished_at": "2026-11-22T12:00:01.000Z", "row_count": 4710, "first_seq": 1, "last_seq": 4710,
    "last_hash": "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d", "bad_seq": 4711, "fault": "changed",
    "explanation": "the row was changed"
}))]
struct AuditVerificationView {
    /// The verification.
    #[schema(value_type = uuid::Uuid)]
    id: Id<VerificationRow>,
    /// `running`, `whole` or `broken`.
    status: String,
    /// When it was asked for.
    created_at: Timestamp,
    /// When it was through.
    finished_at: Option<Timestamp>,
    /// How many rows were found whole.
    row_count: i64,
    /// The first row that is kept.
    first_seq: Option<i64>,
    /// The last row that was found whole.
    last_seq: Option<i64>,
    /// Its hash.
    last_hash: Option<String>,
    /// The first place where something is wrong.
    bad_seq: Option<i64>,
    /// What is wrong there: `missing`, `changed`, `unlinked`, `personal_changed`, `surplus`, `head_missing`, `head_forged`, `checkpoint_forged` or `other_head`.
    fault: Option<String>,
    /// The same in words.
    explanation: Option<&'static str>,
}

impl From<VerificationRow> for AuditVerificationView {
    fn from(row: VerificationRow) -> AuditVerificationView {
        AuditVerificationView {
            id: row.id,
            status: row.status,
            created_at: row.created_at,
            finished_at: row.finished_at,
            row_count: row.row_count,
            first_seq: row.first_seq,
            last_seq: row.last_seq,
            last_hash: row.last_hash.map(|hash| hex(&hash)),
            bad_seq: row.bad_seq,
            explanation: row.fault.as_deref().and_then(FaultKind::parse).map(FaultKind::sentence),
            fault: row.fault,
        }
    }
}

async fn verify(ctx: Ctx) -> Result<Accepted<AuditVerificationView>> {
    Ok(Accepted(service::begin_verification(&ctx).await?.into()))
}

async fn get_verification(ctx: Ctx, Path(id): Path<Id<VerificationRow>>) -> Result<Json<AuditVerificationView>> {
    Ok(Json(service::get_verification(&ctx, id).await?.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pos12_no_cell_is_a_formula() {
        for (text, cell) in
            [("=1", "'=1"), ("-1", "'-1"), ("@x", "'@x"), ("\tx", "'\tx"), ("'=1", "''=1"), ("a,\"b\"", "\"a,\"\"b\"\"\""), ("x", "x")]
        {
            assert_eq!(csv_cell(text.to_owned()), cell);
        }
        assert_eq!(csv_cell("\rx".to_owned()), "\"'\rx\"");
    }
}
