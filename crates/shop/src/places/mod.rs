//! Where a zone is: countries, regions and postal codes, and which zone is the nearest to an address (INV-T1, INV-H1).

mod store;

use std::cmp::Reverse;

use kernel::{Error, FieldError, Result};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::carts::{Address, is_country};

pub(crate) use store::{of_zone, of_zones, replace};

/// The country that stands for all of them.
pub(crate) const EVERYWHERE: &str = "*";

/// One place of a zone; the narrowest place that an address lies in decides.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"country": "US", "region": "CA", "postal_from": "900", "postal_to": "935"}))]
pub(crate) struct Place {
    /// ISO 3166 code; `*` for everywhere.
    #[schema(min_length = 1, max_length = 2, pattern = "^([A-Z]{2}|\\*)$")]
    pub(crate) country: String,
    /// A state or province; none for all of them.
    #[serde(default)]
    #[schema(max_length = 40)]
    pub(crate) region: Option<String>,
    /// The beginning of postal codes, or of the first of a range.
    #[serde(default)]
    #[schema(max_length = 16)]
    pub(crate) postal_from: Option<String>,
    /// The beginning of the last postal codes of a range; none means the beginning alone.
    #[serde(default)]
    #[schema(max_length = 16)]
    pub(crate) postal_to: Option<String>,
}

/// What decides of an address.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Spot {
    pub(crate) country: String,
    region: String,
    postal: String,
}

impl Spot {
    /// Somewhere in this country.
    pub(crate) fn of_country(country: &str) -> Spot {
        Spot { country: country.to_owned(), ..Spot::default() }
    }

    pub(crate) fn of(address: &Address) -> Spot {
        let region = folded(address.region.as_deref().unwrap_or(""));
        Spot { country: address.country.clone(), region, postal: folded(address.postal_code.as_deref().unwrap_or("")) }
    }
}

/// A region or postal code without blanks and hyphens, in capitals.
pub(crate) fn folded(text: &str) -> String {
    text.chars().filter(|c| !c.is_whitespace() && *c != '-').flat_map(char::to_uppercase).collect()
}

/// How narrow a place is that the spot lies in; none when it lies elsewhere.
pub(crate) fn narrowness(spot: &Spot, country: &str, region: &str, from: &str, to: &str) -> Option<u8> {
    if country != EVERYWHERE && country != spot.country {
        return None;
    }
    if !region.is_empty() && region != spot.region {
        return None;
    }
    if !from.is_empty() {
        let beginning = |bound: &str| spot.postal.get(..bound.len()).map(str::to_owned);
        let is_inside = match to {
            "" => spot.postal.starts_with(from),
            to => beginning(from).is_some_and(|code| code.as_str() >= from) && beginning(to).is_some_and(|code| code.as_str() <= to),
        };
        if !is_inside {
            return None;
        }
    }
    Some(u8::from(country != EVERYWHERE) + 2 * u8::from(!region.is_empty()) + 4 * u8::from(!from.is_empty()))
}

/// What a row says about the place that it names: how narrow it is, the priority and the id of its zone, its position there.
pub(crate) type Standing<Z> = (Option<u8>, i64, Z, i64);

/// Of rows that each name a place of a zone, those of the nearest place: the narrowest, then of the lowest priority.
///
/// One place is enough: a zone that matches twice must not give its rates twice.
pub(crate) fn nearest<T, Z: Copy + Ord>(rows: Vec<T>, standing: impl Fn(&T) -> Standing<Z>) -> Vec<T> {
    let rank = |row: &T| {
        let (narrowness, priority, zone, position) = standing(row);
        narrowness.map(|narrowness| (Reverse(narrowness), priority, zone, position))
    };
    let best = rows.iter().filter_map(rank).min();
    rows.into_iter().filter(|row| best.is_some() && rank(row) == best).collect()
}

/// Refuses countries that do not exist.
pub(crate) fn check(places: &[Place]) -> Result<()> {
    let is_known = |country: &str| country == EVERYWHERE || is_country(country);
    let errors: Vec<FieldError> = (0..places.len())
        .filter(|index| !is_known(&places[*index].country))
        .map(|index| FieldError::body(format!("/places/{index}/country"), "not_allowed", "This is no country of ISO 3166."))
        .collect();
    if errors.is_empty() { Ok(()) } else { Err(Error::invalid(errors)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inv_t1_the_narrowest_place_decides() {
        let spot = Spot { country: "US".into(), region: "CA".into(), postal: "90210".into() };
        for (place, expected) in [
            (("*", "", "", ""), Some(0)),
            (("US", "", "", ""), Some(1)),
            (("US", "CA", "", ""), Some(3)),
            (("US", "", "902", ""), Some(5)),
            (("US", "CA", "900", "935"), Some(7)),
            (("US", "NY", "", ""), None),
            (("US", "", "91", ""), None),
            (("US", "", "903", "935"), None),
            (("US", "", "900", "901"), None),
            (("DE", "", "", ""), None),
        ] {
            let (country, region, from, to) = place;
            assert_eq!(narrowness(&spot, country, region, from, to), expected, "{place:?}");
        }
    }

    #[test]
    fn inv_t1_ties_go_to_the_lowest_priority_and_one_place_is_enough() {
        let rows =
            vec![(Some(1), 5, 1, 0), (Some(1), 2, 2, 1), (Some(1), 2, 2, 0), (Some(1), 2, 3, 0), (None, 0, 4, 0), (Some(0), 1, 2, 0)];
        assert_eq!(nearest(rows, |row| *row), [(Some(1), 2, 2, 0)]);
        assert_eq!(nearest(vec![(None, 0, 1, 0)], |row| *row), []);
    }
}
