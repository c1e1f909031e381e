//! Vendors that want a password, in calls.

use link::report::News;
use sip::digest::Asker;

use super::errand::{challenge, proofs};
use super::*;
use crate::transaction;

pub(super) const ASKS: &str = "Digest realm=\"carrier\", nonce=\"n1\", algorithm=MD5, qop=\"auth\"";

const REFUSED: u8 = News::PasswordRefused as u8;

/// A world whose first vendor has a password.
fn world() -> World {
    let mut world = World::new();
    world.profile(0, |_| {});
    world
}

impl World {
    /// Asks for the password by `status`; the request that comes instead.
    fn asked_for_password(&mut self, request: &str, status: u16, line: &str) -> String {
        self.vendor_sends(0, &challenge(request, status, &[line]));
        let method = request.split(' ').next().unwrap();
        if method == "INVITE" {
            let ack = self.vendor_gets(0, "ACK ");
            assert_eq!(header(&ack, "Via"), header(request, "Via"));
        }
        self.vendor_gets(0, &format!("{method} "))
    }

    /// A call that talks, of which the vendor wanted a password.
    fn talking_by_password(&mut self) -> (CallKey, String, String) {
        let (key, first) = self.call_begins(&[0]);
        let invite = self.asked_for_password(&first, 407, ASKS);
        let answer = response(&invite, 200, "v", VENDORS[0], &vendor_sdp());
        self.vendor_sends(0, &with_lines(&answer, UPDATES));
        let ack = self.vendor_gets(0, "ACK ");
        assert_eq!(header(&ack, "CSeq"), "2 ACK");
        self.commit();
        let answer = self.caller_gets("SIP/2.0 200 ");
        self.caller_sends(&caller_request("ACK", 1, &answer, ""));
        (key, invite, answer)
    }
}

#[test]
fn an_invite_goes_out_once_more_with_the_password() {
    for (status, asker) in [(401, Asker::Server), (407, Asker::Proxy)] {
        let mut world = world();
        let (key, first) = world.call_begins(&[0, 1]);
        world.vendor_says(0, &first, 100, "", "");
        let second = world.asked_for_password(&first, status, ASKS);
        for same in ["Call-ID", "From", "To", "Contact", "Max-Forwards"] {
            assert_eq!(header(&first, same), header(&second, same));
        }
        assert_eq!(first.lines().next(), second.lines().next());
        assert_eq!(body(&first), body(&second));
        assert_eq!(header(&second, "CSeq"), "2 INVITE");
        assert_ne!(header(&first, "Via"), header(&second, "Via"));
        assert_eq!(proofs(&second, asker), 1);
        // The challenge again: its ACK again.
        world.vendor_sends(0, &challenge(&first, status, &[ASKS]));
        world.vendor_gets(0, "ACK ");
        world.is_quiet();

        world.vendor_says(0, &second, 180, "v", "");
        world.caller_gets("SIP/2.0 180 ");
        world.vendor_says(0, &second, 200, "v", &vendor_sdp());
        world.vendor_gets(0, "ACK ");
        world.commit();
        let answer = world.caller_gets("SIP/2.0 200 ");
        world.caller_sends(&caller_request("ACK", 1, &answer, ""));
        world.caller_sends(&caller_request("BYE", 2, &answer, ""));
        world.caller_gets("SIP/2.0 200 ");
        let bye = world.vendor_gets(0, "BYE ");
        assert_eq!(header(&bye, "CSeq"), "3 BYE");
        world.vendor_says(0, &bye, 200, "", "");

        let record = world.ended_by(key, EndedBy::Caller, EndReason::Normal);
        let [one] = record.attempts() else { panic!("one attempt") };
        assert_eq!((one.gateway, one.status), (100, 200));
        assert_eq!((world.count(Counter::Attempts), world.count(Counter::Failovers)), (1, 0));
        assert!(world.reports.is_empty());
        world.settles();
    }
}

#[test]
fn a_refused_password_is_told_to_control_and_the_next_vendor_is_tried() {
    let mut world = world();
    let (key, first) = world.call_begins(&[0, 1]);
    let second = world.asked_for_password(&first, 401, ASKS);
    world.vendor_sends(0, &challenge(&second, 401, &[&ASKS.replace("n1", "n2")]));
    world.vendor_gets(0, "ACK ");
    assert_eq!(world.news(), (100, REFUSED, 0, 401));
    let other = world.vendor_gets(1, "INVITE ");
    assert!(!other.contains("Authorization"));
    world.vendor_says(1, &other, 404, "w", "");
    world.vendor_gets(1, "ACK ");
    world.caller_gets("SIP/2.0 404 ");
    let record = world.ended(key);
    let statuses: Vec<u16> = record.attempts().iter().map(|attempt| attempt.status).collect();
    assert_eq!(statuses, [401, 404]);
    assert_eq!(world.count(Counter::PasswordsRefused), 1);
    world.settles();
}

#[test]
fn an_old_nonce_gets_one_more_try_and_no_more() {
    let mut world = world();
    let (_, first) = world.call_begins(&[0]);
    let stale = |nonce: &str| ASKS.replace("n1", nonce) + ", stale=TRUE";
    let second = world.asked_for_password(&first, 401, ASKS);
    let third = world.asked_for_password(&second, 401, &stale("n2"));
    assert_eq!((header(&third, "CSeq"), proofs(&third, Asker::Server)), ("3 INVITE", 1));
    assert!(header(&third, "Authorization").contains("nonce=\"n2\""));
    world.vendor_sends(0, &challenge(&third, 401, &[&stale("n3")]));
    world.vendor_gets(0, "ACK ");
    let failure = world.caller_gets("SIP/2.0 503 ");
    assert!(!failure.contains("Authenticate"));
    assert_eq!(world.news(), (100, REFUSED, 0, 401));
    world.is_quiet();
    world.settles();
}

#[test]
fn without_a_password_a_challenge_is_a_failure() {
    let mut world = World::new();
    world.profile(1, |_| {});
    let (_, first) = world.call_begins(&[0, 2]);
    world.vendor_sends(0, &challenge(&first, 407, &[ASKS]));
    world.vendor_gets(0, "ACK ");
    world.vendor_gets(2, "INVITE ");
    world.is_quiet();
    assert!(world.reports.is_empty());
    world.settles();
}

#[test]
fn a_proxy_and_the_one_behind_it_are_both_satisfied() {
    let mut world = world();
    let (_, first) = world.call_begins(&[0]);
    let proxy =
        "Digest realm=\"proxy\", nonce=\"p1\", algorithm=SHA-256, qop=\"auth\", opaque=\"o\"";
    let second = world.asked_for_password(&first, 407, proxy);
    let third = world.asked_for_password(&second, 401, ASKS);
    assert_eq!((proofs(&third, Asker::Server), proofs(&third, Asker::Proxy)), (1, 1));
    let again = header(&third, "Proxy-Authorization");
    assert!(again.contains("nc=00000002") && again.contains("opaque=\"o\""), "{again}");
    world.vendor_says(0, &third, 200, "v", &vendor_sdp());
    let ack = world.vendor_gets(0, "ACK ");
    assert_eq!(header(&ack, "CSeq"), "3 ACK");
    world.commit();
    assert!(world.reports.is_empty());
    world.settles();
}

#[test]
fn ever_new_realms_are_answered_twice() {
    let mut world = world();
    let (_, mut invite) = world.call_begins(&[0]);
    for realm in 0..2 {
        let asks = format!("Digest realm=\"realm {realm}\", nonce=\"n\", qop=\"auth\"");
        invite = world.asked_for_password(&invite, 401, &asks);
        assert_eq!(proofs(&invite, Asker::Server), realm + 1);
    }
    world.vendor_sends(0, &challenge(&invite, 401, &["Digest realm=\"more\", nonce=\"n\""]));
    world.vendor_gets(0, "ACK ");
    world.caller_gets("SIP/2.0 503 ");
    assert_eq!(world.news(), (100, REFUSED, 0, 401));
    assert_eq!(world.count(Counter::ChallengesAnswered), 2);
    world.is_quiet();
    world.settles();
}

#[test]
fn a_hundred_realms_at_once_are_not_all_answered() {
    let mut world = world();
    let (_, first) = world.call_begins(&[0]);
    let lines: Vec<String> = (0..40)
        .map(|realm| format!("Digest realm=\"r{realm}\", nonce=\"n\", qop=\"auth\""))
        .collect();
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    world.vendor_sends(0, &challenge(&first, 401, &lines));
    world.vendor_gets(0, "ACK ");
    let second = world.vendor_gets(0, "INVITE ");
    assert_eq!(proofs(&second, Asker::Server), 4);
    world.settles();
}

#[test]
fn a_challenge_that_cannot_be_read_is_a_failure() {
    for garbage in ["", "Digest", "Digest realm=\"x\", nonce=\"a\\\"b\"", "NTLM abc", "Digest ,,,="]
    {
        let mut world = world();
        let (_, first) = world.call_begins(&[0]);
        world.vendor_sends(0, &challenge(&first, 401, &[garbage]));
        world.vendor_gets(0, "ACK ");
        world.caller_gets("SIP/2.0 503 ");
        world.is_quiet();
        assert!(world.reports.is_empty());
        world.settles();
    }
}

#[test]
fn a_caller_may_cancel_before_and_after_the_password_is_told() {
    let cancel = beside_invite(1, "CANCEL", "<sip:4420@192.0.2.1>");
    // After the vendor rang: the CANCEL crosses the challenge, and nobody is told a password.
    let mut world = world();
    let (key, first) = world.call_begins(&[0, 1]);
    world.vendor_says(0, &first, 100, "", "");
    world.caller_sends(&cancel);
    world.caller_gets("SIP/2.0 200 ");
    world.caller_gets("SIP/2.0 487 ");
    world.vendor_gets(0, "CANCEL ");
    world.vendor_sends(0, &challenge(&first, 401, &[ASKS]));
    world.vendor_gets(0, "ACK ");
    world.is_quiet();
    world.ended_by(key, EndedBy::Caller, EndReason::Cancelled);
    world.settles();

    // Between the challenge and any answer to the new INVITE: its CANCEL waits for a 1xx.
    let mut world = self::world();
    let (key, first) = world.call_begins(&[0, 1]);
    let second = world.asked_for_password(&first, 401, ASKS);
    world.caller_sends(&cancel);
    world.caller_gets("SIP/2.0 200 ");
    world.caller_gets("SIP/2.0 487 ");
    world.is_quiet();
    world.vendor_says(0, &second, 100, "", "");
    let cancel = world.vendor_gets(0, "CANCEL ");
    assert_eq!(
        (header(&cancel, "CSeq"), header(&cancel, "Via")),
        ("2 CANCEL", header(&second, "Via"))
    );
    // It asks once more all the same.
    world.vendor_sends(0, &challenge(&second, 401, &[&format!("{ASKS}, stale=true")]));
    world.vendor_gets(0, "ACK ");
    world.is_quiet();
    world.ended_by(key, EndedBy::Caller, EndReason::Cancelled);
    world.settles();
}

#[test]
fn a_late_answer_to_the_invite_that_was_challenged_changes_nothing() {
    let mut world = world();
    let (key, first) = world.call_begins(&[0]);
    let second = world.asked_for_password(&first, 401, ASKS);
    for status in [180, 200, 486] {
        world.vendor_says(0, &first, status, "late", &vendor_sdp());
    }
    // A repeated failure gets its ACK again, and nothing else comes of it.
    world.vendor_gets(0, "ACK ");
    world.is_quiet();
    world.vendor_says(0, &second, 486, "v", "");
    world.vendor_gets(0, "ACK ");
    world.caller_gets("SIP/2.0 486 ");
    assert_eq!(world.ended(key).attempts().len(), 1);
    world.settles();
}

#[test]
fn a_vendor_given_up_is_told_no_password() {
    let mut world = world();
    let (_, first) = world.call_begins(&[0, 1]);
    world.wait_ms(4_000);
    world.ignore_messages();
    world.vendor_sends(0, &challenge(&first, 401, &[ASKS]));
    world.vendor_gets(0, "ACK ");
    world.is_quiet();
    world.settles();
}

#[test]
fn the_patience_with_a_vendor_begins_anew_with_its_password() {
    let mut world = world();
    let (_, first) = world.call_begins(&[0, 1]);
    world.wait_ms(3_900);
    world.ignore_messages();
    world.asked_for_password(&first, 401, ASKS);
    world.wait_ms(3_999);
    assert!(world.inbox.iter().all(|(to, _)| *to == VENDORS[0].parse().unwrap()));
    world.ignore_messages();
    world.wait_ms(1);
    world.vendor_gets(1, "INVITE ");
    world.settles();
}

#[test]
fn of_several_that_are_called_at_once_each_is_told_its_own_password() {
    let mut world = world();
    world.caller_sends(&invite(1, &caller_sdp()));
    world.caller_gets("SIP/2.0 100 ");
    let admit = world.admit();
    world.route_with(admit.call, &[0, 1], |route| {
        route.candidates[..2].iter_mut().for_each(|candidate| candidate.group = 1);
    });
    let first = world.vendor_gets(0, "INVITE ");
    let other = world.vendor_gets(1, "INVITE ");
    world.vendor_says(1, &other, 180, "w", "");
    world.caller_gets("SIP/2.0 180 ");
    let second = world.asked_for_password(&first, 407, ASKS);
    assert_eq!((header(&second, "CSeq"), proofs(&second, Asker::Proxy)), ("2 INVITE", 1));
    // The one who rings goes on ringing, however long the other takes.
    world.vendor_says(0, &second, 100, "", "");
    world.wait_ms(40_000);
    world.is_quiet();
    world.vendor_says(0, &second, 200, "v", &vendor_sdp());
    let ack = world.vendor_gets(0, "ACK ");
    assert_eq!(header(&ack, "CSeq"), "2 ACK");
    let cancel = world.vendor_gets(1, "CANCEL ");
    assert_eq!(header(&cancel, "CSeq"), "1 CANCEL");
    world.commit();
    world.caller_gets("SIP/2.0 200 ");
    world.settles();
}

#[test]
fn requests_inside_a_call_are_answered_for_too() {
    for method in ["INVITE", "UPDATE", "INFO"] {
        let mut world = world();
        let (_, _, answer) = world.talking_by_password();
        let content = if method == "INFO" { String::new() } else { caller_sdp() };
        world.caller_sends(&caller_request(method, 2, &answer, &content));
        if method == "INVITE" {
            world.caller_gets("SIP/2.0 100 ");
        }
        let first = world.vendor_gets(0, &format!("{method} "));
        assert!(!first.contains("Authorization"));
        let second = world.asked_for_password(&first, 407, ASKS);
        assert_eq!(header(&second, "CSeq"), format!("4 {method}"));
        assert_eq!((proofs(&second, Asker::Proxy), body(&second)), (1, body(&first)));
        let content = if method == "INFO" { String::new() } else { vendor_sdp() };
        world.vendor_says(0, &second, 200, "v", &content);
        world.caller_gets("SIP/2.0 200 ");
        if method == "INVITE" {
            world.vendor_gets(0, "ACK ");
            world.caller_sends(&caller_request("ACK", 2, &answer, ""));
        }
        world.is_quiet();
        world.caller_sends(&caller_request("BYE", 3, &answer, ""));
        world.caller_gets("SIP/2.0 200 ");
        let bye = world.vendor_gets(0, "BYE ");
        assert_eq!(header(&bye, "CSeq"), "5 BYE");
        world.vendor_says(0, &bye, 200, "", "");
        world.settles();
    }
}

#[test]
fn a_change_that_is_refused_for_its_password_leaves_the_call_alone() {
    let mut world = world();
    let (_, _, answer) = world.talking_by_password();
    world.caller_sends(&caller_request("INVITE", 2, &answer, &caller_sdp()));
    world.caller_gets("SIP/2.0 100 ");
    let first = world.vendor_gets(0, "INVITE ");
    let second = world.asked_for_password(&first, 401, ASKS);
    world.vendor_sends(0, &challenge(&second, 401, &[ASKS]));
    world.vendor_gets(0, "ACK ");
    let refusal = world.caller_gets("SIP/2.0 488 ");
    assert!(!refusal.contains("Authenticate"));
    assert_eq!(world.news(), (100, REFUSED, 0, 401));
    assert_eq!(world.switch.live_calls().count(), 1);
    world.caller_sends(&caller_request("BYE", 3, &answer, ""));
    world.settles();
}

#[test]
fn a_cancelled_change_is_told_no_password() {
    let mut world = world();
    let (_, _, answer) = world.talking_by_password();
    let change = caller_request("INVITE", 2, &answer, &caller_sdp());
    world.caller_sends(&change);
    world.caller_gets("SIP/2.0 100 ");
    let first = world.vendor_gets(0, "INVITE ");
    let second = world.asked_for_password(&first, 401, ASKS);
    world.vendor_says(0, &second, 100, "", "");
    let cancel = change.replace("CSeq: 2 INVITE", "CSeq: 2 CANCEL").replacen("INVITE", "CANCEL", 1);
    let cancel = cancel.split("Content-Type").next().unwrap();
    world.caller_sends(&format!("{cancel}Content-Length: 0\r\n\r\n"));
    world.caller_gets("SIP/2.0 200 ");
    let cancel = world.vendor_gets(0, "CANCEL ");
    assert_eq!(header(&cancel, "Via"), header(&second, "Via"));
    world.vendor_sends(0, &challenge(&second, 401, &[&format!("{ASKS}, stale=true")]));
    world.vendor_gets(0, "ACK ");
    world.caller_gets("SIP/2.0 488 ");
    world.is_quiet();
    world.caller_sends(&caller_request("BYE", 3, &answer, ""));
    world.settles();
}

#[test]
fn a_bye_arrives_though_its_call_is_over() {
    let mut world = world();
    let (key, _, answer) = world.talking_by_password();
    world.caller_sends(&caller_request("BYE", 2, &answer, ""));
    world.caller_gets("SIP/2.0 200 ");
    let first = world.vendor_gets(0, "BYE ");
    world.ended_by(key, EndedBy::Caller, EndReason::Normal);
    let second = world.asked_for_password(&first, 407, ASKS);
    assert_eq!((header(&second, "CSeq"), proofs(&second, Asker::Proxy)), ("4 BYE", 1));
    world.vendor_says(0, &second, 200, "", "");
    world.is_quiet();
    world.settles();
}

#[test]
fn without_room_for_one_more_request_a_challenge_is_a_failure() {
    let mut world = World::with_limits(Limits { transactions_max: 4, ..limits() });
    world.profile(0, |_| {});
    let (_, first) = world.call_begins(&[0]);
    // Two of the four are the call's own.
    for number in 1..=2 {
        let path = Path {
            transport: Transport::Udp,
            local: OUR_VENDOR_SIDE.parse().unwrap(),
            remote: VENDORS[1].parse().unwrap(),
            connection: 0,
        };
        let machine =
            transaction::Machine::NonInviteServer(transaction::non_invite_server::State::Completed);
        let birth = transaction::Birth { key: number, ..transaction::Birth::of(machine, path) };
        world.switch.transactions.open(world.now, birth).unwrap();
    }
    world.vendor_sends(0, &challenge(&first, 401, &[ASKS]));
    world.vendor_gets(0, "ACK ");
    world.caller_gets("SIP/2.0 503 ");
    world.is_quiet();
    assert!(world.reports.is_empty(), "nobody has refused our password");
}

#[test]
fn a_vendor_that_wants_to_be_left_alone_is_told_to_control_and_to_no_customer() {
    for (heeded, line, told) in [
        (1, "Retry-After: 30;duration=60\r\n", Some(30)),
        (1, "Retry-After: 0\r\n", None),
        (1, "Retry-After: later\r\n", None),
        (1, "", None),
        (0, "Retry-After: 30\r\n", None),
    ] {
        let mut world = World::new();
        world.profile(0, |profile| profile.retry_after = heeded);
        let (_, first) = world.call_begins(&[0]);
        let busy = response(&first, 503, "v", VENDORS[0], "");
        world.vendor_sends(0, &with_lines(&busy, line));
        world.vendor_gets(0, "ACK ");
        let failure = world.caller_gets("SIP/2.0 503 ");
        assert!(!failure.contains("Retry-After"));
        let news = told.map(|seconds| (100, News::RetryAfter as u8, seconds, 503));
        assert_eq!((!world.reports.is_empty()).then(|| world.news()), news, "{line}");
        world.settles();
    }
}
