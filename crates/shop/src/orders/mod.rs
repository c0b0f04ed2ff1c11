//! Orders: what was bought, on three axes, with a log that tells how it came about (INV-O1 to INV-O8).
//!
//! Whoever changes an order locks its row first, changes the record, and saves it with a line in the log: one UPDATE, one row.

pub(crate) mod access;
pub(crate) mod attention;
pub(crate) mod http;
pub(crate) mod jobs;
pub(crate) mod samples;
pub(crate) mod service;
pub(crate) mod store;
pub(crate) mod views;

use kernel::money::{Currency, Money};
use kernel::{Id, Timestamp, UserId};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::ids::{Cart, Coupon, Item, Order, OrderLine, Product, ShippingMethod, Variant};

/// Where an order is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum OrderStatus {
    /// It waits for its payment.
    Pending,
    /// It is certain.
    Confirmed,
    /// It is handed over and settled.
    Completed,
    /// It was called off.
    Canceled,
    /// It was not paid in time.
    Expired,
}

impl OrderStatus {
    /// Every status.
    pub const ALL: [OrderStatus; 5] =
        [OrderStatus::Pending, OrderStatus::Confirmed, OrderStatus::Completed, OrderStatus::Canceled, OrderStatus::Expired];

    /// The value at rest and on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            OrderStatus::Pending => "pending",
            OrderStatus::Confirmed => "confirmed",
            OrderStatus::Completed => "completed",
            OrderStatus::Canceled => "canceled",
            OrderStatus::Expired => "expired",
        }
    }

    pub(crate) fn parse(text: &str) -> OrderStatus {
        OrderStatus::ALL.into_iter().find(|status| status.as_str() == text).unwrap_or(OrderStatus::Canceled)
    }

    /// The statuses that may follow this one (INV-O1).
    pub fn next(self) -> &'static [OrderStatus] {
        match self {
            OrderStatus::Pending => &[OrderStatus::Confirmed, OrderStatus::Canceled, OrderStatus::Expired],
            OrderStatus::Confirmed => &[OrderStatus::Completed, OrderStatus::Canceled, OrderStatus::Expired],
            OrderStatus::Expired => &[OrderStatus::Confirmed, OrderStatus::Canceled],
            OrderStatus::Completed | OrderStatus::Canceled => &[],
        }
    }
}

/// What has been paid; derived from the ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum PaymentStatus {
    /// Nothing.
    Unpaid,
    /// Nothing yet, but it is promised.
    Authorized,
    /// Something.
    PartiallyPaid,
    /// Everything.
    Paid,
    /// Everything, and a part went back.
    PartiallyRefunded,
    /// Everything, and it went back.
    Refunded,
    /// The buyer disputes it with their bank.
    Disputed,
}

impl PaymentStatus {
    /// The value at rest and on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            PaymentStatus::Unpaid => "unpaid",
            PaymentStatus::Authorized => "authorized",
            PaymentStatus::PartiallyPaid => "partially_paid",
            PaymentStatus::Paid => "paid",
            PaymentStatus::PartiallyRefunded => "partially_refunded",
            PaymentStatus::Refunded => "refunded",
            PaymentStatus::Disputed => "disputed",
        }
    }

    pub(crate) fn parse(text: &str) -> PaymentStatus {
        use PaymentStatus::{Authorized, Disputed, Paid, PartiallyPaid, PartiallyRefunded, Refunded, Unpaid};
        let all = [Unpaid, Authorized, PartiallyPaid, Paid, PartiallyRefunded, Refunded, Disputed];
        all.into_iter().find(|status| status.as_str() == text).unwrap_or(Unpaid)
    }

    /// What these figures come to.
    pub fn of(money: &MoneyFacts) -> PaymentStatus {
        match money {
            MoneyFacts { is_disputed: true, .. } => PaymentStatus::Disputed,
            MoneyFacts { total: 0, captured: 0, .. } => PaymentStatus::Paid,
            MoneyFacts { captured: 0, is_authorized: true, .. } => PaymentStatus::Authorized,
            MoneyFacts { captured: 0, .. } => PaymentStatus::Unpaid,
            MoneyFacts { captured, refunded, .. } if refunded >= captured => PaymentStatus::Refunded,
            MoneyFacts { refunded, .. } if *refunded > 0 => PaymentStatus::PartiallyRefunded,
            MoneyFacts { captured, total, .. } if captured < total => PaymentStatus::PartiallyPaid,
            MoneyFacts { .. } => PaymentStatus::Paid,
        }
    }
}

/// The figures that decide about the payment status.
#[derive(Clone, Copy, Debug)]
pub struct MoneyFacts {
    /// What is to be paid.
    pub total: i64,
    /// What has come.
    pub captured: i64,
    /// What has gone back.
    pub refunded: i64,
    /// Whether a live payment is authorised.
    pub is_authorized: bool,
    /// Whether a payment is disputed.
    pub is_disputed: bool,
}

/// What has left the house; derived from the lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum FulfilmentStatus {
    /// Nothing.
    Unfulfilled,
    /// Something.
    Partial,
    /// Everything that has to be handed over.
    Fulfilled,
    /// Something came back.
    PartiallyReturned,
    /// Everything came back.
    Returned,
}

impl FulfilmentStatus {
    /// The value at rest and on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            FulfilmentStatus::Unfulfilled => "unfulfilled",
            FulfilmentStatus::Partial => "partial",
            FulfilmentStatus::Fulfilled => "fulfilled",
            FulfilmentStatus::PartiallyReturned => "partially_returned",
            FulfilmentStatus::Returned => "returned",
        }
    }

    pub(crate) fn parse(text: &str) -> FulfilmentStatus {
        use FulfilmentStatus::{Fulfilled, Partial, PartiallyReturned, Returned, Unfulfilled};
        let all = [Unfulfilled, Partial, Fulfilled, PartiallyReturned, Returned];
        all.into_iter().find(|status| status.as_str() == text).unwrap_or(Unfulfilled)
    }

    /// What the lines come to; units that were refunded before they left need not leave any more.
    pub(crate) fn of(lines: &[LineRecord]) -> FulfilmentStatus {
        let sum = |count: fn(&LineRecord) -> i64| lines.iter().filter(|line| line.is_shippable).map(count).sum::<i64>();
        let (fulfilled, returned) = (sum(|line| line.fulfilled_quantity), sum(|line| line.returned_quantity));
        match (fulfilled, sum(LineRecord::to_ship)) {
            (fulfilled, _) if returned > 0 && returned >= fulfilled => FulfilmentStatus::Returned,
            _ if returned > 0 => FulfilmentStatus::PartiallyReturned,
            (_, 0) => FulfilmentStatus::Fulfilled,
            (0, _) => FulfilmentStatus::Unfulfilled,
            _ => FulfilmentStatus::Partial,
        }
    }
}

db::row! {
    /// An order as it is stored.
    #[derive(Clone, Debug)]
    pub(crate) struct OrderRecord {
        pub(crate) id: Id<Order>,
        pub(crate) cart_id: Id<Cart>,
        pub(crate) number: String,
        pub(crate) secret_hash: Vec<u8>,
        pub(crate) secret_sealed: Vec<u8>,
        pub(crate) user_id: Option<UserId>,
        pub(crate) email: String,
        pub(crate) status: String,
        pub(crate) payment_status: String,
        pub(crate) fulfilment_status: String,
        pub(crate) currency: Currency,
        pub(crate) prices_include_tax: bool,
        pub(crate) subtotal: i64,
        pub(crate) discount: i64,
        pub(crate) shipping: i64,
        pub(crate) tax: i64,
        pub(crate) rounding: i64,
        pub(crate) total: i64,
        pub(crate) shipping_gross: i64,
        pub(crate) shipping_refunded: i64,
        pub(crate) captured: i64,
        pub(crate) refunded: i64,
        pub(crate) billing_address: Option<String>,
        pub(crate) shipping_address: Option<String>,
        pub(crate) shipping_method_id: Option<Id<ShippingMethod>>,
        pub(crate) shipping_title: Option<String>,
        pub(crate) payment_method: Option<String>,
        pub(crate) locale: String,
        pub(crate) note: Option<String>,
        pub(crate) attention: Option<String>,
        pub(crate) expires_at: Option<Timestamp>,
        pub(crate) placed_at: Timestamp,
        pub(crate) confirmed_at: Option<Timestamp>,
        pub(crate) paid_at: Option<Timestamp>,
        pub(crate) completed_at: Option<Timestamp>,
        pub(crate) canceled_at: Option<Timestamp>,
        pub(crate) updated_at: Timestamp,
        pub(crate) version: i64,
    }
}

impl OrderRecord {
    pub(crate) fn status(&self) -> OrderStatus {
        OrderStatus::parse(&self.status)
    }

    pub(crate) fn payment_status(&self) -> PaymentStatus {
        PaymentStatus::parse(&self.payment_status)
    }

    pub(crate) fn fulfilment_status(&self) -> FulfilmentStatus {
        FulfilmentStatus::parse(&self.fulfilment_status)
    }

    pub(crate) fn money(&self, minor: i64) -> Money {
        Money::new(minor, self.currency)
    }
}

db::row! {
    /// A line of an order as it is stored: a snapshot, and how much of it has left, gone back and come back (INV-O2).
    #[derive(Clone, Debug)]
    pub(crate) struct LineRecord {
        pub(crate) id: Id<OrderLine>,
        pub(crate) order_id: Id<Order>,
        pub(crate) position: i64,
        pub(crate) product_id: Id<Product>,
        pub(crate) variant_id: Id<Variant>,
        pub(crate) title: String,
        pub(crate) variant_title: String,
        pub(crate) sku: Option<String>,
        pub(crate) quantity: i64,
        pub(crate) unit_price: i64,
        pub(crate) subtotal: i64,
        pub(crate) discount: i64,
        pub(crate) net: i64,
        pub(crate) tax: i64,
        pub(crate) gross: i64,
        pub(crate) rates: String,
        pub(crate) demand: String,
        pub(crate) is_shippable: bool,
        pub(crate) allocated_quantity: i64,
        pub(crate) fulfilled_quantity: i64,
        pub(crate) refunded_quantity: i64,
        pub(crate) returned_quantity: i64,
        pub(crate) refunded_amount: i64,
    }
}

impl LineRecord {
    /// What one unit of the line takes from the stock.
    pub(crate) fn demand(&self) -> Vec<LineDemand> {
        serde_json::from_str(&self.demand).unwrap_or_default()
    }

    /// Units that were taken off the order without ever leaving the house.
    pub(crate) fn dropped(&self) -> i64 {
        // Refunds come off what has not left first; see `refunds::service`.
        (self.refunded_quantity - self.returned_quantity).min(self.quantity - self.fulfilled_quantity).max(0)
    }

    /// Units that still have to leave.
    pub(crate) fn to_ship(&self) -> i64 {
        self.quantity - self.fulfilled_quantity - self.dropped()
    }

    /// Units that no parcel has yet.
    pub(crate) fn to_allocate(&self) -> i64 {
        (self.quantity - self.allocated_quantity - self.dropped()).max(0)
    }

    /// What `quantity` more units are worth back, so that all of them come to the whole line (INV-M7).
    ///
    /// `owed` of the units that are off the order were not paid back: their refund failed.
    pub(crate) fn refund_of(&self, quantity: i64, owed: i64) -> i64 {
        let cumulative = i128::from(self.refunded_quantity - owed + quantity);
        let (numerator, whole) = (i128::from(self.gross) * cumulative, i128::from(self.quantity.max(1)));
        // Halves go away from zero, like everywhere.
        let due = (numerator * 2 + whole) / (whole * 2);
        // After a failure the units that are left may have been worth a cent more than their place in the row says.
        (i64::try_from(due).unwrap_or(i64::MAX).min(self.gross) - self.refunded_amount).max(0)
    }
}

/// What one unit of a line takes from the stock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct LineDemand {
    pub(crate) item_id: Id<Item>,
    pub(crate) quantity: i64,
}

db::row! {
    /// A tax of an order as it is stored.
    #[derive(Clone, Debug)]
    pub(crate) struct TaxRecord {
        pub(crate) name: String,
        pub(crate) category: String,
        pub(crate) rate_ppm: i64,
        pub(crate) net: i64,
        pub(crate) tax: i64,
    }
}

db::row! {
    /// A discount of an order as it is stored.
    #[derive(Clone, Debug)]
    pub(crate) struct DiscountRecord {
        pub(crate) coupon_id: Option<Id<Coupon>>,
        pub(crate) code: Option<String>,
        pub(crate) title: String,
        pub(crate) amount: i64,
    }
}

/// The marker of a log row's identifier.
#[derive(Debug)]
pub(crate) enum LogEntry {}

db::row! {
    /// One row of an order's log.
    #[derive(Clone, Debug)]
    pub(crate) struct LogRow {
        pub(crate) id: Id<LogEntry>,
        pub(crate) kind: String,
        pub(crate) status: String,
        pub(crate) payment_status: String,
        pub(crate) fulfilment_status: String,
        pub(crate) actor: String,
        pub(crate) request_id: String,
        pub(crate) reason: Option<String>,
        pub(crate) detail: Option<String>,
        pub(crate) at: Timestamp,
    }
}

/// An order with everything that belongs to it.
#[derive(Clone, Debug)]
pub(crate) struct WholeOrder {
    pub(crate) order: OrderRecord,
    pub(crate) lines: Vec<LineRecord>,
    pub(crate) taxes: Vec<TaxRecord>,
    pub(crate) discounts: Vec<DiscountRecord>,
    pub(crate) payments: Vec<crate::payments::PaymentRecord>,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn line(quantity: i64, gross: i64) -> LineRecord {
        LineRecord {
            id: Id::from_uuid(uuid::Uuid::nil()),
            order_id: Id::from_uuid(uuid::Uuid::nil()),
            position: 0,
            product_id: Id::from_uuid(uuid::Uuid::nil()),
            variant_id: Id::from_uuid(uuid::Uuid::nil()),
            title: String::new(),
            variant_title: String::new(),
            sku: None,
            quantity,
            unit_price: 0,
            subtotal: gross,
            discount: 0,
            net: gross,
            tax: 0,
            gross,
            rates: "[]".to_owned(),
            demand: "[]".to_owned(),
            is_shippable: true,
            allocated_quantity: 0,
            fulfilled_quantity: 0,
            refunded_quantity: 0,
            returned_quantity: 0,
            refunded_amount: 0,
        }
    }

    #[test]
    fn inv_o1_nothing_follows_an_end_but_late_money() {
        for from in OrderStatus::ALL {
            for to in OrderStatus::ALL {
                let is_allowed = matches!(
                    (from.as_str(), to.as_str()),
                    ("pending", "confirmed" | "canceled" | "expired")
                        | ("confirmed", "completed" | "canceled" | "expired")
                        | ("expired", "confirmed" | "canceled")
                );
                assert_eq!(from.next().contains(&to), is_allowed, "{from:?} to {to:?}");
            }
        }
    }

    #[test]
    fn inv_o1_the_payment_status_follows_from_the_figures() {
        let of = |total, captured, refunded, is_authorized, is_disputed| {
            PaymentStatus::of(&MoneyFacts { total, captured, refunded, is_authorized, is_disputed }).as_str()
        };
        assert_eq!(of(100, 0, 0, false, false), "unpaid");
        assert_eq!(of(100, 0, 0, true, false), "authorized");
        assert_eq!(of(100, 40, 0, false, false), "partially_paid");
        assert_eq!(of(100, 100, 0, false, false), "paid");
        assert_eq!(of(100, 100, 1, false, false), "partially_refunded");
        assert_eq!(of(100, 100, 100, false, false), "refunded");
        assert_eq!(of(100, 100, 100, false, true), "disputed");
        assert_eq!(of(0, 0, 0, false, false), "paid");
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn inv_m7_refunds_of_all_units_come_to_the_whole_line(gross in 0_i64..1_000_000_000, parts in prop::collection::vec(1_i64..50, 1..12)) {
            let mut line = line(parts.iter().sum(), gross);
            for part in parts {
                let amount = line.refund_of(part, 0);
                prop_assert!(amount >= 0);
                line.refunded_quantity += part;
                line.refunded_amount += amount;
            }
            prop_assert_eq!(line.refunded_amount, gross);
        }

        #[test]
        fn inv_m7_refunds_that_fail_in_between_change_nothing_of_the_whole(
            gross in 0_i64..1_000_000,
            tries in prop::collection::vec((1_i64..9, any::<bool>()), 1..24),
        ) {
            let mut line = line(tries.iter().map(|(part, _)| part).sum(), gross);
            let (mut owed, mut open) = (0, Vec::new());
            for (part, is_first_to_fail) in tries {
                if is_first_to_fail && !open.is_empty() {
                    let (quantity, amount): (i64, i64) = open.remove(0);
                    line.refunded_amount -= amount;
                    owed += quantity;
                }
                let amount = line.refund_of(part, owed);
                let again = part.min(owed);
                owed -= again;
                line.refunded_quantity += part - again;
                line.refunded_amount += amount;
                open.push((part, amount));
                prop_assert!(line.refunded_amount <= gross && line.refunded_quantity <= line.quantity);
            }
            let rest = line.quantity - line.refunded_quantity + owed;
            line.refunded_amount += line.refund_of(rest, owed);
            prop_assert_eq!(line.refunded_amount, gross);
        }
    }
}
