//! The default composition.

use std::process::ExitCode;

use undercroft::App;
use undercroft::accounts::Accounts;
use undercroft::blog::Blog;
use undercroft::links::Links;
use undercroft::shop::Shop;

/// Faster than the C library's, which comes to the fore in lists and in writes.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    undercroft::run(App::builder().module(Accounts::new()).module(Blog::new()).module(Shop::new()).module(Links::new()))
}
