//! A customer, a vendor and the calls between them, in the lab.

use std::time::Duration;

use serde_json::{Value, json};

use crate::lab::{BOX_CUSTOMER_SIDE, Lab, Running};
use crate::softphone::{Account, Softphone};

/// Patience with softphones.
const SOON: Duration = Duration::from_secs(10);

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
    begin(&lab);
    Some(lab)
}

/// Starts the appliance of a lab that is up, and its business.
///
/// # Panics
/// When it does not get ready.
pub fn begin(lab: &Lab) {
    lab.script(&["start"]).expect("the appliance gets ready");
    let gateways = [
        "gateway mapping create pbx --account acme --tariff retail --address 10.10.1.1",
        "gateway routing create london --account carrier --tariff wholesale --target 10.10.2.1:5060 --prefix 44",
    ];
    for command in BUSINESS.into_iter().chain(gateways) {
        let words: Vec<&str> = command.split(' ').collect();
        lab.tollgate(&words).expect("provisioning is accepted");
    }
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
    lossy_callers(lab, port, calls, seconds, 0)
}

/// The same, of whose packets so many of each hundred are lost on their way to us.
///
/// # Panics
/// When they do not start.
#[must_use]
pub fn lossy_callers(lab: &Lab, port: u16, calls: u32, seconds: u32, lose: u32) -> Running {
    let lose = lose.to_string();
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
        "--lose",
        &lose,
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

/// The customer's softphone and the vendor's, which answers; each registers nowhere and has parameters of its own.
///
/// # Panics
/// When one does not start.
#[must_use]
pub fn softphones<'l>(lab: &'l Lab, customer: &str, vendor: &str) -> [Softphone<'l>; 2] {
    let phone = |place, uri, address, parameters: &str, answers| {
        let parameters = &format!(";regint=0{parameters}");
        let account = Account { uri, parameters, answers, authorities: None };
        Softphone::start(lab, place, address, account).expect("a phone starts")
    };
    let callee = phone("vend", "sip:44107946@10.10.2.1", "10.10.2.1", vendor, true);
    [phone("cust", "sip:39021234@10.10.1.1", "10.10.1.1", customer, false), callee]
}

/// The first calls the second, and both talk.
///
/// # Panics
/// When the call does not come up, or one is not heard.
pub fn put_through(phones: [&Softphone<'_>; 2]) {
    let [caller, callee] = phones;
    caller.told("dial", "sip:44107946@10.10.1.2").expect("it dials");
    if let Err(why) = caller.waits_for("Call established", SOON) {
        panic!("the call is not up: {why}\n{}", callee.log());
    }
    std::thread::sleep(Duration::from_secs(2));
    expect_tones(phones);
}

/// Both hear the tone of the other, and next to nothing else.
///
/// # Panics
/// When one does not.
pub fn expect_tones(phones: [&Softphone<'_>; 2]) {
    for phone in phones {
        let tone = || phone.heard_tone();
        assert!(Lab::wait_until(SOON, || tone() > 900), "{} of 1000: {}", tone(), phone.log());
    }
}

/// The dataplane is killed and comes back, and both go on hearing the other.
///
/// # Panics
/// When they do not.
pub fn expect_tones_after_a_kill(lab: &Lab, phones: [&Softphone<'_>; 2]) {
    lab.script(&["kill", "dataplane"]).expect("the dataplane is killed");
    lab.script(&["start", "dataplane"]).expect("the dataplane comes back");
    let before = phones.map(Softphone::heard_samples);
    let has_heard = || {
        let mut now = phones.into_iter().zip(before);
        now.all(|(phone, before)| phone.heard_samples() > before + 16_000)
    };
    let log = || phones.map(Softphone::log).join("\n");
    assert!(Lab::wait_until(SOON, has_heard), "{}", log());
    expect_tones(phones);
}
