//! A key that must be there, for operations whose first transaction claims it and whose answer the kernel remembers.

use axum::extract::FromRequestParts;
use http::request::Parts;
use kernel::error::{IDEMPOTENCY_KEY_INVALID, IDEMPOTENCY_KEY_REQUIRED};
use kernel::http::{Describe, OperationDoc};
use kernel::{App, Error, Result};

/// Fails with `idempotency_key_required` unless the request carries a key.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RequiredKey;

impl FromRequestParts<App> for RequiredKey {
    type Rejection = Error;
    async fn from_request_parts(parts: &mut Parts, _: &App) -> Result<Self> {
        if parts.headers.contains_key("idempotency-key") { Ok(RequiredKey) } else { Err(IDEMPOTENCY_KEY_REQUIRED.error()) }
    }
}

impl Describe for RequiredKey {
    fn describe(doc: &mut OperationDoc) {
        doc.requires_idempotency_key = true;
        doc.problems.extend_from_slice(&[&IDEMPOTENCY_KEY_REQUIRED, &IDEMPOTENCY_KEY_INVALID]);
    }
}
