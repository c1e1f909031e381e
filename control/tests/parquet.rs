//! Records as Parquet: what the format's own reader finds is what the API says, to the last digit.

#![allow(clippy::unwrap_used, reason = "a test may stop at what cannot be")]

mod command_line;
#[allow(dead_code, reason = "shared with tests that need more of it")]
mod disk;
#[allow(dead_code, reason = "shared with tests that need more of it")]
mod node;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use command_line::{command, tollgate};
use control::cdr::{BillingMode, Cdr, id_text};
use control::rfc3339;
use control::shown::{AttemptShown, CoveredShown};
use control::store::sqlite::Sqlite;
use control::store::{Change, Store};
use disk::Disk;
use link::CallRecord;
use node::Node;
use parquet::basic::Compression;
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::Field;
use parquet::schema::printer::print_schema;
use rating::{Charge, Money};
use serde_json::{Value, json};

/// More than one page of an export.
const CALLS: u64 = 5_003;
const LARGEST: i64 = 999_999_999_999_999_999;
const NAME: &str = "in, \"quoted\" | и\na line";
const RANGE: [&str; 4] = ["--from", "2026-01-01T00:00:00Z", "--to", "2026-01-02T00:00:00Z"];
/// Whose record has more than a column can hold.
const DEARER: [&str; 4] = ["--from", "2020-01-01T00:00:00Z", "--to", "2020-01-02T00:00:00Z"];

fn call(number: u64, customer: u32) -> Cdr {
    let mut record = CallRecord::empty();
    record.id = [number, 1];
    record.started_us = 1_767_225_600_000_000 + number * 1_000_000;
    record.ended_ms = 60_007;
    let billionths = i64::try_from(number).unwrap() * 1_000_000_007;
    let fee = Money::from_billionths(if number == 7 { LARGEST } else { billionths % 5_000_001 });
    let mut call = Cdr {
        record,
        customer,
        billing_mode: BillingMode::CustomerGateway,
        gateway: NAME.into(),
        customer_charge: Charge { billed_s: 60, fee, ..Charge::default() },
        ..Cdr::default()
    };
    if number.is_multiple_of(3) {
        call.record.ringing_ms = 1_002;
        call.record.answered_ms = 2_003;
        call.record.media_ms = 59_999;
        call.record.status = 200;
        call.vendor_charge = Charge { billed_s: 58, fee, ..Charge::default() };
        call.attempts = vec![AttemptShown {
            gateway: NAME.into(),
            sent_ms: 3,
            ringing_ms: Some(1_002),
            answered_ms: None,
            ended_ms: Some(60_007),
            status: 200,
            reason: "normal",
            cause: Some(16),
        }];
    }
    if number.is_multiple_of(5) {
        call.covered = vec![CoveredShown {
            subscription: "retail".into(),
            package: "minutes".into(),
            period: 1,
            means: "minutes".into(),
            from_s: 0,
            seconds: number,
            amount: Money::default().into(),
        }];
    }
    call
}

/// With a record of 2020 that nobody would believe.
fn node(name: &str, calls: u64) -> Node {
    let mut node = Node::start(name);
    let made = node.ok("POST", "/account", &json!({"name": "buyer", "role": "customer"}));
    let customer = u32::try_from(made["id"].as_u64().unwrap()).unwrap();
    node.kill();
    let mut dearer = call(CALLS, customer);
    dearer.record.started_us = 1_577_836_800_000_000;
    dearer.customer_charge.fee = Money::from_billionths(i64::MAX);
    let calls = (0..calls).map(|number| call(number, customer)).chain([dearer]);
    let changes: Vec<Change> = calls.map(|call| Change::CdrEnd(Box::new(call))).collect();
    let mut store = Sqlite::open(&node.home.join("state/tollgate.db")).unwrap();
    store.load().unwrap();
    for changes in changes.chunks(1_000) {
        store.commit(changes).unwrap();
    }
    drop(store);
    node.run();
    node
}

fn words<'w>(file: &'w str, format: &'w str, more: &[&'w str]) -> Vec<&'w str> {
    [&["--output", "json", "cdr", "export", "--file", file, "--format", format], more].concat()
}

fn export(node: &Node, file: &Path, format: &str, more: &[&str]) -> (i32, Value, String) {
    let (code, out, err) = tollgate(node, &words(file.to_str().unwrap(), format, more));
    (code, serde_json::from_str(&out).unwrap_or_default(), err)
}

fn checked(file: &Path) {
    let sum = PathBuf::from(format!("{}.sha256", file.display()));
    let mut check = Command::new("sha256sum");
    let done = check.arg("--check").arg(&sum).current_dir(file.parent().unwrap()).output().unwrap();
    assert!(done.status.success(), "{done:?}");
}

fn open(file: &Path) -> SerializedFileReader<std::fs::File> {
    SerializedFileReader::new(std::fs::File::open(file).unwrap()).unwrap()
}

fn foot(file: &SerializedFileReader<std::fs::File>) -> BTreeMap<String, String> {
    let told = file.metadata().file_metadata().key_value_metadata().unwrap().iter();
    told.map(|it| (it.key.clone(), it.value.clone().unwrap())).collect()
}

fn lines(file: &Path) -> BTreeMap<String, Value> {
    let text = std::fs::read_to_string(file).unwrap();
    let records = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    records.map(|it| (it["id"].as_str().unwrap().to_owned(), it)).collect()
}

/// What the API would say of a value.
fn said(field: &Field) -> Value {
    match field {
        Field::Null => Value::Null,
        Field::Bool(flag) => json!(flag),
        Field::Long(number) => json!(number),
        Field::Str(text) => json!(text),
        Field::TimestampMicros(us) => json!(rfc3339(u64::try_from(*us).unwrap())),
        Field::Decimal(amount) => {
            assert_eq!((amount.precision(), amount.scale()), (18, 9));
            let billionths = i64::from_be_bytes(amount.data().try_into().unwrap());
            json!(Money::from_billionths(billionths).to_string())
        }
        other => panic!("no field is {other}"),
    }
}

/// Sums of exact amounts, by their columns.
fn count(sums: &mut BTreeMap<String, i128>, name: &str, amount: &Value) {
    if let Some(Ok(amount)) = amount.as_str().map(str::parse::<Money>) {
        *sums.entry(name.to_owned()).or_default() += i128::from(amount.billionths());
    }
}

const AMOUNTS: [&str; 7] = [
    "agent_charge",
    "agent_income",
    "charge",
    "package_charge",
    "tax",
    "vendor_charge",
    "vendor_tax",
];

#[test]
fn a_foreign_reader_finds_every_value_and_the_sums_are_exact() {
    let node = node("parquet", CALLS);
    let right = json!({"charge": "0.75", "reason": "wrong \"rate\"", "request_id": "t1"});
    node.ok("POST", &format!("/cdr/{}/correction", id_text([9, 1])), &right);

    let [file, json_file, csv_file] =
        ["calls.parquet", "calls.jsonl", "calls.csv"].map(|name| node.home.join(name));
    let (code, told, err) = export(&node, &file, "parquet", &RANGE);
    assert_eq!((code, &told["records"]), (0, &json!(CALLS)), "{err}");
    assert_eq!(told["bytes"], std::fs::metadata(&file).unwrap().len());
    checked(&file);
    for (file, format) in [(&json_file, "jsonl"), (&csv_file, "csv")] {
        assert_eq!(export(&node, file, format, &RANGE).0, 0);
    }

    let read = open(&file);
    let about = read.metadata().file_metadata();
    let mut header = csv::Reader::from_path(&csv_file).unwrap();
    let columns: Vec<&str> = about.schema().get_fields().iter().map(|it| it.name()).collect();
    assert_eq!(columns, header.headers().unwrap().iter().collect::<Vec<&str>>());
    let mut schema = Vec::new();
    print_schema(&mut schema, about.schema());
    let schema = String::from_utf8(schema).unwrap();
    for column in [
        "OPTIONAL BYTE_ARRAY id (STRING);",
        "OPTIONAL INT64 started (TIMESTAMP(MICROS,true));",
        "OPTIONAL INT64 charge (DECIMAL(18,9));",
        "OPTIONAL INT64 hold_ms;",
        "OPTIONAL BOOLEAN uncommitted;",
        "OPTIONAL BYTE_ARRAY attempts (JSON);",
    ] {
        assert!(schema.contains(column), "{column} is not in {schema}");
    }
    assert_eq!(about.num_rows(), i64::try_from(CALLS).unwrap());
    assert_eq!(read.metadata().row_group(0).column(0).compression(), Compression::SNAPPY);
    let foot = foot(&read);
    let records = lines(&json_file);
    let version = records.values().next().unwrap()["version"].to_string();
    for (key, value) in [
        ("tollgate.records", &CALLS.to_string()[..]),
        ("tollgate.from", RANGE[1]),
        ("tollgate.to", RANGE[3]),
        ("tollgate.version", &version),
    ] {
        assert_eq!(foot[key], value, "{key}");
    }

    let (mut seen, mut found, mut wanted) = (0, BTreeMap::new(), BTreeMap::new());
    for row in read.get_row_iter(None).unwrap() {
        let row = row.unwrap().into_columns();
        let cells: BTreeMap<&str, &Field> =
            row.iter().map(|(name, field)| (&name[..], field)).collect();
        let record = &records[said(cells["id"]).as_str().unwrap()];
        assert!(record.as_object().unwrap().keys().all(|field| cells.contains_key(&field[..])));
        for (name, field) in cells {
            let (read, meant) = (said(field), &record[name]);
            if meant.is_array() || meant.is_object() {
                let text = read.as_str().unwrap();
                assert_eq!(serde_json::from_str::<Value>(text).unwrap(), *meant, "{name}");
            } else {
                assert_eq!(read, *meant, "{name}");
            }
            if AMOUNTS.contains(&name) {
                assert!(matches!(field, Field::Decimal(_) | Field::Null), "{name}: {field}");
                count(&mut found, name, &read);
                count(&mut wanted, name, meant);
            }
        }
        seen += 1;
    }
    assert_eq!((seen, records.len() as u64), (CALLS, CALLS));
    assert_eq!(found, wanted);
    assert!(found["charge"] > i128::from(LARGEST), "{found:?}");
    let corrected = &records[&id_text([9, 1])];
    assert_eq!((&corrected["charge"], corrected["corrections"].is_array()), (&json!("0.75"), true));
}

#[test]
fn a_file_is_whole_or_not_there_whatever_ends_the_export() {
    let mut node = node("parquet-whole", CALLS);
    let there = |name: &str| {
        let names = std::fs::read_dir(node.home.join(name)).unwrap();
        let mut names: Vec<String> =
            names.map(|it| it.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    };
    for name in ["out", "small"] {
        std::fs::create_dir(node.home.join(name)).unwrap();
    }
    let out = node.home.join("out");

    // What no column can hold.
    let (code, _, err) = export(&node, &out.join("dearer.parquet"), "parquet", &DEARER);
    assert!(
        code == 1 && err.contains("charge: \"9223372036.854775807\" is not an amount"),
        "{err}"
    );
    assert_eq!(there("out"), <[&str; 0]>::default());
    assert_eq!(export(&node, &out.join("dearer.csv"), "csv", &DEARER).0, 0);

    // Somebody stops it.
    let killed = out.join("killed.parquet");
    let part = out.join("killed.parquet.part");
    let mut child = command(&node, &words(killed.to_str().unwrap(), "parquet", &RANGE))
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let end = Instant::now() + Duration::from_secs(20);
    while !part.exists() {
        assert!(Instant::now() < end, "it does not begin");
        std::thread::sleep(Duration::from_millis(1));
    }
    child.kill().unwrap();
    assert!(!child.wait().unwrap().success());
    assert_eq!(there("out"), ["dearer.csv", "dearer.csv.sha256", "killed.parquet.part"]);
    std::fs::remove_file(&part).unwrap();
    assert_eq!(export(&node, &killed, "parquet", &RANGE).0, 0);
    checked(&killed);

    // The disk is full.
    let small = node.home.join("small");
    if let Some(disk) = Disk::mount(&small, "32k") {
        let (code, _, err) = export(&node, &small.join("full.parquet"), "parquet", &RANGE);
        assert!(code == 1 && err.contains("No space left"), "{err}");
        assert_eq!(there("small"), <[&str; 0]>::default());
        drop(disk);
    }

    // No records.
    let none = out.join("none.parquet");
    let range = ["--from", "2021-01-01T00:00:00Z", "--account", "buyer"];
    let range = [&range[..], &["--to", "2021-01-02T00:00:00Z"]].concat();
    let (code, told, err) = export(&node, &none, "parquet", &range);
    assert_eq!((code, &told["records"]), (0, &json!(0)), "{err}");
    checked(&none);
    let read = open(&none);
    assert_eq!(read.metadata().file_metadata().num_rows(), 0);
    assert_eq!(foot(&read)["tollgate.account"], "buyer");

    let before = there("out");
    node.kill();
    assert_eq!(export(&node, &out.join("gone.parquet"), "parquet", &[]).0, 1);
    let out = std::fs::read_dir(&out).unwrap().count();
    assert_eq!(out, before.len());
}
