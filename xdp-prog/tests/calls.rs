//! Messages of running calls pass where a flood in their gateway's name has spent its budget; in the running
//! kernel by test-run.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod guard;

use std::net::IpAddr;
use std::path::Path;

use etherparse::PacketBuilder;
use guard::{Guard, OWN4, OWN6, SIP, Socket, free, in_own_world, ip, now, plan};
use siphasher::sip::SipHasher24;
use xdp_prog::{Described, Limits, Protocol, Rate, Reason, Roster, TrunkRates, Trust, Twin};

/// The key of `keys.rs` of crates/b2bua in its test of the same token.
const KEY: [u8; 16] = [2; 16];
const WORKERS: u32 = 2;
const GATEWAY: &str = "198.51.100.1";
const GATEWAY6: &str = "2001:db8:1::1";
const OTHER: &str = "198.51.100.2";

/// As crates/b2bua writes it.
fn tag(slot: u32, variant: u8, generation: u32, random: u64) -> String {
    let payload = u64::from(slot) << 40 | u64::from(variant) << 32 | u64::from(generation);
    let masked = payload ^ SipHasher24::new_with_key(&KEY).hash(&random.to_le_bytes());
    format!("{random:016x}{masked:016x}")
}

fn sip(source: &str, payload: &str) -> Vec<u8> {
    let builder = PacketBuilder::ethernet2([2; 6], [4; 6]);
    let builder = match (ip(source), ip(OWN6)) {
        (IpAddr::V4(source), _) => builder.ipv4(source.octets(), [10, 10, 1, 2], 64),
        (IpAddr::V6(source), IpAddr::V6(own)) => builder.ipv6(source.octets(), own.octets(), 64),
        _ => panic!("two families"),
    };
    let mut frame = Vec::new();
    builder.udp(5080, SIP).write(&mut frame, payload.as_bytes()).unwrap();
    frame
}

fn bye(to: &str) -> String {
    format!(
        "BYE sip:1@10.10.1.2 SIP/2.0\r\nVia: SIP/2.0/UDP b;branch=z9hG4bK1\r\n\
         From: <sip:2@b>;tag=theirs\r\n{to}\r\nCall-ID: 1\r\nCSeq: 2 BYE\r\n\r\n"
    )
}

fn answer(from: &str) -> String {
    format!(
        "SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP a;branch=z9hG4bK1\r\n{from}\r\n\
         To: <sip:2@b>;tag=theirs\r\nCall-ID: 1\r\nCSeq: 2 INVITE\r\n\r\n"
    )
}

/// Two gateways whose budgets are spent, and who says which calls run.
fn flooded(pins: &Path, call: Rate) -> (Guard, Socket, [Roster; 2]) {
    let (mut guard, socket) = Guard::with_socket(&plan(pins));
    guard.maps.set_limits(&Limits { call, ..free() }).unwrap();
    let rest = Rate { count: 1, per: std::time::Duration::from_secs(600), burst: 1, ..Rate::NONE };
    let rates = TrunkRates { invites: rest, rest };
    let mut trusted = Vec::new();
    for (trunk, source) in [(1, GATEWAY), (1, GATEWAY6), (2, OTHER)] {
        guard.maps.set_trunk(trunk, &rates).unwrap();
        trusted.push(Trust { prefix: source.parse().unwrap(), trunk, admin: false });
    }
    guard.maps.trust_replace_all(trusted).unwrap();
    for source in [GATEWAY, OTHER] {
        assert_eq!(guard.judge(&sip(source, &bye("To: <sip:1@a>"))), Reason::WorkerSip);
        assert_eq!(guard.judge(&sip(source, &bye("To: <sip:1@a>"))), Reason::DropOtherBudget);
    }
    guard.attached.set_tags(&KEY, WORKERS).unwrap();
    let rosters = [0, 1].map(|worker| guard.attached.roster(worker, WORKERS).unwrap());
    (guard, socket, rosters)
}

#[test]
fn requests_and_answers_of_running_calls_pass_a_spent_budget() {
    in_own_world(|pins| {
        let (guard, _socket, [mut first, mut second]) = flooded(pins, Rate::NONE);
        first.enter(7, 0xdead_beef).unwrap();
        second.enter(7, 0x1234_5678).unwrap();
        second.enter(31, 9).unwrap();
        let callee = tag(7, 9, 0xdead_beef, u64::MAX);
        for ours in [tag(7, 0, 0xdead_beef, 5), callee, tag(7, 0, 0x1234_5678, 6), tag(31, 1, 9, 0)]
        {
            for source in [GATEWAY, GATEWAY6] {
                for header in [
                    format!("To: <sip:1@a>;tag={ours}"),
                    format!("TO : \"One\" <sip:1@a>;x=y;TAG={ours};z"),
                    format!("t:<sip:1@a>;tag={ours}"),
                    format!("T\t:\r\n <sip:1@a>\r\n\t; tag =\r\n {ours}"),
                ] {
                    let frame = sip(source, &bye(&header));
                    assert_eq!(guard.judge(&frame), Reason::WorkerCall, "{header}");
                }
                for header in [
                    format!("From: <sip:1@a>;tag={ours}"),
                    format!("f: sip:1@a;tag={ours}"),
                    format!("FROM:\r\n\t<sip:1@a>;tag={ours}"),
                ] {
                    let frame = sip(source, &answer(&header));
                    assert_eq!(guard.judge(&frame), Reason::WorkerCall, "{header}");
                }
            }
            let within = bye(&format!("To: <sip:1@a>;tag={ours}")).replacen("BYE", "INVITE", 1);
            assert_eq!(guard.judge(&sip(GATEWAY, &within)), Reason::WorkerCall, "a re-INVITE");
        }
    });
}

#[test]
fn who_knows_no_running_call_does_not_pass() {
    in_own_world(|pins| {
        let (guard, _socket, [mut first, second]) = flooded(pins, Rate::NONE);
        first.enter(7, 0xdead_beef).unwrap();
        let ours = tag(7, 0, 0xdead_beef, 5);
        let dropped = |payload: String| {
            assert_eq!(guard.judge(&sip(GATEWAY, &payload)), Reason::DropOtherBudget, "{payload}");
        };
        let to = |tag: &str| dropped(bye(&format!("To: <sip:1@a>;tag={tag}")));
        for other in [
            tag(7, 0, 0xdead_beee, 5),
            tag(8, 0, 0xdead_beef, 5),
            tag(0xff_ffff, 0, 0xdead_beef, 5),
            tag(6, 0, 0, 5),
            ours.replacen('0', "1", 1),
            ours.to_uppercase(),
            ours[1..].to_owned(),
            format!("{ours}0"),
            format!("{ours}-"),
            String::new(),
        ] {
            to(&other);
        }
        // Whose tag stands where matters, and only the head is read.
        dropped(answer(&format!("From: <sip:1@a>;tag=1\r\nTo: <sip:1@a>;tag={ours}")));
        dropped(bye(&format!("Subject: x;tag={ours}")));
        dropped(bye(&format!("To: <sip:1@a>\r\n\r\nTo: <sip:1@a>;tag={ours}")));
        let register = bye("To: <sip:1@a>").replacen("BYE", "REGISTER", 1);
        assert_eq!(guard.judge(&sip(GATEWAY, &register)), Reason::DropRegisterBudget);
        let invite = bye("To: <sip:1@a>").replacen("BYE", "INVITE", 1);
        assert_eq!(guard.judge(&sip(GATEWAY, &invite)), Reason::WorkerSip, "a new call");
        assert_eq!(guard.judge(&sip(GATEWAY, &invite)), Reason::DropInviteBudget);
        // A call that has ended, and calls of a process that is gone.
        let again = sip(GATEWAY, &bye(&format!("To: <sip:1@a>;tag={ours}")));
        assert_eq!(guard.judge(&again), Reason::WorkerCall);
        first.leave(7).unwrap();
        assert_eq!(guard.judge(&again), Reason::DropOtherBudget);
        first.enter(7, 0xdead_beef).unwrap();
        assert_eq!(guard.judge(&again), Reason::WorkerCall);
        drop((first, second));
        let guard = Guard::as_loaded(&plan(pins));
        guard.attached.set_tags(&KEY, WORKERS).unwrap();
        assert_eq!(guard.judge(&again), Reason::DropOtherBudget);
        guard.attached.roster(0, WORKERS).unwrap().enter(7, 0xdead_beef).unwrap();
        assert_eq!(guard.judge(&again), Reason::WorkerCall, "it is said again");
    });
}

#[test]
fn whoever_repeats_one_calls_tag_uses_up_that_call_alone() {
    in_own_world(|pins| {
        let rate =
            Rate { count: 1, per: std::time::Duration::from_secs(60), burst: 3, ..Rate::NONE };
        let (guard, _socket, [mut first, mut second]) = flooded(pins, rate);
        first.enter(1, 5).unwrap();
        second.enter(1, 6).unwrap();
        let of = |generation| bye(&format!("To: <sip:1@a>;tag={}", tag(1, 0, generation, 7)));
        let seen: Vec<Reason> = (0..20).map(|_| guard.judge(&sip(GATEWAY, &of(5)))).collect();
        assert_eq!(seen[..3], [Reason::WorkerCall; 3]);
        assert_eq!(seen[3..], [Reason::DropOtherBudget; 17]);
        // In whosever name, and whatever else he writes.
        assert_eq!(guard.judge(&sip(OTHER, &of(5))), Reason::DropOtherBudget);
        for _ in 0..3 {
            assert_eq!(guard.judge(&sip(GATEWAY, &of(6))), Reason::WorkerCall, "another call");
        }
    });
}

#[test]
fn program_and_twin_let_in_the_same_messages_of_calls() {
    in_own_world(|pins| {
        let (guard, _socket, [mut first, _second]) = flooded(pins, Rate::NONE);
        let twin = Twin::open(pins).unwrap();
        first.enter(3, 77).unwrap();
        let ours = tag(3, 0, 77, 5);
        let whole = bye(&format!("t: <sip:1@a>;x=y\r\n ; tag={ours}"));
        let messages = (0..whole.len()).flat_map(|at| {
            let mut changed = whole.clone().into_bytes();
            changed[at] = changed[at].wrapping_add(1) & 0x7f;
            [whole.as_bytes()[..at].to_vec(), changed]
        });
        let mut passed = 0;
        for payload in messages.chain([whole.clone().into_bytes()]) {
            let described = Described {
                source: ip(GATEWAY),
                destination: ip(OWN4),
                protocol: Protocol::Udp { source_port: 5080, port: SIP },
                payload: payload.clone(),
                vlans: vec![],
                interface: None,
                queue: 0,
            };
            let wanted = guard.maps.explain(&described).unwrap().reason;
            let said = twin.judge(now(), ip(GATEWAY), &payload).unwrap();
            assert_eq!(said, wanted, "{}", String::from_utf8_lossy(&payload));
            passed += u32::from(said == Reason::WorkerCall);
        }
        assert!(passed > 100, "{passed}");
    });
}

#[test]
fn a_tag_of_the_workers_reads_as_theirs() {
    // What crates/b2bua holds to be the text of this token.
    assert_eq!(tag(0x3e, 9, 0xdead_beef, 5), "00000000000000052b49cbf4d9b2efef");
}
