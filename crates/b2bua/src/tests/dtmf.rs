//! Keys that reach the other side another way than they came.

use std::collections::BTreeSet;

use link::profile::{Dtmf, MediaTerms};
use relay::{DropReason, SOUND_BYTES, Verdict};

use super::*;

const CALLER_MEDIA: &str = "198.51.100.7:4000";
const VENDOR_MEDIA: &str = "203.0.113.10:6000";
const EVENTS: &str = "a=rtpmap:101 telephone-event/8000\r\n";

/// A description without events.
fn without(description: &str) -> String {
    description.replace(" 101\r\n", "\r\n").replace(EVENTS, "")
}

/// A call of gateway 3 to gateway 100, which is vendor 0.
struct Scene {
    world: World,
    key: CallKey,
    invite: String,
    answer: String,
    sequence: u16,
}

impl Scene {
    /// Of two gateways that know keys so, and describe that.
    fn new(dtmf: [Dtmf; 2], offer: &str, answer: &str) -> Self {
        Self::with(dtmf, offer, answer, |_| {})
    }

    fn with(dtmf: [Dtmf; 2], offer: &str, answer: &str, change: impl Fn(&mut MediaTerms)) -> Self {
        let mut world = World::new();
        for (gateway, dtmf) in [3, 100].into_iter().zip(dtmf) {
            world.media_of(gateway, &[], |terms| {
                terms.dtmf = dtmf as u8;
                change(terms);
            });
        }
        let (key, invite) = world.call_with_offer(&[0], offer);
        world.vendor_says(0, &invite, 200, "v", answer);
        world.vendor_gets(0, "ACK ");
        world.commit();
        let answer = world.caller_gets("SIP/2.0 200 ");
        world.caller_sends(&caller_request("ACK", 1, &answer, ""));
        Self { world, key, invite, answer, sequence: 0 }
    }

    fn informs(&mut self, cseq: u32, key: char) {
        let content = format!("Signal={key}\r\nDuration=160\r\n");
        let info = caller_request("INFO", cseq, &self.answer, &content);
        self.world.caller_sends(&info.replace("application/sdp", "application/dtmf-relay"));
    }

    /// A side sends an event of seven packets. What becomes of the last of them.
    fn presses(&mut self, is_caller: bool, key: u8) -> Verdict {
        let ports = [media_port(&self.invite), media_port(&self.answer)];
        let far = [VENDOR_MEDIA, CALLER_MEDIA][usize::from(is_caller)].parse().unwrap();
        let port = ports[usize::from(is_caller)];
        let time = u32::from(self.sequence) * 1_000 + 1_000_000;
        let mut verdict = Verdict::Drop(DropReason::NoFlow);
        for nth in 0..7 {
            self.sequence += 1;
            let mut packet = vec![0x80, 101];
            packet.extend(self.sequence.to_be_bytes());
            packet.extend(time.to_be_bytes());
            packet.extend([0, 0, 0, 9]);
            packet.extend([key - b'0', if nth > 3 { 0x8a } else { 10 }, 1, 64]);
            verdict = self.world.switch.media().forward(self.world.now, port, far, &packet);
        }
        while self.world.switch.heed_key(self.world.now) {
            self.world.poll();
        }
        verdict
    }

    /// What goes out within so many milliseconds: payload types and first bytes of the bodies, each run of one once.
    fn dialled(&mut self, ms: u64) -> Vec<(u8, u8)> {
        let mut told = Vec::new();
        for _ in 0..ms {
            self.world.wait_ms(1);
            let mut out = [0; SOUND_BYTES];
            while let Some(sound) = self.world.switch.media().poll_dialled(self.world.now, &mut out)
            {
                assert!([VENDOR_MEDIA, CALLER_MEDIA].contains(&&*sound.to.to_string()));
                told.push((out[1] & 0x7f, out[12]));
            }
        }
        told.dedup();
        told
    }

    fn ends(mut self) {
        self.world.ignore_messages();
        self.world.caller_sends(&caller_request("BYE", 99, &self.answer, ""));
        self.world.ignore_messages();
        let _ = self.key;
        self.world.settles();
    }
}

#[test]
fn a_key_as_info_is_an_event_to_whom_agreed_on_them_and_is_answered_by_us() {
    let mut scene = Scene::new([Dtmf::Auto; 2], &caller_sdp(), &vendor_sdp());
    scene.informs(2, '5');
    scene.world.caller_gets("SIP/2.0 200 ");
    // Its repetition is no other key.
    scene.informs(2, '5');
    scene.world.caller_gets("SIP/2.0 200 ");
    scene.informs(3, '#');
    scene.world.caller_gets("SIP/2.0 200 ");
    scene.world.is_quiet();
    assert_eq!(scene.dialled(1_000), [(101, 5), (101, 11)]);
    assert_eq!(scene.world.count(Counter::KeysTurned), 2);
    scene.ends();
}

#[test]
fn keys_are_told_after_a_restart_as_before() {
    let mut scene = Scene::new([Dtmf::Auto; 2], &caller_sdp(), &vendor_sdp());
    scene.world.restart();
    scene.informs(2, '5');
    scene.world.caller_gets("SIP/2.0 200 ");
    assert_eq!(scene.dialled(1_000), [(101, 5)]);
    scene.ends();
}

#[test]
fn a_key_as_info_passes_as_it_is_to_whom_wants_it_so_or_knows_nothing_else() {
    for (dtmf, answer) in [(Dtmf::Auto, without(&vendor_sdp())), (Dtmf::Info, vendor_sdp())] {
        let mut scene = Scene::new([Dtmf::Auto, dtmf], &caller_sdp(), &answer);
        scene.informs(2, '5');
        let passed = scene.world.vendor_gets(0, "INFO ");
        assert_eq!(body(&passed), "Signal=5\r\nDuration=160\r\n");
        scene.world.vendor_says(0, &passed, 200, "", "");
        scene.world.caller_gets("SIP/2.0 200 ");
        assert_eq!(scene.dialled(500), []);
        scene.ends();
    }
}

#[test]
fn a_key_both_as_info_and_as_an_event_is_one_key() {
    let mut scene = Scene::new([Dtmf::Auto; 2], &caller_sdp(), &vendor_sdp());
    scene.informs(2, '5');
    scene.world.caller_gets("SIP/2.0 200 ");
    assert_eq!(scene.dialled(400), [(101, 5)]);
    // What follows is the echo, and is taken out.
    let verdict = scene.presses(true, b'5');
    assert!(matches!(verdict, Verdict::Changed { .. }), "{verdict:?}");
    assert_eq!(scene.world.switch.media().changed_packets().count(), 0);
    // From here on its events are heard, and its INFOs are not.
    let _ = scene.presses(true, b'6');
    assert_eq!(scene.world.switch.media().changed_packets().count(), 1);
    scene.informs(3, '6');
    scene.world.caller_gets("SIP/2.0 200 ");
    scene.world.wait_ms(5_000);
    scene.informs(4, '7');
    scene.world.caller_gets("SIP/2.0 200 ");
    assert_eq!(scene.dialled(400), []);
    assert_eq!(scene.world.count(Counter::KeysAgain), 3);
    scene.world.is_quiet();
    scene.ends();
}

#[test]
fn events_towards_whom_wants_info_are_infos_in_order_and_one_at_a_time() {
    // It describes none; the caller is told of events in its stead.
    for answer in [without(&vendor_sdp()), vendor_sdp()] {
        let mut scene = Scene::new([Dtmf::Auto, Dtmf::Info], &caller_sdp(), &answer);
        assert!(!body(&scene.invite).contains("telephone-event"), "{}", scene.invite);
        assert!(body(&scene.answer).contains(EVENTS), "{}", scene.answer);
        for key in *b"123" {
            let verdict = scene.presses(true, key);
            assert_eq!(verdict, Verdict::Drop(DropReason::OtherWay));
        }
        for (key, status) in [(1, 200), (2, 500), (3, 200)] {
            let info = scene.world.vendor_gets(0, "INFO ");
            assert_eq!(header(&info, "Content-Type"), "application/dtmf-relay");
            assert_eq!(body(&info), format!("Signal={key}\r\nDuration=100\r\n"));
            scene.world.is_quiet();
            scene.world.vendor_says(0, &info, status, "", "");
        }
        scene.world.is_quiet();
        assert_eq!(scene.world.count(Counter::KeysTurned), 3);
        // Its own keys come as INFO, and the caller reads events.
        let info = vendor_request(0, "INFO", 1, &scene.invite, "v", "Signal=9\r\n");
        let info = info.replace("application/sdp", "application/dtmf-relay");
        scene.world.vendor_sends(0, &info);
        scene.world.vendor_gets(0, "SIP/2.0 200 ");
        assert_eq!(scene.dialled(500), [(101, 9)]);
        scene.ends();
    }
}

#[test]
fn an_info_that_nobody_answers_holds_no_other_for_ever_and_too_many_are_counted() {
    let mut scene = Scene::new([Dtmf::Auto, Dtmf::Info], &caller_sdp(), &vendor_sdp());
    for _ in 0..20 {
        let _ = scene.presses(true, b'1');
    }
    assert_eq!(scene.world.count(Counter::KeysLost), 3, "one is out and sixteen wait");
    scene.world.vendor_gets(0, "INFO ");
    scene.world.wait_ms(33_000);
    scene.world.ignore_messages();
    assert_eq!(scene.world.count(Counter::KeysTurned), 2);
    scene.ends();
}

#[test]
fn who_knows_events_is_offered_them_in_the_stead_of_whom_does_not() {
    let mut scene = Scene::new([Dtmf::Auto, Dtmf::Rfc4733], &without(&caller_sdp()), &vendor_sdp());
    assert!(body(&scene.invite).contains(EVENTS), "{}", scene.invite);
    assert!(!body(&scene.answer).contains("telephone-event"), "{}", scene.answer);
    scene.informs(2, '5');
    scene.world.caller_gets("SIP/2.0 200 ");
    assert_eq!(scene.dialled(500), [(101, 5)]);
    assert_eq!(scene.presses(false, b'7'), Verdict::Drop(DropReason::OtherWay));
    let info = scene.world.caller_gets("INFO ");
    assert_eq!(body(&info), "Signal=7\r\nDuration=100\r\n");
    scene.world.caller_sends(&response(&info, 200, "", CALLER, ""));
    scene.ends();
}

#[test]
fn who_knows_tones_alone_hears_tones_of_keys_that_came_as_info_and_as_events() {
    let mut scene = Scene::new([Dtmf::Auto, Dtmf::Inband], &caller_sdp(), &vendor_sdp());
    assert!(!body(&scene.invite).contains("telephone-event"), "{}", scene.invite);
    scene.informs(2, '5');
    scene.world.caller_gets("SIP/2.0 200 ");
    let told: BTreeSet<u8> = scene.dialled(500).into_iter().map(|(kind, _)| kind).collect();
    assert_eq!(told, [8].into());
    assert_eq!(scene.presses(true, b'6'), Verdict::Drop(DropReason::OtherWay));
    assert!(!scene.dialled(500).is_empty());
    scene.world.is_quiet();
    scene.ends();
}

#[test]
fn no_events_are_told_where_they_are_refused_whatever_is_known() {
    let refuses = |terms: &mut MediaTerms| terms.events_refused = 1;
    for dtmf in [Dtmf::Rfc4733, Dtmf::Info] {
        let scene = Scene::with([Dtmf::Auto, dtmf], &caller_sdp(), &vendor_sdp(), refuses);
        assert!(!body(&scene.invite).contains("telephone-event"), "{}", scene.invite);
        assert!(!body(&scene.answer).contains("telephone-event"), "{}", scene.answer);
        scene.ends();
    }
}

#[test]
fn keys_go_on_during_hold() {
    let mut scene = Scene::new([Dtmf::Auto; 2], &caller_sdp(), &vendor_sdp());
    let held = caller_sdp() + "a=sendonly\r\n";
    scene.world.caller_sends(&caller_request("INVITE", 2, &scene.answer, &held));
    let inner = scene.world.vendor_gets(0, "INVITE ");
    let answer = vendor_sdp() + "a=recvonly\r\n";
    scene.world.vendor_says(0, &inner, 200, "", &answer);
    scene.world.vendor_gets(0, "ACK ");
    scene.world.ignore_messages();
    scene.world.caller_sends(&caller_request("ACK", 2, &scene.answer, ""));
    scene.informs(3, '5');
    scene.world.caller_gets("SIP/2.0 200 ");
    assert_eq!(scene.dialled(1_000), [(101, 5)]);
    scene.ends();
}

#[test]
fn a_refresh_takes_nobodys_address_where_events_are_read_for_another() {
    let offer = sdp("10.0.0.7", 4_000);
    let mut scene = Scene::new([Dtmf::Auto, Dtmf::Info], &offer, &without(&vendor_sdp()));
    // The caller is behind NAT, and was heard.
    let own = media_port(&scene.answer);
    let packet = [&[0x80, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 9][..], &[0xff; 160]].concat();
    let far = "198.51.100.7:4123".parse().unwrap();
    let _ = scene.world.switch.media().forward(scene.world.now, own, far, &packet);
    let latched = |scene: &mut Scene| scene.world.switch.media().snapshot(own);
    assert!(latched(&mut scene).latched);
    let refresh = vendor_request(0, "INVITE", 5, &scene.invite, "v", &without(&vendor_sdp()));
    scene.world.vendor_sends(0, &refresh);
    scene.world.ignore_messages();
    let after = latched(&mut scene);
    assert_eq!((after.remote, after.latched), (Some(far), true));
    scene.ends();
}

#[test]
fn an_info_that_wants_a_password_goes_once_more_and_the_next_key_after_it() {
    let mut scene = Scene::new([Dtmf::Auto, Dtmf::Info], &caller_sdp(), &vendor_sdp());
    scene.world.profile(0, |profile| profile.media.dtmf = Dtmf::Info as u8);
    for key in *b"12" {
        let _ = scene.presses(true, key);
    }
    let first = scene.world.vendor_gets(0, "INFO ");
    let asks = vendor_digest::ASKS;
    scene.world.vendor_sends(0, &errand::challenge(&first, 407, &[asks]));
    let again = scene.world.vendor_gets(0, "INFO ");
    assert_eq!(body(&again), body(&first));
    scene.world.vendor_says(0, &again, 200, "", "");
    let second = scene.world.vendor_gets(0, "INFO ");
    assert!(body(&second).starts_with("Signal=2"), "{second}");
    scene.world.vendor_says(0, &second, 200, "", "");
    scene.ends();
}

#[test]
fn events_are_of_the_clock_of_the_speech_where_a_phone_describes_two() {
    let two = |description: String| {
        description
            .replace(" 101\r\n", " 97 101\r\n")
            .replace(EVENTS, &format!("a=rtpmap:97 telephone-event/48000\r\n{EVENTS}"))
    };
    let offer = two(caller_sdp());
    let mut scene = Scene::new([Dtmf::Auto, Dtmf::Info], &offer, &without(&vendor_sdp()));
    assert!(body(&scene.answer).contains(EVENTS), "{}", scene.answer);
    assert_eq!(scene.presses(true, b'6'), Verdict::Drop(DropReason::OtherWay));
    scene.world.vendor_gets(0, "INFO ");
    scene.ends();
    let mut scene = Scene::new([Dtmf::Auto; 2], &offer, &two(vendor_sdp()));
    scene.informs(2, '5');
    scene.world.caller_gets("SIP/2.0 200 ");
    assert_eq!(scene.dialled(500), [(101, 5)]);
    scene.ends();
}
