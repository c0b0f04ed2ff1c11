//! Taxes: classes of goods, zones, and the rates that hold in them from and until a day (INV-T1 to INV-T3).

pub(crate) mod http;
pub(crate) mod store;

use kernel::{Id, Timestamp};

use crate::ids::{TaxClass, TaxRate, TaxZone};
use crate::places::Place;
use crate::pricing::{Rate, TaxCategory};
use crate::resources::resource;

resource! {
    /// A kind of goods that is taxed alike.
    NewTaxClass, TaxClassView, TaxClass, example { "code": "books", "name": "Books and newspapers", "is_default": false } {
        /// A short name for machines.
        #[schema(min_length = 1, max_length = 40, pattern = "^[a-z0-9][a-z0-9_-]*$")]
        code: String,
        /// The name for people.
        #[schema(min_length = 1, max_length = 120)]
        name: String,
        /// Whether new variants get it unless they say otherwise.
        #[serde(default)]
        is_default: bool,
    }
}

resource! {
    /// A region with tax rates of its own. The zone with the narrowest place that an address lies in decides.
    NewTaxZone, TaxZoneView, TaxZone, example {
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
    /// What a class of goods is taxed in a zone. A class may have several rates there; they add up.
    NewTaxRate, TaxRateView, TaxRate, example {
        "zone_id": "019ab0b2-8f00-7000-8000-000000000002", "tax_class_id": "019ab0b2-8f00-7000-8000-000000000003", "name": "VAT",
        "rate_ppm": 190000, "category": "S", "valid_from": null, "valid_until": null
    } {
        /// The zone.
        #[schema(value_type = uuid::Uuid)]
        zone_id: Id<TaxZone>,
        /// The class of goods.
        #[schema(value_type = uuid::Uuid)]
        tax_class_id: Id<TaxClass>,
        /// What it is called on the invoice.
        #[schema(min_length = 1, max_length = 80)]
        name: String,
        /// Parts per million: 190000 is 19 %.
        #[schema(minimum = 0, maximum = 1000000)]
        rate_ppm: u32,
        /// The category of EN 16931.
        #[serde(default)]
        category: TaxCategory,
        /// From when it holds; existing orders keep their rates.
        #[serde(default)]
        valid_from: Option<Timestamp>,
        /// Until when it holds.
        #[serde(default)]
        valid_until: Option<Timestamp>,
    }
}

/// The rates that hold at one spot and one time, by class.
#[derive(Clone, Debug, Default)]
pub(crate) struct TaxTable(pub(crate) Vec<(Id<TaxClass>, Rate)>);

impl TaxTable {
    /// The rates of a class, in the order of their names.
    pub(crate) fn rates_of(&self, class: Id<TaxClass>) -> Vec<Rate> {
        let mut rates: Vec<Rate> = self.0.iter().filter(|(of, _)| *of == class).map(|(_, rate)| rate.clone()).collect();
        rates.sort();
        rates
    }

    /// All rates of a class together, in parts per million.
    pub(crate) fn ppm_of(&self, class: Id<TaxClass>) -> i128 {
        self.0.iter().filter(|(of, _)| *of == class).map(|(_, rate)| i128::from(rate.ppm)).sum()
    }
}
