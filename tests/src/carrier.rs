//! A customer, a vendor and the calls between them, in the lab.

use std::time::Duration;

use serde_json::{Value, json};

use crate::lab::{BOX_CUSTOMER_SIDE, Lab, Running};

/// Who pays and who is paid, and for what: `acme` calls 44 by vendors of `carrier`.
pub const BUSINESS: [&str; 6] = [
    "account create acme --role customer --unlimited",
    "account create carrier --role vendor --unlimited",
    "tariff create retail",
    "tariff create wholesale",
    "tariff rate set retail 44 0.0120",
    "tariff rate set wholesale 44 0.0080",
];

/// A lab with one customer at 10.10.1.1 and one vendor at 10.10.2.1 for 44. `None`: this machine cannot.
///
/// # Panics
/// When it does not come up.
#[must_use]
pub fn raised(queues: u32, xdp: bool) -> Option<Lab> {
    raised_with(queues, xdp, "")
}

/// The same with this in its configuration.
///
/// # Panics
/// When it does not come up.
#[must_use]
pub fn raised_with(queues: u32, xdp: bool, section: &str) -> Option<Lab> {
    let lab = Lab::up(queues, xdp).expect("the lab comes up")?;
    lab.configure(section).expect("it is written");
    lab.script(&["start"]).expect("the appliance gets ready");
    let gateways = [
        "gateway mapping create pbx --account acme --tariff retail --address 10.10.1.1",
        "gateway routing create london --account carrier --tariff wholesale --target 10.10.2.1:5060 --prefix 44",
    ];
    for command in BUSINESS.into_iter().chain(gateways) {
        let words: Vec<&str> = command.split(' ').collect();
        lab.tollgate(&words).expect("provisioning is accepted");
    }
    Some(lab)
}

/// The vendor answers every call and echoes its audio, for so long.
///
/// # Panics
/// When it does not start.
#[must_use]
pub fn vendor(lab: &Lab, seconds: u32) -> Running {
    let seconds = seconds.to_string();
    let arguments = ["answer", "--listen", "10.10.2.1:5060", "--seconds", &seconds];
    let vendor = lab.start("vend", "phones", &arguments).expect("the vendor starts");
    vendor.listens(([10, 10, 2, 1], 5060).into()).expect("the vendor listens");
    vendor
}

/// So many calls, 50 of them a second, that end `seconds` after the last one began.
///
/// # Panics
/// When they do not start.
#[must_use]
pub fn callers(lab: &Lab, port: u16, calls: u32, seconds: u32) -> Running {
    let (from, calls, seconds) =
        (format!("10.10.1.1:{port}"), calls.to_string(), seconds.to_string());
    let arguments = [
        "call",
        "--from",
        &from,
        "--to",
        BOX_CUSTOMER_SIDE,
        "--calls",
        &calls,
        "--seconds",
        &seconds,
        "--per-second",
        "50",
    ];
    lab.start("cust", "phones", &arguments).expect("the callers start")
}

/// The sum of a counter over all workers, out of `status`.
#[must_use]
pub fn counted(status: &Value, name: &str) -> u64 {
    let workers = status.get("workers").and_then(Value::as_array).into_iter().flatten();
    let counters = workers.filter_map(|worker| worker.get("counters"));
    counters.map(|counters| number(counters, name)).sum()
}

/// A number of a JSON object; 0 if it is not there.
#[must_use]
pub fn number(value: &Value, name: &str) -> u64 {
    value.get(name).and_then(Value::as_u64).unwrap_or(0)
}

/// All CDRs of answered calls.
///
/// # Panics
/// When they cannot be listed.
#[must_use]
pub fn cdrs(lab: &Lab) -> Vec<Value> {
    let page = lab.tollgate(&["cdr", "list", "--limit", "10000", "--answered"]);
    let page = page.expect("CDRs are listed");
    page.get("items").and_then(Value::as_array).cloned().unwrap_or_default()
}

/// Exactly so many complete records of answered calls, each with its own id.
///
/// # Panics
/// When there are more or fewer.
pub fn expect_cdrs(lab: &Lab, calls: usize) -> Vec<Value> {
    Lab::wait_until(Duration::from_secs(10), || {
        let found = cdrs(lab);
        found.len() == calls && found.iter().all(|cdr| cdr.get("complete") == Some(&json!(true)))
    });
    let found = cdrs(lab);
    let mut ids: Vec<&str> =
        found.iter().filter_map(|cdr| cdr.get("id").and_then(Value::as_str)).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!((found.len(), ids.len()), (calls, calls), "one CDR per call");
    found
}
