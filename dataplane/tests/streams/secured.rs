//! TLS, both ways.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use config::{Clients, Verify};
use dataplane::rim::{StreamCounter, Tls, TlsFiles};
use dataplane::worker::Kind;
use link::endpoint::Transport;
use link::order::{Parameters, Proof};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::server::WebPkiClientVerifier;
use rustls::{ClientConfig, ClientConnection, RootCertStore, ServerConfig, StreamOwned};
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::{self, Message};

use crate::world::*;

/// A certificate of 127.0.0.1 that vouches for itself, and its files.
struct Identity {
    folder: PathBuf,
    certificate: String,
    key: String,
}

impl Identity {
    fn new(name: &str) -> Self {
        Self::of(name, "127.0.0.1")
    }

    /// Of another name.
    fn of(name: &str, subject: &str) -> Self {
        let made = rcgen::generate_simple_self_signed(vec![subject.to_owned()]).unwrap();
        let folder = scratch(name);
        std::fs::create_dir_all(&folder).unwrap();
        let (certificate, key) = (made.cert.pem(), made.signing_key.serialize_pem());
        let identity = Self { folder, certificate, key };
        identity.write();
        identity
    }

    fn write(&self) {
        std::fs::write(self.folder.join("key.pem"), &self.key).unwrap();
        std::fs::write(self.folder.join("chain.pem"), &self.certificate).unwrap();
    }

    fn chain(&self) -> Vec<CertificateDer<'static>> {
        vec![CertificateDer::from_pem_slice(self.certificate.as_bytes()).unwrap()]
    }

    fn private(&self) -> PrivateKeyDer<'static> {
        PrivateKeyDer::from_pem_slice(self.key.as_bytes()).unwrap()
    }

    /// Who believes this certificate and no other.
    fn roots(&self) -> Arc<RootCertStore> {
        let mut roots = RootCertStore::empty();
        roots.add(self.chain().remove(0)).unwrap();
        Arc::new(roots)
    }

    fn file(&self) -> PathBuf {
        self.folder.join("chain.pem")
    }

    fn files(&self) -> TlsFiles {
        let identity = Some((self.file(), self.folder.join("key.pem")));
        TlsFiles { identity, authorities: self.file(), ..TlsFiles::default() }
    }

    fn open(&self) -> Tls {
        Tls::open(self.files()).unwrap()
    }

    /// A client that believes this certificate and no other.
    fn connect(
        &self,
        world: &World,
        transport: Transport,
    ) -> StreamOwned<ClientConnection, TcpStream> {
        let mut roots = RootCertStore::empty();
        roots.add(self.chain().remove(0)).unwrap();
        let config = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
        self.connect_to("127.0.0.1", config, world, transport)
    }

    fn connect_to(
        &self,
        name: &'static str,
        config: ClientConfig,
        world: &World,
        transport: Transport,
    ) -> StreamOwned<ClientConnection, TcpStream> {
        let name = ServerName::try_from(name).unwrap();
        let client = ClientConnection::new(Arc::new(config), name).unwrap();
        StreamOwned::new(client, connect(world.at(transport)))
    }

    /// A vendor's side of one connection.
    fn accept(&self, vendor: &TcpListener) -> StreamOwned<rustls::ServerConnection, TcpStream> {
        let key = PrivateKeyDer::from_pem_slice(self.key.as_bytes()).unwrap();
        let config = ServerConfig::builder().with_no_client_auth();
        let config = config.with_single_cert(self.chain(), key).unwrap();
        let server = rustls::ServerConnection::new(Arc::new(config)).unwrap();
        let (stream, _) = vendor.accept().unwrap();
        stream.set_read_timeout(Some(SOON)).unwrap();
        StreamOwned::new(server, stream)
    }
}

impl Drop for Identity {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

#[test]
fn slow_handshakes_delay_no_fast_one_and_end_by_the_clock() {
    let identity = Identity::new("slow");
    let mut world = World::with_tls(hasty(), identity.open());
    let door = world.at(Transport::Tls);
    let slow: Vec<_> = (0..50).map(|_| connect(door)).collect();
    for mut slow in &slow {
        // The front of a ClientHello.
        slow.write_all(&[22, 3, 1, 2, 0, 1]).unwrap();
    }
    let begun = Instant::now();
    let mut fast: Vec<_> = (0..10).map(|_| identity.connect(&world, Transport::Tls)).collect();
    world.while_peer(|| fast.iter_mut().for_each(|peer| ask(peer, 1)));
    assert!(begun.elapsed() < AT_ONCE);
    assert_eq!(world.count(StreamCounter::HandshakeFailed), 0);
    world.counts(StreamCounter::HandshakeFailed, 50);
    // Those who finished theirs are still there.
    world.while_peer(|| fast.iter_mut().for_each(|peer| ask(peer, 2)));
    let mut plain = connect(door);
    plain.write_all(options(1).as_bytes()).unwrap();
    let _ = plain.read_to_end(&mut Vec::new());
    world.counts(StreamCounter::HandshakeFailed, 51);
}

#[test]
fn a_websocket_over_tls_carries_sip() {
    let identity = Identity::new("wss");
    let mut world = World::with_tls(Parameters::default(), identity.open());
    let stream = identity.connect(&world, Transport::Wss);
    let mut request = format!("wss://{}/", world.at(Transport::Wss)).into_client_request().unwrap();
    request.headers_mut().insert("Sec-WebSocket-Protocol", "sip".parse().unwrap());
    world.while_peer(|| {
        let (mut peer, _) = tungstenite::client(request, stream).unwrap();
        peer.send(Message::text(options(1))).unwrap();
        assert_eq!(peer.read().unwrap(), Message::text(response(&options(1))));
    });
}

#[test]
fn a_new_certificate_is_shown_and_old_connections_stay() {
    let (old, new) = (Identity::new("renewed"), Identity::new("unused"));
    let mut world = World::with_tls(Parameters::default(), old.open());
    let mut before = old.connect(&world, Transport::Tls);
    world.while_peer(|| ask(&mut before, 1));
    // Half a renewal, a key that is not the certificate's, changes nothing.
    std::fs::write(old.folder.join("key.pem"), &new.key).unwrap();
    std::thread::sleep(Duration::from_millis(1_300));
    let mut during = old.connect(&world, Transport::Tls);
    world.while_peer(|| ask(&mut during, 2));
    std::fs::write(old.folder.join("chain.pem"), &new.certificate).unwrap();
    let end = Instant::now() + SOON;
    loop {
        let mut after = new.connect(&world, Transport::Tls);
        if after.conn.complete_io(&mut after.sock).is_ok() {
            world.while_peer(|| ask(&mut after, 3));
            break;
        }
        assert!(Instant::now() < end, "the new certificate is not shown");
        std::thread::sleep(Duration::from_millis(100));
    }
    world.while_peer(|| ask(&mut before, 4));
}

fn path_to(world: &World, vendor: &TcpListener) -> b2bua::Path {
    b2bua::Path {
        transport: Transport::Tls,
        local: world.at(Transport::Tcp),
        remote: vendor.local_addr().unwrap(),
        connection: 0,
    }
}

#[test]
fn a_vendor_with_a_name_proves_itself_by_that_and_hears_it() {
    let carrier = Identity::of("carrier", "sip.carrier.example");
    for (name, served) in [("sip.carrier.example", true), ("sip.other.example", false), ("", false)]
    {
        let vendor = TcpListener::bind("127.0.0.1:0").unwrap();
        let authorities = carrier.file();
        let tls = Tls::open(TlsFiles { authorities, ..TlsFiles::default() }).unwrap();
        let mut world = World::with_tls(hasty(), tls).silent();
        let path = path_to(&world, &vendor);
        // One of many, more than a ring holds.
        let others = (1..2_000).map(|port| SocketAddr::new(path.remote.ip(), port));
        let others = others.filter(|&other| other != path.remote);
        let others = others.map(|other| (other, "sip.some.example"));
        world.knows(others.chain([(path.remote, name)]));
        world.sends(&path, &options(1));
        let mut stream = carrier.accept(&vendor);
        assert_eq!(read_message(&mut stream).is_ok(), served, "{name}");
        if served {
            assert_eq!(stream.conn.server_name(), Some(name));
        } else {
            assert_eq!(world.gets().0, Kind::Undeliverable);
        }
    }
}

#[test]
fn a_peer_is_shown_the_certificate_of_the_name_that_it_asks_for() {
    let (first, other) = (Identity::new("first"), Identity::of("other", "sip.other.example"));
    let both = other.folder.join("both.pem");
    std::fs::write(&both, format!("{}{}", other.certificate, other.key)).unwrap();
    let tls = Tls::open(TlsFiles { more: vec![both], ..first.files() }).unwrap();
    let mut world = World::with_tls(Parameters::default(), tls);
    let mut roots = RootCertStore::empty();
    for identity in [&first, &other] {
        roots.add(identity.chain().remove(0)).unwrap();
    }
    for (name, shown) in [
        ("sip.other.example", Some(&other)),
        ("127.0.0.1", Some(&first)),
        ("sip.nobody.example", None),
    ] {
        let config = ClientConfig::builder();
        let config = config.with_root_certificates(roots.clone()).with_no_client_auth();
        let mut peer = first.connect_to(name, config, &world, Transport::Tls);
        let Some(shown) = shown else {
            assert!(peer.conn.complete_io(&mut peer.sock).is_err());
            continue;
        };
        world.while_peer(|| ask(&mut peer, 1));
        assert_eq!(peer.conn.peer_certificates().unwrap(), shown.chain());
    }
}

#[test]
fn authorities_are_read_again_and_broken_ones_leave_the_old_in_force() {
    let (old, new) = (Identity::new("old-authority"), Identity::new("new-authority"));
    let authorities = old.folder.join("authorities.pem");
    std::fs::write(&authorities, &old.certificate).unwrap();
    let files = TlsFiles { authorities: authorities.clone(), ..TlsFiles::default() };
    let mut world = World::with_tls(hasty(), Tls::open(files).unwrap()).silent();
    // Whether this vendor is believed.
    let believes = |world: &mut World, vendor: &Identity| {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        world.sends(&path_to(world, &listener), &options(1));
        let is_believed = read_message(&mut vendor.accept(&listener)).is_ok();
        if !is_believed {
            assert_eq!(world.gets().0, Kind::Undeliverable);
        }
        is_believed
    };
    assert!(believes(&mut world, &old) && !believes(&mut world, &new));
    std::fs::write(&authorities, "no certificate at all").unwrap();
    world.counts(StreamCounter::TlsRefused, 1);
    assert!(believes(&mut world, &old) && !believes(&mut world, &new));
    std::fs::write(&authorities, &new.certificate).unwrap();
    world.counts(StreamCounter::TlsRead, 1);
    assert!(!believes(&mut world, &old) && believes(&mut world, &new));
    assert_eq!(world.count(StreamCounter::TlsRefused), 1);
}

#[test]
fn a_vendor_must_prove_who_it_is_unless_told_otherwise() {
    let (believed, stranger) = (Identity::new("believed"), Identity::new("stranger"));
    let vendor = TcpListener::bind("127.0.0.1:0").unwrap();
    use Proof::{Demanded, Usual, Waived};
    for (identity, verify, proof, served) in [
        (&believed, Verify::Yes, Usual, true),
        (&stranger, Verify::Yes, Usual, false),
        (&stranger, Verify::No, Usual, true),
        // What is said of one vendor counts for more than what is said of all.
        (&stranger, Verify::Yes, Waived, true),
        (&stranger, Verify::No, Demanded, false),
        (&believed, Verify::No, Demanded, true),
    ] {
        let files = TlsFiles { authorities: believed.file(), verify, ..TlsFiles::default() };
        let tls = Tls::open(files).unwrap();
        let mut world = World::with_tls(hasty(), tls).silent();
        let path = path_to(&world, &vendor);
        world.demands(path.remote, proof);
        world.sends(&path, &options(1));
        let mut stream = identity.accept(&vendor);
        if served {
            assert_eq!(read_message(&mut stream).unwrap(), options(1));
            stream.write_all(response(&options(1)).as_bytes()).unwrap();
            assert_eq!(world.gets().2, response(&options(1)));
        } else {
            assert!(read_message(&mut stream).is_err());
            assert_eq!(world.gets().0, Kind::Undeliverable);
            world.counts(StreamCounter::HandshakeFailed, 1);
        }
    }
}

#[test]
fn a_vendor_that_asks_who_we_are_is_shown_our_certificate() {
    let (ours, carrier) = (Identity::new("ours"), Identity::new("asking-carrier"));
    let tls = Tls::open(TlsFiles { authorities: carrier.file(), ..ours.files() }).unwrap();
    let mut world = World::with_tls(hasty(), tls).silent();
    let vendor = TcpListener::bind("127.0.0.1:0").unwrap();
    world.sends(&path_to(&world, &vendor), &options(1));
    let verifier = WebPkiClientVerifier::builder(ours.roots()).build().unwrap();
    let config = ServerConfig::builder().with_client_cert_verifier(verifier);
    let config = config.with_single_cert(carrier.chain(), carrier.private()).unwrap();
    let server = rustls::ServerConnection::new(Arc::new(config)).unwrap();
    let (stream, _) = vendor.accept().unwrap();
    stream.set_read_timeout(Some(SOON)).unwrap();
    let mut stream = StreamOwned::new(server, stream);
    assert_eq!(read_message(&mut stream).unwrap(), options(1));
    assert_eq!(stream.conn.peer_certificates().unwrap(), ours.chain());
}

#[test]
fn whoever_connects_proves_who_he_is_as_far_as_he_is_asked() {
    let (ours, carrier) = (Identity::new("asks"), Identity::new("calling-carrier"));
    let stranger = Identity::new("calling-stranger");
    use Clients::{Asked, Proven, Unasked};
    for (clients, shown, is_let_in) in [
        (Unasked, None, true),
        (Unasked, Some(&stranger), true),
        (Asked, None, true),
        (Asked, Some(&carrier), true),
        (Asked, Some(&stranger), false),
        (Proven, None, false),
        (Proven, Some(&carrier), true),
        (Proven, Some(&stranger), false),
    ] {
        let files = TlsFiles { clients, authorities: carrier.file(), ..ours.files() };
        let mut world = World::with_tls(hasty(), Tls::open(files).unwrap());
        let config = ClientConfig::builder().with_root_certificates(ours.roots());
        let config = match shown {
            Some(shown) => config.with_client_auth_cert(shown.chain(), shown.private()).unwrap(),
            None => config.with_no_client_auth(),
        };
        let mut peer = ours.connect_to("127.0.0.1", config, &world, Transport::Tls);
        if is_let_in {
            world.while_peer(|| ask(&mut peer, 1));
        } else {
            let _ = peer.write_all(options(1).as_bytes());
            assert!(read_message(&mut peer).is_err(), "{clients:?}");
            world.counts(StreamCounter::HandshakeFailed, 1);
        }
    }
    let files = TlsFiles { clients: Asked, authorities: "/nowhere".into(), ..ours.files() };
    let error = Tls::open(files).err().unwrap().to_string();
    assert!(error.contains("/nowhere"), "{error}");
}
