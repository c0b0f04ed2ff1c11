//! Stock under fire (INV-S1 to INV-S9).

use futures_util::future::join_all;
use kernel::{Ctx, Id};
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use serde_json::{Value, json};
use shop::ids::{Fulfilment, Item, Location, Order, OrderLine, Refund};
use shop::stock::{Demand, Reservation};
use testkit::TestApp;

use crate::support::*;

pub(crate) async fn reserve(app: &TestApp, order: Id<Order>, sold: &Sold, quantity: i64) -> kernel::Result<Vec<Reservation>> {
    let ctx = Ctx::system(app.kernel(), "test");
    let demand = vec![Demand { item_id: sold.item.parse().expect("no error"), quantity }];
    take(&ctx, order, demand).await
}

async fn take(ctx: &Ctx, order: Id<Order>, demand: Vec<Demand>) -> kernel::Result<Vec<Reservation>> {
    let (context, until) = (ctx.clone(), ctx.now() + std::time::Duration::from_secs(1_800));
    ctx.write(move |tx| shop::stock::reserve(tx, &context, order, &demand, Some(until))).await
}

pub(crate) async fn release(app: &TestApp, order: Id<Order>) {
    let ctx = Ctx::system(app.kernel(), "test");
    let now = ctx.now();
    ctx.write(move |tx| shop::stock::release(tx, order, now)).await.expect("no error");
}

async fn commit(app: &TestApp, order: Id<Order>) {
    Ctx::system(app.kernel(), "test").write(move |tx| shop::stock::commit_reservations(tx, order)).await.expect("no error");
}

async fn fulfil(app: &TestApp, order: Id<Order>, sold: &Sold, quantity: i64, fulfilment: u128) -> kernel::Result<()> {
    let ctx = Ctx::system(app.kernel(), "test");
    let (item, location): (Id<Item>, Id<Location>) = (sold.item.parse().expect("no error"), sold.location.parse().expect("no error"));
    let (context, line, fulfilment) = (ctx.clone(), id::<OrderLine>(1), id::<Fulfilment>(fulfilment));
    ctx.write(move |tx| shop::stock::fulfil(tx, &context, order, line, item, location, quantity, fulfilment)).await
}

async fn restock(app: &TestApp, sold: &Sold, quantity: i64, refund: u128) {
    let ctx = Ctx::system(app.kernel(), "test");
    let (item, location): (Id<Item>, Id<Location>) = (sold.item.parse().expect("no error"), sold.location.parse().expect("no error"));
    let (context, line, refund) = (ctx.clone(), id::<OrderLine>(1), id::<Refund>(refund));
    ctx.write(move |tx| shop::stock::restock(tx, &context, line, item, location, quantity, refund)).await.expect("no error");
}

pub(crate) fn id<T>(number: u128) -> Id<T> {
    Id::from_uuid(uuid::Uuid::from_u128(number))
}

/// What lies of something, and what of it orders hold.
async fn level(app: &TestApp, sold: &Sold) -> (i64, i64) {
    let path = format!("/api/v1/shop/stock?item_id={}&location_id={}", sold.item, sold.location);
    let stock = app.get(&path).by(&merchant()).await.expect(200);
    (stock["items"][0]["on_hand"].as_i64().expect("a value"), stock["items"][0]["reserved"].as_i64().expect("a value"))
}

#[tokio::test]
async fn inv_s1_five_hundred_buyers_of_seven_units_make_seven_reservations() {
    let app = app().await;
    let sold = product(&app, "Mug", 900).await;
    supply(&app, &sold, 7).await;
    let outcomes = join_all((0..500).map(|number| reserve(&app, id(number), &sold, 1))).await;
    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 7);
    let refused: Vec<_> = outcomes.into_iter().filter_map(Result::err).collect();
    assert!(refused.iter().all(|error| error.code() == "out_of_stock"), "{refused:?}");
    assert_eq!(refused[0].members()["lines"][0]["requested"], 1);
    assert_eq!(level(&app, &sold).await, (7, 7));
}

#[tokio::test]
async fn inv_s1_buyers_of_two_things_in_either_order_neither_oversell_nor_wait_for_each_other_for_ever() {
    let app = app().await;
    let (one, two) = (product(&app, "Cup", 900).await, product(&app, "Saucer", 300).await);
    supply(&app, &one, 10).await;
    supply(&app, &two, 6).await;
    let ctx = Ctx::system(app.kernel(), "test");
    let demand = |number: u128| {
        let mut both: Vec<Demand> = [&one, &two].iter().map(|sold| Demand { item_id: sold.item.parse().unwrap(), quantity: 1 }).collect();
        if number.is_multiple_of(2) {
            both.reverse();
        }
        both
    };
    let outcomes = join_all((0..100).map(|number| take(&ctx, id(number), demand(number)))).await;
    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 6);
    assert!(outcomes.iter().filter_map(|outcome| outcome.as_ref().err()).all(|error| error.code() == "out_of_stock"));
    assert_eq!((level(&app, &one).await, level(&app, &two).await), ((10, 6), (6, 6)));
}

#[tokio::test]
async fn inv_s3_two_lines_of_one_item_are_one_demand() {
    let app = app().await;
    let sold = product(&app, "Mug", 900).await;
    supply(&app, &sold, 3).await;
    let ctx = Ctx::system(app.kernel(), "test");
    let twice = vec![Demand { item_id: sold.item.parse().unwrap(), quantity: 2 }; 2];
    assert_eq!(take(&ctx, id(1), twice).await.unwrap_err().code(), "out_of_stock");
    assert_eq!(level(&app, &sold).await, (3, 0));
}

#[tokio::test]
async fn inv_s6_a_reservation_is_released_once_by_twenty_at_once() {
    let app = app().await;
    let sold = product(&app, "Mug", 900).await;
    supply(&app, &sold, 5).await;
    reserve(&app, id(1), &sold, 2).await.unwrap();
    reserve(&app, id(2), &sold, 3).await.unwrap();
    join_all((0..20).map(|_| release(&app, id(1)))).await;
    assert_eq!(level(&app, &sold).await, (5, 3));
    assert!(reserve(&app, id(3), &sold, 3).await.is_err());
    reserve(&app, id(3), &sold, 2).await.unwrap();
}

#[tokio::test]
async fn inv_s8_a_unit_lives_from_reservation_to_fulfilment_and_back() {
    let app = app().await;
    let sold = product(&app, "Mug", 900).await;
    supply(&app, &sold, 5).await;
    reserve(&app, id(1), &sold, 3).await.unwrap();
    assert_eq!(fulfil(&app, id(1), &sold, 1, 1).await.unwrap_err().code(), "invalid_state", "nothing is shipped before it is paid");
    commit(&app, id(1)).await;
    assert_eq!(level(&app, &sold).await, (5, 3));
    for _ in 0..3 {
        fulfil(&app, id(1), &sold, 2, 7).await.unwrap();
    }
    assert_eq!(level(&app, &sold).await, (3, 1), "the same fulfilment counts once");
    assert_eq!(fulfil(&app, id(1), &sold, 2, 8).await.unwrap_err().code(), "invalid_state");
    fulfil(&app, id(1), &sold, 1, 9).await.unwrap();
    release(&app, id(1)).await;
    assert_eq!(level(&app, &sold).await, (2, 0), "what is handed over is not given back");
    for _ in 0..2 {
        restock(&app, &sold, 1, 1).await;
    }
    assert_eq!(level(&app, &sold).await, (3, 0));
    let path = format!("/api/v1/shop/stock/{}/movements", sold.item);
    let movements = app.get(&path).by(&merchant()).await.expect(200);
    let kinds: Vec<(String, i64)> = movements["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|movement| (movement["kind"].as_str().unwrap().to_owned(), movement["quantity"].as_i64().unwrap()))
        .collect();
    let sum: i64 = kinds.iter().map(|(_, quantity)| quantity).sum();
    assert_eq!((kinds.len(), sum), (4, 3), "{kinds:?}");
}

#[tokio::test]
async fn inv_s8_what_orders_hold_cannot_be_adjusted_away() {
    let app = app().await;
    let sold = product(&app, "Mug", 900).await;
    supply(&app, &sold, 5).await;
    reserve(&app, id(77), &sold, 4).await.unwrap();
    let refused = adjust(&app, &sold, -2).await.expect(409).problem("stock_reserved");
    assert_eq!(refused["orders"], json!([id::<Order>(77)]));
    adjust(&app, &sold, -1).await.expect(200);
    adjust(&app, &sold, -5).await.expect(409).problem("stock_reserved");
    assert_eq!(level(&app, &sold).await, (4, 4));
    let held = app.get(&format!("/api/v1/shop/reservations?item_id={}", sold.item)).by(&merchant()).await.expect(200);
    assert_eq!((&held["items"][0]["quantity"], &held["items"][0]["state"]), (&json!(4), &json!("held")));
    let names = app.event_names().await;
    assert_eq!(names.iter().filter(|name| *name == "shop.stock.adjusted").count(), 2);
}

#[tokio::test]
async fn inv_s2_a_backorder_limit_lets_more_be_promised_but_not_shipped() {
    let app = app().await;
    let sold = product(&app, "Mug", 900).await;
    let body = json!({ "item_id": sold.item, "location_id": sold.location, "quantity": 1, "reason": "Delivery", "backorder_limit": 2 });
    app.post("/api/v1/shop/stock/adjustments").by(&merchant()).json(&body).await.expect(200);
    reserve(&app, id(1), &sold, 3).await.unwrap();
    assert!(reserve(&app, id(2), &sold, 1).await.is_err());
    commit(&app, id(1)).await;
    assert_eq!(fulfil(&app, id(1), &sold, 2, 1).await.unwrap_err().code(), "out_of_stock");
    fulfil(&app, id(1), &sold, 1, 1).await.unwrap();
    assert_eq!(level(&app, &sold).await, (0, 2));
}

#[tokio::test]
async fn inv_s9_orders_take_from_the_first_location_that_has_everything() {
    let app = app().await;
    let sold = product(&app, "Mug", 900).await;
    supply(&app, &sold, 2).await;
    let second = make(&app, "locations", json!({ "code": "second", "name": "Second", "priority": 5 })).await;
    let there = Sold { location: second.clone(), ..sold.clone() };
    supply(&app, &there, 4).await;
    let taken = reserve(&app, id(1), &sold, 3).await.unwrap();
    assert_eq!(taken.iter().map(|part| (part.location_id.to_string(), part.quantity)).collect::<Vec<_>>(), [(second, 3)]);
    let split = reserve(&app, id(2), &sold, 3).await.unwrap();
    assert_eq!(split.len(), 2);
    assert_eq!((level(&app, &sold).await, level(&app, &there).await), ((2, 2), (4, 4)));
}

#[tokio::test]
async fn little_stock_is_told_once_when_it_is_reached() {
    let app = app().await;
    let sold = product(&app, "Mug", 900).await;
    let body = json!({ "item_id": sold.item, "location_id": sold.location, "quantity": 5, "reason": "Delivery", "low_stock_at": 3 });
    app.post("/api/v1/shop/stock/adjustments").by(&merchant()).json(&body).await.expect(200);
    for order in 1..5 {
        reserve(&app, id(order), &sold, 1).await.unwrap();
    }
    let events = app.events().await;
    let told: Vec<&Value> = events.iter().filter(|(name, _)| name == "shop.variant.low_stock").map(|(_, data)| data).collect();
    assert_eq!(told.len(), 1, "{events:?}");
    assert_eq!(told[0]["available"], 3);
}

/// What happens to the stock in a random history.
#[derive(Clone, Debug)]
enum Step {
    Reserve(u128, i64),
    Commit(u128),
    Release(u128),
    Fulfil(u128, i64, u128),
    Restock(i64, u128),
    Adjust(i64),
}

fn any_step() -> impl Strategy<Value = Step> {
    let order = 1..6_u128;
    prop_oneof![
        (order.clone(), 1..5_i64).prop_map(|(order, quantity)| Step::Reserve(order, quantity)),
        order.clone().prop_map(Step::Commit),
        order.clone().prop_map(Step::Release),
        (order, 1..4_i64, 1..9_u128).prop_map(|(order, quantity, fulfilment)| Step::Fulfil(order, quantity, fulfilment)),
        (1..3_i64, 1..9_u128).prop_map(|(quantity, refund)| Step::Restock(quantity, refund)),
        (-4..8_i64).prop_map(Step::Adjust),
    ]
}

#[test]
fn inv_s4_the_books_agree_after_any_history() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let mut runner =
        proptest::test_runner::TestRunner::new(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() });
    runtime.block_on(async {
        let app = app().await;
        for round in 0..24 {
            let steps = proptest::collection::vec(any_step(), 1..25).new_tree(&mut runner).unwrap().current();
            let sold = product(&app, &format!("Product {round}"), 100).await;
            history(&app, &sold, &steps, round * 1_000).await;
            let (on_hand, reserved) = level(&app, &sold).await;
            let moved = sum(&app, &format!("/api/v1/shop/stock/{}/movements?limit=100", sold.item)).await;
            let held = sum(&app, &format!("/api/v1/shop/reservations?limit=100&item_id={}", sold.item)).await;
            assert_eq!((on_hand, reserved), (moved, held), "{steps:?}");
            assert!(on_hand >= 0 && (0..=on_hand).contains(&reserved), "{steps:?}");
        }
    });
}

async fn history(app: &TestApp, sold: &Sold, steps: &[Step], base: u128) {
    for step in steps {
        match step {
            Step::Reserve(order, quantity) => drop(reserve(app, id(base + order), sold, *quantity).await),
            Step::Commit(order) => commit(app, id(base + order)).await,
            Step::Release(order) => release(app, id(base + order)).await,
            Step::Fulfil(order, quantity, number) => drop(fulfil(app, id(base + order), sold, *quantity, base + number).await),
            Step::Restock(quantity, number) => restock(app, sold, *quantity, base + number).await,
            Step::Adjust(quantity) => drop(adjust(app, sold, *quantity).await),
        }
    }
}

async fn sum(app: &TestApp, path: &str) -> i64 {
    let page = app.get(path).by(&merchant()).await.expect(200);
    assert!(page["next_cursor"].is_null());
    page["items"].as_array().expect("a value").iter().map(|item| item["quantity"].as_i64().expect("a value")).sum()
}

#[tokio::test]
async fn inv_s4_movements_are_written_once_where_the_engine_lets_us_say_so() {
    let app = app().await;
    let sold = product(&app, "Mug", 900).await;
    supply(&app, &sold, 5).await;
    // MySQL lets only administrators make triggers.
    if app.database_url().starts_with("mysql") {
        return;
    }
    for sql in ["UPDATE shop_stock_movements SET quantity = 6", "DELETE FROM shop_stock_movements"] {
        let outcome = app.kernel().db().write(move |tx| tx.execute(sql, db::params![])).await;
        assert!(outcome.is_err(), "{sql}");
    }
    assert_eq!(level(&app, &sold).await, (5, 0));
}
