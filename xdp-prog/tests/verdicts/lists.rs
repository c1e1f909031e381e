//! Who is denied, who is trusted, and for how long; and tables under churn.

use super::*;

#[test]
fn a_denied_address_is_dropped_until_it_is_removed() {
    in_own_world(|pins| {
        let (mut guard, _socket) = Guard::with_socket(&plan(pins));
        for (source, frame) in [(STRANGER4, sip4(INVITE)), (STRANGER6, sip6(INVITE))] {
            assert!(guard.maps.deny_add(&deny(source)).unwrap());
            assert!(!guard.maps.deny_add(&deny(source)).unwrap(), "denied just so");
            assert_eq!(guard.judge(&frame), Reason::DropDenyAddress);
            assert!(guard.maps.deny_remove(prefix(source)).unwrap());
            assert!(!guard.maps.deny_remove(prefix(source)).unwrap());
            assert_eq!(guard.judge(&frame), Reason::WorkerSip);
        }
        // The bytes of an IPv4 address at the head of an IPv6 one are somebody else.
        guard.maps.deny_add(&deny("203.0.113.9")).unwrap();
        assert_eq!(guard.judge(&udp("cb00:7109::", OWN6, SIP, INVITE)), Reason::WorkerSip);
    });
}

#[test]
fn deny_holds_for_every_protocol_and_for_fragments_but_not_for_neighbours() {
    in_own_world(|pins| {
        let mut guard = Guard::new(&plan(pins));
        guard.maps.deny_add(&deny("::/0")).unwrap();
        guard.maps.deny_add(&deny("203.0.112.0/20")).unwrap();
        for protocol in [1, 6, 17, 47] {
            let frame = edited(sip4(INVITE), ETHERNET + 9, &[protocol]);
            assert_eq!(guard.judge(&frame), Reason::DropDenyPrefix, "protocol {protocol}");
        }
        let fragment = edited(sip4(INVITE), ETHERNET + 6, &[0, 100]);
        assert_eq!(guard.judge(&fragment), Reason::DropDenyPrefix);
        assert_eq!(guard.judge(&sip6(INVITE)), Reason::DropDenyPrefix);
        let neighbor = edited(sip6(&[135; 24]), ETHERNET + 6, &[58, 255]);
        let neighbor = edited(neighbor, ETHERNET + 40, &[135]);
        assert_eq!(guard.judge(&neighbor), Reason::PassNeighbor);
    });
}

#[test]
fn a_prefix_ends_at_its_last_address() {
    in_own_world(|pins| {
        let mut guard = Guard::new(&plan(pins));
        let cases = [
            ("198.51.100.64/26", "198.51.100.64", "198.51.100.127", "198.51.100.128"),
            ("198.18.0.0/15", "198.18.0.0", "198.19.255.255", "198.20.0.0"),
            ("64.0.0.0/6", "64.0.0.0", "67.255.255.255", "68.0.0.0"),
            ("192.0.2.0/31", "192.0.2.0", "192.0.2.1", "192.0.2.2"),
        ];
        for (network, first, last, beyond) in cases {
            guard.maps.deny_add(&deny(network)).unwrap();
            assert_eq!(guard.judge(&udp(first, OWN4, SIP, INVITE)), Reason::DropDenyPrefix);
            assert_eq!(guard.judge(&udp(last, OWN4, SIP, INVITE)), Reason::DropDenyPrefix);
            assert_eq!(guard.judge(&udp(beyond, OWN4, SIP, INVITE)), Reason::DropNoSocket);
        }
        guard.maps.deny_add(&deny("2001:db8:1::/48")).unwrap();
        let from = |source| udp(source, OWN6, SIP, INVITE);
        assert_eq!(guard.judge(&from("2001:db8:1:ffff::1")), Reason::DropDenyPrefix);
        assert_eq!(guard.judge(&from("2001:db8:2::1")), Reason::DropNoSocket);
        // Removing a network leaves the smaller one inside it.
        guard.maps.deny_add(&deny("198.18.7.0/24")).unwrap();
        guard.maps.deny_remove(prefix("198.18.0.0/15")).unwrap();
        assert_eq!(guard.judge(&udp("198.18.7.1", OWN4, SIP, INVITE)), Reason::DropDenyPrefix);
        assert_eq!(guard.judge(&udp("198.18.8.1", OWN4, SIP, INVITE)), Reason::DropNoSocket);
    });
}

#[test]
fn all_of_a_family_can_be_denied_without_the_other() {
    in_own_world(|pins| {
        let mut guard = Guard::new(&plan(pins));
        guard.maps.deny_add(&deny("0.0.0.0/0")).unwrap();
        assert_eq!(guard.judge(&sip4(INVITE)), Reason::DropDenyPrefix);
        assert_eq!(guard.judge(&sip6(INVITE)), Reason::DropNoSocket);
        guard.maps.deny_remove(prefix("0.0.0.0/0")).unwrap();
        guard.maps.deny_add(&deny("::/0")).unwrap();
        assert_eq!(guard.judge(&sip4(INVITE)), Reason::DropNoSocket);
        assert_eq!(guard.judge(&sip6(INVITE)), Reason::DropDenyPrefix);
    });
}

#[test]
fn a_rule_ends_by_itself() {
    in_own_world(|pins| {
        let mut guard = Guard::new(&plan(pins));
        let past = Some(now() - Duration::from_secs(1));
        let soon = Some(now() + Duration::from_secs(600));
        for rule in [STRANGER4, "203.0.113.0/24"] {
            let mut rule = deny(rule);
            rule.not_after = soon;
            guard.maps.deny_add(&rule).unwrap();
            assert!(guard.judge(&sip4(INVITE)).drops());
            rule.not_after = past;
            assert!(guard.maps.deny_add(&rule).unwrap());
            assert_eq!(guard.judge(&sip4(INVITE)), Reason::DropNoSocket);
        }
        assert_eq!(guard.maps.deny_expire(now()).unwrap(), 2);
        assert_eq!(guard.maps.deny_list().unwrap(), []);
    });
}

#[test]
fn a_network_that_ended_does_not_shield_from_the_one_around_it() {
    in_own_world(|pins| {
        let mut guard = Guard::new(&plan(pins));
        let ended = Deny {
            prefix: prefix("203.0.113.0/24"),
            not_after: Some(now() - Duration::from_secs(1)),
        };
        let around = Deny {
            prefix: prefix("203.0.0.0/16"),
            not_after: Some(now() + Duration::from_secs(600)),
        };
        guard.maps.deny_add(&ended).unwrap();
        assert_eq!(guard.judge(&sip4(INVITE)), Reason::DropNoSocket);
        guard.maps.deny_add(&around).unwrap();
        assert_eq!(guard.judge(&sip4(INVITE)), Reason::DropDenyPrefix);
        let explained = guard.maps.explain(&described(STRANGER4, OWN4)).unwrap();
        assert_eq!(explained.rule, Some(Rule::Deny(around)));
        guard.maps.deny_remove(around.prefix).unwrap();
        assert_eq!(guard.judge(&sip4(INVITE)), Reason::DropNoSocket);
        // For good beats every end.
        guard.maps.deny_replace_all([ended, deny("203.0.0.0/8")]).unwrap();
        assert_eq!(guard.judge(&sip4(INVITE)), Reason::DropDenyPrefix);
    });
}

#[test]
fn trust_beats_every_deny() {
    in_own_world(|pins| {
        let mut guard = Guard::new(&plan(pins));
        for rule in [STRANGER4, "203.0.113.0/24", "0.0.0.0/0", STRANGER6, "2001:db8::/32"] {
            guard.maps.deny_add(&deny(rule)).unwrap();
        }
        for (trusted, frame) in [
            (STRANGER4, sip4(INVITE)),
            ("203.0.113.0/28", sip4(INVITE)),
            (STRANGER6, sip6(INVITE)),
            ("2001:db8::/64", sip6(INVITE)),
        ] {
            assert_eq!(guard.judge(&frame), Reason::DropDenyAddress);
            assert!(guard.maps.trust_add(&trust(trusted)).unwrap());
            assert_eq!(guard.judge(&frame), Reason::DropNoSocket, "{trusted}");
            assert_eq!(guard.maps.trust_list(), [trust(trusted)]);
            assert!(guard.maps.trust_remove(prefix(trusted)).unwrap());
        }
    });
}

#[test]
fn two_thousand_addresses_are_all_found_and_no_stranger_is() {
    in_own_world(|pins| {
        let mut guard = Guard::new(&plan(pins));
        let (capacity, _) = guard.maps.deny_capacity();
        let address =
            |number: u32| IpAddr::from(std::net::Ipv4Addr::from_bits(0x0b00_0000 + number));
        let wanted = |range: std::ops::Range<u32>| {
            range.map(|number| Deny { prefix: Prefix::host(address(number)), not_after: None })
        };
        let changed = guard.maps.deny_replace_all(wanted(0..capacity)).unwrap();
        assert_eq!((changed.written, changed.removed), (capacity as usize, 0));
        let over = Deny { prefix: Prefix::host(address(capacity)), not_after: None };
        assert!(matches!(guard.maps.deny_add(&over), Err(Error::Full { .. })));

        let frame = |number| udp(&address(number).to_string(), OWN4, SIP, INVITE);
        for number in 0..capacity {
            guard.tester.run(&frame(number), None, 1).unwrap();
            guard.tester.run(&frame(capacity + number), None, 1).unwrap();
        }
        assert_eq!(count(&guard, Reason::DropDenyAddress), u64::from(capacity));
        assert_eq!(count(&guard, Reason::DropNoSocket), u64::from(capacity));

        let changed = guard.maps.deny_replace_all(wanted(100..capacity + 50)).unwrap();
        assert_eq!((changed.written, changed.removed), (50, 100));
        assert_eq!(guard.judge(&frame(99)), Reason::DropNoSocket);
        assert_eq!(guard.judge(&frame(100)), Reason::DropDenyAddress);
        assert_eq!(guard.judge(&frame(capacity + 49)), Reason::DropDenyAddress);
        // A second reader finds what the first wrote.
        let other = xdp_prog::Maps::open(&guard.pins).unwrap();
        assert_eq!(other.deny_list().unwrap().len(), capacity as usize - 50);
    });
}

#[test]
fn a_guard_of_two_million_slots_loads_and_answers() {
    in_own_world(|pins| {
        let mut plan = plan(pins);
        plan.capacities.deny_addresses = 1_000_000;
        let guard = Guard::new(&plan);
        assert!(guard.maps.deny_capacity().0 >= 1_000_000);
        assert_eq!(guard.judge(&sip4(INVITE)), Reason::DropNoSocket);
        assert_eq!(Reason::DropNoSocket.verdict(), Verdict::Drop);
    });
}

#[test]
fn networks_that_come_and_go_one_by_one_agree_with_a_plain_list() {
    in_own_world(|pins| {
        let mut guard = Guard::new(&plan(pins));
        let mut dice = StdRng::seed_from_u64(0x18);
        let mut model = std::collections::BTreeSet::<Prefix>::new();
        // Networks from many words of the bitmap down to a part of a bit.
        let address = |dice: &mut StdRng| {
            let host = dice.random_range(0..1 << 20);
            IpAddr::from(std::net::Ipv4Addr::from_bits(0x0b00_0000 + host))
        };
        for step in 0..3_000 {
            if model.len() < 20 && (model.is_empty() || dice.random_bool(0.5)) {
                let bits = [14, 17, 18, 19, 21, 23, 24, 25, 30][dice.random_range(0..9)];
                let prefix = Prefix::new(address(&mut dice), bits).unwrap();
                let new = guard.maps.deny_add(&Deny { prefix, not_after: None }).unwrap();
                assert_eq!(new, model.insert(prefix), "step {step}");
            } else {
                let at = dice.random_range(0..model.len());
                let prefix = *model.iter().nth(at).unwrap();
                assert!(guard.maps.deny_remove(prefix).unwrap(), "step {step}");
                model.remove(&prefix);
            }
            let source = address(&mut dice);
            let denied = model.iter().any(|prefix| prefix.covers(&Prefix::host(source)));
            let frame = udp(&source.to_string(), OWN4, SIP, INVITE);
            let judged = guard.judge(&frame) == Reason::DropDenyPrefix;
            assert_eq!(judged, denied, "step {step}: {source} under {model:?}");
        }
    });
}

#[test]
fn a_network_costs_no_more_to_add_because_there_are_many() {
    in_own_world(|pins| {
        const STEP: u32 = 2_000;
        let mut plan = plan(pins);
        plan.capacities.deny_prefixes = 10 * STEP;
        let mut guard = Guard::new(&plan);
        let took: Vec<Duration> = (0..10)
            .map(|step| {
                let begun = now();
                for number in step * STEP..(step + 1) * STEP {
                    let address = std::net::Ipv4Addr::from_bits(0x0b00_0000 + (number << 8));
                    let prefix = Prefix::new(address.into(), 24).unwrap();
                    guard.maps.deny_add(&Deny { prefix, not_after: None }).unwrap();
                }
                now() - begun
            })
            .collect();
        let [first, last] = [&took[..3], &took[7..]].map(|some| some.iter().sum::<Duration>());
        assert!(last < 5 * first, "{took:?}");
    });
}

#[test]
fn a_small_table_under_churn_agrees_with_a_plain_set() {
    in_own_world(|pins| {
        let mut plan = plan(pins);
        plan.capacities.deny_addresses = 64;
        let mut guard = Guard::new(&plan);
        let mut dice = StdRng::seed_from_u64(0xC4);
        let mut model = std::collections::BTreeSet::new();
        for step in 0..4_000 {
            let host = format!("198.51.{}.{}", dice.random_range(0..2), dice.random_range(1..50));
            let rule = deny(&host);
            if dice.random_bool(0.6) {
                match guard.maps.deny_add(&rule) {
                    Ok(new) => assert_eq!(new, model.insert(host), "step {step}"),
                    Err(Error::Full { .. }) => {
                        assert!(model.len() >= 56, "full at {}", model.len())
                    }
                    Err(other) => panic!("{other}"),
                }
            } else {
                let there = guard.maps.deny_remove(rule.prefix).unwrap();
                assert_eq!(there, model.remove(&host), "step {step}");
            }
        }
        let mut listed: Vec<_> =
            guard.maps.deny_list().unwrap().iter().map(|deny| deny.prefix.to_string()).collect();
        listed.sort();
        assert_eq!(listed, model.iter().cloned().collect::<Vec<_>>());
        for third in 0..2 {
            for fourth in 1..50 {
                let host = format!("198.51.{third}.{fourth}");
                let denied = guard.judge(&udp(&host, OWN4, SIP, INVITE)) == Reason::DropDenyAddress;
                assert_eq!(denied, model.contains(&host), "{host}");
            }
        }
    });
}
