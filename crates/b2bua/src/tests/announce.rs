//! Calls that fail and say why: the prompt, what ends it, and what is told then.

use std::sync::Arc;

use link::answer::ANNOUNCED;
use relay::{Prompts, SOUND_BYTES};

use super::*;

/// Packets of the prompt.
const PACKETS: usize = 25;

fn prompts(names: &[&str]) -> Arc<Prompts> {
    let samples = [3_000; 160 * PACKETS];
    Arc::new(Prompts::new(names.iter().map(|name| (*name, samples.as_slice()))))
}

impl World {
    fn with_prompts(names: &[&str]) -> Self {
        let mut world = Self::new();
        world.switch.media().set_prompts(prompts(names));
        world
    }

    /// A call that control refuses to a customer who hears why.
    fn refused(&mut self, offer: &str, status: u16, reason: EndReason) {
        self.caller_sends(&invite(1, offer));
        self.caller_gets("SIP/2.0 100 ");
        let call = self.admit().call;
        let (reason, stateless, retry_after_s) = (reason as u8, 0, 0);
        let no = Refuse { call, status, reason, stateless, retry_after_s, announced: 3 };
        self.answer(Answer::Refuse(no));
    }

    /// A call of a customer who hears why it fails; the vendor's INVITE.
    fn begins_announced(&mut self, vendors: &[usize]) -> (CallKey, String) {
        self.caller_sends(&invite(1, &caller_sdp()));
        self.caller_gets("SIP/2.0 100 ");
        let key = self.admit().call;
        self.route_with(key, vendors, |route| route.flags |= ANNOUNCED);
        (key, self.vendor_gets(vendors[0], "INVITE "))
    }

    /// A packet of what is played, as a worker sends it.
    fn next_packet(&mut self) -> Option<(SocketAddr, u8)> {
        let mut out = [0; SOUND_BYTES];
        let sound = self.switch.media().poll_sound(self.now, &mut out)?;
        Some((sound.to, out[12]))
    }

    /// Plays what there is for so many packets, as a worker does; how many were heard.
    fn plays(&mut self, packets: usize) -> usize {
        let mut heard = 0;
        for _ in 0..packets {
            if let Some((to, word)) = self.next_packet() {
                assert_eq!(to, "198.51.100.7:4000".parse().unwrap());
                assert_eq!(word, codec_word());
                heard += 1;
            }
            while self.switch.heed_played(self.now) {
                self.poll();
            }
            self.wait_ms(20);
        }
        heard
    }

    /// The caller hears the prompt, and then this.
    fn hears_and_gets(&mut self, start: &str) -> String {
        let sounding = self.caller_gets("SIP/2.0 183 ");
        assert!(body(&sounding).ends_with(" RTP/AVP 0\r\na=sendonly\r\n"), "{sounding}");
        assert!(header(&sounding, "To").contains(";tag="));
        assert_eq!(self.plays(PACKETS), PACKETS);
        self.is_quiet();
        assert_eq!(self.plays(1), 0);
        let failure = self.caller_gets(start);
        assert_ne!(header(&failure, "To"), header(&sounding, "To"), "a dialog of its own");
        self.caller_sends(&beside_invite(1, "ACK", header(&failure, "To")));
        self.is_quiet();
        let counted = [Counter::Announcements, Counter::AnnouncementsFinished];
        assert_eq!(counted.map(|counter| self.count(counter)), [1, 1]);
        failure
    }
}

/// µ-law of the prompt's samples.
fn codec_word() -> u8 {
    let (own, port) = ([192, 0, 2, 1].into(), Port::new(0, 2));
    let mut table = relay::Table::new(2, 2, &[own]);
    table.set_prompts(prompts(&["x"]));
    let (peer, owner) = (Port::NONE, relay::Owner(1));
    assert!(table.open(
        Duration::ZERO,
        port,
        &relay::Opening { peer, owner, towards_caller: true }
    ));
    let far = Some("192.0.2.9:9".parse().unwrap());
    table.set_remote(port, far, None, relay::Latch::Fixed, relay::PayloadTypes::ANY);
    let prompt = table.prompts().find("x").unwrap();
    let times = relay::Times::Once;
    assert!(table.play(
        Duration::ZERO,
        port,
        &relay::Play { prompt, times, is_a_law: false, ssrc: 1 }
    ));
    let mut out = [0; SOUND_BYTES];
    assert!(table.poll_sound(Duration::ZERO, &mut out).is_some());
    out[12]
}

#[test]
fn a_customer_whom_control_refuses_hears_why_and_then_the_same_failure() {
    let mut world = World::with_prompts(&["no_balance", "default"]);
    world.refused(&caller_sdp(), 403, EndReason::NoBalance);
    assert_eq!(world.switch.calls_live(), 0, "no call of anybody's books");
    world.hears_and_gets("SIP/2.0 403 ");
    assert!(world.images.is_empty() && world.asks.is_empty(), "control has its record");
    world.settles();
}

#[test]
fn after_all_vendors_the_caller_hears_why_on_the_port_it_was_told_before() {
    let mut world = World::with_prompts(&["486"]);
    world.wants(3, |profile| profile.reason = 1);
    let (key, first) = world.begins_announced(&[0, 1]);
    world.vendor_says(0, &first, 503, "v", "");
    world.vendor_gets(0, "ACK ");
    let second = world.vendor_gets(1, "INVITE ");
    world.vendor_says(1, &second, 183, "w", &vendor_sdp());
    let early = world.caller_gets("SIP/2.0 183 ");
    let busy = response(&second, 486, "w", VENDORS[1], "");
    world.vendor_sends(1, &with_lines(&busy, "Reason: Q.850;cause=17\r\n"));
    world.vendor_gets(1, "ACK ");
    let ports = world.switch.media_ports(world.now);
    assert_eq!(ports.used, 1, "the vendors' are given back");
    let record = world.images.iter().find(|image| image.0 == key && !image.3).unwrap().1;
    assert_eq!((record.status, record.end_reason()), (486, EndReason::Busy), "known already");
    let failure = world.hears_and_gets("SIP/2.0 486 ");
    assert_eq!(media_port(&early), CALLER_PORT);
    assert_eq!(header(&failure, "Reason"), "Q.850;cause=17", "what the vendor said passes late");
    let record = world.ended_by(key, EndedBy::Callee, EndReason::Busy);
    assert_eq!((record.status, record.answered_ms), (486, NEVER));
    assert!(record.ended_ms < 500, "failed when it failed, not when that was said");
    world.settles();
}

#[test]
fn a_caller_under_keys_hears_it_under_ours() {
    let key = "inline:WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz";
    let secured = caller_sdp().replace("RTP/AVP", "RTP/SAVP");
    let secured = format!("{secured}a=crypto:4 AES_CM_128_HMAC_SHA1_80 {key}\r\n");
    let mut world = World::with_prompts(&["default"]);
    world.wants(3, |profile| profile.media.srtp = 2);
    world.refused(&secured, 404, EndReason::NoRoute);
    let sounding = world.caller_gets("SIP/2.0 183 ");
    let told = "RTP/SAVP 0\r\na=sendonly\r\na=crypto:4 AES_CM_128_HMAC_SHA1_80 inline:";
    assert!(sounding.contains(told) && !sounding.contains(key), "{sounding}");
    let mut out = [0; SOUND_BYTES];
    let sound = world.switch.media().poll_sound(world.now, &mut out).unwrap();
    assert_eq!(sound.bytes, relay::TONE_BYTES + 10);
    assert_ne!(out[12..172], [codec_word(); 160], "sealed");
    world.wait_ms(20_000);
    world.caller_gets("SIP/2.0 404 ");
    world.ignore_messages();
    world.settles();
    // The same that wants keys and offers none, or is not to have any.
    for (wants, offer) in [(2, &caller_sdp()), (0, &secured)] {
        let mut world = World::with_prompts(&["default"]);
        world.wants(3, |profile| profile.media.srtp = wants);
        world.refused(offer, 404, EndReason::NoRoute);
        world.caller_gets("SIP/2.0 404 ");
        world.ignore_messages();
        world.settles();
    }
}

#[test]
fn who_rings_out_hears_so_while_the_vendor_is_cancelled() {
    let mut world = World::with_prompts(&["no_answer"]);
    let (key, first) = world.begins_announced(&[0]);
    world.vendor_says(0, &first, 180, "v", "");
    world.caller_gets("SIP/2.0 180 ");
    let ring_ms = link::order::Parameters::default().ring_timeout_ms;
    for _ in 0..ring_ms / 60_000 {
        world.wait_ms(60_000);
        world.ignore_messages();
    }
    world.wait_ms(u64::from(ring_ms % 60_000));
    let cancel = world.inbox.iter().position(|(_, text)| text.starts_with("CANCEL "));
    let cancel = world.inbox.remove(cancel.unwrap()).1;
    world.vendor_says(0, &cancel, 200, "v", "");
    world.vendor_says(0, &first, 487, "v", "");
    world.vendor_gets(0, "ACK ");
    world.hears_and_gets("SIP/2.0 480 ");
    let record = world.ended_by(key, EndedBy::Server, EndReason::NoAnswer);
    assert_eq!((record.status, record.attempts()[0].status), (480, 487));
    world.settles();
}

#[test]
fn a_vendor_that_hangs_up_or_answers_while_it_is_cancelled_cuts_nothing_and_is_in_the_record() {
    let mut world = World::with_prompts(&["no_answer"]);
    let (key, first) = world.begins_announced(&[0]);
    world.vendor_says(0, &first, 180, "v", "");
    world.caller_gets("SIP/2.0 180 ");
    let ring_ms = link::order::Parameters::default().ring_timeout_ms;
    for _ in 0..ring_ms / 60_000 {
        world.wait_ms(60_000);
        world.ignore_messages();
    }
    world.wait_ms(u64::from(ring_ms % 60_000));
    world.vendor_gets(0, "CANCEL ");
    world.caller_gets("SIP/2.0 183 ");
    world.vendor_sends(0, &vendor_request(0, "BYE", 1, &first, "v", ""));
    world.ignore_messages();
    assert_eq!(world.plays(PACKETS), PACKETS, "nothing cuts it");
    world.plays(1);
    let failure = world.caller_gets("SIP/2.0 480 ");
    world.caller_sends(&beside_invite(1, "ACK", header(&failure, "To")));
    // The answer that crossed our CANCEL.
    world.vendor_says(0, &first, 200, "v", &vendor_sdp());
    world.ignore_messages();
    let record = world.ended_by(key, EndedBy::Server, EndReason::NoAnswer);
    assert_eq!((record.status, record.attempts()[0].status), (480, 200));
    assert_ne!(record.attempts()[0].answered_ms, NEVER);
    world.settles();
}

#[test]
fn nobody_elses_address_is_spoken_to_before_it_was_heard() {
    let mut world = World::with_prompts(&["default"]);
    world.refused(&sdp("203.0.113.77", 4_000), 404, EndReason::NoRoute);
    world.caller_gets("SIP/2.0 183 ");
    assert_eq!(world.plays(50), 0);
    let packet = [&[0x80, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 9][..], &[0xff; 160]].concat();
    let from = "203.0.113.77:4000".parse().unwrap();
    let _ = world.switch.media().forward(world.now, CALLER_PORT, from, &packet);
    assert_eq!(world.next_packet().map(|(to, _)| to), Some(from));
    world.wait_ms(6_000);
    world.caller_gets("SIP/2.0 404 ");
    world.ignore_messages();
    world.settles();
}

#[test]
fn a_cancel_or_a_bye_in_the_middle_ends_it_at_once_and_changes_no_record() {
    for method in ["CANCEL", "BYE"] {
        let mut world = World::with_prompts(&["default"]);
        let (key, first) = world.begins_announced(&[0]);
        world.vendor_says(0, &first, 404, "v", "");
        world.vendor_gets(0, "ACK ");
        let sounding = world.caller_gets("SIP/2.0 183 ");
        assert_eq!(world.plays(5), 5);
        match method {
            "CANCEL" => world.caller_sends(&beside_invite(1, method, "<sip:4420@192.0.2.1>")),
            _ => world.caller_sends(&caller_request("BYE", 2, &sounding, "")),
        }
        world.caller_gets("SIP/2.0 200 ");
        let cancelled = world.caller_gets("SIP/2.0 487 ");
        world.caller_sends(&beside_invite(1, "ACK", header(&cancelled, "To")));
        assert_eq!(world.plays(PACKETS), 0);
        world.is_quiet();
        let record = world.ended_by(key, EndedBy::Callee, EndReason::Rejected);
        assert_eq!((record.status, record.answered_ms), (404, NEVER));
        assert_eq!(world.count(Counter::AnnouncementsCut), 1);
        world.settles();
    }
}

#[test]
fn a_refused_caller_who_cancels_or_asks_for_something_leaves_nothing() {
    let mut world = World::with_prompts(&["4xx"]);
    world.refused(&caller_sdp(), 404, EndReason::NoRoute);
    let sounding = world.caller_gets("SIP/2.0 183 ");
    world.plays(3);
    for (number, method) in [(2, "UPDATE"), (3, "MESSAGE"), (4, "INVITE")] {
        world.caller_sends(&caller_request(method, number, &sounding, &caller_sdp()));
        world.caller_gets("SIP/2.0 491 ");
    }
    world.caller_sends(&beside_invite(1, "CANCEL", "<sip:4420@192.0.2.1>"));
    world.caller_gets("SIP/2.0 200 ");
    world.caller_gets("SIP/2.0 487 ");
    assert_eq!(world.count(Counter::AnnouncementsCut), 1);
    world.ignore_messages();
    world.settles();
}

#[test]
fn a_key_that_is_pressed_at_an_announcement_is_answered_and_the_voice_goes_on() {
    let mut world = World::with_prompts(&["4xx"]);
    world.refused(&caller_sdp(), 404, EndReason::NoRoute);
    let sounding = world.caller_gets("SIP/2.0 183 ");
    assert_eq!(world.plays(3), 3);
    let info = caller_request("INFO", 2, &sounding, "Signal=1\r\nDuration=160\r\n");
    world.caller_sends(&info.replace("application/sdp", "application/dtmf-relay"));
    world.caller_gets("SIP/2.0 200 ");
    // A description in it is none of ours to pass, here as ever.
    world.caller_sends(&caller_request("INFO", 3, &sounding, &caller_sdp()));
    world.caller_gets("SIP/2.0 415 ");
    assert!(world.plays(PACKETS) > 0);
    world.ignore_messages();
    world.settles();
}

#[test]
fn an_invite_that_comes_again_in_the_middle_hears_of_the_same_voice() {
    let mut world = World::with_prompts(&["default"]);
    world.refused(&caller_sdp(), 404, EndReason::NoRoute);
    let sounding = world.caller_gets("SIP/2.0 183 ");
    world.plays(3);
    world.caller_sends(&invite(1, &caller_sdp()));
    assert_eq!(world.caller_gets("SIP/2.0 183 "), sounding);
    assert_eq!(world.plays(PACKETS - 3), PACKETS - 3, "and it goes on where it was");
    world.plays(1);
    world.caller_gets("SIP/2.0 404 ");
    world.ignore_messages();
    world.settles();
}

#[test]
fn who_is_behind_nat_hears_it_from_the_beginning_or_hears_the_failure() {
    for speaks in [true, false] {
        let mut world = World::with_prompts(&["default"]);
        world.refused(&sdp("10.0.0.7", 4_000), 404, EndReason::NoRoute);
        world.caller_gets("SIP/2.0 183 ");
        assert_eq!(world.plays(50), 0);
        if speaks {
            let packet = [&[0x80, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 9][..], &[0xff; 160]].concat();
            for _ in 0..3 {
                let from = "198.51.100.7:4000".parse().unwrap();
                let _ = world.switch.media().forward(world.now, CALLER_PORT, from, &packet);
            }
            assert_eq!(world.plays(PACKETS + 1), PACKETS);
        } else {
            world.wait_ms(6_000);
        }
        world.caller_gets("SIP/2.0 404 ");
        let counter = match speaks {
            true => Counter::AnnouncementsFinished,
            false => Counter::AnnouncementsCut,
        };
        assert_eq!(world.count(counter), 1);
        world.ignore_messages();
        world.settles();
    }
}

#[test]
fn whoever_cannot_or_may_not_hear_gets_the_plain_failure() {
    let no_g711 = caller_sdp().replace("RTP/AVP 0 8 101", "RTP/AVP 18 101");
    let secured = caller_sdp().replace("RTP/AVP", "RTP/SAVP");
    for (offer, reason) in [
        (no_g711.as_str(), EndReason::NoRoute),
        ("", EndReason::NoRoute),
        (&secured, EndReason::NoRoute),
        (&caller_sdp(), EndReason::RateLimit),
        (&caller_sdp(), EndReason::DestinationAbuse),
    ] {
        let mut world = World::with_prompts(&["default"]);
        world.refused(offer, 404, reason);
        world.caller_gets("SIP/2.0 404 ");
        world.ignore_messages();
        assert_eq!(world.count(Counter::Announcements), 0);
        world.settles();
    }
    // Nobody asked for it, and no prompt that fits.
    let mut world = World::with_prompts(&["default"]);
    let (_, first) = world.call_begins(&[0]);
    world.vendor_says(0, &first, 404, "v", "");
    world.vendor_gets(0, "ACK ");
    world.caller_gets("SIP/2.0 404 ");
    world.settles();
    let mut world = World::with_prompts(&["5xx"]);
    world.refused(&caller_sdp(), 404, EndReason::NoRoute);
    world.caller_gets("SIP/2.0 404 ");
    world.settles();
}

#[test]
fn whoever_demands_reliable_responses_gets_the_plain_failure() {
    let mut world = World::with_prompts(&["default"]);
    world.caller_sends(&with_lines(&invite(1, &caller_sdp()), "Require: 100rel\r\n"));
    world.caller_gets("SIP/2.0 100 ");
    let call = world.admit().call;
    let no = Refuse {
        call,
        status: 404,
        reason: EndReason::NoRoute as u8,
        stateless: 0,
        retry_after_s: 0,
        announced: 3,
    };
    world.answer(Answer::Refuse(no));
    world.caller_gets("SIP/2.0 404 ");
    world.ignore_messages();
    world.settles();
}

#[test]
fn nothing_is_announced_while_new_calls_are_refused_or_room_is_short() {
    let busy = |world: &mut World| world.switch.set_worker_busy(true);
    let draining =
        |world: &mut World| world.order(Order::Drain(link::order::Drain { draining: 1 }));
    let full = |world: &mut World| world.switch.calls_open += 6;
    for change in [busy, draining, full] {
        let mut world = World::with_prompts(&["default"]);
        let (key, first) = world.begins_announced(&[0]);
        let before = world.switch.calls_open;
        change(&mut world);
        world.vendor_says(0, &first, 404, "v", "");
        world.vendor_gets(0, "ACK ");
        world.caller_gets("SIP/2.0 404 ");
        assert_eq!(world.count(Counter::AnnouncementsFull), 1);
        world.switch.calls_open = before - 1;
        world.ended_by(key, EndedBy::Callee, EndReason::Rejected);
        world.ignore_messages();
        world.settles();
    }
}

#[test]
fn a_call_that_was_announced_when_we_died_is_recorded_as_it_failed() {
    let mut world = World::with_prompts(&["default"]);
    let (key, first) = world.begins_announced(&[0]);
    world.vendor_says(0, &first, 404, "v", "");
    world.caller_gets("SIP/2.0 183 ");
    world.plays(3);
    world.restart();
    world.wait_ms(1);
    let record = world.ended_by(key, EndedBy::Callee, EndReason::Rejected);
    assert_eq!((record.status, record.answered_ms), (404, NEVER));
    world.ignore_messages();
    world.settles();
}

#[test]
fn an_operator_who_hangs_up_ends_it_with_its_failure() {
    let mut world = World::with_prompts(&["default"]);
    let (key, first) = world.begins_announced(&[0]);
    world.vendor_says(0, &first, 404, "v", "");
    world.vendor_gets(0, "ACK ");
    world.caller_gets("SIP/2.0 183 ");
    world.order(Order::HangUp(link::order::HangUp { call: key, reason: 0 }));
    world.caller_gets("SIP/2.0 404 ");
    world.ended_by(key, EndedBy::Callee, EndReason::Rejected);
    world.ignore_messages();
    world.settles();
}
