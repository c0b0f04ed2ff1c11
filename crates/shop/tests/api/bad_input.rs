//! What bad input gets (shop.md §12, api-style.md §14).

use serde_json::{Value, json};

use crate::support::*;

#[tokio::test]
async fn everything_wrong_with_a_product_is_told_at_once() {
    let app = app().await;
    let body =
        json!({ "title": "", "slug": "No Slug", "status": "sold", "variants": [{ "weight_grams": -1, "sku": "" }], "id": "x", "price": 1 });
    let refused = app.post("/api/v1/shop/products").by(&merchant()).json(&body).await.expect(422).problem("validation_failed");
    for (pointer, code) in [
        ("/title", "too_short"),
        ("/slug", "invalid_format"),
        ("/status", "not_allowed"),
        ("/variants/0/weight_grams", "out_of_range"),
        ("/variants/0/sku", "too_short"),
        ("/id", "read_only_field"),
        ("/price", "unknown_field"),
    ] {
        refused.clone().field(pointer, code);
    }
}

#[tokio::test]
async fn limits_of_products_hold() {
    let app = app().await;
    let post = |body: Value| app.post("/api/v1/shop/products").by(&merchant()).json(&body);
    let options: Vec<_> = (0..6).map(|n| json!({ "name": format!("O{n}"), "values": ["a"] })).collect();
    post(json!({ "title": "A", "options": options })).await.expect(422).field("/options", "too_long");
    post(json!({ "title": "A", "options": [{ "name": "x", "values": ["a"] }, { "name": "X", "values": ["a"] }] }))
        .await
        .expect(422)
        .field("/options/1/name", "not_unique");
    post(json!({ "title": "A", "options": [{ "name": "x", "values": [" "] }] }))
        .await
        .expect(422)
        .field("/options/0/values", "invalid_format");
    let variants: Vec<Value> = (0..251).map(|_| json!({})).collect();
    post(json!({ "title": "A", "variants": variants })).await.expect(422).field("/variants", "too_long");
    post(json!({ "title": "A", "attributes": { "x": "y".repeat(40_000) } })).await.expect(422).field("/attributes", "too_long");
    post(json!({ "title": "A", "variants": [{ "tax_class_id": "019ab0b2-8f00-7000-8000-00000000ffff" }] }))
        .await
        .expect(422)
        .field("/variants/0/tax_class_id", "unknown_reference");
    assert_eq!(app.event_names().await, Vec::<String>::new());
}

#[tokio::test]
async fn a_product_has_at_most_250_variants_also_one_by_one() {
    let app = app().await;
    let values: Vec<String> = (0..251).map(|n| n.to_string()).collect();
    let variants: Vec<Value> =
        (0..250).map(|n| json!({ "options": [{ "name": "N", "value": n.to_string() }], "is_stock_tracked": false })).collect();
    let body = json!({ "title": "Many", "options": [{ "name": "N", "values": values[..250] }], "variants": variants });
    let made = app.post("/api/v1/shop/products").by(&merchant()).json(&body).await.expect(201);
    app.patch(made.header("location"))
        .by(&merchant())
        .json(&json!({ "options": [{ "name": "N", "values": values[1..] }] }))
        .await
        .expect(422);
    let path = format!("{}/variants", made.header("location"));
    let one_more = json!({ "options": [{ "name": "N", "value": "0" }] });
    app.post(&path).by(&merchant()).json(&one_more).await.expect(409).problem("quota_exceeded");
}

#[tokio::test]
async fn adjustments_need_a_reason_and_things_that_exist() {
    let app = app().await;
    let sold = product(&app, "Mug", 100).await;
    let post = |item: &str, location: &str, quantity: i64, reason: &str| {
        let body = json!({ "item_id": item, "location_id": location, "quantity": quantity, "reason": reason });
        app.post("/api/v1/shop/stock/adjustments").by(&merchant()).json(&body)
    };
    post(&sold.item, &sold.location, 1, "").await.expect(422).field("/reason", "too_short");
    post(&sold.location, &sold.location, 1, "x").await.problem("not_found");
    post(&sold.item, &sold.item, 1, "x").await.problem("not_found");
    post(&sold.item, &sold.location, -1, "x").await.expect(409).problem("stock_reserved");
    post(&sold.item, &sold.location, 1_000_000_001, "x").await.expect(422).field("/quantity", "out_of_range");
    app.get(&format!("/api/v1/shop/stock/{}/movements", sold.product)).by(&merchant()).await.problem("not_found");
    app.get("/api/v1/shop/stock?colour=red").by(&merchant()).await.expect(422).field("colour", "unknown_parameter");
}

#[tokio::test]
async fn ids_that_are_none_are_not_there() {
    let app = app().await;
    for path in
        ["products/x", "variants/1", "carts/...", "carts/019ab0b28f0070008000000000000001", "categories/null", "products/by-slug/%F0"]
    {
        let status = app.get(&format!("/api/v1/shop/{path}")).await.status.as_u16();
        assert!(matches!(status, 400 | 404), "{path}: {status}");
    }
}

#[tokio::test]
async fn a_product_that_is_asked_for_again_with_one_key_is_made_once() {
    let app = app().await;
    let post = || {
        let request = app.post("/api/v1/shop/products").by(&merchant()).header("Idempotency-Key", "make-the-mug-once");
        request.json(&json!({ "title": "Mug" }))
    };
    let (first, second) = (post().await.expect(201), post().await.expect(201));
    assert_eq!(first.body, second.body);
    assert_eq!(app.event_names().await, ["shop.product.created"]);
}
