//! Whether a connection to a server is encrypted, and what is asked of the server's certificate.
//!
//! It has no cryptography of its own, and there is no way to speak in the clear beyond this machine.

use std::fmt::Display;
use std::net::IpAddr;
use std::sync::Arc;

use baton_engine::store::StoreError;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{
    ClientConfig, ConfigBuilder, DigitallySignedStruct, RootCertStore, SignatureScheme,
    WantsVerifier,
};
use tokio_postgres::Config;
use tokio_postgres::config::{Host, SslMode};

/// How a connection is made.
#[derive(Clone, Debug)]
pub(crate) enum Encryption {
    /// In the clear: it does not leave this machine.
    Plain,
    /// Encrypted.
    Tls(Arc<ClientConfig>),
}

/// What a URL says of encryption, as libpq names it.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Asked<'url> {
    /// `sslmode`.
    pub mode: Option<&'url str>,
    /// `sslrootcert`: a PEM file of the authorities to trust instead of this system's.
    pub roots: Option<&'url str>,
}

impl Encryption {
    /// Decides for this server, and tells the driver.
    pub fn of(asked: Asked<'_>, config: &mut Config) -> Result<Self, StoreError> {
        let beyond = beyond_this_machine(config);
        let mode = asked.mode.or(asked.roots.or(beyond.as_deref()).map(|_| "verify-full"));
        let encryption = match (mode, beyond) {
            (Some("verify-full"), _) => Self::Tls(verified(asked.roots)?),
            (Some("require"), _) if asked.roots.is_some() => {
                return Err(refused("`sslrootcert` goes with `sslmode=verify-full`"));
            }
            (Some("require"), _) => Self::Tls(unverified()?),
            (None | Some("disable" | "prefer"), None) => Self::Plain,
            (None | Some("disable" | "prefer"), Some(host)) => {
                return Err(refused(format!(
                    "the PostgreSQL server {host} is not this machine, and the connection to it \
                     must be encrypted: leave `sslmode` out, or write `sslmode=verify-full`"
                )));
            }
            (Some(other), _) => {
                return Err(refused(format!(
                    "`sslmode={other}` is not known here; use `verify-full`, `require` (which \
                     encrypts and trusts any certificate), or `disable` on this machine"
                )));
            }
        };
        config.ssl_mode(match encryption {
            Self::Plain => SslMode::Disable,
            Self::Tls(_) => SslMode::Require,
        });
        Ok(encryption)
    }
}

/// The first of the servers that is not this machine.
fn beyond_this_machine(config: &Config) -> Option<String> {
    let named = config.get_hosts().iter().find_map(|host| match host {
        Host::Unix(_) => None,
        Host::Tcp(name) => {
            let here =
                name == "localhost" || name.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback());
            (!here).then(|| format!("`{name}`"))
        }
    });
    let address = config.get_hostaddrs().iter().find(|ip| !ip.is_loopback());
    named.or(address.map(IpAddr::to_string))
}

fn refused(what: impl Display) -> StoreError {
    StoreError::Unavailable(what.to_string())
}

/// The server must have a certificate for its name, from an authority that is trusted.
fn verified(roots: Option<&str>) -> Result<Arc<ClientConfig>, StoreError> {
    let mut trusted = RootCertStore::empty();
    match roots {
        Some(file) => {
            let unreadable = |e| refused(format!("`sslrootcert={file}` cannot be used: {e}"));
            for certificate in CertificateDer::pem_file_iter(file).map_err(unreadable)? {
                let certificate = certificate.map_err(unreadable)?;
                let unusable = |e| refused(format!("`sslrootcert={file}` cannot be used: {e}"));
                trusted.add(certificate).map_err(unusable)?;
            }
        }
        // What of the system's cannot be read is not trusted, and then said by the handshake.
        None => {
            let found = rustls_native_certs::load_native_certs().certs;
            trusted.add_parsable_certificates(found);
        }
    }
    if trusted.is_empty() {
        let place = roots.map_or("this system".to_owned(), |file| format!("`{file}`"));
        return Err(refused(format!(
            "{place} has no certificate of an authority to trust; name a PEM file with \
             `sslrootcert=FILE`"
        )));
    }
    Ok(Arc::new(builder()?.with_root_certificates(trusted).with_no_client_auth()))
}

/// Encrypts and trusts any certificate: safe from those who listen, not from those who interpose.
fn unverified() -> Result<Arc<ClientConfig>, StoreError> {
    let verifier = Arc::new(AnyCertificate(provider()));
    let config = builder()?.dangerous().with_custom_certificate_verifier(verifier);
    Ok(Arc::new(config.with_no_client_auth()))
}

fn builder() -> Result<ConfigBuilder<ClientConfig, WantsVerifier>, StoreError> {
    ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(|e| refused(format!("no encryption can be set up: {e}")))
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

/// Takes any certificate whose key the server has.
#[derive(Debug)]
struct AnyCertificate(Arc<CryptoProvider>);

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let known = &self.0.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signed, known)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let known = &self.0.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signed, known)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
