//! Reports: they read daily roll-ups per currency, never raw orders (REP-1).
//!
//! A day is made anew from its orders and its ledger as often as wanted, with the same rows each time. Money in different
//! currencies is never added.

pub(crate) mod http;
pub(crate) mod service;
pub(crate) mod store;

use kernel::money::Currency;

pub(crate) use service::{RollUp, roll_up};

db::row! {
    /// One figure of a day.
    #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
    pub(crate) struct DailyRow {
        pub(crate) day: String,
        pub(crate) currency: Currency,
        pub(crate) kind: String,
        pub(crate) item: String,
        pub(crate) count: i64,
        pub(crate) amount: i64,
    }
}
