//! `sim`: runs simulated worlds, or replays one and tells its story.
//!
//! ```text
//! sim --seed N [--trace]         one world
//! sim --from N --count N         many, on all cores; stops at the first broken invariant
//! ```

use std::process::ExitCode;

use tests::sim::{Memory, World, explore};

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
    match explore(from..from + count) {
        Ok(seen) => {
            for (what, count) in seen {
                println!("{count:>8}  {what}");
            }
            ExitCode::SUCCESS
        }
        Err(fault) => {
            println!("{fault}");
            ExitCode::FAILURE
        }
    }
}
