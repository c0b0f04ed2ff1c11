//! The workspace's own tools. `cargo xtask ci` is the whole check; the other verbs are its parts, and the bench.

mod bench;
mod ci;
mod finding;
mod generate;
mod http;
mod layers;
mod metadata;
mod process;
mod server;
mod tidy;

use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(name = "cargo xtask", about)]
struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Runs every check there is, and counts them in the last line.
    Ci(ci::Args),
    /// Checks that each crate depends only on what lies below it.
    Layers,
    /// Checks the rules that no compiler knows: where SQL may stand, leftovers, manifests, native code.
    Tidy,
    /// Writes the generated reference documents.
    Generate {
        /// Writes nothing and fails when a document differs from what the code says.
        #[arg(long)]
        check: bool,
    },
    /// Measures our server against the limit server, interleaved, and prints ratios.
    Bench(bench::Args),
}

fn main() -> ExitCode {
    match run(Args::parse().verb) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Whether all is well. An error is something that kept us from finding out.
fn run(verb: Verb) -> Result<bool> {
    std::env::set_current_dir(process::root())?;
    match verb {
        Verb::Ci(args) => ci::run(&args),
        Verb::Layers => Ok(layers::check()?.print()),
        Verb::Tidy => Ok(tidy::check()?.print()),
        Verb::Generate { check: true } => Ok(generate::check()?.print()),
        Verb::Generate { check: false } => generate::write().map(|()| true),
        Verb::Bench(args) => bench::run(&args),
    }
}
