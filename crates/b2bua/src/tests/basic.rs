//! A call as it should be, and the ways an answer can go.

use super::*;

#[test]
fn a_call_for_help_passes_when_others_are_sent_away() {
    let mut world = World::new();
    world.switch.set_control_busy(true);
    let urgent = |number| invite(number, &caller_sdp()).replacen("sip:4420@", "sip:112@", 1);
    world.caller_sends(&invite(1, &caller_sdp()));
    let refused = world.caller_gets("SIP/2.0 503 ");
    assert_eq!(header(&refused, "Retry-After"), "5");
    assert_eq!(world.count(Counter::RefusedControlBusy), 1);
    world.caller_sends(&urgent(2));
    let admit = world.admit();
    world.refuse(admit.call, 404, 0);
    world.ignore_messages();
    world.switch.set_control_busy(false);
    world.order(Order::Drain(link::order::Drain { draining: 1 }));
    world.caller_sends(&urgent(3));
    let admit = world.admit();
    world.refuse(admit.call, 404, 0);
    world.ignore_messages();
    world.switch.set_control_alive(false);
    world.caller_sends(&urgent(4));
    world.caller_gets("SIP/2.0 503 ");
    world.settles();
}

#[test]
fn a_call_is_put_through_and_leaves_one_record() {
    let mut world = World::new();
    world.caller_sends(&invite(1, &caller_sdp()));
    let admit = world.admit();
    assert_eq!(admit.facts.caller.as_bytes(), b"1234");
    assert_eq!(admit.facts.callee.as_bytes(), b"4420");
    assert_eq!(admit.facts.source.socket_address(), Some(CALLER.parse().unwrap()));
    world.is_quiet();
    world.route(admit.call, &[0]);
    let trying = world.caller_gets("SIP/2.0 100 Trying");
    assert!(!header(&trying, "To").contains("tag="));

    let invite = world.vendor_gets(0, "INVITE sip:004420@203.0.113.10 SIP/2.0");
    assert_eq!(header(&invite, "Max-Forwards"), "69");
    assert!(header(&invite, "From").starts_with("\"Alice\" <sip:1234@203.0.113.1>;tag="));
    assert_eq!(header(&invite, "To"), "<sip:004420@203.0.113.10>");
    assert!(
        header(&invite, "Via").starts_with("SIP/2.0/UDP 203.0.113.1:5060;rport;branch=z9hG4bK")
    );
    for hidden in ["198.51.100.7", "192.0.2.1", "call1@alice", "Handset"] {
        assert!(!invite.contains(hidden), "{hidden} is not the vendor's business:\n{invite}");
    }
    assert_eq!(media_port(&invite), VENDOR_PORT);

    world.wait_ms(1_000);
    world.ignore_messages();
    world.vendor_says(0, &invite, 180, "v", "");
    let ringing = world.caller_gets("SIP/2.0 180 Ringing");
    assert!(header(&ringing, "Contact").contains("192.0.2.1:5060"));
    assert!(header(&ringing, "Via").ends_with(";received=198.51.100.7;rport=5060"));

    world.wait_ms(2_000);
    world.vendor_says(0, &invite, 200, "v", &vendor_sdp());
    let ack = world.vendor_gets(0, "ACK sip:vendor@203.0.113.10:5060 SIP/2.0");
    assert_eq!(header(&ack, "CSeq"), "1 ACK");
    assert!(header(&ack, "To").ends_with(";tag=v"));
    world.is_quiet();
    world.wait_ms(50);
    let key = world.commit();
    let answer = world.caller_gets("SIP/2.0 200 OK");
    assert_eq!(header(&answer, "To"), header(&ringing, "To"));
    assert_eq!(media_port(&answer), CALLER_PORT);
    assert!(!answer.contains("203.0.113"), "the vendor is hidden:\n{answer}");
    world.caller_sends(&caller_request("ACK", 1, &answer, ""));
    assert_eq!(world.switch.live_calls().count(), 1);

    world.wait_ms(30_000);
    world.caller_sends(&caller_request("BYE", 2, &answer, ""));
    world.caller_gets("SIP/2.0 200 OK");
    let bye = world.vendor_gets(0, "BYE sip:vendor@203.0.113.10:5060 SIP/2.0");
    assert_eq!(header(&bye, "CSeq"), "2 BYE");
    world.vendor_says(0, &bye, 200, "", "");
    world.is_quiet();

    let record = world.ended_by(key, EndedBy::Caller, EndReason::Normal);
    assert_eq!(record.status, 200);
    assert_eq!(record.customer_gateway, 3);
    assert_eq!((record.ringing_ms, record.answered_ms, record.ended_ms), (1_000, 3_050, 33_050));
    assert_eq!(record.uncommitted, 0);
    assert_eq!(record.started_us, 1_700_001_000_000_000);
    let [attempt] = record.attempts() else { panic!("one attempt") };
    assert_eq!((attempt.gateway, attempt.status), (100, 200));
    assert_eq!((attempt.sent_ms, attempt.ringing_ms), (0, 1_000));
    assert_eq!((attempt.answered_ms, attempt.ended_ms), (3_000, 33_050));
    world.settles();
}

#[test]
fn a_caller_hears_100_after_200_ms_even_if_control_has_not_answered() {
    let mut world = World::new();
    world.caller_sends(&invite(1, &caller_sdp()));
    world.wait_ms(199);
    world.caller_sends(&invite(1, &caller_sdp()));
    world.is_quiet();
    world.wait_ms(1);
    world.caller_gets("SIP/2.0 100 Trying");
    let admit = world.admit();
    world.route(admit.call, &[0]);
    world.vendor_gets(0, "INVITE ");
    world.is_quiet();
    world.caller_sends(&invite(2, &caller_sdp()));
    world.wait_ms(1_999);
    world.ignore_messages();
    world.wait_ms(1);
    world.caller_gets("SIP/2.0 503 ");
    assert_eq!(world.count(Counter::RefusedAdmitLate), 1);
    world.settles();
}

#[test]
fn the_vendor_may_hang_up_first() {
    let mut world = World::new();
    let (key, invite, _) = world.talking();
    world.vendor_sends(0, &vendor_request(0, "BYE", 1, &invite, "v", ""));
    world.vendor_gets(0, "SIP/2.0 200 ");
    let bye = world.caller_gets("BYE sip:1234@198.51.100.7:5060 SIP/2.0");
    assert_eq!(header(&bye, "Call-ID"), "call1@alice");
    assert!(header(&bye, "To").ends_with(";tag=a1"));
    world.ended_by(key, EndedBy::Callee, EndReason::Normal);
    world.caller_sends(&response(&bye, 200, "", "198.51.100.7", ""));
    world.is_quiet();
    world.settles();
}

#[test]
fn two_byes_that_cross_are_both_answered() {
    let mut world = World::new();
    let (key, invite, answer) = world.talking();
    world.stores = false;
    world.caller_sends(&caller_request("BYE", 2, &answer, ""));
    world.vendor_sends(0, &vendor_request(0, "BYE", 1, &invite, "v", ""));
    world.caller_gets("SIP/2.0 200 ");
    world.vendor_gets(0, "BYE ");
    world.vendor_gets(0, "SIP/2.0 200 ");
    world.ended_by(key, EndedBy::Caller, EndReason::Normal);
    world.switch.handle_recorded(key);
    world.settles();
}

#[test]
fn a_bye_is_answered_again_when_its_answer_was_lost() {
    let mut world = World::new();
    let (_, _, answer) = world.talking();
    let bye = caller_request("BYE", 2, &answer, "");
    world.caller_sends(&bye);
    let first = world.caller_gets("SIP/2.0 200 ");
    world.caller_sends(&bye);
    assert_eq!(world.caller_gets("SIP/2.0 200 "), first);
    assert_eq!(world.count(Counter::RequestsRepeated), 1);
    world.settles();
}

#[test]
fn a_repeated_invite_makes_no_second_call() {
    let mut world = World::new();
    world.caller_sends(&invite(1, &caller_sdp()));
    world.caller_gets("SIP/2.0 100 ");
    world.caller_sends(&invite(1, &caller_sdp()));
    world.caller_gets("SIP/2.0 100 ");
    assert_eq!(world.asks.len(), 1);
    let admit = world.admit();
    world.refuse(admit.call, 403, 0);
    world.caller_gets("SIP/2.0 403 ");
    world.caller_sends(&invite(1, &caller_sdp()));
    let refusal = world.caller_gets("SIP/2.0 403 ");
    world.caller_sends(&beside_invite(1, "ACK", header(&refusal, "To")));
    world.wait_ms(4_000);
    world.is_quiet();
    world.settles();
}

#[test]
fn an_answer_is_repeated_until_its_ack_comes() {
    let mut world = World::new();
    let (_, invite) = world.call_begins(&[0]);
    world.vendor_says(0, &invite, 200, "v", &vendor_sdp());
    world.vendor_gets(0, "ACK ");
    world.commit();
    let answer = world.caller_gets("SIP/2.0 200 ");
    world.wait_ms(499);
    world.is_quiet();
    world.wait_ms(1);
    assert_eq!(world.caller_gets("SIP/2.0 200 "), answer);
    world.wait_ms(1_000);
    world.caller_gets("SIP/2.0 200 ");
    world.caller_sends(&caller_request("ACK", 1, &answer, ""));
    world.wait_ms(10_000);
    world.is_quiet();
    world.caller_sends(&caller_request("BYE", 2, &answer, ""));
    world.settles();
}

#[test]
fn an_answer_that_is_never_acknowledged_ends_the_call_after_32_seconds() {
    let mut world = World::new();
    let (key, invite) = world.call_begins(&[0]);
    world.vendor_says(0, &invite, 200, "v", &vendor_sdp());
    world.commit();
    world.wait_ms(31_999);
    assert!(world.images.iter().all(|image| !image.3));
    world.wait_ms(1);
    let record = world.ended_by(key, EndedBy::Server, EndReason::NoAck);
    assert_eq!(record.ended_ms, 32_000);
    assert_eq!(world.count(Counter::AcksMissing), 1);
    world.vendor_gets(0, "ACK ");
    world.vendor_gets(0, "BYE ");
    world.settles();
}

#[test]
fn an_ack_is_repeated_for_each_repeated_answer() {
    let mut world = World::new();
    let (_, invite) = world.call_begins(&[0]);
    for _ in 0..3 {
        world.vendor_says(0, &invite, 200, "v", &vendor_sdp());
        world.vendor_gets(0, "ACK ");
    }
    world.is_quiet();
    assert_eq!(world.asks.len(), 1);
    world.commit();
    world.settles();
}

#[test]
fn an_answer_repeated_after_the_call_is_acknowledged_and_brings_no_second_bye() {
    let mut world = World::new();
    let (_, invite, answer) = world.talking();
    world.caller_sends(&caller_request("BYE", 2, &answer, ""));
    world.caller_gets("SIP/2.0 200 ");
    let bye = world.vendor_gets(0, "BYE ");
    for _ in 0..2 {
        world.vendor_says(0, &invite, 200, "v", &vendor_sdp());
        let ack = world.vendor_gets(0, "ACK ");
        assert_eq!(header(&ack, "CSeq"), "1 ACK");
        world.is_quiet();
    }
    world.vendor_says(0, &bye, 200, "", "");
    world.settles();
}

#[test]
fn an_answer_waits_for_its_start_record_no_longer_than_allowed() {
    let mut world = World::new();
    let (key, invite) = world.call_begins(&[0]);
    world.vendor_says(0, &invite, 200, "v", &vendor_sdp());
    world.vendor_gets(0, "ACK ");
    world.wait_ms(199);
    world.is_quiet();
    world.wait_ms(1);
    let answer = world.caller_gets("SIP/2.0 200 ");
    assert_eq!(world.count(Counter::Uncommitted), 1);
    world.answer(Answer::Committed(Committed { call: key }));
    assert_eq!(world.count(Counter::AnswersLate), 1);
    world.caller_sends(&caller_request("ACK", 1, &answer, ""));
    world.caller_sends(&caller_request("BYE", 2, &answer, ""));
    assert_eq!(world.ended(key).uncommitted, 1);
    world.settles();
}

#[test]
fn without_control_an_answer_does_not_wait_and_a_new_call_gets_503() {
    let mut world = World::new();
    let (_, invite_out) = world.call_begins(&[0]);
    world.switch.set_control_alive(false);
    world.vendor_says(0, &invite_out, 200, "v", &vendor_sdp());
    world.vendor_gets(0, "ACK ");
    let answer = world.caller_gets("SIP/2.0 200 ");
    world.caller_sends(&caller_request("ACK", 1, &answer, ""));
    world.caller_sends(&invite(2, &caller_sdp()));
    let refusal = world.caller_gets("SIP/2.0 503 ");
    assert_eq!(header(&refusal, "Retry-After"), "5");
    assert!(header(&refusal, "To").contains(";tag="));
    assert_eq!(world.count(Counter::RefusedControlAway), 1);
    world.caller_sends(&caller_request("BYE", 2, &answer, ""));
    world.caller_gets("SIP/2.0 200 ");
    world.settles();
}

#[test]
fn an_invite_that_was_refused_for_want_of_room_stays_refused() {
    let mut world = World::new();
    world.switch.set_control_alive(false);
    world.caller_sends(&invite(1, &caller_sdp()));
    let refusal = world.caller_gets("SIP/2.0 503 ");
    world.switch.set_control_alive(true);
    world.caller_sends(&invite(1, &caller_sdp()));
    let again = world.caller_gets("SIP/2.0 503 ");
    assert_eq!(header(&again, "To"), header(&refusal, "To"));
    assert_eq!(world.count(Counter::RefusedAgain), 1);
    world.wait_ms(32_000);
    world.caller_sends(&invite(1, &caller_sdp()));
    world.caller_gets("SIP/2.0 100 ");
}

#[test]
fn an_admission_that_comes_too_late_is_of_no_use() {
    let mut world = World::new();
    world.caller_sends(&invite(1, &caller_sdp()));
    world.caller_gets("SIP/2.0 100 ");
    let admit = world.admit();
    world.wait_ms(2_000);
    let refusal = world.caller_gets("SIP/2.0 503 ");
    assert_eq!(header(&refusal, "Retry-After"), "5");
    assert!(matches!(world.asks.pop(), Some(Ask::Abandon(abandon)) if abandon.call == admit.call));
    world.route(admit.call, &[0]);
    assert_eq!(world.count(Counter::AnswersLate), 1);
    world.caller_sends(&beside_invite(1, "ACK", header(&refusal, "To")));
    world.is_quiet();
    world.settles();
}

#[test]
fn a_stranger_is_refused_without_memory_or_gets_no_answer_at_all() {
    let mut world = World::new();
    world.caller_sends(&invite(1, &caller_sdp()));
    world.caller_gets("SIP/2.0 100 ");
    let admit = world.admit();
    world.refuse(admit.call, 403, 1);
    let refusal = world.caller_gets("SIP/2.0 403 ");
    assert_eq!(world.switch.transactions.free(), 64);
    world.caller_sends(&beside_invite(1, "ACK", header(&refusal, "To")));
    assert_eq!(world.count(Counter::AcksUnmatched), 1);

    world.set(|parameters| parameters.reply_unauthorized = 0);
    world.caller_sends(&invite(2, &caller_sdp()));
    world.is_quiet();
    let admit = world.admit();
    world.refuse(admit.call, 0, 1);
    world.is_quiet();
    assert_eq!(world.switch.transactions.free(), 64);
    world.settles();
}

#[test]
fn an_invite_without_an_offer_gets_the_vendors_and_its_ack_carries_the_answer() {
    let mut world = World::new();
    let (key, invite) = world.call_with_offer(&[0], "");
    assert_eq!(body(&invite), "");
    world.vendor_says(0, &invite, 200, "v", &vendor_sdp());
    world.is_quiet();
    world.commit();
    let answer = world.caller_gets("SIP/2.0 200 ");
    assert!(body(&answer).contains("c=IN IP4 192.0.2.1"));
    // The vendor repeats itself while it waits; there is no ACK to give it yet.
    world.vendor_says(0, &invite, 200, "v", &vendor_sdp());
    world.is_quiet();
    world.caller_sends(&caller_request("ACK", 1, &answer, &caller_sdp()));
    let ack = world.vendor_gets(0, "ACK ");
    assert!(body(&ack).contains("c=IN IP4 203.0.113.1"));
    world.vendor_says(0, &invite, 200, "v", &vendor_sdp());
    assert_eq!(world.vendor_gets(0, "ACK "), ack);
    world.caller_sends(&caller_request("BYE", 2, &answer, ""));
    world.ended_by(key, EndedBy::Caller, EndReason::Normal);
    world.settles();
}

#[test]
fn an_offer_that_the_callers_ack_does_not_answer_ends_the_call_cleanly() {
    let mut world = World::new();
    let (key, invite) = world.call_with_offer(&[0], "");
    world.vendor_says(0, &invite, 200, "v", &vendor_sdp());
    world.commit();
    let answer = world.caller_gets("SIP/2.0 200 ");
    world.caller_sends(&caller_request("ACK", 1, &answer, ""));
    world.vendor_gets(0, "ACK ");
    world.vendor_gets(0, "BYE ");
    world.caller_gets("BYE ");
    world.ended_by(key, EndedBy::Server, EndReason::BadMedia);
    world.settles();
}

#[test]
fn a_bye_before_the_callers_ack_waits_for_it() {
    let mut world = World::new();
    let (key, invite) = world.call_begins(&[0]);
    world.vendor_says(0, &invite, 200, "v", &vendor_sdp());
    world.vendor_gets(0, "ACK ");
    world.commit();
    let answer = world.caller_gets("SIP/2.0 200 ");
    world.wait_ms(100);
    world.vendor_sends(0, &vendor_request(0, "BYE", 1, &invite, "v", ""));
    world.vendor_gets(0, "SIP/2.0 200 ");
    world.is_quiet();
    world.wait_ms(400);
    world.caller_gets("SIP/2.0 200 ");
    world.caller_sends(&caller_request("ACK", 1, &answer, ""));
    world.caller_gets("BYE ");
    let record = world.ended_by(key, EndedBy::Callee, EndReason::Normal);
    assert_eq!(record.ended_ms, 100);
    world.settles();
}

#[test]
fn the_longest_talk_ends_in_two_byes() {
    let mut world = World::new();
    let key = world.talking_at_most(20);
    world.wait_ms(19_999);
    world.is_quiet();
    world.wait_ms(1);
    world.vendor_gets(0, "BYE ");
    world.caller_gets("BYE ");
    let record = world.ended_by(key, EndedBy::Server, EndReason::DurationLimit);
    assert_eq!(record.ended_ms - record.answered_ms, 20_000);
    world.settles();
}

#[test]
fn a_talk_that_is_ended_late_lasted_no_longer_than_granted() {
    let mut world = World::new();
    let key = world.talking_at_most(20);
    // The process was frozen.
    world.now += Duration::from_secs(28);
    world.wait_ms(0);
    world.vendor_gets(0, "BYE ");
    let record = world.ended_by(key, EndedBy::Server, EndReason::DurationLimit);
    assert_eq!(record.ended_ms - record.answered_ms, 20_000);
}

#[test]
fn a_call_without_media_is_ended_but_not_one_on_hold() {
    for (held, reason) in [("", EndReason::MediaTimeout), ("a=inactive\r\n", EndReason::Normal)] {
        let mut world = World::new();
        let (key, invite) = world.call_begins(&[0]);
        world.vendor_says(0, &invite, 200, "v", &format!("{}{held}", vendor_sdp()));
        world.vendor_gets(0, "ACK ");
        world.commit();
        let answer = world.caller_gets("SIP/2.0 200 ");
        world.caller_sends(&caller_request("ACK", 1, &answer, ""));
        world.wait_ms(63_000);
        if reason == EndReason::Normal {
            world.caller_sends(&caller_request("BYE", 2, &answer, ""));
        }
        assert_eq!(world.ended(key).end_reason(), reason);
        world.settles();
    }
}

/// A call on hold, of whose sides nothing is heard: its key, our INVITE and our 200.
fn silent_on_hold(world: &mut World) -> (CallKey, String, String) {
    let (key, invite) = world.call_begins(&[0]);
    world.vendor_says(0, &invite, 200, "v", &format!("{}a=inactive\r\n", vendor_sdp()));
    world.vendor_gets(0, "ACK ");
    world.commit();
    let answer = world.caller_gets("SIP/2.0 200 ");
    world.caller_sends(&caller_request("ACK", 1, &answer, ""));
    world.wait_ms(60_000);
    world.is_quiet();
    (key, invite, answer)
}

#[test]
fn a_silent_call_on_hold_is_asked_on_each_side_whether_it_is_there_still() {
    let mut world = World::new();
    let (key, invite, answer) = silent_on_hold(&mut world);
    let wait = |world: &mut World| {
        while world.inbox.is_empty() {
            world.wait_ms(50);
        }
    };
    for status in [200, 405, 500] {
        wait(&mut world);
        // One side after the other.
        let caller = world.caller_gets("OPTIONS ");
        assert_eq!(header(&caller, "Call-ID"), header(&answer, "Call-ID"));
        world.caller_sends(&response(&caller, 200, "", CALLER, ""));
        wait(&mut world);
        let vendor = world.vendor_gets(0, "OPTIONS ");
        assert_eq!(header(&vendor, "Call-ID"), header(&invite, "Call-ID"));
        // Whatever it says, it is there.
        world.vendor_says(0, &vendor, status, "", "");
        world.wait_ms(57_000);
        world.is_quiet();
    }
    world.caller_sends(&caller_request("BYE", 2, &answer, ""));
    world.ended_by(key, EndedBy::Caller, EndReason::Normal);
    world.settles();
}

#[test]
fn a_call_on_hold_whose_far_end_is_gone_ends() {
    for status in [481, 408] {
        let mut world = World::new();
        let (key, ..) = silent_on_hold(&mut world);
        world.wait_ms(1_100);
        let asked = world.caller_gets("OPTIONS ");
        match status {
            481 => world.caller_sends(&response(&asked, 481, "", CALLER, "")),
            _ => world.wait_ms(33_000),
        }
        world.wait_ms(1_000);
        world.ended_by(key, EndedBy::Caller, EndReason::DialogLost);
        world.vendor_gets(0, "BYE ");
        world.ignore_messages();
        world.settles();
    }
}

#[test]
fn a_call_on_hold_that_nobody_remembers_ends_after_a_restart() {
    let mut world = World::new();
    let (key, ..) = silent_on_hold(&mut world);
    world.restart();
    world.wait_ms(62_000);
    let asked = world.caller_gets("OPTIONS ");
    world.caller_sends(&response(&asked, 481, "", CALLER, ""));
    world.wait_ms(1_000);
    world.ended_by(key, EndedBy::Caller, EndReason::DialogLost);
    world.ignore_messages();
    world.settles();
}

#[test]
fn an_operator_may_hang_up_at_any_time() {
    for stage in 0..4 {
        let mut world = World::new();
        world.caller_sends(&invite(1, &caller_sdp()));
        let key = world.admit().call;
        if stage > 0 {
            world.route(key, &[0]);
            world.caller_gets("SIP/2.0 100 ");
            let invite = world.vendor_gets(0, "INVITE ");
            world.vendor_says(0, &invite, 100, "", "");
            if stage > 1 {
                world.vendor_says(0, &invite, 200, "v", &vendor_sdp());
            }
            if stage > 2 {
                world.commit();
            }
        }
        let reason = EndReason::Operator as u32;
        world.order(Order::HangUp(link::order::HangUp { call: key, reason }));
        if stage == 0 {
            assert!(matches!(world.asks.pop(), Some(Ask::Abandon(_))));
        }
        world.settles();
    }
}

#[test]
fn an_ipv4_caller_talks_to_an_ipv6_vendor() {
    let mut world = World::new();
    let (key, invite) = world.call_begins(&[3]);
    assert!(invite.starts_with("INVITE sip:004420@[2001:db8::10]:5070 SIP/2.0"));
    assert!(header(&invite, "Via").starts_with("SIP/2.0/UDP [2001:db8::1]:5060;"));
    assert!(body(&invite).contains("c=IN IP6 2001:db8::1\r\n"), "{invite}");
    let described = vendor_sdp().replace("IP4 203.0.113.10", "IP6 2001:db8::10");
    world.vendor_says(3, &invite, 200, "v", &described);
    world.vendor_gets(3, "ACK sip:vendor@[2001:db8::10]:5070 SIP/2.0");
    world.commit();
    let answer = world.caller_gets("SIP/2.0 200 ");
    assert!(body(&answer).contains("c=IN IP4 192.0.2.1\r\n"), "{answer}");
    let far = world.switch.media().snapshot(media_port(&invite)).remote;
    assert_eq!(far, Some("[2001:db8::10]:6000".parse().unwrap()));
    world.caller_sends(&caller_request("ACK", 1, &answer, ""));
    world.vendor_sends(3, &vendor_request(3, "BYE", 1, &invite, "v", ""));
    world.vendor_gets(3, "SIP/2.0 200 ");
    world.caller_gets("BYE ");
    world.ended_by(key, EndedBy::Callee, EndReason::Normal);
    world.settles();
}
