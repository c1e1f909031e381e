//! A vendor's rate sheets by API and CLI: what is said of them, what they change, and that a restart keeps it.

#![allow(clippy::unwrap_used, reason = "a test may stop at what cannot be")]

#[allow(dead_code, reason = "shared with tests that need more of it")]
mod node;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use node::{Node, exchange};
use serde_json::{Value, json};

const QUERY: &str = "/api/v1/tariff/buy/sheet?mapping=carrier";

/// Sends a sheet. Status and answer.
fn sends(node: &Node, more: &str, sheet: &str) -> (u16, Value) {
    let path = format!("{QUERY}{more}");
    let (status, _, text) = exchange(&node.socket(), "POST", &path, "text/csv", sheet);
    (status, serde_json::from_str(&text).unwrap())
}

fn furnished(name: &str) -> Node {
    let node = Node::start(name);
    node.furnish();
    let mapping = json!({
        "name": "carrier", "account": "vendor", "code": "Code", "rate": "Rate", "effective": "From",
        "status": "Status", "date_formats": ["%d.%m.%Y"], "decimal_comma": true,
    });
    node.ok("POST", "/sheet/mapping", &mapping);
    node
}

fn counts(report: &Value) -> Vec<(&'static str, u64)> {
    let names = [
        "new",
        "increased",
        "decreased",
        "changed",
        "closed",
        "unchanged",
        "duplicate",
        "ended",
        "wrong",
        "rounding",
        "losses",
    ];
    let count = |name: &'static str| (name, report[name].as_u64().unwrap());
    names.map(count).into_iter().filter(|it| it.1 > 0).collect()
}

fn rates(node: &Node) -> Vec<String> {
    let rows = node.look("/tariff/buy/rate");
    let text = |row: &Value, field: &str| row[field].as_str().unwrap_or("-").to_owned();
    let row = |row: &Value| {
        let ends = text(row, "ends");
        format!(
            "{} {} {}",
            text(row, "prefix"),
            text(row, "rate"),
            if ends == "-" { "" } else { "ends" }
        )
    };
    rows["items"].as_array().unwrap().iter().map(row).collect()
}

const SHEET: &str = "Code;Rate;From;Status\n44;0,02;01.01.2100;increase\n4420, 4421;0,005;;new\n39;;01.02.2100;closed\n";

#[test]
fn a_sheet_is_shown_then_taken_and_again_changes_nothing() {
    let mut node = furnished("rate-sheet");
    let before = rates(&node);
    let (status, report) = sends(&node, "&dry_run=1", SHEET);
    assert_eq!((status, &report["taken"]), (200, &json!(false)), "{report}");
    let wanted = [("new", 2), ("increased", 1), ("closed", 1), ("losses", 1)];
    assert_eq!(counts(&report), wanted, "{report}");
    assert_eq!(rates(&node), before);
    // 44 is sold at 0.012 and will cost 0.02.
    let loss = &report["loss"][0];
    assert_eq!(
        (&loss["tariff"], &loss["prefix"], &loss["line"]),
        (&json!("sell"), &json!("44"), &json!(2))
    );
    assert_eq!((&loss["sold"], &loss["cost"]), (&json!("0.012"), &json!("0.02")));
    assert_eq!(loss["from"], "2100-01-01T00:00:00.000Z");
    assert_eq!(report["losing"][0]["customers"], json!(["customer"]));

    let (status, taken) = sends(&node, "", SHEET);
    assert_eq!((status, &taken["taken"], counts(&taken)), (200, &json!(true), wanted.to_vec()));
    let after = rates(&node);
    assert_eq!(after, ["39 0.01 ends", "44 0.012 ", "4420 0.005 ", "4421 0.005 ", "44 0.02 "]);
    let version = node.look("/tariff/buy")["version"].clone();
    let (status, again) = sends(&node, "", SHEET);
    assert_eq!((status, &again["taken"]), (200, &json!(false)));
    assert_eq!(counts(&again), [("unchanged", 4), ("losses", 1)], "{again}");
    assert_eq!(node.look("/tariff/buy")["version"], version);

    node.kill();
    node.run();
    assert_eq!(rates(&node), after);
    assert_eq!(node.look("/sheet/mapping/carrier")["decimal_comma"], true);
    // Of a whole sheet what is not in it ends, and what was to come does not.
    let (status, whole) = sends(&node, "&mode=replace", "Code;Rate;From;Status\n44;0,012;;\n");
    assert_eq!((status, counts(&whole)), (200, vec![("unchanged", 1), ("ended", 3)]), "{whole}");
    assert_eq!(rates(&node), ["39 0.01 ends", "44 0.012 ", "4420 0.005 ends", "4421 0.005 ends"]);
}

#[test]
fn wrong_lines_stop_a_sheet_unless_they_are_left_out() {
    let node = furnished("rate-sheet-wrong");
    let before = rates(&node);
    let sheet = "Code;Rate;From;Status\nUK;0,1;;\n33;0,0123456789;;\n34;0,03;;\n";
    let (status, problem) = sends(&node, "", sheet);
    let detail = problem["detail"].as_str().unwrap();
    assert_eq!(status, 422, "{problem}");
    assert!(detail.contains("2 of 3 lines") && detail.contains("line 2: code: \"UK\""), "{detail}");
    assert_eq!(rates(&node), before);
    let (status, report) = sends(&node, "&dry_run=1", sheet);
    assert_eq!((status, counts(&report)), (200, vec![("new", 1), ("wrong", 1), ("rounding", 1)]));
    assert_eq!(report["remarks"][1]["kind"], "rounds");
    let (status, report) = sends(&node, "&skip=1", sheet);
    assert_eq!((status, &report["taken"]), (200, &json!(true)));
    assert_eq!(rates(&node).len(), before.len() + 1);
    for (more, word) in [
        ("&skip=1&mode=replace", "skip"),
        ("&mode=some", "mode"),
        ("&dry_run=yes", "dry_run"),
        ("&effective=soon", "effective"),
        ("&colour=red", "colour"),
    ] {
        let (status, problem) = sends(&node, more, sheet);
        assert_eq!(status, 422, "{problem}");
        assert!(problem["detail"].as_str().unwrap().contains(word), "{problem}");
    }
    let none = "/api/v1/tariff/none/sheet?mapping=carrier";
    assert_eq!(exchange(&node.socket(), "POST", none, "", sheet).0, 404);
    let none = "/api/v1/tariff/buy/sheet?mapping=none";
    assert_eq!(exchange(&node.socket(), "POST", none, "", sheet).0, 404);
    assert_eq!(sends(&node, "", "PK\u{3}\u{4} cut off").0, 422);
    let (status, used) = node.say("DELETE", "/account/vendor", &Value::Null);
    assert_eq!(status, 409, "{used}");
}

#[test]
fn a_large_sheet_leaves_the_loop_to_others() {
    let node = furnished("rate-sheet-large");
    let mut sheet = String::from("Code;Rate;From;Status\n");
    (0..100_000).for_each(|code| sheet.push_str(&format!("{code:06};0,0{code};;\n")));
    let (mut looks, mut longest) = (0, Duration::ZERO);
    std::thread::scope(|scope| {
        let large = scope.spawn(|| sends(&node, "&dry_run=1", &sheet));
        while !large.is_finished() {
            let begun = Instant::now();
            node.look("/tariff/buy");
            longest = longest.max(begun.elapsed());
            looks += 1;
        }
        let (status, report) = large.join().unwrap();
        assert_eq!((status, &report["new"]), (200, &json!(100_000)));
    });
    // Reading and comparing takes seconds in a debug build; the loop answers in between.
    assert!(
        looks > 3 && longest < Duration::from_secs(1),
        "{looks} looks, the longest {longest:?}"
    );
}

fn cli() -> PathBuf {
    let control = Path::new(env!("CARGO_BIN_EXE_tollgate-control"));
    let profile = control.parent().unwrap();
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["build", "--quiet", "--package", "cli", "--target-dir"]);
    assert!(cargo.arg(profile.parent().unwrap()).status().unwrap().success());
    control.with_file_name("tollgate")
}

/// A workbook as `openpyxl` writes it.
const FOREIGN: &str = r#"
import datetime, sys
from openpyxl import Workbook
book = Workbook()
book.active.title = "Cover"
sheet = book.create_sheet("Rates")
sheet.append(["Carrier Ltd"])
sheet.append([])
sheet.append(["Code", "Rate", "From", "Status"])
sheet.append([44, 0.0213, datetime.date(2100, 1, 1), "increase"])
sheet.append(["4420-4422", 0.005, None, "new"])
sheet.append([39, None, datetime.datetime(2100, 2, 1), "closed"])
sheet.append([49, 1 / 3, None, None])
sheet.append([48, "=B4*2", None, None])
book.save(sys.argv[1])
"#;

#[test]
fn a_workbook_of_a_foreign_program_goes_through_the_cli() {
    let node = furnished("rate-sheet-foreign");
    let file = node.home.join("rates.xlsx");
    let written = Command::new("python3").arg("-c").arg(FOREIGN).arg(&file).output();
    if !written.as_ref().is_ok_and(|it| it.status.success()) {
        eprintln!("SKIPPED: no python3 with openpyxl (`pip install openpyxl`): {written:?}");
        return;
    }
    let tollgate = |words: &[&str]| {
        let mut command = Command::new(cli());
        let done = command.arg("--socket").arg(node.socket()).args(words).output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (done.status.code().unwrap(), text(done.stdout), text(done.stderr))
    };
    let words = ["tariff", "mapping", "set", "carrier", "--sheet", "Rates", "--header-line", "3"];
    assert_eq!(tollgate(&words).0, 0);
    let file = file.to_str().unwrap();
    let take = ["tariff", "sheet", "buy", file, "--mapping", "carrier"];
    let (code, out, said) = tollgate(&[&take[..], &["--dry-run"]].concat());
    assert_eq!(code, 0, "{said}");
    for word in ["rounds", "0.3333333333333333", "a formula has its value", "0.0213", "--dry-run"] {
        assert!(out.contains(word), "{word}: {out}");
    }
    let (code, _, said) = tollgate(&take);
    assert!(code == 1 && said.contains("line 7"), "{said}");
    let (code, out, said) = tollgate(&[&take[..], &["--skip", "--output", "json"]].concat());
    assert_eq!(code, 0, "{said}");
    let report: Value = serde_json::from_str(&out).unwrap();
    let wanted =
        [("new", 3), ("increased", 1), ("closed", 1), ("wrong", 1), ("rounding", 1), ("losses", 1)];
    assert_eq!(counts(&report), wanted, "{report}");
    assert_eq!(rates(&node).len(), 6);
}
