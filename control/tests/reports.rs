//! Every report against the list of records that it adds up: another program's reading of the same calls.

#![allow(clippy::unwrap_used, reason = "a test may stop at what cannot be")]

mod command_line;
#[allow(dead_code, reason = "shared with tests that need more of it")]
mod node;

use std::collections::BTreeMap;

use command_line::tollgate;
use control::agent::Agent;
use control::cdr::{Aggregate, BillingMode, Cdr};
use control::report::KINDS;
use control::report::measure::Measure;
use control::shown::AttemptShown;
use control::state::entity::{Entity, Kind};
use control::store::ledger::{Counter, EntryKind};
use control::store::sqlite::Sqlite;
use control::store::{Amounts, Change, Correction, LedgerEntry, Store};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use link::record::{EndReason, NEVER};
use link::{CallRecord, Text};
use node::Node;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use rating::{Charge, Money};
use serde_json::{Map, Value, json};

/// By number: name and currency. One is deleted.
const ACCOUNTS: [(u32, &str, &str); 5] = [
    (1, "acme", "EUR"),
    (2, "beta", "USD"),
    (BOB, "bob", "EUR"),
    (3, "carrier", "EUR"),
    (4, "wire", "USD"),
];
/// He brought the first of them.
const BOB: u32 = 5;
const GONE: (u32, &str) = (9, "gone");

/// 2026-03-28T20:00Z: clocks of Europe are put in the night after.
const BEGIN_US: u64 = 1_774_728_000_000_000;

prop_compose! {
    fn attempt()(
        gateway in select(vec!["out-1", "out-2", "out-3"]),
        sent_ms in 0_u32..500,
        ringing in prop::option::of(500_u64..4_000),
        answered in prop::option::weighted(0.4, 4_000_u64..9_000),
        ended in prop::option::of(9_000_u64..90_000),
    ) -> AttemptShown {
        AttemptShown {
            gateway: gateway.into(), sent_ms, ringing_ms: ringing, answered_ms: answered, ended_ms: ended,
            status: 200, reason: "normal", cause: None,
        }
    }
}

prop_compose! {
    fn call()(
        (minute, ms) in (0_u64..4_000, 0_u64..60_000),
        (answered, talk) in (prop::option::weighted(0.6, 1_u32..5_000), 0_u32..600_000),
        ringing in prop::option::of(1_u32..5_000),
        callee in select(vec!["4420712345", "+12125550", "390212", "3531", "0049", "", "98", "alice"]),
        was_transformed in any::<bool>(),
        (gateway, customer) in select(vec![("in-1", 1), ("in-2", 2), ("in-2", 9), ("in-3", 0), ("in-1", 2)]),
        (vendor_gateway, vendor) in select(vec![("out-1", 3), ("out-2", 4), ("", 0)]),
        income in -999_999_999_i64..999_999_999,
        (charge, tax, cost, vendor_tax) in (0_i64..9_999_999_999, 0_i64..999, 0_i64..5_000_000_000, 0_i64..99),
        (billed_s, vendor_billed_s) in (0_u64..700, 0_u64..700),
        (status, reason) in select(vec![
            (200, EndReason::Normal), (486, EndReason::Rejected), (0, EndReason::Cancelled),
        ]),
        illegal in prop::option::weighted(0.2, prop::option::of(2_u64..90_000)),
        attempts in prop::collection::vec(attempt(), 0..3),
    ) -> Cdr {
        let started_us = BEGIN_US + (minute * 60_000 + ms) * 1_000;
        let (answered_ms, talk) = match illegal {
            Some(_) => (NEVER, 7),
            None => (answered.unwrap_or(NEVER), talk),
        };
        let mut record = CallRecord {
            started_us, answered_ms, ringing_ms: ringing.unwrap_or(NEVER), status, reason: reason as u8,
            ended_ms: answered.unwrap_or(5_000) + talk, callee_billed: Text::default(),
            ..CallRecord::empty()
        };
        record.facts.callee = Text::new(callee.as_bytes()).unwrap();
        if was_transformed {
            record.callee_billed = Text::new(callee.trim_start_matches("00").as_bytes()).unwrap();
        }
        record.facts.source = "192.0.2.7:5060".parse::<std::net::SocketAddr>().unwrap().into();
        let fee = |fee: i64, tax: i64, billed_s| {
            let free = answered_ms == NEVER;
            let money = |amount| Money::from_billionths(if free { 0 } else { amount });
            Charge { billed_s, fee: money(fee), tax: money(tax) }
        };
        let name = |id: u32| {
            let account = ACCOUNTS.iter().find(|account| account.0 == id);
            account.map_or(if id == GONE.0 { GONE.1 } else { "" }, |it| it.1).to_owned()
        };
        let whose = |id| if illegal.is_some() { 0 } else { id };
        let (customer, vendor) = (whose(customer), whose(vendor));
        let earns = customer == 1 && answered_ms != NEVER;
        let agent = earns.then_some(Agent { account: BOB, terms: None });
        Cdr {
            record, customer, vendor, account: name(customer), vendor_account: name(vendor),
            billing_mode: if illegal.is_some() { BillingMode::Illegal } else { BillingMode::CustomerGateway },
            gateway: gateway.into(), vendor_gateway: vendor_gateway.into(),
            customer_charge: fee(charge, tax, billed_s),
            vendor_charge: fee(cost, vendor_tax, vendor_billed_s),
            attempts,
            agent,
            agent_account: "bob".into(),
            agent_income: Money::from_billionths(if earns { income } else { 0 }),
            aggregate: illegal.flatten().map(|calls| Aggregate { source: "198.51.100.0/24".into(), calls }),
            ..Cdr::default()
        }
    }
}

/// Some calls were set right once, some twice.
fn corrections(cdr: &Cdr, number: usize) -> Vec<Change> {
    let times = if cdr.billing_mode == BillingMode::Illegal { 0 } else { [0, 0, 1, 2][number % 4] };
    let mut old = Amounts { charge: cdr.customer_charge.fee, ..Amounts::default() };
    let corrections = (1..=times).map(|time| {
        let money = |amount: usize| Money::from_billionths((amount * time * (number + 1)) as i64);
        let new = Amounts {
            charge: money(1_000_003),
            tax: money(190_001),
            vendor_charge: money(700_001),
            vendor_tax: money(0),
            billed_s: (number * time) as u64,
            vendor_billed_s: (number + time) as u64,
        };
        Change::Correction(Box::new(Correction {
            id: cdr.record.id,
            request_id: time.to_string(),
            customer: cdr.customer,
            vendor: cdr.vendor,
            agent: cdr.agent.map_or(0, |agent| agent.account),
            old: std::mem::replace(&mut old, new),
            new,
            ..Correction::default()
        }))
    });
    corrections.collect()
}

/// A control that was left with many calls, and some entries.
fn after_many_calls(name: &str) -> Node {
    let mut node = Node::prepare(name);
    let mut store = Sqlite::open(&node.home.join("state/tollgate.db")).unwrap();
    store.load().unwrap();
    let mut changes = Vec::new();
    for (id, name, currency) in ACCOUNTS {
        let role = ["", "customer", "customer", "vendor", "vendor", "agent"][id as usize];
        let body = json!({"name": name, "role": role, "currency": currency});
        changes.push(Change::Put(Box::new(Entity::read(Kind::Account, id, body).unwrap())));
    }
    let mut runner = TestRunner::deterministic();
    let calls = prop::collection::vec(call(), 600).new_tree(&mut runner).unwrap().current();
    for (number, mut cdr) in calls.into_iter().enumerate() {
        cdr.record.id = [number as u64, 1];
        let corrections = corrections(&cdr, number);
        changes.push(Change::CdrEnd(Box::new(cdr)));
        changes.extend(corrections);
    }
    let mut balances = [0; 10];
    for number in 0..40_u32 {
        let (account, _, _) = ACCOUNTS[number as usize % 3];
        let kind = EntryKind::ALL[number as usize % 7];
        let amount = i64::from(number) * 1_000_000_007 - 9_000_000_000;
        balances[account as usize] += amount;
        changes.push(Change::Ledger(Box::new(LedgerEntry {
            account,
            kind,
            amount,
            balance: balances[account as usize],
            at_us: BEGIN_US + u64::from(number) * 3_600_000_000,
            counter: Counter::Cash,
            reference: number.to_string(),
            who: String::new(),
            memo: String::new(),
        })));
    }
    store.commit(&changes).unwrap();
    drop(store);
    node.run();
    node
}

/// What a row should say.
#[derive(Clone, Debug, Default, PartialEq)]
struct Fold {
    attempts: u64,
    answered: u64,
    talk_ms: u64,
    pdd: Vec<u64>,
    billed_s: u64,
    vendor_billed_s: u64,
    /// By currency: revenue, tax, cost, vendor's tax, what agents earned.
    money: BTreeMap<String, [i128; 5]>,
}

fn billionths(text: &Value) -> i128 {
    i128::from(text.as_str().unwrap().parse::<Money>().unwrap().billionths())
}

fn currency(account: &Value) -> String {
    let found = ACCOUNTS.iter().find(|it| account == it.1);
    found.map_or(String::new(), |it| it.2.into())
}

impl Fold {
    fn call(&mut self, call: &Value) {
        self.attempts += call["calls"].as_u64().unwrap();
        self.answered += u64::from(!call["answered"].is_null());
        self.talk_ms += call["hold_ms"].as_u64().unwrap();
        self.pdd.extend(call["pdd_ms"].as_u64());
        self.billed_s += call["billed_s"].as_u64().unwrap();
        self.vendor_billed_s += call["vendor_billed_s"].as_u64().unwrap();
        let sides = [
            ("account", ["charge", "tax"], 0),
            ("vendor_account", ["vendor_charge", "vendor_tax"], 2),
        ];
        for (account, amounts, place) in sides {
            let amounts = amounts.map(|name| billionths(&call[name]));
            if amounts != [0, 0] {
                let purse = self.money.entry(currency(&call[account])).or_default();
                purse[place] += amounts[0];
                purse[place + 1] += amounts[1];
            }
        }
    }

    fn income(&mut self, call: &Value) {
        let income = billionths(&call["agent_income"]);
        if income != 0 {
            self.money.entry(currency(&call["account"])).or_default()[4] += income;
        }
    }

    fn attempt(&mut self, call: &Value, attempt: &Value) {
        let time = |field: &str| {
            call[field].as_str().unwrap().parse::<Timestamp>().unwrap().as_millisecond()
        };
        let ms = |field: &str| attempt[field].as_i64();
        let ended = ms("ended_ms").unwrap_or(time("ended") - time("started"));
        self.attempts += 1;
        if let Some(answered) = ms("answered_ms") {
            self.answered += 1;
            self.talk_ms += u64::try_from(ended - answered).unwrap_or(0);
        }
        let rang = ms("ringing_ms").or(ms("answered_ms"));
        self.pdd.extend(rang.map(|rang| (rang - ms("sent_ms").unwrap()).cast_unsigned()));
    }

    /// What is no money, as far as the report tells it.
    fn counts(&self, columns: &[&str]) -> Map<String, Value> {
        let average = |sum: u64, of: u64| (of > 0).then(|| (sum + of / 2) / of);
        let hundredth = |value: f64| (value * 100.0).round() / 100.0;
        let asr = (self.attempts > 0)
            .then(|| hundredth(self.answered as f64 * 100.0 / self.attempts as f64));
        let all = json!({
            "attempts": self.attempts, "answered": self.answered, "asr_percent": asr,
            "acd_ms": average(self.talk_ms, self.answered), "talk_ms": self.talk_ms,
            "pdd_ms": average(self.pdd.iter().sum(), self.pdd.len() as u64),
            "minutes": hundredth(self.talk_ms as f64 / 60_000.0),
            "billed_s": self.billed_s, "vendor_billed_s": self.vendor_billed_s,
        });
        let Value::Object(all) = all else { return Map::new() };
        all.into_iter().filter(|(name, _)| columns.contains(&name.as_str())).collect()
    }
}

/// A report as it was asked for, and its rows by what tells them apart.
struct Told {
    columns: Vec<String>,
    rows: BTreeMap<String, Vec<Value>>,
    totals: Vec<Value>,
}

const KEYS: [&str; 10] = [
    "period",
    "account",
    "vendor_account",
    "agent",
    "gateway",
    "vendor_gateway",
    "area",
    "end_reason",
    "status",
    "source",
];

fn ask(node: &Node, path: &str) -> Told {
    let report = node.look(path);
    let columns = report["columns"].as_array().unwrap();
    let columns: Vec<String> = columns.iter().map(|it| it.as_str().unwrap().into()).collect();
    let mut rows: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for row in report["items"].as_array().unwrap() {
        let named: Vec<&String> = row.as_object().unwrap().keys().collect();
        assert_eq!(named.len(), columns.len(), "{path}: {named:?}");
        let key: Vec<&Value> = KEYS.iter().filter_map(|name| row.get(name)).collect();
        rows.entry(json!(key).to_string()).or_default().push(row.clone());
    }
    Told { columns, rows, totals: report["totals"].as_array().unwrap().clone() }
}

/// What stands in the rows of one key, against what its records add up to.
fn compare(place: &str, columns: &[&str], rows: &[Value], fold: &Fold) {
    for (name, value) in fold.counts(columns) {
        assert_eq!(rows[0][&name], value, "{place}: {name}");
        let none = |row: &Value| row[&name].is_null() || row[&name].as_f64() == Some(0.0);
        assert!(rows[1..].iter().all(none), "{place}: counted once");
    }
    let measures = ["revenue", "tax", "cost", "vendor_tax", "earnings"];
    let mut told = BTreeMap::new();
    let mut expected: BTreeMap<String, Vec<i128>> = BTreeMap::new();
    for row in rows {
        let amounts = measures
            .iter()
            .filter(|name| columns.contains(*name))
            .map(|name| billionths(&row[name]));
        let amounts: Vec<i128> = amounts.collect();
        if amounts.iter().any(|amount| *amount != 0) {
            told.insert(row["currency"].as_str().unwrap().to_owned(), amounts);
        }
        if columns.contains(&"profit") {
            let profit = billionths(&row["revenue"]) - billionths(&row["cost"]);
            let profit = profit - billionths(&row["earnings"]);
            assert_eq!(billionths(&row["profit"]), profit, "{place}");
        }
    }
    for (currency, amounts) in &fold.money {
        let seen = measures.iter().zip(amounts).filter(|(name, _)| columns.contains(*name));
        let seen: Vec<i128> = seen.map(|(_, amount)| *amount).collect();
        if seen.iter().any(|amount| *amount != 0) {
            expected.insert(currency.clone(), seen);
        }
    }
    assert_eq!(told, expected, "{place}");
}

const FROM: &str = "2026-03-28T21:30:00Z";
const TO: &str = "2026-03-31T01:15:00Z";

fn calls(node: &Node, filter: &str) -> Vec<Value> {
    let list = node.look(&format!("/cdr?limit=10000&from={FROM}&to={TO}{filter}"));
    list["items"].as_array().unwrap().clone()
}

/// The area of a call, by codes that stand in no table of ours.
fn area(call: &Value, digits: Option<usize>) -> String {
    let number = match call["callee_billed"].as_str().unwrap() {
        "" => call["callee"].as_str().unwrap(),
        billed => billed,
    };
    let number = number.trim_start_matches('+');
    if let Some(digits) = digits {
        let area = number.get(..digits).filter(|area| area.bytes().all(|b| b.is_ascii_digit()));
        return area.unwrap_or("").into();
    }
    let codes = ["44", "1", "39", "353", "49", "98"];
    codes.into_iter().find(|code| number.starts_with(code)).unwrap_or("").into()
}

fn account_name(name: &Value) -> Value {
    if *name == GONE.1 { format!("#{}", GONE.0).into() } else { name.clone() }
}

/// How a report may be asked for.
struct Question<'q> {
    kind: &'q str,
    by: &'q str,
    zone: &'q str,
    digits: Option<usize>,
    filter: &'q str,
}

fn key(call: &Value, attempt: &Value, question: &Question<'_>, columns: &[&str]) -> String {
    let ended: Timestamp = call["ended"].as_str().unwrap().parse().unwrap();
    let ended = ended.to_zoned(TimeZone::get(question.zone).unwrap());
    let format = match question.by {
        "hour" => "%Y-%m-%d %H:00%:z",
        "day" => "%Y-%m-%d",
        _ => "%Y-%m",
    };
    let keys = KEYS.iter().filter(|name| columns.contains(*name)).map(|name| match *name {
        "period" => ended.strftime(format).to_string().into(),
        "account" | "vendor_account" => account_name(&call[name]),
        "area" => area(call, question.digits).into(),
        "vendor_gateway" if question.kind == "routing" => attempt["gateway"].clone(),
        name => call[name].clone(),
    });
    json!(keys.collect::<Vec<Value>>()).to_string()
}

fn expect(list: &[Value], question: &Question<'_>, columns: &[&str]) -> BTreeMap<String, Fold> {
    let mut folds: BTreeMap<String, Fold> = BTreeMap::new();
    for call in list {
        let is_illegal = call["billing_mode"] == "illegal";
        if is_illegal != (question.kind == "illegal") {
            continue;
        }
        match question.kind {
            "failures" if !call["answered"].is_null() => {}
            "agents" if call["agent"].is_null() => {}
            "routing" => {
                for attempt in call["attempts"].as_array().unwrap() {
                    folds
                        .entry(key(call, attempt, question, columns))
                        .or_default()
                        .attempt(call, attempt);
                }
            }
            _ => {
                let fold = folds.entry(key(call, &Value::Null, question, columns)).or_default();
                fold.call(call);
                fold.income(call);
            }
        }
    }
    folds
}

fn check(node: &Node, question: &Question<'_>) {
    let Question { kind, by, zone, digits, filter } = question;
    let digits = digits.map_or(String::new(), |digits| format!("&area_digits={digits}"));
    let zone = zone.replace('/', "%2F");
    let path =
        format!("/reports/{kind}?from={FROM}&to={TO}&by={by}&time_zone={zone}{digits}{filter}");
    let told = ask(node, &path);
    let columns: Vec<&str> = told.columns.iter().map(String::as_str).collect();
    let list = calls(node, filter);
    assert!(list.len() > 20, "{path}: {}", list.len());
    let folds = expect(&list, question, &columns);
    assert_eq!(told.rows.keys().collect::<Vec<_>>(), folds.keys().collect::<Vec<_>>(), "{path}");
    let mut total = Fold::default();
    for (key, fold) in &folds {
        compare(&format!("{path}: {key}"), &columns, &told.rows[key], fold);
        total.attempts += fold.attempts;
        total.answered += fold.answered;
        total.talk_ms += fold.talk_ms;
        total.pdd.extend(&fold.pdd);
        total.billed_s += fold.billed_s;
        total.vendor_billed_s += fold.vendor_billed_s;
        for (currency, amounts) in &fold.money {
            let purse = total.money.entry(currency.clone()).or_default();
            purse.iter_mut().zip(amounts).for_each(|(sum, amount)| *sum += amount);
        }
    }
    compare(&format!("{path}: in all"), &columns, &told.totals, &total);
}

#[test]
fn every_report_is_the_sum_of_its_records() {
    let node = after_many_calls("reports");
    let zones = ["UTC", "Europe/Berlin", "Asia/Kolkata", "Australia/Lord_Howe"];
    for kind in KINDS.iter().filter(|kind| kind.name != "balances") {
        for by in ["whole", "hour", "day", "month"] {
            for zone in zones {
                check(&node, &Question { kind: kind.name, by, zone, digits: None, filter: "" });
            }
        }
    }
    for digits in [1, 2, 4] {
        let digits = Some(digits);
        check(&node, &Question { kind: "cross", by: "day", zone: "UTC", digits, filter: "" });
    }
    for filter in
        ["&account=acme", "&vendor_account=wire", "&gateway=in-2", "&vendor=out-1&account=beta"]
    {
        for kind in ["revenue", "clearing", "traffic"] {
            check(&node, &Question { kind, by: "day", zone: "UTC", digits: None, filter });
        }
    }
}

#[test]
fn balances_are_the_sums_of_their_entries() {
    let node = after_many_calls("report-balances");
    let (from, to) = ("2026-03-29T01:00:00Z", "2026-03-29T20:00:00Z");
    let told = node.look(&format!("/reports/balances?from={from}&to={to}"));
    let items = told["items"].as_array().unwrap();
    assert_eq!(items.len(), ACCOUNTS.len());
    let mut totals: BTreeMap<&str, i128> = BTreeMap::new();
    for ((_, name, currency), row) in ACCOUNTS.iter().zip(items) {
        let statement = node.look(&format!("/account/{name}/statement?from={from}&to={to}"));
        assert_eq!((&row["account"], &row["currency"]), (&json!(name), &json!(currency)));
        for measure in Measure::OF_BALANCES.map(Measure::name) {
            assert_eq!(row[measure], statement[measure], "{name} {measure}");
        }
        *totals.entry(currency).or_default() += billionths(&row["closing"]);
    }
    for row in told["totals"].as_array().unwrap() {
        assert_eq!(billionths(&row["closing"]), totals[row["currency"].as_str().unwrap()]);
    }
    let now = node.look("/reports/balances?account=acme");
    assert_eq!(now["items"][0]["closing"], node.look("/account/acme")["balance"]);
    assert_eq!(now["items"].as_array().unwrap().len(), 1);
}

#[test]
fn a_report_reads_the_same_by_the_command_line() {
    let node = after_many_calls("report-cli");
    let words = [
        "report",
        "revenue",
        "--from",
        "2026-03-28",
        "--to",
        "2026-03-31",
        "--time-zone",
        "Asia/Kolkata",
    ];
    let path = "/reports/revenue?from=2026-03-28&to=2026-03-31&time_zone=Asia/Kolkata";
    let report = node.look(path);
    assert_eq!(report["from"], "2026-03-27T18:30:00.000Z");
    let (code, out, err) = tollgate(&node, &[&["--output", "json"], &words[..]].concat());
    assert_eq!((code, err.as_str()), (0, ""));
    assert_eq!(serde_json::from_str::<Value>(&out).unwrap(), report);
    let (_, csv, _) = tollgate(&node, &[&["--output", "csv"], &words[..]].concat());
    let rows = report["items"].as_array().unwrap().len();
    assert_eq!(csv.lines().count(), rows + 1, "{csv}");
    assert!(csv.starts_with("account,answered,attempts,begins,billed_s,currency,period,revenue"));
    let (_, table, _) = tollgate(&node, &words);
    let total = report["totals"][0]["revenue"].as_str().unwrap();
    assert!(table.contains("in all") && table.contains(total), "{table}");
    let (_, kinds, _) = tollgate(&node, &["report", "list"]);
    assert!(KINDS.iter().all(|kind| kinds.contains(kind.name)), "{kinds}");
    let (code, _, err) = tollgate(&node, &["report", "weather"]);
    assert!(code == 1 && err.contains("gateway-bill"), "{err}");
}

#[test]
fn what_makes_no_report_is_refused_with_what_would() {
    let node = after_many_calls("report-refusals");
    let span = "from=2026-03-28&to=2026-03-31";
    let cases = [
        ("traffic".to_owned(), 422, "needs both"),
        ("traffic?from=2026-03-28".to_owned(), 422, "needs both"),
        ("traffic?from=2026-03-31&to=2026-03-28".to_owned(), 422, "ends before"),
        ("traffic?from=2026-03-31&to=2026-03-31".to_owned(), 422, "ends before"),
        ("traffic?from=1969-03-31&to=2026-03-31".to_owned(), 422, "1970"),
        ("traffic?from=today&to=2026-03-31".to_owned(), 422, "from: \"today\""),
        ("traffic?from=2000-01-01&to=2026-03-31".to_owned(), 422, "10000"),
        (format!("traffic?{span}&by=week"), 422, "whole, hour, day, month"),
        (format!("traffic?{span}&time_zone=Mars"), 422, "Europe/Berlin"),
        (format!("traffic?{span}&account=nobody"), 404, "nobody"),
        (format!("traffic?{span}&area_digits=3"), 422, "`traffic` does not take it"),
        (format!("area?{span}&area_digits=16"), 422, "1 to 15"),
        (format!("routing?{span}&vendor_account=wire"), 422, "does not take it"),
        ("balances?by=day".to_owned(), 422, "does not take it"),
        (format!("weather?{span}"), 404, "there is revenue"),
        (format!("traffic?{span}&colour=red"), 422, "colour"),
    ];
    for (path, status, part) in cases {
        let (told, problem) = node.say("GET", &format!("/reports/{path}"), &Value::Null);
        let detail = problem["detail"].as_str().unwrap();
        assert!(told == status && detail.contains(part), "{path}: {told} {detail}");
    }
    // A name is a value, whatever it says.
    let odd = "gateway=x%27%20OR%201%3D1--";
    let none = node.look(&format!("/reports/mapping?{span}&{odd}"));
    assert_eq!((&none["items"], &none["totals"][0]["attempts"]), (&json!([]), &json!(0)));
}
