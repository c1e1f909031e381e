//! Agents earn what calls of their customers cost more than they would at the agent's own tariff.

use super::*;
use crate::store::ledger::{Counter, EntryKind};
use crate::store::{Amounts, BothTerms, Charged, Looked};

impl Desk {
    /// `bob` brings the customer, who pays 0.60 a minute; it costs him `rate`.
    fn brought(money: &str, rate: &str) -> Self {
        let mut desk = Self::new(money);
        desk.post("tariff", json!({"name": "own"})).unwrap();
        desk.post("tariff/own/rate", json!({"prefix": "44", "rate": rate})).unwrap();
        let bob = json!({"name": "bob", "role": "agent", "tariff": "own"});
        desk.post("account", bob).unwrap();
        desk.patch("account/customer", json!({"agent": "bob"}));
        desk.settle();
        desk
    }

    fn over(&mut self, call: &(Admit, Route), seconds: u32) -> (Cdr, Vec<LedgerEntry>) {
        let record = talked(&call.0, &call.1, seconds * 1000);
        self.office.handle_ended(self.time, 0, call.0.call, &record, false);
        let Written { mut ends, ledger, .. } = self.settle();
        (ends.pop().unwrap(), ledger)
    }
}

fn money(text: &str) -> Money {
    text.parse().unwrap()
}

#[test]
fn an_agent_earns_the_customers_fee_less_the_same_call_at_his_own_tariff() {
    let mut desk = Desk::brought("10", "0.45");
    let call = desk.call();
    let (cdr, ledger) = desk.over(&call, 90);
    let told = cdr.describe();
    let text = |field: &str| told[field].as_str().unwrap_or_default().to_owned();
    assert_eq!([text("agent"), text("charge"), text("agent_rate")], ["bob", "0.90", "0.45/60s"]);
    assert_eq!([text("agent_charge"), text("agent_income")], ["0.675", "0.225"]);
    let entry = ledger.iter().find(|entry| entry.kind == EntryKind::Income).unwrap();
    assert_eq!((entry.amount, entry.counter), (225_000_000, Counter::Agents));
    assert!(entry.reference.ends_with(":agent"));
    assert_eq!((desk.balance("bob"), desk.balance("customer")), ("0.225".into(), "9.10".into()));
    // Whoever sells below his own tariff pays for it.
    desk.post("tariff/own/rate", json!({"prefix": "44", "rate": "0.90"})).unwrap();
    let call = desk.call();
    desk.over(&call, 60);
    assert_eq!(desk.balance("bob"), "-0.075");
}

#[test]
fn what_an_agent_pays_is_settled_at_the_invite_and_outlives_control() {
    let mut desk = Desk::brought("10", "0.45");
    let call = desk.call();
    desk.post("tariff/own/rate", json!({"prefix": "44", "rate": "0.01"})).unwrap();
    desk.patch("account/customer", json!({"agent": ""}));
    let ask = Ask::Answered(Answered { call: call.0.call, asked_us: 0 });
    let record = CallRecord { ended_ms: NEVER, ..talked(&call.0, &call.1, 0) };
    desk.office.handle_ask(desk.time, 0, &ask, || Some(record));
    let start = desk.settle().starts.pop().unwrap();
    let (cdr, _) = desk.over(&call, 60);
    assert_eq!(cdr.agent_income, money("0.15"));
    // Another control has it from the start of the call.
    let mut desk = Desk::brought("10", "0.01");
    let opened = Opened {
        record: start.record,
        customer: start.customer,
        vendor: start.vendor,
        cover: start.cover.clone(),
        agent: start.agent,
    };
    desk.office.awaiting_agents.insert(opened.record.id, opened.agent.unwrap());
    desk.office.rebuild(desk.time, 0, call.0.call, &record);
    let (cdr, _) = desk.over(&call, 60);
    assert_eq!(cdr.agent_income, money("0.15"));
}

#[test]
fn an_agent_without_a_rate_earns_nothing_and_somebody_hears_of_it() {
    let mut desk = Desk::brought("10", "0.45");
    desk.say(Method::Delete, "tariff/own/rate/44", Value::Null).unwrap();
    let call = desk.call();
    let (cdr, ledger) = desk.over(&call, 60);
    assert_eq!(cdr.describe()["agent_charge"], Value::Null);
    assert!(
        cdr.agent_income == Money::ZERO && ledger.iter().all(|it| it.kind != EntryKind::Income)
    );
    assert_eq!(desk.alarms(), ["agent_unrated"]);
    desk.post("tariff/own/rate", json!({"prefix": "44", "rate": "0.45"})).unwrap();
    let call = desk.call();
    desk.over(&call, 60);
    assert!(desk.alarms().is_empty());
    // A call that was not answered brings nothing, and names nobody.
    let call = desk.call();
    let record = CallRecord { answered_ms: NEVER, ..talked(&call.0, &call.1, 0) };
    desk.office.handle_ended(desk.time, 0, call.0.call, &record, false);
    assert!(desk.settle().ends[0].agent.is_none());
}

#[test]
fn what_a_package_pays_for_is_in_neither_amount() {
    let mut desk = Desk::brought("10", "0.45");
    desk.post("package", json!({"name": "gold", "free_minutes": 1})).unwrap();
    let mine = json!({"name": "mine", "account": "customer", "package": "gold"});
    desk.post("subscription", mine).unwrap();
    desk.patch("account/customer", json!({"credit": null}));
    let call = desk.call();
    let (cdr, _) = desk.over(&call, 100);
    assert_eq!((cdr.customer_charge.fee, cdr.agent_income), (money("0.40"), money("0.10")));
}

#[test]
fn a_correction_of_what_the_customer_pays_moves_the_agent_with_it() {
    let mut desk = Desk::brought("10", "0.45");
    let call = desk.call();
    let (cdr, _) = desk.over(&call, 60);
    let charged = Charged {
        id: cdr.record.id,
        customer: cdr.customer,
        vendor: cdr.vendor,
        agent: cdr.agent.unwrap().account,
        amounts: Amounts {
            charge: money("0.60"),
            vendor_charge: money("0.30"),
            ..Amounts::default()
        },
        terms: BothTerms::default(),
        ..Charged::default()
    };
    let looked = Looked { at: desk.time.now, records: vec![charged], next: None };
    let command = Command {
        method: Method::Post,
        path: ["cdr", "x", "correction"].map(str::to_owned).into(),
        query: BTreeMap::new(),
        body: json!({"charge": "0.50", "reason": "agreed", "request_id": "one"}),
        rates: Vec::new(),
        ranges: None,
        entries: None,
        records: Some(Box::new(looked)),
        sheet: None,
    };
    desk.office.handle_command(desk.time, &command).unwrap();
    let balances = ["customer", "vendor", "bob"].map(|name| desk.balance(name));
    assert_eq!(balances, ["9.50", "-0.30", "0.05"]);
}

#[test]
fn who_an_agent_can_be_and_whose_is_said_by_fields_that_are_checked() {
    let mut desk = Desk::brought("10", "0.45");
    desk.post("account", json!({"name": "dollars", "role": "agent", "currency": "USD"})).unwrap();
    let mut refused =
        |path: &str, body: Value| desk.say(Method::Patch, path, body).unwrap_err().detail;
    assert!(refused("account/customer", json!({"agent": "vendor"})).starts_with("agent"));
    assert!(refused("account/customer", json!({"agent": "dollars"})).starts_with("agent"));
    assert!(refused("account/customer", json!({"tariff": "own"})).starts_with("tariff"));
    assert!(refused("account/vendor", json!({"agent": "bob"})).starts_with("agent"));
    assert!(refused("account/dollars", json!({"tariff": "own"})).starts_with("tariff"));
    assert!(refused("account/bob", json!({"role": "customer", "tariff": ""})).starts_with("role"));
    for path in ["account/bob", "tariff/own"] {
        assert_eq!(desk.say(Method::Delete, path, Value::Null).unwrap_err().status, 409, "{path}");
    }
}
