//! Described frames in, verdict, reason and counter out, in the running kernel by test-run.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod guard;
#[path = "verdicts/lists.rs"]
mod lists;

use std::net::IpAddr;
use std::os::fd::AsFd;
use std::time::Duration;

use etherparse::PacketBuilder;
use guard::{Guard, MEDIA, OWN4, OWN6, SIP, in_own_world, ip, now, plan, trust};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use xdp_prog::{
    Deliver, Deny, Described, Error, Meter, Prefix, Pricer, Protocol, Reason, Rule, Twin, Verdict,
};

const STRANGER4: &str = "203.0.113.9";
const STRANGER6: &str = "2001:db8::9";
const ETHERNET: usize = 14;
const INVITE: &[u8] = b"INVITE sip:1@10.10.1.2 SIP/2.0\r\n\r\n";
const OPTIONS: &[u8] = b"OPTIONS sip:10.10.1.2 SIP/2.0\r\n\r\n";

/// A UDP frame between addresses of one family, written by a foreign hand.
fn udp(source: &str, destination: &str, port: u16, payload: &[u8]) -> Vec<u8> {
    let ethernet = PacketBuilder::ethernet2([2; 6], [4; 6]);
    let ip = match (ip(source), ip(destination)) {
        (IpAddr::V4(source), IpAddr::V4(destination)) => {
            ethernet.ipv4(source.octets(), destination.octets(), 64)
        }
        (IpAddr::V6(source), IpAddr::V6(destination)) => {
            ethernet.ipv6(source.octets(), destination.octets(), 64)
        }
        _ => panic!("two families"),
    };
    let mut frame = Vec::new();
    ip.udp(5080, port).write(&mut frame, payload).unwrap();
    frame
}

fn sip4(payload: &[u8]) -> Vec<u8> {
    udp(STRANGER4, OWN4, SIP, payload)
}

fn sip6(payload: &[u8]) -> Vec<u8> {
    udp(STRANGER6, OWN6, SIP, payload)
}

/// The same frame with VLAN tags of these types before its EtherType.
fn tagged(frame: &[u8], types: &[u16]) -> Vec<u8> {
    let mut tagged = frame[..12].to_vec();
    for kind in types {
        tagged.extend(kind.to_be_bytes());
        tagged.extend([0, 7]);
    }
    tagged.extend(&frame[12..]);
    tagged
}

/// The same IPv4 frame with `bytes` of options, a multiple of four.
fn with_options(frame: &[u8], bytes: usize) -> Vec<u8> {
    let mut longer = frame.to_vec();
    longer.splice(ETHERNET + 20..ETHERNET + 20, vec![1; bytes]);
    longer[ETHERNET] = 0x45 + (bytes / 4) as u8;
    let total = (longer.len() - ETHERNET) as u16;
    longer[ETHERNET + 2..ETHERNET + 4].copy_from_slice(&total.to_be_bytes());
    longer
}

/// The same IPv6 frame with extension headers (type, bytes behind the next-header byte).
fn with_extensions(frame: &[u8], extensions: &[(u8, &[u8])]) -> Vec<u8> {
    let mut head = frame[..ETHERNET + 40].to_vec();
    let mut next = ETHERNET + 6;
    for (kind, body) in extensions {
        let following = head[next];
        head[next] = *kind;
        next = head.len();
        head.push(following);
        head.extend(*body);
    }
    let payload = (head.len() - ETHERNET - 40 + frame.len() - ETHERNET - 40) as u16;
    head[ETHERNET + 4..ETHERNET + 6].copy_from_slice(&payload.to_be_bytes());
    head.extend(&frame[ETHERNET + 40..]);
    head
}

const HOP_BY_HOP: (u8, &[u8]) = (0, &[0, 1, 4, 0, 0, 0, 0]);
const DESTINATION: (u8, &[u8]) = (60, &[1, 1, 12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
const ROUTING: (u8, &[u8]) = (43, &[0, 4, 0, 0, 0, 0, 0]);
const AUTHENTICATION: (u8, &[u8]) = (51, &[1, 0, 0, 0, 0, 0, 1, 0, 0, 0, 1]);
const HEADERS: [(u8, &[u8]); 7] = [
    HOP_BY_HOP,
    ROUTING,
    DESTINATION,
    AUTHENTICATION,
    (135, &[0, 0, 0, 0, 0, 0, 0]),
    (139, &[0, 0, 0, 0, 0, 0, 0]),
    (140, &[0, 0, 0, 0, 0, 0, 0]),
];
const FIRST_FRAGMENT: (u8, &[u8]) = (44, &[0, 0, 1, 0, 0, 0, 9]);
const LATER_FRAGMENT: (u8, &[u8]) = (44, &[0, 0, 8, 0, 0, 0, 9]);

fn edited(mut frame: Vec<u8>, at: usize, bytes: &[u8]) -> Vec<u8> {
    frame[at..at + bytes.len()].copy_from_slice(bytes);
    frame
}

fn deny(text: &str) -> Deny {
    Deny { prefix: text.parse().unwrap(), not_after: None }
}

fn prefix(text: &str) -> Prefix {
    text.parse().unwrap()
}

#[test]
fn every_kind_of_frame_leaves_by_its_own_door() {
    in_own_world(|pins| {
        use Reason::*;
        let (guard, _socket) = Guard::with_socket(&plan(pins));
        let rtp = [0x80u8; 172];
        let media4 = || udp(STRANGER4, OWN4, MEDIA.0, &rtp);
        let media6 = || udp(STRANGER6, OWN6, MEDIA.1, &rtp);
        let ipv4 = |protocol: u8| edited(sip4(INVITE), ETHERNET + 9, &[protocol]);
        let ipv6 = |protocol: u8| edited(sip6(INVITE), ETHERNET + 6, &[protocol]);
        // Behind the eight bytes that were UDP's: the rest of a TCP header, and room for one option.
        let segment = |words: u8| [[0; 4], [words << 4, 0, 0, 0], [0; 4], [0; 4]].concat();
        let tcp4 = |words: u8| edited(sip4(&segment(words)), ETHERNET + 9, &[6]);
        let tcp6 = |words: u8| edited(sip6(&segment(words)), ETHERNET + 6, &[6]);
        let neighbor = |kind: u8, hops: u8| {
            let frame = edited(sip6(&[0; 24]), ETHERNET + 6, &[58, hops]);
            edited(frame, ETHERNET + 40, &[kind])
        };

        let cases: Vec<(&str, Vec<u8>, Reason)> = vec![
            ("SIP", sip4(INVITE), WorkerSip),
            ("SIP over IPv6", sip6(INVITE), WorkerSip),
            ("empty SIP", sip4(b""), WorkerSip),
            ("a keep-alive of two line ends", sip4(b"\r\n\r\n"), WorkerSip),
            ("RTP", media4(), WorkerMedia),
            ("RTP over IPv6", media6(), WorkerMedia),
            ("the port before media", udp(STRANGER4, OWN4, MEDIA.0 - 1, &rtp), PassPort),
            ("the port after media", udp(STRANGER4, OWN4, MEDIA.1 + 1, &rtp), PassPort),
            ("one VLAN tag", tagged(&sip4(INVITE), &[0x8100]), WorkerSip),
            ("two VLAN tags", tagged(&sip6(INVITE), &[0x88a8, 0x8100]), WorkerSip),
            ("three VLAN tags", tagged(&sip4(INVITE), &[0x88a8, 0x8100, 0x8100]), PassNotIp),
            ("IPv4 options", with_options(&sip4(INVITE), 8), WorkerSip),
            ("all the IPv4 options", with_options(&sip4(INVITE), 40), WorkerSip),
            ("padding behind the datagram", [sip4(INVITE), vec![0; 18]].concat(), WorkerSip),
            ("hop-by-hop options", with_extensions(&sip6(INVITE), &[HOP_BY_HOP]), WorkerSip),
            (
                "five extension headers",
                with_extensions(
                    &sip6(INVITE),
                    &[HOP_BY_HOP, DESTINATION, ROUTING, AUTHENTICATION, DESTINATION],
                ),
                WorkerSip,
            ),
            (
                "six extension headers",
                with_extensions(&sip6(INVITE), &[HOP_BY_HOP; 6]),
                DropIpExtensions,
            ),
            (
                "an extension header longer than the packet",
                with_extensions(&sip6(INVITE), &[(0, &[200, 0, 0, 0, 0, 0, 0])]),
                DropIpExtensions,
            ),
            ("ARP", edited(sip4(INVITE), 12, &[0x08, 0x06]), PassNotIp),
            ("an old length-type frame", edited(sip4(INVITE), 12, &[0, 60]), PassNotIp),
            ("TCP", tcp4(5), PassTcp),
            ("TCP with an option", tcp4(6), PassTcp),
            ("TCP over IPv6", tcp6(5), PassTcp),
            ("TCP of four words", tcp4(4), DropTcpLength),
            ("TCP whose options pass the packet's end", tcp4(7), DropTcpLength),
            ("TCP over IPv6 whose options pass the packet's end", tcp6(15), DropTcpLength),
            (
                "IPv4 that ends in its TCP header",
                edited(tcp4(5), ETHERNET + 2, &[0, 39]),
                DropTcpShort,
            ),
            (
                "IPv6 that ends in its TCP header",
                edited(tcp6(5), ETHERNET + 4, &[0, 19]),
                DropTcpShort,
            ),
            ("ICMP", ipv4(1), PassIcmp),
            ("ICMPv6", ipv6(58), PassIcmp),
            ("GRE", ipv4(47), PassProtocol),
            ("ESP over IPv6", ipv6(50), PassProtocol),
            ("no next header", ipv6(59), PassProtocol),
            ("a neighbour", neighbor(135, 255), PassNeighbor),
            ("a neighbour from afar", neighbor(135, 64), PassIcmp),
            ("an echo with hop limit 255", neighbor(128, 255), PassIcmp),
            ("a foreign destination", udp(STRANGER4, "10.10.1.3", SIP, INVITE), PassForeign),
            ("a foreign IPv6 destination", udp(STRANGER6, "fd10:1::3", SIP, INVITE), PassForeign),
            (
                "an IPv6 destination like our IPv4",
                udp(STRANGER6, "a0a:102::", SIP, INVITE),
                PassForeign,
            ),
            ("IPv4 in an IPv6 frame", edited(sip6(INVITE), ETHERNET, &[0x45]), DropIpHeader),
            ("IPv6 in an IPv4 frame", edited(sip4(INVITE), ETHERNET, &[0x65]), DropIpHeader),
            ("an IPv4 header of four words", edited(sip4(INVITE), ETHERNET, &[0x44]), DropIpHeader),
            (
                "IPv4 longer than its frame",
                edited(sip4(INVITE), ETHERNET + 2, &[0xff; 2]),
                DropIpLength,
            ),
            (
                "IPv4 shorter than its header",
                edited(sip4(INVITE), ETHERNET + 2, &[0, 19]),
                DropIpLength,
            ),
            ("options past the total length", edited(sip4(b""), ETHERNET, &[0x4f]), DropIpLength),
            (
                "IPv6 longer than its frame",
                edited(sip6(INVITE), ETHERNET + 4, &[0xff; 2]),
                DropIpLength,
            ),
            (
                "IPv4 that ends in its UDP header",
                edited(sip4(INVITE), ETHERNET + 2, &[0, 27]),
                DropUdpShort,
            ),
            (
                "IPv6 that ends in its UDP header",
                edited(sip6(INVITE), ETHERNET + 4, &[0, 7]),
                DropUdpShort,
            ),
            (
                "UDP longer than its packet",
                edited(sip4(INVITE), ETHERNET + 24, &[1, 0]),
                DropUdpLength,
            ),
            (
                "UDP shorter than its header",
                edited(sip4(INVITE), ETHERNET + 24, &[0, 7]),
                DropUdpLength,
            ),
            (
                "UDP of length zero over IPv6",
                edited(sip6(INVITE), ETHERNET + 44, &[0, 0]),
                DropUdpLength,
            ),
            (
                "a first fragment of SIP",
                edited(sip4(INVITE), ETHERNET + 6, &[0x20, 0]),
                PassFragment,
            ),
            ("a later fragment", edited(sip4(INVITE), ETHERNET + 6, &[0, 100]), PassFragment),
            (
                "a first fragment of media",
                edited(media4(), ETHERNET + 6, &[0x20, 0]),
                DropMediaFragment,
            ),
            (
                "a later fragment of anything",
                edited(media4(), ETHERNET + 6, &[0x20, 9]),
                PassFragment,
            ),
            ("do not fragment", edited(sip4(INVITE), ETHERNET + 6, &[0x40, 0]), WorkerSip),
            (
                "a first IPv6 fragment",
                with_extensions(&sip6(INVITE), &[FIRST_FRAGMENT]),
                PassFragment,
            ),
            (
                "a later IPv6 fragment",
                with_extensions(&sip6(INVITE), &[LATER_FRAGMENT]),
                PassFragment,
            ),
            (
                "a first IPv6 fragment of media",
                with_extensions(&media6(), &[HOP_BY_HOP, FIRST_FRAGMENT]),
                DropMediaFragment,
            ),
            ("ourselves", udp(OWN4, OWN4, SIP, INVITE), DropIpSource),
            ("ourselves over IPv6", udp(OWN6, OWN6, SIP, INVITE), DropIpSource),
            ("loopback", udp("127.0.0.1", OWN4, SIP, INVITE), DropIpSource),
            ("nobody", udp("0.0.0.0", OWN4, SIP, INVITE), DropIpSource),
            ("a group", udp("224.0.0.1", OWN4, SIP, INVITE), DropIpSource),
            ("everybody", udp("255.255.255.255", OWN4, SIP, INVITE), DropIpSource),
            ("IPv6 loopback", udp("::1", OWN6, SIP, INVITE), DropIpSource),
            ("IPv6 nobody", udp("::", OWN6, SIP, INVITE), DropIpSource),
            ("an IPv6 group", udp("ff02::1", OWN6, SIP, INVITE), DropIpSource),
            ("IPv4 mapped into IPv6", udp("::ffff:1.2.3.4", OWN6, SIP, INVITE), DropIpSource),
        ];
        for (name, frame, reason) in cases {
            assert_eq!(guard.judge(&frame), reason, "{name}");
        }
    });
}

#[test]
fn a_frame_cut_anywhere_is_counted_and_never_reaches_a_worker() {
    in_own_world(|pins| {
        let (guard, _socket) = Guard::with_socket(&plan(pins));
        let whole = [
            sip4(INVITE),
            sip6(INVITE),
            tagged(&sip4(OPTIONS), &[0x88a8, 0x8100]),
            with_options(&sip4(INVITE), 12),
            with_extensions(&sip6(OPTIONS), &[HOP_BY_HOP, DESTINATION, AUTHENTICATION]),
        ];
        for frame in whole {
            assert_eq!(guard.judge(&frame), Reason::WorkerSip);
            for length in ETHERNET..frame.len() {
                let reason = guard.judge(&frame[..length]);
                assert!(reason.drops(), "{length} bytes: {reason:?}");
            }
        }
    });
}

#[test]
fn a_worker_reads_what_it_gets_behind_any_extension_headers() {
    in_own_world(|pins| {
        let (guard, _socket) = Guard::with_socket(&plan(pins));
        let mut dice = StdRng::seed_from_u64(0x1BF6);
        let mut walked = [0; 7];
        for _ in 0..2_000 {
            let count = dice.random_range(0..=6);
            let chain: Vec<_> =
                (0..count).map(|_| HEADERS[dice.random_range(0..HEADERS.len())]).collect();
            let frame = with_extensions(&sip6(INVITE), &chain);
            let read = wire::datagram::parse(&frame);
            if guard.judge(&frame) == Reason::WorkerSip {
                assert_eq!(read.unwrap().payload(&frame), INVITE, "{chain:?}");
                walked[count] += 1;
            } else {
                assert!(read.is_err(), "{chain:?}");
            }
        }
        assert!(walked[..=5].iter().all(|&times| times > 100), "{walked:?}");
        assert_eq!(walked[6], 0);
    });
}

#[test]
fn no_sip_is_let_in_before_the_rules_are_written() {
    in_own_world(|pins| {
        let guard = Guard::as_loaded(&plan(pins));
        let socket = guard::Socket::new();
        guard.attached.set_socket(0, 0, socket.0.as_fd()).unwrap();
        let twin = Twin::open(pins).unwrap();
        let said = || twin.judge(now(), ip(STRANGER4), OPTIONS).unwrap();
        assert_eq!(guard.judge(&sip4(OPTIONS)), Reason::DropBeforeRules);
        assert_eq!(guard.judge(&sip6(OPTIONS)), Reason::DropBeforeRules);
        assert_eq!(said(), Reason::DropBeforeRules);
        assert_eq!(twin.judge_source(now(), ip(STRANGER6)).unwrap(), Reason::DropBeforeRules);
        assert_eq!(
            guard.judge(&udp(STRANGER4, OWN4, 123, b"what SSH is to TCP")),
            Reason::PassPort
        );
        guard.maps.admit().unwrap();
        assert_eq!(guard.judge(&sip4(OPTIONS)), Reason::WorkerSip);
        assert_eq!(said(), Reason::WorkerSip);
        let again = Guard::as_loaded(&plan(pins));
        assert!(again.maps.admits().unwrap(), "tables that are kept keep their rules");
    });
}

#[test]
fn a_source_over_its_budget_of_options_loses_only_those() {
    in_own_world(|pins| {
        let (mut guard, _socket) = Guard::with_socket(&plan(pins));
        guard.limit(Meter::Options, 1, 3);
        for _ in 0..3 {
            assert_eq!(guard.judge(&sip4(OPTIONS)), Reason::WorkerSip);
        }
        for _ in 0..10 {
            assert_eq!(guard.judge(&sip4(OPTIONS)), Reason::DropOptionsBudget);
        }
        assert_eq!(guard.judge(&sip4(INVITE)), Reason::WorkerSip);
        assert_eq!(guard.judge(&udp(STRANGER4, OWN4, MEDIA.0, OPTIONS)), Reason::WorkerMedia);
        assert_eq!(guard.judge(&udp("203.0.113.10", OWN4, SIP, OPTIONS)), Reason::WorkerSip);
        assert_eq!(guard.judge(&sip6(OPTIONS)), Reason::WorkerSip);
        // Changed while it runs.
        guard.limit(Meter::Options, 0, 1);
        for _ in 0..10 {
            assert_eq!(guard.judge(&sip4(OPTIONS)), Reason::WorkerSip);
        }
    });
}

#[test]
fn a_budget_fills_again_with_time() {
    in_own_world(|pins| {
        let (mut guard, _socket) = Guard::with_socket(&plan(pins));
        guard.limit(Meter::Options, 20, 1);
        assert_eq!(guard.judge(&sip4(OPTIONS)), Reason::WorkerSip);
        assert_eq!(guard.judge(&sip4(OPTIONS)), Reason::DropOptionsBudget);
        std::thread::sleep(Duration::from_millis(60));
        assert_eq!(guard.judge(&sip4(OPTIONS)), Reason::WorkerSip);
    });
}

#[test]
fn a_method_is_options_only_when_its_token_is() {
    in_own_world(|pins| {
        let (mut guard, _socket) = Guard::with_socket(&plan(pins));
        guard.limit(Meter::Options, 1, 1);
        assert_eq!(guard.judge(&sip4(OPTIONS)), Reason::WorkerSip);
        let prefixed = |ends: usize| [b"\r\n".repeat(ends), OPTIONS.to_vec()].concat();
        for metered in [prefixed(0), prefixed(1), prefixed(8), b"OPTIONS ".to_vec()] {
            assert_eq!(guard.judge(&sip4(&metered)), Reason::DropOptionsBudget);
        }
        for other in [
            b"OPTIONSX sip:a SIP/2.0\r\n".to_vec(),
            b"options sip:a SIP/2.0\r\n".to_vec(),
            b"OPTION sip:a SIP/2.0\r\n".to_vec(),
            b"\r\n\r".to_vec(),
            b"SIP/2.0 200 OK\r\nCSeq: 1 OPTIONS\r\n".to_vec(),
        ] {
            let reason = guard.judge(&sip4(&other));
            assert_eq!(reason, Reason::WorkerSip, "{:?}", String::from_utf8_lossy(&other));
        }
        for garbage in [
            prefixed(9),
            b" OPTIONS sip:a SIP/2.0\r\n".to_vec(),
            b"\nOPTIONS sip:a SIP/2.0\r\n".to_vec(),
            b"OPTIONS".to_vec(),
            [vec![b'A'; 40], b" sip:a SIP/2.0\r\n".to_vec()].concat(),
            b"\x00\x01\x00\x00\x21\x12\xa4\x42".to_vec(),
        ] {
            assert_eq!(guard.judge(&sip4(&garbage)), Reason::DropSipStartLine, "{garbage:?}");
        }
    });
}

#[test]
fn the_length_of_the_datagram_ends_the_start_line() {
    in_own_world(|pins| {
        let (mut guard, _socket) = Guard::with_socket(&plan(pins));
        guard.limit(Meter::Options, 1, 1);
        assert_eq!(guard.judge(&sip4(OPTIONS)), Reason::WorkerSip);
        // The rest of the method lies in the frame's padding, where nobody will read it.
        let frame = [sip4(b"OPTION"), b"S sip:a SIP/2.0".to_vec()].concat();
        assert_eq!(guard.judge(&frame), Reason::DropSipStartLine);
    });
}

#[test]
fn queues_together_give_no_more_than_the_budget() {
    in_own_world(|pins| {
        const BURST: u32 = 100;
        let (mut guard, _socket) = Guard::with_socket(&plan(pins));
        guard.limit(Meter::Options, 1, BURST);
        let begun = now();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| guard.tester.run(&sip4(OPTIONS), None, 2_000).unwrap());
            }
        });
        let taken = (now() - begun).as_secs() + 1;
        let passed = count(&guard, Reason::WorkerSip);
        assert!(passed >= 1 && passed <= u64::from(BURST) + taken, "{passed}");
        assert_eq!(passed + count(&guard, Reason::DropOptionsBudget), 8_000);
    });
}

#[test]
fn a_crowd_of_invented_sources_shuts_nobody_out() {
    in_own_world(|pins| {
        let mut plan = plan(pins);
        plan.capacities.strangers = 1;
        let (mut guard, _socket) = Guard::with_socket(&plan);
        guard.limit(Meter::Options, 1, 1);
        for host in 1..=200 {
            let frame = udp(&format!("198.51.100.{host}"), OWN4, SIP, OPTIONS);
            assert_eq!(guard.judge(&frame), Reason::WorkerSip, "a first knock is let in");
        }
    });
}

#[test]
fn a_missing_socket_is_a_drop_and_never_a_pass() {
    in_own_world(|pins| {
        let (guard, socket) = Guard::with_socket(&plan(pins));
        assert_eq!(guard.judge(&sip4(INVITE)), Reason::WorkerSip);
        let fragments = || {
            let v4 = edited(sip4(INVITE), ETHERNET + 6, &[0x20, 0]);
            [v4, with_extensions(&sip6(INVITE), &[HOP_BY_HOP, FIRST_FRAGMENT, DESTINATION])]
        };
        for frame in fragments() {
            assert_eq!(guard.judge(&frame), Reason::PassFragment, "the rim hears it");
        }
        drop(socket);
        for frame in [sip4(INVITE), sip6(INVITE), udp(STRANGER4, OWN4, MEDIA.0, b"")] {
            assert_eq!(guard.judge(&frame), Reason::DropNoSocket);
        }
        // Whole again, the kernel would answer it with ICMP port unreachable.
        for frame in fragments() {
            assert_eq!(guard.judge(&frame), Reason::DropNoSocket);
        }
        let elsewhere = edited(udp(STRANGER4, OWN4, 53, b"?"), ETHERNET + 6, &[0x20, 0]);
        let later = edited(sip4(INVITE), ETHERNET + 6, &[0, 100]);
        for frame in [elsewhere, later] {
            assert_eq!(guard.judge(&frame), Reason::PassFragment);
        }
        let other = guard::Socket::new();
        for (interface, queue) in [(0, 2), (1, 0), (usize::MAX, 0), (0, u32::MAX)] {
            let refused = guard.attached.set_socket(interface, queue, other.0.as_fd());
            assert!(matches!(refused, Err(Error::NoSuchQueue { .. })), "{interface} {queue}");
        }
    });
}

#[test]
fn without_sockets_our_ports_go_to_the_kernel_after_the_same_rules() {
    in_own_world(|pins| {
        let mut plan = plan(pins);
        plan.deliver = Deliver::Kernel;
        let mut guard = Guard::new(&plan);
        guard.limit(Meter::Options, 1, 1);
        guard.maps.deny_add(&deny("198.51.100.1")).unwrap();
        assert_eq!(guard.judge(&sip4(OPTIONS)), Reason::PassSip);
        assert_eq!(guard.judge(&sip4(OPTIONS)), Reason::DropOptionsBudget);
        assert_eq!(guard.judge(&udp(STRANGER4, OWN4, MEDIA.0, b"")), Reason::PassMedia);
        let fragment = edited(sip4(INVITE), ETHERNET + 6, &[0x20, 0]);
        assert_eq!(guard.judge(&fragment), Reason::PassFragment);
        assert_eq!(guard.judge(&udp("198.51.100.1", OWN4, SIP, INVITE)), Reason::DropDenyAddress);
    });
}

fn described(source: &str, destination: &str) -> Described {
    Described {
        source: ip(source),
        destination: ip(destination),
        protocol: Protocol::Udp { source_port: 5080, port: SIP },
        payload: OPTIONS.to_vec(),
        vlans: vec![],
        interface: None,
        queue: 0,
    }
}

#[test]
fn explain_asks_the_loaded_program_and_leaves_no_trace() {
    in_own_world(|pins| {
        let (mut guard, _socket) = Guard::with_socket(&plan(pins));
        guard.limit(Meter::Options, 1, 1);
        guard.maps.deny_add(&deny("198.51.100.7")).unwrap();
        guard.maps.deny_add(&deny("198.51.100.0/24")).unwrap();
        guard.maps.trust_add(&trust("198.51.100.8/31")).unwrap();
        guard.maps.deny_add(&deny("2001:db8:6::/48")).unwrap();
        let before = guard.maps.counters().unwrap();
        let explain = |guard: &Guard, source: &str, destination: &str| {
            guard.maps.explain(&described(source, destination)).unwrap().to_string()
        };
        // Twice, because the first spends no budget.
        for _ in 0..2 {
            assert_eq!(explain(&guard, STRANGER4, OWN4), "redirect: worker_sip");
        }
        assert_eq!(
            explain(&guard, "198.51.100.7", OWN4),
            "drop: drop_deny_address by deny 198.51.100.7"
        );
        assert_eq!(
            explain(&guard, "198.51.100.6", OWN4),
            "drop: drop_deny_prefix by deny 198.51.100.0/24"
        );
        assert_eq!(
            explain(&guard, "198.51.100.9", OWN4),
            "redirect: worker_sip by trust 198.51.100.8/31 (before deny 198.51.100.0/24)"
        );
        assert_eq!(
            explain(&guard, "2001:db8:6::1", OWN6),
            "drop: drop_deny_prefix by deny 2001:db8:6::/48"
        );
        assert_eq!(explain(&guard, STRANGER4, "10.10.9.9"), "pass: pass_foreign");
        assert_eq!(guard.maps.counters().unwrap(), before);

        assert_eq!(guard.judge(&sip4(OPTIONS)), Reason::WorkerSip);
        assert_eq!(
            explain(&guard, STRANGER4, OWN4),
            "drop: drop_options_budget by limit options 1/s burst 1"
        );
        for (protocol, reason) in [
            (Protocol::Tcp { source_port: 1, port: 5060 }, Reason::PassTcp),
            (Protocol::Ping, Reason::PassIcmp),
            (Protocol::Other(50), Reason::PassProtocol),
            (Protocol::Udp { source_port: 1, port: MEDIA.0 }, Reason::WorkerMedia),
        ] {
            let mut packet = described(STRANGER6, OWN6);
            packet.protocol = protocol;
            packet.vlans = vec![5, 6];
            assert_eq!(guard.maps.explain(&packet).unwrap().reason, reason);
        }
        let mut elsewhere = described(STRANGER4, OWN4);
        elsewhere.interface = Some("nowhere0".into());
        assert!(matches!(guard.maps.explain(&elsewhere), Err(Error::Interface { .. })));
    });
}

#[test]
fn random_bytes_are_judged_and_counted_every_one() {
    in_own_world(|pins| {
        let (mut guard, _socket) = Guard::with_socket(&plan(pins));
        guard.maps.deny_add(&deny("128.0.0.0/1")).unwrap();
        guard.maps.deny_add(&deny("8000::/1")).unwrap();
        let mut dice = StdRng::seed_from_u64(0x5EED);
        let seeds = [
            sip4(OPTIONS),
            sip6(OPTIONS),
            tagged(&sip6(INVITE), &[0x8100]),
            with_options(&sip4(INVITE), 16),
            with_extensions(&sip6(INVITE), &[HOP_BY_HOP, ROUTING, FIRST_FRAGMENT]),
        ];
        let frames = 10_000;
        for _ in 0..frames {
            let mut frame = seeds[dice.random_range(0..seeds.len())].clone();
            for _ in 0..dice.random_range(1..6) {
                let at = dice.random_range(12..frame.len());
                frame[at] = dice.random();
            }
            frame.truncate(dice.random_range(ETHERNET..=frame.len()));
            let run = guard.tester.run(&frame, None, 1).unwrap();
            assert!(matches!(run.action, 1 | 2 | 4), "action {}", run.action);
        }
        let counted: u64 = guard.maps.counters().unwrap().iter().map(|count| count.packets).sum();
        assert_eq!(counted, frames);
        let kinds = guard.maps.counters().unwrap().iter().filter(|count| count.packets > 0).count();
        assert!(kinds > 12, "only {kinds} reasons were met");
    });
}

fn count(guard: &Guard, reason: Reason) -> u64 {
    guard.maps.counters().unwrap()[reason as usize].packets
}

#[test]
fn a_price_is_measured_over_every_source() {
    in_own_world(|pins| {
        let plan = plan(pins);
        let mut guard = Guard::new(&plan);
        let sources: Vec<_> = (1..=8).map(|host| ip(&format!("198.51.100.{host}"))).collect();
        for &source in &sources[..2] {
            let deny = Deny { prefix: Prefix::host(source), not_after: None };
            guard.maps.deny_add(&deny).unwrap();
        }
        let price = Pricer::open(&plan, &sources).unwrap().price(&sip4(INVITE), 800).unwrap();
        assert!(price.judged > Duration::ZERO, "{price:?}");
        assert_eq!(count(&guard, Reason::DropDenyAddress), 200);
        assert_eq!(count(&guard, Reason::DropNoSocket), 600);
        assert!(Pricer::open(&plan, &[]).is_err());
        assert!(Pricer::open(&plan, &[ip("1.1.1.1"), ip("::1")]).is_err());
    });
}
