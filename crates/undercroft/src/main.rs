//! The default composition.

use std::process::ExitCode;

use undercroft::App;
use undercroft::accounts::Accounts;

fn main() -> ExitCode {
    undercroft::run(App::builder().module(Accounts::new()))
}
