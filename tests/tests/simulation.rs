//! Many worlds, each by a seed: those that once were broken, and fresh ones every time.

use std::collections::BTreeMap;

use tests::sim::{Memory, World, explore};

/// Worlds that nobody has seen before, of several calls each.
const FRESH: u64 = 2_000;

/// One world, whole. What broke it is replayed by `scripts/sim --seed N --trace`.
#[track_caller]
fn run(memory: &Memory, seed: u64) -> tests::sim::Report {
    let report = World::new(memory, seed, false).and_then(World::run);
    report.unwrap_or_else(|fault| {
        panic!("seed {seed}: {fault}\n  replay: scripts/sim --seed {seed} --trace")
    })
}

#[test]
fn kept_seeds_stay_whole() {
    let memory = Memory::new("kept");
    let kept = include_str!("../seeds.txt").lines().filter(|line| !line.starts_with('#'));
    let seeds: Vec<u64> =
        kept.filter_map(|line| line.split_whitespace().next()?.parse().ok()).collect();
    assert!(!seeds.is_empty());
    for seed in seeds {
        run(&memory, seed);
    }
}

#[test]
fn the_same_seed_tells_the_same_story() {
    let memory = Memory::new("twice");
    for seed in 1..=40 {
        let [once, twice] = [run(&memory, seed), run(&memory, seed)];
        assert_eq!(once, twice, "seed {seed}");
    }
}

#[test]
fn fresh_worlds_hold_every_invariant_and_meet_every_trouble() {
    let chosen = std::env::var("TOLLGATE_SIM_SEED").ok().and_then(|text| text.parse().ok());
    let first = chosen.unwrap_or_else(|| u64::from(rand::random::<u32>()) << 16);
    let seen: BTreeMap<_, _> =
        explore(first..first + FRESH).unwrap_or_else(|fault| panic!("{fault}"));
    assert!(seen["calls"] >= FRESH);
    // A simulator that meets no trouble proves nothing.
    for trouble in [
        "busy",
        "cancelled",
        "charged",
        "charged the raised price",
        "control died",
        "dataplane died",
        "dataplane_lost",
        "dataplane_restart",
        "duration_limit",
        "failed over",
        "hold or resume accepted",
        "lines_full",
        "locked",
        "machine_lost",
        "media_timeout",
        "no_ack",
        "no_answer",
        "no_balance",
        "no_rate",
        "normal",
        "operator",
        "phone gave up",
        "phone heard itself",
        "phone was hung up",
        "rejected",
        "timeout",
        "unauthorised",
        "vendor's offer accepted",
    ] {
        assert!(seen.get(trouble).is_some_and(|count| *count > 0), "no world met {trouble:?}");
    }
}
