//! Parcels: which units of an order leave from where, and when (INV-S8).
//!
//! A parcel is packed (`created`), leaves the house (`shipped`: now one movement takes the units off the shelf and off what the order
//! holds), and arrives (`delivered`). A packed one can be unpacked again.

pub(crate) mod http;
pub(crate) mod service;
pub(crate) mod store;

use kernel::{Id, Timestamp};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::ids::{Fulfilment, Location, Order, OrderLine};

/// Where a parcel is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum FulfilmentState {
    /// It is packed.
    Created,
    /// It has left the house.
    Shipped,
    /// It has arrived.
    Delivered,
    /// It was unpacked again.
    Canceled,
}

impl FulfilmentState {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            FulfilmentState::Created => "created",
            FulfilmentState::Shipped => "shipped",
            FulfilmentState::Delivered => "delivered",
            FulfilmentState::Canceled => "canceled",
        }
    }

    pub(crate) fn parse(text: &str) -> FulfilmentState {
        use FulfilmentState::{Canceled, Created, Delivered, Shipped};
        [Created, Shipped, Delivered].into_iter().find(|state| state.as_str() == text).unwrap_or(Canceled)
    }
}

db::row! {
    /// A parcel as it is stored.
    #[derive(Clone, Debug)]
    pub(crate) struct FulfilmentRecord {
        pub(crate) id: Id<Fulfilment>,
        pub(crate) order_id: Id<Order>,
        pub(crate) location_id: Id<Location>,
        pub(crate) state: String,
        pub(crate) carrier: Option<String>,
        pub(crate) tracking: Option<String>,
        pub(crate) shipped_at: Option<Timestamp>,
        pub(crate) delivered_at: Option<Timestamp>,
        pub(crate) created_at: Timestamp,
        pub(crate) updated_at: Timestamp,
        pub(crate) version: i64,
    }
}

impl FulfilmentRecord {
    pub(crate) fn state(&self) -> FulfilmentState {
        FulfilmentState::parse(&self.state)
    }
}

/// A parcel with what is in it: lines and units.
pub(crate) type Packed = (FulfilmentRecord, Vec<(Id<OrderLine>, i64)>);
