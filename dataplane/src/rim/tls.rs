//! Who we are to peers that connect by TLS, and whom we believe when we do.
//!
//! A peer that asks for a name (SNI) is shown the certificate that has it, everybody else the first; so is a
//! peer that we connect to, if it asks who we are (RFC 3261 §26.3.1). All
//! files are read again when one of them changes, without a connection noticing; what cannot be used leaves
//! what was there before in force.
//!
//! The handshakes of those who connect to us cost time and prove nothing: they have a thread of their own, so
//! that a flood of them holds up other handshakes and no call.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use config::{Clients, Verify};
use link::order::Proof;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{ResolvesClientCert, verify_server_name};
use rustls::crypto::{CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{ClientHello, ParsedCertificate, ResolvesServerCert, WebPkiClientVerifier};
use rustls::sign::CertifiedKey;
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, ServerConfig, SignatureScheme};
use tokio::net::TcpStream;
use tokio::runtime::{self, Runtime};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_rustls::{TlsAcceptor, TlsConnector, client, server};

use super::counter::{StreamCounter, Tally};

/// How often the files are looked at.
const LOOK: Duration = Duration::from_secs(1);

/// Where certificates, keys and authorities lie.
#[derive(Clone, Debug, Default)]
pub struct TlsFiles {
    /// Our certificate and its key, if there is one.
    pub identity: Option<(PathBuf, PathBuf)>,
    /// Certificates for other names of ours, each with its key in one file.
    pub more: Vec<PathBuf>,
    /// Who vouches for peers.
    pub authorities: PathBuf,
    /// Whether peers that we connect to must prove who they are, where nothing else is said of them.
    pub verify: Verify,
    /// Whether peers that connect to us must.
    pub clients: Clients,
}

/// What tells a file from an older one of its name.
type Stamp = Option<(SystemTime, u64)>;

/// The thread of handshakes. The sockets stay those of their own runtime.
pub(super) fn handshakes() -> io::Result<Runtime> {
    runtime::Builder::new_multi_thread().worker_threads(1).thread_name("rim-handshakes").build()
}

/// TLS of all connections.
#[derive(Clone)]
pub struct Tls {
    files: TlsFiles,
    /// The files as they were before they were read.
    opened: Vec<Stamp>,
    server: watch::Sender<Option<Arc<ServerConfig>>>,
    client: watch::Sender<Callers>,
}

/// How we connect to peers.
#[derive(Clone)]
struct Callers {
    /// To those who must prove who they are.
    demanding: Arc<ClientConfig>,
    /// To anybody.
    trusting: Arc<ClientConfig>,
}

impl Tls {
    /// Reads all that there is. Authorities that cannot be read vouch for nobody.
    ///
    /// # Errors
    /// When a certificate or key cannot be used; names the file.
    pub fn open(files: TlsFiles) -> io::Result<Self> {
        // Before they are read: what changes in that moment is read again, not missed.
        let opened = files.stamps();
        let server = watch::Sender::new(files.server()?);
        let client = watch::Sender::new(files.callers(roots(&files.authorities).0)?);
        Ok(Self { files, opened, server, client })
    }

    /// No certificate, and nobody is believed.
    ///
    /// # Errors
    /// When the cryptography does not start.
    pub fn none() -> io::Result<Self> {
        Self::open(TlsFiles::default())
    }

    /// The handshake of a peer that connected, worked on elsewhere and given up with this future.
    pub(super) async fn accept(
        &self,
        socket: TcpStream,
        handshakes: &runtime::Handle,
    ) -> Option<server::TlsStream<TcpStream>> {
        let config = self.server.borrow().clone()?;
        let mut work = JoinSet::new();
        work.spawn_on(async { TlsAcceptor::from(config).accept(socket).await.ok() }, handshakes);
        work.join_next().await?.ok()?
    }

    /// The handshake with a peer that we connected to, who is called so and must prove it, or need not.
    pub(super) async fn connect(
        &self,
        (name, proof): (ServerName<'static>, Proof),
        socket: TcpStream,
    ) -> Option<client::TlsStream<TcpStream>> {
        let Callers { demanding, trusting } = self.client.borrow().clone();
        let config = match (proof, self.files.verify) {
            (Proof::Demanded, _) | (Proof::Usual, Verify::Yes) => demanding,
            (Proof::Waived, _) | (Proof::Usual, Verify::No) => trusting,
        };
        TlsConnector::from(config).connect(name, socket).await.ok()
    }

    /// Reads everything again whenever one of the files has changed.
    pub(super) async fn keep_fresh(self, tally: Arc<Tally>) {
        let mut known = self.opened.clone();
        let mut doubt = None;
        loop {
            tokio::time::sleep(LOOK).await;
            let files = self.files.clone();
            // A slow disk holds nobody up.
            let Ok(now) = tokio::task::spawn_blocking(move || files.stamps()).await else { return };
            if now != known {
                known = now;
                doubt = self.read_again(&tally).await.err();
            } else if let Some(error) = doubt.take() {
                // One file may be new while the other is not yet: only what stays so is a mistake.
                tally.add(StreamCounter::TlsRefused);
                eprintln!("tls_certificate_refused reason=\"{error}\"");
            }
        }
    }

    /// Takes over what can be used of the files.
    async fn read_again(&self, tally: &Tally) -> io::Result<()> {
        let files = self.files.clone();
        // A slow disk holds nobody up.
        let read = tokio::task::spawn_blocking(move || (files.server(), files.client())).await;
        let (server, client) = read.map_err(io::Error::other)?;
        let mut refused = None;
        match server {
            Ok(server) => drop(self.server.send_replace(server)),
            Err(error) => refused = Some(error),
        }
        match client {
            Ok(client) => drop(self.client.send_replace(client)),
            Err(error) => refused = Some(error),
        }
        if let Some(error) = refused {
            return Err(error);
        }
        tally.add(StreamCounter::TlsRead);
        eprintln!("tls_certificate_read");
        Ok(())
    }
}

impl TlsFiles {
    fn stamps(&self) -> Vec<Stamp> {
        let identity = self.identity.iter().flat_map(|(certificate, key)| [certificate, key]);
        let mut stamps = Vec::new();
        for path in identity.chain(&self.more).chain([&self.authorities]) {
            let found = std::fs::metadata(path).ok();
            stamps.push(found.and_then(|found| Some((found.modified().ok()?, found.len()))));
        }
        stamps
    }

    fn identities(&self) -> io::Result<Identities> {
        let first = self.identity.iter().map(|(certificate, key)| (certificate, key));
        let pairs = first.chain(self.more.iter().map(|both| (both, both)));
        let keys = pairs.map(|(certificate, key)| certified(certificate, key));
        Ok(Identities(keys.collect::<io::Result<_>>()?))
    }

    fn server(&self) -> io::Result<Option<Arc<ServerConfig>>> {
        if self.identity.is_none() {
            return Ok(None);
        }
        let identities = Arc::new(self.identities()?);
        let builder = ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .map_err(io::Error::other)?;
        let builder = match self.client_verifier()? {
            Some(verifier) => builder.with_client_cert_verifier(verifier),
            None => builder.with_no_client_auth(),
        };
        Ok(Some(Arc::new(builder.with_cert_resolver(identities))))
    }

    fn client_verifier(&self) -> io::Result<Option<Arc<dyn ClientCertVerifier>>> {
        if self.clients == Clients::Unasked {
            return Ok(None);
        }
        let roots = Arc::new(some_roots(&self.authorities)?);
        let builder = WebPkiClientVerifier::builder_with_provider(roots, provider());
        let builder = match self.clients {
            Clients::Unasked | Clients::Asked => builder.allow_unauthenticated(),
            Clients::Proven => builder,
        };
        Ok(Some(builder.build().map_err(named(&self.authorities))?))
    }

    fn client(&self) -> io::Result<Callers> {
        let roots = match self.verify {
            Verify::Yes => some_roots(&self.authorities)?,
            // Whoever verifies nobody need not have authorities.
            Verify::No => roots(&self.authorities).0,
        };
        self.callers(roots)
    }

    fn callers(&self, roots: RootCertStore) -> io::Result<Callers> {
        let own = Arc::new(self.identities()?);
        Ok(Callers {
            demanding: Arc::new(client_config(Some(roots), Arc::clone(&own))?),
            trusting: Arc::new(client_config(None, own)?),
        })
    }
}

/// Who we are, by the names that are asked for.
#[derive(Debug)]
struct Identities(Vec<Arc<CertifiedKey>>);

impl ResolvesServerCert for Identities {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let name = hello.server_name().and_then(|name| ServerName::try_from(name).ok());
        let has_it = |key: &&Arc<CertifiedKey>| {
            let certificate = key.end_entity_cert().ok();
            let certificate = certificate.and_then(|it| ParsedCertificate::try_from(it).ok());
            let pair = certificate.zip(name.as_ref());
            pair.is_some_and(|(certificate, name)| verify_server_name(&certificate, name).is_ok())
        };
        self.0.iter().find(has_it).or(self.0.first()).cloned()
    }
}

impl ResolvesClientCert for Identities {
    fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        self.0.first().cloned()
    }

    fn has_certs(&self) -> bool {
        !self.0.is_empty()
    }
}

fn certified(certificate: &Path, key: &Path) -> io::Result<Arc<CertifiedKey>> {
    let chain: Vec<_> = CertificateDer::pem_file_iter(certificate)
        .and_then(Iterator::collect)
        .map_err(named(certificate))?;
    let private = PrivateKeyDer::from_pem_file(key).map_err(named(key))?;
    let key = CertifiedKey::from_der(chain, private, &provider()).map_err(named(certificate))?;
    Ok(Arc::new(key))
}

/// The authorities of a file, of which there must be some.
fn some_roots(path: &Path) -> io::Result<RootCertStore> {
    match roots(path) {
        (roots, _) if !roots.is_empty() => Ok(roots),
        (_, Some(error)) => Err(error),
        (_, None) => Err(named(path)("holds no certificate of an authority")),
    }
}

/// The authorities of a file, and what was wrong with it, if anything was.
fn roots(path: &Path) -> (RootCertStore, Option<io::Error>) {
    let mut roots = RootCertStore::empty();
    let mut wrong = None;
    match CertificateDer::pem_file_iter(path) {
        Ok(found) => {
            for certificate in found {
                match certificate {
                    // Some authority of a long list is too strange to be read: it vouches for nobody.
                    Ok(certificate) => drop(roots.add(certificate)),
                    Err(error) => wrong = Some(named(path)(error)),
                }
            }
        }
        Err(error) => wrong = Some(named(path)(error)),
    }
    (roots, wrong)
}

fn named<E: std::fmt::Display>(path: &Path) -> impl Fn(E) -> io::Error {
    move |error| io::Error::other(format!("{}: {error}", path.display()))
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}

fn client_config(roots: Option<RootCertStore>, own: Arc<Identities>) -> io::Result<ClientConfig> {
    let builder = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?;
    let builder = match roots {
        // Without authorities nobody is believed; who wants to be called by TLS sees why by the counter.
        Some(roots) => builder.with_root_certificates(roots),
        None => {
            let anybody = Arc::new(Anybody(provider()));
            builder.dangerous().with_custom_certificate_verifier(anybody)
        }
    };
    Ok(builder.with_client_cert_resolver(own))
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

#[cfg(test)]
mod tests {
    use rustls::{ClientConnection, StreamOwned};

    use super::*;

    #[test]
    fn handshakes_that_wait_for_their_thread_hold_up_nothing_else() {
        let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
        let folder = std::env::temp_dir().join(format!("tghard-{}-handshakes", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let file = folder.join("both.pem");
        let both = [made.cert.pem(), made.signing_key.serialize_pem()].concat();
        std::fs::write(&file, both).unwrap();
        let identity = Some((file.clone(), file));
        let tls = Tls::open(TlsFiles { identity, ..TlsFiles::default() }).unwrap();
        std::fs::remove_dir_all(folder).unwrap();

        let handshakes = handshakes().unwrap();
        let (release, held) = std::sync::mpsc::channel();
        handshakes.spawn(async move { held.recv() });
        let here = runtime::Builder::new_current_thread().enable_all().build().unwrap();
        here.block_on(async {
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
            let door = listener.local_addr().unwrap();
            let config = client_config(None, Arc::new(Identities(Vec::new()))).unwrap();
            let peer = std::thread::spawn(move || {
                let name = ServerName::try_from("localhost").unwrap();
                let client = ClientConnection::new(Arc::new(config), name).unwrap();
                let socket = std::net::TcpStream::connect(door).unwrap();
                let mut stream = StreamOwned::new(client, socket);
                stream.conn.complete_io(&mut stream.sock).is_ok()
            });
            let (socket, _) = listener.accept().await.unwrap();
            let accepting = tls.accept(socket, handshakes.handle());
            tokio::pin!(accepting);
            let soon = Duration::from_millis(300);
            assert!(tokio::time::timeout(soon, &mut accepting).await.is_err());
            release.send(()).unwrap();
            assert!(accepting.await.is_some());
            assert!(peer.join().unwrap());
        });
    }
}
