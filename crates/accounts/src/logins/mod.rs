//! Logins: one answer for every failure, growing waits per typed name.

pub(crate) mod device;
pub(crate) mod http;
pub(crate) mod service;
pub(crate) mod store;
pub(crate) mod throttle;
