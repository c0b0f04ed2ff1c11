//! Shipping: zones, the methods offered in them, and what each costs for a cart (INV-H1).

pub(crate) mod http;
pub(crate) mod store;

use kernel::Id;
use kernel::money::{Currency, Money};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::ids::{ShippingMethod, ShippingZone, TaxClass};
use crate::places::Place;
use crate::resources::{resource, yes};

resource! {
    /// A region that is delivered to. The zone with the narrowest place that an address lies in decides.
    NewShippingZone, ShippingZoneView, ShippingZone, example {
        "name": "Germany", "priority": 0, "places": [{"country": "DE", "region": null, "postal_from": null, "postal_to": null}]
    } {
        /// The name for people.
        #[schema(min_length = 1, max_length = 120)]
        name: String,
        /// Of zones whose places are equally narrow, the one with the lowest number decides.
        #[serde(default)]
        #[schema(minimum = 0, maximum = 1000000)]
        priority: i64,
        /// Where it is.
        #[schema(min_items = 1, max_items = 300)]
        places: Vec<Place>,
    }
}

resource! {
    /// A way to deliver, and what it costs.
    NewShippingMethod, ShippingMethodView, ShippingMethod, example {
        "zone_id": "019ab0b2-8f00-7000-8000-000000000002", "name": "Parcel", "calculator": "flat",
        "prices": [{"currency": "EUR", "amount": 490, "free_above": 5000, "min_subtotal": null, "max_subtotal": null, "steps": []}],
        "conditions": {"min_weight_grams": null, "max_weight_grams": 30000}, "tax_class_id": null, "position": 1, "is_active": true
    } {
        /// The zone in which it is offered.
        #[schema(value_type = uuid::Uuid)]
        zone_id: Id<ShippingZone>,
        /// What the buyer reads.
        #[schema(min_length = 1, max_length = 120)]
        name: String,
        /// How its price is found.
        calculator: Calculator,
        /// What it costs, once for each currency in which it is offered.
        #[schema(min_items = 1, max_items = 50)]
        prices: Vec<ShippingPrice>,
        /// For which carts it is offered.
        #[serde(default)]
        conditions: ShippingConditions,
        /// How it is taxed; null means not at all.
        #[serde(default)]
        #[schema(value_type = Option<uuid::Uuid>)]
        tax_class_id: Option<Id<TaxClass>>,
        /// Where it stands among the options.
        #[serde(default)]
        #[schema(minimum = 0, maximum = 1000000)]
        position: i64,
        /// Whether it is offered.
        #[serde(default = "yes")]
        is_active: bool,
    }
}

/// How the price of a method is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Calculator {
    /// One price.
    Flat,
    /// One price for each unit.
    PerItem,
    /// The price of the last step that the weight in grams reaches.
    ByWeight,
    /// The price of the last step that the subtotal in minor units reaches.
    ByValue,
    /// The buyer comes; one price, mostly nothing.
    Pickup,
}

impl Calculator {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Calculator::Flat => "flat",
            Calculator::PerItem => "per_item",
            Calculator::ByWeight => "by_weight",
            Calculator::ByValue => "by_value",
            Calculator::Pickup => "pickup",
        }
    }

    pub(crate) fn parse(text: &str) -> Calculator {
        use Calculator::{ByValue, ByWeight, Flat, PerItem, Pickup};
        [PerItem, ByWeight, ByValue, Pickup].into_iter().find(|calculator| calculator.as_str() == text).unwrap_or(Flat)
    }
}

/// What a method costs in one currency.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"currency": "EUR", "amount": 490, "free_above": 5000, "min_subtotal": null, "max_subtotal": null, "steps": []}))]
pub(crate) struct ShippingPrice {
    /// The currency.
    pub(crate) currency: Currency,
    /// Minor units; with steps, what is below the first of them.
    #[schema(minimum = 0, maximum = 1000000000000000_i64)]
    pub(crate) amount: i64,
    /// The subtotal, before discounts, from which it costs nothing.
    #[serde(default)]
    #[schema(minimum = 0, maximum = 1000000000000000_i64)]
    pub(crate) free_above: Option<i64>,
    /// The subtotal from which the method is offered.
    #[serde(default)]
    #[schema(minimum = 0, maximum = 1000000000000000_i64)]
    pub(crate) min_subtotal: Option<i64>,
    /// The subtotal up to which the method is offered.
    #[serde(default)]
    #[schema(minimum = 0, maximum = 1000000000000000_i64)]
    pub(crate) max_subtotal: Option<i64>,
    /// The steps of `by_weight` and `by_value`, ascending.
    #[serde(default)]
    #[schema(max_items = 100)]
    pub(crate) steps: Vec<ShippingStep>,
}

/// One step of a table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ShippingStep {
    /// Grams or minor units from which it counts.
    #[schema(minimum = 0, maximum = 1000000000000000_i64)]
    pub(crate) from: i64,
    /// Minor units.
    #[schema(minimum = 0, maximum = 1000000000000000_i64)]
    pub(crate) amount: i64,
}

/// For which carts a method is offered.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
#[schema(example = json!({"min_weight_grams": null, "max_weight_grams": 30000}))]
pub(crate) struct ShippingConditions {
    /// The least weight of all goods.
    #[schema(minimum = 0, maximum = 1000000000000_i64)]
    pub(crate) min_weight_grams: Option<i64>,
    /// The largest weight of all goods.
    #[schema(minimum = 0, maximum = 1000000000000_i64)]
    pub(crate) max_weight_grams: Option<i64>,
}

/// A method of the zone of an address.
#[derive(Clone, Debug)]
pub(crate) struct Method {
    pub(crate) id: Id<ShippingMethod>,
    pub(crate) name: String,
    pub(crate) calculator: Calculator,
    pub(crate) prices: Vec<ShippingPrice>,
    pub(crate) conditions: ShippingConditions,
    pub(crate) tax_class_id: Option<Id<TaxClass>>,
}

/// What of a cart decides about its delivery.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Parcel {
    pub(crate) currency: Currency,
    pub(crate) subtotal: i64,
    pub(crate) weight_grams: i64,
    pub(crate) units: i64,
}

impl Method {
    /// What it costs for this parcel; none when it is not offered for it.
    pub(crate) fn price_for(&self, parcel: &Parcel) -> Option<Money> {
        let price = self.prices.iter().find(|price| price.currency == parcel.currency)?;
        let fits =
            |value: i64, min: Option<i64>, max: Option<i64>| min.is_none_or(|min| value >= min) && max.is_none_or(|max| value <= max);
        if !fits(parcel.subtotal, price.min_subtotal, price.max_subtotal)
            || !fits(parcel.weight_grams, self.conditions.min_weight_grams, self.conditions.max_weight_grams)
        {
            return None;
        }
        let step = |value: i64| price.steps.iter().rfind(|step| step.from <= value).map_or(price.amount, |step| step.amount);
        let minor = match self.calculator {
            _ if price.free_above.is_some_and(|from| parcel.subtotal >= from) => 0,
            Calculator::Flat | Calculator::Pickup => price.amount,
            Calculator::PerItem => price.amount.checked_mul(parcel.units)?,
            Calculator::ByWeight => step(parcel.weight_grams),
            Calculator::ByValue => step(parcel.subtotal),
        };
        (minor <= crate::pricing::MAX_AMOUNT).then_some(Money::new(minor, parcel.currency))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn method(calculator: Calculator) -> Method {
        Method {
            id: Id::from_uuid(uuid::Uuid::nil()),
            name: "Parcel".into(),
            calculator,
            prices: vec![ShippingPrice {
                currency: Currency::EUR,
                amount: 490,
                free_above: Some(10_000),
                min_subtotal: Some(100),
                max_subtotal: None,
                steps: vec![ShippingStep { from: 1_000, amount: 690 }, ShippingStep { from: 5_000, amount: 990 }],
            }],
            conditions: ShippingConditions { min_weight_grams: None, max_weight_grams: Some(30_000) },
            tax_class_id: None,
        }
    }

    #[test]
    fn inv_h1_each_calculator_prices_and_conditions_exclude() {
        let parcel = Parcel { currency: Currency::EUR, subtotal: 2_000, weight_grams: 5_000, units: 3 };
        let price = |calculator, parcel: &Parcel| method(calculator).price_for(parcel).map(|money| money.minor);
        assert_eq!(price(Calculator::Flat, &parcel), Some(490));
        assert_eq!(price(Calculator::PerItem, &parcel), Some(1_470));
        assert_eq!(price(Calculator::ByWeight, &parcel), Some(990));
        assert_eq!(price(Calculator::ByWeight, &Parcel { weight_grams: 999, ..parcel }), Some(490));
        assert_eq!(price(Calculator::ByValue, &parcel), Some(690));
        assert_eq!(price(Calculator::Flat, &Parcel { subtotal: 10_000, ..parcel }), Some(0));
        assert_eq!(price(Calculator::Flat, &Parcel { subtotal: 99, ..parcel }), None);
        assert_eq!(price(Calculator::Flat, &Parcel { weight_grams: 30_001, ..parcel }), None);
        assert_eq!(price(Calculator::Flat, &Parcel { currency: Currency::USD, ..parcel }), None);
    }
}
