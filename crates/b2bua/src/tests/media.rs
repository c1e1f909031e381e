//! What gateways want of media: which codecs, how they are told, whom a call goes to where they share none.

use link::profile::{MediaAddress, MediaProxy, MediaTerms};
use sip::sdp::Codec;

use super::*;
use crate::ports::PortCount;

/// The customer's gateway, as the routes of the tests name it; vendors begin at 100.
const CUSTOMER: u32 = 3;

impl World {
    /// What a gateway wants of media.
    pub(super) fn media_of(
        &mut self,
        gateway: u32,
        codecs: &[Codec],
        change: impl FnOnce(&mut MediaTerms),
    ) {
        self.wants(gateway, |profile| {
            let listed = profile.media.codecs.iter_mut().zip(codecs);
            listed.for_each(|(place, &codec)| *place = codec as u8);
            change(&mut profile.media);
        });
    }
}

/// The formats of the first medium.
fn formats(message: &str) -> &str {
    let line = body(message).lines().find(|line| line.starts_with("m=")).unwrap();
    line.split_once("AVP ").unwrap().1
}

fn offering(formats: &str) -> String {
    sdp("198.51.100.7", 4_000).replace("RTP/AVP 0 8 101", &format!("RTP/AVP {formats}"))
}

fn answering(formats: &str) -> String {
    sdp("203.0.113.10", 6_000).replace("RTP/AVP 0 8 101", &format!("RTP/AVP {formats}"))
}

#[test]
fn each_vendor_is_offered_its_own_codecs_in_its_own_order() {
    let mut world = World::new();
    world.media_of(CUSTOMER, &[Codec::Pcmu, Codec::Pcma, Codec::G729], |_| {});
    world.media_of(100, &[Codec::G729, Codec::Pcmu], |_| {});
    let (_, first) = world.call_with_offer(&[0, 1], &offering("9 8 0 18"));
    assert_eq!(formats(&first), "18 0");
    world.vendor_says(0, &first, 503, "v", "");
    world.vendor_gets(0, "ACK ");
    let second = world.vendor_gets(1, "INVITE ");
    assert_eq!(formats(&second), "0 8 18");
    world.vendor_says(1, &second, 200, "w", &answering("8 9"));
    world.vendor_gets(1, "ACK ");
    world.commit();
    let answer = world.caller_gets("SIP/2.0 200 ");
    assert_eq!(formats(&answer), "8");
    world.settles();
}

#[test]
fn a_codec_that_is_not_allowed_is_not_relayed_either() {
    let mut world = World::new();
    world.media_of(100, &[Codec::Pcma], |_| {});
    let (_, invite) = world.call_with_offer(&[0], &offering("0 8"));
    world.vendor_says(0, &invite, 200, "v", &answering("8"));
    world.vendor_gets(0, "ACK ");
    world.commit();
    let answer = world.caller_gets("SIP/2.0 200 ");
    let port = media_port(&answer);
    let mut sent = |payload_type: u8| {
        let rtp = [&[0x80, payload_type, 0, 1][..], &[0; 168]].concat();
        world.switch.forward(world.now, port, "198.51.100.7:4000".parse().unwrap(), &rtp)
    };
    assert_eq!(sent(0), relay::Verdict::Drop(relay::DropReason::PayloadType));
    assert!(matches!(sent(8), relay::Verdict::Send { .. }));
    world.settles();
}

#[test]
fn a_vendor_that_allows_no_codec_of_the_caller_is_passed_over() {
    let mut world = World::new();
    world.media_of(100, &[Codec::G729], |_| {});
    let (key, second) = {
        world.caller_sends(&invite(1, &offering("0 8")));
        world.caller_gets("SIP/2.0 100 ");
        let call = world.admit().call;
        world.route(call, &[0, 1]);
        (call, world.vendor_gets(1, "INVITE "))
    };
    assert_eq!(formats(&second), "0 8");
    world.vendor_says(1, &second, 486, "w", "");
    world.vendor_gets(1, "ACK ");
    world.caller_gets("SIP/2.0 486 ");
    let record = world.ended(key);
    assert_eq!(record.attempts()[0].reason, EndReason::NoCodec as u8);
    world.settles();
}

#[test]
fn where_no_vendor_allows_a_codec_of_the_caller_the_call_is_refused() {
    let mut world = World::new();
    for vendor in [100, 101] {
        world.media_of(vendor, &[Codec::G729], |_| {});
    }
    world.caller_sends(&invite(1, &offering("0 8")));
    world.caller_gets("SIP/2.0 100 ");
    let call = world.admit().call;
    world.route(call, &[0, 1]);
    world.caller_gets("SIP/2.0 488 ");
    world.ended_by(call, EndedBy::Server, EndReason::NoCodec);
    world.is_quiet();
    world.settles();
}

#[test]
fn an_answer_without_an_allowed_codec_leads_to_the_next_vendor() {
    let mut world = World::new();
    world.media_of(CUSTOMER, &[Codec::Pcma, Codec::G729], |_| {});
    let (key, first) = world.call_with_offer(&[0, 1], &offering("0 8 18"));
    assert_eq!(formats(&first), "8 18");
    world.vendor_says(0, &first, 200, "v", &answering("0"));
    world.vendor_gets(0, "ACK ");
    let bye = world.vendor_gets(0, "BYE ");
    world.vendor_says(0, &bye, 200, "v", "");
    let second = world.vendor_gets(1, "INVITE ");
    world.vendor_says(1, &second, 200, "w", &answering("0"));
    world.vendor_gets(1, "ACK ");
    let bye = world.vendor_gets(1, "BYE ");
    world.vendor_says(1, &bye, 200, "w", "");
    world.caller_gets("SIP/2.0 488 ");
    let record = world.ended_by(key, EndedBy::Server, EndReason::NoCodec);
    assert!(record.attempts().iter().all(|attempt| attempt.reason == EndReason::NoCodec as u8));
    world.settles();
}

#[test]
fn a_change_of_the_session_to_codecs_that_are_not_allowed_is_refused_and_the_session_stays() {
    let mut world = World::new();
    world.media_of(CUSTOMER, &[Codec::Pcmu], |_| {});
    let (_, _, answer) = world.talking();
    world.caller_sends(&caller_request("INVITE", 2, &answer, &offering("8")));
    world.caller_gets("SIP/2.0 100 ");
    world.caller_gets("SIP/2.0 488 ");
    world.caller_sends(&caller_request("ACK", 2, &answer, ""));
    world.is_quiet();
    world.settles();
}

#[test]
fn a_description_that_other_terms_change_is_another_version() {
    let mut world = World::new();
    let (_, _, answer) = world.talking();
    let version = |message: &str| {
        let origin = body(message).lines().find(|line| line.starts_with("o=")).unwrap();
        origin.split(' ').nth(2).unwrap().to_owned()
    };
    let mut told = vec![];
    for (cseq, ms) in [(2, 0), (3, 0), (4, 30), (5, 30), (6, 40)] {
        world.media_of(100, &[], |terms| terms.ptime = ms);
        world.caller_sends(&caller_request("INVITE", cseq, &answer, &caller_sdp()));
        world.caller_gets("SIP/2.0 100 ");
        let invite = world.vendor_gets(0, "INVITE ");
        told.push(version(&invite));
        world.vendor_says(0, &invite, 200, "v", &vendor_sdp());
        world.vendor_gets(0, "ACK ");
        let answer = world.caller_gets("SIP/2.0 200 ");
        world.caller_sends(&caller_request("ACK", cseq, &answer, ""));
    }
    assert_eq!(told, ["1", "1", "2", "2", "3"]);
    world.settles();
}

/// Both gateways want this of the way that media go.
fn by_way(world: &mut World, caller: MediaProxy, vendor: MediaProxy) {
    world.hiding.shows_media = true;
    for (gateway, proxy) in [(CUSTOMER, caller), (100, vendor)] {
        world.media_of(gateway, &[], |terms| terms.proxy = proxy as u8);
    }
}

const CALLER_MEDIA: &str = "c=IN IP4 198.51.100.7";
const VENDOR_MEDIA: &str = "c=IN IP4 203.0.113.10";

#[test]
fn where_both_want_it_media_go_from_end_to_end_and_who_describes_them_is_not_told() {
    let mut world = World::new();
    by_way(&mut world, MediaProxy::Off, MediaProxy::Auto);
    let (key, invite) = world.call_with_offer(&[0], &caller_sdp());
    assert!(invite.contains(CALLER_MEDIA) && invite.contains("m=audio 4000 "));
    assert!(!body(&invite).contains("o=- 1 1 IN IP4 198"), "{invite}");
    world.vendor_says(0, &invite, 200, "v", &vendor_sdp());
    world.vendor_gets(0, "ACK ");
    world.commit();
    let answer = world.caller_gets("SIP/2.0 200 ");
    assert!(answer.contains(VENDOR_MEDIA) && answer.contains("m=audio 6000 "));
    assert!(body(&answer).contains(" IN IP4 192.0.2.1\r\ns=-"), "{answer}");
    world.caller_sends(&caller_request("ACK", 1, &answer, ""));
    assert_eq!(world.switch.media_ports(world.now).used, 0, "no port is taken");
    // A day of silence means nothing where nothing is heard.
    world.set(|parameters| parameters.rtp_timeout_s = 20);
    world.wait_ms(120_000);
    world.is_quiet();
    world.restart();
    let moved = caller_sdp().replace("4000", "4100");
    world.caller_sends(&caller_request("INVITE", 2, &answer, &moved));
    world.caller_gets("SIP/2.0 100 ");
    let invite = world.vendor_gets(0, "INVITE ");
    assert!(invite.contains(CALLER_MEDIA) && invite.contains("m=audio 4100 "));
    world.vendor_says(0, &invite, 200, "v", &vendor_sdp());
    world.vendor_gets(0, "ACK ");
    let changed = world.caller_gets("SIP/2.0 200 ");
    assert!(changed.contains(VENDOR_MEDIA));
    world.caller_sends(&caller_request("ACK", 2, &answer, ""));
    world.caller_sends(&caller_request("BYE", 3, &answer, ""));
    let record = world.ended(key);
    assert_eq!((record.bypassed, record.from_caller.packets), (1, 0));
}

#[test]
fn media_go_through_us_where_either_wants_it_or_cannot_be_reached_or_may_press_keys() {
    use MediaProxy::{Auto, Must, Off, On};
    let private = sdp("10.0.0.7", 4_000);
    for (caller, vendor, offer, keys) in [
        (Off, On, caller_sdp(), false),
        (Must, Off, caller_sdp(), false),
        (Auto, Off, private.clone(), false),
        (Off, Off, caller_sdp(), true),
    ] {
        let mut world = World::new();
        by_way(&mut world, caller, vendor);
        if keys {
            world.wants(CUSTOMER, |profile| {
                profile.transfer = 1;
                profile.media.proxy = Off as u8;
            });
        }
        let (_, invite) = world.call_with_offer(&[0], &offer);
        assert!(invite.contains("c=IN IP4 203.0.113.1\r\n"), "{caller:?} {vendor:?}");
        world.settles();
    }
    let mut world = World::new();
    by_way(&mut world, Off, Off);
    let (_, invite) = world.call_with_offer(&[0], &private);
    assert!(invite.contains("c=IN IP4 10.0.0.7\r\n"), "off asks nothing of addresses");
    world.settles();
}

#[test]
fn the_next_vendor_settles_the_way_of_the_media_anew() {
    let mut world = World::new();
    by_way(&mut world, MediaProxy::Off, MediaProxy::Off);
    let (key, first) = world.call_with_offer(&[0, 1, 2], &caller_sdp());
    assert!(first.contains(CALLER_MEDIA));
    world.vendor_says(0, &first, 503, "v", "");
    world.vendor_gets(0, "ACK ");
    let second = world.vendor_gets(1, "INVITE ");
    assert!(second.contains("c=IN IP4 203.0.113.1\r\n"));
    world.media_of(102, &[], |terms| terms.proxy = MediaProxy::Off as u8);
    world.vendor_says(1, &second, 503, "w", "");
    world.vendor_gets(1, "ACK ");
    let third = world.vendor_gets(2, "INVITE ");
    assert!(third.contains(CALLER_MEDIA));
    world.vendor_says(2, &third, 486, "x", "");
    world.caller_gets("SIP/2.0 486 ");
    assert_eq!(world.ended(key).bypassed, 1);
    world.ignore_messages();
    world.settles();
}

#[test]
fn a_call_that_turns_to_fax_carries_what_is_no_rtp_from_the_proven_ends_alone() {
    let mut world = World::new();
    let (key, _, answer) = world.talking();
    let fax = |address: &str, port: u16| {
        sdp(address, port)
            .replace("m=audio", "m=image")
            .replace("RTP/AVP 0 8 101", "udptl t38")
            .replace("a=rtpmap:101 telephone-event/8000", "a=T38FaxVersion:0")
    };
    world.caller_sends(&caller_request("INVITE", 2, &answer, &fax("198.51.100.7", 4_200)));
    world.caller_gets("SIP/2.0 100 ");
    let invite = world.vendor_gets(0, "INVITE ");
    assert!(invite.contains(" udptl t38\r\na=T38FaxVersion:0\r\n"));
    let media_port = |message: &str| port_of_line(message, "m=image ");
    let towards_vendor = media_port(&invite);
    assert!(!towards_vendor.is_none());
    world.vendor_says(0, &invite, 200, "v", &fax("203.0.113.10", 6_200));
    world.vendor_gets(0, "ACK ");
    let changed = world.caller_gets("SIP/2.0 200 ");
    world.caller_sends(&caller_request("ACK", 2, &answer, ""));
    let towards_caller = media_port(&changed);
    let mut sent = |port, from: &str, payload: &[u8]| {
        let from = from.parse().unwrap();
        match world.switch.forward(world.now, port, from, payload) {
            relay::Verdict::Send { to, .. } => Ok(to.to_string()),
            relay::Verdict::Drop(why) => Err(why),
            _ => unreachable!("nothing of it is changed"),
        }
    };
    let udptl = [0, 1, 3, 6, 0, 0];
    let rtp = [&[0x80, 8, 0, 1][..], &[0; 168]].concat();
    // Sound that was on its way names nobody.
    let late = sent(towards_caller, "198.51.100.7:4000", &rtp);
    assert_eq!(late, Err(relay::DropReason::NotFax));
    let heard = sent(towards_caller, "198.51.100.7:4200", &udptl);
    assert_eq!(heard.as_deref(), Ok("203.0.113.10:6200"));
    let heard = sent(towards_vendor, "203.0.113.10:6200", &udptl);
    assert_eq!(heard.as_deref(), Ok("198.51.100.7:4200"));
    assert_eq!(sent(towards_vendor, "203.0.113.9:6200", &udptl), Err(relay::DropReason::Stranger));
    for payload in [&[][..], &[0; 1_473]] {
        let refused = sent(towards_vendor, "203.0.113.10:6200", payload);
        assert_eq!(refused, Err(relay::DropReason::NotFax));
    }
    let leg = &world.switch.calls[0].legs[0];
    assert_eq!(world.switch.media.figures(&leg.media).packets, 1);
    world.restart();
    assert!(world.switch.media.snapshot(towards_caller).fax);
    world.caller_sends(&caller_request("BYE", 3, &answer, ""));
    world.ended_by(key, EndedBy::Caller, EndReason::Normal);
}

#[test]
fn a_gateway_without_fax_refuses_it_and_the_sound_goes_on() {
    let mut world = World::new();
    world.media_of(100, &[], |terms| terms.t38_refused = 1);
    let both = caller_sdp() + "m=image 4002 udptl t38\r\n";
    let (_, invite) = world.call_with_offer(&[0, 1], &both);
    assert!(invite.contains("m=image 0 udptl t38\r\n"));
    world.vendor_says(0, &invite, 503, "v", "");
    world.vendor_gets(0, "ACK ");
    let invite = world.vendor_gets(1, "INVITE ");
    assert!(invite.contains("m=image 1"));
    world.settles();
}

#[test]
fn a_gateway_says_which_address_its_media_come_from() {
    let described = "10.0.0.7:4000";
    for (wanted, remote) in [
        (MediaAddress::Auto, None),
        (MediaAddress::Observed, None),
        (MediaAddress::Described, Some(described.parse().unwrap())),
    ] {
        let mut world = World::new();
        world.media_of(CUSTOMER, &[], |terms| terms.address = wanted as u8);
        world.call_with_offer(&[0], &sdp("10.0.0.7", 4_000));
        let port = world.switch.calls[0].legs[0].media.ports[0];
        assert_eq!(world.switch.media.snapshot(port).remote, remote, "{wanted:?}");
        let rtp = [&[0x80, 8, 0, 1][..], &[0; 168]].concat();
        let (now, natted) = (world.now, "198.51.100.7:4999".parse().unwrap());
        let verdict = world.switch.forward(now, port, natted, &rtp);
        let is_stranger = verdict == relay::Verdict::Drop(relay::DropReason::Stranger);
        assert_eq!(is_stranger, wanted == MediaAddress::Described, "{wanted:?}");
        world.settles();
    }
}

/// 20 ms of key 5 in the µ-law, as the vendor sends it.
fn tone(sequence: u8) -> Vec<u8> {
    let mut packet = vec![0x80, 0, 0, sequence, 0, 0, 0, 0, 9, 9, 9, 9];
    packet.extend((0..160).map(|at| {
        let turn = core::f32::consts::TAU * (f32::from(sequence) * 160.0 + at as f32) / 8_000.0;
        let level = ((turn * 770.0).sin() + (turn * 1_336.0).sin()) * 0.2;
        // Eight segments of sixteen steps (ITU-T G.711, table 2a).
        let sign = if level < 0.0 { 0x80 } else { 0 };
        let level = (level.abs() * 32_635.0) as u16 + 0x84;
        let segment = level.ilog2().saturating_sub(7);
        !(sign | (segment << 4) as u8 | (level >> (segment + 3) & 0x0f) as u8)
    }));
    packet
}

#[test]
fn keys_are_heard_in_the_tones_of_a_gateway_that_describes_no_events() {
    let plain = vendor_sdp().replace(" 101\r\na=rtpmap:101 telephone-event/8000", "");
    for (inband, answer, keys) in [(1, plain.clone(), "5"), (0, plain, ""), (1, vendor_sdp(), "")] {
        let mut world = World::new();
        world.media_of(100, &[], |terms| terms.inband = inband);
        let (_, invite) = world.call_with_offer(&[0], &caller_sdp());
        world.vendor_says(0, &invite, 200, "v", &answer);
        world.vendor_gets(0, "ACK ");
        world.commit();
        let answer = world.caller_gets("SIP/2.0 200 ");
        world.caller_sends(&caller_request("ACK", 1, &answer, ""));
        for restarted in [false, true] {
            if restarted {
                world.restart();
            }
            let (port, source) = (media_port(&invite), "203.0.113.10:6000".parse().unwrap());
            let mut heard = String::new();
            for sequence in 0..5 {
                let packet = tone(sequence + 10 * u8::from(restarted));
                let _ = world.switch.media().forward(world.now, port, source, &packet);
                while let Some(pressed) = world.switch.media().poll_key() {
                    heard.push(char::from(pressed.key));
                }
            }
            assert_eq!(heard, keys, "{inband}, after a restart: {restarted}");
        }
    }
}

#[test]
fn without_a_rested_port_a_new_call_is_told_when_to_come_again() {
    let mut world = World::new();
    let media_ports = (10_000, 10_001);
    world.switch = Switch::new(Setup { media_ports, ..setup(limits()) });
    world.switch.set_control_alive(true);
    let (_, _, answer) = world.talking();
    let ports = world.switch.media_ports(world.now);
    assert_eq!(ports, PortCount { used: 2, resting: 0, free: 1 });
    let refused = |world: &mut World, number: u32| {
        world.caller_sends(&invite(number, &caller_sdp()));
        let refusal = world.caller_gets("SIP/2.0 503 ");
        assert_eq!(header(&refusal, "Retry-After"), "5");
    };
    refused(&mut world, 2);
    world.caller_sends(&caller_request("BYE", 2, &answer, ""));
    world.ignore_messages();
    let resting = PortCount { used: 0, resting: 2, free: 1 };
    assert_eq!(world.switch.media_ports(world.now), resting);
    world.wait_ms(4_000);
    refused(&mut world, 3);
    assert_eq!(world.count(Counter::RefusedPortsFull), 2);
    world.wait_ms(2_000);
    world.ignore_messages();
    world.asks.clear();
    world.caller_sends(&invite(4, &caller_sdp()));
    world.caller_gets("SIP/2.0 100 ");
    assert_eq!(world.asks.len(), 1);
    let free = PortCount { used: 0, resting: 0, free: 3 };
    assert_eq!(world.switch.media_ports(world.now), free);
    // Nobody waits who wants none.
    world.set(|parameters| parameters.media_port_rest_s = 0);
    world.asks.clear();
    world.settles();
}

const SHARES_NONE: &str = "8 101";

/// A caller of A-law alone, and a vendor of these, who is told of what can be made.
fn transcoded(vendor: &[Codec], answer: &str) -> (World, CallKey, String) {
    let mut world = World::new();
    world.media_of(100, vendor, |media| media.transcode = 1);
    let (key, offer) = world.call_with_offer(&[0], &offering(SHARES_NONE));
    world.vendor_says(0, &offer, 200, "v", &answering(answer));
    world.vendor_gets(0, "ACK ");
    world.commit();
    (world, key, offer)
}

fn speech(codec: relay::Codec) -> relay::Speaker {
    let payload_type = codec.payload_type();
    relay::Speaker { codec, payload_type, events: Some(101), noise: None }
}

#[test]
fn who_shares_no_codec_is_offered_what_we_make_and_answered_with_what_was_offered() {
    let (mut world, _, offer) = transcoded(&[Codec::G729, Codec::Pcmu], "18 101");
    assert_eq!(formats(&offer), "101 18 0");
    assert!(offer.contains("a=fmtp:18 annexb=no"), "{offer}");
    let answer = world.caller_gets("SIP/2.0 200 ");
    assert_eq!(formats(&answer), "8 101");
    let (alaw, g729) = (speech(relay::Codec::Pcma), speech(relay::Codec::G729));
    let media = world.switch.media();
    let made = [CALLER_PORT, VENDOR_PORT].map(|port| media.transcoding(port));
    let settings = |from, to| Some(relay::Transcoding { from, to, packet_ms: 20 });
    assert_eq!(made, [settings(alaw, g729), settings(g729, alaw)]);
    assert_eq!(world.count(Counter::CallsTranscoded), 1);
}

#[test]
fn g7231_is_offered_without_silence_and_heard_in_whole_frames() {
    let (mut world, _, offer) = transcoded(&[Codec::G723], "4 101");
    assert_eq!(formats(&offer), "101 4");
    assert!(offer.contains("a=rtpmap:4 G723/8000"), "{offer}");
    assert!(offer.contains("a=fmtp:4 annexa=no"), "{offer}");
    let (alaw, g723) = (speech(relay::Codec::Pcma), speech(relay::Codec::G723));
    let media = world.switch.media();
    let made = [CALLER_PORT, VENDOR_PORT].map(|port| media.transcoding(port));
    let settings = |from, to, packet_ms| Some(relay::Transcoding { from, to, packet_ms });
    assert_eq!(made, [settings(alaw, g723, 30), settings(g723, alaw, 20)]);
}

#[test]
fn who_speaks_g7231_is_told_of_packets_that_hold_its_frames() {
    for (answered, told) in [("20", "a=ptime:30"), ("40", "a=ptime:60"), ("60", "a=ptime:60")] {
        let mut world = World::new();
        world.media_of(100, &[Codec::Pcma], |media| media.transcode = 1);
        let (_, offer) = world.call_with_offer(&[0], &offering("4 101"));
        let answer = format!("{}a=ptime:{answered}\r\n", answering("8 101"));
        world.vendor_says(0, &offer, 200, "v", &answer);
        world.commit();
        let answer = world.caller_gets("SIP/2.0 200 ");
        assert_eq!(formats(&answer), "4 101");
        assert!(answer.contains(told), "{answer}");
    }
}

#[test]
fn who_answers_with_what_was_offered_is_left_alone() {
    let (mut world, _, offer) = transcoded(&[], "8 0 101");
    assert_eq!(formats(&offer), "8 101 0 9 18 4");
    let answer = world.caller_gets("SIP/2.0 200 ");
    assert_eq!(formats(&answer), "8 101", "of what we added nothing is told");
    assert_eq!(world.switch.media().transcoding(CALLER_PORT), None);
    assert_eq!(world.count(Counter::CallsTranscoded), 0);
}

/// Other calls have all transcoders but one direction: two calls are all.
fn take_transcoders(world: &mut World) {
    for port in [10_090, 10_092, 10_094].map(|number| Port::new(0, number)) {
        let owner = relay::Owner(1);
        let opening = relay::Opening { peer: port, owner, towards_caller: true };
        let (from, to) = (speech(relay::Codec::Pcma), speech(relay::Codec::Pcmu));
        let settings = relay::Transcoding { from, to, packet_ms: 20 };
        let start = relay::Start { ssrc: 1, sequence: 1, timestamp: 1 };
        let media = world.switch.media();
        assert!(media.open(Duration::ZERO, port, &opening));
        assert!(media.set_transcoding(port, Some(settings), start));
    }
}

#[test]
fn of_two_that_were_offered_the_last_transcoder_the_later_goes_to_a_vendor_that_needs_none() {
    for has_next in [true, false] {
        let mut world = World::new();
        world.media_of(100, &[Codec::Pcmu], |media| media.transcode = 1);
        let vendors: &[usize] = if has_next { &[0, 1] } else { &[0] };
        let (call, offer) = world.call_with_offer(vendors, &offering(SHARES_NONE));
        assert_eq!(formats(&offer), "101 0");
        take_transcoders(&mut world);
        world.vendor_says(0, &offer, 200, "v", &answering("0 101"));
        world.vendor_gets(0, "ACK ");
        let bye = world.vendor_gets(0, "BYE ");
        world.vendor_says(0, &bye, 200, "v", "");
        assert_eq!(world.count(Counter::TranscodersFull), 1);
        if !has_next {
            world.caller_gets("SIP/2.0 488 ");
            world.ended_by(call, EndedBy::Server, EndReason::NoCodec);
            continue;
        }
        let second = world.vendor_gets(1, "INVITE ");
        assert_eq!(formats(&second), SHARES_NONE, "nothing is added where nothing can be made");
        world.vendor_says(1, &second, 200, "w", &answering(SHARES_NONE));
        world.vendor_gets(1, "ACK ");
        world.commit();
        let answer = world.caller_gets("SIP/2.0 200 ");
        assert_eq!(formats(&answer), SHARES_NONE);
        assert_eq!(world.count(Counter::CallsTranscoded), 0);
    }
}

#[test]
fn where_all_transcoders_are_taken_nothing_is_added_to_an_offer() {
    let mut world = World::new();
    world.media_of(100, &[Codec::Pcmu], |media| media.transcode = 1);
    take_transcoders(&mut world);
    world.caller_sends(&invite(1, &offering(SHARES_NONE)));
    world.caller_gets("SIP/2.0 100 ");
    let call = world.admit().call;
    world.route(call, &[0]);
    world.caller_gets("SIP/2.0 488 ");
    world.ended_by(call, EndedBy::Server, EndReason::NoCodec);
    assert_eq!(world.count(Counter::TranscodersFull), 1);
}

#[test]
fn what_is_offered_in_the_answer_to_an_empty_re_invite_is_an_offer() {
    let mut world = World::new();
    world.media_of(3, &[Codec::Pcma, Codec::Pcmu], |_| {});
    let (_, invite, answer) = world.talking();
    assert_eq!(formats(&invite), "8 0 101");
    world.caller_sends(&caller_request("INVITE", 2, &answer, ""));
    world.caller_gets("SIP/2.0 100 ");
    let inner = world.vendor_gets(0, "INVITE ");
    assert_eq!(body(&inner), "");
    world.vendor_says(0, &inner, 200, "", &vendor_sdp());
    let offered = world.caller_gets("SIP/2.0 200 ");
    assert_eq!(formats(&offered), "8 0 101", "an offer comes in the order of who reads it");
    world.caller_sends(&caller_request("ACK", 2, &answer, &caller_sdp()));
    let ack = world.vendor_gets(0, "ACK ");
    assert_eq!(formats(&ack), "0 8 101", "an answer as it came");
    world.caller_sends(&caller_request("BYE", 3, &answer, ""));
    world.ignore_messages();
    world.settles();
}
