//! Who sends, and how much of what: strangers, regulars and trunks, in the running kernel by test-run.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod guard;

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::thread::sleep;
use std::time::Duration;

use etherparse::PacketBuilder;
use guard::{Guard, OWN4, OWN6, SIP, free, in_own_world, ip, now, plan, trust};
use xdp_prog::{
    Described, Limits, Maps, Meter, Ports, Protocol, Rate, Reason, Region, Regular, Standing,
    TrunkRates, Trust, attach,
};

const STRANGER: &str = "203.0.113.9";
const OPTIONS: &[u8] = b"OPTIONS sip:10.10.1.2 SIP/2.0\r\n\r\n";
const REGISTER: &[u8] = b"REGISTER sip:10.10.1.2 SIP/2.0\r\n\r\n";
const INVITE: &[u8] = b"INVITE sip:1@10.10.1.2 SIP/2.0\r\n\r\n";
const BYE: &[u8] = b"BYE sip:1@10.10.1.2 SIP/2.0\r\n\r\n";

fn udp(source: &str, from: u16, port: u16, payload: &[u8]) -> Vec<u8> {
    let builder = PacketBuilder::ethernet2([2; 6], [4; 6]);
    let mut frame = Vec::new();
    let builder = match ip(source) {
        IpAddr::V4(source) => builder.ipv4(source.octets(), [10, 10, 1, 2], 64),
        IpAddr::V6(source) => {
            let IpAddr::V6(own) = ip(OWN6) else { panic!("{OWN6}") };
            builder.ipv6(source.octets(), own.octets(), 64)
        }
    };
    builder.udp(from, port).write(&mut frame, payload).unwrap();
    frame
}

fn sip(source: &str, payload: &[u8]) -> Vec<u8> {
    udp(source, 5080, SIP, payload)
}

fn tcp(source: &str, port: u16, syn: bool) -> Vec<u8> {
    let IpAddr::V4(source) = ip(source) else { panic!("{source}") };
    let builder = PacketBuilder::ethernet2([2; 6], [4; 6])
        .ipv4(source.octets(), [10, 10, 1, 2], 64)
        .tcp(40_000, port, 1, 1_000);
    let mut frame = Vec::new();
    if syn { builder.syn() } else { builder.ack(1) }.write(&mut frame, b"").unwrap();
    frame
}

fn fragment(source: &str) -> Vec<u8> {
    let mut frame = sip(source, INVITE);
    frame[14 + 6] = 0x20;
    frame
}

fn regular(source: &str, contacts: u32) -> Regular {
    Regular { address: ip(source), contacts, not_after: now() + Duration::from_secs(600) }
}

fn limits(change: impl FnOnce(&mut Limits)) -> Limits {
    let mut limits = free();
    change(&mut limits);
    limits
}

#[test]
fn each_kind_of_request_has_a_budget_of_its_own() {
    in_own_world(|pins| {
        let (mut guard, _socket) = Guard::with_socket(&plan(pins));
        guard.maps.set_limits(&limits(|limits| limits.stranger = [guard::at_once(2); 6])).unwrap();
        let open = Ports { closed: true, tcp: BTreeSet::from([SIP]), ..Ports::default() };
        guard.maps.set_ports(&open).unwrap();
        for source in [STRANGER, "2001:db8::9"] {
            for (payload, over) in [
                (OPTIONS, Reason::DropOptionsBudget),
                (REGISTER, Reason::DropRegisterBudget),
                (INVITE, Reason::DropInviteBudget),
                (BYE, Reason::DropOtherBudget),
            ] {
                assert_eq!(guard.judge(&sip(source, payload)), Reason::WorkerSip);
                assert_eq!(guard.judge(&sip(source, payload)), Reason::WorkerSip);
                assert_eq!(guard.judge(&sip(source, payload)), over);
            }
            // What is no method of these, a keep-alive and an answer too, are of the rest.
            for rest in
                [b"\r\n\r\n".as_slice(), b"SIP/2.0 200 OK\r\n\r\n", b"Invite sip:1 SIP/2.0\r\n"]
            {
                assert_eq!(guard.judge(&sip(source, rest)), Reason::DropOtherBudget);
            }
        }
        for (frame, over) in [
            (tcp(STRANGER, SIP, true), Reason::DropSynBudget),
            (fragment(STRANGER), Reason::DropFragmentBudget),
        ] {
            assert!(!guard.judge(&frame).drops());
            assert!(!guard.judge(&frame).drops());
            assert_eq!(guard.judge(&frame), over);
        }
        assert_eq!(guard.judge(&tcp(STRANGER, SIP, false)), Reason::PassTcp, "no new connection");
        assert_eq!(
            guard.judge(&sip("203.0.113.10", INVITE)),
            Reason::WorkerSip,
            "another stranger"
        );
    });
}

#[test]
fn strangers_of_one_network_share_what_it_may_send() {
    in_own_world(|pins| {
        let (mut guard, _socket) = Guard::with_socket(&plan(pins));
        guard.maps.set_limits(&limits(|limits| limits.network = [guard::at_once(3); 6])).unwrap();
        let of = |prefix: &str, hosts: std::ops::Range<u32>| -> Vec<String> {
            hosts.map(|host| format!("{prefix}{host}")).collect()
        };
        for (inside, outside) in [
            (of("198.51.100.", 1..9), "198.51.101.1"),
            (of("2001:db8:0:7::", 1..9), "2001:db8:0:8::1"),
        ] {
            let said: Vec<Reason> =
                inside.iter().map(|source| guard.judge(&sip(source, REGISTER))).collect();
            assert_eq!(said[..3], [Reason::WorkerSip; 3]);
            assert_eq!(said[3..], [Reason::DropNetworkBudget; 5]);
            assert_eq!(guard.judge(&sip(outside, REGISTER)), Reason::WorkerSip);
        }
    });
}

#[test]
fn strangers_from_everywhere_share_what_all_of_them_may_send() {
    in_own_world(|pins| {
        let (mut guard, _socket) = Guard::with_socket(&plan(pins));
        guard.maps.set_limits(&limits(|limits| limits.crowd = [guard::at_once(3); 6])).unwrap();
        guard.maps.trust_add(&trust("192.0.2.1")).unwrap();
        guard.maps.regular_set(&regular("192.0.2.2", 1)).unwrap();
        let all: Vec<String> = (1..9).map(|network| format!("203.0.{network}.1")).collect();
        let said: Vec<Reason> =
            all.iter().map(|source| guard.judge(&sip(source, REGISTER))).collect();
        assert_eq!(said[..3], [Reason::WorkerSip; 3]);
        assert_eq!(said[3..], [Reason::DropCrowdBudget; 5]);
        let other = guard.judge(&sip("2001:db8:0:7::1", REGISTER));
        assert_eq!(other, Reason::DropCrowdBudget, "whatever the family");
        assert_eq!(guard.judge(&sip(&all[4], INVITE)), Reason::WorkerSip, "each kind by itself");
        for known in ["192.0.2.1", "192.0.2.2"] {
            assert_eq!(guard.judge(&sip(known, REGISTER)), Reason::WorkerSip, "{known}");
        }
    });
}

#[test]
fn who_goes_over_a_limit_with_silence_stays_out_until_he_was_silent() {
    in_own_world(|pins| {
        let (mut guard, _socket) = Guard::with_socket(&plan(pins));
        let silence = Duration::from_millis(300);
        let rate = Rate { count: 1000, per: Duration::from_secs(1), burst: 2, silence };
        guard.maps.set_limits(&limits(|limits| limits.stranger[2] = rate)).unwrap();
        let frame = sip(STRANGER, INVITE);
        while guard.judge(&frame) == Reason::WorkerSip {}
        // By the rate alone he would be in again after two milliseconds.
        for _ in 0..5 {
            sleep(Duration::from_millis(100));
            assert_eq!(guard.judge(&frame), Reason::DropInviteBudget, "each knock renews it");
        }
        sleep(silence + Duration::from_millis(50));
        assert_eq!(guard.judge(&frame), Reason::WorkerSip);
        assert_eq!(guard.judge(&frame), Reason::WorkerSip, "with the whole burst");
    });
}

#[test]
fn three_hundred_phones_behind_one_address_come_back_at_once() {
    in_own_world(|pins| {
        let (mut guard, _socket) = Guard::with_socket(&plan(pins));
        guard.maps.set_limits(&Limits::default()).unwrap();
        guard.maps.regular_set(&regular(STRANGER, 300)).unwrap();
        let began = now();
        for phone in 0..300 {
            // Without and with an answer to the challenge, from its own port.
            for _ in 0..2 {
                let frame = udp(STRANGER, 10_000 + phone, SIP, REGISTER);
                assert_eq!(guard.judge(&frame), Reason::WorkerSip, "phone {phone}");
            }
        }
        let count = guard.maps.counter(Reason::WorkerSip, Standing::Regular).unwrap();
        assert_eq!(count.packets, 600);
        // It is a limit all the same: four a minute for each.
        let storm = (0..1_300).map(|_| guard.judge(&sip(STRANGER, REGISTER)));
        let more = storm.filter(|&reason| reason == Reason::WorkerSip).count() as u64;
        let renewed = (now() - began).as_secs() * 20 + 20;
        assert!((600..=600 + renewed).contains(&more), "{more}, {renewed} of them renewed");
        // No longer a regular: a stranger like others.
        assert!(guard.maps.regular_remove(ip(STRANGER)).unwrap());
        while guard.judge(&sip(STRANGER, OPTIONS)) == Reason::WorkerSip {}
        assert_eq!(guard.judge(&sip(STRANGER, OPTIONS)), Reason::DropOptionsBudget);
    });
}

#[test]
fn a_regular_is_one_until_his_time_is_over() {
    in_own_world(|pins| {
        let (mut guard, _socket) = Guard::with_socket(&plan(pins));
        guard.limit(Meter::Invite, 1, 1);
        let mut ended = regular(STRANGER, 1);
        ended.not_after = Duration::from_secs(1);
        guard.maps.regular_replace_all([ended, regular("203.0.113.10", 1)]).unwrap();
        assert_eq!(guard.judge(&sip(STRANGER, INVITE)), Reason::WorkerSip);
        assert_eq!(guard.judge(&sip(STRANGER, INVITE)), Reason::DropInviteBudget);
        for _ in 0..90 {
            assert_eq!(guard.judge(&sip("203.0.113.10", INVITE)), Reason::WorkerSip);
        }
    });
}

#[test]
fn the_twentieth_request_of_any_kind_is_one_too_many() {
    in_own_world(|pins| {
        let (mut guard, _socket) = Guard::with_socket(&plan(pins));
        let any = "20/60s burst 19 silence 60s".parse().unwrap();
        guard.maps.set_limits(&limits(|limits| limits.any = any)).unwrap();
        guard.maps.regular_set(&regular("192.0.2.2", 1)).unwrap();
        let kinds = [OPTIONS, REGISTER, INVITE, BYE, b"SIP/2.0 200 OK\r\n\r\n"];
        for source in [STRANGER, "2001:db8::9"] {
            for count in 0..19 {
                let frame = sip(source, kinds[count % kinds.len()]);
                assert_eq!(guard.judge(&frame), Reason::WorkerSip, "{count}");
            }
            for payload in kinds {
                assert_eq!(guard.judge(&sip(source, payload)), Reason::DropAnyBudget);
            }
            assert_eq!(guard.judge(&fragment(STRANGER)), Reason::PassFragment, "no SIP yet");
        }
        for count in 0..40 {
            let frame = sip("192.0.2.2", kinds[count % kinds.len()]);
            assert_eq!(guard.judge(&frame), Reason::WorkerSip, "of strangers alone");
        }
        assert_eq!(guard.judge(&sip("203.0.113.10", OPTIONS)), Reason::WorkerSip, "another one");
        let explained = guard.maps.explain(&Described {
            source: ip(STRANGER),
            destination: ip(OWN4),
            protocol: Protocol::Udp { source_port: 5080, port: SIP },
            payload: OPTIONS.to_vec(),
            vlans: vec![],
            interface: None,
            queue: 0,
        });
        let explained = explained.unwrap();
        assert_eq!(
            (explained.reason, explained.to_string().as_str()),
            (Reason::DropAnyBudget, "drop: drop_any_budget by limit any 1/3s burst 19 silence 60s")
        );
    });
}

#[test]
fn what_another_budget_refuses_counts_for_all_and_silence_frees() {
    in_own_world(|pins| {
        let (mut guard, _socket) = Guard::with_socket(&plan(pins));
        let any = Rate { silence: Duration::from_millis(600), ..Rate::per_second(1_000, 3) };
        guard
            .maps
            .set_limits(&limits(|limits| {
                // Slow enough that none comes back within this test.
                limits.any = Rate { count: 1, per: Duration::from_secs(60), ..any };
                limits.stranger[Meter::Options as usize] = Rate::NEVER;
            }))
            .unwrap();
        for _ in 0..3 {
            assert_eq!(guard.judge(&sip(STRANGER, OPTIONS)), Reason::DropOptionsBudget);
        }
        // Who keeps on knocking, more often than he would have to be silent, stays out.
        for _ in 0..4 {
            assert_eq!(guard.judge(&sip(STRANGER, INVITE)), Reason::DropAnyBudget);
            sleep(Duration::from_millis(250));
        }
        sleep(Duration::from_millis(500));
        assert_eq!(guard.judge(&sip(STRANGER, INVITE)), Reason::WorkerSip, "he was silent");
    });
}

#[test]
fn a_flood_in_one_trunks_name_is_dropped_for_that_trunk_alone() {
    in_own_world(|pins| {
        let (mut guard, _socket) = Guard::with_socket(&plan(pins));
        guard.maps.set_limits(&Limits::default()).unwrap();
        let rates =
            TrunkRates { invites: guard::at_once(20), rest: Rate::per_second(2_000, 2_000) };
        for (number, prefix) in [(1, "198.51.100.0/28"), (2, "198.51.100.16/28")] {
            guard.maps.set_trunk(number, &rates).unwrap();
            guard
                .maps
                .trust_add(&Trust { prefix: prefix.parse().unwrap(), trunk: number, admin: false })
                .unwrap();
        }
        let flood = (0..200)
            .map(|host| guard.judge(&sip(&format!("198.51.100.{}", host % 14 + 1), INVITE)));
        let said: Vec<Reason> = flood.collect();
        assert_eq!(said[..20], [Reason::WorkerSip; 20]);
        assert!(
            said[100..].iter().filter(|&&reason| reason == Reason::DropInviteBudget).count() > 90
        );
        // Calls that run go on: their requests, and INVITEs within them, are of the rest.
        let within = b"INVITE sip:1@10.10.1.2 SIP/2.0\r\nVia: SIP/2.0/UDP a\r\nt :\r\n <sip:2@b>;TAG=x\r\n\r\n";
        let named =
            b"INVITE sip:1@10.10.1.2 SIP/2.0\r\nTo: \"; tag <\" <sip:2@b;tag=>;tag=x\r\n\r\n";
        for payload in [BYE, within, named, b"SIP/2.0 200 OK\r\nCSeq: 1 INVITE\r\n\r\n"] {
            for _ in 0..20 {
                assert_eq!(guard.judge(&sip("198.51.100.1", payload)), Reason::WorkerSip);
            }
        }
        // Only a To has a tag of ours: others are new calls.
        for new in [
            b"INVITE sip:1@10.10.1.2 SIP/2.0\r\nFrom: <sip:2@b>;tag=x\r\nTo: <sip:1@b>\r\n\r\n"
                .as_slice(),
            b"INVITE sip:1@10.10.1.2 SIP/2.0\r\nTotal: <sip:2@b>;tag=x\r\n\r\n",
            b"INVITE sip:1@10.10.1.2 SIP/2.0\r\n\r\nTo: <sip:2@b>;tag=x\r\n\r\n",
            b"INVITE sip:1@10.10.1.2 SIP/2.0\r\nTo: \";tag=x\" <sip:2@b>\r\n\r\n",
            b"INVITE sip:1@10.10.1.2 SIP/2.0\r\nTo: \"a\\\";tag=x\" <sip:2@b>\r\n\r\n",
            b"INVITE sip:1@10.10.1.2 SIP/2.0\r\nTo: <sip:2@b;tag=x>\r\n\r\n",
        ] {
            assert_eq!(guard.judge(&sip("198.51.100.1", new)), Reason::DropInviteBudget);
        }
        for _ in 0..20 {
            assert_eq!(
                guard.judge(&sip("198.51.100.17", INVITE)),
                Reason::WorkerSip,
                "the other trunk"
            );
        }
    });
}

#[test]
fn a_network_without_a_trunk_of_its_own_has_that_of_the_nearest_around_it() {
    in_own_world(|pins| {
        let (mut guard, _socket) = Guard::with_socket(&plan(pins));
        let rates = TrunkRates { invites: guard::at_once(1), rest: Rate::NONE };
        guard.maps.set_trunk(7, &rates).unwrap();
        let around = Trust { prefix: "198.51.100.0/24".parse().unwrap(), trunk: 7, admin: true };
        guard.maps.trust_replace_all([trust("198.51.100.8/31"), around]).unwrap();
        assert_eq!(guard.judge(&sip("198.51.100.8", INVITE)), Reason::WorkerSip);
        assert_eq!(guard.judge(&sip("198.51.100.9", INVITE)), Reason::DropInviteBudget);
        guard.maps.trust_remove(around.prefix).unwrap();
        assert_eq!(
            guard.judge(&sip("198.51.100.9", INVITE)),
            Reason::WorkerSip,
            "no trunk, no limit"
        );
    });
}

#[test]
fn a_scanner_is_known_by_the_first_word_of_its_agent_and_by_nothing_else() {
    in_own_world(|pins| {
        let (mut guard, _socket) = Guard::with_socket(&plan(pins));
        let names = ["friendly-scanner", "VaxSIPUserAgent", "sipvicious", "SIPScan", "sipcli"];
        assert_eq!(guard.maps.signature_replace_all(names).unwrap().written, 5);
        let with = |header: &str| {
            format!("OPTIONS sip:1@a SIP/2.0\r\nVia: SIP/2.0/UDP b\r\n{header}\r\n\r\n")
        };
        for name in names {
            for header in [
                format!("User-Agent: {name}"),
                format!("USER-AGENT:{name}/1.0 (x)"),
                format!("user-agent \t: \r\n {}", name.to_uppercase()),
                format!("Server: {name}\r\nTo: <sip:a>"),
                format!("X: {}\r\nServer: {name} 2", "y".repeat(900)),
            ] {
                let frame = sip(STRANGER, with(&header).as_bytes());
                assert_eq!(guard.judge(&frame), Reason::DropSignature, "{header}");
            }
        }
        assert_eq!(guard.maps.signature_hits("SipVicious").unwrap(), 5);
        for header in [
            "User-Agent: Yealink SIP-T46S sipvicious",
            "User-Agent: friendly-scannerx",
            "User-Agent:",
            "User-Agen: sipcli",
            "User-Agentx: sipcli",
            "X-User-Agent: sipcli",
            "Subject: sipcli",
            "Content-Length: 9\r\n\r\nUser-Agent: sipcli",
            "X: \"User-Agent: sipcli\"",
        ] {
            let frame = sip(STRANGER, with(header).as_bytes());
            assert_eq!(guard.judge(&frame), Reason::WorkerSip, "{header}");
        }
        let sipcli = sip(STRANGER, with("User-Agent: sipcli").as_bytes());
        guard.maps.regular_set(&regular(STRANGER, 1)).unwrap();
        assert_eq!(guard.judge(&sipcli), Reason::WorkerSip, "a regular is no scanner");
        guard.maps.regular_remove(ip(STRANGER)).unwrap();
        guard.maps.trust_add(&trust(STRANGER)).unwrap();
        assert_eq!(guard.judge(&sipcli), Reason::WorkerSip, "nor is whom the operator trusts");
        guard.maps.trust_remove(trust(STRANGER).prefix).unwrap();
        guard.maps.signature_replace_all([]).unwrap();
        assert_eq!(guard.judge(&sipcli), Reason::WorkerSip, "no list, no scanner");
    });
}

#[test]
fn a_stranger_and_his_network_have_so_many_flows_at_a_time() {
    in_own_world(|pins| {
        let (mut guard, _socket) = Guard::with_socket(&plan(pins));
        let set = |guard: &mut Guard, flows, network_flows, idle: u64| {
            let flow_idle = Duration::from_secs(idle);
            let wanted = Limits { flows, network_flows, flow_idle, ..free() };
            guard.maps.set_limits(&wanted).unwrap();
        };
        set(&mut guard, 10, 0, 60);
        let from = |guard: &Guard, source: &str, port| guard.judge(&udp(source, port, SIP, BYE));
        for port in 1..=10 {
            assert_eq!(from(&guard, STRANGER, port), Reason::WorkerSip);
        }
        assert_eq!(from(&guard, STRANGER, 11), Reason::DropFlows);
        assert_eq!(from(&guard, STRANGER, 3), Reason::WorkerSip, "those that live go on");
        assert_eq!(from(&guard, "203.0.113.10", 11), Reason::WorkerSip);
        guard.maps.regular_set(&regular(STRANGER, 1)).unwrap();
        assert_eq!(from(&guard, STRANGER, 11), Reason::WorkerSip, "a regular is judged by budgets");
        guard.maps.regular_remove(ip(STRANGER)).unwrap();

        set(&mut guard, 10, 0, 1);
        sleep(Duration::from_millis(2_100));
        assert_eq!(from(&guard, STRANGER, 11), Reason::WorkerSip, "the others are over");

        set(&mut guard, 0, 30, 60);
        for host in 1..=30 {
            assert_eq!(from(&guard, &format!("198.51.100.{host}"), 5060), Reason::WorkerSip);
        }
        assert_eq!(from(&guard, "198.51.100.31", 5060), Reason::DropNetworkFlows);
        assert_eq!(from(&guard, "198.51.101.31", 5060), Reason::WorkerSip);
        for host in 1..=30 {
            assert_eq!(from(&guard, &format!("2001:db8:1:1::{host}"), 5060), Reason::WorkerSip);
        }
        assert_eq!(from(&guard, "2001:db8:1:1::31", 5060), Reason::DropNetworkFlows);
    });
}

#[test]
fn a_million_invented_strangers_displace_nobody_who_is_known() {
    in_own_world(|pins| {
        let (mut guard, _socket) = Guard::with_socket(&plan(pins));
        guard
            .maps
            .set_limits(&limits(|limits| {
                limits.stranger = [guard::at_once(1); 6];
                limits.regular_least = 10;
            }))
            .unwrap();
        guard.maps.regular_set(&regular(STRANGER, 1)).unwrap();
        let rates = TrunkRates { invites: guard::at_once(10), rest: Rate::NONE };
        guard.maps.set_trunk(1, &rates).unwrap();
        let trunk = Trust { prefix: "198.51.100.1".parse().unwrap(), trunk: 1, admin: false };
        guard.maps.trust_add(&trunk).unwrap();
        let spend = |guard: &Guard, source: &str| {
            (0..6).filter(|_| guard.judge(&sip(source, INVITE)) == Reason::WorkerSip).count()
        };
        assert_eq!((spend(&guard, STRANGER), spend(&guard, "198.51.100.1")), (6, 6));
        // Many times the places of the caches; in a test-run a million takes a while longer.
        let mut crowd = sip("100.64.0.1", INVITE);
        for number in 0..20_000u32 {
            crowd[14 + 12..14 + 16].copy_from_slice(&(0x6440_0000 + number).to_be_bytes());
            guard.tester.run(&crowd, None, 1).unwrap();
        }
        // What they spent is remembered to the last: four of ten are left.
        assert_eq!((spend(&guard, STRANGER), spend(&guard, "198.51.100.1")), (4, 4));
    });
}

#[test]
fn only_what_we_serve_is_open_and_administration_to_administrators_alone() {
    in_own_world(|pins| {
        let (mut guard, _socket) = Guard::with_socket(&plan(pins));
        let ports = Ports {
            closed: true,
            tcp: BTreeSet::from([SIP, 5061]),
            udp: BTreeSet::from([4500]),
            admin: BTreeSet::from([22, 443]),
            local: (32_768, 60_999),
        };
        let asked = |guard: &Guard, port, syn| guard.judge(&tcp(STRANGER, port, syn));
        assert_eq!(asked(&guard, 3306, true), Reason::PassTcp, "open until it is said");
        guard.maps.set_ports(&ports).unwrap();
        assert_eq!(asked(&guard, SIP, true), Reason::PassTcp);
        assert_eq!(
            asked(&guard, 22, true),
            Reason::PassTcp,
            "nobody is named, so nobody is locked out"
        );
        for (port, syn) in [(3306, true), (3306, false), (40_000, true)] {
            assert_eq!(asked(&guard, port, syn), Reason::DropPort, "{port}");
        }
        assert_eq!(
            asked(&guard, 40_000, false),
            Reason::PassTcp,
            "an answer to a connection of ours"
        );
        for (port, said) in
            [(4500, Reason::PassPort), (53, Reason::DropPort), (40_000, Reason::PassPort)]
        {
            assert_eq!(guard.judge(&udp(STRANGER, 53, port, b"?")), said, "{port}");
        }
        let admin = |text: &str| Trust { prefix: text.parse().unwrap(), trunk: 0, admin: true };
        guard.maps.trust_replace_all([admin("198.51.100.0/24"), trust("192.0.2.1")]).unwrap();
        for (source, said) in [
            (STRANGER, Reason::DropAdminPort),
            ("192.0.2.1", Reason::DropAdminPort),
            ("198.51.100.7", Reason::PassTcp),
        ] {
            for syn in [true, false] {
                assert_eq!(guard.judge(&tcp(source, 22, syn)), said, "{source}");
            }
        }
        guard.maps.set_ports(&Ports::default()).unwrap();
        assert_eq!(asked(&guard, 3306, true), Reason::PassTcp);
    });
}

#[test]
fn a_region_is_forbidden_or_the_only_one_allowed() {
    in_own_world(|pins| {
        let (mut guard, _socket) = Guard::with_socket(&plan(pins));
        let region =
            |text: &str, forbid, allow| Region { prefix: text.parse().unwrap(), forbid, allow };
        let said = |guard: &Guard, source: &str| guard.judge(&sip(source, INVITE));
        guard
            .maps
            .geo_replace_all([
                region("203.0.113.0/25", true, false),
                region("2001:db8::/32", true, false),
            ])
            .unwrap();
        for (source, dropped) in [
            ("203.0.113.127", true),
            ("203.0.113.128", false),
            ("2001:db8::1", true),
            ("2001:db9::1", false),
        ] {
            assert_eq!(said(&guard, source) == Reason::DropGeo, dropped, "{source}");
        }
        assert_eq!(guard.maps.geo_hits("203.0.113.0/25".parse().unwrap()).unwrap(), 1);
        let allowed = [
            region("203.0.113.0/24", false, true),
            region("203.0.113.0/28", true, false),
            region("203.0.113.0/30", false, true),
        ];
        guard.maps.geo_replace_all(allowed).unwrap();
        for (source, dropped) in [
            ("203.0.113.99", false),
            ("203.0.113.9", true),
            ("203.0.113.1", true),
            ("198.51.100.1", true),
            ("2001:db8::1", true),
        ] {
            assert_eq!(said(&guard, source) == Reason::DropGeo, dropped, "{source}");
        }
        guard.maps.trust_add(&trust("198.51.100.1")).unwrap();
        assert_eq!(said(&guard, "198.51.100.1"), Reason::WorkerSip, "trust is beyond regions");
        guard.maps.geo_replace_all([]).unwrap();
        assert_eq!(said(&guard, "2001:db8::1"), Reason::WorkerSip);
    });
}

#[test]
fn in_monitor_mode_what_would_be_dropped_is_counted_and_let_in() {
    in_own_world(|pins| {
        let (mut guard, _socket) = Guard::with_socket(&plan(pins));
        guard
            .maps
            .deny_add(&xdp_prog::Deny { prefix: "198.51.100.1".parse().unwrap(), not_after: None })
            .unwrap();
        guard
            .maps
            .set_limits(&limits(|limits| {
                limits.stranger[0] = guard::at_once(1);
                limits.monitor = true;
            }))
            .unwrap();
        let packets = |maps: &Maps, reason: Reason| maps.spared().unwrap()[reason as usize].packets;
        for _ in 0..3 {
            assert_eq!(guard.judge(&sip(STRANGER, OPTIONS)), Reason::WorkerSip);
            assert_eq!(guard.judge(&sip("198.51.100.1", INVITE)), Reason::WorkerSip);
        }
        assert_eq!(packets(&guard.maps, Reason::DropOptionsBudget), 2);
        assert_eq!(packets(&guard.maps, Reason::DropDenyAddress), 3);
        let described = Described {
            source: ip("198.51.100.1"),
            destination: ip(OWN4),
            protocol: Protocol::Udp { source_port: 5080, port: SIP },
            payload: INVITE.to_vec(),
            vlans: vec![],
            interface: None,
            queue: 0,
        };
        let said = guard.maps.explain(&described).unwrap();
        assert_eq!((said.reason, said.spared), (Reason::WorkerSip, Some(Reason::DropDenyAddress)));
        assert_eq!(guard.judge(&sip(STRANGER, b"?")), Reason::WorkerSip);
        assert_eq!(
            guard.judge(&sip(STRANGER, b"?????")),
            Reason::DropSipStartLine,
            "no rule of anybody"
        );
    });
}

#[test]
fn what_is_dropped_leaves_a_trace_of_who_it_was() {
    in_own_world(|pins| {
        let (mut guard, _socket) = Guard::with_socket(&plan(pins));
        guard.limit(Meter::Options, 1, 2);
        let denied: xdp_prog::Prefix = "198.51.100.1".parse().unwrap();
        guard.maps.deny_add(&xdp_prog::Deny { prefix: denied, not_after: None }).unwrap();
        for _ in 0..7 {
            guard.judge(&sip(STRANGER, OPTIONS));
            guard.judge(&sip("198.51.100.1", OPTIONS));
        }
        guard.judge(&sip(STRANGER, INVITE));
        let talkers = guard.maps.talkers().unwrap();
        assert_eq!(talkers.len(), 1, "{talkers:?}");
        let talker = talkers[0];
        assert_eq!(talker.source, ip(STRANGER));
        assert_eq!((talker.packets, talker.dropped, talker.options), (8, 5, 7));
        assert_eq!(talker.reason, Reason::WorkerSip);
        assert_eq!(guard.maps.deny_hits(denied).unwrap(), 7);
        let strangers = guard.maps.counter(Reason::DropOptionsBudget, Standing::Stranger).unwrap();
        assert_eq!(strangers.packets, 5);
    });
}

#[test]
fn whom_nobody_listens_to_is_no_talker() {
    in_own_world(|pins| {
        let guard = Guard::new(&plan(pins));
        assert_eq!(guard.judge(&sip(STRANGER, INVITE)), Reason::DropNoSocket);
        assert_eq!(guard.judge(&udp(STRANGER, 5080, guard::MEDIA.0, b"")), Reason::DropNoSocket);
        assert_eq!(guard.maps.talkers().unwrap(), []);
    });
}

#[test]
fn a_new_guard_has_limits_and_what_is_set_outlives_the_process() {
    in_own_world(|pins| {
        let plan = plan(pins);
        let attached = attach(&plan).unwrap();
        let socket = guard::Socket::new();
        attached.set_socket(0, 0, std::os::fd::AsFd::as_fd(&socket.0)).unwrap();
        let options = |tester: &xdp_prog::Tester| {
            (0..100)
                .filter(|_| tester.run(&sip(STRANGER, OPTIONS), None, 1).unwrap().action == 4)
                .count()
        };
        let tester = xdp_prog::Tester::open(pins).unwrap();
        let mut maps = Maps::open(pins).unwrap();
        maps.admit().unwrap();
        assert!((20..40).contains(&options(&tester)), "by default 10/s burst 20");
        maps.set_limits(&limits(|limits| limits.stranger[0] = Rate::per_second(1, 60))).unwrap();
        drop((attached, maps, tester));
        attach(&plan).unwrap();
        assert!((35..70).contains(&options(&xdp_prog::Tester::open(pins).unwrap())));
    });
}
