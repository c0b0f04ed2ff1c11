//! Access tokens that nobody should believe, some of them signed with the server's own key (TOK-1 to TOK-6).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use serde_json::{Value, json};
use testkit::{TestApp, TestResponse};

use crate::support::*;

/// The server's own signing key, as only somebody with database and key file has it.
struct Forger {
    kid: String,
    pair: EcdsaKeyPair,
    random: ring::rand::SystemRandom,
}

#[expect(clippy::disallowed_methods, reason = "signatures of a test need not repeat")]
fn random() -> ring::rand::SystemRandom {
    ring::rand::SystemRandom::new()
}

impl Forger {
    async fn of(app: &TestApp) -> Forger {
        let row =
            app.kernel().db().read(|c| c.opt::<(String, Vec<u8>)>("SELECT kid, private_sealed FROM accounts_signing_keys", db::params![]));
        let (kid, sealed) = row.await.unwrap_or_else(|error: db::Error| panic!("{error}")).expect("a signing key");
        let context = format!("accounts_signing_keys.private/{kid}");
        let pkcs8 = app.kernel().keyring().open(&context, &sealed).unwrap_or_else(|error| panic!("{error:?}"));
        Forger::with(kid, &pkcs8)
    }

    fn with(kid: String, pkcs8: &[u8]) -> Forger {
        let random = random();
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8, &random).expect("a P-256 key");
        Forger { kid, pair, random }
    }

    /// A key that this server never had, under the name of one that it has.
    fn foreign(kid: &str) -> Forger {
        let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random()).expect("a key can be made");
        Forger::with(kid.to_owned(), pkcs8.as_ref())
    }

    fn header(&self) -> Value {
        json!({ "typ": "at+jwt", "alg": "ES256", "kid": self.kid })
    }

    fn sign(&self, header: &Value, claims: &Value) -> String {
        let message = format!("{}.{}", encode(header), encode(claims));
        let signature = self.pair.sign(&self.random, message.as_bytes()).expect("it signs");
        format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature))
    }
}

fn encode(value: &Value) -> String {
    URL_SAFE_NO_PAD.encode(value.to_string())
}

fn decode(part: &str) -> Value {
    let bytes = URL_SAFE_NO_PAD.decode(part).expect("base64url");
    serde_json::from_slice(&bytes).expect("JSON")
}

/// The value with some members replaced, or removed by null.
fn with(value: &Value, changes: Value) -> Value {
    let mut value = value.clone();
    let members = value.as_object_mut().expect("an object");
    for (name, change) in changes.as_object().expect("an object") {
        match change {
            Value::Null => members.remove(name),
            other => members.insert(name.clone(), other.clone()),
        };
    }
    value
}

struct Scene {
    app: TestApp,
    ada: Client,
    forger: Forger,
    claims: Value,
}

async fn scene() -> Scene {
    let app = app().await;
    let ada = client(&app, ADA).await;
    let forger = Forger::of(&app).await;
    let claims = decode(ada.access.split('.').nth(1).expect("three parts"));
    Scene { app, ada, forger, claims }
}

impl Scene {
    async fn present(&self, token: &str) -> TestResponse {
        self.app.get("/api/v1/me").bearer(token).await
    }

    async fn refused(&self, token: &str, why: &str) {
        let answer = self.present(token).await;
        assert_eq!((answer.status.as_u16(), &answer["code"]), (401, &json!("unauthenticated")), "{why}: {answer}");
    }

    async fn signed(&self, header: Value, claims: Value) -> String {
        self.forger.sign(&with(&self.forger.header(), header), &with(&self.claims, claims))
    }
}

#[tokio::test]
async fn the_forger_can_make_a_good_token_so_his_bad_ones_fail_for_their_reason() {
    let scene = scene().await;
    let token = scene.signed(json!({}), json!({})).await;
    scene.present(&token).await.expect(200);
}

#[tokio::test]
async fn tok1_the_algorithm_is_that_of_the_key_and_a_signature_is_needed() {
    let scene = scene().await;
    let [header, claims, signature] = <[&str; 3]>::try_from(scene.ada.access.split('.').collect::<Vec<_>>()).unwrap();
    for algorithm in ["none", "None", "NONE", "HS256", "RS256", "PS256", "ES384", "EdDSA", "es256", ""] {
        let forged = encode(&with(&scene.forger.header(), json!({ "alg": algorithm })));
        for token in [format!("{forged}.{claims}."), format!("{forged}.{claims}"), format!("{forged}.{claims}.{signature}")] {
            scene.refused(&token, algorithm).await;
        }
        scene.refused(&scene.signed(json!({ "alg": algorithm }), json!({})).await, algorithm).await;
    }
    for token in [
        format!("{header}.{claims}."),
        format!("{header}.{claims}"),
        format!("{header}.{claims}.{signature}="),
        "..".to_owned(),
        ".".to_owned(),
    ] {
        scene.refused(&token, "signature").await;
    }
    let mut flipped = signature.to_owned().into_bytes();
    flipped[10] = if flipped[10] == b'A' { b'B' } else { b'A' };
    scene.refused(&format!("{header}.{claims}.{}", String::from_utf8(flipped).unwrap()), "flipped").await;
}

#[tokio::test]
async fn tok1_a_mac_keyed_with_the_public_key_is_no_signature() {
    let scene = scene().await;
    let jwks = scene.app.get("/.well-known/jwks.json").await.expect(200);
    let header = with(&scene.forger.header(), json!({ "alg": "HS256" }));
    let message = format!("{}.{}", encode(&header), encode(&scene.claims));
    for secret in [scene.forger.pair.public_key().as_ref().to_vec(), jwks["keys"][0].to_string().into_bytes(), jwks.bytes.clone()] {
        let tag = ring::hmac::sign(&ring::hmac::Key::new(ring::hmac::HMAC_SHA256, &secret), message.as_bytes());
        scene.refused(&format!("{message}.{}", URL_SAFE_NO_PAD.encode(tag)), "HMAC").await;
    }
}

#[tokio::test]
async fn tok2_a_foreign_key_is_refused_however_it_is_named() {
    let scene = scene().await;
    let foreign = Forger::foreign(&scene.forger.kid);
    scene.refused(&foreign.sign(&foreign.header(), &scene.claims), "known kid").await;
    let jwk = json!({ "kty": "EC", "crv": "P-256", "x": "AA", "y": "AA" });
    for (changes, why) in [
        (json!({ "kid": "unknown" }), "unknown kid"),
        (json!({ "kid": null }), "no kid"),
        (json!({ "kid": "../../../dev/null" }), "path kid"),
        (json!({ "jwk": jwk }), "embedded key"),
        (json!({ "jku": "http://127.0.0.1:9/keys" }), "jku"),
        (json!({ "x5u": "http://127.0.0.1:9/cert" }), "x5u"),
        (json!({ "x5c": ["AA=="] }), "x5c"),
        (json!({ "crit": ["exp"] }), "crit"),
        (json!({ "crit": ["b64"], "b64": false }), "b64"),
    ] {
        let header = with(&foreign.header(), changes.clone());
        scene.refused(&foreign.sign(&header, &scene.claims), why).await;
        if why != "unknown kid" {
            scene.refused(&scene.signed(changes, json!({})).await, why).await;
        }
    }
}

#[tokio::test]
async fn tok3_only_access_tokens_open_the_api() {
    let scene = scene().await;
    for typ in [json!("JWT"), json!("id_token"), json!("logout+jwt"), json!("AT+JWT"), json!("application/at+jwt"), Value::Null] {
        scene.refused(&scene.signed(json!({ "typ": typ }), json!({})).await, &typ.to_string()).await;
    }
}

#[tokio::test]
async fn tok4_every_claim_is_required_and_has_its_type() {
    let scene = scene().await;
    for name in ["iss", "aud", "exp", "iat", "nbf", "sub", "jti", "sid", "scope", "acr", "amr", "auth_time", "ver"] {
        scene.refused(&scene.signed(json!({}), json!({ name: null })).await, name).await;
        scene.refused(&scene.signed(json!({}), json!({ name: { "a": 1 } })).await, name).await;
    }
    let later = scene.app.now().as_secs() + 10_000;
    for changes in [
        json!({ "nbf": "9999999999" }),
        json!({ "exp": "9999999999" }),
        json!({ "exp": 9_999_999_999.5 }),
        json!({ "iat": true }),
        json!({ "nbf": later }),
        json!({ "iat": later, "exp": later + 600 }),
        json!({ "aud": ["http://undercroft.test"] }),
        json!({ "aud": "http://evil.test" }),
        json!({ "iss": "http://evil.test" }),
        json!({ "iss": "http://undercroft.test/" }),
        json!({ "sub": "nobody" }),
        json!({ "sid": "" }),
    ] {
        scene.refused(&scene.signed(json!({}), changes.clone()).await, &changes.to_string()).await;
    }
}

#[tokio::test]
async fn tok4_the_leeway_is_five_seconds() {
    let scene = scene().await;
    let now = scene.app.now().as_secs();
    let expiring = |exp: i64| json!({ "iat": now - 600, "nbf": now - 600, "exp": exp });
    scene.present(&scene.signed(json!({}), expiring(now - 4)).await).await.expect(200);
    let expired = scene.present(&scene.signed(json!({}), expiring(now - 5)).await).await.expect(401);
    expired.problem("token_expired");
    scene.present(&scene.signed(json!({}), json!({ "nbf": now + 5 })).await).await.expect(200);
    scene.refused(&scene.signed(json!({}), json!({ "nbf": now + 6 })).await, "nbf").await;
}

#[tokio::test]
async fn tok5_an_access_token_is_small_and_names_nobody() {
    let scene = scene().await;
    assert!(scene.ada.access.len() <= 1024, "{}", scene.ada.access.len());
    let expected = ["acr", "amr", "aud", "auth_time", "exp", "iat", "iss", "jti", "nbf", "scope", "sid", "sub", "ver"];
    assert_eq!(members(&scene.claims), expected);
    assert_eq!(scene.claims["exp"].as_i64().unwrap() - scene.claims["iat"].as_i64().unwrap(), 600);
    assert!(!scene.claims.to_string().contains("ada"));
}

#[tokio::test]
async fn tok5_an_access_token_lives_for_ten_minutes_also_once_it_was_seen() {
    let scene = scene().await;
    let unseen = another_client(&scene.app, ADA).await;
    scene.present(&scene.ada.access).await.expect(200);
    scene.app.advance(10 * MINUTE + 4 * SECOND);
    scene.present(&scene.ada.access).await.expect(200);
    scene.app.advance(SECOND);
    for token in [&scene.ada.access, &unseen.access] {
        let expired = scene.present(token).await.expect(401).problem("token_expired");
        assert!(expired.header("www-authenticate").contains("invalid_token"), "{expired}");
    }
}

#[tokio::test]
async fn tok6_a_token_counts_only_for_its_own_living_session() {
    let scene = scene().await;
    let bob = client(&scene.app, BOB).await;
    for changes in [
        json!({ "sid": "019ab0b2-8f00-7000-8000-00000000ffff" }),
        json!({ "sid": bob.session_id }),
        json!({ "sub": bob.user_id }),
        json!({ "sub": "019ab0b2-8f00-7000-8000-00000000ffff" }),
        json!({ "ver": 2 }),
        json!({ "ver": 0 }),
    ] {
        scene.refused(&scene.signed(json!({}), changes.clone()).await, &changes.to_string()).await;
    }
}

#[tokio::test]
async fn an_oversized_or_odd_bearer_is_refused() {
    let scene = scene().await;
    for token in ["", "x", "a.b.c", "uc_pat_00000000", &"x".repeat(5000), "null", "undefined"] {
        scene.refused(token, token).await;
    }
}
