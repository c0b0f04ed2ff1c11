//! Access tokens: the keys that sign them, their one form, their one reader (accounts.md §4.8).

pub(crate) mod http;
pub mod jwt;
pub mod keys;
pub mod provider;
pub(crate) mod refresh;
pub(crate) mod signing;
pub(crate) mod store;

pub(crate) use signing::SigningKeys;
