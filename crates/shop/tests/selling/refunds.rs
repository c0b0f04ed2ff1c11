//! Refunds: never more than was paid, and all of it when all of it (INV-M7, INV-P9).

use serde_json::{Value, json};

use crate::support::*;

fn lines(order: &Ordered, quantity: i64, restock: bool) -> Value {
    json!({ "lines": [{ "line_id": order.line, "quantity": quantity }], "reason": "came broken", "restock": restock })
}

async fn paid_order(shop: &TestShop, quantity: i64) -> Ordered {
    let order = shop.order(quantity).await;
    shop.confirm(&order.payment).await.expect(200);
    order
}

#[tokio::test]
async fn inv_m7_refunds_of_everything_come_to_exactly_what_was_paid() {
    let shop = shop(7).await;
    let order = paid_order(&shop, 7).await;
    let mut sum = 0;
    for (index, quantity) in [1, 3, 1, 2].into_iter().enumerate() {
        let refund = shop.refund(&order.id, &format!("part-{index}"), lines(&order, quantity, false)).await.expect(201);
        assert_eq!(refund["state"], "requested");
        sum += refund["amount"]["amount"].as_i64().unwrap();
        shop.post(&format!("/api/v1/shop/refunds/{}/actions/confirm", refund.text("/id"))).by(&staff()).json(&json!({})).await.expect(200);
    }
    let shipping = json!({ "shipping": { "amount": 490, "currency": "EUR" }, "reason": "late" });
    let refund = shop.refund(&order.id, "shipping", shipping).await.expect(201);
    sum += refund["amount"]["amount"].as_i64().unwrap();
    let done = shop.post(&format!("/api/v1/shop/refunds/{}/actions/confirm", refund.text("/id"))).by(&staff()).json(&json!({})).await;
    assert_eq!((&done["state"], sum), (&json!("succeeded"), order.total));
    let order = shop.look(&order.id).await;
    assert_eq!((&order["payment_status"], &order["refunded"]["amount"]), (&json!("refunded"), &json!(sum)));
    // Nothing had left: nothing is held any more, and everything can be sold.
    assert_eq!(shop.shelf().await, (7, 0));
    shop.audit_is_clean().await;
    shop.run_jobs().await;
}

#[tokio::test]
async fn inv_p9_twenty_refunds_at_once_never_give_back_more_than_was_paid() {
    let shop = shop(5).await;
    let order = paid_order(&shop, 1).await;
    let body = json!({ "amount": { "amount": 1_000, "currency": "EUR" }, "reason": "goodwill" });
    let requests = (0..20).map(|n| {
        let request = shop.post(&format!("/api/v1/shop/orders/{}/refunds", order.id)).by(&staff());
        request.header("Idempotency-Key", &format!("goodwill-{n}")).json(&body)
    });
    let answers = at_once(requests).await;
    assert_eq!((count(&answers, 201), count(&answers, 409)), (2, 18));
    let refused = answers.into_iter().find(|answer| answer.status == 409).unwrap().problem("refund_exceeds_captured");
    assert!(refused["refundable"]["amount"].is_i64());
    shop.audit_is_clean().await;
    shop.run_jobs().await;
}

#[tokio::test]
async fn a_refund_is_made_once_per_key() {
    let shop = shop(5).await;
    let order = paid_order(&shop, 2).await;
    let first = shop.refund(&order.id, "one", lines(&order, 1, false)).await.expect(201);
    let again = shop.refund(&order.id, "one", lines(&order, 1, false)).await.expect(201);
    assert_eq!(first.bytes, again.bytes);
    shop.refund(&order.id, "one", lines(&order, 2, false)).await.expect(422).problem("idempotency_key_reused");
    let path = format!("/api/v1/shop/orders/{}/refunds", order.id);
    shop.post(&path).by(&staff()).json(&lines(&order, 1, false)).await.expect(400).problem("idempotency_key_required");
    assert_eq!(shop.get(&path).by(&staff()).await.expect(200)["items"].as_array().unwrap().len(), 1);
    shop.run_jobs().await;
}

#[tokio::test]
async fn inv_s8_what_comes_back_goes_back_on_the_shelf_once() {
    let shop = shop(5).await;
    let order = paid_order(&shop, 3).await;
    shop.ship(&order.id, &order.line, 2).await.expect(200);
    assert_eq!(shop.shelf().await, (3, 1));
    // One unit never left, so it comes off first; the second had left and comes back.
    let refund = shop.refund(&order.id, "two", lines(&order, 2, true)).await.expect(201);
    assert_eq!(refund["lines"][0]["returned_quantity"], 1);
    assert_eq!(shop.shelf().await, (4, 0));
    assert_eq!(shop.look(&order.id).await["fulfilment_status"], "partially_returned");
    shop.refund(&order.id, "three", lines(&order, 1, true)).await.expect(201);
    assert_eq!(shop.shelf().await, (5, 0));
    assert_eq!(shop.look(&order.id).await["fulfilment_status"], "returned");
    shop.audit_is_clean().await;
    shop.run_jobs().await;
}

#[tokio::test]
async fn inv_p9_a_refund_that_fails_gives_its_claim_back() {
    let shop = shop(5).await;
    let order = paid_order(&shop, 1).await;
    let everything = json!({ "amount": { "amount": order.total, "currency": "EUR" }, "reason": "all" });
    let refund = shop.refund(&order.id, "all", everything.clone()).await.expect(201).text("/id");
    shop.refund(&order.id, "again", everything.clone()).await.expect(409).problem("refund_exceeds_captured");
    let failed = shop.post(&format!("/api/v1/shop/refunds/{refund}/actions/fail")).by(&staff()).json(&json!({})).await.expect(200);
    assert_eq!(failed["state"], "failed");
    shop.post(&format!("/api/v1/shop/refunds/{refund}/actions/confirm"))
        .by(&staff())
        .json(&json!({}))
        .await
        .expect(409)
        .problem("invalid_state");
    shop.refund(&order.id, "third", everything).await.expect(201);
    assert!(shop.order_events().await.contains(&"shop.refund.failed".to_owned()));
    shop.audit_is_clean().await;
    shop.run_jobs().await;
}

#[tokio::test]
async fn what_cannot_be_refunded_is_refused_with_a_pointer() {
    let shop = shop(5).await;
    let order = paid_order(&shop, 2).await;
    shop.refund(&order.id, "a", lines(&order, 3, false))
        .await
        .expect(422)
        .problem("refund_exceeds_line")
        .field("/lines/0/quantity", "out_of_range");
    let stranger = json!({ "lines": [{ "line_id": order.id, "quantity": 1 }], "reason": "x" });
    shop.refund(&order.id, "b", stranger).await.expect(422).field("/lines/0/line_id", "unknown_reference");
    let dollars = json!({ "amount": { "amount": 1, "currency": "USD" }, "reason": "x" });
    shop.refund(&order.id, "c", dollars).await.expect(422).field("/amount/currency", "not_allowed");
    let shipping = json!({ "shipping": { "amount": 491, "currency": "EUR" }, "reason": "x" });
    shop.refund(&order.id, "d", shipping).await.expect(422).problem("refund_exceeds_line");
    shop.refund(&order.id, "e", json!({ "reason": "x" })).await.expect(422).field("/lines", "required");
    let unpaid = shop.order(1).await;
    shop.refund(&unpaid.id, "f", lines(&unpaid, 1, false)).await.expect(409).problem("refund_exceeds_captured");
    shop.run_jobs().await;
}

#[tokio::test]
async fn inv_p9_stripe_refunds_once_also_when_its_answer_is_lost() {
    let (shop, fake) = stripe_shop(5).await;
    let order = shop.card_order(2).await;
    fake.pay(fake.intent_of(&order.payment)["id"].as_str().unwrap());
    let sync = format!("/api/v1/shop/payments/{}/actions/sync", order.payment);
    shop.post(&sync).by(&staff()).json(&json!({})).await.expect(200);
    for _ in 0..3 {
        fake.fail_next("/v1/refunds", testkit::stripe::Fault::LoseAnswer);
    }
    let refund = shop.refund(&order.id, "one", lines(&order, 1, false)).await.expect(201);
    shop.run_jobs().await;
    shop.pass(MINUTE * 5).await;
    assert!(shop.order_events().await.contains(&"shop.refund.requested".to_owned()));
    let done = shop.get(&format!("/api/v1/shop/refunds/{}", refund.text("/id"))).by(&staff()).await.expect(200);
    assert_eq!((&done["state"], fake.refunds().len()), (&json!("succeeded"), 1), "{done}");
    assert_eq!(shop.look(&order.id).await["payment_status"], "partially_refunded");
    shop.audit_is_clean().await;
}
