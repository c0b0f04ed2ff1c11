//! E-mail addresses: which are accepted, and how a person changes theirs (RST-10).

pub mod address;
pub(crate) mod http;
pub(crate) mod service;
pub(crate) mod store;

pub(crate) use store::{ChangeRow, EmailChange};
