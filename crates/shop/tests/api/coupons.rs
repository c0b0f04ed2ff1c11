//! Promotions and coupons (INV-R1 to INV-R3, INV-S7).

use std::time::Duration;

use futures_util::future::join_all;
use kernel::{Ctx, Id};
use serde_json::json;
use shop::ids::Order;
use shop::promotions::AppliedCoupon;
use testkit::TestApp;

use crate::stock::id;
use crate::support::*;

async fn claim(app: &TestApp, coupon: &AppliedCoupon, order: Id<Order>, customer: &str) -> kernel::Result<()> {
    let ctx = Ctx::system(app.kernel(), "test");
    let (context, coupon, customer) = (ctx.clone(), coupon.clone(), customer.to_owned());
    ctx.write(move |tx| shop::promotions::claim_coupon(tx, &context, &coupon, order, &customer)).await
}

async fn give_back(app: &TestApp, order: Id<Order>) {
    let ctx = Ctx::system(app.kernel(), "test");
    let context = ctx.clone();
    ctx.write(move |tx| shop::promotions::give_back_coupons(tx, &context, order)).await.expect("no error");
}

async fn used(app: &TestApp, coupon: &str) -> i64 {
    app.get(&format!("/api/v1/shop/coupons/{coupon}")).by(&merchant()).await.expect(200)["used_count"].as_i64().expect("a value")
}

fn applied(promotion: &str, coupon: &str) -> AppliedCoupon {
    AppliedCoupon { coupon_id: coupon.parse().expect("no error"), promotion_id: promotion.parse().expect("no error"), code: "TEN".into() }
}

#[tokio::test]
async fn a_code_takes_off_what_its_promotion_says() {
    let app = app().await;
    coupon(&app, "Ten", json!({}), json!({})).await;
    coupon(&app, "FIVE", json!({ "name": "Five", "action": "amount", "amount": 500, "currency": "EUR", "priority": 20 }), json!({})).await;
    let mug = product(&app, "Mug", 1_999).await;
    let guest = guest(&app).await;
    guest.add(&app, &mug.variant, 1).await.expect(200);
    let cart = guest.enter(&app, " ten ").await.expect(200);
    assert_eq!((&cart["totals"]["discount"], &cart["totals"]["total"]), (&euros(200), &euros(1_799)));
    assert_eq!(cart["codes"], json!([{ "code": "Ten", "is_applied": true, "reason": null }]));
    let cart = guest.enter(&app, "five").await.expect(200);
    assert_eq!((&cart["totals"]["discount"], &cart["totals"]["total"]), (&euros(700), &euros(1_299)));
    guest.enter(&app, "five").await.expect(200);
    let cart = guest.with_secret(app.delete(&guest.path("/codes/TEN"))).await.expect(200);
    assert_eq!(cart["totals"]["total"], euros(1_499));
    guest.with_secret(app.delete(&guest.path("/codes/TEN"))).await.problem("not_found");
}

#[tokio::test]
async fn inv_r2_a_code_that_does_not_count_is_refused_with_its_reason() {
    let app = app().await;
    coupon(&app, "OLD", json!({ "valid_until": "2026-11-22T11:00:00Z" }), json!({})).await;
    coupon(&app, "SOON", json!({ "valid_from": "2026-11-22T13:00:00Z" }), json!({})).await;
    coupon(&app, "OFF", json!({}), json!({ "is_active": false })).await;
    coupon(&app, "BIG", json!({ "min_subtotal": 5_000, "currency": "EUR" }), json!({})).await;
    coupon(&app, "ALONE", json!({ "is_exclusive": true, "priority": 1 }), json!({})).await;
    coupon(&app, "AFTER", json!({ "priority": 2 }), json!({})).await;
    let mug = product(&app, "Mug", 1_000).await;
    let guest = guest(&app).await;
    guest.add(&app, &mug.variant, 1).await.expect(200);
    for (code, reason) in
        [("nope", "unknown"), ("OLD", "expired"), ("SOON", "not_yet_valid"), ("OFF", "inactive"), ("BIG", "minimum_not_reached")]
    {
        let refused = guest.enter(&app, code).await.expect(422).problem("code_invalid");
        assert_eq!(refused["reason"], reason, "{code}");
    }
    guest.enter(&app, "ALONE").await.expect(200);
    assert_eq!(guest.enter(&app, "AFTER").await.expect(422).problem("code_invalid")["reason"], "not_combinable");
    let cart = guest.get(&app).await.expect(200);
    assert_eq!(cart["codes"].as_array().unwrap().len(), 1, "what is refused does not stay");
}

#[tokio::test]
async fn inv_r2_guessing_codes_is_stopped_after_twenty_and_right_ones_do_not_count() {
    let app = app().await;
    coupon(&app, "TEN", json!({}), json!({})).await;
    let mug = product(&app, "Mug", 1_000).await;
    let guest = guest(&app).await;
    guest.add(&app, &mug.variant, 1).await.expect(200);
    for number in 0..20 {
        guest.enter(&app, "TEN").await.expect(200);
        guest.enter(&app, &format!("GUESS{number}")).await.expect(422);
    }
    let stopped = guest.enter(&app, "TEN").await.expect(429).problem("rate_limited");
    assert!(!stopped.header("retry-after").is_empty());
    app.advance(Duration::from_secs(3_600));
    guest.enter(&app, "TEN").await.expect(200);
}

#[tokio::test]
async fn inv_r2_a_stranger_cannot_use_up_the_guesses_of_a_cart() {
    let app = app().await;
    coupon(&app, "TEN", json!({}), json!({})).await;
    let mug = product(&app, "Mug", 1_000).await;
    let guest = guest(&app).await;
    guest.add(&app, &mug.variant, 1).await.expect(200);
    for number in 0..30 {
        app.post(&guest.path("/codes")).json(&json!({ "code": format!("GUESS{number}") })).await.problem("not_found");
    }
    guest.enter(&app, "TEN").await.expect(200);
}

#[tokio::test]
async fn inv_c4_a_code_that_expires_in_the_cart_is_told() {
    let app = app().await;
    coupon(&app, "TEN", json!({}), json!({ "valid_until": "2026-11-22T13:00:00Z" })).await;
    let mug = product(&app, "Mug", 1_000).await;
    supply(&app, &mug, 1).await;
    let guest = guest(&app).await;
    guest.add(&app, &mug.variant, 1).await.expect(200);
    guest.enter(&app, "TEN").await.expect(200);
    app.advance(Duration::from_secs(3_600));
    let cart = guest.get(&app).await.expect(200);
    assert_eq!((&cart["codes"][0]["reason"], &cart["totals"]["total"]), (&json!("expired"), &euros(1_000)));
    assert_eq!(problems(&cart), ["code_invalid", "address_required"]);
}

#[tokio::test]
async fn inv_r1_automatic_promotions_apply_to_their_products_and_free_shipping_to_shipping() {
    let app = app().await;
    let (mug, cup) = (product(&app, "Mug", 1_000).await, product(&app, "Cup", 500).await);
    let half =
        json!({ "name": "Half mugs", "is_automatic": true, "action": "percent", "percent_ppm": 500_000, "product_ids": [mug.product] });
    make(&app, "promotions", half).await;
    make(&app, "promotions", json!({ "name": "Free", "is_automatic": true, "action": "free_shipping", "priority": 5 })).await;
    let zone = make(&app, "shipping-zones", json!({ "name": "All", "places": [{ "country": "*" }] })).await;
    let method = json!({ "zone_id": zone, "name": "Parcel", "calculator": "flat", "prices": [{ "currency": "EUR", "amount": 490 }] });
    let method = make(&app, "shipping-methods", method).await;
    let guest = guest(&app).await;
    guest.add(&app, &mug.variant, 3).await.expect(200);
    guest.add(&app, &cup.variant, 1).await.expect(200);
    guest.ship_to(&app, address("DE", "10115")).await.expect(200);
    let cart = guest.with_secret(app.put(&guest.path("/shipping"))).json(&json!({ "method_id": method })).await.expect(200);
    let totals = &cart["totals"];
    assert_eq!((&totals["subtotal"], &totals["shipping"], &totals["discount"]), (&euros(3_500), &euros(490), &euros(1_990)));
    assert_eq!(totals["total"], euros(2_000));
    assert_eq!((&totals["lines"][0]["discount"], &totals["lines"][1]["discount"]), (&euros(1_500), &euros(0)));
}

#[tokio::test]
async fn inv_s7_five_hundred_orders_use_a_coupon_as_often_as_it_may_be_used() {
    let app = app().await;
    let (promotion, coupon) = coupon(&app, "TEN", json!({}), json!({ "usage_limit": 7 })).await;
    let ten = applied(&promotion, &coupon);
    let outcomes = join_all((0..500).map(|number| {
        let (app, ten) = (&app, &ten);
        async move { claim(app, ten, id(number), &format!("buyer{number}@example.com")).await }
    }))
    .await;
    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 7);
    assert!(outcomes.iter().filter_map(|outcome| outcome.as_ref().err()).all(|error| error.code() == "code_invalid"));
    assert_eq!(used(&app, &coupon).await, 7);
}

#[tokio::test]
async fn inv_s7_each_customer_uses_a_coupon_as_often_as_each_may() {
    let app = app().await;
    let (promotion, coupon) = coupon(&app, "TEN", json!({}), json!({ "per_customer": 2 })).await;
    let ten = applied(&promotion, &coupon);
    let outcomes = join_all((0..60).map(|number| {
        let (app, ten) = (&app, &ten);
        async move { claim(app, ten, id(number), if number % 2 == 0 { "ada@example.com" } else { "bob@example.com" }).await }
    }))
    .await;
    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 4);
    assert_eq!(used(&app, &coupon).await, 4);
}

#[tokio::test]
async fn inv_r3_a_canceled_order_gives_its_coupon_back_once() {
    let app = app().await;
    let (promotion, coupon) = coupon(&app, "TEN", json!({}), json!({ "usage_limit": 2, "per_customer": 1 })).await;
    let ten = applied(&promotion, &coupon);
    claim(&app, &ten, id(1), "ada@example.com").await.unwrap();
    claim(&app, &ten, id(2), "bob@example.com").await.unwrap();
    join_all((0..10).map(|_| give_back(&app, id(1)))).await;
    assert_eq!(used(&app, &coupon).await, 1);
    claim(&app, &ten, id(3), "ada@example.com").await.unwrap();
    assert_eq!(claim(&app, &ten, id(4), "cy@example.com").await.unwrap_err().code(), "code_invalid");
}

#[tokio::test]
async fn r54_a_code_is_taken_once_whatever_its_case() {
    let app = app().await;
    let (promotion, _) = coupon(&app, "Straße", json!({}), json!({})).await;
    let twin = json!({ "promotion_id": promotion, "code": "STRASSE" });
    app.post("/api/v1/shop/coupons").by(&merchant()).json(&twin).await.expect(409).problem("code_taken").field("/code", "code_taken");
}

#[tokio::test]
async fn a_used_coupon_is_kept_and_its_limit_stays_above_its_uses() {
    let app = app().await;
    let (promotion, coupon) = coupon(&app, "TEN", json!({}), json!({ "usage_limit": 5 })).await;
    for number in 1..=3 {
        claim(&app, &applied(&promotion, &coupon), id(number), "ada@example.com").await.unwrap();
    }
    let path = format!("/api/v1/shop/coupons/{coupon}");
    app.delete(&path).by(&merchant()).await.expect(409).problem("in_use");
    app.delete(&format!("/api/v1/shop/promotions/{promotion}")).by(&merchant()).await.expect(409).problem("in_use");
    let lower = json!({ "promotion_id": promotion, "code": "TEN", "usage_limit": 2 });
    app.put(&path).by(&merchant()).json(&lower).await.expect(422).field("/usage_limit", "out_of_range");
    let counted = json!({ "promotion_id": promotion, "code": "TEN", "used_count": 0 });
    app.put(&path).by(&merchant()).json(&counted).await.expect(422).field("/used_count", "unknown_field");
}
