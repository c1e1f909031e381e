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
pub mod invariants;
pub mod machine;
pub mod network;
mod peer;
pub mod phone;
pub mod queue;
pub mod scenario;
pub mod vendor;
pub mod world;

pub use machine::Memory;
pub use world::{Report, World};

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

/// Runs the worlds of these seeds on all cores, and sums up what they saw.
///
/// # Errors
/// The first broken invariant, with the way to see it again.
pub fn explore(seeds: std::ops::Range<u64>) -> Result<BTreeMap<&'static str, u64>, String> {
    let next = AtomicU64::new(seeds.start);
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let results: Vec<_> = std::thread::scope(|scope| {
        let running: Vec<_> = (0..threads)
            .map(|thread| {
                let (next, end) = (&next, seeds.end);
                scope.spawn(move || share(thread, next, end))
            })
            .collect();
        running.into_iter().map(|thread| thread.join().unwrap_or_else(broken)).collect()
    });
    let mut seen = BTreeMap::new();
    for result in results {
        for (what, count) in result? {
            *seen.entry(what).or_default() += count;
        }
    }
    Ok(seen)
}

fn broken(_: Box<dyn std::any::Any + Send>) -> Result<BTreeMap<&'static str, u64>, String> {
    Err("a world panicked; its seed stands above".into())
}

/// One thread's share of the seeds.
fn share(thread: usize, next: &AtomicU64, end: u64) -> Result<BTreeMap<&'static str, u64>, String> {
    let memory = Memory::new(&thread.to_string());
    let mut seen = BTreeMap::new();
    loop {
        let seed = next.fetch_add(1, Ordering::Relaxed);
        if seed >= end {
            return Ok(seen);
        }
        let replay = format!("scripts/sim --seed {seed} --trace");
        let world = std::panic::AssertUnwindSafe(|| World::new(&memory, seed, false)?.run());
        let report = std::panic::catch_unwind(world)
            .unwrap_or_else(|_| Err("panicked, see above".into()))
            .map_err(|fault| {
                next.store(end, Ordering::Relaxed);
                format!(
                    "seed {seed}: {fault}
  replay: {replay}"
                )
            })?;
        *seen.entry("calls").or_default() += u64::from(report.calls);
        for (what, count) in report.seen {
            *seen.entry(what).or_default() += u64::from(count);
        }
    }
}
