//! Payments over HTTP, and the door through which providers tell us what happened.

use ::http::HeaderMap;
use ::http::request::Parts;
use axum::extract::FromRequestParts;
use kernel::error::{CURSOR_INVALID, FORBIDDEN, INVALID_STATE, QUOTA_EXCEEDED, UPSTREAM_FAILED};
use kernel::http::{Body, Created, Describe, Json, List, NoContent, Operation, OperationDoc, Path, Query, RateClass, RawBody};
use kernel::money::Money;
use kernel::page::PageRequest;
use kernel::{App, Ctx, Error, Id, Result, Timestamp};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::ids::{Order, Payment};
use crate::order_lists::TimeList;
use crate::orders::OrderRecord;
use crate::orders::access::{OrderAccess, OrderSecret};
use crate::orders::views::PaymentView;
use crate::payments::PaymentRecord;
use crate::payments::inbox::{self, InboxEvent, InboxRow};
use crate::payments::service::{self, Receipt};
use crate::permissions::{CAPTURE_PAYMENTS, CONFIRM_PAYMENTS, MANAGE_ORDERS, READ_PAYMENTS};
use crate::problems::CURRENCY_NOT_SUPPORTED;
use crate::required_key::RequiredKey;
use crate::selling_problems::{PAYMENT_REQUIRED, SIGNATURE_INVALID};

/// The largest event of a provider that is read.
const MAX_EVENT: usize = 512 * 1024;

pub(crate) fn operations() -> [Operation; 10] {
    [
        Operation::post("/api/v1/shop/orders/{order_id}/payments", "payOrder", pay)
            .tag("Payments")
            .summary("Pay an order in another way")
            .describe("After a payment was refused or given up. What was begun before is called off at its provider first, so that nobody pays twice.")
            .raises(&[&INVALID_STATE, &UPSTREAM_FAILED, &PAYMENT_REQUIRED, &CURRENCY_NOT_SUPPORTED, &QUOTA_EXCEEDED, &FORBIDDEN])
            .answers_secrets()
            .public(),
        Operation::get("/api/v1/shop/payments/{payment_id}", "getPayment", get)
            .tag("Payments")
            .summary("Read a payment")
            .describe("With what the buyer's browser needs to go on, for the buyer.")
            .answers_secrets()
            .public(),
        Operation::post("/api/v1/shop/payments/{payment_id}/actions/sync", "syncPayment", sync)
            .tag("Payments")
            .summary("Look at a payment now")
            .describe("Asks the provider where the payment stands and applies it; for the page to which the buyer comes back.")
            .raises(&[&UPSTREAM_FAILED, &PAYMENT_REQUIRED])
            .answers_secrets()
            .public(),
        Operation::post("/api/v1/shop/payments/{payment_id}/actions/confirm", "confirmPayment", confirm)
            .tag("Payments")
            .summary("Say that an offline payment has come")
            .describe("The order becomes paid.")
            .raises(&[&INVALID_STATE])
            .requires(&CONFIRM_PAYMENTS),
        Operation::post("/api/v1/shop/payments/{payment_id}/actions/fail", "failPayment", fail)
            .tag("Payments")
            .summary("Say that an offline payment will not come")
            .describe("The order waits for another payment until it expires.")
            .raises(&[&INVALID_STATE])
            .requires(&CONFIRM_PAYMENTS),
        Operation::post("/api/v1/shop/payments/{payment_id}/actions/cancel", "cancelPayment", cancel)
            .tag("Payments")
            .summary("Call a payment off")
            .describe("At its provider first. If that is too late, the payment is applied instead.")
            .raises(&[&INVALID_STATE, &UPSTREAM_FAILED, &PAYMENT_REQUIRED])
            .requires(&CAPTURE_PAYMENTS),
        Operation::post("/api/v1/shop/payments/{payment_id}/captures", "capturePayment", capture)
            .tag("Payments")
            .summary("Collect an authorised payment")
            .describe("The whole amount, or less where the provider can; what is not collected is released.")
            .raises(&[&INVALID_STATE, &UPSTREAM_FAILED, &PAYMENT_REQUIRED])
            .requires(&CAPTURE_PAYMENTS),
        Operation::get("/api/v1/shop/provider-events", "listProviderEvents", events)
            .tag("Payments")
            .summary("List what providers told us")
            .describe("The inbox, newest first. Payloads are sealed and never shown.")
            .raises(&[&CURSOR_INVALID])
            .requires(&READ_PAYMENTS),
        Operation::post("/api/v1/shop/provider-events/{event_id}/actions/process", "processProviderEvent", process)
            .tag("Payments")
            .summary("Work on an event again")
            .describe("Fetches what the event is about and applies it; harmless at any time.")
            .raises(&[&UPSTREAM_FAILED, &PAYMENT_REQUIRED])
            .requires(&CAPTURE_PAYMENTS),
        Operation::post("/api/v1/shop/provider-events/{provider}", "receiveProviderEvent", receive)
            .tag("Payments")
            .summary("Take an event of a provider")
            .describe("For payment providers. The signature is checked over the raw bytes, and the event is durable before the answer; a repeated one has no effect.")
            .raises(&[&SIGNATURE_INVALID])
            .takes(&["application/json"])
            .body_limit(|_| MAX_EVENT)
            .ignores_credential()
            .without_idempotency_key()
            .rate(RateClass::Unlimited)
            .public(),
    ]
}

/// How to pay.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"payment_method": "stripe"}))]
struct NewPayment {
    /// One of the offered methods.
    #[schema(min_length = 1, max_length = 64)]
    payment_method: String,
}

async fn pay(
    ctx: Ctx,
    _key: RequiredKey,
    secret: OrderSecret,
    Path(id): Path<Id<Order>>,
    Body(new): Body<NewPayment>,
) -> Result<Created<PaymentView>> {
    let access = OrderAccess::of(&ctx, &secret);
    crate::orders::service::require_to_act(&ctx, id, access, &MANAGE_ORDERS).await?;
    let payment = crate::checkout::service::pay_again(&ctx, id, &new.payment_method).await?;
    let location = format!("/api/v1/shop/payments/{}", payment.id);
    Ok(Created { location, body: shown(&ctx, &access, &service::read(&ctx, payment.id).await?.0, payment)? })
}

async fn view(ctx: &Ctx, id: Id<Payment>, access: OrderAccess) -> Result<PaymentView> {
    let (order, payment) = service::read(ctx, id).await?;
    access.require(&order)?;
    shown(ctx, &access, &order, payment)
}

/// What goes on in a buyer's browser is for the buyer alone.
fn shown(ctx: &Ctx, access: &OrderAccess, order: &OrderRecord, payment: PaymentRecord) -> Result<PaymentView> {
    if access.is_buyer(order) { PaymentView::for_buyer(ctx, payment) } else { Ok(PaymentView::plain(payment)) }
}

async fn get(ctx: Ctx, secret: OrderSecret, Path(id): Path<Id<Payment>>) -> Result<Json<PaymentView>> {
    view(&ctx, id, OrderAccess::of(&ctx, &secret)).await.map(Json)
}

async fn sync(ctx: Ctx, secret: OrderSecret, Path(id): Path<Id<Payment>>) -> Result<Json<PaymentView>> {
    let access = OrderAccess::of(&ctx, &secret);
    access.require(&service::read(&ctx, id).await?.0)?;
    service::refresh(&ctx, id).await?;
    view(&ctx, id, access).await.map(Json)
}

/// How an offline payment came.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"reference": "statement 47, line 3", "received_on": "2026-11-24"}))]
struct ConfirmPayment {
    /// Where to find it again.
    #[serde(default)]
    #[schema(max_length = 190)]
    reference: Option<String>,
    /// The day on which it came.
    #[serde(default)]
    #[schema(max_length = 10, pattern = "^[0-9]{4}-[0-9]{2}-[0-9]{2}$")]
    received_on: Option<String>,
}

async fn confirm(ctx: Ctx, Path(id): Path<Id<Payment>>, Body(request): Body<ConfirmPayment>) -> Result<Json<PaymentView>> {
    let receipt = Receipt { reference: request.reference, received_on: request.received_on };
    service::confirm_offline(&ctx, id, receipt).await.map(|payment| Json(PaymentView::plain(payment)))
}

/// Why an offline payment will not come.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"reason": "the buyer wrote that they changed their mind"}))]
struct FailPayment {
    /// Why, for the log.
    #[serde(default)]
    #[schema(max_length = 1000)]
    reason: Option<String>,
}

async fn fail(ctx: Ctx, Path(id): Path<Id<Payment>>, Body(request): Body<FailPayment>) -> Result<Json<PaymentView>> {
    service::fail_offline(&ctx, id, request.reason).await.map(|payment| Json(PaymentView::plain(payment)))
}

async fn cancel(ctx: Ctx, Path(id): Path<Id<Payment>>) -> Result<Json<PaymentView>> {
    service::cancel(&ctx, id).await.map(|payment| Json(PaymentView::plain(payment)))
}

/// How much to collect.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"amount": {"amount": 2989, "currency": "EUR"}}))]
struct NewCapture {
    /// At most what is authorised; everything when it is absent.
    #[serde(default)]
    amount: Option<Money>,
}

async fn capture(ctx: Ctx, _key: RequiredKey, Path(id): Path<Id<Payment>>, Body(new): Body<NewCapture>) -> Result<Created<PaymentView>> {
    let payment = service::capture(&ctx, id, new.amount).await?;
    Ok(Created { location: format!("/api/v1/shop/payments/{id}"), body: PaymentView::plain(payment) })
}

/// An event of a provider.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({
    "id": "019ab0b2-8f00-7000-8000-000000000007", "provider": "stripe", "event_id": "evt_1", "kind": "payment_intent.succeeded",
    "reference": "pi_1", "state": "processed", "attempt_count": 1, "received_at": "2026-11-22T12:00:00.000Z",
    "processed_at": "2026-11-22T12:00:01.000Z"
}))]
struct ProviderEventView {
    /// The row.
    id: uuid::Uuid,
    /// Who told us.
    #[schema(max_length = 32)]
    provider: String,
    /// The provider's own id of the event.
    #[schema(max_length = 190)]
    event_id: String,
    /// What happened, in the provider's words.
    #[schema(max_length = 64)]
    kind: String,
    /// The intent it is about.
    #[schema(max_length = 190)]
    reference: Option<String>,
    /// `received`, `parked`, `processed` or `ignored`.
    #[schema(max_length = 16)]
    state: String,
    /// How often it was worked on.
    attempt_count: i64,
    /// When it came.
    received_at: Timestamp,
    /// When it was done with.
    processed_at: Option<Timestamp>,
}

impl From<InboxRow> for ProviderEventView {
    fn from(row: InboxRow) -> ProviderEventView {
        ProviderEventView {
            id: row.id.uuid(),
            provider: row.provider,
            event_id: row.event_id,
            kind: row.kind,
            reference: row.reference,
            state: row.state,
            attempt_count: row.attempts,
            received_at: row.received_at,
            processed_at: row.processed_at,
        }
    }
}

/// Where an event is.
#[derive(Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum EventState {
    /// Nobody has worked on it yet.
    Received,
    /// It is about something unknown, and is tried again.
    Parked,
    /// It was applied.
    Processed,
    /// It is about nothing of ours.
    Ignored,
}

impl EventState {
    fn as_str(self) -> &'static str {
        match self {
            EventState::Received => "received",
            EventState::Parked => "parked",
            EventState::Processed => "processed",
            EventState::Ignored => "ignored",
        }
    }
}

/// Which events to list.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ProviderEventFilter {
    /// Only events in this state.
    state: Option<EventState>,
    /// How many events a page holds, 1 to 100.
    #[schema(minimum = 1)]
    limit: Option<u32>,
    /// Where the page before ended.
    #[schema(max_length = 1024)]
    cursor: Option<String>,
}

async fn events(ctx: Ctx, Query(filter): Query<ProviderEventFilter>) -> Result<List<ProviderEventView>> {
    let (request, state) = (PageRequest::new(filter.limit, filter.cursor), filter.state.map(EventState::as_str));
    let list = TimeList::new(&ctx, "listProviderEvents", state.unwrap_or(""));
    let (after, limit) = (list.after(&request)?, request.limit);
    let rows = inbox::list(&ctx, state, after, limit + 1).await?;
    Ok(List(list.page(rows, limit, |row| (row.received_at, row.id)).map(ProviderEventView::from)))
}

async fn process(ctx: Ctx, Path(id): Path<Id<InboxEvent>>) -> Result<Json<ProviderEventView>> {
    inbox::process_again(&ctx, id).await.map(|row| Json(ProviderEventView::from(row)))
}

/// The headers of a request, for signatures over them.
struct SignedHeaders(HeaderMap);

impl FromRequestParts<App> for SignedHeaders {
    type Rejection = Error;
    async fn from_request_parts(parts: &mut Parts, _: &App) -> Result<Self> {
        Ok(SignedHeaders(parts.headers.clone()))
    }
}

impl Describe for SignedHeaders {
    fn describe(doc: &mut OperationDoc) {
        doc.request_headers.push(("Stripe-Signature", "The signature over the raw body, as Stripe sends it."));
    }
}

async fn receive(ctx: Ctx, headers: SignedHeaders, Path(provider): Path<String>, body: RawBody) -> Result<NoContent> {
    inbox::receive(&ctx, &provider, &headers.0, &body.bytes).await?;
    Ok(NoContent)
}
