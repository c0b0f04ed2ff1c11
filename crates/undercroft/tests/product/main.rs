//! The default composition as a whole: its document, its doors, its reserved names.

mod document;
mod doors;

use testkit::TestApp;
use undercroft::accounts::Accounts;

async fn app() -> TestApp {
    TestApp::builder().module(Accounts::for_tests()).start().await
}
