//! What bad input gets (shop.md §12).

use serde_json::json;

use crate::support::*;

#[tokio::test]
async fn a_checkout_without_a_key_or_with_a_short_one_is_malformed() {
    let shop = shop(1).await;
    let cart = shop.cart(1).await;
    let body = json!({ "cart_id": cart.id, "expected_total": cart.total, "payment_method": BANK });
    let request = || shop.post("/api/v1/shop/orders").header("Cart-Secret", &cart.secret).json(&body);
    request().await.expect(400).problem("idempotency_key_required");
    request().header("Idempotency-Key", "short").await.expect(400).problem("idempotency_key_invalid");
}

#[tokio::test]
async fn inv_c1_a_cart_without_its_secret_is_not_there() {
    let shop = shop(2).await;
    let cart = shop.cart(1).await;
    let stranger = GuestCart { secret: "wrong".to_owned(), ..cart.clone() };
    let made_up = GuestCart { id: "019ab0b2-8f00-7000-8000-00000000ffff".to_owned(), ..stranger.clone() };
    let unseen = check_out(&shop, &made_up, BANK, &key(&cart)).await.expect(404);
    assert_eq!(check_out(&shop, &stranger, BANK, &key(&cart)).await.expect(404)["code"], unseen["code"]);
    check_out(&shop, &cart, BANK, &key(&cart)).await.expect(201);
    // Nor does a stranger learn that it was ordered.
    check_out(&shop, &stranger, BANK, &key(&cart)).await.expect(404).problem("not_found");
    shop.run_jobs().await;
}

#[tokio::test]
async fn what_is_missing_in_a_cart_is_told() {
    let shop = shop(2).await;
    let begun = shop.post("/api/v1/shop/carts").json(&json!({})).await.expect(201);
    let zero = json!({ "amount": 0, "currency": "EUR" });
    let mut cart = GuestCart { id: begun.text("/id"), secret: begun.text("/secret"), total: zero };
    check_out(&shop, &cart, BANK, &key(&cart)).await.expect(422).problem("cart_empty");
    let line = json!({ "variant_id": shop.variant, "quantity": 1 });
    let path = format!("/api/v1/shop/carts/{}", cart.id);
    let filled = shop.post(&format!("{path}/lines")).header("Cart-Secret", &cart.secret).json(&line).await.expect(200);
    cart.total = filled["totals"]["total"].clone();
    check_out(&shop, &cart, BANK, &key(&cart)).await.expect(422).problem("address_invalid");
    let elsewhere = json!({ "shipping": { "name": "Ada", "line1": "1 Rue", "postal_code": "75001", "city": "Paris", "country": "FR" }, "billing": null });
    shop.put(&format!("{path}/addresses")).header("Cart-Secret", &cart.secret).json(&elsewhere).await.expect(200);
    let refused = check_out(&shop, &cart, BANK, &key(&cart)).await.expect(422).problem("not_shippable");
    assert_eq!(refused["lines"].as_array().unwrap().len(), 1);
    let home = json!({ "shipping": address(), "billing": null });
    shop.put(&format!("{path}/addresses")).header("Cart-Secret", &cart.secret).json(&home).await.expect(200);
    check_out(&shop, &cart, BANK, &key(&cart)).await.expect(422).problem("cart_incomplete");
    let choice = json!({ "method_id": shop.method });
    cart.total =
        shop.put(&format!("{path}/shipping")).header("Cart-Secret", &cart.secret).json(&choice).await.expect(200)["totals"]["total"]
            .clone();
    let refused = check_out(&shop, &cart, BANK, &key(&cart)).await.expect(422).problem("cart_incomplete");
    assert_eq!(refused["problems"][0]["code"], "email_required");
    check_out(&shop, &cart, "stripe", &key(&cart)).await.expect(422).field("/payment_method", "not_allowed");
    assert_eq!(shop.shelf().await, (2, 0));
}

#[tokio::test]
async fn more_than_ten_tries_in_a_minute_are_too_many() {
    let shop = shop_with(1, &[("shop.checkout.tries_per_minute", "10")]).await;
    let cart = GuestCart { total: json!({ "amount": 1, "currency": "EUR" }), ..shop.cart(1).await };
    for _ in 0..10 {
        check_out(&shop, &cart, BANK, &key(&cart)).await.expect(409).problem("price_changed");
    }
    let refused = check_out(&shop, &cart, BANK, &key(&cart)).await.expect(429).problem("rate_limited");
    assert!(!refused.header("retry-after").is_empty());
}

#[tokio::test]
async fn an_amount_that_the_provider_cannot_take_is_refused_before_anything_is_held() {
    let (shop, fake) = stripe_shop(5).await;
    let (dear, item) = sell(&shop, &shop.location, "YACHT", 200_000_000, 1).await;
    let cart = shop.cart_of(&[(dear.as_str(), 1)]).await;
    check_out(&shop, &cart, "stripe", &key(&cart)).await.expect(422).problem("currency_not_supported");
    assert_eq!((shop.shelf_of(&item).await, fake.intents().len()), ((1, 0), 0));
}

#[tokio::test]
async fn odd_bodies_are_refused_with_a_pointer() {
    let shop = shop(1).await;
    let cart = shop.cart(1).await;
    let send = |body: serde_json::Value| {
        shop.post("/api/v1/shop/orders").header("Cart-Secret", &cart.secret).header("Idempotency-Key", "an-odd-body-every-time").json(&body)
    };
    let good = json!({ "cart_id": cart.id, "expected_total": cart.total, "payment_method": BANK });
    for (member, value) in [
        ("expected_total", json!({ "amount": 29.89, "currency": "EUR" })),
        ("expected_total", json!({ "amount": 2989, "currency": "XXX" })),
        ("expected_total", json!({ "amount": 9_007_199_254_740_993_i64, "currency": "EUR" })),
        ("cart_id", json!("not-an-id")),
        ("payment_method", json!("")),
        ("note", json!("x".repeat(2_001))),
        ("price", json!(1)),
    ] {
        let mut body = good.clone();
        body[member] = value;
        send(body).await.expect(422).problem("validation_failed");
    }
    let other = json!({ "cart_id": cart.id, "expected_total": { "amount": 2989, "currency": "USD" }, "payment_method": BANK });
    send(other).await.expect(409).problem("price_changed");
}
