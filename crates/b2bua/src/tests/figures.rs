//! What media were like, in records and while calls run.

use link::figures::{BYPASSED, MediaFigures, REPORTED, SETTLED};
use relay::{Ears, Owner, Sums, Verdict};
use sip::sdp::Codec;

use super::*;

impl World {
    /// A packet each way, every 20 ms.
    fn both_talk(&mut self, ports: [Port; 2], numbers: std::ops::Range<u8>) {
        let mut rtp = [0_u8; 172];
        rtp[0] = 0x80;
        for sequence in numbers {
            rtp[3] = sequence;
            self.wait_ms(20);
            for (port, far) in ports.into_iter().zip(["198.51.100.7:4000", "203.0.113.10:6000"]) {
                let source = far.parse().unwrap();
                let verdict = self.switch.media().forward(self.now, port, source, &rtp);
                assert!(matches!(verdict, Verdict::Send { .. }), "{verdict:?}");
            }
        }
    }
}

#[test]
fn media_flows_between_the_legs_and_its_figures_are_in_the_record() {
    let mut world = World::new();
    let (key, invite, answer) = world.talking();
    let (ours, theirs) = (media_port(&answer), media_port(&invite));
    let mut rtp = [0_u8; 172];
    rtp[0] = 0x80;
    for sequence in 0..50_u8 {
        rtp[3] = sequence;
        world.wait_ms(20);
        let now = world.now;
        let source = "198.51.100.7:4000".parse().unwrap();
        let verdict = world.switch.media().forward(now, ours, source, &rtp);
        let Verdict::Send { to, owner, .. } = verdict else { panic!("{verdict:?}") };
        assert_eq!(to, "203.0.113.10:6000".parse().unwrap());
        assert_eq!(call_of(owner), key);
        let source = "203.0.113.10:6000".parse().unwrap();
        let verdict = world.switch.media().forward(now, theirs, source, &rtp);
        assert!(matches!(verdict, Verdict::Send { .. }), "{verdict:?}");
    }
    world.caller_sends(&caller_request("BYE", 2, &answer, ""));
    let record = world.ended(key);
    assert_eq!((record.from_caller.packets, record.from_callee.packets), (50, 50));
    assert_eq!(record.media_ms, 1_000);
    world.settles();
}

#[test]
fn a_running_call_is_seen_with_its_codec_and_what_its_far_ends_report() {
    let mut world = World::new();
    let (key, invite, answer) = world.talking();
    let ports = [media_port(&answer), media_port(&invite)];
    world.both_talk(ports, 0..10);
    // The caller reports, and the callee answers 40 ms later.
    let report = |kind: u8, words: &[u32]| {
        let mut bytes = vec![0x80 | u8::from(words.len() > 6), kind, 0, words.len() as u8];
        bytes.extend(words.iter().flat_map(|word| word.to_be_bytes()));
        bytes
    };
    let sent = report(200, &[9, 0x0001, 0x0002_0000, 0, 10, 1_720]);
    let said = [8, 0, 0, 0, 0, 0, 9, 0x4000_0004, 10, 80, 0x0001_0002, 0];
    for (port, far, packet) in
        [(ports[0], "198.51.100.7:4001", sent), (ports[1], "203.0.113.10:6001", report(200, &said))]
    {
        let source = far.parse().unwrap();
        let verdict = world.switch.media().forward(world.now, port.rtcp(), source, &packet);
        assert!(matches!(verdict, Verdict::Send { .. }), "{verdict:?}");
        world.wait_ms(40);
    }
    let (seen, [from_caller, from_callee]) = world.switch.figures(key.slot).unwrap();
    assert_eq!((seen, from_caller.packets, from_caller.careful), (key, 10, 10));
    assert_eq!([from_caller.codec, from_callee.codec], [Codec::Pcmu as u8; 2]);
    let MediaFigures { far_fraction, far_lost, far_jitter_us, flags, .. } = from_caller;
    assert_eq!((far_fraction, far_lost, far_jitter_us, flags), (64, 4, 10_000, REPORTED));
    assert_eq!((from_callee.round_trip_us, from_callee.flags & SETTLED), (40_000, 0));
    assert_eq!(world.switch.figures(key.slot + 1), None);
    world.caller_sends(&caller_request("BYE", 2, &answer, ""));
    let record = world.ended(key);
    assert_eq!([record.from_caller, record.from_callee], [from_caller, from_callee]);
    assert_eq!((record.resumed, from_caller.flags & BYPASSED), (0, 0));
    world.settles();
}

#[test]
fn figures_that_were_shown_last_go_on_in_the_process_after_a_kill() {
    let mut world = World::new();
    let (key, invite, answer) = world.talking();
    let ports = [media_port(&answer), media_port(&invite)];
    world.both_talk(ports, 0..50);
    let (_, shown) = world.switch.figures(key.slot).unwrap();
    // What comes until the kill is lost with the process.
    world.both_talk(ports, 50..55);
    [world.images[0].1.from_caller, world.images[0].1.from_callee] = shown;
    world.restart();
    world.both_talk(ports, 60..70);
    let caller = world.switch.figures(key.slot).unwrap().1[0];
    assert_eq!((caller.packets, caller.careful, caller.lost), (60, 60, 0));
    assert_eq!(caller.codec, Codec::Pcmu as u8);
    world.caller_sends(&caller_request("BYE", 2, &answer, ""));
    let record = world.ended(key);
    assert_eq!((record.from_caller.packets, record.from_callee.packets), (60, 60));
    assert_eq!(record.resumed, 1);
    world.settles();
}

/// A driver that went on with all that there was, and has counted a thousand packets.
struct WentOn;

impl Ears for WentOn {
    fn sums(&self, _: Port) -> Sums {
        Sums {
            packets: 1_000,
            bytes: 172_000,
            received: 1_000,
            base: 1,
            highest: 1_005,
            ..Sums::default()
        }
    }

    fn settled(&self, _: Port, _: Owner) -> Option<SocketAddr> {
        Some("198.51.100.7:4000".parse().unwrap())
    }
}

#[test]
fn what_the_driver_did_not_count_is_counted_on_after_a_kill() {
    let mut world = World::new();
    let (key, invite, answer) = world.talking();
    let ports = [media_port(&answer), media_port(&invite)];
    world.both_talk(ports, 0..50);
    let (_, shown) = world.switch.figures(key.slot).unwrap();
    [world.images[0].1.from_caller, world.images[0].1.from_callee] = shown;
    world.restart();
    // The process before had sent fifty on, by a stream that no driver counted.
    let (_, shown) = world.switch.figures(key.slot).unwrap();
    world.apart = world.switch.apart(key.slot);
    world.apart[0].beside = 5;
    world.apart[0].beside_bytes = 80;
    assert_eq!((shown[0].packets, world.apart[0].packets), (50, 50));
    world.ears = Some(|| Box::new(WentOn));
    world.restart();
    let of = |world: &mut World| world.switch.figures(key.slot).unwrap().1[0];
    let figures = of(&mut world);
    // Of 1,005 by their numbers five were keys, which the driver left to the worker.
    assert_eq!((figures.packets, figures.lost), (1_055, 0));
    // And so for the process after the next.
    world.apart = world.switch.apart(key.slot);
    assert_eq!((world.apart[0].packets, world.apart[0].beside), (50, 5));
    [world.images[0].1.from_caller, world.images[0].1.from_callee] =
        world.switch.figures(key.slot).unwrap().1;
    world.restart();
    assert_eq!(of(&mut world).packets, 1_055);
}
