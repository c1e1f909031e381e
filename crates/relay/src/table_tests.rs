//! Flows as peers and attackers see them.

use std::net::Ipv4Addr;

use proptest::prelude::*;

use super::*;
use crate::inband::DETECTORS_MAX;
use crate::{Course, DropReason, Ears, Owner, SOUND_BYTES, Sums, TONE_BYTES, Verdict, Way};

const CALLER_PORT: Port = Port::new(0, 10_000);
const CALLEE_PORT: Port = Port::new(1, 10_004);
const OTHER_PORT: Port = Port::new(1, 10_008);
/// Our addresses towards callers and callees.
const OWN: [IpAddr; 2] =
    [IpAddr::V4(Ipv4Addr::new(10, 10, 1, 2)), IpAddr::V4(Ipv4Addr::new(10, 10, 2, 2))];
const SILENT: Silence = Silence { owner: Owner(7), is_agreed: false };

fn at(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

fn rtp(sequence: u16, ssrc: u32) -> Vec<u8> {
    let mut packet = vec![0x80, 8];
    packet.extend(sequence.to_be_bytes());
    packet.extend((u32::from(sequence) * 160).to_be_bytes());
    packet.extend(ssrc.to_be_bytes());
    packet.extend([0xd5; 160]);
    packet
}

fn secs(seconds: u64) -> Instant {
    Duration::from_secs(seconds)
}

/// A caller at 192.0.2.1:4000 and a callee at 198.51.100.1:6000, both from SDP.
fn call() -> Table {
    let mut table = Table::new(10_000, 100, &OWN);
    let caller = Opening { peer: CALLEE_PORT, owner: Owner(7), towards_caller: true };
    let callee = Opening { peer: CALLER_PORT, towards_caller: false, ..caller };
    assert!(table.open(secs(0), CALLER_PORT, &caller));
    assert!(table.open(secs(0), CALLEE_PORT, &callee));
    let latch = Latch::LearnPort { until: secs(10) };
    let pcma = PayloadTypes::ANY.with(8).with(101);
    let (rtp, rtcp) = (Some(at("192.0.2.1:4000")), Some(at("192.0.2.1:4001")));
    table.set_remote(CALLER_PORT, rtp, rtcp, latch, pcma);
    let (rtp, rtcp) = (Some(at("198.51.100.1:6000")), Some(at("198.51.100.1:6001")));
    table.set_remote(CALLEE_PORT, rtp, rtcp, latch, pcma);
    table
}

fn answered() -> Table {
    let mut table = call();
    table.set_answered(secs(0), CALLER_PORT);
    table.set_answered(secs(0), CALLEE_PORT);
    table
}

#[test]
fn what_says_that_it_comes_from_another_port_of_ours_is_believed_from_inside_only() {
    let mut table = answered();
    let own = at("10.10.2.2:10008");
    table.set_remote(CALLEE_PORT, Some(own), None, Latch::Inside, PayloadTypes::ANY);
    let verdict = table.forward(secs(1), CALLER_PORT, at("192.0.2.1:4000"), &rtp(1, 1));
    let from = at("10.10.2.2:10004");
    assert_eq!(verdict, Verdict::Inside { from, to: own, owner: Owner(7) });
    let verdict = table.forward(secs(1), CALLEE_PORT, own, &rtp(1, 2));
    assert_eq!(verdict, Verdict::Drop(DropReason::Stranger));
    let verdict = table.forward_inside(secs(1), CALLEE_PORT, at("10.10.2.2:10010"), &rtp(1, 2));
    assert_eq!(verdict, Verdict::Drop(DropReason::Stranger));
    let verdict = table.forward_inside(secs(1), CALLEE_PORT, own, &rtp(1, 2));
    assert!(matches!(verdict, Verdict::Send { to, .. } if to == at("192.0.2.1:4000")));
    let verdict = table.forward_inside(secs(1), CALLER_PORT, at("192.0.2.1:4000"), &rtp(2, 1));
    assert_eq!(verdict, Verdict::Drop(DropReason::Stranger), "a wire is there");
}

#[test]
fn a_port_that_is_turned_feeds_another_and_still_hears_its_own_far_end() {
    let mut table = answered();
    let other = Opening { peer: CALLER_PORT, owner: Owner(7), towards_caller: false };
    assert!(table.open(secs(0), OTHER_PORT, &other));
    table.set_answered(secs(0), OTHER_PORT);
    table.set_remote(OTHER_PORT, Some(at("198.51.100.9:1")), None, Latch::Fixed, PayloadTypes::ANY);
    assert!(table.turn(CALLER_PORT, OTHER_PORT) && !table.turn(Port::new(1, 10_020), CALLER_PORT));
    let verdict = table.forward(secs(1), CALLER_PORT, at("192.0.2.1:4000"), &rtp(1, 1));
    assert!(matches!(verdict, Verdict::Send { to, .. } if to == at("198.51.100.9:1")));
}

#[test]
fn media_goes_both_ways_from_the_leg_it_leaves_by() {
    let mut table = answered();
    let verdict = table.forward(secs(1), CALLER_PORT, at("192.0.2.1:4000"), &rtp(1, 1));
    let from = at("10.10.2.2:10004");
    assert_eq!(verdict, Verdict::Send { from, to: at("198.51.100.1:6000"), owner: Owner(7) });
    let verdict = table.forward(secs(1), CALLEE_PORT, at("198.51.100.1:6000"), &rtp(1, 2));
    let from = at("10.10.1.2:10000");
    assert_eq!(verdict, Verdict::Send { from, to: at("192.0.2.1:4000"), owner: Owner(7) });
}

#[test]
fn rtcp_goes_by_the_odd_ports() {
    let mut table = answered();
    let report = [0x80, 201, 0, 1, 0, 0, 0, 1];
    let verdict = table.forward(secs(1), CALLER_PORT.rtcp(), at("192.0.2.1:4001"), &report);
    let from = at("10.10.2.2:10005");
    assert_eq!(verdict, Verdict::Send { from, to: at("198.51.100.1:6001"), owner: Owner(7) });
    let verdict = table.forward(secs(1), CALLER_PORT.rtcp(), at("192.0.2.1:4001"), &rtp(1, 1));
    assert_eq!(verdict, Verdict::Drop(DropReason::NotRtcp));
}

#[test]
fn the_port_behind_a_nat_is_learned_and_media_goes_there() {
    let mut table = answered();
    let learned = at("192.0.2.1:49152");
    assert!(matches!(
        table.forward(secs(1), CALLER_PORT, learned, &rtp(1, 1)),
        Verdict::Send { .. }
    ));
    let back = table.forward(secs(1), CALLEE_PORT, at("198.51.100.1:6000"), &rtp(1, 2));
    assert!(matches!(back, Verdict::Send { to, .. } if to == learned));
}

#[test]
fn a_stranger_is_never_believed_once_a_source_is_latched() {
    let mut table = answered();
    let _ = table.forward(secs(1), CALLER_PORT, at("192.0.2.1:4000"), &rtp(1, 1));
    let stranger = table.forward(secs(1), CALLER_PORT, at("192.0.2.1:9999"), &rtp(2, 1));
    assert_eq!(stranger, Verdict::Drop(DropReason::Stranger));
    // Nor later, if it does not continue the stream.
    let stranger = table.forward(secs(9), CALLER_PORT, at("192.0.2.1:9999"), &rtp(2, 9));
    assert_eq!(stranger, Verdict::Drop(DropReason::Stranger));
}

#[test]
fn the_same_stream_may_continue_from_elsewhere_after_two_seconds_of_silence() {
    let mut table = answered();
    let _ = table.forward(secs(1), CALLER_PORT, at("192.0.2.1:4000"), &rtp(1, 1));
    let moved = at("192.0.2.77:1234");
    let early = table.forward(secs(2), CALLER_PORT, moved, &rtp(2, 1));
    assert_eq!(early, Verdict::Drop(DropReason::Stranger));
    let late = table.forward(secs(3), CALLER_PORT, moved, &rtp(2, 1));
    assert!(matches!(late, Verdict::Send { .. }));
    let old = table.forward(secs(3), CALLER_PORT, at("192.0.2.1:4000"), &rtp(3, 1));
    assert_eq!(old, Verdict::Drop(DropReason::Stranger));
}

#[test]
fn a_payload_type_that_was_not_negotiated_neither_passes_nor_latches() {
    let mut table = answered();
    let mut packet = rtp(1, 1);
    packet[1] = 18;
    let verdict = table.forward(secs(1), CALLER_PORT, at("192.0.2.1:9999"), &packet);
    assert_eq!(verdict, Verdict::Drop(DropReason::PayloadType));
    let verdict = table.forward(secs(1), CALLER_PORT, at("192.0.2.1:4000"), &rtp(1, 1));
    assert!(matches!(verdict, Verdict::Send { .. }));
}

#[test]
fn before_the_answer_only_the_callee_is_heard_and_not_for_ever() {
    let mut table = call();
    let caller = table.forward(secs(1), CALLER_PORT, at("192.0.2.1:4000"), &rtp(1, 1));
    assert_eq!(caller, Verdict::Drop(DropReason::Early));
    let callee = table.forward(secs(1), CALLEE_PORT, at("198.51.100.1:6000"), &rtp(1, 2));
    assert!(matches!(callee, Verdict::Send { .. }));
    let callee = table.forward(secs(121), CALLEE_PORT, at("198.51.100.1:6000"), &rtp(2, 2));
    assert_eq!(callee, Verdict::Drop(DropReason::Early));
}

#[test]
fn a_new_sdp_with_another_address_lets_the_port_learn_again() {
    let mut table = answered();
    let _ = table.forward(secs(1), CALLER_PORT, at("192.0.2.1:4000"), &rtp(1, 1));
    let latch = Latch::LearnPort { until: secs(30) };
    let moved = at("203.0.113.5:8000");
    table.set_remote(CALLER_PORT, Some(moved), None, latch, PayloadTypes::ANY);
    let old = table.forward(secs(20), CALLER_PORT, at("192.0.2.1:4000"), &rtp(9, 5));
    assert_eq!(old, Verdict::Drop(DropReason::Stranger));
    let new = table.forward(secs(20), CALLER_PORT, moved, &rtp(1, 3));
    assert!(matches!(new, Verdict::Send { .. }));
}

#[test]
fn silence_on_both_sides_is_found() {
    let mut table = answered();
    let timeout = secs(60);
    assert_eq!(table.poll_silent(secs(59), timeout, 100), None);
    let _ = table.forward(secs(50), CALLEE_PORT, at("198.51.100.1:6000"), &rtp(1, 2));
    assert_eq!(table.poll_silent(secs(61), timeout, 100), None);
    assert_eq!(table.poll_silent(secs(110), timeout, 100), Some(SILENT));
}

#[test]
fn the_silence_of_a_call_on_hold_is_agreed_and_told_once_in_a_while() {
    let mut table = answered();
    let timeout = secs(60);
    table.set_on_hold(CALLER_PORT, true);
    assert_eq!(table.poll_silent(secs(59), timeout, 100), None);
    let agreed = Silence { is_agreed: true, ..SILENT };
    for at in [70, 130] {
        assert_eq!(table.poll_silent(secs(at), timeout, 100), Some(agreed));
        assert_eq!(table.poll_silent(secs(at + 59), timeout, 100), None);
    }
    // Music on hold is no silence.
    let _ = table.forward(secs(189), CALLEE_PORT, at("198.51.100.1:6000"), &rtp(1, 2));
    assert_eq!(table.poll_silent(secs(190), timeout, 100), None);
}

#[test]
fn the_end_of_a_long_hold_is_not_silence() {
    let mut table = answered();
    table.set_on_hold(CALLER_PORT, true);
    table.set_on_hold(CALLEE_PORT, true);
    table.set_on_hold(CALLER_PORT, false);
    table.set_on_hold(CALLEE_PORT, false);
    assert_eq!(table.poll_silent(secs(601), secs(60), 100), None);
    assert_eq!(table.poll_silent(secs(700), secs(60), 200), Some(SILENT));
}

#[test]
fn a_caller_behind_nat_is_still_learned_after_a_slow_answer() {
    let mut table = call();
    let latch = Latch::Learn { until: secs(10) };
    table.set_remote(CALLER_PORT, Some(at("10.0.0.9:4000")), None, latch, PayloadTypes::ANY);
    table.set_answered(secs(40), CALLER_PORT);
    table.set_answered(secs(40), CALLEE_PORT);
    let verdict = table.forward(secs(41), CALLER_PORT, at("192.0.2.1:49152"), &rtp(1, 1));
    assert!(matches!(verdict, Verdict::Send { .. }));
}

#[test]
fn a_repeated_sdp_keeps_what_packets_proved() {
    let mut table = answered();
    let learned = at("192.0.2.1:49152");
    let _ = table.forward(secs(1), CALLER_PORT, learned, &rtp(1, 1));
    let told = Some(at("192.0.2.1:4000"));
    let latch = Latch::LearnPort { until: secs(60) };
    table.set_remote(CALLER_PORT, told, None, latch, PayloadTypes::ANY);
    assert_eq!(table.snapshot(CALLER_PORT).remote, Some(learned));
}

#[test]
fn a_reused_port_never_gets_the_audio_of_the_call_before() {
    let mut table = answered();
    table.close(CALLEE_PORT);
    let other = Opening { peer: OTHER_PORT, owner: Owner(8), towards_caller: false };
    assert!(table.open(secs(2), CALLEE_PORT, &other));
    table.set_remote(
        CALLEE_PORT,
        Some(at("198.51.100.7:6000")),
        None,
        Latch::Fixed,
        PayloadTypes::ANY,
    );
    let verdict = table.forward(secs(3), CALLER_PORT, at("192.0.2.1:4000"), &rtp(1, 1));
    assert_eq!(verdict, Verdict::Drop(DropReason::PeerUnknown));
}

#[test]
fn a_closed_pair_gives_its_figures_once_and_drops_everything() {
    let mut table = answered();
    let _ = table.forward(secs(1), CALLER_PORT, at("192.0.2.1:4000"), &rtp(1, 1));
    assert_eq!(table.open_pairs(), 2);
    assert_eq!(table.close(CALLER_PORT).packets, 1);
    assert_eq!(table.close(CALLER_PORT).packets, 0);
    assert_eq!(table.open_pairs(), 1);
    let verdict = table.forward(secs(2), CALLER_PORT, at("192.0.2.1:4000"), &rtp(2, 1));
    assert_eq!(verdict, Verdict::Drop(DropReason::NoFlow));
    let verdict = table.forward(secs(2), CALLEE_PORT, at("198.51.100.1:6000"), &rtp(2, 1));
    assert_eq!(verdict, Verdict::Drop(DropReason::PeerUnknown));
}

#[test]
fn a_pair_reopened_after_a_restart_believes_the_same_source() {
    let mut table = answered();
    let _ = table.forward(secs(1), CALLER_PORT, at("192.0.2.1:49152"), &rtp(1, 1));
    let state = table.snapshot(CALLER_PORT);
    let mut table = call();
    table.close(CALLER_PORT);
    let opening = Opening { peer: CALLEE_PORT, owner: Owner(7), towards_caller: true };
    assert!(table.reopen(secs(5), CALLER_PORT, &opening, &state, secs(15)));
    assert_eq!(
        table.forward(secs(6), CALLER_PORT, at("192.0.2.9:4000"), &rtp(9, 9)),
        Verdict::Drop(DropReason::Stranger)
    );
    let verdict = table.forward(secs(6), CALLER_PORT, at("192.0.2.1:49152"), &rtp(9, 1));
    assert!(matches!(verdict, Verdict::Send { .. }));
}

proptest! {
    #[test]
    fn no_packet_of_a_stranger_moves_a_latched_flow_or_panics(
        packets in prop::collection::vec(
            (9_998u16..10_110, any::<[u8; 4]>(), any::<u16>(), prop::collection::vec(any::<u8>(), 0..40), 0u64..2000),
            0..50,
        )
    ) {
        let mut table = answered();
        let far = at("192.0.2.1:4000");
        let _ = table.forward(secs(1), CALLER_PORT, far, &rtp(1, 1));
        for (number, ip, source_port, payload, ms) in packets {
            let source = SocketAddr::from((ip, source_port));
            let _ = table.forward(secs(1) + Duration::from_millis(ms), Port::new(0, number), source, &payload);
        }
        prop_assert_eq!(table.snapshot(CALLER_PORT).remote, Some(far));
    }
}

/// A packet of an event: `key` is its number, `at` its timestamp.
fn event(sequence: u16, at: u32, key: u8) -> Vec<u8> {
    let mut packet = rtp(sequence, 1);
    packet.truncate(12);
    packet[1] = 101;
    packet[4..8].copy_from_slice(&at.to_be_bytes());
    packet.extend([key, 0x0a, 0, 160]);
    packet
}

#[test]
fn a_key_is_told_once_however_its_packets_are_lost_doubled_or_late() {
    let mut table = answered();
    table.set_events(CALLER_PORT, 101);
    let caller = at("192.0.2.1:4000");
    let arrivals =
        [(1, 160, 5), (2, 160, 5), (3, 160, 5), (9, 1_600, 11), (4, 160, 5), (10, 1_600, 11)];
    for (sequence, at, key) in arrivals {
        let verdict = table.forward(secs(1), CALLER_PORT, caller, &event(sequence, at, key));
        assert!(matches!(verdict, Verdict::Send { .. }), "and they go on: {verdict:?}");
    }
    let pressed = |key| Some(Pressed { owner: Owner(7), port: CALLER_PORT, key, way: Way::Passed });
    assert_eq!(table.poll_key(), pressed(b'5'));
    assert_eq!(table.poll_key(), pressed(b'#'));
    assert_eq!(table.poll_key(), None);

    // A new sender counts from wherever it likes.
    let mut renewed = event(1, 7, 0);
    renewed[8..12].copy_from_slice(&[9; 4]);
    let _ = table.forward(secs(1), CALLER_PORT, caller, &renewed);
    assert_eq!(table.poll_key(), pressed(b'0'));
    // No key: a tone of the line, and an event of the other side, who was told of none.
    let _ = table.forward(secs(1), CALLER_PORT, caller, &event(11, 3_200, 66));
    let _ = table.forward(secs(1), CALLEE_PORT, at("198.51.100.1:6000"), &event(1, 160, 5));
    assert_eq!(table.poll_key(), None);
}

/// 20 ms of key 5 in the A-law.
fn tone(sequence: u16) -> Vec<u8> {
    let mut packet = vec![0x80, 8];
    packet.extend(sequence.to_be_bytes());
    packet.extend((u32::from(sequence) * 160).to_be_bytes());
    packet.extend([7; 4]);
    packet.extend((0..160).map(|at| {
        let turn = core::f32::consts::TAU * (f32::from(sequence) * 160.0 + at as f32) / 8_000.0;
        let sample = ((turn * 770.0).sin() + (turn * 1_336.0).sin()) * 6_000.0;
        codec::g711::to_a_law(sample as i16)
    }));
    packet
}

#[test]
fn a_key_in_tones_is_told_once_where_somebody_listens() {
    let mut table = answered();
    let caller = at("192.0.2.1:4000");
    let press = |table: &mut Table, sequences: &[u16]| {
        for sequence in sequences {
            let verdict = table.forward(secs(1), CALLER_PORT, caller, &tone(*sequence));
            assert!(matches!(verdict, Verdict::Send { .. }), "{verdict:?}");
        }
        std::iter::from_fn(|| table.poll_key()).map(|pressed| pressed.key).collect::<Vec<u8>>()
    };
    assert_eq!(press(&mut table, &[1, 2, 3, 4]), b"");
    table.set_inband(CALLER_PORT, true);
    assert!(matches!(table.course(CALLER_PORT), Course::Known(_)), "no driver hears tones");
    // Doubled, late, and one lost: the key lasts.
    assert_eq!(press(&mut table, &[5, 6, 7, 8, 8, 5, 10, 11, 12]), b"5");
    table.set_inband(CALLER_PORT, false);
    assert_eq!(press(&mut table, &[40, 41, 42, 43]), b"");
    assert!(matches!(table.course(CALLER_PORT), Course::Settled(_)));
}

#[test]
fn detectors_come_back_with_their_calls() {
    let mut table = answered();
    for _ in 0..2 {
        table.set_inband(CALLER_PORT, true);
        assert_eq!(table.detectors.free(), DETECTORS_MAX - 1);
    }
    table.close(CALLER_PORT);
    assert_eq!(table.detectors.free(), DETECTORS_MAX);
}

/// A generator of numbers that is the same every time (Numerical Recipes' 64-bit step).
struct Dice(u64);

impl Dice {
    fn below(&mut self, sides: u64) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }
}

#[test]
fn of_ten_thousand_keys_with_packets_lost_and_overtaken_each_is_told_once_and_in_order() {
    for seed in 0..20 {
        let mut table = call();
        table.set_events(CALLER_PORT, 101);
        table.set_answered(secs(1), CALLER_PORT);
        let (caller, mut dice) = (at("192.0.2.1:4000"), Dice(seed));
        let keys: Vec<u8> = (0..10_000).map(|_| dice.below(16) as u8).collect();
        // 60 ms of each, every 20 ms, and the end three times (RFC 4733 §2.5.1.4); a key each 200 ms.
        let mut packets: Vec<(u64, Vec<u8>)> = Vec::new();
        let mut sequence = 0_u16;
        for (number, key) in (0_u32..).zip(&keys) {
            for step in 0..6_u64 {
                sequence = sequence.wrapping_add(1);
                let begun_ms = u64::from(number) * 200;
                let sent = begun_ms + 20 * step.min(3);
                // Up to 50 ms on their way, so that some overtake others.
                let arrives = sent + dice.below(50);
                if dice.below(100) >= 5 {
                    packets.push((arrives, event(sequence, number * 1_600, *key)));
                }
            }
        }
        packets.sort_by_key(|(arrives, _)| *arrives);
        let mut told = Vec::new();
        for (arrives, packet) in &packets {
            let now = secs(2) + Duration::from_millis(*arrives);
            let verdict = table.forward(now, CALLER_PORT, caller, packet);
            assert!(
                !matches!(verdict, Verdict::Drop(DropReason::PayloadType)),
                "it goes on as well"
            );
            told.extend(std::iter::from_fn(|| table.poll_key()).map(|pressed| pressed.key));
        }
        let pressed: Vec<u8> =
            keys.iter().map(|key| b"0123456789*#ABCD"[usize::from(*key)]).collect();
        assert_eq!(told.len(), pressed.len(), "seed {seed}");
        assert!(told == pressed, "seed {seed}");
    }
}

#[test]
fn more_keys_than_anybody_presses_take_no_memory() {
    let mut table = answered();
    table.set_events(CALLER_PORT, 101);
    for number in 0..1_000_u16 {
        let packet = event(number, u32::from(number) * 160, 1);
        let _ = table.forward(secs(1), CALLER_PORT, at("192.0.2.1:4000"), &packet);
    }
    assert!(std::iter::from_fn(|| table.poll_key()).count() < 1_000);
}

#[test]
fn a_parked_leg_is_heard_by_nobody_and_yet_lives() {
    let mut table = answered();
    table.set_events(CALLER_PORT, 101);
    table.set_parked(CALLER_PORT, true);
    let caller = at("192.0.2.1:4000");
    let verdict = table.forward(secs(5), CALLER_PORT, caller, &event(1, 160, 5));
    assert_eq!(verdict, Verdict::Drop(DropReason::Parked));
    assert!(table.poll_key().is_some());
    assert_eq!(table.heard_at(CALLER_PORT), Some(secs(5)));
    table.set_parked(CALLER_PORT, false);
    let verdict = table.forward(secs(5), CALLER_PORT, caller, &rtp(2, 1));
    assert!(matches!(verdict, Verdict::Send { .. }), "{verdict:?}");
}

#[test]
fn ringback_sounds_every_twenty_milliseconds_until_the_other_leg_is_heard() {
    let mut table = call();
    let mut out = [0; SOUND_BYTES];
    assert!(table.ring(secs(1), CALLER_PORT, true, 9));
    assert!(!table.ring(secs(1), Port::new(1, 10_050), true, 9), "nobody's port");
    let own = at("10.10.1.2:10000");
    for packet in 0..300_u64 {
        let now = secs(1) + Duration::from_millis(20 * packet);
        assert_eq!(table.sound_due(), Some(now));
        let sound = table.poll_sound(now, &mut out).unwrap();
        assert_eq!((sound.from, sound.to), (own, at("192.0.2.1:4000")));
        assert_eq!(sound.bytes, TONE_BYTES);
        let rtp = wire::rtp::parse(&out).unwrap();
        assert_eq!((rtp.payload_type, rtp.sequence, rtp.ssrc), (8, packet as u16, 9));
        assert_eq!(out[1] & 0x80 != 0, packet == 0, "the first one is marked");
        let is_silent = out[12..TONE_BYTES].iter().all(|&byte| byte == 0xd5);
        assert_eq!(is_silent, (50..250).contains(&packet));
        assert_eq!(table.poll_sound(now, &mut out), None);
    }
    let _ = table.forward(secs(7), CALLEE_PORT, at("198.51.100.1:6000"), &rtp(1, 1));
    assert_eq!(table.poll_sound(secs(8), &mut out), None);
    assert_eq!(table.sound_due(), None);
}

#[test]
fn ringback_ends_with_the_answer_and_with_its_port_and_is_never_late_for_ever() {
    let mut out = [0; SOUND_BYTES];
    let mut table = call();
    assert!(table.ring(secs(1), CALLER_PORT, false, 9));
    assert!(table.poll_sound(secs(5), &mut out).is_some());
    assert_eq!(table.poll_sound(secs(5), &mut out), None, "what was missed is not made up for");
    table.set_answered(secs(6), CALLER_PORT);
    assert_eq!(table.poll_sound(secs(6), &mut out), None);
    let mut table = call();
    assert!(table.ring(secs(1), CALLER_PORT, false, 9));
    table.close(CALLER_PORT);
    assert_eq!(table.poll_sound(secs(6), &mut out), None);
    assert_eq!(table.sound_due(), None);
}

fn latched() -> Table {
    let mut table = call();
    table.set_answered(secs(1), CALLER_PORT);
    table.set_answered(secs(1), CALLEE_PORT);
    for (port, from) in [(CALLER_PORT, "192.0.2.1:4000"), (CALLEE_PORT, "198.51.100.1:6000")] {
        assert!(matches!(table.forward(secs(2), port, at(from), &rtp(1, 9)), Verdict::Send { .. }));
    }
    while table.poll_changed().is_some() {}
    table
}

fn settled_to(table: &Table, port: Port) -> Option<SocketAddr> {
    match table.course(port) {
        Course::Settled(onward) => Some(onward.to),
        _ => None,
    }
}

#[test]
fn an_answered_call_whose_ends_are_proven_is_settled_and_its_rtcp_is_not() {
    let mut table = call();
    assert_eq!(table.course(CALLER_PORT), Course::Open);
    assert_eq!(table.course(OTHER_PORT), Course::Closed);
    let _ = table.forward(secs(1), CALLEE_PORT, at("198.51.100.1:6000"), &rtp(1, 9));
    assert_eq!(
        table.course(CALLEE_PORT),
        Course::Known(at("198.51.100.1:6000")),
        "before the answer"
    );
    let table = latched();
    assert_eq!(settled_to(&table, CALLER_PORT), Some(at("198.51.100.1:6000")));
    assert_eq!(settled_to(&table, CALLEE_PORT), Some(at("192.0.2.1:4000")));
    let Course::Settled(onward) = table.course(CALLEE_PORT) else { panic!("settled") };
    assert_eq!((onward.source, onward.from), (at("198.51.100.1:6000"), at("10.10.1.2:10000")));
    assert_eq!(onward.owner, Owner(7));
    assert_eq!(table.course(CALLER_PORT.rtcp()), Course::Open);
}

#[test]
fn whatever_changes_a_flow_names_its_port_and_the_one_that_feeds_it() {
    let changed = |act: fn(&mut Table)| {
        let mut table = latched();
        act(&mut table);
        let mut ports: Vec<Port> = std::iter::from_fn(|| table.poll_changed()).collect();
        ports.sort_unstable();
        (ports, table)
    };
    let both = [CALLER_PORT, CALLEE_PORT];
    let moved = |table: &mut Table| {
        let types = PayloadTypes::ANY.with(8);
        let latch = Latch::LearnPort { until: secs(20) };
        table.set_remote(CALLER_PORT, Some(at("192.0.2.1:4444")), None, latch, types);
    };
    let (ports, table) = changed(moved);
    assert!(both.iter().all(|port| ports.contains(port)), "{ports:?}");
    assert_eq!(table.course(CALLER_PORT), Course::Open, "nobody is proven yet");
    assert_eq!(
        settled_to(&table, CALLEE_PORT),
        Some(at("192.0.2.1:4444")),
        "and is sent to all the same"
    );
    let (ports, table) = changed(|table| table.set_parked(CALLER_PORT, true));
    assert!(ports.contains(&CALLER_PORT), "{ports:?}");
    assert_eq!(table.course(CALLER_PORT), Course::Known(at("192.0.2.1:4000")));
    let (ports, table) = changed(|table| _ = table.close(CALLER_PORT));
    assert!(both.iter().all(|port| ports.contains(port)), "{ports:?}");
    assert_eq!(table.course(CALLER_PORT), Course::Closed);
    assert_eq!(table.course(CALLEE_PORT), Course::Known(at("198.51.100.1:6000")));
    let (ports, _) = changed(|table| table.set_not_after(CALLER_PORT, Some(secs(60))));
    assert_eq!(ports, [CALLER_PORT]);
    let (ports, table) = changed(|table| table.set_settles(false));
    assert_eq!(ports.len(), table.len(), "all ports are said anew");
    assert_eq!(settled_to(&table, CALLER_PORT), None);
}

/// A driver that counts a fixed sum.
struct Counts(Sums);

impl Ears for Counts {
    fn sums(&self, _: Port) -> Sums {
        self.0
    }

    fn settled(&self, port: Port, owner: Owner) -> Option<SocketAddr> {
        (port == CALLER_PORT && owner == Owner(7)).then(|| at("192.0.2.1:4999"))
    }
}

fn counts() -> Sums {
    let last = secs(30);
    Sums {
        packets: 100,
        bytes: 17_200,
        last,
        received: 100,
        base: 65_537,
        highest: 65_637,
        ..Sums::default()
    }
}

#[test]
fn while_a_flow_is_settled_its_driver_counts_and_from_then_on_we_do() {
    let mut table = latched();
    assert_eq!(table.sums(CALLER_PORT).packets, 1, "from there the driver counts on");
    table.set_ears(Box::new(Counts(counts())));
    table.set_settled(CALLER_PORT, true);
    assert_eq!(table.settled_ports(), 1);
    let figures = table.figures(CALLER_PORT);
    assert_eq!((figures.packets, figures.lost), (100, 1));
    assert_eq!(table.heard_at(CALLER_PORT), Some(secs(30)));
    // What was left to us is ours to count.
    let _ = table.forward(secs(31), CALLER_PORT, at("192.0.2.1:4000"), &rtp(200, 9));
    let figures = table.figures(CALLER_PORT);
    assert_eq!((figures.packets, figures.lost), (101, 0));
    assert_eq!(table.heard_at(CALLER_PORT), Some(secs(31)));
    table.set_settled(CALLER_PORT, false);
    let _ = table.forward(secs(31), CALLER_PORT, at("192.0.2.1:4000"), &rtp(102, 0));
    assert_eq!(table.figures(CALLER_PORT).packets, 102);
    assert_eq!(table.settled_ports(), 0);
}

#[test]
fn a_settled_call_is_not_silent_while_its_driver_hears_it() {
    let mut table = latched();
    table.set_ears(Box::new(Counts(counts())));
    for port in [CALLER_PORT, CALLEE_PORT] {
        table.set_settled(port, true);
    }
    assert_eq!(table.poll_silent(secs(35), secs(10), 100), None);
    assert_eq!(table.poll_silent(secs(41), secs(10), 100), Some(SILENT));
}

#[test]
fn a_restart_believes_what_its_driver_proved_meanwhile() {
    let mut table = Table::new(10_000, 100, &OWN);
    table.set_ears(Box::new(Counts(counts())));
    let opening = Opening { peer: CALLEE_PORT, owner: Owner(7), towards_caller: true };
    let state = PortState { remote: Some(at("192.0.2.1:4000")), ..PortState::default() };
    assert!(table.reopen(secs(40), CALLER_PORT, &opening, &state, secs(50)));
    assert!(table.is_settled(CALLER_PORT));
    assert_eq!(table.snapshot(CALLER_PORT).remote, Some(at("192.0.2.1:4999")));
    assert_eq!(table.figures(CALLER_PORT).packets, 100);
    // One that was left to the process before this one is not missing.
    assert_eq!((table.figures(CALLER_PORT).lost, table.beside(CALLER_PORT)), (1, (0, 0)));
    table.restore_beside(CALLER_PORT, (1, 172));
    let figures = table.figures(CALLER_PORT);
    assert_eq!((figures.packets, figures.bytes, figures.lost), (101, 17_372, 0));
    assert_eq!(table.beside(CALLER_PORT), (1, 172));
    let other = Opening { owner: Owner(8), ..opening };
    table.close(CALLER_PORT);
    assert!(table.reopen(secs(40), CALLER_PORT, &other, &state, secs(50)));
    assert!(!table.is_settled(CALLER_PORT), "that was another call's");
}

#[test]
fn fax_is_never_settled_and_its_end_is_learned_apart_from_that_of_the_sound() {
    let mut table = answered();
    let (sound, fax) = (at("192.0.2.1:4000"), at("192.0.2.1:4010"));
    assert!(matches!(table.forward(secs(1), CALLER_PORT, sound, &rtp(1, 1)), Verdict::Send { .. }));
    assert!(matches!(
        table.forward(secs(1), CALLEE_PORT, at("198.51.100.1:6000"), &rtp(1, 2)),
        Verdict::Send { .. }
    ));
    assert!(matches!(table.course(CALLER_PORT), Course::Settled(_)));
    table.set_fax(CALLER_PORT, true);
    assert_eq!(table.course(CALLER_PORT), Course::Open);
    assert_eq!(
        table.forward(secs(2), CALLER_PORT, sound, &rtp(2, 1)),
        Verdict::Drop(DropReason::NotFax)
    );
    assert!(matches!(table.forward(secs(2), CALLER_PORT, fax, b"udptl"), Verdict::Send { .. }));
    assert_eq!(table.course(CALLER_PORT), Course::Known(fax));
    // What is proven once may look like anything.
    assert!(matches!(table.forward(secs(3), CALLER_PORT, fax, &rtp(3, 1)), Verdict::Send { .. }));
    assert_eq!(table.heard_at(CALLER_PORT), Some(secs(3)));
    table.set_fax(CALLER_PORT, false);
    assert_eq!(
        table.forward(secs(4), CALLER_PORT, fax, b"udptl"),
        Verdict::Drop(DropReason::NotRtp)
    );
    assert!(matches!(table.forward(secs(4), CALLER_PORT, sound, &rtp(4, 1)), Verdict::Send { .. }));
}

#[test]
fn what_was_only_as_described_is_not_learned_after_a_restart_either() {
    for (fixed, verdict) in [(true, false), (false, true)] {
        let remote = Some(at("192.0.2.1:4000"));
        let state = PortState { remote, fixed, ..PortState::default() };
        let mut table = Table::new(CALLER_PORT.number(), 8, &OWN);
        for (port, peer) in [(CALLER_PORT, CALLEE_PORT), (CALLEE_PORT, CALLER_PORT)] {
            let owner = Owner(7);
            let opening = Opening { peer, owner, towards_caller: port == CALLER_PORT };
            let until = Duration::from_secs(10);
            assert!(table.reopen(Duration::ZERO, port, &opening, &state, until));
        }
        assert_eq!(table.snapshot(CALLER_PORT).fixed, fixed);
        let other = at("192.0.2.1:4002");
        let is_heard = |it: Verdict| matches!(it, Verdict::Send { .. });
        let heard = table.forward(Duration::from_secs(1), CALLER_PORT, other, &rtp(1, 9));
        assert_eq!(is_heard(heard), verdict);
    }
}
