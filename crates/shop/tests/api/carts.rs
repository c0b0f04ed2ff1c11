//! Carts: whose they are, what they hold, what they cost.

use std::time::Duration;

use serde_json::json;
use testkit::TestApp;

use crate::support::*;

const DAY: Duration = Duration::from_secs(24 * 3_600);

#[tokio::test]
async fn inv_c1_a_cart_opens_only_with_its_secret() {
    let app = app().await;
    let (mine, other) = (guest(&app).await, guest(&app).await);
    let stranger =
        app.get("/api/v1/shop/carts/019ab0b2-8f00-7000-8000-00000000ffff").header("X-Request-Id", "same-for-all").await.expect(404);
    let without = app.get(&mine.path("")).header("X-Request-Id", "same-for-all").await.expect(404);
    let mut expected = stranger.body.clone();
    expected["instance"] = without["instance"].clone();
    assert_eq!(without.body, expected, "a cart that may not be seen looks like none");
    for secret in [other.secret.as_str(), "", "x", &"y".repeat(500)] {
        app.get(&mine.path("")).header("Cart-Secret", secret).await.problem("not_found");
        app.post(&mine.path("/lines"))
            .header("Cart-Secret", secret)
            .json(&json!({ "variant_id": mine.cart, "quantity": 1 }))
            .await
            .problem("not_found");
    }
    app.get(&mine.path("")).by(&merchant()).await.problem("not_found");
    let seen = mine.get(&app).await.expect(200);
    assert_eq!(seen["secret"], json!(null), "the secret is shown once");
    assert_eq!(app.event_names().await, ["shop.cart.created", "shop.cart.created"]);
}

#[tokio::test]
async fn pos_the_secret_of_a_cart_is_stored_as_a_hash() {
    let app = app().await;
    let guest = guest(&app).await;
    assert_eq!(guest.secret.len(), 43);
    let kept: Vec<Vec<u8>> = app.kernel().db().read(|c| c.all("SELECT secret_hash FROM shop_carts", db::params![])).await.unwrap();
    assert_eq!(kept, [shop::carts::secret_hash(&guest.secret).to_vec()]);
}

#[tokio::test]
async fn lines_are_added_changed_and_taken_out_and_each_answer_is_the_priced_cart() {
    let app = app().await;
    let (mug, shirt) = (product(&app, "Mug", 1_000).await, product(&app, "Shirt", 2_500).await);
    supply(&app, &mug, 10).await;
    supply(&app, &shirt, 1).await;
    let guest = guest(&app).await;
    guest.add(&app, &mug.variant, 2).await.expect(200);
    let cart = guest.add(&app, &mug.variant, 1).await.expect(200);
    assert_eq!(cart["lines"].as_array().unwrap().len(), 1, "the same variant is one line");
    assert_eq!((&cart["lines"][0]["quantity"], &cart["totals"]["total"]), (&json!(3), &euros(3_000)));
    let cart = guest.add(&app, &shirt.variant, 2).await.expect(200);
    assert_eq!(cart["totals"]["total"], euros(8_000));
    assert_eq!((&cart["lines"][1]["available_quantity"], &cart["lines"][1]["is_available"]), (&json!(1), &json!(false)));
    assert_eq!(problems(&cart), ["out_of_stock", "address_required"]);
    let line = guest.path(&format!("/lines/{}", cart.text("/lines/1/id")));
    let cart = guest.with_secret(app.patch(&line)).json(&json!({ "quantity": 1 })).await.expect(200);
    assert_eq!((&cart["totals"]["total"], problems(&cart)), (&euros(5_500), vec!["address_required".to_owned()]));
    let cart = guest.with_secret(app.delete(&line)).await.expect(200);
    assert_eq!(cart["totals"]["total"], euros(3_000));
    guest.with_secret(app.delete(&line)).await.problem("not_found");
}

#[tokio::test]
async fn inv_c3_impossible_quantities_and_prices_of_the_client_are_refused_and_change_nothing() {
    let app = app().await;
    let mug = product(&app, "Mug", 1_000).await;
    let guest = guest(&app).await;
    let before = guest.add(&app, &mug.variant, 9_000).await.expect(200);
    for quantity in [json!(0), json!(-1), json!(10_000), json!(1.5), json!("1"), json!(9_223_372_036_854_775_807_i64), json!(null)] {
        let body = json!({ "variant_id": mug.variant, "quantity": quantity });
        guest.with_secret(app.post(&guest.path("/lines"))).json(&body).await.expect(422).problem("validation_failed");
    }
    guest.add(&app, &mug.variant, 1_000).await.expect(422).field("/quantity", "out_of_range");
    let priced = json!({ "variant_id": mug.variant, "quantity": 1, "unit_price": 1 });
    guest.with_secret(app.post(&guest.path("/lines"))).json(&priced).await.expect(422).field("/unit_price", "unknown_field");
    let unknown = json!({ "variant_id": mug.product, "quantity": 1 });
    guest.with_secret(app.post(&guest.path("/lines"))).json(&unknown).await.expect(422).field("/variant_id", "unknown_reference");
    let after = guest.get(&app).await.expect(200);
    assert_eq!((after["version"].clone(), after["lines"].clone()), (before["version"].clone(), before["lines"].clone()));
}

#[tokio::test]
async fn inv_c3_a_cart_has_at_most_five_hundred_lines() {
    let app = app().await;
    let guest = guest(&app).await;
    let first = product(&app, "Last", 1).await;
    for batch in 0..3 {
        let count = if batch == 2 { 1 } else { 250 };
        let variants: Vec<_> = (0..count)
            .map(|n| json!({ "options": [{ "name": "N", "value": n.to_string() }], "is_stock_tracked": false, "prices": [{ "price": euros(1) }] }))
            .collect();
        let values: Vec<String> = (0..count).map(|n| n.to_string()).collect();
        let body = json!({ "title": format!("P{batch}"), "status": "active", "options": [{ "name": "N", "values": values }], "variants": variants });
        let made = app.post("/api/v1/shop/products").by(&merchant()).json(&body).await.expect(201);
        let ids: Vec<String> =
            made["variants"].as_array().unwrap().iter().map(|variant| variant["id"].as_str().unwrap().to_owned()).collect();
        let (cart, ids): (kernel::Id<shop::ids::Cart>, Vec<kernel::Id<shop::ids::Variant>>) =
            (guest.cart.parse().unwrap(), ids.iter().map(|id| id.parse().unwrap()).collect());
        if batch == 2 {
            guest.add(&app, &ids[0].to_string(), 1).await.expect(422).field("/variant_id", "too_long");
            break;
        }
        // Straight into the table: five hundred requests prove nothing more.
        let insert = app.kernel().db().write(move |tx| {
            for (position, variant) in ids.iter().enumerate() {
                tx.execute(
                    "INSERT INTO shop_cart_lines (id, cart_id, variant_id, quantity, position, created_at) VALUES (?, ?, ?, 1, ?, 0)",
                    db::params![variant.cast::<()>(), cart, variant, i64::try_from(position).unwrap() + batch * 1_000],
                )?;
            }
            Ok::<_, db::Error>(())
        });
        insert.await.unwrap();
    }
    let full = guest.get(&app).await.expect(200);
    assert_eq!((full["lines"].as_array().unwrap().len(), &full["totals"]["total"]), (500, &euros(500)));
    guest.add(&app, &first.variant, 1).await.expect(422);
}

/// Products of so many variants each, in one row.
async fn variants(app: &TestApp, products: usize, each: usize) -> Vec<String> {
    let mut ids = Vec::new();
    for batch in 0..products {
        let variants: Vec<_> = (0..each)
            .map(|n| json!({ "options": [{ "name": "N", "value": n.to_string() }], "is_stock_tracked": false, "prices": [{ "price": euros(1) }] }))
            .collect();
        let values: Vec<String> = (0..each).map(|n| n.to_string()).collect();
        let body = json!({ "title": format!("P{batch}"), "status": "active", "options": [{ "name": "N", "values": values }], "variants": variants });
        let made = app.post("/api/v1/shop/products").by(&merchant()).json(&body).await.expect(201);
        let made = made["variants"].as_array().expect("variants");
        ids.extend(made.iter().map(|variant| variant["id"].as_str().expect("an id").to_owned()));
    }
    ids
}

#[tokio::test]
async fn inv_c3_the_bounds_of_a_cart_hold_for_many_at_once() {
    let app = app().await;
    let ids = variants(&app, 3, 170).await;
    let guest = guest(&app).await;
    let (cart, known): (kernel::Id<shop::ids::Cart>, Vec<kernel::Id<shop::ids::Variant>>) =
        (guest.cart.parse().unwrap(), ids[..499].iter().map(|id| id.parse().unwrap()).collect());
    // Straight into the table: five hundred requests prove nothing more.
    let insert = app.kernel().db().write(move |tx| {
        for (position, variant) in known.iter().enumerate() {
            tx.execute(
                "INSERT INTO shop_cart_lines (id, cart_id, variant_id, quantity, position, created_at) VALUES (?, ?, ?, 9990, ?, 0)",
                db::params![variant.cast::<()>(), cart, variant, i64::try_from(position).unwrap()],
            )?;
        }
        Ok::<_, db::Error>(())
    });
    insert.await.unwrap();
    let answers = at_once(ids[499..509].iter().map(|variant| guest.add(&app, variant, 1))).await;
    assert_eq!((count(&answers, 200), count(&answers, 422)), (1, 9));
    for refused in answers.into_iter().filter(|answer| answer.status == 422) {
        refused.field("/variant_id", "too_long");
    }
    let answers = at_once((0..5).map(|_| guest.add(&app, &ids[0], 4))).await;
    assert_eq!((count(&answers, 200), count(&answers, 422)), (2, 3));
    let cart = guest.get(&app).await.expect(200);
    assert_eq!((cart["lines"].as_array().unwrap().len(), &cart["lines"][0]["quantity"]), (500, &json!(9_998)));
}

#[tokio::test]
async fn inv_c2_a_merged_cart_keeps_its_own_codes_and_takes_as_many_as_it_may_have() {
    let app = app().await;
    for number in 0..25 {
        let one = json!({ "name": "One", "percent_ppm": 10_000, "priority": number });
        coupon(&app, &format!("CODE{number}"), one, json!({})).await;
    }
    let mug = product(&app, "Mug", 10_000).await;
    let ada = buyer("ada");
    let own = app.post("/api/v1/shop/carts").by(&ada).json(&json!({})).await.expect(201).text("/id");
    let line = json!({ "variant_id": mug.variant, "quantity": 1 });
    app.post(&format!("/api/v1/shop/carts/{own}/lines")).by(&ada).json(&line).await.expect(200);
    let guest = guest(&app).await;
    guest.add(&app, &mug.variant, 1).await.expect(200);
    for number in 0..15 {
        let code = json!({ "code": format!("CODE{number}") });
        app.post(&format!("/api/v1/shop/carts/{own}/codes")).by(&ada).json(&code).await.expect(200);
    }
    // Two that both carts have, then those that came first, whatever their names.
    for number in [3, 24, 7, 15, 23, 16, 22, 17, 21] {
        app.advance(Duration::from_millis(1));
        guest.enter(&app, &format!("CODE{number}")).await.expect(200);
    }
    let merged = guest.get(&app).by(&ada).await.expect(200);
    assert_eq!(merged.text("/id"), own);
    let mut codes: Vec<u32> =
        merged["codes"].as_array().unwrap().iter().map(|code| code["code"].as_str().unwrap()[4..].parse().unwrap()).collect();
    codes.sort_unstable();
    assert_eq!(codes, (0..17).chain(22..25).collect::<Vec<_>>());
    app.post(&format!("/api/v1/shop/carts/{own}/codes")).by(&ada).json(&json!({ "code": "CODE17" })).await.expect(422);
}

#[tokio::test]
async fn inv_c4_a_changed_price_and_a_thing_off_sale_are_told() {
    let app = app().await;
    let (mug, shirt) = (product(&app, "Mug", 1_000).await, product(&app, "Shirt", 2_000).await);
    supply(&app, &mug, 5).await;
    supply(&app, &shirt, 5).await;
    let guest = guest(&app).await;
    guest.add(&app, &mug.variant, 1).await.expect(200);
    let cart = guest.add(&app, &shirt.variant, 1).await.expect(200);
    let raised = json!({ "prices": [{ "price": euros(1_100) }] });
    app.put(&format!("/api/v1/shop/variants/{}/prices", mug.variant)).by(&merchant()).json(&raised).await.expect(200);
    app.patch(&format!("/api/v1/shop/products/{}", shirt.product)).by(&merchant()).json(&json!({ "status": "archived" })).await.expect(200);
    let told = guest.get(&app).await.expect(200);
    assert_eq!(problems(&told), ["price_changed", "unavailable", "address_required"]);
    assert_eq!(told["problems"][0]["line_id"], cart["lines"][0]["id"]);
    assert_eq!((&told["totals"]["total"], &told["version"]), (&euros(1_100), &cart["version"]), "reading changes nothing");
    let line = guest.path(&format!("/lines/{}", cart.text("/lines/0/id")));
    let accepted = guest.with_secret(app.patch(&line)).json(&json!({ "quantity": 1 })).await.expect(200);
    assert_eq!(problems(&accepted), ["unavailable", "address_required"]);
}

#[tokio::test]
async fn a_cart_ends_when_it_is_not_used() {
    let app = app().await;
    let (used, unused) = (guest(&app).await, guest(&app).await);
    app.advance(20 * DAY);
    used.with_secret(app.patch(&used.path(""))).json(&json!({ "note": "still here" })).await.expect(200);
    app.advance(11 * DAY);
    app.run_jobs().await;
    used.get(&app).await.expect(200);
    unused.get(&app).await.expect(410).problem("gone");
    app.advance(100 * DAY);
    app.run_jobs().await;
    unused.get(&app).await.expect(404);
}

#[tokio::test]
async fn inv_i2_a_cart_is_claimed_by_one_of_fifty_checkouts() {
    let app = app().await;
    let guest = guest(&app).await;
    let cart: kernel::Id<shop::ids::Cart> = guest.cart.parse().unwrap();
    let ctx = kernel::Ctx::system(app.kernel(), "test");
    let claims = (1..=50).map(|number| {
        let (ctx, now, order) = (ctx.clone(), ctx.now(), crate::stock::id(number));
        async move { ctx.write(move |tx| shop::carts::claim_for_checkout(tx, cart, order, now)).await.map(|()| order) }
    });
    let outcomes = futures_util::future::join_all(claims).await;
    let winners: Vec<_> = outcomes.iter().filter_map(|outcome| outcome.as_ref().ok()).collect();
    assert_eq!(winners.len(), 1);
    let told = outcomes.iter().filter_map(|outcome| outcome.as_ref().err());
    assert!(told.clone().all(|error| error.code() == "cart_ordered" && error.members()["order_id"] == json!(winners[0])));
    let refused = guest.get(&app).await.expect(409).problem("cart_ordered");
    assert_eq!(refused["order_id"], json!(winners[0]));
    guest.with_secret(app.patch(&guest.path(""))).json(&json!({})).await.expect(409);
}

#[tokio::test]
async fn another_currency_prices_a_cart_anew() {
    let app = app_with(&[("shop.currencies", "[\"EUR\", \"JPY\"]")]).await;
    let prices = json!([{ "price": euros(1_000) }, { "price": { "amount": 170, "currency": "JPY" } }]);
    let sold = product_with(&app, json!({ "title": "Mug", "status": "active", "variants": [{ "prices": prices }] })).await;
    let only_euro = product(&app, "Shirt", 500).await;
    let guest = guest(&app).await;
    guest.add(&app, &sold.variant, 2).await.expect(200);
    guest.add(&app, &only_euro.variant, 1).await.expect(200);
    let yen = guest.with_secret(app.patch(&guest.path(""))).json(&json!({ "currency": "JPY" })).await.expect(200);
    assert_eq!(yen["totals"]["total"], json!({ "amount": 340, "currency": "JPY" }));
    assert!(problems(&yen).contains(&"unavailable".to_owned()), "what has no price in the currency cannot be bought");
    guest
        .add(&app, &only_euro.variant, 1)
        .await
        .expect(422)
        .problem("currency_not_supported")
        .field("/variant_id", "currency_not_supported");
    let refused = guest.with_secret(app.patch(&guest.path(""))).json(&json!({ "currency": "USD" })).await.expect(422);
    assert_eq!(refused.problem("currency_not_supported")["allowed"], json!(["EUR", "JPY"]));
}

#[tokio::test]
async fn an_address_that_no_parcel_reaches_is_refused() {
    let app = app().await;
    let guest = guest(&app).await;
    let refused = guest.ship_to(&app, address("DE", " ")).await.expect(422).problem("address_invalid");
    refused.field("/shipping/postal_code", "required");
    guest.ship_to(&app, address("XX", "1")).await.expect(422).problem("address_invalid").field("/shipping/country", "not_allowed");
    let mut nameless = address("DE", "10115");
    nameless["name"] = json!("  ");
    guest.ship_to(&app, nameless).await.expect(422).field("/shipping/name", "required");
    let kept = guest.ship_to(&app, address("IE", "")).await;
    kept.expect(422);
    let hong_kong = guest.ship_to(&app, address("HK", "")).await.expect(200);
    assert_eq!(hong_kong["shipping_address"]["postal_code"], json!(null));
}

#[tokio::test]
async fn inv_h1_shipping_is_offered_where_it_delivers_and_priced_with_the_cart() {
    let app = app().await;
    let mug = product_with(
        &app,
        json!({ "title": "Mug", "status": "active", "variants": [{ "weight_grams": 400, "prices": [{ "price": euros(2_000) }] }] }),
    )
    .await;
    supply(&app, &mug, 50).await;
    let zone = make(&app, "shipping-zones", json!({ "name": "Germany", "places": [{ "country": "DE" }] })).await;
    let method = |name: &str, extra: serde_json::Value| {
        let mut body = json!({ "zone_id": zone, "name": name, "calculator": "flat", "prices": [{ "currency": "EUR", "amount": 490, "free_above": 5_000 }] });
        body.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        body
    };
    let pickup = make(
        &app,
        "shipping-methods",
        method("Pickup", json!({ "calculator": "pickup", "position": 2, "prices": [{ "currency": "EUR", "amount": 0 }] })),
    )
    .await;
    let parcel = make(&app, "shipping-methods", method("Parcel", json!({ "position": 1 }))).await;
    make(&app, "shipping-methods", method("Letter", json!({ "conditions": { "max_weight_grams": 300 } }))).await;
    let guest = guest(&app).await;
    guest.add(&app, &mug.variant, 1).await.expect(200);
    let options = || guest.with_secret(app.get(&guest.path("/shipping-options")));
    assert_eq!(options().await.expect(200)["items"], json!([]), "nobody knows where it goes");
    let cart = guest.ship_to(&app, address("DE", "10115")).await.expect(200);
    assert_eq!(problems(&cart), ["shipping_required"]);
    let offered = options().await.expect(200);
    let names: Vec<_> = offered["items"].as_array().unwrap().iter().map(|option| option["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["Parcel", "Pickup"]);
    assert_eq!(offered["items"][1]["is_pickup"], true);
    let choose = |method: &str| guest.with_secret(app.put(&guest.path("/shipping"))).json(&json!({ "method_id": method }));
    let chosen = choose(&parcel).await.expect(200);
    assert_eq!((problems(&chosen), &chosen["totals"]["total"]), (Vec::<String>::new(), &euros(2_490)));
    assert_eq!((&chosen["totals"]["shipping"], &chosen["shipping"]["name"]), (&euros(490), &json!("Parcel")));
    let more = guest.add(&app, &mug.variant, 2).await.expect(200);
    assert_eq!((&more["totals"]["shipping"], &more["totals"]["total"]), (&euros(0), &euros(6_000)));
    choose(&pickup).await.expect(200);
    choose(&zone).await.expect(422).problem("not_shippable").field("/method_id", "not_shippable");
    let abroad = guest.ship_to(&app, address("FR", "75001")).await.expect(200);
    assert_eq!((problems(&abroad), &abroad["shipping"]), (vec!["not_shippable".to_owned()], &json!(null)));
}

#[tokio::test]
async fn what_is_not_delivered_needs_neither_address_nor_shipping() {
    let app = app().await;
    let body = json!({ "title": "Song", "status": "active", "variants": [
        { "is_shippable": false, "is_digital": true, "is_stock_tracked": false, "prices": [{ "price": euros(99) }] }
    ]});
    let song = product_with(&app, body).await;
    let guest = guest(&app).await;
    let cart = guest.add(&app, &song.variant, 1).await.expect(200);
    assert_eq!((problems(&cart), &cart["lines"][0]["available_quantity"]), (Vec::new(), &json!(null)));
}

#[tokio::test]
async fn r95_a_cart_is_read_with_six_statements() {
    let app = app().await;
    let guest = guest(&app).await;
    for number in 0..20 {
        let sold = product(&app, &format!("Product {number}"), 100 + number).await;
        supply(&app, &sold, 5).await;
        guest.add(&app, &sold.variant, 2).await.expect(200);
    }
    guest.ship_to(&app, address("DE", "10115")).await.expect(200);
    guest.get(&app).await.expect(200);
    let (cart, statements) = app.statements(guest.get(&app).send()).await;
    assert_eq!(cart["lines"].as_array().unwrap().len(), 20);
    assert!(statements <= 6, "{statements}");
}

#[tokio::test]
async fn fifty_additions_at_once_are_all_counted() {
    let app = app().await;
    let mug = product(&app, "Mug", 1).await;
    let guest = guest(&app).await;
    let answers = at_once((0..50).map(|_| guest.add(&app, &mug.variant, 1))).await;
    assert_eq!(count(&answers, 200), 50);
    let cart = guest.get(&app).await.expect(200);
    assert_eq!((cart["lines"].as_array().unwrap().len(), &cart["lines"][0]["quantity"]), (1, &json!(50)));
}

#[tokio::test]
async fn values_of_the_storefront_stay_with_the_cart_up_to_a_size() {
    let app = app().await;
    let guest = guest(&app).await;
    let patch = |body: serde_json::Value| guest.with_secret(app.patch(&guest.path(""))).json(&body);
    let kept = patch(json!({ "attributes": { "gift": true }, "email": "ada@example.com", "locale": "de-AT" })).await.expect(200);
    assert_eq!(
        (&kept["attributes"], &kept["email"], &kept["locale"]),
        (&json!({ "gift": true }), &json!("ada@example.com"), &json!("de-AT"))
    );
    assert_eq!(patch(json!({ "email": null })).await.expect(200)["email"], json!(null));
    patch(json!({ "attributes": { "x": "y".repeat(5_000) } })).await.expect(422).field("/attributes", "too_long");
    patch(json!({ "email": "no address" })).await.expect(422).problem("validation_failed");
}
