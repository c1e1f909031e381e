//! `sim`: runs simulated worlds, or replays one and tells its story.
//!
//! ```text
//! sim --seed N [--trace]         one world
//! sim --from N --count N [--all] many, on all cores; stops at the first broken invariant, or at none
//! ```

use std::process::ExitCode;

use tests::sim::{Memory, Search, World, explore};

fn number(name: &str) -> Option<u64> {
    let mut arguments = std::env::args().skip_while(|argument| argument != name);
    arguments.nth(1)?.parse().ok()
}

fn main() -> ExitCode {
    if let Some(seed) = number("--seed") {
        let trace = std::env::args().any(|argument| argument == "--trace");
        let memory = Memory::new("one");
        return match World::new(&memory, seed, trace).and_then(World::run) {
            Ok(report) => {
                println!("seed {seed}: {} calls, {:?}", report.calls, report.seen);
                ExitCode::SUCCESS
            }
            Err(fault) => {
                println!("seed {seed}: {fault}");
                ExitCode::FAILURE
            }
        };
    }
    let (Some(from), Some(count)) = (number("--from"), number("--count")) else {
        eprintln!("usage: sim --seed N [--trace] | sim --from N --count N");
        return ExitCode::from(2);
    };
    let is_whole = std::env::args().any(|argument| argument == "--all");
    let search = if is_whole { Search::Whole } else { Search::UntilBroken };
    let explored = explore(from..from + count, search);
    for (what, count) in &explored.seen {
        let worlds = explored.worlds.get(what).unwrap_or(&0);
        println!("{count:>8}  {what} (in {worlds} worlds)");
    }
    for fault in &explored.faults {
        println!("{fault}");
    }
    if explored.faults.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
