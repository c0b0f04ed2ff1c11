//! Payments through Stripe, against a stand-in that remembers and fails at will (INV-I, INV-P, INV-S5).

use kernel::{Id, Timestamp};
use serde_json::{Value, json};
use testkit::TestResponse;
use testkit::stripe::{Fault, StripeFake};

use crate::support::*;

/// The id of the intent of an order's payment.
fn intent(fake: &StripeFake, order: &Ordered) -> String {
    fake.intent_of(&order.payment)["id"].as_str().expect("an id").to_owned()
}

async fn sync(shop: &TestShop, order: &Ordered) -> TestResponse {
    let path = format!("/api/v1/shop/payments/{}/actions/sync", order.payment);
    shop.post(&path).header("Order-Secret", &order.secret).json(&json!({})).await
}

#[tokio::test]
async fn inv_p_a_card_order_waits_for_its_buyer_and_is_confirmed_by_a_sync() {
    let (shop, fake) = stripe_shop(5).await;
    let cart = shop.cart(1).await;
    let answer = check_out(&shop, &cart, "stripe", &key(&cart)).await.expect(201);
    let order = Ordered::of(&answer);
    assert_eq!((&answer["order"]["status"], &answer["payment"]["state"]), (&json!("pending"), &json!("pending")));
    assert!(answer.text("/payment/client_data/client_secret").contains("_secret_"));
    assert_eq!(answer.text("/payment/client_data/publishable_key"), "pk_test_public");
    assert_eq!(check_out(&shop, &cart, "stripe", &key(&cart)).await.expect(201).bytes, answer.bytes);
    assert_eq!(sync(&shop, &order).await.expect(200)["state"], "pending");
    fake.pay(&intent(&fake, &order));
    assert_eq!(sync(&shop, &order).await.expect(200)["state"], "captured");
    let paid = shop.look(&order.id).await;
    assert_eq!((&paid["status"], &paid["payment_status"]), (&json!("confirmed"), &json!("paid")));
    assert_eq!(shop.order_events().await.iter().filter(|name| *name == "shop.order.paid").count(), 1);
    shop.audit_is_clean().await;
    shop.run_jobs().await;
}

#[tokio::test]
async fn inv_i1_twenty_at_once_with_one_key_make_one_intent() {
    let (shop, fake) = stripe_shop(5).await;
    let cart = shop.cart(1).await;
    let answers = at_once((0..20).map(|_| check_out(&shop, &cart, "stripe", &key(&cart)))).await;
    let (good, busy) = (count(&answers, 201), count(&answers, 409));
    assert!(good >= 1 && good + busy == 20, "{good} {busy}");
    for busy in answers.iter().filter(|answer| answer.status == 409) {
        assert_eq!((&busy["code"], busy.header("retry-after")), (&json!("idempotency_key_in_use"), "1"));
    }
    let last = check_out(&shop, &cart, "stripe", &key(&cart)).await.expect(201);
    assert!(answers.iter().filter(|answer| answer.status == 201).all(|answer| answer.bytes == last.bytes));
    assert_eq!(fake.intents().len(), 1);
    shop.audit_is_clean().await;
}

#[tokio::test]
async fn inv_i1_a_lost_answer_is_asked_for_again_with_the_same_key() {
    let (shop, fake) = stripe_shop(5).await;
    let cart = shop.cart(1).await;
    // All three tries of one call lose their answers.
    for _ in 0..3 {
        fake.fail_next("/v1/payment_intents", Fault::LoseAnswer);
    }
    let lost = check_out(&shop, &cart, "stripe", &key(&cart)).await.expect(503).problem("upstream_failed");
    assert!(!lost.header("retry-after").is_empty());
    assert_eq!(shop.shelf().await, (5, 1));
    let order = Ordered::of(&check_out(&shop, &cart, "stripe", &key(&cart)).await.expect(201));
    assert_eq!(fake.intents().len(), 1);
    fake.pay(&intent(&fake, &order));
    sync(&shop, &order).await.expect(200);
    shop.audit_is_clean().await;
    shop.run_jobs().await;
}

#[tokio::test]
async fn inv_i1_without_keys_a_lost_answer_makes_a_second_intent() {
    // The negative control: the same harness, with the keys switched off, must show what they prevent.
    let (shop, fake) = stripe_shop_with(5, &[("shop.payments.stripe.idempotency_keys", "false")]).await;
    let cart = shop.cart(1).await;
    for _ in 0..3 {
        fake.fail_next("/v1/payment_intents", Fault::LoseAnswer);
    }
    check_out(&shop, &cart, "stripe", &key(&cart)).await.expect(503);
    check_out(&shop, &cart, "stripe", &key(&cart)).await.expect(201);
    assert!(fake.intents().len() > 1);
    let findings = shop.kernel().findings().await.unwrap();
    assert!(findings.iter().any(|(_, finding)| finding.is_serious && finding.text.contains("idempotency_keys")));
}

#[tokio::test]
async fn inv_i4_an_interrupted_checkout_is_finished_by_the_recovery() {
    let (shop, fake) = stripe_shop(5).await;
    let cart = shop.cart(1).await;
    for _ in 0..3 {
        fake.fail_next("/v1/payment_intents", Fault::Refuse(500));
    }
    check_out(&shop, &cart, "stripe", &key(&cart)).await.expect(503).problem("upstream_failed");
    assert_eq!(fake.intents().len(), 0);
    shop.pass(MINUTE).await;
    assert_eq!(fake.intents().len(), 1);
    // The buyer's browser asks again and gets the one answer.
    let first = check_out(&shop, &cart, "stripe", &key(&cart)).await.expect(201);
    let order = Ordered::of(&first);
    assert!(first.text("/payment/client_data/client_secret").contains("_secret_"));
    assert_eq!(check_out(&shop, &cart, "stripe", &key(&cart)).await.expect(201).bytes, first.bytes);
    fake.pay(&intent(&fake, &order));
    shop.pass(MINUTE).await;
    assert_eq!(shop.look(&order.id).await["payment_status"], "paid");
    shop.audit_is_clean().await;
}

#[tokio::test]
async fn a_refused_payment_leaves_an_order_that_can_be_paid_in_another_way() {
    let (shop, fake) = stripe_shop(5).await;
    let cart = shop.cart(1).await;
    fake.fail_next("/v1/payment_intents", Fault::Decline("fraudulent"));
    let refused = check_out(&shop, &cart, "stripe", &key(&cart)).await.expect(402).problem("payment_required");
    assert_eq!(refused["provider_code"], "fraudulent");
    let again = check_out(&shop, &cart, "stripe", &key(&cart)).await.expect(402).problem("payment_required");
    assert_eq!((&again["order_id"], &again["order_secret"]), (&refused["order_id"], &refused["order_secret"]));
    let (id, secret) = (refused.text("/order_id"), refused.text("/order_secret"));
    let order = shop.get(&format!("/api/v1/shop/orders/{id}")).header("Order-Secret", &secret).await.expect(200);
    assert_eq!((&order["status"], &order["payments"][0]["state"]), (&json!("pending"), &json!("failed")));
    let pay = |key: &str, method: &str| {
        let request = shop.post(&format!("/api/v1/shop/orders/{id}/payments")).header("Order-Secret", &secret);
        request.header("Idempotency-Key", key).json(&json!({ "payment_method": method }))
    };
    let second = pay("a-second-try-with-a-card", "stripe:card").await.expect(201);
    assert!(second.text("/client_data/client_secret").contains("_secret_"));
    assert_eq!(pay("a-second-try-with-a-card", "stripe:card").await.expect(201).bytes, second.bytes);
    // Another way: the open intent is called off first.
    let third = pay("a-third-try-by-transfer", BANK).await.expect(201);
    assert_eq!((&third["provider"], &third["state"]), (&json!("offline"), &json!("pending")));
    assert_eq!(fake.intent_of(&second.text("/id"))["status"], "canceled");
    shop.confirm(&third.text("/id")).await.expect(200);
    assert_eq!(shop.look(&id).await["payment_status"], "paid");
    pay("a-fourth-try-that-is-too-late", "stripe").await.expect(409).problem("invalid_state");
    shop.audit_is_clean().await;
    shop.run_jobs().await;
}

#[tokio::test]
async fn inv_i7_twenty_payments_at_once_leave_one_alive() {
    let (shop, fake) = stripe_shop(5).await;
    let order = shop.card_order(1).await;
    let pay = |n: usize| {
        let request = shop.post(&format!("/api/v1/shop/orders/{}/payments", order.id)).header("Order-Secret", &order.secret);
        request.header("Idempotency-Key", &format!("another-payment-number-{n}")).json(&json!({ "payment_method": "stripe" }))
    };
    let answers = at_once((0..20).map(pay)).await;
    assert!(answers.iter().all(|answer| [201, 409].contains(&answer.status.as_u16())), "{}", answers[0]);
    let alive = |status: &Value| status != "canceled";
    assert_eq!(fake.intents().iter().filter(|intent| alive(&intent["status"])).count(), 1);
    let payments = shop.look(&order.id).await["payments"].clone();
    assert_eq!(payments.as_array().unwrap().iter().filter(|payment| payment["state"] == "pending").count(), 1, "{payments:#}");
    shop.run_jobs().await;
}

#[tokio::test]
async fn inv_s5_an_order_expires_only_after_its_intent_is_canceled() {
    let (shop, fake) = stripe_shop(5).await;
    let order = shop.card_order(2).await;
    for _ in 0..3 {
        fake.fail_next("/cancel", Fault::Refuse(500));
    }
    shop.pass(MINUTE * 31).await;
    // The provider was away: nothing is given back yet.
    assert_eq!((shop.look(&order.id).await["status"].clone(), shop.shelf().await), (json!("pending"), (5, 2)));
    shop.pass(MINUTE * 2).await;
    assert_eq!((shop.look(&order.id).await["status"].clone(), shop.shelf().await), (json!("expired"), (5, 0)));
    assert_eq!(fake.intent_of(&order.payment)["status"], "canceled");
    shop.audit_is_clean().await;
}

#[tokio::test]
async fn inv_s5_a_payment_that_succeeded_just_in_time_wins() {
    let (shop, fake) = stripe_shop(5).await;
    let order = shop.card_order(1).await;
    fake.pay(&intent(&fake, &order));
    let cancel = shop.post(&format!("/api/v1/shop/orders/{}/actions/cancel", order.id)).header("Order-Secret", &order.secret);
    let refused = cancel.json(&json!({})).await.expect(409).problem("invalid_state");
    assert_eq!(refused["current_state"], "confirmed");
    assert_eq!((shop.look(&order.id).await["payment_status"].clone(), shop.shelf().await), (json!("paid"), (5, 1)));
    let other = shop.card_order(1).await;
    let cancel = shop.post(&format!("/api/v1/shop/orders/{}/actions/cancel", other.id)).header("Order-Secret", &other.secret);
    assert_eq!(cancel.json(&json!({})).await.expect(200)["status"], "canceled");
    assert_eq!(fake.intent_of(&other.payment)["status"], "canceled");
    shop.audit_is_clean().await;
    shop.run_jobs().await;
}

/// An order that expired although its intent could still be paid, as after a provider's own delay.
async fn expired_and_paid(shop: &TestShop, fake: &StripeFake, quantity: i64) -> Ordered {
    let order = shop.card_order(quantity).await;
    shop.pass(MINUTE * 33).await;
    assert_eq!(shop.look(&order.id).await["status"], "expired");
    fake.pay(&intent(fake, &order));
    order
}

#[tokio::test]
async fn inv_p7_late_money_gets_its_goods_if_they_are_still_there() {
    let (shop, fake) = stripe_shop(5).await;
    let order = expired_and_paid(&shop, &fake, 2).await;
    shop.pass(MINUTE * 2).await;
    let late = shop.look(&order.id).await;
    assert_eq!((&late["status"], &late["payment_status"]), (&json!("confirmed"), &json!("paid")));
    assert_eq!(shop.shelf().await, (5, 2));
    shop.audit_is_clean().await;
}

#[tokio::test]
async fn inv_p7_late_money_goes_back_if_the_goods_are_gone() {
    let (shop, fake) = stripe_shop(2).await;
    let order = expired_and_paid(&shop, &fake, 2).await;
    shop.order(1).await;
    shop.pass(MINUTE * 2).await;
    let late = shop.look(&order.id).await;
    assert_eq!(
        (&late["status"], &late["payment_status"], &late["attention"]),
        (&json!("expired"), &json!("refunded"), &json!("late_payment"))
    );
    assert_eq!(fake.refunds()[0]["amount"], order.total);
    assert_eq!(fake.refunds().len(), 1);
    assert!(shop.order_events().await.contains(&"shop.refund.succeeded".to_owned()));
    shop.audit_is_clean().await;
}

#[tokio::test]
async fn manual_capture_collects_once_and_at_most_what_is_authorised() {
    let (shop, fake) = stripe_shop_with(5, &[("shop.payments.capture", "manual")]).await;
    let order = shop.card_order(1).await;
    fake.pay(&intent(&fake, &order));
    assert_eq!(sync(&shop, &order).await.expect(200)["state"], "authorized");
    let waiting = shop.look(&order.id).await;
    assert_eq!((&waiting["status"], &waiting["payment_status"]), (&json!("confirmed"), &json!("authorized")));
    let capture = |key: &str, amount: i64| {
        let request = shop.post(&format!("/api/v1/shop/payments/{}/captures", order.payment)).by(&staff()).header("Idempotency-Key", key);
        request.json(&json!({ "amount": { "amount": amount, "currency": "EUR" } }))
    };
    capture("too-much", order.total + 1).await.expect(422).field("/amount", "out_of_range");
    fake.fail_next("/capture", Fault::LoseAnswer);
    let captured = capture("half", 1_000).await.expect(201);
    assert_eq!((&captured["state"], &captured["captured"]["amount"]), (&json!("captured"), &json!(1_000)));
    assert_eq!(capture("half", 1_000).await.expect(201).bytes, captured.bytes);
    assert_eq!((fake.received(), shop.look(&order.id).await["payment_status"].clone()), (1_000, json!("partially_paid")));
    assert!(shop.order_events().await.contains(&"shop.payment.authorized".to_owned()));
    // Calling off an authorisation releases it.
    let other = shop.card_order(1).await;
    fake.pay(&intent(&fake, &other));
    sync(&shop, &other).await.expect(200);
    let path = format!("/api/v1/shop/payments/{}/actions/cancel", other.payment);
    assert_eq!(shop.post(&path).by(&staff()).json(&json!({})).await.expect(200)["state"], "canceled");
    shop.post(&path).by(&staff()).json(&json!({})).await.expect(409).problem("invalid_state");
    shop.audit_is_clean().await;
    shop.run_jobs().await;
}

#[tokio::test]
async fn inv_p7_a_dispute_moves_the_payment_axis_and_a_won_one_moves_it_back() {
    let (shop, fake) = stripe_shop(5).await;
    let order = shop.card_order(1).await;
    let intent = intent(&fake, &order);
    fake.pay(&intent);
    sync(&shop, &order).await.expect(200);
    fake.dispute(&intent, "needs_response");
    shop.pass(MINUTE * 2).await;
    let disputed = shop.look(&order.id).await;
    assert_eq!((&disputed["payment_status"], &disputed["attention"]), (&json!("disputed"), &json!("disputed")));
    assert!(shop.order_events().await.contains(&"shop.payment.disputed".to_owned()));
    let of_the_charge = shop.booked(&order, "fees:stripe").await - 1_500;
    assert!(of_the_charge > 0, "the fee of the dispute is booked beside that of the charge");
    fake.dispute(&intent, "won");
    shop.pass(MINUTE * 2).await;
    let won = shop.look(&order.id).await;
    assert_eq!((&won["payment_status"], &won["attention"]), (&json!("paid"), &json!(null)));
    assert_eq!(shop.booked(&order, "fees:stripe").await, of_the_charge);
    shop.audit_is_clean().await;
}

#[tokio::test]
async fn inv_i7_a_refused_cancel_is_asked_again_under_another_key_soon() {
    let (now, soon) = (Timestamp::from_millis(60_000), Timestamp::from_millis(120_000));
    let payment = Id::from_uuid(uuid::Uuid::nil());
    let key = |at| shop::payments::ProviderKey::cancel(payment, at).0;
    assert_eq!(key(now), key(Timestamp::from_millis(119_999)));
    assert_ne!(key(now), key(soon));
}

/// An order whose card was authorised and not collected in time.
async fn lapsed(shop: &TestShop, fake: &StripeFake) -> Ordered {
    let order = shop.card_order(1).await;
    fake.pay(&intent(fake, &order));
    assert_eq!(sync(shop, &order).await.expect(200)["state"], "authorized");
    fake.lapse(&intent(fake, &order));
    shop.pass(MINUTE * 2).await;
    order
}

#[tokio::test]
async fn inv_s5_an_order_whose_authorisation_lapsed_waits_for_another_payment() {
    let (shop, fake) = stripe_shop_with(5, &[("shop.payments.capture", "manual")]).await;
    let mut order = lapsed(&shop, &fake).await;
    let waiting = shop.look(&order.id).await;
    assert_eq!((&waiting["status"], &waiting["payment_status"]), (&json!("confirmed"), &json!("unpaid")));
    assert_eq!((&waiting["attention"], waiting["expires_at"].is_string()), (&json!("payment_lapsed"), true));
    assert!(shop.order_events().await.contains(&"shop.payment.failed".to_owned()));
    order.payment = pay(&shop, &order, "another-card-of-the-buyer", "stripe").await.expect(201).text("/id");
    fake.pay(&intent(&fake, &order));
    sync(&shop, &order).await.expect(200);
    assert_eq!(shop.look(&order.id).await["attention"], json!(null));
    let captures = format!("/api/v1/shop/payments/{}/captures", order.payment);
    shop.post(&captures).by(&staff()).header("Idempotency-Key", "collect").json(&json!({})).await.expect(201);
    let paid = shop.look(&order.id).await;
    assert_eq!((&paid["payment_status"], &paid["expires_at"], shop.shelf().await), (&json!("paid"), &json!(null), (5, 1)));
    shop.audit_is_clean().await;
    shop.run_jobs().await;
}

#[tokio::test]
async fn inv_s5_an_order_whose_authorisation_lapsed_ends_when_nobody_pays_again() {
    let (shop, fake) = stripe_shop_with(5, &[("shop.payments.capture", "manual")]).await;
    let order = lapsed(&shop, &fake).await;
    assert_eq!(shop.shelf().await, (5, 1));
    shop.pass(DAY * 15).await;
    let ended = shop.look(&order.id).await;
    assert_eq!((&ended["status"], &ended["attention"], shop.shelf().await), (&json!("expired"), &json!(null), (5, 0)));
    assert!(shop.order_events().await.contains(&"shop.order.expired".to_owned()));
    shop.pass(MINUTE).await;
    assert!(shop.mails().await.iter().any(|mail| mail.template == "shop/order_expired"));
    shop.audit_is_clean().await;
}

#[tokio::test]
async fn inv_s5_an_order_that_is_paid_in_part_is_left_to_a_person_when_its_time_is_over() {
    let (shop, fake) = stripe_shop_with(5, &[("shop.payments.capture", "manual")]).await;
    let mut order = shop.order(1).await;
    order.payment = pay(&shop, &order, "a-payment-with-a-card", "stripe").await.expect(201).text("/id");
    fake.pay(&intent(&fake, &order));
    sync(&shop, &order).await.expect(200);
    let captures = shop.post(&format!("/api/v1/shop/payments/{}/captures", order.payment)).by(&staff());
    let part = json!({ "amount": { "amount": 1_000, "currency": "EUR" } });
    captures.header("Idempotency-Key", "a-part").json(&part).await.expect(201);
    shop.pass(DAY * 15).await;
    let kept = shop.look(&order.id).await;
    assert_eq!((&kept["status"], &kept["payment_status"]), (&json!("confirmed"), &json!("partially_paid")));
    assert_eq!((&kept["attention"], &kept["expires_at"]), (&json!("payment_overdue"), &json!(null)));
    shop.audit_is_clean().await;
}

#[tokio::test]
async fn inv_s5_collecting_what_has_lapsed_is_refused() {
    let (shop, fake) = stripe_shop_with(5, &[("shop.payments.capture", "manual")]).await;
    let order = shop.card_order(1).await;
    fake.pay(&intent(&fake, &order));
    sync(&shop, &order).await.expect(200);
    fake.lapse(&intent(&fake, &order));
    let captures = format!("/api/v1/shop/payments/{}/captures", order.payment);
    let refused = shop.post(&captures).by(&staff()).header("Idempotency-Key", "too-late").json(&json!({})).await.expect(409);
    assert_eq!(refused.problem("invalid_state")["current_state"], "canceled");
    assert_eq!(shop.look(&order.id).await["payment_status"], "unpaid");
    shop.audit_is_clean().await;
    shop.run_jobs().await;
}

#[tokio::test]
async fn inv_p6_an_intent_about_another_amount_or_currency_changes_nothing_until_it_fits() {
    let (shop, fake) = stripe_shop(5).await;
    let order = shop.card_order(1).await;
    let (id, total) = (intent(&fake, &order), json!(order.total));
    fake.pay(&id);
    for (member, odd, good) in [("amount", json!(order.total - 100), &total), ("currency", json!("usd"), &json!("eur"))] {
        fake.alter(&id, member, odd.clone());
        if member == "amount" {
            fake.alter(&id, "amount_received", odd);
        }
        for _ in 0..3 {
            assert_eq!(sync(&shop, &order).await.expect(200)["state"], "pending");
        }
        let odd = shop.look(&order.id).await;
        assert_eq!((&odd["status"], &odd["payment_status"]), (&json!("pending"), &json!("unpaid")));
        assert_eq!((&odd["attention"], &odd["captured"]["amount"]), (&json!("payment_mismatch"), &json!(0)));
        fake.alter(&id, member, good.clone());
    }
    let ledger = shop.get("/api/v1/shop/ledger-entries").by(&staff()).await.expect(200);
    assert_eq!(ledger["items"], json!([]));
    let log = shop.get(&format!("/api/v1/shop/orders/{}/events", order.id)).by(&staff()).await.expect(200);
    let told = log["items"].as_array().unwrap().iter().filter(|event| event["kind"] == "payment_mismatch").count();
    assert_eq!(told, 2, "{log}");
    fake.alter(&id, "amount_received", total);
    assert_eq!(sync(&shop, &order).await.expect(200)["state"], "captured");
    let paid = shop.look(&order.id).await;
    assert_eq!((&paid["payment_status"], &paid["attention"]), (&json!("paid"), &json!(null)));
    shop.audit_is_clean().await;
    shop.run_jobs().await;
}

#[tokio::test]
async fn inv_p8_secrets_of_providers_and_buyers_stand_nowhere_in_the_clear() {
    let (shop, fake) = stripe_shop(5).await;
    let order = shop.card_order(1).await;
    let intent = intent(&fake, &order);
    fake.pay(&intent);
    let event = fake.events().pop().unwrap();
    deliver(&shop, 1_795_348_800, &event).await.expect(204);
    shop.pass(MINUTE * 2).await;
    let rows = shop.kernel().db().dump_text().unwrap();
    for (table, value) in rows {
        let text = format!("{value:?}");
        for canary in ["_secret_canary", "sk_test_canary", WEBHOOK_SECRET, &order.secret] {
            assert!(!text.contains(canary), "{table} holds {canary}: {text}");
        }
    }
}

/// Begins another payment of an order.
fn pay(shop: &TestShop, order: &Ordered, key: &str, method: &str) -> testkit::Request {
    let request = shop.post(&format!("/api/v1/shop/orders/{}/payments", order.id)).header("Order-Secret", &order.secret);
    request.header("Idempotency-Key", key).json(&json!({ "payment_method": method }))
}

#[tokio::test]
async fn inv_i7_promised_money_is_never_called_off_by_the_buyer_or_by_time() {
    let (shop, fake) = stripe_shop_with(5, &[("shop.payments.capture", "manual")]).await;
    // Confirmed by its transfer, then paid by card: the days of the transfer are over while the money is promised.
    let mut order = shop.order(1).await;
    order.payment = pay(&shop, &order, "a-payment-with-a-card", "stripe").await.expect(201).text("/id");
    fake.pay(&intent(&fake, &order));
    assert_eq!(sync(&shop, &order).await.expect(200)["state"], "authorized");
    pay(&shop, &order, "another-payment-by-transfer", BANK).await.expect(409).problem("invalid_state");
    assert_eq!(fake.intent_of(&order.payment)["status"], "requires_capture");
    shop.pass(DAY * 15).await;
    let kept = shop.look(&order.id).await;
    assert_eq!((&kept["status"], &kept["attention"]), (&json!("confirmed"), &json!("payment_overdue")));
    assert_eq!(fake.intent_of(&order.payment)["status"], "requires_capture");
    shop.audit_is_clean().await;
}

#[tokio::test]
async fn inv_i7_an_order_is_tried_to_be_paid_twenty_times_and_gets_no_more_time() {
    let shop = shop(5).await;
    let order = shop.order(1).await;
    shop.pass(DAY * 13).await;
    for n in 0..19 {
        pay(&shop, &order, &format!("another-payment-number-{n}"), BANK).await.expect(201);
    }
    pay(&shop, &order, "one-payment-too-many", BANK).await.expect(409).problem("quota_exceeded");
    assert_eq!(shop.look(&order.id).await["payments"][19]["state"], "pending");
    shop.pass(DAY * 2).await;
    assert_eq!(shop.look(&order.id).await["status"], "expired");
    shop.audit_is_clean().await;
}

#[tokio::test]
async fn inv_i1_looking_at_a_refused_payment_makes_no_intent() {
    let (shop, fake) = stripe_shop(5).await;
    let cart = shop.cart(1).await;
    fake.fail_next("/v1/payment_intents", Fault::Decline("fraudulent"));
    let refused = check_out(&shop, &cart, "stripe", &key(&cart)).await.expect(402).problem("payment_required");
    let payment = shop.look(&refused.text("/order_id")).await.text("/payments/0/id");
    let intents = fake.intents().len();
    let looked = shop.post(&format!("/api/v1/shop/payments/{payment}/actions/sync")).by(&staff()).json(&json!({})).await.expect(200);
    assert_eq!((&looked["state"], fake.intents().len()), (&json!("failed"), intents));
    shop.run_jobs().await;
}

#[tokio::test]
async fn inv_p6_a_refund_beyond_what_came_is_noted_once() {
    let (shop, fake) = stripe_shop(5).await;
    let order = shop.card_order(1).await;
    let intent = intent(&fake, &order);
    fake.pay(&intent);
    sync(&shop, &order).await.expect(200);
    fake.refund(&intent, order.total);
    sync(&shop, &order).await.expect(200);
    fake.refund(&intent, 100);
    for _ in 0..3 {
        sync(&shop, &order).await.expect(200);
    }
    assert_eq!(shop.look(&order.id).await["attention"], "refund_mismatch");
    let log = shop.get(&format!("/api/v1/shop/orders/{}/events", order.id)).by(&staff()).await.expect(200);
    let noted = log["items"].as_array().unwrap().iter().filter(|event| event["kind"] == "refund_mismatch").count();
    assert_eq!(noted, 1, "{log}");
    shop.run_jobs().await;
}
