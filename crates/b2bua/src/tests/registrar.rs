//! Phones that say where they are.

use link::answer::Registered;
use link::ask::{CONTACTS_MAX, Contact, Freshness, Register, RequestKey, UNSAID};

use super::challenge::{STRANGER, digest, nonce_of, with_line};
use super::*;

/// A REGISTER of bob's phone with these lines, which may be a digest.
pub(super) fn register(cseq: u32, lines: &str) -> String {
    format!(
        "REGISTER sip:192.0.2.1 SIP/2.0\r\n\
         Via: SIP/2.0/UDP 10.0.0.9:5060;branch=z9hG4bKregister{cseq};rport\r\n\
         Max-Forwards: 70\r\nFrom: <sip:bob@192.0.2.1>;tag=r\r\nTo: <sip:bob@192.0.2.1>\r\n\
         Call-ID: boot@bob\r\nCSeq: {cseq} REGISTER\r\nUser-Agent: Handset\r\n{lines}\
         Content-Length: 0\r\n\r\n"
    )
}

pub(super) const CONTACT: &str = "Contact: <sip:bob@10.0.0.9:5060>\r\n";

/// A REGISTER of every field, with a nonce that the caller has just got.
pub(super) fn proven_register(world: &mut World) -> String {
    let lines = "Contact: \"Bob\" <sip:bob@10.0.0.9:5060;ob>;q=0.5;expires=60, <sip:bob@10.0.0.10>\r\n\
                 Expires: 600\r\nPath: <sip:edge;lr>, <sip:inner;lr>\r\nPath: <sip:last;lr>\r\n";
    let proof = world.proof();
    with_line(&register(2, lines), &proof)
}

impl World {
    /// A line that proves something with a nonce which the caller has just got.
    pub(super) fn proof(&mut self) -> String {
        self.caller_sends(&register(1, CONTACT));
        let challenge = self.caller_gets("SIP/2.0 401 ");
        format!("Authorization: {}", digest(&nonce_of(&challenge)))
    }

    /// What control is asked of a REGISTER with these lines.
    fn asked(&mut self, cseq: u32, lines: &str) -> Register {
        let proof = self.proof();
        self.caller_sends(&with_line(&register(cseq, lines), &proof));
        self.asked_last()
    }

    fn asked_last(&mut self) -> Register {
        match self.asks.pop() {
            Some(Ask::Register(register)) => register,
            other => panic!("a registration was expected, not {other:?}"),
        }
    }

    fn registered(&mut self, request: RequestKey, change: impl FnOnce(&mut Registered)) {
        let mut registered = Registered::new_zeroed();
        registered.request = request;
        registered.status = 200;
        change(&mut registered);
        self.answer(Answer::Registered(registered));
    }
}

fn contact(uri: &str, q: u16, expires_s: u32) -> Contact {
    Contact { uri: Text::new(uri.as_bytes()).unwrap(), q, expires_s, ..Contact::default() }
}

#[test]
fn a_phone_registers_and_learns_all_its_bindings() {
    let mut world = World::new();
    world.caller_sends(&register(1, CONTACT));
    let challenge = world.caller_gets("SIP/2.0 401 ");
    assert!(header(&challenge, "To").contains(";tag="));
    assert_eq!(world.switch.transactions.free(), 64, "a challenge needs no memory");
    assert!(world.asks.is_empty());

    let second = proven_register(&mut world);
    world.caller_sends(&second);
    world.is_quiet();
    let asked = world.asked_last();
    assert_eq!((asked.user.as_bytes(), asked.call_id.as_bytes()), (&b"bob"[..], &b"boot@bob"[..]));
    assert_eq!(asked.user_agent.as_bytes(), b"Handset");
    assert_eq!((asked.cseq, asked.expires_s, asked.star), (2, 600, 0));
    assert_eq!(asked.source.socket_address(), Some(CALLER.parse().unwrap()));
    assert_eq!(asked.local.socket_address(), Some(OUR_CUSTOMER_SIDE.parse().unwrap()));
    assert_eq!(asked.path.as_bytes(), b"<sip:edge;lr>,<sip:inner;lr>,<sip:last;lr>");
    assert_eq!(asked.contacts_used, 2);
    assert_eq!(asked.contacts[0], contact("sip:bob@10.0.0.9:5060;ob", 500, 60));
    assert_eq!(asked.contacts[1], contact("sip:bob@10.0.0.10", 1_000, UNSAID));
    assert_eq!(asked.credentials.freshness, Freshness::Fresh as u8);
    assert_eq!(asked.deadline_us - asked.asked_us, 2_000_000);

    // Impatient, but asked about once.
    world.caller_sends(&second);
    world.is_quiet();
    assert!(world.asks.is_empty());
    world.registered(asked.request, |registered| {
        registered.contacts_used = 2;
        registered.contacts[0] = contact("sip:bob@10.0.0.9:5060;ob", 500, 60);
        registered.contacts[1] = contact("sip:bob@192.0.2.99", 1_000, 3_000);
    });
    let granted = world.caller_gets("SIP/2.0 200 OK");
    let contacts: Vec<_> = granted.lines().filter(|line| line.starts_with("Contact")).collect();
    assert_eq!(
        contacts,
        [
            "Contact: <sip:bob@10.0.0.9:5060;ob>;q=0.500;expires=60",
            "Contact: <sip:bob@192.0.2.99>;expires=3000",
        ]
    );
    assert!(granted.contains("Path: <sip:edge;lr>, <sip:inner;lr>\r\nPath: <sip:last;lr>\r\n"));
    assert_eq!(header(&granted, "Supported"), "path, outbound");
    assert_eq!(header(&granted, "CSeq"), "2 REGISTER");
    assert!(header(&granted, "To").contains(";tag="));
    world.caller_sends(&second);
    assert_eq!(world.caller_gets("SIP/2.0 200 OK"), granted);
    assert_eq!(world.count(Counter::RegistersGranted), 1);
    world.settles();
}

#[test]
fn a_flow_is_registered_with_its_device_and_its_number() {
    let mut world = World::new();
    let flow = "Contact: <sip:bob@10.0.0.9;ob>;+sip.instance=\"<urn:uuid:1>\";reg-id=2\r\n";
    let asked = world.asked(2, &format!("{flow}Require: outbound\r\n"));
    let told = asked.contacts[0];
    assert_eq!((told.instance.as_bytes(), told.reg_id), (&b"<urn:uuid:1>"[..], 2));
    world.registered(asked.request, |registered| {
        registered.contacts_used = 1;
        registered.contacts[0] = Contact { expires_s: 60, ..told };
    });
    let granted = world.caller_gets("SIP/2.0 200 ");
    assert_eq!(header(&granted, "Require"), "outbound");
    assert_eq!(
        header(&granted, "Contact"),
        "<sip:bob@10.0.0.9;ob>;expires=60;+sip.instance=\"<urn:uuid:1>\";reg-id=2"
    );
    // A phone that does not know of flows has none, though its device is known.
    let plain = world.asked(3, flow).contacts[0];
    assert_eq!((plain.instance.as_bytes(), plain.reg_id), (&b"<urn:uuid:1>"[..], 0));
    let nameless = "Contact: <sip:bob@10.0.0.9>;reg-id=2\r\nSupported: outbound\r\n";
    assert_eq!(world.asked(4, nameless).contacts[0].reg_id, 0);
}

#[test]
fn a_flow_by_a_proxy_that_keeps_none_and_two_flows_at_once_are_refused() {
    let flow = "Contact: <sip:bob@10.0.0.9>;+sip.instance=\"<urn:uuid:1>\";reg-id=1\r\n\
                Supported: path, outbound\r\n";
    let hop = "Via: SIP/2.0/UDP 10.0.0.9;branch=z9hG4bKphone\r\n";
    let second = "Contact: <sip:bob@10.0.0.8>;+sip.instance=\"<urn:uuid:1>\";reg-id=2\r\n";
    for (lines, status) in [
        (format!("{flow}{hop}"), 439),
        (format!("{flow}{hop}Path: <sip:edge;lr>\r\n"), 439),
        (format!("{flow}{hop}Path: <sip:inner;lr>, <sip:edge;lr;ob>\r\n"), 0),
        (format!("{flow}{second}"), 400),
        (format!("{flow}{}", second.replace("reg-id=2", "reg-id=2;expires=0")), 0),
    ] {
        let mut world = World::new();
        let proof = world.proof();
        world.caller_sends(&with_line(&register(2, &lines), &proof));
        match status {
            0 => assert_eq!(world.asked_last().contacts[0].reg_id, 1, "{lines}"),
            _ => drop(world.caller_gets(&format!("SIP/2.0 {status} "))),
        }
    }
}

#[test]
fn a_fetch_and_a_removal_go_the_same_way() {
    let mut world = World::new();
    let fetch = world.asked(2, "");
    assert_eq!((fetch.contacts_used, fetch.star, fetch.expires_s), (0, 0, UNSAID));
    world.registered(fetch.request, |_| {});
    let none = world.caller_gets("SIP/2.0 200 ");
    assert!(!none.contains("Contact"));
    let one = world.asked(3, "Contact: <sip:bob@10.0.0.9>;expires=0\r\n");
    assert_eq!((one.contacts[0].expires_s, one.expires_s), (0, UNSAID));
    let all = world.asked(4, "Contact: *\r\nExpires: 0\r\n");
    assert_eq!((all.contacts_used, all.star, all.expires_s), (0, 1, 0));
    world.settles();
}

#[test]
fn headers_in_a_contact_are_registered_and_written_into_no_request() {
    let mut world = World::new();
    let uri = "sip:bob@10.0.0.9?Route=%3Csip:10.0.0.8%3E&Subject=x";
    let asked = world.asked(2, &format!("Contact: <{uri}>\r\n"));
    assert_eq!(asked.contacts[0].uri.as_bytes(), uri.as_bytes());
    world.settles();
    let mut world = World::new();
    world.caller_sends(&invite(1, &caller_sdp()));
    world.caller_gets(TRYING);
    let call = world.admit().call;
    world.route_with(call, &[0], |route| {
        route.texts = Text::new(uri.as_bytes()).unwrap();
        route.candidates[0].uri.length = uri.len() as u16;
    });
    world.vendor_gets(0, "INVITE sip:bob@10.0.0.9 SIP/2.0");
    world.settles();
}

#[test]
fn an_expiry_that_makes_no_sense_is_an_hour() {
    let mut world = World::new();
    let odd = world.asked(2, "Contact: <sip:bob@a>;expires=soon\r\nExpires: -1\r\n");
    assert_eq!((odd.contacts[0].expires_s, odd.expires_s), (3_600, 3_600));
    let endless = world.asked(3, "Contact: <sip:bob@a>;expires=4294967295\r\n");
    assert_eq!(endless.contacts[0].expires_s, UNSAID - 1);
    world.settles();
}

#[test]
fn an_old_nonce_is_told_so_and_a_strangers_is_not() {
    let mut world = World::new();
    let proof = world.proof();
    let second = with_line(&register(2, CONTACT), &proof);
    world.receive(STRANGER, OUR_CUSTOMER_SIDE, &second);
    let stranger = world.gets(STRANGER, "SIP/2.0 401 ");
    assert!(!stranger.contains("stale"));
    world.wait_ms(301_000);
    world.caller_sends(&second);
    let stale = world.caller_gets("SIP/2.0 401 ");
    assert_eq!(stale.matches("stale=true").count(), 2);
    assert!(world.asks.is_empty());
    assert_eq!(world.switch.transactions.free(), 64);
    // The fresh nonce of the very refusal does.
    let proof = format!("Authorization: {}", digest(&nonce_of(&stale)));
    world.caller_sends(&with_line(&register(3, CONTACT), &proof));
    world.asked_last();
    world.settles();
}

#[test]
fn what_no_registrar_can_obey_is_refused_whoever_sent_it() {
    let long = |length: usize| "x".repeat(length);
    let all = |contacts: usize| format!("Contact: <sip:a>{}\r\n", ",<sip:a>".repeat(contacts - 1));
    for (lines, status) in [
        ("Contact: *\r\n".into(), 400),
        ("Contact: *\r\nExpires: 1\r\n".into(), 400),
        ("Contact: *\r\nContact: <sip:a>\r\nExpires: 0\r\n".into(), 400),
        ("Contact: <sip:a>, *\r\nExpires: 0\r\n".into(), 400),
        ("Contact: <sip:a>, <sip:\r\n".into(), 400),
        ("Contact: <sip:a>, <mailto:a@b>\r\n".into(), 400),
        (format!("{CONTACT}Path: <sip:a\r\n"), 400),
        (format!("{CONTACT}Path: sip:a;lr\r\n"), 400),
        (format!("{CONTACT}Path: <sip:a;lr>, \"<sip:b>\r\n"), 400),
        (all(CONTACTS_MAX + 1), 403),
        (all(800), 403),
        (format!("Contact: <sip:a>, <sip:{}>\r\n", long(251)), 513),
        (format!("{CONTACT}Path: <sip:{};lr>\r\n", long(510)), 513),
        (format!("{CONTACT}Path: {}<sip:a;lr>\r\n", "<sip:aa;lr>,".repeat(50)), 513),
        (format!("{CONTACT}Require: path, outbound, gruu\r\n"), 420),
    ] {
        let mut world = World::new();
        let proof = world.proof();
        world.caller_sends(&with_line(&register(2, &lines), &proof));
        let refusal = world.caller_gets(&format!("SIP/2.0 {status} "));
        if status == 420 {
            assert_eq!(header(&refusal, "Unsupported"), "gruu");
        }
        assert!(world.asks.is_empty(), "control was asked about a {status}");
        assert_eq!(world.switch.transactions.free(), 64);
        world.settles();
    }
    for (text, with, status) in [
        ("To: <sip:bob@", "To: <tel:", 400),
        ("To: <sip:bob@", "To: <sip:", 404),
        ("To: <sip:bob@", &format!("To: <sip:{}@", long(63)), 404),
        ("boot@bob", &long(127), 513),
    ] {
        let mut world = World::new();
        let proof = world.proof();
        world.caller_sends(&with_line(&register(2, CONTACT), &proof).replace(text, with));
        world.caller_gets(&format!("SIP/2.0 {status} "));
        assert_eq!(world.count(Counter::RefusedRegister), 1);
        world.settles();
    }
}

#[test]
fn the_biggest_registration_is_told_and_answered_whole() {
    let mut world = World::new();
    let uri = |index: usize| format!("sip:{index}{}", "x".repeat(249));
    let contacts = (0..CONTACTS_MAX).map(|index| format!("Contact: <{}>\r\n", uri(index)));
    let path = format!("Path: <sip:{};lr>\r\n", "x".repeat(501));
    let asked = world.asked(2, &(contacts.collect::<String>() + &path));
    assert_eq!((asked.contacts[7].uri.as_bytes().len(), asked.path.as_bytes().len()), (254, 510));
    world.registered(asked.request, |registered| {
        registered.contacts_used = asked.contacts_used;
        registered.contacts = asked.contacts.map(|contact| Contact { expires_s: 60, ..contact });
    });
    let granted = world.caller_gets("SIP/2.0 200 ");
    for index in 0..CONTACTS_MAX {
        assert!(granted.contains(&format!("Contact: <{}>;expires=60\r\n", uri(index))));
    }
    assert!(granted.contains(&path));
    world.settles();
}

#[test]
fn control_may_refuse_in_many_ways() {
    for (status, said, line) in [
        (401, 401, "WWW-Authenticate"),
        (407, 407, "Proxy-Authenticate"),
        (403, 403, ""),
        (423, 423, "Min-Expires: 90"),
        (500, 500, ""),
        (503, 503, "Retry-After: 90"),
        (100, 500, ""),
        (999, 500, ""),
    ] {
        let mut world = World::new();
        let asked = world.asked(2, CONTACT);
        world.registered(asked.request, |registered| {
            registered.status = status;
            registered.seconds = 90;
            registered.stale = 1;
        });
        let reply = world.caller_gets(&format!("SIP/2.0 {said} "));
        assert!(reply.contains(line), "{reply}");
        assert_eq!(reply.contains("stale=true"), matches!(status, 401 | 407));
        assert_eq!(reply.contains(": 90"), matches!(status, 423 | 503));
        // A second word of control finds nobody who waits.
        world.registered(asked.request, |_| {});
        world.is_quiet();
        assert_eq!(world.count(Counter::AnswersLate), 1);
        world.settles();
    }
}

#[test]
fn silence_stays_silence() {
    let mut world = World::new();
    let asked = world.asked(2, CONTACT);
    world.registered(asked.request, |registered| registered.status = 0);
    let proof = world.proof();
    world.caller_sends(&with_line(&register(2, CONTACT), &proof));
    world.is_quiet();
    assert!(world.asks.is_empty());
    assert_eq!((world.count(Counter::Silenced), world.switch.transactions.free()), (2, 64));
    world.settles();
}

#[test]
fn a_phone_waits_for_control_no_longer_than_it_may() {
    let mut world = World::new();
    let asked = world.asked(2, CONTACT);
    world.wait_ms(1_999);
    world.is_quiet();
    world.wait_ms(1);
    let late = world.caller_gets("SIP/2.0 503 ");
    assert_eq!(header(&late, "Retry-After"), "5");
    world.registered(asked.request, |_| {});
    world.is_quiet();
    assert_eq!((world.count(Counter::RefusedAdmitLate), world.count(Counter::AnswersLate)), (1, 1));
    world.switch.set_control_alive(false);
    world.caller_sends(&register(3, CONTACT));
    let away = world.caller_gets("SIP/2.0 503 ");
    assert_eq!(header(&away, "Retry-After"), "5");
    world.settles();
}

#[test]
fn an_answer_to_a_process_that_died_reaches_no_other_phone() {
    let mut world = World::new();
    let asked = world.asked(2, CONTACT);
    world.restart();
    world.switch.set_wall_offset(Duration::from_secs(1_700_000_000));
    let again = world.asked(3, CONTACT);
    assert_eq!(asked.request.slot, again.request.slot);
    world.registered(asked.request, |_| {});
    world.is_quiet();
    assert_eq!(world.count(Counter::AnswersLate), 1);
    // Nor does one that names another kind of transaction.
    world.ignore_messages();
    world.caller_sends(&invite(1, &caller_sdp()));
    let admit = world.admit();
    let invite = RequestKey { slot: again.request.slot + 1, ..again.request };
    world.registered(invite, |_| {});
    world.refuse(admit.call, 403, 1);
    assert_eq!(world.count(Counter::AnswersLate), 2);
    world.settles();
}

#[test]
fn a_storm_of_registrations_leaves_room_for_calls() {
    let mut world = World::new();
    let proof = world.proof();
    let mut full = 0;
    for number in 2..102 {
        world.caller_sends(&with_line(&register(number, CONTACT), &proof));
        full += u32::from(world.ignore_messages() > 0);
    }
    assert_eq!(world.asks.len() as u32 + full, 100);
    let refused =
        world.count(Counter::RefusedTransactionsFull) + world.count(Counter::RefusedKeptFull);
    assert!(full >= 52 && refused == u64::from(full), "{full} {refused}");
    assert!(world.switch.transactions.free() >= 16 && world.switch.kept.free_blocks() >= 32);
    world.asks.clear();
    let (_, invite) = world.call_begins(&[0]);
    world.vendor_says(0, &invite, 486, "v", "");
    world.settles();
}

#[test]
fn a_flood_without_passwords_costs_nothing_that_stays() {
    let mut world = World::new();
    for number in 1..2_000 {
        world.caller_sends(&register(number, CONTACT));
        world.caller_gets("SIP/2.0 401 ");
    }
    assert_eq!((world.switch.transactions.free(), world.switch.blocks_kept()), (64, 0));
    assert!(world.asks.is_empty());
    world.settles();
}

#[test]
fn who_is_shut_out_is_refused_before_control_is_asked() {
    use link::order::ShutOut;
    use link::report::Refused;
    let mut world = World::new();
    let source = Endpoint::from(CALLER.parse::<SocketAddr>().unwrap());
    let shut_out = |world: &mut World, endpoint: &[u8], status, left_s: u64| {
        let until_us = (world.now + Duration::from_secs(left_s)).as_micros() as u64;
        let until_us = if left_s == 0 { 0 } else { until_us };
        let endpoint = Text::cut(endpoint);
        let order = ShutOut { until_us, source, endpoint, status, spare: [0; 6], number: 3 };
        world.order(Order::ShutOut(order));
    };
    let proof = world.proof();
    shut_out(&mut world, b"bob", 403, 180);
    world.caller_sends(&with_line(&register(2, CONTACT), &proof));
    world.caller_gets("SIP/2.0 403 ");
    world.caller_sends(&register(3, CONTACT));
    world.caller_gets("SIP/2.0 403 ");
    assert!(world.asks.is_empty());
    assert_eq!(world.count(Counter::RefusedShutOut), 2);
    world.wait_ms(1_000);
    let told = world.reports.pop();
    let Some(Report::Refusals(told)) = told else { panic!("{told:?}") };
    assert_eq!((told.used, told.rows[0]), (1, Refused { number: 3, count: 2 }));
    world.wait_ms(5_000);
    assert!(world.reports.is_empty(), "nothing more to tell");
    shut_out(&mut world, b"bob", 403, 0);
    world.caller_sends(&register(4, CONTACT));
    world.caller_gets("SIP/2.0 401 ");
    shut_out(&mut world, b"", 0, 60);
    world.caller_sends(&register(5, CONTACT));
    world.caller_sends(&with_line(&invite(1, &caller_sdp()), &proof));
    world.is_quiet();
    assert_eq!(world.count(Counter::RefusedShutOut), 4);
    world.settles();
}
