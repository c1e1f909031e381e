//! What a vendor is told of caller, callee and forwarder, and what passes of fields we do not know.

use link::answer::WITHHELD;
use link::profile::{Forwarding, HeadersPassed, Identity};

use super::*;

/// The gateway of the first vendor, and of the caller, as [`World::route_with`] names them.
pub(super) const VENDOR: u32 = 100;
pub(super) const CUSTOMER: u32 = 3;

/// The caller's INVITE with more lines.
fn invite_with(lines: &str) -> String {
    invite(1, &caller_sdp()).replace("User-Agent: Handset\r\n", lines)
}

/// The vendor's INVITE for the caller's.
fn told(world: &mut World, invite: &str, change: impl FnOnce(&mut Route)) -> String {
    world.caller_sends(invite);
    world.caller_gets("SIP/2.0 100 ");
    let call = world.admit().call;
    world.route_with(call, &[0], change);
    world.vendor_gets(0, "INVITE ")
}

#[test]
fn a_withheld_number_leaves_in_no_byte_towards_a_stranger() {
    for (lines, flags) in [("Privacy: id\r\n", 0), ("Privacy: header;user\r\n", 0), ("", WITHHELD)]
    {
        let mut world = World::new();
        world.wants(VENDOR, |vendor| {
            vendor.privacy = 1;
            vendor.identity = Identity::Asserted as u8;
            vendor.headers = HeadersPassed::All as u8;
        });
        let lines = format!("{lines}X-Caller: +1234\r\nX-Test: 1\r\n");
        let invite = told(&mut world, &invite_with(&lines), |route| route.flags = flags);
        assert!(
            header(&invite, "From")
                .starts_with("\"Anonymous\" <sip:anonymous@anonymous.invalid>;tag=")
        );
        assert_eq!(header(&invite, "Privacy"), "id");
        assert_eq!(header(&invite, "X-Test"), "1");
        assert!(!invite.contains("1234") && !invite.contains("Alice"), "{invite}");
        // The requests beside it and after it say the same.
        world.vendor_says(0, &invite, 180, "v", "");
        world.caller_gets("SIP/2.0 180 ");
        world.caller_sends(&beside_invite(1, "CANCEL", "<sip:4420@192.0.2.1>"));
        let cancel = world.vendor_gets(0, "CANCEL ");
        assert_eq!(header(&cancel, "From"), header(&invite, "From"));
        world.settles();
    }
}

#[test]
fn a_withheld_number_is_shown_to_those_who_are_trusted() {
    let mut world = World::new();
    world.wants(VENDOR, |vendor| (vendor.privacy, vendor.trusted) = (1, 1));
    let invite = told(&mut world, &invite_with("Privacy: id\r\n"), |_| {});
    assert!(header(&invite, "From").contains("anonymous@anonymous.invalid"));
    let identity = header(&invite, "P-Asserted-Identity");
    assert_eq!(identity, "\"Alice\" <sip:1234@203.0.113.1>");
    assert_eq!(header(&invite, "Privacy"), "id");
    world.settles();
}

#[test]
fn a_customers_wish_for_privacy_is_heeded_where_its_profile_says_so() {
    let mut world = World::new();
    world.wants(CUSTOMER, |_| {});
    world.wants(VENDOR, |vendor| vendor.privacy = 1);
    let invite = told(&mut world, &invite_with("Privacy: id\r\n"), |_| {});
    assert!(header(&invite, "From").contains("<sip:1234@203.0.113.1>"));
    assert!(!invite.contains("\r\nPrivacy: "));
    world.settles();
}

#[test]
fn numbers_and_our_domain_are_named_as_the_vendor_wants_it() {
    let mut world = World::new();
    world.set(|parameters| parameters.domain = Text::new(b"sip.example.net").unwrap());
    world.wants(VENDOR, |vendor| (vendor.user_phone, vendor.local_domain) = (1, 1));
    let first = told(&mut world, &invite(1, &caller_sdp()), |_| {});
    assert!(first.starts_with("INVITE sip:004420@203.0.113.10;user=phone SIP/2.0\r\n"));
    assert_eq!(header(&first, "To"), "<sip:004420@203.0.113.10;user=phone>");
    let from = header(&first, "From");
    assert!(from.starts_with("\"Alice\" <sip:1234@sip.example.net;user=phone>;tag="), "{from}");
    // In the dialog it is called by the same names.
    world.vendor_says(0, &first, 200, "v", &vendor_sdp());
    let ack = world.vendor_gets(0, "ACK ");
    assert!(header(&ack, "From").starts_with("<sip:1234@sip.example.net;user=phone>;tag="));
    world.settles();
}

#[test]
fn the_vendor_hears_who_forwarded_the_call() {
    for (forwarding, field, value) in [
        (
            Forwarding::Diversion,
            "Diversion",
            "<sip:+49555@203.0.113.1>;reason=unconditional;counter=1",
        ),
        (
            Forwarding::HistoryInfo,
            "History-Info",
            "<sip:+49555@203.0.113.1?Reason=SIP%3Bcause%3D302>;index=1",
        ),
    ] {
        let mut world = World::new();
        world.wants(VENDOR, |vendor| vendor.forward_sent = forwarding as u8);
        let invite = told(&mut world, &invite(1, &caller_sdp()), |route| {
            route.diverter = Text::new(b"+49555").unwrap();
            route.forward = link::ask::Forward { why: 4, withheld: 0, count: 1 };
        });
        assert_eq!(header(&invite, field), value);
        world.settles();
    }
}

#[test]
fn fields_that_we_do_not_know_pass_both_ways_as_the_receiver_wants_it() {
    for (headers, named, other) in [
        (HeadersPassed::None, false, false),
        (HeadersPassed::Listed, true, false),
        (HeadersPassed::All, true, true),
    ] {
        let mut world = World::new();
        for gateway in [CUSTOMER, VENDOR] {
            world.wants(gateway, |peer| {
                peer.headers = headers as u8;
                peer.headers_passed = Text::new(b"x-test").unwrap();
            });
        }
        let lines = "X-Test: a\r\nX-Other: b\r\nX-Inside: 10.1.1.1\r\nJoin: c\r\n";
        let has = |message: &str| {
            assert!(!message.contains("10.1.1.1") && !message.contains("Join"), "{message}");
            (message.contains("\r\nX-Test: a\r\n"), message.contains("\r\nX-Other: b\r\n"))
        };
        let invite = told(&mut world, &invite_with(lines), |_| {});
        assert_eq!(has(&invite), (named, other));
        let with = |status, content: &str| {
            let answer = response(&invite, status, "v", VENDORS[0], content);
            answer.replace("CSeq: ", &format!("{lines}CSeq: "))
        };
        world.vendor_sends(0, &with(180, ""));
        assert_eq!(has(&world.caller_gets("SIP/2.0 180 ")), (named, other));
        world.vendor_sends(0, &with(200, &vendor_sdp()));
        let ack = world.vendor_gets(0, "ACK ");
        assert_eq!(has(&ack), (false, false));
        world.commit();
        let answer = world.caller_gets("SIP/2.0 200 ");
        assert_eq!(has(&answer), (named, other));
        assert_eq!(media_port(&answer), CALLER_PORT);
        world.settles();
    }
}

#[test]
fn a_signed_identity_passes_to_whom_it_is_listed_for() {
    let mut world = World::new();
    world.wants(VENDOR, |vendor| {
        vendor.headers = HeadersPassed::Listed as u8;
        vendor.headers_passed = Text::new(b"Identity, Date").unwrap();
    });
    let identity = "eyJ.eyJ.abc;info=<https://cert.example.org/a.pem>;alg=ES256;ppt=shaken";
    let lines = format!("y: {identity}\r\nDate: Sat, 21 Nov 2026 14:36:37 GMT\r\n");
    let invite = told(&mut world, &invite_with(&lines), |_| {});
    assert_eq!(header(&invite, "Identity"), identity);
    assert!(header(&invite, "Date").ends_with("GMT"));
    world.settles();
}

#[test]
fn our_own_lines_stand_in_the_vendors_invite() {
    let mut world = World::new();
    world.wants(VENDOR, |vendor| {
        vendor.headers_added = Text::new(b"X-Carrier: 7\nVia: broken\nX-Node: a b\n").unwrap();
    });
    let invite = told(&mut world, &invite(1, &caller_sdp()), |_| {});
    assert_eq!((header(&invite, "X-Carrier"), header(&invite, "X-Node")), ("7", "a b"));
    assert_eq!(invite.matches("Via: ").count(), 1);
    world.settles();
}

#[test]
fn rather_no_call_than_one_that_shows_what_is_withheld() {
    let mut world = World::new();
    // The customer is not heeded, but the second vendor hides what it is asked to hide.
    world.wants(VENDOR, |vendor| vendor.forward_sent = Forwarding::Diversion as u8);
    world.wants(VENDOR + 1, |vendor| (vendor.privacy, vendor.trusted) = (1, 1));
    let critical = invite_with("Privacy: id;critical\r\n");
    world.caller_sends(&critical);
    world.caller_gets("SIP/2.0 100 ");
    let call = world.admit().call;
    world.route(call, &[0, 1]);
    let shown = world.vendor_gets(1, "INVITE ");
    assert_eq!(header(&shown, "Privacy"), "id");
    world.is_quiet();
    world.settles();

    for (lines, refused) in [
        ("Privacy: id;critical\r\n", true),
        ("Privacy: history;critical\r\n", true),
        ("Privacy: session;critical\r\n", false),
        ("Privacy: none;critical\r\n", false),
        ("Privacy: id\r\n", false),
    ] {
        let mut world = World::new();
        world.wants(VENDOR, |vendor| vendor.forward_sent = Forwarding::Diversion as u8);
        world.caller_sends(&invite_with(lines));
        world.caller_gets("SIP/2.0 100 ");
        let call = world.admit().call;
        world.route_with(call, &[0], |route| route.diverter = Text::new(b"555").unwrap());
        if refused {
            world.caller_gets("SIP/2.0 500 ");
            world.ended_by(call, EndedBy::Server, EndReason::PrivacyImpossible);
        } else {
            world.vendor_gets(0, "INVITE ");
        }
        world.settles();
    }
}

#[test]
fn a_vendor_without_a_profile_gets_no_withheld_number() {
    let mut world = World::new();
    let invite = told(&mut world, &invite_with("Privacy: id\r\n"), |_| {});
    assert!(header(&invite, "From").contains("anonymous.invalid"));
    world.settles();
}
