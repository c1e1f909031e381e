//! The real binary with a store that cannot: a test stands in for the dataplane, on the shared words.
//! Nothing is lost, nothing is free too early, and everyone is told what to do.

#![allow(clippy::unwrap_used, reason = "a test may stop at what cannot be")]

mod disk;
mod node;

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use disk::Disk;
use link::answer::Route;
use link::ask::Admit;
use link::layout::{Link, Sizes, WorkerSide};
use link::message::{Down, Up};
use link::record::{Attempt, CallKey, EndReason, Facts};
use link::report::Ended;
use link::table::SlotState;
use link::{Answer, Ask, CallRecord, Endpoint, Order, Report, Text};
use node::{Node, exchange};
use rusqlite::Connection;
use serde_json::{Value, json};
use shm::{Doorbell, Region};

/// Waits until something is so.
fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(20);
    while !is_so() {
        assert!(Instant::now() < end, "never: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// A worker without packets: it asks, and its calls end when a test says so.
struct Worker {
    side: WorkerSide,
    control: Doorbell,
    calls: u32,
    /// Whether it was told which parameters hold.
    is_told: bool,
}

impl Worker {
    fn join(home: &Path) -> Self {
        let sizes = Sizes { workers: 1, calls_per_worker: 16, ring_slots: 16 };
        let region = Region::open(&home.join("words"), sizes.bytes_needed()).unwrap();
        let link = Link::open(region.words()).unwrap();
        link.begin_dataplane();
        let side = link.worker_side(0).unwrap();
        Self {
            side,
            control: Doorbell::open(&home.join("run/control.bell")).unwrap(),
            calls: 0,
            is_told: false,
        }
    }

    fn says(&mut self, up: &Up) {
        let _ = self.side.up.send(up).unwrap();
        self.control.ring();
    }

    /// A call of a minute's talk that ended just now: 0.012 on the customer's side.
    fn carries_a_call(&mut self) -> u32 {
        let (slot, number) = (self.calls % 16, self.calls);
        self.calls += 1;
        let call = CallKey { slot, generation: 1 + number / 16 };
        let source: std::net::SocketAddr = "192.0.2.7:5060".parse().unwrap();
        let facts = Facts {
            source: Endpoint::from(source),
            caller: Text::new(b"39021234").unwrap(),
            callee: Text::new(b"44207").unwrap(),
            call_id: Text::new(format!("call-{number}").as_bytes()).unwrap(),
            cseq: 1,
            ..Facts::default()
        };
        let (record, started_us) = ([u64::from(number), 7], 1_700_000_000_000_000);
        let admit = Admit {
            call,
            record,
            asked_us: 0,
            deadline_us: u64::MAX,
            started_us,
            facts,
            identities: Default::default(),
            credentials: Default::default(),
            transferor: 0,
            spare: 0,
        };
        self.says(&Up::Ask(Ask::Admit(admit)));
        let mut route: Option<Route> = None;
        until("an answer", || {
            while let Some(down) = self.side.down.receive() {
                match down {
                    Down::Answer(Answer::Route(answer)) => route = Some(answer),
                    Down::Order(Order::Parameters(_)) => self.is_told |= route.is_none(),
                    _ => {}
                }
            }
            route.is_some()
        });
        let route = route.unwrap();
        let mut record = CallRecord {
            id: record,
            started_us,
            facts,
            customer_gateway: route.customer_gateway,
            callee_billed: route.callee_billed,
            customer_terms: route.candidates[0].customer_terms,
            vendor_terms: route.candidates[0].terms,
            answered_ms: 1_000,
            ended_ms: 61_000,
            reason: EndReason::Normal as u8,
            attempts_used: 1,
            ..CallRecord::empty()
        };
        let (gateway, answered_ms) = (route.candidates[0].gateway, 1_000);
        record.attempts[0] =
            Attempt { gateway, answered_ms, ended_ms: 61_000, ..Attempt::default() };
        self.side.calls.publish(call, &record, &[]).unwrap();
        self.side.calls.end(call, &record, &[]).unwrap();
        self.says(&Up::Report(Report::Ended(Ended { call })));
        slot
    }

    fn state(&self, slot: u32) -> SlotState {
        self.side.calls.tenancy(slot).unwrap().state()
    }

    fn slots_ended(&self) -> usize {
        let ended = |slot: &u32| self.state(*slot) == SlotState::Ended;
        (0..16).filter(ended).count()
    }
}

fn alarms(node: &Node) -> Vec<Value> {
    node.look("/alarm")["items"].as_array().unwrap().clone()
}

fn cdrs(node: &Node) -> usize {
    node.look("/cdr?limit=10000")["items"].as_array().unwrap().len()
}

/// The store's trouble is an alarm with what to do, reads go on, and a change says that it waits.
fn expect_trouble(node: &Node, words: &str) {
    until("an alarm", || !alarms(node).is_empty());
    let alarm = alarms(node).remove(0);
    assert_eq!((&alarm["name"], &alarm["severity"]), (&json!("store_failed"), &json!("critical")));
    let detail = alarm["detail"].as_str().unwrap();
    for word in [words, "free space", "stop whoever locks the file", "nothing is lost"] {
        assert!(detail.contains(word), "{detail}");
    }
    let status = node.look("/status");
    assert_eq!((&status["store"], &status["ready"]), (&json!(false), &json!(false)));
    let (status, answer) = node.say("PUT", "/param/FREE_TIME", &json!({"value": "0"}));
    assert_eq!((status, &answer["title"]), (503, &json!("not durable yet")));
    assert!(answer["detail"].as_str().unwrap().contains("tollgate alarm list"), "{answer}");
}

/// All `calls` have their record and their charge, once, and the alarm is gone.
fn expect_mended(node: &Node, worker: &Worker, calls: usize) {
    until("free slots", || worker.slots_ended() == 0);
    assert_eq!(cdrs(node), calls);
    let cost = 12 * calls as u64;
    let balance = format!("{}.{:03}", (25_500 - cost) / 1000, (25_500 - cost) % 1000);
    let shown = node.look("/account/customer")["balance"].as_str().unwrap().to_owned();
    assert_eq!(format!("{shown:0<6}"), balance);
    until("a cleared alarm", || alarms(node).is_empty());
    assert_eq!(node.look("/status")["store"], true);
}

/// Keys of `[control]`.
fn configure(node: &Node, keys: &str) {
    let file = node.home.join("tollgate.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(file, format!("{text}[control]\n{keys}\n")).unwrap();
}

#[test]
fn a_database_that_is_locked_at_the_start_is_waited_for() {
    let mut node = Node::start("locked-start");
    node.furnish();
    node.kill();
    // In its journal of before, a lock keeps readers out as well.
    let other = Connection::open(node.home.join("state/tollgate.db")).unwrap();
    other.execute_batch("PRAGMA journal_mode=DELETE; BEGIN EXCLUSIVE").unwrap();
    let begun = Instant::now();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let other = other;
            std::thread::sleep(Duration::from_secs(3));
            other.execute_batch("ROLLBACK").unwrap();
        });
        node.run();
    });
    assert!(begun.elapsed() > Duration::from_secs(3), "it did not wait");
    assert_eq!(node.look("/account/customer")["balance"], "25.50");
}

#[test]
fn a_disk_that_has_no_room_for_the_spill_at_the_start_is_waited_for() {
    let mut node = Node::prepare("spill-start");
    let state = node.home.join("state");
    configure(&node, "spill_mb = 0");
    let Some(disk) = Disk::mount(&state, "4m") else { return };
    node.run();
    node.furnish();
    // With its log there the database itself needs no room.
    let reader = Connection::open(state.join("tollgate.db")).unwrap();
    reader.execute_batch("BEGIN; SELECT count(*) FROM document").unwrap();
    node.kill();
    disk.fill();
    let file = node.home.join("tollgate.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, text.replace("spill_mb = 0", "spill_mb = 1")).unwrap();
    let begun = Instant::now();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            std::thread::sleep(Duration::from_secs(3));
            disk.free();
        });
        node.run();
    });
    assert!(begun.elapsed() > Duration::from_secs(3), "it did not wait");
    drop(reader);
    assert_eq!(node.look("/status")["spill"]["groups"], 0);
    assert_eq!(node.look("/account/customer")["balance"], "25.50");
    node.kill();
}

#[test]
fn a_locked_database_without_a_spill_delays_records_and_loses_none() {
    let mut node = Node::prepare("locked");
    configure(&node, "spill_mb = 0");
    node.run();
    node.furnish();
    let mut worker = Worker::join(&node.home);
    let slot = worker.carries_a_call();
    until("a free slot", || worker.state(slot) == SlotState::Free);
    let other = Connection::open(node.home.join("state/tollgate.db")).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    // While nothing can be stored, calls are still admitted.
    for _ in 0..3 {
        worker.carries_a_call();
    }
    expect_trouble(&node, "locked");
    assert_eq!((worker.slots_ended(), cdrs(&node)), (3, 1));
    other.execute_batch("ROLLBACK").unwrap();
    expect_mended(&node, &worker, 4);
    let events = node.look("/event");
    let events: Vec<&Value> = events["items"].as_array().unwrap().iter().collect();
    let told: Vec<&&Value> =
        events.iter().filter(|event| event["name"] == "store_failed").collect();
    assert_eq!(told.len(), 2, "raised and cleared: {told:?}");
    let (status, _, text) = exchange(&node.socket(), "GET", "/metrics", "", "");
    assert!(status == 200 && text.contains("tollgate_alarms 0"), "{text}");
}

/// Its first call may come before it was seen to be there.
#[test]
fn a_dataplane_that_starts_knows_what_holds_before_its_first_call_is_admitted() {
    let node = Node::start("first");
    node.furnish();
    for calls in 0..3 {
        let mut worker = Worker { calls, ..Worker::join(&node.home) };
        worker.carries_a_call();
        assert!(worker.is_told);
        until("free slots", || worker.slots_ended() == 0);
    }
}

#[test]
fn a_full_disk_without_a_spill_delays_records_and_loses_none_over_a_kill_too() {
    let mut node = Node::prepare("full");
    let state = node.home.join("state");
    configure(&node, "spill_mb = 0");
    let Some(disk) = Disk::mount(&state, "4m") else { return };
    node.run();
    node.furnish();
    let mut worker = Worker::join(&node.home);
    disk.fill();
    // What the log has room for may still be stored; the rest waits in its slots.
    let mut calls = 0;
    while worker.slots_ended() < 4 {
        worker.carries_a_call();
        calls += 1;
        assert!(calls < 16, "the disk is not full");
        std::thread::sleep(Duration::from_millis(300));
    }
    expect_trouble(&node, "full");
    disk.free();
    expect_mended(&node, &worker, calls);

    disk.fill();
    let before = worker.slots_ended();
    while worker.slots_ended() < before + 2 && calls < 40 {
        worker.carries_a_call();
        calls += 1;
        std::thread::sleep(Duration::from_millis(300));
    }
    node.kill();
    disk.free();
    node.run();
    expect_mended(&node, &worker, calls);
    node.kill();
}

/// A node whose spill has a megabyte, with a call that is stored.
fn with_spill(name: &str, mount: impl FnOnce(&Path) -> bool) -> Option<(Node, Worker)> {
    let mut node = Node::prepare(name);
    configure(&node, "spill_mb = 1");
    if !mount(&node.home.join("state")) {
        return None;
    }
    node.run();
    node.furnish();
    let mut worker = Worker::join(&node.home);
    let slot = worker.carries_a_call();
    until("a free slot", || worker.state(slot) == SlotState::Free);
    Some((node, worker))
}

/// The database takes nothing, and all else is as ever: slots are free, changes are durable.
fn expect_spilled(node: &Node, worker: &mut Worker, words: &str) {
    for _ in 0..3 {
        worker.carries_a_call();
    }
    until("free slots", || worker.slots_ended() == 0);
    until("an alarm", || !alarms(node).is_empty());
    let alarm = alarms(node).remove(0);
    assert_eq!((&alarm["name"], &alarm["severity"]), (&json!("store_failed"), &json!("critical")));
    assert!(alarm["detail"].as_str().unwrap().contains(words), "{alarm}");
    let value = json!({"value": "7000"});
    let answer = node.ok("PUT", "/param/SS_SIP_INVITE_TIMEOUT", &value);
    assert_eq!(answer["value"], "7000", "{answer}");
    let status = node.look("/status");
    assert_eq!(status["store"], false);
    let groups = status["spill"]["groups"].as_u64().unwrap();
    assert!(groups > 0 && status["spill"]["bytes"].as_u64().unwrap() >= 512 * groups, "{status}");
    let (_, _, text) = exchange(&node.socket(), "GET", "/metrics", "", "");
    assert!(text.contains("\ntollgate_spilled_groups "), "{text}");
}

/// Everything is in the database, once, and nothing waits.
fn expect_caught_up(node: &Node, worker: &Worker, calls: usize) {
    until("an empty spill", || node.look("/status")["spill"]["groups"] == 0);
    expect_mended(node, worker, calls);
    assert_eq!(node.look("/param/SS_SIP_INVITE_TIMEOUT")["value"], "7000");
    let audit = node.look("/ledger/audit");
    assert_eq!(audit["agrees"], true, "{audit}");
}

#[test]
fn while_the_database_is_locked_records_are_spilled_and_go_in_once_over_a_kill_too() {
    let (mut node, mut worker) = with_spill("spill-locked", |_| true).unwrap();
    let lock = || {
        let other = Connection::open(node.home.join("state/tollgate.db")).unwrap();
        other.execute_batch("BEGIN IMMEDIATE").unwrap();
        other
    };
    let other = lock();
    expect_spilled(&node, &mut worker, "locked");
    drop(other);
    expect_caught_up(&node, &worker, 4);
    let other = lock();
    expect_spilled(&node, &mut worker, "locked");
    node.kill();
    drop(other);
    node.run();
    expect_caught_up(&node, &worker, 7);
    // What was in it does not come back.
    node.kill();
    node.run();
    expect_caught_up(&node, &worker, 7);
}

#[test]
fn on_a_full_disk_the_room_of_the_spill_is_still_there() {
    let mut disk = None;
    let mount = |at: &Path| {
        let at: &'static Path = Box::leak(at.to_owned().into_boxed_path());
        disk = Disk::mount(at, "4m");
        disk.is_some()
    };
    let Some((mut node, mut worker)) = with_spill("spill-full", mount) else { return };
    let disk = disk.unwrap();
    disk.fill();
    // The log of the database may have room for a few more.
    let mut calls = 1;
    while node.look("/status")["store"] == true {
        worker.carries_a_call();
        calls += 1;
        assert!(calls < 200, "the disk is not full");
        std::thread::sleep(Duration::from_millis(50));
    }
    expect_spilled(&node, &mut worker, "full");
    disk.free();
    expect_caught_up(&node, &worker, calls + 3);
    node.kill();
}

#[test]
fn a_database_that_is_moved_away_is_missed_and_one_that_comes_back_gets_everything() {
    let (mut node, mut worker) = with_spill("spill-gone", |_| true).unwrap();
    let state = node.home.join("state");
    let away = node.home.join("away");
    std::fs::create_dir(&away).unwrap();
    let move_all = |from: &Path, to: &Path| {
        for name in ["tollgate.db", "tollgate.db-wal", "tollgate.db-shm"] {
            let _ = std::fs::rename(from.join(name), to.join(name));
        }
    };
    move_all(&state, &away);
    expect_spilled(&node, &mut worker, "is not there any more");
    move_all(&away, &state);
    expect_caught_up(&node, &worker, 4);

    move_all(&state, &away);
    expect_spilled(&node, &mut worker, "is not there any more");
    node.kill();
    // A new database would begin at nothing.
    let started = Command::new(env!("CARGO_BIN_EXE_tollgate-control"))
        .args(["--config".as_ref(), node.home.join("tollgate.toml").as_os_str()])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&started.stderr).into_owned();
    assert!(!started.status.success() && said.contains("put it back"), "{said}");
    move_all(&away, &state);
    node.run();
    expect_caught_up(&node, &worker, 7);

    // Its log alone: what was in it is saved, and nothing more goes there.
    std::fs::rename(state.join("tollgate.db-wal"), away.join("tollgate.db-wal")).unwrap();
    expect_spilled(&node, &mut worker, "was taken away");
    node.kill();
    node.run();
    expect_caught_up(&node, &worker, 10);
}
