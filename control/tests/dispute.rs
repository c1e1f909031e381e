//! A vendor's file beside our records, by API and command line: what is in which class, to the digit.

#![allow(clippy::unwrap_used, reason = "a test may stop at what cannot be")]

mod command_line;
#[allow(dead_code, reason = "shared with tests that need more of it")]
mod node;

use std::collections::BTreeMap;

use command_line::tollgate;
use control::cdr::{BillingMode, Cdr};
use control::shown::AttemptShown;
use control::store::sqlite::Sqlite;
use control::store::{Change, Store};
use link::record::{Attempt, EndReason, NEVER};
use link::{CallRecord, Text};
use node::{Node, exchange};
use rating::{Charge, Money};
use serde_json::{Value, json};

/// 2026-01-01, in µs.
const BEGIN_US: u64 = 1_767_225_600_000_000;
const DAY: &str = "from=2026-01-01T00:00:00Z&to=2026-01-02T00:00:00Z&vendor_account=vendor";

/// A call to a number that begins so many seconds after midnight, is answered 2 s later and costs so many billionths.
fn call(vendor: u32, id: u64, (callee, start_s, talk_ms, cost): (&str, i64, u32, i64)) -> Change {
    let mut record = CallRecord::empty();
    record.id = [id, 3];
    record.started_us = BEGIN_US.saturating_add_signed(start_s * 1_000_000);
    record.callee_billed = Text::new(b"1").unwrap();
    record.callee_sent = Text::new(callee.as_bytes()).unwrap();
    let (answered_ms, ended_ms) =
        if talk_ms == 0 { (NEVER, 9_000) } else { (2_000, 2_000 + talk_ms) };
    (record.answered_ms, record.ended_ms) = (answered_ms, ended_ms);
    record.reason = EndReason::Normal as u8;
    record.attempts_used = 1;
    record.attempts[0] = Attempt { sent_ms: 100, answered_ms, ended_ms, ..Attempt::default() };
    let answered = (talk_ms > 0).then_some(u64::from(answered_ms));
    Change::CdrEnd(Box::new(Cdr {
        record,
        billing_mode: BillingMode::CustomerGateway,
        vendor,
        vendor_account: "vendor".into(),
        vendor_charge: Charge { fee: Money::from_billionths(cost), ..Charge::default() },
        attempts: vec![AttemptShown {
            gateway: "out".into(),
            sent_ms: 100,
            ringing_ms: None,
            answered_ms: answered,
            ended_ms: Some(ended_ms.into()),
            status: 200,
            reason: "normal",
            cause: None,
        }],
        ..Cdr::default()
    }))
}

const CENT: i64 = 10_000_000;

fn prepared(name: &str) -> Node {
    let mut node = Node::start(name);
    node.furnish();
    let id = |name: &str| node.look(&format!("/account/{name}"))["id"].as_u64().unwrap();
    let (vendor, other) =
        (u32::try_from(id("vendor")).unwrap(), u32::try_from(id("customer")).unwrap());
    let calls = [
        // Matched, longer, dearer, missing, cheaper, shorter; two to one number within seconds.
        ("99#442071", 100, 61_000, CENT),
        ("99#442072", 200, 61_000, CENT),
        ("99#442073", 300, 61_000, CENT),
        ("99#442074", 400, 61_000, CENT),
        ("99#442075", 500, 61_000, CENT),
        ("99#442076", 600, 61_000, CENT),
        ("99#442077", 700, 10_000, CENT),
        ("99#442077", 704, 20_000, 2 * CENT),
        // Nobody answered it; it is a vendor's no record of ours.
        ("99#442078", 800, 0, 0),
        // Three seconds before the day: theirs tells it in the day.
        ("99#442079", -5, 30_000, CENT),
        // Of another day, and of nobody's interest.
        ("99#442080", 90_000, 30_000, CENT),
    ];
    let mut changes: Vec<Change> = (0..).zip(calls).map(|(id, it)| call(vendor, id, it)).collect();
    changes.push(call(other, 99, ("99#442071", 100, 61_000, CENT)));
    node.kill();
    let mut store = Sqlite::open(&node.home.join("state/tollgate.db")).unwrap();
    store.commit(&changes).unwrap();
    drop(store);
    node.run();
    let mapping = json!({
        "name": "carrier", "account": "vendor", "callee": "Called", "start": "Connect", "duration": "Duration",
        "amount": "Cost", "currency": "Cur", "caller": "Calling", "record_id": "Id",
        "time_zone": "Europe/Berlin", "start_formats": ["%d.%m.%Y %H:%M:%S"],
        "callee_rules": [{"original": "00"}, {"original": "0", "target": "44"}],
        "sent_rules": [{"original": "99#"}],
    });
    node.ok("POST", "/record/mapping", &mapping);
    node
}

/// By the clock of Berlin; our answers came two seconds after 0:01:40 and so on, UTC.
const FILE: &str = "Id|Calling|Called|Connect|Duration|Cost|Cur\n\
    a|=1+1|0044 2071|01.01.2026 01:01:42|61|0.01|EUR\n\
    b|4930|02072|01.01.2026 01:03:25|0:01:03|0.01|EUR\n\
    c|4930|+442073|01.01.2026 01:05:02|62|0.011|eur\n\
    d|4930|+442075|01.01.2026 01:08:22|61.000|0.009|EUR\n\
    e|4930|+442076|01.01.2026 01:10:02|30|0.005|EUR\n\
    f|4930|+442077|01.01.2026 01:11:47|20|0.02|EUR\n\
    g|4930|+442077|01.01.2026 01:11:43|10|0.01|EUR\n\
    h|4930|+442078|01.01.2026 01:13:22|0|0|EUR\n\
    =h|-4930|+442099|01.01.2026 01:15:00|5|0.03|EUR\n\
    i|4930|+442079|01.01.2026 01:00:01|30|0.01|EUR\n\
    j|4930|+442099|02.01.2026 01:00:00|30|0.01|EUR\n\
    k|4930|+442071|01.01.2026 01:01:42|61|0.01|USD\n\
    l|4930|+442071|yesterday|61|0.01|EUR\n";

fn sends(node: &Node, query: &str, file: &str) -> (u16, Value) {
    let path = format!("/api/v1/cdr/dispute?{query}");
    let (status, _, text) = exchange(&node.socket(), "POST", &path, "text/csv", file);
    (status, serde_json::from_str(&text).unwrap())
}

/// `ours/theirs` calls, ms and money of each class that has any.
fn classes(report: &Value) -> BTreeMap<String, String> {
    let both = |it: &Value, field: &str| {
        let text = |side: &str| match &it[side][field] {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        format!("{}/{}", text("ours"), text("theirs"))
    };
    let classes = report["classes"].as_array().unwrap().iter();
    let has = |it: &&Value| it["ours"]["calls"] != 0 || it["theirs"]["calls"] != 0;
    let row = |it: &Value| {
        let fields = ["calls", "duration_ms", "amount"].map(|field| both(it, field));
        (it["class"].as_str().unwrap().to_owned(), fields.join(" "))
    };
    classes.filter(has).map(row).collect()
}

#[test]
fn every_call_of_both_sides_is_in_its_class_with_its_money() {
    let node = prepared("dispute");
    let (status, report) = sends(&node, &format!("mapping=carrier&{DAY}"), FILE);
    assert_eq!(status, 200, "{report}");
    let expected = [
        ("cheaper", "1/1 61000/61000 0.01/0.009"),
        ("dearer", "1/1 61000/62000 0.01/0.011"),
        ("extra", "0/1 0/5000 0.00/0.03"),
        ("longer", "1/1 61000/63000 0.01/0.01"),
        ("matched", "4/4 121000/121000 0.05/0.05"),
        ("missing", "1/0 61000/0 0.01/0.00"),
        ("outside", "0/1 0/30000 0.00/0.01"),
        ("shorter", "1/1 61000/30000 0.01/0.005"),
        ("unanswered", "0/1 0/0 0.00/0.00"),
    ];
    let expected: BTreeMap<String, String> =
        expected.into_iter().map(|(class, sums)| (class.into(), sums.into())).collect();
    assert_eq!(classes(&report), expected, "{report:#}");
    assert_eq!((&report["lines"], &report["wrong"]), (&json!(13), &json!(2)));
    let lines: Vec<u64> = report["remarks"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| it["line"].as_u64().unwrap())
        .collect();
    assert_eq!(lines, [13, 14]);
    // The dearer one 0.001, the cheaper -0.001, the shorter -0.005, the missing -0.01, the extra 0.03.
    assert_eq!(report["disputed"], "0.015");
    assert_eq!(report["differences"], 8);
    assert_eq!(report["theirs"]["calls"], 11);
    let item = |class: &str| {
        let items = report["items"].as_array().unwrap();
        items.iter().find(|it| it["class"] == class).unwrap().clone()
    };
    let longer = item("longer");
    assert_eq!((&longer["callee"], &longer["line"]), (&json!("442072"), &json!(3)));
    assert_eq!(longer["their_start"], "2026-01-01T00:03:25.000Z");
    assert_eq!(longer["our_start"], "2026-01-01T00:03:22.000Z");
    assert_eq!(item("missing")["difference"], "-0.01");
    let id = item("missing")["id"].as_str().unwrap().to_owned();
    assert_eq!(node.look(&format!("/cdr/{id}"))["callee_sent"], "99#442074");

    // A correction counts, and what is dearer by no more than is allowed is no difference.
    let id = item("dearer")["id"].as_str().unwrap().to_owned();
    let right = json!({"vendor_charge": "0.0105", "reason": "as agreed", "request_id": "one"});
    node.ok("POST", &format!("/cdr/{id}/correction"), &right);
    let (_, again) = sends(&node, &format!("mapping=carrier&{DAY}&amount=0.0005"), FILE);
    assert_eq!(classes(&again)["matched"], "5/5 182000/183000 0.0605/0.061", "{again}");
    // Tighter starts, wider durations.
    let tight = format!("mapping=carrier&{DAY}&start_ms=2000&duration_ms=2000");
    let (_, tight) = sends(&node, &tight, FILE);
    assert_eq!(classes(&tight)["missing"], "2/0 122000/0 0.02/0.00");
    let wide = format!("mapping=carrier&{DAY}&duration_ms=2000");
    assert!(!classes(&sends(&node, &wide, FILE).1).contains_key("longer"));
    // The time of the INVITE is two seconds earlier: one call is too far from it.
    node.ok("PATCH", "/record/mapping/carrier", &json!({"start_is": "setup"}));
    let (_, setup) = sends(&node, &format!("mapping=carrier&{DAY}&start_ms=3000"), FILE);
    assert_eq!(classes(&setup)["missing"], "2/0 122000/0 0.02/0.00", "{setup:#}");
}

#[test]
fn a_dispute_that_makes_no_sense_is_refused_by_its_field() {
    let node = prepared("dispute-wrong");
    let mapped = format!("mapping=carrier&{DAY}");
    for (query, file, status, word) in [
        (DAY.to_owned(), FILE, 422, "mapping"),
        (format!("mapping=none&{DAY}"), FILE, 404, "none"),
        ("mapping=carrier&from=2026-01-01".into(), FILE, 422, "to:"),
        ("mapping=carrier&to=2026-01-01&from=2026-01-02".into(), FILE, 422, "from, to"),
        ("mapping=carrier&to=2026-01-01&from=soon".into(), FILE, 422, "from"),
        (format!("mapping=carrier&{DAY}x"), FILE, 404, "vendorx"),
        (format!("{mapped}&start_ms=3600001"), FILE, 422, "start_ms"),
        (format!("{mapped}&duration_ms=-1"), FILE, 422, "duration_ms"),
        (format!("{mapped}&amount=-1"), FILE, 422, "amount"),
        (format!("{mapped}&colour=red"), FILE, 422, "colour"),
        (mapped.clone(), "", 422, "empty"),
        (mapped.clone(), "Called|Connect\n1|2\n", 422, "duration"),
        (mapped.clone(), "PK\u{3}\u{4} cut off", 422, "xlsx"),
    ] {
        let (told, problem) = sends(&node, &query, file);
        assert_eq!(told, status, "{query}: {problem}");
        assert!(problem["detail"].as_str().unwrap().contains(word), "{query}: {problem}");
    }
    // Without an open quote's end all that follows is one line, and told as that.
    let (status, open) = sends(&node, &mapped, &FILE.replace("b|4930", "\"b|4930"));
    assert_eq!((status, &open["wrong"]), (200, &json!(1)), "{open}");
    let (status, used) = node.say("DELETE", "/account/vendor", &Value::Null);
    assert_eq!(status, 409, "{used}");
}

#[test]
fn the_command_line_saves_a_mapping_and_writes_a_file_of_differences() {
    let mut node = prepared("dispute-cli");
    let ok = |node: &Node, words: &[&str]| {
        let (code, out, err) = tollgate(node, words);
        assert_eq!(code, 0, "{words:?}: {err}");
        out
    };
    let create = [
        "cdr",
        "mapping",
        "create",
        "mine",
        "--account",
        "vendor",
        "--callee",
        "Called",
        "--start",
        "Connect",
        "--duration",
        "Duration",
        "--amount",
        "Cost",
        "--currency",
        "Cur",
        "--caller",
        "Calling",
        "--record-id",
        "Id",
        "--delimiter",
        "|",
        "--start-format",
        "%d.%m.%Y %H:%M:%S",
        "--time-zone",
        "Europe/Berlin",
        "--callee-rule",
        "00=",
        "--callee-rule",
        "0=44",
        "--sent-rule",
        "99#=",
    ];
    ok(&node, &create);
    node.kill();
    node.run();
    assert!(ok(&node, &["cdr", "mapping", "list"]).contains("mine"));
    let sent = node.home.join("january.csv");
    std::fs::write(&sent, FILE).unwrap();
    let differences = node.home.join("dispute.csv");
    let (sent, csv) = (sent.to_str().unwrap(), differences.to_str().unwrap());
    let words = [
        "cdr",
        "dispute",
        sent,
        "--vendor",
        "vendor",
        "--mapping",
        "mine",
        "--from",
        "2026-01-01",
        "--to",
        "2026-01-02",
    ];
    let table = ok(&node, &words);
    assert!(
        table.contains("0.015") && table.contains("unanswered") && table.contains("yesterday"),
        "{table}"
    );
    let json: Value =
        serde_json::from_str(&ok(&node, &[&["--output", "json"], &words[..]].concat())).unwrap();
    assert_eq!(json["differences"], 8);
    ok(&node, &[&words[..], &["--csv", csv]].concat());
    let mut read = csv::Reader::from_path(&differences).unwrap();
    let header = read.headers().unwrap().clone();
    let rows: Vec<BTreeMap<String, String>> = read
        .records()
        .map(|row| {
            header.iter().map(str::to_owned).zip(row.unwrap().iter().map(str::to_owned)).collect()
        })
        .collect();
    let classes: Vec<&str> = rows.iter().map(|row| row["class"].as_str()).collect();
    let told = [
        "longer",
        "dearer",
        "missing",
        "cheaper",
        "shorter",
        "unanswered",
        "extra",
        "outside",
        "wrong",
        "wrong",
    ];
    assert_eq!(classes, told);
    let extra = &rows[6];
    // What a spreadsheet would take for formulas is text; what is a figure stays one.
    assert_eq!((extra["record_id"].as_str(), extra["caller"].as_str()), ("'=h", "-4930"));
    assert_eq!((extra["difference"].as_str(), rows[2]["difference"].as_str()), ("0.03", "-0.01"));
    assert!(rows[9]["why"].contains("yesterday"), "{:?}", rows[9]);
    let (code, _, err) = tollgate(&node, &[&words[..], &["--csv", csv]].concat());
    assert!(code == 1 && err.contains("there already"), "{err}");
    ok(&node, &["cdr", "mapping", "set", "mine", "--decimal-comma", "true"]);
    ok(&node, &["cdr", "mapping", "delete", "mine"]);
}

#[test]
fn a_large_file_leaves_the_loop_to_others() {
    let node = prepared("dispute-large");
    let mut file = String::from("Id|Calling|Called|Connect|Duration|Cost|Cur\n");
    // All to three numbers, which is the hardest.
    for line in 0..100_000 {
        let (minute, second) = (line / 60 % 60, line % 60);
        file.push_str(&format!(
            "{line}|1|+44207{}|01.01.2026 01:{minute:02}:{second:02}|61|0.01|EUR\n",
            line % 3
        ));
    }
    let mut longest = std::time::Duration::ZERO;
    std::thread::scope(|threads| {
        let sender = threads.spawn(|| sends(&node, &format!("mapping=carrier&{DAY}"), &file));
        while !sender.is_finished() {
            let begun = std::time::Instant::now();
            node.look("/account/vendor");
            longest = longest.max(begun.elapsed());
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
        let (status, report) = sender.join().unwrap();
        assert_eq!((status, &report["lines"]), (200, &json!(100_000)), "{}", report["detail"]);
        assert_eq!(report["theirs"]["calls"], 100_000);
        // Every difference is counted, and the first are told.
        let items = report["items"].as_array().unwrap().len() as u64;
        assert_eq!(Some(items), report["differences"].as_u64().map(|all| all.min(100_000)));
    });
    assert!(longest < std::time::Duration::from_millis(1_500), "{longest:?}");
}
