//! Session timers, on each leg by itself.

use super::*;

const HALF: u64 = 900_000;
/// When a session of 1,800 s that nobody refreshed is ended.
const END: u64 = 1_768_000;

/// A message with more header lines.
fn with(message: &str, lines: &str) -> String {
    message.replacen("Contact: ", &format!("{lines}Contact: "), 1)
}

/// A world whose gateways have session timers, and in which silence ends no call.
fn world() -> World {
    let mut world = World::new();
    world.set(|parameters| parameters.rtp_timeout_s = 0);
    for gateway in [3, 100] {
        world.wants(gateway, |profile| profile.session_timer = 1);
    }
    world
}

impl World {
    /// A call that talks; caller's INVITE and vendor's 200 have these lines.
    fn timed(&mut self, caller: &str, vendor: &str) -> (CallKey, String, String) {
        self.caller_sends(&with(&invite(1, &caller_sdp()), caller));
        self.caller_gets("SIP/2.0 100 ");
        let key = self.admit().call;
        self.route(key, &[0]);
        let invite = self.vendor_gets(0, "INVITE ");
        let answer = response(&invite, 200, "v", VENDORS[0], &vendor_sdp());
        self.vendor_sends(0, &with(&answer, vendor));
        self.vendor_gets(0, "ACK ");
        self.commit();
        let answer = self.caller_gets("SIP/2.0 200 ");
        self.caller_sends(&caller_request("ACK", 1, &answer, ""));
        self.is_quiet();
        (key, invite, answer)
    }

    fn vendor_accepts(&mut self, request: &str, lines: &str, content: &str) {
        let answer = response(request, 200, "v", VENDORS[0], content);
        self.vendor_sends(0, &with(&answer, lines));
    }

    fn caller_accepts(&mut self, request: &str, lines: &str, content: &str) {
        let answer = response(request, 200, "", CALLER, content);
        self.caller_sends(&with(&answer, lines));
    }
}

const OFF: &str = "";
const PEER_REFRESHES: &str = "Supported: timer\r\nSession-Expires: 1800;refresher=uas\r\n";
const WE_REFRESH: &str =
    "Supported: timer\r\nAllow: INVITE, UPDATE\r\nSession-Expires: 1800;refresher=uac\r\n";

#[test]
fn a_caller_s_session_is_settled_in_the_200() {
    let max = 1_800;
    for (lines, interval_s, refresher) in [
        ("Supported: timer\r\nSession-Expires: 600\r\n", 600, "uac"),
        ("Supported: timer\r\nSession-Expires: 600;refresher=uac\r\n", 600, "uac"),
        ("Supported: timer\r\nSession-Expires: 600;refresher=uas\r\n", 600, "uas"),
        ("Supported: timer\r\nSession-Expires: 7200\r\n", max, "uac"),
        ("Supported: timer\r\nSession-Expires: 7200\r\nMin-SE: 3600\r\n", 3_600, "uac"),
        ("Supported: timer\r\n", max, "uac"),
        ("k: timer\r\nx: 700;refresher=uac\r\n", 700, "uac"),
        ("Session-Expires: 600\r\n", 600, "uas"),
        ("Session-Expires: 30\r\n", 90, "uas"),
        ("", max, "uas"),
    ] {
        let mut world = world();
        let (_, _, answer) = world.timed(lines, OFF);
        let expected = format!("{interval_s};refresher={refresher}");
        assert_eq!(header(&answer, "Session-Expires"), expected, "{lines}");
        assert_eq!(header(&answer, "Supported"), "timer");
        assert_eq!(answer.contains("\r\nRequire: timer"), refresher == "uac");
        world.caller_sends(&caller_request("BYE", 2, &answer, ""));
        world.settles();
    }
}

/// The vendor has its ACK; to it the call talks, whatever the caller still waits for.
#[test]
fn a_vendor_s_refresh_is_settled_while_the_answer_waits_for_its_record() {
    let mut world = world();
    let (key, first) = world.call_begins(&[0]);
    let answer = response(&first, 200, "v", VENDORS[0], &vendor_sdp());
    world.vendor_sends(0, &with(&answer, PEER_REFRESHES));
    world.vendor_gets(0, "ACK ");
    let update = vendor_request(0, "UPDATE", 1, &first, "v", "");
    let asks = "Supported: timer\r\nSession-Expires: 600;refresher=uac\r\n";
    world.vendor_sends(0, &with(&update, asks));
    let settled = world.vendor_gets(0, "SIP/2.0 200 ");
    assert_eq!(header(&settled, "Session-Expires"), "600;refresher=uac");
    world.commit();
    let answer = world.caller_gets("SIP/2.0 200 ");
    world.caller_sends(&caller_request("ACK", 1, &answer, ""));
    // It is this session that nobody refreshes.
    world.wait_ms(567_999);
    world.is_quiet();
    world.wait_ms(1);
    world.vendor_gets(0, "BYE ");
    world.ended_by(key, EndedBy::Server, EndReason::SessionExpired);
    world.settles();
}

#[test]
fn where_the_parameter_says_so_there_are_no_timers() {
    let mut world = world();
    world.set(|parameters| parameters.session_timer_s = 0);
    let (_, invite, answer) = world.timed("Supported: timer\r\nx: 600\r\n", WE_REFRESH);
    for text in [&invite, &answer] {
        assert!(!text.contains("Session-Expires") && !text.contains("timer"), "{text}");
    }
    world.caller_sends(&caller_request("BYE", 2, &answer, ""));
    world.wait_ms(40_000);
    world.ignore_messages();
    world.caller_sends(&with(&super::invite(2, &caller_sdp()), "Require: timer\r\n"));
    world.caller_gets("SIP/2.0 100 ");
    let call = world.admit().call;
    world.route(call, &[0]);
    assert_eq!(header(&world.caller_gets("SIP/2.0 420 "), "Unsupported"), "timer");
    world.settles();
}

#[test]
fn where_the_gateway_says_so_timers_are_only_answered() {
    for (caller, expected) in [
        ("Supported: timer\r\nSession-Expires: 600\r\n", Some("600;refresher=uac")),
        ("Supported: timer\r\n", None),
        ("", None),
    ] {
        let mut world = world();
        world.wants(3, |_| {});
        world.wants(100, |_| {});
        let (_, invite, answer) = world.timed(caller, WE_REFRESH);
        assert!(!invite.contains("Session-Expires") && !invite.contains("timer"), "{invite}");
        match expected {
            Some(expected) => assert_eq!(header(&answer, "Session-Expires"), expected),
            None => assert!(!answer.contains("Session-Expires"), "{answer}"),
        }
        // What we did not ask for is no promise of ours.
        world.wait_ms(END - 1_300_000);
        world.is_quiet();
        world.caller_sends(&caller_request("BYE", 2, &answer, ""));
        world.settles();
    }
}

#[test]
fn a_session_too_short_is_refused_to_those_who_understand_it() {
    let mut world = world();
    let short = "Supported: timer\r\nSession-Expires: 60\r\n";
    world.caller_sends(&with(&invite(1, &caller_sdp()), short));
    world.caller_gets("SIP/2.0 100 ");
    let call = world.admit().call;
    world.route(call, &[0]);
    assert_eq!(header(&world.caller_gets("SIP/2.0 422 "), "Min-SE"), "90");
    assert_eq!(world.count(Counter::RefusedSessionShort), 1);
    world.wait_ms(40_000);
    world.ignore_messages();
    world.asks.clear();
    let (_, _, answer) = world.timed("Supported: timer\r\nSession-Expires: 90\r\n", OFF);
    for (cseq, method, content) in [(2, "UPDATE", ""), (3, "INVITE", &caller_sdp()[..])] {
        world.caller_sends(&with(&caller_request(method, cseq, &answer, content), short));
        assert_eq!(header(&world.caller_gets("SIP/2.0 422 "), "Min-SE"), "90");
    }
    world.caller_sends(&caller_request("BYE", 4, &answer, ""));
    world.settles();
}

#[test]
fn a_vendor_that_wants_a_longer_session_is_asked_once_more() {
    let mut world = world();
    let (key, first) = world.call_begins(&[0]);
    assert_eq!(header(&first, "Supported"), "timer");
    assert_eq!((header(&first, "Session-Expires"), header(&first, "Min-SE")), ("1800", "90"));
    let refusal = response(&first, 422, "v", VENDORS[0], "");
    world.vendor_sends(0, &with(&refusal, "Min-SE: 3600\r\n"));
    world.vendor_gets(0, "ACK ");
    let second = world.vendor_gets(0, "INVITE ");
    assert_eq!((header(&second, "Session-Expires"), header(&second, "Min-SE")), ("3600", "3600"));
    assert_eq!(header(&second, "CSeq"), "2 INVITE");
    assert_eq!(header(&second, "Call-ID"), header(&first, "Call-ID"));
    assert_eq!(body(&second), body(&first));
    let refusal = response(&second, 422, "w", VENDORS[0], "");
    world.vendor_sends(0, &with(&refusal, "Min-SE: 7200\r\n"));
    world.vendor_gets(0, "ACK ");
    world.caller_gets("SIP/2.0 422 ");
    assert_eq!(world.ended(key).attempts().len(), 1);
    world.settles();
}

#[test]
fn we_refresh_a_vendor_by_update_at_half_the_interval() {
    let mut world = world();
    let (_, invite, answer) =
        world.timed(PEER_REFRESHES.replace("uas", "uac").as_str(), WE_REFRESH);
    for cseq in [2, 3] {
        // The caller keeps its leg alive itself.
        world.caller_sends(&with(
            &caller_request("UPDATE", cseq, &answer, ""),
            "k: timer\r\nx: 1800\r\n",
        ));
        world.caller_gets("SIP/2.0 200 ");
        world.wait_ms(HALF - 1);
        world.is_quiet();
        world.wait_ms(1);
        let update = world.vendor_gets(0, "UPDATE sip:vendor@203.0.113.10:5060 SIP/2.0");
        assert_eq!(header(&update, "Session-Expires"), "1800;refresher=uac");
        assert_eq!(header(&update, "CSeq"), format!("{cseq} UPDATE"));
        assert_eq!((header(&update, "Supported"), body(&update)), ("timer", ""));
        world.vendor_accepts(&update, WE_REFRESH, "");
        world.is_quiet();
    }
    assert_eq!(world.count(Counter::SessionsRefreshed), 2);
    assert_eq!(header(&invite, "Supported"), "timer");
    world.caller_sends(&caller_request("BYE", 4, &answer, ""));
    world.settles();
}

#[test]
fn we_refresh_who_knows_no_update_by_what_we_described_last_to_the_bit() {
    let mut world = world();
    // The vendor answered with a description of its own, the caller has ours of it.
    let (_, invite, answer) = world.timed("", "Session-Expires: 1800;refresher=uac\r\n");
    world.wait_ms(HALF);
    let to_caller = world.caller_gets("INVITE ");
    assert_eq!(body(&to_caller), body(&answer));
    assert_eq!(header(&to_caller, "Session-Expires"), "1800;refresher=uac");
    // One at a time: the vendor's turn comes after.
    world.is_quiet();
    world.caller_accepts(&to_caller, "", &caller_sdp());
    world.caller_gets("ACK ");
    world.wait_ms(1_000);
    let to_vendor = world.vendor_gets(0, "INVITE ");
    assert_eq!(body(&to_vendor), body(&invite));
    // Another offer must wait meanwhile, from either side.
    world.caller_sends(&caller_request("INVITE", 2, &answer, &caller_sdp()));
    world.caller_gets("SIP/2.0 491 ");
    world.vendor_sends(0, &vendor_request(0, "INVITE", 1, &invite, "v", &vendor_sdp()));
    world.vendor_gets(0, "SIP/2.0 491 ");
    for _ in 0..2 {
        world.vendor_accepts(&to_vendor, WE_REFRESH, &vendor_sdp());
        let ack = world.vendor_gets(0, "ACK ");
        assert_eq!(header(&ack, "CSeq"), "2 ACK");
    }
    world.is_quiet();
    world.caller_sends(&caller_request("BYE", 3, &answer, ""));
    world.settles();
}

#[test]
fn a_session_that_the_far_end_does_not_refresh_is_ended_a_little_before_its_end() {
    for caller_refreshes in [true, false] {
        let mut world = world();
        let caller = if caller_refreshes { "Supported: timer\r\n" } else { OFF };
        let vendor = if caller_refreshes { OFF } else { PEER_REFRESHES };
        let (key, _, answer) = world.timed(caller, vendor);
        world.wait_ms(END - 1);
        if !caller_refreshes {
            // The caller knows no timers: we have refreshed it, in vain.
            drop(answer);
        } else {
            assert_eq!(world.switch.calls_live(), 1);
            world.is_quiet();
            world.wait_ms(1);
            world.caller_gets("BYE ");
            world.vendor_gets(0, "BYE ");
            assert_eq!(world.count(Counter::SessionsExpired), 1);
        }
        world.ended_by(key, EndedBy::Server, EndReason::SessionExpired);
        world.settles();
    }
}

#[test]
fn any_accepted_offer_with_a_timer_is_a_refresh_of_both_legs() {
    let mut world = world();
    let timer = "Supported: timer\r\nSession-Expires: 1800;refresher=uac\r\n";
    let (_, _, answer) = world.timed(timer, PEER_REFRESHES);
    world.wait_ms(END - 1_000);
    world.caller_sends(&with(&caller_request("INVITE", 2, &answer, &caller_sdp()), timer));
    world.caller_gets("SIP/2.0 100 ");
    let inner = world.vendor_gets(0, "INVITE ");
    assert_eq!(header(&inner, "Session-Expires"), "1800;refresher=uas");
    world.vendor_accepts(&inner, PEER_REFRESHES, &vendor_sdp());
    world.vendor_gets(0, "ACK ");
    let accepted = world.caller_gets("SIP/2.0 200 ");
    assert_eq!(header(&accepted, "Session-Expires"), "1800;refresher=uac");
    world.caller_sends(&caller_request("ACK", 2, &answer, ""));
    world.wait_ms(END - 1);
    assert_eq!(world.switch.calls_live(), 1);
    world.is_quiet();
    // The last refresh had no timer: it was taken out.
    world.caller_sends(&with(&caller_request("INVITE", 3, &answer, &caller_sdp()), timer));
    world.caller_gets("SIP/2.0 100 ");
    let inner = world.vendor_gets(0, "INVITE ");
    world.vendor_accepts(&inner, "", &vendor_sdp());
    world.ignore_messages();
    world.caller_sends(&caller_request("ACK", 3, &answer, ""));
    world.wait_ms(END - 1);
    assert_eq!(world.switch.calls_live(), 1);
    world.caller_sends(&caller_request("BYE", 4, &answer, ""));
    world.settles();
}

#[test]
fn a_refresh_that_finds_nobody_ends_the_call() {
    for (status, reason, by) in [
        (0, EndReason::SessionExpired, EndedBy::Server),
        (408, EndReason::SessionExpired, EndedBy::Server),
        (481, EndReason::DialogLost, EndedBy::Callee),
    ] {
        let mut world = world();
        let (key, _, _) = world.timed("Supported: timer\r\n", WE_REFRESH);
        world.wait_ms(HALF);
        let update = world.vendor_gets(0, "UPDATE ");
        match status {
            0 => {
                world.wait_ms(31_999);
                assert_eq!(world.switch.calls_live(), 1);
                world.wait_ms(1);
            }
            status => world.vendor_says(0, &update, status, "v", ""),
        }
        world.caller_gets("BYE ");
        world.wait_ms(1_000);
        world.ended_by(key, by, reason);
        world.settles();
    }
}

#[test]
fn a_refresh_that_is_refused_for_now_is_tried_again_and_the_session_ends_at_its_time() {
    let mut world = world();
    let caller = "Supported: timer\r\nSession-Expires: 7200\r\nMin-SE: 7200\r\n";
    let (key, _, _) = world.timed(caller, WE_REFRESH);
    world.wait_ms(HALF);
    for (status, lines, wait_ms) in [
        (491, "", 4_000),
        (503, "", 10_000),
        (500, "Retry-After: 20\r\n", 20_000),
        (422, "Min-SE: 1800\r\n", 0),
    ] {
        let update = world.vendor_gets(0, "UPDATE ");
        world.is_quiet();
        let refusal = response(&update, status, "v", VENDORS[0], "");
        world.vendor_sends(0, &with(&refusal, lines));
        world.wait_ms(wait_ms);
    }
    assert_eq!(header(&world.vendor_gets(0, "UPDATE "), "Min-SE"), "1800");
    world.is_quiet();
    // The one that takes no UPDATE gets a re-INVITE, and keeps it pending for ever.
    let mut second = self::world();
    let (other, _, _) = second.timed(caller, WE_REFRESH);
    second.wait_ms(HALF);
    let update = second.vendor_gets(0, "UPDATE ");
    second.vendor_says(0, &update, 405, "v", "");
    second.wait_ms(0);
    let invite = second.vendor_gets(0, "INVITE ");
    second.vendor_says(0, &invite, 100, "v", "");
    second.wait_ms(END - HALF - 1);
    assert_eq!(second.switch.calls_live(), 1);
    second.wait_ms(1);
    second.ended_by(other, EndedBy::Server, EndReason::SessionExpired);
    second.settles();
    world.wait_ms(40_000);
    world.ended_by(key, EndedBy::Server, EndReason::SessionExpired);
    world.settles();
}

#[test]
fn an_offer_that_a_far_side_finds_too_short_lived_is_passed_on_again_for_longer() {
    for method in ["INVITE", "UPDATE"] {
        let mut world = world();
        let (_, _, answer) = world.timed("", WE_REFRESH);
        world.caller_sends(&caller_request(method, 2, &answer, &caller_sdp()));
        let first = match method {
            "INVITE" => {
                world.caller_gets("SIP/2.0 100 ");
                world.vendor_gets(0, "INVITE ")
            }
            _ => world.vendor_gets(0, "UPDATE "),
        };
        assert_eq!(header(&first, "Session-Expires"), "1800;refresher=uac");
        let refusal = response(&first, 422, "v", VENDORS[0], "");
        world.vendor_sends(0, &with(&refusal, "Min-SE: 3600\r\n"));
        if method == "INVITE" {
            world.vendor_gets(0, "ACK ");
        }
        let again = world.vendor_gets(0, method);
        assert_eq!(header(&again, "Session-Expires"), "3600;refresher=uac");
        assert_eq!((header(&again, "Min-SE"), body(&again)), ("3600", body(&first)));
        let settled = "Supported: timer\r\nSession-Expires: 3600;refresher=uac\r\n";
        world.vendor_accepts(&again, settled, &vendor_sdp());
        if method == "INVITE" {
            world.vendor_gets(0, "ACK ");
        }
        world.caller_gets("SIP/2.0 200 ");
        world.caller_sends(&caller_request("ACK", 2, &answer, ""));
        world.caller_sends(&caller_request("BYE", 3, &answer, ""));
        world.settles();
    }
}

#[test]
fn a_session_runs_on_after_a_restart() {
    // Ours to refresh, by what was described before it.
    let mut world = world();
    let caller = "Supported: timer\r\nSession-Expires: 7200\r\nMin-SE: 7200\r\n";
    let (_, invite, answer) = world.timed(caller, "Session-Expires: 1800;refresher=uac\r\n");
    world.wait_ms(100_000);
    world.restart();
    world.set(|parameters| parameters.rtp_timeout_s = 0);
    for gateway in [3, 100] {
        world.wants(gateway, |profile| profile.session_timer = 1);
    }
    world.wait_ms(HALF - 100_000 - 1);
    world.is_quiet();
    world.wait_ms(1);
    let inner = world.vendor_gets(0, "INVITE ");
    assert_eq!((header(&inner, "CSeq"), body(&inner)), ("1002 INVITE", body(&invite)));
    world.vendor_accepts(&inner, WE_REFRESH, &vendor_sdp());
    world.vendor_gets(0, "ACK ");
    world.caller_sends(&caller_request("BYE", 2, &answer, ""));
    world.settles();
    // The far end's.
    let mut world = self::world();
    let (key, _, _) = world.timed("Supported: timer\r\n", PEER_REFRESHES);
    world.wait_ms(100_000);
    world.restart();
    world.set(|parameters| parameters.rtp_timeout_s = 0);
    world.wait_ms(END - 100_000);
    world.ended_by(key, EndedBy::Server, EndReason::SessionExpired);
    world.settles();
}
