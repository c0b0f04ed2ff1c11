//! Short links through the front door: every answer of the API is compared with the OpenAPI document, on every engine.

mod bad_input;
mod clicks;
mod codes;
mod commands;
mod doors;
mod exact;
mod imports;
mod kills;
mod links;
mod lists;
mod nodes;
mod passwords;
mod qr;
mod redirects;
mod stats;
mod support;
