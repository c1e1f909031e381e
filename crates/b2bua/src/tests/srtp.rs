//! Legs with keys of their own: what each gateway is offered, what it may say, what is heard, and what a restart
//! knows.

mod handed;
mod phones;

use ::srtp::{Master, OVERHEAD_MAX, Receiver, Sender, Suite};
use link::profile::Srtp;
use relay::{DropReason, Verdict};

use super::*;

/// The customer's gateway, as the routes of the tests name it; vendors begin at 100.
const CUSTOMER: u32 = 3;
const CALLER_MEDIA: &str = "198.51.100.7:4000";
const VENDOR_MEDIA: &str = "203.0.113.10:6000";

const AES_80: &str = "AES_CM_128_HMAC_SHA1_80";
const GCM: &str = "AEAD_AES_128_GCM";

impl World {
    fn keys_of(&mut self, gateway: u32, wanted: Srtp) {
        self.wants(gateway, |profile| profile.media.srtp = wanted as u8);
    }
}

/// Base64 without padding.
fn text_of(key: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let bits: Vec<u8> =
        key.iter().flat_map(|byte| (0..8).rev().map(move |at| byte >> at & 1)).collect();
    let letters = bits.chunks(6).map(|six| {
        let value = six.iter().fold(0, |all, bit| all << 1 | bit) << (6 - six.len());
        char::from(LETTERS[usize::from(value)])
    });
    letters.collect()
}

/// A key of a peer, by a seed.
fn key(suite: &str, seed: u8) -> Master {
    let suite = Suite::from_name(suite.as_bytes()).unwrap();
    Master::new(suite, &vec![seed; suite.master_bytes()]).unwrap()
}

fn line(tag: u32, suite: &str, seed: u8) -> String {
    format!("a=crypto:{tag} {suite} inline:{}\r\n", text_of(key(suite, seed).expose()))
}

fn caller_offers(proto: &str, lines: &str) -> String {
    format!("{}{lines}", caller_sdp().replace("RTP/AVP", proto))
}

fn vendor_answers(proto: &str, lines: &str) -> String {
    format!("{}{lines}", vendor_sdp().replace("RTP/AVP", proto))
}

fn proto(message: &str) -> &str {
    let line = body(message).lines().find(|line| line.starts_with("m=audio")).unwrap();
    line.split(' ').nth(2).unwrap()
}

/// Tags, suites and keys that a message of ours tells.
fn told(message: &str) -> Vec<(u32, String, Master)> {
    let sdp = sip::Sdp::parse(body(message).as_bytes()).unwrap();
    let lines = sdp.media()[0].cryptos().map(|crypto| {
        let suite = Suite::from_name(crypto.suite).unwrap();
        (crypto.tag, suite.name().to_owned(), Master::new(suite, crypto.key()).unwrap())
    });
    lines.collect()
}

fn rtp(sequence: u16, ssrc: u8) -> Vec<u8> {
    let mut packet = vec![0x80, 8];
    packet.extend(sequence.to_be_bytes());
    packet.extend([0, 0, 0, 160, 0, 0, 0, ssrc]);
    packet.extend([0xd5; 160]);
    packet
}

/// A peer with its keys, or without.
struct Far {
    port: Port,
    address: &'static str,
    sends: Option<Sender>,
    hears: Option<Receiver>,
    sequence: u32,
}

impl Far {
    fn new(port: Port, address: &'static str, keys: Option<(Master, Master)>) -> Self {
        let (sends, hears) = match keys {
            Some((own, ours)) => (Some(Sender::new(&own)), Some(Receiver::new(&ours))),
            None => (None, None),
        };
        Self { port, address, sends, hears, sequence: 1 }
    }

    /// Nobody else's: ports of two addresses may have one number.
    fn ssrc(&self) -> u8 {
        self.address.bytes().fold(0, |all: u8, byte| all.wrapping_mul(31).wrapping_add(byte))
    }

    fn packet(&mut self) -> (Vec<u8>, Vec<u8>) {
        let clear = rtp(self.sequence as u16, self.ssrc());
        self.sequence += 1;
        let sealed = self.sealed(&clear);
        (clear, sealed)
    }

    /// A packet as it leaves.
    fn sealed(&mut self, clear: &[u8]) -> Vec<u8> {
        let Some(sender) = &mut self.sends else { return clear.to_vec() };
        let mut room = [clear, &[0; OVERHEAD_MAX]].concat();
        let length = sender.protect_rtp(&mut room, clear.len()).unwrap();
        room.truncate(length);
        room
    }
}

impl World {
    /// One packet from one peer to the other; why it was dropped, if it was.
    fn says(&mut self, from: &mut Far, to: &mut Far) -> Result<(), DropReason> {
        let (clear, sent) = from.packet();
        let source = from.address.parse().unwrap();
        let mut got = sent;
        let mut verdict = self.switch.forward(self.now, from.port, source, &got);
        let changed =
            |world: &mut Self| world.switch.media().changed_packets().next().unwrap().to_vec();
        loop {
            let (whither, from) = match verdict {
                Verdict::Send { to: whither, .. } => (whither, None),
                Verdict::Changed { to: whither, .. } => {
                    got = changed(self);
                    (whither, None)
                }
                Verdict::Inside { from, to: whither, .. } => (whither, Some(from)),
                Verdict::ChangedInside { from, to: whither, .. } => {
                    got = changed(self);
                    (whither, Some(from))
                }
                Verdict::Drop(why) => return Err(why),
            };
            let Some(from) = from else {
                assert_eq!(whither, to.address.parse().unwrap());
                break;
            };
            let media = self.switch.media();
            let port = media.port_of(whither);
            verdict = media.forward_inside(self.now, port, from, &got);
        }
        if let Some(receiver) = &mut to.hears {
            let length = receiver.unprotect_rtp(&mut got).expect("under the key that was told");
            got.truncate(length);
        }
        assert_eq!(got, clear);
        Ok(())
    }

    fn talk(&mut self, one: &mut Far, other: &mut Far) {
        for _ in 0..20 {
            assert_eq!(self.says(one, other), Ok(()));
            assert_eq!(self.says(other, one), Ok(()));
        }
    }

    /// A call that talks by these descriptions; the INVITE to the vendor and the answer to the caller.
    fn talks(&mut self, offer: &str, answer: &str) -> (CallKey, String, String) {
        let (key, invite) = self.call_with_offer(&[0], offer);
        self.vendor_says(0, &invite, 200, "v", answer);
        self.vendor_gets(0, "ACK ");
        self.commit();
        let answer = self.caller_gets("SIP/2.0 200 ");
        self.caller_sends(&caller_request("ACK", 1, &answer, ""));
        self.is_quiet();
        (key, invite, answer)
    }
}

#[test]
fn a_caller_with_keys_talks_to_a_vendor_without() {
    let mut world = World::new();
    world.keys_of(CUSTOMER, Srtp::Optional);
    let offer = caller_offers("RTP/SAVP", &[line(3, GCM, 1), line(7, AES_80, 2)].concat());
    let (_, invite, answer) = world.talks(&offer, &vendor_sdp());
    assert_eq!((proto(&invite), told(&invite).len()), ("RTP/AVP", 0));
    let [(tag, suite, ours)] = &told(&answer)[..] else { panic!("{answer}") };
    assert_eq!((proto(&answer), *tag, &suite[..]), ("RTP/SAVP", 3, GCM));
    let mut caller = Far::new(media_port(&answer), CALLER_MEDIA, Some((key(GCM, 1), *ours)));
    let mut vendor = Far::new(media_port(&invite), VENDOR_MEDIA, None);
    world.talk(&mut caller, &mut vendor);
    caller.sends = Some(Sender::new(&key(GCM, 9)));
    assert_eq!(world.says(&mut caller, &mut vendor), Err(DropReason::Unauthentic));
    caller.sends = None;
    assert_eq!(world.says(&mut caller, &mut vendor), Err(DropReason::Unauthentic));
    world.caller_sends(&caller_request("BYE", 2, &answer, ""));
    world.settles();
}

#[test]
fn a_vendor_that_must_have_keys_is_offered_both_suites_and_a_caller_without_hears_it() {
    for suite in [AES_80, GCM] {
        let mut world = World::new();
        world.keys_of(100, Srtp::Required);
        let (_, invite) = world.call_with_offer(&[0], &caller_sdp());
        let offered = told(&invite);
        assert_eq!(proto(&invite), "RTP/SAVP");
        assert_eq!([&offered[0].1, &offered[1].1], [AES_80, GCM]);
        assert_eq!([offered[0].0, offered[1].0], [1, 2]);
        let (tag, _, ours) = offered.iter().find(|offered| offered.1 == suite).unwrap();
        let answer = vendor_answers("RTP/SAVP", &line(*tag, suite, 5));
        world.vendor_says(0, &invite, 200, "v", &answer);
        world.vendor_gets(0, "ACK ");
        world.commit();
        let answer = world.caller_gets("SIP/2.0 200 ");
        assert_eq!((proto(&answer), told(&answer).len()), ("RTP/AVP", 0));
        world.caller_sends(&caller_request("ACK", 1, &answer, ""));
        let mut caller = Far::new(media_port(&answer), CALLER_MEDIA, None);
        let mut vendor = Far::new(media_port(&invite), VENDOR_MEDIA, Some((key(suite, 5), *ours)));
        world.talk(&mut caller, &mut vendor);
        world.caller_sends(&caller_request("BYE", 2, &answer, ""));
        world.settles();
    }
}

#[test]
fn each_leg_has_keys_of_its_own_and_neither_hears_of_the_others() {
    let mut world = World::new();
    world.keys_of(CUSTOMER, Srtp::Required);
    world.keys_of(100, Srtp::Required);
    let offer = caller_offers("RTP/SAVP", &line(1, AES_80, 1));
    let (_, invite, answer) = world.talks(&offer, &vendor_answers("RTP/SAVP", &line(2, GCM, 2)));
    let (offered, answered) = (told(&invite), told(&answer));
    assert!(!invite.contains(&text_of(key(AES_80, 1).expose())));
    assert!(!answer.contains(&text_of(key(GCM, 2).expose())));
    assert!(offered.iter().all(|offered| offered.2 != answered[0].2));
    let mut caller =
        Far::new(media_port(&answer), CALLER_MEDIA, Some((key(AES_80, 1), answered[0].2)));
    let mut vendor = Far::new(media_port(&invite), VENDOR_MEDIA, Some((key(GCM, 2), offered[1].2)));
    world.talk(&mut caller, &mut vendor);
    world.caller_sends(&caller_request("BYE", 2, &answer, ""));
    world.settles();
}

#[test]
fn who_may_have_keys_is_offered_them_beside_clear_and_answers_as_it_likes() {
    for has_keys in [false, true] {
        let mut world = World::new();
        world.keys_of(CUSTOMER, Srtp::Optional);
        world.keys_of(100, Srtp::Optional);
        let lines = if has_keys { line(1, AES_80, 4) } else { String::new() };
        let offer = caller_offers("RTP/AVP", &lines);
        let (_, invite, answer) = world.talks(&offer, &vendor_answers("RTP/AVP", &lines));
        assert_eq!((proto(&invite), told(&invite).len()), ("RTP/AVP", 2));
        assert_eq!((proto(&answer), told(&answer).len()), ("RTP/AVP", usize::from(has_keys)));
        let keys = |message: &str| has_keys.then(|| (key(AES_80, 4), told(message)[0].2));
        let mut caller = Far::new(media_port(&answer), CALLER_MEDIA, keys(&answer));
        let mut vendor = Far::new(media_port(&invite), VENDOR_MEDIA, keys(&invite));
        world.talk(&mut caller, &mut vendor);
        world.caller_sends(&caller_request("BYE", 2, &answer, ""));
        world.settles();
    }
}

#[test]
fn an_offer_that_is_not_as_the_gateway_wants_it_is_refused() {
    let good = line(1, AES_80, 1);
    let marked = good.replace("\r\n", "|2^20|1:4\r\n");
    for (wanted, offer) in [
        (Srtp::Required, caller_sdp()),
        (Srtp::Required, caller_offers("RTP/SAVP", "")),
        (Srtp::Required, caller_offers("RTP/SAVP", &marked)),
        (Srtp::Optional, caller_offers("RTP/SAVP", "")),
        (Srtp::Optional, caller_offers("UDP/TLS/RTP/SAVPF", "a=setup:actpass\r\n")),
        (Srtp::Off, caller_offers("RTP/SAVP", &good)),
    ] {
        let mut world = World::new();
        world.keys_of(CUSTOMER, wanted);
        world.caller_sends(&invite(1, &offer));
        world.caller_gets("SIP/2.0 100 ");
        let call = world.admit().call;
        world.route(call, &[0, 1]);
        world.caller_gets("SIP/2.0 488 ");
        world.ended_by(call, EndedBy::Server, EndReason::Srtp);
        assert_eq!(world.count(Counter::RefusedUnsecured), 1);
        world.is_quiet();
        world.settles();
    }
}

#[test]
fn a_vendor_that_answers_in_clear_where_it_must_not_is_passed_over() {
    let mut world = World::new();
    world.keys_of(100, Srtp::Required);
    let (key, first) = world.call_with_offer(&[0, 1], &caller_sdp());
    // Its early media would be in clear, too.
    world.vendor_says(0, &first, 183, "v", &vendor_answers("RTP/SAVP", ""));
    world.caller_gets("SIP/2.0 183 ");
    world.vendor_says(0, &first, 200, "v", &vendor_sdp());
    world.vendor_gets(0, "ACK ");
    let bye = world.vendor_gets(0, "BYE ");
    world.vendor_says(0, &bye, 200, "v", "");
    let second = world.vendor_gets(1, "INVITE ");
    assert_eq!((proto(&second), told(&second).len()), ("RTP/AVP", 0));
    let foreign = vendor_answers("RTP/SAVP", &line(1, AES_80, 3));
    world.vendor_says(1, &second, 200, "w", &foreign);
    world.vendor_gets(1, "ACK ");
    let bye = world.vendor_gets(1, "BYE ");
    world.vendor_says(1, &bye, 200, "w", "");
    world.caller_gets("SIP/2.0 488 ");
    let record = world.ended_by(key, EndedBy::Server, EndReason::Srtp);
    assert!(record.attempts().iter().all(|attempt| attempt.reason == EndReason::Srtp as u8));
    assert_eq!(record.attempts()[0].status, 200);
    world.settles();
}

#[test]
fn hold_keeps_the_count_of_a_key_and_a_new_key_begins_its_own() {
    let mut world = World::new();
    world.keys_of(CUSTOMER, Srtp::Required);
    let offer = caller_offers("RTP/SAVP", &line(1, AES_80, 1));
    let (_, invite, answer) = world.talks(&offer, &vendor_sdp());
    let ours = told(&answer)[0].2;
    let mut caller = Far::new(media_port(&answer), CALLER_MEDIA, Some((key(AES_80, 1), ours)));
    let mut vendor = Far::new(media_port(&invite), VENDOR_MEDIA, None);
    (caller.sequence, vendor.sequence) = (65_000, 65_000);
    for _ in 0..1_000 {
        assert_eq!(world.says(&mut caller, &mut vendor), Ok(()));
        assert_eq!(world.says(&mut vendor, &mut caller), Ok(()));
    }
    let mut cseq = 2;
    let mut asks = |world: &mut World, offer: &str| {
        world.caller_sends(&caller_request("INVITE", cseq, &answer, offer));
        world.caller_gets("SIP/2.0 100 ");
        let inner = world.vendor_gets(0, "INVITE ");
        world.vendor_says(0, &inner, 200, "", &vendor_sdp());
        world.vendor_gets(0, "ACK ");
        let accepted = world.caller_gets("SIP/2.0 200 ");
        world.caller_sends(&caller_request("ACK", cseq, &answer, ""));
        cseq += 1;
        accepted
    };
    for direction in ["a=sendonly\r\n", "a=sendrecv\r\n"] {
        let accepted = asks(&mut world, &format!("{offer}{direction}"));
        assert_eq!(told(&accepted)[0].2, ours);
        world.talk(&mut caller, &mut vendor);
    }
    let renewed = offer.replace(&line(1, AES_80, 1), &line(9, AES_80, 8));
    let accepted = asks(&mut world, &renewed);
    assert_eq!((told(&accepted)[0].0, told(&accepted)[0].2), (9, ours));
    assert_eq!(world.says(&mut caller, &mut vendor), Err(DropReason::Unauthentic));
    caller.sends = Some(Sender::new(&key(AES_80, 8)));
    world.talk(&mut caller, &mut vendor);
    // Another suite, and back again: no key of ours is used twice from its beginning.
    let mut seen = vec![ours];
    for (suite, seed) in [(GCM, 2), (AES_80, 3), (GCM, 4)] {
        let accepted = asks(&mut world, &caller_offers("RTP/SAVP", &line(1, suite, seed)));
        let ours = told(&accepted)[0].2;
        assert!(!seen.contains(&ours), "{suite} {seed}");
        seen.push(ours);
        let keys = Some((key(suite, seed), ours));
        caller = Far::new(media_port(&answer), CALLER_MEDIA, keys);
        world.talk(&mut caller, &mut vendor);
    }
    // Clear is refused, and what was agreed goes on.
    world.caller_sends(&caller_request("INVITE", cseq, &answer, &caller_sdp()));
    world.caller_gets("SIP/2.0 100 ");
    world.caller_gets("SIP/2.0 488 ");
    world.caller_sends(&caller_request("ACK", cseq, &answer, ""));
    world.talk(&mut caller, &mut vendor);
    world.caller_sends(&caller_request("BYE", cseq + 1, &answer, ""));
    world.settles();
}

#[test]
fn the_key_of_the_fork_that_answers_is_the_one_that_counts() {
    let mut world = World::new();
    world.keys_of(100, Srtp::Required);
    let (_, invite) = world.call_with_offer(&[0], &caller_sdp());
    let ours = told(&invite)[0].2;
    let early = vendor_answers("RTP/SAVP", &line(1, AES_80, 5));
    world.vendor_says(0, &invite, 183, "one", &early);
    world.caller_gets("SIP/2.0 183 ");
    let answer = vendor_answers("RTP/SAVP", &line(1, AES_80, 6));
    world.vendor_says(0, &invite, 200, "two", &answer);
    world.vendor_gets(0, "ACK ");
    world.commit();
    let answer = world.caller_gets("SIP/2.0 200 ");
    world.caller_sends(&caller_request("ACK", 1, &answer, ""));
    let mut caller = Far::new(media_port(&answer), CALLER_MEDIA, None);
    let mut vendor = Far::new(media_port(&invite), VENDOR_MEDIA, Some((key(AES_80, 6), ours)));
    world.talk(&mut caller, &mut vendor);
    vendor.sends = Some(Sender::new(&key(AES_80, 5)));
    assert_eq!(world.says(&mut vendor, &mut caller), Err(DropReason::Unauthentic));
    world.caller_sends(&caller_request("BYE", 2, &answer, ""));
    world.settles();
}

#[test]
fn a_call_is_heard_through_roll_overs_and_kills() {
    let mut world = World::new();
    world.keys_of(CUSTOMER, Srtp::Required);
    let offer = caller_offers("RTP/SAVP", &line(1, AES_80, 1));
    let (_, invite, answer) = world.talks(&offer, &vendor_sdp());
    let ours = told(&answer)[0].2;
    let mut caller = Far::new(media_port(&answer), CALLER_MEDIA, Some((key(AES_80, 1), ours)));
    let mut vendor = Far::new(media_port(&invite), VENDOR_MEDIA, None);
    caller.sequence = 40_000;
    for count in 0..150_000 {
        assert_eq!(world.says(&mut caller, &mut vendor), Ok(()), "{count}");
        assert_eq!(world.says(&mut vendor, &mut caller), Ok(()), "{count}");
        if count % 1_000 == 0 {
            world.switch.heed_turns();
            world.wait_ms(20_000);
        }
        if count % 40_000 == 39_000 {
            world.restart();
            world.keys_of(CUSTOMER, Srtp::Required);
        }
    }
    world.caller_sends(&caller_request("BYE", 2, &answer, ""));
    world.settles();
}

#[test]
fn more_turns_than_there_is_room_for_wait_for_the_next_step() {
    let mut world = World::new();
    world.keys_of(CUSTOMER, Srtp::Required);
    let offer = caller_offers("RTP/SAVP", &line(1, AES_80, 1));
    let (_, invite, answer) = world.talks(&offer, &vendor_sdp());
    let ours = told(&answer)[0].2;
    let mut caller = Far::new(media_port(&answer), CALLER_MEDIA, Some((key(AES_80, 1), ours)));
    let mut vendor = Far::new(media_port(&invite), VENDOR_MEDIA, None);
    for count in 0..200 {
        caller.sequence += 20_000;
        assert_eq!(world.says(&mut caller, &mut vendor), Ok(()), "{count}");
        world.switch.heed_turns();
    }
    for left in [true, true, false] {
        let saves = std::iter::from_fn(|| world.switch.poll_action()).count();
        assert_eq!(saves > 0, left);
        assert!(saves <= 32, "{saves}");
        world.switch.heed_turns();
    }
    world.caller_sends(&caller_request("BYE", 2, &answer, ""));
    world.settles();
}

#[test]
fn a_vendor_that_offers_other_suites_inside_a_call_is_heard_by_the_key_that_it_is_told() {
    const AES_32: &str = "AES_CM_128_HMAC_SHA1_32";
    for suites in [&[GCM, AES_80][..], &[AES_80], &[AES_32], &["AEAD_AES_256_GCM", GCM]] {
        let mut world = World::new();
        world.keys_of(100, Srtp::Required);
        let (_, invite) = world.call_with_offer(&[0], &caller_sdp());
        world.vendor_says(0, &invite, 200, "v", &vendor_answers("RTP/SAVP", &line(1, AES_80, 5)));
        let contact = world.vendor_gets(0, "ACK ");
        world.commit();
        let answer = world.caller_gets("SIP/2.0 200 ");
        world.caller_sends(&caller_request("ACK", 1, &answer, ""));
        let mut caller = Far::new(media_port(&answer), CALLER_MEDIA, None);
        let ours = told(&invite)[0].2;
        let mut vendor = Far::new(media_port(&invite), VENDOR_MEDIA, Some((key(AES_80, 5), ours)));
        world.talk(&mut caller, &mut vendor);
        let lines: String =
            (1..).zip(suites).map(|(tag, suite)| line(tag, suite, 9 + tag as u8)).collect();
        let offer = vendor_answers("RTP/SAVP", &lines);
        world.vendor_sends(0, &vendor_request(0, "INVITE", 7, &invite, "v", &offer));
        world.vendor_gets(0, "SIP/2.0 100 ");
        let inner = world.caller_gets("INVITE ");
        world.caller_sends(&response(&inner, 200, "", "198.51.100.7", &caller_sdp()));
        world.caller_gets("ACK ");
        let accepted = world.vendor_gets(0, "SIP/2.0 200 ");
        let (tag, suite, ours) = told(&accepted).remove(0);
        assert_eq!((tag, suite.as_str()), (1, suites[0]), "{contact}");
        world.vendor_sends(0, &vendor_request(0, "ACK", 7, &invite, "v", ""));
        vendor = Far::new(media_port(&invite), VENDOR_MEDIA, Some((key(suites[0], 10), ours)));
        world.talk(&mut caller, &mut vendor);
        // Asked by us again, it is offered what is in use, and stays with it.
        world.caller_sends(&caller_request("INVITE", 2, &answer, &caller_sdp()));
        world.caller_gets("SIP/2.0 100 ");
        let inner = world.vendor_gets(0, "INVITE ");
        let again = told(&inner).into_iter().find(|line| line.1 == suites[0]).unwrap();
        let same = vendor_answers("RTP/SAVP", &line(again.0, suites[0], 10));
        world.vendor_says(0, &inner, 200, "", &same);
        world.vendor_gets(0, "ACK ");
        world.caller_gets("SIP/2.0 200 ");
        world.caller_sends(&caller_request("ACK", 2, &answer, ""));
        vendor.hears = Some(Receiver::new(&again.2));
        world.talk(&mut caller, &mut vendor);
    }
}

#[test]
fn whichever_suite_the_last_fork_takes_is_heard_by_the_key_of_the_offer() {
    for last in [AES_80, GCM] {
        let mut world = World::new();
        world.keys_of(100, Srtp::Required);
        let (_, invite) = world.call_with_offer(&[0], &caller_sdp());
        let said = |world: &mut World, status, tag: &str, suite: &str, seed| {
            let place = told(&invite).into_iter().find(|line| line.1 == suite).unwrap().0;
            let answer = vendor_answers("RTP/SAVP", &line(place, suite, seed));
            world.vendor_says(0, &invite, status, tag, &answer);
        };
        for (tag, suite) in [("one", GCM), ("two", AES_80)] {
            said(&mut world, 183, tag, suite, 5);
            world.caller_gets("SIP/2.0 183 ");
        }
        said(&mut world, 200, "two", last, 6);
        world.vendor_gets(0, "ACK ");
        world.commit();
        let answer = world.caller_gets("SIP/2.0 200 ");
        world.caller_sends(&caller_request("ACK", 1, &answer, ""));
        let ours = told(&invite).into_iter().find(|line| line.1 == last).unwrap().2;
        let mut caller = Far::new(media_port(&answer), CALLER_MEDIA, None);
        let mut vendor = Far::new(media_port(&invite), VENDOR_MEDIA, Some((key(last, 6), ours)));
        world.talk(&mut caller, &mut vendor);
    }
}
