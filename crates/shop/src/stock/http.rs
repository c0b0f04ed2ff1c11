//! Stock over HTTP, for staff.

use kernel::error::{CURSOR_INVALID, NOT_FOUND};
use kernel::http::{Body, Json, List, Operation, Path, Query};
use kernel::page::PageRequest;
use kernel::{Ctx, Id, Result, Timestamp};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::ids::{Item, Location, Movement, Order, OrderLine, Reservation as ReservationId, Variant};
use crate::permissions::{ADJUST_STOCK, READ_STOCK};
use crate::problems::STOCK_RESERVED;
use crate::resources::http::ShopPage;
use crate::stock::service::{self, Adjustment, Level, Moved, StockQuery};
use crate::stock::{Reservation, ReservationState};

pub(crate) fn operations() -> [Operation; 4] {
    [
        Operation::get("/api/v1/shop/stock", "listStock", list)
            .tag("Stock")
            .summary("List what lies where")
            .describe("One entry for each item and location, by item.")
            .raises(&[&CURSOR_INVALID])
            .requires(&READ_STOCK),
        Operation::get("/api/v1/shop/stock/{item_id}/movements", "listStockMovements", movements)
            .tag("Stock")
            .summary("List the movements of an item")
            .describe("Newest first. What lies somewhere is the sum of its movements.")
            .raises(&[&CURSOR_INVALID])
            .requires(&READ_STOCK),
        Operation::post("/api/v1/shop/stock/adjustments", "adjustStock", adjust)
            .tag("Stock")
            .summary("Correct what lies somewhere")
            .describe("The one way to change stock by hand. What orders hold cannot be taken away.")
            .raises(&[&NOT_FOUND, &STOCK_RESERVED])
            .requires(&ADJUST_STOCK),
        Operation::get("/api/v1/shop/reservations", "listReservations", reservations)
            .tag("Stock")
            .summary("List what orders hold")
            .describe("Reservations that still count, oldest first.")
            .raises(&[&CURSOR_INVALID])
            .requires(&READ_STOCK),
    ]
}

/// What lies of an item in one place.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({
    "item_id": "019ab0b2-8f00-7000-8000-000000000001", "name": "Shirt – M", "sku": "SHIRT-M",
    "location_id": "019ab0b2-8f00-7000-8000-000000000002", "location_code": "main", "on_hand": 12, "reserved": 2, "backorder_limit": 0,
    "available": 10, "updated_at": "2026-11-22T12:00:00.000Z"
}))]
struct StockLevelView {
    /// The kind of thing.
    #[schema(value_type = uuid::Uuid)]
    item_id: Id<Item>,
    /// What people call it.
    name: String,
    /// The stock keeping unit it was made for.
    sku: Option<String>,
    /// The place.
    #[schema(value_type = uuid::Uuid)]
    location_id: Id<Location>,
    /// The code of the place.
    location_code: String,
    /// How many units lie there.
    on_hand: i64,
    /// How many of them orders hold.
    reserved: i64,
    /// How many units may be promised beyond what lies there.
    backorder_limit: i64,
    /// How many units can still be promised.
    available: i64,
    /// When it last changed.
    updated_at: Timestamp,
}

impl From<Level> for StockLevelView {
    fn from(level: Level) -> StockLevelView {
        StockLevelView {
            item_id: level.item_id,
            name: level.name,
            sku: level.sku,
            location_id: level.location_id,
            location_code: level.location_code,
            on_hand: level.on_hand,
            reserved: level.reserved,
            backorder_limit: level.backorder_limit,
            available: level.on_hand.saturating_add(level.backorder_limit) - level.reserved,
            updated_at: level.updated_at,
        }
    }
}

/// Which levels to list.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct StockFilter {
    /// Only this item.
    #[schema(value_type = Option<uuid::Uuid>)]
    item_id: Option<Id<Item>>,
    /// Only this place.
    #[schema(value_type = Option<uuid::Uuid>)]
    location_id: Option<Id<Location>>,
    /// Only what this variant is made of.
    #[schema(value_type = Option<uuid::Uuid>)]
    variant_id: Option<Id<Variant>>,
    /// How many levels a page holds, 1 to 100.
    #[schema(minimum = 1)]
    limit: Option<u32>,
    /// Where the page before ended.
    #[schema(max_length = 1024)]
    cursor: Option<String>,
}

async fn list(ctx: Ctx, Query(filter): Query<StockFilter>) -> Result<List<StockLevelView>> {
    let query = StockQuery { item_id: filter.item_id, location_id: filter.location_id, variant_id: filter.variant_id };
    let page = service::list(&ctx, query, PageRequest::new(filter.limit, filter.cursor)).await?;
    Ok(List(page.map(StockLevelView::from)))
}

/// One change of what lies somewhere.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({
    "id": "019ab0b2-8f00-7000-8000-000000000003", "item_id": "019ab0b2-8f00-7000-8000-000000000001",
    "location_id": "019ab0b2-8f00-7000-8000-000000000002", "quantity": 12, "kind": "adjustment", "order_line_id": null,
    "reason": "Delivery 4711", "actor": "system", "created_at": "2026-11-22T12:00:00.000Z"
}))]
struct StockMovementView {
    /// The movement.
    #[schema(value_type = uuid::Uuid)]
    id: Id<Movement>,
    /// The kind of thing.
    #[schema(value_type = uuid::Uuid)]
    item_id: Id<Item>,
    /// The place.
    #[schema(value_type = uuid::Uuid)]
    location_id: Id<Location>,
    /// By how many units; below zero when they went away.
    quantity: i64,
    /// `adjustment`, `fulfilment` or `restock`.
    kind: String,
    /// The line of the order that it was for.
    #[schema(value_type = Option<uuid::Uuid>)]
    order_line_id: Option<Id<OrderLine>>,
    /// Why, where a person did it.
    reason: Option<String>,
    /// Who did it.
    actor: String,
    /// When.
    created_at: Timestamp,
}

impl From<Moved> for StockMovementView {
    fn from(row: Moved) -> StockMovementView {
        StockMovementView {
            id: row.id,
            item_id: row.item_id,
            location_id: row.location_id,
            quantity: row.quantity,
            kind: row.kind,
            order_line_id: row.order_line_id,
            reason: row.reason,
            actor: row.actor,
            created_at: row.at,
        }
    }
}

async fn movements(ctx: Ctx, Path(item): Path<Id<Item>>, Query(page): Query<ShopPage>) -> Result<List<StockMovementView>> {
    Ok(List(service::movements(&ctx, item, page.into()).await?.map(StockMovementView::from)))
}

/// A correction.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({
    "item_id": "019ab0b2-8f00-7000-8000-000000000001", "location_id": "019ab0b2-8f00-7000-8000-000000000002", "quantity": 12,
    "reason": "Delivery 4711"
}))]
struct NewStockAdjustment {
    /// The kind of thing.
    #[schema(value_type = uuid::Uuid)]
    item_id: Id<Item>,
    /// The place.
    #[schema(value_type = uuid::Uuid)]
    location_id: Id<Location>,
    /// By how many units; below zero to take some away.
    #[schema(minimum = -1000000000, maximum = 1000000000)]
    quantity: i64,
    /// Why.
    #[schema(min_length = 1, max_length = 255)]
    reason: String,
    /// How many units may be promised beyond what lies there from now on; unchanged when left out.
    #[schema(minimum = 0, maximum = 1000000000)]
    backorder_limit: Option<i64>,
    /// Tell when only so many units can still be promised; unchanged when left out.
    #[schema(minimum = 0, maximum = 1000)]
    low_stock_at: Option<i64>,
}

async fn adjust(ctx: Ctx, Body(new): Body<NewStockAdjustment>) -> Result<Json<StockLevelView>> {
    let adjustment = Adjustment {
        item_id: new.item_id,
        location_id: new.location_id,
        quantity: new.quantity,
        reason: new.reason,
        backorder_limit: new.backorder_limit,
        low_stock_at: new.low_stock_at,
    };
    Ok(Json(service::adjust(&ctx, adjustment).await?.into()))
}

/// A part of the stock that an order holds.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({
    "id": "019ab0b2-8f00-7000-8000-000000000004", "order_id": "019ab0b2-8f00-7000-8000-000000000005",
    "item_id": "019ab0b2-8f00-7000-8000-000000000001", "location_id": "019ab0b2-8f00-7000-8000-000000000002", "quantity": 2, "state": "held",
    "expires_at": "2026-11-22T12:30:00.000Z"
}))]
struct ReservationView {
    /// The reservation.
    #[schema(value_type = uuid::Uuid)]
    id: Id<ReservationId>,
    /// Whose it is.
    #[schema(value_type = uuid::Uuid)]
    order_id: Id<Order>,
    /// The kind of thing.
    #[schema(value_type = uuid::Uuid)]
    item_id: Id<Item>,
    /// The place.
    #[schema(value_type = uuid::Uuid)]
    location_id: Id<Location>,
    /// How many units are still to be handed over.
    quantity: i64,
    /// `held` while the order is being paid, `committed` afterwards.
    state: String,
    /// Until when it is held.
    expires_at: Option<Timestamp>,
}

impl From<Reservation> for ReservationView {
    fn from(reservation: Reservation) -> ReservationView {
        ReservationView {
            id: reservation.id,
            order_id: reservation.order_id,
            item_id: reservation.item_id,
            location_id: reservation.location_id,
            quantity: reservation.quantity,
            state: ReservationState::as_str(reservation.state).to_owned(),
            expires_at: reservation.expires_at,
        }
    }
}

/// Which reservations to list.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ReservationFilter {
    /// Only those of this item.
    #[schema(value_type = Option<uuid::Uuid>)]
    item_id: Option<Id<Item>>,
    /// How many reservations a page holds, 1 to 100.
    #[schema(minimum = 1)]
    limit: Option<u32>,
    /// Where the page before ended.
    #[schema(max_length = 1024)]
    cursor: Option<String>,
}

async fn reservations(ctx: Ctx, Query(filter): Query<ReservationFilter>) -> Result<List<ReservationView>> {
    let page = service::live_reservations(&ctx, filter.item_id, PageRequest::new(filter.limit, filter.cursor)).await?;
    Ok(List(page.map(ReservationView::from)))
}
