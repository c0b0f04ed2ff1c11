//! The books: ledger, audit, report (INV-P6, AUD-1, REP-1).

use serde_json::json;

use crate::support::*;

#[tokio::test]
async fn inv_p6_every_movement_is_booked_twice_and_sums_to_nothing() {
    let (shop, fake) = stripe_shop(5).await;
    let order = shop.card_order(1).await;
    fake.pay(fake.intent_of(&order.payment)["id"].as_str().unwrap());
    for _ in 0..3 {
        shop.post(&format!("/api/v1/shop/payments/{}/actions/sync", order.payment)).by(&staff()).json(&json!({})).await.expect(200);
    }
    shop.refund(&order.id, "one", json!({ "amount": { "amount": 1_000, "currency": "EUR" }, "reason": "x" })).await.expect(201);
    shop.run_jobs().await;
    let ledger = shop.get("/api/v1/shop/ledger-entries").query("order_id", &order.id).by(&staff()).await.expect(200);
    assert_eq!(ledger["items"].as_array().unwrap().len(), 6);
    let held = shop.booked(&order, "clearing:stripe").await;
    assert_eq!((held, shop.booked(&order, "customer").await), (order.total - 1_000, 1_000 - order.total));
    let fees = shop.booked(&order, "fees:stripe").await;
    assert!(fees > 0 && fees + shop.booked(&order, "clearing_fees:stripe").await == 0);
    assert_eq!(fake.received() - 1_000, held);
    shop.audit_is_clean().await;
}

#[tokio::test]
async fn aud1_the_audit_finds_what_was_changed_behind_its_back() {
    let shop = shop(5).await;
    let order = shop.order(2).await;
    shop.confirm(&order.payment).await.expect(200);
    command(&shop, &["shop", "audit"]).await.unwrap();
    for damage in [
        "UPDATE shop_orders SET total = total + 1",
        "UPDATE shop_orders SET captured = captured - 1",
        "UPDATE shop_payments SET captured = captured - 1",
        "UPDATE shop_stock_levels SET on_hand = on_hand + 1",
        "UPDATE shop_reservations SET quantity = quantity - 1",
        "UPDATE shop_order_lines SET gross = gross - 1",
        "UPDATE shop_order_taxes SET tax = tax + 1",
        "UPDATE shop_orders SET status = 'canceled'",
        "UPDATE shop_orders SET shipping_refunded = 1",
        "UPDATE shop_order_lines SET refunded_quantity = 1",
        "UPDATE shop_order_lines SET refunded_amount = 1",
        // The ledger cannot be changed, but somebody could add to it.
        "INSERT INTO shop_ledger_entries (id, tx_id, kind, account, amount, currency, order_id, payment_id, provider_reference, at) \
         SELECT order_id, tx_id, kind, account, 1, currency, order_id, payment_id, 'forged', at FROM shop_ledger_entries WHERE account = 'customer'",
    ] {
        shop.kernel().db().write(move |tx| tx.execute(damage, &[])).await.unwrap();
        let audit = shop.post("/api/v1/shop/audits").by(&staff()).json(&json!({})).await.expect(200);
        let found = audit["differences"].as_array().unwrap();
        assert!(!found.is_empty(), "{damage}");
    }
    let error = command(&shop, &["shop", "audit", "--json"]).await.unwrap_err();
    assert_eq!(error.code(), "conflict");
    shop.run_jobs().await;
}

#[tokio::test]
async fn inv_p6_ledger_and_logs_are_written_once_where_the_engine_lets_us_say_so() {
    let shop = shop(5).await;
    let order = shop.order(2).await;
    shop.confirm(&order.payment).await.expect(200);
    // MySQL lets only administrators make triggers.
    if !shop.database_url().starts_with("mysql") {
        for sql in [
            "UPDATE shop_ledger_entries SET amount = amount + 1",
            "DELETE FROM shop_ledger_entries",
            "UPDATE shop_order_events SET actor = 'nobody'",
            "DELETE FROM shop_order_events",
        ] {
            let outcome = shop.kernel().db().write(move |tx| tx.execute(sql, &[])).await;
            assert!(outcome.is_err(), "{sql}");
        }
    }
    shop.audit_is_clean().await;
    shop.run_jobs().await;
}

#[tokio::test]
async fn rep1_a_days_figures_are_the_same_however_often_they_are_made() {
    let shop = shop(9).await;
    let order = shop.order(2).await;
    shop.order(1).await;
    shop.confirm(&order.payment).await.expect(200);
    shop.pass(MINUTE * 11).await;
    let sales = || shop.get("/api/v1/shop/reports/sales").query("from", "2026-11-22").query("to", "2026-11-22").by(&staff());
    let first = sales().await.expect(200);
    let row = |measure: &str| first["rows"].as_array().unwrap().iter().find(|row| row["measure"] == measure).cloned().unwrap();
    let orders = row("orders");
    assert_eq!((&orders["count"], &orders["amount"]["amount"]), (&json!(2), &json!(3 * 2_499 + 2 * 490)));
    assert_eq!(row("booked_capture")["amount"]["amount"], order.total);
    shop.pass(MINUTE * 10).await;
    assert_eq!(sales().await.expect(200).body, first.body);
    let products =
        shop.get("/api/v1/shop/reports/products").query("from", "2026-11-01").query("to", "2026-11-30").by(&staff()).await.expect(200);
    assert_eq!((&products["rows"][0]["variant_id"], &products["rows"][0]["count"]), (&json!(shop.variant), &json!(3)));
    let odd = |from: &str, to: &str| shop.get("/api/v1/shop/reports/sales").query("from", from).query("to", to).by(&staff());
    odd("2026-02-30", "2026-03-01").await.expect(422).field("from", "invalid_format");
    odd("2026-11-22", "2026-11-21").await.expect(422).field("to", "out_of_range");
    shop.get("/api/v1/shop/reports/dreams").query("from", "2026-11-22").query("to", "2026-11-22").by(&staff()).await.expect(404);
}

#[tokio::test]
async fn the_samples_are_orders_that_agree_with_the_books_and_come_once() {
    let shop = shop(0).await;
    let ctx = kernel::Ctx::system(shop.kernel(), "samples");
    for _ in 0..2 {
        shop.kernel().plan().fill_with_samples(&ctx, |_| {}).await.unwrap();
    }
    let orders = shop.get("/api/v1/shop/orders").by(&staff()).await.expect(200);
    let mut seen: Vec<String> = orders["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|order| format!("{} {} {}", order["status"], order["payment_status"], order["fulfilment_status"]).replace('"', ""))
        .collect();
    seen.sort_unstable();
    let expected = [
        "canceled unpaid unfulfilled",
        "confirmed paid fulfilled",
        "confirmed paid unfulfilled",
        "confirmed paid unfulfilled",
        "confirmed unpaid unfulfilled",
    ];
    assert_eq!(seen, expected);
    shop.audit_is_clean().await;
    shop.run_jobs().await;
}
