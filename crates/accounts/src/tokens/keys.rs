//! Keys that sign access tokens, and the JWKS in which others find their public halves (TOK-1, TOK-9).

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey};
use kernel::{Error, Result};
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use utoipa::ToSchema;

use super::provider::{install, system_random};

/// What a key is for. It stands in the key's record; what a token claims about itself decides nothing (TOK-1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub enum KeyAlgorithm {
    /// ECDSA on P-256 with SHA-256: understood everywhere.
    #[serde(rename = "ES256")]
    Es256,
    /// Ed25519.
    #[serde(rename = "EdDSA")]
    EdDsa,
}

impl KeyAlgorithm {
    /// The name in headers, JWKs and the key's record.
    pub fn as_str(self) -> &'static str {
        match self {
            KeyAlgorithm::Es256 => "ES256",
            KeyAlgorithm::EdDsa => "EdDSA",
        }
    }

    /// The algorithm with this name.
    pub fn parse(name: &str) -> Option<KeyAlgorithm> {
        [KeyAlgorithm::Es256, KeyAlgorithm::EdDsa].into_iter().find(|algorithm| algorithm.as_str() == name)
    }

    pub(super) fn jose(self) -> Algorithm {
        match self {
            KeyAlgorithm::Es256 => Algorithm::ES256,
            KeyAlgorithm::EdDsa => Algorithm::EdDSA,
        }
    }
}

/// The public half of a signing key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicKey {
    algorithm: KeyAlgorithm,
    kid: String,
    /// ES256: the uncompressed point (0x04, x, y). EdDSA: the 32 bytes of RFC 8032.
    bytes: Vec<u8>,
}

impl PublicKey {
    /// The key of a JWK as [`PublicKey::jwk`] makes it; its `kid` must be its thumbprint.
    pub fn from_jwk(jwk: &Jwk) -> Result<PublicKey> {
        let bytes = match (jwk.alg, &jwk.y) {
            (KeyAlgorithm::Es256, Some(y)) => [vec![4], coordinate(&jwk.x)?, coordinate(y)?].concat(),
            (KeyAlgorithm::EdDsa, None) => coordinate(&jwk.x)?,
            _ => return Err(Error::internal("a JWK has the wrong coordinates for its algorithm")),
        };
        let key = PublicKey::new(jwk.alg, bytes)?;
        if key.jwk() == *jwk { Ok(key) } else { Err(Error::internal("a JWK is not as we make it")) }
    }

    fn new(algorithm: KeyAlgorithm, bytes: Vec<u8>) -> Result<PublicKey> {
        let is_plausible = match algorithm {
            KeyAlgorithm::Es256 => bytes.len() == 65 && bytes[0] == 4,
            KeyAlgorithm::EdDsa => bytes.len() == 32,
        };
        if !is_plausible {
            return Err(Error::internal("a public key has the wrong length"));
        }
        let mut key = PublicKey { algorithm, kid: String::new(), bytes };
        key.kid = key.thumbprint();
        Ok(key)
    }

    /// The name under which tokens refer to the key: its thumbprint (RFC 7638).
    pub fn kid(&self) -> &str {
        &self.kid
    }

    /// What the key is for.
    pub fn algorithm(&self) -> KeyAlgorithm {
        self.algorithm
    }

    /// The key as it is published and kept in `signing_keys.public_jwk`.
    pub fn jwk(&self) -> Jwk {
        let (x, y) = self.coordinates();
        let (kty, crv) = self.kind();
        Jwk { kty: kty.into(), crv: crv.into(), x, y, kid: self.kid.clone(), alg: self.algorithm, usage: "sig".into() }
    }

    /// The key as `jsonwebtoken` wants it.
    pub(super) fn decoding_key(&self) -> DecodingKey {
        match self.algorithm {
            KeyAlgorithm::Es256 => DecodingKey::from_ec_der(&self.bytes),
            KeyAlgorithm::EdDsa => DecodingKey::from_ed_der(&self.bytes),
        }
    }

    /// SHA-256 over the required members in alphabetical order; none of their values needs escaping.
    fn thumbprint(&self) -> String {
        let (x, y) = self.coordinates();
        let (kty, crv) = self.kind();
        let y = y.map_or(String::new(), |y| format!(r#","y":"{y}""#));
        let members = format!(r#"{{"crv":"{crv}","kty":"{kty}","x":"{x}"{y}}}"#);
        URL_SAFE_NO_PAD.encode(Sha256::digest(members))
    }

    fn kind(&self) -> (&'static str, &'static str) {
        match self.algorithm {
            KeyAlgorithm::Es256 => ("EC", "P-256"),
            KeyAlgorithm::EdDsa => ("OKP", "Ed25519"),
        }
    }

    fn coordinates(&self) -> (String, Option<String>) {
        let text = |bytes| URL_SAFE_NO_PAD.encode(bytes);
        match self.algorithm {
            KeyAlgorithm::Es256 => (text(&self.bytes[1..33]), Some(text(&self.bytes[33..]))),
            KeyAlgorithm::EdDsa => (text(&self.bytes[..]), None),
        }
    }
}

fn coordinate(text: &str) -> Result<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text).map_err(Error::internal)
}

/// A public key in the form of RFC 7517.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Jwk {
    /// The family: `EC` or `OKP`.
    pub kty: String,
    /// The curve: `P-256` or `Ed25519`.
    pub crv: String,
    /// The first coordinate, base64url.
    pub x: String,
    /// The second coordinate, base64url; Ed25519 has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub y: Option<String>,
    /// The name under which tokens refer to it.
    pub kid: String,
    /// The one algorithm it may be used with.
    pub alg: KeyAlgorithm,
    /// Always `sig`.
    #[serde(rename = "use")]
    pub usage: String,
}

/// The document at `/.well-known/jwks.json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Jwks {
    /// The keys that a token may be signed with now or soon.
    pub keys: Vec<Jwk>,
}

impl<'a> FromIterator<&'a PublicKey> for Jwks {
    fn from_iter<I: IntoIterator<Item = &'a PublicKey>>(keys: I) -> Jwks {
        Jwks { keys: keys.into_iter().map(PublicKey::jwk).collect() }
    }
}

/// A key pair that signs tokens; its private part is wiped when dropped and at rest exists only sealed (TOK-9).
pub struct SigningKey {
    public: PublicKey,
    private: EncodingKey,
}

impl SigningKey {
    /// A new key pair.
    pub fn generate(algorithm: KeyAlgorithm) -> Result<SigningKey> {
        let random = system_random();
        let pkcs8 = match algorithm {
            KeyAlgorithm::Es256 => EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random),
            KeyAlgorithm::EdDsa => Ed25519KeyPair::generate_pkcs8(&random),
        };
        SigningKey::from_pkcs8(algorithm, pkcs8.map_err(|_| unusable())?.as_ref())
    }

    /// The key pair in this PKCS#8 document, as [`SigningKey::pkcs8`] gave it.
    pub fn from_pkcs8(algorithm: KeyAlgorithm, pkcs8: &[u8]) -> Result<SigningKey> {
        install()?;
        let (public, private) = match algorithm {
            KeyAlgorithm::Es256 => {
                let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8, &system_random()).map_err(|_| unusable())?;
                (pair.public_key().as_ref().to_vec(), EncodingKey::from_ec_der(pkcs8))
            }
            KeyAlgorithm::EdDsa => {
                let pair = Ed25519KeyPair::from_pkcs8(pkcs8).map_err(|_| unusable())?;
                (pair.public_key().as_ref().to_vec(), EncodingKey::from_ed_der(pkcs8))
            }
        };
        Ok(SigningKey { public: PublicKey::new(algorithm, public)?, private })
    }

    /// The public half.
    pub fn public(&self) -> &PublicKey {
        &self.public
    }

    /// The private half as PKCS#8, to be sealed at once.
    pub fn pkcs8(&self) -> &[u8] {
        self.private.as_bytes()
    }

    /// The key as `jsonwebtoken` wants it.
    pub(super) fn encoding_key(&self) -> &EncodingKey {
        &self.private
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey({}, [redacted])", self.public.kid)
    }
}

/// Says nothing about the key itself, not even why `ring` refused it.
fn unusable() -> Error {
    Error::internal("a signing key cannot be made or read")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::provider::examples;
    use super::*;

    const BOTH: [KeyAlgorithm; 2] = [KeyAlgorithm::Es256, KeyAlgorithm::EdDsa];

    #[test]
    fn the_thumbprint_of_rfc_8037_is_made() {
        let key = SigningKey::from_pkcs8(KeyAlgorithm::EdDsa, &examples::ed25519_pkcs8()).unwrap();
        assert_eq!(key.public().kid(), "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
    }

    #[test]
    fn tok9_the_example_key_of_rfc_7515_is_published_as_there() {
        let key = SigningKey::from_pkcs8(KeyAlgorithm::Es256, &examples::p256_pkcs8()).unwrap();
        let jwks = serde_json::to_value(Jwks::from_iter([key.public()])).unwrap();
        assert_eq!(
            jwks,
            json!({"keys": [{
                "kty": "EC", "crv": "P-256", "x": examples::P256[0], "y": examples::P256[1],
                "kid": "oKIywvGUpTVTyxMQ3bwIIeQUudfr_CkLMjCE19ECD-U", "alg": "ES256", "use": "sig",
            }]})
        );
    }

    #[test]
    fn tok9_a_key_pair_survives_being_stored() {
        for algorithm in BOTH {
            let key = SigningKey::generate(algorithm).unwrap();
            let again = SigningKey::from_pkcs8(algorithm, key.pkcs8()).unwrap();
            assert_eq!(again.public(), key.public());
            let jwk: Jwk = serde_json::from_str(&serde_json::to_string(&key.public().jwk()).unwrap()).unwrap();
            assert_eq!(&PublicKey::from_jwk(&jwk).unwrap(), key.public());
            assert_ne!(SigningKey::generate(algorithm).unwrap().public(), key.public());
        }
    }

    #[test]
    fn tok1_a_key_cannot_change_its_algorithm() {
        assert!(SigningKey::from_pkcs8(KeyAlgorithm::EdDsa, &examples::p256_pkcs8()).is_err());
        assert!(SigningKey::from_pkcs8(KeyAlgorithm::Es256, &examples::ed25519_pkcs8()).is_err());
        assert!(SigningKey::from_pkcs8(KeyAlgorithm::Es256, b"").is_err());
        let ec = SigningKey::generate(KeyAlgorithm::Es256).unwrap().public().jwk();
        assert!(PublicKey::from_jwk(&Jwk { alg: KeyAlgorithm::EdDsa, ..ec.clone() }).is_err());
        assert!(PublicKey::from_jwk(&Jwk { alg: KeyAlgorithm::EdDsa, y: None, ..ec }).is_err());
    }

    #[test]
    fn a_jwk_with_an_altered_member_is_refused() {
        let jwk = SigningKey::generate(KeyAlgorithm::Es256).unwrap().public().jwk();
        let other = SigningKey::generate(KeyAlgorithm::Es256).unwrap().public().jwk();
        for altered in [
            Jwk { kid: other.kid, ..jwk.clone() },
            Jwk { x: other.x, ..jwk.clone() },
            Jwk { y: None, ..jwk.clone() },
            Jwk { crv: "P-384".into(), ..jwk.clone() },
            Jwk { usage: "enc".into(), ..jwk.clone() },
            Jwk { x: "AAAA".into(), ..jwk.clone() },
            Jwk { x: "!".into(), ..jwk },
        ] {
            assert!(PublicKey::from_jwk(&altered).is_err(), "{altered:?}");
        }
    }

    #[test]
    fn an_algorithm_has_one_name() {
        for algorithm in BOTH {
            assert_eq!(KeyAlgorithm::parse(algorithm.as_str()), Some(algorithm));
            assert_eq!(serde_json::to_value(algorithm).unwrap(), algorithm.as_str());
        }
        for name in ["none", "HS256", "es256", "RS256", ""] {
            assert_eq!(KeyAlgorithm::parse(name), None, "{name}");
        }
    }

    #[test]
    fn pwd12_a_signing_key_does_not_print_its_private_part() {
        let key = SigningKey::generate(KeyAlgorithm::EdDsa).unwrap();
        assert_eq!(format!("{key:?}"), format!("SigningKey({}, [redacted])", key.public().kid()));
    }
}
