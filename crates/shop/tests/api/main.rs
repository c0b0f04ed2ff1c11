//! The catalog, the stock and the cart through the front door: every answer is compared with the OpenAPI document, on every engine.

mod bad_input;
mod cart_merging;
mod carts;
mod categories;
mod codes;
mod coupons;
mod doors;
mod products;
mod resources;
mod samples;
mod stock;
mod support;
mod taxes;
