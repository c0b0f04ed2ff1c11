//! TLS to a database server: rustls with ring, verified unless the URL says otherwise.

use std::path::Path;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};

use super::loopback::is_loopback;
use crate::Error;

/// How much a connection insists on TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    /// Never.
    Disable,
    /// If the server has it; nobody is verified.
    Prefer,
    /// Always, but the server is not verified.
    Require,
    /// Always, with a certificate for this host from a known authority.
    VerifyFull,
}

impl Mode {
    /// Reads the mode that a URL asks for; by default a server elsewhere is verified.
    pub(super) fn parse(text: Option<&str>, host: Option<&str>) -> Result<Self, Error> {
        let Some(text) = text else {
            return Ok(if is_loopback(host) { Mode::Prefer } else { Mode::VerifyFull });
        };
        match text.to_ascii_lowercase().replace('_', "-").as_str() {
            "disable" | "disabled" => Ok(Mode::Disable),
            "prefer" | "preferred" => Ok(Mode::Prefer),
            "require" | "required" => Ok(Mode::Require),
            // Without the name of the host, any certificate of the authority would do.
            "verify-full" | "verify-ca" | "verify-identity" => Ok(Mode::VerifyFull),
            other => Err(Error::Url(format!("`{other}` is no TLS mode; use disable, prefer, require or verify-full"))),
        }
    }
}

/// Takes named parameters out of a URL's query: the driver must not see them.
pub(super) fn take<const N: usize>(url: &url::Url, names: [&str; N]) -> (url::Url, [Option<String>; N]) {
    let mut found = [const { None }; N];
    let mut rest = Vec::new();
    for (name, value) in url.query_pairs() {
        match names.iter().position(|known| *known == name) {
            Some(index) => found[index] = Some(value.into_owned()),
            None => rest.push((name.into_owned(), value.into_owned())),
        }
    }
    let mut url = url.clone();
    if rest.is_empty() {
        url.set_query(None);
    } else {
        url.query_pairs_mut().clear().extend_pairs(rest);
    }
    (url, found)
}

/// The client's side of TLS, verified by the system's authorities or those in a file.
pub(super) fn client(mode: Mode, roots: Option<&Path>) -> Result<ClientConfig, Error> {
    let provider = Arc::new(ring::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| Error::Other(format!("TLS cannot be set up: {error}")))?;
    if mode == Mode::VerifyFull {
        return Ok(builder.with_root_certificates(root_store(roots)?).with_no_client_auth());
    }
    let verifier = Arc::new(Unverified { provider });
    Ok(builder.dangerous().with_custom_certificate_verifier(verifier).with_no_client_auth())
}

fn root_store(file: Option<&Path>) -> Result<RootCertStore, Error> {
    let mut store = RootCertStore::empty();
    let Some(path) = file else {
        store.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        return Ok(store);
    };
    let unreadable = |error: &dyn std::fmt::Display| Error::Url(format!("cannot read the authorities in {}: {error}", path.display()));
    let certificates = CertificateDer::pem_file_iter(path).map_err(|error| unreadable(&error))?;
    for certificate in certificates {
        let certificate = certificate.map_err(|error| unreadable(&error))?;
        store.add(certificate).map_err(|error| unreadable(&error))?;
    }
    Ok(store)
}

/// The MySQL driver takes the process's provider; there must be one, and one only.
pub(super) fn ensure_process_provider() {
    if CryptoProvider::get_default().is_none() {
        // Somebody else may be faster; theirs is as good.
        drop(ring::default_provider().install_default());
    }
}

/// Encrypts without knowing to whom, as `require` means it.
#[derive(Debug)]
struct Unverified {
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Unverified {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signature, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signature, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_elsewhere_is_verified_by_default() {
        assert_eq!(Mode::parse(None, Some("db.example.com")).ok(), Some(Mode::VerifyFull));
        assert_eq!(Mode::parse(None, Some("127.0.0.1")).ok(), Some(Mode::Prefer));
        assert_eq!(Mode::parse(Some("VERIFY_IDENTITY"), Some("127.0.0.1")).ok(), Some(Mode::VerifyFull));
        assert!(Mode::parse(Some("maybe"), None).is_err());
    }

    #[test]
    fn our_parameters_are_hidden_from_the_driver() {
        let url = url::Url::parse("postgres://u:p@h/d?sslmode=require&connect_timeout=3").unwrap();
        let (rest, [mode, roots]) = take(&url, ["sslmode", "sslrootcert"]);
        assert_eq!(rest.as_str(), "postgres://u:p@h/d?connect_timeout=3");
        assert_eq!((mode.as_deref(), roots), (Some("require"), None));
    }

    #[test]
    fn a_client_can_be_made_for_every_mode() {
        for mode in [Mode::Prefer, Mode::Require, Mode::VerifyFull] {
            assert!(client(mode, None).is_ok(), "{mode:?}");
        }
        assert!(matches!(client(Mode::VerifyFull, Some(Path::new("/does/not/exist.pem"))), Err(Error::Url(_))));
    }
}
