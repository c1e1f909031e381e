//! Which calls are copied to whoever records, and from when on.

use std::sync::mpsc::{Receiver, Sender, channel};

use link::answer::RECORDED_AT;
use link::profile::MediaProxy;
use link::record::{RECORDED_PCAP, RECORDED_WAV};
use relay::{Tap, Tapped, Verdict};

use super::*;

/// The mapping gateway of [`World::route`].
const CUSTOMER: u32 = 3;

/// Tells whose packets are copied: `true` for the caller's.
struct Copier(Sender<bool>);

impl Tap for Copier {
    fn take(&mut self, tapped: &Tapped<'_>) {
        self.0.send(tapped.from_caller).unwrap();
    }
}

/// Whose were.
struct Copies(Receiver<bool>);

impl Copies {
    fn of(world: &mut World) -> Self {
        let (told, copies) = channel();
        world.switch.media().set_tap(Box::new(Copier(told)));
        Self(copies)
    }

    /// One packet each way goes on; who of them was copied.
    fn hears(&self, world: &mut World, ports: [Port; 2], sequence: u8) -> Vec<bool> {
        let ends = ["198.51.100.7:4000", "203.0.113.10:6000"];
        for (port, end) in ports.into_iter().zip(ends) {
            let packet = [0x80, 0, 0, sequence, 0, 0, 0, sequence, 0, 0, 0, 9, 1, 2, 3, 4];
            let verdict = world.switch.forward(world.now, port, end.parse().unwrap(), &packet);
            assert!(matches!(verdict, Verdict::Send { .. }), "{verdict:?}");
        }
        self.0.try_iter().collect()
    }
}

/// A call of a customer and by a vendor that are recorded so; our ports towards both.
fn talks(world: &mut World, flags: u8, gateways: [u8; 2]) -> (CallKey, [Port; 2]) {
    for (gateway, recorded) in [CUSTOMER, 100].into_iter().zip(gateways) {
        world.wants(gateway, |profile| profile.recorded = recorded);
    }
    world.caller_sends(&invite(1, &caller_sdp()));
    world.caller_gets("SIP/2.0 100 ");
    let admit = world.admit();
    world.route_with(admit.call, &[0], |route| route.flags |= u32::from(flags) << RECORDED_AT);
    let invite = world.vendor_gets(0, "INVITE ");
    world.vendor_says(0, &invite, 200, "v", &vendor_sdp());
    world.vendor_gets(0, "ACK ");
    world.commit();
    let answer = world.caller_gets("SIP/2.0 200 ");
    world.caller_sends(&caller_request("ACK", 1, &answer, ""));
    (admit.call, [media_port(&answer), media_port(&invite)])
}

#[test]
fn a_call_is_copied_if_its_route_or_either_gateway_wants_that_and_its_record_says_how() {
    let (wav, pcap) = (RECORDED_WAV, RECORDED_PCAP);
    for (flags, gateways) in
        [(0, [0, 0]), (wav, [0, 0]), (0, [pcap, 0]), (0, [0, wav]), (wav, [0, pcap])]
    {
        let mut world = World::new();
        let copies = Copies::of(&mut world);
        let (key, ports) = talks(&mut world, flags, gateways);
        let wanted = flags | gateways[0] | gateways[1];
        let heard = copies.hears(&mut world, ports, 1);
        let expected = if wanted == 0 { vec![] } else { vec![true, false] };
        assert_eq!(heard, expected, "{flags} {gateways:?}");
        assert_eq!(world.images.iter().find(|image| image.0 == key).unwrap().1.recorded, wanted);
        world.restart();
        let copies = Copies::of(&mut world);
        assert_eq!(copies.hears(&mut world, ports, 2), expected, "after a restart");
    }
}

#[test]
fn what_is_recorded_goes_through_us_whatever_both_sides_want() {
    let mut world = World::new();
    for gateway in [CUSTOMER, 100] {
        world.wants(gateway, |profile| {
            profile.media.proxy = MediaProxy::Off as u8;
            profile.recorded = u8::from(gateway == 100) * RECORDED_WAV;
        });
    }
    let (_, invite) = world.call_with_offer(&[0], &caller_sdp());
    assert!(invite.contains("c=IN IP4 203.0.113.1\r\n"), "{invite}");
    world.settles();
}
