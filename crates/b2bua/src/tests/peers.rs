//! Where peers want to be spoken to, how ringing reaches them, and what they may ask of us.

use link::answer::WISHES_AT;
use link::profile::{Rel100, ReplyAddress, RequestAddress, Ringback, Wishes};

use super::identity::{CUSTOMER, VENDOR};
use super::reliable::prack;
use super::*;

const ELSEWHERE: &str = "198.51.100.99:5099";
const VENDORS_DESK: &str = "203.0.113.99:5099";

fn endpoint(address: &str) -> Endpoint {
    Endpoint::from(address.parse::<SocketAddr>().unwrap()).by(Transport::Udp)
}

/// A message from the port where nobody listens, and that says so in Via or not.
fn from_port(message: &str, via: &str) -> String {
    let line = message.split("\r\n").find(|line| line.starts_with("Via: ")).unwrap();
    message.replace(line, &format!("Via: SIP/2.0/UDP 198.51.100.7:{via}"))
}

#[test]
fn a_response_goes_where_its_peer_wants_it() {
    use ReplyAddress::*;
    // It comes from port 7000, and its Via names 5070.
    for (mode, asks, address) in [
        (Source, ";rport", "198.51.100.7:7000"),
        (Source, "", "198.51.100.7:5070"),
        (Via, ";rport", "198.51.100.7:5070"),
        (Via, "", "198.51.100.7:5070"),
        (Fixed, ";rport", ELSEWHERE),
        (Fixed, "", ELSEWHERE),
    ] {
        let mut world = World::new();
        world.wants(CUSTOMER, |customer| {
            customer.reply_address = mode as u8;
            customer.address = endpoint(ELSEWHERE);
        });
        let sends = |world: &mut World, message: &str, branch: &str| {
            let message = from_port(message, &format!("5070;branch=z9hG4bK{branch}{asks}"));
            world.receive("198.51.100.7:7000", OUR_CUSTOMER_SIDE, &message);
        };
        sends(&mut world, &invite(1, &caller_sdp()), "a");
        let call = world.admit().call;
        world.route(call, &[0]);
        world.gets(address, "SIP/2.0 100 ");
        let first = world.vendor_gets(0, "INVITE ");
        world.vendor_says(0, &first, 200, "v", &vendor_sdp());
        world.vendor_gets(0, "ACK ");
        world.commit();
        let answer = world.gets(address, "SIP/2.0 200 ");
        let via = header(&answer, "Via");
        assert_eq!(via.ends_with(";rport=7000"), !asks.is_empty(), "what we saw: {via}");
        assert!(!via.contains("198.51.100.99"), "{via}");
        // It is repeated to the same place.
        world.wait_ms(500);
        world.gets(address, "SIP/2.0 200 ");
        sends(&mut world, &caller_request("ACK", 1, &answer, ""), "b");
        sends(&mut world, &caller_request("BYE", 2, &answer, ""), "c");
        world.gets(address, "SIP/2.0 200 ");
        world.vendor_gets(0, "BYE ");
        world.settles();
    }
}

#[test]
fn a_request_of_ours_goes_where_its_peer_wants_it() {
    use RequestAddress::*;
    for (mode, to_caller, to_vendor) in [
        (Contact, "198.51.100.7:5060", "203.0.113.50:5060"),
        (Source, "198.51.100.7:7000", VENDORS[0]),
        (Fixed, ELSEWHERE, VENDORS_DESK),
    ] {
        let mut world = World::new();
        for (gateway, address) in [(CUSTOMER, ELSEWHERE), (VENDOR, VENDORS_DESK)] {
            world.wants(gateway, |peer| {
                peer.request_address = mode as u8;
                peer.address = endpoint(address);
            });
        }
        world.receive("198.51.100.7:7000", OUR_CUSTOMER_SIDE, &invite(1, &caller_sdp()));
        let call = world.admit().call;
        world.route(call, &[0]);
        world.gets("198.51.100.7:7000", "SIP/2.0 100 ");
        let first = world.vendor_gets(0, "INVITE ");
        let answer = response(&first, 200, "v", "203.0.113.50", &vendor_sdp());
        world.vendor_sends(0, &answer);
        world.gets(to_vendor, "ACK sip:vendor@203.0.113.50 ");
        world.commit();
        let answer = world.gets("198.51.100.7:7000", "SIP/2.0 200 ");
        let ack = caller_request("ACK", 1, &answer, "");
        world.receive("198.51.100.7:7000", OUR_CUSTOMER_SIDE, &ack);
        world.order(Order::HangUp(link::order::HangUp { call, reason: 0 }));
        world.gets(to_caller, "BYE sip:1234@198.51.100.7:5060 ");
        world.gets(to_vendor, "BYE sip:vendor@203.0.113.50 ");
        world.settles();
    }
}

#[test]
fn an_address_that_is_none_is_not_followed() {
    let mut world = World::new();
    for address in [Endpoint::NONE, endpoint("[2001:db8::99]:5060")] {
        world.wants(CUSTOMER, |customer| {
            customer.reply_address = ReplyAddress::Fixed as u8;
            customer.request_address = RequestAddress::Fixed as u8;
            customer.address = address;
        });
    }
    let (_, first) = world.call_begins(&[0]);
    world.vendor_says(0, &first, 180, "v", "");
    world.caller_gets("SIP/2.0 180 ");
    world.settles();
}

#[test]
fn ringing_reaches_the_caller_as_its_profile_says() {
    use Ringback::*;
    for (mode, sent, described, heard, shown) in [
        (Pass, 180, false, 180, false),
        (Pass, 183, true, 183, true),
        (Pass, 180, true, 180, true),
        (Ringing, 180, true, 180, false),
        (Ringing, 183, true, 180, false),
        (Progress, 180, false, 183, false),
        (Progress, 180, true, 183, true),
    ] {
        let mut world = World::new();
        world.wants(CUSTOMER, |customer| customer.ringback = mode as u8);
        let (_, first) = world.call_begins(&[0]);
        let media = if described { vendor_sdp() } else { String::new() };
        world.vendor_says(0, &first, sent, "v", &media);
        let ringing = world.caller_gets(&format!("SIP/2.0 {heard} "));
        assert_eq!(!body(&ringing).is_empty(), shown, "{mode:?} {sent}");
        // What is no ringing stays what it is.
        world.vendor_says(0, &first, 181, "v", "");
        world.caller_gets(if mode == Pass { "SIP/2.0 181 " } else { "SIP/2.0 18" });
        // Who described its media early need not say it again; whether the caller saw it, nobody knows.
        world.vendor_says(0, &first, 200, "v", if described { "" } else { &media });
        if described {
            world.vendor_gets(0, "ACK ");
            world.commit();
            let answer = world.caller_gets("SIP/2.0 200 ");
            assert!(!body(&answer).is_empty(), "{mode:?} {sent}");
        }
        world.settles();
    }
}

#[test]
fn what_was_not_shown_of_one_vendor_is_nothing_to_the_next() {
    let mut world = World::new();
    world.wants(CUSTOMER, |customer| customer.ringback = Ringback::Ringing as u8);
    let (key, first) = world.call_begins(&[0, 1]);
    world.vendor_says(0, &first, 183, "v", &vendor_sdp());
    world.caller_gets("SIP/2.0 180 ");
    world.vendor_says(0, &first, 500, "v", "");
    world.vendor_gets(0, "ACK ");
    let second = world.vendor_gets(1, "INVITE ");
    world.vendor_says(1, &second, 200, "w", "");
    world.ended_by(key, EndedBy::Server, EndReason::BadMedia);
    world.settles();
}

#[test]
fn a_message_inside_a_call_is_passed_on_where_both_take_it() {
    for (takes, status) in [([1, 1], 200), ([1, 0], 405), ([0, 1], 405), ([0, 0], 405)] {
        let mut world = World::new();
        world.wants(CUSTOMER, |customer| customer.message = takes[0]);
        world.wants(VENDOR, |vendor| vendor.message = takes[1]);
        let (_, first, answer) = world.talking();
        assert_eq!(header(&first, "Allow").contains("MESSAGE"), takes[1] == 1);
        assert_eq!(header(&answer, "Allow").contains("MESSAGE"), takes[0] == 1);
        let text =
            caller_request("MESSAGE", 2, &answer, "hello").replace("application/sdp", "text/plain");
        world.caller_sends(&text);
        if status == 200 {
            let passed = world.vendor_gets(0, "MESSAGE sip:vendor@203.0.113.10:5060 SIP/2.0");
            assert_eq!((header(&passed, "Content-Type"), body(&passed)), ("text/plain", "hello"));
            assert!(!passed.contains("\r\nContact: "), "RFC 3428 §4");
            world.vendor_says(0, &passed, 200, "", "");
        }
        let reply = world.caller_gets(&format!("SIP/2.0 {status} "));
        if status == 405 {
            assert_eq!(header(&reply, "Allow").contains("MESSAGE"), takes[0] == 1);
        }
        world.is_quiet();
        world.settles();
    }
}

impl World {
    /// Admits a call between phones that want this of SIP: vendor 0 is the one that rings.
    pub(super) fn route_to_phones(&mut self, call: CallKey, [caller, callee]: [Wishes; 2]) {
        let wishes = u16::from_le_bytes(Wishes::pair(caller, callee));
        self.route_with(call, &[0], |route| route.flags = u32::from(wishes) << WISHES_AT);
    }
}

#[test]
fn phones_take_messages_as_the_route_says() {
    for takes in [[false; 2], [true, false], [true; 2]] {
        let mut world = World::new();
        // Nobody here has a profile.
        world.caller_sends(&invite(1, &caller_sdp()));
        world.caller_gets("SIP/2.0 100 ");
        let call = world.admit().call;
        world.route_to_phones(call, takes.map(|message| Wishes { message, ..Wishes::default() }));
        let first = world.vendor_gets(0, "INVITE ");
        assert_eq!(header(&first, "Allow").contains("MESSAGE"), takes[1]);
        world.vendor_says(0, &first, 200, "v", &vendor_sdp());
        world.vendor_gets(0, "ACK ");
        world.commit();
        let answer = world.caller_gets("SIP/2.0 200 ");
        assert_eq!(header(&answer, "Allow").contains("MESSAGE"), takes[0]);
        world.caller_sends(&caller_request("ACK", 1, &answer, ""));
        let text =
            caller_request("MESSAGE", 2, &answer, "hello").replace("application/sdp", "text/plain");
        world.caller_sends(&text);
        if takes == [true; 2] {
            let passed = world.vendor_gets(0, "MESSAGE ");
            world.vendor_says(0, &passed, 200, "", "");
            world.caller_gets("SIP/2.0 200 ");
        } else {
            world.caller_gets("SIP/2.0 405 ");
        }
        world.settles();
    }
}

#[test]
fn phones_get_sessions_and_reliable_responses_as_the_route_says() {
    let rel100 = Rel100::Required;
    let wishes = Wishes { session_timer: true, rel100, ..Wishes::default() };
    for (side, both) in
        [[wishes, Wishes::default()], [Wishes::default(), wishes]].into_iter().enumerate()
    {
        let mut world = World::new();
        let able =
            invite(1, &caller_sdp()).replace("Contact: ", "Supported: 100rel, timer\r\nContact: ");
        world.caller_sends(&able);
        world.caller_gets("SIP/2.0 100 ");
        let call = world.admit().call;
        world.route_to_phones(call, both);
        let first = world.vendor_gets(0, "INVITE ");
        assert_eq!(first.contains("\r\nSession-Expires: 1800\r\n"), side == 1, "{first}");
        assert_eq!(first.contains("\r\nRequire: 100rel\r\n"), side == 1, "{first}");
        if side == 1 {
            world.vendor_rings(&first, 180, "v", 7, "");
            world.vendor_gets(0, "PRACK ");
        } else {
            world.vendor_says(0, &first, 180, "v", "");
        }
        let ringing = world.caller_gets("SIP/2.0 180 ");
        assert_eq!(ringing.contains("\r\nRequire: 100rel\r\n"), side == 0, "{ringing}");
        if side == 0 {
            world.caller_sends(&prack(2, &ringing, ""));
            world.caller_gets("SIP/2.0 200 ");
        }
        world.vendor_says(0, &first, 200, "v", &vendor_sdp());
        world.vendor_gets(0, "ACK ");
        world.commit();
        let answer = world.caller_gets("SIP/2.0 200 ");
        assert_eq!(answer.contains("\r\nSession-Expires: 1800"), side == 0, "{answer}");
        world.caller_sends(&caller_request("ACK", 1, &answer, ""));
        world.caller_sends(&caller_request("BYE", 3, &answer, ""));
        world.settles();
    }
}

/// A request outside of any call.
fn outside(method: &str, lines: &str) -> String {
    invite(1, "").replace("INVITE", method).replace("User-Agent: Handset\r\n", lines)
}

#[test]
fn what_we_do_not_do_is_refused_with_what_we_do() {
    let allow = "INVITE, ACK, CANCEL, BYE, OPTIONS, INFO, UPDATE";
    for method in ["PUBLISH", "MESSAGE", "SUBSCRIBE", "REFER", "NOTIFY"] {
        let mut world = World::new();
        world.caller_sends(&outside(method, ""));
        let refusal = world.caller_gets("SIP/2.0 405 ");
        assert!(header(&refusal, "Allow").starts_with(allow), "{refusal}");
        assert_eq!(world.count(Counter::RefusedMethod), 1);
        world.settles();
    }
    let mut world = World::new();
    world.caller_sends(&outside("FROBNICATE", ""));
    assert!(header(&world.caller_gets("SIP/2.0 501 "), "Allow").starts_with(allow));
    world.caller_sends(&invite(2, &caller_sdp()).replace("application/sdp", "text/plain"));
    assert_eq!(header(&world.caller_gets("SIP/2.0 415 "), "Accept"), "application/sdp");
    let encoded = "Content-Encoding: gzip\r\nContent-Type";
    world.caller_sends(&invite(3, &caller_sdp()).replace("Content-Type", encoded));
    assert_eq!(header(&world.caller_gets("SIP/2.0 415 "), "Accept-Encoding"), "identity");
    world.settles();
}

#[test]
fn options_are_answered_with_all_that_we_can_do() {
    let mut world = World::new();
    world.caller_sends(&outside("OPTIONS", ""));
    let answer = world.caller_gets("SIP/2.0 200 ");
    assert!(header(&answer, "Allow").starts_with("INVITE, ACK, CANCEL, BYE, OPTIONS"));
    assert_eq!(header(&answer, "Accept"), "application/sdp");
    assert_eq!(header(&answer, "Accept-Encoding"), "identity");
    assert_eq!(header(&answer, "Accept-Language"), "en");
    world.settles();
}

#[test]
fn a_failure_is_told_as_the_tables_of_vendor_and_customer_say_and_kept_as_it_was() {
    for (vendor, customer, told) in [
        (None, None, 404),
        (Some(480), None, 480),
        (None, Some(484), 484),
        (Some(480), Some(500), 500),
    ] {
        let mut world = World::new();
        if let Some(said) = vendor {
            world.wants(VENDOR, |vendor| vendor.statuses[0] = [404, said]);
        }
        if let Some(said) = customer {
            let heard = vendor.unwrap_or(404);
            world.wants(CUSTOMER, |customer| customer.statuses[3] = [heard, said]);
        }
        let (key, first) = world.call_begins(&[0]);
        world.vendor_says(0, &first, 404, "v", "");
        world.vendor_gets(0, "ACK ");
        world.caller_gets(&format!("SIP/2.0 {told} "));
        let record = world.ended_by(key, EndedBy::Callee, EndReason::Rejected);
        assert_eq!((record.status, record.attempts()[0].status), (told, 404));
        world.settles();
    }
}

#[test]
fn when_to_try_again_is_told_to_customers_who_heed_it() {
    for retry_after in [0, 1] {
        let mut world = World::new();
        world.wants(CUSTOMER, |customer| customer.retry_after = retry_after);
        world.caller_sends(&invite(1, &caller_sdp()));
        world.caller_gets("SIP/2.0 100 ");
        let call = world.admit().call;
        let mut all = Vec::new();
        while let Some(kept) = world.switch.kept.keep(b"full") {
            all.push(kept);
        }
        world.route(call, &[0]);
        let refusal = world.caller_gets("SIP/2.0 503 ");
        assert_eq!(refusal.contains("\r\nRetry-After: 5\r\n"), retry_after == 1, "{refusal}");
        for kept in all {
            world.switch.kept.release(kept);
        }
        world.settles();
    }
}
