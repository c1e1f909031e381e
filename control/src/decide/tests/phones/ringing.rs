//! Which phones ring for a call, in which order, and who picks it up.

use super::*;

#[test]
fn a_call_to_a_phone_rings_its_newest_contact_or_all_at_once() {
    let mut desk = Desk::with_alice();
    let mut desktop = register(&[("sip:alice@10.0.0.7:5060", 600)], 1);
    desktop.source = endpoint("192.0.2.9:4711").by(Transport::Tcp);
    desktop.connection = 12;
    desktop.path = Text::new(b"<sip:edge.example;lr>").unwrap();
    desktop.contacts[0].q = 500;
    desk.registers(&desktop);
    desk.pass_s(1);
    for (n, uri) in ["sip:alice@192.0.2.1:5060", "sip:alice@192.0.2.1:5070"].iter().enumerate() {
        desk.at_home_by(uri, n as u32 + 2);
    }
    for callee in ["390200", "+390200", "alice"] {
        let (route, candidates) = desk.rung(callee).unwrap();
        let [only] = candidates[..] else { panic!("{}", candidates.len()) };
        assert_eq!(route.text(only.uri), b"sip:alice@192.0.2.1:5070");
        assert_eq!((only.target, only.connection, only.group), (endpoint(HOME), 0, 0));
        assert_eq!(only.terms, link::record::Terms::default(), "nobody is paid");
    }
    desk.change("phone/alice", json!({"ring": "all"}));
    let (route, candidates) = desk.rung("390200").unwrap();
    let uris: Vec<&[u8]> = candidates.iter().map(|it| route.text(it.uri)).collect();
    let [first, second, third] = uris[..] else { panic!("{}", uris.len()) };
    assert_eq!(
        (first, second),
        (&b"sip:alice@192.0.2.1:5070"[..], &b"sip:alice@192.0.2.1:5060"[..])
    );
    assert_eq!(third, b"sip:alice@10.0.0.7:5060", "the one that is liked least");
    assert!(candidates.iter().all(|it| it.group == 1));
    assert_eq!((candidates[2].target, candidates[2].connection), (desktop.source, 12));
    assert_eq!(route.text(candidates[2].path), b"<sip:edge.example;lr>");
    // The caller pays by its tariff, the phone is named in the record.
    let admit = desk.invite("10.1.0.1:5060", "390200");
    let route = desk.ask(&admit).unwrap();
    desk.office.handle_ended(desk.time, 0, admit.call, &talked(&admit, &route, 60_000), false);
    let row = desk.settle().ends[0].describe();
    assert_eq!([&row["charge"], &row["vendor_charge"]], [&json!("0.06"), &json!("0.00")]);
    assert_eq!(
        (&row["vendor_gateway"], &row["billing_mode"]),
        (&json!("alice"), &json!("customer_gateway"))
    );
    // Another dataplane has other connections, and learns how phones get their SIP.
    desk.office.handle_dataplane(desk.time, 7);
    let orders: Vec<Down> = std::iter::from_fn(|| desk.office.poll_down(1)).collect();
    assert!(orders.iter().any(|down| matches!(
        down,
        Down::Order(Order::Profile(plain))
            if (plain.gateway, plain.reason, plain.retry_after, plain.privacy) == (0, 1, 1, 1)
                && plain.transfer == 1
    )));
    let (_, candidates) = desk.rung("390200").unwrap();
    assert_eq!(candidates.len(), 2);
    let shown = desk.look("registration/alice");
    assert_eq!(shown["contacts"][2]["online"], json!(false));
}

#[test]
fn a_phone_that_takes_no_call_says_why_or_somebody_stands_in() {
    let mut desk = Desk::with_alice();
    assert_eq!(desk.rung("390200").unwrap_err(), (480, EndReason::NoRoute));
    let gateways = |found: (Route, Vec<Candidate>), desk: &Desk| -> Vec<String> {
        let name = |id| desk.office.state.name_of(crate::state::entity::Kind::Routing, id);
        found.1.iter().map(|it| name(it.gateway).to_owned()).collect()
    };
    desk.change("gateway/routing/second", json!({"unrated_allowed": true}));
    desk.change("phone/alice", json!({"offline_gateway": "second"}));
    let found = desk.rung("390200").unwrap();
    assert_eq!(gateways(found, &desk), ["second"], "though it does not serve the number");
    desk.change("gateway/routing/second", json!({"locked": true}));
    assert_eq!(desk.rung("390200").unwrap_err(), (480, EndReason::NoRoute));
    for name in ["first", "second"] {
        let open = json!({"prefixes": [""], "unrated_allowed": true, "locked": false});
        desk.change(&format!("gateway/routing/{name}"), open);
    }
    assert_eq!(gateways(desk.rung("390200").unwrap(), &desk), ["second"]);
    desk.change("phone/alice", json!({"fall_through": true}));
    assert_eq!(gateways(desk.rung("390200").unwrap(), &desk), ["second", "first"]);
    desk.at_home(1);
    assert_eq!(gateways(desk.rung("390200").unwrap(), &desk), ["", "second", "first"]);
    let stops = |desk: &mut Desk| desk.rung("390200").unwrap().1[0].stop_codes;
    assert!(!stops(&mut desk).contains(&480), "whatever it says, others may be asked");
    desk.change("phone/alice", json!({"fall_through": false}));
    assert_eq!(gateways(desk.rung("390200").unwrap(), &desk), ["", "second"]);
    assert!(
        [480, 486].iter().all(|said| stops(&mut desk).contains(said)),
        "it is no machine's turn"
    );
    assert!([408, 503].iter().all(|said| !stops(&mut desk).contains(said)), "it said nothing");
    desk.change("phone/alice", json!({"lines_max": 1}));
    let admit = desk.invite("10.1.0.1:5060", "390200");
    desk.ask(&admit).unwrap();
    assert_eq!(desk.rung("390200").unwrap_err(), (486, EndReason::LinesFull));
    let refused = desk.say(Method::Delete, "phone/alice", Value::Null).unwrap_err();
    assert_eq!(refused.title, "not settled");
    desk.office.release(admit.record);
    desk.change("phone/alice", json!({"locked": true}));
    assert_eq!(desk.rung("390200").unwrap_err(), (403, EndReason::Locked));
    let refused = desk.say(Method::Delete, "gateway/routing/second", Value::Null).unwrap_err();
    assert_eq!(refused.title, "in use");
}

#[test]
fn a_phone_whose_connection_is_gone_is_offline_until_it_registers_again() {
    let mut desk = Desk::with_alice();
    desk.change("gateway/routing/second", json!({"unrated_allowed": true}));
    desk.change("phone/alice", json!({"offline_gateway": "second"}));
    let mut by_tcp = register(&[("sip:alice@10.9.9.9:5060;transport=tcp", UNSAID)], 1);
    (by_tcp.source, by_tcp.connection) = (endpoint(HOME).by(Transport::Tcp), 12);
    assert_eq!(desk.registers(&by_tcp).status, 200);
    let online = |desk: &mut Desk| desk.look("phone/alice")["online"] == json!(true);
    let connections = |desk: &mut Desk| -> Vec<u32> {
        desk.rung("390200").unwrap().1.iter().map(|it| it.connection).collect()
    };
    assert_eq!((online(&mut desk), connections(&mut desk)), (true, vec![12, 0]));
    desk.office.handle_connection_lost(ConnectionLost { connection: 13 });
    assert_eq!((online(&mut desk), connections(&mut desk)), (true, vec![12, 0]));
    desk.settle();
    desk.office.handle_connection_lost(ConnectionLost { connection: 12 });
    let kept: Vec<Change> = std::iter::from_fn(|| desk.office.poll_change()).collect();
    assert!(matches!(&kept[..], [Change::Binding(_, it)] if it.connection == 0), "{kept:?}");
    assert_eq!((online(&mut desk), connections(&mut desk)), (false, vec![0]));
    let (route, candidates) = desk.rung("390200").unwrap();
    assert_eq!((route.candidates_used, candidates[0].uri), (1, Default::default()));
    let mut again = register(&[("sip:alice@10.9.9.9:5060;transport=tcp", UNSAID)], 2);
    (again.source, again.connection) = (endpoint(HOME).by(Transport::Tcp), 14);
    assert_eq!(desk.registers(&again).status, 200);
    desk.office.handle_connection_lost(ConnectionLost { connection: 12 });
    assert_eq!((online(&mut desk), connections(&mut desk)), (true, vec![14, 0]));
}

#[test]
fn a_route_to_a_phone_is_explained() {
    let mut desk = Desk::with_alice();
    let explain = |desk: &Desk, from: &str| {
        desk.office.explain_route(desk.time, from, "1", "390200").unwrap()
    };
    let shown = explain(&desk, "in");
    assert_eq!(
        (&shown["items"][0]["gateway"], &shown["items"][0]["excluded"]),
        (&json!("alice"), &json!("offline"))
    );
    desk.at_home(1);
    let shown = explain(&desk, "alice");
    assert_eq!((&shown["admitted"], &shown["caller"]), (&json!(true), &json!("390200")));
    assert_eq!(
        (&shown["items"][0]["order"], &shown["items"][0]["contact"]),
        (&json!(1), &json!(AT_HOME))
    );
}

#[test]
fn a_ringing_call_is_picked_up_by_phones_of_its_group_and_costs_them_nothing() {
    let mut desk = Desk::with_alice();
    for (name, group) in [("bob", "office"), ("carol", "shop"), ("dave", "")] {
        let phone = json!({"name": name, "account": "customer", "pickup_group": group});
        desk.post("phone", phone).unwrap();
    }
    desk.change("phone/alice", json!({"pickup_group": "office"}));
    desk.at_home(1);
    let call = desk.invite("10.1.0.1:5060", "390200");
    let dials = |desk: &mut Desk, name: &str, callee: &str| {
        let mut admit = desk.invite("203.0.113.1:5060", callee);
        // By which a phone calls without being asked for its password.
        admit.transferor = desk.office.customer_named(name).unwrap().gateway.id;
        let route = desk.ask(&admit).map_err(|no| no.status);
        desk.office.release(admit.record);
        route
    };
    let refused = |desk: &mut Desk, name: &str, callee: &str| {
        dials(desk, name, callee).map(|route| route.callee_billed).unwrap_err()
    };
    assert_eq!(
        refused(&mut desk, "bob", "*8"),
        403,
        "without a code it is a number, and has no price"
    );
    desk.set("TG_PICKUP_CODE", "*8");
    assert_eq!(refused(&mut desk, "bob", "*8"), 404, "nothing rings");
    let rings = desk.ask(&call).unwrap();
    assert_eq!(rings.candidates_used, 1);
    for (name, callee, status) in [
        ("carol", "*8", 404),
        ("carol", "*8390200", 403),
        ("dave", "*8", 403),
        ("bob", "*8777", 404),
    ] {
        assert_eq!(refused(&mut desk, name, callee), status, "{name} dials {callee}");
    }
    for callee in ["*8", "*8390200", "*8alice"] {
        let route = dials(&mut desk, "bob", callee).unwrap();
        let [candidate] = route.candidates() else { panic!("one candidate") };
        let pickup = link::answer::Pickup::read(route.text(candidate.pickup)).unwrap();
        assert_eq!((pickup.call, pickup.call_id), (call.call, call.facts.call_id.as_bytes()));
        assert_eq!(
            route.candidates[0].customer_terms,
            link::record::Terms::default(),
            "it costs nothing"
        );
    }
    desk.set("TG_PICKUP_POSITION", "1");
    assert!(dials(&mut desk, "bob", "390200*8").is_ok());
    assert_eq!(refused(&mut desk, "bob", "*8390200"), 403);
    desk.office.release(call.record);
    assert_eq!(refused(&mut desk, "bob", "*8"), 404, "it rings no more");
}
