//! Stock: what lies where, what orders hold of it, and every movement (INV-S1 to INV-S9).
//!
//! The life of a unit: `reserve` at checkout (`reserved` up) → `commit_reservations` when paid (still reserved, no expiry) →
//! `fulfil` (one movement takes `on_hand` and `reserved` down together), or `release` (`reserved` down). All of them run inside
//! the transaction of their caller, touch rows in the order of their ids, and let the affected rows of one UPDATE decide.

pub(crate) mod http;
pub(crate) mod service;
pub(crate) mod store;

use kernel::{Id, Timestamp};

use crate::ids::{Item, Location, Order, Reservation as ReservationId};

pub use service::{commit_reservations, fulfil, release, reservations, reserve, restock};

/// How much of one item an order needs, summed over its lines (INV-S3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Demand {
    /// The kind of thing.
    pub item_id: Id<Item>,
    /// How many units.
    pub quantity: i64,
}

/// Sums the demand per item, in the order of the items' ids.
pub(crate) fn summed(demand: impl IntoIterator<Item = Demand>) -> Vec<Demand> {
    let mut sums = std::collections::BTreeMap::<Id<Item>, i64>::new();
    for Demand { item_id, quantity } in demand {
        let sum = sums.entry(item_id).or_default();
        *sum = sum.saturating_add(quantity);
    }
    sums.into_iter().map(|(item_id, quantity)| Demand { item_id, quantity }).collect()
}

/// Where a reservation is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReservationState {
    /// Held while the order is being paid.
    Held,
    /// The order is paid; nothing expires any more.
    Committed,
    /// Everything was handed over.
    Fulfilled,
    /// The units were given back.
    Released,
}

impl ReservationState {
    /// The value at rest.
    pub fn as_str(self) -> &'static str {
        match self {
            ReservationState::Held => "held",
            ReservationState::Committed => "committed",
            ReservationState::Fulfilled => "fulfilled",
            ReservationState::Released => "released",
        }
    }

    pub(crate) fn parse(text: &str) -> ReservationState {
        use ReservationState::{Committed, Fulfilled, Held, Released};
        [Held, Committed, Fulfilled].into_iter().find(|state| state.as_str() == text).unwrap_or(Released)
    }

    /// Whether the units still count as reserved.
    pub fn is_live(self) -> bool {
        matches!(self, ReservationState::Held | ReservationState::Committed)
    }
}

/// A part of the stock that an order holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reservation {
    /// The reservation.
    pub id: Id<ReservationId>,
    /// Whose it is.
    pub order_id: Id<Order>,
    /// The kind of thing.
    pub item_id: Id<Item>,
    /// Where it lies.
    pub location_id: Id<Location>,
    /// How many units are still to be handed over.
    pub quantity: i64,
    /// Where it is in its life.
    pub state: ReservationState,
    /// Until when it is held; none once it is committed.
    pub expires_at: Option<Timestamp>,
}
