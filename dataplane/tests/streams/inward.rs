//! Connections that peers open.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::time::{Duration, Instant};

use b2bua::Path;
use dataplane::rim::StreamCounter;
use dataplane::worker::Kind;
use link::endpoint::Transport;
use link::order::Parameters;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::protocol::frame::Frame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};
use tokio_tungstenite::tungstenite::{self, Message};

use crate::world::*;

#[test]
fn a_message_names_its_connection_and_its_answer_comes_back_by_it() {
    let mut world = World::new(Parameters::default());
    for ip in ["127.0.0.1", "::1"] {
        let door = world.at_ip(ip, Transport::Tcp);
        let mut peer = connect(door);
        world.while_peer(|| ask(&mut peer, 1));
        let mut silent = World::new(Parameters::default()).silent();
        let door = silent.at_ip(ip, Transport::Tcp);
        let mut peer = connect(door);
        peer.write_all(options(1).as_bytes()).unwrap();
        let (kind, path, text) = silent.gets();
        assert_eq!((kind, text), (Kind::Sip, options(1)));
        assert_eq!((path.transport, path.local), (Transport::Tcp, door));
        assert_eq!(path.remote, peer.local_addr().unwrap());
        assert_ne!(path.connection, 0);
    }
}

#[test]
fn messages_may_come_in_pieces_or_many_at_once() {
    let mut world = World::new(Parameters::default());
    let mut peer = world.connect();
    let all: String = (0..50).map(options).collect();
    world.while_peer(|| {
        for piece in all.as_bytes().chunks(7) {
            peer.write_all(piece).unwrap();
        }
        peer.write_all(all.as_bytes()).unwrap();
        for number in (0..50).chain(0..50) {
            assert_eq!(read_message(&mut peer).unwrap(), response(&options(number)));
        }
    });
    world.counts(StreamCounter::MessagesIn, 100);
    world.counts(StreamCounter::MessagesOut, 100);
}

#[test]
fn many_connections_are_served_side_by_side() {
    let parameters = Parameters { streams_per_source_max: 0, ..Parameters::default() };
    let mut world = World::new(parameters);
    let mut peers: Vec<_> = (0..400).map(|_| world.connect()).collect();
    world.while_peer(|| {
        for (number, peer) in peers.iter_mut().enumerate() {
            ask(peer, number);
        }
        for (number, peer) in peers.iter_mut().enumerate().rev() {
            ask(peer, number);
        }
    });
    drop(peers);
    world.counts(StreamCounter::Accepted, 400);
    world.counts(StreamCounter::Closed, 400);
}

#[test]
fn a_burst_beyond_the_ring_is_not_lost_but_waited_for() {
    let mut world = World::new(Parameters::default()).silent();
    let peer = world.connect();
    let sending = std::thread::spawn(move || {
        let mut peer = peer;
        for number in 0..2_000 {
            peer.write_all(options(number).as_bytes()).unwrap();
        }
        peer
    });
    // The worker stands still, and the rings are full long before all has come.
    std::thread::sleep(Duration::from_millis(300));
    for number in 0..2_000 {
        assert_eq!(world.gets().2, options(number));
    }
    drop(sending.join().unwrap());
}

#[test]
fn a_burst_for_a_peer_that_reads_is_written_and_not_given_back() {
    let mut world = World::new(Parameters::default()).silent();
    let mut peer = world.connect();
    peer.write_all(options(1).as_bytes()).unwrap();
    let (_, path, _) = world.gets();
    // As many as a worker can say at once.
    for number in 0..250 {
        world.sends(&path, &options(number));
    }
    for number in 0..250 {
        assert_eq!(read_message(&mut peer).unwrap(), options(number));
    }
    assert_eq!(world.count(StreamCounter::QueueFull), 0);
}

#[test]
fn a_double_line_end_is_answered_by_one() {
    let mut world = World::new(Parameters::default());
    let mut peer = world.connect();
    peer.write_all(b"\r\n\r\n").unwrap();
    let mut pong = [0; 2];
    peer.read_exact(&mut pong).unwrap();
    assert_eq!(&pong, b"\r\n");
    world.while_peer(|| ask(&mut peer, 1));
    world.counts(StreamCounter::KeepAlive, 1);
}

#[test]
fn what_is_no_message_is_refused_and_ends_its_connection_and_no_other() {
    let mut world = World::new(Parameters::default());
    let mut other = world.connect();
    let no_length = options(1).replace("Content-Length: 0\r\n", "");
    let endless = "x".repeat(MESSAGE_BYTES_MAX);
    let bad = options(1).replace("Length: 0", "Length: -1");
    let long = options(1).replace("Length: 0", "Length: 9000");
    for (text, counter, is_told) in [
        (&no_length, StreamCounter::LengthMissing, true),
        (&bad, StreamCounter::LengthMalformed, true),
        (&long, StreamCounter::MessageTooLong, true),
        (&endless, StreamCounter::HeadEndless, false),
        (&"\r\n\r\n".repeat(20_000), StreamCounter::Barren, false),
    ] {
        let mut peer = world.connect();
        // It may be cut off while it still writes.
        let _ = peer.write_all(text.as_bytes());
        let mut rest = Vec::new();
        let _ = world.while_peer(|| peer.read_to_end(&mut rest));
        let told = String::from_utf8(rest).unwrap();
        if is_told {
            assert_eq!(told, response(text), "the worker had the head, and its answer went out");
        } else {
            assert!(told.bytes().all(|byte| b"\r\n".contains(&byte)), "{counter:?}");
        }
        world.counts(counter, 1);
    }
    world.while_peer(|| ask(&mut other, 2));
}

#[test]
fn who_is_denied_or_out_of_budget_is_not_let_in() {
    let mut world = World::new(Parameters::default()).silent();
    let door = world.at(Transport::Tcp);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let from_denied = runtime.block_on(async {
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        socket.bind(format!("{DENIED}:0").parse().unwrap()).unwrap();
        socket.connect(door).await.unwrap().into_std().unwrap()
    });
    let mut peer = from_denied;
    peer.set_nonblocking(false).unwrap();
    assert_eq!(end_of(&mut peer).unwrap(), 0);
    world.counts(StreamCounter::Denied, 1);
    let mut peer = world.connect();
    peer.write_all(request("PUBLISH", 1, "TCP a", "").as_bytes()).unwrap();
    peer.write_all(options(2).as_bytes()).unwrap();
    assert_eq!(world.gets().2, options(2));
    world.counts(StreamCounter::Refused, 1);
}

#[test]
fn phones_behind_one_address_make_room_for_each_other_as_they_register() {
    let parameters = Parameters { streams_per_source_max: 2, ..Parameters::default() };
    let mut world = World::new(parameters);
    let mut phones: Vec<TcpStream> = Vec::new();
    for number in 0..6 {
        let mut phone = world.connect();
        let register = request("REGISTER", number, "TCP 192.0.2.2", "");
        world.while_peer(|| {
            phone.write_all(register.as_bytes()).unwrap();
            assert_eq!(read_message(&mut phone).unwrap(), response(&register));
        });
        phones.push(phone);
    }
    // Whoever asks what everybody may ask is a stranger still.
    let mut strangers = [world.connect(), world.connect()];
    world.while_peer(|| strangers.iter_mut().for_each(|peer| ask(peer, 7)));
    assert_eq!(end_of(&mut world.connect()).unwrap(), 0);
    world.counts(StreamCounter::OverLimit, 1);
    world.while_peer(|| phones.iter_mut().for_each(|phone| ask(phone, 8)));
}

#[test]
fn a_connection_that_phones_registered_by_is_told_of_when_it_is_gone() {
    let mut world = World::new(Parameters::default()).silent();
    let (mut phone, mut other) = (world.connect(), world.connect());
    other.write_all(options(1).as_bytes()).unwrap();
    world.gets();
    phone.write_all(request("REGISTER", 2, "TCP 192.0.2.2", "").as_bytes()).unwrap();
    let (_, registered, _) = world.gets();
    drop(other);
    world.counts(StreamCounter::Closed, 1);
    drop(phone);
    assert_eq!(world.gets(), (Kind::Lost, registered, String::new()));
    world.counts(StreamCounter::Closed, 2);
    assert_eq!(world.take(), None);
}

#[test]
fn a_source_has_its_share_of_connections_until_it_lets_one_go() {
    let parameters = Parameters { streams_per_source_max: 3, ..Parameters::default() };
    let mut world = World::new(parameters);
    let mut peers: Vec<TcpStream> = (0..3).map(|_| world.connect()).collect();
    world.while_peer(|| peers.iter_mut().for_each(|peer| ask(peer, 1)));
    let mut surplus = world.connect();
    assert_eq!(end_of(&mut surplus).unwrap(), 0);
    world.counts(StreamCounter::OverLimit, 1);
    // Another source is not concerned.
    let mut other = connect(world.at_ip("::1", Transport::Tcp));
    world.while_peer(|| ask(&mut other, 2));
    drop(peers.pop());
    world.counts(StreamCounter::Closed, 1);
    let mut peer = world.connect();
    world.while_peer(|| ask(&mut peer, 3));
}

#[test]
fn silence_and_half_messages_end_by_the_clock() {
    let parameters = Parameters { stream_idle_s: 1, stream_patience_s: 2, ..Parameters::default() };
    let mut world = World::new(parameters);
    let (mut idle, mut half, mut alive) = (world.connect(), world.connect(), world.connect());
    half.write_all(&options(1).as_bytes()[..100]).unwrap();
    let begun = Instant::now();
    world.while_peer(|| {
        for _ in 0..3 {
            ask(&mut alive, 2);
            // A trickle is no progress.
            half.write_all(b" ").unwrap();
            std::thread::sleep(Duration::from_millis(600));
        }
        assert_eq!(end_of(&mut idle).unwrap(), 0);
        let _ = end_of(&mut half);
    });
    assert!(begun.elapsed() >= Duration::from_millis(1_900));
    world.counts(StreamCounter::Stuck, 1);
    assert!(world.count(StreamCounter::Idle) >= 1);
}

#[test]
fn a_stranger_says_something_soon_or_goes() {
    let mut world = World::new(hasty());
    let (mut mute, mut alive) = (world.connect(), world.connect());
    let mut busy = world.connect();
    let mut framed = websocket(&world, "sip").unwrap();
    let begun = Instant::now();
    world.while_peer(|| {
        ask(&mut alive, 1);
        // Line ends are no message, and half of one is none either, even if it begins late.
        while begun.elapsed() < Duration::from_millis(1_000) {
            busy.write_all(b"\r\n\r\n").unwrap();
            busy.read_exact(&mut [0; 2]).unwrap();
            framed.send(Message::Ping("x".into())).unwrap();
            assert_eq!(framed.read().unwrap(), Message::Pong("x".into()));
            std::thread::sleep(Duration::from_millis(100));
        }
        busy.write_all(b"OPTIONS ").unwrap();
        for peer in [&mut mute, &mut busy] {
            let _ = end_of(peer);
        }
        while framed.read().is_ok() {}
    });
    assert!(begun.elapsed() < Duration::from_millis(2_900), "counted from the connection");
    world.counts(StreamCounter::Idle, 2);
    world.counts(StreamCounter::Stuck, 1);
    // Whoever has said something may be silent for long.
    world.while_peer(|| ask(&mut alive, 2));
}

#[test]
fn strangers_together_are_half_of_all_and_those_who_are_served_make_room() {
    let parameters =
        Parameters { streams_per_source_max: 0, streams_max: 8, ..Parameters::default() };
    let mut world = World::new(parameters);
    let mut phones: Vec<TcpStream> = (0..4).map(|_| world.connect()).collect();
    world.while_peer(|| phones.iter_mut().for_each(|phone| ask(phone, 1)));
    assert_eq!(end_of(&mut world.connect()).unwrap(), 0);
    world.counts(StreamCounter::OverLimit, 1);
    let register = request("REGISTER", 2, "TCP 192.0.2.2", "");
    world.while_peer(|| {
        for phone in &mut phones {
            phone.write_all(register.as_bytes()).unwrap();
            assert_eq!(read_message(phone).unwrap(), response(&register));
        }
    });
    phones.extend((0..3).map(|_| world.connect()));
    world.while_peer(|| phones.iter_mut().for_each(|phone| ask(phone, 3)));
    // The last place is for connections of our own.
    assert_eq!(end_of(&mut world.connect()).unwrap(), 0);
    world.counts(StreamCounter::OverLimit, 2);
    let vendor = TcpListener::bind("127.0.0.1:0").unwrap();
    let (remote, local) = (vendor.local_addr().unwrap(), world.at(Transport::Tcp));
    let path = Path { transport: Transport::Tcp, local, remote, connection: 0 };
    world.sends(&path, &options(4));
    assert_eq!(read_message(&mut vendor.accept().unwrap().0).unwrap(), options(4));
}

#[test]
fn a_peer_that_never_reads_delays_nobody_and_is_cut_off() {
    let mut world = World::new(hasty()).silent();
    let mut deaf = world.connect();
    deaf.write_all(options(1).as_bytes()).unwrap();
    let (_, path, _) = world.gets();
    let mut other = world.connect();
    other.write_all(options(2).as_bytes()).unwrap();
    let (_, lively, text) = world.gets();
    let body = "x".repeat(7_000);
    let long = request("INFO", 3, "TCP a", &body);
    for _ in 0..2_000 {
        world.sends(&path, &long);
        std::thread::sleep(Duration::from_micros(300));
    }
    let begun = Instant::now();
    world.sends(&lively, &response(&text));
    assert_eq!(read_message(&mut other).unwrap(), response(&options(2)));
    assert!(begun.elapsed() < AT_ONCE);
    // What did not fit came back at once, the rest when patience ended.
    let mut returned = 0;
    let end = Instant::now() + SOON;
    while world.count(StreamCounter::Stuck) == 0 && Instant::now() < end {
        match world.take() {
            Some((kind, _, _)) => returned += u32::from(kind == Kind::Undeliverable),
            None => std::thread::sleep(Duration::from_millis(1)),
        }
    }
    assert!(returned > 0);
    world.counts(StreamCounter::Stuck, 1);
    assert!(world.count(StreamCounter::QueueFull) > 0);
    drop(deaf);
}

#[test]
fn a_reset_comes_only_after_the_last_response() {
    let parameters = Parameters { stream_idle_s: 1, tcp_close_reset: 1, ..Parameters::default() };
    let mut world = World::new(parameters);
    let mut peer = world.connect();
    world.while_peer(|| {
        peer.write_all(options(1).as_bytes()).unwrap();
        // The reset has come when the answer is read.
        std::thread::sleep(Duration::from_millis(1_500));
        assert_eq!(read_message(&mut peer).unwrap(), response(&options(1)));
        assert_eq!(end_of(&mut peer).unwrap_err().kind(), ErrorKind::ConnectionReset);
    });
    world.counts(StreamCounter::Reset, 1);
    // Without the parameter the end is orderly.
    let mut world = World::new(Parameters { stream_idle_s: 1, ..Parameters::default() });
    let mut peer = world.connect();
    world.while_peer(|| {
        ask(&mut peer, 3);
        assert_eq!(end_of(&mut peer).unwrap(), 0);
    });
}

#[test]
fn who_has_said_all_still_hears_the_answer() {
    let mut world = World::new(Parameters::default());
    let mut peer = world.connect();
    world.while_peer(|| {
        peer.write_all(options(1).as_bytes()).unwrap();
        peer.shutdown(Shutdown::Write).unwrap();
        assert_eq!(read_message(&mut peer).unwrap(), response(&options(1)));
        assert_eq!(end_of(&mut peer).unwrap(), 0);
    });
    world.counts(StreamCounter::Closed, 1);
}

#[test]
fn a_response_whose_connection_is_gone_goes_to_the_sent_by_address() {
    let mut world = World::new(Parameters::default()).silent();
    let home = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut peer = world.connect();
    let via = format!("TCP {}", home.local_addr().unwrap());
    let asked = request("OPTIONS", 1, &via, "");
    peer.write_all(asked.as_bytes()).unwrap();
    let (_, path, _) = world.gets();
    drop(peer);
    world.counts(StreamCounter::Closed, 1);
    world.sends(&path, &response(&asked));
    let (mut back, _) = home.accept().unwrap();
    assert_eq!(read_message(&mut back).unwrap(), response(&asked));
    world.counts(StreamCounter::Redirected, 1);
    // Nobody is at home any more: it comes back once, and that is the end of it.
    drop((home, back));
    world.counts(StreamCounter::Closed, 2);
    world.sends(&path, &response(&asked));
    assert_eq!(world.gets().0, Kind::Undeliverable);
    world.counts(StreamCounter::Undeliverable, 1);
}

/// A WebSocket client, of the protocols that it offers.
fn websocket(
    world: &World,
    protocols: &str,
) -> Result<tungstenite::WebSocket<TcpStream>, tungstenite::Error> {
    let door = world.at(Transport::Ws);
    let mut request = format!("ws://{door}/").into_client_request().unwrap();
    if !protocols.is_empty() {
        request.headers_mut().insert("Sec-WebSocket-Protocol", protocols.parse().unwrap());
    }
    match tungstenite::client(request, connect(door)) {
        Ok((socket, response)) => {
            assert_eq!(response.headers()["Sec-WebSocket-Protocol"], "sip");
            Ok(socket)
        }
        Err(tungstenite::HandshakeError::Failure(error)) => Err(error),
        Err(tungstenite::HandshakeError::Interrupted(_)) => panic!("it blocks"),
    }
}

#[test]
fn a_websocket_carries_one_message_each_and_only_as_sip() {
    let mut world = World::new(hasty());
    let mut peer = websocket(&world, "chat, sip").unwrap();
    world.while_peer(|| {
        for message in [Message::text(options(1)), Message::binary(options(1).into_bytes())] {
            peer.send(message).unwrap();
            assert_eq!(peer.read().unwrap(), Message::text(response(&options(1))));
        }
        peer.send(Message::text("\r\n\r\n")).unwrap();
        assert_eq!(peer.read().unwrap(), Message::text("\r\n"));
        peer.send(Message::Ping("x".into())).unwrap();
        assert_eq!(peer.read().unwrap(), Message::Pong("x".into()));
        peer.close(None).unwrap();
        while peer.read().is_ok() {}
    });
    world.counts(StreamCounter::Closed, 1);
    assert!(websocket(&world, "").is_err());
    assert!(websocket(&world, "sips").is_err());
    world.counts(StreamCounter::HandshakeFailed, 2);
    let mut peer = websocket(&world, "sip").unwrap();
    let _ = peer.send(Message::text("x".repeat(MESSAGE_BYTES_MAX + 1)));
    world.counts(StreamCounter::MessageTooLong, 1);
    // Plain HTTP, or nothing at all, is no handshake.
    let mut http = connect(world.at(Transport::Ws));
    http.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
    let _silent = connect(world.at(Transport::Ws));
    world.counts(StreamCounter::HandshakeFailed, 4);
}

#[test]
fn a_websocket_message_that_trickles_ends_by_the_clock_whatever_stands_between_its_pieces() {
    let mut world = World::new(hasty());
    let piece = |byte: &str| {
        Message::Frame(Frame::message(byte.to_owned(), OpCode::Data(Data::Text), false))
    };
    let mut alive = websocket(&world, "sip").unwrap();
    let mut trickle = websocket(&world, "sip").unwrap();
    let begun = Instant::now();
    world.while_peer(|| {
        for peer in [&mut alive, &mut trickle] {
            peer.send(Message::text(options(1))).unwrap();
            assert_eq!(peer.read().unwrap(), Message::text(response(&options(1))));
        }
        trickle.send(piece("OPTIONS")).unwrap();
        while begun.elapsed() < SOON {
            alive.send(Message::Ping("x".into())).unwrap();
            alive.read().unwrap();
            if trickle.send(Message::Ping("x".into())).is_err() || trickle.read().is_err() {
                break;
            }
            std::thread::sleep(Duration::from_millis(100));
        }
    });
    let lasted = begun.elapsed();
    assert!(lasted > AT_ONCE && lasted < SOON, "{lasted:?}");
    world.counts(StreamCounter::Stuck, 1);
    // Pings alone begin nothing that has to end.
    world.while_peer(|| {
        alive.send(Message::text(options(2))).unwrap();
        assert_eq!(alive.read().unwrap(), Message::text(response(&options(2))));
    });
}
