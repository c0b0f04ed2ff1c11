//! Carts: what somebody is about to buy, for guests and for people with an account (INV-C1 to INV-C4).
//!
//! The id of a cart is no secret; whoever holds its secret, or the session of its owner, may open it, and nobody else can tell
//! that it exists. A cart holds variants and quantities, never prices: `load_priced` computes them anew each time, for the view
//! as for the checkout.

mod access;
mod address;
pub(crate) mod http;
mod jobs;
mod pricing;
pub(crate) mod service;
pub(crate) mod store;

use kernel::money::{Currency, Money};
use kernel::{Id, Timestamp, UserId};

use crate::ids::{Cart, CartLine, Coupon, Order, Product, ShippingMethod, TaxClass, Variant};
use crate::pricing::Totals;
use crate::promotions::AppliedCoupon;
use crate::stock::Demand;

pub use access::{CartAccess, CartSecret, CartState, secret_hash};
pub use address::{Address, is_country};
pub(crate) use jobs::{ExpireCarts, expire_carts};
pub(crate) use pricing::load_priced;
pub use service::claim_for_checkout;

/// The most lines of a cart (shop.md §12).
pub const MAX_LINES: usize = 500;
/// The largest quantity of a line.
pub const MAX_QUANTITY: u32 = 9_999;

/// A cart as it is stored.
#[derive(Clone, Debug)]
pub struct CartRecord {
    /// The cart.
    pub id: Id<Cart>,
    /// SHA-256 of the secret; none once a person owns the cart.
    pub secret_hash: Option<[u8; 32]>,
    /// The person who owns it; none for a guest.
    pub user_id: Option<UserId>,
    /// Where it is in its life.
    pub state: CartState,
    /// The currency of its prices.
    pub currency: Currency,
    /// Where mails about the order go.
    pub email: Option<String>,
    /// The language of the buyer.
    pub locale: String,
    /// What the buyer wants to tell.
    pub note: Option<String>,
    /// Values that the storefront keeps with it, as JSON.
    pub attributes: String,
    /// Where the goods go.
    pub shipping_address: Option<Address>,
    /// Who is billed; the shipping address when none is given.
    pub billing_address: Option<Address>,
    /// The chosen way to deliver.
    pub shipping_method_id: Option<Id<ShippingMethod>>,
    /// The order that was made of it.
    pub order_id: Option<Id<Order>>,
    /// The cart that its lines moved into.
    pub merged_into_id: Option<Id<Cart>>,
    /// When it was begun.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
    /// When it is forgotten.
    pub expires_at: Timestamp,
    /// Grows with every change.
    pub version: i64,
}

impl CartRecord {
    /// The address that decides about taxes (INV-T1).
    pub fn tax_address(&self) -> Option<&Address> {
        self.shipping_address.as_ref().or(self.billing_address.as_ref())
    }
}

/// How much of a line can be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Availability {
    /// How many units could be ordered now; none when stock does not matter.
    pub available: Option<i64>,
    /// Whether the line's quantity can be ordered now, other lines included.
    pub is_available: bool,
}

/// One line of a cart, with what it costs now.
#[derive(Clone, Debug)]
pub struct PricedLine {
    /// The line.
    pub id: Id<CartLine>,
    /// The product.
    pub product_id: Id<Product>,
    /// What is bought.
    pub variant_id: Id<Variant>,
    /// The name of the product.
    pub product_title: String,
    /// The address of the product.
    pub product_slug: String,
    /// The name of the variant.
    pub variant_title: String,
    /// The stock keeping unit.
    pub sku: Option<String>,
    /// How many units.
    pub quantity: u32,
    /// What one unit costs now; none when it has no price in the cart's currency.
    pub unit_price: Option<Money>,
    /// What it cost before a reduction.
    pub compare_at: Option<Money>,
    /// What it cost when it was put into the cart.
    pub seen_price: Option<Money>,
    /// How it is taxed.
    pub tax_class_id: Id<TaxClass>,
    /// The weight of one unit.
    pub weight_grams: i64,
    /// Whether it needs to be delivered.
    pub is_shippable: bool,
    /// Whether it is something to download.
    pub is_digital: bool,
    /// Whether it can be bought at all: active, of an active product, with a price.
    pub is_sellable: bool,
    /// How much of it can be had.
    pub availability: Availability,
    /// What it takes from the stock, quantity included.
    pub demand: Vec<Demand>,
}

/// Something that a buyer should know before paying (INV-C4).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CartProblem {
    /// `price_changed`, `unavailable`, `out_of_stock`, `code_invalid`, `not_shippable`, `address_required`, `shipping_required`.
    pub code: &'static str,
    /// The line it is about.
    pub line_id: Option<Id<CartLine>>,
    /// One sentence.
    pub detail: String,
    /// Whether the cart cannot be ordered like this.
    pub is_blocking: bool,
}

/// The chosen way to deliver, as it is now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChosenShipping {
    /// The method.
    pub method_id: Id<ShippingMethod>,
    /// What the buyer reads.
    pub name: String,
    /// What it costs before discounts.
    pub price: Money,
}

/// A cart with everything that was computed from it: the one path of pricing, for the view and for the checkout.
#[derive(Clone, Debug)]
pub struct PricedCart {
    /// The cart.
    pub cart: CartRecord,
    /// Its lines, in their order.
    pub lines: Vec<PricedLine>,
    /// What it costs; lines that cannot be bought are left out.
    pub totals: Totals,
    /// The chosen way to deliver.
    pub shipping: Option<ChosenShipping>,
    /// The codes that count now.
    pub coupons: Vec<AppliedCoupon>,
    /// The codes that were entered but do not count now: the coupon, the code, the reason.
    pub void_codes: Vec<(Id<Coupon>, String, &'static str)>,
    /// What the buyer should know.
    pub problems: Vec<CartProblem>,
}

impl PricedCart {
    /// What the whole cart takes from the stock, summed per item (INV-S3).
    pub fn demand(&self) -> Vec<Demand> {
        crate::stock::summed(self.lines.iter().flat_map(|line| line.demand.iter().copied()))
    }

    /// Whether anything of it must be delivered.
    pub fn needs_shipping(&self) -> bool {
        self.lines.iter().any(|line| line.is_shippable)
    }
}
