//! The search for a vendor that answers.

use super::*;

#[test]
fn a_failure_leads_to_the_next_vendor_on_fresh_ports() {
    let mut world = World::new();
    let (key, first) = world.call_begins(&[0, 1]);
    world.vendor_says(0, &first, 503, "v", "");
    let ack = world.vendor_gets(0, "ACK ");
    assert_eq!(header(&ack, "Via"), header(&first, "Via"));
    let second = world.vendor_gets(1, "INVITE sip:004420@203.0.113.20 SIP/2.0");
    assert_ne!(header(&first, "Call-ID"), header(&second, "Call-ID"));
    assert_ne!(media_port(&first), media_port(&second));
    world.vendor_says(1, &second, 200, "w", &vendor_sdp());
    world.vendor_gets(1, "ACK ");
    world.commit();
    let answer = world.caller_gets("SIP/2.0 200 ");
    assert_eq!(media_port(&answer), CALLER_PORT);
    world.caller_sends(&caller_request("ACK", 1, &answer, ""));
    world.caller_sends(&caller_request("BYE", 2, &answer, ""));
    let record = world.ended_by(key, EndedBy::Caller, EndReason::Normal);
    let [one, two] = record.attempts() else { panic!("two attempts") };
    assert_eq!((one.gateway, one.status, one.reason), (100, 503, EndReason::Rejected as u8));
    assert_eq!((two.gateway, two.status), (101, 200));
    assert_eq!(record.attempt_index, 1);
    assert_eq!(world.count(Counter::Failovers), 1);
    world.settles();
}

#[test]
fn a_stop_code_ends_the_search_and_is_told() {
    let mut world = World::new();
    let (key, first) = world.call_begins(&[0, 1]);
    world.vendor_says(0, &first, 486, "v", "");
    world.vendor_gets(0, "ACK ");
    let busy = world.caller_gets("SIP/2.0 486 ");
    world.caller_sends(&beside_invite(1, "ACK", header(&busy, "To")));
    world.is_quiet();
    let record = world.ended_by(key, EndedBy::Callee, EndReason::Busy);
    assert_eq!(record.status, 486);
    world.settles();
}

#[test]
fn a_stop_code_that_says_nothing_of_time_is_a_refusal() {
    let mut world = World::new();
    world.caller_sends(&invite(1, &caller_sdp()));
    world.caller_gets("SIP/2.0 100 ");
    let key = world.admit().call;
    world.route_with(key, &[0, 1], |route| route.candidates[0].stop_codes[0] = 480);
    let first = world.vendor_gets(0, "INVITE ");
    world.vendor_says(0, &first, 480, "v", "");
    world.vendor_gets(0, "ACK ");
    world.caller_gets("SIP/2.0 480 ");
    world.is_quiet();
    let record = world.ended_by(key, EndedBy::Callee, EndReason::Rejected);
    assert_eq!((record.status, record.attempts()[0].reason), (480, EndReason::Rejected as u8));
    world.settles();
}

#[test]
fn when_all_have_failed_the_last_answer_is_told_unless_it_is_not_the_customers_business() {
    for (last, told) in [(404, 404), (480, 480), (302, 503), (401, 503), (402, 503), (407, 503)] {
        let mut world = World::new();
        let (key, first) = world.call_begins(&[0, 1]);
        world.vendor_says(0, &first, 500, "v", "");
        world.vendor_gets(0, "ACK ");
        let second = world.vendor_gets(1, "INVITE ");
        world.vendor_says(1, &second, last, "w", "");
        world.vendor_gets(1, "ACK ");
        let failure = world.caller_gets(&format!("SIP/2.0 {told} "));
        assert!(!failure.contains("Authenticate") && !failure.contains("Retry-After"));
        let record = world.ended_by(key, EndedBy::Callee, EndReason::Rejected);
        assert_eq!(record.attempts()[1].status, last);
        world.settles();
    }
}

#[test]
fn a_silent_vendor_is_given_up_after_4_seconds_and_cancelled_when_it_wakes() {
    let mut world = World::new();
    let (key, first) = world.call_begins(&[0, 1]);
    world.wait_ms(3_999);
    assert_eq!(world.ignore_messages(), 3);
    world.wait_ms(1);
    let second = world.vendor_gets(1, "INVITE ");
    world.wait_ms(1_000);
    world.ignore_messages();
    // A CANCEL must wait for a 1xx.
    world.vendor_says(0, &first, 180, "v", "");
    let cancel = world.vendor_gets(0, "CANCEL ");
    assert_eq!(header(&cancel, "Via"), header(&first, "Via"));
    assert_eq!(header(&cancel, "CSeq"), "1 CANCEL");
    world.is_quiet();
    world.vendor_says(0, &cancel, 200, "v", "");
    world.vendor_says(0, &first, 487, "v", "");
    world.vendor_gets(0, "ACK ");
    world.vendor_says(1, &second, 200, "w", &vendor_sdp());
    world.vendor_gets(1, "ACK ");
    world.commit();
    let answer = world.caller_gets("SIP/2.0 200 ");
    world.caller_sends(&caller_request("ACK", 1, &answer, ""));
    world.caller_sends(&caller_request("BYE", 2, &answer, ""));
    let record = world.ended(key);
    let [one, _] = record.attempts() else { panic!("two attempts") };
    assert_eq!((one.status, one.reason), (487, EndReason::Timeout as u8));
    assert_eq!(one.ended_ms, 4_000);
    world.settles();
}

#[test]
fn a_late_answer_of_a_vendor_given_up_gets_ack_and_bye_and_is_in_the_record() {
    let mut world = World::new();
    let (key, first) = world.call_begins(&[0, 1]);
    world.wait_ms(4_000);
    world.ignore_messages();
    world.vendor_says(0, &first, 200, "v", &vendor_sdp());
    let ack = world.vendor_gets(0, "ACK sip:vendor@203.0.113.10:5060 SIP/2.0");
    let bye = world.vendor_gets(0, "BYE sip:vendor@203.0.113.10:5060 SIP/2.0");
    assert_eq!((header(&ack, "CSeq"), header(&bye, "CSeq")), ("1 ACK", "2 BYE"));
    assert_eq!(header(&bye, "To"), header(&ack, "To"));
    assert_eq!(header(&bye, "Call-ID"), header(&first, "Call-ID"));
    // It repeats itself: one more ACK, no more BYE.
    world.vendor_says(0, &first, 200, "v", &vendor_sdp());
    world.vendor_gets(0, "ACK ");
    world.is_quiet();
    assert_eq!(world.count(Counter::AnswersUnwanted), 1);
    world.vendor_says(0, &bye, 200, "v", "");
    world.caller_sends(&beside_invite(1, "CANCEL", "<sip:4420@192.0.2.1>"));
    world.wait_ms(6_000);
    let record = world.ended_by(key, EndedBy::Caller, EndReason::Cancelled);
    let [one, _] = record.attempts() else { panic!("two attempts") };
    assert_eq!((one.status, one.answered_ms), (200, 4_000));
    world.settles();
}

#[test]
fn forks_that_repeat_their_late_answers_in_turn_hear_one_bye_each() {
    let mut world = World::new();
    let (_, first) = world.call_begins(&[0, 1]);
    world.wait_ms(4_000);
    world.ignore_messages();
    for round in 0..3 {
        for fork in ["v", "w", "x"] {
            world.vendor_says(0, &first, 200, fork, &vendor_sdp());
            world.vendor_gets(0, "ACK ");
            if round == 0 {
                let bye = world.vendor_gets(0, "BYE ");
                world.vendor_says(0, &bye, 200, fork, "");
            }
            world.is_quiet();
        }
    }
    assert_eq!(world.count(Counter::AnswersUnwanted), 3);
    world.caller_sends(&beside_invite(1, "CANCEL", "<sip:4420@192.0.2.1>"));
    world.settles();
}

#[test]
fn the_search_ends_with_its_budget() {
    let mut world = World::new();
    let (key, _) = world.call_begins(&[0, 1, 2]);
    world.wait_ms(11_999);
    assert!(!world.images[0].3);
    world.wait_ms(1);
    let record = world.ended_by(key, EndedBy::Server, EndReason::Timeout);
    assert_eq!((record.attempts().len(), record.status), (3, 408));
    world.ignore_messages();
    world.settles();
}

#[test]
fn the_ringing_ends_in_480_without_failover() {
    let mut world = World::new();
    let (key, first) = world.call_begins(&[0, 1]);
    world.vendor_says(0, &first, 180, "v", "");
    world.caller_gets("SIP/2.0 180 ");
    world.wait_ms(90_000);
    world.caller_gets("SIP/2.0 180 ");
    let failure = world.caller_gets("SIP/2.0 480 ");
    world.caller_sends(&beside_invite(1, "ACK", header(&failure, "To")));
    let cancel = world.vendor_gets(0, "CANCEL ");
    world.vendor_says(0, &cancel, 200, "v", "");
    world.vendor_says(0, &first, 487, "v", "");
    world.vendor_gets(0, "ACK ");
    let record = world.ended_by(key, EndedBy::Server, EndReason::NoAnswer);
    assert_eq!(record.ended_ms, 90_000);
    assert_eq!(record.attempts()[0].reason, EndReason::NoAnswer as u8);
    world.is_quiet();
    world.settles();
}

#[test]
fn no_more_vendors_are_changed_than_allowed() {
    let mut world = World::new();
    world.caller_sends(&invite(1, &caller_sdp()));
    world.caller_gets("SIP/2.0 100 ");
    let admit = world.admit();
    world.route_with(admit.call, &[0, 1], |route| route.switches_max = 0);
    let first = world.vendor_gets(0, "INVITE ");
    world.vendor_says(0, &first, 500, "v", "");
    world.vendor_gets(0, "ACK ");
    world.caller_gets("SIP/2.0 500 ");
    world.is_quiet();
    world.settles();
}

#[test]
fn media_of_a_vendor_stops_failover_when_so_set() {
    for (stop, asked) in [(1, false), (0, true)] {
        let mut world = World::new();
        world.set(|parameters| parameters.stop_after_rtp = stop);
        let (_, first) = world.call_begins(&[0, 1]);
        world.vendor_says(0, &first, 183, "v", &vendor_sdp());
        let early = world.caller_gets("SIP/2.0 183 ");
        assert_eq!(media_port(&early), CALLER_PORT);
        let mut rtp = [0_u8; 172];
        rtp[0] = 0x80;
        let (now, source) = (world.now, "203.0.113.10:6000".parse().unwrap());
        let verdict = world.switch.media().forward(now, media_port(&first), source, &rtp);
        assert!(matches!(verdict, relay::Verdict::Send { .. }), "{verdict:?}");
        world.vendor_says(0, &first, 500, "v", "");
        world.vendor_gets(0, "ACK ");
        if asked {
            world.vendor_gets(1, "INVITE ");
        } else {
            world.caller_gets("SIP/2.0 500 ");
        }
        world.is_quiet();
        world.settles();
    }
}

#[test]
fn each_fork_of_a_vendor_has_its_own_tag_towards_the_caller() {
    let mut world = World::new();
    let (_, first) = world.call_begins(&[0]);
    world.vendor_says(0, &first, 180, "x", "");
    let x = world.caller_gets("SIP/2.0 180 ");
    world.vendor_says(0, &first, 183, "y", &vendor_sdp());
    let y = world.caller_gets("SIP/2.0 183 ");
    world.vendor_says(0, &first, 180, "x", "");
    let x_again = world.caller_gets("SIP/2.0 180 ");
    assert_eq!(header(&x, "To"), header(&x_again, "To"));
    assert_ne!(header(&x, "To"), header(&y, "To"));
    world.vendor_says(0, &first, 200, "y", &vendor_sdp());
    world.vendor_gets(0, "ACK ");
    world.commit();
    let answer = world.caller_gets("SIP/2.0 200 ");
    assert_eq!(header(&answer, "To"), header(&y, "To"));
    // The other fork answers too: it lost.
    world.vendor_says(0, &first, 200, "x", &vendor_sdp());
    let ack = world.vendor_gets(0, "ACK ");
    let bye = world.vendor_gets(0, "BYE ");
    assert!(header(&ack, "To").ends_with(";tag=x") && header(&bye, "To").ends_with(";tag=x"));
    world.caller_sends(&caller_request("ACK", 1, &answer, ""));
    world.caller_sends(&caller_request("BYE", 2, &answer, ""));
    world.settles();
}

/// RFC 3261 §15: the caller may end each early dialog by itself, also when another has been answered.
#[test]
fn a_bye_to_a_fork_that_did_not_answer_leaves_the_call_alone() {
    let mut world = World::new();
    let (key, invite) = world.call_begins(&[0]);
    world.vendor_says(0, &invite, 180, "one", "");
    let lost = world.caller_gets("SIP/2.0 180 ");
    world.vendor_says(0, &invite, 180, "two", "");
    world.caller_gets("SIP/2.0 180 ");
    world.vendor_says(0, &invite, 200, "two", &vendor_sdp());
    world.vendor_gets(0, "ACK ");
    world.commit();
    let answer = world.caller_gets("SIP/2.0 200 ");
    world.caller_sends(&caller_request("ACK", 1, &answer, ""));
    let bye = caller_request("BYE", 2, &lost, "");
    for _ in 0..2 {
        world.caller_sends(&bye);
        world.caller_gets("SIP/2.0 481 ");
    }
    assert_eq!(world.switch.calls_live(), 1);
    world.is_quiet();
    // Nor does its number count in the dialog that was answered.
    let bye = caller_request("BYE", 2, &answer, "").replace("BYE2;", "BYE2b;");
    world.caller_sends(&bye);
    world.caller_gets("SIP/2.0 200 ");
    world.vendor_gets(0, "BYE ");
    world.ended_by(key, EndedBy::Caller, EndReason::Normal);
    world.settles();
}

#[test]
fn a_vendor_that_cannot_be_reached_at_all_is_passed_over() {
    let mut world = World::new();
    world.caller_sends(&invite(1, &caller_sdp()));
    world.caller_gets("SIP/2.0 100 ");
    let admit = world.admit();
    world.route_with(admit.call, &[0, 1], |route| {
        route.candidates[0].target = Endpoint::NONE;
    });
    world.vendor_gets(1, "INVITE ");
    world.is_quiet();
    world.settles();
}

#[test]
fn an_answer_without_any_description_is_of_no_use() {
    let mut world = World::new();
    let (key, first) = world.call_begins(&[0, 1]);
    world.vendor_says(0, &first, 200, "v", "");
    world.vendor_gets(0, "ACK ");
    world.vendor_gets(0, "BYE ");
    world.caller_gets("SIP/2.0 488 ");
    world.is_quiet();
    world.ended_by(key, EndedBy::Server, EndReason::BadMedia);
    world.settles();
}

#[test]
fn early_media_described_once_need_not_be_described_again() {
    let mut world = World::new();
    let (_, first) = world.call_begins(&[0]);
    world.vendor_says(0, &first, 183, "v", &vendor_sdp());
    world.caller_gets("SIP/2.0 183 ");
    world.vendor_says(0, &first, 200, "v", "");
    world.vendor_gets(0, "ACK ");
    world.commit();
    world.caller_gets("SIP/2.0 200 ");
    world.settles();
}

#[test]
fn a_vendor_that_is_full_when_its_turn_comes_is_passed_over() {
    let mut world = World::new();
    world.full = vec![1];
    let (key, first) = world.call_begins(&[0, 1, 2]);
    world.vendor_says(0, &first, 503, "v", "");
    world.vendor_gets(0, "ACK ");
    let third = world.vendor_gets(2, "INVITE ");
    world.is_quiet();
    assert_eq!(world.count(Counter::CandidatesFull), 1);
    world.vendor_says(2, &third, 404, "v", "");
    world.vendor_gets(2, "ACK ");
    world.caller_gets("SIP/2.0 404 ");
    world.ended_by(key, EndedBy::Callee, EndReason::Rejected);
    let record = world.images.iter().find(|image| image.0 == key).unwrap().1;
    let tried: Vec<u32> = record.attempts().iter().map(|attempt| attempt.gateway).collect();
    assert_eq!(tried, [100, 102]);
    world.settles();
}

#[test]
fn when_all_others_are_full_the_caller_hears_the_last_failure() {
    let mut world = World::new();
    world.full = vec![1, 2];
    let (key, first) = world.call_begins(&[0, 1, 2]);
    world.vendor_says(0, &first, 500, "v", "");
    world.vendor_gets(0, "ACK ");
    world.caller_gets("SIP/2.0 500 ");
    world.is_quiet();
    world.ended_by(key, EndedBy::Callee, EndReason::Rejected);
    world.settles();
}

#[test]
fn a_caller_may_cancel_while_control_is_asked_for_the_next_vendor() {
    let mut world = World::new();
    world.reroutes = false;
    let (key, first) = world.call_begins(&[0, 1]);
    world.vendor_says(0, &first, 503, "v", "");
    world.vendor_gets(0, "ACK ");
    let Some(Ask::Reroute(reroute)) = world.asks.pop() else { panic!("a line is asked for") };
    assert_eq!((reroute.call, reroute.gateway), (key, 101));
    world.caller_sends(&beside_invite(1, "CANCEL", "<sip:4420@192.0.2.1>"));
    world.caller_gets("SIP/2.0 200 ");
    world.caller_gets("SIP/2.0 487 ");
    world.ended_by(key, EndedBy::Caller, EndReason::Cancelled);
    let late = Rerouted { call: key, gateway: 101, granted: 1 };
    world.answer(Answer::Rerouted(late));
    world.is_quiet();
    assert_eq!(world.count(Counter::AnswersLate), 1);
    world.settles();
}

#[test]
fn a_call_goes_on_to_the_next_vendor_when_control_does_not_say_a_word() {
    let mut world = World::new();
    world.reroutes = false;
    let (key, first) = world.call_begins(&[0, 1]);
    world.vendor_says(0, &first, 503, "v", "");
    world.vendor_gets(0, "ACK ");
    world.is_quiet();
    world.wait_ms(5_000);
    world.vendor_gets(1, "INVITE ");
    // The word comes late, and for another vendor than the one that is asked for now.
    world.answer(Answer::Rerouted(Rerouted { call: key, gateway: 101, granted: 0 }));
    assert_eq!(world.count(Counter::AnswersLate), 1);
    assert_eq!(world.asks.len(), 1);
}
