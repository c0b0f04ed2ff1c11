//! Refunds: claimed here first, then asked of the provider with a key of their own, then applied (INV-P9).
//!
//! What can go back is bounded by one conditional UPDATE on the payment. Refunds of all units of all lines and of shipping come to
//! exactly what was paid (INV-M7). Offline refunds are confirmed by a person.
//!
//! A refund that fails, be it after it had succeeded, gives back the money and the units that it claimed. Goods do not travel with it:
//! units that it dropped are sold to others by then, and units that came back lie on the shelf. They stay off the order, as units that
//! are owed; the next refund of the line takes them over first.

pub(crate) mod http;
pub(crate) mod service;
pub(crate) mod store;

use kernel::money::{Currency, Money};
use kernel::{Id, Timestamp};

use crate::ids::{Order, OrderLine, Payment, Refund};
use crate::payments::RefundState;

db::row! {
    /// A refund as it is stored.
    #[derive(Clone, Debug)]
    pub(crate) struct RefundRecord {
        pub(crate) id: Id<Refund>,
        pub(crate) order_id: Id<Order>,
        pub(crate) payment_id: Id<Payment>,
        pub(crate) state: String,
        pub(crate) currency: Currency,
        pub(crate) amount: i64,
        pub(crate) shipping: i64,
        pub(crate) reason: String,
        pub(crate) notify: bool,
        pub(crate) provider_reference: Option<String>,
        pub(crate) provider_code: Option<String>,
        pub(crate) actor: String,
        pub(crate) attempt: i64,
        pub(crate) check_at: Option<Timestamp>,
        pub(crate) created_at: Timestamp,
        pub(crate) updated_at: Timestamp,
    }
}

impl RefundRecord {
    pub(crate) fn state(&self) -> RefundState {
        RefundState::parse(&self.state)
    }

    pub(crate) fn money(&self) -> Money {
        Money::new(self.amount, self.currency)
    }
}

db::row! {
    /// A line of a refund as it is stored.
    #[derive(Clone, Debug)]
    pub(crate) struct RefundLineRecord {
        pub(crate) order_line_id: Id<OrderLine>,
        pub(crate) quantity: i64,
        pub(crate) amount: i64,
        pub(crate) returned_quantity: i64,
        /// Units that are off the order whatever becomes of the money: dropped, back on the shelf, or off it before.
        pub(crate) taken_quantity: i64,
    }
}

db::row! {
    /// Units that are off an order although nobody was paid for them: their refund failed.
    #[derive(Clone, Copy, Debug)]
    pub(crate) struct OwedUnits {
        pub(crate) refund_id: Id<Refund>,
        pub(crate) order_line_id: Id<OrderLine>,
        pub(crate) quantity: i64,
    }
}

/// What staff wants to give back.
#[derive(Clone, Debug)]
pub(crate) struct NewRefund {
    /// Units of lines.
    pub(crate) lines: Vec<(Id<OrderLine>, i64)>,
    /// A part of what delivering cost.
    pub(crate) shipping: Option<Money>,
    /// An amount that belongs to no line.
    pub(crate) amount: Option<Money>,
    pub(crate) reason: String,
    /// Whether units that had left the house are back on the shelf.
    pub(crate) restock: bool,
    /// Whether the buyer is told.
    pub(crate) notify: bool,
}
