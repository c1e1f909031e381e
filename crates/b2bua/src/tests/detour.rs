//! Requests that are too long for a datagram (RFC 3261 §18.1.1).

use super::retransmission::repetitions;
use super::*;

/// As long as an INVITE of ours to a vendor is not.
const LONG: u32 = 1_300;

/// A world in which long requests to vendors go by TCP.
fn world() -> World {
    let mut world = World::new();
    world.set(|parameters| parameters.tcp_above_bytes = LONG);
    for vendor in [0, 1] {
        world.profile(vendor, |profile| {
            let address: SocketAddr = VENDORS[vendor].parse().unwrap();
            profile.address = Endpoint::from(address).by(Transport::Udp);
        });
    }
    world
}

/// A description with more codecs than anybody has.
fn long_sdp() -> String {
    let codecs = (0..32).map(|number| format!("a=rtpmap:{number} CODEC-{number}/8000/1\r\n"));
    format!("{}{}", caller_sdp(), codecs.collect::<String>())
}

fn carrier(message: &str) -> &str {
    header(message, "Via").split(' ').next().unwrap()
}

#[test]
fn a_long_invite_goes_by_tcp_with_what_belongs_to_it_and_a_bye_by_udp() {
    let mut world = world();
    let (_, first) = world.call_with_offer(&[0], &long_sdp());
    assert!(first.len() > LONG as usize);
    assert_eq!(carrier(&first), "SIP/2.0/TCP");
    // Where later requests shall come is not changed by the way of this one.
    assert!(!header(&first, "Contact").contains("transport"));
    assert_eq!(repetitions(&mut world, VENDORS[0], &first), [0; 0], "a stream repeats for itself");
    assert_eq!(world.count(Counter::RequestsByTcp), 1);
    world.settles();

    let mut world = self::world();
    let (key, first) = world.call_with_offer(&[0], &long_sdp());
    world.vendor_says(0, &first, 200, "v", &vendor_sdp());
    assert_eq!(carrier(&world.vendor_gets(0, "ACK ")), "SIP/2.0/UDP");
    world.commit();
    let answer = world.caller_gets("SIP/2.0 200 ");
    world.caller_sends(&caller_request("ACK", 1, &answer, ""));
    world.caller_sends(&caller_request("BYE", 2, &answer, ""));
    assert_eq!(carrier(&world.vendor_gets(0, "BYE ")), "SIP/2.0/UDP");
    world.ended_by(key, EndedBy::Caller, EndReason::Normal);
    world.settles();
}

/// §9.1, §17.1.1.3: they go the way of their INVITE.
#[test]
fn the_cancel_and_the_ack_of_a_long_invite_follow_it() {
    let mut world = world();
    let (_, first) = world.call_with_offer(&[0], &long_sdp());
    world.vendor_says(0, &first, 180, "v", "");
    world.caller_sends(&beside_invite(1, "CANCEL", "<sip:4420@192.0.2.1>"));
    let cancel = world.vendor_gets(0, "CANCEL ");
    world.vendor_says(0, &first, 487, "v", "");
    let ack = world.vendor_gets(0, "ACK ");
    for beside in [&cancel, &ack] {
        assert_eq!(header(beside, "Via"), header(&first, "Via"));
    }
    world.settles();
}

#[test]
fn where_nobody_listens_by_tcp_a_long_invite_goes_once_more_by_udp_and_is_repeated_there() {
    let mut world = world();
    let (key, first) = world.call_with_offer(&[0, 1], &long_sdp());
    world.wait_ms(300);
    world.comes_back(&first);
    let again = world.vendor_gets(0, "INVITE ");
    assert_eq!(again, first.replacen("SIP/2.0/TCP", "SIP/2.0/UDP", 1), "the very same but for Via");
    assert_eq!(world.count(Counter::RequestsBackToUdp), 1);
    world.is_quiet();
    world.wait_ms(500);
    assert_eq!(world.vendor_gets(0, "INVITE "), again, "timer A");
    world.vendor_says(0, &again, 200, "v", &vendor_sdp());
    world.vendor_gets(0, "ACK ");
    world.commit();
    world.caller_gets("SIP/2.0 200 ");
    assert!(world.reports.is_empty(), "the vendor is there");
    world.order(Order::HangUp(link::order::HangUp { call: key, reason: 17 }));
    world.settles();
}

#[test]
fn a_long_invite_that_is_challenged_goes_by_tcp_again() {
    let mut world = world();
    let (_, first) = world.call_with_offer(&[0], &long_sdp());
    let asks = "Digest realm=\"v\", nonce=\"n\"";
    world.vendor_sends(0, &errand::challenge(&first, 401, &[asks]));
    world.vendor_gets(0, "ACK ");
    let again = world.vendor_gets(0, "INVITE ");
    assert!(again.contains("\r\nAuthorization: Digest "));
    assert_eq!(carrier(&again), "SIP/2.0/TCP");
    world.comes_back(&again);
    assert_eq!(carrier(&world.vendor_gets(0, "INVITE ")), "SIP/2.0/UDP");
    world.settles();
}

#[test]
fn who_is_to_be_had_by_neither_is_passed_over() {
    let mut world = world();
    let (_, first) = world.call_with_offer(&[0, 1], &long_sdp());
    world.comes_back(&first);
    let again = world.vendor_gets(0, "INVITE ");
    world.comes_back(&again);
    let second = world.vendor_gets(1, "INVITE ");
    assert_eq!(carrier(&second), "SIP/2.0/TCP");
    assert_eq!(world.count(Counter::RequestsUndeliverable), 1);
    world.settles();
}

#[test]
fn an_invite_that_nobody_wants_any_more_is_not_sent_again_by_udp() {
    let mut world = world();
    let (key, first) = world.call_with_offer(&[0], &long_sdp());
    world.caller_sends(&beside_invite(1, "CANCEL", "<sip:4420@192.0.2.1>"));
    world.ignore_messages();
    world.comes_back(&first);
    world.is_quiet();
    world.ended_by(key, EndedBy::Caller, EndReason::Cancelled);
    world.settles();
}

#[test]
fn short_requests_and_those_to_who_comes_to_us_stay_with_udp() {
    let mut world = world();
    let (_, first) = world.call_begins(&[0]);
    assert_eq!(carrier(&first), "SIP/2.0/UDP");
    world.settles();
    // Nobody knows where this one listens, or whether NAT lets us through to it.
    let mut world = self::world();
    world.profile(0, |profile| profile.address = Endpoint::NONE);
    let (_, first) = world.call_with_offer(&[0], &long_sdp());
    assert_eq!(carrier(&first), "SIP/2.0/UDP");
    world.settles();
    // And nobody asked for it.
    let mut world = self::world();
    world.set(|parameters| parameters.tcp_above_bytes = 0);
    let (_, first) = world.call_with_offer(&[0], &long_sdp());
    assert_eq!(carrier(&first), "SIP/2.0/UDP");
    assert_eq!(world.count(Counter::RequestsByTcp), 0);
    world.settles();
}
