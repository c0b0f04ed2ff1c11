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

async fn claim_again(app: &TestApp, order: Id<Order>) -> bool {
    let ctx = Ctx::system(app.kernel(), "test");
    let context = ctx.clone();
    ctx.write(move |tx| shop::promotions::claim_coupons_again(tx, &context, order)).await.expect("no error")
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
    let swelling = json!({ "promotion_id": promotion, "code": "\u{fdfa}".repeat(40) });
    app.post("/api/v1/shop/coupons").by(&merchant()).json(&swelling).await.expect(422).field("/code", "too_long");
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

#[tokio::test]
async fn inv_r3_late_money_uses_the_coupon_of_its_order_up_again_once() {
    let app = app().await;
    let (promotion, coupon) = coupon(&app, "TEN", json!({}), json!({ "usage_limit": 2, "per_customer": 1 })).await;
    let ten = applied(&promotion, &coupon);
    claim(&app, &ten, id(1), "ada@example.com").await.unwrap();
    for _ in 0..2 {
        give_back(&app, id(1)).await;
        assert_eq!(used(&app, &coupon).await, 0);
        let outcomes = join_all((0..10).map(|_| claim_again(&app, id(1)))).await;
        assert_eq!((outcomes, used(&app, &coupon).await), (vec![true; 10], 1));
    }
    // The price was agreed to while the code counted; that it does not any more changes nothing.
    give_back(&app, id(1)).await;
    let off = json!({ "promotion_id": promotion, "code": "TEN", "usage_limit": 2, "per_customer": 1, "is_active": false });
    app.put(&format!("/api/v1/shop/coupons/{coupon}")).by(&merchant()).json(&off).await.expect(200);
    assert_eq!((claim_again(&app, id(1)).await, used(&app, &coupon).await), (true, 1));
    assert!(claim_again(&app, id(2)).await, "an order without coupons needs none");
}

#[tokio::test]
async fn inv_s7_late_money_never_uses_a_coupon_up_more_often_than_it_may_be_used() {
    let app = app().await;
    let mut coupons = Vec::new();
    for code in ["A", "B", "C"] {
        let (promotion, coupon) = coupon(&app, code, json!({}), json!({})).await;
        coupons.push((coupon, promotion, code));
    }
    coupons.sort();
    // The last one that is tried is the one that is scarce.
    let (scarce, promotion, code) = coupons[2].clone();
    let limited = json!({ "promotion_id": promotion, "code": code, "usage_limit": 1 });
    app.put(&format!("/api/v1/shop/coupons/{scarce}")).by(&merchant()).json(&limited).await.expect(200);
    let uses = async || [used(&app, &coupons[0].0).await, used(&app, &coupons[1].0).await, used(&app, &scarce).await];
    for (coupon, promotion, _) in &coupons {
        claim(&app, &applied(promotion, coupon), id(1), "ada@example.com").await.unwrap();
    }
    give_back(&app, id(1)).await;
    claim(&app, &applied(&promotion, &scarce), id(2), "bob@example.com").await.unwrap();
    assert_eq!((claim_again(&app, id(1)).await, uses().await), (false, [0, 0, 1]), "all of them or none");
    give_back(&app, id(2)).await;
    assert_eq!((claim_again(&app, id(1)).await, uses().await), (true, [1, 1, 1]));
    // Nor more often than each customer may.
    let (promotion, once) = coupon(&app, "ONCE", json!({}), json!({ "per_customer": 1 })).await;
    let once_applied = applied(&promotion, &once);
    claim(&app, &once_applied, id(3), "ada@example.com").await.unwrap();
    give_back(&app, id(3)).await;
    claim(&app, &once_applied, id(4), "ada@example.com").await.unwrap();
    assert_eq!((claim_again(&app, id(3)).await, used(&app, &once).await), (false, 1));
}

#[tokio::test]
async fn inv_r1_of_twenty_promotions_at_once_only_the_hundredth_is_let_in() {
    let app = app().await;
    let sale = |is_active: bool| json!({ "name": "Sale", "action": "percent", "percent_ppm": 10_000, "is_active": is_active });
    let make = |is_active: bool| app.post("/api/v1/shop/promotions").by(&merchant()).json(&sale(is_active));
    for _ in 0..9 {
        assert_eq!(count(&at_once((0..11).map(|_| make(true))).await, 201), 11);
    }
    let answers = at_once((0..20).map(|_| make(true))).await;
    assert_eq!((count(&answers, 201), count(&answers, 422)), (1, 19));
    let last = answers.iter().find(|answer| answer.status == 201).unwrap().text("/id");
    for refused in answers.into_iter().filter(|answer| answer.status == 422) {
        refused.problem("validation_failed").field("/is_active", "not_allowed");
    }
    let idle = make(false).await.expect(201).text("/id");
    let put = |id: &str, is_active: bool| app.put(&format!("/api/v1/shop/promotions/{id}")).by(&merchant()).json(&sale(is_active));
    put(&idle, true).await.expect(422).field("/is_active", "not_allowed");
    put(&last, true).await.expect(200);
    put(&last, false).await.expect(200);
    put(&idle, true).await.expect(200);
}

#[tokio::test]
async fn inv_r2_a_cart_has_at_most_twenty_codes_also_when_five_come_at_once() {
    let app = app().await;
    for number in 0..24 {
        let one = json!({ "name": "One", "percent_ppm": 10_000, "priority": number });
        coupon(&app, &format!("CODE{number}"), one, json!({})).await;
    }
    let mug = product(&app, "Mug", 10_000).await;
    let guest = guest(&app).await;
    guest.add(&app, &mug.variant, 1).await.expect(200);
    for number in 0..19 {
        guest.enter(&app, &format!("CODE{number}")).await.expect(200);
    }
    let answers = at_once((19..24).map(|number| guest.enter(&app, &format!("CODE{number}")))).await;
    assert_eq!((count(&answers, 200), count(&answers, 422)), (1, 4));
    let refused = answers.into_iter().find(|answer| answer.status == 422).unwrap().problem("code_invalid");
    assert_eq!(refused["reason"], "too_many");
    assert_eq!(guest.enter(&app, "CODE0").await.expect(200)["codes"].as_array().unwrap().len(), 20, "entering one again is fine");
}
