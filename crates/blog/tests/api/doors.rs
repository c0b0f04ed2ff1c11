//! Every operation of the blog called by nobody, a member, an author and an editor, against a reviewed list (POS-1).

use std::collections::BTreeMap;
use std::fmt::Write as _;

use kernel::http::Access;
use reqwest::Method;
use serde_json::json;
use testkit::{Request, TestApp};

use crate::support::*;

/// The reviewed list: operation, access, and what nobody, a member, an author and an editor meet. A new operation needs a line here.
const REVIEWED: &str = include_str!("doors.txt");

struct Door {
    id: &'static str,
    method: Method,
    path: String,
    access: Access,
}

/// Every operation of the blog, pages too, with a made-up id in its path.
fn operations(app: &TestApp) -> Vec<Door> {
    let door = |operation: &kernel::http::Operation| Door {
        id: operation.id(),
        method: operation.method().clone(),
        path: with_id(operation.path()),
        access: operation.access(),
    };
    let plan = app.kernel().plan();
    let is_ours = |operation: &&kernel::http::Operation| operation.path().contains("/blog/") || operation.id().starts_with("blog");
    plan.operations().filter(is_ours).map(door).collect()
}

fn with_id(template: &str) -> String {
    let segment = |part: &str| if part.starts_with('{') { "019ab0b2-8f00-7000-8000-00000000ffff".to_owned() } else { part.to_owned() };
    template.split('/').map(segment).collect::<Vec<_>>().join("/")
}

fn knock(app: &TestApp, door: &Door) -> Request {
    let request = app.request(door.method.clone(), &door.path);
    if matches!(door.method, Method::GET | Method::DELETE) { request } else { request.json(&json!({})) }
}

async fn outcome(request: Request) -> String {
    match request.await.status.as_u16() {
        refused @ (401 | 403) => refused.to_string(),
        _ => "in".to_owned(),
    }
}

async fn line(app: &TestApp, door: &Door) -> String {
    let access = match door.access {
        Access::Public => "public".to_owned(),
        Access::Authenticated => "authenticated".to_owned(),
        Access::Permission(permission) => permission.name.to_owned(),
    };
    let mut line = format!("{} {access}", door.id);
    for person in [app.anyone(), member("eve"), author("ada"), editor()] {
        let met = outcome(knock(app, door).by(&person)).await;
        write!(line, " {met}").expect("text can be written");
    }
    line
}

#[tokio::test]
async fn pos1_every_operation_opens_for_whom_the_reviewed_list_says() {
    let app = app().await;
    let mut found = Vec::new();
    for door in operations(&app) {
        found.push(line(&app, &door).await);
    }
    found.sort_unstable();
    let reviewed: Vec<&str> = REVIEWED.lines().filter(|line| !line.starts_with('#')).collect();
    let by_id = |lines: &[String]| -> BTreeMap<String, String> {
        lines.iter().map(|line| (line.split(' ').next().unwrap_or_default().to_owned(), line.clone())).collect()
    };
    let (found_by_id, reviewed_by_id) = (by_id(&found), by_id(&reviewed.iter().map(ToString::to_string).collect::<Vec<_>>()));
    let news: Vec<&String> = found_by_id.iter().filter(|(id, line)| reviewed_by_id.get(*id) != Some(line)).map(|(_, line)| line).collect();
    let gone: Vec<&String> = reviewed_by_id.keys().filter(|id| !found_by_id.contains_key(*id)).collect();
    assert!(news.is_empty() && gone.is_empty(), "not as reviewed in doors.txt:\n{news:#?}\ngone:\n{gone:#?}");
    assert_eq!(found, reviewed, "doors.txt is sorted and has no line twice");
    app.run_jobs().await;
}
