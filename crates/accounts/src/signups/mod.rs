//! Sign-up: nothing exists for an address until its mailbox is proven (SGN-1 to SGN-7).

pub(crate) mod http;
pub(crate) mod service;
pub(crate) mod store;
