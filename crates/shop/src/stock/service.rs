//! The verbs of stock. Those of an order's life run inside the transaction of their caller.

use std::collections::BTreeMap;

use kernel::error::{ALREADY_EXISTS, INVALID_STATE, NOT_FOUND};
use kernel::page::{CursorValue, KeyKind, Keyset, Page, PageRequest, SortKey};
use kernel::{AuditEntry, Ctx, Error, Id, Result, Timestamp, Tx};
use serde_json::json;

use crate::events::{StockAdjusted, VariantLowStock};
use crate::ids::{Fulfilment, Item, Location, Order, OrderLine, Refund};
use crate::locations;
use crate::permissions::{ADJUST_STOCK, READ_STOCK};
use crate::problems::{OUT_OF_STOCK, STOCK_RESERVED};
use crate::settings::ShopRules;
use crate::stock::store::{self, LevelRow, NewMovement};
pub(crate) use crate::stock::store::{MovementRow as Moved, StockFilter as StockQuery, StockRow as Level};
use crate::stock::{Demand, Reservation, ReservationState, summed};

/// Promises the units of an order, from one location if possible, else from several (INV-S1, INV-S9).
///
/// Fails with `out_of_stock` and what is available, before anything else of the order is written. A committed reservation has
/// no `expires_at`: orders that are confirmed at once.
pub fn reserve(
    tx: &mut Tx<'_, '_>,
    ctx: &Ctx,
    order: Id<Order>,
    demand: &[Demand],
    expires_at: Option<Timestamp>,
) -> Result<Vec<Reservation>> {
    let demand = summed(demand.iter().copied().filter(|demand| demand.quantity > 0));
    if demand.is_empty() {
        return Ok(Vec::new());
    }
    let items: Vec<Id<Item>> = demand.iter().map(|demand| demand.item_id).collect();
    let levels = store::lock_levels(tx, &items)?;
    let plan = plan(&demand, &levels, ShopRules::of(&ctx.app).split_shipments).ok_or_else(|| out_of_stock(&demand, &levels))?;
    let state = if expires_at.is_some() { ReservationState::Held } else { ReservationState::Committed };
    let mut reservations = Vec::with_capacity(plan.len());
    for ((item_id, location_id), quantity) in plan {
        // The rows are locked, so that this decides what was planned; it still decides by itself.
        if !store::reserve(tx, item_id, location_id, quantity, ctx.now())? {
            return Err(out_of_stock(&demand, &levels));
        }
        let reservation = Reservation { id: ctx.new_id(), order_id: order, item_id, location_id, quantity, state, expires_at };
        store::insert_reservation(tx, &reservation, ctx.now())?;
        reservations.push(reservation);
    }
    tell_low_stock(tx, &demand, &levels)?;
    Ok(reservations)
}

/// How many units to take from where, in the order of the rows; nothing when there are too few.
type Plan = BTreeMap<(Id<Item>, Id<Location>), i64>;

fn plan(demand: &[Demand], levels: &[LevelRow], may_split: bool) -> Option<Plan> {
    let mut places: Vec<(i64, Id<Location>)> =
        levels.iter().filter_map(|level| level.priority.map(|priority| (priority, level.location_id))).collect();
    places.sort_unstable();
    places.dedup();
    let left = |item: Id<Item>, place: Id<Location>| {
        levels.iter().find(|level| level.item_id == item && level.location_id == place).map_or(0, |level| level.available().max(0))
    };
    let whole = places.iter().find(|(_, place)| demand.iter().all(|demand| left(demand.item_id, *place) >= demand.quantity));
    if let Some((_, place)) = whole {
        return Some(demand.iter().map(|demand| ((demand.item_id, *place), demand.quantity)).collect());
    }
    if !may_split {
        return None;
    }
    let mut plan = Plan::new();
    for Demand { item_id, quantity } in demand {
        let mut missing = *quantity;
        for (_, place) in &places {
            let take = left(*item_id, *place).min(missing);
            if take > 0 {
                plan.insert((*item_id, *place), take);
                missing -= take;
            }
        }
        if missing > 0 {
            return None;
        }
    }
    Some(plan)
}

fn out_of_stock(demand: &[Demand], levels: &[LevelRow]) -> Error {
    let available = |item: Id<Item>| -> i64 {
        levels.iter().filter(|level| level.item_id == item && level.priority.is_some()).map(|level| level.available().max(0)).sum()
    };
    let lines: Vec<_> = demand
        .iter()
        .map(|demand| (demand, available(demand.item_id)))
        .map(|(demand, left)| json!({ "item_id": demand.item_id, "requested": demand.quantity, "available": left }))
        .collect();
    OUT_OF_STOCK.error().with_member("lines", lines)
}

/// Tells once, when an order takes an item to its threshold.
fn tell_low_stock(tx: &mut Tx<'_, '_>, demand: &[Demand], levels: &[LevelRow]) -> Result<()> {
    for Demand { item_id, quantity } in demand {
        let before: i64 =
            levels.iter().filter(|level| level.item_id == *item_id && level.priority.is_some()).map(LevelRow::available).sum();
        // Thresholds are small: whoever is far from any need not be looked up.
        if before - quantity > LOW_STOCK_MAX {
            continue;
        }
        let (available, threshold) = store::left_of(tx, *item_id)?;
        if threshold.is_some_and(|threshold| available <= threshold && available + quantity > threshold) {
            tx.record(&VariantLowStock { item_id: item_id.uuid(), available })?;
        }
    }
    Ok(())
}

/// The highest threshold for "little is left".
pub(crate) const LOW_STOCK_MAX: i64 = 1_000;

/// Keeps what an order holds for good: it is paid (INV-S8).
pub fn commit_reservations(tx: &mut Tx<'_, '_>, order: Id<Order>) -> Result<()> {
    store::commit_reservations(tx, order)?;
    Ok(())
}

/// Gives back whatever an order still holds, each part exactly once (INV-S5, INV-S6).
pub fn release(tx: &mut Tx<'_, '_>, order: Id<Order>, now: Timestamp) -> Result<()> {
    for held in store::reservations(tx, order)?.iter().filter(|reservation| reservation.state.is_live()) {
        // What lies there is locked first, as everywhere, so that nobody waits in a circle.
        store::lock_level(tx, held.item_id, held.location_id)?;
    }
    // Read again: somebody may have handed units over while the locks were waited for.
    for held in store::reservations(tx, order)?.iter().filter(|reservation| reservation.state.is_live()) {
        let is_first = store::close_reservation(tx, held.id, now)?;
        if is_first && !store::unreserve(tx, held.item_id, held.location_id, held.quantity, now)? {
            return Err(Error::internal(format!("the reservation {} is larger than what is reserved", held.id)));
        }
    }
    Ok(())
}

/// Hands units of an order over: the movement, what lies there and what is held change together (INV-S8).
///
/// The same line, item and place of one fulfilment is handed over once, however often this is called.
#[expect(clippy::too_many_arguments, reason = "one unit of work with eight facts, each of another type")]
pub fn fulfil(
    tx: &mut Tx<'_, '_>,
    ctx: &Ctx,
    order: Id<Order>,
    line: Id<OrderLine>,
    item_id: Id<Item>,
    location_id: Id<Location>,
    quantity: i64,
    fulfilment: Id<Fulfilment>,
) -> Result<()> {
    store::lock_level(tx, item_id, location_id)?;
    let movement = NewMovement {
        id: ctx.new_id(),
        item_id,
        location_id,
        quantity: -quantity,
        kind: "fulfilment",
        order_line_id: Some(line),
        source_id: Some(fulfilment.uuid()),
        reason: None,
        actor: &ctx.actor.label(),
    };
    if !store::insert_movement(tx, &movement, ctx.now())? {
        return Ok(());
    }
    let mut missing = quantity;
    for held in store::reservations(tx, order)? {
        let fits = held.item_id == item_id && held.location_id == location_id && held.state == ReservationState::Committed;
        let take = if fits { held.quantity.min(missing) } else { 0 };
        if take > 0 && store::draw_reservation(tx, held.id, take, ctx.now())? {
            missing -= take;
        }
    }
    if missing > 0 {
        return Err(INVALID_STATE.because("The order does not hold so many units there.").with_member("location_id", json!(location_id)));
    }
    if !store::hand_over(tx, item_id, location_id, quantity, ctx.now())? {
        let on_hand = store::find_level(tx, item_id, location_id)?.map_or(0, |level| level.on_hand);
        let lines = json!([{ "item_id": item_id, "requested": quantity, "available": on_hand }]);
        return Err(OUT_OF_STOCK.because("So many units do not lie there yet.").with_member("lines", lines));
    }
    Ok(())
}

/// Puts returned units back on the shelf; once per line, item, place and refund.
pub fn restock(
    tx: &mut Tx<'_, '_>,
    ctx: &Ctx,
    line: Id<OrderLine>,
    item_id: Id<Item>,
    location_id: Id<Location>,
    quantity: i64,
    refund: Id<Refund>,
) -> Result<()> {
    store::ensure_level(tx, item_id, location_id, ctx.now())?;
    store::lock_level(tx, item_id, location_id)?;
    let movement = NewMovement {
        id: ctx.new_id(),
        item_id,
        location_id,
        quantity,
        kind: "restock",
        order_line_id: Some(line),
        source_id: Some(refund.uuid()),
        reason: None,
        actor: &ctx.actor.label(),
    };
    if store::insert_movement(tx, &movement, ctx.now())? {
        store::adjust(tx, item_id, location_id, quantity, ctx.now())?;
    }
    Ok(())
}

/// What an order holds or held.
pub fn reservations(c: &mut db::Conn, order: Id<Order>) -> Result<Vec<Reservation>> {
    Ok(store::reservations(c, order)?)
}

/// A correction of what lies somewhere.
#[derive(Clone, Debug)]
pub(crate) struct Adjustment {
    pub(crate) item_id: Id<Item>,
    pub(crate) location_id: Id<Location>,
    pub(crate) quantity: i64,
    pub(crate) reason: String,
    pub(crate) backorder_limit: Option<i64>,
    pub(crate) low_stock_at: Option<i64>,
}

/// Corrects what lies somewhere; the only way beside orders (INV-S8).
pub(crate) async fn adjust(ctx: &Ctx, adjustment: Adjustment) -> Result<Level> {
    ctx.actor.require(&ADJUST_STOCK)?;
    let context = ctx.clone();
    ctx.write(move |tx| {
        if !store::has_item(tx, adjustment.item_id)? || !locations::store::is_known(tx, adjustment.location_id)? {
            return Err(NOT_FOUND.error());
        }
        apply_adjustment(tx, &context, &adjustment)?;
        store::find_stock(tx, adjustment.item_id, adjustment.location_id)?.ok_or_else(|| NOT_FOUND.error())
    })
    .await
}

/// The same inside a transaction of the caller, who has made sure that item and location exist.
pub(crate) fn apply_adjustment(tx: &mut Tx<'_, '_>, ctx: &Ctx, adjustment: &Adjustment) -> Result<()> {
    let Adjustment { item_id, location_id, quantity, .. } = *adjustment;
    let now = ctx.now();
    store::ensure_level(tx, item_id, location_id, now)?;
    store::lock_level(tx, item_id, location_id)?;
    if let Some(limit) = adjustment.backorder_limit
        && !store::set_backorder_limit(tx, item_id, location_id, limit, now)?
    {
        return Err(stock_reserved(tx, item_id, location_id)?);
    }
    if adjustment.low_stock_at.is_some() {
        store::set_low_stock_at(tx, item_id, adjustment.low_stock_at)?;
    }
    if quantity != 0 {
        if !store::adjust(tx, item_id, location_id, quantity, now)? {
            return Err(stock_reserved(tx, item_id, location_id)?);
        }
        let movement = NewMovement {
            id: ctx.new_id(),
            item_id,
            location_id,
            quantity,
            kind: "adjustment",
            order_line_id: None,
            source_id: None,
            reason: Some(&adjustment.reason),
            actor: &ctx.actor.label(),
        };
        if !store::insert_movement(tx, &movement, now)? {
            return Err(ALREADY_EXISTS.error());
        }
    }
    let level = store::find_level(tx, item_id, location_id)?.ok_or(&NOT_FOUND)?;
    tx.record(&StockAdjusted { item_id: item_id.uuid(), location_id: location_id.uuid(), quantity, on_hand: level.on_hand })?;
    let detail = json!({ "location_id": location_id, "quantity": quantity, "on_hand": level.on_hand });
    tx.audit(AuditEntry::ok("shop.stock.adjust", &format!("item:{item_id}")).with_detail(detail))
}

fn stock_reserved(tx: &mut Tx<'_, '_>, item: Id<Item>, location: Id<Location>) -> Result<Error> {
    let orders = store::holders(tx, item, location)?;
    let level = store::find_level(tx, item, location)?;
    let (on_hand, reserved) = level.map_or((0, 0), |level| (level.on_hand, level.reserved));
    let error = STOCK_RESERVED.error().with_member("orders", json!(orders));
    Ok(error.with_member("on_hand", on_hand).with_member("reserved", reserved))
}

const BY_LEVEL: &[SortKey] = &[SortKey { name: "item_id", column: "l.item_id", kind: KeyKind::Bytes }];
const BY_TIME: &[SortKey] = &[SortKey { name: "created_at", column: "at", kind: KeyKind::Int }];
const BY_ID: &[SortKey] = &[SortKey { name: "id", column: "id", kind: KeyKind::Id }];

/// What lies where.
pub(crate) async fn list(ctx: &Ctx, filter: StockQuery, request: PageRequest) -> Result<Page<Level>> {
    ctx.actor.require(&READ_STOCK)?;
    let narrowed = format!("{:?} {:?} {:?}", filter.item_id, filter.location_id, filter.variant_id);
    let keyset = Keyset::parse(ctx, BY_LEVEL, "item_id", None, "listStock", &narrowed, &request)?.with_id_column("l.location_id");
    let reader = keyset.clone();
    let rows = ctx.read(move |c| Ok(store::list(c, &filter, &reader)?)).await?;
    Ok(keyset.page(ctx, rows, |row| (CursorValue::Bytes(row.item_id.uuid().as_bytes().to_vec()), row.location_id.uuid())))
}

/// The movements of an item, newest first.
pub(crate) async fn movements(ctx: &Ctx, item: Id<Item>, request: PageRequest) -> Result<Page<Moved>> {
    ctx.actor.require(&READ_STOCK)?;
    let keyset = Keyset::parse(ctx, BY_TIME, "-created_at", None, "listStockMovements", &item.to_string(), &request)?;
    let reader = keyset.clone();
    let rows =
        ctx.read(move |c| if store::has_item(c, item)? { Ok(store::movements(c, item, &reader)?) } else { Err(NOT_FOUND.error()) }).await?;
    Ok(keyset.page(ctx, rows, |row| (CursorValue::Int(row.at.as_millis()), row.id.uuid())))
}

/// What orders hold, all of it or of one item.
pub(crate) async fn live_reservations(ctx: &Ctx, item: Option<Id<Item>>, request: PageRequest) -> Result<Page<Reservation>> {
    ctx.actor.require(&READ_STOCK)?;
    let keyset = Keyset::parse(ctx, BY_ID, "id", None, "listReservations", &format!("{item:?}"), &request)?;
    let reader = keyset.clone();
    let rows = ctx.read(move |c| Ok(store::live_reservations(c, item, &reader)?)).await?;
    Ok(keyset.page(ctx, rows, |row| (CursorValue::Null, row.id.uuid())))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn level(item: u128, place: u128, on_hand: i64, reserved: i64, priority: Option<i64>) -> LevelRow {
        LevelRow { item_id: id(item), location_id: id(place), on_hand, reserved, backorder_limit: 0, priority }
    }

    fn id<T>(number: u128) -> Id<T> {
        Id::from_uuid(uuid::Uuid::from_u128(number))
    }

    fn demand(pairs: &[(u128, i64)]) -> Vec<Demand> {
        pairs.iter().map(|(item, quantity)| Demand { item_id: id(*item), quantity: *quantity }).collect()
    }

    #[test]
    fn inv_s9_one_location_serves_the_whole_order_if_it_can() {
        let levels = [level(1, 1, 5, 0, Some(1)), level(1, 2, 9, 0, Some(2)), level(2, 1, 0, 0, Some(1)), level(2, 2, 3, 0, Some(2))];
        let plan = plan(&demand(&[(1, 4), (2, 2)]), &levels, true).unwrap();
        assert_eq!(plan.into_iter().collect::<Vec<_>>(), [((id(1), id(2)), 4), ((id(2), id(2)), 2)]);
    }

    #[test]
    fn inv_s9_an_order_is_split_by_priority_only_where_that_is_allowed() {
        let levels = [level(1, 1, 5, 2, Some(9)), level(1, 2, 4, 0, Some(2)), level(1, 3, 100, 0, None)];
        let wanted = demand(&[(1, 6)]);
        let split = plan(&wanted, &levels, true).unwrap();
        assert_eq!(split.into_iter().collect::<Vec<_>>(), [((id(1), id(1)), 2), ((id(1), id(2)), 4)]);
        assert_eq!(plan(&wanted, &levels, false), None);
        assert_eq!(plan(&demand(&[(1, 8)]), &levels, true), None, "a closed location serves nobody");
    }

    #[test]
    fn inv_s3_demand_is_summed_per_item() {
        assert_eq!(summed(demand(&[(2, 1), (1, 2), (2, 3)])), demand(&[(1, 2), (2, 4)]));
    }
}
