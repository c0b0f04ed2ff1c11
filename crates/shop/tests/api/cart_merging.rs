//! Guests who log in keep what they have put into their carts (INV-C2).

use serde_json::json;

use crate::support::*;

#[tokio::test]
async fn inv_c2_a_guest_cart_is_taken_over_by_the_first_request_with_both() {
    let app = app().await;
    let mug = product(&app, "Mug", 1_000).await;
    let guest = guest(&app).await;
    guest.add(&app, &mug.variant, 2).await.expect(200);
    let ada = buyer("ada");
    let taken = guest.get(&app).by(&ada).await.expect(200);
    assert_eq!((taken.text("/id"), &taken["lines"][0]["quantity"]), (guest.cart.clone(), &json!(2)));
    guest.get(&app).await.problem("not_found");
    app.get(&guest.path("")).by(&ada).await.expect(200);
    app.get(&guest.path("")).by(&buyer("bob")).await.problem("not_found");
    let again = app.post("/api/v1/shop/carts").by(&ada).json(&json!({})).await.expect(200);
    assert_eq!((again.text("/id"), &again["secret"]), (guest.cart.clone(), &json!(null)));
}

#[tokio::test]
async fn inv_c2_lines_are_added_up_as_far_as_there_is_stock_and_none_is_lost() {
    let app = app().await;
    let (mug, cup, file) = (product(&app, "Mug", 1_000).await, product(&app, "Cup", 500).await, product(&app, "Plate", 700).await);
    supply(&app, &mug, 5).await;
    supply(&app, &cup, 9).await;
    let ada = buyer("ada");
    let own = app.post("/api/v1/shop/carts").by(&ada).json(&json!({})).await.expect(201).text("/id");
    let put = |variant: &str, quantity: i64| {
        app.post(&format!("/api/v1/shop/carts/{own}/lines")).by(&ada).json(&json!({ "variant_id": variant, "quantity": quantity }))
    };
    put(&mug.variant, 3).await.expect(200);
    put(&file.variant, 1).await.expect(200);
    let guest = guest(&app).await;
    guest.add(&app, &mug.variant, 4).await.expect(200);
    guest.add(&app, &cup.variant, 2).await.expect(200);
    let merged = guest.with_secret(app.post(&guest.path("/actions/merge"))).by(&ada).await.expect(200);
    assert_eq!(merged.text("/id"), own);
    let lines: Vec<(String, i64)> = merged["lines"]
        .as_array()
        .unwrap()
        .iter()
        .map(|line| (line["product_title"].as_str().unwrap().to_owned(), line["quantity"].as_i64().unwrap()))
        .collect();
    assert_eq!(lines, [("Mug".to_owned(), 5), ("Plate".to_owned(), 1), ("Cup".to_owned(), 2)]);
    let repeated = guest.with_secret(app.post(&guest.path("/actions/merge"))).by(&ada).await.expect(200);
    assert_eq!((repeated["lines"].clone(), repeated["version"].clone()), (merged["lines"].clone(), merged["version"].clone()));
    let gone = guest.get(&app).await.expect(410).problem("gone");
    assert_eq!(gone["merged_into_id"], json!(own));
}

#[tokio::test]
async fn inv_c2_any_request_with_both_merges_and_goes_on_with_the_own_cart() {
    let app = app().await;
    let (mug, cup) = (product(&app, "Mug", 1_000).await, product(&app, "Cup", 500).await);
    let ada = buyer("ada");
    let own = app.post("/api/v1/shop/carts").by(&ada).json(&json!({})).await.expect(201).text("/id");
    let guest = guest(&app).await;
    guest.add(&app, &mug.variant, 1).await.expect(200);
    let answer = guest.add(&app, &cup.variant, 1).by(&ada).await.expect(200);
    assert_eq!((answer.text("/id"), answer["lines"].as_array().unwrap().len()), (own, 2));
}

#[tokio::test]
async fn inv_c2_many_devices_at_once_end_in_one_cart_with_everything() {
    let app = app().await;
    let ada = buyer("ada");
    let mut guests = Vec::new();
    for number in 0..8 {
        let sold = product(&app, &format!("Product {number}"), 100).await;
        let guest = guest(&app).await;
        guest.add(&app, &sold.variant, 1).await.expect(200);
        guests.push(guest);
    }
    let answers = at_once(guests.iter().map(|guest| guest.get(&app).by(&ada))).await;
    assert_eq!(count(&answers, 200), 8, "{answers:?}");
    let own = app.post("/api/v1/shop/carts").by(&ada).json(&json!({})).await.expect(200);
    assert_eq!(own["lines"].as_array().unwrap().len(), 8);
}

#[tokio::test]
async fn inv_c2_codes_and_addresses_come_along() {
    let app = app().await;
    coupon(&app, "TEN", json!({}), json!({})).await;
    let mug = product(&app, "Mug", 1_000).await;
    let ada = buyer("ada");
    app.post("/api/v1/shop/carts").by(&ada).json(&json!({})).await.expect(201);
    let guest = guest(&app).await;
    guest.add(&app, &mug.variant, 1).await.expect(200);
    guest.enter(&app, "ten").await.expect(200);
    guest.ship_to(&app, address("DE", "10115")).await.expect(200);
    let merged = guest.get(&app).by(&ada).await.expect(200);
    assert_eq!((&merged["codes"][0]["is_applied"], &merged["totals"]["total"]), (&json!(true), &euros(900)));
    assert_eq!(merged["shipping_address"]["country"], "DE");
}

#[tokio::test]
async fn merging_needs_a_login_and_the_secret() {
    let app = app().await;
    let guest = guest(&app).await;
    guest.with_secret(app.post(&guest.path("/actions/merge"))).await.expect(401).problem("unauthenticated");
    app.post(&guest.path("/actions/merge")).by(&buyer("ada")).await.problem("not_found");
}

#[tokio::test]
async fn a_person_who_asks_for_the_own_cart_after_a_long_time_can_go_on_with_it() {
    let app = app().await;
    let mug = product(&app, "Mug", 1_000).await;
    // The first run only notes when each schedule is due next.
    app.run_jobs().await;
    let ada = buyer("ada");
    let own = app.post("/api/v1/shop/carts").by(&ada).json(&json!({})).await.expect(201).text("/id");
    app.advance(std::time::Duration::from_secs(31 * 24 * 3_600));
    app.get(&format!("/api/v1/shop/carts/{own}")).by(&ada).await.expect(410);
    let again = app.post("/api/v1/shop/carts").by(&ada).json(&json!({})).await.expect(200);
    assert_eq!(again.text("/id"), own);
    let line = json!({ "variant_id": mug.variant, "quantity": 1 });
    app.post(&format!("/api/v1/shop/carts/{own}/lines")).by(&ada).json(&line).await.expect(200);
    app.advance(std::time::Duration::from_secs(31 * 24 * 3_600));
    app.run_jobs().await;
    let fresh = app.post("/api/v1/shop/carts").by(&ada).json(&json!({})).await.expect(201);
    assert_ne!(fresh.text("/id"), own);
    app.run_jobs().await;
}
