//! API keys: what they open, what they never open, and what ends them (KEY-1, ADM-3, ENU-8).

use kernel::http::Access;
use kernel::media::CREATE_FILES;
use serde_json::{Value, json};
use testkit::{Node, PASSWORD, Person, Request, TestApp, TestResponse};

use crate::doors;
use crate::support::*;

const KEYS: &str = "/api/v1/me/api-keys";

/// What an owner holds of a key.
struct Key {
    id: String,
    text: String,
}

impl Key {
    fn of(made: &TestResponse) -> Key {
        Key { id: made.text("/api_key/id"), text: made.text("/key") }
    }
}

fn make(node: &Node, person: &Person, scopes: &[&str]) -> Request {
    node.post(KEYS).by(person).json(&json!({ "name": "Nightly import", "scopes": scopes }))
}

async fn key(app: &TestApp, person: &Person, scopes: &[&str]) -> Key {
    let key = Key::of(&make(app, person, scopes).await.expect(201));
    app.run_jobs().await;
    key
}

/// A file as somebody uploads it: what the scope `media:files:create` is good for.
fn upload(node: &Node, token: &str) -> Request {
    node.post("/api/v1/media?name=note.txt").bearer(token).body("application/octet-stream", "a note")
}

/// Gives or takes the permission of a role, as an operator does.
async fn write_sql(app: &TestApp, sql: &'static str) {
    let written = app.kernel().db().write(move |tx| tx.execute(sql, db::params![]).map(|_| ()));
    written.await.unwrap_or_else(|error: db::Error| panic!("{sql}: {error}"));
}

const GRANT: &str =
    "INSERT INTO accounts_role_permissions (role_id, permission) SELECT id, 'media:files:create' FROM accounts_roles WHERE name = 'member'";
const TAKE: &str = "DELETE FROM accounts_role_permissions WHERE permission = 'media:files:create' AND role_id IN (SELECT id FROM accounts_roles WHERE name = 'member')";

#[tokio::test]
async fn key1_a_key_is_shown_once_and_tells_who_is_calling() {
    let app = app().await;
    let owner = app.owner().await;
    let known = event_count(&app).await;
    let made = make(&app, &owner, &["media:files:create", "media:files:create"]).await.expect(201);
    let key = Key::of(&made);
    assert!(key.text.starts_with("uc_pat_") && key.text.len() == 64, "{}", key.text);
    assert_eq!(key.text[7..15], made.text("/api_key/public_id"));
    assert_eq!(made.header("location"), format!("{KEYS}/{}", key.id));
    assert_eq!(made.header("cache-control"), "no-store");
    assert_eq!((&made["api_key"]["scopes"], &made["api_key"]["last_used_at"]), (&json!(["media:files:create"]), &Value::Null));
    assert_eq!(made["api_key"]["expires_at"], (app.now() + 90 * DAY).to_string());
    assert_eq!(app.get("/api/v1/me").bearer(&key.text).await.expect(200)["id"], owner.user_id.as_str());
    assert_eq!(app.get("/api/v1/me/permissions").bearer(&key.text).await.expect(200)["permissions"], json!(["media:files:create"]));
    upload(&app, &key.text).await.expect(201);
    let list = app.get(KEYS).by(&owner).await.expect(200);
    assert_eq!(list["items"][0]["id"], key.id.as_str());
    assert!(!String::from_utf8_lossy(&list.bytes).contains(&key.text[15..]));
    assert_eq!(events_after(&app, known).await[0], "accounts.api_key.created");
    assert!(app.audit().await.contains(&("accounts.api_key.create".to_owned(), Some(format!("api_key:{}", key.id)), "ok".to_owned())));
    app.run_jobs().await;
}

#[tokio::test]
async fn key1_a_mail_tells_of_every_new_key_in_the_language_of_the_person() {
    let app = app().await;
    let ada = app.member(ADA).await;
    let first = key(&app, &ada, &[]).await;
    app.patch("/api/v1/me").by(&ada).json(&json!({ "locale": "de" })).await.expect(200);
    app.post(KEYS).by(&ada).json(&json!({ "name": "<b>Nachts</b>", "scopes": [] })).await.expect(201);
    let mails = mails_of(&app, "accounts/api_key_created", ADA).await;
    assert_eq!(mails.len(), 2);
    assert!(mails[0].text.contains("Nightly import") && mails[0].text.contains(&first.text[7..15]), "{:?}", mails[0]);
    assert!(mails[1].text.contains("API-Schlüssel") && mails[1].html.contains("&lt;b&gt;Nachts"), "{:?}", mails[1]);
    for mail in mails {
        assert!(!mail.text.contains("uc_pat_") && !mail.html.contains("uc_pat_"), "{mail:?}");
    }
}

#[tokio::test]
async fn key1_a_bad_checksum_is_refused_without_a_look_at_the_database() {
    let app = app().await;
    let ada = app.member(ADA).await;
    let key = key(&app, &ada, &[]).await;
    let swapped = if key.text.ends_with('A') { 'B' } else { 'A' };
    let made_up = format!("{}{swapped}", &key.text[..63]);
    for text in [made_up.as_str(), "uc_pat_", "uc_", "uc_svc_nothing", &format!("{}A", key.text)] {
        let (answer, statements) = app.statements(app.get("/api/v1/me").bearer(text).send()).await;
        answer.expect(401).problem("unauthenticated");
        assert_eq!(statements, 0, "{text}");
    }
    app.get("/api/v1/me").bearer(&key.text).await.expect(200);
}

#[tokio::test]
async fn key1_a_request_with_a_key_costs_two_reads_and_a_write_a_minute() {
    let app = app().await;
    let ada = app.member(ADA).await;
    let key = key(&app, &ada, &[]).await;
    let ask = || app.get("/api/v1/me/permissions").bearer(&key.text).send();
    let used = async || app.get(KEYS).by(&ada).await.expect(200)["items"][0]["last_used_at"].clone();
    assert_eq!(used().await, Value::Null);
    let (_, first) = app.statements(ask()).await;
    let noted = used().await;
    assert_eq!(noted, app.now().to_string());
    app.advance(MINUTE - SECOND);
    let (_, second) = app.statements(ask()).await;
    assert_eq!((second, used().await), (2, noted));
    assert!(first > second, "{first}");
    app.advance(SECOND);
    ask().await.expect(200);
    assert_eq!(used().await, app.now().to_string());
}

#[tokio::test]
async fn key1_scopes_count_only_as_far_as_the_owner_holds_them_now() {
    let app = app().await;
    let ada = app.member(ADA).await;
    make(&app, &ada, &["media:files:create"]).await.expect(422).field("/scopes/0", "scope_not_allowed");
    write_sql(&app, GRANT).await;
    let ada = app.log_in(&ada.email, PASSWORD).await;
    let (with, without) = (key(&app, &ada, &["media:files:create"]).await, key(&app, &ada, &[]).await);
    upload(&app, &with.text).await.expect(201);
    upload(&app, &without.text).await.expect(403).problem("insufficient_scope");
    write_sql(&app, TAKE).await;
    upload(&app, &with.text).await.expect(403).problem("forbidden");
    write_sql(&app, GRANT).await;
    upload(&app, &with.text).await.expect(201);
    app.run_jobs().await;
}

#[tokio::test]
async fn adm3_a_key_has_no_scope_that_is_unknown_administrative_or_not_its_makers() {
    let app = app().await;
    let (ada, owner) = (app.member(ADA).await, app.owner().await);
    let cases: [(&Person, &str); 5] = [
        (&ada, CREATE_FILES.name),
        (&owner, "*"),
        (&owner, "no:such:permission"),
        (&owner, "accounts:api_keys:revoke"),
        (&owner, "platform:messages:read"),
    ];
    for (person, scope) in cases {
        make(&app, person, &[scope]).await.expect(422).problem("validation_failed").field("/scopes/0", "scope_not_allowed");
    }
    let answer = make(&app, &owner, &["*", "media:files:create", ""]).await.expect(422);
    answer.field("/scopes/0", "scope_not_allowed").field("/scopes/2", "scope_not_allowed");
    assert_eq!(rows(&app, "accounts_api_keys").await, 0);
}

#[tokio::test]
async fn key1_a_key_touches_no_credential_no_session_and_no_key() {
    let app = app().await;
    let owner = app.owner().await;
    let key = key(&app, &owner, &["media:files:create", "media:files:update", "media:files:delete"]).await;
    let change = json!({ "current_password": PASSWORD, "new_password": OTHER });
    app.put("/api/v1/me/password").bearer(&key.text).json(&change).await.expect(403).problem("forbidden");
    let again = app.post("/api/v1/auth/reauthenticate").bearer(&key.text).json(&json!({ "password": PASSWORD }));
    again.await.expect(403).problem("forbidden");
    app.post(KEYS).bearer(&key.text).json(&json!({ "name": "More", "scopes": [] })).await.expect(403).problem("forbidden");
    app.delete(&format!("{KEYS}/{}", key.id)).bearer(&key.text).await.expect(403).problem("forbidden");
    app.delete(&format!("/api/v1/api-keys/{}", key.id)).bearer(&key.text).await.expect(403).problem("insufficient_scope");
    app.patch("/api/v1/me").bearer(&key.text).json(&json!({ "username": "thief" })).await.expect(403).problem("forbidden");
    app.post("/api/v1/auth/logout").bearer(&key.text).await.expect(403).problem("forbidden");
    app.get("/api/v1/me/sessions").bearer(&key.text).await.expect(403).problem("forbidden");
    log_in(&app, "owner@example.com", PASSWORD).await.expect(200);
}

/// What every key opens beside what everybody may call: they tell whose key it is.
const OPEN_TO_KEYS: [&str; 2] = ["getMe", "listMyPermissions"];

#[tokio::test]
async fn key1_a_key_without_scopes_meets_a_locked_door_everywhere_but_two() {
    let app = app().await;
    let owner = app.owner().await;
    let key = key(&app, &owner, &[]).await;
    let mut locked = 0;
    for door in doors::operations(&app).into_iter().filter(|door| !matches!(door.access, Access::Public)) {
        let answer = doors::knock(&app, &door.method, &door.path).bearer(&key.text).await;
        if OPEN_TO_KEYS.contains(&door.id) {
            answer.expect(200);
        } else {
            assert_eq!(answer.status, 403, "{}: {answer}", door.id);
            locked += 1;
        }
    }
    assert!(locked > 10, "{locked}");
}

#[tokio::test]
async fn key1_a_key_with_the_scope_of_files_keeps_its_owners_files() {
    let app = app().await;
    let owner = app.owner().await;
    let (with, without) = (key(&app, &owner, &["media:files:create"]).await, key(&app, &owner, &[]).await);
    let file = upload(&app, &with.text).await.expect(201);
    let path = format!("/api/v1/media/{}", file.text("/id"));
    app.get("/api/v1/media").bearer(&with.text).await.expect(200);
    app.get("/api/v1/media").bearer(&without.text).await.expect(403).problem("insufficient_scope");
    app.delete(&path).bearer(&without.text).await.expect(403).problem("insufficient_scope");
    app.delete(&path).bearer(&with.text).await.expect(204);
    app.run_jobs().await;
}

#[tokio::test]
async fn key1_a_key_ends_at_its_hour() {
    let app = app().await;
    let ada = app.member(ADA).await;
    let ninety = key(&app, &ada, &[]).await;
    let body = json!({ "name": "Short", "scopes": [], "expires_at": (app.now() + HOUR).to_string() });
    let hour = Key::of(&app.post(KEYS).by(&ada).json(&body).await.expect(201));
    app.run_jobs().await;
    app.advance(HOUR - SECOND);
    app.get("/api/v1/me").bearer(&hour.text).await.expect(200);
    app.advance(SECOND);
    app.get("/api/v1/me").bearer(&hour.text).await.expect(401).problem("unauthenticated");
    app.advance(90 * DAY - HOUR - SECOND);
    app.get("/api/v1/me").bearer(&ninety.text).await.expect(200);
    app.advance(SECOND);
    app.get("/api/v1/me").bearer(&ninety.text).await.expect(401).problem("unauthenticated");
    let ada = app.log_in(ADA, PASSWORD).await;
    assert_eq!(app.get(KEYS).by(&ada).await.expect(200)["items"], json!([]));
    app.delete(&format!("{KEYS}/{}", ninety.id)).by(&ada).await.expect(404).problem("not_found");
    app.run_jobs().await;
}

#[tokio::test]
async fn key1_a_key_lasts_at_most_a_year_or_what_the_operator_allows_and_an_administrators_ten() {
    let app = app().await;
    let ada = app.member(ADA).await;
    let wish = |at: String| app.post(KEYS).by(&ada).json(&json!({ "name": "Long", "scopes": [], "expires_at": at }));
    wish((app.now() + 365 * DAY).to_string()).await.expect(201);
    for at in [app.now() + 365 * DAY + SECOND, app.now(), app.now() - DAY] {
        wish(at.to_string()).await.expect(422).field("/expires_at", "out_of_range");
    }
    let owner = app.owner().await;
    let wish = |at: String| app.post(KEYS).by(&owner).json(&json!({ "name": "Long", "scopes": [], "expires_at": at }));
    wish((app.now() + 3650 * DAY).to_string()).await.expect(201);
    wish((app.now() + 3651 * DAY).to_string()).await.expect(422).field("/expires_at", "out_of_range");
    app.run_jobs().await;
    let strict = app_with(&[("accounts.tokens.api_key_default_days", "2"), ("accounts.tokens.api_key_max_days", "7")]).await;
    let bob = strict.member(BOB).await;
    let made = make(&strict, &bob, &[]).await.expect(201);
    assert_eq!(made["api_key"]["expires_at"], (strict.now() + 2 * DAY).to_string());
    let body = json!({ "name": "Long", "scopes": [], "expires_at": (strict.now() + 8 * DAY).to_string() });
    strict.post(KEYS).by(&bob).json(&body).await.expect(422).field("/expires_at", "out_of_range");
    strict.run_jobs().await;
}

#[tokio::test]
async fn key1_a_revoked_key_fails_on_the_very_next_request_on_every_node() {
    let app = app().await;
    let ada = app.member(ADA).await;
    let twin = app.twin().await;
    let (first, second) = (key(&app, &ada, &[]).await, key(&app, &ada, &[]).await);
    let known = event_count(&app).await;
    for node in [&*app, &twin] {
        node.get("/api/v1/me").bearer(&first.text).await.expect(200);
    }
    app.delete(&format!("{KEYS}/{}", first.id)).by(&ada).await.expect(204);
    for node in [&*app, &twin] {
        node.get("/api/v1/me").bearer(&first.text).await.expect(401).problem("unauthenticated");
        node.get("/api/v1/me").bearer(&second.text).await.expect(200);
    }
    app.delete(&format!("{KEYS}/{}", first.id)).by(&ada).await.expect(404);
    assert_eq!(events_after(&app, known).await, ["accounts.api_key.revoked"]);
    assert!(app.audit().await.contains(&("accounts.api_key.revoke".to_owned(), Some(format!("api_key:{}", first.id)), "ok".to_owned())));
}

#[tokio::test]
async fn key1_the_keys_of_a_disabled_person_open_nothing() {
    let app = app().await;
    let ada = app.member(ADA).await;
    let key = key(&app, &ada, &[]).await;
    app.get("/api/v1/me").bearer(&key.text).await.expect(200);
    command(&app, &["user", "disable", ADA]).await.unwrap();
    app.get("/api/v1/me").bearer(&key.text).await.expect(401).problem("unauthenticated");
}

#[tokio::test]
async fn enu8_another_persons_key_is_not_found_exactly_like_a_random_id() {
    let app = app().await;
    let (ada, bob) = (app.member(ADA).await, app.member(BOB).await);
    let key = key(&app, &bob, &[]).await;
    let delete = async |id: &str| {
        let (status, headers, body) = seen(app.delete(&format!("{KEYS}/{id}")).by(&ada)).await;
        (status, headers, String::from_utf8_lossy(&body).replace(id, "the id"))
    };
    let unknown = delete("019ab0b2-8f00-7000-8000-00000000ffff").await;
    assert_eq!(unknown.0, 404);
    for id in [key.id.as_str(), &bob.user_id, "nonsense"] {
        assert_eq!(delete(id).await, unknown, "{id}");
    }
    assert_eq!(app.get(KEYS).by(&ada).await.expect(200)["items"], json!([]));
    app.get("/api/v1/me").bearer(&key.text).await.expect(200);
}

#[tokio::test]
async fn ses10_a_new_key_needs_a_recent_login() {
    let app = app().await;
    let ada = client(&app, ADA).await;
    app.advance(10 * MINUTE + SECOND);
    let access = refresh(&app, &ada.refresh).await.expect(200).text("/access_token");
    let make = || app.post(KEYS).bearer(&access).json(&json!({ "name": "Late", "scopes": [] }));
    let refused = make().await.expect(403).problem("reauthentication_required");
    assert_eq!(refused["methods"], json!(["password"]));
    app.post("/api/v1/auth/reauthenticate").bearer(&access).json(&json!({ "password": PASSWORD })).await.expect(200);
    make().await.expect(201);
    app.run_jobs().await;
}

#[tokio::test]
async fn key1_a_person_has_at_most_fifty_live_keys_also_when_all_are_made_at_once() {
    let app = app().await;
    let (ada, bob) = (app.member(ADA).await, app.member(BOB).await);
    for _ in 0..10 {
        make(&app, &ada, &[]).await.expect(201);
    }
    let answers = at_once((0..50).map(|_| make(&app, &ada, &[]))).await;
    assert_eq!((count(&answers, 201), count(&answers, 409)), (40, 10));
    assert_eq!(rows(&app, "accounts_api_keys").await, 50);
    let full = make(&app, &ada, &[]).await.expect(409).problem("quota_exceeded");
    assert!(full.text("/detail").contains("50"), "{full}");
    make(&app, &bob, &[]).await.expect(201);
    let made = Key::of(answers.iter().find(|answer| answer.status == 201).unwrap());
    app.delete(&format!("{KEYS}/{}", made.id)).by(&ada).await.expect(204);
    make(&app, &ada, &[]).await.expect(201);
    make(&app, &ada, &[]).await.expect(409);
    // An expired one makes room too.
    app.advance(90 * DAY);
    make(&app, &app.log_in(ADA, PASSWORD).await, &[]).await.expect(201);
    app.run_jobs().await;
}

#[tokio::test]
async fn key1_of_fifty_revocations_of_one_key_one_counts() {
    let app = app().await;
    let ada = app.member(ADA).await;
    let key = key(&app, &ada, &[]).await;
    let known = event_count(&app).await;
    let answers = at_once((0..50).map(|_| app.delete(&format!("{KEYS}/{}", key.id)).by(&ada))).await;
    assert_eq!((count(&answers, 204), count(&answers, 404)), (1, 49));
    assert_eq!(events_after(&app, known).await, ["accounts.api_key.revoked"]);
}

#[tokio::test]
async fn rst8_a_reset_revokes_the_keys_where_the_operator_wants_it() {
    for (setting, status) in [("false", 200), ("true", 401)] {
        let app = app_with(&[("accounts.reset.revokes_api_keys", setting)]).await;
        let (ada, bob) = (app.member(ADA).await, app.member(BOB).await);
        let (lost, kept) = (key(&app, &ada, &[]).await, key(&app, &bob, &[]).await);
        let token = reset_token(&app, ADA).await;
        let known = event_count(&app).await;
        reset(&app, &token, OTHER).await.expect(204);
        app.get("/api/v1/me").bearer(&lost.text).await.expect(status);
        app.get("/api/v1/me").bearer(&kept.text).await.expect(200);
        let is_told = events_after(&app, known).await.contains(&"accounts.api_key.revoked".to_owned());
        assert_eq!(is_told, setting == "true");
        app.run_jobs().await;
    }
}

#[tokio::test]
async fn rst8_no_key_made_beside_a_reset_survives_it() {
    let app = app_with(&[("accounts.reset.revokes_api_keys", "true")]).await;
    let ada = app.member(ADA).await;
    let token = reset_token(&app, ADA).await;
    let mut requests: Vec<Request> = (0..20).map(|_| make(&app, &ada, &[])).collect();
    requests.insert(10, reset(&app, &token, OTHER));
    let answers = at_once(requests).await;
    assert_eq!(count(&answers, 204), 1);
    for made in answers.iter().filter(|answer| answer.status == 201) {
        app.get("/api/v1/me").bearer(&made.text("/key")).await.expect(401);
    }
    app.run_jobs().await;
}

#[tokio::test]
async fn key1_administrators_see_and_revoke_everybodys_keys_in_pages() {
    let app = app().await;
    let (ada, owner) = (app.member(ADA).await, app.owner().await);
    let mut keys = Vec::new();
    for _ in 0..5 {
        app.advance(SECOND);
        keys.push(key(&app, &ada, &[]).await);
    }
    for (method, path) in [("GET", "/api/v1/api-keys".to_owned()), ("DELETE", format!("/api/v1/api-keys/{}", keys[0].id))] {
        app.request(method.parse().unwrap(), &path).by(&ada).await.expect(403).problem("forbidden");
    }
    let mut ids: Vec<String> = Vec::new();
    let mut cursor: Option<String> = None;
    loop {
        let page = app.get("/api/v1/api-keys").by(&owner).query("limit", 2);
        let page = match &cursor {
            Some(cursor) => page.query("cursor", cursor).await.expect(200),
            None => page.await.expect(200),
        };
        ids.extend(page["items"].as_array().unwrap().iter().map(|item| item["id"].as_str().unwrap().to_owned()));
        let Some(next) = page["next_cursor"].as_str() else { break };
        app.get(KEYS).by(&owner).query("cursor", next).await.expect(400).problem("cursor_invalid");
        cursor = Some(next.to_owned());
    }
    assert_eq!(ids, keys.iter().rev().map(|key| key.id.clone()).collect::<Vec<_>>());
    app.delete(&format!("/api/v1/api-keys/{}", keys[4].id)).by(&owner).await.expect(204);
    app.get("/api/v1/me").bearer(&keys[4].text).await.expect(401);
    app.delete(&format!("/api/v1/api-keys/{}", keys[4].id)).by(&owner).await.expect(404).problem("not_found");
    let event = app.events().await.pop().unwrap();
    assert_eq!(event, ("accounts.api_key.revoked".to_owned(), json!({ "api_key_id": keys[4].id, "user_id": ada.user_id })));
}

#[tokio::test]
async fn key1_a_key_has_a_request_limit_of_its_own() {
    let app = app_with(&[("limits.default_per_minute", "12")]).await;
    let ada = app.member(ADA).await;
    let (busy, calm) = (key(&app, &ada, &[]).await, key(&app, &ada, &[]).await);
    let answers = at_once((0..13).map(|_| app.get("/api/v1/me").bearer(&busy.text))).await;
    assert_eq!((count(&answers, 200), count(&answers, 429)), (12, 1));
    app.get("/api/v1/me").bearer(&calm.text).await.expect(200);
    app.get("/api/v1/me").by(&ada).await.expect(200);
}

#[tokio::test]
async fn key1_a_person_and_a_key_never_replay_each_others_answers() {
    let app = app().await;
    let owner = app.owner().await;
    let key = key(&app, &owner, &["media:files:create"]).await;
    let first = upload(&app, &owner.token).header("Idempotency-Key", "the-same").await.expect(201);
    let second = upload(&app, &key.text).header("Idempotency-Key", "the-same").await.expect(201);
    let third = upload(&app, &key.text).header("Idempotency-Key", "the-same").await.expect(201);
    assert_ne!(first.text("/id"), second.text("/id"));
    assert_eq!((third.text("/id"), third.header("idempotency-replayed")), (second.text("/id"), "true"));
    app.run_jobs().await;
}

#[tokio::test]
async fn key1_keys_that_ended_are_forgotten_a_week_later_and_no_others() {
    let app = app().await;
    let ada = app.member(ADA).await;
    let (revoked, living) = (key(&app, &ada, &[]).await, key(&app, &ada, &[]).await);
    app.delete(&format!("{KEYS}/{}", revoked.id)).by(&ada).await.expect(204);
    app.advance(7 * DAY);
    app.run_jobs().await;
    assert_eq!(rows(&app, "accounts_api_keys").await, 2);
    app.advance(DAY);
    app.run_jobs().await;
    assert_eq!(rows(&app, "accounts_api_keys").await, 1);
    app.get("/api/v1/me").bearer(&living.text).await.expect(200);
    app.advance(90 * DAY);
    app.run_jobs().await;
    assert_eq!(rows(&app, "accounts_api_keys").await, 0);
    app.get("/api/v1/me").bearer(&living.text).await.expect(401);
}

#[tokio::test]
async fn key1_a_key_with_a_bad_name_or_unknown_members_is_refused() {
    let app = app().await;
    let ada = app.member(ADA).await;
    let wish = |body: Value| app.post(KEYS).by(&ada).json(&body);
    wish(json!({ "name": "  ", "scopes": [] })).await.expect(422).field("/name", "required");
    wish(json!({ "name": "a\r\nb", "scopes": [] })).await.expect(422).field("/name", "invalid_format");
    wish(json!({ "name": "x".repeat(81), "scopes": [] })).await.expect(422).field("/name", "too_long");
    wish(json!({ "name": "x" })).await.expect(422).field("/scopes", "required");
    wish(json!({ "name": "x", "scopes": vec!["a"; 101] })).await.expect(422).problem("validation_failed");
    wish(json!({ "name": "x", "scopes": [], "expires_at": "tomorrow" })).await.expect(422).problem("validation_failed");
    wish(json!({ "name": "x", "scopes": [], "user_id": ada.user_id })).await.expect(422).field("/user_id", "unknown_field");
    assert_eq!(rows(&app, "accounts_api_keys").await, 0);
}
