//! What these tests share: a merchant, a small catalog, guests with carts.

use std::future::IntoFuture;

use futures_util::future::join_all;
use serde_json::{Value, json};
use shop::Shop;
use testkit::{Doorman, Node, Person, Request, TestApp, TestResponse};

/// An app of the shop and a doorman.
pub(crate) async fn app() -> TestApp {
    app_with(&[]).await
}

/// The same with other settings.
pub(crate) async fn app_with(settings: &[(&str, &str)]) -> TestApp {
    let builder = TestApp::builder().module(Doorman).module(Shop::new());
    settings.iter().fold(builder, |builder, (key, value)| builder.setting(key, value)).start().await
}

/// Whoever may do everything.
pub(crate) fn merchant() -> Person {
    Doorman::person("merchant", &["*"])
}

/// Somebody with an account and no permissions.
pub(crate) fn buyer(name: &str) -> Person {
    Doorman::person(name, &[""])
}

pub(crate) fn euros(minor: i64) -> Value {
    json!({ "amount": minor, "currency": "EUR" })
}

/// A product on sale with one variant at this price; answers with its variant's id.
pub(crate) async fn product(app: &TestApp, title: &str, minor: i64) -> Sold {
    product_with(app, json!({ "title": title, "status": "active", "variants": [{ "prices": [{ "price": euros(minor) }] }] })).await
}

/// Something on sale.
#[derive(Clone, Debug)]
pub(crate) struct Sold {
    pub(crate) product: String,
    pub(crate) variant: String,
    pub(crate) item: String,
    pub(crate) location: String,
}

pub(crate) async fn product_with(app: &TestApp, body: Value) -> Sold {
    let made = app.post("/api/v1/shop/products").by(&merchant()).json(&body).await.expect(201);
    let variant = made.text("/variants/0/id");
    let stock = app.get(&format!("/api/v1/shop/stock?variant_id={variant}")).by(&merchant()).await.expect(200);
    let text = |pointer: &str| stock.body.pointer(pointer).and_then(Value::as_str).unwrap_or("").to_owned();
    Sold { product: made.text("/id"), variant, item: text("/items/0/item_id"), location: text("/items/0/location_id") }
}

/// Puts units on the shelf.
pub(crate) async fn supply(app: &TestApp, sold: &Sold, units: i64) {
    adjust(app, sold, units).await.expect(200);
}

pub(crate) fn adjust(app: &TestApp, sold: &Sold, units: i64) -> Request {
    let body = json!({ "item_id": sold.item, "location_id": sold.location, "quantity": units, "reason": "Delivery" });
    app.post("/api/v1/shop/stock/adjustments").by(&merchant()).json(&body)
}

/// A guest with an open cart.
#[derive(Clone, Debug)]
pub(crate) struct Guest {
    pub(crate) cart: String,
    pub(crate) secret: String,
}

pub(crate) async fn guest(app: &TestApp) -> Guest {
    let made = app.post("/api/v1/shop/carts").json(&json!({})).await.expect(201);
    Guest { cart: made.text("/id"), secret: made.text("/secret") }
}

impl Guest {
    pub(crate) fn path(&self, rest: &str) -> String {
        format!("/api/v1/shop/carts/{}{rest}", self.cart)
    }

    pub(crate) fn with_secret(&self, request: Request) -> Request {
        request.header("Cart-Secret", &self.secret)
    }

    pub(crate) fn get(&self, node: &Node) -> Request {
        self.with_secret(node.get(&self.path("")))
    }

    pub(crate) fn add(&self, node: &Node, variant: &str, quantity: i64) -> Request {
        self.with_secret(node.post(&self.path("/lines"))).json(&json!({ "variant_id": variant, "quantity": quantity }))
    }

    pub(crate) fn ship_to(&self, node: &Node, address: Value) -> Request {
        self.with_secret(node.put(&self.path("/addresses"))).json(&json!({ "shipping": address, "billing": null }))
    }

    pub(crate) fn enter(&self, node: &Node, code: &str) -> Request {
        self.with_secret(node.post(&self.path("/codes"))).json(&json!({ "code": code }))
    }
}

pub(crate) fn address(country: &str, postal_code: &str) -> Value {
    json!({ "name": "Ada Lovelace", "line1": "Hauptstraße 1", "postal_code": postal_code, "city": "Somewhere", "country": country })
}

/// Makes something of the merchant's and answers with its id.
pub(crate) async fn make(app: &TestApp, what: &str, body: Value) -> String {
    app.post(&format!("/api/v1/shop/{what}")).by(&merchant()).json(&body).await.expect(201).text("/id")
}

pub(crate) async fn default_tax_class(app: &TestApp) -> String {
    app.get("/api/v1/shop/tax-classes").by(&merchant()).await.expect(200).text("/items/0/id")
}

/// A tax zone of these places with one rate of the default class.
pub(crate) async fn taxed(app: &TestApp, places: Value, ppm: u32) -> String {
    let zone = make(app, "tax-zones", json!({ "name": "Zone", "places": places })).await;
    let class = default_tax_class(app).await;
    make(app, "tax-rates", json!({ "zone_id": zone, "tax_class_id": class, "name": "VAT", "rate_ppm": ppm })).await;
    zone
}

/// A coupon of a promotion that takes a percentage off; answers with both ids.
pub(crate) async fn coupon(app: &TestApp, code: &str, promotion: Value, coupon: Value) -> (String, String) {
    let mut body = json!({ "name": "Sale", "action": "percent", "percent_ppm": 100_000 });
    merge(&mut body, promotion);
    let promotion = make(app, "promotions", body).await;
    let mut body = json!({ "promotion_id": promotion, "code": code });
    merge(&mut body, coupon);
    let coupon = make(app, "coupons", body).await;
    (promotion, coupon)
}

fn merge(into: &mut Value, from: Value) {
    for (name, value) in from.as_object().into_iter().flatten() {
        into[name] = value.clone();
    }
}

/// Sends all at once.
pub(crate) async fn at_once(requests: impl IntoIterator<Item = Request>) -> Vec<TestResponse> {
    join_all(requests.into_iter().map(IntoFuture::into_future)).await
}

/// How many answers have this status.
pub(crate) fn count(answers: &[TestResponse], status: u16) -> usize {
    answers.iter().filter(|answer| answer.status.as_u16() == status).count()
}

/// The codes of the problems that a cart tells.
pub(crate) fn problems(cart: &TestResponse) -> Vec<String> {
    cart["problems"].as_array().expect("problems").iter().map(|problem| problem["code"].as_str().unwrap_or("").to_owned()).collect()
}
