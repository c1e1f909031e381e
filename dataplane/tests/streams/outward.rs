//! Connections that we open.

use std::io::Write;
use std::net::{Shutdown, SocketAddr, TcpListener};
use std::time::{Duration, Instant};

use b2bua::Path;
use dataplane::rim::StreamCounter;
use dataplane::worker::Kind;
use link::endpoint::Transport;
use link::order::Parameters;

use crate::world::*;

fn path_to(world: &World, remote: SocketAddr, transport: Transport) -> Path {
    let ip = if remote.is_ipv4() { "127.0.0.1" } else { "::1" };
    Path { transport, local: world.at_ip(ip, Transport::Tcp), remote, connection: 0 }
}

#[test]
fn requests_to_a_peer_share_its_connection_and_its_own_come_back_by_it() {
    for ip in ["127.0.0.1:0", "[::1]:0"] {
        let mut world = World::new(Parameters::default()).silent();
        let vendor = TcpListener::bind(ip).unwrap();
        let path = path_to(&world, vendor.local_addr().unwrap(), Transport::Tcp);
        for number in 0..5 {
            world.sends(&path, &options(number));
        }
        let (mut stream, from) = vendor.accept().unwrap();
        assert_eq!(from.ip(), path.local.ip());
        for number in 0..5 {
            assert_eq!(read_message(&mut stream).unwrap(), options(number));
        }
        stream.write_all(response(&options(0)).as_bytes()).unwrap();
        let (kind, seen, text) = world.gets();
        assert_eq!((kind, text), (Kind::Sip, response(&options(0))));
        assert_eq!((seen.local, seen.remote), (path.local, path.remote));
        assert_ne!(seen.connection, 0);
        world.counts(StreamCounter::Opened, 1);
        // The next one, after the peer has closed, opens another.
        drop(stream);
        world.counts(StreamCounter::Closed, 1);
        world.sends(&Path { connection: seen.connection, ..path }, &options(9));
        let (mut stream, _) = vendor.accept().unwrap();
        assert_eq!(read_message(&mut stream).unwrap(), options(9));
    }
}

#[test]
fn a_request_follows_a_contact_that_is_elsewhere_than_its_connection() {
    let mut world = World::new(Parameters::default()).silent();
    let mut peer = world.connect();
    peer.write_all(options(1).as_bytes()).unwrap();
    let (_, path, _) = world.gets();
    // A NAT changes ports, so the connection is right for any port of its peer.
    let mut behind_nat = path;
    behind_nat.remote.set_port(5060);
    world.sends(&behind_nat, &options(2));
    assert_eq!(read_message(&mut peer).unwrap(), options(2));
    let contact = TcpListener::bind("127.0.0.7:0").unwrap();
    world.sends(&Path { remote: contact.local_addr().unwrap(), ..path }, &options(3));
    let (mut stream, _) = contact.accept().unwrap();
    assert_eq!(read_message(&mut stream).unwrap(), options(3));
}

#[test]
fn nobody_who_is_leaving_is_asked_by_the_connection_that_he_leaves() {
    let mut world = World::new(Parameters::default()).silent();
    let mut peer = world.connect();
    peer.write_all(options(1).as_bytes()).unwrap();
    let (_, mut path, _) = world.gets();
    let home = TcpListener::bind("127.0.0.1:0").unwrap();
    home.set_nonblocking(true).unwrap();
    path.remote = home.local_addr().unwrap();
    // He may still read: what is sent to him is not refused, and nobody will answer it.
    peer.shutdown(Shutdown::Write).unwrap();
    let begun = Instant::now();
    let mut number = 2;
    while home.accept().is_err() {
        assert!(begun.elapsed() < AT_ONCE, "{number} requests went where nobody answers");
        world.sends(&path, &options(number));
        number += 1;
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn requests_to_a_peer_that_is_gone_without_a_word_come_back_and_the_next_connects_anew() {
    let mut world = World::new(hasty()).silent();
    let vendor = TcpListener::bind("127.0.0.1:0").unwrap();
    let path = path_to(&world, vendor.local_addr().unwrap(), Transport::Tcp);
    world.sends(&path, &options(1));
    let (mut stream, _) = vendor.accept().unwrap();
    let asked = read_message(&mut stream).unwrap();
    stream.write_all(response(&asked).as_bytes()).unwrap();
    world.gets();
    // A firewall has forgotten the connection: nothing arrives, and nobody says so.
    swallow(&stream);
    for number in [2, 3] {
        world.sends(&path, &options(number));
    }
    for number in [2, 3] {
        let (kind, _, text) = world.gets();
        assert_eq!((kind, text), (Kind::Undeliverable, options(number)), "what was heard does not");
    }
    world.counts(StreamCounter::Stuck, 1);
    world.sends(&path, &options(4));
    let (mut stream, _) = vendor.accept().unwrap();
    assert_eq!(read_message(&mut stream).unwrap(), options(4));
}

#[test]
fn a_request_that_a_reset_overtakes_comes_back_and_one_that_was_answered_does_not() {
    let mut world = World::new(Parameters::default()).silent();
    let vendor = TcpListener::bind("127.0.0.1:0").unwrap();
    let path = path_to(&world, vendor.local_addr().unwrap(), Transport::Tcp);
    world.sends(&path, &options(1));
    let (mut stream, _) = vendor.accept().unwrap();
    let asked = read_message(&mut stream).unwrap();
    stream.write_all(response(&asked).as_bytes()).unwrap();
    world.gets();
    world.sends(&path, &options(2));
    // It was not read, so the end is a reset.
    stream.peek(&mut [0]).unwrap();
    drop(stream);
    let (kind, _, text) = world.gets();
    assert_eq!((kind, text), (Kind::Undeliverable, options(2)));
    world.counts(StreamCounter::Broken, 1);
    world.counts(StreamCounter::Undeliverable, 1);
}

#[test]
fn a_silent_peer_is_asked_whether_it_is_there() {
    let parameters = Parameters { stream_probe_s: 1, ..hasty() };
    for (parameters, is_missed) in [(parameters, true), (hasty(), false)] {
        let mut world = World::new(parameters);
        let mut gone = world.connect();
        world.while_peer(|| ask(&mut gone, 1));
        swallow(&gone);
        let mut there = world.connect();
        world.while_peer(|| ask(&mut there, 2));
        std::thread::sleep(if is_missed { Duration::ZERO } else { 2 * AT_ONCE });
        world.counts(StreamCounter::Stuck, u64::from(is_missed));
        world.while_peer(|| ask(&mut there, 3));
    }
}

#[test]
fn where_nobody_listens_the_request_comes_back_at_once() {
    let mut world = World::new(Parameters::default()).silent();
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let path = path_to(&world, nobody, Transport::Tcp);
    let begun = Instant::now();
    world.sends(&path, &options(1));
    let (kind, seen, text) = world.gets();
    assert_eq!((kind, seen, text), (Kind::Undeliverable, path, options(1)));
    assert!(begun.elapsed() < AT_ONCE);
    world.counts(StreamCounter::Unopened, 1);
    // Nobody is connected to by WebSocket: who left is gone.
    world.sends(&Path { transport: Transport::Ws, connection: 77, ..path }, &options(2));
    assert_eq!(world.gets().0, Kind::Undeliverable);
}

#[test]
fn a_busy_connection_gets_company_and_all_of_them_are_used() {
    let mut world = World::new(Parameters::default()).silent();
    let vendor = TcpListener::bind("127.0.0.1:0").unwrap();
    let path = path_to(&world, vendor.local_addr().unwrap(), Transport::Tcp);
    let long = request("INFO", 1, "TCP a", &"x".repeat(7_000));
    vendor.set_nonblocking(true).unwrap();
    let mut streams = Vec::new();
    // A vendor that reads nothing, until the kernel's buffers of one connection are full, and more.
    for _ in 0..3_000 {
        world.sends(&path, &long);
        std::thread::sleep(Duration::from_micros(200));
        streams.extend(vendor.accept().map(|(stream, _)| stream));
        if streams.len() == 3 {
            break;
        }
    }
    assert_eq!(streams.len(), 3, "one connection bears it all");
    // Now it reads, and whatever waited comes in whole.
    for stream in &mut streams {
        stream.set_nonblocking(false).unwrap();
        stream.set_read_timeout(Some(SOON)).unwrap();
        assert!(read_message(stream).unwrap().starts_with("INFO "));
    }
}

#[test]
fn a_peer_that_does_not_finish_the_handshake_delays_no_other() {
    let mut world = World::new(hasty()).silent();
    let mute = TcpListener::bind("127.0.0.1:0").unwrap();
    let vendor = TcpListener::bind("127.0.0.1:0").unwrap();
    let to_mute = path_to(&world, mute.local_addr().unwrap(), Transport::Tls);
    let to_vendor = path_to(&world, vendor.local_addr().unwrap(), Transport::Tcp);
    let begun = Instant::now();
    for number in 0..70 {
        world.sends(&to_mute, &options(number));
    }
    world.sends(&to_vendor, &options(100));
    let (mut stream, _) = vendor.accept().unwrap();
    assert_eq!(read_message(&mut stream).unwrap(), options(100));
    assert!(begun.elapsed() < AT_ONCE);
    let mut returned = 0;
    while returned < 70 {
        returned += usize::from(world.gets().0 == Kind::Undeliverable);
    }
    assert!(begun.elapsed() >= AT_ONCE);
    let failed = world.count(StreamCounter::HandshakeFailed);
    assert!((1..=4).contains(&failed), "{failed}");
}

#[test]
fn no_more_are_opened_than_there_may_be() {
    let parameters = Parameters { streams_max: 1, ..Parameters::default() };
    let mut world = World::new(parameters).silent();
    let _peer = world.connect();
    world.counts(StreamCounter::Accepted, 1);
    let vendor = TcpListener::bind("127.0.0.1:0").unwrap();
    let path = path_to(&world, vendor.local_addr().unwrap(), Transport::Tcp);
    world.sends(&path, &options(1));
    assert_eq!(world.gets().0, Kind::Undeliverable);
    world.counts(StreamCounter::OverLimit, 1);
}
