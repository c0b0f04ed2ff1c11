//! The ledger over HTTP; it is only read.

use kernel::error::CURSOR_INVALID;
use kernel::http::{List, Operation, Query};
use kernel::money::Money;
use kernel::page::PageRequest;
use kernel::{Ctx, Id, Result, Timestamp};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::ids::Order;
use crate::ledger::{EntryRow, list};
use crate::order_lists::TimeList;
use crate::permissions::READ_LEDGER;

pub(crate) fn operations() -> [Operation; 1] {
    [Operation::get("/api/v1/shop/ledger-entries", "listLedgerEntries", entries)
        .tag("Ledger")
        .summary("List the ledger")
        .describe("Every movement of money, twice, newest first; the entries of one transaction sum to nothing. Nothing is ever changed or deleted.")
        .raises(&[&CURSOR_INVALID])
        .requires(&READ_LEDGER)]
}

/// Which entries to list.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct LedgerFilter {
    /// Only entries of this order.
    #[schema(value_type = Option<uuid::Uuid>)]
    order_id: Option<Id<Order>>,
    /// How many entries a page holds, 1 to 100.
    #[schema(minimum = 1)]
    limit: Option<u32>,
    /// Where the page before ended.
    #[schema(max_length = 1024)]
    cursor: Option<String>,
}

/// One side of a movement.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({
    "id": "019ab0b2-8f00-7000-8000-00000000000a", "transaction_id": "019ab0b2-8f00-7000-8000-00000000000b", "kind": "capture",
    "account": "clearing:stripe", "amount": {"amount": 2989, "currency": "EUR"}, "order_id": "019ab0b2-8f00-7000-8000-000000000001",
    "provider_reference": "ch_1", "at": "2026-11-22T12:00:00.000Z"
}))]
struct LedgerEntryView {
    /// The entry.
    id: uuid::Uuid,
    /// The movement, of which there are two sides.
    transaction_id: uuid::Uuid,
    /// `capture`, `refund`, `refund_failed`, `fee`, `dispute` or `dispute_won`.
    #[schema(max_length = 24)]
    kind: String,
    /// The account.
    #[schema(max_length = 64)]
    account: String,
    /// What came to the account; negative for what left it.
    amount: Money,
    /// The order.
    #[schema(value_type = Option<uuid::Uuid>)]
    order_id: Option<Id<Order>>,
    /// The provider's own id of the movement.
    #[schema(max_length = 190)]
    provider_reference: String,
    /// When it was booked.
    at: Timestamp,
}

impl From<EntryRow> for LedgerEntryView {
    fn from(row: EntryRow) -> LedgerEntryView {
        LedgerEntryView {
            id: row.id.uuid(),
            transaction_id: row.tx_id.uuid(),
            kind: row.kind,
            account: row.account,
            amount: Money::new(row.amount, row.currency),
            order_id: row.order_id,
            provider_reference: row.provider_reference,
            at: row.at,
        }
    }
}

async fn entries(ctx: Ctx, Query(filter): Query<LedgerFilter>) -> Result<List<LedgerEntryView>> {
    let (request, order) = (PageRequest::new(filter.limit, filter.cursor), filter.order_id);
    let times = TimeList::new(&ctx, "listLedgerEntries", order.map(|id| id.to_string()).unwrap_or_default());
    let (after, limit) = (times.after(&request)?, request.limit);
    let rows = list(&ctx, order, after, limit + 1).await?;
    Ok(List(times.page(rows, limit, |row| (row.at, row.id)).map(LedgerEntryView::from)))
}
