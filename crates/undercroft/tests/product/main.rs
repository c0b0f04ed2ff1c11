//! The default composition as a whole: its document, its doors, its reserved names.

mod document;
mod doors;
mod logins;

use testkit::TestApp;
use undercroft::accounts::Accounts;
use undercroft::blog::Blog;
use undercroft::links::Links;
use undercroft::shop::Shop;

async fn app() -> TestApp {
    let with_accounts = TestApp::builder().module(Accounts::for_tests());
    with_accounts.module(Blog::new()).module(Shop::new()).module(Links::new()).start().await
}
