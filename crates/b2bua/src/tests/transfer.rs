//! REFER: one side of a call hands it over, blind or after a talk with the target.

mod attended;
mod proof;

use link::ask::Admit;
use relay::Verdict;

use super::errand::challenge;
use super::vendor_digest::ASKS;
use super::*;
use crate::dialog::{Leg, Side};
use crate::transaction::TransactionKey;
use crate::transfers::{Asked, Stage, Transfer};

/// An RTP packet of payload type 0.
fn rtp(sequence: u8) -> Vec<u8> {
    let mut packet = vec![0x80, 0, 0, sequence, 0, 0, 0, 0, 9, 9, 9, 9];
    packet.extend([0xd5; 160]);
    packet
}

/// What the vendors of these scripts say of their media.
pub(super) fn target_sdp() -> String {
    sdp("203.0.113.20", 7_000)
}

/// The caller's answer to an offer.
pub(super) fn caller_says(world: &mut World, request: &str, status: u16, content: &str) {
    let answer = response(request, status, "", CALLER, content);
    world.caller_sends(&answer);
}

impl World {
    /// A call whose both sides may transfer it: our INVITE to vendor 0, our 200 to the caller.
    pub(super) fn transferable(&mut self) -> (CallKey, String, String) {
        for gateway in [3, 100, 101] {
            self.wants(gateway, |profile| profile.transfer = 1);
        }
        self.talking()
    }

    /// Vendor 0 hands the call over; what it hears besides the 202.
    fn refers(&mut self, invite: &str, cseq: u32, lines: &str) {
        let refer = with_lines(&vendor_request(0, "REFER", cseq, invite, "v", ""), lines);
        self.vendor_sends(0, &refer);
    }

    pub(super) fn blind(&mut self, invite: &str) -> Admit {
        self.refers(invite, 1, "Refer-To: <sip:7777@192.0.2.1>\r\n");
        self.vendor_gets(0, "SIP/2.0 202 ");
        self.told("100 Trying", "active;expires=300");
        self.admit()
    }

    /// The NOTIFY to vendor 0, answered.
    pub(super) fn told(&mut self, status: &str, state: &str) {
        let notify = self.vendor_gets(0, "NOTIFY ");
        assert_eq!(header(&notify, "Event"), "refer;id=1");
        assert_eq!(header(&notify, "Subscription-State"), state);
        assert_eq!(header(&notify, "Content-Type"), "message/sipfrag;version=2.0");
        assert_eq!(body(&notify), format!("SIP/2.0 {status}\r\n"));
        self.vendor_says(0, &notify, 200, "", "");
    }

    pub(super) fn told_last(&mut self, status: &str) {
        self.told(status, "terminated;reason=noresource");
    }

    /// Vendor 0 asks vendor 1 first, in a call of its own; our 200 to that.
    pub(super) fn asks_target(&mut self) -> (CallKey, String) {
        self.vendor_sends(0, &invite_of_vendor());
        let admit = self.admit();
        self.route(admit.call, &[1]);
        self.vendor_gets(0, "SIP/2.0 100 ");
        let to_target = self.vendor_gets(1, "INVITE ");
        self.vendor_says(1, &to_target, 200, "t", &target_sdp());
        self.vendor_gets(1, "ACK ");
        let call = self.commit();
        let talks = self.vendor_gets(0, "SIP/2.0 200 ");
        self.vendor_sends(0, &caller_request("ACK", 1, &talks, ""));
        self.is_quiet();
        (call, talks)
    }

    /// Vendor 0 joins its two calls.
    pub(super) fn refers_to_talk(&mut self, invite: &str, talks: &str) {
        let to_tag = header(talks, "To").split_once(";tag=").unwrap().1.to_owned();
        let replaces = format!("asks%40vendor%3Bto-tag%3D{to_tag}%3Bfrom-tag%3Dasking");
        self.refers(invite, 1, &format!("Refer-To: <sip:7777@192.0.2.1?Replaces={replaces}>\r\n"));
        self.vendor_gets(0, "SIP/2.0 202 ");
        self.told("100 Trying", "active;expires=300");
    }

    /// Vendor 1 is called, and answers with an offer; the re-INVITE that the caller gets.
    fn target_answers(&mut self, admit: &Admit) -> (String, String) {
        self.route(admit.call, &[1]);
        let invite = self.vendor_gets(1, "INVITE ");
        assert_eq!(body(&invite), "", "the target makes the offer");
        self.vendor_says(1, &invite, 180, "t", "");
        self.told("180 Ringing", "active;expires=300");
        self.vendor_says(1, &invite, 200, "t", &target_sdp());
        self.commit();
        let again = self.caller_gets("INVITE ");
        (invite, again)
    }

    /// Both ends hear each other: `near` of our ports faces the caller, `far` the target.
    pub(super) fn hear_each_other(&mut self, near: Port, far: Port) {
        let caller = "198.51.100.7:4000".parse().unwrap();
        let target = "203.0.113.20:7000".parse().unwrap();
        for (sequence, (port, from, to)) in
            [(near, caller, target), (far, target, caller)].into_iter().enumerate()
        {
            let packet = rtp(sequence as u8);
            let mut verdict = self.switch.media().forward(self.now, port, from, &packet);
            let mut hops = 0;
            while let Verdict::Inside { from, to, .. } = verdict {
                // What says that it comes from inside, and does not, is a stranger's.
                let media = self.switch.media();
                let port = media.port_of(to);
                let forged = media.forward(self.now, port, from, &packet);
                assert_eq!(forged, Verdict::Drop(relay::DropReason::Stranger));
                verdict = media.forward_inside(self.now, port, from, &packet);
                hops += 1;
            }
            let Verdict::Send { to: sent, .. } = verdict else { panic!("{verdict:?}") };
            assert_eq!((sent, hops), (to, 1));
        }
    }
}

#[test]
fn a_blind_transfer_joins_who_stays_and_the_target_and_frees_the_transferor() {
    let mut world = World::new();
    let (key, invite, answer) = world.transferable();
    let vendor = "203.0.113.10:6000".parse().unwrap();
    for sequence in 0..3 {
        let heard =
            world.switch.media().forward(world.now, media_port(&invite), vendor, &rtp(sequence));
        assert!(matches!(heard, Verdict::Send { .. }), "{heard:?}");
    }
    let admit = world.blind(&invite);
    assert_eq!(admit.transferor, 100, "the call is the transferor's");
    assert_eq!(admit.facts.callee.as_bytes(), b"7777");
    assert_eq!(admit.facts.caller.as_bytes(), b"4420", "by which the transferor was called");
    let (to_target, again) = world.target_answers(&admit);
    assert!(body(&again).contains("m=audio "), "{again}");
    caller_says(&mut world, &again, 200, &caller_sdp());
    world.caller_gets("ACK ");
    let ack = world.vendor_gets(1, "ACK ");
    world.told_last("200 OK");
    let bye = world.vendor_gets(0, "BYE ");
    world.vendor_says(0, &bye, 200, "", "");
    world.is_quiet();
    world.hear_each_other(media_port(&again), media_port(&ack));
    assert_eq!(world.count(Counter::TransfersDone), 1);

    // Who stays holds, and the target hears of it.
    let hold = caller_sdp() + "a=sendonly\r\n";
    world.caller_sends(&caller_request("INVITE", 2, &answer, &hold));
    world.caller_gets("SIP/2.0 100 ");
    let held = world.vendor_gets(1, "INVITE ");
    assert!(body(&held).contains("a=sendonly"));
    world.vendor_says(1, &held, 200, "", &(target_sdp() + "a=recvonly\r\n"));
    world.vendor_gets(1, "ACK ");
    let held = world.caller_gets("SIP/2.0 200 ");
    assert!(body(&held).contains("a=recvonly"));
    world.caller_sends(&caller_request("ACK", 2, &answer, ""));
    world.is_quiet();

    world.caller_sends(&caller_request("BYE", 3, &answer, ""));
    world.caller_gets("SIP/2.0 200 ");
    let bye = world.vendor_gets(1, "BYE ");
    world.vendor_says(1, &bye, 200, "", "");
    world.is_quiet();
    for call in [key, admit.call] {
        world.ended_by(call, EndedBy::Caller, EndReason::Normal);
    }
    assert_eq!(world.ended(key).from_callee.packets, 3 + 1, "the transferor's, then the target's");
    assert_ne!(header(&to_target, "Call-ID"), header(&invite, "Call-ID"));
    world.settles();
}

#[test]
fn the_target_ends_the_call_for_both() {
    let mut world = World::new();
    let (key, invite, _) = world.transferable();
    let admit = world.blind(&invite);
    let (to_target, again) = world.target_answers(&admit);
    caller_says(&mut world, &again, 200, &caller_sdp());
    world.ignore_messages();
    world.vendor_sends(1, &vendor_request(1, "BYE", 1, &to_target, "t", ""));
    world.vendor_gets(1, "SIP/2.0 200 ");
    world.caller_gets("BYE ");
    for call in [key, admit.call] {
        world.ended_by(call, EndedBy::Callee, EndReason::Normal);
    }
    world.settles();
}

#[test]
fn a_caller_transfers_as_well() {
    let mut world = World::new();
    let (_, invite, answer) = world.transferable();
    let refer = caller_request("REFER", 2, &answer, "");
    world.caller_sends(&with_lines(&refer, "Refer-To: <sip:7777@x>\r\nRefer-Sub: false\r\n"));
    world.caller_gets("SIP/2.0 202 ");
    let admit = world.admit();
    assert_eq!(admit.transferor, 3);
    assert_eq!(admit.facts.caller.as_bytes(), b"1234");
    world.route(admit.call, &[1]);
    let to_target = world.vendor_gets(1, "INVITE ");
    world.vendor_says(1, &to_target, 200, "t", &target_sdp());
    world.commit();
    let again = world.vendor_gets(0, "INVITE ");
    world.vendor_says(0, &again, 200, "", &vendor_sdp());
    world.vendor_gets(0, "ACK ");
    world.vendor_gets(1, "ACK ");
    let bye = world.caller_gets("BYE ");
    caller_says(&mut world, &bye, 200, "");
    world.is_quiet();
    world.vendor_sends(0, &vendor_request(0, "BYE", 1, &invite, "v", ""));
    world.vendor_gets(0, "SIP/2.0 200 ");
    world.vendor_gets(1, "BYE ");
    world.settles();
}

#[test]
fn the_target_does_not_see_the_number_of_a_transferor_who_hides_it() {
    let mut world = World::new();
    for gateway in [3, 100, 101] {
        world.wants(gateway, |profile| (profile.transfer, profile.privacy) = (1, 1));
    }
    world.caller_sends(&with_lines(&invite(1, &caller_sdp()), "Privacy: id\r\n"));
    world.caller_gets("SIP/2.0 100 ");
    let call = world.admit().call;
    world.route(call, &[0]);
    let to_vendor = world.vendor_gets(0, "INVITE ");
    world.vendor_says(0, &to_vendor, 200, "v", &vendor_sdp());
    world.vendor_gets(0, "ACK ");
    world.commit();
    let answer = world.caller_gets("SIP/2.0 200 ");
    world.caller_sends(&caller_request("ACK", 1, &answer, ""));
    let refer = caller_request("REFER", 2, &answer, "");
    world.caller_sends(&with_lines(&refer, "Refer-To: <sip:7777@x>\r\nRefer-Sub: false\r\n"));
    world.caller_gets("SIP/2.0 202 ");
    let admit = world.admit();
    world.route(admit.call, &[1]);
    let to_target = world.vendor_gets(1, "INVITE ");
    assert!(!to_target.contains("1234"), "{to_target}");
    world.ignore_messages();
    world.caller_sends(&caller_request("BYE", 3, &answer, ""));
    world.ignore_messages();
    world.vendor_says(1, &to_target, 486, "t", "");
    world.settles();
}

#[test]
fn who_stays_and_cannot_say_anything_now_is_asked_again() {
    let mut world = World::new();
    let (_, invite, answer) = world.transferable();
    let admit = world.blind(&invite);
    let (_, again) = world.target_answers(&admit);
    caller_says(&mut world, &again, 491, "");
    world.caller_gets("ACK ");
    world.is_quiet();
    while world.inbox.is_empty() {
        world.wait_ms(50);
    }
    let once_more = world.caller_gets("INVITE ");
    assert_eq!(body(&once_more), body(&again));
    caller_says(&mut world, &once_more, 200, &caller_sdp());
    world.caller_gets("ACK ");
    let ack = world.vendor_gets(1, "ACK ");
    world.told_last("200 OK");
    world.hear_each_other(media_port(&again), media_port(&ack));
    world.ignore_messages();
    world.caller_sends(&caller_request("BYE", 2, &answer, ""));
    world.settles();
}

#[test]
fn a_transferor_who_hangs_up_at_once_leaves_the_call_waiting_for_the_target() {
    let mut world = World::new();
    let (key, invite, _) = world.transferable();
    let admit = world.blind(&invite);
    world.vendor_sends(0, &vendor_request(0, "BYE", 2, &invite, "v", ""));
    world.vendor_gets(0, "SIP/2.0 200 ");
    world.is_quiet();
    world.route(admit.call, &[1]);
    let to_target = world.vendor_gets(1, "INVITE ");
    world.vendor_says(1, &to_target, 200, "t", &target_sdp());
    world.commit();
    let again = world.caller_gets("INVITE ");
    caller_says(&mut world, &again, 200, &caller_sdp());
    world.caller_gets("ACK ");
    let ack = world.vendor_gets(1, "ACK ");
    world.is_quiet();
    world.hear_each_other(media_port(&again), media_port(&ack));
    world.vendor_sends(1, &vendor_request(1, "BYE", 1, &to_target, "t", ""));
    world.caller_gets("BYE ");
    world.ended_by(key, EndedBy::Callee, EndReason::Normal);
    world.settles();
}

#[test]
fn what_a_transferor_was_asked_ends_when_it_leaves() {
    let mut world = World::new();
    let (_, invite, answer) = world.transferable();
    let admit = world.blind(&invite);
    world.caller_sends(&caller_request("INVITE", 2, &answer, &caller_sdp()));
    world.caller_gets("SIP/2.0 100 ");
    world.vendor_gets(0, "INVITE ");
    world.vendor_sends(0, &vendor_request(0, "BYE", 2, &invite, "v", ""));
    world.caller_gets("SIP/2.0 487 ");
    world.caller_sends(&caller_request("ACK", 2, &answer, ""));
    world.vendor_gets(0, "SIP/2.0 200 ");
    world.route(admit.call, &[1]);
    let to_target = world.vendor_gets(1, "INVITE ");
    world.vendor_says(1, &to_target, 200, "t", &target_sdp());
    world.commit();
    let again = world.caller_gets("INVITE ");
    caller_says(&mut world, &again, 200, &caller_sdp());
    world.caller_gets("ACK ");
    world.vendor_gets(1, "ACK ");
    world.caller_sends(&caller_request("BYE", 3, &answer, ""));
    world.vendor_gets(1, "BYE ");
    world.settles();
}

/// The caller asks vendor 0 something while the target is called, and the target answers meanwhile; our
/// INVITE to the target, and to vendor 0.
fn target_answers_too_early(world: &mut World) -> (String, String, String) {
    let (_, invite, answer) = world.transferable();
    let admit = world.blind(&invite);
    world.caller_sends(&caller_request("INVITE", 2, &answer, &caller_sdp()));
    world.caller_gets("SIP/2.0 100 ");
    let asked = world.vendor_gets(0, "INVITE ");
    world.route(admit.call, &[1]);
    let to_target = world.vendor_gets(1, "INVITE ");
    world.vendor_says(1, &to_target, 200, "t", &target_sdp());
    world.commit();
    world.is_quiet();
    (to_target, asked, answer)
}

#[test]
fn a_target_whose_answer_must_wait_is_told_to_wait_and_not_that_it_is_unknown() {
    let mut world = World::new();
    let (to_target, asked, answer) = target_answers_too_early(&mut world);
    world.vendor_sends(1, &vendor_request(1, "INFO", 1, &to_target, "t", ""));
    world.vendor_gets(1, "SIP/2.0 491 ");
    world.vendor_says(0, &asked, 200, "", &vendor_sdp());
    world.vendor_gets(0, "ACK ");
    world.caller_gets("SIP/2.0 200 ");
    world.caller_sends(&caller_request("ACK", 2, &answer, ""));
    // The target's answer comes again, inside.
    world.wait_ms(500);
    let again = world.caller_gets("INVITE ");
    caller_says(&mut world, &again, 200, &caller_sdp());
    world.caller_gets("ACK ");
    let ack = world.vendor_gets(1, "ACK ");
    world.hear_each_other(media_port(&again), media_port(&ack));
    world.ignore_messages();
    world.caller_sends(&caller_request("BYE", 3, &answer, ""));
    world.settles();
}

#[test]
fn a_target_that_is_gone_before_its_answer_is_heeded_leaves_the_two_talking() {
    let mut world = World::new();
    let (to_target, asked, answer) = target_answers_too_early(&mut world);
    world.vendor_says(0, &asked, 100, "", "");
    world.vendor_sends(1, &vendor_request(1, "BYE", 1, &to_target, "t", ""));
    world.vendor_gets(1, "SIP/2.0 200 ");
    // Its answer is still to be acknowledged, inside; so is the BYE that follows that.
    world.wait_ms(33_000);
    world.ignore_messages();
    assert_eq!(world.count(Counter::TransfersFailed), 1);
    assert_eq!(world.switch.transfers.running(), 0);
    world.vendor_says(0, &asked, 200, "", &vendor_sdp());
    world.vendor_gets(0, "ACK ");
    world.caller_gets("SIP/2.0 200 ");
    world.caller_sends(&caller_request("ACK", 2, &answer, ""));
    world.caller_sends(&caller_request("BYE", 3, &answer, ""));
    world.vendor_gets(0, "BYE ");
    world.settles();
}

#[test]
fn what_a_transferor_who_left_says_to_words_of_before_ends_nothing() {
    for answers in [true, false] {
        let mut world = World::new();
        let (_, invite, answer) = world.transferable();
        let admit = world.blind(&invite);
        world.caller_sends(&caller_request("INFO", 2, &answer, ""));
        let words = world.vendor_gets(0, "INFO ");
        world.vendor_sends(0, &vendor_request(0, "BYE", 2, &invite, "v", ""));
        world.vendor_gets(0, "SIP/2.0 200 ");
        if answers {
            world.vendor_says(0, &words, 481, "", "");
            world.caller_gets("SIP/2.0 480 ");
        }
        world.route(admit.call, &[1]);
        let to_target = world.vendor_gets(1, "INVITE ");
        world.vendor_says(1, &to_target, 180, "t", "");
        if !answers {
            world.ignore_messages();
            world.wait_ms(33_000);
            world.caller_gets("SIP/2.0 480 ");
        }
        world.vendor_says(1, &to_target, 200, "t", &target_sdp());
        world.commit();
        let again = world.caller_gets("INVITE ");
        caller_says(&mut world, &again, 200, &caller_sdp());
        world.caller_gets("ACK ");
        world.ignore_messages();
        world.caller_sends(&caller_request("BYE", 3, &answer, ""));
        world.vendor_gets(1, "BYE ");
        world.settles();
    }
}

#[test]
fn a_restart_while_the_transferor_is_gone_and_the_target_rings_ends_the_call() {
    let mut world = World::new();
    let (key, invite, _) = world.transferable();
    let admit = world.blind(&invite);
    world.vendor_sends(0, &vendor_request(0, "BYE", 2, &invite, "v", ""));
    world.route(admit.call, &[1]);
    world.ignore_messages();
    world.restart();
    world.wait_ms(10);
    world.caller_gets("BYE ");
    world.is_quiet();
    world.ended_by(key, EndedBy::Server, EndReason::DataplaneRestart);
    world.settles();
}

#[test]
fn nobody_is_left_to_talk_to_when_the_transferor_is_gone_and_the_target_refuses() {
    let mut world = World::new();
    let (key, invite, _) = world.transferable();
    let admit = world.blind(&invite);
    world.vendor_sends(0, &vendor_request(0, "BYE", 2, &invite, "v", ""));
    world.vendor_gets(0, "SIP/2.0 200 ");
    world.refuse(admit.call, 403, 0);
    world.caller_gets("BYE ");
    world.ended_by(key, EndedBy::Callee, EndReason::Normal);
    world.settles();
}

#[test]
fn a_target_that_refuses_leaves_the_two_talking() {
    let mut world = World::new();
    let (key, invite, answer) = world.transferable();
    let admit = world.blind(&invite);
    world.route(admit.call, &[1]);
    let to_target = world.vendor_gets(1, "INVITE ");
    world.vendor_says(1, &to_target, 486, "t", "");
    world.vendor_gets(1, "ACK ");
    world.told_last("486 Busy Here");
    world.is_quiet();
    // And may be tried again.
    world.refers(&invite, 2, "Refer-To: <tel:+7778>\r\n");
    world.vendor_gets(0, "SIP/2.0 202 ");
    let notify = world.vendor_gets(0, "NOTIFY ");
    assert_eq!(header(&notify, "Event"), "refer;id=2");
    let admit = world.admit();
    assert_eq!(admit.facts.callee.as_bytes(), b"+7778");
    world.refuse(admit.call, 404, 0);
    assert!(body(&world.vendor_gets(0, "NOTIFY ")).starts_with("SIP/2.0 404 "));
    world.caller_sends(&caller_request("BYE", 2, &answer, ""));
    world.ended_by(key, EndedBy::Caller, EndReason::Normal);
    assert_eq!(world.count(Counter::TransfersFailed), 2);
    world.settles();
}

#[test]
fn who_stays_may_refuse_the_target_and_goes_on_with_the_transferor() {
    let mut world = World::new();
    let (key, invite, answer) = world.transferable();
    let vendors_port = media_port(&invite);
    let admit = world.blind(&invite);
    let (_, again) = world.target_answers(&admit);
    caller_says(&mut world, &again, 488, "");
    world.caller_gets("ACK ");
    world.told_last("488 Not Acceptable Here");
    world.vendor_gets(1, "ACK ");
    let bye = world.vendor_gets(1, "BYE ");
    world.vendor_says(1, &bye, 200, "", "");
    world.is_quiet();
    let vendor = "203.0.113.10:6000".parse().unwrap();
    let verdict = world.switch.media().forward(world.now, vendors_port, vendor, &rtp(1));
    assert!(matches!(verdict, Verdict::Send { .. }), "{verdict:?}");
    world.caller_sends(&caller_request("BYE", 2, &answer, ""));
    world.vendor_gets(0, "BYE ");
    world.ended_by(key, EndedBy::Caller, EndReason::Normal);
    world.settles();
}

#[test]
fn who_stays_may_hang_up_at_any_time_of_a_transfer() {
    for seen in 0..3 {
        let mut world = World::new();
        let (key, invite, answer) = world.transferable();
        let admit = world.blind(&invite);
        let bye = |world: &mut World| {
            world.caller_sends(&caller_request("BYE", 2, &answer, ""));
            world.caller_gets("SIP/2.0 200 ");
        };
        match seen {
            0 => bye(&mut world),
            1 => {
                world.route(admit.call, &[1]);
                let to_target = world.vendor_gets(1, "INVITE ");
                world.vendor_says(1, &to_target, 180, "t", "");
                bye(&mut world);
                let cancel = world.vendor_gets(1, "CANCEL ");
                world.vendor_says(1, &cancel, 200, "t", "");
                world.vendor_says(1, &to_target, 487, "t", "");
            }
            _ => {
                let (_, again) = world.target_answers(&admit);
                bye(&mut world);
                caller_says(&mut world, &again, 487, "");
                world.vendor_gets(1, "ACK ");
                world.vendor_gets(1, "BYE ");
            }
        }
        world.ended_by(key, EndedBy::Caller, EndReason::Normal);
        world.settles();
    }
}

/// Vendor 0 calls as a customer would.
pub(super) fn invite_of_vendor() -> String {
    with_body(
        &format!(
            "INVITE sip:7777@203.0.113.1 SIP/2.0\r\n\
             Via: SIP/2.0/UDP {};branch=z9hG4bKasks;rport\r\n\
             Max-Forwards: 70\r\nFrom: <sip:4420@203.0.113.10>;tag=asking\r\n\
             To: <sip:7777@203.0.113.1>\r\nCall-ID: asks@vendor\r\nCSeq: 1 INVITE\r\n\
             Contact: <sip:vendor@{}>\r\n",
            VENDORS[0], VENDORS[0]
        ),
        &vendor_sdp(),
    )
}

#[test]
fn a_refer_is_refused_by_its_fault() {
    let mut world = World::new();
    let (_, invite, answer) = world.transferable();
    for (cseq, (lines, status)) in (1..).zip([
        ("", 400),
        ("Refer-To: <sip:7@x>\r\nRefer-To: <sip:8@x>\r\n", 400),
        ("Refer-To: what\r\n", 400),
        ("Refer-To: <mailto:a@b>\r\n", 416),
        ("Refer-To: <sip:x.example>\r\n", 484),
        ("Refer-To: <sip:7@x;method=SUBSCRIBE>\r\n", 501),
        ("Refer-To: <sip:7@x?Replaces=1>\r\n", 400),
    ]) {
        world.refers(&invite, cseq, lines);
        world.vendor_gets(0, &format!("SIP/2.0 {status} "));
    }
    assert_eq!(world.count(Counter::TransfersRefused), 7);
    // Whose gateway may not, may not.
    world.wants(100, |_| {});
    world.refers(&invite, 20, "Refer-To: <sip:7@x>\r\n");
    let refused = world.vendor_gets(0, "SIP/2.0 405 ");
    assert!(!header(&refused, "Allow").contains("REFER"));
    world.caller_sends(&caller_request("BYE", 2, &answer, ""));
    world.settles();
}

fn idle() -> Transfer {
    Transfer {
        side: Side::Caller,
        asker: Side::Caller,
        stage: Stage::Calling { invite: TransactionKey::NONE },
        spare: Leg::new(),
        asked: Asked::Inside,
        is_displaced: false,
        tries: 0,
        offered: false,
    }
}

#[test]
fn one_transfer_at_a_time_and_so_many_of_a_worker() {
    let mut world = World::new();
    let (_, invite, answer) = world.transferable();
    let admit = world.blind(&invite);
    world.refers(&invite, 2, "Refer-To: <sip:7@x>\r\n");
    world.vendor_gets(0, "SIP/2.0 491 ");
    world.refuse(admit.call, 404, 0);
    world.ignore_messages();
    let places: Vec<u16> = std::iter::from_fn(|| world.switch.transfers.open(idle())).collect();
    for _ in 0..2 {
        world.refers(&invite, 3, "Refer-To: <sip:7@x>\r\n");
        world.vendor_gets(0, "SIP/2.0 503 ");
    }
    for place in places {
        world.switch.transfers.close(place);
    }
    world.caller_sends(&caller_request("BYE", 2, &answer, ""));
    world.settles();
}

#[test]
fn a_transferred_call_talks_on_after_a_restart() {
    let mut world = World::new();
    let (key, invite, answer) = world.transferable();
    let admit = world.blind(&invite);
    let (to_target, again) = world.target_answers(&admit);
    caller_says(&mut world, &again, 200, &caller_sdp());
    world.caller_gets("ACK ");
    let ack = world.vendor_gets(1, "ACK ");
    world.ignore_messages();
    world.restart();
    world.wait_ms(10);
    world.hear_each_other(media_port(&again), media_port(&ack));
    world.vendor_sends(1, &vendor_request(1, "BYE", 9, &to_target, "t", ""));
    world.vendor_gets(1, "SIP/2.0 200 ");
    world.caller_gets("BYE ");
    for call in [key, admit.call] {
        world.ended_by(call, EndedBy::Callee, EndReason::Normal);
    }
    let _ = answer;
    world.settles();
}

#[test]
fn who_stays_and_describes_nothing_ends_the_call_once() {
    let mut world = World::new();
    let (key, invite, _) = world.transferable();
    let admit = world.blind(&invite);
    let (_, again) = world.target_answers(&admit);
    world.ignore_messages();
    caller_says(&mut world, &again, 200, "");
    world.caller_gets("ACK ");
    world.caller_gets("BYE ");
    world.vendor_gets(1, "ACK ");
    world.vendor_gets(1, "BYE ");
    assert_eq!(world.ended(key).end_reason(), EndReason::BadMedia);
    world.settles();
}

#[test]
fn a_transferor_who_leaves_owing_an_ack_does_not_keep_the_target_waiting() {
    let mut world = World::new();
    let (key, invite, _) = world.transferable();
    let admit = world.blind(&invite);
    world.ignore_messages();
    let hold = vendor_sdp() + "a=sendonly\r\n";
    world.vendor_sends(0, &vendor_request(0, "INVITE", 2, &invite, "v", &hold));
    world.vendor_gets(0, "SIP/2.0 100 ");
    let held = world.caller_gets("INVITE ");
    caller_says(&mut world, &held, 200, &caller_sdp());
    world.vendor_gets(0, "SIP/2.0 200 ");
    world.vendor_sends(0, &vendor_request(0, "BYE", 3, &invite, "v", ""));
    world.ignore_messages();
    world.route(admit.call, &[1]);
    let to_target = world.vendor_gets(1, "INVITE ");
    world.vendor_says(1, &to_target, 200, "t", &target_sdp());
    world.commit();
    let again = world.caller_gets("INVITE ");
    caller_says(&mut world, &again, 200, &caller_sdp());
    world.caller_gets("ACK ");
    let ack = world.vendor_gets(1, "ACK ");
    world.hear_each_other(media_port(&again), media_port(&ack));
    world.wait_ms(40_000);
    world.vendor_sends(1, &vendor_request(1, "BYE", 1, &to_target, "t", ""));
    world.vendor_gets(1, "SIP/2.0 200 ");
    world.ended_by(key, EndedBy::Callee, EndReason::Normal);
    world.settles();
}
