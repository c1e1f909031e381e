//! RFC 4475, message by message: what the whole switch says to each, whom it asks, and that nothing of
//! it stays.
//!
//! How each is read stands in `crates/sip/tests/conformance_rfc4475.rs`, how it is cut from a stream in
//! `stream_rfc4475.rs` beside it. The messages lie beside the project (`../shared/corpus/rfc4475`); nobody
//! here wrote them. A test is named for what happens, its message stands in it, and its section before it.

#![allow(clippy::disallowed_methods, reason = "the corpus lies in files")]
#![allow(clippy::disallowed_macros, reason = "a skipped test says so")]

use link::answer::Registered;
use link::ask::{Freshness, Register};

use super::challenge::{digest, nonce_of};
use super::*;

const CORPUS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/corpus/rfc4475");

/// A file of the corpus. `None`, said aloud: the corpus is not there.
fn read_file(name: &str) -> Option<Vec<u8>> {
    if !std::path::Path::new(CORPUS).is_dir() {
        eprintln!("SKIPPED: no corpus at {CORPUS}");
        return None;
    }
    Some(
        std::fs::read(format!("{CORPUS}/{name}")).unwrap_or_else(|error| panic!("{name}: {error}")),
    )
}

/// A message of the corpus.
fn read(name: &str) -> Option<Vec<u8>> {
    read_file(&format!("{name}.dat"))
}

/// One that is all text.
fn read_text(name: &str) -> Option<String> {
    Some(String::from_utf8(read(name)?).unwrap())
}

impl World {
    fn caller_sends_bytes(&mut self, bytes: &[u8]) {
        self.receive_bytes(CALLER, OUR_CUSTOMER_SIDE, bytes);
    }

    /// What control is asked of a REGISTER of the corpus, sent with a nonce of ours.
    fn asked_of(&mut self, name: &str) -> Option<Register> {
        let register = read_text(name)?;
        self.caller_sends(&register);
        let challenge = self.caller_gets("SIP/2.0 401 ");
        assert!(self.asks.is_empty(), "nobody has proved anything yet");
        let proof = format!("Authorization: {}\r\nMax-Forwards", digest(&nonce_of(&challenge)));
        let branch = format!("branch={name}2");
        let again = register.replacen("Max-Forwards", &proof, 1).replace("branch=", &branch);
        self.caller_sends(&again);
        match self.asks.pop() {
            Some(Ask::Register(register)) => {
                assert_eq!(register.credentials.freshness, Freshness::Fresh as u8);
                Some(register)
            }
            other => panic!("a registration was expected, not {other:?}"),
        }
    }

    /// What a phone is told whose contacts control took as they are.
    fn granted(&mut self, asked: &Register) -> String {
        let mut registered = Registered::new_zeroed();
        (registered.request, registered.status) = (asked.request, 200);
        (registered.contacts, registered.contacts_used) = (asked.contacts, asked.contacts_used);
        self.answer(Answer::Registered(registered));
        self.caller_gets("SIP/2.0 200 ")
    }
}

/// One message that is answered at once and forgotten, and its answer.
fn answered(name: &str, status: u16) -> Option<String> {
    let message = read(name)?;
    let mut world = World::new();
    let start = format!("SIP/2.0 {status} ");
    world.caller_sends_bytes(&message);
    let answer = world.caller_gets(&start);
    assert_eq!(world.switch.transactions_open(), 0, "an answer at once needs no memory");
    if status != 401 {
        world.caller_sends_bytes(&message);
        assert_eq!(world.caller_gets(&start), answer, "the same to the same");
    }
    world.is_quiet();
    assert!(world.asks.is_empty() && world.reports.is_empty(), "this is nobody's business");
    world.settles();
    Some(answer)
}

/// One message that is dropped and counted.
fn dropped(name: &str, counter: Counter) {
    let Some(message) = read(name) else { return };
    let mut world = World::new();
    world.caller_sends_bytes(&message);
    world.is_quiet();
    assert_eq!(world.count(counter), 1);
    assert!(world.asks.is_empty());
    world.settles();
}

macro_rules! answers {
    ($(#[$section:meta] $test:ident: $name:literal => $status:literal;)*) => {$(
        #[$section]
        #[test]
        fn $test() {
            let _ = answered($name, $status);
        }
    )*};
}

answers! {
    /// §3.1.1.6.
    a_display_name_may_touch_its_bracket: "lwsdisp" => 200;
    /// §3.1.1.9.
    a_semicolon_in_the_user_begins_no_parameter: "semiuri" => 200;
    /// §3.1.1.10.
    transports_that_nobody_knows_may_stand_in_vias_that_are_not_ours: "transports" => 200;
    /// §3.1.2.1.
    separators_between_nothing_are_refused: "badinv01" => 400;
    /// §3.1.2.2.
    a_body_shorter_than_its_length_is_refused: "clerr" => 400;
    /// §3.1.2.3.
    a_negative_length_is_refused: "ncl" => 400;
    /// §3.1.2.4.
    numbers_that_no_header_may_hold_are_refused: "scalar02" => 400;
    /// §3.1.2.7.
    brackets_around_the_request_uri_are_refused: "ltgtruri" => 400;
    /// §3.1.2.8.
    a_blank_in_the_request_uri_is_refused: "lwsruri" => 400;
    /// §3.1.2.9.
    two_blanks_between_the_words_of_a_request_line_are_refused: "lwsstart" => 400;
    /// §3.1.2.10.
    a_blank_behind_the_request_line_is_refused: "trws" => 400;
    /// §3.1.2.11.
    headers_in_the_request_uri_are_refused: "escruri" => 400;
    /// §3.1.2.13.
    a_contact_with_headers_outside_of_brackets_is_refused: "regbadct" => 400;
    /// §3.1.2.14.
    blanks_within_an_address_are_refused: "badaspec" => 400;
    /// §3.1.2.15.
    a_display_name_that_needs_quotes_and_has_none_is_refused: "baddn" => 400;
    /// §3.1.2.16.
    another_version_of_sip_is_named_as_the_reason: "badvers" => 505;
    /// §3.1.2.17.
    a_sequence_number_of_another_method_is_refused: "mismatch01" => 400;
    /// §3.1.2.18.
    so_it_is_where_nobody_knows_the_method: "mismatch02" => 400;
    /// §3.2.1: matched as RFC 2543 would.
    a_branch_that_is_nothing_but_the_cookie_is_none: "badbranch" => 200;
    /// §3.3.1.
    a_request_without_from_to_and_call_id_is_refused: "insuf" => 400;
    /// §3.3.2.
    a_request_uri_of_a_scheme_that_nobody_knows_is_named_as_the_reason: "unkscm" => 416;
    /// §3.3.3.
    so_is_one_that_is_known_for_other_things: "novelsc" => 416;
    /// §3.3.8.
    two_values_where_there_may_be_one_are_refused: "multi01" => 400;
    /// §3.3.9.
    two_lengths_are_refused: "mcl01" => 400;
    /// §3.3.11: we are the end of its way and forward nothing.
    no_hops_left_is_enough_for_one_who_answers_himself: "zeromf" => 200;
    /// §3.3.15.
    a_caller_who_takes_no_description_gets_none: "sdp01" => 406;
}

#[test]
fn no_message_of_the_index_is_without_its_test() {
    let Some(index) = read_file("index.csv") else { return };
    let index = String::from_utf8(index).unwrap();
    let names: Vec<_> = index.lines().filter_map(|line| Some(line.split_once(".dat")?.0)).collect();
    assert_eq!(names.len(), 49);
    for name in names {
        assert!(include_str!("rfc4475.rs").contains(&format!("\"{name}\"")), "{name}");
    }
}

/// §3.1.1.1. It has a To-tag, and so asks for a dialog that nobody has.
#[test]
fn a_tortuous_invite_belongs_to_no_dialog_and_without_its_to_tag_is_a_call() {
    let Some(answer) = answered("wsinv", 481) else { return };
    assert!(header(&answer, "From").contains("jdrosen@example.com"));
    let mut world = World::new();
    let tortuous = read_text("wsinv").unwrap().replace(";   tag    = 1918181833n", "");
    world.caller_sends(&tortuous);
    world.caller_gets(TRYING);
    let admit = world.admit();
    assert_eq!(admit.facts.caller.as_bytes(), b"jdrosen");
    assert_eq!(admit.facts.callee.as_bytes(), b"vivekg");
    assert_eq!(admit.facts.call_id.as_bytes(), b"wsinv.ndaksdj@192.0.2.1");
    assert_eq!(admit.facts.cseq, 9);
    world.route(admit.call, &[0]);
    let sent = world.vendor_gets(0, "INVITE ");
    assert_eq!(header(&sent, "Max-Forwards"), "67");
    assert_eq!(body(&sent).matches("\r\nm=").count(), 2);
    // Its branch is not unique: RFC 2543 knows the repetition.
    world.caller_sends(&tortuous);
    world.caller_gets("SIP/2.0 100 ");
    world.vendor_says(0, &sent, 486, "v", "");
    world.vendor_gets(0, "ACK ");
    let busy = world.caller_gets("SIP/2.0 486 ");
    assert!(header(&busy, "From").contains(r#""J Rosenberg \\\"""#));
    world.settles();
}

/// §3.1.1.2.
#[test]
fn the_oddest_method_that_can_be_is_unknown_and_no_fault() {
    let Some(answer) = answered("intmeth", 501) else { return };
    assert!(header(&answer, "Allow").starts_with("INVITE, "));
    assert!(header(&answer, "CSeq").ends_with("!interesting-Method0123456789_*+`.%indeed'~"));
    assert_eq!(header(&answer, "Call-ID"), r#"intmeth.word%ZK-!.*_+'@word`~)(><:\/"][?}{"#);
}

/// §3.1.1.3.
#[test]
fn an_escape_in_the_user_is_no_delimiter_for_control_either() {
    let Some(message) = read_text("esc01") else { return };
    let mut world = World::new();
    world.caller_sends(&message);
    let admit = world.admit();
    assert_eq!(admit.facts.callee.as_bytes(), b"sips%3Auser%40example.com");
    assert_eq!(admit.facts.caller.as_bytes(), b"I%20have%20spaces");
    world.refuse(admit.call, 404, 0);
    world.caller_gets("SIP/2.0 404 ");
    world.settles();
}

/// §3.1.1.4.
#[test]
fn an_escaped_nul_ends_no_contact_and_two_of_them_are_another() {
    let mut world = World::new();
    let Some(asked) = world.asked_of("escnull") else { return };
    assert_eq!(asked.user.as_bytes(), b"null-%00-null");
    let contacts = &asked.contacts[..usize::from(asked.contacts_used)];
    let uris: Vec<_> = contacts.iter().map(|contact| contact.uri.as_bytes()).collect();
    assert_eq!(uris, [&b"sip:%00@host5.example.com"[..], b"sip:%00%00@host5.example.com"]);
    let granted = world.granted(&asked);
    assert_eq!(granted.matches("\r\nContact: <sip:%00").count(), 2);
    world.settles();
}

/// §3.1.1.5.
#[test]
fn an_escape_in_a_method_does_not_make_it_another() {
    let Some(answer) = answered("esc02", 501) else { return };
    assert_eq!(header(&answer, "CSeq"), "29344 RE%47IST%45R");
}

/// §3.1.1.7. It is read whole and answered whole; but no number is so long.
#[test]
fn a_request_of_very_long_words_is_answered_with_all_its_vias() {
    let Some(answer) = answered("longreq", 484) else { return };
    assert_eq!(answer.matches("\r\nVia: SIP/2.0/TCP ").count(), 34);
    assert!(header(&answer, "To").contains("ParameterNameWithNoValue>"));
    assert!(header(&answer, "Call-ID").ends_with("reallylongcallid"));
}

/// §3.1.1.8.
#[test]
fn what_follows_a_message_in_its_datagram_is_not_obeyed() {
    let Some(challenge) = answered("dblreq", 401) else { return };
    assert_eq!(header(&challenge, "CSeq"), "8 REGISTER");
    let mut world = World::new();
    let asked = world.asked_of("dblreq").unwrap();
    assert_eq!(asked.contacts[0].uri.as_bytes(), b"sip:j.user@host.example.com");
    world.granted(&asked);
    world.is_quiet();
    assert_eq!(world.count(Counter::CallsOffered), 0);
    world.settles();
}

/// §3.1.1.11. Nobody is there whom a MESSAGE outside of a call could be for.
#[test]
fn a_message_of_many_parts_is_refused_whole() {
    let Some(answer) = answered("mpart01", 405) else { return };
    assert!(!header(&answer, "Allow").contains("MESSAGE"));
}

/// §3.1.1.12, §3.1.1.13: astray they are nothing, and for a call of ours they count.
#[test]
fn whatever_a_reason_phrase_says_and_be_it_nothing_the_status_counts() {
    dropped("unreason", Counter::ResponsesUnmatched);
    dropped("noreason", Counter::ResponsesUnmatched);
    let Some(message) = read_text("unreason") else { return };
    let (strange, _) = message.split_once("\r\n").unwrap();
    let mut world = World::new();
    let (_, sent) = world.call_begins(&[0]);
    let trying = response(&sent, 100, "", VENDORS[0], "").replace("100 Whatever", "100 ");
    world.vendor_sends(0, &trying);
    world.wait_ms(1_000);
    world.is_quiet();
    let answer = response(&sent, 200, "v", VENDORS[0], &vendor_sdp());
    world.vendor_sends(0, &answer.replace("SIP/2.0 200 Whatever", strange));
    world.vendor_gets(0, "ACK ");
    world.commit();
    world.caller_gets("SIP/2.0 200 OK");
    world.settles();
}

/// §3.1.2.5, §3.1.2.19.
#[test]
fn a_broken_response_is_nobodys() {
    dropped("scalarlg", Counter::FaultsDropped);
    dropped("bigcode", Counter::FaultsDropped);
}

/// §3.1.2.6. Its Via names another port than it comes from.
#[test]
fn a_quote_that_never_ends_is_refused_where_its_via_says() {
    let Some(message) = read("quotbal") else { return };
    let mut world = World::new();
    world.caller_sends_bytes(&message);
    world.gets("198.51.100.7:5050", "SIP/2.0 400 ");
    world.is_quiet();
    world.settles();
}

/// §3.1.2.12: what it says is of no use to us.
#[test]
fn a_date_of_another_zone_keeps_nobody_from_calling() {
    let Some(message) = read_text("baddate") else { return };
    let mut world = World::new();
    world.caller_sends(&message);
    world.caller_gets(TRYING);
    let call = world.admit().call;
    world.route(call, &[0]);
    let sent = world.vendor_gets(0, "INVITE ");
    assert!(!sent.contains("\r\nDate: "));
    world.vendor_says(0, &sent, 404, "v", "");
    world.settles();
}

/// §3.3.4: a registrar keeps nothing for such a name.
#[test]
fn an_address_of_record_that_is_none_of_sip_is_refused() {
    let Some(message) = read_text("unksm2") else { return };
    let mut world = World::new();
    world.caller_sends(&message);
    let challenge = world.caller_gets("SIP/2.0 401 ");
    let proof = format!("Authorization: {}\r\nMax-Forwards", digest(&nonce_of(&challenge)));
    world.caller_sends(&message.replace("Max-Forwards", &proof));
    world.caller_gets("SIP/2.0 400 ");
    assert!(world.asks.is_empty());
    world.settles();
}

/// §3.3.5: what proxies must know is none of ours.
#[test]
fn an_extension_that_nothing_supports_is_named_and_a_proxys_is_not() {
    let Some(answer) = answered("bext01", 420) else { return };
    let named = header(&answer, "Unsupported");
    assert_eq!(named, "nothingSupportsThis, nothingSupportsThisEither");
}

/// §3.3.6.
#[test]
fn a_body_of_no_known_type_is_refused_with_what_would_do() {
    let Some(answer) = answered("invut", 415) else { return };
    assert_eq!(header(&answer, "Accept"), "application/sdp");
}

/// §3.3.7.
#[test]
fn credentials_of_no_known_scheme_are_none() {
    let Some(challenge) = answered("regaut01", 401) else { return };
    assert!(header(&challenge, "WWW-Authenticate").starts_with("Digest "));
    assert!(!challenge.contains("stale=true"));
}

/// §3.3.10: it is for nobody here, and what its second Via names is never written to.
#[test]
fn a_response_with_a_second_via_is_dropped() {
    dropped("bcast", Counter::ResponsesUnmatched);
}

/// §3.3.12, §3.3.13.
#[test]
fn a_parameter_is_the_contacts_own_only_within_its_brackets() {
    for (name, uri) in [
        ("cparam01", "sip:+19725552222@gw1.example.net"),
        ("cparam02", "sip:+19725552222@gw1.example.net;unknownparam"),
    ] {
        let mut world = World::new();
        let Some(asked) = world.asked_of(name) else { return };
        assert_eq!(asked.contacts[0].uri.as_bytes(), uri.as_bytes());
        let granted = world.granted(&asked);
        assert!(granted.contains(&format!("\r\nContact: <{uri}>;expires=")), "{granted}");
        world.settles();
    }
}

/// §3.3.14: it is kept as it is, and what it would write into a request of ours is left out.
#[test]
fn a_header_escaped_in_a_contact_is_registered_and_obeyed_by_nobody() {
    let mut world = World::new();
    let Some(asked) = world.asked_of("regescrt") else { return };
    let uri = "sip:user@example.com?Route=%3Csip:sip.example.com%3E";
    assert_eq!(asked.contacts[0].uri.as_bytes(), uri.as_bytes());
    assert!(world.granted(&asked).contains(&format!("\r\nContact: <{uri}>")));
    world.settles();
    let mut world = World::new();
    world.caller_sends(&invite(1, &caller_sdp()));
    world.caller_gets(TRYING);
    let call = world.admit().call;
    world.route_with(call, &[0], |route| {
        route.texts = Text::new(uri.as_bytes()).unwrap();
        route.candidates[0].uri.length = uri.len() as u16;
    });
    let sent = world.vendor_gets(0, "INVITE sip:user@example.com SIP/2.0");
    assert!(!sent.contains("Route"), "{sent}");
    world.settles();
}

/// §3.4.1: no branch, no From-tag, no Contact, no Max-Forwards and no Content-Length.
#[test]
fn a_caller_of_rfc_2543_is_put_through_and_hung_up() {
    let Some(message) = read_text("inv2543") else { return };
    let mut world = World::new();
    world.caller_sends(&message);
    world.caller_gets(TRYING);
    let admit = world.admit();
    assert_eq!(admit.facts.caller.as_bytes(), b"+13035551111");
    world.route(admit.call, &[0]);
    let sent = world.vendor_gets(0, "INVITE ");
    assert_eq!(header(&sent, "Max-Forwards"), "70");
    world.caller_sends(&message);
    world.caller_gets("SIP/2.0 100 ");
    world.vendor_says(0, &sent, 200, "v", &vendor_sdp());
    world.vendor_gets(0, "ACK ");
    world.commit();
    let answer = world.caller_gets("SIP/2.0 200 ");
    let (head, _) = message.split_once("Content-Type").unwrap();
    let ack = format!("{head}\r\n").replace("INVITE", "ACK");
    let to = header(&message, "To");
    world.caller_sends(
        &ack.replace(&format!("To: {to}"), &format!("To: {}", header(&answer, "To"))),
    );
    world.vendor_sends(0, &vendor_request(0, "BYE", 1, &sent, "v", ""));
    world.vendor_gets(0, "SIP/2.0 200 ");
    // Whoever records a route without `lr` is a strict router.
    let bye = world.caller_gets("BYE sip:UserB@example.com;maddr=ss1.example.com SIP/2.0");
    assert_eq!(inside(header(&bye, "Route")), inside(header(&bye, "To")));
    assert_eq!(inside(header(&bye, "To")), "sip:+13035551111@ift.client.example.net;user=phone");
    assert!(!header(&bye, "To").contains("tag="));
    world.ended_by(admit.call, EndedBy::Callee, EndReason::Normal);
    world.settles();
}
