//! Shipping zones and methods over HTTP.

use kernel::{Permission, Problem};

use crate::permissions::MANAGE_SETTINGS;
use crate::problems::IN_USE;
use crate::resources::http::Resource;
use crate::shipping::{NewShippingMethod, NewShippingZone, ShippingMethodView, ShippingZoneView};

impl Resource for NewShippingZone {
    type View = ShippingZoneView;
    const PERMISSION: &'static Permission = &MANAGE_SETTINGS;
    const TAG: &'static str = "Shipping";
    const PATHS: [&'static str; 2] = ["/api/v1/shop/shipping-zones", "/api/v1/shop/shipping-zones/{shipping_zone_id}"];
    const OPERATIONS: [&'static str; 5] =
        ["listShippingZones", "getShippingZone", "createShippingZone", "replaceShippingZone", "deleteShippingZone"];
    const SUMMARIES: [&'static str; 5] =
        ["List the shipping zones", "Read a shipping zone", "Add a shipping zone", "Change a shipping zone", "Delete a shipping zone"];
    const ABOUT: &'static str = "A region that is delivered to. Its methods are offered to every address in it.";
    const PROBLEMS: [&'static [&'static Problem]; 2] = [&[], &[&IN_USE]];
    const SUBJECT: &'static str = "shipping_zone";
    const ACTIONS: [&'static str; 3] = ["shop.shipping_zone.create", "shop.shipping_zone.replace", "shop.shipping_zone.delete"];
}

impl Resource for NewShippingMethod {
    type View = ShippingMethodView;
    const PERMISSION: &'static Permission = &MANAGE_SETTINGS;
    const TAG: &'static str = "Shipping";
    const PATHS: [&'static str; 2] = ["/api/v1/shop/shipping-methods", "/api/v1/shop/shipping-methods/{shipping_method_id}"];
    const OPERATIONS: [&'static str; 5] =
        ["listShippingMethods", "getShippingMethod", "createShippingMethod", "replaceShippingMethod", "deleteShippingMethod"];
    const SUMMARIES: [&'static str; 5] = [
        "List the shipping methods",
        "Read a shipping method",
        "Add a shipping method",
        "Change a shipping method",
        "Delete a shipping method",
    ];
    const ABOUT: &'static str =
        "A way to deliver in one zone. It is offered to carts whose weight and subtotal fit, in the order of the positions.";
    const PROBLEMS: [&'static [&'static Problem]; 2] = [&[], &[]];
    const SUBJECT: &'static str = "shipping_method";
    const ACTIONS: [&'static str; 3] = ["shop.shipping_method.create", "shop.shipping_method.replace", "shop.shipping_method.delete"];
}
