//! The phones of one user, called at once.

use link::answer::Span;

use super::*;

const TO: &str = "<sip:4420@192.0.2.1>";

/// Puts the candidates into one group, as phones that registered: each with a Request-URI of its own.
fn ring_together(route: &mut Route) {
    let mut texts = Vec::new();
    for (index, candidate) in route.candidates.iter_mut().enumerate() {
        let uri = format!("sip:bob@10.9.9.{index}:5062;ob");
        candidate.gateway = 900;
        candidate.group = 7;
        candidate.uri = Span { at: texts.len() as u16, length: uri.len() as u16 };
        texts.extend_from_slice(uri.as_bytes());
    }
    route.texts = Text::new(&texts).unwrap();
}

/// A call to phones, of which each has its INVITE.
fn phones_ring(world: &mut World, phones: &[usize]) -> (CallKey, Vec<String>) {
    world.caller_sends(&invite(1, &caller_sdp()));
    world.caller_gets("SIP/2.0 100 ");
    let call = world.admit().call;
    world.route_with(call, phones, ring_together);
    let invites = phones.iter().map(|&phone| world.vendor_gets(phone, "INVITE ")).collect();
    world.is_quiet();
    (call, invites)
}

/// A phone was cancelled: it says so.
fn gives_in(world: &mut World, phone: usize, invite: &str) {
    let cancel = world.vendor_gets(phone, "CANCEL ");
    assert_eq!(header(&cancel, "Via"), header(invite, "Via"));
    world.vendor_says(phone, &cancel, 200, "c", "");
    world.vendor_says(phone, invite, 487, "c", "");
    world.vendor_gets(phone, "ACK ");
}

fn talk_and_hang_up(world: &mut World) {
    world.commit();
    let answer = world.caller_gets("SIP/2.0 200 ");
    world.caller_sends(&caller_request("ACK", 1, &answer, ""));
    world.caller_sends(&caller_request("BYE", 2, &answer, ""));
    world.caller_gets("SIP/2.0 200 ");
}

#[test]
fn all_phones_ring_as_one_leg_and_the_first_answer_wins() {
    let mut world = World::new();
    let (key, invites) = phones_ring(&mut world, &[0, 1, 2]);
    assert!(invites[0].starts_with("INVITE sip:bob@10.9.9.0:5062;ob SIP/2.0"));
    assert!(invites[2].starts_with("INVITE sip:bob@10.9.9.2:5062;ob SIP/2.0"));
    for name in ["Call-ID", "From", "To", "CSeq"] {
        assert!(invites.iter().all(|invite| header(invite, name) == header(&invites[0], name)));
    }
    assert_eq!(header(&invites[0], "To"), "<sip:004420@203.0.113.1>");
    assert_ne!(header(&invites[0], "Via"), header(&invites[1], "Via"));
    assert_eq!(media_port(&invites[0]), media_port(&invites[2]));
    world.vendor_says(0, &invites[0], 180, "a", "");
    let a = world.caller_gets("SIP/2.0 180 ");
    world.vendor_says(2, &invites[2], 180, "c", "");
    let c = world.caller_gets("SIP/2.0 180 ");
    assert_ne!(header(&a, "To"), header(&c, "To"));
    world.wait_ms(300);
    world.vendor_says(2, &invites[2], 200, "c", &vendor_sdp());
    gives_in(&mut world, 0, &invites[0]);
    let ack = world.vendor_gets(2, "ACK sip:vendor@203.0.113.30:5060 SIP/2.0");
    assert!(header(&ack, "To").ends_with(";tag=c"));
    talk_and_hang_up(&mut world);
    // Of one no word has come: its CANCEL waits for one, and its INVITE is repeated until then, as it may
    // ring with a 180 that was lost.
    world.wait_ms(400);
    assert_eq!(world.vendor_gets(1, "INVITE "), invites[1]);
    world.vendor_says(1, &invites[1], 180, "b", "");
    gives_in(&mut world, 1, &invites[1]);
    world.vendor_gets(2, "BYE sip:vendor@203.0.113.30:5060 SIP/2.0");
    let record = world.ended_by(key, EndedBy::Caller, EndReason::Normal);
    let [one, two, three] = record.attempts() else { panic!("three attempts") };
    for (attempt, status) in [(one, 487), (two, 0)] {
        let seen = (attempt.status, attempt.reason, attempt.answered_ms, attempt.ended_ms);
        assert_eq!(seen, (status, EndReason::Cancelled as u8, NEVER, 300));
    }
    assert_eq!((three.status, three.answered_ms, record.attempt_index), (200, 300, 2));
    assert_eq!(three.ended_ms, record.ended_ms);
    world.settles();
}

/// RFC 3326 §3.1: who was not asked to tell why is not, and of the others none shows a missed call.
#[test]
fn phones_that_lose_hear_that_the_call_was_taken_elsewhere_and_no_others_do() {
    let reason = "SIP;cause=200;text=\"Call completed elsewhere\"";
    for wants in [1, 0] {
        let mut world = World::new();
        world.wants(900, |phone| phone.reason = wants);
        let (_, invites) = phones_ring(&mut world, &[0, 1, 2]);
        world.vendor_says(1, &invites[1], 180, "b", "");
        world.caller_gets("SIP/2.0 180 ");
        world.vendor_says(0, &invites[0], 200, "a", &vendor_sdp());
        let cancel = world.vendor_gets(1, "CANCEL ");
        // This one was silent until now: its CANCEL comes later and says the same.
        world.vendor_says(2, &invites[2], 180, "c", "");
        for cancel in [cancel, world.vendor_gets(2, "CANCEL ")] {
            assert_eq!(cancel.contains(&format!("\r\nReason: {reason}\r\n")), wants == 1);
            assert_eq!(cancel.matches("Reason:").count(), usize::from(wants));
        }
        world.vendor_gets(0, "ACK ");
        talk_and_hang_up(&mut world);
        assert!(!world.vendor_gets(0, "BYE ").contains("elsewhere"));
        world.settles();
    }
    let mut world = World::new();
    world.wants(900, |phone| phone.reason = 1);
    let (_, invites) = phones_ring(&mut world, &[0, 1]);
    for phone in [0, 1] {
        world.vendor_says(phone, &invites[phone], 180, "x", "");
    }
    world.vendor_says(0, &invites[0], 603, "a", "");
    assert_eq!(header(&world.vendor_gets(1, "CANCEL "), "Reason").split(';').next(), Some("Q.850"));
    world.settles();
}

#[test]
fn two_answers_at_once_are_one_call_and_one_bye() {
    let mut world = World::new();
    let (key, invites) = phones_ring(&mut world, &[0, 1]);
    for phone in [0, 1] {
        world.vendor_says(phone, &invites[phone], 180, "x", "");
    }
    world.ignore_messages();
    world.vendor_says(0, &invites[0], 200, "x", &vendor_sdp());
    world.vendor_says(1, &invites[1], 200, "x", &vendor_sdp());
    world.vendor_gets(0, "ACK ");
    world.vendor_gets(1, "CANCEL ");
    world.vendor_gets(1, "ACK sip:vendor@203.0.113.20:5060 SIP/2.0");
    let bye = world.vendor_gets(1, "BYE sip:vendor@203.0.113.20:5060 SIP/2.0");
    world.vendor_says(1, &bye, 200, "", "");
    // Both repeat themselves, and get their ACKs again.
    for phone in [0, 1] {
        world.vendor_says(phone, &invites[phone], 200, "x", &vendor_sdp());
        world.vendor_gets(phone, "ACK ");
    }
    world.is_quiet();
    assert_eq!(world.count(Counter::AnswersUnwanted), 1);
    talk_and_hang_up(&mut world);
    let record = world.ended_by(key, EndedBy::Caller, EndReason::Normal);
    let [one, two] = record.attempts() else { panic!("two attempts") };
    assert_eq!((one.status, two.status, two.answered_ms), (200, 200, NEVER));
    world.settles();
}

#[test]
fn a_phone_that_declines_for_all_ends_the_ringing() {
    let mut world = World::new();
    let (key, invites) = phones_ring(&mut world, &[0, 1, 2]);
    world.vendor_says(1, &invites[1], 180, "b", "");
    world.caller_gets("SIP/2.0 180 ");
    world.vendor_says(0, &invites[0], 603, "a", "");
    world.vendor_gets(0, "ACK ");
    world.wait_ms(100);
    // What rings is heard to its end; who has said nothing is not waited for.
    world.vendor_says(1, &invites[1], 180, "b", "");
    gives_in(&mut world, 1, &invites[1]);
    world.caller_gets("SIP/2.0 603 ");
    world.is_quiet();
    let record = world.ended_by(key, EndedBy::Callee, EndReason::Busy);
    let statuses: Vec<u16> = record.attempts().iter().map(|attempt| attempt.status).collect();
    assert_eq!((record.status, statuses), (603, vec![603, 487, 0]));
    world.settles();
}

#[test]
fn an_answer_that_crosses_the_cancel_of_a_6xx_counts() {
    let mut world = World::new();
    let (key, invites) = phones_ring(&mut world, &[0, 1]);
    world.vendor_says(1, &invites[1], 180, "b", "");
    world.caller_gets("SIP/2.0 180 ");
    world.vendor_says(0, &invites[0], 600, "a", "");
    world.vendor_gets(0, "ACK ");
    world.vendor_gets(1, "CANCEL ");
    world.vendor_says(1, &invites[1], 200, "b", &vendor_sdp());
    world.vendor_gets(1, "ACK ");
    talk_and_hang_up(&mut world);
    let record = world.ended_by(key, EndedBy::Caller, EndReason::Normal);
    assert_eq!(record.attempts()[1].ended_ms, record.ended_ms);
    world.settles();
}

#[test]
fn a_phone_that_never_answers_the_cancel_of_a_6xx_is_waited_for_5_seconds() {
    let mut world = World::new();
    let (key, invites) = phones_ring(&mut world, &[0, 1]);
    world.vendor_says(1, &invites[1], 180, "b", "");
    world.vendor_says(0, &invites[0], 600, "a", "");
    world.ignore_messages();
    world.wait_ms(5_000);
    world.caller_gets("SIP/2.0 600 ");
    world.ended_by(key, EndedBy::Callee, EndReason::Busy);
    world.settles();
}

#[test]
fn the_best_failure_of_a_group_decides_what_comes_next() {
    for (said, told) in [
        ([486, 480, 404], 486),
        ([404, 480, 486], 486),
        ([500, 480, 503], 480),
        ([503, 500, 503], 500),
        ([503, 401, 302], 503),
        ([407, 404, 500], 404),
    ] {
        let mut world = World::new();
        let (key, invites) = phones_ring(&mut world, &[0, 1, 2]);
        for (phone, status) in said.into_iter().enumerate() {
            world.is_quiet();
            world.vendor_says(phone, &invites[phone], status, "t", "");
            world.vendor_gets(phone, "ACK ");
        }
        world.caller_gets(&format!("SIP/2.0 {told} "));
        world.ended(key);
        world.settles();
    }
}

#[test]
fn after_the_phones_the_next_candidate_has_its_turn() {
    let mut world = World::new();
    world.caller_sends(&invite(1, &caller_sdp()));
    world.caller_gets("SIP/2.0 100 ");
    let call = world.admit().call;
    world.route_with(call, &[0, 1, 2], |route| {
        ring_together(route);
        route.candidates[2].group = 0;
        route.candidates[2].gateway = 102;
    });
    let first = world.vendor_gets(0, "INVITE ");
    let second = world.vendor_gets(1, "INVITE ");
    world.is_quiet();
    world.vendor_says(0, &first, 480, "a", "");
    world.vendor_gets(0, "ACK ");
    world.is_quiet();
    world.vendor_says(1, &second, 404, "b", "");
    world.vendor_gets(1, "ACK ");
    let third = world.vendor_gets(2, "INVITE ");
    assert_ne!(header(&third, "Call-ID"), header(&first, "Call-ID"));
    assert_eq!(world.count(Counter::Failovers), 1);
    world.vendor_says(2, &third, 200, "c", &vendor_sdp());
    world.vendor_gets(2, "ACK ");
    talk_and_hang_up(&mut world);
    assert_eq!(world.ended(call).attempt_index, 2);
    world.settles();
}

#[test]
fn phones_whose_line_is_not_granted_are_passed_over_together() {
    let mut world = World::new();
    world.full = vec![800];
    world.caller_sends(&invite(1, &caller_sdp()));
    world.caller_gets("SIP/2.0 100 ");
    let call = world.admit().call;
    world.route_with(call, &[0, 1, 2, 0], |route| {
        ring_together(route);
        for alone in [0, 3] {
            route.candidates[alone].group = 0;
            route.candidates[alone].gateway = 100;
        }
    });
    let first = world.vendor_gets(0, "INVITE ");
    world.vendor_says(0, &first, 500, "a", "");
    world.vendor_gets(0, "ACK ");
    world.vendor_gets(0, "INVITE ");
    world.is_quiet();
    assert_eq!((world.count(Counter::CandidatesFull), world.ended_attempts(call)), (1, 1));
    world.settles();
}

#[test]
fn a_cancel_reaches_every_phone_and_the_record_waits_for_all() {
    let mut world = World::new();
    let (key, invites) = phones_ring(&mut world, &[0, 1]);
    for phone in [0, 1] {
        world.vendor_says(phone, &invites[phone], 180, "x", "");
    }
    world.ignore_messages();
    world.caller_sends(&beside_invite(1, "CANCEL", TO));
    world.caller_gets("SIP/2.0 200 ");
    world.caller_gets("SIP/2.0 487 ");
    gives_in(&mut world, 0, &invites[0]);
    assert!(!world.images[0].3, "one phone has not said its last");
    // The other takes the phone off the hook in this very moment.
    world.vendor_gets(1, "CANCEL ");
    world.vendor_says(1, &invites[1], 200, "x", &vendor_sdp());
    world.vendor_gets(1, "ACK ");
    world.vendor_gets(1, "BYE ");
    let record = world.ended_by(key, EndedBy::Caller, EndReason::Cancelled);
    assert_eq!((record.attempts()[0].status, record.attempts()[1].status), (487, 200));
    world.settles();
}

#[test]
fn a_bye_to_the_winner_leaves_the_losers_alone() {
    let mut world = World::new();
    let (key, invites) = phones_ring(&mut world, &[0, 1]);
    world.vendor_says(1, &invites[1], 180, "b", "");
    world.caller_gets("SIP/2.0 180 ");
    world.vendor_says(0, &invites[0], 200, "a", &vendor_sdp());
    world.vendor_gets(0, "ACK ");
    world.vendor_gets(1, "CANCEL ");
    // The winner hangs up before the caller heard of it, the loser answers at last.
    world.vendor_sends(0, &vendor_request(0, "BYE", 1, &invites[0], "a", ""));
    world.vendor_gets(0, "SIP/2.0 200 ");
    world.caller_gets("SIP/2.0 480 ");
    world.vendor_says(1, &invites[1], 200, "b", &vendor_sdp());
    world.vendor_gets(1, "ACK ");
    world.vendor_gets(1, "BYE ");
    world.is_quiet();
    world.ended_by(key, EndedBy::Callee, EndReason::Normal);
    world.settles();
}

#[test]
fn dead_phones_do_not_hold_up_those_that_ring() {
    let mut world = World::new();
    let (key, invites) = phones_ring(&mut world, &[0, 1]);
    world.vendor_says(1, &invites[1], 180, "b", "");
    world.caller_gets("SIP/2.0 180 ");
    world.wait_ms(40_000);
    world.ignore_messages();
    world.vendor_says(1, &invites[1], 200, "b", &vendor_sdp());
    world.vendor_gets(1, "ACK ");
    talk_and_hang_up(&mut world);
    let record = world.ended(key);
    assert_eq!(record.attempts()[0].reason, EndReason::Timeout as u8);
    assert_eq!(record.attempts()[0].ended_ms, 32_000);
    world.settles();
}

#[test]
fn a_dead_phone_does_not_ring_on_after_a_busy_one() {
    for (rung_ms, then_ms) in [(10_000, 0), (1_000, 3_000)] {
        let mut world = World::new();
        let (_, invites) = phones_ring(&mut world, &[0, 1]);
        world.vendor_says(0, &invites[0], 180, "a", "");
        world.caller_gets("SIP/2.0 180 ");
        world.wait_ms(rung_ms);
        world.ignore_messages();
        world.vendor_says(0, &invites[0], 486, "a", "");
        world.vendor_gets(0, "ACK ");
        world.is_quiet();
        world.wait_ms(then_ms);
        let busy = world.inbox.pop().unwrap().1;
        assert!(busy.starts_with("SIP/2.0 486 "), "{busy}");
        world.settles();
    }
}

#[test]
fn silent_phones_are_given_up_together() {
    let mut world = World::new();
    let (key, _) = phones_ring(&mut world, &[0, 1, 2]);
    world.wait_ms(4_000);
    let failure = world.caller_gets("SIP/2.0 408 ");
    world.caller_sends(&beside_invite(1, "ACK", header(&failure, "To")));
    let record = world.ended_by(key, EndedBy::Server, EndReason::Timeout);
    assert_eq!(record.attempts().len(), 3);
    world.settles();
}

#[test]
fn a_busy_phone_beside_silent_ones_is_what_the_caller_hears() {
    let mut world = World::new();
    let (_, invites) = phones_ring(&mut world, &[0, 1]);
    world.vendor_says(0, &invites[0], 486, "a", "");
    world.vendor_gets(0, "ACK ");
    world.wait_ms(4_000);
    world.caller_gets("SIP/2.0 486 ");
    world.settles();
}

#[test]
fn phones_of_another_family_are_a_leg_of_their_own() {
    let mut world = World::new();
    world.caller_sends(&invite(1, &caller_sdp()));
    world.caller_gets("SIP/2.0 100 ");
    let call = world.admit().call;
    world.route_with(call, &[0, 3], ring_together);
    let first = world.vendor_gets(0, "INVITE ");
    world.is_quiet();
    world.vendor_says(0, &first, 480, "a", "");
    world.vendor_gets(0, "ACK ");
    world.vendor_gets(3, "INVITE ");
    world.settles();
}

#[test]
fn a_phone_behind_a_proxy_is_called_along_its_path() {
    let mut world = World::new();
    world.caller_sends(&invite(1, &caller_sdp()));
    world.caller_gets("SIP/2.0 100 ");
    let call = world.admit().call;
    let (uri, path) = ("sip:bob@192.168.1.9", "<sip:203.0.113.30:5060;lr>,<sip:inner;lr>");
    world.route_with(call, &[0], |route| {
        let [candidate, ..] = &mut route.candidates;
        candidate.uri = Span { at: 0, length: uri.len() as u16 };
        candidate.path = Span { at: uri.len() as u16, length: path.len() as u16 };
        route.texts = Text::new(format!("{uri}{path}").as_bytes()).unwrap();
    });
    let invite = world.vendor_gets(2, "INVITE sip:bob@192.168.1.9 SIP/2.0");
    assert_eq!(header(&invite, "Route"), path);
    world.vendor_says(2, &invite, 180, "p", "");
    world.caller_gets("SIP/2.0 180 ");
    world.caller_sends(&beside_invite(1, "CANCEL", TO));
    let cancel = world.vendor_gets(2, "CANCEL sip:bob@192.168.1.9 SIP/2.0");
    assert_eq!(header(&cancel, "Route"), path);
    world.vendor_says(2, &invite, 487, "p", "");
    world.settles();
}

#[test]
fn one_phone_that_cannot_be_reached_keeps_no_other_from_ringing() {
    let mut world = World::new();
    world.caller_sends(&invite(1, &caller_sdp()));
    world.caller_gets("SIP/2.0 100 ");
    let call = world.admit().call;
    world.route_with(call, &[0, 1, 2], |route| {
        ring_together(route);
        let uris = route.texts.as_bytes().to_vec();
        route.candidates[1].path = Span { at: uris.len() as u16, length: 1_500 };
        route.texts = Text::new(&[uris, vec![b'x'; 1_500]].concat()).unwrap();
    });
    world.vendor_gets(0, "INVITE ");
    let third = world.vendor_gets(2, "INVITE ");
    world.is_quiet();
    world.vendor_says(2, &third, 200, "c", &vendor_sdp());
    world.vendor_gets(2, "ACK ");
    talk_and_hang_up(&mut world);
    let record = world.ended(call);
    assert_eq!((record.attempts().len(), record.attempt_index), (3, 2));
    world.settles();
}

#[test]
fn eight_phones_ring_at_once_and_what_does_not_fit_is_left_out() {
    for (limits, out) in [
        (Limits { transactions_max: 64, ..limits() }, 8),
        (Limits { transactions_max: 6, ..limits() }, 5),
    ] {
        let mut world = World::with_limits(limits);
        world.caller_sends(&invite(1, &caller_sdp()));
        world.caller_gets("SIP/2.0 100 ");
        let call = world.admit().call;
        world.route_with(call, &[0, 1, 2, 0, 1, 2, 0, 1], ring_together);
        assert_eq!(world.count(Counter::Attempts), out);
        assert_eq!(world.ignore_messages(), out as usize);
        world.settles();
    }
}
