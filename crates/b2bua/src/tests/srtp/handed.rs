//! Calls that change hands between parties of whom some must have keys and some have none: each leg goes on as
//! its own party wants it.

use link::record::CallKey;

use super::super::transfer::{caller_says, invite_of_vendor, target_sdp};
use super::*;

const TARGET_MEDIA: &str = "203.0.113.20:7000";

/// Who must have keys: the caller, who hands the call over (vendor 0), who gets it (vendor 1).
type Keyed = [bool; 3];

/// Every choice of those who must have keys.
fn choices() -> impl Iterator<Item = Keyed> {
    (0..8).map(|bits: u8| [0, 1, 2].map(|at| bits >> at & 1 == 1))
}

/// What a party says of its media; keys by a seed.
fn says(description: &str, keyed: bool, seed: u8) -> String {
    match keyed {
        true => format!("{}{}", description.replace("RTP/AVP", "RTP/SAVP"), line(1, AES_80, seed)),
        false => description.to_owned(),
    }
}

/// A party that said so with this seed, and was told this by us.
fn party(message: &str, address: &'static str, keyed: bool, seed: u8) -> Far {
    assert_eq!(proto(message), if keyed { "RTP/SAVP" } else { "RTP/AVP" }, "{message}");
    let ours = told(message).into_iter().find(|line| line.1 == AES_80);
    assert_eq!(ours.is_some(), keyed, "{message}");
    Far::new(media_port(message), address, ours.map(|ours| (key(AES_80, seed), ours.2)))
}

/// A call of the caller to vendor 0, which may be handed over; our INVITE, and our answer.
fn talking(keyed: Keyed) -> (World, CallKey, String, String) {
    let mut world = World::new();
    for (gateway, keyed) in [CUSTOMER, 100, 101].into_iter().zip(keyed) {
        world.wants(gateway, |profile| {
            profile.transfer = 1;
            profile.media.srtp = if keyed { Srtp::Required as u8 } else { Srtp::Off as u8 };
        });
    }
    let offer = says(&caller_sdp(), keyed[0], 1);
    let (call, invite, answer) = world.talks(&offer, &says(&vendor_sdp(), keyed[1], 2));
    let mut caller = party(&answer, CALLER_MEDIA, keyed[0], 1);
    let mut vendor = party(&invite, VENDOR_MEDIA, keyed[1], 2);
    world.talk(&mut caller, &mut vendor);
    (world, call, invite, answer)
}

/// The target offers, and who stays answers: the two talk.
fn joined(world: &mut World, keyed: Keyed, again: &str) {
    let mut caller = party(again, CALLER_MEDIA, keyed[0], 5);
    caller_says(world, again, 200, &says(&caller_sdp(), keyed[0], 5));
    world.caller_gets("ACK ");
    let ack = world.vendor_gets(1, "ACK ");
    let mut target = party(&ack, TARGET_MEDIA, keyed[2], 3);
    world.talk(&mut caller, &mut target);
}

#[test]
fn a_blind_transfer_joins_whoever_has_keys_and_whoever_has_none() {
    for keyed in choices() {
        let (mut world, _, invite, answer) = talking(keyed);
        let admit = world.blind(&invite);
        world.route(admit.call, &[1]);
        let to_target = world.vendor_gets(1, "INVITE ");
        assert_eq!(body(&to_target), "");
        let offer = says(&target_sdp(), keyed[2], 3);
        world.vendor_says(1, &to_target, 200, "t", &offer);
        world.commit();
        let again = world.caller_gets("INVITE ");
        joined(&mut world, keyed, &again);
        world.ignore_messages();
        world.caller_sends(&caller_request("BYE", 2, &answer, ""));
        world.ignore_messages();
        world.settles();
    }
}

#[test]
fn an_attended_transfer_joins_whoever_has_keys_and_whoever_has_none() {
    for keyed in choices() {
        let (mut world, _, invite, answer) = talking(keyed);
        let asks = invite_of_vendor();
        let offer = body(&asks);
        let head = asks.split_once("Content-").unwrap().0;
        world.vendor_sends(0, &with_body(head, &says(offer, keyed[1], 4)));
        let admit = world.admit();
        world.route_with(admit.call, &[1], |route| route.customer_gateway = 100);
        world.vendor_gets(0, "SIP/2.0 100 ");
        let to_target = world.vendor_gets(1, "INVITE ");
        world.vendor_says(1, &to_target, 200, "t", &says(&target_sdp(), keyed[2], 6));
        world.vendor_gets(1, "ACK ");
        world.commit();
        let talks = world.vendor_gets(0, "SIP/2.0 200 ");
        world.vendor_sends(0, &caller_request("ACK", 1, &talks, ""));
        world.refers_to_talk(&invite, &talks);
        let offerless = world.vendor_gets(1, "INVITE ");
        assert_eq!(body(&offerless), "");
        world.vendor_says(1, &offerless, 200, "", &says(&target_sdp(), keyed[2], 3));
        let again = world.caller_gets("INVITE ");
        joined(&mut world, keyed, &again);
        world.ignore_messages();
        world.caller_sends(&caller_request("BYE", 2, &answer, ""));
        world.ignore_messages();
        world.settles();
    }
}

/// Vendor 0 presses these keys, under its own if it has such.
fn presses(world: &mut World, vendor: &mut Far, keys: &str) {
    for pressed in keys.bytes() {
        let number = b"0123456789*#".iter().position(|&one| one == pressed).unwrap();
        let time = vendor.sequence * 800;
        for _ in 0..3 {
            let mut packet = vec![0x80, 101];
            packet.extend((vendor.sequence as u16).to_be_bytes());
            packet.extend(time.to_be_bytes());
            packet.extend([0, 0, 0, vendor.ssrc(), number as u8, 0x8a, 0, 160]);
            vendor.sequence += 1;
            let sealed = vendor.sealed(&packet);
            let from = vendor.address.parse().unwrap();
            let _ = world.switch.forward(world.now, vendor.port, from, &sealed);
        }
        while world.switch.heed_key(world.now) {
            world.poll();
        }
        world.wait_ms(100);
    }
}

#[test]
fn a_call_that_is_handed_over_by_keys_goes_on_as_each_party_wants_it() {
    for (keyed, code) in choices().flat_map(|keyed| [(keyed, "*1"), (keyed, "*2")]) {
        let mut world = World::new();
        for (gateway, keyed) in [CUSTOMER, 100, 101].into_iter().zip(keyed) {
            world.wants(gateway, |profile| {
                profile.transfer = 1;
                profile.media.srtp = if keyed { Srtp::Required as u8 } else { Srtp::Off as u8 };
            });
        }
        let offer = says(&caller_sdp(), keyed[0], 1);
        let (_, invite, answer) = world.talks(&offer, &says(&vendor_sdp(), keyed[1], 2));
        world.set(|parameters| {
            parameters.transfer.blind = Text::cut(b"*1");
            parameters.transfer.attended = Text::cut(b"*2");
        });
        let mut vendor = party(&invite, VENDOR_MEDIA, keyed[1], 2);
        presses(&mut world, &mut vendor, &format!("{code}7777#"));
        let admit = world.admit();
        world.route(admit.call, &[1]);
        let to_target = world.vendor_gets(1, "INVITE ");
        let offer = says(&target_sdp(), keyed[2], 3);
        if code == "*1" {
            assert_eq!(body(&to_target), "");
            world.vendor_says(1, &to_target, 200, "t", &offer);
            world.commit();
        } else {
            let mut target = party(&to_target, TARGET_MEDIA, keyed[2], 6);
            let answers = says(&target_sdp(), keyed[2], 6);
            world.vendor_says(1, &to_target, 200, "t", &answers);
            world.vendor_gets(1, "ACK ");
            world.commit();
            let again = world.vendor_gets(0, "INVITE ");
            let mut vendor = party(&again, VENDOR_MEDIA, keyed[1], 7);
            world.vendor_says(0, &again, 200, "", &says(&vendor_sdp(), keyed[1], 7));
            world.vendor_gets(0, "ACK ");
            world.talk(&mut vendor, &mut target);
            world.vendor_sends(0, &vendor_request(0, "BYE", 3, &invite, "v", ""));
            world.vendor_gets(0, "SIP/2.0 200 ");
            let offerless = world.vendor_gets(1, "INVITE ");
            assert_eq!(body(&offerless), "");
            world.vendor_says(1, &offerless, 200, "", &offer);
        }
        let again = world.caller_gets("INVITE ");
        joined(&mut world, keyed, &again);
        world.ignore_messages();
        world.caller_sends(&caller_request("BYE", 2, &answer, ""));
        world.ignore_messages();
        world.settles();
    }
}

#[test]
fn a_call_is_picked_up_by_whoever_has_keys_or_none_from_whoever_has_or_none() {
    for keyed in choices() {
        let mut world = World::new();
        for (gateway, keyed) in [CUSTOMER, 100, 101].into_iter().zip(keyed) {
            world.keys_of(gateway, if keyed { Srtp::Required } else { Srtp::Off });
        }
        let offer = says(&caller_sdp(), keyed[0], 1);
        let (ringing, to_phone) = world.call_with_offer(&[0], &offer);
        world.vendor_says(0, &to_phone, 183, "v", &says(&vendor_sdp(), keyed[1], 2));
        world.caller_gets("SIP/2.0 183 ");
        // Who picks up calls by its own gateway.
        let picks = says(&target_sdp(), keyed[2], 3);
        world.picks_up_of(101, ringing, b"call1@alice", &picks);
        world.vendor_gets(1, "SIP/2.0 100 ");
        world.vendor_gets(0, "CANCEL ");
        world.vendor_says(0, &to_phone, 487, "v", "");
        world.vendor_gets(0, "ACK ");
        world.commit();
        world.commit();
        let answer = world.caller_gets("SIP/2.0 200 ");
        world.caller_sends(&caller_request("ACK", 1, &answer, ""));
        let picked = world.vendor_gets(1, "SIP/2.0 200 ");
        world.vendor_sends(1, &caller_request("ACK", 1, &picked, ""));
        let mut caller = party(&answer, CALLER_MEDIA, keyed[0], 1);
        let mut picker = party(&picked, TARGET_MEDIA, keyed[2], 3);
        world.talk(&mut caller, &mut picker);
        assert_eq!(world.count(Counter::Pickups), 1);
        world.ignore_messages();
        world.caller_sends(&caller_request("BYE", 2, &answer, ""));
        world.ignore_messages();
        world.settles();
    }
}
