//! The driver's program and its twin in Rust say the same about the same datagram.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod guard;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use guard::{Guard, OWN4, OWN6, SIP, in_own_world, ip, now, plan};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use xdp_prog::{
    Deny, Described, Meter, Prefix, Protocol, Rate, Reason, Region, Regular, TrunkRates, Trust,
    Twin,
};

/// Sources of one round: some hundred, so that rules meet them.
fn source(dice: &mut StdRng, round: u8) -> IpAddr {
    let (net, host) = (dice.random_range(0..3), dice.random_range(1..20));
    if dice.random() {
        Ipv4Addr::new(100, round, net, host).into()
    } else {
        Ipv6Addr::new(0x2001, 0xdb8, round.into(), net.into(), 0, 0, 0, host.into()).into()
    }
}

/// The address itself, or now and then a network around it.
fn around(dice: &mut StdRng, address: IpAddr) -> Prefix {
    if dice.random_bool(0.95) {
        return Prefix::host(address);
    }
    let bits = match address {
        IpAddr::V4(_) => [31, 28, 24, 22][dice.random_range(0..4)],
        IpAddr::V6(_) => [127, 120, 64, 48][dice.random_range(0..4)],
    };
    let mask = |bits_max: u32| u128::MAX.checked_shl(bits_max - u32::from(bits)).unwrap_or(0);
    let network = match address {
        IpAddr::V4(v4) => Ipv4Addr::from_bits(v4.to_bits() & mask(32) as u32).into(),
        IpAddr::V6(v6) => Ipv6Addr::from_bits(v6.to_bits() & mask(128)).into(),
    };
    Prefix::new(network, bits).unwrap()
}

/// A tag of a running call: `tests/calls.rs` has how it is made.
const CALL: [&[u8]; 3] = [
    b"\r\nTo: <sip:a>;tag=00000000000000052b49cbf4d9b2efef",
    b"\r\nt:\r\n <sip:a>\r\n ; Tag =00000000000000052b49cbf4d9b2efef",
    b"\r\nf: a;tag=00000000000000052b49cbf4d9b2efef",
];
const KEY: [u8; 16] = [2; 16];
const SLOT: u32 = 0x3e;
const GENERATION: u32 = 0xdead_beef;

/// Mostly OPTIONS, or nearly so.
fn payload(dice: &mut StdRng) -> Vec<u8> {
    let line_ends = b"\r\n".repeat(dice.random_range(0..10));
    let lines: [&[u8]; 10] = [
        b"SIP/2.0 200 OK",
        b"OPTIONS sip:a SIP/2.0",
        b"OPTIONS ",
        b"OPTIONS",
        b"INVITE sip:a SIP/2.0",
        b"REGISTER sip:a SIP/2.0",
        b"options ",
        b"BYE/ sip:a",
        b"\x00\x01\x00\x58\x21",
        b"",
    ];
    let mut message = [line_ends, lines[dice.random_range(0..lines.len())].to_vec()].concat();
    // Headers whole, cut, and nearly so.
    let headers: [&[u8]; 16] = [
        CALL[0],
        CALL[1],
        CALL[2],
        b"\r\nTo: <sip:a>;tag=00000000000000052b49cbf4d9b2efee",
        b"\r\nUser-Agent: sipcli/1.0",
        b"\r\nsErver :\r\n sipcli",
        b"\r\nUser-Agent: other",
        b"\r\nUser-Agent",
        b"\r\nTo: <sip:a>;tag=1",
        b"\nt\t:a;TAG=",
        b"\r\nTo: <sip:a>",
        b"\r\nTo: \"\\\";tag=1\" <sip:a;tag=2>",
        b"\r\nTo: \";tag=1\" <sip:a;tag=2>;tag=3",
        b"\r\nTotal: ;tag=1",
        b"\r\n\r\n",
        b"\r\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1",
    ];
    for _ in 0..dice.random_range(0..6) {
        message.extend(headers[dice.random_range(0..headers.len())]);
    }
    message.truncate(message.len() - dice.random_range(0..=message.len().min(4)));
    message
}

fn described(source: IpAddr, payload: &[u8]) -> Described {
    Described {
        source,
        destination: ip(if source.is_ipv4() { OWN4 } else { OWN6 }),
        protocol: Protocol::Udp { source_port: 5080, port: SIP },
        payload: payload.to_vec(),
        vlans: vec![],
        interface: None,
        queue: 0,
    }
}

#[test]
fn the_twin_says_of_any_sip_datagram_what_the_program_says() {
    // So few budgets that they are given up for others.
    agree(16, Rate::NONE, Reason::DropOtherBudget);
}

#[test]
fn the_twin_says_so_too_where_all_of_a_strangers_sip_is_counted() {
    // So many that none is: an explanation does not see what the first budget of a message displaces.
    let any = Rate { silence: Duration::from_secs(600), ..Rate::per_second(1, 4) };
    agree(65_536, any, Reason::DropAnyBudget);
}

fn agree(strangers: u32, any: Rate, other: Reason) {
    in_own_world(move |pins| {
        const ROUNDS: u8 = 60;
        const DENIED: u32 = 16;
        let mut plan = plan(pins);
        plan.capacities.deny_addresses = DENIED;
        plan.capacities.strangers = strangers;
        plan.capacities.calls = SLOT + 1;
        let (mut guard, _socket) = Guard::with_socket(&plan);
        let mut limits = guard::free();
        limits.stranger = [guard::at_once(1); Meter::ALL.len()];
        limits.network = [guard::at_once(3); Meter::ALL.len()];
        limits.crowd[Meter::Options as usize] = guard::at_once(20);
        limits.any = any;
        limits.regular_least = 2;
        limits.call = guard::at_once(200);
        guard.maps.set_limits(&limits).unwrap();
        guard.maps.signature_replace_all(["sipcli"]).unwrap();
        let rates = TrunkRates { invites: guard::at_once(1), rest: guard::at_once(2) };
        guard.maps.set_trunk(3, &rates).unwrap();
        guard.attached.set_tags(&KEY, 1).unwrap();
        let mut roster = guard.attached.roster(0, 1).unwrap();
        roster.enter(SLOT, GENERATION).unwrap();
        let twin = Twin::open(pins).unwrap();
        let mut dice = StdRng::seed_from_u64(0x7117);
        let mut met = std::collections::HashMap::<Reason, u32>::new();
        for round in 0..ROUNDS {
            let ends = [None, Some(now() + Duration::from_secs(600)), Some(Duration::from_secs(1))];
            let mut rules = Vec::new();
            for _ in 0..DENIED {
                let address = source(&mut dice, round);
                let prefix = around(&mut dice, address);
                rules.push(Deny { prefix, not_after: ends[dice.random_range(0..3)] });
            }
            guard.maps.deny_replace_all(rules).unwrap();
            let trusted = source(&mut dice, round);
            let prefix = around(&mut dice, trusted);
            let trunk = 3 * u16::from(round % 2);
            guard.maps.trust_replace_all([Trust { prefix, trunk, admin: false }]).unwrap();
            let mut regions = Vec::new();
            for _ in 0..dice.random_range(0..3) {
                let address = source(&mut dice, round);
                let prefix = around(&mut dice, address);
                let allow = round % 8 == 0;
                regions.push(Region { prefix, forbid: !allow, allow });
            }
            guard.maps.geo_replace_all(regions).unwrap();
            let regulars = (0..DENIED / 4).map(|number| {
                let not_after = ends[number as usize % 2 + 1].unwrap();
                Regular { address: source(&mut dice, round), contacts: number % 2, not_after }
            });
            guard.maps.regular_replace_all(regulars.collect::<Vec<_>>()).unwrap();
            for _ in 0..1_000 {
                let source = source(&mut dice, round);
                let payload = payload(&mut dice);
                let packet = described(source, &payload);
                let wanted = guard.maps.explain(&packet).unwrap();
                let said = twin.judge(now(), source, &payload).unwrap();
                assert_eq!(said, wanted.reason, "{source} {payload:?}: {wanted}");
                *met.entry(said).or_default() += 1;
            }
        }
        use Reason::*;
        for reason in [
            WorkerSip,
            WorkerCall,
            DropDenyAddress,
            DropDenyPrefix,
            DropGeo,
            DropSipStartLine,
            DropSignature,
            DropOptionsBudget,
            DropRegisterBudget,
            DropInviteBudget,
            other,
            DropNetworkBudget,
            DropCrowdBudget,
        ] {
            assert!(met.get(&reason).is_some_and(|&times| times > 5), "{reason:?} of {met:?}");
        }
    });
}

#[test]
fn the_twin_finds_all_that_a_full_table_holds() {
    in_own_world(|pins| {
        const DENIED: u32 = 64;
        let mut plan = plan(pins);
        plan.capacities.deny_addresses = DENIED;
        let mut guard = Guard::new(&plan);
        let twin = Twin::open(pins).unwrap();
        let mut dice = StdRng::seed_from_u64(0x7118);
        // In many of these crowds a bucket runs over into another, in some in a circle.
        for _ in 0..1_000 {
            let hosts = (0..DENIED)
                .map(|host| IpAddr::from([100, dice.random(), dice.random(), host as u8]));
            let hosts: Vec<IpAddr> = hosts.collect();
            let denies =
                hosts.iter().map(|&host| Deny { prefix: Prefix::host(host), not_after: None });
            guard.maps.deny_replace_all(denies).unwrap();
            for host in hosts {
                assert_eq!(twin.judge(now(), host, b"").unwrap(), Reason::DropDenyAddress);
            }
        }
    });
}

#[test]
fn the_twin_knows_whom_control_knows() {
    in_own_world(|pins| {
        let mut guard = Guard::new(&plan(pins));
        let twin = Twin::open(pins).unwrap();
        guard.maps.trust_replace_all([guard::trust("203.0.113.0/28")]).unwrap();
        let regular = |text: &str, not_after| Regular { address: ip(text), contacts: 1, not_after };
        let (past, future) = (Duration::from_secs(1), now() + Duration::from_secs(600));
        let regulars = [regular("203.0.113.20", future), regular("203.0.113.21", past)];
        guard.maps.regular_replace_all(regulars).unwrap();
        for (source, known) in [
            ("203.0.113.9", true),
            ("203.0.113.20", true),
            ("203.0.113.21", false),
            ("203.0.113.22", false),
            ("2001:db8::9", false),
        ] {
            assert_eq!(twin.knows(now(), ip(source)).unwrap(), known, "{source}");
        }
    });
}

#[test]
fn program_and_twin_spend_one_budget() {
    in_own_world(|pins| {
        let (mut guard, _socket) = Guard::with_socket(&plan(pins));
        guard.limit(Meter::Options, 1, 4);
        let twin = Twin::open(pins).unwrap();
        let options = b"OPTIONS sip:10.10.1.2 SIP/2.0\r\n\r\n";
        let source = ip("203.0.113.9");
        let builder = etherparse::PacketBuilder::ethernet2([2; 6], [4; 6]);
        let builder = builder.ipv4([203, 0, 113, 9], [10, 10, 1, 2], 64).udp(5080, SIP);
        let mut frame = Vec::new();
        builder.write(&mut frame, options).unwrap();
        for _ in 0..2 {
            assert_eq!(guard.judge(&frame), Reason::WorkerSip);
            assert_eq!(twin.judge(now(), source, options).unwrap(), Reason::WorkerSip);
        }
        assert_eq!(guard.judge(&frame), Reason::DropOptionsBudget);
        assert_eq!(twin.judge(now(), source, options).unwrap(), Reason::DropOptionsBudget);
    });
}
