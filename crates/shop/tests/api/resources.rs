//! What all small resources have in common, told by each of them.

use serde_json::{Value, json};
use testkit::TestApp;

use crate::support::*;

/// Each kind of document, with one that can be made.
async fn kinds(app: &TestApp) -> Vec<(&'static str, Value)> {
    let tax_zone = make(app, "tax-zones", json!({ "name": "Home", "places": [{ "country": "DE" }] })).await;
    let zone = make(app, "shipping-zones", json!({ "name": "Home", "places": [{ "country": "DE" }] })).await;
    let promotion = make(app, "promotions", json!({ "name": "Sale", "action": "free_shipping" })).await;
    let class = default_tax_class(app).await;
    vec![
        ("locations", json!({ "code": "second", "name": "Second" })),
        ("categories", json!({ "title": "Shoes", "slug": "shoes" })),
        ("tax-classes", json!({ "code": "books", "name": "Books", "is_default": true })),
        ("tax-zones", json!({ "name": "Away", "places": [{ "country": "US", "region": "CA", "postal_from": "900", "postal_to": "935" }] })),
        ("tax-rates", json!({ "zone_id": tax_zone, "tax_class_id": class, "name": "VAT", "rate_ppm": 70_000, "category": "AE" })),
        ("shipping-zones", json!({ "name": "Away", "places": [{ "country": "*" }] })),
        (
            "shipping-methods",
            json!({ "zone_id": zone, "name": "Parcel", "calculator": "by_weight", "prices": [
                { "currency": "EUR", "amount": 490, "steps": [{ "from": 1_000, "amount": 690 }] }
            ]}),
        ),
        ("promotions", json!({ "name": "Sale", "action": "amount", "amount": 500, "currency": "EUR" })),
        ("coupons", json!({ "promotion_id": promotion, "code": "TEN" })),
    ]
}

#[tokio::test]
async fn each_document_is_made_read_listed_replaced_and_deleted() {
    let app = app().await;
    for (kind, body) in kinds(&app).await {
        let all = format!("/api/v1/shop/{kind}");
        let made = app.post(&all).by(&merchant()).json(&body).await.expect(201);
        let one = made.header("location").to_owned();
        for (name, value) in body.as_object().unwrap().iter().filter(|(_, value)| !value.is_array()) {
            assert_eq!(&made[name.as_str()], value, "{kind}");
        }
        assert_eq!(app.get(&one).by(&merchant()).await.expect(200).body, made.body, "{kind}");
        let list = app.get(&format!("{all}?limit=100")).by(&merchant()).await.expect(200);
        assert!(list["items"].as_array().unwrap().contains(&made.body), "{kind}");
        let replaced = app.put(&one).by(&merchant()).header("If-Match", "\"v1\"").json(&body).await.expect(200);
        assert_eq!((&replaced["version"], replaced.header("etag")), (&json!(2), "\"v2\""), "{kind}");
        app.put(&one).by(&merchant()).header("If-Match", "\"v1\"").json(&body).await.expect(412).problem("version_conflict");
        app.put(&one).by(&merchant()).json(&body).await.expect(200);
        let mut odd = body.clone();
        odd["surprise"] = json!(1);
        app.put(&one).by(&merchant()).json(&odd).await.expect(422).field("/surprise", "unknown_field");
        app.delete(&one).by(&merchant()).await.expect(204);
        app.delete(&one).by(&merchant()).await.expect(404);
        app.get(&one).by(&merchant()).await.expect(404);
        app.put(&one).by(&merchant()).json(&body).await.expect(404);
    }
}

#[tokio::test]
async fn r60_one_of_twenty_writers_with_the_same_etag_wins_on_each_document() {
    let app = app().await;
    for (kind, body) in kinds(&app).await {
        let made = app.post(&format!("/api/v1/shop/{kind}")).by(&merchant()).json(&body).await.expect(201);
        let answers =
            at_once((0..20).map(|_| app.put(made.header("location")).by(&merchant()).header("If-Match", "\"v1\"").json(&body))).await;
        assert_eq!((count(&answers, 200), count(&answers, 412)), (1, 19), "{kind}");
    }
}

#[tokio::test]
async fn what_is_in_use_stays() {
    let app = app().await;
    let sold = product(&app, "Mug", 100).await;
    app.delete(&format!("/api/v1/shop/locations/{}", sold.location)).by(&merchant()).await.expect(409).problem("in_use");
    let zone = make(&app, "shipping-zones", json!({ "name": "Home", "places": [{ "country": "DE" }] })).await;
    let method = json!({ "zone_id": zone, "name": "Parcel", "calculator": "flat", "prices": [{ "currency": "EUR", "amount": 490 }] });
    make(&app, "shipping-methods", method).await;
    app.delete(&format!("/api/v1/shop/shipping-zones/{zone}")).by(&merchant()).await.expect(409).problem("in_use");
}

#[tokio::test]
async fn r54_codes_of_locations_and_classes_are_taken_once() {
    let app = app().await;
    let post = |kind: &str, body: Value| app.post(&format!("/api/v1/shop/{kind}")).by(&merchant()).json(&body);
    post("locations", json!({ "code": "main", "name": "Twin" })).await.expect(409).problem("already_exists").field("/code", "not_unique");
    post("tax-classes", json!({ "code": "standard", "name": "Twin" }))
        .await
        .expect(409)
        .problem("already_exists")
        .field("/code", "not_unique");
}

#[tokio::test]
async fn one_tax_class_at_most_is_the_default() {
    let app = app().await;
    let books = make(&app, "tax-classes", json!({ "code": "books", "name": "Books", "is_default": true })).await;
    let classes = app.get("/api/v1/shop/tax-classes").by(&merchant()).await.expect(200);
    let defaults: Vec<_> = classes["items"].as_array().unwrap().iter().filter(|class| class["is_default"] == true).collect();
    assert_eq!((defaults.len(), &defaults[0]["id"]), (1, &json!(books)));
    let made = app.post("/api/v1/shop/products").by(&merchant()).json(&json!({ "title": "Book", "variants": [{}] })).await.expect(201);
    assert_eq!(made["variants"][0]["tax_class_id"], json!(books));
}

#[tokio::test]
async fn contradictions_are_refused() {
    let app = app().await;
    let zone = make(&app, "shipping-zones", json!({ "name": "Home", "places": [{ "country": "DE" }] })).await;
    let method = |prices: Value| json!({ "zone_id": zone, "name": "Parcel", "calculator": "by_weight", "prices": prices });
    let post = |kind: &str, body: Value| app.post(&format!("/api/v1/shop/{kind}")).by(&merchant()).json(&body);
    let twice = json!([{ "currency": "EUR", "amount": 1 }, { "currency": "EUR", "amount": 2 }]);
    post("shipping-methods", method(twice)).await.expect(422).field("/prices/1/currency", "not_unique");
    let falling = json!([{ "currency": "EUR", "amount": 1, "steps": [{ "from": 5, "amount": 1 }, { "from": 4, "amount": 1 }] }]);
    post("shipping-methods", method(falling)).await.expect(422).field("/prices/0/steps", "not_allowed");
    let mut lost = method(json!([{ "currency": "EUR", "amount": 1 }]));
    lost["zone_id"] = json!("019ab0b2-8f00-7000-8000-00000000ffff");
    lost["tax_class_id"] = lost["zone_id"].clone();
    post("shipping-methods", lost).await.expect(422).field("/zone_id", "unknown_reference").field("/tax_class_id", "unknown_reference");
    post("promotions", json!({ "name": "Sale", "action": "percent" })).await.expect(422).field("/percent_ppm", "required");
    post("promotions", json!({ "name": "Sale", "action": "amount", "amount": 5 })).await.expect(422).field("/currency", "required");
    post("promotions", json!({ "name": "Sale", "action": "percent", "percent_ppm": 1_000_001 }))
        .await
        .expect(422)
        .field("/percent_ppm", "out_of_range");
    let backwards =
        json!({ "name": "Sale", "action": "free_shipping", "valid_from": "2026-12-02T00:00:00Z", "valid_until": "2026-12-01T00:00:00Z" });
    post("promotions", backwards).await.expect(422).field("/valid_until", "out_of_range");
    post("coupons", json!({ "promotion_id": zone, "code": "TEN" })).await.expect(422).field("/promotion_id", "unknown_reference");
}

#[tokio::test]
async fn r54_documents_that_name_what_is_deleted_meanwhile_are_refused_and_never_an_error_of_ours() {
    let app = app().await;
    let class = default_tax_class(&app).await;
    for round in 0..10 {
        let zone = make(&app, "tax-zones", json!({ "name": format!("Zone {round}"), "places": [{ "country": "DE" }] })).await;
        let rate = json!({ "zone_id": zone, "tax_class_id": class, "name": "VAT", "rate_ppm": 1 });
        let mut requests: Vec<_> = (0..8).map(|_| app.post("/api/v1/shop/tax-rates").by(&merchant()).json(&rate)).collect();
        requests.insert(round % 8, app.delete(&format!("/api/v1/shop/tax-zones/{zone}")).by(&merchant()));
        for answer in at_once(requests).await {
            assert!(matches!(answer.status.as_u16(), 201 | 204 | 409 | 422), "{answer}");
        }
    }
}
