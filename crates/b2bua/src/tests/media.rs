//! What gateways want of media: which codecs, how they are told, whom a call goes to where they share none.

use link::profile::MediaTerms;
use sip::sdp::Codec;

use super::*;

/// The customer's gateway, as the routes of the tests name it; vendors begin at 100.
const CUSTOMER: u32 = 3;

impl World {
    /// What a gateway wants of media.
    fn media_of(&mut self, gateway: u32, codecs: &[Codec], change: impl FnOnce(&mut MediaTerms)) {
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
