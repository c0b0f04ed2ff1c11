//! Money that goes back, at seahaven-stripe-world: in parts, never too much, once (INV-M7, INV-P9).

use serde_json::{Value, json};

use crate::support::*;
use crate::till::Till;
use crate::world::Fault;

/// So many units of the one line.
fn units(order: &Ordered, quantity: i64) -> Value {
    json!({ "lines": [{ "line_id": order.line, "quantity": quantity }], "reason": "did not fit" })
}

fn money(amount: i64) -> Value {
    json!({ "amount": { "amount": amount, "currency": "EUR" }, "reason": "goodwill" })
}

async fn refund_state(till: &Till, refund: &str) -> Value {
    till.shop.get(&format!("/api/v1/shop/refunds/{refund}")).by(&staff()).await.expect(200)["state"].clone()
}

/// What the provider has given back of an order.
async fn given_back(till: &Till, order: &Ordered) -> Vec<i64> {
    let intent = till.intent(order).await;
    let all = till.world.list("/v1/refunds", &[("payment_intent", &intent)]).await;
    all.iter().rev().filter_map(|refund| refund["amount"].as_i64()).collect()
}

#[tokio::test]
async fn inv_m7_a_part_and_then_the_rest_come_to_exactly_what_was_paid() {
    let till = Till::open(5).await;
    let order = till.paid(2).await;
    let first = till.shop.refund(&order.id, "a-part", units(&order, 1)).await.expect(201);
    till.shop.run_jobs().await;
    assert_eq!(refund_state(&till, &first.text("/id")).await, "succeeded");
    assert_eq!(till.state(&order).await.1, "partially_refunded");
    till.books_agree().await;
    till.shop.refund(&order.id, "another-unit", units(&order, 1)).await.expect(201);
    let shipping = json!({ "shipping": { "amount": 490, "currency": "EUR" }, "reason": "all of it" });
    till.shop.refund(&order.id, "and-the-parcel", shipping).await.expect(201);
    till.shop.run_jobs().await;
    assert_eq!(given_back(&till, &order).await.iter().sum::<i64>(), order.total);
    assert_eq!(till.state(&order).await.1, "refunded");
    assert_eq!(till.booked("clearing:stripe").await, 0);
    till.books_agree().await;
}

#[tokio::test]
async fn inv_p9_more_than_was_paid_never_reaches_the_provider() {
    let till = Till::open(5).await;
    let order = till.paid(1).await;
    till.shop.refund(&order.id, "too-much", money(order.total + 1)).await.expect(409).problem("refund_exceeds_captured");
    let asked = at_once((0..8).map(|n| {
        let path = format!("/api/v1/shop/orders/{}/refunds", order.id);
        till.shop.post(&path).by(&staff()).header("Idempotency-Key", &format!("goodwill-{n}")).json(&money(order.total))
    }));
    let answers = asked.await;
    assert_eq!((count(&answers, 201), count(&answers, 409)), (1, 7));
    till.shop.run_jobs().await;
    assert_eq!((given_back(&till, &order).await, till.world.count("POST /v1/refunds")), (vec![order.total], 1));
    till.books_agree().await;
}

#[tokio::test]
async fn inv_p9_a_refund_that_the_dashboard_has_overtaken_is_refused_there_and_gives_its_claim_back() {
    let till = Till::open(5).await;
    let order = till.paid(1).await;
    let intent = till.intent(&order).await;
    till.world.post("/v1/refunds", &[("payment_intent", &intent), ("amount", "1000")]).await;
    // We do not know of it yet, and ask for everything.
    let refused = till.shop.refund(&order.id, "everything", money(order.total)).await.expect(201).text("/id");
    till.shop.run_jobs().await;
    assert_eq!((refund_state(&till, &refused).await, given_back(&till, &order).await), (json!("failed"), vec![1_000]));
    till.shop.pass(MINUTE * 2).await;
    let known = till.shop.look(&order.id).await;
    assert_eq!((&known["payment_status"], &known["refunded"]["amount"]), (&json!("partially_refunded"), &json!(1_000)));
    till.shop.refund(&order.id, "the-rest", money(order.total - 1_000)).await.expect(201);
    till.shop.run_jobs().await;
    assert_eq!((till.state(&order).await.1.as_str(), given_back(&till, &order).await.len()), ("refunded", 2));
    till.books_agree().await;
}

#[tokio::test]
async fn inv_p9_a_refund_whose_answers_are_lost_is_made_once() {
    let till = Till::open(5).await;
    let order = till.paid(1).await;
    for _ in 0..3 {
        till.world.fail_next("/v1/refunds", Fault::LoseAnswer);
    }
    let refund = till.shop.refund(&order.id, "once", money(1_000)).await.expect(201).text("/id");
    till.shop.run_jobs().await;
    till.shop.pass(MINUTE * 5).await;
    assert_eq!((refund_state(&till, &refund).await, given_back(&till, &order).await), (json!("succeeded"), vec![1_000]));
    let calls = till.world.calls();
    let mut keys: Vec<&str> = calls.iter().filter(|call| call.name == "POST /v1/refunds").map(|call| call.key.as_str()).collect();
    assert!(keys.len() >= 3, "{keys:?}");
    keys.dedup();
    assert_eq!(keys.len(), 1, "a retry has the key of its first try");
    till.books_agree().await;
}
