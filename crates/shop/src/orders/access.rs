//! Who may see an order: whoever holds its secret, the account that made it, or staff (INV-O7).

use axum::extract::FromRequestParts;
use http::request::Parts;
use kernel::error::NOT_FOUND;
use kernel::http::{Describe, OperationDoc};
use kernel::{App, Ctx, Error, Permission, Result, UserId};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::orders::OrderRecord;
use crate::permissions::READ_ORDERS;

/// The header that carries the secret of an order.
pub(crate) const ORDER_SECRET: &str = "order-secret";

/// What is stored of a secret.
pub(crate) fn secret_hash(secret: &str) -> [u8; 32] {
    Sha256::digest(secret.as_bytes()).into()
}

/// The value of the header `Order-Secret`, if it was sent.
#[derive(Clone, Default)]
pub(crate) struct OrderSecret(Option<String>);

impl FromRequestParts<App> for OrderSecret {
    type Rejection = Error;
    async fn from_request_parts(parts: &mut Parts, _: &App) -> Result<Self> {
        let sent = parts.headers.get(ORDER_SECRET).and_then(|value| value.to_str().ok());
        Ok(OrderSecret(sent.filter(|text| text.len() <= 128).map(str::to_owned)))
    }
}

impl Describe for OrderSecret {
    fn describe(doc: &mut OperationDoc) {
        doc.request_headers.push((
            "Order-Secret",
            "The secret of the order, as the checkout answered and the mail says; not needed by the buyer's own session.",
        ));
    }
}

/// What a caller has to open orders with; made before the transaction, asked inside it.
#[derive(Clone, Copy)]
pub(crate) struct OrderAccess {
    secret_hash: Option<[u8; 32]>,
    user_id: Option<UserId>,
    is_staff: bool,
}

impl OrderAccess {
    /// What this request brings.
    pub(crate) fn of(ctx: &Ctx, secret: &OrderSecret) -> OrderAccess {
        OrderAccess {
            secret_hash: secret.0.as_deref().map(secret_hash),
            user_id: ctx.actor.maybe_user_id(),
            is_staff: ctx.actor.may(&READ_ORDERS),
        }
    }

    /// Whether the caller is the buyer: by their login, or by the secret.
    pub(crate) fn is_buyer(&self, order: &OrderRecord) -> bool {
        let is_owner = order.user_id.is_some() && order.user_id == self.user_id;
        is_owner || self.secret_hash.is_some_and(|sent| bool::from(sent.as_slice().ct_eq(&order.secret_hash)))
    }

    /// Fails unless the caller is the buyer or has this permission: who may only look learns that it is forbidden.
    pub(crate) fn require_to_act(&self, ctx: &Ctx, order: &OrderRecord, permission: &'static Permission) -> Result<()> {
        if self.is_buyer(order) || ctx.actor.may(permission) {
            return Ok(());
        }
        self.require(order)?;
        ctx.actor.require(permission)
    }

    /// Fails with `not_found` unless the caller may see the order.
    pub(crate) fn require(&self, order: &OrderRecord) -> Result<()> {
        if self.is_buyer(order) || self.is_staff { Ok(()) } else { Err(NOT_FOUND.error()) }
    }
}
