//! Orders on the wire.

use kernel::money::Money;
use kernel::{Ctx, Error, Id, Result, Timestamp};
use serde::Serialize;
use utoipa::ToSchema;

use crate::carts::Address;
use crate::ids::{Order, OrderLine, Payment, Product, Variant};
use crate::orders::{FulfilmentStatus, LineRecord, LogRow, OrderRecord, OrderStatus, PaymentStatus, WholeOrder};
use crate::payments::settings::OfflineSettings;
use crate::payments::{PaymentRecord, PaymentState, offline};

/// An order.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({
    "id": "019ab0b2-8f00-7000-8000-000000000001", "number": "1001", "status": "confirmed", "payment_status": "unpaid",
    "fulfilment_status": "unfulfilled", "email": "ada@example.com", "locale": "en", "prices_include_tax": true,
    "subtotal": {"amount": 2499, "currency": "EUR"}, "discount": {"amount": 0, "currency": "EUR"},
    "shipping": {"amount": 490, "currency": "EUR"}, "tax": {"amount": 477, "currency": "EUR"}, "rounding": {"amount": 0, "currency": "EUR"},
    "total": {"amount": 2989, "currency": "EUR"}, "captured": {"amount": 0, "currency": "EUR"}, "refunded": {"amount": 0, "currency": "EUR"},
    "shipping_title": "Parcel", "shipping_gross": {"amount": 490, "currency": "EUR"}, "shipping_address": null, "billing_address": null,
    "note": null, "payment_method": "offline:bank_transfer", "instructions": "Please transfer the total, and name the number of the order.",
    "attention": null, "lines": [], "taxes": [], "discounts": [], "payments": [], "placed_at": "2026-11-22T12:00:00.000Z",
    "confirmed_at": "2026-11-22T12:00:00.000Z", "paid_at": null, "completed_at": null, "canceled_at": null,
    "expires_at": "2026-12-06T12:00:00.000Z", "updated_at": "2026-11-22T12:00:00.000Z", "version": 1
}))]
pub(crate) struct OrderView {
    /// The order.
    #[schema(value_type = uuid::Uuid)]
    id: Id<Order>,
    /// The number that people use; it gives no access.
    #[schema(max_length = 40)]
    number: String,
    /// Where it is in its life.
    status: OrderStatus,
    /// What has been paid.
    payment_status: PaymentStatus,
    /// What has left the house.
    fulfilment_status: FulfilmentStatus,
    /// Where its mails go.
    #[schema(max_length = 254)]
    email: String,
    /// The language of its mails.
    #[schema(max_length = 35)]
    locale: String,
    /// Whether the amounts of lines and shipping include taxes.
    prices_include_tax: bool,
    /// The lines before discounts.
    subtotal: Money,
    /// What all discounts take off.
    discount: Money,
    /// What delivering costs before discounts.
    shipping: Money,
    /// All taxes; part of the other amounts when prices include tax.
    tax: Money,
    /// What rounding adds or takes.
    rounding: Money,
    /// What is to be paid.
    total: Money,
    /// What has come.
    captured: Money,
    /// What has gone back.
    refunded: Money,
    /// How it is delivered.
    #[schema(max_length = 190)]
    shipping_title: Option<String>,
    /// What delivering costs after discounts, with taxes.
    shipping_gross: Money,
    /// Where the goods go.
    shipping_address: Option<Address>,
    /// Who is billed; the shipping address when none is given.
    billing_address: Option<Address>,
    /// What the buyer wants to tell.
    #[schema(max_length = 2000)]
    note: Option<String>,
    /// How it is to be paid.
    #[schema(max_length = 64)]
    payment_method: Option<String>,
    /// What to do to pay it, where that is not a provider's page.
    #[schema(max_length = 4000)]
    instructions: Option<String>,
    /// Why a person should look at it: `disputed`, `refund_to_be_made`, `refund_failed`, `refund_mismatch`, `payment_mismatch`,
    /// `late_payment`, `payment_overdue` or `payment_lapsed`.
    #[schema(max_length = 64)]
    attention: Option<String>,
    /// What was bought.
    #[schema(max_items = 500)]
    lines: Vec<OrderLineView>,
    /// The taxes by rate.
    #[schema(max_items = 1000)]
    taxes: Vec<OrderTaxView>,
    /// What each discount takes off.
    #[schema(max_items = 120)]
    discounts: Vec<OrderDiscountView>,
    /// The attempts to be paid, oldest first.
    #[schema(max_items = 200)]
    payments: Vec<PaymentView>,
    /// When the buyer checked out.
    placed_at: Timestamp,
    /// When it became certain.
    confirmed_at: Option<Timestamp>,
    /// When it was paid in full.
    paid_at: Option<Timestamp>,
    /// When it was completed.
    completed_at: Option<Timestamp>,
    /// When it was called off.
    canceled_at: Option<Timestamp>,
    /// When it ends unless it is paid.
    expires_at: Option<Timestamp>,
    /// When it last changed.
    updated_at: Timestamp,
    /// Grows with every change.
    version: i64,
}

/// One line of an order: what was bought, as it was then.
#[derive(Serialize, ToSchema)]
pub(crate) struct OrderLineView {
    /// The line.
    #[schema(value_type = uuid::Uuid)]
    id: Id<OrderLine>,
    /// The product.
    #[schema(value_type = uuid::Uuid)]
    product_id: Id<Product>,
    /// The variant.
    #[schema(value_type = uuid::Uuid)]
    variant_id: Id<Variant>,
    /// The name of the product.
    #[schema(max_length = 255)]
    title: String,
    /// The name of the variant.
    #[schema(max_length = 255)]
    variant_title: String,
    /// The stock keeping unit.
    #[schema(max_length = 64)]
    sku: Option<String>,
    /// How many units.
    quantity: i64,
    /// What one unit costs.
    unit_price: Money,
    /// Unit price times quantity.
    subtotal: Money,
    /// What discounts take off.
    discount: Money,
    /// What is left without taxes.
    net: Money,
    /// The taxes of the line.
    tax: Money,
    /// What the buyer pays for it: net and tax.
    total: Money,
    /// Units that have left the house.
    fulfilled_quantity: i64,
    /// Units whose money went back, or is on its way.
    refunded_quantity: i64,
    /// Units that came back.
    returned_quantity: i64,
    /// What went back, or is on its way.
    refunded: Money,
}

/// What one rate comes to.
#[derive(Serialize, ToSchema)]
pub(crate) struct OrderTaxView {
    /// What it is called.
    #[schema(max_length = 120)]
    name: String,
    /// The category of EN 16931.
    #[schema(max_length = 4)]
    category: String,
    /// Parts per million: 190000 is 19 %.
    #[schema(maximum = 1000000)]
    rate_ppm: i64,
    /// What is taxed, without the tax.
    net: Money,
    /// The tax.
    tax: Money,
}

/// What one discount takes off.
#[derive(Serialize, ToSchema)]
pub(crate) struct OrderDiscountView {
    /// What the buyer reads.
    #[schema(max_length = 190)]
    title: String,
    /// The code that the buyer typed.
    #[schema(max_length = 64)]
    code: Option<String>,
    /// What it takes off.
    amount: Money,
}

/// An attempt to be paid.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({
    "id": "019ab0b2-8f00-7000-8000-000000000002", "order_id": "019ab0b2-8f00-7000-8000-000000000001", "provider": "stripe", "method": "stripe:card",
    "state": "pending", "amount": {"amount": 2989, "currency": "EUR"}, "authorized": {"amount": 0, "currency": "EUR"},
    "captured": {"amount": 0, "currency": "EUR"}, "refunded": {"amount": 0, "currency": "EUR"}, "is_disputed": false, "provider_code": null,
    "client_data": null, "created_at": "2026-11-22T12:00:00.000Z", "updated_at": "2026-11-22T12:00:00.000Z"
}))]
pub(crate) struct PaymentView {
    /// The payment.
    #[schema(value_type = uuid::Uuid)]
    pub(crate) id: Id<Payment>,
    /// The order.
    #[schema(value_type = uuid::Uuid)]
    order_id: Id<Order>,
    /// Who moves the money.
    #[schema(max_length = 32)]
    provider: String,
    /// How it is paid.
    #[schema(max_length = 64)]
    method: String,
    /// Where it stands.
    state: PaymentState,
    /// How much is asked.
    amount: Money,
    /// How much is promised and waits to be captured.
    authorized: Money,
    /// How much has come.
    captured: Money,
    /// How much went back.
    refunded: Money,
    /// Whether the buyer disputes it with their bank.
    is_disputed: bool,
    /// Why the last try was refused, in the provider's words.
    #[schema(max_length = 64)]
    provider_code: Option<String>,
    /// What the buyer's browser needs to go on, where this operation hands it out; a secret.
    #[schema(value_type = Option<Object>)]
    client_data: Option<serde_json::Value>,
    /// When it was begun.
    created_at: Timestamp,
    /// When it last changed.
    updated_at: Timestamp,
}

impl PaymentView {
    /// The payment without what its buyer's browser gets.
    pub(crate) fn plain(payment: PaymentRecord) -> PaymentView {
        let money = |minor| Money::new(minor, payment.currency);
        PaymentView {
            id: payment.id,
            order_id: payment.order_id,
            state: payment.state(),
            amount: money(payment.amount),
            authorized: money(payment.authorized),
            captured: money(payment.captured),
            refunded: money(payment.refunded),
            is_disputed: payment.is_disputed,
            provider: payment.provider,
            method: payment.method,
            provider_code: payment.provider_code,
            client_data: None,
            created_at: payment.created_at,
            updated_at: payment.updated_at,
        }
    }

    /// The payment with what its buyer's browser needs to go on.
    pub(crate) fn for_buyer(ctx: &Ctx, payment: PaymentRecord) -> Result<PaymentView> {
        let client_data = crate::payments::service::client_data(ctx, &payment)?;
        Ok(PaymentView { client_data, ..PaymentView::plain(payment) })
    }
}

impl OrderLineView {
    fn of(order: &OrderRecord, line: LineRecord) -> OrderLineView {
        OrderLineView {
            id: line.id,
            product_id: line.product_id,
            variant_id: line.variant_id,
            title: line.title,
            variant_title: line.variant_title,
            sku: line.sku,
            quantity: line.quantity,
            unit_price: order.money(line.unit_price),
            subtotal: order.money(line.subtotal),
            discount: order.money(line.discount),
            net: order.money(line.net),
            tax: order.money(line.tax),
            total: order.money(line.gross),
            fulfilled_quantity: line.fulfilled_quantity,
            refunded_quantity: line.refunded_quantity,
            returned_quantity: line.returned_quantity,
            refunded: order.money(line.refunded_amount),
        }
    }
}

fn address(text: Option<&String>) -> Result<Option<Address>> {
    text.map(|text| serde_json::from_str(text)).transpose().map_err(Error::internal)
}

/// What to do to pay an open offline order.
pub(crate) fn instructions(ctx: &Ctx, order: &OrderRecord) -> Option<String> {
    let is_offline = order.payment_method.as_deref().is_some_and(|method| crate::payments::Method::parse(method).provider == offline::NAME);
    let is_open = matches!(order.status(), OrderStatus::Confirmed | OrderStatus::Pending) && order.paid_at.is_none();
    let text = ctx.settings::<OfflineSettings>().instructions.trim();
    (is_offline && is_open && !text.is_empty()).then(|| text.to_owned())
}

impl OrderView {
    /// The order as its buyer and staff see it.
    pub(crate) fn of(ctx: &Ctx, whole: WholeOrder) -> Result<OrderView> {
        let WholeOrder { order, lines, taxes, discounts, payments } = whole;
        Ok(OrderView {
            id: order.id,
            status: order.status(),
            payment_status: order.payment_status(),
            fulfilment_status: order.fulfilment_status(),
            subtotal: order.money(order.subtotal),
            discount: order.money(order.discount),
            shipping: order.money(order.shipping),
            tax: order.money(order.tax),
            rounding: order.money(order.rounding),
            total: order.money(order.total),
            captured: order.money(order.captured),
            refunded: order.money(order.refunded),
            shipping_gross: order.money(order.shipping_gross),
            shipping_address: address(order.shipping_address.as_ref())?,
            billing_address: address(order.billing_address.as_ref())?,
            instructions: instructions(ctx, &order),
            lines: lines.into_iter().map(|line| OrderLineView::of(&order, line)).collect(),
            taxes: taxes
                .into_iter()
                .map(|tax| OrderTaxView {
                    name: tax.name,
                    category: tax.category,
                    rate_ppm: tax.rate_ppm,
                    net: order.money(tax.net),
                    tax: order.money(tax.tax),
                })
                .collect(),
            discounts: discounts
                .into_iter()
                .map(|discount| OrderDiscountView { title: discount.title, code: discount.code, amount: order.money(discount.amount) })
                .collect(),
            payments: payments.into_iter().map(PaymentView::plain).collect(),
            number: order.number,
            email: order.email,
            locale: order.locale,
            prices_include_tax: order.prices_include_tax,
            shipping_title: order.shipping_title,
            note: order.note,
            payment_method: order.payment_method,
            attention: order.attention,
            placed_at: order.placed_at,
            confirmed_at: order.confirmed_at,
            paid_at: order.paid_at,
            completed_at: order.completed_at,
            canceled_at: order.canceled_at,
            expires_at: order.expires_at,
            updated_at: order.updated_at,
            version: order.version,
        })
    }
}

/// An order in a list.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({
    "id": "019ab0b2-8f00-7000-8000-000000000001", "number": "1001", "status": "confirmed", "payment_status": "unpaid",
    "fulfilment_status": "unfulfilled", "email": "ada@example.com", "total": {"amount": 2989, "currency": "EUR"},
    "attention": null, "placed_at": "2026-11-22T12:00:00.000Z", "version": 1
}))]
pub(crate) struct OrderSummary {
    /// The order.
    #[schema(value_type = uuid::Uuid)]
    id: Id<Order>,
    /// The number that people use.
    #[schema(max_length = 40)]
    number: String,
    /// Where it is in its life.
    status: OrderStatus,
    /// What has been paid.
    payment_status: PaymentStatus,
    /// What has left the house.
    fulfilment_status: FulfilmentStatus,
    /// Where its mails go.
    #[schema(max_length = 254)]
    email: String,
    /// What is to be paid.
    total: Money,
    /// Why a person should look at it: `disputed`, `refund_to_be_made`, `refund_failed`, `refund_mismatch`, `payment_mismatch`,
    /// `late_payment`, `payment_overdue` or `payment_lapsed`.
    #[schema(max_length = 64)]
    attention: Option<String>,
    /// When the buyer checked out.
    placed_at: Timestamp,
    /// Grows with every change.
    version: i64,
}

impl From<OrderRecord> for OrderSummary {
    fn from(order: OrderRecord) -> OrderSummary {
        OrderSummary {
            id: order.id,
            status: order.status(),
            payment_status: order.payment_status(),
            fulfilment_status: order.fulfilment_status(),
            total: order.money(order.total),
            number: order.number,
            email: order.email,
            attention: order.attention,
            placed_at: order.placed_at,
            version: order.version,
        }
    }
}

/// One row of an order's log.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({
    "id": "019ab0b2-8f00-7000-8000-000000000009", "kind": "confirmed", "status": "confirmed", "payment_status": "paid",
    "fulfilment_status": "unfulfilled", "actor": "system", "request_id": "k3J9xQ2mZt7B", "reason": null, "detail": null,
    "at": "2026-11-22T12:00:00.000Z"
}))]
pub(crate) struct OrderEventView {
    /// The row.
    id: uuid::Uuid,
    /// What happened.
    #[schema(max_length = 48)]
    kind: String,
    /// The status after it.
    status: OrderStatus,
    /// The payment status after it.
    payment_status: PaymentStatus,
    /// The fulfilment status after it.
    fulfilment_status: FulfilmentStatus,
    /// Who did it: `user:…`, `system` or `anonymous`.
    #[schema(max_length = 64)]
    actor: String,
    /// The request in which it was done.
    #[schema(max_length = 64)]
    request_id: String,
    /// Why, or what was noted.
    #[schema(max_length = 4000)]
    reason: Option<String>,
    /// What else explains it.
    #[schema(value_type = Option<Object>)]
    detail: Option<serde_json::Value>,
    /// When.
    at: Timestamp,
}

impl From<LogRow> for OrderEventView {
    fn from(row: LogRow) -> OrderEventView {
        OrderEventView {
            id: row.id.uuid(),
            kind: row.kind,
            status: OrderStatus::parse(&row.status),
            payment_status: PaymentStatus::parse(&row.payment_status),
            fulfilment_status: FulfilmentStatus::parse(&row.fulfilment_status),
            actor: row.actor,
            request_id: row.request_id,
            reason: row.reason,
            detail: row.detail.and_then(|detail| serde_json::from_str(&detail).ok()),
            at: row.at,
        }
    }
}
