//! Every operation called by nobody, a member and the owner, against a reviewed list (POS-1).

use std::collections::BTreeMap;
use std::fmt::Write as _;

use kernel::http::Access;
use reqwest::Method;
use serde_json::json;
use testkit::{PASSWORD, Request, TestApp};

use crate::support::*;

/// The reviewed list: operation, access, and what nobody, a member and the owner meet. A new operation needs a line here.
const REVIEWED: &str = include_str!("doors.txt");

pub(crate) struct Door {
    pub(crate) id: &'static str,
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) access: Access,
}

/// Every operation, hidden ones too, with a made-up id in its path.
pub(crate) fn operations(app: &TestApp) -> Vec<Door> {
    let door = |operation: &kernel::http::Operation| Door {
        id: operation.id(),
        method: operation.method().clone(),
        path: with_id(operation.path()),
        access: operation.access(),
    };
    app.kernel().plan().operations().map(door).collect()
}

fn with_id(template: &str) -> String {
    let segment = |part: &str| if part.starts_with('{') { "019ab0b2-8f00-7000-8000-00000000ffff".to_owned() } else { part.to_owned() };
    template.split('/').map(segment).collect::<Vec<_>>().join("/")
}

/// A request that is well-formed enough to be let in or turned away.
pub(crate) fn knock(app: &TestApp, method: &Method, path: &str) -> Request {
    let request = app.request(method.clone(), path);
    if matches!(*method, Method::GET | Method::DELETE) { request } else { request.json(&json!({})) }
}

/// `login` is a page that sends whoever is not logged in to the login.
pub(crate) async fn outcome(request: Request) -> String {
    let answer = request.await;
    match answer.status.as_u16() {
        refused @ (401 | 403) => refused.to_string(),
        303 if answer.header("location").starts_with("/account/login?next=") => "login".to_owned(),
        _ => "in".to_owned(),
    }
}

async fn line(app: &TestApp, door: &Door) -> String {
    let access = match door.access {
        Access::Public => "public".to_owned(),
        Access::Authenticated => "authenticated".to_owned(),
        Access::Permission(permission) => permission.name.to_owned(),
    };
    let nobody = outcome(knock(app, &door.method, &door.path).header("X-CSRF", "1")).await;
    let mut line = format!("{} {access} {nobody}", door.id);
    for email in [ADA, "owner@example.com"] {
        // A login of its own for each operation, since some of them end it.
        let person = app.log_in(email, PASSWORD).await;
        let met = outcome(knock(app, &door.method, &door.path).by(&person)).await;
        write!(line, " {met}").expect("text can be written");
    }
    line
}

#[tokio::test]
async fn pos1_every_operation_opens_for_whom_the_reviewed_list_says() {
    let app = app().await;
    app.member(ADA).await;
    app.owner().await;
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

#[tokio::test]
async fn r121_the_document_tells_the_access_of_every_operation() {
    let app = app().await;
    let document = app.document();
    for line in REVIEWED.lines().filter(|line| !line.starts_with('#')) {
        let [id, access, ..] = line.split(' ').collect::<Vec<_>>()[..] else { panic!("{line}") };
        let operations =
            document["paths"].as_object().expect("paths").values().filter_map(|path| path.as_object()).flat_map(|path| path.values());
        // Pages and probes are not in the document.
        let Some(found) = operations.into_iter().find(|operation| operation["operationId"] == id) else { continue };
        assert_eq!(found["x-permission"], access, "{id}");
    }
}
