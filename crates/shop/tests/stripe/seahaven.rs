//! From the checkout to the money, at seahaven-stripe-world: pay, be declined, be challenged, be captured later (INV-P, INV-I7, INV-S5).

use serde_json::{Value, json};

use crate::support::*;
use crate::till::Till;

/// The code of the last refusal, as staff sees it.
async fn code(till: &Till, order: &Ordered) -> Value {
    till.shop.look(&order.id).await["payments"][0]["provider_code"].clone()
}

#[tokio::test]
async fn inv_p6_a_buyer_pays_and_our_books_are_the_providers() {
    let till = Till::open(5).await;
    let cart = till.shop.cart(2).await;
    let answer = check_out(&till.shop, &cart, "stripe", &key(&cart)).await.expect(201);
    let order = Ordered::of(&answer);
    let intent = till.look_at(&till.intent(&order).await).await;
    assert_eq!((&intent["amount"], &intent["currency"]), (&json!(order.total), &json!("eur")));
    assert_eq!(answer["payment"]["client_data"]["client_secret"], intent["client_secret"]);
    assert_eq!((&intent["metadata"]["order"], &intent["metadata"]["order_number"]), (&json!(order.id), &answer["order"]["number"]));
    assert_eq!(till.sync(&order).await.expect(200)["state"], "pending");
    till.pay(&order).await;
    assert_eq!(till.sync(&order).await.expect(200)["state"], "captured");
    assert_eq!(till.state(&order).await, ("confirmed".to_owned(), "paid".to_owned()));
    assert_eq!(till.shop.shelf().await, (5, 2));
    assert_eq!(till.shop.order_events().await.iter().filter(|name| *name == "shop.order.paid").count(), 1);
    till.books_agree().await;
    assert!(till.theirs("fee").await > 0);
    assert_eq!((till.booked("fees:stripe").await, till.booked("clearing:stripe").await), (till.theirs("fee").await, order.total));
    till.shop.run_jobs().await;
}

#[tokio::test]
async fn inv_p5_without_webhooks_and_buyers_who_come_back_orders_settle_by_polling() {
    let till = Till::open(5).await;
    let orders = [till.shop.card_order(1).await, till.shop.card_order(1).await, till.shop.card_order(1).await];
    till.shop.pass(MINUTE * 2).await;
    till.pay(&orders[0]).await;
    till.pay(&orders[2]).await;
    till.shop.pass(MINUTE * 2).await;
    for (order, expected) in orders.iter().zip(["paid", "unpaid", "paid"]) {
        assert_eq!(till.state(order).await.1, expected);
    }
    till.books_agree().await;
}

#[tokio::test]
async fn inv_p5_when_even_the_events_cannot_be_read_each_open_payment_is_looked_at() {
    let till = Till::open(5).await;
    let order = till.shop.card_order(1).await;
    till.world.refuse_all(Some("/v1/events"));
    till.pay(&order).await;
    till.shop.pass(MINUTE * 2).await;
    assert_eq!(till.state(&order).await.1, "unpaid");
    till.shop.pass(MINUTE * 4).await;
    assert_eq!(till.state(&order).await.1, "paid");
    till.books_agree().await;
}

#[tokio::test]
async fn inv_p3_a_declined_card_leaves_the_order_open_for_another_card() {
    let till = Till::open(5).await;
    let order = till.shop.card_order(1).await;
    let intent = till.intent(&order).await;
    assert_eq!(till.try_card(&intent, "tok_visa_chargeDeclinedInsufficientFunds").await, 402);
    assert_eq!(till.sync(&order).await.expect(200)["state"], "pending");
    assert_eq!((till.state(&order).await.0.as_str(), code(&till, &order).await), ("pending", json!("insufficient_funds")));
    assert_eq!(till.try_card(&intent, "tok_chargeDeclinedExpiredCard").await, 402);
    till.shop.pass(MINUTE * 2).await;
    assert_eq!(code(&till, &order).await, "expired_card");
    assert_eq!((till.booked("clearing:stripe").await, till.shop.shelf().await), (0, (5, 1)));
    assert_eq!(till.try_card(&intent, "tok_visa").await, 200);
    till.sync(&order).await.expect(200);
    assert_eq!(till.state(&order).await, ("confirmed".to_owned(), "paid".to_owned()));
    // The provider still tells the last refusal; of money that has come it says nothing.
    assert_eq!(code(&till, &order).await, Value::Null);
    till.books_agree().await;
    till.shop.run_jobs().await;
}

#[tokio::test]
async fn inv_s5_a_buyer_who_does_not_pass_3d_secure_gives_the_goods_back_after_the_intent_is_called_off() {
    let till = Till::open(5).await;
    let order = till.shop.card_order(2).await;
    let intent = till.intent(&order).await;
    assert_eq!(till.try_card(&intent, "tok_threeDSecure2Required").await, 200);
    assert_eq!(till.look_at(&intent).await["status"], "requires_action");
    assert_eq!(till.sync(&order).await.expect(200)["state"], "pending");
    till.shop.pass(MINUTE * 6).await;
    assert_eq!((till.state(&order).await.0.as_str(), till.shop.shelf().await), ("pending", (5, 2)));
    // The provider cannot be reached when the time is over: as long as the intent may be paid, the goods are held.
    till.world.refuse_all(Some("/cancel"));
    till.shop.pass(MINUTE * 26).await;
    assert_eq!((till.state(&order).await.0.as_str(), till.shop.shelf().await), ("pending", (5, 2)));
    assert_eq!(till.look_at(&intent).await["status"], "requires_action");
    till.world.refuse_all(None);
    till.shop.pass(MINUTE * 5).await;
    assert_eq!((till.state(&order).await.0.as_str(), till.shop.shelf().await), ("expired", (5, 0)));
    assert_eq!(till.look_at(&intent).await["status"], "canceled");
    assert_ne!(till.try_card(&intent, "tok_visa").await, 200);
    till.books_agree().await;
}

#[tokio::test]
async fn inv_p3_a_challenged_buyer_may_pay_with_another_card() {
    let till = Till::open(5).await;
    let order = till.shop.card_order(1).await;
    let intent = till.intent(&order).await;
    assert_eq!(till.try_card(&intent, "tok_threeDSecureRequired").await, 200);
    assert_eq!(till.sync(&order).await.expect(200)["state"], "pending");
    assert_eq!(till.try_card(&intent, "tok_visa").await, 200);
    assert_eq!(till.sync(&order).await.expect(200)["state"], "captured");
    till.books_agree().await;
    till.shop.run_jobs().await;
}

#[tokio::test]
async fn inv_s5_a_payment_that_came_before_the_buyer_called_it_off_wins() {
    let till = Till::open(5).await;
    let order = till.shop.card_order(1).await;
    till.pay(&order).await;
    let cancel = till.shop.post(&format!("/api/v1/shop/orders/{}/actions/cancel", order.id)).header("Order-Secret", &order.secret);
    assert_eq!(cancel.json(&json!({})).await.expect(409).problem("invalid_state")["current_state"], "confirmed");
    assert_eq!(till.state(&order).await, ("confirmed".to_owned(), "paid".to_owned()));
    till.books_agree().await;
    till.shop.run_jobs().await;
}

#[tokio::test]
async fn inv_i7_paying_in_another_way_calls_the_open_intent_off() {
    let till = Till::open(5).await;
    let order = till.shop.card_order(1).await;
    let first = till.intent(&order).await;
    let pay = |key: &str, method: &str| {
        let request = till.shop.post(&format!("/api/v1/shop/orders/{}/payments", order.id)).header("Order-Secret", &order.secret);
        request.header("Idempotency-Key", key).json(&json!({ "payment_method": method }))
    };
    let second = pay("a-second-payment-with-a-card", "stripe:card").await.expect(201).text("/id");
    assert_eq!(till.look_at(&first).await["status"], "canceled");
    let intents = till.intents_of(&second).await;
    assert_eq!((intents.len(), &intents[0]["payment_method_types"]), (1, &json!(["card"])));
    pay("a-third-payment-by-transfer", BANK).await.expect(201);
    assert_eq!(till.intents_of(&second).await[0]["status"], "canceled");
    till.shop.run_jobs().await;
}

#[tokio::test]
async fn manual_capture_collects_a_part_and_the_provider_releases_the_rest() {
    let till = Till::open_with(5, &[("shop.payments.capture", "manual")]).await;
    let order = till.shop.card_order(1).await;
    let intent = till.pay(&order).await;
    assert_eq!(till.sync(&order).await.expect(200)["state"], "authorized");
    assert_eq!(till.state(&order).await, ("confirmed".to_owned(), "authorized".to_owned()));
    let path = format!("/api/v1/shop/payments/{}/captures", order.payment);
    let capture = till.shop.post(&path).by(&staff()).header("Idempotency-Key", "collect-a-part-of-it");
    let captured = capture.json(&json!({ "amount": { "amount": 1_000, "currency": "EUR" } })).await.expect(201);
    assert_eq!((&captured["state"], &captured["captured"]["amount"]), (&json!("captured"), &json!(1_000)));
    assert_eq!(till.look_at(&intent).await["amount_received"], 1_000);
    assert_eq!(till.state(&order).await.1, "partially_paid");
    till.books_agree().await;
    till.shop.run_jobs().await;
}

#[tokio::test]
async fn manual_capture_called_off_releases_everything() {
    let till = Till::open_with(5, &[("shop.payments.capture", "manual")]).await;
    let order = till.shop.card_order(1).await;
    let intent = till.pay(&order).await;
    till.sync(&order).await.expect(200);
    let path = format!("/api/v1/shop/payments/{}/actions/cancel", order.payment);
    assert_eq!(till.shop.post(&path).by(&staff()).json(&json!({})).await.expect(200)["state"], "canceled");
    let now = till.look_at(&intent).await;
    assert_eq!((&now["status"], &now["amount_received"]), (&json!("canceled"), &json!(0)));
    till.books_agree().await;
    till.shop.run_jobs().await;
}

#[tokio::test]
async fn every_kind_of_call_that_our_client_makes_was_judged_by_stripes_document() {
    let till = Till::open_with(5, &[("shop.payments.capture", "manual")]).await;
    let order = till.shop.card_order(1).await;
    let intent = till.intent(&order).await;
    assert_eq!(till.try_card(&intent, "tok_createDispute").await, 200);
    till.sync(&order).await.expect(200);
    let path = format!("/api/v1/shop/payments/{}/captures", order.payment);
    till.shop.post(&path).by(&staff()).header("Idempotency-Key", "collect-all-of-it").json(&json!({})).await.expect(201);
    let refund = json!({ "amount": { "amount": 100, "currency": "EUR" }, "reason": "goodwill" });
    till.shop.refund(&order.id, "one", refund).await.expect(201);
    let other = till.shop.card_order(1).await;
    let path = format!("/api/v1/shop/payments/{}/actions/cancel", other.payment);
    till.shop.post(&path).by(&staff()).json(&json!({})).await.expect(200);
    till.shop.pass(MINUTE * 2).await;
    let mut names: Vec<String> = till.world.calls().into_iter().map(|call| call.name).collect();
    names.sort();
    names.dedup();
    // Of the calls that our client knows only the search is missing: `lost` makes it.
    let expected = [
        "GET /v1/disputes",
        "GET /v1/events",
        "GET /v1/payment_intents/{intent}",
        "GET /v1/refunds",
        "POST /v1/payment_intents",
        "POST /v1/payment_intents/{intent}/cancel",
        "POST /v1/payment_intents/{intent}/capture",
        "POST /v1/refunds",
    ];
    assert_eq!(names, expected);
}
