//! Checkout with the offline provider: once per key, once per cart, never more than there is (INV-I, INV-S).

use serde_json::json;
use testkit::stripe::{Fault, StripeFake};

use crate::support::*;

#[tokio::test]
async fn inv_i_an_offline_order_is_confirmed_at_once_and_paid_when_staff_says_so() {
    let shop = shop(5).await;
    let cart = shop.cart(2).await;
    let answer = check_out(&shop, &cart, BANK, &key(&cart)).await.expect(201);
    let order = Ordered::of(&answer);
    assert_eq!(answer["order"]["status"], "confirmed");
    assert_eq!(answer["order"]["payment_status"], "unpaid");
    assert_eq!(answer["order"]["total"], json!({ "amount": 2 * 2_499 + 490, "currency": "EUR" }));
    assert_eq!(answer.header("location"), format!("/api/v1/shop/orders/{}", order.id));
    assert!(answer.text("/order/instructions").contains("DE02"));
    assert_eq!(shop.shelf().await, (5, 2));
    shop.confirm(&order.payment).await.expect(200);
    let paid = shop.look(&order.id).await;
    assert_eq!((&paid["status"], &paid["payment_status"]), (&json!("confirmed"), &json!("paid")));
    shop.ship(&order.id, &order.line, 2).await.expect(200);
    assert_eq!(shop.shelf().await, (3, 0));
    let path = format!("/api/v1/shop/orders/{}/actions/complete", order.id);
    let done = shop.post(&path).by(&staff()).json(&json!({})).await.expect(200);
    assert_eq!((&done["status"], &done["fulfilment_status"]), (&json!("completed"), &json!("fulfilled")));
    shop.audit_is_clean().await;
    let expected = [
        "shop.order.created",
        "shop.order.confirmed",
        "shop.payment.captured",
        "shop.order.paid",
        "shop.fulfilment.created",
        "shop.fulfilment.shipped",
        "shop.order.completed",
    ];
    assert_eq!(shop.order_events().await, expected);
    shop.run_jobs().await;
}

#[tokio::test]
async fn inv_i1_fifty_retries_with_one_key_get_one_order_and_one_answer() {
    let shop = shop(5).await;
    let cart = shop.cart(1).await;
    let first = check_out(&shop, &cart, BANK, &key(&cart)).await.expect(201);
    let again = at_once((0..50).map(|_| check_out(&shop, &cart, BANK, &key(&cart)))).await;
    assert!(again.iter().all(|answer| answer.bytes == first.bytes && answer.header("idempotency-replayed") == "true"));
    assert_eq!(shop.shelf().await, (5, 1));
    shop.run_jobs().await;
}

#[tokio::test]
async fn inv_i1_a_lost_answer_is_given_again_although_all_tries_are_used_up() {
    let shop = shop_with(5, &[("shop.checkout.tries_per_minute", "2")]).await;
    let cart = shop.cart(1).await;
    let first = check_out(&shop, &cart, BANK, &key(&cart)).await.expect(201);
    let again = async || {
        let again = check_out(&shop, &cart, BANK, &key(&cart)).await.expect(201);
        assert_eq!((&again.bytes, again.header("idempotency-replayed")), (&first.bytes, "true"));
    };
    for _ in 0..20 {
        again().await;
    }
    // Another key is another try.
    check_out(&shop, &cart, BANK, "another-key-for-this-cart").await.expect(409).problem("cart_ordered");
    check_out(&shop, &cart, BANK, "a-third-key-for-this-cart").await.expect(429).problem("rate_limited");
    again().await;
    shop.run_jobs().await;
}

#[tokio::test]
async fn inv_i3_a_checkout_that_did_not_reach_its_provider_goes_on_but_not_without_end() {
    let (shop, fake) = stripe_shop_with(5, &[("shop.checkout.tries_per_minute", "1")]).await;
    let cart = shop.cart(1).await;
    // Each call is sent three times; the one of the first request and those of three repeated ones fail.
    for _ in 0..4 * 3 {
        fake.fail_next("/v1/payment_intents", Fault::Refuse(500));
    }
    for _ in 0..4 {
        check_out(&shop, &cart, "stripe", &key(&cart)).await.expect(503).problem("upstream_failed");
    }
    let calls = fake.calls().len();
    let refused = check_out(&shop, &cart, "stripe", &key(&cart)).await.expect(429).problem("rate_limited");
    assert_eq!((refused.header("retry-after"), fake.calls().len()), ("20", calls), "the provider is not called");
    shop.advance(MINUTE / 3);
    let order = Ordered::of(&check_out(&shop, &cart, "stripe", &key(&cart)).await.expect(201));
    assert_eq!((fake.intents().len(), shop.look(&order.id).await["status"].clone()), (1, json!("pending")));
    for _ in 0..20 {
        check_out(&shop, &cart, "stripe", &key(&cart)).await.expect(201);
    }
    shop.run_jobs().await;
}

#[tokio::test]
async fn inv_i1_fifty_at_once_with_one_key_get_one_order_and_one_answer() {
    let shop = shop(5).await;
    let cart = shop.cart(1).await;
    let answers = at_once((0..50).map(|_| check_out(&shop, &cart, BANK, &key(&cart)))).await;
    assert_eq!(count(&answers, 201), 50, "{}", answers[0]);
    assert!(answers.iter().all(|answer| answer.bytes == answers[0].bytes));
    assert_eq!(answers.iter().filter(|answer| answer.header("idempotency-replayed").is_empty()).count(), 1);
    assert_eq!(shop.shelf().await, (5, 1));
    assert_eq!(shop.order_events().await, ["shop.order.created", "shop.order.confirmed"]);
    shop.audit_is_clean().await;
}

#[tokio::test]
async fn inv_i2_fifty_keys_for_one_cart_get_one_order() {
    let shop = shop(5).await;
    let cart = shop.cart(1).await;
    let answers = at_once((0..50).map(|n| check_out(&shop, &cart, BANK, &format!("another-key-number-{n:04}")))).await;
    assert_eq!((count(&answers, 201), count(&answers, 409)), (1, 49));
    let order = answers.iter().find(|answer| answer.status == 201).unwrap().text("/order/id");
    for refused in answers.into_iter().filter(|answer| answer.status == 409) {
        let refused = refused.problem("cart_ordered");
        assert_eq!(refused["order_id"], order);
    }
    shop.audit_is_clean().await;
}

#[tokio::test]
async fn inv_i2_the_same_key_with_another_body_is_refused() {
    let shop = shop(5).await;
    let (cart, other) = (shop.cart(1).await, shop.cart(2).await);
    check_out(&shop, &cart, BANK, &key(&cart)).await.expect(201);
    let body = json!({ "cart_id": cart.id, "expected_total": cart.total, "payment_method": BANK, "note": "quick, please" });
    let request = shop.post("/api/v1/shop/orders").header("Cart-Secret", &cart.secret).header("Idempotency-Key", &key(&cart)).json(&body);
    request.await.expect(422).problem("idempotency_key_reused");
    // The key counts for the holder of the cart's secret alone: another cart may use the same one.
    check_out(&shop, &other, BANK, &key(&cart)).await.expect(201);
}

#[tokio::test]
async fn inv_i3_a_refusal_is_never_remembered() {
    let shop = shop(0).await;
    let cart = shop.cart(1).await;
    let refused = check_out(&shop, &cart, BANK, &key(&cart)).await.expect(409).problem("out_of_stock");
    assert_eq!(refused["lines"][0], json!({ "item_id": shop.item, "requested": 1, "available": 0 }));
    stock(&shop, &shop.location, &shop.item, 1).await;
    check_out(&shop, &cart, BANK, &key(&cart)).await.expect(201);
    assert_eq!(shop.shelf().await, (1, 1));
}

#[tokio::test]
async fn inv_i6_a_changed_price_is_told_and_the_cart_stays_open() {
    let shop = shop(5).await;
    let cart = shop.cart(1).await;
    let prices = json!({ "prices": [{ "price": { "amount": 2_599, "currency": "EUR" } }] });
    shop.put(&format!("/api/v1/shop/variants/{}/prices", shop.variant)).by(&staff()).json(&prices).await.expect(200);
    let refused = check_out(&shop, &cart, BANK, &key(&cart)).await.expect(409).problem("price_changed");
    assert_eq!(refused["totals"]["total"], json!({ "amount": 2_599 + 490, "currency": "EUR" }));
    assert_eq!(shop.shelf().await, (5, 0));
    let accepted = GuestCart { total: refused["totals"]["total"].clone(), ..cart };
    check_out(&shop, &accepted, BANK, &key(&accepted)).await.expect(201);
    shop.run_jobs().await;
}

/// Makes carts, some at a time.
async fn carts(shop: &TestShop, count: usize) -> Vec<GuestCart> {
    let mut carts = Vec::with_capacity(count);
    for batch in 0..count.div_ceil(25) {
        let size = 25.min(count - batch * 25);
        carts.extend(futures_util::future::join_all((0..size).map(|_| shop.cart(1))).await);
    }
    carts
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn inv_s1_five_hundred_checkouts_for_a_hundred_units_have_a_hundred_winners() {
    let shop = shop(100).await;
    let carts = carts(&shop, 500).await;
    let answers = at_once(carts.iter().map(|cart| check_out(&shop, cart, BANK, &key(cart)))).await;
    assert_eq!(
        (count(&answers, 201), count(&answers, 409)),
        (100, 400),
        "{}",
        answers.iter().find(|a| a.status.as_u16() >= 500).unwrap_or(&answers[0])
    );
    for refused in answers.into_iter().filter(|answer| answer.status == 409) {
        refused.problem("out_of_stock");
    }
    assert_eq!(shop.shelf().await, (100, 100));
    shop.audit_is_clean().await;
    shop.forget_jobs().await;
}

#[tokio::test]
async fn inv_s7_sixty_orders_with_a_coupon_for_seven_use_it_seven_times() {
    let shop = shop(100).await;
    let promotion = json!({ "name": "Seven", "action": "percent", "percent_ppm": 100_000 });
    let promotion = shop.post("/api/v1/shop/promotions").by(&staff()).json(&promotion).await;
    assert_eq!(promotion.status, 201, "{promotion}");
    let coupon = json!({ "promotion_id": promotion.text("/id"), "code": "SEVEN", "usage_limit": 7 });
    make(&shop, "/api/v1/shop/coupons", coupon).await;
    let mut carts = carts(&shop, 60).await;
    for cart in &mut carts {
        let request = shop.post(&format!("/api/v1/shop/carts/{}/codes", cart.id)).header("Cart-Secret", &cart.secret);
        cart.total = request.json(&json!({ "code": "seven" })).await.expect(200)["totals"]["total"].clone();
        assert_eq!(cart.total["amount"], 2_499 - 250 + 490);
    }
    let answers = at_once(carts.iter().map(|cart| check_out(&shop, cart, BANK, &key(cart)))).await;
    assert_eq!(count(&answers, 201), 7);
    assert!(answers.iter().all(|answer| answer.status.as_u16() < 500));
    assert_eq!(shop.shelf().await, (100, 7));
    // Calling one off gives its use back, once.
    let order = Ordered::of(answers.iter().find(|answer| answer.status == 201).unwrap());
    let cancel = || shop.post(&format!("/api/v1/shop/orders/{}/actions/cancel", order.id)).by(&staff()).json(&json!({}));
    let canceled = at_once((0..10).map(|_| cancel())).await;
    assert_eq!((count(&canceled, 200), count(&canceled, 409)), (1, 9));
    assert_eq!(shop.shelf().await, (100, 6));
    let winner = answers.iter().position(|answer| answer.status == 409 || answer.status == 422).unwrap();
    check_out(&shop, &carts[winner], BANK, &key(&carts[winner])).await.expect(201);
    shop.audit_is_clean().await;
    shop.run_jobs().await;
}

#[tokio::test]
async fn inv_s3_two_lines_cannot_share_the_last_unit() {
    let shop = shop(3).await;
    let (other, item) = sell(&shop, &shop.location, "MUG", 1_000, 1).await;
    let cart = shop.cart_of(&[(shop.variant.as_str(), 3), (other.as_str(), 1)]).await;
    let late = shop.cart_of(&[(other.as_str(), 1)]).await;
    check_out(&shop, &cart, BANK, &key(&cart)).await.expect(201);
    check_out(&shop, &late, BANK, &key(&late)).await.expect(409).problem("out_of_stock");
    assert_eq!((shop.shelf().await, shop.shelf_of(&item).await), ((3, 3), (1, 1)));
    shop.audit_is_clean().await;
}

#[tokio::test]
async fn inv_o1_an_order_that_is_not_paid_in_its_days_expires_and_gives_its_goods_back() {
    let shop = shop(5).await;
    let order = shop.order(2).await;
    shop.pass(DAY * 13).await;
    assert_eq!(shop.look(&order.id).await["status"], "confirmed");
    shop.pass(DAY * 2).await;
    let expired = shop.look(&order.id).await;
    assert_eq!(expired["status"], "expired");
    assert_eq!(expired["payments"][0]["state"], "canceled");
    assert_eq!(shop.shelf().await, (5, 0));
    shop.audit_is_clean().await;
    assert!(shop.order_events().await.contains(&"shop.order.expired".to_owned()));
}

#[tokio::test]
async fn inv_i_what_costs_nothing_needs_no_payment() {
    let shop = shop(1).await;
    let product = json!({
        "title": "Leaflet", "status": "active",
        "variants": [{ "is_shippable": false, "is_stock_tracked": false, "prices": [{ "price": { "amount": 0, "currency": "EUR" } }] }]
    });
    let variant = shop.post("/api/v1/shop/products").by(&staff()).json(&product).await.expect(201).text("/variants/0/id");
    let begun = shop.post("/api/v1/shop/carts").json(&json!({ "email": "guest@example.com" })).await.expect(201);
    let (id, secret) = (begun.text("/id"), begun.text("/secret"));
    let line = json!({ "variant_id": variant, "quantity": 1 });
    let cart = shop.post(&format!("/api/v1/shop/carts/{id}/lines")).header("Cart-Secret", &secret).json(&line).await.expect(200);
    let cart = GuestCart { id, secret, total: cart["totals"]["total"].clone() };
    let answer = check_out(&shop, &cart, BANK, &key(&cart)).await.expect(201);
    assert_eq!((&answer["order"]["status"], &answer["order"]["payment_status"]), (&json!("confirmed"), &json!("paid")));
    assert_eq!((&answer["payment"], &answer["order"]["fulfilment_status"]), (&json!(null), &json!("fulfilled")));
    assert_eq!(shop.order_events().await, ["shop.order.created", "shop.order.confirmed", "shop.order.paid"]);
    shop.audit_is_clean().await;
}

#[tokio::test]
async fn inv_o2_an_order_keeps_what_it_was_bought_as() {
    let shop = shop(5).await;
    let order = shop.order(1).await;
    let before = shop.look(&order.id).await;
    let prices = json!({ "prices": [{ "price": { "amount": 1, "currency": "EUR" } }] });
    shop.put(&format!("/api/v1/shop/variants/{}/prices", shop.variant)).by(&staff()).json(&prices).await.expect(200);
    let product = before.text("/lines/0/product_id");
    let title = json!({ "title": "Something else" });
    shop.patch(&format!("/api/v1/shop/products/{product}")).by(&staff()).json(&title).await.expect(200);
    assert_eq!(shop.look(&order.id).await.body, before.body);
    shop.run_jobs().await;
}

#[tokio::test]
async fn a_person_checks_out_their_own_cart_and_finds_the_order_again() {
    let shop = shop(5).await;
    let cart = shop.cart(1).await;
    let request = check_out(&shop, &cart, BANK, &key(&cart)).by(&ada());
    let order = Ordered::of(&request.await.expect(201));
    let mine = shop.get("/api/v1/shop/orders").by(&ada()).await.expect(200);
    assert_eq!(mine["items"][0]["id"], order.id);
    shop.get(&format!("/api/v1/shop/orders/{}", order.id)).by(&ada()).await.expect(200);
    let bob = testkit::Doorman::person("bob", &["nothing"]);
    assert_eq!(shop.get("/api/v1/shop/orders").by(&bob).await.expect(200)["items"], json!([]));
    shop.get(&format!("/api/v1/shop/orders/{}", order.id)).by(&bob).await.expect(404);
    shop.run_jobs().await;
}

#[tokio::test]
async fn inv_r2_guesses_from_one_network_count_together() {
    let shop = shop_with(5, &[("http.trusted_proxies", "loopback")]).await;
    let guess = async |host: u8| {
        let cart = shop.cart(1).await;
        let request = shop.post(&format!("/api/v1/shop/carts/{}/codes", cart.id)).header("Cart-Secret", &cart.secret);
        request.header("X-Forwarded-For", &format!("2001:db8:1:2::{host:x}")).json(&json!({ "code": "GUESS" })).await
    };
    for host in 1..=20 {
        guess(host).await.expect(422);
    }
    guess(21).await.expect(429).problem("rate_limited");
    shop.run_jobs().await;
}

/// A card order that the coupon made cheaper and that expired before its buyer paid.
async fn expired_with_coupon(shop: &TestShop, fake: &StripeFake) -> (Ordered, String) {
    let promotion = json!({ "name": "One", "action": "percent", "percent_ppm": 100_000 });
    let promotion = make(shop, "/api/v1/shop/promotions", promotion).await;
    let coupon = make(shop, "/api/v1/shop/coupons", json!({ "promotion_id": promotion, "code": "ONE", "usage_limit": 1 })).await;
    let order = Ordered::of(&check_out_with_code(shop, "stripe").await.expect(201));
    assert_eq!((order.total, uses(shop, &coupon).await), (2_499 - 250 + 490, 1));
    shop.pass(MINUTE * 33).await;
    assert_eq!((shop.look(&order.id).await["status"].clone(), uses(shop, &coupon).await), (json!("expired"), 0));
    fake.pay(fake.intent_of(&order.payment)["id"].as_str().expect("an intent"));
    (order, coupon)
}

async fn check_out_with_code(shop: &TestShop, method: &str) -> testkit::TestResponse {
    let mut cart = shop.cart(1).await;
    let request = shop.post(&format!("/api/v1/shop/carts/{}/codes", cart.id)).header("Cart-Secret", &cart.secret);
    cart.total = request.json(&json!({ "code": "ONE" })).await.expect(200)["totals"]["total"].clone();
    check_out(shop, &cart, method, &key(&cart)).await
}

async fn uses(shop: &TestShop, coupon: &str) -> i64 {
    shop.get(&format!("/api/v1/shop/coupons/{coupon}")).by(&staff()).await.expect(200)["used_count"].as_i64().expect("a number")
}

#[tokio::test]
async fn inv_r3_late_money_uses_the_coupon_of_its_order_up_again() {
    let (shop, fake) = stripe_shop(5).await;
    let (order, coupon) = expired_with_coupon(&shop, &fake).await;
    shop.pass(MINUTE * 2).await;
    let late = shop.look(&order.id).await;
    assert_eq!((&late["status"], &late["payment_status"]), (&json!("confirmed"), &json!("paid")));
    assert_eq!((uses(&shop, &coupon).await, shop.shelf().await), (1, (5, 1)));
    shop.audit_is_clean().await;
    // Calling it off gives it back once more.
    let cancel = shop.post(&format!("/api/v1/shop/orders/{}/actions/cancel", order.id)).by(&staff());
    cancel.json(&json!({})).await.expect(200);
    assert_eq!(uses(&shop, &coupon).await, 0);
    shop.run_jobs().await;
    shop.audit_is_clean().await;
}

#[tokio::test]
async fn inv_p7_late_money_goes_back_if_others_have_used_its_coupon_up() {
    let (shop, fake) = stripe_shop(5).await;
    let (order, coupon) = expired_with_coupon(&shop, &fake).await;
    check_out_with_code(&shop, BANK).await.expect(201);
    shop.pass(MINUTE * 2).await;
    let late = shop.look(&order.id).await;
    assert_eq!(
        (&late["status"], &late["payment_status"], &late["attention"]),
        (&json!("expired"), &json!("refunded"), &json!("late_payment"))
    );
    assert_eq!((fake.refunds()[0]["amount"].clone(), fake.refunds().len()), (json!(order.total), 1));
    assert_eq!((uses(&shop, &coupon).await, shop.shelf().await), (1, (5, 1)));
    shop.audit_is_clean().await;
}
