//! What happens to orders, payments, refunds and parcels, for subscribers (shop.md §10); payloads grow only.

use kernel::event;
use kernel::money::Money;
use uuid::Uuid;

macro_rules! order_events {
    ($($(#[doc = $doc:literal])+ $name:ident = $event:literal;)+) => {
        $(event! {
            $(#[doc = $doc])+
            pub struct $name as $event {
                /// The order.
                pub order_id: Uuid,
                /// Its number.
                pub number: String,
            }
        })+
    };
}

order_events! {
    /// Somebody checked out.
    OrderCreated = "shop.order.created";
    /// An order is certain: paid, authorised, or to be paid later as agreed.
    OrderConfirmed = "shop.order.confirmed";
    /// Everything was handed over and settled.
    OrderCompleted = "shop.order.completed";
    /// An order was called off.
    OrderCanceled = "shop.order.canceled";
    /// An order was not paid in time.
    OrderExpired = "shop.order.expired";
    /// Something else about an order changed.
    OrderUpdated = "shop.order.updated";
}

event! {
    /// An order is paid in full; exactly once per order.
    pub struct OrderPaid as "shop.order.paid" {
        /// The order.
        pub order_id: Uuid,
        /// Its number.
        pub number: String,
        /// What was to be paid.
        pub total: Money,
    }
}

macro_rules! payment_events {
    ($($(#[doc = $doc:literal])+ $name:ident = $event:literal;)+) => {
        $(event! {
            $(#[doc = $doc])+
            pub struct $name as $event {
                /// The payment.
                pub payment_id: Uuid,
                /// The order.
                pub order_id: Uuid,
                /// How much.
                pub amount: Money,
            }
        })+
    };
}

payment_events! {
    /// Money was promised and waits to be captured.
    PaymentAuthorized = "shop.payment.authorized";
    /// Money came.
    PaymentCaptured = "shop.payment.captured";
    /// A payment was refused or called off.
    PaymentFailed = "shop.payment.failed";
    /// A buyer disputes a payment with their bank.
    PaymentDisputed = "shop.payment.disputed";
}

macro_rules! refund_events {
    ($($(#[doc = $doc:literal])+ $name:ident = $event:literal;)+) => {
        $(event! {
            $(#[doc = $doc])+
            pub struct $name as $event {
                /// The refund.
                pub refund_id: Uuid,
                /// The order.
                pub order_id: Uuid,
                /// How much.
                pub amount: Money,
            }
        })+
    };
}

refund_events! {
    /// Money is to go back.
    RefundRequested = "shop.refund.requested";
    /// Money went back.
    RefundSucceeded = "shop.refund.succeeded";
    /// Money could not go back, or came again.
    RefundFailed = "shop.refund.failed";
}

macro_rules! fulfilment_events {
    ($($(#[doc = $doc:literal])+ $name:ident = $event:literal;)+) => {
        $(event! {
            $(#[doc = $doc])+
            pub struct $name as $event {
                /// The parcel.
                pub fulfilment_id: Uuid,
                /// The order.
                pub order_id: Uuid,
            }
        })+
    };
}

fulfilment_events! {
    /// A parcel is being packed.
    FulfilmentCreated = "shop.fulfilment.created";
    /// A parcel left the house.
    FulfilmentShipped = "shop.fulfilment.shipped";
    /// A parcel arrived.
    FulfilmentDelivered = "shop.fulfilment.delivered";
    /// A parcel was unpacked again.
    FulfilmentCanceled = "shop.fulfilment.canceled";
}
