//! The verbs of refunds.

use std::collections::BTreeMap;
use std::time::Duration;

use kernel::error::{INVALID_STATE, NOT_FOUND};
use kernel::money::Money;
use kernel::{AuditEntry, Ctx, Error, FieldError, Id, Job, LogAndContinue as _, Result, Tx};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::ids::{Location, Order, OrderLine, Refund};
use crate::ledger::{self, CUSTOMER, EntryKind, Posting};
use crate::mails::{self, MailKind};
use crate::order_events::{RefundFailed, RefundRequested, RefundSucceeded};
use crate::orders::attention::Attention;
use crate::orders::store::LineChange;
use crate::orders::{self, FulfilmentStatus, LineRecord, OrderRecord, OrderStatus};
use crate::payments::{self, KEY_LIFE, PaymentRecord, ProviderError, ProviderKey, Providers, RefundSnapshot, RefundState, offline};
use crate::refunds::{NewRefund, OwedUnits, RefundLineRecord, RefundRecord, store};
use crate::selling_problems::{REFUND_EXCEEDS_CAPTURED, REFUND_EXCEEDS_LINE};
use crate::{fulfilments, stock};

/// How long whoever asks a provider for a refund has it to himself.
const TURN: Duration = Duration::from_secs(60);
/// How old a refund gets at its provider before it is looked at again.
const LOOK_AFTER: Duration = Duration::from_secs(600);

/// Asks the provider for a refund.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct RunRefund {
    pub(crate) refund_id: Id<Refund>,
}

impl Job for RunRefund {
    const KIND: &'static str = "shop.run_refund";
}

pub(crate) async fn run_job(ctx: Ctx, job: RunRefund) -> Result<()> {
    run(&ctx, job.refund_id).await
}

/// Gives something back: claims the money, the units and their places in one transaction; the provider is asked by a job.
pub(crate) async fn request(ctx: &Ctx, order: Id<Order>, new: NewRefund) -> Result<(RefundRecord, Vec<RefundLineRecord>)> {
    let context = ctx.clone();
    ctx.write(move |tx| {
        let mut record = orders::store::lock(tx, order)?.ok_or(&NOT_FOUND)?;
        check_status(&record, &new)?;
        let (lines, owed) = (orders::store::lines(tx, order)?, store::owed(tx, order)?);
        let parts = parts_of(&lines, &owed, &new)?;
        let shipping = new.shipping.map_or(0, |shipping| shipping.minor);
        check_money(&record, &new)?;
        let amount = parts.iter().map(|part| part.amount).sum::<i64>() + shipping + new.amount.map_or(0, |amount| amount.minor);
        if amount <= 0 {
            return Err(Error::invalid(vec![FieldError::body("/lines", "required", "Name units, shipping or an amount to give back.")]));
        }
        let payment = payment_for(tx, &record, amount)?;
        let refund = insert(tx, &context, &payment, &New { amount, shipping, reason: &new.reason, notify: new.notify })?;
        record.shipping_refunded += shipping;
        let parts = take_units(tx, &context, &record, &Units { lines: &lines, owed: &owed }, parts, &refund, new.restock)?;
        let lines = orders::store::lines(tx, order)?;
        FulfilmentStatus::of(&lines).as_str().clone_into(&mut record.fulfilment_status);
        let detail = json!({ "refund_id": refund.id, "amount": amount });
        orders::service::save(tx, &context, &mut record, "refund_requested", Some(new.reason.clone()), Some(detail.clone()))?;
        tx.audit(AuditEntry::ok("shop.refund.create", &format!("order:{order}")).with_detail(detail))?;
        Ok((refund, parts))
    })
    .await
}

/// An order that was called off or not paid in time holds no units any more; money can still go back.
fn check_status(order: &OrderRecord, new: &NewRefund) -> Result<()> {
    if new.lines.is_empty() || !matches!(order.status(), OrderStatus::Canceled | OrderStatus::Expired) {
        return Ok(());
    }
    let error = INVALID_STATE.because("The order is over and has no units left to take off it: give back an amount instead.");
    Err(error.with_member("current_state", order.status.clone()).with_member("allowed", json!(["confirmed", "completed"])))
}

/// The money in a request must be in the order's currency and above zero.
fn check_money(order: &OrderRecord, new: &NewRefund) -> Result<()> {
    for (pointer, money) in [("/shipping", new.shipping), ("/amount", new.amount)] {
        let Some(money) = money else { continue };
        if money.currency != order.currency {
            return Err(Error::invalid(vec![FieldError::body(
                format!("{pointer}/currency"),
                "not_allowed",
                "The order has another currency.",
            )]));
        }
        if money.minor < 1 {
            return Err(Error::invalid(vec![FieldError::body(format!("{pointer}/amount"), "out_of_range", "At least 1.")]));
        }
    }
    let left = order.shipping_gross - order.shipping_refunded;
    if new.shipping.is_some_and(|shipping| shipping.minor > left) {
        let field = FieldError::body("/shipping/amount", "out_of_range", format!("At most {left} is left of what delivering cost."));
        return Err(REFUND_EXCEEDS_LINE.error().with_field(field));
    }
    Ok(())
}

/// What the units of a request are worth, cumulatively, so that all of them come to the whole (INV-M7).
fn parts_of(lines: &[LineRecord], owed: &[OwedUnits], new: &NewRefund) -> Result<Vec<RefundLineRecord>> {
    let mut wanted: BTreeMap<Id<OrderLine>, (usize, i64)> = BTreeMap::new();
    for (index, (line, quantity)) in new.lines.iter().enumerate() {
        let entry = wanted.entry(*line).or_insert((index, 0));
        entry.1 = entry.1.saturating_add(*quantity);
    }
    let mut errors = Vec::new();
    let mut parts = Vec::new();
    for (id, (index, quantity)) in wanted {
        let Some(line) = lines.iter().find(|line| line.id == id) else {
            errors.push(FieldError::body(format!("/lines/{index}/line_id"), "unknown_reference", "The order has no such line."));
            continue;
        };
        let owed = owed_of(owed, id);
        let left = line.quantity - line.refunded_quantity + owed;
        if quantity > left {
            errors.push(FieldError::body(format!("/lines/{index}/quantity"), "out_of_range", format!("At most {left} units are left.")));
            continue;
        }
        parts.push(RefundLineRecord {
            order_line_id: id,
            quantity,
            amount: line.refund_of(quantity, owed),
            returned_quantity: 0,
            taken_quantity: 0,
        });
    }
    match errors.is_empty() {
        true => Ok(parts),
        false => Err(errors.into_iter().fold(REFUND_EXCEEDS_LINE.error(), Error::with_field)),
    }
}

/// How many units of a line are off the order and not paid back.
fn owed_of(owed: &[OwedUnits], line: Id<OrderLine>) -> i64 {
    owed.iter().filter(|units| units.order_line_id == line).map(|units| units.quantity).sum()
}

/// The lines of an order as their readers see them: a unit whose refund failed is not refunded.
pub(crate) fn without_owed(c: &mut db::Conn, order: Id<Order>, mut lines: Vec<LineRecord>) -> Result<Vec<LineRecord>> {
    if lines.iter().any(|line| line.refunded_quantity > 0) {
        let owed = store::owed(c, order)?;
        for line in &mut lines {
            line.refunded_quantity -= owed_of(&owed, line.id);
        }
    }
    Ok(lines)
}

/// The payment that has enough left to give back.
fn payment_for(tx: &mut Tx<'_, '_>, order: &OrderRecord, amount: i64) -> Result<PaymentRecord> {
    let payments = payments::store::of_order(tx, order.id)?;
    let left = |payment: &PaymentRecord| payment.captured - payment.refund_claimed;
    let most = payments.iter().map(left).max().unwrap_or(0);
    let found = payments.iter().filter(|payment| left(payment) >= amount).max_by_key(|payment| left(payment)).cloned();
    found.ok_or_else(|| {
        let refundable = json!(order.money(most.max(0)));
        REFUND_EXCEEDS_CAPTURED.error().with_member("refundable", refundable)
    })
}

/// The facts of a refund that is about to be stored.
struct New<'a> {
    amount: i64,
    shipping: i64,
    reason: &'a str,
    notify: bool,
}

/// Claims the money and stores the refund.
fn insert(tx: &mut Tx<'_, '_>, ctx: &Ctx, payment: &PaymentRecord, new: &New<'_>) -> Result<RefundRecord> {
    if !payments::store::claim_refund(tx, payment.id, new.amount)? {
        let left = Money::new((payment.captured - payment.refund_claimed).max(0), payment.currency);
        return Err(REFUND_EXCEEDS_CAPTURED.error().with_member("refundable", json!(left)));
    }
    let is_online = payment.provider != offline::NAME;
    let refund = RefundRecord {
        id: ctx.new_id(),
        order_id: payment.order_id,
        payment_id: payment.id,
        state: RefundState::Requested.as_str().to_owned(),
        currency: payment.currency,
        amount: new.amount,
        shipping: new.shipping,
        reason: new.reason.to_owned(),
        notify: new.notify,
        provider_reference: None,
        provider_code: None,
        actor: ctx.actor.label(),
        attempt: 1,
        check_at: is_online.then(|| ctx.now() + TURN),
        created_at: ctx.now(),
        updated_at: ctx.now(),
    };
    store::insert(tx, &refund)?;
    tx.record(&RefundRequested { refund_id: refund.id.uuid(), order_id: refund.order_id.uuid(), amount: refund.money() })?;
    if is_online {
        tx.enqueue(&RunRefund { refund_id: refund.id })?;
    }
    Ok(refund)
}

/// A refund that nobody asked for: money of an order that is over (INV-P7).
pub(crate) fn request_by_itself(
    tx: &mut Tx<'_, '_>,
    ctx: &Ctx,
    order: &mut OrderRecord,
    payment: &PaymentRecord,
    amount: i64,
    reason: &str,
) -> Result<RefundRecord> {
    let refund = insert(tx, ctx, payment, &New { amount, shipping: 0, reason, notify: true })?;
    if payment.provider == offline::NAME {
        order.attention = Some(Attention::RefundToBeMade.as_str().to_owned());
    }
    Ok(refund)
}

/// The lines of an order, and which of their units are owed.
struct Units<'a> {
    lines: &'a [LineRecord],
    owed: &'a [OwedUnits],
}

/// Takes the units of a refund off what is left to ship, or back onto the shelf.
fn take_units(
    tx: &mut Tx<'_, '_>,
    ctx: &Ctx,
    order: &OrderRecord,
    units: &Units<'_>,
    parts: Vec<RefundLineRecord>,
    refund: &RefundRecord,
    restock: bool,
) -> Result<Vec<RefundLineRecord>> {
    let mut done = Vec::with_capacity(parts.len());
    for mut part in parts {
        let Some(line) = units.lines.iter().find(|line| line.id == part.order_line_id) else { continue };
        // What is off the order already comes first, then what has not left the house; only what had left can come back.
        let again = take_over_owed(tx, units.owed, &part)?;
        let fresh = part.quantity - again;
        let dropped = fresh.min(line.quantity - line.fulfilled_quantity - line.dropped()).max(0);
        if line.dropped() + dropped > line.quantity - line.allocated_quantity {
            return Err(INVALID_STATE.because("Units of it are packed: cancel or ship the parcel first."));
        }
        part.returned_quantity = if restock { fresh - dropped } else { 0 };
        part.taken_quantity = again + dropped + part.returned_quantity;
        let change = LineChange { refunded: fresh, returned: part.returned_quantity, refunded_amount: part.amount, ..LineChange::NONE };
        orders::store::change_line(tx, line.id, change)?;
        store::insert_line(tx, refund.id, &part)?;
        for demand in line.demand() {
            if dropped > 0 {
                release_part(tx, ctx, order.id, demand.item_id, demand.quantity * dropped)?;
            }
            if part.returned_quantity > 0 {
                put_back(tx, ctx, order, line, demand.item_id, demand.quantity * part.returned_quantity, refund.id)?;
            }
        }
        done.push(part);
    }
    Ok(done)
}

/// Takes over units of failed refunds, the oldest first; tells how many.
fn take_over_owed(tx: &mut Tx<'_, '_>, owed: &[OwedUnits], part: &RefundLineRecord) -> Result<i64> {
    let mut taken = 0;
    for units in owed.iter().filter(|units| units.order_line_id == part.order_line_id) {
        let quantity = units.quantity.min(part.quantity - taken);
        if quantity > 0 && !store::take_over(tx, &OwedUnits { quantity, ..*units })? {
            return Err(Error::internal(format!("units of the refund {} are owed no more", units.refund_id)));
        }
        taken += quantity.max(0);
    }
    Ok(taken)
}

/// Gives a part of what an order holds back to the others.
fn release_part(tx: &mut Tx<'_, '_>, ctx: &Ctx, order: Id<Order>, item: Id<crate::ids::Item>, quantity: i64) -> Result<()> {
    let mut missing = quantity;
    for held in stock::store::reservations(tx, order)?.into_iter().filter(|held| held.item_id == item && held.state.is_live()) {
        stock::store::lock_level(tx, held.item_id, held.location_id)?;
        let take = held.quantity.min(missing);
        if take > 0 && stock::store::draw_reservation(tx, held.id, take, ctx.now())? {
            if !stock::store::unreserve(tx, held.item_id, held.location_id, take, ctx.now())? {
                return Err(Error::internal(format!("the reservation {} is larger than what is reserved", held.id)));
            }
            missing -= take;
        }
    }
    if missing > 0 { Err(Error::internal(format!("the order {order} does not hold what it should"))) } else { Ok(()) }
}

/// Puts units back where they came from.
fn put_back(
    tx: &mut Tx<'_, '_>,
    ctx: &Ctx,
    order: &OrderRecord,
    line: &LineRecord,
    item: Id<crate::ids::Item>,
    quantity: i64,
    refund: Id<Refund>,
) -> Result<()> {
    let shipped: Vec<(Id<Location>, i64)> = fulfilments::store::shipped_from(tx, order.id, line.id)?;
    let place = shipped.first().map(|(location, _)| *location).ok_or_else(|| Error::internal("units come back that never left"))?;
    stock::restock(tx, ctx, line.id, item, place, quantity, refund)
}

/// Carries on with refunds whose time has come.
pub(crate) async fn carry_on(ctx: &Ctx) -> Result<()> {
    let now = ctx.now();
    for id in ctx.read(move |c| Ok(store::due(c, now)?)).await? {
        let until = ctx.now() + TURN;
        if ctx.write(move |tx| Ok(store::take_turn(tx, id, now, until)?)).await? {
            run(ctx, id).await.log_and_continue("looking after a refund");
        }
    }
    Ok(())
}

/// Asks the provider for a refund, or how it goes on.
pub(crate) async fn run(ctx: &Ctx, id: Id<Refund>) -> Result<()> {
    let Some(refund) = ctx.read(move |c| Ok(store::find(c, id)?)).await? else { return Ok(()) };
    if refund.state().is_terminal() {
        return Ok(());
    }
    let (_, payment) = payments::service::read(ctx, refund.payment_id).await?;
    let provider = Providers::of(&ctx.app, &payment.provider)?;
    if !provider.caps().refunds {
        return Ok(());
    }
    let age = ctx.now().since(refund.created_at);
    let is_stale = age >= KEY_LIFE * u32::try_from(refund.attempt).unwrap_or(1);
    if refund.provider_reference.is_some() || is_stale {
        payments::service::refresh(ctx, payment.id).await?;
        return if is_stale { begin_anew(ctx, id).await } else { Ok(()) };
    }
    let reference = payment.reference.clone().unwrap_or_default();
    match provider.refund(&reference, id, refund.money(), &ProviderKey::refund(id, refund.attempt)).await {
        Ok(news) => apply_now(ctx, id, news).await,
        Err(ProviderError::Declined { code } | ProviderError::Invalid { code }) => {
            fail(ctx, id, code).await?;
            // Perhaps somebody gave it back in the provider's own pages: now there is room to book that.
            payments::service::refresh(ctx, payment.id).await
        }
        Err(error) => Err(payments::service::refusal(error)),
    }
}

/// After its key may be forgotten, a refund that the provider does not know is asked for with a new key.
async fn begin_anew(ctx: &Ctx, id: Id<Refund>) -> Result<()> {
    let now = ctx.now();
    ctx.write(move |tx| {
        let Some(mut refund) = store::find(tx, id)? else { return Ok(()) };
        if refund.state() != RefundState::Requested || refund.provider_reference.is_some() {
            return Ok(());
        }
        refund.attempt += 1;
        (refund.updated_at, refund.check_at) = (now, Some(now));
        store::step(tx, &refund, RefundState::Requested.as_str())?;
        Ok(())
    })
    .await
}

async fn apply_now(ctx: &Ctx, id: Id<Refund>, news: RefundSnapshot) -> Result<()> {
    let context = ctx.clone();
    ctx.write(move |tx| {
        let payment = store::find(tx, id)?.ok_or(&NOT_FOUND)?.payment_id;
        let (mut order, payment) = payments::service::lock(tx, payment)?;
        let refund = store::find(tx, id)?.ok_or(&NOT_FOUND)?;
        apply_one(tx, &context, &mut order, &payment, refund, &news).map(|_| ())
    })
    .await
}

/// Ends a refund that its provider refused.
async fn fail(ctx: &Ctx, id: Id<Refund>, code: String) -> Result<()> {
    let context = ctx.clone();
    ctx.write(move |tx| {
        let payment = store::find(tx, id)?.ok_or(&NOT_FOUND)?.payment_id;
        let (mut order, payment) = payments::service::lock(tx, payment)?;
        let refund = store::find(tx, id)?.ok_or(&NOT_FOUND)?;
        // A refusal of this call says nothing about a refund that the provider knows by now.
        if refund.state() != RefundState::Requested || refund.provider_reference.is_some() {
            return Ok(());
        }
        end_badly(tx, &context, &mut order, &payment, refund, Some(code.clone()))?;
        // Whoever refuses may know of a refund that we do not; should we die before we ask, the recovery asks.
        Ok(payments::store::look_again(tx, payment.id, context.now())?)
    })
    .await
}

/// Applies what a provider says about the refunds of a locked payment; one made in the provider's own pages is taken over.
pub(crate) fn apply_all(
    tx: &mut Tx<'_, '_>,
    ctx: &Ctx,
    order: &mut OrderRecord,
    payment: &PaymentRecord,
    news: &[RefundSnapshot],
) -> Result<()> {
    // Failures first: what they give back may be what the others need.
    let (failed, alive): (Vec<_>, Vec<_>) = news.iter().partition(|news| news.state == RefundState::Failed);
    let mut fits = true;
    for news in failed.into_iter().chain(alive) {
        fits &= match known(tx, payment, news)? {
            Some(refund) => apply_one(tx, ctx, order, payment, refund, news)?,
            None if news.state == RefundState::Failed => true,
            None => take_over(tx, ctx, order, payment, news)?,
        };
    }
    if fits { orders::service::settle_mismatch(tx, ctx, order, Attention::RefundMismatch, payment) } else { Ok(()) }
}

/// Our refund that these news are about: by the provider's own name, or by ours as long as the provider has not named it.
fn known(tx: &mut Tx<'_, '_>, payment: &PaymentRecord, news: &RefundSnapshot) -> Result<Option<RefundRecord>> {
    if let Some(refund) = store::find_by_reference(tx, &news.reference)? {
        return Ok(Some(refund));
    }
    let Some(id) = news.refund_id else { return Ok(None) };
    // One that was given up here and is alive there is another one; so is a second one under the same name of ours.
    let is_this = |refund: &RefundRecord| {
        refund.payment_id == payment.id && refund.provider_reference.is_none() && refund.state() != RefundState::Failed
    };
    Ok(store::find(tx, id)?.filter(is_this))
}

/// News about a refund that do not fit change nothing; a person has to look.
fn refuse(tx: &mut Tx<'_, '_>, ctx: &Ctx, order: &mut OrderRecord, payment: &PaymentRecord, news: &RefundSnapshot) -> Result<bool> {
    let detail = json!({ "payment_id": payment.id, "provider_reference": news.reference, "found": news.amount });
    orders::service::tell_mismatch(tx, ctx, order, Attention::RefundMismatch, detail)?;
    Ok(false)
}

/// Books a refund that was made in the provider's own pages; false when it does not fit what came.
fn take_over(tx: &mut Tx<'_, '_>, ctx: &Ctx, order: &mut OrderRecord, payment: &PaymentRecord, news: &RefundSnapshot) -> Result<bool> {
    let amount = news.amount.minor;
    let is_odd = news.amount.currency != payment.currency || amount <= 0;
    if is_odd || !payments::store::claim_refund(tx, payment.id, amount)? {
        return refuse(tx, ctx, order, payment, news);
    }
    let refund = RefundRecord {
        id: ctx.new_id(),
        order_id: payment.order_id,
        payment_id: payment.id,
        state: RefundState::Requested.as_str().to_owned(),
        currency: payment.currency,
        amount,
        shipping: 0,
        reason: "made at the provider".to_owned(),
        notify: false,
        provider_reference: Some(news.reference.clone()),
        provider_code: None,
        actor: "provider".to_owned(),
        attempt: 1,
        check_at: Some(ctx.now() + LOOK_AFTER),
        created_at: ctx.now(),
        updated_at: ctx.now(),
    };
    store::insert(tx, &refund)?;
    tx.record(&RefundRequested { refund_id: refund.id.uuid(), order_id: refund.order_id.uuid(), amount: refund.money() })?;
    apply_one(tx, ctx, order, payment, refund, news)
}

/// Applies what a provider, or a person, says about one refund, forward only; false when it does not fit.
fn apply_one(
    tx: &mut Tx<'_, '_>,
    ctx: &Ctx,
    order: &mut OrderRecord,
    payment: &PaymentRecord,
    mut refund: RefundRecord,
    news: &RefundSnapshot,
) -> Result<bool> {
    let before = refund.state();
    let after = before.after(news.state);
    if news.amount != refund.money() {
        return refuse(tx, ctx, order, payment, news);
    }
    if before.is_terminal() && after == before {
        return Ok(true);
    }
    refund.provider_reference = Some(news.reference.clone());
    match after {
        RefundState::Failed => end_badly(tx, ctx, order, payment, refund, news.code.clone())?,
        RefundState::Requested | RefundState::Pending => {
            refund.state = RefundState::Pending.as_str().to_owned();
            (refund.updated_at, refund.check_at) = (ctx.now(), Some(ctx.now() + LOOK_AFTER));
            store::step(tx, &refund, before.as_str())?;
        }
        RefundState::Succeeded => {
            refund.state = RefundState::Succeeded.as_str().to_owned();
            (refund.updated_at, refund.check_at) = (ctx.now(), None);
            if store::step(tx, &refund, before.as_str())? {
                succeed(tx, ctx, order, payment, &refund)?;
            }
        }
    }
    Ok(true)
}

fn succeed(tx: &mut Tx<'_, '_>, ctx: &Ctx, order: &mut OrderRecord, payment: &PaymentRecord, refund: &RefundRecord) -> Result<()> {
    if !payments::store::add_refunded(tx, payment.id, refund.amount)? {
        return Err(Error::internal(format!("the refund {} is larger than what is claimed", refund.id)));
    }
    book(tx, ctx, payment, refund, EntryKind::Refund)?;
    orders::service::refresh_money(tx, order)?;
    let detail = json!({ "refund_id": refund.id, "amount": refund.amount });
    orders::service::save(tx, ctx, order, "refunded", None, Some(detail))?;
    tx.record(&RefundSucceeded { refund_id: refund.id.uuid(), order_id: order.id.uuid(), amount: refund.money() })?;
    if refund.notify { mails::queue(tx, ctx, order.id, MailKind::Refunded, Some(refund.id.uuid())) } else { Ok(()) }
}

/// Writes a refund into the ledger, or the way back of its money.
fn book(tx: &mut Tx<'_, '_>, ctx: &Ctx, payment: &PaymentRecord, refund: &RefundRecord, kind: EntryKind) -> Result<()> {
    let reference = refund.provider_reference.clone().unwrap_or_else(|| format!("offline:{}", refund.id));
    let clearing = format!("clearing:{}", payment.provider);
    let (from, to) = if kind == EntryKind::Refund { (clearing.as_str(), CUSTOMER) } else { (CUSTOMER, clearing.as_str()) };
    let (order_id, payment_id) = (refund.order_id, refund.payment_id);
    let posting = Posting { kind, reference: &reference, from, to, amount: refund.money(), order_id, payment_id };
    ledger::post(tx, ctx, &posting).map(|_| ())
}

/// Gives the claims of a refund back whose money did not go, or came again; once, whoever says so first.
fn end_badly(
    tx: &mut Tx<'_, '_>,
    ctx: &Ctx,
    order: &mut OrderRecord,
    payment: &PaymentRecord,
    mut refund: RefundRecord,
    code: Option<String>,
) -> Result<()> {
    let before = refund.state();
    refund.state = RefundState::Failed.as_str().to_owned();
    refund.provider_code = code.map(|code| code.chars().take(64).collect());
    (refund.updated_at, refund.check_at) = (ctx.now(), None);
    if before == RefundState::Failed || !store::step(tx, &refund, before.as_str())? {
        return Ok(());
    }
    let is_given_back = if before == RefundState::Succeeded {
        book(tx, ctx, payment, &refund, EntryKind::RefundFailed)?;
        payments::store::undo_refunded(tx, payment.id, refund.amount)?
    } else {
        payments::store::unclaim_refund(tx, payment.id, refund.amount)?
    };
    if !is_given_back {
        return Err(Error::internal(format!("the refund {} was not claimed", refund.id)));
    }
    give_units_back(tx, &refund)?;
    order.shipping_refunded -= refund.shipping;
    order.attention = Some(Attention::RefundFailed.as_str().to_owned());
    orders::service::refresh_money(tx, order)?;
    let detail = json!({ "refund_id": refund.id, "amount": refund.amount, "provider_code": refund.provider_code });
    orders::service::save(tx, ctx, order, "refund_failed", None, Some(detail))?;
    tx.record(&RefundFailed { refund_id: refund.id.uuid(), order_id: order.id.uuid(), amount: refund.money() })
}

/// Makes the units of a failed refund refundable again: those that the buyer has are theirs, those that are off the order are owed.
fn give_units_back(tx: &mut Tx<'_, '_>, refund: &RefundRecord) -> Result<()> {
    for line in store::lines(tx, refund.id)? {
        let refunded = line.taken_quantity - line.quantity;
        let change = LineChange { refunded, refunded_amount: -line.amount, ..LineChange::NONE };
        orders::store::change_line(tx, line.order_line_id, change)?;
        store::owe(tx, refund.id, line.order_line_id)?;
    }
    Ok(())
}

/// Notes that the money of an offline refund has gone.
pub(crate) async fn confirm(ctx: &Ctx, id: Id<Refund>) -> Result<RefundRecord> {
    decide(ctx, id, RefundState::Succeeded).await
}

/// Notes that the money of an offline refund will not go.
pub(crate) async fn fail_offline(ctx: &Ctx, id: Id<Refund>) -> Result<RefundRecord> {
    decide(ctx, id, RefundState::Failed).await
}

async fn decide(ctx: &Ctx, id: Id<Refund>, state: RefundState) -> Result<RefundRecord> {
    let context = ctx.clone();
    ctx.write(move |tx| {
        let payment = store::find(tx, id)?.ok_or(&NOT_FOUND)?.payment_id;
        let (mut order, payment) = payments::service::lock(tx, payment)?;
        let refund = store::find(tx, id)?.ok_or(&NOT_FOUND)?;
        if payment.provider != offline::NAME || refund.state().is_terminal() {
            let error = INVALID_STATE.because("Only an offline refund that is open can be decided by a person.");
            return Err(error.with_member("current_state", refund.state.clone()));
        }
        let news = RefundSnapshot { reference: format!("offline:{id}"), refund_id: Some(id), state, amount: refund.money(), code: None };
        apply_one(tx, &context, &mut order, &payment, refund, &news)?;
        tx.audit(AuditEntry::ok("shop.refund.decide", &format!("refund:{id}")))?;
        store::find(tx, id)?.ok_or_else(|| NOT_FOUND.error())
    })
    .await
}

/// The refunds of an order, each with its lines.
pub(crate) async fn list(ctx: &Ctx, order: Id<Order>) -> Result<Vec<(RefundRecord, Vec<RefundLineRecord>)>> {
    ctx.read(move |c| {
        orders::store::find(c, order)?.ok_or(&NOT_FOUND)?;
        let lines = store::lines_of_order(c, order)?;
        let of = |id: Id<Refund>| lines.iter().filter(|(refund, _)| *refund == id).map(|(_, line)| line.clone()).collect();
        Ok(store::of_order(c, order)?.into_iter().map(|refund| (refund.clone(), of(refund.id))).collect())
    })
    .await
}

/// One refund with its lines.
pub(crate) async fn get(ctx: &Ctx, id: Id<Refund>) -> Result<(RefundRecord, Vec<RefundLineRecord>)> {
    ctx.read(move |c| Ok((store::find(c, id)?.ok_or(&NOT_FOUND)?, store::lines(c, id)?))).await
}
