//! Refusals that the sender hears of, in the running kernel by test-run; a foreign parser reads the answers.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod guard;

use std::net::IpAddr;
use std::path::Path;

use etherparse::{
    Icmpv4Header, Icmpv4Type, Icmpv6Header, Icmpv6Type, NetSlice, PacketBuilder, SlicedPacket,
    TransportSlice, icmpv4, icmpv6,
};
use guard::{Guard, OWN4, OWN6, SIP, Socket, free, in_own_world, ip, plan};
use xdp_prog::{Described, Limits, Ports, Protocol, Rate, Reason, Verdict};

const STRANGER: &str = "203.0.113.9";
const STRANGER6: &str = "2001:db8::9";
const CLOSED: u16 = 9;
const OPTIONS: &[u8] = b"OPTIONS sip:10.10.1.2 SIP/2.0\r\n\r\n";

fn udp(source: &str, from: u16, port: u16, payload: &[u8]) -> Vec<u8> {
    let builder = PacketBuilder::ethernet2([2; 6], [4; 6]);
    let builder = match (ip(source), ip(OWN4), ip(OWN6)) {
        (IpAddr::V4(source), IpAddr::V4(own), _) => builder.ipv4(source.octets(), own.octets(), 64),
        (IpAddr::V6(source), _, IpAddr::V6(own)) => builder.ipv6(source.octets(), own.octets(), 64),
        _ => panic!("two families"),
    };
    let mut frame = Vec::new();
    builder.udp(from, port).write(&mut frame, payload).unwrap();
    frame
}

/// A guard that refuses so, with closed ports and two flows for each stranger.
fn refusing(pins: &Path, refuses: bool, refusals: Rate) -> (Guard, Socket) {
    let (mut guard, socket) = Guard::with_socket(&plan(pins));
    let limits = Limits { flows: 2, network_flows: 3, refuses, refusals, ..free() };
    guard.maps.set_limits(&limits).unwrap();
    guard.maps.set_ports(&Ports { closed: true, ..Ports::default() }).unwrap();
    (guard, socket)
}

/// What of `frame`, which is answered, is quoted.
#[track_caller]
fn quoted(guard: &Guard, frame: &[u8]) -> Vec<u8> {
    let run = guard.tester.run(frame, None, 1).unwrap();
    assert_eq!(run.action, 3, "it is answered");
    let ethernet = SlicedPacket::from_ethernet(frame).unwrap();
    let said = SlicedPacket::from_ethernet(&run.frame).unwrap();
    assert_eq!((&run.frame[..6], &run.frame[6..12]), (&frame[6..12], &frame[..6]), "stations");
    match (ethernet.net.unwrap(), said.net.unwrap(), said.transport.unwrap()) {
        (NetSlice::Ipv4(asked), NetSlice::Ipv4(ip), TransportSlice::Icmpv4(icmp)) => {
            let (asked, header) = (asked.header(), ip.header());
            assert_eq!(header.source_addr(), asked.destination_addr());
            assert_eq!(header.destination_addr(), asked.source_addr());
            assert_eq!((header.ttl(), header.dont_fragment()), (64, true));
            assert_eq!(header.header_checksum(), header.to_header().calc_header_checksum());
            assert!(header.total_len() <= 576);
            assert_eq!(run.frame.len(), 14 + usize::from(header.total_len()));
            let port = Icmpv4Type::DestinationUnreachable(icmpv4::DestUnreachableHeader::Port);
            assert_eq!(icmp.icmp_type(), port);
            let summed = Icmpv4Header::with_checksum(port, icmp.payload());
            assert_eq!(icmp.checksum(), summed.checksum);
            icmp.payload().to_vec()
        }
        (NetSlice::Ipv6(asked), NetSlice::Ipv6(ip), TransportSlice::Icmpv6(icmp)) => {
            let (asked, header) = (asked.header(), ip.header());
            assert_eq!(header.source_addr(), asked.destination_addr());
            assert_eq!(header.destination_addr(), asked.source_addr());
            assert_eq!(header.hop_limit(), 64);
            assert!(40 + header.payload_length() <= 1280);
            assert_eq!(run.frame.len(), 54 + usize::from(header.payload_length()));
            let port = Icmpv6Type::DestinationUnreachable(icmpv6::DestUnreachableCode::Port);
            assert_eq!(icmp.icmp_type(), port);
            let (from, to) = (header.source(), header.destination());
            let summed = Icmpv6Header::with_checksum(port, from, to, icmp.payload()).unwrap();
            assert_eq!(icmp.checksum(), summed.checksum);
            icmp.payload().to_vec()
        }
        said => panic!("{said:?}"),
    }
}

#[test]
fn a_closed_port_and_too_many_flows_are_told_where_that_is_wanted() {
    in_own_world(|pins| {
        let (guard, _socket) = refusing(pins, true, Rate::NONE);
        for source in [STRANGER, STRANGER6] {
            for length in [0, 1, 2, 3, 4, 5, 100, 507, 508, 509, 1_200, 1_400] {
                let frame = udp(source, 5080, CLOSED, &vec![7; length]);
                assert_eq!(guard.judge(&frame), Reason::AnswerUnreachable);
                let quote = quoted(&guard, &frame);
                let most = if source == STRANGER { 548 } else { 1_232 };
                assert_eq!(quote, frame[14..].iter().copied().take(most).collect::<Vec<_>>());
            }
            for from in [1, 2] {
                assert_eq!(guard.judge(&udp(source, from, SIP, OPTIONS)), Reason::WorkerSip);
            }
            let third = udp(source, 3, SIP, OPTIONS);
            assert_eq!(guard.judge(&third), Reason::AnswerUnreachable, "flows of an address");
            assert_eq!(quoted(&guard, &third), third[14..]);
        }
        assert_eq!(guard.judge(&udp("203.0.113.10", 1, SIP, OPTIONS)), Reason::WorkerSip);
        let fourth = udp("203.0.113.11", 1, SIP, OPTIONS);
        assert_eq!(guard.judge(&fourth), Reason::AnswerUnreachable, "flows of a network");
        let tagged = {
            let mut frame = udp(STRANGER, 5080, CLOSED, b"x");
            frame.splice(12..12, [0x81, 0, 0, 7]);
            frame
        };
        let run = guard.tester.run(&tagged, None, 1).unwrap();
        assert_eq!((run.action, &run.frame[12..16]), (3, &[0x81, 0, 0, 7][..]), "as it came");
        let mut padded = udp(STRANGER, 5080, CLOSED, b"x");
        padded.extend([0; 31]);
        assert_eq!(quoted(&guard, &padded), padded[14..14 + 29], "nothing behind the datagram");
    });
}

#[test]
fn why_each_of_them_is_told_is_counted_beside_that_it_was() {
    in_own_world(|pins| {
        let (guard, _socket) = refusing(pins, true, "1/60s burst 4".parse().unwrap());
        for from in [1, 2, 3] {
            guard.judge(&udp(STRANGER, 5080, CLOSED, &[7; 9]));
            guard.judge(&udp(STRANGER, from, SIP, OPTIONS));
        }
        // The fifth is not told any more, and is what it is.
        guard.judge(&udp(STRANGER, 5080, CLOSED, b"x"));
        let packets = |reason: Reason| {
            let counts = guard.maps.counters().unwrap()[reason as usize].packets;
            (counts, guard.maps.spared().unwrap()[reason as usize].packets)
        };
        assert_eq!(packets(Reason::AnswerUnreachable), (4, 0));
        assert_eq!(packets(Reason::DropPort), (1, 3));
        assert_eq!(packets(Reason::DropFlows), (0, 1));
        let all: u64 = guard.maps.counters().unwrap().iter().map(|count| count.packets).sum();
        assert_eq!(all, 7, "each frame stands there once");
    });
}

#[test]
fn by_itself_it_meets_silence() {
    in_own_world(|pins| {
        let (guard, _socket) = refusing(pins, false, Rate::NONE);
        assert_eq!(guard.judge(&udp(STRANGER, 5080, CLOSED, b"x")), Reason::DropPort);
        assert_eq!(guard.judge(&udp(STRANGER, 1, SIP, OPTIONS)), Reason::WorkerSip);
        assert_eq!(guard.judge(&udp(STRANGER, 2, SIP, OPTIONS)), Reason::WorkerSip);
        assert_eq!(guard.judge(&udp(STRANGER, 3, SIP, OPTIONS)), Reason::DropFlows);
    });
}

#[test]
fn all_of_them_together_are_told_only_so_often() {
    in_own_world(|pins| {
        let rate = "1/60s burst 3".parse().unwrap();
        let (guard, _socket) = refusing(pins, true, rate);
        let frames = (0..20).map(|host| udp(&format!("198.51.{host}.1"), 1, CLOSED, b"x"));
        let said: Vec<Reason> = frames.map(|frame| guard.judge(&frame)).collect();
        assert_eq!(said[..3], [Reason::AnswerUnreachable; 3]);
        assert_eq!(said[3..], [Reason::DropPort; 17]);
        assert_eq!(
            guard.judge(&udp(STRANGER6, 1, CLOSED, b"x")),
            Reason::DropPort,
            "either family"
        );
    });
}

#[test]
fn what_must_not_be_answered_is_not() {
    in_own_world(|pins| {
        let (mut guard, _socket) = refusing(pins, true, Rate::NONE);
        let frame = udp(STRANGER, 5080, CLOSED, b"x");
        let edited = |at: usize, byte: u8| {
            let mut frame = frame.clone();
            frame[at] = byte;
            guard.judge(&frame)
        };
        assert_eq!(edited(0, 1), Reason::DropPort, "to a group of stations");
        assert_eq!(edited(14 + 6, 0x20), Reason::PassFragment, "a first fragment");
        assert_eq!(edited(14 + 7, 1), Reason::PassFragment, "a later one");
        assert_eq!(edited(14 + 9, 1), Reason::PassIcmp);
        assert_eq!(edited(14 + 9, 132), Reason::DropPort, "another protocol");
        assert_eq!(edited(26, 224), Reason::DropIpSource, "from a group");
        assert_eq!(edited(30, 11), Reason::PassForeign, "not to us");
        // Other refusals are silent, whoever he is.
        let never = Rate::NEVER;
        let limits = Limits { stranger: [never; 6], refuses: true, ..free() };
        guard.maps.set_limits(&limits).unwrap();
        let options = udp(STRANGER, 5080, SIP, OPTIONS);
        assert_eq!(guard.judge(&options), Reason::DropOptionsBudget);
        guard.maps.set_limits(&Limits { monitor: true, ..limits }).unwrap();
        assert_eq!(guard.judge(&frame), Reason::PassPort, "nothing is refused in monitor mode");
    });
}

#[test]
fn an_explanation_says_what_is_told_and_why_and_spends_nothing() {
    in_own_world(|pins| {
        let (guard, _socket) = refusing(pins, true, "1/60s burst 1".parse().unwrap());
        let described = Described {
            source: ip(STRANGER),
            destination: ip(OWN4),
            protocol: Protocol::Udp { source_port: 5080, port: CLOSED },
            payload: b"x".to_vec(),
            vlans: Vec::new(),
            interface: None,
            queue: 0,
        };
        for _ in 0..3 {
            let explained = guard.maps.explain(&described).unwrap();
            assert_eq!(explained.verdict, Verdict::Answer);
            assert_eq!(explained.to_string(), "answer: answer_unreachable, refused drop_port");
        }
        let frame = udp(STRANGER, 5080, CLOSED, b"x");
        assert_eq!(guard.judge(&frame), Reason::AnswerUnreachable);
        assert_eq!(guard.judge(&frame), Reason::DropPort);
        assert_eq!(guard.maps.explain(&described).unwrap().to_string(), "drop: drop_port");
        // For people he was dropped both times.
        let talkers = guard.maps.talkers().unwrap();
        let talker = talkers.iter().find(|talker| talker.source == ip(STRANGER)).unwrap();
        assert_eq!((talker.packets, talker.dropped), (2, 2));
    });
}
