//! Second factors: enrolled with a code, asked for at every login, each code good once (MFA-1 to MFA-4, MFA-8).

use serde_json::{Value, json};
use testkit::{Node, PASSWORD, Request, TestApp, TestResponse};
use totp_rs::{Builder, Secret};

use crate::support::*;

const STEP: std::time::Duration = std::time::Duration::from_secs(30);

/// A person with an authenticator app and ten recovery codes.
struct Armed {
    client: Client,
    secret: String,
    codes: Vec<String>,
}

/// What the app of this seed shows now.
pub(crate) fn shown(app: &TestApp, secret: &str) -> String {
    let seed = Secret::try_from_base32(secret).expect("a seed");
    let totp = Builder::new().with_secret(seed).build().expect("an app");
    totp.generate(u64::try_from(app.now().as_secs()).expect("a time")).to_string()
}

fn enrol(app: &TestApp, client: &Client) -> Request {
    app.post("/api/v1/me/mfa/totp").bearer(&client.access)
}

fn confirm(app: &TestApp, client: &Client, code: &str) -> Request {
    app.post("/api/v1/me/mfa/totp/actions/confirm").bearer(&client.access).json(&json!({ "code": code }))
}

fn codes_in(answer: &TestResponse) -> Vec<String> {
    answer["recovery_codes"].as_array().expect("codes").iter().map(|code| code.as_str().expect("a text").to_owned()).collect()
}

async fn armed(app: &TestApp, email: &str) -> Armed {
    let client = client(app, email).await;
    let secret = enrol(app, &client).await.expect(201).text("/secret");
    let codes = codes_in(&confirm(app, &client, &shown(app, &secret)).await.expect(200));
    app.advance(STEP);
    app.run_jobs().await;
    Armed { client, secret, codes }
}

/// The challenge that a login with the right password gets.
async fn challenge(node: &Node, email: &str) -> String {
    log_in(node, email, PASSWORD).await.expect(200).text("/challenge/id")
}

fn answer(node: &Node, challenge: &str, method: &str, code: &str) -> Request {
    node.post("/api/v1/auth/login/mfa").header("X-CSRF", "1").json(&json!({ "challenge_id": challenge, "method": method, "code": code }))
}

async fn mine(app: &TestApp, client: &Client) -> Value {
    app.get("/api/v1/me/mfa").bearer(&client.access).await.expect(200).body
}

#[tokio::test]
async fn mfa3_an_authenticator_counts_once_a_code_of_it_is_typed() {
    let app = app().await;
    let ada = client(&app, ADA).await;
    assert_eq!(mine(&app, &ada).await, json!({ "is_required": false, "totp": null, "recovery_codes_left": 0 }));
    let first = enrol(&app, &ada).await.expect(201);
    assert_eq!(first.header("cache-control"), "no-store");
    let enrolment = enrol(&app, &ada).await.expect(201);
    let (secret, uri) = (enrolment.text("/secret"), enrolment.text("/uri"));
    assert_ne!(first.text("/secret"), secret);
    assert!(uri.starts_with("otpauth://totp/") && uri.contains(&secret) && uri.contains("ada%40example.com"), "{uri}");
    assert!(enrolment.text("/svg").starts_with("<svg"), "{}", enrolment.text("/svg"));
    log_in(&app, ADA, PASSWORD).await.expect(200).text("/session/id");
    // The seed before it and a wrong code confirm nothing.
    for code in [shown(&app, &first.text("/secret")).as_str(), "000000", "nonsense"] {
        confirm(&app, &ada, code).await.expect(401).problem("mfa_code_invalid");
    }
    let known = event_count(&app).await;
    let codes = codes_in(&confirm(&app, &ada, &shown(&app, &secret)).await.expect(200));
    assert_eq!(codes.len(), 10);
    assert_eq!(events_after(&app, known).await, ["accounts.mfa.enrolled"]);
    assert_eq!(mails_of(&app, "accounts/factor_added", ADA).await.len(), 1);
    let now = mine(&app, &ada).await;
    assert_eq!(now, json!({ "is_required": true, "totp": { "confirmed_at": app.now().to_string() }, "recovery_codes_left": 10 }));
    confirm(&app, &ada, &shown(&app, &secret)).await.expect(409).problem("already_exists");
    enrol(&app, &ada).await.expect(409).problem("already_exists");
    challenge(&app, ADA).await;
    app.run_jobs().await;
}

#[tokio::test]
async fn mfa2_after_the_password_a_client_holds_a_challenge_and_nothing_else() {
    let app = app().await;
    let ada = armed(&app, ADA).await;
    let known = event_count(&app).await;
    let asked = log_in_browser(&app, ADA, PASSWORD).await.expect(200);
    assert_eq!((&asked["session"], &asked["user"], &asked["tokens"]), (&Value::Null, &Value::Null, &Value::Null));
    assert_eq!(asked["challenge"]["methods"], json!(["totp", "recovery_code"]));
    assert_eq!(asked["challenge"]["expires_at"], (app.now() + 10 * MINUTE).to_string());
    assert_eq!(asked.header("set-cookie"), "");
    assert!(events_after(&app, known).await.is_empty(), "no session began");
    let id = asked.text("/challenge/id");
    app.get("/api/v1/me").bearer(&id).await.expect(401);
    app.get("/api/v1/me").header("Cookie", &format!("sid={id}")).await.expect(401);
    refresh(&app, &id).await.expect(401);
    let started = answer(&app, &id, "totp", &shown(&app, &ada.secret)).await.expect(200);
    // It is held as the login asked, by cookie, and says truthfully how it came about (MFA-8).
    assert_eq!((&started["tokens"], &started["challenge"]), (&Value::Null, &Value::Null));
    assert_eq!(started["session"]["methods"], json!(["password", "totp"]));
    let browser = Browser::of(&started);
    assert_eq!(browser.asks(app.get("/api/v1/me")).await.expect(200)["email"], ADA);
    answer(&app, &id, "totp", &shown(&app, &ada.secret)).await.expect(410).problem("challenge_expired");
}

#[tokio::test]
async fn mfa8_tokens_say_how_sure_we_are() {
    let app = app().await;
    let ada = armed(&app, ADA).await;
    let said = |access: &str| {
        use base64::Engine as _;
        let claims = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(access.split('.').nth(1).expect("claims")).expect("base64");
        let claims: Value = serde_json::from_slice(&claims).expect("JSON");
        (claims["acr"].clone(), claims["amr"].clone())
    };
    assert_eq!(said(&ada.client.access), (json!("aal1"), json!(["password"])));
    let id = challenge(&app, ADA).await;
    let strong = Client::of(&answer(&app, &id, "totp", &shown(&app, &ada.secret)).await.expect(200));
    assert_eq!(said(&strong.access), (json!("aal2"), json!(["password", "totp"])));
    let next = refresh(&app, &strong.refresh).await.expect(200);
    assert_eq!(said(&next.text("/access_token")), (json!("aal2"), json!(["password", "totp"])));
    // A code given later makes an older login as strong.
    app.advance(STEP);
    let prove = |body: Value| app.post("/api/v1/auth/reauthenticate").bearer(&ada.client.access).json(&body);
    prove(json!({ "code": "000000" })).await.expect(401).problem("mfa_code_invalid");
    prove(json!({})).await.expect(422).field("/password", "required");
    prove(json!({ "password": PASSWORD, "code": "000000" })).await.expect(422).field("/code", "not_allowed");
    let code = shown(&app, &ada.secret);
    assert_eq!(prove(json!({ "code": code })).await.expect(200)["methods"], json!(["totp"]));
    prove(json!({ "code": code })).await.expect(401).problem("mfa_code_invalid");
    let renewed = refresh(&app, &ada.client.refresh).await.expect(200);
    assert_eq!(said(&renewed.text("/access_token")), (json!("aal2"), json!(["password", "totp"])));
    prove(json!({ "code": ada.codes[0], "method": "recovery_code" })).await.expect(200);
    app.run_jobs().await;
}

#[tokio::test]
async fn mfa1_a_code_counts_once_and_none_from_before_it() {
    let app = app().await;
    let ada = armed(&app, ADA).await;
    let old = shown(&app, &ada.secret);
    app.advance(STEP);
    let new = shown(&app, &ada.secret);
    answer(&app, &challenge(&app, ADA).await, "totp", &new).await.expect(200);
    for code in [&new, &old] {
        answer(&app, &challenge(&app, ADA).await, "totp", code).await.expect(401).problem("mfa_code_invalid");
    }
    // The step before counts while nothing newer was used; two steps before never.
    app.advance(2 * STEP);
    let late = shown(&app, &ada.secret);
    app.advance(STEP);
    answer(&app, &challenge(&app, ADA).await, "totp", &late).await.expect(200);
    let later = shown(&app, &ada.secret);
    app.advance(2 * STEP);
    answer(&app, &challenge(&app, ADA).await, "totp", &later).await.expect(401).problem("mfa_code_invalid");
    let strict = app_with(&[("accounts.mfa.totp_strict", "true")]).await;
    let bob = armed(&strict, BOB).await;
    let code = shown(&strict, &bob.secret);
    strict.advance(STEP);
    answer(&strict, &challenge(&strict, BOB).await, "totp", &code).await.expect(401).problem("mfa_code_invalid");
    answer(&strict, &challenge(&strict, BOB).await, "totp", &shown(&strict, &bob.secret)).await.expect(200);
}

#[tokio::test]
async fn mfa1_of_fifty_logins_with_one_code_one_counts() {
    let app = app().await;
    let ada = armed(&app, ADA).await;
    let twin = app.twin().await;
    let mut challenges = Vec::new();
    for _ in 0..50 {
        challenges.push(challenge(&app, ADA).await);
    }
    let code = shown(&app, &ada.secret);
    let nodes: [&Node; 2] = [&app, &twin];
    let answers = at_once(challenges.iter().enumerate().map(|(n, id)| answer(nodes[n % 2], id, "totp", &code))).await;
    assert_eq!(count(&answers, 200), 1);
    // The others lost the race; right codes that lose are no guesses, so nobody waits for them.
    assert_eq!(count(&answers, 401), 49, "{:?}", answers.iter().map(|answer| answer.status.as_u16()).collect::<Vec<_>>());
}

#[tokio::test]
async fn mfa2_of_fifty_answers_to_one_challenge_one_counts() {
    let app = app().await;
    let ada = armed(&app, ADA).await;
    let id = challenge(&app, ADA).await;
    let answers = at_once(ada.codes.iter().cycle().take(50).map(|code| answer(&app, &id, "recovery_code", code))).await;
    assert_eq!(count(&answers, 200), 1);
    assert_eq!(count(&answers, 410) + count(&answers, 401), 49);
    assert_eq!(mine(&app, &ada.client).await["recovery_codes_left"], 9, "a login that lost used no code up");
    app.run_jobs().await;
}

#[tokio::test]
async fn mfa2_wrong_codes_are_counted_over_all_challenges_of_a_person() {
    let app = app().await;
    let (ada, _bob) = (armed(&app, ADA).await, armed(&app, BOB).await);
    for n in 0..5 {
        let method = if n % 2 == 0 { "totp" } else { "recovery_code" };
        answer(&app, &challenge(&app, ADA).await, method, "000000").await.expect(401).problem("mfa_code_invalid");
    }
    let id = challenge(&app, ADA).await;
    let refused = answer(&app, &id, "totp", &shown(&app, &ada.secret)).await.expect(429).problem("rate_limited");
    assert_eq!(refused.header("retry-after"), "1");
    answer(&app, &challenge(&app, BOB).await, "totp", "000000").await.expect(401);
    app.advance(SECOND);
    answer(&app, &id, "totp", &shown(&app, &ada.secret)).await.expect(200);
    // Whoever came in has all tries again.
    app.advance(STEP);
    let id = challenge(&app, ADA).await;
    for _ in 0..5 {
        answer(&app, &id, "totp", "000000").await.expect(401).problem("mfa_code_invalid");
    }
    let refusals =
        app.audit().await.into_iter().filter(|(action, _, result)| action == "accounts.session.start" && result == "rate_limited");
    assert_eq!(refusals.count(), 1);
}

#[tokio::test]
async fn mfa2_a_challenge_ends_with_its_time_the_password_and_the_account() {
    let app = app().await;
    let ada = armed(&app, ADA).await;
    let gone = |id: &str| answer(&app, id, "totp", &shown(&app, &ada.secret));
    let id = challenge(&app, ADA).await;
    app.advance(10 * MINUTE);
    gone(&id).await.expect(410).problem("challenge_expired");
    let id = challenge(&app, ADA).await;
    command(&app, &["user", "disable", ADA]).await.expect("disabled");
    gone(&id).await.expect(410).problem("challenge_expired");
    command(&app, &["user", "enable", ADA]).await.expect("enabled");
    let id = challenge(&app, ADA).await;
    app.advance(SECOND);
    let token = reset_token(&app, ADA).await;
    reset(&app, &token, OTHER).await.expect(204);
    gone(&id).await.expect(410).problem("challenge_expired");
    for nonsense in ["nonsense", &"A".repeat(43)] {
        gone(nonsense).await.expect(410).problem("challenge_expired");
    }
    app.run_jobs().await;
}

#[tokio::test]
async fn mfa2_a_reset_skips_no_second_factor_and_forgives_wrong_codes() {
    let app = app().await;
    let ada = armed(&app, ADA).await;
    for _ in 0..5 {
        answer(&app, &challenge(&app, ADA).await, "totp", "000000").await.expect(401);
    }
    app.advance(SECOND);
    let token = reset_token(&app, ADA).await;
    reset(&app, &token, OTHER).await.expect(204);
    let id = log_in(&app, ADA, OTHER).await.expect(200).text("/challenge/id");
    for _ in 0..4 {
        answer(&app, &id, "totp", "000000").await.expect(401).problem("mfa_code_invalid");
    }
    answer(&app, &id, "totp", &shown(&app, &ada.secret)).await.expect(200);
    app.run_jobs().await;
}

#[tokio::test]
async fn mfa4_a_recovery_code_opens_once_and_its_owner_is_told() {
    let app = app().await;
    let ada = armed(&app, ADA).await;
    let typed = ada.codes[3].to_uppercase().replace('-', " ");
    let known = event_count(&app).await;
    let started = answer(&app, &challenge(&app, ADA).await, "recovery_code", &typed).await.expect(200);
    assert_eq!(started["session"]["methods"], json!(["password", "recovery_code"]));
    assert_eq!(events_after(&app, known).await, ["accounts.recovery_code.used", "accounts.session.started"]);
    assert_eq!(mails_of(&app, "accounts/recovery_code_used", ADA).await.len(), 1);
    answer(&app, &challenge(&app, ADA).await, "recovery_code", &typed).await.expect(401).problem("mfa_code_invalid");
    let wrong = format!("{}-00000-00000", &ada.codes[4][..2]);
    for code in [wrong.as_str(), "zz-00000-00000", "", "k7"] {
        let refused = answer(&app, &challenge(&app, ADA).await, "recovery_code", code).await;
        assert!([401, 422].contains(&refused.status.as_u16()), "{code:?}: {}", refused.status);
    }
    assert_eq!(mine(&app, &ada.client).await["recovery_codes_left"], 9);
    let renewed = codes_in(&app.post("/api/v1/me/mfa/recovery-codes").bearer(&ada.client.access).await.expect(201));
    assert_eq!(mine(&app, &ada.client).await["recovery_codes_left"], 10);
    answer(&app, &challenge(&app, ADA).await, "recovery_code", &ada.codes[5]).await.expect(401).problem("mfa_code_invalid");
    app.advance(SECOND);
    answer(&app, &challenge(&app, ADA).await, "recovery_code", &renewed[0]).await.expect(200);
    app.run_jobs().await;
}

#[tokio::test]
async fn mfa4_of_fifty_logins_with_one_recovery_code_one_counts() {
    let app = app().await;
    let ada = armed(&app, ADA).await;
    let mut challenges = Vec::new();
    for _ in 0..50 {
        challenges.push(challenge(&app, ADA).await);
    }
    let answers = at_once(challenges.iter().map(|id| answer(&app, id, "recovery_code", &ada.codes[0]))).await;
    assert_eq!((count(&answers, 200), mine(&app, &ada.client).await["recovery_codes_left"].clone()), (1, json!(9)));
    app.run_jobs().await;
}

#[tokio::test]
async fn ses10_what_guards_a_login_changes_only_after_a_recent_one() {
    let app = app().await;
    let ada = client(&app, ADA).await;
    let secret = enrol(&app, &ada).await.expect(201).text("/secret");
    app.advance(10 * MINUTE + SECOND);
    // The access token is older than its life too.
    let ada = Client { access: refresh(&app, &ada.refresh).await.expect(200).text("/access_token"), ..ada };
    enrol(&app, &ada).await.expect(403).problem("reauthentication_required");
    confirm(&app, &ada, &shown(&app, &secret)).await.expect(403).problem("reauthentication_required");
    app.delete("/api/v1/me/mfa/totp").bearer(&ada.access).await.expect(403).problem("reauthentication_required");
    app.post("/api/v1/me/mfa/recovery-codes").bearer(&ada.access).await.expect(403).problem("reauthentication_required");
}

#[tokio::test]
async fn a_removed_authenticator_takes_its_codes_with_it() {
    let app = app().await;
    let ada = armed(&app, ADA).await;
    let waiting = challenge(&app, ADA).await;
    let known = event_count(&app).await;
    app.delete("/api/v1/me/mfa/totp").bearer(&ada.client.access).await.expect(204);
    assert_eq!(events_after(&app, known).await, ["accounts.mfa.removed"]);
    assert_eq!(mails_of(&app, "accounts/factor_removed", ADA).await.len(), 1);
    assert_eq!(mine(&app, &ada.client).await, json!({ "is_required": false, "totp": null, "recovery_codes_left": 0 }));
    for (method, code) in [("totp", shown(&app, &ada.secret)), ("recovery_code", ada.codes[0].clone())] {
        answer(&app, &waiting, method, &code).await.expect(401).problem("mfa_code_invalid");
    }
    app.delete("/api/v1/me/mfa/totp").bearer(&ada.client.access).await.expect(404).problem("not_found");
    app.post("/api/v1/me/mfa/recovery-codes").bearer(&ada.client.access).await.expect(409).problem("invalid_state");
    log_in(&app, ADA, PASSWORD).await.expect(200).text("/session/id");
    app.run_jobs().await;
}

#[tokio::test]
async fn an_operator_helps_whoever_lost_everything() {
    let app = app().await;
    armed(&app, ADA).await;
    command(&app, &["user", "reset-mfa", ADA]).await.expect("a reset");
    assert_eq!(mails_of(&app, "accounts/factor_removed", ADA).await.len(), 1);
    log_in(&app, ADA, PASSWORD).await.expect(200).text("/session/id");
    assert!(command(&app, &["user", "reset-mfa", ADA]).await.is_err());
    assert!(app.audit().await.iter().any(|(action, _, result)| action == "accounts.mfa.reset" && result == "ok"));
    app.run_jobs().await;
}

#[tokio::test]
async fn key1_a_key_reads_and_changes_no_second_factor() {
    let app = app().await;
    let ada = armed(&app, ADA).await;
    let key = app.post("/api/v1/me/api-keys").bearer(&ada.client.access).json(&json!({ "name": "Nightly", "scopes": [] }));
    let key = key.await.expect(201).text("/key");
    app.get("/api/v1/me/mfa").bearer(&key).await.expect(403).problem("forbidden");
    app.post("/api/v1/me/mfa/totp").bearer(&key).await.expect(403).problem("forbidden");
    app.delete("/api/v1/me/mfa/totp").bearer(&key).await.expect(403).problem("forbidden");
    app.run_jobs().await;
}

#[tokio::test]
async fn old_challenges_are_forgotten() {
    let app = app().await;
    armed(&app, ADA).await;
    challenge(&app, ADA).await;
    assert_eq!(rows(&app, "accounts_challenges").await, 1);
    app.advance(8 * DAY);
    app.run_jobs().await;
    assert_eq!(rows(&app, "accounts_challenges").await, 0);
}
