//! Users: who has an account, under which names.

pub mod names;
