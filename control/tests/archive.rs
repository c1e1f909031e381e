//! Days of records go into files of their own and stay readable there; what they add up to stays in the books, whenever
//! the process is killed.

#![allow(clippy::unwrap_used, reason = "a test may stop at what cannot be")]

mod command_line;
#[allow(dead_code, reason = "shared with tests that need more of it")]
mod node;

use std::io::Write;
use std::os::unix::net::UnixStream;
use std::process::Command;
use std::time::{Duration, Instant};

use command_line::tollgate;
use control::cdr::Cdr;
use control::state::entity::{Entity, Kind};
use control::store::ledger::{Counter, EntryKind};
use control::store::sqlite::Sqlite;
use control::store::{Change, LedgerEntry, Store};
use link::CallRecord;
use node::Node;
use rating::{Charge, Money};
use serde_json::{Value, json};

const DAY_US: u64 = 86_400_000_000;
/// 2026-03-01T00:00Z.
const BEGIN_US: u64 = 1_772_323_200_000_000;
const FEE: i64 = 1_000_000_007;

/// A control that was left with so many calls on each of so many days.
fn after_days(name: &str, days: u64, calls: u64) -> Node {
    let node = Node::prepare(name);
    let mut store = Sqlite::open(&node.home.join("state/tollgate.db")).unwrap();
    store.load().unwrap();
    let body = json!({"name": "acme", "role": "customer"});
    let mut changes = vec![Change::Put(Box::new(Entity::read(Kind::Account, 1, body).unwrap()))];
    for number in 0..days * calls {
        let started_us = BEGIN_US + number / calls * DAY_US + number % calls * 1_000_000;
        let record = CallRecord { id: [number, 1], started_us, ..CallRecord::empty() };
        let fee = Money::from_billionths(FEE);
        changes.push(Change::CdrEnd(Box::new(Cdr {
            record,
            customer: 1,
            account: "acme".into(),
            customer_charge: Charge { fee, ..Charge::default() },
            ..Cdr::default()
        })));
        changes.push(Change::Ledger(Box::new(LedgerEntry {
            account: 1,
            kind: EntryKind::Charge,
            amount: -FEE,
            balance: -FEE * (number.cast_signed() + 1),
            at_us: started_us,
            counter: Counter::Revenue,
            reference: format!("cdr:{number}:customer"),
            who: String::new(),
            memo: String::new(),
        })));
    }
    store.commit(&changes).unwrap();
    node
}

fn states(node: &Node) -> Vec<(String, String)> {
    let text = |it: &Value, name: &str| it[name].as_str().unwrap().to_owned();
    let days = node.look("/cdr/day");
    let days = days["items"].as_array().unwrap();
    days.iter().map(|it| (text(it, "day"), text(it, "state"))).collect()
}

/// How many events of this name there are.
fn noted(node: &Node, name: &str) -> usize {
    node.look("/event?limit=100").to_string().matches(name).count()
}

fn agrees(node: &Node) {
    let audit = node.look("/ledger/audit");
    assert_eq!(audit["agrees"], true, "{audit}");
}

#[test]
fn a_day_is_archived_read_and_purged_by_the_command_line() {
    let mut node = after_days("archive", 3, 50);
    node.run();
    agrees(&node);
    let range = "from=2026-03-02T00:00:00Z&to=2026-03-03T00:00:00Z&limit=1000";
    let before = node.look(&format!("/cdr?{range}"));
    assert_eq!(before["items"].as_array().unwrap().len(), 50);
    let report = |node: &Node| node.look("/reports/balances?from=2026-03-01&to=2026-03-04");
    let balances = report(&node);

    let (code, out, no) = tollgate(&node, &["--output", "json", "cdr", "archive", "2026-03-02"]);
    assert_eq!((code, &no[..]), (0, ""), "{no}");
    let told: Value = serde_json::from_str(&out).unwrap();
    assert_eq!((&told["state"], &told["records"]), (&json!("archived"), &json!(50)));
    let folder = node.home.join("state/archive");
    let checked = Command::new("sha256sum")
        .args(["--check", "--strict", "cdr-2026-03-02.db.sha256"])
        .current_dir(&folder)
        .output()
        .unwrap();
    assert!(checked.status.success(), "{checked:?}");
    assert_eq!(std::fs::metadata(folder.join("cdr-2026-03-02.db")).unwrap().len(), told["bytes"]);
    assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 2, "the file and its checksum");

    assert_eq!(noted(&node, "day_archived"), 1);
    for _ in 0..2 {
        agrees(&node);
        assert_eq!(report(&node), balances);
        let live = node.look("/cdr?limit=1000");
        assert_eq!(live["items"].as_array().unwrap().len(), 100);
        let archived = node.look(&format!("/cdr?{range}&archive=2026-03-02"));
        assert_eq!(archived, before);
        let id = before["items"][7]["id"].as_str().unwrap();
        assert_eq!(node.look(&format!("/cdr/{id}?archive=2026-03-02")), before["items"][7]);
        assert_eq!(node.say("GET", &format!("/cdr/{id}"), &Value::Null).0, 404);
        node.kill();
        node.run();
    }
    let words = ["--output", "json", "cdr", "list", "--archive", "2026-03-02"];
    let (code, out, no) = tollgate(&node, &words);
    assert_eq!((code, out.matches("\"call_id\"").count()), (0, 50), "{no}");
    let csv = node.home.join("day.csv");
    let words = ["cdr", "export", "--file", csv.to_str().unwrap(), "--archive", "2026-03-02"];
    let (code, _, no) = tollgate(&node, &words);
    assert_eq!(code, 0, "{no}");
    assert_eq!(std::fs::read_to_string(&csv).unwrap().lines().count(), 51);

    // A time that reaches into it is refused, instead of told without it.
    for path in [
        format!("/cdr?{range}"),
        "/cdr?from=2026-02-01T00:00:00Z".into(),
        "/reports/revenue?from=2026-03-01&to=2026-03-04".into(),
    ] {
        let (status, no) = node.say("GET", &path, &Value::Null);
        assert_eq!((status, &no["title"]), (409, &json!("days archived")), "{path}: {no}");
    }
    assert_eq!(node.look("/cdr?from=2026-03-03T00:00:00Z")["items"].as_array().unwrap().len(), 50);

    let (code, _, no) = tollgate(&node, &["cdr", "purge", "2026-03-02"]);
    assert_eq!(code, 0, "{no}");
    assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 0);
    agrees(&node);
    let (code, out, _) = tollgate(&node, &["cdr", "days"]);
    assert!(code == 0 && out.contains("purged"), "{out}");
    assert_eq!(node.say("GET", "/cdr?archive=2026-03-02", &Value::Null).0, 404);
    // Once more finishes what a full disk or a kill has left.
    node.ok("DELETE", "/cdr/day/2026-03-02", &Value::Null);
    assert_eq!(noted(&node, "day_purged"), 1);
}

#[test]
fn what_is_no_day_or_not_settled_or_elsewhere_already_is_refused() {
    let mut node = after_days("archive-refused", 2, 3);
    node.run();
    let today = jiff::Timestamp::now().strftime("%Y-%m-%d").to_string();
    let post = |day: &str| node.say("POST", &format!("/cdr/day/{day}/archive"), &Value::Null).0;
    let delete = |day: &str| node.say("DELETE", &format!("/cdr/day/{day}"), &Value::Null).0;
    let look = |day: &str| node.say("GET", &format!("/cdr?archive={day}"), &Value::Null).0;
    for none in ["today", "2026-02-30", "20260301", "..%2F..%2Ftollgate", "2026-03-01%00"] {
        assert_eq!((post(none), delete(none), look(none)), (422, 422, 422), "{none}");
    }
    assert_eq!(post(&today), 422);
    assert_eq!((post("2026-01-01"), delete("2026-01-01"), look("2026-01-01")), (404, 404, 404));
    assert_eq!((delete("2026-03-01"), look("2026-03-01")), (409, 404), "it is live");
    assert_eq!((post("2026-03-01"), post("2026-03-01")), (200, 409));
    // The loop's own word is nobody's to say.
    let body = json!({"Purged": 20_260_301});
    assert_eq!(node.say("POST", "/cdr/day/2026-03-01", &body).0, 405);
    // A file that somebody spoiled is said to be no database.
    let file = node.home.join("state/archive/cdr-2026-03-01.db");
    std::fs::write(&file, "not a database, however long it is").unwrap();
    assert_eq!(look("2026-03-01"), 503);
    // A folder that cannot be written keeps the day where it is.
    let folder = node.home.join("state/archive");
    std::fs::remove_dir_all(&folder).unwrap();
    std::fs::write(&folder, "").unwrap();
    assert_eq!(post("2026-03-02"), 503);
    assert_eq!(states(&node)[1].1, "live");
    agrees(&node);
}

#[test]
fn a_kill_at_any_moment_leaves_each_day_in_one_place() {
    let (days, calls) = (8, 300);
    let mut node = after_days("archive-kills", days, calls);
    node.run();
    let mut archived = 0;
    for round in 0..30_u64 {
        let next = states(&node).into_iter().find(|(_, state)| state == "live");
        let Some((day, _)) = next else { break };
        // No answer comes when it is killed.
        let mut asked = UnixStream::connect(node.socket()).unwrap();
        let request = format!("POST /api/v1/cdr/day/{day}/archive HTTP/1.1\r\nHost: t\r\n\r\n");
        asked.write_all(request.as_bytes()).unwrap();
        std::thread::sleep(Duration::from_millis(round * 7));
        node.kill();
        node.run();
        agrees(&node);
        let all = node.look("/cdr/day");
        let all = all["items"].as_array().unwrap();
        assert_eq!(all.len() as u64, days);
        assert!(all.iter().all(|it| it["records"] == calls), "{all:?}");
        archived = 0;
        for day in all.iter().filter(|it| it["state"] == "archived") {
            let day = day["day"].as_str().unwrap();
            let held = node.look(&format!("/cdr?archive={day}&limit=10000"));
            assert_eq!(held["items"].as_array().unwrap().len() as u64, calls);
            archived += 1;
        }
        let live = node.look("/cdr?limit=10000")["items"].as_array().unwrap().len() as u64;
        assert_eq!(live, ((days - archived) * calls).min(10_000));
    }
    assert!(archived > 0, "no kill came late enough");
}

#[test]
fn days_older_than_the_parameter_says_go_by_themselves() {
    let mut node = after_days("archive-itself", 2, 3);
    node.run();
    node.ok("PUT", "/param/TG_CDR_LIVE_DAYS", &json!({"value": "30"}));
    let end = Instant::now() + Duration::from_secs(60);
    while !states(&node).iter().all(|(_, state)| state == "archived") {
        assert!(Instant::now() < end, "{:?}", states(&node));
        std::thread::sleep(Duration::from_millis(200));
    }
    agrees(&node);
    assert_eq!(noted(&node, "by itself"), 2);
}
