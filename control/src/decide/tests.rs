//! Decisions, scripted: an office with one customer and two vendors, and what it says and stores.

mod phones;

use std::collections::BTreeMap;
use std::time::Duration;

use link::answer::{Refuse, Route};
use link::ask::{Abandon, Admit, Answered, Credentials, Identities, Reroute};
use link::record::{Attempt, EndReason, Facts, NEVER};
use link::{Answer, Ask, Endpoint, Text};
use serde_json::{Value, json};

use super::*;
use crate::cdr::Cdr;
use crate::reconcile::News;

mod abuse;
mod accounts;
mod agents;
mod announcements;
mod books;
mod credit;
mod guests;
mod illegal;
mod imports;
mod invoices;
mod jail;
mod lost;
mod names;
mod numbers;
mod openings;
mod packages;
mod parameters;
mod pricing;
mod quality;
mod rate_sheets;
mod recordings;
mod sight;
mod tariffs;
mod upstream;

use crate::store::{LedgerEntry, Opened};

struct Desk {
    office: Office,
    time: Time,
    calls: u64,
}

/// What the store was given.
#[derive(Default)]
struct Written {
    starts: Vec<Cdr>,
    ends: Vec<Cdr>,
    ledger: Vec<LedgerEntry>,
}

impl Desk {
    /// A customer at 10.1.0.1 with `money` pays 0.60 a minute; `first` and `second` serve 44.
    fn new(money: &str) -> Self {
        let time = Time { now: Duration::from_secs(1000), wall_us: 1_700_000_000_000_000 };
        let mut desk = Self { office: Office::new(Loaded::default(), 2), time, calls: 0 };
        desk.furnish(money);
        desk.settle();
        desk
    }

    /// What every desk has.
    fn furnish(&mut self, money: &str) {
        let desk = self;
        for role in ["customer", "vendor"] {
            desk.post("account", json!({"name": role, "role": role})).unwrap();
        }
        for (tariff, rate) in [("sell", "0.60"), ("buy", "0.30")] {
            desk.post("tariff", json!({"name": tariff})).unwrap();
            let row = json!({"prefix": "44", "rate": rate});
            desk.post(&format!("tariff/{tariff}/rate"), row).unwrap();
        }
        let gateway = json!({
            "name": "in", "account": "customer", "tariff": "sell", "addresses": ["10.1.0.1"],
        });
        desk.post("gateway/mapping", gateway).unwrap();
        for (place, name) in ["first", "second"].iter().enumerate() {
            let gateway = json!({
                "name": name, "account": "vendor", "tariff": "buy", "priority": place + 1,
                "target": format!("10.2.0.{}:5060", place + 1), "prefixes": ["44"],
            });
            desk.post("gateway/routing", gateway).unwrap();
        }
        let payment = json!({"amount": money, "request_id": "opening"});
        desk.post("account/customer/payment", payment).unwrap();
    }

    /// A change of a document.
    fn patch(&mut self, path: &str, body: Value) {
        self.say(Method::Patch, path, body).unwrap();
    }

    /// By both clocks.
    fn pass(&mut self, ms: u64) {
        self.time.now += Duration::from_millis(ms);
        self.time.wall_us += ms * 1_000;
        self.office.handle_tick(self.time);
    }

    /// Orders for all workers.
    fn orders(&mut self) -> Vec<Order> {
        let workers = self.office.down.len();
        let mut orders = Vec::new();
        for worker in 0..workers {
            while let Some(down) = self.office.poll_down(worker) {
                if let Down::Order(order) = down {
                    orders.push(order);
                }
            }
        }
        orders
    }

    /// Why each gateway is not tried, by `route explain`; empty: it is.
    fn excluded(&self) -> BTreeMap<String, String> {
        let explained = self.office.explain_route(self.time, "in", "39021234", "44207").unwrap();
        let items = explained["items"].as_array().unwrap().iter();
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        items.map(|item| (text(&item["gateway"]), text(&item["excluded"]))).collect()
    }

    fn alarms(&self) -> Vec<String> {
        let page = crate::page::Page { limit: 100, cursor: None };
        let list = self.office.journal.alarms(&page);
        let items = list["items"].as_array().unwrap().iter();
        items.map(|alarm| alarm["name"].as_str().unwrap().to_owned()).collect()
    }

    /// As the API shows it.
    fn routing(&mut self, name: &str) -> Value {
        self.say(Method::Get, &format!("gateway/routing/{name}"), Value::Null).unwrap()
    }

    fn say(&mut self, method: Method, path: &str, body: Value) -> Result<Value, crate::Refusal> {
        let command = Command {
            method,
            path: path.split('/').map(str::to_owned).collect(),
            query: BTreeMap::new(),
            body,
            rates: Vec::new(),
            ranges: None,
            entries: None,
            records: None,
            sheet: None,
        };
        self.office.handle_command(self.time, &command)
    }

    fn post(&mut self, path: &str, body: Value) -> Result<Value, crate::Refusal> {
        self.say(Method::Post, path, body)
    }

    fn set(&mut self, name: &str, value: &str) {
        self.say(Method::Put, &format!("param/{name}"), json!({ "value": value })).unwrap();
    }

    fn balance(&self, account: &str) -> String {
        let id = self.office.state.account(account).unwrap().id;
        self.office.state.balances[&id].amount.to_string()
    }

    fn reserved(&self) -> Money {
        let id = self.office.state.account("customer").unwrap().id;
        self.office.state.balances[&id].reserved
    }

    fn invite(&mut self, source: &str, callee: &str) -> Admit {
        self.calls += 1;
        let facts = Facts {
            source: Endpoint::from(source.parse::<std::net::SocketAddr>().unwrap()),
            caller: Text::new(b"39021234").unwrap(),
            callee: Text::new(callee.as_bytes()).unwrap(),
            call_id: Text::new(format!("call-{}", self.calls).as_bytes()).unwrap(),
            cseq: 1,
            ..Facts::default()
        };
        Admit {
            call: CallKey { slot: self.calls as u32, generation: 1 },
            record: [self.calls, 7],
            asked_us: 0,
            deadline_us: u64::MAX,
            started_us: self.time.wall_us,
            facts,
            identities: Identities::default(),
            credentials: Credentials::default(),
            transferor: 0,
            spare: 0,
        }
    }

    fn answers(&mut self) -> Vec<Answer> {
        std::iter::from_fn(|| self.office.poll_down(0))
            .filter_map(|down| match down {
                Down::Answer(answer) => Some(answer),
                Down::Order(_) => None,
            })
            .collect()
    }

    fn ask(&mut self, admit: &Admit) -> Result<Route, Refuse> {
        self.answers();
        self.office.handle_admit(self.time, 0, admit);
        match self.answers()[..] {
            [Answer::Route(route)] => Ok(route),
            [Answer::Refuse(refuse)] => Err(refuse),
            ref other => panic!("one answer, not {other:?}"),
        }
    }

    fn call(&mut self) -> (Admit, Route) {
        let admit = self.invite("10.1.0.1:5060", "44207");
        let route = self.ask(&admit).unwrap();
        (admit, route)
    }

    /// Takes all changes, as a store that is never late.
    fn settle(&mut self) -> Written {
        let mut written = Written::default();
        while let Some(change) = self.office.poll_change() {
            match change {
                Change::CdrStart(cdr) => written.starts.push(*cdr),
                Change::CdrEnd(cdr) => written.ends.push(*cdr),
                Change::Ledger(entry) => written.ledger.push(*entry),
                _ => {}
            }
        }
        let last = self.office.last_change();
        self.office.handle_stored(last);
        written
    }

    fn released(&mut self) -> Vec<CallKey> {
        std::iter::from_fn(|| self.office.poll_release()).map(|(_, key)| key).collect()
    }
}

/// The record of a call that was answered by the first vendor and talked for `talk_ms`.
fn talked(admit: &Admit, route: &Route, talk_ms: u32) -> CallRecord {
    let mut record = CallRecord {
        id: admit.record,
        started_us: admit.started_us,
        facts: admit.facts,
        customer_gateway: route.customer_gateway,
        callee_billed: route.callee_billed,
        customer_terms: route.candidates[0].customer_terms,
        vendor_terms: route.candidates[0].terms,
        granted_s: if route.granted_s == 0 {
            0
        } else {
            route.granted_s.max(talk_ms.div_ceil(1000))
        },
        answered_ms: 1000,
        ended_ms: 1000 + talk_ms,
        reason: EndReason::Normal as u8,
        attempts_used: 1,
        ..CallRecord::empty()
    };
    record.attempts[0] = Attempt {
        gateway: route.candidates[0].gateway,
        ringing_ms: NEVER,
        answered_ms: 1000,
        ended_ms: 1000 + talk_ms,
        ..Attempt::default()
    };
    record
}

#[test]
fn a_call_is_charged_to_the_digit_on_both_sides_and_only_once() {
    let mut desk = Desk::new("10");
    let (admit, route) = desk.call();
    let record = talked(&admit, &route, 90_000);
    for _ in 0..3 {
        desk.office.handle_ended(desk.time, 0, admit.call, &record, false);
    }
    let written = desk.settle();
    assert_eq!(written.ends.len(), 1);
    let amounts: Vec<i64> = written.ledger.iter().map(|entry| entry.amount).collect();
    assert_eq!(amounts, [-900_000_000, -450_000_000]);
    assert_eq!((desk.balance("customer"), desk.balance("vendor")), ("9.10".into(), "-0.45".into()));
    assert_eq!(desk.released(), [admit.call]);
    assert_eq!((desk.office.calls_live(), desk.reserved()), (0, Money::ZERO));
}

#[test]
fn an_end_that_was_durable_before_the_start_frees_its_slot_and_costs_nothing() {
    let mut desk = Desk::new("10");
    let (admit, route) = desk.call();
    desk.office.handle_ended(desk.time, 0, admit.call, &talked(&admit, &route, 60_000), true);
    let written = desk.settle();
    assert!(written.ends.is_empty() && written.ledger.is_empty());
    assert_eq!(desk.balance("customer"), "10.00");
    assert_eq!(desk.released(), [admit.call]);
}

#[test]
fn a_slot_is_free_only_once_its_record_is_durable() {
    let mut desk = Desk::new("10");
    let (admit, route) = desk.call();
    desk.office.handle_ended(desk.time, 0, admit.call, &talked(&admit, &route, 60_000), false);
    assert!(desk.released().is_empty());
    desk.settle();
    assert_eq!(desk.released(), [admit.call]);
}

#[test]
fn an_answer_is_committed_only_once_its_start_is_durable() {
    let mut desk = Desk::new("10");
    let (admit, route) = desk.call();
    let ask = Ask::Answered(Answered { call: admit.call, asked_us: 0 });
    let record = CallRecord { ended_ms: NEVER, ..talked(&admit, &route, 0) };
    desk.office.handle_ask(desk.time, 0, &ask, || Some(record));
    assert!(desk.answers().is_empty());
    assert_eq!(desk.settle().starts.len(), 1);
    assert!(matches!(desk.answers()[..], [Answer::Committed(done)] if done.call == admit.call));
}

#[test]
fn each_reason_to_refuse_has_its_status() {
    let mut desk = Desk::new("10");
    let refused = |desk: &mut Desk, source: &str, callee: &str| {
        let admit = desk.invite(source, callee);
        let no = desk.ask(&admit).unwrap_err();
        (no.status, EndReason::from_number(no.reason), no.stateless)
    };
    let (known, stranger) = ("10.1.0.1:5060", "10.9.9.9:5060");
    assert_eq!(refused(&mut desk, stranger, "44207"), (403, EndReason::Unauthorised, 1));
    assert_eq!(refused(&mut desk, known, "+"), (484, EndReason::BadNumber, 0));
    assert_eq!(refused(&mut desk, known, "33144"), (403, EndReason::NoRate, 0));
    for name in ["first", "second"] {
        desk.say(Method::Patch, &format!("gateway/routing/{name}"), json!({"locked": true}))
            .unwrap();
    }
    assert_eq!(refused(&mut desk, known, "44207"), (503, EndReason::NoRoute, 0));
    desk.say(Method::Patch, "gateway/mapping/in", json!({"locked": true})).unwrap();
    assert_eq!(refused(&mut desk, known, "44207"), (403, EndReason::Locked, 0));
    assert_eq!(desk.office.calls_live(), 0);
    let ends = desk.settle().ends;
    assert_eq!(ends.len(), 5, "one record per refused call");
}

#[test]
fn a_gateways_own_address_is_where_it_is_for_vendors_and_its_first_host_for_customers() {
    use link::profile::{ReplyAddress, RequestAddress};
    let mut desk = Desk::new("10");
    desk.orders();
    let mut address = |path: &str, body: Value| {
        desk.say(Method::Patch, path, body).map_err(|no| no.detail)?;
        let profile = desk.orders().into_iter().find_map(|order| match order {
            Order::Profile(profile) => Some(profile),
            _ => None,
        });
        let profile = profile.unwrap();
        let modes = (profile.reply_address, profile.request_address);
        assert_eq!(modes, (ReplyAddress::Fixed as u8, RequestAddress::Fixed as u8));
        Ok(profile.address.socket_address().unwrap().to_string())
    };
    let fixed = json!({"reply_address": "fixed", "request_address": "fixed"});
    assert_eq!(address("gateway/routing/first", fixed.clone()), Ok("10.2.0.1:5060".into()));
    assert_eq!(address("gateway/mapping/in", fixed), Ok("10.1.0.1:5060".into()));
    let of = |addresses: &[&str]| json!({ "addresses": addresses });
    for (addresses, own) in [
        (&["10.1.0.0/24", "10.1.0.7:5070", "10.1.0.8"][..], "10.1.0.7:5070"),
        (&["[2001:db8::7]:5070"], "[2001:db8::7]:5070"),
        (&["2001:db8::7/128"], "[2001:db8::7]:5060"),
    ] {
        assert_eq!(address("gateway/mapping/in", of(addresses)), Ok(own.into()));
    }
    // A mode that could do nothing is refused by its name.
    let none: Result<String, String> = address("gateway/mapping/in", of(&["10.1.0.0/24"]));
    assert!(none.unwrap_err().starts_with("reply_address: fixed needs a host"));
}

#[test]
fn certificates_that_cannot_be_used_are_an_alarm_until_some_can() {
    let mut desk = Desk::new("10");
    let mut look = |read, refused| {
        desk.office.handle_certificates(desk.time, read, refused);
        !desk.alarms().is_empty()
    };
    assert_eq!([look(0, 0), look(0, 1), look(0, 1)], [false, true, true]);
    assert_eq!([look(1, 1), look(1, 1), look(1, 2)], [false, false, true]);
    assert!(!look(0, 0), "a new dataplane has read them all");
}

#[test]
fn lines_and_pace_of_a_gateway_hold() {
    let mut desk = Desk::new("10000");
    desk.say(Method::Patch, "gateway/mapping/in", json!({"lines_max": 2})).unwrap();
    let (one, route) = desk.call();
    desk.call();
    let admit = desk.invite("10.1.0.1:5060", "44207");
    assert_eq!(desk.ask(&admit).unwrap_err().reason, EndReason::LinesFull as u8);
    desk.office.handle_ended(desk.time, 0, one.call, &talked(&one, &route, 0), false);
    desk.call();
    let limits = json!({"lines_max": 0, "cps_max": 1});
    desk.say(Method::Patch, "gateway/mapping/in", limits).unwrap();
    desk.time.now += Duration::from_secs(60);
    desk.call();
    for (heeds, seconds) in [(true, 1), (false, 0)] {
        desk.say(Method::Patch, "gateway/mapping/in", json!({"retry_after": heeds})).unwrap();
        let admit = desk.invite("10.1.0.1:5060", "44207");
        let no = desk.ask(&admit).unwrap_err();
        let said = (no.status, no.reason, no.retry_after_s);
        assert_eq!(said, (503, EndReason::RateLimit as u8, seconds));
    }
}

#[test]
fn a_call_that_changes_its_vendor_takes_its_line_along() {
    let mut desk = Desk::new("1000");
    let lines = json!({ "lines_max": 1 });
    desk.say(Method::Patch, "gateway/routing/second", lines).unwrap();
    let (first, route) = desk.call();
    let (other, _) = desk.call();
    let second = route.candidates[1].gateway;
    let lines = |desk: &Desk, gateway| desk.office.state.limiters[&gateway].lines();
    let moves = |desk: &mut Desk, call| {
        let ask = Ask::Reroute(Reroute { call, gateway: second, spare: 0 });
        desk.office.handle_ask(desk.time, 0, &ask, || None);
        match desk.answers()[..] {
            [Answer::Rerouted(rerouted)] => rerouted.granted == 1,
            ref other => panic!("one answer, not {other:?}"),
        }
    };
    assert_eq!((moves(&mut desk, first.call), moves(&mut desk, first.call)), (true, true));
    assert_eq!((lines(&desk, route.candidates[0].gateway), lines(&desk, second)), (1, 1));
    assert!(!moves(&mut desk, other.call), "its only line is taken");
    let ended = CallRecord { answered_ms: NEVER, ..talked(&first, &route, 0) };
    desk.office.handle_ended(desk.time, 0, first.call, &ended, false);
    assert_eq!(lines(&desk, second), 0);
    assert!(moves(&mut desk, other.call));
    assert!(!moves(&mut desk, first.call), "it is over");
}

#[test]
fn a_refused_call_has_the_record_of_its_gateway_however_the_number_was_written() {
    let mut desk = Desk::new("10");
    let rules = json!({ "tech_prefix": "99", "locked": true });
    desk.say(Method::Patch, "gateway/mapping/in", rules).unwrap();
    for callee in ["9944207", "+9944207", "009944207"] {
        let admit = desk.invite("10.1.0.1:5060", callee);
        desk.ask(&admit).unwrap_err();
        let written = desk.settle();
        assert_eq!(written.ends[0].gateway, "in", "{callee}");
        assert_ne!(written.ends[0].customer, 0, "{callee}");
    }
}

#[test]
fn candidates_come_in_order_of_priority() {
    let mut desk = Desk::new("10");
    let (_, route) = desk.call();
    let targets: Vec<Endpoint> = route.candidates().iter().map(|one| one.target).collect();
    let wanted = ["10.2.0.1:5060", "10.2.0.2:5060"]
        .map(|text| Endpoint::from(text.parse::<std::net::SocketAddr>().unwrap()));
    assert_eq!(targets, wanted);
}

#[test]
fn parallel_calls_on_one_balance_never_overspend_it() {
    // 0.01 a second: one euro is 100 s.
    let mut desk = Desk::new("1");
    let (one, route) = desk.call();
    assert_eq!((route.granted_s, desk.call().1.granted_s), (60, 40));
    let admit = desk.invite("10.1.0.1:5060", "44207");
    let no = desk.ask(&admit).unwrap_err();
    assert_eq!((no.status, no.reason), (403, EndReason::NoBalance as u8));
    desk.office.handle_ended(desk.time, 0, one.call, &talked(&one, &route, 40_000), false);
    assert_eq!(desk.call().1.granted_s, 20);
}

#[test]
fn a_call_that_is_to_come_again_is_recorded_if_it_does_not() {
    let mut desk = Desk::new("10");
    let refused = |desk: &mut Desk, admit: &Admit| {
        desk.ask(admit).unwrap();
        let abandon = Abandon { call: admit.call, reason: EndReason::Rejected as u32, status: 422 };
        desk.office.handle_ask(desk.time, 0, &Ask::Abandon(abandon), || None);
        assert_eq!(desk.reserved(), Money::ZERO, "it holds nothing meanwhile");
    };
    let admit = desk.invite("10.1.0.1:5060", "44207");
    refused(&mut desk, &admit);
    // It asks for a longer session, as it was told.
    desk.pass(20_000);
    let again = Admit { facts: admit.facts, ..desk.invite("10.1.0.1:5060", "44207") };
    let route = desk.ask(&again).unwrap();
    desk.office.handle_ended(desk.time, 0, again.call, &talked(&again, &route, 60_000), false);
    desk.pass(40_000);
    let ends = desk.settle().ends;
    assert_eq!(ends.len(), 1);
    assert_eq!(ends[0].record.end_reason(), EndReason::Normal);
    // It does not.
    let admit = desk.invite("10.1.0.1:5060", "44207");
    refused(&mut desk, &admit);
    desk.pass(31_000);
    assert!(desk.settle().ends.is_empty());
    desk.pass(1_000);
    let ends = desk.settle().ends;
    let [end] = &ends[..] else { panic!("one, not {}", ends.len()) };
    assert_eq!((end.record.status, end.record.end_reason()), (422, EndReason::Rejected));
    assert_eq!(end.record.id, admit.record);
    assert_eq!(end.record.customer_gateway, route.customer_gateway);
}

#[test]
fn an_abandoned_call_gives_back_all_it_held() {
    let mut desk = Desk::new("1");
    let (admit, _) = desk.call();
    assert_ne!(desk.reserved(), Money::ZERO);
    let (reason, status) = (EndReason::Cancelled as u32, 487);
    let ask = Ask::Abandon(Abandon { call: admit.call, reason, status });
    desk.office.handle_ask(desk.time, 0, &ask, || None);
    assert_eq!((desk.office.calls_live(), desk.reserved()), (0, Money::ZERO));
    assert_eq!(desk.settle().ends.len(), 1);
    desk.office.handle_ask(desk.time, 0, &ask, || None);
    assert!(desk.settle().ends.is_empty());
}

#[test]
fn a_call_that_nobody_waits_for_any_more_is_not_decided() {
    let mut desk = Desk::new("1");
    let now_us = desk.time.now.as_micros() as u64;
    let expired = Admit { deadline_us: now_us, ..desk.invite("10.1.0.1:5060", "44207") };
    let waits = Admit { deadline_us: now_us + 1, ..desk.invite("10.1.0.1:5060", "44207") };
    for admit in [expired, waits] {
        desk.office.handle_ask(desk.time, 0, &Ask::Admit(admit), || None);
    }
    let answers = desk.answers();
    assert!(matches!(answers[..], [Answer::Route(route)] if route.call == waits.call));
    let status = desk.say(Method::Get, "status", Value::Null).unwrap();
    assert_eq!((desk.office.calls_live(), &status["asks"]["expired"]), (1, &json!(1)));
    // Its worker gave it up at the same time and says so: there is nothing to release.
    let (reason, status) = (EndReason::Overload as u32, 503);
    let abandon = Ask::Abandon(Abandon { call: expired.call, reason, status });
    desk.office.handle_ask(desk.time, 0, &abandon, || None);
    assert_eq!(desk.office.calls_live(), 1);
}

#[test]
fn a_vendor_whose_rules_leave_no_number_is_no_candidate() {
    let mut desk = Desk::new("10");
    let rules = json!({"callee_rules": [{"original": "44207", "target": ""}]});
    desk.say(Method::Patch, "gateway/routing/first", rules.clone()).unwrap();
    let (admit, route) = desk.call();
    assert_eq!(route.candidates_used, 1);
    assert_eq!(route.candidates[0].callee.as_bytes(), b"44207");
    desk.office.handle_ended(desk.time, 0, admit.call, &talked(&admit, &route, 0), false);
    desk.say(Method::Patch, "gateway/routing/second", rules).unwrap();
    let admit = desk.invite("10.1.0.1:5060", "44207");
    let no = desk.ask(&admit).unwrap_err();
    assert_eq!((no.status, no.reason), (503, EndReason::NoRoute as u8));
    assert_eq!(desk.office.calls_live(), 0);
}

#[test]
fn a_draining_node_tells_customers_when_to_come_back_and_strangers_nothing() {
    let mut desk = Desk::new("10");
    desk.post("drain", json!({"draining": true})).unwrap();
    let admit = desk.invite("10.1.0.1:5060", "44207");
    let no = desk.ask(&admit).unwrap_err();
    assert_eq!((no.status, no.retry_after_s, no.stateless), (503, 5, 0));
    let admit = desk.invite("10.9.9.9:5060", "44207");
    let no = desk.ask(&admit).unwrap_err();
    assert_eq!((no.status, no.stateless), (403, 1));
}

#[test]
fn a_free_number_needs_no_balance_and_stays_free_while_parameters_change() {
    let mut desk = Desk::new("0.000001");
    desk.set("BILLING_FREE_E164S", "44");
    let (admit, route) = desk.call();
    desk.set("BILLING_FREE_E164S", "");
    desk.office.handle_ended(desk.time, 0, admit.call, &talked(&admit, &route, 60_000), false);
    let written = desk.settle();
    assert_eq!(written.ends[0].customer_charge.fee, Money::ZERO);
    assert_eq!(written.ends[0].vendor_charge.fee, "0.30".parse().unwrap());
}

#[test]
fn a_call_that_is_asked_for_twice_holds_one_line() {
    let mut desk = Desk::new("10000");
    let (admit, route) = desk.call();
    desk.ask(&admit).unwrap();
    desk.office.handle_ended(desk.time, 0, admit.call, &talked(&admit, &route, 0), false);
    assert_eq!((desk.office.calls_live(), desk.reserved()), (0, Money::ZERO));
    assert!(desk.office.state.limiters.values().all(|limiter| limiter.lines() == 0));
}

#[test]
fn a_number_is_made_normal_once_unless_a_tech_prefix_was_cut() {
    let mut desk = Desk::new("10");
    desk.say(Method::Patch, "gateway/mapping/in", json!({"tech_prefix": "99"})).unwrap();
    let admit = desk.invite("10.1.0.1:5060", "990044207");
    assert_eq!(desk.ask(&admit).unwrap().callee_billed.as_bytes(), b"44207");
    desk.say(Method::Patch, "gateway/mapping/in", json!({"tech_prefix": ""})).unwrap();
    let admit = desk.invite("10.1.0.1:5060", "+0044207");
    let no = desk.ask(&admit).unwrap_err();
    assert_eq!(no.reason, EndReason::NoRate as u8);
}

#[test]
fn a_charge_that_nobody_owns_is_an_alarm() {
    let mut desk = Desk::new("10");
    let (admit, route) = desk.call();
    let mut record = talked(&admit, &route, 60_000);
    record.attempts[0].gateway = 999;
    desk.office.handle_ended(desk.time, 0, admit.call, &record, false);
    assert!(desk.office.journal.stands("charge_unowned", "vendor"));
    assert_eq!(desk.balance("customer"), "9.40");
}

#[test]
fn the_end_of_an_answered_call_is_never_suppressed() {
    let mut desk = Desk::new("10");
    desk.set("SERVER_BILLING_RECORD_ZERO_HOLD_TIME", "0");
    desk.settle();
    let (admit, route) = desk.call();
    desk.office.handle_ended(desk.time, 0, admit.call, &talked(&admit, &route, 0), false);
    let (other, route) = desk.call();
    let record = CallRecord { answered_ms: NEVER, ..talked(&other, &route, 0) };
    let mut silent = record;
    silent.attempts[0].answered_ms = NEVER;
    desk.office.handle_ended(desk.time, 0, other.call, &silent, false);
    let ends = desk.settle().ends;
    assert_eq!(ends.len(), 1);
    assert_eq!(desk.released(), [admit.call, other.call]);
}

#[test]
fn an_ended_call_leaves_nothing_behind() {
    let mut desk = Desk::new("10000");
    for _ in 0..100 {
        let (admit, route) = desk.call();
        desk.office.handle_ended(desk.time, 0, admit.call, &talked(&admit, &route, 1000), false);
        desk.settle();
        desk.released();
    }
    assert!(desk.office.ending.is_empty() && desk.office.waiting.is_empty());
    assert!(desk.office.live.is_empty() && desk.office.changes.is_empty());
}

#[test]
fn the_driver_hears_of_a_denial_when_it_comes_changes_and_goes() {
    let mut desk = Desk::new("10");
    let deny = |for_s: u64| json!({"prefix": "10.66.0.0/16", "for_s": for_s});
    desk.office.handle_tick(desk.time);
    let Some(News::Whole(all)) = desk.office.poll_guard(desk.time) else { panic!("not all") };
    assert!(all.deny.is_empty());
    assert!(desk.office.poll_guard(desk.time).is_none());
    for for_s in [60, 90] {
        desk.post("firewall/deny", deny(for_s)).unwrap();
        let Some(News::Denied(denial)) = desk.office.poll_guard(desk.time) else {
            panic!("{for_s}")
        };
        assert_eq!(denial.prefix.to_string(), "10.66.0.0/16");
        assert_eq!(denial.not_after, Some(desk.time.now + Duration::from_secs(for_s)));
        assert!(desk.office.poll_guard(desk.time).is_none(), "one entry costs one entry");
    }
    desk.time.wall_us += 89_000_000;
    desk.office.handle_tick(desk.time);
    assert!(desk.office.poll_guard(desk.time).is_none());
    desk.time.wall_us += 2_000_000;
    desk.office.handle_tick(desk.time);
    let Some(News::Admitted(prefix)) = desk.office.poll_guard(desk.time) else {
        panic!("it ended")
    };
    assert_eq!(prefix.to_string(), "10.66.0.0/16");
    assert!(desk.office.poll_guard(desk.time).is_none());
}

#[test]
fn the_driver_knows_gateways_by_their_contracts_and_administrators_by_the_list() {
    let mut desk = Desk::new("10");
    desk.post("firewall/trust", json!({"name": "192.0.2.0/24", "admin": true})).unwrap();
    desk.post("firewall/trust", json!({"name": "10.1.0.0/24"})).unwrap();
    desk.say(Method::Patch, "gateway/mapping/in", json!({"cps_max": 150})).unwrap();
    let Some(News::Whole(all)) = desk.office.poll_guard(desk.time) else { panic!("not all") };
    let shown = all.perimeter.trust.iter().map(|it| {
        format!("{} {} {} {} {}", it.prefix, it.trunk, it.rates.invites, it.rates.rest, it.admin)
    });
    let plain = "2000/s burst 4000 2000/s burst 4000";
    assert_eq!(
        shown.collect::<Vec<_>>(),
        [
            format!("10.1.0.0/24 trust 10.1.0.0/24 {plain} false"),
            "10.1.0.1 mapping in 300/s burst 600 3000/s burst 6000 false".to_owned(),
            format!("10.2.0.1 routing first {plain} false"),
            format!("10.2.0.2 routing second {plain} false"),
            format!("192.0.2.0/24 trust 192.0.2.0/24 {plain} true"),
        ]
    );
}

#[test]
fn a_gateway_stays_while_a_running_call_may_go_to_it() {
    let mut desk = Desk::new("10");
    let call = desk.invite("10.1.0.1:5060", "44207");
    assert_eq!(desk.ask(&call).unwrap().candidates_used, 2);
    let delete = |desk: &mut Desk| {
        desk.say(Method::Delete, "gateway/routing/second", Value::Null).map_err(|it| it.status)
    };
    assert_eq!(delete(&mut desk), Err(409));
    desk.office.release(call.record);
    assert!(delete(&mut desk).is_ok());
}

#[test]
fn the_password_of_a_deleted_gateway_is_known_until_its_last_request_is_answered() {
    let mut desk = Desk::new("10");
    desk.orders();
    let gone = |desk: &mut Desk| {
        let gone = |order: &Order| matches!(order, Order::Profile(it) if it.present == 0);
        desk.orders().iter().filter(|order| gone(order)).count()
    };
    desk.say(Method::Delete, "gateway/routing/second", Value::Null).unwrap();
    desk.pass(63_000);
    assert_eq!(gone(&mut desk), 0, "a BYE may still be challenged");
    desk.pass(1_000);
    assert_eq!(gone(&mut desk), 2, "one for each worker");
    // There is room for who comes beside who left.
    desk.say(Method::Delete, "gateway/routing/first", Value::Null).unwrap();
    let gateway = json!({
        "name": "third", "account": "vendor", "tariff": "buy", "target": "10.2.0.3:5060",
    });
    desk.post("gateway/routing", gateway).unwrap();
    assert_eq!(gone(&mut desk), 0);
    desk.pass(64_000);
    assert_eq!(gone(&mut desk), 2);
}
