//! Taxes by place and time (INV-T1 to INV-T3), and the settings of pricing.

use std::time::Duration;

use serde_json::json;

use crate::support::*;

#[tokio::test]
async fn inv_t1_the_shipping_address_decides_then_the_billing_address_then_the_store() {
    let app = app().await;
    taxed(&app, json!([{ "country": "DE" }]), 190_000).await;
    taxed(&app, json!([{ "country": "FR" }]), 200_000).await;
    taxed(&app, json!([{ "country": "*" }]), 0).await;
    let mug = product(&app, "Mug", 11_900).await;
    let guest = guest(&app).await;
    let cart = guest.add(&app, &mug.variant, 1).await.expect(200);
    assert_eq!((&cart["totals"]["tax"], &cart["totals"]["total"]), (&euros(1_900), &euros(11_900)));
    let billing = json!({ "shipping": null, "billing": address("FR", "75001") });
    let cart = guest.with_secret(app.put(&guest.path("/addresses"))).json(&billing).await.expect(200);
    assert_eq!(cart["totals"]["tax"], euros(1_983));
    let cart = guest.ship_to(&app, address("US", "10001")).await.expect(200);
    assert_eq!((&cart["totals"]["tax"], &cart["totals"]["total"]), (&euros(0), &euros(11_900)), "the gross is kept");
}

#[tokio::test]
async fn inv_t1_the_narrowest_zone_wins_and_its_rates_add_up() {
    let app = app_with(&[("shop.prices_include_tax", "false"), ("shop.country", "US")]).await;
    taxed(&app, json!([{ "country": "US" }]), 10_000).await;
    let california = taxed(&app, json!([{ "country": "US", "region": "CA" }, { "country": "US", "region": "ca " }]), 60_000).await;
    let class = default_tax_class(&app).await;
    make(&app, "tax-rates", json!({ "zone_id": california, "tax_class_id": class, "name": "County", "rate_ppm": 12_500 })).await;
    let mug = product(&app, "Mug", 10_000).await;
    let guest = guest(&app).await;
    guest.add(&app, &mug.variant, 1).await.expect(200);
    let mut there = address("US", "94105");
    there["region"] = json!("CA");
    let cart = guest.ship_to(&app, there).await.expect(200);
    assert_eq!((&cart["totals"]["tax"], &cart["totals"]["total"]), (&euros(725), &euros(10_725)));
    let names: Vec<_> = cart["totals"]["taxes"].as_array().unwrap().iter().map(|tax| (tax["name"].clone(), tax["tax"].clone())).collect();
    assert_eq!(names, [(json!("County"), euros(125)), (json!("VAT"), euros(600))]);
    let elsewhere = guest.ship_to(&app, address("US", "10001")).await.expect(200);
    assert_eq!(elsewhere["totals"]["tax"], euros(100));
}

#[tokio::test]
async fn inv_t2_the_net_is_kept_where_the_settings_say_so() {
    let app = app_with(&[("shop.tax.cross_zone", "keep_net")]).await;
    taxed(&app, json!([{ "country": "DE" }]), 190_000).await;
    taxed(&app, json!([{ "country": "SE" }]), 250_000).await;
    let mug = product(&app, "Mug", 11_900).await;
    let guest = guest(&app).await;
    guest.add(&app, &mug.variant, 1).await.expect(200);
    let cart = guest.ship_to(&app, address("SE", "11120")).await.expect(200);
    assert_eq!((&cart["totals"]["total"], &cart["totals"]["tax"]), (&euros(12_500), &euros(2_500)));
}

#[tokio::test]
async fn inv_t3_a_rate_holds_from_and_until_its_times() {
    let app = app().await;
    let zone = make(&app, "tax-zones", json!({ "name": "Home", "places": [{ "country": "DE" }] })).await;
    let class = default_tax_class(&app).await;
    let rate = |ppm: u32, from: serde_json::Value, until: serde_json::Value| json!({ "zone_id": zone, "tax_class_id": class, "name": "VAT", "rate_ppm": ppm, "valid_from": from, "valid_until": until });
    make(&app, "tax-rates", rate(190_000, json!(null), json!("2026-11-22T13:00:00Z"))).await;
    make(&app, "tax-rates", rate(160_000, json!("2026-11-22T13:00:00Z"), json!(null))).await;
    let mug = product(&app, "Mug", 11_600).await;
    let guest = guest(&app).await;
    assert_eq!(guest.add(&app, &mug.variant, 1).await.expect(200)["totals"]["tax"], euros(1_852));
    app.advance(Duration::from_secs(3_600));
    assert_eq!(guest.get(&app).await.expect(200)["totals"]["tax"], euros(1_600));
}

#[tokio::test]
async fn inv_h1_shipping_is_taxed_by_its_class_or_like_the_goods() {
    for (setting, tax) in [("class", 0), ("goods", 95)] {
        let app = app_with(&[("shop.tax.shipping", setting)]).await;
        taxed(&app, json!([{ "country": "DE" }]), 190_000).await;
        let mug = product(&app, "Mug", 11_900).await;
        let zone = make(&app, "shipping-zones", json!({ "name": "All", "places": [{ "country": "*" }] })).await;
        let method = json!({ "zone_id": zone, "name": "Parcel", "calculator": "flat", "prices": [{ "currency": "EUR", "amount": 595 }] });
        let method = make(&app, "shipping-methods", method).await;
        let guest = guest(&app).await;
        guest.add(&app, &mug.variant, 1).await.expect(200);
        guest.ship_to(&app, address("DE", "10115")).await.expect(200);
        let cart = guest.with_secret(app.put(&guest.path("/shipping"))).json(&json!({ "method_id": method })).await.expect(200);
        assert_eq!(cart["totals"]["shipping_line"]["tax"], euros(tax), "{setting}");
        assert_eq!(cart["totals"]["total"], euros(12_495));
    }
}

#[tokio::test]
async fn inv_m4_the_level_of_rounding_is_a_setting() {
    for (level, total) in [("line", 386), ("unit", 387), ("rate_group", 386)] {
        let app = app_with(&[("shop.prices_include_tax", "false"), ("shop.rounding_level", level)]).await;
        taxed(&app, json!([{ "country": "DE" }]), 190_000).await;
        let mug = product(&app, "Sweet", 108).await;
        let guest = guest(&app).await;
        assert_eq!(guest.add(&app, &mug.variant, 3).await.expect(200)["totals"]["total"], euros(total), "{level}");
    }
}

#[tokio::test]
async fn a_tax_class_in_use_stays_and_a_rate_needs_what_it_names() {
    let app = app().await;
    product(&app, "Mug", 100).await;
    let class = default_tax_class(&app).await;
    app.delete(&format!("/api/v1/shop/tax-classes/{class}")).by(&merchant()).await.expect(409).problem("in_use");
    let zone = make(&app, "tax-zones", json!({ "name": "Home", "places": [{ "country": "DE" }] })).await;
    let post = |body: serde_json::Value| app.post("/api/v1/shop/tax-rates").by(&merchant()).json(&body);
    let refused = post(json!({ "zone_id": class, "tax_class_id": zone, "name": "VAT", "rate_ppm": 1 })).await.expect(422);
    refused.field("/zone_id", "unknown_reference").field("/tax_class_id", "unknown_reference");
    post(json!({ "zone_id": zone, "tax_class_id": class, "name": "VAT", "rate_ppm": 1_000_001 }))
        .await
        .expect(422)
        .field("/rate_ppm", "out_of_range");
    let nowhere = json!({ "name": "Nowhere", "places": [{ "country": "XX" }] });
    app.post("/api/v1/shop/tax-zones").by(&merchant()).json(&nowhere).await.expect(422).field("/places/0/country", "not_allowed");
    make(&app, "tax-rates", json!({ "zone_id": zone, "tax_class_id": class, "name": "VAT", "rate_ppm": 1 })).await;
    app.delete(&format!("/api/v1/shop/tax-zones/{zone}")).by(&merchant()).await.expect(204);
    assert_eq!(app.get("/api/v1/shop/tax-rates").by(&merchant()).await.expect(200)["items"], json!([]));
}
