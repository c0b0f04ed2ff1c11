//! The cryptography behind `jsonwebtoken`: ES256 and EdDSA on `ring`, and nothing else (dependencies.md §2.4).
//!
//! The library panics at its first use when no provider is installed, and the one it ships brings an `rsa` with an open
//! advisory. Private keys come in as PKCS#8, public ones as raw bytes. Its JWK helpers are left out, they would panic:
//! JWKs come from [`super::keys`].

use std::sync::LazyLock;

use jsonwebtoken::crypto::{CryptoProvider, JwtSigner, JwtVerifier, KeyUtils};
use jsonwebtoken::errors::{ErrorKind, Result as JwtResult};
use jsonwebtoken::signature::{Error as SignatureError, Signer, Verifier};
use jsonwebtoken::{Algorithm, AlgorithmFamily, DecodingKey, EncodingKey};
use kernel::{Error, Result};
use ring::rand::SystemRandom;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, ED25519, EcdsaKeyPair, Ed25519KeyPair, UnparsedPublicKey,
    VerificationAlgorithm,
};

static PROVIDER: CryptoProvider =
    CryptoProvider { signer_factory: signer, verifier_factory: verifier, key_utils: KeyUtils::new_unimplemented() };

/// Makes `jsonwebtoken` use this provider; only the first call does anything.
///
/// Keys and verifiers of [`super`] call it themselves. It fails when somebody else's provider was installed before.
pub fn install() -> Result<()> {
    static IS_INSTALLED: LazyLock<bool> = LazyLock::new(|| PROVIDER.install_default().is_ok());
    if *IS_INSTALLED { Ok(()) } else { Err(Error::internal("jsonwebtoken was used before its provider was installed")) }
}

/// The operating system's randomness as `ring` wants it.
#[expect(clippy::disallowed_methods, reason = "ring accepts no other source for keys and for the nonces of ECDSA")]
pub(super) fn system_random() -> SystemRandom {
    SystemRandom::new()
}

fn signer(algorithm: &Algorithm, key: &EncodingKey) -> JwtResult<Box<dyn JwtSigner>> {
    match (algorithm, key.family()) {
        (Algorithm::ES256, AlgorithmFamily::Ec) => Ok(Box::new(Es256Signer::new(key.as_bytes())?)),
        (Algorithm::EdDSA, AlgorithmFamily::Ed) => Ok(Box::new(EdDsaSigner::new(key.as_bytes())?)),
        _ => Err(ErrorKind::InvalidAlgorithm.into()),
    }
}

fn verifier(algorithm: &Algorithm, key: &DecodingKey) -> JwtResult<Box<dyn JwtVerifier>> {
    let ring: &'static dyn VerificationAlgorithm = match (algorithm, key.family()) {
        (Algorithm::ES256, AlgorithmFamily::Ec) => &ECDSA_P256_SHA256_FIXED,
        (Algorithm::EdDSA, AlgorithmFamily::Ed) => &ED25519,
        _ => return Err(ErrorKind::InvalidAlgorithm.into()),
    };
    let key = UnparsedPublicKey::new(ring, key.try_get_as_bytes()?.to_vec());
    Ok(Box::new(RingVerifier { algorithm: *algorithm, key }))
}

struct Es256Signer(EcdsaKeyPair);

impl Es256Signer {
    fn new(pkcs8: &[u8]) -> JwtResult<Es256Signer> {
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8, &system_random());
        Ok(Es256Signer(pair.map_err(|_| ErrorKind::InvalidEcdsaKey)?))
    }
}

impl Signer<Vec<u8>> for Es256Signer {
    fn try_sign(&self, message: &[u8]) -> Result<Vec<u8>, SignatureError> {
        let signature = self.0.sign(&system_random(), message).map_err(|_| SignatureError::new())?;
        Ok(signature.as_ref().to_vec())
    }
}

impl JwtSigner for Es256Signer {
    fn algorithm(&self) -> Algorithm {
        Algorithm::ES256
    }
}

struct EdDsaSigner(Ed25519KeyPair);

impl EdDsaSigner {
    fn new(pkcs8: &[u8]) -> JwtResult<EdDsaSigner> {
        Ok(EdDsaSigner(Ed25519KeyPair::from_pkcs8(pkcs8).map_err(|_| ErrorKind::InvalidEddsaKey)?))
    }
}

impl Signer<Vec<u8>> for EdDsaSigner {
    fn try_sign(&self, message: &[u8]) -> Result<Vec<u8>, SignatureError> {
        Ok(self.0.sign(message).as_ref().to_vec())
    }
}

impl JwtSigner for EdDsaSigner {
    fn algorithm(&self) -> Algorithm {
        Algorithm::EdDSA
    }
}

struct RingVerifier {
    algorithm: Algorithm,
    key: UnparsedPublicKey<Vec<u8>>,
}

impl Verifier<Vec<u8>> for RingVerifier {
    fn verify(&self, message: &[u8], signature: &Vec<u8>) -> Result<(), SignatureError> {
        self.key.verify(message, signature).map_err(|_| SignatureError::new())
    }
}

impl JwtVerifier for RingVerifier {
    fn algorithm(&self) -> Algorithm {
        self.algorithm
    }
}

#[cfg(test)]
pub(super) mod examples {
    //! The example keys of the RFCs, as PKCS#8.

    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;

    /// RFC 7515 A.3: x, y, d.
    pub(in crate::tokens) const P256: [&str; 3] = [
        "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
        "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0",
        "jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI",
    ];

    /// RFC 8037 A.1: x, d.
    pub(in crate::tokens) const ED25519: [&str; 2] =
        ["11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo", "nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A"];

    pub(in crate::tokens) fn decode(text: &str) -> Vec<u8> {
        URL_SAFE_NO_PAD.decode(text).unwrap()
    }

    pub(in crate::tokens) fn p256_public() -> Vec<u8> {
        [vec![4], decode(P256[0]), decode(P256[1])].concat()
    }

    pub(in crate::tokens) fn p256_pkcs8() -> Vec<u8> {
        const HEAD: &str = "308187020100301306072a8648ce3d020106082a8648ce3d030107046d306b0201010420";
        [hex(HEAD), decode(P256[2]), hex("a144034200"), p256_public()].concat()
    }

    pub(in crate::tokens) fn ed25519_pkcs8() -> Vec<u8> {
        [hex("3051020101300506032b657004220420"), decode(ED25519[1]), hex("812100"), decode(ED25519[0])].concat()
    }

    fn hex(digits: &str) -> Vec<u8> {
        (0..digits.len()).step_by(2).map(|at| u8::from_str_radix(&digits[at..at + 2], 16).unwrap()).collect()
    }
}

#[cfg(test)]
mod tests {
    use jsonwebtoken::crypto::{sign, verify};

    use super::*;

    const RFC7515_A3: &str = "eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q";
    const RFC8037_A4: &str = "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc.hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg";

    fn ec_public() -> DecodingKey {
        DecodingKey::from_ec_der(&examples::p256_public())
    }

    fn ed_public() -> DecodingKey {
        DecodingKey::from_ed_der(&examples::decode(examples::ED25519[0]))
    }

    #[test]
    fn tok1_the_es256_example_of_rfc_7515_verifies() {
        install().unwrap();
        let (message, signature) = RFC7515_A3.rsplit_once('.').unwrap();
        assert!(verify(signature, message.as_bytes(), &ec_public(), Algorithm::ES256).unwrap());
        assert!(!verify(signature, &message.as_bytes()[1..], &ec_public(), Algorithm::ES256).unwrap());
    }

    #[test]
    fn tok1_the_example_key_of_rfc_7515_signs_what_verifies() {
        install().unwrap();
        let private = EncodingKey::from_ec_der(&examples::p256_pkcs8());
        let signature = sign(b"message", &private, Algorithm::ES256).unwrap();
        assert!(verify(&signature, b"message", &ec_public(), Algorithm::ES256).unwrap());
        assert_eq!(examples::decode(&signature).len(), 64);
    }

    #[test]
    fn tok1_the_eddsa_example_of_rfc_8037_verifies_and_is_made_again() {
        install().unwrap();
        let (message, signature) = RFC8037_A4.rsplit_once('.').unwrap();
        assert!(verify(signature, message.as_bytes(), &ed_public(), Algorithm::EdDSA).unwrap());
        assert!(!verify(signature, b"other", &ed_public(), Algorithm::EdDSA).unwrap());
        let private = EncodingKey::from_ed_der(&examples::ed25519_pkcs8());
        assert_eq!(sign(message.as_bytes(), &private, Algorithm::EdDSA).unwrap(), signature);
    }

    #[test]
    fn tok1_every_other_algorithm_is_refused() {
        install().unwrap();
        let hmac = EncodingKey::from_secret(&examples::p256_public());
        assert!(sign(b"message", &hmac, Algorithm::HS256).is_err());
        let hmac = DecodingKey::from_secret(&examples::p256_public());
        assert!(verify("", b"message", &hmac, Algorithm::HS256).is_err());
        for algorithm in [Algorithm::HS256, Algorithm::ES384, Algorithm::RS256, Algorithm::PS256, Algorithm::EdDSA] {
            assert!(verify("", b"message", &ec_public(), algorithm).is_err(), "{algorithm:?}");
        }
        assert!(verify("", b"message", &ed_public(), Algorithm::ES256).is_err());
    }

    #[test]
    fn tok1_a_private_key_of_the_wrong_curve_does_not_sign() {
        install().unwrap();
        assert!(sign(b"message", &EncodingKey::from_ec_der(&examples::ed25519_pkcs8()), Algorithm::ES256).is_err());
        assert!(sign(b"message", &EncodingKey::from_ed_der(&examples::p256_pkcs8()), Algorithm::EdDSA).is_err());
        assert!(sign(b"message", &EncodingKey::from_ec_der(b"nonsense"), Algorithm::ES256).is_err());
    }

    #[test]
    fn installing_twice_is_fine() {
        install().unwrap();
        install().unwrap();
    }
}
