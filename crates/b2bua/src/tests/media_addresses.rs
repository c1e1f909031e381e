//! More own addresses than one for the media of a network.

use super::*;
use crate::ports::PortCount;

const BESIDE_VENDORS: &str = "203.0.113.2";

/// Two pairs of ports on each address, of which the vendors' network has two.
fn few() -> Setup {
    let beside = MediaLocal {
        address: BESIDE_VENDORS.parse().unwrap(),
        advertise: None,
        beside: OUR_VENDOR_SIDE.parse::<SocketAddr>().unwrap().ip(),
    };
    let customers = MediaLocal {
        address: "192.0.2.2".parse().unwrap(),
        advertise: Some("192.0.2.200".parse().unwrap()),
        beside: OUR_CUSTOMER_SIDE.parse::<SocketAddr>().unwrap().ip(),
    };
    let media_locals = vec![beside, customers];
    Setup { media_locals, media_ports: (10_000, 10_003), ..setup(limits()) }
}

fn world() -> World {
    let mut world = World::new();
    world.switch = Switch::new(few());
    world.switch.set_control_alive(true);
    world
}

/// What a description tells: the address of media, that of the session, and the first port.
fn told(message: &str) -> (&str, &str, u16) {
    let line = |begins: &str| {
        let line = body(message).lines().find(|line| line.starts_with(begins)).unwrap();
        line.rsplit(' ').next().unwrap()
    };
    (line("c="), line("o="), media_port(message).number())
}

fn free(world: &World) -> Vec<u32> {
    world.switch.media_ports_by_address().map(|one| one.count.free).collect()
}

fn missed(world: &World) -> Vec<u64> {
    world.switch.media_ports_by_address().map(|one| one.missed).collect()
}

#[test]
fn more_calls_fit_than_one_address_has_ports_and_each_is_told_of_its_own() {
    let mut world = world();
    let mut seen = Vec::new();
    for number in 1..=4 {
        world.caller_sends(&invite(number, &caller_sdp()));
        world.caller_gets("SIP/2.0 100 ");
        let call = world.admit().call;
        world.route(call, &[0]);
        let offer = world.vendor_gets(0, "INVITE ");
        world.vendor_says(0, &offer, 183, "v", &vendor_sdp());
        let early = world.caller_gets("SIP/2.0 183 ");
        seen.push(
            [told(&early), told(&offer)]
                .map(|(address, session, port)| (address.to_owned(), session.to_owned(), port)),
        );
    }
    let (ours, theirs) = ("192.0.2.1", "203.0.113.1");
    let expected = [
        [(ours, ours, 10_000), (theirs, theirs, 10_000)],
        [("192.0.2.200", ours, 10_000), (BESIDE_VENDORS, theirs, 10_000)],
        [(ours, ours, 10_002), (theirs, theirs, 10_002)],
        [("192.0.2.200", ours, 10_002), (BESIDE_VENDORS, theirs, 10_002)],
    ];
    for (seen, expected) in seen.iter().zip(expected) {
        let seen = seen.each_ref().map(|(one, other, port)| (&one[..], &other[..], *port));
        assert_eq!(seen, expected);
    }
    assert_eq!(free(&world), [0, 0, 2, 0, 0], "of IPv6 nobody wants any");
    world.caller_sends(&invite(5, &caller_sdp()));
    world.caller_gets("SIP/2.0 503 ");
    assert_eq!(world.count(Counter::RefusedPortsFull), 1);
    assert_eq!(missed(&world), [1, 0, 0, 0, 0], "of an address by which it came");
}

#[test]
fn who_comes_in_where_ports_are_left_hears_of_the_other_side_that_is_full() {
    let mut world = world();
    // The customers' side runs full first where vendors have more.
    let media_locals = vec![few().media_locals[0]];
    world.switch = Switch::new(Setup { media_locals, ..few() });
    world.switch.set_control_alive(true);
    for number in 1..=2 {
        world.caller_sends(&invite(number, &caller_sdp()));
        world.caller_gets("SIP/2.0 100 ");
        let call = world.admit().call;
        world.route(call, &[0]);
        world.vendor_gets(0, "INVITE ");
    }
    assert_eq!(free(&world), [0, 1, 2, 1]);
    world.caller_sends(&invite(3, &caller_sdp()));
    world.caller_gets("SIP/2.0 503 ");
    assert!(world.asks.is_empty(), "nobody was asked");
}

#[test]
fn media_of_a_second_address_goes_both_ways_and_on_after_a_restart() {
    let mut world = world();
    // The first pairs of the others are more.
    world.caller_sends(&invite(9, &caller_sdp()));
    world.caller_gets("SIP/2.0 100 ");
    let call = world.admit().call;
    world.route(call, &[0]);
    world.vendor_gets(0, "INVITE ");
    let (_, offer, answer) = world.talking();
    let [near, far] = [Port::new(4, 10_000), Port::new(3, 10_000)];
    assert_eq!([told(&answer).0, told(&offer).0], ["192.0.2.200", BESIDE_VENDORS]);
    let ends = ["198.51.100.7:4000", "203.0.113.10:6000"].map(|end| end.parse().unwrap());
    let hear = |world: &mut World, sequence: u8| {
        let packet = [0x80, 0, 0, sequence, 0, 0, 0, sequence, 0, 0, 0, 9, 1, 2, 3, 4];
        let sent = [(near, ends[0]), (far, ends[1])]
            .map(|(port, from)| world.switch.forward(world.now, port, from, &packet));
        let [there, back] = sent.map(|verdict| match verdict {
            relay::Verdict::Send { from, to, .. } => (from, to),
            other => panic!("{other:?}"),
        });
        assert_eq!(there, ("203.0.113.2:10000".parse().unwrap(), ends[1]));
        assert_eq!(back, ("192.0.2.2:10000".parse().unwrap(), ends[0]));
        // The same number of another address is another port.
        let other = world.switch.forward(world.now, Port::new(2, 10_000), ends[0], &packet);
        assert_eq!(other, relay::Verdict::Drop(relay::DropReason::NoFlow));
    };
    hear(&mut world, 1);
    world.restart_with(few());
    assert_eq!(world.count(Counter::CallsAdopted), 1);
    assert_eq!(free(&world), [2, 2, 2, 1, 1]);
    hear(&mut world, 2);
    // Another order of the same addresses is no other address.
    let media_locals = few().media_locals.into_iter().rev().collect();
    world.restart_with(Setup { media_locals, ..few() });
    assert_eq!(world.count(Counter::CallsAdopted), 1);
    let verdict = world.switch.forward(world.now, Port::new(3, 10_000), ends[0], &[0x80; 16]);
    assert!(!matches!(verdict, relay::Verdict::Drop(relay::DropReason::NoFlow)), "{verdict:?}");
    // Without its address a call is over, as is the one that only rang.
    world.restart_with(Setup { media_locals: Vec::new(), ..few() });
    assert_eq!(world.count(Counter::CallsNotAdopted), 2);
    let all = world.switch.media_ports(world.now);
    assert_eq!(all, PortCount { used: 0, resting: 0, free: 6 });
}

#[test]
fn a_second_stream_stays_at_the_address_of_the_first() {
    let mut world = world();
    let (_, _, answer) = world.talking();
    let offer = format!("{}m=video 4002 RTP/AVP 96\r\n", caller_sdp());
    world.caller_sends(&caller_request("INVITE", 2, &answer, &offer));
    let inner = world.vendor_gets(0, "INVITE ");
    assert_eq!(told(&inner).0, "203.0.113.1");
    assert!(body(&inner).contains("m=video 10002 "), "{inner}");
    assert_eq!(free(&world), [0, 0, 2, 2, 2]);
}

/// Customers have ports left when vendors of IPv4 have none.
fn scarce_vendors() -> World {
    let mut world = world();
    let media_locals = vec![few().media_locals[1]];
    world.switch = Switch::new(Setup { media_locals, ..few() });
    world.switch.set_control_alive(true);
    world
}

#[test]
fn a_candidate_whose_side_has_no_ports_left_is_passed_over_for_one_that_has() {
    let mut world = scarce_vendors();
    let call = |world: &mut World, number, vendors: &[usize]| {
        world.caller_sends(&invite(number, &caller_sdp()));
        world.caller_gets("SIP/2.0 100 ");
        let call = world.admit().call;
        world.route(call, vendors);
    };
    for number in 1..=2 {
        call(&mut world, number, &[0]);
        world.vendor_gets(0, "INVITE ");
    }
    assert_eq!(free(&world), [1, 0, 2, 1]);
    call(&mut world, 3, &[0, 3]);
    world.vendor_gets(3, "INVITE ");
    assert_eq!(free(&world), [0, 0, 1, 1]);
    // The last of all is told why, and what was taken for it in vain is free at once.
    call(&mut world, 4, &[0]);
    let refused = world.caller_gets("SIP/2.0 503 ");
    assert!(refused.contains("Retry-After: "), "{refused}");
    assert_eq!(free(&world), [0, 0, 1, 1]);
    assert_eq!(missed(&world), [0, 2, 0, 0], "who was passed over for it counts too");
}

#[test]
fn a_second_stream_has_ports_on_both_sides_or_on_none() {
    let mut world = scarce_vendors();
    let (_, _, answer) = world.talking();
    world.caller_sends(&invite(2, &caller_sdp()));
    world.caller_gets("SIP/2.0 100 ");
    let call = world.admit().call;
    world.route(call, &[0]);
    world.vendor_gets(0, "INVITE ");
    assert_eq!(free(&world), [1, 0, 2, 1]);
    let offer = format!("{}m=video 4002 RTP/AVP 96\r\n", caller_sdp());
    world.caller_sends(&caller_request("INVITE", 2, &answer, &offer));
    world.caller_gets("SIP/2.0 100 ");
    world.caller_gets("SIP/2.0 503 ");
    assert_eq!(free(&world), [1, 0, 2, 1], "nothing is held for it");
    let media_locals = vec![few().media_locals[1]];
    world.restart_with(Setup { media_locals, ..few() });
    assert_eq!(world.count(Counter::CallsAdopted), 1, "the call goes on");
}
