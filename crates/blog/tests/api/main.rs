//! The blog through the front door: every answer is compared with the OpenAPI document, on every engine.

mod authors;
mod codes;
mod comments;
mod doors;
mod drafts;
mod feeds;
mod moderation;
mod posts;
mod publishing;
mod reading;
mod support;
