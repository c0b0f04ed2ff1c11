//! What every test shares; a development dependency only.
//!
//! * [`TestApp`]: a composition of modules with a database, a clock, ids and a real listener of its own
//! * [`Request`] and [`TestResponse`]: every answer is compared with the OpenAPI document (R-102)
//! * [`Person`]: somebody who calls, made through the front door; or [`Doorman`], where there are no accounts; [`Hashes`] keeps passwords there
//! * [`Mail`], [`token_in`], [`code_in`], [`SmtpSink`]: what was mailed
//!
//! ```no_run
//! # async fn example(blog: impl kernel::Module) {
//! let app = testkit::TestApp::builder().module(blog).start().await;
//! let ada = app.member("ada@example.com").await;
//! let post = app.post("/api/v1/blog/posts").by(&ada).json(&serde_json::json!({"title": "Hello"})).await.expect(201);
//! app.get(post.header("location")).await.problem("not_found");
//! assert_eq!(app.event_names().await, ["blog.post.created"]);
//! # }
//! ```

mod app;
mod checker;
mod document;
mod doorman;
mod hashes;
mod mail;
mod node;
mod people;
mod request;
mod smtp;
mod store;
pub mod stripe;

pub use app::{Builder, TestApp};
pub use document::DocumentedOperation;
pub use doorman::Doorman;
pub use hashes::Hashes;
pub use mail::{Mail, code_in, token_in};
pub use node::Node;
pub use people::{PASSWORD, Person};
pub use request::{Request, TestResponse};
pub use smtp::SmtpSink;
