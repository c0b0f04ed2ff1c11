//! The example, tried.

use std::sync::Arc;

use testkit::TestApp;

use super::Hello;

#[tokio::test]
async fn it_greets_whoever_asks() {
    let app = TestApp::with(vec![Arc::new(Hello)]).await;
    assert_eq!(app.get("/api/v1/greeting").await.expect(200)["text"], "Hello, world!");
    assert_eq!(app.get("/api/v1/greeting?name=Ada").await.expect(200)["text"], "Hello, Ada!");
}

#[tokio::test]
async fn it_refuses_what_it_does_not_know() {
    let app = TestApp::with(vec![Arc::new(Hello)]).await;
    app.get("/api/v1/greeting?nmae=Ada").await.expect(422).field("nmae", "unknown_parameter");
}
