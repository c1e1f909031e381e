//! Addresses outside a fence: in an offer, an answer, a change of the session, in media, at the door.

use link::fence::{EVERYBODY, FenceMode};
use link::report::{FenceCheck, Fenced};
use relay::{DropReason, Verdict};

use super::registrar::{CONTACT, register};
use super::*;
use crate::fences::tests::{fences, ranges};

/// The set of the customer's side, and that of the vendors'.
const CUSTOMERS: u32 = 1;
const VENDORS: u32 = 2;
/// The customer's gateway, and the first vendor's, as the routes of the tests name them.
const CUSTOMER: u32 = 3;
const VENDOR: u32 = 100;

impl World {
    /// Control tells of these fences, and of both sets.
    fn fenced_by(&mut self, all: &[(u32, FenceMode, &[u32])]) {
        let customers = [("192.0.2.0", "192.0.2.255"), ("198.51.100.0", "198.51.100.255")];
        let vendors = ranges(false, VENDORS, &[("203.0.113.0", "203.0.113.255")]);
        let customers = ranges(true, CUSTOMERS, &customers);
        self.switch.handle_order(self.now, &Order::Ranges(customers));
        self.switch.handle_order(self.now, &Order::Ranges(vendors));
        self.switch.handle_order(self.now, &Order::Fences(fences(false, all)));
    }

    fn fenced(&mut self) -> Vec<(u32, u8)> {
        let told =
            std::mem::take(&mut self.reports).into_iter().filter_map(|report| match report {
                Report::Fenced(Fenced { owner, check, .. }) => Some((owner, check)),
                _ => None,
            });
        told.collect()
    }
}

const DESCRIPTION: u8 = FenceCheck::Description as u8;

/// A description that wants its media there.
fn at(address: &str) -> String {
    sdp(address, 4_000)
}

const ELSEWHERE: &str = "192.0.3.9";
const HELD: &str = "0.0.0.0";

#[test]
fn an_answer_from_outside_the_vendors_fence_leads_to_the_next_vendor() {
    for status in [183, 200] {
        let mut world = World::new();
        world.fenced_by(&[
            (EVERYBODY, FenceMode::Ignore, &[]),
            (VENDOR, FenceMode::Allow, &[VENDORS]),
        ]);
        let (key, first) = world.call_begins(&[0, 1]);
        world.vendor_says(0, &first, status, "v", &at(ELSEWHERE));
        if status == 200 {
            world.vendor_gets(0, "ACK ");
            let bye = world.vendor_gets(0, "BYE ");
            world.vendor_says(0, &bye, 200, "v", "");
        } else {
            let cancel = world.vendor_gets(0, "CANCEL ");
            world.vendor_says(0, &cancel, 200, "v", "");
            world.vendor_says(0, &first, 487, "v", "");
            world.vendor_gets(0, "ACK ");
        }
        let second = world.vendor_gets(1, "INVITE ");
        assert_eq!(world.fenced(), [(VENDOR, DESCRIPTION)]);
        world.vendor_says(1, &second, 200, "w", &at(ELSEWHERE));
        world.vendor_gets(1, "ACK ");
        world.commit();
        let answer = world.caller_gets("SIP/2.0 200 ");
        world.caller_sends(&caller_request("ACK", 1, &answer, ""));
        world.caller_sends(&caller_request("BYE", 2, &answer, ""));
        let record = world.ended(key);
        let [one, two] = record.attempts() else { panic!("two attempts") };
        assert_eq!((one.reason, two.status), (EndReason::Geofence as u8, 200), "{status}");
        assert_eq!(world.count(Counter::FencedDescriptions), 1);
        world.settles();
    }
}

#[test]
fn a_call_whose_last_vendor_is_outside_fails_and_says_why() {
    let mut world = World::new();
    world.fenced_by(&[(EVERYBODY, FenceMode::Forbid, &[VENDORS])]);
    world.caller_sends(&invite(1, &caller_sdp()));
    world.caller_gets("SIP/2.0 100 ");
    let key = world.admit().call;
    world.route(key, &[0, 1]);
    let failed = world.caller_gets("SIP/2.0 503 ");
    world.caller_sends(&beside_invite(1, "ACK", header(&failed, "To")));
    let record = world.ended_by(key, EndedBy::Server, EndReason::Geofence);
    assert_eq!((record.status, record.attempts().len()), (503, 2));
    assert_eq!(world.count(Counter::FencedSignalling), 2, "whither INVITEs would have gone");
    world.settles();
}

#[test]
fn each_mode_says_which_offers_pass() {
    use FenceMode::{Allow, Forbid, Ignore};
    for (mode, set, passes) in [
        (Ignore, CUSTOMERS, true),
        (Forbid, CUSTOMERS, false),
        (Forbid, VENDORS, true),
        (Allow, CUSTOMERS, true),
        (Allow, VENDORS, false),
    ] {
        for outer in [Ignore, Forbid, Allow] {
            let mut world = World::new();
            let vendor = (VENDOR, Ignore, &[][..]);
            world.fenced_by(&[(EVERYBODY, outer, &[CUSTOMERS]), (CUSTOMER, mode, &[set]), vendor]);
            if passes {
                let (_, invite) = world.call_begins(&[0]);
                assert!(invite.contains("m=audio"), "{mode:?} {set} in {outer:?}");
            } else {
                world.caller_sends(&invite(1, &caller_sdp()));
                world.caller_gets("SIP/2.0 100 ");
                let key = world.admit().call;
                world.route(key, &[0]);
                let refused = world.caller_gets("SIP/2.0 403 ");
                world.caller_sends(&beside_invite(1, "ACK", header(&refused, "To")));
                assert_eq!(world.fenced(), [(CUSTOMER, DESCRIPTION)]);
                let Some(Ask::Abandon(abandon)) = world.asks.pop() else { panic!("no record") };
                assert_eq!(abandon.reason, u32::from(EndReason::Geofence as u8));
                world.settles();
            }
        }
    }
}

#[test]
fn hold_is_no_address_and_what_is_not_believed_is_judged_when_it_is_heard() {
    let mut world = World::new();
    world.fenced_by(&[(EVERYBODY, FenceMode::Allow, &[CUSTOMERS, VENDORS])]);
    let (_, first) = world.call_begins(&[0]);
    world.vendor_says(0, &first, 200, "v", &at(HELD));
    world.vendor_gets(0, "ACK ");
    assert_eq!(world.count(Counter::FencedDescriptions), 0);
}

#[test]
fn a_change_of_the_session_to_outside_is_refused_and_the_session_goes_on() {
    let mut world = World::new();
    let (key, _, answer) = world.talking();
    world.fenced_by(&[(EVERYBODY, FenceMode::Allow, &[CUSTOMERS, VENDORS])]);
    let moved = caller_request("INVITE", 2, &answer, &at(ELSEWHERE));
    world.caller_sends(&moved);
    world.caller_gets("SIP/2.0 100 ");
    let refused = world.caller_gets("SIP/2.0 488 ");
    world.caller_sends(&caller_request("ACK", 2, &answer, ""));
    assert_eq!(header(&refused, "CSeq"), "2 INVITE");
    let update = caller_request("UPDATE", 3, &answer, &at(ELSEWHERE));
    world.caller_sends(&update);
    world.caller_gets("SIP/2.0 488 ");
    assert_eq!(world.fenced(), [(CUSTOMER, DESCRIPTION); 2]);
    world.caller_sends(&caller_request("BYE", 4, &answer, ""));
    world.caller_gets("SIP/2.0 200 ");
    world.ended_by(key, EndedBy::Caller, EndReason::Normal);
}

#[test]
fn media_is_not_learned_from_outside_and_the_first_of_it_is_told() {
    let rtp = |sequence: u8| [0x80, 0, 0, sequence, 0, 0, 0, 160, 1, 2, 3, 4, 9, 9];
    let outside: SocketAddr = "192.0.3.9:4000".parse().unwrap();
    let inside: SocketAddr = "198.51.100.77:4000".parse().unwrap();
    let mut world = World::new();
    let both: &[u32] = &[CUSTOMERS, VENDORS];
    world.fenced_by(&[(EVERYBODY, FenceMode::Allow, both)]);
    // A private address behind a public one is learned from its packets.
    let (_, first) = world.call_with_offer(&[0], &at("10.9.9.9"));
    world.vendor_says(0, &first, 200, "v", &vendor_sdp());
    world.vendor_gets(0, "ACK ");
    world.commit();
    let port = media_port(&world.caller_gets("SIP/2.0 200 "));
    let hear = |world: &mut World, source, sequence| {
        let verdict = world.switch.forward(world.now, port, source, &rtp(sequence));
        world.poll();
        verdict
    };
    for sequence in 1..4 {
        let verdict = hear(&mut world, outside, sequence);
        assert_eq!(verdict, Verdict::Drop(DropReason::Fenced));
    }
    assert_eq!(world.fenced(), [(CUSTOMER, FenceCheck::Media as u8)], "once for its address");
    assert!(matches!(hear(&mut world, inside, 4), Verdict::Send { .. }));
    assert_eq!(hear(&mut world, outside, 5), Verdict::Drop(DropReason::Stranger));
    assert_eq!(world.count(Counter::FencedMedia), 1);
}

#[test]
fn a_stranger_whom_no_fence_lets_in_is_refused_before_he_is_asked() {
    for (reply, status) in [(1, Some("SIP/2.0 403 ")), (0, None)] {
        let mut world = World::new();
        world.set(|parameters| parameters.reply_unauthorized = reply);
        world.fenced_by(&[(EVERYBODY, FenceMode::Forbid, &[CUSTOMERS])]);
        world.caller_sends(&register(1, CONTACT));
        match status {
            Some(status) => drop(world.caller_gets(status)),
            None => world.is_quiet(),
        }
        assert_eq!(world.fenced(), [(0, FenceCheck::Signalling as u8)]);
        // A flood of them costs control no more than a few reports.
        for _ in 0..500 {
            world.caller_sends(&register(2, CONTACT));
        }
        world.ignore_messages();
        assert!(world.fenced().len() <= 16);
        assert_eq!(world.count(Counter::FencedSignalling), 501);
        world.fenced_by(&[(EVERYBODY, FenceMode::Allow, &[CUSTOMERS])]);
        world.caller_sends(&register(1, CONTACT));
        world.caller_gets("SIP/2.0 401 ");
    }
}
