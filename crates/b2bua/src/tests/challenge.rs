//! Who somebody is: challenges that leave nothing behind, and what comes back to them.

use link::answer::Challenge;
use link::ask::{Credentials, Freshness, PRIVACY_ID};

use super::*;

pub(super) const STRANGER: &str = "198.51.100.66:5060";

/// The nonce of a 401 or 407.
pub(super) fn nonce_of(reply: &str) -> String {
    reply.split_once("nonce=\"").unwrap().1.split_once('"').unwrap().0.to_owned()
}

/// A digest of ours; whether it fits, only control knows.
pub(super) fn digest(nonce: &str) -> String {
    format!(
        "Digest username=\"bob\", realm=\"tollgate\", nonce=\"{nonce}\", uri=\"sip:192.0.2.1\", \
         response=\"{}\", algorithm=MD5, qop=auth, nc=0000002a, cnonce=\"salt\"",
        "ab".repeat(16)
    )
}

pub(super) fn with_line(message: &str, line: &str) -> String {
    message.replacen("Max-Forwards", &format!("{line}\r\nMax-Forwards"), 1)
}

fn names_of(reply: &str) -> Vec<(&str, &str)> {
    let lines = reply.lines().filter(|line| line.contains("-Authenticate: "));
    lines
        .map(|line| {
            let name = line.split_once(':').unwrap().0;
            (name, line.split_once("algorithm=").unwrap().1.split_once(',').unwrap().0)
        })
        .collect()
}

impl World {
    fn challenges(&mut self, call: CallKey, status: u16, stale: u8) {
        self.answer(Answer::Challenge(Challenge { call, status, stale, spare: 0 }));
    }

    /// What control is told of an INVITE with these lines, from there.
    fn told_of(&mut self, number: u32, from: &str, line: &str) -> link::ask::Admit {
        let invite = with_line(&invite(number, &caller_sdp()), line);
        self.receive(from, OUR_CUSTOMER_SIDE, &invite);
        let admit = self.admit();
        self.refuse(admit.call, 403, 1);
        self.gets(from, "SIP/2.0 403 ");
        admit
    }
}

#[test]
fn a_challenged_invite_leaves_nothing_behind_and_is_challenged_again() {
    let mut world = World::new();
    world.set(|parameters| parameters.challenge_sha256 = 1);
    world.caller_sends(&invite(1, &caller_sdp()));
    let admit = world.admit();
    assert_eq!(admit.credentials, Credentials::default());
    // A 100 would end the repetitions by which a lost challenge comes again.
    world.is_quiet();
    world.challenges(admit.call, 407, 0);
    let first = world.caller_gets("SIP/2.0 407 ");
    assert_eq!(
        names_of(&first),
        [
            ("Proxy-Authenticate", "SHA-256"),
            ("Proxy-Authenticate", "MD5"),
            ("WWW-Authenticate", "SHA-256"),
            ("WWW-Authenticate", "MD5"),
        ]
    );
    assert!(!first.contains("stale"));
    assert_eq!((world.switch.transactions.free(), world.switch.slots_taken()), (64, 0));
    // The answer was lost: control need not hear of it.
    world.wait_ms(500);
    world.caller_sends(&invite(1, &caller_sdp()));
    let again = world.caller_gets("SIP/2.0 407 ");
    assert_eq!(header(&first, "To"), header(&again, "To"));
    assert_ne!(nonce_of(&first), nonce_of(&again));
    world.caller_sends(&beside_invite(1, "ACK", header(&again, "To")));
    assert!(world.asks.is_empty());
    assert_eq!(world.count(Counter::Challenged), 2);
    world.is_quiet();
    world.settles();
}

#[test]
fn a_stale_challenge_stays_stale_when_it_is_repeated() {
    let mut world = World::new();
    for _ in 0..2 {
        world.caller_sends(&invite(1, &caller_sdp()));
        if let Some(Ask::Admit(admit)) = world.asks.pop() {
            world.challenges(admit.call, 401, 1);
        }
        let challenge = world.caller_gets("SIP/2.0 401 ");
        assert_eq!(challenge.matches("stale=true").count(), 2);
    }
    world.settles();
}

#[test]
fn a_challenge_of_a_call_that_is_gone_comes_too_late() {
    let mut world = World::new();
    world.caller_sends(&invite(1, &caller_sdp()));
    let admit = world.admit();
    world.caller_sends(&beside_invite(1, "CANCEL", "<sip:4420@192.0.2.1>"));
    world.ignore_messages();
    world.challenges(admit.call, 407, 0);
    world.is_quiet();
    assert_eq!(world.count(Counter::AnswersLate), 1);
    world.settles();
}

#[test]
fn the_mode_says_which_status_and_headers_a_challenge_has() {
    let names = |mode| {
        let mut world = World::new();
        world.set(|parameters| parameters.challenge_mode = mode);
        let register = invite(1, "").replace("INVITE", "REGISTER");
        world.caller_sends(&register);
        let (_, reply) = world.inbox.remove(0);
        world.settles();
        let names: Vec<String> =
            names_of(&reply).into_iter().map(|(name, _)| name.into()).collect();
        (reply[8..11].to_owned(), names)
    };
    let (server, proxy) = ("WWW-Authenticate", "Proxy-Authenticate");
    assert_eq!(names(1), ("401".into(), vec![server.into()]));
    assert_eq!(names(2), ("407".into(), vec![proxy.into()]));
    let both = [server, proxy].map(String::from);
    assert_eq!(names(3), ("401".into(), both.into()));
}

#[test]
fn phones_are_asked_for_md5_alone_unless_sha_256_is_wanted() {
    let mut world = World::new();
    world.caller_sends(&invite(1, "").replace("INVITE", "REGISTER"));
    let reply = world.caller_gets("SIP/2.0 401 ");
    world.settles();
    let offers = |algorithm| reply.matches(algorithm).count();
    assert_eq!((offers("algorithm=SHA-256"), offers("algorithm=MD5")), (0, 2), "{reply}");
}

#[test]
fn control_is_told_what_came_back_to_a_challenge() {
    let mut world = World::new();
    let register = invite(1, "").replace("INVITE", "REGISTER");
    world.caller_sends(&register);
    let nonce = nonce_of(&world.caller_gets("SIP/2.0 401 "));
    let line = format!("Proxy-Authorization: {}", digest(&nonce));
    let told = world.told_of(2, CALLER, &line).credentials;
    assert_eq!(told.username.as_bytes(), b"bob");
    assert_eq!(told.nonce.as_bytes(), nonce.as_bytes());
    assert_eq!(
        (told.uri.as_bytes(), told.cnonce.as_bytes()),
        (&b"sip:192.0.2.1"[..], &b"salt"[..])
    );
    assert_eq!(
        (told.response[..16].to_vec(), told.response[16..].to_vec()),
        (vec![0xab; 16], vec![0; 16])
    );
    assert_eq!((told.nonce_count, told.algorithm, told.qop), (0x2a, 0, 1));
    assert_eq!(told.freshness, Freshness::Fresh as u8);
    // Another source replays it.
    let replayed = world.told_of(3, STRANGER, &line).credentials;
    assert_eq!(replayed.freshness, Freshness::Foreign as u8);
    assert_eq!(world.count(Counter::NoncesForeign), 1);
    // A line for another server stands first, an old answer of the phone's second.
    let other = digest(&nonce).replace("tollgate", "elsewhere");
    let forged = digest(&"0".repeat(64));
    let lines = format!("Authorization: {other}\r\nAuthorization: {forged}\r\n{line}");
    assert_eq!(world.told_of(4, CALLER, &lines).credentials, told);
    world.wait_ms(301_000);
    let old = world.told_of(5, CALLER, &line).credentials;
    assert_eq!(old.freshness, Freshness::Stale as u8);
    assert_eq!(world.count(Counter::NoncesStale), 1);
    world.settles();
}

#[test]
fn a_nonce_outlives_the_process_that_made_it() {
    let mut world = World::new();
    world.caller_sends(&invite(1, "").replace("INVITE", "REGISTER"));
    let nonce = nonce_of(&world.caller_gets("SIP/2.0 401 "));
    world.restart();
    world.switch.set_wall_offset(Duration::from_secs(1_700_000_000));
    let line = format!("Authorization: {}", digest(&nonce));
    assert_eq!(world.told_of(2, CALLER, &line).credentials.freshness, Freshness::Fresh as u8);
    world.settles();
}

#[test]
fn a_digest_that_cannot_be_read_is_none() {
    let mut world = World::new();
    let sound = digest(&"0".repeat(64));
    let long = |length: usize| "x".repeat(length);
    let broken = [
        sound.replace("response=\"ab", "response=\"zz"),
        sound.replace("response=\"ab", "response=\""),
        sound.replace("nc=0000002a", "nc=2a"),
        sound.replace("nc=0000002a", "nc=0000002A"),
        sound.replace("nc=0000002a, ", ""),
        sound.replace("qop=auth", "qop=auth-int"),
        sound.replace("qop=auth", "qop=dance"),
        sound.replace("algorithm=MD5", "algorithm=MD5-sess"),
        sound.replace("algorithm=MD5", "algorithm=SHA-256"),
        sound.replace("username=\"bob\"", "username=\"bob"),
        sound.replace("username=\"bob\"", &format!("username=\"{}\"", long(63))),
        sound.replace("username=\"bob\"", "username=\"bob\", username=\"eve\""),
        sound.replace("sip:192.0.2.1", &long(191)),
        sound.replace("salt", &long(95)),
        sound.replace("salt", &long(4_000)),
        sound.replace(&"0".repeat(64), &long(95)),
        sound.replace("Digest ", "Basic "),
        sound.replace("Digest ", "Digest"),
        String::from(","),
    ];
    for (number, broken) in (2..).zip(&broken) {
        let told = world.told_of(number, CALLER, &format!("Authorization: {broken}"));
        assert_eq!(told.credentials, Credentials::default(), "{broken}");
    }
    assert_eq!(world.count(Counter::CredentialsUnusable), broken.len() as u64);
    assert_eq!(world.count(Counter::NoncesForeign), 0);
    world.settles();
}

/// RFC 7616 §3.4.6.
#[test]
fn a_digest_for_another_number_is_none() {
    let mut world = World::new();
    let sound = digest(&"0".repeat(64));
    for (number, (uri, is_its)) in (1..).zip([
        ("sip:4420@192.0.2.1", true),
        ("sips:%34420@edge.example:5070;x=y", true),
        ("sip:192.0.2.1", true),
        ("sip:4421@192.0.2.1", false),
        ("sip:44200@192.0.2.1", false),
        ("tel:+4420", false),
    ]) {
        let line = format!("Authorization: {}", sound.replace("sip:192.0.2.1", uri));
        let told = world.told_of(number, CALLER, &line);
        let name = told.credentials.username.as_bytes();
        assert_eq!(name, if is_its { &b"bob"[..] } else { b"" }, "{uri}");
    }
    assert_eq!(world.count(Counter::CredentialsUnusable), 3);
    world.settles();
}

#[test]
fn control_is_told_what_an_invite_says_of_its_caller() {
    let mut world = World::new();
    let lines = "P-Asserted-Identity: <sip:+4930@x>\r\nDiversion: <sip:77@x>\r\nPrivacy: id";
    let said = world.told_of(1, CALLER, lines).identities;
    assert_eq!((said.asserted.as_bytes(), said.diverter.as_bytes()), (&b"+4930"[..], &b"77"[..]));
    assert_eq!(said.privacy, PRIVACY_ID);
    world.settles();
}
