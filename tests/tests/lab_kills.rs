//! SIGKILL of either process at random moments under SIPp's load: every call that SIPp heard answered has its record
//! and its charge, once, and the books agree.
//!
//! `TOLLGATE_KILLS=100` asks for as many; a run of CI makes a few.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use rand::Rng;
use rating::Money;
use serde_json::{Value, json};
use tests::carrier::raised;
use tests::lab::{Lab, Running};

/// Of a run without a wish.
const KILLS: u64 = 6;
/// Calls that begin in each second.
const PER_SECOND: u64 = 20;

fn field<'v>(value: &'v Value, name: &str) -> &'v str {
    value.get(name).and_then(Value::as_str).unwrap_or_default()
}

fn money(text: &str) -> i64 {
    text.parse::<Money>().unwrap_or_else(|_| panic!("{text:?} is money")).billionths()
}

/// Everything that was answered, page by page.
fn answered(lab: &Lab) -> Vec<Value> {
    let page = lab.tollgate(&["cdr", "list", "--limit", "100000", "--answered"]);
    let page = page.expect("CDRs are listed");
    page.get("items").and_then(Value::as_array).cloned().unwrap_or_default()
}

/// The vendor, and a customer who begins calls for so many seconds, both SIPp.
fn load(lab: &Lab, seconds: u64) -> (Running, Running, std::path::PathBuf) {
    let here = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("sipp");
    let log = std::env::temp_dir().join(format!("tollgate-kills-{}.log", std::process::id()));
    let _ = std::fs::remove_file(&log);
    let start = |place, line: String| {
        lab.start(place, "sipp", &line.split(' ').collect::<Vec<_>>()).expect("SIPp starts")
    };
    let vendor = here.join("vendor.xml");
    let line = format!(
        "-sf {} -i 10.10.2.1 -mi 10.10.2.1 -p 5060 -mp 6000 -nostdin -f 600 -timeout {} -aa",
        vendor.display(),
        seconds + 40
    );
    let vendor = start("vend", line);
    vendor.listens(([10, 10, 2, 1], 5060).into()).expect("the vendor listens");
    let talker = here.join("talker.xml");
    let line = format!(
        "-sf {} -i 10.10.1.1 -mi 10.10.1.1 -p 5070 -mp 6000 -nostdin -r {PER_SECOND} -m {} -timeout {} \
         -f 600 -recv_timeout 20000 -trace_logs -log_file {} 10.10.1.2:5060",
        talker.display(),
        PER_SECOND * seconds,
        seconds + 40,
        log.display()
    );
    (vendor, start("cust", line), log)
}

#[test]
fn kills_of_either_process_under_load_lose_no_answered_call_and_no_cent() {
    let kills = std::env::var("TOLLGATE_KILLS").ok().and_then(|text| text.parse().ok());
    let kills: u64 = kills.unwrap_or(KILLS);
    let Some(lab) = raised(2, true) else { return };
    let (vendor, mut talker, log) = load(&lab, kills * 4);
    let mut random = rand::rng();
    let mut killed = BTreeMap::new();
    let began = Instant::now();
    for kill in 0..kills {
        std::thread::sleep(Duration::from_millis(random.random_range(300..2_500)));
        let daemon = if kill % 2 == 0 { "control" } else { "dataplane" };
        lab.script(&["kill", daemon]).expect("it is killed");
        lab.script(&["start", daemon]).expect("it comes back");
        *killed.entry(daemon).or_insert(0) += 1;
    }
    let took = began.elapsed().as_secs();
    // The rest of the calls begin and end by themselves.
    assert!(
        Lab::wait_until(Duration::from_secs(kills * 4 + 60), || !talker.goes_on()),
        "SIPp goes on"
    );
    drop((talker, vendor));
    let heard = std::fs::read_to_string(&log).expect("SIPp wrote its log");
    let heard: BTreeSet<&str> =
        heard.lines().filter_map(|line| line.trim().strip_prefix("answered ")).collect();
    assert!(heard.len() as u64 > kills * PER_SECOND / 2, "{} calls are no load", heard.len());
    expect_records(&lab, &heard);
    expect_books(&lab);
    println!("{killed:?} in {took} s: {} answered calls", heard.len());
    let _ = std::fs::remove_file(log);
}

/// Every call that was heard answered has one record. Where the answer was on its way when the dataplane died, the
/// vendor's call stood and is in a record as well, ended by the restart.
fn expect_records(lab: &Lab, heard: &BTreeSet<&str>) {
    let complete =
        |records: &[Value]| records.iter().all(|it| it.get("complete") == Some(&json!(true)));
    Lab::wait_until(Duration::from_secs(60), || {
        let running = lab.tollgate(&["status"]).expect("both daemons answer");
        running.get("calls") == Some(&json!(0)) && complete(&answered(lab))
    });
    let records = answered(lab);
    assert!(complete(&records), "{} records", records.len());
    let ids: BTreeSet<&str> = records.iter().map(|record| field(record, "id")).collect();
    assert_eq!(ids.len(), records.len(), "each record has an id of its own");
    let mut of_call: BTreeMap<&str, Vec<&Value>> = BTreeMap::new();
    for record in &records {
        of_call.entry(field(record, "call_id")).or_default().push(record);
    }
    let lost: Vec<_> = heard.iter().filter(|call| !of_call.contains_key(**call)).collect();
    assert!(lost.is_empty(), "answered, and no record: {lost:?}");
    let cut = |record: &Value| {
        ["dataplane_restart", "dataplane_lost", "no_ack"].contains(&field(record, "end_reason"))
    };
    for (call, records) in of_call {
        let whole = records.iter().filter(|record| !cut(record)).count();
        assert!(whole <= 1, "{call} is recorded twice: {records:?}");
        assert!(whole == 0 || heard.contains(call), "nobody heard this answer: {records:?}");
    }
}

/// Both balances are what the records charged, to the digit, and every book agrees with the others.
fn expect_books(lab: &Lab) {
    let records = lab.tollgate(&["cdr", "list", "--limit", "100000"]).expect("CDRs are listed");
    let records = records.get("items").and_then(Value::as_array).cloned().unwrap_or_default();
    for (account, field_of) in [("acme", "charge"), ("carrier", "vendor_charge")] {
        let charged: i64 = records.iter().map(|record| money(field(record, field_of))).sum();
        assert!(charged > 0, "{account} paid nothing");
        let shown = lab.tollgate(&["account", "show", account]).expect("it is shown");
        let balance = money(field(&shown, "balance"));
        assert_eq!(balance.abs(), charged, "{shown}");
    }
    let audit = lab.tollgate(&["account", "audit"]).expect("it is audited");
    assert_eq!(audit.get("agrees"), Some(&json!(true)), "{audit}");
}
