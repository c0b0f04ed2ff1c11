//! Orders over HTTP.

use kernel::error::{CURSOR_INVALID, FORBIDDEN, INVALID_STATE, UPSTREAM_FAILED};
use kernel::http::{Body, Etag, IfMatch, Json, List, NoContent, Operation, Path, Query};
use kernel::page::{Page, PageRequest};
use kernel::{Ctx, Id, Result};
use serde::Deserialize;
use utoipa::ToSchema;

use crate::ids::Order;
use crate::mails::MailKind;
use crate::orders::access::{OrderAccess, OrderSecret};
use crate::orders::views::{OrderEventView, OrderSummary, OrderView};
use crate::orders::{OrderStatus, WholeOrder, service};
use crate::permissions::{MANAGE_ORDERS, READ_ORDERS};
use crate::selling_problems::PAYMENT_REQUIRED;

pub(crate) fn operations() -> [Operation; 8] {
    [
        Operation::get("/api/v1/shop/orders", "listOrders", list)
            .tag("Orders")
            .summary("List orders")
            .describe("Your own orders, newest first; those of everybody for staff.")
            .raises(&[&CURSOR_INVALID])
            .keys_with(&[&READ_ORDERS])
            .authenticated(),
        Operation::get("/api/v1/shop/orders/{order_id}", "getOrder", get)
            .tag("Orders")
            .summary("Read an order")
            .describe("For whoever holds its secret, the account that made it, and staff.")
            .answers_secrets()
            .public(),
        Operation::get("/api/v1/shop/orders/{order_id}/events", "listOrderEvents", log)
            .tag("Orders")
            .summary("Read the log of an order")
            .describe("Everything that happened to it, oldest first, each with the three axes after it.")
            .public(),
        Operation::post("/api/v1/shop/orders/{order_id}/actions/cancel", "cancelOrder", cancel)
            .tag("Orders")
            .summary("Call an order off")
            .describe(
                "Buyers while it waits for its payment; staff also once it is certain, as long as nothing is packed. Its payment is called off at \
                 the provider first; if that is too late, the order is confirmed instead. What was paid goes back.",
            )
            .raises(&[&INVALID_STATE, &UPSTREAM_FAILED, &PAYMENT_REQUIRED, &FORBIDDEN])
            .public(),
        Operation::post("/api/v1/shop/orders/{order_id}/actions/complete", "completeOrder", complete)
            .tag("Orders")
            .summary("Complete an order")
            .describe("Ends an order that is handed over and settled.")
            .raises(&[&INVALID_STATE])
            .requires(&MANAGE_ORDERS),
        Operation::post("/api/v1/shop/orders/{order_id}/actions/acknowledge", "acknowledgeOrder", acknowledge)
            .tag("Orders")
            .summary("Acknowledge why an order needs attention")
            .describe(
                "Takes what was seen off the order. Most of it goes by itself, when what it tells of is over. Refused when something else \
                 came up meanwhile; nothing happens when there is nothing to acknowledge.",
            )
            .raises(&[&INVALID_STATE])
            .requires(&MANAGE_ORDERS),
        Operation::post("/api/v1/shop/orders/{order_id}/notes", "addOrderNote", add_note)
            .tag("Orders")
            .summary("Add a note")
            .describe("Writes a note of staff into the log of an order; its buyer reads the log too.")
            .requires(&MANAGE_ORDERS),
        Operation::post("/api/v1/shop/orders/{order_id}/mails", "mailOrderAgain", mail_again)
            .tag("Orders")
            .summary("Mail the buyer again")
            .describe("Every mail goes out once by itself; this is the only way to send one a second time.")
            .raises(&[&INVALID_STATE])
            .requires(&MANAGE_ORDERS),
    ]
}

/// Which orders to list.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct OrderListFilter {
    /// Only orders with this status.
    status: Option<OrderStatus>,
    /// How many orders a page holds, 1 to 100.
    #[schema(minimum = 1)]
    limit: Option<u32>,
    /// Where the page before ended.
    #[schema(max_length = 1024)]
    cursor: Option<String>,
}

fn with_etag(ctx: &Ctx, whole: WholeOrder) -> Result<Etag<Json<OrderView>>> {
    Ok(Etag { version: whole.order.version, answer: Json(OrderView::of(ctx, whole)?) })
}

async fn list(ctx: Ctx, Query(filter): Query<OrderListFilter>) -> Result<List<OrderSummary>> {
    let page = service::list(&ctx, filter.status, PageRequest::new(filter.limit, filter.cursor)).await?;
    Ok(List(page.map(OrderSummary::from)))
}

async fn get(ctx: Ctx, secret: OrderSecret, Path(id): Path<Id<Order>>) -> Result<Etag<Json<OrderView>>> {
    let whole = service::get(&ctx, id, OrderAccess::of(&ctx, &secret)).await?;
    with_etag(&ctx, whole)
}

async fn log(ctx: Ctx, secret: OrderSecret, Path(id): Path<Id<Order>>) -> Result<List<OrderEventView>> {
    let rows = service::log(&ctx, id, OrderAccess::of(&ctx, &secret)).await?;
    Ok(List(Page { items: rows.into_iter().map(OrderEventView::from).collect(), next_cursor: None, total: None }))
}

/// Why an order is called off.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"reason": "ordered twice"}))]
struct CancelOrder {
    /// Why, for the log.
    #[serde(default)]
    #[schema(max_length = 1000)]
    reason: Option<String>,
}

async fn cancel(
    ctx: Ctx,
    secret: OrderSecret,
    if_match: IfMatch,
    Path(id): Path<Id<Order>>,
    Body(request): Body<CancelOrder>,
) -> Result<Etag<Json<OrderView>>> {
    let whole = service::cancel(&ctx, id, OrderAccess::of(&ctx, &secret), if_match, request.reason).await?;
    with_etag(&ctx, whole)
}

async fn complete(ctx: Ctx, if_match: IfMatch, Path(id): Path<Id<Order>>) -> Result<Etag<Json<OrderView>>> {
    let whole = service::complete(&ctx, id, if_match).await?;
    with_etag(&ctx, whole)
}

/// What somebody has seen about an order.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"attention": "refund_failed", "reason": "sent by transfer instead"}))]
struct AcknowledgeOrder {
    /// The reason as the order shows it.
    #[schema(max_length = 64)]
    attention: String,
    /// What is done about it, for the log.
    #[serde(default)]
    #[schema(max_length = 1000)]
    reason: Option<String>,
}

async fn acknowledge(
    ctx: Ctx,
    if_match: IfMatch,
    Path(id): Path<Id<Order>>,
    Body(request): Body<AcknowledgeOrder>,
) -> Result<Etag<Json<OrderView>>> {
    let whole = service::acknowledge(&ctx, id, if_match, request.attention, request.reason).await?;
    with_etag(&ctx, whole)
}

/// A note of staff.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"text": "The buyer calls for it on Friday."}))]
struct NewOrderNote {
    /// What is to be remembered.
    #[schema(min_length = 1, max_length = 4000)]
    text: String,
}

async fn add_note(ctx: Ctx, Path(id): Path<Id<Order>>, Body(note): Body<NewOrderNote>) -> Result<List<OrderEventView>> {
    let rows = service::add_note(&ctx, id, note.text).await?;
    Ok(List(Page { items: rows.into_iter().map(OrderEventView::from).collect(), next_cursor: None, total: None }))
}

/// Which mail to send again.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"kind": "placed"}))]
struct MailAgain {
    /// What the mail is about.
    kind: MailKind,
}

async fn mail_again(ctx: Ctx, Path(id): Path<Id<Order>>, Body(request): Body<MailAgain>) -> Result<NoContent> {
    service::mail_again(&ctx, id, request.kind).await?;
    Ok(NoContent)
}
