//! A DNS server on loopback, written by hand, so that the reader of its answers is not their writer.

use std::net::UdpSocket;
use std::time::Instant;

use super::*;
use crate::resolve::Server;
use link::Transport;

const NAPTR: u16 = 35;
const SRV: u16 = 33;
const A: u16 = 1;

/// `name.` in labels (RFC 1035 §3.1).
fn labels(name: &str) -> Vec<u8> {
    let mut wire = Vec::new();
    for label in name.split('.').filter(|label| !label.is_empty()) {
        wire.push(u8::try_from(label.len()).unwrap());
        wire.extend_from_slice(label.as_bytes());
    }
    wire.push(0);
    wire
}

fn text(text: &str) -> Vec<u8> {
    [&[u8::try_from(text.len()).unwrap()], text.as_bytes()].concat()
}

fn srv(priority: u16, weight: u16, port: u16, host: &str) -> Vec<u8> {
    [&[priority, weight, port].map(u16::to_be_bytes).concat()[..], &labels(host)].concat()
}

fn naptr(order: u16, service: &str, replacement: &str) -> Vec<u8> {
    let numbers = [order, 10].map(u16::to_be_bytes).concat();
    [numbers, text("s"), text(service), text(""), labels(replacement)].concat()
}

/// What the server says of a name and a type; `None`: nothing, for ever.
type Zone = fn(&str, u16) -> Option<Vec<Vec<u8>>>;

/// A server with this zone.
fn serve(zone: Zone) -> SocketAddr {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    std::thread::spawn(move || {
        let mut bytes = [0; 512];
        while let Ok((length, from)) = socket.recv_from(&mut bytes) {
            let asked = &bytes[..length];
            // One question behind a head of twelve bytes; then its type and class.
            let (mut name, mut at) = (String::new(), 12);
            while asked[at] > 0 {
                let end = at + 1 + usize::from(asked[at]);
                name.push_str(&String::from_utf8_lossy(&asked[at + 1..end]).to_lowercase());
                name.push('.');
                at = end;
            }
            let kind = u16::from_be_bytes([asked[at + 1], asked[at + 2]]);
            let Some(records) = zone(name.trim_end_matches('.'), kind) else { continue };
            let count = u16::try_from(records.len()).unwrap();
            let head = [0x8180, 1, count, 0, 0].map(u16::to_be_bytes).concat();
            let mut answer = [&asked[..2], &head, &asked[12..at + 5]].concat();
            for record in records {
                // The name of the question by its place, the class IN, 120 s.
                let length = u16::try_from(record.len()).unwrap();
                let head = [0xc00c, kind, 1, 0, 120, length].map(u16::to_be_bytes).concat();
                answer.extend_from_slice(&head);
                answer.extend_from_slice(&record);
            }
            socket.send_to(&answer, from).unwrap();
        }
    });
    address
}

fn zone(name: &str, kind: u16) -> Option<Vec<Vec<u8>>> {
    Some(match (name, kind) {
        (name, _) if name.contains("dead") => return None,
        ("carrier.test", NAPTR) => vec![
            naptr(20, "SIP+D2U", "_sip._udp.carrier.test"),
            naptr(10, "SIP+D2T", "_sip._tcp.carrier.test"),
        ],
        ("_sip._tcp.carrier.test", SRV) => {
            vec![srv(2, 0, 5070, "b.carrier.test"), srv(1, 0, 5060, "a.carrier.test")]
        }
        ("a.carrier.test", A) => vec![vec![192, 0, 2, 1], vec![192, 0, 2, 2]],
        ("b.carrier.test", A) => vec![vec![192, 0, 2, 3]],
        _ => Vec::new(),
    })
}

fn names(name: &str) -> Names {
    let path = std::env::temp_dir().join(format!("tollgate-dns-{name}-{}", std::process::id()));
    let bell = Doorbell::open(&path).unwrap();
    let families = Families { v4: true, v6: false };
    let question = Duration::from_millis(300);
    let asking = Asking { server: Some(serve(zone)), families, question };
    let names = start_with(asking, bell).unwrap();
    let _ = std::fs::remove_file(path);
    names
}

fn wait(names: &Names) -> Resolved {
    names.found.recv_timeout(Duration::from_secs(30)).unwrap()
}

#[test]
fn a_name_is_found_by_naptr_srv_and_address_and_its_time_is_known() {
    let names = names("found");
    names.ask("carrier.test".into(), "carrier.test".parse().unwrap());
    let Resolved { name, outcome } = wait(&names);
    assert_eq!(name, "carrier.test");
    let server = |priority, addresses: &[&str]| Server {
        priority,
        weight: 0,
        transport: Transport::Tcp,
        addresses: addresses.iter().map(|text| text.parse().unwrap()).collect(),
    };
    let servers =
        vec![server(1, &["192.0.2.1:5060", "192.0.2.2:5060"]), server(2, &["192.0.2.3:5070"])];
    assert_eq!(outcome, Outcome::Found(servers, 120));
    names.ask("nobody.test".into(), "nobody.test".parse().unwrap());
    assert_eq!(wait(&names).outcome, Outcome::Absent(ABSENT_S));
}

#[test]
fn a_dead_server_delays_neither_the_loop_nor_another_name() {
    let names = names("dead");
    let began = Instant::now();
    for _ in 0..SEARCHES_MAX / 2 {
        names.ask("dead.test".into(), "dead.test".parse().unwrap());
    }
    names.ask("carrier.test".into(), "carrier.test".parse().unwrap());
    assert!(began.elapsed() < Duration::from_millis(250), "asking never waits");
    let first = wait(&names);
    assert_eq!(first.name, "carrier.test", "{:?}", first.outcome);
    for _ in 0..SEARCHES_MAX / 2 {
        let Resolved { name, outcome } = wait(&names);
        assert_eq!(name, "dead.test");
        assert!(matches!(&outcome, Outcome::Failed(detail) if detail.contains("dead.test")));
    }
    // What nobody has room for is lost, and nobody waits.
    for _ in 0..10 * SEARCHES_MAX {
        names.ask("dead.test".into(), "dead.test".parse().unwrap());
    }
}
