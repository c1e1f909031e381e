//! Floods, forgeries, broken and malicious messages.

use proptest::prelude::*;

use super::errand::challenge;
use super::*;

#[test]
fn a_full_switch_answers_503_without_memory_and_recovers() {
    let mut world = World::new();
    world.ignore_messages();
    for number in 0..8 {
        world.caller_sends(&invite(number, &caller_sdp()));
        world.caller_gets("SIP/2.0 100 ");
    }
    let free = world.switch.transactions.free();
    for number in 8..100 {
        world.caller_sends(&invite(number, &caller_sdp()));
        let refusal = world.caller_gets("SIP/2.0 503 ");
        assert_eq!(header(&refusal, "Retry-After"), "5");
    }
    assert_eq!(world.switch.transactions.free(), free);
    assert_eq!(world.count(Counter::RefusedCallsFull), 92);
    world.wait_ms(60_000);
    world.ignore_messages();
    world.caller_sends(&invite(200, &caller_sdp()));
    world.caller_gets("SIP/2.0 100 ");
    world.settles();
}

#[test]
fn every_table_that_fills_up_is_counted_by_its_name() {
    for (limits, counter) in [
        (Limits { transactions_max: 3, ..limits() }, Counter::RefusedTransactionsFull),
        (Limits { calls_max: 0, ..limits() }, Counter::RefusedCallsFull),
    ] {
        let mut world = World::with_limits(limits);
        world.caller_sends(&invite(1, &caller_sdp()));
        world.caller_gets("SIP/2.0 503 ");
        assert_eq!(world.count(counter), 1);
    }
    let mut world = World::with_limits(Limits { kept_messages_max: 4, ..limits() });
    world.caller_sends(&invite(1, &caller_sdp()));
    world.caller_gets("SIP/2.0 100 ");
    world.caller_sends(&invite(2, &caller_sdp()));
    world.caller_gets("SIP/2.0 503 ");
    assert_eq!(world.count(Counter::RefusedKeptFull), 1);
    world.settles();
}

#[test]
fn calls_beyond_the_media_ports_are_refused_and_leave_no_port_behind() {
    let mut world = World::with_limits(Limits {
        calls_max: 80,
        transactions_max: 512,
        kept_messages_max: 512,
        ..limits()
    });
    let mut refused = 0;
    for number in 0..55 {
        world.caller_sends(&invite(number, &caller_sdp()));
        if let Some(Ask::Admit(admit)) = world.asks.pop() {
            world.route(admit.call, &[0]);
        } else {
            refused += 1;
        }
    }
    // 50 pairs on each side are 50 calls; the others were told so before anybody was asked.
    assert_eq!(refused, 5);
    assert_eq!(world.count(Counter::RefusedPortsFull), 5);
    world.settles();
}

#[test]
fn the_same_request_by_two_roads_is_one_call() {
    let mut world = World::new();
    world.caller_sends(&invite(1, &caller_sdp()));
    world.caller_gets("SIP/2.0 100 ");
    world.caller_sends(&invite(1, &caller_sdp()).replace("z9hG4bKinvite1", "z9hG4bKother"));
    world.caller_gets("SIP/2.0 482 ");
    assert_eq!(world.count(Counter::RefusedMerged), 1);
    world.settles();
}

#[test]
fn an_invite_that_cannot_become_a_call_is_refused_for_its_reason() {
    let offer = caller_sdp();
    let sound = invite(1, &offer);
    let long = |length: usize| "x".repeat(length);
    for (broken, status) in [
        (sound.replace("Max-Forwards: 70", "Max-Forwards: 0"), 483),
        (sound.replace("Contact: <sip:1234@198.51.100.7:5060>\r\n", ""), 400),
        (sound.replace("Max-Forwards", "Require: precondition\r\nMax-Forwards"), 420),
        (sound.replace("application/sdp", "text/plain"), 415),
        (sound.replace("INVITE sip:4420@192.0.2.1", "INVITE mailto:4420@192.0.2.1"), 416),
        (sound.replace("v=0", "v=1"), 488),
        (sound.replace("sip:4420@192.0.2.1 SIP", &format!("sip:{}@b SIP", long(63))), 484),
        (sound.replace("call1@alice", &long(127)), 513),
        (sound.replace(";tag=a1", &format!(";tag={}", long(1_000))), 513),
        (
            sound.replace(
                "Max-Forwards",
                &format!("Record-Route: <sip:{};lr>\r\nMax-Forwards", long(900)),
            ),
            513,
        ),
        (sound.replace("Max-Forwards", &format!("Subject: {}\r\nMax-Forwards", long(8_192))), 513),
        (sound.replace("CSeq: 1 INVITE", "CSeq: x INVITE"), 400),
        (sound.replace("SIP/2.0\r\nVia", "SIP/3.0\r\nVia"), 505),
    ] {
        let mut world = World::new();
        world.caller_sends(&broken);
        world.caller_gets(&format!("SIP/2.0 {status} "));
        world.is_quiet();
        assert!(world.asks.is_empty(), "control was asked about a {status}");
        world.settles();
    }
}

#[test]
fn an_extension_that_we_do_not_know_is_named_in_the_refusal() {
    let mut world = World::new();
    let broken =
        invite(1, "").replace("Max-Forwards", "Require: precondition, dance\r\nMax-Forwards");
    world.caller_sends(&broken);
    let refusal = world.caller_gets("SIP/2.0 420 ");
    assert!(header(&refusal, "Unsupported").contains("precondition"));
    world.settles();
}

#[test]
fn an_offer_of_refused_streams_only_is_carried_as_it_is() {
    let mut world = World::new();
    let (_, invite) = world.call_with_offer(&[0], &caller_sdp().replace("4000", "0"));
    assert_eq!(media_port(&invite), Port::NONE);
    world.vendor_says(0, &invite, 488, "v", "");
    world.settles();
}

/// RFC 3261 §17.1.3: a carrier answers from any address of its cluster.
#[test]
fn a_response_with_our_branch_is_believed_from_wherever_its_sender_may_stand() {
    let mut world = World::new();
    let (_, invite) = world.call_begins(&[0]);
    // From ourselves, and from a network that nobody out there can mean.
    for nowhere in ["203.0.113.1:5060", "10.9.9.9:5060"] {
        world.receive(
            nowhere,
            OUR_VENDOR_SIDE,
            &response(&invite, 200, "v", VENDORS[0], &vendor_sdp()),
        );
    }
    assert_eq!(world.count(Counter::ResponsesMisplaced), 2);
    world.is_quiet();
    world.receive(
        "203.0.113.77:5060",
        OUR_VENDOR_SIDE,
        &response(&invite, 180, "v", VENDORS[0], ""),
    );
    world.caller_gets("SIP/2.0 180 ");
    world.receive(
        "203.0.113.77:5060",
        OUR_VENDOR_SIDE,
        &response(&invite, 486, "v", VENDORS[0], ""),
    );
    assert_eq!(world.count(Counter::ResponsesMisplaced), 4);
    world.caller_gets("SIP/2.0 486 ");
    // The ACK of a failure goes where the INVITE went.
    world.vendor_gets(0, "ACK ");
    world.is_quiet();
    world.settles();

    let mut world = World::new();
    world.carrier = Transport::Tcp;
    let (_, invite) = world.call_begins(&[0]);
    world.vendor_sends(1, &response(&invite, 200, "v", VENDORS[1], &vendor_sdp()));
    assert_eq!(world.count(Counter::ResponsesMisplaced), 1);
    world.is_quiet();
    world.settles();
}

#[test]
fn a_response_to_what_we_did_not_ask_is_believed_from_nobody() {
    let mut world = World::new();
    let (_, invite) = world.call_begins(&[0]);
    let branch = header(&invite, "Via").split("branch=").nth(1).unwrap().to_owned();
    let mut guessed = branch.clone();
    guessed.replace_range(8..9, if &branch[8..9] == "0" { "1" } else { "0" });
    world.vendor_sends(0, &response(&invite, 200, "v", VENDORS[0], "").replace(&branch, &guessed));
    let astray = response(&invite, 200, "v", VENDORS[0], "")
        .replace("From", "Via: SIP/2.0/UDP 192.0.2.9;branch=z9hG4bKx\r\nFrom");
    world.vendor_sends(0, &astray);
    world.vendor_sends(
        0,
        &response(&invite, 200, "v", VENDORS[0], "").replace("1 INVITE", "2 INVITE"),
    );
    assert_eq!(world.count(Counter::ResponsesUnmatched), 3);
    world.is_quiet();
    world.settles();
}

#[test]
fn an_invite_of_rfc_2543_is_known_again_without_a_unique_branch() {
    let mut world = World::new();
    let contact = "Contact: <sip:1234@198.51.100.7:5060>\r\n";
    let old = |text: String| text.replace(";branch=z9hG4bKinvite1;rport", "").replace(contact, "");
    world.caller_sends(&old(invite(1, &caller_sdp())));
    world.caller_gets("SIP/2.0 100 ");
    world.caller_sends(&old(invite(1, &caller_sdp())));
    world.caller_gets("SIP/2.0 100 ");
    let admit = world.admit();
    world.refuse(admit.call, 404, 0);
    let refusal = world.caller_gets("SIP/2.0 404 ");
    world.caller_sends(&old(beside_invite(1, "ACK", header(&refusal, "To"))));
    world.wait_ms(1_000);
    world.is_quiet();
    world.settles();
}

#[test]
fn a_late_or_senseless_answer_of_control_harms_nobody() {
    let mut world = World::new();
    let strange = CallKey { slot: 99, generation: 1 };
    world.route(strange, &[0]);
    world.refuse(strange, 403, 0);
    world.answer(Answer::Committed(Committed { call: strange }));
    assert_eq!(world.count(Counter::AnswersLate), 3);
    world.order(Order::HangUp(link::order::HangUp { call: strange, reason: 999 }));
    assert_eq!(world.count(Counter::OrdersUnmatched), 1);
    world.caller_sends(&invite(1, &caller_sdp()));
    world.caller_gets("SIP/2.0 100 ");
    let admit = world.admit();
    world.refuse(admit.call, 200, 0);
    world.caller_gets("SIP/2.0 503 ");
    world.caller_sends(&invite(2, &caller_sdp()));
    world.caller_gets("SIP/2.0 100 ");
    let admit = world.admit();
    world.route(admit.call, &[]);
    world.caller_gets("SIP/2.0 503 ");
    assert_eq!(world.count(Counter::AnswersInvalid), 2);
    world.settles();
}

#[test]
fn a_slot_waits_for_its_record_to_be_stored() {
    let mut world = World::with_limits(Limits { calls_max: 1, ..limits() });
    world.stores = false;
    let (key, _, answer) = world.talking();
    world.caller_sends(&caller_request("BYE", 2, &answer, ""));
    world.caller_gets("SIP/2.0 200 ");
    world.caller_sends(&invite(2, &caller_sdp()));
    world.caller_gets("SIP/2.0 503 ");
    world.switch.handle_recorded(CallKey { generation: key.generation + 1, ..key });
    world.caller_sends(&invite(3, &caller_sdp()));
    world.caller_gets("SIP/2.0 503 ");
    world.switch.handle_recorded(key);
    world.caller_sends(&invite(4, &caller_sdp()));
    world.caller_gets("SIP/2.0 100 ");
    let next = world.admit().call;
    assert_eq!((next.slot, next.generation), (key.slot, key.generation.wrapping_add(1)));
    world.settles();
}

/// One thing that may happen to a call.
#[derive(Clone, Debug)]
enum Happening {
    /// The caller sends a request; `true`: with the number of the one before.
    Caller(&'static str, bool),
    Vendor(&'static str, bool),
    /// The vendor answers one of our last requests, counted back.
    VendorSays(usize, u16, u8, bool),
    CallerSays(usize, u16, bool),
    Commit,
    Wait(u32),
    HangUp,
}

const STATUSES: [u16; 16] =
    [100, 180, 183, 200, 200, 302, 401, 404, 407, 408, 481, 486, 487, 491, 503, 603];
const METHODS: [&str; 11] = [
    "ACK", "BYE", "CANCEL", "INVITE", "INVITE", "UPDATE", "INFO", "OPTIONS", "REFER", "PRACK",
    "PRACK",
];

fn happening() -> impl Strategy<Value = Happening> {
    use Happening::*;
    let status = || prop::sample::select(&STATUSES[..]);
    let method = || prop::sample::select(&METHODS[..]);
    prop_oneof![
        4 => (method(), any::<bool>()).prop_map(|(method, again)| Caller(method, again)),
        3 => (method(), any::<bool>()).prop_map(|(method, again)| Vendor(method, again)),
        5 => (0_usize..3, status(), 0_u8..3, any::<bool>())
            .prop_map(|(back, status, tag, described)| VendorSays(back, status, tag, described)),
        3 => (0_usize..3, status(), any::<bool>())
            .prop_map(|(back, status, described)| CallerSays(back, status, described)),
        2 => Just(Commit),
        2 => prop_oneof![3 => 0_u32..10_000, 1 => 10_000_u32..60_000].prop_map(Wait),
        1 => Just(HangUp),
    ]
}

/// What the two sides have seen and said.
#[derive(Default)]
struct Memory {
    to_vendors: Vec<(usize, String)>,
    to_caller: Vec<String>,
    answer: Option<String>,
    /// Whether both sides speak of reliable responses and session timers.
    extended: bool,
    /// The number of the vendors' last reliable response.
    rseq: u32,
    /// Of the last request and the last INVITE, the caller's and the vendor's.
    cseqs: [(u32, u32); 2],
}

impl Memory {
    fn note(&mut self, world: &mut World) {
        for (to, text) in world.inbox.drain(..) {
            let vendor = VENDORS.iter().position(|vendor| to == vendor.parse().unwrap());
            let is_request = !text.starts_with("SIP/2.0") && !text.starts_with("ACK");
            match vendor {
                Some(vendor) if is_request => self.to_vendors.push((vendor, text)),
                None if is_request => self.to_caller.push(text),
                None if text.starts_with("SIP/2.0") && text.contains("\r\nContact: ") => {
                    self.answer = Some(text);
                }
                _ => {}
            }
        }
    }

    fn cseq(&mut self, side: usize, method: &str, again: bool) -> u32 {
        let (last, last_invite) = &mut self.cseqs[side];
        if matches!(method, "ACK" | "CANCEL") {
            return *last_invite;
        }
        *last += u32::from(!again);
        if method == "INVITE" {
            *last_invite = *last;
        }
        *last
    }

    /// What the extensions add to a message.
    fn extend(&mut self, message: &str, again: bool) -> String {
        if !self.extended {
            return message.to_owned();
        }
        let answer = self.answer.as_deref().unwrap_or_default();
        let rseq = answer.split_once("RSeq: ").and_then(|(_, rest)| rest.split_once("\r\n"));
        let rseq = rseq.map_or("1", |(number, _)| number);
        self.rseq += u32::from(!again);
        let lines = match message.split(' ').next().unwrap() {
            "PRACK" => format!("RAck: {rseq} 1 INVITE\r\n"),
            "SIP/2.0" if message.starts_with("SIP/2.0 18") => {
                format!("Require: 100rel\r\nRSeq: {}\r\n", self.rseq)
            }
            "SIP/2.0" if again => "Allow: UPDATE\r\nSession-Expires: 90;refresher=uac\r\n".into(),
            "SIP/2.0" => "Min-SE: 120\r\nSession-Expires: 90;refresher=uas\r\n".into(),
            _ => "Supported: timer\r\nSession-Expires: 90\r\n".to_owned(),
        };
        message.replacen("Contact: ", &format!("{lines}Contact: "), 1)
    }
}

fn happens(world: &mut World, memory: &mut Memory, key: CallKey, first: &str, what: Happening) {
    let described = |yes: bool, sdp: String| if yes { sdp } else { String::new() };
    match what {
        Happening::Caller(method, again) => {
            if method == "CANCEL" {
                world.caller_sends(&beside_invite(1, "CANCEL", "<sip:4420@192.0.2.1>"));
            }
            let Some(answer) = memory.answer.clone() else { return };
            let cseq = memory.cseq(0, method, again);
            let request = caller_request(method, cseq, &answer, &described(again, caller_sdp()));
            let request = memory.extend(&request, again);
            world.caller_sends(&request.replace("z9hG4bKCANCEL", "z9hG4bKINVITE"));
        }
        Happening::Vendor(method, again) => {
            let cseq = memory.cseq(1, method, again);
            let content = described(!again, vendor_sdp());
            let request = vendor_request(0, method, cseq, first, "0", &content);
            let request = memory.extend(&request, again);
            world.vendor_sends(0, &request.replace("z9hG4bKvCANCEL", "z9hG4bKvINVITE"));
        }
        Happening::VendorSays(back, status, tag, yes) => {
            let Some((vendor, request)) = memory.to_vendors.iter().rev().nth(back).cloned() else {
                return;
            };
            let content = described(yes, vendor_sdp());
            let answer = match status {
                401 | 407 => {
                    let asks = format!("Digest realm=\"{tag}\", nonce=\"{back}\", stale={yes}");
                    challenge(&request, status, &[&asks])
                }
                _ => response(&request, status, &tag.to_string(), VENDORS[vendor], &content),
            };
            // Where a 3xx leads is for the vendor to say.
            let answer = answer.replace("sip:vendor@", &format!("sip:{tag}@"));
            world.vendor_sends(vendor, &memory.extend(&answer, back > 0));
        }
        Happening::CallerSays(back, status, yes) => {
            let Some(request) = memory.to_caller.iter().rev().nth(back).cloned() else { return };
            let content = described(yes, caller_sdp());
            let answer = response(&request, status, "", CALLER, &content);
            let asks = "WWW-Authenticate: Digest realm=\"c\", nonce=\"n\"\r\n";
            let answer = if status == 401 { with_lines(&answer, asks) } else { answer };
            world.caller_sends(&memory.extend(&answer, back > 0));
        }
        Happening::Commit => world.answer(Answer::Committed(Committed { call: key })),
        Happening::Wait(ms) => world.wait_ms(u64::from(ms)),
        Happening::HangUp => {
            let reason = EndReason::Operator as u32;
            world.order(Order::HangUp(link::order::HangUp { call: key, reason }));
        }
    }
}

proptest! {
    #[test]
    fn whatever_happens_in_whatever_order_a_call_ends_once_and_leaves_nothing(
        offerless: bool,
        answered: bool,
        extended: bool,
        together: bool,
        happenings in prop::collection::vec(happening(), 1..40),
    ) {
        let mut world = World::new();
        for gateway in [3, 100, 101, 102] {
            world.profile(0, |profile| (profile.gateway, profile.redirects_max) = (gateway, 3));
        }
        let offer = if offerless { String::new() } else { caller_sdp() };
        for gateway in [3, 100, 101, 102] {
            world.wants(gateway, |profile| {
                (profile.rel100, profile.session_timer) = (u8::from(extended), u8::from(extended));
            });
        }
        let call = invite(1, &offer);
        let known = "Supported: 100rel, timer\r\nContact: ";
        world.caller_sends(&if extended { call.replace("Contact: ", known) } else { call });
        let key = world.admit().call;
        world.route_with(key, &[0, 1, 2], |route| {
            for candidate in &mut route.candidates {
                candidate.group = u32::from(together);
            }
        });
        let mut memory = Memory { cseqs: [(1, 1), (0, 0)], extended, ..Memory::default() };
        memory.note(&mut world);
        let first = memory.to_vendors[0].1.clone();
        if answered {
            world.vendor_says(0, &first, 200, "0", &vendor_sdp());
            world.answer(Answer::Committed(Committed { call: key }));
        }
        for what in happenings {
            memory.note(&mut world);
            happens(&mut world, &mut memory, key, &first, what);
        }
        world.order(Order::HangUp(link::order::HangUp { call: key, reason: 17 }));
        world.wait_ms(100_000);
        let record = world.ended(key);
        prop_assert!(record.ended_ms != NEVER && record.end_reason() != EndReason::None);
        prop_assert!(record.attempts().iter().all(|attempt| attempt.ended_ms != NEVER));
        world.settles();
    }

    #[test]
    fn a_message_with_any_byte_changed_never_panics(at in 0_usize..900, byte: u8, which in 0_usize..5) {
        let mut world = World::new();
        let (_, inner, answer) = world.talking();
        let text = match which {
            0 => invite(2, &caller_sdp()),
            1 => caller_request("INVITE", 2, &answer, &caller_sdp()),
            2 => response(&inner, 200, "v", VENDORS[0], &vendor_sdp()),
            3 => registrar::proven_register(&mut world),
            _ => caller_request("BYE", 2, &answer, ""),
        };
        let mut bytes = text.into_bytes();
        if let Some(place) = bytes.get_mut(at) {
            *place = byte & 0x7f;
        }
        let text = String::from_utf8(bytes).unwrap();
        // A changed byte makes words of parts of others, which both sides say.
        world.hiding.is_blind = true;
        match which {
            2 => world.vendor_sends(0, &text),
            _ => world.caller_sends(&text),
        }
        world.order(Order::Drain(link::order::Drain { draining: 1 }));
    }
}
