//! Phones, scripted: they register, are challenged, call and are called.

use link::answer::{Candidate, Challenge, Registered, WITHHELD};
use link::ask::{
    CONTACTS_MAX, Contact, Forward, Freshness, PRIVACY_ID, Register, RequestKey, UNSAID,
};
use link::endpoint::Transport;
use link::order::ErrandKind;
use link::report::ConnectionLost;
use sip::digest::{Algorithm, Exchange, Hash, Qop, response};
use sip::method::Method as SipMethod;

mod challenges;
mod fences;
mod ringing;
mod shut_out;

use super::*;
use crate::cdr::BillingMode;
use crate::state::binding::Binding;

const PASSWORD: &str = "Correct-Horse-7";
const HOME: &str = "192.0.2.1:5060";

/// What someone says to a challenge.
#[derive(Clone, Copy)]
struct Login {
    user: &'static str,
    password: &'static str,
    nonce: &'static str,
    /// 0: without qop.
    count: u32,
    algorithm: Algorithm,
}

const ALICE: Login = Login {
    user: "alice",
    password: PASSWORD,
    nonce: "n1",
    count: 1,
    algorithm: Algorithm::Sha256,
};

impl Login {
    fn credentials(self, method: SipMethod<'_>) -> Credentials {
        let realm = b"tollgate";
        let nc = format!("{:08x}", self.count);
        let counted = self.count > 0;
        let exchange = Exchange {
            method,
            uri: b"sip:tollgate",
            nonce: self.nonce.as_bytes(),
            qop: if counted { Qop::Auth } else { Qop::None },
            nc: nc.as_bytes(),
            cnonce: b"c",
            body: None,
        };
        let ha1 = Hash::ha1(self.algorithm, self.user.as_bytes(), realm, self.password.as_bytes());
        let digest = response(&ha1, &exchange);
        let mut bytes = [0; 32];
        bytes[..digest.as_bytes().len()].copy_from_slice(digest.as_bytes());
        Credentials {
            username: Text::new(self.user.as_bytes()).unwrap(),
            nonce: Text::new(self.nonce.as_bytes()).unwrap(),
            uri: Text::new(b"sip:tollgate").unwrap(),
            cnonce: Text::new(b"c").unwrap(),
            response: bytes,
            nonce_count: self.count,
            algorithm: u8::from(self.algorithm == Algorithm::Sha256),
            qop: u8::from(counted),
            freshness: Freshness::Fresh as u8,
            spare: 0,
        }
    }
}

fn endpoint(text: &str) -> Endpoint {
    Endpoint::from(text.parse::<std::net::SocketAddr>().unwrap())
}

/// A REGISTER of alice from her home, which has its own nonce for each `cseq`.
fn register(contacts: &[(&str, u32)], cseq: u32) -> Register {
    let mut told = [Contact::default(); CONTACTS_MAX];
    for (place, (uri, expires_s)) in told.iter_mut().zip(contacts) {
        let uri = Text::new(uri.as_bytes()).unwrap();
        *place = Contact { uri, q: 1_000, expires_s: *expires_s, ..Contact::default() };
    }
    let login = Login { count: cseq, ..ALICE };
    Register {
        request: RequestKey { slot: 3, generation: 4 },
        asked_us: 0,
        deadline_us: u64::MAX,
        source: endpoint(HOME),
        local: endpoint("198.51.100.1:5060"),
        connection: 0,
        cseq,
        expires_s: UNSAID,
        contacts_used: contacts.len() as u8,
        star: 0,
        publishes: 0,
        spare: 0,
        user: Text::new(b"alice").unwrap(),
        call_id: Text::new(b"register").unwrap(),
        user_agent: Text::new(b"Phone/1").unwrap(),
        path: Text::EMPTY,
        contacts: told,
        credentials: login.credentials(SipMethod::Register),
    }
}

const AT_HOME: &str = "sip:alice@192.0.2.1:5060";

impl Desk {
    /// Alice, whose calls `customer` pays for, and whom 390200 rings.
    fn with_alice() -> Self {
        let mut desk = Self::new("10");
        desk.post("phone", alice()).unwrap();
        for prefix in ["39", "alice"] {
            desk.post("tariff/sell/rate", json!({"prefix": prefix, "rate": "0.06"})).unwrap();
        }
        desk.settle();
        desk
    }

    fn registers(&mut self, register: &Register) -> Registered {
        self.answers();
        self.office.handle_ask(self.time, 0, &Ask::Register(*register), || None);
        match self.answers()[..] {
            [Answer::Registered(registered)] => registered,
            ref other => panic!("one answer, not {other:?}"),
        }
    }

    fn at_home(&mut self, cseq: u32) {
        assert_eq!(self.registers(&register(&[(AT_HOME, 600)], cseq)).status, 200);
    }

    fn is_challenged(&mut self, admit: &Admit) -> Challenge {
        self.answers();
        self.office.handle_admit(self.time, 0, admit);
        match self.answers()[..] {
            [Answer::Challenge(challenge)] => challenge,
            ref other => panic!("a challenge, not {other:?}"),
        }
    }

    fn look(&mut self, path: &str) -> Value {
        self.say(Method::Get, path, Value::Null).unwrap()
    }

    fn change(&mut self, path: &str, body: Value) {
        self.say(Method::Patch, path, body).unwrap();
    }

    fn pass_s(&mut self, seconds: u64) {
        self.time.now += Duration::from_secs(seconds);
        self.time.wall_us += seconds * 1_000_000;
        self.office.handle_tick(self.time);
    }

    /// The candidates of a call of the customer's gateway.
    fn rung(&mut self, callee: &str) -> Result<(Route, Vec<Candidate>), (u16, EndReason)> {
        let admit = self.invite("10.1.0.1:5060", callee);
        let route = self.ask(&admit);
        let route = route.map_err(|no| (no.status, EndReason::from_number(no.reason)))?;
        self.office.release(admit.record);
        Ok((route, route.candidates().to_vec()))
    }
}

fn alice() -> Value {
    json!({
        "name": "alice", "account": "customer", "tariff": "sell", "password": PASSWORD,
        "number": "+39 0200", "numbers": ["390200"],
    })
}

#[test]
fn a_phone_registers_is_shown_and_is_gone_when_its_time_is_over() {
    let mut desk = Desk::with_alice();
    let answer = desk.registers(&register(&[(AT_HOME, 600)], 1));
    assert_eq!(
        (answer.status, answer.request, answer.contacts().len()),
        (200, RequestKey { slot: 3, generation: 4 }, 1)
    );
    assert_eq!(answer.contacts()[0].expires_s, 600);
    let shown = desk.look("registration/alice");
    assert_eq!((&shown["online"], &shown["contacts"][0]["uri"]), (&json!(true), &json!(AT_HOME)));
    assert_eq!(
        (&shown["contacts"][0]["source"], &shown["contacts"][0]["nat"]),
        (&json!(HOME), &json!(false))
    );
    assert_eq!(desk.look("phone/alice")["online"], json!(true));
    assert_eq!(desk.look("registration")["items"], json!([shown]));
    assert_eq!(desk.look("status")["registrations"]["live"], json!(1));
    desk.pass_s(599);
    assert_eq!(desk.registers(&register(&[], 2)).contacts()[0].expires_s, 1, "a fetch");
    desk.pass_s(1);
    assert_eq!(desk.look("phone/alice")["online"], json!(false));
    let mut gone = std::iter::from_fn(|| desk.office.poll_change());
    assert!(gone.any(|change| matches!(change, Change::BindingGone(_, uri) if uri == AT_HOME)));
    assert_eq!(desk.look("registration")["items"], json!([]));
}

#[test]
fn what_was_registered_outlives_a_restart_of_control() {
    let mut desk = Desk::with_alice();
    desk.at_home(1);
    let mut loaded = Loaded::default();
    while let Some(change) = desk.office.poll_change() {
        if let Change::Binding(owner, binding) = change {
            loaded.bindings.push((owner, *binding));
        }
    }
    let stranger = (999, loaded.bindings[0].1.clone());
    loaded.bindings.push(stranger);
    for kind in crate::state::entity::Kind::ALL {
        loaded.entities.extend(desk.office.state.documents(kind).cloned());
    }
    let after = Office::new(loaded, 2);
    let owner = after.state.customers.of_user("alice").unwrap().gateway.id;
    assert_eq!(after.state.bindings.of(owner, desk.time.wall_us).count(), 1);
    assert_eq!(after.state.bindings.live(), 1, "nobody's is left out");
}

#[test]
fn each_way_to_ask_too_much_has_its_status() {
    let mut desk = Desk::with_alice();
    let answer = desk.registers(&register(&[(AT_HOME, 59)], 1));
    assert_eq!((answer.status, answer.seconds), (423, 60));
    desk.set("TG_REG_EXPIRES_MAX", "300");
    let answer = desk.registers(&register(&[(AT_HOME, 600)], 2));
    assert_eq!((answer.status, answer.contacts()[0].expires_s), (200, 300));
    desk.set("TG_REG_EXPIRES", "120");
    let answer = desk.registers(&register(&[(AT_HOME, UNSAID)], 3));
    assert_eq!(answer.contacts()[0].expires_s, 120);
    let mut older = register(&[(AT_HOME, 600)], 4);
    older.cseq = 2;
    assert_eq!(desk.registers(&older).status, 500);
    desk.change("phone/alice", json!({"contacts_max": 1}));
    let two = register(&[(AT_HOME, 600), ("sip:alice@192.0.2.1:5070", 600)], 5);
    assert_eq!(desk.registers(&two).status, 403);
    desk.set("TG_REGISTRATIONS_MAX", "1");
    desk.change("phone/alice", json!({"contacts_max": 8}));
    let answer = desk.registers(&register(&[("sip:alice@192.0.2.1:5070", 600)], 6));
    assert_eq!((answer.status, answer.seconds), (503, 5));
    desk.change("phone/alice", json!({"locked": true}));
    assert_eq!(desk.registers(&register(&[(AT_HOME, 600)], 7)).status, 403);
    desk.change("phone/alice", json!({"locked": false}));
    let mut all = register(&[], 8);
    (all.star, all.expires_s) = (1, 0);
    assert_eq!(desk.registers(&all).contacts().len(), 0);
    assert_eq!(desk.office.state.bindings.live(), 0);
}

#[test]
fn a_phone_calls_once_it_proved_who_it_is_and_its_account_pays() {
    let mut desk = Desk::with_alice();
    let mut admit = desk.invite(HOME, "44207");
    desk.is_challenged(&admit);
    admit.facts.cseq += 1;
    admit.credentials = ALICE.credentials(SipMethod::Invite);
    let route = desk.ask(&admit).unwrap();
    let owner = desk.office.state.customers.of_user("alice").unwrap().gateway.id;
    assert_eq!(route.customer_gateway, owner);
    assert_eq!(route.caller_billed.as_bytes(), b"390200", "its number, not what From says");
    desk.office.handle_ended(desk.time, 0, admit.call, &talked(&admit, &route, 60_000), false);
    desk.pass_s(40);
    let ends = desk.settle().ends;
    assert_eq!(ends.len(), 1, "the challenge was answered");
    let row = ends[0].describe();
    assert_eq!((ends[0].billing_mode, &row["billing_mode_code"]), (BillingMode::Phone, &json!(0)));
    assert_eq!((&row["gateway"], &row["charge"]), (&json!("alice"), &json!("0.60")));
    assert_eq!(desk.balance("customer"), "9.40");
    // Lines of the phone hold, and a replayed INVITE places no second call.
    desk.change("phone/alice", json!({"lines_max": 1}));
    let mut call = |count| {
        let mut admit = desk.invite(HOME, "44207");
        admit.credentials = Login { count, ..ALICE }.credentials(SipMethod::Invite);
        desk.office.handle_admit(desk.time, 0, &admit);
        desk.answers().pop().unwrap()
    };
    assert!(matches!(call(1), Answer::Challenge(challenge) if challenge.stale == 1));
    assert!(matches!(call(2), Answer::Route(_)));
    assert!(matches!(call(3), Answer::Refuse(no) if no.reason == EndReason::LinesFull as u8));
}

#[test]
fn who_may_publish_is_said_by_a_field_of_gateways_and_phones() {
    let mut desk = Desk::with_alice();
    let publish = |source: &str, expires_s: u32| Register {
        publishes: 1,
        source: endpoint(source),
        expires_s,
        credentials: Credentials::default(),
        ..register(&[], 1)
    };
    let (inside, outside) = ("10.1.0.1:5060", "10.9.9.9:5060");
    let outcome = |desk: &mut Desk, source: &str, expires_s: u32| {
        let said = desk.registers(&publish(source, expires_s));
        assert_eq!((said.contacts_used, desk.office.state.bindings.live()), (0, 0));
        (said.status, said.seconds)
    };
    assert_eq!(outcome(&mut desk, inside, 600), (405, 0));
    desk.change("gateway/mapping/in", json!({"publish": true}));
    assert_eq!(outcome(&mut desk, inside, 600), (200, 600));
    assert_eq!(outcome(&mut desk, inside, UNSAID), (200, 3_600));
    assert_eq!(outcome(&mut desk, inside, 1_000_000), (200, 3_600));
    assert_eq!(outcome(&mut desk, inside, 59), (423, 60));
    assert_eq!(outcome(&mut desk, inside, 0), (200, 0), "what is published is taken back");
    assert_eq!(outcome(&mut desk, outside, 600), (407, 0));
    let phone =
        Register { credentials: ALICE.credentials(SipMethod::Publish), ..publish(HOME, 600) };
    assert_eq!(desk.registers(&phone).status, 405);
    desk.change("phone/alice", json!({"publish": true}));
    let login = Login { nonce: "n2", ..ALICE };
    let phone = Register { credentials: login.credentials(SipMethod::Publish), ..phone };
    assert_eq!(desk.registers(&phone).status, 200);
    desk.change("gateway/mapping/in", json!({"locked": true}));
    assert_eq!(outcome(&mut desk, inside, 600), (403, 0));
}

#[test]
fn workers_ask_about_publications_as_soon_as_one_phone_may_send_them() {
    let mut desk = Desk::with_alice();
    desk.orders();
    let told = |desk: &mut Desk| -> Vec<u8> {
        let orders = desk.orders().into_iter();
        let plain = orders.filter_map(|order| match order {
            Order::Profile(profile) if profile.gateway == 0 => Some(profile.publish),
            _ => None,
        });
        plain.collect()
    };
    desk.change("phone/alice", json!({"publish": true}));
    assert_eq!(told(&mut desk), [1, 1], "both workers");
    desk.change("phone/alice", json!({"lines_max": 3}));
    assert!(told(&mut desk).is_empty());
    desk.office.handle_dataplane(desk.time, 2);
    assert_eq!(told(&mut desk), [1, 1]);
    desk.say(Method::Delete, "phone/alice", Value::Null).unwrap();
    assert_eq!(told(&mut desk), [0, 0]);
}

#[test]
fn a_phone_is_called_from_the_address_that_it_registered_to() {
    let mut desk = Desk::with_alice();
    let mut elsewhere = register(&[(AT_HOME, 600)], 1);
    elsewhere.local = endpoint("198.51.100.2:5060");
    assert_eq!(desk.registers(&elsewhere).status, 200);
    let (_, candidates) = desk.rung("390200").unwrap();
    assert_eq!(candidates[0].local, endpoint("198.51.100.2:5060"));
    // Vendors are called from wherever leads there.
    let (_, route) = desk.call();
    assert_eq!(route.candidates[0].local, Endpoint::NONE);
}

#[test]
fn a_route_says_what_phones_want_of_sip() {
    use link::profile::{Dtmf, Rel100, Srtp, Wishes};
    let mut desk = Desk::with_alice();
    desk.at_home(1);
    let bob = json!({"name": "bob", "account": "customer", "tariff": "sell", "password": PASSWORD});
    desk.post("phone", bob).unwrap();
    let told = |desk: &mut Desk, nonce: &'static str| {
        let mut admit = desk.invite(HOME, "390200");
        let login = Login { user: "bob", nonce, ..ALICE };
        admit.credentials = login.credentials(SipMethod::Invite);
        let route = desk.ask(&admit).unwrap();
        desk.office.release(admit.record);
        route.wishes().map(Wishes::from_bits)
    };
    let nothing = Wishes::default();
    assert_eq!(told(&mut desk, "a"), [nothing; 2]);
    desk.change("phone/bob", json!({"message": true}));
    let bob = Wishes { message: true, ..nothing };
    assert_eq!(told(&mut desk, "b"), [bob, nothing]);
    desk.change("phone/alice", json!({"session_timer": true, "rel100": "required"}));
    let alice = Wishes { session_timer: true, rel100: Rel100::Required, ..nothing };
    assert_eq!(told(&mut desk, "c"), [bob, alice]);
    desk.change("phone/bob", json!({"srtp": "required", "dtmf": "info"}));
    let bob = Wishes { srtp: Srtp::Required, dtmf: Dtmf::Info, ..bob };
    desk.change("phone/alice", json!({"srtp": "optional", "dtmf": "inband"}));
    let alice = Wishes { srtp: Srtp::Optional, dtmf: Dtmf::Inband, ..alice };
    assert_eq!(told(&mut desk, "d"), [bob, alice]);
}

#[test]
fn the_caller_is_who_the_believed_header_says() {
    let mut desk = Desk::new("1000");
    let told = |desk: &mut Desk, change: &dyn Fn(&mut Admit)| {
        let mut admit = desk.invite("10.1.0.1:5060", "44207");
        change(&mut admit);
        desk.ask(&admit).unwrap()
    };
    let text = |text: &str| Text::new(text.as_bytes()).unwrap();
    let identities = Identities {
        asserted: text("+391"),
        remote_party: text("00392"),
        diverter: text("+39 7"),
        forward: Forward { why: 2, withheld: 1, count: 3 },
        ..Identities::default()
    };
    let full = |admit: &mut Admit| admit.identities = identities;
    for (from, caller) in [
        ("from", "39021234"),
        ("asserted", "391"),
        ("remote_party", "392"),
        ("preferred", "39021234"),
    ] {
        desk.change("gateway/mapping/in", json!({"caller_from": from}));
        let route = told(&mut desk, &full);
        let billed = route.caller_billed.to_text().into_owned();
        assert_eq!((billed.as_str(), route.flags), (caller, 0), "{from}");
        assert!(route.diverter.is_empty());
    }
    desk.change("gateway/mapping/in", json!({"forward_signal_heard": true}));
    let route = told(&mut desk, &full);
    assert_eq!((route.diverter.as_bytes(), route.forward), (&b"397"[..], identities.forward));
    let anonymous = |admit: &mut Admit| admit.facts.caller = text("Anonymous");
    let private = |admit: &mut Admit| admit.identities.privacy = PRIVACY_ID;
    assert_eq!(told(&mut desk, &anonymous).flags, WITHHELD);
    assert_eq!(told(&mut desk, &private).flags, WITHHELD);
    desk.change("gateway/mapping/in", json!({"privacy": false}));
    assert_eq!((told(&mut desk, &anonymous).flags, told(&mut desk, &private).flags), (0, 0));
    assert_eq!(told(&mut desk, &full).forward, Forward { withheld: 0, ..identities.forward });
}

#[test]
fn a_caller_is_as_long_as_the_number_that_counts() {
    let mut desk = Desk::new("1000");
    desk.set("SS_CALLERALLOWLENGTH", "15");
    desk.change("gateway/mapping/in", json!({"caller_from": "asserted"}));
    let text = |text: &str| Text::new(text.as_bytes()).unwrap();
    let told = |desk: &mut Desk, from: &str, asserted: &str| {
        let mut admit = desk.invite("10.1.0.1:5060", "44207");
        admit.facts.caller = text(from);
        admit.identities.asserted = text(asserted);
        let told = desk.ask(&admit).map(|_| ());
        desk.office.release(admit.record);
        told.map_err(|refuse| (refuse.status, EndReason::from_number(refuse.reason)))
    };
    let too_long = Err((403, EndReason::CallerTooLong));
    for (from, asserted, expected) in [
        // Escapes, visual separators and how it says that it is international do not count.
        ("%2B123-456-789-012-345", "", Ok(())),
        ("00123456789012345", "", Ok(())),
        ("1234567890123456", "", too_long),
        ("1234567890123456", "391", Ok(())),
        ("391", "1234567890123456", too_long),
        ("12345678901234567890123456789012345678901234567890", "", too_long),
        ("Anonymous", "", Ok(())),
    ] {
        assert_eq!(told(&mut desk, from, asserted), expected, "{from} {asserted}");
    }
    desk.set("SS_CALLERALLOWLENGTH", "8");
    assert_eq!(told(&mut desk, "Anonymous", ""), Ok(()));
    // The CDR says why.
    assert_eq!(told(&mut desk, "391234567", ""), too_long);
}

impl Desk {
    fn at_home_by(&mut self, uri: &str, cseq: u32) {
        let answer = self.registers(&register(&[(uri, 600)], cseq));
        assert_eq!(answer.status, 200);
        self.time.wall_us += 1;
    }
}

#[test]
fn who_transfers_pays_for_the_call_to_the_target_and_a_vendor_cannot() {
    let mut desk = Desk::with_alice();
    let id = desk.office.state.customers.of_user("alice").unwrap().gateway.id;
    let mut admit = desk.invite("203.0.113.1:5060", "44207");
    admit.transferor = id;
    let route = desk.ask(&admit).unwrap();
    assert_eq!(route.customer_gateway, id);
    assert_eq!(route.caller_billed.as_bytes(), b"390200", "the phone's own number");
    desk.office.handle_ended(desk.time, 0, admit.call, &talked(&admit, &route, 60_000), false);
    let row = desk.settle().ends[0].describe();
    assert_eq!([&row["gateway"], &row["charge"]], [&json!("alice"), &json!("0.60")]);
    assert_eq!(row["billing_mode"], json!("phone"));
    // The target may be shown another number, which changes nothing of who pays.
    let mut admit = desk.invite("203.0.113.1:5060", "44207");
    admit.transferor = id;
    desk.set("TG_TRANSFER_DISPLAY", "1");
    let route = desk.ask(&admit).unwrap();
    assert_eq!(route.caller_billed.as_bytes(), admit.facts.caller.as_bytes());
    assert_eq!(route.customer_gateway, id);
    let vendor = desk.office.state.routings.values().next().unwrap().id;
    let mut admit = desk.invite("203.0.113.1:5060", "44207");
    admit.transferor = vendor;
    desk.set("SS_REPLY_UNAUTHORIZED", "0");
    let no = desk.ask(&admit).unwrap_err();
    assert_eq!((no.status, no.stateless), (403, 0), "a worker waits, whatever strangers hear");
    let refused = desk.settle().ends.pop().unwrap();
    assert_ne!(refused.billing_mode, BillingMode::Illegal);
}

#[test]
fn a_username_and_a_number_are_one_customers() {
    let mut desk = Desk::with_alice();
    let trunk = json!({
        "name": "trunk", "account": "customer", "authentication": "password",
        "auth_username": "alice", "auth_password": PASSWORD,
    });
    let mut other = trunk.clone();
    let no = desk.post("gateway/mapping", trunk).unwrap_err();
    assert_eq!((no.status, no.title), (409, "username taken"));
    other["auth_username"] = json!("trunk");
    desk.post("gateway/mapping", other).unwrap();
    let no = desk.post("phone", json!({"name": "trunk", "account": "customer"})).unwrap_err();
    assert_eq!(no.title, "username taken");
    let bob = |numbers: Value| json!({"name": "bob", "account": "customer", "numbers": numbers});
    for numbers in [json!(["+390200"]), json!(["alice"])] {
        assert_eq!(desk.post("phone", bob(numbers)).unwrap_err().title, "number taken");
    }
    desk.post("phone", bob(json!(["390201"]))).unwrap();
    let renamed = json!({"auth_username": "trunk2"});
    let no = desk.say(Method::Patch, "gateway/mapping/trunk", renamed).unwrap_err();
    assert!(no.detail.contains("say auth_password again"), "{}", no.detail);
    let renamed = json!({"auth_username": "trunk2", "auth_password": PASSWORD});
    desk.change("gateway/mapping/trunk", renamed);
    for wrong in [
        json!({"authentication": "ip"}),
        json!({"authentication": "ip_port", "addresses": ["192.0.2.7"]}),
        json!({"addresses": ["192.0.2.7"]}),
        json!({"auth_password": ""}),
    ] {
        let no = desk.say(Method::Patch, "gateway/mapping/trunk", wrong.clone()).unwrap_err();
        assert_eq!(no.status, 422, "{wrong}");
    }
    desk.say(Method::Delete, "phone/alice", Value::Null).unwrap();
    desk.change("phone/bob", json!({"numbers": ["390200"]}));
}

#[test]
fn contacts_behind_nat_are_kept_alive_once_per_interval_and_others_never() {
    let mut desk = Desk::with_alice();
    desk.at_home(1);
    let errands = |desk: &mut Desk, seconds: u64| {
        let mut sent = Vec::new();
        for _ in 0..seconds * 20 {
            desk.time.now += Duration::from_millis(50);
            desk.office.handle_tick(desk.time);
            for worker in 0..2 {
                while let Some(down) = desk.office.poll_down(worker) {
                    if let Down::Order(Order::Errand(errand)) = down {
                        sent.push(errand);
                    }
                }
            }
        }
        sent
    };
    assert!(errands(&mut desk, 60).is_empty(), "its address is its own");
    let mut natted = register(&[("sip:alice@10.0.0.7:5060", 600)], 2);
    natted.source = endpoint("192.0.2.9:4711").by(Transport::Tcp);
    natted.connection = 12;
    assert_eq!(desk.registers(&natted).status, 200);
    let sent = errands(&mut desk, 90);
    assert_eq!(sent.len(), 3);
    assert_eq!((sent[0].target, sent[0].connection), (natted.source, 12));
    assert_eq!(ErrandKind::from(sent[0].kind), ErrandKind::KeepAlive);
    desk.set("TG_NAT_KEEP_ALIVE_METHOD", "1");
    desk.set("SS_SIP_NAT_KEEP_ALIVE", "10");
    let sent = errands(&mut desk, 60);
    assert_eq!(sent.len(), 6);
    assert!(sent.iter().all(|it| ErrandKind::from(it.kind) == ErrandKind::Options));
    assert_eq!(sent[0].uri.as_bytes(), b"sip:alice@10.0.0.7:5060");
    assert_ne!(sent[0].call_id, sent[1].call_id);
    desk.set("SS_SIP_NAT_KEEP_ALIVE", "0");
    assert!(errands(&mut desk, 60).is_empty());
}

#[test]
fn a_light_refresh_spares_the_store_and_a_wrong_password_is_still_refused() {
    let mut desk = Desk::with_alice();
    desk.set("SS_SIP_REGISTRATION_LIGHTWEIGHT", "1");
    desk.settle();
    let mut written: Vec<Binding> = Vec::new();
    for cseq in 1..=9 {
        desk.at_home(cseq);
        while let Some(change) = desk.office.poll_change() {
            if let Change::Binding(_, binding) = change {
                written.push(*binding);
            }
        }
        desk.pass_s(300);
    }
    assert_eq!(written.len(), 3);
    let mut wrong = register(&[(AT_HOME, 600)], 10);
    wrong.credentials =
        Login { password: "Wrong-Horse-77", count: 10, ..ALICE }.credentials(SipMethod::Register);
    assert_eq!(desk.registers(&wrong).status, 401);
}

/// What the parameters of phones could change.
pub(super) fn behaviour(desk: &mut Desk) -> Vec<String> {
    let mut seen = Vec::new();
    let short = json!({"name": "bob", "account": "customer", "password": "Sh0rt-7!"});
    seen.push(format!("{:?}", desk.post("phone", short).is_ok()));
    desk.post("phone", alice()).unwrap();
    desk.settle();
    for (cseq, expires_s) in [(1, 20), (2, UNSAID), (3, 3_600), (4, 600), (5, 600)] {
        let natted = "sip:alice@10.0.0.7:5060";
        let answer = desk.registers(&register(&[(natted, expires_s)], cseq));
        let changes = std::iter::from_fn(|| desk.office.poll_change()).count();
        seen.push(format!("{} {:?} {changes}", answer.status, answer.contacts()));
    }
    seen.push(format!("{}", desk.registers(&register(&[(AT_HOME, 600)], 6)).status));
    for _ in 0..40 {
        desk.pass_s(1);
        let orders = (0..2).flat_map(|worker| desk.office.poll_down(worker));
        seen.extend(orders.filter_map(|down| match down {
            Down::Order(Order::Errand(errand)) => Some(format!("errand {}", errand.kind)),
            _ => None,
        }));
    }
    // A phone of no group is told so where it dials a code, and anything else where it does not.
    for code in [None, Some("*8")] {
        if let Some(code) = code
            && desk.office.state.values.text("TG_PICKUP_CODE").is_empty()
        {
            desk.set("TG_PICKUP_CODE", code);
        }
        for callee in ["*8", "*8200", "200*8"] {
            let mut admit = desk.invite("203.0.113.1:5060", callee);
            admit.transferor = desk.office.customer_named("alice").unwrap().gateway.id;
            let customer = desk.office.state.customers.share(admit.transferor).unwrap();
            let picked = desk.office.pick_up(&customer, &admit);
            seen.push(format!("{:?}", picked.map(|found| found.is_some()).is_ok()));
        }
    }
    seen.extend(shut_out::behaviour(desk));
    seen
}
