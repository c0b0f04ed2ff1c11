//! Accounts through the front door: every answer is compared with the OpenAPI document, on every engine.

mod api_keys;
mod bad_input;
mod canary;
mod codes;
mod cookies;
mod csrf;
mod doors;
mod dump;
mod enumeration;
mod forgery;
mod guessing;
mod hashing;
mod journeys;
mod keys;
mod operators;
mod owners;
mod passwords;
mod prehijacking;
mod profile;
mod purge;
mod races;
mod refresh;
mod resets;
mod sessions;
mod signups;
mod support;
