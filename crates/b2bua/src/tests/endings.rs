//! Every way a call can end, and the reason that stands in its record and in what we send (SIP-26).

use super::identity::{CUSTOMER, VENDOR};
use super::*;

/// A script: the call that it ends.
type Script = fn(&mut World) -> CallKey;

fn rings(world: &mut World) -> (CallKey, String) {
    let (key, first) = world.call_begins(&[0]);
    world.vendor_says(0, &first, 180, "v", "");
    world.caller_gets("SIP/2.0 180 ");
    (key, first)
}

fn hang_up(world: &mut World, call: CallKey, reason: EndReason) {
    world.order(Order::HangUp(link::order::HangUp { call, reason: reason as u32 }));
}

/// The caller asks for something new, and the vendor says that to it.
fn reinvited(world: &mut World, status: u16) -> CallKey {
    let (key, _, answer) = world.talking();
    world.caller_sends(&caller_request("INVITE", 2, &answer, &caller_sdp()));
    world.caller_gets("SIP/2.0 100 ");
    let again = world.vendor_gets(0, "INVITE ");
    if status != 0 {
        world.vendor_says(0, &again, status, "", "");
        world.wait_ms(1_000);
    }
    key
}

const ENDINGS: &[(&str, EndReason, EndedBy, u16, Script)] = {
    use EndReason::*;
    use EndedBy::*;
    &[
        ("the caller hangs up", Normal, Caller, 200, |world| {
            let (key, _, answer) = world.talking();
            world.caller_sends(&caller_request("BYE", 2, &answer, ""));
            key
        }),
        ("the callee hangs up", Normal, Callee, 200, |world| {
            let (key, first, _) = world.talking();
            world.vendor_sends(0, &vendor_request(0, "BYE", 1, &first, "v", ""));
            key
        }),
        ("the callee hangs up before the caller hears of it", Normal, Callee, 480, |world| {
            let (key, first) = world.call_begins(&[0]);
            world.vendor_says(0, &first, 200, "v", &vendor_sdp());
            world.vendor_sends(0, &vendor_request(0, "BYE", 1, &first, "v", ""));
            key
        }),
        ("the caller cancels", Cancelled, Caller, 487, |world| {
            let (key, first) = rings(world);
            world.caller_sends(&beside_invite(1, "CANCEL", "<sip:4420@192.0.2.1>"));
            world.vendor_says(0, &first, 487, "v", "");
            key
        }),
        ("the caller cancels what was just answered", Cancelled, Caller, 487, |world| {
            let (key, first) = world.call_begins(&[0]);
            world.vendor_says(0, &first, 200, "v", &vendor_sdp());
            world.caller_sends(&beside_invite(1, "CANCEL", "<sip:4420@192.0.2.1>"));
            key
        }),
        ("the vendor refuses", Rejected, Callee, 404, |world| {
            let (key, first) = world.call_begins(&[0]);
            world.vendor_says(0, &first, 404, "v", "");
            key
        }),
        ("the vendor wants a password", Rejected, Callee, 503, |world| {
            let (key, first) = world.call_begins(&[0]);
            world.vendor_says(0, &first, 401, "v", "");
            key
        }),
        ("the callee is busy", Busy, Callee, 486, |world| {
            let (key, first) = world.call_begins(&[0]);
            world.vendor_says(0, &first, 486, "v", "");
            key
        }),
        ("the callee declines", Busy, Callee, 603, |world| {
            let (key, first) = rings(world);
            world.vendor_says(0, &first, 603, "v", "");
            key
        }),
        ("nobody takes the phone", NoAnswer, Server, 480, |world| {
            let (key, first) = rings(world);
            world.wait_ms(90_000);
            world.vendor_says(0, &first, 487, "v", "");
            key
        }),
        ("the vendor is silent", Timeout, Server, 408, |world| {
            let (key, _) = world.call_begins(&[0]);
            world.wait_ms(4_000);
            key
        }),
        ("no vendor rings within the budget", Timeout, Server, 408, |world| {
            let (key, first) = world.call_begins(&[0]);
            world.vendor_says(0, &first, 100, "", "");
            world.wait_ms(12_000);
            key
        }),
        ("no vendor can be reached", Unreachable, Server, 503, |world| {
            world.caller_sends(&invite(1, &caller_sdp()));
            let call = world.admit().call;
            world.route_with(call, &[0], |route| route.candidates[0].target = Endpoint::NONE);
            call
        }),
        ("an operator ends it", Operator, Server, 200, |world| {
            let (key, ..) = world.talking();
            hang_up(world, key, None);
            key
        }),
        ("control ends it because the balance is used up", NoBalance, Server, 200, |world| {
            let (key, ..) = world.talking();
            hang_up(world, key, NoBalance);
            key
        }),
        ("the longest talk is over", DurationLimit, Server, 200, |world| {
            let key = world.talking_at_most(20);
            world.wait_ms(20_000);
            key
        }),
        ("no media flows", MediaTimeout, Server, 200, |world| {
            let (key, ..) = world.talking();
            world.wait_ms(63_000);
            key
        }),
        ("the answer is never acknowledged", NoAck, Server, 200, |world| {
            let (key, first) = world.call_begins(&[0]);
            world.vendor_says(0, &first, 200, "v", &vendor_sdp());
            world.commit();
            world.wait_ms(32_000);
            key
        }),
        ("a reliable 180 is never acknowledged", NoAck, Server, 504, |world| {
            world.wants(CUSTOMER, |profile| (profile.rel100, profile.reason) = (1, 1));
            let (key, first) = world.calls_reliably(&[0], &caller_sdp());
            world.vendor_says(0, &first, 180, "v", "");
            world.wait_ms(32_000);
            world.vendor_says(0, &first, 487, "v", "");
            key
        }),
        ("nobody keeps the session alive", SessionExpired, Server, 200, |world| {
            world.set(|parameters| parameters.rtp_timeout_s = 0);
            world.wants(CUSTOMER, |profile| (profile.session_timer, profile.reason) = (1, 1));
            let (key, ..) = world.talking();
            world.wait_ms(932_000);
            key
        }),
        ("the dataplane dies before the answer", DataplaneRestart, Server, 0, |world| {
            let (key, _) = world.call_begins(&[0]);
            world.restart();
            world.wait_ms(0);
            key
        }),
        ("control has ended the call already", DataplaneLost, Server, 200, |world| {
            let (key, ..) = world.talking();
            world.switch.handle_disowned(world.now, key);
            world.poll();
            key
        }),
        ("our memory is full", Overload, Server, 503, |world| {
            world.caller_sends(&invite(1, &caller_sdp()));
            let call = world.admit().call;
            let mut all = Vec::new();
            while let Some(kept) = world.switch.kept.keep(&[0; 512]) {
                all.push(kept);
            }
            // Room for the route of one vendor, and for nothing else.
            let route = Route { candidates_used: 1, ..Route::new_zeroed() };
            for kept in all.drain(..route.said().len().div_ceil(512)) {
                world.switch.kept.release(kept);
            }
            world.route(call, &[0]);
            for kept in all {
                world.switch.kept.release(kept);
            }
            call
        }),
        ("the answer describes no media", BadMedia, Server, 488, |world| {
            let (key, first) = world.call_begins(&[0]);
            world.vendor_says(0, &first, 200, "v", "");
            key
        }),
        ("the callee has lost the dialog", DialogLost, Callee, 200, |world| reinvited(world, 481)),
        ("the callee does not answer in the dialog", DialogLost, Callee, 200, |world| {
            let key = reinvited(world, 0);
            world.wait_ms(33_000);
            key
        }),
    ]
};

#[test]
fn every_ending_has_its_reason_its_status_and_who_did_it() {
    let mut reasons = std::collections::BTreeSet::new();
    for &(what, reason, by, status, script) in ENDINGS {
        let mut world = World::new();
        let key = script(&mut world);
        let record = world.ended(key);
        let found = (record.end_reason(), record.who_ended(), record.status);
        assert_eq!(found, (reason, by, status), "{what}");
        assert_eq!(
            record.attempts().iter().filter(|attempt| attempt.ended_ms == NEVER).count(),
            0,
            "{what}: an attempt goes on"
        );
        reasons.insert(reason.name());
        world.settles();
    }
    assert!(ENDINGS.len() >= 20 && reasons.len() >= 14, "{reasons:?}");
}

#[test]
fn whatever_we_end_says_the_cause_that_belongs_to_its_record() {
    for &(what, reason, by, status, script) in ENDINGS {
        let mut world = World::new();
        let key = script(&mut world);
        let reason_of = |message: &str| {
            let line = message.split("\r\n").find(|line| line.starts_with("Reason: "));
            line.map(str::to_owned)
        };
        let kinds = ["BYE ", "CANCEL ", "SIP/2.0 4", "SIP/2.0 5", "SIP/2.0 6"];
        let said: Vec<_> = world
            .inbox
            .iter()
            .filter(|(_, text)| kinds.iter().any(|kind| text.starts_with(kind)))
            // What was refused of an exchange tells of the exchange, not of the call.
            .filter(|(_, text)| status == 200 || !header(text, "CSeq").starts_with('2'))
            .filter_map(|(_, text)| reason_of(text))
            .collect();
        let told = if status < 300 { 0 } else { status };
        let cause = cause::cause_of(reason, told).unwrap();
        let expected = format!("Reason: Q.850;cause={cause};text=\"{}\"", cause::phrase(cause));
        for said in &said {
            assert_eq!(*said, expected, "{what}, by {by:?}");
        }
        // A dead process says nothing of a dialog that it does not know any more.
        assert!(!said.is_empty() || reason == EndReason::DataplaneRestart, "{what} {key:?}");
    }
}

#[test]
fn nobody_whose_wishes_are_unknown_is_told_why() {
    for stateless in [0, 1] {
        let mut world = World::new();
        world.caller_sends(&invite(1, &caller_sdp()));
        world.caller_gets("SIP/2.0 100 ");
        let call = world.admit().call;
        world.refuse(call, 403, stateless);
        assert!(!world.caller_gets("SIP/2.0 403 ").contains("Reason:"));
        world.settles();
    }
}

#[test]
fn the_far_sides_own_words_are_passed_on_instead_of_ours() {
    let mut world = World::new();
    let (key, _, answer) = world.talking();
    let bye = caller_request("BYE", 2, &answer, "");
    let said = "Reason: Q.850;cause=31\r\nReason: SIP;cause=200;text=\"from 10.1.1.1\"\r\n";
    world.caller_sends(&bye.replace("Max-Forwards", &format!("{said}Max-Forwards")));
    world.caller_gets("SIP/2.0 200 ");
    let bye = world.vendor_gets(0, "BYE ");
    assert_eq!(header(&bye, "Reason"), "Q.850;cause=31");
    assert!(!bye.contains("10.1.1.1"));
    assert_eq!(world.ended(key).cause, 31);
    world.settles();
}

#[test]
fn who_wants_no_reason_gets_none() {
    let mut world = World::new();
    world.wants(CUSTOMER, |_| {});
    world.wants(VENDOR, |_| {});
    let (key, ..) = world.talking();
    hang_up(&mut world, key, EndReason::Operator);
    assert!(!world.vendor_gets(0, "BYE ").contains("Reason:"));
    assert!(!world.caller_gets("BYE ").contains("Reason:"));
    world.settles();

    let mut world = World::new();
    world.wants(CUSTOMER, |_| {});
    let (_, first) = world.call_begins(&[0]);
    let failure = response(&first, 486, "v", VENDORS[0], "");
    world.vendor_sends(0, &failure.replace("CSeq", "Reason: Q.850;cause=17\r\nCSeq"));
    assert!(!world.caller_gets("SIP/2.0 486 ").contains("Reason:"));
    world.settles();
}

#[test]
fn each_cause_of_a_408_or_503_without_an_answer_is_counted_by_its_name() {
    for (what, counter) in [
        ("the vendor is silent", Counter::VendorsSilent),
        ("no vendor rings within the budget", Counter::SearchesExpired),
        ("no vendor can be reached", Counter::VendorsUnreachable),
    ] {
        let script = ENDINGS.iter().find(|ending| ending.0 == what).unwrap().4;
        let mut world = World::new();
        script(&mut world);
        for other in [Counter::VendorsSilent, Counter::SearchesExpired, Counter::VendorsUnreachable]
        {
            assert_eq!(world.count(other), u64::from(other == counter), "{what}");
        }
    }
    let mut world = World::new();
    world.set(|parameters| parameters.search_budget_ms = 60_000);
    let (_, first) = world.call_begins(&[0]);
    world.vendor_says(0, &first, 100, "", "");
    world.wait_ms(30_000);
    assert_eq!(world.count(Counter::VendorsSlow), 1);
}
