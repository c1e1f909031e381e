//! Who we are to peers that connect by TLS, and whom we believe when we do.
//!
//! The certificate is read again when its files change, without a connection noticing; one that cannot
//! be used leaves the old one in force.

use std::io;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, ServerConfig, SignatureScheme};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio_rustls::{TlsAcceptor, TlsConnector, client, server};

/// How often the files are looked at.
const LOOK: Duration = Duration::from_secs(1);

/// Where a certificate and its key lie.
#[derive(Clone, Debug)]
struct Files {
    certificate: PathBuf,
    key: PathBuf,
}

/// What tells a file from an older one of its name.
type Stamp = Option<(SystemTime, u64)>;

/// TLS of all connections.
#[derive(Clone)]
pub struct Tls {
    files: Option<Files>,
    identity: watch::Sender<Option<Arc<ServerConfig>>>,
    client: Arc<ClientConfig>,
}

impl Tls {
    /// Reads `identity`, a certificate and its key, if there is one. Peers that we connect to must be vouched
    /// for by one of `authorities`; `None`: anybody is believed.
    ///
    /// # Errors
    /// When a certificate or key cannot be used; names the file.
    pub fn open(identity: Option<(&Path, &Path)>, authorities: Option<&Path>) -> io::Result<Self> {
        let files = identity.map(|(certificate, key)| Files {
            certificate: certificate.to_owned(),
            key: key.to_owned(),
        });
        let server = files.as_ref().map(Files::read).transpose()?;
        let client = Arc::new(client_config(authorities)?);
        Ok(Self { files, identity: watch::Sender::new(server), client })
    }

    /// No certificate, and nobody is believed.
    ///
    /// # Errors
    /// When the cryptography does not start.
    pub fn none() -> io::Result<Self> {
        let client = Arc::new(client_config(Some(Path::new("")))?);
        Ok(Self { files: None, identity: watch::Sender::new(None), client })
    }

    /// The handshake of a peer that connected.
    pub(super) async fn accept(&self, socket: TcpStream) -> Option<server::TlsStream<TcpStream>> {
        let config = self.identity.borrow().clone()?;
        TlsAcceptor::from(config).accept(socket).await.ok()
    }

    /// The handshake with a peer that we connected to. We know it by its address alone.
    pub(super) async fn connect(
        &self,
        peer: IpAddr,
        socket: TcpStream,
    ) -> Option<client::TlsStream<TcpStream>> {
        let name = ServerName::IpAddress(peer.into());
        TlsConnector::from(Arc::clone(&self.client)).connect(name, socket).await.ok()
    }

    /// Reads the certificate again whenever its files have changed.
    pub(super) async fn keep_fresh(self) {
        let Some(files) = self.files else { return };
        let mut known = files.stamps().await;
        loop {
            tokio::time::sleep(LOOK).await;
            let now = files.stamps().await;
            if now == known {
                continue;
            }
            known = now;
            let reading = files.clone();
            // A slow disk holds nobody up.
            let read = tokio::task::spawn_blocking(move || reading.read()).await;
            match read.unwrap_or_else(|error| Err(io::Error::other(error))) {
                Ok(config) => {
                    self.identity.send_replace(Some(config));
                    eprintln!("tls_certificate_read file={}", files.certificate.display());
                }
                // One file may be new while the other is not yet: its turn comes.
                Err(error) => eprintln!("tls_certificate_refused reason=\"{error}\""),
            }
        }
    }
}

impl Files {
    async fn stamps(&self) -> [Stamp; 2] {
        let mut stamps = [None; 2];
        for (stamp, path) in stamps.iter_mut().zip([&self.certificate, &self.key]) {
            let found = tokio::fs::metadata(path).await.ok();
            *stamp = found.and_then(|found| Some((found.modified().ok()?, found.len())));
        }
        stamps
    }

    fn read(&self) -> io::Result<Arc<ServerConfig>> {
        let chain: Vec<_> = CertificateDer::pem_file_iter(&self.certificate)
            .and_then(Iterator::collect)
            .map_err(named(&self.certificate))?;
        let key = PrivateKeyDer::from_pem_file(&self.key).map_err(named(&self.key))?;
        let config = ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .map_err(io::Error::other)?
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .map_err(named(&self.certificate))?;
        Ok(Arc::new(config))
    }
}

fn named<E: std::fmt::Display>(path: &Path) -> impl Fn(E) -> io::Error {
    move |error| io::Error::other(format!("{}: {error}", path.display()))
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}

fn client_config(authorities: Option<&Path>) -> io::Result<ClientConfig> {
    let builder = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?;
    let Some(path) = authorities else {
        let anybody = Arc::new(Anybody(provider()));
        return Ok(builder
            .dangerous()
            .with_custom_certificate_verifier(anybody)
            .with_no_client_auth());
    };
    let mut roots = RootCertStore::empty();
    // Without authorities nobody is believed; who wants to be called by TLS sees why by the counter.
    for certificate in CertificateDer::pem_file_iter(path).into_iter().flatten().flatten() {
        let _ = roots.add(certificate);
    }
    Ok(builder.with_root_certificates(roots).with_no_client_auth())
}

/// Believes anybody, as the operator asked (`tls_verify = "no"`): what is said is hidden, to whom is not known.
#[derive(Debug)]
struct Anybody(Arc<CryptoProvider>);

impl ServerCertVerifier for Anybody {
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
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
