//! Refunds over HTTP.

use kernel::error::{INVALID_STATE, NOT_FOUND};
use kernel::http::{Body, Created, Json, List, Operation, Path};
use kernel::money::Money;
use kernel::page::Page;
use kernel::{Ctx, Id, Result, Timestamp};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::ids::{Order, OrderLine, Payment, Refund};
use crate::payments::RefundState;
use crate::permissions::{CREATE_REFUNDS, READ_PAYMENTS};
use crate::refunds::{NewRefund, RefundLineRecord, RefundRecord, service};
use crate::required_key::RequiredKey;
use crate::selling_problems::{REFUND_EXCEEDS_CAPTURED, REFUND_EXCEEDS_LINE};

pub(crate) fn operations() -> [Operation; 5] {
    [
        Operation::post("/api/v1/shop/orders/{order_id}/refunds", "createRefund", create)
            .tag("Refunds")
            .summary("Give money back")
            .describe(
                "For units of lines, for shipping, or an amount. The money is claimed at once, so that no two refunds give back the same; the \
                 provider is asked right after. Units that have not left the house are not shipped any more; with restock, the others go back \
                 on the shelf.",
            )
            .raises(&[&NOT_FOUND, &REFUND_EXCEEDS_CAPTURED, &REFUND_EXCEEDS_LINE, &INVALID_STATE])
            .requires(&CREATE_REFUNDS),
        Operation::get("/api/v1/shop/orders/{order_id}/refunds", "listRefunds", list)
            .tag("Refunds")
            .summary("List the refunds of an order")
            .describe("Oldest first.")
            .requires(&READ_PAYMENTS),
        Operation::get("/api/v1/shop/refunds/{refund_id}", "getRefund", get)
            .tag("Refunds")
            .summary("Read a refund")
            .describe("Where it stands at its provider.")
            .requires(&READ_PAYMENTS),
        Operation::post("/api/v1/shop/refunds/{refund_id}/actions/confirm", "confirmRefund", confirm)
            .tag("Refunds")
            .summary("Say that an offline refund was paid")
            .describe("Offline refunds are made by a person, who says so here.")
            .raises(&[&INVALID_STATE])
            .requires(&CREATE_REFUNDS),
        Operation::post("/api/v1/shop/refunds/{refund_id}/actions/fail", "failRefund", fail)
            .tag("Refunds")
            .summary("Say that an offline refund will not be paid")
            .describe("What it claimed can be refunded again.")
            .raises(&[&INVALID_STATE])
            .requires(&CREATE_REFUNDS),
    ]
}

/// Units of a line to give back.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewRefundLine {
    /// The line of the order.
    #[schema(value_type = uuid::Uuid)]
    line_id: Id<OrderLine>,
    /// How many units.
    #[schema(minimum = 1, maximum = 9999)]
    quantity: i64,
}

/// What to give back.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({
    "lines": [{"line_id": "019ab0b2-8f00-7000-8000-000000000004", "quantity": 1}], "shipping": null, "amount": null,
    "reason": "came broken", "restock": false, "notify": true
}))]
struct RefundRequest {
    /// Units of lines, each worth its part of what was paid.
    #[serde(default)]
    #[schema(max_items = 500)]
    lines: Vec<NewRefundLine>,
    /// A part of what delivering cost.
    #[serde(default)]
    shipping: Option<Money>,
    /// An amount that belongs to no line.
    #[serde(default)]
    amount: Option<Money>,
    /// Why, for the log.
    #[schema(min_length = 1, max_length = 1000)]
    reason: String,
    /// Whether units that had left are back on the shelf.
    #[serde(default)]
    restock: bool,
    /// Whether the buyer is told.
    #[serde(default = "yes")]
    notify: bool,
}

fn yes() -> bool {
    true
}

/// A refund.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({
    "id": "019ab0b2-8f00-7000-8000-000000000005", "order_id": "019ab0b2-8f00-7000-8000-000000000001",
    "payment_id": "019ab0b2-8f00-7000-8000-000000000002", "state": "requested", "amount": {"amount": 2499, "currency": "EUR"},
    "shipping": {"amount": 0, "currency": "EUR"}, "lines": [], "reason": "came broken", "provider_code": null,
    "created_at": "2026-11-22T12:00:00.000Z", "updated_at": "2026-11-22T12:00:00.000Z"
}))]
struct RefundView {
    /// The refund.
    #[schema(value_type = uuid::Uuid)]
    id: Id<Refund>,
    /// The order.
    #[schema(value_type = uuid::Uuid)]
    order_id: Id<Order>,
    /// The payment from which it comes.
    #[schema(value_type = uuid::Uuid)]
    payment_id: Id<Payment>,
    /// Where it stands.
    state: RefundState,
    /// How much goes back.
    amount: Money,
    /// How much of it is for shipping.
    shipping: Money,
    /// How much of it is for which line.
    #[schema(max_items = 500)]
    lines: Vec<RefundLineView>,
    /// Why.
    #[schema(max_length = 1000)]
    reason: String,
    /// Why it failed, in the provider's words.
    #[schema(max_length = 64)]
    provider_code: Option<String>,
    /// When it was asked for.
    created_at: Timestamp,
    /// When it last changed.
    updated_at: Timestamp,
}

/// What a refund gives back for a line.
#[derive(Serialize, ToSchema)]
struct RefundLineView {
    /// The line of the order.
    #[schema(value_type = uuid::Uuid)]
    line_id: Id<OrderLine>,
    /// How many units.
    quantity: i64,
    /// How many of them went back on the shelf.
    returned_quantity: i64,
    /// How much for them.
    amount: Money,
}

impl RefundView {
    fn of((refund, lines): (RefundRecord, Vec<RefundLineRecord>)) -> RefundView {
        let money = |minor| Money::new(minor, refund.currency);
        RefundView {
            id: refund.id,
            order_id: refund.order_id,
            payment_id: refund.payment_id,
            state: refund.state(),
            amount: refund.money(),
            shipping: money(refund.shipping),
            lines: lines
                .into_iter()
                .map(|line| RefundLineView {
                    line_id: line.order_line_id,
                    quantity: line.quantity,
                    returned_quantity: line.returned_quantity,
                    amount: money(line.amount),
                })
                .collect(),
            reason: refund.reason,
            provider_code: refund.provider_code,
            created_at: refund.created_at,
            updated_at: refund.updated_at,
        }
    }
}

async fn create(
    ctx: Ctx,
    _key: RequiredKey,
    Path(order): Path<Id<Order>>,
    Body(request): Body<RefundRequest>,
) -> Result<Created<RefundView>> {
    let new = NewRefund {
        lines: request.lines.into_iter().map(|line| (line.line_id, line.quantity)).collect(),
        shipping: request.shipping,
        amount: request.amount,
        reason: request.reason,
        restock: request.restock,
        notify: request.notify,
    };
    let refund = service::request(&ctx, order, new).await?;
    Ok(Created { location: format!("/api/v1/shop/refunds/{}", refund.0.id), body: RefundView::of(refund) })
}

async fn list(ctx: Ctx, Path(order): Path<Id<Order>>) -> Result<List<RefundView>> {
    let refunds = service::list(&ctx, order).await?;
    Ok(List(Page { items: refunds.into_iter().map(RefundView::of).collect(), next_cursor: None, total: None }))
}

async fn get(ctx: Ctx, Path(id): Path<Id<Refund>>) -> Result<Json<RefundView>> {
    service::get(&ctx, id).await.map(|refund| Json(RefundView::of(refund)))
}

async fn confirm(ctx: Ctx, Path(id): Path<Id<Refund>>) -> Result<Json<RefundView>> {
    service::confirm(&ctx, id).await?;
    service::get(&ctx, id).await.map(|refund| Json(RefundView::of(refund)))
}

async fn fail(ctx: Ctx, Path(id): Path<Id<Refund>>) -> Result<Json<RefundView>> {
    service::fail_offline(&ctx, id).await?;
    service::get(&ctx, id).await.map(|refund| Json(RefundView::of(refund)))
}
