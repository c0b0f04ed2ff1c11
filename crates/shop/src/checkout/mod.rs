//! Checkout: exactly once, whatever is lost on the way (shop.md §5).
//!
//! ```text
//! T1  one transaction: claim the cart · price it · hold the stock · use the coupons · write order, lines, payment, record
//! S2  call the provider, with the payment's key; no transaction is open
//! T3  apply what it said · finish the record with the sealed answer
//! ```
//!
//! Whoever repeats the request with its key gets the same answer, or carries on where the first one stopped. What nobody repeats
//! is carried on by the recovery. Offline payments and totals of zero end in T1.

pub(crate) mod http;
pub(crate) mod numbers;
pub(crate) mod service;
pub mod settings;
pub(crate) mod store;

use kernel::money::Money;
use kernel::{Id, Timestamp};
use serde::{Deserialize, Serialize};

use crate::ids::{Cart, Order, Payment};

/// What a buyer sends.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct NewCheckout {
    pub(crate) cart_id: Id<Cart>,
    pub(crate) expected_total: Money,
    pub(crate) payment_method: String,
    pub(crate) note: Option<String>,
}

/// The marker of a record's identifier.
#[derive(Debug)]
pub(crate) enum Checkout {}

/// The order is written, and its provider not reached yet.
pub(crate) const ORDER_CREATED: &str = "order_created";
/// The answer is final.
pub(crate) const DONE: &str = "done";

db::row! {
    /// What became of a request with a key.
    #[derive(Clone, Debug)]
    pub(crate) struct CheckoutRecord {
        pub(crate) id: Id<Checkout>,
        pub(crate) key_hash: Vec<u8>,
        pub(crate) fingerprint: Vec<u8>,
        pub(crate) cart_id: Id<Cart>,
        pub(crate) order_id: Id<Order>,
        pub(crate) payment_id: Option<Id<Payment>>,
        pub(crate) phase: String,
        pub(crate) status: Option<i64>,
        pub(crate) response_sealed: Option<Vec<u8>>,
        pub(crate) created_at: Timestamp,
    }
}

/// What a refused payment answers with, so that the buyer can pay in another way.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Refused {
    pub(crate) provider_code: String,
    pub(crate) order_id: Id<Order>,
    pub(crate) order_secret: String,
}

/// A final answer.
#[derive(Clone, Debug)]
pub(crate) enum Outcome {
    /// 201 with this body.
    Ordered {
        /// The order.
        order_id: Id<Order>,
        /// The body, byte for byte.
        body: Vec<u8>,
        /// Whether it was answered before.
        is_replayed: bool,
    },
    /// 402: the provider refused the payment, and the order waits.
    Refused(Refused),
}

/// What the secret of an order is sealed for.
pub(crate) fn secret_context(order: Id<Order>) -> String {
    format!("shop_orders.secret/{order}")
}
