//! What the benchmark asks of links, blog and shop: filled through their own operations, so that it is what clients make.

use std::fmt::Write as _;
use std::path::Path;

use anyhow::{Context as _, Result};
use axum::Router;
use http::Method;
use serde_json::{Value, json};

use crate::client::Client;

const PARAGRAPH: &str = "The quick brown fox jumps over the lazy dog. ";
const AUTHORS: u32 = 5;
const TAGS: u32 = 20;
/// Carts that wait to be ordered; each checkout uses one up.
const CARTS: u32 = 40_000;
const UNITS: u32 = 100_000_000;
/// Requests that fill the server at the same time: they share commits.
const AT_ONCE: usize = 64;

/// Fills an empty server: links `link-n`, posts `post-n`, and a cart for each checkout, listed in `carts` of the data folder.
pub(crate) async fn fill(router: &Router, token: &str, data: &Path, count: u32) -> Result<()> {
    let carts = data.join("carts");
    if count == 0 || carts.exists() {
        return Ok(());
    }
    let owner = Client::new(router, Some(token));
    fill_links(&owner, count).await?;
    fill_posts(&owner, count).await?;
    let lines = fill_shop(&owner, &Client::new(router, None)).await?;
    std::fs::write(carts, lines)?;
    Ok(())
}

async fn fill_links(owner: &Client<'_>, count: u32) -> Result<()> {
    let make = async |n: u32| {
        let link = json!({ "url": format!("https://example.com/target/{n}?from=bench"), "slug": format!("link-{n}") });
        owner.send(Method::POST, "/api/v1/links", &link).await
    };
    at_once(0..count, make).await.map(drop)
}

async fn fill_posts(owner: &Client<'_>, count: u32) -> Result<()> {
    let named = async |path: &str, what: &str, n: u32| {
        let made = owner.send(Method::POST, path, &json!({ "name": format!("{what} {n}") })).await?;
        made["id"].as_str().map(str::to_owned).context("no id")
    };
    let (mut authors, mut tags) = (Vec::new(), Vec::new());
    for n in 0..AUTHORS {
        authors.push(named("/api/v1/blog/authors", "Author", n).await?);
    }
    for n in 0..TAGS {
        tags.push(named("/api/v1/blog/tags", "Tag", n).await?);
    }
    let source = [PARAGRAPH.repeat(10).as_str(); 4].join("\n\n");
    let make = async |n: u32| {
        let author = |at: u32| &authors[((n + at) % AUTHORS) as usize];
        let tag = |at: u32| &tags[((n + at * 7) % TAGS) as usize];
        let post = json!({
            "title": format!("Post {n}"), "body": { "format": "markdown", "source": source },
            "author_ids": (0..1 + n % 2).map(author).collect::<Vec<_>>(), "tag_ids": (0..3).map(tag).collect::<Vec<_>>(),
        });
        let made = owner.send(Method::POST, "/api/v1/blog/posts", &post).await?;
        let path = format!("/api/v1/blog/posts/{}/actions/publish", made["id"].as_str().context("no id")?);
        owner.send(Method::POST, &path, &json!({})).await
    };
    at_once(0..count, make).await.map(drop)
}

/// A product of three variants that never runs out, and a line `id secret total` for each cart.
async fn fill_shop(owner: &Client<'_>, guest: &Client<'_>) -> Result<String> {
    let first_id = async |path: &str| owner.get(path).await?["items"][0]["id"].as_str().map(str::to_owned).context("no id");
    let make = async |path: &str, body: Value| {
        let made = owner.send(Method::POST, path, &body).await?;
        Ok::<_, anyhow::Error>(made["id"].as_str().map_or(Value::Null, Value::from))
    };
    let (location, class) = (first_id("/api/v1/shop/locations").await?, first_id("/api/v1/shop/tax-classes").await?);
    let places = json!([{ "country": "DE" }]);
    let zone = make("/api/v1/shop/tax-zones", json!({ "name": "Germany", "places": places })).await?;
    make("/api/v1/shop/tax-rates", json!({ "zone_id": zone, "tax_class_id": class, "name": "VAT", "rate_ppm": 190_000 })).await?;
    let zone = make("/api/v1/shop/shipping-zones", json!({ "name": "Germany", "places": places })).await?;
    let parcel = json!({
        "zone_id": zone, "name": "Parcel", "calculator": "flat", "prices": [{ "currency": "EUR", "amount": 490 }], "tax_class_id": class
    });
    let method = make("/api/v1/shop/shipping-methods", parcel).await?;
    let mut variants = Vec::new();
    for n in 0..3 {
        let price = json!({ "price": { "amount": 1_999 + n, "currency": "EUR" } });
        let product = json!({
            "title": format!("Thing {n}"), "status": "active", "variants": [{ "sku": format!("T{n}"), "weight_grams": 200, "prices": [price] }]
        });
        let made = owner.send(Method::POST, "/api/v1/shop/products", &product).await?;
        let variant = made["variants"][0]["id"].as_str().context("no variant")?.to_owned();
        let level = owner.get(&format!("/api/v1/shop/stock?variant_id={variant}")).await?;
        let delivery = json!({ "item_id": level["items"][0]["item_id"], "location_id": location, "quantity": UNITS, "reason": "delivery" });
        owner.send(Method::POST, "/api/v1/shop/stock/adjustments", &delivery).await?;
        variants.push(variant);
    }
    let address = json!({ "name": "Ada Lovelace", "line1": "Hauptstraße 1", "postal_code": "10115", "city": "Berlin", "country": "DE" });
    let fill_cart = async |_: u32| {
        let cart = guest.send(Method::POST, "/api/v1/shop/carts", &json!({ "email": "guest@example.com" })).await?;
        let (id, secret) = (cart["id"].as_str().context("no id")?, cart["secret"].as_str().context("no secret")?);
        let (guest, path) = (guest.with_header("cart-secret", secret), |rest: &str| format!("/api/v1/shop/carts/{id}/{rest}"));
        for variant in &variants {
            guest.send(Method::POST, &path("lines"), &json!({ "variant_id": variant, "quantity": 1 })).await?;
        }
        guest.send(Method::PUT, &path("addresses"), &json!({ "shipping": address, "billing": null })).await?;
        let priced = guest.send(Method::PUT, &path("shipping"), &json!({ "method_id": method })).await?;
        Ok(json!({ "id": id, "secret": secret, "total": priced["totals"]["total"]["amount"] }))
    };
    let carts = at_once(0..CARTS, fill_cart).await?;
    let mut lines = String::new();
    for cart in carts {
        writeln!(lines, "{} {} {}", cart["id"].as_str().unwrap_or(""), cart["secret"].as_str().unwrap_or(""), cart["total"])?;
    }
    Ok(lines)
}

/// Runs `make` for every number, some at a time, and gives the answers in order.
async fn at_once(numbers: std::ops::Range<u32>, make: impl AsyncFn(u32) -> Result<Value>) -> Result<Vec<Value>> {
    let mut answers = Vec::new();
    let numbers: Vec<u32> = numbers.collect();
    for chunk in numbers.chunks(AT_ONCE) {
        for answer in futures_util::future::join_all(chunk.iter().map(|n| make(*n))).await {
            answers.push(answer?);
        }
    }
    Ok(answers)
}
