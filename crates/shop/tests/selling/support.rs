//! What these tests share: a shop with something to sell, carts that can be ordered, and a stand-in for Stripe.

use std::future::IntoFuture;
use std::time::Duration;

use futures_util::future::join_all;
use kernel::{App, Ctx};
use serde_json::{Value, json};
use shop::Shop;
use testkit::stripe::StripeFake;
use testkit::{Doorman, Node, Person, Request, TestApp, TestResponse};

pub(crate) const MINUTE: Duration = Duration::from_secs(60);
pub(crate) const DAY: Duration = Duration::from_secs(24 * 3600);
pub(crate) const WEBHOOK_SECRET: &str = "whsec_test_canary";
pub(crate) const BANK: &str = "offline:bank_transfer";

/// Somebody who may do everything.
pub(crate) fn staff() -> Person {
    Doorman::person("staff", &["*"])
}

/// Somebody with an account and nothing else.
pub(crate) fn ada() -> Person {
    Doorman::person("ada", &["nothing"])
}

/// A shop with one thing to sell.
pub(crate) struct TestShop {
    pub(crate) app: TestApp,
    pub(crate) location: String,
    pub(crate) variant: String,
    pub(crate) item: String,
    pub(crate) method: String,
}

impl std::ops::Deref for TestShop {
    type Target = TestApp;
    fn deref(&self) -> &TestApp {
        &self.app
    }
}

/// A shop with so many units of one thing at 24.99 with 19 % tax inside, and a parcel for 4.90.
pub(crate) async fn shop(units: i64) -> TestShop {
    shop_with(units, &[]).await
}

/// The same with other settings.
pub(crate) async fn shop_with(units: i64, settings: &[(&str, &str)]) -> TestShop {
    let builder = TestApp::builder().module(Doorman).module(Shop::new()).setting("shop.checkout.tries_per_minute", "100000");
    let builder = builder.setting("shop.payments.offline.instructions", "Please transfer the total to DE02 1203 0000 0000 2020 51.");
    let app = settings.iter().fold(builder, |builder, (key, value)| builder.setting(key, value)).start().await;
    let location = first_id(&app, "/api/v1/shop/locations").await;
    let class = first_id(&app, "/api/v1/shop/tax-classes").await;
    let places = json!([{ "country": "DE" }]);
    let zone = make(&app, "/api/v1/shop/tax-zones", json!({ "name": "Germany", "places": places })).await;
    let rate = json!({ "zone_id": zone, "tax_class_id": class, "name": "VAT", "rate_ppm": 190_000 });
    make(&app, "/api/v1/shop/tax-rates", rate).await;
    let zone = make(&app, "/api/v1/shop/shipping-zones", json!({ "name": "Germany", "places": places })).await;
    let parcel = json!({
        "zone_id": zone, "name": "Parcel", "calculator": "flat", "prices": [{ "currency": "EUR", "amount": 490 }], "tax_class_id": class
    });
    let method = make(&app, "/api/v1/shop/shipping-methods", parcel).await;
    let (variant, item) = sell(&app, &location, "SHIRT", 2_499, units).await;
    // From now on schedules fire when their time comes.
    app.run_jobs().await;
    TestShop { app, location, variant, item, method }
}

/// A shop that is also paid through a stand-in for Stripe.
pub(crate) async fn stripe_shop(units: i64) -> (TestShop, StripeFake) {
    stripe_shop_with(units, &[]).await
}

/// The same with other settings.
pub(crate) async fn stripe_shop_with(units: i64, settings: &[(&str, &str)]) -> (TestShop, StripeFake) {
    // The clock of every test begins at noon of this day.
    let fake = StripeFake::start(1_795_348_800).await;
    let base = fake.base();
    let mut all = vec![
        ("shop.payments.methods", r#"["offline:bank_transfer", "stripe", "stripe:card"]"#),
        ("shop.payments.stripe.secret_key", "sk_test_canary"),
        ("shop.payments.stripe.publishable_key", "pk_test_public"),
        ("shop.payments.stripe.webhook_secrets", r#"["whsec_test_canary"]"#),
        ("shop.payments.stripe.api_base", &base),
    ];
    all.extend_from_slice(settings);
    (shop_with(units, &all).await, fake)
}

async fn first_id(app: &TestApp, path: &str) -> String {
    app.get(path).by(&staff()).await.expect(200).text("/items/0/id")
}

/// Makes something and answers with its id.
pub(crate) async fn make(app: &TestApp, path: &str, body: Value) -> String {
    app.post(path).by(&staff()).json(&body).await.expect(201).text("/id")
}

/// Puts something on sale: its variant and its item.
pub(crate) async fn sell(app: &TestApp, location: &str, sku: &str, price: i64, units: i64) -> (String, String) {
    let product = json!({
        "title": format!("Thing {sku}"), "status": "active",
        "variants": [{ "sku": sku, "weight_grams": 200, "prices": [{ "price": { "amount": price, "currency": "EUR" } }] }]
    });
    let variant = app.post("/api/v1/shop/products").by(&staff()).json(&product).await.expect(201).text("/variants/0/id");
    let item = app.get("/api/v1/shop/stock").query("variant_id", &variant).by(&staff()).await.expect(200).text("/items/0/item_id");
    if units > 0 {
        stock(app, location, &item, units).await;
    }
    (variant, item)
}

/// Puts units on the shelf.
pub(crate) async fn stock(app: &TestApp, location: &str, item: &str, units: i64) {
    let adjustment = json!({ "item_id": item, "location_id": location, "quantity": units, "reason": "delivery" });
    let done = app.post("/api/v1/shop/stock/adjustments").by(&staff()).json(&adjustment).await;
    assert!(done.status.is_success(), "{done}");
}

/// A guest's cart that can be ordered.
#[derive(Clone, Debug)]
pub(crate) struct GuestCart {
    pub(crate) id: String,
    pub(crate) secret: String,
    pub(crate) total: Value,
}

pub(crate) fn address() -> Value {
    json!({ "name": "Ada Lovelace", "line1": "Hauptstraße 1", "postal_code": "10115", "city": "Berlin", "country": "DE" })
}

impl TestShop {
    /// What stands on an account for an order.
    pub(crate) async fn booked(&self, order: &Ordered, account: &str) -> i64 {
        let ledger = self.get("/api/v1/shop/ledger-entries").query("order_id", &order.id).by(&staff()).await.expect(200);
        let rows = ledger["items"].as_array().into_iter().flatten().filter(|row| row["account"] == account);
        rows.filter_map(|row| row["amount"]["amount"].as_i64()).sum()
    }

    /// A cart with so many units of the one thing.
    pub(crate) async fn cart(&self, quantity: i64) -> GuestCart {
        self.cart_of(&[(self.variant.as_str(), quantity)]).await
    }

    /// A cart with these variants.
    pub(crate) async fn cart_of(&self, lines: &[(&str, i64)]) -> GuestCart {
        let begun = self.post("/api/v1/shop/carts").json(&json!({ "email": "guest@example.com" })).await.expect(201);
        let (id, secret) = (begun.text("/id"), begun.text("/secret"));
        for (variant, quantity) in lines {
            let line = json!({ "variant_id": variant, "quantity": quantity });
            self.post(&format!("/api/v1/shop/carts/{id}/lines")).header("Cart-Secret", &secret).json(&line).await.expect(200);
        }
        let body = json!({ "shipping": address(), "billing": null });
        self.put(&format!("/api/v1/shop/carts/{id}/addresses")).header("Cart-Secret", &secret).json(&body).await.expect(200);
        let body = json!({ "method_id": self.method });
        let cart = self.put(&format!("/api/v1/shop/carts/{id}/shipping")).header("Cart-Secret", &secret).json(&body).await.expect(200);
        GuestCart { id, secret, total: cart["totals"]["total"].clone() }
    }

    /// An order of one cart, paid by bank transfer.
    pub(crate) async fn order(&self, quantity: i64) -> Ordered {
        let cart = self.cart(quantity).await;
        Ordered::of(&check_out(self, &cart, BANK, &key(&cart)).await.expect(201))
    }

    /// An order that waits for a card.
    pub(crate) async fn card_order(&self, quantity: i64) -> Ordered {
        let cart = self.cart(quantity).await;
        Ordered::of(&check_out(self, &cart, "stripe", &key(&cart)).await.expect(201))
    }

    /// The order as staff sees it now.
    pub(crate) async fn look(&self, order: &str) -> TestResponse {
        self.get(&format!("/api/v1/shop/orders/{order}")).by(&staff()).await.expect(200)
    }

    /// How many units lie there, and how many of them orders hold.
    pub(crate) async fn shelf(&self) -> (i64, i64) {
        self.shelf_of(&self.item).await
    }

    pub(crate) async fn shelf_of(&self, item: &str) -> (i64, i64) {
        let levels = self.get("/api/v1/shop/stock").query("item_id", item).by(&staff()).await.expect(200);
        let level = &levels["items"][0];
        (level["on_hand"].as_i64().expect("units"), level["reserved"].as_i64().expect("units"))
    }

    /// Confirms that the money of an offline payment has come.
    pub(crate) async fn confirm(&self, payment: &str) -> TestResponse {
        let path = format!("/api/v1/shop/payments/{payment}/actions/confirm");
        self.post(&path).by(&staff()).json(&json!({ "reference": "statement 47" })).await
    }

    /// Gives money back.
    pub(crate) async fn refund(&self, order: &str, key: &str, body: Value) -> TestResponse {
        self.post(&format!("/api/v1/shop/orders/{order}/refunds")).by(&staff()).header("Idempotency-Key", key).json(&body).await
    }

    /// Packs units and ships the parcel.
    pub(crate) async fn ship(&self, order: &str, line: &str, quantity: i64) -> TestResponse {
        let body = json!({ "location_id": self.location, "lines": [{ "line_id": line, "quantity": quantity }], "carrier": "DHL", "tracking": "00340" });
        let parcel = self.post(&format!("/api/v1/shop/orders/{order}/fulfilments")).by(&staff()).json(&body).await.expect(201).text("/id");
        self.post(&format!("/api/v1/shop/fulfilments/{parcel}/actions/ship")).by(&staff()).json(&json!({})).await
    }

    /// Lets time pass, and the jobs that are due by then run.
    pub(crate) async fn pass(&self, time: Duration) {
        self.advance(time);
        self.run_jobs().await;
    }

    /// The books agree: nothing differs.
    pub(crate) async fn audit_is_clean(&self) {
        let audit = self.post("/api/v1/shop/audits").by(&staff()).json(&json!({})).await.expect(200);
        assert_eq!(audit["differences"], json!([]), "{audit}");
    }

    /// The names of the events of orders, payments, refunds and parcels so far.
    pub(crate) async fn order_events(&self) -> Vec<String> {
        let is_ours =
            |name: &String| ["order", "payment", "refund", "fulfilment"].iter().any(|kind| name.starts_with(&format!("shop.{kind}.")));
        self.event_names().await.into_iter().filter(is_ours).collect()
    }
}

/// What a buyer holds after the checkout.
#[derive(Clone, Debug)]
pub(crate) struct Ordered {
    pub(crate) id: String,
    pub(crate) secret: String,
    pub(crate) payment: String,
    pub(crate) line: String,
    pub(crate) total: i64,
}

impl Ordered {
    pub(crate) fn of(answer: &TestResponse) -> Ordered {
        Ordered {
            id: answer.text("/order/id"),
            secret: answer.text("/order_secret"),
            payment: answer.text("/payment/id"),
            line: answer.text("/order/lines/0/id"),
            total: answer["order"]["total"]["amount"].as_i64().expect("an amount"),
        }
    }
}

/// A key of its own for each cart.
pub(crate) fn key(cart: &GuestCart) -> String {
    format!("checkout-of-cart-{}", cart.id)
}

/// A request that orders a cart.
pub(crate) fn check_out(node: &Node, cart: &GuestCart, method: &str, key: &str) -> Request {
    let body = json!({ "cart_id": cart.id, "expected_total": cart.total, "payment_method": method });
    node.post("/api/v1/shop/orders").header("Cart-Secret", &cart.secret).header("Idempotency-Key", key).json(&body)
}

/// Sends all at once.
pub(crate) async fn at_once(requests: impl IntoIterator<Item = Request>) -> Vec<TestResponse> {
    join_all(requests.into_iter().map(IntoFuture::into_future)).await
}

/// How many answers have this status.
pub(crate) fn count(answers: &[TestResponse], status: u16) -> usize {
    answers.iter().filter(|answer| answer.status.as_u16() == status).count()
}

/// Runs a verb of the command line, such as `["shop", "audit"]`.
pub(crate) async fn command(node: &Node, words: &[&str]) -> kernel::Result<()> {
    let verbs = node.kernel().plan().verbs();
    let verb = verbs.iter().find(|verb| verb.name() == words[0]).unwrap_or_else(|| panic!("no verb {}", words[0]));
    let matches = verb.shape().try_get_matches_from(words).unwrap_or_else(|error| panic!("{error}"));
    verb.run(Ctx::system(node.kernel(), "command"), matches).await
}

/// Changes a row while a call to the stand-in is under way, as another node would.
pub(crate) fn behind_its_back(app: &App, sql: &'static str) {
    let app = app.clone();
    let change = move || {
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        runtime.block_on(app.db().write(move |tx| tx.execute(sql, &[]))).expect("the change");
    };
    std::thread::spawn(change).join().expect("the other node");
}

/// Delivers an event of the stand-in as Stripe would.
pub(crate) fn deliver(node: &Node, seconds: i64, event: &Value) -> Request {
    let (header, body) = StripeFake::signed(WEBHOOK_SECRET, seconds, event);
    node.post("/api/v1/shop/provider-events/stripe").header("Stripe-Signature", &header).body("application/json", body)
}
