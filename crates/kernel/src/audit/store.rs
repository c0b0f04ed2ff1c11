//! SQL of the audit trail.

use db::params;

use crate::audit::AuditEntry;
use crate::ctx::Ctx;
use crate::error::Result;
use crate::id::Id;

enum AuditRow {}

pub(super) fn insert(tx: &mut db::Tx<'_>, ctx: &Ctx, entry: &AuditEntry<'_>, actor: &str, ip: &str, detail: Option<&str>) -> Result<()> {
    let id: Id<AuditRow> = ctx.new_id();
    tx.execute(
        "INSERT INTO platform_audit (id, at, actor, action, subject, result, ip, request_id, detail) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        params![id, ctx.now(), actor, entry.action, entry.subject, entry.result, ip, ctx.request.id, detail],
    )?;
    Ok(())
}
