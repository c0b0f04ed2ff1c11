//! A shop that is paid through somebody else's Stripe, its buyers and its dashboard.

use serde_json::{Value, json};
use testkit::TestResponse;

use crate::support::*;
use crate::world::World;

/// A shop and the account that its money comes to.
pub(crate) struct Till {
    pub(crate) shop: TestShop,
    pub(crate) world: World,
}

impl Till {
    /// A shop with so many units, and an account of its own at seahaven-stripe-world.
    pub(crate) async fn open(units: i64) -> Till {
        Till::open_with(units, &[]).await
    }

    /// The same with other settings.
    pub(crate) async fn open_with(units: i64, settings: &[(&str, &str)]) -> Till {
        Till::at(World::seahaven().await, units, settings).await
    }

    /// A shop that is paid there.
    pub(crate) async fn at(world: World, units: i64, settings: &[(&str, &str)]) -> Till {
        let base = world.base();
        let mut all = vec![
            ("shop.payments.methods", r#"["offline:bank_transfer", "stripe", "stripe:card"]"#),
            ("shop.payments.stripe.secret_key", "sk_test_till"),
            ("shop.payments.stripe.publishable_key", "pk_test_till"),
            ("shop.payments.stripe.webhook_secrets", r#"["whsec_test_canary"]"#),
            ("shop.payments.stripe.api_base", &base),
        ];
        all.extend_from_slice(settings);
        Till { shop: shop_with(units, &all).await, world }
    }

    /// The id of the intent of an order's payment, of which there is one.
    pub(crate) async fn intent(&self, order: &Ordered) -> String {
        let all = self.intents_of(&order.payment).await;
        assert_eq!(all.len(), 1, "one intent for the payment {}: {all:#?}", order.payment);
        all[0]["id"].as_str().unwrap().to_owned()
    }

    /// Every intent that was made for a payment.
    pub(crate) async fn intents_of(&self, payment: &str) -> Vec<Value> {
        let mut all = self.world.list("/v1/payment_intents", &[]).await;
        all.retain(|intent| intent["metadata"]["payment"] == payment);
        all
    }

    /// An intent as it stands.
    pub(crate) async fn look_at(&self, intent: &str) -> Value {
        self.world.get(&format!("/v1/payment_intents/{intent}"), &[]).await
    }

    /// What the buyer's browser does: makes a method of a test card and confirms with it. Tells the status of the answer.
    pub(crate) async fn try_card(&self, intent: &str, token: &str) -> u16 {
        let method = self.world.post("/v1/payment_methods", &[("type", "card"), ("card[token]", token)]).await;
        let form = [("payment_method", method["id"].as_str().unwrap())];
        self.world.try_post(&format!("/v1/payment_intents/{intent}/confirm"), &form).await.0
    }

    /// The buyer pays with a card that works.
    pub(crate) async fn pay(&self, order: &Ordered) -> String {
        let intent = self.intent(order).await;
        assert_eq!(self.try_card(&intent, "tok_visa").await, 200);
        intent
    }

    /// An order that is paid, and that we know to be paid.
    pub(crate) async fn paid(&self, quantity: i64) -> Ordered {
        let order = self.shop.card_order(quantity).await;
        self.pay(&order).await;
        assert_eq!(self.sync(&order).await.expect(200)["state"], "captured");
        order
    }

    /// The buyer comes back to the shop.
    pub(crate) async fn sync(&self, order: &Ordered) -> TestResponse {
        let path = format!("/api/v1/shop/payments/{}/actions/sync", order.payment);
        self.shop.post(&path).header("Order-Secret", &order.secret).json(&json!({})).await
    }

    /// Status and payment status of an order.
    pub(crate) async fn state(&self, order: &Ordered) -> (String, String) {
        let order = self.shop.look(&order.id).await;
        (order.text("/status"), order.text("/payment_status"))
    }

    /// The sum of what was booked on an account.
    pub(crate) async fn booked(&self, account: &str) -> i64 {
        let (mut sum, mut cursor) = (0, None::<String>);
        loop {
            let mut request = self.shop.get("/api/v1/shop/ledger-entries").query("limit", 100).by(&staff());
            if let Some(cursor) = &cursor {
                request = request.query("cursor", cursor);
            }
            let page = request.await.expect(200);
            let ours = page["items"].as_array().unwrap().iter().filter(|entry| entry["account"] == account);
            sum += ours.filter_map(|entry| entry["amount"]["amount"].as_i64()).sum::<i64>();
            cursor = page["next_cursor"].as_str().map(str::to_owned);
            if cursor.is_none() {
                return sum;
            }
        }
    }

    /// The sum of what the provider booked, of its own balance transactions.
    pub(crate) async fn theirs(&self, member: &str) -> i64 {
        let all = self.world.list("/v1/balance_transactions", &[]).await;
        all.iter().filter_map(|booking| booking[member].as_i64()).sum()
    }

    /// Our clearing account is what the provider has booked, and our own books agree (INV-P6).
    pub(crate) async fn books_agree(&self) {
        assert_eq!(self.booked("clearing:stripe").await, self.theirs("amount").await);
        self.shop.audit_is_clean().await;
    }
}
