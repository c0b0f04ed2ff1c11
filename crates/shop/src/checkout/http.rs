//! Checkout over HTTP.

use axum::response::{IntoResponse, Response};
use http::header::{CONTENT_TYPE, LOCATION};
use http::{HeaderName, HeaderValue, StatusCode};
use kernel::error::{IDEMPOTENCY_KEY_IN_USE, IDEMPOTENCY_KEY_REUSED, NOT_FOUND, RATE_LIMITED, UPSTREAM_FAILED};
use kernel::http::{Body, Describe, IdempotencyKey, Operation, OperationDoc, ResponseDoc, TypeRef};
use kernel::money::Money;
use kernel::{Ctx, Id, Result};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::carts::CartSecret;
use crate::checkout::{NewCheckout, Outcome, service};
use crate::ids::Cart;
use crate::orders::views::{OrderView, PaymentView};
use crate::problems::{ADDRESS_INVALID, CART_ORDERED, CODE_INVALID, CURRENCY_NOT_SUPPORTED, NOT_SHIPPABLE, OUT_OF_STOCK};
use crate::selling_problems::{CART_EMPTY, CART_INCOMPLETE, PAYMENT_REQUIRED, PRICE_CHANGED};

pub(crate) fn operations() -> [Operation; 1] {
    [Operation::post("/api/v1/shop/orders", "checkOut", check_out)
        .tag("Orders")
        .summary("Check out")
        .describe(
            "Makes an order of a cart, exactly once: repeat the request with the same Idempotency-Key until it is answered, and it never \
             charges or sells twice. expected_total is what the buyer agreed to. The answer holds what the buyer's browser needs to pay, and \
             the secret with which a guest reads the order.",
        )
        .raises(&[
            &NOT_FOUND,
            &kernel::error::GONE,
            &RATE_LIMITED,
            &IDEMPOTENCY_KEY_IN_USE,
            &IDEMPOTENCY_KEY_REUSED,
            &UPSTREAM_FAILED,
            &OUT_OF_STOCK,
            &PRICE_CHANGED,
            &CART_ORDERED,
            &CART_EMPTY,
            &CART_INCOMPLETE,
            &CODE_INVALID,
            &ADDRESS_INVALID,
            &NOT_SHIPPABLE,
            &CURRENCY_NOT_SUPPORTED,
            &PAYMENT_REQUIRED,
        ])
        .answers_secrets()
        .public()]
}

/// What a buyer agreed to.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({
    "cart_id": "019ab0b2-8f00-7000-8000-000000000003", "expected_total": {"amount": 2989, "currency": "EUR"},
    "payment_method": "offline:bank_transfer", "note": null
}))]
struct CheckoutRequest {
    /// The cart.
    #[schema(value_type = uuid::Uuid)]
    cart_id: Id<Cart>,
    /// The total that the buyer saw.
    expected_total: Money,
    /// One of the offered methods.
    #[schema(min_length = 1, max_length = 64)]
    payment_method: String,
    /// What the buyer wants to tell.
    #[serde(default)]
    #[schema(max_length = 2000)]
    note: Option<String>,
}

/// What a buyer gets.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({
    "order": {
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
    },
    "payment": null, "order_secret": "9Zc3vVb1Yw0K5tq8XoJmR2dLh7sPnUeGfA4iBkC6xTM"
}))]
pub(crate) struct CheckoutResult {
    /// The order.
    pub(crate) order: OrderView,
    /// Its payment; null when nothing is to be paid.
    pub(crate) payment: Option<PaymentView>,
    /// The secret with which a guest reads the order, in the header Order-Secret; shown here and mailed, nowhere else.
    #[schema(max_length = 64)]
    pub(crate) order_secret: String,
}

/// 201 with the first answer, byte for byte.
struct Ordered {
    location: String,
    body: Vec<u8>,
    is_replayed: bool,
}

impl IntoResponse for Ordered {
    fn into_response(self) -> Response {
        let mut response = (StatusCode::CREATED, [(CONTENT_TYPE, HeaderValue::from_static("application/json"))], self.body).into_response();
        if let Ok(location) = HeaderValue::try_from(self.location) {
            response.headers_mut().insert(LOCATION, location);
        }
        if self.is_replayed {
            response.headers_mut().insert(HeaderName::from_static("idempotency-replayed"), HeaderValue::from_static("true"));
        }
        response
    }
}

impl Describe for Ordered {
    fn describe(doc: &mut OperationDoc) {
        doc.responses.push(ResponseDoc {
            status: StatusCode::CREATED,
            body: Some(TypeRef::of::<CheckoutResult>()),
            is_list: false,
            media_type: None,
            headers: &["Location"],
        });
    }
}

async fn check_out(
    ctx: Ctx,
    IdempotencyKey(key): IdempotencyKey,
    secret: CartSecret,
    Body(request): Body<CheckoutRequest>,
) -> Result<Ordered> {
    let new = NewCheckout {
        cart_id: request.cart_id,
        expected_total: request.expected_total,
        payment_method: request.payment_method,
        note: request.note.map(|note| note.trim().to_owned()).filter(|note| !note.is_empty()),
    };
    match service::check_out(&ctx, new, secret, &key).await? {
        Outcome::Ordered { order_id, body, is_replayed } => {
            Ok(Ordered { location: format!("/api/v1/shop/orders/{order_id}"), body, is_replayed })
        }
        Outcome::Refused(refused) => Err(service::refused(&refused)),
    }
}
