//! Registrations and online checks in virtual time, against a vendor who answers what the test says.

use link::order::{Errand, ErrandKind};
use link::report::{ErrandDone, GatewayNews, News};

use super::*;
use crate::store::Registration;

/// What came of an errand.
fn done(errand: &Errand, status: u16) -> ErrandDone {
    ErrandDone {
        id: errand.id,
        status,
        challenges: 0,
        round_trip_us: 1_500,
        expires_s: 0,
        retry_after_s: 0,
        cseq: errand.cseq,
        spare: 0,
    }
}

/// A desk, and what its store holds of registrations.
struct Watch {
    desk: Desk,
    rows: BTreeMap<u32, Registration>,
    sent: Vec<Errand>,
}

impl Watch {
    /// One gateway, `first`, with these fields; there is a dataplane.
    fn new(fields: Value) -> Self {
        let mut desk = Desk::new("10");
        desk.patch("gateway/routing/first", fields);
        desk.office.handle_dataplane(desk.time, 1);
        let mut watch = Self { desk, rows: BTreeMap::new(), sent: Vec::new() };
        watch.take();
        watch.sent.clear();
        watch
    }

    fn registering() -> Self {
        Self::new(json!({
            "registration": true, "auth_username": "me", "auth_password": "word",
            "registration_domain": "carrier.example",
        }))
    }

    fn checked() -> Self {
        Self::new(json!({"options_check": true}))
    }

    /// Takes what the loop says to the store and to the workers.
    fn take(&mut self) -> Vec<Order> {
        while let Some(change) = self.desk.office.poll_change() {
            match change {
                Change::Registration(row) => drop(self.rows.insert(row.gateway, *row)),
                Change::RegistrationGone(gateway) => drop(self.rows.remove(&gateway)),
                _ => {}
            }
        }
        let orders = self.desk.orders();
        for order in &orders {
            if let Order::Errand(errand) = order {
                self.sent.push(*errand);
            }
        }
        orders
    }

    /// Waits for the next errand, at most so long; how long it took, ms.
    fn next(&mut self, most_s: u64) -> Option<(u64, Errand)> {
        for step in 0..=most_s * 20 {
            if step > 0 {
                self.desk.pass(50);
            } else {
                self.desk.office.handle_tick(self.desk.time);
            }
            self.take();
            if !self.sent.is_empty() {
                return Some((step * 50, self.sent.remove(0)));
            }
        }
        None
    }

    fn answer(&mut self, errand: &Errand, status: u16) {
        self.answer_with(&done(errand, status));
    }

    fn answer_with(&mut self, done: &ErrandDone) {
        self.desk.office.handle_errand(self.desk.time, done);
        self.take();
    }

    /// Registered for an hour.
    fn register(&mut self) -> Errand {
        let (_, errand) = self.next(1).unwrap();
        self.answer_with(&ErrandDone { expires_s: 3_600, ..done(&errand, 200) });
        errand
    }

    fn state(&mut self) -> String {
        self.desk.routing("first")["registration_state"].as_str().unwrap().to_owned()
    }

    /// Another control with what this one stored, a moment later.
    fn restart(&mut self) {
        let entities: Vec<_> = crate::state::entity::Kind::ALL
            .into_iter()
            .flat_map(|kind| self.desk.office.state.documents(kind).cloned().collect::<Vec<_>>())
            .collect();
        let loaded = Loaded {
            entities,
            registrations: self.rows.values().cloned().collect(),
            ..Loaded::default()
        };
        self.desk.office = Office::new(loaded, 2).seeded(99);
        self.desk.time.now += Duration::from_secs(2);
        self.desk.time.wall_us += 2_000_000;
        self.desk.office.review_upstream(self.desk.time);
        self.desk.office.handle_dataplane(self.desk.time, 1);
        self.take();
        self.sent.clear();
    }
}

#[test]
fn a_registration_says_who_and_where_and_calls_go_there_once_it_stands() {
    let mut watch = Watch::registering();
    assert_eq!(watch.desk.excluded()["first"], "offline");
    let (_, errand) = watch.next(1).unwrap();
    assert_eq!(watch.state(), "trying");
    assert_eq!(ErrandKind::from(errand.kind), ErrandKind::Register);
    assert_eq!(
        (errand.user.as_bytes(), errand.domain.as_bytes()),
        (&b"me"[..], &b"carrier.example"[..])
    );
    assert_eq!(
        (errand.expires_s, errand.target.socket_address().unwrap().to_string()),
        (3_600, "10.2.0.1:5060".into())
    );
    assert!(watch.next(30).is_none(), "one at a time");
    watch.answer_with(&ErrandDone { expires_s: 600, ..done(&errand, 200) });
    assert_eq!(watch.state(), "registered");
    assert_eq!(watch.desk.excluded()["first"], "");
    assert!(watch.desk.routing("first")["registered_until"].is_string());
    let (waited_ms, refresh) = watch.next(600).unwrap();
    assert!((480_000..=540_000).contains(&waited_ms), "{waited_ms}");
    assert_eq!(refresh.call_id, errand.call_id);
    assert!(refresh.cseq > errand.cseq);
}

#[test]
fn a_vendor_that_is_down_is_tried_again_after_the_delay_and_a_tenth_more_or_less() {
    let mut watch = Watch::registering();
    let (_, mut errand) = watch.next(1).unwrap();
    let mut waits = Vec::new();
    for _ in 0..40 {
        watch.answer(&errand, 0);
        assert_eq!(watch.state(), "failed");
        let (waited_ms, next) = watch.next(70).unwrap();
        assert!((54_000..=66_050).contains(&waited_ms), "{waited_ms}");
        waits.push(waited_ms);
        assert_eq!((next.call_id, next.cseq > errand.cseq), (errand.call_id, true));
        errand = next;
    }
    waits.sort_unstable();
    waits.dedup();
    assert!(waits.len() > 20, "they spread: {waits:?}");
    assert_eq!(watch.desk.alarms(), ["registration_failed"]);
    watch.answer(&errand, 200);
    assert!(watch.desk.alarms().is_empty());
}

#[test]
fn a_registrar_is_heeded_when_it_wants_longer_lives_or_rest() {
    let mut watch = Watch::registering();
    let (_, errand) = watch.next(1).unwrap();
    watch.answer_with(&ErrandDone { expires_s: 7_200, ..done(&errand, 423) });
    let (waited_ms, errand) = watch.next(1).unwrap();
    assert_eq!((waited_ms, errand.expires_s), (0, 7_200));
    // It never ends its asking for more.
    watch.answer_with(&ErrandDone { expires_s: 7_200, ..done(&errand, 423) });
    let (waited_ms, errand) = watch.next(70).unwrap();
    assert!(waited_ms > 50_000 && errand.expires_s == 7_200);
    watch.answer_with(&ErrandDone { retry_after_s: 300, ..done(&errand, 503) });
    let (waited_ms, _) = watch.next(400).unwrap();
    assert!((300_000..=310_000).contains(&waited_ms), "{waited_ms}");
}

#[test]
fn a_refused_password_is_not_tried_again_until_somebody_changes_it() {
    let mut watch = Watch::registering();
    let (_, errand) = watch.next(1).unwrap();
    watch.answer_with(&ErrandDone { challenges: 2, ..done(&errand, 401) });
    assert_eq!(
        (watch.state(), watch.desk.alarms()),
        ("refused".into(), vec!["registration_failed".into()])
    );
    assert!(watch.next(3_000).is_none());
    watch.desk.patch("gateway/routing/first", json!({"auth_password": "right"}));
    assert_eq!(watch.register().call_id, errand.call_id);
    assert_eq!(watch.state(), "registered");
    assert_eq!(watch.rows.values().next().unwrap().password, "right");
}

#[test]
fn a_registration_that_cannot_be_refreshed_holds_until_it_runs_out() {
    let mut watch = Watch::registering();
    watch.register();
    for _ in 0..5 {
        let (_, errand) = watch.next(3_600).unwrap();
        watch.answer(&errand, 0);
        assert_eq!(
            (watch.state(), watch.desk.excluded()["first"].as_str()),
            ("registered".into(), "")
        );
    }
    for _ in 0..20 {
        if let Some((_, errand)) = watch.next(100) {
            watch.answer(&errand, 0);
        }
    }
    assert_eq!(
        (watch.state(), watch.desk.excluded()["first"].as_str()),
        ("failed".into(), "offline")
    );
}

#[test]
fn who_leaves_says_so_with_his_password_and_only_then_the_workers_forget_him() {
    for by in ["delete", "switch"] {
        let mut watch = Watch::registering();
        let errand = watch.register();
        if by == "delete" {
            watch.desk.say(Method::Delete, "gateway/routing/first", Value::Null).unwrap();
        } else {
            watch.desk.patch("gateway/routing/first", json!({"registration": false}));
        }
        let forgotten = |orders: &[Order]| {
            let gone = |order: &&Order| matches!(order, Order::Profile(it) if it.present == 0);
            orders.iter().filter(gone).count()
        };
        assert_eq!(forgotten(&watch.take()), 0, "{by}");
        let (_, leave) = watch.next(1).unwrap();
        assert_eq!((leave.expires_s, leave.call_id, leave.user), (0, errand.call_id, errand.user));
        assert!(leave.cseq > errand.cseq);
        assert!(watch.rows.len() == 1, "known until it is done");
        watch.desk.office.handle_errand(watch.desk.time, &done(&leave, 200));
        assert_eq!(forgotten(&watch.take()), 0, "{by}: its last calls may be ending");
        watch.desk.pass(64_000);
        // Each worker is told when it was deleted so long ago, and when nothing is registered there any more.
        let count = if by == "delete" { 4 } else { 0 };
        assert_eq!(forgotten(&watch.take()), count, "{by}: each worker");
        assert!(watch.rows.is_empty() && watch.next(100).is_none(), "{by}");
    }
}

#[test]
fn without_unregister_a_registration_is_left_to_run_out() {
    let mut watch = Watch::registering();
    watch.register();
    watch.desk.set("SEND_UNREGISTER", "0");
    watch.desk.say(Method::Delete, "gateway/routing/first", Value::Null).unwrap();
    assert!(watch.next(10).is_none());
    assert!(watch.rows.is_empty());
}

#[test]
fn another_registrar_is_registered_at_once_the_old_one_was_left() {
    let mut watch = Watch::registering();
    watch.register();
    watch.desk.patch("gateway/routing/first", json!({"target": "10.2.0.9:5060"}));
    let (_, leave) = watch.next(1).unwrap();
    assert_eq!((leave.expires_s, format!("{:?}", leave.target)), (0, "10.2.0.1:5060".into()));
    // Its owner changes his mind while the answer is under way.
    watch.desk.patch("gateway/routing/first", json!({"target": "10.2.0.8:5060"}));
    watch.answer(&leave, 0);
    let (waited_ms, come) = watch.next(1).unwrap();
    assert_eq!((waited_ms, format!("{:?}", come.target)), (0, "10.2.0.8:5060".into()));
    watch.desk.patch("gateway/routing/first", json!({"target": "10.2.0.7:5060"}));
    watch.answer(&come, 200);
    assert_eq!(watch.desk.excluded()["first"], "offline", "that is not where calls would go");
    let (_, leave) = watch.next(1).unwrap();
    assert_eq!((leave.expires_s, format!("{:?}", leave.target)), (0, "10.2.0.8:5060".into()));
}

#[test]
fn a_restart_finds_what_stands_and_takes_back_what_nobody_wants() {
    let mut watch = Watch::registering();
    let errand = watch.register();
    watch.restart();
    assert_eq!(watch.state(), "registered");
    assert_ne!(watch.desk.excluded()["first"], "offline");
    let (waited_ms, refresh) = watch.next(3_600).unwrap();
    assert!((2_800_000..3_300_000).contains(&waited_ms), "{waited_ms}");
    assert_eq!((refresh.call_id, refresh.cseq > errand.cseq), (errand.call_id, true));
    watch.answer(&refresh, 200);
    // The gateway is deleted, and control dies before it could say so.
    watch.desk.say(Method::Delete, "gateway/routing/first", Value::Null).unwrap();
    watch.take();
    watch.restart();
    watch.desk.office.handle_tick(watch.desk.time);
    let orders = watch.take();
    let password = orders.iter().find_map(|order| match order {
        Order::Profile(it) if it.gateway == errand.gateway => Some(it.password.0),
        _ => None,
    });
    assert_eq!(password.unwrap().as_bytes(), b"word", "no worker knows it any more");
    let leave = watch.sent.remove(0);
    assert_eq!((leave.expires_s, leave.call_id), (0, errand.call_id));
    watch.answer(&leave, 200);
    assert!(watch.rows.is_empty());
}

#[test]
fn an_answer_that_never_comes_is_asked_for_again_and_blames_nobody() {
    let mut watch = Watch::registering();
    let (_, first) = watch.next(1).unwrap();
    let (waited_ms, second) = watch.next(60).unwrap();
    assert_eq!((waited_ms, watch.state()), (40_000, "trying".into()));
    assert!(watch.desk.alarms().is_empty());
    watch.answer(&first, 200);
    assert_eq!(watch.state(), "trying", "that one was given up");
    // The dataplane dies with the next one in its hands.
    watch.desk.office.handle_dataplane(watch.desk.time, 1);
    let (waited_ms, third) = watch.next(1).unwrap();
    assert!(waited_ms <= 50 && third.id != second.id);
    watch.answer(&second, 200);
    assert_eq!(watch.state(), "trying");
    watch.answer(&third, 200);
    assert_eq!(watch.state(), "registered");
}

#[test]
fn nothing_piles_up_while_no_dataplane_reads() {
    let mut watch = Watch::checked();
    for _ in 0..1_000 {
        watch.desk.pass(5_000);
    }
    let waiting: usize = watch.desk.office.down.iter().map(downward::Downward::len).sum();
    assert!(waiting <= 1, "{waiting}");
    assert!(watch.desk.alarms().is_empty(), "nobody knows anything of the vendor");
}

#[test]
fn three_failures_in_a_row_are_offline_and_two_answers_online_again() {
    let mut watch = Watch::checked();
    let probe = |watch: &mut Watch, status| {
        let (waited_ms, errand) = watch.next(31).unwrap();
        assert_eq!(ErrandKind::from(errand.kind), ErrandKind::Options);
        watch.answer(&errand, status);
        assert!(waited_ms <= 30_000, "{waited_ms}");
        watch.desk.excluded()["first"].clone()
    };
    let seen: Vec<String> =
        [200, 0, 503, 404, 408, 0, 504].map(|status| probe(&mut watch, status)).into();
    assert_eq!(seen, ["", "", "", "", "", "", "offline"], "404 is somebody");
    assert_eq!(watch.desk.alarms(), ["gateway_offline"]);
    assert!(!watch.desk.routing("first")["online"].as_bool().unwrap());
    let (_, route) = watch.desk.call();
    assert_eq!(route.candidates_used, 1);
    let status = watch.desk.say(Method::Get, "status", Value::Null).unwrap();
    assert_eq!(status["gateways"], json!({"first": false}));
    let seen = [200, 0, 200, 405].map(|status| probe(&mut watch, status));
    assert_eq!(seen, ["offline", "offline", "offline", ""]);
    assert!(watch.desk.alarms().is_empty());
    assert_eq!(watch.desk.routing("first")["options_round_trip_us"], 1_500);
}

#[test]
fn who_is_probed_no_longer_is_online() {
    let mut watch = Watch::checked();
    for _ in 0..3 {
        let (_, errand) = watch.next(31).unwrap();
        watch.answer(&errand, 0);
    }
    assert_eq!(watch.desk.excluded()["first"], "offline");
    watch.desk.patch("gateway/routing/first", json!({"options_check": false}));
    assert_eq!((watch.desk.excluded()["first"].as_str(), watch.desk.alarms().len()), ("", 0));
    assert!(watch.next(100).is_none());
}

#[test]
fn probes_of_many_gateways_lie_evenly_in_the_interval() {
    let mut watch = Watch::checked();
    for number in 0..99 {
        let gateway = json!({
            "name": format!("more {number}"), "account": "vendor", "target": "10.3.0.1",
            "options_check": true,
        });
        watch.desk.post("gateway/routing", gateway).unwrap();
    }
    let mut seconds = [0_u32; 60];
    for second in &mut seconds {
        for _ in 0..20 {
            watch.desk.pass(50);
            watch.take();
            for errand in std::mem::take(&mut watch.sent) {
                *second += 1;
                watch.answer(&errand, 200);
            }
        }
    }
    assert_eq!(seconds.iter().sum::<u32>(), 200, "two each: {seconds:?}");
    assert!(seconds.iter().all(|count| (2..=5).contains(count)), "{seconds:?}");
}

#[test]
fn what_is_under_way_has_an_end_and_nobody_starves() {
    let mut watch = Watch::checked();
    for number in 0..600 {
        let gateway = json!({
            "name": format!("more {number}"), "account": "vendor", "target": "10.3.0.1",
            "options_check": true,
        });
        watch.desk.post("gateway/routing", gateway).unwrap();
    }
    let mut asked = std::collections::BTreeSet::new();
    let mut most = 0;
    for _ in 0..400 {
        watch.desk.pass(1_000);
        watch.take();
        asked.extend(std::mem::take(&mut watch.sent).iter().map(|errand| errand.gateway));
        most = most.max(watch.desk.office.upstream_under_way());
    }
    assert_eq!((most, asked.len()), (256, 601));
}

fn news(watch: &mut Watch, kind: News, seconds: u32) {
    let gateway = watch.desk.routing("first")["id"].as_u64().unwrap() as u32;
    let news = GatewayNews { gateway, seconds, kind: kind as u8, spare: 0, status: 503 };
    watch.desk.office.handle_news(watch.desk.time, &news);
}

#[test]
fn who_asks_for_rest_has_a_minute_at_most_and_none_when_he_is_the_last() {
    let mut watch = Watch::new(json!({}));
    news(&mut watch, News::RetryAfter, 0);
    assert_eq!(watch.desk.excluded()["first"], "");
    news(&mut watch, News::RetryAfter, 30);
    news(&mut watch, News::RetryAfter, 10);
    watch.desk.pass(29_000);
    assert_eq!(watch.desk.excluded()["first"], "retry_after");
    assert_eq!(watch.desk.call().1.candidates_used, 1);
    watch.desk.pass(1_050);
    assert_eq!(watch.desk.excluded()["first"], "");
    news(&mut watch, News::RetryAfter, 86_400);
    watch.desk.pass(59_000);
    assert_eq!(watch.desk.excluded()["first"], "retry_after");
    watch.desk.patch("gateway/routing/second", json!({"locked": true}));
    assert_eq!(watch.desk.excluded()["first"], "", "nobody else is left");
    watch.desk.patch("gateway/routing/second", json!({"locked": false}));
    watch.desk.pass(1_050);
    assert_eq!(watch.desk.excluded()["first"], "");
    watch.desk.patch("gateway/routing/first", json!({"retry_after": false}));
    news(&mut watch, News::RetryAfter, 30);
    assert_eq!(watch.desk.excluded()["first"], "", "it is not heeded there");
}

#[test]
fn what_calls_find_out_counts_too() {
    let mut watch = Watch::checked();
    news(&mut watch, News::PasswordRefused, 0);
    assert_eq!(watch.desk.alarms(), ["password_refused"]);
    watch.desk.patch("gateway/routing/first", json!({"auth_password": "right"}));
    assert!(watch.desk.alarms().is_empty());
    for _ in 0..3 {
        news(&mut watch, News::Unreachable, 0);
    }
    assert_eq!(watch.desk.excluded()["first"], "offline");
    let mut unchecked = Watch::new(json!({}));
    for _ in 0..9 {
        news(&mut unchecked, News::Unreachable, 0);
    }
    assert_eq!(unchecked.desk.excluded()["first"], "");
}

#[test]
fn a_call_does_not_move_on_to_a_vendor_that_went_offline() {
    let mut watch = Watch::new(json!({}));
    watch.desk.patch("gateway/routing/second", json!({"options_check": true}));
    let (admit, route) = watch.desk.call();
    for _ in 0..3 {
        let gateway = route.candidates[1].gateway;
        let kind = News::Unreachable as u8;
        let news = GatewayNews { gateway, seconds: 0, kind, spare: 0, status: 0 };
        watch.desk.office.handle_news(watch.desk.time, &news);
    }
    let reroute = Reroute { call: admit.call, gateway: route.candidates[1].gateway, spare: 0 };
    watch.desk.office.handle_ask(watch.desk.time, 0, &Ask::Reroute(reroute), || None);
    assert!(matches!(watch.desk.answers()[..], [Answer::Rerouted(it)] if it.granted == 0));
}

/// What the parameters of registrations and probes could change, in one line.
pub(super) fn behaviour(name: &str, value: &str) -> String {
    let mut watch = Watch::registering();
    watch.desk.patch("gateway/routing/second", json!({"options_check": true}));
    // A fence needs sets, and no question of ours asks for it.
    if !name.is_empty() && !name.starts_with("TG_FENCE") {
        watch.desk.set(name, value);
    }
    let mut seen = String::new();
    for second in 0..300_u32 {
        watch.desk.pass(1_000);
        watch.take();
        for errand in std::mem::take(&mut watch.sent) {
            seen.push_str(&format!("{second} s: {} for {}; ", errand.kind, errand.expires_s));
            // Both vendors are down for the first half.
            watch.answer(&errand, if second < 150 { 0 } else { 200 });
        }
        let excluded = watch.desk.excluded();
        seen.push_str(&format!("{}{};", &excluded["first"], &excluded["second"]));
    }
    watch.desk.say(Method::Delete, "gateway/routing/first", Value::Null).unwrap();
    watch.desk.pass(50);
    watch.take();
    format!("{seen} {} left", watch.sent.iter().filter(|it| it.kind == 1).count())
}
