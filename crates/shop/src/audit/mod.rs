//! The audit of the books: everything that is kept twice is computed anew from the append-only rows and compared (AUD-1).

pub(crate) mod http;
pub(crate) mod service;
pub(crate) mod store;

/// Two figures that should be one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Finding {
    /// Which rule it breaks.
    pub(crate) check: &'static str,
    /// What it is about, such as `order:…`.
    pub(crate) subject: String,
    /// What it should be.
    pub(crate) expected: String,
    /// What it is.
    pub(crate) found: String,
}
