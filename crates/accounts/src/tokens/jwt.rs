//! Access tokens: made by [`mint`], read by [`Verifier`] and by nothing else (TOK-1 to TOK-5).
//!
//! The library's own reading of `exp` and `nbf` is switched off: it asks the wall clock, allows a minute, skips `nbf`, and
//! once let wrongly typed claims pass. Types are those of [`Claims`], times are compared with the given clock.

use std::collections::HashMap;
use std::fmt;
use std::sync::{PoisonError, RwLock};

use jsonwebtoken::{DecodingKey, Header, Validation, decode, decode_header, encode};
use kernel::error::{TOKEN_EXPIRED, UNAUTHENTICATED};
use kernel::{Clock, Error, Id, Result, Session, Timestamp, UserId};
use serde::{Deserialize, Serialize};

use super::keys::{PublicKey, SigningKey};
use super::provider::install;

/// What a token must be to be an access token (TOK-3, RFC 9068).
pub const TYPE: &str = "at+jwt";

/// The longest token in bytes (TOK-5).
pub const MAX_BYTES: usize = 1024;

/// How far clocks may differ, in seconds (TOK-4).
pub const LEEWAY_SECS: i64 = 5;

/// What an access token says (TOK-4, TOK-5): no address, no name, no roles. Times are seconds since 1970.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claims {
    /// Who made the token.
    pub iss: String,
    /// For whom it was made; one audience, never a list.
    pub aud: String,
    /// From when on it is worth nothing.
    pub exp: i64,
    /// When it was made.
    pub iat: i64,
    /// From when on it is worth something.
    pub nbf: i64,
    /// The user.
    pub sub: UserId,
    /// The token itself.
    pub jti: Id<Claims>,
    /// The session, which is asked on every request (TOK-6).
    pub sid: Id<Session>,
    /// What it may be used for, separated by spaces.
    pub scope: String,
    /// How sure we are who it is.
    pub acr: String,
    /// How they showed it.
    pub amr: Vec<String>,
    /// When they last showed it.
    pub auth_time: i64,
    /// The user's security epoch when the token was made.
    pub ver: i64,
}

/// Signs an access token; fails when it would be longer than 1 KiB (TOK-5).
#[expect(clippy::disallowed_methods, reason = "the one place that makes tokens")]
pub fn mint(key: &SigningKey, claims: &Claims) -> Result<String> {
    let token = encode(&header(key.public()), claims, key.encoding_key()).map_err(Error::internal)?;
    if token.len() > MAX_BYTES {
        return Err(Error::internal(format!("an access token of {} bytes, more than TOK-5 allows", token.len())));
    }
    Ok(token)
}

/// The one header that a token of this key has.
fn header(key: &PublicKey) -> Header {
    Header { typ: Some(TYPE.to_owned()), kid: Some(key.kid().to_owned()), ..Header::new(key.algorithm().jose()) }
}

/// Why a token is not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenProblem {
    /// It was good once: time to refresh.
    Expired,
    /// It never was ours, was not for us, or is not valid yet.
    Invalid,
}

impl From<TokenProblem> for Error {
    fn from(problem: TokenProblem) -> Error {
        match problem {
            TokenProblem::Expired => TOKEN_EXPIRED.error(),
            TokenProblem::Invalid => UNAUTHENTICATED.error(),
        }
    }
}

/// Reads access tokens with a known set of keys. It fetches nothing.
pub struct Verifier {
    issuer: String,
    audience: String,
    clock: Clock,
    keys: RwLock<HashMap<String, Known>>,
}

/// A key that tokens may be signed with, and what such a token must look like.
struct Known {
    header: Header,
    key: DecodingKey,
    validation: Validation,
}

impl Verifier {
    /// Accepts tokens of these keys, from this issuer, for this audience, at the time of this clock give or take 5 s.
    pub fn new<'a>(
        keys: impl IntoIterator<Item = &'a PublicKey>,
        issuer: impl Into<String>,
        audience: impl Into<String>,
        clock: Clock,
    ) -> Result<Verifier> {
        install()?;
        let verifier = Verifier { issuer: issuer.into(), audience: audience.into(), clock, keys: RwLock::default() };
        verifier.replace_keys(keys);
        Ok(verifier)
    }

    /// Accepts these keys from now on and no others (TOK-9).
    pub fn replace_keys<'a>(&self, keys: impl IntoIterator<Item = &'a PublicKey>) {
        let keys = keys.into_iter().map(|key| (key.kid().to_owned(), self.known(key))).collect();
        *self.keys.write().unwrap_or_else(PoisonError::into_inner) = keys;
    }

    /// What a token says, if it is one of ours and valid now.
    pub fn verify(&self, token: &str) -> Result<Claims, TokenProblem> {
        if token.len() > MAX_BYTES {
            return Err(TokenProblem::Invalid);
        }
        let claims = self.signed_claims(token).ok_or(TokenProblem::Invalid)?;
        check_times(&claims, self.clock.now())?;
        Ok(claims)
    }

    /// The claims, if header, signature, types, issuer and audience are right.
    #[expect(clippy::disallowed_methods, reason = "the one place that reads tokens")]
    fn signed_claims(&self, token: &str) -> Option<Claims> {
        let header = decode_header(token).ok()?;
        let keys = self.keys.read().unwrap_or_else(PoisonError::into_inner);
        let known = keys.get(header.kid.as_deref()?)?;
        // Equal as a whole: algorithm and type are those of the key's record, and there is no `crit`, no embedded key, no
        // address of one, nor anything else that somebody might heed one day (TOK-1, TOK-2, TOK-3).
        if header != known.header {
            return None;
        }
        decode(token, &known.key, &known.validation).ok().map(|token| token.claims)
    }

    fn known(&self, key: &PublicKey) -> Known {
        let mut validation = Validation::new(key.algorithm().jose());
        validation.set_issuer(&[&self.issuer]);
        validation.set_audience(&[&self.audience]);
        validation.set_required_spec_claims(&["iss", "aud", "exp", "nbf", "sub"]);
        validation.validate_exp = false;
        validation.validate_nbf = false;
        Known { header: header(key), key: key.decoding_key(), validation }
    }
}

impl fmt::Debug for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Verifier({} for {})", self.issuer, self.audience)
    }
}

fn check_times(claims: &Claims, now: Timestamp) -> Result<(), TokenProblem> {
    let now = now.as_secs();
    let lies_ahead = |time: i64| time > now.saturating_add(LEEWAY_SECS);
    if lies_ahead(claims.nbf) || lies_ahead(claims.iat) || lies_ahead(claims.auth_time) || claims.exp <= claims.iat {
        return Err(TokenProblem::Invalid);
    }
    if now >= claims.exp.saturating_add(LEEWAY_SECS) {
        return Err(TokenProblem::Expired);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use jsonwebtoken::crypto::sign;
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::super::keys::KeyAlgorithm;
    use super::super::provider::examples;
    use super::*;

    const NOW: i64 = 1_800_000_000;
    const ISSUER: &str = "https://site.example";
    const AUDIENCE: &str = "https://site.example/api";
    const INVALID: Result<Claims, TokenProblem> = Err(TokenProblem::Invalid);

    fn id<T>(number: u128) -> Id<T> {
        Id::from_uuid(uuid::Uuid::from_u128(number))
    }

    fn claims() -> Claims {
        Claims {
            iss: ISSUER.to_owned(),
            aud: AUDIENCE.to_owned(),
            exp: NOW + 600,
            iat: NOW,
            nbf: NOW,
            sub: id(1),
            jti: id(2),
            sid: id(3),
            scope: "blog:posts:read".to_owned(),
            acr: "aal1".to_owned(),
            amr: vec!["pwd".to_owned()],
            auth_time: NOW - 60,
            ver: 7,
        }
    }

    fn key() -> SigningKey {
        SigningKey::from_pkcs8(KeyAlgorithm::Es256, &examples::p256_pkcs8()).unwrap()
    }

    fn verifier_at(now: i64) -> Verifier {
        Verifier::new([key().public()], ISSUER, AUDIENCE, Clock::manual(Timestamp::from_millis(now * 1000))).unwrap()
    }

    fn verify(token: &str) -> Result<Claims, TokenProblem> {
        verifier_at(NOW).verify(token)
    }

    /// The right header, with some members replaced, added, or (by null) removed.
    fn header_with(changes: Value) -> Value {
        let header = json!({"typ": TYPE, "alg": "ES256", "kid": key().public().kid()});
        changed(header, changes)
    }

    /// The right claims, likewise.
    fn claims_with(changes: Value) -> Value {
        changed(serde_json::to_value(claims()).unwrap(), changes)
    }

    fn changed(mut whole: Value, changes: Value) -> Value {
        let members = whole.as_object_mut().unwrap();
        for (name, value) in changes.as_object().unwrap() {
            members.remove(name);
            if !value.is_null() {
                members.insert(name.clone(), value.clone());
            }
        }
        whole
    }

    fn unsigned(header: &[u8], payload: &[u8]) -> String {
        format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(payload))
    }

    /// A token that our own key really signed, whatever it says.
    fn signed(header: &Value, payload: &Value) -> String {
        signed_text(&header.to_string(), &payload.to_string())
    }

    fn signed_text(header: &str, payload: &str) -> String {
        let message = unsigned(header.as_bytes(), payload.as_bytes());
        let signature = sign(message.as_bytes(), key().encoding_key(), KeyAlgorithm::Es256.jose()).unwrap();
        format!("{message}.{signature}")
    }

    #[test]
    fn what_was_minted_verifies() {
        let token = mint(&key(), &claims()).unwrap();
        assert_eq!(verify(&token), Ok(claims()));
        assert_eq!(verify(&signed(&header_with(json!({})), &claims_with(json!({})))), Ok(claims()));
    }

    #[test]
    fn tok1_both_algorithms_live_side_by_side() {
        let (ec, ed) = (SigningKey::generate(KeyAlgorithm::Es256).unwrap(), SigningKey::generate(KeyAlgorithm::EdDsa).unwrap());
        let clock = Clock::manual(Timestamp::from_millis(NOW * 1000));
        let verifier = Verifier::new([ec.public(), ed.public()], ISSUER, AUDIENCE, clock).unwrap();
        for key in [&ec, &ed] {
            assert_eq!(verifier.verify(&mint(key, &claims()).unwrap()), Ok(claims()));
        }
    }

    #[test]
    fn tok5_a_token_is_small_and_names_its_type_and_key() {
        let token = mint(&key(), &claims()).unwrap();
        let header = examples::decode(token.split('.').next().unwrap());
        let header: Value = serde_json::from_slice(&header).unwrap();
        assert_eq!(header, header_with(json!({})));
        assert!(token.len() < 800, "{}", token.len());
        let wordy = Claims { scope: "x".repeat(600), ..claims() };
        assert!(mint(&key(), &wordy).unwrap_err().causes().unwrap().contains("TOK-5"));
    }

    #[test]
    fn tok5_an_oversized_token_is_refused_though_signed() {
        let token = signed(&header_with(json!({})), &claims_with(json!({"scope": "x".repeat(600)})));
        assert!(token.len() > MAX_BYTES);
        assert_eq!(verify(&token), INVALID);
    }

    #[test]
    fn tok1_the_algorithm_is_that_of_the_key() {
        for alg in ["none", "None", "HS256", "HS384", "RS256", "PS256", "ES384", "ES512", "EdDSA", "es256", ""] {
            assert_eq!(verify(&signed(&header_with(json!({"alg": alg})), &claims_with(json!({})))), INVALID, "{alg}");
        }
        assert_eq!(verify(&signed(&header_with(json!({"alg": null})), &claims_with(json!({})))), INVALID);
    }

    #[test]
    fn tok1_alg_none_without_a_signature_is_refused() {
        let none = unsigned(header_with(json!({"alg": "none"})).to_string().as_bytes(), claims_with(json!({})).to_string().as_bytes());
        let right = unsigned(header_with(json!({})).to_string().as_bytes(), claims_with(json!({})).to_string().as_bytes());
        for token in [format!("{none}."), none, format!("{right}."), right] {
            assert_eq!(verify(&token), INVALID, "{token}");
        }
    }

    #[test]
    fn tok1_a_mac_keyed_with_the_public_key_is_refused() {
        let message = unsigned(header_with(json!({"alg": "HS256"})).to_string().as_bytes(), claims_with(json!({})).to_string().as_bytes());
        let jwk = serde_json::to_vec(&key().public().jwk()).unwrap();
        for secret in [examples::p256_public(), jwk] {
            let tag = ring::hmac::sign(&ring::hmac::Key::new(ring::hmac::HMAC_SHA256, &secret), message.as_bytes());
            assert_eq!(verify(&format!("{message}.{}", URL_SAFE_NO_PAD.encode(tag))), INVALID);
        }
    }

    #[test]
    fn tok1_a_key_of_another_curve_under_our_kid_is_refused() {
        let ed = SigningKey::generate(KeyAlgorithm::EdDsa).unwrap();
        for alg in ["ES256", "EdDSA"] {
            let header = header_with(json!({"alg": alg})).to_string();
            let message = unsigned(header.as_bytes(), claims_with(json!({})).to_string().as_bytes());
            let signature = sign(message.as_bytes(), ed.encoding_key(), KeyAlgorithm::EdDsa.jose()).unwrap();
            assert_eq!(verify(&format!("{message}.{signature}")), INVALID, "{alg}");
        }
    }

    #[test]
    fn tok1_another_key_of_the_same_curve_under_our_kid_is_refused() {
        let other = SigningKey::generate(KeyAlgorithm::Es256).unwrap();
        let message = unsigned(header_with(json!({})).to_string().as_bytes(), claims_with(json!({})).to_string().as_bytes());
        let signature = sign(message.as_bytes(), other.encoding_key(), KeyAlgorithm::Es256.jose()).unwrap();
        assert_eq!(verify(&format!("{message}.{signature}")), INVALID);
    }

    #[test]
    fn tok1_an_altered_or_padded_signature_is_refused() {
        let token = mint(&key(), &claims()).unwrap();
        let (message, signature) = token.rsplit_once('.').unwrap();
        let bytes = examples::decode(signature);
        let text = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        let mut flipped = bytes.clone();
        flipped[40] ^= 1;
        let last = signature.as_bytes()[85];
        let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
        let place = alphabet.iter().position(|letter| *letter == last).unwrap();
        let same_bytes_other_text = format!("{}{}", &signature[..85], char::from(alphabet[place + 1]));
        for signature in [
            text(&flipped),
            text(&bytes[..63]),
            text(&[&bytes[..], &[0]].concat()),
            text(&[&[0], &bytes[..]].concat()),
            text(&[0; 64]),
            String::new(),
            format!("{signature}="),
            format!("{signature}=="),
            format!("{signature}\n"),
            format!(" {signature}"),
            format!("{signature}.{signature}"),
            same_bytes_other_text,
        ] {
            assert_eq!(verify(&format!("{message}.{signature}")), INVALID, "{signature:?}");
        }
    }

    #[test]
    fn tok1_an_altered_payload_is_refused() {
        let token = mint(&key(), &claims()).unwrap();
        let parts: Vec<&str> = token.split('.').collect();
        let other = URL_SAFE_NO_PAD.encode(claims_with(json!({"sub": id::<Session>(9)})).to_string());
        assert_eq!(verify(&format!("{}.{other}.{}", parts[0], parts[2])), INVALID);
        assert_eq!(verify(&format!("{}.{}=.{}", parts[0], parts[1], parts[2])), INVALID);
        assert_eq!(verify(&format!("{}..{}", parts[0], parts[2])), INVALID);
    }

    #[test]
    fn tok2_an_unknown_kid_is_refused() {
        for kid in [json!("other"), json!(""), json!(5), json!([key().public().kid()]), json!(null)] {
            assert_eq!(verify(&signed(&header_with(json!({"kid": kid})), &claims_with(json!({})))), INVALID, "{kid}");
        }
    }

    #[test]
    fn tok2_headers_that_bring_keys_or_demands_are_refused() {
        let jwk = serde_json::to_value(key().public().jwk()).unwrap();
        for changes in [
            json!({"crit": ["exp"]}),
            json!({"crit": []}),
            json!({"crit": ["b64"], "b64": false}),
            json!({"jwk": jwk}),
            json!({"jku": "https://evil.example/jwks.json"}),
            json!({"x5u": "https://evil.example/cert.pem"}),
            json!({"x5c": ["MIIB"]}),
            json!({"x5t": "AAAA"}),
            json!({"x5t#S256": "AAAA"}),
            json!({"cty": "JWT"}),
            json!({"zip": "DEF"}),
            json!({"enc": "A128GCM"}),
            json!({"nonce": "1"}),
            json!({"url": "https://evil.example"}),
            json!({"anything": true}),
        ] {
            assert_eq!(verify(&signed(&header_with(changes.clone()), &claims_with(json!({})))), INVALID, "{changes}");
        }
    }

    #[test]
    fn tok2_a_header_that_says_something_twice_is_refused() {
        let kid = key().public().kid().to_owned();
        let payload = claims_with(json!({})).to_string();
        for header in [
            format!(r#"{{"typ":"at+jwt","alg":"none","alg":"ES256","kid":"{kid}"}}"#),
            format!(r#"{{"typ":"JWT","typ":"at+jwt","alg":"ES256","kid":"{kid}"}}"#),
            format!(r#"{{"typ":"at+jwt","alg":"ES256","kid":"other","kid":"{kid}"}}"#),
        ] {
            assert_eq!(verify(&signed_text(&header, &payload)), INVALID, "{header}");
        }
    }

    #[test]
    fn tok3_a_token_of_another_type_is_refused() {
        for typ in [
            json!("JWT"),
            json!("jwt"),
            json!("AT+JWT"),
            json!("application/at+jwt"),
            json!("logout+jwt"),
            json!(""),
            json!(1),
            json!(null),
        ] {
            assert_eq!(verify(&signed(&header_with(json!({"typ": typ})), &claims_with(json!({})))), INVALID, "{typ}");
        }
    }

    #[test]
    fn tok4_a_string_nbf_is_refused() {
        for nbf in [json!("9999999999"), json!(NOW.to_string()), json!("0")] {
            assert_eq!(verify(&signed(&header_with(json!({})), &claims_with(json!({"nbf": nbf})))), INVALID, "{nbf}");
        }
    }

    #[test]
    fn tok4_every_claim_is_required() {
        let all = serde_json::to_value(claims()).unwrap();
        for name in all.as_object().unwrap().keys() {
            let token = signed(&header_with(json!({})), &claims_with(json!({name: null})));
            assert_eq!(verify(&token), INVALID, "{name}");
            let mut null = all.clone();
            null[name] = Value::Null;
            assert_eq!(verify(&signed(&header_with(json!({})), &null)), INVALID, "{name}: null");
        }
    }

    #[test]
    fn tok4_every_claim_has_one_type() {
        let odd = [json!(true), json!({}), json!([]), json!([1]), json!(1.5), json!(NOW as f64 + 0.5), json!(u64::MAX), json!("x")];
        let all = serde_json::to_value(claims()).unwrap();
        for (name, value) in all.as_object().unwrap() {
            for odd in odd.iter().filter(|odd| !is_same_type(odd, value)) {
                let token = signed(&header_with(json!({})), &claims_with(json!({name: odd})));
                assert_eq!(verify(&token), INVALID, "{name}: {odd}");
            }
        }
        for payload in ["", "null", "[]", "{}", "\"\"", "{\"iss\":", "\u{feff}{}"] {
            assert_eq!(verify(&signed_text(&header_with(json!({})).to_string(), payload)), INVALID, "{payload:?}");
        }
    }

    /// Whether the odd value would be a right one: any text for a scope, any list of texts for `amr`.
    fn is_same_type(odd: &Value, value: &Value) -> bool {
        let is_text = odd.is_string() && value.as_str().is_some_and(|text| text == "aal1" || text == "blog:posts:read");
        is_text || (value.is_array() && odd == &json!([]))
    }

    #[test]
    fn tok4_a_claim_said_twice_is_refused() {
        let payload = claims_with(json!({})).to_string();
        let twice = payload.replacen('{', "{\"exp\":9999999999,", 1);
        assert_eq!(verify(&signed_text(&header_with(json!({})).to_string(), &twice)), INVALID);
    }

    #[test]
    fn tok4_ids_are_hyphenated_uuids() {
        for (name, value) in
            [("sub", ""), ("sid", "1"), ("jti", "00000000-0000-0000-0000-00000000000g"), ("sub", " 00000000-0000-0000-0000-000000000001")]
        {
            assert_eq!(verify(&signed(&header_with(json!({})), &claims_with(json!({name: value})))), INVALID, "{name}: {value}");
        }
    }

    #[test]
    fn tok4_another_issuer_or_audience_is_refused() {
        for (name, value) in [
            ("iss", json!("https://evil.example")),
            ("iss", json!("https://site.example/")),
            ("iss", json!("")),
            ("iss", json!([ISSUER])),
            ("aud", json!("https://other.example/api")),
            ("aud", json!(ISSUER)),
            ("aud", json!("")),
            ("aud", json!([AUDIENCE])),
            ("aud", json!([AUDIENCE, "https://other.example"])),
        ] {
            assert_eq!(verify(&signed(&header_with(json!({})), &claims_with(json!({name: value})))), INVALID, "{name}: {value}");
        }
    }

    #[test]
    fn tok4_the_end_is_sharp_but_for_five_seconds() {
        let token = mint(&key(), &claims()).unwrap();
        for (after, expected) in
            [(0, Ok(())), (599, Ok(())), (604, Ok(())), (605, Err(TokenProblem::Expired)), (9_999_999, Err(TokenProblem::Expired))]
        {
            assert_eq!(verifier_at(NOW + after).verify(&token).map(drop), expected, "{after} s");
        }
    }

    #[test]
    fn tok4_a_token_from_the_future_is_refused_but_for_five_seconds() {
        let lone = |name: &str, ahead: i64| signed(&header_with(json!({})), &claims_with(json!({name: NOW + ahead})));
        for name in ["nbf", "iat", "auth_time"] {
            assert!(verify(&lone(name, 5)).is_ok(), "{name}");
            assert_eq!(verify(&lone(name, 6)), INVALID, "{name}");
            assert_eq!(verify(&signed(&header_with(json!({})), &claims_with(json!({name: i64::MAX})))), INVALID, "{name}");
        }
    }

    #[test]
    fn tok4_absurd_times_neither_pass_nor_overflow() {
        for (changes, expected) in [
            (json!({"exp": i64::MIN}), TokenProblem::Invalid),
            (json!({"exp": 0, "iat": 0}), TokenProblem::Invalid),
            (json!({"exp": NOW}), TokenProblem::Invalid),
            (json!({"exp": 1, "iat": 0, "nbf": 0, "auth_time": 0}), TokenProblem::Expired),
            (json!({"exp": i64::MIN + 1, "iat": i64::MIN}), TokenProblem::Invalid),
        ] {
            assert_eq!(verify(&signed(&header_with(json!({})), &claims_with(changes.clone()))), Err(expected), "{changes}");
        }
    }

    #[test]
    fn tok4_an_expired_token_with_another_fault_is_only_invalid() {
        let verifier = verifier_at(NOW + 10_000);
        let other_audience = signed(&header_with(json!({})), &claims_with(json!({"aud": "x"})));
        assert_eq!(verifier.verify(&other_audience), INVALID);
        let token = mint(&key(), &claims()).unwrap();
        assert_eq!(verifier.verify(&token[..token.len() - 4]), INVALID);
    }

    #[test]
    fn tok4_the_given_clock_decides_not_the_wall() {
        let long_ago = Claims { exp: 1_000, iat: 400, nbf: 400, auth_time: 400, ..claims() };
        let token = mint(&key(), &long_ago).unwrap();
        let clock = Clock::manual(Timestamp::from_millis(500_000));
        let verifier = Verifier::new([key().public()], ISSUER, AUDIENCE, clock.clone()).unwrap();
        assert!(verifier.verify(&token).is_ok());
        clock.advance(Duration::from_secs(505));
        assert_eq!(verifier.verify(&token), Err(TokenProblem::Expired));
    }

    #[test]
    fn tok9_a_retired_key_is_no_longer_accepted_and_a_new_one_is() {
        let verifier = verifier_at(NOW);
        let next = SigningKey::generate(KeyAlgorithm::Es256).unwrap();
        let (old_token, new_token) = (mint(&key(), &claims()).unwrap(), mint(&next, &claims()).unwrap());
        assert_eq!(verifier.verify(&new_token), INVALID);
        verifier.replace_keys([key().public(), next.public()]);
        assert!(verifier.verify(&old_token).is_ok() && verifier.verify(&new_token).is_ok());
        verifier.replace_keys([next.public()]);
        assert_eq!(verifier.verify(&old_token), INVALID);
    }

    #[test]
    fn tok2_a_verifier_without_keys_accepts_nothing() {
        let clock = Clock::manual(Timestamp::from_millis(NOW * 1000));
        let verifier = Verifier::new([], ISSUER, AUDIENCE, clock).unwrap();
        assert_eq!(verifier.verify(&mint(&key(), &claims()).unwrap()), INVALID);
    }

    #[test]
    fn a_problem_becomes_the_kernels() {
        assert!(Error::from(TokenProblem::Expired).is(&TOKEN_EXPIRED));
        assert!(Error::from(TokenProblem::Invalid).is(&UNAUTHENTICATED));
    }

    proptest! {
        #[test]
        fn pos14_no_text_makes_the_verifier_panic(text in "\\PC{0,200}") {
            prop_assert_eq!(verify(&text), INVALID);
        }

        #[test]
        fn pos14_no_header_and_payload_make_the_verifier_panic(header in "\\PC{0,60}", payload in "\\PC{0,60}", tail in "[A-Za-z0-9_-]{0,90}") {
            prop_assert_eq!(verify(&format!("{}.{tail}", unsigned(header.as_bytes(), payload.as_bytes()))), INVALID);
        }

        #[test]
        fn tok1_no_single_changed_character_survives(at in 0usize..500, letter in "[A-Za-z0-9_.=-]") {
            let token = signed(&header_with(json!({})), &claims_with(json!({})));
            let at = at % token.len();
            prop_assume!(token[at..=at] != letter);
            let altered = format!("{}{letter}{}", &token[..at], &token[at + 1..]);
            prop_assert_eq!(verify(&altered), INVALID);
        }
    }
}
