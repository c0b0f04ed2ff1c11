//! Every operation of the catalog, the stock and the cart, called by nobody, a buyer and staff, against a reviewed list (POS-1).

use std::fmt::Write as _;

use kernel::http::Access;
use reqwest::Method;
use serde_json::json;
use testkit::{Doorman, Person, TestApp};

use crate::support::*;

/// The reviewed list: operation, access, and what nobody, a buyer and whoever may do everything meet.
const REVIEWED: &str = include_str!("doors.txt");

/// What the other test binary reviews.
const SELLING: [&str; 12] = [
    "/shop/orders",
    "/shop/payments",
    "/shop/refunds",
    "/shop/fulfilments",
    "/shop/provider-events",
    "/shop/ledger-entries",
    "/shop/reports",
    "/shop/audits",
    "/shop/invoices",
    "/shop/downloads",
    "/shop/imports",
    "/shop/exports",
];

fn with_id(template: &str) -> String {
    let segment = |part: &str| if part.starts_with('{') { "019ab0b2-8f00-7000-8000-00000000ffff".to_owned() } else { part.to_owned() };
    template.split('/').map(segment).collect::<Vec<_>>().join("/")
}

async fn outcome(app: &TestApp, method: &Method, path: &str, person: Option<&Person>) -> String {
    let request = app.request(method.clone(), path).header("X-CSRF", "1");
    let request = if matches!(*method, Method::GET | Method::DELETE) { request } else { request.json(&json!({})) };
    let request = match person {
        Some(person) => request.by(person),
        None => request,
    };
    match request.await.status.as_u16() {
        refused @ (401 | 403) => refused.to_string(),
        _ => "in".to_owned(),
    }
}

#[tokio::test]
async fn pos1_every_operation_opens_for_whom_the_reviewed_list_says() {
    let app = app().await;
    let everybody = [None, Some(buyer("ada")), Some(Doorman::person("merchant", &["*"]))];
    let mut found = Vec::new();
    let ours = app.kernel().plan().operations().filter(|operation| {
        operation.path().starts_with("/api/v1/shop/") && !SELLING.iter().any(|path| operation.path()["/api/v1".len()..].starts_with(path))
    });
    for operation in ours {
        let access = match operation.access() {
            Access::Public => "public",
            Access::Authenticated => "authenticated",
            Access::Permission(permission) => permission.name,
        };
        let mut line = format!("{} {access}", operation.id());
        for person in &everybody {
            let met = outcome(&app, operation.method(), &with_id(operation.path()), person.as_ref()).await;
            write!(line, " {met}").expect("text can be written");
        }
        found.push(line);
    }
    found.sort_unstable();
    let reviewed: Vec<&str> = REVIEWED.lines().filter(|line| !line.starts_with('#')).collect();
    let news: Vec<&String> = found.iter().filter(|line| !reviewed.contains(&line.as_str())).collect();
    let gone: Vec<&&str> = reviewed.iter().filter(|line| !found.iter().any(|other| other == *line)).collect();
    assert!(news.is_empty() && gone.is_empty(), "not as reviewed in doors.txt:\n{news:#?}\ngone:\n{gone:#?}");
    assert_eq!(found, reviewed, "doors.txt is sorted and has no line twice");
}

#[tokio::test]
async fn each_permission_opens_its_own_doors_only() {
    let app = app().await;
    for (permission, open, shut) in [
        ("shop:stock:read", "/api/v1/shop/stock", "/api/v1/shop/locations"),
        ("shop:settings:manage", "/api/v1/shop/locations", "/api/v1/shop/coupons"),
        ("shop:promotions:manage", "/api/v1/shop/coupons", "/api/v1/shop/reservations"),
    ] {
        let person = Doorman::person("staff", &[permission]);
        app.get(open).by(&person).await.expect(200);
        app.get(shut).by(&person).await.expect(403).problem("forbidden");
    }
}
