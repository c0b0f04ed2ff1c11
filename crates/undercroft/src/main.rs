//! The default composition.

use std::process::ExitCode;

use undercroft::App;
use undercroft::accounts::Accounts;
use undercroft::blog::Blog;
use undercroft::links::Links;
use undercroft::shop::Shop;

fn main() -> ExitCode {
    undercroft::run(App::builder().module(Accounts::new()).module(Blog::new()).module(Shop::new()).module(Links::new()))
}
