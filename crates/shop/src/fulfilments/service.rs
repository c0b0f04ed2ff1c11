//! The verbs of parcels.

use std::collections::BTreeMap;

use kernel::error::{INVALID_STATE, NOT_FOUND};
use kernel::http::IfMatch;
use kernel::{AuditEntry, Ctx, Error, FieldError, Id, Result, Tx};
use serde_json::json;

use crate::fulfilments::{FulfilmentRecord, FulfilmentState, Packed, store};
use crate::ids::{Fulfilment, Location, Order, OrderLine};
use crate::mails::{self, MailKind};
use crate::order_events::{FulfilmentCanceled, FulfilmentCreated, FulfilmentDelivered, FulfilmentShipped};
use crate::orders::store::LineChange;
use crate::orders::{self, FulfilmentStatus, LineRecord, OrderRecord, OrderStatus};
use crate::selling_problems::FULFILMENT_EXCEEDS_LINE;
use crate::stock;

/// What is to be packed.
#[derive(Clone, Debug)]
pub(crate) struct NewFulfilment {
    pub(crate) location_id: Id<Location>,
    pub(crate) lines: Vec<(Id<OrderLine>, i64)>,
    pub(crate) carrier: Option<String>,
    pub(crate) tracking: Option<String>,
}

/// Packs units of an order that is certain.
pub(crate) async fn create(ctx: &Ctx, order: Id<Order>, new: NewFulfilment) -> Result<Packed> {
    let context = ctx.clone();
    ctx.write(move |tx| {
        let order = orders::store::lock(tx, order)?.ok_or(&NOT_FOUND)?;
        if order.status() != OrderStatus::Confirmed {
            return Err(orders::service::invalid_state(&order));
        }
        if !store::has_location(tx, new.location_id)? {
            return Err(Error::invalid(vec![FieldError::body("/location_id", "unknown_reference", "There is no such location.")]));
        }
        let lines = units_of(&orders::store::lines(tx, order.id)?, &new.lines)?;
        let parcel = FulfilmentRecord {
            id: context.new_id(),
            order_id: order.id,
            location_id: new.location_id,
            state: FulfilmentState::Created.as_str().to_owned(),
            carrier: new.carrier.clone(),
            tracking: new.tracking.clone(),
            shipped_at: None,
            delivered_at: None,
            created_at: context.now(),
            updated_at: context.now(),
            version: 1,
        };
        store::insert(tx, &parcel)?;
        for (line, quantity) in &lines {
            store::insert_line(tx, parcel.id, *line, *quantity)?;
            orders::store::change_line(tx, *line, LineChange { allocated: *quantity, ..LineChange::NONE })?;
        }
        orders::service::note(tx, &context, &order, "fulfilment_created", None, Some(json!({ "fulfilment_id": parcel.id })))?;
        tx.record(&FulfilmentCreated { fulfilment_id: parcel.id.uuid(), order_id: order.id.uuid() })?;
        Ok((parcel, lines))
    })
    .await
}

/// The units per line that are to be packed, each checked against what no parcel has yet.
fn units_of(lines: &[LineRecord], wanted: &[(Id<OrderLine>, i64)]) -> Result<Vec<(Id<OrderLine>, i64)>> {
    let mut sums: BTreeMap<Id<OrderLine>, (usize, i64)> = BTreeMap::new();
    for (index, (line, quantity)) in wanted.iter().enumerate() {
        let entry = sums.entry(*line).or_insert((index, 0));
        entry.1 = entry.1.saturating_add(*quantity);
    }
    let mut errors = Vec::new();
    for (id, (index, quantity)) in &sums {
        match lines.iter().find(|line| line.id == *id) {
            None => errors.push(FieldError::body(format!("/lines/{index}/line_id"), "unknown_reference", "The order has no such line.")),
            Some(line) if *quantity > line.to_allocate() => {
                let left = line.to_allocate();
                errors.push(FieldError::body(
                    format!("/lines/{index}/quantity"),
                    "out_of_range",
                    format!("At most {left} units are left."),
                ));
            }
            Some(_) => {}
        }
    }
    match errors.is_empty() {
        true => Ok(sums.into_iter().map(|(line, (_, quantity))| (line, quantity)).collect()),
        false => Err(errors.into_iter().fold(FULFILMENT_EXCEEDS_LINE.error(), Error::with_field)),
    }
}

/// Reads a parcel whose order is locked first, as everywhere.
fn lock(tx: &mut Tx<'_, '_>, id: Id<Fulfilment>) -> Result<(OrderRecord, FulfilmentRecord)> {
    let order = store::find(tx, id)?.ok_or(&NOT_FOUND)?.order_id;
    let order = orders::store::lock(tx, order)?.ok_or(&NOT_FOUND)?;
    // Read again: it may have changed while the order was waited for.
    let parcel = store::find(tx, id)?.ok_or(&NOT_FOUND)?;
    Ok((order, parcel))
}

fn save(tx: &mut Tx<'_, '_>, ctx: &Ctx, parcel: &mut FulfilmentRecord) -> Result<()> {
    parcel.updated_at = ctx.now();
    if !store::save(tx, parcel)? {
        return Err(Error::internal("a parcel of a locked order was changed by somebody else"));
    }
    parcel.version += 1;
    Ok(())
}

fn require_state(parcel: &FulfilmentRecord, from: FulfilmentState, allowed: &[&str]) -> Result<()> {
    if parcel.state() == from {
        return Ok(());
    }
    Err(INVALID_STATE.error().with_member("current_state", parcel.state.clone()).with_member("allowed", json!(allowed)))
}

/// Lets a parcel leave the house: its units go off the shelf and off what the order holds, together and once (INV-S8).
pub(crate) async fn ship(ctx: &Ctx, id: Id<Fulfilment>) -> Result<Packed> {
    let context = ctx.clone();
    ctx.write(move |tx| {
        let (mut order, mut parcel) = lock(tx, id)?;
        require_state(&parcel, FulfilmentState::Created, &["created"])?;
        if order.status() != OrderStatus::Confirmed {
            return Err(orders::service::invalid_state(&order));
        }
        let lines = store::lines(tx, id)?;
        let records = orders::store::lines(tx, order.id)?;
        for (line, quantity) in &lines {
            let demand = records.iter().find(|record| record.id == *line).map(LineRecord::demand).unwrap_or_default();
            for part in demand {
                stock::fulfil(tx, &context, order.id, *line, part.item_id, parcel.location_id, part.quantity * quantity, id)?;
            }
            orders::store::change_line(tx, *line, LineChange { fulfilled: *quantity, ..LineChange::NONE })?;
        }
        parcel.state = FulfilmentState::Shipped.as_str().to_owned();
        parcel.shipped_at = Some(context.now());
        save(tx, &context, &mut parcel)?;
        let records = orders::store::lines(tx, order.id)?;
        FulfilmentStatus::of(&records).as_str().clone_into(&mut order.fulfilment_status);
        orders::service::save(tx, &context, &mut order, "shipped", None, Some(json!({ "fulfilment_id": id })))?;
        tx.record(&FulfilmentShipped { fulfilment_id: id.uuid(), order_id: order.id.uuid() })?;
        tx.audit(AuditEntry::ok("shop.fulfilment.ship", &format!("order:{}", order.id)))?;
        mails::queue(tx, &context, order.id, MailKind::Shipped, Some(id.uuid()))?;
        Ok((parcel, lines))
    })
    .await
}

/// Notes that a parcel has arrived.
pub(crate) async fn deliver(ctx: &Ctx, id: Id<Fulfilment>) -> Result<Packed> {
    let context = ctx.clone();
    ctx.write(move |tx| {
        let (order, mut parcel) = lock(tx, id)?;
        require_state(&parcel, FulfilmentState::Shipped, &["shipped"])?;
        parcel.state = FulfilmentState::Delivered.as_str().to_owned();
        parcel.delivered_at = Some(context.now());
        save(tx, &context, &mut parcel)?;
        orders::service::note(tx, &context, &order, "delivered", None, Some(json!({ "fulfilment_id": id })))?;
        tx.record(&FulfilmentDelivered { fulfilment_id: id.uuid(), order_id: order.id.uuid() })?;
        Ok((parcel, store::lines(tx, id)?))
    })
    .await
}

/// Unpacks a parcel that has not left.
pub(crate) async fn cancel(ctx: &Ctx, id: Id<Fulfilment>) -> Result<Packed> {
    let context = ctx.clone();
    ctx.write(move |tx| {
        let (order, mut parcel) = lock(tx, id)?;
        require_state(&parcel, FulfilmentState::Created, &["created"])?;
        parcel.state = FulfilmentState::Canceled.as_str().to_owned();
        save(tx, &context, &mut parcel)?;
        let lines = store::lines(tx, id)?;
        for (line, quantity) in &lines {
            orders::store::change_line(tx, *line, LineChange { allocated: -*quantity, ..LineChange::NONE })?;
        }
        orders::service::note(tx, &context, &order, "fulfilment_canceled", None, Some(json!({ "fulfilment_id": id })))?;
        tx.record(&FulfilmentCanceled { fulfilment_id: id.uuid(), order_id: order.id.uuid() })?;
        Ok((parcel, lines))
    })
    .await
}

/// What staff changes about a parcel; absent means unchanged.
#[derive(Clone, Debug, Default)]
pub(crate) struct FulfilmentPatch {
    pub(crate) carrier: Option<Option<String>>,
    pub(crate) tracking: Option<Option<String>>,
}

/// Changes carrier and tracking of a parcel.
pub(crate) async fn update(ctx: &Ctx, id: Id<Fulfilment>, if_match: IfMatch, patch: FulfilmentPatch) -> Result<Packed> {
    let context = ctx.clone();
    ctx.write(move |tx| {
        let (_, mut parcel) = lock(tx, id)?;
        if_match.expected(parcel.version)?;
        if parcel.state() == FulfilmentState::Canceled {
            require_state(&parcel, FulfilmentState::Created, &["created", "shipped", "delivered"])?;
        }
        parcel.carrier = patch.carrier.clone().unwrap_or_else(|| parcel.carrier.clone());
        parcel.tracking = patch.tracking.clone().unwrap_or_else(|| parcel.tracking.clone());
        save(tx, &context, &mut parcel)?;
        Ok((parcel, store::lines(tx, id)?))
    })
    .await
}

/// The parcels of an order.
pub(crate) async fn list(ctx: &Ctx, order: Id<Order>) -> Result<Vec<Packed>> {
    ctx.read(move |c| {
        orders::store::find(c, order)?.ok_or(&NOT_FOUND)?;
        let lines = store::lines_of_order(c, order)?;
        let of =
            |id: Id<Fulfilment>| lines.iter().filter(|(parcel, ..)| *parcel == id).map(|(_, line, quantity)| (*line, *quantity)).collect();
        Ok(store::of_order(c, order)?.into_iter().map(|parcel| (parcel.clone(), of(parcel.id))).collect())
    })
    .await
}
