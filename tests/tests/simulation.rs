//! Many worlds, each by a seed: those that once were broken, and fresh ones every time.

use tests::sim::{Memory, Search, World, explore};

/// Worlds that nobody has seen before, of several calls each.
const FRESH: u64 = 2_500;
/// Deaths of control or the dataplane in them: one world in two has one.
const DEATHS_MIN: u64 = 1_000;

/// Where worlds begin in which everything happens: calls change hands, callers say more of themselves than From
/// does, devices publish.
const HANDED_OVER: u64 = 1 << 48;

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
    // Worlds of plain peers, and of others.
    for seed in (1..=20).chain(1 << 32..(1 << 32) + 40) {
        let [once, twice] = [run(&memory, seed), run(&memory, seed)];
        assert_eq!(once, twice, "seed {seed}");
    }
}

#[test]
fn fresh_worlds_hold_every_invariant_and_meet_every_trouble() {
    let chosen = std::env::var("TOLLGATE_SIM_SEED").ok().and_then(|text| text.parse().ok());
    let first = chosen.unwrap_or_else(|| HANDED_OVER + u64::from(rand::random::<u32>()));
    let started = std::time::Instant::now();
    let explored = explore(first..first + FRESH, Search::UntilBroken);
    assert!(explored.faults.is_empty(), "{}", explored.faults.join("\n"));
    println!("{FRESH} worlds in {:.1} s, from seed {first}:", started.elapsed().as_secs_f32());
    for (what, worlds) in &explored.worlds {
        println!("{:>8} times in {worlds:>5} worlds: {what}", explored.seen[what]);
    }
    assert!(explored.seen["calls"] >= FRESH);
    let deaths = [explored.seen["control died"], explored.seen["dataplane died"]];
    assert!(deaths.iter().sum::<u64>() >= DEATHS_MIN, "{deaths:?}");
    // A simulator that meets no trouble proves nothing.
    for trouble in [
        "busy",
        "cancelled",
        "charged",
        "was granted more talk",
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
        "unreachable",
        "vendor's offer accepted",
        // Reliable provisional responses.
        "phone sent PRACK",
        "vendor got PRACK",
        "vendor's other fork got PRACK",
        "PRACK carried an answer",
        // Session timers.
        "peer refreshed a session",
        "peer took a re-INVITE with a session",
        "peer was refreshed by UPDATE",
        "phone was told 422",
        "session_expired",
        "vendor said 422",
        // Inside of calls.
        "INFO answered",
        "MESSAGE answered",
        "UPDATE with offer accepted",
        "UPDATE without offer accepted",
        "offer came too early (500)",
        "offers met (491)",
        "peer said 491",
        "peer was asked for an offer",
        "re-INVITE was cancelled",
        "re-INVITE without offer accepted",
        // The registrar, and passwords of users and customers.
        "caller was challenged",
        "device registered",
        "device took all back",
        "device un-registered",
        "callee refused for all (6xx)",
        "device was called",
        "device was challenged",
        "device was told 423",
        "device's nonce was stale",
        // We at vendors.
        "OPTIONS of ours answered",
        "our INVITE proved itself",
        "our REGISTER proved itself",
        "our request inside a call proved itself",
        "vendor asked for rest (503)",
        "vendor said 423",
        "vendor sent a caller on (302)",
        "we registered",
        "we un-registered",
        // Transports, and what they cannot carry.
        "a message of ours came back",
        "callee over TCP was called",
        "caller over TCP answered",
        // Calls that change hands.
        "REFER accepted",
        "REFER to another call accepted",
        "a transferor paid",
        "attended transfer done",
        "attended transfer failed",
        "blind transfer done",
        "blind transfer failed",
        "hung up in the middle of something",
        "keys were pressed",
        "announcements_cut",
        "announcements_finished",
        "pickups",
        "pickups_refused",
        "transferor was told of progress",
        "transfers_done",
        "transfers_taken_back",
        // Forks that both answer, and ringing that is not the vendor's.
        "phone heard our ringback",
        "second answer of a fork was hung up",
        // What is told of callers.
        "vendor was told who calls (P-Asserted-Identity)",
        "vendor was told who calls (P-Preferred-Identity)",
        "vendor was told who calls (Remote-Party-ID)",
        "vendor was told who forwarded (Diversion)",
        "vendor was told that somebody forwarded (Diversion)",
        // What devices publish.
        "device published",
        "device published again",
        "device took its publication back",
    ] {
        assert!(explored.worlds.contains_key(trouble), "no world met {trouble:?}");
    }
}
