//! Cuts of power against the real store: whatever of the writes since the last sync arrives, nothing acknowledged is
//! lost, nothing is there by half, and the books agree.

#![allow(clippy::unwrap_used, reason = "a test may stop at what cannot be")]

#[path = "power/disk.rs"]
mod disk;

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use control::cdr::{Cdr, id_text};
use control::page::Page;
use control::store::ledger::{Counter, EntryKind};
use control::store::sqlite::{Reader, Sqlite};
use control::store::{CdrFilter, Change, History, LedgerEntry, Store};
use disk::Step;
use link::CallRecord;
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use rating::{Charge, Money};
use rusqlite::Connection;

/// Stories, and cuts of each.
const STORIES: u64 = 40;
const CUTS: usize = 60;

/// There is one log of steps.
static TURN: Mutex<()> = Mutex::new(());

/// A folder in memory: the disk that matters is the one in the log.
fn folder(name: &str) -> PathBuf {
    let base = Path::new("/dev/shm");
    let base = if base.is_dir() { base.to_owned() } else { std::env::temp_dir() };
    let folder = base.join(format!("tollgate-power-{name}-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

/// One group: calls with their charges, the balance running through.
struct Story {
    random: SmallRng,
    calls: u64,
    balance: i64,
    open: Vec<Cdr>,
}

impl Story {
    fn group(&mut self) -> Vec<Change> {
        let mut group = Vec::new();
        for _ in 0..self.random.random_range(1..12) {
            if !self.open.is_empty() && self.random.random_bool(0.6) {
                let at = self.random.random_range(0..self.open.len());
                let mut cdr = self.open.swap_remove(at);
                cdr.record.ended_ms = self.random.random_range(1_000..200_000_000);
                let cost = self.random.random_range(1..1_000_000_000);
                let fee = Money::from_billionths(cost);
                cdr.customer_charge = Charge { billed_s: 1, fee, ..Charge::default() };
                self.balance -= cost;
                let entry = LedgerEntry {
                    account: 1,
                    at_us: 1,
                    kind: EntryKind::Charge,
                    amount: -cost,
                    balance: self.balance,
                    counter: Counter::Revenue,
                    reference: format!("cdr:{}:customer", id_text(cdr.record.id)),
                    who: String::new(),
                    memo: String::new(),
                };
                group.push(Change::Ledger(Box::new(entry)));
                group.push(Change::CdrEnd(Box::new(cdr)));
            } else {
                self.calls += 1;
                let id = [self.calls, 7];
                let started_us = 1_700_000_000_000_000 + self.calls;
                let record = CallRecord { id, started_us, answered_ms: 1, ..CallRecord::empty() };
                let cdr = Cdr { record, customer: 1, vendor: 2, ..Cdr::default() };
                self.open.push(cdr.clone());
                group.push(Change::CdrStart(Box::new(cdr)));
            }
        }
        // What a replay must not do twice, and a mark of the group itself.
        group.push(Change::Heartbeat(self.calls));
        group
    }
}

/// What must be there after each number of groups.
#[derive(Clone, Debug, Default, PartialEq)]
struct Expected {
    heartbeat: u64,
    ended: usize,
    opened: usize,
    balance: i64,
}

/// What is there.
fn found(path: &Path) -> Expected {
    let db = Connection::open(path).unwrap();
    let check: String = db.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
    assert_eq!(check, "ok");
    drop(db);
    let mut store = Sqlite::open(path).unwrap();
    let loaded = store.load().unwrap();
    let mut reader = Reader::open(path).unwrap();
    let books = reader.books().unwrap();
    let balance: i64 = books.sums.iter().map(|sum| sum.amount).sum();
    let last = books.last.first().map_or(0, |last| last.1);
    assert_eq!(balance, last, "the chain of balances is whole");
    let sold: i64 = books.sold.iter().map(|sold| sold.1).sum();
    assert_eq!(-balance, sold, "every record is charged, and nothing else");
    let page = Page { limit: 100_000, cursor: None };
    let page = reader.cdrs(&CdrFilter::default(), &page).unwrap();
    let complete = |row: &&serde_json::Value| row["complete"] == true;
    let ended = page["items"].as_array().unwrap().iter().filter(complete).count();
    Expected { heartbeat: loaded.heartbeat_us, ended, opened: loaded.opened.len(), balance }
}

fn acknowledged(steps: &[Step]) -> usize {
    let groups = steps.iter().rev().find_map(|step| match step {
        Step::Acknowledged(groups) => Some(*groups),
        _ => None,
    });
    groups.unwrap_or(0)
}

/// Everything that a store writes in a while, and what must be there after each group.
fn tell(seed: u64) -> (Vec<Step>, Vec<Expected>, Story) {
    let folder = folder("story");
    let path = folder.join("tollgate.db");
    disk::watch(&folder);
    let random = SmallRng::seed_from_u64(seed);
    let mut story = Story { random, calls: 0, balance: 0, open: Vec::new() };
    let mut store = Sqlite::open(&path).unwrap();
    let other = Connection::open(&path).unwrap();
    let mut expected = vec![Expected::default()];
    let mut ended = 0;
    for groups in 1..=40 {
        let group = story.group();
        store.commit(&group).unwrap();
        disk::acknowledge(groups);
        ended += group.iter().filter(|change| matches!(change, Change::CdrEnd(_))).count();
        let (heartbeat, opened, balance) = (story.calls, story.open.len(), story.balance);
        expected.push(Expected { heartbeat, ended, opened, balance });
        if story.random.random_bool(0.1) {
            let how = ["PASSIVE", "FULL", "RESTART", "TRUNCATE"];
            let how = how[story.random.random_range(0..how.len())];
            other.query_row(&format!("PRAGMA wal_checkpoint({how})"), [], |_| Ok(())).unwrap();
        }
    }
    let steps = disk::steps();
    drop((store, other));
    let _ = disk::steps();
    let _ = std::fs::remove_dir_all(folder);
    (steps, expected, story)
}

#[test]
fn a_cut_of_power_anywhere_loses_nothing_acknowledged_and_leaves_nothing_half() {
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    disk::insert();
    let (mut cuts, mut more, mut lost_unacknowledged) = (0, 0, 0);
    for seed in 0..STORIES {
        let (steps, expected, _) = tell(seed);
        assert!(steps.iter().any(|step| matches!(step, Step::Sync(_))), "nothing was synced");
        let mut random = SmallRng::seed_from_u64(seed ^ 0x5EED);
        for cut in 0..CUTS {
            let at = random.random_range(0..=steps.len());
            let before = &steps[..at];
            let after = folder("after");
            for (path, bytes) in disk::cut(before, &mut random) {
                std::fs::write(after.join(path.file_name().unwrap()), bytes).unwrap();
            }
            let path = after.join("tollgate.db");
            let acknowledged = acknowledged(before);
            let there = found(&path);
            // All of some first groups, and nothing of the others.
            let groups = expected.iter().rposition(|expected| *expected == there);
            let groups =
                groups.unwrap_or_else(|| panic!("seed {seed} cut {cut} at {at}: {there:?}"));
            assert!(groups >= acknowledged, "seed {seed} cut {cut}: {groups} of {acknowledged}");
            assert!(groups <= acknowledged + 1, "seed {seed} cut {cut}: of later");
            lost_unacknowledged += usize::from(groups == acknowledged);
            cuts += 1;
            if cut % 20 == 0 {
                go_on(&path, seed, there);
                more += 1;
            }
            let _ = std::fs::remove_dir_all(after);
        }
    }
    println!(
        "{cuts} cuts, {more} of them with a hundred groups more; {lost_unacknowledged} ended at the acknowledged group"
    );
}

/// A hundred further groups go in.
fn go_on(path: &Path, seed: u64, there: Expected) {
    let random = SmallRng::seed_from_u64(!seed);
    let calls = 1_000_000;
    let mut story = Story { random, calls, balance: there.balance, open: Vec::new() };
    let mut store = Sqlite::open(path).unwrap();
    let mut ended = there.ended;
    for _ in 0..100 {
        let group = story.group();
        ended += group.iter().filter(|change| matches!(change, Change::CdrEnd(_))).count();
        store.commit(&group).unwrap();
    }
    drop(store);
    let (heartbeat, balance) = (story.calls, story.balance);
    let opened = there.opened + story.open.len();
    assert_eq!(found(path), Expected { heartbeat, ended, opened, balance });
}

#[test]
fn a_disk_that_loses_synced_writes_is_noticed_by_this_very_test() {
    // The same story on a disk whose syncs do nothing: acknowledged groups must be missing, or the test proves nothing.
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    disk::insert();
    let (steps, expected, _) = tell(77);
    let lying: Vec<Step> =
        steps.iter().filter(|step| !matches!(step, Step::Sync(_))).cloned().collect();
    let mut random = SmallRng::seed_from_u64(1);
    let mut caught = 0;
    for _ in 0..20 {
        let after = folder("lying");
        for (path, bytes) in disk::cut(&lying, &mut random) {
            std::fs::write(after.join(path.file_name().unwrap()), bytes).unwrap();
        }
        let path = after.join("tollgate.db");
        let there = std::panic::catch_unwind(|| found(&path));
        caught += usize::from(there.ok().as_ref() != expected.last());
        let _ = std::fs::remove_dir_all(after);
    }
    assert!(caught > 5, "{caught}");
}
