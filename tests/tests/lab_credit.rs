//! Many calls on one balance, with real programs: they never spend more than is there, whatever is killed.

use std::time::Duration;

use serde_json::Value;
use tests::carrier::{callers, number, raised, vendor};
use tests::lab::Lab;

/// The customer has that much and no credit; a second costs one.
fn prepaid(lab: &Lab, money: &str) {
    for words in [
        &["account", "set", "acme", "--credit", "0"][..],
        &["tariff", "rate", "set", "retail", "44", "60"],
        &["param", "set", "TG_CREDIT_SLICE", "30"],
        &["account", "pay", "acme", money, "--request-id", "first"],
    ] {
        lab.tollgate(words).unwrap_or_else(|said| panic!("{words:?}: {said}"));
    }
}

fn money(value: &Value) -> f64 {
    value
        .as_str()
        .and_then(|text| text.parse().ok())
        .unwrap_or_else(|| panic!("{value} is no money"))
}

fn customer(lab: &Lab) -> Value {
    lab.tollgate(&["account", "show", "acme"]).expect("the account is shown")
}

/// All calls are over and recorded: the answered ones.
fn records(lab: &Lab) -> Vec<Value> {
    let at_rest = || {
        let account = customer(lab);
        number(&account, "calls") == 0 && money(&account["reserved"]) == 0.0
    };
    assert!(Lab::wait_until(Duration::from_secs(20), at_rest), "{}", customer(lab));
    let page = lab.tollgate(&["cdr", "list", "--answered", "--limit", "1000"]).expect("CDRs");
    page["items"].as_array().cloned().unwrap_or_default()
}

/// What is left, which is what was paid less what was charged, and not less than nothing.
fn settled(lab: &Lab, paid: f64) -> (f64, Vec<Value>) {
    let records = records(lab);
    let charged: f64 = records.iter().map(|cdr| money(&cdr["charge"])).sum();
    let left = money(&customer(lab)["balance"]);
    assert!(left >= 0.0, "overdrawn: {left}");
    assert_eq!(left, paid - charged);
    lab.tollgate(&["account", "audit"]).expect("the books agree");
    (left, records)
}

/// How many ended since there was no more money.
fn ended_dry(records: &[Value]) -> usize {
    records.iter().filter(|cdr| cdr["end_reason"] == "no_balance").count()
}

#[test]
fn calls_share_a_balance_to_the_last_second_while_control_is_killed() {
    let Some(lab) = raised(2, true) else { return };
    prepaid(&lab, "350");
    let vendor = vendor(&lab, 90);
    // 300 are held at once; what is left reaches for the second slice of one and a part of another's.
    let running = callers(&lab, 5070, 10, 65);
    std::thread::sleep(Duration::from_secs(6));
    assert_eq!(money(&customer(&lab)["reserved"]), 300.0);
    std::thread::sleep(Duration::from_secs(12));
    lab.script(&["kill", "control"]).expect("control is killed");
    std::thread::sleep(Duration::from_secs(2));
    lab.script(&["start", "control"]).expect("control comes back");
    let result = running.json().expect("the callers report");
    assert_eq!(number(&result, "answered"), 10, "{result}");
    let (left, records) = settled(&lab, 350.0);
    assert_eq!(records.len(), 10);
    assert_eq!(ended_dry(&records), 10);
    for cdr in &records {
        let (billed_s, hold_ms) = (number(cdr, "billed_s"), number(cdr, "hold_ms"));
        assert!((30..=60).contains(&billed_s) && hold_ms <= billed_s * 1000 + 50, "{cdr}");
    }
    assert!(left < 2.0, "{left} was not used");
    drop(vendor);
}

#[test]
fn a_hundred_calls_at_once_overspend_nothing_though_both_processes_die() {
    let Some(lab) = raised(2, true) else { return };
    prepaid(&lab, "1000");
    let vendor = vendor(&lab, 60);
    let running = callers(&lab, 5070, 100, 20);
    for process in ["control", "dataplane"] {
        std::thread::sleep(Duration::from_secs(5));
        lab.script(&["kill", process]).expect("it is killed");
        lab.script(&["start", process]).expect("it comes back");
    }
    let result = running.json().expect("the callers report");
    // 33 hold 30 each and one what is left; the others hear that there is no more.
    let answered = number(&result, "answered");
    assert!((34..60).contains(&answered), "{result}");
    assert!(result.pointer("/failed/403").and_then(Value::as_u64) > Some(40), "{result}");
    let (_, records) = settled(&lab, 1000.0);
    assert_eq!(records.len() as u64, answered);
    drop(vendor);
}

#[test]
fn a_thousand_calls_at_once_are_cut_to_the_second_though_both_processes_die() {
    const CALLS: u64 = 1_000;
    let Some(lab) = raised(2, true) else { return };
    prepaid(&lab, "41000");
    lab.tollgate(&["param", "set", "TG_CREDIT_SLICE", "40"]).expect("slices");
    let vendor = vendor(&lab, 150);
    // When the last of them begins, the first has used half of its slice.
    let running = callers(&lab, 5070, CALLS as u32, 50);
    let all_talk = || number(&customer(&lab), "calls") == CALLS;
    assert!(Lab::wait_until(Duration::from_secs(60), all_talk), "{}", customer(&lab));
    assert!(money(&customer(&lab)["reserved"]) >= 40_000.0, "{}", customer(&lab));
    for process in ["control", "dataplane"] {
        lab.script(&["kill", process]).expect("it is killed");
        lab.script(&["start", process]).expect("it comes back");
    }
    let result = running.json().expect("the callers report");
    assert_eq!(number(&result, "answered"), CALLS, "{result}");
    let (left, records) = settled(&lab, 41_000.0);
    assert_eq!(records.len() as u64, CALLS);
    // Beyond the first slices there is money for 25 more, whoever asks first.
    let billed_s = |cdr: &Value| number(cdr, "billed_s");
    assert!(records.iter().all(|cdr| (40..=80).contains(&billed_s(cdr))), "{left} is left");
    let went_on = records.iter().filter(|cdr| cdr["end_reason"] == "normal");
    assert_eq!(ended_dry(&records) + went_on.clone().count(), records.len());
    assert!(went_on.clone().count() <= 25 && went_on.clone().all(|cdr| billed_s(cdr) > 40));
    assert!(left < 1_000.0, "{left} was not used");
    drop(vendor);
}

#[test]
fn without_control_a_prepaid_call_ends_with_its_slice_and_one_on_credit_talks_on() {
    for (credit, reason) in [("0", "duration_limit"), ("5", "normal")] {
        let Some(lab) = raised(1, true) else { return };
        prepaid(&lab, "40");
        lab.tollgate(&["account", "set", "acme", "--credit", credit]).expect("credit");
        let vendor = vendor(&lab, 90);
        let running = callers(&lab, 5070, 1, 42);
        std::thread::sleep(Duration::from_secs(5));
        lab.script(&["kill", "control"]).expect("control is killed");
        running.json().expect("the caller reports");
        lab.script(&["start", "control"]).expect("control comes back");
        let records = records(&lab);
        let [cdr] = &records[..] else { panic!("{records:?}") };
        assert_eq!(cdr["end_reason"], reason, "{cdr}");
        let billed_s = number(cdr, "billed_s");
        assert!(if credit == "0" { billed_s == 30 } else { billed_s >= 42 }, "{cdr}");
        drop(vendor);
    }
}

#[test]
fn a_payment_lets_a_call_go_on_that_had_no_more_money() {
    let Some(lab) = raised(1, true) else { return };
    prepaid(&lab, "32");
    let vendor = vendor(&lab, 90);
    let running = callers(&lab, 5070, 1, 40);
    std::thread::sleep(Duration::from_secs(20));
    let words = ["account", "pay", "acme", "20", "--request-id", "second"];
    lab.tollgate(&words).expect("somebody pays");
    let result = running.json().expect("the caller reports");
    assert_eq!(number(&result, "ended"), 1, "{result}");
    let (_, records) = settled(&lab, 52.0);
    assert_eq!(records[0]["end_reason"], "normal", "{records:?}");
    assert!(number(&records[0], "billed_s") >= 40, "{records:?}");
    drop(vendor);
}

#[test]
fn minutes_of_a_package_are_used_to_the_last_second_and_none_twice_though_both_processes_die() {
    let Some(lab) = raised(2, true) else { return };
    prepaid(&lab, "25");
    for words in [
        &["package", "create", "gold", "--free-minutes", "2", "--rent", "5"][..],
        &["package", "subscription", "create", "mine", "--account", "acme", "--package", "gold"],
    ] {
        lab.tollgate(words).unwrap_or_else(|said| panic!("{words:?}: {said}"));
    }
    let vendor = vendor(&lab, 90);
    // Four slices are all the minutes there are; behind them the balance pays for 20 s.
    let running = callers(&lab, 5070, 4, 60);
    for process in ["control", "dataplane"] {
        std::thread::sleep(Duration::from_secs(6));
        lab.script(&["kill", process]).expect("it is killed");
        lab.script(&["start", process]).expect("it comes back");
    }
    let result = running.json().expect("the callers report");
    assert_eq!(number(&result, "answered"), 4, "{result}");
    let (left, records) = settled(&lab, 20.0);
    let sum = |field: &str| records.iter().map(|cdr| number(cdr, field)).sum::<u64>();
    assert_eq!((sum("package_s"), sum("billed_s")), (120, 140));
    assert_eq!((left, ended_dry(&records)), (0.0, 4));
    let words = ["package", "subscription", "show", "mine"];
    let mine = lab.tollgate(&words).expect("the subscription is shown");
    let figures = ["used_s", "held_s", "left_s"].map(|field| number(&mine, field));
    assert_eq!(figures, [120, 0, 0], "{mine}");
    drop(vendor);
}
