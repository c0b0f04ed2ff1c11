//! The `[shop…]` settings, and the rules of pricing that are made of them.

use kernel::error::INTERNAL;
use kernel::money::Currency;
use kernel::settings::Span;
use kernel::{App, Result};
use serde::{Deserialize, Serialize};

use crate::pricing::{Rounding, RoundingLevel};

/// What stays the same when a price that includes tax is sold into another zone (INV-T2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CrossZone {
    /// What the buyer pays.
    #[default]
    KeepGross,
    /// What the seller keeps.
    KeepNet,
}

/// How shipping is taxed (INV-H1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ShippingTax {
    /// By the tax class of the shipping method.
    #[default]
    Class,
    /// By the rates of the goods, in their proportion.
    Goods,
}

kernel::settings! {
    /// What is sold, in which money, and how it is priced.
    pub struct ShopSettings in "shop" {
        /// The currency of new carts.
        pub currency: Currency = Currency::EUR,
        /// Every currency that can be paid in.
        pub currencies: Vec<Currency> = vec![Currency::EUR],
        /// Whether prices include taxes.
        pub prices_include_tax: bool = true,
        /// The country of the store, ISO 3166; its taxes apply until an address is known.
        pub country: String = "DE".to_owned(),
        /// What stands before the number of an order.
        pub order_number_prefix: String = String::new(),
        /// How halves are rounded: "half_away", "half_even" or "half_down".
        pub rounding: Rounding = Rounding::HalfAway,
        /// What is rounded: each "line", each "unit" or each "rate_group".
        pub rounding_level: RoundingLevel = RoundingLevel::Line,
        /// How long stock is held for an order that is being paid.
        pub reservation_minutes: u32 = 30,
        /// How many days an unused cart lasts.
        pub cart_days: u32 = 30,
        /// Whether one order may come from several locations.
        pub split_shipments: bool = true,
        /// How many years orders keep names and addresses.
        pub retention_years: u32 = 10,
    }
}

kernel::settings! {
    /// Taxes that are no plain rate.
    pub struct TaxSettings in "shop.tax" {
        /// What stays when a price with tax is sold into another zone: "keep_gross" or "keep_net".
        pub cross_zone: CrossZone = CrossZone::KeepGross,
        /// How shipping is taxed: by its own "class", or like the "goods".
        pub shipping: ShippingTax = ShippingTax::Class,
    }
}

/// The rules by which carts and orders are priced: the settings that matter, to be moved into a transaction.
#[derive(Clone, Debug)]
pub struct ShopRules {
    /// The currency of new carts.
    pub currency: Currency,
    /// Every currency that can be paid in.
    pub currencies: Vec<Currency>,
    /// Whether prices include taxes.
    pub prices_include_tax: bool,
    /// The country of the store.
    pub country: String,
    /// How halves are rounded.
    pub rounding: Rounding,
    /// What is rounded.
    pub rounding_level: RoundingLevel,
    /// What stays when a price with tax is sold into another zone.
    pub cross_zone: CrossZone,
    /// How shipping is taxed.
    pub shipping_tax: ShippingTax,
    /// How long stock is held for an order that is being paid.
    pub reservation: Span,
    /// How long an unused cart lasts.
    pub cart_life: Span,
    /// Whether one order may come from several locations.
    pub split_shipments: bool,
}

impl ShopRules {
    /// The rules of this app.
    pub fn of(app: &App) -> ShopRules {
        let (shop, tax) = (app.settings::<ShopSettings>(), app.settings::<TaxSettings>());
        ShopRules {
            currency: shop.currency,
            currencies: shop.currencies.clone(),
            prices_include_tax: shop.prices_include_tax,
            country: shop.country.clone(),
            rounding: shop.rounding,
            rounding_level: shop.rounding_level,
            cross_zone: tax.cross_zone,
            shipping_tax: tax.shipping,
            reservation: Span::minutes(u64::from(shop.reservation_minutes)),
            cart_life: Span::days(u64::from(shop.cart_days)),
            split_shipments: shop.split_shipments,
        }
    }
}

/// Refuses settings that contradict each other.
pub(crate) fn check(app: &App) -> Result<()> {
    let shop = app.settings::<ShopSettings>();
    let rules = [
        (shop.currencies.contains(&shop.currency), "shop.currencies must contain shop.currency."),
        (crate::carts::is_country(&shop.country), "shop.country must be a code of ISO 3166, such as DE."),
        ((1..=24 * 60).contains(&shop.reservation_minutes), "shop.reservation_minutes must be 1 to 1440."),
        ((1..=365).contains(&shop.cart_days), "shop.cart_days must be 1 to 365."),
        (shop.order_number_prefix.chars().count() <= 16, "shop.order_number_prefix may have 16 characters."),
    ];
    rules.into_iter().find(|(is_fine, _)| !is_fine).map_or(Ok(()), |(_, rule)| Err(INTERNAL.because(rule)))
}
