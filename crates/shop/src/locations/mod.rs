//! Locations: the places with shelves, in the order in which orders take from them (INV-S9).

pub(crate) mod http;
pub(crate) mod store;

use crate::ids::Location;
use crate::resources::{resource, yes};

resource! {
    /// A place with shelves.
    NewLocation, LocationView, Location, example { "code": "main", "name": "Main warehouse", "priority": 10, "is_active": true } {
        /// A short name for machines.
        #[schema(min_length = 1, max_length = 40, pattern = "^[a-z0-9][a-z0-9_-]*$")]
        code: String,
        /// The name for people.
        #[schema(min_length = 1, max_length = 120)]
        name: String,
        /// Orders take from the location with the lowest number first.
        #[serde(default)]
        #[schema(minimum = 0, maximum = 1000000)]
        priority: i64,
        /// Whether orders take from it.
        #[serde(default = "yes")]
        is_active: bool,
    }
}
