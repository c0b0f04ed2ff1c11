//! Webhooks that somebody else signs and delivers to our own port: localstripe.
//!
//! It knows no idempotency keys and lists no refunds of what was not paid, and it speaks an older version: what an intent received
//! is told by its charge alone. It is one account with one list of endpoints, so that its tests take turns.

use std::time::Duration;

use kernel::Clock;
use serde_json::{Value, json};
use tokio::sync::{Mutex, MutexGuard};

use crate::support::*;
use crate::till::Till;
use crate::world::World;

static TURN: Mutex<()> = Mutex::const_new(());

/// What newer versions say of an intent.
fn translate(intent: &mut Value) {
    let amount = intent["amount"].clone();
    if intent["object"] == "payment_intent" {
        let (received, capturable) = match intent["status"].as_str() {
            Some("succeeded") => (amount, json!(0)),
            Some("requires_capture") => (json!(0), amount),
            _ => (json!(0), json!(0)),
        };
        intent["amount_received"] = received;
        intent["amount_capturable"] = capturable;
    }
}

/// A shop whose clock shows the time, because localstripe's does, and which localstripe tells what happens.
async fn open() -> (Till, MutexGuard<'static, ()>) {
    let turn = TURN.lock().await;
    let world = World::localstripe(translate).await;
    // Whatever we know we were told: nothing is polled.
    world.refuse_all(Some("/v1/events"));
    let till = Till::at(world, 5, &[]).await;
    let now = Clock::system().now();
    assert!(now > till.shop.now(), "this machine's clock is wrong: it shows {now}");
    till.shop.advance(now.since(till.shop.now()));
    till.shop.run_jobs().await;
    let endpoint = till.shop.url("/api/v1/shop/provider-events/stripe");
    let (status, _) = till.world.try_post("/_config/webhooks/ours", &[("url", &endpoint), ("secret", WEBHOOK_SECRET)]).await;
    assert_eq!(status, 200);
    (till, turn)
}

/// An order that waits for a card, and its intent: localstripe does not know automatic payment methods.
async fn order(till: &Till) -> (Ordered, String) {
    let cart = till.shop.cart(1).await;
    let order = Ordered::of(&check_out(&till.shop, &cart, "stripe:card", &key(&cart)).await.expect(201));
    let intent = till.intent(&order).await;
    (order, intent)
}

/// What the buyer's browser does. Tells the status of the answer.
async fn try_card(till: &Till, intent: &str, number: &str) -> u16 {
    let card = [("type", "card"), ("card[number]", number), ("card[exp_month]", "12"), ("card[exp_year]", "2040"), ("card[cvc]", "123")];
    let method = till.world.post("/v1/payment_methods", &card).await;
    let path = format!("/v1/payment_intents/{intent}");
    till.world.post(&path, &[("payment_method", method["id"].as_str().unwrap())]).await;
    till.world.try_post(&format!("{path}/confirm"), &[]).await.0
}

/// Waits until an event of this kind about this intent has been delivered, and works on it.
async fn told_of(till: &Till, kind: &str, intent: &str) {
    for _ in 0..300 {
        let inbox = till.shop.get("/api/v1/shop/provider-events").by(&staff()).await.expect(200);
        if inbox["items"].as_array().unwrap().iter().any(|event| event["kind"] == kind && event["reference"] == intent) {
            return till.shop.run_jobs().await;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("localstripe delivers no {kind}");
}

#[tokio::test]
async fn inv_p1_a_webhook_that_localstripe_signs_and_delivers_pays_the_order() {
    let (till, _turn) = open().await;
    let (order, intent) = order(&till).await;
    assert_eq!(till.state(&order).await.1, "unpaid");
    assert_eq!(try_card(&till, &intent, "4242424242424242").await, 200);
    told_of(&till, "payment_intent.succeeded", &intent).await;
    assert_eq!(till.state(&order).await, ("confirmed".to_owned(), "paid".to_owned()));
    assert_eq!(till.shop.order_events().await.iter().filter(|name| *name == "shop.order.paid").count(), 1);
    let refund = json!({ "amount": { "amount": 1_000, "currency": "EUR" }, "reason": "goodwill" });
    till.shop.refund(&order.id, "a-part", refund).await.expect(201);
    till.shop.run_jobs().await;
    assert_eq!(till.state(&order).await.1, "partially_refunded");
    let rest = json!({ "amount": { "amount": order.total - 1_000, "currency": "EUR" }, "reason": "all of it" });
    till.shop.refund(&order.id, "the-rest", rest).await.expect(201);
    till.shop.run_jobs().await;
    assert_eq!(till.state(&order).await.1, "refunded");
    let refunds = till.world.list("/v1/refunds", &[("payment_intent", &intent)]).await;
    assert_eq!(refunds.iter().filter_map(|refund| refund["amount"].as_i64()).sum::<i64>(), order.total);
    till.shop.audit_is_clean().await;
    till.shop.run_jobs().await;
}

#[tokio::test]
async fn inv_p3_a_declined_card_is_told_by_webhook_and_another_one_pays() {
    let (till, _turn) = open().await;
    let (order, intent) = order(&till).await;
    assert_eq!(try_card(&till, &intent, "4000000000000341").await, 402);
    told_of(&till, "payment_intent.payment_failed", &intent).await;
    let seen = till.shop.look(&order.id).await;
    assert_eq!((&seen["status"], &seen["payments"][0]["provider_code"]), (&json!("pending"), &json!("card_declined")));
    // localstripe lets an intent be confirmed once: the buyer begins again.
    let again = till.shop.post(&format!("/api/v1/shop/orders/{}/payments", order.id)).header("Order-Secret", &order.secret);
    let again =
        again.header("Idempotency-Key", "another-try-with-a-card").json(&json!({ "payment_method": "stripe:card" })).await.expect(201);
    let second = till.intents_of(&again.text("/id")).await[0]["id"].as_str().unwrap().to_owned();
    assert_eq!(till.look_at(&intent).await["status"], "canceled");
    assert_eq!(try_card(&till, &second, "4242424242424242").await, 200);
    told_of(&till, "payment_intent.succeeded", &second).await;
    assert_eq!(till.state(&order).await.1, "paid");
    till.shop.audit_is_clean().await;
    till.shop.run_jobs().await;
}

#[tokio::test]
async fn inv_p3_3d_secure_passed_pays_the_order_and_failed_does_not() {
    let (till, _turn) = open().await;
    let (order, intent) = order(&till).await;
    assert_eq!(try_card(&till, &intent, "4000002500003155").await, 200);
    let secret = till.look_at(&intent).await["client_secret"].as_str().unwrap().to_owned();
    let path = format!("/v1/payment_intents/{intent}/_authenticate");
    till.world.post(&path, &[("client_secret", &secret), ("success", "false")]).await;
    assert_eq!(till.sync(&order).await.expect(200)["state"], "pending");
    assert_eq!(till.shop.look(&order.id).await["payments"][0]["provider_code"], "payment_intent_authentication_failure");
    assert_eq!(try_card(&till, &intent, "4000002500003155").await, 200);
    assert_eq!(till.sync(&order).await.expect(200)["state"], "pending");
    till.world.post(&path, &[("client_secret", &secret), ("success", "true")]).await;
    told_of(&till, "payment_intent.succeeded", &intent).await;
    assert_eq!(till.state(&order).await, ("confirmed".to_owned(), "paid".to_owned()));
    till.shop.audit_is_clean().await;
    till.shop.run_jobs().await;
}

#[tokio::test]
async fn inv_p1_what_localstripe_delivers_is_refused_with_another_secret() {
    let (till, _turn) = open().await;
    let (order, intent) = order(&till).await;
    let endpoint = till.shop.url("/api/v1/shop/provider-events/stripe");
    till.world.try_post("/_config/webhooks/ours", &[("url", &endpoint), ("secret", "whsec_of_a_stranger")]).await;
    assert_eq!(try_card(&till, &intent, "4242424242424242").await, 200);
    // A second endpoint with the right secret shows that the delivery of the first has been tried: they are told in this order.
    till.world.try_post("/_config/webhooks/theirs", &[("url", &endpoint), ("secret", WEBHOOK_SECRET)]).await;
    told_of(&till, "payment_intent.succeeded", &intent).await;
    let inbox = till.shop.get("/api/v1/shop/provider-events").by(&staff()).await.expect(200);
    assert_eq!(inbox["items"].as_array().unwrap().len(), 1);
    assert_eq!(till.state(&order).await.1, "paid");
    till.shop.run_jobs().await;
}
