//! Roles: what they allow, who gives them, and the owner who stays (ADM-2, ADM-3).

use serde_json::{Value, json};
use testkit::{Person, TestApp};

use crate::people::{give, make_role, role_id};
use crate::support::*;

fn of(person: &Person, role: &str) -> String {
    format!("/api/v1/users/{}/roles/{role}", person.user_id)
}

async fn role_names(app: &TestApp, by: &Person, of: &Person) -> Vec<Value> {
    let list = app.get(&format!("/api/v1/users/{}/roles", of.user_id)).by(by).await.expect(200);
    list["items"].as_array().expect("items").iter().map(|role| role["name"].clone()).collect()
}

#[tokio::test]
async fn adm2_what_a_role_allows_counts_from_the_next_request_on() {
    let app = app().await;
    let (owner, ada) = (app.owner().await, app.member(ADA).await);
    let reader = make_role(&app, &owner, "reader", &["accounts:users:read"]).await;
    app.get("/api/v1/users").by(&ada).await.expect(403).problem("forbidden");
    let known = event_count(&app).await;
    app.put(&of(&ada, &reader)).by(&owner).await.expect(204);
    app.get("/api/v1/users").by(&ada).await.expect(200);
    app.get("/api/v1/roles").by(&ada).await.expect(403);
    let path = format!("/api/v1/roles/{reader}");
    app.patch(&path).by(&owner).json(&json!({ "permissions": ["accounts:roles:read"] })).await.expect(200);
    app.get("/api/v1/users").by(&ada).await.expect(403);
    app.get("/api/v1/roles").by(&ada).await.expect(200);
    app.delete(&of(&ada, &reader)).by(&owner).await.expect(204);
    app.get("/api/v1/roles").by(&ada).await.expect(403);
    let events = ["accounts.role.assigned", "accounts.role.updated", "accounts.role.unassigned"];
    assert_eq!(events_after(&app, known).await, events);
}

#[tokio::test]
async fn adm2_a_role_change_counts_on_another_node_too() {
    let app = app().await;
    let (owner, ada) = (app.owner().await, app.member(ADA).await);
    let reader = make_role(&app, &owner, "reader", &["accounts:users:read"]).await;
    app.put(&of(&ada, &reader)).by(&owner).await.expect(204);
    let twin = app.twin().await;
    twin.kernel().start_background();
    twin.get("/api/v1/users").by(&ada).await.expect(200);
    app.delete(&of(&ada, &reader)).by(&owner).await.expect(204);
    let started = std::time::Instant::now();
    while twin.get("/api/v1/users").by(&ada).await.status == 200 {
        assert!(started.elapsed() < std::time::Duration::from_secs(5), "the other node still lets her in");
    }
    twin.kernel().announce_stop();
    app.run_jobs().await;
}

#[tokio::test]
async fn adm3_nobody_gives_takes_or_makes_what_they_lack() {
    let app = app().await;
    let (owner, ada, bob) = (app.owner().await, app.member(ADA).await, app.member(BOB).await);
    let rights =
        ["accounts:roles:assign", "accounts:roles:create", "accounts:roles:update", "accounts:roles:delete", "accounts:roles:read"];
    let manager = make_role(&app, &owner, "manager", &rights).await;
    let reader = make_role(&app, &owner, "reader", &["accounts:users:read"]).await;
    app.put(&of(&ada, &manager)).by(&owner).await.expect(204);
    for name in ["owner", "admin", "reader"] {
        let id = role_id(&app, &owner, name).await;
        app.put(&of(&bob, &id)).by(&ada).await.expect(403).problem("forbidden");
        app.put(&of(&ada, &id)).by(&ada).await.expect(403).problem("forbidden");
    }
    let made = json!({ "name": "trick", "permissions": ["accounts:users:read"] });
    app.post("/api/v1/roles").by(&ada).json(&made).await.expect(403).problem("forbidden");
    let grown = json!({ "permissions": rights.iter().chain(&["accounts:users:read"]).collect::<Vec<_>>() });
    app.patch(&format!("/api/v1/roles/{manager}")).by(&ada).json(&grown).await.expect(403).problem("forbidden");
    // Emptying a role, or deleting it, takes what she lacks from its holders.
    app.put(&of(&bob, &reader)).by(&owner).await.expect(204);
    app.patch(&format!("/api/v1/roles/{reader}")).by(&ada).json(&json!({ "permissions": [] })).await.expect(403).problem("forbidden");
    app.delete(&format!("/api/v1/roles/{reader}?heir={manager}")).by(&ada).await.expect(403).problem("forbidden");
    app.delete(&of(&bob, &reader)).by(&ada).await.expect(403).problem("forbidden");
    // What she holds she may pass on.
    app.put(&of(&bob, &manager)).by(&ada).await.expect(204);
    assert_eq!(role_names(&app, &owner, &bob).await, ["manager", "member", "reader"]);
}

#[tokio::test]
async fn adm3_the_last_owner_stays_owner() {
    let app = app().await;
    let (owner, ada) = (app.owner().await, app.member(ADA).await);
    let id = role_id(&app, &owner, "owner").await;
    app.delete(&of(&owner, &id)).by(&owner).await.expect(409).problem("last_owner");
    let disable = format!("/api/v1/users/{}/actions/disable", owner.user_id);
    app.post(&disable).by(&owner).await.expect(409).problem("last_owner");
    // A locked owner is no owner to rely on.
    app.put(&of(&ada, &id)).by(&owner).await.expect(204);
    app.post(&format!("/api/v1/users/{}/actions/disable", ada.user_id)).by(&owner).await.expect(200);
    app.delete(&of(&owner, &id)).by(&owner).await.expect(409).problem("last_owner");
    app.post(&format!("/api/v1/users/{}/actions/enable", ada.user_id)).by(&owner).await.expect(200);
    app.delete(&of(&owner, &id)).by(&owner).await.expect(204);
    app.delete(&of(&owner, &id)).by(&owner).await.expect(403).problem("forbidden");
}

#[tokio::test]
async fn adm3_fifty_demotions_and_locks_at_once_leave_an_owner() {
    let app = app().await;
    let owner = app.owner().await;
    let id = role_id(&app, &owner, "owner").await;
    let mut owners = vec![owner.clone()];
    for number in 0..4 {
        let person = app.member(&format!("owner-{number}@example.com")).await;
        give(&app, &owner, &person, "owner").await;
        owners.push(person);
    }
    // Each tries to get rid of each other one, and of themselves.
    let tries = owners.iter().flat_map(|by| {
        owners.iter().flat_map(|on| {
            let lock = app.post(&format!("/api/v1/users/{}/actions/disable", on.user_id)).by(by);
            [app.delete(&of(on, &id)).by(by), lock]
        })
    });
    let answers = at_once(tries.collect::<Vec<_>>()).await;
    assert_eq!(answers.len(), 50);
    assert!(answers.iter().all(|answer| answer.status.is_success() || answer.status.is_client_error()));
    let left = app.kernel().db().read(|c| {
        c.all::<i64>(
            "SELECT 1 FROM accounts_user_roles ur JOIN accounts_roles r ON r.id = ur.role_id JOIN accounts_users u ON u.id = ur.user_id \
             WHERE r.name = 'owner' AND u.status = 'active'",
            db::params![],
        )
    });
    let left: Vec<i64> = left.await.unwrap();
    assert_eq!(left.len(), 1);
    app.run_jobs().await;
}

#[tokio::test]
async fn adm3_of_fifty_tries_to_demote_two_owners_one_succeeds() {
    let app = app().await;
    let (owner, ada) = (app.owner().await, app.member(ADA).await);
    give(&app, &owner, &ada, "owner").await;
    let id = role_id(&app, &owner, "owner").await;
    let tries =
        (0..50).map(|number| if number % 2 == 0 { app.delete(&of(&owner, &id)).by(&owner) } else { app.delete(&of(&ada, &id)).by(&ada) });
    let answers = at_once(tries.collect::<Vec<_>>()).await;
    assert_eq!(count(&answers, 204), 1, "{answers:#?}");
    assert!(answers.iter().filter(|answer| answer.status != 204).all(|answer| [403, 404, 409].contains(&answer.status.as_u16())));
    app.run_jobs().await;
}

#[tokio::test]
async fn a_role_in_use_asks_where_its_holders_go() {
    let app = app().await;
    let (owner, ada, bob) = (app.owner().await, app.member(ADA).await, app.member(BOB).await);
    let old = make_role(&app, &owner, "old", &["accounts:users:read"]).await;
    let new = make_role(&app, &owner, "new", &["accounts:roles:read"]).await;
    app.put(&of(&ada, &old)).by(&owner).await.expect(204);
    app.put(&of(&bob, &old)).by(&owner).await.expect(204);
    app.put(&of(&bob, &new)).by(&owner).await.expect(204);
    let path = format!("/api/v1/roles/{old}");
    app.delete(&path).by(&owner).await.expect(409).problem("role_in_use");
    for heir in [&old, "019ab0b2-8f00-7000-8000-00000000ffff"] {
        app.delete(&format!("{path}?heir={heir}")).by(&owner).await.expect(422).problem("validation_failed");
    }
    app.get("/api/v1/users").by(&ada).await.expect(200);
    let known = event_count(&app).await;
    app.delete(&format!("{path}?heir={new}")).by(&owner).await.expect(204);
    assert_eq!(events_after(&app, known).await, ["accounts.role.deleted"]);
    app.get("/api/v1/users").by(&ada).await.expect(403);
    app.get("/api/v1/roles").by(&ada).await.expect(200);
    for person in [&ada, &bob] {
        assert_eq!(role_names(&app, &owner, person).await, ["member", "new"]);
    }
    app.get(&path).by(&owner).await.expect(404);
    app.delete(&path).by(&owner).await.expect(404);
    let unused = make_role(&app, &owner, "unused", &[]).await;
    app.delete(&format!("/api/v1/roles/{unused}")).by(&owner).await.expect(204);
}

#[tokio::test]
async fn built_in_roles_stay_and_owner_and_admin_are_fixed() {
    let app = app().await;
    let (owner, ada) = (app.owner().await, app.member(ADA).await);
    for name in ["owner", "admin", "member"] {
        let path = format!("/api/v1/roles/{}", role_id(&app, &owner, name).await);
        app.delete(&path).by(&owner).await.expect(409).problem("invalid_state");
        app.patch(&path).by(&owner).json(&json!({ "name": "other" })).await.expect(409).problem("invalid_state");
        let status = if name == "member" { 200 } else { 409 };
        app.patch(&path).by(&owner).json(&json!({ "permissions": ["accounts:roles:read"] })).await.expect(status);
    }
    app.get("/api/v1/roles").by(&ada).await.expect(200);
    let member = role_id(&app, &owner, "member").await;
    app.delete(&of(&ada, &member)).by(&owner).await.expect(409).problem("invalid_state");
}

#[tokio::test]
async fn a_role_has_one_name_known_permissions_and_a_version() {
    let app = app().await;
    let owner = app.owner().await;
    let known = event_count(&app).await;
    let body = json!({ "name": "reader", "permissions": ["accounts:users:read", "accounts:roles:read", "accounts:users:read"] });
    let made = app.post("/api/v1/roles").by(&owner).json(&body).await.expect(201);
    assert_eq!(events_after(&app, known).await, ["accounts.role.created"]);
    assert_eq!(made["permissions"], json!(["accounts:roles:read", "accounts:users:read"]));
    let path = made.header("location").to_owned();
    assert_eq!(app.get(&path).by(&owner).await.expect(200).header("etag"), "\"v1\"");
    app.post("/api/v1/roles").by(&owner).json(&body).await.expect(409).problem("already_exists").field("/name", "already_exists");
    for name in ["", "Reader", "1st", "a b", &"a".repeat(65), "é"] {
        app.post("/api/v1/roles").by(&owner).json(&json!({ "name": name, "permissions": [] })).await.expect(422);
    }
    let wrong = json!({ "name": "wrong", "permissions": ["accounts:roles:read", "*", "made:up:name"] });
    let refused = app.post("/api/v1/roles").by(&owner).json(&wrong).await.expect(422);
    refused.field("/permissions/1", "not_allowed").field("/permissions/2", "not_allowed");
    make_role(&app, &owner, "other", &[]).await;
    app.patch(&path).by(&owner).json(&json!({ "name": "other" })).await.expect(409).problem("already_exists");
    let renamed = app.patch(&path).by(&owner).header("If-Match", "\"v1\"").json(&json!({ "name": "lector" })).await.expect(200);
    assert_eq!((&renamed["name"], &renamed["version"]), (&json!("lector"), &json!(2)));
    app.patch(&path).by(&owner).header("If-Match", "\"v1\"").json(&json!({ "name": "late" })).await.expect(412).problem("version_conflict");
}

#[tokio::test]
async fn everybody_reads_which_permissions_there_are() {
    let app = app().await;
    let ada = app.member(ADA).await;
    let list = app.get("/api/v1/permissions").by(&ada).await.expect(200);
    let all = list["items"].as_array().unwrap();
    assert!(all.iter().any(|one| one["name"] == "accounts:users:read" && one["is_administrative"] == true));
    assert!(all.iter().any(|one| one["name"] == "media:files:create" && one["is_administrative"] == false));
}

#[tokio::test]
async fn a_person_holds_fifty_roles_at_most_and_a_role_given_twice_is_given_once() {
    let app = app().await;
    let (owner, ada) = (app.owner().await, app.member(ADA).await);
    let mut last = String::new();
    for number in 0..50 {
        last = make_role(&app, &owner, &format!("role-{number}"), &[]).await;
        if number < 49 {
            app.put(&of(&ada, &last)).by(&owner).await.expect(204);
        }
    }
    app.put(&of(&ada, &last)).by(&owner).await.expect(409).problem("quota_exceeded");
    let (first, known) = (role_id(&app, &owner, "role-0").await, event_count(&app).await);
    app.delete(&of(&ada, &first)).by(&owner).await.expect(204);
    app.delete(&of(&ada, &first)).by(&owner).await.expect(404).problem("not_found");
    for _ in 0..2 {
        app.put(&of(&owner, &first)).by(&owner).await.expect(204);
    }
    assert_eq!(events_after(&app, known).await, ["accounts.role.unassigned", "accounts.role.assigned"]);
    app.put(&of(&ada, "019ab0b2-8f00-7000-8000-00000000ffff")).by(&owner).await.expect(404).problem("not_found");
}

#[tokio::test]
async fn an_instance_has_five_hundred_roles_at_most() {
    let app = app().await;
    let owner = app.owner().await;
    let taken = app.get("/api/v1/roles?limit=100").by(&owner).await.expect(200)["items"].as_array().unwrap().len();
    let filled = app.kernel().db().write(move |tx| {
        for number in taken..499 {
            let id = kernel::Id::<kernel::User>::from_uuid(uuid::Uuid::from_u128(number as u128 + 1));
            tx.execute(
                "INSERT INTO accounts_roles (id, name, is_builtin, created_at, version) VALUES (?, ?, 0, 0, 1)",
                db::params![id, format!("filler-{number}")],
            )?;
        }
        Ok::<_, db::Error>(())
    });
    filled.await.unwrap();
    let tries =
        (0..10).map(|number| app.post("/api/v1/roles").by(&owner).json(&json!({ "name": format!("new-{number}"), "permissions": [] })));
    let answers = at_once(tries.collect::<Vec<_>>()).await;
    assert_eq!((count(&answers, 201), count(&answers, 409)), (1, 9));
    answers.into_iter().find(|answer| answer.status == 409).unwrap().problem("quota_exceeded");
}
