//! Parcels over HTTP.

use kernel::error::{INVALID_STATE, NOT_FOUND};
use kernel::http::{Body, Created, Etag, IfMatch, Json, List, Operation, Path};
use kernel::page::Page;
use kernel::{Ctx, Id, Result, Timestamp};
use serde::{Deserialize, Deserializer, Serialize};
use utoipa::ToSchema;

use crate::fulfilments::service::{self, FulfilmentPatch, NewFulfilment};
use crate::fulfilments::{FulfilmentState, Packed};
use crate::ids::{Fulfilment, Location, Order, OrderLine};
use crate::permissions::{MANAGE_FULFILMENTS, READ_ORDERS};
use crate::problems::OUT_OF_STOCK;
use crate::selling_problems::FULFILMENT_EXCEEDS_LINE;

pub(crate) fn operations() -> [Operation; 6] {
    [
        Operation::post("/api/v1/shop/orders/{order_id}/fulfilments", "createFulfilment", create)
            .tag("Fulfilments")
            .summary("Pack a parcel")
            .describe("Units of an order that is certain, from one location. They stay on the shelf until the parcel is shipped.")
            .raises(&[&NOT_FOUND, &INVALID_STATE, &FULFILMENT_EXCEEDS_LINE])
            .requires(&MANAGE_FULFILMENTS),
        Operation::get("/api/v1/shop/orders/{order_id}/fulfilments", "listFulfilments", list)
            .tag("Fulfilments")
            .summary("List the parcels of an order")
            .describe("Oldest first.")
            .requires(&READ_ORDERS),
        Operation::patch("/api/v1/shop/fulfilments/{fulfilment_id}", "updateFulfilment", update)
            .tag("Fulfilments")
            .summary("Change carrier and tracking of a parcel")
            .describe("Absent members stay as they are; null removes.")
            .raises(&[&INVALID_STATE])
            .requires(&MANAGE_FULFILMENTS),
        Operation::post("/api/v1/shop/fulfilments/{fulfilment_id}/actions/ship", "shipFulfilment", ship)
            .tag("Fulfilments")
            .summary("Ship a parcel")
            .describe("Takes its units off the shelf and tells the buyer.")
            .raises(&[&INVALID_STATE, &OUT_OF_STOCK])
            .requires(&MANAGE_FULFILMENTS),
        Operation::post("/api/v1/shop/fulfilments/{fulfilment_id}/actions/deliver", "deliverFulfilment", deliver)
            .tag("Fulfilments")
            .summary("Note that a parcel has arrived")
            .describe("For parcels that were shipped.")
            .raises(&[&INVALID_STATE])
            .requires(&MANAGE_FULFILMENTS),
        Operation::post("/api/v1/shop/fulfilments/{fulfilment_id}/actions/cancel", "cancelFulfilment", cancel)
            .tag("Fulfilments")
            .summary("Unpack a parcel")
            .describe("For parcels that have not left; their units can be packed again.")
            .raises(&[&INVALID_STATE])
            .requires(&MANAGE_FULFILMENTS),
    ]
}

/// Units of a line to pack.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewFulfilmentLine {
    /// The line of the order.
    #[schema(value_type = uuid::Uuid)]
    line_id: Id<OrderLine>,
    /// How many units.
    #[schema(minimum = 1, maximum = 9999)]
    quantity: i64,
}

/// What to pack.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({
    "location_id": "019ab0b2-8f00-7000-8000-000000000006", "lines": [{"line_id": "019ab0b2-8f00-7000-8000-000000000004", "quantity": 1}],
    "carrier": "DHL", "tracking": "00340434161094042557"
}))]
struct FulfilmentRequest {
    /// The place from which it leaves.
    #[schema(value_type = uuid::Uuid)]
    location_id: Id<Location>,
    /// What is in it.
    #[schema(min_items = 1, max_items = 500)]
    lines: Vec<NewFulfilmentLine>,
    /// Who carries it.
    #[serde(default)]
    #[schema(max_length = 64)]
    carrier: Option<String>,
    /// Under which number.
    #[serde(default)]
    #[schema(max_length = 190)]
    tracking: Option<String>,
}

/// A parcel.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({
    "id": "019ab0b2-8f00-7000-8000-000000000008", "order_id": "019ab0b2-8f00-7000-8000-000000000001",
    "location_id": "019ab0b2-8f00-7000-8000-000000000006", "state": "created", "carrier": "DHL", "tracking": "00340434161094042557",
    "lines": [{"line_id": "019ab0b2-8f00-7000-8000-000000000004", "quantity": 1}], "shipped_at": null, "delivered_at": null,
    "created_at": "2026-11-22T12:00:00.000Z", "updated_at": "2026-11-22T12:00:00.000Z", "version": 1
}))]
struct FulfilmentView {
    /// The parcel.
    #[schema(value_type = uuid::Uuid)]
    id: Id<Fulfilment>,
    /// The order.
    #[schema(value_type = uuid::Uuid)]
    order_id: Id<Order>,
    /// The place from which it leaves.
    #[schema(value_type = uuid::Uuid)]
    location_id: Id<Location>,
    /// Where it is.
    state: FulfilmentState,
    /// Who carries it.
    #[schema(max_length = 64)]
    carrier: Option<String>,
    /// Under which number.
    #[schema(max_length = 190)]
    tracking: Option<String>,
    /// What is in it.
    #[schema(max_items = 500)]
    lines: Vec<FulfilmentLineView>,
    /// When it left.
    shipped_at: Option<Timestamp>,
    /// When it arrived.
    delivered_at: Option<Timestamp>,
    /// When it was packed.
    created_at: Timestamp,
    /// When it last changed.
    updated_at: Timestamp,
    /// Grows with every change.
    version: i64,
}

/// Units of a line in a parcel.
#[derive(Serialize, ToSchema)]
struct FulfilmentLineView {
    /// The line of the order.
    #[schema(value_type = uuid::Uuid)]
    line_id: Id<OrderLine>,
    /// How many units.
    quantity: i64,
}

impl FulfilmentView {
    fn of((parcel, lines): Packed) -> FulfilmentView {
        FulfilmentView {
            id: parcel.id,
            order_id: parcel.order_id,
            location_id: parcel.location_id,
            state: parcel.state(),
            carrier: parcel.carrier,
            tracking: parcel.tracking,
            lines: lines.into_iter().map(|(line_id, quantity)| FulfilmentLineView { line_id, quantity }).collect(),
            shipped_at: parcel.shipped_at,
            delivered_at: parcel.delivered_at,
            created_at: parcel.created_at,
            updated_at: parcel.updated_at,
            version: parcel.version,
        }
    }
}

fn with_etag(packed: Packed) -> Etag<Json<FulfilmentView>> {
    Etag { version: packed.0.version, answer: Json(FulfilmentView::of(packed)) }
}

fn filled(text: Option<String>) -> Option<String> {
    text.map(|text| text.trim().to_owned()).filter(|text| !text.is_empty())
}

async fn create(ctx: Ctx, Path(order): Path<Id<Order>>, Body(request): Body<FulfilmentRequest>) -> Result<Created<FulfilmentView>> {
    let new = NewFulfilment {
        location_id: request.location_id,
        lines: request.lines.into_iter().map(|line| (line.line_id, line.quantity)).collect(),
        carrier: filled(request.carrier),
        tracking: filled(request.tracking),
    };
    let packed = service::create(&ctx, order, new).await?;
    // Parcels are read with the list of their order.
    Ok(Created { location: format!("/api/v1/shop/orders/{order}/fulfilments"), body: FulfilmentView::of(packed) })
}

async fn list(ctx: Ctx, Path(order): Path<Id<Order>>) -> Result<List<FulfilmentView>> {
    let parcels = service::list(&ctx, order).await?;
    Ok(List(Page { items: parcels.into_iter().map(FulfilmentView::of).collect(), next_cursor: None, total: None }))
}

/// What to change about a parcel.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"tracking": "00340434161094042557"}))]
struct FulfilmentPatchBody {
    /// Who carries it.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<String>, max_length = 64)]
    carrier: Option<Option<String>>,
    /// Under which number.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<String>, max_length = 190)]
    tracking: Option<Option<String>>,
}

/// Tells a member that is null from one that is absent.
fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Option<String>>, D::Error> {
    Option::<String>::deserialize(deserializer).map(Some)
}

async fn update(
    ctx: Ctx,
    if_match: IfMatch,
    Path(id): Path<Id<Fulfilment>>,
    Body(patch): Body<FulfilmentPatchBody>,
) -> Result<Etag<Json<FulfilmentView>>> {
    let patch = FulfilmentPatch { carrier: patch.carrier.map(filled), tracking: patch.tracking.map(filled) };
    service::update(&ctx, id, if_match, patch).await.map(with_etag)
}

async fn ship(ctx: Ctx, Path(id): Path<Id<Fulfilment>>) -> Result<Etag<Json<FulfilmentView>>> {
    service::ship(&ctx, id).await.map(with_etag)
}

async fn deliver(ctx: Ctx, Path(id): Path<Id<Fulfilment>>) -> Result<Etag<Json<FulfilmentView>>> {
    service::deliver(&ctx, id).await.map(with_etag)
}

async fn cancel(ctx: Ctx, Path(id): Path<Id<Fulfilment>>) -> Result<Etag<Json<FulfilmentView>>> {
    service::cancel(&ctx, id).await.map(with_etag)
}
