//! Records in files: all of them, whole, and with a checksum that another program finds right.

#![allow(clippy::unwrap_used, reason = "a test may stop at what cannot be")]

mod command_line;
#[allow(dead_code, reason = "shared with tests that need more of it")]
mod node;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use command_line::tollgate;
use control::cdr::{BillingMode, Cdr};
use control::store::sqlite::Sqlite;
use control::store::{Change, Store};
use link::CallRecord;
use node::Node;
use rating::{Charge, Money};
use serde_json::{Value, json};

/// More than one page of an export.
const CALLS: u64 = 5_003;
const NAME: &str = "in, \"quoted\" | and\na line";

fn calls() -> Vec<Change> {
    let call = |number: u64| {
        let mut record = CallRecord::empty();
        record.id = [number, 1];
        record.started_us = 1_767_225_600_000_000 + number * 1_000_000;
        record.ended_ms = 60_000;
        let fee = Money::from_billionths(i64::try_from(number).unwrap() * 1_000);
        Change::CdrEnd(Box::new(Cdr {
            record,
            billing_mode: BillingMode::CustomerGateway,
            gateway: NAME.into(),
            customer_charge: Charge { billed_s: 60, fee, ..Charge::default() },
            ..Cdr::default()
        }))
    };
    (0..CALLS).map(call).collect()
}

fn node(name: &str) -> Node {
    let mut node = Node::prepare(name);
    let mut store = Sqlite::open(&node.home.join("state/tollgate.db")).unwrap();
    store.load().unwrap();
    store.commit(&calls()).unwrap();
    drop(store);
    node.run();
    node
}

fn records(node: &Node) -> BTreeMap<String, Value> {
    let list = node.look("/cdr?limit=10000");
    let items = list["items"].as_array().unwrap().iter();
    items.map(|it| (it["id"].as_str().unwrap().to_owned(), it.clone())).collect()
}

fn export(node: &Node, file: &Path, more: &[&str]) -> (i32, Value, String) {
    let file = file.to_str().unwrap();
    let words = [&["--output", "json", "cdr", "export", "--file", file], more].concat();
    let (code, out, err) = tollgate(node, &words);
    (code, serde_json::from_str(&out).unwrap_or_default(), err)
}

fn checked(file: &Path) {
    let sum = PathBuf::from(format!("{}.sha256", file.display()));
    let mut check = Command::new("sha256sum");
    let done = check.arg("--check").arg(&sum).current_dir(file.parent().unwrap()).output().unwrap();
    assert!(done.status.success(), "{done:?}");
}

#[test]
fn a_file_has_every_record_with_every_field_and_its_checksum_is_right() {
    let node = node("export");
    let records = records(&node);
    assert_eq!(records.len() as u64, CALLS);

    let file = node.home.join("calls.csv");
    let (code, told, err) = export(&node, &file, &[]);
    assert_eq!((code, &told["records"]), (0, &json!(CALLS)), "{err}");
    assert_eq!(told["bytes"], std::fs::metadata(&file).unwrap().len());
    checked(&file);
    let mut read = csv::Reader::from_path(&file).unwrap();
    let header = read.headers().unwrap().clone();
    let mut seen = 0;
    for row in read.records() {
        let row = row.unwrap();
        let cells: BTreeMap<&str, &str> = header.iter().zip(row.iter()).collect();
        let record = &records[cells["id"]];
        for (field, value) in record.as_object().unwrap() {
            let cell = cells.get(field.as_str()).unwrap_or_else(|| panic!("no column {field}"));
            match value {
                Value::Null => assert_eq!(*cell, ""),
                Value::String(text) => assert_eq!(cell, text),
                other => assert_eq!(serde_json::from_str::<Value>(cell).unwrap(), *other),
            }
        }
        assert_eq!(cells["gateway"], NAME);
        seen += 1;
    }
    assert_eq!(seen, CALLS);

    let file = node.home.join("calls.jsonl");
    let (code, told, err) = export(&node, &file, &["--format", "jsonl"]);
    assert_eq!((code, &told["records"]), (0, &json!(CALLS)), "{err}");
    checked(&file);
    let text = std::fs::read_to_string(&file).unwrap();
    let read: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(read.iter().all(|it| records[it["id"].as_str().unwrap()] == *it));
    assert_eq!(read.len() as u64, CALLS);
}

#[test]
fn a_file_is_new_and_whole_or_not_there() {
    let mut node = node("export-whole");
    let file = node.home.join("part.csv");
    let some = ["--from", "2026-01-01T00:10:00Z", "--to", "2026-01-01T00:20:00Z"];
    let (code, told, err) = export(&node, &file, &some);
    assert_eq!((code, &told["records"]), (0, &json!(600)), "{err}");
    let before = std::fs::read(&file).unwrap();
    let (code, _, err) = export(&node, &file, &some);
    assert!(code == 1 && err.contains("there already"), "{err}");
    assert_eq!(std::fs::read(&file).unwrap(), before);

    let none = ["--from", "2020-01-01T00:00:00Z", "--to", "2020-01-02T00:00:00Z"];
    let empty = node.home.join("empty.csv");
    let (code, told, _) = export(&node, &empty, &none);
    assert_eq!((code, &told["records"]), (0, &json!(0)));
    checked(&empty);

    let cases = [("wrong.csv", vec!["--from", "yesterday"]), ("no/such/folder.csv", vec![])];
    for (name, more) in cases {
        let file = node.home.join(name);
        let (code, _, err) = export(&node, &file, &more);
        assert!(code == 1 && !err.is_empty(), "{name}: {err}");
    }
    let file = node.home.join("taken.csv");
    let part = node.home.join("taken.csv.part");
    std::fs::write(&part, "another's").unwrap();
    for _ in 0..2 {
        let (code, _, err) = export(&node, &file, &some);
        assert!(code == 1 && err.contains("taken.csv.part: another export writes it"), "{err}");
        assert_eq!(std::fs::read(&part).unwrap(), b"another's");
    }
    std::fs::remove_file(&part).unwrap();

    node.kill();
    let file = node.home.join("gone.csv");
    assert_eq!(export(&node, &file, &[]).0, 1);
    let left: Vec<String> = std::fs::read_dir(&node.home)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.contains(".csv"))
        .collect();
    assert_eq!(left.len(), 4, "two files and their checksums: {left:?}");
}
