//! The one verb of checkout, and how an interrupted one goes on.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use db::OnViolation as _;
use kernel::error::{IDEMPOTENCY_KEY_IN_USE, IDEMPOTENCY_KEY_REUSED, NOT_FOUND, QUOTA_EXCEEDED, RATE_LIMITED};
use kernel::limits::Quota;
use kernel::money::Money;
use kernel::platform::LimitSettings;
use kernel::{Ctx, Error, FieldError, Id, Job, Result, Timestamp, Tx, UserId};
use serde::{Deserialize, Serialize};
use serde_json::json;
use sha2::{Digest as _, Sha256};

use crate::carts::{self, CartAccess, CartRecord, CartSecret, PricedCart};
use crate::checkout::http::CheckoutResult;
use crate::checkout::settings::CheckoutSettings;
use crate::checkout::{Checkout, CheckoutRecord, DONE, NewCheckout, ORDER_CREATED, Outcome, Refused, numbers, secret_context, store};
use crate::ids::{Order, OrderLine};
use crate::mails::{self, MailKind};
use crate::order_events::{OrderConfirmed, OrderCreated, OrderPaid};
use crate::orders::access::secret_hash;
use crate::orders::views::{OrderView, PaymentView};
use crate::orders::{
    self, DiscountRecord, FulfilmentStatus, LineDemand, LineRecord, OrderRecord, OrderStatus, PaymentStatus, TaxRecord, WholeOrder,
};
use crate::payments::settings::{OfflineSettings, PaymentSettings};
use crate::payments::{self, Method, PaymentProvider, PaymentRecord, PaymentState, ProviderError, Providers, Snapshot};
use crate::problems::{ADDRESS_INVALID, CART_ORDERED, CURRENCY_NOT_SUPPORTED, NOT_SHIPPABLE};
use crate::promotions::claim_coupon;
use crate::selling_problems::{CART_EMPTY, CART_INCOMPLETE, PAYMENT_REQUIRED, PRICE_CHANGED};
use crate::settings::{ShopRules, ShopSettings};
use crate::stock;

/// How long the answer to a key is kept.
const KEPT: Duration = Duration::from_secs(48 * 3600);
/// How often an order may be tried to be paid.
const MAX_PAYMENTS: usize = 20;
/// How often repeated requests may call the provider about one order, for each try that a cart has: about as often as `Retry-After` says.
const CALLS_PER_TRY: u32 = 3;

/// Forgets old records.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct PurgeCheckouts {}

impl Job for PurgeCheckouts {
    const KIND: &'static str = "shop.purge_checkouts";
}

pub(crate) async fn purge(ctx: Ctx, _job: PurgeCheckouts) -> Result<()> {
    let before = ctx.now() - KEPT;
    ctx.write_in_batches(500, move |tx| Ok(store::purge(tx, before)?)).await
}

/// What is known before the transaction: ids, secrets, the rules of this moment. The transaction may run more than once.
struct Plan {
    new: NewCheckout,
    access: CartAccess,
    key_hash: [u8; 32],
    fingerprint: [u8; 32],
    order_id: Id<Order>,
    number: String,
    secret: String,
    rules: ShopRules,
    person: Option<Buyer>,
    provider: Arc<dyn PaymentProvider>,
    now: Timestamp,
}

/// Who is logged in.
struct Buyer {
    user_id: UserId,
    email: Option<String>,
}

/// What the first transaction came to.
enum Placed {
    /// It is all done.
    Done(Vec<u8>),
    /// The provider is next.
    Open(Box<(OrderRecord, PaymentRecord, CheckoutRecord)>),
}

/// Makes an order of a cart, once per key and once per cart.
pub(crate) async fn check_out(ctx: &Ctx, new: NewCheckout, secret: CartSecret, key: &str) -> Result<Outcome> {
    let (key_hash, fingerprint) = (key_hash(ctx, &secret, key), fingerprint(&new)?);
    // Before anything is counted: whoever lost an answer gets it, however often they have tried (INV-I1).
    if let Some(record) = find(ctx, key_hash).await? {
        return resume(ctx, record, &fingerprint).await;
    }
    throttle(ctx, &new)?;
    let provider = provider_of(ctx, &new.payment_method)?;
    let person = buyer(ctx).await?;
    let number = numbers::take(ctx).await?;
    let plan = Arc::new(Plan {
        access: CartAccess::of(ctx, &secret),
        key_hash,
        fingerprint,
        order_id: ctx.new_id(),
        number: format!("{}{number}", ctx.settings::<ShopSettings>().order_number_prefix),
        secret: ctx.app.random().token(),
        rules: ShopRules::of(&ctx.app),
        person,
        provider,
        now: ctx.now(),
        new,
    });
    let (context, shared) = (ctx.clone(), plan.clone());
    match ctx.write(move |tx| place(tx, &context, &shared)).await {
        Ok(Placed::Done(body)) => Ok(Outcome::Ordered { order_id: plan.order_id, body, is_replayed: false }),
        Ok(Placed::Open(open)) => {
            let (order, payment, record) = *open;
            call_provider(ctx, &order, &payment, &record).await
        }
        Err(error) => {
            // A twin may have been first: then its answer is ours.
            match find(ctx, key_hash).await? {
                Some(record) => {
                    ctx.app.limiter().give_back(&tries(ctx), tries_key(ctx, &plan.new));
                    resume(ctx, record, &plan.fingerprint).await
                }
                None => Err(error),
            }
        }
    }
}

/// So many tries per cart and address and minute (shop.md §12); repeated requests are none, they are counted by the guard alone.
fn throttle(ctx: &Ctx, new: &NewCheckout) -> Result<()> {
    count(ctx, &tries(ctx), tries_key(ctx, new))
}

fn tries(ctx: &Ctx) -> Quota {
    Quota { name: "checkout", burst: ctx.settings::<CheckoutSettings>().tries_per_minute, window: Duration::from_secs(60) }
}

fn calls(ctx: &Ctx) -> Quota {
    let tries = tries(ctx);
    Quota { name: "checkout_calls", burst: tries.burst.saturating_mul(CALLS_PER_TRY), ..tries }
}

fn tries_key(ctx: &Ctx, new: &NewCheckout) -> u64 {
    ctx.app.limiter().key(&(new.cart_id, kernel::address::limit_key(ctx.request.client_address)))
}

fn count(ctx: &Ctx, quota: &Quota, key: u64) -> Result<()> {
    if !ctx.settings::<LimitSettings>().enabled {
        return Ok(());
    }
    let decision = ctx.app.limiter().check(quota, key, ctx.now());
    if decision.allowed { Ok(()) } else { Err(RATE_LIMITED.error().retry_after(decision.retry_after_secs.max(1))) }
}

/// The key counts for its caller alone: their login, or the cart's secret, which no stranger has.
///
/// Departs from R-62: the address is left out, so that a buyer whose phone changes networks still gets the first answer.
fn key_hash(ctx: &Ctx, secret: &CartSecret, key: &str) -> [u8; 32] {
    let holder = secret.0.as_deref().map(|secret| URL_SAFE_NO_PAD.encode(Sha256::digest(secret.as_bytes()))).unwrap_or_default();
    ctx.app.keyring().mac("shop checkout key", format!("{}\n{holder}\n{key}", ctx.actor.label()).as_bytes())
}

fn fingerprint(new: &NewCheckout) -> Result<[u8; 32]> {
    let text = serde_json::to_vec(new).map_err(Error::internal)?;
    Ok(Sha256::digest(text).into())
}

/// The provider of an offered method.
pub(crate) fn provider_of(ctx: &Ctx, method: &str) -> Result<Arc<dyn PaymentProvider>> {
    let offered = &ctx.settings::<PaymentSettings>().methods;
    if !offered.iter().any(|offered| offered == method) {
        let field = FieldError::body("/payment_method", "not_allowed", format!("One of: {}.", offered.join(", ")));
        return Err(Error::invalid(vec![field]));
    }
    Providers::of(&ctx.app, Method::parse(method).provider)
}

async fn buyer(ctx: &Ctx) -> Result<Option<Buyer>> {
    let Some(user_id) = ctx.actor.maybe_user_id() else { return Ok(None) };
    let email = match ctx.app.ports().directory() {
        Some(directory) => directory.people(&ctx.app, &[user_id]).await?.into_iter().next().map(|person| person.email),
        None => None,
    };
    Ok(Some(Buyer { user_id, email }))
}

/// T1: everything that an order is, or nothing.
fn place(tx: &mut Tx<'_, '_>, ctx: &Ctx, plan: &Plan) -> Result<Placed> {
    let cart_id = plan.new.cart_id;
    if let Err(error) = carts::claim_for_checkout(tx, cart_id, plan.order_id, plan.now) {
        // Who may not open the cart does not learn what became of it.
        let cart = carts::store::find(tx, cart_id)?.ok_or(&NOT_FOUND)?;
        plan.access.require(&cart)?;
        return Err(error);
    }
    let priced = carts::load_priced(tx, cart_id, plan.now, &plan.rules)?;
    plan.access.require(&priced.cart)?;
    check_cart(&priced)?;
    let total = priced.totals.total;
    if total != plan.new.expected_total {
        return Err(PRICE_CHANGED.error().with_member("totals", json!(priced.totals)));
    }
    if total.minor > 0 && !plan.provider.accepts(total) {
        return Err(CURRENCY_NOT_SUPPORTED.on("/payment_method"));
    }
    let email = email_of(&priced.cart, plan)?;
    let is_open = total.minor > 0 && plan.provider.caps().is_online;
    let expires_at = is_open.then(|| plan.now + *plan.rules.reservation);
    stock::reserve(tx, ctx, plan.order_id, &priced.demand(), expires_at)?;
    let customer = customer_of(&email);
    let mut coupons: Vec<_> = priced.coupons.iter().collect();
    // In the order of their ids, as they are given back: two orders with the same coupons do not wait for each other.
    coupons.sort_unstable_by_key(|coupon| coupon.coupon_id);
    for coupon in coupons {
        claim_coupon(tx, ctx, coupon, plan.order_id, &customer)?;
    }
    let payment =
        (total.minor > 0).then(|| payments::service::new_payment(ctx, plan.order_id, &plan.provider, &plan.new.payment_method, total));
    let whole = WholeOrder {
        order: order_of(ctx, plan, &priced, email, payment.as_ref(), expires_at)?,
        lines: lines_of(ctx, plan, &priced)?,
        taxes: taxes_of(&priced),
        discounts: discounts_of(&priced),
        payments: payment.iter().cloned().collect(),
    };
    write(tx, ctx, &whole)?;
    tell(tx, ctx, &whole.order)?;
    finish_place(tx, ctx, plan, whole, payment)
}

/// A cart with something that must be settled first is not ordered.
fn check_cart(priced: &PricedCart) -> Result<()> {
    if priced.lines.is_empty() {
        return Err(CART_EMPTY.error());
    }
    // What the stock can give is decided by the stock itself, under its locks.
    let blocking: Vec<_> = priced.problems.iter().filter(|problem| problem.is_blocking && problem.code != "out_of_stock").collect();
    let Some(first) = blocking.first() else { return Ok(()) };
    let problems: Vec<_> =
        blocking.iter().map(|problem| json!({ "code": problem.code, "line_id": problem.line_id, "detail": problem.detail })).collect();
    let error = match first.code {
        "not_shippable" => {
            let lines: Vec<_> = priced.lines.iter().filter(|line| line.is_shippable).map(|line| line.id).collect();
            NOT_SHIPPABLE.error().with_member("lines", json!(lines))
        }
        "address_required" => ADDRESS_INVALID.error(),
        _ => CART_INCOMPLETE.error(),
    };
    Err(error.with_member("problems", problems))
}

fn email_of(cart: &CartRecord, plan: &Plan) -> Result<String> {
    let known = cart.email.clone().or_else(|| plan.person.as_ref()?.email.clone());
    known.ok_or_else(|| {
        let problem = json!([{ "code": "email_required", "line_id": null, "detail": "Mails about the order need an address." }]);
        CART_INCOMPLETE.error().with_member("problems", problem)
    })
}

/// What "once per customer" is counted by; lower case may be longer than what it was made of.
fn customer_of(email: &str) -> String {
    email.to_lowercase().chars().take(254).collect()
}

fn order_of(
    ctx: &Ctx,
    plan: &Plan,
    priced: &PricedCart,
    email: String,
    payment: Option<&PaymentRecord>,
    expires_at: Option<Timestamp>,
) -> Result<OrderRecord> {
    let (cart, totals, now) = (&priced.cart, &priced.totals, plan.now);
    let is_free = payment.is_none();
    let is_pending = expires_at.is_some();
    let days = u64::from(ctx.settings::<OfflineSettings>().expire_days);
    let address = |address: Option<&carts::Address>| address.map(serde_json::to_string).transpose().map_err(Error::internal);
    let has_goods = priced.lines.iter().any(|line| line.is_shippable);
    Ok(OrderRecord {
        id: plan.order_id,
        cart_id: cart.id,
        number: plan.number.clone(),
        secret_hash: secret_hash(&plan.secret).to_vec(),
        secret_sealed: ctx.app.keyring().seal(ctx.app.random(), &secret_context(plan.order_id), plan.secret.as_bytes()),
        user_id: cart.user_id.or_else(|| plan.person.as_ref().map(|person| person.user_id)),
        email,
        status: if is_pending { OrderStatus::Pending } else { OrderStatus::Confirmed }.as_str().to_owned(),
        payment_status: if is_free { PaymentStatus::Paid } else { PaymentStatus::Unpaid }.as_str().to_owned(),
        fulfilment_status: if has_goods { FulfilmentStatus::Unfulfilled } else { FulfilmentStatus::Fulfilled }.as_str().to_owned(),
        currency: cart.currency,
        prices_include_tax: totals.prices_include_tax,
        subtotal: totals.subtotal.minor,
        discount: totals.discount.minor,
        shipping: totals.shipping.minor,
        tax: totals.tax.minor,
        rounding: totals.rounding.minor,
        total: totals.total.minor,
        shipping_gross: totals.shipping_line.total.minor,
        shipping_refunded: 0,
        captured: 0,
        refunded: 0,
        billing_address: address(cart.billing_address.as_ref())?,
        shipping_address: address(cart.shipping_address.as_ref())?,
        shipping_method_id: priced.shipping.as_ref().map(|shipping| shipping.method_id),
        shipping_title: priced.shipping.as_ref().map(|shipping| shipping.name.clone()),
        payment_method: payment.map(|payment| payment.method.clone()),
        locale: cart.locale.clone(),
        note: plan.new.note.clone().or_else(|| cart.note.clone()),
        attention: None,
        expires_at: expires_at.or_else(|| (!is_free).then(|| now + Duration::from_secs(days * 24 * 3600))),
        placed_at: now,
        confirmed_at: (!is_pending).then_some(now),
        paid_at: is_free.then_some(now),
        completed_at: None,
        canceled_at: None,
        updated_at: now,
        version: 1,
    })
}

fn lines_of(ctx: &Ctx, plan: &Plan, priced: &PricedCart) -> Result<Vec<LineRecord>> {
    let mut records = Vec::with_capacity(priced.lines.len());
    for (position, line) in (0_i64..).zip(&priced.lines) {
        let figures = priced.totals.lines.iter().find(|figures| figures.line_id == line.id);
        let figures = figures.ok_or_else(|| Error::internal("a line that can be bought has no price"))?;
        let quantity = i64::from(line.quantity);
        let demand: Vec<LineDemand> =
            line.demand.iter().map(|part| LineDemand { item_id: part.item_id, quantity: part.quantity / quantity.max(1) }).collect();
        let rates: Vec<_> =
            figures.taxes.iter().map(|tax| json!({ "name": tax.name, "ppm": tax.rate_ppm, "category": tax.category.as_str() })).collect();
        records.push(LineRecord {
            id: ctx.new_id::<OrderLine>(),
            order_id: plan.order_id,
            position,
            product_id: line.product_id,
            variant_id: line.variant_id,
            title: line.product_title.clone(),
            variant_title: line.variant_title.clone(),
            sku: line.sku.clone(),
            quantity,
            unit_price: figures.unit_price.minor,
            subtotal: figures.subtotal.minor,
            discount: figures.discount.minor,
            net: figures.net.minor,
            tax: figures.tax.minor,
            gross: figures.total.minor,
            rates: serde_json::to_string(&rates).map_err(Error::internal)?,
            demand: serde_json::to_string(&demand).map_err(Error::internal)?,
            is_shippable: line.is_shippable,
            allocated_quantity: 0,
            fulfilled_quantity: 0,
            refunded_quantity: 0,
            returned_quantity: 0,
            refunded_amount: 0,
        });
    }
    Ok(records)
}

fn taxes_of(priced: &PricedCart) -> Vec<TaxRecord> {
    let record = |tax: &crate::pricing::TaxTotal| TaxRecord {
        name: tax.name.clone(),
        category: tax.category.as_str().to_owned(),
        rate_ppm: i64::from(tax.rate_ppm),
        net: tax.net.minor,
        tax: tax.tax.minor,
    };
    priced.totals.taxes.iter().map(record).collect()
}

fn discounts_of(priced: &PricedCart) -> Vec<DiscountRecord> {
    let coupon = |promotion| priced.coupons.iter().find(|coupon| coupon.promotion_id == promotion).map(|coupon| coupon.coupon_id);
    let record = |discount: &crate::pricing::DiscountTotal| DiscountRecord {
        coupon_id: coupon(discount.promotion_id),
        code: discount.code.clone(),
        title: discount.name.clone(),
        amount: discount.amount.minor,
    };
    priced.totals.discounts.iter().map(record).collect()
}

/// Writes the order with everything that belongs to it. One order per cart: the unique key decides (INV-I2).
fn write(tx: &mut Tx<'_, '_>, ctx: &Ctx, whole: &WholeOrder) -> Result<()> {
    let order = &whole.order;
    orders::store::insert(tx, order).on_unique("shop_orders_cart", || CART_ORDERED.error())?;
    for line in &whole.lines {
        orders::store::insert_line(tx, line)?;
    }
    for (position, tax) in (0_i64..).zip(&whole.taxes) {
        orders::store::insert_tax(tx, order.id, position, tax)?;
    }
    for (position, discount) in (0_i64..).zip(&whole.discounts) {
        orders::store::insert_discount(tx, order.id, position, discount)?;
    }
    for payment in &whole.payments {
        payments::store::insert(tx, payment)?;
    }
    orders::service::note(tx, ctx, order, "placed", None, None)
}

/// Records what follows from the order.
fn tell(tx: &mut Tx<'_, '_>, ctx: &Ctx, order: &OrderRecord) -> Result<()> {
    let (order_id, number) = (order.id.uuid(), order.number.clone());
    tx.record(&OrderCreated { order_id, number: number.clone() })?;
    if order.confirmed_at.is_some() {
        tx.record(&OrderConfirmed { order_id, number: number.clone() })?;
        mails::queue(tx, ctx, order.id, MailKind::Placed, None)?;
    }
    if order.paid_at.is_some() {
        tx.record(&OrderPaid { order_id, number, total: order.money(order.total) })?;
    }
    Ok(())
}

/// Writes the record of the request; with its answer, if no provider has to be called.
fn finish_place(tx: &mut Tx<'_, '_>, ctx: &Ctx, plan: &Plan, whole: WholeOrder, payment: Option<PaymentRecord>) -> Result<Placed> {
    let is_open = whole.order.status() == OrderStatus::Pending;
    let mut record = CheckoutRecord {
        id: ctx.new_id(),
        key_hash: plan.key_hash.to_vec(),
        fingerprint: plan.fingerprint.to_vec(),
        cart_id: plan.new.cart_id,
        order_id: plan.order_id,
        payment_id: payment.as_ref().map(|payment| payment.id),
        phase: if is_open { ORDER_CREATED } else { DONE }.to_owned(),
        status: None,
        response_sealed: None,
        created_at: plan.now,
    };
    let placed = match payment {
        Some(payment) if is_open => Placed::Open(Box::new((whole.order, payment, record.clone()))),
        payment => {
            let body = body_of(ctx, whole, payment, plan.secret.clone())?;
            record.status = Some(201);
            record.response_sealed = Some(seal(ctx, record.id, &body));
            Placed::Done(body)
        }
    };
    store::insert(tx, &record).on_unique("shop_checkouts_key", || IDEMPOTENCY_KEY_IN_USE.error().retry_after(1))?;
    Ok(placed)
}

fn body_of(ctx: &Ctx, whole: WholeOrder, payment: Option<PaymentRecord>, order_secret: String) -> Result<Vec<u8>> {
    let payment = payment.map(|payment| PaymentView::for_buyer(ctx, payment)).transpose()?;
    let result = CheckoutResult { order: OrderView::of(ctx, whole)?, payment, order_secret };
    serde_json::to_vec(&result).map_err(Error::internal)
}

fn response_context(id: Id<Checkout>) -> String {
    format!("shop_checkouts.response/{id}")
}

fn seal(ctx: &Ctx, id: Id<Checkout>, body: &[u8]) -> Vec<u8> {
    ctx.app.keyring().seal(ctx.app.random(), &response_context(id), body)
}

async fn find(ctx: &Ctx, key_hash: [u8; 32]) -> Result<Option<CheckoutRecord>> {
    ctx.read(move |c| Ok(store::find(c, &key_hash)?)).await
}

/// Answers a repeated request: with the first answer, or by carrying on where the first one stopped.
async fn resume(ctx: &Ctx, record: CheckoutRecord, fingerprint: &[u8; 32]) -> Result<Outcome> {
    if record.fingerprint != fingerprint {
        return Err(IDEMPOTENCY_KEY_REUSED.error());
    }
    if record.phase == DONE {
        return replay(ctx, &record);
    }
    let Some(payment_id) = record.payment_id else { return Err(Error::internal("an open checkout has no payment")) };
    let (order, payment) = payments::service::read(ctx, payment_id).await?;
    if payment.reference.is_some() || payment.state().is_terminal() {
        // The recovery was there before us.
        return finish(ctx, &record, None).await;
    }
    let (calls, key) = (calls(ctx), ctx.app.limiter().key(&record.order_id));
    count(ctx, &calls, key)?;
    let (now, until) = (ctx.now(), ctx.now() + payments::service::TURN);
    if !ctx.write(move |tx| Ok(payments::store::take_turn(tx, payment_id, now, until)?)).await? {
        ctx.app.limiter().give_back(&calls, key);
        return Err(IDEMPOTENCY_KEY_IN_USE.error().retry_after(1));
    }
    call_provider(ctx, &order, &payment, &record).await
}

fn replay(ctx: &Ctx, record: &CheckoutRecord) -> Result<Outcome> {
    let sealed = record.response_sealed.as_ref().ok_or_else(|| Error::internal("a finished checkout has no answer"))?;
    let body = ctx.app.keyring().open(&response_context(record.id), sealed)?.to_vec();
    if record.status == Some(402) {
        return serde_json::from_slice(&body).map(Outcome::Refused).map_err(Error::internal);
    }
    Ok(Outcome::Ordered { order_id: record.order_id, body, is_replayed: true })
}

/// S2 and T3: calls the provider outside of any transaction, then applies what it said.
async fn call_provider(ctx: &Ctx, order: &OrderRecord, payment: &PaymentRecord, record: &CheckoutRecord) -> Result<Outcome> {
    use payments::service::Asked;
    match payments::service::ask(ctx, order, payment).await {
        Ok(snapshot) => finish(ctx, record, Some(snapshot)).await,
        Err(Asked::Provider(error @ (ProviderError::Declined { .. } | ProviderError::Invalid { .. }))) => {
            payments::service::fail_now(ctx, payment.id, &error).await?;
            finish(ctx, record, None).await
        }
        Err(error) => {
            // Nobody has the turn any more: the same key may carry on at once.
            let (id, now) = (payment.id, ctx.now());
            ctx.write(move |tx| Ok(payments::store::end_turn(tx, id, now)?)).await?;
            Err(error.into())
        }
    }
}

/// T3: applies the news, if there are any, and stores the one answer; who comes second gets that of the first.
async fn finish(ctx: &Ctx, record: &CheckoutRecord, news: Option<Snapshot>) -> Result<Outcome> {
    let Some(payment_id) = record.payment_id else { return Err(Error::internal("an open checkout has no payment")) };
    let (context, own) = (ctx.clone(), record.clone());
    let outcome = ctx
        .write(move |tx| {
            let (mut order, mut payment) = payments::service::lock(tx, payment_id)?;
            if let Some(news) = &news {
                payments::service::apply(tx, &context, &mut order, &mut payment, news)?;
            }
            let secret = context.app.keyring().open(&secret_context(order.id), &order.secret_sealed)?;
            let secret = String::from_utf8(secret.to_vec()).map_err(Error::internal)?;
            let order_id = order.id;
            let is_refused = payment.state() == PaymentState::Failed;
            let (status, body) = if is_refused {
                let provider_code = payment.provider_code.clone().unwrap_or_else(|| "unknown".to_owned());
                let refused = Refused { provider_code, order_id, order_secret: secret };
                (402, serde_json::to_vec(&refused).map_err(Error::internal)?)
            } else {
                let whole = orders::service::whole(tx, order)?;
                (201, body_of(&context, whole, Some(payment), secret)?)
            };
            if !store::finish(tx, own.id, status, &seal(&context, own.id, &body))? {
                return Ok(None);
            }
            Ok(Some((status, body)))
        })
        .await?;
    match outcome {
        Some((402, body)) => serde_json::from_slice(&body).map(Outcome::Refused).map_err(Error::internal),
        Some((_, body)) => Ok(Outcome::Ordered { order_id: record.order_id, body, is_replayed: false }),
        None => {
            let key_hash: [u8; 32] = record.key_hash.as_slice().try_into().map_err(Error::internal)?;
            let stored = find(ctx, key_hash).await?.ok_or_else(|| Error::internal("a checkout was forgotten while it ran"))?;
            replay(ctx, &stored)
        }
    }
}

/// What a refused payment becomes for its caller: 402 with what is needed to pay in another way.
pub(crate) fn refused(refused: &Refused) -> Error {
    PAYMENT_REQUIRED
        .error()
        .with_member("provider_code", refused.provider_code.clone())
        .with_member("order_id", json!(refused.order_id))
        .with_member("order_secret", refused.order_secret.clone())
}

/// Begins another payment of an order that waits for one; what was begun before is called off first (INV-I7).
pub(crate) async fn pay_again(ctx: &Ctx, order: Id<Order>, method: &str) -> Result<PaymentRecord> {
    let provider = provider_of(ctx, method)?;
    let record = ctx
        .read(move |c| {
            let record = orders::store::find(c, order)?.ok_or(&NOT_FOUND)?;
            check_payable(c, &record)?;
            Ok(record)
        })
        .await?;
    if !provider.accepts(record.money(record.total)) {
        return Err(CURRENCY_NOT_SUPPORTED.on("/payment_method"));
    }
    payments::service::call_off_all(ctx, order).await?;
    let (context, method, shared) = (ctx.clone(), method.to_owned(), provider.clone());
    let (record, payment) = ctx
        .write(move |tx| {
            let mut record = orders::store::lock(tx, order)?.ok_or(&NOT_FOUND)?;
            check_payable(tx, &record)?;
            let total = Money::new(record.total, record.currency);
            let payment = payments::service::new_payment(&context, order, &shared, &method, total);
            payments::store::insert(tx, &payment).on_unique("shop_payments_live", || orders::service::invalid_state(&record))?;
            record.payment_method = Some(method.clone());
            let detail = json!({ "payment_id": payment.id, "method": method });
            orders::service::save(tx, &context, &mut record, "payment_begun", None, Some(detail))?;
            if !shared.caps().is_online {
                orders::service::agree_to_wait(tx, &context, &mut record)?;
            }
            Ok((record, payment))
        })
        .await?;
    if !provider.caps().is_online {
        return Ok(payment);
    }
    // Should the provider be away now, the recovery or a look at the payment goes on; the answer is never lost.
    match payments::service::ask(ctx, &record, &payment).await {
        Ok(news) => payments::service::apply_now(ctx, payment.id, news).await?,
        Err(payments::service::Asked::Provider(error)) => {
            payments::service::fail_now(ctx, payment.id, &error).await?;
            let (id, now) = (payment.id, ctx.now());
            ctx.write(move |tx| Ok(payments::store::end_turn(tx, id, now)?)).await?;
        }
        Err(error) => return Err(error.into()),
    }
    Ok(payments::service::read(ctx, payment.id).await?.1)
}

/// Orders can be paid in another way as long as no money has come or is promised, and so often.
fn check_payable(c: &mut db::Conn, order: &OrderRecord) -> Result<()> {
    let is_waiting = matches!(order.status(), OrderStatus::Pending | OrderStatus::Confirmed) && order.paid_at.is_none();
    let payments = payments::store::of_order(c, order.id)?;
    let is_promised = payments.iter().any(|payment| matches!(payment.state(), PaymentState::Authorized | PaymentState::Captured));
    if !is_waiting || order.captured > 0 || is_promised {
        return Err(orders::service::invalid_state(order));
    }
    if payments.len() >= MAX_PAYMENTS {
        return Err(QUOTA_EXCEEDED.because(format!("An order has at most {MAX_PAYMENTS} payments.")));
    }
    Ok(())
}
