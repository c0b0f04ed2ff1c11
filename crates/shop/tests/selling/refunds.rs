//! Refunds: never more than was paid, and all of it when all of it (INV-M7, INV-P9).

use serde_json::{Value, json};
use testkit::TestResponse;
use testkit::stripe::{Fault, StripeFake};

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

/// Says what became of an offline refund.
async fn decide(shop: &TestShop, refund: &str, verb: &str) -> TestResponse {
    shop.post(&format!("/api/v1/shop/refunds/{refund}/actions/{verb}")).by(&staff()).json(&json!({})).await
}

/// Units and money of the order's one line that were refunded, and what the order says of its parcels.
async fn line_of(shop: &TestShop, order: &Ordered) -> (i64, i64, String) {
    let order = shop.look(&order.id).await;
    let line = &order["lines"][0];
    let figure = |value: &Value| value.as_i64().expect("a figure");
    (figure(&line["refunded_quantity"]), figure(&line["refunded"]["amount"]), order.text("/fulfilment_status"))
}

#[tokio::test]
async fn inv_m7_the_units_of_a_failed_refund_are_refunded_again_for_what_they_cost_and_no_more() {
    let shop = shop(7).await;
    let order = paid_order(&shop, 3).await;
    let first = shop.refund(&order.id, "first", lines(&order, 2, false)).await.expect(201).text("/id");
    assert_eq!(line_of(&shop, &order).await, (2, 4_998, "unfulfilled".to_owned()));
    let failed = at_once((0..10).map(|_| {
        let request = shop.post(&format!("/api/v1/shop/refunds/{first}/actions/fail")).by(&staff());
        request.json(&json!({}))
    }))
    .await;
    assert_eq!((count(&failed, 200), count(&failed, 409)), (1, 9));
    let names = shop.order_events().await;
    assert_eq!(names.iter().filter(|name| *name == "shop.refund.failed").count(), 1, "{names:?}");
    assert_eq!(line_of(&shop, &order).await, (0, 0, "unfulfilled".to_owned()));
    // What was dropped is sold to others by now: the order holds one unit.
    assert_eq!(shop.shelf().await, (7, 1));
    shop.audit_is_clean().await;
    shop.refund(&order.id, "too-many", lines(&order, 4, false)).await.expect(422).problem("refund_exceeds_line");
    let mut sum = 0;
    for (key, quantity, held) in [("one", 1, 1), ("two", 2, 0)] {
        let refund = shop.refund(&order.id, key, lines(&order, quantity, false)).await.expect(201);
        assert_eq!(refund["amount"]["amount"], quantity * 2_499);
        sum += quantity * 2_499;
        assert_eq!(shop.shelf().await, (7, held));
        decide(&shop, &refund.text("/id"), "confirm").await.expect(200);
        shop.audit_is_clean().await;
    }
    assert_eq!(line_of(&shop, &order).await, (3, sum, "fulfilled".to_owned()));
    shop.refund(&order.id, "more", lines(&order, 1, false)).await.expect(422).problem("refund_exceeds_line");
    assert_eq!(shop.look(&order.id).await["refunded"]["amount"], sum);
    shop.run_jobs().await;
}

#[tokio::test]
async fn inv_m7_a_failed_refund_of_what_had_left_takes_nothing_off_the_shelf_and_puts_nothing_on_it_twice() {
    let shop = shop(7).await;
    let order = paid_order(&shop, 4).await;
    shop.ship(&order.id, &order.line, 3).await.expect(200);
    assert_eq!(shop.shelf().await, (4, 1));
    // One never left, and two of the three that had left come back.
    let first = shop.refund(&order.id, "first", lines(&order, 3, true)).await.expect(201);
    assert_eq!((&first["lines"][0]["returned_quantity"], shop.shelf().await), (&json!(2), (6, 0)));
    decide(&shop, &first.text("/id"), "fail").await.expect(200);
    assert_eq!((line_of(&shop, &order).await.1, shop.shelf().await), (0, (6, 0)));
    shop.audit_is_clean().await;
    // The same three first, without any goods on the way, and failing once more; then everything.
    let second = shop.refund(&order.id, "second", lines(&order, 3, true)).await.expect(201);
    assert_eq!((&second["lines"][0]["returned_quantity"], &second["amount"]["amount"]), (&json!(0), &json!(7_497)));
    decide(&shop, &second.text("/id"), "fail").await.expect(200);
    shop.audit_is_clean().await;
    let all = shop.refund(&order.id, "all", lines(&order, 4, true)).await.expect(201);
    assert_eq!((&all["lines"][0]["returned_quantity"], &all["amount"]["amount"]), (&json!(1), &json!(9_996)));
    assert_eq!((line_of(&shop, &order).await, shop.shelf().await), ((4, 9_996, "returned".to_owned()), (7, 0)));
    decide(&shop, &all.text("/id"), "confirm").await.expect(200);
    shop.audit_is_clean().await;
    shop.run_jobs().await;
}

#[tokio::test]
async fn inv_m7_a_failed_refund_gives_shipping_and_delivered_units_back() {
    let shop = shop(7).await;
    let order = paid_order(&shop, 2).await;
    shop.ship(&order.id, &order.line, 2).await.expect(200);
    let mut body = lines(&order, 2, false);
    body["shipping"] = json!({ "amount": 490, "currency": "EUR" });
    for key in ["one", "two"] {
        let refund = shop.refund(&order.id, key, body.clone()).await.expect(201);
        assert_eq!(refund["amount"]["amount"], order.total);
        decide(&shop, &refund.text("/id"), "fail").await.expect(200);
        assert_eq!(line_of(&shop, &order).await, (0, 0, "fulfilled".to_owned()));
        shop.audit_is_clean().await;
    }
    // The units are the buyer's again, so that they can still come back.
    let back = shop.refund(&order.id, "three", lines(&order, 2, true)).await.expect(201);
    assert_eq!((&back["lines"][0]["returned_quantity"], shop.shelf().await), (&json!(2), (7, 0)));
    shop.audit_is_clean().await;
    shop.run_jobs().await;
}

#[tokio::test]
async fn inv_o1_an_order_that_is_over_has_no_units_to_refund_but_its_money_can_go_back() {
    let shop = shop(5).await;
    let order = paid_order(&shop, 2).await;
    shop.post(&format!("/api/v1/shop/orders/{}/actions/cancel", order.id)).by(&staff()).json(&json!({})).await.expect(200);
    let refunds = shop.get(&format!("/api/v1/shop/orders/{}/refunds", order.id)).by(&staff()).await.expect(200);
    decide(&shop, &refunds.text("/items/0/id"), "fail").await.expect(200);
    let refused = shop.refund(&order.id, "line", lines(&order, 1, true)).await.expect(409).problem("invalid_state");
    assert_eq!((&refused["current_state"], &refused["allowed"]), (&json!("canceled"), &json!(["confirmed", "completed"])));
    let everything = json!({ "amount": { "amount": order.total, "currency": "EUR" }, "reason": "by cheque" });
    let refund = shop.refund(&order.id, "all", everything).await.expect(201).text("/id");
    shop.audit_is_clean().await;
    assert_eq!(shop.look(&order.id).await["attention"], "refund_failed");
    decide(&shop, &refund, "confirm").await.expect(200);
    let settled = shop.look(&order.id).await;
    assert_eq!((&settled["payment_status"], &settled["attention"]), (&json!("refunded"), &json!(null)));
    shop.audit_is_clean().await;
    shop.run_jobs().await;
}

/// An order that was paid by card, with the intent.
async fn paid_by_card(shop: &TestShop, fake: &StripeFake, quantity: i64) -> (Ordered, String) {
    let order = shop.card_order(quantity).await;
    let intent = fake.intent_of(&order.payment)["id"].as_str().expect("an id").to_owned();
    fake.pay(&intent);
    sync(shop, &order).await;
    (order, intent)
}

async fn sync(shop: &TestShop, order: &Ordered) {
    let path = format!("/api/v1/shop/payments/{}/actions/sync", order.payment);
    shop.post(&path).by(&staff()).json(&json!({})).await.expect(200);
}

/// The balance of an account over everything that was booked for an order.
async fn balance(shop: &TestShop, order: &Ordered, account: &str) -> i64 {
    let ledger = shop.get("/api/v1/shop/ledger-entries").query("order_id", &order.id).query("limit", 100).by(&staff()).await.expect(200);
    let rows = ledger["items"].as_array().expect("entries").iter().filter(|row| row["account"] == account);
    rows.filter_map(|row| row["amount"]["amount"].as_i64()).sum()
}

#[tokio::test]
async fn inv_p3_a_refund_that_fails_after_it_had_succeeded_opens_the_money_again() {
    let (shop, fake) = stripe_shop(5).await;
    let (order, intent) = paid_by_card(&shop, &fake, 2).await;
    let refund = shop.refund(&order.id, "one", lines(&order, 1, false)).await.expect(201).text("/id");
    shop.run_jobs().await;
    let before = shop.look(&order.id).await;
    assert_eq!((&before["payment_status"], &before["refunded"]["amount"]), (&json!("partially_refunded"), &json!(2_499)));
    let theirs = fake.refunds_of(&intent)[0]["id"].as_str().unwrap().to_owned();
    fake.settle_refund(&theirs, "failed");
    let event = fake.events().pop().unwrap();
    for _ in 0..2 {
        at_once((0..5).map(|_| deliver(&shop, shop.now().as_secs(), &event))).await;
        shop.run_jobs().await;
        sync(&shop, &order).await;
    }
    let after = shop.look(&order.id).await;
    assert_eq!((&after["payment_status"], &after["refunded"]["amount"]), (&json!("paid"), &json!(0)));
    assert_eq!((&after["attention"], &after["payments"][0]["refunded"]["amount"]), (&json!("refund_failed"), &json!(0)));
    assert_eq!(line_of(&shop, &order).await.0, 0);
    let failed = shop.get(&format!("/api/v1/shop/refunds/{refund}")).by(&staff()).await.expect(200);
    assert_eq!((&failed["state"], &failed["provider_code"]), (&json!("failed"), &json!("expired_or_canceled_card")));
    assert_eq!((balance(&shop, &order, "clearing:stripe").await, balance(&shop, &order, "customer").await), (order.total, -order.total));
    let names = shop.order_events().await;
    assert_eq!(names.iter().filter(|name| *name == "shop.refund.failed").count(), 1, "{names:?}");
    shop.audit_is_clean().await;
    // The same unit can be refunded again, and then nobody needs to look any more.
    shop.refund(&order.id, "again", lines(&order, 1, false)).await.expect(201);
    shop.run_jobs().await;
    let again = shop.look(&order.id).await;
    assert_eq!((&again["payment_status"], &again["attention"]), (&json!("partially_refunded"), &json!(null)));
    assert_eq!(balance(&shop, &order, "clearing:stripe").await, order.total - 2_499);
    shop.audit_is_clean().await;
    // What failed stays failed, whatever an old event says.
    deliver(&shop, shop.now().as_secs(), &event).await.expect(204);
    shop.pass(MINUTE * 2).await;
    assert_eq!(shop.look(&order.id).await["refunded"]["amount"], 2_499);
}

#[tokio::test]
async fn inv_p3_a_refund_from_the_providers_pages_is_booked_when_a_failed_one_makes_room() {
    let (shop, fake) = stripe_shop(5).await;
    let (order, intent) = paid_by_card(&shop, &fake, 1).await;
    fake.refund(&intent, order.total);
    sync(&shop, &order).await;
    assert_eq!(shop.look(&order.id).await["payment_status"], "refunded");
    // The first one fails and a second one is made before we hear of either.
    let first = fake.refunds_of(&intent)[0]["id"].as_str().unwrap().to_owned();
    fake.settle_refund(&first, "failed");
    fake.refund(&intent, order.total - 100);
    sync(&shop, &order).await;
    let now = shop.look(&order.id).await;
    assert_eq!((&now["payment_status"], &now["refunded"]["amount"]), (&json!("partially_refunded"), &json!(order.total - 100)));
    assert_eq!(balance(&shop, &order, "clearing:stripe").await, 100);
    shop.audit_is_clean().await;
    shop.run_jobs().await;
}

#[tokio::test]
async fn inv_p9_a_refund_that_its_provider_refuses_makes_room_for_the_one_that_was_faster() {
    let (shop, fake) = stripe_shop(5).await;
    let (order, intent) = paid_by_card(&shop, &fake, 1).await;
    let everything = json!({ "amount": { "amount": order.total, "currency": "EUR" }, "reason": "all" });
    let ours = shop.refund(&order.id, "all", everything).await.expect(201).text("/id");
    // Somebody is faster in the provider's own pages.
    fake.refund(&intent, order.total);
    shop.run_jobs().await;
    let failed = shop.get(&format!("/api/v1/shop/refunds/{ours}")).by(&staff()).await.expect(200);
    assert_eq!((&failed["state"], &failed["provider_code"]), (&json!("failed"), &json!("charge_already_refunded")));
    let now = shop.look(&order.id).await;
    assert_eq!((&now["payment_status"], &now["attention"]), (&json!("refunded"), &json!(null)));
    shop.audit_is_clean().await;
}

#[tokio::test]
async fn inv_p9_after_a_refused_refund_the_recovery_asks_when_the_provider_is_away() {
    let (shop, fake) = stripe_shop(5).await;
    let (order, intent) = paid_by_card(&shop, &fake, 1).await;
    let everything = json!({ "amount": { "amount": order.total, "currency": "EUR" }, "reason": "all" });
    shop.refund(&order.id, "all", everything).await.expect(201);
    fake.refund(&intent, order.total);
    fake.forget_events();
    // Refused, and then the provider cannot be asked: each call is sent three times.
    for _ in 0..3 {
        fake.fail_next("/v1/payment_intents/", Fault::Refuse(500));
    }
    shop.run_jobs().await;
    assert_eq!(shop.look(&order.id).await["payment_status"], "paid");
    shop.pass(MINUTE * 2).await;
    assert_eq!(shop.look(&order.id).await["payment_status"], "refunded");
    shop.audit_is_clean().await;
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
