//! The settled path, in the running kernel by test-run: whose packets go on, with which headers, and what is counted.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod guard;

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use etherparse::{NetSlice, PacketBuilder, SlicedPacket, TransportSlice, VlanSlice};
use guard::{Guard, MEDIA, OWN4, OWN4_MEDIA, OWN6, SIP, free, in_own_world, ip, now, plan};
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use xdp_prog::media::{Course, Heard, Hop, Media, Onward, Port};
use xdp_prog::{Described, Limits, Plan, Ports, Protocol, Reason};

const PORT: u16 = MEDIA.0 + 40;
/// That port, on the address of [`FAR4`]'s family.
const HERE: Port = Port { own: 0, number: PORT };
const BESIDE: u16 = MEDIA.0 + 42;
const FAR4: &str = "203.0.113.9:4000";
const FAR6: &str = "[2001:db8::9]:4000";
const TO4: &str = "198.51.100.7:6000";
const TO6: &str = "[2001:db8:7::7]:6000";
const PCMA: u8 = 8;
const EVENTS: u8 = 101;
const NEXT: [u8; 6] = [2, 0, 0, 0, 0, 9];
const OURS: [u8; 6] = [2, 0, 0, 0, 0, 1];

fn at(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

fn own(like: SocketAddr) -> IpAddr {
    ip(if like.is_ipv4() { OWN4 } else { OWN6 })
}

/// [`PORT`] of the address that a source sends to.
fn port_for(source: &str) -> Port {
    Port { own: u8::from(at(source).is_ipv6()), ..HERE }
}

/// How packets of `source` to [`PORT`] go on to `to`.
fn onward(source: &str, to: &str, vlan: Option<u16>) -> Onward {
    let to = at(to);
    let hop =
        Hop { interface: 0, source_mac: OURS, destination_mac: NEXT, vlan, payload_max: 1_400 };
    Onward {
        source: at(source),
        payload_types: 1 << PCMA | 1 << EVENTS,
        events: EVENTS,
        from: SocketAddr::new(own(to), BESIDE),
        to,
        hop,
        traffic_class: 0xb8,
        not_after: None,
        owner: 7,
    }
}

fn rtp(payload_type: u8, sequence: u16, timestamp: u32, audio: &[u8]) -> Vec<u8> {
    let mut packet = vec![0x80, payload_type];
    packet.extend(sequence.to_be_bytes());
    packet.extend(timestamp.to_be_bytes());
    packet.extend(0xdead_beef_u32.to_be_bytes());
    packet.extend(audio);
    packet
}

/// A frame from a far end to [`PORT`], of its family, in a VLAN or none.
fn framed(source: &str, vlan: Option<u16>, payload: &[u8]) -> Vec<u8> {
    let source = at(source);
    let builder = PacketBuilder::ethernet2([2; 6], [4; 6]);
    let mut frame = Vec::new();
    macro_rules! finish {
        ($builder:expr) => {
            match (source.ip(), own(source)) {
                (IpAddr::V4(from), IpAddr::V4(own)) => {
                    $builder.ipv4(from.octets(), own.octets(), 9)
                }
                (IpAddr::V6(from), IpAddr::V6(own)) => {
                    $builder.ipv6(from.octets(), own.octets(), 9)
                }
                _ => unreachable!("of one family"),
            }
            .udp(source.port(), PORT)
            .write(&mut frame, payload)
            .unwrap()
        };
    }
    match vlan {
        Some(vlan) => finish!(builder.single_vlan(vlan.try_into().unwrap())),
        None => finish!(builder),
    }
    frame
}

fn audio(sequence: u16) -> Vec<u8> {
    rtp(PCMA, sequence, u32::from(sequence) * 160, &[0xd5; 160])
}

fn media(guard: &Guard) -> Media {
    guard.attached.media().unwrap()
}

/// Reads what a foreign reader reads, checksums included; 0 is none in IPv4.
#[track_caller]
fn read(frame: &[u8], vlan: Option<u16>, to: &str) -> Vec<u8> {
    let to = at(to);
    assert_eq!((&frame[..6], &frame[6..12]), (&NEXT[..], &OURS[..]));
    let sliced = SlicedPacket::from_ethernet(frame).unwrap();
    let tag = sliced.vlan().map(|tag| match tag {
        VlanSlice::SingleVlan(tag) => tag.vlan_identifier().value(),
        VlanSlice::DoubleVlan(_) => panic!("two tags"),
    });
    assert_eq!(tag, vlan);
    let Some(TransportSlice::Udp(udp)) = &sliced.transport else { panic!("no UDP") };
    assert_eq!((udp.source_port(), udp.destination_port()), (BESIDE, to.port()));
    let (sum, plain) = match sliced.net.as_ref().unwrap() {
        NetSlice::Ipv4(v4) => {
            let header = v4.header().to_header();
            assert_eq!(header.header_checksum, header.calc_header_checksum());
            assert_eq!((header.time_to_live, header.dont_fragment), (64, true));
            assert_eq!(v4.header().dcp().value() << 2, 0xb8);
            assert_eq!(
                (IpAddr::from(header.source), IpAddr::from(header.destination)),
                (own(to), to.ip())
            );
            (udp.to_header().calc_checksum_ipv4(&header, udp.payload()).unwrap(), true)
        }
        NetSlice::Ipv6(v6) => {
            let header = v6.header().to_header();
            assert_eq!((header.hop_limit, header.traffic_class), (64, 0xb8));
            assert_eq!(
                (IpAddr::from(header.source), IpAddr::from(header.destination)),
                (own(to), to.ip())
            );
            (udp.to_header().calc_checksum_ipv6(&header, udp.payload()).unwrap(), false)
        }
        NetSlice::Arp(_) => panic!("ARP"),
    };
    assert!(udp.checksum() == sum || plain && udp.checksum() == 0, "{:04x}", udp.checksum());
    udp.payload().to_vec()
}

#[test]
fn a_settled_packet_goes_on_with_new_headers_in_every_shape_and_its_payload_untouched() {
    in_own_world(|pins| {
        let (guard, _socket) = Guard::with_socket(&plan(pins));
        let media = media(&guard);
        for (source, to) in [(FAR4, TO4), (FAR6, TO6), (FAR4, TO6), (FAR6, TO4)] {
            for [came, goes] in [[None, None], [Some(7), None], [None, Some(9)], [Some(7), Some(9)]]
            {
                assert!(media.say(port_for(source), &Course::Settled(onward(source, to, goes))));
                for bytes in [0, 1, 32, 160, 161] {
                    let payload = rtp(PCMA, 1, 160, &vec![0x5a; bytes]);
                    let run = guard.tester.run(&framed(source, came, &payload), None, 1).unwrap();
                    assert_eq!(read(&run.frame, goes, to), payload, "{source} to {to}");
                }
            }
        }
    });
}

#[test]
fn without_a_checksum_it_stays_without_in_ipv4_and_goes_to_the_worker_for_ipv6() {
    in_own_world(|pins| {
        let (guard, _socket) = Guard::with_socket(&plan(pins));
        let media = media(&guard);
        let mut frame = framed(FAR4, None, &audio(1));
        frame[40..42].copy_from_slice(&[0, 0]);
        media.say(HERE, &Course::Settled(onward(FAR4, TO4, None)));
        let run = guard.tester.run(&frame, None, 1).unwrap();
        assert_eq!(run.frame[40..42], [0, 0]);
        assert_eq!(read(&run.frame, None, TO4), audio(1));
        media.say(HERE, &Course::Settled(onward(FAR4, TO6, None)));
        assert_eq!(guard.judge(&frame), Reason::WorkerMedia);
    });
}

#[test]
fn what_is_not_plain_is_the_workers() {
    in_own_world(|pins| {
        let (guard, _socket) = Guard::with_socket(&plan(pins));
        let media = media(&guard);
        media.say(HERE, &Course::Settled(onward(FAR4, TO4, None)));
        let judge = |payload: &[u8]| guard.judge(&framed(FAR4, None, payload));
        let back = Reason::RelayBack;
        assert_eq!(judge(&audio(1)), back);
        let other_version = [&[0x40][..], &audio(2)[1..]].concat();
        let promised = [&[0x8f][..], &audio(3)[1..13]].concat();
        let receiver_report = [0x80, 201, 0, 7, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0];
        for (what, payload) in [
            ("another version", &other_version[..]),
            ("contributors that are not there", &promised),
            ("RTCP", &receiver_report),
            ("another payload type", &rtp(0, 4, 0, &[0; 160])),
            ("an event that is read", &rtp(EVENTS, 5, 0, &[1, 2, 3, 4])),
            ("less than a header", &audio(6)[..11]),
            ("nothing", &[]),
            ("more than the path takes", &rtp(PCMA, 7, 0, &[0; 1_400])),
        ] {
            assert_eq!(judge(payload), Reason::WorkerMedia, "{what}");
        }
        // Options, and a UDP length that says less than there is.
        let mut frame = framed(FAR4, None, &audio(8));
        frame.splice(34..34, [1, 1, 1, 0]);
        (frame[14], frame[17]) = (0x46, frame[17] + 4);
        assert_eq!(guard.judge(&frame), Reason::WorkerMedia);
        let mut frame = framed(FAR4, None, &audio(9));
        frame[39] -= 1;
        assert_eq!(guard.judge(&frame), Reason::WorkerMedia);
        // Only what goes on from here is counted here.
        assert_eq!(media.heard(HERE).packets, 1);
    });
}

#[test]
fn nobody_else_is_heard_while_the_far_end_is() {
    in_own_world(|pins| {
        let (guard, _socket) = Guard::with_socket(&plan(pins));
        let media = media(&guard);
        let stranger = framed("203.0.113.10:4000", None, &audio(2));
        let other_port = framed("203.0.113.9:4001", None, &audio(2));
        let [known, settled] = [Course::Known(at(FAR4)), Course::Settled(onward(FAR4, TO4, None))];
        for (course, goes) in [(known, Reason::WorkerMedia), (settled, Reason::RelayBack)] {
            media.say(HERE, &course);
            media.set_heard(HERE, &Heard::default());
            // Who was never heard may have moved: that is for the worker to judge.
            assert_eq!(guard.judge(&stranger), Reason::WorkerMedia);
            assert_eq!(guard.judge(&framed(FAR4, None, &audio(1))), goes);
            for frame in [&stranger, &other_port] {
                assert_eq!(guard.judge(frame), Reason::DropMediaStranger);
            }
            let silent =
                Heard { last: now().saturating_sub(Duration::from_secs(3)), ..media.heard(HERE) };
            media.set_heard(HERE, &silent);
            assert_eq!(guard.judge(&stranger), Reason::WorkerMedia);
        }
    });
}

#[test]
fn a_port_of_no_call_is_closed_and_one_that_nobody_spoke_of_is_the_workers() {
    in_own_world(|pins| {
        let (guard, _socket) = Guard::with_socket(&plan(pins));
        let media = media(&guard);
        assert_eq!(guard.judge(&framed(FAR4, None, &audio(1))), Reason::WorkerMedia);
        media.say(HERE, &Course::Closed);
        assert_eq!(guard.judge(&framed(FAR4, None, &audio(1))), Reason::DropMediaClosed);
        assert_eq!(guard.judge(&framed(FAR6, None, &[])), Reason::WorkerMedia, "another address");
        media.say(HERE, &Course::Open);
        assert_eq!(guard.judge(&framed(FAR4, None, &audio(1))), Reason::WorkerMedia);
    });
}

/// To another of our IPv4 addresses, by UDP.
fn framed_to(own: &str, port: u16, payload: &[u8]) -> Vec<u8> {
    let (IpAddr::V4(from), IpAddr::V4(own)) = (at(FAR4).ip(), ip(own)) else { panic!("IPv4") };
    let builder = PacketBuilder::ethernet2([2; 6], [4; 6]);
    let mut frame = Vec::new();
    let builder = builder.ipv4(from.octets(), own.octets(), 9).udp(at(FAR4).port(), port);
    builder.write(&mut frame, payload).unwrap();
    frame
}

#[test]
fn each_address_has_ports_of_its_own() {
    in_own_world(|pins| {
        let (guard, _socket) = Guard::with_socket(&plan(pins));
        let media = media(&guard);
        let there = Port { own: 2, number: PORT };
        let judge = |own, sequence| guard.judge(&framed_to(own, PORT, &audio(sequence)));
        media.say(HERE, &Course::Closed);
        assert!(media.say(there, &Course::Settled(onward(FAR4, TO4, None))));
        assert_eq!(judge(OWN4, 1), Reason::DropMediaClosed);
        let run = guard.tester.run(&framed_to(OWN4_MEDIA, PORT, &audio(1)), None, 1).unwrap();
        assert_eq!(read(&run.frame, None, TO4), audio(1));
        assert_eq!([HERE, there].map(|port| media.heard(port).packets), [0, 1]);
        // And the other way round, from there.
        let from = SocketAddr::new(ip(OWN4_MEDIA), BESIDE);
        media.say(there, &Course::Closed);
        assert!(media.say(HERE, &Course::Settled(Onward { from, ..onward(FAR4, TO4, None) })));
        assert_eq!(judge(OWN4_MEDIA, 2), Reason::DropMediaClosed);
        assert_eq!(judge(OWN4, 2), Reason::RelayBack);
        assert_eq!(media.told(HERE).unwrap().from, from);
        // The last port of the last address has a place, and beyond it there is none.
        let last = Port { own: 2, number: MEDIA.1 };
        assert!(media.say(last, &Course::Closed));
        assert_eq!(
            guard.judge(&framed_to(OWN4_MEDIA, MEDIA.1, &audio(3))),
            Reason::DropMediaClosed
        );
        for port in [Port { own: 3, ..last }, Port { number: MEDIA.1 + 1, ..last }] {
            assert!(!media.say(port, &Course::Closed), "{port:?}");
        }
    });
}

#[test]
fn an_address_for_media_alone_hears_no_sip() {
    in_own_world(|pins| {
        let (mut guard, _socket) = Guard::with_socket(&plan(pins));
        let options = b"OPTIONS sip:a SIP/2.0\r\n\r\n";
        guard.maps.admit().unwrap();
        let judge = |guard: &Guard, own| guard.judge(&framed_to(own, SIP, options));
        assert_eq!(judge(&guard, OWN4), Reason::WorkerSip);
        assert_eq!(judge(&guard, OWN4_MEDIA), Reason::DropPort, "whatever is open besides");
        let other = guard.judge(&framed_to(OWN4_MEDIA, SIP + 1, options));
        assert_eq!(other, Reason::PassPort, "of others it is said by what is open");
        let open = Ports { closed: true, udp: BTreeSet::from([SIP]), ..Ports::default() };
        guard.maps.set_ports(&open).unwrap();
        assert_eq!(judge(&guard, OWN4_MEDIA), Reason::DropPort);
        guard.maps.set_limits(&Limits { monitor: true, ..free() }).unwrap();
        assert_eq!(judge(&guard, OWN4_MEDIA), Reason::PassPort, "monitor mode stops nothing");
    });
}

#[test]
fn with_other_addresses_what_was_said_is_forgotten_and_nothing_else() {
    in_own_world(|pins| {
        let (guard, _socket) = Guard::with_socket(&plan(pins));
        media(&guard).say(HERE, &Course::Settled(onward(FAR4, TO4, None)));
        drop(guard);
        let fewer = Plan { media_addresses: Vec::new(), ..plan(pins) };
        let again = Guard::new(&fewer);
        assert_eq!(media(&again).told(HERE), None);
        assert_eq!(again.judge(&framed_to(OWN4_MEDIA, PORT, &audio(1))), Reason::PassForeign);
    });
}

#[test]
fn of_two_addresses_that_changed_places_or_ports_that_moved_nothing_is_believed() {
    in_own_world(|pins| {
        let beside = Plan { media_addresses: vec![ip(OWN4_MEDIA)], ..plan(pins) };
        let swapped = Plan {
            addresses: vec![ip(OWN4_MEDIA), ip(OWN6)],
            media_addresses: vec![ip(OWN4)],
            ..plan(pins)
        };
        let moved = Plan { media_ports: (MEDIA.0 + 2, MEDIA.1 + 2), ..plan(pins) };
        for (before, after) in [(&beside, &swapped), (&swapped, &beside), (&beside, &moved)] {
            let (guard, _socket) = Guard::with_socket(before);
            let said = Onward {
                from: SocketAddr::new(before.addresses[0], BESIDE),
                ..onward(FAR4, TO4, None)
            };
            assert!(media(&guard).say(HERE, &Course::Settled(said)));
            let told = media(&guard).told(HERE).unwrap();
            drop(guard);
            let again = Guard::new(before);
            assert_eq!(media(&again).told(HERE), Some(told), "of the same plan it stands");
            drop(again);
            let (again, _socket) = Guard::with_socket(after);
            for number in [PORT - 2, PORT, PORT + 2] {
                for own in 0..3 {
                    assert_eq!(media(&again).told(Port { own, number }), None);
                }
            }
            let arrived = framed_to(OWN4, PORT, &audio(1));
            assert_eq!(again.judge(&arrived), Reason::WorkerMedia, "it goes nowhere by itself");
        }
    });
}

#[test]
fn media_ends_with_its_granted_time() {
    in_own_world(|pins| {
        let (guard, _socket) = Guard::with_socket(&plan(pins));
        let media = media(&guard);
        let until = |not_after| {
            Course::Settled(Onward { not_after: Some(not_after), ..onward(FAR4, TO4, None) })
        };
        media.say(HERE, &until(now() + Duration::from_secs(60)));
        assert_eq!(guard.judge(&framed(FAR4, None, &audio(1))), Reason::RelayBack);
        media.say(HERE, &until(now().saturating_sub(Duration::from_millis(1))));
        assert_eq!(guard.judge(&framed(FAR4, None, &audio(2))), Reason::DropMediaOver);
    });
}

#[test]
fn what_cannot_be_sent_on_is_not_settled() {
    in_own_world(|pins| {
        let (guard, _socket) = Guard::with_socket(&plan(pins));
        let media = media(&guard);
        let foreign = Onward { from: at("10.9.9.9:20000"), ..onward(FAR4, TO4, None) };
        let mixed = Onward { to: at(TO6), ..onward(FAR4, TO4, None) };
        let hop = Hop { interface: 9, ..onward(FAR4, TO4, None).hop };
        let nowhere = Onward { hop, ..onward(FAR4, TO4, None) };
        for onward in [foreign, mixed, nowhere] {
            assert!(!media.say(HERE, &Course::Settled(onward)));
            assert_eq!(media.told(HERE), None);
            assert_eq!(guard.judge(&framed(FAR4, None, &audio(1))), Reason::WorkerMedia);
        }
    });
}

#[test]
fn a_new_attachment_keeps_what_was_settled() {
    in_own_world(|pins| {
        let (guard, _socket) = Guard::with_socket(&plan(pins));
        media(&guard).say(HERE, &Course::Settled(onward(FAR4, TO4, None)));
        assert_eq!(guard.judge(&framed(FAR4, None, &audio(1))), Reason::RelayBack);
        drop(guard);
        let again = Guard::new(&plan(pins));
        let told = media(&again).told(HERE).unwrap();
        assert_eq!((told.owner, told.source, told.to), (7, at(FAR4), at(TO4)));
        assert_eq!(told.from, onward(FAR4, TO4, None).from);
        assert_eq!(again.judge(&framed(FAR4, None, &audio(2))), Reason::RelayBack);
        assert_eq!(media(&again).heard(HERE).packets, 2);
    });
}

#[test]
fn to_explain_changes_nothing() {
    in_own_world(|pins| {
        let (guard, _socket) = Guard::with_socket(&plan(pins));
        let media = media(&guard);
        media.say(HERE, &Course::Closed);
        let described = Described {
            source: at(FAR4).ip(),
            destination: ip(OWN4),
            protocol: Protocol::Udp { source_port: at(FAR4).port(), port: PORT },
            payload: audio(1),
            vlans: Vec::new(),
            interface: None,
            queue: 0,
        };
        let explained = guard.maps.explain(&described).unwrap();
        assert_eq!(explained.reason, Reason::DropMediaClosed);
        media.say(HERE, &Course::Settled(onward(FAR4, TO4, None)));
        let explained = guard.maps.explain(&described).unwrap();
        assert_eq!(explained.reason, Reason::RelayBack);
        assert_eq!(media.heard(HERE), Heard::default());
    });
}

#[test]
fn loss_and_packets_are_those_of_the_sequence_numbers() {
    in_own_world(|pins| {
        let (guard, _socket) = Guard::with_socket(&plan(pins));
        let media = media(&guard);
        media.say(HERE, &Course::Settled(onward(FAR4, TO4, None)));
        let mut random = SmallRng::seed_from_u64(4);
        for _ in 0..10 {
            media.set_heard(HERE, &Heard::default());
            let (mut sequence, mut expected) = (random.random::<u16>(), 1);
            guard.judge(&framed(FAR4, None, &audio(sequence)));
            for _ in 0..60 {
                let step = if random.random_ratio(1, 8) { random.random_range(0..50) } else { 1 };
                (sequence, expected) = (sequence.wrapping_add(step), expected + u32::from(step));
                guard.judge(&framed(FAR4, None, &audio(sequence)));
            }
            let heard = media.heard(HERE);
            assert_eq!((heard.packets, heard.bytes), (61, 61 * 172));
            assert_eq!((heard.received, heard.ssrc), (61, 0xdead_beef));
            assert_eq!(heard.highest - heard.base + 1, expected);
        }
    });
}

#[test]
fn three_of_a_hundred_lost_are_counted_so() {
    in_own_world(|pins| {
        let (guard, _socket) = Guard::with_socket(&plan(pins));
        let media = media(&guard);
        media.say(HERE, &Course::Settled(onward(FAR4, TO4, None)));
        let mut random = SmallRng::seed_from_u64(7);
        let (sent, mut lost) = (5_000_u16, 0);
        for index in 0..sent {
            // What is lost at either end of a stream nobody can miss.
            let is_end = index == 0 || index == sent - 1;
            if !is_end && random.random_ratio(3, 100) {
                lost += 1;
                continue;
            }
            let sequence = 63_000_u16.wrapping_add(index);
            assert_eq!(guard.judge(&framed(FAR4, None, &audio(sequence))), Reason::RelayBack);
        }
        let heard = media.heard(HERE);
        let missed = heard.highest - heard.base + 1 - heard.received;
        assert_eq!((missed, heard.packets), (lost, u64::from(sent) - u64::from(lost)));
        let percent = f64::from(missed) * 100.0 / f64::from(sent);
        assert!((percent - 3.0).abs() <= 0.5, "{percent}: what was injected, to a packet");
    });
}
