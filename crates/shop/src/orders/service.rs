//! The verbs of orders. Whoever changes one holds its row; [`save`] writes the row and a line of its log together (INV-O4).

use std::collections::BTreeMap;
use std::time::Duration;

use kernel::error::{INVALID_STATE, NOT_FOUND};
use kernel::http::IfMatch;
use kernel::page::{Page, PageRequest};
use kernel::{AuditEntry, Ctx, Error, Id, Permission, Result, Timestamp, Tx};
use serde_json::{Value, json};

use crate::ids::{Item, Order};
use crate::ledger;
use crate::mails::{self, MailKind};
use crate::order_events::{OrderCanceled, OrderCompleted, OrderConfirmed, OrderExpired, OrderPaid, OrderUpdated};
use crate::order_lists::TimeList;
use crate::orders::access::OrderAccess;
use crate::orders::attention::{self, Attention};
use crate::orders::store::{self, OrderFilter};
use crate::orders::{FulfilmentStatus, LineRecord, LogRow, MoneyFacts, OrderRecord, OrderStatus, PaymentStatus, WholeOrder};
use crate::payments::{self, PaymentRecord, PaymentState};
use crate::permissions::{CANCEL_ORDERS, MANAGE_ORDERS, READ_ORDERS};
use crate::problems::OUT_OF_STOCK;
use crate::stock::{self, Demand};
use crate::{promotions, refunds};

/// Reads an order with everything that belongs to it.
pub(crate) fn whole(c: &mut db::Conn, order: OrderRecord) -> Result<WholeOrder> {
    let id = order.id;
    let lines = store::lines(c, id)?;
    Ok(WholeOrder {
        order,
        lines: refunds::service::without_owed(c, id, lines)?,
        taxes: store::taxes(c, id)?,
        discounts: store::discounts(c, id)?,
        payments: payments::store::of_order(c, id)?,
    })
}

/// An order, for whoever may see it.
pub(crate) async fn get(ctx: &Ctx, id: Id<Order>, access: OrderAccess) -> Result<WholeOrder> {
    ctx.read(move |c| {
        let order = store::find(c, id)?.ok_or(&NOT_FOUND)?;
        access.require(&order)?;
        whole(c, order)
    })
    .await
}

/// Fails unless the caller is the buyer or has this permission.
pub(crate) async fn require_to_act(ctx: &Ctx, id: Id<Order>, access: OrderAccess, permission: &'static Permission) -> Result<()> {
    let order = ctx.read(move |c| store::find(c, id)?.ok_or_else(|| NOT_FOUND.error())).await?;
    access.require_to_act(ctx, &order, permission)
}

/// The caller's own orders; those of everybody for staff.
pub(crate) async fn list(ctx: &Ctx, status: Option<OrderStatus>, request: PageRequest) -> Result<Page<OrderRecord>> {
    let user_id = if ctx.actor.may(&READ_ORDERS) { None } else { Some(ctx.actor.user_id()?) };
    let filter = OrderFilter { user_id, status: status.map(OrderStatus::as_str) };
    let list = TimeList::new(ctx, "listOrders", filter.status.unwrap_or(""));
    let (after, limit) = (list.after(&request)?, request.limit);
    let rows = ctx.read(move |c| Ok(store::newest(c, &filter, after, limit + 1)?)).await?;
    Ok(list.page(rows, limit, |order| (order.placed_at, order.id)))
}

/// The log of an order, oldest first, whole: an order has few events.
pub(crate) async fn log(ctx: &Ctx, id: Id<Order>, access: OrderAccess) -> Result<Vec<LogRow>> {
    ctx.read(move |c| {
        let order = store::find(c, id)?.ok_or(&NOT_FOUND)?;
        access.require(&order)?;
        Ok(store::log(c, id, None, 500)?)
    })
    .await
}

/// Writes an order that is locked, and what happened to its log; what needs nobody's attention any more is taken off it.
pub(crate) fn save(
    tx: &mut Tx<'_, '_>,
    ctx: &Ctx,
    order: &mut OrderRecord,
    kind: &str,
    reason: Option<String>,
    detail: Option<Value>,
) -> Result<()> {
    attention::settle(tx, order)?;
    order.updated_at = ctx.now();
    if !store::save(tx, order)? {
        return Err(Error::internal("a locked order was changed by somebody else"));
    }
    order.version += 1;
    note(tx, ctx, order, kind, reason, detail)
}

/// Writes a line into the log of an order.
pub(crate) fn note(
    tx: &mut Tx<'_, '_>,
    ctx: &Ctx,
    order: &OrderRecord,
    kind: &str,
    reason: Option<String>,
    detail: Option<Value>,
) -> Result<()> {
    let row = LogRow {
        id: ctx.new_id(),
        kind: kind.to_owned(),
        status: order.status.clone(),
        payment_status: order.payment_status.clone(),
        fulfilment_status: order.fulfilment_status.clone(),
        actor: ctx.actor.label(),
        request_id: ctx.request.id.chars().take(64).collect(),
        reason,
        detail: detail.map(|detail| detail.to_string()),
        at: ctx.now(),
    };
    Ok(store::insert_log(tx, order.id, &row)?)
}

/// Asks for a person's attention to something that does not fit; the same thing is told once.
pub(crate) fn tell_mismatch(tx: &mut Tx<'_, '_>, ctx: &Ctx, order: &mut OrderRecord, reason: Attention, detail: Value) -> Result<()> {
    // Each look at a payment sees it again.
    if store::is_logged(tx, order.id, reason.as_str(), &detail.to_string())? {
        return Ok(());
    }
    tracing::error!(order = %order.id, "what the payment provider says about the order {} does not fit: {detail}", order.number);
    order.attention = Some(reason.as_str().to_owned());
    save(tx, ctx, order, reason.as_str(), None, Some(detail))
}

/// Notes that what the provider says about a payment fits again.
pub(crate) fn settle_mismatch(
    tx: &mut Tx<'_, '_>,
    ctx: &Ctx,
    order: &mut OrderRecord,
    reason: Attention,
    of: &PaymentRecord,
) -> Result<()> {
    if order.attention.as_deref() != Some(reason.as_str()) {
        return Ok(());
    }
    // It may be another payment that does not fit.
    let told = store::last_detail(tx, order.id, reason.as_str())?;
    if !told.is_some_and(|detail| detail.contains(&of.id.to_string())) {
        return Ok(());
    }
    attention::dismiss(tx, order)?;
    save(tx, ctx, order, "settled", None, Some(json!({ "attention": reason.as_str(), "payment_id": of.id })))
}

/// The order is in no state for this.
pub(crate) fn invalid_state(order: &OrderRecord) -> Error {
    let allowed: Vec<&str> = order.status().next().iter().map(|status| status.as_str()).collect();
    INVALID_STATE.error().with_member("current_state", order.status.clone()).with_member("allowed", json!(allowed))
}

/// Moves a locked order to another status, if that is allowed (INV-O1).
fn step(order: &mut OrderRecord, to: OrderStatus) -> Result<()> {
    if !order.status().next().contains(&to) {
        return Err(invalid_state(order));
    }
    to.as_str().clone_into(&mut order.status);
    Ok(())
}

/// What an order takes from the stock, summed per item (INV-S3).
pub(crate) fn demand_of(lines: &[LineRecord]) -> Vec<Demand> {
    let mut sums: BTreeMap<Id<Item>, i64> = BTreeMap::new();
    for line in lines {
        for demand in line.demand() {
            let sum = sums.entry(demand.item_id).or_default();
            *sum = sum.saturating_add(demand.quantity.saturating_mul(line.quantity));
        }
    }
    sums.into_iter().map(|(item_id, quantity)| Demand { item_id, quantity }).collect()
}

/// Lets an order follow one of its payments: confirmed by a promise, paid by money, and late money never an orphan (INV-P7).
pub(crate) fn follow_payment(
    tx: &mut Tx<'_, '_>,
    ctx: &Ctx,
    order: &mut OrderRecord,
    payment: &PaymentRecord,
    before: PaymentState,
) -> Result<()> {
    let has_new_money = refresh_money(tx, order)?;
    let is_promised = matches!(payment.state(), PaymentState::Authorized | PaymentState::Captured) && before != payment.state();
    let is_late_money = payment.state() == PaymentState::Captured && before != PaymentState::Captured;
    let mut kind = "payment_updated";
    match order.status() {
        OrderStatus::Pending if is_promised => {
            confirm(tx, ctx, order)?;
            kind = "confirmed";
        }
        OrderStatus::Expired if is_late_money => {
            kind = if hold_again(tx, ctx, order)? { "confirmed_late" } else { "paid_late" };
        }
        OrderStatus::Confirmed if has_lapsed(order, payment, before) => {
            await_another_payment(ctx, order);
            kind = "payment_lapsed";
        }
        _ => {}
    }
    // What has gone back, or is disputed, by the time we hear of it has been paid before.
    let is_certain = matches!(order.status(), OrderStatus::Confirmed | OrderStatus::Completed);
    let is_newly_paid = is_certain && order.paid_at.is_none() && order.captured > 0 && order.captured >= order.total;
    // One instant for both, however the clock moves between them.
    let is_paid_at_once = kind.starts_with("confirmed");
    if is_newly_paid {
        order.paid_at = if is_paid_at_once { order.confirmed_at } else { Some(ctx.now()) };
        order.expires_at = None;
    }
    if has_new_money || is_newly_paid || kind != "payment_updated" {
        save(tx, ctx, order, kind, None, Some(json!({ "payment_id": payment.id })))?;
    }
    if is_newly_paid {
        tx.record(&OrderPaid { order_id: order.id.uuid(), number: order.number.clone(), total: order.money(order.total) })?;
        // Who pays at once gets one mail, not two.
        if !is_paid_at_once {
            mails::queue(tx, ctx, order.id, MailKind::Paid, None)?;
        }
    }
    if is_late_money { give_back_surplus(tx, ctx, order, payment) } else { Ok(()) }
}

/// Whether the promise on which the order was confirmed is gone, and nothing has taken its place.
fn has_lapsed(order: &OrderRecord, payment: &PaymentRecord, before: PaymentState) -> bool {
    let is_gone = matches!(payment.state(), PaymentState::Failed | PaymentState::Canceled);
    before == PaymentState::Authorized && is_gone && order.payment_status() == PaymentStatus::Unpaid
}

/// Gives a certain order whose promise is gone the time that a transfer has; then it ends and its goods are sold to others.
fn await_another_payment(ctx: &Ctx, order: &mut OrderRecord) {
    order.expires_at = order.expires_at.or_else(|| Some(end_of_patience(ctx)));
    order.attention = Some(Attention::PaymentLapsed.as_str().to_owned());
}

/// When an order that is to be paid later ends unless it is.
fn end_of_patience(ctx: &Ctx) -> Timestamp {
    let days = u64::from(ctx.settings::<payments::settings::OfflineSettings>().expire_days);
    ctx.now() + Duration::from_secs(days * 24 * 3600)
}

/// Derives what has been paid from the ledger; tells whether anything changed.
pub(crate) fn refresh_money(tx: &mut Tx<'_, '_>, order: &mut OrderRecord) -> Result<bool> {
    let (captured, refunded) = ledger::store::sums_of_order(tx, order.id)?;
    let payments = payments::store::of_order(tx, order.id)?;
    let facts = MoneyFacts {
        total: order.total,
        captured,
        refunded,
        is_authorized: payments.iter().any(|payment| payment.state() == PaymentState::Authorized),
        is_disputed: payments.iter().any(|payment| payment.is_disputed),
    };
    let status = PaymentStatus::of(&facts).as_str();
    let has_changed = order.captured != captured || order.refunded != refunded || order.payment_status != status;
    (order.captured, order.refunded) = (captured, refunded);
    status.clone_into(&mut order.payment_status);
    Ok(has_changed)
}

/// Makes a locked order certain: its goods are kept for good, and the buyer is told.
fn confirm(tx: &mut Tx<'_, '_>, ctx: &Ctx, order: &mut OrderRecord) -> Result<()> {
    step(order, OrderStatus::Confirmed)?;
    (order.confirmed_at, order.expires_at) = (Some(ctx.now()), None);
    stock::commit_reservations(tx, order.id)?;
    tx.record(&OrderConfirmed { order_id: order.id.uuid(), number: order.number.clone() })?;
    mails::queue(tx, ctx, order.id, MailKind::Placed, None)
}

/// Makes a pending order certain although it is not paid: its buyer pays later, as agreed.
pub(crate) fn agree_to_wait(tx: &mut Tx<'_, '_>, ctx: &Ctx, order: &mut OrderRecord) -> Result<()> {
    if order.status() == OrderStatus::Pending {
        confirm(tx, ctx, order)?;
    }
    // Who changes his mind again and again gets no more time than he had.
    order.expires_at = order.expires_at.or_else(|| Some(end_of_patience(ctx)));
    save(tx, ctx, order, "confirmed", None, None)
}

/// Tries to hold the goods of an expired order once more, and to use its codes up again, because its money came after all.
fn hold_again(tx: &mut Tx<'_, '_>, ctx: &Ctx, order: &mut OrderRecord) -> Result<bool> {
    let lines = store::lines(tx, order.id)?;
    // It plans before it writes: where there is too little, nothing was written.
    match stock::reserve(tx, ctx, order.id, &demand_of(&lines), None) {
        Ok(_) if promotions::claim_coupons_again(tx, ctx, order.id)? => {
            confirm(tx, ctx, order)?;
            Ok(true)
        }
        // Others have used a code up meanwhile: at its price the order cannot be had any more.
        Ok(_) => {
            stock::release(tx, order.id, ctx.now())?;
            Ok(false)
        }
        Err(error) if error.is(&OUT_OF_STOCK) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Sends back what came for an order that is over, or beyond what it costs.
fn give_back_surplus(tx: &mut Tx<'_, '_>, ctx: &Ctx, order: &mut OrderRecord, payment: &PaymentRecord) -> Result<()> {
    let is_over = matches!(order.status(), OrderStatus::Canceled | OrderStatus::Expired);
    let surplus = if is_over { payment.captured } else { (order.captured - order.total).min(payment.captured) };
    let surplus = surplus.min(payment.captured - payment.refund_claimed);
    if surplus <= 0 {
        return Ok(());
    }
    refunds::service::request_by_itself(tx, ctx, order, payment, surplus, "late_payment")?;
    order.attention = Some(Attention::LatePayment.as_str().to_owned());
    save(tx, ctx, order, "late_payment", None, Some(json!({ "payment_id": payment.id, "amount": surplus })))
}

/// Calls an order off: its open payments first, then its goods, its codes and its money (INV-O8, INV-S5).
pub(crate) async fn cancel(ctx: &Ctx, id: Id<Order>, access: OrderAccess, if_match: IfMatch, reason: Option<String>) -> Result<WholeOrder> {
    let is_staff = ctx.actor.may(&CANCEL_ORDERS);
    let context = ctx.clone();
    let expected = ctx
        .read(move |c| {
            let order = store::find(c, id)?.ok_or(&NOT_FOUND)?;
            access.require_to_act(&context, &order, &CANCEL_ORDERS)?;
            let expected = if_match.expected(order.version)?;
            check_cancelable(&order, is_staff)?;
            require_nothing_packed(c, &order)?;
            Ok(expected)
        })
        .await?;
    let expected = payments::service::call_off_all_of(ctx, id, expected).await?;
    let context = ctx.clone();
    ctx.write(move |tx| {
        let mut order = store::lock(tx, id)?.ok_or(&NOT_FOUND)?;
        // Somebody else may have changed it while its payments were called off.
        require_version(&order, expected)?;
        // The payment may have succeeded just before it could be called off.
        check_cancelable(&order, is_staff)?;
        require_nothing_open(tx, &order)?;
        require_nothing_packed(tx, &order)?;
        step(&mut order, OrderStatus::Canceled)?;
        (order.canceled_at, order.expires_at) = (Some(context.now()), None);
        release(tx, &context, &order)?;
        for payment in payments::store::of_order(tx, id)? {
            let left = payment.captured - payment.refund_claimed;
            if left > 0 {
                refunds::service::request_by_itself(tx, &context, &mut order, &payment, left, "order_canceled")?;
            }
        }
        save(tx, &context, &mut order, "canceled", reason.clone(), None)?;
        tx.record(&OrderCanceled { order_id: id.uuid(), number: order.number.clone() })?;
        tx.audit(AuditEntry::ok("shop.order.cancel", &format!("order:{id}")))?;
        mails::queue(tx, &context, id, MailKind::Canceled, None)?;
        whole(tx, order)
    })
    .await
}

/// Fails with `version_conflict` unless this is the version that the caller means; none means any.
pub(crate) fn require_version(order: &OrderRecord, expected: Option<i64>) -> Result<()> {
    expected.map_or(IfMatch::Any, IfMatch::Version).expected(order.version).map(|_| ())
}

/// Buyers may call off what waits for its payment; staff also what is certain.
fn check_cancelable(order: &OrderRecord, is_staff: bool) -> Result<()> {
    let is_fine = match order.status() {
        OrderStatus::Pending => true,
        OrderStatus::Confirmed => is_staff,
        _ => false,
    };
    if is_fine { Ok(()) } else { Err(invalid_state(order)) }
}

/// What is in a parcel stays sold.
fn require_nothing_packed(c: &mut db::Conn, order: &OrderRecord) -> Result<()> {
    if has_packed(c, order)? {
        return Err(INVALID_STATE.because("Some of it is packed or shipped already.").with_member("current_state", order.status.clone()));
    }
    Ok(())
}

fn has_packed(c: &mut db::Conn, order: &OrderRecord) -> Result<bool> {
    Ok(store::lines(c, order.id)?.iter().any(|line| line.allocated_quantity > 0))
}

/// A payment that was begun meanwhile keeps the order from ending.
fn require_nothing_open(tx: &mut Tx<'_, '_>, order: &OrderRecord) -> Result<()> {
    let is_open = payments::store::of_order(tx, order.id)?.iter().any(|payment| !payment.state().is_terminal());
    if is_open {
        return Err(INVALID_STATE.because("A payment of it was begun just now.").with_member("current_state", order.status.clone()));
    }
    Ok(())
}

/// Gives back what an order holds, each thing exactly once.
fn release(tx: &mut Tx<'_, '_>, ctx: &Ctx, order: &OrderRecord) -> Result<()> {
    stock::release(tx, order.id, ctx.now())?;
    promotions::give_back_coupons(tx, ctx, order.id)
}

/// Ends an order that was not paid in time, after its payment is terminal (INV-S5).
pub(crate) async fn expire(ctx: &Ctx, id: Id<Order>) -> Result<()> {
    let context = ctx.clone();
    if !ctx.write(move |tx| Ok(lock_due(tx, &context, id)?.is_some())).await? {
        return Ok(());
    }
    payments::service::call_off_all(ctx, id).await?;
    let context = ctx.clone();
    ctx.write(move |tx| {
        let Some(mut order) = lock_due(tx, &context, id)? else { return Ok(()) };
        require_nothing_open(tx, &order)?;
        step(&mut order, OrderStatus::Expired)?;
        order.expires_at = None;
        release(tx, &context, &order)?;
        save(tx, &context, &mut order, "expired", None, None)?;
        tx.record(&OrderExpired { order_id: id.uuid(), number: order.number.clone() })?;
        mails::queue(tx, &context, id, MailKind::Expired, None)
    })
    .await
}

/// Locks an order whose time is over; one that is packed, or whose money is promised or came in part, is left to staff instead.
fn lock_due(tx: &mut Tx<'_, '_>, ctx: &Ctx, id: Id<Order>) -> Result<Option<OrderRecord>> {
    let mut order = store::lock(tx, id)?.ok_or(&NOT_FOUND)?;
    let is_due = order.expires_at.is_some_and(|at| at <= ctx.now());
    if !is_due || !order.status().next().contains(&OrderStatus::Expired) {
        return Ok(None);
    }
    let is_promised = order.status() == OrderStatus::Confirmed
        && payments::store::of_order(tx, id)?.iter().any(|payment| payment.state() == PaymentState::Authorized);
    // What has come in part is not called off by time either.
    if !is_promised && order.captured == 0 && !has_packed(tx, &order)? {
        return Ok(Some(order));
    }
    order.expires_at = None;
    order.attention = Some(Attention::PaymentOverdue.as_str().to_owned());
    save(tx, ctx, &mut order, "payment_overdue", None, None)?;
    Ok(None)
}

/// Puts the end of an order off, when its payment could not be called off.
pub(crate) async fn postpone(ctx: &Ctx, id: Id<Order>) -> Result<()> {
    let at = ctx.now() + Duration::from_secs(60);
    ctx.write(move |tx| Ok(store::postpone(tx, id, at)?)).await
}

/// Ends an order that is handed over and settled.
pub(crate) async fn complete(ctx: &Ctx, id: Id<Order>, if_match: IfMatch) -> Result<WholeOrder> {
    ctx.actor.require(&MANAGE_ORDERS)?;
    let context = ctx.clone();
    ctx.write(move |tx| {
        let mut order = store::lock(tx, id)?.ok_or(&NOT_FOUND)?;
        if_match.expected(order.version)?;
        let is_handed_over =
            order.fulfilment_status() != FulfilmentStatus::Unfulfilled && order.fulfilment_status() != FulfilmentStatus::Partial;
        let is_settled = matches!(order.payment_status(), PaymentStatus::Paid | PaymentStatus::PartiallyRefunded | PaymentStatus::Refunded);
        if order.status() == OrderStatus::Confirmed && !(is_handed_over && is_settled) {
            return Err(INVALID_STATE.because("It must be handed over and paid first.").with_member("current_state", order.status.clone()));
        }
        step(&mut order, OrderStatus::Completed)?;
        order.completed_at = Some(context.now());
        save(tx, &context, &mut order, "completed", None, None)?;
        tx.record(&OrderCompleted { order_id: id.uuid(), number: order.number.clone() })?;
        whole(tx, order)
    })
    .await
}

/// Notes that somebody has seen why an order needs attention, and looks after it.
pub(crate) async fn acknowledge(ctx: &Ctx, id: Id<Order>, if_match: IfMatch, seen: String, reason: Option<String>) -> Result<WholeOrder> {
    ctx.actor.require(&MANAGE_ORDERS)?;
    let context = ctx.clone();
    ctx.write(move |tx| {
        let mut order = store::lock(tx, id)?.ok_or(&NOT_FOUND)?;
        if_match.expected(order.version)?;
        let Some(found) = order.attention.clone() else { return whole(tx, order) };
        // What came up since the caller looked is not seen yet.
        if found != seen {
            let error = INVALID_STATE.because("Something else needs attention by now.");
            return Err(error.with_member("current_state", found.clone()).with_member("allowed", json!([found])));
        }
        attention::dismiss(tx, &mut order)?;
        save(tx, &context, &mut order, "acknowledged", reason.clone(), Some(json!({ "attention": seen })))?;
        tx.record(&OrderUpdated { order_id: id.uuid(), number: order.number.clone() })?;
        tx.audit(AuditEntry::ok("shop.order.acknowledge", &format!("order:{id}")).with_detail(json!({ "attention": seen })))?;
        whole(tx, order)
    })
    .await
}

/// Adds a note of staff to the log.
pub(crate) async fn add_note(ctx: &Ctx, id: Id<Order>, text: String) -> Result<Vec<LogRow>> {
    ctx.actor.require(&MANAGE_ORDERS)?;
    let context = ctx.clone();
    ctx.write(move |tx| {
        let order = store::lock(tx, id)?.ok_or(&NOT_FOUND)?;
        note(tx, &context, &order, "note", Some(text.clone()), None)?;
        tx.record(&OrderUpdated { order_id: id.uuid(), number: order.number.clone() })?;
        Ok(store::log(tx, id, None, 500)?)
    })
    .await
}

/// Mails the buyer once more; the only way in which a mail goes out twice (INV-O5).
pub(crate) async fn mail_again(ctx: &Ctx, id: Id<Order>, kind: MailKind) -> Result<()> {
    ctx.actor.require(&MANAGE_ORDERS)?;
    let context = ctx.clone();
    ctx.write(move |tx| {
        let order = store::lock(tx, id)?.ok_or(&NOT_FOUND)?;
        let has_happened = match kind {
            MailKind::Placed => order.confirmed_at.is_some(),
            MailKind::Paid => order.paid_at.is_some(),
            MailKind::Canceled => order.canceled_at.is_some(),
            MailKind::Expired => order.status() == OrderStatus::Expired,
            MailKind::Shipped | MailKind::Refunded => false,
        };
        if !has_happened {
            return Err(INVALID_STATE
                .because("There is no such news about this order.")
                .with_member("current_state", order.status.clone()));
        }
        mails::queue(tx, &context, id, kind, Some(context.new_id::<MailKind>().uuid()))?;
        note(tx, &context, &order, "mailed_again", None, Some(json!({ "kind": kind.as_str() })))
    })
    .await
}
