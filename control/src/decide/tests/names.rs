//! Vendors that are given by name: what holds while DNS answers, is silent, or changes its mind.

use link::Transport;
use link::order::Proof;

use super::*;
use crate::resolve::{Outcome, Server};

fn server(priority: u16, weight: u16, addresses: &[&str]) -> Server {
    let addresses = addresses.iter().map(|text| text.parse().unwrap()).collect();
    Server { priority, weight, transport: Transport::Tcp, addresses }
}

fn named() -> Desk {
    let mut desk = Desk::new("10");
    desk.patch("gateway/routing/first", json!({"target": "Carrier.example"}));
    desk
}

/// The names that are asked for now.
fn asked(desk: &mut Desk) -> Vec<String> {
    desk.office.handle_tick(desk.time);
    std::iter::from_fn(|| desk.office.poll_name()).map(|(name, _)| name).collect()
}

fn found(desk: &mut Desk, servers: Vec<Server>, ttl_s: u32) {
    let outcome = Outcome::Found(servers, ttl_s);
    desk.office.handle_resolved(desk.time, "carrier.example", outcome);
}

fn failed(desk: &mut Desk) {
    let outcome = Outcome::Failed("timeout".into());
    desk.office.handle_resolved(desk.time, "carrier.example", outcome);
}

fn targets(desk: &mut Desk) -> Vec<String> {
    let (_, route) = desk.call();
    let text =
        |it: &link::answer::Candidate| format!("{:?} {:?}", it.target, it.target.transport());
    route.candidates().iter().map(text).collect()
}

#[test]
fn a_name_is_asked_for_at_once_and_calls_go_where_it_leads() {
    let mut desk = named();
    assert_eq!(asked(&mut desk), ["carrier.example"]);
    assert_eq!(desk.excluded()["first"], "unresolved");
    assert!(asked(&mut desk).is_empty(), "it is under way");
    desk.orders();
    found(&mut desk, vec![server(1, 0, &["10.7.0.1:5062"]), server(2, 0, &["10.7.0.2:5060"])], 300);
    assert_eq!(
        targets(&mut desk),
        ["10.7.0.1:5062 Tcp", "10.7.0.2:5060 Tcp", "10.2.0.2:5060 Udp"],
        "both places of the first vendor, then the second vendor"
    );
    let shown = desk.routing("first");
    assert_eq!(shown["addresses"], json!(["10.7.0.1:5062", "10.7.0.2:5060"]));
    let profiles = desk.orders();
    let address = profiles.iter().find_map(|order| match order {
        Order::Profile(it) if it.address.transport() == Transport::Tcp => Some(it.address),
        _ => None,
    });
    assert_eq!(format!("{:?}", address.unwrap()), "10.7.0.1:5062");
    let Some(News::Whole(all)) = desk.office.poll_guard(desk.time) else { panic!("not all") };
    let trust: Vec<String> = all.perimeter.trust.iter().map(|it| it.prefix.to_string()).collect();
    assert!(trust.contains(&"10.7.0.2".to_owned()), "{trust:?}");
    let refused = desk.post("firewall/deny", json!({"prefix": "10.7.0.0/16"})).unwrap_err();
    assert_eq!(refused.title, "source of a gateway");
}

#[test]
fn a_call_does_not_go_back_to_any_place_of_its_sender() {
    let mut desk = named();
    asked(&mut desk);
    found(&mut desk, vec![server(1, 0, &["10.7.0.1:5060", "10.1.0.1:5060"])], 300);
    assert_eq!(desk.excluded()["first"], "no_return");
}

#[test]
fn one_vendor_takes_three_places_and_leaves_the_others_to_the_next() {
    let mut desk = named();
    asked(&mut desk);
    let many: Vec<String> = (1..=9).map(|n| format!("10.7.0.{n}:5060")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    found(&mut desk, vec![server(1, 0, &many)], 300);
    assert_eq!(targets(&mut desk).len(), 4);
}

#[test]
fn weights_share_the_calls_of_one_vendor() {
    let mut desk = named();
    desk.set("BILLING_FREE_E164S", "44");
    asked(&mut desk);
    found(&mut desk, vec![server(1, 3, &["10.7.0.1:5060"]), server(1, 1, &["10.7.0.2:5060"])], 300);
    let firsts = (0..400).filter(|_| targets(&mut desk)[0].starts_with("10.7.0.1")).count();
    assert!((270..350).contains(&firsts), "{firsts}");
}

#[test]
fn an_answer_is_believed_between_half_a_minute_and_an_hour() {
    for (ttl_s, believed_s) in [(0, 30), (120, 120), (1_000_000, 3_600)] {
        let mut desk = named();
        asked(&mut desk);
        found(&mut desk, vec![server(1, 0, &["10.7.0.1:5060"])], ttl_s);
        desk.pass(believed_s * 1_000 - 50);
        assert!(asked(&mut desk).is_empty(), "{ttl_s}");
        desk.pass(50);
        assert_eq!(asked(&mut desk).len(), 1, "{ttl_s}");
    }
}

#[test]
fn the_last_good_answer_holds_while_dns_is_silent_and_an_alarm_says_so() {
    let mut desk = named();
    asked(&mut desk);
    failed(&mut desk);
    assert_eq!(desk.alarms(), ["dns_failed"], "it leads nowhere: at once");
    desk.pass(30_000);
    assert_eq!(asked(&mut desk).len(), 1);
    found(&mut desk, vec![server(1, 0, &["10.7.0.1:5060"])], 30);
    assert!(desk.alarms().is_empty());
    for _ in 0..10 {
        desk.pass(30_000);
        assert_eq!(asked(&mut desk).len(), 1);
        failed(&mut desk);
        assert!(desk.alarms().is_empty(), "it still leads somewhere");
    }
    desk.pass(30_000);
    asked(&mut desk);
    desk.office.handle_resolved(desk.time, "carrier.example", Outcome::Absent(5));
    assert_eq!(desk.alarms(), ["dns_failed"]);
    assert_eq!(desk.excluded()["first"], "");
    found(&mut desk, vec![server(1, 0, &["10.7.0.1:5060"])], 30);
    assert!(desk.alarms().is_empty());
}

#[test]
fn what_is_not_there_is_not_asked_for_all_the_time() {
    let mut desk = named();
    asked(&mut desk);
    desk.office.handle_resolved(desk.time, "carrier.example", Outcome::Absent(600));
    desk.pass(599_000);
    assert!(asked(&mut desk).is_empty());
    desk.pass(1_000);
    assert_eq!(asked(&mut desk).len(), 1);
}

#[test]
fn an_answer_that_never_comes_is_asked_for_again() {
    let mut desk = named();
    asked(&mut desk);
    desk.pass(59_000);
    assert!(asked(&mut desk).is_empty());
    desk.pass(1_000);
    assert_eq!(asked(&mut desk).len(), 1);
}

#[test]
fn a_restart_while_dns_is_down_begins_with_the_last_answers() {
    let mut desk = named();
    asked(&mut desk);
    found(&mut desk, vec![server(1, 0, &["10.7.0.1:5060"])], 300);
    let mut located = Vec::new();
    while let Some(change) = desk.office.poll_change() {
        if let Change::Located(it) = change {
            located.push(*it);
        }
    }
    let kinds = crate::state::entity::Kind::ALL.into_iter();
    let documents = kinds.flat_map(|kind| desk.office.state.documents(kind).cloned());
    let loaded = Loaded { entities: documents.collect(), located, ..Loaded::default() };
    desk.office = Office::new(loaded, 2);
    desk.office.review_upstream(desk.time);
    assert_eq!(desk.routing("first")["addresses"], json!(["10.7.0.1:5060"]));
    assert_eq!(asked(&mut desk), ["carrier.example"], "and asks whether it is still so");
}

#[test]
fn a_name_that_nobody_uses_is_forgotten() {
    let mut desk = named();
    asked(&mut desk);
    found(&mut desk, vec![server(1, 0, &["10.7.0.1:5060"])], 30);
    desk.settle();
    desk.patch("gateway/routing/first", json!({"target": "10.2.0.1"}));
    let changes: Vec<Change> = std::iter::from_fn(|| desk.office.poll_change()).collect();
    assert!(
        changes
            .iter()
            .any(|it| matches!(it, Change::LocatedGone(name) if name == "carrier.example"))
    );
    desk.pass(60_000);
    assert!(asked(&mut desk).is_empty());
    // What was under way comes too late.
    found(&mut desk, vec![server(1, 0, &["10.7.0.9:5060"])], 30);
    assert_eq!(targets(&mut desk)[0], "10.2.0.1:5060 Udp");
}

#[test]
fn registrations_and_probes_follow_a_name() {
    let mut desk = named();
    let fields = json!({"registration": true, "auth_username": "me", "options_check": true});
    desk.patch("gateway/routing/first", fields);
    desk.office.handle_dataplane(desk.time, 1);
    let errands = |desk: &mut Desk, seconds: u64| {
        let mut errands = Vec::new();
        for _ in 0..seconds {
            desk.pass(1_000);
            for order in desk.orders() {
                if let Order::Errand(errand) = order {
                    errands.push(errand);
                }
            }
        }
        errands
    };
    assert!(errands(&mut desk, 40).is_empty(), "whither?");
    found(
        &mut desk,
        vec![server(1, 0, &["10.7.0.1:5060"]), server(2, 0, &["10.7.0.2:5060"])],
        3_600,
    );
    let sent = errands(&mut desk, 31);
    let register = sent.iter().find(|it| it.kind == 1).unwrap();
    assert_eq!(register.domain.as_bytes(), b"carrier.example");
    let done = |id| link::report::ErrandDone {
        id,
        status: 0,
        challenges: 0,
        round_trip_us: 0,
        expires_s: 0,
        retry_after_s: 0,
        cseq: 0,
        spare: 0,
    };
    // Nobody answers there: the other place of the same vendor is next, at once.
    for errand in &sent {
        desk.office.handle_errand(desk.time, &done(errand.id));
    }
    let next = errands(&mut desk, 31);
    let register = next.iter().find(|it| it.kind == 1).unwrap();
    assert_eq!(format!("{:?}", register.target), "10.7.0.2:5060");
}

#[test]
fn a_vendor_that_need_not_prove_who_it_is_is_told_of_and_so_is_the_change_of_mind() {
    let mut desk = Desk::new("10");
    desk.patch("gateway/routing/first", json!({"target": "sips:10.7.0.9:5061"}));
    let mut proof = |word: &str| {
        desk.orders();
        desk.patch("gateway/routing/first", json!({"tls_verify": word}));
        let told = desk.orders().into_iter().find_map(|order| match order {
            Order::Name(it) => Some((format!("{:?}", it.place), Proof::from_number(it.proof))),
            _ => None,
        });
        let (place, proof) = told.unwrap();
        assert_eq!(place, "10.7.0.9:5061");
        proof
    };
    assert_eq!(
        ["no", "yes", "file"].map(&mut proof),
        [Proof::Waived, Proof::Demanded, Proof::Usual]
    );
}

#[test]
fn places_over_tls_prove_themselves_by_the_name_that_led_there() {
    let mut desk = Desk::new("10");
    desk.patch("gateway/routing/first", json!({"target": "sips:carrier.example"}));
    let names = |desk: &mut Desk| -> Vec<(String, String)> {
        let orders = desk.orders().into_iter();
        let names = orders.filter_map(|order| match order {
            Order::Name(it) => Some((format!("{:?}", it.place), it.name.to_text().into_owned())),
            _ => None,
        });
        names.collect()
    };
    assert!(names(&mut desk).is_empty(), "whither?");
    asked(&mut desk);
    let addresses = vec!["10.7.0.1:5061".parse().unwrap()];
    let secured =
        Server { priority: 1, weight: 0, transport: Transport::Tls, addresses: addresses.clone() };
    let plain = Server { transport: Transport::Udp, ..secured.clone() };
    let found = Outcome::Found(vec![secured, plain], 300);
    desk.office.handle_resolved(desk.time, "sips:carrier.example", found);
    let told = ("10.7.0.1:5061".to_owned(), "carrier.example".to_owned());
    assert_eq!(names(&mut desk), [told.clone(), told.clone()], "both workers, of TLS alone");
    desk.office.handle_dataplane(desk.time, 2);
    assert_eq!(names(&mut desk), [told.clone(), told], "and a new dataplane");
}

#[test]
fn a_place_that_does_not_answer_is_passed_over_while_the_others_are_called() {
    let mut desk = named();
    desk.set("BILLING_FREE_E164S", "44");
    desk.patch("gateway/routing/first", json!({"options_check": true}));
    desk.office.handle_dataplane(desk.time, 1);
    asked(&mut desk);
    let [dead, alive] = ["10.7.0.1:5060", "10.7.0.2:5060"];
    found(&mut desk, vec![server(1, 0, &[dead]), server(2, 0, &[alive])], 3_600);
    // Answers whoever is asked by OPTIONS, for so long; the dead place only if it `is_back`.
    let answer = |desk: &mut Desk, seconds: u64, is_back: bool| {
        for _ in 0..seconds {
            desk.pass(1_000);
            for order in desk.orders() {
                let Order::Errand(errand) = order else { continue };
                let is_there = is_back || format!("{:?}", errand.target) != dead;
                let done = link::report::ErrandDone {
                    id: errand.id,
                    status: if is_there { 200 } else { 0 },
                    challenges: 0,
                    round_trip_us: 900,
                    expires_s: 0,
                    retry_after_s: 0,
                    cseq: 1,
                    spare: 0,
                };
                desk.office.handle_errand(desk.time, &done);
            }
        }
    };
    let other = "10.2.0.2:5060 Udp";
    assert_eq!(targets(&mut desk), [&format!("{dead} Tcp"), &format!("{alive} Tcp"), other]);
    answer(&mut desk, 300, false);
    assert_eq!(targets(&mut desk), [&format!("{alive} Tcp"), other]);
    assert_eq!(desk.alarms(), ["place_offline"]);
    let shown = desk.routing("first");
    assert_eq!((&shown["online"], &shown["addresses"]), (&json!(true), &json!([dead, alive])));
    assert_eq!(shown["addresses_offline"], json!([dead]));
    answer(&mut desk, 300, true);
    assert_eq!(targets(&mut desk)[0], format!("{dead} Tcp"));
    assert!(desk.alarms().is_empty());
    // What is not there any more is nobody's alarm.
    answer(&mut desk, 300, false);
    found(&mut desk, vec![server(2, 0, &[alive])], 3_600);
    desk.office.handle_tick(desk.time);
    assert!(desk.alarms().is_empty());
}
