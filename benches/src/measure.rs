//! How a figure is taken: CPU time of this thread, rivals in turns, and instructions by callgrind.
//!
//! The machine is shared, so wall time is not asked: the thread's CPU clock stands still while others
//! run. Rivals take turns run by run, so that a slow minute is slow for all; the median is the figure,
//! the quartiles say how far to trust it. Instructions do not depend on the neighbours at all: the
//! bench starts itself again below callgrind, which counts inside [`measured`] only.

use std::error::Error;
use std::hint::black_box;
use std::process::Command;
use std::time::Duration;

use nix::time::{ClockId, clock_gettime};

/// Runs of each rival; odd, so that there is a median.
const ROUNDS: usize = 61;

/// The argument by which a bench asks itself to run one step below callgrind.
const COUNT: &str = "--count";

/// Something to be measured.
pub trait Step {
    /// What it is called in the table.
    fn name(&self) -> &str;
    /// How many operations one run does.
    fn operations(&self) -> u32;
    /// What must be there before each run, not measured.
    fn prepare(&mut self) {}
    /// One run.
    fn run(&mut self);
}

/// A step that needs nothing prepared: the same operation again and again.
pub struct Repeat<F> {
    name: &'static str,
    operations: u32,
    operation: F,
}

impl<F: FnMut()> Repeat<F> {
    /// `operation`, so many times in a run.
    pub fn new(name: &'static str, operations: u32, operation: F) -> Self {
        Self { name, operations, operation }
    }
}

impl<F: FnMut()> Step for Repeat<F> {
    fn name(&self) -> &str {
        self.name
    }

    fn operations(&self) -> u32 {
        self.operations
    }

    fn run(&mut self) {
        for _ in 0..self.operations {
            (self.operation)();
        }
    }
}

/// The only code below which callgrind counts.
#[inline(never)]
fn measured(step: &mut dyn Step) {
    black_box(step).run();
}

/// CPU time that this thread has had.
///
/// # Errors
/// When the kernel has no such clock.
pub fn thread_time() -> nix::Result<Duration> {
    clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).map(Duration::from)
}

/// Measures the steps beside each other and prints one line of the price list for each; ratios are to
/// the first. Below callgrind it runs only the step that is asked for.
///
/// # Errors
/// When the clock or callgrind fails; a missing callgrind is only said.
pub fn price(steps: &mut [Box<dyn Step + '_>]) -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().collect();
    if let Some(at) = arguments.iter().position(|argument| argument == COUNT) {
        let wanted = arguments.get(at + 1).map_or("", String::as_str);
        // A bench may have more than one list of steps: then it is in another.
        let Some(step) = steps.iter_mut().find(|step| step.name() == wanted) else { return Ok(()) };
        step.prepare();
        step.run();
        step.prepare();
        measured(step.as_mut());
        return Ok(());
    }
    let times = take_turns(steps)?;
    println!("| step | median | quartiles | instructions | time to first |");
    println!("|---|---|---|---|---|");
    let mut first = None;
    for (step, mut times) in steps.iter().zip(times) {
        let [low, median, high] = quartiles(&mut times);
        let first = *first.get_or_insert(median);
        let instructions = count(step.as_ref())?;
        println!(
            "| {} | {} | {} to {} | {instructions} | {:.2} |",
            step.name(),
            shown(median),
            shown(low),
            shown(high),
            median / first
        );
    }
    Ok(())
}

/// Nanoseconds per operation of every run, by step.
fn take_turns(steps: &mut [Box<dyn Step + '_>]) -> nix::Result<Vec<Vec<f64>>> {
    let mut times = vec![Vec::with_capacity(ROUNDS); steps.len()];
    for round in 0..=ROUNDS {
        for (step, times) in steps.iter_mut().zip(&mut times) {
            step.prepare();
            let begun = thread_time()?;
            measured(step.as_mut());
            let spent = thread_time()? - begun;
            // The first round warms caches and branch predictors.
            if round > 0 {
                times.push(spent.as_nanos() as f64 / f64::from(step.operations()));
            }
        }
    }
    Ok(times)
}

/// Instructions per operation, by this very program below callgrind.
fn count(step: &dyn Step) -> Result<String, Box<dyn Error>> {
    let run = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg("--toggle-collect=*benches*measure*measured*")
        .arg(std::env::current_exe()?)
        .args([COUNT, step.name()])
        .output();
    let Ok(run) = run else {
        eprintln!("valgrind is not installed: no instructions are counted");
        return Ok("not counted".to_owned());
    };
    let said = String::from_utf8_lossy(&run.stderr);
    let collected = said
        .lines()
        .find_map(|line| line.split_once("Collected : "))
        .and_then(|(_, number)| number.trim().parse::<u64>().ok())
        .filter(|&collected| collected > 0)
        .ok_or_else(|| format!("callgrind counted nothing:\n{said}"))?;
    Ok(grouped(collected / u64::from(step.operations())))
}

/// Lower quartile, median, upper quartile.
pub fn quartiles(figures: &mut [f64]) -> [f64; 3] {
    figures.sort_by(f64::total_cmp);
    [1, 2, 3].map(|quarter| figures.get(figures.len() * quarter / 4).copied().unwrap_or(f64::NAN))
}

/// `12345` as `12,345`.
#[must_use]
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Nanoseconds in the unit that reads best.
#[must_use]
pub fn shown(ns: f64) -> String {
    match ns {
        ns if ns < 100.0 => format!("{ns:.1} ns"),
        ns if ns < 10_000.0 => format!("{ns:.0} ns"),
        ns => format!("{:.1} µs", ns / 1_000.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quartiles_split_what_was_measured() {
        assert_eq!(quartiles(&mut [4.0, 1.0, 3.0, 2.0, 5.0]), [2.0, 3.0, 4.0]);
    }

    #[test]
    fn figures_read_well() {
        assert_eq!((grouped(7), grouped(1_234_567)), ("7".to_owned(), "1,234,567".to_owned()));
        assert_eq!((shown(12.34), shown(12_340.0)), ("12.3 ns".to_owned(), "12.3 µs".to_owned()));
    }
}
