//! The spill over kills, cuts of power and disks that lie.

use std::sync::{Arc, Mutex};

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

use super::*;

/// A disk that may lose, tear and reorder what was not synced.
#[derive(Clone, Default)]
pub(in crate::store) struct Disk(Arc<Mutex<Inside>>);

#[derive(Default)]
struct Inside {
    /// As a reader sees it.
    seen: Vec<u8>,
    /// As it is after a cut of power.
    durable: Vec<u8>,
    /// Written since the last sync.
    writes: Vec<(u64, Vec<u8>)>,
    syncs_fail: bool,
}

fn put(bytes: &mut Vec<u8>, at: u64, what: &[u8]) {
    let at = at as usize;
    bytes.resize(bytes.len().max(at + what.len()), 0);
    bytes[at..at + what.len()].copy_from_slice(what);
}

impl Disk {
    pub(in crate::store) fn medium(&self) -> Box<dyn Medium> {
        Box::new(self.clone())
    }

    pub(in crate::store) fn fail_syncs(&self, fail: bool) {
        self.0.lock().unwrap().syncs_fail = fail;
    }

    /// What is there after a cut of power: of each sector that was not synced, the old or the new.
    fn cut(&self, random: &mut SmallRng) -> Self {
        let mut inside = self.0.lock().unwrap();
        let mut sectors: Vec<(u64, Vec<u8>)> = Vec::new();
        for (at, bytes) in std::mem::take(&mut inside.writes) {
            let parts = bytes.chunks(SECTOR as usize).enumerate();
            sectors.extend(parts.map(|(part, it)| (at + part as u64 * SECTOR, it.to_vec())));
        }
        let mut after = inside.durable.clone();
        for (at, bytes) in sectors {
            if random.random_bool(0.5) {
                put(&mut after, at, &bytes);
            }
        }
        let inside = Inside { seen: after.clone(), durable: after, ..Inside::default() };
        Self(Arc::new(Mutex::new(inside)))
    }
}

impl Medium for Disk {
    fn read_at(&mut self, at: u64, bytes: &mut [u8]) -> io::Result<usize> {
        let inside = self.0.lock().unwrap();
        let rest = inside.seen.get(at as usize..).unwrap_or_default();
        let read = rest.len().min(bytes.len());
        bytes[..read].copy_from_slice(&rest[..read]);
        Ok(read)
    }

    fn write_at(&mut self, at: u64, bytes: &[u8]) -> io::Result<()> {
        let mut inside = self.0.lock().unwrap();
        put(&mut inside.seen, at, bytes);
        inside.writes.push((at, bytes.to_vec()));
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        let mut inside = self.0.lock().unwrap();
        if inside.syncs_fail {
            return Err(io::Error::other("input/output error"));
        }
        inside.durable = inside.seen.clone();
        inside.writes.clear();
        Ok(())
    }
}

const ROOM: u64 = 1 << 20;

fn group(numbers: std::ops::Range<u64>) -> Vec<Change> {
    numbers.map(Change::Heartbeat).collect()
}

fn numbers(changes: &[Change]) -> Vec<u64> {
    let number = |change: &Change| match change {
        Change::Heartbeat(number) => *number,
        other => panic!("{other:?}"),
    };
    changes.iter().map(number).collect()
}

fn open(disk: &Disk, through: Place) -> Spill {
    Spill::new(disk.medium(), ROOM, through).unwrap()
}

#[test]
fn frames_come_back_in_order_and_each_once() {
    let disk = Disk::default();
    let mut spill = open(&disk, Place::default());
    assert!(spill.is_empty() && spill.front(9).unwrap().is_none());
    for first in [0, 10, 20] {
        spill.append(&group(first..first + 10)).unwrap();
    }
    let mut spill = open(&disk, Place::default());
    assert_eq!(spill.waiting().groups, 3);
    let part = spill.front(11).unwrap().unwrap();
    assert_eq!(numbers(&part.changes), (0..20).collect::<Vec<_>>());
    // The database has the first two, and the process dies.
    let mut spill = open(&disk, part.through);
    assert_eq!(numbers(&spill.front(1).unwrap().unwrap().changes), (20..30).collect::<Vec<_>>());
    let rest = spill.front(1).unwrap().unwrap();
    spill.advance(&rest);
    spill.append(&group(30..31)).unwrap();
    let mut spill = open(&disk, rest.through);
    let last = spill.front(1).unwrap().unwrap();
    assert_eq!(numbers(&last.changes), [30]);
    spill.advance(&last);
    spill.clear().unwrap();
    let mut spill = open(&disk, last.through);
    assert!(spill.is_empty(), "a new generation voids the frames of the last");
    spill.append(&group(40..41)).unwrap();
    assert_eq!(numbers(&open(&disk, last.through).front(1).unwrap().unwrap().changes), [40]);
}

#[test]
fn a_full_spill_refuses_and_keeps_what_it_has() {
    let disk = Disk::default();
    let mut spill = open(&disk, Place::default());
    let mut kept = 0;
    let full = loop {
        match spill.append(&group(0..1_000)) {
            Ok(()) => kept += 1,
            Err(error) => break error,
        }
    };
    assert!(full.to_string().contains("1 MB are full"), "{full}");
    assert!(kept > 10);
    assert_eq!(open(&disk, Place::default()).waiting().groups, kept);
}

#[test]
fn a_file_that_is_no_spill_is_refused() {
    let disk = Disk::default();
    disk.clone().write_at(0, &[7; 2048]).unwrap();
    assert!(Spill::new(disk.medium(), ROOM, Place::default()).is_err());
}

#[test]
fn a_new_spill_beside_an_old_database_loses_no_frame_to_its_memory_of_the_old_one() {
    let disk = Disk::default();
    let old = Place { generation: 7, frame: 9 };
    let mut spill = open(&disk, old);
    spill.append(&group(0..1)).unwrap();
    assert_eq!(open(&disk, old).waiting().groups, 1);
}

/// Thousands of cuts of power, each anywhere between two writes.
#[test]
fn a_cut_of_power_loses_nothing_acknowledged_and_brings_nothing_twice() {
    for seed in 0..4_000 {
        let mut random = SmallRng::seed_from_u64(seed);
        let mut disk = Disk::default();
        // What a database took, and up to where it knows that.
        let (mut took, mut through, mut acknowledged) = (Vec::new(), Place::default(), 0);
        let mut next = 0;
        for _ in 0..random.random_range(1..4) {
            // A head that was never whole is a new file.
            let mut spill = open(&disk, through);
            for _ in 0..random.random_range(0..12) {
                match random.random_range(0..4) {
                    0 if !spill.is_empty() => {
                        let part = spill.front(random.random_range(1..40)).unwrap().unwrap();
                        took.extend(numbers(&part.changes));
                        through = part.through;
                        spill.advance(&part);
                        if spill.is_empty() && random.random_bool(0.7) {
                            let _ = spill.clear();
                        }
                    }
                    _ => {
                        let size = random.random_range(1..200);
                        disk.fail_syncs(random.random_bool(0.1));
                        if spill.append(&group(next..next + size)).is_ok() {
                            next += size;
                            acknowledged = next;
                        } else {
                            // It dies in the middle of a write.
                            break;
                        }
                    }
                }
            }
            disk = disk.cut(&mut random);
            let mut spill = open(&disk, through);
            let mut all = took.clone();
            while let Some(part) = spill.front(1_000).unwrap() {
                all.extend(numbers(&part.changes));
                spill.advance(&part);
            }
            let count = all.len() as u64;
            assert_eq!(all, (0..count).collect::<Vec<_>>(), "seed {seed}");
            assert!(count >= acknowledged, "seed {seed}: {count} of {acknowledged}");
            // What was whole though nobody was told is there as well.
            next = count;
            acknowledged = count;
        }
    }
}
