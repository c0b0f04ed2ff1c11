//! Selling through the front door: every answer is compared with the OpenAPI document, on every engine.

mod bad_input;
mod books;
mod checkout;
mod codes;
mod doors;
mod mails;
mod orders;
mod parcels;
mod refunds;
mod stripe;
mod support;
mod webhooks;
