//! TLS with the certificate and key of two files, read again when they change.
//!
//! It makes no certificates and asks none of clients.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use rustls::crypto::ring;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{InconsistentKeys, ServerConfig};
use tokio::net::TcpStream;
use tokio::task::spawn_blocking;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::http::Report;

/// How long a client may take to agree on a key.
const HANDSHAKE_MAX: Duration = Duration::from_secs(10);
/// How long the files are taken to be as they were.
const CHECK_EVERY: Duration = Duration::from_secs(2);
/// The largest file that is read, in bytes.
const FILE_BYTES_MAX: u64 = 1024 * 1024;

/// What is wrong with a certificate or its key: what, in which file, and what to do.
#[derive(Debug)]
pub struct CertificateFault(String);

impl fmt::Display for CertificateFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for CertificateFault {}

/// A certificate with its key, as its files say.
#[derive(Clone)]
pub struct Certificate {
    files: Arc<Files>,
    acceptor: TlsAcceptor,
}

impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Certificate({})", self.files.certificate.display())
    }
}

impl Certificate {
    /// Of two PEM files: the server's certificate with those between it and an authority behind it, and
    /// its key.
    pub fn read(certificate: &Path, key: &Path) -> Result<Self, CertificateFault> {
        let stamp = stamp(certificate, key);
        let now = Now { usable: usable(certificate, key)?, stamp, looked_at: Instant::now() };
        let (certificate, key) = (certificate.to_owned(), key.to_owned());
        let files = Arc::new(Files { certificate, key, now: Mutex::new(now) });
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|e| CertificateFault(format!("no encryption can be set up: {e}")))?;
        let resolver: Arc<dyn ResolvesServerCert> = files.clone();
        let mut config = config.with_no_client_auth().with_cert_resolver(resolver);
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self { files, acceptor: TlsAcceptor::from(Arc::new(config)) })
    }

    /// Agrees on a key with a client; `None` where that fails or takes too long.
    pub(super) async fn accept(
        &self,
        stream: TcpStream,
        report: &Report,
    ) -> Option<TlsStream<TcpStream>> {
        self.look(report).await;
        timeout(HANDSHAKE_MAX, self.acceptor.accept(stream)).await.ok()?.ok()
    }

    /// Takes up files that were changed. What cannot be used is reported, and what was used stays.
    async fn look(&self, report: &Report) {
        if !self.files.is_due() {
            return;
        }
        let (files, report) = (Arc::clone(&self.files), report.clone());
        // Without it, what was used stays as well.
        let _ = spawn_blocking(move || files.look(&report)).await;
    }
}

/// Size and time of change of both files.
type Stamp = [Option<(u64, SystemTime)>; 2];

struct Files {
    certificate: PathBuf,
    key: PathBuf,
    now: Mutex<Now>,
}

struct Now {
    usable: Arc<CertifiedKey>,
    /// Of the files when they were last read, whether they could be used or not.
    stamp: Stamp,
    looked_at: Instant,
}

impl fmt::Debug for Files {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Files({})", self.certificate.display())
    }
}

impl ResolvesServerCert for Files {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.now().usable))
    }
}

impl Files {
    fn now(&self) -> MutexGuard<'_, Now> {
        // It is whole between any two statements.
        self.now.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether it is time to look; to one who asks, for all.
    fn is_due(&self) -> bool {
        let mut now = self.now();
        let is_due = now.looked_at.elapsed() >= CHECK_EVERY;
        if is_due {
            now.looked_at = Instant::now();
        }
        is_due
    }

    fn look(&self, report: &Report) {
        let stamp = stamp(&self.certificate, &self.key);
        if stamp == self.now().stamp {
            return;
        }
        let read = usable(&self.certificate, &self.key);
        let mut now = self.now();
        now.stamp = stamp;
        match read {
            Ok(usable) => now.usable = usable,
            Err(fault) => {
                drop(now);
                report.warn(
                    "the certificate was changed and cannot be used; the last one stays",
                    &fault,
                );
            }
        }
    }
}

fn stamp(certificate: &Path, key: &Path) -> Stamp {
    [certificate, key].map(|file| {
        let about = std::fs::metadata(file).ok()?;
        Some((about.len(), about.modified().ok()?))
    })
}

fn usable(certificate: &Path, key: &Path) -> Result<Arc<CertifiedKey>, CertificateFault> {
    let chain = chain(certificate)?;
    let secret = secret(key)?;
    let provider = ring::default_provider();
    let fitting = CertifiedKey::from_der(chain, secret, &provider).map_err(|fault| {
        let (certificate, key) = (certificate.display(), key.display());
        let advice =
            "name the two files that were made together by `[server] tls_cert` and `tls_key`";
        let mismatch = rustls::Error::InconsistentKeys(InconsistentKeys::KeyMismatch);
        CertificateFault(if fault == mismatch {
            format!("the key in {key} is not that of the certificate in {certificate}; {advice}")
        } else {
            format!("{certificate} and {key} cannot be used together: {fault}; {advice}")
        })
    })?;
    Ok(Arc::new(fitting))
}

fn chain(file: &Path) -> Result<Vec<CertificateDer<'static>>, CertificateFault> {
    let advice = "`[server] tls_cert` names a PEM file that begins with the server's certificate";
    let text = text(file, advice)?;
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
    let chain = chain.map_err(|fault| unusable(file, "certificate", &fault, advice))?;
    if chain.is_empty() {
        return Err(unusable(file, "certificate", &pem::Error::NoItemsFound, advice));
    }
    Ok(chain)
}

fn secret(file: &Path) -> Result<PrivateKeyDer<'static>, CertificateFault> {
    let advice = "`[server] tls_key` names a PEM file with the certificate's key, not encrypted";
    let text = text(file, advice)?;
    PrivateKeyDer::from_pem_slice(&text).map_err(|fault| unusable(file, "key", &fault, advice))
}

fn text(file: &Path, advice: &str) -> Result<Vec<u8>, CertificateFault> {
    let size = std::fs::metadata(file).map(|about| about.len());
    let read = size.and_then(|size| {
        if size > FILE_BYTES_MAX {
            return Err(std::io::Error::other(format!("it has more than {FILE_BYTES_MAX} bytes")));
        }
        std::fs::read(file)
    });
    let wrong = |cause| format!("{} cannot be read: {cause}; {advice}", file.display());
    read.map_err(|cause| CertificateFault(wrong(cause)))
}

fn unusable(file: &Path, what: &str, fault: &pem::Error, advice: &str) -> CertificateFault {
    let file = file.display();
    CertificateFault(if matches!(fault, pem::Error::NoItemsFound) {
        format!("{file} holds no {what}; {advice}")
    } else {
        format!("the {what} in {file} cannot be read: {fault}; {advice}")
    })
}
