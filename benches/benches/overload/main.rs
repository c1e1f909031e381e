//! What becomes of a load that is more than can be carried.
//!
//! Worker and control are two servers in virtual time (`appliance.rs`): each event is really executed,
//! and its CPU time advances the server's own clock. Callers and vendors (`crowd.rs`) behave as RFC 3261
//! says, so what is not answered comes again. Goodput is calls that were answered within four seconds
//! and ended properly. The rule: at twice the knee it stays within a tenth of its peak.

mod appliance;
mod crowd;
mod queue;
mod yardstick;

use std::error::Error;
use std::time::Duration;

use appliance::{Appliance, Pace};
use crowd::{Call, Crowd, is_urgent};

/// When the world begins.
const BEGIN: Duration = Duration::from_secs(1_000);
/// Nobody counts what happens first: after 32 s transactions end as fast as they begin.
const WARM: Duration = Duration::from_secs(34);
/// Calls of this time count.
const COUNTED: Duration = Duration::from_secs(10);
/// For so long others go on calling, so that the last ones counted end among them.
const AFTER: Duration = Duration::from_secs(7);

/// An answer after this is none.
const PATIENCE: Duration = Duration::from_secs(4);
/// An answer to a BYE after this is late: it had to be repeated.
const LATE: Duration = Duration::from_millis(500);

/// Loads, by the knee.
const LOADS: [f64; 7] = [0.5, 0.8, 1.0, 1.2, 1.5, 2.0, 3.0];
/// Where the knee is looked for first, calls per second.
const GUESS: f64 = 100.0;
/// The rule: how much of the peak is left at twice the knee.
const LEFT_MIN: f64 = 0.9;

/// Each server is so much slower than this machine, since what a call leaves behind for 32 s takes memory.
/// Control serves several workers in life.
const SCENARIOS: [(&str, Pace); 2] = [
    ("the worker is what is full", Pace { worker: 40.0, control: 40.0 }),
    ("control is what is full", Pace { worker: 40.0, control: 500.0 }),
];

fn main() -> Result<(), Box<dyn Error>> {
    let wanted: Option<usize> = std::env::args().find_map(|it| it.parse().ok());
    for (index, (name, pace)) in SCENARIOS.into_iter().enumerate() {
        if wanted.is_some_and(|wanted| wanted != index) {
            continue;
        }
        let knee = find_knee(pace)?;
        println!("\n## {name}: knee at {knee:.0} calls/s, 1/{:.0} of this machine", pace.worker);
        println!(
            "| load | offered/s | goodput/s | refused by 503 | other | dropped frames | BYEs late | BYEs \
             lost | admission p50 | p99 | worker busy | control busy | calls for help answered |"
        );
        println!("|---|---|---|---|---|---|---|---|---|---|---|---|---|");
        let mut peak: f64 = 0.0;
        let mut at_twice = 0.0;
        for load in LOADS {
            let seen = watch(pace, load * knee, WARM)?;
            println!("| {load:.1} {}", seen.row());
            if std::env::args().any(|it| it == "-v") {
                println!("{:?}", seen.counted);
            }
            peak = peak.max(seen.goodput);
            if load == 2.0 {
                at_twice = seen.goodput;
            }
        }
        let left = at_twice / peak;
        let verdict = if left >= LEFT_MIN { "PASS" } else { "FAIL" };
        println!("{verdict}: at twice the knee {:.0} % of the peak are left", left * 100.0);
    }
    Ok(())
}

/// The load at which the busier of both has no time left.
fn find_knee(pace: Pace) -> Result<f64, Box<dyn Error>> {
    let mut knee = GUESS;
    for share in [1.0, 0.7, 0.9] {
        let offered = knee * share;
        let busy = watch(pace, offered, Duration::from_secs(4))?.busy;
        knee = offered / busy[0].max(busy[1]);
    }
    Ok(knee)
}

/// What was seen of one load.
struct Seen {
    offered: f64,
    goodput: f64,
    refused: f64,
    failed: f64,
    dropped: f64,
    byes: u64,
    late: u64,
    lost: u64,
    admission: [Duration; 2],
    busy: [f64; 2],
    help: [usize; 2],
    counted: Vec<(&'static str, u64)>,
}

fn watch(pace: Pace, per_second: f64, warm: Duration) -> Result<Seen, Box<dyn Error>> {
    let (from, to) = (BEGIN + warm, BEGIN + warm + COUNTED);
    let end = to + AFTER;
    let mut appliance = Appliance::start(BEGIN, pace)?;
    // Control joins its dataplane before anybody calls.
    let mut crowd = Crowd::new(BEGIN + Duration::from_secs(1), per_second, end);
    let (mut busy, mut frames, mut dropped) = (None, 0_u64, 0);
    let mut before = Vec::new();
    loop {
        let now = crowd.poll_timeout().min(appliance.poll_timeout());
        if now >= end {
            break;
        }
        if now >= from && busy.is_none() {
            busy = Some(appliance.busy());
            dropped = appliance.dropped();
            before = appliance.counted();
        }
        if crowd.poll_timeout() <= now {
            crowd.handle_timeout();
        } else {
            appliance.step(now, |at, to, bytes| crowd.hear(at, to, bytes))?;
        }
        while let Some(sent) = crowd.poll_sent() {
            frames += u64::from(now >= from);
            appliance.deliver(now, sent.from, sent.to, &sent.bytes);
        }
    }
    let busy = busy.unwrap_or_default();
    let share = |index: usize| (appliance.busy()[index] - busy[index]).div_duration_f64(end - from);
    let dropped = (appliance.dropped() - dropped) as f64 / frames as f64;
    let mut seen = judge(&crowd, from, to);
    (seen.busy, seen.dropped) = ([share(0), share(1)], dropped);
    let since = appliance.counted().into_iter().zip(before);
    let since = since.map(|((name, now), (_, before))| (name, now - before));
    seen.counted = since.filter(|(_, count)| *count > 0).collect();
    Ok(seen)
}

/// What callers of that time saw.
fn judge(crowd: &Crowd, from: Duration, to: Duration) -> Seen {
    let counted = |call: &Call| (from..to).contains(&call.first);
    let calls: Vec<&Call> = crowd.calls.iter().filter(|call| counted(call)).collect();
    let share = |is: &dyn Fn(&Call) -> bool| {
        calls.iter().filter(|call| is(call)).count() as f64 / calls.len() as f64
    };
    let took = |call: &Call| call.ended.zip(call.bye).map(|((ended, _), bye)| ended - bye);
    let is_good = |call: &Call| {
        call.answered.is_some_and(|at| at - call.first <= PATIENCE)
            && call.ended.is_some_and(|(_, status)| status == 200)
    };
    let per_second = calls.len() as f64 / COUNTED.as_secs_f64();
    let byes: Vec<&&Call> = calls.iter().filter(|call| call.bye.is_some()).collect();
    let mut admission: Vec<Duration> =
        calls.iter().filter_map(|call| Some(call.admitted? - call.first)).collect();
    admission.sort();
    let quantile = |part: usize| admission.get(admission.len() * part / 100).copied();
    let numbered = crowd.calls.iter().enumerate();
    let help: Vec<&Call> = numbered
        .filter(|(number, call)| is_urgent(*number as u64) && call.first < to)
        .map(|(_, call)| call)
        .collect();
    Seen {
        offered: per_second,
        goodput: share(&is_good) * per_second,
        refused: share(&|call| call.refused == 503),
        failed: share(&|call| call.refused != 503 && !is_good(call)),
        dropped: 0.0,
        byes: byes.len() as u64,
        late: byes.iter().filter(|call| took(call).is_some_and(|took| took > LATE)).count() as u64,
        lost: byes.iter().filter(|call| call.ended.is_none_or(|(_, it)| it != 200)).count() as u64,
        admission: [50, 99].map(|part| quantile(part).unwrap_or_default()),
        busy: [0.0; 2],
        help: [help.iter().filter(|call| call.answered.is_some()).count(), help.len()],
        counted: Vec::new(),
    }
}

impl Seen {
    fn row(&self) -> String {
        let [middle, slow] = self.admission.map(|took| took.as_secs_f64() * 1_000.0);
        let [worker, control] = self.busy.map(|share| share * 100.0);
        let byes = self.byes.max(1) as f64 / 100.0;
        format!(
            "| {:.0} | {:.0} | {:.1} % | {:.1} % | {:.1} % | {:.2} % | {:.2} % | {middle:.1} ms | {slow:.0} \
             ms | {worker:.0} % | {control:.0} % | {} of {} |",
            self.offered,
            self.goodput,
            self.refused * 100.0,
            self.failed * 100.0,
            self.dropped * 100.0,
            self.late as f64 / byes,
            self.lost as f64 / byes,
            self.help[0],
            self.help[1],
        )
    }
}
