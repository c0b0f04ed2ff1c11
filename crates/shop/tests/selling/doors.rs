//! Every operation of selling called by nobody, a stranger and staff, against a reviewed list (POS-1).

use kernel::http::Access;
use reqwest::Method;
use serde_json::json;
use testkit::Person;

use crate::support::*;

/// The reviewed list: operation, access, and what nobody, a stranger and staff meet.
const REVIEWED: &str = include_str!("doors.txt");
const TAGS: [&str; 8] = ["Orders", "Payments", "Refunds", "Fulfilments", "Ledger", "Reports", "Audits", ""];

async fn knock(shop: &TestShop, method: &Method, path: &str, person: &Person) -> String {
    let request = shop.request(method.clone(), path).by(person).header("Idempotency-Key", "a-key-of-twenty-or-more");
    let request = if matches!(*method, Method::GET | Method::DELETE) { request } else { request.json(&json!({})) };
    match request.await.status.as_u16() {
        refused @ (401 | 403) => refused.to_string(),
        _ => "in".to_owned(),
    }
}

#[tokio::test]
async fn pos1_every_operation_opens_for_whom_the_reviewed_list_says() {
    let shop = shop(1).await;
    let operations: Vec<_> = shop
        .kernel()
        .plan()
        .operations()
        .filter(|operation| operation.path().starts_with("/api/v1/shop/") && TAGS.contains(&operation.doc().tag))
        .map(|operation| (operation.id(), operation.method().clone(), operation.path(), operation.access()))
        .collect();
    let mut found = Vec::new();
    for (id, method, path, access) in operations {
        let segment = |part: &str| if part.starts_with('{') { "019ab0b2-8f00-7000-8000-00000000ffff".to_owned() } else { part.to_owned() };
        let path: Vec<String> = path.split('/').map(segment).collect();
        let path = path.join("/");
        let access = match access {
            Access::Public => "public".to_owned(),
            Access::Authenticated => "authenticated".to_owned(),
            Access::Permission(permission) => permission.name.to_owned(),
        };
        let mut line = format!("{id} {access}");
        for person in [shop.anyone(), ada(), staff()] {
            line = format!("{line} {}", knock(&shop, &method, &path, &person).await);
        }
        found.push(line);
    }
    found.sort_unstable();
    let reviewed: Vec<&str> = REVIEWED.lines().filter(|line| !line.starts_with('#')).collect();
    assert_eq!(found, reviewed, "not as reviewed in doors.txt:\n{}", found.join("\n"));
}
