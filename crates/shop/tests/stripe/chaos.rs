//! Many buyers, a merchant at the provider's dashboard, and a postman who is not to be relied on: we end in the provider's state (INV-P3).

use serde_json::json;

use crate::relay::Relay;
use crate::support::*;
use crate::till::Till;

const BUYERS: usize = 24;

/// One step of a buyer's story, by the number of the buyer.
async fn step(till: &Till, phase: usize, buyer: usize, order: &Ordered) {
    let intent = till.intent(order).await;
    let card = match (phase, buyer % 6) {
        (0, 0 | 5) | (1, 1) => "tok_visa",
        (0, 1 | 2) => "tok_visa_chargeDeclined",
        (0, 3) => "tok_threeDSecure2Required",
        (0, 4) => "tok_createDispute",
        (1 | 2, 0) => return give_back(till, &intent, 500).await,
        (2, 5) => return give_back(till, &intent, order.total).await,
        (1, 4) => {
            let all = till.world.list("/v1/disputes", &[("payment_intent", &intent)]).await;
            till.world.post(&format!("/v1/disputes/{}/close", all[0]["id"].as_str().unwrap()), &[]).await;
            return;
        }
        _ => return,
    };
    till.try_card(&intent, card).await;
}

/// What the merchant does at the provider's own pages.
async fn give_back(till: &Till, intent: &str, amount: i64) {
    till.world.post("/v1/refunds", &[("payment_intent", intent), ("amount", &amount.to_string())]).await;
}

/// What the provider says of an order: received, given back, and the payment status that follows.
async fn truth(till: &Till, order: &Ordered) -> (i64, i64, &'static str) {
    let intent = till.look_at(&till.intent(order).await).await;
    let id = [("payment_intent", intent["id"].as_str().unwrap())];
    let refunds = till.world.list("/v1/refunds", &id).await;
    let back = refunds.iter().filter_map(|refund| refund["amount"].as_i64()).sum();
    let received = intent["amount_received"].as_i64().unwrap();
    let status = match (received, back) {
        _ if !till.world.list("/v1/disputes", &id).await.is_empty() => "disputed",
        (0, _) => "unpaid",
        (_, 0) => "paid",
        (received, back) if received == back => "refunded",
        _ => "partially_refunded",
    };
    (received, back, status)
}

#[tokio::test]
async fn inv_p3_dropped_repeated_delayed_reordered_and_forged_events_end_in_the_providers_state() {
    let till = Till::open(BUYERS as i64).await;
    let mut relay = Relay::seeded(7);
    let mut orders = Vec::new();
    for _ in 0..BUYERS {
        orders.push(till.shop.card_order(1).await);
    }
    for phase in 0..3 {
        for (buyer, order) in orders.iter().enumerate() {
            step(&till, phase, buyer, order).await;
        }
        relay.round(&till).await;
        till.shop.run_jobs().await;
        till.shop.audit_is_clean().await;
    }
    relay.round(&till).await;
    till.shop.pass(MINUTE * 2).await;
    for order in &orders {
        let (received, back, status) = truth(&till, order).await;
        let ours = till.shop.look(&order.id).await;
        assert_eq!((&ours["captured"]["amount"], &ours["refunded"]["amount"]), (&json!(received), &json!(back)), "{ours}");
        assert_eq!(ours["payment_status"], status, "{ours}");
    }
    let names = till.shop.order_events().await;
    let paid = BUYERS / 6 * 4;
    assert_eq!(names.iter().filter(|name| *name == "shop.order.paid").count(), paid);
    let inbox = till.shop.get("/api/v1/shop/provider-events").query("limit", 100).by(&staff()).await.expect(200);
    assert!(inbox["items"].as_array().unwrap().iter().all(|event| event["event_id"] != "evt_forged"));
    let tally = &relay.tally;
    let all = [tally.delivered, tally.dropped, tally.delayed, tally.repeated, tally.forged];
    assert!(all.iter().all(|count| *count > 4), "{tally:?}");
    till.books_agree().await;
}

#[tokio::test]
async fn inv_p4_an_event_that_overtakes_our_own_answer_is_parked_and_found_later() {
    let till = Till::open(5).await;
    let cart = till.shop.cart(1).await;
    for _ in 0..3 {
        till.world.fail_next("/v1/payment_intents", crate::world::Fault::LoseAnswer);
    }
    check_out(&till.shop, &cart, "stripe", &key(&cart)).await.expect(503);
    // The intent is made, and its events arrive before we know its name.
    let events = till.world.list("/v1/events", &[]).await;
    assert_eq!((events.len(), &events[0]["type"]), (1, &json!("payment_intent.created")));
    crate::relay::genuine(&till, &events[0]).await.expect(204);
    till.shop.run_jobs().await;
    let order = Ordered::of(&check_out(&till.shop, &cart, "stripe", &key(&cart)).await.expect(201));
    till.pay(&order).await;
    Relay::seeded(1).round(&till).await;
    till.shop.pass(MINUTE * 2).await;
    assert_eq!(till.state(&order).await.1, "paid");
    till.books_agree().await;
}
