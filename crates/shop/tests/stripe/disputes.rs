//! Money that a bank takes back, at seahaven-stripe-world (INV-P7).

use serde_json::json;

use crate::support::*;
use crate::till::Till;

/// An order that was paid with a card whose owner disputes it at once.
async fn disputed(till: &Till) -> (Ordered, String) {
    let order = till.shop.card_order(1).await;
    let intent = till.intent(&order).await;
    assert_eq!(till.try_card(&intent, "tok_createDispute").await, 200);
    till.shop.pass(MINUTE * 2).await;
    let seen = till.shop.look(&order.id).await;
    assert_eq!(
        (&seen["status"], &seen["payment_status"], &seen["attention"]),
        (&json!("confirmed"), &json!("disputed"), &json!("disputed"))
    );
    let all = till.world.list("/v1/disputes", &[("payment_intent", &intent)]).await;
    assert_eq!((all.len(), all[0]["status"].as_str().unwrap()), (1, "needs_response"));
    (order, all[0]["id"].as_str().unwrap().to_owned())
}

#[tokio::test]
async fn inv_p7_a_disputed_payment_is_told_and_its_money_is_set_apart() {
    let till = Till::open(5).await;
    let (order, _) = disputed(&till).await;
    assert_eq!((till.booked("clearing:stripe").await, till.booked("disputes:stripe").await), (0, order.total));
    assert_eq!(till.shop.order_events().await.iter().filter(|name| *name == "shop.payment.disputed").count(), 1);
    // What the bank's own work costs is kept beside what the charge cost (INV-P6).
    let of_dispute = till.world.list("/v1/balance_transactions", &[("type", "adjustment")]).await[0]["fee"].as_i64().unwrap();
    assert!(of_dispute > 0);
    assert_eq!(till.booked("fees:stripe").await, till.theirs("fee").await);
    till.books_agree().await;
}

#[tokio::test]
async fn inv_p7_a_won_dispute_brings_the_money_back() {
    let till = Till::open(5).await;
    let (order, dispute) = disputed(&till).await;
    let evidence = [("evidence[uncategorized_text]", "winning_evidence"), ("submit", "true")];
    till.world.post(&format!("/v1/disputes/{dispute}"), &evidence).await;
    // The bank takes a moment of its own: the dispute is asked for until it is decided.
    for _ in 0..200 {
        if till.world.get(&format!("/v1/disputes/{dispute}"), &[]).await["status"] == "won" {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    till.shop.pass(MINUTE * 2).await;
    assert_eq!(till.state(&order).await.1, "paid");
    assert_eq!((till.booked("clearing:stripe").await, till.booked("disputes:stripe").await), (order.total, 0));
    till.books_agree().await;
}

#[tokio::test]
async fn inv_p7_a_lost_dispute_stays_what_it_is() {
    let till = Till::open(5).await;
    let (order, dispute) = disputed(&till).await;
    assert_eq!(till.world.post(&format!("/v1/disputes/{dispute}/close"), &[]).await["status"], "lost");
    till.shop.pass(MINUTE * 2).await;
    assert_eq!(till.state(&order).await.1, "disputed");
    assert_eq!(till.booked("disputes:stripe").await, order.total);
    till.books_agree().await;
}

#[tokio::test]
async fn inv_p7_an_inquiry_takes_no_money() {
    let till = Till::open(5).await;
    let order = till.shop.card_order(1).await;
    let intent = till.intent(&order).await;
    assert_eq!(till.try_card(&intent, "tok_visa_createDisputeInquiry").await, 200);
    till.shop.pass(MINUTE * 2).await;
    assert_eq!(till.state(&order).await.1, "disputed");
    assert_eq!((till.booked("clearing:stripe").await, till.booked("disputes:stripe").await), (order.total, 0));
    till.books_agree().await;
}
