//! Our client alone, without a shop: amounts, refusals and lists, at seahaven-stripe-world.

use std::collections::BTreeSet;

use kernel::money::Money;
use kernel::{Id, Timestamp};
use shop::ids::{Order, Payment, Refund};
use shop::payments::settings::StripeSettings;
use shop::payments::stripe::Stripe;
use shop::payments::{NewIntent, PaymentProvider, PaymentState, ProviderError, ProviderKey, RefundState};

use crate::world::World;

/// Our client of that account.
fn stripe(world: &World) -> Stripe {
    let settings = StripeSettings { secret_key: "sk_test_client".into(), api_base: world.base(), ..StripeSettings::default() };
    Stripe::new(&settings).unwrap().unwrap()
}

/// The identifier with this number.
fn id<T>(number: usize) -> Id<T> {
    format!("019ab0b2-8f00-7000-8000-{number:012}").parse().unwrap()
}

fn intent(number: usize, amount: Money, manual_capture: bool) -> NewIntent {
    let (payment_id, order_id): (Id<Payment>, Id<Order>) = (id(number), id(number + 500_000));
    NewIntent { payment_id, order_id, order_number: number.to_string(), amount, method: String::new(), manual_capture }
}

fn eur(minor: i64) -> Money {
    Money::new(minor, "EUR".parse().unwrap())
}

async fn pay(world: &World, reference: &str) {
    let method = world.post("/v1/payment_methods", &[("type", "card"), ("card[token]", "tok_visa")]).await;
    world.post(&format!("/v1/payment_intents/{reference}/confirm"), &[("payment_method", method["id"].as_str().unwrap())]).await;
}

/// The code of a refusal that will stay one.
fn code<T: std::fmt::Debug>(outcome: Result<T, ProviderError>) -> String {
    match outcome.unwrap_err() {
        ProviderError::Invalid { code } | ProviderError::Declined { code } => code,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn inv_m2_amounts_cross_the_border_both_ways_in_every_kind_of_currency() {
    let world = World::seahaven().await;
    let stripe = stripe(&world);
    // Ours, and what Stripe's page about currencies demands: none, two and three places, and the ones that pretend.
    for (number, (minor, code, theirs)) in [
        (2_989, "EUR", 2_989),
        (1_500, "JPY", 1_500),
        (12_990, "HUF", 12_990),
        (500, "ISK", 50_000),
        (5_000, "UGX", 500_000),
        (1_230, "BHD", 1_230),
    ]
    .into_iter()
    .enumerate()
    {
        let amount = Money::new(minor, code.parse().unwrap());
        assert!(stripe.accepts(amount), "{amount}");
        let new = intent(number, amount, false);
        let made = stripe.create(&new, &ProviderKey::create(new.payment_id, 1)).await.unwrap();
        assert_eq!((made.amount, made.state), (amount, PaymentState::Pending));
        let there = world.get(&format!("/v1/payment_intents/{}", made.reference), &[]).await;
        assert_eq!((there["amount"].as_i64(), there["currency"].as_str()), (Some(theirs), Some(code.to_ascii_lowercase().as_str())));
        pay(&world, &made.reference).await;
        let paid = stripe.fetch(&made.reference, amount.currency).await.unwrap();
        assert_eq!((paid.state, paid.captured, paid.amount), (PaymentState::Captured, minor, amount));
    }
}

#[tokio::test]
async fn inv_p9_what_the_provider_will_never_do_is_told_from_what_may_succeed_later() {
    let world = World::seahaven().await;
    let stripe = stripe(&world);
    let new = intent(1, eur(2_989), true);
    let key = ProviderKey::create(new.payment_id, 1);
    let made = stripe.create(&new, &key).await.unwrap().reference;
    assert_eq!(code(stripe.create(&intent(1, eur(2_990), true), &key).await), "idempotency_error");
    assert_eq!(code(stripe.fetch("pi_unknown", eur(0).currency).await), "resource_missing");
    let early = stripe.capture(&made, eur(1), &ProviderKey::capture(new.payment_id, 1)).await;
    assert_eq!(code(early), "payment_intent_unexpected_state");
    let refund: Id<Refund> = id(7);
    assert!(stripe.refund(&made, refund, eur(1), &ProviderKey::refund(refund, 1)).await.is_err());
    pay(&world, &made).await;
    assert_eq!(stripe.fetch(&made, eur(0).currency).await.unwrap().authorized, 2_989);
    assert!(!code(stripe.capture(&made, eur(2_990), &ProviderKey::capture(new.payment_id, 2_990)).await).is_empty());
    let captured = stripe.capture(&made, eur(2_000), &ProviderKey::capture(new.payment_id, 2_000)).await.unwrap();
    assert_eq!((captured.state, captured.captured), (PaymentState::Captured, 2_000));
    // Too late to call it off: the truth is told, not a refusal.
    let late = stripe.cancel(&made, eur(0).currency, &ProviderKey::cancel(new.payment_id, Timestamp::from_millis(0))).await.unwrap();
    assert_eq!((late.state, late.captured), (PaymentState::Captured, 2_000));
    let back = stripe.refund(&made, refund, eur(2_000), &ProviderKey::refund(refund, 2)).await.unwrap();
    assert_eq!((back.state, back.refund_id, back.amount), (RefundState::Succeeded, Some(refund), eur(2_000)));
    assert_eq!(code(stripe.refund(&made, refund, eur(1), &ProviderKey::refund(refund, 3)).await), "charge_already_refunded");
    assert_eq!(stripe.fetch(&made, eur(0).currency).await.unwrap().refunds, [back]);
    world.refuse_all(Some("/v1/"));
    assert!(stripe.fetch(&made, eur(0).currency).await.unwrap_err().is_transient());
}

#[tokio::test]
async fn inv_i1_an_intent_is_found_by_our_payment_and_no_other() {
    let world = World::seahaven().await;
    let stripe = stripe(&world);
    let mut made = Vec::new();
    for number in 1..=3 {
        let new = intent(number, eur(1_000), false);
        made.push(stripe.create(&new, &ProviderKey::create(new.payment_id, 1)).await.unwrap().reference);
    }
    let found = stripe.find(id(2), eur(0).currency).await.unwrap();
    assert_eq!(found.map(|snapshot| snapshot.reference), Some(made[1].clone()));
    assert_eq!(stripe.find(id(4), eur(0).currency).await.unwrap(), None);
}

#[tokio::test]
async fn inv_p5_polling_misses_no_event_over_several_pages() {
    let world = World::seahaven().await;
    let stripe = stripe(&world);
    let make = async |number: usize| {
        let new = intent(number, eur(1_000), false);
        stripe.create(&new, &ProviderKey::create(new.payment_id, 1)).await.unwrap()
    };
    for number in 0..230 {
        make(number).await;
    }
    let (events, position) = stripe.events_since(None).await.unwrap();
    let told: BTreeSet<Option<Id<Payment>>> = events.iter().map(|event| event.payment_id).collect();
    assert_eq!((events.len(), told.len()), (230, 230));
    assert!(events.is_sorted_by_key(|event| event.created), "the oldest come first");
    assert!(world.count("GET /v1/events") >= 3);
    make(230).await;
    let (later, _) = stripe.events_since(position.as_deref()).await.unwrap();
    assert_eq!(later.last().and_then(|event| event.payment_id), Some(id(230)));
}
