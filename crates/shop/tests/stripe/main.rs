//! Selling through imitations of Stripe that nobody here wrote, by way of our own front door (shop.md §14.2).
//!
//! Whatever our client sends passes `world::World`, which judges it by Stripe's OpenAPI document and fails at will. Run by
//! `cargo xtask ci --only stripe`; by hand `eval "$(scripts/svc/stripe.sh up)" && eval "$(scripts/svc/localstripe.sh up)"`, then
//! `cargo test -p shop --features svc --test stripe`.
//!
//! * `seahaven`, `refunds`, `disputes`, `lost`: a world of seahaven-stripe-world's for each test: declines, 3-D Secure, idempotency
//! * `chaos`: its events, signed by Stripe's own library, dropped, repeated, reordered, delayed and forged by `relay`
//! * `localstripe`: webhooks that somebody else signs and delivers
//! * `client`: our client alone, without a shop
//! * `signatures`, `fake`: Stripe's own library judges our signatures, and the world our own stand-in

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]
#![expect(clippy::disallowed_methods, reason = "a test that is told where its servers are, and calls them from outside")]

mod chaos;
mod client;
mod disputes;
mod fake;
mod localstripe;
mod lost;
mod openapi;
mod refunds;
mod relay;
mod sdk;
mod seahaven;
mod signatures;
#[expect(dead_code, reason = "shared with the tests of selling, which use all of it")]
#[path = "../selling/support.rs"]
mod support;
mod till;
mod world;

/// What a service script told us.
///
/// # Panics
/// When it did not: this binary is built only where the services are.
fn told(variable: &str) -> String {
    std::env::var(variable).unwrap_or_else(|_| panic!("{variable} is not set: scripts/svc/stripe.sh and localstripe.sh export it"))
}

/// A client that goes straight to its goal.
fn straight() -> reqwest::Client {
    testkit::stripe::prepare_tls();
    reqwest::Client::builder().no_proxy().tls_certs_only([]).build().unwrap()
}
