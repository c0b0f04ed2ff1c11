//! The keys that sign access tokens: published ahead, replaced without anybody noticing, sealed at rest (TOK-9).

use db::Value;
use serde_json::json;
use testkit::TestApp;

use crate::support::*;

async fn kids(app: &TestApp) -> Vec<String> {
    let jwks = app.get("/.well-known/jwks.json").await.expect(200);
    assert_eq!((jwks.header("content-type"), jwks.header("cache-control")), ("application/jwk-set+json", "public, max-age=300"));
    let keys = jwks["keys"].as_array().unwrap_or_else(|| panic!("{jwks}")).clone();
    for key in &keys {
        let known = ["alg", "crv", "key_ops", "kid", "kty", "use", "x", "y"];
        assert!(members(key).iter().all(|name| known.contains(&name.as_str())), "{key}");
    }
    keys.iter().map(|key| key["kid"].as_str().unwrap_or_default().to_owned()).collect()
}

/// The key that a token names.
fn kid_of(token: &str) -> String {
    use base64::Engine as _;
    let header = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(token.split('.').next().unwrap_or_default()).unwrap_or_default();
    let header: serde_json::Value = serde_json::from_slice(&header).unwrap_or_default();
    header["kid"].as_str().unwrap_or_default().to_owned()
}

#[tokio::test]
async fn tok9_a_rotation_is_published_a_day_ahead() {
    let app = app().await;
    let ada = client(&app, ADA).await;
    let first = kids(&app).await;
    assert_eq!(first, [kid_of(&ada.access)]);
    let known = event_count(&app).await;
    command(&app, &["keys", "rotate"]).await.unwrap();
    assert_eq!(events_after(&app, known).await, ["accounts.signing_key.rotated"]);
    let both = kids(&app).await;
    assert_eq!((both.len(), both.contains(&first[0])), (2, true));
    app.get("/api/v1/me").bearer(&ada.access).await.expect(200);
    app.advance(DAY - SECOND);
    assert_eq!(kid_of(&another_client(&app, ADA).await.access), first[0]);
    app.advance(SECOND);
    let later = another_client(&app, ADA).await;
    assert!(kid_of(&later.access) != first[0] && both.contains(&kid_of(&later.access)));
    app.get("/api/v1/me").bearer(&later.access).await.expect(200);
}

#[tokio::test]
async fn tok9_after_an_urgent_rotation_old_tokens_are_still_good() {
    let app = app().await;
    let ada = client(&app, ADA).await;
    let twin = app.twin().await;
    app.advance(MINUTE);
    command(&app, &["keys", "rotate", "--now"]).await.unwrap();
    let new = another_client(&app, ADA).await;
    assert_ne!(kid_of(&new.access), kid_of(&ada.access));
    assert_eq!(kids(&app).await.len(), 2);
    for token in [&ada.access, &new.access] {
        app.get("/api/v1/me").bearer(token).await.expect(200);
    }
    let pair = refresh(&app, &ada.refresh).await.expect(200);
    assert_eq!(kid_of(&pair.text("/access_token")), kid_of(&new.access));
    twin.get("/api/v1/me").bearer(&ada.access).await.expect(200);
}

#[tokio::test]
async fn tok9_private_keys_are_sealed() {
    let app = app().await;
    let dump = app.kernel().db().dump_text().unwrap();
    let sealed: Vec<&Vec<u8>> = dump
        .iter()
        .filter_map(|(column, value)| match value {
            Value::Bytes(bytes) if column == "accounts_signing_keys.private_sealed" => Some(bytes),
            _ => None,
        })
        .collect();
    assert_eq!(sealed.len(), 1);
    // What a PKCS#8 document of P-256 contains: the identifier of the curve.
    let curve = [0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07];
    assert!(!sealed[0].windows(curve.len()).any(|window| window == curve));
}

#[tokio::test]
async fn tok9_there_is_always_a_key_and_the_next_is_published_a_day_before_its_use() {
    let app = app().await;
    app.member(ADA).await;
    app.run_jobs().await;
    let (mut published, mut used) = (Vec::new(), Vec::new());
    for _ in 0..200 {
        app.advance(DAY);
        app.run_jobs().await;
        let ada = another_client(&app, ADA).await;
        let kid = kid_of(&ada.access);
        let now = kids(&app).await;
        assert!(now.contains(&kid), "{kid} signs but is not published");
        if used.last().is_some_and(|last| *last != kid) {
            assert!(published.contains(&kid), "{kid} was used before it was published");
        }
        published = now;
        used.push(kid);
    }
    used.dedup();
    assert_eq!(used.len(), 3, "90 days each: {used:?}");
    assert!(kids(&app).await.len() <= 2);
}

/// Whether somebody who is told nothing but what the database holds can log in and use what he gets.
async fn a_fresh_node_signs(app: &TestApp, when: &str) {
    let twin = app.twin().await;
    let login = log_in(&twin, ADA, testkit::PASSWORD).await;
    assert_eq!(login.status, 200, "{when}: {login}");
    twin.get("/api/v1/me").bearer(&login.text("/tokens/access_token")).await.expect(200);
    twin.kernel().announce_stop();
}

#[tokio::test]
async fn tok9_a_server_that_starts_at_any_moment_of_a_rotation_can_sign() {
    for hours in [1, 4, 15, 20, 27] {
        let app = app().await;
        app.member(ADA).await;
        app.run_jobs().await;
        app.advance(88 * DAY);
        for _ in 0..(2 * 24 + hours) {
            app.run_jobs().await;
            app.advance(HOUR);
        }
        a_fresh_node_signs(&app, &format!("90 days and {hours} hours")).await;
        app.run_jobs().await;
    }
}

#[tokio::test]
async fn tok9_a_server_that_slept_through_a_rotation_makes_a_key_at_once() {
    for hours in [89 * 24 - 12, 89 * 24, 89 * 24 + 12, 90 * 24 - 1, 90 * 24, 90 * 24 + 1, 91 * 24, 200 * 24] {
        let app = app().await;
        app.member(ADA).await;
        app.advance(hours * HOUR);
        a_fresh_node_signs(&app, &format!("{hours} hours")).await;
        app.advance(16 * HOUR);
        a_fresh_node_signs(&app, &format!("16 hours after {hours} hours")).await;
        app.run_jobs().await;
    }
}

#[tokio::test]
async fn tok9_a_fresh_node_believes_good_tokens_from_its_first_requests_on() {
    let app = app().await;
    let ada = client(&app, ADA).await;
    for _ in 0..5 {
        let twin = app.twin().await;
        let asks = (0..25).flat_map(|_| [twin.get("/api/v1/me").bearer(&ada.access), log_in(&twin, ADA, testkit::PASSWORD)]);
        let answers = at_once(asks).await;
        assert_eq!(count(&answers, 200), 50);
        twin.kernel().announce_stop();
    }
}

#[tokio::test]
async fn tok9_nobody_is_turned_away_amid_a_rotation() {
    let app = app().await;
    let mut ada = client(&app, ADA).await;
    for _ in 0..5 {
        app.advance(SECOND);
        command(&app, &["keys", "rotate", "--now"]).await.unwrap();
        let asks = (0..25).flat_map(|_| [app.get("/api/v1/me").bearer(&ada.access), log_in(&app, ADA, testkit::PASSWORD)]);
        let answers = at_once(asks).await;
        assert_eq!(count(&answers, 200), 50);
        ada = Client::of(&answers[1]);
    }
}

#[tokio::test]
async fn tok9_an_owner_sees_the_keys_and_rotates_them_and_an_administrator_does_not() {
    let app = app().await;
    let (owner, ada) = (app.owner().await, app.member(ADA).await);
    crate::people::give(&app, &owner, &ada, "admin").await;
    let before = app.get("/api/v1/signing-keys").by(&owner).await.expect(200);
    assert_eq!(before["items"].as_array().unwrap().len(), 1);
    assert!(!String::from_utf8_lossy(&before.bytes).contains("private"));
    let known = event_count(&app).await;
    let ahead = app.post("/api/v1/signing-keys").by(&owner).json(&json!({})).await.expect(201);
    assert_eq!(ahead["active_from"], (app.now() + DAY).to_string());
    assert_eq!(events_after(&app, known).await, ["accounts.signing_key.rotated"]);
    assert!(kids(&app).await.contains(&ahead.text("/kid")));
    let client = Client::of(&log_in(&app, ADA, testkit::PASSWORD).await.expect(200));
    assert_ne!(kid_of(&client.access), ahead.text("/kid"));
    app.advance(SECOND);
    let urgent = app.post("/api/v1/signing-keys").by(&owner).json(&json!({ "at_once": true })).await.expect(201);
    let client = Client::of(&log_in(&app, ADA, testkit::PASSWORD).await.expect(200));
    assert_eq!(kid_of(&client.access), urgent.text("/kid"));
    app.get("/api/v1/signing-keys").bearer(&client.access).await.expect(403).problem("forbidden");
    app.post("/api/v1/signing-keys").bearer(&client.access).json(&json!({})).await.expect(403).problem("forbidden");
    app.post("/api/v1/signing-keys").by(&owner).json(&json!({ "at_once": "yes" })).await.expect(422);
    app.run_jobs().await;
}

#[tokio::test]
async fn tok9_there_are_fifty_signing_keys_at_most() {
    let app = app().await;
    let owner = app.owner().await;
    for _ in 0..49 {
        app.post("/api/v1/signing-keys").by(&owner).json(&json!({})).await.expect(201);
    }
    app.post("/api/v1/signing-keys").by(&owner).json(&json!({})).await.expect(409).problem("quota_exceeded");
    app.run_jobs().await;
}
