//! Events of providers: signed, durable, in any order, twice, late or never (INV-P1 to INV-P5).

use std::sync::Arc;

use kernel::Random;
use serde_json::{Value, json};
use testkit::stripe::StripeFake;

use crate::support::*;

const NOON: i64 = 1_795_348_800;

#[tokio::test]
async fn inv_p1_what_is_not_signed_by_the_provider_changes_nothing() {
    let (shop, fake) = stripe_shop(5).await;
    let order = shop.card_order(1).await;
    fake.pay(fake.intent_of(&order.payment)["id"].as_str().unwrap());
    let event = fake.events().pop().unwrap();
    let (good, body) = StripeFake::signed(WEBHOOK_SECRET, NOON, &event);
    let (stranger, _) = StripeFake::signed("whsec_other", NOON, &event);
    let (late, _) = StripeFake::signed(WEBHOOK_SECRET, NOON - 301, &event);
    let (early, _) = StripeFake::signed(WEBHOOK_SECRET, NOON + 301, &event);
    let send = |header: &str, body: Vec<u8>| {
        shop.post("/api/v1/shop/provider-events/stripe").header("Stripe-Signature", header).body("application/json", body)
    };
    for header in [&stranger, &late, &early, &good[..20], &format!("t=1,{good}"), "", "v1=00"] {
        send(header, body.clone()).await.expect(400).problem("signature_invalid");
    }
    let mut changed = body.clone();
    changed[10] ^= 1;
    send(&good, changed).await.expect(400).problem("signature_invalid");
    let mut live = event.clone();
    live["livemode"] = json!(true);
    deliver(&shop, NOON, &live).await.expect(400).problem("signature_invalid");
    deliver(&shop, NOON, &json!([1])).await.expect(400).problem("signature_invalid");
    let unsigned = shop.post("/api/v1/shop/provider-events/stripe").body("application/json", body.clone());
    unsigned.await.expect(400).problem("signature_invalid");
    for provider in ["offline", "paypal"] {
        shop.post(&format!("/api/v1/shop/provider-events/{provider}")).body("application/json", body.clone()).await.expect(404);
    }
    let huge = vec![b' '; 600 * 1024];
    send(&good, huge).await.expect(413);
    shop.run_jobs().await;
    let inbox = shop.get("/api/v1/shop/provider-events").by(&staff()).await.expect(200);
    assert_eq!((inbox["items"].clone(), shop.look(&order.id).await["status"].clone()), (json!([]), json!("pending")));
}

#[tokio::test]
async fn inv_p2_thirty_deliveries_of_one_event_have_one_effect() {
    let (shop, fake) = stripe_shop(5).await;
    let order = shop.card_order(1).await;
    fake.pay(fake.intent_of(&order.payment)["id"].as_str().unwrap());
    let event = fake.events().pop().unwrap();
    let answers = at_once((0..30).map(|_| deliver(&shop, NOON, &event))).await;
    assert_eq!(count(&answers, 204), 30);
    shop.run_jobs().await;
    let inbox = shop.get("/api/v1/shop/provider-events").query("state", "processed").by(&staff()).await.expect(200);
    assert_eq!(inbox["items"].as_array().unwrap().len(), 1);
    assert_eq!((&inbox["items"][0]["kind"], &inbox["items"][0]["attempt_count"]), (&json!("payment_intent.succeeded"), &json!(1)));
    let path = format!("/api/v1/shop/provider-events/{}/actions/process", inbox.text("/items/0/id"));
    shop.post(&path).by(&staff()).json(&json!({})).await.expect(200);
    let names = shop.order_events().await;
    assert_eq!(names.iter().filter(|name| *name == "shop.order.paid").count(), 1, "{names:?}");
    assert_eq!(shop.look(&order.id).await["payment_status"], "paid");
    shop.audit_is_clean().await;
}

#[tokio::test]
async fn inv_p4_an_event_about_an_unknown_intent_is_parked_and_at_last_ignored() {
    let (shop, _fake) = stripe_shop(5).await;
    let event = json!({ "id": "evt_unknown", "type": "payment_intent.succeeded", "created": NOON, "livemode": false, "data": { "object": { "id": "pi_unknown" } } });
    deliver(&shop, NOON, &event).await.expect(204);
    shop.run_jobs().await;
    let state = |answer: testkit::TestResponse| answer["items"][0]["state"].clone();
    assert_eq!(state(shop.get("/api/v1/shop/provider-events").by(&staff()).await.expect(200)), "parked");
    for _ in 0..12 {
        shop.pass(MINUTE * 60 * 6).await;
    }
    assert_eq!(state(shop.get("/api/v1/shop/provider-events").by(&staff()).await.expect(200)), "ignored");
    // One that is about nothing of ours is done with at once.
    let event = json!({ "id": "evt_other", "type": "customer.created", "created": NOON, "livemode": false, "data": { "object": { "id": "cus_1" } } });
    deliver(&shop, shop.now().as_secs(), &event).await.expect(204);
    shop.run_jobs().await;
    assert_eq!(state(shop.get("/api/v1/shop/provider-events").by(&staff()).await.expect(200)), "ignored");
}

#[tokio::test]
async fn inv_p5_without_webhooks_every_order_still_settles() {
    let (shop, fake) = stripe_shop(50).await;
    let mut orders = Vec::new();
    for _ in 0..6 {
        orders.push(shop.card_order(1).await);
    }
    for order in &orders {
        fake.pay(fake.intent_of(&order.payment)["id"].as_str().unwrap());
    }
    shop.pass(MINUTE * 2).await;
    for order in &orders {
        assert_eq!(shop.look(&order.id).await["payment_status"], "paid");
    }
    shop.audit_is_clean().await;
}

#[tokio::test]
async fn inv_p5_an_intent_whose_events_are_lost_is_looked_at_after_five_minutes() {
    let (shop, fake) = stripe_shop(5).await;
    let order = shop.card_order(1).await;
    let intent = fake.intent_of(&order.payment)["id"].as_str().unwrap().to_owned();
    fake.pay(&intent);
    fake.forget_events();
    shop.pass(MINUTE * 6).await;
    assert_eq!(shop.look(&order.id).await["payment_status"], "paid");
    shop.audit_is_clean().await;
}

#[tokio::test]
async fn inv_p5_more_events_than_one_poll_reads_are_read_by_the_next_ones() {
    let (shop, fake) = stripe_shop(5).await;
    let order = shop.card_order(1).await;
    let intent = fake.intent_of(&order.payment)["id"].as_str().unwrap().to_owned();
    fake.pay(&intent);
    shop.post(&format!("/api/v1/shop/payments/{}/actions/sync", order.payment)).by(&staff()).json(&json!({})).await.expect(200);
    shop.run_jobs().await;
    // Nobody looks at a captured payment by himself: only the event tells, and it stands behind thousands of others.
    fake.dispute(&intent, "needs_response");
    fake.make_noise(5_100);
    let calls = || fake.calls().iter().filter(|call| *call == "GET /v1/events").count();
    let mut most = 0;
    for _ in 0..5 {
        let before = calls();
        shop.pass(MINUTE).await;
        most = most.max(calls() - before);
    }
    assert_eq!(shop.look(&order.id).await["payment_status"], "disputed");
    assert!(most <= 20, "{most} pages in one poll");
    let inbox = shop.get("/api/v1/shop/provider-events").query("limit", 100).by(&staff()).await.expect(200);
    assert!(inbox["items"].as_array().unwrap().iter().all(|event| event["kind"] != "customer.created"), "{inbox}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn inv_p3_news_that_are_overtaken_on_their_way_are_asked_for_again() {
    let (shop, fake) = stripe_shop(5).await;
    let fake = Arc::new(fake);
    let order = shop.card_order(1).await;
    let intent = fake.intent_of(&order.payment)["id"].as_str().unwrap().to_owned();
    let sync = || shop.post(&format!("/api/v1/shop/payments/{}/actions/sync", order.payment)).by(&staff()).json(&json!({}));
    fake.pay(&intent);
    sync().await.expect(200);
    fake.dispute(&intent, "needs_response");
    let (world, app, mut answers) = (fake.clone(), shop.kernel().clone(), 0);
    fake.on_read(move |path| {
        answers += i32::from(path == "/v1/disputes");
        if path == "/v1/disputes" && answers == 1 {
            // The bank decides, and somebody else has noted so, before this answer arrives.
            world.dispute(&intent, "won");
            behind_its_back(&app, "UPDATE shop_payments SET version = version + 1");
        }
    });
    assert_eq!(sync().await.expect(200)["is_disputed"], false);
    let order = shop.look(&order.id).await;
    assert_eq!((&order["payment_status"], &order["attention"]), (&json!("paid"), &json!(null)));
    shop.run_jobs().await;
    shop.audit_is_clean().await;
}

/// One step of a buyer's or merchant's story at the provider.
fn step(fake: &StripeFake, intent: &str, phase: usize, story: u32) {
    let last_refund = || fake.refunds_of(intent).pop().and_then(|refund| Some(refund["id"].as_str()?.to_owned())).expect("a refund");
    match (phase, story % 6) {
        (0, 0 | 1) => fake.decline(intent, "insufficient_funds"),
        (0, _) => {}
        (1, 3) => fake.decline(intent, "expired_card"),
        (1, _) => fake.pay(intent),
        (2, 0 | 4) => fake.refund(intent, 100),
        (2, 1) => fake.dispute(intent, "needs_response"),
        (2, 3) => fake.pay(intent),
        (2, 5) => fake.refund(intent, 2_000),
        (2, _) => {}
        (_, 0) => fake.refund(intent, 200),
        (_, 1) => fake.dispute(intent, "won"),
        // What had gone back comes again; of one of them another part goes back after all, for which there was no room before.
        (_, 4) => fake.settle_refund(&last_refund(), "failed"),
        (_, 5) => {
            fake.settle_refund(&last_refund(), "failed");
            fake.refund(intent, 2_500);
        }
        (..) => {}
    }
}

#[tokio::test]
async fn inv_p3_a_thousand_permutations_of_events_end_in_the_providers_state() {
    const ORDERS: usize = 250;
    let (shop, fake) = stripe_shop(ORDERS as i64).await;
    let random = Random::seeded(7);
    let mut orders = Vec::new();
    for batch in 0..ORDERS / 25 {
        let some = (0..25).map(|_| shop.card_order(1));
        orders.extend(futures_util::future::join_all(some).await);
        assert_eq!(orders.len(), (batch + 1) * 25);
    }
    let intents: Vec<String> = orders.iter().map(|order| fake.intent_of(&order.payment)["id"].as_str().unwrap().to_owned()).collect();
    for phase in 0..4 {
        for (number, intent) in intents.iter().enumerate() {
            step(&fake, intent, phase, number as u32);
        }
        // Of each intent everything so far, in an order of its own, some of it twice and some of it never.
        let mut pile: Vec<(u32, Value)> = Vec::new();
        for event in fake.events() {
            for _ in 0..random.below(3) {
                pile.push((random.below(u32::MAX), event.clone()));
            }
        }
        pile.sort_by_key(|(place, _)| *place);
        for some in pile.chunks(50) {
            let answers = at_once(some.iter().map(|(_, event)| deliver(&shop, NOON, event))).await;
            assert_eq!(count(&answers, 204), some.len());
        }
        shop.run_jobs().await;
    }
    shop.pass(MINUTE * 2).await;
    for (order, intent) in orders.iter().zip(&intents) {
        let (ours, theirs) = (shop.look(&order.id).await, fake.intent_of(&order.payment));
        let disputes = fake.disputes_of(intent);
        let is_disputed = disputes.iter().any(|dispute| dispute["status"] != "won");
        let went = |refund: &&Value| refund["status"] == "succeeded";
        let refunded: i64 = fake.refunds_of(intent).iter().filter(went).filter_map(|refund| refund["amount"].as_i64()).sum();
        assert_eq!(ours["captured"]["amount"], theirs["amount_received"]);
        assert_eq!(ours["refunded"]["amount"], refunded);
        let expected = match (is_disputed, refunded) {
            (true, _) => "disputed",
            (false, 0) => "paid",
            (false, _) => "partially_refunded",
        };
        assert_eq!((&ours["payment_status"], &ours["status"]), (&json!(expected), &json!("confirmed")));
    }
    let names = shop.order_events().await;
    assert_eq!(names.iter().filter(|name| *name == "shop.order.paid").count(), ORDERS);
    shop.audit_is_clean().await;
}
