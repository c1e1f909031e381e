//! The simulated world: the real workers and the real decision loop between phones, vendors, a bad
//! network and crashes, in virtual time, by one seed.
//!
//! ```text
//!  phone ──▶ network ──▶ queue ▶ worker 0 ⇄ worker 1 ▶ queue ──▶ network ──▶ vendor
//!                                   ⇅ shared memory ⇅
//!                                   decision loop ──▶ archive
//! ```
//!
//! Read `scenario.rs` for what a seed decides, `world.rs` for what happens, `invariants.rs` for what
//! must hold after every step. `bin/sim.rs` runs and replays seeds.

pub mod archive;
mod coverage;
pub mod device;
pub mod dialog;
pub mod digest;
mod extensions;
mod hiding;
pub mod identity;
pub mod invariants;
pub mod keypad;
pub mod machine;
pub mod manners;
pub mod network;
mod peer;
pub mod phone;
pub mod publication;
pub mod queue;
pub mod registrar;
mod rim;
pub mod scenario;
pub mod session;
mod taken;
pub mod vendor;
pub mod witness;
pub mod world;

pub use machine::Memory;
pub use world::{Report, World};

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

/// What becomes of a search when an invariant breaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Search {
    /// It ends.
    UntilBroken,
    /// It goes on, and tells of all of them.
    Whole,
}

/// What many worlds came to.
#[derive(Debug, Default)]
pub struct Explored {
    /// What they saw, and how often.
    pub seen: BTreeMap<&'static str, u64>,
    /// In how many of them it was seen.
    pub worlds: BTreeMap<&'static str, u64>,
    /// Broken invariants, each with the way to see it again.
    pub faults: Vec<String>,
}

impl Explored {
    fn add(&mut self, report: Report) {
        *self.seen.entry("calls").or_default() += u64::from(report.calls);
        for (what, count) in report.seen.into_iter().filter(|(_, count)| *count > 0) {
            *self.seen.entry(what).or_default() += u64::from(count);
            *self.worlds.entry(what).or_default() += 1;
        }
    }

    fn join(&mut self, other: Self) {
        for (what, count) in other.seen {
            *self.seen.entry(what).or_default() += count;
        }
        for (what, count) in other.worlds {
            *self.worlds.entry(what).or_default() += count;
        }
        self.faults.extend(other.faults);
    }
}

/// Runs the worlds of these seeds on all cores, and sums up what they saw.
#[must_use]
pub fn explore(seeds: std::ops::Range<u64>, search: Search) -> Explored {
    let next = AtomicU64::new(seeds.start);
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let mut all = Explored::default();
    std::thread::scope(|scope| {
        let running: Vec<_> = (0..threads)
            .map(|thread| {
                let (next, end) = (&next, seeds.end);
                scope.spawn(move || share(thread, next, end, search))
            })
            .collect();
        for thread in running {
            all.join(thread.join().expect("a world's panic is caught"));
        }
    });
    all
}

/// One thread's share of the seeds.
fn share(thread: usize, next: &AtomicU64, end: u64, search: Search) -> Explored {
    let memory = Memory::new(&thread.to_string());
    let mut explored = Explored::default();
    loop {
        let seed = next.fetch_add(1, Ordering::Relaxed);
        if seed >= end {
            return explored;
        }
        let world = std::panic::AssertUnwindSafe(|| World::new(&memory, seed, false)?.run());
        let report = std::panic::catch_unwind(world);
        match report.unwrap_or_else(|_| Err("panicked, see above".into())) {
            Ok(report) => explored.add(report),
            Err(fault) => {
                let replay = format!("scripts/sim --seed {seed} --trace");
                explored.faults.push(format!("seed {seed}: {fault}\n  replay: {replay}"));
                if search == Search::UntilBroken {
                    next.store(end, Ordering::Relaxed);
                }
            }
        }
    }
}
