//! Mails about orders: noted once per order and occasion in the transaction of the occasion, queued by a job (INV-O5).

pub(crate) mod service;
pub(crate) mod store;

use kernel::Id;
use kernel::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::ids::Order;

pub(crate) use service::{SendOrderMails, queue, send};

/// What a mail is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum MailKind {
    /// The order is certain.
    Placed,
    /// It is paid.
    Paid,
    /// A parcel is on its way.
    Shipped,
    /// Money went back.
    Refunded,
    /// It was called off.
    Canceled,
    /// It was not paid in time.
    Expired,
}

impl MailKind {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            MailKind::Placed => "placed",
            MailKind::Paid => "paid",
            MailKind::Shipped => "shipped",
            MailKind::Refunded => "refunded",
            MailKind::Canceled => "canceled",
            MailKind::Expired => "expired",
        }
    }

    pub(crate) fn template(text: &str) -> &'static str {
        match text {
            "placed" => "shop/order_placed",
            "paid" => "shop/order_paid",
            "shipped" => "shop/order_shipped",
            "refunded" => "shop/order_refunded",
            "canceled" => "shop/order_canceled",
            _ => "shop/order_expired",
        }
    }
}

db::row! {
    /// A mail that is due.
    #[derive(Clone, Debug)]
    pub(crate) struct DueMail {
        pub(crate) id: Id<MailKind>,
        pub(crate) order_id: Id<Order>,
        pub(crate) kind: String,
        pub(crate) source_id: Option<Id<Uuid>>,
        pub(crate) created_at: Timestamp,
    }
}
