//! Vendors that send a call elsewhere.

use link::answer::Located;
use link::ask::Locate;

use super::errand::{challenge, proofs};
use super::*;

/// A 3xx to an INVITE of ours, with these Contacts.
fn moved(request: &str, status: u16, contacts: &[&str]) -> String {
    let answer = response(request, status, "m", VENDORS[0], "");
    let own = format!("Contact: <sip:vendor@{}>\r\n", VENDORS[0]);
    let lines: String = contacts.iter().map(|contact| format!("Contact: {contact}\r\n")).collect();
    with_lines(&answer.replace(&own, ""), &lines)
}

/// A world whose first vendor may send calls elsewhere so often.
fn world(redirects_max: u8) -> World {
    let mut world = World::new();
    world.profile(0, |profile| profile.redirects_max = redirects_max);
    world
}

/// Who was tried, and what became of it.
fn attempts(record: &CallRecord) -> Vec<(u32, u16)> {
    record.attempts().iter().map(|attempt| (attempt.gateway, attempt.status)).collect()
}

#[test]
fn a_redirected_call_goes_where_it_is_sent_best_first_and_counts_for_its_gateway() {
    let mut world = world(3);
    let (key, first) = world.call_begins(&[0, 2]);
    let elsewhere = "\"B\" <sip:+44;rn=7@203.0.113.20:5060;user=phone?Replaces=x>;q=0.9";
    world.vendor_sends(0, &moved(&first, 302, &["<sip:9@203.0.113.10:5090>;q=0.2", elsewhere]));
    world.vendor_gets(0, "ACK ");
    let second = world.vendor_gets(1, "INVITE sip:+44;rn=7@203.0.113.20:5060;user=phone SIP/2.0");
    assert!(header(&second, "From").contains("<sip:1234@203.0.113.1>"));
    assert_eq!(header(&first, "To"), header(&second, "To"));
    assert_ne!(header(&first, "Call-ID"), header(&second, "Call-ID"));
    world.vendor_says(1, &second, 404, "w", "");
    world.vendor_gets(1, "ACK ");
    let third = world.gets("203.0.113.10:5090", "INVITE sip:9@203.0.113.10:5090 SIP/2.0");
    let answer = response(&third, 200, "x", "203.0.113.10:5090", &vendor_sdp());
    world.receive("203.0.113.10:5090", OUR_VENDOR_SIDE, &answer);
    world.gets("203.0.113.10:5090", "ACK ");
    world.commit();
    let answer = world.caller_gets("SIP/2.0 200 ");
    assert!(!answer.contains("203.0.113"));
    world.caller_sends(&caller_request("ACK", 1, &answer, ""));
    world.caller_sends(&caller_request("BYE", 2, &answer, ""));
    let record = world.ended(key);
    assert_eq!(attempts(&record), [(100, 302), (100, 404), (100, 200)]);
    assert_eq!(record.attempt_index, 0);
    assert_eq!((world.count(Counter::RedirectsTried), world.count(Counter::Failovers)), (2, 0));
    world.settles();
}

#[test]
fn the_next_vendor_follows_when_nobody_of_a_redirect_answers() {
    let mut world = world(1);
    let (key, first) = world.call_begins(&[0, 2]);
    world.vendor_sends(0, &moved(&first, 300, &["<sip:9@203.0.113.20>"]));
    world.vendor_gets(0, "ACK ");
    world.vendor_gets(1, "INVITE ");
    world.wait_ms(4_000);
    world.ignore_messages();
    // It was silent, so the other vendor rings now.
    let record = world.images.iter().find(|image| image.0 == key).unwrap().1;
    assert_eq!(attempts(&record), [(100, 300), (100, 0), (102, 0)]);
    assert_eq!(record.attempt_index, 1);
    world.settles();
}

#[test]
fn a_redirect_is_a_failure_where_none_is_followed() {
    for (redirects_max, status) in [(0, 302), (2, 305), (2, 380)] {
        let mut world = world(redirects_max);
        let (_, first) = world.call_begins(&[0]);
        world.vendor_sends(0, &moved(&first, status, &["<sip:9@203.0.113.20>"]));
        world.vendor_gets(0, "ACK ");
        let failure = world.caller_gets("SIP/2.0 503 ");
        assert!(!failure.contains("203.0.113") && !failure.contains("Contact"), "{failure}");
        world.is_quiet();
        world.settles();
    }
}

#[test]
fn nobody_is_led_to_us_to_where_the_call_was_or_to_nowhere() {
    for contact in [
        "<sip:9@203.0.113.1>",
        "<sip:9@192.0.2.1:5080>",
        "<sip:9@[2001:db8::1]>",
        "<sip:004420@203.0.113.10:5060>",
        "<sip:004420@203.0.113.10;again=1>",
        "<sip:9@10.0.0.1>",
        "<sip:9@127.0.0.1>",
        "<sip:9@0.0.0.0>",
        "<sip:9@239.1.1.1>",
        "<sip:9@[fe80::1]>",
        "<sip:9@203.0.113.20;transport=sctp>",
        "<tel:+4420>",
        "<mailto:nobody@example.org>",
        "<sips:9@203.0.113.20;transport=udp>",
        "*",
    ] {
        let mut world = world(5);
        let (key, first) = world.call_begins(&[0]);
        world.vendor_sends(0, &moved(&first, 302, &[contact]));
        world.ignore_messages();
        assert_eq!(attempts(&world.ended(key)), [(100, 302)], "{contact}");
        world.settles();
    }
    // Not even by a number so long that nobody could remember it.
    let mut world = world(5);
    let (key, first) = world.call_begins(&[0]);
    let long = format!("<sip:{}@203.0.113.20>", "9".repeat(190));
    world.vendor_sends(0, &moved(&first, 302, &[&long]));
    assert_eq!(attempts(&world.ended(key)), [(100, 302)]);
    assert_eq!(world.count(Counter::RedirectsUnfit), 1);
    world.settles();
}

/// The name that control is asked for now.
fn asked(world: &mut World) -> Locate {
    match world.asks.pop() {
        Some(Ask::Locate(locate)) => locate,
        other => panic!("a name is asked for, not {other:?}"),
    }
}

/// What control says of it.
fn is_at(world: &mut World, locate: &Locate, places: &[&str]) {
    let mut located = Located::new_zeroed();
    (located.call, located.question) = (locate.call, locate.question);
    for (place, text) in located.places.iter_mut().zip(places) {
        *place = Endpoint::from(text.parse::<SocketAddr>().unwrap());
        located.places_used += 1;
    }
    world.answer(Answer::Located(located));
}

#[test]
fn a_name_is_asked_of_control_and_each_of_its_places_is_tried() {
    let mut world = world(1);
    let (key, first) = world.call_begins(&[0, 2]);
    let elsewhere = ["<sip:9@elsewhere.example:5070;user=phone>", "<sip:8@203.0.113.10>;q=0.5"];
    world.vendor_sends(0, &moved(&first, 302, &elsewhere));
    world.vendor_gets(0, "ACK ");
    world.is_quiet();
    let locate = asked(&mut world);
    assert_eq!(locate.name.as_bytes(), b"elsewhere.example");
    assert_eq!((locate.call, locate.port, locate.transport), (key, 5070, 0));
    is_at(&mut world, &locate, &["203.0.113.20:5060", "203.0.113.30:5060"]);
    let wanted = "INVITE sip:9@elsewhere.example:5070;user=phone SIP/2.0";
    let second = world.vendor_gets(1, wanted);
    world.vendor_says(1, &second, 404, "w", "");
    world.vendor_gets(1, "ACK ");
    let third = world.vendor_gets(2, wanted);
    world.vendor_says(2, &third, 404, "w", "");
    world.vendor_gets(2, "ACK ");
    world.vendor_gets(0, "INVITE sip:8@203.0.113.10 ");
    assert_eq!(world.count(Counter::RedirectsLocated), 1);
    world.ignore_messages();
    world.settles();
}

#[test]
fn a_name_that_leads_nowhere_is_a_target_that_failed() {
    for places in [&[][..], &["203.0.113.1:5060"], &["10.0.0.1:5060", "[2001:db8::9]:5060"]] {
        let mut world = world(1);
        let (key, first) = world.call_begins(&[0, 2]);
        world.vendor_sends(0, &moved(&first, 302, &["<sip:9@elsewhere.example>"]));
        world.vendor_gets(0, "ACK ");
        let locate = asked(&mut world);
        is_at(&mut world, &locate, places);
        world.vendor_gets(2, "INVITE ");
        assert_eq!(world.count(Counter::RedirectsUnfit), 1);
        // Once more: too late.
        is_at(&mut world, &locate, &["203.0.113.20:5060"]);
        world.is_quiet();
        assert_eq!(world.count(Counter::AnswersLate), 1);
        let record = world.images.iter().find(|image| image.0 == key).unwrap().1;
        assert_eq!(attempts(&record), [(100, 302), (102, 0)]);
        world.settles();
    }
}

#[test]
fn a_name_of_which_nobody_says_where_it_is_waits_as_long_as_a_vendor_would() {
    let mut world = world(1);
    let (_, first) = world.call_begins(&[0, 2]);
    world.vendor_sends(0, &moved(&first, 302, &["<sip:9@elsewhere.example>"]));
    world.vendor_gets(0, "ACK ");
    asked(&mut world);
    world.wait_ms(3_900);
    world.is_quiet();
    world.wait_ms(200);
    world.vendor_gets(2, "INVITE ");
    world.settles();
}

#[test]
fn nobody_waits_for_a_name_while_control_is_away() {
    let mut world = world(1);
    let (_, first) = world.call_begins(&[0, 2]);
    world.switch.set_control_alive(false);
    world.vendor_sends(0, &moved(&first, 302, &["<sip:9@elsewhere.example>"]));
    world.vendor_gets(0, "ACK ");
    world.vendor_gets(2, "INVITE ");
    world.settles();
}

#[test]
fn a_caller_may_cancel_while_a_name_is_asked_for() {
    let mut world = world(1);
    let (key, first) = world.call_begins(&[0, 2]);
    world.vendor_sends(0, &moved(&first, 302, &["<sip:9@elsewhere.example>"]));
    world.vendor_gets(0, "ACK ");
    let locate = asked(&mut world);
    world.caller_sends(&beside_invite(1, "CANCEL", "<sip:4420@192.0.2.1>"));
    world.caller_gets("SIP/2.0 200 ");
    world.caller_gets("SIP/2.0 487 ");
    is_at(&mut world, &locate, &["203.0.113.20:5060"]);
    world.is_quiet();
    world.ended_by(key, EndedBy::Caller, EndReason::Cancelled);
    world.settles();
}

#[test]
fn names_are_targets_among_others_and_go_in_circles_no_more_than_they() {
    let mut world = world(3);
    let (_, first) = world.call_begins(&[0]);
    world.vendor_sends(0, &moved(&first, 302, &["<sip:9@a.example>", "<sip:9@b.example>;q=0.1"]));
    world.vendor_gets(0, "ACK ");
    let locate = asked(&mut world);
    assert_eq!(locate.name.as_bytes(), b"a.example");
    is_at(&mut world, &locate, &["203.0.113.20:5060"]);
    let second = world.vendor_gets(1, "INVITE sip:9@a.example ");
    world.vendor_sends(1, &moved(&second, 302, &["<sip:9@A.example>", "<sip:9@203.0.113.20>"]));
    world.vendor_gets(1, "ACK ");
    // Both were tried; the other name leads to the same place.
    let locate = asked(&mut world);
    assert_eq!(locate.name.as_bytes(), b"b.example");
    is_at(&mut world, &locate, &["203.0.113.20:5060"]);
    world.caller_gets("SIP/2.0 503 ");
    world.settles();
}

#[test]
fn a_name_is_not_spoken_to_in_clear_by_a_call_over_tls() {
    let mut world = world(1);
    world.carrier = Transport::Tls;
    let (_, first) = world.call_begins(&[0]);
    world.vendor_sends(0, &moved(&first, 302, &["<sip:9@elsewhere.example>"]));
    world.vendor_gets(0, "ACK ");
    assert_eq!(asked(&mut world).transport, 1 + Transport::Tls as u8);
    world.ignore_messages();
    world.settles();
}

#[test]
fn a_circle_of_redirects_is_left_where_it_closes() {
    let mut world = world(9);
    let (key, first) = world.call_begins(&[0]);
    world.vendor_sends(0, &moved(&first, 302, &["<sip:9@203.0.113.20>"]));
    world.vendor_gets(0, "ACK ");
    let second = world.vendor_gets(1, "INVITE ");
    let back = ["<sip:004420@203.0.113.10>", "<sip:9@203.0.113.20;x=y>", "<sip:8@203.0.113.20>"];
    world.vendor_sends(1, &moved(&second, 302, &back));
    world.vendor_gets(1, "ACK ");
    let third = world.vendor_gets(1, "INVITE sip:8@203.0.113.20 SIP/2.0");
    world.vendor_sends(1, &moved(&third, 302, &back));
    world.vendor_gets(1, "ACK ");
    world.caller_gets("SIP/2.0 503 ");
    world.is_quiet();
    assert_eq!(attempts(&world.ended(key)), [(100, 302); 3]);
    world.settles();
}

#[test]
fn a_chain_of_redirects_ends_where_the_gateway_says() {
    for redirects_max in 1..4 {
        let mut world = world(redirects_max);
        let (key, mut invite) = world.call_begins(&[0]);
        for number in 0..redirects_max {
            world.vendor_sends(0, &moved(&invite, 301, &[&format!("<sip:{number}@203.0.113.10>")]));
            world.vendor_gets(0, "ACK ");
            invite = world.vendor_gets(0, &format!("INVITE sip:{number}@"));
        }
        world.vendor_sends(0, &moved(&invite, 301, &["<sip:one-too-many@203.0.113.10>"]));
        world.vendor_gets(0, "ACK ");
        world.caller_gets("SIP/2.0 503 ");
        world.is_quiet();
        assert_eq!(world.ended(key).attempts().len(), usize::from(redirects_max) + 1);
        world.settles();
    }
}

#[test]
fn what_a_later_redirect_names_comes_before_what_an_earlier_one_left() {
    let mut world = world(2);
    let (_, first) = world.call_begins(&[0]);
    world.vendor_sends(
        0,
        &moved(&first, 302, &["<sip:1@203.0.113.10>, <sip:4@203.0.113.10>;q=0.5"]),
    );
    world.vendor_gets(0, "ACK ");
    let second = world.vendor_gets(0, "INVITE sip:1@");
    world.vendor_sends(
        0,
        &moved(&second, 302, &["<sip:3@203.0.113.10>;q=0.1", "<sip:2@203.0.113.10>"]),
    );
    world.vendor_gets(0, "ACK ");
    for number in 2..5 {
        let invite = world.vendor_gets(0, &format!("INVITE sip:{number}@"));
        world.vendor_says(0, &invite, 480, "v", "");
        world.vendor_gets(0, "ACK ");
    }
    world.caller_gets("SIP/2.0 480 ");
    world.is_quiet();
    world.settles();
}

#[test]
fn a_hundred_contacts_leave_a_line_for_every_vendor() {
    let mut world = world(200);
    let (key, first) = world.call_begins(&[0, 1, 2]);
    let contacts: Vec<String> =
        (0..100).map(|number| format!("<sip:{number}@203.0.113.10>;q=0.{number:03}")).collect();
    world.vendor_sends(0, &moved(&first, 302, &[&contacts.join(",")]));
    world.vendor_gets(0, "ACK ");
    for number in (95..100).rev() {
        let invite = world.vendor_gets(0, &format!("INVITE sip:{number}@"));
        world.vendor_says(0, &invite, 404, "v", "");
        world.vendor_gets(0, "ACK ");
    }
    for vendor in 1..3 {
        let invite = world.vendor_gets(vendor, "INVITE ");
        world.vendor_says(vendor, &invite, 404, "v", "");
        world.vendor_gets(vendor, "ACK ");
    }
    world.caller_gets("SIP/2.0 404 ");
    let tried: Vec<u32> = attempts(&world.ended(key)).iter().map(|attempt| attempt.0).collect();
    assert_eq!(tried, [100, 100, 100, 100, 100, 100, 101, 102]);
    world.settles();
}

#[test]
fn a_stop_code_of_a_redirects_target_ends_the_search() {
    let mut world = world(2);
    let (_, first) = world.call_begins(&[0, 2]);
    world.vendor_sends(0, &moved(&first, 302, &["<sip:9@203.0.113.20>", "<sip:8@203.0.113.20>"]));
    world.vendor_gets(0, "ACK ");
    let second = world.vendor_gets(1, "INVITE ");
    world.vendor_says(1, &second, 486, "w", "");
    world.vendor_gets(1, "ACK ");
    world.caller_gets("SIP/2.0 486 ");
    world.is_quiet();
    world.settles();
}

#[test]
fn a_caller_may_cancel_while_its_call_is_on_its_way_elsewhere() {
    let mut world = world(2);
    let (key, first) = world.call_begins(&[0, 2]);
    world.vendor_sends(0, &moved(&first, 302, &["<sip:9@203.0.113.20>", "<sip:8@203.0.113.20>"]));
    world.vendor_gets(0, "ACK ");
    let second = world.vendor_gets(1, "INVITE ");
    world.vendor_says(1, &second, 180, "w", "");
    world.caller_gets("SIP/2.0 180 ");
    world.caller_sends(&beside_invite(1, "CANCEL", "<sip:4420@192.0.2.1>"));
    world.caller_gets("SIP/2.0 200 ");
    world.caller_gets("SIP/2.0 487 ");
    world.vendor_gets(1, "CANCEL ");
    // A redirect that comes too late leads nowhere.
    world.vendor_sends(1, &moved(&second, 302, &["<sip:7@203.0.113.20>"]));
    world.vendor_gets(1, "ACK ");
    world.is_quiet();
    world.ended_by(key, EndedBy::Caller, EndReason::Cancelled);
    world.settles();
}

#[test]
fn a_redirects_target_may_want_the_gateways_password() {
    let mut world = world(1);
    let (key, first) = world.call_begins(&[0]);
    world.vendor_sends(0, &moved(&first, 302, &["<sip:9@203.0.113.10>"]));
    world.vendor_gets(0, "ACK ");
    let second = world.vendor_gets(0, "INVITE sip:9@");
    world.vendor_sends(0, &challenge(&second, 401, &["Digest realm=\"x\", nonce=\"n\""]));
    world.vendor_gets(0, "ACK ");
    let third = world.vendor_gets(0, "INVITE sip:9@");
    assert_eq!(proofs(&third, sip::digest::Asker::Server), 1);
    world.vendor_says(0, &third, 480, "v", "");
    world.vendor_gets(0, "ACK ");
    world.caller_gets("SIP/2.0 480 ");
    assert_eq!(attempts(&world.ended(key)), [(100, 302), (100, 480)]);
    world.settles();
}

#[test]
fn of_phones_called_at_once_none_sends_the_call_away_from_the_others() {
    let mut world = world(3);
    world.caller_sends(&invite(1, &caller_sdp()));
    world.caller_gets("SIP/2.0 100 ");
    let admit = world.admit();
    world.route_with(admit.call, &[0, 1], |route| {
        route.candidates[..2].iter_mut().for_each(|candidate| candidate.group = 1);
    });
    let first = world.vendor_gets(0, "INVITE ");
    let second = world.vendor_gets(1, "INVITE ");
    world.vendor_says(1, &second, 180, "w", "");
    world.caller_gets("SIP/2.0 180 ");
    world.vendor_sends(0, &moved(&first, 302, &["<sip:9@203.0.113.30>"]));
    world.vendor_gets(0, "ACK ");
    world.is_quiet();
    world.vendor_says(1, &second, 480, "w", "");
    world.vendor_gets(1, "ACK ");
    world.ignore_messages();
    assert_eq!(attempts(&world.ended(admit.call)), [(100, 302), (101, 480)]);
    world.settles();
}

#[test]
fn what_a_redirects_target_does_is_no_news_of_its_gateway() {
    let mut world = world(2);
    world.profile(0, |profile| (profile.redirects_max, profile.retry_after) = (2, 1));
    let (_, first) = world.call_begins(&[0]);
    world.vendor_sends(0, &moved(&first, 302, &["<sip:9@203.0.113.20>", "<sip:8@203.0.113.20>"]));
    world.vendor_gets(0, "ACK ");
    let second = world.vendor_gets(1, "INVITE sip:9@");
    world.comes_back(&second);
    let third = world.vendor_gets(1, "INVITE sip:8@");
    let busy = response(&third, 503, "w", VENDORS[1], "");
    world.vendor_sends(1, &with_lines(&busy, "Retry-After: 30\r\n"));
    world.vendor_gets(1, "ACK ");
    world.caller_gets("SIP/2.0 503 ");
    assert!(world.reports.is_empty());
    world.settles();
}
