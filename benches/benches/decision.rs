//! One decision, asked and answered between two processes over the rings in named shared memory.
//!
//! The other process is control's real driver with its real office; this one asks and sleeps as a worker
//! does. Each wakes the other by its doorbell when it sleeps.

use std::error::Error;
use std::os::fd::AsFd;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use benches::desk::{Desk, admit};
use benches::shared::Shared;
use control::Time;
use control::driver::{Clock, Driver};
use hdrhistogram::Histogram;
use link::layout::WorkerSide;
use link::message::{Down, Up};
use link::record::{CallKey, EndReason};
use link::ring::Wake;
use link::{Answer, Ask};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

const CALLS: u32 = 64;
const ROUNDS: u64 = 20_000;
/// Nobody waits longer, and no process outlives it.
const PATIENCE: Duration = Duration::from_secs(60);
const CONTROL: &str = "--control";

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().collect();
    if let Some(at) = arguments.iter().position(|argument| argument == CONTROL) {
        return control(Path::new(arguments.get(at + 1).ok_or("no directory")?));
    }
    let shared = Shared::make(CALLS)?;
    shared.link.begin_dataplane();
    let mut side = shared.link.worker_side(0)?;
    let mut other = Command::new(std::env::current_exe()?)
        .arg(CONTROL)
        .arg(shared.directory())
        .stdout(Stdio::null())
        .spawn()?;
    // Control forgets what was asked before it began.
    while shared.link.control_beat_us() == 0 {
        std::thread::sleep(Duration::from_millis(10));
    }
    std::thread::sleep(Duration::from_millis(100));
    let asked = ask_all(&shared, &mut side);
    other.kill()?;
    other.wait()?;
    asked
}

/// What a worker does between an ask and its answer.
#[derive(Clone, Copy)]
enum Waits {
    /// Sleeps until its doorbell rings.
    Asleep,
    /// Looks at its ring, as within its spin budget.
    Spinning,
}

fn ask_all(shared: &Shared, side: &mut WorkerSide) -> Result<(), Box<dyn Error>> {
    println!("| the worker waits | p50 | p99 | longest |");
    println!("|---|---|---|---|");
    for (name, waits) in [("asleep", Waits::Asleep), ("spinning", Waits::Spinning)] {
        let mut times = Histogram::<u64>::new(3)?;
        for round in 0..ROUNDS + ROUNDS / 10 {
            let took = round_trip(shared, side, waits, round)?;
            if round >= ROUNDS / 10 {
                times.record(took.as_nanos() as u64)?;
            }
        }
        let us = |ns: u64| ns as f64 / 1_000.0;
        println!(
            "| {name} | {:.1} µs | {:.1} µs | {:.0} µs |",
            us(times.value_at_quantile(0.5)),
            us(times.value_at_quantile(0.99)),
            us(times.max())
        );
    }
    Ok(())
}

/// One question and its answer, then, not measured, what makes control forget it.
fn round_trip(
    shared: &Shared,
    side: &mut WorkerSide,
    waits: Waits,
    round: u64,
) -> Result<Duration, Box<dyn Error>> {
    let call = CallKey { slot: (round % u64::from(CALLS)) as u32, generation: round as u32 };
    let question = Up::Ask(Ask::Admit(admit(call, [round, 9], 1_700_000_000_000_000)));
    let begun = Instant::now();
    tell(shared, side, &question)?;
    let answer = loop {
        if let Some(Down::Answer(answer)) = side.down.receive() {
            break answer;
        }
        if begun.elapsed() > PATIENCE {
            return Err("control does not answer".into());
        }
        if matches!(waits, Waits::Asleep) && side.down.try_sleep() {
            let mut fds = [PollFd::new(shared.worker.as_fd(), PollFlags::POLLIN)];
            poll(&mut fds, PollTimeout::from(20_u8))?;
        }
        if matches!(waits, Waits::Asleep) {
            side.down.awake();
            shared.worker.drain();
        }
    };
    let took = begun.elapsed();
    if !matches!(answer, Answer::Route(_)) {
        return Err(format!("a route, not {answer:?}").into());
    }
    let reason = EndReason::Cancelled as u32;
    tell(shared, side, &Up::Ask(Ask::Abandon(link::ask::Abandon { call, reason, status: 487 })))?;
    // Long enough for control to be asleep again, as between two calls in life.
    std::thread::sleep(Duration::from_micros(200));
    Ok(took)
}

fn tell(shared: &Shared, side: &mut WorkerSide, up: &Up) -> Result<(), Box<dyn Error>> {
    match side.up.send(up) {
        Ok(Wake::Needed) => shared.control.ring(),
        Ok(Wake::Needless) => {}
        Err(full) => return Err(format!("the ring to control: {full:?}").into()),
    }
    Ok(())
}

struct Machine;

impl Clock for Machine {
    fn now(&self) -> Time {
        Time { now: dataplane::clock::now(), wall_us: 1_700_000_000_000_000 }
    }
}

/// The other process.
fn control(directory: &Path) -> Result<(), Box<dyn Error>> {
    let shared = Shared::join(directory, CALLS)?;
    shared.link.begin_control();
    let (bell, worker) = shared.bells()?;
    // Nothing that is asked here waits for the store, the API or the driver.
    let ((changes, _stored), (_store, stored)) =
        (crossbeam::channel::unbounded(), crossbeam::channel::unbounded());
    let ((_api, requests), (guard, _reconciler)) =
        (crossbeam::channel::unbounded(), crossbeam::channel::unbounded());
    let mut driver = Driver {
        office: Desk::open()?.into_office(),
        clock: Machine,
        link: shared.link,
        sides: vec![shared.link.control_side(0)?],
        bells: vec![worker],
        bell,
        changes,
        stored,
        requests,
        guard,
        seen: crossbeam::channel::never(),
        names: control::resolve::dns::Names::idle(),
        builder: control::builder::Builder::within(),
        ended_before: std::collections::HashSet::new(),
    };
    let end = Instant::now() + PATIENCE;
    driver.run(|| Instant::now() > end);
    Ok(())
}
