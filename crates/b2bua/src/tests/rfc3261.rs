//! RFC 3261, section by section: which file proves what, and here what none of them does.
//!
//! Files are those beside this one, `sip` is `crates/sip`, `machines` are the tables in
//! `transaction/*.rs`: every state × every input.
//!
//! - §7 messages: `sip/tests/corpus`, `sip/tests/conformance_rfc4475.rs`, `rfc4475`; compact names here.
//! - §8.1.1 fields of a request: here. §8.1.2 next hop and transport: `dialog`. §8.1.3.1 timeout and transport: `failover`, `undeliverable`.
//!   §8.1.3.2 unknown statuses: here. §8.1.3.3 Vias: `hostile`. §8.1.3.4 3xx: `redirect`.
//!   §8.1.3.5 4xx: `vendor_digest`, `session` (422).
//! - §8.2.1 method: `peers`, `dialog`. §8.2.2.1 To and Request-URI: here, `hostile`. §8.2.2.2 merged:
//!   `hostile`. §8.2.2.3 Require: `hostile`, in ACK and CANCEL here. §8.2.3 content: `peers`.
//!   §8.2.6.1 100 and Timestamp: here, `basic`. §8.2.6.2 Via, To-tag: here. §8.2.7 without memory:
//!   `hostile`, `basic`, `challenge`.
//! - §9.1 CANCEL of ours: here, `cancel`, `forking`. §9.2 CANCEL of others: `cancel`, `reinvite`, by its
//!   branch alone here.
//! - §10 registrar: `registrar`; as a client: `errand`.
//! - §11 OPTIONS: `dialog`, `peers`; ours: `errand`.
//! - §12.1 route sets: `dialog`, `forking` (Path). §12.2.1.1 loose and strict routers: `dialog`; numbers: here. §12.2.1.2 and §12.2.2 target
//!   refresh: here, `update`; 481 and 408: `reinvite`; numbers out of order: `dialog`.
//! - §13.2.2.4 2xx and forks: `basic`, `failover`, `forking`. §13.3.1 Expires: `cancel`, `reinvite`. §13.3.1.4 2xx repeated, no ACK:
//!   `retransmission`, `basic`; by streams here.
//! - §14.1 491, 481, 408: `reinvite`. §14.2 491, 500 with Retry-After, 488: `reinvite`, `update`.
//! - §15.1.1 BYE of ours: here, `dialog`. §15.1.2 BYE of others: `basic`, `cancel`, `dialog` (481), `failover` (forks); what is
//!   pending: `reinvite`, here.
//! - §16.7 forking: `forking`. §16.12 routes: `dialog`.
//! - §17 timers by the millisecond: A, B, E, F, G, H `retransmission`; D, I, J, K, L, M and all of them by
//!   streams here; every transition: machines. §17.1.3 responses matched: `hostile`. §17.2.3 requests
//!   matched: here, `hostile` (RFC 2543).
//! - §18.1.1 long requests: `detour`. §18.1.2, §18.2.1 received: here; rport (RFC 3581): `dialog`, `peers`. §18.2.2 the same connection:
//!   here. §18.3 framing: `sip/src/stream.rs`. §18.4 errors: `undeliverable`.
//! - §19.1.1, §19.1.5 URIs: `sip/src/uri.rs`, `registrar`, `redirect`. §19.1.4 comparison:
//!   `sip/src/equality.rs`.
//! - §20 fields: `sip/src/header/*`. Retry-After: `peers`, `hostile`; Reason (RFC 3326): `endings`.
//! - §21 statuses by class: here, `failover`, `forking` (6xx), `endings`.
//! - §22 digest: `challenge`, `registrar`, `vendor_digest`, `errand`; published values: `sip/src/digest`.
//! - §24.1 and §24.2, the examples: here.

use super::retransmission::{CAPPED, patient, repetitions};
use super::*;

/// Who answered a message as this one, and how it was seen.
fn vias(message: &str) -> Vec<&str> {
    message.split("\r\n").filter_map(|line| line.strip_prefix("Via: ")).collect()
}

fn branch(message: &str) -> &str {
    let via = vias(message)[0];
    via.split_once("branch=").unwrap().1.split(';').next().unwrap()
}

/// A call that talks, over and under which nothing else goes on: the ACK that the vendor got, and the
/// rest as [`World::talking`].
fn acknowledged(world: &mut World) -> (String, String, String) {
    let (_, invite) = world.call_begins(&[0]);
    let answer = response(&invite, 200, "v", VENDORS[0], &vendor_sdp());
    world.vendor_sends(0, &with_lines(&answer, UPDATES));
    let ack = world.vendor_gets(0, "ACK ");
    world.commit();
    let answer = world.caller_gets("SIP/2.0 200 ");
    world.caller_sends(&caller_request("ACK", 1, &answer, ""));
    (ack, invite, answer)
}

/// §12.1.1, §8.1.1.8.
#[test]
fn who_asks_for_a_secured_way_gets_a_contact_of_that_kind() {
    let ours = |message: &str| header(message, "Contact").to_owned();
    for (uri, record, contact, secured) in [
        ("sip:4420", "", "sip:1234", false),
        ("sips:4420", "", "sip:1234", true),
        ("sip:4420", "", "sips:1234", true),
        ("sip:4420", "Record-Route: <sip:198.51.100.7;lr>\r\n", "sips:1234", false),
        ("sip:4420", "Record-Route: <sips:198.51.100.7;lr>\r\n", "sip:1234", true),
    ] {
        let mut world = World::new();
        world.carrier = Transport::Tls;
        let invite = invite(1, &caller_sdp())
            .replace("INVITE sip:4420", &format!("INVITE {uri}"))
            .replace("Contact: <sip:1234", &format!("{record}Contact: <{contact}"));
        world.caller_sends(&invite);
        world.caller_gets("SIP/2.0 100 ");
        let call = world.admit().call;
        world.route_with(call, &[0], |route| {
            let registered: &[u8] = b"sips:phone@203.0.113.10:5060";
            route.texts = Text::new(registered).unwrap();
            let length = if secured { registered.len() as u16 } else { 0 };
            route.candidates[0].uri = link::answer::Span { at: 0, length };
        });
        let to_phone = world.vendor_gets(0, "INVITE ");
        let expected = if secured {
            "<sips:203.0.113.1:5061>"
        } else {
            "<sip:203.0.113.1:5061;transport=tls>"
        };
        assert_eq!(ours(&to_phone), expected, "{uri}");
        world.vendor_says(0, &to_phone, 180, "v", "");
        let ringing = world.caller_gets("SIP/2.0 180 ");
        let expected =
            if secured { "<sips:192.0.2.1:5061>" } else { "<sip:192.0.2.1:5061;transport=tls>" };
        assert_eq!(ours(&ringing), expected, "{uri} {record} {contact}");
        world.settles();
    }
}

/// §7.3.3.
#[test]
fn a_call_in_compact_names_is_a_call() {
    let mut world = World::new();
    let mut compact = invite(1, &caller_sdp());
    for (name, short) in [
        ("Via", "v"),
        ("From", "f"),
        ("To", "t"),
        ("Call-ID", "i"),
        ("Contact", "m"),
        ("Content-Type", "c"),
        ("Content-Length", "l"),
    ] {
        compact = compact.replacen(&format!("\r\n{name}: "), &format!("\r\n{short}: "), 1);
    }
    world.caller_sends(&compact);
    world.caller_gets(TRYING);
    let call = world.admit().call;
    world.route(call, &[0]);
    let sent = world.vendor_gets(0, "INVITE ");
    assert!(body(&sent).contains("m=audio 10000"));
    world.vendor_says(0, &sent, 200, "v", &vendor_sdp());
    world.vendor_gets(0, "ACK ");
    world.commit();
    let answer = world.caller_gets("SIP/2.0 200 ");
    assert_eq!(header(&answer, "Call-ID"), "call1@alice");
    world.settles();
}

/// §8.1.1, §12.2.1.1.
#[test]
fn a_request_of_ours_has_its_six_fields_the_next_number_and_a_branch_of_its_own() {
    let mut world = World::new();
    let (ack, invite, answer) = acknowledged(&mut world);
    world.caller_sends(&caller_request("INVITE", 2, &answer, &caller_sdp()));
    world.caller_gets("SIP/2.0 100 ");
    let again = world.vendor_gets(0, "INVITE ");
    world.vendor_says(0, &again, 488, "", "");
    let failed = world.vendor_gets(0, "ACK ");
    world.caller_gets("SIP/2.0 488 ");
    world.caller_sends(&caller_request("BYE", 3, &answer, ""));
    let bye = world.vendor_gets(0, "BYE ");
    let all = [&invite, &ack, &again, &failed, &bye];
    for (request, cseq) in all.into_iter().zip(["1 INVITE", "1 ACK", "2 INVITE", "2 ACK", "3 BYE"])
    {
        assert_eq!(header(request, "CSeq"), cseq);
        assert_eq!(header(request, "Call-ID"), header(&invite, "Call-ID"));
        assert!(header(&invite, "From").ends_with(header(request, "From")));
        assert!(["69", "70"].contains(&header(request, "Max-Forwards")));
        assert!(branch(request).starts_with("z9hG4bK"));
        let has_contact = request.contains("\r\nContact: <sip:");
        assert_eq!(has_contact, cseq.ends_with("INVITE"), "§12.1, §13.2.1:\n{request}");
    }
    // The ACK of a failure is of its INVITE's transaction, that of a 2xx is one of its own (§17.1.1.3).
    assert_eq!(branch(&failed), branch(&again));
    let distinct: std::collections::BTreeSet<_> = all.map(|request| branch(request)).into();
    assert_eq!(distinct.len(), 4);
    world.settles();
}

/// §8.1.3.2, §21: a status that nobody knows is the x00 of its class; of 1xx the 183.
#[test]
fn a_status_that_nobody_knows_counts_by_its_class() {
    for (status, told) in [(499, 499), (599, 599), (399, 503)] {
        let mut world = World::new();
        let (key, first) = world.call_begins(&[0]);
        world.vendor_says(0, &first, 189, "v", &vendor_sdp());
        assert!(!body(&world.caller_gets("SIP/2.0 189 ")).is_empty(), "as 183");
        world.vendor_says(0, &first, status, "v", "");
        world.vendor_gets(0, "ACK ");
        world.caller_gets(&format!("SIP/2.0 {told} "));
        world.ended_by(key, EndedBy::Callee, EndReason::Rejected);
        world.settles();
    }
    let mut world = World::new();
    let (_, first) = world.call_begins(&[0, 1]);
    world.vendor_says(0, &first, 299, "v", &vendor_sdp());
    world.vendor_gets(0, "ACK ");
    world.commit();
    world.caller_gets("SIP/2.0 200 ");
    world.is_quiet();
    world.settles();
    // What is nowhere to be had is asked of nobody else.
    let mut world = World::new();
    let (_, first) = world.call_begins(&[0, 1]);
    world.vendor_says(0, &first, 699, "v", "");
    world.vendor_gets(0, "ACK ");
    world.caller_gets("SIP/2.0 699 ");
    world.is_quiet();
    world.settles();
}

/// §8.2.2.1.
#[test]
fn a_to_of_any_scheme_is_taken_where_the_request_uri_is_ours() {
    let mut world = World::new();
    let options = invite(1, "").replace("INVITE", "OPTIONS");
    world.caller_sends(&options.replace("To: <sip:4420@192.0.2.1>", "To: <fax:4420>"));
    let ok = world.caller_gets("SIP/2.0 200 ");
    assert!(header(&ok, "To").starts_with("<fax:4420>;tag="));
    world.settles();
}

/// §8.2.2.3.
#[test]
fn what_an_ack_or_a_cancel_requires_is_not_asked() {
    let strange = |message: String| message.replace("Max-Forwards", "Require: x\r\nMax-Forwards");
    let mut world = World::new();
    let (key, first) = world.call_begins(&[0]);
    world.vendor_says(0, &first, 200, "v", &vendor_sdp());
    world.vendor_gets(0, "ACK ");
    world.commit();
    let answer = world.caller_gets("SIP/2.0 200 ");
    world.caller_sends(&strange(caller_request("ACK", 1, &answer, "")));
    world.wait_ms(40_000);
    world.is_quiet();
    world.caller_sends(&caller_request("BYE", 2, &answer, ""));
    world.ended_by(key, EndedBy::Caller, EndReason::Normal);
    world.settles();
    let mut world = World::new();
    let (key, _) = world.call_begins(&[0]);
    world.caller_sends(&strange(beside_invite(1, "CANCEL", "<sip:4420@192.0.2.1>")));
    world.caller_gets("SIP/2.0 200 ");
    world.caller_gets("SIP/2.0 487 ");
    world.wait_ms(40_000);
    world.ended_by(key, EndedBy::Caller, EndReason::Cancelled);
    world.settles();
}

/// §8.2.6.1.
#[test]
fn only_an_invite_gets_a_100_and_that_has_its_timestamp() {
    let mut world = World::new();
    let timed =
        invite(1, &caller_sdp()).replace("Max-Forwards", "Timestamp: 54.21\r\nMax-Forwards");
    world.caller_sends(&timed);
    world.wait_ms(200);
    let trying = world.caller_gets("SIP/2.0 100 ");
    assert_eq!(header(&trying, "Timestamp"), "54.21");
    let call = world.admit().call;
    world.refuse(call, 404, 0);
    assert!(!world.caller_gets("SIP/2.0 404 ").contains("Timestamp"));
    world.settles();
    let mut world = World::new();
    let (_, _, answer) = acknowledged(&mut world);
    world.caller_sends(&caller_request("UPDATE", 2, &answer, &caller_sdp()));
    let update = world.vendor_gets(0, "UPDATE ");
    world.wait_ms(400);
    world.is_quiet();
    world.vendor_says(0, &update, 200, "", &vendor_sdp());
    world.caller_gets("SIP/2.0 200 ");
    world.settles();
}

/// §8.2.6.2.
#[test]
fn every_answer_has_the_vias_of_its_request_in_their_order_and_one_to_tag() {
    let mut world = World::new();
    let behind =
        "Via: SIP/2.0/TCP 198.51.100.8;branch=z9hG4bKx, SIP/2.0/UDP 198.51.100.9\r\nMax-Forwards";
    world.caller_sends(&invite(1, &caller_sdp()).replace("Max-Forwards", behind));
    world.wait_ms(200);
    let trying = world.caller_gets("SIP/2.0 100 ");
    let call = world.admit().call;
    world.route(call, &[0]);
    let first = world.vendor_gets(0, "INVITE ");
    world.vendor_says(0, &first, 180, "v", "");
    let ringing = world.caller_gets("SIP/2.0 180 ");
    world.vendor_says(0, &first, 200, "v", &vendor_sdp());
    world.vendor_gets(0, "ACK ");
    world.commit();
    let answer = world.caller_gets("SIP/2.0 200 ");
    for response in [&trying, &ringing, &answer] {
        let [top, rest @ ..] = &vias(response)[..] else { panic!("no Via") };
        assert!(top.ends_with(";received=198.51.100.7;rport=5060"), "{top}");
        let rest = rest.join(", ");
        assert_eq!(rest, "SIP/2.0/TCP 198.51.100.8;branch=z9hG4bKx, SIP/2.0/UDP 198.51.100.9");
    }
    assert!(!header(&trying, "To").contains(";tag="));
    assert_eq!(header(&ringing, "To"), header(&answer, "To"));
    world.settles();
}

/// §9.1.
#[test]
fn a_cancel_of_ours_is_its_invite_but_for_the_method() {
    let mut world = World::new();
    let (_, first) = world.call_begins(&[0]);
    world.vendor_says(0, &first, 180, "v", "");
    world.caller_sends(&beside_invite(1, "CANCEL", "<sip:4420@192.0.2.1>"));
    let cancel = world.vendor_gets(0, "CANCEL ");
    for name in ["Via", "From", "To", "Call-ID"] {
        let anonymous = header(&first, name).replace("\"Alice\" ", "");
        assert_eq!(header(&cancel, name).replace("\"Alice\" ", ""), anonymous);
    }
    let uri = |message: &str| message.split(' ').nth(1).unwrap().to_owned();
    assert_eq!(uri(&cancel), uri(&first));
    assert_eq!(header(&cancel, "CSeq"), "1 CANCEL");
    assert_eq!(vias(&cancel).len(), 1);
    assert!(!cancel.contains("\r\nRequire: "));
    assert_eq!(body(&cancel), "");
    world.settles();
}

/// §9.2.
#[test]
fn a_cancel_belongs_to_the_branch_and_the_sender_of_its_invite() {
    let mut world = World::new();
    let (_, first) = world.call_begins(&[0]);
    world.vendor_says(0, &first, 180, "v", "");
    world.caller_gets("SIP/2.0 180 ");
    let cancel = beside_invite(1, "CANCEL", "<sip:4420@192.0.2.1>");
    for (part, other) in
        [("invite1", "invite2"), ("UDP 198.51.100.7:5060", "UDP 198.51.100.8:5060")]
    {
        world.caller_sends(&cancel.replace(part, other));
        world.caller_gets("SIP/2.0 481 ");
    }
    world.is_quiet();
    assert_eq!(world.count(Counter::CancelsUnmatched), 2);
    assert_eq!(world.switch.calls_live(), 1);
    world.settles();
}

/// §12.2.1.2, §12.2.2.
#[test]
fn a_dialogs_target_moves_with_a_reinvite_and_its_route_set_with_nothing() {
    let mut world = World::new();
    let (_, invite, answer) = acknowledged(&mut world);
    let at = |request: String, host: &str| {
        request
            .replace("Contact: <sip:1234@198.51.100.7:5060>", &format!("Contact: <sip:9@{host}>"))
    };
    let info = at(caller_request("INFO", 2, &answer, ""), "198.51.100.8");
    world.caller_sends(&info);
    let passed = world.vendor_gets(0, "INFO ");
    world.vendor_says(0, &passed, 200, "", "");
    world.caller_gets("SIP/2.0 200 ");
    let offer = at(caller_request("INVITE", 3, &answer, &caller_sdp()), "198.51.100.9:5070");
    let routed = "Record-Route: <sip:198.51.100.66;lr>\r\nMax-Forwards";
    world.caller_sends(&offer.replace("Max-Forwards", routed));
    world.caller_gets("SIP/2.0 100 ");
    let again = world.vendor_gets(0, "INVITE ");
    world.vendor_says(0, &again, 200, "", &vendor_sdp());
    world.vendor_gets(0, "ACK ");
    world.caller_gets("SIP/2.0 200 ");
    world.caller_sends(&caller_request("ACK", 3, &answer, ""));
    world.vendor_sends(0, &vendor_request(0, "BYE", 1, &invite, "v", ""));
    let bye = world.gets("198.51.100.9:5070", "BYE sip:9@198.51.100.9:5070 SIP/2.0");
    assert!(!bye.contains("\r\nRoute: "));
    world.settles();
}

/// §15.1.1.
#[test]
fn whatever_answers_our_bye_the_dialog_is_over() {
    for status in [200, 202, 403, 404, 408, 481, 500, 503, 603] {
        let mut world = World::new();
        let (_, _, answer) = acknowledged(&mut world);
        world.caller_sends(&caller_request("BYE", 2, &answer, ""));
        world.caller_gets("SIP/2.0 200 ");
        let bye = world.vendor_gets(0, "BYE ");
        world.vendor_says(0, &bye, status, "", "");
        world.wait_ms(40_000);
        world.is_quiet();
        world.settles();
    }
}

/// §15.1.2.
#[test]
fn what_is_pending_when_a_bye_comes_is_answered_487() {
    let mut world = World::new();
    let (_, _, answer) = acknowledged(&mut world);
    world.caller_sends(&caller_request("UPDATE", 2, &answer, &caller_sdp()));
    world.vendor_gets(0, "UPDATE ");
    world.caller_sends(&caller_request("BYE", 3, &answer, ""));
    world.caller_gets("SIP/2.0 200 ");
    let pending = world.caller_gets("SIP/2.0 487 ");
    assert_eq!(header(&pending, "CSeq"), "2 UPDATE");
    world.settles();
}

/// How many transactions are open at these times, in ms from now.
fn open_at<const N: usize>(world: &mut World, times: [u64; N]) -> [usize; N] {
    let mut now = 0;
    times.map(|ms| {
        world.wait_ms(ms - now);
        now = ms;
        world.switch.transactions_open()
    })
}

/// §17.1.1.2 (D), §17.2.1 (I).
#[test]
fn a_failed_invite_is_forgotten_after_d_as_a_client_and_after_i_as_a_server() {
    for (carrier, expected) in
        [(Transport::Udp, [2, 2, 1, 1, 0]), (Transport::Tcp, [0, 0, 0, 0, 0])]
    {
        let mut world = World { carrier, ..World::new() };
        let (_, first) = world.call_begins(&[0]);
        world.vendor_says(0, &first, 486, "v", "");
        let busy = world.caller_gets("SIP/2.0 486 ");
        world.caller_sends(&beside_invite(1, "ACK", header(&busy, "To")));
        let open = open_at(&mut world, [0, 4_999, 5_000, 31_999, 32_000]);
        assert_eq!(open, expected, "{carrier:?}");
        world.settles();
    }
}

/// RFC 6026 (L, M), §17.2.2 (J), §17.1.2.2 (K).
#[test]
fn an_accepted_invite_is_forgotten_after_l_and_m_and_a_bye_after_j_and_k() {
    for (carrier, expected) in
        [(Transport::Udp, [2, 2, 1, 1, 0]), (Transport::Tcp, [0, 0, 0, 0, 0])]
    {
        let mut world = World { carrier, ..World::new() };
        let (_, _, answer) = acknowledged(&mut world);
        let open = open_at(&mut world, [0, 31_999, 32_000]);
        assert_eq!(open, [2, 2, 0], "a 2xx may be repeated whatever the transport: {carrier:?}");
        world.caller_sends(&caller_request("BYE", 2, &answer, ""));
        let bye = world.vendor_gets(0, "BYE ");
        world.vendor_says(0, &bye, 200, "", "");
        let open = open_at(&mut world, [0, 4_999, 5_000, 31_999, 32_000]);
        assert_eq!(open, expected, "{carrier:?}");
        world.settles();
    }
}

/// §17.1.1.2 (A, B): a stream repeats for itself, but nobody waits for ever.
#[test]
fn by_a_stream_an_invite_is_sent_once_and_given_up_after_b() {
    let mut world = World { carrier: Transport::Tcp, ..patient() };
    let (key, invite) = world.call_begins(&[0]);
    assert!(header(&invite, "Via").starts_with("SIP/2.0/TCP "));
    assert_eq!(repetitions(&mut world, VENDORS[0], &invite), [0; 0]);
    assert_eq!(world.ended_by(key, EndedBy::Server, EndReason::Timeout).ended_ms, 32_000);
    world.settles();
}

/// §17.1.2.2 (E, F).
#[test]
fn by_a_stream_a_bye_is_sent_once_and_given_up_after_f() {
    let mut world = World { carrier: Transport::Tcp, ..World::new() };
    let (_, _, answer) = acknowledged(&mut world);
    world.wait_ms(32_000);
    world.caller_sends(&caller_request("BYE", 2, &answer, ""));
    let bye = world.vendor_gets(0, "BYE ");
    assert_eq!(open_at(&mut world, [0, 31_999, 32_000]), [1, 1, 0]);
    world.caller_gets("SIP/2.0 200 ");
    assert_eq!(repetitions(&mut world, VENDORS[0], &bye), [0; 0]);
    assert_eq!(world.count(Counter::TransactionsTimedOut), 1);
    world.settles();
}

/// §17.2.1 (G, H).
#[test]
fn by_a_stream_a_failure_is_sent_once_and_its_ack_awaited_until_h() {
    let mut world = World { carrier: Transport::Tcp, ..World::new() };
    let (_, first) = world.call_begins(&[0]);
    world.vendor_says(0, &first, 486, "v", "");
    world.caller_gets("SIP/2.0 486 ");
    world.vendor_gets(0, "ACK ");
    assert_eq!(open_at(&mut world, [0, 31_999, 32_000]), [1, 1, 0]);
    world.is_quiet();
    world.settles();
}

/// §13.3.1.4: there may be hops behind the first that lose it.
#[test]
fn by_a_stream_too_a_200_is_repeated_until_its_ack() {
    let mut world = World { carrier: Transport::Tcp, ..World::new() };
    let (key, first) = world.call_begins(&[0]);
    world.vendor_says(0, &first, 200, "v", &vendor_sdp());
    world.commit();
    let answer = world.caller_gets("SIP/2.0 200 ");
    assert_eq!(repetitions(&mut world, CALLER, &answer), CAPPED);
    world.ended_by(key, EndedBy::Server, EndReason::NoAck);
    world.settles();
}

/// §17.2.3.
#[test]
fn a_branch_is_its_senders_own() {
    let mut world = World::new();
    world.caller_sends(&invite(1, &caller_sdp()));
    world.admit();
    let twin = invite(2, &caller_sdp()).replace("z9hG4bKinvite2", "z9hG4bKinvite1");
    // Of another host, or by another port, it is another transaction.
    world.caller_sends(&twin.replace("UDP 198.51.100.7:5060", "UDP 198.51.100.7:5062"));
    world.admit();
    world.caller_sends(&twin);
    assert!(world.asks.is_empty(), "a repetition, whatever else it says");
    assert_eq!(world.count(Counter::RequestsRepeated), 1);
    world.settles();
}

/// §18.2.1.
#[test]
fn where_a_via_does_not_say_whence_it_came_we_do() {
    let mut world = World::new();
    let options = invite(1, "").replace("INVITE", "OPTIONS");
    for (via, seen) in [
        ("198.51.100.7:5060;branch=z9hG4bKa", ""),
        ("phone.example.com;branch=z9hG4bKb", ";received=198.51.100.7"),
        ("10.0.0.7:5060;branch=z9hG4bKc", ";received=198.51.100.7"),
        ("10.0.0.7;branch=z9hG4bKd;received=6.6.6.6", ";received=198.51.100.7"),
    ] {
        let sent = options.replace("198.51.100.7:5060;branch=z9hG4bKinvite1;rport", via);
        world.caller_sends(&sent);
        let answer = world.caller_gets("SIP/2.0 200 ");
        let (said, _) = via.split_once(";received").unwrap_or((via, ""));
        assert_eq!(vias(&answer), [format!("SIP/2.0/UDP {said}{seen}")]);
    }
    world.settles();
}

/// §18.2.2.
#[test]
fn an_answer_goes_back_along_the_connection_of_its_request_whatever_its_via_says() {
    let mut world = World::new();
    let path = Path {
        transport: Transport::Tcp,
        local: OUR_CUSTOMER_SIDE.parse().unwrap(),
        remote: "198.51.100.7:40123".parse().unwrap(),
        connection: 7,
    };
    let options = invite(1, "").replace("INVITE", "OPTIONS").replace(";rport", "");
    let message = sip::Message::parse(options.as_bytes()).unwrap();
    world.switch.handle_message(world.now, path, &message);
    let transmit = world.switch.poll_transmit(&mut [0; 8_192]).unwrap();
    assert_eq!(transmit.path, path);
    world.settles();
}

/// §24.1: Bob's phone, which has to prove first that it is his.
#[test]
fn the_registration_of_the_rfc() {
    let register = |branch: &str, cseq: u32, more: &str| {
        format!(
            "REGISTER sip:registrar.biloxi.com SIP/2.0\r\n\
             Via: SIP/2.0/UDP bobspc.biloxi.com:5060;branch=z9hG4bK{branch}\r\n\
             Max-Forwards: 70\r\nTo: Bob <sip:bob@biloxi.com>\r\n\
             From: Bob <sip:bob@biloxi.com>;tag=456248\r\n\
             Call-ID: 843817637684230@998sdasdh09\r\nCSeq: {cseq} REGISTER\r\n\
             Contact: <sip:bob@192.0.2.4>\r\nExpires: 7200\r\n{more}Content-Length: 0\r\n\r\n"
        )
    };
    let mut world = World::new();
    world.caller_sends(&register("nashds7", 1826, ""));
    let unauthorized = world.caller_gets("SIP/2.0 401 Unauthorized");
    let proof = challenge::digest(&challenge::nonce_of(&unauthorized));
    world.caller_sends(&register("nashds8", 1827, &format!("Authorization: {proof}\r\n")));
    let Some(Ask::Register(asked)) = world.asks.pop() else { panic!("nobody was asked") };
    assert_eq!((asked.user.as_bytes(), asked.cseq, asked.expires_s), (&b"bob"[..], 1827, 7_200));
    assert_eq!(asked.contacts[0].uri.as_bytes(), b"sip:bob@192.0.2.4");
    let mut registered = link::answer::Registered::new_zeroed();
    (registered.request, registered.status, registered.contacts_used) = (asked.request, 200, 1);
    registered.contacts[0] = link::ask::Contact { expires_s: 7_200, ..asked.contacts[0] };
    world.answer(Answer::Registered(registered));
    let granted = world.caller_gets("SIP/2.0 200 OK");
    let via = "SIP/2.0/UDP bobspc.biloxi.com:5060;branch=z9hG4bKnashds8;received=198.51.100.7";
    assert_eq!(vias(&granted), [via]);
    assert!(header(&granted, "To").starts_with("Bob <sip:bob@biloxi.com>;tag="));
    assert_eq!(header(&granted, "From"), "Bob <sip:bob@biloxi.com>;tag=456248");
    assert_eq!(header(&granted, "Call-ID"), "843817637684230@998sdasdh09");
    assert_eq!(header(&granted, "CSeq"), "1827 REGISTER");
    assert_eq!(header(&granted, "Contact"), "<sip:bob@192.0.2.4>;expires=7200");
    world.settles();
}

/// §24.2: Alice calls Bob, he rings, answers, and hangs up. We stand where the proxies do.
#[test]
fn the_session_setup_of_the_rfc() {
    let from_alice = |method: &str, uri: &str, branch: &str, to: &str, cseq: u32, content: &str| {
        with_body(
            &format!(
                "{method} {uri} SIP/2.0\r\n\
                 Via: SIP/2.0/UDP pc33.atlanta.com;branch=z9hG4bK{branch}\r\nMax-Forwards: 70\r\n\
                 To: {to}\r\nFrom: Alice <sip:alice@atlanta.com>;tag=1928301774\r\n\
                 Call-ID: a84b4c76e66710\r\nCSeq: {cseq} {method}\r\n\
                 Contact: <sip:alice@pc33.atlanta.com>\r\n"
            ),
            content,
        )
    };
    let mut world = World::new();
    let (bob, sdp) = ("Bob <sip:bob@biloxi.com>", caller_sdp());
    world.caller_sends(&from_alice("INVITE", "sip:bob@biloxi.com", "nashds8", bob, 314_159, &sdp));
    world.wait_ms(200);
    let trying = world.caller_gets("SIP/2.0 100 Trying");
    assert_eq!((header(&trying, "To"), header(&trying, "CSeq")), (bob, "314159 INVITE"));
    let admit = world.admit();
    assert_eq!(
        (admit.facts.caller.as_bytes(), admit.facts.callee.as_bytes()),
        (&b"alice"[..], &b"bob"[..])
    );
    world.route(admit.call, &[0]);
    let invite = world.vendor_gets(0, "INVITE ");
    assert_eq!(header(&invite, "Max-Forwards"), "69");
    world.vendor_says(0, &invite, 180, "a6c85cf", "");
    let ringing = world.caller_gets("SIP/2.0 180 Ringing");
    world.vendor_says(0, &invite, 200, "a6c85cf", &vendor_sdp());
    world.vendor_gets(0, "ACK ");
    world.commit();
    let answer = world.caller_gets("SIP/2.0 200 OK");
    for response in [&ringing, &answer] {
        let via = "SIP/2.0/UDP pc33.atlanta.com;branch=z9hG4bKnashds8;received=198.51.100.7";
        assert_eq!(vias(response), [via]);
        assert!(header(response, "To").starts_with(&format!("{bob};tag=")));
        assert_eq!(header(response, "From"), "Alice <sip:alice@atlanta.com>;tag=1928301774");
        assert_eq!(header(response, "Call-ID"), "a84b4c76e66710");
    }
    let target = inside(header(&answer, "Contact")).to_owned();
    let to = header(&answer, "To").to_owned();
    world.caller_sends(&from_alice("ACK", &target, "nashds9", &to, 314_159, ""));
    world.wait_ms(10_000);
    world.is_quiet();
    world.vendor_sends(0, &vendor_request(0, "BYE", 231, &invite, "a6c85cf", ""));
    world.vendor_gets(0, "SIP/2.0 200 OK");
    let bye = world.caller_gets("BYE sip:alice@pc33.atlanta.com SIP/2.0");
    assert_eq!(header(&bye, "From"), header(&answer, "To").replace("Bob ", ""));
    assert_eq!(header(&bye, "To"), "<sip:alice@atlanta.com>;tag=1928301774");
    world.caller_sends(&response(&bye, 200, "", "pc33.atlanta.com", ""));
    world.ended_by(admit.call, EndedBy::Callee, EndReason::Normal);
    world.settles();
}
