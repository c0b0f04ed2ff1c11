//! Locations over HTTP.

use kernel::error::ALREADY_EXISTS;
use kernel::{Permission, Problem};

use crate::locations::{LocationView, NewLocation};
use crate::permissions::MANAGE_SETTINGS;
use crate::problems::IN_USE;
use crate::resources::http::Resource;

impl Resource for NewLocation {
    type View = LocationView;
    const PERMISSION: &'static Permission = &MANAGE_SETTINGS;
    const TAG: &'static str = "Stock";
    const PATHS: [&'static str; 2] = ["/api/v1/shop/locations", "/api/v1/shop/locations/{location_id}"];
    const OPERATIONS: [&'static str; 5] = ["listLocations", "getLocation", "createLocation", "replaceLocation", "deleteLocation"];
    const SUMMARIES: [&'static str; 5] =
        ["List the locations", "Read a location", "Add a location", "Change a location", "Delete a location"];
    const ABOUT: &'static str = "A place with shelves. Orders take from the open location with the lowest priority that has everything.";
    const PROBLEMS: [&'static [&'static Problem]; 2] = [&[&ALREADY_EXISTS], &[&IN_USE]];
    const SUBJECT: &'static str = "location";
    const ACTIONS: [&'static str; 3] = ["shop.location.create", "shop.location.replace", "shop.location.delete"];
}
