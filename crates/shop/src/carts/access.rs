//! Who may open a cart: whoever holds its secret, or the session of its owner (INV-C1).

use axum::extract::FromRequestParts;
use http::request::Parts;
use kernel::error::NOT_FOUND;
use kernel::http::{Describe, OperationDoc};
use kernel::{App, Ctx, Error, Result, UserId};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::carts::CartRecord;

/// The header that carries the secret of a cart.
pub(crate) const CART_SECRET: &str = "cart-secret";

/// Where a cart is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CartState {
    /// It can be changed.
    Open,
    /// An order was made of it.
    Ordered,
    /// Its lines moved into another cart.
    Merged,
    /// It was not used for too long.
    Expired,
}

impl CartState {
    /// The value at rest and on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            CartState::Open => "open",
            CartState::Ordered => "ordered",
            CartState::Merged => "merged",
            CartState::Expired => "expired",
        }
    }

    pub(crate) fn parse(text: &str) -> CartState {
        use CartState::{Expired, Merged, Open, Ordered};
        [Open, Ordered, Merged].into_iter().find(|state| state.as_str() == text).unwrap_or(Expired)
    }
}

/// What is stored of a secret.
pub fn secret_hash(secret: &str) -> [u8; 32] {
    Sha256::digest(secret.as_bytes()).into()
}

/// The value of the header `Cart-Secret`, if it was sent.
#[derive(Clone, Default)]
pub struct CartSecret(pub Option<String>);

impl std::fmt::Debug for CartSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(if self.0.is_some() { "CartSecret(…)" } else { "CartSecret(none)" })
    }
}

impl FromRequestParts<App> for CartSecret {
    type Rejection = Error;
    async fn from_request_parts(parts: &mut Parts, _: &App) -> Result<Self> {
        let sent = parts.headers.get(CART_SECRET).and_then(|value| value.to_str().ok());
        Ok(CartSecret(sent.filter(|text| text.len() <= 128).map(str::to_owned)))
    }
}

impl Describe for CartSecret {
    fn describe(doc: &mut OperationDoc) {
        doc.request_headers
            .push(("Cart-Secret", "The secret of the cart, as it was shown when the cart was made; not needed by its owner's session."));
    }
}

/// What a caller has to open carts with; made before the transaction, asked inside it.
#[derive(Clone)]
pub struct CartAccess {
    secret_hash: Option<[u8; 32]>,
    /// The person who is logged in.
    pub user_id: Option<UserId>,
}

impl CartAccess {
    /// What this request brings.
    pub fn of(ctx: &Ctx, secret: &CartSecret) -> CartAccess {
        CartAccess { secret_hash: secret.0.as_deref().map(secret_hash), user_id: ctx.actor.maybe_user_id() }
    }

    /// Whether the caller may open the cart.
    pub fn opens(&self, cart: &CartRecord) -> bool {
        let is_owner = cart.user_id.is_some() && cart.user_id == self.user_id;
        is_owner || self.holds_secret(cart)
    }

    /// Fails with `not_found` unless the caller may open the cart.
    ///
    /// # Errors
    /// `not_found`, as for a cart that does not exist.
    pub fn require(&self, cart: &CartRecord) -> Result<()> {
        if self.opens(cart) { Ok(()) } else { Err(NOT_FOUND.error()) }
    }

    fn holds_secret(&self, cart: &CartRecord) -> bool {
        match (&self.secret_hash, &cart.secret_hash) {
            (Some(sent), Some(kept)) => bool::from(sent.ct_eq(kept)),
            _ => false,
        }
    }

    /// The person who takes over the cart with this request: a guest's cart, whose secret they hold (INV-C2).
    pub(crate) fn adopter(&self, cart: &CartRecord) -> Option<UserId> {
        self.user_id.filter(|_| cart.user_id.is_none() && cart.state == CartState::Open && self.holds_secret(cart))
    }
}
