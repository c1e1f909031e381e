//! Messages that came back.

use link::report::News;

use super::*;

fn branch(message: &str) -> String {
    header(message, "Via").split_once("branch=").unwrap().1.to_owned()
}

impl World {
    /// The front of a message, or all of it, comes back.
    pub(super) fn comes_back(&mut self, text: &str) {
        self.switch.handle_undeliverable(self.now, text.as_bytes());
        self.poll();
    }
}

#[test]
fn an_invite_that_comes_back_leads_to_the_next_vendor_at_once() {
    let mut world = World::new();
    let (key, first) = world.call_begins(&[0, 1]);
    // ICMP quotes the front alone.
    let via_end = first.find("\r\nMax-Forwards").unwrap() + 2;
    world.comes_back(&first[..via_end]);
    let second = world.vendor_gets(1, "INVITE ");
    world.is_quiet();
    assert_eq!(world.count(Counter::RequestsUndeliverable), 1);
    world.comes_back(&second);
    let record = world.ended_by(key, EndedBy::Server, EndReason::Unreachable);
    let [one, two] = record.attempts() else { panic!("two attempts") };
    assert_eq!((one.ended_ms, two.ended_ms), (0, 0));
    for gateway in [101, 100] {
        assert_eq!(world.news(), (gateway, News::Unreachable as u8, 0, 0));
    }
    assert!(world.reports.is_empty());
    world.caller_gets("SIP/2.0 503 ");
    world.ignore_messages();
    world.settles();
}

/// §8.1.3.1, §16.7.
#[test]
fn a_silent_vendor_is_told_as_408_one_that_is_not_there_as_503_and_of_both_the_408() {
    // What each of two vendors does, `None`: nothing at all, 0: its INVITE comes back.
    for (one, two, expected) in [
        (Some(0), Some(0), 503),
        (None, Some(0), 408),
        (Some(0), None, 408),
        (None, None, 408),
        // An answer says more than silence.
        (Some(0), Some(500), 500),
        (Some(486), Some(0), 486),
        (None, Some(503), 503),
        (Some(404), None, 404),
    ] {
        let mut world = World::new();
        world.caller_sends(&invite(1, &caller_sdp()));
        world.caller_gets("SIP/2.0 100 ");
        let call = world.admit().call;
        world.route_with(call, &[0, 1], |route| {
            route.candidates.iter_mut().for_each(|candidate| candidate.stop_codes = [0; 8]);
        });
        for (vendor, does) in [one, two].into_iter().enumerate() {
            let sent = world.vendor_gets(vendor, "INVITE ");
            match does {
                None => world.wait_ms(4_000),
                Some(0) => world.comes_back(&sent),
                Some(status) => {
                    world.vendor_says(vendor, &sent, status, "v", "");
                    world.vendor_gets(vendor, "ACK ");
                }
            }
            world
                .inbox
                .retain(|(_, text)| text.starts_with("SIP/2.0 ") || !text.contains(&branch(&sent)));
        }
        let record = world.ended(call);
        assert_eq!(record.status, expected, "{one:?} {two:?}");
        world.caller_gets(&format!("SIP/2.0 {expected} "));
        world.settles();
    }
}

#[test]
fn what_silence_is_told_as_is_for_the_tables_to_say() {
    for (does, status) in [(None, 408), (Some(()), 503)] {
        let mut world = World::new();
        world.wants(100, |vendor| vendor.statuses[0] = [status, 500]);
        world.wants(3, |customer| customer.statuses[0] = [500, 480]);
        let (key, sent) = world.call_begins(&[0]);
        match does {
            None => world.wait_ms(4_000),
            Some(()) => world.comes_back(&sent),
        }
        assert_eq!(world.ended(key).status, 480);
        world.settles();
    }
}

#[test]
fn what_came_back_too_late_or_was_forged_or_cut_ends_nothing() {
    let mut world = World::new();
    let (key, invite) = world.call_begins(&[0, 1]);
    let branch = header(&invite, "Via").split("branch=z9hG4bK").nth(1).unwrap().to_owned();
    let forged: String = branch.chars().rev().collect();
    let inside = invite.find(&branch).unwrap() + 20;
    for text in [
        &invite.replace(&branch, &forged),
        &invite.replace("Via", "Vja"),
        &invite.replace("INVITE sip", "ACK sip"),
        // Its CANCEL was never sent.
        &invite.replace("INVITE sip", "CANCEL sip"),
        &invite[..inside],
        "INVITE ",
        "",
        "\r\n\r\n\r\n",
    ] {
        world.comes_back(text);
    }
    assert_eq!(world.count(Counter::UndeliverableUnmatched), 8);
    world.is_quiet();
    // A vendor that rings is there, whatever a router says.
    world.vendor_says(0, &invite, 180, "v", "");
    world.caller_gets("SIP/2.0 180 ");
    world.comes_back(&invite);
    world.is_quiet();
    world.vendor_says(0, &invite, 200, "v", &vendor_sdp());
    world.vendor_gets(0, "ACK ");
    world.commit();
    let answer = world.caller_gets("SIP/2.0 200 ");
    world.comes_back(&invite);
    world.comes_back(&answer);
    assert_eq!(world.count(Counter::ResponsesUndeliverable), 1);
    assert_eq!(world.count(Counter::RequestsUndeliverable), 0);
    world.caller_sends(&caller_request("ACK", 1, &answer, ""));
    world.caller_sends(&caller_request("BYE", 2, &answer, ""));
    // Neither does a vendor that is gone keep the call.
    let bye = world.vendor_gets(0, "BYE ");
    world.comes_back(&bye);
    assert_eq!(world.count(Counter::RequestsUndeliverable), 1);
    world.ended_by(key, EndedBy::Caller, EndReason::Normal);
    world.ignore_messages();
    world.settles();
}
