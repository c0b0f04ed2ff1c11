//! The verbs of payments: make an intent, look at it, apply what the provider says, call it off, capture it.
//!
//! Every news about a payment ends in [`apply`]: it locks order and payment, moves forward only, books by the provider's own ids,
//! and lets the order follow. Calls to providers stand outside of transactions, each with a key that makes it happen once.

use std::sync::Arc;
use std::time::Duration;

use kernel::error::{INVALID_STATE, NOT_FOUND, UPSTREAM_FAILED};
use kernel::money::Money;
use kernel::{AuditEntry, Ctx, Error, Id, Result, Timestamp, Tx};
use serde_json::json;

use crate::ids::{Order, Payment};
use crate::ledger::{self, CUSTOMER, EntryKind, Posting};
use crate::order_events::{PaymentAuthorized, PaymentCaptured, PaymentDisputed, PaymentFailed};
use crate::orders::attention::Attention;
use crate::orders::{self, OrderRecord, OrderStatus};
use crate::payments::settings::{CaptureMode, PaymentSettings};
use crate::payments::{
    KEY_LIFE, NewIntent, PaymentProvider, PaymentRecord, PaymentState, ProviderError, ProviderKey, Providers, Snapshot, offline, store,
};
use crate::refunds;
use crate::selling_problems::PAYMENT_REQUIRED;

/// How long whoever calls a provider about a payment has it to himself: longer than the longest call.
pub(crate) const TURN: Duration = Duration::from_secs(20);
/// How old a live payment gets before it is looked at again.
const LOOK_AFTER: Duration = Duration::from_secs(300);
/// How often news are asked for anew because somebody else was faster; after that they are applied as they are, forward only.
const MAX_LOOKS: u32 = 5;
/// The longest wait between two looks.
const LOOK_AFTER_MAX: Duration = Duration::from_secs(6 * 3600);

/// A payment of an order that is about to be stored; an offline one is open at once.
pub(crate) fn new_payment(ctx: &Ctx, order: Id<Order>, provider: &Arc<dyn PaymentProvider>, method: &str, amount: Money) -> PaymentRecord {
    let id: Id<Payment> = ctx.new_id();
    let is_online = provider.caps().is_online;
    PaymentRecord {
        id,
        order_id: order,
        provider: provider.name().to_owned(),
        method: method.to_owned(),
        reference: (!is_online).then(|| offline::reference(id)),
        state: if is_online { PaymentState::Created } else { PaymentState::Pending }.as_str().to_owned(),
        currency: amount.currency,
        amount: amount.minor,
        authorized: 0,
        captured: 0,
        refund_claimed: 0,
        refunded: 0,
        is_disputed: false,
        attempt: 1,
        live_slot: Some(1),
        provider_code: None,
        client_data_sealed: None,
        // Whoever made it calls the provider; should it die on the way, the recovery does.
        check_at: is_online.then(|| ctx.now() + TURN),
        checks: 0,
        created_at: ctx.now(),
        updated_at: ctx.now(),
        version: 1,
    }
}

/// What a provider's refusal becomes for our caller.
pub(crate) fn refusal(error: ProviderError) -> Error {
    match error {
        ProviderError::Declined { ref code } | ProviderError::Invalid { ref code } => {
            PAYMENT_REQUIRED.error().with_member("provider_code", code.clone()).with_source(error)
        }
        ProviderError::RetryLater { after } => UPSTREAM_FAILED.error().retry_after(after.as_secs().max(1)).with_source(error),
        ProviderError::OutcomeUnknown(_) => UPSTREAM_FAILED.error().retry_after(2).with_source(error),
    }
}

/// Reads a payment and its order.
pub(crate) async fn read(ctx: &Ctx, id: Id<Payment>) -> Result<(OrderRecord, PaymentRecord)> {
    ctx.read(move |c| {
        let payment = store::find(c, id)?.ok_or(&NOT_FOUND)?;
        let order = orders::store::find(c, payment.order_id)?.ok_or(&NOT_FOUND)?;
        Ok((order, payment))
    })
    .await
}

/// Asks the provider where a payment stands, making the intent if there is none yet.
///
/// The caller has the turn of the payment, or does not mind to meet somebody: keys make a call happen once.
pub(crate) async fn ask(ctx: &Ctx, order: &OrderRecord, payment: &PaymentRecord) -> Result<Snapshot, Asked> {
    let provider = Providers::of(&ctx.app, &payment.provider)?;
    if let Some(reference) = &payment.reference {
        return Ok(provider.fetch(reference, payment.currency).await?);
    }
    if ctx.now().since(payment.created_at) >= KEY_LIFE {
        // Its key may be forgotten by now: made again, it could be charged twice.
        let found = provider.find(payment.id, payment.currency).await?;
        return found.ok_or(Asked::Provider(ProviderError::Invalid { code: "expired".to_owned() }));
    }
    let is_manual = ctx.settings::<PaymentSettings>().capture == CaptureMode::Manual && provider.caps().manual_capture;
    let intent = NewIntent {
        payment_id: payment.id,
        order_id: order.id,
        order_number: order.number.clone(),
        amount: payment.money(),
        method: crate::payments::Method::parse(&payment.method).kind.to_owned(),
        manual_capture: is_manual,
    };
    Ok(provider.create(&intent, &ProviderKey::create(payment.id, payment.attempt)).await?)
}

/// Calls a payment off at its provider and answers with the truth: it may be too late (INV-S5).
async fn call_off(ctx: &Ctx, order: &OrderRecord, payment: &PaymentRecord) -> Result<Snapshot, Asked> {
    let provider = Providers::of(&ctx.app, &payment.provider)?;
    let reference = match &payment.reference {
        Some(reference) => reference.clone(),
        // Whether the intent was made is unknown: asking with the same key makes it known.
        None => match ask(ctx, order, payment).await {
            Ok(snapshot) => snapshot.reference,
            Err(Asked::Provider(error)) if !error.is_transient() => return Ok(never_made(payment)),
            Err(error) => return Err(error),
        },
    };
    let news = provider.cancel(&reference, payment.currency, &ProviderKey::cancel(payment.id, ctx.now())).await?;
    // Where nobody is asked, nobody says how much it was.
    Ok(if provider.caps().is_online { news } else { Snapshot { amount: payment.money(), ..news } })
}

/// A payment whose intent the provider refused to make.
fn never_made(payment: &PaymentRecord) -> Snapshot {
    let nothing = offline::opened(payment.id, payment.money());
    Snapshot { reference: format!("none:{}", payment.id), state: PaymentState::Canceled, ..nothing }
}

/// Why a provider could not be asked.
#[derive(Debug)]
pub(crate) enum Asked {
    /// What the provider said.
    Provider(ProviderError),
    /// What we said.
    Ours(Error),
}

impl From<ProviderError> for Asked {
    fn from(error: ProviderError) -> Asked {
        Asked::Provider(error)
    }
}

impl From<Error> for Asked {
    fn from(error: Error) -> Asked {
        Asked::Ours(error)
    }
}

impl From<Asked> for Error {
    fn from(asked: Asked) -> Error {
        match asked {
            Asked::Provider(error) => refusal(error),
            Asked::Ours(error) => error,
        }
    }
}

/// Looks at a payment and applies what the provider says; an order that is over wants its open payments called off.
pub(crate) async fn refresh(ctx: &Ctx, id: Id<Payment>) -> Result<()> {
    for look in 1..=MAX_LOOKS {
        let (order, payment) = read(ctx, id).await?;
        if !Providers::of(&ctx.app, &payment.provider)?.caps().is_online {
            return Ok(());
        }
        let is_over = matches!(order.status(), OrderStatus::Canceled | OrderStatus::Expired);
        let is_open = !payment.state().is_terminal();
        if !is_open && payment.reference.is_none() {
            // It was never made at the provider, and is not made now.
            return Ok(());
        }
        let snapshot = if is_over && is_open { call_off(ctx, &order, &payment).await } else { ask(ctx, &order, &payment).await };
        match snapshot {
            Ok(snapshot) => {
                // Whoever was faster may know more than these news: then they are asked for once more.
                let expected = (look < MAX_LOOKS).then_some(payment.version);
                if apply_at(ctx, id, snapshot, expected).await? {
                    return Ok(());
                }
            }
            Err(Asked::Provider(error)) if !error.is_transient() && is_open && payment.reference.is_none() => {
                return fail_now(ctx, id, &error).await;
            }
            Err(error) => {
                let next = ctx.now() + Duration::from_secs(60);
                ctx.write(move |tx| Ok(store::end_turn(tx, id, next)?)).await?;
                return Err(error.into());
            }
        }
    }
    Ok(())
}

/// Calls off every open payment of an order at its provider, before the order may end (INV-S5).
pub(crate) async fn call_off_all(ctx: &Ctx, order: Id<Order>) -> Result<()> {
    call_off_all_of(ctx, order, None).await.map(|_| ())
}

/// The same for a caller who means this version of the order; answers with the version that calling off has made of it.
pub(crate) async fn call_off_all_of(ctx: &Ctx, order: Id<Order>, mut expected: Option<i64>) -> Result<Option<i64>> {
    let (record, payments) = ctx
        .read(move |c| {
            let record = orders::store::find(c, order)?.ok_or(&NOT_FOUND)?;
            Ok((record, store::of_order(c, order)?))
        })
        .await?;
    for payment in payments.iter().filter(|payment| !payment.state().is_terminal()) {
        let snapshot = call_off(ctx, &record, payment).await?;
        let (context, id) = (ctx.clone(), payment.id);
        let (before, after) = ctx
            .write(move |tx| {
                let (mut order, mut payment) = lock(tx, id)?;
                let before = order.clone();
                // What happened at the provider is applied, whoever has changed the order meanwhile.
                apply(tx, &context, &mut order, &mut payment, &snapshot)?;
                Ok((before, order.version))
            })
            .await?;
        orders::service::require_version(&before, expected)?;
        expected = expected.map(|_| after);
    }
    Ok(expected)
}

/// Applies what a provider said, in a transaction of its own.
pub(crate) async fn apply_now(ctx: &Ctx, id: Id<Payment>, snapshot: Snapshot) -> Result<()> {
    apply_at(ctx, id, snapshot, None).await.map(|_| ())
}

/// The same, unless the payment is not in this version any more; tells whether it was applied.
async fn apply_at(ctx: &Ctx, id: Id<Payment>, snapshot: Snapshot, expected: Option<i64>) -> Result<bool> {
    let context = ctx.clone();
    ctx.write(move |tx| {
        let (mut order, mut payment) = lock(tx, id)?;
        if expected.is_some_and(|version| version != payment.version) {
            return Ok(false);
        }
        apply(tx, &context, &mut order, &mut payment, &snapshot)?;
        Ok(true)
    })
    .await
}

/// Ends a payment that its provider refused to make.
pub(crate) async fn fail_now(ctx: &Ctx, id: Id<Payment>, error: &ProviderError) -> Result<()> {
    let (ProviderError::Declined { code } | ProviderError::Invalid { code }) = error else { return Ok(()) };
    let (context, code) = (ctx.clone(), code.clone());
    ctx.write(move |tx| {
        let (mut order, mut payment) = lock(tx, id)?;
        if payment.state().is_terminal() || payment.reference.is_some() {
            return Ok(());
        }
        payment.provider_code = Some(code.chars().take(64).collect());
        end(tx, &context, &mut order, &mut payment, PaymentState::Failed)
    })
    .await
}

/// Locks the order of a payment, then the payment itself: always in this order.
pub(crate) fn lock(tx: &mut Tx<'_, '_>, id: Id<Payment>) -> Result<(OrderRecord, PaymentRecord)> {
    let order = store::find(tx, id)?.ok_or(&NOT_FOUND)?.order_id;
    let order = orders::store::lock(tx, order)?.ok_or(&NOT_FOUND)?;
    let payment = store::lock(tx, id)?.ok_or(&NOT_FOUND)?;
    Ok((order, payment))
}

/// Writes a payment that is locked.
fn save(tx: &mut Tx<'_, '_>, ctx: &Ctx, payment: &mut PaymentRecord) -> Result<()> {
    payment.updated_at = ctx.now();
    if !store::save(tx, payment)? {
        return Err(Error::internal("a locked payment was changed by somebody else"));
    }
    payment.version += 1;
    Ok(())
}

/// Reads a payment again after statements have moved its sums.
fn reload(tx: &mut Tx<'_, '_>, payment: &mut PaymentRecord) -> Result<()> {
    *payment = store::find(tx, payment.id)?.ok_or(&NOT_FOUND)?;
    Ok(())
}

/// Applies what a provider says about a locked payment of a locked order: forward only, each movement once (INV-P3).
pub(crate) fn apply(tx: &mut Tx<'_, '_>, ctx: &Ctx, order: &mut OrderRecord, payment: &mut PaymentRecord, news: &Snapshot) -> Result<()> {
    if !fits(payment, news) {
        return refuse(tx, ctx, order, payment, news);
    }
    orders::service::settle_mismatch(tx, ctx, order, Attention::PaymentMismatch, payment)?;
    let (before, was_disputed) = (payment.state(), payment.is_disputed);
    let after = before.after(news.state);
    payment.reference = Some(news.reference.clone());
    payment.state = after.as_str().to_owned();
    payment.authorized = match (after, news.state) {
        (PaymentState::Authorized, PaymentState::Authorized) => news.authorized.min(payment.amount),
        // Old news do not take back what was promised since.
        (PaymentState::Authorized, _) => payment.authorized,
        _ => 0,
    };
    payment.captured = payment.captured.max(news.captured.min(payment.amount));
    payment.provider_code = news.decline_code.as_ref().map(|code| code.chars().take(64).collect());
    if payment.client_data_sealed.is_none() {
        payment.client_data_sealed = seal_client_data(ctx, payment.id, news)?;
    }
    payment.live_slot = live_slot(tx, payment, after)?;
    payment.check_at = next_look(ctx, payment, after);
    save(tx, ctx, payment)?;
    book(tx, ctx, payment, news)?;
    refunds::service::apply_all(tx, ctx, order, payment, &news.refunds)?;
    reload(tx, payment)?;
    tell(tx, payment, before, after)?;
    if payment.is_disputed && !was_disputed {
        order.attention = Some(Attention::Disputed.as_str().to_owned());
        orders::service::save(tx, ctx, order, "disputed", None, Some(json!({ "payment_id": payment.id })))?;
    }
    orders::service::follow_payment(tx, ctx, order, payment, before)
}

/// Whether these news are about this payment: the same intent, asking for the same amount in the same currency.
fn fits(payment: &PaymentRecord, news: &Snapshot) -> bool {
    let is_same = payment.reference.as_ref().is_none_or(|reference| *reference == news.reference);
    is_same && news.amount == payment.money() && news.captured <= payment.amount
}

/// News that do not fit change nothing; a person has to look.
fn refuse(tx: &mut Tx<'_, '_>, ctx: &Ctx, order: &mut OrderRecord, payment: &mut PaymentRecord, news: &Snapshot) -> Result<()> {
    payment.check_at = next_look(ctx, payment, payment.state());
    save(tx, ctx, payment)?;
    let detail = json!({
        "payment_id": payment.id, "asked": payment.money(), "found": news.amount, "captured": news.captured,
        "provider_reference": news.reference,
    });
    orders::service::tell_mismatch(tx, ctx, order, Attention::PaymentMismatch, detail)
}

fn seal_client_data(ctx: &Ctx, id: Id<Payment>, news: &Snapshot) -> Result<Option<Vec<u8>>> {
    let Some(data) = &news.client_data else { return Ok(None) };
    let plain = serde_json::to_vec(data).map_err(Error::internal)?;
    Ok(Some(ctx.app.keyring().seal(ctx.app.random(), &client_data_context(id), &plain)))
}

fn client_data_context(id: Id<Payment>) -> String {
    format!("shop_payments.client_data/{id}")
}

/// What the buyer's browser needs to go on paying.
pub(crate) fn client_data(ctx: &Ctx, payment: &PaymentRecord) -> Result<Option<serde_json::Value>> {
    let Some(sealed) = payment.client_data_sealed.as_ref().filter(|_| !payment.state().is_terminal()) else { return Ok(None) };
    let plain = ctx.app.keyring().open(&client_data_context(payment.id), sealed)?;
    serde_json::from_slice(&plain).map(Some).map_err(Error::internal)
}

/// The one live place of the order, unless money came late and another payment has taken it since.
fn live_slot(tx: &mut Tx<'_, '_>, payment: &PaymentRecord, state: PaymentState) -> Result<Option<i64>> {
    if !state.is_live() || payment.live_slot.is_some() {
        return Ok(payment.live_slot.filter(|_| state.is_live()));
    }
    let is_taken = store::of_order(tx, payment.order_id)?.iter().any(|other| other.live_slot.is_some());
    Ok((!is_taken).then_some(1))
}

fn next_look(ctx: &Ctx, payment: &PaymentRecord, state: PaymentState) -> Option<Timestamp> {
    let wait = LOOK_AFTER * u32::try_from(payment.checks + 1).unwrap_or(u32::MAX).min(72);
    let is_online = payment.provider != offline::NAME;
    (is_online && !state.is_terminal()).then(|| ctx.now() + wait.min(LOOK_AFTER_MAX))
}

/// Writes the movements of a payment into the ledger, each under the provider's own id.
fn book(tx: &mut Tx<'_, '_>, ctx: &Ctx, payment: &mut PaymentRecord, news: &Snapshot) -> Result<()> {
    let account = |name: &str| format!("{name}:{}", payment.provider);
    let (clearing, disputes) = (account("clearing"), account("disputes"));
    let (fees, clearing_fees) = (account("fees"), account("clearing_fees"));
    let posting = |kind, reference, from, to, amount| Posting {
        kind,
        reference,
        from,
        to,
        amount,
        order_id: payment.order_id,
        payment_id: payment.id,
    };
    if let Some(charge) = news.charge.as_deref().filter(|_| news.captured > 0) {
        let amount = Money::new(news.captured, payment.currency);
        ledger::post(tx, ctx, &posting(EntryKind::Capture, charge, CUSTOMER, &clearing, amount))?;
    }
    for fee in news.fee.iter().chain(news.dispute.iter().flat_map(|dispute| &dispute.fees)) {
        let amount = Money::new(fee.amount.minor.abs(), fee.amount.currency);
        match fee.amount.minor {
            0 => continue,
            1.. => ledger::post(tx, ctx, &posting(EntryKind::Fee, &fee.reference, &clearing_fees, &fees, amount))?,
            _ => ledger::post(tx, ctx, &posting(EntryKind::Fee, &fee.reference, &fees, &clearing_fees, amount))?,
        };
    }
    let mut is_disputed = payment.is_disputed;
    if let Some(dispute) = &news.dispute {
        let amount = dispute.amount;
        if dispute.is_withdrawn && amount.minor > 0 {
            ledger::post(tx, ctx, &posting(EntryKind::Dispute, &dispute.reference, &clearing, &disputes, amount))?;
            if dispute.is_won {
                ledger::post(tx, ctx, &posting(EntryKind::DisputeWon, &dispute.reference, &disputes, &clearing, amount))?;
            }
        }
        is_disputed = !dispute.is_won;
    }
    if is_disputed != payment.is_disputed {
        payment.is_disputed = is_disputed;
        save(tx, ctx, payment)?;
        if is_disputed {
            tx.record(&PaymentDisputed { payment_id: payment.id.uuid(), order_id: payment.order_id.uuid(), amount: payment.money() })?;
        }
    }
    Ok(())
}

/// Records what subscribers want to know about a step forward.
fn tell(tx: &mut Tx<'_, '_>, payment: &PaymentRecord, before: PaymentState, after: PaymentState) -> Result<()> {
    let (payment_id, order_id, amount) = (payment.id.uuid(), payment.order_id.uuid(), payment.money());
    match after {
        _ if before == after => Ok(()),
        PaymentState::Authorized => tx.record(&PaymentAuthorized { payment_id, order_id, amount }),
        PaymentState::Captured => {
            tx.record(&PaymentCaptured { payment_id, order_id, amount: Money::new(payment.captured, payment.currency) })
        }
        PaymentState::Failed | PaymentState::Canceled => tx.record(&PaymentFailed { payment_id, order_id, amount }),
        PaymentState::Created | PaymentState::Pending => Ok(()),
    }
}

/// Ends a locked payment that brought no money.
pub(crate) fn end(tx: &mut Tx<'_, '_>, ctx: &Ctx, order: &mut OrderRecord, payment: &mut PaymentRecord, state: PaymentState) -> Result<()> {
    let before = payment.state();
    payment.state = state.as_str().to_owned();
    (payment.live_slot, payment.check_at, payment.authorized) = (None, None, 0);
    save(tx, ctx, payment)?;
    tell(tx, payment, before, state)?;
    orders::service::follow_payment(tx, ctx, order, payment, before)
}

/// What staff says about an offline payment that has come.
#[derive(Clone, Debug)]
pub(crate) struct Receipt {
    /// The bank's or the till's own reference.
    pub(crate) reference: Option<String>,
    /// The day on which the money came.
    pub(crate) received_on: Option<String>,
}

/// Notes that the money of an offline payment has come.
pub(crate) async fn confirm_offline(ctx: &Ctx, id: Id<Payment>, receipt: Receipt) -> Result<PaymentRecord> {
    let context = ctx.clone();
    ctx.write(move |tx| {
        let (mut order, mut payment) = lock(tx, id)?;
        require_open_offline(&payment, "confirm")?;
        let amount = payment.money();
        let news = Snapshot {
            state: PaymentState::Captured,
            captured: amount.minor,
            charge: Some(offline::reference(id)),
            ..offline::opened(id, amount)
        };
        apply(tx, &context, &mut order, &mut payment, &news)?;
        let detail = json!({ "payment_id": id, "reference": receipt.reference, "received_on": receipt.received_on });
        tx.audit(AuditEntry::ok("shop.payment.confirm", &format!("order:{}", order.id)).with_detail(detail.clone()))?;
        orders::service::note(tx, &context, &order, "payment_confirmed", None, Some(detail))?;
        reload(tx, &mut payment)?;
        Ok(payment)
    })
    .await
}

/// Notes that the money of an offline payment will not come.
pub(crate) async fn fail_offline(ctx: &Ctx, id: Id<Payment>, reason: Option<String>) -> Result<PaymentRecord> {
    let context = ctx.clone();
    ctx.write(move |tx| {
        let (mut order, mut payment) = lock(tx, id)?;
        require_open_offline(&payment, "fail")?;
        end(tx, &context, &mut order, &mut payment, PaymentState::Failed)?;
        tx.audit(AuditEntry::ok("shop.payment.fail", &format!("order:{}", order.id)))?;
        orders::service::note(tx, &context, &order, "payment_failed", reason.clone(), Some(json!({ "payment_id": id })))?;
        Ok(payment)
    })
    .await
}

fn require_open_offline(payment: &PaymentRecord, verb: &str) -> Result<()> {
    if payment.provider != offline::NAME {
        return Err(INVALID_STATE.because(format!("Only a person can {verb} an offline payment; this one is its provider's to decide.")));
    }
    if payment.state().is_terminal() {
        return Err(invalid_state(payment, &["pending"]));
    }
    Ok(())
}

/// The payment is in no state for this.
pub(crate) fn invalid_state(payment: &PaymentRecord, allowed: &[&str]) -> Error {
    INVALID_STATE.error().with_member("current_state", payment.state.clone()).with_member("allowed", json!(allowed))
}

/// Collects an authorised payment, whole or in part.
pub(crate) async fn capture(ctx: &Ctx, id: Id<Payment>, amount: Option<Money>) -> Result<PaymentRecord> {
    let (order, payment) = read(ctx, id).await?;
    if payment.state() == PaymentState::Captured {
        return Ok(payment);
    }
    if payment.state() != PaymentState::Authorized || order.status() != OrderStatus::Confirmed {
        return Err(invalid_state(&payment, &["authorized"]));
    }
    let amount = amount.unwrap_or(Money::new(payment.authorized, payment.currency));
    if amount.currency != payment.currency || amount.minor < 1 || amount.minor > payment.authorized {
        let field = kernel::FieldError::body("/amount", "out_of_range", "At least one unit, at most what is authorised.");
        return Err(Error::invalid(vec![field]));
    }
    let provider = Providers::of(&ctx.app, &payment.provider)?;
    let reference = payment.reference.clone().unwrap_or_default();
    // The claim on the request's key is written before the provider is called, so that a retry knows of the first try.
    let subject = format!("payment:{id}");
    ctx.write(move |tx| tx.audit(AuditEntry::ok("shop.payment.capture", &subject))).await?;
    let news = match provider.capture(&reference, amount, &ProviderKey::capture(id, amount.minor)).await {
        Ok(news) => news,
        // It may have been captured before: the intent itself tells.
        Err(ProviderError::Invalid { .. }) => provider.fetch(&reference, payment.currency).await.map_err(refusal)?,
        Err(error) => return Err(refusal(error)),
    };
    apply_now(ctx, id, news).await?;
    let (_, payment) = read(ctx, id).await?;
    // What was promised may have lapsed before it was asked for.
    if payment.state() == PaymentState::Captured { Ok(payment) } else { Err(invalid_state(&payment, &["authorized"])) }
}

/// Calls an open payment off.
pub(crate) async fn cancel(ctx: &Ctx, id: Id<Payment>) -> Result<PaymentRecord> {
    let (order, payment) = read(ctx, id).await?;
    if payment.state().is_terminal() {
        return Err(invalid_state(&payment, &["created", "pending", "authorized"]));
    }
    let news = call_off(ctx, &order, &payment).await?;
    apply_now(ctx, id, news).await?;
    Ok(read(ctx, id).await?.1)
}
