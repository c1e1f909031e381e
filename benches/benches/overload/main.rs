//! What becomes of a load that is more than can be carried.
//!
//! Worker and control are two servers in virtual time (`appliance.rs`): each turn is really executed,
//! and its CPU time (`yardstick.rs`) advances the server's own clock. Callers and vendors (`crowd.rs`)
//! behave as RFC 3261 says, so what is not answered comes again. Goodput is calls that were answered
//! within four seconds and whose BYE was answered. The rule: at twice the knee it stays within a tenth
//! of its peak.

mod appliance;
mod crowd;
mod queue;
mod yardstick;

use std::error::Error;
use std::time::Duration;

use appliance::{Appliance, Pace};
use crowd::{Call, Crowd};

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
const LOADS: [f64; 5] = [0.5, 1.0, 1.5, 2.0, 3.0];
/// Calls per second that are carried without any doubt.
const GUESS: f64 = 80.0;
/// How much of a load that is carried whole is goodput, at least.
const WHOLE: f64 = 0.97;
/// The rule: how much of the peak is left at twice the knee.
const LEFT_MIN: f64 = 0.9;

/// Each server is so much slower than this machine, since what a call leaves behind for 32 s takes memory;
/// a queue of so many frames is so much longer in time. Control serves several workers in life.
const SCENARIOS: [(&str, Pace); 2] = [
    ("the worker is what is full", Pace { worker: 40.0, control: 40.0 }),
    ("control is what is full", Pace { worker: 10.0, control: 200.0 }),
];

fn main() -> Result<(), Box<dyn Error>> {
    let mut kept = true;
    for (name, pace) in SCENARIOS {
        let knee = find_knee(pace)?;
        println!("{name}; knee at {knee:.0} calls/s, a worker of 1/{:.0} core", pace.worker);
        println!(
            "| load | offered/s | goodput/s | 503 | failed | frames lost | 180 after p50, p99 | BYEs \
             late, lost | for help | busy: worker, control |"
        );
        println!("|---|---|---|---|---|---|---|---|---|---|");
        let mut goodput = Vec::new();
        for load in LOADS {
            let seen = watch(pace, load * knee, WARM)?;
            println!("| {load:.1} {}", seen.row());
            goodput.push((load, seen.goodput));
        }
        let peak = goodput.iter().map(|(_, goodput)| *goodput).fold(0.0, f64::max);
        let twice = goodput.iter().find(|(load, _)| *load == 2.0).map_or(0.0, |(_, it)| *it);
        println!("at twice the knee {:.0} % of the peak are left\n", twice / peak * 100.0);
        kept &= twice >= peak * LEFT_MIN;
    }
    if kept { Ok(()) } else { Err("goodput falls under overload".into()) }
}

/// The highest load that is carried whole, to a sixteenth or so.
fn find_knee(pace: Pace) -> Result<f64, Box<dyn Error>> {
    let mut knee = GUESS;
    while is_carried(pace, knee * 2.0)? {
        knee *= 2.0;
    }
    let mut step = knee;
    for _ in 0..4 {
        step /= 2.0;
        if is_carried(pace, knee + step)? {
            knee += step;
        }
    }
    Ok(knee)
}

/// Whether hardly a call is missing. A busy neighbour may have been in the way, so it is tried again.
fn is_carried(pace: Pace, per_second: f64) -> Result<bool, Box<dyn Error>> {
    for _ in 0..2 {
        let seen = watch(pace, per_second, WARM)?;
        if seen.goodput >= seen.offered * WHOLE {
            return Ok(true);
        }
    }
    Ok(false)
}

/// What was seen of one load. Shares are of the calls that count.
struct Seen {
    offered: f64,
    goodput: f64,
    refused: f64,
    failed: f64,
    frames_lost: f64,
    /// From INVITE to the first 18x, p50 and p99.
    rang: [Duration; 2],
    /// Of the BYEs.
    late: f64,
    lost: f64,
    /// Calls for help, answered and made.
    help: [usize; 2],
    /// Of worker and control.
    busy: [f64; 2],
}

fn watch(pace: Pace, per_second: f64, warm: Duration) -> Result<Seen, Box<dyn Error>> {
    let (from, to) = (BEGIN + warm, BEGIN + warm + COUNTED);
    let end = to + AFTER;
    let mut appliance = Appliance::start(BEGIN, pace)?;
    // Control joins its dataplane before anybody calls.
    let mut crowd = Crowd::new(BEGIN + Duration::from_secs(1), per_second, end);
    let mut before = None;
    loop {
        let now = crowd.poll_timeout().min(appliance.poll_timeout());
        if now >= end {
            break;
        }
        if now >= from && before.is_none() {
            before = Some((appliance.busy(), appliance.frames()));
        }
        if crowd.poll_timeout() <= now {
            crowd.handle_timeout();
        } else {
            appliance.step(now, |at, to, bytes| crowd.hear(at, to, bytes))?;
        }
        while let Some(sent) = crowd.poll_sent() {
            appliance.deliver(now, sent.from, sent.to, &sent.bytes);
        }
    }
    let (busy, frames) = before.unwrap_or_default();
    let [arrived, lost] = std::array::from_fn(|it| (appliance.frames()[it] - frames[it]) as f64);
    let share = |it: usize| (appliance.busy()[it] - busy[it]).div_duration_f64(end - from);
    Ok(Seen { frames_lost: lost / arrived, busy: [share(0), share(1)], ..judge(&crowd, from, to) })
}

/// What callers of that time saw.
fn judge(crowd: &Crowd, from: Duration, to: Duration) -> Seen {
    let calls: Vec<&Call> =
        crowd.calls.iter().filter(|call| (from..to).contains(&call.first)).collect();
    let is_good = |call: &&&Call| {
        call.answered.is_some_and(|at| at - call.first <= PATIENCE)
            && call.ended.is_some_and(|(_, status)| status == 200)
    };
    let good = calls.iter().filter(is_good).count();
    let refused = calls.iter().filter(|call| call.refused == 503).count();
    let mut rang: Vec<_> = calls.iter().filter_map(|it| Some(it.rang? - it.first)).collect();
    rang.sort();
    let quantile = |part| rang.get(rang.len() * part / 100).copied().unwrap_or_default();
    let byes: Vec<_> = calls.iter().filter_map(|call| Some((call.bye?, call.ended))).collect();
    let is_late = |(said, ended): &&(Duration, Option<(Duration, u16)>)| {
        ended.is_some_and(|(at, _)| at - *said > LATE)
    };
    let late = byes.iter().filter(is_late).count();
    let lost = byes.iter().filter(|(_, ended)| ended.is_none_or(|(_, it)| it != 200)).count();
    let help = crowd.calls.iter().filter(|call| call.is_for_help && call.first < to);
    let of = |part: usize, all: usize| part as f64 / all.max(1) as f64;
    Seen {
        offered: calls.len() as f64 / COUNTED.as_secs_f64(),
        goodput: good as f64 / COUNTED.as_secs_f64(),
        refused: of(refused, calls.len()),
        failed: of(calls.len() - good - refused, calls.len()),
        frames_lost: 0.0,
        rang: [quantile(50), quantile(99)],
        late: of(late, byes.len()),
        lost: of(lost, byes.len()),
        help: [help.clone().filter(|call| call.answered.is_some()).count(), help.count()],
        busy: [0.0; 2],
    }
}

impl Seen {
    fn row(&self) -> String {
        let [middle, slow] = self.rang.map(|took| took.as_secs_f64() * 1_000.0);
        let [worker, control] = self.busy.map(|share| share * 100.0);
        let [answered, made] = self.help;
        format!(
            "| {:.0} | {:.0} | {:.1} % | {:.1} % | {:.1} % | {middle:.0}, {slow:.0} ms | {:.2}, {:.2} % \
             | {answered} of {made} | {worker:.0}, {control:.0} % |",
            self.offered,
            self.goodput,
            self.refused * 100.0,
            self.failed * 100.0,
            self.frames_lost * 100.0,
            self.late * 100.0,
            self.lost * 100.0,
        )
    }
}
