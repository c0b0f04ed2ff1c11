//! Orders: three axes, a log, and who may see and change them (INV-O1, INV-O4, INV-O7, INV-O8).

use serde_json::{Value, json};
use testkit::stripe::Moment;

use crate::support::*;

#[tokio::test]
async fn inv_o1_moves_that_are_not_allowed_are_refused_with_those_that_are() {
    let shop = shop(5).await;
    let order = shop.order(1).await;
    let act = |verb: &str| shop.post(&format!("/api/v1/shop/orders/{}/actions/{verb}", order.id)).by(&staff()).json(&json!({}));
    act("complete").await.expect(409).problem("invalid_state");
    act("cancel").await.expect(200);
    for verb in ["complete", "cancel"] {
        let refused = act(verb).await.expect(409).problem("invalid_state");
        assert_eq!((&refused["current_state"], &refused["allowed"]), (&json!("canceled"), &json!([])));
    }
    shop.confirm(&order.payment).await.expect(409).problem("invalid_state");
    assert_eq!(shop.shelf().await, (5, 0));
    shop.audit_is_clean().await;
    assert!(shop.order_events().await.contains(&"shop.order.canceled".to_owned()));
    assert!(shop.order_events().await.contains(&"shop.payment.failed".to_owned()));
    shop.run_jobs().await;
}

#[tokio::test]
async fn inv_o8_calling_a_paid_order_off_gives_everything_back_once() {
    let shop = shop(5).await;
    let order = shop.order(2).await;
    shop.confirm(&order.payment).await.expect(200);
    let cancel = || shop.post(&format!("/api/v1/shop/orders/{}/actions/cancel", order.id)).by(&staff()).json(&json!({}));
    let answers = at_once((0..10).map(|_| cancel())).await;
    assert_eq!((count(&answers, 200), count(&answers, 409)), (1, 9));
    let refunds = shop.get(&format!("/api/v1/shop/orders/{}/refunds", order.id)).by(&staff()).await.expect(200);
    assert_eq!(refunds["items"].as_array().unwrap().len(), 1);
    assert_eq!(refunds["items"][0]["amount"]["amount"], order.total);
    assert_eq!((shop.shelf().await, &shop.look(&order.id).await["attention"]), ((5, 0), &json!("refund_to_be_made")));
    let path = format!("/api/v1/shop/refunds/{}/actions/confirm", refunds.text("/items/0/id"));
    shop.post(&path).by(&staff()).json(&json!({})).await.expect(200);
    assert_eq!(shop.look(&order.id).await["payment_status"], "refunded");
    shop.audit_is_clean().await;
    shop.run_jobs().await;
}

#[tokio::test]
async fn inv_o4_replaying_the_log_gives_the_row() {
    let shop = shop(5).await;
    let order = shop.order(2).await;
    shop.confirm(&order.payment).await.expect(200);
    shop.ship(&order.id, &order.line, 1).await.expect(200);
    shop.refund(&order.id, "k", json!({ "lines": [{ "line_id": order.line, "quantity": 1 }], "reason": "x" })).await.expect(201);
    let note = json!({ "text": "The buyer calls on Friday." });
    shop.post(&format!("/api/v1/shop/orders/{}/notes", order.id)).by(&staff()).json(&note).await.expect(200);
    let log = shop.get(&format!("/api/v1/shop/orders/{}/events", order.id)).header("Order-Secret", &order.secret).await.expect(200);
    let rows = log["items"].as_array().unwrap();
    let kinds: Vec<&str> = rows.iter().filter_map(|row| row["kind"].as_str()).collect();
    let expected = ["placed", "payment_updated", "payment_confirmed", "fulfilment_created", "shipped", "refund_requested", "note"];
    assert_eq!(kinds, expected);
    let (last, now) = (rows.last().unwrap(), shop.look(&order.id).await);
    for axis in ["status", "payment_status", "fulfilment_status"] {
        assert_eq!(last[axis], now[axis]);
    }
    assert!(rows[1..].iter().all(|row| row["actor"].as_str().unwrap().starts_with("user:")));
    assert_eq!((&rows[0]["actor"], &rows[6]["reason"]), (&json!("anonymous"), &note["text"]));
    assert!(shop.order_events().await.contains(&"shop.order.updated".to_owned()));
    shop.run_jobs().await;
}

#[tokio::test]
async fn inv_o7_an_order_is_seen_by_its_secret_its_buyer_and_staff_only() {
    let shop = shop(5).await;
    let (order, other) = (shop.order(1).await, shop.order(1).await);
    let path = format!("/api/v1/shop/orders/{}", order.id);
    shop.get(&path).header("Order-Secret", &order.secret).await.expect(200);
    for secret in ["", "wrong", &other.secret] {
        shop.get(&path).header("Order-Secret", secret).await.expect(404).problem("not_found");
        shop.get(&format!("{path}/events")).header("Order-Secret", secret).await.expect(404);
        shop.post(&format!("{path}/actions/cancel")).header("Order-Secret", secret).json(&json!({})).await.expect(404);
        shop.get(&format!("/api/v1/shop/payments/{}", order.payment)).header("Order-Secret", secret).await.expect(404);
    }
    shop.get(&path).by(&ada()).await.expect(404);
    shop.get("/api/v1/shop/orders").await.expect(401);
    // A buyer cannot call off what is certain.
    let cancel = shop.post(&format!("{path}/actions/cancel")).header("Order-Secret", &order.secret).json(&json!({}));
    cancel.await.expect(409).problem("invalid_state");
    shop.run_jobs().await;
}

#[tokio::test]
async fn r60_an_action_on_an_old_version_is_refused() {
    let shop = shop(5).await;
    let order = shop.order(1).await;
    shop.confirm(&order.payment).await.expect(200);
    let cancel = || shop.post(&format!("/api/v1/shop/orders/{}/actions/cancel", order.id)).by(&staff()).json(&json!({}));
    let refused = cancel().header("If-Match", "\"v1\"").await.expect(412).problem("version_conflict");
    let current = refused["current_version"].as_i64().unwrap();
    cancel().header("If-Match", &format!("\"v{current}\"")).await.expect(200);
    shop.run_jobs().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r60_calling_off_an_order_that_changed_while_its_payment_was_called_off_is_refused() {
    let (shop, fake) = stripe_shop(5).await;
    let order = shop.card_order(1).await;
    let version = shop.look(&order.id).await["version"].as_i64().unwrap();
    let app = shop.kernel().clone();
    fake.on_change(move |moment, path| {
        if moment == Moment::Before && path.ends_with("/cancel") {
            behind_its_back(&app, "UPDATE shop_orders SET note = 'please ring', version = version + 1");
        }
    });
    let cancel = || shop.post(&format!("/api/v1/shop/orders/{}/actions/cancel", order.id)).by(&staff()).json(&json!({}));
    let refused = cancel().header("If-Match", &format!("\"v{version}\"")).await.expect(412).problem("version_conflict");
    assert_eq!(refused["current_version"], version + 1);
    let kept = shop.look(&order.id).await;
    assert_eq!((&kept["status"], &kept["note"], shop.shelf().await), (&json!("pending"), &json!("please ring"), (5, 1)));
    let now = kept["version"].as_i64().unwrap();
    let done = cancel().header("If-Match", &format!("\"v{now}\"")).await.expect(200);
    assert_eq!((&done["status"], shop.shelf().await), (&json!("canceled"), (5, 0)));
    shop.audit_is_clean().await;
    shop.run_jobs().await;
}

#[tokio::test]
async fn r60_the_version_that_calling_off_itself_makes_is_no_conflict() {
    let (shop, fake) = stripe_shop_with(5, &[("shop.payments.capture", "manual")]).await;
    let order = shop.card_order(1).await;
    fake.pay(fake.intent_of(&order.payment)["id"].as_str().unwrap());
    shop.post(&format!("/api/v1/shop/payments/{}/actions/sync", order.payment)).by(&staff()).json(&json!({})).await.expect(200);
    let version = shop.look(&order.id).await["version"].as_i64().unwrap();
    let cancel = || {
        let request = shop.post(&format!("/api/v1/shop/orders/{}/actions/cancel", order.id)).by(&staff());
        request.header("If-Match", &format!("\"v{version}\"")).json(&json!({}))
    };
    let answers = at_once((0..5).map(|_| cancel())).await;
    assert_eq!((count(&answers, 200), count(&answers, 412)), (1, 4));
    let done = shop.look(&order.id).await;
    assert_eq!((&done["status"], &done["payment_status"], &done["attention"]), (&json!("canceled"), &json!("unpaid"), &json!(null)));
    assert_eq!(shop.shelf().await, (5, 0));
    shop.audit_is_clean().await;
    shop.run_jobs().await;
}

#[tokio::test]
async fn inv_p7_what_needs_attention_is_acknowledged_as_it_was_seen_and_once() {
    let shop = shop(5).await;
    let order = shop.order(1).await;
    shop.confirm(&order.payment).await.expect(200);
    let everything = json!({ "amount": { "amount": order.total, "currency": "EUR" }, "reason": "all" });
    let refund = shop.refund(&order.id, "all", everything).await.expect(201).text("/id");
    shop.post(&format!("/api/v1/shop/refunds/{refund}/actions/fail")).by(&staff()).json(&json!({})).await.expect(200);
    assert_eq!(shop.look(&order.id).await["attention"], "refund_failed");
    let acknowledge = |seen: &str| {
        let request = shop.post(&format!("/api/v1/shop/orders/{}/actions/acknowledge", order.id)).by(&staff());
        request.json(&json!({ "attention": seen, "reason": "sent by cheque" }))
    };
    let refused = acknowledge("disputed").await.expect(409).problem("invalid_state");
    assert_eq!((&refused["current_state"], &refused["allowed"]), (&json!("refund_failed"), &json!(["refund_failed"])));
    acknowledge("refund_failed").header("If-Match", "\"v1\"").await.expect(412).problem("version_conflict");
    let answers = at_once((0..5).map(|_| acknowledge("refund_failed"))).await;
    assert_eq!(count(&answers, 200), 5);
    assert!(answers.iter().all(|answer| answer["attention"].is_null()));
    let log = shop.get(&format!("/api/v1/shop/orders/{}/events", order.id)).by(&staff()).await.expect(200);
    let told: Vec<&Value> = log["items"].as_array().unwrap().iter().filter(|row| row["kind"] == "acknowledged").collect();
    assert_eq!((told.len(), &told[0]["reason"], &told[0]["detail"]["attention"]), (1, &json!("sent by cheque"), &json!("refund_failed")));
    shop.audit_is_clean().await;
    shop.run_jobs().await;
}

#[tokio::test]
async fn inv_p7_what_was_hidden_comes_to_the_front_and_what_is_over_goes() {
    let shop = shop(5).await;
    let order = shop.order(1).await;
    shop.confirm(&order.payment).await.expect(200);
    let amount = |minor: i64| json!({ "amount": { "amount": minor, "currency": "EUR" }, "reason": "goodwill" });
    let decide = |refund: String, verb: &'static str| {
        shop.post(&format!("/api/v1/shop/refunds/{refund}/actions/{verb}")).by(&staff()).json(&json!({}))
    };
    let failing = shop.refund(&order.id, "one", amount(1_000)).await.expect(201).text("/id");
    decide(failing, "fail").await.expect(200);
    // Called off, everything is to be sent back by a person; that the first one failed is hidden behind it.
    shop.post(&format!("/api/v1/shop/orders/{}/actions/cancel", order.id)).by(&staff()).json(&json!({})).await.expect(200);
    assert_eq!(shop.look(&order.id).await["attention"], "refund_to_be_made");
    let acknowledge = json!({ "attention": "refund_to_be_made" });
    let path = format!("/api/v1/shop/orders/{}/actions/acknowledge", order.id);
    assert_eq!(shop.post(&path).by(&staff()).json(&acknowledge).await.expect(200)["attention"], "refund_failed");
    let refunds = shop.get(&format!("/api/v1/shop/orders/{}/refunds", order.id)).by(&staff()).await.expect(200);
    decide(refunds.text("/items/1/id"), "confirm").await.expect(200);
    assert_eq!(shop.look(&order.id).await["attention"], json!(null));
    shop.audit_is_clean().await;
    shop.run_jobs().await;
}

#[tokio::test]
async fn r22_walking_the_pages_yields_each_order_once_newest_first() {
    let shop = shop(20).await;
    let mut made = Vec::new();
    for _ in 0..7 {
        made.push(shop.order(1).await.id);
    }
    let mut found: Vec<String> = Vec::new();
    let mut cursor = None;
    loop {
        let mut request = shop.get("/api/v1/shop/orders").query("limit", 3).query("status", "confirmed").by(&staff());
        if let Some(cursor) = &cursor {
            request = request.query("cursor", cursor);
        }
        let (page, statements) = shop.statements(request.into_future_page()).await;
        assert!(statements <= 6, "{statements}");
        found.extend(page["items"].as_array().unwrap().iter().filter_map(|order| order["id"].as_str().map(str::to_owned)));
        match page["next_cursor"].as_str() {
            Some(next) => cursor = Some(next.to_owned()),
            None => break,
        }
    }
    made.reverse();
    assert_eq!(found, made);
    let first = shop.get("/api/v1/shop/orders").query("limit", 3).by(&staff()).await.expect(200).text("/next_cursor");
    shop.get("/api/v1/shop/orders")
        .query("cursor", &first)
        .query("status", "pending")
        .by(&staff())
        .await
        .expect(400)
        .problem("cursor_invalid");
    shop.get("/api/v1/shop/ledger-entries").query("cursor", &first).by(&staff()).await.expect(400).problem("cursor_invalid");
    let (_, statements) = shop.statements(shop.look(&made[0])).await;
    assert!(statements <= 6, "{statements}");
    shop.run_jobs().await;
}

trait Page {
    async fn into_future_page(self) -> Value;
}

impl Page for testkit::Request {
    async fn into_future_page(self) -> Value {
        self.await.expect(200).body
    }
}

#[tokio::test]
async fn inv_o7_who_may_only_read_orders_neither_pays_nor_cancels_them() {
    let (shop, fake) = stripe_shop(5).await;
    let order = shop.card_order(1).await;
    let before = shop.look(&order.id).await;
    let cancel = || shop.post(&format!("/api/v1/shop/orders/{}/actions/cancel", order.id)).json(&json!({}));
    let pay = |key: &str| {
        let request = shop.post(&format!("/api/v1/shop/orders/{}/payments", order.id)).header("Idempotency-Key", key);
        request.json(&json!({ "payment_method": "stripe" }))
    };
    let accountant = testkit::Doorman::person("acc", &["shop:orders:read", "shop:payments:read"]);
    cancel().by(&accountant).await.expect(403).problem("forbidden");
    pay("the-key-of-an-accountant").by(&accountant).await.expect(403).problem("forbidden");
    cancel().by(&ada()).await.expect(404);
    pay("the-key-of-a-stranger").by(&ada()).await.expect(404);
    assert_eq!((shop.look(&order.id).await.body, fake.intents().len()), (before.body, 1));
    // Staff may begin a payment for the buyer, but never sees what the buyer's browser needs.
    let clerk = testkit::Doorman::person("clerk", &["shop:orders:read", "shop:orders:manage"]);
    let begun = pay("the-key-of-the-clerk").by(&clerk).await.expect(201);
    assert_eq!((&begun["state"], &begun["client_data"]), (&json!("pending"), &json!(null)));
    cancel().by(&clerk).await.expect(403).problem("forbidden");
    shop.run_jobs().await;
}

#[tokio::test]
async fn inv_o7_the_number_of_a_failed_checkout_is_not_used_again() {
    let shop = shop(1).await;
    let number = async |order: &Ordered| shop.look(&order.id).await.text("/number").parse::<i64>().expect("a number");
    let first = number(&shop.order(1).await).await;
    let cart = shop.cart(1).await;
    check_out(&shop, &cart, BANK, "a-checkout-that-fails").await.expect(409).problem("out_of_stock");
    stock(&shop, &shop.location, &shop.item, 1).await;
    assert_eq!(number(&shop.order(1).await).await, first + 2);
    shop.run_jobs().await;
}

#[tokio::test]
async fn inv_s5_an_order_that_is_packed_neither_expires_nor_loses_its_payment() {
    let shop = shop(5).await;
    let order = shop.order(2).await;
    shop.ship(&order.id, &order.line, 1).await.expect(200);
    let cancel = format!("/api/v1/shop/orders/{}/actions/cancel", order.id);
    shop.post(&cancel).by(&staff()).json(&json!({})).await.expect(409).problem("invalid_state");
    assert_eq!(shop.look(&order.id).await["payments"][0]["state"], "pending");
    shop.pass(DAY * 15).await;
    let kept = shop.look(&order.id).await;
    assert_eq!((&kept["status"], &kept["attention"]), (&json!("confirmed"), &json!("payment_overdue")));
    assert_eq!((&kept["payments"][0]["state"], shop.shelf().await), (&json!("pending"), (4, 1)));
    shop.confirm(&order.payment).await.expect(200);
    // Paid after all: nobody needs to look any more.
    assert_eq!(shop.look(&order.id).await["attention"], json!(null));
    shop.audit_is_clean().await;
}
