//! OPTIONS answered in the driver, in the running kernel by test-run.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod guard;

use std::net::IpAddr;
use std::time::Duration;

use etherparse::{NetSlice, PacketBuilder, SlicedPacket, TransportSlice};
use guard::{Guard, OWN4, OWN6, SIP, in_own_world, ip, now, plan, trust};
use xdp_prog::{Described, Greeter, Protocol, Reason, Regular};

const PEER: &str = "203.0.113.9";
const PEER6: &str = "2001:db8::9";
const TAIL: &[u8] = b"Allow: INVITE, OPTIONS\r\nServer: Tollgate\r\nContent-Length: 0\r\n\r\n";
const TRAFFIC_CLASS: u8 = 0x68;

const PLAIN: &str = "OPTIONS sip:10.10.1.2:5060 SIP/2.0\r\n\
    Via: SIP/2.0/UDP 192.0.2.7:5070;rport;branch=z9hG4bK-1\r\n\
    Max-Forwards: 70\r\n\
    From: \"probe\" <sip:probe@192.0.2.7>;tag=abc\r\n\
    To: <sip:10.10.1.2>\r\n\
    Call-ID: 1@192.0.2.7\r\n\
    CSeq: 17 OPTIONS\r\n\
    Contact: <sip:probe@192.0.2.7:5070>\r\n\
    Content-Length: 0\r\n\r\n";

fn from_port(source: &str, port: u16, payload: &[u8]) -> Vec<u8> {
    let builder = PacketBuilder::ethernet2([2; 6], [4; 6]);
    let builder = match ip(source) {
        IpAddr::V4(source) => builder.ipv4(source.octets(), [10, 10, 1, 2], 12),
        IpAddr::V6(source) => {
            let IpAddr::V6(own) = ip(OWN6) else { panic!("{OWN6}") };
            builder.ipv6(source.octets(), own.octets(), 12)
        }
    };
    let mut frame = Vec::new();
    builder.udp(port, SIP).write(&mut frame, payload).unwrap();
    frame
}

fn frame(source: &str, payload: &str) -> Vec<u8> {
    from_port(source, 5080, payload.as_bytes())
}

/// A guard whose worker on queue 0 can carry calls, and who trusts the peers.
fn open(pins: &std::path::Path) -> (Guard, guard::Socket, Greeter) {
    let (mut guard, socket) = Guard::with_socket(&plan(pins));
    for peer in [PEER, PEER6] {
        guard.maps.trust_add(&trust(peer)).unwrap();
    }
    let mut greeter = guard.attached.greeter(0).unwrap();
    greeter.greet(TAIL, TRAFFIC_CLASS, soon()).unwrap();
    (guard, socket, greeter)
}

fn soon() -> Duration {
    now() + Duration::from_secs(60)
}

/// What went back: the port it went to, and the message.
#[track_caller]
fn answer(guard: &Guard, frame: &[u8]) -> (u16, String) {
    let run = guard.tester.run(frame, None, 1).unwrap();
    assert_eq!(run.action, 3, "it is answered");
    let asked = SlicedPacket::from_ethernet(frame).unwrap();
    let said = SlicedPacket::from_ethernet(&run.frame).unwrap();
    assert_eq!((&run.frame[..6], &run.frame[6..12]), (&frame[6..12], &frame[..6]), "stations");
    let Some(TransportSlice::Udp(udp)) = said.transport else { panic!("{:?}", said.transport) };
    match (asked.net.unwrap(), said.net.unwrap()) {
        (NetSlice::Ipv4(asked), NetSlice::Ipv4(said)) => {
            let (asked, said) = (asked.header(), said.header());
            assert_eq!(said.source_addr(), asked.destination_addr());
            assert_eq!(said.destination_addr(), asked.source_addr());
            assert_eq!((said.ttl(), said.dont_fragment()), (64, true));
            assert_eq!(said.dcp().value() << 2, TRAFFIC_CLASS);
            assert_eq!(said.header_checksum(), said.to_header().calc_header_checksum());
            let sum = udp.to_header().calc_checksum_ipv4(&said.to_header(), udp.payload());
            assert_eq!(udp.checksum(), sum.unwrap());
        }
        (NetSlice::Ipv6(asked), NetSlice::Ipv6(said)) => {
            let (asked, said) = (asked.header(), said.header());
            assert_eq!(said.source_addr(), asked.destination_addr());
            assert_eq!(said.destination_addr(), asked.source_addr());
            assert_eq!((said.hop_limit(), said.traffic_class()), (64, TRAFFIC_CLASS));
            let sum = udp.to_header().calc_checksum_ipv6(&said.to_header(), udp.payload());
            assert_eq!(udp.checksum(), sum.unwrap());
        }
        nets => panic!("{nets:?}"),
    }
    assert_eq!(udp.source_port(), SIP);
    (udp.destination_port(), String::from_utf8(udp.payload().to_vec()).unwrap())
}

/// The answer without its tag, and the tag.
fn cut_tag(message: &str) -> (String, String) {
    let (before, behind) = message.split_once(";tag=").unwrap();
    let (middle, behind) = behind.split_once(";tag=").unwrap();
    let (tag, behind) = behind.split_once("\r\n").unwrap();
    (format!("{before};tag={middle}\r\n{behind}"), tag.to_owned())
}

#[test]
fn the_answer_repeats_the_request_and_ends_in_the_workers_words() {
    in_own_world(|pins| {
        let (guard, _socket, _greeter) = open(pins);
        for (peer, received) in [(PEER, PEER), (PEER6, "2001:db8:0:0:0:0:0:9")] {
            let (port, message) = answer(&guard, &frame(peer, PLAIN));
            assert_eq!(port, 5080, "rport asks for it");
            let (rest, tag) = cut_tag(&message);
            let wanted = format!(
                "SIP/2.0 200 OK\r\n\
                Via: SIP/2.0/UDP 192.0.2.7:5070;rport=5080;branch=z9hG4bK-1;received={received}\r\n\
                From: \"probe\" <sip:probe@192.0.2.7>;tag=abc\r\n\
                To: <sip:10.10.1.2>\r\nCall-ID: 1@192.0.2.7\r\nCSeq: 17 OPTIONS\r\n"
            );
            assert_eq!(rest, wanted + std::str::from_utf8(TAIL).unwrap());
            assert!(tag.len() == 16 && tag.bytes().all(|byte| byte.is_ascii_hexdigit()), "{tag}");
            assert_eq!(guard.judge(&frame(peer, PLAIN)), Reason::AnswerOptions);
        }
    });
}

#[test]
fn a_repeated_request_is_told_the_same_tag_and_another_another() {
    in_own_world(|pins| {
        let (guard, _socket, _greeter) = open(pins);
        let tag = |payload: &str| cut_tag(&answer(&guard, &frame(PEER, payload)).1).1;
        assert_eq!(tag(PLAIN), tag(PLAIN));
        let others = ["bK-1\r", "tag=abc", "Call-ID: 1", "CSeq: 17", "Content-Length: 0"];
        let news = ["bK-2\r", "tag=abd", "Call-ID: 2", "CSeq: 18", "Subject: 0"];
        for (old, new) in others.into_iter().zip(news) {
            assert_ne!(tag(PLAIN), tag(&PLAIN.replace(old, new)), "{new}");
        }
    });
}

#[test]
fn the_answer_goes_where_the_via_says() {
    in_own_world(|pins| {
        let (guard, _socket, _greeter) = open(pins);
        for (via, port, said) in [
            ("192.0.2.7:5070;rport;branch=z9", 5080, "192.0.2.7:5070;rport=5080;branch=z9"),
            ("192.0.2.7:5070;branch=z9;rport", 5080, "192.0.2.7:5070;branch=z9;rport=5080"),
            ("192.0.2.7:5070;branch=z9", 5070, "192.0.2.7:5070;branch=z9"),
            ("host.example;branch=z9", 5060, "host.example;branch=z9"),
            ("[2001:db8::7]:65535;branch=z9", 65_535, "[2001:db8::7]:65535;branch=z9"),
            ("[2001:db8::7];ttl=1;branch=z9", 5060, "[2001:db8::7];ttl=1;branch=z9"),
        ] {
            let asked = PLAIN.replace("192.0.2.7:5070;rport;branch=z9hG4bK-1", via);
            let (to, message) = answer(&guard, &frame(PEER, &asked));
            assert_eq!(to, port, "{via}");
            let wanted = format!("Via: SIP/2.0/UDP {said};received={PEER}\r\n");
            assert!(message.contains(&wanted), "{message}");
        }
    });
}

#[test]
fn other_spellings_of_the_same_are_answered_too() {
    in_own_world(|pins| {
        let (guard, _socket, _greeter) = open(pins);
        let compact = PLAIN
            .replace("Via:", "v:")
            .replace("From:", "f:")
            .replace("To:", "t:")
            .replace("Call-ID:", "i:")
            .replace("Content-Length:", "l:");
        let long = format!("X: {}\r\nCall-ID", "x".repeat(900 - PLAIN.len() - 5));
        let long = PLAIN.replace("Call-ID", &long);
        assert_eq!(long.len(), 900);
        for asked in [
            PLAIN.to_owned(),
            compact,
            long,
            format!("\r\n\r\n{PLAIN}"),
            PLAIN.to_uppercase().replace("SIP:10.10", "sip:10.10"),
            PLAIN.replace("Content-Length: 0\r\n", ""),
            PLAIN.replace("To: <sip:10.10.1.2>", "To: sip:10.10.1.2"),
            PLAIN.replace("OPTIONS sip:", "OPTIONS sips:"),
            PLAIN.replace(": ", ":"),
        ] {
            let asked = frame(PEER, &asked);
            assert_eq!(guard.judge(&asked), Reason::AnswerOptions, "{asked:?}");
        }
    });
}

#[test]
fn whatever_is_not_plain_is_the_workers() {
    in_own_world(|pins| {
        let (guard, _socket, _greeter) = open(pins);
        let via = "Via: SIP/2.0/UDP 192.0.2.7:5070;rport;branch=z9hG4bK-1\r\n";
        let with = |line: &str| PLAIN.replace("Max-Forwards: 70\r\n", line);
        for asked in [
            PLAIN.replace("To: <sip:10.10.1.2>", "To: <sip:10.10.1.2>;tag=x"),
            PLAIN.replace("To: <sip:10.10.1.2>", "To: sip:10.10.1.2;tag=x"),
            PLAIN.replace("To: <sip:10.10.1.2>", "To: <sip:10.10.1.2> ; tag=x"),
            PLAIN.replace(";tag=abc", ""),
            PLAIN.replace(via, &via.repeat(2)),
            PLAIN.replace(via, ""),
            PLAIN.replace(";rport", ";rport=9"),
            PLAIN.replace(";rport", ";rport;rport"),
            PLAIN.replace(";rport", ";received=1.1.1.1"),
            PLAIN.replace(";rport", ";maddr=1.1.1.1"),
            PLAIN.replace(";branch=z9hG4bK-1", ""),
            PLAIN.replace(";branch=z9hG4bK-1", ";branch=z9, SIP/2.0/UDP 1.1.1.1;branch=z8"),
            PLAIN.replace(":5070;", ":0;"),
            PLAIN.replace(":5070;", ":65536;"),
            PLAIN.replace(":5070;", ":x;"),
            PLAIN.replace("Via: SIP/2.0/UDP", "Via: SIP/2.0/TCP"),
            PLAIN.replace("Via: ", "Via : "),
            PLAIN.replace("To: ", "To : "),
            PLAIN.replace("CSeq: 17 OPTIONS", "CSeq: 17 INVITE"),
            PLAIN.replace("CSeq: 17 OPTIONS", "CSeq: 1x7 OPTIONS"),
            PLAIN.replace("CSeq: 17 OPTIONS", "CSeq: OPTIONS"),
            PLAIN.replace("Call-ID: 1@192.0.2.7\r\n", ""),
            PLAIN.replace("Call-ID: 1@192.0.2.7\r\n", "Call-ID: 1@192.0.2.7\r\nCall-ID: 2\r\n"),
            PLAIN.replace("OPTIONS sip:10.10.1.2:5060", "OPTIONS tel:44"),
            PLAIN.replace("OPTIONS sip:10.10.1.2:5060", "OPTIONS  sip:10.10.1.2"),
            PLAIN.replace(" SIP/2.0\r\n", " SIP/3.0\r\n"),
            PLAIN.replace("Content-Length: 0", "Content-Length: 3"),
            PLAIN.replace("Content-Length: 0", "Content-Encoding: gzip"),
            PLAIN.replace("\r\n\r\n", "\r\n\r\nv=0"),
            PLAIN.replace("\r\n\r\n", "\r\n"),
            PLAIN.replace("Max-Forwards: 70\r\n", "X: a\r\n b\r\n"),
            PLAIN.replace("Max-Forwards: 70\r\n", "X: a\nb\r\n"),
            PLAIN.replace("Max-Forwards: 70\r\n", "X: a\0b\r\n"),
            with("Require: 100rel\r\n"),
            with("Proxy-Require: foo\r\n"),
            with("Route: <sip:1.1.1.1;lr>\r\n"),
            with("Authorization: Digest a=b\r\n"),
            with("Content-Type: application/sdp\r\n"),
            with("c: application/sdp\r\n"),
            with(&format!("X: {}\r\n", "x".repeat(900))),
        ] {
            assert_eq!(guard.judge(&frame(PEER, &asked)), Reason::WorkerSip, "{asked}");
        }
        for length in 4..PLAIN.len() {
            let cut = frame(PEER, &PLAIN[..length]);
            assert_ne!(guard.judge(&cut), Reason::AnswerOptions, "cut at {length}");
        }
    });
}

#[test]
fn only_peers_are_answered_and_only_while_the_worker_says_so() {
    in_own_world(|pins| {
        let (mut guard, _socket, mut greeter) = open(pins);
        let asked = frame(PEER, PLAIN);
        let stranger = frame("203.0.113.10", PLAIN);
        assert_eq!(guard.judge(&stranger), Reason::WorkerSip, "strangers have no part in it");
        let regular = Regular { address: ip("203.0.113.10"), contacts: 1, not_after: soon() };
        guard.maps.regular_set(&regular).unwrap();
        assert_eq!(guard.judge(&stranger), Reason::AnswerOptions, "he registered");

        greeter.rest().unwrap();
        assert_eq!(guard.judge(&asked), Reason::WorkerSip, "no calls can be carried");
        greeter.greet(TAIL, 0, now() - Duration::from_millis(1)).unwrap();
        assert_eq!(guard.judge(&asked), Reason::WorkerSip, "it has not been heard since");
        greeter.greet(b"Server: x\r\n\r\n", TRAFFIC_CLASS, soon()).unwrap();
        assert_eq!(guard.judge(&asked), Reason::WorkerSip, "the old text goes first");
        greeter.greet(b"Server: x\r\n\r\n", TRAFFIC_CLASS, soon()).unwrap();
        assert!(answer(&guard, &asked).1.ends_with("\r\nServer: x\r\n\r\n"));
        greeter.greet(&[b'x'; Greeter::BYTES_MAX + 1], 0, soon()).unwrap();
        assert_eq!(guard.judge(&asked), Reason::WorkerSip, "a text that is too long is none");
        greeter.greet(TAIL, 0, soon()).unwrap();

        drop(guard.attached.greeter(0).unwrap());
        assert_eq!(guard.judge(&frame(PEER6, PLAIN)), Reason::WorkerSip, "a worker that begins");
    });
}

#[test]
fn an_explanation_says_that_it_would_be_answered_and_answers_nothing() {
    in_own_world(|pins| {
        let (guard, _socket, _greeter) = open(pins);
        let described = Described {
            source: ip(PEER),
            destination: ip(OWN4),
            protocol: Protocol::Udp { source_port: 5080, port: SIP },
            payload: PLAIN.into(),
            vlans: Vec::new(),
            interface: None,
            queue: 0,
        };
        assert_eq!(guard.maps.explain(&described).unwrap().reason, Reason::AnswerOptions);
    });
}

#[test]
fn tagged_frames_and_padded_ones_are_answered_as_they_came() {
    in_own_world(|pins| {
        let (guard, _socket, _greeter) = open(pins);
        let mut tagged = frame(PEER, PLAIN);
        tagged.splice(12..12, [0x81, 0x00, 0x00, 0x07]);
        let run = guard.tester.run(&tagged, None, 1).unwrap();
        assert_eq!((run.action, &run.frame[12..16]), (3, &[0x81, 0x00, 0x00, 0x07][..]));
        let mut padded = frame(PEER, PLAIN);
        padded.extend([0; 700]);
        assert!(answer(&guard, &padded).1.starts_with("SIP/2.0 200 OK\r\n"));
        let mut group = frame(PEER, PLAIN);
        group[0] = 1;
        assert_eq!(guard.judge(&group), Reason::WorkerSip, "not to us alone");
    });
}
