//! CANCEL and whatever it crosses.

use super::*;

const TO: &str = "<sip:4420@192.0.2.1>";

#[test]
fn a_cancel_while_it_rings_reaches_the_vendor() {
    let mut world = World::new();
    let (key, first) = world.call_begins(&[0, 1]);
    world.vendor_says(0, &first, 180, "v", "");
    world.caller_gets("SIP/2.0 180 ");
    let cancel = beside_invite(1, "CANCEL", TO).replace(
        "Content-Length",
        "Reason: SIP;cause=200;text=\"Call completed elsewhere\"\r\nContent-Length",
    );
    world.caller_sends(&cancel);
    let ok = world.caller_gets("SIP/2.0 200 ");
    let failure = world.caller_gets("SIP/2.0 487 ");
    assert_eq!(header(&ok, "To"), header(&failure, "To"));
    let cancel = world.vendor_gets(0, "CANCEL ");
    assert!(header(&cancel, "Reason").starts_with("SIP;cause=200"));
    world.caller_sends(&beside_invite(1, "ACK", header(&failure, "To")));
    world.vendor_says(0, &cancel, 200, "v", "");
    assert!(!world.images[0].3, "the vendor has not said its last");
    world.vendor_says(0, &first, 487, "v", "");
    world.vendor_gets(0, "ACK ");
    world.is_quiet();
    let record = world.ended_by(key, EndedBy::Caller, EndReason::Cancelled);
    assert_eq!((record.status, record.attempts()[0].status), (487, 487));
    world.settles();
}

#[test]
fn a_cancel_before_control_answered_withdraws_the_question() {
    let mut world = World::new();
    world.caller_sends(&invite(1, &caller_sdp()));
    world.caller_gets("SIP/2.0 100 ");
    let admit = world.admit();
    world.caller_sends(&beside_invite(1, "CANCEL", TO));
    world.caller_gets("SIP/2.0 200 ");
    world.caller_gets("SIP/2.0 487 ");
    let Some(Ask::Abandon(abandon)) = world.asks.pop() else { panic!("no abandon") };
    assert_eq!((abandon.call, abandon.status), (admit.call, 487));
    assert_eq!(abandon.reason, EndReason::Cancelled as u32);
    world.route(admit.call, &[0]);
    world.is_quiet();
    world.settles();
}

#[test]
fn a_cancel_waits_for_the_first_1xx() {
    let mut world = World::new();
    let (key, first) = world.call_begins(&[0]);
    world.caller_sends(&beside_invite(1, "CANCEL", TO));
    world.caller_gets("SIP/2.0 200 ");
    world.caller_gets("SIP/2.0 487 ");
    world.is_quiet();
    world.vendor_says(0, &first, 100, "", "");
    world.vendor_gets(0, "CANCEL ");
    world.vendor_says(0, &first, 487, "v", "");
    world.vendor_gets(0, "ACK ");
    world.ended_by(key, EndedBy::Caller, EndReason::Cancelled);
    world.settles();
}

#[test]
fn a_cancel_that_crosses_the_200_ends_in_ack_and_bye() {
    let mut world = World::new();
    let (key, first) = world.call_begins(&[0]);
    world.vendor_says(0, &first, 180, "v", "");
    world.caller_gets("SIP/2.0 180 ");
    world.caller_sends(&beside_invite(1, "CANCEL", TO));
    world.vendor_gets(0, "CANCEL ");
    world.wait_ms(40);
    world.vendor_says(0, &first, 200, "v", &vendor_sdp());
    world.vendor_gets(0, "ACK ");
    world.vendor_gets(0, "BYE ");
    let record = world.ended_by(key, EndedBy::Caller, EndReason::Cancelled);
    assert_eq!(record.answered_ms, NEVER);
    assert_eq!((record.attempts()[0].status, record.attempts()[0].answered_ms), (200, 40));
    world.settles();
}

#[test]
fn a_cancel_while_the_answer_waits_for_its_record_gives_the_answer_back() {
    let mut world = World::new();
    let (key, first) = world.call_begins(&[0]);
    world.vendor_says(0, &first, 200, "v", &vendor_sdp());
    world.vendor_gets(0, "ACK ");
    world.caller_sends(&beside_invite(1, "CANCEL", TO));
    world.caller_gets("SIP/2.0 200 ");
    world.caller_gets("SIP/2.0 487 ");
    world.vendor_gets(0, "BYE ");
    world.is_quiet();
    world.commit();
    assert_eq!(world.count(Counter::AnswersLate), 1);
    let record = world.ended_by(key, EndedBy::Caller, EndReason::Cancelled);
    assert_eq!(record.answered_ms, NEVER);
    world.settles();
}

#[test]
fn a_cancel_after_the_answer_has_no_effect() {
    let mut world = World::new();
    let (_, invite, answer) = world.talking();
    world.caller_sends(&beside_invite(1, "CANCEL", TO));
    world.caller_gets("SIP/2.0 200 ");
    world.is_quiet();
    assert_eq!(world.switch.calls_live(), 1);
    world.caller_sends(&caller_request("BYE", 2, &answer, ""));
    drop(invite);
    world.settles();
}

#[test]
fn a_cancel_of_nothing_gets_481() {
    let mut world = World::new();
    world.caller_sends(&beside_invite(1, "CANCEL", TO));
    world.caller_gets("SIP/2.0 481 ");
    assert_eq!(world.count(Counter::CancelsUnmatched), 1);
    world.settles();
}

/// §9.2: whoever sent it learns that it was heard, and no more.
#[test]
fn a_cancel_of_anything_but_an_invite_gets_200_and_changes_nothing() {
    let mut world = World::new();
    let (key, _, answer) = world.talking();
    let info = caller_request("INFO", 2, &answer, "");
    let cancel_of = |request: &str, method: &str| {
        let cancel = request.replacen(&format!("{method} sip:"), "CANCEL sip:", 1);
        cancel.replacen(&format!("{method}\r\n"), "CANCEL\r\n", 1)
    };
    world.caller_sends(&info);
    let passed = world.vendor_gets(0, "INFO ");
    world.caller_sends(&cancel_of(&info, "INFO"));
    let ok = world.caller_gets("SIP/2.0 200 ");
    assert_eq!(header(&ok, "CSeq"), "2 CANCEL");
    assert_eq!(header(&ok, "To"), header(&answer, "To"));
    world.is_quiet();
    world.vendor_says(0, &passed, 200, "", "");
    let done = world.caller_gets("SIP/2.0 200 ");
    assert_eq!(header(&done, "CSeq"), "2 INFO");
    // Another branch is another matter.
    let stranger = cancel_of(&info, "INFO").replace("z9hG4bKINFO2", "z9hG4bKINFO3");
    world.caller_sends(&stranger);
    world.caller_gets("SIP/2.0 481 ");
    let bye = caller_request("BYE", 3, &answer, "");
    world.caller_sends(&bye);
    world.caller_gets("SIP/2.0 200 ");
    world.vendor_gets(0, "BYE ");
    world.caller_sends(&cancel_of(&bye, "BYE"));
    world.caller_gets("SIP/2.0 200 ");
    world.is_quiet();
    world.ended_by(key, EndedBy::Caller, EndReason::Normal);
    assert_eq!(world.count(Counter::CancelsUnmatched), 1);
    world.settles();
}

#[test]
fn a_record_does_not_wait_for_a_cancelled_vendor_that_never_answers() {
    let mut world = World::new();
    let (key, first) = world.call_begins(&[0]);
    world.vendor_says(0, &first, 180, "v", "");
    world.caller_sends(&beside_invite(1, "CANCEL", TO));
    world.wait_ms(5_000);
    let record = world.ended_by(key, EndedBy::Caller, EndReason::Cancelled);
    assert_eq!(record.ended_ms, 0);
    // The branch lives on: what it says late is still answered.
    world.ignore_messages();
    world.vendor_says(0, &first, 200, "v", &vendor_sdp());
    world.vendor_gets(0, "ACK ");
    world.vendor_gets(0, "BYE ");
    world.settles();
}

#[test]
fn a_bye_in_an_early_dialog_ends_it_like_a_cancel() {
    let mut world = World::new();
    let (key, first) = world.call_begins(&[0]);
    world.vendor_says(0, &first, 180, "v", "");
    let ringing = world.caller_gets("SIP/2.0 180 ");
    world.caller_sends(&caller_request("BYE", 2, &ringing, ""));
    world.caller_gets("SIP/2.0 200 ");
    world.caller_gets("SIP/2.0 487 ");
    world.vendor_gets(0, "CANCEL ");
    world.vendor_says(0, &first, 487, "v", "");
    world.ended_by(key, EndedBy::Caller, EndReason::Cancelled);
    world.settles();
}

/// RFC 3261 §13.3.1.
#[test]
fn an_invitation_that_expires_ends_as_if_cancelled() {
    let limited = with_lines(&invite(1, &caller_sdp()), "Expires: 10\r\n");
    let mut world = World::new();
    world.caller_sends(&limited);
    world.caller_gets("SIP/2.0 100 ");
    let call = world.admit().call;
    world.route(call, &[0, 1]);
    let first = world.vendor_gets(0, "INVITE ");
    world.vendor_says(0, &first, 180, "v", "");
    world.caller_gets("SIP/2.0 180 ");
    world.wait_ms(9_999);
    world.is_quiet();
    world.wait_ms(1);
    world.caller_gets("SIP/2.0 487 ");
    world.vendor_gets(0, "CANCEL ");
    world.is_quiet();
    world.vendor_says(0, &first, 487, "v", "");
    let record = world.ended_by(call, EndedBy::Caller, EndReason::Cancelled);
    assert_eq!((record.status, record.ended_ms), (487, 10_000));
    world.settles();

    // Before control has answered.
    let mut world = World::new();
    world.set(|parameters| parameters.admit_wait_ms = 20_000);
    world.caller_sends(&limited);
    world.admit();
    world.wait_ms(10_000);
    world.caller_gets("SIP/2.0 100 ");
    world.caller_gets("SIP/2.0 487 ");
    assert!(matches!(world.asks.pop(), Some(Ask::Abandon(abandon)) if abandon.status == 487));
    world.settles();
}

#[test]
fn an_invitation_that_was_answered_or_says_nothing_sensible_does_not_expire() {
    let mut world = World::new();
    world.caller_sends(&with_lines(&invite(1, &caller_sdp()), "Expires: 10\r\n"));
    world.caller_gets("SIP/2.0 100 ");
    let call = world.admit().call;
    world.route(call, &[0]);
    let first = world.vendor_gets(0, "INVITE ");
    assert!(!first.contains("\r\nExpires: "), "whoever called minds it, and we for it");
    world.vendor_says(0, &first, 200, "v", &vendor_sdp());
    world.vendor_gets(0, "ACK ");
    world.commit();
    let answer = world.caller_gets("SIP/2.0 200 ");
    world.caller_sends(&caller_request("ACK", 1, &answer, ""));
    world.wait_ms(10_000);
    world.is_quiet();
    assert_eq!(world.switch.calls_live(), 1);
    world.caller_sends(&caller_request("BYE", 2, &answer, ""));
    world.ended_by(call, EndedBy::Caller, EndReason::Normal);
    world.settles();

    let mut world = World::new();
    world.caller_sends(&with_lines(&invite(1, &caller_sdp()), "Expires: -1\r\n"));
    world.caller_gets("SIP/2.0 100 ");
    let call = world.admit().call;
    world.route(call, &[0]);
    let first = world.vendor_gets(0, "INVITE ");
    world.vendor_says(0, &first, 180, "v", "");
    world.caller_gets("SIP/2.0 180 ");
    world.wait_ms(20_000);
    world.is_quiet();
    world.settles();
}
