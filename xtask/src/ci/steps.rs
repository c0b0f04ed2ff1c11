//! The steps, as a table.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::Outcome;
use super::service::{self, Service};
use crate::metadata::Metadata;
use crate::process::{self, command, passes};
use crate::server::Server;
use crate::{generate, layers, tidy};

pub(crate) struct Step {
    pub(crate) name: &'static str,
    pub(crate) what: &'static str,
    pub(crate) run: fn() -> Result<Outcome>,
}

/// In the order they run: the quick ones first.
pub(crate) const ALL: &[Step] = &[
    Step { name: "fmt", what: "the sources are formatted", run: fmt },
    Step { name: "layers", what: "crates depend only on what lies below them", run: || Ok(Outcome::of(layers::check()?.print())) },
    Step { name: "tidy", what: "the rules that no compiler knows", run: || Ok(Outcome::of(tidy::check()?.print())) },
    Step { name: "deny", what: "licences, bans, sources", run: || deny(&["bans", "licenses", "sources"]) },
    Step { name: "advisories", what: "no known vulnerability, if their database is here", run: advisories },
    Step { name: "clippy", what: "no lint, in any target", run: clippy },
    Step { name: "doc", what: "the documentation builds, private items too", run: doc },
    Step { name: "sqlite", what: "all tests on SQLite", run: || cargo(&["test", "--locked", "--workspace"]) },
    Step { name: "postgres", what: "all tests on PostgreSQL", run: || test_on("postgres", "postgres", "TEST_POSTGRES_URL") },
    Step { name: "mariadb", what: "all tests on MariaDB", run: || test_on("mysql", "mariadb", "TEST_MYSQL_URL") },
    Step { name: "generate", what: "the reference documents say what the code says", run: || Ok(Outcome::of(generate::check()?.print())) },
    Step { name: "examples", what: "each example starts and becomes ready", run: examples },
    Step { name: "sanitiser", what: "nothing hostile comes to life in a real browser", run: sanitiser },
    Step {
        name: "pages",
        what: "a browser signs up, logs in and out and resets a password on our pages, and axe finds nothing",
        run: pages,
    },
    Step { name: "feeds", what: "two feed readers that others use read our feeds without complaint", run: feeds },
    Step { name: "schemathesis", what: "a stranger reads our OpenAPI document and finds no fault", run: schemathesis },
    Step { name: "stripe", what: "the shop is paid through imitations of Stripe that others wrote", run: stripe },
];

/// The folders whose programs the `examples` step starts.
const EXAMPLES: &str = "examples/";

fn cargo(args: &[&str]) -> Result<Outcome> {
    passes(&mut command("cargo", args.iter().copied())).map(Outcome::of)
}

fn fmt() -> Result<Outcome> {
    cargo(&["fmt", "--all", "--check"])
}

fn clippy() -> Result<Outcome> {
    cargo(&["clippy", "--locked", "--workspace", "--all-targets", "--features", "shop/svc", "--", "-D", "warnings"])
}

fn doc() -> Result<Outcome> {
    let mut doc = command("cargo", ["doc", "--locked", "--workspace", "--no-deps", "--document-private-items"]);
    passes(doc.env("RUSTDOCFLAGS", "-D warnings")).map(Outcome::of)
}

/// The same test binaries as on SQLite. Doc tests and the tools do not know databases: once is enough for them.
fn test_on(engine: &str, script: &str, variable: &str) -> Result<Outcome> {
    let Some(service) = Service::get(script, variable)? else {
        return Ok(Outcome::missing(format_args!("{script} is not installed; INSTALL=1 installs it")));
    };
    let mut tests = command("cargo", ["test", "--locked", "--workspace", "--tests", "--exclude", "xtask", "--exclude", "limit"]);
    service.tell(tests.env("TEST_DB", engine));
    passes(&mut tests).map(Outcome::of)
}

fn deny(checks: &[&str]) -> Result<Outcome> {
    let Some(program) = service::tool("cargo-deny")? else {
        return Ok(Outcome::missing("cargo-deny is not installed; INSTALL=1 installs it"));
    };
    passes(&mut command(program, ["--offline", "check"].iter().chain(checks).copied())).map(Outcome::of)
}

/// The only optional step on CI: the database cannot be had everywhere.
fn advisories() -> Result<Outcome> {
    let databases = process::env("CARGO_HOME").map_or_else(home_cargo, PathBuf::from).join("advisory-dbs");
    match databases.read_dir().map(|mut entries| entries.next()) {
        Ok(Some(_)) => deny(&["advisories"]),
        _ => Ok(Outcome::Skipped(format!("no RustSec database in {}: known vulnerabilities were NOT checked", databases.display()))),
    }
}

fn home_cargo() -> PathBuf {
    Path::new(&process::env("HOME").unwrap_or_default()).join(".cargo")
}

/// Each example is a program of a user's: it has to build and to answer.
fn examples() -> Result<Outcome> {
    let metadata = Metadata::read()?;
    for package in metadata.members().filter(|package| package.folder().starts_with(EXAMPLES)) {
        if !passes(&mut command("cargo", ["build", "--locked", "--package", &package.name]))? {
            return Ok(Outcome::of(false));
        }
        for program in package.programs() {
            Server::start(&process::built("debug").join(program)).with_context(|| format!("example {program}"))?;
            println!("{program} started and became ready");
        }
    }
    Ok(Outcome::Passed)
}

/// Shows everything hostile that we know, sanitised, to a browser (SAN-5).
fn sanitiser() -> Result<Outcome> {
    let Some(chromium) = service::tool("chromium")? else {
        return Ok(Outcome::missing("Chromium is not installed; INSTALL=1 installs it"));
    };
    let mut judge = command(process::root().join("scripts/sanitiser.sh"), []);
    passes(judge.env("CHROMIUM", chromium)).map(Outcome::of)
}

/// What is done there is in `scripts/pages.mjs`. SHOTS names a folder for pictures of every page.
fn pages() -> Result<Outcome> {
    let Some(judges) = service::tool("pages")? else {
        return Ok(Outcome::missing("Chromium, playwright-core or axe-core is not installed; INSTALL=1 installs them"));
    };
    if !passes(&mut command("cargo", ["build", "--locked", "--package", "undercroft"]))? {
        return Ok(Outcome::of(false));
    }
    let program = process::built("debug").join("undercroft");
    let server = Server::start(&program)?;
    let mut judge = command(process::root().join("scripts/pages.sh"), []);
    judge.env("JUDGES", judges).env("UNDERCROFT", program).env("SERVER", format!("http://{}", server.address)).env("DATA", server.data());
    passes(&mut judge).map(Outcome::of)
}

/// Fills a server with the sample data, and hands its feeds to the readers.
fn feeds() -> Result<Outcome> {
    let Some(readers) = service::tool("feeds")? else {
        return Ok(Outcome::missing("the feed readers are not installed; INSTALL=1 installs them"));
    };
    if !passes(&mut command("cargo", ["build", "--locked", "--package", "undercroft"]))? {
        return Ok(Outcome::of(false));
    }
    let program = process::built("debug").join("undercroft");
    let server = Server::start(&program)?;
    let mut seed = command(program, ["seed", "--demo"]);
    if !passes(seed.env("UNDERCROFT_DATA_DIR", server.data()))? {
        return Ok(Outcome::of(false));
    }
    let mut judge = command(process::root().join("scripts/feeds.sh"), []);
    judge.env("READERS", readers).env("SERVER", format!("http://{}", server.address));
    passes(&mut judge).map(Outcome::of)
}

/// What is asked, as whom and how often is in `scripts/schemathesis.sh`.
fn schemathesis() -> Result<Outcome> {
    let Some(st) = service::tool("schemathesis")? else {
        return Ok(Outcome::missing("schemathesis is not installed; INSTALL=1 installs it"));
    };
    if !passes(&mut command("cargo", ["build", "--locked", "--package", "undercroft"]))? {
        return Ok(Outcome::of(false));
    }
    let program = process::built("debug").join("undercroft");
    let server = Server::start(&program)?;
    let mut judge = command(process::root().join("scripts/schemathesis.sh"), []);
    judge.env("ST", st).env("UNDERCROFT", program).env("SERVER", format!("http://{}", server.address)).env("DATA", server.data());
    passes(&mut judge).map(Outcome::of)
}

/// Two imitations: one is strict and tells nobody what happens, the other is lenient and delivers signed webhooks.
fn stripe() -> Result<Outcome> {
    let Some(strict) = Service::get("stripe", "TEST_STRIPE_URL")? else {
        return Ok(Outcome::missing("seahaven-stripe-world is not installed; INSTALL=1 installs it where there is a Python 3.13 or later"));
    };
    let Some(lenient) = Service::get("localstripe", "TEST_LOCALSTRIPE_URL")? else {
        return Ok(Outcome::missing("localstripe is not installed; INSTALL=1 installs it"));
    };
    // Of the whole workspace, so that nothing is compiled with other features than before.
    let mut tests = command("cargo", ["test", "--locked", "--workspace", "--features", "shop/svc", "--test", "stripe"]);
    strict.tell(&mut tests);
    lenient.tell(&mut tests);
    passes(&mut tests).map(Outcome::of)
}
