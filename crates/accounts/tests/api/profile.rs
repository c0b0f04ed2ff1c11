//! One's own profile: ETags, versions, usernames, permissions.

use serde_json::json;

use crate::support::*;

#[tokio::test]
async fn r60_a_profile_has_a_version_and_an_etag() {
    let app = app().await;
    let ada = app.member(ADA).await;
    let me = app.get("/api/v1/me").by(&ada).await.expect(200);
    assert_eq!((me.header("etag"), &me["version"]), ("\"v1\"", &json!(1)));
    // Roles change without the version, so the profile is never answered with 304.
    app.get("/api/v1/me").by(&ada).header("If-None-Match", "\"v1\"").await.expect(200);
    let changed =
        app.patch("/api/v1/me").by(&ada).header("If-Match", "\"v1\"").json(&json!({ "display_name": "Countess" })).await.expect(200);
    assert_eq!((changed.header("etag"), &changed["version"], &changed["display_name"]), ("\"v2\"", &json!(2), &json!("Countess")));
    for stale in ["\"v1\"", "W/\"v2\"", "\"v3\"", "\"other\""] {
        let refused =
            app.patch("/api/v1/me").by(&ada).header("If-Match", stale).json(&json!({ "display_name": "Nobody" })).await.expect(412);
        assert_eq!(refused.problem("version_conflict")["current_version"], 2, "{stale}");
    }
}

#[tokio::test]
async fn r60_of_fifty_writers_with_one_etag_one_wins() {
    let app = app().await;
    let ada = app.member(ADA).await;
    let write = |number: usize| {
        app.patch("/api/v1/me").by(&ada).header("If-Match", "\"v1\"").json(&json!({ "display_name": format!("Ada {number}") }))
    };
    let answers = at_once((0..50).map(write)).await;
    assert_eq!((count(&answers, 200), count(&answers, 412)), (1, 49));
    assert_eq!(app.event_names().await.iter().filter(|name| *name == "accounts.user.updated").count(), 1);
}

#[tokio::test]
async fn a_patch_changes_only_what_it_names() {
    let app = app().await;
    let ada = app.member(ADA).await;
    let patch = |body| app.patch("/api/v1/me").by(&ada).json(&body);
    patch(json!({ "username": "Ada_L", "locale": "de-AT" })).await.expect(200);
    let me = patch(json!({})).await.expect(200);
    assert_eq!((&me["username"], &me["locale"], &me["display_name"]), (&json!("Ada_L"), &json!("de-AT"), &json!("ada")));
    let me = patch(json!({ "username": null })).await.expect(200);
    assert_eq!((&me["username"], &me["locale"]), (&json!(null), &json!("de-AT")));
}

#[tokio::test]
async fn r54_a_username_belongs_to_one_person_in_any_spelling() {
    let app = app().await;
    let (ada, bob) = (app.member(ADA).await, app.member(BOB).await);
    app.patch("/api/v1/me").by(&ada).json(&json!({ "username": "Countess" })).await.expect(200);
    for taken in ["countess", "COUNTESS", "Ｃｏｕｎｔｅｓｓ"] {
        let refused = app.patch("/api/v1/me").by(&bob).json(&json!({ "username": taken })).await.expect(409);
        refused.problem("username_taken").field("/username", "username_taken");
    }
    app.patch("/api/v1/me").by(&ada).json(&json!({ "username": "Ｃountess" })).await.expect(200);
    let bob = app.patch("/api/v1/me").by(&bob).json(&json!({ "username": "countess2" })).await.expect(200);
    assert_eq!(bob["username"], "countess2");
}

#[tokio::test]
async fn enu6_that_a_username_is_taken_is_told_twenty_times_an_hour() {
    let app = app().await;
    let (ada, bob) = (client(&app, ADA).await, client(&app, BOB).await);
    let rename = |client: &Client, name: &str| app.patch("/api/v1/me").bearer(&client.access).json(&json!({ "username": name }));
    rename(&ada, "countess").await.expect(200);
    for _ in 0..20 {
        rename(&bob, "countess").await.expect(409).problem("username_taken");
    }
    let refused = rename(&bob, "a-free-name").await.expect(429).problem("rate_limited");
    assert_eq!(refused.header("retry-after"), "3600");
    app.patch("/api/v1/me").bearer(&bob.access).json(&json!({ "display_name": "Bob" })).await.expect(200);
    rename(&ada, "lovelace").await.expect(200);
    app.advance(HOUR);
    let bob = another_client(&app, BOB).await;
    rename(&bob, "a-free-name").await.expect(200);
}

#[tokio::test]
async fn enu6_a_sign_up_hears_it_no_more_often() {
    let app = app().await;
    let ada = client(&app, ADA).await;
    app.patch("/api/v1/me").bearer(&ada.access).json(&json!({ "username": "countess" })).await.expect(200);
    let waiting = pending_of(&app, BOB).await;
    let body = |name: &str| json!({ "token": waiting.token, "signup_token": waiting.handle, "username": name });
    for _ in 0..20 {
        complete(&app, &body("countess")).await.expect(409).problem("username_taken");
    }
    complete(&app, &body("a-free-name")).await.expect(429).problem("rate_limited");
    app.advance(HOUR);
    complete(&app, &body("a-free-name")).await.expect(201);
}

#[tokio::test]
async fn a_name_that_speaks_for_the_site_or_steers_text_is_refused() {
    let app = app().await;
    let ada = app.member(ADA).await;
    for (body, place, code) in [
        (json!({ "username": "ad" }), "/username", "username_invalid"),
        (json!({ "username": "a".repeat(33) }), "/username", "username_invalid"),
        (json!({ "username": "ada@example.com" }), "/username", "username_invalid"),
        (json!({ "username": "ad-min" }), "/username", "username_invalid"),
        (json!({ "username": "mıke" }), "/username", "username_invalid"),
        (json!({ "display_name": "   " }), "/display_name", "required"),
        (json!({ "display_name": "a\u{202e}b" }), "/display_name", "invalid_format"),
        (json!({ "display_name": "a\r\nb" }), "/display_name", "invalid_format"),
        (json!({ "email": "other@example.com" }), "/email", "unknown_field"),
        (json!({ "roles": ["owner"] }), "/roles", "unknown_field"),
    ] {
        app.patch("/api/v1/me").by(&ada).json(&body).await.expect(422).field(place, code);
    }
    let long = app.patch("/api/v1/me").by(&ada).json(&json!({ "display_name": "x".repeat(81) })).await.expect(422);
    long.field("/display_name", "too_long");
    assert_eq!(app.get("/api/v1/me").by(&ada).await["version"], 1);
}

#[tokio::test]
async fn everybody_sees_what_they_may_do() {
    let app = app().await;
    let (owner, ada) = (app.owner().await, app.member(ADA).await);
    let mine = app.get("/api/v1/me/permissions").by(&ada).await.expect(200);
    assert_eq!(mine.body, json!({ "permissions": [] }));
    let all = app.get("/api/v1/me/permissions").by(&owner).await.expect(200);
    assert_eq!(all.body, json!({ "permissions": ["*"] }));
    let me = app.get("/api/v1/me").by(&owner).await.expect(200);
    assert_eq!(me["roles"], json!(["member", "owner"]));
}
