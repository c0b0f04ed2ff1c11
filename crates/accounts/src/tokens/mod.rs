//! Access tokens: the keys that sign them, their one form, their one reader (accounts.md §4.8).

pub mod jwt;
pub mod keys;
pub mod provider;
