//! Transfers by keys: a side of a call presses a code, a number and `#`.

use link::ask::Admit;
use link::order::{Parameters, TransferKeys};
use relay::{DropReason, Verdict};

use super::errand::challenge;
use super::transfer::{caller_says, target_sdp};
use super::vendor_digest::ASKS;
use super::*;

const CALLER_MEDIA: &str = "198.51.100.7:4000";
const VENDOR_MEDIA: &str = "203.0.113.10:6000";
const TARGET_MEDIA: &str = "203.0.113.20:7000";

/// A call whose callee, vendor 0, presses keys.
struct Scene {
    world: World,
    key: CallKey,
    /// Our INVITE to vendor 0.
    invite: String,
    /// Our 200 to the caller.
    answer: String,
    sequence: u16,
}

/// Parameters by which transfers begin with `*1` and `*2`.
fn with_codes(parameters: &mut Parameters) -> &mut TransferKeys {
    parameters.transfer.blind = Text::cut(b"*1");
    parameters.transfer.attended = Text::cut(b"*2");
    &mut parameters.transfer
}

impl Scene {
    fn new() -> Self {
        Self::with(|_| {})
    }

    fn with(change: impl FnOnce(&mut TransferKeys)) -> Self {
        let mut world = World::new();
        let (key, invite, answer) = world.transferable();
        world.set(|parameters| change(with_codes(parameters)));
        Self { world, key, invite, answer, sequence: 0 }
    }

    /// Our port that faces vendor 0, and that which faces the caller.
    fn ports(&self) -> (Port, Port) {
        (media_port(&self.invite), media_port(&self.answer))
    }

    /// Vendor 0 presses keys, and each packet of an event comes three times.
    fn presses(&mut self, keys: &str) {
        let from = VENDOR_MEDIA.parse().unwrap();
        for key in keys.bytes() {
            let number = b"0123456789*#".iter().position(|&one| one == key).unwrap();
            self.sequence += 1;
            let mut packet = vec![0x80, 101];
            packet.extend(self.sequence.to_be_bytes());
            packet.extend((u32::from(self.sequence) * 800).to_be_bytes());
            packet.extend([9; 4]);
            packet.extend([number as u8, 0x8a, 0, 160]);
            for _ in 0..3 {
                let port = self.ports().0;
                let _ = self.world.switch.media().forward(self.world.now, port, from, &packet);
            }
            while self.world.switch.heed_key(self.world.now) {
                self.world.poll();
            }
            self.world.wait_ms(100);
        }
    }

    /// Vendor 0 presses a key that comes as INFO.
    fn informs(&mut self, cseq: u32, key: char) {
        let info = vendor_request(0, "INFO", cseq, &self.invite, "v", "");
        self.presses_by_info(0, &info, key);
    }

    /// A vendor says by this INFO which key it presses.
    fn presses_by_info(&mut self, vendor: usize, info: &str, key: char) {
        let info = info.replacen("Content-Length: 0\r\n\r\n", "", 1);
        let body = format!("Signal={key}\r\nDuration=160\r\n");
        let kind = "Content-Type: application/dtmf-relay\r\n";
        let length = body.len();
        let info = format!("{info}{kind}Content-Length: {length}\r\n\r\n{body}");
        self.world.vendor_sends(vendor, &info);
    }

    /// What becomes of an audio packet that arrives at `port`.
    fn hears(&mut self, port: Port, from: &str) -> Result<SocketAddr, DropReason> {
        let mut packet = vec![0x80, 0, 0, 1, 0, 0, 0, 0, 7, 7, 7, 7];
        packet.extend([0xd5; 160]);
        let (now, media) = (self.world.now, self.world.switch.media());
        let mut verdict = media.forward(now, port, from.parse().unwrap(), &packet);
        while let Verdict::Inside { from, to, .. } = verdict {
            verdict = media.forward_inside(now, media.port_of(to), from, &packet);
        }
        match verdict {
            Verdict::Send { to, .. } => Ok(to),
            Verdict::Drop(reason) => Err(reason),
            _ => unreachable!("nothing of it is changed"),
        }
    }

    /// Who was parked and who dialled hear each other again.
    fn talks_as_before(&mut self) {
        let (callee, caller) = self.ports();
        assert_eq!(self.hears(callee, VENDOR_MEDIA), Ok(CALLER_MEDIA.parse().unwrap()));
        assert_eq!(self.hears(caller, CALLER_MEDIA), Ok(VENDOR_MEDIA.parse().unwrap()));
        assert_eq!(self.world.switch.transfers.running(), 0);
    }

    fn is_parted(&mut self) {
        let (callee, caller) = self.ports();
        assert_eq!(self.hears(callee, VENDOR_MEDIA), Err(DropReason::Parked));
        assert_eq!(self.hears(caller, CALLER_MEDIA), Err(DropReason::Parked));
    }

    /// The target, vendor 1, is called; our INVITE to it.
    fn target_is_called(&mut self) -> (Admit, String) {
        let admit = self.world.admit();
        assert_eq!(admit.facts.callee.as_bytes(), b"7777");
        assert_eq!(admit.transferor, 100, "whose call it is");
        self.world.route(admit.call, &[1]);
        let invite = self.world.vendor_gets(1, "INVITE ");
        (admit, invite)
    }

    /// Vendor 0 talks to vendor 1, who was offered what the caller is able to; our INVITE to vendor 1.
    fn consults(&mut self) -> (Admit, String) {
        self.presses("*27777#");
        let (admit, invite) = self.target_is_called();
        assert!(body(&invite).contains("m=audio "), "{invite}");
        self.world.vendor_says(1, &invite, 200, "t", &target_sdp());
        self.world.vendor_gets(1, "ACK ");
        self.world.commit();
        let again = self.world.vendor_gets(0, "INVITE ");
        self.world.vendor_says(0, &again, 200, "", &vendor_sdp());
        self.world.vendor_gets(0, "ACK ");
        self.world.is_quiet();
        (admit, invite)
    }

    /// Vendor 1 is asked what it offers, and the caller takes it; the two hear each other.
    fn is_finished(&mut self) {
        let offerless = self.world.vendor_gets(1, "INVITE ");
        assert_eq!(body(&offerless), "");
        self.world.vendor_says(1, &offerless, 200, "", &target_sdp());
        let again = self.world.caller_gets("INVITE ");
        caller_says(&mut self.world, &again, 200, &caller_sdp());
        self.world.caller_gets("ACK ");
        let ack = self.world.vendor_gets(1, "ACK ");
        self.world.hear_each_other(media_port(&again), media_port(&ack));
    }

    /// The caller hangs up while the target rings: all is over.
    fn caller_leaves_early(mut self, invite: &str) {
        self.world.vendor_says(1, invite, 180, "t", "");
        self.world.caller_sends(&caller_request("BYE", 9, &self.answer, ""));
        self.world.caller_gets("SIP/2.0 200 ");
        self.world.vendor_gets(1, "CANCEL ");
        self.world.vendor_gets(0, "BYE ");
        self.world.ended_by(self.key, EndedBy::Caller, EndReason::Normal);
        self.world.settles();
    }

    fn caller_ends(mut self, admit: &Admit) {
        self.world.ignore_messages();
        self.world.caller_sends(&caller_request("BYE", 9, &self.answer, ""));
        self.world.vendor_gets(1, "BYE ");
        for call in [self.key, admit.call] {
            self.world.ended_by(call, EndedBy::Caller, EndReason::Normal);
        }
        self.world.settles();
    }
}

#[test]
fn a_key_hands_the_call_over_without_a_word() {
    let mut scene = Scene::new();
    scene.presses("*1");
    scene.is_parted();
    scene.presses("7777#");
    let (admit, invite) = scene.target_is_called();
    assert_eq!(body(&invite), "", "nobody hears its ringback");
    scene.world.vendor_says(1, &invite, 200, "t", &target_sdp());
    scene.world.commit();
    let again = scene.world.caller_gets("INVITE ");
    caller_says(&mut scene.world, &again, 200, &caller_sdp());
    scene.world.caller_gets("ACK ");
    let ack = scene.world.vendor_gets(1, "ACK ");
    let bye = scene.world.vendor_gets(0, "BYE ");
    scene.world.vendor_says(0, &bye, 200, "", "");
    scene.world.is_quiet();
    scene.world.hear_each_other(media_port(&again), media_port(&ack));
    assert_eq!(scene.world.count(Counter::TransfersDone), 1);
    scene.caller_ends(&admit);
}

#[test]
fn who_waits_hears_the_targets_ringback_if_that_is_wanted() {
    let mut scene = Scene::with(|keys| keys.ringback = 1);
    scene.presses("*17777#");
    let (admit, invite) = scene.target_is_called();
    scene.world.vendor_says(1, &invite, 183, "t", &target_sdp());
    let towards_target = media_port(&invite);
    let caller = CALLER_MEDIA.parse().unwrap();
    assert_eq!(scene.hears(towards_target, TARGET_MEDIA), Ok(caller));
    let (callee_port, caller_port) = scene.ports();
    assert_eq!(scene.hears(callee_port, VENDOR_MEDIA), Err(DropReason::Parked));
    scene.world.vendor_says(1, &invite, 200, "t", &target_sdp());
    scene.world.vendor_gets(1, "ACK ");
    scene.world.commit();
    let again = scene.world.caller_gets("INVITE ");
    assert_eq!(media_port(&again), caller_port, "the caller sends where it sent");
    caller_says(&mut scene.world, &again, 200, &caller_sdp());
    scene.world.caller_gets("ACK ");
    scene.world.vendor_gets(0, "BYE ");
    scene.world.hear_each_other(caller_port, towards_target);
    scene.caller_ends(&admit);
}

#[test]
fn a_target_that_cannot_take_the_offer_makes_one_itself() {
    let mut scene = Scene::with(|keys| keys.ringback = 1);
    scene.presses("*17777#");
    let (first, invite) = scene.target_is_called();
    scene.world.vendor_says(1, &invite, 488, "t", "");
    scene.world.vendor_gets(1, "ACK ");
    let (second, invite) = scene.target_is_called();
    assert_eq!(body(&invite), "");
    scene.is_parted();
    scene.world.vendor_says(1, &invite, 488, "t", "");
    scene.world.vendor_gets(1, "ACK ");
    scene.talks_as_before();
    assert_eq!(scene.world.count(Counter::TransfersFailed), 1);
    assert_ne!(first.call, second.call);
    scene.world.caller_sends(&caller_request("BYE", 9, &scene.answer, ""));
    scene.world.settles();
}

#[test]
fn keys_come_by_info_as_well_and_the_far_side_hears_of_none_that_is_for_us() {
    let mut scene = Scene::new();
    // One that is no code goes on, as an event, since both agreed on them.
    scene.informs(1, '*');
    scene.world.vendor_gets(0, "SIP/2.0 200 ");
    assert_eq!(scene.world.count(Counter::KeysTurned), 1);
    for (cseq, key) in (2..).zip("17777#".chars()) {
        scene.informs(cseq, key);
        scene.world.vendor_gets(0, "SIP/2.0 200 ");
    }
    let (_, invite) = scene.target_is_called();
    scene.world.is_quiet();
    scene.caller_leaves_early(&invite);
}

#[test]
fn without_a_number_the_two_talk_on_when_the_wait_is_over() {
    let mut scene = Scene::new();
    scene.presses("*1");
    scene.world.wait_ms(9_800);
    scene.is_parted();
    scene.world.wait_ms(300);
    scene.talks_as_before();
    assert_eq!(scene.world.count(Counter::TransfersTakenBack), 1);
    // A pause ends a number, as # does.
    scene.presses("*17777");
    scene.world.wait_ms(4_000);
    let (_, invite) = scene.target_is_called();
    scene.caller_leaves_early(&invite);
}

#[test]
fn the_cancel_key_brings_the_two_together_again_while_dialling_and_while_it_rings() {
    let mut scene = Scene::new();
    scene.presses("*177**");
    scene.talks_as_before();
    scene.presses("*27777#");
    let (_, invite) = scene.target_is_called();
    scene.world.vendor_says(1, &invite, 183, "t", &target_sdp());
    let vendor = VENDOR_MEDIA.parse().unwrap();
    let heard = scene.hears(media_port(&invite), TARGET_MEDIA);
    assert_eq!(heard, Ok(vendor), "who asks hears it ring");
    scene.presses("**");
    let cancel = scene.world.vendor_gets(1, "CANCEL ");
    scene.world.vendor_says(1, &cancel, 200, "t", "");
    scene.world.vendor_says(1, &invite, 487, "t", "");
    scene.talks_as_before();
    assert_eq!(scene.world.count(Counter::TransfersTakenBack), 2);
    scene.world.caller_sends(&caller_request("BYE", 9, &scene.answer, ""));
    scene.world.settles();
}

#[test]
fn who_asked_speaks_to_the_target_while_the_other_waits_and_leaves_the_two_by_hanging_up() {
    let mut scene = Scene::new();
    let (admit, to_target) = scene.consults();
    let (callee, caller) = scene.ports();
    assert_eq!(scene.hears(callee, VENDOR_MEDIA), Ok(TARGET_MEDIA.parse().unwrap()));
    assert_eq!(scene.hears(caller, CALLER_MEDIA), Err(DropReason::Parked));
    let heard = scene.hears(media_port(&to_target), TARGET_MEDIA);
    assert_eq!(heard, Ok(VENDOR_MEDIA.parse().unwrap()));

    // The talk has its own life: it is held, and resumed.
    scene.world.ignore_messages();
    scene.world.vendor_sends(0, &vendor_request(0, "BYE", 1, &scene.invite, "v", ""));
    scene.world.vendor_gets(0, "SIP/2.0 200 ");
    scene.is_finished();
    assert_eq!(scene.world.count(Counter::TransfersDone), 1);
    scene.caller_ends(&admit);
}

/// Vendor 1, in the call that `invite` opened, presses these keys, the first of which goes on to whoever it
/// talks to.
fn target_presses(scene: &mut Scene, invite: &str, first: u32, keys: &str) {
    let turned = scene.world.count(Counter::KeysTurned);
    for (cseq, key) in (first..).zip(keys.chars()) {
        let info = vendor_request(1, "INFO", cseq, invite, "t", "");
        scene.presses_by_info(1, &info, key);
        scene.world.vendor_gets(1, "SIP/2.0 200 ");
    }
    assert_eq!(scene.world.count(Counter::KeysTurned), turned + 1);
}

#[test]
fn who_waited_gets_a_target_that_is_in_a_transfer_of_its_own_once_that_is_over() {
    let mut scene = Scene::new();
    let (admit, to_target) = scene.consults();
    // The target asks somebody else, and vendor 0 has heard enough.
    target_presses(&mut scene, &to_target, 1, "*28888#");
    let third = scene.world.admit();
    scene.world.route(third.call, &[2]);
    let to_third = scene.world.vendor_gets(2, "INVITE ");
    scene.world.vendor_says(2, &to_third, 200, "u", &sdp("203.0.113.30", 8_000));
    scene.world.vendor_gets(2, "ACK ");
    scene.world.commit();
    let again = scene.world.vendor_gets(1, "INVITE ");
    scene.world.vendor_says(1, &again, 200, "", &target_sdp());
    scene.world.vendor_gets(1, "ACK ");
    scene.world.vendor_sends(0, &vendor_request(0, "BYE", 1, &scene.invite, "v", ""));
    scene.world.vendor_gets(0, "SIP/2.0 200 ");
    scene.world.wait_ms(30_000);
    scene.world.is_quiet();

    target_presses(&mut scene, &to_target, 8, "**");
    let bye = scene.world.vendor_gets(2, "BYE ");
    scene.world.vendor_says(2, &bye, 200, "", "");
    let offerless = scene.world.caller_gets("INVITE ");
    assert_eq!(body(&offerless), "");
    caller_says(&mut scene.world, &offerless, 200, &caller_sdp());
    let again = scene.world.vendor_gets(1, "INVITE ");
    scene.world.vendor_says(1, &again, 200, "", &target_sdp());
    scene.world.vendor_gets(1, "ACK ");
    scene.world.caller_gets("ACK ");
    let caller = scene.ports().1;
    scene.world.hear_each_other(caller, media_port(&again));
    scene.caller_ends(&admit);
}

/// The caller and vendor 1 talk over two calls that were joined. Both let somebody else be called in their place,
/// and hang up.
#[test]
fn whoever_is_called_in_the_place_of_both_who_left_is_let_go() {
    for caller_leaves_first in [true, false] {
        let mut scene = Scene::new();
        let (_, to_target) = scene.consults();
        scene.world.vendor_sends(0, &vendor_request(0, "BYE", 1, &scene.invite, "v", ""));
        scene.world.vendor_gets(0, "SIP/2.0 200 ");
        scene.is_finished();

        target_presses(&mut scene, &to_target, 1, "*18888#");
        let third = scene.world.admit();
        scene.world.route(third.call, &[2]);
        let to_third = scene.world.vendor_gets(2, "INVITE ");
        scene.world.vendor_says(2, &to_third, 180, "u", "");
        let refer = caller_request("REFER", 8, &scene.answer, "");
        let refer = with_lines(&refer, "Refer-To: <sip:9999@192.0.2.1>\r\nRefer-Sub: false\r\n");
        scene.world.caller_sends(&refer);
        scene.world.caller_gets("SIP/2.0 202 ");
        let fourth = scene.world.admit();
        scene.world.route(fourth.call, &[3]);
        let to_fourth = scene.world.vendor_gets(3, "INVITE ");
        scene.world.vendor_says(3, &to_fourth, 180, "w", "");

        for caller_leaves in [caller_leaves_first, !caller_leaves_first] {
            scene.world.is_quiet();
            if caller_leaves {
                scene.world.caller_sends(&caller_request("BYE", 9, &scene.answer, ""));
                scene.world.caller_gets("SIP/2.0 200 ");
            } else {
                let bye = vendor_request(1, "BYE", 20, &to_target, "t", "");
                scene.world.vendor_sends(1, &bye);
                scene.world.vendor_gets(1, "SIP/2.0 200 ");
            }
        }
        scene.world.vendor_gets(2, "CANCEL ");
        scene.world.vendor_gets(3, "CANCEL ");
        let last = if caller_leaves_first { EndedBy::Callee } else { EndedBy::Caller };
        scene.world.ended_by(scene.key, last, EndReason::Normal);
        scene.world.settles();
    }
}

#[test]
fn the_end_key_leaves_the_two_alone() {
    let mut scene = Scene::new();
    let (admit, _) = scene.consults();
    scene.presses("*#");
    scene.is_finished();
    let bye = scene.world.vendor_gets(0, "BYE ");
    scene.world.vendor_says(0, &bye, 200, "", "");
    scene.caller_ends(&admit);
}

#[test]
fn who_asked_may_leave_before_the_target_answers() {
    let mut scene = Scene::new();
    scene.presses("*27777#");
    let (admit, invite) = scene.target_is_called();
    scene.world.vendor_sends(0, &vendor_request(0, "BYE", 1, &scene.invite, "v", ""));
    scene.world.vendor_gets(0, "SIP/2.0 200 ");
    scene.world.vendor_says(1, &invite, 200, "t", &target_sdp());
    scene.world.vendor_gets(1, "ACK ");
    scene.world.commit();
    let again = scene.world.caller_gets("INVITE ");
    caller_says(&mut scene.world, &again, 200, &caller_sdp());
    scene.world.caller_gets("ACK ");
    scene.world.hear_each_other(media_port(&again), media_port(&invite));
    scene.caller_ends(&admit);
}

#[test]
fn a_talk_with_the_target_that_leads_nowhere_leads_back() {
    for ends_target in [false, true] {
        let mut scene = Scene::new();
        let (admit, to_target) = scene.consults();
        if ends_target {
            let bye = vendor_request(1, "BYE", 1, &to_target, "t", "");
            scene.world.vendor_sends(1, &bye);
            scene.world.vendor_gets(1, "SIP/2.0 200 ");
        } else {
            scene.presses("**");
            let bye = scene.world.vendor_gets(1, "BYE ");
            scene.world.vendor_says(1, &bye, 200, "", "");
        }
        let offerless = scene.world.caller_gets("INVITE ");
        assert_eq!(body(&offerless), "");
        caller_says(&mut scene.world, &offerless, 200, &caller_sdp());
        let again = scene.world.vendor_gets(0, "INVITE ");
        scene.world.vendor_says(0, &again, 200, "", &vendor_sdp());
        scene.world.vendor_gets(0, "ACK ");
        let ack = scene.world.caller_gets("ACK ");
        assert!(body(&ack).contains("m=audio "), "{ack}");
        scene.world.is_quiet();
        scene.talks_as_before();
        assert_eq!(scene.world.count(Counter::TransfersDone), 0);
        scene.world.caller_sends(&caller_request("BYE", 9, &scene.answer, ""));
        scene.world.vendor_gets(0, "BYE ");
        scene.world.ended_by(scene.key, EndedBy::Caller, EndReason::Normal);
        let by = if ends_target { EndedBy::Callee } else { EndedBy::Caller };
        scene.world.ended_by(admit.call, by, EndReason::Normal);
        scene.world.settles();
    }
}

#[test]
fn who_waits_may_hang_up_and_nobody_talks_at_its_cost() {
    let mut scene = Scene::new();
    scene.consults();
    scene.world.caller_sends(&caller_request("UPDATE", 8, &scene.answer, &caller_sdp()));
    scene.world.caller_gets("SIP/2.0 491 ");
    scene.world.caller_sends(&caller_request("OPTIONS", 9, &scene.answer, ""));
    scene.world.caller_gets("SIP/2.0 200 ");
    scene.world.caller_sends(&caller_request("BYE", 10, &scene.answer, ""));
    scene.world.caller_gets("SIP/2.0 200 ");
    scene.world.vendor_gets(0, "BYE ");
    scene.world.vendor_gets(1, "BYE ");
    scene.world.ended_by(scene.key, EndedBy::Caller, EndReason::Normal);
    scene.world.settles();
}

#[test]
fn who_waits_keeps_its_session_alive_however_long_the_others_talk() {
    let mut scene = Scene::new();
    let (admit, _) = scene.consults();
    let sign = caller_request("UPDATE", 8, &scene.answer, "");
    let sign = with_lines(&sign, "Supported: timer\r\nSession-Expires: 90;refresher=uac\r\n");
    for repeated in [false, true] {
        scene.world.caller_sends(&sign);
        let answer = scene.world.caller_gets("SIP/2.0 200 ");
        assert_eq!(header(&answer, "Session-Expires"), "90;refresher=uac", "{repeated}");
    }
    // One from before is late.
    scene.world.caller_sends(&caller_request("UPDATE", 7, &scene.answer, ""));
    scene.world.caller_gets("SIP/2.0 500 ");
    scene.world.is_quiet();
    scene.presses("*#");
    scene.is_finished();
    scene.caller_ends(&admit);
}

#[test]
fn the_session_of_who_waits_is_refreshed_where_that_is_ours_to_do() {
    for (allow, method) in [("INVITE, UPDATE", "UPDATE "), ("INVITE", "INVITE ")] {
        let mut scene = Scene::new();
        scene.world.set(|parameters| {
            with_codes(parameters);
            parameters.rtp_timeout_s = 0;
        });
        let (admit, _) = scene.consults();
        let lines = |refresher: &str| {
            let session = format!("Session-Expires: 90;refresher={refresher}\r\n");
            format!("Supported: timer\r\nAllow: {allow}\r\n{session}")
        };
        let sign = caller_request("UPDATE", 8, &scene.answer, "");
        scene.world.caller_sends(&with_lines(&sign, &lines("uas")));
        scene.world.caller_gets("SIP/2.0 200 ");
        for _ in 0..2 {
            scene.world.wait_ms(45_000);
            let refresh = scene.world.caller_gets(method);
            let content = if method == "INVITE " { caller_sdp() } else { String::new() };
            assert_eq!(body(&refresh).is_empty(), content.is_empty(), "{refresh}");
            let answer = response(&refresh, 200, "", CALLER, &content);
            scene.world.caller_sends(&with_lines(&answer, &lines("uac")));
            if method == "INVITE " {
                scene.world.caller_gets("ACK ");
            }
            scene.world.is_quiet();
        }
        scene.world.wait_ms(45_000);
        let refresh = scene.world.caller_gets(method);
        let busy = response(&refresh, 500, "", CALLER, "");
        scene.world.caller_sends(&with_lines(&busy, "Retry-After: 3\r\n"));
        scene.world.ignore_messages();
        scene.world.wait_ms(3_000);
        let refresh = scene.world.caller_gets(method);
        // Meanwhile the two have talked enough.
        scene.presses("**");
        scene.world.vendor_gets(1, "BYE ");
        if method == "INVITE " {
            scene.world.is_quiet();
        } else {
            scene.world.caller_gets("INVITE ");
        }
        let answer = response(&refresh, 481, "", CALLER, "");
        scene.world.caller_sends(&answer);
        scene.world.ignore_messages();
        scene.world.wait_ms(1_000);
        scene.world.ended_by(scene.key, EndedBy::Caller, EndReason::DialogLost);
        scene.world.ended(admit.call);
        scene.world.settles();
    }
}

#[test]
fn who_waits_is_called_back_once_its_refresh_is_through() {
    let mut scene = Scene::new();
    scene.world.set(|parameters| {
        with_codes(parameters);
        parameters.rtp_timeout_s = 0;
    });
    let (admit, _) = scene.consults();
    let lines = "Supported: timer\r\nAllow: INVITE\r\nSession-Expires: 90;refresher=uas\r\n";
    let sign = caller_request("UPDATE", 8, &scene.answer, "");
    scene.world.caller_sends(&with_lines(&sign, lines));
    scene.world.caller_gets("SIP/2.0 200 ");
    scene.world.wait_ms(45_000);
    let refresh = scene.world.caller_gets("INVITE ");
    scene.presses("**");
    scene.world.vendor_gets(1, "BYE ");
    scene.world.is_quiet();
    caller_says(&mut scene.world, &refresh, 200, &caller_sdp());
    scene.world.caller_gets("ACK ");
    scene.world.wait_ms(1_000);
    let offerless = scene.world.caller_gets("INVITE ");
    caller_says(&mut scene.world, &offerless, 200, &caller_sdp());
    let again = scene.world.vendor_gets(0, "INVITE ");
    scene.world.vendor_says(0, &again, 200, "", &vendor_sdp());
    scene.world.ignore_messages();
    scene.talks_as_before();
    scene.world.ended(admit.call);
    scene.world.caller_sends(&caller_request("BYE", 9, &scene.answer, ""));
    scene.world.settles();
}

#[test]
fn what_the_target_asked_of_who_leaves_is_agreed_on_with_nobody() {
    let mut scene = Scene::new();
    let (admit, to_target) = scene.consults();
    scene.world.vendor_sends(1, &vendor_request(1, "INVITE", 1, &to_target, "t", &target_sdp()));
    scene.world.vendor_gets(1, "SIP/2.0 100 ");
    let passed = scene.world.vendor_gets(0, "INVITE ");
    scene.world.vendor_says(0, &passed, 100, "", "");
    scene.presses("*#");
    scene.world.vendor_gets(0, "CANCEL ");
    scene.world.vendor_gets(1, "SIP/2.0 487 ");
    scene.world.vendor_sends(1, &vendor_request(1, "ACK", 1, &to_target, "t", ""));
    // It answers all the same.
    scene.world.vendor_says(0, &passed, 200, "", &vendor_sdp());
    scene.world.vendor_gets(0, "ACK ");
    while scene.world.inbox.is_empty() {
        scene.world.wait_ms(50);
    }
    scene.is_finished();
    scene.world.vendor_gets(0, "BYE ");
    scene.world.order(Order::HangUp(link::order::HangUp {
        call: scene.key,
        reason: EndReason::Operator as u32,
    }));
    let bye = scene.world.caller_gets("BYE ");
    assert!(bye.starts_with("BYE sip:vendor@198.51.100.7:5060 "), "{bye}");
    scene.world.vendor_gets(1, "BYE ");
    scene.world.ended(admit.call);
    scene.world.settles();
}

#[test]
fn who_waits_may_hang_up_while_the_others_are_brought_together() {
    let mut scene = Scene::new();
    scene.presses("*27777#");
    let (_, invite) = scene.target_is_called();
    scene.world.vendor_says(1, &invite, 200, "t", &target_sdp());
    scene.world.vendor_gets(1, "ACK ");
    scene.world.commit();
    let again = scene.world.vendor_gets(0, "INVITE ");
    scene.world.caller_sends(&caller_request("BYE", 9, &scene.answer, ""));
    scene.world.caller_gets("SIP/2.0 200 ");
    scene.world.vendor_says(0, &again, 200, "", &vendor_sdp());
    scene.world.vendor_gets(1, "BYE ");
    scene.world.ended_by(scene.key, EndedBy::Caller, EndReason::Normal);
    scene.world.ignore_messages();
    scene.world.settles();
}

#[test]
fn a_call_that_ends_by_itself_takes_who_waits_along() {
    let mut scene = Scene::new();
    scene.consults();
    let order = link::order::HangUp { call: scene.key, reason: EndReason::Operator as u32 };
    scene.world.order(Order::HangUp(order));
    scene.world.caller_gets("BYE ");
    scene.world.vendor_gets(0, "BYE ");
    scene.world.vendor_gets(1, "BYE ");
    scene.world.settles();
}

#[test]
fn who_waited_and_does_not_want_the_target_ends_the_call_for_all() {
    let mut scene = Scene::new();
    scene.consults();
    scene.presses("*#");
    let offerless = scene.world.vendor_gets(1, "INVITE ");
    scene.world.vendor_says(1, &offerless, 200, "", &target_sdp());
    let again = scene.world.caller_gets("INVITE ");
    caller_says(&mut scene.world, &again, 488, "");
    scene.world.caller_gets("ACK ");
    scene.world.vendor_gets(1, "ACK ");
    scene.world.vendor_gets(1, "BYE ");
    scene.world.caller_gets("BYE ");
    scene.world.vendor_gets(0, "BYE ");
    scene.world.ended(scene.key);
    scene.world.settles();
}

#[test]
fn a_target_that_hangs_up_instead_of_an_answer_ends_the_call_as_any_bye() {
    let mut scene = Scene::new();
    let (admit, to_target) = scene.consults();
    scene.presses("*#");
    let offerless = scene.world.vendor_gets(1, "INVITE ");
    scene.world.vendor_says(1, &offerless, 100, "", "");
    scene.world.vendor_sends(1, &vendor_request(1, "BYE", 1, &to_target, "t", ""));
    scene.world.vendor_gets(1, "SIP/2.0 200 ");
    scene.world.vendor_gets(1, "CANCEL ");
    scene.world.caller_gets("BYE ");
    scene.world.vendor_gets(0, "BYE ");
    for call in [scene.key, admit.call] {
        scene.world.ended_by(call, EndedBy::Callee, EndReason::Normal);
    }
    scene.world.settles();
}

#[test]
fn who_waited_and_hangs_up_instead_of_taking_the_target_ends_the_call_as_any_bye() {
    let mut scene = Scene::new();
    scene.consults();
    scene.presses("*#");
    let offerless = scene.world.vendor_gets(1, "INVITE ");
    scene.world.vendor_says(1, &offerless, 200, "", &target_sdp());
    let again = scene.world.caller_gets("INVITE ");
    caller_says(&mut scene.world, &again, 487, "");
    scene.world.caller_sends(&caller_request("BYE", 9, &scene.answer, ""));
    scene.world.ignore_messages();
    scene.world.ended_by(scene.key, EndedBy::Caller, EndReason::Normal);
    scene.world.settles();
}

#[test]
fn keys_of_somebody_who_may_not_transfer_are_only_keys() {
    let mut scene = Scene::new();
    scene.world.wants(100, |_| {});
    scene.presses("*17777#");
    scene.talks_as_before();
    assert_eq!(scene.world.asks.len(), 0);
    let mut silent = Scene::with(|keys| (keys.blind, keys.attended) = (Text::EMPTY, Text::EMPTY));
    silent.presses("*17777#*27777#");
    silent.talks_as_before();
    for mut scene in [scene, silent] {
        scene.world.caller_sends(&caller_request("BYE", 9, &scene.answer, ""));
        scene.world.settles();
    }
}

#[test]
fn the_target_sees_whose_number_the_operator_wants() {
    for (display, shown) in [(0, "4420"), (1, "1234"), (2, "Reception")] {
        let mut scene = Scene::with(|keys| {
            (keys.display, keys.display_text) = (display, Text::cut(b"Reception"));
        });
        scene.presses("*17777#");
        let admit = scene.world.admit();
        assert_eq!(admit.facts.caller.to_text(), shown);
        scene.world.refuse(admit.call, 404, 0);
        scene.talks_as_before();
        scene.world.caller_sends(&caller_request("BYE", 9, &scene.answer, ""));
        scene.world.settles();
    }
}

#[test]
fn a_number_that_is_too_long_is_still_only_a_number() {
    let mut scene = Scene::new();
    scene.presses("*1");
    for _ in 0..100 {
        scene.presses("7");
    }
    scene.presses("#");
    let admit = scene.world.admit();
    assert!(admit.facts.callee.as_bytes().len() < 32);
    scene.world.refuse(admit.call, 404, 0);
    scene.talks_as_before();
    scene.world.caller_sends(&caller_request("BYE", 9, &scene.answer, ""));
    scene.world.settles();
}

#[path = "keypad_waiting.rs"]
mod waiting;
