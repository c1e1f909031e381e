//! UPDATE before the answer, and what meets it (RFC 3311).

use super::reliable::prack;
use super::*;

fn moved() -> String {
    sdp("198.51.100.7", 4_444)
}

impl World {
    /// A call whose offer was answered before the answer, on both legs: its key, our INVITE, our 183.
    fn agreed_early(&mut self) -> (CallKey, String, String) {
        let (key, invite) = self.calls_reliably(&[0], &caller_sdp());
        self.vendor_rings(&invite, 183, "v", 7, &vendor_sdp());
        let ours = self.vendor_gets(0, "PRACK ");
        self.vendor_says(0, &ours, 200, "v", "");
        let progress = self.caller_gets("SIP/2.0 183 ");
        self.caller_sends(&prack(2, &progress, ""));
        self.caller_gets("SIP/2.0 200 ");
        self.is_quiet();
        (key, invite, progress)
    }
}

#[test]
fn an_offer_before_the_answer_passes_once_both_sides_have_agreed() {
    let mut world = World::reliable();
    let (key, invite, progress) = world.agreed_early();
    world.caller_sends(&caller_request("UPDATE", 3, &progress, &moved()));
    let inner = world.vendor_gets(0, "UPDATE sip:vendor@203.0.113.10:5060 SIP/2.0");
    assert_eq!(header(&inner, "CSeq"), "3 UPDATE");
    assert!(header(&inner, "To").ends_with(";tag=v"));
    // One at a time, from either side.
    world.vendor_sends(0, &vendor_request(0, "UPDATE", 1, &invite, "v", &vendor_sdp()));
    world.vendor_gets(0, "SIP/2.0 491 ");
    world.caller_sends(&caller_request("UPDATE", 4, &progress, &moved()));
    let refusal = world.caller_gets("SIP/2.0 500 ");
    assert!((1..=10).contains(&header(&refusal, "Retry-After").parse::<u32>().unwrap()));
    world.vendor_says(0, &inner, 200, "v", &vendor_sdp());
    let accepted = world.caller_gets("SIP/2.0 200 ");
    assert_eq!((header(&accepted, "CSeq"), media_port(&accepted)), ("3 UPDATE", CALLER_PORT));
    let far = world.switch.media().snapshot(CALLER_PORT).remote;
    assert_eq!(far, Some("198.51.100.7:4444".parse().unwrap()));
    // And from the vendor, whose requests have a new target then.
    let request = vendor_request(0, "UPDATE", 2, &invite, "v", &vendor_sdp());
    world.vendor_sends(0, &request.replace("<sip:vendor@", "<sip:moved@"));
    let inner = world.caller_gets("UPDATE sip:1234@198.51.100.7:5060 SIP/2.0");
    assert_eq!(header(&inner, "From"), header(&progress, "To"));
    world.caller_sends(&response(&inner, 200, "", CALLER, &caller_sdp()));
    world.vendor_gets(0, "SIP/2.0 200 ");
    world.vendor_says(0, &invite, 200, "v", "");
    world.vendor_gets(0, "ACK ");
    world.commit();
    let answer = world.caller_gets("SIP/2.0 200 ");
    assert_eq!(header(&answer, "To"), header(&progress, "To"));
    world.caller_sends(&caller_request("ACK", 1, &answer, ""));
    world.caller_sends(&caller_request("BYE", 5, &answer, ""));
    world.ended_by(key, EndedBy::Caller, EndReason::Normal);
    world.settles();
}

/// RFC 3262 §5.
#[test]
fn an_offer_in_a_prack_passes_by_update_and_its_answer_comes_back_in_the_200() {
    let mut world = World::reliable();
    let (key, invite, progress) = world.agreed_early();
    world.vendor_rings(&invite, 180, "v", 8, "");
    let ours = world.vendor_gets(0, "PRACK ");
    world.vendor_says(0, &ours, 200, "v", "");
    let ringing = world.caller_gets("SIP/2.0 180 ");
    let offer = prack(3, &ringing, &moved())
        .replace("<sip:1234@198.51.100.7:5060>", "<sip:9@198.51.100.7>");
    world.caller_sends(&offer);
    let inner = world.vendor_gets(0, "UPDATE sip:vendor@203.0.113.10:5060 SIP/2.0");
    assert_eq!(media_port(&inner), VENDOR_PORT);
    assert!(!inner.contains("\r\nRAck: "));
    world.is_quiet();
    // While it is on its way it is absorbed, and no other offer may pass.
    world.caller_sends(&offer);
    world.vendor_sends(0, &vendor_request(0, "UPDATE", 1, &invite, "v", &vendor_sdp()));
    world.vendor_gets(0, "SIP/2.0 491 ");
    world.vendor_says(0, &inner, 200, "v", &vendor_sdp());
    let accepted = world.caller_gets("SIP/2.0 200 ");
    assert_eq!((header(&accepted, "CSeq"), media_port(&accepted)), ("3 PRACK", CALLER_PORT));
    let far = world.switch.media().snapshot(CALLER_PORT).remote;
    assert_eq!(far, Some("198.51.100.7:4444".parse().unwrap()));
    // It was heeded as an acknowledgement too, and is no target refresh.
    world.wait_ms(5_000);
    world.is_quiet();
    world.vendor_sends(0, &vendor_request(0, "UPDATE", 2, &invite, "v", &vendor_sdp()));
    let inner = world.caller_gets("UPDATE sip:1234@198.51.100.7:5060 SIP/2.0");
    world.caller_sends(&response(&inner, 488, "", CALLER, ""));
    world.vendor_gets(0, "SIP/2.0 488 ");
    world.vendor_says(0, &invite, 200, "v", "");
    world.vendor_gets(0, "ACK ");
    world.commit();
    let answer = world.caller_gets("SIP/2.0 200 ");
    world.caller_sends(&caller_request("ACK", 1, &answer, ""));
    world.caller_sends(&caller_request("BYE", 4, &answer, ""));
    drop(progress);
    world.ended_by(key, EndedBy::Caller, EndReason::Normal);
    world.settles();
}

#[test]
fn an_offer_in_a_prack_that_nobody_can_take_gets_488_and_acknowledges_all_the_same() {
    // The vendor takes no UPDATE, or refuses this one.
    for status in [405, 488, 501] {
        let mut world = World::reliable();
        let (_, invite, _) = world.agreed_early();
        world.vendor_rings(&invite, 180, "v", 8, "");
        world.vendor_gets(0, "PRACK ");
        let ringing = world.caller_gets("SIP/2.0 180 ");
        world.caller_sends(&prack(3, &ringing, &moved()));
        let inner = world.vendor_gets(0, "UPDATE ");
        world.vendor_says(0, &inner, status, "v", "");
        assert_eq!(header(&world.caller_gets("SIP/2.0 488 "), "CSeq"), "3 PRACK");
        world.wait_ms(4_000);
        world.ignore_messages();
        world.vendor_rings(&invite, 180, "v", 9, "");
        world.vendor_gets(0, "PRACK ");
        world.caller_gets("SIP/2.0 180 ");
        world.settles();
    }
    // The vendor told nothing for certain: there is no dialog yet that an offer could pass in.
    let mut world = World::reliable();
    let (_, invite) = world.calls_reliably(&[0], &caller_sdp());
    world.vendor_says(0, &invite, 183, "v", &vendor_sdp());
    let progress = world.caller_gets("SIP/2.0 183 ");
    let offer = prack(2, &progress, &moved());
    for _ in 0..2 {
        world.caller_sends(&offer);
        world.caller_gets("SIP/2.0 488 ");
    }
    world.wait_ms(5_000);
    world.is_quiet();
    assert_eq!(world.count(Counter::RefusedMedia), 1);
    world.settles();
}

#[test]
fn an_offer_before_the_first_is_answered_is_told_to_wait() {
    let mut world = World::reliable();
    let (_, invite) = world.calls_reliably(&[0], &caller_sdp());
    world.vendor_rings(&invite, 180, "v", 7, "");
    world.vendor_gets(0, "PRACK ");
    let ringing = world.caller_gets("SIP/2.0 180 ");
    // The caller's offer waits for our answer, ours to the vendor for the vendor's.
    world.caller_sends(&caller_request("UPDATE", 2, &ringing, &moved()));
    let refusal = world.caller_gets("SIP/2.0 500 ");
    assert!(header(&refusal, "Retry-After").parse::<u32>().unwrap() <= 10);
    world.vendor_sends(0, &vendor_request(0, "UPDATE", 1, &invite, "v", &vendor_sdp()));
    world.vendor_gets(0, "SIP/2.0 491 ");
    // Without an offer it is a new target, which is taken.
    let request = caller_request("UPDATE", 3, &ringing, "");
    world.caller_sends(&request.replace("<sip:1234@", "<sip:mobile@"));
    world.caller_gets("SIP/2.0 200 ");
    world.is_quiet();
    world.caller_sends(&prack(4, &ringing, ""));
    world.caller_gets("SIP/2.0 200 ");
    world.vendor_says(0, &invite, 200, "v", &vendor_sdp());
    world.vendor_gets(0, "ACK ");
    world.commit();
    let answer = world.caller_gets("SIP/2.0 200 ");
    world.caller_sends(&caller_request("ACK", 1, &answer, ""));
    world.vendor_sends(0, &vendor_request(0, "BYE", 2, &invite, "v", ""));
    world.vendor_gets(0, "SIP/2.0 200 ");
    world.caller_gets("BYE sip:mobile@198.51.100.7:5060 SIP/2.0");
    world.settles();
}

#[test]
fn an_early_offer_that_is_refused_changes_nothing_and_one_to_a_lost_dialog_ends_the_search() {
    let mut world = World::reliable();
    let (_, invite, progress) = world.agreed_early();
    let before = world.switch.media().snapshot(CALLER_PORT);
    world.caller_sends(&caller_request("UPDATE", 3, &progress, &moved()));
    let inner = world.vendor_gets(0, "UPDATE ");
    world.vendor_says(0, &inner, 488, "v", "");
    world.caller_gets("SIP/2.0 488 ");
    assert_eq!(world.switch.media().snapshot(CALLER_PORT), before);
    world.caller_sends(&caller_request("UPDATE", 4, &progress, &moved()));
    let inner = world.vendor_gets(0, "UPDATE ");
    world.vendor_says(0, &inner, 481, "v", "");
    world.caller_gets("SIP/2.0 481 ");
    world.caller_gets("SIP/2.0 480 ");
    world.vendor_gets(0, "CANCEL ");
    world.vendor_says(0, &invite, 487, "v", "");
    world.settles();
}

#[test]
fn an_early_offer_ends_with_its_vendor() {
    let mut world = World::reliable();
    let (_, invite, progress) = world.agreed_early();
    world.caller_sends(&caller_request("UPDATE", 3, &progress, &moved()));
    let inner = world.vendor_gets(0, "UPDATE ");
    world.vendor_says(0, &invite, 486, "v", "");
    world.vendor_gets(0, "ACK ");
    let failures = [world.caller_gets("SIP/2.0 "), world.caller_gets("SIP/2.0 ")];
    assert!(failures.iter().any(|failure| header(failure, "CSeq") == "3 UPDATE"));
    assert!(failures.iter().any(|failure| header(failure, "CSeq") == "1 INVITE"));
    world.vendor_says(0, &inner, 481, "v", "");
    world.is_quiet();
    world.settles();
}

#[test]
fn an_update_without_an_offer_concerns_its_leg_alone() {
    let mut world = World::new();
    let (_, invite, answer) = world.talking();
    let request = vendor_request(0, "UPDATE", 1, &invite, "v", "");
    for _ in 0..2 {
        world.vendor_sends(0, &request.replace("<sip:vendor@", "<sip:moved@"));
        world.vendor_gets(0, "SIP/2.0 200 ");
    }
    world.is_quiet();
    world.caller_sends(&caller_request("BYE", 2, &answer, ""));
    world.vendor_gets(0, "BYE sip:moved@203.0.113.10:5060 SIP/2.0");
    world.settles();
}
