//! Provisional responses that arrive for certain, on each leg by itself.

use super::*;

/// A vendor's response with a number.
fn numbered(response: &str, rseq: u32) -> String {
    response.replacen("Contact: ", &format!("Require: 100rel\r\nRSeq: {rseq}\r\nContact: "), 1)
}

impl World {
    /// Both gateways take reliable responses, where the peer does.
    pub(super) fn reliable() -> Self {
        let mut world = Self::new();
        for gateway in [3, 100, 101] {
            world.wants(gateway, |profile| profile.rel100 = 1);
        }
        world
    }

    /// Vendor 0 rings reliably.
    pub(super) fn vendor_rings(
        &mut self,
        invite: &str,
        status: u16,
        tag: &str,
        rseq: u32,
        content: &str,
    ) {
        let response = response(invite, status, tag, VENDORS[0], content);
        self.vendor_sends(0, &numbered(&response, rseq));
    }

    /// The caller's reliable call to vendors, as far as the first one's INVITE.
    pub(super) fn calls_reliably(&mut self, vendors: &[usize], offer: &str) -> (CallKey, String) {
        let invite = invite(1, offer).replace("Contact: ", "Supported: 100rel, timer\r\nContact: ");
        self.caller_sends(&invite);
        self.caller_gets("SIP/2.0 100 ");
        let admit = self.admit();
        self.route(admit.call, vendors);
        let invite = self.vendor_gets(vendors[0], "INVITE ");
        self.is_quiet();
        (admit.call, invite)
    }
}

/// RFC 3261 §13.3.1.1.
#[test]
fn who_waits_hears_every_minute_that_it_rings() {
    let patient = |world: &mut World| {
        world.set(|parameters| parameters.ring_timeout_ms = 170_000);
    };
    let mut world = World::new();
    patient(&mut world);
    let (_, invite) = world.call_begins(&[0, 1]);
    world.vendor_says(0, &invite, 180, "v", "");
    let told = world.caller_gets("SIP/2.0 180 ");
    world.wait_ms(59_999);
    world.is_quiet();
    world.wait_ms(1);
    assert_eq!(world.caller_gets("SIP/2.0 180 "), told);
    // Also of the next vendor, who has not rung yet.
    world.wait_ms(59_000);
    world.vendor_says(0, &invite, 500, "v", "");
    let second = world.vendor_gets(1, "INVITE ");
    world.vendor_says(1, &second, 100, "", "");
    world.wait_ms(1_000);
    assert_eq!(world.caller_gets("SIP/2.0 180 "), told);
    world.vendor_says(1, &second, 183, "w", "");
    world.caller_gets("SIP/2.0 183 ");
    world.wait_ms(30_000);
    world.vendor_says(1, &second, 200, "w", &vendor_sdp());
    world.vendor_gets(1, "ACK ");
    world.vendor_gets(0, "ACK ");
    world.commit();
    let answer = world.caller_gets("SIP/2.0 200 ");
    world.caller_sends(&caller_request("ACK", 1, &answer, ""));
    world.wait_ms(60_000);
    world.is_quiet();
    world.caller_sends(&caller_request("BYE", 2, &answer, ""));
    world.settles();

    let mut world = World::reliable();
    patient(&mut world);
    let (_, invite) = world.calls_reliably(&[0], &caller_sdp());
    world.vendor_rings(&invite, 180, "v", 7, "");
    world.vendor_gets(0, "PRACK ");
    let told = world.caller_gets("SIP/2.0 180 ");
    world.caller_sends(&prack(2, &told, ""));
    world.caller_gets("SIP/2.0 200 ");
    world.wait_ms(60_000);
    let again = world.caller_gets("SIP/2.0 180 ");
    let number = |told: &str| header(told, "RSeq").parse::<u32>().unwrap();
    assert_eq!(number(&again), number(&told) + 1);
    assert_eq!(header(&again, "To"), header(&told, "To"));
    world.caller_sends(&prack(3, &again, ""));
    world.caller_gets("SIP/2.0 200 ");
    world.ignore_messages();
    world.settles();
}

/// The caller's PRACK of a response of ours.
pub(super) fn prack(cseq: u32, response: &str, content: &str) -> String {
    let rack = format!("RAck: {} 1 INVITE\r\nContact: ", header(response, "RSeq"));
    caller_request("PRACK", cseq, response, content).replacen("Contact: ", &rack, 1)
}

fn rseq(response: &str) -> u32 {
    assert_eq!(header(response, "Require"), "100rel");
    header(response, "RSeq").parse().unwrap()
}

fn is_plain(response: &str) -> bool {
    !response.contains("\r\nRSeq: ") && !response.contains("\r\nRequire: ")
}

#[test]
fn an_answer_in_a_reliable_183_is_acknowledged_on_both_legs_and_not_said_again() {
    let mut world = World::reliable();
    let (key, invite) = world.calls_reliably(&[0], &caller_sdp());
    assert_eq!(header(&invite, "Supported"), "100rel");
    world.vendor_rings(&invite, 183, "v", 77, &vendor_sdp());
    let ours = world.vendor_gets(0, "PRACK sip:vendor@203.0.113.10:5060 SIP/2.0");
    assert_eq!((header(&ours, "RAck"), header(&ours, "CSeq")), ("77 1 INVITE", "2 PRACK"));
    assert!(header(&ours, "To").ends_with(";tag=v"));
    world.vendor_says(0, &ours, 200, "v", "");
    let progress = world.caller_gets("SIP/2.0 183 ");
    assert!((1..1 << 31).contains(&rseq(&progress)));
    assert_eq!(media_port(&progress), CALLER_PORT);
    world.caller_sends(&prack(2, &progress, ""));
    let ok = world.caller_gets("SIP/2.0 200 ");
    assert_eq!(header(&ok, "CSeq"), "2 PRACK");
    world.is_quiet();
    // A 180 after it has the next number, and a 200 no description on either leg.
    world.vendor_rings(&invite, 180, "v", 78, "");
    let ours = world.vendor_gets(0, "PRACK ");
    assert_eq!((header(&ours, "RAck"), header(&ours, "CSeq")), ("78 1 INVITE", "3 PRACK"));
    let ringing = world.caller_gets("SIP/2.0 180 ");
    assert_eq!(rseq(&ringing), rseq(&progress) + 1);
    world.caller_sends(&prack(3, &ringing, ""));
    world.caller_gets("SIP/2.0 200 ");
    world.vendor_says(0, &invite, 200, "v", "");
    let ack = world.vendor_gets(0, "ACK ");
    assert_eq!(header(&ack, "CSeq"), "1 ACK");
    world.commit();
    let answer = world.caller_gets("SIP/2.0 200 ");
    assert_eq!(body(&answer), "");
    world.caller_sends(&caller_request("ACK", 1, &answer, ""));
    // The numbers of both dialogs go on from the PRACKs.
    world.caller_sends(&caller_request("BYE", 4, &answer, ""));
    world.caller_gets("SIP/2.0 200 ");
    let bye = world.vendor_gets(0, "BYE ");
    assert_eq!(header(&bye, "CSeq"), "4 BYE");
    world.ended_by(key, EndedBy::Caller, EndReason::Normal);
    world.settles();
}

#[test]
fn a_reliable_response_is_repeated_at_doubling_intervals_and_given_up_after_32_seconds() {
    let mut world = World::reliable();
    world.set(|parameters| parameters.search_budget_ms = 60_000);
    let (key, invite) = world.calls_reliably(&[0], &caller_sdp());
    world.vendor_says(0, &invite, 183, "v", &vendor_sdp());
    let first = world.caller_gets("SIP/2.0 183 ");
    let mut at = Vec::new();
    for ms in 1..=32_000 {
        world.wait_ms(1);
        let mut repeats = std::mem::take(&mut world.inbox);
        repeats.retain(|(to, _)| *to == CALLER.parse().unwrap());
        for (_, text) in repeats.drain(..) {
            at.push(ms);
            assert!(ms == 32_000 || text == first);
        }
    }
    assert_eq!(at, [500, 1_500, 3_500, 7_500, 15_500, 31_500, 32_000]);
    assert_eq!(world.count(Counter::PracksMissing), 1);
    world.vendor_says(0, &invite, 487, "v", "");
    let record = world.ended_by(key, EndedBy::Server, EndReason::NoAck);
    assert_eq!(record.status, 504);
    world.settles();
}

#[test]
fn a_vendor_that_knows_no_100rel_is_told_reliably_to_a_caller_that_does_and_back() {
    // Reliable only towards the caller.
    let mut world = World::new();
    world.wants(3, |profile| profile.rel100 = 1);
    let (_, invite) = world.calls_reliably(&[0], &caller_sdp());
    assert!(!invite.contains("100rel"));
    world.vendor_says(0, &invite, 183, "v", &vendor_sdp());
    let progress = world.caller_gets("SIP/2.0 183 ");
    world.is_quiet();
    world.caller_sends(&prack(2, &progress, ""));
    world.caller_gets("SIP/2.0 200 ");
    world.vendor_says(0, &invite, 200, "v", &vendor_sdp());
    world.vendor_gets(0, "ACK ");
    world.commit();
    let answer = world.caller_gets("SIP/2.0 200 ");
    assert_eq!(body(&answer), "", "it has the answer");
    world.caller_sends(&caller_request("ACK", 1, &answer, ""));
    world.caller_sends(&caller_request("BYE", 3, &answer, ""));
    world.settles();
    // Reliable only towards the vendor: the caller gets the answer in the 200.
    let mut world = World::new();
    world.wants(100, |profile| profile.rel100 = 2);
    let (_, invite) = world.calls_reliably(&[0], &caller_sdp());
    assert_eq!(header(&invite, "Require"), "100rel");
    world.vendor_rings(&invite, 183, "v", 9, &vendor_sdp());
    world.vendor_gets(0, "PRACK ");
    assert!(is_plain(&world.caller_gets("SIP/2.0 183 ")));
    world.vendor_says(0, &invite, 200, "v", "");
    world.vendor_gets(0, "ACK ");
    world.commit();
    let answer = world.caller_gets("SIP/2.0 200 ");
    assert_eq!(media_port(&answer), CALLER_PORT);
    world.caller_sends(&caller_request("ACK", 1, &answer, ""));
    world.caller_sends(&caller_request("BYE", 2, &answer, ""));
    world.settles();
}

#[test]
fn a_caller_and_its_profile_must_fit() {
    let demands = invite(1, &caller_sdp()).replace("Contact: ", "Require: 100rel\r\nContact: ");
    let silent = invite(1, &caller_sdp());
    for (invite, rel100, status, name) in
        [(&demands, 0, "SIP/2.0 420 ", "Unsupported"), (&silent, 2, "SIP/2.0 421 ", "Require")]
    {
        let mut world = World::new();
        world.wants(3, |profile| profile.rel100 = rel100);
        world.caller_sends(invite);
        world.caller_gets("SIP/2.0 100 ");
        let call = world.admit().call;
        world.route(call, &[0]);
        let refusal = world.caller_gets(status);
        assert_eq!(header(&refusal, name), "100rel");
        assert!(matches!(world.asks.pop(), Some(Ask::Abandon(_))));
        assert_eq!(world.count(Counter::RefusedUnsupported), 1);
        world.settles();
    }
}

#[test]
fn repeated_and_unordered_responses_of_a_vendor_are_ignored() {
    let mut world = World::reliable();
    let (_, invite) = world.calls_reliably(&[0], &caller_sdp());
    world.vendor_rings(&invite, 183, "v", 10, "");
    world.vendor_gets(0, "PRACK ");
    let progress = world.caller_gets("SIP/2.0 183 ");
    world.caller_sends(&prack(2, &progress, ""));
    world.caller_gets("SIP/2.0 200 ");
    for rseq in [10, 9, 12] {
        world.vendor_rings(&invite, 180, "v", rseq, "");
    }
    world.is_quiet();
    assert_eq!(world.count(Counter::ProvisionalsRepeated), 3);
    // One of another fork counts from where it likes, in its own dialog.
    world.vendor_rings(&invite, 180, "w", 500, "");
    let ours = world.vendor_gets(0, "PRACK ");
    assert!(header(&ours, "To").ends_with(";tag=w"));
    assert_eq!(header(&ours, "RAck"), "500 1 INVITE");
    let ringing = world.caller_gets("SIP/2.0 180 ");
    assert_ne!(header(&ringing, "To"), header(&progress, "To"));
    // The caller counts its requests in each dialog apart.
    world.caller_sends(&prack(2, &ringing, "").replace("PRACK2;", "PRACK2b;"));
    world.caller_gets("SIP/2.0 200 ");
    world.vendor_rings(&invite, 180, "v", 11, "");
    world.vendor_gets(0, "PRACK ");
    world.caller_gets("SIP/2.0 180 ");
    world.vendor_says(0, &invite, 486, "v", "");
    world.settles();
}

#[test]
fn a_fork_that_lost_after_its_prack_gets_a_bye_with_a_number_of_its_own() {
    let mut world = World::reliable();
    let (_, invite) = world.calls_reliably(&[0], &caller_sdp());
    world.vendor_rings(&invite, 180, "w", 5, "");
    world.vendor_gets(0, "PRACK ");
    let ringing = world.caller_gets("SIP/2.0 180 ");
    world.caller_sends(&prack(2, &ringing, ""));
    world.caller_gets("SIP/2.0 200 ");
    world.vendor_says(0, &invite, 200, "v", &vendor_sdp());
    world.vendor_gets(0, "ACK ");
    world.commit();
    let answer = world.caller_gets("SIP/2.0 200 ");
    world.caller_sends(&caller_request("ACK", 1, &answer, ""));
    world.vendor_says(0, &invite, 200, "w", &vendor_sdp());
    world.vendor_gets(0, "ACK ");
    let bye = world.vendor_gets(0, "BYE ");
    assert_eq!(header(&bye, "CSeq"), "3 BYE");
    // In the dialog that won, the caller has sent nothing but the INVITE.
    world.caller_sends(&caller_request("BYE", 2, &answer, ""));
    world.caller_gets("SIP/2.0 200 ");
    world.settles();
}

#[test]
fn a_prack_for_something_else_is_refused_and_a_repeated_one_answered_again() {
    let mut world = World::reliable();
    let (_, invite) = world.calls_reliably(&[0], &caller_sdp());
    world.vendor_says(0, &invite, 180, "v", "");
    let ringing = world.caller_gets("SIP/2.0 180 ");
    let sound = prack(2, &ringing, "");
    let number = header(&ringing, "RSeq");
    for (place, (wrong, status)) in [
        (sound.replace(&format!("RAck: {number}"), "RAck: 1"), "SIP/2.0 481 "),
        (sound.replace("1 INVITE", "2 INVITE"), "SIP/2.0 481 "),
        (sound.replace("1 INVITE", "1 UPDATE"), "SIP/2.0 481 "),
        (sound.replace("1 INVITE", "INVITE"), "SIP/2.0 400 "),
    ]
    .into_iter()
    .enumerate()
    {
        world.caller_sends(&wrong.replace("PRACK2;", &format!("PRACK2-{place};")));
        world.caller_gets(status);
    }
    assert_eq!(world.count(Counter::PracksUnmatched), 4);
    world.wait_ms(500);
    world.caller_gets("SIP/2.0 180 ");
    for _ in 0..2 {
        world.caller_sends(&sound);
        world.caller_gets("SIP/2.0 200 ");
    }
    // Another one for the same has nothing to acknowledge.
    world.caller_sends(&prack(3, &ringing, ""));
    world.caller_gets("SIP/2.0 481 ");
    world.wait_ms(5_000);
    world.is_quiet();
    world.vendor_says(0, &invite, 486, "v", "");
    world.settles();
}

#[test]
fn what_comes_before_the_prack_waits_and_the_last_of_it_is_told() {
    let mut world = World::reliable();
    world.stores = false;
    let (key, invite) = world.calls_reliably(&[0], &caller_sdp());
    world.vendor_says(0, &invite, 180, "v", "");
    let ringing = world.caller_gets("SIP/2.0 180 ");
    world.vendor_says(0, &invite, 183, "v", &vendor_sdp());
    world.vendor_says(0, &invite, 180, "v", "");
    world.vendor_says(0, &invite, 180, "w", "");
    world.is_quiet();
    assert_eq!(world.count(Counter::ProvisionalsSkipped), 2);
    world.caller_sends(&prack(2, &ringing, ""));
    world.caller_gets("SIP/2.0 200 ");
    let next = world.caller_gets("SIP/2.0 180 ");
    assert_eq!(rseq(&next), rseq(&ringing) + 1);
    assert_eq!(media_port(&next), CALLER_PORT);
    assert_eq!(header(&next, "To"), header(&ringing, "To"));
    world.is_quiet();
    world.vendor_says(0, &invite, 486, "v", "");
    world.caller_gets("SIP/2.0 486 ");
    // The PRACK crosses the failure.
    world.caller_sends(&prack(3, &next, ""));
    world.caller_gets("SIP/2.0 200 ");
    world.switch.handle_recorded(key);
    world.settles();
}

#[test]
fn a_200_waits_for_the_prack_of_a_description_and_only_of_that() {
    for described in [true, false] {
        let mut world = World::reliable();
        let (_, invite) = world.calls_reliably(&[0], &caller_sdp());
        let preview = if described { vendor_sdp() } else { String::new() };
        world.vendor_says(0, &invite, 183, "v", &preview);
        let progress = world.caller_gets("SIP/2.0 183 ");
        world.vendor_says(0, &invite, 200, "v", &vendor_sdp());
        world.vendor_gets(0, "ACK ");
        world.commit();
        if described {
            world.is_quiet();
            world.wait_ms(500);
            world.caller_gets("SIP/2.0 183 ");
            world.caller_sends(&prack(2, &progress, ""));
            world.caller_gets("SIP/2.0 200 ");
        }
        let answer = world.caller_gets("SIP/2.0 200 ");
        assert_eq!(header(&answer, "CSeq"), "1 INVITE");
        assert_eq!(body(&answer).is_empty(), described);
        if !described {
            // The late PRACK is heeded all the same.
            world.caller_sends(&prack(2, &progress, ""));
            world.caller_gets("SIP/2.0 200 ");
        }
        world.caller_sends(&caller_request("ACK", 1, &answer, ""));
        world.wait_ms(2_000);
        world.is_quiet();
        world.caller_sends(&caller_request("BYE", 3, &answer, ""));
        world.settles();
    }
}

#[test]
fn a_200_whose_description_is_never_acknowledged_is_given_back() {
    let mut world = World::reliable();
    let (key, invite) = world.calls_reliably(&[0], &caller_sdp());
    world.vendor_says(0, &invite, 183, "v", &vendor_sdp());
    world.vendor_says(0, &invite, 200, "v", &vendor_sdp());
    world.commit();
    world.wait_ms(31_999);
    world.ignore_messages();
    world.wait_ms(1);
    world.caller_gets("SIP/2.0 504 ");
    world.vendor_gets(0, "BYE ");
    let record = world.ended_by(key, EndedBy::Server, EndReason::NoAck);
    assert_eq!(record.answered_ms, NEVER);
    world.settles();
}

#[test]
fn an_offer_in_a_reliable_183_is_answered_through_two_pracks() {
    let mut world = World::reliable();
    let (_, invite) = world.calls_reliably(&[0], "");
    world.vendor_rings(&invite, 183, "v", 7, &vendor_sdp());
    let progress = world.caller_gets("SIP/2.0 183 ");
    assert!(body(&progress).contains("c=IN IP4 192.0.2.1"));
    world.is_quiet();
    world.vendor_rings(&invite, 183, "v", 7, &vendor_sdp());
    world.is_quiet();
    world.caller_sends(&prack(2, &progress, &caller_sdp()));
    world.caller_gets("SIP/2.0 200 ");
    let ours = world.vendor_gets(0, "PRACK ");
    assert_eq!(header(&ours, "RAck"), "7 1 INVITE");
    assert!(body(&ours).contains("c=IN IP4 203.0.113.1"));
    world.vendor_says(0, &ours, 200, "v", "");
    world.vendor_says(0, &invite, 200, "v", "");
    let ack = world.vendor_gets(0, "ACK ");
    assert_eq!(body(&ack), "");
    world.commit();
    let answer = world.caller_gets("SIP/2.0 200 ");
    assert_eq!(body(&answer), "");
    world.caller_sends(&caller_request("ACK", 1, &answer, ""));
    world.is_quiet();
    let far = world.switch.media().snapshot(media_port(&progress)).remote;
    assert_eq!(far, Some("198.51.100.7:4000".parse().unwrap()));
    world.caller_sends(&caller_request("BYE", 3, &answer, ""));
    world.settles();
}

#[test]
fn an_offer_in_a_183_that_nobody_answers_ends_the_call() {
    // The caller's PRACK has no answer.
    let mut world = World::reliable();
    let (key, invite) = world.calls_reliably(&[0], "");
    world.vendor_rings(&invite, 183, "v", 7, &vendor_sdp());
    let progress = world.caller_gets("SIP/2.0 183 ");
    world.caller_sends(&prack(2, &progress, ""));
    world.caller_gets("SIP/2.0 200 ");
    world.caller_gets("SIP/2.0 488 ");
    world.vendor_gets(0, "CANCEL ");
    world.vendor_says(0, &invite, 487, "v", "");
    world.ended_by(key, EndedBy::Server, EndReason::BadMedia);
    world.settles();
    // The caller cannot be told reliably, but the vendor demands to be heard so.
    let mut world = World::new();
    world.wants(100, |profile| profile.rel100 = 2);
    let (key, invite) = world.calls_reliably(&[0], "");
    world.vendor_rings(&invite, 183, "v", 7, &vendor_sdp());
    world.caller_gets("SIP/2.0 488 ");
    world.vendor_gets(0, "CANCEL ");
    world.vendor_says(0, &invite, 487, "v", "");
    world.ended_by(key, EndedBy::Server, EndReason::BadMedia);
    world.settles();
    // Where it does not demand it, it is not asked for it.
    let mut world = World::new();
    world.wants(100, |profile| profile.rel100 = 1);
    let (_, invite) = world.calls_reliably(&[0], "");
    assert!(!invite.contains("100rel"));
    world.vendor_says(0, &invite, 183, "v", &vendor_sdp());
    assert_eq!(body(&world.caller_gets("SIP/2.0 183 ")), "");
    world.vendor_says(0, &invite, 486, "v", "");
    world.settles();
}

#[test]
fn a_cancel_ends_the_repetition_and_a_late_prack_is_answered() {
    let mut world = World::reliable();
    let (key, invite) = world.calls_reliably(&[0], &caller_sdp());
    world.vendor_rings(&invite, 183, "v", 7, &vendor_sdp());
    world.vendor_gets(0, "PRACK ");
    let progress = world.caller_gets("SIP/2.0 183 ");
    world.vendor_says(0, &invite, 180, "v", "");
    world.caller_sends(&beside_invite(1, "CANCEL", "<sip:4420@192.0.2.1>"));
    world.caller_gets("SIP/2.0 200 ");
    let failure = world.caller_gets("SIP/2.0 487 ");
    world.caller_sends(&beside_invite(1, "ACK", header(&failure, "To")));
    world.vendor_gets(0, "CANCEL ");
    world.caller_sends(&prack(2, &progress, ""));
    world.caller_gets("SIP/2.0 200 ");
    world.vendor_says(0, &invite, 487, "v", "");
    world.vendor_gets(0, "ACK ");
    world.ended_by(key, EndedBy::Caller, EndReason::Cancelled);
    world.ignore_messages();
    world.wait_ms(400);
    world.is_quiet();
    world.settles();
}

#[test]
fn an_answer_that_a_cancel_has_overtaken_is_acknowledged_and_comes_to_nothing() {
    let mut world = World::reliable();
    let (_, invite) = world.calls_reliably(&[0], "");
    world.vendor_rings(&invite, 183, "v", 7, &vendor_sdp());
    let progress = world.caller_gets("SIP/2.0 183 ");
    world.caller_sends(&beside_invite(1, "CANCEL", "<sip:4420@192.0.2.1>"));
    world.caller_gets("SIP/2.0 200 ");
    world.caller_gets("SIP/2.0 487 ");
    world.caller_sends(&prack(2, &progress, &caller_sdp()));
    world.caller_gets("SIP/2.0 200 ");
    world.ignore_messages();
    world.vendor_says(0, &invite, 487, "v", "");
    world.settles();
}

#[test]
fn the_next_vendor_is_told_under_its_own_tag_with_the_next_number() {
    let mut world = World::reliable();
    world.set(|parameters| parameters.stop_after_rtp = 0);
    let (_, first) = world.calls_reliably(&[0, 1], &caller_sdp());
    world.vendor_says(0, &first, 183, "v", &vendor_sdp());
    let progress = world.caller_gets("SIP/2.0 183 ");
    world.vendor_says(0, &first, 503, "v", "");
    world.vendor_gets(0, "ACK ");
    let second = world.vendor_gets(1, "INVITE ");
    world.vendor_says(1, &second, 180, "v", "");
    world.is_quiet();
    world.caller_sends(&prack(2, &progress, ""));
    world.caller_gets("SIP/2.0 200 ");
    let ringing = world.caller_gets("SIP/2.0 180 ");
    assert_eq!(rseq(&ringing), rseq(&progress) + 1);
    assert_ne!(header(&ringing, "To"), header(&progress, "To"));
    let again = prack(2, &ringing, "").replace("PRACK2;", "PRACK2b;");
    world.caller_sends(&again);
    world.caller_gets("SIP/2.0 200 ");
    world.vendor_says(1, &second, 200, "v", &vendor_sdp());
    world.vendor_gets(1, "ACK ");
    world.commit();
    let answer = world.caller_gets("SIP/2.0 200 ");
    assert_eq!(media_port(&answer), CALLER_PORT, "of this one the caller has heard nothing yet");
    world.caller_sends(&caller_request("ACK", 1, &answer, ""));
    world.caller_sends(&caller_request("BYE", 3, &answer, ""));
    world.caller_gets("SIP/2.0 200 ");
    world.settles();
}

#[test]
fn a_prack_of_ours_is_repeated_and_its_failure_does_no_harm() {
    for status in [0, 481, 500] {
        let mut world = World::reliable();
        let (key, invite) = world.calls_reliably(&[0], &caller_sdp());
        world.vendor_rings(&invite, 183, "v", 7, "");
        let ours = world.vendor_gets(0, "PRACK ");
        let progress = world.caller_gets("SIP/2.0 183 ");
        world.caller_sends(&prack(2, &progress, ""));
        world.caller_gets("SIP/2.0 200 ");
        world.wait_ms(500);
        assert_eq!(world.vendor_gets(0, "PRACK "), ours);
        if status != 0 {
            world.vendor_says(0, &ours, status, "v", "");
        }
        world.vendor_says(0, &invite, 200, "v", &vendor_sdp());
        world.vendor_gets(0, "ACK ");
        world.commit();
        let answer = world.caller_gets("SIP/2.0 200 ");
        world.caller_sends(&caller_request("ACK", 1, &answer, ""));
        world.caller_sends(&caller_request("BYE", 3, &answer, ""));
        world.ended_by(key, EndedBy::Caller, EndReason::Normal);
        world.settles();
    }
}
