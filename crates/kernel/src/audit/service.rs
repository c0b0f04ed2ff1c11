//! The verbs of the audit trail: list, read, export, verify, and what somebody sees of their own.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::audit::http::{EXPORT_AUDIT_EVENTS, READ_AUDIT_EVENTS, VERIFY_AUDIT_EVENTS};
use crate::audit::store::{self, AuditRow, Narrowed, Place, VerificationRow};
use crate::audit::{AuditBroken, AuditEntry, AuditVerified, verify};
use crate::ctx::Ctx;
use crate::error::{Error, NOT_FOUND, Result};
use crate::id::Id;
use crate::jobs::Job;
use crate::page::{CursorValue, KeyKind, Keyset, Page, PageRequest, SortKey};
use crate::time::Timestamp;

const KEYS: &[SortKey] = &[SortKey { name: "at", column: "at", kind: KeyKind::Int }];

fn key_of(row: &AuditRow) -> (CursorValue, uuid::Uuid) {
    (CursorValue::Int(row.at.as_millis()), row.id.uuid())
}

/// Rows of the trail, newest first.
pub(super) async fn list(ctx: &Ctx, request: PageRequest, sort: Option<&str>, narrowed: Narrowed) -> Result<Page<AuditRow>> {
    ctx.actor.require(&READ_AUDIT_EVENTS)?;
    let filter = serde_json::to_string(&narrowed).map_err(Error::internal)?;
    let keyset = Keyset::parse(ctx, KEYS, "-at", sort, "listAuditEvents", &filter, &request)?;
    let (place, is_indexed) = (keyset.clone(), narrowed.is_indexed());
    let read = move |c: &mut db::Conn| Ok(store::list(c, &narrowed, &place)?);
    // What no index answers may walk far back.
    let rows = if is_indexed { ctx.read(read).await? } else { ctx.read_long(read).await? };
    Ok(keyset.page(ctx, rows, key_of))
}

/// One row of the trail.
pub(super) async fn get(ctx: &Ctx, id: Id<AuditRow>) -> Result<AuditRow> {
    ctx.actor.require(&READ_AUDIT_EVENTS)?;
    ctx.read(move |c| Ok(store::find(c, id)?)).await?.ok_or_else(|| NOT_FOUND.error())
}

/// Notes who takes the trail away with them; the rows follow page by page.
pub(super) async fn begin_export(ctx: &Ctx, format: &'static str, narrowed: &Narrowed) -> Result<()> {
    ctx.actor.require(&EXPORT_AUDIT_EVENTS)?;
    let detail = json!({ "format": format, "filter": narrowed });
    ctx.write(move |tx| tx.audit(AuditEntry::ok("system.audit_events.export", "system").with_detail(detail.clone()))).await
}

/// The next 500 rows of an export, oldest first, and where to go on.
pub(super) async fn export_page(ctx: &Ctx, narrowed: Narrowed, after: Option<Place>) -> Result<(Vec<AuditRow>, Option<Place>)> {
    ctx.actor.require(&EXPORT_AUDIT_EVENTS)?;
    let after = after.unwrap_or((narrowed.from.unwrap_or(Timestamp::from_millis(i64::MIN)), Id::from_uuid(uuid::Uuid::nil())));
    let rows = ctx.read_long(move |c| Ok(store::export(c, &narrowed, after)?)).await?;
    let next = rows.last().filter(|_| rows.len() == EXPORT_PAGE).map(|last| (last.at, last.id));
    Ok((rows, next))
}

/// Rows of one page of an export; the store's SQL says the same number.
const EXPORT_PAGE: usize = 500;

/// Verifies the chain.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Verify {
    verification_id: Id<VerificationRow>,
}

impl Job for Verify {
    const KIND: &'static str = "platform.verify_audit";
}

/// How long a verification that does not end stands in the way of another.
const FRESH: Duration = Duration::from_secs(3600);

/// Has a job verify the chain; the one that runs already, if one does.
pub(super) async fn begin_verification(ctx: &Ctx) -> Result<VerificationRow> {
    ctx.actor.require(&VERIFY_AUDIT_EVENTS)?;
    let (id, now): (Id<VerificationRow>, _) = (ctx.new_id(), ctx.now());
    ctx.write(move |tx| {
        if let Some(running) = store::running_verification(tx, now - FRESH)? {
            return Ok(running);
        }
        store::insert_verification(tx, id, now)?;
        tx.enqueue(&Verify { verification_id: id })?;
        tx.audit(AuditEntry::ok("system.audit.verify", &format!("audit_verification:{id}")))?;
        Ok(store::find_verification(tx, id)?.ok_or(&NOT_FOUND)?)
    })
    .await
}

/// A verification.
pub(super) async fn get_verification(ctx: &Ctx, id: Id<VerificationRow>) -> Result<VerificationRow> {
    ctx.actor.require(&VERIFY_AUDIT_EVENTS)?;
    ctx.read(move |c| Ok(store::find_verification(c, id)?)).await?.ok_or_else(|| NOT_FOUND.error())
}

/// Carries a verification out; running it twice tells once.
pub(super) async fn carry_out(ctx: Ctx, job: Verify) -> Result<()> {
    let id = job.verification_id;
    let row = ctx.read(move |c| Ok(store::find_verification(c, id)?)).await?;
    let Some(row) = row.filter(|row| row.status == "running") else { return Ok(()) };
    let report = verify::verify(&ctx.app, None, |_| ()).await?;
    let outcome = VerificationRow {
        status: if report.fault.is_some() { "broken" } else { "whole" }.to_owned(),
        finished_at: Some(ctx.now()),
        row_count: i64::try_from(report.row_count).unwrap_or(i64::MAX),
        first_seq: Some(report.first_seq),
        last_seq: Some(report.last_seq),
        last_hash: Some(report.last_hash),
        bad_seq: report.fault.map(|fault| fault.seq),
        fault: report.fault.map(|fault| fault.kind.as_str().to_owned()),
        ..row
    };
    if let Some(fault) = report.fault {
        tracing::error!(
            audit.seq = fault.seq,
            audit.fault = fault.kind.as_str(),
            "the audit trail is broken at {}: {}",
            fault.seq,
            fault.kind.sentence()
        );
    }
    ctx.write(move |tx| {
        if !store::finish_verification(tx, &outcome)? {
            return Ok(());
        }
        match report.fault {
            Some(fault) => {
                tx.record(&AuditBroken { verification_id: id.uuid(), bad_seq: fault.seq, fault: fault.kind.as_str().to_owned() })
            }
            None => tx.record(&AuditVerified { verification_id: id.uuid(), last_seq: report.last_seq, row_count: outcome.row_count }),
        }
    })
    .await
}

/// Something that a person did, or that was done to their account, as they may see it themselves.
#[derive(Clone, Debug)]
pub struct Activity {
    /// The row of the trail.
    pub id: Id<Activity>,
    /// When it happened.
    pub at: Timestamp,
    /// What was done.
    pub action: String,
    /// `ok`, or the code of the problem.
    pub result: String,
    /// What it was done to; nothing where that is another person.
    pub subject: Option<String>,
    /// Who did it.
    pub by: ActivityBy,
    /// Where it came from; nothing where that tells of another person.
    pub address: Option<String>,
    /// The program; nothing where that tells of another person.
    pub user_agent: Option<String>,
}

/// Who did something, as far as a person may know of others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ActivityBy {
    /// The person, logged in.
    You,
    /// Somebody who was not logged in, such as the person at the login door, or whoever guesses there.
    Nobody,
    /// Another person, such as an administrator.
    SomebodyElse,
    /// The system itself.
    System,
}

/// What the caller did and what was done to their account, newest first.
pub async fn activity(ctx: &Ctx, request: PageRequest) -> Result<Page<Activity>> {
    let me = format!("user:{}", ctx.actor.user_id()?);
    let keyset = Keyset::parse(ctx, KEYS, "-at", None, "listMyActivity", "", &request)?;
    let (place, label) = (keyset.clone(), me.clone());
    let mut rows = ctx
        .read(move |c| {
            // Two indexes, each read as far as a page goes: the page of both together is among them.
            let mut rows = store::list(c, &Narrowed { actor: Some(label.clone()), ..Narrowed::default() }, &place)?;
            rows.extend(store::list(c, &Narrowed { subject: Some(label.clone()), ..Narrowed::default() }, &place)?);
            Ok(rows)
        })
        .await?;
    rows.sort_unstable_by_key(|row| std::cmp::Reverse((row.at, row.id)));
    rows.dedup_by_key(|row| row.id);
    rows.truncate(keyset.limit() as usize);
    Ok(keyset.page(ctx, rows, key_of).map(|row| Activity::of(row, &me)))
}

impl Activity {
    fn of(row: AuditRow, me: &str) -> Activity {
        let by = match row.actor.as_str() {
            actor if actor == me => ActivityBy::You,
            "anonymous" => ActivityBy::Nobody,
            "system" => ActivityBy::System,
            _ => ActivityBy::SomebodyElse,
        };
        let is_own = matches!(by, ActivityBy::You | ActivityBy::Nobody);
        Activity {
            id: row.id.cast(),
            at: row.at,
            action: row.action,
            result: row.result,
            subject: row.subject.filter(|subject| subject == me || !subject.starts_with("user:")),
            by,
            address: row.ip.filter(|_| is_own),
            user_agent: row.user_agent.filter(|_| is_own),
        }
    }
}
