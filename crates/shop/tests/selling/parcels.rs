//! Parcels: packed, shipped, delivered, or unpacked again (INV-S8).

use serde_json::json;

use crate::support::*;

#[tokio::test]
async fn inv_s8_a_parcel_takes_its_units_off_the_shelf_once() {
    let shop = shop(5).await;
    let order = shop.order(3).await;
    let shipped = shop.ship(&order.id, &order.line, 1).await.expect(200);
    assert_eq!((&shipped["state"], shop.shelf().await), (&json!("shipped"), (4, 2)));
    let ship = || shop.post(&format!("/api/v1/shop/fulfilments/{}/actions/ship", shipped.text("/id"))).by(&staff()).json(&json!({}));
    let again = at_once((0..10).map(|_| ship())).await;
    assert_eq!(count(&again, 409), 10);
    assert_eq!(shop.shelf().await, (4, 2));
    assert_eq!(shop.look(&order.id).await["fulfilment_status"], "partial");
    shop.ship(&order.id, &order.line, 2).await.expect(200);
    assert_eq!((shop.look(&order.id).await["fulfilment_status"].clone(), shop.shelf().await), (json!("fulfilled"), (2, 0)));
    let path = format!("/api/v1/shop/fulfilments/{}/actions/deliver", shipped.text("/id"));
    assert_eq!(shop.post(&path).by(&staff()).json(&json!({})).await.expect(200)["state"], "delivered");
    shop.post(&path).by(&staff()).json(&json!({})).await.expect(409).problem("invalid_state");
    shop.audit_is_clean().await;
    let names = shop.order_events().await;
    assert!(names.contains(&"shop.fulfilment.delivered".to_owned()), "{names:?}");
    shop.run_jobs().await;
}

#[tokio::test]
async fn a_packed_parcel_can_be_unpacked_and_changed() {
    let shop = shop(5).await;
    let order = shop.order(2).await;
    let path = format!("/api/v1/shop/orders/{}/fulfilments", order.id);
    let body = json!({ "location_id": shop.location, "lines": [{ "line_id": order.line, "quantity": 2 }] });
    let parcel = shop.post(&path).by(&staff()).json(&body).await.expect(201);
    shop.post(&path)
        .by(&staff())
        .json(&body)
        .await
        .expect(422)
        .problem("fulfilment_exceeds_line")
        .field("/lines/0/quantity", "out_of_range");
    let one = format!("/api/v1/shop/fulfilments/{}", parcel.text("/id"));
    let tracked =
        shop.patch(&one).by(&staff()).header("If-Match", "\"v1\"").json(&json!({ "carrier": "DHL", "tracking": "1" })).await.expect(200);
    assert_eq!((&tracked["carrier"], tracked.header("etag")), (&json!("DHL"), "\"v2\""));
    shop.patch(&one)
        .by(&staff())
        .header("If-Match", "\"v1\"")
        .json(&json!({ "tracking": null }))
        .await
        .expect(412)
        .problem("version_conflict");
    // What is packed cannot be called off.
    let cancel = format!("/api/v1/shop/orders/{}/actions/cancel", order.id);
    shop.post(&cancel).by(&staff()).json(&json!({})).await.expect(409).problem("invalid_state");
    assert_eq!(shop.post(&format!("{one}/actions/cancel")).by(&staff()).json(&json!({})).await.expect(200)["state"], "canceled");
    shop.post(&format!("{one}/actions/ship")).by(&staff()).json(&json!({})).await.expect(409).problem("invalid_state");
    assert_eq!(shop.shelf().await, (5, 2));
    shop.ship(&order.id, &order.line, 2).await.expect(200);
    assert_eq!(shop.get(&path).by(&staff()).await.expect(200)["items"].as_array().unwrap().len(), 2);
    assert!(shop.order_events().await.contains(&"shop.fulfilment.canceled".to_owned()));
    shop.audit_is_clean().await;
    shop.run_jobs().await;
}

#[tokio::test]
async fn a_parcel_needs_a_place_and_an_order_that_is_certain() {
    let (shop, _fake) = stripe_shop(5).await;
    let order = shop.card_order(1).await;
    let path = format!("/api/v1/shop/orders/{}/fulfilments", order.id);
    let body = json!({ "location_id": shop.location, "lines": [{ "line_id": order.line, "quantity": 1 }] });
    let refused = shop.post(&path).by(&staff()).json(&body).await.expect(409).problem("invalid_state");
    assert_eq!(refused["current_state"], "pending");
    let order = shop.order(1).await;
    let nowhere = json!({ "location_id": order.id, "lines": [{ "line_id": order.line, "quantity": 1 }] });
    let path = format!("/api/v1/shop/orders/{}/fulfilments", order.id);
    shop.post(&path).by(&staff()).json(&nowhere).await.expect(422).field("/location_id", "unknown_reference");
    shop.run_jobs().await;
}
