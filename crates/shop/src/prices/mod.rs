//! Prices: one per variant, currency and quantity, with a log of every change.

pub(crate) mod http;
pub(crate) mod service;
pub(crate) mod store;

use kernel::Timestamp;
use kernel::money::Money;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// One price of a variant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({
    "price": {"amount": 1299, "currency": "EUR"}, "compare_at": {"amount": 1999, "currency": "EUR"}, "min_quantity": 1, "valid_from": null,
    "valid_until": null
}))]
pub(crate) struct VariantPrice {
    /// What one unit costs.
    pub(crate) price: Money,
    /// What one unit cost before a reduction; more than the price, in the same currency.
    #[serde(default)]
    pub(crate) compare_at: Option<Money>,
    /// The quantity of a line from which it holds.
    #[serde(default = "one")]
    #[schema(minimum = 1, maximum = 9999)]
    pub(crate) min_quantity: i64,
    /// From when it holds. Of two prices for the same quantity, the one that began last counts.
    #[serde(default)]
    pub(crate) valid_from: Option<Timestamp>,
    /// Until when it holds.
    #[serde(default)]
    pub(crate) valid_until: Option<Timestamp>,
}

fn one() -> i64 {
    1
}
