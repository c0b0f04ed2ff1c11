//! The audit over HTTP.

use kernel::http::{Json, Operation};
use kernel::{Ctx, Result, Timestamp};
use serde::Serialize;
use utoipa::ToSchema;

use crate::audit::{Finding, service};
use crate::permissions::RUN_AUDITS;

pub(crate) fn operations() -> [Operation; 1] {
    [Operation::post("/api/v1/shop/audits", "auditShop", audit)
        .tag("Audits")
        .summary("Audit the books")
        .describe(
            "Computes totals, stock, reservations, ledger, refunds and coupons anew from the append-only rows, and lists what differs.",
        )
        .requires(&RUN_AUDITS)]
}

/// What an audit found.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({"audited_at": "2026-11-22T12:00:00.000Z", "differences": []}))]
struct AuditView {
    /// When it looked.
    audited_at: Timestamp,
    /// What differs; nothing when all is well.
    #[schema(max_items = 20000)]
    differences: Vec<DifferenceView>,
}

/// Two figures that should be one.
#[derive(Serialize, ToSchema)]
struct DifferenceView {
    /// Which rule it breaks.
    #[schema(max_length = 64)]
    check: String,
    /// What it is about.
    #[schema(max_length = 190)]
    subject: String,
    /// What it should be.
    #[schema(max_length = 64)]
    expected: String,
    /// What it is.
    #[schema(max_length = 64)]
    found: String,
}

impl From<Finding> for DifferenceView {
    fn from(finding: Finding) -> DifferenceView {
        DifferenceView { check: finding.check.to_owned(), subject: finding.subject, expected: finding.expected, found: finding.found }
    }
}

async fn audit(ctx: Ctx) -> Result<Json<AuditView>> {
    let findings = service::audit(&ctx).await?;
    Ok(Json(AuditView { audited_at: ctx.now(), differences: findings.into_iter().map(DifferenceView::from).collect() }))
}
