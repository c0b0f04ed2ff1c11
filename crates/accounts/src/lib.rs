//! Under construction.

pub mod emails;
pub mod hashing;
pub mod passwords;
pub mod problems;
pub mod secrets;
pub mod tokens;
pub mod users;
