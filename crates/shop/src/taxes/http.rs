//! Taxes over HTTP.

use kernel::error::ALREADY_EXISTS;
use kernel::{Permission, Problem};

use crate::permissions::MANAGE_SETTINGS;
use crate::problems::IN_USE;
use crate::resources::http::Resource;
use crate::taxes::{NewTaxClass, NewTaxRate, NewTaxZone, TaxClassView, TaxRateView, TaxZoneView};

impl Resource for NewTaxClass {
    type View = TaxClassView;
    const PERMISSION: &'static Permission = &MANAGE_SETTINGS;
    const TAG: &'static str = "Taxes";
    const PATHS: [&'static str; 2] = ["/api/v1/shop/tax-classes", "/api/v1/shop/tax-classes/{tax_class_id}"];
    const OPERATIONS: [&'static str; 5] = ["listTaxClasses", "getTaxClass", "createTaxClass", "replaceTaxClass", "deleteTaxClass"];
    const SUMMARIES: [&'static str; 5] =
        ["List the tax classes", "Read a tax class", "Add a tax class", "Change a tax class", "Delete a tax class"];
    const ABOUT: &'static str = "A kind of goods that is taxed alike, such as books. What it is taxed is said by rates, zone by zone.";
    const PROBLEMS: [&'static [&'static Problem]; 2] = [&[&ALREADY_EXISTS], &[&IN_USE]];
    const SUBJECT: &'static str = "tax_class";
    const ACTIONS: [&'static str; 3] = ["shop.tax_class.create", "shop.tax_class.replace", "shop.tax_class.delete"];
}

impl Resource for NewTaxZone {
    type View = TaxZoneView;
    const PERMISSION: &'static Permission = &MANAGE_SETTINGS;
    const TAG: &'static str = "Taxes";
    const PATHS: [&'static str; 2] = ["/api/v1/shop/tax-zones", "/api/v1/shop/tax-zones/{tax_zone_id}"];
    const OPERATIONS: [&'static str; 5] = ["listTaxZones", "getTaxZone", "createTaxZone", "replaceTaxZone", "deleteTaxZone"];
    const SUMMARIES: [&'static str; 5] =
        ["List the tax zones", "Read a tax zone", "Add a tax zone", "Change a tax zone", "Delete a tax zone"];
    const ABOUT: &'static str = "A region with tax rates of its own. Its rates are deleted with it; a zone without rates is free of tax.";
    const PROBLEMS: [&'static [&'static Problem]; 2] = [&[], &[&IN_USE]];
    const SUBJECT: &'static str = "tax_zone";
    const ACTIONS: [&'static str; 3] = ["shop.tax_zone.create", "shop.tax_zone.replace", "shop.tax_zone.delete"];
}

impl Resource for NewTaxRate {
    type View = TaxRateView;
    const PERMISSION: &'static Permission = &MANAGE_SETTINGS;
    const TAG: &'static str = "Taxes";
    const PATHS: [&'static str; 2] = ["/api/v1/shop/tax-rates", "/api/v1/shop/tax-rates/{tax_rate_id}"];
    const OPERATIONS: [&'static str; 5] = ["listTaxRates", "getTaxRate", "createTaxRate", "replaceTaxRate", "deleteTaxRate"];
    const SUMMARIES: [&'static str; 5] =
        ["List the tax rates", "Read a tax rate", "Add a tax rate", "Change a tax rate", "Delete a tax rate"];
    const ABOUT: &'static str =
        "What a class of goods is taxed in a zone, from and until a time. Orders that exist keep the rates they were made with.";
    const PROBLEMS: [&'static [&'static Problem]; 2] = [&[], &[]];
    const SUBJECT: &'static str = "tax_rate";
    const ACTIONS: [&'static str; 3] = ["shop.tax_rate.create", "shop.tax_rate.replace", "shop.tax_rate.delete"];
}
