//! Answers that are lost, keys that are met again: one order, one intent, one charge (INV-I1 to INV-I3).

use serde_json::json;

use crate::support::*;
use crate::till::Till;
use crate::world::Fault;

const CREATE: &str = "POST /v1/payment_intents";

#[tokio::test]
async fn inv_i1_a_lost_answer_makes_no_second_intent_and_no_second_charge() {
    let till = Till::open(5).await;
    let cart = till.shop.cart(1).await;
    till.world.fail_next("/v1/payment_intents", Fault::LoseAnswer);
    let order = Ordered::of(&check_out(&till.shop, &cart, "stripe", &key(&cart)).await.expect(201));
    assert_eq!(till.world.count(CREATE), 2);
    till.pay(&order).await;
    till.sync(&order).await.expect(200);
    let charges = till.world.list("/v1/charges", &[]).await;
    assert_eq!((charges.len(), &charges[0]["amount"]), (1, &json!(order.total)));
    assert_eq!(till.state(&order).await.1, "paid");
    till.books_agree().await;
    till.shop.run_jobs().await;
}

#[tokio::test]
async fn inv_i3_a_checkout_whose_answers_are_all_lost_is_resumed_with_the_same_key() {
    let till = Till::open(5).await;
    let cart = till.shop.cart(1).await;
    for _ in 0..3 {
        till.world.fail_next("/v1/payment_intents", Fault::LoseAnswer);
    }
    check_out(&till.shop, &cart, "stripe", &key(&cart)).await.expect(503).problem("upstream_failed");
    let first = check_out(&till.shop, &cart, "stripe", &key(&cart)).await.expect(201);
    assert_eq!(check_out(&till.shop, &cart, "stripe", &key(&cart)).await.expect(201).bytes, first.bytes);
    let order = Ordered::of(&first);
    let intent = till.look_at(&till.intent(&order).await).await;
    assert_eq!(first["payment"]["client_data"]["client_secret"], intent["client_secret"]);
    let calls = till.world.calls();
    let mut keys: Vec<&str> = calls.iter().filter(|call| call.name == CREATE).map(|call| call.key.as_str()).collect();
    assert_eq!(keys.len(), 4);
    keys.dedup();
    assert_eq!(keys, [format!("pay:{}:create:1", order.payment)]);
    till.shop.run_jobs().await;
}

#[tokio::test]
async fn inv_i1_without_keys_a_lost_answer_makes_a_second_intent() {
    // The negative control: what the keys prevent at a provider that nobody here wrote. Our door complains about each call without one.
    let till = Till::open_with(5, &[("shop.payments.stripe.idempotency_keys", "false")]).await;
    let cart = till.shop.cart(1).await;
    till.world.fail_next("/v1/payment_intents", Fault::LoseAnswer);
    let order = Ordered::of(&check_out(&till.shop, &cart, "stripe", &key(&cart)).await.expect(201));
    assert_eq!(till.intents_of(&order.payment).await.len(), 2);
    let complaints = till.world.take_complaints();
    assert!(complaints.iter().all(|complaint| complaint.contains("without an idempotency key")) && complaints.len() == 1, "{complaints:?}");
    till.shop.run_jobs().await;
}

#[tokio::test]
async fn inv_i1_sixteen_checkouts_at_once_with_one_key_make_one_intent() {
    let till = Till::open(5).await;
    let cart = till.shop.cart(1).await;
    let answers = at_once((0..16).map(|_| check_out(&till.shop, &cart, "stripe", &key(&cart)))).await;
    let (good, busy) = (count(&answers, 201), count(&answers, 409));
    assert!(good >= 1 && good + busy == 16, "{good} {busy}");
    let last = check_out(&till.shop, &cart, "stripe", &key(&cart)).await.expect(201);
    assert!(answers.iter().filter(|answer| answer.status == 201).all(|answer| answer.bytes == last.bytes));
    assert_eq!(till.world.list("/v1/payment_intents", &[]).await.len(), 1);
    till.shop.audit_is_clean().await;
    till.shop.run_jobs().await;
}

#[tokio::test]
async fn inv_i2_a_key_that_the_provider_knows_with_other_content_ends_the_payment_and_not_the_order() {
    let till = Till::open(5).await;
    let cart = till.shop.cart(1).await;
    for _ in 0..3 {
        till.world.fail_next("/v1/payment_intents", Fault::LoseAnswer);
    }
    check_out(&till.shop, &cart, "stripe", &key(&cart)).await.expect(503);
    // As after a change of settings between two tries: the same key, something else asked.
    till.world.fail_next("/v1/payment_intents", Fault::Add("description=changed"));
    let refused = check_out(&till.shop, &cart, "stripe", &key(&cart)).await.expect(402).problem("payment_required");
    assert_eq!(refused["provider_code"], "idempotency_error");
    let (id, secret) = (refused.text("/order_id"), refused.text("/order_secret"));
    let order = till.shop.look(&id).await;
    assert_eq!((&order["status"], &order["payments"][0]["state"]), (&json!("pending"), &json!("failed")));
    assert_eq!(till.world.list("/v1/payment_intents", &[]).await.len(), 1);
    let again = till.shop.post(&format!("/api/v1/shop/orders/{id}/payments")).header("Order-Secret", &secret);
    let again = again.header("Idempotency-Key", "another-try-with-a-card").json(&json!({ "payment_method": "stripe" })).await.expect(201);
    let intent = till.intents_of(&again.text("/id")).await[0]["id"].as_str().unwrap().to_owned();
    assert_eq!(till.try_card(&intent, "tok_visa").await, 200);
    till.shop.pass(MINUTE * 2).await;
    assert_eq!(till.shop.look(&id).await["payment_status"], "paid");
    till.books_agree().await;
}

#[tokio::test]
async fn inv_i1_an_intent_whose_key_may_be_forgotten_is_found_by_its_metadata() {
    let till = Till::open(5).await;
    let cart = till.shop.cart(1).await;
    for _ in 0..3 {
        till.world.fail_next("/v1/payment_intents", Fault::LoseAnswer);
    }
    check_out(&till.shop, &cart, "stripe", &key(&cart)).await.expect(503);
    // The provider is away for a day, longer than it remembers keys.
    till.world.refuse_all(Some("/v1/"));
    for _ in 0..4 {
        till.shop.pass(MINUTE * 60 * 6).await;
    }
    assert_eq!(till.shop.shelf().await, (5, 1));
    till.world.refuse_all(None);
    let made = till.world.count(CREATE);
    till.shop.pass(MINUTE * 60 * 6).await;
    assert_eq!(till.world.count(CREATE), made, "a key that may be forgotten is not sent again");
    assert!(till.world.count("GET /v1/payment_intents/search") > 0);
    let intents = till.world.list("/v1/payment_intents", &[]).await;
    assert_eq!((intents.len(), &intents[0]["status"]), (1, &json!("canceled")));
    assert_eq!(till.shop.shelf().await, (5, 0));
    till.shop.audit_is_clean().await;
}
