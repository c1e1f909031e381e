//! TLS, both ways.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use b2bua::Path;
use dataplane::rim::{StreamCounter, Tls};
use dataplane::worker::Kind;
use link::endpoint::Transport;
use link::order::Parameters;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
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
        let made = rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_owned()]).unwrap();
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

    fn open(&self) -> Tls {
        let (chain, key) = (self.folder.join("chain.pem"), self.folder.join("key.pem"));
        Tls::open(Some((&chain, &key)), Some(&chain)).unwrap()
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
        let name = ServerName::try_from("127.0.0.1").unwrap();
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

#[test]
fn a_vendor_must_prove_who_it_is_unless_told_otherwise() {
    let (believed, stranger) = (Identity::new("believed"), Identity::new("stranger"));
    let vendor = TcpListener::bind("127.0.0.1:0").unwrap();
    let authorities = believed.folder.join("chain.pem");
    for (identity, authorities, served) in [
        (&believed, Some(authorities.as_path()), true),
        (&stranger, Some(authorities.as_path()), false),
        (&stranger, None, true),
    ] {
        let tls = Tls::open(None, authorities).unwrap();
        let mut world = World::with_tls(hasty(), tls).silent();
        let path = Path {
            transport: Transport::Tls,
            local: world.at(Transport::Tcp),
            remote: vendor.local_addr().unwrap(),
            connection: 0,
        };
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
