//! Products, variants, prices and media.

use std::time::Duration;

use serde_json::{Value, json};
use testkit::{Doorman, Person, Request, TestApp, TestResponse};

use crate::support::*;

#[tokio::test]
async fn a_product_with_variants_is_made_read_and_listed() {
    let app = app().await;
    let body = json!({
        "title": "Größe: Shirt", "status": "active", "vendor": "Kiln", "attributes": {"fit": "slim"},
        "options": [{"name": "Size", "values": ["S", "M"]}],
        "variants": [
            {"options": [{"name": "Size", "value": "S"}], "sku": "S-1", "weight_grams": 200, "prices": [{"price": euros(1_200)}]},
            {"options": [{"name": "size", "value": "m"}], "sku": "S-2", "prices": [{"price": euros(1_500), "compare_at": euros(2_000)}]}
        ]
    });
    let made = app.post("/api/v1/shop/products").by(&merchant()).json(&body).await.expect(201);
    assert_eq!(made["slug"], "grosse-shirt");
    assert_eq!(made.header("etag"), "\"v1\"");
    let read = app.get(made.header("location")).await.expect(200);
    assert_eq!(read.body, made.body);
    assert_eq!(read["variants"][1]["title"], "m");
    assert_eq!(read["variants"][1]["prices"][0]["compare_at"], euros(2_000));
    assert_eq!(app.get("/api/v1/shop/products/by-slug/grosse-shirt").await.expect(200).body, made.body);
    let list = app.get("/api/v1/shop/products?sort=title").await.expect(200);
    assert_eq!(list["items"][0]["price_from"], euros(1_200));
    assert_eq!(list["items"][0]["price_to"], euros(1_500));
    assert_eq!(app.event_names().await, ["shop.product.created"]);
}

#[tokio::test]
async fn r122_a_draft_is_not_there_for_buyers() {
    let app = app().await;
    let draft = product_with(&app, json!({ "title": "Secret", "variants": [{ "prices": [{ "price": euros(100) }] }] })).await;
    let path = format!("/api/v1/shop/products/{}", draft.product);
    app.get(&path).await.problem("not_found");
    app.get("/api/v1/shop/products/by-slug/secret").by(&buyer("ada")).await.problem("not_found");
    app.get(&format!("/api/v1/shop/variants/{}", draft.variant)).await.problem("not_found");
    app.get(&format!("/api/v1/shop/variants/{}/prices", draft.variant)).await.problem("not_found");
    app.get(&format!("{path}/availability")).await.problem("not_found");
    assert_eq!(app.get("/api/v1/shop/products?status=draft").await.expect(200)["items"], json!([]));
    app.get(&path).by(&Doorman::person("reader", &["shop:products:read_any"])).await.expect(200);
    assert_eq!(app.get("/api/v1/shop/products?status=draft").by(&merchant()).await.expect(200)["items"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn r54_slugs_and_skus_are_taken_once_also_by_fifty_at_once() {
    let app = app().await;
    let body = |number: usize| json!({ "title": format!("Product {number}"), "slug": "the-slug", "variants": [] });
    let answers = at_once((0..50).map(|number| app.post("/api/v1/shop/products").by(&merchant()).json(&body(number)))).await;
    assert_eq!((count(&answers, 201), count(&answers, 409)), (1, 49));
    let refused = answers.into_iter().find(|answer| answer.status == 409).unwrap();
    refused.problem("slug_taken").field("/slug", "slug_taken");
    let with_sku = |title: &str| json!({ "title": title, "variants": [{ "sku": "ONE" }] });
    app.post("/api/v1/shop/products").by(&merchant()).json(&with_sku("A")).await.expect(201);
    app.post("/api/v1/shop/products")
        .by(&merchant())
        .json(&with_sku("B"))
        .await
        .expect(409)
        .problem("sku_taken")
        .field("/sku", "sku_taken");
}

#[tokio::test]
async fn a_slug_that_is_made_of_a_title_evades_one_that_is_taken() {
    let app = app().await;
    let make = || app.post("/api/v1/shop/products").by(&merchant()).json(&json!({ "title": "Shirt" }));
    assert_eq!(make().await.expect(201)["slug"], "shirt");
    assert!(make().await.expect(201).text("/slug").starts_with("shirt-"));
    let unreadable = app.post("/api/v1/shop/products").by(&merchant()).json(&json!({ "title": "日本" })).await.expect(201);
    assert!(unreadable.text("/slug").starts_with("product-"));
}

#[tokio::test]
async fn a_variant_has_one_value_of_each_option_and_no_twin() {
    let app = app().await;
    let options = json!([{"name": "Size", "values": ["S", "M"]}]);
    for wrong in [json!([]), json!([{"name": "Size", "value": "XL"}]), json!([{"name": "Colour", "value": "S"}])] {
        let body = json!({ "title": "Shirt", "options": options, "variants": [{ "options": wrong }] });
        app.post("/api/v1/shop/products").by(&merchant()).json(&body).await.expect(422).field("/variants/0/options", "not_allowed");
    }
    let small = json!({ "options": [{"name": "Size", "value": "S"}] });
    let made = app
        .post("/api/v1/shop/products")
        .by(&merchant())
        .json(&json!({ "title": "Shirt", "options": options, "variants": [small] }))
        .await
        .expect(201);
    let path = format!("/api/v1/shop/products/{}/variants", made.text("/id"));
    app.post(&path).by(&merchant()).json(&small).await.expect(409).problem("already_exists").field("/options", "not_unique");
    app.post(&path).by(&merchant()).json(&json!({ "options": [{"name": "Size", "value": "M"}] })).await.expect(201);
    let narrowed = json!({ "options": [{"name": "Size", "values": ["S"]}] });
    app.patch(made.header("location")).by(&merchant()).json(&narrowed).await.expect(422).field("/options", "not_allowed");
}

#[tokio::test]
async fn r60_one_of_twenty_writers_with_the_same_etag_wins() {
    let app = app().await;
    let sold = product(&app, "Mug", 900).await;
    let path = format!("/api/v1/shop/products/{}", sold.product);
    let writes = (0..20)
        .map(|number| app.patch(&path).by(&merchant()).header("If-Match", "\"v1\"").json(&json!({ "title": format!("Mug {number}") })));
    let answers = at_once(writes).await;
    assert_eq!((count(&answers, 200), count(&answers, 412)), (1, 19));
    let events = app.event_names().await;
    assert_eq!(events.iter().filter(|name| *name == "shop.product.updated").count(), 1);
}

#[tokio::test]
async fn prices_are_replaced_as_a_whole_and_change_the_product() {
    let app = app_with(&[("shop.currencies", "[\"EUR\", \"USD\"]")]).await;
    let sold = product(&app, "Mug", 900).await;
    let path = format!("/api/v1/shop/variants/{}/prices", sold.variant);
    let prices = json!({ "prices": [
        { "price": euros(800) }, { "price": euros(700), "min_quantity": 10 }, { "price": { "amount": 950, "currency": "USD" } }
    ]});
    let changed = app.put(&path).by(&merchant()).header("If-Match", "\"v1\"").json(&prices).await.expect(200);
    assert_eq!(changed["prices"].as_array().unwrap().len(), 3);
    assert_eq!(app.get(&path).await.expect(200).body, changed.body);
    app.put(&path).by(&merchant()).header("If-Match", "\"v1\"").json(&prices).await.expect(412).problem("version_conflict");
    let product = app.get(&format!("/api/v1/shop/products/{}", sold.product)).await.expect(200);
    assert_eq!(product["version"], 2);
    let guest = guest(&app).await;
    let cart = guest.add(&app, &sold.variant, 10).await.expect(200);
    assert_eq!(cart["totals"]["total"], euros(7_000));
}

#[tokio::test]
async fn a_price_counts_from_and_until_its_times() {
    let app = app().await;
    let prices = json!([
        { "price": euros(1_000) },
        { "price": euros(500), "valid_from": "2026-11-22T13:00:00Z", "valid_until": "2026-11-22T14:00:00Z" }
    ]);
    let sold =
        product_with(&app, json!({ "title": "Mug", "status": "active", "variants": [{ "is_stock_tracked": false, "prices": prices }] }))
            .await;
    let guest = guest(&app).await;
    assert_eq!(guest.add(&app, &sold.variant, 1).await.expect(200)["totals"]["total"], euros(1_000));
    app.advance(std::time::Duration::from_secs(3_600));
    let cheap = guest.get(&app).await.expect(200);
    assert_eq!(cheap["totals"]["total"], euros(500));
    assert_eq!(problems(&cheap), ["price_changed", "address_required"]);
    app.advance(std::time::Duration::from_secs(3_600));
    assert_eq!(guest.get(&app).await.expect(200)["totals"]["total"], euros(1_000));
}

#[tokio::test]
async fn prices_that_cannot_be_are_refused() {
    let app = app().await;
    let sold = product(&app, "Mug", 900).await;
    let put = |prices: serde_json::Value| {
        app.put(&format!("/api/v1/shop/variants/{}/prices", sold.variant)).by(&merchant()).json(&json!({ "prices": prices }))
    };
    put(json!([{ "price": euros(-1) }])).await.expect(422).field("/prices/0/price/amount", "out_of_range");
    put(json!([{ "price": { "amount": 1.5, "currency": "EUR" } }])).await.expect(422).problem("validation_failed");
    put(json!([{ "price": euros(1_000_000_000_000_001) }])).await.expect(422).problem("validation_failed");
    put(json!([{ "price": euros(10), "compare_at": euros(9) }])).await.expect(422).field("/prices/0/compare_at", "out_of_range");
    put(json!([{ "price": euros(10) }, { "price": euros(11) }])).await.expect(422).field("/prices/1", "not_unique");
    put(json!([{ "price": { "amount": 1, "currency": "USD" } }])).await.expect(422).problem("currency_not_supported");
    put(json!([{ "price": { "amount": 1, "currency": "XYZ" } }])).await.expect(422).problem("validation_failed");
}

#[tokio::test]
async fn a_deleted_product_leaves_carts_and_one_that_is_held_stays() {
    let app = app().await;
    let sold = product(&app, "Mug", 900).await;
    supply(&app, &sold, 3).await;
    let guest = guest(&app).await;
    guest.add(&app, &sold.variant, 1).await.expect(200);
    let path = format!("/api/v1/shop/products/{}", sold.product);
    let order = kernel::Id::from_uuid(uuid::Uuid::from_u128(1));
    crate::stock::reserve(&app, order, &sold, 1).await.unwrap();
    app.delete(&path).by(&merchant()).await.expect(409).problem("in_use");
    app.delete(&format!("/api/v1/shop/variants/{}", sold.variant)).by(&merchant()).await.expect(409).problem("in_use");
    crate::stock::release(&app, order).await;
    app.delete(&path).by(&merchant()).await.expect(204);
    app.delete(&path).by(&merchant()).await.expect(404);
    assert_eq!(guest.get(&app).await.expect(200)["lines"], json!([]));
    assert!(app.event_names().await.contains(&"shop.product.deleted".to_owned()));
}

#[tokio::test]
async fn r22_a_walk_over_all_pages_meets_every_product_once() {
    let app = app().await;
    for number in 0..7 {
        product(&app, &format!("Same title {}", number % 2), 100).await;
    }
    for sort in ["title", "-title", "created_at", "-created_at"] {
        let mut seen = Vec::new();
        let mut path = format!("/api/v1/shop/products?limit=3&sort={sort}");
        loop {
            let page = app.get(&path).await.expect(200);
            seen.extend(page["items"].as_array().unwrap().iter().map(|item| item["id"].as_str().unwrap().to_owned()));
            match page["next_cursor"].as_str() {
                Some(cursor) => path = format!("/api/v1/shop/products?limit=3&sort={sort}&cursor={cursor}"),
                None => break,
            }
        }
        let all = seen.len();
        seen.sort();
        seen.dedup();
        assert_eq!((all, seen.len()), (7, 7), "{sort}");
    }
    app.get("/api/v1/shop/products?sort=price").await.expect(422).problem("sort_not_supported");
    app.get("/api/v1/shop/products?cursor=abc").await.expect(400).problem("cursor_invalid");
    app.get("/api/v1/shop/products?currency=USD").await.expect(422).problem("currency_not_supported");
}

#[tokio::test]
async fn r95_a_page_of_products_costs_at_most_six_statements() {
    let app = app().await;
    let pictures = [upload(&app).await.expect(201).text("/id"), upload(&app).await.expect(201).text("/id")];
    for number in 0..50 {
        let variants = json!([{ "prices": [{ "price": euros(100) }] }]);
        let body =
            json!({ "title": format!("Product {number}"), "status": "active", "media": [pictures[number % 2]], "variants": variants });
        product_with(&app, body).await;
    }
    app.run_jobs().await;
    app.get("/api/v1/shop/products?limit=50").await.expect(200);
    let (page, statements) = app.statements(app.get("/api/v1/shop/products?limit=50").send()).await;
    let items = page["items"].as_array().unwrap();
    assert_eq!((items.len(), items.iter().filter(|item| item["featured_media"].is_object()).count()), (50, 50));
    assert!(statements <= 6, "{statements}");
}

#[tokio::test]
async fn prices_are_set_only_by_whoever_may_set_prices() {
    let app = app().await;
    let editor = Doorman::person("editor", &["shop:products:manage"]);
    let with_price = json!({ "title": "Mug", "variants": [{ "prices": [{ "price": euros(100) }] }] });
    app.post("/api/v1/shop/products").by(&editor).json(&with_price).await.expect(403).problem("forbidden");
    let made = app.post("/api/v1/shop/products").by(&editor).json(&json!({ "title": "Mug" })).await.expect(201);
    let path = format!("/api/v1/shop/products/{}/variants", made.text("/id"));
    app.post(&path).by(&editor).json(&json!({ "prices": [{ "price": euros(100) }] })).await.expect(403);
    app.post(&path).by(&editor).json(&json!({})).await.expect(201);
}

#[tokio::test]
async fn availability_counts_what_orders_hold_off() {
    let app = app().await;
    let sold = product(&app, "Mug", 900).await;
    supply(&app, &sold, 3).await;
    crate::stock::reserve(&app, kernel::Id::from_uuid(uuid::Uuid::from_u128(1)), &sold, 2).await.unwrap();
    let path = format!("/api/v1/shop/products/{}/availability", sold.product);
    let told = app.get(&path).await.expect(200);
    assert_eq!(told["variants"][0]["available_quantity"], 1);
    let boundless = product_with(&app, json!({ "title": "File", "status": "active", "variants": [{ "is_stock_tracked": false }] })).await;
    let told = app.get(&format!("/api/v1/shop/products/{}/availability", boundless.product)).await.expect(200);
    assert_eq!((&told["variants"][0]["available_quantity"], &told["variants"][0]["is_available"]), (&json!(null), &json!(true)));
}

#[tokio::test]
async fn san_a_description_is_rendered_to_safe_html() {
    let app = app().await;
    let body =
        json!({ "title": "Mug", "status": "active", "description": "Holds *much* <script>alert(1)</script><img src=x onerror=alert(1)>" });
    let made = app.post("/api/v1/shop/products").by(&merchant()).json(&body).await.expect(201);
    let html = made.text("/description_html");
    assert!(html.contains("<em>much</em>") && !html.contains("script") && !html.contains("onerror"), "{html}");
    let changed = app.patch(made.header("location")).by(&merchant()).json(&json!({ "description": "**New**" })).await.expect(200);
    assert_eq!(changed["description_html"], "<p><strong>New</strong></p>\n");
    let kept = app.patch(made.header("location")).by(&merchant()).json(&json!({ "vendor": "Kiln" })).await.expect(200);
    assert_eq!(kept["description_html"], changed["description_html"]);
}

#[tokio::test]
async fn src1_products_are_found_by_their_words_and_numbers_and_drafts_are_not() {
    let app = app().await;
    let body = json!({ "title": "Käsekuchen", "vendor": "Oma", "status": "active", "description": "A *cheese* cake.", "variants": [{ "sku": "CAKE-7" }] });
    let cake = app.post("/api/v1/shop/products").by(&merchant()).json(&body).await.expect(201);
    app.post("/api/v1/shop/products").by(&merchant()).json(&json!({ "title": "Cheese knife" })).await.expect(201);
    let found = |q: &str| {
        let request = app.get("/api/v1/shop/products").query("q", q);
        async move { request.await.expect(200)["items"].as_array().unwrap().len() }
    };
    for (q, count) in [("kasekuchen", 1), ("cheese", 1), ("cake-7", 1), ("oma chee", 1), ("knife", 0), ("cheese -cake", 0), ("?!", 0)] {
        assert_eq!(found(q).await, count, "{q}");
    }
    assert_eq!(app.get("/api/v1/shop/products?q=cheese").by(&merchant()).await.expect(200)["items"].as_array().unwrap().len(), 2);
    app.patch(cake.header("location")).by(&merchant()).json(&json!({ "title": "Apfelstrudel" })).await.expect(200);
    assert_eq!((found("kasekuchen").await, found("apfelstrudel").await), (0, 1));
    app.delete(cake.header("location")).by(&merchant()).await.expect(204);
    assert_eq!(found("apfelstrudel").await, 0);
}

const PICTURE: &[u8] = b"GIF89a\x01\x00\x01\x00\x80\x00\x00\xff\x00\x00\x00\x00\x00,\x00\x00\x00\x00\x01\x00\x01\x00\x00\x02\x02D\x01\x00;";

fn upload(app: &TestApp) -> Request {
    app.post("/api/v1/media?name=mug.gif&alt=A%20mug").by(&merchant()).body("application/octet-stream", PICTURE)
}

fn file(media: &TestResponse) -> String {
    format!("/api/v1/media/{}", media.text("/id"))
}

/// The ids of the media that a product shows.
fn media(product: &TestResponse) -> Vec<String> {
    product["media"].as_array().expect("media").iter().map(|file| file["id"].as_str().expect("an id").to_owned()).collect()
}

fn patch(app: &TestApp, person: &Person, path: &str, body: &Value) -> Request {
    app.patch(path).by(person).json(body)
}

#[tokio::test]
async fn med6_a_product_shows_its_media_in_order_and_keeps_them_from_being_deleted() {
    let app = app().await;
    let (a, b, c) = (upload(&app).await.expect(201), upload(&app).await.expect(201), upload(&app).await.expect(201));
    let [first, second, third] = [&a, &b, &c].map(|media| media.text("/id"));
    let body =
        json!({ "title": "Mug", "status": "active", "media": [second, first], "variants": [{ "prices": [{ "price": euros(100) }] }] });
    let made = app.post("/api/v1/shop/products").by(&merchant()).json(&body).await.expect(201);
    assert_eq!(media(&made), [second.clone(), first.clone()]);
    let shown = &app.get(made.header("location")).await.expect(200)["media"][0];
    assert_eq!((&shown["url"], &shown["alt"], &shown["width"], &shown["height"]), (&b["url"], &json!("A mug"), &json!(1), &json!(1)));
    assert!(shown["placeholder"].is_string(), "{shown}");
    assert_eq!(app.get("/api/v1/shop/products/by-slug/mug").await.expect(200).body, made.body);
    assert_eq!(app.get("/api/v1/shop/products").await.expect(200)["items"][0]["featured_media"]["id"], *second);
    let refused = app.delete(&file(&a)).by(&merchant()).await.expect(409).problem("media_in_use");
    assert_eq!(refused["subjects"], json!([{ "subject_kind": "shop.product", "subject_id": made.text("/id") }]));
    let changed = patch(&app, &merchant(), made.header("location"), &json!({ "media": [third, second] })).await.expect(200);
    assert_eq!(media(&changed), [third.clone(), second.clone()]);
    app.delete(&file(&a)).by(&merchant()).await.expect(204);
    app.delete(&file(&c)).by(&merchant()).await.problem("media_in_use");
    let kept = patch(&app, &merchant(), made.header("location"), &json!({ "title": "Cup" })).await.expect(200);
    assert_eq!(media(&kept), [third, second]);
    app.delete(made.header("location")).by(&merchant()).await.expect(204);
    app.delete(&file(&b)).by(&merchant()).await.expect(204);
    app.run_jobs().await;
}

#[tokio::test]
async fn med5_media_that_are_not_there_or_not_to_be_seen_are_refused_alike() {
    let app = app().await;
    let picture = upload(&app).await.expect(201).text("/id");
    let private = app.post("/api/v1/media?name=a.gif&visibility=private").by(&merchant()).body("application/octet-stream", PICTURE);
    let private = private.await.expect(201).text("/id");
    let editor = Doorman::person("editor", &["shop:products:manage"]);
    let make = |media: Value| app.post("/api/v1/shop/products").by(&editor).json(&json!({ "title": "Mug", "media": media }));
    let unknown = "019ab0b2-8f00-7000-8000-00000000ffff";
    for wrong in [unknown, &private] {
        make(json!([picture, wrong])).await.expect(422).problem("validation_failed").field("/media/1", "unknown_reference");
    }
    make(json!([picture, picture])).await.expect(422).problem("validation_failed").field("/media/1", "not_unique");
    make(json!(vec![picture.clone(); 251])).await.expect(422).problem("validation_failed");
    make(json!(["mug.gif"])).await.expect(422).problem("validation_failed");
    assert_eq!(app.get("/api/v1/shop/products").by(&merchant()).await.expect(200)["items"], json!([]));
    let made = make(json!([picture])).await.expect(201);
    for body in [json!({ "media": [picture, private] }), json!({ "media": [picture, unknown], "title": "Cup" })] {
        patch(&app, &editor, made.header("location"), &body).await.expect(422).field("/media/1", "unknown_reference");
    }
    // What somebody else chose who may see it stays when others change the rest.
    patch(&app, &merchant(), made.header("location"), &json!({ "media": [private, picture] })).await.expect(200);
    let kept = patch(&app, &editor, made.header("location"), &json!({ "media": [picture, private] })).await.expect(200);
    assert_eq!(media(&kept), [picture, private]);
    app.run_jobs().await;
}

#[tokio::test]
async fn med6_media_of_products_and_pictures_in_their_descriptions_outlive_the_sweep() {
    let app = app().await;
    app.run_jobs().await;
    let (shown, told, unused) = (upload(&app).await.expect(201), upload(&app).await.expect(201), upload(&app).await.expect(201));
    let body = json!({ "title": "Mug", "media": [shown["id"]], "description": format!("![x]({})", told.text("/url")) });
    let made = app.post("/api/v1/shop/products").by(&merchant()).json(&body).await.expect(201);
    app.advance(Duration::from_secs(9 * 86_400));
    app.run_jobs().await;
    app.get(&file(&unused)).await.expect(404);
    for kept in [&shown, &told] {
        app.get(&file(kept)).await.expect(200);
    }
    patch(&app, &merchant(), made.header("location"), &json!({ "description": "Nothing to see" })).await.expect(200);
    app.advance(Duration::from_secs(86_400));
    app.run_jobs().await;
    app.get(&file(&told)).await.expect(404);
    app.get(&file(&shown)).await.expect(200);
    app.delete(made.header("location")).by(&merchant()).await.expect(204);
    app.advance(Duration::from_secs(86_400));
    app.run_jobs().await;
    app.get(&file(&shown)).await.expect(404);
}

#[tokio::test]
async fn r60_the_etag_of_a_product_tells_when_its_media_change_by_themselves() {
    let app = app().await;
    let picture = upload(&app).await.expect(201);
    let body = json!({ "title": "Mug", "status": "active", "media": [picture["id"]] });
    let made = app.post("/api/v1/shop/products").by(&merchant()).json(&body).await.expect(201);
    let path = made.header("location");
    let again = |tag: &str| app.get(path).header("If-None-Match", tag);
    assert_eq!(again(made.header("etag")).await.status, 304);
    app.patch(&file(&picture)).by(&merchant()).json(&json!({ "alt": "A blue mug" })).await.expect(200);
    let described = again(made.header("etag")).await.expect(200);
    assert_eq!((&described["media"][0]["alt"], &described["version"]), (&json!("A blue mug"), &json!(1)));
    // The product itself is still what the caller saw.
    let change = |tag: &str| app.patch(path).by(&merchant()).header("If-Match", tag).json(&json!({ "vendor": "Kiln" }));
    change(made.header("etag")).await.expect(200);
    change(made.header("etag")).await.expect(412).problem("version_conflict");
    app.delete(&format!("{}?force=true", file(&picture))).by(&merchant()).await.expect(204);
    assert_eq!(app.get(path).await.expect(200)["media"], json!([]));
    let changed = patch(&app, &merchant(), path, &json!({ "description": "New" })).await.expect(200);
    assert_eq!((&changed["media"], changed.header("etag")), (&json!([]), "\"v3\""));
    app.run_jobs().await;
}
