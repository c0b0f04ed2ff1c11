//! Mails about orders: each once per order and occasion (INV-O5).

use serde_json::json;
use testkit::Mail;

use crate::support::*;

async fn mails(shop: &TestShop) -> Vec<Mail> {
    shop.pass(std::time::Duration::from_secs(6)).await;
    shop.mails().await.into_iter().filter(|mail| mail.template.starts_with("shop/")).collect()
}

fn kinds(mails: &[Mail]) -> Vec<&str> {
    mails.iter().map(|mail| mail.template.trim_start_matches("shop/order_")).collect()
}

#[tokio::test]
async fn inv_o5_every_occasion_is_mailed_once() {
    let shop = shop(5).await;
    let order = shop.order(2).await;
    assert_eq!(kinds(&mails(&shop).await), ["placed"]);
    shop.confirm(&order.payment).await.expect(200);
    assert_eq!(kinds(&mails(&shop).await), ["placed", "paid"]);
    shop.ship(&order.id, &order.line, 1).await.expect(200);
    shop.ship(&order.id, &order.line, 1).await.expect(200);
    let body = json!({ "amount": { "amount": 100, "currency": "EUR" }, "reason": "late" });
    let refund = shop.refund(&order.id, "one", body).await.expect(201).text("/id");
    shop.post(&format!("/api/v1/shop/refunds/{refund}/actions/confirm")).by(&staff()).json(&json!({})).await.expect(200);
    let all = mails(&shop).await;
    assert_eq!(kinds(&all), ["placed", "paid", "shipped", "shipped", "refunded"]);
    assert!(all[2].text.contains("DHL") && all[2].text.contains("00340"), "{}", all[2].text);
    assert!(all[4].text.contains("1.00 EUR"), "{}", all[4].text);
    assert_eq!(mails(&shop).await.len(), 5);
}

#[tokio::test]
async fn inv_o7_the_mail_opens_the_order_by_the_fragment_of_its_link() {
    let shop = shop(5).await;
    let order = shop.order(1).await;
    let placed = mails(&shop).await.remove(0);
    assert_eq!(placed.to, "guest@example.com");
    assert!(placed.text.contains("29.89 EUR") && placed.text.contains("DE02") && placed.html.contains("29.89 EUR"), "{}", placed.text);
    let link = placed.text.split_whitespace().find(|word| word.contains('#')).expect("a link");
    let (page, secret) = link.split_once('#').unwrap();
    assert_eq!((page, secret), (format!("http://undercroft.test/account/orders/{}", order.id).as_str(), order.secret.as_str()));
    shop.get(&format!("/api/v1/shop/orders/{}", order.id)).header("Order-Secret", secret).await.expect(200);
}

#[tokio::test]
async fn inv_o5_only_a_person_sends_a_mail_again() {
    let shop = shop(5).await;
    let order = shop.order(1).await;
    let path = format!("/api/v1/shop/orders/{}/mails", order.id);
    shop.post(&path).by(&staff()).json(&json!({ "kind": "placed" })).await.expect(204);
    shop.post(&path).by(&staff()).json(&json!({ "kind": "paid" })).await.expect(409).problem("invalid_state");
    shop.post(&path).by(&staff()).json(&json!({ "kind": "poem" })).await.expect(422).field("/kind", "not_allowed");
    assert_eq!(kinds(&mails(&shop).await), ["placed", "placed"]);
}

#[tokio::test]
async fn a_canceled_and_an_expired_order_are_mailed_in_the_buyers_language() {
    let shop = shop(5).await;
    let cart = shop.cart(1).await;
    let german = json!({ "locale": "de-AT" });
    shop.patch(&format!("/api/v1/shop/carts/{}", cart.id)).header("Cart-Secret", &cart.secret).json(&german).await.expect(200);
    let canceled = Ordered::of(&check_out(&shop, &cart, BANK, &key(&cart)).await.expect(201));
    shop.order(1).await;
    let cancel = format!("/api/v1/shop/orders/{}/actions/cancel", canceled.id);
    shop.post(&cancel).by(&staff()).json(&json!({ "reason": "sold elsewhere" })).await.expect(200);
    shop.pass(DAY * 15).await;
    let all = mails(&shop).await;
    assert_eq!(kinds(&all), ["placed", "placed", "canceled", "expired"]);
    assert!(all[0].subject.contains("Ihre Bestellung") && all[2].text.contains("storniert") && all[3].subject.contains("expired"));
    shop.audit_is_clean().await;
}
