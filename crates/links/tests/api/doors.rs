//! Every operation called by nobody, by somebody without permissions and by somebody with all, against a reviewed list (POS-1).

use kernel::http::{Access, Operation};
use reqwest::Method;
use serde_json::json;

use crate::support::*;

/// The reviewed list: operation, access, and what nobody, Ada and root meet. A new operation needs a line here.
const REVIEWED: &str = include_str!("doors.txt");

fn path_with_id(operation: &Operation) -> String {
    let segment = |part: &str| if part.starts_with('{') { "019ab0b2-8f00-7000-8000-00000000ffff".to_owned() } else { part.to_owned() };
    operation.path().split('/').map(segment).collect::<Vec<_>>().join("/")
}

#[tokio::test]
async fn pos1_every_operation_opens_for_whom_the_reviewed_list_says() {
    let app = app().await;
    let mut found = Vec::new();
    for operation in app.kernel().plan().operations().filter(|operation| operation.path().starts_with("/api/v1/links")) {
        let access = match operation.access() {
            Access::Public => "public",
            Access::Authenticated => "authenticated",
            Access::Permission(permission) => permission.name,
        };
        let mut line = format!("{} {access}", operation.id());
        for person in [app.anyone(), ada(), admin()] {
            let request = app.request(operation.method().clone(), &path_with_id(operation)).by(&person);
            let answer = match *operation.method() {
                Method::GET | Method::DELETE => request.await,
                _ if operation.id() == "importLinks" => request.body("text/csv", "").await,
                _ => request.json(&json!({})).await,
            };
            line.push_str(match answer.status.as_u16() {
                401 => " 401",
                403 => " 403",
                _ => " in",
            });
        }
        found.push(line);
    }
    found.sort_unstable();
    let reviewed: Vec<&str> = REVIEWED.lines().filter(|line| !line.starts_with('#')).collect();
    assert_eq!(found, reviewed);
}
