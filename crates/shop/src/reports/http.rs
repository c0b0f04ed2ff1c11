//! Reports over HTTP.

use kernel::http::{Json, Operation, Path, Query};
use kernel::money::Money;
use kernel::{Ctx, Error, FieldError, Result};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::permissions::READ_REPORTS;
use crate::reports::{DailyRow, service};

pub(crate) fn operations() -> [Operation; 1] {
    [Operation::get("/api/v1/shop/reports/{kind}", "getReport", get)
        .tag("Reports")
        .summary("Read a report")
        .describe(
            "sales: orders, discounts, shipping, taxes, captures and refunds per day and currency. products: units and amounts per day, currency \
             and variant. Both are made anew every ten minutes.",
        )
        .requires(&READ_REPORTS)]
}

/// Which days.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ReportFilter {
    /// The first day, in UTC.
    #[schema(max_length = 10, pattern = "^[0-9]{4}-[0-9]{2}-[0-9]{2}$")]
    from: String,
    /// The last day, in UTC; at most 366 days after the first.
    #[schema(max_length = 10, pattern = "^[0-9]{4}-[0-9]{2}-[0-9]{2}$")]
    to: String,
}

/// A report.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({
    "kind": "sales",
    "rows": [{"day": "2026-11-22", "measure": "orders", "variant_id": null, "count": 3, "amount": {"amount": 8967, "currency": "EUR"}}]
}))]
struct ReportView {
    /// `sales` or `products`.
    #[schema(max_length = 16)]
    kind: String,
    /// The figures, by day; currencies are never added.
    #[schema(max_items = 20000)]
    rows: Vec<ReportRow>,
}

/// One figure of a day.
#[derive(Serialize, ToSchema)]
struct ReportRow {
    /// The day, in UTC.
    #[schema(max_length = 10)]
    day: String,
    /// What is measured: `orders`, `discount`, `shipping`, `tax`, `booked_capture`, `booked_refund`,
    /// `booked_refund_failed` or `variant`.
    #[schema(max_length = 24)]
    measure: String,
    /// The variant, in the report of products.
    variant_id: Option<uuid::Uuid>,
    /// How many: orders, movements or units.
    count: i64,
    /// How much.
    amount: Money,
}

impl From<DailyRow> for ReportRow {
    fn from(row: DailyRow) -> ReportRow {
        ReportRow {
            variant_id: row.item.parse().ok(),
            day: row.day,
            measure: row.kind,
            count: row.count,
            amount: Money::new(row.amount, row.currency),
        }
    }
}

async fn get(ctx: Ctx, Path(kind): Path<String>, Query(filter): Query<ReportFilter>) -> Result<Json<ReportView>> {
    let is_sales = match kind.as_str() {
        "sales" => true,
        "products" => false,
        _ => return Err(kernel::error::NOT_FOUND.error()),
    };
    let (from, to) = (day("from", &filter.from)?, day("to", &filter.to)?);
    let days = (to - from).get_days();
    if !(0..=366).contains(&days) {
        return Err(Error::invalid(vec![FieldError::parameter("to", "out_of_range", "0 to 366 days after from.")]));
    }
    let rows = service::read(&ctx, filter.from, filter.to, is_sales).await?;
    Ok(Json(ReportView { kind, rows: rows.into_iter().map(ReportRow::from).collect() }))
}

fn day(name: &'static str, text: &str) -> Result<jiff::civil::Date> {
    text.parse().map_err(|_| Error::invalid(vec![FieldError::parameter(name, "invalid_format", "This is no day.")]))
}
