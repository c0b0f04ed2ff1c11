//! A login leads to no short link, wherever that one leads (FED-6, POS-6).

use serde_json::json;
use testkit::{PASSWORD, TestApp};

use crate::app;

/// Logs in on the page, and tells where it leads.
async fn lands(app: &TestApp, next: &str) -> String {
    let page = app.get(&format!("/account/login?next={next}")).header("Accept", "text/html").await.expect(200);
    let cookie = page.header("set-cookie").split(';').next().unwrap_or_default().to_owned();
    let html = String::from_utf8(page.bytes).expect("UTF-8");
    let token = html.split("name=\"form_token\" value=\"").nth(1).and_then(|rest| rest.split('"').next()).expect("a token");
    let body = format!("identifier=owner%40example.com&password={}&next={next}&form_token={token}", PASSWORD.replace(' ', "+"));
    let login = app.post("/account/login").header("Cookie", &cookie).header("Sec-Fetch-Site", "same-origin");
    login.body("application/x-www-form-urlencoded", body).await.expect(303).header("location").to_owned()
}

#[tokio::test]
async fn pos6_a_login_never_leads_to_a_short_link() {
    let app = app().await;
    let owner = app.owner().await;
    let link = app.post("/api/v1/links").by(&owner).json(&json!({ "url": "https://evil.test/", "slug": "black-friday" })).await.expect(201);
    assert_eq!(link["slug"], "black-friday");
    for next in
        ["/black-friday", "http%3A%2F%2Fundercroft.test%2Fblack-friday", "/account/../black-friday", "/Black-Friday", "/black-friday/"]
    {
        assert_eq!(lands(&app, next).await, "/account", "{next}");
    }
    assert_eq!(lands(&app, "/account/password").await, "/account/password");
    app.run_jobs().await;
}
