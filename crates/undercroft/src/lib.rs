//! A backend in one program: compose modules, and [`run`] gives them a server and a command line.
//!
//! * [`App::builder`] collects modules; the kernel's own is always there.
//! * [`run`] is the whole program: settings, start, shutdown, and the verbs `serve`, `migrate`, `doctor` and their like.
//! * What a module is made of is re-exported here; the rest is in [`kernel`] and [`db`].
//!
//! ```no_run
//! use std::process::ExitCode;
//!
//! use undercroft::http::{Json, Operation};
//! use undercroft::{App, Ctx, Module, Parts, Result};
//!
//! #[derive(serde::Serialize, utoipa::ToSchema)]
//! struct Greeting {
//!     /// What is said.
//!     text: String,
//! }
//!
//! async fn greet(_ctx: Ctx) -> Result<Json<Greeting>> {
//!     Ok(Json(Greeting { text: "Hello".to_owned() }))
//! }
//!
//! struct Hello;
//!
//! impl Module for Hello {
//!     fn name(&self) -> &'static str {
//!         "hello"
//!     }
//!
//!     fn register(&self, parts: &mut Parts<'_>) {
//!         parts.route(Operation::get("/api/v1/greeting", "getGreeting", greet).tag("Hello").summary("Say hello").public());
//!     }
//! }
//!
//! fn main() -> ExitCode {
//!     undercroft::run(App::builder().module(Hello))
//! }
//! ```

mod cli;
mod doctor;
mod logging;
mod outcome;
mod serve;
mod start;
mod verbs;

use std::process::ExitCode;

#[cfg(feature = "accounts")]
pub use accounts;
#[cfg(feature = "blog")]
pub use blog;
pub use clap;
pub use db;
pub use kernel;
pub use kernel::{
    Actor, App, AppBuilder, AuditEntry, Clock, Ctx, Error, Event, Finding, Id, Job, Kind, LogAndContinue, Module, Parts, Permission,
    Permissions, Problem, Random, Result, StoredEvent, Template, Timestamp, Tx, UserId,
};
pub use kernel::{event, http, page, ports, problems, settings, template};
#[cfg(feature = "links")]
pub use links;
#[cfg(feature = "shop")]
pub use shop;

/// Runs the program: reads the command line, carries out its verb, and gives back the exit code.
///
/// Exit codes: 0 fine, 1 failed, 2 wrong usage, 3 there are findings (`doctor`, `migrate --check`).
///
/// ```no_run
/// fn main() -> std::process::ExitCode {
///     undercroft::run(undercroft::App::builder())
/// }
/// ```
pub fn run(builder: AppBuilder) -> ExitCode {
    // The one TLS provider; somebody who embeds us may have installed it before.
    _ = rustls::crypto::ring::default_provider().install_default();
    cli::run(builder, std::env::args_os(), environment()).into()
}

/// The variables that may be settings; others are nobody's business.
#[expect(clippy::disallowed_methods, reason = "the one place that reads the environment")]
fn environment() -> Vec<(String, String)> {
    let ours = std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value)));
    ours.filter(|(name, _)| name.starts_with("UNDERCROFT_")).map(|(name, value)| (name, value.to_string_lossy().into_owned())).collect()
}
