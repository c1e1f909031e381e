//! Legs with keys beside legs without, as peers and attackers see them.

use core::time::Duration;
use std::net::SocketAddr;

use srtp::Suite;

use super::*;
use crate::{Course, Instant, Latch, NO_EVENTS, Opening, PayloadTypes, Pressed, Way};

const PLAIN: Port = Port::new(0, 10_000);
const KEYED: Port = Port::new(0, 10_002);
const PLAIN_FAR: &str = "192.0.2.1:4000";
const KEYED_FAR: &str = "198.51.100.1:6000";
const NOW: Instant = Duration::from_secs(1);

fn at(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

fn master(seed: u8) -> Master {
    let suite = Suite::AesCm128HmacSha1Tag80;
    Master::new(suite, &vec![seed; suite.master_bytes()]).unwrap()
}

fn rtp(sequence: u16, payload_type: u8) -> Vec<u8> {
    let mut packet = vec![0x80, payload_type];
    packet.extend(sequence.to_be_bytes());
    packet.extend((u32::from(sequence) * 160).to_be_bytes());
    packet.extend([0, 0, 0, 9]);
    packet.extend([5, 0x8a, 0, 160]);
    packet.extend([0xd5; 156]);
    packet
}

/// A caller in clear, and a callee that sends by key 1 and hears by key 2.
fn call() -> Table {
    let mut table = Table::new(10_000, 20, &[[10, 0, 0, 1].into()]);
    for (port, peer, far, towards_caller) in
        [(PLAIN, KEYED, PLAIN_FAR, true), (KEYED, PLAIN, KEYED_FAR, false)]
    {
        let opening = Opening { peer, owner: Owner(7), towards_caller };
        assert!(table.open(Duration::ZERO, port, &opening));
        let rtcp = SocketAddr::new(at(far).ip(), at(far).port() + 1);
        let types = PayloadTypes::ANY.with(8).with(101);
        let latch = Latch::LearnPort { until: Duration::from_secs(9) };
        table.set_remote(port, Some(at(far)), Some(rtcp), latch, types);
        table.set_answered(Duration::ZERO, port);
    }
    assert!(table.set_keys(KEYED, Some(&master(1)), Some(&master(2))));
    table
}

fn only(table: &Table) -> Vec<u8> {
    let packets: Vec<&[u8]> = table.changed_packets().collect();
    assert_eq!(packets.len(), 1);
    packets[0].to_vec()
}

fn sealed(sender: &mut Sender, packet: &[u8]) -> Vec<u8> {
    let mut room = [packet, &[0; srtp::OVERHEAD_MAX]].concat();
    let length = match packet[1] {
        200.. => sender.protect_rtcp(&mut room, packet.len()),
        _ => sender.protect_rtp(&mut room, packet.len()),
    };
    room.truncate(length.unwrap());
    room
}

#[test]
fn what_comes_in_clear_is_sealed_and_what_comes_sealed_is_in_clear() {
    let mut table = call();
    let mut far = (Sender::new(&master(1)), Receiver::new(&master(2)));
    for sequence in 0..300 {
        let clear = rtp(sequence, 8);
        let verdict = table.forward(NOW, PLAIN, at(PLAIN_FAR), &clear);
        let (from, to, owner) = (at("10.0.0.1:10002"), at(KEYED_FAR), Owner(7));
        assert_eq!(verdict, Verdict::Changed { from, to, owner });
        let mut got = only(&table);
        assert_ne!(got[12..24], clear[12..24]);
        let length = far.1.unprotect_rtp(&mut got).unwrap();
        assert_eq!(got[..length], clear);
        let verdict = table.forward(NOW, KEYED, at(KEYED_FAR), &sealed(&mut far.0, &clear));
        let (from, to) = (at("10.0.0.1:10000"), at(PLAIN_FAR));
        assert_eq!(verdict, Verdict::Changed { from, to, owner });
        assert_eq!(only(&table), clear);
    }
    assert_eq!(table.figures(KEYED).packets, 300);
}

#[test]
fn reports_go_the_same_way() {
    let mut table = call();
    let mut far = (Sender::new(&master(1)), Receiver::new(&master(2)));
    let report = [0x80, 201, 0, 1, 0, 0, 0, 9];
    let verdict = table.forward(NOW, PLAIN.rtcp(), at("192.0.2.1:4001"), &report);
    assert!(matches!(verdict, Verdict::Changed { .. }), "{verdict:?}");
    let mut got = only(&table);
    let length = far.1.unprotect_rtcp(&mut got).unwrap();
    assert_eq!(got[..length], report);
    let coming = sealed(&mut far.0, &report);
    let verdict = table.forward(NOW, KEYED.rtcp(), at("198.51.100.1:6001"), &coming);
    assert!(matches!(verdict, Verdict::Changed { .. }), "{verdict:?}");
    assert_eq!(only(&table), report);
    let verdict = table.forward(NOW, KEYED.rtcp(), at("198.51.100.1:6001"), &coming);
    assert_eq!(verdict, Verdict::Drop(DropReason::Replayed));
}

#[test]
fn nobody_without_the_key_is_heard_or_believed() {
    let mut table = call();
    let stranger = at("198.51.100.1:7777");
    for packet in [rtp(1, 8), sealed(&mut Sender::new(&master(3)), &rtp(1, 8))] {
        let verdict = table.forward(NOW, KEYED, stranger, &packet);
        assert_eq!(verdict, Verdict::Drop(DropReason::Unauthentic));
    }
    assert_eq!(table.snapshot(KEYED).remote, Some(at(KEYED_FAR)));
    assert!(!table.snapshot(KEYED).latched && !table.has_heard(KEYED));
    let genuine = sealed(&mut Sender::new(&master(1)), &rtp(1, 8));
    let verdict = table.forward(NOW, KEYED, stranger, &genuine);
    assert!(matches!(verdict, Verdict::Changed { .. }), "a port may be learned: {verdict:?}");
    assert_eq!(table.snapshot(KEYED).remote, Some(stranger));
    let verdict = table.forward(NOW, KEYED, stranger, &genuine);
    assert_eq!(verdict, Verdict::Drop(DropReason::Replayed));
    let long = vec![0x80; PACKET_BYTES_MAX + 1];
    let verdict = table.forward(NOW, KEYED, stranger, &long);
    assert_eq!(verdict, Verdict::Drop(DropReason::TooLong));
}

#[test]
fn keys_that_are_pressed_under_a_key_are_read() {
    let mut table = call();
    table.set_events(KEYED, 101);
    let event = sealed(&mut Sender::new(&master(1)), &rtp(1, 101));
    let verdict = table.forward(NOW, KEYED, at(KEYED_FAR), &event);
    assert!(matches!(verdict, Verdict::Changed { .. }));
    let pressed = Pressed { owner: Owner(7), port: KEYED, key: b'5', way: Way::Passed };
    assert_eq!(table.poll_key(), Some(pressed));
}

#[test]
fn nothing_of_a_call_with_keys_is_settled_and_without_them_all_is_again() {
    let mut table = call();
    let (mut sender, plain) = (Sender::new(&master(1)), rtp(1, 8));
    let _ = table.forward(NOW, PLAIN, at(PLAIN_FAR), &plain);
    let _ = table.forward(NOW, KEYED, at(KEYED_FAR), &sealed(&mut sender, &plain));
    assert_eq!(table.course(PLAIN), Course::Known(at(PLAIN_FAR)));
    assert_eq!(table.course(KEYED), Course::Known(at(KEYED_FAR)));
    while table.poll_changed().is_some() {}
    assert!(table.set_keys(KEYED, None, None));
    let named: Vec<Port> = core::iter::from_fn(|| table.poll_changed()).collect();
    assert!(named.contains(&PLAIN) && named.contains(&KEYED), "{named:?}");
    assert!(matches!(table.course(PLAIN), Course::Settled(_)));
    assert!(matches!(table.course(KEYED), Course::Settled(_)));
}

#[test]
fn both_legs_may_have_keys_of_their_own() {
    let mut table = call();
    assert!(table.set_keys(PLAIN, Some(&master(5)), Some(&master(6))));
    let clear = rtp(9, 8);
    let coming = sealed(&mut Sender::new(&master(5)), &clear);
    let verdict = table.forward(NOW, PLAIN, at(PLAIN_FAR), &coming);
    assert!(matches!(verdict, Verdict::Changed { .. }));
    let mut got = only(&table);
    let length = Receiver::new(&master(2)).unprotect_rtp(&mut got).unwrap();
    assert_eq!(got[..length], clear);
}

#[test]
fn between_calls_of_ours_packets_are_in_clear() {
    let mut table = call();
    let inside = at("10.0.0.1:10008");
    table.set_remote(PLAIN, Some(inside), None, Latch::Inside, PayloadTypes::ANY);
    let (mut sender, clear) = (Sender::new(&master(1)), rtp(1, 8));
    let verdict = table.forward(NOW, KEYED, at(KEYED_FAR), &sealed(&mut sender, &clear));
    assert!(matches!(verdict, Verdict::ChangedInside { to, .. } if to == inside), "{verdict:?}");
    assert_eq!(only(&table), clear);
    let verdict = table.forward_inside(NOW, PLAIN, inside, &clear);
    assert!(matches!(verdict, Verdict::Changed { to, .. } if to == at(KEYED_FAR)), "{verdict:?}");
    assert!(Receiver::new(&master(2)).unprotect_rtp(&mut only(&table)).is_ok());
}

#[test]
fn the_same_key_goes_on_and_a_new_one_begins() {
    let mut table = call();
    let mut sender = Sender::new(&master(1));
    let first = sealed(&mut sender, &rtp(1, 8));
    let _ = table.forward(NOW, KEYED, at(KEYED_FAR), &first);
    assert!(table.set_keys(KEYED, Some(&master(1)), Some(&master(2))));
    let verdict = table.forward(NOW, KEYED, at(KEYED_FAR), &first);
    assert_eq!(verdict, Verdict::Drop(DropReason::Replayed), "it is known from before");
    assert!(table.set_keys(KEYED, Some(&master(4)), Some(&master(2))));
    let old = sealed(&mut sender, &rtp(2, 8));
    let verdict = table.forward(NOW, KEYED, at(KEYED_FAR), &old);
    assert_eq!(verdict, Verdict::Drop(DropReason::Unauthentic));
    let new = sealed(&mut Sender::new(&master(4)), &rtp(2, 8));
    let verdict = table.forward(NOW, KEYED, at(KEYED_FAR), &new);
    assert!(matches!(verdict, Verdict::Changed { .. }));
}

#[test]
fn a_restart_goes_on_from_the_snapshot_of_the_last_half_turn() {
    let mut table = call();
    let mut far = (Sender::new(&master(1)), Receiver::new(&master(2)));
    let mut snapshot = table.snapshot(KEYED);
    let mut told = 0;
    for count in 60_000..140_000_u32 {
        let clear = rtp(count as u16, 8);
        let _ = table.forward(NOW, PLAIN, at(PLAIN_FAR), &clear);
        assert!(far.1.unprotect_rtp(&mut only(&table)).is_ok(), "{count}");
        let verdict = table.forward(NOW, KEYED, at(KEYED_FAR), &sealed(&mut far.0, &clear));
        assert!(matches!(verdict, Verdict::Changed { .. }), "{count}: {verdict:?}");
        while table.poll_turned().is_some() {
            snapshot = table.snapshot(KEYED);
            told += 1;
        }
        if count % 20_011 == 0 {
            table.close(KEYED);
            let opening = Opening { peer: PLAIN, owner: Owner(7), towards_caller: false };
            assert!(table.reopen(NOW, KEYED, &opening, &snapshot, NOW));
        }
    }
    assert_eq!(told, 3, "half turns, of both ways at once");
}

#[test]
fn a_pool_gives_back_what_closes() {
    let mut table = call();
    for round in 0..100 {
        table.close(KEYED);
        let opening = Opening { peer: PLAIN, owner: Owner(7), towards_caller: false };
        assert!(table.open(NOW, KEYED, &opening));
        assert_eq!(table.keys(KEYED), [None; 2], "{round}");
        assert!(table.set_keys(KEYED, Some(&master(1)), None));
    }
    assert_eq!(table.bench.works.len(), 1);
    assert!(!table.set_keys(Port::new(0, 10_018), Some(&master(1)), None), "it is not open");
    assert_eq!(table.snapshot(KEYED).events, NO_EVENTS);
}

fn speech(codec: codec::Codec) -> codec::Side {
    let payload_type = codec.payload_type();
    codec::Side { codec, payload_type, events: Some(101), noise: None }
}

const START: Start = Start { ssrc: 0xfeed, sequence: 7, timestamp: 9 };

#[test]
fn what_one_side_speaks_the_other_reads_under_its_key_and_what_it_cannot_read_is_dropped() {
    let (alaw, mulaw) = (speech(codec::Codec::Pcma), speech(codec::Codec::Pcmu));
    let settings = Settings { from: alaw, to: mulaw, packet_ms: 30 };
    let mut table = call();
    assert!(!table.set_transcoding(PLAIN, Some(settings), START), "there is no room yet");
    table.reserve_transcoders(1);
    assert!(table.set_transcoding(PLAIN, Some(settings), START));
    assert!(table.set_transcoding(PLAIN, Some(settings), START), "it is there already");
    assert_eq!((table.free_transcoders(), table.transcoders()), (0, [1, 0]));
    let back = Settings { from: mulaw, to: alaw, packet_ms: 20 };
    assert!(!table.set_transcoding(KEYED, Some(back), START), "there was one");

    let mut far = Receiver::new(&master(2));
    let mut heard = vec![];
    for sequence in 0..6 {
        let verdict = table.forward(NOW, PLAIN, at(PLAIN_FAR), &rtp(sequence, 8));
        assert!(matches!(verdict, Verdict::Changed { .. }), "{verdict:?}");
        for packet in table.changed_packets() {
            let mut packet = packet.to_vec();
            let length = far.unprotect_rtp(&mut packet).unwrap();
            heard.push(packet[..length].to_vec());
        }
    }
    assert!(heard.iter().all(|packet| packet.len() == 12 + 240 && packet[1] & 0x7f == 0));
    assert_eq!((heard.len(), &heard[0][8..12]), (4, &[0, 0, 0xfe, 0xed][..]));
    let late = table.forward(NOW, PLAIN, at(PLAIN_FAR), &rtp(3, 8));
    assert_eq!(late, Verdict::Drop(DropReason::NotTranscoded));
    let report = [0x80, 201, 0, 1, 0, 0, 0, 9];
    let verdict = table.forward(NOW, PLAIN.rtcp(), at("192.0.2.1:4001"), &report);
    assert_eq!(verdict, Verdict::Drop(DropReason::NotTranscoded));

    // It is remembered, and ends with the pair or before.
    assert_eq!(table.snapshot(PLAIN).transcoding, Some(settings));
    assert!(table.set_transcoding(PLAIN, None, START));
    assert_eq!((table.free_transcoders(), table.transcoding(PLAIN)), (1, None));
    assert!(table.set_transcoding(KEYED, Some(back), START));
    table.close(KEYED);
    assert_eq!((table.free_transcoders(), table.transcoders()), (1, [2, 2]));
}
