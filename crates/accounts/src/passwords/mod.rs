//! Passwords: what is acceptable, how they change (accounts.md §4.3).

pub mod blocklist;
pub(crate) mod http;
pub mod policy;
pub(crate) mod resemblance;
pub(crate) mod service;
pub(crate) mod store;
