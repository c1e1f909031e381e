//! Hours of records as text files: whole, complete, written again when an end comes late, whoever is killed.

#![allow(clippy::unwrap_used, reason = "a test may stop at what cannot be")]

mod command_line;
#[allow(dead_code, reason = "shared with tests that need more of it")]
mod node;

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use command_line::tollgate;
use control::cdr::{BillingMode, Cdr};
use control::hourly::{HOUR_US, file_name};
use control::store::sqlite::Sqlite;
use control::store::{Change, Store};
use link::{CallRecord, Text};
use node::Node;
use rating::{Charge, Money};
use serde_json::{Value, json};

fn hour_now() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    u64::try_from(now.as_micros()).unwrap() / HOUR_US
}

/// So many calls of an hour: each is charged by its number.
fn store(node: &Node, hour: u64, numbers: std::ops::Range<u64>) {
    let mut store = Sqlite::open(&node.home.join("state/tollgate.db")).unwrap();
    store.load().unwrap();
    let call = |number: u64| {
        let mut record = CallRecord {
            id: [hour, number],
            started_us: hour * HOUR_US + number * 1_000,
            answered_ms: 0,
            ..CallRecord::empty()
        };
        record.facts.call_id = Text::new(format!("a|b\\{number}").as_bytes()).unwrap();
        let fee = Money::from_billionths(number.cast_signed() * 1_000_003);
        Change::CdrEnd(Box::new(Cdr {
            record,
            billing_mode: BillingMode::CustomerGateway,
            customer_charge: Charge { fee, ..Charge::default() },
            ..Cdr::default()
        }))
    };
    store.commit(&numbers.map(call).collect::<Vec<_>>()).unwrap();
}

fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(60);
    while !is_so() {
        assert!(Instant::now() < end, "never: {what}");
        std::thread::sleep(Duration::from_millis(100));
    }
}

fn lines(file: &Path) -> usize {
    std::fs::read_to_string(file).map_or(0, |text| text.lines().count())
}

#[test]
fn each_hour_that_is_over_is_a_file_that_others_read_and_a_late_end_writes_it_again() {
    let mut node = Node::prepare("hourly");
    let hour = hour_now() - 3;
    store(&node, hour, 0..300);
    store(&node, hour - 1, 0..7);
    store(&node, hour_now() - 60, 0..5);
    node.run();
    let folder = node.home.join("state/text");
    assert!(!folder.exists());
    node.ok("PUT", "/param/TG_CDR_TEXT", &json!({"value": "1"}));
    let file = folder.join(file_name(hour));
    until("an hour", || file.exists());
    until("two", || folder.join(file_name(hour - 1)).exists());
    let checked = Command::new("sha256sum")
        .args(["--check", "--strict", &format!("{}.sha256", file_name(hour))])
        .current_dir(&folder)
        .output()
        .unwrap();
    assert!(checked.status.success(), "{checked:?}");
    // Another program's reading: fields, the seventeenth, and the sum of charges in billionths.
    let awk = "{fields[NF]++; modes[$17]++; sum += $21 * 1000000000} END {printf \"%d %d %.0f\", fields[45], modes[1], sum}";
    let read = Command::new("awk").args(["-F", "|", awk]).arg(&file).output().unwrap();
    let sum = (0..300_u64).sum::<u64>() * 1_000_003;
    assert_eq!(String::from_utf8(read.stdout).unwrap(), format!("300 300 {sum}"));
    let text = std::fs::read_to_string(&file).unwrap();
    assert!(text.lines().nth(8).unwrap().contains("|a\\x7cb\\x5c8|"), "{text:.300}");

    node.kill();
    store(&node, hour, 300..310);
    node.run();
    until("ten more", || lines(&file) == 310);
    let (code, out, no) = tollgate(&node, &["--output", "json", "cdr", "text"]);
    let listed: Value = serde_json::from_str(&out).unwrap();
    assert_eq!((code, listed["items"].as_array().unwrap().len()), (0, 2), "{no}: {out}");
    assert_eq!(listed["items"][1]["file"], file_name(hour));

    // A disk that does not take it is an alarm while that lasts.
    std::fs::remove_dir_all(&folder).unwrap();
    std::fs::write(&folder, "").unwrap();
    node.kill();
    node.run();
    let alarms = |node: &Node| node.look("/alarm").to_string();
    until("an alarm", || alarms(&node).contains("cdr_text_failed"));
    std::fs::remove_file(&folder).unwrap();
    until("all again", || lines(&file) == 310);
    until("no alarm", || !alarms(&node).contains("cdr_text_failed"));
}

#[test]
fn a_kill_in_the_midst_leaves_whole_files_alone() {
    let mut node = Node::prepare("hourly-kills");
    let hour = hour_now() - 4;
    for back in 0..3 {
        store(&node, hour - back, 0..2_000);
    }
    node.run();
    node.ok("PUT", "/param/TG_CDR_TEXT", &json!({"value": "1"}));
    for round in 0..12 {
        node.kill();
        let folder = node.home.join("state/text");
        for file in std::fs::read_dir(&folder).into_iter().flatten() {
            let file = file.unwrap();
            if file.file_name().to_str().unwrap().ends_with(".txt") {
                assert_eq!(lines(&file.path()), 2_000);
                if round % 3 == 0 {
                    std::fs::remove_file(file.path()).unwrap();
                }
            }
        }
        node.run();
        std::thread::sleep(Duration::from_millis(round * 20));
    }
    until("all", || {
        (0..3)
            .all(|back| lines(&node.home.join("state/text").join(file_name(hour - back))) == 2_000)
    });
}
