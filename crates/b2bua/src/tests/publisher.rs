//! PUBLISH of those who may.

use link::answer::Registered;
use link::ask::{Freshness, Register, UNSAID};

use super::challenge::{digest, nonce_of, with_line};
use super::identity::CUSTOMER;
use super::*;

/// A PUBLISH of presence with these lines.
fn publish(cseq: u32, lines: &str, body: &str) -> String {
    format!(
        "PUBLISH sip:alice@192.0.2.1 SIP/2.0\r\n\
         Via: SIP/2.0/UDP 198.51.100.7:5060;branch=z9hG4bKpublish{cseq};rport\r\n\
         Max-Forwards: 70\r\nFrom: <sip:alice@192.0.2.1>;tag=p\r\nTo: <sip:alice@192.0.2.1>\r\n\
         Call-ID: state@alice\r\nCSeq: {cseq} PUBLISH\r\n{lines}\
         Content-Type: application/pidf+xml\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

const PRESENCE: &str = "Event: presence\r\n";

/// A world in which one gateway may publish.
fn world() -> World {
    let mut world = World::new();
    world.wants(CUSTOMER, |customer| customer.publish = 1);
    world
}

impl World {
    fn asked_to_publish(&mut self) -> Register {
        match self.asks.pop() {
            Some(Ask::Register(register)) if register.publishes == 1 => register,
            other => panic!("a publication was expected, not {other:?}"),
        }
    }

    fn publishes(&mut self, asked: &Register, status: u16, seconds: u32) {
        let mut registered = Registered::new_zeroed();
        (registered.request, registered.status) = (asked.request, status);
        registered.seconds = seconds;
        self.answer(Answer::Registered(registered));
    }

    /// Publishes with these lines for so long; the entity tag.
    fn published(&mut self, cseq: u32, lines: &str, seconds: u32) -> String {
        self.caller_sends(&publish(cseq, &format!("{PRESENCE}{lines}"), "<presence/>"));
        let asked = self.asked_to_publish();
        self.publishes(&asked, 200, seconds);
        let granted = self.caller_gets("SIP/2.0 200 ");
        assert_eq!(header(&granted, "Expires"), seconds.to_string());
        header(&granted, "SIP-ETag").to_owned()
    }
}

#[test]
fn a_publication_is_named_and_refreshed_by_its_name_until_its_time_is_over() {
    let mut world = world();
    world.caller_sends(&publish(1, "Event: presence\r\nExpires: 900\r\n", "<presence/>"));
    let asked = world.asked_to_publish();
    assert_eq!((asked.cseq, asked.expires_s, asked.contacts_used), (1, 900, 0));
    assert_eq!(asked.source.socket_address(), Some(CALLER.parse().unwrap()));
    world.publishes(&asked, 200, 900);
    let granted = world.caller_gets("SIP/2.0 200 OK");
    assert!(header(&granted, "To").contains(";tag="));
    let first = header(&granted, "SIP-ETag").to_owned();
    // Its answer was lost.
    world.caller_sends(&publish(1, "Event: presence\r\nExpires: 900\r\n", "<presence/>"));
    assert_eq!(world.caller_gets("SIP/2.0 200 OK"), granted);
    // A refresh has no body.
    world.wait_ms(600_000);
    let matched = format!("{PRESENCE}SIP-If-Match: {first}\r\n");
    world.caller_sends(&publish(2, &matched, ""));
    let asked = world.asked_to_publish();
    assert_eq!(asked.expires_s, UNSAID);
    world.publishes(&asked, 200, 900);
    let second = header(&world.caller_gets("SIP/2.0 200 "), "SIP-ETag").to_owned();
    assert_ne!(first, second);
    world.wait_ms(300_000);
    world.caller_sends(&publish(3, &matched, ""));
    world.caller_gets("SIP/2.0 412 ");
    let third = world.published(4, &format!("SIP-If-Match: {second}\r\n"), 60);
    // And a removal.
    world.published(5, &format!("Expires: 0\r\nSIP-If-Match: {third}\r\n"), 0);
    world.settles();
}

#[test]
fn a_name_that_we_did_not_give_for_this_is_none() {
    let mut world = world();
    let name = world.published(1, "", 900);
    let other = name.replace(&name[8..9], if &name[8..9] == "0" { "1" } else { "0" });
    for (cseq, (text, with, tag)) in [
        ("", "", "unknown"),
        ("", "", "x"),
        ("", "", &other[..]),
        ("Event: presence", "Event: dialog", &name[..]),
        ("PUBLISH sip:alice@", "PUBLISH sip:bob@", &name[..]),
    ]
    .into_iter()
    .enumerate()
    {
        let lines = format!("{PRESENCE}SIP-If-Match: {tag}\r\n");
        world.caller_sends(&publish(cseq as u32 + 2, &lines, "<presence/>").replace(text, with));
        world.caller_gets("SIP/2.0 412 ");
    }
    assert!(world.asks.is_empty());
    world.settles();
}

#[test]
fn what_is_no_publication_is_refused_before_anybody_is_asked() {
    for (lines, body, status) in [
        ("", "<presence/>", 489),
        ("Event: ;\r\n", "<presence/>", 489),
        (PRESENCE, "", 400),
        ("Event: presence\r\nRequire: dance\r\n", "<presence/>", 420),
    ] {
        let mut world = world();
        world.caller_sends(&publish(1, lines, body));
        world.caller_gets(&format!("SIP/2.0 {status} "));
        assert!(world.asks.is_empty());
        world.settles();
    }
    let mut world = world();
    world.caller_sends(&publish(1, PRESENCE, "x").replace("PUBLISH sip:", "PUBLISH mailto:"));
    world.caller_gets("SIP/2.0 416 ");
    world.settles();
}

#[test]
fn control_says_who_may_not_who_must_prove_himself_and_who_hears_nothing() {
    for (status, seconds, name) in [(405, 0, "Allow"), (403, 0, "To"), (423, 60, "Min-Expires")] {
        let mut world = world();
        world.caller_sends(&publish(1, PRESENCE, "<presence/>"));
        let asked = world.asked_to_publish();
        world.publishes(&asked, status, seconds);
        header(&world.caller_gets(&format!("SIP/2.0 {status} ")), name);
        world.settles();
    }
    let mut world = world();
    world.caller_sends(&publish(1, PRESENCE, "<presence/>"));
    let asked = world.asked_to_publish();
    world.publishes(&asked, 0, 0);
    world.is_quiet();
    world.settles();
    let mut world = self::world();
    world.caller_sends(&publish(1, PRESENCE, "<presence/>"));
    let asked = world.asked_to_publish();
    assert_eq!(asked.credentials.freshness, Freshness::None as u8);
    world.publishes(&asked, 407, 0);
    let nonce = nonce_of(&world.caller_gets("SIP/2.0 407 "));
    let proof = format!("Proxy-Authorization: {}", digest(&nonce));
    world.caller_sends(&with_line(&publish(2, PRESENCE, "<presence/>"), &proof));
    assert_eq!(world.asked_to_publish().credentials.freshness, Freshness::Fresh as u8);
    world.settles();
}

#[test]
fn where_nobody_may_publish_nobody_is_asked() {
    let mut world = World::new();
    world.caller_sends(&publish(1, PRESENCE, "<presence/>"));
    assert!(!header(&world.caller_gets("SIP/2.0 405 "), "Allow").contains("PUBLISH"));
    assert!(world.asks.is_empty());
    world.settles();
}
