//! The first owner: made by a one-time link that only somebody with the server's console sees (SGN-8, LOG-7).

pub(crate) mod http;
pub(crate) mod service;
