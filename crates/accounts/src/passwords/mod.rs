//! Passwords: what is acceptable, how they change (accounts.md §4.3).

pub mod policy;
