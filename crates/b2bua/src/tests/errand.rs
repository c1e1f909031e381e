//! OPTIONS, REGISTER and keep-alives of ours: sent, challenged, reported once.

use link::order::{Errand, ErrandKind};
use link::report::ErrandDone;
use sip::digest::{Algorithm, Asker, Hash};
use sip::{Message, Method};

use super::*;

fn errand(kind: ErrandKind) -> Errand {
    Errand {
        id: 77,
        call_id: 0xca11,
        gateway: 100,
        expires_s: 600,
        cseq: 41,
        connection: 0,
        target: Endpoint::from(VENDORS[0].parse::<SocketAddr>().unwrap()).by(Transport::Udp),
        local: Endpoint::NONE,
        kind: kind as u8,
        spare: [0; 7],
        uri: Text::EMPTY,
        user: Text::EMPTY,
        domain: Text::EMPTY,
    }
}

fn register() -> Errand {
    Errand {
        user: Text::new(b"4940100").unwrap(),
        domain: Text::new(b"provider.example").unwrap(),
        ..errand(ErrandKind::Register)
    }
}

#[test]
fn a_phone_behind_nat_hears_us_from_where_it_registered() {
    let mut world = World::new();
    let phone: SocketAddr = "198.51.100.9:5060".parse().unwrap();
    let local = Endpoint::from(OUR_VENDOR_SIDE.parse::<SocketAddr>().unwrap());
    for (number, local, via) in
        [(1, Endpoint::NONE, "192.0.2.1:5060"), (2, local, "203.0.113.1:5060")]
    {
        let target = Endpoint::from(phone);
        let options = Errand { id: 0, target, local, ..errand(ErrandKind::Options) };
        world.order(Order::Errand(options));
        let options = world.gets("198.51.100.9:5060", "OPTIONS ");
        assert!(header(&options, "Via").starts_with(&format!("SIP/2.0/UDP {via};")), "{options}");
        let answer = response(&options, 200, "p", "198.51.100.9", "");
        world.receive("198.51.100.9:5060", via, &answer);
        world.caller_sends(&invite(number, &caller_sdp()));
        world.ignore_messages();
        let call = world.admit().call;
        world.route_with(call, &[0], |route| {
            (route.candidates[0].target, route.candidates[0].local) = (target, local);
        });
        let first = world.gets("198.51.100.9:5060", "INVITE ");
        assert!(header(&first, "Via").starts_with(&format!("SIP/2.0/UDP {via};")), "{first}");
        assert_eq!(header(&first, "Contact"), format!("<sip:{via}>"));
        let answer = response(&first, 486, "p", "198.51.100.9", "");
        world.receive("198.51.100.9:5060", via, &answer);
        world.ignore_messages();
    }
    world.settles();
}

impl World {
    /// Control orders it; the request that goes out.
    fn sends_errand(&mut self, errand: Errand) -> String {
        self.order(Order::Errand(errand));
        let name = if errand.kind == 1 { "REGISTER " } else { "OPTIONS " };
        self.vendor_gets(0, name)
    }

    /// The one report that there is.
    fn done(&mut self) -> ErrandDone {
        match self.reports.pop() {
            Some(Report::Errand(done)) if self.reports.is_empty() => done,
            other => panic!("one report was expected, not {other:?} after {:?}", self.reports),
        }
    }
}

/// An answer that asks for a password.
pub(super) fn challenge(request: &str, status: u16, lines: &[&str]) -> String {
    let name = if status == 407 { "Proxy-Authenticate" } else { "WWW-Authenticate" };
    let lines: String = lines.iter().map(|line| format!("{name}: {line}\r\n")).collect();
    with_lines(&response(request, status, "c", VENDORS[0], ""), &lines)
}

/// How many credentials a request carries, each shown to be of the password and for this very request.
pub(super) fn proofs(request: &str, asker: Asker) -> usize {
    let message = Message::parse(request.as_bytes()).unwrap();
    let proven = asker.credentials(&message).map(|credentials| {
        let credentials = credentials.unwrap();
        let algorithm = credentials.response.algorithm();
        let realm = credentials.realm.as_bytes();
        let ha1 = Hash::ha1(algorithm, USERNAME.as_bytes(), realm, PASSWORD.as_bytes());
        let body = Hash::of_body(algorithm, message.body());
        assert!(credentials.username.is(USERNAME.as_bytes()));
        assert_eq!(credentials.uri, message.request().unwrap().uri.as_bytes());
        assert!(credentials.verify(&ha1, message.method(), Some(body)), "{request}");
    });
    proven.count()
}

#[test]
fn options_ask_whether_anybody_is_there() {
    let mut world = World::new();
    let options = world.sends_errand(errand(ErrandKind::Options));
    assert!(options.starts_with("OPTIONS sip:203.0.113.10:5060 SIP/2.0\r\n"));
    assert!(header(&options, "Via").starts_with("SIP/2.0/UDP 203.0.113.1:5060;rport;branch="));
    assert!(header(&options, "From").starts_with("<sip:203.0.113.1:5060>;tag="));
    assert_eq!(header(&options, "To"), "<sip:203.0.113.10:5060>");
    assert_eq!(header(&options, "CSeq"), "41 OPTIONS");
    assert_eq!(header(&options, "Accept"), "application/sdp");
    assert_eq!(header(&options, "Max-Forwards"), "70");
    world.wait_ms(40);
    world.vendor_says(0, &options, 200, "o", "");
    let done = world.done();
    assert_eq!((done.id, done.status, done.cseq, done.challenges), (77, 200, 41, 0));
    assert_eq!((done.round_trip_us, done.expires_s), (40_000, 0));
    // Once: its repetition is absorbed.
    world.vendor_says(0, &options, 200, "o", "");
    assert!(world.reports.is_empty());
    world.settles();
}

#[test]
fn options_name_who_asks_and_what_for() {
    let mut world = World::new();
    let options = world.sends_errand(Errand {
        uri: Text::new(b"sip:ping@provider.example;user=phone").unwrap(),
        user: Text::new(b"probe 1").unwrap(),
        domain: Text::new(b"us.example").unwrap(),
        ..errand(ErrandKind::Options)
    });
    assert!(options.starts_with("OPTIONS sip:ping@provider.example;user=phone SIP/2.0\r\n"));
    assert!(header(&options, "From").starts_with("<sip:probe%201@us.example>;tag="));
    world.vendor_says(0, &options, 503, "o", "");
    assert_eq!(world.done().status, 503);
    world.settles();
}

#[test]
fn a_registration_keeps_its_call_id_and_says_where_calls_arrive() {
    let mut world = World::new();
    let first = world.sends_errand(register());
    assert!(first.starts_with("REGISTER sip:provider.example SIP/2.0\r\n"));
    assert!(header(&first, "From").starts_with("<sip:4940100@provider.example>;tag="));
    assert_eq!(header(&first, "To"), "<sip:4940100@provider.example>");
    assert_eq!(header(&first, "Contact"), "<sip:4940100@203.0.113.1:5060>");
    assert_eq!(header(&first, "Expires"), "600");
    world.vendor_says(0, &first, 200, "r", "");
    world.done();
    let second = world.sends_errand(Errand { cseq: 42, ..register() });
    assert_eq!(header(&first, "Call-ID"), header(&second, "Call-ID"));
    assert_eq!(header(&second, "CSeq"), "42 REGISTER");
    world.vendor_says(0, &second, 200, "r", "");
    // The answers of a box of several workers come to the one who asked.
    let shard = shard_of(header(&first, "Call-ID").as_bytes(), &world.switch.setup.keys);
    assert_eq!(worker_of(shard, 1), 0);
    world.settles();
}

#[test]
fn a_call_for_a_registration_without_a_user_is_known_by_the_login() {
    let mut world = World::new();
    world.profile(0, |_| {});
    let request = world.sends_errand(errand(ErrandKind::Register));
    assert!(request.starts_with("REGISTER sip:203.0.113.10:5060 SIP/2.0\r\n"));
    assert_eq!(header(&request, "To"), "<sip:203.0.113.10:5060>");
    assert_eq!(header(&request, "Contact"), "<sip:tollgate7@203.0.113.1:5060>");
    world.settles();
}

#[test]
fn the_time_granted_is_that_of_our_contact_else_of_all_else_as_asked() {
    let ours = "Contact: <sip:4940100@203.0.113.1:5060>;expires=120\r\n";
    let stranger = "Contact: <sip:4940100@198.51.100.99:5060>;expires=7\r\n";
    for (lines, expected) in [
        (format!("{stranger}{ours}Expires: 300\r\n"), 120),
        (format!("{stranger}Expires: 300\r\n"), 300),
        (stranger.to_owned(), 600),
        (ours.replace(";expires=120", ""), 600),
        (format!("Contact: <sip:4940100@203.0.113.1>;expires=90, {}", &stranger[9..]), 90),
        ("Expires: soon\r\n".to_owned(), 600),
    ] {
        let mut world = World::new();
        let request = world.sends_errand(register());
        let answer = response(&request, 200, "r", VENDORS[0], "");
        let contact = format!("Contact: <sip:vendor@{}>\r\n", VENDORS[0]);
        world.vendor_sends(0, &with_lines(&answer.replace(&contact, ""), &lines));
        assert_eq!(world.done().expires_s, expected, "{lines}");
        world.settles();
    }
}

#[test]
fn a_binding_taken_back_is_granted_no_time() {
    let mut world = World::new();
    let request = world.sends_errand(Errand { expires_s: 0, ..register() });
    assert_eq!(header(&request, "Expires"), "0");
    let answer = response(&request, 200, "r", VENDORS[0], "");
    world.vendor_sends(0, &with_lines(&answer, "Expires: 300\r\n"));
    let done = world.done();
    assert_eq!((done.status, done.expires_s), (200, 0));
    world.settles();
}

#[test]
fn a_time_too_short_and_a_registrar_too_busy_are_reported_with_their_figures() {
    for (status, line, expected) in
        [(423, "Min-Expires: 1800\r\n", (1_800, 0)), (503, "Retry-After: 90 (busy)\r\n", (0, 90))]
    {
        let mut world = World::new();
        let request = world.sends_errand(register());
        let answer = response(&request, status, "r", VENDORS[0], "");
        world.vendor_sends(0, &with_lines(&answer, line));
        let done = world.done();
        assert_eq!((done.status, (done.expires_s, done.retry_after_s)), (status, expected));
        world.settles();
    }
}

#[test]
fn silence_is_reported_once_after_32_seconds() {
    let mut world = World::new();
    let request = world.sends_errand(register());
    world.wait_ms(31_999);
    assert!(world.ignore_messages() > 5);
    assert!(world.reports.is_empty());
    world.wait_ms(1);
    let done = world.done();
    assert_eq!((done.id, done.status, done.cseq, done.round_trip_us), (77, 0, 41, 0));
    world.vendor_says(0, &request, 200, "late", "");
    assert!(world.reports.is_empty());
    world.settles();
}

#[test]
fn an_errand_that_comes_back_is_reported_at_once() {
    let mut world = World::new();
    let request = world.sends_errand(register());
    world.comes_back(&request);
    assert_eq!((world.done().status, world.switch.transactions_open()), (0, 0));
    world.settles();
}

#[test]
fn a_keep_alive_is_two_line_ends_and_no_transaction() {
    let mut world = World::new();
    world.order(Order::Errand(errand(ErrandKind::KeepAlive)));
    assert_eq!(world.vendor_gets(0, ""), "\r\n\r\n");
    assert_eq!(world.switch.transactions_open(), 0);
    assert_eq!(world.done().status, 0);
    world.settles();
}

#[test]
fn what_cannot_be_sent_is_reported_at_once() {
    let nowhere = Errand { target: Endpoint::NONE, ..register() };
    let broken = Errand { uri: Text::new(b"sip:a b@c").unwrap(), ..register() };
    let split = Errand { domain: Text::new(b"a>\r\nEvil: yes").unwrap(), ..register() };
    for unfit in [nowhere, broken, split, Errand { target: Endpoint::NONE, kind: 2, ..register() }]
    {
        let mut world = World::new();
        world.order(Order::Errand(unfit));
        world.is_quiet();
        assert_eq!((world.done().status, world.switch.transactions_open()), (0, 0));
        world.settles();
    }
    let mut world = World::new();
    world.order(Order::Errand(broken));
    assert_eq!((world.count(Counter::Errands), world.count(Counter::ErrandsUnfit)), (1, 1));
}

#[test]
fn tables_that_are_full_are_reported_and_counted() {
    for (limits, sent, counter) in [
        (Limits { transactions_max: 2, ..limits() }, 2, Counter::TransactionsFull),
        (Limits { kept_messages_max: 1, ..limits() }, 2, Counter::KeptFull),
        (
            Limits { transactions_max: 2_000, kept_messages_max: 2_000, ..limits() },
            1_024,
            Counter::ErrandsFull,
        ),
    ] {
        let mut world = World::with_limits(limits);
        let mut ids = Vec::new();
        for id in 0..sent + 3 {
            world.order(Order::Errand(Errand { id, ..register() }));
            if let Some(Report::Errand(done)) = world.reports.pop() {
                assert_eq!(done.status, 0);
                ids.push(done.id);
            }
        }
        assert_eq!(world.ignore_messages() as u64, sent);
        assert_eq!(world.count(counter), 3);
        assert!(ids.iter().copied().eq(sent..sent + 3));
        world.wait_ms(32_000);
        assert_eq!(world.reports.len() as u64, sent);
        world.ignore_messages();
        world.reports.clear();
        // Every place is free again.
        world.order(Order::Errand(register()));
        assert!(world.reports.is_empty());
        world.wait_ms(200_000);
        assert_eq!(world.switch.errands_running(), 0);
        assert_eq!(world.switch.transactions_open(), 0);
    }
}

#[test]
fn a_registrars_challenge_is_answered_under_the_next_number() {
    for (status, asker) in [(401, Asker::Server), (407, Asker::Proxy)] {
        let mut world = World::new();
        world.profile(0, |_| {});
        let first = world.sends_errand(register());
        let asks = challenge(&first, status, &["Digest realm=\"p\", nonce=\"n1\", qop=\"auth\""]);
        world.wait_ms(100);
        world.vendor_sends(0, &asks);
        let second = world.vendor_gets(0, "REGISTER sip:provider.example SIP/2.0");
        assert_eq!(header(&second, "CSeq"), "42 REGISTER");
        for same in ["Call-ID", "From", "To", "Contact", "Expires"] {
            assert_eq!(header(&first, same), header(&second, same));
        }
        assert_ne!(header(&first, "Via"), header(&second, "Via"));
        assert_eq!(proofs(&second, asker), 1);
        // The challenge again: no third request.
        world.vendor_sends(0, &asks);
        world.is_quiet();
        assert!(world.reports.is_empty());
        world.wait_ms(30);
        world.vendor_says(0, &second, 200, "r", "");
        let done = world.done();
        assert_eq!((done.status, done.challenges, done.cseq), (200, 1, 42));
        assert_eq!(done.round_trip_us, 30_000);
        assert_eq!(world.count(Counter::ChallengesAnswered), 1);
        world.settles();
    }
}

#[test]
fn a_password_is_refused_once_and_not_told_again_unless_the_nonce_was_old() {
    let asks = |nonce: &str, stale: &str| {
        format!("Digest realm=\"p\", nonce=\"{nonce}\", algorithm=MD5, qop=\"auth\"{stale}")
    };
    for (stale, answered) in [("", 1), (", stale=true", 2)] {
        let mut world = World::new();
        world.profile(0, |_| {});
        let mut request = world.sends_errand(register());
        world.vendor_sends(0, &challenge(&request, 401, &[&asks("n1", "")]));
        for nonce in 2..=answered + 1 {
            request = world.vendor_gets(0, "REGISTER ");
            assert_eq!(proofs(&request, Asker::Server), 1);
            assert!(header(&request, "Authorization").contains("nc=00000001"));
            let asks = asks(&format!("n{nonce}"), stale);
            world.vendor_sends(0, &challenge(&request, 401, &[&asks]));
        }
        world.is_quiet();
        let done = world.done();
        assert_eq!((done.status, u32::from(done.challenges)), (401, answered));
        assert_eq!(done.cseq, 41 + answered);
        assert_eq!(world.count(Counter::PasswordsRefused), 1);
        world.settles();
    }
}

#[test]
fn a_nonce_that_is_used_again_is_counted_on() {
    let mut world = World::new();
    world.profile(0, |_| {});
    let first = world.sends_errand(register());
    let asks = "Digest realm=\"p\", nonce=\"same\", qop=\"auth\", stale=true";
    world.vendor_sends(0, &challenge(&first, 401, &[asks]));
    let second = world.vendor_gets(0, "REGISTER ");
    world.vendor_sends(0, &challenge(&second, 401, &[asks]));
    let third = world.vendor_gets(0, "REGISTER ");
    assert!(header(&third, "Authorization").contains("nc=00000002"));
    assert_eq!(proofs(&third, Asker::Server), 1);
    world.settles();
}

#[test]
fn every_form_of_digest_is_answered_and_the_strongest_of_a_realm() {
    for (lines, algorithm, qop) in [
        (vec!["Digest realm=\"p\", nonce=\"n\""], Algorithm::Md5, ""),
        (
            vec!["Digest realm=\"p\", nonce=\"n\", algorithm=SHA-256, qop=\"auth-int\""],
            Algorithm::Sha256,
            "auth-int",
        ),
        (vec!["Digest realm=\"p\", nonce=\"n\", qop=\"auth-int,auth\""], Algorithm::Md5, "auth"),
        (
            vec![
                "Digest realm=\"p\", nonce=\"n\", algorithm=SHA-512-256, qop=\"auth\"",
                "Digest realm=\"p\", nonce=\"n\", qop=\"auth\"",
                "Basic realm=\"p\"",
                "Digest realm=\"p\", nonce=\"n\", algorithm=SHA-256, qop=\"auth\"",
                "Digest realm=\"p\", nonce=\"n\"",
            ],
            Algorithm::Sha256,
            "auth",
        ),
    ] {
        let mut world = World::new();
        world.profile(0, |_| {});
        let first = world.sends_errand(register());
        world.vendor_sends(0, &challenge(&first, 401, &lines));
        let second = world.vendor_gets(0, "REGISTER ");
        assert_eq!(proofs(&second, Asker::Server), 1);
        let message = Message::parse(second.as_bytes()).unwrap();
        assert_eq!(message.method(), Method::Register);
        let credentials = Asker::Server.credentials(&message).next().unwrap().unwrap();
        assert_eq!(credentials.response.algorithm(), algorithm);
        assert_eq!(credentials.qop.as_bytes(), qop.as_bytes());
        world.settles();
    }
}

#[test]
fn all_realms_of_one_answer_are_satisfied_at_once() {
    let mut world = World::new();
    world.profile(0, |_| {});
    let first = world.sends_errand(register());
    let lines =
        ["a", "b"].map(|realm| format!("Digest realm=\"{realm}\", nonce=\"n\", qop=\"auth\""));
    let asks = challenge(&first, 401, &[&lines[0], &lines[1]]);
    let asks = with_lines(&asks, "Proxy-Authenticate: Digest realm=\"c\", nonce=\"n\"\r\n");
    world.vendor_sends(0, &asks);
    let second = world.vendor_gets(0, "REGISTER ");
    assert_eq!((proofs(&second, Asker::Server), proofs(&second, Asker::Proxy)), (2, 1));
    world.vendor_says(0, &second, 200, "r", "");
    assert_eq!(world.done().challenges, 1);
    world.settles();
}

#[test]
fn a_challenge_that_nobody_can_answer_is_reported_as_it_is() {
    let garbage = [
        "Digest",
        "Digest realm=\"p\"",
        "Digest realm=\"p\", nonce=\"n\", algorithm=MD5-sess, qop=\"auth\"",
        "Digest realm=\"p\", nonce=\"n\", qop=\"voodoo\"",
        "Digest realm=p\"\", nonce=\"n",
        "Basic realm=\"p\"",
        "",
    ];
    for lines in [&garbage[..], &[]] {
        let mut world = World::new();
        world.profile(0, |_| {});
        let first = world.sends_errand(register());
        world.vendor_sends(0, &challenge(&first, 401, lines));
        world.is_quiet();
        assert_eq!((world.done().status, world.count(Counter::PasswordsRefused)), (401, 0));
        world.settles();
    }
    // Nor without a password, or one that is another gateway's.
    for gateway in [0, 100, 101] {
        let mut world = World::new();
        world.profile(0, |profile| profile.username = Text::EMPTY);
        let first = world.sends_errand(Errand { gateway, ..register() });
        world.vendor_sends(0, &challenge(&first, 401, &["Digest realm=\"p\", nonce=\"n\""]));
        world.is_quiet();
        assert_eq!(world.done().challenges, 0);
        world.settles();
    }
}
